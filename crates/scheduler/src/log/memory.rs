//! A disk in memory that forgets what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Disk;

/// The simulator's disk. Clones share the same files.
///
/// What survives [`crash`](Memory::crash) of writes that were not synced is decided sector by sector, and of
/// renames, creations and removals that were not synced a prefix, as on a journaling file system.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    inner: Arc<Mutex<Inner>>,
}

/// A device writes this many bytes as a whole or not at all.
const SECTOR: u64 = 512;

#[derive(Debug, Default)]
struct Inner {
    files: Vec<Content>,
    /// The names as a running process sees them.
    names: BTreeMap<String, usize>,
    /// The names as a power cut leaves them.
    durable: BTreeMap<String, usize>,
    /// What was done to names since the last `sync_dir`.
    pending: Vec<NameChange>,
    failing: bool,
    full: bool,
    n_syncs: u64,
}

#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    current: Vec<u8>,
    /// Ranges written since the last sync.
    dirty: Vec<(u64, u64)>,
}

#[derive(Debug)]
enum NameChange {
    Set(String, usize),
    Remove(String),
}

impl Memory {
    /// Returns an empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power. `choose(n)` returns a number below `n` and so decides what of the unsynced is kept; with
    /// `|_| 0` all of it is lost.
    pub fn crash(&self, mut choose: impl FnMut(u64) -> u64) {
        let mut inner = self.lock();
        let n_kept = choose(inner.pending.len() as u64 + 1) as usize;
        for change in inner.pending.drain(..).take(n_kept).collect::<Vec<_>>() {
            change.apply(&mut inner.durable);
        }
        inner.names = inner.durable.clone();
        for file in &mut inner.files {
            file.crash(&mut choose);
        }
        inner.failing = false;
    }

    /// Makes every write and sync fail from now on, until the next crash.
    pub fn fail(&self) {
        self.lock().failing = true;
    }

    /// Makes the disk full, or gives it room again: nothing can be created or extended while it is.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Inverts bits of a durable byte: decay.
    ///
    /// # Panics
    /// When the file has no such byte.
    pub fn flip(&self, name: &str, offset: usize, bits: u8) {
        let mut inner = self.lock();
        let file = inner.names[name];
        inner.files[file].durable[offset] ^= bits;
        inner.files[file].current[offset] ^= bits;
    }

    /// Returns how many syncs of files there were.
    pub fn n_syncs(&self) -> u64 {
        self.lock().n_syncs
    }

    /// Returns a copy of the disk as it is, unsynced state included.
    #[must_use]
    pub fn fork(&self) -> Self {
        let inner = self.lock();
        let files = inner.files.iter().map(Content::fork).collect();
        let pending = inner.pending.iter().map(NameChange::fork).collect();
        Self {
            inner: Arc::new(Mutex::new(Inner {
                files,
                names: inner.names.clone(),
                durable: inner.durable.clone(),
                pending,
                ..Inner::default()
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn crash(&mut self, choose: &mut impl FnMut(u64) -> u64) {
        for (start, end) in std::mem::take(&mut self.dirty) {
            let mut at = start;
            while at < end {
                let next = (at - at % SECTOR + SECTOR).min(end);
                if choose(2) == 1 {
                    let range = at as usize..next as usize;
                    grow(&mut self.durable, next);
                    self.durable[range.clone()].copy_from_slice(&self.current[range]);
                }
                at = next;
            }
        }
        self.current = self.durable.clone();
    }

    fn fork(&self) -> Self {
        Self { durable: self.durable.clone(), current: self.current.clone(), dirty: self.dirty.clone() }
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, file) => drop(names.insert(name, file)),
            Self::Remove(name) => drop(names.remove(&name)),
        }
    }

    fn fork(&self) -> Self {
        match self {
            Self::Set(name, file) => Self::Set(name.clone(), *file),
            Self::Remove(name) => Self::Remove(name.clone()),
        }
    }
}

impl Inner {
    fn change(&mut self, change: NameChange) {
        change.fork().apply(&mut self.names);
        self.pending.push(change);
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or(io::ErrorKind::NotFound.into())
    }

    fn create(&mut self, name: &str) -> io::Result<usize> {
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.files.push(Content::default());
        let file = self.files.len() - 1;
        self.change(NameChange::Set(name.to_owned(), file));
        Ok(file)
    }

    fn check(&self) -> io::Result<()> {
        if self.failing {
            return Err(io::Error::other("injected fault"));
        }
        Ok(())
    }
}

fn grow(bytes: &mut Vec<u8>, length: u64) {
    if (bytes.len() as u64) < length {
        bytes.resize(length as usize, 0);
    }
}

impl Disk for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let inner = self.lock();
        let file = inner.file(name)?;
        Ok(inner.files[file].current.clone())
    }

    fn allocate(&self, name: &str, bytes: u64) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check()?;
        let file = inner.create(name)?;
        let zeros = vec![0; bytes as usize];
        inner.files[file] = Content { durable: zeros.clone(), current: zeros, dirty: Vec::new() };
        Ok(())
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check()?;
        let file = match inner.names.get(name) {
            Some(file) => *file,
            None => inner.create(name)?,
        };
        let end = offset + bytes.len() as u64;
        if inner.full && end > inner.files[file].current.len() as u64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = &mut inner.files[file];
        grow(&mut content.current, end);
        content.current[offset as usize..end as usize].copy_from_slice(bytes);
        content.dirty.push((offset, end));
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check()?;
        let file = inner.file(name)?;
        inner.n_syncs += 1;
        let content = &mut inner.files[file];
        for (start, end) in std::mem::take(&mut content.dirty) {
            let range = start as usize..end as usize;
            grow(&mut content.durable, end);
            content.durable[range.clone()].copy_from_slice(&content.current[range]);
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check()?;
        let file = inner.file(from)?;
        // One change for two names would be truer; a prefix that keeps both names is harsher.
        inner.change(NameChange::Set(to.to_owned(), file));
        inner.change(NameChange::Remove(from.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check()?;
        if inner.names.contains_key(name) {
            inner.change(NameChange::Remove(name.to_owned()));
        }
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check()?;
        for change in std::mem::take(&mut inner.pending) {
            change.apply(&mut inner.durable);
        }
        Ok(())
    }
}

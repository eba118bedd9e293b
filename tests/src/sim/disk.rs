//! A member's disk: forgets what was not synced, and can end the process in the middle of a write.

use crate::mutants::{self, Mutant};
use scheduler::log::{Disk, Memory};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The disk of one member. Clones share the same files.
#[derive(Clone, Debug)]
pub struct Platter {
    memory: Memory,
    /// After so many more operations the process ends; 0: it does not.
    fuse: Arc<AtomicU64>,
}

impl Platter {
    /// An empty disk.
    pub fn new() -> Self {
        Self { memory: Memory::new(), fuse: Arc::default() }
    }

    /// Lets the process end at the `n`-th operation from now on.
    pub fn light(&self, n: u64) {
        self.fuse.store(n, Ordering::Relaxed);
    }

    /// Cuts the power; `choose` decides what of the unsynced is kept.
    pub fn crash(&self, choose: impl FnMut(u64) -> u64) {
        self.fuse.store(0, Ordering::Relaxed);
        self.memory.crash(choose);
    }

    /// Whether the process has ended in the middle of a write.
    pub fn is_burnt(&self) -> bool {
        self.fuse.load(Ordering::Relaxed) == 1
    }

    fn burn(&self) -> io::Result<()> {
        let left = self.fuse.load(Ordering::Relaxed);
        match left {
            0 => Ok(()),
            1 => Err(io::Error::other("the power is cut")),
            _ => {
                self.fuse.store(left - 1, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

impl Default for Platter {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for Platter {
    fn list(&self) -> io::Result<Vec<String>> {
        self.memory.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.memory.read(name)
    }

    fn allocate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.burn()?;
        self.memory.allocate(name, bytes)
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.burn()?;
        self.memory.write_at(name, offset, bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.burn()?;
        if mutants::planted_here(Mutant::ForgetfulDisk) && name.starts_with("segment") {
            return Ok(());
        }
        self.memory.sync(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.burn()?;
        self.memory.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.burn()?;
        self.memory.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.burn()?;
        self.memory.sync_dir()
    }
}

//! One container's files, from the oldest to the current one, through rotations.

use super::file::LogFile;
use super::{Error, at};
use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// How often the files are opened anew because they were rotated meanwhile. That takes microseconds, a rotation happens
/// every some megabytes.
const TRIES: usize = 16;

/// A place in the files. Each file has a number, by which it is known as long as it is open here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: u64,
    pub(super) offset: u64,
}

/// The files, open. What is rotated out while they are stays here.
#[derive(Debug)]
pub(super) struct Files {
    current: PathBuf,
    list: VecDeque<LogFile>,
    /// The number of the first in the list.
    first: u64,
    /// What those right before it are known by: they are closed, but a cursor may be in one.
    closed: VecDeque<(u64, u64)>,
}

impl Files {
    /// Opens what there is: nothing, if the container has not logged or is gone.
    pub(super) fn open(current: &Path) -> Result<Self, Error> {
        let list = scan(current)?;
        Ok(Self { current: current.to_owned(), list, first: 0, closed: VecDeque::new() })
    }

    /// The number of the oldest.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number behind the newest.
    pub(super) fn end(&self) -> u64 {
        self.first + self.list.len() as u64
    }

    /// Does something with the file of this number, which is there; errors say which log it was.
    pub(super) fn with<T>(&mut self, number: u64, f: impl FnOnce(&mut LogFile) -> io::Result<T>) -> Result<T, Error> {
        let file = number.checked_sub(self.first).and_then(|it| self.list.get_mut(it as usize));
        file.ok_or_else(|| io::ErrorKind::NotFound.into()).and_then(f).map_err(at(&self.current))
    }

    /// Closes files before `open`, and forgets those before `known`.
    pub(super) fn forget_before(&mut self, open: u64, known: u64) -> Result<(), Error> {
        while self.first < open.min(self.end()) {
            let identity = self.identity(self.first)?;
            self.closed.push_back(identity);
            self.list.pop_front();
            self.first += 1;
        }
        while self.first - (self.closed.len() as u64) < known && self.closed.pop_front().is_some() {}
        Ok(())
    }

    /// When the file began, and its inode.
    pub(super) fn identity(&mut self, number: u64) -> Result<(u64, u64), Error> {
        let closed = (self.first - number.min(self.first)) as usize;
        match self.closed.len().checked_sub(closed).and_then(|it| self.closed.get(it)) {
            Some(identity) => Ok(*identity),
            None => self.with(number, |it| Ok((it.born_ns()?, it.inode))),
        }
    }

    /// Opens what has come with rotations.
    pub(super) fn refresh(&mut self) -> Result<(), Error> {
        let Some(newest) = self.list.back_mut() else {
            self.list = scan(&self.current)?;
            return Ok(());
        };
        match fs::metadata(&self.current) {
            Ok(metadata) if metadata.ino() != newest.inode => {}
            Ok(_) => return Ok(()),
            // It is being rotated at this moment, or was removed.
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(err) => return Err(at(&self.current)(err)),
        }
        let mut found = scan(&self.current)?;
        let known = at_number(&mut found, newest).map_err(at(&self.current))?;
        let known_inodes: HashSet<u64> = self.list.iter().map(|it| it.inode).collect();
        found.drain(..known.map_or(0, |it| it + 1));
        found.retain(|it| !known_inodes.contains(&it.inode));
        if let Some(oldest) = found.front_mut() {
            oldest.is_behind_gap = known.is_none();
        }
        self.list.append(&mut found);
        Ok(())
    }

    /// How many bytes there are from `place` on.
    pub(super) fn bytes_after(&mut self, place: Place) -> Result<u64, Error> {
        let mut sum = 0;
        for number in place.file..self.end() {
            sum += self.with(number, |it| it.len())?;
        }
        Ok(sum.saturating_sub(place.offset))
    }

    /// The file that began at that time; of several, and where none is known to, that inode.
    pub(super) fn find(&mut self, born_ns: u64, inode: u64) -> Result<Option<u64>, Error> {
        let mut found = None;
        for number in self.first..self.end() {
            let (born, its_inode) = self.identity(number)?;
            let is_inode = its_inode == inode;
            if born == born_ns && (is_inode || born_ns != 0) {
                if is_inode {
                    return Ok(Some(number));
                }
                found = Some(number);
            }
        }
        Ok(found)
    }
}

/// Where that file is among these: the same one, or what the engine has made of it by compressing it.
fn at_number(found: &mut VecDeque<LogFile>, file: &mut LogFile) -> io::Result<Option<usize>> {
    if let Some(n) = found.iter().position(|it| it.inode == file.inode) {
        return Ok(Some(n));
    }
    let born_ns = file.born_ns()?;
    if born_ns != 0 {
        for (n, it) in found.iter_mut().enumerate() {
            if it.born_ns()? == born_ns {
                return Ok(Some(n));
            }
        }
    }
    Ok(None)
}

/// Opens all files of a log, and sorts them from the oldest to the newest.
///
/// They are opened from the newest to the oldest: a rotation in the meantime makes a file come twice that way, the other
/// way it would let one slip through. If the current one is still the same afterwards, there was none.
fn scan(current: &Path) -> Result<VecDeque<LogFile>, Error> {
    let mut list = VecDeque::new();
    for _ in 0..TRIES {
        list.clear();
        let mut inodes = HashSet::new();
        let newest = LogFile::open(current, false).map_err(at(current))?;
        let inode = newest.as_ref().map(|it| it.inode);
        // One more than are seen: they may move while they are opened.
        let rotated = (1..=highest(current)? + 1).map(|n| open_rotated(current, n));
        for file in std::iter::once(Ok(newest)).chain(rotated) {
            list.extend(file?.filter(|it| inodes.insert(it.inode)));
        }
        let still = match fs::metadata(current) {
            Ok(metadata) => Some(metadata.ino()),
            Err(err) if err.kind() == io::ErrorKind::NotFound => None,
            Err(err) => return Err(at(current)(err)),
        };
        if still == inode {
            break;
        }
    }
    list.make_contiguous().reverse();
    Ok(list)
}

/// The plain one, if it is there: beside it, a compressed one is not complete yet.
fn open_rotated(current: &Path, n: u32) -> Result<Option<LogFile>, Error> {
    let plain = with_suffix(current, &format!(".{n}"));
    if let Some(file) = LogFile::open(&plain, false).map_err(at(&plain))? {
        return Ok(Some(file));
    }
    let compressed = with_suffix(current, &format!(".{n}.gz"));
    LogFile::open(&compressed, true).map_err(at(&compressed))
}

/// The highest number of a rotated file.
fn highest(current: &Path) -> Result<u32, Error> {
    let (Some(dir), Some(name)) = (current.parent(), current.file_name()) else { return Ok(0) };
    let prefix = with_suffix(Path::new(name), ".");
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(err) => return Err(at(dir)(err)),
    };
    let mut highest = 0;
    for entry in entries {
        let name = entry.map_err(at(dir))?.file_name();
        let number = name.to_str().zip(prefix.to_str()).and_then(|(name, prefix)| {
            let number = name.strip_prefix(prefix)?;
            number.strip_suffix(".gz").unwrap_or(number).parse().ok()
        });
        // The engine counts up to its option `max-file`; a file with a larger number is none of its.
        highest = highest.max(number.filter(|it| *it < 1000).unwrap_or(0));
    }
    Ok(highest)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

//! The agent's directory: its lock, its id, and what it was last told.
//!
//! The kept assignments are a convenience, not the truth: Docker knows what runs, the cluster knows what should. A
//! file that cannot be read is set aside and the agent begins without (INV-R8).

use crate::dirs::{make_private, private};
use cluster::agent::Saved;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const ID: &str = "id";
const KEPT: &str = "assignments";

/// The kept file's format.
const FORMAT: u32 = 1;

/// Why the agent's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another agent uses it.
    #[error("another agent runs with the directory {}; each agent needs its own data_dir", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The agent's directory, for itself alone as long as this lives (INV-F8).
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    /// Tells two agents of one name apart; drawn once.
    pub(crate) id: u64,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Kept<S> {
    format: u32,
    saved: S,
}

impl Dir {
    /// Takes the directory; makes it if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        make_private(path).map_err(at(path))?;
        let file = path.join(LOCK);
        let lock = private().create(true).truncate(false).write(true).open(&file).map_err(at(&file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { dir: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(Error::Io { path: file, source }),
        }
        let file = path.join(ID);
        let known = fs::read_to_string(&file).ok().and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
        let id = if let Some(id) = known {
            id
        } else {
            let id = random().map_err(at(Path::new("/dev/urandom")))?;
            write(path, ID, format!("{id:016x}\n").as_bytes()).map_err(at(&file))?;
            id
        };
        Ok(Self { path: path.to_owned(), id, _lock: lock })
    }

    /// What was kept; nothing if it cannot be read.
    pub(crate) fn load(&self) -> Saved {
        let file = self.path.join(KEPT);
        let Ok(bytes) = fs::read(&file) else { return Saved::default() };
        match decode(&bytes) {
            Ok(saved) => saved,
            Err(problem) => {
                tracing::warn!(file = %file.display(), problem, "cannot read what was kept; going on without");
                let _ = fs::rename(&file, self.path.join("assignments.bad"));
                Saved::default()
            }
        }
    }

    /// A hand that keeps, for a thread that may wait for the disk.
    pub(crate) fn keeper(&self) -> Keeper {
        Keeper { path: self.path.clone() }
    }
}

/// Writes what is to be kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
}

impl Keeper {
    /// Keeps this; waits for the disk.
    pub(crate) fn keep(&self, saved: &Saved) -> Result<(), Error> {
        let at = |source| Error::Io { path: self.path.join(KEPT), source };
        let kept = Kept { format: FORMAT, saved };
        let bytes = rmp_serde::to_vec_named(&kept).map_err(std::io::Error::other).map_err(at)?;
        write(&self.path, KEPT, &with_sum(bytes)).map_err(at)
    }
}

/// The content, and behind it a sum of it, so that a torn file is known as one.
fn with_sum(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc32fast::hash(&bytes);
    bytes.extend(sum.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<Saved, String> {
    let (content, sum) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
    if crc32fast::hash(content) != u32::from_be_bytes(*sum) {
        return Err("its checksum is wrong".to_owned());
    }
    let kept: Kept<Saved> = rmp_serde::from_slice(content).map_err(|it| it.to_string())?;
    if kept.format == FORMAT { Ok(kept.saved) } else { Err(format!("its format is {}", kept.format)) }
}

/// Writes a file whole or not at all: a new one, synced, takes the old one's name.
pub(crate) fn write(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let new = dir.join(format!("{name}.new"));
    let mut file = private().create(true).truncate(true).write(true).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// 64 random bits, for a process to be known by; 0 where the machine has none to give.
pub(crate) fn draw() -> u64 {
    random().unwrap_or(0)
}

fn random() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::ClusterId;

    fn saved() -> Saved {
        Saved { cluster: Some(ClusterId(7)), generation: 9, ..Saved::default() }
    }

    #[test]
    fn a_directory_has_one_agent_and_one_id() {
        let dir = tempfile::tempdir().unwrap();
        let first = Dir::open(dir.path()).unwrap();
        assert!(matches!(Dir::open(dir.path()), Err(Error::InUse { .. })));
        let id = first.id;
        drop(first);
        assert_eq!(Dir::open(dir.path()).unwrap().id, id);
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let agent = Dir::open(dir.path()).unwrap();
        assert_eq!(agent.load(), Saved::default());
        agent.keeper().keep(&saved()).unwrap();
        assert_eq!(agent.load(), saved());
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let agent = Dir::open(dir.path()).unwrap();
        agent.keeper().keep(&saved()).unwrap();
        let whole = fs::read(dir.path().join(KEPT)).unwrap();
        for n in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[n] ^= 1;
            for damaged in [&whole[..n], &flipped[..]] {
                fs::write(dir.path().join(KEPT), damaged).unwrap();
                assert_eq!(agent.load(), Saved::default(), "byte {n}");
            }
        }
    }
}

//! What the log asks of a disk, and the real one: a locked directory.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Error;

/// One directory of files, with the difference between *written* and *durable* made visible.
///
/// Contents are durable after [`sync`](Disk::sync), names after [`sync_dir`](Disk::sync_dir), and nothing
/// before; what a power cut leaves of the rest is any part of it. The simulator's disk
/// ([`Memory`](super::Memory)) takes that licence to its limits.
/// Methods take `&self` because snapshots are written from another thread than the log.
pub trait Disk: Send + Sync + 'static {
    /// Returns the names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Returns the whole content of a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Creates (or empties) a file of `bytes` zeros and makes its content durable, not its name.
    ///
    /// Zeros are written, not merely reserved: overwriting written blocks needs no metadata in the later
    /// `sync`, which costs 70 µs instead of 100 µs, and a full disk shows itself here and not in mid-append.
    fn allocate(&self, name: &str, bytes: u64) -> io::Result<()>;

    /// Writes `bytes` at `offset`, creating or extending the file where needed.
    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content of a file durable. An error means that its content is unknown from now on: the
    /// kernel may have dropped the dirty pages, so a second call proves nothing.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Renames a file, replacing `to`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Missing is fine.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all creations, renames and removals so far durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// The file that holds the lock of a data directory.
const LOCK: &str = "LOCK";

/// The file that says whose data directory it is.
const OWNER: &str = "OWNER";

/// Zeros are written in pieces of this many bytes.
const ZEROS: usize = 1 << 20;

/// A real directory, held by this process alone until dropped.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
    /// Files written to lately. One handle per file, so that an append costs no `open`.
    open: Mutex<BTreeMap<String, Arc<File>>>,
    _lock: File,
}

impl Dir {
    /// Opens `path`, creating it where missing, and takes its lock. Nobody else may read it, whatever the process's
    /// mask is and whatever it was before: definitions have secrets in them.
    ///
    /// # Errors
    /// [`Error::Locked`] while another process holds the directory; [`Error::Io`] when it cannot be made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = |operation| move |source| Error::Io { operation, file: path.display().to_string(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("create"))?;
        restrict(path).map_err(io("restrict"))?;
        let lock =
            private().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(io("open the lock of"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { directory: path.display().to_string() });
            }
            Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
        if let Some(parent) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            // The directory itself may be new: its own name has to survive as well.
            File::open(parent).and_then(|it| it.sync_all()).map_err(io("sync the parent of"))?;
        }
        Ok(Self { path: path.to_owned(), open: Mutex::default(), _lock: lock })
    }

    /// Makes the directory that of one member of one cluster, or checks that it is.
    ///
    /// # Errors
    /// [`Error::Foreign`] when it belongs to another: with its votes and entries, this member would break promises
    /// that it never made, or forget those it did.
    pub fn claim(&self, cluster: &str, member: u64) -> Result<(), Error> {
        let claimed = format!("member {member} of cluster {cluster}");
        let io = |operation| Error::io(operation, OWNER);
        match self.read(OWNER) {
            Ok(owner) if owner == claimed.as_bytes() => Ok(()),
            Ok(owner) => Err(Error::Foreign {
                directory: self.path.display().to_string(),
                owner: String::from_utf8_lossy(&owner).into_owned(),
                claimed,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let unfinished = format!("unfinished-{OWNER}");
                self.write_at(&unfinished, 0, claimed.as_bytes()).map_err(io("write"))?;
                self.sync(&unfinished).map_err(io("sync"))?;
                self.rename(&unfinished, OWNER).map_err(io("rename"))?;
                self.sync_dir().map_err(io("sync the directory of"))
            }
            Err(error) => Err(io("read")(error)),
        }
    }

    /// Returns the directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn handle(&self, name: &str) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(name) {
            return Ok(Arc::clone(file));
        }
        let file = private().create(true).truncate(false).write(true).open(self.path.join(name))?;
        let file = Arc::new(file);
        open.insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn forget(&self, name: &str) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// Opens files that, where they are made, are the member's alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Takes a directory, and the files in it, away from everybody else.
fn restrict(dir: &Path) -> io::Result<()> {
    let only = |path: &Path, mode: u32| {
        let before = fs::symlink_metadata(path)?.permissions().mode() & 0o7777;
        if before & !mode == 0 { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(before & mode)) }
    };
    only(dir, 0o700)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            only(&entry.path(), 0o600)?;
        }
    }
    Ok(())
}

impl Disk for Dir {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                // Ours are ASCII; a file with another name is none of ours.
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn allocate(&self, name: &str, bytes: u64) -> io::Result<()> {
        let file = private().create(true).truncate(true).write(true).open(self.path.join(name))?;
        let zeros = vec![0; ZEROS];
        let mut offset = 0;
        while offset < bytes {
            let n = (bytes - offset).min(ZEROS as u64);
            file.write_all_at(&zeros[..n as usize], offset)?;
            offset += n;
        }
        file.sync_all()
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.handle(name)?.write_all_at(bytes, offset)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.handle(name)?.sync_data()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.forget(from);
        self.forget(to);
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.forget(name);
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            res => res,
        }
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let held = Dir::open(dir.path()).unwrap();
        assert!(matches!(Dir::open(dir.path()), Err(Error::Locked { .. })));
        drop(held);
        Dir::open(dir.path()).unwrap();
    }

    #[test]
    fn a_directory_and_its_files_are_nobody_else_s() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/member");
        let mode = |it: &str| fs::metadata(path.join(it)).unwrap().permissions().mode() & 0o7777;
        let files = [LOCK, OWNER, "segment", "written"];
        for _ in 0..2 {
            let dir = Dir::open(&path).unwrap();
            dir.claim("blue", 1).unwrap();
            dir.allocate("segment", 1).unwrap();
            dir.write_at("written", 0, b"x").unwrap();
            assert_eq!(mode(""), 0o700);
            for file in files {
                assert_eq!(mode(file), 0o600, "{file}");
            }
            drop(dir);
            // As an earlier version, or somebody with another mask, would have left them.
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
            for file in files {
                fs::set_permissions(path.join(file), Permissions::from_mode(0o664)).unwrap();
            }
        }
    }

    #[test]
    fn a_directory_belongs_to_one_member_of_one_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        dir.claim("blue", 1).unwrap();
        dir.claim("blue", 1).unwrap();
        for (cluster, member) in [("blue", 2), ("green", 1)] {
            let error = dir.claim(cluster, member).unwrap_err();
            assert!(matches!(&error, Error::Foreign { owner, .. } if owner == "member 1 of cluster blue"), "{error}");
        }
    }
}

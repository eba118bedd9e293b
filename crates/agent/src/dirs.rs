//! The directories on the node that instances get: sandboxes, which go with their instance, and persistent volumes,
//! which stay until the cluster orders otherwise.
//!
//! | below the agent's directory | |
//! |---|---|
//! | `volumes/<reservation>/<volume>` | the persistent volumes |
//! | `reservations/<reservation>` | which of them were made: one that was, and is not there, is lost |
//! | `sandboxes/<instance>/…` | each container's sandbox, and the volumes that a pod's containers share |
//! | `cache/` | fetched files that are kept for the next instance |
//! | `evidence/<app>/<instance>.json` | what instances that ended left behind |
//!
//! Whoever starts the agent, and with whatever mask: directories are 0700 and files 0600, but for those of the instances.
//! Only the innermost directories are mounted, and everybody may write to those: a container's user can be anyone. The
//! ones above are root's alone, so that nobody else on the node comes to them (SEC-6).

use cluster::InstanceId;
use cluster::agent::{Fate, dir_name, fate};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const VOLUMES: &str = "volumes";
const RESERVATIONS: &str = "reservations";
const SANDBOXES: &str = "sandboxes";
const CACHE: &str = "cache";

/// In a sandbox's parent: all that is to be there before the start is there.
const PREPARED: &str = "prepared";

/// Why an instance cannot have its directories.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A directory or file could not be used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Data that were there are not.
    #[error(
        "persistent volume '{volume}' of reservation {reservation} was on this node and is gone: {} is missing. Bring \
         it back, or mount its disk again; or give the data up by killing the instance with wipe=true",
        path.display()
    )]
    Lost {
        /// Its path inside.
        volume: String,
        /// Whose it is.
        reservation: InstanceId,
        /// Where it was.
        path: PathBuf,
    },
}

/// The directories of the node's instances.
#[derive(Clone, Debug)]
pub(crate) struct Dirs {
    root: PathBuf,
}

impl Dirs {
    /// Below this directory, which exists.
    pub(crate) fn new(root: &Path) -> Self {
        // Docker's mounts are absolute.
        Self { root: root.canonicalize().unwrap_or_else(|_| root.to_owned()) }
    }

    /// Where a persistent volume is.
    pub(crate) fn volume(&self, reservation: InstanceId, container_path: &str) -> PathBuf {
        self.root.join(VOLUMES).join(reservation.to_string()).join(dir_name(container_path))
    }

    /// Where the sandbox of an app's container is, or, by its name, of a pod's.
    pub(crate) fn sandbox(&self, instance: InstanceId, container: &str) -> PathBuf {
        let name = if container.is_empty() { "sandbox".to_owned() } else { format!("sandbox-{}", dir_name(container)) };
        self.instance(instance).join(name)
    }

    /// Where a directory is that a pod's containers share.
    pub(crate) fn shared(&self, instance: InstanceId, volume: &str) -> PathBuf {
        self.instance(instance).join(format!("volume-{}", dir_name(volume)))
    }

    /// Where fetched files are kept for the next instance.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join(CACHE)
    }

    /// Where a file is while it is fetched.
    pub(crate) fn download(&self, instance: InstanceId) -> PathBuf {
        self.instance(instance).join("download")
    }

    fn instance(&self, instance: InstanceId) -> PathBuf {
        self.root.join(SANDBOXES).join(instance.to_string())
    }

    fn note(&self, reservation: InstanceId) -> PathBuf {
        self.root.join(RESERVATIONS).join(reservation.to_string())
    }

    /// Sees to it that these persistent volumes are there; an empty one is made only where there never was one.
    pub(crate) fn make_volumes(&self, reservation: InstanceId, container_paths: &[&str]) -> Result<(), Error> {
        let note = self.note(reservation);
        let noted = match fs::read_to_string(&note) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(Error::Io { path: note, source }),
        };
        let mut made: BTreeSet<String> = noted.lines().map(str::to_owned).collect();
        let before = made.len();
        for container_path in container_paths {
            let path = self.volume(reservation, container_path);
            let name = dir_name(container_path);
            match fate(made.contains(&name), path.is_dir()) {
                Fate::Use => {}
                Fate::Make => open_dir(&path)?,
                Fate::Lost => {
                    return Err(Error::Lost { volume: (*container_path).to_owned(), reservation, path });
                }
            }
            made.insert(name);
        }
        if made.len() > before {
            sync_dir(&self.root.join(VOLUMES).join(reservation.to_string()))?;
            sync_dir(&self.root.join(VOLUMES))?;
            let lines: Vec<&str> = made.iter().map(String::as_str).collect();
            write_synced(&note, lines.join("\n").as_bytes())?;
        }
        Ok(())
    }

    /// Destroys a reservation's volumes, data and all.
    pub(crate) fn destroy_volumes(&self, reservation: InstanceId) -> Result<(), Error> {
        let dir = self.root.join(VOLUMES).join(reservation.to_string());
        // The note goes first: what is half destroyed is not lost, it is to be destroyed further.
        let note = self.note(reservation);
        absent_is_fine(&note, fs::remove_file(&note))?;
        absent_is_fine(&dir, fs::remove_dir_all(&dir))
    }

    /// Whether everything for the instance's start is there: its containers may be running.
    pub(crate) fn is_prepared(&self, instance: InstanceId) -> bool {
        self.instance(instance).join(PREPARED).exists()
    }

    /// Makes the instance's own directories anew, empty.
    pub(crate) fn make_sandboxes(&self, instance: InstanceId, dirs: &[PathBuf]) -> Result<(), Error> {
        self.remove_sandboxes(instance)?;
        dirs.iter().try_for_each(|it| open_dir(it))
    }

    /// Everything for the instance's start is there.
    pub(crate) fn prepared(&self, instance: InstanceId) -> Result<(), Error> {
        let path = self.instance(instance).join(PREPARED);
        let made = private().create(true).truncate(true).write(true).open(&path);
        made.map(drop).map_err(|source| Error::Io { path, source })
    }

    /// The instance is gone: so are its own directories.
    pub(crate) fn remove_sandboxes(&self, instance: InstanceId) -> Result<(), Error> {
        let dir = self.instance(instance);
        absent_is_fine(&dir, fs::remove_dir_all(&dir))
    }

    /// The instances that have directories of their own.
    pub(crate) fn with_sandboxes(&self) -> Vec<InstanceId> {
        let Ok(entries) = fs::read_dir(self.root.join(SANDBOXES)) else { return Vec::new() };
        entries.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok()).collect()
    }
}

/// Opens files that, where they are made, are the agent's alone.
pub(crate) fn private() -> OpenOptions {
    let mut options = File::options();
    options.mode(0o600);
    options
}

/// Makes an agent's directory, and takes it and what is the agent's in it away from everybody else.
pub(crate) fn make_private(root: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(root)?;
    restrict(root, 0o700)?;
    let inner = [VOLUMES, RESERVATIONS, SANDBOXES, CACHE].map(|it| root.join(it));
    for dir in inner.iter().filter(|it| it.is_dir()) {
        restrict(dir, 0o700)?;
    }
    for dir in [root, &inner[1], &inner[3]].into_iter().filter(|it| it.is_dir()) {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                restrict(&entry.path(), 0o600)?;
            }
        }
    }
    Ok(())
}

/// Leaves no more rights than these. What has no more is not touched: it may be another's.
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    let before = fs::symlink_metadata(path)?.permissions().mode() & 0o7777;
    if before & !mode == 0 { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(before & mode)) }
}

/// Makes a directory that everybody may write to, below ones that are root's alone.
fn open_dir(path: &Path) -> Result<(), Error> {
    let at = |source| Error::Io { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at)?;
    fs::set_permissions(path, Permissions::from_mode(0o777)).map_err(at)
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    let synced = File::open(path).and_then(|it| it.sync_all());
    synced.map_err(|source| Error::Io { path: path.to_owned(), source })
}

/// Writes a file whole or not at all.
fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let at = |source| Error::Io { path: path.to_owned(), source };
    let dir = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at)?;
    let new = path.with_extension("new");
    let mut file = private().create(true).truncate(true).write(true).open(&new).map_err(at)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at)?;
    fs::rename(&new, path).map_err(at)?;
    sync_dir(dir)
}

fn absent_is_fine(path: &Path, result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Io { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::ClusterId;

    fn id(n: u32) -> InstanceId {
        InstanceId::derive(ClusterId(7), 1, n)
    }

    #[test]
    fn volumes_stay_until_they_are_destroyed_and_are_not_made_twice() {
        let temp = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(temp.path());
        dirs.make_volumes(id(1), &["data", "/var/lib/db"]).unwrap();
        let file = dirs.volume(id(1), "data").join("file");
        fs::write(&file, "precious").unwrap();
        Dirs::new(temp.path()).make_volumes(id(1), &["data", "/var/lib/db"]).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

        fs::remove_dir_all(temp.path().join("volumes")).unwrap();
        let lost = dirs.make_volumes(id(1), &["data", "/var/lib/db"]).unwrap_err();
        assert!(matches!(lost, Error::Lost { .. }), "{lost}");
        assert!(lost.to_string().contains("'data'") && lost.to_string().contains("wipe=true"), "{lost}");
        assert!(!dirs.volume(id(1), "data").exists(), "nothing was made");

        dirs.destroy_volumes(id(1)).unwrap();
        dirs.destroy_volumes(id(1)).unwrap();
        dirs.make_volumes(id(1), &["data"]).unwrap();
        assert!(dirs.volume(id(1), "data").is_dir(), "after its destruction nothing is missed");
    }

    #[test]
    fn only_the_innermost_directories_are_open_to_everybody() {
        let temp = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(temp.path());
        dirs.make_volumes(id(1), &["/a/b"]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let volume = dirs.volume(id(1), "/a/b");
        assert_eq!(mode(&volume), 0o777);
        assert_eq!(mode(volume.parent().unwrap()), 0o700);
        assert_eq!(mode(&temp.path().join("volumes")), 0o700);
    }

    #[test]
    fn what_is_the_agent_s_is_nobody_else_s_whatever_it_was_before() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("a/agent");
        let mode = |it: &str| fs::metadata(root.join(it)).unwrap().permissions().mode() & 0o7777;
        make_private(&root).unwrap();
        let dirs = Dirs::new(&root);
        dirs.make_volumes(id(1), &["data"]).unwrap();
        let sandbox = dirs.sandbox(id(1), "");
        dirs.make_sandboxes(id(1), std::slice::from_ref(&sandbox)).unwrap();
        dirs.prepared(id(1)).unwrap();
        fs::create_dir(root.join(CACHE)).unwrap();
        let files = [format!("{RESERVATIONS}/{}", id(1)), format!("{CACHE}/file"), "id".to_owned()];
        for file in &files[1..] {
            fs::write(root.join(file), "").unwrap();
        }
        assert_eq!((mode(""), mode(&files[0])), (0o700, 0o600));
        assert_eq!(mode(&format!("{SANDBOXES}/{}/{PREPARED}", id(1))), 0o600);
        // As an earlier version, or somebody with another mask, would have left them.
        for dir in ["", VOLUMES, RESERVATIONS, SANDBOXES, CACHE] {
            fs::set_permissions(root.join(dir), Permissions::from_mode(0o755)).unwrap();
        }
        for file in &files {
            fs::set_permissions(root.join(file), Permissions::from_mode(0o664)).unwrap();
        }
        make_private(&root).unwrap();
        for dir in ["", VOLUMES, RESERVATIONS, SANDBOXES, CACHE] {
            assert_eq!(mode(dir), 0o700, "{dir}");
        }
        for file in &files {
            assert_eq!(mode(file), 0o600, "{file}");
        }
        let volume = dirs.volume(id(1), "data");
        assert_eq!(fs::metadata(volume).unwrap().permissions().mode() & 0o777, 0o777, "the instance's own");
    }

    #[test]
    fn sandboxes_are_made_anew_until_they_are_complete_and_go_with_their_instance() {
        let temp = tempfile::tempdir().unwrap();
        let dirs = Dirs::new(temp.path());
        let sandbox = dirs.sandbox(id(1), "");
        dirs.make_sandboxes(id(1), std::slice::from_ref(&sandbox)).unwrap();
        fs::write(sandbox.join("half"), "").unwrap();
        assert!(!dirs.is_prepared(id(1)));
        dirs.make_sandboxes(id(1), std::slice::from_ref(&sandbox)).unwrap();
        assert!(!sandbox.join("half").exists());
        dirs.prepared(id(1)).unwrap();
        assert!(dirs.is_prepared(id(1)));
        assert_eq!(dirs.with_sandboxes(), [id(1)]);
        dirs.remove_sandboxes(id(1)).unwrap();
        assert_eq!(dirs.with_sandboxes(), []);
    }

    #[test]
    fn a_link_in_a_volume_leads_to_nothing_that_is_destroyed() {
        let temp = tempfile::tempdir().unwrap();
        let (root, outside) = (temp.path().join("agent"), temp.path().join("outside"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        let dirs = Dirs::new(&root);
        dirs.make_volumes(id(1), &["data"]).unwrap();
        std::os::unix::fs::symlink(&outside, dirs.volume(id(1), "data").join("link")).unwrap();
        dirs.destroy_volumes(id(1)).unwrap();
        assert!(outside.join("file").exists());
    }
}

//! Directories and files of the node that containers mount: opened once, checked as what was opened, and handed to the
//! engine under a name that nobody but the agent can change (SEC-8).
//!
//! A path that is checked and then resolved again by the engine can lead somewhere else by then: whoever may write in
//! one allowed directory can put a symbolic link in the place of another. So the agent walks the path itself, follows
//! no link on the way, and binds the descriptor it came to (`/proc/self/fd/N`) to a place of its own below `/run`. The
//! engine is given that place. When the container runs, it has the mount in its own namespace, and the place is
//! cleared away; what a crash leaves is cleared away at the next start, and by a reboot.

use super::volumes::{VolumeError, allowed_path, check_below};
use cluster::InstanceId;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind_recursive, unmount};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Below it are the places of all agents of a machine. A reboot empties it.
const PLACES: &str = "/run/ekiden/volumes";

/// So often a path that changes while it is walked is walked again.
const TRIES: u32 = 16;

/// One directory or file that a container is to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The path that the app names.
    pub(super) path: String,
    /// The place that the engine is given.
    pub(super) place: PathBuf,
}

/// Where an agent's places are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    root: PathBuf,
}

impl Places {
    /// Those of the agent with this id.
    pub(crate) fn new(agent: u64) -> Self {
        Self { root: Path::new(PLACES).join(format!("{agent:016x}")) }
    }

    /// The place of an instance's `n`-th volume, in a pod that of a container's.
    pub(super) fn path_of(&self, instance: InstanceId, container: &str, n: usize) -> PathBuf {
        let name = if container.is_empty() { n.to_string() } else { format!("{container}-{n}") };
        self.root.join(instance.to_string()).join(name)
    }

    /// Clears away what a crash has left. No container needs it: a running one has its own mount, and one that was made
    /// and not started is started with its places made anew.
    pub(crate) fn clear(&self) {
        let entries = |it: &Path| fs::read_dir(it).into_iter().flatten().filter_map(|it| Some(it.ok()?.path()));
        for instance in entries(&self.root) {
            entries(&instance).for_each(|it| clear(&it));
            let _ = fs::remove_dir(instance);
        }
        let _ = fs::remove_dir(&self.root);
    }
}

/// The places of an instance that starts; they are cleared away with this.
#[derive(Debug, Default)]
pub(super) struct Bound {
    places: Vec<PathBuf>,
}

impl Bound {
    /// Opens each path below one of `allowed`, makes what is missing, and binds what was opened to its place.
    pub(super) fn all(wanted: &[Wanted], allowed: &[PathBuf]) -> Result<Self, VolumeError> {
        let mut bound = Self::default();
        for Wanted { path, place } in wanted {
            let opened = open(path, allowed)?;
            let failed = |source: io::Error| VolumeError::Bind { path: path.clone(), problem: told(&source) };
            // What a start that was cut short has left here leads somewhere else.
            clear(place);
            make_place(&opened, place).map_err(failed)?;
            bound.places.push(place.clone());
            let from = format!("/proc/self/fd/{}", opened.as_raw_fd());
            mount_bind_recursive(from, place).map_err(|it| failed(it.into()))?;
        }
        Ok(bound)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        for place in &self.places {
            clear(place);
            if let Some(instance) = place.parent() {
                let _ = fs::remove_dir(instance);
            }
        }
    }
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{error}: the agent must be root, with the right to mount, for host volumes")
        }
        _ => error.to_string(),
    }
}

/// Takes a mount from a place, and the place away. Never what is in it: only an empty directory can be removed so.
fn clear(place: &Path) {
    while unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
    if fs::symlink_metadata(place).is_ok_and(|it| it.is_dir()) {
        let _ = fs::remove_dir(place);
    } else {
        let _ = fs::remove_file(place);
    }
}

/// An empty directory or file to mount on.
fn make_place(opened: &OwnedFd, place: &Path) -> io::Result<()> {
    let parent = place.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    if FileType::from_raw_mode(fstat(opened)?.st_mode) == FileType::Directory {
        DirBuilder::new().mode(0o700).create(place)
    } else {
        File::create_new(place).map(drop)
    }
}

/// Opens where a path leads, if that is below one of `allowed`; makes directories where nothing is.
fn open(path: &str, allowed: &[PathBuf]) -> Result<OwnedFd, VolumeError> {
    let failed =
        |error: Errno| VolumeError::Bind { path: path.to_owned(), problem: io::Error::from(error).to_string() };
    let mut last = Errno::LOOP;
    for _ in 0..TRIES {
        // Links are followed here, and nowhere after this.
        let (root, real) = allowed_path(path, allowed)?;
        let rest = real.strip_prefix(&root).unwrap_or(Path::new(""));
        match open_below(&root, rest) {
            Ok(opened) => {
                let found = fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd()));
                // What it is called now, when it is held: whatever happens to its names from here on.
                check_below(&found.unwrap_or_default(), allowed)?;
                return Ok(opened);
            }
            // Something on the way became a link, or went away, since it was looked at.
            Err(error @ (Errno::LOOP | Errno::XDEV | Errno::AGAIN | Errno::NOENT | Errno::NOTDIR)) => last = error,
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(last))
}

fn open_below(root: &Path, rest: &Path) -> Result<OwnedFd, Errno> {
    const STRICT: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);
    let held = OFlags::PATH | OFlags::CLOEXEC;
    let below = STRICT | ResolveFlags::BENEATH;
    let mut at = openat2(CWD, root, held | OFlags::DIRECTORY, Mode::empty(), STRICT)?;
    if rest.as_os_str().is_empty() {
        return Ok(at);
    }
    match openat2(&at, rest, held, Mode::empty(), below) {
        Err(Errno::NOENT) => {}
        opened => return opened,
    }
    // As Docker does with `--volume`: what is missing becomes a directory, whatever the agent's own mask is.
    for part in rest {
        let part = Path::new(part);
        let made = mkdirat(&at, part, Mode::from_raw_mode(0o755));
        let next = openat2(&at, part, held | OFlags::DIRECTORY, Mode::empty(), below)?;
        match made {
            Ok(()) => {
                let name = format!("/proc/self/fd/{}", next.as_raw_fd());
                let _ = fs::set_permissions(name, Permissions::from_mode(0o755));
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        at = next;
    }
    Ok(at)
}

/// Whether a mount that this process makes is seen by the engine at this socket; why not, for people, if not.
pub(super) async fn engine_sees_mounts(host: &str) -> Result<(), String> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt"));
    let engine = match host.strip_prefix("unix://") {
        Some(socket) => {
            let stream = tokio::net::UnixStream::connect(socket).await.map_err(|it| it.to_string())?;
            stream.peer_cred().ok().and_then(|it| it.pid())
        }
        None => None,
    };
    // An engine behind another kind of address is the machine's own, if it is here at all.
    let engine = engine.unwrap_or(1).to_string();
    match (namespace("self"), namespace(&engine)) {
        (Ok(own), Ok(engine)) if own != engine => Err("the agent runs in a mount namespace of its own, such as \
             systemd's Protect… and Private… settings make, so that Docker would not see what it mounts: install \
             deploy/systemd/ekiden-agent-volumes.conf"
            .to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::ClusterId;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    /// A directory of the node with `data` and, elsewhere, `secret`.
    struct Node {
        dir: tempfile::TempDir,
        places: Places,
    }

    impl Node {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for name in ["allowed/data", "secret", "places"] {
                fs::create_dir_all(dir.path().join(name)).unwrap();
            }
            fs::write(dir.path().join("secret/key"), "secret").unwrap();
            fs::write(dir.path().join("allowed/data/file"), "data").unwrap();
            let places = Places { root: dir.path().join("places") };
            Self { dir, places }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().canonicalize().unwrap().join(name)
        }

        fn wanted(&self, name: &str) -> Wanted {
            let instance = InstanceId::derive(ClusterId(7), 1, 1);
            let path = self.path(name).display().to_string();
            Wanted { path, place: self.places.path_of(instance, "", 0) }
        }

        fn bind(&self, name: &str) -> Result<Bound, VolumeError> {
            Bound::all(&[self.wanted(name)], &[self.path("allowed")])
        }
    }

    #[test]
    fn what_was_opened_is_at_its_place_until_that_is_cleared() {
        let node = Node::new();
        let place = node.wanted("").place;
        for name in ["allowed/data", "allowed/data/file", "allowed/new/one", "allowed"] {
            let bound = node.bind(name).unwrap();
            let there = fs::metadata(node.path(name)).unwrap();
            let here = fs::metadata(&place).unwrap();
            assert_eq!((here.dev(), here.ino()), (there.dev(), there.ino()), "{name}");
            drop(bound);
            assert!(!place.exists() && node.path(name).exists(), "{name}");
        }
        let made = fs::metadata(node.path("allowed/new/one")).unwrap();
        assert_eq!((made.mode() & 0o777, made.is_dir()), (0o755, true));
        // What a crash has left is in nobody's way, and goes without what it shows.
        std::mem::forget(node.bind("allowed/data").unwrap());
        drop(node.bind("allowed/new").unwrap());
        std::mem::forget(node.bind("allowed/data/file").unwrap());
        node.places.clear();
        node.places.clear();
        assert!(!node.places.root.exists());
        assert_eq!(fs::read_to_string(node.path("allowed/data/file")).unwrap(), "data");
    }

    #[test]
    fn links_are_followed_as_far_as_is_allowed() {
        let node = Node::new();
        symlink("data", node.path("allowed/inside")).unwrap();
        symlink(node.path("secret"), node.path("allowed/out")).unwrap();
        symlink("../../secret", node.path("allowed/data/up")).unwrap();
        drop(node.bind("allowed/inside/file").unwrap());
        for name in ["allowed/out", "allowed/out/key", "allowed/out/new", "allowed/data/up", "secret"] {
            let refused = node.bind(name).unwrap_err();
            assert!(matches!(refused, VolumeError::NotAllowed { .. }), "{name}: {refused}");
        }
        assert!(!node.path("secret/new").exists());
    }

    /// Somebody swaps a directory for a link to another one, as fast as possible, while it is bound.
    fn race(time: Duration) -> (u32, u32) {
        let node = Node::new();
        let (data, link) = (node.path("allowed/data"), node.path("allowed/link"));
        symlink(node.path("secret"), &link).unwrap();
        let (mut bound, mut refused) = (0, 0);
        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let swap = || {
                    rustix::fs::renameat_with(CWD, &data, CWD, &link, rustix::fs::RenameFlags::EXCHANGE).unwrap();
                };
                while !over.load(Ordering::Relaxed) {
                    swap();
                }
            });
            let begun = Instant::now();
            while begun.elapsed() < time {
                for name in ["allowed/data", "allowed/data/new"] {
                    match node.bind(name) {
                        Ok(it) => {
                            assert!(!it.places[0].join("key").exists(), "the other directory was bound");
                            bound += 1;
                        }
                        Err(_) => refused += 1,
                    }
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(!node.path("secret/new").exists(), "something was made in the other directory");
        (bound, refused)
    }

    #[test]
    fn a_directory_cannot_be_swapped_for_a_link_between_check_and_mount() {
        let seconds = std::env::var("EKIDEN_RACE_SECONDS").ok().and_then(|it| it.parse().ok()).unwrap_or(2);
        let (bound, refused) = race(Duration::from_secs(seconds));
        println!("raced for {seconds} s: bound {bound} times, refused {refused} times");
        assert!(bound > 0 && refused > 0);
    }
}

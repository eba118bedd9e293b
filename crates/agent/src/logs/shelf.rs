//! The node's logs by app and instance, at paths that do not change.
//!
//! `logs/<app>/<instance>.log` below the agent's directory, the app's path with `_` for `/`; of a pod's container
//! `<instance>.<container>.log`. While the container is there it is a link to the file that the engine writes. Before the
//! container is removed it becomes that very file, by a second name for it on the disk: nothing is written twice, and who
//! reads the file goes on reading it. What was rotated stands beside it, as `.log.1` and so on.
//!
//! What is kept goes with the evidence: when it is too old, or when there is too much of one app.

use crate::config::EvidenceConfig;
use crate::docker::{Docker, LogFile};
use crate::hands::Hands;
use cluster::agent::{LogQuery, LogSource};
use cluster::{AppId, PathId};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Where it is, below the agent's directory.
const LOGS: &str = "logs";

/// From one look for new containers, and for what is too old, to the next.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const TIDY_EVERY: Duration = Duration::from_hours(1);

/// So many files were rotated by the engine at most.
const ROTATED_MAX: u32 = 100;

/// The logs of the node. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    root: Arc<PathBuf>,
    config: EvidenceConfig,
    hands: Hands,
    /// Containers whose log driver keeps no file.
    without: Arc<Mutex<BTreeMap<LogSource, AppId>>>,
}

/// A log on the shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) app: AppId,
    pub(crate) source: LogSource,
    /// The file itself, not a link to it.
    pub(crate) path: PathBuf,
    /// Its container is gone: nothing more will be written.
    pub(crate) is_kept: bool,
}

impl Shelf {
    /// Below this directory, which exists.
    pub(crate) fn new(dir: &Path, config: EvidenceConfig, hands: Hands) -> Self {
        Self { root: Arc::new(dir.join(LOGS)), config, hands, without: Arc::default() }
    }

    /// Keeps the shelf in order, for ever: new containers get their links, what is too old goes.
    pub(crate) async fn run(self, docker: Docker) {
        let mut tidied: Option<tokio::time::Instant> = None;
        loop {
            self.refresh(&docker).await;
            if tidied.is_none_or(|it| it.elapsed() >= TIDY_EVERY) {
                tidied = Some(tokio::time::Instant::now());
                let shelf = self.clone();
                let _ = self.hands.run(move || shelf.tidy(SystemTime::now())).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Links to the logs of containers that have none yet. An engine that does not answer is asked again.
    pub(crate) async fn refresh(&self, docker: &Docker) {
        let shelf = self.clone();
        let Ok(mut known) = self.hands.run(move || shelf.known()).await else { return };
        known.extend(self.without().keys().cloned());
        let Ok(files) = docker.log_files(&known).await else { return };
        self.keep_linked(files).await;
    }

    /// Links to logs that are being written.
    pub(super) async fn keep_linked(&self, files: Vec<LogFile>) {
        self.put(files, Self::link).await;
    }

    /// Keeps the logs of containers that are about to be removed.
    pub(crate) async fn keep(&self, files: Vec<LogFile>) {
        self.put(files, Self::keep_file).await;
    }

    async fn put(&self, files: Vec<LogFile>, put: fn(&Self, &LogFile, &Path) -> io::Result<()>) {
        for file in files {
            let Some(path) = file.path.clone() else {
                self.without().insert(file.source, file.app);
                continue;
            };
            let shelf = self.clone();
            let (name, app) = (path.clone(), file.app.clone());
            let done = self.hands.run(move || put(&shelf, &file, &path)).await;
            if let Ok(Err(error)) = done {
                tracing::warn!(%app, log = %name.display(), %error, "a container's log cannot be put where it is found");
            }
        }
    }

    /// The logs that a question is about.
    pub(crate) fn find(&self, query: &LogQuery) -> Vec<Found> {
        let mut found = Vec::new();
        for dir in entries(&self.root) {
            let Some(app) = app_of(&dir) else { continue };
            if !is_of(query, &app) {
                continue;
            }
            for path in entries(&dir) {
                let Some(source) = source_of(&path) else { continue };
                if !is_about(query, &source) {
                    continue;
                }
                let is_kept = !path.is_symlink();
                // A link may lead nowhere: its container was removed by somebody else.
                let Ok(path) = fs::canonicalize(&path) else { continue };
                found.push(Found { app: app.clone(), source, path, is_kept });
            }
        }
        found
    }

    /// The containers of a question whose log drivers keep no file.
    pub(crate) fn without_file(&self, query: &LogQuery) -> Vec<LogSource> {
        let without = self.without();
        let asked = without.iter().filter(|(source, app)| is_of(query, app) && is_about(query, source));
        asked.map(|it| it.0.clone()).collect()
    }

    fn without(&self) -> MutexGuard<'_, BTreeMap<LogSource, AppId>> {
        self.without.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> BTreeSet<LogSource> {
        entries(&self.root).flat_map(|it| entries(&it).collect::<Vec<_>>()).filter_map(|it| source_of(&it)).collect()
    }

    fn place_of(&self, file: &LogFile) -> io::Result<PathBuf> {
        let dir = self.root.join(file.app.joined("_"));
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let LogSource { instance, container } = &file.source;
        let dot = if container.is_empty() { "" } else { "." };
        Ok(dir.join(format!("{instance}{dot}{container}.log")))
    }

    fn link(&self, file: &LogFile, path: &Path) -> io::Result<()> {
        let place = self.place_of(file)?;
        replace(&place, |new| std::os::unix::fs::symlink(path, new))
    }

    fn keep_file(&self, file: &LogFile, path: &Path) -> io::Result<()> {
        let place = self.place_of(file)?;
        // The oldest first, so that who looks meanwhile finds no newer one without those before it.
        for n in (1..=ROTATED_MAX).rev() {
            for end in [format!(".{n}"), format!(".{n}.gz")] {
                let (from, to) = (with_end(path, &end), with_end(&place, &end));
                if from.exists() {
                    replace(&to, |new| self.second_name(&from, new))?;
                }
            }
        }
        if !path.exists() {
            // Nothing was ever written.
            return Ok(());
        }
        replace(&place, |new| self.second_name(path, new))?;
        if let Some(dir) = place.parent() {
            self.tidy_app(dir, SystemTime::now());
        }
        Ok(())
    }

    /// The same file once more; on another disk the end of it, as much as one app may have.
    fn second_name(&self, path: &Path, new: &Path) -> io::Result<()> {
        match fs::hard_link(path, new) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut from = fs::File::open(path)?;
                let len = from.metadata()?.len();
                let mut start = len.saturating_sub(self.config.app_bytes);
                if start > 0 {
                    // Behind the next end of a line.
                    from.seek(SeekFrom::Start(start))?;
                    let mut byte = [0];
                    while from.read(&mut byte)? == 1 {
                        start += 1;
                        if byte[0] == b'\n' {
                            break;
                        }
                    }
                }
                from.seek(SeekFrom::Start(start))?;
                let mut to = fs::File::create(new)?;
                io::copy(&mut from, &mut to)?;
                to.set_modified(from.metadata()?.modified()?)
            }
            done => done,
        }
    }

    pub(super) fn tidy(&self, now: SystemTime) {
        for dir in entries(&self.root) {
            self.tidy_app(&dir, now);
            // Only one that is empty goes.
            let _ = fs::remove_dir(&dir);
        }
    }

    /// Removes what is too old or too much of one app, instance by instance; what is being written stays.
    fn tidy_app(&self, dir: &Path, now: SystemTime) {
        let mut logs: BTreeMap<String, (SystemTime, u64, Vec<PathBuf>)> = BTreeMap::new();
        for path in entries(dir) {
            if path.is_symlink() {
                if !path.exists() {
                    let _ = fs::remove_file(&path);
                }
                continue;
            }
            let Ok(meta) = fs::metadata(&path) else { continue };
            let name = path.file_name().and_then(|it| it.to_str());
            let Some((stem, _)) = name.and_then(|it| it.rsplit_once(".log")) else { continue };
            let stem = stem.to_owned();
            let modified = meta.modified().unwrap_or(now);
            let log = logs.entry(stem).or_insert((modified, 0, Vec::new()));
            *log = (log.0.max(modified), log.1 + meta.len(), std::mem::take(&mut log.2));
            log.2.push(path);
        }
        let mut logs: Vec<_> = logs.into_values().collect();
        logs.sort();
        let mut bytes = 0;
        for (n, (written_at, len, paths)) in logs.iter().rev().enumerate() {
            bytes += len;
            let is_old = now.duration_since(*written_at).is_ok_and(|it| it > self.config.keep);
            if is_old || n > 0 && bytes > self.config.app_bytes {
                // What cannot be removed now is tried with the next.
                for path in paths {
                    let _ = fs::remove_file(path);
                }
            }
        }
    }
}

/// Whether a question is about an app.
fn is_of(query: &LogQuery, app: &AppId) -> bool {
    // An app is in the group of its own name, which has nothing else in it.
    let is_in = |group: &PathId| group.as_str() == app.as_str() || group.contains(app.as_str());
    let all = query.apps.is_empty() && query.group.is_none();
    all || query.apps.contains(app) || query.group.as_ref().is_some_and(is_in)
}

/// Whether a question about its app is about a container.
fn is_about(query: &LogQuery, source: &LogSource) -> bool {
    (query.instances.is_empty() || query.instances.contains(&source.instance))
        && query.container.as_ref().is_none_or(|it| *it == source.container)
}

/// Makes something new in the place of what is there, at once.
fn replace(place: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let new = with_end(place, ".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    make(&new)?;
    fs::rename(&new, place)?;
    // Where both are the same file already, renaming does nothing.
    let _ = fs::remove_file(&new);
    Ok(())
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(end);
    text.into()
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|it| it.path())
}

/// The app of a directory: no id has `_` in it.
fn app_of(dir: &Path) -> Option<AppId> {
    AppId::parse(&format!("/{}", dir.file_name()?.to_str()?.replace('_', "/"))).ok()
}

/// The container of a file, if it is the newest of its log.
fn source_of(path: &Path) -> Option<LogSource> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let (instance, container) = name.split_once('.').unwrap_or((name, ""));
    Some(LogSource { instance: instance.parse().ok()?, container: container.to_owned() })
}

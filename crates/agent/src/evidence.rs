//! What instances that ended left behind, on the node's disk, for as long as the operator says.
//!
//! `evidence/<app>/<instance>.json` below the agent's directory, the app's path with `_` for `/`: one file for each
//! instance, whole or not there. The newest of an app stays in any case; the others go when they are too old, and the
//! oldest when there is too much of one app.

use crate::config::EvidenceConfig;
use crate::docker::{Docker, Error as DockerError, LogFile, Remain, Remains};
use crate::hands::Hands;
use crate::logs::Shelf;
use crate::state;
use cluster::agent::{Exit, Keeping, LogSource};
use cluster::{AppId, Evidence, HealthAnswer, InstanceId, LogLine, NodeId, Version, signal};
use serde::Serialize;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Where it is, below the agent's directory.
const EVIDENCE: &str = "evidence";

/// From one look for what is too old to the next.
const TIDY_EVERY: Duration = Duration::from_hours(1);

/// The evidence on the node. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    root: PathBuf,
    node: NodeId,
    config: EvidenceConfig,
    hands: Hands,
    shelf: Shelf,
}

/// Who ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) instance: InstanceId,
    pub(crate) app: AppId,
    pub(crate) version: Version,
    pub(crate) health: Option<HealthAnswer>,
}

/// A file's content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    app: String,
    instance: String,
    version: String,
    node: String,
    containers: Vec<ContainerRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<HealthRecord<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerRecord<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    ended_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<&'static str>,
    out_of_memory: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    lines: Vec<LineRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

#[derive(Serialize)]
struct LineRecord<'a> {
    at: &'a str,
    stream: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct HealthRecord<'a> {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    cause: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    body: &'a str,
}

impl Archive {
    /// Below this directory, which exists.
    pub(crate) fn new(dir: &Path, node: NodeId, config: EvidenceConfig, hands: Hands, shelf: Shelf) -> Self {
        Self { root: dir.join(EVIDENCE), node, config, hands, shelf }
    }

    /// Keeps what an instance that ended left behind.
    pub(crate) async fn keep(&self, docker: &Docker, ended: Ended) -> Keeping {
        let remains = match docker.remains(ended.instance).await {
            Ok(Some(remains)) => remains,
            Ok(None) => return Keeping::Gone,
            Err(DockerError::Away(message)) => return Keeping::Unavailable { message },
            Err(DockerError::Refused { message, .. }) => {
                return Keeping::Partly { message, evidence: Arc::default() };
            }
        };
        let evidence = Arc::new(short(&remains, ended.health.clone()));
        // An engine that says no, as one whose log driver cannot be read, says so again.
        let unread = remains.containers.iter().find_map(|it| match &it.lines {
            Err(DockerError::Away(message)) => Some(format!("its log cannot be read: {message}")),
            _ => None,
        });
        let logs = remains.containers.iter().map(|it| LogFile {
            app: ended.app.clone(),
            source: LogSource { instance: ended.instance, container: it.name.clone() },
            path: it.log.clone(),
        });
        self.shelf.keep(logs.collect()).await;
        let archive = self.clone();
        let written = self.hands.run(move || archive.write(&ended, &remains)).await;
        let problem = match written {
            Ok(Ok(())) => unread,
            Ok(Err((path, error))) => Some(format!("cannot write {}: {error}", path.display())),
            Err(dropped) => Some(dropped.to_string()),
        };
        match problem {
            None => Keeping::Safe(evidence),
            Some(message) => Keeping::Partly { message, evidence },
        }
    }

    fn write(&self, ended: &Ended, remains: &Remains) -> Result<(), (PathBuf, io::Error)> {
        let dir = self.root.join(ended.app.joined("_"));
        let record = Record {
            app: ended.app.to_string(),
            instance: ended.instance.to_string(),
            version: ended.version.to_string(),
            node: self.node.to_string(),
            containers: remains.containers.iter().map(container_record).collect(),
            health: ended.health.as_ref().map(|it| HealthRecord {
                at: it.at.to_string(),
                status: it.status,
                cause: &it.cause,
                body: &it.body,
            }),
        };
        let name = format!("{}.json", ended.instance);
        let written = || -> io::Result<()> {
            let mut bytes = serde_json::to_vec_pretty(&record)?;
            bytes.push(b'\n');
            DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
            state::write(&dir, &name, &bytes)
        };
        written().map_err(|it| (dir.join(&name), it))?;
        self.tidy_app(&dir, SystemTime::now());
        Ok(())
    }

    /// Removes what is too old, now and from time to time, for ever.
    pub(crate) async fn tidy(self) {
        loop {
            let archive = self.clone();
            let _ = self.hands.run(move || archive.tidy_all(SystemTime::now())).await;
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }

    fn tidy_all(&self, now: SystemTime) {
        for app in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            self.tidy_app(&app.path(), now);
            // Only one that is empty goes.
            let _ = fs::remove_dir(app.path());
        }
    }

    /// Removes what is too old or too much of one app.
    fn tidy_app(&self, dir: &Path, now: SystemTime) {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|it| {
                let meta = it.metadata().ok()?;
                Some((meta.modified().ok()?, meta.len(), it.path()))
            })
            .collect();
        files.sort();
        let mut bytes = 0;
        for (n, (written_at, len, path)) in files.iter().rev().enumerate() {
            bytes += len;
            let is_old = now.duration_since(*written_at).is_ok_and(|it| it > self.config.keep);
            if is_old || n > 0 && bytes > self.config.app_bytes {
                // Tried again with the next.
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn container_record(it: &Remain) -> ContainerRecord<'_> {
    let Remain { name, exit, ended_at, lines, .. } = it;
    ContainerRecord {
        name,
        ended_at,
        exit_code: exit.code,
        signal: exit.code.and_then(signal),
        out_of_memory: exit.out_of_memory,
        error: &exit.error,
        lines: lines.iter().flatten().map(line_record).collect(),
        missing: lines.as_ref().err().map(ToString::to_string),
    }
}

fn line_record(it: &LogLine) -> LineRecord<'_> {
    LineRecord { at: &it.at, stream: it.stream.name(), text: &it.text }
}

/// What the cluster is to know: of a pod, what the container left behind that ended first.
fn short(remains: &Remains, health: Option<HealthAnswer>) -> Evidence {
    let Remains { exit: Exit { code, out_of_memory, error, container, .. }, containers } = remains;
    let first = containers.iter().find(|it| it.name == *container);
    let (lines, missing) = match first.map(|it| &it.lines) {
        Some(Ok(lines)) => (lines.clone(), String::new()),
        Some(Err(error)) => (Vec::new(), format!("its log cannot be read: {error}")),
        None => (Vec::new(), String::new()),
    };
    Evidence {
        container: container.clone(),
        exit_code: *code,
        out_of_memory: *out_of_memory,
        error: error.clone(),
        health,
        lines,
        more_lines: 0,
        missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::{ClusterId, Stream, Timestamp};

    fn archive(dir: &Path, app_bytes: u64) -> Archive {
        let config = EvidenceConfig { keep: Duration::from_hours(24), app_bytes };
        let hands = Hands::for_directories();
        Archive::new(dir, NodeId::new("n1"), config, hands.clone(), Shelf::new(dir, config, hands))
    }

    fn ended(n: u32) -> Ended {
        let health = HealthAnswer {
            at: Timestamp(1_000),
            status: Some(503),
            cause: "answered 503 Service Unavailable".into(),
            body: "no database".into(),
        };
        Ended {
            instance: InstanceId::derive(ClusterId(1), 1, n),
            app: AppId::parse("/pay/api").unwrap(),
            version: Timestamp(0),
            health: Some(health),
        }
    }

    fn remains() -> Remains {
        let exit = Exit { code: Some(137), out_of_memory: true, ..Exit::default() };
        let lines = (0..40).map(|n| LogLine { at: "2026".into(), stream: Stream::Stderr, text: format!("line {n}") });
        let container = Remain {
            name: String::new(),
            exit: exit.clone(),
            ended_at: "2026".into(),
            log: None,
            lines: Ok(lines.collect()),
        };
        Remains { exit, containers: vec![container] }
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir.join("evidence/pay_api")).map_or(0, Iterator::count)
    }

    #[test]
    fn a_file_has_all_that_was_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        archive(dir.path(), 1 << 20).write(&ended(1), &remains()).unwrap();
        let file = dir.path().join(format!("evidence/pay_api/{}.json", ended(1).instance));
        let json: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!((&json["app"], &json["node"]), (&"/pay/api".into(), &"n1".into()));
        let container = &json["containers"][0];
        assert_eq!((&container["exitCode"], &container["signal"]), (&137.into(), &"KILL".into()));
        assert_eq!(container["outOfMemory"], true);
        assert_eq!(container["lines"].as_array().unwrap().len(), 40);
        assert_eq!((&json["health"]["status"], &json["health"]["body"]), (&503.into(), &"no database".into()));
    }

    #[test]
    fn what_is_old_or_too_much_goes_and_the_newest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (large, small) = (archive(dir.path(), 1 << 20), archive(dir.path(), 1));
        for n in 0..5 {
            large.write(&ended(n), &remains()).unwrap();
        }
        assert_eq!(files(dir.path()), 5);
        small.write(&ended(9), &remains()).unwrap();
        assert_eq!(files(dir.path()), 1);
        let at = |hours| SystemTime::now() + Duration::from_hours(hours);
        large.tidy_all(at(23));
        assert_eq!(files(dir.path()), 1);
        large.tidy_all(at(25));
        assert!(!dir.path().join("evidence/pay_api").exists());
    }

    #[test]
    fn a_disk_that_does_not_take_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(EVIDENCE), "in the way").unwrap();
        let (path, _) = archive(dir.path(), 1 << 20).write(&ended(1), &remains()).unwrap_err();
        assert!(path.ends_with(format!("evidence/pay_api/{}.json", ended(1).instance)), "{}", path.display());
    }
}

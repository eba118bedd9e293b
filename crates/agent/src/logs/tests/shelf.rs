//! Where logs are found, while their containers are there and when they are gone.

use super::super::shelf::{Found, Shelf};
use crate::config::EvidenceConfig;
use crate::docker::LogFile;
use crate::hands::Hands;
use cluster::agent::{LogQuery, LogSource};
use cluster::{AppId, InstanceId, PathId};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_hours(24);

fn instance(n: u64) -> InstanceId {
    format!("00000000-0000-8000-8000-{n:012x}").parse().unwrap()
}

fn app(id: &str) -> AppId {
    AppId::parse(id).unwrap()
}

/// A node, and where its engine writes.
struct Node {
    dir: tempfile::TempDir,
    shelf: Shelf,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = EvidenceConfig { keep: DAY, app_bytes: 1_000 };
        let shelf = Shelf::new(dir.path(), config, Hands::for_directories());
        fs::create_dir(dir.path().join("engine")).unwrap();
        Self { dir, shelf }
    }

    /// A container's log, as its engine has it.
    fn log(&self, id: &str, n: u64, container: &str, text: &str) -> LogFile {
        let path = self.dir.path().join(format!("engine/{n}{container}-json.log"));
        fs::write(&path, text).unwrap();
        let source = LogSource { instance: instance(n), container: container.to_owned() };
        LogFile { app: app(id), source, path: Some(path) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    fn found(&self, query: &LogQuery) -> Vec<Found> {
        let mut found = self.shelf.find(query);
        found.sort_by(|a, b| a.source.cmp(&b.source));
        found
    }
}

fn of(id: &str) -> LogQuery {
    LogQuery { apps: vec![app(id)], ..LogQuery::default() }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn a_log_is_at_one_path_before_and_after_its_container_is_removed() {
    let node = Node::new();
    let log = node.log("/pay/api", 1, "", "one\n");
    let engines = log.path.clone().unwrap();
    node.shelf.keep_linked(vec![log.clone()]).await;
    let place = node.path(&format!("pay_api/{}.log", instance(1)));
    assert_eq!(fs::read_link(&place).unwrap(), engines);
    let [found] = &node.found(&of("/pay/api"))[..] else { panic!("one") };
    assert_eq!((found.is_kept, &found.path), (false, &fs::canonicalize(&engines).unwrap()));
    let inode = fs::metadata(&place).unwrap().ino();

    fs::rename(&engines, engines.with_extension("log.1")).unwrap();
    fs::write(&engines, "two\n").unwrap();
    node.shelf.keep(vec![log]).await;
    fs::remove_dir_all(node.dir.path().join("engine")).unwrap();
    assert_eq!(read(&place), "two\n");
    assert_eq!(read(&place.with_extension("log.1")), "one\n", "and what was rotated");
    assert_eq!(fs::metadata(place.with_extension("log.1")).unwrap().ino(), inode, "nothing was copied");
    let [found] = &node.found(&of("/pay/api"))[..] else { panic!("one") };
    assert_eq!((found.is_kept, &found.path), (true, &place));
}

#[tokio::test]
async fn a_question_finds_what_it_is_about_and_nothing_else() {
    let node = Node::new();
    let logs = [
        ("/pay/api", 1, ""),
        ("/pay/api", 2, ""),
        ("/pay/db", 3, ""),
        ("/payment", 4, ""),
        ("/pod", 5, "web"),
        ("/pod", 5, "log"),
    ];
    let logs = logs.map(|(id, n, container)| node.log(id, n, container, "x\n"));
    node.shelf.keep_linked(logs.to_vec()).await;
    let numbers = |query: &LogQuery| node.found(query).iter().map(|it| it.source.clone()).collect::<Vec<_>>();
    let source = |n, container: &str| LogSource { instance: instance(n), container: container.to_owned() };
    let group = |path: &str| LogQuery { group: Some(PathId::parse(path).unwrap()), ..LogQuery::default() };
    assert_eq!(numbers(&group("/pay")), [source(1, ""), source(2, ""), source(3, "")], "not of /payment");
    assert_eq!(numbers(&group("/pay/api")), [source(1, ""), source(2, "")], "an app by the name of a group");
    assert_eq!(numbers(&group("/")).len(), 6);
    assert_eq!(numbers(&of("/pay/db")), [source(3, "")]);
    let one = LogQuery { instances: vec![instance(2)], ..LogQuery::default() };
    assert_eq!(numbers(&one), [source(2, "")]);
    let part = LogQuery { container: Some("log".to_owned()), ..of("/pod") };
    assert_eq!(numbers(&part), [source(5, "log")]);
    // A container that somebody else removed leaves a link to nowhere.
    fs::remove_file(node.dir.path().join("engine/3-json.log")).unwrap();
    assert_eq!(numbers(&of("/pay/db")), []);
}

#[tokio::test]
async fn what_is_kept_goes_when_it_is_old_or_too_much_and_the_newest_of_an_app_stays() {
    let node = Node::new();
    let now = SystemTime::now();
    for n in 1..=4 {
        let log = node.log("/a.log/web", n, "", &"x".repeat(400));
        let file = fs::File::options().write(true).open(log.path.clone().unwrap()).unwrap();
        file.set_modified(now - Duration::from_hours(10 - n)).unwrap();
        node.shelf.keep(vec![log]).await;
    }
    let kept = |node: &Node| node.found(&of("/a.log/web")).iter().map(|it| it.source.instance).collect::<Vec<_>>();
    assert_eq!(kept(&node), [instance(3), instance(4)], "the others were too much together");
    node.shelf.tidy(now + DAY - Duration::from_hours(6) - Duration::from_mins(1));
    assert_eq!(kept(&node), [instance(4)]);
    node.shelf.tidy(now + DAY);
    assert_eq!(kept(&node), []);
    assert!(!node.path("a.log_web").exists(), "nor is the directory");
    let alive = node.log("/a.log/web", 9, "", "x\n");
    node.shelf.keep_linked(vec![alive]).await;
    node.shelf.tidy(now + 100 * DAY);
    assert_eq!(kept(&node), [instance(9)], "what is being written stays, however long it was silent");
}

#[tokio::test]
async fn a_container_without_a_file_is_known_and_not_asked_for_again() {
    let node = Node::new();
    let log = LogFile { path: None, ..node.log("/web", 1, "", "") };
    node.shelf.keep_linked(vec![log]).await;
    assert_eq!(node.found(&of("/web")), []);
    assert_eq!(node.shelf.without_file(&of("/web")), [LogSource { instance: instance(1), container: String::new() }]);
    assert_eq!(node.shelf.without_file(&of("/other")), []);
}

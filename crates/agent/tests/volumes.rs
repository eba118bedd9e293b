//! What is mounted into containers, on a real Docker engine: volumes that stay, sandboxes, and what is fetched.

mod common;

use cluster::agent::{Assignment, Seen};
use cluster::{AppSpec, EndKind, ExternalVolume, Fetch, InstanceId, PersistentVolume, Volume, VolumeMode};
use common::{Running, Scheduler, app, docker, docker_is_here, wait_for};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tracing::subscriber::set_global_default;

fn resident(cmd: &str, paths: &[&str]) -> AppSpec {
    let mut spec = app(cmd);
    let volume = |path: &&str| {
        let container_path = (*path).to_owned();
        Volume::Persistent(PersistentVolume { container_path, size_mib: 10, mode: VolumeMode::Rw })
    };
    spec.run.volumes = paths.iter().map(volume).collect();
    spec
}

fn on(reservation: Option<InstanceId>, assignment: Assignment) -> Assignment {
    let reservation = reservation.or(Some(assignment.instance));
    Assignment { reservation, ..assignment }
}

async fn gone(scheduler: &Scheduler, it: &Assignment) {
    scheduler.stop(it.instance);
    wait_for("removal", || scheduler.is_removed(it.instance)).await;
}

/// What below the agents' places for host volumes is of this directory's.
fn places(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let id = std::fs::read_to_string(dir.join("id")).unwrap();
    let root = std::path::Path::new("/run/ekiden/volumes").join(id.trim());
    std::fs::read_dir(root).into_iter().flatten().map(|it| it.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_volumes_are_the_directories_that_were_checked_and_leave_nothing() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir, node) = (Scheduler::new().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = node.path().canonicalize().unwrap();
    std::fs::create_dir_all(node.join("allowed/data")).unwrap();
    std::fs::create_dir_all(node.join("secret")).unwrap();
    std::fs::write(node.join("allowed/data/f"), "data").unwrap();
    std::fs::write(node.join("secret/f"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", node.join("allowed/out")).unwrap();
    let mut args = scheduler.args(dir.path());
    args.volumes_allowed = vec![node.join("allowed")];
    let agent = Running::new(args.clone());
    let mounting = |cmd: &str, name: &str, mode| {
        let mut spec = app(cmd);
        let host_path = node.join("allowed").join(name).display().to_string();
        spec.run.volumes = vec![Volume::Host(cluster::HostVolume { container_path: "/data".into(), host_path, mode })];
        scheduler.launch(spec)
    };
    let writer = mounting("echo mine > /data/g; exec sleep 1000", "data", VolumeMode::Rw);
    let reader = mounting("cat /data || exit 9; ! (echo > /data) 2>/dev/null", "data/f", VolumeMode::Ro);
    let maker = mounting("echo new > /data/h", "new/one", VolumeMode::Rw);
    let thief = mounting("cat /data/f", "out", VolumeMode::Ro);
    scheduler.assign(&[writer.clone(), reader.clone(), maker.clone(), thief.clone()]);
    wait_for("the writer", || node.join("allowed/data/g").exists()).await;
    let end = scheduler.ended(thief.instance).await;
    assert_eq!(end.kind, EndKind::NotStarted);
    assert!(end.message.contains("is not below a directory that this node allows"), "{end:?}");
    for it in [&reader, &maker] {
        let end = scheduler.ended(it.instance).await;
        assert_eq!(end.kind, EndKind::Finished, "{end:?}");
    }
    assert_eq!(std::fs::read_to_string(node.join("allowed/new/one/h")).unwrap(), "new\n");
    wait_for("the places to be cleared", || places(dir.path()).is_empty()).await;

    // A running container has its mount; whatever is swapped on the node, and whoever looks after it.
    std::fs::rename(node.join("allowed/data"), node.join("allowed/moved")).unwrap();
    std::os::unix::fs::symlink("../secret", node.join("allowed/data")).unwrap();
    let name = writer.instance.to_string();
    assert_eq!(docker(&["exec", &name, "cat", "/data/f"]).1, "data");
    agent.kill().await;
    // As a crash between mount and start leaves it.
    let id = std::fs::read_to_string(dir.path().join("id")).unwrap();
    let left = std::path::Path::new("/run/ekiden/volumes").join(id.trim()).join("0/0");
    std::fs::create_dir_all(&left).unwrap();
    let bind = |it: &[&str]| assert!(std::process::Command::new("mount").args(it).status().unwrap().success());
    bind(&["--bind", &node.join("allowed/moved").display().to_string(), &left.display().to_string()]);
    let _agent = Running::new(args);
    wait_for("the places to be cleared", || places(dir.path()).is_empty()).await;
    assert!(node.join("allowed/moved/f").exists(), "what they showed stays");
    assert_eq!(docker(&["exec", &name, "cat", "/data/f"]).1, "data");
    gone(&scheduler, &writer).await;
}

/// What the agents of this program log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn has(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.0.lock().unwrap()).contains(text)
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_outlive_instances_and_agents_until_their_end_is_ordered() {
    if !docker_is_here() {
        return;
    }
    let log = Log::default();
    let lines = log.clone();
    set_global_default(tracing_subscriber::fmt().with_writer(move || lines.clone()).finish()).unwrap();
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let agent = Running::new(scheduler.args(dir.path()));
    let write = "echo one > data/f; echo two > /var/lib/db/f; exec sleep 1000";
    let mut spec = resident(&format!("cd $MESOS_SANDBOX && {write}"), &["data", "/var/lib/db"]);
    // Whoever it runs as may write.
    spec.run.user = Some("4711".into());
    let first = on(None, scheduler.launch(spec));
    scheduler.assign(std::slice::from_ref(&first));
    wait_for("the first", || scheduler.is_running(first.instance)).await;
    let name = first.instance.to_string();
    wait_for("the files", || docker(&["exec", &name, "cat", "/var/lib/db/f"]).1 == "two").await;
    agent.kill().await;
    let agent = Running::new(scheduler.args(dir.path()));
    gone(&scheduler, &first).await;

    let reservation = first.instance;
    let check = "test \"$(cat data/f)\" = one && test \"$(cat /var/lib/db/f)\" = two && touch data/seen || exit 9";
    let spec = resident(&format!("cd $MESOS_SANDBOX && {check}; exec sleep 1000"), &["data", "/var/lib/db"]);
    let second = on(Some(reservation), scheduler.launch(spec.clone()));
    scheduler.assign(std::slice::from_ref(&second));
    wait_for("the second", || scheduler.is_running(second.instance)).await;
    let volumes = dir.path().join("volumes").join(reservation.to_string());
    wait_for("the second to find what the first wrote", || volumes.join("data/seen").exists()).await;

    // What the agent knows to have it, the core holds by itself. Without its memory it does not know of the second any
    // more, but Docker does.
    agent.end().await.unwrap();
    std::fs::remove_file(dir.path().join("assignments")).unwrap();
    let order = scheduler.forget(second.instance);
    let agent = Running::new(scheduler.args(dir.path()));
    wait_for("a connection", || scheduler.book.lock().unwrap().connections == 3).await;
    scheduler.destroy(reservation);
    let refusal = format!("the containers of {} still have them", second.instance);
    wait_for("the refusal", || log.has(&refusal)).await;
    assert!(volumes.join("data/f").exists(), "a container has it still");
    scheduler.assign(&[order]);
    gone(&scheduler, &second).await;
    wait_for("the destruction", || scheduler.book.lock().unwrap().destroyed.contains(&reservation)).await;
    assert!(!volumes.exists());
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_starts_on_data_that_were_lost() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let spec = resident("exec sleep 1000", &["/data"]);
    let first = on(None, scheduler.launch(spec.clone()));
    scheduler.assign(std::slice::from_ref(&first));
    wait_for("the first", || scheduler.is_running(first.instance)).await;
    gone(&scheduler, &first).await;
    std::fs::remove_dir_all(dir.path().join("volumes")).unwrap();
    let second = on(Some(first.instance), scheduler.launch(spec.clone()));
    scheduler.assign(std::slice::from_ref(&second));
    let end = scheduler.ended(second.instance).await;
    assert_eq!(end.kind, EndKind::NotStarted);
    assert!(end.message.contains("was on this node and is gone") && end.message.contains("wipe=true"), "{end:?}");
    scheduler.destroy(first.instance);
    gone(&scheduler, &second).await;
    wait_for("the destruction", || scheduler.book.lock().unwrap().destroyed.contains(&first.instance)).await;
    let third = on(None, scheduler.launch(spec));
    scheduler.assign(std::slice::from_ref(&third));
    wait_for("a new beginning", || scheduler.is_running(third.instance)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_volume_is_its_driver_s() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let mut args = scheduler.args(dir.path());
    args.volume_drivers = vec!["local".into()];
    let _agent = Running::new(args);
    let volume = format!("ekiden-test-{}", scheduler.cluster);
    let with = |driver: &str, cmd: &str| {
        let mut spec = app(cmd);
        spec.run.volumes = vec![Volume::External(ExternalVolume {
            container_path: "/data".into(),
            mode: VolumeMode::Rw,
            name: volume.clone(),
            driver: driver.into(),
            options: BTreeMap::new(),
            shared: false,
        })];
        scheduler.launch(spec)
    };
    let first = with("local", "echo kept > /data/f; exit 0");
    scheduler.assign(std::slice::from_ref(&first));
    assert_eq!(scheduler.ended(first.instance).await.kind, EndKind::Finished);
    gone(&scheduler, &first).await;
    let second = with("local", "test \"$(cat /data/f)\" = kept");
    scheduler.assign(std::slice::from_ref(&second));
    let end = scheduler.ended(second.instance).await;
    assert_eq!(end.kind, EndKind::Finished, "it outlives the container: {end:?}");
    let other = with("rexray", "true");
    scheduler.assign(std::slice::from_ref(&other));
    let end = scheduler.ended(other.instance).await;
    assert!(end.message.contains("volume driver 'rexray' is not allowed") && end.message.contains("local"), "{end:?}");
    gone(&scheduler, &second).await;
    assert!(docker(&["volume", "rm", &volume]).0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_fetched_is_in_the_sandbox_before_the_start_and_goes_with_the_instance() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let files = tempfile::tempdir().unwrap();
    let pack = format!(
        "mkdir -p {0}/site/sub && echo packed > {0}/site/sub/page && tar -C {0} -czf {0}/site.tgz site",
        files.path().display()
    );
    assert!(std::process::Command::new("sh").args(["-c", &pack]).status().unwrap().success());
    std::fs::write(files.path().join("run.sh"), "#!/bin/sh\nexec cat site/sub/page\n").unwrap();
    let mut args = scheduler.args(dir.path());
    args.fetch.enabled = true;
    args.fetch.files = vec![files.path().to_owned()];
    let agent = Running::new(args.clone());
    let fetch = |name: &str, executable| Fetch {
        uri: format!("file://{}/{name}", files.path().display()),
        extract: true,
        executable,
        cache: false,
        dest_path: None,
    };
    let mut spec = app("cd $MESOS_SANDBOX && test \"$(./run.sh)\" = packed && echo mine > written && exec sleep 1000");
    spec.run.fetch = vec![fetch("site.tgz", false), fetch("run.sh", true)];
    spec.run.user = Some("4711:4711".into());
    let it = scheduler.launch(spec.clone());
    scheduler.assign(std::slice::from_ref(&it));
    wait_for("an instance", || scheduler.is_running(it.instance)).await;
    let written = dir.path().join(format!("sandboxes/{}/sandbox/written", it.instance));
    wait_for("what it writes", || written.exists()).await;
    let staging = |text: &str| {
        let book = scheduler.book.lock().unwrap();
        book.history.iter().any(|(_, it)| matches!(&it.seen, Seen::Staging { message } if message.starts_with(text)))
    };
    assert!(staging("fetching file://") || staging("unpacking file://"), "its progress is told");
    gone(&scheduler, &it).await;
    wait_for("its sandbox to go", || !written.exists()).await;

    let mut missing = spec.clone();
    missing.run.fetch = vec![fetch("none.tgz", false)];
    let refused = scheduler.launch(missing);
    scheduler.assign(std::slice::from_ref(&refused));
    let end = scheduler.ended(refused.instance).await;
    assert_eq!(end.kind, EndKind::NotStarted);
    assert!(end.message.contains("none.tgz: No such file"), "{end:?}");
    agent.end().await.unwrap();
    args.fetch.enabled = false;
    let _agent = Running::new(args);
    let off = scheduler.launch(spec);
    scheduler.assign(std::slice::from_ref(&off));
    assert!(scheduler.ended(off.instance).await.message.contains("[fetch] enabled is not set"));
    wait_for("no containers", || scheduler.containers().is_empty()).await;
}

//! The agent on a real Docker engine and a real Consul agent, started here.

mod common;

use agent::ConsulConfig;
use agent::consul::{Consul, Registry};
use cluster::catalog::Service;
use cluster::{CheckPort, Health, HealthKind};
use common::{Running, Scheduler, WEB, app, check, docker_is_here, wait_for};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A Consul agent of its own, in a directory of its own.
struct OwnConsul {
    process: Child,
    address: String,
    http: u16,
    dir: tempfile::TempDir,
}

impl OwnConsul {
    async fn new() -> Option<Self> {
        let found = std::env::var_os("EKIDEN_CONSUL_BIN").map(PathBuf::from);
        let on_path = || {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).map(|it| it.join("consul")).find(|it| it.exists())
        };
        let Some(program) = found.or_else(on_path).or(Some(common::cache().join("consul"))).filter(|it| it.exists())
        else {
            eprintln!("skipped: no Consul; scripts/setup consul");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let http = common::free_port();
        let process = start(&program, dir.path(), http);
        let own = Self { process, address: format!("http://127.0.0.1:{http}"), http, dir };
        own.is_ready().await;
        Some(own)
    }

    fn config(&self) -> ConsulConfig {
        ConsulConfig { address: self.address.clone(), token: None, ca_file: None }
    }

    async fn is_ready(&self) {
        let registry = Consul::new(&self.config()).unwrap();
        let begun = Instant::now();
        while registry.list().await.is_err() {
            assert!(begun.elapsed() < Duration::from_mins(1), "Consul does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id();
        assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
        // On a busy machine a thread answers once more before it stops.
        let stops = |thread: &std::path::Path| {
            let stat = std::fs::read_to_string(thread.join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|it| it.1.starts_with('T'))
        };
        let threads = || std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|it| it.unwrap().path());
        while signal == "-STOP" && !threads().all(|it| stops(&it)) {
            std::thread::yield_now();
        }
    }

    /// Loses everything, as a node that is made anew.
    async fn is_wiped(&mut self) {
        let program = std::fs::read_link(format!("/proc/{}/exe", self.process.id())).unwrap();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = start(&program, self.dir.path(), self.http);
        self.is_ready().await;
    }
}

fn start(program: &std::path::Path, dir: &std::path::Path, http: u16) -> Child {
    // In dev mode nothing is kept. Every other port is off or free.
    let ports = [
        ("serf-lan-port", common::free_port()),
        ("serf-wan-port", common::free_port()),
        ("server-port", common::free_port()),
    ];
    let mut command = Command::new(program);
    command.args(["agent", "-dev", "-bind", "127.0.0.1", "-node", "test", "-dns-port", "-1", "-grpc-port", "-1"]);
    command.args(["-http-port", &http.to_string()]);
    for (flag, port) in ports {
        command.args([format!("-{flag}"), port.to_string()]);
    }
    command.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for OwnConsul {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn entries(registry: &Consul) -> Vec<Service> {
    let mut entries = registry.list().await.unwrap();
    entries.sort_by(|left, right| left.id.cmp(&right.id));
    entries
}

async fn wait_for_entries(registry: &Consul, n: usize) -> Vec<Service> {
    let begun = Instant::now();
    loop {
        let entries = entries(registry).await;
        if entries.len() == n {
            return entries;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "waited in vain for {n} entries; there are {entries:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn foreign() -> Service {
    let (id, name) = ("db-1".to_owned(), "db".to_owned());
    Service { id, name, tags: vec![], address: "10.9.9.9".into(), port: 5432, meta: BTreeMap::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_come_change_and_go() {
    let Some(consul) = OwnConsul::new().await else { return };
    let registry = Consul::new(&consul.config()).unwrap();
    registry.register(&foreign()).await.unwrap();
    let meta = BTreeMap::from([("ekiden-node".to_owned(), "n1".to_owned())]);
    let tags = vec!["a".to_owned(), "b".to_owned()];
    let ours = Service {
        id: "00000000-1".into(),
        name: "api-pay".into(),
        tags,
        address: "10.0.0.1".into(),
        port: 31_000,
        meta,
    };
    registry.register(&ours).await.unwrap();
    assert_eq!(entries(&registry).await, [ours.clone(), foreign()], "what was written is what is read, addresses too");
    let changed = Service { tags: vec![], port: 0, ..ours };
    registry.register(&changed).await.unwrap();
    assert_eq!(entries(&registry).await, [changed.clone(), foreign()]);
    registry.deregister(&changed.id).await.unwrap();
    registry.deregister(&changed.id).await.unwrap();
    assert_eq!(entries(&registry).await, [foreign()]);
    assert!(registry.deregister("../x").await.is_err(), "no id leads out of its path");
    consul.signal("-STOP");
    let begun = Instant::now();
    assert!(registry.list().await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(5), "a hanging Consul is given up in time");
    consul.signal("-CONT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_serves_is_registered_and_only_that() {
    let Some(mut consul) = OwnConsul::new().await else { return };
    if !docker_is_here() {
        return;
    }
    let registry = Consul::new(&consul.config()).unwrap();
    registry.register(&foreign()).await.unwrap();
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let mut args = scheduler.args(dir.path());
    args.consul.address = Some(consul.address.clone());
    let agent = Running::new(args.clone());
    let mut spec = app(WEB);
    spec.policy.health_checks =
        vec![check(HealthKind::Http { path: "/ok".into(), port: CheckPort::Index(0), ignore_1xx: false, tls: false })];
    let never = {
        let mut spec = app("sleep 1000");
        spec.policy.health_checks = vec![check(HealthKind::Command { value: "false".into() })];
        spec
    };
    let (first, second, third) = (scheduler.launch(spec.clone()), scheduler.launch(spec), scheduler.launch(never));
    scheduler.assign(&[first.clone(), second.clone(), third.clone()]);
    wait_for("health", || scheduler.health(first.instance) == Some(Health::Healthy)).await;
    let healthy = Instant::now();
    let found = wait_for_entries(&registry, 3).await;
    println!("registered {:?} after the report of health", healthy.elapsed());
    let of_first = found.iter().find(|it| it.id == first.instance.to_string()).unwrap();
    assert_eq!((of_first.name.as_str(), of_first.port), ("web-test", first.ports[0]));
    assert_eq!(of_first.meta["ekiden-app"], "/test/web");
    wait_for("the third to run", || scheduler.is_running(third.instance)).await;
    assert!(!found.iter().any(|it| it.id == third.instance.to_string()), "what is not healthy is not found");

    // A stop: first the entry goes, then the container.
    let stopped = Instant::now();
    scheduler.stop(first.instance);
    let left = wait_for_entries(&registry, 2).await;
    println!("deregistered {:?} after the order to stop", stopped.elapsed());
    assert!(!left.iter().any(|it| it.id == first.instance.to_string()));
    assert!(scheduler.containers().iter().filter(|it| it.ends_with("running")).count() == 3, "it still runs then");
    wait_for("removal", || scheduler.is_removed(first.instance)).await;

    // Consul loses everything: what serves comes back by itself.
    consul.is_wiped().await;
    let wiped = Instant::now();
    wait_for_entries(&registry, 1).await;
    println!("registered again {:?} after Consul came back empty", wiped.elapsed());

    // Consul hangs: stops and starts go on.
    consul.signal("-STOP");
    let hung = Instant::now();
    scheduler.stop(third.instance);
    wait_for("removal", || scheduler.is_removed(third.instance)).await;
    println!("stopped {:?} after the order, with a Consul that hangs", hung.elapsed());
    let fourth = scheduler.launch(app("sleep 1000"));
    scheduler.assign(std::slice::from_ref(&fourth));
    wait_for("a start", || scheduler.is_running(fourth.instance)).await;
    consul.signal("-CONT");
    let healed = Instant::now();
    wait_for_entries(&registry, 2).await;
    println!("registered {:?} after Consul answered again", healed.elapsed());

    // A restart of the agent does not disturb what is there.
    let before = entries(&registry).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    agent.end().await.unwrap();
    assert_eq!(entries(&registry).await, before, "what runs without an agent stays registered");
    let _agent = Running::new(args);
    for _ in 0..100 {
        assert_eq!(entries(&registry).await, before);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scheduler.stop(second.instance);
    scheduler.stop(fourth.instance);
    wait_for_entries(&registry, 0).await;
    wait_for("removal", || scheduler.is_removed(second.instance) && scheduler.is_removed(fourth.instance)).await;
}

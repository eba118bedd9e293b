//! What the tests on a real engine share: a scheduler made up here, apps, and clearing up.

#![allow(dead_code, missing_docs, unreachable_pub)]

use agent::{Args, LABEL_CLUSTER};
use api::link::{Greeting, Link};
use cluster::agent::{Assignment, FromAgent, Observation, Seen, ToAgent};
use cluster::testing;
use cluster::{
    AppSpec, ClusterId, Health, HealthCheck, HealthKind, InstanceId, NodeId, Resources, Timestamp, Unreachable,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener as StdListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const IMAGE: &str = "ekiden-agent-test:1";

/// Whether there is an engine and an image with a shell; says so if not.
pub fn docker_is_here() -> bool {
    if !docker(&["info"]).0 {
        eprintln!("skipped: Docker does not answer; scripts/setup docker");
        return false;
    }
    make_image()
}

/// Runs the Docker client.
pub fn docker(args: &[&str]) -> (bool, String) {
    match Command::new("timeout").arg("60").arg("docker").args(args).output() {
        Ok(it) => (it.status.success(), String::from_utf8_lossy(&it.stdout).trim().to_owned()),
        Err(_) => (false, String::new()),
    }
}

pub fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("ekiden/bin")
}

/// An image of a static busybox, made here: no registry is asked.
fn make_image() -> bool {
    if docker(&["image", "inspect", IMAGE]).0 {
        return true;
    }
    let busybox = cache().join("busybox");
    if !busybox.exists() {
        eprintln!("skipped: no static busybox; scripts/setup busybox");
        return false;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("bin")).unwrap();
    std::fs::create_dir_all(dir.path().join("tmp")).unwrap();
    std::fs::copy(&busybox, dir.path().join("bin/busybox")).unwrap();
    for applet in ["sh", "sleep", "httpd", "cat", "echo", "nc", "test", "true", "false", "env", "kill", "tail", "mkdir"]
    {
        std::os::unix::fs::symlink("busybox", dir.path().join("bin").join(applet)).unwrap();
    }
    let script = format!("tar -C {} -c . | docker import --change 'ENV PATH=/bin' - {IMAGE}", dir.path().display());
    Command::new("sh").args(["-c", &script]).output().is_ok_and(|it| it.status.success())
}

/// Waits until something is so; fails after a while.
pub async fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A port that is free now, outside the ranges of kernel and cluster.
pub fn free_port() -> u16 {
    static NEXT: Mutex<u16> = Mutex::new(0);
    let mut next = NEXT.lock().unwrap();
    loop {
        *next += 1;
        let port = 25_000 + (std::process::id() as u16 % 50) * 100 + *next % 100;
        if StdListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

#[derive(Default)]
pub struct Book {
    pub seen: BTreeMap<InstanceId, Seen>,
    pub history: Vec<(Instant, Observation)>,
    pub degraded: Option<String>,
    pub destroyed: BTreeSet<InstanceId>,
    pub connections: u32,
    pub strangers: Vec<cluster::Stranger>,
}

/// What is told next: assignments, and reservations to destroy.
type Change = (Vec<Assignment>, Vec<InstanceId>);

/// A control plane of one, as an agent sees it.
pub struct Scheduler {
    pub cluster: ClusterId,
    pub address: String,
    pub book: Arc<Mutex<Book>>,
    orders: Arc<Mutex<BTreeMap<InstanceId, Assignment>>>,
    changed: mpsc::UnboundedSender<Change>,
    served: JoinHandle<()>,
    n: Mutex<u32>,
}

impl Scheduler {
    pub async fn new() -> Self {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let cluster = ClusterId((nanos ^ (u64::from(std::process::id()) << 32)) & ((1 << 48) - 1));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let book = Arc::<Mutex<Book>>::default();
        let orders = Arc::<Mutex<BTreeMap<InstanceId, Assignment>>>::default();
        let (changed, changes) = mpsc::unbounded_channel();
        let served = tokio::spawn(serve(listener, cluster, Arc::clone(&book), Arc::clone(&orders), changes));
        Self { cluster, address, book, orders, changed, served, n: Mutex::new(0) }
    }

    pub fn instance(&self) -> InstanceId {
        let mut n = self.n.lock().unwrap();
        *n += 1;
        InstanceId::derive(self.cluster, 1, *n)
    }

    /// A new instance's assignment, with a free port for each that wants one.
    pub fn launch(&self, spec: AppSpec) -> Assignment {
        let ports = spec.run.ports.iter().map(|_| free_port()).collect();
        Assignment { ports, kill_grace_ms: 1_000, ..testing::assignment(self.instance(), spec) }
    }

    pub fn assign(&self, assignments: &[Assignment]) {
        let mut orders = self.orders.lock().unwrap();
        orders.extend(assignments.iter().map(|it| (it.instance, it.clone())));
        self.changed.send((assignments.to_vec(), vec![])).unwrap();
    }

    /// The control plane has never heard of it.
    pub fn forget(&self, instance: InstanceId) -> Assignment {
        self.orders.lock().unwrap().remove(&instance).unwrap()
    }

    pub fn destroy(&self, reservation: InstanceId) {
        self.changed.send((vec![], vec![reservation])).unwrap();
    }

    pub fn stop(&self, instance: InstanceId) {
        let order = self.orders.lock().unwrap()[&instance].clone();
        self.assign(&[Assignment { stop: true, spec: None, ..order }]);
    }

    pub fn seen(&self, instance: InstanceId) -> Option<Seen> {
        self.book.lock().unwrap().seen.get(&instance).cloned()
    }

    pub fn is_running(&self, instance: InstanceId) -> bool {
        matches!(self.seen(instance), Some(Seen::Running { .. }))
    }

    pub fn health(&self, instance: InstanceId) -> Option<Health> {
        match self.seen(instance) {
            Some(Seen::Running { health, .. }) => Some(health),
            _ => None,
        }
    }

    pub fn is_removed(&self, instance: InstanceId) -> bool {
        self.seen(instance) == Some(Seen::Removed)
    }

    pub async fn ended(&self, instance: InstanceId) -> cluster::End {
        wait_for("an end", || matches!(self.seen(instance), Some(Seen::Ended(_)))).await;
        let Some(Seen::Ended(end)) = self.seen(instance) else { unreachable!() };
        end
    }

    pub fn args(&self, dir: &Path) -> Args {
        Args {
            name: Some("test-node".into()),
            address: Some("127.0.0.1".into()),
            servers: vec![self.address.clone()],
            data_dir: Some(dir.to_owned()),
            ..Args::default()
        }
    }

    /// The containers of this cluster, with their states.
    pub fn containers(&self) -> Vec<String> {
        let filter = format!("label={LABEL_CLUSTER}={}", self.cluster);
        let (_, text) = docker(&["ps", "-a", "--no-trunc", "--filter", &filter, "--format", "{{.ID}} {{.State}}"]);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.served.abort();
        let ids: Vec<String> = self.containers().iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect();
        let mut args = vec!["rm", "-f", "-v"];
        args.extend(ids.iter().map(String::as_str));
        if !ids.is_empty() {
            docker(&args);
        }
    }
}

async fn serve(
    listener: TcpListener,
    cluster: ClusterId,
    book: Arc<Mutex<Book>>,
    orders: Arc<Mutex<BTreeMap<InstanceId, Assignment>>>,
    mut changes: mpsc::UnboundedReceiver<Change>,
) {
    let mut generation = 1;
    let assign = |generation: u64, (assignments, destroy): Change| ToAgent::Assign {
        generation,
        time: Timestamp(0),
        assignments,
        forget: vec![],
        destroy,
        more: false,
    };
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut link = Link::new(stream);
        let Ok(Greeting::<()>::Agent { .. }) = link.receive().await else { continue };
        let Ok(FromAgent::Hello { node, .. }) = link.receive().await else { continue };
        book.lock().unwrap().connections += 1;
        let welcome =
            ToAgent::Welcome { cluster, node: NodeId::new(node.id.as_str()), alive_every_ms: 1_000, pace: None };
        link.send(&welcome).await.unwrap();
        while changes.try_recv().is_ok() {}
        let all = orders.lock().unwrap().values().cloned().collect();
        link.send(&assign(generation, (all, vec![]))).await.unwrap();
        loop {
            let message = tokio::select! {
                some = changes.recv() => {
                    generation += 1;
                    let Some(some) = some else { return };
                    assign(generation, some)
                }
                received = link.receive::<FromAgent>() => match received {
                    Ok(FromAgent::Report { sequence, observations, destroyed }) => {
                        let mut book = book.lock().unwrap();
                        book.destroyed.extend(destroyed);
                        for it in observations {
                            if matches!(it.seen, Seen::Running { .. })
                                && let Some(order) = orders.lock().unwrap().get_mut(&it.instance)
                            {
                                order.started = true;
                            }
                            book.seen.insert(it.instance, it.seen.clone());
                            book.history.push((Instant::now(), it));
                        }
                        ToAgent::Reported { sequence }
                    }
                    Ok(FromAgent::Degraded { reason }) => {
                        book.lock().unwrap().degraded = reason;
                        continue;
                    }
                    Ok(FromAgent::Strangers { strangers }) => {
                        book.lock().unwrap().strangers = strangers;
                        continue;
                    }
                    Ok(FromAgent::Alive | FromAgent::Obeys { .. }) => ToAgent::Alive,
                    Ok(FromAgent::Hello { .. } | FromAgent::Writers { .. }) => continue,
                    Err(_) => break,
                },
            };
            if link.send(&message).await.is_err() {
                break;
            }
        }
    }
}

/// An agent at work; it ends with this.
pub struct Running {
    shutdown: CancellationToken,
    task: Option<JoinHandle<Result<(), agent::Error>>>,
}

impl Running {
    pub fn new(args: Args) -> Self {
        let shutdown = CancellationToken::new();
        let config = args.check().unwrap();
        let task = tokio::spawn(agent::run(config, prometheus::Registry::new(), shutdown.clone()));
        Self { shutdown, task: Some(task) }
    }

    /// Ends it in good order.
    pub async fn end(mut self) -> Result<(), agent::Error> {
        self.shutdown.cancel();
        self.task.take().unwrap().await.unwrap()
    }

    /// Ends it as a crash does.
    pub async fn kill(mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// An app in the bridge network with one port and a command line.
pub fn app(cmd: &str) -> AppSpec {
    let mut spec = testing::app("/test/web", 1);
    spec.run.cmd = Some(cmd.into());
    spec.run.resources = Resources { cpu_milli: 10, memory_bytes: 32 << 20, disk_bytes: 0 };
    spec.run.image = IMAGE.into();
    spec.policy.unreachable = Unreachable::Disabled;
    spec
}

/// A web server that answers 200 at `/ok`, and sleeps well.
pub const WEB: &str = "mkdir -p /tmp/www; echo fine > /tmp/www/ok; exec httpd -f -p 8080 -h /tmp/www";

pub fn check(kind: HealthKind) -> HealthCheck {
    HealthCheck { grace_ms: 60_000, ..testing::health_check(kind) }
}

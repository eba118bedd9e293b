//! Simulated agents: what they are told to run runs at once, and passes all its checks.

use anyhow::{Context as _, Result, bail};
use api::link::{Greeting, Link};
use cluster::agent::{self, Assignment, Dialer, Ended, FromAgent, Observation, PROTOCOL, ToAgent};
use cluster::{CheckResult, Health, InstanceId, NodeDescription, NodeId, PortRange, Readiness, Resources, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const GIB: u64 = 1 << 30;
/// A member that has not answered by then does not.
const GREETED_WITHIN: Duration = Duration::from_secs(5);

/// Connected agents; they hang up when this is dropped.
pub(crate) struct Agents {
    tasks: Vec<JoinHandle<Result<()>>>,
    seen: Arc<Seen>,
}

/// What all of them have seen together.
#[derive(Default)]
pub(crate) struct Seen {
    /// Instances that they were told to run, and not to end.
    n_running: AtomicU64,
    /// Agents whose first report is in the log.
    n_settled: AtomicU64,
}

impl Agents {
    /// Connects that many to the leader, one after the other.
    pub(crate) async fn start(leader: SocketAddr, n_nodes: usize) -> Result<Self> {
        let mut agents = Self { tasks: Vec::new(), seen: Arc::default() };
        for n in 0..n_nodes {
            let (link, alive_every) = taken_in(leader, n).await;
            agents.tasks.push(tokio::spawn(serve(link, alive_every, Arc::clone(&agents.seen))));
        }
        Ok(agents)
    }

    /// Lets that many dial at once.
    pub(crate) fn storm(leader: SocketAddr, n_nodes: usize) -> Self {
        let seen: Arc<Seen> = Arc::default();
        let dial = |n| {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let (link, alive_every) = taken_in(leader, n).await;
                serve(link, alive_every, seen).await
            })
        };
        Self { tasks: (0..n_nodes).map(dial).collect(), seen }
    }

    /// Instances that run on them.
    pub(crate) fn n_running(&self) -> u64 {
        self.seen.n_running.load(Ordering::Relaxed)
    }

    /// How many of them have all their assignments, and what they saw is in the log.
    pub(crate) fn n_settled(&self) -> u64 {
        self.seen.n_settled.load(Ordering::Relaxed)
    }

    /// That many hang up for good.
    pub(crate) fn hang_up(&mut self, n: usize) {
        for task in self.tasks.drain(..n) {
            task.abort();
        }
    }

    /// Fails if one has lost its leader.
    pub(crate) async fn check(&mut self) -> Result<()> {
        for task in self.tasks.iter_mut().filter(|it| it.is_finished()) {
            task.await?.context("a simulated agent")?;
        }
        Ok(())
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Dials until it is taken in, with the pauses of real agents: a member takes in only so many strangers at a time, and
/// one that has just begun to lead none yet.
async fn taken_in(leader: SocketAddr, n: usize) -> (Link<TcpStream>, Duration) {
    let mut dialer = Dialer::new(vec![leader.to_string()], n as u64);
    loop {
        let call = dialer.call();
        if let Ok(Ok(it)) = timeout(GREETED_WITHIN, greet(leader, n)).await {
            return it;
        }
        let pause_ms = dialer.ended(&call, Ended::Unreachable);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}

async fn greet(leader: SocketAddr, n: usize) -> Result<(Link<TcpStream>, Duration)> {
    let stream = TcpStream::connect(leader).await?;
    stream.set_nodelay(true)?;
    let mut link = Link::new(stream);
    link.send(&Greeting::<()>::Agent { protocol: PROTOCOL }).await?;
    link.send(&FromAgent::Hello {
        protocol: PROTOCOL,
        cluster: None,
        node: node(n),
        life: 0,
        taken_in: false,
        relay: false,
        opens: false,
    })
    .await?;
    match link.receive().await? {
        ToAgent::Welcome { alive_every_ms, .. } => Ok((link, Duration::from_millis(alive_every_ms))),
        other => bail!("not taken in: {other:?}"),
    }
}

fn node(n: usize) -> NodeDescription {
    NodeDescription {
        id: NodeId::new(&format!("node-{n:03}")),
        agent: n as u64 + 1,
        address: format!("10.0.{}.{}", n / 250, n % 250 + 1),
        capacity: Resources { cpu_milli: 256_000, memory_bytes: 1_024 * GIB, disk_bytes: 1_024 * GIB },
        ports: PortRange::default(),
        attributes: BTreeMap::new(),
        versions: BTreeMap::new(),
        grants: cluster::Grants::default(),
    }
}

/// The instances of one agent that run; they are none when it is gone.
struct Running {
    instances: BTreeSet<InstanceId>,
    seen: Arc<Seen>,
}

impl Running {
    fn set(&mut self, instance: InstanceId, runs: bool) {
        if runs && self.instances.insert(instance) {
            self.seen.n_running.fetch_add(1, Ordering::Relaxed);
        } else if !runs && self.instances.remove(&instance) {
            self.seen.n_running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.seen.n_running.fetch_sub(self.instances.len() as u64, Ordering::Relaxed);
    }
}

async fn serve(mut link: Link<TcpStream>, alive_every: Duration, seen: Arc<Seen>) -> Result<()> {
    let mut alive = tokio::time::interval(alive_every);
    let (mut sequence, mut obeyed, mut settled, mut waits) = (0, 0, false, false);
    let mut pending: BTreeMap<InstanceId, Observation> = BTreeMap::new();
    let mut running = Running { instances: BTreeSet::new(), seen: Arc::clone(&seen) };
    loop {
        let message = tokio::select! {
            message = link.receive() => message?,
            _ = alive.tick() => {
                link.send(&FromAgent::Obeys { generation: obeyed }).await?;
                continue;
            }
        };
        match message {
            ToAgent::Assign { generation, time, assignments, .. } => {
                obeyed = generation;
                for it in &assignments {
                    running.set(it.instance, !it.stop);
                }
                pending.extend(assignments.iter().map(|it| (it.instance, observe(it, time))));
            }
            ToAgent::Reported { .. } => {
                waits = false;
                if pending.is_empty() && !std::mem::replace(&mut settled, true) {
                    seen.n_settled.fetch_add(1, Ordering::Relaxed);
                }
            }
            ToAgent::Elsewhere { .. } | ToAgent::Refused { .. } => bail!("sent away: {message:?}"),
            _ => {}
        }
        // One report at a time, as agents do.
        if !waits && !pending.is_empty() {
            (sequence, waits) = (sequence + 1, true);
            let observations = std::mem::take(&mut pending).into_values().collect();
            link.send(&FromAgent::Report { sequence, observations, destroyed: Vec::new() }).await?;
        }
    }
}

fn observe(assignment: &Assignment, time: Timestamp) -> Observation {
    let seen = match &assignment.spec {
        Some(spec) if !assignment.stop => {
            let n_checks = spec.policy.health_checks.len();
            let success = CheckResult {
                alive: true,
                consecutive_failures: 0,
                forgiven: false,
                first_success: Some(time),
                last_success: Some(time),
                last_failure: None,
                last_failure_cause: None,
            };
            agent::Seen::Running {
                ip: Some("172.17.0.2".to_owned()),
                health: if n_checks == 0 { Health::Unknown } else { Health::Healthy },
                checks: vec![success; n_checks],
                readiness: Readiness { ready: true, response: None },
            }
        }
        _ => agent::Seen::Removed,
    };
    Observation { instance: assignment.instance, judged_by: assignment.policy, trial: None, seen, evidence: None }
}

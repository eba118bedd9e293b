//! Simulated agents: what they are told to run runs at once, and passes all its checks.

use anyhow::{Context as _, Result, bail};
use api::link::{Greeting, Link};
use cluster::agent::{Assignment, FromAgent, Observation, PROTOCOL, Seen, ToAgent};
use cluster::{CheckResult, Health, NodeDescription, NodeId, PortRange, Readiness, Resources, Timestamp};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const GIB: u64 = 1 << 30;

/// Connected agents; they hang up when this is dropped.
pub(crate) struct Agents {
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Agents {
    /// Connects that many to the leader.
    pub(crate) async fn start(leader: SocketAddr, n_nodes: usize) -> Result<Self> {
        let mut agents = Self { tasks: Vec::new() };
        for n in 0..n_nodes {
            let (link, alive_every) = timeout(Duration::from_secs(5), greet(leader, n)).await??;
            agents.tasks.push(tokio::spawn(serve(link, alive_every)));
        }
        Ok(agents)
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

async fn greet(leader: SocketAddr, n: usize) -> Result<(Link<TcpStream>, Duration)> {
    let stream = TcpStream::connect(leader).await?;
    stream.set_nodelay(true)?;
    let mut link = Link::new(stream);
    link.send(&Greeting::<()>::Agent { protocol: PROTOCOL }).await?;
    link.send(&FromAgent::Hello { protocol: PROTOCOL, cluster: None, node: node(n), life: 0, taken_in: false }).await?;
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

async fn serve(mut link: Link<TcpStream>, alive_every: Duration) -> Result<()> {
    let mut alive = tokio::time::interval(alive_every);
    let mut sequence = 0;
    loop {
        let message = tokio::select! {
            message = link.receive() => message?,
            _ = alive.tick() => {
                link.send(&FromAgent::Alive).await?;
                continue;
            }
        };
        match message {
            ToAgent::Assign { time, assignments, .. } if !assignments.is_empty() => {
                sequence += 1;
                let observations = assignments.iter().map(|it| observe(it, time)).collect();
                link.send(&FromAgent::Report { sequence, observations, destroyed: Vec::new() }).await?;
            }
            ToAgent::Elsewhere { .. } | ToAgent::Refused { .. } => bail!("sent away: {message:?}"),
            _ => {}
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
            Seen::Running {
                ip: Some("172.17.0.2".to_owned()),
                health: if n_checks == 0 { Health::Unknown } else { Health::Healthy },
                checks: vec![success; n_checks],
                readiness: Readiness { ready: true, response: None },
            }
        }
        _ => Seen::Removed,
    };
    Observation { instance: assignment.instance, judged_by: assignment.policy, trial: None, seen }
}

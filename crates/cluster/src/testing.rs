//! What tests are made of, here and in the crates above: the feature `testing`.
//!
//! The plainest of each kind, with what Marathon takes where a definition is silent; a test changes what it is about.
//! Numbers of its own a test says itself.

use crate::agent::Assignment;
use crate::command::{Command, Entry, Principal};
use crate::model::{
    AppId, AppSpec, ClusterId, Grants, HealthCheck, HealthKind, InstanceId, KillSelection, Moment, Network,
    NodeDescription, NodeId, Policy, PortRange, PortSpec, Protocol, Resources, RunSpec, Timestamp, Unreachable,
    UpgradeStrategy, WantedHostPort,
};
use crate::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One instance of the image `web:1` in the bridge network with so many ports: 100 mCPU, 64 MiB, no health check.
///
/// # Panics
/// This is no id of an app.
pub fn app(id: &str, n_ports: usize) -> AppSpec {
    AppSpec {
        id: AppId::parse(id).expect("a valid id"),
        instances: 1,
        run: RunSpec {
            cmd: None,
            args: Vec::new(),
            user: None,
            env: BTreeMap::new(),
            resources: Resources { cpu_milli: 100, memory_bytes: 64 << 20, disk_bytes: 0 },
            image: "web:1".to_owned(),
            force_pull: false,
            parameters: Vec::new(),
            volumes: Vec::new(),
            network: Network::Bridge,
            ports: vec![port(); n_ports],
            require_ports: false,
            mesos: false,
            tty: false,
            fetch: Vec::new(),
            pod: None,
        }
        .into(),
        policy: Policy {
            labels: BTreeMap::new(),
            constraints: Vec::new(),
            health_checks: Vec::new(),
            upgrade: UpgradeStrategy { min_health_ppm: 1_000_000, max_over_ppm: 1_000_000 },
            backoff_ms: 1_000,
            backoff_factor_ppm: 1_150_000,
            backoff_max_ms: 300_000,
            kill_grace_ms: None,
            kill_selection: KillSelection::YoungestFirst,
            unreachable: Unreachable::After { inactive_ms: 0, expunge_ms: 0 },
            role: "*".to_owned(),
            accepted_roles: Vec::new(),
            readiness_checks: Vec::new(),
            dependencies: Vec::new(),
            residency: None,
        }
        .into(),
    }
}

/// Port 8080 of the container, by TCP, at any port of the host.
pub fn port() -> PortSpec {
    PortSpec {
        container_port: 8080,
        host_port: WantedHostPort::Any,
        service_port: 0,
        protocol: Protocol::Tcp,
        name: None,
        labels: BTreeMap::new(),
    }
}

/// Every second, for a second, three failures allowed, no grace.
pub fn health_check(kind: HealthKind) -> HealthCheck {
    HealthCheck {
        kind,
        mesos: false,
        container: String::new(),
        ipv6: false,
        grace_ms: 0,
        interval_ms: 1_000,
        timeout_ms: 1_000,
        max_failures: 3,
        delay_ms: 0,
    }
}

/// An instance of such an app that shall run, on one host port after the other from 31 000 on.
pub fn assignment(instance: InstanceId, spec: AppSpec) -> Assignment {
    Assignment {
        instance,
        app: spec.id.clone(),
        version: Timestamp(1_000),
        ports: (31_000..).take(spec.run.ports.len()).collect(),
        stop: false,
        started: false,
        kill_grace_ms: 3_000,
        min_live_ms: 0,
        leave_after: 1,
        reservation: None,
        policy: Timestamp(1_000),
        spec: Some(Arc::new(spec)),
    }
}

/// A node without room, whose agent has this identity.
pub fn node(n: u64) -> NodeDescription {
    NodeDescription {
        id: NodeId::new(&format!("n{n:04}")),
        agent: n,
        address: "10.0.0.1".to_owned(),
        capacity: Resources::default(),
        ports: PortRange::default(),
        attributes: BTreeMap::new(),
        versions: BTreeMap::new(),
        grants: Grants::default(),
    }
}

/// A cluster, `ClusterId(1)`, of so many such nodes.
///
/// # Panics
/// Its log is not accepted.
pub fn cluster_of(n: u64) -> State {
    let found = Command::Found { cluster: ClusterId(1) };
    let register = (0..n).map(|it| Command::Register { node: node(it) });
    let mut state = State::new();
    for (index, command) in (1..).zip(std::iter::once(found).chain(register)) {
        let (time, moment) = (Timestamp(index), Moment(index));
        let entry = Entry { index, time, moment, principal: Principal::Leader, command };
        state.apply(entry).expect("it is accepted");
    }
    state
}

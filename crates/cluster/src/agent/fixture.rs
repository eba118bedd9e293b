//! What tests of the agent's half are made of.

use super::Assignment;
use crate::model::{
    AppId, AppSpec, InstanceId, KillSelection, Network, Policy, PortSpec, Protocol, Resources, RunSpec, Timestamp,
    Unreachable, UpgradeStrategy, WantedHostPort,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An app in the bridge network with so many ports.
pub(crate) fn spec(id: &str, n_ports: usize) -> AppSpec {
    let port = || PortSpec {
        container_port: 8080,
        host_port: WantedHostPort::Any,
        service_port: 10_000,
        protocol: Protocol::Tcp,
        name: None,
        labels: BTreeMap::new(),
    };
    AppSpec {
        id: AppId::parse(id).unwrap(),
        instances: 1,
        run: RunSpec {
            cmd: None,
            args: vec![],
            user: None,
            env: BTreeMap::new(),
            resources: Resources { cpu_milli: 100, memory_bytes: 64 << 20, disk_bytes: 0 },
            image: "web:1".into(),
            force_pull: false,
            parameters: vec![],
            volumes: vec![],
            network: Network::Bridge,
            ports: std::iter::repeat_with(port).take(n_ports).collect(),
            require_ports: false,
            mesos: false,
            tty: false,
            fetch: Vec::new(),
            pod: None,
        }
        .into(),
        policy: Policy {
            labels: BTreeMap::new(),
            constraints: vec![],
            health_checks: vec![],
            upgrade: UpgradeStrategy { min_health_ppm: 1_000_000, max_over_ppm: 1_000_000 },
            backoff_ms: 1_000,
            backoff_factor_ppm: 1_150_000,
            backoff_max_ms: 300_000,
            kill_grace_ms: None,
            kill_selection: KillSelection::YoungestFirst,
            unreachable: Unreachable::After { inactive_ms: 0, expunge_ms: 0 },
            role: "*".to_owned(),
            accepted_roles: vec![],
            readiness_checks: Vec::new(),
            dependencies: Vec::new(),
            residency: None,
        }
        .into(),
    }
}

/// An instance of such an app that shall run.
pub(crate) fn assignment(instance: InstanceId, spec: AppSpec) -> Assignment {
    Assignment {
        instance,
        app: spec.id.clone(),
        version: Timestamp(1_000),
        ports: vec![31_000; spec.run.ports.len()],
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

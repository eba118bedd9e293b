//! Apps.

use super::{counts, is_listed, task, task_failure, task_stats};
use crate::time;
use crate::v2;
use cluster::{
    App, AppVersion, CheckPort, HealthCheck, HealthKind, KillSelection, Network, PortSpec, Protocol, State, Timestamp,
    Unreachable, Volume, VolumeMode, WantedHostPort,
};
use serde_json::{Map, Value};

/// What is printed beside an app's definition; counts and deployments always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embed {
    /// Its instances.
    pub tasks: bool,
    /// Its last failure.
    pub last_task_failure: bool,
    /// Results of readiness checks.
    pub readiness: bool,
    /// Counts by version.
    pub task_stats: bool,
}

/// Prints an app with what is asked for of its instances.
pub fn app_info(state: &State, it: &App, embed: Embed, now: Timestamp) -> v2::AppInfo {
    app_info_beside(app(&it.current), state, it, embed, now)
}

/// Prints what is asked for of an app's instances beside its definition.
pub fn app_info_beside<A>(definition: A, state: &State, it: &App, embed: Embed, now: Timestamp) -> v2::AppInfo<A> {
    let counts = counts(state, it);
    let instances = || state.instances_of(it).filter(|it| is_listed(it));
    v2::AppInfo {
        app: definition,
        tasks_staged: counts.staged,
        tasks_running: counts.running,
        tasks_healthy: counts.healthy,
        tasks_unhealthy: counts.unhealthy,
        deployments: it.deployment.iter().map(|id| v2::DeploymentRef { id: id.to_string() }).collect(),
        tasks: embed.tasks.then(|| instances().map(|instance| task(state, instance)).collect()),
        last_task_failure: it
            .last_failure
            .as_ref()
            .filter(|_| embed.last_task_failure)
            .map(|failure| task_failure(state, &it.id, failure)),
        readiness_check_results: embed.readiness.then(Vec::new),
        task_stats: embed.task_stats.then(|| task_stats(state, it, now)),
    }
}

/// Prints a definition.
pub fn app(version: &AppVersion) -> v2::App {
    let spec = &version.spec;
    let (run, policy) = (&spec.run, &spec.policy);
    v2::App {
        id: spec.id.to_string(),
        accepted_resource_roles: (!policy.accepted_roles.is_empty()).then(|| policy.accepted_roles.clone()),
        args: run.args.clone(),
        backoff_factor: v2::Number(policy.backoff_factor_ppm as f64 / 1e6),
        backoff_seconds: policy.backoff_ms / 1000,
        cmd: run.cmd.clone(),
        constraints: policy.constraints.iter().map(constraint).collect(),
        container: Some(container(spec)),
        cpus: v2::Number(run.resources.cpu_milli as f64 / 1000.0),
        disk: mib(run.resources.disk_bytes),
        env: run.env.clone(),
        executor: String::new(),
        gpus: 0,
        health_checks: policy.health_checks.iter().map(health_check).collect(),
        instances: spec.instances,
        kill_selection: match policy.kill_selection {
            KillSelection::YoungestFirst => "YOUNGEST_FIRST".to_owned(),
            KillSelection::OldestFirst => "OLDEST_FIRST".to_owned(),
        },
        labels: policy.labels.clone(),
        max_launch_delay_seconds: policy.backoff_max_ms / 1000,
        mem: mib(run.resources.memory_bytes),
        networks: vec![v2::Network {
            mode: match run.network {
                Network::Host => "host".to_owned(),
                Network::Bridge => "container/bridge".to_owned(),
                Network::Container { .. } => "container".to_owned(),
            },
        }],
        port_definitions: (run.network == Network::Host)
            .then(|| run.ports.iter().map(|it| port_definition(it, run.require_ports)).collect()),
        require_ports: run.require_ports,
        role: "*".to_owned(),
        task_kill_grace_period_seconds: policy.kill_grace_ms.map(|it| it / 1000),
        unreachable_strategy: match policy.unreachable {
            Unreachable::Disabled => v2::UnreachableStrategy::Disabled("disabled".to_owned()),
            Unreachable::After { inactive_ms, expunge_ms } => v2::UnreachableStrategy::Enabled {
                expunge_after_seconds: expunge_ms / 1000,
                inactive_after_seconds: inactive_ms / 1000,
            },
        },
        upgrade_strategy: v2::UpgradeStrategy {
            maximum_over_capacity: v2::Number(f64::from(policy.upgrade.max_over_ppm) / 1e6),
            minimum_health_capacity: v2::Number(f64::from(policy.upgrade.min_health_ppm) / 1e6),
        },
        user: run.user.clone(),
        version: time::print(version.version),
        version_info: Some(v2::VersionInfo {
            last_scaling_at: time::print(version.scaled),
            last_config_change_at: time::print(version.configured),
        }),
    }
}

/// A definition as the base of an update: without what the API adds to it.
pub fn app_map(version: &AppVersion) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(app(version)) else { return Map::new() };
    fields.remove("version");
    fields.remove("versionInfo");
    fields
}

/// Prints a health check, all defaults filled in: load balancers read each field.
pub fn health_check(check: &HealthCheck) -> v2::HealthCheck {
    let (name, command, path, port, ignore_1xx) = match &check.kind {
        HealthKind::Http { path, port, tls, ignore_1xx } => {
            (if *tls { "HTTPS" } else { "HTTP" }, None, Some(path), Some(*port), Some(*ignore_1xx))
        }
        HealthKind::Tcp { port } => ("TCP", None, None, Some(*port), None),
        HealthKind::Command { value } => ("COMMAND", Some(value), None, None, None),
    };
    v2::HealthCheck {
        command: command.map(|it| v2::Command { value: it.clone() }),
        delay_seconds: check.delay_ms / 1000,
        grace_period_seconds: check.grace_ms / 1000,
        ignore_http1xx: ignore_1xx.filter(|_| !check.mesos),
        interval_seconds: check.interval_ms / 1000,
        ip_protocol: port.map(|_| "IPv4".to_owned()),
        max_consecutive_failures: check.max_failures,
        path: path.cloned(),
        port: port.and_then(|it| if let CheckPort::Number(number) = it { Some(number) } else { None }),
        port_index: port.and_then(|it| if let CheckPort::Index(index) = it { Some(index) } else { None }),
        protocol: if check.mesos { format!("MESOS_{name}") } else { name.to_owned() },
        timeout_seconds: check.timeout_ms / 1000,
    }
}

fn container(spec: &cluster::AppSpec) -> v2::Container {
    let run = &spec.run;
    v2::Container {
        kind: "DOCKER".to_owned(),
        docker: Some(v2::DockerContainer {
            image: run.image.clone(),
            force_pull_image: run.force_pull,
            privileged: false,
            parameters: run
                .parameters
                .iter()
                .map(|(key, value)| v2::DockerParameter { key: key.clone(), value: value.clone() })
                .collect(),
        }),
        port_mappings: (run.network != Network::Host).then(|| run.ports.iter().map(port_mapping).collect()),
        volumes: run.volumes.iter().filter_map(volume).collect(),
    }
}

fn volume(volume: &Volume) -> Option<v2::Volume> {
    let Volume::Host(volume) = volume else { return None };
    Some(v2::Volume {
        container_path: volume.container_path.clone(),
        host_path: volume.host_path.clone(),
        mode: match volume.mode {
            VolumeMode::Ro => "RO".to_owned(),
            VolumeMode::Rw => "RW".to_owned(),
        },
    })
}

fn port_mapping(port: &PortSpec) -> v2::PortMapping {
    v2::PortMapping {
        container_port: port.container_port,
        host_port: match port.host_port {
            WantedHostPort::None => None,
            WantedHostPort::Any => Some(0),
            WantedHostPort::Fixed(number) => Some(number),
        },
        labels: port.labels.clone(),
        name: port.name.clone(),
        protocol: protocol(port.protocol),
        service_port: port.service_port,
    }
}

/// A port that is required but left to the node is printed as 0: printing its service port would ask for that very
/// host port when the definition is put back.
fn port_definition(port: &PortSpec, required: bool) -> v2::PortDefinition {
    let left_to_node = required && port.host_port == WantedHostPort::Any;
    v2::PortDefinition {
        labels: port.labels.clone(),
        name: port.name.clone(),
        port: if left_to_node { 0 } else { port.service_port },
        protocol: protocol(port.protocol),
    }
}

fn protocol(protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Both => "udp,tcp",
    }
    .to_owned()
}

fn constraint(constraint: &cluster::Constraint) -> Vec<String> {
    let words = [constraint.field.as_str(), constraint.operator.name()].into_iter().chain(constraint.value.as_deref());
    words.map(str::to_owned).collect()
}

fn mib(bytes: u64) -> v2::Number {
    v2::Number(bytes as f64 / 1_048_576.0)
}

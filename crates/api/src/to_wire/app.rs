//! Apps.

use super::{counts, is_listed, readiness_check, readiness_results, task, task_failure, task_stats};
use crate::from_wire::{DRIVER, SIZE, privileged};
use crate::time;
use crate::v2;
use cluster::{
    App, AppSpec, AppVersion, CheckPort, ExternalVolume, Fetch, HealthCheck, HealthKind, KillSelection, Moment,
    Network, PortSpec, Protocol, State, Unreachable, Volume, VolumeMode, WantedHostPort,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is printed beside an app's definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embed {
    /// How many instances it has, by state.
    pub counts: bool,
    /// The deployments that change it now.
    pub deployments: bool,
    /// Its instances.
    pub tasks: bool,
    /// Its last failure.
    pub last_task_failure: bool,
    /// Results of readiness checks.
    pub readiness: bool,
    /// Counts by version.
    pub task_stats: bool,
}

/// Prints an app with what is asked for of its instances; counts and deployments are always there.
pub fn app_info(state: &State, it: &App, embed: Embed, now: Moment) -> v2::AppInfo {
    let beside = beside(state, it, Embed { counts: true, deployments: true, ..embed }, now);
    v2::AppInfo {
        app: app(&it.current),
        tasks_staged: beside.tasks_staged.unwrap_or_default(),
        tasks_running: beside.tasks_running.unwrap_or_default(),
        tasks_healthy: beside.tasks_healthy.unwrap_or_default(),
        tasks_unhealthy: beside.tasks_unhealthy.unwrap_or_default(),
        deployments: beside.deployments.unwrap_or_default(),
        tasks: beside.tasks,
        last_task_failure: beside.last_task_failure,
        readiness_check_results: beside.readiness_check_results,
        task_stats: beside.task_stats,
    }
}

/// Prints what is asked for of an app's instances.
pub fn beside(state: &State, it: &App, embed: Embed, now: Moment) -> v2::AppBeside {
    let counts = embed.counts.then(|| counts(state, it));
    let instances = || state.instances_of(it).filter(|it| is_listed(it));
    let failure = it.last_failure.as_ref().filter(|_| embed.last_task_failure);
    v2::AppBeside {
        tasks_staged: counts.map(|it| it.staged),
        tasks_running: counts.map(|it| it.running),
        tasks_healthy: counts.map(|it| it.healthy),
        tasks_unhealthy: counts.map(|it| it.unhealthy),
        deployments: embed
            .deployments
            .then(|| it.deployment.iter().map(|id| v2::DeploymentRef { id: id.to_string() }).collect()),
        tasks: embed.tasks.then(|| instances().map(|instance| task(state, instance)).collect()),
        last_task_failure: failure.map(|failure| task_failure(state, &it.id, failure)),
        readiness_check_results: embed.readiness.then(|| readiness_results(state, it)),
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
        container: container(spec),
        cpus: v2::Number(run.resources.cpu_milli as f64 / 1000.0),
        dependencies: policy.dependencies.iter().map(ToString::to_string).collect(),
        disk: mib(run.resources.disk_bytes),
        env: run.env.clone(),
        executor: String::new(),
        fetch: run.fetch.iter().map(artifact).collect(),
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
        networks: vec![network(&run.network)],
        port_definitions: (run.network == Network::Host)
            .then(|| run.ports.iter().map(|it| port_definition(it, run.require_ports)).collect()),
        readiness_checks: policy.readiness_checks.iter().map(readiness_check).collect(),
        require_ports: run.require_ports,
        residency: policy.residency.map(|it| v2::Residency {
            relaunch_escalation_timeout_seconds: it.escalation_s,
            task_lost_behavior: if it.relaunch { "RELAUNCH_AFTER_TIMEOUT" } else { "WAIT_FOREVER" }.to_owned(),
        }),
        role: policy.role.clone(),
        task_kill_grace_period_seconds: policy.kill_grace_ms.map(|it| it / 1000),
        tty: run.tty.then_some(true),
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
        ip_protocol: port.map(|_| if check.ipv6 { "IPv6" } else { "IPv4" }.to_owned()),
        max_consecutive_failures: check.max_failures,
        path: path.cloned(),
        port: port.and_then(|it| if let CheckPort::Number(number) = it { Some(number) } else { None }),
        port_index: port.and_then(|it| if let CheckPort::Index(index) = it { Some(index) } else { None }),
        protocol: if check.mesos { format!("MESOS_{name}") } else { name.to_owned() },
        timeout_seconds: check.timeout_ms / 1000,
    }
}

/// The container, unless there is nothing to say of it: a command in the operator's image, on the host network.
fn container(spec: &AppSpec) -> Option<v2::Container> {
    let run = &spec.run;
    if run.image.is_empty() && !run.mesos {
        return None;
    }
    let parameter = |(key, value): &(String, String)| v2::DockerParameter { key: key.clone(), value: value.clone() };
    let privileged = privileged();
    Some(v2::Container {
        kind: if run.mesos { "MESOS" } else { "DOCKER" }.to_owned(),
        docker: (!run.image.is_empty()).then(|| v2::DockerContainer {
            image: run.image.clone(),
            force_pull_image: run.force_pull,
            privileged: run.parameters.contains(&privileged),
            parameters: run.parameters.iter().filter(|it| **it != privileged).map(parameter).collect(),
        }),
        port_mappings: (run.network != Network::Host).then(|| run.ports.iter().map(port_mapping).collect()),
        volumes: run.volumes.iter().map(volume).collect(),
    })
}

fn network(network: &Network) -> v2::Network {
    let (mode, name, labels) = match network {
        Network::Host => ("host", None, BTreeMap::new()),
        Network::Bridge => ("container/bridge", None, BTreeMap::new()),
        Network::Container { name, labels } => ("container", Some(name.clone()), labels.clone()),
    };
    v2::Network { labels, mode: mode.to_owned(), name }
}

/// Prints a file that is fetched.
pub fn artifact(fetch: &Fetch) -> v2::Artifact {
    v2::Artifact {
        cache: fetch.cache,
        dest_path: fetch.dest_path.clone(),
        executable: fetch.executable,
        extract: fetch.extract,
        uri: fetch.uri.clone(),
    }
}

fn volume(volume: &Volume) -> v2::Volume {
    let (host_path, persistent, external, mode) = match volume {
        Volume::Host(it) => (Some(it.host_path.clone()), None, None, it.mode),
        Volume::Persistent(it) => {
            (None, Some(v2::PersistentVolume { size: it.size_mib, kind: "root".to_owned() }), None, it.mode)
        }
        Volume::External(it) => (None, None, Some(external(it)), it.mode),
    };
    v2::Volume {
        container_path: volume.container_path().to_owned(),
        external,
        host_path,
        mode: match mode {
            VolumeMode::Ro => "RO".to_owned(),
            VolumeMode::Rw => "RW".to_owned(),
        },
        persistent,
    }
}

fn external(volume: &ExternalVolume) -> v2::ExternalVolume {
    let mut options = volume.options.clone();
    let size = options.get(SIZE).and_then(|it| it.parse().ok());
    if size.is_some() {
        options.remove(SIZE);
    }
    options.insert(DRIVER.to_owned(), volume.driver.clone());
    v2::ExternalVolume { name: volume.name.clone(), options, provider: "dvdi".to_owned(), shared: volume.shared, size }
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

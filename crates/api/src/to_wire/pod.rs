//! Pods: the definition, and what runs of it.
//!
//! The cluster knows an instance as a whole: all of its containers are told to be as it is. Only health is known of
//! each, by its own check.

use super::{instance_id, task_state};
use crate::{time, v2, words};
use cluster::{
    App, AppId, AppSpec, AppVersion, CheckPort, CheckResult, Condition, EndKind, Failure, Goal, Health, HealthCheck,
    HealthKind, Instance, InstanceId, KillSelection, Network, PodCommand, PodContainer, PortSpec, Protocol, Resources,
    State, Timestamp, Unreachable, Version, WantedHostPort,
};

/// Prints a definition; empty of containers where the version is no pod's.
pub fn pod(version: &AppVersion) -> v2::Pod {
    let spec = &version.spec;
    let (run, policy) = (&spec.run, &spec.policy);
    let roles = &policy.accepted_roles;
    let placement = v2::PodPlacement {
        constraints: policy.constraints.iter().map(constraint).collect(),
        accepted_resource_roles: roles.clone(),
    };
    v2::Pod {
        id: spec.id.to_string(),
        labels: policy.labels.clone(),
        version: time::print(version.version),
        user: run.user.clone(),
        environment: run.env.clone(),
        containers: parts(spec).map(|it| container(spec, &it)).collect(),
        volumes: run
            .pod
            .iter()
            .flat_map(|it| &it.volumes)
            .map(|it| v2::PodVolume { name: it.name.clone(), host: it.host_path.clone() })
            .collect(),
        networks: vec![network(&run.network)],
        scaling: v2::PodScaling { kind: "fixed".to_owned(), instances: spec.instances },
        scheduling: v2::PodScheduling {
            backoff: v2::PodBackoff {
                backoff: seconds(policy.backoff_ms),
                backoff_factor: v2::Number(policy.backoff_factor_ppm as f64 / 1e6),
                max_launch_delay: seconds(policy.backoff_max_ms),
            },
            upgrade: v2::UpgradeStrategy {
                maximum_over_capacity: v2::Number(f64::from(policy.upgrade.max_over_ppm) / 1e6),
                minimum_health_capacity: v2::Number(f64::from(policy.upgrade.min_health_ppm) / 1e6),
            },
            placement: Some(placement).filter(|it| *it != v2::PodPlacement::default()),
            kill_selection: match policy.kill_selection {
                KillSelection::YoungestFirst => "YOUNGEST_FIRST".to_owned(),
                KillSelection::OldestFirst => "OLDEST_FIRST".to_owned(),
            },
            unreachable_strategy: unreachable(policy.unreachable),
        },
        executor_resources: Some(v2::ExecutorResources {
            cpus: v2::Number(0.1),
            mem: v2::Number(32.0),
            disk: v2::Number(10.0),
        }),
        role: policy.role.clone(),
    }
}

/// A container, and its ports as the pod's: from which on, and they themselves.
struct Part<'a> {
    container: &'a PodContainer,
    first_port: usize,
    ports: &'a [PortSpec],
}

fn parts(spec: &AppSpec) -> impl Iterator<Item = Part<'_>> {
    let mut next_port = 0;
    spec.run.pod.iter().flat_map(|it| &it.containers).map(move |container| {
        let first_port = next_port;
        next_port = (first_port + container.n_endpoints as usize).min(spec.run.ports.len());
        Part { container, first_port, ports: &spec.run.ports[first_port..next_port] }
    })
}

fn container(spec: &AppSpec, part: &Part) -> v2::PodContainer {
    let it = part.container;
    let check = spec.policy.health_checks.iter().find(|check| check.container == it.name);
    v2::PodContainer {
        name: it.name.clone(),
        exec: it.command.as_ref().map(exec),
        resources: resources(&it.resources),
        endpoints: part.ports.iter().map(|port| endpoint(&spec.run.network, port)).collect(),
        image: (!it.image.is_empty()).then(|| v2::PodImage {
            kind: "DOCKER".to_owned(),
            id: it.image.clone(),
            force_pull: it.force_pull.then_some(true),
        }),
        environment: it.env.clone(),
        user: it.user.clone(),
        health_check: check.map(|check| health_check(spec, check)),
        volume_mounts: it
            .mounts
            .iter()
            .map(|it| v2::PodMount {
                name: it.volume.clone(),
                mount_path: it.path.clone(),
                read_only: Some(it.read_only),
            })
            .collect(),
        artifacts: it
            .fetch
            .iter()
            .map(|it| v2::PodArtifact {
                uri: it.uri.clone(),
                extract: it.extract,
                executable: it.executable,
                cache: it.cache,
                dest_path: it.dest_path.clone(),
            })
            .collect(),
        labels: it.labels.clone(),
        lifecycle: it.kill_grace_ms.map(|it| v2::PodLifecycle { kill_grace_period_seconds: Some(seconds(it)) }),
        tty: it.tty.then_some(true),
    }
}

fn exec(command: &PodCommand) -> v2::PodExec {
    match command {
        PodCommand::Shell(line) => {
            v2::PodExec { command: v2::PodCommand::Shell { shell: line.clone() }, override_entrypoint: None }
        }
        PodCommand::Argv { argv, override_entrypoint } => v2::PodExec {
            command: v2::PodCommand::Argv { argv: argv.clone() },
            override_entrypoint: override_entrypoint.then_some(true),
        },
    }
}

fn endpoint(network: &Network, port: &PortSpec) -> v2::PodEndpoint {
    let protocol: &[&str] = match port.protocol {
        Protocol::Tcp => &["tcp"],
        Protocol::Udp => &["udp"],
        Protocol::Both => &["udp", "tcp"],
    };
    v2::PodEndpoint {
        name: port.name.clone().unwrap_or_default(),
        container_port: (*network != Network::Host).then_some(port.container_port),
        host_port: match port.host_port {
            WantedHostPort::None => None,
            WantedHostPort::Any => Some(0),
            WantedHostPort::Fixed(number) => Some(number),
        },
        protocol: protocol.iter().map(|it| (*it).to_owned()).collect(),
        labels: port.labels.clone(),
    }
}

fn health_check(spec: &AppSpec, check: &HealthCheck) -> v2::PodHealthCheck {
    let endpoint = |port: &CheckPort| match port {
        CheckPort::Index(n) => spec.run.ports.get(*n as usize).and_then(|it| it.name.clone()).unwrap_or_default(),
        CheckPort::Number(number) => number.to_string(),
    };
    let mut printed = v2::PodHealthCheck {
        grace_period_seconds: check.grace_ms / 1000,
        interval_seconds: check.interval_ms / 1000,
        max_consecutive_failures: check.max_failures,
        timeout_seconds: check.timeout_ms / 1000,
        delay_seconds: check.delay_ms / 1000,
        ..v2::PodHealthCheck::default()
    };
    match &check.kind {
        HealthKind::Http { path, port, tls, .. } => {
            printed.http = Some(v2::PodHttpCheck {
                endpoint: endpoint(port),
                path: Some(path.clone()),
                scheme: Some(if *tls { "HTTPS" } else { "HTTP" }.to_owned()),
            });
        }
        HealthKind::Tcp { port } => printed.tcp = Some(v2::PodTcpCheck { endpoint: endpoint(port) }),
        HealthKind::Command { value } => {
            let command = match words::words(value) {
                Some(argv) => v2::PodCommand::Argv { argv },
                None => v2::PodCommand::Shell { shell: value.clone() },
            };
            printed.exec = Some(v2::PodCommandCheck { command });
        }
    }
    printed
}

fn network(network: &Network) -> v2::PodNetwork {
    match network {
        Network::Host => v2::PodNetwork { mode: "host".to_owned(), ..v2::PodNetwork::default() },
        Network::Bridge => v2::PodNetwork { mode: "container/bridge".to_owned(), ..v2::PodNetwork::default() },
        Network::Container { name, labels } => {
            v2::PodNetwork { name: Some(name.clone()), mode: "container".to_owned(), labels: labels.clone() }
        }
    }
}

fn constraint(it: &cluster::Constraint) -> v2::PodConstraint {
    let operator = it.operator.name().to_owned();
    v2::PodConstraint { field_name: it.field.clone(), operator, value: it.value.clone() }
}

fn unreachable(it: Unreachable) -> v2::UnreachableStrategy {
    match it {
        Unreachable::Disabled => v2::UnreachableStrategy::Disabled("disabled".to_owned()),
        Unreachable::After { inactive_ms, expunge_ms } => v2::UnreachableStrategy::Enabled {
            expunge_after_seconds: expunge_ms / 1000,
            inactive_after_seconds: inactive_ms / 1000,
        },
    }
}

fn resources(it: &Resources) -> v2::PodResources {
    let mib = |bytes: u64| v2::Number(bytes as f64 / 1_048_576.0);
    v2::PodResources {
        cpus: v2::Number(it.cpu_milli as f64 / 1000.0),
        mem: mib(it.memory_bytes),
        disk: mib(it.disk_bytes),
        gpus: 0,
    }
}

fn seconds(ms: u64) -> v2::Number {
    v2::Number(ms as f64 / 1000.0)
}

/// Prints a pod and its instances; also one that is being removed.
pub fn pod_status(state: &State, app: &App) -> v2::PodStatus {
    let instances: Vec<&Instance> = state.instances_of(app).map(AsRef::as_ref).filter(|it| !it.has_ended()).collect();
    let printed: Vec<v2::PodInstanceStatus> = instances.iter().map(|it| instance_status(state, app, it)).collect();
    let stable = printed.iter().filter(|it| it.status == "STABLE").count();
    let status = if app.removing {
        "TERMINAL"
    } else if stable >= app.current.spec.instances as usize {
        "STABLE"
    } else {
        "DEGRADED"
    };
    let failed_at = app.last_failure.as_ref().map(|it| it.at);
    let since = instances.iter().map(|it| since(it)).chain(failed_at).fold(app.current.version, Timestamp::max);
    let since = time::print(since);
    v2::PodStatus {
        id: app.id.to_string(),
        spec: pod(&app.current),
        status: status.to_owned(),
        status_since: since.clone(),
        message: (status == "DEGRADED")
            .then(|| format!("{stable} of {} instances are stable", app.current.spec.instances)),
        instances: printed,
        termination_history: history(state, app),
        last_updated: time::print(state.time()),
        last_changed: since,
    }
}

fn instance_status(state: &State, app: &App, instance: &Instance) -> v2::PodInstanceStatus {
    let spec = state.spec_of(instance);
    let spec = spec.as_deref().unwrap_or(&app.current.spec);
    let updated = time::print(state.time());
    let changed = time::print(since(instance));
    let network_name = match &spec.run.network {
        Network::Container { name, .. } => Some(name.clone()),
        Network::Host | Network::Bridge => None,
    };
    v2::PodInstanceStatus {
        id: instance_id(&instance.app, instance.id),
        status: word(state, spec, instance).to_owned(),
        status_since: changed.clone(),
        message: Some(instance.message.clone()).filter(|it| !it.is_empty()),
        conditions: healthy(instance.health)
            .map(|it| healthy_condition(it, None, &changed, &updated))
            .into_iter()
            .collect(),
        agent_hostname: Some(super::task::host(state, &instance.node)),
        agent_id: Some(instance.node.to_string()),
        resources: Some(resources(&instance.resources)),
        networks: instance
            .ip
            .iter()
            .map(|it| v2::NetworkStatus { name: network_name.clone(), addresses: vec![it.clone()] })
            .collect(),
        containers: parts(spec).map(|part| container_status(state, spec, instance, &part)).collect(),
        spec_reference: Some(format!("/v2/pods{}::versions/{}", instance.app, time::print(instance.version))),
        last_updated: updated,
        last_changed: changed,
        role: spec.policy.role.clone(),
    }
}

/// RAML's `PodInstanceState`.
fn word(state: &State, spec: &AppSpec, instance: &Instance) -> &'static str {
    let has_checks = !spec.policy.health_checks.is_empty();
    match &instance.condition {
        Condition::Ended(_) => "TERMINAL",
        _ if state.is_unreachable(instance) => "DEGRADED",
        _ if instance.goal != Goal::Run => "TERMINAL",
        Condition::Staging => "STAGING",
        Condition::Running if instance.is_serving(has_checks) => "STABLE",
        Condition::Running => "DEGRADED",
    }
}

/// When an instance came to be as it is, as far as it is known: its start, its first health or its last failure.
fn since(instance: &Instance) -> Timestamp {
    let start = instance.started_at.unwrap_or(instance.launched_at);
    let turned = instance.checks.iter().filter_map(turned_at).max();
    turned.map_or(start, |it| it.max(start))
}

fn turned_at(check: &CheckResult) -> Option<Timestamp> {
    // A failure that does not count yet changes nothing.
    let failed = check.consecutive_failures > 0;
    if check.alive { check.first_success.max(check.last_failure) } else { check.last_failure.filter(|_| failed) }
}

const fn healthy(health: Health) -> Option<bool> {
    match health {
        Health::Unknown => None,
        Health::Healthy => Some(true),
        Health::Unhealthy | Health::Failed => Some(false),
    }
}

fn healthy_condition(value: bool, reason: Option<String>, changed: &str, updated: &str) -> v2::StatusCondition {
    v2::StatusCondition {
        name: "healthy".to_owned(),
        last_changed: changed.to_owned(),
        last_updated: updated.to_owned(),
        value: value.to_string(),
        reason,
    }
}

fn container_status(state: &State, spec: &AppSpec, instance: &Instance, part: &Part) -> v2::ContainerStatus {
    let name = &part.container.name;
    let updated = time::print(state.time());
    let start = instance.started_at.unwrap_or(instance.launched_at);
    let n = spec.policy.health_checks.iter().position(|it| it.container == *name);
    let result = n.and_then(|n| Some((&spec.policy.health_checks[n], instance.checks.get(n)?)));
    let result = result.filter(|(_, it)| it.last_success.is_some() || it.last_failure.is_some());
    let changed = result.and_then(|(_, it)| turned_at(it)).map_or(start, |it| it.max(start));
    let checked_port = result.and_then(|(check, _)| match &check.kind {
        HealthKind::Http { port: CheckPort::Index(n), .. } | HealthKind::Tcp { port: CheckPort::Index(n) } => {
            Some(*n as usize)
        }
        _ => None,
    });
    let endpoints = (part.first_port..).zip(part.ports).map(|(n, port)| v2::EndpointStatus {
        name: port.name.clone().unwrap_or_default(),
        allocated_host_port: spec.host_port(n, &instance.ports),
        healthy: result.filter(|_| checked_port == Some(n)).map(|(_, it)| it.alive),
    });
    let condition = result.map(|(_, it)| {
        let reason = it.last_failure_cause.clone().filter(|_| !it.alive);
        healthy_condition(it.alive, reason, &time::print(changed), &updated)
    });
    v2::ContainerStatus {
        name: name.clone(),
        status: task_state(state, instance).to_owned(),
        status_since: time::print(start),
        message: Some(instance.message.clone()).filter(|it| !it.is_empty()),
        conditions: condition.into_iter().collect(),
        container_id: Some(container_id(&instance.app, instance.id, name)),
        endpoints: endpoints.collect(),
        resources: Some(resources(&part.container.resources)),
        last_updated: updated,
        last_changed: time::print(changed),
    }
}

fn container_id(app: &AppId, instance: InstanceId, container: &str) -> String {
    format!("{}.{container}", instance_id(app, instance))
}

/// Instances that have ended: those whose containers are not yet confirmed removed, and the last failure.
fn history(state: &State, app: &App) -> Vec<v2::TerminationHistory> {
    let ended = state.instances_of(app).filter_map(|it| match &it.condition {
        Condition::Ended(end) => Some((it, end)),
        _ => None,
    });
    let mut history: Vec<v2::TerminationHistory> = ended
        .map(|(instance, end)| {
            let failure = app.last_failure.as_ref().filter(|it| it.instance == instance.id);
            let started = instance.started_at.unwrap_or(instance.launched_at);
            let message = Some(end.message.clone()).filter(|it| !it.is_empty());
            let mut containers = terminations(app, instance.id, instance.version, end.kind);
            // Of several containers it is not known whose exit code it is.
            if let [only] = containers.as_mut_slice() {
                let exit_code = end.exit_code.and_then(|it| i32::try_from(it).ok());
                only.termination = Some(v2::TerminationState { exit_code, message: message.clone() });
            }
            v2::TerminationHistory {
                instance_id: instance_id(&instance.app, instance.id),
                started_at: time::print(started),
                terminated_at: time::print(failure.map_or(started, |it| it.at)),
                message,
                containers,
            }
        })
        .collect();
    if let Some(failure) = app.last_failure.as_deref()
        && state.instance(failure.instance).is_none()
    {
        history.push(last_failure(app, failure));
    }
    history
}

/// When it started is no longer known: the moment of its end stands for it.
fn last_failure(app: &App, failure: &Failure) -> v2::TerminationHistory {
    v2::TerminationHistory {
        instance_id: instance_id(&app.id, failure.instance),
        started_at: time::print(failure.at),
        terminated_at: time::print(failure.at),
        message: Some(failure.message.clone()).filter(|it| !it.is_empty()),
        containers: terminations(app, failure.instance, failure.version, failure.kind),
    }
}

/// The containers of an instance that ended, as far as its definition is still known.
fn terminations(app: &App, instance: InstanceId, version: Version, kind: EndKind) -> Vec<v2::ContainerTermination> {
    let launched = app.versions.get(&version);
    let termination = |part: Part| v2::ContainerTermination {
        container_id: container_id(&app.id, instance, &part.container.name),
        last_known_state: Some(super::task::end_state(kind).to_owned()),
        termination: None,
    };
    launched.iter().flat_map(|it| parts(&it.spec)).map(termination).collect()
}

/// Prints an instance as the answer of a kill does.
pub fn pod_instance(state: &State, instance: &Instance) -> v2::PodInstance {
    let policy = state.app(&instance.app).and_then(|it| it.followed_by(instance)).map(|it| it.spec.policy.unreachable);
    let node = state.node(&instance.node);
    let attributes = node.iter().flat_map(|it| &it.description.attributes);
    v2::PodInstance {
        instance_id: instance_id(&instance.app, instance.id),
        state: v2::InstanceState {
            condition: super::event::condition(task_state(state, instance)).to_owned(),
            since: time::print(since(instance)),
            active_since: instance.started_at.map(time::print),
            healthy: healthy(instance.health),
            goal: if instance.goal == Goal::Run { "Running" } else { "Decommissioned" }.to_owned(),
        },
        agent_info: Some(v2::AgentInfo {
            host: super::task::host(state, &instance.node),
            agent_id: Some(instance.node.to_string()),
            attributes: attributes
                .map(|(name, value)| v2::AgentAttribute { name: name.clone(), text: value.clone() })
                .collect(),
        }),
        run_spec_version: time::print(instance.version),
        unreachable_strategy: policy.map_or_else(v2::UnreachableStrategy::default, unreachable),
    }
}

//! What an instance's container is made of: a value first, `docker.rs` sends it.
//!
//! The environment is Marathon's (`marathon.md` §3.11). Limits: memory is a hard limit; cpus are shares, so that
//! idle cores are of use to whoever needs them, and only contention is divided as asked for.

use super::volumes::{self, VolumeError};
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, PortBinding, ResourcesUlimits,
};
use cluster::agent::{Assignment, ParameterError, bytes, check_parameter, iso8601, task_id, ulimit};
use cluster::{AppSpec, ClusterId, HostVolume, Network, NodeId, Protocol, RunSpec, Volume};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// Label: the cluster an instance belongs to.
pub const LABEL_CLUSTER: &str = "ekiden.cluster";
/// Label: the node whose agent made the container.
pub const LABEL_NODE: &str = "ekiden.node";
/// Label: the app's path.
pub const LABEL_APP: &str = "ekiden.app";
/// Label: the instance.
pub const LABEL_INSTANCE: &str = "ekiden.instance";
/// Label: the app's version the instance was launched for.
pub const LABEL_VERSION: &str = "ekiden.version";

/// Docker refuses smaller limits, bytes.
const MIN_MEMORY_BYTES: u64 = 6 << 20;

/// Docker's own unit: a container with these has the weight of one core.
const SHARES_PER_CPU: u64 = 1024;

/// The kernel's lowest weight.
const MIN_SHARES: u64 = 2;

/// A fork bomb ends here.
const PIDS_LIMIT: i64 = 4096;

/// No container's log grows beyond three such files.
const LOG_MAX_SIZE: &str = "10m";
const LOG_MAX_FILES: &str = "3";

/// Where Marathon stops to hand labels on (`EnvironmentHelper.maxEnvironmentVarLength`).
const MAX_LABEL_BYTES: usize = 512;
const MAX_LABEL_NAME_BYTES: usize = 493;

/// Where containers are made.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) cluster: ClusterId,
    pub(super) node: NodeId,
    /// Host name or address of the node.
    pub(super) address: String,
    pub(super) volumes_allowed: Vec<PathBuf>,
}

/// Why no container can be made of an assignment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SpecError {
    #[error("the assignment does not say what to run")]
    NoSpec,
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

/// The container of an instance, as the engine's API wants it.
pub(super) fn container(assignment: &Assignment, place: &Place) -> Result<ContainerCreateBody, SpecError> {
    let spec = assignment.spec.as_deref().ok_or(SpecError::NoSpec)?;
    let run = &spec.run;
    let (entrypoint, cmd) = match &run.cmd {
        Some(cmd) => (Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]), Some(vec![cmd.clone()])),
        None => (None, (!run.args.is_empty()).then(|| run.args.clone())),
    };
    let env = environment(assignment, spec, &place.address);
    let mut body = ContainerCreateBody {
        image: Some(run.image.clone()),
        entrypoint,
        cmd,
        user: run.user.clone(),
        env: Some(env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels(assignment, place)),
        host_config: Some(host_config(spec, place)?),
        ..ContainerCreateBody::default()
    };
    if run.network != Network::Host {
        map_ports(&mut body, assignment, spec);
    }
    for (key, value) in &run.parameters {
        check_parameter(key, value)?;
        set_parameter(&mut body, key, value);
    }
    Ok(body)
}

fn host_volumes(run: &RunSpec) -> impl Iterator<Item = &HostVolume> {
    run.volumes.iter().filter_map(|it| if let Volume::Host(it) = it { Some(it) } else { None })
}

fn host_config(spec: &AppSpec, place: &Place) -> Result<HostConfig, SpecError> {
    let run = &spec.run;
    let binds = host_volumes(run).map(|it| volumes::bind(it, &place.volumes_allowed)).collect::<Result<Vec<_>, _>>()?;
    let memory = Some(run.resources.memory_bytes).filter(|it| *it > 0);
    let log = [("max-size", LOG_MAX_SIZE), ("max-file", LOG_MAX_FILES)];
    Ok(HostConfig {
        network_mode: Some(match &run.network {
            Network::Host => "host".to_owned(),
            Network::Bridge => "bridge".to_owned(),
            Network::Container { name, .. } => name.clone(),
        }),
        cpu_shares: Some((run.resources.cpu_milli * SHARES_PER_CPU / 1000).max(MIN_SHARES) as i64),
        memory: memory.map(|it| it.max(MIN_MEMORY_BYTES) as i64),
        pids_limit: Some(PIDS_LIMIT),
        cap_drop: Some(vec!["NET_RAW".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        binds: (!binds.is_empty()).then_some(binds),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(log.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
        }),
        ..HostConfig::default()
    })
}

fn labels(assignment: &Assignment, place: &Place) -> HashMap<String, String> {
    let instance = assignment.instance;
    HashMap::from([
        (LABEL_CLUSTER.to_owned(), place.cluster.to_string()),
        (LABEL_NODE.to_owned(), place.node.to_string()),
        (LABEL_APP.to_owned(), assignment.app.to_string()),
        (LABEL_INSTANCE.to_owned(), instance.to_string()),
        (LABEL_VERSION.to_owned(), iso8601(assignment.version)),
        ("MESOS_TASK_ID".to_owned(), task_id(&assignment.app, instance)),
    ])
}

fn map_ports(body: &mut ContainerCreateBody, assignment: &Assignment, spec: &AppSpec) {
    let mut exposed = Vec::new();
    let mut bindings = HashMap::new();
    for (n, port) in spec.run.ports.iter().enumerate() {
        let host = spec.host_port(n, &assignment.ports);
        let inside = if port.container_port == 0 { host.unwrap_or(0) } else { port.container_port };
        for protocol in protocols(port.protocol) {
            let inside = format!("{inside}/{protocol}");
            if let Some(host) = host {
                let binding = PortBinding { host_ip: None, host_port: Some(host.to_string()) };
                bindings
                    .entry(inside.clone())
                    .or_insert_with(|| Some(Vec::new()))
                    .get_or_insert_default()
                    .push(binding);
            }
            exposed.push(inside);
        }
    }
    exposed.dedup();
    body.exposed_ports = (!exposed.is_empty()).then_some(exposed);
    if let Some(host_config) = &mut body.host_config {
        host_config.port_bindings = (!bindings.is_empty()).then_some(bindings);
    }
}

const fn protocols(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Tcp => &["tcp"],
        Protocol::Udp => &["udp"],
        Protocol::Both => &["tcp", "udp"],
    }
}

/// What Marathon injects, and over it what the user asked for.
fn environment(assignment: &Assignment, spec: &AppSpec, address: &str) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    let resources = &spec.run.resources;
    // As Scala prints a Double: `1.0`, `0.1`.
    let double = |amount: u64, unit: u64| format!("{:?}", amount as f64 / unit as f64);
    set("HOST", address.to_owned());
    set("MESOS_TASK_ID", task_id(&assignment.app, assignment.instance));
    set("MARATHON_APP_ID", assignment.app.to_string());
    set("MARATHON_APP_VERSION", iso8601(assignment.version));
    set("MARATHON_APP_DOCKER_IMAGE", spec.run.image.clone());
    set("MARATHON_APP_RESOURCE_CPUS", double(resources.cpu_milli, 1000));
    set("MARATHON_APP_RESOURCE_MEM", double(resources.memory_bytes, 1 << 20));
    set("MARATHON_APP_RESOURCE_DISK", double(resources.disk_bytes, 1 << 20));
    set("MARATHON_APP_RESOURCE_GPUS", "0".to_owned());
    set("MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE".to_owned());
    let mut names = Vec::new();
    for (label, value) in &spec.policy.labels {
        if label.len() < MAX_LABEL_NAME_BYTES && value.len() < MAX_LABEL_BYTES {
            let name = variable_name(label);
            set(&format!("MARATHON_APP_LABEL_{name}"), value.clone());
            names.push(name);
        }
    }
    set("MARATHON_APP_LABELS", names.join(" "));
    env.extend(port_variables(assignment, spec));
    env.extend(spec.run.env.clone());
    env
}

fn port_variables(assignment: &Assignment, spec: &AppSpec) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut effective = Vec::new();
    for (n, port) in spec.run.ports.iter().enumerate() {
        let requested = match spec.run.network {
            Network::Bridge | Network::Container { .. } => port.container_port,
            Network::Host => port.service_port,
        };
        let number = spec.host_port(n, &assignment.ports).unwrap_or(requested).to_string();
        let requested = if requested == 0 { number.clone() } else { requested.to_string() };
        variables.push((format!("PORT_{requested}"), number.clone()));
        if let Some(name) = &port.name {
            variables.push((format!("PORT_{}", name.to_uppercase()), number.clone()));
        }
        variables.push((format!("PORT{n}"), number.clone()));
        effective.push(number);
    }
    if let Some(first) = effective.first() {
        variables.push(("PORT".to_owned(), first.clone()));
        variables.push(("PORTS".to_owned(), effective.join(",")));
    }
    variables
}

/// A label's name as a part of a variable's: each run of other characters is one `_`, letters are upper case.
fn variable_name(label: &str) -> String {
    let mut name = String::with_capacity(label.len());
    let mut gap = false;
    for char in label.chars() {
        let plain = char.is_ascii_alphanumeric() || char == '_';
        if plain {
            name.push(char.to_ascii_uppercase());
        } else if !gap {
            name.push('_');
        }
        gap = !plain;
    }
    name
}

/// Sets one allowed parameter, whose value was checked. Every name of [`cluster::agent::PARAMETERS`] has its arm.
fn set_parameter(body: &mut ContainerCreateBody, key: &str, value: &str) {
    let text = || Some(value.to_owned());
    let yes = Some(value == "true");
    let pair =
        |separator| value.split_once(separator).map(|(key, value): (&str, &str)| (key.to_owned(), value.to_owned()));
    let host = body.host_config.get_or_insert_default();
    let add = |list: &mut Option<Vec<String>>| list.get_or_insert_default().push(value.to_owned());
    match key {
        "add-host" => add(&mut host.extra_hosts),
        "cap-drop" => add(&mut host.cap_drop),
        "dns" => add(&mut host.dns),
        "dns-option" => add(&mut host.dns_options),
        "dns-search" => add(&mut host.dns_search),
        "group-add" => add(&mut host.group_add),
        "entrypoint" => body.entrypoint = Some(vec![value.to_owned()]),
        "hostname" => body.hostname = text(),
        "init" => host.init = yes,
        "label" => body.labels.get_or_insert_default().extend(pair('=')),
        "memory-reservation" => host.memory_reservation = bytes(value),
        "memory-swap" => host.memory_swap = if value == "-1" { Some(-1) } else { bytes(value) },
        "no-healthcheck" if value == "true" => {
            body.healthcheck = Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() });
        }
        "oom-score-adj" => host.oom_score_adj = value.parse().ok(),
        "pids-limit" => host.pids_limit = value.parse().ok(),
        "read-only" => host.readonly_rootfs = yes,
        "shm-size" => host.shm_size = bytes(value),
        "stop-signal" => body.stop_signal = text(),
        "sysctl" => host.sysctls.get_or_insert_default().extend(pair('=')),
        "tmpfs" => {
            let mount = pair(':').unwrap_or((value.to_owned(), String::new()));
            host.tmpfs.get_or_insert_default().extend([mount]);
        }
        "ulimit" => host.ulimits.get_or_insert_default().extend(ulimit(value).map(|(name, soft, hard)| {
            ResourcesUlimits { name: Some(name.to_owned()), soft: Some(soft), hard: Some(hard) }
        })),
        "user" => body.user = text(),
        "workdir" => body.working_dir = text(),
        _ => {}
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;

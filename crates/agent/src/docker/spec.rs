//! What an instance's containers are made of: a value first, `docker.rs` sends it.
//!
//! The environment is Marathon's (`docs/marathon.md`). Limits: memory is a hard limit; cpus are shares, so that
//! idle cores are of use to whoever needs them, and only contention is divided as asked for.

use super::bound::{Places, Wanted};
use super::pause;
use super::volumes::{self, Mounted, VolumeError};
use crate::dirs::Dirs;
use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigLogConfig, PortBinding, ResourcesUlimits,
};
use cluster::agent::{
    Assignment, ParameterError, SANDBOX, bytes, check_parameter, device, mount_point, publish, task_id, ulimit,
};
use cluster::catalog::agent_text;
use cluster::{
    AppSpec, ClusterId, Fetch, Grants, HostVolume, Network, NodeId, Pod, PodCommand, PodContainer, Protocol, Resources,
    RunSpec, Volume,
};
use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

/// Label: the cluster an instance belongs to.
pub const LABEL_CLUSTER: &str = "ekiden.cluster";
/// Label: the identity of the agent that made the container, which stays when its node is renamed.
pub const LABEL_AGENT: &str = "ekiden.agent";
/// Label: the name that the node had when its agent made the container.
pub const LABEL_NODE: &str = "ekiden.node";
/// Label: the app's path.
pub const LABEL_APP: &str = "ekiden.app";
/// Label: the instance.
pub const LABEL_INSTANCE: &str = "ekiden.instance";
/// Label: the app's version the instance was launched for.
pub const LABEL_VERSION: &str = "ekiden.version";
/// Label of the container that holds a pod's network: the names of the pod's others.
pub const LABEL_POD: &str = "ekiden.pod";
/// Label: the reservation whose volumes the container has.
pub const LABEL_RESERVATION: &str = "ekiden.reservation";
/// Label of a pod's container: its name.
pub const LABEL_CONTAINER: &str = "ekiden.container";
/// Label of a pod's container: from its polite to its hard stop signal, milliseconds.
pub const LABEL_GRACE: &str = "ekiden.grace-ms";

/// Docker refuses smaller limits, bytes.
const MIN_MEMORY_BYTES: u64 = 6 << 20;

/// Docker's own unit: a container with these has the weight of one core.
const SHARES_PER_CPU: u64 = 1024;

/// The kernel's lowest weight.
const MIN_SHARES: u64 = 2;

/// A fork bomb ends here.
const PIDS_LIMIT: i64 = 4096;

/// A log that is bounded is written in so many files, of which the oldest is dropped.
const LOG_FILES: u64 = 3;

/// The drivers of Docker that know a bound.
const BOUNDED_DRIVERS: [&str; 2] = ["json-file", "local"];

/// Where Marathon stops to hand labels on (`EnvironmentHelper.maxEnvironmentVarLength`).
const MAX_LABEL_BYTES: usize = 512;
const MAX_LABEL_NAME_BYTES: usize = 493;

/// Where containers are made.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) cluster: ClusterId,
    /// The agent's identity.
    pub(super) agent: u64,
    /// The node's name.
    pub(super) node: NodeId,
    /// Host name or address of the node.
    pub(super) address: String,
    /// Docker volume drivers that apps may use.
    pub(super) volume_drivers: Vec<String>,
    /// What apps may have beside what is harmless.
    pub(super) grants: Grants,
    /// MiB that a container's log may take, if that is bounded.
    pub(super) log_max_mib: Option<u64>,
    pub(super) dirs: Dirs,
    /// Where host volumes are put for the engine.
    pub(super) places: Places,
}

/// Why no container can be made of an assignment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SpecError {
    #[error("the assignment does not say what to run")]
    NoSpec,
    #[error("{what} names no image, and the cluster has no command_image; set it, or name an image")]
    NoImage { what: String },
    #[error("'{name}' cannot be the name of a Docker network that an app joins")]
    Network { name: String },
    #[error("container '{container}' of the pod mounts volume '{volume}', which the pod has not")]
    NoVolume { container: String, volume: String },
    #[error("the instance has persistent volumes, and no reservation for them")]
    NoReservation,
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    #[error("'{asked}' is not allowed on this node; its agent's parameters_allowed names {allowed}")]
    NotAllowed { asked: String, allowed: String },
    #[error(
        "'{asked}' is not allowed on this node, where logs are bounded (log_max_mib): drivers are json-file and local, their sizes are set"
    )]
    BoundedLog { asked: String },
}

/// One container, as the engine's API wants it.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Its name.
    pub(super) name: String,
    /// Its image is pulled, also when the node has it.
    pub(super) force_pull: bool,
    /// What it is made of.
    pub(super) body: ContainerCreateBody,
    /// What of the node must be at its place before.
    pub(super) wanted: Vec<Wanted>,
}

/// The containers of an instance, in the order in which they are made and started.
pub(super) fn containers(assignment: &Assignment, place: &Place) -> Result<Vec<Piece>, SpecError> {
    let spec = assignment.spec.as_deref().ok_or(SpecError::NoSpec)?;
    check_granted(&spec.run, place)?;
    if let Some(pod) = &spec.run.pod {
        return pod_containers(assignment, spec, pod, place);
    }
    let name = spec.run.container_name().map_or_else(|| assignment.instance.to_string(), str::to_owned);
    let force_pull = spec.run.force_pull;
    let (body, wanted) = container(assignment, spec, place)?;
    Ok(vec![Piece { name, force_pull, body, wanted }])
}

/// Whether the operator lets the app have all that it asks for.
fn check_granted(run: &RunSpec, place: &Place) -> Result<(), SpecError> {
    if let Some(ask) = run.asks().find(|it| !place.grants.cover(it)) {
        let names: Vec<&str> = place.grants.0.iter().map(String::as_str).collect();
        let allowed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(SpecError::NotAllowed { asked: ask.to_string(), allowed });
    }
    let breaks_bound = |(key, value): &&(String, String)| match key.as_str() {
        "log-driver" => !BOUNDED_DRIVERS.contains(&value.as_str()),
        "log-opt" => value.starts_with("max-size=") || value.starts_with("max-file="),
        _ => false,
    };
    match run.parameters.iter().find(breaks_bound).filter(|_| place.log_max_mib.is_some()) {
        Some((key, value)) => Err(SpecError::BoundedLog { asked: format!("{key}={value}") }),
        None => Ok(()),
    }
}

/// The name of a pod's container.
pub(super) fn member_name(instance: cluster::InstanceId, container: &str) -> String {
    format!("{instance}.{container}")
}

/// An app's container.
fn container(
    assignment: &Assignment,
    spec: &AppSpec,
    place: &Place,
) -> Result<(ContainerCreateBody, Vec<Wanted>), SpecError> {
    let run = &spec.run;
    let (entrypoint, cmd) = match &run.cmd {
        Some(cmd) => (Some(shell()), Some(vec![cmd.clone()])),
        None => (None, (!run.args.is_empty()).then(|| run.args.clone())),
    };
    let env = environment(assignment, spec, &place.address);
    let mut host_config = host_config(run.resources, place);
    host_config.network_mode = Some(network_mode(&run.network)?);
    let wanted = mounts(assignment, run, place)?.put(&mut host_config);
    let mut body = ContainerCreateBody {
        image: Some(image(&run.image, || format!("app {}", assignment.app))?),
        entrypoint,
        cmd,
        tty: run.tty.then_some(true),
        user: run.user.clone(),
        env: Some(printed(&env)),
        labels: Some(labels(assignment, place)),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    };
    if run.network != Network::Host {
        map_ports(&mut body, assignment, spec);
    }
    for (key, value) in &run.parameters {
        check_parameter(key, value)?;
        set_parameter(&mut body, key, value);
    }
    Ok((body, wanted))
}

/// The container that holds a pod's network, and behind it those that the user named.
fn pod_containers(assignment: &Assignment, spec: &AppSpec, pod: &Pod, place: &Place) -> Result<Vec<Piece>, SpecError> {
    let names: Vec<&str> = pod.containers.iter().map(|it| it.name.as_str()).collect();
    let mut labels = labels(assignment, place);
    let mut host_config = host_config(Resources { memory_bytes: MIN_MEMORY_BYTES, ..Resources::default() }, place);
    host_config.network_mode = Some(network_mode(&spec.run.network)?);
    host_config.cap_drop = Some(vec!["ALL".to_owned()]);
    host_config.readonly_rootfs = Some(true);
    labels.insert(LABEL_POD.to_owned(), names.join(","));
    let mut body = ContainerCreateBody {
        image: Some(pause::IMAGE.to_owned()),
        entrypoint: Some(vec![pause::PROGRAM.to_owned()]),
        user: Some("65534:65534".to_owned()),
        // It has nothing to finish.
        stop_signal: Some("SIGKILL".to_owned()),
        labels: Some(labels),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    };
    if spec.run.network != Network::Host {
        map_ports(&mut body, assignment, spec);
    }
    let mut pieces = vec![Piece { name: assignment.instance.to_string(), force_pull: false, body, wanted: Vec::new() }];
    for container in &pod.containers {
        let name = member_name(assignment.instance, &container.name);
        let (body, wanted) = member(assignment, spec, pod, container, place)?;
        pieces.push(Piece { name, force_pull: container.force_pull, body, wanted });
    }
    Ok(pieces)
}

/// A container that the user of a pod named.
fn member(
    assignment: &Assignment,
    spec: &AppSpec,
    pod: &Pod,
    container: &PodContainer,
    place: &Place,
) -> Result<(ContainerCreateBody, Vec<Wanted>), SpecError> {
    let (entrypoint, cmd) = match &container.command {
        None => (None, None),
        Some(PodCommand::Shell(line)) => (Some(shell()), Some(vec![line.clone()])),
        Some(PodCommand::Argv { argv, override_entrypoint: false }) => (None, Some(argv.clone())),
        Some(PodCommand::Argv { argv, override_entrypoint: true }) => {
            (Some(argv.iter().take(1).cloned().collect()), Some(argv.iter().skip(1).cloned().collect()))
        }
    };
    let mut host_config = host_config(container.resources, place);
    host_config.network_mode = Some(match spec.run.network {
        Network::Host => "host".to_owned(),
        Network::Bridge | Network::Container { .. } => format!("container:{}", assignment.instance),
    });
    let mut mounted = Mounted::default();
    if !container.fetch.is_empty() {
        mounted.bind(&place.dirs.sandbox(assignment.instance, &container.name), SANDBOX, false);
    }
    for mount in &container.mounts {
        let (name, volume) = (&container.name, &mount.volume);
        let missing = || SpecError::NoVolume { container: name.clone(), volume: volume.clone() };
        let inside = mount_point(&mount.path).ok_or_else(|| VolumeError::inside(&mount.path))?;
        match &pod.volumes.iter().find(|it| it.name == *volume).ok_or_else(missing)?.host_path {
            Some(path) => {
                let n = mounted.wanted.len();
                let at = place.places.path_of(assignment.instance, &container.name, n);
                mounted.host(path, at, &inside, mount.read_only)?;
            }
            None => mounted.bind(&place.dirs.shared(assignment.instance, volume), &inside, mount.read_only),
        }
    }
    let wanted = mounted.put(&mut host_config);
    let mut labels: HashMap<String, String> =
        container.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.retain(|key, _| !key.starts_with("ekiden."));
    labels.extend(self::labels(assignment, place));
    labels.insert("MESOS_TASK_ID".to_owned(), member_task_id(assignment, container));
    labels.insert(LABEL_CONTAINER.to_owned(), container.name.clone());
    let grace_ms = container.kill_grace_ms.unwrap_or(assignment.kill_grace_ms);
    labels.insert(LABEL_GRACE.to_owned(), grace_ms.to_string());
    let body = ContainerCreateBody {
        image: Some(image(&container.image, || format!("container {} of pod {}", container.name, assignment.app))?),
        entrypoint,
        cmd,
        tty: container.tty.then_some(true),
        user: container.user.clone().or_else(|| spec.run.user.clone()),
        env: Some(printed(&member_environment(assignment, spec, container, &place.address))),
        labels: Some(labels),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    };
    Ok((body, wanted))
}

fn shell() -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned()]
}

fn printed(env: &BTreeMap<String, String>) -> Vec<String> {
    env.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn image(name: &str, what: impl FnOnce() -> String) -> Result<String, SpecError> {
    if name.is_empty() { Err(SpecError::NoImage { what: what() }) } else { Ok(name.to_owned()) }
}

/// Docker's word for a network. The names that mean something else to Docker are nobody's network (SEC-8).
fn network_mode(network: &Network) -> Result<String, SpecError> {
    let Network::Container { name, .. } = network else {
        return Ok(if *network == Network::Host { "host" } else { "bridge" }.to_owned());
    };
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    let taken = ["host", "none", "bridge", "default"].contains(&name.as_str());
    if taken || name.is_empty() || name.starts_with(['-', '_', '.']) || !name.chars().all(plain) {
        Err(SpecError::Network { name: name.clone() })
    } else {
        Ok(name.clone())
    }
}

/// What an app's container sees besides its image.
fn mounts(assignment: &Assignment, run: &RunSpec, place: &Place) -> Result<Mounted, SpecError> {
    let mut mounted = Mounted::default();
    if needs_sandbox(run) {
        mounted.bind(&place.dirs.sandbox(assignment.instance, ""), SANDBOX, false);
    }
    for volume in &run.volumes {
        let (kept, path, mode) = match volume {
            Volume::Persistent(it) => (&it.container_path, &it.container_path, it.mode),
            // The same data at a second place: what is not absolute is no path of the node.
            Volume::Host(it) if !it.host_path.starts_with('/') && persistent(run).any(|kept| kept == it.host_path) => {
                (&it.host_path, &it.container_path, it.mode)
            }
            Volume::Host(it) if !it.host_path.starts_with('/') && !run.fetch.is_empty() => {
                let inside = mount_point(&it.container_path).ok_or_else(|| VolumeError::inside(&it.container_path))?;
                let fetched = in_sandbox(assignment, &place.dirs, &it.host_path)?;
                mounted.bind(&fetched, &inside, it.mode == cluster::VolumeMode::Ro);
                continue;
            }
            Volume::Host(it) => {
                let at = place.places.path_of(assignment.instance, "", mounted.wanted.len());
                let inside = mount_point(&it.container_path).ok_or_else(|| VolumeError::inside(&it.container_path))?;
                mounted.host(&it.host_path, at, &inside, it.mode == cluster::VolumeMode::Ro)?;
                continue;
            }
            Volume::External(it) => {
                mounted.mounts.push(volumes::external(it, &place.volume_drivers)?);
                continue;
            }
        };
        let reservation = assignment.reservation.ok_or(SpecError::NoReservation)?;
        let inside = mount_point(path).ok_or_else(|| VolumeError::inside(path))?;
        mounted.bind(&place.dirs.volume(reservation, kept), &inside, mode == cluster::VolumeMode::Ro);
    }
    Ok(mounted)
}

/// The path of something that was fetched.
fn in_sandbox(assignment: &Assignment, dirs: &Dirs, path: &str) -> Result<PathBuf, VolumeError> {
    let plain = |it: Component<'_>| matches!(it, Component::Normal(_) | Component::CurDir);
    if path.is_empty() || !Path::new(path).components().all(plain) {
        return Err(VolumeError::Malformed { path: path.to_owned() });
    }
    Ok(dirs.sandbox(assignment.instance, "").join(path))
}

/// Whether what an app mounts out of its sandbox is there, and is not a link to somewhere else: an archive may have
/// brought one.
pub(super) fn check_fetched(assignment: &Assignment, dirs: &Dirs) -> Result<(), VolumeError> {
    let Some(run) = assignment.spec.as_ref().map(|it| &it.run) else { return Ok(()) };
    let kept: Vec<&str> = persistent(run).collect();
    for volume in &run.volumes {
        let Volume::Host(HostVolume { host_path, .. }) = volume else { continue };
        if host_path.starts_with('/') || kept.contains(&host_path.as_str()) {
            continue;
        }
        let path = in_sandbox(assignment, dirs, host_path)?;
        let sandbox = dirs.sandbox(assignment.instance, "").canonicalize();
        let is_inside = match (path.canonicalize(), sandbox) {
            (Ok(path), Ok(sandbox)) => path.starts_with(sandbox),
            _ => false,
        };
        if !is_inside {
            return Err(VolumeError::NotFetched { path: host_path.clone() });
        }
    }
    Ok(())
}

/// Whether an app's container gets its sandbox from the node.
pub(super) fn needs_sandbox(run: &RunSpec) -> bool {
    !run.fetch.is_empty() || persistent(run).any(|it| !it.starts_with('/'))
}

/// The paths of an app's persistent volumes.
pub(super) fn persistent(run: &RunSpec) -> impl Iterator<Item = &str> {
    run.volumes.iter().filter_map(|it| match it {
        Volume::Persistent(it) => Some(it.container_path.as_str()),
        Volume::Host(_) | Volume::External(_) => None,
    })
}

/// The instance's own directories, and what is fetched into them.
pub(super) fn sandboxes<'a>(assignment: &'a Assignment, dirs: &Dirs) -> Vec<(PathBuf, &'a [Fetch])> {
    let Some(run) = assignment.spec.as_ref().map(|it| &it.run) else { return Vec::new() };
    let Some(pod) = &run.pod else {
        let own = needs_sandbox(run).then(|| (dirs.sandbox(assignment.instance, ""), run.fetch.as_slice()));
        return own.into_iter().collect();
    };
    let own = pod.containers.iter().filter(|it| !it.fetch.is_empty());
    let own = own.map(|it| (dirs.sandbox(assignment.instance, &it.name), it.fetch.as_slice()));
    let shared = pod.volumes.iter().filter(|it| it.host_path.is_none());
    own.chain(shared.map(|it| (dirs.shared(assignment.instance, &it.name), &[][..]))).collect()
}

/// What holds for every container.
fn host_config(resources: Resources, place: &Place) -> HostConfig {
    let memory = Some(resources.memory_bytes).filter(|it| *it > 0);
    HostConfig {
        cpu_shares: Some((resources.cpu_milli * SHARES_PER_CPU / 1000).max(MIN_SHARES) as i64),
        memory: memory.map(|it| it.max(MIN_MEMORY_BYTES) as i64),
        pids_limit: Some(PIDS_LIMIT),
        cap_drop: Some(vec!["NET_RAW".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        log_config: place.log_max_mib.map(bounded_log),
        ..HostConfig::default()
    }
}

/// A log of at most so many MiB; without a bound the engine's own driver and options count.
fn bounded_log(mib: u64) -> HostConfigLogConfig {
    let options = [("max-size", format!("{}k", mib * 1024 / LOG_FILES)), ("max-file", LOG_FILES.to_string())];
    HostConfigLogConfig {
        typ: Some(BOUNDED_DRIVERS[0].to_owned()),
        config: Some(options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
    }
}

fn labels(assignment: &Assignment, place: &Place) -> HashMap<String, String> {
    let instance = assignment.instance;
    let mut labels = HashMap::from([
        (LABEL_CLUSTER.to_owned(), place.cluster.to_string()),
        (LABEL_AGENT.to_owned(), agent_text(place.agent)),
        (LABEL_NODE.to_owned(), place.node.to_string()),
        (LABEL_APP.to_owned(), assignment.app.to_string()),
        (LABEL_INSTANCE.to_owned(), instance.to_string()),
        (LABEL_VERSION.to_owned(), assignment.version.to_string()),
        ("MESOS_TASK_ID".to_owned(), task_id(&assignment.app, instance)),
    ]);
    labels.extend(assignment.reservation.map(|it| (LABEL_RESERVATION.to_owned(), it.to_string())));
    labels
}

fn map_ports(body: &mut ContainerCreateBody, assignment: &Assignment, spec: &AppSpec) {
    let mut exposed = Vec::new();
    let mut bindings = HashMap::new();
    for (n, port) in spec.run.ports.iter().enumerate() {
        let host = spec.host_port(n, &assignment.ports);
        let Some(inside) = spec.port_inside(n, &assignment.ports) else { continue };
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
    let mut env = context(assignment, address, task_id(&assignment.app, assignment.instance));
    env.extend(resource_variables("MARATHON_APP_RESOURCE", spec.run.resources));
    if !spec.run.mesos {
        env.insert("MARATHON_APP_DOCKER_IMAGE".to_owned(), spec.run.image.clone());
    }
    env.insert("MARATHON_APP_ENFORCE_GROUP_ROLE".to_owned(), "FALSE".to_owned());
    env.extend(label_variables(spec.policy.labels.iter()));
    env.extend(port_variables(assignment, spec));
    env.extend(spec.run.env.clone());
    env
}

/// What Marathon injects into a pod's container, and over it what the user asked for: the pod, then the container.
fn member_environment(
    assignment: &Assignment,
    spec: &AppSpec,
    container: &PodContainer,
    address: &str,
) -> BTreeMap<String, String> {
    let mut env = context(assignment, address, member_task_id(assignment, container));
    env.extend(resource_variables("MARATHON_CONTAINER_RESOURCE", container.resources));
    env.insert("MARATHON_CONTAINER_ID".to_owned(), container.name.clone());
    let mut labels = spec.policy.labels.clone();
    labels.extend(container.labels.clone());
    env.extend(label_variables(labels.iter()));
    env.extend(endpoint_variables(assignment, spec));
    env.extend(spec.run.env.clone());
    env.extend(container.env.clone());
    env
}

fn member_task_id(assignment: &Assignment, container: &PodContainer) -> String {
    format!("{}.{}", task_id(&assignment.app, assignment.instance), container.name)
}

fn context(assignment: &Assignment, address: &str, task_id: String) -> BTreeMap<String, String> {
    let variables = [
        ("HOST", address.to_owned()),
        ("MESOS_SANDBOX", SANDBOX.to_owned()),
        ("MESOS_TASK_ID", task_id),
        ("MARATHON_APP_ID", assignment.app.to_string()),
        ("MARATHON_APP_VERSION", assignment.version.to_string()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn resource_variables(prefix: &str, resources: Resources) -> [(String, String); 4] {
    // As Scala prints a Double: `1.0`, `0.1`.
    let double = |amount: u64, unit: u64| format!("{:?}", amount as f64 / unit as f64);
    [
        (format!("{prefix}_CPUS"), double(resources.cpu_milli, 1000)),
        (format!("{prefix}_MEM"), double(resources.memory_bytes, 1 << 20)),
        (format!("{prefix}_DISK"), double(resources.disk_bytes, 1 << 20)),
        (format!("{prefix}_GPUS"), "0".to_owned()),
    ]
}

fn label_variables<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut names = Vec::new();
    for (label, value) in labels {
        if label.len() < MAX_LABEL_NAME_BYTES && value.len() < MAX_LABEL_BYTES {
            let name = variable_name(label);
            env.insert(format!("MARATHON_APP_LABEL_{name}"), value.clone());
            names.push(name);
        }
    }
    env.insert("MARATHON_APP_LABELS".to_owned(), names.join(" "));
    env
}

/// Where the pod's endpoints are: inside, on the node, and whichever of the two is used inside the pod.
fn endpoint_variables(assignment: &Assignment, spec: &AppSpec) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (n, port) in spec.run.ports.iter().enumerate() {
        let Some(name) = port.name.as_deref().map(variable_name) else { continue };
        let host = spec.host_port(n, &assignment.ports);
        let inside = match spec.run.network {
            Network::Host => None,
            Network::Bridge | Network::Container { .. } => spec.port_inside(n, &assignment.ports),
        };
        let ports = [("ENDPOINT", inside.or(host)), ("EP_HOST", host), ("EP_CONTAINER", inside)];
        variables.extend(ports.into_iter().filter_map(|(kind, it)| Some((format!("{kind}_{name}"), it?.to_string()))));
    }
    variables
}

fn port_variables(assignment: &Assignment, spec: &AppSpec) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut effective = Vec::new();
    for (n, port) in spec.run.ports.iter().enumerate() {
        let requested = match spec.run.network {
            Network::Bridge | Network::Container { .. } => port.container_port,
            Network::Host => port.service_port,
        };
        let number = spec.host_port(n, &assignment.ports).or_else(|| spec.port_inside(n, &assignment.ports));
        let number = number.unwrap_or(requested).to_string();
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
        "cap-add" => add(&mut host.cap_add),
        "cap-drop" => add(&mut host.cap_drop),
        "device" => {
            let mapping = |(from, to, rights): (&str, &str, &str)| DeviceMapping {
                path_on_host: Some(from.to_owned()),
                path_in_container: Some(to.to_owned()),
                cgroup_permissions: Some(rights.to_owned()),
            };
            host.devices.get_or_insert_default().extend(device(value).map(mapping));
        }
        "dns" => add(&mut host.dns),
        "dns-option" => add(&mut host.dns_options),
        "dns-search" => add(&mut host.dns_search),
        "group-add" => add(&mut host.group_add),
        "entrypoint" => body.entrypoint = Some(vec![value.to_owned()]),
        "env" => {
            let env = body.env.get_or_insert_default();
            let name = value.split('=').next().unwrap_or_default();
            env.retain(|it| it.split('=').next() != Some(name));
            env.push(value.to_owned());
        }
        "hostname" => body.hostname = text(),
        "init" => host.init = yes,
        "label" => body.labels.get_or_insert_default().extend(pair('=')),
        "log-driver" => host.log_config.get_or_insert_default().typ = text(),
        "log-opt" => host.log_config.get_or_insert_default().config.get_or_insert_default().extend(pair('=')),
        "memory-reservation" => host.memory_reservation = bytes(value),
        "memory-swap" => host.memory_swap = if value == "-1" { Some(-1) } else { bytes(value) },
        "no-healthcheck" if value == "true" => {
            body.healthcheck = Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() });
        }
        "oom-score-adj" => host.oom_score_adj = value.parse().ok(),
        "pid" => host.pid_mode = text(),
        // What is taken away elsewhere is what it asks for.
        "privileged" => {
            host.privileged = yes;
            host.cap_drop = None;
            host.security_opt = None;
        }
        "publish" => {
            if let Some((address, from, to, protocol)) = publish(value) {
                let inside = format!("{to}/{protocol}");
                let binding =
                    PortBinding { host_ip: address.map(|it| it.to_string()), host_port: Some(from.to_string()) };
                let bindings = host.port_bindings.get_or_insert_default().entry(inside.clone());
                bindings.or_insert_with(|| Some(Vec::new())).get_or_insert_default().push(binding);
                let exposed = body.exposed_ports.get_or_insert_default();
                if !exposed.contains(&inside) {
                    exposed.push(inside);
                }
            }
        }
        "security-opt" if value.starts_with("systempaths") => {
            (host.masked_paths, host.readonly_paths) = (Some(Vec::new()), Some(Vec::new()));
        }
        "security-opt" => {
            if value.starts_with("no-new-privileges") {
                host.security_opt.get_or_insert_default().retain(|it| !it.starts_with("no-new-privileges"));
            }
            add(&mut host.security_opt);
        }
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

//! Pods (RAML `Pod`): several containers in one network namespace.
//!
//! [`pod`] is the table of contents. A pod becomes an app whose containers are listed: the endpoints of all of them, in
//! order, are its ports, and each container's health check is one of its checks.

use super::limits::{self, SECONDS_MAX, labels};
use super::read::{Object, text};
use super::refused::check_all;
use super::seen::{Seen, SeenPorts};
use super::{Problems, Warning, image, policy, volumes};
use crate::limits::{INSTANCES_MAX, TEXT_BYTES_MAX};
use crate::words;
use cluster::{
    AppId, AppSpec, CheckPort, Constraint, Fetch, HealthCheck, HealthKind, KillSelection, Mount, Network, Pod,
    PodCommand, PodContainer, PodVolume, Policy, PortSpec, Protocol, Resources, RunSpec, Settings, UpgradeStrategy,
    WantedHostPort,
};
use serde_json::{Map, Value};

/// Every field of a pod that Marathon knows.
const KNOWN: &[&str] = &[
    "id",
    "containers",
    "environment",
    "executorResources",
    "labels",
    "legacySharedCgroups",
    "linuxInfo",
    "networks",
    "role",
    "scaling",
    "scheduling",
    "secrets",
    "user",
    "version",
    "volumes",
];
const KNOWN_OF_CONTAINER: &[&str] = &[
    "name",
    "artifacts",
    "check",
    "endpoints",
    "environment",
    "exec",
    "healthCheck",
    "image",
    "labels",
    "lifecycle",
    "linuxInfo",
    "resourceLimits",
    "resources",
    "tty",
    "user",
    "volumeMounts",
];

/// Fields of a pod that Ekiden does not have, and what to use instead.
const OF_POD: &[(&str, &str)] = &[
    ("legacySharedCgroups", "leave it out: every container has the limits that its own 'resources' ask for"),
    ("linuxInfo", "leave it out"),
    ("secrets", "give the value in 'environment', or mount a file with it from a host volume"),
];
/// Fields of a pod's container, and what to use instead.
const OF_CONTAINER: &[(&str, &str)] = &[
    ("check", "use 'healthCheck'"),
    ("linuxInfo", "leave it out"),
    ("resourceLimits", "the limits are what 'resources' ask for"),
];
/// Fields of a container's image, and what to use instead.
const OF_IMAGE: &[(&str, &str)] = &[
    ("labels", "give them as the container's 'labels'"),
    ("pullConfig", "log the nodes' Docker in to the registry: agents use its credentials"),
];
/// Fields of a container's resources, and what to use instead.
const OF_RESOURCES: &[(&str, &str)] =
    &[("gpus", "hold the pod to nodes with a GPU by a constraint on their attributes")];

/// A name of RAML's type `Name` is no longer.
const NAME_CHARS_MAX: usize = 63;
/// A text of RAML's types `Uri` and `Path` is no longer.
const PATH_CHARS_MAX: usize = 1024;
/// What Marathon's executor takes by default; its minima are the same.
const EXECUTOR: &[(&str, f64)] = &[("cpus", 0.1), ("mem", 32.0), ("disk", 10.0)];

/// Reads a pod's definition (RAML `Pod`) for the pod of this id.
///
/// # Errors
/// Everything that is wrong with it.
pub fn pod(
    id: &AppId,
    definition: &Map<String, Value>,
    settings: &Settings,
) -> Result<(AppSpec, Vec<Warning>), Problems> {
    let mut problems = Problems::default();
    let object = Object::root(definition);
    problems.nuls(definition);
    object.check_known(&mut problems, KNOWN);
    check_all(&mut problems, &object, OF_POD);
    check_executor(&mut problems, &object);
    object.text(&mut problems, "version");

    let network = network(&mut problems, &object);
    let volumes = volumes(&mut problems, &object);
    let has_command_image = !settings.command_image.is_empty();
    let around = Around { network: &network, volumes: &volumes, has_command_image };
    let parts = containers(&mut problems, &object, &around);
    check_unique(&mut problems, &parts, &volumes);
    let instances = instances(&mut problems, &object);
    let policy = policy(&mut problems, &object, parts.iter().filter_map(|it| it.check.clone()).collect(), settings);
    let run = RunSpec {
        cmd: None,
        args: Vec::new(),
        user: user(&mut problems, &object),
        env: limits::strict_environment(&mut problems, &object),
        resources: sum(&parts),
        image: String::new(),
        mesos: false,
        force_pull: false,
        parameters: Vec::new(),
        tty: false,
        fetch: Vec::new(),
        volumes: Vec::new(),
        network,
        ports: parts.iter().flat_map(|it| it.ports.clone()).collect(),
        require_ports: false,
        pod: Some(Pod { containers: parts.into_iter().map(|it| it.container).collect(), volumes }),
    };
    let spec = AppSpec { id: id.clone(), instances, run: run.into(), policy: policy.into() };
    limits::check_definition(&mut problems, &spec);
    problems.into_result(spec)
}

/// Reads the body of `DELETE /v2/pods/{id}::instances`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn pod_instance_ids(body: &[Value]) -> Result<Vec<String>, Problems> {
    let mut problems = Problems::default();
    if body.len() as u64 > INSTANCES_MAX {
        problems.invalid("/", format!("is too long: {} items, at most {INSTANCES_MAX}", body.len()));
        return Err(problems);
    }
    let mut ids = Vec::new();
    for (n, item) in body.iter().enumerate() {
        ids.extend(text(&mut problems, item, &format!("({n})"), TEXT_BYTES_MAX).map(str::to_owned));
    }
    if problems.is_empty() { Ok(ids) } else { Err(problems) }
}

/// What a container is read with.
struct Around<'a> {
    network: &'a Network,
    volumes: &'a [PodVolume],
    has_command_image: bool,
}

/// A container, its ports and its check.
struct Part {
    path: String,
    container: PodContainer,
    ports: Vec<PortSpec>,
    check: Option<HealthCheck>,
}

fn check_executor(problems: &mut Problems, pod: &Object) {
    let Some(object) = pod.object(problems, "executorResources") else { return };
    object.check_known(problems, &["cpus", "mem", "disk"]);
    for (name, default) in EXECUTOR {
        let number = object.number(problems, name, 0.0, f64::MAX);
        if number.is_some_and(|it| (it - default).abs() > f64::EPSILON) {
            problems.invalid(
                &object.at(name),
                format!("must be {default}, or absent: there is no executor; give the containers what they need"),
            );
        }
    }
}

/// One network for all containers; the host's by default, as in Marathon.
fn network(problems: &mut Problems, pod: &Object) -> Network {
    let networks = pod.objects(problems, "networks").unwrap_or_default();
    if networks.len() > 1 {
        problems.invalid(&pod.at("networks"), "must be one network: several are not supported");
    }
    let Some(network) = networks.first() else { return Network::Host };
    network.check_known(problems, &["mode", "name", "labels"]);
    let mode = network.word(problems, "mode", &["container", "container/bridge", "host"]);
    let mode = if network.get("mode").is_none() { Some("container") } else { mode };
    let name = network.text(problems, "name").filter(|it| !it.is_empty());
    let labels = labels(problems, network, "labels");
    let Some(mode) = mode else { return Network::Host };
    if mode != "container" {
        for (field, given) in [("name", name.is_some()), ("labels", !labels.is_empty())] {
            if given {
                problems.invalid(&network.at(field), format!("must be absent for a network of mode '{mode}'"));
            }
        }
        return if mode == "host" { Network::Host } else { Network::Bridge };
    }
    match name {
        None => problems.invalid(network.path(), "Network name must be specified when container network is selected."),
        Some(name) if !is_name(name, "-_") => {
            problems.invalid(&network.at("name"), pattern("-a-z0-9_"));
        }
        Some(_) => {}
    }
    Network::Container { name: name.unwrap_or_default().to_owned(), labels }
}

fn volumes(problems: &mut Problems, pod: &Object) -> Vec<PodVolume> {
    let (mut volumes, mut names) = (Vec::new(), Seen::new());
    for volume in pod.objects(problems, "volumes").unwrap_or_default() {
        volume.check_known(problems, &["name", "host", "persistent", "secret"]);
        let name = name(problems, &volume);
        if let Some(kind) = ["persistent", "secret"].into_iter().find(|it| volume.get(it).is_some()) {
            problems.invalid(
                &volume.at(kind),
                format!("{kind} volumes are not supported in pods: use a directory of the node, by 'host', and hold the pod to the node by a constraint"),
            );
        }
        let host_path = volume.get("host").and_then(|_| volumes::absolute(problems, &volume, "host"));
        if !names.is_new(name.clone()) {
            problems.invalid(&volume.at("name"), "volume names must be unique");
        }
        volumes.push(PodVolume { name, host_path });
    }
    volumes
}

fn containers(problems: &mut Problems, pod: &Object, around: &Around) -> Vec<Part> {
    if pod.get("containers").is_none() {
        problems.shape(&pod.at("containers"), "error.path.missing");
        return Vec::new();
    }
    let objects = pod.objects(problems, "containers");
    if objects.as_ref().is_some_and(Vec::is_empty) {
        problems.invalid(&pod.at("containers"), "must have at least one container");
    }
    let mut n_ports = 0;
    let mut parts = Vec::new();
    for object in objects.unwrap_or_default() {
        let part = part(problems, &object, around, n_ports);
        n_ports += part.ports.len();
        parts.push(part);
    }
    parts
}

fn part(problems: &mut Problems, object: &Object, around: &Around, n_ports_before: usize) -> Part {
    object.check_known(problems, KNOWN_OF_CONTAINER);
    check_all(problems, object, OF_CONTAINER);
    let name = name(problems, object);
    let command = exec(problems, object);
    let (image, force_pull) = image(problems, object, around.has_command_image);
    if object.get("exec").is_none() && object.get("image").is_none() {
        problems.invalid(object.path(), "must have an 'image', an 'exec' or both");
    }
    let ports = endpoints(problems, object, around.network);
    let check = health_check(problems, object, &name, &ports, n_ports_before);
    let container = PodContainer {
        name,
        image,
        force_pull,
        command,
        resources: resources(problems, object),
        env: limits::strict_environment(problems, object),
        user: user(problems, object),
        n_endpoints: ports.len() as u32,
        mounts: mounts(problems, object, around.volumes),
        fetch: artifacts(problems, object),
        labels: labels(problems, object, "labels"),
        kill_grace_ms: kill_grace_ms(problems, object),
        tty: object.boolean(problems, "tty").unwrap_or(false),
    };
    Part { path: object.path().to_owned(), container, ports, check }
}

fn resources(problems: &mut Problems, object: &Object) -> Resources {
    if object.get("resources").is_none() {
        problems.shape(&object.at("resources"), "error.path.missing");
    }
    let Some(resources) = object.object(problems, "resources") else { return Resources::default() };
    resources.check_known(problems, &["cpus", "mem", "disk", "gpus"]);
    check_all(problems, &resources, OF_RESOURCES);
    limits::resources(problems, &resources)
}

/// What a command is given as.
enum Words {
    Shell(String),
    Argv(Vec<String>),
}

fn exec(problems: &mut Problems, object: &Object) -> Option<PodCommand> {
    let exec = object.object(problems, "exec")?;
    exec.check_known(problems, &["command", "overrideEntrypoint"]);
    let overrides = exec.boolean(problems, "overrideEntrypoint");
    match command(problems, &exec)? {
        Words::Shell(line) => {
            if overrides == Some(false) {
                problems.invalid(
                    &exec.at("overrideEntrypoint"),
                    "must not be false for a 'shell' command: the shell takes the place of the image's entrypoint",
                );
            }
            Some(PodCommand::Shell(line))
        }
        Words::Argv(argv) => Some(PodCommand::Argv { argv, override_entrypoint: overrides.unwrap_or(false) }),
    }
}

/// `command` (RAML `MesosCommand`) of a container or of its check.
fn command(problems: &mut Problems, holder: &Object) -> Option<Words> {
    if holder.get("command").is_none() {
        problems.shape(&holder.at("command"), "error.path.missing");
    }
    let command = holder.object(problems, "command")?;
    command.check_known(problems, &["shell", "argv"]);
    if command.get("shell").is_some() == command.get("argv").is_some() {
        problems.invalid(command.path(), "must have 'shell' or 'argv', and not both");
        return None;
    }
    if let Some(line) = command.text(problems, "shell") {
        if line.is_empty() {
            problems.invalid(&command.at("shell"), "must not be empty");
        }
        return Some(Words::Shell(line.to_owned()));
    }
    let argv = command.texts(problems, "argv")?;
    if argv.is_empty() {
        problems.invalid(&command.at("argv"), "must have at least one word");
    }
    Some(Words::Argv(argv))
}

/// The image's reference, and whether it is always pulled; empty for the cluster's own.
fn image(problems: &mut Problems, object: &Object, has_command_image: bool) -> (String, bool) {
    if object.get("image").is_none() {
        if !has_command_image && object.get("exec").is_some() {
            problems.invalid(
                &object.at("image"),
                "not defined: this cluster has no image for commands (its setting 'command_image'); give one",
            );
        }
        return (String::new(), false);
    }
    let Some(image) = object.object(problems, "image") else { return (String::new(), false) };
    image.check_known(problems, &["kind", "id", "pullConfig", "forcePull", "labels"]);
    check_all(problems, &image, OF_IMAGE);
    if image.get("kind").is_none() {
        problems.shape(&image.at("kind"), "error.path.missing");
    }
    image.word(problems, "kind", &["DOCKER"]);
    let id = required_text(problems, &image, "id").unwrap_or_default();
    if image.get("id").is_some_and(Value::is_string) && !image::is_image(&id) {
        problems.invalid(
            &image.at("id"),
            "is not an image reference: '[registry/]name[:tag][@digest]', the name in lower case",
        );
    }
    (id, image.boolean(problems, "forcePull").unwrap_or(false))
}

fn endpoints(problems: &mut Problems, object: &Object, network: &Network) -> Vec<PortSpec> {
    let endpoints = object.objects(problems, "endpoints").unwrap_or_default();
    endpoints.iter().map(|it| endpoint(problems, it, network)).collect()
}

fn endpoint(problems: &mut Problems, object: &Object, network: &Network) -> PortSpec {
    const KNOWN: &[&str] = &["name", "containerPort", "hostPort", "protocol", "labels", "networkNames"];
    object.check_known(problems, KNOWN);
    let networks = object.texts(problems, "networkNames").unwrap_or_default();
    let is_ours = |it: &String| matches!(network, Network::Container { name, .. } if name == it);
    if !networks.iter().all(is_ours) {
        problems.invalid(&object.at("networkNames"), "must name networks of the pod");
    }
    let container_port = object.int(problems, "containerPort", 1, 65_535);
    let host_port = object.int(problems, "hostPort", 0, 65_535);
    match (network, object.get("containerPort")) {
        (Network::Host, Some(_)) => {
            problems.invalid(&object.at("containerPort"), "is not allowed when using host-mode networking");
        }
        (Network::Bridge | Network::Container { .. }, None) => {
            problems.invalid(&object.at("containerPort"), "is required when using container-mode networking");
        }
        _ => {}
    }
    PortSpec {
        container_port: container_port.filter(|_| *network != Network::Host).unwrap_or(0) as u16,
        host_port: match (host_port, network) {
            (None, Network::Container { .. }) => WantedHostPort::None,
            (None | Some(0), _) => WantedHostPort::Any,
            (Some(fixed), _) => WantedHostPort::Fixed(fixed as u16),
        },
        service_port: 0,
        protocol: protocol(problems, object),
        name: Some(name(problems, object)),
        labels: labels(problems, object, "labels"),
    }
}

/// `tcp`, `udp` or both; Marathon's users also write what is spoken over it.
fn protocol(problems: &mut Problems, endpoint: &Object) -> Protocol {
    let words = endpoint.texts(problems, "protocol").unwrap_or_default();
    let words: Vec<String> = words.iter().map(|it| it.to_ascii_lowercase()).collect();
    let place = endpoint.at("protocol");
    let (mut tcp, mut udp) = (false, false);
    for (n, word) in words.iter().enumerate() {
        match word.as_str() {
            "tcp" => tcp = true,
            "udp" => udp = true,
            "http" | "https" => {
                problems.odd(&place, format!("'{word}' is kept as 'tcp', over which it is spoken"));
                tcp = true;
            }
            "udp,tcp" | "tcp,udp" => (tcp, udp) = (true, true),
            _ => problems.invalid(&place, format!("must be tcp, udp or both; it is '{word}'")),
        }
        if words[..n].contains(word) {
            problems.invalid(&place, "Duplicate protocols within the same endpoint are not allowed");
        }
    }
    match (tcp, udp) {
        (true, true) => Protocol::Both,
        (false, true) => Protocol::Udp,
        _ => Protocol::Tcp,
    }
}

fn health_check(
    problems: &mut Problems,
    container: &Object,
    name: &str,
    ports: &[PortSpec],
    n_ports_before: usize,
) -> Option<HealthCheck> {
    const KINDS: [&str; 3] = ["http", "tcp", "exec"];
    const TIMES: [&str; 5] =
        ["gracePeriodSeconds", "intervalSeconds", "maxConsecutiveFailures", "timeoutSeconds", "delaySeconds"];
    let object = container.object(problems, "healthCheck")?;
    object.check_known(problems, &[&KINDS[..], &TIMES[..]].concat());
    if KINDS.into_iter().filter(|it| object.get(it).is_some()).count() != 1 {
        problems.invalid(object.path(), "must have exactly one of 'http', 'tcp' and 'exec'");
        return None;
    }
    let seconds = |problems: &mut Problems, name, min, default| {
        object.int(problems, name, min, SECONDS_MAX).unwrap_or(default) * 1000
    };
    let (interval_ms, timeout_ms) =
        (seconds(problems, "intervalSeconds", 1, 60), seconds(problems, "timeoutSeconds", 1, 20));
    if timeout_ms >= interval_ms {
        let (timeout, interval) = (timeout_ms / 1000, interval_ms / 1000);
        let message = format!("must be less than intervalSeconds; they are {timeout} and {interval}");
        problems.invalid(&object.at("timeoutSeconds"), message);
    }
    Some(HealthCheck {
        kind: check_kind(problems, &object, ports, n_ports_before)?,
        container: name.to_owned(),
        // Marathon's pods are checked by Mesos: these checks have a delay before the first probe.
        mesos: true,
        grace_ms: seconds(problems, "gracePeriodSeconds", 0, 300),
        interval_ms,
        timeout_ms,
        max_failures: object.int(problems, "maxConsecutiveFailures", 0, 1_000_000).unwrap_or(3) as u32,
        delay_ms: seconds(problems, "delaySeconds", 0, 15),
        ipv6: false,
    })
}

fn check_kind(
    problems: &mut Problems,
    check: &Object,
    ports: &[PortSpec],
    n_ports_before: usize,
) -> Option<HealthKind> {
    let port = |problems: &mut Problems, object: &Object| {
        let wanted = required_text(problems, object, "endpoint")?;
        let n = ports.iter().position(|it| it.name.as_deref() == Some(wanted.as_str()));
        if n.is_none() {
            problems.invalid(&object.at("endpoint"), "must be the name of an endpoint of the same container");
        }
        Some(CheckPort::Index((n_ports_before + n?) as u32))
    };
    if let Some(tcp) = check.object(problems, "tcp") {
        tcp.check_known(problems, &["endpoint"]);
        return Some(HealthKind::Tcp { port: port(problems, &tcp)? });
    }
    if let Some(exec) = check.object(problems, "exec") {
        exec.check_known(problems, &["command"]);
        let value = match command(problems, &exec)? {
            Words::Shell(line) => line,
            Words::Argv(argv) => words::line(&argv),
        };
        return Some(HealthKind::Command { value });
    }
    let http = check.object(problems, "http")?;
    http.check_known(problems, &["endpoint", "path", "scheme"]);
    let tls = http.word(problems, "scheme", &["HTTP", "HTTPS"]) == Some("HTTPS");
    let path = http.text(problems, "path").unwrap_or("/");
    if path.bytes().any(|it| it <= b' ' || it == 0x7f) {
        problems.invalid(&http.at("path"), "must not contain spaces or control characters: encode them as '%20'");
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some(HealthKind::Http { path, port: port(problems, &http)?, tls, ignore_1xx: false })
}

fn mounts(problems: &mut Problems, container: &Object, volumes: &[PodVolume]) -> Vec<Mount> {
    let (mut mounts, mut paths) = (Vec::new(), Seen::new());
    let known: Seen<&str> = volumes.iter().map(|it| it.name.as_str()).collect();
    for object in container.objects(problems, "volumeMounts").unwrap_or_default() {
        object.check_known(problems, &["name", "mountPath", "readOnly"]);
        let read_only = object.boolean(problems, "readOnly").unwrap_or(false);
        let volume = required_text(problems, &object, "name");
        let path = required_text(problems, &object, "mountPath");
        let (Some(volume), Some(path)) = (volume, path) else { continue };
        if !known.has(&volume) {
            problems.invalid(&object.at("name"), "must be the name of one of the pod's 'volumes'");
        }
        check_path(problems, &object, "mountPath", &path);
        if path.contains(':') {
            problems.invalid(&object.at("mountPath"), "must not contain ':'");
        }
        if !paths.is_new(path.clone()) {
            problems.invalid(&object.at("mountPath"), "two volumes must not have the same path");
        }
        mounts.push(Mount { volume, path, read_only });
    }
    mounts
}

/// A path of RAML's type `Path` that leads nowhere else.
fn check_path(problems: &mut Problems, object: &Object, name: &str, path: &str) {
    if path.is_empty() || path.len() > PATH_CHARS_MAX {
        problems.invalid(&object.at(name), format!("must have 1 to {PATH_CHARS_MAX} characters"));
    } else if path.split('/').any(|it| it == "..") {
        problems.invalid(&object.at(name), "must not contain '..'");
    }
}

fn artifacts(problems: &mut Problems, container: &Object) -> Vec<Fetch> {
    let mut artifacts = Vec::new();
    for object in container.objects(problems, "artifacts").unwrap_or_default() {
        object.check_known(problems, &["uri", "extract", "executable", "cache", "destPath"]);
        let mut flag = |name, default| object.boolean(problems, name).unwrap_or(default);
        let (extract, executable, cache) = (flag("extract", true), flag("executable", false), flag("cache", false));
        let dest_path = object.text(problems, "destPath").map(str::to_owned);
        if let Some(path) = &dest_path {
            check_path(problems, &object, "destPath", path);
            if path.starts_with('/') {
                problems.invalid(&object.at("destPath"), "must be relative: files are fetched into the sandbox");
            }
        }
        let Some(uri) = required_text(problems, &object, "uri") else { continue };
        let has_scheme = ["http://", "https://", "file:///"].iter().any(|it| uri.starts_with(it));
        if !has_scheme || uri.len() > PATH_CHARS_MAX || uri.bytes().any(|it| it <= b' ' || it == 0x7f) {
            problems.invalid(
                &object.at("uri"),
                format!("must be a URI of scheme http, https or file, of {PATH_CHARS_MAX} characters at most"),
            );
        }
        artifacts.push(Fetch { uri, extract, executable, cache, dest_path });
    }
    artifacts
}

fn kill_grace_ms(problems: &mut Problems, container: &Object) -> Option<u64> {
    let lifecycle = container.object(problems, "lifecycle")?;
    lifecycle.check_known(problems, &["killGracePeriodSeconds"]);
    millis(problems, &lifecycle, "killGracePeriodSeconds")
}

/// Seconds, perhaps with a fraction.
fn millis(problems: &mut Problems, object: &Object, name: &str) -> Option<u64> {
    Some((object.number(problems, name, 0.0, SECONDS_MAX as f64)? * 1000.0).round() as u64)
}

fn user(problems: &mut Problems, object: &Object) -> Option<String> {
    object.text(problems, "user").filter(|it| !it.is_empty()).map(str::to_owned)
}

fn instances(problems: &mut Problems, pod: &Object) -> u32 {
    let Some(scaling) = pod.object(problems, "scaling") else { return 1 };
    // Early versions printed a field `maxInstances`, which never meant anything.
    scaling.check_known(problems, &["kind", "instances", "maxInstances"]);
    if scaling.get("kind").is_none() {
        problems.shape(&scaling.at("kind"), "error.path.missing");
    }
    scaling.word(problems, "kind", &["fixed"]);
    scaling.int(problems, "instances", 0, INSTANCES_MAX).unwrap_or(1) as u32
}

fn policy(problems: &mut Problems, pod: &Object, health_checks: Vec<HealthCheck>, settings: &Settings) -> Policy {
    let empty = Map::new();
    let scheduling = pod.object(problems, "scheduling").unwrap_or_else(|| Object::root(&empty));
    scheduling.check_known(problems, &["backoff", "upgrade", "placement", "killSelection", "unreachableStrategy"]);
    let part = |problems: &mut Problems, name, known: &[&str]| {
        let part = scheduling.object(problems, name).unwrap_or_else(|| Object::root(&empty));
        part.check_known(problems, known);
        part
    };
    let backoff = part(problems, "backoff", &["backoff", "backoffFactor", "maxLaunchDelay"]);
    let upgrade = part(problems, "upgrade", &["minimumHealthCapacity", "maximumOverCapacity"]);
    let placement = part(problems, "placement", &["constraints", "acceptedResourceRoles"]);
    let share = |problems: &mut Problems, name| {
        upgrade.number(problems, name, 0.0, 1.0).map_or(1_000_000, |it| (it * 1e6).round() as u32)
    };
    let factor = backoff.number(problems, "backoffFactor", 1.0, 1000.0).unwrap_or(1.15);
    Policy {
        labels: labels(problems, pod, "labels"),
        constraints: constraints(problems, &placement),
        health_checks,
        readiness_checks: Vec::new(),
        dependencies: Vec::new(),
        upgrade: UpgradeStrategy {
            min_health_ppm: share(problems, "minimumHealthCapacity"),
            max_over_ppm: share(problems, "maximumOverCapacity"),
        },
        backoff_ms: millis(problems, &backoff, "backoff").unwrap_or(1000),
        backoff_factor_ppm: (factor * 1e6).round() as u64,
        backoff_max_ms: millis(problems, &backoff, "maxLaunchDelay").unwrap_or(300_000),
        kill_grace_ms: None,
        kill_selection: kill_selection(problems, &scheduling),
        unreachable: policy::unreachable(problems, &scheduling, false),
        role: policy::role(problems, pod, settings),
        accepted_roles: policy::accepted_roles(problems, &placement, settings),
        residency: None,
    }
}

/// In capitals; early versions wrote `Youngest_First`.
fn kill_selection(problems: &mut Problems, scheduling: &Object) -> KillSelection {
    let word = scheduling.text(problems, "killSelection").map(str::to_ascii_uppercase);
    match word.as_deref() {
        None | Some("YOUNGEST_FIRST") => KillSelection::YoungestFirst,
        Some("OLDEST_FIRST") => KillSelection::OldestFirst,
        Some(_) => {
            problems.invalid(&scheduling.at("killSelection"), "must be one of YOUNGEST_FIRST, OLDEST_FIRST");
            KillSelection::YoungestFirst
        }
    }
}

/// Objects with `fieldName`, `operator` and `value`, where apps have lists of texts. The operator is an enumeration
/// here, in any case; that of apps is a text, which Marathon takes in capitals only.
fn constraints(problems: &mut Problems, placement: &Object) -> Vec<Constraint> {
    let (mut paths, mut constraints, mut seen) = (Vec::new(), Vec::new(), Seen::new());
    for object in placement.objects(problems, "constraints").unwrap_or_default() {
        object.check_known(problems, &["fieldName", "operator", "value"]);
        let field = required_text(problems, &object, "fieldName");
        let operator = required_text(problems, &object, "operator");
        let value = object.text(problems, "value");
        let (Some(field), Some(operator)) = (field, operator.map(|it| it.to_ascii_uppercase())) else { continue };
        let words: Vec<&str> = [field.as_str(), operator.as_str()].into_iter().chain(value).collect();
        match policy::constraint(&words) {
            Ok(constraint) if !seen.is_new(constraint.clone()) => {
                problems.invalid(object.path(), "must not be given twice");
            }
            Ok(constraint) => {
                constraints.push(constraint);
                paths.push(object.path().to_owned());
            }
            Err(why) => problems.invalid(object.path(), why),
        }
    }
    policy::check_patterns(problems, &paths, &constraints);
    constraints
}

/// What must be unique in the whole pod, and volumes that nobody mounts.
fn check_unique(problems: &mut Problems, parts: &[Part], volumes: &[PodVolume]) {
    let (mut names, mut endpoints) = (Seen::new(), Seen::new());
    let (mut container_ports, mut host_ports) = (SeenPorts::new(), SeenPorts::new());
    for part in parts {
        if !names.is_new(&part.container.name) {
            problems.invalid(&format!("{}/name", part.path), "container names are unique");
        }
        for (n, port) in part.ports.iter().enumerate() {
            let place = format!("{}/endpoints({n})", part.path);
            if !endpoints.is_new(&port.name) {
                problems.invalid(&format!("{place}/name"), "Endpoint names are unique");
            }
            if port.container_port != 0 && !container_ports.are_new(port.container_port, port.protocol) {
                problems.invalid(&format!("{place}/containerPort"), "Container ports are unique");
            }
            if let WantedHostPort::Fixed(number) = port.host_port
                && !host_ports.are_new(number, port.protocol)
            {
                problems.invalid(&format!("{place}/hostPort"), "Host ports are unique");
            }
        }
    }
    let mounted: Seen<&str> = parts.iter().flat_map(|it| &it.container.mounts).map(|it| it.volume.as_str()).collect();
    for (n, _) in volumes.iter().enumerate().filter(|(_, it)| !mounted.has(&it.name)) {
        problems.invalid(&format!("/volumes({n})"), "must be mounted by at least one container");
    }
}

fn sum(parts: &[Part]) -> Resources {
    parts.iter().fold(Resources::default(), |sum, part| {
        let it = &part.container.resources;
        Resources {
            cpu_milli: sum.cpu_milli + it.cpu_milli,
            memory_bytes: sum.memory_bytes + it.memory_bytes,
            disk_bytes: sum.disk_bytes + it.disk_bytes,
        }
    })
}

/// A required `name` of RAML's type `Name`.
fn name(problems: &mut Problems, object: &Object) -> String {
    let Some(name) = required_text(problems, object, "name") else { return String::new() };
    if !is_name(&name, "-") {
        problems.invalid(&object.at("name"), pattern("-a-z0-9"));
    }
    name
}

fn is_name(name: &str, inside: &str) -> bool {
    let outer = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(outer)
        && name.ends_with(outer)
        && name.chars().all(|it| outer(it) || inside.contains(it))
}

fn pattern(inside: &str) -> String {
    format!(
        "must fully match regular expression '^[a-z0-9]([{inside}]*[a-z0-9])?$', of {NAME_CHARS_MAX} characters at most"
    )
}

fn required_text(problems: &mut Problems, object: &Object, name: &str) -> Option<String> {
    object.required_text(problems, name).map(str::to_owned)
}

//! How an app is attached: `networks`, or in the old dialect `container.docker.network` and `ipAddress`.

use super::Problems;
use super::limits::labels;
use super::read::Object;
use cluster::Network;

const NAME_BYTES_MAX: usize = 63;

/// The network that an app asks for, and the part of `ipAddress` that asks for ports.
pub(super) struct Asked<'a> {
    pub(super) network: Network,
    /// `ipAddress.discovery.ports`, where they count.
    pub(super) discovery: Vec<Object<'a>>,
}

/// Reads the network of an app.
pub(super) fn read<'a>(
    problems: &mut Problems,
    app: &Object<'a>,
    container: Option<&Object<'a>>,
    docker: Option<&Object<'a>>,
) -> Asked<'a> {
    let networks = app.objects(problems, "networks").unwrap_or_default();
    let legacy = docker.and_then(|docker| {
        let word = docker.word(problems, "network", &["HOST", "BRIDGE", "USER", "NONE"])?;
        Some((docker.at("network"), word))
    });
    let address = app.object(problems, "ipAddress");
    if let Some(first) = networks.first() {
        if let Some((path, _)) = &legacy {
            problems.invalid(path, "must not be given together with 'networks'");
        }
        if let Some(address) = &address {
            problems.invalid(address.path(), "must not be given together with 'networks'");
        }
        if networks.len() > 1 {
            problems.invalid(
                &app.at("networks"),
                "must be one network: may only specify a single container network when using the Docker container engine, as all apps here do",
            );
        }
        return Asked { network: declared(problems, first), discovery: Vec::new() };
    }
    let network = match (legacy, &address) {
        (Some((path, "USER")), None) => {
            problems
                .invalid(&path, "the network of type USER must be named: give 'ipAddress.networkName', or 'networks'");
            Network::Bridge
        }
        (Some((path, "NONE")), _) => {
            problems.invalid(&path, "unsupported docker network type");
            Network::Host
        }
        (Some((_, "USER")) | None, Some(address)) => return by_address(problems, app, container, address),
        (Some((_, word)), address) => {
            if let Some(address) = address {
                problems.void(address.path(), format!("has no effect beside the Docker network {word}"));
            }
            if word == "BRIDGE" { Network::Bridge } else { Network::Host }
        }
        (None, None) => Network::Host,
    };
    Asked { network, discovery: Vec::new() }
}

fn declared(problems: &mut Problems, network: &Object) -> Network {
    network.check_known(problems, &["mode", "name", "labels"]);
    let mode = network.word(problems, "mode", &["container", "container/bridge", "host"]);
    let name = network.text(problems, "name").filter(|it| !it.is_empty());
    let labels = labels(problems, network, "labels");
    let mode = mode.unwrap_or("container");
    if mode == "container" {
        return Network::Container { name: named(problems, &network.at("name"), name), labels };
    }
    if name.is_some() {
        problems.invalid(&network.at("name"), format!("must be absent for a network of mode '{mode}'"));
    }
    if !labels.is_empty() {
        problems.invalid(&network.at("labels"), format!("must be absent for a network of mode '{mode}'"));
    }
    if mode == "host" { Network::Host } else { Network::Bridge }
}

/// The network that `ipAddress` asks for.
fn by_address<'a>(
    problems: &mut Problems,
    app: &Object<'a>,
    container: Option<&Object<'a>>,
    address: &Object<'a>,
) -> Asked<'a> {
    address.check_known(problems, &["discovery", "groups", "labels", "networkName", "name"]);
    if address.texts(problems, "groups").is_some_and(|it| !it.is_empty()) {
        problems.invalid(&address.at("groups"), "Docker's networks have no groups: use a network of its own for each");
    }
    for ports in ["ports", "portDefinitions"] {
        if app.array(&mut Problems::default(), ports).is_some_and(|it| !it.is_empty()) {
            problems.invalid(&app.at(ports), "must not be given together with 'ipAddress'");
        }
    }
    let name = address.text(problems, "networkName").or_else(|| address.text(problems, "name"));
    let name = named(problems, &address.at("networkName"), name.filter(|it| !it.is_empty()));
    let labels = labels(problems, address, "labels");
    let discovery = address.object(problems, "discovery");
    let discovery = discovery.and_then(|it| {
        it.check_known(problems, &["ports"]);
        it.objects(problems, "ports")
    });
    let discovery = discovery.unwrap_or_default();
    let is_docker = container.is_some_and(|it| match it.text(&mut Problems::default(), "type") {
        None => it.get("docker").is_some(),
        Some(kind) => !kind.eq_ignore_ascii_case("MESOS"),
    });
    if is_docker && !discovery.is_empty() {
        problems.invalid(&address.at("discovery"), "is not for Docker containers: use 'container.portMappings'");
    }
    Asked { network: Network::Container { name, labels }, discovery }
}

/// `^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$` (RAML `NetworkName`), and none of Docker's own.
fn named(problems: &mut Problems, path: &str, name: Option<&str>) -> String {
    let Some(name) = name else {
        problems.invalid(path, "Network name must be specified when container network is selected.");
        return String::new();
    };
    let inner = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'-' | b'_');
    let ends = |it: char| matches!(it, '-' | '_');
    if name.len() > NAME_BYTES_MAX || !name.bytes().all(inner) || name.starts_with(ends) || name.ends_with(ends) {
        problems.invalid(
            path,
            format!("must fully match regular expression '^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$' and have at most {NAME_BYTES_MAX} characters"),
        );
    }
    match name {
        "host" | "default" | "none" => {
            problems.invalid(
                path,
                format!("'{name}' is no network of containers in Docker: use mode 'host' or 'container/bridge'"),
            );
        }
        "bridge" => problems.invalid(path, "for Docker's own bridge use mode 'container/bridge'"),
        _ => {}
    }
    name.to_owned()
}

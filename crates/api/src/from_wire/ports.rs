//! Networks and ports: both dialects in, one list of ports out.
//!
//! Marathon has four places for ports (`ports`, `portDefinitions`, `container.portMappings`,
//! `container.docker.portMappings`) and three for the network (`networks`, `container.docker.network`,
//! `ipAddress`); which ones count depends on the network. These are its rules of normalisation, in its order.

use super::limits::labels;
use super::read::Object;
use super::seen::{Seen, SeenPorts};
use super::{Problems, networks};
use cluster::{Network, PortSpec, Protocol, WantedHostPort};
use serde_json::Value;
use std::collections::BTreeMap;

/// How an app is attached.
pub(super) struct Attachment {
    pub(super) network: Network,
    pub(super) ports: Vec<PortSpec>,
    pub(super) require_ports: bool,
}

/// Reads the network and the ports of an app.
pub(super) fn read(problems: &mut Problems, app: &Object) -> Attachment {
    // What is wrong with the container's shape has been noted where it was read first.
    let container = app.object(&mut Problems::default(), "container");
    let docker = container.as_ref().and_then(|it| it.object(&mut Problems::default(), "docker"));
    let networks::Asked { network, discovery } = networks::read(problems, app, container.as_ref(), docker.as_ref());
    let require_ports = app.boolean(problems, "requirePorts").unwrap_or(false);
    let definitions = definitions(problems, app, require_ports && network == Network::Host);
    let mappings = mappings(problems, container.as_ref(), docker.as_ref(), &network);
    let (ports, require_ports) = match &network {
        Network::Host => {
            if let Some((path, mappings)) = &mappings
                && !mappings.is_empty()
            {
                let message = "port mappings have no effect on the host network: use 'portDefinitions', or a network of mode 'container/bridge'";
                problems.void(path, message);
            }
            (definitions.unwrap_or_else(|| vec![default_port(&network)]), require_ports)
        }
        Network::Bridge | Network::Container { .. } => {
            let mut ports = match mappings {
                Some((_, mappings)) => mappings,
                None if !discovery.is_empty() => discovery.iter().map(|it| discovered(problems, it)).collect(),
                None => vec![default_port(&network)],
            };
            let wanted = definitions.map_or(0, |it| it.len());
            if app.get("portDefinitions").is_some() && wanted > 0 {
                let message =
                    "port definitions only count the ports on a network of containers: use 'container.portMappings'";
                problems.void(&app.at("portDefinitions"), message);
            }
            while ports.len() < wanted {
                ports.push(PortSpec { name: None, ..default_port(&network) });
            }
            (ports, false)
        }
    };
    check_unique(problems, &network, &ports);
    Attachment { network, ports, require_ports }
}

fn default_port(network: &Network) -> PortSpec {
    PortSpec {
        container_port: 0,
        host_port: unsaid_host_port(network),
        service_port: 0,
        protocol: Protocol::Tcp,
        name: Some("default".to_owned()),
        labels: BTreeMap::new(),
    }
}

/// A port that says nothing of a host port has one, except on a named network: there it is reached by the
/// container's own address.
const fn unsaid_host_port(network: &Network) -> WantedHostPort {
    match network {
        Network::Host | Network::Bridge => WantedHostPort::Any,
        Network::Container { .. } => WantedHostPort::None,
    }
}

/// A port of `ipAddress.discovery`: one of the container's own address.
fn discovered(problems: &mut Problems, port: &Object) -> PortSpec {
    port.check_known(problems, &["number", "name", "protocol", "labels"]);
    PortSpec {
        container_port: port.int(problems, "number", 0, 65_535).unwrap_or(0) as u16,
        host_port: WantedHostPort::None,
        service_port: 0,
        protocol: protocol(problems, port),
        name: name(problems, port),
        labels: labels(problems, port, "labels"),
    }
}

/// `portDefinitions`, or `ports` in the old dialect, for the host network.
fn definitions(problems: &mut Problems, app: &Object, required: bool) -> Option<Vec<PortSpec>> {
    let host_port = |port: u16| if required && port != 0 { WantedHostPort::Fixed(port) } else { WantedHostPort::Any };
    let old = app.get("ports").map(|_| old_ports(problems, app));
    let definitions = app.objects(problems, "portDefinitions").map(|definitions| {
        let read = definitions.iter().map(|definition| {
            definition.check_known(problems, &["port", "labels", "name", "protocol"]);
            let port = definition.int(problems, "port", 0, 65_535).unwrap_or(0) as u16;
            PortSpec {
                container_port: 0,
                host_port: host_port(port),
                service_port: port,
                protocol: protocol(problems, definition),
                name: name(problems, definition),
                labels: labels(problems, definition, "labels"),
            }
        });
        read.collect::<Vec<_>>()
    });
    match (definitions, old) {
        (Some(definitions), Some(old)) if !old.is_empty() => {
            if definitions.iter().map(|it| it.service_port).ne(old.iter().copied()) {
                problems.invalid(&app.at("ports"), "must be equal to the ports of 'portDefinitions', or absent");
            }
            Some(definitions)
        }
        (Some(definitions), _) => Some(definitions),
        (None, Some(old)) => Some(
            old.into_iter()
                .map(|port| PortSpec {
                    host_port: host_port(port),
                    service_port: port,
                    name: None,
                    ..default_port(&Network::Host)
                })
                .collect(),
        ),
        (None, None) => None,
    }
}

fn old_ports(problems: &mut Problems, app: &Object) -> Vec<u16> {
    let ports = app.array(problems, "ports").unwrap_or_default().iter().enumerate();
    ports
        .map(|(n, port)| {
            let path = format!("{}({n})", app.at("ports"));
            match port.as_f64() {
                None => problems.shape(&path, "error.expected.jsnumber"),
                Some(it) if it.fract() != 0.0 => problems.shape(&path, "error.expected.int"),
                Some(it) if !(0.0..=65_535.0).contains(&it) => {
                    problems.invalid(&path, "must be between 0 and 65535");
                }
                Some(it) => return it as u16,
            }
            0
        })
        .collect()
}

/// `container.portMappings`, or `container.docker.portMappings` in the old dialect, and where they stand.
fn mappings(
    problems: &mut Problems,
    container: Option<&Object>,
    docker: Option<&Object>,
    network: &Network,
) -> Option<(String, Vec<PortSpec>)> {
    let given = |it: &&Object| it.get("portMappings").is_some();
    let (new, old) = (container.filter(given), docker.filter(given));
    // Clients that know both dialects write an empty list in one beside what they mean in the other.
    let is_idle = |it: &&Object| it.get("portMappings").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let (new, old) = match (new, old) {
        (Some(new), Some(old)) if is_idle(&old) => (Some(new), None),
        (Some(new), Some(old)) if is_idle(&new) => (None, Some(old)),
        both => both,
    };
    if let (Some(_), Some(old)) = (new, old) {
        problems.invalid(&old.at("portMappings"), "cannot specify both portMappings and docker.portMappings");
    }
    let holder = new.or(old)?;
    let mappings = holder.objects(problems, "portMappings")?;
    let mappings = mappings.iter().map(|it| mapping(problems, it, network)).collect();
    Some((holder.at("portMappings"), mappings))
}

fn mapping(problems: &mut Problems, mapping: &Object, network: &Network) -> PortSpec {
    const KNOWN: &[&str] = &["containerPort", "hostPort", "servicePort", "protocol", "name", "labels", "networkNames"];
    mapping.check_known(problems, KNOWN);
    let names = mapping.texts(problems, "networkNames").unwrap_or_default();
    let is_there = |it: &String| matches!(network, Network::Container { name, .. } if name == it);
    if !names.iter().all(is_there) {
        problems.invalid(&mapping.at("networkNames"), "must be the name of the app's network, or absent");
    }
    let port = |problems: &mut Problems, name| mapping.int(problems, name, 0, 65_535).unwrap_or(0) as u16;
    PortSpec {
        container_port: port(problems, "containerPort"),
        host_port: match port(problems, "hostPort") {
            0 if mapping.get("hostPort").is_none() => unsaid_host_port(network),
            0 => WantedHostPort::Any,
            fixed => WantedHostPort::Fixed(fixed),
        },
        service_port: port(problems, "servicePort"),
        protocol: protocol(problems, mapping),
        name: name(problems, mapping),
        labels: labels(problems, mapping, "labels"),
    }
}

fn protocol(problems: &mut Problems, port: &Object) -> Protocol {
    match port.word(problems, "protocol", &["tcp", "udp", "udp,tcp", "tcp,udp"]) {
        None | Some("tcp") => Protocol::Tcp,
        Some("udp") => Protocol::Udp,
        Some(_) => Protocol::Both,
    }
}

/// `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$` (RAML `LegacyName`)
fn name(problems: &mut Problems, port: &Object) -> Option<String> {
    let name = port.text(problems, "name").filter(|it| !it.is_empty())?;
    let inner = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    if !name.bytes().all(inner) || name.starts_with('-') || name.ends_with('-') {
        problems.invalid(&port.at("name"), "must fully match regular expression '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'");
    }
    Some(name.to_owned())
}

fn check_unique(problems: &mut Problems, network: &Network, ports: &[PortSpec]) {
    let place = match network {
        Network::Host => "/portDefinitions",
        Network::Bridge | Network::Container { .. } => "/container/portMappings",
    };
    // A number may have a port of TCP and one of UDP.
    let (mut names, mut host_ports, mut service_ports) = (Seen::new(), SeenPorts::new(), SeenPorts::new());
    for port in ports {
        if port.name.as_ref().is_some_and(|it| !names.is_new(it)) {
            problems.invalid(place, "Port names must be unique.");
        }
        let is_new_service = port.service_port == 0 || service_ports.are_new(port.service_port, port.protocol);
        match port.host_port {
            WantedHostPort::Fixed(number) if !host_ports.are_new(number, port.protocol) => {
                let hint = "for both transports give one port with protocol 'udp,tcp'";
                problems.invalid(place, format!("Ports must be unique: host port {number} is given twice; {hint}"));
            }
            _ if !is_new_service => {
                problems
                    .invalid(place, format!("Ports must be unique: service port {} is given twice", port.service_port));
            }
            _ => {}
        }
    }
}

//! Nodes: machines that run instances.

use super::{Grants, InstanceId, Moment, NodeId, Orphan, Protocol, Resources, Timestamp, Trouble, Trust};
use imbl::{OrdMap, OrdSet};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A machine with an agent, as the cluster keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What its agent says of it.
    pub description: Arc<NodeDescription>,
    /// Whether instances may be placed on it.
    pub status: NodeStatus,
    /// What its instances hold; also those that end, until their containers are confirmed removed.
    pub used: Resources,
    /// Who holds which host port; those that nobody holds are not in it.
    pub ports: OrdMap<u16, PortHolders>,
    /// Where the search for the next free port of the range starts: a freed port rests as long as possible.
    pub next_port: u16,
    /// Its instances.
    pub instances: OrdSet<InstanceId>,
    /// The reservations on it; their disk is part of [`Node::used`].
    pub reservations: OrdSet<InstanceId>,
    /// What is thought of it after instances could not be started there; absent: nothing.
    #[serde(default)]
    pub trouble: Option<Arc<Trouble>>,
    /// Containers on its engine that no assignment covers.
    #[serde(default)]
    pub orphans: OrdMap<InstanceId, Orphan>,
}

/// Who holds a host port: each transport of a number has its own holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PortHolders {
    /// The instance that is reached by TCP.
    pub tcp: Option<InstanceId>,
    /// The instance that is reached by UDP.
    pub udp: Option<InstanceId>,
}

impl PortHolders {
    /// Who keeps others from a port of this protocol.
    pub fn of(&self, protocol: Protocol) -> Option<InstanceId> {
        self.tcp.filter(|_| protocol.has_tcp()).or(self.udp.filter(|_| protocol.has_udp()))
    }
}

impl<'de> Deserialize<'de> for PortHolders {
    /// In older snapshots a number has one holder, of which nobody can say whether by TCP or UDP: it holds both.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct ByTransport {
            tcp: Option<InstanceId>,
            udp: Option<InstanceId>,
        }
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = PortHolders;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the holders of a port, or one id")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PortHolders, A::Error> {
                let ByTransport { tcp, udp } = ByTransport::deserialize(MapAccessDeserializer::new(map))?;
                Ok(PortHolders { tcp, udp })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut halves: A) -> Result<PortHolders, A::Error> {
                let mut half = |n| halves.next_element::<u64>()?.ok_or_else(|| A::Error::invalid_length(n, &self));
                let holder = InstanceId::from_halves(half(0)?, half(1)?);
                Ok(PortHolders { tcp: holder, udp: holder })
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// What an agent says of its machine when it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDescription {
    /// Its name.
    pub id: NodeId,
    /// The agent's own random id, kept in its data directory: which node it is, whatever its name is.
    pub agent: u64,
    /// Host name or address under which instances' ports are reached; Marathon's `task.host`.
    pub address: String,
    /// What the machine offers to instances.
    pub capacity: Resources,
    /// The host ports it offers when an app leaves the choice.
    pub ports: PortRange,
    /// Attributes that constraints may name, as text.
    pub attributes: BTreeMap<String, String>,
    /// The agent's and the Docker engine's versions, for people.
    pub versions: BTreeMap<String, String>,
    /// What its operator lets apps have beside what is harmless.
    #[serde(default)]
    pub grants: Grants,
}

/// A node has so many attributes at most; its agent says as many versions. Constraints name a handful.
const TEXTS_MAX: usize = 256;

/// The longest name of an attribute, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// The longest value of an attribute, in bytes; constraints compare it with what stands in a definition.
const VALUE_BYTES_MAX: usize = 1024;

/// All attributes together, or all versions, in bytes: an agent's introduction stays a short message.
const TEXT_BYTES_MAX: usize = 24 << 10;

/// No machine has more thousandths of a core, or bytes: sums of many nodes stay whole numbers.
const AMOUNT_MAX: u64 = 1 << 52;

impl NodeDescription {
    /// Why a node cannot be what its agent says, for people; absent: it can. What an agent says is printed, logged,
    /// compared and kept for ever, so it is judged as what a user says is.
    pub fn objection(&self) -> Option<String> {
        if !NodeId::is_valid(self.id.as_str()) {
            return Some("the node's name must be 1 to 253 letters, digits, '-', '.' or '_'".to_owned());
        }
        let in_address = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_' | b':' | b'%');
        if !(1..=253).contains(&self.address.len()) || !self.address.bytes().all(in_address) {
            return Some(format!(
                "the node's address must be a host name or an IP address without brackets and port; it is '{}'",
                shortened(&self.address)
            ));
        }
        if self.ports.first > self.ports.last {
            return Some("the node's port range is empty".to_owned());
        }
        let Resources { cpu_milli, memory_bytes, disk_bytes } = self.capacity;
        if [cpu_milli, memory_bytes, disk_bytes].into_iter().any(|it| it > AMOUNT_MAX) {
            return Some("the node's cpus, memory or disk are more than any machine has".to_owned());
        }
        text_objection("attributes", &self.attributes).or_else(|| text_objection("versions", &self.versions))
    }
}

fn text_objection(what: &str, texts: &BTreeMap<String, String>) -> Option<String> {
    let bytes: usize = texts.iter().map(|(name, value)| name.len() + value.len()).sum();
    if texts.len() > TEXTS_MAX || bytes > TEXT_BYTES_MAX {
        let n = texts.len();
        return Some(format!(
            "the node has {n} {what} of {bytes} bytes: at most {TEXTS_MAX} of {TEXT_BYTES_MAX} bytes are taken"
        ));
    }
    let bad = |(name, value): &(&String, &String)| {
        name.is_empty()
            || name.len() > NAME_BYTES_MAX
            || value.len() > VALUE_BYTES_MAX
            || name.chars().chain(value.chars()).any(char::is_control)
    };
    texts.iter().find(bad).map(|(name, _)| {
        format!(
            "the node's {what}: '{}' must have a name of 1 to {NAME_BYTES_MAX} bytes and a value of at most \
             {VALUE_BYTES_MAX}, without control characters",
            shortened(name)
        )
    })
}

/// A text that may be anything, so that it can be printed.
fn shortened(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

/// A range of port numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl Default for PortRange {
    /// 31000–32000: what Mesos agents offer, and what Marathon's users have in their firewalls.
    fn default() -> Self {
        Self { first: 31000, last: 32000 }
    }
}

impl PortRange {
    /// Whether a number is in it.
    pub const fn contains(self, number: u16) -> bool {
        self.first <= number && number <= self.last
    }

    /// How many numbers are in it.
    pub const fn len(self) -> usize {
        (self.last as usize + 1).saturating_sub(self.first as usize)
    }

    /// Whether none is.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Whether instances may be placed on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeStatus {
    /// They may.
    Ready,
    /// Its agent says that new instances would not start, and why; running ones are left alone.
    Degraded {
        /// Why, for people.
        reason: String,
    },
    /// Its agent was not heard of for too long.
    Lost {
        /// When it was given up, for people.
        since: Timestamp,
        /// When it was given up.
        #[serde(default)]
        moment: Moment,
    },
}

impl Node {
    /// Its name.
    pub fn id(&self) -> &NodeId {
        &self.description.id
    }

    /// What its instances leave.
    pub fn free(&self) -> Resources {
        self.description.capacity.minus(&self.used)
    }

    /// Whether it takes new instances, as far as its troubles are concerned.
    pub fn trust(&self, now: Moment) -> Trust {
        self.trouble.as_ref().map_or(Trust::Full, |it| it.trust(now))
    }

    /// Why nothing new is placed on it, or only with care: its agent's reason, or what failed there. None while it is
    /// as it should be, or lost.
    pub fn degraded(&self) -> Option<String> {
        match &self.status {
            NodeStatus::Degraded { reason } => Some(reason.clone()),
            NodeStatus::Ready => self.trouble.as_ref().and_then(|it| it.reason()),
            NodeStatus::Lost { .. } => None,
        }
    }

    /// Who keeps others from this host port of this protocol, if anybody does.
    pub fn port_holder(&self, number: u16, protocol: Protocol) -> Option<InstanceId> {
        self.ports.get(&number)?.of(protocol)
    }

    /// Books a host port for an instance.
    pub(crate) fn hold_port(&mut self, number: u16, protocol: Protocol, instance: InstanceId) {
        let holders = self.ports.entry(number).or_default();
        if protocol.has_tcp() {
            holders.tcp = Some(instance);
        }
        if protocol.has_udp() {
            holders.udp = Some(instance);
        }
    }

    /// Takes a host port of an instance out of the books.
    pub(crate) fn release_port(&mut self, number: u16, instance: InstanceId) {
        let Some(PortHolders { tcp, udp }) = self.ports.get(&number).copied() else { return };
        let others = |it: Option<InstanceId>| it.filter(|it| *it != instance);
        match (PortHolders { tcp: others(tcp), udp: others(udp) }) {
            PortHolders { tcp: None, udp: None } => drop(self.ports.remove(&number)),
            left => drop(self.ports.insert(number, left)),
        }
    }

    /// Whether it was given up.
    pub const fn is_lost(&self) -> bool {
        matches!(self.status, NodeStatus::Lost { .. })
    }

    /// When it was lost; absent: it is not.
    pub const fn lost_at(&self) -> Option<Moment> {
        if let NodeStatus::Lost { moment, .. } = self.status { Some(moment) } else { None }
    }

    /// The value of a constraint's field on this node.
    pub fn field(&self, field: &str) -> Option<&str> {
        match field {
            "hostname" | "@hostname" => Some(self.id().as_str()),
            _ => attribute(&self.description.attributes, field),
        }
    }
}

/// The value of a constraint's field among these attributes.
pub(crate) fn attribute<'a>(attributes: &'a BTreeMap<String, String>, field: &str) -> Option<&'a str> {
    attributes.get(field).or_else(|| attributes.get(field.strip_prefix('@')?)).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeDescription {
        NodeDescription {
            id: NodeId::new("n1"),
            agent: 1,
            address: "10.0.0.1".to_owned(),
            capacity: Resources { cpu_milli: 8_000, memory_bytes: 1 << 36, disk_bytes: 1 << 40 },
            ports: PortRange::default(),
            attributes: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            versions: BTreeMap::new(),
            grants: Grants::default(),
        }
    }

    #[test]
    fn what_agents_say_of_themselves_is_judged() {
        assert_eq!(node().objection(), None);
        for address in ["node-1.example.org", "fe80::1%eth0", "under_score"] {
            assert_eq!(NodeDescription { address: address.to_owned(), ..node() }.objection(), None, "{address}");
        }
        let texts = |n: usize, bytes: usize| (0..n).map(|it| (format!("a{it}"), "v".repeat(bytes))).collect();
        let attribute = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let named = |id: &str| NodeDescription { id: NodeId::new(id), ..node() };
        let at = |address: &str| NodeDescription { address: address.to_owned(), ..node() };
        let with = |attributes: BTreeMap<String, String>| NodeDescription { attributes, ..node() };
        let refused = [
            (named(""), "name"),
            (named("a\u{1b}[31m"), "name"),
            (at(""), "address"),
            (at("10.0.0.1\r\nHost: evil"), "address"),
            (at(&"a".repeat(254)), "address"),
            (at("[::1]:80"), "address"),
            (NodeDescription { ports: PortRange { first: 2, last: 1 }, ..node() }, "port range"),
            (NodeDescription { capacity: Resources { memory_bytes: u64::MAX, ..node().capacity }, ..node() }, "memory"),
            (with(texts(257, 1)), "attributes"),
            (with(texts(1, 7 << 20)), "attributes"),
            (with(attribute("zone", "a\nb")), "attributes"),
            (with(attribute("", "a")), "attributes"),
            (with(attribute(&"n".repeat(129), "a")), "attributes"),
            (NodeDescription { versions: attribute("docker", "\u{1b}]0;x\u{7}"), ..node() }, "versions"),
        ];
        for (node, what) in refused {
            let reason = node.objection().unwrap_or_else(|| panic!("{node:?} is taken"));
            assert!(reason.contains(what) && reason.len() < 400, "{reason}");
            assert!(!reason.chars().any(char::is_control), "{reason:?}");
        }
    }
}

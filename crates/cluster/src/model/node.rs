//! Nodes: machines that run instances.

use super::{InstanceId, NodeId, Orphan, Resources, Timestamp};
use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    /// Who holds which host port.
    pub ports: OrdMap<u16, InstanceId>,
    /// Where the search for the next free port of the range starts: a freed port rests as long as possible.
    pub next_port: u16,
    /// Its instances.
    pub instances: OrdSet<InstanceId>,
    /// The reservations on it; their disk is part of [`Node::used`].
    pub reservations: OrdSet<InstanceId>,
    /// Containers on its engine that no assignment covers.
    #[serde(default)]
    pub orphans: OrdMap<InstanceId, Orphan>,
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
        /// When it was given up.
        since: Timestamp,
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

    /// Whether it was given up.
    pub const fn is_lost(&self) -> bool {
        matches!(self.status, NodeStatus::Lost { .. })
    }

    /// The value of a constraint's field on this node.
    pub fn field(&self, field: &str) -> Option<&str> {
        match field {
            "hostname" | "@hostname" => Some(self.id().as_str()),
            _ => {
                let attributes = &self.description.attributes;
                attributes.get(field).or_else(|| attributes.get(field.strip_prefix('@')?)).map(String::as_str)
            }
        }
    }
}

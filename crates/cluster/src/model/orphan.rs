//! Containers of this cluster that nobody speaks of.

use super::{InstanceId, Timestamp};
use serde::{Deserialize, Serialize};

/// An instance's container that an agent found by its labels, and of which no assignment of its node speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    /// Whose container it is, by its label.
    pub instance: InstanceId,
    /// The app's path, by its label.
    pub app: String,
    /// The name of the node whose agent made it, by its label.
    pub node: String,
    /// The identity of that agent, by its label; absent on containers of earlier versions.
    pub agent: Option<u64>,
    /// Whether it runs.
    pub running: bool,
}

/// A container that no assignment covers any more. It is left as it is until somebody has it removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// The app's path, as the container's label has it.
    pub app: String,
    /// The name of the node whose agent made it, as its label has it.
    pub made_by: String,
    /// Whether it runs.
    pub running: bool,
    /// Why nobody speaks of it.
    pub reason: OrphanReason,
    /// When it was found.
    pub since: Timestamp,
    /// Somebody ordered that it be ended and removed.
    pub doomed: bool,
}

/// Why no assignment covers a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrphanReason {
    /// Its node's own agent made it, and the cluster has no such instance: its app was deleted, or the node forgotten,
    /// while the agent was away.
    Forgotten,
    /// Another node's agent made it on the same engine, and that node is not one of the cluster's any more.
    NodeGone,
    /// Another node's agent made it on the same engine, and the cluster has no such instance; that node is lost.
    NodeLost,
}

impl OrphanReason {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Forgotten => {
                "the cluster has no such instance: its app was deleted, or its node forgotten, while the agent was away"
            }
            Self::NodeGone => "the node whose agent made it is not one of the cluster's any more",
            Self::NodeLost => "the cluster has no such instance, and the node whose agent made it is lost",
        }
    }
}

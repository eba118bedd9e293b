//! Free room by node, kept in the order in which placement looks at it.
//!
//! Nodes with the same attributes form a class: a constraint on attributes is answered once for all of them. Within
//! a class nodes are ordered by how much is free, the emptiest first, so that the first candidates are the best ones
//! and the cost of a placement does not grow with the cluster.

use crate::model::{Node, NodeId, NodeStatus, Resources};
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeMap;

/// The nodes that instances may be placed on, by class and free room.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    classes: OrdMap<BTreeMap<String, String>, OrdSet<(Load, NodeId)>>,
}

/// How full a node is: the share of its scarcer resource that is taken, parts per million.
pub type Load = u32;

/// How full a node is.
pub fn load(node: &Node) -> Load {
    let share = |used: u64, capacity: u64| {
        if capacity == 0 { 1_000_000 } else { (u128::from(used) * 1_000_000 / u128::from(capacity)).min(1_000_000) as u32 }
    };
    let Resources { cpu_milli, memory_bytes, .. } = node.description.capacity;
    share(node.used.cpu_milli, cpu_milli).max(share(node.used.memory_bytes, memory_bytes))
}

impl Capacity {
    /// The index of these nodes.
    pub fn of<'a>(nodes: impl Iterator<Item = &'a Node>) -> Self {
        let mut capacity = Self::default();
        for node in nodes {
            capacity.insert(node);
        }
        capacity
    }

    /// Replaces a node by what it is now; either may be absent.
    pub fn replace(&mut self, before: Option<&Node>, after: Option<&Node>) {
        if let (Some(before), Some(after)) = (before, after)
            && before.status == after.status
            && before.description == after.description
        {
            if load(before) != load(after)
                && before.status == NodeStatus::Ready
                && let Some(class) = self.classes.get_mut(&before.description.attributes)
            {
                class.remove(&(load(before), before.id().clone()));
                class.insert((load(after), after.id().clone()));
            }
            return;
        }
        if let Some(before) = before {
            self.remove(before);
        }
        if let Some(after) = after {
            self.insert(after);
        }
    }

    /// The classes: the attributes, and the nodes from the emptiest to the fullest.
    pub fn classes(&self) -> impl Iterator<Item = (&BTreeMap<String, String>, &OrdSet<(Load, NodeId)>)> {
        self.classes.iter()
    }

    fn insert(&mut self, node: &Node) {
        if node.status == NodeStatus::Ready {
            self.classes
                .entry(node.description.attributes.clone())
                .or_default()
                .insert((load(node), node.id().clone()));
        }
    }

    fn remove(&mut self, node: &Node) {
        let attributes = &node.description.attributes;
        if let Some(class) = self.classes.get_mut(attributes) {
            class.remove(&(load(node), node.id().clone()));
            if class.is_empty() {
                self.classes.remove(attributes);
            }
        }
    }
}

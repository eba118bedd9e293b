//! Free room by node, kept in the order in which placement looks at it.
//!
//! Nodes are ordered by how full they are, the emptiest first, so that the first candidates are the best ones and the
//! cost of a placement does not grow with the cluster. Nodes with equal attributes also form a class: spreading over
//! an attribute starts with the emptiest nodes of each class.

use crate::model::{Node, NodeId, NodeStatus, Resources};
use imbl::{OrdMap, OrdSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The nodes that instances may be placed on, the emptiest first.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    order: Order,
    classes: OrdMap<BTreeMap<String, String>, Order>,
}

/// Nodes from the emptiest to the fullest.
pub type Order = OrdSet<(Load, NodeId)>;

/// How full a node is: the share of its scarcer resource that is taken, parts per million.
pub type Load = u32;

/// How full a node is.
pub fn load(node: &Node) -> Load {
    let share = |used: u64, capacity: u64| match used.checked_mul(1_000_000) {
        _ if capacity == 0 => 1_000_000,
        Some(millionths) => (millionths / capacity).min(1_000_000) as u32,
        None => (u128::from(used) * 1_000_000 / u128::from(capacity)).min(1_000_000) as u32,
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
        match (before, after) {
            (Some(before), Some(after))
                if Arc::ptr_eq(&before.description, &after.description) && before.status == after.status =>
            {
                self.reload(after, load(before));
            }
            _ => {
                if let Some(before) = before {
                    self.remove(before);
                }
                if let Some(after) = after {
                    self.insert(after);
                }
            }
        }
    }

    /// Moves a node, of which only the load changed, to its new place.
    pub fn reload(&mut self, node: &Node, before: Load) {
        let after = load(node);
        if before == after || node.status != NodeStatus::Ready {
            return;
        }
        let class = self.classes.get_mut(&node.description.attributes);
        for order in class.into_iter().chain([&mut self.order]) {
            order.remove(&(before, node.id().clone()));
            order.insert((after, node.id().clone()));
        }
    }

    /// All nodes, the emptiest first.
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// The nodes of each class, the emptiest first, with what all of them say of themselves.
    pub fn classes(&self) -> impl Iterator<Item = (&BTreeMap<String, String>, &Order)> {
        self.classes.iter()
    }

    /// How many classes there are.
    pub fn n_classes(&self) -> usize {
        self.classes.len()
    }

    fn insert(&mut self, node: &Node) {
        if node.status == NodeStatus::Ready {
            let key = (load(node), node.id().clone());
            self.classes.entry(node.description.attributes.clone()).or_default().insert(key.clone());
            self.order.insert(key);
        }
    }

    fn remove(&mut self, node: &Node) {
        let attributes = &node.description.attributes;
        let key = (load(node), node.id().clone());
        self.order.remove(&key);
        if let Some(class) = self.classes.get_mut(attributes) {
            class.remove(&key);
            if class.is_empty() {
                self.classes.remove(attributes);
            }
        }
    }
}

//! What is left of the nodes while a plan is made.

use crate::capacity::{self, Capacity};
use crate::model::{ClusterId, InstanceId, Node, NodeId, Protocol, Resources};
use crate::state::State;
use imbl::OrdMap;
use std::sync::Arc;

/// The room that is left while a plan is made: a copy of the nodes on which the plan's own placements are booked.
#[derive(Clone, Debug)]
pub struct Room {
    pub(super) nodes: OrdMap<NodeId, Arc<Node>>,
    pub(super) capacity: Capacity,
    /// What was placed last. It is booked when somebody looks again: mostly nobody does.
    last: Option<Booking>,
}

/// An instance that a plan has placed.
#[derive(Clone, Debug)]
struct Booking {
    node: NodeId,
    resources: Resources,
    ports: Vec<(u16, Protocol)>,
}

impl Room {
    /// The room of a state.
    pub fn of(state: &State) -> Self {
        Self { nodes: state.nodes.clone(), capacity: state.capacity.clone(), last: None }
    }

    /// Takes note of an instance that goes to a node.
    pub(super) fn take(&mut self, node: &NodeId, resources: Resources, ports: impl Iterator<Item = (u16, Protocol)>) {
        self.book();
        self.last = Some(Booking { node: node.clone(), resources, ports: ports.collect() });
    }

    /// Books what was placed last.
    pub(super) fn book(&mut self) {
        let Some(Booking { node, resources, ports }) = self.last.take() else { return };
        let Some(node) = self.nodes.get_mut(&node) else { return };
        let before = capacity::load(node);
        let node = Arc::make_mut(node);
        node.used = node.used.plus(&resources);
        if let Some(trouble) = node.trouble.as_mut().filter(|it| it.rests > 0) {
            Arc::make_mut(trouble).trial = Some(nobody());
        }
        let drawn = node.description.ports;
        for (port, protocol) in ports {
            // Nobody reads who holds a port in a plan, only that it is held.
            node.hold_port(port, protocol, nobody());
            if (drawn.first..=drawn.last).contains(&port) {
                node.next_port = port.checked_add(1).unwrap_or(drawn.first);
            }
        }
        self.capacity.reload(node, before);
    }
}

/// Stands for an instance of a plan, which has no name yet.
fn nobody() -> InstanceId {
    InstanceId::derive(ClusterId(0), 0, 0)
}

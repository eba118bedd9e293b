//! Nodes: registered, lost, degraded, forgotten.

use super::Changing;
use crate::command::Rejected;
use crate::event::Event;
use crate::model::{Node, NodeDescription, NodeId, NodeStatus, Resources};
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

impl Changing<'_> {
    pub(super) fn register(&mut self, description: NodeDescription) -> Result<(), Rejected> {
        let before = self.state.nodes.get(&description.id);
        if let Some(before) = before {
            if before.description.agent != description.agent && !before.is_lost() {
                return Err(Rejected::NameTaken { node: description.id });
            }
            if *before.description == description && before.status == NodeStatus::Ready {
                return Err(Rejected::Nothing);
            }
        }
        let node = match before {
            Some(before) => Node {
                description: Arc::new(description),
                status: NodeStatus::Ready,
                // Who was away may have been mended meanwhile.
                trouble: before.trouble.clone().filter(|_| !before.is_lost()),
                ..Node::clone(before)
            },
            None => Node {
                next_port: description.ports.first,
                description: Arc::new(description),
                status: NodeStatus::Ready,
                used: Resources::default(),
                ports: OrdMap::new(),
                instances: OrdSet::new(),
                reservations: OrdSet::new(),
                trouble: None,
            },
        };
        self.put_node_and_tell(node);
        Ok(())
    }

    pub(super) fn lose(&mut self, id: &NodeId) -> Result<(), Rejected> {
        let node = self.node(id)?;
        if node.is_lost() {
            return Err(Rejected::Nothing);
        }
        let (since, moment) = (self.time(), self.now());
        self.put_node_and_tell(Node { status: NodeStatus::Lost { since, moment }, ..Node::clone(&node) });
        Ok(())
    }

    pub(super) fn degrade(&mut self, id: &NodeId, reason: Option<String>) -> Result<(), Rejected> {
        let node = self.node(id)?;
        let status = reason.map_or(NodeStatus::Ready, |reason| NodeStatus::Degraded { reason });
        if node.is_lost() || node.status == status {
            return Err(Rejected::Nothing);
        }
        self.put_node_and_tell(Node { status, ..Node::clone(&node) });
        Ok(())
    }

    pub(super) fn remove_node(&mut self, id: &NodeId) -> Result<(), Rejected> {
        let node = self.node(id)?;
        if !node.is_lost() {
            return Err(Rejected::NodeAlive { node: id.clone() });
        }
        let instances: Vec<_> = self.state.instances_on(&node).map(Arc::clone).collect();
        for instance in instances {
            self.remove_instance(&instance);
        }
        for reservation in &node.reservations {
            self.doom(*reservation);
            self.forget_reservation(*reservation);
        }
        self.state.capacity.replace(self.state.nodes.get(id).map(AsRef::as_ref), None);
        self.state.nodes.remove(id);
        self.state.lookups.remove_node(id);
        self.event(Event::NodeRemoved { node: id.clone() });
        Ok(())
    }

    fn node(&self, id: &NodeId) -> Result<Arc<Node>, Rejected> {
        self.state.nodes.get(id).map(Arc::clone).ok_or_else(|| Rejected::NoNode { node: id.clone() })
    }

    fn put_node_and_tell(&mut self, node: Node) {
        self.put_node(node.clone());
        self.event(Event::NodeChanged { node: Arc::new(node) });
    }
}

//! Nodes: registered, lost, degraded, forgotten.

use super::Changing;
use crate::command::Rejected;
use crate::event::Event;
use crate::model::{App, Instance, Node, NodeDescription, NodeId, NodeStatus, Reservation, Resources};
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

impl Changing<'_> {
    /// Takes a node in. Which one it is, its agent's identity says; the name is what it is called by, and only one that
    /// is not lost is called so.
    pub(super) fn register(&mut self, description: NodeDescription) -> Result<(), Rejected> {
        let named = self.state.nodes.get(&description.id).map(Arc::clone);
        let other = named.as_ref().filter(|it| it.description.agent != description.agent);
        if other.is_some_and(|it| !it.is_lost()) {
            return Err(Rejected::NameTaken { node: description.id });
        }
        let known = match &named {
            Some(it) if other.is_none() => Some(Arc::clone(it)),
            _ => self.state.nodes.values().find(|it| it.description.agent == description.agent).map(Arc::clone),
        };
        if known.as_ref().is_some_and(|it| *it.description == description && it.status == NodeStatus::Ready) {
            return Err(Rejected::Nothing);
        }
        if let Some(other) = other {
            // Lost, and the name is another's now: it is kept under one that nobody else can have.
            let name = format!("{}.{:016x}", other.id(), other.description.agent);
            let displaced = NodeDescription { id: NodeId::new(&name), ..NodeDescription::clone(&other.description) };
            let displaced = Node { description: Arc::new(displaced), ..Node::clone(other) };
            self.rename(other.id(), displaced);
        }
        let node = match known {
            Some(known) => {
                let node = Node {
                    description: Arc::new(description),
                    status: NodeStatus::Ready,
                    // Who was away may have been mended meanwhile.
                    trouble: known.trouble.clone().filter(|_| !known.is_lost()),
                    ..Node::clone(&known)
                };
                if known.id() != node.id() {
                    self.rename(known.id(), node);
                    return Ok(());
                }
                node
            }
            None => Node {
                next_port: description.ports.first,
                description: Arc::new(description),
                status: NodeStatus::Ready,
                used: Resources::default(),
                ports: OrdMap::new(),
                instances: OrdSet::new(),
                reservations: OrdSet::new(),
                orphans: OrdMap::new(),
                trouble: None,
            },
        };
        self.put_node_and_tell(node);
        Ok(())
    }

    /// Calls a node by another name, with all that is on it.
    fn rename(&mut self, from: &NodeId, node: Node) {
        let to = node.id().clone();
        for id in &node.instances {
            if let Some(instance) = self.state.instances.get(id) {
                let instance = Instance { node: to.clone(), ..Instance::clone(instance) };
                self.put_instance(instance);
            }
        }
        for id in &node.reservations {
            if let Some(reservation) = self.state.reservations.get(id) {
                let reservation = Arc::new(Reservation { node: to.clone(), ..Reservation::clone(reservation) });
                self.state.reservations.insert(*id, reservation);
            }
        }
        // What apps remember of it is remembered of the node, not of its name.
        let shun = |it: &&Arc<App>| it.shunned.0.contains_key(from);
        let apps: Vec<App> = self.state.apps.values().filter(shun).map(|it| App::clone(it)).collect();
        for mut app in apps {
            app.shunned.renamed(from, &to);
            self.put_app(app);
        }
        self.take_node_out(from);
        self.put_node_and_tell(node);
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
        self.take_node_out(id);
        Ok(())
    }

    fn take_node_out(&mut self, id: &NodeId) {
        self.state.capacity.replace(self.state.nodes.get(id).map(AsRef::as_ref), None);
        self.state.nodes.remove(id);
        self.state.lookups.remove_node(id);
        self.event(Event::NodeRemoved { node: id.clone() });
    }

    pub(super) fn node(&self, id: &NodeId) -> Result<Arc<Node>, Rejected> {
        self.state.nodes.get(id).map(Arc::clone).ok_or_else(|| Rejected::NoNode { node: id.clone() })
    }

    fn put_node_and_tell(&mut self, node: Node) {
        self.put_node(node.clone());
        self.event(Event::NodeChanged { node: Arc::new(node) });
    }
}

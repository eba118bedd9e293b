//! Containers that no assignment covers: found, remembered, and removed where somebody says so.

use super::Changing;
use crate::agent::Assignment;
use crate::catalog::{Gone, Writer};
use crate::command::Rejected;
use crate::event::Event;
use crate::model::{AppId, InstanceId, Node, NodeId, Orphan, OrphanReason, Stranger, Timestamp, Version};
use crate::state::{KILL_GRACE_MS, State};
use imbl::OrdMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many orphans of a node are remembered; what is more comes to light when these are gone.
pub const MAX_ORPHANS: usize = 1_000;

/// No longer text of a container's label is kept, bytes: app ids and names of nodes are not longer.
const MAX_LABEL_BYTES: usize = 253;

impl State {
    /// The orphans among the containers that a node's agent cannot place; what is known of them already stays.
    pub fn orphans_among(&self, node: &Node, strangers: &[Stranger]) -> OrdMap<InstanceId, Orphan> {
        let found = strangers.iter().filter_map(|it| Some((it, self.why_orphan(node, it)?))).take(MAX_ORPHANS);
        let orphan = |(it, reason): (&Stranger, OrphanReason)| {
            let known = node.orphans.get(&it.instance);
            let orphan = Orphan {
                app: label(&it.app),
                made_by: label(&it.node),
                running: it.running,
                reason,
                since: known.map_or(self.time, |it| it.since),
                doomed: known.is_some_and(|it| it.doomed),
            };
            (it.instance, orphan)
        };
        found.map(orphan).collect()
    }

    /// Which of these have no node in the cluster any more.
    pub fn gone_among(&self, mut writers: BTreeSet<Writer>) -> Gone {
        for node in self.nodes.values() {
            writers.remove(&Writer::Agent(node.description.agent));
        }
        writers.retain(|it| !matches!(it, Writer::Named(name) if self.nodes.contains_key(name)));
        Gone { as_of: self.index, writers }
    }

    /// Why no assignment covers a container on a node's engine; nothing if one does, of this node or of another one that
    /// has the same engine.
    fn why_orphan(&self, node: &Node, it: &Stranger) -> Option<OrphanReason> {
        // Whoever the instance was given to looks after it, or is given it with the next assignments.
        if self.instances.contains_key(&it.instance) {
            return None;
        }
        let made_it = |other: &&Arc<Node>| match it.agent {
            Some(agent) => other.description.agent == agent,
            None => other.id().as_str() == it.node,
        };
        match self.nodes.values().find(made_it) {
            Some(maker) if maker.id() == node.id() => Some(OrphanReason::Forgotten),
            // It is on that node's list too, and told by its agent.
            Some(maker) if !maker.is_lost() => None,
            Some(_) => Some(OrphanReason::NodeLost),
            None => Some(OrphanReason::NodeGone),
        }
    }

    /// What a node's agent shall do about the orphans that somebody wants removed.
    pub fn removals_of_orphans<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = Assignment> + 'a {
        node.orphans.iter().filter(|(_, it)| it.doomed).map(|(instance, it)| Assignment {
            instance: *instance,
            app: AppId::parse(&it.app).unwrap_or_else(|_| unknown_app()),
            version: Version::default(),
            ports: Vec::new(),
            stop: true,
            started: true,
            kill_grace_ms: KILL_GRACE_MS,
            min_live_ms: 0,
            leave_after: 1,
            reservation: None,
            policy: Timestamp::default(),
            spec: None,
        })
    }
}

/// The app of a container whose label names none.
fn unknown_app() -> AppId {
    AppId::parse("/unknown").expect("a valid id")
}

fn label(text: &str) -> String {
    let end = (0..=MAX_LABEL_BYTES.min(text.len())).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0);
    text[..end].chars().map(|it| if it.is_control() { '?' } else { it }).collect()
}

impl Changing<'_> {
    /// Takes in which containers on its engine a node's agent has no assignment for: all of them at once.
    pub(super) fn find_strangers(&mut self, id: &NodeId, strangers: &[Stranger]) -> Result<(), Rejected> {
        let node = self.node(id)?;
        let orphans = self.state.orphans_among(&node, strangers);
        if orphans == node.orphans {
            return Err(Rejected::Nothing);
        }
        self.put_orphans(&node, orphans);
        Ok(())
    }

    /// Has orphans ended and removed: the only way in which one ever is.
    pub(super) fn remove_orphans(&mut self, instances: &[InstanceId]) -> Result<(), Rejected> {
        for instance in instances {
            if !self.state.nodes.values().any(|it| it.orphans.contains_key(instance)) {
                return Err(Rejected::NoOrphan { instance: *instance });
            }
        }
        let nodes: Vec<Arc<Node>> = self.state.nodes.values().map(Arc::clone).collect();
        for node in nodes {
            let mut orphans = node.orphans.clone();
            for instance in instances {
                if let Some(orphan) = orphans.get_mut(instance) {
                    orphan.doomed = true;
                }
            }
            if orphans != node.orphans {
                self.put_orphans(&node, orphans);
            }
        }
        Ok(())
    }

    /// An orphan's container is gone; false if there was none.
    pub(super) fn forget_orphan(&mut self, id: &NodeId, instance: InstanceId) -> bool {
        let Some(node) = self.state.nodes.get(id).filter(|it| it.orphans.contains_key(&instance)).map(Arc::clone)
        else {
            return false;
        };
        let orphans = node.orphans.without(&instance);
        self.put_orphans(&node, orphans);
        true
    }

    fn put_orphans(&mut self, node: &Node, orphans: OrdMap<InstanceId, Orphan>) {
        self.put_node(Node { orphans, ..node.clone() });
        self.event(Event::OrphansChanged { node: node.id().clone() });
    }
}

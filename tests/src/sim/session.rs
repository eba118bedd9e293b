//! One agent's connection, as a leading member keeps it: what it was sent, and what is new for it.
//!
//! The same rules as in `scheduler::link`, without its sockets.

use cluster::agent::ToAgent;
use cluster::{Goal, InstanceId, NodeId, State, Version};
use std::collections::BTreeMap;

/// One agent's connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Set when the agent is registered.
    pub(super) node: Option<NodeId>,
    /// For each instance whether it shall stop, and the app's version whose policy the agent knows.
    sent: BTreeMap<InstanceId, (bool, Version)>,
    opened: bool,
}

impl Session {
    /// Whether nothing was sent yet.
    pub(super) const fn is_new(&self) -> bool {
        !self.opened
    }

    /// What is new for the agent, if anything is.
    pub(super) fn news(&mut self, state: &State) -> Option<ToAgent> {
        let node = state.node(self.node.as_ref()?)?;
        let mut assignments = Vec::new();
        for instance in state.instances_on(node) {
            let policy = state.app(&instance.app).map_or(Version::default(), |it| it.current.version);
            let known = (instance.goal != Goal::Run, policy);
            if self.sent.insert(instance.id, known) != Some(known) {
                assignments.push(state.assignment(instance));
            }
        }
        let forget: Vec<InstanceId> = self.sent.keys().filter(|it| !node.instances.contains(*it)).copied().collect();
        for id in &forget {
            self.sent.remove(id);
        }
        let nothing = self.opened && assignments.is_empty() && forget.is_empty();
        self.opened = true;
        (!nothing).then(|| ToAgent::Assign { generation: state.index(), time: state.time(), assignments, forget })
    }
}

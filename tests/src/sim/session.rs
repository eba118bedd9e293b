//! One agent's connection, as a leading member keeps it.

use cluster::agent::ToAgent;
use cluster::{NodeId, State};
use scheduler::link::Sent;

/// One agent's connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Set when the agent is registered.
    pub(super) node: Option<NodeId>,
    sent: Sent,
}

impl Session {
    /// Whether nothing was sent yet.
    pub(super) const fn is_new(&self) -> bool {
        self.sent.is_new()
    }

    /// What is new for the agent, if anything is.
    pub(super) fn news(&mut self, state: &State) -> Option<ToAgent> {
        self.sent.news(state, self.node.as_ref()?)
    }
}

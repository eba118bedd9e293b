//! Raft messages between members: one TCP connection in each direction between any two.
//!
//! The one who dials sends, the other only listens; order is kept. What cannot be sent is dropped: raft sends again.
//! Threads with blocking sockets, not tasks: a message wakes one thread, on the receiving side, whatever the HTTP side
//! of the process is busy with, and that is most of what a commit costs.
//!
//! - `wire`: the bytes.
//! - `dial`: the sending side, one thread per peer.
//! - `listen`: the receiving side, one thread per connection; the port is shared with agents.
//! - `door`: where connections wait until they have said who they are.

mod dial;
mod door;
#[cfg(test)]
mod hostile;
mod listen;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use cluster::Moment;
use raft::eraftpb::Message;
use serde::{Deserialize, Serialize};

pub use listen::{Accepted, Listener, Refusal};
pub use wire::frame_bytes;

use crate::member::Reading;
use dial::Queue;

/// The version of what follows the greeting. Members of different versions do not talk.
pub const PROTOCOL: u32 = 2;

/// What a member says of itself when it dials another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The name of the cluster, from the configuration.
    pub cluster: String,
    /// Who dials.
    pub from: u64,
    /// Whom it means to reach.
    pub to: u64,
}

/// Who this member is and where the others are.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of the cluster. Another cluster's members are refused.
    pub cluster: String,
    /// This member.
    pub id: u64,
    /// All other members: `host:port`.
    pub addresses: BTreeMap<u64, String>,
}

/// What the transport has to tell its member. Called from the transport's threads; may block to slow them down.
pub type Inbox = Arc<dyn Fn(News) + Send + Sync>;

/// What happened on the way.
#[derive(Debug)]
pub enum News {
    /// Messages of another member, in order.
    Messages(Vec<Message>),
    /// What the clocks of this member showed, and when that came.
    Clock(u64, Reading, Instant),
    /// Nothing can be sent to this member at the moment.
    Unreachable(u64),
    /// This member's connection ended, and it has not made another one.
    Closed(u64),
    /// The snapshot for this member was sent, or could not be.
    SnapshotSent(u64, bool),
}

/// The ways to all other members. Dropping it closes them.
pub struct Peers {
    queues: BTreeMap<u64, Queue>,
}

impl Peers {
    /// Begins to dial every other member, again and again until it answers.
    pub fn dial(config: &Config, inbox: &Inbox) -> Self {
        let queues = config.addresses.iter().map(|(peer, address)| {
            let hello = Hello { protocol: PROTOCOL, cluster: config.cluster.clone(), from: config.id, to: *peer };
            (*peer, Queue::open(hello, address.clone(), Arc::clone(inbox)))
        });
        Self { queues: queues.collect() }
    }

    /// Tells all others what time it is in the cluster, and what the wall clock shows.
    pub fn tell(&self, moment: Moment) {
        self.queues.values().for_each(|it| it.tell(moment));
    }

    /// Sends messages, each to the member in its `to`. Never blocks; what finds no room is dropped.
    pub fn send(&mut self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let mut by_peer: BTreeMap<u64, Vec<Message>> = BTreeMap::new();
        for message in messages {
            by_peer.entry(message.to).or_default().push(message);
        }
        for (peer, messages) in by_peer {
            if let Some(queue) = self.queues.get(&peer) {
                queue.send(messages);
            }
        }
    }
}

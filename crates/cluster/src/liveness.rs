//! When a node is lost.
//!
//! Judged by the leader alone, from signs of life that stay out of the log; only the verdict is replicated. Silence
//! costs a node its instances, so there are three guards: a new leader gives every node the time that its agent may
//! take to find it, a leader that was paused itself forgives everybody, and when many nodes fall silent at once it is
//! more likely the leader who is cut off, and nothing is done.

use crate::model::{NodeId, Timestamp};
use crate::state::State;
use std::collections::BTreeMap;

/// A leader's judgement of its nodes. Its times are of a monotonic clock in milliseconds, not of the log's.
#[derive(Clone, Debug)]
pub struct Liveness {
    loss_after_ms: u64,
    /// So long a node that this leader has not heard of yet may stay silent.
    find_ms: u64,
    heard: BTreeMap<NodeId, Timestamp>,
    leading_since: Timestamp,
    judged_at: Timestamp,
    breaker_open: bool,
}

/// A leader that was not able to judge for so long was paused itself, if a node is given up later than after four
/// times as long: what it did not hear then must not count.
const OWN_PAUSE_MS: u64 = 2_000;

/// With fewer nodes than this the breaker stays out of it: one of two lost is no majority verdict.
const BREAKER_MIN_NODES: usize = 4;

impl Liveness {
    /// A judgement that starts now. Every node has `find_ms` to make itself heard, or `loss_after_ms` if that is
    /// longer; after that it may be silent for `loss_after_ms`.
    pub fn new(loss_after_ms: u64, find_ms: u64, now: Timestamp) -> Self {
        let find_ms = find_ms.max(loss_after_ms);
        Self { loss_after_ms, find_ms, heard: BTreeMap::new(), leading_since: now, judged_at: now, breaker_open: false }
    }

    /// Takes note of a sign of life.
    pub fn hear(&mut self, node: NodeId, now: Timestamp) {
        self.heard.insert(node, now);
    }

    /// Whether so many nodes are silent that none is given up.
    pub const fn breaker_open(&self) -> bool {
        self.breaker_open
    }

    /// The nodes to give up now. To be called several times a second.
    pub fn lost(&mut self, state: &State, now: Timestamp) -> Vec<NodeId> {
        if now.since_ms(self.judged_at) > OWN_PAUSE_MS.min(self.loss_after_ms / 4) {
            // The silence may have been ours.
            self.leading_since = now;
        }
        self.judged_at = now;
        self.heard.retain(|it, _| state.node(it).is_some());
        let silent = |node: &NodeId| match self.heard.get(node).filter(|it| **it > self.leading_since) {
            Some(heard) => now.since_ms(*heard) >= self.loss_after_ms,
            None => now.since_ms(self.leading_since) >= self.find_ms,
        };
        let alive = state.nodes().filter(|it| !it.is_lost());
        let lost: Vec<NodeId> = alive.map(|it| it.id()).filter(|it| silent(it)).cloned().collect();
        let n_alive = state.nodes().filter(|it| !it.is_lost()).count();
        self.breaker_open = n_alive >= BREAKER_MIN_NODES && lost.len() * 2 > n_alive;
        if self.breaker_open { Vec::new() } else { lost }
    }
}

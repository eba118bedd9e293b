//! When a node is lost.
//!
//! Judged by the leader alone, from signs of life that stay out of the log; only the verdict is replicated. Silence
//! costs a node its instances, so there are three guards: a new leader gives every node the time that its agent may
//! take to find it, a leader that was paused itself forgives everybody, and when many nodes fall silent at once it is
//! more likely the leader who is cut off, and nothing is done.

use crate::alarms::Alarms;
use crate::model::{NodeId, Timestamp};
use crate::state::State;
use crate::work;
use std::collections::{BTreeMap, BTreeSet};

/// A leader's judgement of its nodes. Its times are of a monotonic clock in milliseconds, not of the log's.
#[derive(Clone, Debug)]
pub struct Liveness {
    loss_after_ms: u64,
    /// So long a node that this leader has not heard of yet may stay silent.
    find_ms: u64,
    heard: BTreeMap<NodeId, Timestamp>,
    /// When a node that may be silent still is to be judged, or earlier.
    alarms: Alarms<NodeId>,
    /// Those that were silent for too long, also after they were given up.
    silent: BTreeSet<NodeId>,
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
    /// A judgement of the nodes in `state` that starts now. Every node has `find_ms` to make itself heard, or
    /// `loss_after_ms` if that is longer; after that it may be silent for `loss_after_ms`.
    pub fn new(state: &State, loss_after_ms: u64, find_ms: u64, now: Timestamp) -> Self {
        let mut res = Self {
            loss_after_ms,
            find_ms: find_ms.max(loss_after_ms),
            heard: BTreeMap::new(),
            alarms: Alarms::default(),
            silent: BTreeSet::new(),
            leading_since: now,
            judged_at: now,
            breaker_open: false,
        };
        state.nodes().for_each(|it| res.expect(it.id()));
        res
    }

    /// Awaits signs of life of a node that has come into the state.
    pub fn expect(&mut self, node: &NodeId) {
        if !self.silent.contains(node) {
            self.alarms.set(node.clone(), self.deadline(node));
        }
    }

    /// Takes note of a sign of life.
    pub fn hear(&mut self, node: NodeId, now: Timestamp) {
        self.silent.remove(&node);
        // One that is awaited already is judged again when its alarm rings.
        self.alarms.set(node.clone(), now.plus_ms(self.loss_after_ms));
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
            for node in std::mem::take(&mut self.silent) {
                self.expect(&node);
            }
        }
        self.judged_at = now;
        for node in self.alarms.due(now) {
            work::did(1);
            let deadline = self.deadline(&node);
            if state.node(&node).is_none() {
                self.heard.remove(&node);
            } else if deadline > now {
                self.alarms.set(node, deadline);
            } else {
                self.silent.insert(node);
            }
        }
        self.silent.retain(|it| state.node(it).is_some());
        let is_alive = |it: &NodeId| state.node(it).is_some_and(|it| !it.is_lost());
        let lost: Vec<NodeId> = self.silent.iter().filter(|it| is_alive(it)).cloned().collect();
        work::did(self.silent.len());
        // Where nobody is silent nobody need be counted.
        self.breaker_open = !lost.is_empty() && {
            let n_alive = state.nodes().filter(|it| !it.is_lost()).count();
            n_alive >= BREAKER_MIN_NODES && lost.len() * 2 > n_alive
        };
        if self.breaker_open { Vec::new() } else { lost }
    }

    /// Until when a node may be silent.
    fn deadline(&self, node: &NodeId) -> Timestamp {
        match self.heard.get(node).filter(|it| **it > self.leading_since) {
            Some(heard) => heard.plus_ms(self.loss_after_ms),
            None => self.leading_since.plus_ms(self.find_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const LOSS_AFTER_MS: u64 = 10_000;

    #[test]
    fn at_rest_nodes_are_looked_at_when_their_time_may_be_over_not_at_each_tick() {
        let state = testing::cluster_of(100);
        let mut liveness = Liveness::new(&state, LOSS_AFTER_MS, 0, Timestamp(0));
        let looked = work::of(|| {
            for now in (100..=60_000).step_by(100) {
                if now % 800 == 0 {
                    state.nodes().for_each(|it| liveness.hear(it.id().clone(), Timestamp(now)));
                }
                assert_eq!(liveness.lost(&state, Timestamp(now)), []);
            }
        });
        assert!((500..=800).contains(&looked), "a minute is six patiences of 100 nodes: {looked}");
    }

    #[test]
    fn one_that_speaks_again_before_it_is_given_up_is_there() {
        let state = testing::cluster_of(3);
        let names: Vec<NodeId> = state.nodes().map(|it| it.id().clone()).collect();
        let mut liveness = Liveness::new(&state, LOSS_AFTER_MS, 0, Timestamp(0));
        for now in (100..=30_000).step_by(100) {
            let lost = liveness.lost(&state, Timestamp(now));
            assert_eq!(lost, if now == 10_000 { names.clone() } else { Vec::new() }, "at {now}");
            if now >= 10_000 {
                for it in &names {
                    liveness.hear(it.clone(), Timestamp(now));
                }
            }
        }
    }

    #[test]
    fn nodes_that_come_later_are_awaited_and_those_that_went_are_nobodys_business() {
        let (two, three) = (testing::cluster_of(2), testing::cluster_of(3));
        let mut liveness = Liveness::new(&two, LOSS_AFTER_MS, 15_000, Timestamp(0));
        let names: Vec<NodeId> = three.nodes().map(|it| it.id().clone()).collect();
        liveness.expect(&names[2]);
        let mut lost = |state: &State, from: u64, to: u64| {
            let mut lost = Vec::new();
            for now in (from..=to).step_by(100) {
                for it in &names[..2] {
                    liveness.hear(it.clone(), Timestamp(now));
                }
                lost = liveness.lost(state, Timestamp(now));
            }
            lost
        };
        assert_eq!(lost(&three, 100, 14_900), []);
        assert_eq!(lost(&three, 15_000, 15_000), names[2..], "it was never heard of");
        assert_eq!(lost(&two, 15_100, 15_100), [], "it was removed");
        assert_eq!(lost(&three, 15_200, 60_000), [], "and nothing is left of it");
    }
}

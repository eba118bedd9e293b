//! What was told to the scheduler: the last value wins, nothing queues.

use super::{Observation, Seen};
use crate::model::{InstanceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A report that is not acknowledged for so long was lost with its leader, milliseconds.
const ACKNOWLEDGED_WITHIN_MS: u64 = 10_000;

/// No report has more observations; the rest follows in the next.
const MAX_OBSERVATIONS: usize = 1_000;

/// What was told on this connection, and what is still to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Reporter {
    connected: bool,
    sequence: u64,
    /// The report under way: one at a time, so that changes meanwhile go together in the next.
    awaited: Option<(u64, Timestamp)>,
    told: BTreeMap<InstanceId, Seen>,
    pending: BTreeSet<InstanceId>,
}

impl Reporter {
    /// A connection begins: everything is told again.
    pub(super) fn connected(&mut self, instances: impl Iterator<Item = InstanceId>) {
        *self = Self { connected: true, pending: instances.collect(), ..Self::default() };
    }

    /// The connection ended.
    pub(super) fn disconnected(&mut self) {
        *self = Self::default();
    }

    /// Something about the instance may be news.
    pub(super) fn changed(&mut self, instance: InstanceId) {
        if self.connected {
            self.pending.insert(instance);
        }
    }

    /// The instance is no longer spoken of.
    pub(super) fn forget(&mut self, instance: InstanceId) {
        self.told.remove(&instance);
        self.pending.remove(&instance);
    }

    /// A report is in the log.
    pub(super) fn acknowledged(&mut self, sequence: u64) {
        if self.awaited.is_some_and(|(awaited, _)| awaited <= sequence) {
            self.awaited = None;
        }
    }

    /// Whether a report was lost.
    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        self.awaited.is_some_and(|(_, until)| until <= now)
    }

    /// When [`Reporter::is_overdue`] turns.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.awaited.map(|(_, until)| until)
    }

    /// The next report, if there is news and none is under way.
    pub(super) fn take(
        &mut self,
        seen: impl Fn(InstanceId) -> Option<Seen>,
        now: Timestamp,
    ) -> Option<(u64, Vec<Observation>)> {
        if !self.connected || self.awaited.is_some() {
            return None;
        }
        let mut observations = Vec::new();
        while observations.len() < MAX_OBSERVATIONS {
            let Some(instance) = self.pending.pop_first() else { break };
            if let Some(seen) = seen(instance)
                && self.told.get(&instance) != Some(&seen)
            {
                self.told.insert(instance, seen.clone());
                observations.push(Observation { instance, seen });
            }
        }
        if observations.is_empty() {
            return None;
        }
        self.sequence += 1;
        self.awaited = Some((self.sequence, now.plus_ms(ACKNOWLEDGED_WITHIN_MS)));
        Some((self.sequence, observations))
    }
}

//! What was told to the scheduler: the last value wins, nothing queues.

use super::Observation;
use super::bounds::{bound_observation, weight};
use crate::model::{InstanceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A report that is not acknowledged for so long was lost with its leader, milliseconds.
const ACKNOWLEDGED_WITHIN_MS: u64 = 10_000;

/// No report has more observations; the rest follows in the next.
const MAX_OBSERVATIONS: usize = 1_000;

/// Nor more bytes than this and one observation: it must fit into one command, of 1 MiB.
const MAX_BYTES: usize = 256 << 10;

/// What was told on this connection, and what is still to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Reporter {
    connected: bool,
    sequence: u64,
    /// The report under way: one at a time, so that changes meanwhile go together in the next.
    awaited: Option<(u64, Timestamp)>,
    told: BTreeMap<InstanceId, Observation>,
    pending: BTreeSet<InstanceId>,
    /// Reservations whose volumes were destroyed; told until a scheduler has it in the log.
    destroyed: BTreeSet<InstanceId>,
    /// Those of the report under way.
    told_destroyed: Vec<InstanceId>,
}

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Counts the reports of this connection.
    pub(super) sequence: u64,
    /// What was seen.
    pub(super) observations: Vec<Observation>,
    /// Reservations whose volumes were destroyed.
    pub(super) destroyed: Vec<InstanceId>,
}

impl Reporter {
    /// A connection begins: everything is told again.
    pub(super) fn connected(&mut self, instances: impl Iterator<Item = InstanceId>) {
        let destroyed = std::mem::take(&mut self.destroyed);
        *self = Self { connected: true, pending: instances.collect(), destroyed, ..Self::default() };
    }

    /// The connection ended.
    pub(super) fn disconnected(&mut self) {
        *self = Self { destroyed: std::mem::take(&mut self.destroyed), ..Self::default() };
    }

    /// The volumes of a reservation were destroyed.
    pub(super) fn destroyed(&mut self, reservation: InstanceId) {
        self.destroyed.insert(reservation);
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
            for reservation in std::mem::take(&mut self.told_destroyed) {
                self.destroyed.remove(&reservation);
            }
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
        observe: impl Fn(InstanceId) -> Option<Observation>,
        now: Timestamp,
    ) -> Option<Report> {
        if !self.connected || self.awaited.is_some() {
            return None;
        }
        let (mut observations, mut bytes) = (Vec::new(), 0);
        while observations.len() < MAX_OBSERVATIONS && bytes < MAX_BYTES {
            let Some(instance) = self.pending.pop_first() else { break };
            let observation = observe(instance).map(|mut it| {
                bound_observation(&mut it);
                it
            });
            if let Some(observation) = observation
                && self.told.get(&instance) != Some(&observation)
            {
                bytes += weight(&observation);
                self.told.insert(instance, observation.clone());
                observations.push(observation);
            }
        }
        if observations.is_empty() && self.destroyed.is_empty() {
            return None;
        }
        self.sequence += 1;
        self.awaited = Some((self.sequence, now.plus_ms(ACKNOWLEDGED_WITHIN_MS)));
        self.told_destroyed = self.destroyed.iter().copied().collect();
        Some(Report { sequence: self.sequence, observations, destroyed: self.told_destroyed.clone() })
    }
}

//! Volumes that are to be destroyed: only on an explicit order, and never while a container still has them.

use super::Agent;
use crate::agent::{Container, Note, Output};
use crate::model::{InstanceId, Timestamp};

/// The pause before a destruction that failed, or has to wait, is tried again, milliseconds; doubles up to
/// [`AGAIN_MAX_MS`].
const AGAIN_MS: u64 = 500;

/// The longest such pause, milliseconds.
const AGAIN_MAX_MS: u64 = 30_000;

/// A reservation whose volumes are to be destroyed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doomed {
    /// It is being done.
    pub(super) busy: bool,
    /// Not before this.
    pub(super) retry_at: Timestamp,
    tries: u32,
}

impl Doomed {
    fn pause(&mut self, now: Timestamp) {
        self.busy = false;
        self.retry_at = now.plus_ms(AGAIN_MS.saturating_mul(1 << self.tries.min(10)).min(AGAIN_MAX_MS));
        self.tries = self.tries.saturating_add(1);
    }
}

impl Agent {
    /// Takes in the order to destroy.
    pub(super) fn doom(&mut self, reservations: &[InstanceId]) {
        for reservation in reservations {
            self.doomed.entry(*reservation).or_default();
        }
    }

    pub(super) fn destroy_doomed(&mut self, now: Timestamp) {
        // Before the first list nothing is known of containers.
        if self.cluster.is_none() || !self.engine.listed {
            return;
        }
        for (reservation, doomed) in self.doomed.iter_mut().filter(|it| !it.1.busy && it.1.retry_at <= now) {
            let has_it = |it: &crate::agent::known::Known| {
                it.assignment.reservation == Some(*reservation)
                    && (it.busy.is_some() || it.container != Some(Container::Absent))
            };
            if self.instances.values().any(has_it) {
                doomed.pause(now);
            } else {
                doomed.busy = true;
                self.outputs.push(Output::Destroy { reservation: *reservation });
            }
        }
    }

    pub(super) fn take_destruction(&mut self, reservation: InstanceId, result: Result<(), String>, now: Timestamp) {
        let Some(doomed) = self.doomed.get_mut(&reservation) else { return };
        match result {
            Ok(()) => {
                self.doomed.remove(&reservation);
                self.reporter.destroyed(reservation);
            }
            Err(message) => {
                doomed.pause(now);
                self.outputs.push(Output::Note(Note::NotDestroyed { reservation, message }));
            }
        }
    }
}

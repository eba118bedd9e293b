//! Points in time, as the leader stamps them into log entries.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC. Stamped by the leader, monotone along the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// A version of an app is named by the moment at which it was accepted, as Marathon does; unique per app.
pub type Version = Timestamp;

impl Timestamp {
    /// The time `ms` milliseconds later; stays at the end of time instead of overflowing.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; 0 if `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

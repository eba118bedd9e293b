//! The one place where the agent reads the time.

use cluster::Timestamp;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time at the start, moved on by the monotonic clock: it never goes back, and a jump of the machine's
/// clock neither ends a grace period nor starts one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_at: Timestamp,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_at: Timestamp(since_epoch.as_millis() as u64) }
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.started_at.plus_ms(self.started.elapsed().as_millis() as u64)
    }

    /// When a moment of this clock comes, for the runtime's timers.
    pub(crate) fn instant(&self, time: Timestamp) -> Instant {
        self.started + Duration::from_millis(time.since_ms(self.started_at))
    }
}

//! Tells operators when a clock is wrong.

use crate::member::Now;

/// Clocks that are kept by NTP differ by some milliseconds.
const WRONG_MS: u64 = 2_000;

/// What was seen of this machine's clock, and told.
#[derive(Default)]
pub(super) struct Clocks {
    last: Option<Now>,
    differs: bool,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The wall clock was set forward or back, by so many milliseconds.
    Set(i64),
    /// It is so far ahead of the middle one of the members' clocks.
    Differs(i64),
    /// It agrees with the others again.
    Agrees,
}

impl Clocks {
    /// Looks at the clocks at `now`; the wall clock is `ahead_ms` ahead of the cluster's calendar.
    pub(super) fn look(&mut self, now: Now, ahead_ms: i64) -> Vec<Notice> {
        let mut notices = Vec::new();
        if let Some(last) = self.last.replace(now) {
            let expected = last.wall_ms.saturating_add(now.steady_ms.saturating_sub(last.steady_ms));
            let set_by = now.wall_ms.wrapping_sub(expected).cast_signed();
            if set_by.unsigned_abs() >= WRONG_MS {
                notices.push(Notice::Set(set_by));
            }
        }
        let differs = ahead_ms.unsigned_abs() >= WRONG_MS;
        if differs != self.differs {
            self.differs = differs;
            notices.push(if differs { Notice::Differs(ahead_ms) } else { Notice::Agrees });
        }
        notices
    }
}

impl Notice {
    pub(super) fn log(self) {
        match self {
            Self::Set(by_ms) => tracing::warn!(
                by_ms,
                "this machine's clock was set; delays and deadlines do not go by it, what is shown does"
            ),
            Self::Differs(ahead_ms) => tracing::error!(
                ahead_ms,
                "this machine's clock differs from those of the other members: see that all are kept by NTP"
            ),
            Self::Agrees => tracing::info!("this machine's clock agrees with those of the other members again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_or_differs_is_told_of_once() {
        let mut clocks = Clocks::default();
        let mut look = |steady_ms, wall_ms, ahead_ms| clocks.look(Now { steady_ms, wall_ms }, ahead_ms);
        assert_eq!(look(0, 1_000_000, 0), []);
        assert_eq!(look(10_000, 1_010_900, 1_999), [], "it drifts");
        assert_eq!(look(11_000, 4_611_900, 3_600_000), [Notice::Set(3_600_000), Notice::Differs(3_600_000)]);
        assert_eq!(look(12_000, 4_612_900, 3_600_000), []);
        assert_eq!(look(13_000, 1_013_900, 0), [Notice::Set(-3_600_000), Notice::Agrees]);
        assert_eq!(look(14_000, 0, -5_000), [Notice::Set(-1_014_900), Notice::Differs(-5_000)]);
        look(u64::MAX, u64::MAX, i64::MIN);
    }
}

//! Points in time, as the leader stamps them into log entries: one of the calendar, for people, with how it is written;
//! and one of the cluster's own time, for everything that is waited for.
//!
//! Wall clocks are set, and sometimes wrongly; whoever counts a delay by them waits for as long as they were wrong. So
//! nothing is decided by a [`Timestamp`]: it names versions, and it is shown.

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where counting begins.
const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// How long a moment is without its decimals and the `Z`.
const SECONDS_LEN: usize = "yyyy-MM-ddTHH:mm:ss".len();

/// Milliseconds since the Unix epoch, UTC, by the members' wall clocks: for people, and for names. Stamped by the leader;
/// it goes back along the log where a clock was wrong and was corrected.
///
/// Written as Marathon writes it, always with three decimals: `2026-11-21T05:42:09.123Z`. One beyond the year 9999 is
/// written as the last before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// A point of the cluster's own time: for how many milliseconds it was led before, by the monotonic clock of whoever led.
///
/// It never goes back, and goes on at the pace of real time whatever wall clocks say; it stands still while nobody leads.
/// Everything that lasts is counted in it: delays, deadlines, grace periods, how long something lived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

/// A version of an app is named by the time at which it was accepted, as Marathon does; unique per app.
pub type Version = Timestamp;

/// A text is no moment as [`Timestamp`] is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no moment such as 2026-11-21T05:42:09.123Z")]
pub struct NoMoment;

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

impl Moment {
    /// The moment `ms` milliseconds later; stays at the end of time instead of overflowing.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; 0 if `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = SignedDuration::from_millis(i64::try_from(self.0).unwrap_or(i64::MAX));
        write!(f, "{:.3}Z", EPOCH.saturating_add(since))
    }
}

impl FromStr for Timestamp {
    type Err = NoMoment;

    /// Reads a moment as it is written; decimals may be absent or one to three.
    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let local = text.strip_suffix('Z').ok_or(NoMoment)?;
        let moment: DateTime = local.parse().map_err(|_| NoMoment)?;
        let found = Self(u64::try_from(moment.duration_since(EPOCH).as_millis()).map_err(|_| NoMoment)?);
        // What others write in other ways is not what a version is called.
        let (seconds, decimals) = local.split_at_checked(SECONDS_LEN).ok_or(NoMoment)?;
        let fits = decimals.is_empty() || decimals.starts_with('.') && matches!(decimals.len(), 2..=4);
        if fits && found.to_string().starts_with(seconds) { Ok(found) } else { Err(NoMoment) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_440_628_404_225, "2015-08-26T22:33:24.225Z"),
            (1_795_239_729_123, "2026-11-21T05:42:09.123Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(ms)), "{text}");
        }
        for day in 0..400 * 366 {
            let time = Timestamp(day * 86_400_000 + 12_345);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        assert_eq!(Timestamp(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        for (text, ms) in [("", 0), (".2", 200), (".22", 220), (".225", 225)] {
            assert_eq!(format!("2015-08-26T22:33:24{text}Z").parse(), Ok(Timestamp(1_440_628_404_000 + ms)));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "Z",
            "now",
            "2015-08-26",
            "2015-08-26Z",
            "2015-08-26T22:33:24.225",
            "2015-02-29T00:00:00.000Z",
            "2015-13-01T00:00:00.000Z",
            "10000-01-01T00:00:00.000Z",
            "1969-12-31T00:00:00.000Z",
            "2015-08-26T24:00:00.000Z",
            "2015-08-26T22:33:24.2255Z",
            "2015-08-26T22:33:24.Z",
            "2015-08-26T22:33:24,225Z",
            "2015-08-26T22:33:60Z",
            "2015-08-26 22:33:24Z",
            "2015-08-26t22:33:24Z",
            "20150826T223324Z",
            "2015-08-26T22:33Z",
            "+015-08-26T22:33:24.225Z",
            "+002015-08-26T22:33:24Z",
            "2015-08-26T22:33:24.225+02:00Z",
            "2015-08-26T22:33:24.22\u{e9}Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NoMoment), "{text:?}");
        }
    }
}

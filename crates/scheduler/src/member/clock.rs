//! What time it is in the cluster, as one member knows it.
//!
//! Two answers to two questions. *How long does it last*: the cluster's own time, which every member carries on by its
//! monotonic clock from what it last heard, and which whoever leads stamps on entries. *What does the calendar say*:
//! of the wall clocks of all members that are heard of, the middle one; so one that is wrong makes nothing wrong.

use std::collections::BTreeMap;

use cluster::{Moment, Timestamp};

use crate::machine::Stamp;

/// The two clocks of a machine, read at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since some point before the member's start: never goes back.
    pub steady_ms: u64,
    /// Milliseconds since the Unix epoch, as far as the machine knows: may go anywhere at any time.
    pub wall_ms: u64,
}

/// What a member tells the others about time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Its wall clock.
    pub wall_ms: u64,
    /// The cluster's own time, as it knows it.
    pub moment: Moment,
}

/// What was heard longer ago counts no more: its member may be gone, or its clock set.
const HEARD_MS: u64 = 10_000;

/// Less is no correction: the calendar stands still for so long instead of going back.
const CORRECTION_MS: u64 = 1_000;

/// A member is at most so far ahead of another that was away. More cannot be true: ten years.
const AWAY_MS_MAX: u64 = 10 * 366 * 86_400_000;

pub(super) struct Clock {
    /// The cluster's own time was this …
    moment: Moment,
    /// … when the steady clock showed this.
    at_ms: u64,
    now: Now,
    /// The wall clocks of others: how far ahead of this member's steady clock, and when that was heard.
    others: BTreeMap<u64, (i64, u64)>,
    /// The calendar's last stamp in the log.
    stamped: Timestamp,
}

impl Clock {
    pub(super) fn new(moment: Moment, now: Now) -> Self {
        Self { moment, at_ms: now.steady_ms, now, others: BTreeMap::new(), stamped: Timestamp::default() }
    }

    pub(super) fn set(&mut self, now: Now) {
        let steady_ms = self.now.steady_ms.max(now.steady_ms);
        self.now = Now { steady_ms, ..now };
    }

    /// What deadlines of this member are counted by.
    pub(super) fn steady_ms(&self) -> u64 {
        self.now.steady_ms
    }

    /// The cluster's own time.
    pub(super) fn moment(&self) -> Moment {
        self.moment.plus_ms(self.now.steady_ms - self.at_ms)
    }

    /// The stamp for an entry that is proposed now.
    pub(super) fn stamp(&self) -> Stamp {
        let (wall, last) = (self.calendar_ms(), self.stamped.0);
        let goes_back_a_little = wall < last && last - wall < CORRECTION_MS;
        Stamp { time: Timestamp(if goes_back_a_little { last } else { wall }), moment: self.moment() }
    }

    /// Takes note of the stamp of an entry that was applied.
    pub(super) fn applied(&mut self, stamp: Stamp) {
        self.stamped = stamp.time;
        self.carry_on(stamp.moment);
    }

    /// It is at least so late. Never goes back: a moment from the past says nothing.
    pub(super) fn carry_on(&mut self, moment: Moment) {
        if moment > self.moment() {
            (self.moment, self.at_ms) = (moment, self.now.steady_ms);
        }
    }

    /// Takes note of another member's clocks.
    pub(super) fn heard(&mut self, from: u64, reading: Reading) {
        let ahead = reading.wall_ms.cast_signed().wrapping_sub(self.now.steady_ms.cast_signed());
        self.others.insert(from, (ahead, self.now.steady_ms));
        if reading.moment.since_ms(self.moment()) <= AWAY_MS_MAX {
            self.carry_on(reading.moment);
        }
    }

    pub(super) fn reading(&self) -> Reading {
        Reading { wall_ms: self.now.wall_ms, moment: self.moment() }
    }

    /// How far this member's wall clock is ahead of the cluster's calendar.
    pub(super) fn ahead_ms(&self) -> i64 {
        self.now.wall_ms.cast_signed().saturating_sub(self.calendar_ms().cast_signed())
    }

    /// The middle one of all wall clocks; of two the earlier: what was stamped too late cannot be taken back.
    fn calendar_ms(&self) -> u64 {
        let Now { steady_ms, wall_ms } = self.now;
        let fresh = self.others.values().filter(|(_, at)| steady_ms - at <= HEARD_MS);
        let others = fresh.map(|(ahead, _)| steady_ms.cast_signed().wrapping_add(*ahead).cast_unsigned());
        let mut all: Vec<u64> = others.chain([wall_ms]).collect();
        all.sort_unstable();
        all[(all.len() - 1) / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn now(steady_ms: u64, wall_ms: u64) -> Now {
        Now { steady_ms, wall_ms }
    }

    fn wall(wall_ms: u64) -> Reading {
        Reading { wall_ms, moment: Moment(0) }
    }

    #[test]
    fn own_time_goes_on_at_the_pace_of_the_steady_clock_whatever_the_wall_says() {
        let mut clock = Clock::new(Moment(500), now(100, 50 * HOUR));
        for (steady, wall) in [(1_100, 51 * HOUR), (2_100, 1), (3_100, 20_000 * HOUR), (2_000, 50 * HOUR)] {
            clock.set(now(steady, wall));
        }
        assert_eq!(clock.moment(), Moment(3_500));
        clock.carry_on(Moment(2_000));
        assert_eq!(clock.moment(), Moment(3_500), "the past says nothing");
        clock.applied(Stamp { time: Timestamp(7), moment: Moment(9_000) });
        clock.set(now(3_200, 0));
        assert_eq!(clock.moment(), Moment(9_100));
    }

    #[test]
    fn a_member_that_was_away_learns_how_late_it_is_and_nothing_impossible() {
        let mut clock = Clock::new(Moment(1), now(0, 0));
        clock.heard(2, Reading { wall_ms: 0, moment: Moment(HOUR) });
        assert_eq!(clock.moment(), Moment(HOUR));
        clock.heard(2, Reading { wall_ms: 0, moment: Moment(u64::MAX) });
        assert_eq!(clock.moment(), Moment(HOUR));
    }

    #[test]
    fn one_wrong_clock_of_three_is_not_believed_and_knows_it() {
        let mut clock = Clock::new(Moment(1), now(0, 100 * HOUR));
        assert_eq!(clock.stamp().time, Timestamp(100 * HOUR), "there is no other");
        clock.heard(2, wall(10 * HOUR));
        assert_eq!(clock.stamp().time, Timestamp(10 * HOUR), "of two the earlier");
        clock.heard(3, wall(10 * HOUR + 1_000));
        clock.set(now(500, 100 * HOUR));
        assert_eq!(clock.stamp().time, Timestamp(10 * HOUR + 1_500));
        assert_eq!(clock.ahead_ms(), (90 * HOUR - 1_500).cast_signed());
        clock.set(now(501, 0));
        assert_eq!(clock.stamp().time, Timestamp(10 * HOUR + 501), "the middle one");
        clock.set(now(HEARD_MS + 1, 7 * HOUR));
        assert_eq!((clock.stamp().time, clock.ahead_ms()), (Timestamp(7 * HOUR), 0), "nobody is heard");
    }

    #[test]
    fn the_calendar_is_corrected_and_does_not_tremble() {
        let mut clock = Clock::new(Moment(1), now(0, 10 * HOUR));
        clock.applied(clock.stamp());
        clock.set(now(1, 10 * HOUR - CORRECTION_MS + 1));
        assert_eq!(clock.stamp().time, Timestamp(10 * HOUR));
        clock.set(now(2, 10 * HOUR - CORRECTION_MS));
        assert_eq!(clock.stamp().time, Timestamp(10 * HOUR - CORRECTION_MS));
    }

    #[test]
    fn no_reading_overflows() {
        for wall_ms in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            for own in [0, u64::MAX] {
                let mut clock = Clock::new(Moment(u64::MAX - 1), now(5, own));
                clock.heard(2, Reading { wall_ms, moment: Moment(u64::MAX) });
                clock.set(now(100, own));
                let _ = (clock.stamp(), clock.ahead_ms(), clock.reading());
            }
        }
    }
}

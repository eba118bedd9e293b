//! Which lines are wanted.

use super::pieces::Whole;
use cluster::Stream;
use cluster::pattern::Search;

/// How far lines may be out of the order of time in one log: those of two streams, and long ones, which bear the time at
/// which they began. Beyond that nothing is looked for before `since` or behind `until`.
pub(super) const DISORDER_NS: u64 = 10_000_000_000;

/// Which lines are wanted; all, unless something is said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// From this time on, in nanoseconds since the epoch.
    pub(crate) since_ns: Option<u64>,
    /// Before this time.
    pub(crate) until_ns: Option<u64>,
    /// Only this stream.
    pub(crate) stream: Option<Stream>,
    /// Only lines in which this is found.
    pub(crate) search: Option<Search>,
    /// Only lines in which it is not found.
    pub(crate) is_inverted: bool,
}

impl Filter {
    /// Whether the line is wanted.
    pub(super) fn passes(&self, line: &Whole) -> bool {
        self.since_ns.is_none_or(|it| line.time_ns >= it)
            && self.until_ns.is_none_or(|it| line.time_ns < it)
            && self.stream.is_none_or(|it| line.stream == it)
            && self.search.as_ref().is_none_or(|it| it.is_in(&line.text) != self.is_inverted)
    }

    /// Whether nothing that is wanted can follow such a line.
    pub(super) fn ends_before(&self, line: &Whole) -> bool {
        self.until_ns.is_some_and(|it| line.time_ns >= it.saturating_add(DISORDER_NS))
    }

    /// The time of the earliest entry that has to be looked at.
    pub(super) fn earliest_ns(&self) -> Option<u64> {
        self.since_ns.map(|it| it.saturating_sub(DISORDER_NS))
    }
}

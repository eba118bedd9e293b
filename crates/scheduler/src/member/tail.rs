//! The log's tail in memory, as raft reads it.

use std::cell::Cell;
use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

use super::batch::entry_bytes;
use crate::log::{Mark, Recovered};

/// What stays in memory in front of a snapshot: both are upper limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    pub(super) entries: u64,
    pub(super) bytes: usize,
}

/// All entries behind the last compaction. What raft reads here has been handed to the disk, and for the most part
/// synced: raft itself knows how far.
pub(super) struct Tail {
    hard_state: HardState,
    conf_state: ConfState,
    /// The entry before the first one.
    base: Mark,
    entries: VecDeque<Entry>,
    /// What they take in messages together.
    bytes: usize,
    /// The state that a member too far behind is sent.
    snapshot: Option<Snapshot>,
    /// Set when raft asked for a snapshot that is not at hand.
    wanted: Cell<bool>,
}

impl Tail {
    /// Starts from what the disk held. `voters` counts only when there is no snapshot that says who votes.
    pub(super) fn new(recovered: &mut Recovered, voters: &[u64]) -> Self {
        let snapshot = recovered.snapshot.as_ref();
        let entries: VecDeque<_> = std::mem::take(&mut recovered.entries).into();
        Self {
            hard_state: recovered.hard_state.clone(),
            conf_state: snapshot
                .map_or_else(|| ConfState::from((voters.to_vec(), Vec::new())), crate::log::SnapshotFile::conf_state),
            base: snapshot.map(|it| it.mark).unwrap_or_default(),
            bytes: entries.iter().map(entry_bytes).sum(),
            entries,
            snapshot: None,
            wanted: Cell::new(false),
        }
    }

    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let keep = first.index.checked_sub(self.base.index + 1);
        let keep = keep.expect("raft never replaces what was compacted") as usize;
        assert!(keep <= self.entries.len(), "raft appends without gaps");
        self.bytes -= self.entries.range(keep..).map(entry_bytes).sum::<usize>();
        self.entries.truncate(keep);
        self.bytes += entries.iter().map(entry_bytes).sum::<usize>();
        self.entries.extend(entries.iter().cloned());
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(super) fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
    }

    pub(super) fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    /// Replaces everything by a snapshot from the leader.
    pub(super) fn install(&mut self, mark: Mark, conf_state: ConfState) {
        self.base = mark;
        self.entries.clear();
        self.bytes = 0;
        self.conf_state = conf_state;
        self.hard_state.commit = self.hard_state.commit.max(mark.index);
        self.snapshot = None;
    }

    /// Forgets entries that the snapshot at `index` has, but for the last ones, of which so much is kept.
    pub(super) fn compact(&mut self, index: u64, keep: Keep) {
        let behind: usize = self.entries.iter().rev().take_while(|it| it.index > index).map(entry_bytes).sum();
        while let Some(first) = self.entries.front().filter(|it| it.index <= index)
            && (first.index + keep.entries <= index || self.bytes - behind > keep.bytes)
        {
            self.bytes -= entry_bytes(first);
            self.base = Mark { index: first.index, term: first.term };
            self.entries.pop_front();
        }
        if self.snapshot.as_ref().is_some_and(|it| it.get_metadata().index < self.base.index) {
            self.snapshot = None;
        }
    }

    /// Keeps a snapshot at hand for members that are too far behind, or drops it.
    pub(super) fn offer(&mut self, snapshot: Option<Snapshot>) {
        self.snapshot = snapshot.filter(|it| it.get_metadata().index >= self.base.index);
    }

    /// Returns whether raft asked for a snapshot in vain since the last call.
    pub(super) fn take_wanted(&self) -> bool {
        self.wanted.take()
    }

    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        let at = index.checked_sub(self.base.index + 1)?;
        self.entries.get(at as usize).map(|it| it.term)
    }
}

impl Storage for Tail {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.base.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        let start = (low - self.base.index - 1) as usize;
        let end = (high - self.base.index - 1) as usize;
        if end > self.entries.len() {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let max_size = max_size.into().unwrap_or(u64::MAX);
        let mut size = 0;
        // Not `limit_size` afterwards: a member far behind would make this clone the whole tail for each message.
        let entries = self.entries.range(start..end).enumerate().take_while(|(n, it)| {
            size += entry_bytes(it) as u64;
            *n == 0 || size <= max_size
        });
        Ok(entries.map(|(_, it)| it.clone()).collect())
    }

    fn term(&self, index: u64) -> Result<u64> {
        self.term_at(index).ok_or(Error::Store(if index < self.base.index {
            StorageError::Compacted
        } else {
            StorageError::Unavailable
        }))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.base.index + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.base.index + self.entries.len() as u64)
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> Result<Snapshot> {
        match &self.snapshot {
            Some(it) if it.get_metadata().index >= request_index.max(self.base.index) => Ok(it.clone()),
            _ => {
                self.wanted.set(true);
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(n: u64, bytes: usize) -> Tail {
        let mut tail = Tail::new(&mut Recovered::default(), &[1]);
        tail.append(&entries(1..=n, bytes));
        tail
    }

    fn entries(indexes: std::ops::RangeInclusive<u64>, bytes: usize) -> Vec<Entry> {
        let data = vec![7; bytes - super::super::batch::ENTRY_OVERHEAD];
        indexes.map(|index| Entry { index, term: 1, data: data.clone().into(), ..Entry::default() }).collect()
    }

    #[test]
    fn what_is_kept_in_front_of_a_snapshot_is_bounded_in_entries_and_in_bytes() {
        for (keep, first) in
            [((10, usize::MAX), 71), ((0, 0), 81), ((100, 2_000), 61), ((10, 2_000), 71), ((5, 400), 77)]
        {
            let mut tail = tail(100, 100);
            tail.compact(80, Keep { entries: keep.0, bytes: keep.1 });
            assert_eq!(tail.first_index(), Ok(first), "{keep:?}");
            assert_eq!(tail.bytes, 100 * (101 - first) as usize);
            assert_eq!(tail.last_index(), Ok(100));
        }
    }

    #[test]
    fn the_bytes_are_counted_through_whatever_happens_to_the_tail() {
        let mut tail = tail(10, 100);
        tail.append(&entries(5..=6, 1_000));
        assert_eq!(tail.bytes, 4 * 100 + 2 * 1_000);
        tail.compact(4, Keep { entries: 0, bytes: 0 });
        assert_eq!(tail.bytes, 2 * 1_000);
        tail.install(Mark { index: 20, term: 1 }, ConfState::default());
        assert_eq!(tail.bytes, 0);
        tail.append(&entries(21..=21, 100));
        assert_eq!(tail.bytes, 100);
    }
}

//! When to snapshot, and what became of snapshots sent to others.

use std::collections::BTreeMap;

use raft::eraftpb::{ConfState, Message, MessageType};
use raft::{RawNode, SnapshotStatus};

use super::Config;
use super::tail::{Keep, Tail};
use crate::log::{Mark, SnapshotFile};
use crate::machine::Machine;

/// Ticks for which a snapshot made for a member that is too far behind is kept for the next such member.
const OFFERED_TICKS: u64 = 600;

/// After a snapshot that could not be written, the next one is tried so many ticks later.
const PAUSE_TICKS: u64 = 100;

/// A snapshot to be made: encoding takes long, so it is done elsewhere.
pub struct Chore<M: Machine> {
    view: M::View,
    file: SnapshotFile,
}

impl<M: Machine> Chore<M> {
    /// Encodes the state. The file is to be written, then given to the member as
    /// [`Input::Snapshotted`](super::Input::Snapshotted). `next_frame` is the log's next number when the chore began.
    pub fn run(self, next_frame: u64) -> SnapshotFile {
        SnapshotFile { data: M::save(&self.view).into(), next_frame, ..self.file }
    }
}

/// The member's snapshots, its own and those under way to others.
pub(super) struct Snapshots {
    /// The newest one that is durable, and its length.
    newest: Mark,
    newest_bytes: usize,
    /// Bytes of the entries applied since the last one was begun.
    bytes_since: usize,
    in_progress: bool,
    /// Not to be tried before this tick.
    pause_until: u64,
    /// Somebody is too far behind for the log.
    wanted: bool,
    /// Until when it is kept at hand, in ticks.
    offered_until: u64,
    /// To whom one is under way, and since which tick.
    sending: BTreeMap<u64, u64>,
}

impl Snapshots {
    pub(super) fn new(newest: Option<&SnapshotFile>) -> Self {
        Self {
            newest: newest.map(|it| it.mark).unwrap_or_default(),
            newest_bytes: newest.map_or(0, |it| it.data.len()),
            bytes_since: 0,
            in_progress: false,
            pause_until: 0,
            wanted: false,
            offered_until: 0,
            sending: BTreeMap::new(),
        }
    }

    pub(super) fn is_due(&mut self, applied: Mark, wanted: bool, tick: u64, config: &Config) -> bool {
        self.wanted |= wanted;
        if self.in_progress || applied.index == 0 || tick < self.pause_until {
            return false;
        }
        let n_new = applied.index - self.newest.index;
        // A state is not written again before twice as much was written to the log, or writing it would be much of what
        // there is to do; but the time a restart takes to apply what is behind it stays bounded.
        let worth_it = self.bytes_since >= self.newest_bytes * 2 || n_new / 10 >= config.snapshot_entries;
        self.wanted
            || (n_new >= config.snapshot_entries && worth_it)
            || self.bytes_since >= config.snapshot_bytes.max(self.newest_bytes / 4)
    }

    /// Takes note of an entry that was applied.
    pub(super) fn applied(&mut self, bytes: usize) {
        self.bytes_since += bytes;
    }

    pub(super) fn begin<M: Machine>(&mut self, mark: Mark, conf_state: &ConfState, view: M::View) -> Chore<M> {
        self.in_progress = true;
        self.bytes_since = 0;
        Chore {
            view,
            file: SnapshotFile {
                mark,
                voters: conf_state.voters.clone(),
                learners: conf_state.learners.clone(),
                ..SnapshotFile::default()
            },
        }
    }

    /// Takes the result of a chore. Returns up to where the log is no longer needed.
    pub(super) fn finished(
        &mut self,
        file: Option<SnapshotFile>,
        tail: &mut Tail,
        keep: Keep,
        tick: u64,
    ) -> Option<u64> {
        self.in_progress = false;
        if file.is_none() {
            self.pause_until = tick + PAUSE_TICKS;
        }
        // One from the leader may have overtaken it.
        let file = file.filter(|it| it.mark.index >= self.newest.index)?;
        self.newest = file.mark;
        self.newest_bytes = file.data.len();
        if std::mem::take(&mut self.wanted) {
            tail.offer(Some(file.to_raft()));
            self.offered_until = u64::MAX;
        }
        tail.compact(file.mark.index, keep);
        Some(file.mark.index)
    }

    pub(super) fn installed(&mut self, file: &SnapshotFile) {
        self.newest = file.mark;
        self.newest_bytes = file.data.len();
        self.bytes_since = 0;
    }

    /// Notes which messages carry a snapshot.
    pub(super) fn sending(&mut self, messages: &[Message], tick: u64) {
        for message in messages {
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.sending.insert(message.to, tick);
                self.offered_until = tick + OFFERED_TICKS;
            }
        }
    }

    /// Tells raft what became of one. Without that raft sends its receiver nothing more.
    pub(super) fn sent(&mut self, raw: &mut RawNode<Tail>, peer: u64, arrived: bool) {
        if self.sending.remove(&peer).is_some() {
            raw.report_snapshot(peer, status(arrived));
        }
    }

    /// Gives up on those without news, and drops one that nobody asked for lately.
    pub(super) fn tick(&mut self, raw: &mut RawNode<Tail>, tick: u64, patience: u64) {
        self.sending.retain(|peer, since| {
            let keep = *since + patience > tick;
            if !keep {
                raw.report_snapshot(*peer, SnapshotStatus::Failure);
            }
            keep
        });
        if self.offered_until == tick {
            raw.mut_store().offer(None);
        }
    }
}

fn status(arrived: bool) -> SnapshotStatus {
    if arrived { SnapshotStatus::Finish } else { SnapshotStatus::Failure }
}

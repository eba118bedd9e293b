//! How a member behaves.

use raft::ReadOnlyOption;

/// The settings of one member. All but `id` and `incarnation` should be the same on all of them.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which member this is. Not 0.
    pub id: u64,
    /// All members of a new group. Afterwards the log says who belongs to it.
    pub voters: Vec<u64>,
    /// Another number at every start: answers to questions of an earlier start must not be taken for present ones.
    pub incarnation: u64,
    /// Ticks between two heartbeats of a leader.
    pub heartbeat_ticks: usize,
    /// A follower stands for election after so many ticks without a leader: at least the first number, less than the
    /// second. With two neighbouring numbers nothing is random.
    pub election_ticks: (usize, usize),
    /// How long a command or a read may wait for its answer, in milliseconds.
    pub patience_ms: u64,
    /// A command sent to the leader and not applied after so many ticks is sent again.
    pub resend_ticks: u64,
    /// Commands that may wait or be under way at once. Beyond it they are refused.
    pub proposals_max: usize,
    /// The longest command, in bytes.
    pub payload_bytes_max: usize,
    /// A snapshot is made when so many entries were applied since the last one …
    pub snapshot_entries: u64,
    /// … or when they have so many bytes.
    pub snapshot_bytes: usize,
    /// Entries kept in memory in front of a snapshot, for members that are a little behind …
    pub keep_entries: u64,
    /// … as long as they have no more bytes than this: a member that is further behind is sent the snapshot.
    pub keep_bytes: usize,
    /// Entries of one message have no more bytes than this, unless one alone has more.
    pub append_bytes: usize,
    /// A snapshot on its way counts as lost after so many ticks without news of it.
    pub snapshot_ticks: u64,
}

impl Config {
    /// Returns settings for ticks of 100 milliseconds.
    pub fn new(id: u64, voters: Vec<u64>) -> Self {
        Self {
            id,
            voters,
            incarnation: 0,
            heartbeat_ticks: 1,
            election_ticks: (8, 14),
            patience_ms: 10_000,
            resend_ticks: 10,
            proposals_max: 16_384,
            payload_bytes_max: 8 << 20,
            snapshot_entries: 10_000,
            snapshot_bytes: 64 << 20,
            keep_entries: 5_000,
            keep_bytes: 64 << 20,
            append_bytes: 1 << 20,
            snapshot_ticks: 300,
        }
    }

    /// Returns what raft-rs is told. Its defaults send one entry per message and let a cut-off member disturb.
    pub(super) fn raft(&self, applied: u64) -> raft::Config {
        raft::Config {
            id: self.id,
            applied,
            election_tick: self.election_ticks.0,
            min_election_tick: self.election_ticks.0,
            max_election_tick: self.election_ticks.1,
            heartbeat_tick: self.heartbeat_ticks,
            max_size_per_msg: self.append_bytes as u64,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            // Who follows hears what is committed with the next entries, or the next heartbeat: to tell it at once takes
            // as many messages as to commit it (docs/decisions/0041).
            skip_bcast_commit: true,
            // Never by lease: a paused leader would answer from the past.
            read_only_option: ReadOnlyOption::Safe,
            max_uncommitted_size: 128 << 20,
            max_committed_size_per_ready: 16 << 20,
            ..raft::Config::default()
        }
    }
}

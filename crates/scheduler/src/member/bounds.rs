//! What another member may say: what cannot be true is refused before raft believes it.
//!
//! raft trusts its peers. A term near the end of all numbers would be taken over, kept on disk and counted up at the
//! next election; an index beyond the log, or a snapshot that cannot be read, ends the process, at every start again.
//! None of that can come from a member that works, so none of it is listened to, whoever it is that speaks.

use protobuf::Message as _;
use raft::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType, Message, MessageType, Snapshot};
use raft::{Raft, StateRole};

use super::tail::Tail;
use crate::machine::Payload;

/// A member that was away finds the others at most so many terms ahead: an election ten times a second, for ten years.
/// To reach the end of all terms takes as many messages again.
const AWAY_TERMS_MAX: u64 = 1 << 32;

/// No log has more entries: a million a second, for a hundred thousand years.
const INDEX_MAX: u64 = 1 << 62;

/// A member knows of others' entries at most so many more than it has.
const AWAY_ENTRIES_MAX: u64 = 1 << 32;

/// Returns why a message cannot be true.
pub(super) fn check(raft: &Raft<Tail>, message: &Message) -> Result<(), &'static str> {
    let last = raft.raft_log.last_index();
    let known = last.saturating_add(AWAY_ENTRIES_MAX);
    let kind = message.get_msg_type();
    // What is forwarded to whoever leads has no term; what has none else is taken for this member's own.
    let forwarded = matches!(kind, MessageType::MsgPropose | MessageType::MsgReadIndex);
    ensure(forwarded == (message.term == 0), "it has no term")?;
    ensure(message.term <= raft.term.saturating_add(AWAY_TERMS_MAX), "its term cannot be true")?;
    ensure(message.index <= INDEX_MAX && message.commit <= INDEX_MAX, "its index cannot be true")?;
    match kind {
        MessageType::MsgAppend => check_append(message),
        MessageType::MsgSnapshot => check_snapshot(message.get_snapshot(), message.term, raft.id),
        MessageType::MsgHeartbeat => ensure(message.commit <= known, "it commits what cannot be there"),
        MessageType::MsgAppendResponse if raft.state == StateRole::Leader && message.term == raft.term => {
            let acknowledged = message.index <= last && message.request_snapshot <= last;
            ensure(acknowledged, "it acknowledges what this member never sent")?;
            ensure(message.reject_hint <= INDEX_MAX, "its index cannot be true")
        }
        MessageType::MsgReadIndex => ensure(message.get_entries().len() == 1, "it asks for nothing, or too much"),
        MessageType::MsgReadIndexResp => ensure(message.index <= known, "it was told what cannot be there"),
        // A leader hands over by its own decision; raft ends the process when it is to pass such a wish on.
        MessageType::MsgHup
        | MessageType::MsgTransferLeader
        | MessageType::MsgBeat
        | MessageType::MsgUnreachable
        | MessageType::MsgSnapStatus
        | MessageType::MsgCheckQuorum => Err("a member says that to itself only"),
        _ => Ok(()),
    }
}

fn check_append(message: &Message) -> Result<(), &'static str> {
    ensure((message.log_term == 0) == (message.index == 0), "what it follows cannot be there")?;
    let mut before = (message.index, message.log_term);
    for entry in message.get_entries() {
        ensure(entry.index == before.0 + 1, "its entries have gaps")?;
        let in_order = before.1.max(1) <= entry.term && entry.term <= message.term;
        ensure(in_order, "its entries are of terms that cannot be")?;
        ensure(is_readable(entry), "it has an entry that this program cannot read")?;
        before = (entry.index, entry.term);
    }
    Ok(())
}

/// Whether the entry can be opened. What a member cannot read it does not acknowledge, so no quorum commits it.
fn is_readable(entry: &Entry) -> bool {
    match entry.get_entry_type() {
        EntryType::EntryNormal => entry.data.is_empty() || Payload::open(&entry.data).is_ok(),
        EntryType::EntryConfChange => ConfChange::default().merge_from_bytes(&entry.data).is_ok(),
        EntryType::EntryConfChangeV2 => ConfChangeV2::default().merge_from_bytes(&entry.data).is_ok(),
    }
}

fn check_snapshot(snapshot: &Snapshot, term: u64, id: u64) -> Result<(), &'static str> {
    let metadata = snapshot.get_metadata();
    ensure((1..=INDEX_MAX).contains(&metadata.index), "its snapshot's index cannot be true")?;
    ensure((1..=term).contains(&metadata.term), "its snapshot's term cannot be true")?;
    ensure(is_group_with(metadata.get_conf_state(), id), "its snapshot is of a group that cannot be")
}

/// Whether it is a group, not about to change, that this member belongs to.
fn is_group_with(group: &ConfState, id: u64) -> bool {
    let mut all: Vec<u64> = group.voters.iter().chain(&group.learners).copied().collect();
    let n = all.len();
    all.sort_unstable();
    all.dedup();
    let settled = group.voters_outgoing.is_empty() && group.learners_next.is_empty() && !group.auto_leave;
    settled && !group.voters.is_empty() && all.len() == n && all.first() != Some(&0) && all.contains(&id)
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

//! Commands on their way into the log, from asked to answered.
//!
//! ```text
//! waiting ──flush──▶ pending (term T) ──applied──▶ answered
//!    ▲                  │
//!    └── an entry of a later term was applied: this one never will be
//! ```
//! A pending command belongs to exactly one term: the leader of another term refuses it. Terms never decrease along
//! the log, so the first applied entry of a later term proves that what has not been applied is lost, and it can be
//! proposed again without being done twice.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};

use super::{Refused, Ticket};
use crate::machine::{Payload, Stamp};

/// While so many commands or more are under way, others wait until they are as many.
const GATHER_MIN: usize = 8;

/// All commands asked of this member and not answered yet.
#[derive(Default)]
pub(super) struct Proposals {
    waiting: VecDeque<Waiting>,
    pending: BTreeMap<u64, Pending>,
    next_request: u64,
    /// To be answered.
    refused: Vec<(Ticket, Refused)>,
}

struct Waiting {
    ticket: Ticket,
    payload: Payload,
    deadline: u64,
    /// The only term in which it may be proposed, for commands that are bound to one.
    bound: Option<u64>,
}

struct Pending {
    ticket: Ticket,
    term: u64,
    deadline: u64,
    /// The tick of the last attempt.
    sent_at: u64,
    /// For another attempt.
    data: Bytes,
    /// It may be proposed in no other term.
    bound: bool,
}

/// Who asked for an entry: what stands in its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The member that was asked.
    pub(super) member: u64,
    /// Counts the starts of that member, or tells them apart otherwise.
    pub(super) incarnation: u64,
    /// Counts the proposals of that start.
    pub(super) request: u64,
    /// The only term in which it may enter the log.
    pub(super) term: u64,
}

impl Origin {
    pub(super) fn to_context(self) -> Bytes {
        let mut context = Vec::with_capacity(32);
        for number in [self.member, self.incarnation, self.request, self.term] {
            context.extend_from_slice(&number.to_le_bytes());
        }
        context.into()
    }

    pub(super) fn from_context(context: &[u8]) -> Option<Self> {
        let (numbers, rest) = context.as_chunks::<8>();
        let [member, incarnation, request, term] = *numbers else {
            return None;
        };
        rest.is_empty().then(|| Self {
            member: u64::from_le_bytes(member),
            incarnation: u64::from_le_bytes(incarnation),
            request: u64::from_le_bytes(request),
            term: u64::from_le_bytes(term),
        })
    }
}

impl Proposals {
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.pending.len()
    }

    /// Takes a command in, in `term`.
    pub(super) fn push(&mut self, ticket: Ticket, payload: Payload, deadline: u64, term: u64) {
        let bound = payload.is_bound().then_some(term);
        self.waiting.push_back(Waiting { ticket, payload, deadline, bound });
    }

    /// Returns whom to answer that his command was not done, or may not have been.
    pub(super) fn take_refused(&mut self) -> Vec<(Ticket, Refused)> {
        std::mem::take(&mut self.refused)
    }

    /// Takes waiting commands as entries for the leader of `origin.term`: at most `bytes_max`, unless one alone has more.
    /// The request number in `origin` does not matter. They are pending then; [`give_back`](Self::give_back) undoes that.
    pub(super) fn take_batch(&mut self, mut origin: Origin, stamp: Stamp, tick: u64, bytes_max: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            bytes += next.payload.len();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            let next = self.waiting.pop_front().expect("there is a front");
            if next.bound.is_some_and(|it| it != origin.term) {
                self.refused.push((next.ticket, Refused::NoLeader));
                continue;
            }
            self.next_request += 1;
            origin.request = self.next_request;
            let entry = entry(origin, next.payload.stamp(stamp));
            let pending = Pending {
                ticket: next.ticket,
                term: origin.term,
                deadline: next.deadline,
                sent_at: tick,
                data: entry.data.clone(),
                bound: next.bound.is_some(),
            };
            self.pending.insert(self.next_request, pending);
            entries.push(entry);
        }
        entries
    }

    /// Undoes [`take_batch`](Self::take_batch) for the last `n` commands, which raft did not take.
    pub(super) fn give_back(&mut self, n: usize) {
        for _ in 0..n {
            let (_, pending) = self.pending.pop_last().expect("they are the last ones");
            self.waiting.push_front(pending.again());
        }
    }

    /// Returns again, at most `bytes_max` unless one alone has more, what was sent to the leader of `origin.term` at or before tick `until` and is
    /// not applied yet: the message may be lost. The leader takes each only once.
    pub(super) fn take_overdue(&mut self, origin: Origin, until: u64, tick: u64, bytes_max: usize) -> Vec<Entry> {
        let overdue = self.pending.iter_mut();
        let overdue = overdue.filter(|(_, it)| it.term == origin.term && it.sent_at <= until);
        let mut bytes = 0;
        let batch = overdue.enumerate().take_while(|(n, (_, it))| {
            bytes += it.data.len();
            *n == 0 || bytes <= bytes_max
        });
        let batch = batch.map(|(_, it)| it);
        let entries = batch.map(|(request, it)| {
            it.sent_at = tick;
            let request = *request;
            entry(Origin { request, ..origin }, it.data.clone())
        });
        entries.collect()
    }

    /// Returns whom to answer when an entry of this member was applied.
    pub(super) fn applied(&mut self, request: u64) -> Option<Ticket> {
        self.pending.remove(&request).map(|it| it.ticket)
    }

    /// An entry of `term` was applied: what was proposed in an earlier one and is still pending is lost, and waits
    /// again.
    pub(super) fn term_applied(&mut self, term: u64) {
        // The oldest comes first and has the lowest term.
        if self.pending.first_key_value().is_none_or(|(_, it)| it.term >= term) {
            return;
        }
        let (lost, kept) =
            std::mem::take(&mut self.pending).into_iter().partition::<BTreeMap<_, _>, _>(|(_, it)| it.term < term);
        self.pending = kept;
        for (_, pending) in lost.into_iter().rev() {
            if pending.bound {
                self.refused.push((pending.ticket, Refused::Unknown));
            } else {
                self.waiting.push_front(pending.again());
            }
        }
    }

    /// A snapshot replaced the log: what is pending may or may not be contained.
    pub(super) fn log_replaced(&mut self) -> Vec<(Ticket, Refused)> {
        let pending = std::mem::take(&mut self.pending);
        pending.into_values().map(|it| (it.ticket, Refused::Unknown)).collect()
    }

    /// Gives up those whose time has passed.
    pub(super) fn expire(&mut self, now: u64) -> Vec<(Ticket, Refused)> {
        let mut expired = Vec::new();
        self.waiting.retain(|it| {
            let keep = it.deadline > now;
            if !keep {
                expired.push((it.ticket, Refused::NoLeader));
            }
            keep
        });
        self.pending.retain(|_, it| {
            let keep = it.deadline > now;
            if !keep {
                expired.push((it.ticket, Refused::Unknown));
            }
            keep
        });
        expired
    }

    /// Returns whether more commands should come together before the next batch: what a batch costs, from the sync to
    /// the messages, costs a large one hardly more. Few are never held up, and none for longer than those under way
    /// take.
    pub(super) fn should_gather(&self) -> bool {
        self.pending.len() >= GATHER_MIN && self.waiting.len() < self.pending.len()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

fn entry(origin: Origin, data: Bytes) -> Entry {
    Entry { context: origin.to_context(), data, ..Entry::default() }
}

impl Pending {
    fn again(self) -> Waiting {
        Waiting {
            ticket: self.ticket,
            payload: Payload::received(&self.data).expect("it was an envelope before"),
            deadline: self.deadline,
            bound: self.bound.then_some(self.term),
        }
    }
}

/// Returns the message that brings entries to the leader, which may be this member itself.
pub(super) fn message(from: u64, to: u64, entries: Vec<Entry>) -> Message {
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgPropose);
    message.from = from;
    message.to = to;
    message.set_entries(entries.into());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_that_got_lost_is_sent_again_and_those_behind_it_are() {
        let origin = Origin { member: 1, incarnation: 1, request: 0, term: 1 };
        let mut proposals = Proposals::default();
        for length in [1_000, 40, 40] {
            let payload = Payload::new(|bytes| {
                bytes.resize(length, 7);
                Ok::<_, ()>(())
            });
            proposals.push(Ticket(0), payload.unwrap(), 10, 1);
        }
        while !proposals.take_batch(origin, Stamp::default(), 0, 100).is_empty() {}
        let mut again = |tick| proposals.take_overdue(origin, tick - 1, tick, 100).len();
        assert_eq!((again(1), again(1), again(1)), (1, 2, 0));
    }

    #[test]
    fn commands_gather_while_many_are_under_way() {
        let origin = Origin { member: 1, incarnation: 1, request: 0, term: 1 };
        let mut proposals = Proposals::default();
        let ask = |proposals: &mut Proposals, n: usize| {
            for _ in 0..n {
                proposals.push(Ticket(0), Payload::new(|_| Ok::<_, ()>(())).unwrap(), 10, 1);
            }
        };
        ask(&mut proposals, GATHER_MIN - 1);
        proposals.take_batch(origin, Stamp::default(), 0, 1 << 20);
        ask(&mut proposals, 1);
        assert!(!proposals.should_gather(), "few are not held up");
        proposals.take_batch(origin, Stamp::default(), 0, 1 << 20);
        ask(&mut proposals, GATHER_MIN - 1);
        assert!(proposals.should_gather());
        ask(&mut proposals, 1);
        assert!(!proposals.should_gather(), "as many as are under way");
        proposals.take_batch(origin, Stamp::default(), 0, 1 << 20);
        ask(&mut proposals, 1);
        assert!(proposals.should_gather());
        for request in 1..=GATHER_MIN as u64 + 1 {
            proposals.applied(request);
        }
        assert!(!proposals.should_gather(), "few are left under way");
    }
}

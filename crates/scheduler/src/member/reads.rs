//! Linearizable reads: many readers, one question to the quorum.
//!
//! A round asks the leader for its commit index and waits until this member has applied that far. Readers that come
//! while a round is under way wait for the next one: the index of a round only counts for those who asked before.
//! raft drops questions in silence (no leader, no entry committed in its term yet), so a round is asked again.

use super::{Refused, Ticket};

/// All reads asked of this member and not answered yet.
pub(super) struct Reads {
    waiting: Vec<Reader>,
    round: Option<Round>,
    /// Answered by the leader; not applied far enough yet.
    indexed: Vec<(u64, Vec<Reader>)>,
    /// Different in every round of every start: raft takes equal questions for one.
    next_context: u64,
    member: u64,
    incarnation: u64,
}

struct Reader {
    ticket: Ticket,
    deadline: u64,
}

struct Round {
    context: u64,
    readers: Vec<Reader>,
    asked_at: u64,
}

impl Reads {
    pub(super) fn new(member: u64, incarnation: u64) -> Self {
        Self { waiting: Vec::new(), round: None, indexed: Vec::new(), next_context: 0, member, incarnation }
    }

    pub(super) fn push(&mut self, ticket: Ticket, deadline: u64) {
        self.waiting.push(Reader { ticket, deadline });
    }

    /// Begins a round when somebody waits and none is under way. Returns the context to ask raft with.
    pub(super) fn begin(&mut self, tick: u64) -> Option<Vec<u8>> {
        if self.round.is_some() || self.waiting.is_empty() {
            return None;
        }
        self.next_context += 1;
        self.round =
            Some(Round { context: self.next_context, readers: std::mem::take(&mut self.waiting), asked_at: tick });
        Some(self.context(self.next_context))
    }

    /// Takes an answer of raft. Late ones, of rounds given up, are passed over.
    pub(super) fn answered(&mut self, context: &[u8], index: u64) {
        let current = self.round.as_ref().map(|it| self.context(it.context));
        if current.as_deref() == Some(context) {
            let round = self.round.take().expect("just seen");
            self.indexed.push((index, round.readers));
        }
    }

    /// Returns who may read now that `applied` is.
    pub(super) fn satisfied(&mut self, applied: u64) -> Vec<Ticket> {
        if self.indexed.is_empty() {
            return Vec::new();
        }
        let mut tickets = Vec::new();
        self.indexed.retain_mut(|(index, readers)| {
            if *index > applied {
                return true;
            }
            tickets.extend(readers.drain(..).map(|it| it.ticket));
            false
        });
        tickets
    }

    /// Gives up a round without an answer for `patience` ticks, so that the next `begin` asks again.
    pub(super) fn retry(&mut self, tick: u64, patience: u64) {
        if let Some(round) = self.round.take_if(|it| it.asked_at + patience <= tick) {
            let newer = std::mem::replace(&mut self.waiting, round.readers);
            self.waiting.extend(newer);
        }
    }

    /// Gives up readers whose time has passed.
    pub(super) fn expire(&mut self, now: u64) -> Vec<(Ticket, Refused)> {
        let mut expired = Vec::new();
        let mut keep = |it: &Reader| {
            let keep = it.deadline > now;
            if !keep {
                expired.push((it.ticket, Refused::NoLeader));
            }
            keep
        };
        self.waiting.retain(&mut keep);
        if let Some(round) = &mut self.round {
            round.readers.retain(&mut keep);
        }
        for (_, readers) in &mut self.indexed {
            readers.retain(&mut keep);
        }
        expired
    }

    fn context(&self, round: u64) -> Vec<u8> {
        [self.member, self.incarnation, round].map(u64::to_le_bytes).concat()
    }
}

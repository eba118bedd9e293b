//! One raft member without a disk, a network or a clock.
//!
//! ```text
//!           handle(Input, now)                 what came: ticks, messages, commands, reads
//!                  │
//!           ready() ─▶ Ready                   send `send`, write `install` and `frame`, sync
//!           persisted(number) ─▶ messages      … then send these: they promise what was written
//!           apply() ─▶ Output                  answers, events, the new view
//! ```
//! The caller repeats the last three until `ready` has nothing more. The simulator and the thread in
//! [`replica`](crate::replica) are the two callers.
//!
//! # What raft-rs leaves to its user, and where it is done
//! - Its defaults are wrong for production: `config`.
//! - A proposal gets no index and no answer: `proposals`.
//! - Questions for a read index get lost in silence: `reads`.
//! - A snapshot message that got lost stops its receiver for ever: `snapshots`.
//! - It believes whatever its peers say, and ends the process where that cannot be: `bounds`.
//! - It puts all that a member lacks into one message: `batch`.

mod batch;
mod bounds;
mod clock;
mod config;
mod forwarded;
mod io;
mod logger;
mod proposals;
mod reads;
mod snapshots;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use raft::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType, HardState, Message, MessageType};
use raft::{RawNode, StateRole};

use cluster::Moment;

pub use clock::{Now, Reading};
pub use config::Config;
pub use io::{Answer, Answered, Input, Output, Ready, Refused, Status, Ticket};
pub use snapshots::Chore;

use crate::log::{Mark, Recovered, SnapshotFile};
use crate::machine::{Machine, Payload, Unreadable};
use clock::Clock;
use forwarded::Forwarded;
use proposals::{Origin, Proposals};
use reads::Reads;
use snapshots::Snapshots;
use tail::{Keep, Tail};

/// A member of the group.
pub struct Member<M: Machine> {
    config: Config,
    raw: RawNode<Tail>,
    machine: M,
    applied: Mark,
    clock: Clock,
    ticks: u64,
    proposals: Proposals,
    forwarded: Forwarded,
    reads: Reads,
    snapshots: Snapshots,
    status: Status,
    work: VecDeque<Work>,
    /// Messages that wait until a Ready is durable, with its number.
    promises: VecDeque<(u64, Vec<Message>)>,
    persisted: u64,
    /// The tick at which to stand for election if there is still no leader. See [`Member::doubt`].
    stand_at: Option<u64>,
    /// Entries up to here were acknowledged once. See [`Member::notice_loss`].
    lost_through: u64,
    /// Whether the state has changed since it was last shown, and the tick of that time.
    unseen: bool,
    shown_at: u64,
    /// A snapshot that another member sent, as it was read, until it is installed.
    arrived: Option<(SnapshotFile, M)>,
    /// Messages that could not be true.
    n_refused: u64,
    output: Output<M>,
}

/// What was committed and is to be applied, in order.
enum Work {
    Entries(Vec<Entry>),
    /// With the number of the Ready that has to be durable before.
    Restore(u64, SnapshotFile),
}

impl<M: Machine> Member<M> {
    /// Starts from what the disk held, at `now`.
    ///
    /// # Errors
    /// [`Unreadable`] when a newer program wrote the snapshot.
    ///
    /// # Panics
    /// When the configuration contradicts itself.
    pub fn new(
        config: Config,
        mut recovered: Recovered,
        empty: impl FnOnce() -> M,
        now: Now,
    ) -> Result<Self, Unreadable> {
        let snapshot = recovered.snapshot.take();
        let machine = match &snapshot {
            Some(snapshot) => M::restore(&snapshot.data)?,
            None => empty(),
        };
        let applied = snapshot.as_ref().map(|it| it.mark).unwrap_or_default();
        recovered.snapshot = snapshot;
        let tail = Tail::new(&mut recovered, &config.voters);
        let mut raw = RawNode::new(&config.raft(applied.index), tail, &logger::logger())
            .expect("the configuration is consistent");
        raw.set_batch_append(true);
        let output = Output { view: Some(machine.view()), ..Output::default() };
        let mut member = Self {
            reads: Reads::new(config.id, config.incarnation),
            snapshots: Snapshots::new(recovered.snapshot.as_ref()),
            config,
            raw,
            clock: Clock::new(machine.moment(), now),
            machine,
            applied,
            ticks: 0,
            proposals: Proposals::default(),
            forwarded: Forwarded::default(),
            status: Status::default(),
            work: VecDeque::new(),
            promises: VecDeque::new(),
            persisted: 0,
            stand_at: None,
            lost_through: 0,
            unseen: false,
            shown_at: 0,
            arrived: None,
            n_refused: 0,
            output,
        };
        if member.config.voters == [member.config.id] {
            // Nobody to wait for.
            member.handle(Input::Campaign, now);
        }
        // A leader, if there is one, is heard of with the next heartbeat. Else all were off, and need not wait long.
        let heartbeat = member.config.heartbeat_ticks as u64;
        member.stand_at = Some(2 * heartbeat + 1 + member.turn());
        Ok(member)
    }

    /// Takes in what happened.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.clock.set(now);
        match input {
            Input::Tick => self.tick(),
            Input::Peer(message) => self.receive(message),
            Input::Submit(ticket, payload) => self.submit(ticket, payload),
            Input::Read(ticket) => self.reads.push(ticket, self.deadline()),
            Input::Clock(peer, reading) => self.clock.heard(peer, reading),
            Input::Campaign => drop(self.raw.campaign()),
            Input::Transfer(to) => self.raw.transfer_leader(to),
            Input::StepDown => {
                if let Some(to) = self.successor() {
                    self.raw.transfer_leader(to);
                }
            }
            Input::Unreachable(peer) => self.raw.report_unreachable(peer),
            Input::Closed(peer) => self.doubt(peer),
            Input::SnapshotSent(peer, arrived) => self.snapshots.sent(&mut self.raw, peer, arrived),
            Input::Snapshotted(file) => self.snapshotted(file),
        }
    }

    /// Returns what to send and to write next. `None`: nothing, and nothing to apply either.
    pub fn ready(&mut self) -> Option<Ready> {
        self.propose();
        self.ask_for_read_index();
        if !self.raw.has_ready() {
            return None;
        }
        let mut from = self.raw.ready();
        let send = batch::split(from.take_messages(), self.config.append_bytes);
        let mut ready = Ready { number: from.number(), send, ..Ready::default() };
        self.snapshots.sending(&ready.send, self.ticks);
        for state in from.take_read_states() {
            self.reads.answered(&state.request_ctx, state.index);
        }
        self.push_work(Work::Entries(from.take_committed_entries()));

        let hard_state = from.hs().cloned();
        if let Some(hard_state) = &hard_state {
            self.raw.mut_store().set_hard_state(hard_state.clone());
        }
        if !from.snapshot().is_empty() {
            let file = SnapshotFile::from_raft(from.snapshot(), 0);
            self.raw.mut_store().install(file.mark, file.conf_state());
            ready.frame.snapshot = Some(file.mark);
            ready.install = Some(file.clone());
            self.push_work(Work::Restore(ready.number, file));
        }
        ready.frame.entries = from.take_entries();
        self.raw.mut_store().append(&ready.frame.entries);
        if from.must_sync() {
            // A commit index alone is not worth a sync: raft learns it again.
            let current = || self.raw.raft.hard_state();
            ready.frame.hard_state = Some(hard_state.unwrap_or_else(current));
        }
        let promises = batch::split(from.take_persisted_messages(), self.config.append_bytes);
        self.promises.push_back((ready.number, promises));
        self.raw.advance_append_async(from);
        Some(ready)
    }

    /// Takes note that everything up to this [`Ready`] is durable, and returns what may be sent for that reason.
    pub fn persisted(&mut self, number: u64) -> Vec<Message> {
        self.persisted = number;
        self.raw.on_persist_ready(number);
        let mut send = Vec::new();
        while let Some((_, messages)) = self.promises.pop_front_if(|it| it.0 <= number) {
            send.extend(messages);
        }
        self.snapshots.sending(&send, self.ticks);
        send
    }

    /// Applies what is committed and returns everything there is to tell.
    ///
    /// # Errors
    /// [`Unreadable`]: the member must stop, and be started with the program that wrote the entry.
    pub fn apply(&mut self) -> Result<Output<M>, Unreadable> {
        while let Some(work) = self.next_work() {
            match work {
                Work::Entries(entries) => {
                    for entry in entries {
                        self.apply_entry(&entry)?;
                    }
                }
                Work::Restore(_, file) => self.restore(&file)?,
            }
            self.raw.advance_apply_to(self.applied.index);
        }
        for ticket in self.reads.satisfied(self.applied.index) {
            self.output.reads.push((ticket, Ok(())));
        }
        self.update_status();
        self.begin_snapshot();
        self.show();
        Ok(std::mem::take(&mut self.output))
    }

    /// Shows the state, if it has changed and somebody may look: at once while leading or when somebody was answered,
    /// else once in a tick. A machine whose earlier state nobody holds can change in place, and need not be copied.
    fn show(&mut self) {
        let output = &mut self.output;
        self.unseen |= output.n_applied > 0 || output.replaced.is_some();
        let told = output.status.is_some() || !output.answers.is_empty() || !output.reads.is_empty();
        if self.unseen && (told || self.raw.raft.state == StateRole::Leader || self.shown_at != self.ticks) {
            output.view = Some(self.machine.view());
            self.unseen = false;
            self.shown_at = self.ticks;
        }
    }

    /// Returns who leads.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Returns the state as of [`applied`](Self::applied).
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Returns the last entry applied.
    pub fn applied(&self) -> Mark {
        self.applied
    }

    /// Returns the cluster's own time at `now`.
    pub fn moment(&self, now: Now) -> Moment {
        self.clock.moment().plus_ms(now.steady_ms.saturating_sub(self.clock.steady_ms()))
    }

    /// Returns what to tell the other members about time, as of the last input.
    pub fn reading(&self) -> Reading {
        self.clock.reading()
    }

    /// Returns by how many milliseconds this member's wall clock is ahead of the cluster's calendar, as of the last
    /// input.
    pub fn clock_ahead_ms(&self) -> i64 {
        self.clock.ahead_ms()
    }

    /// Returns how many messages of other members were refused because they could not be true.
    pub fn n_refused(&self) -> u64 {
        self.n_refused
    }

    /// Returns hard state as raft has it, for the simulator's checkers.
    pub fn hard_state(&self) -> HardState {
        self.raw.raft.hard_state()
    }

    /// Returns whether this member leads and there is somebody to hand over to.
    pub fn can_step_down(&self) -> bool {
        self.successor().is_some()
    }

    /// Returns the voter that has most of the log, among those heard of lately.
    fn successor(&self) -> Option<u64> {
        if !self.leads() {
            return None;
        }
        let prs = self.raw.raft.prs();
        let others = prs
            .iter()
            .filter(|(id, progress)| **id != self.id() && progress.recent_active && prs.conf().voters().contains(**id));
        let best = others.max_by_key(|(id, progress)| (progress.matched, **id));
        best.map(|(id, _)| *id)
    }

    fn id(&self) -> u64 {
        self.config.id
    }

    fn leads(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    fn tick(&mut self) {
        self.ticks += 1;
        if !self.has_lost_entries() {
            // All that a tick brings a follower is nearer to an election.
            self.raw.tick();
        }
        self.snapshots.tick(&mut self.raw, self.ticks, self.config.snapshot_ticks);
        self.stand_if_due();
        self.propose_again();
        self.reads.retry(self.ticks, 2 * self.config.heartbeat_ticks as u64 + 1);
        for (ticket, refused) in self.proposals.expire(self.clock.steady_ms()) {
            self.output.answers.push((ticket, Err(refused)));
        }
        for (ticket, refused) in self.reads.expire(self.clock.steady_ms()) {
            self.output.reads.push((ticket, Err(refused)));
        }
    }

    /// Doubts a leader whose connection ended: a process that was killed is replaced in a few ticks instead of an
    /// election's time-out. If it lives, nothing comes of it: those who still hear it refuse the pre-vote, and its
    /// next heartbeat ends the doubt.
    fn doubt(&mut self, peer: u64) {
        if self.raw.raft.state == StateRole::Follower && self.raw.raft.leader_id == peer {
            // Else this member would refuse the pre-vote of another who doubts as well.
            self.raw.raft.leader_id = 0;
            self.stand_at = Some(self.ticks + 1 + self.turn());
        }
    }

    /// Returns for how many ticks this member lets others stand first, so that two do not split the vote.
    fn turn(&self) -> u64 {
        let voters = &self.raw.store().conf_state().voters;
        voters.iter().filter(|it| **it < self.id()).count() as u64
    }

    fn stand_if_due(&mut self) {
        if self.stand_at.take_if(|it| *it <= self.ticks).is_some()
            && self.raw.raft.leader_id == 0
            && !self.has_lost_entries()
        {
            // With pre-vote, this asks first.
            let _ = self.raw.campaign();
        }
    }

    fn receive(&mut self, mut message: Message) {
        if let Err(why) = bounds::check(&self.raw.raft, &message) {
            return self.refuse(&message, why);
        }
        match message.get_msg_type() {
            MessageType::MsgPropose => return self.receive_proposals(message),
            MessageType::MsgHeartbeat => self.notice_loss(&mut message),
            MessageType::MsgSnapshot if !self.can_be_read(&message) => {
                return self.refuse(&message, "its snapshot cannot be read: see whether it runs a newer version");
            }
            // What is not even committed cannot have been acknowledged for good.
            MessageType::MsgAppend if message.term == self.raw.raft.term && message.commit > 0 => {
                self.lost_through = self.lost_through.min(message.commit);
            }
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote | MessageType::MsgTimeoutNow
                if self.has_lost_entries() =>
            {
                return;
            }
            _ => {}
        }
        // What raft does not want (a member unknown, a message of its own making) is as good as lost.
        let _ = self.raw.step(message);
    }

    /// Takes no notice of what cannot be true.
    fn refuse(&mut self, message: &Message, why: &'static str) {
        self.n_refused += 1;
        // It may come again and again.
        if self.n_refused.is_power_of_two() {
            let (from, kind, n) = (message.from, message.get_msg_type(), self.n_refused);
            tracing::error!(from, ?kind, why, n, "refused a member's message that cannot be true");
        }
    }

    /// Returns whether the state in a snapshot can be read, before raft takes it and the disk has it. It is kept: to read
    /// a large one takes long.
    fn can_be_read(&mut self, message: &Message) -> bool {
        let file = SnapshotFile::from_raft(message.get_snapshot(), 0);
        if message.term < self.raw.raft.term || file.mark.index <= self.raw.raft.raft_log.committed {
            // raft passes over it.
            return true;
        }
        self.arrived = M::restore(&file.data).ok().map(|machine| (file, machine));
        self.arrived.is_some()
    }

    /// Notices from a leader's heartbeat that this member acknowledged entries which it does not have: its data
    /// directory was wiped or is an old copy. raft-rs would panic, at every start again. It may follow and be sent
    /// everything anew, but until it is where it was it neither votes nor stands for election: it might help
    /// somebody win who lacks what only this member and the leader had.
    fn notice_loss(&mut self, message: &mut Message) {
        let last = self.raw.raft.raft_log.last_index();
        if message.term >= self.raw.raft.term && message.commit > last {
            if !self.has_lost_entries() {
                tracing::error!(
                    acknowledged = message.commit,
                    found = last,
                    "this member has lost entries that it had acknowledged; it does not vote until it has them again"
                );
            }
            self.lost_through = message.commit;
            message.commit = last;
        }
    }

    fn has_lost_entries(&self) -> bool {
        self.lost_through > self.raw.raft.raft_log.last_index()
    }

    /// Proposes what another member was asked. What cannot be proposed is dropped: its member learns by the term.
    fn receive_proposals(&mut self, mut message: Message) {
        if !self.leads() {
            return;
        }
        let stamp = self.clock.stamp();
        let term = self.raw.raft.term;
        let mut entries = Vec::new();
        for entry in message.take_entries() {
            let Some((origin, payload)) = self.forwarded_command(&entry, message.from) else {
                self.refuse(&message, "it forwards a command that no member could apply");
                continue;
            };
            if self.forwarded.admit(origin, term) {
                entries.push(Entry { context: origin.to_context(), data: payload.stamp(stamp), ..Entry::default() });
            }
        }
        if !entries.is_empty() {
            let _ = self.raw.raft.step(proposals::message(self.id(), self.id(), entries));
        }
    }

    /// Reads a command that another member was asked: whatever is committed must be applied by every member, so it is
    /// judged here. None: it is not one that a member forwards.
    fn forwarded_command(&self, entry: &Entry, from: u64) -> Option<(Origin, Payload)> {
        let origin = Origin::from_context(&entry.context).filter(|it| it.member == from)?;
        let fits =
            entry.get_entry_type() == EntryType::EntryNormal && entry.data.len() <= self.config.payload_bytes_max;
        let payload = Payload::received(&entry.data).filter(|_| fits)?;
        M::check(payload.command()).ok()?;
        Some((origin, payload))
    }

    fn submit(&mut self, ticket: Ticket, payload: Payload) {
        let refused = if payload.len() > self.config.payload_bytes_max {
            Refused::TooLarge
        } else if payload.is_bound() && !self.leads() {
            Refused::NoLeader
        } else if self.proposals.len() >= self.config.proposals_max {
            Refused::Overloaded
        } else {
            let (deadline, term) = (self.deadline(), self.raw.raft.term);
            return self.proposals.push(ticket, payload, deadline, term);
        };
        self.output.answers.push((ticket, Err(refused)));
    }

    /// Brings waiting commands to the leader: this member or another. Without a leader they go on waiting.
    fn propose(&mut self) {
        let leader = self.raw.raft.leader_id;
        while self.proposals.has_waiting() && leader != 0 {
            if leader == self.id() && self.proposals.should_gather() {
                return;
            }
            let origin = self.origin();
            let (stamp, bytes_max) = (self.clock.stamp(), self.config.append_bytes);
            let entries = self.proposals.take_batch(origin, stamp, self.ticks, bytes_max);
            self.tell_refused();
            let n = entries.len();
            if n == 0 {
                return;
            }
            let message = proposals::message(self.id(), leader, entries);
            if leader != self.id() {
                self.raw.raft.msgs.push(message);
            } else if self.raw.raft.step(message).is_err() {
                // A transfer is under way, or too much is uncommitted. The next input tries again.
                self.proposals.give_back(n);
                return;
            }
        }
    }

    /// Sends again what the leader may not have got.
    fn propose_again(&mut self) {
        let leader = self.raw.raft.leader_id;
        if leader != 0 && leader != self.id() {
            let until = self.ticks.saturating_sub(self.config.resend_ticks);
            let bytes_max = self.config.append_bytes;
            let entries = self.proposals.take_overdue(self.origin(), until, self.ticks, bytes_max);
            if !entries.is_empty() {
                let message = proposals::message(self.id(), leader, entries);
                self.raw.raft.msgs.push(message);
            }
        }
    }

    /// Returns the origin of what is proposed now, but for the request's number.
    fn origin(&self) -> Origin {
        Origin { member: self.id(), incarnation: self.config.incarnation, request: 0, term: self.raw.raft.term }
    }

    /// Until when a question that is asked now may wait.
    fn deadline(&self) -> u64 {
        self.clock.steady_ms() + self.config.patience_ms
    }

    fn ask_for_read_index(&mut self) {
        let raft = &self.raw.raft;
        // raft would drop the question.
        let in_vain = raft.leader_id == 0 || (self.leads() && !raft.commit_to_current_term());
        if !in_vain && let Some(context) = self.reads.begin(self.ticks) {
            self.raw.read_index(context);
        }
    }

    fn push_work(&mut self, work: Work) {
        if !matches!(&work, Work::Entries(entries) if entries.is_empty()) {
            self.work.push_back(work);
        }
    }

    fn next_work(&mut self) -> Option<Work> {
        let persisted = self.persisted;
        self.work.pop_front_if(|it| !matches!(it, Work::Restore(number, _) if *number > persisted))
    }

    fn apply_entry(&mut self, entry: &Entry) -> Result<(), Unreadable> {
        assert_eq!(entry.index, self.applied.index + 1, "entries are applied without gaps");
        self.applied = Mark { index: entry.index, term: entry.term };
        self.output.n_applied += 1;
        self.snapshots.applied(entry.data.len());
        match entry.get_entry_type() {
            // A leader's first entry of its term is empty.
            EntryType::EntryNormal if entry.data.is_empty() => {}
            EntryType::EntryNormal => self.apply_command(entry)?,
            EntryType::EntryConfChange => {
                let conf_state = self.raw.apply_conf_change(&change::<ConfChange>(entry)?);
                self.changed(conf_state);
            }
            EntryType::EntryConfChangeV2 => {
                let conf_state = self.raw.apply_conf_change(&change::<ConfChangeV2>(entry)?);
                self.changed(conf_state);
            }
        }
        self.proposals.term_applied(entry.term);
        self.tell_refused();
        Ok(())
    }

    fn tell_refused(&mut self) {
        let refused = self.proposals.take_refused().into_iter();
        self.output.answers.extend(refused.map(|(ticket, refused)| (ticket, Err(refused))));
    }

    fn apply_command(&mut self, entry: &Entry) -> Result<(), Unreadable> {
        let (stamp, command) = Payload::open(&entry.data)?;
        self.clock.applied(stamp);
        let outcome = self.machine.apply(entry.index, stamp, command)?;
        self.output.events.extend(outcome.event.map(|it| (entry.index, it)));
        let ours = Origin::from_context(&entry.context)
            .filter(|it| it.member == self.id() && it.incarnation == self.config.incarnation);
        if let Some(ticket) = ours.and_then(|it| self.proposals.applied(it.request)) {
            let answer = Answer { index: entry.index, reply: outcome.reply };
            self.output.answers.push((ticket, Ok(answer)));
        }
        Ok(())
    }

    /// An error means that raft refuses the change, here as on every other member.
    fn changed(&mut self, conf_state: raft::Result<ConfState>) {
        if let Ok(conf_state) = conf_state {
            self.raw.mut_store().set_conf_state(conf_state);
        }
    }

    fn restore(&mut self, file: &SnapshotFile) -> Result<(), Unreadable> {
        let is_it = |it: &(SnapshotFile, M)| it.0.mark == file.mark && it.0.data == file.data;
        self.machine = match self.arrived.take().filter(is_it) {
            Some((_, machine)) => machine,
            None => M::restore(&file.data)?,
        };
        self.clock.carry_on(self.machine.moment());
        self.applied = file.mark;
        self.snapshots.installed(file);
        self.output.replaced = Some(file.mark.index);
        self.output.compact = Some(file.mark.index);
        for (ticket, refused) in self.proposals.log_replaced() {
            self.output.answers.push((ticket, Err(refused)));
        }
        Ok(())
    }

    fn update_status(&mut self) {
        let raft = &self.raw.raft;
        let status = Status {
            // Until its first entry is applied, a leader may know less than was acknowledged.
            leading: self.leads() && self.applied.term == raft.term,
            term: raft.term,
            leader: Some(raft.leader_id).filter(|it| *it != 0),
        };
        if status != self.status {
            self.status = status;
            self.output.status = Some(status);
        }
    }

    fn begin_snapshot(&mut self) {
        let wanted = self.raw.store().take_wanted();
        let tail = self.raw.store();
        if tail.conf_state().voters_outgoing.is_empty()
            && self.snapshots.is_due(self.applied, wanted, self.ticks, &self.config)
        {
            let conf_state = tail.conf_state().clone();
            let view = self.machine.view();
            self.output.chore = Some(self.snapshots.begin(self.applied, &conf_state, view));
        }
    }

    fn snapshotted(&mut self, file: Option<SnapshotFile>) {
        let tail = self.raw.mut_store();
        let keep = Keep { entries: self.config.keep_entries, bytes: self.config.keep_bytes };
        if let Some(index) = self.snapshots.finished(file, tail, keep, self.ticks) {
            self.output.compact = Some(index);
        }
    }
}

/// Reads a change of the group's configuration.
fn change<C: protobuf::Message + Default>(entry: &Entry) -> Result<C, Unreadable> {
    let mut change = C::default();
    change.merge_from_bytes(&entry.data).map_err(|it| Unreadable { reason: it.to_string() })?;
    Ok(change)
}

//! Members: the real raft member, log and leader, on a simulated disk and network.

use super::EPOCH;
use super::disk::Platter;
use super::machine::Replica;
use super::network::Place;
use super::office::Asked;
use super::world::{Event, World};
use crate::check::Fact;
use crate::mutants::{self, Mutant};
use cluster::{Moment, State};
use scheduler::leader::Leader;
use scheduler::log::{Log, Options as LogOptions, SnapshotFile, write_snapshot};
use scheduler::member::{Chore, Config, Input, Member, Now, Output, Ready, Ticket};
use scheduler::peers::frame_bytes;
use scheduler::sessions::{self, Sent, Sessions};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What goes into one message, and what the wire takes: in proportion as in the program, and small, so that worlds come
/// near it.
const APPEND_BYTES: usize = 2 << 10;
const FRAME_BYTES: usize = 16 * APPEND_BYTES;

/// Clocks that are right again are believed after so long: others' are heard, and what was proposed before is applied.
const CORRECTED_MS: u64 = 30_000;

/// So many rounds without an end are a hot loop.
const MAX_ROUNDS: u32 = 10_000;

/// A machine of the control plane.
pub(super) struct Seat {
    disk: Platter,
    incarnation: u64,
    pub(super) life: Option<Life>,
    /// Its wall clock is ahead by so much.
    pub(super) skew_ms: u64,
    /// And was set wrongly by so much more.
    pub(super) jump_ms: i64,
    /// It stands still until then.
    pub(super) paused_until: u64,
    /// Its disk has no room until then.
    pub(super) full_until: u64,
}

/// A running process.
pub(super) struct Life {
    pub(super) member: Member<Replica>,
    pub(super) log: Log,
    /// What is to be written, in order.
    pub(super) readies: VecDeque<Ready>,
    pub(super) writing: bool,
    pub(super) chore: Option<(Chore<Replica>, u64)>,
    pub(super) tickets: BTreeMap<Ticket, Asked>,
    /// Reads, with what was known when they were asked.
    pub(super) reads: BTreeMap<Ticket, u64>,
    pub(super) next_ticket: u64,
    n_ticks: u64,
    pub(super) leader: Option<Leader>,
    pub(super) sessions: Sessions,
    /// What was sent over each of their connections.
    pub(super) sent: BTreeMap<u64, Sent>,
    /// What the sessions want to be sure of.
    pub(super) session_reads: BTreeMap<Ticket, u64>,
    /// What the leader goes by.
    pub(super) state: State,
    /// What it was some time ago; only planted faults read it.
    pub(super) past: State,
}

impl Seat {
    /// What its clocks show.
    pub(super) fn clocks(&self, now: u64) -> Now {
        Now { steady_ms: now, wall_ms: (EPOCH + now + self.skew_ms).saturating_add_signed(self.jump_ms) }
    }

    /// The cluster's own time as the member knows it, while it lives.
    pub(super) fn moment(&self, now: u64) -> Option<Moment> {
        Some(self.life.as_ref()?.member.moment(self.clocks(now)))
    }

    /// No more power cuts.
    pub(super) fn extinguish(&self) {
        self.disk.light(0);
    }

    /// Counts its starts.
    pub(super) const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What the member has applied, while it lives.
    pub(super) fn state(&self) -> Option<&State> {
        self.life.as_ref().map(|it| &it.member.machine().0)
    }
}

impl World {
    pub(super) fn found_members(&mut self) {
        for id in 1..=self.options.n_members as u64 {
            let skew_ms = self.rng.below(self.options.skew_ms + 1);
            let seat = Seat {
                disk: Platter::new(),
                incarnation: 0,
                life: None,
                skew_ms,
                jump_ms: 0,
                paused_until: 0,
                full_until: 0,
            };
            self.seats.insert(id, seat);
            self.start_member(id);
            let first = self.rng.below(100);
            self.after(first, Event::Tick(id));
        }
    }

    pub(super) fn is_alive(&self, id: u64) -> bool {
        self.seats.get(&id).is_some_and(|it| it.life.is_some())
    }

    pub(super) fn start_member(&mut self, id: u64) {
        mutants::enter(id);
        let voters: Vec<u64> = (1..=self.options.n_members as u64).collect();
        let Some(seat) = self.seats.get_mut(&id).filter(|it| it.life.is_none()) else { return };
        seat.incarnation += 1;
        let options = LogOptions { segment_bytes: self.options.segment_bytes };
        let (log, recovered) = match Log::open(Arc::new(seat.disk.clone()), options) {
            Ok(it) => it,
            Err(_) if seat.disk.is_burnt() => {
                // The power was cut while it looked at what the last cut had left.
                let rng = &mut self.rng;
                seat.disk.crash(|n| rng.below(n));
                self.say(format_args!("member {id} crashes at its start"));
                return self.member_will_be_back(id);
            }
            Err(error) => return self.checks.fail("recovery", format!("member {id} cannot start: {error}")),
        };
        let config = Config {
            incarnation: seat.incarnation,
            // Nothing random: which member ticks when is up to the seed.
            election_ticks: (10 + id as usize, 11 + id as usize),
            snapshot_entries: self.options.snapshot_entries,
            keep_entries: self.options.snapshot_entries / 2,
            snapshot_ticks: 50,
            append_bytes: if mutants::planted(Mutant::SendsWithoutBound) { 64 << 20 } else { APPEND_BYTES },
            ..Config::new(id, voters)
        };
        let member = match Member::new(config, recovered, || Replica(State::new()), seat.clocks(self.now)) {
            Ok(it) => it,
            Err(error) => return self.checks.fail("recovery", format!("member {id} cannot start: {error}")),
        };
        let state = member.machine().0.clone();
        let members = (1..=self.options.n_members as u64).map(|it| (it, super::nodes::address_of(it))).collect();
        seat.life = Some(Life {
            member,
            log,
            readies: VecDeque::new(),
            writing: false,
            chore: None,
            tickets: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_ticket: 0,
            n_ticks: 0,
            leader: None,
            sessions: Sessions::new(sessions::Config { members, loss_after_ms: self.options.loss_after_ms }),
            sent: BTreeMap::new(),
            session_reads: BTreeMap::new(),
            state: state.clone(),
            past: state.clone(),
        });
        self.say(format_args!("member {id} starts at {}", state.index()));
        self.see(&Fact::Started { member: id, state: &state });
        self.drain(id);
    }

    /// The power of a member's machine is cut.
    pub(super) fn crash_member(&mut self, id: u64) {
        mutants::enter(id);
        let Some(seat) = self.seats.get_mut(&id).filter(|it| it.life.is_some()) else { return };
        seat.life = None;
        let rng = &mut self.rng;
        seat.disk.crash(|n| rng.below(n));
        self.figures.faults += 1;
        self.say(format_args!("member {id} crashes"));
        let of_it = |it: &super::world::Link| it.member == id || it.to == Some(id);
        let lost: Vec<u64> = self.links.iter().filter(|it| of_it(it.1)).map(|it| *it.0).collect();
        for link in lost {
            self.after(1, Event::LinkLost { link });
        }
    }

    /// Lets a member end in the middle of one of its next writes.
    pub(super) fn light_fuse(&mut self, id: u64) {
        let n = self.rng.range(1, 12);
        if let Some(seat) = self.seats.get(&id) {
            seat.disk.light(n);
        }
    }

    pub(super) fn tick(&mut self, id: u64) {
        let skips = self.rng.chance(self.options.skipped_ticks) && !self.calm;
        self.after(100, Event::Tick(id));
        if !skips {
            self.member_takes(id, Input::Tick);
            self.tell_time(id);
        }
    }

    /// Tells the other members what the clocks show, every second.
    fn tell_time(&mut self, id: u64) {
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        life.n_ticks += 1;
        if life.n_ticks % 10 != 1 {
            return;
        }
        let reading = life.member.reading();
        for other in (1..=self.options.n_members as u64).filter(|it| *it != id) {
            let places = (Place::Member(id), Place::Member(other));
            for at in self.network.arrivals(places.0, places.1, self.now, &self.options, &mut self.rng) {
                self.at(at, Event::Peer { to: other, input: Box::new(Input::Clock(id, reading)) });
            }
        }
    }

    pub(super) fn member_takes(&mut self, id: u64, input: Input) {
        mutants::enter(id);
        let Some(seat) = self.seats.get_mut(&id) else { return };
        if seat.paused_until > self.now {
            let at = seat.paused_until;
            if !matches!(input, Input::Tick) {
                self.at(at, Event::Peer { to: id, input: Box::new(input) });
            }
            return;
        }
        let now = seat.clocks(self.now);
        let Some(life) = &mut seat.life else { return };
        life.member.handle(input, now);
        self.drain(id);
    }

    pub(super) fn disk_done(&mut self, id: u64, incarnation: u64) {
        mutants::enter(id);
        let Some(seat) = self.seats.get_mut(&id).filter(|it| it.incarnation == incarnation) else { return };
        let Some(life) = &mut seat.life else { return };
        life.writing = false;
        let mut numbers = Vec::new();
        for ready in std::mem::take(&mut life.readies) {
            let next_frame = life.log.next_number();
            let res = ready
                .install
                .map_or(Ok(()), |file| write_snapshot(&seat.disk, &SnapshotFile { next_frame, ..file }))
                .and_then(|()| if ready.frame.is_empty() { Ok(()) } else { life.log.append(&ready.frame) });
            if res.is_err() {
                self.crash_member(id);
                return self.member_will_be_back(id);
            }
            numbers.push(ready.number);
        }
        self.promise(id, &numbers);
        self.drain(id);
    }

    /// Sends what a member promises once these are written.
    fn promise(&mut self, id: u64, numbers: &[u64]) {
        for number in numbers {
            let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
            if mutants::planted(Mutant::AckBeforeSync) {
                continue;
            }
            for message in life.member.persisted(*number) {
                let (to, kind) = (message.to, format!("{:?}", message.get_msg_type()));
                self.send_peer(id, to, &kind, frame_bytes(&message), || Input::Peer(message.clone()));
            }
        }
    }

    pub(super) fn chore_done(&mut self, id: u64, incarnation: u64) {
        mutants::enter(id);
        let Some(seat) = self.seats.get_mut(&id).filter(|it| it.incarnation == incarnation) else { return };
        let Some(life) = &mut seat.life else { return };
        let Some((chore, next_frame)) = life.chore.take() else { return };
        let file = chore.run(next_frame);
        if write_snapshot(&seat.disk, &file).is_err() {
            self.crash_member(id);
            return self.member_will_be_back(id);
        }
        self.member_takes(id, Input::Snapshotted(Some(file)));
    }

    /// Does what the thread of a real member does.
    pub(super) fn drain(&mut self, id: u64) {
        for _ in 0..MAX_ROUNDS {
            let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
            let mut sends = Vec::new();
            let mut idle = true;
            while let Some(mut ready) = life.member.ready() {
                idle = false;
                sends.append(&mut ready.send);
                if mutants::planted(Mutant::AckBeforeSync) {
                    sends.append(&mut life.member.persisted(ready.number));
                }
                life.readies.push_back(ready);
            }
            // Nothing to write: nothing to wait for.
            let mut written = Vec::new();
            while !life.writing
                && let Some(ready) = life.readies.pop_front_if(|it| it.frame.is_empty() && it.install.is_none())
            {
                written.push(ready.number);
            }
            let writes = !life.writing && !life.readies.is_empty();
            life.writing |= writes;
            for message in sends {
                let (to, kind) = (message.to, format!("{:?}", message.get_msg_type()));
                self.send_peer(id, to, &kind, frame_bytes(&message), || Input::Peer(message.clone()));
            }
            if writes {
                let (low, high) = self.options.disk_ms;
                let (ms, incarnation) = (self.rng.range(low, high), self.seats[&id].incarnation);
                self.after(ms, Event::Disk { member: id, incarnation });
            }
            idle &= written.is_empty();
            self.promise(id, &written);
            let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
            match life.member.apply() {
                Ok(output) => self.took(id, output),
                Err(error) => return self.checks.fail("recovery", format!("member {id} cannot go on: {error}")),
            }
            idle &= !self.lead(id);
            if idle || self.checks.violation().is_some() {
                return;
            }
        }
        self.checks.fail("progress", format!("member {id} never comes to rest: a hot loop"));
    }

    fn send_peer(&mut self, from: u64, to: u64, kind: &str, bytes: usize, input: impl Fn() -> Input) {
        // A snapshot travels in parts.
        if bytes > FRAME_BYTES && kind != "MsgSnapshot" {
            let how = format!("member {from} sends {kind} of {bytes} bytes to {to}: the wire takes {FRAME_BYTES}");
            return self.checks.fail("bounds", how);
        }
        let places = (Place::Member(from), Place::Member(to));
        let arrivals = self.network.arrivals(places.0, places.1, self.now, &self.options, &mut self.rng);
        if kind == "MsgSnapshot" {
            self.say(format_args!("member {from} sends a snapshot to {to}"));
            let sent = Input::SnapshotSent(to, !arrivals.is_empty());
            self.after(500, Event::Peer { to: from, input: Box::new(sent) });
        }
        for at in arrivals {
            self.at(at, Event::Peer { to, input: Box::new(input()) });
        }
    }

    /// Passes on what a member tells after applying.
    fn took(&mut self, id: u64, output: Output<Replica>) {
        if let Some(index) = output.replaced {
            let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
            let state = life.member.machine().0.clone();
            life.state = state.clone();
            if let Some(leader) = &mut life.leader {
                leader.note_gap(&state);
            }
            life.sessions.note_gap();
            self.say(format_args!("member {id} is replaced up to {index}"));
            self.see(&Fact::Replaced { member: id, state: &state });
        }
        for (index, taken) in output.events {
            let first = index > self.figures.entries;
            self.figures.entries = self.figures.entries.max(index);
            if first {
                let result = taken.result.as_ref().map(|it| it.events.len());
                self.say(format_args!("{index} {:?} by {:?}: {result:?}", taken.entry.command, taken.entry.principal));
            }
            let right = self.clocks_right_since.is_some_and(|it| self.now >= it + CORRECTED_MS);
            let wall = right.then_some(EPOCH + self.now);
            self.see(&Fact::Applied { member: id, first, taken: &taken, lived_ms: self.now, wall });
            if first && taken.result.is_ok() {
                self.judge_loss(&taken.entry.command);
            }
            let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
            if !(mutants::planted(Mutant::StaleLeader) && life.leader.is_some() && !life.member.status().leading) {
                life.state = taken.after.clone();
            }
            if index % 40 == 0 {
                life.past = taken.after.clone();
            }
            if let (Some(leader), Ok(applied)) = (&mut life.leader, &taken.result) {
                leader.note(&taken.after, &applied.events);
                applied.events.iter().for_each(|it| life.sessions.note(&taken.after, it));
            }
        }
        if let Some(status) = output.status {
            self.say(format_args!("member {id}: {status:?}"));
            self.office(id, status);
        }
        for (ticket, res) in output.reads {
            self.read(id, ticket, res.is_ok());
        }
        for (ticket, answer) in output.answers {
            self.ticket_answered(id, ticket, answer);
        }
        let Some(seat) = self.seats.get_mut(&id) else { return };
        let Some(life) = &mut seat.life else { return };
        if let Some(chore) = output.chore {
            life.chore = Some((chore, life.log.next_number()));
            let incarnation = seat.incarnation;
            let ms = self.rng.range(1, 500);
            self.after(ms, Event::Chore { member: id, incarnation });
        }
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        if let Some(index) = output.compact
            && life.log.compact(index).is_err()
        {
            self.crash_member(id);
            return self.member_will_be_back(id);
        }
        self.pump(id);
    }
}

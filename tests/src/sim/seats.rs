//! Members: the real raft member, log and leader, on a simulated disk and network.

use super::disk::Platter;
use super::machine::Replica;
use super::network::Place;
use super::session::Session;
use super::world::{Event, World};
use crate::check::{Fact, Told};
use crate::mutants::{self, Mutant};
use cluster::agent::{FromAgent, ToAgent};
use cluster::{Applied, ClusterId, Command, NodeId, Principal, Rejected, State, Timestamp};
use scheduler::leader::{Ask, Leader};
use scheduler::log::{Log, Options as LogOptions, SnapshotFile, write_snapshot};
use scheduler::member::{Answer, Chore, Config, Input, Member, Output, Ready, Refused, Ticket};
use scheduler::state_machine::payload;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Where the wall clocks start: far from zero, as they are.
pub(super) const EPOCH: u64 = 1_700_000_000_000;

/// A machine of the control plane.
pub(super) struct Seat {
    disk: Platter,
    incarnation: u64,
    life: Option<Life>,
    skew_ms: u64,
    /// It stands still until then.
    pub(super) paused_until: u64,
}

/// A running process.
struct Life {
    member: Member<Replica>,
    log: Log,
    /// What is to be written, in order.
    readies: VecDeque<Ready>,
    writing: bool,
    chore: Option<(Chore<Replica>, u64)>,
    tickets: BTreeMap<Ticket, Asked>,
    next_ticket: u64,
    leader: Option<Leader>,
    sessions: BTreeMap<u64, Session>,
    /// What the leader goes by.
    state: State,
    /// What it was some time ago; only planted faults read it.
    past: State,
}

/// Who waits for an answer.
enum Asked {
    Client { client: usize, name: String },
    Leader(Ask),
    Register { link: u64, node: NodeId },
    Report { link: u64, sequence: u64 },
    Nobody,
}

impl Seat {
    /// No more power cuts.
    pub(super) fn extinguish(&self) {
        self.disk.light(0);
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
            let seat = Seat { disk: Platter::new(), incarnation: 0, life: None, skew_ms, paused_until: 0 };
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
            ..Config::new(id, voters)
        };
        let member = match Member::new(config, recovered, || Replica(State::new())) {
            Ok(it) => it,
            Err(error) => return self.checks.fail("recovery", format!("member {id} cannot start: {error}")),
        };
        let state = member.machine().0.clone();
        seat.life = Some(Life {
            member,
            log,
            readies: VecDeque::new(),
            writing: false,
            chore: None,
            tickets: BTreeMap::new(),
            next_ticket: 0,
            leader: None,
            sessions: BTreeMap::new(),
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
        let lost: Vec<u64> = self.links.iter().filter(|it| it.1.member == id).map(|it| *it.0).collect();
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
            self.to_member(id, Input::Tick);
        }
    }

    pub(super) fn to_member(&mut self, id: u64, input: Input) {
        mutants::enter(id);
        let Some(seat) = self.seats.get_mut(&id) else { return };
        if seat.paused_until > self.now {
            let at = seat.paused_until;
            if !matches!(input, Input::Tick) {
                self.at(at, Event::Peer { to: id, input: Box::new(input) });
            }
            return;
        }
        let wall = EPOCH + self.now + seat.skew_ms;
        let Some(life) = &mut seat.life else { return };
        life.member.handle(input, wall);
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
                self.send_peer(id, to, &kind, || Input::Peer(message.clone()));
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
        self.to_member(id, Input::Snapshotted(Some(file)));
    }

    /// Does what the thread of a real member does.
    fn drain(&mut self, id: u64) {
        loop {
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
                self.send_peer(id, to, &kind, || Input::Peer(message.clone()));
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
    }

    fn send_peer(&mut self, from: u64, to: u64, kind: &str, input: impl Fn() -> Input) {
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
            self.say(format_args!("member {id} is replaced up to {index}"));
            self.see(&Fact::Replaced { member: id, state: &state });
        }
        for (index, taken) in output.events {
            let first = index > self.figures.entries;
            self.figures.entries = self.figures.entries.max(index);
            if first {
                let result = taken.result.as_ref().map(|it| it.events.len());
                self.say(format_args!(
                    "{index} {:?} by {:?}: {result:?}",
                    taken.entry.command, taken.entry.principal
                ));
            }
            self.see(&Fact::Applied { member: id, first, taken: &taken });
            let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
            if !(mutants::planted(Mutant::StaleLeader) && life.leader.is_some() && !life.member.status().leading) {
                life.state = taken.after.clone();
            }
            if index % 40 == 0 {
                life.past = taken.after.clone();
            }
            if let (Some(leader), Ok(applied)) = (&mut life.leader, &taken.result) {
                leader.note(&taken.after, &applied.events);
            }
        }
        if let Some(status) = output.status {
            self.say(format_args!("member {id}: {status:?}"));
            self.office(id, status.leading);
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
        self.tell_agents(id);
    }

    /// Takes or leaves office.
    fn office(&mut self, id: u64, leading: bool) {
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        if leading && life.leader.is_none() {
            life.state = life.member.machine().0.clone();
            let cluster = ClusterId(0xC0FF_EE00 + id);
            life.leader = Some(Leader::new(&life.state, cluster, self.options.loss_after_ms, Timestamp(self.now)));
        } else if !leading && life.leader.is_some() {
            if mutants::planted(Mutant::StaleLeader) {
                return;
            }
            life.leader = None;
            let links: Vec<u64> = std::mem::take(&mut life.sessions).into_keys().collect();
            for link in links {
                self.close_link(link, 5);
            }
        }
    }

    /// Lets the leader act; whether it did.
    fn lead(&mut self, id: u64) -> bool {
        let Some(seat) = self.seats.get_mut(&id) else { return false };
        let wall = Timestamp(EPOCH + self.now + seat.skew_ms);
        let Some(life) = &mut seat.life else { return false };
        let Some(leader) = &mut life.leader else { return false };
        // Time that stands still ends no delay.
        let planned_at = if mutants::planted(Mutant::ForgetsDelays) { Timestamp(0) } else { wall };
        let believed = mutants::view(&life.state);
        let state = believed.as_ref().unwrap_or(&life.state);
        let asks: Vec<Ask> =
            leader.tick(state, Timestamp(self.now)).into_iter().chain(leader.plan(state, planned_at)).collect();
        let any = !asks.is_empty();
        for ask in asks {
            let (Ask::Plan(command) | Ask::Other(command)) = &ask;
            if mutants::planted(Mutant::NeverLosesNodes) && matches!(command, Command::Lose { .. }) {
                continue;
            }
            let command = command.clone();
            self.submit(id, &Principal::Leader, &command, Asked::Leader(ask));
        }
        any
    }

    fn submit(&mut self, id: u64, principal: &Principal, command: &Command, asked: Asked) {
        let Some(seat) = self.seats.get_mut(&id) else { return };
        let wall = EPOCH + self.now + seat.skew_ms;
        let Some(life) = &mut seat.life else { return };
        life.next_ticket += 1;
        let ticket = Ticket(life.next_ticket);
        life.tickets.insert(ticket, asked);
        life.member.handle(Input::Submit(ticket, payload(principal, command)), wall);
        if mutants::planted(Mutant::ProposesTwice) && matches!(principal, Principal::User { .. }) {
            life.next_ticket += 1;
            let again = Ticket(life.next_ticket);
            life.tickets.insert(again, Asked::Nobody);
            life.member.handle(Input::Submit(again, payload(principal, command)), wall);
        }
    }

    /// A client's question arrives.
    pub(super) fn asked(&mut self, id: u64, client: usize, name: String, command: Command) {
        mutants::enter(id);
        let Some(seat) = self.seats.get(&id) else { return };
        if seat.paused_until > self.now {
            let at = seat.paused_until;
            return self.at(at, Event::Asked { member: id, client, name, command: Box::new(command) });
        }
        if seat.life.is_none() {
            return self.answer(id, client, name, Told::NotDone);
        }
        if mutants::planted(Mutant::AckBeforeCommit) {
            let index = self.seats[&id].state().map_or(0, State::index) + 1;
            self.answer(id, client, name.clone(), Told::Done(index, Ok(Applied::default())));
        }
        let principal = Principal::User { address: name.clone() };
        self.submit(id, &principal, &command, Asked::Client { client, name });
        self.drain(id);
    }

    fn ticket_answered(&mut self, id: u64, ticket: Ticket, answer: Result<Answer<Result<Applied, Rejected>>, Refused>) {
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        let Some(asked) = life.tickets.remove(&ticket) else {
            return self.checks.fail("honesty", format!("member {id} answered {ticket:?} twice"));
        };
        match asked {
            Asked::Client { client, name } => {
                let told = match answer {
                    Ok(it) => Told::Done(it.index, it.reply),
                    Err(Refused::Unknown) => Told::Unknown,
                    Err(_) => Told::NotDone,
                };
                self.answer(id, client, name, told);
            }
            Asked::Leader(ask) => {
                let now = Timestamp(EPOCH + self.now);
                if let Some(leader) = &mut life.leader {
                    leader.answered(&ask, now);
                }
            }
            Asked::Register { link, node } => self.registered(id, link, node, answer.map(|it| it.reply)),
            Asked::Report { link, sequence } => match answer.map(|it| it.reply) {
                Ok(Ok(_) | Err(Rejected::Nothing)) => {
                    self.send_over(link, false, || Event::ToAgent { link, message: ToAgent::Reported { sequence } });
                }
                _ => self.close_session(id, link),
            },
            Asked::Nobody => {}
        }
    }

    fn answer(&mut self, id: u64, client: usize, name: String, told: Told) {
        let (from, to) = (Place::Member(id), Place::Client(client));
        // What was decided holds, whether its client ever hears of it or not.
        self.see(&Fact::Answered { name: &name, answer: &told });
        if self.network.is_cut(from, to) || self.rng.chance(self.options.loss) {
            return;
        }
        let at = self.network.arrival(from, to, self.now, &self.options, &mut self.rng);
        self.at(at, Event::Answered { client, name, told: Box::new(told) });
    }

    /// An agent's message arrives.
    pub(super) fn agent_says(&mut self, link: u64, message: FromAgent) {
        let Some(id) = self.links.get(&link).map(|it| it.member) else { return };
        mutants::enter(id);
        let Some(seat) = self.seats.get_mut(&id) else { return };
        if seat.paused_until > self.now {
            let at = seat.paused_until;
            return self.at(at, Event::ToMember { link, message });
        }
        let Some(life) = &mut seat.life else { return };
        let Some(leader) = life.leader.as_mut() else {
            self.send_over(link, false, || Event::ToAgent { link, message: ToAgent::Elsewhere { leader: None } });
            return;
        };
        let session = life.sessions.get(&link).and_then(|it| it.node.clone());
        if let Some(node) = &session {
            leader.hear(node.clone(), Timestamp(self.now));
        }
        match (message, session) {
            (FromAgent::Hello { node, .. }, None) => {
                life.sessions.insert(link, Session::default());
                let principal = Principal::Agent(node.id.clone());
                let asked = Asked::Register { link, node: node.id.clone() };
                self.submit(id, &principal, &Command::Register { node }, asked);
            }
            (FromAgent::Report { sequence, observations }, Some(node)) => {
                let command = Command::Report { node: node.clone(), observations };
                self.submit(id, &Principal::Agent(node), &command, Asked::Report { link, sequence });
            }
            (FromAgent::Degraded { reason }, Some(node)) => {
                let command = Command::Degrade { node: node.clone(), reason };
                self.submit(id, &Principal::Agent(node), &command, Asked::Nobody);
            }
            (FromAgent::Alive, Some(_)) => {
                self.send_over(link, false, || Event::ToAgent { link, message: ToAgent::Alive });
            }
            _ => {}
        }
        self.drain(id);
    }

    fn registered(
        &mut self,
        id: u64,
        link: u64,
        node: NodeId,
        reply: Result<Result<Applied, Rejected>, Refused>,
    ) {
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        let Some(session) = life.sessions.get_mut(&link) else { return };
        match reply {
            Ok(Ok(_) | Err(Rejected::Nothing)) => {
                session.node = Some(node.clone());
                let cluster = life.state.cluster();
                let message = ToAgent::Welcome { cluster, node: node.clone(), alive_every_ms: 1_000 };
                if let Some(leader) = &mut life.leader {
                    leader.hear(node, Timestamp(self.now));
                }
                self.send_over(link, false, || Event::ToAgent { link, message });
                self.tell_agents(id);
            }
            _ => self.close_session(id, link),
        }
    }

    /// Sends each agent what is new for it.
    fn tell_agents(&mut self, id: u64) {
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        let (mut news, mut lost) = (Vec::new(), Vec::new());
        for (link, session) in &mut life.sessions {
            let node = session.node.as_ref().and_then(|it| life.state.node(it));
            if node.is_some_and(|it| it.is_lost()) {
                // It was given up while it was connected: it must introduce itself again.
                lost.push(*link);
            } else {
                // An old backup, or a member that answers from the past.
                let stale = mutants::planted(Mutant::ObeysOldGenerations) && session.is_new();
                let state = if stale { &life.past } else { &life.state };
                news.extend(session.news(state).map(|it| (*link, it)));
            }
        }
        for (link, message) in news {
            self.send_over(link, false, || Event::ToAgent { link, message });
        }
        for link in lost {
            self.close_session(id, link);
        }
    }

    fn close_session(&mut self, id: u64, link: u64) {
        if let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) {
            life.sessions.remove(&link);
        }
        self.close_link(link, 5);
    }

    fn close_link(&mut self, link: u64, ms: u64) {
        self.after(ms, Event::LinkLost { link });
    }
}

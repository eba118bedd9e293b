//! What a member does for others: the real leader's work, agents' sessions, users' questions.

use super::machine::for_any_term;
use super::network::Place;
use super::nodes::NodeSeat;
use super::world::{Event, World};
use crate::check::{Fact, Told, home};
use crate::mutants::{self, Mutant};
use cluster::agent::Pace;
use cluster::{Applied, ClusterId, Command, Moment, NodeId, Principal, Rejected, Settings, State, Timestamp};
use scheduler::leader::{Ask, Leader};
use scheduler::member::{Answer, Input, Refused, Status, Ticket};
use scheduler::state_machine::payload;

/// A leader that has lost its quorum steps down after at most so long: twice an election, of some 15 ticks.
const STEP_DOWN_MS: u64 = 3_000;

/// Who waits for an answer.
pub(super) enum Asked {
    Client {
        client: usize,
        name: String,
    },
    Leader(Ask),
    /// The agents' sessions.
    Session(u64),
    Nobody,
}

impl World {
    /// Takes or leaves office.
    pub(super) fn office(&mut self, id: u64, status: Status) {
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        if status.leading && life.leader.is_none() {
            life.state = life.member.machine().0.clone();
            let cluster = ClusterId(0xC0FF_EE00 + id);
            let settings = Settings {
                min_live_ms: self.options.min_live_ms,
                node_loss_after_ms: self.options.loss_after_ms,
                ..Settings::default()
            };
            // As if it were no business of the leader's how fast agents are.
            let step_down_ms = if mutants::planted(Mutant::WaitsAsLongAsEver) { 0 } else { STEP_DOWN_MS };
            life.leader = Some(Leader::new(&life.state, cluster, settings, step_down_ms, Timestamp(self.now)));
            life.sessions.take_office(Timestamp(self.now));
        } else if !status.leading {
            if mutants::planted(Mutant::StaleLeader) && life.leader.is_some() {
                return;
            }
            life.leader = None;
            if !mutants::planted(Mutant::KeepsSessions) {
                life.sessions.follow(status.leader);
            }
        }
        self.pump(id);
    }

    /// Lets the leader act; whether it did.
    pub(super) fn lead(&mut self, id: u64) -> bool {
        let Some(seat) = self.seats.get_mut(&id) else { return false };
        let clocks = seat.clocks(self.now);
        let Some(life) = &mut seat.life else { return false };
        let Some(leader) = &mut life.leader else { return false };
        let now = if mutants::planted(Mutant::ForgetsDelays) {
            // Time that stands still ends no delay.
            Moment(0)
        } else if mutants::planted(Mutant::CountsByWallClocks) {
            mutants::by_wall_clock(Timestamp(clocks.wall_ms))
        } else {
            life.member.moment(clocks)
        };
        let believed = mutants::view(&life.state);
        let state = believed.as_ref().unwrap_or(&life.state);
        life.sessions.tick(&life.state, Timestamp(self.now));
        let registered = |it: &NodeId| {
            life.sent.keys().any(|link| self.links.get(link).is_some_and(|l| self.nodes[l.node].id() == *it))
        };
        for (node, at) in life.sessions.heard() {
            if !mutants::planted(Mutant::HearsOnlyTheRegistered) || registered(&node) {
                leader.hear(node, at);
            }
        }
        let asks: Vec<Ask> =
            leader.tick(state, Timestamp(self.now), now).into_iter().chain(leader.plan(state, now)).collect();
        let any = !asks.is_empty();
        for ask in asks {
            if mutants::planted(Mutant::NeverLosesNodes) && matches!(ask, Ask::Lose(_)) {
                continue;
            }
            let command = ask.command();
            self.submit(id, &Principal::Leader, &command, Asked::Leader(ask));
        }
        self.pump(id) || any
    }

    pub(super) fn submit(&mut self, id: u64, principal: &Principal, command: &Command, asked: Asked) {
        let Some(seat) = self.seats.get_mut(&id) else { return };
        let now = seat.clocks(self.now);
        let Some(life) = &mut seat.life else { return };
        life.next_ticket += 1;
        let ticket = Ticket(life.next_ticket);
        life.tickets.insert(ticket, asked);
        if seat.full_until > self.now {
            // As the replica says it, before the member sees the command.
            let incarnation = seat.incarnation();
            return self.after(1, Event::Full { member: id, incarnation, ticket });
        }
        let encode = if mutants::planted(Mutant::StaleLeader) { for_any_term } else { payload };
        life.member.handle(Input::Submit(ticket, encode(principal, command)), now);
        if mutants::planted(Mutant::ProposesTwice) && matches!(principal, Principal::User { .. }) {
            life.next_ticket += 1;
            let again = Ticket(life.next_ticket);
            life.tickets.insert(again, Asked::Nobody);
            life.member.handle(Input::Submit(again, payload(principal, command)), now);
        }
    }

    /// A user asks to read what is true now.
    pub(super) fn asked_to_read(&mut self, id: u64, known: u64) {
        mutants::enter(id);
        let Some(seat) = self.seats.get_mut(&id) else { return };
        if seat.paused_until > self.now {
            let at = seat.paused_until;
            return self.at(at, Event::AskedToRead { member: id, known });
        }
        let Some(life) = &mut seat.life else { return };
        life.next_ticket += 1;
        let ticket = Ticket(life.next_ticket);
        life.reads.insert(ticket, known);
        if mutants::planted(Mutant::ReadsLocally) {
            return self.read(id, ticket, true);
        }
        self.member_takes(id, Input::Read(ticket));
    }

    /// A read is answered, or refused.
    pub(super) fn read(&mut self, id: u64, ticket: Ticket, answered: bool) {
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        let seen = life.member.applied().index;
        if let Some(question) = life.session_reads.remove(&ticket) {
            let answer = if answered { Ok(()) } else { Err(Refused::NoLeader) };
            return self.session_answered(id, question, &answer, None);
        }
        if let Some(known) = life.reads.remove(&ticket).filter(|_| answered) {
            self.figures.reads += 1;
            self.see(&Fact::Read { member: id, known, seen });
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

    pub(super) fn ticket_answered(
        &mut self,
        id: u64,
        ticket: Ticket,
        answer: Result<Answer<Result<Applied, Rejected>>, Refused>,
    ) {
        let Some(seat) = self.seats.get_mut(&id) else { return };
        let clocks = seat.clocks(self.now);
        let Some(life) = &mut seat.life else { return };
        let now = life.member.moment(clocks);
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
                if let Some(leader) = &mut life.leader {
                    leader.answered(&ask, now);
                }
            }
            Asked::Session(question) => {
                let refusal = match answer.as_ref().map(|it| &it.reply) {
                    Ok(Err(rejected)) if *rejected != Rejected::Nothing => Some(rejected.to_string()),
                    _ => None,
                };
                self.session_answered(id, question, &answer, refusal);
            }
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

    /// A disk without room: a command was refused.
    pub(super) fn refuse(&mut self, id: u64, incarnation: u64, ticket: Ticket) {
        let Some(seat) = self.seats.get_mut(&id).filter(|it| it.incarnation() == incarnation) else { return };
        let Some(life) = &mut seat.life else { return };
        if let Some(question) = life.session_reads.remove(&ticket) {
            self.session_answered(id, question, &Err::<(), _>(Refused::DiskFull), None);
        } else {
            self.ticket_answered(id, ticket, Err(Refused::DiskFull));
        }
        self.drain(id);
    }

    /// Whether a node that was given up had been reachable for long.
    pub(super) fn judge_loss(&mut self, command: &Command) {
        let Command::Lose { node } = command else { return };
        let machines = self.nodes.iter().take(self.options.n_agents);
        let it_is = |it: &&NodeSeat| home(&it.id()) == home(node) && it.agent.is_some();
        let Some(seat) = machines.into_iter().find(it_is) else { return };
        let loss_after_ms = self.options.loss_after_ms;
        let find_ms = Pace::of(loss_after_ms).find_ms(STEP_DOWN_MS);
        let (mut reachable_ms, mut allowed_ms) = (self.now - seat.well_since, loss_after_ms * 9 / 10);
        // A message that is lost is a connection that is lost, and members that stand still or are cut off cost an
        // attempt each: finding the leader takes more than one round.
        if self.options.loss > 0 || reachable_ms <= allowed_ms {
            let oldest = seat.ways.values().min().copied().unwrap_or(self.now);
            (reachable_ms, allowed_ms) = (self.now - oldest, loss_after_ms + 4 * find_ms);
        }
        self.see(&Fact::GivenUp { node, reachable_ms, allowed_ms });
    }
}

//! What a member does for others: the real leader's work, agents' sessions, users' questions.

use super::machine::for_any_term;
use super::network::Place;
use super::session::Session;
use super::world::{Event, World};
use crate::check::{Fact, Told};
use crate::mutants::{self, Mutant};
use cluster::agent::{FromAgent, ToAgent};
use cluster::{Applied, ClusterId, Command, Moment, NodeId, Principal, Rejected, Settings, State, Timestamp};
use scheduler::leader::{Ask, Leader};
use scheduler::member::{Answer, Input, Refused, Ticket};
use scheduler::state_machine::payload;

/// Who waits for an answer.
pub(super) enum Asked {
    Client { client: usize, name: String },
    Leader(Ask),
    Register { link: u64, node: NodeId },
    Report { link: u64, sequence: u64 },
    Nobody,
}

impl World {
    /// Takes or leaves office.
    pub(super) fn office(&mut self, id: u64, leading: bool) {
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        if leading && life.leader.is_none() {
            life.state = life.member.machine().0.clone();
            let cluster = ClusterId(0xC0FF_EE00 + id);
            life.leader = Some(Leader::new(
                &life.state,
                cluster,
                Settings { min_live_ms: self.options.min_live_ms, ..Settings::default() },
                self.options.loss_after_ms,
                Timestamp(self.now),
            ));
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
        let asks: Vec<Ask> =
            leader.tick(state, Timestamp(self.now), now).into_iter().chain(leader.plan(state, now)).collect();
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
        let now = seat.clocks(self.now);
        let Some(life) = &mut seat.life else { return };
        life.next_ticket += 1;
        let ticket = Ticket(life.next_ticket);
        life.tickets.insert(ticket, asked);
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
            Asked::Register { link, node } => self.registered(id, link, node, &answer.map(|it| it.reply)),
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
            (FromAgent::Report { sequence, observations, destroyed }, Some(node)) => {
                let command = Command::Report { node: node.clone(), observations, destroyed };
                self.submit(id, &Principal::Agent(node), &command, Asked::Report { link, sequence });
            }
            (FromAgent::Strangers { strangers }, Some(node)) => {
                let state = self.seats.get(&id).and_then(|it| it.life.as_ref()).map(|it| &it.state);
                let news = |it: &State| it.node(&node).is_some_and(|on| it.orphans_among(on, &strangers) != on.orphans);
                if state.is_some_and(news) {
                    let command = Command::FindStrangers { node: node.clone(), strangers };
                    self.submit(id, &Principal::Agent(node), &command, Asked::Nobody);
                }
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

    fn registered(&mut self, id: u64, link: u64, node: NodeId, reply: &Result<Result<Applied, Rejected>, Refused>) {
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
    pub(super) fn tell_agents(&mut self, id: u64) {
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

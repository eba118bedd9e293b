//! The shell around a member's real sessions: agents' messages in, letters out, questions to the log.

use super::network::Place;
use super::office::Asked;
use super::world::{Event, World};
use crate::check::Fact;
use crate::mutants::{self, Mutant};
use cluster::agent::{FromAgent, Observation, PROTOCOL, Seen, ToAgent};
use cluster::{Command, Principal, Timestamp};
use scheduler::member::{Input, Refused, Ticket};
use scheduler::sessions::{Answer, Effect, Letter, Sent};
use std::sync::Arc;

impl World {
    /// An agent's message arrives at the member that it is for.
    pub(super) fn agent_says(&mut self, link: u64, message: FromAgent) {
        let Some(it) = self.links.get(&link).copied() else { return };
        let id = it.to.unwrap_or(it.member);
        mutants::enter(id);
        let Some(seat) = self.seats.get_mut(&id) else { return };
        if seat.paused_until > self.now {
            let at = seat.paused_until;
            return self.at(at, Event::ToMember { link, message });
        }
        let Some(life) = &mut seat.life else { return };
        let now = Timestamp(self.now);
        if matches!(message, FromAgent::Hello { .. }) {
            life.sessions.open(link, PROTOCOL, now);
        }
        let is_report = matches!(message, FromAgent::Report { .. });
        life.sessions.said(link, message, &life.state, now);
        if is_report && mutants::planted(Mutant::BelievesAnybody) && self.rng.chance(200) {
            self.lie(id, it.node);
        }
        self.pump(id);
        self.drain(id);
    }

    /// A node's agent says that another node's container is gone, past the session that would not hear it.
    fn lie(&mut self, id: u64, n: usize) {
        let others = self.nodes.iter().enumerate().filter(|it| it.0 != n);
        let foreign = others.flat_map(|it| it.1.engine.containers.values()).map(|it| it.instance).next();
        let gone = |instance| Observation {
            instance,
            judged_by: Timestamp::default(),
            trial: None,
            seen: Seen::Removed,
            evidence: None,
        };
        let node = self.nodes[n].id();
        let observations = foreign.map(gone).into_iter().collect();
        let command = Command::Report { node: node.clone(), observations, destroyed: Vec::new() };
        self.submit(id, &Principal::Agent(node), &command, Asked::Nobody);
    }

    /// A connection is gone, and the member hears of it.
    pub(super) fn agent_gone(&mut self, id: u64, link: u64) {
        let now = Timestamp(self.now);
        let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
        life.sessions.closed(link, now);
        life.sent.remove(&link);
    }

    /// Does what the sessions want; whether they wanted anything.
    pub(super) fn pump(&mut self, id: u64) -> bool {
        let mut any = false;
        loop {
            let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return any };
            let effects = life.sessions.effects();
            if effects.is_empty() {
                return any;
            }
            any = true;
            for effect in effects {
                match effect {
                    Effect::Wake(link) => self.post(id, link),
                    Effect::Submit { question, principal, command } => {
                        self.submit(id, &principal, &command, Asked::Session(question));
                    }
                    Effect::Read { question } => self.session_reads(id, question),
                }
            }
        }
    }

    fn session_reads(&mut self, id: u64, question: u64) {
        let Some(seat) = self.seats.get_mut(&id) else { return };
        let now = seat.clocks(self.now);
        let Some(life) = &mut seat.life else { return };
        life.next_ticket += 1;
        let ticket = Ticket(life.next_ticket);
        life.session_reads.insert(ticket, question);
        if mutants::planted(Mutant::HearsOnlyTheRegistered) && seat.full_until > self.now {
            // As if nobody were known without an entry in the log.
            let incarnation = seat.incarnation();
            return self.after(1, Event::Full { member: id, incarnation, ticket });
        }
        life.member.handle(Input::Read(ticket), now);
    }

    /// The log answered the sessions.
    pub(super) fn session_answered<T>(
        &mut self,
        id: u64,
        question: u64,
        answer: &Result<T, Refused>,
        refusal: Option<String>,
    ) {
        let answer = match (answer, refusal) {
            (Ok(_), None) => Answer::Done,
            (Ok(_), Some(reason)) => Answer::Refused { reason },
            (Err(Refused::Overloaded | Refused::DiskFull), _) => Answer::NotNow,
            (Err(_), _) => Answer::Gone,
        };
        let now = Timestamp(self.now);
        if let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) {
            life.sessions.answered(question, answer, &life.state, now);
        }
        self.pump(id);
    }

    /// Sends what the sessions have for one agent.
    fn post(&mut self, id: u64, link: u64) {
        let part_bytes =
            if mutants::planted(Mutant::AssignsInOneFrame) { usize::MAX } else { self.options.frame_bytes / 8 };
        let now = Timestamp(self.now);
        loop {
            let Some(life) = self.seats.get_mut(&id).and_then(|it| it.life.as_mut()) else { return };
            match life.sessions.next(link) {
                None => return,
                Some(Letter::Say(message)) => self.send_to_agent(link, message),
                Some(Letter::News { node, news }) => {
                    let sent = life.sent.entry(link).or_insert_with(|| Sent::in_parts_of(part_bytes));
                    // An old backup, or a member that answers from the past.
                    let stale = mutants::planted(Mutant::ObeysOldGenerations) && sent.is_new();
                    let state = Arc::new(if stale { life.past.clone() } else { life.state.clone() });
                    sent.note(news);
                    let mut messages = Vec::new();
                    while let Some(message) = sent.next(&state, &node) {
                        if let ToAgent::Assign { generation, more, .. } = &message {
                            life.sessions.sending(link, *generation, *more, now);
                        }
                        messages.push(message);
                    }
                    for message in messages {
                        self.send_to_agent(link, message);
                    }
                }
                Some(Letter::Relay { to, hello }) => self.relay(link, to, hello),
                Some(Letter::End) => {
                    self.agent_gone(id, link);
                    return self.close_link(link, 5);
                }
            }
        }
    }

    /// Passes an agent on to the leader.
    fn relay(&mut self, link: u64, to: u64, hello: FromAgent) {
        let Some(it) = self.links.get_mut(&link) else { return };
        let (from, member) = (it.member, Place::Member(to));
        it.to = Some(to);
        let relay = Place::Member(from);
        if mutants::planted(Mutant::NeverRelays) || !self.is_alive(to) || self.network.is_cut(relay, member) {
            if let Some(it) = self.links.get_mut(&link) {
                it.to = None;
            }
            self.send_to_agent(link, ToAgent::Elsewhere { leader: None });
            self.agent_gone(from, link);
            return self.close_link(link, 50);
        }
        let (low, high) = self.options.delay_ms;
        let ms = self.rng.range(low, high);
        self.after(ms, Event::ToMember { link, message: hello });
    }

    fn send_to_agent(&mut self, link: u64, message: ToAgent) {
        if let ToAgent::Assign { assignments, .. } = &message {
            let bytes = api::link::encode(&message).map_or(usize::MAX, |it| it.len());
            let what = format!("{} assignments", assignments.len());
            self.see(&Fact::Framed { bytes, bytes_max: self.options.frame_bytes, what: &what });
        }
        self.send_over(link, false, || Event::ToAgent { link, message });
    }

    /// The member closes a connection; its agent hears of it after all that was said before.
    pub(super) fn close_link(&mut self, link: u64, ms: u64) {
        let said = self.links.get(&link).map_or(0, |it| it.last[1]);
        self.at((self.now + ms).max(said + 1), Event::LinkLost { link });
    }
}

//! The agents' sessions, as a machine: who is taken in, by which connection, what each is told, and who was heard of.
//!
//! Pure: whoever owns it says what came over which connection, what the log answered and what happened; and performs
//! the [`Effect`]s. What goes to an agent is fetched by [`Sessions::next`], when its connection has room for it:
//! nothing queues, the last value wins.
//!
//! A session goes through these phases:
//!
//! ```text
//!   stranger ──Hello──▶ joining ──in the log, or there already──▶ open ──▶ over
//!      │                   ╰─ the disk is full: it waits, and is heard of meanwhile
//!      ╰──Hello to a member that does not lead──▶ over (told who leads), or passed on to the leader
//! ```
//!
//! Sessions live and die with an office: who sits on a member that does not lead any more is told so. A sign of life
//! counts when it comes, whatever the log is busy with, also of a node that is still joining: what keeps it from being
//! taken in may be ours.

mod due;
mod join;
mod note;
mod sent;
#[cfg(test)]
mod tests;
mod told;

use due::Party;
pub use note::News;
pub use sent::{PART_BYTES, Sent};

use cluster::agent::{FromAgent, Observation, Pace, ToAgent};
use cluster::alarms::Alarms;
use cluster::catalog::Gone;
use cluster::claims::Claims;
use cluster::{Command, InstanceId, NodeDescription, NodeId, Principal, State, Stranger, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A connection, as whoever accepts them numbers it.
pub type LinkId = u64;

/// Something that was asked of the log.
pub type Question = u64;

/// An agent that does not introduce itself in this time is hung up on, milliseconds.
const HELLO_WITHIN_MS: u64 = 5_000;

/// From a refusal that will pass (the disk is full, too much is waiting) to the next attempt, milliseconds.
const AGAIN_MS: u64 = 500;

/// An agent that gives signs of life but has not taken its orders after so long is as good as deaf, milliseconds. A
/// busy one takes them within a second.
const OBEYS_WITHIN_MS: u64 = 10_000;

/// No member serves more agents. Ten times as many as it was measured with.
const SESSIONS_MAX: usize = 20_000;

/// So many connections may be there that have not said yet who they are; then the oldest of them goes.
const STRANGERS_MAX: usize = 1_024;

/// So many members' questions wait to be told to one agent.
const TICKETS_MAX: usize = 64;

/// What does not change while a member runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where members are reached by agents, by id.
    pub members: BTreeMap<u64, String>,
    /// A node whose agent is silent for so long is given up, milliseconds.
    pub loss_after_ms: u64,
}

/// All sessions of one member.
#[derive(Debug)]
pub struct Sessions {
    config: Config,
    pace: Pace,
    leading: bool,
    leader: Option<u64>,
    links: BTreeMap<LinkId, Session>,
    /// Those that have not said who they are, oldest first.
    strangers: BTreeSet<LinkId>,
    nodes: BTreeMap<NodeId, Seat>,
    /// Who lives by which identity, while this member leads.
    claims: Claims,
    /// When something is due for a session or a node, or earlier.
    alarms: Alarms<Party>,
    #[cfg(test)]
    n_looked: u64,
    heard: BTreeMap<NodeId, Timestamp>,
    questions: BTreeMap<Question, Asked>,
    next_question: Question,
    effects: Vec<Effect>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put this into the log; come back with [`Sessions::answered`].
    Submit {
        /// Returned with the answer.
        question: Question,
        /// Who wants it.
        principal: Principal,
        /// What.
        command: Command,
    },
    /// Make sure that this member leads and has everything that is in the log; come back with [`Sessions::answered`].
    Read {
        /// Returned with the answer.
        question: Question,
    },
    /// There is something for [`Sessions::next`].
    Wake(LinkId),
}

/// What the log answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so, or was already.
    Done,
    /// The cluster refuses it, and will again.
    Refused {
        /// Why.
        reason: String,
    },
    /// Nothing was done, for want of room or of time; later it may be.
    NotNow,
    /// This member does not lead, or nobody knows what became of it.
    Gone,
}

/// What a connection has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// Send this.
    Say(ToAgent),
    /// Tell [`Sent`] of this, and send what it makes of it.
    News {
        /// Whose assignments.
        node: NodeId,
        /// What is new.
        news: News,
    },
    /// From now on pass everything on between the agent and this member, beginning with this message.
    Relay {
        /// The leader's id.
        to: u64,
        /// What the agent said.
        hello: FromAgent,
    },
    /// Close the connection.
    End,
}

/// One connection.
#[derive(Debug)]
struct Session {
    protocol: u32,
    life: Life,
    phase: Phase,
    /// When something last came.
    heard_at: Timestamp,
    welcome: Option<ToAgent>,
    alive: bool,
    reported: Option<u64>,
    gone: Option<Gone>,
    /// It answers questions over connections of their own.
    opens: bool,
    /// Of the questions that it was not told of yet, in the order in which they were asked.
    tickets: VecDeque<u64>,
    news: News,
    relay: Option<(u64, FromAgent)>,
    farewell: Option<ToAgent>,
    report: Option<Report>,
    strangers: Option<Strangers>,
    /// The newest orders that its agent says it has taken, if it says so at all.
    obeys: Option<u64>,
    /// Orders that it was sent and has not taken yet: the newest, and since when.
    owes: Option<(u64, Timestamp)>,
}

#[derive(Debug)]
enum Phase {
    Stranger,
    Joining {
        node: NodeDescription,
        attempt: Attempt,
    },
    Open {
        node: NodeId,
    },
    /// The leader serves it, through this member.
    Relayed,
    Over,
}

/// What is under way to get something into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Asked(Question),
    WaitsUntil(Timestamp),
}

/// A report that is not in the log yet. There is one at a time.
#[derive(Debug)]
struct Report {
    sequence: u64,
    observations: Vec<Observation>,
    destroyed: Vec<InstanceId>,
    attempt: Attempt,
}

/// Containers that nobody speaks of, and that are not in the log yet.
#[derive(Debug)]
struct Strangers {
    strangers: Vec<Stranger>,
    attempt: Attempt,
}

/// An agent's process. One that does not say which it is has drawn 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Life {
    identity: u64,
    drawn: u64,
}

/// What is known of a node beside its session.
#[derive(Debug, Default)]
struct Seat {
    link: Option<LinkId>,
    /// Reports that are on their way into the log, also of earlier sessions: until they are there nobody knows what is
    /// news.
    n_reports: u32,
    /// Why it takes no new instances, as its agent says.
    own: Option<String>,
    /// Its agent does not take its orders.
    deaf: bool,
    /// What of that is to be told to the log.
    degrade: Option<Attempt>,
}

#[derive(Debug)]
enum Asked {
    /// Whether the leader's state has everything; the node is in it as it describes itself.
    Known {
        link: LinkId,
    },
    Registered {
        link: LinkId,
    },
    Reported {
        link: LinkId,
        node: NodeId,
    },
    Degraded {
        node: NodeId,
    },
    Strangers {
        link: LinkId,
    },
}

impl Sessions {
    /// A member's, that does not lead yet.
    pub fn new(config: Config) -> Self {
        Self {
            pace: Pace::of(config.loss_after_ms),
            claims: Claims::default(),
            config,
            leading: false,
            leader: None,
            links: BTreeMap::new(),
            strangers: BTreeSet::new(),
            nodes: BTreeMap::new(),
            alarms: Alarms::default(),
            #[cfg(test)]
            n_looked: 0,
            heard: BTreeMap::new(),
            questions: BTreeMap::new(),
            next_question: 0,
            effects: Vec::new(),
        }
    }

    /// How many agents are taken in.
    pub fn len(&self) -> usize {
        self.nodes.values().filter(|it| it.link.is_some()).count()
    }

    /// Whether no agent is taken in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is to be done since the last call, in order.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The signs of life since the last call.
    pub fn heard(&mut self) -> BTreeMap<NodeId, Timestamp> {
        std::mem::take(&mut self.heard)
    }

    /// This member leads from now on.
    pub fn take_office(&mut self, clock: Timestamp) {
        self.leave(None);
        self.leading = true;
        self.claims = Claims::new(self.config.members.len() < 2, clock);
    }

    /// This member does not lead; who does, if that is known.
    pub fn follow(&mut self, leader: Option<u64>) {
        if self.leading || self.leader != leader {
            self.leave(leader);
        }
    }

    /// Ends all sessions, because the member ends.
    pub fn close(&mut self) {
        self.leave(None);
    }

    /// Nothing of one office outlives it: what was asked of the log may come to nothing, and signs of life are for the
    /// next leader to hear.
    fn leave(&mut self, leader: Option<u64>) {
        self.leading = false;
        self.leader = leader;
        self.nodes.clear();
        self.heard.clear();
        self.questions.clear();
        let farewell = self.elsewhere();
        let links: Vec<LinkId> = self.links.keys().copied().filter(|it| !self.strangers.contains(it)).collect();
        for link in links {
            self.end(link, Some(farewell.clone()));
        }
    }

    /// A connection came whose greeting names this protocol. None: there are too many, it is to be closed.
    pub fn open(&mut self, link: LinkId, protocol: u32, clock: Timestamp) -> bool {
        if self.links.len() >= SESSIONS_MAX {
            return false;
        }
        if self.strangers.len() >= STRANGERS_MAX
            && let Some(oldest) = self.strangers.first().copied()
        {
            self.end(oldest, None);
        }
        let session = Session {
            protocol,
            life: Life::default(),
            phase: Phase::Stranger,
            heard_at: clock,
            welcome: None,
            alive: false,
            reported: None,
            gone: None,
            opens: false,
            tickets: VecDeque::new(),
            news: News::default(),
            relay: None,
            farewell: None,
            report: None,
            strangers: None,
            obeys: None,
            owes: None,
        };
        self.links.insert(link, session);
        self.strangers.insert(link);
        self.remind(Party::Session(link));
        true
    }

    /// A connection is gone.
    pub fn closed(&mut self, link: LinkId, clock: Timestamp) {
        self.strangers.remove(&link);
        self.alarms.clear(&Party::Session(link));
        let Some(Session { phase, life, .. }) = self.links.remove(&link) else { return };
        // What was not ended by us was ended by the agent, or with it.
        if matches!(phase, Phase::Joining { .. } | Phase::Open { .. }) {
            self.claims.hung_up(life.identity, life.drawn, clock);
        }
        if let Phase::Open { node } = phase {
            self.vacate(&node, link);
        }
    }

    /// Has a node's agent open a connection for the answer to a question. False: it cannot be asked, or has enough to
    /// answer.
    pub fn open_stream(&mut self, node: &NodeId, ticket: u64) -> bool {
        let Some(link) = self.nodes.get(node).and_then(|it| it.link) else { return false };
        let session = self.links.get_mut(&link).filter(|it| it.opens && it.tickets.len() < TICKETS_MAX);
        let Some(session) = session else { return false };
        session.tickets.push_back(ticket);
        self.effects.push(Effect::Wake(link));
        true
    }

    /// The nodes whose agents can be asked.
    pub fn answering(&self) -> impl Iterator<Item = &NodeId> {
        let answers = |link: Option<LinkId>| link.and_then(|it| self.links.get(&it)).is_some_and(|it| it.opens);
        self.nodes.iter().filter(move |it| answers(it.1.link)).map(|it| it.0)
    }

    /// What a connection has to do next, if anything.
    pub fn next(&mut self, link: LinkId) -> Option<Letter> {
        let Some(session) = self.links.get_mut(&link) else { return Some(Letter::End) };
        let say = |it| Some(Letter::Say(it));
        match &session.phase {
            Phase::Over => session.farewell.take().map_or(Some(Letter::End), say),
            Phase::Relayed => session.relay.take().map(|(to, hello)| Letter::Relay { to, hello }),
            Phase::Stranger => None,
            Phase::Joining { .. } => std::mem::take(&mut session.alive).then_some(Letter::Say(ToAgent::Alive)),
            Phase::Open { node } => {
                if let Some(welcome) = session.welcome.take() {
                    return say(welcome);
                }
                if std::mem::take(&mut session.alive) {
                    return say(ToAgent::Alive);
                }
                if let Some(sequence) = session.reported.take() {
                    return say(ToAgent::Reported { sequence });
                }
                if let Some(gone) = session.gone.take() {
                    return say(ToAgent::Gone { gone });
                }
                if let Some(ticket) = session.tickets.pop_front() {
                    return say(ToAgent::Open { ticket });
                }
                let news = std::mem::take(&mut session.news);
                (!news.is_empty()).then(|| Letter::News { node: node.clone(), news })
            }
        }
    }

    /// Orders of this generation are about to be sent; `more` of the first set follow.
    pub fn sending(&mut self, link: LinkId, generation: u64, more: bool, clock: Timestamp) {
        let Some(session) = self.links.get_mut(&link) else { return };
        // What is only now sent of the first set says that the part before it went through.
        let since = session.owes.filter(|_| !more).map_or(clock, |it| it.1);
        session.owes = Some((generation, since));
        self.remind(Party::Session(link));
    }

    /// An agent said something.
    pub fn said(&mut self, link: LinkId, message: FromAgent, state: &State, clock: Timestamp) {
        let Some(session) = self.links.get_mut(&link) else { return };
        session.heard_at = clock;
        if let (Phase::Joining { node: NodeDescription { id, .. }, .. } | Phase::Open { node: id }, true) =
            (&session.phase, session.life.drawn != 0)
        {
            self.claims.hear(session.life.identity, session.life.drawn, id, clock);
        }
        match (&session.phase, message) {
            // What an agent says while it is passed on is a sign of life; the leader will ask for more.
            (Phase::Over | Phase::Relayed, _) => {}
            (Phase::Stranger, hello @ FromAgent::Hello { .. }) => {
                self.strangers.remove(&link);
                self.hello(link, hello, state, clock);
            }
            (Phase::Joining { node, .. }, FromAgent::Alive | FromAgent::Obeys { .. }) => {
                let node = node.clone();
                session.alive = true;
                self.hear_joining(&node, state, clock);
                self.effects.push(Effect::Wake(link));
            }
            (Phase::Open { node }, message) => {
                let node = node.clone();
                self.heard.insert(node.clone(), clock);
                self.told(link, node, message, state, clock);
            }
            // Out of order, or not for us.
            _ => self.end(link, None),
        }
        self.remind(Party::Session(link));
    }

    /// The log answered.
    pub fn answered(&mut self, question: Question, answer: Answer, state: &State, clock: Timestamp) {
        // None is of an earlier office.
        let Some(asked) = self.questions.remove(&question) else { return };
        match &asked {
            Asked::Known { link } => self.joined(*link, question, answer, false, state, clock),
            Asked::Registered { link } => self.joined(*link, question, answer, true, state, clock),
            Asked::Reported { link, node } => self.reported(*link, node, question, &answer, clock),
            Asked::Strangers { link } => self.found(*link, question, &answer, clock),
            Asked::Degraded { node } => self.degraded(node, question, &answer, state, clock),
        }
        self.remind(asked.party());
    }

    fn ask(&mut self, asked: Asked, principal: Principal, command: Command) -> Question {
        self.next_question += 1;
        let question = self.next_question;
        self.questions.insert(question, asked);
        self.effects.push(Effect::Submit { question, principal, command });
        question
    }

    fn elsewhere(&self) -> ToAgent {
        ToAgent::Elsewhere { leader: self.leader.and_then(|it| self.config.members.get(&it)).cloned() }
    }

    /// Ends a session; the agent is told this first.
    fn end(&mut self, link: LinkId, farewell: Option<ToAgent>) {
        self.strangers.remove(&link);
        let Some(session) = self.links.get_mut(&link) else { return };
        let phase = std::mem::replace(&mut session.phase, Phase::Over);
        session.farewell = farewell;
        self.effects.push(Effect::Wake(link));
        if let Phase::Open { node } = phase {
            self.vacate(&node, link);
        }
    }

    fn vacate(&mut self, node: &NodeId, link: LinkId) {
        if let Some(seat) = self.nodes.get_mut(node).filter(|it| it.link == Some(link)) {
            seat.link = None;
        }
    }
}

impl Asked {
    /// For whom it was asked.
    fn party(self) -> Party {
        match self {
            Self::Known { link }
            | Self::Registered { link }
            | Self::Reported { link, .. }
            | Self::Strangers { link } => Party::Session(link),
            Self::Degraded { node } => Party::Seat(node),
        }
    }
}

impl Attempt {
    fn waits_until(self) -> Option<Timestamp> {
        match self {
            Self::WaitsUntil(it) => Some(it),
            Self::Asked(_) => None,
        }
    }

    fn is_due(self, clock: Timestamp) -> bool {
        self.waits_until().is_some_and(|it| it <= clock)
    }

    fn again(clock: Timestamp) -> Self {
        Self::WaitsUntil(clock.plus_ms(AGAIN_MS))
    }
}

//! One world: its clock, what comes next, and its end.

use super::client::Client;
use super::errands::Errand;
use super::faults::Options;
use super::identity::Copied;
use super::network::{Network, Place};
use super::nodes::NodeSeat;
use super::rng::Rng;
use super::seats::Seat;
use super::trace::Trace;
use crate::check::{Checks, Fact, Told, Violation};
use crate::mutants::{self, Mutant};
use cluster::Command;
use cluster::agent::{FromAgent, ToAgent};
use scheduler::member::{Input, Ticket};
use std::collections::BTreeMap;

/// A whole cluster, its users and its bad luck.
pub struct World {
    pub(super) now: u64,
    pub(super) rng: Rng,
    pub(super) options: Options,
    pub(super) network: Network,
    pub(super) seats: BTreeMap<u64, Seat>,
    pub(super) nodes: Vec<NodeSeat>,
    pub(super) links: BTreeMap<u64, Link>,
    /// A directory of an agent that is there twice.
    pub(super) copied: Option<Copied>,
    /// What an operator asked for besides the users.
    pub(super) n_operations: u64,
    pub(super) clients: Vec<Client>,
    pub(super) checks: Checks,
    pub(super) calm: bool,
    /// Since when no member's wall clock is set wrongly.
    pub(super) clocks_right_since: Option<u64>,
    pub(super) next_link: u64,
    /// The newest entry that some user was told is done.
    pub(super) acknowledged: u64,
    pub(super) figures: Figures,
    trace: Trace,
    queue: BTreeMap<(u64, u64), Event>,
    sequence: u64,
}

/// A connection of an agent to a member. What is sent arrives in order, until one message does not arrive at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) node: usize,
    pub(super) member: u64,
    /// The leader that the member passes it on to.
    pub(super) to: Option<u64>,
    /// By direction, to the member first: nothing arrives any more.
    pub(super) stuck: [bool; 2],
    pub(super) last: [u64; 2],
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Event {
    Tick(u64),
    Peer { to: u64, input: Box<Input> },
    Disk { member: u64, incarnation: u64 },
    Chore { member: u64, incarnation: u64 },
    ToMember { link: u64, message: FromAgent },
    ToAgent { link: u64, message: ToAgent },
    LinkLost { link: u64 },
    NoAnswer { link: u64 },
    AgentGone { member: u64, link: u64 },
    Full { member: u64, incarnation: u64, ticket: Ticket },
    Agent { node: usize, incarnation: u64 },
    Docker { node: usize, incarnation: u64, errand: Errand, timeout: bool },
    Told { node: usize, input: cluster::agent::Input },
    Publishes { node: usize, incarnation: u64, revision: u64 },
    Ends { node: usize, name: String, n_starts: u32 },
    User(usize),
    Asked { member: u64, client: usize, name: String, command: Box<Command> },
    AskedToRead { member: u64, known: u64 },
    Answered { client: usize, name: String, told: Box<Told> },
    Fault(Fault),
    Undo(Undo),
}

/// What goes wrong from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Partition,
    Crash,
    Pause,
    Agent,
    Daemon,
    Container,
    Node,
    Clock,
    Silence,
    Copy,
    Operator,
}

/// And ends again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    Partition,
    Member(u64),
    Daemon(usize),
    Node(usize),
    Agent(usize),
    /// The agent that lives by a copy of another one's directory is stopped.
    Copy,
    /// The wall clocks of these members are right again.
    Clocks,
    /// The storm is over.
    Everything,
}

/// What a run amounted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Faults of all kinds.
    pub faults: u64,
    /// Entries of the log.
    pub entries: u64,
    /// Nodes that got another name.
    pub renames: u64,
    /// Copies of agents' directories that came and were stopped.
    pub copies: u64,
    /// Those of them for which both agents were turned away.
    pub copies_refused: u64,
    /// Containers started.
    pub starts: u64,
    /// Questions asked by clients.
    pub asked: u64,
    /// And answered for certain.
    pub answered: u64,
    /// Reads answered.
    pub reads: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
}

/// How a world ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its seed.
    pub seed: u64,
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// The hash of its story.
    pub hash: u64,
    /// Its story, where it was kept.
    pub trace: Vec<String>,
    /// What it amounted to.
    pub figures: Figures,
}

/// Plays one seed, with what may be planted in it.
pub fn play(seed: u64, mutant: Option<Mutant>, keep_trace: bool) -> Verdict {
    let mut rng = Rng::new(seed);
    let mut options = Options::draw(&mut rng);
    if let Some(mutant) = mutant {
        options.suit(mutant);
    }
    play_with(seed, rng, options, mutant, keep_trace)
}

fn play_with(seed: u64, rng: Rng, options: Options, mutant: Option<Mutant>, keep_trace: bool) -> Verdict {
    mutants::plant(mutant);
    let mut world = World::new(rng, options, keep_trace);
    world.run();
    mutants::plant(None);
    Verdict {
        seed,
        violation: world.checks.violation().cloned(),
        hash: world.trace.hash(),
        trace: world.trace.lines().to_vec(),
        figures: Figures { simulated_ms: world.now, ..world.figures },
    }
}

impl World {
    fn new(rng: Rng, options: Options, keep_trace: bool) -> Self {
        let mut world = Self {
            now: 0,
            rng,
            network: Network::default(),
            seats: BTreeMap::new(),
            nodes: Vec::new(),
            links: BTreeMap::new(),
            copied: None,
            n_operations: 0,
            clients: vec![Client::default(); options.n_clients],
            checks: Checks::new(),
            calm: false,
            clocks_right_since: Some(0),
            next_link: 0,
            acknowledged: 0,
            figures: Figures::default(),
            trace: Trace::new(keep_trace),
            queue: BTreeMap::new(),
            sequence: 0,
            options,
        };
        world.say(format_args!("{:?}", world.options.clone()));
        world.found_members();
        world.found_nodes();
        for client in 0..world.options.n_clients {
            world.after(1_000, Event::User(client));
        }
        world.plan_faults();
        let storm = world.options.storm_ms;
        world.after(storm, Event::Undo(Undo::Everything));
        world
    }

    fn run(&mut self) {
        let end = self.options.storm_ms + self.options.settle_ms;
        let mut next_look = self.options.storm_ms + 5_000;
        while self.checks.violation().is_none() {
            let Some(((at, _), event)) = self.queue.pop_first() else { return };
            if at >= next_look {
                self.now = next_look;
                next_look += 2_000;
                match self.is_at_rest() {
                    Ok(()) => return,
                    Err(violation) if at >= end => self.checks.fail(violation.promise, violation.how),
                    Err(violation) => self.say(format_args!("not at rest yet: {violation}")),
                }
            }
            self.now = at;
            self.handle(event);
        }
    }

    fn is_at_rest(&mut self) -> Result<(), Violation> {
        let states: Vec<_> =
            self.seats.iter().filter_map(|(id, it)| it.state().map(|state| (*id, state.clone()))).collect();
        let there = self.nodes.iter().filter(|it| !it.off);
        let engines: Vec<_> = there.map(|it| (it.id(), it.engine.clone())).collect();
        let fact = Fact::Calm {
            since_ms: self.now - self.options.storm_ms,
            states: &states,
            engines: &engines,
            now: self.seats.values().filter_map(|it| it.moment(self.now)).max().unwrap_or_default(),
        };
        self.checks.at_rest(&fact)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick(member) => self.tick(member),
            Event::Peer { to, input } => self.member_takes(to, *input),
            Event::Disk { member, incarnation } => self.disk_done(member, incarnation),
            Event::Chore { member, incarnation } => self.chore_done(member, incarnation),
            Event::ToMember { link, message } => self.agent_says(link, message),
            Event::ToAgent { link, message } => self.agent_hears(link, message),
            Event::LinkLost { link } => self.link_lost(link),
            Event::NoAnswer { link } => self.no_answer(link),
            Event::AgentGone { member, link } => self.agent_gone(member, link),
            Event::Full { member, incarnation, ticket } => self.refuse(member, incarnation, ticket),
            Event::Agent { node, incarnation } => self.agent_wakes(node, incarnation),
            Event::Docker { node, incarnation, errand, timeout } => {
                self.errand_done(node, incarnation, errand, timeout);
            }
            Event::Told { node, input } => self.docker_tells(node, input),
            Event::Publishes { node, incarnation, revision } => self.publishes(node, incarnation, revision),
            Event::Ends { node, name, n_starts } => self.container_ends(node, &name, n_starts),
            Event::User(client) => self.user_acts(client),
            Event::Asked { member, client, name, command } => self.asked(member, client, name, *command),
            Event::AskedToRead { member, known } => self.asked_to_read(member, known),
            Event::Answered { client, name, told } => self.answered(client, &name, &told),
            Event::Fault(fault) => self.fault(fault),
            Event::Undo(undo) => self.undo(undo),
        }
    }

    pub(super) fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now + ms, event);
    }

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    pub(super) fn say(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.add(self.now, what);
    }

    pub(super) fn see(&mut self, fact: &Fact<'_>) {
        self.checks.see(fact);
    }

    /// Sends over a connection, in order, until it is stuck.
    pub(super) fn send_over(&mut self, link: u64, to_member: bool, wrap: impl FnOnce() -> Event) {
        let Some(it) = self.links.get_mut(&link) else { return };
        let direction = usize::from(!to_member);
        let (member, node) = (Place::Member(it.member), Place::Node(it.node));
        let leader = Place::Member(it.to.unwrap_or(it.member));
        let cut = |from, to| if to_member { self.network.is_cut(from, to) } else { self.network.is_cut(to, from) };
        let relays = it.to.is_none() || self.seats.get(&it.member).is_some_and(|it| it.life.is_some());
        // A lost segment is sent again; only a partition, or very bad luck, ends a connection.
        let away = cut(node, member) || cut(member, leader) || !relays;
        let unlucky = !away && self.rng.chance(self.options.loss) && self.rng.chance(50);
        if unlucky && !it.stuck[direction] {
            // Until it has another connection the agent has no way to the leader, whatever the network would let through.
            let seat = &mut self.nodes[it.node];
            (seat.ways, seat.well_since) = (BTreeMap::new(), self.now);
        }
        it.stuck[direction] |= away || unlucky;
        if it.stuck[direction] {
            return;
        }
        let (low, high) = self.options.delay_ms;
        let hops = if it.to.is_some() { 2 } else { 1 };
        let at = (self.now + hops * self.rng.range(low, high)).max(it.last[direction]);
        it.last[direction] = at;
        self.at(at, wrap());
    }
}

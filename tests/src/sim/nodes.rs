//! Nodes: the real agent core on a simulated engine, and its connection to the control plane.

use super::EPOCH;
use super::docker::{Daemon, Engine, Sickness};
use super::network::Place;
use super::world::{Event, Link, World};
use crate::check::Fact;
use crate::mutants::{self, Mutant};
use cluster::agent::{
    Agent, Assignment, Call, Dialer, Ended, FromAgent, Input, Maker, Output, PROTOCOL, Pace, Parts, Saved, Seen,
    Settings, ToAgent,
};
use cluster::catalog::Wish;
use cluster::{InstanceId, NodeDescription, NodeId, PortRange, Resources, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A machine that runs instances.
pub(super) struct NodeSeat {
    pub(super) description: NodeDescription,
    /// How many names it has had besides its first.
    pub(super) n_names: u32,
    /// Its Docker engine.
    pub(super) engine: Engine,
    /// What the agent keeps on disk.
    pub(super) saved: Saved,
    /// That is out of date.
    save_due: bool,
    pub(super) agent: Option<Agent>,
    pub(super) incarnation: u64,
    /// What its agent's process has drawn, and whether a leader has taken it in.
    life: (u64, bool),
    /// A copy of its agent's directory is there, or may be taken for being there, until then.
    pub(super) copied_until: u64,
    pub(super) link: Option<u64>,
    pub(super) welcome: bool,
    /// What its agent wants of Consul, and which of its wishes that is.
    wish: Option<(u64, Wish)>,
    /// What has come of the connection's first assignments.
    parts: Parts,
    heard_at: u64,
    said_at: u64,
    dialer: Dialer,
    call: Option<Call>,
    dial_at: u64,
    /// The ways from its agent to the leader, each by term and by the member that is dialled, and since when.
    pub(super) ways: BTreeMap<(u64, u64), u64>,
    /// Since when nothing is wrong that its agent could feel, but for one member that is not there.
    pub(super) well_since: u64,
    /// Starts that were called off.
    pub(super) abandoned: BTreeSet<InstanceId>,
    /// Instances whose last words could not be read once.
    pub(super) unread: BTreeSet<InstanceId>,
    /// Instances that some message told to end; only planted faults read it.
    stopping: BTreeSet<InstanceId>,
    /// It is off.
    pub(super) off: bool,
}

/// From one look of an agent at its clock to the next.
const WAKE_MS: u64 = 100;

/// Where agents reach a member.
pub(super) fn address_of(member: u64) -> String {
    format!("m{member}:4800")
}

fn member_at(address: &str) -> u64 {
    address.trim_start_matches('m').split(':').next().and_then(|it| it.parse().ok()).unwrap_or(1)
}

impl NodeSeat {
    /// A machine on which nothing runs yet, not even an agent.
    pub(super) fn new(description: NodeDescription, engine: Engine) -> Self {
        Self {
            description,
            n_names: 0,
            engine,
            saved: Saved::default(),
            save_due: false,
            agent: None,
            incarnation: 0,
            life: (0, false),
            copied_until: 0,
            link: None,
            welcome: false,
            wish: None,
            parts: Parts::default(),
            heard_at: 0,
            said_at: 0,
            // Its members are told when the agent starts.
            dialer: Dialer::new(vec![address_of(1)], 0),
            call: None,
            dial_at: 0,
            ways: BTreeMap::new(),
            well_since: 0,
            abandoned: BTreeSet::new(),
            unread: BTreeSet::new(),
            stopping: BTreeSet::new(),
            off: false,
        }
    }

    /// What the labels of a container that it makes say.
    pub(super) fn maker(&self, order: &Assignment) -> Maker {
        let (app, node) = (order.app.to_string(), self.id().to_string());
        Maker { app, node, agent: Some(self.description.agent) }
    }

    /// Its name.
    pub(super) fn id(&self) -> NodeId {
        self.description.id.clone()
    }

    fn settings(&self, consul: bool) -> Settings {
        let (node, address) = (self.id(), self.description.address.clone());
        Settings { node, agent: self.description.agent, address, consul, drain_ms: 50 }
    }
}

impl World {
    pub(super) fn found_nodes(&mut self) {
        for n in 0..self.options.n_agents {
            let capacity = Resources {
                cpu_milli: self.rng.range(2, 6) * 1_000,
                memory_bytes: self.rng.range(2, 6) << 29,
                disk_bytes: 1 << 34,
            };
            let rack = if n % 2 == 0 { "a" } else { "b" };
            let description = NodeDescription {
                id: NodeId::new(&format!("n{n}")),
                agent: self.rng.any(),
                address: format!("10.0.0.{n}"),
                capacity,
                ports: PortRange { first: 31_000, last: 31_000 + self.rng.range(5, 40) as u16 },
                attributes: BTreeMap::from([("rack".to_owned(), rack.to_owned())]),
                versions: BTreeMap::new(),
                grants: cluster::Grants::default(),
            };
            let live_restore = self.rng.chance(700);
            let mut engine = Engine::new(capacity, live_restore);
            if self.options.sick_node == Some(n) {
                engine.sick = Some(*self.rng.pick(&[Sickness::Creates, Sickness::Starts]));
            }
            engine.consul = self.options.consul;
            self.nodes.push(NodeSeat::new(description, engine));
            if self.options.strangers {
                self.leave_strangers(n);
            }
            self.start_agent(n);
        }
    }

    fn dialer(&self, n: usize, seed: u64) -> Dialer {
        let members = (1..=self.options.n_members as u64).map(address_of).collect();
        Dialer::new(members, seed.wrapping_add(n as u64))
    }

    pub(super) fn start_agent(&mut self, n: usize) {
        let consul = self.options.consul;
        let life = self.rng.any();
        // A copy dials in another order than what it was copied from.
        let dialer = self.dialer(n, self.nodes[n].description.agent);
        let node = &mut self.nodes[n];
        if node.agent.is_some() || node.off {
            return;
        }
        node.incarnation += 1;
        // 0 is said by those that do not say.
        node.life = (life.max(1), false);
        node.agent = Some(Agent::new(node.settings(consul), node.saved.clone()));
        (node.save_due, node.wish) = (false, None);
        (node.dialer, node.call, node.dial_at) = (dialer, None, 0);
        (node.ways, node.well_since) = (BTreeMap::new(), self.now);
        node.abandoned.clear();
        let incarnation = node.incarnation;
        self.say(format_args!("the agent of n{n} starts"));
        self.after(1, Event::Agent { node: n, incarnation });
    }

    pub(super) fn end_agent(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.agent = None;
        if let Some(link) = node.link.take() {
            self.let_go(link);
        }
        self.say(format_args!("the agent of n{n} ends"));
    }

    /// The agent's own time.
    pub(super) fn agent_wakes(&mut self, n: usize, incarnation: u64) {
        let node = &mut self.nodes[n];
        if node.incarnation != incarnation || node.agent.is_none() {
            return;
        }
        self.after(WAKE_MS, Event::Agent { node: n, incarnation });
        self.save(n);
        self.look_at_ways(n);
        let node = &self.nodes[n];
        let pace = self.pace(n);
        if node.link.is_some() && self.now > node.heard_at + pace.patience_ms {
            self.hang_up(n);
        }
        let node = &self.nodes[n];
        if node.link.is_none() && self.now >= node.dial_at {
            self.dial(n);
        } else if node.link.is_some() && self.now + WAKE_MS > node.said_at + pace.alive_every_ms {
            let generation = node.agent.as_ref().map_or(0, Agent::generation);
            let sign = if node.welcome { FromAgent::Obeys { generation } } else { FromAgent::Alive };
            self.agent_sends(n, sign);
        }
        let due = self.nodes[n].agent.as_ref().and_then(Agent::wake_at);
        if due.is_some_and(|it| it.0 <= EPOCH + self.now) {
            self.agent_takes(n, Input::Tick);
        }
    }

    fn save(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        if let Some(agent) = node.agent.as_ref().filter(|_| node.save_due) {
            node.saved = agent.saved();
            node.save_due = false;
        }
    }

    fn pace(&self, n: usize) -> Pace {
        let pace = self.nodes[n].dialer.pace();
        if mutants::planted(Mutant::WaitsAsLongAsEver) { Pace { patience_ms: 5_000, ..pace } } else { pace }
    }

    /// Looks which ways there are from the agent of a node to the leader, and since when.
    fn look_at_ways(&mut self, n: usize) {
        let now = self.now;
        let runs = |it: &u64| self.seats[it].life.is_some() && self.seats[it].paused_until <= now;
        let terms = self.seats.iter().filter_map(|(id, it)| {
            let life = it.life.as_ref().filter(|it| it.leader.is_some() && it.member.status().leading)?;
            Some((life.member.status().term, *id))
        });
        let leader = terms.max().filter(|it| runs(&it.1));
        let linked = |a: Place, b: Place| !self.network.is_cut(a, b) && !self.network.is_cut(b, a);
        let node = Place::Node(n);
        let copied = self.nodes[n].copied_until > now;
        let Some((term, leading)) = leader.filter(|_| !copied) else {
            (self.nodes[n].ways, self.nodes[n].well_since) = (BTreeMap::new(), now);
            return;
        };
        let knows =
            |it: &u64| self.seats[it].life.as_ref().is_some_and(|it| it.member.status().leader == Some(leading));
        let members: Vec<u64> = self.seats.keys().copied().collect();
        let open = |it: &u64| {
            let way = linked(node, Place::Member(*it)) && linked(Place::Member(*it), Place::Member(leading));
            way && runs(it) && knows(it)
        };
        let ways: Vec<u64> = members.iter().copied().filter(open).collect();
        // Nothing is wrong that an agent could feel, but for one member that is not there.
        let standing = |it: &u64| self.seats[it].life.is_some() && !runs(it);
        let well = ways.contains(&leading) && ways.len() + 1 >= members.len() && !members.iter().any(standing);
        let before = std::mem::take(&mut self.nodes[n].ways);
        let since = |way: u64| before.get(&(term, way)).copied().unwrap_or(now);
        self.nodes[n].ways = ways.into_iter().map(|it| ((term, it), since(it))).collect();
        if !well {
            self.nodes[n].well_since = now;
        }
    }

    /// A connection ends, as its agent sees it.
    fn let_go(&mut self, link: u64) {
        let Some(it) = self.links.remove(&link) else { return };
        let (node, member) = (Place::Node(it.node), Place::Member(it.member));
        if self.network.is_cut(node, member) {
            return;
        }
        self.after(5, Event::AgentGone { member: it.member, link });
        // Whoever passes an agent on hangs up on the leader as the agent does.
        if let Some(leader) = it.to.filter(|it| !self.network.is_cut(member, Place::Member(*it))) {
            self.after(5, Event::AgentGone { member: leader, link });
        }
    }

    /// The agent has no connection any more, and knows.
    fn line_ended(&mut self, n: usize, ended: Ended) {
        let node = &mut self.nodes[n];
        node.link = None;
        let ended = match ended {
            Ended::Elsewhere(leader) if node.welcome => Ended::Served(leader),
            _ if node.welcome => Ended::Served(None),
            ended => ended,
        };
        let was_welcome = std::mem::take(&mut node.welcome);
        let what = format!("{ended:?}");
        let call = node.call.take();
        if let Some(call) = &call {
            node.dial_at = self.now + node.dialer.ended(call, ended);
        }
        self.say(format_args!("n{n}: {what} after {call:?}"));
        if was_welcome {
            self.agent_takes(n, Input::Disconnected);
        }
    }

    fn hang_up(&mut self, n: usize) {
        if let Some(link) = self.nodes[n].link {
            self.let_go(link);
            self.say(format_args!("n{n} hangs up on {link}"));
            self.line_ended(n, Ended::Unreachable);
        }
        if mutants::planted(Mutant::StopsWhenCutOff) {
            self.stop_all(n, |_| true);
        }
    }

    fn dial(&mut self, n: usize) {
        self.next_link += 1;
        let link = self.next_link;
        let node = &mut self.nodes[n];
        let call = node.dialer.call();
        let (member, relay) = (member_at(&call.server), call.relay);
        node.call = Some(call);
        node.link = Some(link);
        node.welcome = false;
        node.parts = Parts::default();
        node.heard_at = self.now;
        let connect_ms = node.dialer.pace().connect_ms;
        let cluster = node.agent.as_ref().and_then(Agent::cluster);
        let description = node.description.clone();
        // As if no process told itself from another one.
        let life = if mutants::planted(Mutant::WelcomesCopies) { 0 } else { node.life.0 };
        let taken_in = node.life.1;
        self.links.insert(link, Link { node: n, member, to: None, stuck: [false; 2], last: [0; 2] });
        let (here, there) = (Place::Node(n), Place::Member(member));
        if self.network.is_cut(here, there) || self.network.is_cut(there, here) {
            return self.after(connect_ms, Event::NoAnswer { link });
        }
        if !self.is_alive(member) {
            return self.after(20, Event::NoAnswer { link });
        }
        self.agent_sends(
            n,
            FromAgent::Hello { protocol: PROTOCOL, cluster, node: description, life, taken_in, relay, opens: false },
        );
    }

    /// A member did not take a connection.
    pub(super) fn no_answer(&mut self, link: u64) {
        let Some(it) = self.links.remove(&link) else { return };
        if self.nodes[it.node].link == Some(link) {
            self.line_ended(it.node, Ended::Unreachable);
        }
    }

    fn agent_sends(&mut self, n: usize, mut message: FromAgent) {
        self.nodes[n].said_at = self.now;
        if mutants::planted(Mutant::ClaimsRemoved)
            && let FromAgent::Report { observations, .. } = &mut message
        {
            let stopping = &self.nodes[n].stopping;
            observations.iter_mut().filter(|it| stopping.contains(&it.instance)).for_each(|it| it.seen = Seen::Removed);
        }
        if let Some(link) = self.nodes[n].link {
            self.send_over(link, true, || Event::ToMember { link, message });
        }
    }

    /// A connection ended, and its agent knows.
    pub(super) fn link_lost(&mut self, link: u64) {
        let Some(it) = self.links.get(&link).copied() else { return };
        let (from, to) = (Place::Member(it.member), Place::Node(it.node));
        if self.network.is_cut(from, to) {
            return;
        }
        self.let_go(link);
        if self.nodes[it.node].link == Some(link) {
            self.line_ended(it.node, Ended::Unreachable);
        }
    }

    pub(super) fn agent_hears(&mut self, link: u64, message: ToAgent) {
        let Some(n) = self.links.get(&link).map(|it| it.node) else { return };
        let node = &mut self.nodes[n];
        if node.agent.is_none() || node.link != Some(link) {
            return;
        }
        node.heard_at = self.now;
        match message {
            ToAgent::Elsewhere { leader } => {
                self.let_go(link);
                self.line_ended(n, Ended::Elsewhere(leader));
            }
            ToAgent::Refused { reason } => {
                self.heard_verdict(n, link, Some(&reason));
                self.let_go(link);
                self.line_ended(n, Ended::Refused);
            }
            ToAgent::Welcome { cluster, pace, .. } => {
                node.welcome = true;
                node.life.1 = true;
                node.dialer.keep_pace(pace.unwrap_or(Pace::of(10_000)));
                self.heard_verdict(n, link, None);
                self.agent_takes(n, Input::Connected { cluster });
            }
            ToAgent::Reported { sequence } => self.agent_takes(n, Input::Reported { sequence }),
            ToAgent::Gone { gone } => self.agent_takes(n, Input::Gone { gone }),
            ToAgent::Alive | ToAgent::Open { .. } => {}
            ToAgent::Assign { generation, assignments, forget, destroy, more, .. } => {
                let stops = assignments.iter().filter(|it| it.stop).map(|it| it.instance);
                node.stopping.extend(stops);
                let whole = node.parts.take(generation, assignments, forget, destroy, more);
                let Some(Input::Assigned { generation, assignments, forget, destroy, complete }) = whole else {
                    return;
                };
                if mutants::planted(Mutant::ObeysOldGenerations) {
                    let consul = self.options.consul;
                    let agent = node.agent.as_ref().map(Agent::saved).unwrap_or_default();
                    // As if it had never seen anything newer.
                    if generation < agent.generation {
                        node.agent = Some(Agent::new(node.settings(consul), Saved { generation: 0, ..agent }));
                        if let Some(cluster) = node.saved.cluster {
                            self.agent_takes(n, Input::Connected { cluster });
                        }
                    }
                }
                let known = self.nodes[n].agent.as_ref().map_or(0, |it| it.saved().generation);
                if mutants::planted(Mutant::StopsUnlisted) {
                    self.stop_all(n, |it| assignments.iter().all(|listed| listed.instance != it));
                }
                self.say(format_args!(
                    "n{n} hears generation {generation} over {link}: {} assignments, complete: {complete}",
                    assignments.len()
                ));
                self.agent_takes(n, Input::Assigned { generation, assignments, forget, destroy, complete });
                let id = self.nodes[n].id();
                let obeyed = self.nodes[n].agent.as_ref().is_some_and(|it| it.saved().generation == generation);
                if obeyed && (generation >= known || mutants::planted(Mutant::ObeysOldGenerations)) {
                    self.see(&Fact::Obeyed { node: &id, generation });
                }
            }
        }
    }

    /// Gives the agent something to think about, and does what it wants.
    pub(super) fn agent_takes(&mut self, n: usize, input: Input) {
        let now = Timestamp(EPOCH + self.now);
        let Some(agent) = self.nodes[n].agent.as_mut() else { return };
        agent.handle(input, now);
        for output in agent.drain() {
            self.carry_out(n, output);
        }
    }

    fn carry_out(&mut self, n: usize, output: Output) {
        match output {
            Output::Report { sequence, observations, destroyed } => {
                self.agent_sends(n, FromAgent::Report { sequence, observations, destroyed });
            }
            Output::Writers { writers } => self.agent_sends(n, FromAgent::Writers { writers }),
            Output::Degraded { reason } => self.agent_sends(n, FromAgent::Degraded { reason }),
            Output::Strangers { .. } if mutants::planted(Mutant::HidesOrphans) => {}
            Output::Strangers { strangers } => self.agent_sends(n, FromAgent::Strangers { strangers }),
            Output::Reconnect { reason } => {
                self.say(format_args!("n{n} wants another connection: {reason}"));
                self.hang_up(n);
            }
            Output::Save => self.nodes[n].save_due = true,
            Output::Note(note) => self.say(format_args!("n{n} notes {note:?}")),
            Output::Publish { revision, wish, .. } => {
                let incarnation = self.nodes[n].incarnation;
                self.nodes[n].wish = Some((revision, wish));
                let ms = self.rng.range(5, 400);
                self.after(ms, Event::Publishes { node: n, incarnation, revision });
            }
            errand => self.send_out(n, errand),
        }
    }

    /// A wish reaches Consul, or does not; then it is tried again, as long as there is no newer one.
    pub(super) fn publishes(&mut self, n: usize, incarnation: u64, revision: u64) {
        if self.nodes[n].incarnation != incarnation {
            return;
        }
        let Some((_, wish)) = self.nodes[n].wish.clone().filter(|it| it.0 == revision) else { return };
        if !self.calm && self.rng.chance(100) {
            self.after(500, Event::Publishes { node: n, incarnation, revision });
            return self.agent_takes(n, Input::PublishFailed);
        }
        self.register(n, &wish);
        let writers = self.other_writers(n);
        self.agent_takes(n, Input::Written { writers });
        self.agent_takes(n, Input::Published { revision });
    }

    /// Whether the daemon of a node answers.
    pub(super) fn daemon(&self, n: usize) -> Daemon {
        self.nodes[n].engine.daemon
    }
}

//! Nodes: the real agent core on a simulated engine, and its connection to the control plane.

use super::EPOCH;
use super::docker::{Daemon, Engine, Sickness};
use super::network::Place;
use super::world::{Event, Link, World};
use crate::check::Fact;
use crate::mutants::{self, Mutant};
use cluster::agent::{Agent, FromAgent, Input, Maker, Observation, Output, PROTOCOL, Saved, Seen, Settings, ToAgent};
use cluster::{InstanceId, NodeDescription, NodeId, PortRange, Resources, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A machine that runs instances.
pub(super) struct NodeSeat {
    description: NodeDescription,
    /// Its Docker engine.
    pub(super) engine: Engine,
    /// What the agent keeps on disk.
    saved: Saved,
    /// That is out of date.
    save_due: bool,
    pub(super) agent: Option<Agent>,
    pub(super) incarnation: u64,
    link: Option<u64>,
    welcome: bool,
    /// The connection's first assignments have come.
    assigned: bool,
    heard_at: u64,
    said_at: u64,
    next_member: u64,
    /// Starts that were called off.
    pub(super) abandoned: BTreeSet<InstanceId>,
    /// Instances that some message told to end; only planted faults read it.
    stopping: BTreeSet<InstanceId>,
    /// It is off.
    pub(super) off: bool,
}

/// Silence of a member after which an agent tries another one.
const PATIENCE_MS: u64 = 4_000;
/// From one look of an agent at its clock to the next.
const WAKE_MS: u64 = 200;

impl NodeSeat {
    /// What the labels of its containers say.
    pub(super) fn maker(&self) -> Maker {
        Maker { app: String::new(), node: self.id().to_string(), agent: Some(self.description.agent) }
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
            self.nodes.push(NodeSeat {
                description,
                engine,
                saved: Saved::default(),
                save_due: false,
                agent: None,
                incarnation: 0,
                link: None,
                welcome: false,
                assigned: false,
                heard_at: 0,
                said_at: 0,
                next_member: n as u64,
                abandoned: BTreeSet::new(),
                stopping: BTreeSet::new(),
                off: false,
            });
            self.start_agent(n);
        }
    }

    pub(super) fn start_agent(&mut self, n: usize) {
        let consul = self.options.consul;
        let node = &mut self.nodes[n];
        if node.agent.is_some() || node.off {
            return;
        }
        node.incarnation += 1;
        node.agent = Some(Agent::new(node.settings(consul), node.saved.clone()));
        node.save_due = false;
        node.abandoned.clear();
        let incarnation = node.incarnation;
        self.say(format_args!("the agent of n{n} starts"));
        self.after(1, Event::Agent { node: n, incarnation });
    }

    pub(super) fn end_agent(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.agent = None;
        if let Some(link) = node.link.take() {
            self.links.remove(&link);
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
        let node = &self.nodes[n];
        if node.link.is_some() && self.now > node.heard_at + PATIENCE_MS {
            self.hang_up(n);
        }
        if self.nodes[n].link.is_none() {
            self.dial(n);
        } else if self.nodes[n].welcome && self.now >= self.nodes[n].said_at + 1_000 {
            self.agent_sends(n, FromAgent::Alive);
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

    fn hang_up(&mut self, n: usize) {
        if let Some(link) = self.nodes[n].link.take() {
            self.links.remove(&link);
            self.say(format_args!("n{n} hangs up on {link}"));
            self.agent_takes(n, Input::Disconnected);
        }
        if mutants::planted(Mutant::StopsWhenCutOff) {
            self.stop_all(n, |_| true);
        }
    }

    fn dial(&mut self, n: usize) {
        self.next_link += 1;
        let link = self.next_link;
        let n_members = self.options.n_members as u64;
        let node = &mut self.nodes[n];
        node.next_member += 1;
        let member = 1 + node.next_member % n_members;
        node.link = Some(link);
        node.welcome = false;
        node.assigned = false;
        node.heard_at = self.now;
        let cluster = node.agent.as_ref().and_then(Agent::cluster);
        let description = node.description.clone();
        self.links.insert(link, Link { node: n, member, stuck: [false; 2], last: [0; 2] });
        if !self.is_alive(member) {
            return self.after(20, Event::LinkLost { link });
        }
        self.agent_sends(
            n,
            FromAgent::Hello { protocol: PROTOCOL, cluster, node: description, life: 0, taken_in: false },
        );
    }

    fn agent_sends(&mut self, n: usize, mut message: FromAgent) {
        self.nodes[n].said_at = self.now;
        if mutants::planted(Mutant::ClaimsRemoved)
            && let FromAgent::Report { observations, .. } = &mut message
        {
            let stopping = &self.nodes[n].stopping;
            observations.iter_mut().filter(|it| stopping.contains(&it.instance)).for_each(|it| it.seen = Seen::Removed);
        }
        if mutants::planted(Mutant::BelievesAnybody)
            && let FromAgent::Report { observations, .. } = &mut message
            && self.rng.chance(200)
        {
            let others = self.nodes.iter().enumerate().filter(|it| it.0 != n);
            let foreign = others.flat_map(|it| it.1.engine.containers.values()).map(|it| it.instance).next();
            observations.clear();
            observations.extend(foreign.map(|instance| Observation {
                instance,
                judged_by: Timestamp::default(),
                trial: None,
                seen: Seen::Removed,
            }));
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
        self.links.remove(&link);
        if self.nodes[it.node].link == Some(link) {
            self.nodes[it.node].link = None;
            self.agent_takes(it.node, Input::Disconnected);
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
            ToAgent::Elsewhere { .. } | ToAgent::Refused { .. } => {
                self.links.remove(&link);
                node.link = None;
                self.agent_takes(n, Input::Disconnected);
            }
            ToAgent::Welcome { cluster, .. } => {
                node.welcome = true;
                self.agent_takes(n, Input::Connected { cluster });
            }
            ToAgent::Reported { sequence } => self.agent_takes(n, Input::Reported { sequence }),
            ToAgent::Alive => {}
            ToAgent::Assign { generation, assignments, forget, destroy, .. } => {
                let stops = assignments.iter().filter(|it| it.stop).map(|it| it.instance);
                node.stopping.extend(stops);
                let complete = !std::mem::replace(&mut node.assigned, true);
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
            Output::Degraded { reason } => self.agent_sends(n, FromAgent::Degraded { reason }),
            Output::Strangers { strangers } => self.agent_sends(n, FromAgent::Strangers { strangers }),
            Output::Reconnect { reason } => {
                self.say(format_args!("n{n} wants another connection: {reason}"));
                self.hang_up(n);
            }
            Output::Save => self.nodes[n].save_due = true,
            Output::Note(note) => self.say(format_args!("n{n} notes {note:?}")),
            Output::Publish { revision, .. } => {
                let incarnation = self.nodes[n].incarnation;
                let fails = !self.calm && self.rng.chance(100);
                let ms = self.rng.range(5, 400);
                self.after(ms, Event::Published { node: n, incarnation, revision: Some(revision).filter(|_| !fails) });
            }
            errand => self.send_out(n, errand),
        }
    }

    /// Consul's answer.
    pub(super) fn published(&mut self, n: usize, incarnation: u64, revision: Option<u64>) {
        if self.nodes[n].incarnation == incarnation {
            self.agent_takes(n, revision.map_or(Input::PublishFailed, |revision| Input::Published { revision }));
        }
    }

    /// Whether the daemon of a node answers.
    pub(super) fn daemon(&self, n: usize) -> Daemon {
        self.nodes[n].engine.daemon
    }
}

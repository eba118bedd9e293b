//! Who nodes and containers are: machines that are called otherwise, directories that were copied, nodes that were
//! forgotten, and containers that nobody speaks of.

use super::docker::{Container, Engine, Phase};
use super::nodes::NodeSeat;
use super::world::{Event, Undo, World};
use crate::check::Fact;
use crate::mutants::{self, Mutant};
use cluster::agent::Maker;
use cluster::catalog::{Service, Wish, Writer};
use cluster::{ClusterId, Command, InstanceId, NodeId, Principal, Resources};
use std::collections::BTreeSet;

/// A cluster that is no more: its containers carry our labels, and no instance is theirs.
const EARLIER_LIFE: ClusterId = ClusterId(0xdead);

/// The identity of an agent that made containers here before, and that no node has.
const EARLIER_AGENT: u64 = 0xdead;

/// So long after a copy is gone it may still be taken for one that lives: what it said last counts for 15 s, and whoever
/// was refused asks again within two.
const COPY_COUNTS_MS: u64 = 25_000;

/// An agent on a copy of another one's directory, which has a machine of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    /// The machine whose directory was copied.
    pub(super) original: usize,
    /// The machine that has the copy.
    pub(super) copy: usize,
    /// Whether each of the two was turned away, in this order.
    refused: [bool; 2],
}

impl World {
    /// A machine gets another name; its agent's directory stays.
    pub(super) fn rename_node(&mut self, n: usize) {
        let seat = &mut self.nodes[n];
        seat.n_names += 1;
        seat.description.id = NodeId::new(&format!("n{n}-{}", seat.n_names));
        let name = seat.id();
        self.figures.renames += 1;
        self.say(format_args!("n{n} is called {name} from now on"));
    }

    /// Containers that an agent made in an earlier life of the cluster run on, and Consul has them.
    pub(super) fn leave_strangers(&mut self, n: usize) {
        let own = self.nodes[n].description.agent;
        for (ordinal, agent) in [own, EARLIER_AGENT].into_iter().enumerate() {
            if self.rng.chance(500) {
                continue;
            }
            let instance = InstanceId::derive(EARLIER_LIFE, n as u64 + 1, ordinal as u32);
            let node = format!("n{n}");
            let container = Container {
                instance,
                maker: Maker { app: "/earlier".to_owned(), node: node.clone(), agent: Some(agent) },
                image: "web:0".to_owned(),
                resources: Resources::default(),
                ports: Vec::new(),
                volume: None,
                phase: Phase::Running,
                started_at: self.now,
                n_starts: 1,
            };
            let consul = self.options.consul;
            let engine = &mut self.nodes[n].engine;
            engine.containers.insert(instance.to_string(), container);
            if consul {
                engine.registered.insert(instance, (agent, NodeId::new(&node)));
            }
            self.say(format_args!("n{n} has a container of an earlier life: {instance}"));
        }
    }

    /// A node's own Consul agent is told what to list.
    pub(super) fn register(&mut self, n: usize, wish: &Wish) {
        let (own, name) = (self.nodes[n].description.agent, self.nodes[n].id());
        let registered = &mut self.nodes[n].engine.registered;
        let services: BTreeSet<InstanceId> = wish.services.values().filter_map(Service::instance).collect();
        let stays = |it: &InstanceId| {
            let is_strange = *it == InstanceId::derive(EARLIER_LIFE, n as u64 + 1, 0)
                || *it == InstanceId::derive(EARLIER_LIFE, n as u64 + 1, 1);
            wish.keep.contains(it)
                || (is_strange && mutants::planted(Mutant::KeepsOrphans))
                || (services.contains(it) && mutants::planted(Mutant::KeepsOldNames))
        };
        let is_others = |agent: u64| agent != own && !wish.gone.writers.contains(&Writer::Agent(agent));
        registered.retain(|it, (agent, _)| stays(it) || is_others(*agent));
        for instance in services {
            let entry = registered.entry(instance).or_insert_with(|| (own, name.clone()));
            if !mutants::planted(Mutant::KeepsOldNames) {
                *entry = (own, name.clone());
            }
        }
    }

    /// Who else has entries at a node's own Consul agent.
    pub(super) fn other_writers(&self, n: usize) -> BTreeSet<Writer> {
        let NodeSeat { description, engine, .. } = &self.nodes[n];
        let writers = engine.registered.values().map(|it| it.0).filter(|it| *it != description.agent);
        writers.map(Writer::Agent).collect()
    }

    /// An operator has all orphans removed that a leader knows of.
    pub(super) fn remove_orphans(&mut self) {
        let Some((id, state)) = self.a_leader() else { return };
        let instances: Vec<InstanceId> = state.nodes().flat_map(|it| it.orphans.keys().copied()).collect();
        if !instances.is_empty() {
            self.say(format_args!("an operator has {instances:?} removed"));
            self.operator_asks(id, &Command::RemoveOrphans { instances });
        }
    }

    /// An operator forgets a node whose machine is off.
    pub(super) fn forget_node(&mut self, n: usize) {
        let Some((id, state)) = self.a_leader() else { return };
        let node = self.nodes[n].id();
        if state.node(&node).is_some_and(|it| it.is_lost()) {
            self.say(format_args!("an operator forgets {node}"));
            self.operator_asks(id, &Command::RemoveNode { node });
        }
    }

    fn a_leader(&self) -> Option<(u64, cluster::State)> {
        let leads = |it: &&u64| self.seats[*it].life.as_ref().is_some_and(|it| it.leader.is_some());
        let id = self.seats.keys().find(leads).copied()?;
        Some((id, self.seats.get(&id)?.life.as_ref()?.state.clone()))
    }

    fn operator_asks(&mut self, id: u64, command: &Command) {
        mutants::enter(id);
        self.n_operations += 1;
        let principal = Principal::User { address: format!("operator#{}", self.n_operations) };
        self.submit(id, &principal, command, super::office::Asked::Nobody);
        self.drain(id);
    }

    /// The directory of a node whose agent is at work is copied to another machine, under the same name or another one.
    /// Nobody else gets into trouble meanwhile: an original that is not heard of for long gives its copy the place.
    pub(super) fn copy_node(&mut self, n: usize) {
        let seat = &self.nodes[n];
        let may_be = self.copied.is_none() && self.network.is_whole() && seat.agent.is_some() && seat.welcome;
        let stands = self.seats.values().any(|it| it.paused_until > self.now);
        if !may_be || stands {
            return;
        }
        let copy = self.nodes.len();
        let mut description = seat.description.clone();
        if self.rng.chance(500) {
            description.id = NodeId::new(&format!("n{n}-copy"));
        }
        let mut seat = NodeSeat::new(description, Engine::new(self.nodes[n].engine.capacity, true));
        seat.saved = self.nodes[n].saved.clone();
        let name = seat.id();
        self.nodes.push(seat);
        self.copied = Some(Copied { original: n, copy, refused: [false; 2] });
        self.nodes[n].copied_until = u64::MAX;
        self.say(format_args!("the directory of n{n} is copied to machine {copy}, which is called {name}"));
        self.see(&Fact::Copied { original: n, copy });
        self.start_agent(copy);
        let ms = self.rng.range(8_000, 25_000);
        self.after(ms, Event::Undo(Undo::Copy));
    }

    /// Somebody has understood, and stops the copy.
    pub(super) fn stop_copy(&mut self) {
        let Some(Copied { original, copy, refused }) = self.copied.take() else { return };
        self.figures.copies += 1;
        self.figures.copies_refused += u64::from(refused == [true; 2]);
        let served = self.nodes[original].link.filter(|_| self.nodes[original].welcome);
        let by = served.and_then(|it| self.server_of(it));
        let at = self.now;
        self.see(&Fact::CopyStops { served_by: by, at });
        self.end_agent(copy);
        self.nodes[copy].engine.power_off();
        self.nodes[copy].off = true;
        self.nodes[original].copied_until = self.now + COPY_COUNTS_MS;
    }

    /// Which member serves a connection, in which term of its office.
    pub(super) fn server_of(&self, link: u64) -> Option<(u64, u64)> {
        let it = self.links.get(&link)?;
        let member = it.to.unwrap_or(it.member);
        let life = self.seats.get(&member)?.life.as_ref()?;
        Some((member, life.member.status().term))
    }

    /// A machine's agent was taken in, or turned away with a reason.
    pub(super) fn heard_verdict(&mut self, n: usize, link: u64, refused: Option<&str>) {
        let Some(by) = self.server_of(link) else { return };
        if let Some(it) = self.copied.as_mut().filter(|_| refused.is_some()) {
            it.refused[0] |= it.original == n;
            it.refused[1] |= it.copy == n;
        }
        let (next_link, at) = (self.next_link, self.now);
        self.see(&Fact::Verdict { machine: n, by, link, next_link, at, refused });
    }

    /// Whether a fault would touch what a copied directory must show.
    pub(super) fn spares_copied(&self, node: usize) -> bool {
        self.copied.is_some_and(|it| it.original == node)
    }
}

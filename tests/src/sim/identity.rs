//! Who nodes and containers are: machines that are called otherwise, and containers that nobody speaks of.

use super::docker::{Container, Phase};
use super::world::World;
use crate::mutants::{self, Mutant};
use cluster::agent::Maker;
use cluster::catalog::Wish;
use cluster::{ClusterId, Command, InstanceId, NodeId, Principal, Resources};

/// A cluster that is no more: its containers carry our labels, and no instance is theirs.
const EARLIER_LIFE: ClusterId = ClusterId(0xdead);

/// Whether an instance is of an earlier life of the cluster.
fn is_stranger(instance: InstanceId, n: usize) -> bool {
    instance == InstanceId::derive(EARLIER_LIFE, 7, n as u32)
}

impl World {
    /// A machine gets another name; its agent's directory stays.
    pub(super) fn rename_node(&mut self, n: usize) {
        let seat = &mut self.nodes[n];
        seat.n_names += 1;
        seat.description.id = NodeId::new(&format!("n{n}-{}", seat.n_names));
        let name = seat.id();
        self.say(format_args!("n{n} is called {name} from now on"));
    }

    /// A container that its agent made in an earlier life of the cluster runs on, and Consul has it.
    pub(super) fn leave_stranger(&mut self, n: usize) {
        let instance = InstanceId::derive(EARLIER_LIFE, 7, n as u32);
        let container = Container {
            instance,
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
            engine.registered.insert(instance);
        }
        self.say(format_args!("n{n} has a container of an earlier life: {instance}"));
    }

    /// What the labels of a node's containers say.
    pub(super) fn maker(&self, n: usize) -> Maker {
        let description = &self.nodes[n].description;
        Maker { app: "/earlier".to_owned(), node: format!("n{n}"), agent: Some(description.agent) }
    }

    /// Consul is told. Whether it takes that at once makes no difference in the end.
    pub(super) fn register(&mut self, n: usize, wish: &Wish) {
        let registered = &mut self.nodes[n].engine.registered;
        let before = std::mem::take(registered);
        registered.extend(wish.services.values().filter_map(cluster::catalog::Service::instance));
        let keeps =
            |it: &InstanceId| wish.keep.contains(it) || (mutants::planted(Mutant::KeepsOrphans) && is_stranger(*it, n));
        registered.extend(before.into_iter().filter(keeps));
    }

    /// An operator has all orphans removed that a leader knows of.
    pub(super) fn remove_orphans(&mut self) {
        let leads = |it: &&u64| self.seats[*it].life.as_ref().is_some_and(|it| it.leader.is_some());
        let Some(id) = self.seats.keys().find(leads).copied() else { return };
        let Some(life) = self.seats.get(&id).and_then(|it| it.life.as_ref()) else { return };
        let instances: Vec<InstanceId> = life.state.nodes().flat_map(|it| it.orphans.keys().copied()).collect();
        if !instances.is_empty() {
            self.say(format_args!("an operator has {instances:?} removed"));
            self.operator_asks(
                id,
                &Principal::User { address: "operator".to_owned() },
                &Command::RemoveOrphans { instances },
            );
        }
    }
}

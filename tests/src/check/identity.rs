//! Identity: a machine is one node, whatever it is called; of a directory that was copied neither side is taken in while
//! both live; and a container that nobody speaks of is listed with its reason, out of Consul, and goes when it is told to.

use super::{Check, Fact, home};
use crate::sim::docker::{Engine, Phase};
use crate::sim::machine::Taken;
use cluster::{
    Command, Condition, Goal, Health, Instance, InstanceId, Moment, NodeId, OrphanReason, State, WantedHostPort,
};
use std::collections::{BTreeMap, BTreeSet};

/// Copies that live, and orphans that are to go.
#[derive(Default)]
pub(super) struct Identity {
    copied: Option<Pair>,
    /// Orphans that somebody had removed.
    doomed: BTreeSet<InstanceId>,
}

/// A machine whose directory was copied, and the one that has the copy.
struct Pair {
    original: usize,
    copy: usize,
    /// By member and term: when it first said that there are two, and the newest connection then.
    refused: BTreeMap<(u64, u64), (u64, u64)>,
}

/// What a leader said to one of the two.
struct Verdict<'a> {
    machine: usize,
    by: (u64, u64),
    link: u64,
    next_link: u64,
    at: u64,
    refused: Option<&'a str>,
}

/// What is on its way to the other one arrives within this, milliseconds.
const ON_ITS_WAY_MS: u64 = 1_000;

/// What is healthy is found in Consul within this, milliseconds.
const TO_CONSUL_MS: u64 = 1_000;

impl Check for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { first: true, taken, .. } => self.applied(taken),
            Fact::Copied { original, copy } => {
                self.copied = Some(Pair { original: *original, copy: *copy, refused: BTreeMap::new() });
                Ok(())
            }
            Fact::Verdict { machine, by, link, next_link, at, refused } => {
                let (machine, by, link, next_link, at, refused) = (*machine, *by, *link, *next_link, *at, *refused);
                let verdict = Verdict { machine, by, link, next_link, at, refused };
                self.copied.as_mut().map_or(Ok(()), |it| it.judged(&verdict))
            }
            Fact::CopyStops { served_by, at } => {
                let Some(pair) = self.copied.take() else { return Ok(()) };
                match served_by.and_then(|it| pair.refused.get(&it)) {
                    Some((since, _)) if since + ON_ITS_WAY_MS < *at => Err(format!(
                        "machine {} is served although its copy, machine {}, was refused for being one",
                        pair.original, pair.copy
                    )),
                    _ => Ok(()),
                }
            }
            Fact::Calm { states, engines, now, .. } => match states.first() {
                Some((_, state)) => engines.iter().try_for_each(|(node, it)| self.at_rest(state, node, it, *now)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Pair {
    fn judged(&mut self, it: &Verdict<'_>) -> Result<(), String> {
        let (original, copy) = (self.original, self.copy);
        match it.refused {
            _ if it.machine != original && it.machine != copy => Ok(()),
            Some(reason) if !reason.contains("was copied") => {
                Err(format!("machine {} was refused, and not for being one of two: {reason}", it.machine))
            }
            Some(_) => {
                self.refused.entry(it.by).or_insert((it.at, it.next_link));
                Ok(())
            }
            None if it.machine == copy => {
                Err(format!("machine {copy} was taken in with a copy of the directory of machine {original}"))
            }
            None => match self.refused.get(&it.by) {
                // What was dialled before the copy came may still arrive.
                Some((_, newest)) if it.link > *newest => Err(format!(
                    "machine {original} was taken in by the member that had refused it for having a copy, {copy}"
                )),
                _ => Ok(()),
            },
        }
    }
}

impl Identity {
    fn applied(&mut self, taken: &Taken) -> Result<(), String> {
        if taken.result.is_err() {
            return Ok(());
        }
        match &taken.entry.command {
            Command::RemoveOrphans { instances } => self.doomed.extend(instances),
            // What was ordered for a node is forgotten with it; where it comes back, its orphans are found anew.
            Command::RemoveNode { node } => {
                let forgotten = taken.before.node(node).map(|it| &it.orphans);
                self.doomed.retain(|it| forgotten.is_none_or(|orphans| !orphans.contains_key(it)));
            }
            Command::Register { node } => {
                let same = |it: &&NodeId| home(it) == home(&node.id) && **it != node.id;
                let Some(before) = taken.before.nodes().map(|it| it.id()).find(same) else { return Ok(()) };
                let (old, new) = (taken.before.node(before), taken.after.node(&node.id));
                if taken.after.node(before).is_some() {
                    return Err(format!("{} was taken in as another node than {before}", node.id));
                }
                if old.map(|it| &it.instances) != new.map(|it| &it.instances) {
                    return Err(format!("{before} is called {} and has not the same instances", node.id));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn at_rest(&self, state: &State, node: &NodeId, engine: &Engine, now: Moment) -> Result<(), String> {
        let Some(known) = state.node(node) else { return Err(format!("{node} is no node of the cluster")) };
        for (name, container) in &engine.containers {
            let id = container.instance;
            if let Some(instance) = state.instance(id) {
                if instance.node != *node {
                    return Err(format!("{node}: container {name} is of an instance of {}", instance.node));
                }
                continue;
            }
            let Some(orphan) = known.orphans.get(&id) else {
                return Err(format!("{node}: container {name} is of no instance, and nobody says so"));
            };
            let own = container.maker.agent == Some(known.description.agent);
            let reason = if own { OrphanReason::Forgotten } else { OrphanReason::NodeGone };
            let runs = container.phase == Phase::Running;
            if orphan.reason != reason || orphan.running != runs || orphan.made_by != container.maker.node {
                return Err(format!("{node}: container {name} is {container:?}, it is said to be {orphan:?}"));
            }
            if self.doomed.contains(&id) {
                return Err(format!("{node}: orphan {name} was to go and is still there"));
            }
        }
        let is_there = |id: &InstanceId| engine.containers.values().any(|it| it.instance == *id);
        if let Some(gone) = known.orphans.keys().find(|it| !is_there(it)) {
            return Err(format!("{node}: the container of orphan {gone} is not there"));
        }
        for (id, (_, name)) in &engine.registered {
            if state.instance(*id).is_none_or(|it| it.node != *node) {
                return Err(format!("{node}: {id} is found in Consul, and is no instance of this node"));
            }
            if name != node {
                return Err(format!("{node}: {id} is found in Consul under the name {name}"));
            }
        }
        let serves = |it: &&std::sync::Arc<Instance>| {
            it.node == *node
                && it.goal == Goal::Run
                && it.condition == Condition::Running
                && it.health == Health::Healthy
                && it.since.healthy.is_some_and(|since| since.plus_ms(TO_CONSUL_MS) < now)
                && is_reached(state, it)
        };
        match state.instances().filter(serves).find(|it| engine.consul && !engine.registered.contains_key(&it.id)) {
            Some(it) => Err(format!("{node}: {} is healthy and not found in Consul", it.id)),
            None => Ok(()),
        }
    }
}

/// Whether the first port of an instance, if it has any, is one of its node's: others are found by no one.
fn is_reached(state: &State, instance: &Instance) -> bool {
    let app = state.app(&instance.app);
    let launched = app.and_then(|it| it.versions.get(&instance.run)).map(|it| &it.spec.run.ports);
    launched.is_some_and(|it| it.first().is_none_or(|it| it.host_port != WantedHostPort::None))
}

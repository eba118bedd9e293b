//! What one connection has sent: so that only what is new goes out, in frames that fit.

use super::News;
use cluster::agent::{Assignment, ToAgent};
use cluster::{Goal, InstanceId, NodeId, State, Version};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// A message with assignments is closed when it has so many bytes. One assignment more fits into any frame: a
/// definition comes in one command, and a command has at most 1 MiB.
pub const PART_BYTES: usize = 1 << 20;

/// An id's bytes in a message, at most.
const ID_BYTES: usize = 40;

/// What an assignment depends on that may change: how soon the instance shall stop, if it shall, and the definition whose
/// policy it follows; not the number of instances.
type Known = (Option<u64>, Version);

/// What was sent, and what is still to be sent.
#[derive(Debug)]
pub struct Sent {
    part_bytes: usize,
    instances: BTreeMap<InstanceId, Known>,
    destroy: BTreeSet<InstanceId>,
    news: News,
    first: First,
}

/// The first set has all assignments, as of one moment.
#[derive(Debug)]
enum First {
    Wanted,
    Parts { state: Arc<State>, left: Vec<InstanceId> },
    Done,
}

impl Default for Sent {
    fn default() -> Self {
        Self::in_parts_of(PART_BYTES)
    }
}

impl Sent {
    /// Nothing yet; messages are closed when they have so many bytes.
    pub const fn in_parts_of(part_bytes: usize) -> Self {
        let news = News { all: false, instances: BTreeSet::new(), reservations: false, orphans: false };
        Self { part_bytes, instances: BTreeMap::new(), destroy: BTreeSet::new(), news, first: First::Wanted }
    }

    /// Whether the agent has not got its first set yet.
    pub const fn is_new(&self) -> bool {
        !matches!(self.first, First::Done)
    }

    /// Takes note of what may be news.
    pub fn note(&mut self, news: News) {
        self.news.all |= news.all;
        self.news.reservations |= news.reservations;
        self.news.orphans |= news.orphans;
        self.news.instances.extend(news.instances);
    }

    /// The next message, of what the node's agent does not know yet; to be called until there is none. The first set
    /// is told also when there is nothing in it.
    pub fn next(&mut self, state: &Arc<State>, node: &NodeId) -> Option<ToAgent> {
        if matches!(self.first, First::Wanted) {
            let record = state.node(node).filter(|_| self.news.all)?;
            self.news.all = false;
            let mut left: Vec<InstanceId> = record.instances.iter().copied().collect();
            // They are taken from behind.
            left.reverse();
            self.first = First::Parts { state: Arc::clone(state), left };
        }
        if let First::Parts { state, mut left } = std::mem::replace(&mut self.first, First::Done) {
            return Some(self.first_part(state, &mut left, node));
        }
        self.later(state, node)
    }

    fn first_part(&mut self, state: Arc<State>, left: &mut Vec<InstanceId>, node: &NodeId) -> ToAgent {
        let mut part = Part::new(self.part_bytes);
        while let Some(instance) = left.last()
            && part.has_room()
        {
            if let Some(instance) = state.instance(*instance) {
                self.instances.insert(instance.id, known(&state, instance));
                part.add(state.assignment(instance));
            }
            left.pop();
        }
        let more = !left.is_empty();
        if !more {
            self.remove_orphans(&state, node, &mut part);
        }
        let destroy = if more { Vec::new() } else { self.doomed(&state, node) };
        let (generation, time) = (state.index(), state.time());
        if more {
            self.first = First::Parts { state, left: std::mem::take(left) };
        }
        ToAgent::Assign { generation, time, assignments: part.assignments, forget: Vec::new(), destroy, more }
    }

    fn later(&mut self, state: &State, node: &NodeId) -> Option<ToAgent> {
        if self.news.is_empty() {
            return None;
        }
        let record = state.node(node)?;
        if std::mem::take(&mut self.news.all) {
            self.news.reservations = true;
            self.news.orphans = true;
            self.news.instances.extend(record.instances.iter().chain(self.instances.keys()));
        }
        let is_doomed = |it: &InstanceId| record.orphans.get(it).is_some_and(|it| it.doomed);
        let mut part = Part::new(self.part_bytes);
        let mut forget = Vec::new();
        while part.has_room()
            && let Some(id) = self.news.instances.pop_first()
        {
            if let Some(instance) = state.instance(id).filter(|it| it.node == *node) {
                let known = known(state, instance);
                if self.instances.insert(id, known) != Some(known) {
                    part.add(state.assignment(instance));
                }
            } else if !is_doomed(&id) && self.instances.remove(&id).is_some() {
                part.bytes += ID_BYTES;
                forget.push(id);
            }
        }
        if std::mem::take(&mut self.news.orphans) {
            let is_gone = |it: &&InstanceId| !record.instances.contains(*it) && !is_doomed(it);
            let gone: Vec<InstanceId> = self.instances.keys().filter(is_gone).copied().collect();
            for id in gone {
                self.instances.remove(&id);
                forget.push(id);
            }
            self.remove_orphans(state, node, &mut part);
        }
        let destroy = if std::mem::take(&mut self.news.reservations) { self.doomed(state, node) } else { Vec::new() };
        let assignments = part.assignments;
        let nothing = assignments.is_empty() && forget.is_empty() && destroy.is_empty();
        let (generation, time) = (state.index(), state.time());
        (!nothing).then_some(ToAgent::Assign { generation, time, assignments, forget, destroy, more: false })
    }

    /// Adds the orders to remove containers that nobody speaks of. They have no definition, and are few and small.
    fn remove_orphans(&mut self, state: &State, node: &NodeId, part: &mut Part) {
        for removal in state.node(node).into_iter().flat_map(|it| state.removals_of_orphans(it)) {
            if self.instances.insert(removal.instance, (Some(removal.kill_grace_ms), Version::default())).is_none() {
                part.add(removal);
            }
        }
    }

    /// The reservations that are to be destroyed and were not told yet.
    fn doomed(&mut self, state: &State, node: &NodeId) -> Vec<InstanceId> {
        let doomed: BTreeSet<InstanceId> = state.node(node).into_iter().flat_map(|it| state.doomed_on(it)).collect();
        let news = doomed.difference(&self.destroy).copied().collect();
        self.destroy = doomed;
        news
    }
}

fn known(state: &State, instance: &cluster::Instance) -> Known {
    let followed = state.app(&instance.app).and_then(|it| it.followed_by(instance));
    let stop = (instance.goal != Goal::Run).then(|| state.kill_grace_ms(instance));
    (stop, followed.map_or(Version::default(), |it| it.configured))
}

/// Assignments, until they are enough for one message.
struct Part {
    assignments: Vec<Assignment>,
    bytes: usize,
    bytes_max: usize,
}

impl Part {
    const fn new(bytes_max: usize) -> Self {
        Self { assignments: Vec::new(), bytes: 0, bytes_max }
    }

    const fn has_room(&self) -> bool {
        self.bytes < self.bytes_max
    }

    fn add(&mut self, assignment: Assignment) {
        self.bytes += size(&assignment);
        self.assignments.push(assignment);
    }
}

/// How many bytes a value has in a message.
fn size(value: &impl Serialize) -> usize {
    let mut count = Count(0);
    // Nothing of ours is refused by the encoding; what is would not be sent either.
    let _ = rmp_serde::encode::write_named(&mut count, value);
    count.0
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Where an instance goes.
//!
//! [`Rules::refusal`] says whether a node may take one more instance of an app, and why not; `Rules::rank` which of
//! two nodes is better. [`place`] is the search: it looks at the emptiest nodes first, keeps the candidates in a heap
//! by rank, and takes the best until all instances have a place. It looks at as many nodes as it needs, not at all of
//! them; only a wish that hardly any node fulfils makes it look on.

use crate::apply::volume_bytes;
use crate::capacity::{self, Capacity, Load, Order};
use crate::model::{
    App, AppVersion, Ask, Constraint, Instance, InstanceId, Moment, Node, NodeId, NodeStatus, Operator, Protocol,
    Resources, WantedHostPort,
};
use crate::rollout;
use crate::state::State;
use imbl::OrdMap;
use regex::{Regex, RegexBuilder};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Bound;
use std::sync::Arc;

/// Why a node does not take an instance, in the order in which it is asked; named as Marathon's queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The node has none of the roles that the app accepts.
    UnfulfilledRole,
    /// A constraint is not met, or the node's operator does not allow what the app asks of Docker.
    UnfulfilledConstraint,
    /// The app is resident, and all its places are on other nodes.
    NoCorrespondingReservationFound,
    /// The node is lost, or its agent says that nothing would start there.
    AgentMaintenance,
    /// Too little cpu is free.
    InsufficientCpus,
    /// Too little memory is free.
    InsufficientMemory,
    /// Too little disk is free.
    InsufficientDisk,
    /// A fixed host port is taken, or too few of the node's range are free.
    InsufficientPorts,
}

impl Reason {
    /// All of them, in the order of the funnel.
    pub const FUNNEL: [Self; 8] = [
        Self::UnfulfilledRole,
        Self::UnfulfilledConstraint,
        Self::NoCorrespondingReservationFound,
        Self::AgentMaintenance,
        Self::InsufficientCpus,
        Self::InsufficientMemory,
        Self::InsufficientDisk,
        Self::InsufficientPorts,
    ];

    /// The name that Marathon's queue uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnfulfilledRole => "UnfulfilledRole",
            Self::UnfulfilledConstraint => "UnfulfilledConstraint",
            Self::NoCorrespondingReservationFound => "NoCorrespondingReservationFound",
            Self::AgentMaintenance => "AgentMaintenance",
            Self::InsufficientCpus => "InsufficientCpus",
            Self::InsufficientMemory => "InsufficientMemory",
            Self::InsufficientDisk => "InsufficientDisk",
            Self::InsufficientPorts => "InsufficientPorts",
        }
    }
}

/// The attribute that names a node's role.
const ROLE: &str = "role";

/// A place for one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where.
    pub node: NodeId,
    /// The host ports, one for each of the app's ports that wants one.
    pub ports: Vec<u16>,
    /// The reservation that it comes back to.
    pub reservation: Option<InstanceId>,
}

/// The room that is left while a plan is made: a copy of the nodes on which the plan's own placements are booked.
#[derive(Clone, Debug)]
pub struct Room {
    nodes: OrdMap<NodeId, Arc<Node>>,
    capacity: Capacity,
}

impl Room {
    /// The room of a state.
    pub fn of(state: &State) -> Self {
        Self { nodes: state.nodes.clone(), capacity: state.capacity.clone() }
    }

    /// Books an instance on a node.
    fn take(&mut self, id: &NodeId, resources: &Resources, ports: impl Iterator<Item = (u16, Protocol)>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let before = capacity::load(node);
        let node = Arc::make_mut(node);
        node.used = node.used.plus(resources);
        let drawn = node.description.ports;
        for (port, protocol) in ports {
            // Nobody reads who holds a port in a plan, only that it is held.
            node.hold_port(port, protocol, InstanceId::derive(crate::model::ClusterId(0), 0, 0));
            if (drawn.first..=drawn.last).contains(&port) {
                node.next_port = port.checked_add(1).unwrap_or(drawn.first);
            }
        }
        self.capacity.reload(node, before);
    }
}

/// What an app asks of a node, and where its instances are already.
pub struct Rules<'a> {
    /// Of these roles a node must have one; of none where there are none.
    roles: Vec<&'a str>,
    /// What a node's operator must allow.
    asks: Vec<Ask>,
    wanted: Resources,
    /// Resident apps: where instances come back to, and what they take there.
    homes: BTreeMap<NodeId, Vec<InstanceId>>,
    wanted_at_home: Resources,
    /// Resident apps: how many instances may make a place for themselves.
    fresh: Option<usize>,
    fixed_ports: Vec<(u16, Protocol)>,
    n_drawn_ports: usize,
    host_ports: Vec<(WantedHostPort, Protocol)>,
    constraints: Vec<Rule<'a>>,
    on_node: BTreeMap<NodeId, u32>,
}

/// One constraint, made ready.
struct Rule<'a> {
    constraint: &'a Constraint,
    /// LIKE, UNLIKE: anchored at both ends.
    regex: Option<Regex>,
    /// MAX_PER, GROUP_BY: its number.
    number: Option<u32>,
    /// How many of the app's instances are on nodes with a value.
    counts: BTreeMap<String, u32>,
}

/// How good a node is for the next instance; less is better: fewer of the app in the group, fewer on the node,
/// emptier.
type Rank = (u32, u32, Load);

/// Compiles a LIKE or UNLIKE pattern: anchored at both ends, and bounded, because users write it.
pub fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(256 * 1024)
        .dfa_size_limit(1024 * 1024)
        .nest_limit(32)
        .build()
}

impl<'a> Rules<'a> {
    /// The rules for one more instance of the app's wanted version, as of `now`.
    ///
    /// Only instances of that version count, and none that was given up: one that is to be replaced does not keep its
    /// successor away. Those on their way out count where a value bears so many only, for as long as they run.
    pub fn of(state: &State, app: &'a App, now: Moment) -> Self {
        let aim = app.aim().unwrap_or(&app.current);
        let AppVersion { spec, .. } = &**aim;
        let host_ports: Vec<_> = spec.run.host_ports().collect();
        let fixed = |it: &(WantedHostPort, Protocol)| match it {
            (WantedHostPort::Fixed(port), protocol) => Some((*port, *protocol)),
            _ => None,
        };
        let fixed_ports: Vec<_> = host_ports.iter().filter_map(fixed).collect();
        let mut wanted = spec.run.resources;
        wanted.disk_bytes = wanted.disk_bytes.saturating_add(volume_bytes(aim));
        let mut homes: BTreeMap<NodeId, Vec<InstanceId>> = BTreeMap::new();
        let free = app.reservations.iter().filter_map(|it| state.reservations.get(it));
        for reservation in free.filter(|it| it.holder.is_none() && !it.doomed) {
            homes.entry(reservation.node.clone()).or_default().push(reservation.id);
        }
        let resident = spec.is_resident();
        let mut rules = Self {
            roles: spec.policy.wanted_roles(),
            asks: spec.run.asks().collect(),
            wanted,
            homes: if resident { homes } else { BTreeMap::new() },
            wanted_at_home: spec.run.resources,
            fresh: resident.then(|| (spec.instances as usize).saturating_sub(app.reservations.len())),
            n_drawn_ports: host_ports.len() - fixed_ports.len(),
            fixed_ports,
            host_ports,
            constraints: spec.policy.constraints.iter().map(Rule::of).collect(),
            on_node: BTreeMap::new(),
        };
        let is_counted =
            |it: &&Arc<Instance>| it.is_wanted() && app.is_current(it) && !rollout::is_given_up(state, app, it, now);
        let is_leaving =
            |it: &&Arc<Instance>| !it.is_wanted() && !it.has_ended() && app.is_current(it) && !state.is_unreachable(it);
        for instance in state.instances_of(app) {
            let Some(node) = state.nodes.get(&instance.node) else { continue };
            if is_counted(&instance) {
                rules.count(node);
            } else if is_leaving(&instance) {
                rules.constraints.iter_mut().filter(|it| it.is_a_limit()).for_each(|it| it.count(node));
            }
        }
        rules
    }

    /// The first reason for which a node does not take one more instance; none if it does.
    pub fn refusal(&self, node: &Node) -> Option<Reason> {
        if self.homes.contains_key(node.id()) {
            self.lacks(node, &self.wanted_at_home)
        } else if !self.has_role(node) {
            Some(Reason::UnfulfilledRole)
        } else if !self.constraints.iter().all(|it| it.holds(node)) {
            Some(Reason::UnfulfilledConstraint)
        } else if self.fresh == Some(0) {
            Some(Reason::NoCorrespondingReservationFound)
        } else {
            self.lacks(node, &self.wanted)
        }
    }

    fn has_role(&self, node: &Node) -> bool {
        self.roles.is_empty() || node.field(ROLE).is_some_and(|it| self.roles.contains(&it))
    }

    /// What the node's operator does not allow.
    fn denied(&self, node: &Node) -> Option<&Ask> {
        self.asks.iter().find(|it| !node.description.grants.cover(it))
    }

    fn lacks(&self, node: &Node, wanted: &Resources) -> Option<Reason> {
        let free = node.free();
        if self.denied(node).is_some() {
            Some(Reason::UnfulfilledConstraint)
        } else if node.status != NodeStatus::Ready {
            Some(Reason::AgentMaintenance)
        } else if free.cpu_milli < wanted.cpu_milli {
            Some(Reason::InsufficientCpus)
        } else if free.memory_bytes < wanted.memory_bytes {
            Some(Reason::InsufficientMemory)
        } else if free.disk_bytes < wanted.disk_bytes {
            Some(Reason::InsufficientDisk)
        } else if !self.has_ports(node) {
            Some(Reason::InsufficientPorts)
        } else {
            None
        }
    }

    /// The refusal of a node in words, with what is missing.
    pub fn detail(&self, node: &Node, reason: Reason) -> String {
        let free = node.free();
        let mebibytes = |bytes: u64| bytes / (1024 * 1024);
        let cores = |milli: u64| format!("{}.{:03}", milli / 1000, milli % 1000);
        match reason {
            Reason::UnfulfilledRole => format!(
                "its attribute 'role' must be {}: it {}",
                self.roles.join(" or "),
                node.field(ROLE).map_or("has none".to_owned(), |it| format!("is {it}"))
            ),
            Reason::UnfulfilledConstraint => {
                let broken = self.constraints.iter().find(|it| !it.holds(node));
                let denied = || Some(format!("'{}' is not in its agent's parameters_allowed", self.denied(node)?));
                broken.map(|it| it.why(node)).or_else(denied).unwrap_or_default()
            }
            Reason::NoCorrespondingReservationFound => "the app's volumes are on other nodes".to_owned(),
            Reason::AgentMaintenance => match &node.status {
                NodeStatus::Ready => String::new(),
                NodeStatus::Degraded { reason } => format!("the node is degraded: {reason}"),
                NodeStatus::Lost { .. } => "the node is lost: its agent was not heard of".to_owned(),
            },
            Reason::InsufficientCpus => {
                format!("needs {} cpus, {} are free", cores(self.wanted.cpu_milli), cores(free.cpu_milli))
            }
            Reason::InsufficientMemory => {
                format!(
                    "needs {} MiB of memory, {} are free",
                    mebibytes(self.wanted.memory_bytes),
                    mebibytes(free.memory_bytes)
                )
            }
            Reason::InsufficientDisk => {
                format!(
                    "needs {} MiB of disk, {} are free",
                    mebibytes(self.wanted.disk_bytes),
                    mebibytes(free.disk_bytes)
                )
            }
            Reason::InsufficientPorts => self.why_no_ports(node),
        }
    }

    /// The host ports for one more instance on a node that has room for it.
    fn draw_ports(&self, node: &Node) -> Vec<u16> {
        let range = node.description.ports;
        let start = node.next_port.clamp(range.first, range.last);
        let mut drawn = (start..=range.last)
            .chain(range.first..start)
            .filter(|it| !node.ports.contains_key(it) && !self.fixed_ports.iter().any(|(fixed, _)| fixed == it));
        let draw = |(wanted, _): &(WantedHostPort, Protocol)| match wanted {
            WantedHostPort::Fixed(port) => Some(*port),
            _ => drawn.next(),
        };
        self.host_ports.iter().filter_map(draw).collect()
    }

    /// Drawn host ports with their protocols.
    fn with_protocols<'p>(&'p self, ports: &'p [u16]) -> impl Iterator<Item = (u16, Protocol)> + 'p {
        ports.iter().copied().zip(self.host_ports.iter().map(|(_, protocol)| *protocol))
    }

    fn has_ports(&self, node: &Node) -> bool {
        if self.fixed_ports.iter().any(|(port, protocol)| node.port_holder(*port, *protocol).is_some()) {
            return false;
        }
        if self.n_drawn_ports == 0 {
            return true;
        }
        let range = node.description.ports;
        let size = usize::from(range.last.saturating_sub(range.first)) + 1;
        let needed = self.n_drawn_ports + self.fixed_ports.len();
        // Counting exactly is needed only where it is close.
        node.ports.len() + needed <= size || {
            let taken = node.ports.range(range.first..=range.last).count();
            let fixed: BTreeSet<u16> = self.fixed_ports.iter().map(|(port, _)| *port).collect();
            let own = fixed.range(range.first..=range.last).filter(|it| !node.ports.contains_key(*it)).count();
            taken + own + self.n_drawn_ports <= size
        }
    }

    fn why_no_ports(&self, node: &Node) -> String {
        let taken = self.fixed_ports.iter().find_map(|(port, it)| Some((port, node.port_holder(*port, *it)?)));
        match taken {
            Some((port, holder)) => format!("host port {port} is held by instance {holder}"),
            None => format!("needs {} ports of the node's range, fewer are free", self.n_drawn_ports),
        }
    }

    fn rank(&self, node: &Node) -> Rank {
        let group = |it: &Rule<'_>| {
            let value = node.field(&it.constraint.field)?;
            (it.constraint.operator == Operator::GroupBy).then(|| it.counts.get(value).copied().unwrap_or(0))
        };
        let group = self.constraints.iter().filter_map(group).max().unwrap_or(0);
        (group, self.on_node.get(node.id()).copied().unwrap_or(0), capacity::load(node))
    }

    /// Takes note of an instance on a node.
    fn count(&mut self, node: &Node) {
        *self.on_node.entry(node.id().clone()).or_default() += 1;
        self.constraints.iter_mut().filter(|it| it.is_counted()).for_each(|it| it.count(node));
    }

    /// Whether candidates of every class must be looked at: where instances are counted by an attribute.
    fn by_class(&self) -> bool {
        self.constraints.iter().any(|it| it.is_counted() && !matches!(&*it.constraint.field, "hostname" | "@hostname"))
    }
}

impl<'a> Rule<'a> {
    fn of(constraint: &'a Constraint) -> Self {
        let value = constraint.value.as_deref();
        let regex = match constraint.operator {
            // A pattern that does not compile was refused by the API; here it matches nothing.
            Operator::Like | Operator::Unlike => value.and_then(|it| pattern(it).ok()),
            _ => None,
        };
        Self { constraint, regex, number: value.and_then(|it| it.parse().ok()), counts: BTreeMap::new() }
    }

    /// Whether instances are counted by value.
    fn is_counted(&self) -> bool {
        match self.constraint.operator {
            Operator::Unique | Operator::MaxPer | Operator::GroupBy => true,
            Operator::Cluster => self.constraint.value.is_none(),
            Operator::Like | Operator::Unlike | Operator::Is => false,
        }
    }

    /// Whether a value bears so many instances and no more.
    fn is_a_limit(&self) -> bool {
        matches!(self.constraint.operator, Operator::Unique | Operator::MaxPer)
    }

    /// Takes note of an instance on a node.
    fn count(&mut self, node: &Node) {
        let Some(value) = node.field(&self.constraint.field) else { return };
        match self.counts.get_mut(value) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(value.to_owned(), 1);
            }
        }
    }

    /// Whether one more instance on the node keeps the constraint.
    fn holds(&self, node: &Node) -> bool {
        let Some(value) = node.field(&self.constraint.field) else {
            return self.constraint.operator == Operator::Unlike;
        };
        let matches = || self.regex.as_ref().is_some_and(|it| it.is_match(value));
        let count = || self.counts.get(value).copied().unwrap_or(0);
        match self.constraint.operator {
            Operator::Like => matches(),
            Operator::Unlike => !matches(),
            Operator::Is => self.constraint.value.as_deref() == Some(value),
            Operator::Cluster => match &self.constraint.value {
                Some(wanted) => wanted == value,
                None => self.counts.is_empty() || count() > 0,
            },
            Operator::Unique => count() == 0,
            Operator::MaxPer => count() < self.number.unwrap_or(0),
            Operator::GroupBy => self.keeps_groups_even(count()),
        }
    }

    /// A new value is always fine; a known one if there are enough groups, and none is smaller.
    fn keeps_groups_even(&self, count: u32) -> bool {
        let enough = self.counts.len() >= self.number.unwrap_or(0) as usize;
        count == 0 || (enough && self.counts.values().all(|it| *it >= count))
    }

    fn why(&self, node: &Node) -> String {
        let Constraint { field, operator, value } = self.constraint;
        let value = value.as_deref().map(|it| format!(":{it}")).unwrap_or_default();
        let found = match node.field(field) {
            Some(found) => format!("the node's is {found:?}"),
            None => "the node has no such attribute".to_owned(),
        };
        format!("constraint {field}:{}{value} is not met: {found}", operator.name())
    }
}

/// Finds places for up to `n` instances of the app's wanted version, books them in the room, and returns them, the
/// best first. Fewer than `n`: no node takes another one.
pub fn place(state: &State, room: &mut Room, app: &App, n: u32, now: Moment) -> Vec<Placed> {
    let mut rules = Rules::of(state, app, now);
    let mut placed = come_home(room, &mut rules, n as usize);
    let n = match rules.fresh {
        Some(fresh) => (n as usize).min(placed.len() + fresh),
        None => n as usize,
    };
    if placed.len() >= n {
        return placed;
    }
    let mut search = Search::new(room, &rules, n - placed.len());
    // Candidates whose group was not the smallest; asked again after each placement.
    let mut parked = Vec::new();
    while placed.len() < n {
        let Some((Reverse(rank), id)) = search.heap.pop().map(|Reverse((rank, id))| (Reverse(rank), id)) else {
            if search.gather(room, &rules) {
                continue;
            }
            break;
        };
        let Some(node) = room.nodes.get(&id) else { continue };
        match rules.refusal(node) {
            Some(Reason::UnfulfilledConstraint) => {
                parked.push(id);
                continue;
            }
            Some(_) => continue,
            None => {}
        }
        let now = rules.rank(node);
        if now != rank {
            search.heap.push(Reverse((now, id)));
            continue;
        }
        let ports = rules.draw_ports(node);
        rules.count(node);
        room.take(&id, &rules.wanted, rules.with_protocols(&ports));
        for id in parked.drain(..).chain([id.clone()]) {
            if let Some(node) = room.nodes.get(&id) {
                search.heap.push(Reverse((rules.rank(node), id)));
            }
        }
        placed.push(Placed { node: id, ports, reservation: None });
    }
    placed
}

/// Brings up to `n` instances back to the places that are kept for them.
fn come_home(room: &mut Room, rules: &mut Rules<'_>, n: usize) -> Vec<Placed> {
    let mut placed = Vec::new();
    for (id, reservations) in std::mem::take(&mut rules.homes) {
        for reservation in reservations {
            let Some(node) = room.nodes.get(&id) else { break };
            if placed.len() >= n || rules.lacks(node, &rules.wanted_at_home).is_some() {
                break;
            }
            let ports = rules.draw_ports(node);
            rules.count(node);
            room.take(&id, &rules.wanted_at_home, rules.with_protocols(&ports));
            placed.push(Placed { node: id.clone(), ports, reservation: Some(reservation) });
        }
    }
    placed
}

/// The candidates so far, and where to look for more.
struct Search {
    heap: BinaryHeap<Reverse<(Rank, NodeId)>>,
    sources: Vec<Source>,
    seen: BTreeSet<NodeId>,
    /// How many fresh candidates one source is asked for at a time.
    quota: usize,
}

/// Nodes from the emptiest to the fullest, and the last one that was looked at.
struct Source {
    order: Order,
    last: Option<(Load, NodeId)>,
    exhausted: bool,
}

/// Besides those needed, so many candidates are looked at, so that the best is among them also where the emptiest
/// nodes are not the best ones.
const SPARE_CANDIDATES: usize = 16;

/// So many times the wanted candidates are looked at for nodes without an instance of the app, before those with one
/// are taken; spreading is a preference, its search is bounded.
const LOOKED_AT: usize = 8;

impl Search {
    fn new(room: &Room, rules: &Rules<'_>, n: usize) -> Self {
        let source = |order: &Order| Source { order: order.clone(), last: None, exhausted: false };
        let sources: Vec<Source> = if rules.by_class() {
            room.capacity.classes().map(source).collect()
        } else {
            vec![source(room.capacity.order())]
        };
        let quota = (n + SPARE_CANDIDATES) / sources.len().max(1) + 1;
        Self { heap: BinaryHeap::new(), sources, seen: BTreeSet::new(), quota }
    }

    /// Looks for more candidates; false if there are none.
    fn gather(&mut self, room: &Room, rules: &Rules<'_>) -> bool {
        let before = self.heap.len();
        for source in &mut self.sources {
            let (mut fresh, mut looked_at, mut fitting) = (0, 0, 0);
            let start = source.last.take().map_or(Bound::Unbounded, Bound::Excluded);
            let mut nodes = source.order.range((start, Bound::Unbounded));
            while fresh < self.quota && (fitting == 0 || looked_at < LOOKED_AT * self.quota) {
                let Some((load, id)) = nodes.next() else {
                    source.exhausted = true;
                    break;
                };
                looked_at += 1;
                source.last = Some((*load, id.clone()));
                let Some(node) = room.nodes.get(id) else { continue };
                if rules.refusal(node).is_some() || !self.seen.insert(id.clone()) {
                    continue;
                }
                let rank = rules.rank(node);
                fitting += 1;
                fresh += usize::from(rank.1 == 0);
                self.heap.push(Reverse((rank, id.clone())));
            }
        }
        self.sources.retain(|it| !it.exhausted);
        self.heap.len() > before
    }
}

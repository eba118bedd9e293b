//! Where an instance goes.
//!
//! [`Rules::refusal`] says whether a node may take one more instance of an app, and why not; `Rules::rank` which of
//! two nodes is better. [`place`] is the search: it looks at the emptiest nodes first, keeps the candidates in a heap
//! by rank, and takes the best until all instances have a place. It looks at as many nodes as it needs, not at all of
//! them; only a wish that hardly any node fulfils makes it look on.

use crate::apply::volume_bytes;
use crate::capacity::{self, Capacity, Load, Order};
use crate::model::{
    App, Ask, ClusterId, Constraint, Instance, InstanceId, Moment, Node, NodeId, NodeStatus, Operator, Protocol,
    Resources, ShunnedNodes, Trust, WantedHostPort,
};
use crate::pattern::{Pattern, Unusable};
use crate::rollout;
use crate::state::State;
use imbl::OrdMap;
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
    /// The node is lost, or its agent says that nothing would start there, or too much could not be started there.
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
        if let Some(trouble) = node.trouble.as_mut().filter(|it| it.rests > 0) {
            Arc::make_mut(trouble).trial = Some(nobody());
        }
        let drawn = node.description.ports;
        for (port, protocol) in ports {
            // Nobody reads who holds a port in a plan, only that it is held.
            node.hold_port(port, protocol, nobody());
            if (drawn.first..=drawn.last).contains(&port) {
                node.next_port = port.checked_add(1).unwrap_or(drawn.first);
            }
        }
        self.capacity.reload(node, before);
    }
}

/// Stands for an instance of a plan, which has no name yet.
fn nobody() -> InstanceId {
    InstanceId::derive(ClusterId(0), 0, 0)
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
    /// What the container is called, where the app says so, and the nodes on which an instance of it has that name.
    name: Option<&'a str>,
    named: BTreeSet<NodeId>,
    /// Where the app could not be started lately.
    shunned: &'a ShunnedNodes,
    now: Moment,
}

/// One constraint, made ready.
struct Rule<'a> {
    constraint: &'a Constraint,
    /// LIKE, UNLIKE: what it describes, or why nobody can say.
    pattern: Option<&'a Result<Pattern, Unusable>>,
    /// MAX_PER, GROUP_BY: its number.
    number: Option<u32>,
    /// How many of the app's instances are on nodes with a value.
    counts: BTreeMap<String, u32>,
}

/// How good a node is for the next instance; less is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// So often the app could not be started there lately.
    shunned: u32,
    /// So many of the app are in its group.
    group: u32,
    /// So many of the app are on the node.
    there: u32,
    /// So many failed to start there lately, of whatever app.
    failures: u32,
    /// How full it is.
    load: Load,
}

impl<'a> Rules<'a> {
    /// The rules for one more instance of the app's wanted version, as of `now`.
    ///
    /// Only instances of that version count, and none that was given up: one that is to be replaced does not keep its
    /// successor away. Those on their way out count where a value bears so many only, for as long as they run.
    pub fn of(state: &State, app: &'a App, now: Moment) -> Self {
        let aim = app.aim().unwrap_or(&app.current);
        let spec = &aim.spec;
        let patterns = aim.patterns.of(&spec.policy.constraints);
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
            constraints: spec.policy.constraints.iter().zip(patterns).map(Rule::of).collect(),
            on_node: BTreeMap::new(),
            name: spec.run.container_name(),
            named: BTreeSet::new(),
            shunned: &app.shunned,
            now,
        };
        let is_counted =
            |it: &&Arc<Instance>| it.is_wanted() && app.is_current(it) && !rollout::is_given_up(state, app, it, now);
        let is_leaving =
            |it: &&Arc<Instance>| !it.is_wanted() && !it.has_ended() && app.is_current(it) && !state.is_unreachable(it);
        // A node's record is looked up only where an attribute is asked for.
        let needs_nodes = rules.constraints.iter().any(|it| it.is_counted() && !it.is_by_name());
        for instance in state.instances_of(app) {
            let is_counted = is_counted(&instance);
            // Whatever becomes of it, its container has its name until it is removed.
            let launched = || app.versions.get(&instance.run).map(|it| it.spec.run.container_name());
            if rules.name.is_some() && launched().is_none_or(|it| it == rules.name) {
                rules.named.insert(instance.node.clone());
            }
            if is_counted || is_leaving(&instance) {
                let node = if needs_nodes { state.nodes.get(&instance.node) } else { None };
                rules.count(&instance.node, node.map(AsRef::as_ref), is_counted);
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
        if self.denied(node).is_some() || self.named.contains(node.id()) {
            Some(Reason::UnfulfilledConstraint)
        } else if node.status != NodeStatus::Ready || !self.may_try(node) {
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

    /// Whether the node is trusted, or may be tried with an instance of this app: one that fails elsewhere too would
    /// tell nothing.
    fn may_try(&self, node: &Node) -> bool {
        match node.trust(self.now) {
            Trust::Full => true,
            Trust::Rests(_) | Trust::Trial { taken: true } => false,
            Trust::Trial { taken: false } => !self.shunned.any_but(node.id(), self.now),
        }
    }

    fn why_not_tried(&self, node: &Node) -> String {
        let reason = node.degraded().unwrap_or_default();
        let then = match node.trust(self.now) {
            Trust::Full => return String::new(),
            Trust::Rests(until) => format!("it is tried again in {} s", until.since_ms(self.now).div_ceil(1000)),
            Trust::Trial { taken: true } => "it is being tried with one instance".to_owned(),
            Trust::Trial { taken: false } => "it is tried again with one instance of another app".to_owned(),
        };
        format!("the node is degraded, {then}: {reason}")
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
                let named = || {
                    let name = self.name.filter(|_| self.named.contains(node.id()))?;
                    Some(format!(
                        "an instance of the app is there, and has the container name '{name}' (Docker parameter 'name')"
                    ))
                };
                broken.map(|it| it.why(node)).or_else(denied).or_else(named).unwrap_or_default()
            }
            Reason::NoCorrespondingReservationFound => "the app's volumes are on other nodes".to_owned(),
            Reason::AgentMaintenance => match &node.status {
                NodeStatus::Ready => self.why_not_tried(node),
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
        Rank {
            shunned: self.shunned.failures_on(node.id(), self.now),
            group,
            there: self.on_node.get(node.id()).copied().unwrap_or(0),
            failures: node.trouble.as_ref().map_or(0, |it| it.remembered(self.now)),
            load: capacity::load(node),
        }
    }

    /// Takes note of an instance on a node; of one that is on its way out only where a value bears so many.
    fn count(&mut self, id: &NodeId, node: Option<&Node>, stays: bool) {
        if stays {
            *self.on_node.entry(id.clone()).or_default() += 1;
            if self.name.is_some() {
                self.named.insert(id.clone());
            }
        }
        for rule in self.constraints.iter_mut().filter(|it| if stays { it.is_counted() } else { it.is_a_limit() }) {
            let field = &rule.constraint.field;
            let value = if rule.is_by_name() { Some(id.as_str()) } else { node.and_then(|it| it.field(field)) };
            if let Some(value) = value {
                rule.count(value);
            }
        }
    }

    /// Whether candidates of every class must be looked at: where instances are counted by an attribute.
    fn by_class(&self) -> bool {
        self.constraints.iter().any(|it| it.is_counted() && !it.is_by_name())
    }
}

impl<'a> Rule<'a> {
    fn of((constraint, pattern): (&'a Constraint, &'a Option<Result<Pattern, Unusable>>)) -> Self {
        let number = constraint.value.as_deref().and_then(|it| it.parse().ok());
        Self { constraint, pattern: pattern.as_ref(), number, counts: BTreeMap::new() }
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

    /// Whether it is about the nodes' names.
    fn is_by_name(&self) -> bool {
        matches!(&*self.constraint.field, "hostname" | "@hostname")
    }

    /// Takes note of an instance on a node with this value.
    fn count(&mut self, value: &str) {
        match self.counts.get_mut(value) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(value.to_owned(), 1);
            }
        }
    }

    /// Whether one more instance on the node keeps the constraint.
    fn holds(&self, node: &Node) -> bool {
        if self.pattern.is_some_and(Result::is_err) {
            // Nobody can say which nodes were meant: none is taken, neither by LIKE nor by UNLIKE.
            return false;
        }
        let Some(value) = node.field(&self.constraint.field) else {
            return self.constraint.operator == Operator::Unlike;
        };
        let matches = || self.pattern.is_some_and(|it| it.as_ref().is_ok_and(|it| it.matches(value)));
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
        if let Some(Err(unusable)) = self.pattern {
            return format!("constraint {field}:{} cannot be met: {unusable}", operator.name());
        }
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
        rules.count(&id, Some(node), true);
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
            rules.count(&id, Some(node), true);
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
                fresh += usize::from(rank.there == 0 && rank.shunned == 0);
                fitting += usize::from(rank.shunned == 0);
                self.heap.push(Reverse((rank, id.clone())));
            }
        }
        self.sources.retain(|it| !it.exhausted);
        self.heap.len() > before
    }
}

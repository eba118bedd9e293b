//! Where an instance goes.
//!
//! [`Rules::refusal`] says whether a node may take one more instance of an app, and why not; `Rules::rank` which of
//! two nodes is better. [`place`] is the search: it looks at the emptiest nodes first, keeps the candidates in a heap
//! by rank, and takes the best until all instances have a place. It looks at as many nodes as it needs, not at all of
//! them; only a wish that hardly any node fulfils makes it look on.

use crate::apply::volume_bytes;
use crate::capacity::{self, Capacity, Load, Order};
use crate::model::{
    App, Ask, ClusterId, Constraint, InstanceId, Moment, Node, NodeId, NodeStatus, Operator, Protocol, Resources,
    ShunnedNodes, Trust, WantedHostPort, attribute,
};
use crate::pattern::{Pattern, Unusable};
use crate::rollout;
use crate::roster::Members;
use crate::state::State;
use crate::work;
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
    /// What was placed last. It is booked when somebody looks again: mostly nobody does.
    last: Option<Booking>,
}

/// An instance that a plan has placed.
#[derive(Clone, Debug)]
struct Booking {
    node: NodeId,
    resources: Resources,
    ports: Vec<(u16, Protocol)>,
}

impl Room {
    /// The room of a state.
    pub fn of(state: &State) -> Self {
        Self { nodes: state.nodes.clone(), capacity: state.capacity.clone(), last: None }
    }

    /// Takes note of an instance that goes to a node.
    fn take(&mut self, node: &NodeId, resources: Resources, ports: impl Iterator<Item = (u16, Protocol)>) {
        self.book();
        self.last = Some(Booking { node: node.clone(), resources, ports: ports.collect() });
    }

    /// Books what was placed last.
    fn book(&mut self) {
        let Some(Booking { node, resources, ports }) = self.last.take() else { return };
        let Some(node) = self.nodes.get_mut(&node) else { return };
        let before = capacity::load(node);
        let node = Arc::make_mut(node);
        node.used = node.used.plus(&resources);
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
    /// How many of the app's instances that count are on each node, kind by kind.
    there: Vec<&'a OrdMap<NodeId, u32>>,
    /// Those that were placed since.
    placed: BTreeMap<NodeId, u32>,
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
    /// Where the app's instances are by node, kind by kind: those that a limit by the nodes' names counts.
    there: Vec<&'a OrdMap<NodeId, u32>>,
    /// How many others are on nodes with a value.
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
    pub fn of(state: &'a State, app: &'a App, now: Moment) -> Self {
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
            there: Vec::new(),
            placed: BTreeMap::new(),
            name: spec.run.container_name(),
            named: BTreeSet::new(),
            shunned: &app.shunned,
            now,
        };
        for (kind, members, one) in state.kinds(&app.id) {
            // Whatever becomes of it, its container has its name until it is removed.
            let launched = || app.versions.get(&kind.run).map(|it| it.spec.run.container_name());
            if rules.name.is_some() && launched().is_none_or(|it| it == rules.name) {
                rules.named.extend(members.places().keys().cloned());
            }
            if !app.is_current(one) {
                continue;
            }
            let is_leaving = !one.is_wanted() && !one.has_ended() && !state.is_unreachable(one);
            let is_counted = one.is_wanted() && !rollout::is_given_up(state, app, one, now);
            if is_counted {
                rules.there.push(members.places());
            }
            let asking = |it: &&mut Rule<'_>| {
                if is_counted { it.constraint.is_counted() } else { is_leaving && it.is_a_limit() }
            };
            for rule in rules.constraints.iter_mut().filter(asking) {
                rule.count_all(members);
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
            there: self.on_node(node.id()),
            failures: node.trouble.as_ref().map_or(0, |it| it.remembered(self.now)),
            load: capacity::load(node),
        }
    }

    /// How many of the app's instances that count are on a node.
    fn on_node(&self, id: &NodeId) -> u32 {
        let placed = if self.placed.is_empty() { None } else { self.placed.get(id) };
        self.there.iter().filter_map(|it| it.get(id)).chain(placed).sum()
    }

    /// Takes note of an instance that was placed on a node.
    fn count(&mut self, node: &Node) {
        *self.placed.entry(node.id().clone()).or_default() += 1;
        if self.name.is_some() {
            self.named.insert(node.id().clone());
        }
        for rule in self.constraints.iter_mut().filter(|it| it.constraint.is_counted()) {
            if let Some(value) = node.field(&rule.constraint.field) {
                rule.count(value, 1);
            }
        }
    }

    /// The best rank that a node with these attributes can have; none if a constraint asks for one that is not there.
    fn best_of(&self, attributes: &BTreeMap<String, String>, order: &Order) -> Option<Rank> {
        let (load, _) = order.get_min()?;
        let mut group = 0;
        for rule in self
            .constraints
            .iter()
            .filter(|it| it.constraint.operator == Operator::GroupBy && !it.constraint.is_by_name())
        {
            let value = attribute(attributes, &rule.constraint.field)?;
            group = rule.counts.get(value).copied().unwrap_or(0).max(group);
        }
        Some(Rank { shunned: 0, group, there: 0, failures: 0, load: *load })
    }

    /// Whether candidates of every class must be looked at: where instances are counted by an attribute.
    fn by_class(&self) -> bool {
        self.constraints.iter().any(|it| it.constraint.is_counted() && !it.constraint.is_by_name())
    }

    /// Whether only some classes will do.
    fn chooses_class(&self) -> bool {
        !self.roles.is_empty() || self.constraints.iter().any(Rule::is_of_class)
    }

    /// Whether a node's class will do; a node of another one is not worth a look.
    fn admits_class_of(&self, node: &Node) -> bool {
        self.has_role(node) && self.constraints.iter().filter(|it| it.is_of_class()).all(|it| it.holds(node))
    }
}

impl<'a> Rule<'a> {
    fn of((constraint, pattern): (&'a Constraint, &'a Option<Result<Pattern, Unusable>>)) -> Self {
        let number = constraint.value.as_deref().and_then(|it| it.parse().ok());
        Self { constraint, pattern: pattern.as_ref(), number, there: Vec::new(), counts: BTreeMap::new() }
    }

    /// Whether a value bears so many instances and no more.
    fn is_a_limit(&self) -> bool {
        matches!(self.constraint.operator, Operator::Unique | Operator::MaxPer)
    }

    /// Whether nodes with the same attributes all keep it, or none does, whatever else is on them.
    fn is_of_class(&self) -> bool {
        !self.constraint.is_counted() && !self.constraint.is_by_name()
    }

    /// Takes note of the app's instances of one kind. A limit by name is looked up node by node.
    fn count_all(&mut self, members: &'a Members) {
        let field = &self.constraint.field;
        if !self.constraint.is_by_name() {
            for (value, n) in members.values(field).into_iter().flatten() {
                work::did(1);
                self.count(value, *n);
            }
        } else if self.is_a_limit() {
            self.there.push(members.places());
        } else {
            for (id, n) in members.places() {
                work::did(1);
                self.count(id.as_str(), *n);
            }
        }
    }

    /// Takes note of instances on nodes with this value.
    fn count(&mut self, value: &str, n: u32) {
        match self.counts.get_mut(value) {
            Some(count) => *count += n,
            None => {
                self.counts.insert(value.to_owned(), n);
            }
        }
    }

    /// How many instances bear the value that a node has.
    fn count_on(&self, node: &NodeId, value: &str) -> u32 {
        self.there.iter().filter_map(|it| it.get(node)).chain(self.counts.get(value)).sum()
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
        let count = || self.count_on(node.id(), value);
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
    room.book();
    let mut search = Search::new(room, &rules, n - placed.len());
    // Candidates whose group was not the smallest; asked again after each placement.
    let mut parked = Vec::new();
    loop {
        search.open(room, &rules);
        let Some(Reverse((rank, id))) = search.heap.pop() else {
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
        room.take(&id, rules.wanted, rules.with_protocols(&ports));
        placed.push(Placed { node: id.clone(), ports, reservation: None });
        if placed.len() >= n {
            break;
        }
        room.book();
        for id in parked.drain(..).chain([id]) {
            if let Some(node) = room.nodes.get(&id) {
                search.heap.push(Reverse((rules.rank(node), id)));
            }
        }
    }
    placed
}

/// Brings up to `n` instances back to the places that are kept for them.
fn come_home(room: &mut Room, rules: &mut Rules<'_>, n: usize) -> Vec<Placed> {
    let mut placed = Vec::new();
    for (id, reservations) in std::mem::take(&mut rules.homes) {
        for reservation in reservations {
            room.book();
            let Some(node) = room.nodes.get(&id) else { break };
            if placed.len() >= n || rules.lacks(node, &rules.wanted_at_home).is_some() {
                break;
            }
            let ports = rules.draw_ports(node);
            rules.count(node);
            room.take(&id, rules.wanted_at_home, rules.with_protocols(&ports));
            placed.push(Placed { node: id.clone(), ports, reservation: Some(reservation) });
        }
    }
    placed
}

/// The candidates so far, and where to look for more.
struct Search {
    heap: BinaryHeap<Reverse<(Rank, NodeId)>>,
    sources: Vec<Source>,
    /// Sources that were not looked at yet, by the best rank that a node of theirs can have. Only where one place is
    /// looked for: then most of them need not be looked at.
    unopened: BinaryHeap<Reverse<(Rank, usize)>>,
    seen: BTreeSet<NodeId>,
    /// How many fresh candidates one source is asked for at a time.
    quota: usize,
    /// One place is looked for: the first of a source that nothing speaks against is the best of it.
    single: bool,
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

/// With more classes than that, whoever looks for one place looks at one node after the other, and not first at which
/// classes will do: where each node has attributes of its own, that is all the same.
const CLASSES_TO_CHOOSE_FROM: usize = 1_000;

impl Search {
    fn new(room: &Room, rules: &Rules<'_>, n: usize) -> Self {
        let source = |order: &Order| Source { order: order.clone(), last: None, exhausted: false };
        let (single, mut unopened) = (n == 1, Vec::new());
        let by_class = rules.by_class();
        let chooses = || single && rules.chooses_class() && room.capacity.n_classes() <= CLASSES_TO_CHOOSE_FROM;
        let sources: Vec<Source> = if by_class || chooses() {
            let classes = room.capacity.classes().enumerate();
            let classes = classes.map(|(at, (attributes, order))| {
                if single {
                    unopened.extend(rules.best_of(attributes, order).map(|it| Reverse((it, at))));
                }
                source(order)
            });
            classes.collect()
        } else {
            vec![source(room.capacity.order())]
        };
        let quota = (n + SPARE_CANDIDATES) / if by_class { sources.len().max(1) } else { 1 } + 1;
        let unopened = BinaryHeap::from(unopened);
        Self { heap: BinaryHeap::new(), sources, unopened, seen: BTreeSet::new(), quota, single }
    }

    /// Looks into each source in which there may be a better candidate than those that are known.
    fn open(&mut self, room: &Room, rules: &Rules<'_>) {
        while let Some(Reverse((best, _))) = self.unopened.peek()
            && self.heap.peek().is_none_or(|Reverse((known, _))| best <= known)
        {
            let Some(Reverse((_, at))) = self.unopened.pop() else { return };
            let first = self.sources[at].order.get_min().and_then(|(_, id)| room.nodes.get(id));
            if first.is_some_and(|it| rules.admits_class_of(it)) {
                self.look_into(at, room, rules);
            } else {
                self.sources[at].exhausted = true;
            }
        }
    }

    /// Looks for more candidates; false if there are none.
    fn gather(&mut self, room: &Room, rules: &Rules<'_>) -> bool {
        self.sources.retain(|it| !it.exhausted);
        let before = self.heap.len();
        for at in 0..self.sources.len() {
            self.look_into(at, room, rules);
        }
        self.heap.len() > before
    }

    fn look_into(&mut self, at: usize, room: &Room, rules: &Rules<'_>) {
        let source = &mut self.sources[at];
        let (mut fresh, mut looked_at, mut fitting) = (0, 0, 0);
        let start = source.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut nodes = source.order.range((start, Bound::Unbounded));
        while fresh < self.quota && (fitting == 0 || looked_at < LOOKED_AT * self.quota) {
            let Some((load, id)) = nodes.next() else {
                source.exhausted = true;
                break;
            };
            looked_at += 1;
            work::did(1);
            source.last = Some((*load, id.clone()));
            let Some(node) = room.nodes.get(id) else { continue };
            if rules.refusal(node).is_some() || !self.seen.insert(id.clone()) {
                continue;
            }
            let rank = rules.rank(node);
            fresh += usize::from(rank.there == 0 && rank.shunned == 0);
            fitting += usize::from(rank.shunned == 0);
            self.heap.push(Reverse((rank, id.clone())));
            if self.single && (rank.shunned, rank.there, rank.failures) == (0, 0, 0) {
                break;
            }
        }
    }
}

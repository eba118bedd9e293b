//! Whether a node may take an instance of an app, why not, and how good it is.

use super::Reason;
use super::rule::Rule;
use crate::apply::volume_bytes;
use crate::capacity::{self, Load, Order};
use crate::model::{
    App, Ask, Constraint, InstanceId, Moment, Node, NodeId, NodeStatus, Operator, Protocol, Resources, ShunnedNodes,
    Trust, WantedHostPort, attribute,
};
use crate::rollout;
use crate::state::State;
use imbl::OrdMap;
use std::collections::{BTreeMap, BTreeSet};

/// The attribute that names a node's role.
const ROLE: &str = "role";

/// What an app asks of a node, and where its instances are already.
pub struct Rules<'a> {
    /// Of these roles a node must have one; of none where there are none.
    roles: Vec<&'a str>,
    /// What a node's operator must allow.
    asks: Vec<Ask>,
    pub(super) wanted: Resources,
    /// Resident apps: where instances come back to, and what they take there.
    pub(super) homes: BTreeMap<NodeId, Vec<InstanceId>>,
    pub(super) wanted_at_home: Resources,
    /// Resident apps: how many instances may make a place for themselves.
    pub(super) fresh: Option<usize>,
    fixed_ports: Vec<(u16, Protocol)>,
    n_drawn_ports: usize,
    host_ports: Vec<(WantedHostPort, Protocol)>,
    constraints: Vec<Rule<'a>>,
    /// How many of the app's instances that count are on each node, kind by kind.
    pub(super) there: Vec<&'a OrdMap<NodeId, u32>>,
    /// Those that were placed since.
    pub(super) placed: BTreeMap<NodeId, u32>,
    /// What the container is called, where the app says so, and the nodes on which an instance of it has that name.
    name: Option<&'a str>,
    named: BTreeSet<NodeId>,
    /// Where the app could not be started lately.
    shunned: &'a ShunnedNodes,
    now: Moment,
}

/// How good a node is for the next instance; less is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// So often the app could not be started there lately.
    pub(super) shunned: u32,
    /// So many of the app are in its group.
    group: u32,
    /// So many of the app are on the node.
    pub(super) there: u32,
    /// So many failed to start there lately, of whatever app.
    pub(super) failures: u32,
    /// How full it is.
    pub(super) load: Load,
}

impl<'a> Rules<'a> {
    /// The rules for one more instance of the app's wanted version, as of `now`.
    ///
    /// Only instances of that version count, and none that was given up: one that is to be replaced does not keep its
    /// successor away. Those on their way out count where a value bears so many only, for as long as they run.
    pub fn of(state: &'a State, app: &'a App, now: Moment) -> Self {
        let aim = app.aim().unwrap_or(&app.current);
        let spec = &aim.spec;
        let patterns = aim.patterns.of(spec.policy.constraints.iter().map(Constraint::pattern));
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

    pub(super) fn lacks(&self, node: &Node, wanted: &Resources) -> Option<Reason> {
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
    pub(super) fn draw_ports(&self, node: &Node) -> Vec<u16> {
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
    pub(super) fn with_protocols<'p>(&'p self, ports: &'p [u16]) -> impl Iterator<Item = (u16, Protocol)> + 'p {
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

    pub(super) fn rank(&self, node: &Node) -> Rank {
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
    pub(super) fn count(&mut self, node: &Node) {
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
    pub(super) fn best_of(&self, attributes: &BTreeMap<String, String>, order: &Order) -> Option<Rank> {
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
    pub(super) fn by_class(&self) -> bool {
        self.constraints.iter().any(|it| it.constraint.is_counted() && !it.constraint.is_by_name())
    }

    /// Whether only some classes will do.
    pub(super) fn chooses_class(&self) -> bool {
        !self.roles.is_empty() || self.constraints.iter().any(Rule::is_of_class)
    }

    /// Whether a node's class will do; a node of another one is not worth a look.
    pub(super) fn admits_class_of(&self, node: &Node) -> bool {
        self.has_role(node) && self.constraints.iter().filter(|it| it.is_of_class()).all(|it| it.holds(node))
    }
}

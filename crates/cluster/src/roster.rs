//! An app's instances by what is true of them, so that a decision looks at kinds of instances, not at each of them.
//!
//! All of one [`Kind`] are alike to every question that a decision asks, but for where they are and since when they are
//! good: one of them answers for all. What is kept here follows from the instances and their nodes, as sets: it is
//! never part of a snapshot, and the same after any history.

use crate::model::{App, AppId, Condition, Goal, Health, Instance, InstanceId, Moment, Node, NodeId, Version};
use crate::work;
use imbl::{OrdMap, OrdSet};
use std::borrow::{Borrow, Cow};
use std::sync::Arc;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;

/// What decisions ask of an instance, and of the node that it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) run: Version,
    pub(crate) follows: Version,
    pub(crate) judged_by: Version,
    /// When its node was lost; absent: it is not.
    lost: Option<Moment>,
    stage: Stage,
    /// It shall run.
    stays: bool,
    health: Health,
    forgiven: bool,
    /// Whether it is running, healthy and ready: each since some moment.
    marks: [bool; 3],
}

/// How far an instance has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Staging,
    Running,
    Ended,
}

impl Kind {
    fn of(instance: &Instance, node: Option<&Node>) -> Self {
        let since = instance.since;
        Self {
            run: instance.run,
            follows: instance.follows,
            judged_by: instance.judged_by,
            lost: node.and_then(Node::lost_at),
            stage: match instance.condition {
                Condition::Staging => Stage::Staging,
                Condition::Running => Stage::Running,
                Condition::Ended(_) => Stage::Ended,
            },
            stays: instance.goal == Goal::Run,
            health: instance.health,
            forgiven: instance.is_forgiven(),
            marks: [since.running, since.healthy, since.ready].map(|it| it.is_some()),
        }
    }
}

/// The instances of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    ids: OrdSet<InstanceId>,
    /// How many of them are on each node.
    places: OrdMap<NodeId, u32>,
    /// The same by the values of the attributes that the app's constraints count by, field by field.
    values: Vec<(String, OrdMap<String, u32>)>,
    /// Those of whose time is still something to wait for, by that: while they are staging, when there was last news of
    /// them; later, since when they are good, of those that had not been so for long enough when last looked at.
    waiting: OrdSet<(Moment, InstanceId)>,
    /// Who is good since this moment, or longer, is not in `waiting`; absent: nobody was left out.
    forgotten: Option<Moment>,
    /// Whether health checks and a readiness check were asked for, by which it was told since when they are good.
    asked: (bool, bool),
}

/// Since when the instances of a kind are good; all of them are.
pub(crate) struct Ages<'a> {
    n: usize,
    /// Without those that had been so for long enough long ago.
    young: Cow<'a, OrdSet<(Moment, InstanceId)>>,
}

/// An app's instances by kind, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster(Arc<Vec<(Kind, Members)>>);

impl Members {
    /// All of them, oldest first.
    pub(crate) const fn ids(&self) -> &OrdSet<InstanceId> {
        &self.ids
    }

    /// How many of them are on each node.
    pub(crate) const fn places(&self) -> &OrdMap<NodeId, u32> {
        &self.places
    }

    /// How many of them are on nodes with each value of an attribute; none if no constraint counts by it.
    pub(crate) fn values(&self, field: &str) -> Option<&OrdMap<String, u32>> {
        self.values.iter().find(|it| it.0 == field).map(|it| &it.1)
    }

    /// Those that are staging, by when there was last news of them.
    pub(crate) const fn by_news(&self) -> &OrdSet<(Moment, InstanceId)> {
        &self.waiting
    }

    /// Since when they are good, all of which are, for somebody who asks which of them have been since `limit`, or
    /// longer; where that is absent, none has.
    pub(crate) fn ages<'a>(&'a self, all: &Instances, app: &App, one: &Instance, limit: Option<Moment>) -> Ages<'a> {
        let asked = app.asks(one);
        let young = if asked == self.asked && limit >= self.forgotten {
            Cow::Borrowed(&self.waiting)
        } else {
            work::did(self.ids.len());
            let own = self.ids.iter().filter_map(|it| all.get(it));
            Cow::Owned(own.filter_map(|it| Some((it.good_since(asked.0, asked.1)?, it.id))).collect())
        };
        Ages { n: self.ids.len(), young }
    }

    fn insert(&mut self, instance: &Instance, node: Option<&Node>, app: &App, all: &Instances) {
        if self.ids.is_empty() {
            self.values = app.counted_fields().map(|it| (it.to_owned(), OrdMap::new())).collect();
        }
        self.ids.insert(instance.id);
        add(&mut self.places, &instance.node, 1);
        for (field, counts) in &mut self.values {
            if let Some(value) = node.and_then(|it| it.field(field)) {
                add(counts, value, 1);
            }
        }
        let asked = app.asks(instance);
        self.ask(asked, all);
        if let Some(since) = waits_since(instance, asked).filter(|it| Some(*it) > self.forgotten) {
            self.waiting.insert((since, instance.id));
        }
    }

    /// Takes note of what is asked for: if it is something else than till now, they are told apart anew.
    fn ask(&mut self, asked: (bool, bool), all: &Instances) {
        if asked != self.asked {
            work::did(self.ids.len());
            self.asked = asked;
            self.forgotten = None;
            let own = self.ids.iter().filter_map(|it| all.get(it));
            self.waiting = own.filter_map(|it| Some((waits_since(it, asked)?, it.id))).collect();
        }
    }

    /// Takes note of what another definition of the app counts its instances by.
    fn count_by(&mut self, app: &App, nodes: &Nodes) {
        let counts = |field: &str| {
            let mut counts = OrdMap::new();
            work::did(self.places.len());
            for (node, n) in &self.places {
                if let Some(value) = nodes.get(node).and_then(|it| it.field(field)) {
                    add(&mut counts, value, *n);
                }
            }
            counts
        };
        self.values = app.counted_fields().map(|it| (it.to_owned(), counts(it))).collect();
    }

    fn remove(&mut self, instance: &Instance, node: Option<&Node>) {
        self.ids.remove(&instance.id);
        subtract_one(&mut self.places, &instance.node);
        for (field, counts) in &mut self.values {
            if let Some(value) = node.and_then(|it| it.field(field)) {
                subtract_one(counts, value);
            }
        }
        if let Some(since) = waits_since(instance, self.asked) {
            self.waiting.remove(&(since, instance.id));
        }
    }

    /// Leaves out those that are good since this moment, or longer.
    fn forget(&mut self, limit: Moment) {
        while self.waiting.get_min().is_some_and(|(since, _)| *since <= limit) {
            self.waiting.remove_min();
        }
        self.forgotten = self.forgotten.max(Some(limit));
    }
}

impl Ages<'_> {
    /// How many have been good since `limit`, or longer.
    pub(crate) fn n_since(&self, limit: Option<Moment>) -> usize {
        // Mostly all of them, or none.
        if self.first() > limit { 0 } else { self.n - self.after(limit).count() }
    }

    /// Those that have been good for less long, the longest first.
    pub(crate) fn after(&self, limit: Option<Moment>) -> impl Iterator<Item = &(Moment, InstanceId)> {
        let first = limit.map_or(Moment(0), |it| it.plus_ms(1));
        let none = limit == Some(Moment(u64::MAX));
        let after = self.young.range((first, InstanceId::FIRST)..).filter(move |_| !none);
        after.inspect(|_| work::did(1))
    }

    /// Whether all have been good since `limit`, or longer.
    pub(crate) fn all_since(&self, limit: Option<Moment>) -> bool {
        self.after(limit).next().is_none()
    }

    /// Since when the first of them is good, at the latest.
    pub(crate) fn first(&self) -> Option<Moment> {
        let is_young = self.n == self.young.len();
        if is_young { self.young.get_min().map(|(since, _)| *since) } else { Some(Moment(0)) }
    }
}

impl Roster {
    /// Every kind that there is, with its instances.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&Kind, &Members)> {
        self.0.iter().map(|(kind, members)| (kind, members))
    }

    fn insert(&mut self, instance: &Instance, node: Option<&Node>, app: &App, all: &Instances) {
        let kind = Kind::of(instance, node);
        let kinds = Arc::make_mut(&mut self.0);
        let at = kinds.binary_search_by(|it| it.0.cmp(&kind)).unwrap_or_else(|at| {
            kinds.insert(at, (kind, Members::default()));
            at
        });
        kinds[at].1.insert(instance, node, app, all);
    }

    fn remove(&mut self, instance: &Instance, node: Option<&Node>) {
        let kind = Kind::of(instance, node);
        let kinds = Arc::make_mut(&mut self.0);
        if let Ok(at) = kinds.binary_search_by(|it| it.0.cmp(&kind)) {
            kinds[at].1.remove(instance, node);
            if kinds[at].1.ids.is_empty() {
                kinds.remove(at);
            }
        }
    }

    /// Nobody waits for those any more that are good since this moment, or longer.
    fn forget(&mut self, limit: Moment) {
        let is_over = |it: &(Kind, Members)| {
            it.0.stage == Stage::Running && it.1.waiting.get_min().is_some_and(|(since, _)| *since <= limit)
        };
        if self.0.iter().any(is_over) {
            let kinds = Arc::make_mut(&mut self.0);
            kinds.iter_mut().filter(|it| is_over(it)).for_each(|it| it.1.forget(limit));
        }
    }

    /// Takes note of what another definition of the app asks its instances for, and counts them by.
    fn ask(&mut self, app: &App, all: &Instances, nodes: &Nodes) {
        let asked = |it: &Members| Some(app.asks(all.get(it.ids.get_min()?)?)).filter(|asked| *asked != it.asked);
        let recounted = |it: &Members| !it.values.iter().map(|it| it.0.as_str()).eq(app.counted_fields());
        if self.0.iter().any(|it| asked(&it.1).is_some() || recounted(&it.1)) {
            for (_, members) in Arc::make_mut(&mut self.0) {
                if let Some(asked) = asked(members) {
                    members.ask(asked, all);
                }
                members.count_by(app, nodes);
            }
        }
    }
}

/// The rosters of all apps that have instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rosters(OrdMap<AppId, Roster>);

impl Rosters {
    /// Those of these apps, instances and nodes.
    pub(crate) fn of(apps: &OrdMap<AppId, Arc<App>>, all: &Instances, nodes: &Nodes) -> Self {
        let mut rosters = Self::default();
        for app in apps.values() {
            for instance in app.instances.iter().filter_map(|it| all.get(it)) {
                rosters.change(app, None, Some((instance, nodes.get(&instance.node).map(AsRef::as_ref))), all);
            }
        }
        rosters
    }

    /// The kinds of an app's instances, in a fixed order.
    pub(crate) fn kinds<'a>(&'a self, app: &AppId) -> impl Iterator<Item = (&'a Kind, &'a Members)> + use<'a> {
        self.0.get(app).into_iter().flat_map(Roster::kinds)
    }

    /// Takes note of an app's instance that comes, changes or goes, each with its node as it was then.
    pub(crate) fn change(&mut self, app: &App, before: Option<On<'_>>, after: Option<On<'_>>, all: &Instances) {
        if !self.0.contains_key(&app.id) {
            self.0.insert(app.id.clone(), Roster::default());
        }
        let Some(roster) = self.0.get_mut(&app.id) else { return };
        if let Some((instance, node)) = before {
            roster.remove(instance, node);
        }
        if let Some((instance, node)) = after {
            roster.insert(instance, node, app, all);
        }
        if roster.0.is_empty() {
            self.0.remove(&app.id);
        }
    }

    /// Takes note of another definition of an app.
    pub(crate) fn define(&mut self, app: &App, all: &Instances, nodes: &Nodes) {
        if let Some(roster) = self.0.get_mut(&app.id) {
            roster.ask(app, all, nodes);
        }
    }

    /// Nobody waits for those of an app any more that are good since this moment, or longer.
    pub(crate) fn forget(&mut self, app: &AppId, limit: Moment) {
        if let Some(roster) = self.0.get_mut(app) {
            roster.forget(limit);
        }
    }

    /// An app is gone, with whatever it leaves on lost nodes.
    pub(crate) fn dismiss(&mut self, app: &AppId) {
        self.0.remove(app);
    }
}

/// An instance, and the node that it is on.
pub(crate) type On<'a> = (&'a Instance, Option<&'a Node>);

/// Every instance.
pub(crate) type Instances = OrdMap<InstanceId, Arc<Instance>>;

/// Every node.
pub(crate) type Nodes = OrdMap<NodeId, Arc<Node>>;

/// Counts so many more.
fn add<K, Q>(counts: &mut OrdMap<K, u32>, key: &Q, n: u32)
where
    K: Ord + Clone + Borrow<Q>,
    Q: Ord + ToOwned<Owned = K> + ?Sized,
{
    match counts.get_mut(key) {
        Some(count) => *count += n,
        None => {
            counts.insert(key.to_owned(), n);
        }
    }
}

/// Counts one less.
fn subtract_one<K: Ord + Clone + Borrow<Q>, Q: Ord + ?Sized>(counts: &mut OrdMap<K, u32>, key: &Q) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => {
            counts.remove(key);
        }
    }
}

/// By when an instance is among those that are waited for; absent: nobody waits for it.
fn waits_since(instance: &Instance, asked: (bool, bool)) -> Option<Moment> {
    let since = match instance.condition {
        Condition::Staging => Some(instance.news_at),
        Condition::Running => instance.good_since(asked.0, asked.1),
        Condition::Ended(_) => None,
    };
    since.filter(|_| instance.goal == Goal::Run)
}

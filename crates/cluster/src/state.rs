//! The cluster's state, and what can be asked of it.

mod lookups;

use crate::agent::Assignment;
use crate::capacity::Capacity;
use crate::external::External;
use crate::model::{
    App, AppId, AppSpec, AppVersion, ClusterId, Deployment, DeploymentId, Goal, Grave, Group, GroupSpec, HealthCheck,
    Instance, InstanceId, Moment, Node, NodeId, PathId, PodCommand, Policy, Reservation, RunSpec, Settings, Timestamp,
    Trust, Version,
};
use crate::services::Services;
use crate::work;
use imbl::{OrdMap, OrdSet};
use lookups::Lookups;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// From the polite to the hard stop signal where an app does not say, milliseconds; Mesos' own default.
pub const KILL_GRACE_MS: u64 = 3_000;

/// The label by which an app says how long a new instance must live before it counts, in seconds.
pub const MIN_LIVE_LABEL: &str = "EKIDEN_MIN_LIVE";

/// The label by which an app says after how many failed health checks in a row an instance leaves discovery.
pub const LEAVE_AFTER_LABEL: &str = "EKIDEN_LEAVE_AFTER";

/// Everything the cluster knows. A clone is cheap and independent: a snapshot.
///
/// Changed only by [`State::apply`]. The encoded form is the content of raft snapshots; [`State::indexed`] must be
/// called on a decoded one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub(crate) cluster: ClusterId,
    pub(crate) index: u64,
    pub(crate) time: Timestamp,
    /// Absent, that is 0, in what older programs wrote; see `older`.
    #[serde(default)]
    pub(crate) moment: Moment,
    /// The newest version that anything was given: none is given twice, and none before it, whatever the clocks say.
    #[serde(default)]
    pub(crate) newest_version: Version,
    pub(crate) apps: OrdMap<AppId, Arc<App>>,
    pub(crate) instances: OrdMap<InstanceId, Arc<Instance>>,
    pub(crate) nodes: OrdMap<NodeId, Arc<Node>>,
    pub(crate) deployments: OrdMap<DeploymentId, Arc<Deployment>>,
    /// Those of them that are under way.
    pub(crate) active: OrdSet<DeploymentId>,
    /// The groups that somebody made, and those removed since the oldest kept version of the tree.
    pub(crate) groups: OrdMap<PathId, Arc<Group>>,
    /// The kept versions of the tree of groups and apps, oldest first; each deployment that changes it makes one.
    pub(crate) tree: OrdSet<Version>,
    /// Apps that were deleted since the oldest kept version of the tree, by name and by when.
    pub(crate) graves: OrdMap<AppId, OrdMap<Version, Arc<Grave>>>,
    pub(crate) reservations: OrdMap<InstanceId, Arc<Reservation>>,
    pub(crate) settings: Settings,
    /// How many ports of wanted versions have this service port.
    pub(crate) service_ports: OrdMap<u16, u32>,
    /// Where the search for the next free service port starts.
    pub(crate) next_service_port: u16,
    /// When something last went from a group that is there, of what is no longer remembered: its version does not fall
    /// behind that.
    #[serde(default)]
    pub(crate) removals: OrdMap<PathId, Version>,
    /// How many service ports of the range from which they are chosen are held; follows from `service_ports` and
    /// `settings`.
    #[serde(skip)]
    pub(crate) n_service_ports: usize,
    /// Free room by node, for placement; follows from `nodes`.
    #[serde(skip)]
    pub(crate) capacity: Capacity,
    /// Who has which external volume; follows from `apps`.
    #[serde(skip)]
    pub(crate) external: External,
    /// Few among many; follows from the rest.
    #[serde(skip)]
    pub(crate) lookups: Lookups,
    /// Which apps are found under which name; follows from `apps`.
    #[serde(skip)]
    pub(crate) services: Services,
}

impl PartialEq for State {
    /// Equal in all that is replicated.
    fn eq(&self, other: &Self) -> bool {
        (self.cluster, self.index, self.time) == (other.cluster, other.index, other.time)
            && (self.moment, self.newest_version) == (other.moment, other.newest_version)
            && self.apps == other.apps
            && self.instances == other.instances
            && self.nodes == other.nodes
            && self.deployments == other.deployments
            && self.active == other.active
            && (&self.groups, &self.tree, &self.graves) == (&other.groups, &other.tree, &other.graves)
            && self.reservations == other.reservations
            && self.settings == other.settings
            && self.service_ports == other.service_ports
            && self.next_service_port == other.next_service_port
            && self.removals == other.removals
    }
}

impl State {
    /// A cluster that nobody has founded yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rebuilds what follows from the replicated parts; for a state that was just decoded.
    #[must_use]
    pub fn indexed(mut self) -> Self {
        self.take_over();
        self.apps = self.apps.iter().map(|(id, app)| (id.clone(), Arc::new(app.sharing()))).collect();
        self.capacity = Capacity::of(self.nodes.values().map(AsRef::as_ref));
        self.external = External::of(self.apps.values().map(AsRef::as_ref));
        self.lookups = Lookups::of(&self);
        self.count_chosen_service_ports();
        self.services = Services::of(self.apps.values().map(AsRef::as_ref));
        self
    }

    /// Takes note of an app that has another wanted definition, comes or goes.
    pub(crate) fn note_wanted(&mut self, before: Option<&AppSpec>, after: Option<&AppSpec>) {
        if !before.zip(after).is_some_and(|(before, after)| before.shares_all(after)) {
            self.external.replace(before, after);
            self.services.replace(before, after);
        }
    }

    /// The cluster's name; `ClusterId(0)` before it was founded.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The last applied entry.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The last applied entry's time by the members' wall clocks: for people, never to count by. It may go back.
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The last applied entry's moment: what every delay and every deadline is counted by. It never goes back.
    pub const fn moment(&self) -> Moment {
        self.moment
    }

    /// Every app, by id; also those that are being removed.
    pub fn apps(&self) -> impl DoubleEndedIterator<Item = &Arc<App>> {
        self.apps.values()
    }

    /// How many apps there are.
    pub fn n_apps(&self) -> usize {
        self.apps.len()
    }

    /// One app; also one that is being removed.
    pub fn app(&self, id: &AppId) -> Option<&Arc<App>> {
        self.apps.get(id)
    }

    /// The app that users see under this id: there and not being removed.
    pub fn live_app(&self, id: &AppId) -> Option<&Arc<App>> {
        self.apps.get(id).filter(|it| !it.removing)
    }

    /// Every instance, oldest first; also ended ones that were not yet confirmed removed.
    pub fn instances(&self) -> impl DoubleEndedIterator<Item = &Arc<Instance>> {
        self.instances.values()
    }

    /// How many instances there are.
    pub fn n_instances(&self) -> usize {
        self.instances.len()
    }

    /// One instance.
    pub fn instance(&self, id: InstanceId) -> Option<&Arc<Instance>> {
        self.instances.get(&id)
    }

    /// An app's instances, oldest first.
    pub fn instances_of<'a>(&'a self, app: &'a App) -> impl Iterator<Item = &'a Arc<Instance>> {
        app.instances.iter().inspect(|_| work::did(1)).filter_map(|it| self.instances.get(it))
    }

    /// A node's instances, oldest first.
    pub fn instances_on<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Arc<Instance>> {
        node.instances.iter().inspect(|_| work::did(1)).filter_map(|it| self.instances.get(it))
    }

    /// Every node, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// How many nodes there are.
    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// One node.
    pub fn node(&self, id: &NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(id)
    }

    /// When the next of the resting nodes has rested.
    pub(crate) fn next_trial(&self, now: Moment) -> Option<Moment> {
        let nodes = self.lookups.resting.iter().filter_map(|it| self.nodes.get(it));
        let rests = |it: &Arc<Node>| if let Trust::Rests(until) = it.trust(now) { Some(until) } else { None };
        nodes.filter_map(rests).min()
    }

    /// Every deployment that is under way or still remembered, oldest first.
    pub fn deployments(&self) -> impl DoubleEndedIterator<Item = &Arc<Deployment>> {
        self.deployments.values()
    }

    /// One deployment.
    pub fn deployment(&self, id: DeploymentId) -> Option<&Arc<Deployment>> {
        self.deployments.get(&id)
    }

    /// The deployments that are under way, oldest first.
    pub fn active_deployments(&self) -> impl Iterator<Item = &Arc<Deployment>> {
        self.active.iter().filter_map(|it| self.deployments.get(it))
    }

    /// How many deployments are under way.
    pub fn n_active_deployments(&self) -> usize {
        self.active.len()
    }

    /// What a deployment does to an app, while it holds it.
    pub fn change_of(&self, app: &App) -> Option<&crate::model::Change> {
        self.deployments.get(&app.deployment?)?.changes.get(&app.id)
    }

    /// The apps inside a group, at any depth, by id; also those that are being removed.
    pub fn apps_in(&self, group: &PathId) -> impl Iterator<Item = &Arc<App>> {
        let group = group.clone();
        self.apps.range(group.first_inside()..).map(|(_, it)| it).take_while(move |it| group.contains(it.id.as_str()))
    }

    /// The groups that somebody made and that are there, by path; not those that are only the path of an app.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values().filter(|it| it.current().is_some())
    }

    /// A group that somebody made, and that is there.
    pub fn group(&self, id: &PathId) -> Option<&Arc<Group>> {
        self.groups.get(id).filter(|it| it.current().is_some())
    }

    /// The groups inside a group, at any depth, that somebody made; also those that are remembered only.
    fn groups_in(&self, group: &PathId) -> impl Iterator<Item = &Arc<Group>> {
        let group = group.clone();
        let first = PathId::from(&group.first_inside());
        let there = self.groups.range(first..).map(|(_, it)| it);
        // The root is the first inside itself.
        there.skip_while(|it| it.id.is_root()).take_while(move |it| group.contains(it.id.as_str()))
    }

    /// Whether there is a group of this path: made by somebody, the path of one that is, or of an app.
    pub fn has_group(&self, id: &PathId) -> bool {
        let made_inside = || self.groups_in(id).any(|it| it.current().is_some());
        id.is_root() || self.group(id).is_some() || self.apps_in(id).any(|it| !it.removing) || made_inside()
    }

    /// The kept versions of the tree of groups and apps, oldest first.
    pub fn tree_versions(&self) -> impl DoubleEndedIterator<Item = Version> {
        self.tree.iter().copied()
    }

    /// Whether there was a group of this path at a version of the tree that is kept: made by somebody, the path of one
    /// that was, or of an app.
    pub fn had_group(&self, id: &PathId, version: Version) -> bool {
        let had_app = |it: &Arc<App>| self.was_there(it, version) && it.versions.get_prev(&version).is_some();
        let buried = || {
            let graves = self.graves.range(id.first_inside()..).take_while(|(app, _)| id.contains(app.as_str()));
            graves.into_iter().any(|(_, it)| buried_at(it, version).is_some())
        };
        self.tree.contains(&version)
            && (id.is_root()
                || self.groups_at(id, version).next().is_some()
                || self.apps_in(id).any(had_app)
                || buried())
    }

    /// The apps inside a group as they were at a version of the tree.
    pub fn apps_at(&self, group: &PathId, version: Version) -> Vec<Arc<AppVersion>> {
        let mut then: BTreeMap<AppId, Arc<AppVersion>> = BTreeMap::new();
        let graves = self.graves.range(group.first_inside()..);
        for (app, graves) in graves.take_while(|(app, _)| group.contains(app.as_str())) {
            if let Some(it) = buried_at(graves, version) {
                then.insert(app.clone(), Arc::clone(it));
            }
        }
        for app in self.apps_in(group) {
            if let Some((_, it)) = app.versions.get_prev(&version).filter(|_| self.was_there(app, version)) {
                then.insert(app.id.clone(), Arc::clone(it));
            }
        }
        then.into_values().collect()
    }

    /// Whether an app that has not gone yet had not been removed at a version of the tree.
    fn was_there(&self, app: &App, version: Version) -> bool {
        self.removed_in(app).is_none_or(|it| version < it)
    }

    /// When something last went from a group, of what is no longer remembered.
    pub fn last_removal(&self, group: &PathId) -> Option<Version> {
        self.removals.get(group).copied()
    }

    /// What was removed from inside a group, and in which version of the tree, as far as that is remembered.
    pub fn removals_in(&self, group: &PathId) -> impl Iterator<Item = (PathId, Version)> {
        let inside = group.clone();
        let graves =
            self.graves.range(group.first_inside()..).take_while(move |(app, _)| inside.contains(app.as_str()));
        let buried = graves.filter_map(|(app, it)| Some((PathId::from(app), it.get_max()?.0)));
        let going = self.apps_in(group).filter_map(|it| Some((PathId::from(&it.id), self.removed_in(it)?)));
        let groups = self.groups_in(group).filter(|it| it.current().is_none());
        let groups = groups.filter_map(|it| Some((it.id.clone(), it.versions.get_max()?.0)));
        buried.chain(going).chain(groups)
    }

    /// The version of the tree from which on an app that is still being removed is not there.
    fn removed_in(&self, app: &App) -> Option<Version> {
        self.deployment(app.deployment.filter(|_| app.removing)?).map(|it| it.version)
    }

    /// The groups that somebody had made by a version of the tree, this one or inside it, as they were then.
    pub fn groups_at(&self, group: &PathId, version: Version) -> impl Iterator<Item = (&PathId, &GroupSpec)> {
        let around = self.groups.get(group).into_iter().chain(self.groups_in(group));
        around.filter_map(move |it| Some((&it.id, it.at(version)?)))
    }

    /// Every reservation, oldest first.
    pub fn reservations(&self) -> impl Iterator<Item = &Arc<Reservation>> {
        self.reservations.values()
    }

    /// One reservation.
    pub fn reservation(&self, id: InstanceId) -> Option<&Arc<Reservation>> {
        self.reservations.get(&id)
    }

    /// The reservations on a node whose volumes are to be destroyed now.
    pub fn doomed_on<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = InstanceId> + 'a {
        let doomed = |it: &&Arc<Reservation>| it.doomed && it.holder.is_none();
        node.reservations.iter().filter_map(|it| self.reservations.get(it)).filter(doomed).map(|it| it.id)
    }

    /// What the operator has set.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether an instance's node was given up: it may run or not, and counts as neither.
    pub fn is_unreachable(&self, instance: &Instance) -> bool {
        !self.lookups.lost.is_empty() && self.lookups.lost.contains(&instance.node)
    }

    /// The definition an instance runs: of the version it was launched with, with the newest policy for it; absent
    /// once the app is gone.
    pub fn spec_of(&self, instance: &Instance) -> Option<Arc<AppSpec>> {
        let app = self.apps.get(&instance.app)?;
        let launched = app.versions.get(&instance.run)?;
        let AppSpec { id, instances, run, policy: _ } = &launched.spec;
        let policy = app.followed_by(instance)?.spec.policy.clone();
        let mut spec = AppSpec { id: id.clone(), instances: *instances, run: run.clone(), policy };
        if spec.run.image.is_empty() || spec.run.pod.is_some() {
            self.add_command_image(&mut spec.run);
        }
        Some(Arc::new(spec))
    }

    /// Gives an image to what names none. Nobody chose it for its entrypoint: what was said is the whole command.
    fn add_command_image(&self, run: &mut RunSpec) {
        for container in run.pod.iter_mut().flat_map(|it| &mut it.containers).filter(|it| it.image.is_empty()) {
            container.image.clone_from(&self.settings.command_image);
            if let Some(PodCommand::Argv { override_entrypoint, .. }) = &mut container.command {
                *override_entrypoint = true;
            }
        }
        if run.image.is_empty() {
            run.image.clone_from(&self.settings.command_image);
            if run.cmd.is_none() && !run.args.is_empty() {
                run.parameters.push(("entrypoint".to_owned(), run.args.remove(0)));
            }
        }
    }

    /// How long a new instance of this policy must have lived before it counts, milliseconds.
    pub fn min_live_ms(&self, policy: &Policy) -> u64 {
        let label = policy.labels.get(MIN_LIVE_LABEL).and_then(|it| it.parse::<u64>().ok());
        label.map_or(self.settings.min_live_ms, |it| it.saturating_mul(1000))
    }

    /// After how many failures of a health check in a row an instance of this policy leaves discovery.
    pub fn leave_after(&self, policy: &Policy) -> u32 {
        let label = policy.labels.get(LEAVE_AFTER_LABEL).and_then(|it| it.parse().ok());
        label.unwrap_or(self.settings.leave_after).max(1)
    }

    /// From the polite to the hard stop signal for an instance, milliseconds: what its app says now. Who asked for an
    /// end that is under way once more has no more patience than the default's.
    pub fn kill_grace_ms(&self, instance: &Instance) -> u64 {
        let given = self.apps.get(&instance.app).and_then(|it| it.current.spec.policy.kill_grace_ms);
        let grace_ms = given.unwrap_or(KILL_GRACE_MS);
        if instance.hurried { grace_ms.min(KILL_GRACE_MS) } else { grace_ms }
    }

    /// What an instance's agent shall do.
    pub fn assignment(&self, instance: &Instance) -> Assignment {
        let stop = instance.goal != Goal::Run;
        let followed = self.apps.get(&instance.app).and_then(|it| it.followed_by(instance));
        let policy = followed.map(|it| &it.spec.policy);
        Assignment {
            instance: instance.id,
            app: instance.app.clone(),
            version: instance.version,
            ports: instance.ports.clone(),
            stop,
            started: instance.is_running() || instance.has_ended(),
            kill_grace_ms: self.kill_grace_ms(instance),
            min_live_ms: policy.map_or(0, |it| self.min_live_ms(it)),
            leave_after: policy.map_or(1, |it| self.leave_after(it)),
            reservation: instance.reservation,
            policy: followed.map_or_else(Version::default, |it| it.configured),
            spec: if stop { None } else { self.spec_of(instance) },
        }
    }
}

/// What a deleted app was at a version of the tree, if it was there.
fn buried_at(graves: &OrdMap<Version, Arc<Grave>>, version: Version) -> Option<&Arc<AppVersion>> {
    let (_, grave) = graves.iter().find(|(removed, _)| **removed > version)?;
    grave.versions.get_prev(&version).map(|(_, it)| it)
}

impl App {
    /// The version that its instances are brought to now: the wanted one, or the one it stays at while its deployment
    /// has not come to it. Absent: it has none yet.
    pub fn aim(&self) -> Option<&Arc<AppVersion>> {
        match self.held {
            None => Some(&self.current),
            Some(held) => self.versions.get(&held.at?),
        }
    }

    /// The attributes by which its instances are counted, constraint by constraint.
    pub(crate) fn counted_fields(&self) -> impl Iterator<Item = &str> {
        let constraints = &self.aim().unwrap_or(&self.current).spec.policy.constraints;
        constraints.iter().filter(|it| it.is_counted() && !it.is_by_name()).map(|it| it.field.as_str())
    }

    /// Whether a deployment replaces its out-of-date instances now. Otherwise every instance is as good as another:
    /// nobody has asked for it, it was cancelled, or it is not the app's turn.
    pub const fn is_turning(&self) -> bool {
        self.deployment.is_some() && self.held.is_none()
    }

    /// Whether an instance runs what is aimed at.
    pub fn is_current(&self, instance: &Instance) -> bool {
        self.aim().is_some_and(|it| instance.run == it.run)
    }

    /// The version whose policy an instance follows: of those that have its content, the one aimed at, or the newest;
    /// but what health checks ask it stays the same until it is told otherwise.
    pub fn followed_by(&self, instance: &Instance) -> Option<&Arc<AppVersion>> {
        let newest = self.newest_for(instance)?;
        let told = self.versions.get(&instance.follows).filter(|it| it.run == instance.run && !it.asks_as(newest));
        let Some(told) = told else { return Some(newest) };
        self.versions.values().rev().find(|it| it.run == instance.run && it.asks_as(told))
    }

    /// Whether an instance is yet to be told by which health checks the version aimed at judges it.
    pub fn is_behind(&self, instance: &Instance) -> bool {
        let newest = self.newest_for(instance).map(|it| it.version);
        self.followed_by(instance).map(|it| it.version) != newest
    }

    fn newest_for(&self, instance: &Instance) -> Option<&Arc<AppVersion>> {
        let aim = self.aim().filter(|it| instance.run == it.run);
        let newest = || {
            let launched = self.versions.get(&instance.run);
            let held_back = |it: &&Arc<AppVersion>| it.run == instance.run;
            self.versions.values().rev().find(held_back).or(launched)
        };
        aim.or_else(newest)
    }

    /// Since when an instance has been running, healthy by what it is judged by, and ready. Absent: it is not.
    pub fn good_since(&self, instance: &Instance) -> Option<Moment> {
        let (checked, asked) = self.asks(instance);
        instance.good_since(checked, asked)
    }

    /// Whether an instance must be healthy, and ready, to be good.
    pub(crate) fn asks(&self, instance: &Instance) -> (bool, bool) {
        let asked = self.followed_by(instance).is_some_and(|it| !it.spec.policy.readiness_checks.is_empty());
        (self.is_checked(instance), asked)
    }

    /// Whether an instance serves: running, and healthy where the version that it is judged by has health checks.
    pub fn is_served_by(&self, instance: &Instance) -> bool {
        instance.is_serving(self.is_checked(instance))
    }

    /// Whether the version that an instance is judged by has health checks.
    fn is_checked(&self, instance: &Instance) -> bool {
        let judge = self.versions.get(&instance.judged_by).filter(|it| it.run == instance.run);
        judge.or_else(|| self.followed_by(instance)).is_some_and(|it| !it.spec.policy.health_checks.is_empty())
    }

    /// Whether an instance is judged by what the version aimed at asks.
    pub fn is_judged_as_wanted(&self, instance: &Instance) -> bool {
        !self.is_behind(instance) && self.is_judged(instance)
    }

    /// Whether what is known of an instance's health is the answer to what the version that it follows asks; where
    /// nobody can say any more what was asked, it is.
    pub fn is_judged(&self, instance: &Instance) -> bool {
        let Some(asked) = self.versions.get(&instance.judged_by) else { return true };
        self.followed_by(instance).is_none_or(|it| it.asks_as(asked))
    }

    /// Whether an instance is ready to take an old one's place, as far as its readiness check is concerned.
    pub fn is_ready(&self, instance: &Instance) -> bool {
        instance.readiness.ready
            || self.followed_by(instance).is_none_or(|it| it.spec.policy.readiness_checks.is_empty())
    }

    /// Whether the wanted version has health checks.
    pub fn has_checks(&self) -> bool {
        !self.current.spec.policy.health_checks.is_empty()
    }
}

impl AppVersion {
    /// Whether the health checks of both ask the same.
    fn asks_as(&self, other: &Self) -> bool {
        let [ours, theirs] = [self, other].map(|it| it.spec.policy.health_checks.iter().map(HealthCheck::question));
        ours.eq(theirs)
    }

    /// How many instances an update must leave healthy, and how many it may have at once (`docs/marathon.md`, Upgrade
    /// strategy). A resident app never has more than wanted: an old instance goes before its successor comes.
    pub fn limits(&self) -> (u32, u32) {
        let (n, upgrade) = (self.spec.instances, self.spec.policy.upgrade);
        if self.spec.is_resident() {
            return (upgrade.min_healthy(n).min(n.saturating_sub(1)), n);
        }
        (upgrade.min_healthy(n), upgrade.max_running(n))
    }

    /// How many host ports an instance takes.
    pub fn n_host_ports(&self) -> usize {
        self.spec.run.host_ports().count()
    }
}

//! Apps: put, restarted, removed, rolled back; and how a deployment of such changes is opened.

use super::{Changing, KEPT_TREE_VERSIONS, KEPT_VERSIONS};
use crate::command::{Expect, Rejected};
use crate::event::Event;
use crate::external::exclusive;
use crate::layers::{self, Overlay};
use crate::model::{
    App, AppId, AppSpec, AppVersion, Backoff, Change, Closeness, Deployment, DeploymentId, Grave, Group, GroupSpec,
    Held, Instance, Outcome, PathId, Policy, Version, Volume,
};
use imbl::{OrdMap, OrdSet};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The label by which an app says how long its deployments may go without progress, in seconds.
pub const DEADLINE_LABEL: &str = "EKIDEN_DEPLOYMENT_DEADLINE";

/// The label by which an app says whether its failed deployments are rolled back: `true` or `false`.
pub const ROLLBACK_LABEL: &str = "EKIDEN_DEPLOYMENT_ROLLBACK";

/// Service ports are chosen from here; Marathon's `local_port_min` and `local_port_max`.
pub(super) const SERVICE_PORTS: Range<u16> = 10_000..20_000;

/// What a deployment makes of one app.
pub(super) enum Target {
    /// This content. With a run version: instances that run it stay; without: those of equal content do.
    Spec(Box<AppSpec>, Option<Version>),
    /// The same content, in new instances.
    Restart(AppId),
    /// Nothing: the app goes.
    Removed(AppId),
}

impl Target {
    pub(super) fn app(&self) -> &AppId {
        match self {
            Self::Spec(spec, _) => &spec.id,
            Self::Restart(app) | Self::Removed(app) => app,
        }
    }
}

/// What a deployment makes of apps and groups.
#[derive(Default)]
pub(super) struct Targets {
    pub(super) apps: Vec<Target>,
    /// Absent: the group goes.
    pub(super) groups: Vec<(PathId, Option<GroupSpec>)>,
    /// They undo what another deployment did: when that fails as well, nobody goes back once more.
    pub(super) undo: bool,
}

impl Targets {
    pub(super) fn of(apps: Vec<Target>) -> Self {
        Self { apps, ..Self::default() }
    }
}

/// What a deployment takes over from those that it supersedes.
#[derive(Default)]
struct Inherited {
    /// Changes that are not done.
    changes: Vec<(AppId, Change)>,
    /// What their apps are brought to now; absent: nothing yet.
    aims: BTreeMap<AppId, Option<Version>>,
}

impl Changing<'_> {
    pub(super) fn put_apps(&mut self, apps: Vec<(AppSpec, Expect)>, force: bool) -> Result<(), Rejected> {
        for (spec, expect) in &apps {
            self.check_expectation(&spec.id, *expect)?;
        }
        self.deploy(Targets::of(apps.into_iter().map(|(spec, _)| Target::Spec(Box::new(spec), None)).collect()), force)
    }

    pub(super) fn restart_app(&mut self, app: &AppId, force: bool) -> Result<(), Rejected> {
        self.live_app(app)?;
        self.deploy(Targets::of(vec![Target::Restart(app.clone())]), force)
    }

    pub(super) fn remove_app(&mut self, app: &AppId, force: bool) -> Result<(), Rejected> {
        self.live_app(app)?;
        self.deploy(Targets::of(vec![Target::Removed(app.clone())]), force)
    }

    pub(super) fn roll_back(&mut self, id: DeploymentId) -> Result<(), Rejected> {
        let deployment = self.active(id)?;
        let targets = self.undoing(&deployment)?;
        let by = self.next_deployment();
        self.revert(&deployment, targets, by, Outcome::RolledBack { by });
        Ok(())
    }

    /// What undoes only what the deployment changes: what it created goes, what it changed gets its old content back,
    /// and instances that still run that content stay. What another deployment has changed since stays as well.
    ///
    /// # Errors
    /// If what it deleted cannot come back, because others have taken its path or its external volume.
    pub(super) fn undoing(&self, deployment: &Deployment) -> Result<Targets, Rejected> {
        let id = deployment.id;
        let own = deployment.changes.iter().filter(|(_, it)| !it.carried);
        let targets = own.filter_map(|(app, change)| {
            let still_ours = |it: &&Arc<App>| {
                it.deployment.is_none_or(|holder| holder == id)
                    && change.to.map_or(it.removing, |to| !it.removing && it.current.version == to)
            };
            let Some(record) = self.state.apps.get(app) else {
                // It was deleted, and nobody has made a new one.
                let grave = self.state.graves.get(app)?.get(&deployment.version)?;
                let before = grave.versions.get(&change.from?)?;
                return Some(Target::Spec(Box::new(before.spec.clone()), None));
            };
            let record = Some(record).filter(still_ours)?;
            Some(match change.from {
                None => Target::Removed(app.clone()),
                Some(version) => {
                    let before = record.versions.get(&version)?;
                    Target::Spec(Box::new(before.spec.clone()), Some(before.run))
                }
            })
        });
        let mut targets = Targets { undo: true, ..Targets::of(targets.collect()) };
        let unchanged_since = |path: &PathId| {
            self.state
                .groups
                .get(path)
                .and_then(|it| it.versions.get_max())
                .is_some_and(|it| it.0 == deployment.version)
        };
        targets.groups = deployment.groups.iter().filter(|(path, _)| unchanged_since(path)).cloned().collect();
        self.check_paths(&targets)?;
        self.check_external_volumes(&targets)?;
        Ok(targets)
    }

    /// Ends the deployment by a new one with these targets.
    pub(super) fn revert(&mut self, deployment: &Deployment, targets: Targets, by: DeploymentId, outcome: Outcome) {
        let changes: Vec<_> = self.unfinished(deployment).into_iter().filter(|(_, it)| it.carried).collect();
        let inherited = Inherited { aims: self.aims_of(deployment), changes };
        self.end_deployment(deployment.id, outcome);
        // What was there before had no cycle, unless others have made one since: then there is no order to keep.
        let steps = self.steps(&targets, &inherited.changes).unwrap_or_default();
        self.deploy_as(by, targets, inherited, &steps);
    }

    /// Ends a deployment where it stands: an app that it was removing stays.
    pub(super) fn cancel(&mut self, id: DeploymentId) -> Result<(), Rejected> {
        let deployment = self.active(id)?;
        let changed = deployment.changes.keys().filter_map(|it| self.state.apps.get(it));
        let staying: Vec<Arc<App>> = changed.filter(|it| it.removing && it.deployment == Some(id)).cloned().collect();
        let spec = |it: &Arc<App>| Target::Spec(Box::new(it.current.spec.clone()), None);
        let targets = Targets::of(staying.iter().map(spec).collect());
        self.check_paths(&targets)?;
        self.check_external_volumes(&targets)?;
        for app in staying {
            self.put_app(App { removing: false, ..App::clone(&app) });
        }
        self.end_deployment(id, Outcome::Cancelled);
        Ok(())
    }

    pub(super) fn scale_down_by(&mut self, victims: &[Arc<Instance>], force: bool) -> Result<(), Rejected> {
        let mut by_app: BTreeMap<&AppId, u32> = BTreeMap::new();
        for victim in victims {
            *by_app.entry(&victim.app).or_default() += 1;
        }
        let targets = by_app.into_iter().filter_map(|(app, n)| {
            let app = self.state.live_app(app)?;
            let mut spec = app.current.spec.clone();
            spec.instances = spec.instances.saturating_sub(n);
            Some(Target::Spec(Box::new(spec), Some(app.current.run)))
        });
        let targets = targets.collect();
        self.deploy(Targets::of(targets), force)
    }

    pub(super) fn active(&self, id: DeploymentId) -> Result<Arc<Deployment>, Rejected> {
        let active = self.state.deployments.get(&id).filter(|it| it.is_active());
        active.cloned().ok_or(Rejected::NoDeployment { deployment: id })
    }

    fn check_expectation(&self, id: &AppId, expect: Expect) -> Result<(), Rejected> {
        let there = self.state.apps.get(id);
        match expect {
            Expect::Absent if there.is_some_and(|it| !it.removing) => Err(Rejected::Exists { app: id.clone() }),
            Expect::Any | Expect::Absent => Ok(()),
            Expect::Version(version) if there.is_some_and(|it| !it.removing && it.current.version == version) => Ok(()),
            Expect::Version(_) if there.is_none_or(|it| it.removing) => Err(Rejected::NoApp { app: id.clone() }),
            Expect::Version(_) => Err(Rejected::Changed { app: id.clone() }),
        }
    }

    /// An app's path is not a group's: no app inside another, none where a group is.
    fn check_paths(&self, targets: &Targets) -> Result<(), Rejected> {
        let given: BTreeSet<&AppId> =
            targets.apps.iter().filter(|it| !matches!(it, Target::Removed(_))).map(Target::app).collect();
        let removed: BTreeSet<&AppId> =
            targets.apps.iter().filter(|it| matches!(it, Target::Removed(_))).map(Target::app).collect();
        let there = |it: &AppId| !removed.contains(it) && (given.contains(it) || self.state.live_app(it).is_some());
        let is_group = |it: &PathId| match targets.groups.iter().find(|(path, _)| path == it) {
            Some((_, spec)) => spec.is_some(),
            None => self.state.group(it).is_some(),
        };
        for target in &targets.apps {
            if let Target::Spec(spec, _) = target
                && let Some(app) = self.state.live_app(&spec.id)
                && app.current.spec.run.pod.is_some() != spec.run.pod.is_some()
            {
                let there = if spec.run.pod.is_some() { "an app" } else { "a pod" };
                return Err(Rejected::OtherKind { path: PathId::from(&spec.id), there });
            }
        }
        for app in given.iter().filter(|it| self.state.live_app(it).is_none()) {
            let path = PathId::from(*app);
            let around = path.ancestors().filter(|it| !it.is_root()).map(|it| it.as_app()).find(|it| there(it));
            let inside =
                given.range(path.first_inside()..).find(|it| path.contains(it.as_str())).map(|it| (*it).clone());
            let inside = inside.or_else(|| {
                self.state.apps_in(&path).find(|it| !it.removing && !removed.contains(&it.id)).map(|it| it.id.clone())
            });
            if let Some(other) = around.or(inside) {
                return Err(Rejected::Nested { app: (*app).clone(), other });
            }
            if is_group(&path) {
                return Err(Rejected::PathIsGroup { path });
            }
        }
        for (path, spec) in &targets.groups {
            let mut around = std::iter::once(path.clone()).chain(path.ancestors()).filter(|it| !it.is_root());
            if spec.is_some()
                && let Some(path) = around.find(|it| there(&it.as_app()))
            {
                return Err(Rejected::PathIsApp { path });
            }
        }
        Ok(())
    }

    fn check_service_ports(&self, targets: &Targets) -> Result<(), Rejected> {
        let has = |spec: &AppSpec, n: usize| {
            kept_service_port(spec, self.state.apps.get(&spec.id).map(AsRef::as_ref), n).is_some()
        };
        let open = |it: &Target| match it {
            Target::Spec(spec, _) if spec.run.pod.is_none() => {
                let ports = spec.run.ports.iter().enumerate();
                ports.filter(|(n, port)| port.service_port == 0 && !has(spec, *n)).count()
            }
            Target::Spec(..) | Target::Restart(_) | Target::Removed(_) => 0,
        };
        let wanted: usize = targets.apps.iter().map(open).sum();
        let taken = self.state.service_ports.range(SERVICE_PORTS).count();
        if taken + wanted > SERVICE_PORTS.len() { Err(Rejected::NoServicePort) } else { Ok(()) }
    }

    /// Persistent volumes stay what they are while data is kept, also that of an app that is still being deleted.
    fn check_persistent_volumes(&self, targets: &Targets) -> Result<(), Rejected> {
        for target in &targets.apps {
            let Target::Spec(spec, _) = target else { continue };
            let app = self.state.apps.get(&spec.id);
            let kept = |it: &AppSpec| -> Vec<Volume> {
                it.run.volumes.iter().filter(|it| matches!(it, Volume::Persistent(_))).cloned().collect()
            };
            let Some(app) = app.filter(|it| !it.reservations.is_empty()) else { continue };
            let (now, wanted) = (kept(&app.current.spec), kept(spec));
            // A rollback may have taken the volumes away, and left the data: they can come back as they were.
            let before = || app.versions.values().rev().map(|it| kept(&it.spec)).find(|it| !it.is_empty());
            if now != wanted && !(now.is_empty() && before().as_ref() == Some(&wanted)) {
                return Err(Rejected::Resident { app: spec.id.clone(), what: "they" });
            }
        }
        Ok(())
    }

    /// An external volume has one app, unless it is shared.
    fn check_external_volumes(&self, targets: &Targets) -> Result<(), Rejected> {
        // Those that are changed as well keep what their targets say.
        let changed: BTreeSet<&AppId> =
            targets.apps.iter().filter(|it| !matches!(it, Target::Restart(_))).map(Target::app).collect();
        let mut taken: BTreeMap<&str, &AppId> = BTreeMap::new();
        for target in &targets.apps {
            let Target::Spec(spec, _) = target else { continue };
            for volume in exclusive(spec) {
                let mut others = self.state.external.holders(volume).filter(|it| !changed.contains(it));
                let other = taken.insert(volume, &spec.id).filter(|it| **it != spec.id).or_else(|| others.next());
                if let Some(other) = other {
                    return Err(Rejected::VolumeTaken { volume: volume.to_owned(), app: other.clone() });
                }
            }
        }
        Ok(())
    }

    /// Opens a deployment, after the check that nobody else holds its apps.
    pub(super) fn deploy(&mut self, targets: Targets, force: bool) -> Result<(), Rejected> {
        self.check_paths(&targets)?;
        self.check_persistent_volumes(&targets)?;
        self.check_external_volumes(&targets)?;
        self.check_service_ports(&targets)?;
        let held = targets.apps.iter().filter_map(|it| Some((it, self.state.apps.get(it.app())?.deployment?)));
        let holders: BTreeSet<DeploymentId> = held.filter(|it| self.is_change(it.0)).map(|it| it.1).collect();
        if !holders.is_empty() && !force {
            return Err(Rejected::Locked { deployments: holders.into_iter().collect() });
        }
        let max = self.state.settings.max_deployments;
        if self.state.active.len() >= max as usize && !force {
            return Err(Rejected::TooManyDeployments { max });
        }
        let mut inherited = Inherited::default();
        for holder in holders.iter().filter_map(|it| self.state.deployments.get(it)) {
            inherited.changes.extend(self.unfinished(holder));
            inherited.aims.extend(self.aims_of(holder));
        }
        let steps = self.steps(&targets, &inherited.changes)?;
        let id = self.next_deployment();
        for holder in holders {
            self.end_deployment(holder, Outcome::Superseded { by: id });
        }
        self.deploy_as(id, targets, inherited, &steps);
        Ok(())
    }

    /// Whether the target is not what is wanted of its app already: only then its deployment is in the way.
    fn is_change(&self, target: &Target) -> bool {
        let Target::Spec(spec, run) = target else { return true };
        let Some(app) = self.state.live_app(&spec.id) else { return true };
        let mut spec = AppSpec::clone(spec);
        if spec.run.pod.is_none() && !keep_service_ports(&mut spec, Some(app)) {
            return true;
        }
        let version = self.now();
        let run = run.or_else(|| self.run_of(app, &spec)).unwrap_or(version);
        Self::next_version(Some(app), spec, run, version).is_some()
    }

    /// What a deployment has still to do: whoever takes over from it does that too, or an accepted change would be
    /// left half done, with nobody to finish it.
    fn unfinished(&self, holder: &Deployment) -> Vec<(AppId, Change)> {
        let held = |app: &AppId| self.state.apps.get(app).is_some_and(|app| app.deployment == Some(holder.id));
        let open = holder.changes.iter().filter(|(app, it)| !it.settled && held(app));
        open.map(|(app, it)| (app.clone(), it.clone())).collect()
    }

    /// What the apps that a deployment holds are brought to now.
    fn aims_of(&self, holder: &Deployment) -> BTreeMap<AppId, Option<Version>> {
        let held = holder.changes.keys().filter_map(|it| self.state.apps.get(it));
        let held = held.filter(|it| it.deployment == Some(holder.id));
        held.map(|it| (it.id.clone(), it.aim().map(|it| it.version))).collect()
    }

    /// In which step each app's turn comes, from 1; removals come first of all.
    fn steps(&self, targets: &Targets, carried: &[(AppId, Change)]) -> Result<BTreeMap<AppId, u32>, Rejected> {
        let mut overlay = Overlay::default();
        for (app, change) in carried {
            if let Some(record) = self.state.apps.get(app) {
                let spec = change.to.map(|_| record.current.spec.policy.dependencies.as_slice());
                overlay.apps.insert(app.clone(), spec);
            }
        }
        for target in &targets.apps {
            let dependencies = match target {
                Target::Spec(spec, _) => Some(spec.policy.dependencies.as_slice()),
                Target::Restart(app) => {
                    self.state.apps.get(app).map(|it| it.current.spec.policy.dependencies.as_slice())
                }
                Target::Removed(_) => None,
            };
            overlay.apps.insert(target.app().clone(), dependencies);
        }
        overlay.groups = targets.groups.iter().map(|(path, spec)| (path.clone(), spec.as_ref())).collect();
        let depths = layers::depths(self.state, &overlay).map_err(|layers::Cycle| Rejected::Cyclic)?;
        Ok(overlay.apps.keys().map(|it| (it.clone(), depths.get(it).map_or(0, |depth| depth + 1))).collect())
    }

    /// Opens a deployment for what these targets change, and for what is carried over from others and not changed
    /// again.
    fn deploy_as(&mut self, id: DeploymentId, targets: Targets, inherited: Inherited, steps: &BTreeMap<AppId, u32>) {
        let latest = targets.apps.iter().filter_map(|it| self.state.apps.get(it.app())).map(|it| it.current.version);
        let latest = latest.chain(self.state.tree.get_max().copied()).max();
        let version = latest.map_or(self.now(), |it| self.now().max(it.plus_ms(1)));
        let aims = inherited.aims;
        let retargeted = targets.apps.into_iter().filter_map(|it| self.retarget(it, id, version, &aims));
        let mut changes: OrdMap<AppId, Change> = retargeted.collect();
        let changed = !changes.is_empty();
        for (app, change) in inherited.changes {
            if let Some(record) = self.state.apps.get(&app).filter(|_| !changes.contains_key(&app)) {
                // One that is on its way to this very version goes on.
                let held = held_at(record.removing, aims.get(&app), record.current.version);
                let held = Some(held).filter(|it| it.at != Some(record.current.version));
                self.put_app(App { deployment: Some(id), held, ..App::clone(record) });
                changes.insert(app, Change { carried: true, closeness: Closeness::default(), ..change });
            }
        }
        let groups = self.regroup(targets.groups, version);
        number(&mut changes, steps);
        let unchanged = changes.is_empty();
        if !unchanged || !groups.is_empty() {
            self.remember_tree(version);
        }
        let (deadline_ms, rolls_back) = self.patience(&changes);
        let deployment = Deployment {
            id,
            version,
            changes,
            groups,
            step: 0,
            open: 0,
            progress_at: self.now(),
            deadline_ms,
            rolls_back: rolls_back && !targets.undo,
            outcome: None,
            ended_at: None,
        };
        self.applied.deployment = Some(id);
        if changed || !deployment.groups.is_empty() || self.applied.version.is_none() {
            self.applied.version = Some(version);
        }
        self.state.active.insert(id);
        let deployment = self.next_step(deployment);
        self.event(Event::DeploymentStarted { deployment });
        if unchanged {
            self.end_deployment(id, Outcome::Succeeded);
        }
    }

    /// Goes on to the deployment's next step: the apps whose turn it is are no longer held.
    pub(super) fn next_step(&mut self, mut deployment: Deployment) -> Arc<Deployment> {
        deployment.step += 1;
        deployment.progress_at = self.now();
        let turn = deployment.changes.iter().filter(|(_, it)| it.step == deployment.step && !it.settled);
        let turn: Vec<(AppId, bool)> = turn.map(|(app, it)| (app.clone(), it.replaces)).collect();
        deployment.open = turn.len() as u32;
        for (app, replaces) in turn {
            if let Some(app) = self.state.apps.get(&app).filter(|it| it.held.is_some()) {
                // What it was till now may have failed; what it is now has not.
                let backoff = if replaces { Backoff::default() } else { app.backoff };
                self.put_app(App { held: None, backoff, ..App::clone(app) });
            }
        }
        let deployment = Arc::new(deployment);
        self.state.deployments.insert(deployment.id, Arc::clone(&deployment));
        deployment
    }

    /// How long the deployment may go without progress, and whether it is rolled back then: what the changed apps
    /// say, the least patient one of those that say something, or the operator.
    fn patience(&self, changes: &OrdMap<AppId, Change>) -> (u64, bool) {
        let policies: Vec<&Policy> = changes
            .keys()
            .filter_map(|it| self.state.apps.get(it))
            .map(|it| &it.current.spec.policy)
            .filter(|it| it.labels.contains_key(DEADLINE_LABEL) || it.labels.contains_key(ROLLBACK_LABEL))
            .collect();
        let seconds = |it: &&Policy| it.labels.get(DEADLINE_LABEL)?.parse::<u64>().ok();
        let given: Vec<u64> = policies.iter().filter_map(seconds).collect();
        let deadline_ms = match given.iter().filter(|it| **it > 0).min() {
            Some(least) => least.saturating_mul(1000),
            None if given.is_empty() => self.state.settings.deployment_deadline_ms,
            None => 0,
        };
        let said = |text: &str| policies.iter().any(|it| it.labels.get(ROLLBACK_LABEL).is_some_and(|it| it == text));
        (deadline_ms, said("true") || (self.state.settings.deployment_rollback && !said("false")))
    }

    /// Takes the groups' new content; returns what they were.
    fn regroup(
        &mut self,
        groups: Vec<(PathId, Option<GroupSpec>)>,
        version: Version,
    ) -> Vec<(PathId, Option<GroupSpec>)> {
        let mut changed = Vec::new();
        for (path, spec) in groups {
            let record = self.state.groups.get(&path);
            let before = record.and_then(|it| it.current().cloned());
            if before == spec || (path.is_root() && spec.is_none()) {
                continue;
            }
            let mut versions = record.map(|it| it.versions.clone()).unwrap_or_default();
            // Of those from before the oldest kept version of the tree only the last is in one.
            let oldest = self.state.tree.get_min().and_then(|it| versions.get_prev(it)).map(|it| *it.0);
            versions = oldest.map_or(versions.clone(), |it| versions.into_iter().filter(|(at, _)| *at >= it).collect());
            versions.insert(version, spec);
            self.state.groups.insert(path.clone(), Arc::new(Group { id: path.clone(), versions }));
            self.event(Event::GroupChanged { group: path.clone(), version });
            changed.push((path, before));
        }
        changed
    }

    /// Remembers a new version of the tree, and forgets what only forgotten ones need.
    fn remember_tree(&mut self, version: Version) {
        self.state.tree.insert(version);
        if self.state.tree.len() <= KEPT_TREE_VERSIONS {
            return;
        }
        self.state.tree.remove_min();
        let Some(oldest) = self.state.tree.get_min().copied() else { return };
        let outdated = |(_, graves): &(&AppId, &OrdMap<Version, Arc<Grave>>)| {
            graves.get_min().is_some_and(|(removed, _)| *removed <= oldest)
        };
        let outdated: Vec<AppId> = self.state.graves.iter().filter(outdated).map(|(app, _)| app.clone()).collect();
        for app in outdated {
            let kept = self.state.graves.get(&app).map(|it| it.split(&oldest).1).unwrap_or_default();
            if kept.is_empty() {
                self.state.graves.remove(&app);
            } else {
                self.state.graves.insert(app, kept);
            }
        }
        let gone = |it: &&Arc<Group>| it.versions.get_max().is_some_and(|(at, spec)| spec.is_none() && *at <= oldest);
        let gone: Vec<PathId> = self.state.groups.values().filter(gone).map(|it| it.id.clone()).collect();
        for group in gone {
            self.state.groups.remove(&group);
        }
    }

    /// Makes one app's wanted version the target; nothing if it is so already.
    fn retarget(
        &mut self,
        target: Target,
        deployment: DeploymentId,
        version: Version,
        aims: &BTreeMap<AppId, Option<Version>>,
    ) -> Option<(AppId, Change)> {
        let before = self.state.apps.get(target.app()).map(Arc::clone);
        let from = before.as_ref().filter(|it| !it.removing).map(|it| it.current.version);
        let change = |from, to, pod, replaces| Change {
            from,
            to,
            pod,
            replaces,
            carried: false,
            step: 0,
            settled: false,
            closeness: Closeness::default(),
        };
        let (spec, run) = match target {
            Target::Removed(id) => {
                let app = before?;
                let from = Some(app.current.version);
                self.put_app(App { removing: true, held: None, deployment: Some(deployment), ..App::clone(&app) });
                return Some((id, change(from, None, app.current.spec.run.pod.is_some(), false)));
            }
            Target::Restart(_) => (before.as_ref()?.current.spec.clone(), Some(version)),
            Target::Spec(spec, run) => (*spec, run),
        };
        let spec = self.with_service_ports(spec, before.as_deref());
        let run = run.unwrap_or_else(|| before.as_deref().and_then(|it| self.run_of(it, &spec)).unwrap_or(version));
        let next = Self::next_version(before.as_deref(), spec, run, version);
        let Some(next) = next else {
            self.applied.version = before.map(|it| it.current.version);
            return None;
        };
        let next = Arc::new(next);
        let replaces = before.as_ref().is_some_and(|it| it.current.run != next.run);
        let same_definition = before.as_ref().filter(|it| it.current.configured == next.configured);
        let held = match &before {
            Some(before) => held_at(before.removing, aims.get(&before.id), before.current.version),
            None => Held { at: None },
        };
        let app = App {
            id: next.spec.id.clone(),
            versions: before
                .as_ref()
                .map_or_else(OrdMap::new, |it| it.versions.clone())
                .update(version, Arc::clone(&next)),
            current: Arc::clone(&next),
            instances: before.as_ref().map_or_else(OrdSet::new, |it| it.instances.clone()),
            reservations: before.as_ref().map_or_else(OrdSet::new, |it| it.reservations.clone()),
            deployment: Some(deployment),
            held: Some(held),
            removing: false,
            backoff: same_definition.map_or_else(Backoff::default, |it| it.backoff),
            last_failure: before.as_ref().and_then(|it| it.last_failure.clone()),
        };
        self.count_service_ports(before.as_deref(), Some(&next.spec));
        let id = app.id.clone();
        let app = self.without_old_versions(app);
        self.put_app(app);
        let pod = next.spec.run.pod.is_some();
        self.event(Event::AppPut { version: next, created: from.is_none() });
        Some((id, change(from, Some(version), pod, replaces)))
    }

    /// The run version whose instances are already what the spec wants: the wanted one, or another that still has
    /// instances. So a return to an earlier version keeps what is left of it.
    fn run_of(&self, app: &App, spec: &AppSpec) -> Option<Version> {
        if app.current.spec.run == spec.run {
            let restart = self.state.settings.restart_on_policy_change && app.current.spec.policy != spec.policy;
            return (!restart).then_some(app.current.run);
        }
        let running: BTreeSet<Version> =
            self.state.instances_of(app).filter(|it| it.is_wanted()).map(|it| it.run).collect();
        let same = |it: &Version| app.versions.get(it).is_some_and(|version| version.spec.run == spec.run);
        running.into_iter().rev().find(same)
    }

    /// The app's next version; none if nothing changes.
    fn next_version(before: Option<&App>, spec: AppSpec, run: Version, version: Version) -> Option<AppVersion> {
        let Some(app) = before else {
            return Some(AppVersion { version, run, configured: version, scaled: version, spec });
        };
        let old = &app.current;
        let redefined = spec.run != old.spec.run || spec.policy != old.spec.policy;
        // As in Marathon, a new definition counts as a new number too; a restart does not.
        let scaled = redefined || spec.instances != old.spec.instances;
        let configured = redefined || run != old.run;
        if !scaled && !configured && !app.removing {
            return None;
        }
        Some(AppVersion {
            version,
            run,
            configured: if configured { version } else { old.configured },
            scaled: if scaled { version } else { old.scaled },
            spec,
        })
    }

    /// Chooses the service ports that were left to the cluster; an app keeps those it had.
    fn with_service_ports(&mut self, mut spec: AppSpec, before: Option<&App>) -> AppSpec {
        if spec.run.pod.is_some() {
            // Pods' endpoints have none.
            return spec;
        }
        if !keep_service_ports(&mut spec, before) {
            for port in spec.run.ports.iter_mut().filter(|it| it.service_port == 0) {
                port.service_port = self.free_service_port();
            }
        }
        spec
    }

    /// The next free service port, which is then held. `check_service_ports` made sure that there is one.
    fn free_service_port(&mut self) -> u16 {
        let start = self.state.next_service_port.clamp(SERVICE_PORTS.start, SERVICE_PORTS.end - 1);
        let mut candidates = (start..SERVICE_PORTS.end).chain(SERVICE_PORTS.start..start);
        let port = candidates.find(|it| !self.state.service_ports.contains_key(it)).unwrap_or(start);
        self.state.next_service_port = port + 1;
        // Held with no user yet, so that the next port of the same app gets another one.
        self.state.service_ports.insert(port, 0);
        port
    }

    /// Moves the counts of held service ports from an app's old wanted version to its new one.
    pub(super) fn count_service_ports(&mut self, before: Option<&App>, after: Option<&AppSpec>) {
        for port in after.into_iter().flat_map(|it| &it.run.ports).filter(|it| it.service_port != 0) {
            *self.state.service_ports.entry(port.service_port).or_default() += 1;
        }
        for port in before.into_iter().flat_map(|it| &it.current.spec.run.ports).filter(|it| it.service_port != 0) {
            let left = self.state.service_ports.get(&port.service_port).copied().unwrap_or_default().saturating_sub(1);
            if left == 0 {
                self.state.service_ports.remove(&port.service_port);
            } else {
                self.state.service_ports.insert(port.service_port, left);
            }
        }
    }

    fn without_old_versions(&self, mut app: App) -> App {
        if app.versions.len() > KEPT_VERSIONS {
            let used: BTreeSet<Version> = self.state.instances_of(&app).map(|it| it.run).collect();
            let held_at = app.held.and_then(|it| it.at);
            let keep = |it: &Version| {
                used.contains(it)
                    || *it == app.current.run
                    || *it == app.current.version
                    || Some(*it) == held_at
                    || app.aim().is_some_and(|aim| aim.run == *it)
            };
            let surplus = app.versions.len() - KEPT_VERSIONS;
            let old: Vec<Version> = app.versions.keys().take(surplus).filter(|it| !keep(it)).copied().collect();
            for version in old {
                app.versions.remove(&version);
            }
        }
        app
    }
}

/// The service port that an app keeps for its `n`-th port where the choice is left to the cluster, if it has one.
fn kept_service_port(spec: &AppSpec, before: Option<&App>, n: usize) -> Option<u16> {
    let had = before?.current.spec.run.ports.get(n)?.service_port;
    let is_given = || spec.run.ports.iter().any(|it| it.service_port == had);
    (SERVICE_PORTS.contains(&had) && !is_given()).then_some(had)
}

/// Gives the app those service ports again that it had; whether it has all of them now.
fn keep_service_ports(spec: &mut AppSpec, before: Option<&App>) -> bool {
    let open: Vec<usize> = (0..spec.run.ports.len()).filter(|n| spec.run.ports[*n].service_port == 0).collect();
    let kept: Vec<Option<u16>> = open.iter().map(|n| kept_service_port(spec, before, *n)).collect();
    for (n, port) in open.into_iter().zip(&kept) {
        spec.run.ports[n].service_port = port.unwrap_or(0);
    }
    kept.iter().all(Option::is_some)
}

/// What an app stays at until its turn comes: what it is brought to now, and nothing for one that was on its way out.
fn held_at(removing: bool, aim: Option<&Option<Version>>, current: Version) -> Held {
    let at = if removing { None } else { aim.copied().unwrap_or(Some(current)) };
    Held { at }
}

/// Numbers the steps from 1 on, without gaps.
fn number(changes: &mut OrdMap<AppId, Change>, steps: &BTreeMap<AppId, u32>) {
    let of = |app: &AppId| steps.get(app).copied().unwrap_or(1);
    let distinct: BTreeSet<u32> = changes.keys().map(of).collect();
    let numbers: BTreeMap<u32, u32> = distinct.into_iter().zip(1..).collect();
    *changes = changes
        .iter()
        .map(|(app, change)| (app.clone(), Change { step: numbers[&of(app)], ..change.clone() }))
        .collect();
}

//! Deployments: how one is opened for changes of apps and groups, what it takes over from those that it supersedes,
//! and how it goes from step to step.

use super::Changing;
use super::versions::held_at;
use crate::command::{Expect, Rejected, Scaling};
use crate::event::Event;
use crate::layers::{self, CHAIN_MAX, Overlay};
use crate::model::{
    AppId, AppSpec, Backoff, Change, Closeness, Deployment, DeploymentId, GroupSpec, Instance, Outcome, PathId, Policy,
    Version,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The label by which an app says how long its deployments may go without progress, in seconds.
pub const DEADLINE_LABEL: &str = "EKIDEN_DEPLOYMENT_DEADLINE";

/// The label by which an app says whether its failed deployments are rolled back: `true` or `false`.
pub const ROLLBACK_LABEL: &str = "EKIDEN_DEPLOYMENT_ROLLBACK";

/// What a deployment makes of one app.
pub(super) enum Target {
    /// This content. With a run version: instances that run it stay; without: those of equal content do.
    Spec(Box<AppSpec>, Option<Version>),
    /// What it is, in another number of instances.
    Scaled(AppId, u32),
    /// The same content, in new instances.
    Restart(AppId),
    /// Nothing: the app goes.
    Removed(AppId),
}

impl Target {
    pub(super) fn app(&self) -> &AppId {
        match self {
            Self::Spec(spec, _) => &spec.id,
            Self::Scaled(app, _) | Self::Restart(app) | Self::Removed(app) => app,
        }
    }

    /// Whether the app keeps its names, its volumes, its ports and what it depends on.
    pub(super) const fn keeps_definition(&self) -> bool {
        matches!(self, Self::Scaled(..) | Self::Restart(_))
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
pub(super) struct Inherited {
    /// Changes that are not done.
    pub(super) changes: Vec<(AppId, Change)>,
    /// What their apps are brought to now; absent: nothing yet.
    pub(super) aims: BTreeMap<AppId, Option<Version>>,
}

impl Changing<'_> {
    pub(super) fn put_apps(&mut self, apps: Vec<(AppSpec, Expect)>, force: bool) -> Result<(), Rejected> {
        for (spec, expect) in &apps {
            self.check_expectation(&spec.id, *expect)?;
        }
        self.deploy(Targets::of(apps.into_iter().map(|(spec, _)| Target::Spec(Box::new(spec), None)).collect()), force)
    }

    pub(super) fn scale_apps(&mut self, apps: &[Scaling], force: bool) -> Result<(), Rejected> {
        for Scaling { app, expect, .. } in apps {
            self.check_expectation(app, *expect)?;
            if self.state.live_app(app).is_none() {
                return Err(Rejected::NoApp { app: app.clone() });
            }
        }
        let targets = apps.iter().map(|it| Target::Scaled(it.app.clone(), it.instances)).collect();
        self.deploy(Targets::of(targets), force)
    }

    pub(super) fn restart_app(&mut self, app: &AppId, force: bool) -> Result<(), Rejected> {
        self.live_app(app)?;
        self.deploy(Targets::of(vec![Target::Restart(app.clone())]), force)
    }

    pub(super) fn remove_app(&mut self, app: &AppId, force: bool) -> Result<(), Rejected> {
        self.live_app(app)?;
        self.deploy(Targets::of(vec![Target::Removed(app.clone())]), force)
    }

    pub(super) fn scale_down_by(&mut self, victims: &[Arc<Instance>], force: bool) -> Result<(), Rejected> {
        let mut by_app: BTreeMap<&AppId, u32> = BTreeMap::new();
        for victim in victims {
            *by_app.entry(&victim.app).or_default() += 1;
        }
        let targets = by_app.into_iter().filter_map(|(app, n)| {
            let there = self.state.live_app(app)?.current.spec.instances;
            Some(Target::Scaled(app.clone(), there.saturating_sub(n)))
        });
        let targets = targets.collect();
        self.deploy(Targets::of(targets), force)
    }

    pub(super) fn active(&self, id: DeploymentId) -> Result<Arc<Deployment>, Rejected> {
        let active = self.state.deployments.get(&id).filter(|it| it.is_active());
        active.cloned().ok_or(Rejected::NoDeployment { deployment: id })
    }

    /// Opens a deployment, after the check that nobody else holds its apps.
    pub(super) fn deploy(&mut self, mut targets: Targets, force: bool) -> Result<(), Rejected> {
        self.keep_service_ports(&mut targets);
        self.check_paths(&targets)?;
        self.check_persistent_volumes(&targets)?;
        self.check_external_volumes(&targets)?;
        self.check_services(&targets)?;
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

    /// What a deployment has still to do: whoever takes over from it does that too, or an accepted change would be
    /// left half done, with nobody to finish it.
    pub(super) fn unfinished(&self, holder: &Deployment) -> Vec<(AppId, Change)> {
        let held = |app: &AppId| self.state.apps.get(app).is_some_and(|app| app.deployment == Some(holder.id));
        let open = holder.changes.iter().filter(|(app, it)| !it.settled && held(app));
        open.map(|(app, it)| (app.clone(), it.clone())).collect()
    }

    /// What the apps that a deployment holds are brought to now.
    pub(super) fn aims_of(&self, holder: &Deployment) -> BTreeMap<AppId, Option<Version>> {
        let held = holder.changes.keys().filter_map(|it| self.state.apps.get(it));
        let held = held.filter(|it| it.deployment == Some(holder.id));
        held.map(|it| (it.id.clone(), it.aim().map(|it| it.version))).collect()
    }

    /// In which step each app's turn comes, from 1; removals come first of all.
    pub(super) fn steps(
        &self,
        targets: &Targets,
        carried: &[(AppId, Change)],
    ) -> Result<BTreeMap<AppId, u32>, Rejected> {
        if let [target] = &targets.apps[..]
            && target.keeps_definition()
            && carried.iter().all(|(app, _)| app == target.app())
        {
            // One app that depends on what it did is the only step, and in no circle that it was not in.
            return Ok(BTreeMap::from([(target.app().clone(), 1)]));
        }
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
                Target::Scaled(app, _) | Target::Restart(app) => {
                    self.state.apps.get(app).map(|it| it.current.spec.policy.dependencies.as_slice())
                }
                Target::Removed(_) => None,
            };
            overlay.apps.insert(target.app().clone(), dependencies);
        }
        overlay.groups = targets.groups.iter().map(|(path, spec)| (path.clone(), spec.as_ref())).collect();
        let depths = layers::depths(self.state, &overlay).map_err(|layers::Cycle| Rejected::Cyclic)?;
        if let Some((app, length)) = depths.longest.filter(|it| it.1 > CHAIN_MAX && self.changes_chains(targets)) {
            return Err(Rejected::TooDeep { app, length, max: CHAIN_MAX });
        }
        let apps = depths.apps;
        Ok(overlay.apps.keys().map(|it| (it.clone(), apps.get(it).map_or(0, |depth| depth + 1))).collect())
    }

    /// Whether anything depends on what it did not depend on before: who does not is not held to what others have made
    /// of the chain that it is in.
    fn changes_chains(&self, targets: &Targets) -> bool {
        let app = |it: &Target| match it {
            Target::Spec(spec, _) => {
                let before = self.state.live_app(&spec.id).map(|it| &it.current.spec.policy.dependencies);
                before != Some(&spec.policy.dependencies)
            }
            Target::Scaled(..) | Target::Restart(_) | Target::Removed(_) => false,
        };
        let group = |(path, spec): &(PathId, Option<GroupSpec>)| {
            spec.is_some() && self.state.group(path).and_then(|it| it.current()) != spec.as_ref()
        };
        targets.apps.iter().any(app) || targets.groups.iter().any(group)
    }

    /// Opens a deployment for what these targets change, and for what is carried over from others and not changed
    /// again.
    pub(super) fn deploy_as(
        &mut self,
        id: DeploymentId,
        targets: Targets,
        inherited: Inherited,
        steps: &BTreeMap<AppId, u32>,
    ) {
        let version = self.new_version();
        let aims = inherited.aims;
        let mut groups = targets.groups;
        let unmade = |(path, spec): &(PathId, Option<GroupSpec>)| {
            *spec == Some(GroupSpec::default()) && self.state.group(path).is_none() && self.state.has_group(path)
        };
        let unmade: BTreeSet<PathId> = groups.iter().filter(|it| unmade(it)).map(|it| it.0.clone()).collect();
        let retargeted = targets.apps.into_iter().filter_map(|it| self.retarget(it, id, version, &aims));
        let mut changes: BTreeMap<AppId, Change> = retargeted.collect();
        let changed = !changes.is_empty();
        for (app, change) in inherited.changes {
            if let Some(record) = self.state.apps.get(&app).filter(|_| !changes.contains_key(&app)) {
                // One that is on its way to this very version goes on.
                let held = held_at(record.removing, aims.get(&app), record.current.version);
                let held = Some(held).filter(|it| it.at != Some(record.current.version));
                self.change_app(&app, |app| (app.deployment, app.held) = (Some(id), held));
                changes.insert(app, Change { carried: true, closeness: Closeness::default(), ..change });
            }
        }
        let differs = |(path, spec): &(PathId, Option<GroupSpec>)| {
            !unmade.contains(path) && self.state.group(path).and_then(|it| it.current()) != spec.as_ref()
        };
        if changes.is_empty() && !groups.iter().any(differs) {
            // Groups that are but the paths of apps, put back as they were read: nobody has made them by that.
            groups.retain(|(path, _)| !unmade.contains(path));
        }
        let groups = self.regroup(groups, version);
        number(&mut changes, steps);
        let unchanged = changes.is_empty();
        if !unchanged || !groups.is_empty() {
            self.remember_tree(version);
        }
        let (deadline_ms, rolls_back) = self.patience(&changes);
        let live_ms = self.longest_trial(&changes);
        let deployment = Deployment {
            id,
            version,
            changes: changes.into_iter().collect(),
            groups,
            step: 0,
            open: 0,
            progress_at: self.now(),
            deadline_ms,
            live_ms,
            rolls_back: rolls_back && !targets.undo,
            outcome: None,
            ended_at: None,
            failures: imbl::OrdMap::new(),
        };
        self.applied.deployment = Some(id);
        if changed || !deployment.groups.is_empty() {
            self.applied.version = Some(version);
        } else if self.applied.version.is_none() {
            // Where nothing is new, the answer names a version that is there.
            self.applied.version = self.state.tree.get_max().copied().or(Some(version));
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
            if self.state.apps.get(&app).is_some_and(|it| it.held.is_some()) {
                self.change_app(&app, |app| {
                    app.held = None;
                    if replaces {
                        // What it was till now may have failed; what it is now has not.
                        app.backoff = Backoff::default();
                    }
                });
            }
        }
        let deployment = Arc::new(deployment);
        self.state.deployments.insert(deployment.id, Arc::clone(&deployment));
        deployment
    }

    /// How long the deployment may go without progress, and whether it is rolled back then: what the changed apps
    /// say, the least patient one of those that say something, or the operator.
    fn patience(&self, changes: &BTreeMap<AppId, Change>) -> (u64, bool) {
        let policies: Vec<&Policy> = changes
            .keys()
            .filter_map(|it| self.state.apps.get(it))
            .map(|it| &*it.current.spec.policy)
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

    /// How long a new instance of one of the changed apps must live before it counts, at the longest.
    fn longest_trial(&self, changes: &BTreeMap<AppId, Change>) -> u64 {
        let apps = changes.keys().filter_map(|it| self.state.apps.get(it));
        apps.map(|it| self.state.min_live_ms(&it.current.spec.policy)).max().unwrap_or(0)
    }
}

/// Numbers the steps from 1 on, without gaps.
fn number(changes: &mut BTreeMap<AppId, Change>, steps: &BTreeMap<AppId, u32>) {
    let of = |app: &AppId| steps.get(app).copied().unwrap_or(1);
    let mut distinct: Vec<u32> = changes.keys().map(of).collect();
    distinct.sort_unstable();
    distinct.dedup();
    for (app, change) in changes {
        change.step = distinct.partition_point(|it| *it <= of(app)) as u32;
    }
}

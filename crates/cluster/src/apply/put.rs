//! Apps: put, restarted, removed, rolled back.

use super::{Changing, KEPT_VERSIONS};
use crate::command::{Expect, Rejected};
use crate::event::Event;
use crate::model::{
    App, AppId, AppSpec, AppVersion, Backoff, Change, Deployment, DeploymentId, Instance, Outcome, Version,
};
use imbl::{OrdMap, OrdSet};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Service ports are chosen from here; Marathon's `local_port_min` and `local_port_max`.
pub(super) const SERVICE_PORTS: Range<u16> = 10_000..20_000;

/// What a deployment makes of one app.
enum Target {
    /// This content. With a run version: instances that run it stay; without: those of equal content do.
    Spec(Box<AppSpec>, Option<Version>),
    /// The same content, in new instances.
    Restart(AppId),
    /// Nothing: the app goes.
    Removed(AppId),
}

impl Target {
    fn app(&self) -> &AppId {
        match self {
            Self::Spec(spec, _) => &spec.id,
            Self::Restart(app) | Self::Removed(app) => app,
        }
    }
}

impl Changing<'_> {
    pub(super) fn put_apps(&mut self, apps: Vec<(AppSpec, Expect)>, force: bool) -> Result<(), Rejected> {
        for (spec, expect) in &apps {
            self.check_expectation(&spec.id, *expect)?;
            self.check_nesting(&spec.id, &apps)?;
        }
        self.check_service_ports(&apps)?;
        self.deploy(apps.into_iter().map(|(spec, _)| Target::Spec(Box::new(spec), None)).collect(), force)
    }

    pub(super) fn restart_app(&mut self, app: &AppId, force: bool) -> Result<(), Rejected> {
        self.live_app(app)?;
        self.deploy(vec![Target::Restart(app.clone())], force)
    }

    pub(super) fn remove_app(&mut self, app: &AppId, force: bool) -> Result<(), Rejected> {
        self.live_app(app)?;
        self.deploy(vec![Target::Removed(app.clone())], force)
    }

    /// Reverts only what the deployment changes: what it created goes, what it changed gets its old content back,
    /// and instances that still run that content stay. What another deployment has changed since stays as well.
    pub(super) fn roll_back(&mut self, id: DeploymentId) -> Result<(), Rejected> {
        let deployment = self.active(id)?;
        let targets = deployment.changes.iter().filter_map(|change| {
            let still_ours = |it: &&Arc<App>| {
                it.deployment.is_none_or(|holder| holder == id)
                    && change.to.map_or(it.removing, |to| !it.removing && it.current.version == to)
            };
            let app = self.state.apps.get(&change.app).filter(still_ours)?;
            Some(match change.from {
                None => Target::Removed(change.app.clone()),
                Some(version) => {
                    let before = app.versions.get(&version)?;
                    Target::Spec(Box::new(before.spec.clone()), Some(before.run))
                }
            })
        });
        let targets = targets.collect();
        let by = self.next_deployment();
        self.end_deployment(id, Outcome::RolledBack { by });
        self.deploy_as(by, targets, Vec::new());
        Ok(())
    }

    /// Ends a deployment where it stands: an app that it was removing stays.
    pub(super) fn cancel(&mut self, id: DeploymentId) -> Result<(), Rejected> {
        let deployment = self.active(id)?;
        for change in &deployment.changes {
            if let Some(app) = self.state.apps.get(&change.app)
                && app.removing
                && app.deployment == Some(id)
            {
                self.put_app(App { removing: false, ..App::clone(app) });
            }
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
        self.deploy(targets, force)
    }

    fn active(&self, id: DeploymentId) -> Result<Arc<Deployment>, Rejected> {
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

    /// An app's path is not a group's: no app inside another.
    fn check_nesting(&self, id: &AppId, apps: &[(AppSpec, Expect)]) -> Result<(), Rejected> {
        if self.state.apps.contains_key(id) {
            return Ok(());
        }
        let inside = |inner: &AppId, outer: &AppId| {
            inner.as_str().strip_prefix(outer.as_str()).is_some_and(|it| it.starts_with('/'))
        };
        let nested = |other: &AppId| inside(other, id) || inside(id, other);
        let ends: Vec<usize> = id.as_str().match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).collect();
        let around = ends.into_iter().filter_map(|end| AppId::parse(&id.as_str()[..end]).ok());
        let around = around.filter_map(|it| self.state.apps.get_key_value(&it)).map(|(key, _)| key).next();
        let within = AppId::after_children(id);
        let within = self.state.apps.range(within..).next().map(|(key, _)| key);
        let other = around.into_iter().chain(within).chain(apps.iter().map(|(it, _)| &it.id)).find(|it| nested(it));
        match other {
            None => Ok(()),
            Some(other) => Err(Rejected::Nested { app: id.clone(), other: other.clone() }),
        }
    }

    fn check_service_ports(&self, apps: &[(AppSpec, Expect)]) -> Result<(), Rejected> {
        let wanted: usize =
            apps.iter().map(|(it, _)| it.run.ports.iter().filter(|port| port.service_port == 0).count()).sum();
        let taken = self.state.service_ports.range(SERVICE_PORTS).count();
        if taken + wanted > SERVICE_PORTS.len() { Err(Rejected::NoServicePort) } else { Ok(()) }
    }

    /// Opens a deployment, after the check that nobody else holds its apps.
    fn deploy(&mut self, targets: Vec<Target>, force: bool) -> Result<(), Rejected> {
        let holders: BTreeSet<DeploymentId> =
            targets.iter().filter_map(|it| self.state.apps.get(it.app())?.deployment).collect();
        if !holders.is_empty() && !force {
            return Err(Rejected::Locked { deployments: holders.into_iter().collect() });
        }
        let id = self.next_deployment();
        let mut carried = Vec::new();
        for holder in holders {
            carried.extend(self.unfinished(holder));
            self.end_deployment(holder, Outcome::Superseded { by: id });
        }
        self.deploy_as(id, targets, carried);
        Ok(())
    }

    /// What a deployment has still to do: whoever takes over from it does that too, or an accepted change would be
    /// left half done, with nobody to finish it.
    fn unfinished(&self, holder: DeploymentId) -> Vec<Change> {
        let changes = self.state.deployments.get(&holder).map(|it| it.changes.as_slice()).unwrap_or_default();
        let held = |it: &&Change| self.state.apps.get(&it.app).is_some_and(|app| app.deployment == Some(holder));
        changes.iter().filter(|it| !it.settled).filter(held).cloned().collect()
    }

    /// Opens a deployment for what these targets change, and for what is carried over from others and not changed
    /// again.
    fn deploy_as(&mut self, id: DeploymentId, targets: Vec<Target>, mut carried: Vec<Change>) {
        let latest = targets.iter().filter_map(|it| self.state.apps.get(it.app())).map(|it| it.current.version).max();
        let version = latest.map_or(self.now(), |it| self.now().max(it.plus_ms(1)));
        let mut changes: Vec<Change> = targets.into_iter().filter_map(|it| self.retarget(it, id, version)).collect();
        carried.retain(|it| changes.iter().all(|change| change.app != it.app));
        for change in &carried {
            if let Some(app) = self.state.apps.get(&change.app) {
                self.put_app(App { deployment: Some(id), ..App::clone(app) });
            }
        }
        changes.extend(carried);
        let unchanged = changes.is_empty();
        let deployment = Arc::new(Deployment { id, version, changes, outcome: None, ended_at: None });
        self.state.deployments.insert(id, Arc::clone(&deployment));
        self.applied.deployment = Some(id);
        self.applied.version.get_or_insert(version);
        self.event(Event::DeploymentStarted { deployment });
        if unchanged {
            self.end_deployment(id, Outcome::Succeeded);
        }
    }

    /// Makes one app's wanted version the target; nothing if it is so already.
    fn retarget(&mut self, target: Target, deployment: DeploymentId, version: Version) -> Option<Change> {
        let before = self.state.apps.get(target.app()).map(Arc::clone);
        let from = before.as_ref().filter(|it| !it.removing).map(|it| it.current.version);
        let (spec, run) = match target {
            Target::Removed(id) => {
                let app = before?;
                let from = Some(app.current.version);
                self.put_app(App { removing: true, deployment: Some(deployment), ..App::clone(&app) });
                return Some(Change { app: id, from, to: None, replaces: false, settled: false });
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
        let app = App {
            id: next.spec.id.clone(),
            versions: before
                .as_ref()
                .map_or_else(OrdMap::new, |it| it.versions.clone())
                .update(version, Arc::clone(&next)),
            current: Arc::clone(&next),
            instances: before.as_ref().map_or_else(OrdSet::new, |it| it.instances.clone()),
            deployment: Some(deployment),
            removing: false,
            backoff: before.as_ref().filter(|_| !replaces).map_or_else(Backoff::default, |it| it.backoff),
            last_failure: before.as_ref().and_then(|it| it.last_failure.clone()),
        };
        self.count_service_ports(before.as_deref(), Some(&next.spec));
        let change = Change { app: app.id.clone(), from, to: Some(version), replaces, settled: false };
        let app = self.without_old_versions(app);
        self.put_app(app);
        self.event(Event::AppPut { version: next, created: from.is_none() });
        Some(change)
    }

    /// The run version whose instances are already what the spec wants: the wanted one, or another that still has
    /// instances. So a return to an earlier version keeps what is left of it.
    fn run_of(&self, app: &App, spec: &AppSpec) -> Option<Version> {
        if app.current.spec.run == spec.run {
            return Some(app.current.run);
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
        let scaled = spec.instances != old.spec.instances;
        let configured = run != old.run || spec.run != old.spec.run || spec.policy != old.spec.policy;
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
        for (n, port) in spec.run.ports.iter_mut().enumerate() {
            if port.service_port == 0 {
                let had = before.and_then(|it| it.current.spec.run.ports.get(n)).map(|it| it.service_port);
                port.service_port = match had.filter(|it| SERVICE_PORTS.contains(it)) {
                    Some(had) => had,
                    None => self.free_service_port(),
                };
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
        for port in after.into_iter().flat_map(|it| &it.run.ports) {
            *self.state.service_ports.entry(port.service_port).or_default() += 1;
        }
        for port in before.into_iter().flat_map(|it| &it.current.spec.run.ports) {
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
            let keep = |it: &Version| used.contains(it) || *it == app.current.run || *it == app.current.version;
            let surplus = app.versions.len() - KEPT_VERSIONS;
            let old: Vec<Version> = app.versions.keys().take(surplus).filter(|it| !keep(it)).copied().collect();
            for version in old {
                app.versions.remove(&version);
            }
        }
        app
    }
}

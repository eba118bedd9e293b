//! The versions of an app: what is wanted of it next, which instances run that already, and which old ones are kept.

use super::Changing;
use super::deploy::Target;
use crate::event::Event;
use crate::model::{
    App, AppId, AppSpec, AppVersion, Backoff, Change, Closeness, DeploymentId, Held, ShunnedNodes, Version,
};
use crate::pattern::Patterns;
use imbl::{OrdMap, OrdSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many versions of an app are remembered, besides those its instances run; Marathon's `zk_max_versions`.
pub const KEPT_VERSIONS: usize = 50;

impl Changing<'_> {
    /// Whether the target is not what is wanted of its app already: only then its deployment is in the way.
    pub(super) fn is_change(&self, target: &Target) -> bool {
        let Some(app) = self.state.live_app(target.app()) else { return true };
        match target {
            Target::Spec(spec, run) => {
                let run = run.or_else(|| self.run_of(app, spec)).unwrap_or(self.time());
                Difference::of(app, spec, run).is_some()
            }
            Target::Scaled(_, instances) => app.current.spec.instances != *instances,
            Target::Restart(_) | Target::Removed(_) => true,
        }
    }

    /// Makes one app's wanted version the target; nothing if it is so already.
    pub(super) fn retarget(
        &mut self,
        target: Target,
        deployment: DeploymentId,
        version: Version,
        aims: &BTreeMap<AppId, Option<Version>>,
    ) -> Option<(AppId, Change)> {
        let before = self.state.apps.get(target.app()).map(Arc::clone);
        let from = before.as_ref().and_then(|it| it.wanted().map(|_| it.current.version));
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
        let (mut spec, run) = match target {
            Target::Removed(id) => {
                let app = before?;
                let from = Some(app.current.version);
                for instance in &app.instances {
                    self.hurry(*instance);
                }
                self.change_app(&id, |app| {
                    (app.removing, app.held, app.deployment) = (true, None, Some(deployment));
                });
                return Some((id, change(from, None, app.current.spec.run.pod.is_some(), false)));
            }
            Target::Restart(_) => (before.as_ref()?.current.spec.clone(), Some(version)),
            Target::Scaled(_, instances) => {
                let now = &before.as_ref()?.current;
                (AppSpec { instances, ..now.spec.clone() }, Some(now.run))
            }
            Target::Spec(spec, run) => (*spec, run),
        };
        self.choose_service_ports(&mut spec);
        let run = run.unwrap_or_else(|| before.as_deref().and_then(|it| self.run_of(it, &spec)).unwrap_or(version));
        let next = Self::next_version(before.as_deref(), spec, run, version);
        let Some(next) = next else {
            self.applied.version = before.map(|it| it.current.version);
            return None;
        };
        let next = Arc::new(next);
        let replaces = before.as_ref().is_some_and(|it| it.current.run != next.run);
        let held = match &before {
            Some(before) => held_at(before.removing, aims.get(&before.id), before.current.version),
            None => Held { at: None },
        };
        self.count_service_ports(before.as_deref(), Some(&next.spec));
        let id = next.spec.id.clone();
        // Nobody else shall hold it while it is changed, or all of it is copied.
        if before.map(drop).is_some() {
            self.change_app(&id, |app| {
                if app.current.configured != next.configured {
                    app.backoff = Backoff::default();
                }
                app.versions.insert(version, Arc::clone(&next));
                app.current = Arc::clone(&next);
                (app.deployment, app.held, app.removing) = (Some(deployment), Some(held), false);
            });
            self.forget_old_versions(&id);
        } else {
            self.put_app(App {
                id: id.clone(),
                versions: OrdMap::unit(version, Arc::clone(&next)),
                current: Arc::clone(&next),
                instances: OrdSet::new(),
                reservations: OrdSet::new(),
                deployment: Some(deployment),
                held: Some(held),
                removing: false,
                backoff: Backoff::default(),
                last_failure: None,
                shunned: ShunnedNodes::default(),
            });
        }
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
        let wanted = self.state.kinds(&app.id).filter(|(_, _, one)| one.is_wanted());
        let running: BTreeSet<Version> = wanted.map(|(kind, ..)| kind.run).collect();
        let same = |it: &Version| app.versions.get(it).is_some_and(|version| version.spec.run == spec.run);
        running.into_iter().rev().find(same)
    }

    /// The app's next version; none if nothing changes.
    fn next_version(before: Option<&App>, mut spec: AppSpec, run: Version, version: Version) -> Option<AppVersion> {
        let Some(app) = before else {
            let patterns = Patterns::default();
            return Some(AppVersion { version, run, configured: version, scaled: version, spec, patterns });
        };
        let old = &app.current;
        spec.share(&old.spec);
        let Difference { configured, scaled } = Difference::of(app, &spec, run)?;
        let same_constraints = spec.policy.constraints == old.spec.policy.constraints;
        Some(AppVersion {
            version,
            run,
            configured: if configured { version } else { old.configured },
            scaled: if scaled { version } else { old.scaled },
            spec,
            patterns: if same_constraints { old.patterns.clone() } else { Patterns::default() },
        })
    }

    /// Forgets an app's oldest versions beyond those that are kept, but none that is still needed.
    fn forget_old_versions(&mut self, id: &AppId) {
        let Some(app) = self.state.apps.get(id) else { return };
        let Some(surplus) = app.versions.len().checked_sub(KEPT_VERSIONS).filter(|it| *it > 0) else { return };
        let held_at = app.held.and_then(|it| it.at);
        let aimed_at = app.aim().map(|it| it.run);
        let is_named = |it: &Version| {
            *it == app.current.run || *it == app.current.version || Some(*it) == held_at || Some(*it) == aimed_at
        };
        let mut old: Vec<Version> = app.versions.keys().take(surplus).filter(|it| !is_named(it)).copied().collect();
        if !old.is_empty() && !app.instances.is_empty() {
            let kinds = self.state.kinds(&app.id).map(|(kind, ..)| kind);
            let used: BTreeSet<Version> = kinds.flat_map(|it| [it.run, it.follows, it.judged_by]).collect();
            old.retain(|it| !used.contains(it));
        }
        if !old.is_empty() {
            self.change_app(id, |app| old.iter().for_each(|it| drop(app.versions.remove(it))));
        }
    }
}

/// What another definition changes of an app.
struct Difference {
    /// Anything but the number of instances.
    configured: bool,
    /// The number of instances. As in Marathon, a new definition counts as a new number too; a restart does not.
    scaled: bool,
}

impl Difference {
    /// None: it is what is wanted already.
    fn of(app: &App, spec: &AppSpec, run: Version) -> Option<Self> {
        let old = &app.current;
        let redefined = spec.run != old.spec.run || spec.policy != old.spec.policy;
        let scaled = redefined || spec.instances != old.spec.instances;
        let configured = redefined || run != old.run;
        (scaled || configured || app.removing).then_some(Self { configured, scaled })
    }
}

/// What an app stays at until its turn comes: what it is brought to now, and nothing for one that was on its way out.
pub(super) fn held_at(removing: bool, aim: Option<&Option<Version>>, current: Version) -> Held {
    let at = if removing { None } else { aim.copied().unwrap_or(Some(current)) };
    Held { at }
}

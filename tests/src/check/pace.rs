//! Pace: an update never goes below its minimum health by its own doing, and never above its maximum. A new instance
//! counts when it has lived for a while, or another one of its version has; a deployment is done with an app when all
//! have. Other health checks are told to one that serves, and to the others when one has passed them.

use super::{Check, Fact, aim, is_checked, is_resident};
use crate::sim::machine::Taken;
use cluster::{
    App, Command, Condition, Event, Goal, Health, HealthCheck, Instance, InstanceId, NodeStatus, State, StopReason,
    Version,
};
use std::collections::{BTreeMap, BTreeSet};

/// Counts before and after each executed plan.
#[derive(Default)]
pub(super) struct Pace {
    /// Since when each instance has been running, healthy, ready, as its agent's reports came.
    since: BTreeMap<InstanceId, [Option<u64>; 3]>,
}

impl Check for Pace {
    fn name(&self) -> &'static str {
        "pace"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { first: true, taken, .. } if matches!(taken.entry.command, Command::Execute { .. }) => {
                let events = taken.result.as_ref().map(|it| it.events.as_slice()).unwrap_or_default();
                let mut touched = BTreeSet::new();
                for event in events {
                    if let Event::InstanceLaunched { instance } | Event::InstanceStopping { instance } = event {
                        touched.insert(instance.app.clone());
                    }
                }
                touched
                    .iter()
                    .filter_map(|it| taken.before.app(it))
                    .try_for_each(|app| self.judge(taken, app, events))?;
                edited(taken)?;
                let settled = events.iter().filter_map(|it| match it {
                    Event::DeploymentSettled { app, .. } => taken.after.app(app),
                    _ => None,
                });
                settled.into_iter().try_for_each(|app| self.all_have_lived(taken, app))
            }
            Fact::Applied { first: true, taken, .. } => {
                if let Command::Report { observations, .. } = &taken.entry.command {
                    for it in observations {
                        self.note(&taken.after, it.instance);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Pace {
    fn note(&mut self, state: &State, id: InstanceId) {
        let Some(instance) = state.instance(id) else {
            self.since.remove(&id);
            return;
        };
        let is =
            [instance.condition == Condition::Running, instance.health == Health::Healthy, instance.readiness.ready];
        let since = self.since.entry(id).or_default();
        for (since, is) in since.iter_mut().zip(is) {
            *since = is.then(|| since.unwrap_or(state.moment().0));
        }
    }

    /// Whether an instance has been good for as long as a new one has to.
    fn has_lived(&self, now: u64, state: &State, app: &App, instance: &Instance) -> bool {
        let Some([running, healthy, ready]) = self.since.get(&instance.id) else { return false };
        let asked = aim(app).is_some_and(|it| !it.spec.policy.readiness_checks.is_empty());
        let needed = [(true, running), (is_checked(app, instance), healthy), (asked, ready)];
        let good = |since: &Option<u64>| since.is_some_and(|it| it + state.settings().min_live_ms <= now);
        needed.into_iter().filter(|it| it.0).all(|it| good(it.1)) && is_up(state, app, instance)
    }

    fn all_have_lived(&self, taken: &Taken, app: &App) -> Result<(), String> {
        // Those that the same plan ends, such as one that has ended by itself where none is wanted, are not waited for.
        let stays = |it: &Instance| taken.after.instance(it.id).is_some_and(|it| it.goal == Goal::Run);
        let of_app = taken.before.instances().filter(|it| app.instances.contains(&it.id) && stays(it));
        match of_app
            .into_iter()
            .find(|it| !app.removing && !self.has_lived(taken.after.moment().0, &taken.before, app, it))
        {
            Some(it) => Err(format!("{}: its deployment is done, and {} has not lived for long", app.id, it.id)),
            None => Ok(()),
        }
    }

    /// Whether an instance of what is aimed at has lived; those that a plan ends have proven it for that plan.
    fn is_proven(&self, now: u64, state: &State, app: &App) -> bool {
        let mut new = state.instances().filter(|it| app.instances.contains(&it.id) && is_new(app, it));
        new.any(|it| self.has_lived(now, state, app, it))
    }

    fn judge(&self, taken: &Taken, app: &App, events: &[Event]) -> Result<(), String> {
        if app.removing {
            return Ok(());
        }
        let Some(aim) = aim(app) else { return Ok(()) };
        let (n, upgrade) = (u64::from(aim.spec.instances), aim.spec.policy.upgrade);
        let floor = (n * u64::from(upgrade.min_health_ppm)).div_ceil(1_000_000);
        let ceiling = n + n * u64::from(upgrade.max_over_ppm) / 1_000_000;
        let (floor, ceiling) = match () {
            // Data has one user at a time: the old one ends first.
            () if is_resident(&aim.spec) => (floor.min(n.saturating_sub(1)), n),
            // Where nothing could move, one more is allowed.
            () if ceiling <= floor => (floor, floor + 1),
            () => (floor, ceiling),
        };

        let proven = self.is_proven(taken.after.moment().0, &taken.before, app);
        let mut launched = 0;
        let mut spared = 0;
        for event in events {
            match event {
                Event::InstanceLaunched { instance } if instance.app == app.id => launched += 1,
                Event::InstanceStopping { instance } if instance.app == app.id && is_voluntary(instance) => {
                    let was = taken.before.instance(instance.id);
                    spared += u64::from(was.is_some_and(|it| counts(proven, &taken.before, app, it)));
                }
                _ => {}
            }
        }
        // What is left of a deleted app of the same name is not this one's.
        let is_own =
            |state: &State, it: &Instance| state.app(&app.id).is_some_and(|app| app.instances.contains(&it.id));
        let of_app = |state: &State, which: &dyn Fn(&State, &Instance) -> bool| {
            state.instances().filter(|it| is_own(state, it) && which(state, it)).count() as u64
        };
        let serving = of_app(&taken.after, &|state, it| counts(proven, state, app, it));
        if spared > 0 && serving < floor {
            return Err(format!(
                "{}: {spared} serving instances were stopped by choice, {serving} are left of at least {floor}",
                app.id
            ));
        }
        if launched == 0 {
            return Ok(());
        }
        let wanted = of_app(&taken.after, &|state, it| {
            it.goal == Goal::Run && !has_ended(it) && !is_lost(state, it) && is_new(app, it)
        });
        if wanted > n {
            return Err(format!("{}: {launched} were launched, {wanted} are there of {n} wanted", app.id));
        }
        let is_there = |state: &State, it: &Instance| !has_ended(it) && !is_lost(state, it);
        let replaces = app.deployment.is_some()
            && app.held.is_none()
            && taken
                .after
                .instances()
                .any(|it| is_own(&taken.after, it) && is_there(&taken.after, it) && !is_new(app, it));
        let total = of_app(&taken.after, &is_there);
        if replaces && total > ceiling {
            return Err(format!("{}: {launched} were launched, {total} exist of at most {ceiling}", app.id));
        }
        Ok(())
    }
}

/// Whether other health checks were told to more instances that serve than to one, before one has passed them.
fn edited(taken: &Taken) -> Result<(), String> {
    let mut told: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in taken.after.instances() {
        if taken.before.instance(instance.id).is_some_and(|it| it.follows != instance.follows) {
            told.entry(instance.app.as_str()).or_default().push(instance);
        }
    }
    for (id, told) in told {
        let Some(app) = taken.after.apps().find(|it| it.id.as_str() == id) else { continue };
        let Some(aim) = aim(app) else { continue };
        let serving = told.iter().filter(|it| is_up(&taken.after, app, it)).count();
        let asks = &aim.spec.policy.health_checks;
        let of_app = || taken.before.instances().filter(|it| app.instances.contains(&it.id) && is_new(app, it));
        // Who follows it has passed it when it is judged by it, and good.
        let has_passed =
            |it: &Instance| asked(app, it.judged_by).is_some_and(|it| it == asks) && is_up(&taken.before, app, it);
        let passed = of_app().any(|it| has_passed(it));
        if serving > 1 && !passed {
            return Err(format!("{id}: {serving} that serve were told other health checks at once"));
        }
    }
    Ok(())
}

/// What a version's health checks ask.
fn asked(app: &App, version: Version) -> Option<&Vec<HealthCheck>> {
    app.versions.get(&version).map(|it| &it.spec.policy.health_checks)
}

/// Whether nothing forced the stop.
const fn is_voluntary(instance: &Instance) -> bool {
    matches!(instance.goal, Goal::Stop(StopReason::Replaced | StopReason::Surplus | StopReason::Killed))
}

/// Whether an instance counts as serving.
fn counts(proven: bool, state: &State, app: &App, instance: &Instance) -> bool {
    let is_successor = app.deployment.is_some() && app.held.is_none() && is_new(app, instance);
    is_up(state, app, instance) && (!is_successor || (proven && instance.health != Health::Unhealthy))
}

/// Whether an instance serves: it runs, and is healthy and, as a successor, ready, as far as it is asked. The first
/// failures of one that was healthy are forgiven.
fn is_up(state: &State, app: &App, instance: &Instance) -> bool {
    let checked = is_checked(app, instance);
    // In an update a new one must also have said that it is ready.
    let asked = app.deployment.is_some()
        && app.held.is_none()
        && is_new(app, instance)
        && aim(app).is_some_and(|it| !it.spec.policy.readiness_checks.is_empty());
    let forgiven = || instance.health == Health::Unhealthy && instance.checks.iter().all(|it| it.alive || it.forgiven);
    instance.goal == Goal::Run
        && instance.condition == Condition::Running
        && (!checked || instance.health == Health::Healthy || forgiven())
        && (!asked || instance.readiness.ready)
        && !is_lost(state, instance)
}

fn is_new(app: &App, instance: &Instance) -> bool {
    aim(app).is_some_and(|it| it.run == instance.run)
}

const fn has_ended(instance: &Instance) -> bool {
    matches!(instance.condition, Condition::Ended(_))
}

fn is_lost(state: &State, instance: &Instance) -> bool {
    state.node(&instance.node).is_none_or(|it| matches!(it.status, NodeStatus::Lost { .. }))
}

//! Pace: an update never goes below its minimum health by its own doing, and never above its maximum.

use super::{Check, Fact, aim, is_checked, is_resident};
use crate::sim::machine::Taken;
use cluster::{App, Command, Condition, Event, Goal, Health, Instance, NodeStatus, State, StopReason};
use std::collections::BTreeSet;

/// Counts before and after each executed plan.
#[derive(Default)]
pub(super) struct Pace;

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
                touched.iter().filter_map(|it| taken.before.app(it)).try_for_each(|app| judge(taken, app, events))
            }
            _ => Ok(()),
        }
    }
}

fn judge(taken: &Taken, app: &App, events: &[Event]) -> Result<(), String> {
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

    let mut launched = 0;
    let mut spared = 0;
    for event in events {
        match event {
            Event::InstanceLaunched { instance } if instance.app == app.id => launched += 1,
            Event::InstanceStopping { instance } if instance.app == app.id && is_voluntary(instance) => {
                let was = taken.before.instance(instance.id);
                spared += u64::from(was.is_some_and(|it| serves(&taken.before, app, it)));
            }
            _ => {}
        }
    }
    // What is left of a deleted app of the same name is not this one's.
    let is_own = |state: &State, it: &Instance| state.app(&app.id).is_some_and(|app| app.instances.contains(&it.id));
    let of_app = |state: &State, which: &dyn Fn(&State, &Instance) -> bool| {
        state.instances().filter(|it| is_own(state, it) && which(state, it)).count() as u64
    };
    let serving = of_app(&taken.after, &|state, it| serves(state, app, it));
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
        && taken.after.instances().any(|it| is_own(&taken.after, it) && is_there(&taken.after, it) && !is_new(app, it));
    let total = of_app(&taken.after, &is_there);
    if replaces && total > ceiling {
        return Err(format!("{}: {launched} were launched, {total} exist of at most {ceiling}", app.id));
    }
    Ok(())
}

/// Whether nothing forced the stop.
const fn is_voluntary(instance: &Instance) -> bool {
    matches!(instance.goal, Goal::Stop(StopReason::Replaced | StopReason::Surplus | StopReason::Killed))
}

fn serves(state: &State, app: &App, instance: &Instance) -> bool {
    let checked = is_checked(app, instance);
    // In an update a new one must also have said that it is ready.
    let asked = app.deployment.is_some()
        && app.held.is_none()
        && is_new(app, instance)
        && aim(app).is_some_and(|it| !it.spec.policy.readiness_checks.is_empty());
    instance.goal == Goal::Run
        && instance.condition == Condition::Running
        && (!checked || instance.health == Health::Healthy)
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

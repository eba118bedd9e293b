//! What one app needs next: how many instances to launch, which to stop.
//!
//! Decided from sets, never from counters that are kept: whatever happened before, the same instances lead to the same
//! decision (`marathon.md` §3.3). The order of an update is a consequence of two limits: at least
//! [`UpgradeStrategy::min_healthy`](crate::UpgradeStrategy::min_healthy) instances serve, at most
//! [`max_running`](crate::UpgradeStrategy::max_running) exist.

use crate::model::{App, Health, Instance, InstanceId, KillSelection, NodeStatus, StopReason, Timestamp, Unreachable};
use crate::state::State;
use std::sync::Arc;

/// What one app needs next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// So many instances of the wanted version are to be launched now.
    pub launch: u32,
    /// These are to end.
    pub stop: Vec<(InstanceId, StopReason)>,
    /// Its deployment is done with it.
    pub settle: bool,
    /// Look again at this time, even if nothing happens: a launch delay or a node's grace ends.
    pub wake: Option<Timestamp>,
}

/// An app's instances by what is to become of them.
#[derive(Default)]
struct Sets<'a> {
    /// Wanted ones that run what is wanted.
    new: Vec<&'a Arc<Instance>>,
    /// Wanted ones that are out of date, while a deployment replaces them.
    old: Vec<&'a Arc<Instance>>,
    /// Those that end whatever else is decided.
    gone: Vec<(InstanceId, StopReason)>,
    /// How many are on their way out, and still hold a container.
    n_stopping: u32,
    /// How many of those are out of date.
    n_old_stopping: u32,
    wake: Option<Timestamp>,
}

/// What the app needs next, as of `now`.
pub fn decide(state: &State, app: &App, now: Timestamp) -> Decision {
    let sets = sort(state, app, now);
    let mut decision = Decision { stop: sets.gone.clone(), wake: sets.wake, ..Decision::default() };
    if app.removing {
        decision.stop.extend(sets.new.iter().chain(&sets.old).map(|it| (it.id, StopReason::Removed)));
    } else {
        count(state, app, &sets, &mut decision);
        hold_back(app, now, &mut decision);
    }
    decision.settle = app.deployment.is_some() && is_settled_with(state, app, &sets);
    decision
}

/// Whether a deployment is done with the app: as many as wanted serve, and nothing else is left.
pub fn is_settled(state: &State, app: &App) -> bool {
    is_settled_with(state, app, &sort(state, app, state.time()))
}

fn is_settled_with(state: &State, app: &App, sets: &Sets<'_>) -> bool {
    if sets.n_stopping > 0 || !sets.old.is_empty() {
        return false;
    }
    if app.removing {
        return sets.new.is_empty();
    }
    let serving = sets.new.iter().filter(|it| serves(state, app, it)).count();
    sets.new.len() == app.current.spec.instances as usize && serving == sets.new.len()
}

fn sort<'a>(state: &'a State, app: &'a App, now: Timestamp) -> Sets<'a> {
    let mut sets = Sets::default();
    for instance in state.instances_of(app) {
        let lost_since = match state.nodes.get(&instance.node).map(|it| &it.status) {
            Some(NodeStatus::Lost { since }) => Some(*since),
            _ => None,
        };
        if instance.goal != crate::model::Goal::Run {
            let stopping = u32::from(!instance.has_ended() && lost_since.is_none());
            sets.n_stopping += stopping;
            sets.n_old_stopping += if app.is_current(instance) { 0 } else { stopping };
        } else if instance.has_ended() {
            sets.gone.push((instance.id, StopReason::Ended));
        } else if lost_since.is_some_and(|it| is_given_up(app, it, now, &mut sets.wake)) {
            sets.gone.push((instance.id, StopReason::Lost));
        } else if instance.health == Health::Failed && lost_since.is_none() {
            sets.gone.push((instance.id, StopReason::Unhealthy));
            sets.n_stopping += 1;
            sets.n_old_stopping += u32::from(!app.is_current(instance));
        } else if app.deployment.is_some() && !app.is_current(instance) {
            sets.old.push(instance);
        } else {
            sets.new.push(instance);
        }
    }
    sets
}

/// Whether instances of a node that was lost at `since` are replaced by now; notes when they will be.
fn is_given_up(app: &App, since: Timestamp, now: Timestamp, wake: &mut Option<Timestamp>) -> bool {
    let Unreachable::After { inactive_ms, .. } = app.current.spec.policy.unreachable else { return false };
    let due = since.plus_ms(inactive_ms);
    if due > now {
        *wake = Some(wake.map_or(due, |it| it.min(due)));
    }
    due <= now
}

fn count(state: &State, app: &App, sets: &Sets<'_>, decision: &mut Decision) {
    let wanted = app.current.spec.instances;
    let n_new = sets.new.len() as u32;
    let missing = wanted.saturating_sub(n_new);
    let replacing = app.deployment.is_some() && (!sets.old.is_empty() || sets.n_old_stopping > 0);
    if replacing {
        let upgrade = app.current.spec.policy.upgrade;
        let existing = n_new + sets.old.len() as u32 + sets.n_stopping;
        decision.launch = missing.min(upgrade.max_running(wanted).saturating_sub(existing));
        let serving = sets.new.iter().chain(&sets.old).filter(|it| serves(state, app, it)).count() as u32;
        let mut spare = serving.saturating_sub(upgrade.min_healthy(wanted)) as usize;
        for old in by_dispensability(state, app, &sets.old) {
            // One that does not serve is no loss.
            if serves(state, app, old) {
                if spare == 0 {
                    break;
                }
                spare -= 1;
            }
            decision.stop.push((old.id, StopReason::Replaced));
        }
    } else {
        decision.launch = missing;
    }
    let surplus = n_new.saturating_sub(wanted) as usize;
    let surplus = by_dispensability(state, app, &sets.new).into_iter().take(surplus);
    decision.stop.extend(surplus.map(|it| (it.id, StopReason::Surplus)));
}

/// Launches wait while the app's delay runs.
fn hold_back(app: &App, now: Timestamp, decision: &mut Decision) {
    let until = app.backoff.until;
    if decision.launch > 0 && now < until {
        decision.launch = 0;
        decision.wake = Some(decision.wake.map_or(until, |it| it.min(until)));
    }
}

fn serves(state: &State, app: &App, instance: &Instance) -> bool {
    instance.is_serving(app.has_checks()) && !state.is_unreachable(instance)
}

/// The instances in the order in which they can be spared: those that do not serve first, then by the app's choice.
fn by_dispensability<'a>(state: &State, app: &App, instances: &[&'a Arc<Instance>]) -> Vec<&'a Arc<Instance>> {
    let mut ordered = instances.to_vec();
    if app.current.spec.policy.kill_selection == KillSelection::YoungestFirst {
        ordered.reverse();
    }
    ordered.sort_by_key(|it| (serves(state, app, it), it.is_running()));
    ordered
}

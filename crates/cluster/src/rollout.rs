//! What one app needs next: how many instances to launch, which to stop.
//!
//! Decided from sets, never from counters that are kept: whatever happened before, the same instances lead to the same
//! decision (`docs/marathon.md`, Upgrade strategy). The order of an update is a consequence of two limits: at least
//! [`UpgradeStrategy::min_healthy`](crate::UpgradeStrategy::min_healthy) instances serve, at most
//! [`max_running`](crate::UpgradeStrategy::max_running) exist.

use crate::model::{
    App, Closeness, Condition, Goal, Health, Instance, InstanceId, KillSelection, Moment, NodeStatus, Operator,
    StopReason, Unreachable,
};
use crate::state::State;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What one app needs next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// So many instances of the wanted version are to be launched now.
    pub launch: u32,
    /// These are to end.
    pub stop: Vec<(InstanceId, StopReason)>,
    /// So many instances of the wanted version are missing, also those that may not be launched yet.
    pub missing: u32,
    /// Those on lost nodes that were given up, the most dispensable first: they end as others take their places.
    pub lost: Vec<InstanceId>,
    /// These are to follow the health checks of the wanted version from now on.
    pub follow: Vec<InstanceId>,
    /// Its deployment is done with it.
    pub settle: bool,
    /// Its deployment came closer to its end by it.
    pub closeness: Option<Closeness>,
    /// Look again at this time, even if nothing happens: a launch delay or a node's grace ends, or an instance has
    /// lived for long enough.
    pub wake: Option<Moment>,
}

impl Decision {
    /// Those of the lost ones that are to end when so many of the missing ones are launched: one without a successor
    /// goes on if its node returns.
    pub fn replaced(&self, launched: u32) -> &[InstanceId] {
        let without_successor = self.missing.saturating_sub(launched) as usize;
        &self.lost[..self.lost.len().saturating_sub(without_successor)]
    }
}

/// An app's instances by what is to become of them.
#[derive(Default)]
struct Sets<'a> {
    /// Wanted ones that run what is wanted.
    new: Vec<&'a Arc<Instance>>,
    /// Wanted ones that are out of date, while a deployment replaces them.
    old: Vec<&'a Arc<Instance>>,
    /// Wanted ones that run what is wanted, on lost nodes, and were given up.
    lost: Vec<&'a Arc<Instance>>,
    /// Those that end whatever else is decided.
    gone: Vec<(InstanceId, StopReason)>,
    /// How many are on their way out, and still hold a container.
    n_stopping: u32,
    /// How many of those are out of date.
    n_old_stopping: u32,
    wake: Option<Moment>,
}

/// What the app needs next, as of `now`.
pub fn decide(state: &State, app: &App, now: Moment) -> Decision {
    let sets = sort(state, app, now);
    let proof = Proof::of(state, app, now);
    let mut decision = Decision { stop: sets.gone.clone(), wake: sets.wake, ..Decision::default() };
    if app.removing {
        let left = sets.new.iter().chain(&sets.old).chain(&sets.lost);
        decision.stop.extend(left.map(|it| (it.id, StopReason::Removed)));
    } else {
        count(state, app, &proof, &sets, &mut decision);
        hold_back(app, now, &mut decision);
    }
    if let Some(change) = state.change_of(app)
        && app.held.is_none()
    {
        decision.settle = is_settled_with(state, app, &proof, &sets);
        let closeness = closeness(state, app, &proof, &sets);
        decision.closeness = (!decision.settle && closeness.beats(change.closeness)).then_some(closeness);
        let next = if decision.settle { None } else { proof.next(state, app, &sets.new) };
        decision.wake = decision.wake.into_iter().chain(next).min();
    }
    decision
}

fn closeness(state: &State, app: &App, proof: &Proof, sets: &Sets<'_>) -> Closeness {
    let wanted = if app.removing { 0 } else { app.aim().map_or(0, |it| it.spec.instances) };
    let n_new = sets.new.len() as u32;
    let serving =
        sets.new.iter().filter(|it| app.is_judged_as_wanted(it) && proof.counts(state, app, it)).count() as u32;
    let left = sets.old.len() as u32 + sets.n_stopping + n_new.saturating_sub(wanted);
    Closeness { serving: serving.min(wanted), left }
}

/// When an instance has taken too long to start; absent if it runs, or nobody can say.
pub fn stuck_at(state: &State, instance: &Instance) -> Option<Moment> {
    let limit = state.settings().launch_timeout_ms;
    let staging = instance.condition == Condition::Staging && instance.goal == Goal::Run;
    (staging && limit > 0 && !state.is_unreachable(instance)).then(|| instance.news_at.plus_ms(limit))
}

/// Whether a deployment is done with the app: as many as wanted have lived as they are, and nothing else is left.
pub fn is_settled(state: &State, app: &App) -> bool {
    let now = state.moment();
    is_settled_with(state, app, &Proof::of(state, app, now), &sort(state, app, now))
}

fn is_settled_with(state: &State, app: &App, proof: &Proof, sets: &Sets<'_>) -> bool {
    if sets.n_stopping > 0 || !sets.old.is_empty() {
        return false;
    }
    if app.removing {
        return sets.new.is_empty();
    }
    let done = |it: &&&Arc<Instance>| app.is_judged_as_wanted(it) && proof.has_lived(state, app, it);
    let wanted = app.aim().map_or(0, |it| it.spec.instances) as usize;
    sets.new.len() == wanted && sets.new.iter().filter(done).count() == wanted
}

fn sort<'a>(state: &'a State, app: &'a App, now: Moment) -> Sets<'a> {
    let mut sets = Sets::default();
    for instance in state.instances_of(app) {
        let is_lost = state.is_unreachable(instance);
        let given_up_at = given_up_at(state, app, instance).filter(|_| instance.is_wanted());
        let stuck_at = stuck_at(state, instance);
        if instance.goal != Goal::Run {
            let stopping = u32::from(!instance.has_ended() && !is_lost);
            sets.n_stopping += stopping;
            sets.n_old_stopping += if app.is_current(instance) { 0 } else { stopping };
        } else if instance.has_ended() {
            sets.gone.push((instance.id, StopReason::Ended));
        } else if given_up_at.is_some_and(|it| it <= now) {
            if app.is_turning() && !app.is_current(instance) {
                sets.gone.push((instance.id, StopReason::Lost));
            } else {
                sets.lost.push(instance);
            }
        } else if instance.health == Health::Failed && !is_lost {
            sets.gone.push((instance.id, StopReason::Unhealthy));
            sets.n_stopping += 1;
            sets.n_old_stopping += u32::from(!app.is_current(instance));
        } else if stuck_at.is_some_and(|it| it <= now) {
            sets.gone.push((instance.id, StopReason::Stuck));
            sets.n_stopping += 1;
            sets.n_old_stopping += u32::from(!app.is_current(instance));
        } else if app.is_turning() && !app.is_current(instance) {
            sets.old.push(instance);
        } else {
            sets.new.push(instance);
        }
        let timers = [sets.wake, stuck_at.filter(|it| *it > now), given_up_at.filter(|it| *it > now)];
        sets.wake = timers.into_iter().flatten().min();
    }
    sets
}

/// When an instance is given up because its node is lost; absent if that is not lost, or the app waits for ever.
fn given_up_at(state: &State, app: &App, instance: &Instance) -> Option<Moment> {
    if !state.is_unreachable(instance) {
        return None;
    }
    let NodeStatus::Lost { moment, .. } = state.nodes.get(&instance.node)?.status else { return None };
    match app.aim().unwrap_or(&app.current).spec.policy.unreachable {
        Unreachable::Disabled => None,
        Unreachable::After { inactive_ms, .. } => Some(moment.plus_ms(inactive_ms)),
    }
}

/// Whether an instance's node was lost for so long that another one is to take its place.
pub fn is_given_up(state: &State, app: &App, instance: &Instance, now: Moment) -> bool {
    given_up_at(state, app, instance).is_some_and(|it| it <= now)
}

fn count(state: &State, app: &App, proof: &Proof, sets: &Sets<'_>, decision: &mut Decision) {
    let Some(aim) = app.aim() else { return };
    let wanted = aim.spec.instances;
    let n_new = sets.new.len() as u32;
    let missing = wanted.saturating_sub(n_new);
    decision.missing = missing;
    decision.lost = by_dispensability(state, app, proof, &sets.lost).into_iter().map(|it| it.id).collect();
    let replacing = app.is_turning() && (!sets.old.is_empty() || sets.n_old_stopping > 0);
    if replacing {
        let (min_healthy, max_running) = aim.limits();
        let existing = n_new + sets.old.len() as u32 + sets.n_stopping;
        decision.launch = missing.min(max_running.saturating_sub(existing));
        let serving = sets.new.iter().chain(&sets.old).filter(|it| proof.counts(state, app, it)).count();
        let mut spare = (serving as u32).saturating_sub(min_healthy) as usize;
        for old in by_dispensability(state, app, proof, &sets.old) {
            // One that does not serve is no loss.
            if proof.counts(state, app, old) {
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
    decision.follow = proof.followers(state, app, &sets.new);
    if surplus > 0 {
        let spared = by_dispensability(state, app, proof, &sets.new).into_iter().take(surplus);
        decision.stop.extend(spared.map(|it| (it.id, StopReason::Surplus)));
    }
}

/// Launches wait while the app's delay runs.
fn hold_back(app: &App, now: Moment, decision: &mut Decision) {
    let until = app.backoff.until;
    if decision.launch > 0 && now < until {
        decision.launch = 0;
        decision.wake = Some(decision.wake.map_or(until, |it| it.min(until)));
    }
}

/// Which instances count as serving, as of a moment.
///
/// An old instance counts while it serves. A new one takes an old one's place, so more is asked of it: that it has
/// lived for a while, healthy and ready all the time; what is wrong with a version mostly shows in its first seconds.
/// One wait is enough for all: once an instance of what is aimed at has lived for so long, and none of them has failed
/// meanwhile, the others count as soon as they are good (`docs/decisions/0034-new-instances-live-first.md`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    now: Moment,
    live_ms: u64,
    /// When the last instance of what is aimed at failed.
    failed_at: Moment,
    /// One has lived since.
    proven: bool,
    /// One has lived under the health checks that the others are yet to be told.
    passed: bool,
    /// So many were told, and have not lived under them yet.
    pub(crate) on_trial: u32,
}

impl Proof {
    pub(crate) fn of(state: &State, app: &App, now: Moment) -> Self {
        let policy = app.aim().map(|it| &it.spec.policy);
        let mut proof = Self {
            // What was seen already was not seen in the future.
            now: now.max(state.moment()),
            live_ms: policy.map_or(0, |it| state.min_live_ms(it)),
            failed_at: app.backoff.failed_at,
            proven: false,
            passed: false,
            on_trial: 0,
        };
        if !app.is_turning() {
            return proof;
        }
        let here = |it: &&Arc<Instance>| it.is_wanted() && app.is_current(it) && !state.is_unreachable(it);
        for instance in state.instances_of(app).filter(here) {
            let is_good = app.good_since(instance);
            proof.proven |= is_good.is_some_and(|since| proof.proves_at(since) <= proof.now);
            if !app.is_behind(instance) {
                let has_lived =
                    app.is_judged(instance) && is_good.is_some_and(|since| proof.lives_at(since) <= proof.now);
                proof.passed |= has_lived;
                proof.on_trial += u32::from(!has_lived);
            }
        }
        proof
    }

    /// Whether an instance counts.
    pub(crate) fn counts(&self, state: &State, app: &App, instance: &Instance) -> bool {
        if !app.is_turning() || !app.is_current(instance) {
            return app.is_served_by(instance) && !state.is_unreachable(instance);
        }
        let is_good = app.good_since(instance).is_some_and(|it| self.proven || self.lives_at(it) <= self.now);
        is_good && !state.is_unreachable(instance)
    }

    /// Whether an instance has been good for as long as a new one has to.
    fn has_lived(&self, state: &State, app: &App, instance: &Instance) -> bool {
        app.good_since(instance).is_some_and(|it| self.lives_at(it) <= self.now) && !state.is_unreachable(instance)
    }

    /// Whether an instance that is behind may be told now by which health checks it is judged: one is, then those that
    /// are left when that one has lived under them. Who does not serve has nothing to lose.
    pub(crate) fn may_follow(&self, app: &App, instance: &Instance) -> bool {
        self.passed || self.on_trial == 0 || !app.is_served_by(instance)
    }

    fn followers(mut self, state: &State, app: &App, instances: &[&Arc<Instance>]) -> Vec<InstanceId> {
        let mut followers = Vec::new();
        let behind = |it: &&&Arc<Instance>| app.is_turning() && app.is_behind(it) && !state.is_unreachable(it);
        for instance in instances.iter().filter(behind) {
            if self.may_follow(app, instance) {
                self.on_trial += 1;
                followers.push(instance.id);
            }
        }
        followers
    }

    /// When the next of these will have lived, or will prove what is aimed at.
    fn next(&self, state: &State, app: &App, instances: &[&Arc<Instance>]) -> Option<Moment> {
        let reachable = instances.iter().filter(|it| !state.is_unreachable(it));
        let moments =
            reachable.filter_map(|it| app.good_since(it)).flat_map(|it| [self.lives_at(it), self.proves_at(it)]);
        moments.filter(|it| *it > self.now).min()
    }

    const fn lives_at(&self, since: Moment) -> Moment {
        since.plus_ms(self.live_ms)
    }

    /// When an instance that has been good since then proves what it runs.
    fn proves_at(&self, since: Moment) -> Moment {
        since.max(self.failed_at).plus_ms(self.live_ms)
    }
}

/// The instances in the order in which they can be spared: those that do not count first, among them those of lost
/// nodes, then those whose group by the app's GROUP_BY constraints is the fullest, then by the app's choice.
fn by_dispensability<'a>(
    state: &State,
    app: &App,
    proof: &Proof,
    instances: &[&'a Arc<Instance>],
) -> Vec<&'a Arc<Instance>> {
    let policy = &app.aim().unwrap_or(&app.current).spec.policy;
    let mut ordered = instances.to_vec();
    if policy.kill_selection == KillSelection::YoungestFirst {
        ordered.reverse();
    }
    ordered.sort_by_cached_key(|it| {
        let (reachable, serves) = (!state.is_unreachable(it), app.is_served_by(it));
        (proof.counts(state, app, it), reachable, serves, it.is_running())
    });
    let spread: Vec<&str> =
        policy.constraints.iter().filter(|it| it.operator == Operator::GroupBy).map(|it| it.field.as_str()).collect();
    if spread.is_empty() { ordered } else { evenly(state, app, proof, ordered, &spread) }
}

/// Instances of one group, each with its place in the order.
type Queue<'a> = VecDeque<(usize, &'a Arc<Instance>)>;

/// Takes from the fullest group each time, so that what is left stays even; within a group, and among those that do
/// not serve, the order stays.
fn evenly<'a>(
    state: &State,
    app: &App,
    proof: &Proof,
    ordered: Vec<&'a Arc<Instance>>,
    fields: &[&str],
) -> Vec<&'a Arc<Instance>> {
    let group = |it: &Arc<Instance>| -> Vec<Option<String>> {
        let node = state.node(&it.node);
        fields.iter().map(|field| node.and_then(|it| it.field(field)).map(str::to_owned)).collect()
    };
    let (idle, serving): (Vec<_>, Vec<_>) = ordered.into_iter().partition(|it| !proof.counts(state, app, it));
    let mut queues: BTreeMap<Vec<Option<String>>, Queue<'a>> = BTreeMap::new();
    for (n, instance) in serving.into_iter().enumerate() {
        queues.entry(group(instance)).or_default().push_back((n, instance));
    }
    let mut even = idle;
    loop {
        // The fullest; among equals the one whose first would be next anyway.
        let fullest = queues.values_mut().filter(|it| !it.is_empty()).max_by_key(|it| (it.len(), Reverse(it[0].0)));
        let Some((_, next)) = fullest.and_then(VecDeque::pop_front) else { return even };
        even.push(next);
    }
}

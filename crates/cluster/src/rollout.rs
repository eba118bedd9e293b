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
use crate::roster::{Ages, Members};
use crate::state::State;
use crate::work;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::Peekable;
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
    /// So many on lost nodes were given up.
    pub n_lost: u32,
    /// Those of them that end if all are launched that may be, the most dispensable first.
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
        let n = (self.n_lost + launched).saturating_sub(self.missing) as usize;
        &self.lost[..n.min(self.lost.len())]
    }
}

/// An app's instances by what is to become of them.
#[derive(Default)]
struct Sets<'a> {
    /// Wanted ones that run what is wanted.
    new: Vec<Alike<'a>>,
    /// Wanted ones that are out of date, while a deployment replaces them.
    old: Vec<Alike<'a>>,
    /// Wanted ones that run what is wanted, on lost nodes, and were given up.
    lost: Vec<Alike<'a>>,
    /// Those that end whatever else is decided.
    gone: Vec<(InstanceId, StopReason)>,
    /// How many are on their way out, and still hold a container.
    n_stopping: u32,
    /// How many of those are out of date.
    n_old_stopping: u32,
    wake: Option<Moment>,
}

/// Instances of one kind.
struct Alike<'a> {
    members: &'a Members,
    /// One of them, who answers for all.
    one: &'a Arc<Instance>,
    /// Those of the kind that something else is to become of.
    without: BTreeSet<InstanceId>,
}

impl<'a> Alike<'a> {
    fn len(&self) -> usize {
        self.members.ids().len() - self.without.len()
    }

    /// All of them, oldest first.
    fn ids(&self) -> impl DoubleEndedIterator<Item = InstanceId> + use<'a, '_> {
        let all = self.members.ids().iter().inspect(|_| work::did(1));
        all.copied().filter(|it| !self.without.contains(it))
    }
}

fn n_of(sets: &[Alike<'_>]) -> u32 {
    sets.iter().map(Alike::len).sum::<usize>() as u32
}

/// All of these, oldest first.
fn by_age(sets: &[Alike<'_>]) -> Vec<InstanceId> {
    let mut all: Vec<InstanceId> = sets.iter().flat_map(Alike::ids).collect();
    all.sort_unstable();
    all
}

/// What the app needs next, as of `now`.
pub fn decide(state: &State, app: &App, now: Moment) -> Decision {
    let sets = sort(state, app, now);
    let proof = Proof::of(state, app, now);
    let mut decision = Decision { stop: sets.gone.clone(), wake: sets.wake, ..Decision::default() };
    if app.removing {
        let left = [&sets.new, &sets.old, &sets.lost].into_iter().flat_map(|it| by_age(it));
        decision.stop.extend(left.map(|it| (it, StopReason::Removed)));
    } else {
        tally(state, app, &proof, &sets, &mut decision);
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
    let judged = sets.new.iter().filter(|it| app.is_judged_as_wanted(it.one));
    let serving = judged.map(|it| proof.n_counting(state, app, it.members, it.one)).sum::<usize>() as u32;
    let left = n_of(&sets.old) + sets.n_stopping + n_of(&sets.new).saturating_sub(wanted);
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
    let wanted = app.aim().map_or(0, |it| it.spec.instances);
    let done = |it: &Alike<'_>| app.is_judged_as_wanted(it.one) && proof.have_lived(state, app, it);
    n_of(&sets.new) == wanted && sets.new.iter().all(done)
}

fn sort<'a>(state: &'a State, app: &App, now: Moment) -> Sets<'a> {
    let mut sets = Sets::default();
    let limit_ms = state.settings().launch_timeout_ms;
    for (_, members, one) in state.kinds(&app.id) {
        let (n, is_lost, is_old) = (members.ids().len() as u32, state.is_unreachable(one), !app.is_current(one));
        let given_up_at = given_up_at(state, app, one).filter(|_| one.is_wanted());
        let (mut stuck, mut stuck_at) = (BTreeSet::new(), None);
        if self::stuck_at(state, one).is_some() {
            let mut by_news = members.by_news().iter().map(|(news_at, id)| (news_at.plus_ms(limit_ms), *id)).peekable();
            while let Some((_, id)) = by_news.next_if(|(at, _)| *at <= now) {
                stuck.insert(id);
            }
            stuck_at = by_news.next().map(|(at, _)| at);
        }
        let mut end = |ids: &mut dyn Iterator<Item = InstanceId>, why| sets.gone.extend(ids.map(|it| (it, why)));
        let all = &mut members.ids().iter().copied().inspect(|_| work::did(1));
        if one.goal != Goal::Run {
            let n_stopping = if one.has_ended() || is_lost { 0 } else { n };
            sets.n_stopping += n_stopping;
            sets.n_old_stopping += if is_old { n_stopping } else { 0 };
        } else if one.has_ended() {
            end(all, StopReason::Ended);
        } else if given_up_at.is_some_and(|it| it <= now) {
            if app.is_turning() && is_old {
                end(all, StopReason::Lost);
            } else {
                sets.lost.push(Alike { members, one, without: BTreeSet::new() });
            }
        } else if one.health == Health::Failed && !is_lost {
            end(all, StopReason::Unhealthy);
            sets.n_stopping += n;
            sets.n_old_stopping += if is_old { n } else { 0 };
        } else {
            let n_stuck = stuck.len() as u32;
            end(&mut stuck.iter().copied(), StopReason::Stuck);
            sets.n_stopping += n_stuck;
            sets.n_old_stopping += if is_old { n_stuck } else { 0 };
            let rest = Alike { members, one, without: stuck };
            if n_stuck == n {
            } else if app.is_turning() && is_old {
                sets.old.push(rest);
            } else {
                sets.new.push(rest);
            }
        }
        let timers = [sets.wake, stuck_at, given_up_at.filter(|it| *it > now)];
        sets.wake = timers.into_iter().flatten().min();
    }
    sets.gone.sort_unstable_by_key(|it| it.0);
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

fn tally(state: &State, app: &App, proof: &Proof, sets: &Sets<'_>, decision: &mut Decision) {
    let Some(aim) = app.aim() else { return };
    let wanted = aim.spec.instances;
    let (n_new, n_old, n_lost) = (n_of(&sets.new), n_of(&sets.old), n_of(&sets.lost));
    let missing = wanted.saturating_sub(n_new);
    decision.missing = missing;
    let replacing = app.is_turning() && (n_old > 0 || sets.n_old_stopping > 0);
    if replacing {
        let (min_healthy, max_running) = aim.limits();
        let existing = n_new + n_old + sets.n_stopping;
        decision.launch = missing.min(max_running.saturating_sub(existing));
        let existing_sets = sets.new.iter().chain(&sets.old);
        let serving: usize = existing_sets.map(|it| proof.n_counting(state, app, it.members, it.one)).sum();
        let spare = (serving as u32).saturating_sub(min_healthy) as usize;
        // One that does not serve is no loss.
        let (idle, serving) = by_dispensability(state, app, proof, &sets.old);
        decision.stop.extend(idle.chain(serving.take(spare)).map(|it| (it, StopReason::Replaced)));
    } else {
        decision.launch = missing;
    }
    decision.n_lost = n_lost;
    let (idle, serving) = by_dispensability(state, app, proof, &sets.lost);
    let n_replaced = (n_lost + decision.launch).saturating_sub(missing) as usize;
    decision.lost = idle.chain(serving).take(n_replaced).collect();
    let surplus = n_new.saturating_sub(wanted) as usize;
    decision.follow = proof.followers(state, app, &sets.new);
    if surplus > 0 {
        let (idle, serving) = by_dispensability(state, app, proof, &sets.new);
        decision.stop.extend(idle.chain(serving).take(surplus).map(|it| (it, StopReason::Surplus)));
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
    /// Some were told, and have not lived under them yet.
    pub(crate) on_trial: bool,
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
            on_trial: false,
        };
        if !app.is_turning() {
            return proof;
        }
        let here = |it: &Arc<Instance>| it.is_wanted() && app.is_current(it) && !state.is_unreachable(it);
        for (_, members, one) in state.kinds(&app.id).filter(|it| here(it.2)) {
            let ages = proof.ages(state, app, members, one);
            let first = ages.as_ref().and_then(Ages::first);
            proof.proven |= first.is_some_and(|since| proof.proves_at(since) <= proof.now);
            if !app.is_behind(one) {
                let judged = ages.filter(|_| app.is_judged(one));
                proof.passed |=
                    judged.as_ref().and_then(Ages::first).is_some_and(|since| proof.lives_at(since) <= proof.now);
                proof.on_trial |= judged.is_none_or(|it| !it.all_since(proof.lived_since()));
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

    /// How many instances of a kind count.
    pub(crate) fn n_counting(&self, state: &State, app: &App, members: &Members, one: &Instance) -> usize {
        let has_to_live = app.is_turning() && app.is_current(one) && !self.proven;
        if !has_to_live {
            return if self.counts(state, app, one) { members.ids().len() } else { 0 };
        }
        let ages = self.ages(state, app, members, one).filter(|_| !state.is_unreachable(one));
        ages.map_or(0, |it| it.n_since(self.lived_since()))
    }

    /// Whether all of these have been good for as long as a new one has to.
    fn have_lived(&self, state: &State, app: &App, alike: &Alike<'_>) -> bool {
        let ages = self.ages(state, app, alike.members, alike.one);
        ages.is_some_and(|it| it.all_since(self.lived_since())) && !state.is_unreachable(alike.one)
    }

    /// Since when all instances of a kind are good; absent: they are not.
    fn ages<'a>(&self, state: &State, app: &App, members: &'a Members, one: &Instance) -> Option<Ages<'a>> {
        app.good_since(one).map(|_| members.ages(&state.instances, app, one, self.lived_since()))
    }

    /// Who has been good since then has lived for as long as a new one has to; absent: nobody can have.
    fn lived_since(&self) -> Option<Moment> {
        self.now.0.checked_sub(self.live_ms).map(Moment)
    }

    /// Whether an instance that is behind may be told now by which health checks it is judged: one is, then those that
    /// are left when that one has lived under them. Who does not serve has nothing to lose.
    pub(crate) fn may_follow(&self, app: &App, instance: &Instance) -> bool {
        self.passed || !self.on_trial || !app.is_served_by(instance)
    }

    fn followers(&self, state: &State, app: &App, instances: &[Alike<'_>]) -> Vec<InstanceId> {
        let behind = |it: &&Alike<'_>| app.is_turning() && app.is_behind(it.one) && !state.is_unreachable(it.one);
        let behind: Vec<&Alike<'_>> = instances.iter().filter(behind).collect();
        // The first of all may, where none is on trial; then it is.
        let first = behind.iter().filter_map(|it| it.ids().next()).min().filter(|_| !self.on_trial);
        let on_trial = Self { on_trial: true, ..*self };
        let may = behind.iter().filter(|it| on_trial.may_follow(app, it.one)).flat_map(|it| it.ids());
        let followers: BTreeSet<InstanceId> = may.chain(first).collect();
        followers.into_iter().collect()
    }

    /// When the next of these will have lived, or will prove what is aimed at.
    fn next(&self, state: &State, app: &App, instances: &[Alike<'_>]) -> Option<Moment> {
        let reachable = instances.iter().filter(|it| !state.is_unreachable(it.one));
        let moments = reachable.filter_map(|it| self.ages(state, app, it.members, it.one)).flat_map(|it| {
            let lives = it.after(self.lived_since()).next().map(|(since, _)| self.lives_at(*since));
            [lives, it.first().map(|since| self.proves_at(since))]
        });
        moments.flatten().filter(|it| *it > self.now).min()
    }

    const fn lives_at(&self, since: Moment) -> Moment {
        since.plus_ms(self.live_ms)
    }

    /// When an instance that has been good since then proves what it runs.
    fn proves_at(&self, since: Moment) -> Moment {
        since.max(self.failed_at).plus_ms(self.live_ms)
    }
}

/// The instances in the order in which they can be spared: first those that do not count, among them those of lost
/// nodes; then the others, first those whose group by the app's GROUP_BY constraints is the fullest, then by the app's
/// choice. Both are as lazy as can be: mostly the first few are asked for.
fn by_dispensability<'a>(
    state: &'a State,
    app: &'a App,
    proof: &Proof,
    sets: &'a [Alike<'a>],
) -> (impl Iterator<Item = InstanceId> + 'a, Box<dyn Iterator<Item = InstanceId> + 'a>) {
    let policy = &app.aim().unwrap_or(&app.current).spec.policy;
    // What makes one more dispensable than another; less is more.
    let mut ranked: BTreeMap<[bool; 4], Vec<Box<dyn DoubleEndedIterator<Item = InstanceId> + 'a>>> = BTreeMap::new();
    for alike in sets {
        let one = alike.one;
        let rank = |counts| [counts, !state.is_unreachable(one), app.is_served_by(one), one.is_running()];
        let n_counting = proof.n_counting(state, app, alike.members, one);
        if n_counting == 0 || n_counting == alike.len() {
            ranked.entry(rank(n_counting > 0)).or_default().push(Box::new(alike.ids()));
        } else {
            let ages = proof.ages(state, app, alike.members, one);
            let young = |it: &Ages<'_>| it.after(proof.lived_since()).map(|(_, id)| *id).collect();
            let young: BTreeSet<InstanceId> = ages.as_ref().map(young).unwrap_or_default();
            let rest = young.clone();
            ranked.entry(rank(false)).or_default().push(Box::new(young.into_iter()));
            ranked.entry(rank(true)).or_default().push(Box::new(alike.ids().filter(move |it| !rest.contains(it))));
        }
    }
    let youngest_first = policy.kill_selection == KillSelection::YoungestFirst;
    let (serving, idle): (Vec<_>, Vec<_>) = ranked.into_iter().partition(|(rank, _)| rank[0]);
    let in_order = move |(_, all): (_, Vec<_>)| merged(all, youngest_first);
    let idle = idle.into_iter().flat_map(in_order);
    let serving = serving.into_iter().flat_map(in_order);
    let spread: Vec<&str> =
        policy.constraints.iter().filter(|it| it.operator == Operator::GroupBy).map(|it| it.field.as_str()).collect();
    if spread.is_empty() {
        return (idle, Box::new(serving));
    }
    (idle, Box::new(std::iter::once_with(move || evenly(state, serving, &spread)).flatten()))
}

/// Merges what is in order.
fn merged<'a>(
    all: Vec<Box<dyn DoubleEndedIterator<Item = InstanceId> + 'a>>,
    backwards: bool,
) -> impl Iterator<Item = InstanceId> + 'a {
    type Ordered<'a> = Peekable<Box<dyn Iterator<Item = InstanceId> + 'a>>;
    let ordered = |it: Box<dyn DoubleEndedIterator<Item = InstanceId> + 'a>| -> Ordered<'a> {
        if backwards {
            (Box::new(it.rev()) as Box<dyn Iterator<Item = InstanceId> + 'a>).peekable()
        } else {
            (it as Box<dyn Iterator<Item = InstanceId> + 'a>).peekable()
        }
    };
    let mut all: Vec<Ordered<'a>> = all.into_iter().map(ordered).collect();
    std::iter::from_fn(move || {
        let heads = all.iter_mut().enumerate().filter_map(|(n, it)| Some((*it.peek()?, n)));
        let (_, n) = if backwards { heads.max() } else { heads.min() }?;
        all[n].next()
    })
}

/// Instances of one group, each with its place in the order.
type Queue = VecDeque<(usize, InstanceId)>;

/// Takes from the fullest group each time, so that what is left stays even; within a group the order stays.
fn evenly(state: &State, ordered: impl Iterator<Item = InstanceId>, fields: &[&str]) -> Vec<InstanceId> {
    let group = |it: InstanceId| -> Vec<Option<String>> {
        let node = state.instance(it).and_then(|it| state.node(&it.node));
        fields.iter().map(|field| node.and_then(|it| it.field(field)).map(str::to_owned)).collect()
    };
    let mut queues: BTreeMap<Vec<Option<String>>, Queue> = BTreeMap::new();
    for (n, instance) in ordered.enumerate() {
        queues.entry(group(instance)).or_default().push_back((n, instance));
    }
    let mut even = Vec::new();
    loop {
        // The fullest; among equals the one whose first would be next anyway.
        let fullest = queues.values_mut().filter(|it| !it.is_empty()).max_by_key(|it| (it.len(), Reverse(it[0].0)));
        let Some((_, next)) = fullest.and_then(VecDeque::pop_front) else { return even };
        even.push(next);
    }
}

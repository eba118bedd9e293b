//! Why something waits: answers for people, computed when they ask.

use crate::model::{App, AppId, Deployment, Goal, Health, Instance, Moment, NodeId, Timestamp};
use crate::place::{Reason, Rules};
use crate::rollout;
use crate::state::State;
use std::collections::BTreeMap;

/// An app that misses instances, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which app.
    pub app: AppId,
    /// How many instances it misses.
    pub count: u32,
    /// Since when: its last change or its last failure.
    pub since: Timestamp,
    /// Launches are delayed until then, after failures.
    pub backoff_until: Option<Moment>,
    /// For each reason of the funnel, in its order: how many nodes declined for it, and how many were asked.
    pub reasons: Vec<(Reason, u32, u32)>,
    /// How many nodes decline.
    pub n_declining: u32,
    /// Nodes that decline: why, and what is missing there. Some of each reason, by name.
    pub nodes: Vec<(NodeId, Reason, String)>,
}

/// So many nodes are named for each reason: more would be read by nobody, and there are as many as nodes for each app
/// that waits.
pub const NODES_NAMED: usize = 20;

/// What a deployment waits for is told in so many sentences.
pub const SENTENCES: usize = 20;

/// A sentence has at most so many bytes of what others said, such as Docker.
const QUOTE_BYTES: usize = 512;

/// What is kept of why a deployment has failed has at most so many bytes.
const REASON_BYTES: usize = 4096;

/// The apps that miss instances.
pub fn waiting(state: &State, now: Moment) -> Vec<Waiting> {
    state.apps().filter_map(|it| app(state, it, now)).collect()
}

/// Why an app misses instances; none if it does not.
pub fn app(state: &State, app: &App, now: Moment) -> Option<Waiting> {
    if app.removing {
        return None;
    }
    let here = |it: &Instance| {
        it.is_wanted() && (!app.is_turning() || app.is_current(it)) && !rollout::is_given_up(state, app, it, now)
    };
    let there = state.instances_of(app).filter(|it| here(it)).count() as u32;
    let count = app.aim().map_or(0, |it| it.spec.instances).saturating_sub(there);
    if count == 0 {
        return None;
    }
    let rules = Rules::of(state, app, now);
    let (mut nodes, mut declined) = (Vec::new(), BTreeMap::<Reason, u32>::new());
    for node in state.nodes() {
        let Some(reason) = rules.refusal(node) else { continue };
        let n = declined.entry(reason).or_default();
        *n += 1;
        if *n as usize <= NODES_NAMED {
            nodes.push((node.id().clone(), reason, clipped(&rules.detail(node, reason))));
        }
    }
    let mut asked = state.n_nodes() as u32;
    let mut reasons = Vec::new();
    for reason in Reason::FUNNEL {
        let declined = declined.get(&reason).copied().unwrap_or(0);
        reasons.push((reason, declined, asked));
        asked -= declined;
    }
    let n_declining = declined.values().sum();
    let since = app.current.version.max(app.last_failure.as_ref().map_or(Timestamp(0), |it| it.at));
    let backoff_until = Some(app.backoff.until).filter(|it| *it > now);
    Some(Waiting { app: app.id.clone(), count, since, backoff_until, reasons, n_declining, nodes })
}

/// What a deployment waits for, in some sentences; empty once it has ended.
pub fn deployment(state: &State, deployment: &Deployment, now: Moment) -> Vec<String> {
    let open = deployment.changes.iter().filter(|(_, it)| !it.settled && deployment.is_active());
    let (turn, later): (Vec<_>, Vec<_>) = open.partition(|(_, it)| it.step <= deployment.step);
    let n_turn = turn.len();
    let mut sentences = Vec::new();
    for (n, app) in turn.into_iter().enumerate() {
        if sentences.len() >= SENTENCES {
            sentences.push(format!("and {} more apps", n_turn - n));
            break;
        }
        sentences.extend(state.app(app.0).into_iter().flat_map(|it| of_app(state, it, now)));
    }
    if !later.is_empty() {
        let mut apps: Vec<String> = later.iter().take(NODES_NAMED).map(|(app, _)| app.to_string()).collect();
        apps.extend(later.len().checked_sub(NODES_NAMED + 1).map(|it| format!("{} more", it + 1)));
        sentences.push(format!("{} wait for those that they depend on", apps.join(", ")));
    }
    sentences
}

/// Why a deployment has failed, when it made no progress until its deadline.
pub fn overdue(state: &State, deployment: &Deployment, now: Moment) -> String {
    let seconds = deployment.deadline_ms / 1000;
    let sentences = self::deployment(state, deployment, now);
    cut(&format!("no progress for {seconds} s; {}", sentences.join("; ")), REASON_BYTES)
}

/// What others said, as far as it goes into a sentence.
fn clipped(text: &str) -> String {
    cut(text, QUOTE_BYTES)
}

fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes)])
}

fn of_app(state: &State, app: &App, now: Moment) -> Vec<String> {
    let id = &app.id;
    let mut sentences = Vec::new();
    if let Some(waiting) = self::app(state, app, now) {
        sentences.push(sentence(state, app, &waiting, now));
    }
    let mut groups: BTreeMap<String, u32> = BTreeMap::new();
    for instance in state.instances_of(app) {
        if let Some(wait) = wait_of(state, app, instance, now) {
            *groups.entry(wait).or_default() += 1;
        }
    }
    let n_groups = groups.len();
    sentences.extend(groups.into_iter().take(SENTENCES).map(|(wait, n)| format!("{id}: {n} of its instances {wait}")));
    sentences.extend(n_groups.checked_sub(SENTENCES + 1).map(|n| format!("{id}: and {} other reasons", n + 1)));
    if let Some(failure) = &app.last_failure
        && failure.at.max(failure.version) >= app.current.version
    {
        sentences.push(format!("{id}: last failure on {}: {}", failure.node, clipped(&failure.message)));
    }
    sentences
}

fn sentence(state: &State, app: &App, waiting: &Waiting, now: Moment) -> String {
    let Waiting { app: id, count, backoff_until, reasons, n_declining, nodes, .. } = waiting;
    if let Some(until) = backoff_until {
        let seconds = until.since_ms(now).div_ceil(1000);
        return format!(
            "{id}: {count} to launch; delayed for {seconds} s more after {} failures",
            app.backoff.failures
        );
    }
    if state.n_nodes() == 0 {
        return format!("{id}: {count} to launch; there is no node: start an agent");
    }
    if *n_declining as usize == state.n_nodes() {
        let why: Vec<_> =
            reasons.iter().filter(|it| it.1 > 0).map(|(it, n, _)| format!("{} on {n}", it.name())).collect();
        let example =
            nodes.iter().next_back().map(|(node, _, detail)| format!("; {node}: {detail}")).unwrap_or_default();
        return format!("{id}: {count} to launch; no node takes one: {}{example}", why.join(", "));
    }
    if rollout::decide(state, app, now).launch == 0 {
        return format!(
            "{id}: {count} to launch; the update strategy allows no more at once until others serve or end"
        );
    }
    format!("{id}: {count} to launch")
}

/// What one instance keeps its deployment waiting for.
fn wait_of(state: &State, app: &App, instance: &Instance, now: Moment) -> Option<String> {
    if instance.has_ended() {
        return None;
    }
    if state.is_unreachable(instance) {
        return (instance.goal == Goal::Run).then(|| format!("are on {}, which is lost", instance.node));
    }
    if instance.goal != Goal::Run {
        return Some("are stopping".to_owned());
    }
    if !app.is_current(instance) {
        return Some("are to be replaced".to_owned());
    }
    if !instance.is_running() {
        let message = if instance.message.is_empty() { "are starting" } else { &instance.message };
        return Some(format!("on {}: {}", instance.node, clipped(message)));
    }
    if app.is_served_by(instance) {
        return wait_of_serving(state, app, instance, now);
    }
    let cause = instance.checks.iter().filter(|it| !it.alive).find_map(|it| it.last_failure_cause.clone());
    Some(match (cause, instance.health) {
        (None, _) => "have not passed their health checks yet".to_owned(),
        (Some(cause), Health::Unknown) => format!("have not passed their health checks yet: {}", clipped(&cause)),
        (Some(cause), _) => format!("fail their health checks: {}", clipped(&cause)),
    })
}

/// What one that serves keeps its deployment waiting for.
fn wait_of_serving(state: &State, app: &App, instance: &Instance, now: Moment) -> Option<String> {
    let trial = instance.trial.as_ref().map(|it| format!(": {}", clipped(it))).unwrap_or_default();
    if app.is_behind(instance) {
        return Some("wait with the new health checks until another one has passed them".to_owned());
    }
    if !app.is_judged(instance) {
        return Some(format!("have not passed their new health checks yet{trial}"));
    }
    if !app.is_ready(instance) {
        return Some(match &instance.readiness.response {
            None => "have not passed their readiness check yet".to_owned(),
            Some(response) => format!("are not ready: their readiness check answers {}", response.status),
        });
    }
    let live_ms = app.followed_by(instance).map_or(0, |it| state.min_live_ms(&it.spec.policy));
    let has_lived = app.good_since(instance).is_some_and(|it| it.plus_ms(live_ms) <= now.max(state.moment()));
    (!has_lived).then(|| format!("serve, and count when they have done so for {}", seconds(live_ms)))
}

fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

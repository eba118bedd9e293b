//! Why something waits: answers for people, computed when they ask.

use crate::model::{App, AppId, Deployment, Goal, Instance, Moment, NodeId, Timestamp};
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
    /// Each node that declines: why, and what is missing there.
    pub nodes: Vec<(NodeId, Reason, String)>,
}

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
    let declines = state.nodes().filter_map(|it| Some((it, rules.refusal(it)?)));
    let nodes: Vec<_> = declines.map(|(it, reason)| (it.id().clone(), reason, rules.detail(it, reason))).collect();
    let mut asked = state.n_nodes() as u32;
    let mut reasons = Vec::new();
    for reason in Reason::FUNNEL {
        let declined = nodes.iter().filter(|(_, it, _)| *it == reason).count() as u32;
        reasons.push((reason, declined, asked));
        asked -= declined;
    }
    let since = app.current.version.max(app.last_failure.as_ref().map_or(Timestamp(0), |it| it.at));
    let backoff_until = Some(app.backoff.until).filter(|it| *it > now);
    Some(Waiting { app: app.id.clone(), count, since, backoff_until, reasons, nodes })
}

/// What a deployment waits for, in sentences; empty once it has ended.
pub fn deployment(state: &State, deployment: &Deployment, now: Moment) -> Vec<String> {
    let open = deployment.changes.iter().filter(|(_, it)| !it.settled && deployment.is_active());
    let (turn, later): (Vec<_>, Vec<_>) = open.partition(|(_, it)| it.step <= deployment.step);
    let turn = turn.into_iter().filter_map(|(app, _)| state.app(app));
    let mut sentences: Vec<String> = turn.flat_map(|it| of_app(state, it, now)).collect();
    if !later.is_empty() {
        let apps: Vec<&str> = later.iter().map(|(app, _)| app.as_str()).collect();
        sentences.push(format!("{} wait for those that they depend on", apps.join(", ")));
    }
    sentences
}

/// Why a deployment has failed, when it made no progress until its deadline.
pub fn overdue(state: &State, deployment: &Deployment, now: Moment) -> String {
    let seconds = deployment.deadline_ms / 1000;
    let sentences = self::deployment(state, deployment, now);
    format!("no progress for {seconds} s; {}", sentences.join("; "))
}

fn of_app(state: &State, app: &App, now: Moment) -> Vec<String> {
    let id = &app.id;
    let mut sentences = Vec::new();
    if let Some(waiting) = self::app(state, app, now) {
        sentences.push(sentence(state, app, &waiting, now));
    }
    let mut groups: BTreeMap<String, u32> = BTreeMap::new();
    for instance in state.instances_of(app) {
        if let Some(wait) = wait_of(state, app, instance) {
            *groups.entry(wait).or_default() += 1;
        }
    }
    sentences.extend(groups.into_iter().map(|(wait, n)| format!("{id}: {n} of its instances {wait}")));
    if let Some(failure) = &app.last_failure
        && failure.at.max(failure.version) >= app.current.version
    {
        sentences.push(format!("{id}: last failure on {}: {}", failure.node, failure.message));
    }
    sentences
}

fn sentence(state: &State, app: &App, waiting: &Waiting, now: Moment) -> String {
    let Waiting { app: id, count, backoff_until, reasons, nodes, .. } = waiting;
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
    if nodes.len() == state.n_nodes() {
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
fn wait_of(state: &State, app: &App, instance: &Instance) -> Option<String> {
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
        return Some(format!("on {}: {message}", instance.node));
    }
    if app.is_served_by(instance) && !app.is_judged(instance) {
        return Some("have not been asked by their new health checks yet".to_owned());
    }
    if app.is_served_by(instance) {
        return (!app.is_ready(instance)).then(|| match &instance.readiness.response {
            None => "have not passed their readiness check yet".to_owned(),
            Some(response) => format!("are not ready: their readiness check answers {}", response.status),
        });
    }
    let cause = instance.checks.iter().find_map(|it| it.last_failure_cause.clone());
    Some(match cause {
        None => "have not passed their health checks yet".to_owned(),
        Some(cause) => format!("fail their health checks: {cause}"),
    })
}

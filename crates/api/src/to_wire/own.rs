//! Ekiden's own `/v3`.

use super::{is_listed, task};
use crate::v2::{DeclinedOfferStep, LockingDeployment, Number};
use crate::{time, v3};
use cluster::agent::task_id;
use cluster::{
    App, AppId, Deployment, DeploymentId, FAILURES_KEPT, Failure, Instance, Moment, Node, NodeStatus, Outcome,
    Resources, State, Timestamp, explain,
};

/// Prints a node, with its instances where asked for.
pub fn node(state: &State, it: &Node, with_tasks: bool) -> v3::Node {
    let (status, reason, lost_since) = match (&it.status, it.degraded()) {
        (NodeStatus::Lost { since, .. }, _) => ("lost", None, Some(time::print(*since))),
        (_, Some(reason)) => ("degraded", Some(reason), None),
        _ => ("ready", None, None),
    };
    let description = &it.description;
    v3::Node {
        name: it.id().to_string(),
        address: description.address.clone(),
        status: status.to_owned(),
        reason,
        lost_since,
        capacity: resources(&description.capacity),
        used: resources(&it.used),
        ports: v3::PortRange { first: description.ports.first, last: description.ports.last },
        used_ports: it.ports.len() as u32,
        attributes: description.attributes.clone(),
        versions: description.versions.clone(),
        n_instances: it.instances.len() as u32,
        orphans: orphans(it).collect(),
        tasks: with_tasks
            .then(|| state.instances_on(it).filter(|it| is_listed(it)).map(|it| task(state, it)).collect()),
    }
}

/// Prints the containers on a node that no assignment covers.
pub fn orphans(node: &Node) -> impl Iterator<Item = v3::Orphan> + '_ {
    node.orphans.iter().map(|(id, it)| v3::Orphan {
        id: id.to_string(),
        node: node.id().to_string(),
        app: it.app.clone(),
        made_by: it.made_by.clone(),
        running: it.running,
        reason: it.reason.text().to_owned(),
        since: time::print(it.since),
        removing: it.doomed,
    })
}

fn resources(it: &Resources) -> v3::Resources {
    let mib = |bytes: u64| Number(bytes as f64 / 1_048_576.0);
    v3::Resources { cpus: Number(it.cpu_milli as f64 / 1000.0), mem: mib(it.memory_bytes), disk: mib(it.disk_bytes) }
}

/// Prints a deployment, under way or ended.
pub fn deployment_report(state: &State, it: &Deployment, now: Moment) -> v3::Deployment {
    let (status, by) = match &it.outcome {
        None => ("running", None),
        Some(Outcome::Succeeded) => ("succeeded", None),
        Some(Outcome::Superseded { by }) => ("superseded", Some(by.to_string())),
        Some(Outcome::RolledBack { by }) => ("rolledBack", Some(by.to_string())),
        Some(Outcome::Cancelled) => ("cancelled", None),
        Some(Outcome::Failed { rolled_back_by, .. }) => ("failed", rolled_back_by.map(|it| it.to_string())),
    };
    let changes = it.changes.iter().map(|(app, change)| v3::Change {
        app: app.to_string(),
        action: match (change.from, change.to) {
            (_, None) => "remove",
            (None, _) => "create",
            _ if change.replaces => "replace",
            _ => "scale",
        }
        .to_owned(),
        from: change.from.map(time::print),
        to: change.to.map(time::print),
        settled: change.settled,
        instances: state.app(app).filter(|_| it.is_active()).map(|app| instance_counts(state, app)),
    });
    v3::Deployment {
        id: it.id.to_string(),
        version: time::print(it.version),
        status: status.to_owned(),
        by,
        ended_at: it.ended_at.map(time::print),
        changes: changes.collect(),
        waiting: match &it.outcome {
            Some(Outcome::Failed { reason, .. }) => vec![reason.clone()],
            _ => explain::deployment(state, it, now),
        },
        evidence: evidence_of(state, it),
    }
}

/// How instances failed that a deployment launched: while it is under way, the last of each of its apps; afterwards those
/// that it failed for.
fn evidence_of(state: &State, it: &Deployment) -> Vec<v3::Evidence> {
    if !it.is_active() {
        return it.failures.iter().map(|(app, failure)| evidence(app, failure)).collect();
    }
    let open = it.changes.iter().filter(|(_, it)| !it.settled);
    let last = open.filter_map(|(app, change)| {
        let failure = state.app(app)?.last_failure.as_ref()?;
        (Some(failure.version) == change.to).then(|| evidence(app, failure))
    });
    last.take(FAILURES_KEPT).collect()
}

/// Prints how an instance failed, and what it left behind.
pub(super) fn evidence(app: &AppId, failure: &Failure) -> v3::Evidence {
    let text = |it: &String| Some(it.clone()).filter(|it| !it.is_empty());
    let printed = v3::Evidence {
        app: app.to_string(),
        task: task_id(app, failure.instance),
        node: failure.node.to_string(),
        version: time::print(failure.version),
        at: time::print(failure.at),
        message: failure.message.clone(),
        ..v3::Evidence::default()
    };
    let Some(it) = &failure.evidence else { return printed };
    let line = |it: &cluster::LogLine| v3::LogLine {
        at: it.at.clone(),
        stream: it.stream.name().to_owned(),
        text: it.text.clone(),
    };
    v3::Evidence {
        container: text(&it.container),
        exit_code: it.exit_code,
        signal: it.signal().map(str::to_owned),
        out_of_memory: it.out_of_memory,
        error: text(&it.error),
        health: it.health.as_ref().map(|it| v3::HealthAnswer {
            at: time::print(it.at),
            status: it.status,
            cause: it.cause.clone(),
            body: text(&it.body),
        }),
        lines: it.lines.iter().map(line).collect(),
        more_lines: it.more_lines,
        missing: text(&it.missing),
        ..printed
    }
}

/// Since when a deployment holds its apps, and what it waits for.
pub fn locking_deployment(state: &State, id: DeploymentId, now: Moment) -> LockingDeployment {
    let found = state.deployment(id).filter(|it| it.is_active());
    LockingDeployment {
        id: id.to_string(),
        since: found.map(|it| time::print(it.version)),
        waiting: found.map_or_else(Vec::new, |it| explain::deployment(state, it, now)),
    }
}

/// Why an app misses instances, and what its deployment waits for.
pub fn explanation(state: &State, app: &App, now: (Timestamp, Moment)) -> v3::Explanation {
    let (time, now) = now;
    let waiting = explain::app(state, app, now);
    // On the calendar, where the clock is right; in the cluster's own time anyway.
    let on_calendar = |until: Moment| time::print(time.plus_ms(until.since_ms(now)));
    let deployment = app.deployment.and_then(|it| state.deployment(it));
    let reasons = waiting.iter().flat_map(|it| &it.reasons).map(|(reason, declined, processed)| DeclinedOfferStep {
        reason: reason.name().to_owned(),
        declined: *declined,
        processed: *processed,
    });
    let nodes = waiting.iter().flat_map(|it| &it.nodes).map(|(node, reason, detail)| v3::NodeExplanation {
        node: node.to_string(),
        reason: reason.name().to_owned(),
        detail: detail.clone(),
    });
    v3::Explanation {
        app: app.id.to_string(),
        instances: instance_counts(state, app),
        missing: waiting.as_ref().map_or(0, |it| it.count),
        since: waiting.as_ref().map(|it| time::print(it.since)),
        backoff_until: waiting.as_ref().and_then(|it| it.backoff_until).map(on_calendar),
        deployment: app.deployment.map(|it| it.to_string()),
        waiting: deployment.map_or_else(Vec::new, |it| explain::deployment(state, it, now)),
        reasons: reasons.collect(),
        nodes: nodes.collect(),
        evidence: app.last_failure.as_ref().map(|it| evidence(&app.id, it)),
    }
}

fn instance_counts(state: &State, app: &App) -> v3::InstanceCounts {
    let mut counts = v3::InstanceCounts {
        wanted: if app.removing { 0 } else { app.current.spec.instances },
        ..v3::InstanceCounts::default()
    };
    let is_listed = |it: &&std::sync::Arc<Instance>| is_listed(it);
    for instance in state.instances_of(app).filter(is_listed) {
        let serving = u32::from(app.is_served_by(instance) && !state.is_unreachable(instance));
        if app.is_current(instance) && instance.is_wanted() {
            counts.new_running += u32::from(instance.is_running());
            counts.new_staged += u32::from(!instance.is_running());
            counts.new_serving += serving;
        } else {
            counts.old += 1;
            counts.old_serving += serving;
        }
    }
    counts
}

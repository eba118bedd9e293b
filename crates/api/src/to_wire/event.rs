//! Events: what happened, in Marathon's words. One thing that happened is up to three events there.

use super::task::{addresses, host};
use super::{app, health_check, instance_id, plan, task_id, task_state};
use crate::time;
use crate::v2::EventBody;
use cluster::{
    AppId, AppVersion, Condition, Deployment, Event, Goal, Health, Instance, Node, NodeStatus, Outcome, PathId,
    Principal, State, StopReason, Version,
};

/// The events that Marathon would send. `state` is one in which the event has happened; things that are no longer
/// in it are told of by name. `light` leaves stand-ins for groups out of plans.
pub fn events(state: &State, principal: &Principal, event: &Event, light: bool) -> Vec<EventBody> {
    match event {
        Event::AppPut { version, created } => {
            let mut events = put(principal, version, *created);
            events.extend(checks_changed(state, version, *created));
            events
        }
        Event::AppRemoved { app } => vec![EventBody::AppTerminatedEvent { app_id: app.to_string() }],
        Event::DeploymentStepped { deployment } => stepped(deployment, light),
        Event::DeploymentStarted { deployment } => {
            let mut events = started(principal, deployment, light);
            events.extend(checks_removed(state, deployment));
            events
        }
        Event::DeploymentSettled { deployment, .. } => settled(deployment, light),
        Event::DeploymentEnded { deployment } => ended(deployment, light),
        Event::InstanceLaunched { instance } => status(state, instance, "TASK_STAGING", "launched"),
        Event::InstanceStopping { instance } => stopping(state, instance),
        Event::InstanceChanged { instance } => status(state, instance, task_state(state, instance), &message(instance)),
        Event::HealthChanged { instance, before } => health(state, instance, *before),
        Event::InstanceRemoved { instance } if !instance.has_ended() => {
            vec![EventBody::UnknownInstanceTerminatedEvent {
                instance_id: instance_id(&instance.app, instance.id),
                run_spec_id: instance.app.to_string(),
                condition: "Gone".to_owned(),
            }]
        }
        Event::NodeChanged { node } => node_changed(state, node),
        Event::InstanceRemoved { .. }
        | Event::InstanceReady { .. }
        | Event::InstanceTold { .. }
        | Event::BackoffReset { .. }
        | Event::GroupChanged { .. }
        | Event::ReservationChanged { .. }
        | Event::NodeJudged { .. }
        | Event::OrphansChanged { .. }
        | Event::NodeRemoved { .. } => Vec::new(),
    }
}

/// Health checks that came with a version, after those of the version before.
fn checks_changed(state: &State, version: &AppVersion, created: bool) -> Vec<EventBody> {
    let id = &version.spec.id;
    let before = state.app(id).filter(|_| !created).and_then(|it| it.versions.range(..version.version).next_back());
    let before = before.map_or(&[][..], |(_, it)| &it.spec.policy.health_checks);
    let checks = &version.spec.policy.health_checks;
    if before == checks.as_slice() {
        return Vec::new();
    }
    let removed = (!before.is_empty()).then(|| EventBody::RemoveHealthCheckEvent { app_id: id.to_string() });
    let added = checks.iter().map(|it| EventBody::AddHealthCheckEvent {
        app_id: id.to_string(),
        version: time::print(version.version),
        health_check: health_check(it),
    });
    removed.into_iter().chain(added).collect()
}

/// Health checks of apps that a deployment removes.
fn checks_removed(state: &State, deployment: &Deployment) -> Vec<EventBody> {
    let removed = deployment.changes.iter().filter(|(_, it)| it.to.is_none()).filter_map(|(app, _)| state.app(app));
    let checked = removed.filter(|it| !it.current.spec.policy.health_checks.is_empty());
    checked.map(|it| EventBody::RemoveHealthCheckEvent { app_id: it.id.to_string() }).collect()
}

/// An app or a pod that a user has defined.
fn put(principal: &Principal, version: &AppVersion, created: bool) -> Vec<EventBody> {
    let Principal::User { address } = principal else { return Vec::new() };
    let (client_ip, id) = (address.clone(), &version.spec.id);
    vec![match (version.spec.run.pod.is_some(), created) {
        (false, _) => {
            EventBody::ApiPostEvent { client_ip, uri: format!("/v2/apps{id}"), app_definition: Box::new(app(version)) }
        }
        (true, true) => EventBody::PodCreatedEvent { client_ip, uri: pod_uri(id) },
        (true, false) => EventBody::PodUpdatedEvent { client_ip, uri: pod_uri(id) },
    }]
}

fn started(principal: &Principal, deployment: &Deployment, light: bool) -> Vec<EventBody> {
    let (plan, current_step) = plan(deployment, light);
    let mut events = pods_deleted(principal, deployment);
    events.push(EventBody::GroupChangeSuccess {
        group_id: group_of(deployment),
        version: time::print(deployment.version),
    });
    events.push(EventBody::DeploymentInfo { plan, current_step });
    events
}

/// The pods that a user's deployment removes; that of an app is told when its last instance has ended.
fn pods_deleted(principal: &Principal, deployment: &Deployment) -> Vec<EventBody> {
    let Principal::User { address } = principal else { return Vec::new() };
    let deleted = deployment.changes.iter().filter(|(_, it)| it.pod && it.to.is_none());
    deleted.map(|(id, _)| EventBody::PodDeletedEvent { client_ip: address.clone(), uri: pod_uri(id) }).collect()
}

fn pod_uri(id: &AppId) -> String {
    format!("/v2/pods{id}")
}

/// The group that has all that the deployment changes.
fn group_of(deployment: &Deployment) -> String {
    let groups = deployment.groups.iter().map(|(path, _)| path.clone());
    let mut changed = groups.chain(deployment.changes.keys().map(AppId::group));
    let first = changed.next().unwrap_or_else(PathId::root);
    let common = changed.fold(first, |common, it| {
        let has_it = |around: &PathId| *around == it || around.contains(it.as_str());
        std::iter::once(common.clone()).chain(common.ancestors()).find(has_it).unwrap_or_else(PathId::root)
    });
    common.to_string()
}

fn stepped(deployment: &Deployment, light: bool) -> Vec<EventBody> {
    let (plan, current_step) = plan(deployment, light);
    vec![EventBody::DeploymentInfo { plan, current_step }]
}

fn settled(deployment: &Deployment, light: bool) -> Vec<EventBody> {
    let (plan, current_step) = plan(deployment, light);
    vec![EventBody::DeploymentStepSuccess { plan, current_step }]
}

fn ended(deployment: &Deployment, light: bool) -> Vec<EventBody> {
    let (plan, _) = plan(deployment, light);
    let id = deployment.id.to_string();
    let reason = match &deployment.outcome {
        None | Some(Outcome::Succeeded) => return vec![EventBody::DeploymentSuccess { id, plan }],
        Some(Outcome::Superseded { by }) => format!("superseded by deployment {by}"),
        Some(Outcome::RolledBack { by }) => format!("rolled back by deployment {by}"),
        Some(Outcome::Cancelled) => "cancelled".to_owned(),
        Some(Outcome::Failed { reason, .. }) => reason.clone(),
    };
    vec![EventBody::DeploymentFailed { id, plan, reason }]
}

fn status(state: &State, instance: &Instance, task_status: &str, message: &str) -> Vec<EventBody> {
    let version = time::print(instance.version);
    vec![
        EventBody::StatusUpdateEvent {
            slave_id: instance.node.to_string(),
            task_id: task_id(&instance.app, instance.id),
            task_status: task_status.to_owned(),
            message: message.to_owned(),
            app_id: instance.app.to_string(),
            host: host(state, &instance.node),
            ip_addresses: addresses(state, instance),
            ports: instance.ports.clone(),
            version: version.clone(),
        },
        EventBody::InstanceChangedEvent {
            instance_id: instance_id(&instance.app, instance.id),
            condition: condition(task_status).to_owned(),
            run_spec_id: instance.app.to_string(),
            agent_id: instance.node.to_string(),
            host: host(state, &instance.node),
            run_spec_version: version,
        },
    ]
}

/// Marathon's own name for what Mesos calls `TASK_RUNNING`.
pub(super) fn condition(task_status: &str) -> &'static str {
    match task_status {
        "TASK_STAGING" => "Staging",
        "TASK_RUNNING" => "Running",
        "TASK_KILLING" => "Killing",
        "TASK_KILLED" => "Killed",
        "TASK_FINISHED" => "Finished",
        "TASK_FAILED" => "Failed",
        "TASK_UNREACHABLE" => "Unreachable",
        "TASK_LOST" => "Gone",
        _ => "Unknown",
    }
}

fn message(instance: &Instance) -> String {
    match &instance.condition {
        Condition::Ended(end) => end.message.clone(),
        _ => instance.message.clone(),
    }
}

fn stopping(state: &State, instance: &Instance) -> Vec<EventBody> {
    let Goal::Stop(reason) = instance.goal else { return Vec::new() };
    if instance.has_ended() {
        return Vec::new();
    }
    let mut events = Vec::new();
    if reason == StopReason::Unhealthy {
        events.push(EventBody::UnhealthyInstanceKillEvent {
            app_id: instance.app.to_string(),
            task_id: task_id(&instance.app, instance.id),
            instance_id: instance_id(&instance.app, instance.id),
            version: time::print(instance.version),
            reason: failing_check(instance).map_or_else(String::new, |(_, cause)| cause),
            host: host(state, &instance.node),
            slave_id: instance.node.to_string(),
        });
    }
    let why = match reason {
        StopReason::Replaced => "replaced by a newer version",
        StopReason::Surplus => "more instances than wanted",
        StopReason::Removed => "its app was deleted",
        StopReason::Killed => "killed by a user",
        StopReason::Unhealthy => "its health checks failed too often",
        StopReason::Ended => "it had ended by itself",
        StopReason::Lost => "its node was lost",
        StopReason::Stuck => "it did not start in time",
    };
    events.extend(status(state, instance, "TASK_KILLING", why));
    events
}

fn health(state: &State, instance: &Instance, before: Health) -> Vec<EventBody> {
    let healthy = match instance.health {
        Health::Unknown => None,
        Health::Healthy => Some(true),
        Health::Unhealthy | Health::Failed => Some(false),
    };
    let version: Version = instance.version;
    let mut events = Vec::new();
    if healthy == Some(false)
        && let Some((n, _)) = failing_check(instance)
        && let Some(app) = state.app(&instance.app)
        && let Some(check) = app.current.spec.policy.health_checks.get(n)
    {
        events.push(EventBody::FailedHealthCheckEvent {
            app_id: instance.app.to_string(),
            // Marathon puts the instance's id here.
            task_id: instance_id(&instance.app, instance.id),
            instance_id: instance_id(&instance.app, instance.id),
            health_check: health_check(check),
        });
    }
    let was_failing = matches!(before, Health::Unhealthy | Health::Failed);
    if let Some(alive) = healthy
        && (alive || !was_failing)
    {
        events.push(EventBody::HealthStatusChangedEvent {
            app_id: instance.app.to_string(),
            instance_id: instance_id(&instance.app, instance.id),
            task_id: task_id(&instance.app, instance.id),
            version: time::print(version),
            alive,
        });
        events.push(EventBody::InstanceHealthChangedEvent {
            instance_id: instance_id(&instance.app, instance.id),
            run_spec_id: instance.app.to_string(),
            run_spec_version: time::print(version),
            healthy,
        });
    }
    events
}

/// The first check whose last result is a failure, and why it was one.
fn failing_check(instance: &Instance) -> Option<(usize, String)> {
    let failing = |it: &&cluster::CheckResult| !it.alive && it.last_failure.is_some();
    let n = instance.checks.iter().position(|it| failing(&it))?;
    Some((n, instance.checks[n].last_failure_cause.clone().unwrap_or_default()))
}

/// The instances of a node that was lost are unreachable; those of one that is ready run, and load balancers that
/// took them out must hear of it.
fn node_changed(state: &State, node: &Node) -> Vec<EventBody> {
    let there = state.instances_on(node).filter(|it| !it.has_ended());
    let told = there.filter_map(|it| match node.status {
        NodeStatus::Lost { .. } => Some(status(state, it, "TASK_UNREACHABLE", "its node was lost")),
        NodeStatus::Ready if it.is_running() && it.is_wanted() => {
            Some(status(state, it, "TASK_RUNNING", "its node is ready"))
        }
        _ => None,
    });
    told.flatten().collect()
}

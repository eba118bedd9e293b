//! Tasks: instances in Marathon's words.
//!
//! Printed ids have the form of Marathon 1.4 to 1.7, which every client can take apart: task `<path>.<uuid>`, instance
//! `<path>.marathon-<uuid>`, where the path's slashes are underscores and the UUID is the instance's own.

use crate::time;
use crate::v2;
use cluster::{
    App, AppId, CheckResult, Condition, EndKind, Failure, Goal, Health, Instance, InstanceId, NodeId, State, Volume,
};
use std::net::IpAddr;

pub use cluster::agent::task_id;

/// `<path _ joined>.marathon-<uuid>`
pub fn instance_id(app: &AppId, id: InstanceId) -> String {
    format!("{}.marathon-{id}", app.joined("_"))
}

/// The instance that a task id or an instance id, in any of Marathon's forms, names; and the path it claims, joined.
///
/// # Errors
/// What is wrong with it.
pub fn parse_task_id(text: &str) -> Result<(&str, InstanceId), String> {
    let wrong = || {
        format!(
            "Invalid task id '{text}'. [must be <app>.<uuid>, such as pay_api.12345678-1234-8123-8123-123456789abc]"
        )
    };
    // 1.8 and later append the container's name and the attempt: `._app.1`.
    let base = text.split_once("._app.").map_or(text, |(base, _)| base);
    let (path, id) = base.rsplit_once('.').ok_or_else(wrong)?;
    let id = id.strip_prefix("marathon-").or_else(|| id.strip_prefix("instance-")).unwrap_or(id);
    Ok((path, id.parse().map_err(|_| wrong())?))
}

/// Whether Marathon would list the instance: it has not ended.
pub fn is_listed(instance: &Instance) -> bool {
    !instance.has_ended()
}

/// Mesos' name for an instance's state.
pub fn task_state(state: &State, instance: &Instance) -> &'static str {
    match &instance.condition {
        Condition::Ended(end) => end_state(end.kind),
        _ if state.is_unreachable(instance) => "TASK_UNREACHABLE",
        _ if instance.goal != Goal::Run => "TASK_KILLING",
        Condition::Staging => "TASK_STAGING",
        Condition::Running => "TASK_RUNNING",
    }
}

/// Mesos' name for how an instance ended.
pub(super) const fn end_state(kind: EndKind) -> &'static str {
    match kind {
        EndKind::Finished => "TASK_FINISHED",
        EndKind::Failed | EndKind::OutOfMemory | EndKind::NotStarted => "TASK_FAILED",
        EndKind::Killed | EndKind::Unhealthy => "TASK_KILLED",
        EndKind::Vanished => "TASK_LOST",
    }
}

/// Prints an instance.
pub fn task(state: &State, instance: &Instance) -> v2::Task {
    let results: Vec<_> = instance.checks.iter().filter(|it| has_result(it)).map(|it| health(instance, it)).collect();
    let role = state.app(&instance.app).map_or(cluster::ANY_ROLE, |it| &it.current.spec.policy.role);
    v2::Task {
        app_id: instance.app.to_string(),
        health_check_results: (!results.is_empty()).then_some(results),
        host: host(state, &instance.node),
        id: task_id(&instance.app, instance.id),
        ip_addresses: addresses(state, instance),
        local_volumes: local_volumes(state, instance),
        ports: instance.ports.clone(),
        role: role.to_owned(),
        service_ports: service_ports(state, instance),
        slave_id: Some(instance.node.to_string()),
        staged_at: Some(time::print(instance.launched_at)),
        started_at: instance.started_at.map(time::print),
        state: task_state(state, instance).to_owned(),
        version: Some(time::print(instance.version)),
    }
}

/// Prints an app's last failure.
pub fn task_failure(state: &State, app: &AppId, failure: &Failure) -> v2::TaskFailure {
    v2::TaskFailure {
        app_id: app.to_string(),
        host: host(state, &failure.node),
        message: failure.message.clone(),
        slave_id: Some(failure.node.to_string()),
        state: end_state(failure.kind).to_owned(),
        task_id: task_id(app, failure.instance),
        timestamp: time::print(failure.at),
        version: time::print(failure.version),
    }
}

/// Counts an app's instances as Marathon does: those that shall end, or whose node was lost, are in none.
pub fn counts(state: &State, app: &App) -> v2::TaskCounts {
    let mut counts = v2::TaskCounts::default();
    for instance in state.instances_of(app) {
        add(&mut counts, state, instance);
    }
    counts
}

pub(super) fn add(counts: &mut v2::TaskCounts, state: &State, instance: &Instance) {
    match task_state(state, instance) {
        "TASK_STAGING" => counts.staged += 1,
        "TASK_RUNNING" => {
            counts.running += 1;
            counts.healthy += u32::from(instance.health == Health::Healthy);
            counts.unhealthy += u32::from(matches!(instance.health, Health::Unhealthy | Health::Failed));
        }
        _ => {}
    }
}

/// Where a node's ports are reached; its name once it was forgotten.
pub(super) fn host(state: &State, node: &NodeId) -> String {
    state.node(node).map_or_else(|| node.to_string(), |it| it.description.address.clone())
}

/// An instance's own address, or its node's where it shares that one's network.
pub(super) fn addresses(state: &State, instance: &Instance) -> Vec<v2::IpAddress> {
    let own = instance.ip.clone().or_else(|| Some(host(state, &instance.node)).filter(|_| instance.is_running()));
    let parsed = own.and_then(|it| it.parse::<IpAddr>().ok());
    let printed = parsed.map(|it| v2::IpAddress {
        ip_address: it.to_string(),
        protocol: if it.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned(),
    });
    printed.into_iter().collect()
}

/// The persistent volumes of the version that an instance runs.
fn local_volumes(state: &State, instance: &Instance) -> Vec<v2::LocalVolume> {
    let app = state.app(&instance.app);
    let run = app.and_then(|it| it.versions.get(&instance.run));
    let (Some(uuid), Some(run)) = (instance.reservation, run) else { return Vec::new() };
    let persistent = run.spec.run.volumes.iter().filter(|it| matches!(it, Volume::Persistent(_)));
    let printed = persistent.map(|it| v2::LocalVolume {
        run_spec_id: instance.app.to_string(),
        container_path: it.container_path().to_owned(),
        uuid: uuid.to_string(),
        persistence_id: format!("{}#{}#{uuid}", instance.app.joined("_"), it.container_path()),
    });
    printed.collect()
}

fn service_ports(state: &State, instance: &Instance) -> Vec<u16> {
    let Some(app) = state.app(&instance.app) else { return Vec::new() };
    app.current.spec.run.ports.iter().map(|it| it.service_port).collect()
}

fn has_result(check: &CheckResult) -> bool {
    check.last_success.is_some() || check.last_failure.is_some()
}

fn health(instance: &Instance, check: &CheckResult) -> v2::Health {
    v2::Health {
        alive: check.alive,
        consecutive_failures: v2::Number(f64::from(check.consecutive_failures)),
        first_success: check.first_success.map(time::print),
        last_success: check.last_success.map(time::print),
        last_failure: check.last_failure.map(time::print),
        last_failure_cause: check.last_failure_cause.clone(),
        instance_id: instance_id(&instance.app, instance.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_task_id_names_its_instance() {
        let uuid = "12345678-9abc-8def-8123-456789abcdef";
        let id: InstanceId = uuid.parse().unwrap();
        for text in [
            format!("a_v1.2.{uuid}"),
            format!("a_v1.2.marathon-{uuid}"),
            format!("a_v1.2.instance-{uuid}"),
            format!("a_v1.2.instance-{uuid}._app.1"),
        ] {
            assert_eq!(parse_task_id(&text), Ok(("a_v1.2", id)), "{text}");
        }
        let app = AppId::parse("/a/v1.2").unwrap();
        assert_eq!(parse_task_id(&task_id(&app, id)), Ok(("a_v1.2", id)));
        assert_eq!(parse_task_id(&instance_id(&app, id)), Ok(("a_v1.2", id)));
        for text in ["", ".", uuid, "a.b", "a.marathon-", "a.12345678-9abc"] {
            assert!(parse_task_id(text).unwrap_err().starts_with(&format!("Invalid task id '{text}'. [")), "{text}");
        }
    }
}

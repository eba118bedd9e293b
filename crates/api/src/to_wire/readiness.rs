//! Readiness checks, and what instances answer to them.

use super::task_id;
use crate::v2;
use cluster::{App, ReadinessCheck, State};

/// Prints a readiness check, all defaults filled in.
pub fn readiness_check(check: &ReadinessCheck) -> v2::ReadinessCheck {
    v2::ReadinessCheck {
        http_status_codes_for_ready: check.codes.clone(),
        interval_seconds: check.interval_ms / 1000,
        name: check.name.clone(),
        path: check.path.clone(),
        port_name: check.port_name.clone(),
        preserve_last_response: check.keep_response,
        protocol: if check.tls { "HTTPS" } else { "HTTP" }.to_owned(),
        timeout_seconds: check.timeout_ms / 1000,
    }
}

/// What the instances that a deployment brings up answer to the app's readiness check; nothing while there is none
/// under way.
pub fn readiness_results(state: &State, app: &App) -> Vec<v2::ReadinessResult> {
    let check = app.aim().and_then(|it| it.spec.policy.readiness_checks.first());
    let Some(check) = check.filter(|_| app.deployment.is_some()) else { return Vec::new() };
    let asked = state.instances_of(app).filter(|it| it.is_wanted() && it.is_running() && app.is_current(it));
    let results = asked.map(|it| v2::ReadinessResult {
        name: check.name.clone(),
        task_id: task_id(&it.app, it.id),
        ready: it.readiness.ready,
        last_response: it.readiness.response.as_ref().filter(|_| check.keep_response).map(|it| v2::ReadinessResponse {
            status: it.status,
            content_type: it.content_type.clone(),
            body: it.body.clone(),
        }),
    });
    results.collect()
}

//! Deployments, in Marathon's words.
//!
//! Marathon carries a deployment out in steps, one after another: stop what goes, start what is new, then scale and
//! restart. Ekiden moves all apps of a deployment at once; the steps are told in Marathon's order.

use crate::time;
use crate::v2;
use cluster::{Change, Deployment};

/// Prints a deployment under way.
pub fn deployment(it: &Deployment) -> v2::Deployment {
    let steps = steps(it);
    let current = current_step(it, &steps);
    let actions = steps.get(current).map_or(&[][..], |it| &it.actions);
    v2::Deployment {
        id: it.id.to_string(),
        version: time::print(it.version),
        affected_apps: it.changes.iter().map(|it| it.app.to_string()).collect(),
        affected_pods: Vec::new(),
        current_actions: actions
            .iter()
            .map(|it| v2::DeploymentActionInfo { action: it.clone(), readiness_check_results: Vec::new() })
            .collect(),
        current_step: (current + 1).min(steps.len()) as u32,
        total_steps: steps.len() as u32,
        steps,
    }
}

/// Prints a deployment as events tell of it, and its current step.
pub fn plan(it: &Deployment, light: bool) -> (v2::DeploymentPlan, v2::DeploymentStep) {
    let steps = steps(it);
    let current = current_step(it, &steps).min(steps.len().saturating_sub(1));
    let current = steps.get(current).cloned().unwrap_or_default();
    let version = time::print(it.version);
    let group = (!light).then(|| v2::EmptyGroup {
        id: "/".to_owned(),
        version: version.clone(),
        apps: Vec::new(),
        groups: Vec::new(),
        pods: Vec::new(),
        dependencies: Vec::new(),
    });
    let plan = v2::DeploymentPlan { id: it.id.to_string(), version, steps, original: group.clone(), target: group };
    (plan, current)
}

fn steps(deployment: &Deployment) -> Vec<v2::DeploymentStep> {
    let step = |of: &dyn Fn(&Change) -> Option<&'static str>| {
        let actions = deployment.changes.iter().filter_map(|change| {
            Some(v2::DeploymentAction { action: of(change)?.to_owned(), app: change.app.to_string() })
        });
        v2::DeploymentStep { actions: actions.collect() }
    };
    let all = [
        step(&|it| it.to.is_none().then_some("StopApplication")),
        step(&|it| it.from.is_none().then_some("StartApplication").filter(|_| it.to.is_some())),
        step(&|it| it.to.map(|_| if it.replaces { "RestartApplication" } else { "ScaleApplication" })),
    ];
    all.into_iter().filter(|it| !it.actions.is_empty()).collect()
}

/// The first step with an action that is not done, from 0; all are done: their number.
fn current_step(deployment: &Deployment, steps: &[v2::DeploymentStep]) -> usize {
    let is_done = |action: &v2::DeploymentAction| {
        // An app is started the moment it is created.
        action.action == "StartApplication"
            || deployment.changes.iter().any(|it| it.settled && it.app.as_str() == action.app)
    };
    steps.iter().position(|step| !step.actions.iter().all(is_done)).unwrap_or(steps.len())
}

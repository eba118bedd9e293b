//! Deployments, in Marathon's words.
//!
//! Marathon carries a deployment out in steps, one after another: stop what goes, start what is new, then scale and
//! restart, first what others depend on. Ekiden's steps are the same, but that to start an app is no step of its own:
//! it is told as one that is over at once.

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
        affected_apps: it.changes.iter().filter(|(_, it)| !it.pod).map(|(app, _)| app.to_string()).collect(),
        affected_pods: it.changes.iter().filter(|(_, it)| it.pod).map(|(app, _)| app.to_string()).collect(),
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
        let actions = deployment.changes.iter().filter_map(|(app, change)| {
            let id = || app.to_string();
            let action = action(of(change)?, change);
            Some(v2::DeploymentAction { action, app: (!change.pod).then(id), pod: change.pod.then(id) })
        });
        v2::DeploymentStep { actions: actions.collect() }
    };
    let first = [
        step(&|it| it.to.is_none().then_some("Stop")),
        step(&|it| it.from.is_none().then_some("Start").filter(|_| it.to.is_some())),
    ];
    let layers = (1..=deployment.n_steps())
        .map(|n| step(&|it| it.to.filter(|_| it.step == n).map(|_| if it.replaces { "Restart" } else { "Scale" })));
    first.into_iter().chain(layers).filter(|it| !it.actions.is_empty()).collect()
}

fn action(what: &str, change: &Change) -> String {
    format!("{what}{}", if change.pod { "Pod" } else { "Application" })
}

/// The first step with an action that is not done, from 0; all are done: their number.
fn current_step(deployment: &Deployment, steps: &[v2::DeploymentStep]) -> usize {
    let is_done = |action: &v2::DeploymentAction| {
        // An app is started the moment it is created, but not before all that goes is gone.
        let id = action.app.as_deref().or(action.pod.as_deref());
        let settled = || deployment.changes.iter().any(|(app, it)| it.settled && Some(app.as_str()) == id);
        action.action.starts_with("Start") || settled()
    };
    steps.iter().position(|step| !step.actions.iter().all(is_done)).unwrap_or(steps.len())
}

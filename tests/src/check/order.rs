//! Order: a deployment comes to an app after those that it depends on, and touches nothing of it before.

use super::{Check, Fact};
use cluster::{App, AppId, Change, Command, Deployment, DeploymentId, Event, Goal, PathId, State, StopReason};
use std::collections::BTreeSet;

/// Looks at each deployment as it begins, and at each executed plan.
#[derive(Default)]
pub(super) struct Order {
    /// Apps that were on their way when a deployment was taken over by another one: they go on.
    under_way: BTreeSet<(DeploymentId, AppId)>,
}

impl Check for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Applied { first: true, taken, .. } = fact else { return Ok(()) };
        let events = taken.result.as_ref().map(|it| it.events.as_slice()).unwrap_or_default();
        // To go back must be possible also where others have made a circle of what was there.
        let goes_back = matches!(taken.entry.command, Command::RollBack { .. } | Command::Execute { .. });
        for event in events {
            match event {
                Event::DeploymentStarted { deployment } => {
                    let carried = deployment.changes.iter().filter(|(app, it)| self.goes_on(&taken.before, app, it));
                    let carried: Vec<_> = carried.map(|(app, _)| (deployment.id, app.clone())).collect();
                    self.under_way.extend(carried);
                    if !goes_back {
                        sorted(&taken.after, deployment)?;
                    }
                }
                Event::InstanceLaunched { instance } => {
                    if let Some(app) = self.waiting(&taken.before, &instance.app)
                        && Some(instance.version) == to(&taken.before, app)
                        && instance.run != run_before(&taken.before, app)
                    {
                        return Err(format!("{} was launched anew before its turn", app.id));
                    }
                }
                Event::InstanceStopping { instance } if instance.goal == Goal::Stop(StopReason::Replaced) => {
                    if let Some(app) = self.waiting(&taken.before, &instance.app) {
                        return Err(format!("{} was replaced before its turn", app.id));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Order {
    /// The app, if its deployment is not done with something that comes before it.
    fn waiting<'a>(&self, state: &'a State, app: &AppId) -> Option<&'a App> {
        let app = state.app(app)?;
        let id = app.deployment?;
        let changes = &state.deployment(id)?.changes;
        let own = changes.get(&app.id)?.step;
        let under_way = self.under_way.contains(&(id, app.id.clone()));
        (!under_way && changes.values().any(|it| !it.settled && it.step < own)).then_some(app)
    }

    /// Whether an app was on its way to the same version when a deployment took over.
    fn goes_on(&self, state: &State, app: &AppId, change: &Change) -> bool {
        let Some(record) = state.app(app) else { return false };
        let holder = record.deployment.and_then(|it| state.deployment(it));
        let before = holder.and_then(|it| it.changes.get(app));
        before.is_some_and(|it| it.to == change.to) && self.waiting(state, app).is_none()
    }
}

fn to(state: &State, app: &App) -> Option<cluster::Version> {
    state.deployment(app.deployment?)?.changes.get(&app.id)?.to
}

fn run_before(state: &State, app: &App) -> cluster::Version {
    let from = || state.deployment(app.deployment?)?.changes.get(&app.id)?.from;
    let before = from().and_then(|it| app.versions.get(&it));
    before.map_or(cluster::Timestamp(0), |it| it.run)
}

/// Whether each app's step is after those of all that it names, or a group around it does; a group is all in it.
fn sorted(state: &State, deployment: &Deployment) -> Result<(), String> {
    let there: BTreeSet<&AppId> = deployment.changes.iter().filter(|it| it.1.to.is_some()).map(|it| it.0).collect();
    for app in &there {
        let Some(record) = state.app(app) else { continue };
        let around = state.groups().filter(|it| it.id.contains(app.as_str())).filter_map(|it| it.current());
        let named: Vec<&PathId> =
            record.current.spec.policy.dependencies.iter().chain(around.flat_map(|it| &it.dependencies)).collect();
        for other in &there {
            let depends = named.iter().any(|it| it.as_str() == other.as_str() || it.contains(other.as_str()));
            let (own, others) = (deployment.changes[*app].step, deployment.changes[*other].step);
            if depends && others >= own {
                return Err(format!("{app} is in step {own}, and {other}, which it depends on, in step {others}"));
            }
        }
    }
    Ok(())
}

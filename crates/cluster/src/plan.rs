//! Compares what is wanted with what is, and says what to do next.
//!
//! The leader keeps an [`Agenda`] of the apps that something happened to; [`plan`] works through it, app by app:
//! [`rollout::decide`] says how many and which, [`place`](crate::place::place) says where. Nothing that did not change
//! is looked at, so the cost of a plan does not grow with the cluster. The agenda is soft: a new leader starts with
//! every app on it, and there is nothing else to recover.

use crate::command::Step;
use crate::event::Event;
use crate::explain;
use crate::model::{AppId, DeploymentId, Moment, NodeId, StopReason};
use crate::place::{self, Placed, Room};
use crate::rollout::{self, Decision};
use crate::state::State;
use std::collections::BTreeSet;

/// A plan has no more steps than this, so that no log entry grows without bound; the rest follows in the next plan.
pub const MAX_STEPS: usize = 5_000;

/// A deployment whose expiry was planned is looked at again after so long.
const EXPIRE_AGAIN_MS: u64 = 1_000;

/// Which apps to look at, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agenda {
    due: BTreeSet<AppId>,
    timers: BTreeSet<(Moment, AppId)>,
    /// Apps that miss room: looked at again when there may be more.
    waiting: BTreeSet<AppId>,
    /// When to look whether a deployment has made progress.
    deadlines: BTreeSet<(Moment, DeploymentId)>,
}

/// What to do next. Empty when nothing is left to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The apps that have steps: have them looked at again by [`Agenda::look_again`], whatever becomes of the steps.
    pub apps: Vec<AppId>,
}

impl Agenda {
    /// Every app: where a new leader starts.
    pub fn everything(state: &State) -> Self {
        let deadlines = state.active_deployments().filter_map(|it| Some((it.due()?, it.id)));
        Self { due: state.apps().map(|it| it.id.clone()).collect(), deadlines: deadlines.collect(), ..Self::default() }
    }

    /// Puts one app on it.
    pub fn add(&mut self, app: AppId) {
        self.due.insert(app);
    }

    /// Puts one app on it for later.
    pub fn look_again(&mut self, app: AppId, at: Moment) {
        self.timers.insert((at, app));
    }

    /// Puts on it what these events touch. `state` is the state after them.
    pub fn note(&mut self, state: &State, events: &[Event]) {
        for event in events {
            match event {
                Event::AppPut { version, .. } => self.add(version.spec.id.clone()),
                Event::DeploymentStarted { deployment } => {
                    self.due.extend(deployment.changes.keys().cloned());
                    self.deadlines.extend(deployment.due().map(|it| (it, deployment.id)));
                }
                Event::DeploymentEnded { deployment } => self.due.extend(deployment.changes.keys().cloned()),
                Event::DeploymentStepped { deployment } => {
                    self.deadlines.extend(deployment.due().map(|it| (it, deployment.id)));
                    let turn = deployment.changes.iter().filter(|(_, it)| it.step == deployment.step);
                    self.due.extend(turn.map(|(app, _)| app.clone()));
                }
                Event::InstanceLaunched { instance }
                | Event::InstanceStopping { instance }
                | Event::InstanceChanged { instance }
                | Event::InstanceReady { instance }
                | Event::HealthChanged { instance, .. } => self.add(instance.app.clone()),
                Event::InstanceRemoved { instance } => {
                    self.add(instance.app.clone());
                    self.due.append(&mut self.waiting);
                }
                Event::BackoffReset { app } | Event::DeploymentSettled { app, .. } => self.add(app.clone()),
                Event::NodeChanged { node } => self.note_node(state, node.id()),
                Event::NodeRemoved { .. } | Event::ReservationChanged { .. } => self.due.append(&mut self.waiting),
                Event::AppRemoved { .. } | Event::GroupChanged { .. } => {}
            }
        }
    }

    /// Whether there is something to plan at `now`.
    pub fn is_due(&self, now: Moment) -> bool {
        !self.due.is_empty() || self.next_wake().is_some_and(|it| it <= now)
    }

    /// When to look again if nothing happens.
    pub fn next_wake(&self) -> Option<Moment> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        timer.into_iter().chain(deadline).min()
    }

    /// Whether something waits for its time to come.
    pub fn awaits_time(&self, state: &State) -> bool {
        !self.timers.is_empty() || state.active_deployments().any(|it| it.due().is_some())
    }

    /// The deployments that have made no progress until their deadlines.
    fn expired(&mut self, state: &State, now: Moment) -> Vec<Step> {
        let mut steps = Vec::new();
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.deadlines.pop_first() else { break };
            let Some(deployment) = state.deployment(id) else { continue };
            let Some(due) = deployment.due() else { continue };
            if due > now {
                self.deadlines.insert((due, id));
                continue;
            }
            steps.push(Step::Expire { deployment: id, reason: explain::overdue(state, deployment, now) });
            // Whatever becomes of the step: one that was lost is made again.
            self.deadlines.insert((now.plus_ms(EXPIRE_AGAIN_MS), id));
        }
        steps
    }

    fn note_node(&mut self, state: &State, node: &NodeId) {
        self.due.append(&mut self.waiting);
        if let Some(node) = state.node(node) {
            self.due.extend(state.instances_on(node).map(|it| it.app.clone()));
        }
    }

    fn next(&mut self, now: Moment) -> Option<AppId> {
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            self.due.extend(self.timers.pop_first().map(|(_, app)| app));
        }
        self.due.pop_first()
    }
}

/// The next steps for the apps on the agenda, as of `now`.
pub fn plan(state: &State, agenda: &mut Agenda, now: Moment) -> Plan {
    let mut plan = Plan { steps: agenda.expired(state, now), apps: Vec::new() };
    let mut room = Room::of(state);
    while plan.steps.len() < MAX_STEPS
        && let Some(id) = agenda.next(now)
    {
        let Some(app) = state.app(&id) else { continue };
        let decision = rollout::decide(state, app, now);
        let Decision { launch, settle, closeness, wake, .. } = decision;
        let n_steps = plan.steps.len();
        let stop = decision.stop.iter().map(|(instance, reason)| Step::Stop { instance: *instance, reason: *reason });
        plan.steps.extend(stop.take(MAX_STEPS - n_steps));
        if plan.steps.len() - n_steps < decision.stop.len() {
            plan.apps.push(id.clone());
            agenda.due.insert(id);
            break;
        }
        let budget = (MAX_STEPS.saturating_sub(plan.steps.len())).max(1) as u32;
        let placed = if launch > 0 { place::place(state, &mut room, app, launch.min(budget), now) } else { Vec::new() };
        let replaced = decision.replaced(placed.len() as u32);
        plan.steps.extend(replaced.iter().map(|it| Step::Stop { instance: *it, reason: StopReason::Lost }));
        if placed.len() < launch.min(budget) as usize {
            agenda.waiting.insert(id.clone());
        } else if launch > budget {
            agenda.due.insert(id.clone());
        }
        let version = app.aim().unwrap_or(&app.current).version;
        plan.steps.extend(placed.into_iter().map(|Placed { node, ports, reservation }| Step::Launch {
            app: id.clone(),
            version,
            node,
            ports,
            reservation,
        }));
        if let Some(deployment) = app.deployment {
            if let Some(closeness) = closeness {
                plan.steps.push(Step::Progress { deployment, app: id.clone(), closeness });
            }
            if settle {
                plan.steps.push(Step::Settle { deployment, app: id.clone() });
            }
        }
        agenda.timers.extend(wake.map(|it| (it, id.clone())));
        if plan.steps.len() > n_steps {
            plan.apps.push(id);
        }
        if launch > budget {
            break;
        }
    }
    plan
}

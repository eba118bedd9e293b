//! Compares what is wanted with what is, and says what to do next.
//!
//! The leader keeps an [`Agenda`] of the apps that something happened to; [`plan`] works through it, app by app:
//! [`rollout::decide`] says how many and which, [`place`](crate::place::place) says where. Nothing that did not change
//! is looked at, so the cost of a plan does not grow with the cluster. The agenda is soft: a new leader starts with
//! every app on it, and there is nothing else to recover.

use crate::command::Step;
use crate::event::Event;
use crate::explain;
use crate::model::{App, AppId, Deployment, DeploymentId, Moment, NodeId, StopReason};
use crate::place::{self, Placed, Room};
use crate::rollout::{self, Decision};
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};

/// A plan has no more steps than this, so that applying one takes some milliseconds; the rest follows in the next plan.
pub const MAX_STEPS: usize = 5_000;

/// In the log a plan has at most so many bytes, and one step: three quarters of what members take for one command.
pub const MAX_BYTES: usize = 768 * 1024;

/// The longest name of a node.
const NODE_NAME_BYTES: usize = 253;

/// A deployment whose expiry was planned is looked at again after so long.
const EXPIRE_AGAIN_MS: u64 = 1_000;

/// Which apps to look at, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agenda {
    due: BTreeSet<AppId>,
    /// When to look at an app if nothing happens till then. The earliest time is enough: who looks, looks at all of it.
    timers: Timers<AppId>,
    /// Apps that miss room: looked at again when there may be more.
    waiting: BTreeSet<AppId>,
    /// When to look whether a deployment has made progress.
    deadlines: Timers<DeploymentId>,
}

/// The earliest time at which each of some is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Timers<T: Ord> {
    queue: BTreeSet<(Moment, T)>,
    times: BTreeMap<T, Moment>,
}

/// What to do next. Empty when nothing is left to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The apps that have steps: have them looked at again by [`Agenda::look_again`], whatever becomes of the steps.
    pub apps: Vec<AppId>,
}

impl<T: Ord> Default for Timers<T> {
    fn default() -> Self {
        Self { queue: BTreeSet::new(), times: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> Timers<T> {
    fn set(&mut self, at: Moment, what: T) {
        if self.times.get(&what).is_none_or(|it| at < *it) {
            self.drop(&what);
            self.times.insert(what.clone(), at);
            self.queue.insert((at, what));
        }
    }

    fn drop(&mut self, what: &T) {
        if let Some((what, at)) = self.times.remove_entry(what) {
            self.queue.remove(&(at, what));
        }
    }

    fn next(&self) -> Option<Moment> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// One whose time has come.
    fn take(&mut self, now: Moment) -> Option<T> {
        self.next().filter(|it| *it <= now)?;
        let (_, what) = self.queue.pop_first()?;
        self.times.remove(&what);
        Some(what)
    }
}

impl<T: Ord + Clone> FromIterator<(Moment, T)> for Timers<T> {
    fn from_iter<I: IntoIterator<Item = (Moment, T)>>(all: I) -> Self {
        let mut timers = Self::default();
        for (at, what) in all {
            timers.set(at, what);
        }
        timers
    }
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
        self.timers.set(at, app);
    }

    /// How many times it keeps, at which to look at something: no more than there are apps and deployments under way.
    pub fn n_timers(&self) -> usize {
        self.timers.queue.len() + self.deadlines.queue.len()
    }

    /// Puts on it what these events touch. `state` is the state after them.
    pub fn note(&mut self, state: &State, events: &[Event]) {
        for event in events {
            match event {
                Event::AppPut { version, .. } => self.add(version.spec.id.clone()),
                Event::DeploymentStarted { deployment } => {
                    self.due.extend(deployment.changes.keys().cloned());
                    self.set_deadline(deployment);
                }
                Event::DeploymentEnded { deployment } => {
                    self.deadlines.drop(&deployment.id);
                    self.due.extend(deployment.changes.keys().cloned());
                }
                Event::DeploymentStepped { deployment } => {
                    self.set_deadline(deployment);
                    let turn = deployment.changes.iter().filter(|(_, it)| it.step == deployment.step);
                    self.due.extend(turn.map(|(app, _)| app.clone()));
                }
                Event::InstanceLaunched { instance }
                | Event::InstanceStopping { instance }
                | Event::InstanceChanged { instance }
                | Event::InstanceReady { instance }
                | Event::InstanceTold { instance }
                | Event::HealthChanged { instance, .. } => self.add(instance.app.clone()),
                Event::InstanceRemoved { instance } => {
                    self.add(instance.app.clone());
                    self.due.append(&mut self.waiting);
                }
                Event::BackoffReset { app } | Event::DeploymentSettled { app, .. } => self.add(app.clone()),
                Event::NodeChanged { node } => self.note_node(state, node.id()),
                Event::NodeRemoved { .. } | Event::ReservationChanged { .. } | Event::NodeJudged { .. } => {
                    self.due.append(&mut self.waiting);
                }
                Event::AppRemoved { .. } | Event::GroupChanged { .. } | Event::OrphansChanged { .. } => {}
            }
        }
    }

    /// Whether there is something to plan at `now`.
    pub fn is_due(&self, now: Moment) -> bool {
        !self.due.is_empty() || self.next_wake().is_some_and(|it| it <= now)
    }

    /// When to look again if nothing happens.
    pub fn next_wake(&self) -> Option<Moment> {
        self.timers.next().into_iter().chain(self.deadlines.next()).min()
    }

    /// Whether something waits for its time to come.
    pub fn awaits_time(&self, state: &State) -> bool {
        self.timers.next().is_some() || state.active_deployments().any(|it| it.due().is_some())
    }

    /// The deployments that have made no progress until their deadlines.
    fn expired(&mut self, state: &State, now: Moment, steps: &mut Steps) {
        while steps.have_room()
            && let Some(id) = self.deadlines.take(now)
        {
            let Some(deployment) = state.deployment(id) else { continue };
            let Some(due) = deployment.due() else { continue };
            if due > now {
                self.deadlines.set(due, id);
                continue;
            }
            steps.push(Step::Expire { deployment: id, reason: explain::overdue(state, deployment, now) });
            // Whatever becomes of the step: one that was lost is made again.
            self.deadlines.set(now.plus_ms(EXPIRE_AGAIN_MS), id);
        }
    }

    fn set_deadline(&mut self, deployment: &Deployment) {
        if let Some(due) = deployment.due() {
            self.deadlines.set(due, deployment.id);
        }
    }

    fn note_node(&mut self, state: &State, node: &NodeId) {
        self.due.append(&mut self.waiting);
        if let Some(node) = state.node(node) {
            self.due.extend(state.instances_on(node).map(|it| it.app.clone()));
        }
    }

    fn next(&mut self, now: Moment) -> Option<AppId> {
        while let Some(app) = self.timers.take(now) {
            self.due.insert(app);
        }
        self.due.pop_first()
    }
}

/// The steps of a plan, as many as one entry of the log may have.
#[derive(Default)]
struct Steps {
    all: Vec<Step>,
    bytes: usize,
}

impl Steps {
    fn push(&mut self, step: Step) {
        self.bytes += step.bytes_max();
        self.all.push(step);
    }

    fn have_room(&self) -> bool {
        self.all.len() < MAX_STEPS && self.bytes < MAX_BYTES
    }

    /// How many instances of the app may be placed, each perhaps with another one to end for it: one at least.
    fn launches_left(&self, app: &App) -> u32 {
        let n_ports = app.aim().map_or(0, |it| it.n_host_ports());
        let texts = NODE_NAME_BYTES + app.id.as_str().len() + n_ports * Step::PORT_BYTES;
        let each = Step::FRAME_BYTES + Step::STOP_BYTES + texts;
        let left = (MAX_STEPS.saturating_sub(self.all.len())).min(MAX_BYTES.saturating_sub(self.bytes) / each);
        left.max(1) as u32
    }
}

/// The next steps for the apps on the agenda, as of `now`.
pub fn plan(state: &State, agenda: &mut Agenda, now: Moment) -> Plan {
    let (mut steps, mut apps) = (Steps::default(), Vec::new());
    agenda.expired(state, now, &mut steps);
    let mut room = Room::of(state);
    while steps.have_room()
        && let Some(id) = agenda.next(now)
    {
        let Some(app) = state.app(&id) else { continue };
        let decision = rollout::decide(state, app, now);
        let Decision { launch, settle, closeness, wake, .. } = decision;
        let n_steps = steps.all.len();
        let mut stops =
            decision.stop.iter().map(|(instance, reason)| Step::Stop { instance: *instance, reason: *reason });
        while steps.have_room()
            && let Some(stop) = stops.next()
        {
            steps.push(stop);
        }
        if stops.next().is_some() {
            apps.push(id.clone());
            agenda.due.insert(id);
            break;
        }
        let budget = steps.launches_left(app);
        let placed = if launch > 0 { place::place(state, &mut room, app, launch.min(budget), now) } else { Vec::new() };
        let replaced = decision.replaced(placed.len() as u32);
        for instance in replaced {
            steps.push(Step::Stop { instance: *instance, reason: StopReason::Lost });
        }
        if placed.len() < launch.min(budget) as usize {
            agenda.waiting.insert(id.clone());
            if let Some(at) = state.next_trial(now) {
                agenda.look_again(id.clone(), at);
            }
        } else if launch > budget {
            agenda.due.insert(id.clone());
        }
        let version = app.aim().unwrap_or(&app.current).version;
        for Placed { node, ports, reservation } in placed {
            steps.push(Step::Launch { app: id.clone(), version, node, ports, reservation });
        }
        for instance in decision.follow {
            if !steps.have_room() {
                agenda.due.insert(id.clone());
                break;
            }
            steps.push(Step::Follow { instance, version });
        }
        if let Some(deployment) = app.deployment {
            if let Some(closeness) = closeness {
                steps.push(Step::Progress { deployment, app: id.clone(), closeness });
            }
            if settle {
                steps.push(Step::Settle { deployment, app: id.clone() });
            }
        }
        if let Some(wake) = wake {
            agenda.look_again(id.clone(), wake);
        }
        if steps.all.len() > n_steps {
            apps.push(id);
        }
        if launch > budget {
            break;
        }
    }
    Plan { steps: steps.all, apps }
}

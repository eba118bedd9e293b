//! What an agent knows of one instance.

use super::readiness::Asking;
use super::{Assignment, Checks, Container, Next, SavedInstance, Seen, Wanted, end_of, next};
use crate::model::{
    CheckResult, End, EndKind, Health, HealthCheck, InstanceId, Readiness, ReadinessCheck, Timestamp, Version,
};

/// The pause before a failed operation is tried again, milliseconds; doubles up to [`AGAIN_MAX_MS`].
const AGAIN_MS: u64 = 500;

/// The longest pause before a failed operation is tried again, milliseconds.
const AGAIN_MAX_MS: u64 = 30_000;

/// What an agent knows of one instance.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// What was ordered.
    pub(super) assignment: Assignment,
    /// A scheduler ordered it since this process started. What is only remembered may have been replaced meanwhile
    /// and is not started.
    pub(super) confirmed: bool,
    /// A scheduler no longer speaks of it: it is left as it is.
    pub(super) orphan: bool,
    /// What is there; `None` if that is not known.
    pub(super) container: Option<Container>,
    /// The operation under way.
    pub(super) busy: Option<Next>,
    /// The start under way was called off.
    pub(super) abandoned: bool,
    /// What was looked at before this is out of date.
    pub(super) epoch: u64,
    /// An inspection is under way.
    pub(super) inspecting: bool,
    /// Another look is due after that, or after the operation.
    pub(super) hinted: bool,
    /// Failed operations in a row.
    pub(super) tries: u32,
    /// No operation before this.
    pub(super) retry_at: Timestamp,
    /// What is being done or waited for, for people.
    pub(super) message: String,
    /// Its health checks, while it runs.
    pub(super) checks: Option<Checks>,
    /// The version by whose health checks it is judged.
    pub(super) judged_by: Version,
    /// What its readiness check has said.
    pub(super) readiness: Readiness,
    /// That check, while the instance runs and is not ready.
    pub(super) asking: Option<Asking>,
    /// Results from before a restart of the agent.
    pub(super) remembered: Vec<CheckResult>,
    /// It was running when this process first looked.
    pub(super) adopted: bool,
    /// The agent saw it running.
    pub(super) ran: bool,
    /// The agent ended its container.
    pub(super) stopping: bool,
    /// How it ended.
    pub(super) ended: Option<End>,
    /// Consul may have an entry for it.
    pub(super) advertised: bool,
    /// Its way out of Consul, before its container is stopped.
    pub(super) leaving: Option<Leaving>,
}

/// An instance's way out of Consul.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    /// The first wish without it.
    pub(super) revision: u64,
    /// That wish is known to be carried out.
    pub(super) confirmed: bool,
    /// The container is stopped then at the latest.
    pub(super) until: Timestamp,
}

impl Known {
    /// An instance that a scheduler speaks of for the first time.
    pub(super) fn new(assignment: Assignment, container: Option<Container>) -> Self {
        Self {
            judged_by: assignment.policy,
            assignment,
            confirmed: true,
            orphan: false,
            container,
            busy: None,
            abandoned: false,
            epoch: 0,
            inspecting: false,
            hinted: false,
            tries: 0,
            retry_at: Timestamp(0),
            message: String::new(),
            checks: None,
            readiness: Readiness::default(),
            asking: None,
            remembered: Vec::new(),
            adopted: false,
            ran: false,
            stopping: false,
            ended: None,
            advertised: false,
            leaving: None,
        }
    }

    /// An instance remembered from before a restart of the agent.
    pub(super) fn remembered(saved: SavedInstance) -> Self {
        let mut known = Self::new(saved.assignment, None);
        known.confirmed = false;
        known.remembered = saved.checks;
        known.ran = saved.ran;
        known.ended = saved.ended;
        known.readiness = saved.readiness;
        known
    }

    /// What to remember of it.
    pub(super) fn saved(&self) -> SavedInstance {
        SavedInstance {
            assignment: self.assignment.clone(),
            checks: self.checks.as_ref().map_or_else(|| self.remembered.clone(), Checks::results),
            ended: self.ended.clone(),
            ran: self.ran,
            readiness: self.readiness.clone(),
        }
    }

    /// Takes in what is wanted now. Results that are only remembered say nothing about other checks.
    pub(super) fn take_order(&mut self, order: Assignment) {
        let before = std::mem::replace(&mut self.assignment, order);
        if before.spec.is_some_and(|it| it.policy.health_checks != self.check_specs()) {
            self.remembered.clear();
        }
    }

    /// Which instance.
    pub(super) const fn id(&self) -> InstanceId {
        self.assignment.instance
    }

    /// What the cluster wants of it.
    pub(super) const fn wanted(&self) -> Wanted {
        if self.assignment.stop {
            Wanted::Stop
        } else {
            Wanted::Run { over: self.ended.is_some() || self.ran || self.assignment.started }
        }
    }

    /// What to do about it, time apart.
    pub(super) fn next(&self) -> Next {
        match next(self.wanted(), self.container.as_ref()) {
            Next::Start if self.orphan || !self.confirmed => Next::Nothing,
            next => next,
        }
    }

    /// Whether its container runs.
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.container, Some(Container::Running { .. }))
    }

    /// What its health checks say together.
    pub(super) fn health(&self) -> Health {
        self.checks.as_ref().map_or(Health::Unknown, Checks::health)
    }

    /// Its health checks' definitions.
    pub(super) fn check_specs(&self) -> &[HealthCheck] {
        self.assignment.spec.as_ref().map_or(&[], |it| &it.policy.health_checks)
    }

    /// Whether requests may be sent to it.
    pub(super) fn is_serving(&self) -> bool {
        let healthy = || self.check_specs().is_empty() || self.health() == Health::Healthy;
        self.is_running() && !self.assignment.stop && healthy()
    }

    /// What is to be told of it; nothing if nothing is known, or only that it is about to start.
    pub(super) fn seen(&self) -> Option<Seen> {
        if self.orphan {
            return None;
        }
        let container = self.container.as_ref();
        if self.assignment.stop && matches!(container, Some(Container::Absent)) && self.busy.is_none() {
            return Some(Seen::Removed);
        }
        if let Some(end) = &self.ended {
            return Some(Seen::Ended(end.clone()));
        }
        match container {
            Some(Container::Running { ip, .. }) => Some(Seen::Running {
                ip: ip.clone(),
                health: self.health(),
                checks: self.checks.as_ref().map(Checks::results).unwrap_or_default(),
                readiness: self.readiness.clone(),
            }),
            Some(Container::Exited(_)) => None,
            _ if self.ran || self.assignment.started || self.assignment.stop || self.message.is_empty() => None,
            _ => Some(Seen::Staging { message: self.message.clone() }),
        }
    }

    /// Its readiness check's definition, as long as it is to be asked.
    fn readiness_spec(&self) -> Option<&ReadinessCheck> {
        let spec = self.assignment.spec.as_ref().filter(|_| self.is_running() && !self.readiness.ready)?;
        spec.policy.readiness_checks.first()
    }

    /// Asks as it is to be asked now: from now on, as before, or not at all.
    pub(super) fn redefine_asking(&mut self, now: Timestamp) {
        let same = |it: &Asking| self.readiness_spec() == Some(it.spec());
        if !self.asking.as_ref().is_some_and(same) {
            self.asking = self.readiness_spec().map(|it| Asking::new(it, now));
        }
    }

    /// Takes in new definitions of its checks.
    pub(super) fn redefine_checks(&mut self, now: Timestamp) {
        self.redefine_asking(now);
        let specs = self.check_specs().to_vec();
        if let Some(checks) = self.checks.as_mut().filter(|it| !it.are(&specs)) {
            *checks = checks.redefined(&specs, now);
            self.judged_by = self.assignment.policy;
        }
    }

    /// Takes in what is there; returns its end, if that is what was seen.
    pub(super) fn observe(&mut self, container: Container, now: Timestamp) -> Option<End> {
        let mut end = None;
        match &container {
            Container::Running { .. } if self.checks.is_none() => {
                let spread =
                    self.id().to_string().bytes().fold(0u64, |sum, it| sum.wrapping_mul(31).wrapping_add(it.into()));
                let remembered = std::mem::take(&mut self.remembered);
                self.checks = Some(Checks::new(self.check_specs(), now, &remembered, spread));
                self.judged_by = self.assignment.policy;
                self.ran = true;
                self.tries = 0;
                self.message.clear();
            }
            Container::Exited(exit) => {
                end = self.ended.is_none().then(|| end_of(exit, self.stopping));
                self.ran = true;
            }
            Container::Absent if self.was_wanted_running() => {
                let message = "its container is gone, and Ekiden did not remove it".to_owned();
                end = Some(End { kind: EndKind::Vanished, exit_code: None, message });
            }
            Container::Running { .. } | Container::Created | Container::Absent => {}
        }
        if !matches!(container, Container::Running { .. }) {
            self.checks = None;
        }
        self.container = Some(container);
        self.redefine_asking(now);
        if let Some(end) = &end {
            self.ended = Some(end.clone());
        }
        end
    }

    /// Whether its container should be there, in the last anyone knows.
    const fn was_wanted_running(&self) -> bool {
        !self.assignment.stop && self.ended.is_none() && (self.ran || self.assignment.started)
    }

    /// An operation failed; it is tried again after a pause.
    pub(super) fn pause(&mut self, now: Timestamp) {
        self.retry_at = now.plus_ms(AGAIN_MS.saturating_mul(1 << self.tries.min(10)).min(AGAIN_MAX_MS));
        self.tries = self.tries.saturating_add(1);
    }
}

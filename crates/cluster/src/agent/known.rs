//! What an agent knows of one instance.

use super::readiness::Asking;
use super::{Assignment, Checks, Container, Kept, Next, SavedInstance, Seen, Wanted, end_of, next};
use crate::model::{
    CheckResult, End, EndKind, Health, HealthAnswer, HealthCheck, InstanceId, Readiness, ReadinessCheck, Timestamp,
    Version,
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
    /// Those health checks.
    pub(super) judged: Vec<HealthCheck>,
    /// Those that it is told to follow, until it has passed them.
    pub(super) trial: Option<Trial>,
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
    /// What a health check that failed was answered last, before its end.
    pub(super) last_answer: Option<HealthAnswer>,
    /// What it left behind is safe, or is given up.
    pub(super) kept: Option<Kept>,
    /// So often it could not be kept whole.
    pub(super) n_partly: u32,
    /// Consul may have an entry for it.
    pub(super) advertised: bool,
    /// Its way out of Consul, before its container is stopped.
    pub(super) leaving: Option<Leaving>,
    /// The stop under way: when it began, and when it is cut short at the latest, if it was hurried.
    pub(super) stop: Option<StopUnderWay>,
}

/// Other health checks than those by which an instance is judged. It is judged by them when they have succeeded for as
/// long as a new instance must live: one that turns out wrong takes nobody out.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// Their answers.
    pub(super) checks: Checks,
    /// Since when all have succeeded.
    since: Option<Timestamp>,
}

/// A container's end that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopUnderWay {
    began_at: Timestamp,
    /// From its polite to its hard signal, milliseconds, as the engine was told.
    grace_ms: u64,
    /// The hard signal is to be given then: there is less time now than the engine was told.
    pub(super) kill_at: Option<Timestamp>,
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
            judged: assignment.spec.as_ref().map(|it| it.policy.health_checks.clone()).unwrap_or_default(),
            trial: None,
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
            last_answer: None,
            kept: None,
            n_partly: 0,
            advertised: false,
            leaving: None,
            stop: None,
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
        known.kept = saved.kept;
        if let Some((by, checks)) = saved.judged {
            (known.judged_by, known.judged) = (by, checks);
        }
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
            kept: self.kept.clone(),
            judged: Some((self.judged_by, self.judged.clone())),
        }
    }

    /// Takes in what is wanted now. An end that is under way has no more time than it would have if it began with this.
    pub(super) fn take_order(&mut self, order: Assignment) {
        self.assignment = order;
        if let Some(stop) = self.stop.as_mut().filter(|_| self.busy == Some(Next::Stop))
            && self.assignment.kill_grace_ms < stop.grace_ms
        {
            stop.grace_ms = self.assignment.kill_grace_ms;
            stop.kill_at = Some(stop.began_at.plus_ms(stop.grace_ms));
        }
    }

    /// The engine was told to end the container.
    pub(super) fn stops(&mut self, now: Timestamp) {
        self.stopping = true;
        self.stop = Some(StopUnderWay { began_at: now, grace_ms: self.assignment.kill_grace_ms, kill_at: None });
    }

    /// When the end that is under way is to be cut short, if it is.
    pub(super) fn kill_at(&self) -> Option<Timestamp> {
        self.stop.filter(|_| self.busy == Some(Next::Stop))?.kill_at
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
        let ran = self.ran || self.assignment.started || matches!(self.container, Some(Container::Exited(_)));
        let kept = self.kept.is_some() || !ran;
        match next(self.wanted(), self.container.as_ref(), kept) {
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

    /// The health checks' definitions that it is to follow.
    fn check_specs(&self) -> &[HealthCheck] {
        self.assignment.spec.as_ref().map_or(&[], |it| &it.policy.health_checks)
    }

    /// Whether requests may be sent to it. To one that nobody speaks of any more they may not: whoever replaced it does
    /// not know that it answers too.
    pub(super) fn is_serving(&self) -> bool {
        self.is_running() && !self.orphan && !self.assignment.stop && self.is_well()
    }

    /// Whether its health checks, if it has any, let it serve.
    fn is_well(&self) -> bool {
        let forgiven = || self.checks.as_ref().is_some_and(Checks::are_forgiven);
        self.judged.is_empty() || self.health() == Health::Healthy || forgiven()
    }

    /// Whether nothing but single failures keeps it from serving.
    pub(super) fn missed_one(&self) -> bool {
        let missed = || self.checks.as_ref().is_some_and(Checks::missed_one);
        self.is_running() && !self.orphan && !self.assignment.stop && missed()
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

    /// Takes in new definitions of its checks. Who serves goes on being judged by what it passed, until it has passed
    /// what it is asked now.
    pub(super) fn redefine_checks(&mut self, now: Timestamp) {
        self.redefine_asking(now);
        let specs = self.check_specs().to_vec();
        let Some(checks) = self.checks.as_ref() else { return };
        let asks_more = !checks.ask(&specs) && !specs.is_empty() && self.is_well();
        let first = self.trial.as_ref().map_or_else(|| checks.end(), |it| it.checks.end());
        if !asks_more {
            if !checks.are(&specs) || self.trial.is_some() {
                self.is_judged_by(checks.redefined(&specs, first, now));
            }
        } else if self.trial.as_ref().is_none_or(|it| !it.checks.are(&specs)) {
            self.trial = Some(Trial { checks: checks.redefined(&specs, first, now), since: None });
        }
    }

    /// Looks whether it has passed the health checks that it is told to follow; whether that is so.
    pub(super) fn passes_trial(&mut self, now: Timestamp) -> bool {
        let live_ms = self.assignment.min_live_ms;
        let Some(trial) = self.trial.as_mut() else { return false };
        if trial.checks.health() != Health::Healthy {
            trial.since = None;
            return false;
        }
        let passes = trial.since.get_or_insert(now).plus_ms(live_ms) <= now;
        if passes {
            let checks = trial.checks.clone();
            self.is_judged_by(checks);
        }
        passes
    }

    /// When [`Known::passes_trial`] may turn, or another probe of the trial is due.
    pub(super) fn trial_wakes_at(&self) -> Option<Timestamp> {
        let trial = self.trial.as_ref()?;
        let passes_at = trial.since.map(|it| it.plus_ms(self.assignment.min_live_ms));
        trial.checks.wake_at().into_iter().chain(passes_at).min()
    }

    fn is_judged_by(&mut self, checks: Checks) {
        self.judged = checks.specs();
        self.judged_by = self.assignment.policy;
        self.checks = Some(checks);
        self.trial = None;
    }

    /// Takes in what is there; returns its end, if that is what was seen.
    pub(super) fn observe(&mut self, container: Container, now: Timestamp) -> Option<End> {
        let mut end = None;
        match &container {
            Container::Running { .. } if self.checks.is_none() => {
                let spread =
                    self.id().to_string().bytes().fold(0u64, |sum, it| sum.wrapping_mul(31).wrapping_add(it.into()));
                let remembered = std::mem::take(&mut self.remembered);
                if !self.ran {
                    self.judged = self.check_specs().to_vec();
                    self.judged_by = self.assignment.policy;
                }
                self.checks = Some(Checks::new(&self.judged, now, &remembered, spread));
                self.ran = true;
                // What it leaves behind from now on is still to be kept.
                (self.last_answer, self.kept) = (None, None);
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
            if let Some(checks) = self.checks.take() {
                self.last_answer = checks.last_answer();
            }
            self.trial = None;
        }
        self.container = Some(container);
        if self.assignment.stop {
            self.redefine_asking(now);
        } else {
            self.redefine_checks(now);
        }
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

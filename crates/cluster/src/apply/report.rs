//! What agents saw: the only writer of an instance's condition, which never goes back.

use super::Changing;
use crate::agent::{Observation, Seen};
use crate::command::Rejected;
use crate::event::Event;
use crate::model::{
    App, Cause, Condition, Deployment, DeploymentId, End, EndKind, Evidence, Failure, Goal, Health, Instance,
    InstanceId, Moment, NodeId, Reservation, Since, StopReason,
};
use crate::state::State;
use std::sync::Arc;

impl Changing<'_> {
    /// Takes an agent's observations of its own instances; others are passed over, an agent can speak for itself only.
    pub(super) fn report(
        &mut self,
        node: &NodeId,
        observations: Vec<Observation>,
        destroyed: &[InstanceId],
    ) -> Result<(), Rejected> {
        let known = self.state.nodes.get(node).ok_or_else(|| Rejected::NoNode { node: node.clone() })?;
        if known.is_lost() {
            // It must register again first: its instances may have been replaced meanwhile.
            return Err(Rejected::NoNode { node: node.clone() });
        }
        let mut changed = false;
        for observation in observations {
            let own = self.state.instances.get(&observation.instance).filter(|it| it.node == *node);
            if let Some(instance) = own.map(Arc::clone) {
                changed |= self.observe(&instance, observation);
            } else if observation.seen == Seen::Removed {
                changed |= self.forget_orphan(node, observation.instance);
            }
        }
        for id in destroyed {
            let told = |it: &&Arc<Reservation>| it.node == *node && it.doomed && it.holder.is_none();
            if self.state.reservations.get(id).as_ref().is_some_and(told) {
                self.forget_reservation(*id);
                changed = true;
            }
        }
        if changed { Ok(()) } else { Err(Rejected::Nothing) }
    }

    fn observe(&mut self, instance: &Arc<Instance>, observation: Observation) -> bool {
        let (told, seen) = (observation.evidence.clone(), is_news(instance, &observation));
        if seen {
            self.observe_news(instance, observation);
        }
        let kept = told.is_some_and(|it| self.keep_evidence(instance, &it));
        seen || kept
    }

    fn observe_news(&mut self, instance: &Arc<Instance>, observation: Observation) {
        let Observation { judged_by, trial, seen, .. } = observation;
        match seen {
            Seen::Staging { message } => self.observe_staging(instance, message),
            Seen::Running { ip, health, checks, readiness } => {
                let after = Instance { health, checks, judged_by, trial, readiness, ip, ..Instance::clone(instance) };
                self.observe_running(instance, after);
            }
            Seen::Ended(end) => drop(self.observe_end(instance, end)),
            Seen::Removed => {
                let gone = "the container is gone, and Ekiden did not remove it".to_owned();
                let end = End { kind: EndKind::Vanished, exit_code: None, message: gone };
                let last = self.observe_end(instance, end).unwrap_or_else(|| Arc::clone(instance));
                self.remove_instance(&last);
            }
        }
    }

    fn observe_staging(&mut self, instance: &Instance, message: String) {
        self.put_instance(Instance { message, news_at: self.now(), ..instance.clone() });
    }

    fn observe_running(&mut self, before: &Instance, mut after: Instance) {
        // Once ready, always ready: an agent that forgot may ask again, but takes nothing back.
        after.readiness.ready |= before.readiness.ready;
        // What is so from now on, and what has been so, without a break.
        let now = self.now();
        let since = |is_so: bool, before: Option<Moment>| is_so.then(|| before.unwrap_or(now));
        after.since = Since {
            running: since(true, before.since.running),
            healthy: since(after.health == Health::Healthy, before.since.healthy),
            ready: since(after.readiness.ready, before.since.ready),
        };
        let started = before.condition == Condition::Staging;
        let passed_others = after.judged_by != before.judged_by && before.is_running();
        let became_ready = after.readiness.ready && !before.readiness.ready;
        if started {
            after.condition = Condition::Running;
            after.started_at = Some(self.time());
            after.started = Some(self.now());
            after.message = String::new();
        }
        let instance = self.put_instance(after);
        if started {
            self.learn_of_start(&instance);
            self.event(Event::InstanceChanged { instance: Arc::clone(&instance) });
        }
        if became_ready || passed_others {
            self.event(Event::InstanceReady { instance: Arc::clone(&instance) });
        }
        if before.health != instance.health {
            self.event(Event::HealthChanged { instance, before: before.health });
        }
    }

    /// The instance as it is after its end; nothing if that was known.
    fn observe_end(&mut self, instance: &Instance, mut end: End) -> Option<Arc<Instance>> {
        if instance.has_ended() {
            return None;
        }
        if end.kind != EndKind::NotStarted {
            self.use_place(instance);
        }
        match instance.goal {
            // It ended because it was told to, however the container took it.
            Goal::Stop(StopReason::Unhealthy) => end.kind = EndKind::Unhealthy,
            Goal::Stop(_) => end.kind = EndKind::Killed,
            Goal::Run if end.kind.is_failure() => {
                let answer =
                    instance.checks.iter().filter(|it| !it.alive).find_map(|it| it.last_failure_cause.as_ref());
                let answer = answer.map(|it| format!("; its last health check: {it}")).unwrap_or_default();
                self.count_failure(instance, end.kind, format!("{}{answer}", end.message));
                if end.kind == EndKind::NotStarted {
                    self.learn_of_failure(instance, Cause::of(&end.message), &end.message);
                }
            }
            Goal::Run => {}
        }
        let message = end.message.clone();
        let ended = Instance { condition: Condition::Ended(end), message, ..instance.clone() };
        let ended = self.put_instance(ended);
        self.event(Event::InstanceChanged { instance: Arc::clone(&ended) });
        Some(ended)
    }
}

impl Changing<'_> {
    /// Puts what an instance left behind where somebody asks why it failed; whether there is such a place.
    fn keep_evidence(&mut self, instance: &Instance, evidence: &Arc<Evidence>) -> bool {
        let mut kept = false;
        if let Some(app) = self.state.apps.get(&instance.app)
            && let Some(failure) = app.last_failure.as_ref().filter(|it| it.instance == instance.id)
            && failure.evidence.is_none()
        {
            let failure = Failure { evidence: Some(Arc::clone(evidence)), ..Failure::clone(failure) };
            let app = App { last_failure: Some(Arc::new(failure)), ..App::clone(app) };
            self.put_app(app);
            kept = true;
        }
        for id in self.state.in_want_of_evidence(instance).collect::<Vec<_>>() {
            let mut deployment = Deployment::clone(&self.state.deployments[&id]);
            let known = deployment.failures.get(&instance.app).map(|it| Failure::clone(it));
            let failure = known.unwrap_or_else(|| self.failure_of(instance, evidence));
            let failure = Failure { evidence: Some(Arc::clone(evidence)), ..failure };
            deployment.failures.insert(instance.app.clone(), Arc::new(failure));
            self.state.deployments.insert(id, Arc::new(deployment));
            kept = true;
        }
        kept
    }

    /// How an instance failed that ran and did not become what its deployment waited for.
    fn failure_of(&self, instance: &Instance, evidence: &Evidence) -> Failure {
        let cause = evidence.health.as_ref().map(|it| it.cause.as_str());
        let message = match cause {
            Some(cause) => format!("it ran and was not healthy: {cause}"),
            None => "it ran, and was stopped when its deployment had failed".to_owned(),
        };
        Failure {
            instance: instance.id,
            node: instance.node.clone(),
            kind: EndKind::Killed,
            message,
            at: self.time(),
            version: instance.version,
            evidence: None,
        }
    }
}

impl State {
    /// The deployments that have failed, and that lack what this instance left behind.
    fn in_want_of_evidence(&self, instance: &Instance) -> impl Iterator<Item = DeploymentId> {
        self.deployments.values().filter(|it| it.lacks_evidence_of(instance)).map(|it| it.id)
    }

    /// Whether anybody would ask what an instance left behind: it has failed, or its deployment has. That of others, such
    /// as those that an update replaces, stays on their nodes.
    pub fn wants_evidence(&self, id: InstanceId) -> bool {
        let Some(instance) = self.instances.get(&id) else { return false };
        let lacks = |it: &Failure| it.instance == id && it.evidence.is_none();
        let app = self.apps.get(&instance.app);
        let fails = instance.goal == Goal::Run && !instance.has_ended();
        fails
            || app.and_then(|it| it.last_failure.as_ref()).is_some_and(|it| lacks(it))
            || self.in_want_of_evidence(instance).next().is_some()
    }

    /// Whether a report of this node would tell something that is not in the state. Agents tell all that they see at
    /// each connection; only what changed is worth an entry in the log.
    pub fn is_news(&self, node: &NodeId, observation: &Observation) -> bool {
        let Observation { instance: id, seen, .. } = observation;
        let Some(instance) = self.instances.get(id) else {
            let orphans = self.nodes.get(node).map(|it| &it.orphans);
            return *seen == Seen::Removed && orphans.is_some_and(|it| it.contains_key(id));
        };
        let is_wanted = || observation.evidence.is_some() && self.wants_evidence(*id);
        instance.node == *node && (is_news(instance, observation) || is_wanted())
    }
}

fn is_news(instance: &Instance, Observation { judged_by: by, trial: failing, seen, .. }: &Observation) -> bool {
    let staging = instance.condition == Condition::Staging;
    match seen {
        Seen::Staging { message: told } => staging && instance.message != *told,
        Seen::Running { .. } if instance.has_ended() => false,
        Seen::Running { .. } if staging => true,
        Seen::Running { ip: at, health: now, checks: results, readiness: told } => {
            let Instance { ip, health, checks, judged_by, trial, readiness, since, .. } = instance;
            let is_ready = told.ready || readiness.ready;
            (ip, health, checks, judged_by, trial) != (at, now, results, by, failing)
                || (is_ready, &told.response) != (readiness.ready, &readiness.response)
                || since.running.is_none()
                || since.healthy.is_some() != (*health == Health::Healthy)
                || since.ready.is_some() != readiness.ready
        }
        Seen::Ended(_) => !instance.has_ended(),
        Seen::Removed => true,
    }
}

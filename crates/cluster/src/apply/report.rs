//! What agents saw: the only writer of an instance's condition, which never goes back.

use super::Changing;
use crate::agent::{Observation, Seen};
use crate::command::Rejected;
use crate::event::Event;
use crate::model::{
    Cause, Condition, End, EndKind, Goal, Health, Instance, InstanceId, Moment, NodeId, Reservation, Since, StopReason,
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
        if !is_news(instance, &observation) {
            return false;
        }
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
        true
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

impl State {
    /// Whether a report of this node would tell something that is not in the state. Agents tell all that they see at
    /// each connection; only what changed is worth an entry in the log.
    pub fn is_news(&self, node: &NodeId, observation: &Observation) -> bool {
        let Observation { instance: id, seen, .. } = observation;
        let Some(instance) = self.instances.get(id) else {
            let orphans = self.nodes.get(node).map(|it| &it.orphans);
            return *seen == Seen::Removed && orphans.is_some_and(|it| it.contains_key(id));
        };
        instance.node == *node && is_news(instance, observation)
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

//! What Docker, probes and Consul say.

use super::Agent;
use crate::agent::bounds::bound_evidence;
use crate::agent::known::Known;
use crate::agent::{Container, Done, Exit, Keeping, Kept, Listed, Listing, Maker, Next, Note, Outcome, Output};
use crate::model::{End, EndKind, InstanceId, ReadinessResponse, Stranger, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an instance left behind is tried to be kept so many times more when it could not be kept whole: some seconds.
const KEEP_TRIES: u32 = 3;

impl Agent {
    pub(super) fn take_list(&mut self, epoch: u64, containers: Vec<Listed>, now: Timestamp) {
        let first = !self.engine.listed;
        self.engine.listed(now);
        self.wish_stale |= first;
        let mut strangers = BTreeMap::new();
        let mut listed = BTreeSet::new();
        for Listed { instance, listing, maker } in containers {
            listed.insert(instance);
            if let Some(order) = self.gone.remove(&instance) {
                // It was ordered to stop and seen gone; that it is here after all changes nothing about the order.
                self.instances.insert(instance, Known { orphan: true, ..Known::new(order, None) });
            }
            let Some(known) = self.instances.get_mut(&instance) else {
                // Another agent of the engine speaks of what it made, as long as there is one.
                if !self.quarantined.contains_key(&instance) && maker.agent.is_none_or(|it| it == self.settings.agent) {
                    self.outputs.push(Output::Note(Note::Quarantined(instance)));
                }
                let Maker { app, node, agent } = maker;
                let running = matches!(listing, Listing::Running { .. });
                strangers.insert(instance, Stranger { instance, app, node, agent, running });
                continue;
            };
            if known.busy.is_some() || known.epoch > epoch {
                continue;
            }
            match listing {
                Listing::Running { ip, ipv6 } => {
                    known.adopted |= known.container.is_none();
                    self.observe(instance, Container::Running { ip, ipv6 }, now);
                }
                // One that ran and lacks a part now is looked at before anything is done to the others.
                Listing::Created if known.ran || known.assignment.started => self.inspect(instance),
                Listing::Created => self.observe(instance, Container::Created, now),
                Listing::Ended if matches!(known.container, Some(Container::Exited(_))) => {}
                Listing::Ended => self.inspect(instance),
            }
        }
        if self.quarantined != strangers {
            self.quarantined = strangers;
            self.wish_stale = true;
        }
        let unlisted = |it: &&Known| !listed.contains(&it.id()) && it.busy.is_none() && it.epoch <= epoch;
        let missing: Vec<InstanceId> = self.instances.values().filter(unlisted).map(Known::id).collect();
        for instance in missing {
            let known = &self.instances[&instance];
            let was_there = known.ran || known.assignment.started;
            match known.container {
                Some(Container::Absent) => {}
                None if !was_there => self.observe(instance, Container::Absent, now),
                // A list that lacks a container is confirmed by a look at it before anything is called gone.
                _ => self.inspect(instance),
            }
        }
    }

    pub(super) fn hint(&mut self, instance: InstanceId) {
        let gone = |it: &Known| it.busy.is_none() && it.assignment.stop && it.container == Some(Container::Absent);
        if self.instances.get(&instance).is_some_and(|it| !gone(it)) {
            self.inspect(instance);
        }
    }

    pub(super) fn died(&mut self, instance: InstanceId, exit: Exit, now: Timestamp) {
        match self.instances.get_mut(&instance) {
            Some(known) if known.busy.is_none() && known.is_running() => {
                // A look that is under way may still find it running.
                self.epoch += 1;
                known.epoch = self.epoch;
                self.observe(instance, Container::Exited(exit), now);
            }
            _ => self.hint(instance),
        }
    }

    pub(super) fn inspect(&mut self, instance: InstanceId) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        if known.busy.is_some() || known.inspecting {
            known.hinted = true;
            return;
        }
        known.inspecting = true;
        known.hinted = false;
        self.epoch += 1;
        self.outputs.push(Output::Inspect { instance, epoch: self.epoch });
    }

    pub(super) fn take_look(
        &mut self,
        instance: InstanceId,
        epoch: u64,
        container: Result<Container, String>,
        now: Timestamp,
    ) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        known.inspecting = false;
        let fresh = known.busy.is_none() && known.epoch <= epoch;
        match container {
            Ok(container) if fresh => {
                known.adopted |= known.container.is_none();
                self.observe(instance, container, now);
            }
            Ok(_) => {}
            Err(message) => self.engine.suspected(&message, now),
        }
        self.look_again(instance);
    }

    pub(super) fn look_again(&mut self, instance: InstanceId) {
        if self.instances.get(&instance).is_some_and(|it| it.hinted && it.busy.is_none()) {
            self.inspect(instance);
        }
    }

    pub(super) fn progress(&mut self, instance: InstanceId, message: String) {
        if let Some(known) = self.instances.get_mut(&instance)
            && known.busy == Some(Next::Start)
        {
            known.message = message;
            self.reporter.changed(instance);
        }
    }

    pub(super) fn take_result(&mut self, instance: InstanceId, result: Done, now: Timestamp) {
        self.epoch += 1;
        let Some(known) = self.instances.get_mut(&instance) else { return };
        let Some(operation) = known.busy.take() else { return };
        known.epoch = self.epoch;
        known.abandoned = false;
        self.dirty.insert(instance);
        self.reporter.changed(instance);
        match result {
            Done::Now(container) => {
                known.tries = 0;
                self.observe(instance, container, now);
            }
            Done::Abandoned => known.hinted |= known.container.is_none(),
            Done::Unavailable { message } => {
                known.message = format!("waiting for Docker: {message}");
                known.container = None;
                known.pause(now);
                self.engine.suspected(&message, now);
            }
            Done::Refused { message, container } => self.refused(instance, operation, message, container, now),
            Done::Full { message, container } => {
                self.engine.is_full(message.clone(), now);
                self.refused(instance, operation, message, container, now);
            }
        }
        self.look_again(instance);
    }

    /// What an instance left behind is safe, or is not. What cannot be had whole is tried some times more and then given
    /// up: an engine that cannot read one log, or a full disk, must not hold a place for ever.
    pub(super) fn take_kept(&mut self, instance: InstanceId, result: Keeping, now: Timestamp) {
        self.epoch += 1;
        let Some(known) = self.instances.get_mut(&instance).filter(|it| it.busy == Some(Next::Keep)) else { return };
        known.busy = None;
        known.epoch = self.epoch;
        self.dirty.insert(instance);
        let mut kept = match result {
            Keeping::Safe(evidence) => Kept { evidence: Some(evidence) },
            Keeping::Gone => Kept::default(),
            Keeping::Partly { message, evidence } if known.n_partly >= KEEP_TRIES => {
                self.outputs.push(Output::Note(Note::NotKept { instance, message }));
                Kept { evidence: Some(evidence) }
            }
            Keeping::Partly { .. } => {
                known.n_partly += 1;
                known.pause(now);
                return self.look_again(instance);
            }
            Keeping::Unavailable { message } => {
                known.pause(now);
                self.engine.suspected(&message, now);
                return self.look_again(instance);
            }
        };
        if let Some(evidence) = &mut kept.evidence {
            bound_evidence(Arc::make_mut(evidence));
        }
        known.kept = Some(kept);
        known.tries = 0;
        self.reporter.changed(instance);
        self.outputs.push(Output::Save);
        self.look_again(instance);
    }

    pub(super) fn refused(
        &mut self,
        instance: InstanceId,
        operation: Next,
        message: String,
        container: Container,
        now: Timestamp,
    ) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        if operation == Next::Start {
            let end = End { kind: EndKind::NotStarted, exit_code: None, message };
            known.ended.get_or_insert_with(|| end.clone());
            known.container = Some(container);
            self.outputs.push(Output::Note(Note::Ended { instance, end }));
            self.outputs.push(Output::Save);
        } else {
            known.pause(now);
            if known.tries > 1 {
                self.outputs.push(Output::Note(Note::Stuck { instance, message }));
            }
            self.observe(instance, container, now);
        }
    }

    pub(super) fn observe(&mut self, instance: InstanceId, container: Container, now: Timestamp) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        if known.container.as_ref() == Some(&container) && known.ended.is_some() != known.is_running() {
            return;
        }
        let end = known.observe(container, now);
        if let Some(end) = end.filter(|_| !known.assignment.stop) {
            self.outputs.push(Output::Note(Note::Ended { instance, end }));
        }
        self.dirty.insert(instance);
        self.reporter.changed(instance);
        self.wish_stale = true;
        self.outputs.push(Output::Save);
    }

    pub(super) fn take_probe(&mut self, instance: InstanceId, check: u32, outcome: Outcome, now: Timestamp) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        self.dirty.insert(instance);
        let leave_after = known.assignment.leave_after;
        if let Some(trial) = known.trial.as_mut().filter(|it| it.checks.spec(check).is_some()) {
            // Whether it has passed is seen to with the next probes.
            if trial.checks.answered(check, outcome, leave_after, now) {
                self.reporter.changed(instance);
            }
            return;
        }
        let Some(checks) = known.checks.as_mut() else { return };
        let before = (checks.health(), checks.are_forgiven(), checks.missed_one());
        if checks.answered(check, outcome, leave_after, now) {
            self.reporter.changed(instance);
            if (checks.health(), checks.are_forgiven(), checks.missed_one()) != before {
                self.wish_stale = true;
                self.outputs.push(Output::Save);
            }
        }
    }

    pub(super) fn take_answer(
        &mut self,
        instance: InstanceId,
        answer: Result<ReadinessResponse, String>,
        now: Timestamp,
    ) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        let Some(asking) = known.asking.as_mut() else { return };
        let readiness = asking.answered(answer, &known.readiness, now);
        if readiness != known.readiness {
            known.readiness = readiness;
            known.redefine_asking(now);
            self.reporter.changed(instance);
            self.outputs.push(Output::Save);
        }
        self.dirty.insert(instance);
    }

    pub(super) fn published(&mut self, revision: Option<u64>, now: Timestamp) {
        for known in self.instances.values_mut() {
            let Some(leaving) = known.leaving.as_mut() else { continue };
            match revision {
                Some(revision) if leaving.revision <= revision && !leaving.confirmed => {
                    leaving.confirmed = true;
                    leaving.until = leaving.until.min(now.plus_ms(self.settings.drain_ms));
                }
                // Nobody can be told: waiting does not help.
                None if !leaving.confirmed => leaving.until = leaving.until.min(now),
                _ => {}
            }
            self.dirty.insert(known.id());
        }
    }
}

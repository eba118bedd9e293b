//! What schedulers say: who serves, what shall run and stop, what is forgotten.

use super::{Agent, MAX_GONE};
use crate::agent::known::Known;
use crate::agent::{Assignment, Container, Note, Output};
use crate::catalog::Gone;
use crate::model::{ClusterId, InstanceId, Timestamp};
use std::collections::BTreeSet;

impl Agent {
    pub(super) fn connect(&mut self, cluster: ClusterId) {
        self.connected = true;
        (self.complete, self.strangers_told, self.writers_told) = (false, None, None);
        if self.cluster != Some(cluster) {
            self.cluster = Some(cluster);
            self.outputs.push(Output::Save);
        }
        self.reporter.connected(self.instances.keys().copied());
        self.outputs.push(Output::Degraded { reason: self.degraded.clone() });
    }

    /// Whether it was obeyed.
    pub(super) fn assign(
        &mut self,
        generation: u64,
        orders: Vec<Assignment>,
        forget: &[InstanceId],
        complete: bool,
        now: Timestamp,
    ) -> bool {
        if generation < self.generation {
            // INV-F1: this control plane is older than what it once ordered; it is not obeyed.
            let known = self.generation;
            self.outputs.push(Output::Note(Note::Outdated { generation, known }));
            let reason = format!("its assignments are of generation {generation}, and {known} was seen before");
            self.outputs.push(Output::Reconnect { reason });
            return false;
        }
        self.generation = generation;
        if complete {
            self.republish = true;
            (self.spoken, self.complete) = (true, true);
            let spoken_of: BTreeSet<InstanceId> = orders.iter().map(|it| it.instance).collect();
            for known in self.instances.values_mut().filter(|it| !spoken_of.contains(&it.id())) {
                known.orphan = true;
                self.dirty.insert(known.id());
            }
        }
        for order in orders {
            self.order(order, now);
        }
        for instance in forget {
            self.forget(*instance);
        }
        self.wish_stale = true;
        self.outputs.push(Output::Save);
        true
    }

    /// The cluster says whose entries nobody else deletes any more.
    pub(super) fn know_gone(&mut self, gone: Gone) {
        let gone = if gone.writers.is_empty() { Gone::default() } else { gone };
        if self.gone_writers != gone {
            self.gone_writers = gone;
            self.wish_stale = true;
        }
    }

    pub(super) fn order(&mut self, order: Assignment, now: Timestamp) {
        let instance = order.instance;
        self.dirty.insert(instance);
        self.reporter.changed(instance);
        let Some(known) = self.instances.get_mut(&instance) else {
            let strange = self.quarantined.remove(&instance).is_some();
            let absent = (self.engine.listed && !strange).then_some(Container::Absent);
            self.instances.insert(instance, Known::new(order, absent));
            if strange || self.engine.listed {
                self.confirm_absence(instance);
            }
            return;
        };
        known.orphan = false;
        known.confirmed = true;
        // What was ordered to stop stays so, whatever comes later.
        if order.stop || !known.assignment.stop {
            if order.stop && !known.assignment.stop {
                known.tries = 0;
                known.retry_at = now;
            }
            known.take_order(order);
        }
        if !known.assignment.stop {
            known.redefine_checks(now);
        }
        self.confirm_absence(instance);
    }

    /// A container that the cluster has seen running, or that is a stranger, is looked for once more before it is
    /// called gone.
    pub(super) fn confirm_absence(&mut self, instance: InstanceId) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        let lost = matches!(known.container, Some(Container::Absent))
            && known.assignment.started
            && !known.assignment.stop
            && known.ended.is_none();
        if lost {
            known.container = None;
        }
        if known.container.is_none() && self.engine.listed {
            self.inspect(instance);
        }
    }

    pub(super) fn forget(&mut self, instance: InstanceId) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        if matches!(known.container, Some(Container::Absent)) && known.busy.is_none() {
            self.drop_instance(instance);
        } else {
            known.orphan = true;
        }
    }

    pub(super) fn drop_instance(&mut self, instance: InstanceId) {
        self.reporter.forget(instance);
        self.dirty.remove(&instance);
        if let Some(known) = self.instances.remove(&instance)
            && known.assignment.stop
        {
            self.gone.insert(instance, Assignment { spec: None, ..known.assignment });
            if self.gone.len() > MAX_GONE {
                self.gone.pop_first();
            }
        }
        self.outputs.push(Output::Save);
    }
}

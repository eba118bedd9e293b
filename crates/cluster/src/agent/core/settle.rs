//! What follows from what is known: operations, probes, reports, and the wish for Consul.

use super::{Agent, LEAVE_WITHIN_MS};
use crate::agent::known::Leaving;
use crate::agent::{Container, Next, Outcome, Output, Probe, Seen};
use crate::catalog::{self, Subject, Wish};
use crate::model::{CheckTarget, Health, HealthKind, InstanceId, Timestamp};
use std::collections::BTreeMap;

impl Agent {
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.engine.tick(now);
        if self.cluster.is_some() && self.engine.list_due(now) {
            self.epoch += 1;
            self.outputs.push(Output::List { epoch: self.epoch });
        }
        self.make_wish();
        for instance in std::mem::take(&mut self.dirty) {
            self.step(instance, now);
            self.probe(instance, now);
        }
        let reason = self.engine.reason();
        if reason != self.degraded {
            self.degraded = reason;
            if self.connected {
                self.outputs.push(Output::Degraded { reason: self.degraded.clone() });
            }
        }
        self.report(now);
    }

    pub(super) fn step(&mut self, instance: InstanceId, now: Timestamp) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        if known.busy == Some(Next::Start) && known.assignment.stop && !known.abandoned {
            known.abandoned = true;
            self.outputs.push(Output::Abandon { instance });
        }
        if known.busy.is_some() {
            return;
        }
        if known.orphan && matches!(known.container, Some(Container::Absent)) {
            self.drop_instance(instance);
            return;
        }
        let next = known.next();
        if next == Next::Nothing || known.retry_at > now || self.cluster.is_none() {
            return;
        }
        if next == Next::Stop {
            let until = if self.settings.consul && known.advertised { now.plus_ms(LEAVE_WITHIN_MS) } else { now };
            let leaving = Leaving { revision: self.revision, confirmed: false, until };
            if known.leaving.get_or_insert(leaving).until > now {
                return;
            }
        }
        known.busy = Some(next);
        self.epoch += 1;
        known.epoch = self.epoch;
        self.outputs.push(match next {
            Next::Start => Output::Start { assignment: known.assignment.clone() },
            Next::Stop => {
                known.stopping = true;
                Output::Stop { instance, grace_ms: known.assignment.kill_grace_ms }
            }
            Next::Remove | Next::Nothing => Output::Remove { instance },
        });
    }

    pub(super) fn probe(&mut self, instance: InstanceId, now: Timestamp) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        let (Some(Container::Running { ip }), Some(spec), None) =
            (&known.container, &known.assignment.spec, known.busy)
        else {
            return;
        };
        let Some(checks) = known.checks.as_mut() else { return };
        for check in checks.due(now) {
            let definition = &spec.policy.health_checks[check as usize];
            let target = spec.check_port(definition, &known.assignment.ports).and_then(|it| match it {
                CheckTarget::Host(port) => Some((self.settings.address.clone(), port)),
                CheckTarget::Container(port) => ip.clone().map(|ip| (ip, port)),
            });
            let probe = match (&definition.kind, target) {
                (HealthKind::Http { path, ignore_1xx, .. }, Some((host, port))) => {
                    Probe::Http { host, port, path: path.clone(), ignore_1xx: *ignore_1xx }
                }
                (HealthKind::Tcp { .. }, Some((host, port))) => Probe::Tcp { host, port },
                (HealthKind::Command { value }, _) => Probe::Command { command: value.clone() },
                (_, None) => {
                    checks.answered(check, Outcome::Failure("there is no such port".to_owned()), now);
                    continue;
                }
            };
            self.outputs.push(Output::Probe { instance, check, probe, timeout_ms: definition.timeout_ms });
        }
    }

    /// What Consul shall say; nothing at all before Docker was listed once, for then nothing is known.
    pub(super) fn make_wish(&mut self) {
        let Some(cluster) = self.cluster.filter(|_| self.wish_stale && self.settings.consul && self.engine.listed)
        else {
            return;
        };
        self.wish_stale = false;
        let mut wish = Wish { services: BTreeMap::new(), keep: self.quarantined.clone() };
        let before = self.wish.take().unwrap_or_default();
        for (instance, known) in &mut self.instances {
            let assignment = &known.assignment;
            if let Some(spec) = assignment.spec.as_ref().filter(|_| known.is_serving()) {
                let subject = Subject {
                    cluster,
                    node: &self.settings.node,
                    address: &self.settings.address,
                    instance: *instance,
                    app: &assignment.app,
                    version: assignment.version,
                    ports: &assignment.ports,
                    spec,
                    rev: self.generation,
                };
                for service in catalog::services(&subject) {
                    let same = before.services.get(&service.id).filter(|it| it.says(&service)).cloned();
                    wish.services.insert(service.id.clone(), same.unwrap_or(service));
                }
                known.advertised = true;
            } else if !assignment.stop
                && (known.container.is_none()
                    || (known.adopted && known.is_running() && known.health() == Health::Unknown))
            {
                // Not known to serve, and not known not to: its entry from before stays.
                wish.keep.insert(*instance);
                known.advertised = true;
            }
        }
        if std::mem::take(&mut self.republish) || self.revision == 0 || wish != before {
            self.revision += 1;
            let (revision, generation) = (self.revision, self.generation);
            self.outputs.push(Output::Publish { revision, generation, wish: wish.clone() });
        }
        self.wish = Some(wish);
    }

    pub(super) fn report(&mut self, now: Timestamp) {
        if self.reporter.is_overdue(now) {
            self.reporter.disconnected();
            self.connected = false;
            let reason = "a report was not acknowledged in time".to_owned();
            self.outputs.push(Output::Reconnect { reason });
        }
        let instances = &self.instances;
        let seen = |it: InstanceId| -> Option<Seen> { instances.get(&it)?.seen() };
        if let Some((sequence, observations)) = self.reporter.take(seen, now) {
            self.outputs.push(Output::Report { sequence, observations });
        }
    }
}

//! What follows from what is known: operations, probes, reports, and the wish for Consul.

use super::{Agent, LEAVE_WITHIN_MS};
use crate::agent::known::{Known, Leaving};
use crate::agent::reporter::Report;
use crate::agent::{Container, Get, Next, Observation, Outcome, Output, Probe};
use crate::catalog::{self, Subject, Wish};
use crate::model::{
    AppId, AppSpec, CheckPort, CheckTarget, Health, HealthCheck, HealthKind, InstanceId, Network, Stranger, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

/// Where a program of the node's own network is asked by IPv6, unless the node's address is such a one; as Mesos'
/// executors did.
const LOOPBACK_IPV6: &str = "::1";

/// From one word on the containers that nobody speaks of to the next, milliseconds: a node that made some of them may
/// have been forgotten meanwhile.
const TELL_AGAIN_MS: u64 = 30_000;

/// How an instance is reached from its agent.
struct Way<'a> {
    /// The node, whose host ports lead to it.
    address: &'a str,
    /// Its own address, where it has one.
    ip: Option<&'a str>,
    /// Its own IPv6 address, where it has one.
    ipv6: Option<&'a str>,
    /// Whether the node's addresses are its own.
    is_on_host: bool,
}

impl Way<'_> {
    fn to(&self, target: CheckTarget) -> Option<(String, u16)> {
        match target {
            CheckTarget::Host(port) => Some((self.address.to_owned(), port)),
            CheckTarget::Container(port) => self.ip.map(|ip| (ip.to_owned(), port)),
        }
    }

    fn own_ipv6(&self) -> Option<&str> {
        let is_ipv6 = || self.address.parse::<Ipv6Addr>().is_ok();
        match self.ipv6 {
            None if self.is_on_host => Some(if is_ipv6() { self.address } else { LOOPBACK_IPV6 }),
            own => own,
        }
    }

    /// How to make a health check; or why it fails without being made.
    fn probe(&self, spec: &AppSpec, check: &HealthCheck, host_ports: &[u16]) -> Result<Probe, String> {
        let target = if check.ipv6 {
            let ipv6 = self.own_ipv6().ok_or("the instance has no IPv6 address: its Docker network gives it none")?;
            own_port(spec, check, host_ports).map(|port| (ipv6.to_owned(), port))
        } else {
            spec.check_port(check, host_ports).and_then(|it| self.to(it))
        };
        match (&check.kind, target) {
            (HealthKind::Http { path, ignore_1xx, tls, .. }, Some((host, port))) => {
                let get = Get { host, port, path: path.clone(), tls: *tls };
                Ok(Probe::Http { get, ignore_1xx: *ignore_1xx, host_network: self.is_on_host })
            }
            (HealthKind::Tcp { .. }, Some((host, port))) => Ok(Probe::Tcp { host, port }),
            (HealthKind::Command { value }, _) => {
                Ok(Probe::Command { container: check.container.clone(), command: value.clone() })
            }
            (_, None) => Err("there is no such port".to_owned()),
        }
    }
}

/// The health check's port at the instance's own address: host ports lead to its IPv4 address only.
fn own_port(spec: &AppSpec, check: &HealthCheck, host_ports: &[u16]) -> Option<u16> {
    let (HealthKind::Http { port, .. } | HealthKind::Tcp { port }) = &check.kind else { return None };
    let n = match *port {
        CheckPort::Number(number) => return Some(number),
        CheckPort::Index(n) => n as usize,
    };
    spec.port_inside(n, host_ports)
}

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
        self.destroy_doomed(now);
        let reason = self.engine.reason().or_else(|| self.tied.clone());
        if reason != self.degraded {
            self.degraded = reason;
            if self.connected {
                self.outputs.push(Output::Degraded { reason: self.degraded.clone() });
            }
        }
        self.report(now);
        self.tell_strangers(now);
        self.tell_writers(now);
    }

    /// Tells the cluster of the containers that no assignment speaks of: when they change, and now and then, for what the
    /// cluster knows of their makers changes too.
    fn tell_strangers(&mut self, now: Timestamp) {
        if !self.connected || !self.complete || !self.engine.listed {
            return;
        }
        let (node, agent) = (self.settings.node.to_string(), Some(self.settings.agent));
        let orphan = |it: &Known| Stranger {
            instance: it.id(),
            app: it.assignment.app.to_string(),
            node: node.clone(),
            agent,
            running: it.is_running(),
        };
        let left =
            |it: &&Known| it.orphan && !it.assignment.stop && !matches!(it.container, None | Some(Container::Absent));
        let strangers: Vec<Stranger> =
            self.quarantined.values().cloned().chain(self.instances.values().filter(left).map(orphan)).collect();
        let known = self
            .strangers_told
            .as_ref()
            .is_some_and(|(told, at)| *told == strangers && (told.is_empty() || now.since_ms(*at) < TELL_AGAIN_MS));
        if !known {
            self.strangers_told = Some((strangers.clone(), now));
            self.outputs.push(Output::Strangers { strangers });
        }
    }

    /// Asks the cluster about whoever else has entries in Consul: when they change, and now and then.
    fn tell_writers(&mut self, now: Timestamp) {
        let told = self.writers_told.as_ref();
        let is_known = told.is_some_and(|(told, at)| *told == self.writers && now.since_ms(*at) < TELL_AGAIN_MS);
        if self.connected && !self.writers.is_empty() && !is_known {
            self.writers_told = Some((self.writers.clone(), now));
            self.outputs.push(Output::Writers { writers: self.writers.clone() });
        }
    }

    pub(super) fn step(&mut self, instance: InstanceId, now: Timestamp) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        if known.busy == Some(Next::Start) && known.assignment.stop && !known.abandoned {
            known.abandoned = true;
            self.outputs.push(Output::Abandon { instance });
        }
        if known.kill_at().is_some_and(|it| it <= now) {
            known.stop = None;
            self.outputs.push(Output::Kill { instance });
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
        // Who begins on volumes that are to go loses what it writes.
        if next == Next::Start && known.assignment.reservation.is_some_and(|it| self.doomed.contains_key(&it)) {
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
                known.stops(now);
                Output::Stop { instance, grace_ms: known.assignment.kill_grace_ms }
            }
            Next::Keep => Output::Keep {
                instance,
                app: known.assignment.app.clone(),
                version: known.assignment.version,
                health: known.last_answer.clone(),
            },
            Next::Remove | Next::Nothing => Output::Remove { instance },
        });
    }

    pub(super) fn probe(&mut self, instance: InstanceId, now: Timestamp) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        let (Some(Container::Running { ip, ipv6 }), Some(spec), None) =
            (&known.container, &known.assignment.spec, known.busy)
        else {
            return;
        };
        let is_on_host = spec.run.network == Network::Host;
        let way = Way { address: &self.settings.address, ip: ip.as_deref(), ipv6: ipv6.as_deref(), is_on_host };
        if let Some(asking) = known.asking.as_mut()
            && asking.is_due(now)
        {
            let check = asking.spec();
            let timeout_ms = check.timeout_ms;
            match spec.readiness_port(check, &known.assignment.ports).and_then(|it| way.to(it)) {
                Some((host, port)) => {
                    let get = Get { host, port, path: check.path.clone(), tls: check.tls };
                    let host_network = spec.run.network == Network::Host;
                    self.outputs.push(Output::Ask { instance, get, timeout_ms, host_network });
                }
                None => {
                    asking.answered(Err("there is no such port".to_owned()), &known.readiness, now);
                }
            }
        }
        let leave_after = known.assignment.leave_after;
        let trial = known.trial.as_mut().map(|it| &mut it.checks);
        for checks in known.checks.iter_mut().chain(trial) {
            for check in checks.due(now) {
                let Some(definition) = checks.spec(check) else { continue };
                let timeout_ms = definition.timeout_ms;
                match way.probe(spec, definition, &known.assignment.ports) {
                    Ok(probe) => self.outputs.push(Output::Probe { instance, check, probe, timeout_ms }),
                    Err(cause) => {
                        if checks.answered(check, Outcome::Failure(cause), leave_after, now) {
                            self.reporter.changed(instance);
                            self.wish_stale = true;
                        }
                    }
                }
            }
        }
        if known.passes_trial(now) {
            self.reporter.changed(instance);
            self.wish_stale = true;
            self.outputs.push(Output::Save);
        }
    }

    /// What Consul shall say; nothing at all before Docker was listed once, for then nothing is known.
    pub(super) fn make_wish(&mut self) {
        let Some(cluster) = self.cluster.filter(|_| self.wish_stale && self.settings.consul && self.engine.listed)
        else {
            return;
        };
        self.wish_stale = false;
        // What nobody speaks of stays as it is only until the cluster has said what it wants of all.
        let unsaid = self.quarantined.keys().filter(|_| !self.spoken).copied();
        let mut wish = Wish { services: BTreeMap::new(), keep: unsaid.collect(), gone: self.gone_writers.clone() };
        let before = self.wish.take().unwrap_or_default();
        let serving: BTreeSet<AppId> =
            self.instances.values().filter(|it| it.is_serving()).map(|it| it.assignment.app.clone()).collect();
        for (instance, known) in &mut self.instances {
            let assignment = &known.assignment;
            // The others may be gone from other nodes by the same accident: one missed probe takes nobody's last.
            let is_last = || known.advertised && known.missed_one() && !serving.contains(&assignment.app);
            if let Some(spec) = assignment.spec.as_ref().filter(|_| known.is_serving() || is_last()) {
                let subject = Subject {
                    cluster,
                    node: &self.settings.node,
                    agent: self.settings.agent,
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
            } else if !known.orphan
                && !assignment.stop
                && (known.container.is_none()
                    || ((known.adopted || known.advertised) && known.is_running() && known.health() == Health::Unknown))
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
        let observe = |instance: InstanceId| -> Option<Observation> {
            let known = instances.get(&instance)?;
            let trial = known.trial.as_ref().and_then(|it| it.checks.cause());
            let evidence = known.kept.as_ref().and_then(|it| it.evidence.clone());
            Some(Observation { instance, judged_by: known.judged_by, trial, seen: known.seen()?, evidence })
        };
        if let Some(Report { sequence, observations, destroyed }) = self.reporter.take(observe, now) {
            self.outputs.push(Output::Report { sequence, observations, destroyed });
        }
    }
}

//! The agent as a machine: inputs and the time go in, outputs come out.

use super::engine::Engine;
use super::known::{Known, Leaving};
use super::reporter::Reporter;
use super::{
    Assignment, Checks, Container, Done, Input, Listed, Listing, Next, Note, Outcome, Output, Probe, Saved, Seen,
};
use crate::catalog::{self, Subject, Wish};
use crate::model::{CheckTarget, ClusterId, End, EndKind, Health, HealthKind, InstanceId, NodeId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// So long a container is at most kept from its stop signal until Consul has let go of it, milliseconds.
const LEAVE_WITHIN_MS: u64 = 1_000;

/// So many removed instances are remembered, for containers that turn up too late.
const MAX_GONE: usize = 256;

/// Who an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its node.
    pub node: NodeId,
    /// Host name or address under which the node's ports are reached.
    pub address: String,
    /// There is a Consul agent to tell.
    pub consul: bool,
    /// From the moment at which Consul has let go of an instance to its stop signal, milliseconds: who resolved its
    /// name just before gets an answer still.
    pub drain_ms: u64,
}

/// How many instances there are in which condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// On their way.
    pub staging: u64,
    /// Running.
    pub running: u64,
    /// Running and serving.
    pub serving: u64,
    /// To be stopped and removed.
    pub stopping: u64,
    /// Ended; their containers stay until the cluster has them removed.
    pub ended: u64,
    /// Containers with our labels that nobody speaks of.
    pub quarantined: u64,
}

/// All that an agent knows and decides. Performs nothing: whoever owns it feeds [`Agent::handle`], performs what
/// [`Agent::drain`] returns, and comes back with the answers, at the latest at [`Agent::wake_at`].
#[derive(Clone, Debug)]
pub struct Agent {
    settings: Settings,
    cluster: Option<ClusterId>,
    generation: u64,
    connected: bool,
    /// Counts operations and looks, so that an old look never hides a newer operation.
    epoch: u64,
    instances: BTreeMap<InstanceId, Known>,
    gone: BTreeMap<InstanceId, Assignment>,
    quarantined: BTreeSet<InstanceId>,
    engine: Engine,
    reporter: Reporter,
    degraded: Option<String>,
    revision: u64,
    wish: Option<Wish>,
    wish_stale: bool,
    dirty: BTreeSet<InstanceId>,
    outputs: Vec<Output>,
}

impl Agent {
    /// An agent that remembers what it kept.
    pub fn new(settings: Settings, saved: Saved) -> Self {
        let known = |it: super::SavedInstance| (it.assignment.instance, Known::remembered(it));
        Self {
            settings,
            cluster: saved.cluster,
            generation: saved.generation,
            connected: false,
            epoch: 0,
            instances: saved.instances.into_iter().map(known).collect(),
            gone: saved.gone.into_iter().map(|it| (it.instance, it)).collect(),
            quarantined: BTreeSet::new(),
            engine: Engine::default(),
            reporter: Reporter::default(),
            degraded: None,
            revision: 0,
            wish: None,
            wish_stale: true,
            dirty: BTreeSet::new(),
            outputs: Vec::new(),
        }
    }

    /// What to keep on disk.
    pub fn saved(&self) -> Saved {
        Saved {
            cluster: self.cluster,
            generation: self.generation,
            instances: self.instances.values().map(Known::saved).collect(),
            gone: self.gone.values().cloned().collect(),
        }
    }

    /// The cluster served, if any.
    pub const fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// Takes an input in. `now` is the agent's own clock: it never goes back.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Connected { cluster } => self.connect(cluster),
            Input::Disconnected => {
                self.connected = false;
                self.reporter.disconnected();
            }
            Input::Assigned { generation, assignments, forget, complete } => {
                self.assign(generation, assignments, &forget, complete, now);
            }
            Input::Reported { sequence } => self.reporter.acknowledged(sequence),
            Input::Listed { epoch, containers } => self.take_list(epoch, containers, now),
            Input::ListFailed { message } => self.engine.list_failed(&message, now),
            Input::Hint { instance } => self.hint(instance),
            Input::Inspected { instance, epoch, container } => self.take_look(instance, epoch, container, now),
            Input::Progress { instance, message } => self.progress(instance, message),
            Input::Slow => self.engine.doubted(now),
            Input::Done { instance, result } => self.take_result(instance, result, now),
            Input::Probed { instance, check, outcome } => self.take_probe(instance, check, outcome, now),
            Input::Published { revision } => self.published(Some(revision), now),
            Input::PublishFailed => self.published(None, now),
            Input::Tick => self.dirty.extend(self.instances.keys()),
        }
        self.settle(now);
    }

    /// What is to be performed since the last call, in order.
    pub fn drain(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// When [`Input::Tick`] is due, if nothing else comes before.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.cluster?;
        let idle = self.instances.values().filter(|it| it.busy.is_none());
        let instances = idle.filter_map(|it| {
            let probe = it.checks.as_ref().filter(|_| it.assignment.spec.is_some()).and_then(Checks::wake_at);
            let step = (it.next() != Next::Nothing).then(|| match it.leaving {
                Some(leaving) => it.retry_at.max(leaving.until),
                None => it.retry_at,
            });
            probe.into_iter().chain(step).min()
        });
        instances.chain(self.engine.wake_at()).chain(self.reporter.wake_at()).min()
    }

    /// How many instances there are in which condition.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { quarantined: self.quarantined.len() as u64, ..Counts::default() };
        for known in self.instances.values() {
            counts.quarantined += u64::from(known.orphan);
            counts.serving += u64::from(known.is_serving());
            let count = match (&known.ended, known.assignment.stop) {
                (_, true) => &mut counts.stopping,
                (Some(_), false) => &mut counts.ended,
                (None, false) if known.is_running() => &mut counts.running,
                (None, false) => &mut counts.staging,
            };
            *count += 1;
        }
        counts
    }

    // ---- what comes in ----

    fn connect(&mut self, cluster: ClusterId) {
        self.connected = true;
        if self.cluster != Some(cluster) {
            self.cluster = Some(cluster);
            self.outputs.push(Output::Save);
        }
        self.reporter.connected(self.instances.keys().copied());
        self.outputs.push(Output::Degraded { reason: self.degraded.clone() });
    }

    fn assign(
        &mut self,
        generation: u64,
        orders: Vec<Assignment>,
        forget: &[InstanceId],
        complete: bool,
        now: Timestamp,
    ) {
        if generation < self.generation {
            // INV-F1: this control plane is older than what it once ordered; it is not obeyed.
            let known = self.generation;
            self.outputs.push(Output::Note(Note::Outdated { generation, known }));
            let reason = format!("its assignments are of generation {generation}, and {known} was seen before");
            self.outputs.push(Output::Reconnect { reason });
            return;
        }
        self.generation = generation;
        if complete {
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
    }

    fn order(&mut self, order: Assignment, now: Timestamp) {
        let instance = order.instance;
        self.dirty.insert(instance);
        self.reporter.changed(instance);
        let Some(known) = self.instances.get_mut(&instance) else {
            let strange = self.quarantined.remove(&instance);
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
            known.assignment = order;
        }
        if !known.assignment.stop {
            known.redefine_checks(now);
        }
        self.confirm_absence(instance);
    }

    /// A container that the cluster has seen running, or that is a stranger, is looked for once more before it is
    /// called gone.
    fn confirm_absence(&mut self, instance: InstanceId) {
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

    fn forget(&mut self, instance: InstanceId) {
        let Some(known) = self.instances.get_mut(&instance) else { return };
        if matches!(known.container, Some(Container::Absent)) && known.busy.is_none() {
            self.drop_instance(instance);
        } else {
            known.orphan = true;
        }
    }

    fn drop_instance(&mut self, instance: InstanceId) {
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

    fn take_list(&mut self, epoch: u64, containers: Vec<Listed>, now: Timestamp) {
        let first = !self.engine.listed;
        self.engine.listed(now);
        self.wish_stale |= first;
        let mut strangers = BTreeSet::new();
        let mut listed = BTreeSet::new();
        for Listed { instance, listing } in containers {
            listed.insert(instance);
            if let Some(order) = self.gone.remove(&instance) {
                // It was ordered to stop and seen gone; that it is here after all changes nothing about the order.
                self.instances.insert(instance, Known { orphan: true, ..Known::new(order, None) });
            }
            let Some(known) = self.instances.get_mut(&instance) else {
                if !self.quarantined.contains(&instance) {
                    self.outputs.push(Output::Note(Note::Quarantined(instance)));
                }
                strangers.insert(instance);
                continue;
            };
            if known.busy.is_some() || known.epoch > epoch {
                continue;
            }
            match listing {
                Listing::Running { ip } => {
                    known.adopted |= known.container.is_none();
                    self.observe(instance, Container::Running { ip }, now);
                }
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

    fn hint(&mut self, instance: InstanceId) {
        let gone = |it: &Known| it.busy.is_none() && it.assignment.stop && it.container == Some(Container::Absent);
        if self.instances.get(&instance).is_some_and(|it| !gone(it)) {
            self.inspect(instance);
        }
    }

    fn inspect(&mut self, instance: InstanceId) {
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

    fn take_look(&mut self, instance: InstanceId, epoch: u64, container: Result<Container, String>, now: Timestamp) {
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

    fn look_again(&mut self, instance: InstanceId) {
        if self.instances.get(&instance).is_some_and(|it| it.hinted && it.busy.is_none()) {
            self.inspect(instance);
        }
    }

    fn progress(&mut self, instance: InstanceId, message: String) {
        if let Some(known) = self.instances.get_mut(&instance)
            && known.busy == Some(Next::Start)
        {
            known.message = message;
            self.reporter.changed(instance);
        }
    }

    fn take_result(&mut self, instance: InstanceId, result: Done, now: Timestamp) {
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
            Done::Abandoned => {}
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

    fn refused(
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

    fn observe(&mut self, instance: InstanceId, container: Container, now: Timestamp) {
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

    fn take_probe(&mut self, instance: InstanceId, check: u32, outcome: Outcome, now: Timestamp) {
        let Some(checks) = self.instances.get_mut(&instance).and_then(|it| it.checks.as_mut()) else { return };
        let before = checks.health();
        if checks.answered(check, outcome, now) {
            self.reporter.changed(instance);
            if checks.health() != before {
                self.wish_stale = true;
                self.outputs.push(Output::Save);
            }
        }
        self.dirty.insert(instance);
    }

    fn published(&mut self, revision: Option<u64>, now: Timestamp) {
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

    // ---- what follows ----

    fn settle(&mut self, now: Timestamp) {
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

    fn step(&mut self, instance: InstanceId, now: Timestamp) {
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

    fn probe(&mut self, instance: InstanceId, now: Timestamp) {
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
    fn make_wish(&mut self) {
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
        if self.revision == 0 || wish != before {
            self.revision += 1;
            let (revision, generation) = (self.revision, self.generation);
            self.outputs.push(Output::Publish { revision, generation, wish: wish.clone() });
        }
        self.wish = Some(wish);
    }

    fn report(&mut self, now: Timestamp) {
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

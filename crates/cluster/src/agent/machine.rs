//! The agent as a machine: inputs and the time go in, outputs come out.

mod doomed;
mod orders;
mod settle;
mod sights;

use super::engine::Engine;
use super::known::Known;
use super::readiness::Asking;
use super::reporter::Reporter;
use super::{Assignment, Checks, Input, Next, Output, Saved, SavedInstance};
use crate::catalog::{Gone, Wish, Writer};
use crate::model::{ClusterId, InstanceId, NodeId, Stranger, Timestamp};
use doomed::Doomed;
use std::collections::{BTreeMap, BTreeSet};

/// So long a container is at most kept from its stop signal until Consul has let go of it, milliseconds.
const LEAVE_WITHIN_MS: u64 = 1_000;

/// So many removed instances are remembered, for containers that turn up too late.
const MAX_GONE: usize = 256;

/// Who an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of its node.
    pub node: NodeId,
    /// Its own identity, as its directory has it: which node it is, whatever that is called.
    pub agent: u64,
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
    /// Containers that are listed, and of which no assignment speaks.
    quarantined: BTreeMap<InstanceId, Stranger>,
    /// The cluster has said since this process started what it wants of all its instances: what it did not speak of then
    /// is nobody's.
    spoken: bool,
    /// It has said so on this connection.
    complete: bool,
    /// What it was told, on this connection, of those that no assignment speaks of.
    strangers_told: Option<(Vec<Stranger>, Timestamp)>,
    /// Who else of the cluster has entries at the node's Consul agent, and when that was told on this connection.
    writers: BTreeSet<Writer>,
    writers_told: Option<(BTreeSet<Writer>, Timestamp)>,
    /// Which of them the cluster knows no more.
    gone_writers: Gone,
    /// Reservations whose volumes are to be destroyed.
    doomed: BTreeMap<InstanceId, Doomed>,
    engine: Engine,
    reporter: Reporter,
    /// Why something else that it needs does not answer.
    tied: Option<String>,
    degraded: Option<String>,
    revision: u64,
    wish: Option<Wish>,
    wish_stale: bool,
    /// The wish is published again even if it says the same: it is now decided at a generation that can be trusted.
    republish: bool,
    dirty: BTreeSet<InstanceId>,
    outputs: Vec<Output>,
}

impl Agent {
    /// An agent that remembers what it kept.
    pub fn new(settings: Settings, saved: Saved) -> Self {
        let known = |it: SavedInstance| (it.assignment.instance, Known::remembered(it));
        Self {
            settings,
            cluster: saved.cluster,
            generation: saved.generation,
            connected: false,
            epoch: 0,
            instances: saved.instances.into_iter().map(known).collect(),
            gone: saved.gone.into_iter().map(|it| (it.instance, it)).collect(),
            quarantined: BTreeMap::new(),
            spoken: false,
            complete: false,
            strangers_told: None,
            writers: BTreeSet::new(),
            writers_told: None,
            gone_writers: Gone::default(),
            doomed: BTreeMap::new(),
            engine: Engine::default(),
            reporter: Reporter::default(),
            tied: None,
            degraded: None,
            revision: 0,
            wish: None,
            wish_stale: true,
            republish: false,
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

    /// The newest generation of assignments that was taken in.
    pub const fn generation(&self) -> u64 {
        self.generation
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
                self.complete = false;
                self.reporter.disconnected();
            }
            Input::Assigned { generation, assignments, forget, destroy, complete } => {
                if self.assign(generation, assignments, &forget, complete, now) {
                    self.doom(&destroy);
                }
            }
            Input::Reported { sequence } => self.reporter.acknowledged(sequence),
            Input::Listed { epoch, containers } => self.take_list(epoch, containers, now),
            Input::ListFailed { message } => self.engine.list_failed(&message, now),
            Input::Hint { instance } => self.hint(instance),
            Input::Died { instance, exit } => self.died(instance, exit, now),
            Input::Inspected { instance, epoch, container } => self.take_look(instance, epoch, container, now),
            Input::Progress { instance, message } => self.progress(instance, message),
            Input::Slow => self.engine.doubted(now),
            Input::Done { instance, result } => self.take_result(instance, result, now),
            Input::Kept { instance, result } => self.take_kept(instance, result, now),
            Input::Probed { instance, check, outcome } => self.take_probe(instance, check, outcome, now),
            Input::Answered { instance, answer } => self.take_answer(instance, answer, now),
            Input::Destroyed { reservation, result } => self.take_destruction(reservation, result, now),
            Input::Published { revision } => self.published(Some(revision), now),
            Input::PublishFailed => self.published(None, now),
            Input::Written { writers } => self.writers = writers,
            Input::Gone { gone } => self.know_gone(gone),
            Input::Tied { reason } => self.tied = reason,
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
        let kills = self.instances.values().filter_map(Known::kill_at);
        let idle = self.instances.values().filter(|it| it.busy.is_none());
        let instances = idle.filter_map(|it| {
            let probe = it.checks.as_ref().filter(|_| it.assignment.spec.is_some()).and_then(Checks::wake_at);
            let step = (it.next() != Next::Nothing).then(|| match it.leaving {
                Some(leaving) => it.retry_at.max(leaving.until),
                None => it.retry_at,
            });
            let question = it.asking.as_ref().map(Asking::wake_at);
            let trial = it.trial_wakes_at().filter(|_| it.assignment.spec.is_some());
            probe.into_iter().chain(question).chain(trial).chain(step).min()
        });
        let doomed = self.doomed.values().filter(|it| self.engine.listed && !it.busy).map(|it| it.retry_at);
        instances.chain(kills).chain(doomed).chain(self.engine.wake_at()).chain(self.reporter.wake_at()).min()
    }

    /// Every instance that it was told of and has not forgotten.
    pub fn instances(&self) -> impl Iterator<Item = InstanceId> {
        self.instances.keys().copied()
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
}

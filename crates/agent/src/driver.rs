//! The agent's loop: one closed set of events, the pure [`Agent`], and its outputs performed.

use crate::clock::Clock;
use crate::consul::Order;
use crate::dirs::Dirs;
use crate::docker::{Docker, Error as DockerError, Listener};
use crate::evidence::{Archive, Ended};
use crate::hands::{Dropped, Hands};
use crate::metrics::Metrics;
use crate::probe::Asker;
use crate::state::{Error as StateError, Keeper};
use cluster::agent::{Agent, Container, Done, FromAgent, Input, Listed, Note, Outcome, Output};
use cluster::catalog::Owner;
use cluster::{ClusterId, InstanceId, NodeId};
use futures::StreamExt;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// What is kept is written so long after it changed: a deployment's changes go to the disk together.
const KEEP_AFTER: Duration = Duration::from_millis(200);

/// So many events are taken in before their consequences are performed.
const BATCH: usize = 256;

/// More probes at a time wait for their turn; the time of waiting is not the instance's.
const MAX_PROBES: usize = 64;

/// How often the loop shows that it goes round, and looks at its hands.
const PULSE: Duration = Duration::from_secs(1);

/// An agent that ends waits so long for what is kept.
const KEPT_WITHIN: Duration = Duration::from_secs(5);

/// The pause before the engine's events are asked for again.
const EVENTS_AGAIN: Duration = Duration::from_millis(500);

/// What reaches the loop.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something for the agent itself.
    Input(Input),
    /// A member took the agent in.
    Connected {
        /// The cluster served from now on.
        cluster: ClusterId,
        /// What is put in here goes to that member; dropping it ends the connection.
        outbox: mpsc::UnboundedSender<FromAgent>,
    },
    /// What was assigned was kept, or could not be.
    Kept(Result<Result<(), StateError>, Dropped>),
    /// There are directories of these instances; containers, of those.
    Sandboxes {
        /// Whose directories there are.
        found: Vec<InstanceId>,
        /// Whose containers there were before.
        containers: BTreeSet<InstanceId>,
    },
}

/// That the loop goes round: an agent whose loop stands still does not keep its word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    /// The newest assignments that it took in.
    pub(crate) generation: u64,
    /// When it last went round.
    pub(crate) at: Instant,
}

impl Pulse {
    /// Now.
    pub(crate) fn of(agent: &Agent) -> Self {
        Self { generation: agent.generation(), at: Instant::now() }
    }
}

/// The hands of an agent.
pub(crate) struct Driver {
    pub(crate) agent: Agent,
    pub(crate) node: NodeId,
    pub(crate) identity: u64,
    pub(crate) clock: Clock,
    pub(crate) docker: Docker,
    pub(crate) dirs: Dirs,
    /// What instances that ended left behind.
    pub(crate) archive: Archive,
    pub(crate) asker: Asker,
    pub(crate) metrics: Metrics,
    pub(crate) keeper: Keeper,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    pub(crate) inbox: mpsc::UnboundedReceiver<Event>,
    pub(crate) cluster: watch::Sender<Option<ClusterId>>,
    pub(crate) orders: watch::Sender<Option<Order>>,
    pub(crate) outbox: Option<mpsc::UnboundedSender<FromAgent>>,
    pub(crate) starts: HashMap<InstanceId, CancellationToken>,
    pub(crate) probes: Arc<Semaphore>,
    pub(crate) pulse: watch::Sender<Pulse>,
    /// What waits for a disk.
    pub(crate) hands: Hands,
    /// What unpacks and writes large files.
    pub(crate) file_hands: Hands,
    /// What keeps what was assigned.
    pub(crate) keeping: Hands,
    pub(crate) is_keeping: bool,
    pub(crate) is_tied: bool,
}

impl Driver {
    /// The number of probes at a time.
    pub(crate) fn probe_turns() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(MAX_PROBES))
    }

    /// Runs until `shutdown`; containers go on running.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut keep_at: Option<Instant> = None;
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.agent.handle(Input::Tick, self.clock.now());
        loop {
            keep_at = self.perform_all(keep_at);
            self.pulse.send_replace(Pulse::of(&self.agent));
            let wake_at = self.agent.wake_at().map(|it| Instant::from_std(self.clock.instant(it)));
            tokio::select! {
                () = shutdown.cancelled() => break,
                event = self.inbox.recv() => {
                    let Some(event) = event else { break };
                    self.take(event);
                    for _ in 1..BATCH {
                        let Ok(event) = self.inbox.try_recv() else { break };
                        self.take(event);
                    }
                }
                () = sleep_until_some(wake_at) => self.agent.handle(Input::Tick, self.clock.now()),
                _ = pulse.tick() => self.look_at_hands(),
                () = sleep_until_some(keep_at.filter(|_| !self.is_keeping)) => {
                    keep_at = None;
                    self.keep();
                }
            }
        }
        let (keeper, saved) = (self.keeper.clone(), self.agent.saved());
        let kept = timeout(KEPT_WITHIN, self.keeping.run(move || keeper.keep(&saved))).await;
        if let Ok(kept) = kept {
            say_kept(kept);
        } else {
            tracing::warn!("the disk does not answer; what was assigned last may not be kept");
        }
    }

    /// Tells the agent when what it needs a disk for does not go on.
    fn look_at_hands(&mut self) {
        let reason = [&self.keeping, &self.hands, &self.file_hands].iter().find_map(|it| it.tied());
        // The first reason stays: each change of it would be one more entry in the log.
        if reason.is_some() != self.is_tied {
            self.is_tied = reason.is_some();
            self.agent.handle(Input::Tied { reason }, self.clock.now());
        }
    }

    fn take(&mut self, event: Event) {
        let input = match event {
            Event::Input(input) => input,
            Event::Connected { cluster, outbox } => {
                self.outbox = Some(outbox);
                Input::Connected { cluster }
            }
            Event::Kept(kept) => {
                self.is_keeping = false;
                return say_kept(kept);
            }
            Event::Sandboxes { found, containers } => return self.sweep(found, &containers),
        };
        match &input {
            Input::Disconnected => self.outbox = None,
            Input::Listed { containers, .. } => self.look_for_sandboxes(containers),
            Input::Done { instance, result } => {
                let started = self.starts.remove(instance).is_some();
                if started && matches!(result, Done::Now(Container::Running { .. })) {
                    tracing::info!(%instance, "running");
                }
            }
            _ => {}
        }
        self.agent.handle(input, self.clock.now());
    }

    /// Looks which instances have directories.
    fn look_for_sandboxes(&self, containers: &[Listed]) {
        let containers = containers.iter().map(|it| it.instance).collect();
        let (hands, dirs, events) = (self.hands.clone(), self.dirs.clone(), self.events.clone());
        tokio::spawn(async move {
            if let Ok(found) = hands.run(move || dirs.with_sandboxes()).await {
                let _ = events.send(Event::Sandboxes { found, containers });
            }
        });
    }

    /// Removes the directories of instances that are gone without having been removed here. What was made since they
    /// were found is of an instance that the agent knows.
    fn sweep(&self, found: Vec<InstanceId>, containers: &BTreeSet<InstanceId>) {
        let known: BTreeSet<InstanceId> = self.agent.instances().collect();
        let is_dead = |it: &InstanceId| !containers.contains(it) && !known.contains(it);
        let dead: Vec<InstanceId> = found.into_iter().filter(is_dead).collect();
        if dead.is_empty() {
            return;
        }
        let (hands, dirs) = (self.hands.clone(), self.dirs.clone());
        let remove = move || {
            for instance in dead {
                if let Err(error) = dirs.remove_sandboxes(instance) {
                    tracing::warn!(%instance, %error, "cannot remove the directories of an instance that is gone");
                }
            }
        };
        tokio::spawn(async move { hands.run(remove).await });
    }

    /// Keeps what was assigned, beside everything else.
    fn keep(&mut self) {
        self.is_keeping = true;
        let (keeper, saved, events) = (self.keeper.clone(), self.agent.saved(), self.events.clone());
        let keeping = self.keeping.clone();
        tokio::spawn(async move {
            let kept = keeping.run(move || keeper.keep(&saved)).await;
            let _ = events.send(Event::Kept(kept));
        });
    }

    fn perform_all(&mut self, mut keep_at: Option<Instant>) -> Option<Instant> {
        let outputs = self.agent.drain();
        if !outputs.is_empty() {
            self.metrics.instances(self.agent.counts());
            self.metrics.connected(self.outbox.is_some());
        }
        let cluster = self.agent.cluster();
        self.cluster.send_if_modified(|it| std::mem::replace(it, cluster) != cluster);
        for output in outputs {
            if output == Output::Save {
                keep_at.get_or_insert_with(|| Instant::now() + KEEP_AFTER);
            } else {
                self.perform(output, cluster);
            }
        }
        keep_at
    }

    fn perform(&mut self, output: Output, cluster: Option<ClusterId>) {
        let docker = self.docker.clone();
        // Every operation belongs to a cluster: the agent asks for none before it has one.
        let Some(cluster) = cluster else { return };
        match output {
            Output::List { epoch } => self.spawn(async move {
                match docker.list(cluster).await {
                    Ok(containers) => Input::Listed { epoch, containers },
                    Err(error) => Input::ListFailed { message: error.to_string() },
                }
            }),
            Output::Inspect { instance, epoch } => self.spawn(async move {
                let container = docker.inspect(instance).await.map_err(|it: DockerError| it.to_string());
                Input::Inspected { instance, epoch, container }
            }),
            Output::Start { assignment } => {
                let instance = assignment.instance;
                tracing::info!(%instance, app = %assignment.app, "starting");
                let abandoned = CancellationToken::new();
                self.starts.insert(instance, abandoned.clone());
                let events = self.events.clone();
                let progress = move |message| {
                    let _ = events.send(Event::Input(Input::Progress { instance, message }));
                };
                let events = self.events.clone();
                let slow = move || {
                    let _ = events.send(Event::Input(Input::Slow));
                };
                self.spawn(async move {
                    let listener = Listener { progress: Box::new(progress), slow: Box::new(slow) };
                    let result = docker.start(cluster, &assignment, listener, abandoned).await;
                    Input::Done { instance, result }
                });
            }
            Output::Abandon { instance } => {
                if let Some(start) = self.starts.get(&instance) {
                    start.cancel();
                }
            }
            Output::Stop { instance, grace_ms } => {
                tracing::info!(%instance, grace_ms, "stopping");
                self.spawn(async move {
                    let result = docker.stop(instance, grace_ms).await;
                    Input::Done { instance, result }
                });
            }
            Output::Kill { instance } => {
                tracing::info!(%instance, "its end is cut short");
                tokio::spawn(async move {
                    if let Err(error) = docker.kill(instance).await {
                        tracing::warn!(%instance, %error, "cannot cut its end short; it ends when its grace period does");
                    }
                });
            }
            Output::Keep { instance, app, version, health } => {
                let archive = self.archive.clone();
                self.spawn(async move {
                    let result = archive.keep(&docker, Ended { instance, app, version, health }).await;
                    Input::Kept { instance, result }
                });
            }
            Output::Remove { instance } => self.spawn(async move {
                let result = docker.remove(instance).await;
                Input::Done { instance, result }
            }),
            Output::Probe { instance, check, probe, timeout_ms } => {
                let (turns, metrics, asker) = (Arc::clone(&self.probes), self.metrics.clone(), self.asker.clone());
                let deadline = Duration::from_millis(timeout_ms);
                self.spawn(async move {
                    let outcome = match turns.acquire().await {
                        Ok(_turn) => asker.probe(&docker, instance, &probe, deadline).await,
                        Err(_) => Outcome::Ignored,
                    };
                    metrics.probe(&outcome);
                    Input::Probed { instance, check, outcome }
                });
            }
            Output::Ask { instance, get, timeout_ms, host_network } => {
                let (turns, asker) = (Arc::clone(&self.probes), self.asker.clone());
                self.spawn(async move {
                    let answer = match turns.acquire().await {
                        Ok(_turn) => {
                            let sharer = host_network.then_some((&docker, instance));
                            asker.ready(&get, Duration::from_millis(timeout_ms), sharer).await
                        }
                        Err(error) => Err(error.to_string()),
                    };
                    Input::Answered { instance, answer }
                });
            }
            Output::Destroy { reservation } => {
                tracing::info!(%reservation, "destroying its volumes, as ordered");
                let (dirs, hands) = (self.dirs.clone(), self.hands.clone());
                self.spawn(async move {
                    let result = destroy(&docker, dirs, &hands, reservation).await;
                    Input::Destroyed { reservation, result }
                });
            }
            Output::Report { sequence, observations, destroyed } => {
                self.metrics.report();
                self.send(FromAgent::Report { sequence, observations, destroyed });
            }
            Output::Strangers { strangers } => self.send(FromAgent::Strangers { strangers }),
            Output::Writers { writers } => self.send(FromAgent::Writers { writers }),
            Output::Degraded { reason } => {
                if let Some(reason) = &reason {
                    tracing::warn!(reason, "this node takes no new instances");
                }
                self.send(FromAgent::Degraded { reason });
            }
            Output::Publish { revision, generation, wish } => {
                let owner = Owner { cluster, node: self.node.clone(), agent: self.identity };
                self.orders.send_replace(Some(Order { revision, generation, owner, wish }));
            }
            Output::Reconnect { reason } => {
                tracing::warn!(reason, "dialling anew");
                self.outbox = None;
            }
            Output::Note(note) => say(&note),
            Output::Save => {}
        }
    }

    fn send(&mut self, letter: FromAgent) {
        if self.outbox.as_ref().is_some_and(|it| it.send(letter).is_err()) {
            self.outbox = None;
        }
    }

    fn spawn(&self, work: impl Future<Output = Input> + Send + 'static) {
        let events = self.events.clone();
        tokio::spawn(async move {
            let input = work.await;
            let _ = events.send(Event::Input(input));
        });
    }
}

/// Destroys a reservation's volumes, unless a container has them, also one that nobody speaks of.
async fn destroy(docker: &Docker, dirs: Dirs, hands: &Hands, reservation: InstanceId) -> Result<(), String> {
    let users = docker.with_reservation(reservation).await.map_err(|it| format!("Docker does not say: {it}"))?;
    if !users.is_empty() {
        return Err(format!("the containers of {} still have them", users.join(", ")));
    }
    let done = hands.run(move || dirs.destroy_volumes(reservation)).await;
    done.map_err(|it| it.to_string())?.map_err(|it| it.to_string())
}

async fn sleep_until_some(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

fn say_kept(kept: Result<Result<(), StateError>, Dropped>) {
    let error = match kept {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(error, "cannot keep what was assigned; a restart without any member would forget it");
}

fn say(note: &Note) {
    match note {
        Note::Quarantined(instance) => {
            tracing::warn!(%instance, "a container that this agent made is unknown to the cluster; it is left alone (`ekiden orphan list`)");
        }
        Note::Outdated { generation, known } => {
            tracing::error!(
                generation,
                known,
                "a control plane with an older state is not obeyed (restored from a backup?)"
            );
        }
        Note::Stuck { instance, message } => {
            tracing::warn!(%instance, reason = message, "the container cannot be ended or removed; trying again");
        }
        Note::NotKept { instance, message } => {
            tracing::warn!(%instance, reason = message, "not all that it left behind when it ended could be kept");
        }
        Note::NotDestroyed { reservation, message } => {
            tracing::warn!(%reservation, reason = message, "its volumes cannot be destroyed; trying again");
        }
        Note::Ended { instance, end } => tracing::info!(%instance, kind = ?end.kind, reason = end.message, "ended"),
    }
}

/// Hands the engine's events on as hints, for ever.
pub(crate) async fn watch_docker(
    docker: Docker,
    mut cluster: watch::Receiver<Option<ClusterId>>,
    events: mpsc::UnboundedSender<Event>,
) {
    loop {
        let served = *cluster.borrow_and_update();
        let Some(served) = served else {
            if cluster.changed().await.is_err() {
                return;
            }
            continue;
        };
        if let Ok(mut hints) = docker.events(served) {
            while let Some(input) = hints.next().await {
                if events.send(Event::Input(input)).is_err() {
                    return;
                }
            }
        }
        sleep(EVENTS_AGAIN).await;
    }
}

/// Asks the engine what it is until it answers; the description then says so at the next connection.
pub(crate) async fn describe_docker(docker: Docker, description: watch::Sender<cluster::NodeDescription>) {
    loop {
        match docker.about().await {
            Ok(about) => {
                tracing::info!(version = about.version, "found Docker");
                if !about.live_restore {
                    tracing::warn!(
                        "Docker's live-restore is off: every container ends when the engine stops. Set \
                         \"live-restore\": true in /etc/docker/daemon.json"
                    );
                }
                description.send_modify(|it| {
                    it.versions.insert("docker".to_owned(), about.version);
                });
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "Docker does not answer yet");
                sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

//! A simulated Docker engine: containers that start, end, fail to start and are removed behind one's back.
//!
//! What a container does is decided by its image's name, so that a test can ask for trouble:
//!
//! | image | its container |
//! |---|---|
//! | `web:…` | serves soon after its start |
//! | `slow:…` | serves late, and takes the whole grace period to stop |
//! | `sick:…` | runs, and never passes a health check |
//! | `busy:…` | serves soon after its start, and never says that it is ready |
//! | `crash:…` | ends with code 1 soon after its start |
//! | `brief:…` | serves soon after its start, and ends with code 1 some seconds later |
//! | `faint:…` | serves soon after its start, and no more some seconds later |
//! | `missing:…` | is never there: the image cannot be pulled |

use super::rng::Rng;
use cluster::agent::Maker;
use cluster::{InstanceId, NodeId, Protocol, Resources};
use std::collections::{BTreeMap, BTreeSet};

/// One node's engine.
#[derive(Clone, Debug)]
pub struct Engine {
    /// What the machine has.
    pub capacity: Resources,
    /// Whether the daemon answers.
    pub daemon: Daemon,
    /// Whether containers survive the end of the daemon.
    pub live_restore: bool,
    /// All containers by name.
    pub containers: BTreeMap<String, Container>,
    /// What it never does, whoever asks, while others do.
    pub sick: Option<Sickness>,
    /// What it was asked while it hung.
    pub backlog: Vec<Request>,
    /// The volumes on the machine's disk, by reservation.
    pub volumes: BTreeSet<InstanceId>,
    /// Whether the machine has a Consul agent.
    pub consul: bool,
    /// The instances that it lists, each with the agent that had it do so and the name of that one's node.
    pub registered: BTreeMap<InstanceId, (u64, NodeId)>,
    images: BTreeSet<String>,
}

/// What an engine that is broken does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sickness {
    /// It makes no containers, as one without a free network.
    Creates,
    /// It starts none, as one whose runtime is broken.
    Starts,
}

/// Whether a daemon answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// It does.
    Up,
    /// It takes requests and never answers.
    Hung,
    /// Nobody listens.
    Down,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The instance it was made for: its label.
    pub instance: InstanceId,
    /// Who made it, and for which app: its other labels.
    pub maker: Maker,
    /// What it was made of.
    pub image: String,
    /// What it takes.
    pub resources: Resources,
    /// Host ports it binds while it runs, each by its transports.
    pub ports: Vec<(u16, Protocol)>,
    /// The reservation whose volume it has, if it has one.
    pub volume: Option<InstanceId>,
    /// How far it is.
    pub phase: Phase,
    /// When it last started.
    pub started_at: u64,
    /// Counts its starts: an end that was planned for an earlier one does not count.
    pub n_starts: u32,
}

/// How far a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Made, never started.
    Created,
    /// It runs.
    Running,
    /// It ended.
    Exited {
        /// With this code.
        code: i64,
        /// By the kernel, for want of memory.
        oom: bool,
    },
}

/// What is asked of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// All containers of ours.
    List,
    /// Fetch an image.
    Pull(String),
    /// Make a container of that name.
    Create(String, Box<Container>),
    /// Start it.
    Start(String),
    /// End it; after so many milliseconds by force.
    Stop(String, u64),
    /// Remove it. It must not run.
    Remove(String),
}

/// What an engine answers.
pub type Answer = Result<Vec<(String, Container)>, Trouble>;

/// Why an engine does not do as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens.
    Down,
    /// No answer within the deadline. It may have been done.
    Timeout,
    /// There is no such image.
    NoImage,
    /// There is no such container.
    NoContainer,
    /// There is no such volume.
    NoVolume,
    /// There is one of that name already.
    NameTaken,
    /// A container that runs has this host port.
    PortTaken(u16),
    /// It still runs.
    Runs,
    /// Something else, as engines have it.
    Broken,
}

/// How likely things go wrong, of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Luck {
    /// Starts.
    pub start_fails: u64,
    /// Pulls.
    pub pull_fails: u64,
}

impl Engine {
    /// An engine without containers.
    pub fn new(capacity: Resources, live_restore: bool) -> Self {
        Self {
            capacity,
            daemon: Daemon::Up,
            live_restore,
            containers: BTreeMap::new(),
            sick: None,
            backlog: Vec::new(),
            volumes: BTreeSet::new(),
            consul: false,
            registered: BTreeMap::new(),
            images: BTreeSet::new(),
        }
    }

    /// Carries out a request.
    pub fn perform(&mut self, request: &Request, now: u64, luck: Luck, rng: &mut Rng) -> Answer {
        match request {
            Request::List => return Ok(self.containers.iter().map(|(name, it)| (name.clone(), it.clone())).collect()),
            Request::Pull(image) => {
                if image.starts_with("missing:") {
                    return Err(Trouble::NoImage);
                }
                if rng.chance(luck.pull_fails) {
                    return Err(Trouble::Broken);
                }
                self.images.insert(image.clone());
            }
            Request::Create(name, container) => {
                if !self.images.contains(&container.image) {
                    return Err(Trouble::NoImage);
                }
                if self.containers.contains_key(name) {
                    return Err(Trouble::NameTaken);
                }
                if container.volume.is_some_and(|it| !self.volumes.contains(&it)) {
                    return Err(Trouble::NoVolume);
                }
                if self.sick == Some(Sickness::Creates) {
                    return Err(Trouble::Broken);
                }
                self.containers.insert(name.clone(), Container::clone(container));
            }
            Request::Start(name) => self.start(name, now, luck, rng)?,
            Request::Stop(name, _) => {
                let container = self.containers.get_mut(name).ok_or(Trouble::NoContainer)?;
                if container.phase == Phase::Running {
                    container.phase = Phase::Exited { code: 143, oom: false };
                }
            }
            Request::Remove(name) => {
                let container = self.containers.get(name).ok_or(Trouble::NoContainer)?;
                if container.phase == Phase::Running {
                    return Err(Trouble::Runs);
                }
                self.containers.remove(name);
            }
        }
        Ok(Vec::new())
    }

    fn start(&mut self, name: &str, now: u64, luck: Luck, rng: &mut Rng) -> Result<(), Trouble> {
        let container = self.containers.get(name).ok_or(Trouble::NoContainer)?;
        if container.phase == Phase::Running {
            return Ok(());
        }
        let running = || self.containers.values().filter(|it| it.phase == Phase::Running);
        let taken = |(port, protocol): &&(u16, Protocol)| {
            running().flat_map(|it| &it.ports).any(|(other, by)| other == port && by.meets(*protocol))
        };
        if let Some((port, _)) = container.ports.iter().find(taken) {
            return Err(Trouble::PortTaken(*port));
        }
        if rng.chance(luck.start_fails) || self.sick == Some(Sickness::Starts) {
            return Err(Trouble::Broken);
        }
        if let Some(container) = self.containers.get_mut(name) {
            container.phase = Phase::Running;
            container.started_at = now;
            container.n_starts += 1;
        }
        Ok(())
    }

    /// The daemon ends, and with it all containers where it was not told otherwise.
    pub fn end_daemon(&mut self) {
        self.daemon = Daemon::Down;
        self.backlog.clear();
        if !self.live_restore {
            self.power_off();
        }
    }

    /// The machine loses power.
    pub fn power_off(&mut self) {
        self.daemon = Daemon::Down;
        self.backlog.clear();
        for container in self.containers.values_mut().filter(|it| it.phase == Phase::Running) {
            container.phase = Phase::Exited { code: 137, oom: false };
        }
    }

    /// How many milliseconds a request takes.
    pub fn latency(&self, request: &Request, rng: &mut Rng) -> u64 {
        match request {
            Request::List => rng.range(1, 20),
            Request::Pull(image) if self.images.contains(image) => 1,
            Request::Pull(_) => rng.range(100, 3_000),
            Request::Start(_) => rng.range(50, 500),
            Request::Stop(name, grace) => {
                let slow = self.containers.get(name).is_some_and(|it| it.image.starts_with("slow:"));
                if slow { *grace } else { rng.range(10, 300) }
            }
            Request::Create(..) | Request::Remove(_) => rng.range(5, 100),
        }
    }
}

impl Container {
    /// Whether it passes its health checks.
    pub fn serves(&self, now: u64) -> bool {
        let after = if self.image.starts_with("slow:") { 3_000 } else { 400 };
        let until = if self.image.starts_with("faint:") { self.started_at + 2_000 } else { u64::MAX };
        let in_time = (self.started_at + after..until).contains(&now);
        self.phase == Phase::Running && !self.image.starts_with("sick:") && in_time
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self, now: u64) -> bool {
        self.serves(now) && !self.image.starts_with("busy:") && now >= self.started_at + 1_500
    }

    /// After how long it ends by itself, if it does.
    pub fn ends_after(&self, rng: &mut Rng) -> Option<u64> {
        match self.image.split(':').next() {
            Some("crash") => Some(rng.range(100, 1_500)),
            Some("brief") => Some(rng.range(500, 4_000)),
            _ => None,
        }
    }
}

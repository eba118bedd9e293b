//! One machine's agent: keeps its Docker engine as the cluster assigned, asks its instances whether they are
//! healthy, tells its Consul agent which of them serve, and reports what it sees.
//!
//! What to do is decided in [`cluster::agent`], pure; here it is done.
//!
//! | read | to learn |
//! |---|---|
//! | [`config`] | what an operator says |
//! | `driver` | the loop: events in, [`cluster::agent::Output`]s performed |
//! | `line` | the line to the control plane |
//! | `logs` | what containers wrote: where it is found, how long it is kept, who is told |
//! | `docker`, `docker/spec` | what the engine is asked; what a container is made of |
//! | `dirs` | the instances' directories: sandboxes, persistent volumes |
//! | `fetch` | files that are there before an instance starts |
//! | `evidence` | what instances that ended left behind |
//! | `hands` | what waits for a disk, and what says so |
//! | `probe` | health checks and readiness checks |
//! | `web` | one question by HTTP, for the two above |
//! | `processes` | processes of the machine: those that checks leave, and who listens where |
//! | [`consul`] | the node's Consul agent |
//! | `state` | what outlives a restart |
//!
//! A restart of the agent, or its end, leaves every container running.

mod clock;
pub mod config;
pub mod consul;
mod dirs;
mod docker;
mod driver;
mod evidence;
mod fetch;
mod hands;
mod line;
mod logs;
mod metrics;
mod probe;
mod processes;
mod state;
mod web;

pub use config::{Args, Config, ConfigError, EvidenceConfig};
pub use consul_agent::Config as ConsulConfig;
pub use docker::{
    LABEL_AGENT, LABEL_APP, LABEL_CLUSTER, LABEL_CONTAINER, LABEL_GRACE, LABEL_INSTANCE, LABEL_NETWORK, LABEL_NODE,
    LABEL_POD, LABEL_RESERVATION, LABEL_VERSION, VolumeError,
};
pub use fetch::{FetchConfig, Reach};
pub use state::Error as StateError;

use clock::Clock;
use cluster::NodeDescription;
use cluster::agent::{Agent, Settings};
use consul::Consul;
use dirs::Dirs;
use docker::{Docker, PlaceOfNode, Places};
use driver::{Driver, Event, Pulse};
use evidence::Archive;
use fetch::Fetcher;
use hands::Hands;
use line::Line;
use logs::{Answerer, Shelf};
use metrics::Metrics;
use probe::Asker;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Why an agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// What it says of its node no member would take.
    #[error("{0}")]
    Description(String),
    /// The Consul agent's address or certificates cannot be used.
    #[error("consul: {0}")]
    Consul(#[from] consul::Error),
    /// Its metrics are registered already.
    #[error("cannot register metrics")]
    Metrics(#[from] prometheus::Error),
}

/// Runs an agent until `shutdown`; its metrics go into `registry`. Neither Docker nor Consul nor a member needs to be
/// there: each is found when it is.
///
/// # Errors
/// At the start only.
pub async fn run(config: Config, registry: prometheus::Registry, shutdown: CancellationToken) -> Result<(), Error> {
    let metrics = Metrics::new(&registry)?;
    let dir = state::Dir::open(&config.data_dir)?;
    let saved = dir.load();
    let settings = Settings {
        node: config.name.clone(),
        agent: dir.id,
        address: config.address.clone(),
        consul: config.consul.is_some(),
        drain_ms: config.drain.as_millis() as u64,
    };
    let agent = Agent::new(settings, saved);
    let dirs = Dirs::new(&config.data_dir);
    let (hands, file_hands) = (Hands::for_directories(), Hands::for_files(config.fetch.timeout));
    let place = PlaceOfNode {
        agent: dir.id,
        node: config.name.clone(),
        address: config.address.clone(),
        volumes_allowed: config.volumes_allowed.clone(),
        volume_drivers: config.volume_drivers.clone(),
        grants: config.grants.clone(),
        log_max_mib: config.log_max_mib,
        dirs: dirs.clone(),
        hands: hands.clone(),
        fetcher: Fetcher::new(config.fetch.clone(), dirs.clone(), &config.address, hands.clone(), file_hands.clone()),
        credentials: config.docker_config.clone(),
    };
    let shelf = Shelf::new(&config.data_dir, config.evidence, hands.clone());
    let archive = Archive::new(&config.data_dir, config.name.clone(), config.evidence, hands.clone(), shelf.clone());
    Places::new(dir.id).clear();
    let docker = Docker::new(&config.docker_host, place, metrics.clone());
    let description = NodeDescription {
        id: config.name.clone(),
        agent: dir.id,
        address: config.address.clone(),
        capacity: config.capacity,
        ports: config.ports,
        attributes: config.attributes.clone(),
        versions: BTreeMap::from([("agent".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
        grants: config.grants.clone(),
    };
    if let Some(reason) = description.objection() {
        return Err(Error::Description(reason));
    }
    tracing::info!(node = %config.name, address = config.address, dir = %config.data_dir.display(), "agent starts");

    let (events, inbox) = mpsc::unbounded_channel();
    let (cluster, watched_cluster) = watch::channel(agent.cluster());
    let (orders, watched_orders) = watch::channel(None);
    let (description, watched_description) = watch::channel(description);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(driver::describe_docker(docker.clone(), description));
    tasks.spawn(archive.clone().tidy());
    tasks.spawn(shelf.clone().run(docker.clone()));
    let tidied = docker.clone();
    tasks.spawn(async move { tidied.tidy_inside().await });
    tasks.spawn(driver::watch_docker(docker.clone(), watched_cluster.clone(), events.clone()));
    let (pulse, watched_pulse) = watch::channel(Pulse::of(&agent));
    let line = Line {
        servers: config.servers.clone(),
        description: watched_description,
        cluster: watched_cluster,
        events: events.clone(),
        pulse: watched_pulse,
        answerer: Answerer::new(shelf, docker.clone()),
    };
    tasks.spawn(line.dial());
    if let Some(consul) = &config.consul {
        let consul = Consul::new(consul)?;
        let (answers, mut answered) = mpsc::unbounded_channel();
        let inputs = events.clone();
        tasks.spawn(consul::keep(consul, watched_orders, answers, metrics.clone()));
        tasks.spawn(async move {
            while let Some(input) = answered.recv().await {
                if inputs.send(Event::Input(input)).is_err() {
                    return;
                }
            }
        });
    }
    let driver = Driver {
        agent,
        node: config.name,
        identity: dir.id,
        clock: Clock::new(),
        docker,
        dirs,
        archive,
        asker: Asker::new(),
        metrics,
        keeper: dir.keeper(),
        events,
        inbox,
        cluster,
        orders,
        outbox: None,
        starts: HashMap::new(),
        probes: Driver::probe_turns(),
        pulse,
        hands,
        file_hands,
        // One file, written whole: one at a time.
        keeping: Hands::new(1, "what was assigned", Duration::from_secs(10)),
        is_keeping: false,
        is_tied: false,
    };
    driver.run(shutdown).await;
    tasks.shutdown().await;
    tracing::info!("agent ends; its containers go on");
    Ok(())
}

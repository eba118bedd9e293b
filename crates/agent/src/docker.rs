//! The node's Docker engine. Every call has a deadline, and no call's failure is taken for an answer: an engine that
//! is away or hangs says nothing about its containers (INV-D1).

mod auth;
mod bound;
mod error;
mod images;
mod inside;
mod log_files;
mod networks;
mod parts;
mod pause;
mod remains;
mod seen;
mod spec;
mod volumes;

pub use networks::LABEL_NETWORK;
pub use spec::{
    LABEL_AGENT, LABEL_APP, LABEL_CLUSTER, LABEL_CONTAINER, LABEL_GRACE, LABEL_INSTANCE, LABEL_NODE, LABEL_POD,
    LABEL_RESERVATION, LABEL_VERSION,
};
pub use volumes::VolumeError;

pub(crate) use bound::Places;
pub(crate) use error::Error;
pub(crate) use log_files::LogFile;
pub(crate) use remains::{Remain, Remains};

use crate::dirs::Dirs;
use crate::fetch::{self, Fetcher};
use crate::hands::Hands;
use crate::metrics::Metrics;
use bollard::errors::Error as Bollard;
use bollard::query_parameters::{CreateContainerOptions, EventsOptions, ListContainersOptions, StartContainerOptions};
use bound::Bound;
use cluster::agent::{Assignment, Container, Done, Input, Listed, fold_list};
use cluster::{ClusterId, Grants, InstanceId, Network, NodeId};
use error::{explained, is_missing_image};
use futures::{Stream, StreamExt};
use images::Images;
use inside::Inside;
use seen::{Heard, inspected, listed};
use spec::{Piece, Place};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Reads answer within milliseconds; one that takes so long is a hang.
const READ_DEADLINE: Duration = Duration::from_secs(10);

/// The list shows whether the engine hangs: a false alarm costs new instances a moment, a late one costs more.
const LIST_DEADLINE: Duration = Duration::from_secs(4);

/// A start that takes longer is reason to ask whether the engine answers at all.
const SLOW: Duration = Duration::from_secs(3);

/// Writes wait for the disk and for each other.
const WRITE_DEADLINE: Duration = Duration::from_mins(1);

/// A stop may take so much longer than its grace period.
const STOP_MARGIN: Duration = Duration::from_secs(20);

/// More at a time do not start sooner: the engine works on about as many (measured; `docs/benchmarks.md`).
const MAX_STARTS: usize = 8;

/// The Docker engine, as one agent sees it. Clones share everything.
#[derive(Clone)]
pub(crate) struct Docker {
    inner: Arc<Inner>,
}

struct Inner {
    host: String,
    client: OnceLock<bollard::Docker>,
    metrics: Metrics,
    place: PlaceOfNode,
    images: Images,
    inside: Inside,
    starts: Semaphore,
    /// Whoever makes a network holds it.
    networks: tokio::sync::Mutex<()>,
}

/// What [`Place`] needs besides the cluster.
#[derive(Clone, Debug)]
pub(crate) struct PlaceOfNode {
    /// The agent's own id, as its directory has it.
    pub(crate) agent: u64,
    /// The node's name.
    pub(crate) node: NodeId,
    /// Host name or address of the node.
    pub(crate) address: String,
    /// Directories below which apps may mount host volumes.
    pub(crate) volumes_allowed: Vec<PathBuf>,
    /// Docker volume drivers that apps may use.
    pub(crate) volume_drivers: Vec<String>,
    /// What apps may have beside what is harmless.
    pub(crate) grants: Grants,
    /// MiB that a container's log may take, if that is bounded.
    pub(crate) log_max_mib: Option<u64>,
    /// The instances' directories.
    pub(crate) dirs: Dirs,
    /// What works on them.
    pub(crate) hands: Hands,
    /// Fetches files into sandboxes.
    pub(crate) fetcher: Fetcher,
    /// The file with the registries' credentials.
    pub(crate) credentials: Option<PathBuf>,
}

/// What the engine says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Its version.
    pub(crate) version: String,
    /// Containers outlive a restart of the engine.
    pub(crate) live_restore: bool,
}

/// Hears how a start goes on.
pub(crate) struct Listener {
    /// What is being done, for people.
    pub(crate) progress: Box<dyn Fn(String) + Send + Sync>,
    /// The engine takes long.
    pub(crate) slow: Box<dyn Fn() + Send + Sync>,
}

impl Docker {
    /// The engine at `host`, whether it is there or not.
    pub(crate) fn new(host: &str, place: PlaceOfNode, metrics: Metrics) -> Self {
        let (images, inside) = (Images::new(place.credentials.clone()), Inside::new(place.agent));
        let (host, client) = (host.to_owned(), OnceLock::new());
        let (starts, networks) = (Semaphore::new(MAX_STARTS), tokio::sync::Mutex::new(()));
        Self { inner: Arc::new(Inner { host, client, metrics, place, images, inside, starts, networks }) }
    }

    /// The client; made at its first use that finds the socket.
    fn client(&self) -> Result<&bollard::Docker, Error> {
        if let Some(client) = self.inner.client.get() {
            return Ok(client);
        }
        let host = self.inner.host.replacen("tcp://", "http://", 1);
        // Deadlines are ours, by call; this one is only there so that none is forgotten.
        let made = match host.strip_prefix("unix://") {
            Some(path) => bollard::Docker::connect_with_unix(path, 3600, bollard::API_DEFAULT_VERSION),
            None => bollard::Docker::connect_with_http(&host, 3600, bollard::API_DEFAULT_VERSION),
        };
        let made = made?.with_request_modifier(images::url_safe_auth);
        Ok(self.inner.client.get_or_init(|| made))
    }

    /// Makes one call, within its deadline, and measures it.
    async fn call<'a, T, F>(
        &'a self,
        operation: &'static str,
        deadline: Duration,
        call: impl FnOnce(&'a bollard::Docker) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Bollard>> + 'a,
    {
        let client = self.client()?;
        let begun = Instant::now();
        let result = match timeout(deadline, call(client)).await {
            Ok(result) => result.map_err(Error::from),
            Err(_) => Err(Error::Away(format!("{operation} was not answered within {} s", deadline.as_secs()))),
        };
        let outcome = match &result {
            Ok(_) => "ok",
            Err(Error::Refused { .. }) => "refused",
            Err(Error::Away(_)) => "away",
        };
        self.inner.metrics.docker(operation, outcome, begun.elapsed());
        result
    }

    /// What the engine says of itself.
    pub(crate) async fn about(&self) -> Result<About, Error> {
        let info = self.call("info", READ_DEADLINE, bollard::Docker::info).await?;
        Ok(About {
            version: info.server_version.unwrap_or_default(),
            live_restore: info.live_restore_enabled.unwrap_or_default(),
        })
    }

    /// Every container with the label of this cluster, whichever agent made it.
    pub(crate) async fn list(&self, cluster: ClusterId) -> Result<Vec<Listed>, Error> {
        let options = ListContainersOptions { all: true, filters: Some(Self::filters(cluster)), ..Default::default() };
        let containers = self.call("list", LIST_DEADLINE, |it| it.list_containers(Some(options))).await?;
        Ok(fold_list(containers.into_iter().filter_map(listed).collect()))
    }

    fn filters(cluster: ClusterId) -> HashMap<String, Vec<String>> {
        HashMap::from([("label".to_owned(), vec![format!("{LABEL_CLUSTER}={cluster}")])])
    }

    /// Makes an instance's containers and starts them; pulls images where that is wanted or needed. Can be called off
    /// while it waits for an image or its turn, not once the engine was asked to do something.
    ///
    /// The common case is two calls, create and start, and one look at the result: whether the image is there, the
    /// create says.
    pub(crate) async fn start(
        &self,
        cluster: ClusterId,
        assignment: &Assignment,
        listener: Listener,
        abandoned: CancellationToken,
    ) -> Done {
        let instance = assignment.instance;
        let PlaceOfNode { agent, node, address, volume_drivers, grants, log_max_mib, dirs, fetcher, .. } =
            self.inner.place.clone();
        let places = Places::new(agent);
        let place = Place { cluster, agent, node, address, volume_drivers, grants, log_max_mib, dirs, places };
        let pieces = match spec::containers(assignment, &place) {
            Ok(pieces) => pieces,
            Err(error) => return self.failed(instance, refusal(error.to_string()), "").await,
        };
        // Held until the containers run, or are not to.
        let _bound = match self.bind(&pieces).await {
            Ok(bound) => bound,
            Err(error) => return self.failed(instance, refusal(error.to_string()), "").await,
        };
        let image_of = |it: &Piece| it.body.image.clone().unwrap_or_default();
        let mut pull: BTreeSet<String> = pieces.iter().filter(|it| it.force_pull).map(image_of).collect();
        let mut pulled = BTreeSet::new();
        if let Err(error) = self.make_ready(assignment, &place.dirs).await {
            return self.failed(instance, error, "").await;
        }
        match fill(assignment, &place.dirs, &fetcher, &listener, &abandoned).await {
            Ok(()) => {}
            Err(fetch::Error::CalledOff) => return Done::Abandoned,
            Err(error) => return self.failed(instance, refusal(error.to_string()), "").await,
        }
        // Nobody writes into the sandbox from here to the start.
        if let Err(error) = spec::check_fetched(assignment, &place.dirs) {
            return self.failed(instance, refusal(error.to_string()), "").await;
        }
        loop {
            while let Some(image) = pull.pop_first() {
                match abandoned.run_until_cancelled(self.pull(&image, &listener)).await {
                    Some(Ok(())) => {}
                    Some(Err(error)) => return self.failed(instance, error, &image).await,
                    None => return Done::Abandoned,
                }
                pulled.insert(image);
            }
            let turn = abandoned.run_until_cancelled(self.inner.starts.acquire()).await;
            let Some(Ok(turn)) = turn else { return Done::Abandoned };
            let mut start = std::pin::pin!(self.create_and_start(instance, &pieces));
            let started = if let Ok(started) = timeout(SLOW, &mut start).await {
                started
            } else {
                (listener.slow)();
                start.await
            };
            // The engine is free for the next while the result is looked at.
            drop(turn);
            match started {
                Ok(()) => return self.look(instance).await,
                Err((Error::Refused { status: 404, message }, at))
                    if is_missing_image(&message) && !pulled.contains(&image_of(&pieces[at])) =>
                {
                    pull.insert(image_of(&pieces[at]));
                }
                Err((error, at)) => return self.failed(instance, error, &image_of(&pieces[at])).await,
            }
        }
    }

    /// Puts the node's directories and files that an instance is to mount where the engine is told they are.
    async fn bind(&self, pieces: &[Piece]) -> Result<Bound, VolumeError> {
        let wanted: Vec<_> = pieces.iter().flat_map(|it| it.wanted.clone()).collect();
        let Some(first) = wanted.first().map(|it| it.path.clone()) else { return Ok(Bound::default()) };
        let failed = |problem| VolumeError::Bind { path: first.clone(), problem };
        bound::engine_sees_mounts(&self.inner.host).await.map_err(failed)?;
        let allowed = self.inner.place.volumes_allowed.clone();
        let bound = tokio::task::spawn_blocking(move || Bound::all(&wanted, &allowed)).await;
        bound.unwrap_or_else(|it| Err(failed(it.to_string())))
    }

    /// Sees to it that what the engine must find is there: directories and networks.
    async fn make_ready(&self, assignment: &Assignment, dirs: &Dirs) -> Result<(), Error> {
        let Some(run) = assignment.spec.as_ref().map(|it| &it.run) else { return Ok(()) };
        let paths: Vec<String> = spec::persistent(run).map(str::to_owned).collect();
        let sandboxes: Vec<PathBuf> = spec::sandboxes(assignment, dirs).into_iter().map(|it| it.0).collect();
        let (instance, reservation) = (assignment.instance, assignment.reservation);
        if !paths.is_empty() || !sandboxes.is_empty() {
            let dirs = dirs.clone();
            let made = self.inner.place.hands.run(move || {
                if let Some(reservation) = reservation.filter(|_| !paths.is_empty()) {
                    dirs.make_volumes(reservation, &paths.iter().map(String::as_str).collect::<Vec<_>>())?;
                }
                if sandboxes.is_empty() || dirs.is_prepared(instance) {
                    return Ok(());
                }
                dirs.make_sandboxes(instance, &sandboxes)
            });
            let made = made.await.unwrap_or(Ok(()));
            made.map_err(|it: crate::dirs::Error| refusal(it.to_string()))?;
        }
        if let Network::Container { name, .. } = &run.network {
            self.make_network(name).await?;
        }
        Ok(())
    }

    async fn pull(&self, image: &str, listener: &Listener) -> Result<(), Error> {
        if image == pause::IMAGE {
            return self.make_pause_image().await;
        }
        (listener.progress)(format!("pulling image {image}"));
        let client = self.client()?.clone();
        let begun = Instant::now();
        let result = self.inner.images.pull(client, image).await;
        self.inner.metrics.docker("pull", if result.is_ok() { "ok" } else { "refused" }, begun.elapsed());
        result
    }

    /// Makes what is not there, then starts what was not started; tells which one it failed at.
    async fn create_and_start(&self, instance: InstanceId, pieces: &[Piece]) -> Result<(), (Error, usize)> {
        let mut to_start = Vec::with_capacity(pieces.len());
        for (n, piece) in pieces.iter().enumerate() {
            if self.create(instance, piece).await.map_err(|it| (it, n))? {
                to_start.push((n, piece));
            }
        }
        for (n, piece) in to_start {
            let options = None::<StartContainerOptions>;
            let started = self.call("start", WRITE_DEADLINE, |it| it.start_container(&piece.name, options)).await;
            started.map_err(|it| (of_piece(it, instance, piece), n))?;
        }
        Ok(())
    }

    /// Makes a container, if there is none of its name; `false` if it was started before.
    async fn create(&self, instance: InstanceId, piece: &Piece) -> Result<bool, Error> {
        let options = CreateContainerOptions { name: Some(piece.name.clone()), ..Default::default() };
        let body = piece.body.clone();
        match self.call("create", WRITE_DEADLINE, |it| it.create_container(Some(options), body)).await {
            Ok(_) => Ok(true),
            // Where the labels say so too, it was created before, by a start whose answer was lost (INV-F3).
            Err(Error::Refused { status: 409, message }) => match self.found(&piece.name, instance).await? {
                Some(found) => Ok(found.part.container == Container::Created),
                None => Err(Error::Refused { status: 409, message }),
            },
            Err(error) => Err(error),
        }
    }

    /// What a failed start means; clears away what it left.
    async fn failed(&self, instance: InstanceId, error: Error, image: &str) -> Done {
        match error {
            Error::Away(message) => Done::Unavailable { message },
            Error::Refused { status, message } => {
                let container = match self.inspect(instance).await {
                    Ok(Container::Created | Container::Absent) => match self.remove(instance).await {
                        Done::Now(container) => container,
                        _ => Container::Created,
                    },
                    Ok(container) => container,
                    Err(_) => Container::Created,
                };
                if message.contains("no space left on device") {
                    let message = format!("Docker's disk is full: {message}");
                    return Done::Full { message, container };
                }
                Done::Refused { message: explained(status, message, image), container }
            }
        }
    }

    async fn look(&self, instance: InstanceId) -> Done {
        match self.inspect(instance).await {
            Ok(container) => Done::Now(container),
            Err(error) => Done::Unavailable { message: error.to_string() },
        }
    }

    async fn refused(&self, instance: InstanceId, error: Error) -> Done {
        match (error, self.look(instance).await) {
            (Error::Refused { message, .. }, Done::Now(container)) => Done::Refused { message, container },
            (error, _) => Done::Unavailable { message: error.to_string() },
        }
    }

    /// What happens to the instances, as the engine tells it; ends when the engine does.
    pub(crate) fn events(&self, cluster: ClusterId) -> Result<Pin<Box<dyn Stream<Item = Input> + Send>>, Error> {
        let mut filters = Self::filters(cluster);
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        let events = ["die", "destroy", "oom"];
        filters.insert("event".to_owned(), events.iter().map(|it| (*it).to_owned()).collect());
        let options = EventsOptions { filters: Some(filters), ..Default::default() };
        let mut heard = Heard::default();
        let events = self.client()?.events(Some(options));
        Ok(Box::pin(events.filter_map(move |it| std::future::ready(it.ok().and_then(|it| heard.means(it))))))
    }
}

/// Fills an instance's sandboxes, once: from then on its containers may be running on them.
async fn fill(
    assignment: &Assignment,
    dirs: &Dirs,
    fetcher: &Fetcher,
    listener: &Listener,
    abandoned: &CancellationToken,
) -> Result<(), fetch::Error> {
    let (instance, sandboxes) = (assignment.instance, spec::sandboxes(assignment, dirs));
    if sandboxes.is_empty() || dirs.is_prepared(instance) {
        return Ok(());
    }
    let start = fetch::Start { instance, abandoned, progress: &*listener.progress };
    fetcher.fetch_all(&sandboxes, &start).await?;
    dirs.prepared(instance).map_err(fetch::Error::Dirs)
}

/// A refusal by the agent itself.
fn refusal(message: String) -> Error {
    Error::Refused { status: 400, message }
}

/// What the engine says of one container of a pod.
fn of_piece(error: Error, instance: InstanceId, piece: &Piece) -> Error {
    match (error, piece.name.strip_prefix(&format!("{instance}."))) {
        (Error::Refused { status, message }, Some(name)) => {
            Error::Refused { status, message: format!("container {name}: {message}") }
        }
        (error, _) => error,
    }
}

//! What every request is answered with: the control plane, the settings, and what requests share.

use crate::bodies::Bodies;
use crate::callbacks::{Callbacks, Source};
use crate::connection::Limits;
use crate::control::{ControlPlane, Freshness, SubmitError};
use crate::error::Error;
use crate::logging::Logging;
use crate::members::Members;
use crate::metrics::HttpMetrics;
use crate::origin::Hosts;
use crate::printed::Definitions;
use crate::proxy::Proxy;
use crate::readers::{Readers, ReadersMax};
use crate::request::Request;
use crate::told::{Frame, Told};
use crate::ui::Asset;
use crate::v2::EventBody;
use cluster::{Applied, Command, State};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

/// So many notices wait for a slow reader; it misses the oldest then.
pub(crate) const NOTICES_WAITING_MAX: usize = 1024;
/// Threads that work on long bodies. What is read of one may take 30 times its bytes, so they are few; members have
/// few processors, so more would not be faster.
const LONG_WORK_THREADS: usize = 2;

/// What a server says of itself, and its limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Ekiden's version.
    pub version: String,
    /// How many members the control plane has.
    pub n_members: usize,
    /// A longer body is refused with 413, bytes.
    pub body_bytes_max: usize,
    /// All bodies that are there at once may have so many bytes together; more are refused with 503.
    pub bodies_bytes_max: usize,
    /// A body that takes longer to arrive is refused with 408.
    pub body_timeout: Duration,
    /// From one sign of life on an event stream to the next; Marathon's is 10 s.
    pub heartbeat: Duration,
    /// Where events may be posted to, `host:port`, or a host alone for port 80: nowhere unless the operator says so.
    pub event_callbacks: Vec<String>,
    /// By which names the API may be called, and whose pages may change something.
    pub hosts: Hosts,
    /// The other members' APIs, `host:port`: what they say of whom they pass a request on for is believed.
    pub members: Vec<String>,
    /// How many may read the stream of events at once.
    pub readers_max: ReadersMax,
    /// The log of this program, where its levels can be changed while it runs.
    pub logging: Option<Arc<dyn Logging>>,
    /// The web UI's files; none where it was not built into the program.
    pub ui: &'static [Asset],
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            n_members: 1,
            body_bytes_max: 1024 * 1024,
            bodies_bytes_max: 64 * 1024 * 1024,
            body_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(10),
            event_callbacks: Vec::new(),
            hosts: Hosts::default(),
            members: Vec::new(),
            readers_max: ReadersMax::beside(Limits::default().connections_max),
            logging: None,
            ui: &[],
        }
    }
}

/// The API over a control plane. A clone is a handle to the same one.
#[derive(Clone, Debug)]
pub struct Api<C> {
    pub(crate) control: C,
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: HttpMetrics,
    pub(crate) shutdown: CancellationToken,
    pub(crate) definitions: Definitions,
    pub(crate) callbacks: Callbacks,
    pub(crate) told: Told,
    /// What readers of events are told beside the log: who else reads.
    pub(crate) notices: broadcast::Sender<Frame>,
    pub(crate) proxy: Proxy,
    pub(crate) bodies: Bodies,
    pub(crate) members: Members,
    pub(crate) readers: Readers,
    /// Long bodies are worked on by so many threads.
    pub(crate) long_work: Arc<Semaphore>,
}

impl<C: ControlPlane> Api<C> {
    /// The API of this control plane. `shutdown` ends the streams of events.
    pub fn new(control: C, config: Config, metrics: HttpMetrics, shutdown: CancellationToken) -> Self {
        Self {
            bodies: Bodies::new(config.bodies_bytes_max, config.body_timeout),
            members: Members::new(&config.members),
            readers: Readers::new(config.readers_max),
            long_work: Arc::new(Semaphore::new(LONG_WORK_THREADS)),
            control,
            config: Arc::new(config),
            metrics,
            shutdown,
            definitions: Definitions::default(),
            callbacks: Callbacks::new(),
            told: Told::default(),
            notices: broadcast::channel(NOTICES_WAITING_MAX).0,
            proxy: Proxy::new(),
        }
    }

    /// A snapshot with all that was acknowledged before.
    pub(crate) async fn state(&self) -> Result<Arc<State>, Error> {
        Ok(self.control.view(Freshness::Linearizable).await?)
    }

    /// A snapshot of what this member has, at once.
    pub(crate) async fn recent(&self) -> Result<Arc<State>, Error> {
        Ok(self.control.view(Freshness::Local).await?)
    }

    /// Tells the readers of events what is not in the log. Returns what they are told.
    pub(crate) fn notify(&self, body: EventBody) -> Option<Frame> {
        let frame = Frame::new(self.control.now(), body)?;
        // Nobody may be reading.
        let _ = self.notices.send(frame.clone());
        Some(frame)
    }

    /// Proposes a change in the name of who asks, who should hold no state by then: what is held is copied where it is
    /// changed, and freed by whoever lets go of it last.
    pub(crate) async fn submit(&self, request: &Request, command: Command) -> Result<Applied, SubmitError> {
        self.control.submit(request.principal(), command).await
    }

    /// Where events come from.
    pub(crate) fn source(&self) -> Source<C> {
        Source {
            control: self.control.clone(),
            told: self.told.clone(),
            notices: self.notices.clone(),
            shutdown: self.shutdown.clone(),
        }
    }
}

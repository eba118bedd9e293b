//! The way of every request: taken apart, routed, done here or passed on to the leader, and answered with the headers
//! that Marathon's clients know.

use crate::callbacks::Callbacks;
use crate::compress;
use crate::control::{ControlPlane, Freshness, Leadership, SubmitError};
use crate::error::Error;
use crate::logging::Logging;
use crate::metrics::HttpMetrics;
use crate::printed::Definitions;
use crate::proxy::Proxy;
use crate::request::{Query, Request, segments};
use crate::routes::{self, Endpoint, Params};
use crate::server::Peer;
use crate::to_wire;
use crate::told::{Frame, Told};
use crate::v2::EventBody;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cluster::{Applied, Command, Rejected, State};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body_util::{BodyExt, Limited};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// How often, and how long each time, it is waited for an election: 2.5 s in all, as Marathon does.
const ELECTION_TRIES: u32 = 100;
const ELECTION_WAIT: Duration = Duration::from_millis(25);

/// So many notices wait for a slow reader; it misses the oldest then.
pub(crate) const NOTICES_WAITING_MAX: usize = 1024;
/// A body with many apps may be so many times as long as others.
const GROUP_FACTOR: usize = 4;

/// What a server says of itself, and its limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Ekiden's version.
    pub version: String,
    /// How many members the control plane has.
    pub n_members: usize,
    /// A longer body is refused with 413, bytes.
    pub body_bytes_max: usize,
    /// A body that takes longer to arrive is refused with 408.
    pub body_timeout: Duration,
    /// From one sign of life on an event stream to the next; Marathon's is 10 s.
    pub heartbeat: Duration,
    /// Where events may be posted to, `host:port`, or a host alone for port 80: nowhere unless the operator says so.
    pub event_callbacks: Vec<String>,
    /// The log of this program, where its levels can be changed while it runs.
    pub logging: Option<Arc<dyn Logging>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            n_members: 1,
            body_bytes_max: 1024 * 1024,
            body_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(10),
            event_callbacks: Vec::new(),
            logging: None,
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
    proxy: Proxy,
}

impl<C: ControlPlane> Api<C> {
    /// The API of this control plane. `shutdown` ends the streams of events.
    pub fn new(control: C, config: Config, metrics: HttpMetrics, shutdown: CancellationToken) -> Self {
        Self {
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

    /// The routes as a service for [`crate::server::serve`].
    pub fn router(self) -> Router {
        Router::new().fallback(move |request: http::Request<Body>| {
            let api = self.clone();
            async move { api.handle(request).await }
        })
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

    /// Proposes a change in the name of who asks.
    pub(crate) async fn submit(&self, request: &Request, command: Command) -> Result<Applied, SubmitError> {
        self.control.submit(request.principal(), command).await
    }

    async fn handle(&self, request: http::Request<Body>) -> Response {
        let started = Instant::now();
        let _in_flight = self.metrics.begin();
        let (parts, body) = request.into_parts();
        let found = segments(parts.uri.path()).and_then(|it| routes::find(&parts.method, &it));
        let route = found.as_ref().map_or("unknown", |(route, _)| route.path);
        let method = parts.method.clone();
        let takes_gzip = method != Method::HEAD && compress::is_accepted(&parts.headers);
        let mut response = match found {
            Ok((route, params)) => {
                let head = Head {
                    endpoint: route.endpoint,
                    params,
                    method: parts.method,
                    uri: parts.uri,
                    peer: peer(&parts.headers, parts.extensions.get()),
                    headers: parts.headers,
                };
                self.answer(head, body).await.unwrap_or_else(Error::into_response)
            }
            Err(error) => error.into_response(),
        };
        if takes_gzip {
            response = compress::gzip(response).await;
        }
        self.add_headers(response.headers_mut());
        self.metrics.observe(route, &method, response.status(), started.elapsed());
        response
    }

    async fn answer(&self, head: Head, body: Body) -> Result<Response, Error> {
        let max_bytes = self.config.body_bytes_max * if has_long_body(head.endpoint) { GROUP_FACTOR } else { 1 };
        let body = self.read(&head.headers, body, max_bytes).await?;
        if !is_local(head.endpoint) && !self.leads().await {
            return self.pass_on(&head, body).await;
        }
        let request = Request {
            params: head.params.clone(),
            query: Query::parse(head.uri.query().unwrap_or_default())?,
            headers: head.headers.clone(),
            body: body.clone(),
            peer: head.peer.clone(),
        };
        if !has_own_type(head.endpoint) && !request.accepts("application/json") {
            return Err(Error::NotAcceptable);
        }
        match routes::dispatch(self, head.endpoint, &request).await {
            // Leadership went elsewhere meanwhile, and nothing was proposed here.
            Err(Error::Submit(SubmitError::NotLeader { .. })) if !self.control.leadership().leading => {
                self.pass_on(&head, body).await
            }
            Err(Error::Submit(SubmitError::Rejected(rejected))) => Err(self.explain(rejected).await),
            answer => answer,
        }
    }

    /// Says of deployments that hold an app what they wait for.
    async fn explain(&self, rejected: Rejected) -> Error {
        let Rejected::Locked { deployments } = &rejected else { return rejected.into() };
        let Ok(state) = self.control.view(Freshness::Local).await else { return rejected.into() };
        let now = self.control.now();
        let deployments = deployments.iter().map(|it| to_wire::locking_deployment(&state, *it, now)).collect();
        Error::Locked { message: rejected.to_string(), deployments }
    }

    /// Whether this member leads. While nobody does, or this one is about to, it is waited for the outcome.
    async fn leads(&self) -> bool {
        for _ in 0..ELECTION_TRIES {
            let Leadership { leading, leader_http, this_http } = self.control.leadership();
            if leading {
                return true;
            }
            if leader_http.is_some_and(|it| it != this_http) {
                return false;
            }
            tokio::time::sleep(ELECTION_WAIT).await;
        }
        false
    }

    async fn pass_on(&self, head: &Head, body: Bytes) -> Result<Response, Error> {
        let redirect = head.endpoint == Endpoint::Events;
        let request = crate::proxy::Passed {
            method: &head.method,
            uri: &head.uri,
            headers: &head.headers,
            peer: &head.peer,
            body,
        };
        self.proxy.pass_on(&self.control, request, redirect).await
    }

    async fn read(&self, headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Error> {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|it| it > max_bytes) {
            return Err(Error::TooLarge { max_bytes });
        }
        let reading = Limited::new(body, max_bytes).collect();
        match tokio::time::timeout(self.config.body_timeout, reading).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Error::TooLarge { max_bytes }),
            Ok(Err(error)) => Err(Error::Bad(format!("the body could not be read: {error}"))),
            Err(_) => Err(Error::Timeout),
        }
    }

    /// The headers of every answer. One that came from the leader keeps the leader's.
    fn add_headers(&self, headers: &mut HeaderMap) {
        const FIXED: [(&str, &str); 6] = [
            ("cache-control", "no-cache, no-store, must-revalidate"),
            ("pragma", "no-cache"),
            ("expires", "0"),
            ("x-frame-options", "DENY"),
            ("x-xss-protection", "1; mode=block"),
            ("x-content-type-options", "nosniff"),
        ];
        for (name, value) in FIXED {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        if let Some(leader) = self.control.leadership().leader_http
            && let Ok(leader) = HeaderValue::from_str(&format!("http://{leader}"))
        {
            headers.entry("x-marathon-leader").or_insert(leader);
        }
    }
}

/// A request without its body.
struct Head {
    endpoint: Endpoint,
    params: Params,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    peer: String,
}

/// Whether every member answers by itself: what is asked of each one.
fn is_local(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Help
            | Endpoint::LoggingGet
            | Endpoint::LoggingSet
            | Endpoint::Metrics
            | Endpoint::OpenApi
            | Endpoint::Ping
            | Endpoint::Root
            | Endpoint::SchemaApp
            | Endpoint::SchemaGroup
            | Endpoint::Ui
    )
}

/// Whether the body may hold the definitions of many apps.
fn has_long_body(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::AppPutMany | Endpoint::AppPatchMany | Endpoint::GroupCreate | Endpoint::GroupPut)
}

/// Whether the answer is, or may be, something else than JSON.
fn has_own_type(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Ping
            | Endpoint::Metrics
            | Endpoint::Events
            | Endpoint::Help
            | Endpoint::Root
            | Endpoint::Ui
            | Endpoint::TaskList
            | Endpoint::AppTaskList
            | Endpoint::AppTaskListBelow
    )
}

/// Where a request came from: the socket's address, and the one that a stand-by passed it on for.
fn peer(headers: &HeaderMap, socket: Option<&Peer>) -> String {
    let socket = socket.map_or_else(|| "unknown".to_owned(), |it| it.0.ip().to_canonical().to_string());
    let forwarded = headers.get("x-forwarded-for").and_then(|it| it.to_str().ok());
    match forwarded.filter(|_| headers.contains_key("x-marathon-via")) {
        Some(client) => format!("{} via {socket}", client.split(',').next().unwrap_or_default().trim()),
        None => socket,
    }
}

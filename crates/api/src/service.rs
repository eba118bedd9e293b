//! The way of every request: taken apart, routed, done here or passed on to the leader, and answered with the headers
//! that Marathon's clients know.

use crate::bodies::SHORT_BYTES_MAX;
use crate::compress;
use crate::connection::{Peer, watch::Watch};
use crate::context::Api;
use crate::control::{ControlPlane, Freshness, Leadership, SubmitError};
use crate::dispatch::dispatch;
use crate::error::Error;
use crate::origin;
use crate::panics::{Panicked, contain_all};
use crate::proxy::Passed;
use crate::request::{Query, Request, check_type, segments};
use crate::routes::{self, Endpoint, Params};
use crate::to_wire;
use crate::words::clip;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use cluster::Rejected;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often, and how long each time, it is waited for an election: 2.5 s in all, as Marathon does.
const ELECTION_TRIES: u32 = 100;
const ELECTION_WAIT: Duration = Duration::from_millis(25);

/// What a member says of a client is no longer: a few addresses.
const CLIENT_BYTES_MAX: usize = 256;
/// A body with many apps may be so many times as long as others.
const GROUP_FACTOR: usize = 4;

impl<C: ControlPlane> Api<C> {
    /// The routes as others' services are; [`crate::server::serve`] needs it not.
    pub fn router(self) -> Router {
        let api = Arc::new(self);
        Router::new().fallback(move |request: http::Request<Body>| {
            let api = Arc::clone(&api);
            async move { api.handle(request).await }
        })
    }

    pub(crate) async fn handle(&self, request: http::Request<Body>) -> Response {
        let started = Instant::now();
        let _in_flight = self.metrics.begin();
        let (parts, body) = request.into_parts();
        let found = segments(parts.uri.path()).and_then(|it| routes::find(&parts.method, &it));
        let route = found.as_ref().map_or("unknown", |(route, _)| route.path);
        let method = parts.method.clone();
        let takes_gzip = method != Method::HEAD && compress::is_accepted(&parts.headers);
        let mut response = match found {
            Ok((route, params)) => {
                let address = parts.extensions.get::<Peer>().map(|it| it.0.ip().to_canonical());
                let head = Head {
                    endpoint: route.endpoint,
                    params,
                    method: parts.method,
                    uri: parts.uri,
                    peer: self.peer(&parts.headers, address).await,
                    address,
                    connection: parts.extensions.get::<Watch>().cloned(),
                    headers: parts.headers,
                };
                let answer = contain_all(self.answer(head, body)).await;
                answer.unwrap_or(Err(Error::Panicked)).unwrap_or_else(Error::into_response)
            }
            Err(error) => error.into_response(),
        };
        if takes_gzip {
            response = Box::pin(compress::gzip(response)).await;
        }
        self.add_headers(response.headers_mut());
        self.metrics.observe(route, &method, response.status(), started.elapsed());
        response
    }

    async fn answer(&self, head: Head, body: Body) -> Result<Response, Error> {
        let Head { endpoint, params, method, uri, headers, peer, address, connection } = head;
        self.config.hosts.check(&method, &uri, &headers, endpoint == Endpoint::Events)?;
        if !method.is_safe() {
            check_type(&headers)?;
        }
        let bytes_max = self.config.body_bytes_max * if has_long_body(endpoint) { GROUP_FACTOR } else { 1 };
        let (body, drawn) = self.bodies.read(&headers, body, bytes_max).await?.into_parts();
        let drawn = Arc::new(drawn);
        if !is_local(endpoint) && !self.leads().await {
            let passed = Passed { method: &method, uri: &uri, headers: &headers, peer: &peer, body };
            return self.pass_on(endpoint, passed).await;
        }
        let query = Query::parse(uri.query().unwrap_or_default())?;
        let request = Arc::new(Request { params, query, headers, body, peer, address, connection });
        if !has_own_type(endpoint) && !request.accepts("application/json") {
            return Err(Error::NotAcceptable);
        }
        match self.dispatch(endpoint, &request, &drawn).await {
            // Leadership went elsewhere meanwhile, and nothing was proposed here.
            Err(Error::Submit(SubmitError::NotLeader { .. })) if !self.control.leadership().leading => {
                let (headers, peer, body) = (&request.headers, &request.peer, request.body.clone());
                self.pass_on(endpoint, Passed { method: &method, uri: &uri, headers, peer, body }).await
            }
            Err(Error::Submit(SubmitError::Rejected(rejected))) => Err(self.explain(rejected).await),
            answer => answer,
        }
    }

    /// Does what is asked for; with a long body on a thread of its own, so that the others are answered meanwhile.
    /// `drawn` is the body's part of the budget.
    async fn dispatch<D: Send + Sync + 'static>(
        &self,
        endpoint: Endpoint,
        request: &Arc<Request>,
        drawn: &Arc<D>,
    ) -> Result<Response, Error> {
        if request.body.len() <= SHORT_BYTES_MAX {
            // On the heap, as what is rarely done below: to move the future of every request costs what its largest has.
            return Box::pin(dispatch(self, endpoint, request)).await;
        }
        let permit = Arc::clone(&self.long_work).acquire_owned().await.map_err(|_| Error::Busy { what: "requests" })?;
        let (api, request, drawn) = (self.clone(), Arc::clone(request), Arc::clone(drawn));
        let runtime = Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            let answer = runtime.block_on(contain_all(dispatch(&api, endpoint, &request)));
            // The client may be gone; what is held for it is given back here.
            drop((request, drawn, permit));
            answer
        });
        work.await.unwrap_or(Err(Panicked)).unwrap_or(Err(Error::Panicked))
    }

    /// Says of deployments that hold an app what they wait for.
    async fn explain(&self, rejected: Rejected) -> Error {
        let Rejected::Locked { deployments } = &rejected else { return rejected.into() };
        let Ok(state) = self.control.view(Freshness::Local).await else { return rejected.into() };
        let now = self.control.moment();
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

    async fn pass_on(&self, endpoint: Endpoint, request: Passed<'_>) -> Result<Response, Error> {
        // A page reads its own origin alone: to it the stream is passed on, others are sent to where it comes from.
        let is_stream = matches!(endpoint, Endpoint::Events | Endpoint::Logs);
        let redirect = endpoint == Endpoint::Events && !origin::is_of_page(request.headers);
        let answer = Box::pin(self.proxy.pass_on(&self.control, request, redirect)).await?;
        Ok(if is_stream { answer.map(|it| self.until_shutdown(it)) } else { answer })
    }

    /// A stream that would not end by itself, and would hold up this member's own end.
    fn until_shutdown(&self, body: Body) -> Body {
        Body::from_stream(body.into_data_stream().take_until(self.shutdown.clone().cancelled_owned()))
    }

    /// Where a request came from: the socket's address, and the one that a member passed it on for. What others say
    /// of that is not believed.
    async fn peer(&self, headers: &HeaderMap, address: Option<IpAddr>) -> String {
        let Some(address) = address else { return "unknown".to_owned() };
        let forwarded = headers.get("x-forwarded-for").and_then(|it| it.to_str().ok());
        match forwarded.filter(|_| headers.contains_key("x-marathon-via")) {
            Some(client) if self.members.has(address).await => {
                let client = client.split(',').next().unwrap_or_default().trim();
                format!("{} via {address}", clip(client, CLIENT_BYTES_MAX))
            }
            _ => address.to_string(),
        }
    }

    /// The headers of every answer. One that came from the leader keeps the leader's.
    fn add_headers(&self, headers: &mut HeaderMap) {
        headers.reserve(FIXED.len() + 1);
        // What says itself how long it may be kept is not said to be old at once.
        let keeps = headers.contains_key(header::CACHE_CONTROL);
        for (name, value) in FIXED.iter().filter(|it| !keeps || !matches!(it.0.as_str(), "pragma" | "expires")) {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        if let Some(leader) = self.control.leadership().leader_http
            && let Ok(leader) = HeaderValue::from_str(&format!("http://{leader}"))
        {
            headers.entry(&*LEADER).or_insert(leader);
        }
    }
}

/// What every answer says, whatever it is.
static FIXED: LazyLock<[(HeaderName, HeaderValue); 7]> = LazyLock::new(|| {
    [
        // Nothing of it is part of others' pages.
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
        ("expires", "0"),
        ("x-frame-options", "DENY"),
        ("x-xss-protection", "1; mode=block"),
        ("x-content-type-options", "nosniff"),
    ]
    .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
});

/// Says who leads.
static LEADER: LazyLock<HeaderName> = LazyLock::new(|| HeaderName::from_static("x-marathon-leader"));

/// A request without its body.
struct Head {
    endpoint: Endpoint,
    params: Params,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    peer: String,
    address: Option<IpAddr>,
    connection: Option<Watch>,
}

/// Whether every member answers by itself: what is asked of each one.
fn is_local(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Help
            | Endpoint::LoggingGet
            | Endpoint::LoggingSet
            | Endpoint::Metrics
            | Endpoint::MetricsText
            | Endpoint::OpenApi
            | Endpoint::Ping
            | Endpoint::Root
            | Endpoint::SchemaApp
            | Endpoint::SchemaGroup
            | Endpoint::UiAsset
            | Endpoint::UiPage
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
            | Endpoint::MetricsText
            | Endpoint::Events
            | Endpoint::Logs
            | Endpoint::Help
            | Endpoint::Root
            | Endpoint::UiAsset
            | Endpoint::UiPage
            | Endpoint::TaskList
            | Endpoint::AppTaskList
            | Endpoint::AppTaskListBelow
    )
}

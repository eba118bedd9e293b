//! What a member that does not lead does with requests: it passes them on to the one that does.

use crate::control::{ControlPlane, Leadership};
use crate::error::Error;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// A leader that does not take a connection in this time is taken for gone.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A leader that does not begin to answer in this time is given up.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// Names every member that has passed a request on.
const VIA: HeaderName = HeaderName::from_static("x-marathon-via");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A request that comes by so often runs in a circle. Once can be what a stranger has written.
const LOOPS_MAX: usize = 2;

/// Headers that belong to one connection (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Passes requests on.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    client: Client<HttpConnector, Body>,
}

/// A request to be passed on.
#[derive(Debug)]
pub(crate) struct Passed<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) peer: &'a str,
    pub(crate) body: Bytes,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Self { client }
    }

    /// Passes a request on to the leader, or sends the client there.
    pub(crate) async fn pass_on<C: ControlPlane>(
        &self,
        control: &C,
        request: Passed<'_>,
        redirect: bool,
    ) -> Result<Response, Error> {
        let Leadership { leader_http, this_http, .. } = control.leadership();
        let leader = leader_http
            .filter(|it| *it != this_http)
            .ok_or_else(|| Error::Gateway("Could not determine the current leader".to_owned()))?;
        let target = request.uri.path_and_query().map_or("/", |it| it.as_str());
        let target = format!("http://{leader}{target}");
        if redirect {
            return Ok(redirection(&target));
        }
        let via = format!("1.1 {this_http}");
        if passed_through(request.headers, &via) {
            return Err(Error::Gateway("Detected proxying loop.".to_owned()));
        }
        let mut onward = http::Request::new(Body::from(request.body));
        *onward.method_mut() = request.method.clone();
        *onward.uri_mut() =
            target.parse().map_err(|_| Error::Gateway(format!("The leader's address '{leader}' is none.")))?;
        *onward.headers_mut() = onward_headers(request.headers);
        // What the client itself says of whom it asks for ends here.
        onward.headers_mut().remove(FORWARDED_FOR);
        append(onward.headers_mut(), FORWARDED_FOR, request.peer);
        append(onward.headers_mut(), VIA, &via);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.client.request(onward)).await;
        let answer = answer.map_err(|_| Error::Gateway("The leader did not answer in time.".to_owned()))?;
        let mut answer = answer.map_err(|error| {
            if error.is_connect() {
                Error::Gateway("Connection to leader refused.".to_owned())
            } else {
                tracing::debug!(%error, leader, "a request could not be passed on");
                Error::Gateway("The leader closed the connection: look before repeating a change.".to_owned())
            }
        })?;
        for name in HOP_BY_HOP {
            answer.headers_mut().remove(name);
        }
        append(answer.headers_mut(), VIA, &via);
        Ok(answer.map(Body::new))
    }
}

fn passed_through(headers: &HeaderMap, via: &str) -> bool {
    let values = headers.get_all(VIA).iter().filter_map(|it| it.to_str().ok());
    values.flat_map(|it| it.split(',')).filter(|it| it.trim() == via).count() >= LOOPS_MAX
}

fn onward_headers(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    // The body was read whole, and its length is set anew.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::EXPECT);
    headers
}

fn append(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}

fn redirection(target: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(target) = HeaderValue::from_str(target) {
        response.headers_mut().insert(header::LOCATION, target);
    }
    response
}

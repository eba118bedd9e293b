//! The cluster, by its HTTP API: requests, the choice of a server, and what its refusals mean.

use crate::error::{Error, Kind, Result};
use crate::text;
use api::v2::{Details, ErrorBody};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// A server that takes longer to accept a connection is passed over.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longer than a server takes for its slowest refusal: a write that waits for a quorum.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// No answer is longer; a thousand apps with a hundred instances each are a tenth of it.
const MAX_ANSWER_BYTES: usize = 512 * 1024 * 1024;

/// What this program calls itself.
const AGENT: &str = concat!("ekiden/", env!("CARGO_PKG_VERSION"));

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl Request {
    fn new(method: Method, path: impl AsRef<str>) -> Self {
        Self { method, path: text::percent(path.as_ref()), query: Vec::new(), body: None }
    }

    pub(crate) fn get(path: impl AsRef<str>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn put(path: impl AsRef<str>, body: impl Into<String>) -> Self {
        Self { body: Some(body.into()), ..Self::new(Method::PUT, path) }
    }

    pub(crate) fn post(path: impl AsRef<str>, body: impl Into<String>) -> Self {
        Self { body: Some(body.into()), ..Self::new(Method::POST, path) }
    }

    pub(crate) fn delete(path: impl AsRef<str>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Deletes what the body lists.
    pub(crate) fn delete_listed(path: impl AsRef<str>, body: impl Into<String>) -> Self {
        Self { body: Some(body.into()), ..Self::delete(path) }
    }

    /// Adds a parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.query.push((name, value.as_ref().to_owned()));
        self
    }

    /// Adds a parameter where it is wanted.
    pub(crate) fn with_flag(self, name: &'static str, wanted: bool) -> Self {
        if wanted { self.with(name, "true") } else { self }
    }

    /// Method and path, as in a log.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target())
    }

    /// The verb that shows what there is of what is asked for.
    fn overview(&self) -> Option<&'static str> {
        let (_, noun) = self.path.split_once("/v2/").or_else(|| self.path.split_once("/v3/"))?;
        match noun.split(['/', ':']).next()? {
            _ if self.path.contains("versions/") => None,
            // What is changed was there a moment before: it is the version to go back to that is not.
            "apps" if self.method == Method::PUT => Some("app versions ID"),
            "apps" => Some("app list"),
            "pods" => Some("pod list"),
            "groups" => Some("group list"),
            "deployments" => Some("deployment list --all"),
            _ => None,
        }
    }

    fn target(&self) -> String {
        let query: Vec<_> = self.query.iter().map(|(name, value)| format!("{name}={}", text::percent(value))).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }
}

/// A cluster's servers.
pub(crate) struct Remote {
    servers: Vec<String>,
    /// The one that answered last: it is asked first.
    last: Cell<usize>,
    client: Client<HttpConnector, Full<Bytes>>,
    /// What the server remarked on changes that it took.
    remarks: RefCell<Vec<String>>,
    /// The deployment of the last change, where a header names it.
    deployment: RefCell<Option<String>>,
}

/// Names fields of a definition that have no effect.
const WARNINGS: &str = "x-ekiden-warnings";

/// Names the deployment that carries a change out.
const DEPLOYMENT: &str = "marathon-deployment-id";

/// A stream is sent to the leader; more than one step there is a circle.
const REDIRECTS_MAX: usize = 3;

impl Remote {
    /// Reads a list of URLs, as typed.
    pub(crate) fn new(urls: &str) -> Result<Self> {
        let servers =
            urls.split(',').map(str::trim).filter(|it| !it.is_empty()).map(server).collect::<Result<Vec<_>>>()?;
        if servers.is_empty() {
            return Err(Error::new(Kind::Usage, "--url (or EKIDEN_URL) names no server"));
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { servers, last: Cell::new(0), client, remarks: RefCell::default(), deployment: RefCell::default() })
    }

    /// Takes what the server remarked since this was asked last.
    pub(crate) fn take_remarks(&self) -> Vec<String> {
        self.remarks.take()
    }

    /// Takes the deployment of the last change, where a header named it.
    pub(crate) fn take_deployment(&self) -> Option<String> {
        self.deployment.take()
    }

    /// All servers, as typed.
    pub(crate) fn name(&self) -> String {
        self.servers.join(",")
    }

    /// Sends a request to the first server that takes it, and returns the body of its answer.
    pub(crate) async fn send(&self, request: &Request) -> Result<Bytes> {
        let n = self.servers.len();
        let mut refusal = None;
        for at in (0..n).map(|it| (self.last.get() + it) % n) {
            match self.send_to(&self.servers[at], request).await {
                Ok(body) => {
                    self.last.set(at);
                    return Ok(body);
                }
                Err(Attempt::Final(err)) => return Err(err),
                Err(Attempt::Next(err)) => refusal = Some(refusal.unwrap_or(err)),
            }
        }
        Err(refusal.unwrap_or_else(|| Error::new(Kind::Unreachable, "no server answers")))
    }

    async fn send_to(&self, server: &str, request: &Request) -> Result<Bytes, Attempt> {
        let place = format!("{} of {server}", request.line());
        let failed = |err: Error| Attempt::Final(err.at(place.clone()));
        let built = Self::build(server, request).map_err(failed)?;
        let exchange = async {
            let answer = self.client.request(built).await.map_err(|err| self.broken(&err, request))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|err| self.cut(&err.to_string(), request))?;
            Ok::<_, Attempt>((head, body.to_bytes()))
        };
        let (head, body) = match tokio::time::timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(done) => done.map_err(|err| err.at(&place))?,
            Err(_) => return Err(self.cut("no answer for 60 s", request).at(&place)),
        };
        if head.status.is_success() {
            let remark = head.headers.get(WARNINGS).and_then(|it| it.to_str().ok());
            self.remarks.borrow_mut().extend(remark.map(str::to_owned));
            let deployment = head.headers.get(DEPLOYMENT).and_then(|it| it.to_str().ok());
            if let Some(deployment) = deployment {
                self.deployment.replace(Some(deployment.to_owned()));
            }
            return Ok(body);
        }
        let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|it| it.to_str().ok());
        let err = refusal(head.status, &body, retry_after).at(place);
        let err = match request.overview() {
            Some(verb) if err.kind == Kind::NotFound => err.hint(format!("`ekiden {verb}` shows what there is")),
            _ => err,
        };
        let next = matches!(err.kind, Kind::Unreachable | Kind::Temporary) && request.method == Method::GET;
        Err(if next { Attempt::Next(err) } else { Attempt::Final(err) })
    }

    /// Opens a stream of events on the first server that has one, behind the event of this id.
    pub(crate) async fn stream(&self, request: &Request, last_event_id: Option<&str>) -> Result<Incoming> {
        let n = self.servers.len();
        let mut refusal = None;
        for at in (0..n).map(|it| (self.last.get() + it) % n) {
            match self.stream_from(&self.servers[at], request, last_event_id).await {
                Ok(body) => {
                    self.last.set(at);
                    return Ok(body);
                }
                Err(Attempt::Final(err)) => return Err(err),
                Err(Attempt::Next(err)) => refusal = Some(refusal.unwrap_or(err)),
            }
        }
        Err(refusal.unwrap_or_else(|| Error::new(Kind::Unreachable, "no server answers")))
    }

    async fn stream_from(
        &self,
        server: &str,
        request: &Request,
        last_event_id: Option<&str>,
    ) -> Result<Incoming, Attempt> {
        let mut url = format!("{server}{}", request.target());
        for _ in 0..=REDIRECTS_MAX {
            let place = format!("GET {url}");
            let mut built =
                hyper::Request::get(&url).header(header::ACCEPT, "text/event-stream").header(header::USER_AGENT, AGENT);
            if let Some(id) = last_event_id {
                built = built.header("last-event-id", id);
            }
            let built = built.body(Full::default());
            let built = built.map_err(|err| Attempt::Final(Error::new(Kind::Usage, err.to_string()).at(&place)))?;
            let answer = match tokio::time::timeout(ANSWER_TIMEOUT, self.client.request(built)).await {
                Ok(answer) => answer.map_err(|err| self.broken(&err, request).at(&place))?,
                Err(_) => return Err(self.cut("no answer for 60 s", request).at(&place)),
            };
            let (head, body) = answer.into_parts();
            if head.status.is_success() {
                return Ok(body);
            }
            let location = head.headers.get(header::LOCATION).and_then(|it| it.to_str().ok());
            if let Some(location) = location.filter(|_| head.status.is_redirection()) {
                location.clone_into(&mut url);
                continue;
            }
            let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|it| it.to_str().ok()).map(str::to_owned);
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
            let err = refusal(head.status, &body, retry_after.as_deref()).at(&place);
            let next = matches!(err.kind, Kind::Unreachable | Kind::Temporary);
            return Err(if next { Attempt::Next(err) } else { Attempt::Final(err) });
        }
        let err = Error::new(Kind::Unreachable, "the servers send each other the reader of events in a circle");
        Err(Attempt::Next(err.at(url)))
    }

    fn build(server: &str, request: &Request) -> Result<hyper::Request<Full<Bytes>>> {
        let body = request.body.clone().unwrap_or_default();
        hyper::Request::builder()
            .method(&request.method)
            .uri(format!("{server}{}", request.target()))
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, AGENT)
            .body(Full::from(body))
            .map_err(|err| Error::new(Kind::Usage, format!("this cannot be asked for: {err}")))
    }

    /// No connection, or one that ended without an answer.
    fn broken(&self, err: &hyper_util::client::legacy::Error, request: &Request) -> Attempt {
        let why = root_cause(err);
        if err.is_connect() {
            let err = Error::new(Kind::Unreachable, format!("no server answers: {why}"));
            return Attempt::Next(err.hint(self.hint()));
        }
        self.cut(&why, request)
    }

    /// The connection ended before the answer did: a change may have been made.
    fn cut(&self, why: &str, request: &Request) -> Attempt {
        let err = Error::new(Kind::Unreachable, format!("the connection ended before the answer: {why}"));
        if request.method == Method::GET {
            return Attempt::Next(err.hint(self.hint()));
        }
        let hint = "the change may have been made all the same: look with `ekiden app list` before repeating it";
        Attempt::Final(err.hint(hint))
    }

    fn hint(&self) -> String {
        format!("is Ekiden running at {}? Name another server with --url or EKIDEN_URL", self.name())
    }
}

/// How one server failed.
enum Attempt {
    /// Another may do better, and nothing was changed.
    Next(Error),
    /// This is the answer.
    Final(Error),
}

impl Attempt {
    fn at(self, place: &str) -> Self {
        match self {
            Self::Next(err) => Self::Next(err.at(place)),
            Self::Final(err) => Self::Final(err.at(place)),
        }
    }
}

/// One server's base URL, without slash at its end.
fn server(typed: &str) -> Result<String> {
    let url = if typed.contains("://") { typed.to_owned() } else { format!("http://{typed}") };
    let wrong = |why: &str| {
        Error::new(Kind::Usage, format!("`{typed}` is no server: {why}")).hint("write http://host:port, or host:port")
    };
    let uri: Uri = url.parse().map_err(|err: hyper::http::uri::InvalidUri| wrong(&err.to_string()))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(wrong("TLS is not built yet")),
        _ => return Err(wrong("only http:// is known")),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("it has no host"));
    }
    if uri.query().is_some() {
        return Err(wrong("it has a query"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// What a refusal means.
fn refusal(status: StatusCode, body: &[u8], retry_after: Option<&str>) -> Error {
    let answer: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let what = if answer.message.is_empty() { format!("the server answers {status}") } else { answer.message };
    let err = match status.as_u16() {
        404 => Error::new(Kind::NotFound, what),
        400 | 413 | 422 => Error::new(Kind::Invalid, what),
        409 if !answer.deployments.is_empty() => locked(&answer.deployments[0].id),
        409 | 412 => Error::new(Kind::Locked, what),
        429 => Error::new(Kind::Temporary, what).hint(again(retry_after)),
        503 if retry_after.is_some() => Error::new(Kind::Temporary, what).hint(again(retry_after)),
        502..=504 => {
            Error::new(Kind::Unreachable, what).hint("the cluster has no leader now; try again in some seconds")
        }
        _ => Error::new(Kind::Unexpected, what).detail(format!("status {status}")),
    };
    let err = answer.deployments.iter().fold(err, |err, it| err.detail(format!("deployment {}", it.id)));
    match answer.details {
        None => err,
        Some(Details::Text(text)) => err.detail(text),
        Some(Details::List(list)) => {
            let lines = list.iter().flat_map(|it| it.errors.iter().map(|error| format!("{}: {error}", it.path)));
            lines.fold(err, Error::detail)
        }
    }
}

fn locked(deployment: &str) -> Error {
    Error::new(Kind::Locked, "locked by a deployment that is under way").hint(format!(
        "`ekiden deployment watch {deployment}` follows it, `ekiden deployment rollback {deployment}` takes it back, \
         --force takes over from it"
    ))
}

fn again(retry_after: Option<&str>) -> String {
    match retry_after {
        Some(seconds) if seconds.bytes().all(|it| it.is_ascii_digit()) => format!("try again in {seconds} s"),
        _ => "try again later".to_owned(),
    }
}

fn root_cause(err: &dyn std::error::Error) -> String {
    let mut cause = err;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_people_write_them() {
        let read = |typed: &str| Remote::new(typed).map(|it| it.servers).map_err(|it| it.what);
        assert_eq!(read("localhost:8080").unwrap(), ["http://localhost:8080"]);
        assert_eq!(read("http://a:1/, b:2").unwrap(), ["http://a:1", "http://b:2"]);
        assert!(read("https://a").unwrap_err().contains("TLS is not built yet"));
        assert!(read("ftp://a").unwrap_err().contains("only http://"));
        assert!(read(" ,").unwrap_err().contains("names no server"));
        assert!(read("http://").is_err());
        assert!(read("a b").is_err());
    }

    #[test]
    fn a_request_is_written_safely() {
        let request = Request::get("/v2/apps//demo/a b?c").with_flag("force", true).with("host", "a&b");
        assert_eq!(request.line(), "GET /v2/apps//demo/a%20b%3Fc?force=true&host=a%26b");
    }

    #[test]
    fn every_violation_is_told_with_its_place() {
        let body = br#"{"message":"Object is not valid","details":[
            {"path":"/cpus","errors":["must be >= 0","x\u001b[2J"]},{"path":"/id","errors":["bad"]}]}"#;
        let err = refusal(StatusCode::UNPROCESSABLE_ENTITY, body, None);
        assert_eq!(err.kind, Kind::Invalid);
        assert_eq!(
            err.to_string(),
            "error: Object is not valid\n  /cpus: must be >= 0\n  /cpus: x\\u{1b}[2J\n  /id: bad\n"
        );
    }

    #[test]
    fn refusals_have_the_kind_that_a_ci_needs() {
        let kind = |status, retry_after| refusal(StatusCode::from_u16(status).unwrap(), b"<html>", retry_after).kind;
        assert_eq!(kind(404, None), Kind::NotFound);
        assert_eq!(kind(409, None), Kind::Locked);
        assert_eq!(kind(422, None), Kind::Invalid);
        assert_eq!(kind(429, None), Kind::Temporary);
        assert_eq!(kind(503, Some("1")), Kind::Temporary);
        assert_eq!(kind(503, None), Kind::Unreachable);
        assert_eq!(kind(502, None), Kind::Unreachable);
        assert_eq!(kind(500, None), Kind::Unexpected);
    }
}

//! Events, posted to those who asked for it: Marathon's old way, before there were streams.
//!
//! Each subscriber has a task of its own that reads events as a stream does and posts one after another, so that a
//! slow or broken callback holds up nobody. What waits for it is bounded: a subscriber that falls too far behind
//! misses what happened meanwhile. Subscriptions are kept by the leader, in memory, and end with its office.

use crate::control::{ControlPlane, EventItem, Freshness};
use crate::told::{Frame, Told};
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, Method, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// So many subscribers at most: each costs a task and a connection.
const SUBSCRIBERS_MAX: usize = 32;
/// A callback that takes longer to answer has failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A callback's port, where its URL names none.
const HTTP_PORT: u16 = 80;

/// Why there is no such subscription.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The URL is none, or none to post to.
    #[error(
        "parameter 'callbackUrl' must be a URL such as http://hooks.example:8080/events, and only http is called; it is '{0}'"
    )]
    NoUrl(String),
    /// The operator has not allowed calls to this place.
    #[error(
        "calls to {0} are not allowed: Ekiden would call from inside its own network, so the operator has to name each \
         place in event_callbacks of the members' configuration; GET /v2/events needs no permission"
    )]
    NotAllowed(String),
    /// There are too many.
    #[error("there are {SUBSCRIBERS_MAX} subscriptions already: remove one, or read GET /v2/events")]
    TooMany,
}

/// Where events come from.
#[derive(Clone, Debug)]
pub(crate) struct Source<C> {
    pub(crate) control: C,
    pub(crate) told: Told,
    /// What is told beside the log.
    pub(crate) notices: broadcast::Sender<Frame>,
    /// Ends all subscriptions.
    pub(crate) shutdown: CancellationToken,
}

/// Those who are told. A clone is a handle to the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Callbacks {
    client: Client<HttpConnector, Body>,
    running: Arc<Mutex<BTreeMap<String, CancellationToken>>>,
}

impl Callbacks {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CALL_TIMEOUT));
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector);
        Self { client, running: Arc::default() }
    }

    /// The URLs that are called now.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.running().keys().cloned().collect()
    }

    /// Calls this URL from now on, if it is one of the allowed places; one that is called already goes on to be.
    ///
    /// # Errors
    /// [`Refused`]: nothing is called that was not before.
    pub(crate) fn add<C: ControlPlane>(&self, source: Source<C>, allowed: &[String], url: &str) -> Result<(), Refused> {
        let target = check(url, allowed)?;
        let mut running = self.running();
        if running.contains_key(url) {
            return Ok(());
        }
        if running.len() >= SUBSCRIBERS_MAX {
            return Err(Refused::TooMany);
        }
        let stop = source.shutdown.child_token();
        running.insert(url.to_owned(), stop.clone());
        drop(running);
        let caller = Caller { client: self.client.clone(), target, is_failing: false };
        // Readers are registered before the answer: what happens behind it is told.
        let items = source.control.events(None);
        let notices = source.notices.subscribe();
        let (callbacks, url) = (self.clone(), url.to_owned());
        tokio::spawn(async move {
            caller.run(source, items, notices, stop.clone()).await;
            // Unless it was removed, and perhaps added again.
            if !stop.is_cancelled() {
                callbacks.running().remove(&url);
            }
        });
        Ok(())
    }

    /// Calls this URL no more. Returns whether it was.
    pub(crate) fn remove(&self, url: &str) -> bool {
        let removed = self.running().remove(url);
        removed.inspect(CancellationToken::cancel).is_some()
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The URL, if it may be called: `allowed` has `host:port`, or a host alone for port 80.
fn check(url: &str, allowed: &[String]) -> Result<Uri, Refused> {
    let no_url = || Refused::NoUrl(url.escape_debug().to_string());
    let uri: Uri = url.parse().map_err(|_| no_url())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(no_url)?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(no_url());
    }
    let place = |host: &str, port: Option<u16>| format!("{}:{}", host.to_lowercase(), port.unwrap_or(HTTP_PORT));
    let wanted = place(authority.host(), authority.port_u16());
    let is_allowed = allowed.iter().any(|it| match it.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => port.parse().is_ok_and(|port| place(host, Some(port)) == wanted),
        _ => place(it, None) == wanted,
    });
    if is_allowed { Ok(uri) } else { Err(Refused::NotAllowed(wanted)) }
}

/// One subscriber.
struct Caller {
    client: Client<HttpConnector, Body>,
    target: Uri,
    is_failing: bool,
}

impl Caller {
    /// Posts what happens until it is stopped, or this member leads no more.
    async fn run<C: ControlPlane>(
        mut self,
        source: Source<C>,
        mut items: futures::stream::BoxStream<'static, EventItem>,
        mut notices: broadcast::Receiver<Frame>,
        stop: CancellationToken,
    ) {
        loop {
            let frames = tokio::select! {
                () = stop.cancelled() => return,
                item = items.next() => match item {
                    None => {
                        tracing::info!(place = self.place(), "a subscription ended with this member's leadership");
                        return;
                    }
                    Some(EventItem::Gap { .. }) => continue,
                    Some(EventItem::Lagged) => {
                        tracing::warn!(place = self.place(), "a callback is too slow: events were dropped");
                        items = source.control.events(None);
                        continue;
                    }
                    Some(EventItem::Happened(happened)) => {
                        let Ok(state) = source.control.view(Freshness::Local).await else { continue };
                        source.told.entry(&state, &happened, false).frames.clone()
                    }
                },
                notice = notices.recv() => match notice {
                    Ok(frame) => vec![frame],
                    Err(broadcast::error::RecvError::Lagged(_)) => continue,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            };
            for frame in frames {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.call(frame.data) => {}
                }
            }
        }
    }

    /// Where it is, for the log: the rest of its URL may hold what is nobody else's business.
    fn place(&self) -> &str {
        self.target.authority().map_or("", |it| it.as_str())
    }

    /// Posts one event. One that cannot be delivered is dropped; the log says when that begins and ends.
    async fn call(&mut self, event: Bytes) {
        let mut request = http::Request::new(Body::from(event));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // What it answers is not read, and redirections are not followed.
        let failure = match tokio::time::timeout(CALL_TIMEOUT, self.client.request(request)).await {
            Ok(Ok(answer)) if answer.status().is_success() => None,
            Ok(Ok(answer)) => Some(format!("it answered {}", answer.status())),
            Ok(Err(error)) => Some(format!("{error}")),
            Err(_) => Some(format!("it did not answer in {} s", CALL_TIMEOUT.as_secs())),
        };
        match failure {
            Some(why) if !self.is_failing => {
                tracing::warn!(
                    place = self.place(),
                    why,
                    "a callback failed; events for it are dropped until it works"
                );
                self.is_failing = true;
            }
            None if self.is_failing => {
                tracing::info!(place = self.place(), "a callback works again");
                self.is_failing = false;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_that_the_operator_named_are_called() {
        let allowed =
            ["hooks.example:8080", "plain.example", "10.0.0.7:9000", "[::1]:9000", "[::2]"].map(str::to_owned);
        for (url, expect) in [
            ("http://hooks.example:8080/events?x=y", true),
            ("http://HOOKS.example:8080", true),
            ("http://plain.example/x", true),
            ("http://plain.example:80/x", true),
            ("http://10.0.0.7:9000/", true),
            ("http://[::1]:9000/", true),
            ("http://[::2]/", true),
            ("http://hooks.example/", false),
            ("http://hooks.example:8081/", false),
            ("http://a.hooks.example:8080/", false),
            ("http://hooks.example:8080.evil.example/", false),
            ("http://hooks.example:8080@169.254.169.254/", false),
            ("http://plain.example@127.0.0.1/", false),
            ("http://127.0.0.1:8080/", false),
            ("http://[::ffff:10.0.0.7]:9000/", false),
            ("https://hooks.example:8080/", false),
            ("ftp://hooks.example:8080/", false),
            ("hooks.example:8080", false),
            ("/events", false),
            ("http://", false),
            ("", false),
        ] {
            assert_eq!(check(url, &allowed).is_ok(), expect, "{url}");
        }
        assert!(check("http://hooks.example:8080/", &[]).is_err(), "nothing is allowed unless somebody says so");
    }
}

//! `GET /v2/events`: what happens, as server-sent events.
//!
//! Beyond Marathon every event that came of the log has an id, `<log index>-<position>`, and a reader that comes back
//! with `Last-Event-ID` goes on where it was. What it missed and can no longer be told is announced by an event of
//! type `reset`, which only such readers are sent. A reader that is too slow is disconnected.

use crate::control::{ControlPlane, EventItem, Freshness};
use crate::error::Error;
use crate::metrics::Counted;
use crate::request::Request;
use crate::service::Api;
use crate::v2::{Event, EventBody};
use crate::{time, to_wire};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use cluster::Timestamp;
use futures::stream::{self, BoxStream, StreamExt};
use http::{HeaderValue, header};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// A bare line: nothing to any reader, but a sign of life to the network.
const HEARTBEAT: &[u8] = b"\r\n";

/// Opens a stream of events.
pub(crate) fn stream<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    if !request.accepts("text/event-stream") {
        return Err(Error::NotAcceptable);
    }
    let resume = request.headers.get("last-event-id").map(|it| Position::parse(it.to_str().unwrap_or_default()));
    let resume = resume.transpose()?;
    let attached = EventBody::EventStreamAttached { remote_address: request.peer.clone() };
    // Nobody else may be reading. This one is told in the first place, and of later ones.
    let _ = api.notices.send(attached.clone());
    let mut reader = Reader {
        notices: api.notices.subscribe(),
        _detached: Detached { notices: api.notices.clone(), remote_address: request.peer.clone() },
        control: api.control.clone(),
        // Entries are sent whole: the one in which the reader stopped is asked for again.
        items: api.control.events(resume.map(|it| it.index.saturating_sub(1))),
        ready: VecDeque::new(),
        wanted: request.query.all("event_type").map(str::to_owned).collect(),
        light: request.query.all("plan-format").any(|it| it == "light"),
        resume,
        heartbeat: tokio::time::interval(api.config.heartbeat),
        shutdown: api.shutdown.clone(),
        done: false,
        _counted: api.metrics.begin_reading(),
    };
    reader.heartbeat.reset();
    reader.push(None, api.control.now(), attached);

    let frames = stream::unfold(reader, |mut reader| async move {
        let frame = reader.next().await?;
        Some((Ok::<_, Infallible>(frame), reader))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream;charset=UTF-8"));
    // Proxies that collect answers would keep events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A reader's place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    index: u64,
    sequence: u32,
}

impl Position {
    fn parse(text: &str) -> Result<Self, Error> {
        let parts = text
            .split_once('-')
            .and_then(|(index, sequence)| Some(Self { index: index.parse().ok()?, sequence: sequence.parse().ok()? }));
        parts.ok_or_else(|| {
            let text = text.escape_debug();
            Error::Bad(format!("Last-Event-ID must be an id that this stream has sent, such as 42-0; it is '{text}'"))
        })
    }
}

/// One client's stream.
struct Reader<C> {
    control: C,
    items: BoxStream<'static, EventItem>,
    notices: broadcast::Receiver<EventBody>,
    ready: VecDeque<Bytes>,
    wanted: Vec<String>,
    light: bool,
    resume: Option<Position>,
    heartbeat: tokio::time::Interval,
    shutdown: CancellationToken,
    done: bool,
    _counted: Counted,
    _detached: Detached,
}

/// Tells the other readers when one has gone.
struct Detached {
    notices: broadcast::Sender<EventBody>,
    remote_address: String,
}

impl Drop for Detached {
    fn drop(&mut self) {
        let remote_address = std::mem::take(&mut self.remote_address);
        let _ = self.notices.send(EventBody::EventStreamDetached { remote_address });
    }
}

/// Prints an event. Our own types always print; should one not, it is left out and the log says so.
pub(crate) fn print(time: Timestamp, body: EventBody) -> Option<String> {
    let name = body.name();
    let event = Event { timestamp: time::print(time), body };
    serde_json::to_string(&event)
        .inspect_err(|error| tracing::error!(%error, name, "an event could not be written as JSON"))
        .ok()
}

impl<C: ControlPlane> Reader<C> {
    /// The next bytes to send; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.done {
                return None;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                item = self.items.next() => self.take(item?).await,
                Ok(body) = self.notices.recv() => self.push(None, self.control.now(), body),
                _ = self.heartbeat.tick() => return Some(Bytes::from_static(HEARTBEAT)),
            }
        }
    }

    async fn take(&mut self, item: EventItem) {
        match item {
            EventItem::Event { index, sequence, time, principal, event } => {
                let position = Position { index, sequence };
                if self.resume.is_some_and(|it| position <= it) {
                    return;
                }
                let Ok(state) = self.control.view(Freshness::Local).await else {
                    // The reader comes back and is told what it misses here.
                    self.done = true;
                    return;
                };
                let bodies = to_wire::events(&state, &principal, &event, self.light);
                let last = bodies.iter().rposition(|it| self.wants(it));
                for (n, body) in bodies.into_iter().enumerate() {
                    // Only the last carries the id: a reader that stops before it is told all of them again.
                    let id = (Some(n) == last).then_some(position);
                    self.push(id, time, body);
                }
            }
            EventItem::Gap { through } => self.push_reset(through),
            EventItem::Lagged => {
                self.ready.push_back(Bytes::from_static(
                    b": too slow, events were dropped; come back with Last-Event-ID\r\n\r\n",
                ));
                self.done = true;
            }
        }
    }

    fn wants(&self, body: &EventBody) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|it| it == body.name())
    }

    fn push(&mut self, id: Option<Position>, time: Timestamp, body: EventBody) {
        if !self.wants(&body) {
            return;
        }
        let name = body.name();
        if let Some(data) = print(time, body) {
            self.push_frame(name, id, &data);
        }
    }

    /// Tells a reader that asked for a place in the log that some events are gone.
    fn push_reset(&mut self, through: u64) {
        if self.resume.is_none() {
            return;
        }
        let data = serde_json::json!({
            "eventType": "reset",
            "timestamp": time::print(self.control.now()),
            "message": "events are missing here: read again what you keep",
            "missingThrough": through,
        });
        let id = Position { index: through, sequence: u32::MAX };
        self.push_frame("reset", Some(id), &data.to_string());
    }

    fn push_frame(&mut self, name: &str, id: Option<Position>, data: &str) {
        let mut frame = format!("event: {name}\r\n");
        if let Some(id) = id {
            let _ = write!(frame, "id: {}-{}\r\n", id.index, id.sequence);
        }
        let _ = write!(frame, "data: {data}\r\n\r\n");
        self.ready.push_back(frame.into());
    }
}

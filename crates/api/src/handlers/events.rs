//! `GET /v2/events`: what happens, as server-sent events.
//!
//! Beyond Marathon every event that came of the log has an id, its place there, and a reader that comes back with
//! `Last-Event-ID` goes on behind it. What it missed and can no longer be told is announced by an event of type
//! `reset`, which only such readers are sent. A reader that is too slow is disconnected.

use crate::context::Api;
use crate::control::{ControlPlane, EventItem, Freshness, Happened};
use crate::error::Error;
use crate::metrics::Counted;
use crate::readers::Seated;
use crate::request::Request;
use crate::time;
use crate::told::{Frame, Position};
use crate::v2::EventBody;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use http::{HeaderValue, header};
use std::collections::VecDeque;
use std::convert::Infallible;
use tokio::sync::broadcast::{self, error::RecvError};

/// A bare line: nothing to any reader, but a sign of life to the network.
const HEARTBEAT: &[u8] = b"\r\n";

/// Opens a stream of events.
pub(crate) fn stream<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    if !request.accepts("text/event-stream") {
        return Err(Error::NotAcceptable);
    }
    let resume =
        request.headers.get("last-event-id").map(|it| position(it.to_str().unwrap_or_default())).transpose()?;
    let seated = api.readers.sit(request.address, request.connection.clone())?;
    let attached = api.notify(EventBody::EventStreamAttached { remote_address: request.peer.clone() });
    let mut reader = Reader {
        api: api.clone(),
        // Entries are sent whole: the one in which the reader stopped is asked for again.
        items: api.control.events(resume.map(|it| it.index.saturating_sub(1))),
        notices: api.notices.subscribe(),
        ready: VecDeque::new(),
        wanted: request.query.all("event_type").map(str::to_owned).collect(),
        light: request.query.all("plan-format").any(|it| it == "light"),
        resume,
        heartbeat: tokio::time::interval(api.config.heartbeat),
        remote_address: request.peer.clone(),
        seated,
        last: resume.map_or(u64::MAX, |it| it.index),
        done: false,
        _counted: api.metrics.begin_reading(),
    };
    reader.heartbeat.reset();
    // Of itself it is told in the first place.
    if let Some(attached) = attached {
        reader.push(&attached);
    }

    let frames = stream::unfold(reader, |mut reader| async move {
        reader.seated.waits();
        let frame = reader.next().await?;
        reader.seated.is_sent(reader.last);
        Some((Ok::<_, Infallible>(frame), reader))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream;charset=UTF-8"));
    // Proxies that collect answers would keep events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn position(text: &str) -> Result<Position, Error> {
    Position::parse(text).ok_or_else(|| {
        let text = text.escape_debug();
        Error::Bad(format!("Last-Event-ID must be an id that this stream has sent, such as 42-0-1; it is '{text}'"))
    })
}

/// One client's stream.
struct Reader<C: ControlPlane> {
    api: Api<C>,
    items: BoxStream<'static, EventItem>,
    notices: broadcast::Receiver<Frame>,
    ready: VecDeque<Bytes>,
    wanted: Vec<String>,
    light: bool,
    resume: Option<Position>,
    heartbeat: tokio::time::Interval,
    remote_address: String,
    seated: Seated,
    /// The last entry that it was told of.
    last: u64,
    done: bool,
    _counted: Counted,
}

/// Tells the other readers that this one has gone.
impl<C: ControlPlane> Drop for Reader<C> {
    fn drop(&mut self) {
        let remote_address = std::mem::take(&mut self.remote_address);
        self.api.notify(EventBody::EventStreamDetached { remote_address });
    }
}

impl<C: ControlPlane> Reader<C> {
    /// The next bytes to send; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(text) = self.ready.pop_front() {
                return Some(text);
            }
            if self.done {
                return None;
            }
            tokio::select! {
                () = self.api.shutdown.cancelled() => return None,
                () = self.seated.gone() => return None,
                notice = self.notices.recv() => match notice {
                    Ok(notice) => self.push(&notice),
                    // The oldest are gone; the others are told at once, not when something else happens.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                },
                item = self.items.next() => self.take(item?).await,
                _ = self.heartbeat.tick() => return Some(Bytes::from_static(HEARTBEAT)),
            }
        }
    }

    async fn take(&mut self, item: EventItem) {
        match item {
            EventItem::Happened(happened) => {
                self.last = happened.index;
                self.tell(&happened).await;
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

    async fn tell(&mut self, happened: &Happened) {
        let Ok(state) = self.api.control.view(Freshness::Local).await else {
            // The reader comes back and is told what it misses here.
            self.done = true;
            return;
        };
        let printed = self.api.told.entry(&state, happened, self.light);
        if self.wanted.is_empty() && self.resume.is_none_or(|it| it.index < happened.index) {
            // Sent whole, as it is to all the others.
            self.ready.extend((!printed.text.is_empty()).then(|| printed.text.clone()));
            return;
        }
        let resume = self.resume;
        for frame in printed.frames.iter().filter(|it| it.position > resume) {
            self.push(frame);
        }
    }

    fn push(&mut self, frame: &Frame) {
        if self.wanted.is_empty() || self.wanted.iter().any(|it| it == frame.name) {
            self.ready.push_back(frame.text.clone());
        }
    }

    /// Tells a reader that asked for a place in the log that some events are gone.
    fn push_reset(&mut self, through: u64) {
        let data = serde_json::json!({
            "eventType": "reset",
            "timestamp": time::print(self.api.control.now()),
            "message": "events are missing here: read again what you keep",
            "missingThrough": through,
        });
        let id = Position::behind(through);
        self.ready.push_back(format!("event: reset\r\nid: {id}\r\ndata: {data}\r\n\r\n").into());
    }
}

//! What a connection is doing, and since when: by it slow clients are disconnected, and the laziest ones where there is
//! no room.

use super::Limits;
use crate::panics::contain;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What a connection is doing, and since when.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// It waits for a request.
    Idle(Instant),
    /// A request's headers are arriving.
    Head(Instant),
    /// A request's body is arriving.
    Body(Instant),
    /// A request is being answered.
    Busy,
}

/// Shared between a connection's stream, its service and its watchdog.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Watching>);

#[derive(Debug)]
struct Watching {
    doing: Mutex<Doing>,
    /// Wakes the watchdog: others need the place.
    dismissed: Notify,
}

#[derive(Debug)]
struct Doing {
    phase: Phase,
    /// Since when the client takes nothing of what is sent to it.
    blocked: Option<Instant>,
    /// Others need its place.
    is_dismissed: bool,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let doing = Doing { phase: Phase::Idle(Instant::now()), blocked: None, is_dismissed: false };
        Self(Arc::new(Watching { doing: Mutex::new(doing), dismissed: Notify::new() }))
    }

    /// Closes the connection, whatever it does.
    pub(crate) fn dismiss(&self) {
        self.doing().is_dismissed = true;
        self.0.dismissed.notify_one();
    }

    #[cfg(test)]
    pub(crate) fn is_dismissed(&self) -> bool {
        self.doing().is_dismissed
    }

    /// One whose request is being answered.
    #[cfg(test)]
    pub(crate) fn busy() -> Self {
        let watch = Self::new();
        watch.doing().phase = Phase::Busy;
        watch
    }

    /// Waits until others need the place.
    pub(crate) async fn dismissed(&self) {
        self.0.dismissed.notified().await;
    }

    /// Since when it is the client that is waited for; `None` while it is not.
    pub(crate) fn lazy_since(&self) -> Option<Instant> {
        let doing = self.doing();
        match doing.phase {
            _ if doing.is_dismissed => None,
            Phase::Idle(since) | Phase::Head(since) | Phase::Body(since) => Some(since),
            Phase::Busy => doing.blocked,
        }
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.0.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first byte after an answer begins a head.
    fn bytes_arrived(&self) {
        let mut doing = self.doing();
        if matches!(doing.phase, Phase::Idle(_)) {
            doing.phase = Phase::Head(Instant::now());
        }
    }

    /// The client took bytes, or would not.
    pub(crate) fn wrote(&self, took: bool) {
        let mut doing = self.doing();
        if took {
            doing.blocked = None;
        } else if doing.blocked.is_none() {
            doing.blocked = Some(Instant::now());
        }
    }

    /// A head is there, and with it the beginning of a body.
    pub(crate) fn begin_request(&self, body: Incoming) -> (Arriving, Busy) {
        let is_whole = hyper::body::Body::is_end_stream(&body);
        self.doing().phase = if is_whole { Phase::Busy } else { Phase::Body(Instant::now()) };
        (Arriving { body, watch: self.clone() }, Busy(self.clone()))
    }

    fn body_is_there(&self) {
        let mut doing = self.doing();
        if matches!(doing.phase, Phase::Body(_)) {
            doing.phase = Phase::Busy;
        }
    }

    /// When the connection is to be closed, or looked at again, if nothing happens.
    pub(crate) fn deadline(&self, limits: &Limits) -> Instant {
        let doing = self.doing();
        if doing.is_dismissed {
            return Instant::now();
        }
        let of_phase = match doing.phase {
            Phase::Idle(since) => since + limits.idle_timeout,
            Phase::Head(since) => since + limits.head_timeout,
            // Whoever reads the body, or answers, has a deadline of its own.
            Phase::Body(_) | Phase::Busy => Instant::now() + limits.idle_timeout,
        };
        doing.blocked.map_or(of_phase, |since| of_phase.min(since + limits.write_timeout))
    }
}

/// A request that is being answered; when dropped, the connection is idle.
#[derive(Debug)]
pub(crate) struct Busy(Watch);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.doing().phase = Phase::Idle(Instant::now());
    }
}

/// A request's body, which tells when it is there.
#[derive(Debug)]
pub(crate) struct Arriving {
    body: Incoming,
    watch: Watch,
}

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.watch.body_is_there();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, which keeps its connection busy until it is sent.
pub(crate) struct Answer {
    body: Body,
    _busy: Busy,
}

impl Answer {
    pub(crate) const fn new(body: Body, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        // Half an answer ends the connection, so that it does not look like a whole one.
        let frame = contain(|| Pin::new(&mut self.body).poll_frame(cx));
        frame.unwrap_or_else(|panicked| Poll::Ready(Some(Err(axum::Error::new(panicked)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells when bytes arrive, and when none can be sent.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TcpStream,
    watch: Watch,
}

impl Watched {
    pub(crate) const fn new(stream: TcpStream, watch: Watch) -> Self {
        Self { stream, watch }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.bytes_arrived();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch.wrote(polled.is_ready());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch.wrote(polled.is_ready());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

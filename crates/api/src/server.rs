//! How requests arrive: an accept loop with limits that hold before anybody has said who they are.

use crate::metrics::HttpMetrics;
use axum::Router;
use axum::body::Body;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The other end of a request's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What a stranger may take of the server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections in all; more wait unaccepted.
    pub connections_max: usize,
    /// Connections of one address; more are closed at once.
    pub connections_per_address_max: usize,
    /// From a request's first byte to the end of its headers; a slower client is disconnected.
    pub head_timeout: Duration,
    /// An idle connection is closed after this time.
    pub idle_timeout: Duration,
    /// A client that takes nothing of its answer for so long is disconnected; readers of events too.
    pub write_timeout: Duration,
    /// No head is longer, bytes.
    pub head_bytes_max: usize,
    /// No head has more headers.
    pub headers_max: usize,
    /// At the end requests have so long to finish.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 8192,
            connections_per_address_max: 4096,
            head_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            head_bytes_max: 32 * 1024,
            headers_max: 100,
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Serves HTTP/1.1 until `shutdown`, then lets requests under way finish.
///
/// # Errors
/// None of a single connection's: only when the listener itself fails for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: HttpMetrics,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let limits = Arc::new(limits);
    let slots = Arc::new(tokio::sync::Semaphore::new(limits.connections_max));
    let addresses = Addresses::default();
    let connections = tokio_util::task::TaskTracker::new();
    loop {
        let slot = tokio::select! {
            () = shutdown.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot,
        };
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a client that was gone before it was accepted: neither is for ever.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let Some(entry) = addresses.enter(peer.ip(), limits.connections_per_address_max) else { continue };
        let _ = stream.set_nodelay(true);
        let counted = metrics.begin_connection();
        let connection = connection(stream, peer, router.clone(), Arc::clone(&limits), shutdown.clone());
        connections.spawn(async move {
            connection.await;
            drop((slot, entry, counted));
        });
    }
    connections.close();
    if tokio::time::timeout(limits.drain_timeout, connections.wait()).await.is_err() {
        tracing::info!(left = connections.len(), "connections are closed in mid-request");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Arc<Limits>,
    shutdown: CancellationToken,
) {
    let watch = Watch::new();
    let io = TokioIo::new(Watched { stream, watch: watch.clone() });
    let service = {
        let watch = watch.clone();
        let router = TowerToHyperService::new(router);
        service_fn(move |request: hyper::Request<Incoming>| {
            let busy = watch.begin_request();
            let router = router.clone();
            async move {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(Peer(peer));
                let Ok(response) = router.call(request).await;
                Ok::<_, Infallible>(response.map(|body| Answer { body, _busy: busy }))
            }
        })
    };
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The watch below has the finer clock; this is the net under it.
        .header_read_timeout(limits.idle_timeout + limits.head_timeout)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.head_bytes_max);
    let connection = builder.serve_connection(io, service);
    tokio::pin!(connection);
    let mut ending = false;
    loop {
        tokio::select! {
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, %peer, "a connection ended early");
                }
                return;
            }
            () = shutdown.cancelled(), if !ending => {
                connection.as_mut().graceful_shutdown();
                ending = true;
            }
            () = watch.0.nearer.notified() => {}
            () = tokio::time::sleep_until(watch.deadline(&limits)) => {
                if watch.deadline(&limits) <= Instant::now() {
                    return;
                }
            }
        }
    }
}

/// What a connection is doing, and since when.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// It waits for a request.
    Idle(Instant),
    /// A request's headers are arriving.
    Head(Instant),
    /// A request is being answered.
    Busy,
}

/// Shared between a connection's stream, its service and its watchdog.
#[derive(Clone, Debug)]
struct Watch(Arc<Watching>);

#[derive(Debug)]
struct Watching {
    doing: Mutex<Doing>,
    /// Wakes the watchdog: its deadline is nearer now.
    nearer: Notify,
}

#[derive(Debug)]
struct Doing {
    phase: Phase,
    /// Since when the client takes nothing of what is sent to it.
    blocked: Option<Instant>,
}

impl Watch {
    fn new() -> Self {
        let doing = Mutex::new(Doing { phase: Phase::Idle(Instant::now()), blocked: None });
        Self(Arc::new(Watching { doing, nearer: Notify::new() }))
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.0.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first byte after an answer begins a head.
    fn bytes_arrived(&self) {
        let mut doing = self.doing();
        if matches!(doing.phase, Phase::Idle(_)) {
            doing.phase = Phase::Head(Instant::now());
            self.0.nearer.notify_one();
        }
    }

    /// The client took bytes, or would not.
    fn wrote(&self, took: bool) {
        let mut doing = self.doing();
        if took {
            doing.blocked = None;
        } else if doing.blocked.is_none() {
            doing.blocked = Some(Instant::now());
            self.0.nearer.notify_one();
        }
    }

    fn begin_request(&self) -> Busy {
        self.doing().phase = Phase::Busy;
        Busy(self.clone())
    }

    /// When the connection is to be closed, or looked at again, if nothing happens.
    fn deadline(&self, limits: &Limits) -> Instant {
        let doing = self.doing();
        let of_phase = match doing.phase {
            Phase::Idle(since) => since + limits.idle_timeout,
            Phase::Head(since) => since + limits.head_timeout,
            Phase::Busy => Instant::now() + limits.idle_timeout,
        };
        doing.blocked.map_or(of_phase, |since| of_phase.min(since + limits.write_timeout))
    }
}

/// A request that is being answered; when dropped, the connection is idle.
#[derive(Debug)]
struct Busy(Watch);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.doing().phase = Phase::Idle(Instant::now());
    }
}

/// An answer's body, which keeps its connection busy until it is sent.
struct Answer {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for Answer {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
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
struct Watched {
    stream: TcpStream,
    watch: Watch,
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

/// How many connections each address has.
#[derive(Clone, Debug, Default)]
struct Addresses(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// A connection that is counted for its address as long as this lives.
#[derive(Debug)]
struct Entered {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    fn enter(&self, address: IpAddr, max: usize) -> Option<Entered> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Entered { addresses: self.clone(), address })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

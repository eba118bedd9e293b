//! How requests arrive: an accept loop with limits that hold before anybody has said who they are.

mod crowd;

use crate::connection::watch::{Answer, Watch, Watched};
use crate::context::Api;
use crate::control::ControlPlane;
use crate::metrics::HttpMetrics;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use crowd::Crowd;
use http::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use crate::connection::{Limits, Peer};

/// What is served.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request<Body>) -> impl Future<Output = Response> + Send;
}

impl<C: ControlPlane> Service for Api<C> {
    fn answer(&self, request: Request<Body>) -> impl Future<Output = Response> + Send {
        self.handle(request)
    }
}

impl Service for Router {
    async fn answer(&self, request: Request<Body>) -> Response {
        let Ok(response) = TowerToHyperService::new(self.clone()).call(request).await;
        response
    }
}

/// Serves HTTP/1.1 until `shutdown`, then lets requests under way finish.
///
/// # Errors
/// None of a single connection's: only when the listener itself fails for good.
pub async fn serve(
    listener: TcpListener,
    service: impl Service,
    limits: Limits,
    metrics: HttpMetrics,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let (service, limits) = (Arc::new(service), Arc::new(limits));
    let slots = Arc::new(tokio::sync::Semaphore::new(limits.connections_max));
    let crowd = Crowd::default();
    let connections = tokio_util::task::TaskTracker::new();
    loop {
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
        let watch = Watch::new();
        let Some(entry) = crowd.enter(peer.ip(), watch.clone(), &limits) else { continue };
        // Those that had to go for it are about to.
        let slot = tokio::select! {
            () = shutdown.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot,
        };
        let _ = stream.set_nodelay(true);
        let counted = metrics.begin_connection();
        let connection = connection(stream, watch, peer, Arc::clone(&service), Arc::clone(&limits), shutdown.clone());
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
    watch: Watch,
    peer: SocketAddr,
    service: Arc<impl Service>,
    limits: Arc<Limits>,
    shutdown: CancellationToken,
) {
    let io = TokioIo::new(Watched::new(stream, watch.clone()));
    let service = {
        let watch = watch.clone();
        service_fn(move |request: Request<Incoming>| {
            let (head, body) = request.into_parts();
            let (body, busy) = watch.begin_request(body);
            let mut request = Request::from_parts(head, Body::new(body));
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(watch.clone());
            let service = Arc::clone(&service);
            async move {
                let response = service.answer(request).await;
                Ok::<_, Infallible>(response.map(|body| Answer::new(body, busy)))
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
    let alarm = tokio::time::sleep_until(watch.deadline(&limits));
    tokio::pin!(connection, alarm);
    // Serves until the connection ends or has been too slow. The alarm is set anew only where it would come too late: a
    // request that is answered at once costs the clock nothing.
    let mut ending = false;
    loop {
        let served = poll_fn(|cx| {
            if let Poll::Ready(outcome) = connection.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            let deadline = watch.deadline(&limits);
            if deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            while alarm.as_mut().poll(cx).is_ready() {
                let deadline = watch.deadline(&limits);
                if deadline <= Instant::now() {
                    return Poll::Ready(None);
                }
                alarm.as_mut().reset(deadline);
            }
            Poll::Pending
        });
        tokio::select! {
            outcome = served => {
                if let Some(Err(error)) = outcome {
                    tracing::debug!(%error, %peer, "a connection ended early");
                }
                return;
            }
            () = watch.dismissed() => return,
            () = shutdown.cancelled(), if !ending => {
                connection.as_mut().graceful_shutdown();
                ending = true;
            }
        }
    }
}

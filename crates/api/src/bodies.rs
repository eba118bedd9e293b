//! Bodies of requests, read within a budget of bytes that all connections share.
//!
//! Nobody has said who he is before his body is there, so what is kept of bodies is bounded for all together. The
//! beginning of each, as much as nearly all bodies have, is drawn from a part of the budget that long ones cannot use
//! up: whoever sends many of these at once keeps nobody from a change of an app. What was drawn is given back when
//! the request is answered.

use crate::error::Error;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A longer body is a long one.
pub(crate) const SHORT_BYTES_MAX: usize = 64 * 1024;
/// This part of the budget is for the beginnings of bodies: one in so many bytes.
const SHORT_SHARE: usize = 4;
/// What is kept for a body first; nearly all are shorter.
const FIRST_BYTES: usize = 4 * 1024;

/// The budget. A clone is a handle to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
    timeout: Duration,
}

/// A body, whole, and its part of the budget.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: BytesMut,
    permits: Vec<OwnedSemaphorePermit>,
    n_drawn: usize,
}

impl Bodies {
    /// A budget of so many bytes for all bodies; each has to arrive in this time.
    pub(crate) fn new(bytes_max: usize, timeout: Duration) -> Self {
        let short = bytes_max / SHORT_SHARE;
        Self { short: Arc::new(Semaphore::new(short)), long: Arc::new(Semaphore::new(bytes_max - short)), timeout }
    }

    /// Reads a body of at most so many bytes.
    ///
    /// # Errors
    /// It is longer, it is too slow, or others hold the whole budget.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Held, Error> {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|it| it > bytes_max) {
            return Err(Error::TooLarge { bytes_max });
        }
        // What has no chance now need not be sent.
        if declared.is_some_and(|it| it.saturating_sub(SHORT_BYTES_MAX) > self.long.available_permits()) {
            return Err(Error::Busy { what: "bodies" });
        }
        let most = declared.unwrap_or(bytes_max);
        match tokio::time::timeout(self.timeout, self.collect(body, most, bytes_max)).await {
            Ok(held) => held,
            Err(_) => Err(Error::Timeout),
        }
    }

    async fn collect(&self, mut body: Body, most: usize, bytes_max: usize) -> Result<Held, Error> {
        let mut held = Held::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Error::Bad(format!("the body could not be read: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            let needed = held.bytes.len() + data.len();
            if needed > bytes_max {
                return Err(Error::TooLarge { bytes_max });
            }
            self.draw(&mut held, needed, most)?;
            // Copied: a frame may be a byte of a buffer that it would keep alive.
            held.bytes.extend_from_slice(&data);
        }
        Ok(held)
    }

    /// Makes room for so many bytes, twice what there is where less is needed, but for no more than `most`.
    fn draw(&self, held: &mut Held, needed: usize, most: usize) -> Result<(), Error> {
        if needed <= held.n_drawn {
            return Ok(());
        }
        let wanted = needed.max(held.n_drawn * 2).max(FIRST_BYTES).min(most.max(needed));
        let busy = |_| Error::Busy { what: "bodies" };
        let of_short = wanted.min(SHORT_BYTES_MAX) - held.n_drawn.min(SHORT_BYTES_MAX);
        let of_long = wanted - held.n_drawn - of_short;
        for (budget, bytes) in [(&self.short, of_short), (&self.long, of_long)] {
            if bytes > 0 {
                // Bodies have some MiB at most.
                held.permits.push(Arc::clone(budget).try_acquire_many_owned(bytes as u32).map_err(busy)?);
            }
        }
        held.bytes.reserve(wanted - held.bytes.len());
        held.n_drawn = wanted;
        Ok(())
    }
}

impl Held {
    /// The body, and what gives its part of the budget back.
    pub(crate) fn into_parts(self) -> (Bytes, Vec<OwnedSemaphorePermit>) {
        (self.bytes.freeze(), self.permits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use std::convert::Infallible;

    const MIB: usize = 1 << 20;

    fn body(bytes: usize) -> Body {
        let chunks = (0..bytes / 1024).map(|_| Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1024])));
        Body::from_stream(stream::iter(chunks.collect::<Vec<_>>()))
    }

    /// Bytes that are not drawn, for beginnings and for the rest.
    fn left(bodies: &Bodies) -> (usize, usize) {
        (bodies.short.available_permits(), bodies.long.available_permits())
    }

    async fn read(bodies: &Bodies, bytes: usize) -> Result<Held, u16> {
        bodies.read(&HeaderMap::new(), body(bytes), 4 * MIB).await.map_err(|it| it.answer().0.as_u16())
    }

    #[tokio::test]
    async fn long_bodies_leave_room_for_short_ones_and_give_it_back() {
        let bodies = Bodies::new(16 * MIB, Duration::from_secs(10));
        let full = left(&bodies);
        let mut held = Vec::new();
        let refused = loop {
            match read(&bodies, 4 * MIB).await {
                Ok(it) => held.push(it),
                Err(status) => break status,
            }
        };
        assert_eq!((held.len(), refused), (3, 503));
        let drawn: usize = held.iter().map(|it| it.n_drawn).sum();
        let kept: usize = held.iter().map(|it| it.bytes.capacity()).sum();
        assert!(drawn <= 16 * MIB && kept <= drawn + MIB, "{kept} bytes are kept, {drawn} are drawn");
        assert_eq!(read(&bodies, SHORT_BYTES_MAX).await.unwrap().into_parts().0.len(), SHORT_BYTES_MAX);
        drop(held);
        assert_eq!(left(&bodies), full);
        assert!(read(&bodies, 4 * MIB).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_that_has_no_chance_is_refused_before_it_is_sent() {
        let bodies = Bodies::new(4 * MIB, Duration::from_secs(10));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, (4 * MIB).into());
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let refused = bodies.read(&headers, never, 4 * MIB).await.unwrap_err();
        assert_eq!(refused.answer().0, 503);
    }

    #[tokio::test]
    async fn a_body_that_is_announced_and_not_sent_draws_nothing() {
        let bodies = Bodies::new(16 * MIB, Duration::from_millis(20));
        let full = left(&bodies);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, (4 * MIB).into());
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let reading = bodies.read(&headers, never, 4 * MIB);
        tokio::pin!(reading);
        assert!(futures::poll!(&mut reading).is_pending(), "it is waited for");
        assert_eq!(left(&bodies), full);
        assert_eq!(reading.await.unwrap_err().answer().0, 408);
    }

    #[tokio::test]
    async fn a_short_body_draws_little_more_than_it_has() {
        let bodies = Bodies::new(16 * MIB, Duration::from_secs(10));
        let (short, _) = left(&bodies);
        let held = read(&bodies, 1024).await.unwrap();
        assert_eq!(short - left(&bodies).0, FIRST_BYTES);
        assert_eq!(held.into_parts().0.len(), 1024);
        assert!(read(&bodies, 5 * MIB).await.is_err_and(|it| it == 413));
        assert_eq!(left(&bodies).0, short);
    }
}

//! Long answers: printed piece by piece as the client reads, never whole in memory, and never on the threads that
//! serve others.

use crate::error::json_text;
use crate::panics::contain;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{HeaderValue, StatusCode, header};
use std::io;

/// A chunk is sent as soon as it has so many bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// What is still to be printed, and how.
struct Printer<I, P> {
    items: I,
    print: P,
}

/// One chunk, and what is left behind it.
type Chunk<I, P> = (Vec<u8>, Option<Printer<I, P>>);

impl<T, I, P> Printer<I, P>
where
    I: Iterator<Item = T> + Send + 'static,
    P: FnMut(T, &mut Vec<u8>) -> Result<(), serde_json::Error> + Send + 'static,
{
    /// Prints the next chunk, on a thread that may take its time.
    async fn next(self) -> io::Result<Chunk<I, P>> {
        let printed = tokio::task::spawn_blocking(move || contain(move || self.fill())).await;
        Ok(printed.map_err(io::Error::other)?.map_err(io::Error::other)??)
    }

    fn fill(mut self) -> Result<Chunk<I, P>, serde_json::Error> {
        let mut text = Vec::with_capacity(CHUNK_BYTES);
        while text.len() < CHUNK_BYTES {
            let Some(item) = self.items.next() else { return Ok((text, None)) };
            (self.print)(item, &mut text)?;
        }
        Ok((text, Some(self)))
    }
}

/// Answers with these items, printed one after another to one JSON text. What fits into one chunk is sent whole.
pub(crate) async fn json_of<T>(
    items: impl Iterator<Item = T> + Send + 'static,
    print: impl FnMut(T, &mut Vec<u8>) -> Result<(), serde_json::Error> + Send + 'static,
) -> Response {
    let (first, rest) = match (Printer { items, print }).next().await {
        Ok((whole, None)) => return json_text(StatusCode::OK, whole),
        Ok((first, Some(rest))) => (first, rest),
        Err(error) => {
            // Our own types always print; we answer all the same.
            tracing::error!(%error, "an answer could not be written as JSON");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let rest = stream::unfold(Some(rest), |rest| async move {
        Some(match rest?.next().await {
            Ok((chunk, rest)) => (Ok(Bytes::from(chunk)), rest),
            Err(error) => (Err(error), None),
        })
    });
    let first = stream::iter([Ok(Bytes::from(first))]);
    let mut response = Response::new(Body::from_stream(first.chain(rest)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

//! Answers in gzip, for clients that take it.
//!
//! Only answers that are long enough to gain anything: whole, or chunk by chunk where they are printed so. Streams of
//! events go out as they come, and what a stand-by passes on stays as the leader made it.

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use std::io::{self, Write};

/// A shorter answer fits into a packet as it is, bytes.
const MIN: u64 = 1024;
/// A longer one is compressed on another thread, so that the tasks of this one do not wait, bytes.
const AT_ONCE_MAX: u64 = 64 * 1024;

/// Whether the client takes gzip.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok());
    let mut star = false;
    for range in given.flat_map(|it| it.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|it| it.strip_prefix("q=")).map_or(Some(1.0), |it| it.parse::<f32>().ok());
        let wanted = quality.is_some_and(|it| it > 0.0);
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return wanted;
        }
        star |= name == "*" && wanted;
    }
    star
}

/// Compresses an answer where that is worth it.
pub(crate) async fn gzip(response: Response) -> Response {
    if !is_compressible(response.headers()) {
        return response;
    }
    let Some(length) = response.body().size_hint().exact() else { return in_chunks(response) };
    if length < MIN {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => {
            // Our own bodies are in memory and cannot fail; half an answer must not look like a whole one.
            tracing::error!(%error, "an answer could not be read for compressing it");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let packed = if length > AT_ONCE_MAX {
        let text = text.clone();
        tokio::task::spawn_blocking(move || pack(&text)).await.ok().flatten()
    } else {
        pack(&text)
    };
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let Some(packed) = packed else { return Response::from_parts(parts, Body::from(text)) };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(packed))
}

/// Compresses an answer of unknown length as it goes out.
fn in_chunks(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = stream::unfold(Some((body.into_data_stream(), encoder)), |rest| async move {
        let (mut chunks, mut encoder) = rest?;
        // The encoder keeps some until it has enough: an empty chunk would end nothing, and say nothing.
        loop {
            match chunks.next().await {
                None => return Some((encoder.finish().map(Bytes::from), None)),
                Some(Err(error)) => return Some((Err(io::Error::other(error)), None)),
                Some(Ok(chunk)) => match encoder.write_all(&chunk) {
                    Err(error) => return Some((Err(error), None)),
                    Ok(()) if encoder.get_ref().is_empty() => {}
                    Ok(()) => {
                        let out = Bytes::from(std::mem::take(encoder.get_mut()));
                        return Some((Ok(out), Some((chunks, encoder))));
                    }
                },
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(packed))
}

fn is_compressible(headers: &HeaderMap) -> bool {
    let is_stream = headers.get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
    !is_stream && !headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key("x-marathon-via")
}

fn pack(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_say_what_they_take() {
        for (given, expect) in [
            ("", false),
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, *", false),
            ("*", true),
            ("*;q=0", false),
            ("identity", false),
            ("br, x-gzip", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(given));
            assert_eq!(is_accepted(&headers), expect, "{given}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }
}

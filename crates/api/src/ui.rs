//! The web UI's files: what they are, and how browsers get them.
//!
//! The program that is started brings them ([`crate::Config::ui`]); this crate knows their form alone. They are kept
//! compressed, as nearly every browser takes them. All but the page carry a hash of their content in their names and
//! never change; the page is asked for anew each time, and names the others.

use crate::compress;
use crate::error::Error;
use axum::body::Body;
use axum::response::Response;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::io::Read;

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its name, as the page asks for it: `index.html`, or without folders what stands below `/ui/assets/`.
    pub name: &'static str,
    /// A hash of its content, in letters and digits.
    pub hash: &'static str,
    /// Its content in gzip.
    pub gzip: &'static [u8],
}

/// The name of the page itself.
pub const PAGE: &str = "index.html";

/// What a program that was built without the web UI shows in its place.
const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Ekiden</title>\n\
    <p>The web UI was not built into this program: run <code>make ui</code> and build it again \
    (<a href=\"/help\">all routes of the API</a>).</p></html>\n";

/// Nothing but our own files and our own API; no script and no style that stands in a page; in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Answers with the page, whatever part of the UI its address names: the page itself finds its way.
pub(crate) fn page(assets: &[Asset], headers: &HeaderMap) -> Response {
    let mut response = match assets.iter().find(|it| it.name == PAGE) {
        Some(page) => file(page, headers),
        None => Response::new(Body::from(NOT_BUILT)),
    };
    let sent = response.headers_mut();
    sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    sent.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // `/` is the page for browsers alone.
    sent.append(header::VARY, HeaderValue::from_static("accept"));
    protect(sent);
    response
}

/// Answers with a file that the page names.
///
/// # Errors
/// There is none of this name.
pub(crate) fn asset(assets: &[Asset], name: &str, headers: &HeaderMap) -> Result<Response, Error> {
    let found = assets.iter().find(|it| it.name == name && it.name != PAGE);
    let found = found.ok_or_else(|| Error::NotFound(format!("The web UI has no file '{name}'")))?;
    let mut response = file(found, headers);
    let sent = response.headers_mut();
    sent.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(found.name)));
    sent.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    protect(sent);
    Ok(response)
}

/// The content, or nothing where the client has it already.
fn file(asset: &Asset, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", asset.hash);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|it| it.to_str().ok());
    let is_known = known.flat_map(|it| it.split(',')).any(|it| it.trim().trim_start_matches("W/") == tag);
    let mut response = if is_known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else if compress::is_accepted(headers) {
        let mut response = Response::new(Body::from(asset.gzip));
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        let mut plain = Vec::new();
        if let Err(error) = GzDecoder::new(asset.gzip).read_to_end(&mut plain) {
            tracing::error!(%error, name = asset.name, "a file of the web UI cannot be unpacked");
        }
        Response::new(Body::from(plain))
    };
    // Weak: the same content goes out compressed and as it is.
    if let Ok(tag) = HeaderValue::from_str(&format!("W/{tag}")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

fn protect(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |it| it.1) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "html" => "text/html; charset=utf-8",
        "json" | "map" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

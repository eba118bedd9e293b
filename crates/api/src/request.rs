//! A request, taken apart once, before anything looks at it.

use crate::connection::watch::Watch;
use crate::error::Error;
use crate::from_wire::{Problems, Warning};
use crate::json;
use crate::origin;
use crate::routes::Params;
use bytes::Bytes;
use cluster::{AppId, Principal};
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::net::IpAddr;

const JSON_IS_TAKEN: &str = "send JSON, with Content-Type: application/json";

/// What handlers know of a request.
#[derive(Debug)]
pub(crate) struct Request {
    /// What the names in the route's path stand for.
    pub(crate) params: Params,
    /// The query.
    pub(crate) query: Query,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, whole.
    pub(crate) body: Bytes,
    /// Where the request came from, for people.
    pub(crate) peer: String,
    /// The other end of the connection, where there is one.
    pub(crate) address: Option<IpAddr>,
    /// The connection, where there is one.
    pub(crate) connection: Option<Watch>,
}

impl Request {
    /// Who asks.
    pub(crate) fn principal(&self) -> Principal {
        Principal::User { address: self.peer.clone() }
    }

    /// The app that the path names.
    ///
    /// # Errors
    /// It is no app's id.
    pub(crate) fn app(&self) -> Result<AppId, Error> {
        AppId::parse(&self.params.path).map_err(|error| {
            let mut problems = Problems::default();
            problems.invalid("/id", error.to_string());
            problems.into()
        })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// There is none, it is said to be something else, or it is not JSON.
    pub(crate) fn json(&self) -> Result<Value, Error> {
        if !self.is_json() {
            return Err(Error::MediaType { details: JSON_IS_TAKEN });
        }
        if self.is_encoded() {
            return Err(Error::MediaType { details: "send it as it is, without Content-Encoding" });
        }
        if self.body.trim_ascii().is_empty() {
            return Err(Error::NoBody);
        }
        json::parse(&self.body).map_err(|error| Error::NotJson { details: error.to_string() })
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// As [`Request::json`], and anything but an object.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Error> {
        match self.json()? {
            Value::Object(fields) => Ok(fields),
            _ => Err(misshapen("error.expected.jsobject")),
        }
    }

    /// The body as a JSON array.
    ///
    /// # Errors
    /// As [`Request::json`], and anything but an array.
    pub(crate) fn array(&self) -> Result<Vec<Value>, Error> {
        match self.json()? {
            Value::Array(items) => Ok(items),
            _ => Err(misshapen("error.expected.jsarray")),
        }
    }

    /// Whether the body may be read as JSON; a client that says nothing means JSON, a page does not.
    fn is_json(&self) -> bool {
        let Some(essence) = essence(&self.headers) else { return !origin::is_of_page(&self.headers) };
        essence == "application/json" || essence.ends_with("+json") && essence.starts_with("application/")
    }

    /// Whether the body is compressed, or in another form that had to be undone first.
    fn is_encoded(&self) -> bool {
        let encoding = self.headers.get(header::CONTENT_ENCODING);
        encoding.is_some_and(|it| !it.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
    }

    /// Whether the body is a JSON merge patch (RFC 7396), whose `null` unsets.
    pub(crate) fn is_merge_patch(&self) -> bool {
        essence(&self.headers).is_some_and(|it| it == "application/merge-patch+json")
    }

    /// Whether the client takes an answer of this type.
    pub(crate) fn accepts(&self, kind: &str) -> bool {
        let family = kind.split('/').next().unwrap_or_default();
        let is_family =
            |range: &str| range.split_once('/').is_some_and(|(it, any)| any == "*" && it.eq_ignore_ascii_case(family));
        let mut given = self.headers.get_all(header::ACCEPT).iter().peekable();
        given.peek().is_none()
            || given.any(|it| {
                it.to_str().unwrap_or("*/*").split(',').any(|range| {
                    let mut parts = range.split(';').map(str::trim);
                    let essence = parts.next().unwrap_or_default();
                    let refused = parts.any(|it| matches!(it, "q=0" | "q=0.0"));
                    !refused && (essence.eq_ignore_ascii_case(kind) || essence == "*/*" || is_family(essence))
                })
            })
    }

    /// How much the client wants one of these very types; more is better, `None` where it names none. What is of equal
    /// quality is wanted in the order in which it stands.
    pub(crate) fn named(&self, kinds: &[&str]) -> Option<(u32, Reverse<usize>)> {
        let given = self.headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok());
        let ranges = given.flat_map(|it| it.split(',')).enumerate();
        let wanted = ranges.filter_map(|(n, range)| {
            let mut parts = range.split(';').map(|it| it.trim().to_ascii_lowercase());
            let essence = parts.next()?;
            let quality = parts.find_map(|it| it.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            let quality = (quality * 1000.0) as u32;
            (quality > 0 && kinds.contains(&essence.as_str())).then_some((quality, Reverse(n)))
        });
        wanted.max()
    }

    /// Whether the client names this type, or a wider text type than JSON, in the first place.
    pub(crate) fn prefers_text(&self) -> bool {
        let accept = self.headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
        accept.contains("text/plain") && !accept.contains("application/json")
    }

    /// Refuses what has no effect, where the client asked for it with `strict=true`.
    ///
    /// # Errors
    /// The warnings.
    pub(crate) fn check_strict(&self, warnings: &[Warning]) -> Result<(), Error> {
        if self.query.flag("strict", false)? {
            let problems = Problems::of_void(warnings);
            if !problems.is_empty() {
                return Err(problems.into());
            }
        }
        Ok(())
    }
}

/// A body's type without its parameters, in lower case.
fn essence(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or_default();
    Some(content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Refuses types that a page may send anywhere without asking first, also where no body is read. Command line clients
/// write one of them by themselves: it is let through where it cannot be a page's.
///
/// # Errors
/// It is one of them.
pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let is_refused = match essence(headers).as_deref() {
        Some("text/plain" | "multipart/form-data") => true,
        Some("application/x-www-form-urlencoded") => origin::is_of_page(headers),
        _ => false,
    };
    if is_refused { Err(Error::MediaType { details: JSON_IS_TAKEN }) } else { Ok(()) }
}

fn misshapen(error: &str) -> Error {
    let mut problems = Problems::default();
    problems.shape("/", error);
    problems.into()
}

/// A request's query, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query as forms write it.
    ///
    /// # Errors
    /// A percent sign without two digits behind it, bytes that are no UTF-8.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        // Forms put up with anything, and would read what is no UTF-8 as something else.
        decode(text)?;
        let pairs = form_urlencoded::parse(text.as_bytes());
        Ok(Self(
            pairs.map(|(name, value)| (name.strip_suffix("[]").unwrap_or(&name).to_owned(), value.into())).collect(),
        ))
    }

    /// Every value of a name that may stand more than once, also in the form `name[]`.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a name.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// A boolean, in any case; a name alone means true.
    ///
    /// # Errors
    /// Another word.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        match self.first(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true" | "") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(Error::Argument(format!("parameter '{name}' must be true or false, it is '{other}'"))),
        }
    }
}

/// Splits a path at its slashes and decodes each segment: once, so that all who look see the same.
///
/// A slash that is encoded is one within an id, of which clients encode every character, and none between the parts of
/// a route: `/v2/apps/%2Fa%2Fb` is the app `/a/b`, `/v2/apps/a%2Fversions` the app `/a/versions`.
/// Before an app's id empty segments are passed over (`/v2/apps//a` is what clients make of the id `/a`), at the end
/// one is.
///
/// # Errors
/// Whatever two readers might read differently, however it is written: `.` and `..`, empty segments within an id,
/// backslashes, and percent signs that are left after decoding, which a second reader would decode again.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, Error> {
    /// `v2` and the resource.
    const BEFORE_ID: usize = 2;
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = Vec::new();
    for part in path.split('/') {
        let mut segment = decode(part)?.into_owned();
        if segments.len() == BEFORE_ID {
            let slashes = segment.len() - segment.trim_start_matches('/').len();
            segment.drain(..slashes);
        }
        if !segment.is_empty() || segments.len() > BEFORE_ID {
            segments.push(segment);
        }
    }
    if let Some(last) = segments.last_mut().filter(|it| it.ends_with('/')) {
        last.pop();
    }
    segments.iter().try_for_each(|it| check_segment(it))?;
    Ok(segments)
}

/// Whether a decoded segment, which may have slashes of its own, can be read in one way only.
fn check_segment(segment: &str) -> Result<(), Error> {
    let bad = |what: &str| Err(Error::Bad(format!("the path must not contain {what}")));
    if segment.contains('\\') {
        return bad("a backslash");
    }
    if segment.contains('%') {
        return bad("'%25': it is decoded once");
    }
    if segment.split('/').any(str::is_empty) {
        return bad("'//' within an id");
    }
    if segment.split('/').any(|it| matches!(it, "." | "..")) {
        return bad("'.' or '..'");
    }
    Ok(())
}

fn decode(text: &str) -> Result<Cow<'_, str>, Error> {
    let malformed =
        || Error::Bad("the URI is not well encoded: '%' must stand before two hexadecimal digits of UTF-8".to_owned());
    let is_byte = |it: &str| it.as_bytes().get(..2).is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(is_byte) {
        return Err(malformed());
    }
    percent_decode_str(text).decode_utf8().map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_once() {
        for (path, expect) in [
            ("/v2/apps", Ok("v2|apps")),
            ("/v2/apps/", Ok("v2|apps")),
            ("//v2//apps//", Ok("v2|apps")),
            ("/v2/apps//a/b", Ok("v2|apps|a|b")),
            ("/v2/apps/a/", Ok("v2|apps|a")),
            ("/v2/apps/%61", Ok("v2|apps|a")),
            ("/v2/apps/a%00b", Ok("v2|apps|a\0b")),
            ("/v2/apps/a//b", Err(400)),
            ("/v2/apps/a/../b", Err(400)),
            ("/v2/apps/%2e%2e/b", Err(400)),
            ("/v2/apps/%2Fa%2Fb", Ok("v2|apps|a/b")),
            ("/v2/apps/%2fa%2fb/versions", Ok("v2|apps|a/b|versions")),
            ("/v2/apps/a%2Fb/c%2Fd", Ok("v2|apps|a/b|c/d")),
            ("/v2/apps/a%2F", Ok("v2|apps|a")),
            ("/v2/groups/%2F", Ok("v2|groups")),
            ("/v2/groups/%2F/versions", Ok("v2|groups|versions")),
            ("/v2%2Fapps/a", Ok("v2/apps|a")),
            ("/v2/apps/..%2F..%2Fetc", Err(400)),
            ("/v2/apps/%2F..%2Fetc", Err(400)),
            ("/v2/apps/a%2F..", Err(400)),
            ("/v2/apps/a%2F%2e%2E%2fb", Err(400)),
            ("/v2/apps/a%2F.%2Fb", Err(400)),
            ("/v2/apps/a%2F%2Fb", Err(400)),
            ("/v2/apps/a%2F/b", Err(400)),
            ("/v2/apps/a/%2Fb", Err(400)),
            ("/v2/apps/a%252Fb", Err(400)),
            ("/v2/apps/%252e%252e", Err(400)),
            ("/v2/apps/a%25", Err(400)),
            ("/v2/apps/a%5cb", Err(400)),
            ("/v2/apps/a\\b", Err(400)),
            ("/v2/apps/%ff%fe", Err(400)),
            ("/v2/apps/%", Err(400)),
            ("/v2/apps/%+1", Err(400)),
        ] {
            let found = segments(path).map(|it| it.join("|")).map_err(|it| it.answer().0.as_u16());
            assert_eq!(found, expect.map(str::to_owned), "{path}");
        }
    }

    #[test]
    fn queries_are_read_as_clients_write_them() {
        let query = Query::parse("force=True&embed=a&embed[]=b%20c&scale&x=y+z&bad=maybe").unwrap();
        assert!(query.flag("force", false).unwrap());
        assert!(query.flag("scale", false).unwrap());
        assert!(query.flag("absent", true).unwrap());
        assert!(query.flag("bad", true).is_err());
        assert_eq!(query.all("embed").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(query.first("x"), Some("y z"));
        assert!(Query::parse("a=%zz").is_err());
    }
}

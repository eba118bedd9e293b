//! Web pages that are not ours.
//!
//! Whoever runs a browser beside a member lends every page that he looks at a way to it: a page may send some
//! requests anywhere (a form, a `fetch` of a simple content type), and one whose own name is made to lead to this
//! machine (DNS rebinding) may send all. Clients of Marathon are no browsers: they send neither `Origin` nor
//! `Sec-Fetch-Site`, and are not held up. Of the others, `Hosts::check` refuses what changes something, or is a stream of
//! events, and comes from another origin; and of all, what calls this API by a name that could be anybody's.

use crate::error::Error;
use http::{HeaderMap, Method, Uri, header};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Says where a request comes from, in browsers' words.
const SITE: &str = "sec-fetch-site";

/// Names that end so lead where one's own network says: nobody can have one in the internet.
const PRIVATE: &[&str] = &[
    "consul",
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localhost",
    "mesos",
    "private",
    "test",
];

/// By which names this API may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Where this member and the others are reached.
    own: BTreeSet<String>,
    /// What the operator allows beside them, also as the origin of pages.
    allowed: Vec<Place>,
}

/// A host, and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// In small letters, an IPv6 address in brackets; `*.` before a name stands for all below it.
    host: String,
    port: Option<u16>,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
            _ => (text.as_str(), None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let inner = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '_');
        let is_name = host.strip_prefix("*.").unwrap_or(host).chars().all(inner);
        let is_address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).is_some_and(is_ip);
        (!host.is_empty() && (is_name || is_address)).then(|| Self { host: host.to_owned(), port })
    }

    fn is_host(&self, host: &str) -> bool {
        match self.host.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => self.host == host,
        }
    }
}

fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Whether an operator may allow this: a name, `*.` and a name, or an address; perhaps with a port.
pub fn is_host(text: &str) -> bool {
    Place::parse(text).is_some()
}

impl Hosts {
    /// `own`: where members are reached, with or without ports. `allowed`: what the operator allows beside them, each
    /// as [`is_host`] wants it.
    pub fn new<'a>(own: impl IntoIterator<Item = &'a str>, allowed: &[String]) -> Self {
        let own = own.into_iter().filter_map(Place::parse).map(|it| it.host).collect();
        Self { own, allowed: allowed.iter().filter_map(|it| Place::parse(it)).collect() }
    }

    /// Refuses what a page that is not ours may have sent. `is_stream`: it takes a place, though it changes nothing.
    ///
    /// # Errors
    /// 421 for a name that is not known, 403 for another origin.
    pub(crate) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap, is_stream: bool) -> Result<(), Error> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().map(|it| it.to_str().unwrap_or_default());
        if hosts.next().is_some() {
            return Err(Error::Bad("a request has one 'Host', not several".to_owned()));
        }
        // Where the target is a whole URL, that is whom it is for.
        let host = uri.authority().map(http::uri::Authority::as_str).or(host);
        let place = match host {
            // Older than browsers.
            None | Some("") => None,
            Some(host) => {
                let place = Place::parse(host).filter(|it| self.is_known(&it.host));
                Some(place.ok_or_else(|| Error::Misdirected { host: host.to_owned() })?)
            }
        };
        if method.is_safe() && !is_stream {
            return Ok(());
        }
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or("null");
            return if self.is_ours(origin, place.as_ref()) { Ok(()) } else { Err(foreign(origin)) };
        }
        match headers.get(SITE).map(|it| it.to_str().unwrap_or_default()) {
            // `none`: what the user typed, or had bookmarked.
            None | Some("same-origin" | "none") => Ok(()),
            Some(site) => Err(foreign(site)),
        }
    }

    /// Whether nobody but the operator can have made this name lead here.
    fn is_known(&self, host: &str) -> bool {
        let is_private = |name: &str| host == name || host.strip_suffix(name).is_some_and(|it| it.ends_with('.'));
        host.starts_with('[')
            || is_ip(host)
            || !host.contains('.')
            || PRIVATE.iter().any(|it| is_private(it))
            || self.own.contains(host)
            || self.allowed.iter().any(|it| it.is_host(host))
    }

    /// Whether pages of this origin are this API's own, or the operator's.
    fn is_ours(&self, origin: &str, called: Option<&Place>) -> bool {
        let Some((scheme, rest)) = origin.split_once("://") else { return false };
        let default = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let Some(page) = Place::parse(rest) else { return false };
        let port = page.port.unwrap_or(default);
        let is_same = called.is_some_and(|it| it.host == page.host && it.port.unwrap_or(default) == port);
        is_same || self.allowed.iter().any(|it| it.is_host(&page.host) && it.port.unwrap_or(default) == port)
    }
}

fn foreign(origin: &str) -> Error {
    Error::Foreign { origin: origin.chars().take(256).collect() }
}

/// Whether a browser sent it for a page.
pub(crate) fn is_of_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key(SITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(host: &str, method: &str, headers: &[(&str, &str)]) -> u16 {
        let allowed = ["ekiden.example".to_owned(), "*.ops.example:8443".to_owned()];
        let hosts = Hosts::new(["10.0.0.1:8080", "m1.pay.example:8080", "[2001:db8::1]:8080"], &allowed);
        let mut map = HeaderMap::new();
        for (name, value) in [("host", host)].iter().chain(headers).filter(|(_, it)| !it.is_empty()) {
            map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let uri = Uri::from_static("/v2/apps");
        match hosts.check(&method.parse().unwrap(), &uri, &map, false) {
            Ok(()) => 200,
            Err(error) => error.answer().0.as_u16(),
        }
    }

    #[test]
    fn an_api_is_called_by_names_that_are_its_own() {
        for (host, expect) in [
            ("", 200),
            ("127.0.0.1:8080", 200),
            ("10.9.8.7", 200),
            ("[::1]:8080", 200),
            ("localhost:8080", 200),
            ("LOCALHOST", 200),
            ("marathon", 200),
            ("ekiden.service.consul:8080", 200),
            ("leader.mesos", 200),
            ("m1.pay.example:8080", 200),
            ("M1.Pay.Example.:80", 200),
            ("ekiden.example", 200),
            ("a.b.ops.example", 200),
            ("ops.example", 421),
            ("evilops.example", 421),
            ("evil.example:8080", 421),
            ("127.0.0.1.evil.example", 421),
            ("localhost.evil.example", 421),
            ("consul.evil.example", 421),
            ("evilconsul.example", 421),
            ("evil.example:8080@127.0.0.1", 421),
            ("[evil.example]", 421),
            ("a b", 421),
        ] {
            for method in ["GET", "POST"] {
                assert_eq!(status(host, method, &[]), expect, "{method} at {host}");
            }
        }
        assert_eq!(status("localhost", "GET", &[("host", "localhost")]), 400, "two of them");
    }

    #[test]
    fn a_change_comes_from_our_own_pages_or_from_no_page() {
        type Case = (&'static str, &'static [(&'static str, &'static str)], u16);
        let table: &[Case] = &[
            ("127.0.0.1:8080", &[], 200),
            ("127.0.0.1:8080", &[("origin", "http://127.0.0.1:8080")], 200),
            ("127.0.0.1:8080", &[("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")], 200),
            ("127.0.0.1:8080", &[("sec-fetch-site", "none")], 200),
            ("127.0.0.1:8080", &[("sec-fetch-site", "cross-site")], 403),
            ("127.0.0.1:8080", &[("sec-fetch-site", "same-site")], 403),
            ("127.0.0.1:8080", &[("sec-fetch-site", "new-word")], 403),
            ("127.0.0.1:8080", &[("origin", "http://evil.example")], 403),
            ("127.0.0.1:8080", &[("origin", "null")], 403),
            ("127.0.0.1:8080", &[("origin", "http://127.0.0.1:9090")], 403),
            ("127.0.0.1:8080", &[("origin", "http://localhost:8080")], 403),
            ("127.0.0.1:8080", &[("origin", "file://")], 403),
            ("127.0.0.1:8080", &[("origin", "chrome-extension://127.0.0.1:8080")], 403),
            ("m1.pay.example:8080", &[("origin", "http://m1.pay.example:8080")], 200),
            ("m1.pay.example:8080", &[("origin", "http://m2.pay.example:8080")], 403),
            ("ekiden.example", &[("origin", "https://ekiden.example")], 200),
            ("ekiden.example", &[("origin", "http://ekiden.example")], 200),
            ("ekiden.example", &[("origin", "https://ekiden.example:444")], 403),
            // What stands before us says our own address.
            ("10.0.0.1:8080", &[("origin", "https://ekiden.example"), ("sec-fetch-site", "cross-site")], 200),
            ("10.0.0.1:8080", &[("origin", "https://x.ops.example:8443")], 200),
            ("10.0.0.1:8080", &[("origin", "https://x.ops.example")], 403),
        ];
        for (host, headers, expect) in table {
            for method in ["POST", "PUT", "PATCH", "DELETE", "BREW"] {
                assert_eq!(status(host, method, headers), *expect, "{method} at {host}: {headers:?}");
            }
            assert_eq!(status(host, "GET", headers), 200, "to look at, a page may lead here: {headers:?}");
        }
    }

    #[test]
    fn what_an_operator_may_allow_is_a_host() {
        for good in ["ekiden.example", "*.example", "10.0.0.1:8080", "[::1]", "[::1]:80", "a_b"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "*", "http://a", "a/b", "a:x", "a:70000", "[a]", "a b", "a*.b", "me@a"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}

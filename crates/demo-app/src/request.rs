//! As much of an HTTP request as the demo needs: its first line.

use std::io::{self, BufRead, Read};

/// No head may be longer; a longer one is an error.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// The method and target of a request; the rest is read and forgotten.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    query: String,
}

impl Request {
    /// Reads up to the end of the headers. `None` where the client sent nothing.
    pub(crate) fn read(input: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut input = input.take(HEAD_BYTES_MAX);
        let mut first = String::new();
        if input.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let mut words = first.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(malformed("no method and target in the first line"));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Self { method: method.to_owned(), path: path.to_owned(), query: query.to_owned() };

        let mut body_bytes = 0;
        let mut header = String::new();
        while input.read_line(&mut header)? > 0 {
            if header.trim_end().is_empty() {
                // Closing with a body unread would reset the connection under the answer.
                io::copy(&mut input.into_inner().take(body_bytes), &mut io::sink())?;
                return Ok(Some(request));
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                body_bytes = value.trim().parse().map_err(|_| malformed("Content-Length is no number"))?;
            }
            header.clear();
        }
        Err(malformed("the headers have no end"))
    }

    /// Returns the path with its query, as it was asked for.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// Returns the value of a query parameter, not decoded: the demo's are numbers.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_line_and_skips_the_headers() {
        let wire = "POST /burn?seconds=2&x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        let request = Request::read(&mut wire.as_bytes()).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/burn"));
        assert_eq!((request.query("seconds"), request.query("x"), request.query("y")), (Some("2"), Some("1"), None));
        assert_eq!(request.target(), "/burn?seconds=2&x=1");
    }

    #[test]
    fn the_body_is_read_to_its_end() {
        let mut wire = "POST /fail?on=1 HTTP/1.1\r\ncontent-length: 4\r\n\r\nbodyrest".as_bytes();
        assert!(Request::read(&mut wire).unwrap().is_some());
        assert_eq!(wire, b"rest");
    }

    #[test]
    fn nothing_sent_is_no_request_and_half_a_head_is_an_error() {
        assert!(Request::read(&mut "".as_bytes()).unwrap().is_none());
        assert!(Request::read(&mut "GET\r\n\r\n".as_bytes()).is_err());
        assert!(Request::read(&mut "GET / HTTP/1.1\r\nHost: a\r\n".as_bytes()).is_err());
    }
}

//! The least HTTP client: one request a connection, an answer read to its end.

use serde_json::Value;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No request of a test takes longer; a member may wait for a leader before it answers.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body of an answer that must be 200 or 201.
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert!(matches!(self.status, 200 | 201), "{self}");
        self.json()
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text())
    }
}

/// A request's bytes; the length of the body is added, and the type where it is JSON.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: ekiden\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !body.is_empty() || !matches!(method, "GET" | "HEAD") {
        head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    head += "\r\n";
    [head.as_bytes(), body].concat()
}

/// Sends a request on a connection of its own.
pub(crate) fn send(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
    let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
    exchange(address, &request(method, path, headers, body))
}

/// `GET` without a body.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    send(address, "GET", path, b"")
}

/// Sends bytes as they are and reads one answer.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    // A server may refuse a request before it has read it all; its answer counts.
    let sent = stream.write_all(request);
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if bytes.is_empty() => Err(sent.err().unwrap_or(error)),
        _ => read(&bytes, request.starts_with(b"HEAD ")),
    }
}

fn read(bytes: &[u8], is_head: bool) -> io::Result<Answer> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").ok_or_else(|| wrong("no end of the headers"))?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong("headers that are no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|it| it.get(9..12)?.parse().ok()).ok_or_else(|| wrong("no status"))?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<_> = headers.map(|(name, it)| (name.to_ascii_lowercase(), it.trim().to_owned())).collect();
    let answer = Answer { status, headers, body: bytes[end + 4..].to_vec() };
    if answer.header("transfer-encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked")) {
        let body = unchunk(&answer.body).ok_or_else(|| wrong("an answer that was cut"))?;
        return Ok(Answer { body, ..answer });
    }
    let length = answer.header("content-length").and_then(|it| it.parse::<usize>().ok());
    if !is_head && length.is_some_and(|it| it != answer.body.len()) {
        return Err(wrong("an answer that was cut"));
    }
    Ok(answer)
}

/// Puts the chunks together; nothing if the last one is missing.
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|it| it == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?.trim(), 16).ok()?;
        bytes = &bytes[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size + 2..)?;
    }
}

/// Writes a request and keeps the connection open, for answers that do not end.
pub(crate) fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    let mut all = vec![("accept", "text/event-stream")];
    all.extend(headers);
    stream.write_all(&request("GET", path, &all, b""))?;
    Ok(stream)
}

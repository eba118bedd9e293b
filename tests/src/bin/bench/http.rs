//! The least HTTP/1.1 that measures a server and not its client: one connection, one request at a time.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The body of an answer that came in chunks.
    body: Vec<u8>,
}

/// What came back; the body is in the connection until the next request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| address.to_string())?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096), body: Vec::new() })
    }

    /// Sends a request that [`request`] made, and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.read().await?;
            if let Some(at) = self.buffer.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let status = text.get(9..12).and_then(|it| it.parse().ok()).context("no status")?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let Some(length) = length else {
            if status == 204 || status == 304 {
                return Ok(Answer { status, body: &[] });
            }
            if text.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked\r\n") {
                self.chunks(head).await?;
                return Ok(Answer { status, body: &self.body });
            }
            bail!("an answer without a length: {text}")
        };
        self.buffer.reserve((head + length).saturating_sub(self.buffer.len()));
        while self.buffer.len() < head + length {
            self.read().await?;
        }
        Ok(Answer { status, body: &self.buffer[head..head + length] })
    }

    /// Reads the chunks behind the head into one body.
    async fn chunks(&mut self, head: usize) -> Result<()> {
        self.body.clear();
        self.buffer.drain(..head);
        self.buffer.reserve(256 * 1024);
        loop {
            let line = loop {
                if let Some(at) = self.buffer.windows(2).position(|it| it == b"\r\n") {
                    break at;
                }
                self.read().await?;
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.buffer[..line])?, 16)?;
            let (start, end) = (line + 2, line + 2 + size);
            while self.buffer.len() < end + 2 {
                self.read().await?;
            }
            self.body.extend_from_slice(&self.buffer[start..end]);
            self.buffer.drain(..end + 2);
            if size == 0 {
                return Ok(());
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let content = if body.is_empty() && method == "GET" {
        String::new()
    } else {
        format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nhost: bench\r\naccept: application/json\r\n{content}\r\n{body}").into_bytes()
}

/// One request on a connection of its own; the status, and the body as JSON where it is.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, Value)> {
    let exchange = async {
        let mut connection = Connection::open(address).await?;
        let answer = connection.exchange(&request(method, path, body)).await?;
        Ok((answer.status, serde_json::from_slice(answer.body).unwrap_or(Value::Null)))
    };
    tokio::time::timeout(Duration::from_secs(20), exchange).await.with_context(|| format!("{method} {path}"))?
}

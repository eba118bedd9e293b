//! Three members of etcd, and a client that does as little as can be asked of one: unary gRPC by hand on `h2`.

use crate::http;
use crate::load::Client;
use crate::process::{Process, Scratch, free_ports};
use anyhow::{Context as _, Result, bail};
use bytes::{BufMut as _, Bytes, BytesMut};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A cluster on loopback, with default settings and data on the real disk.
pub(crate) struct Etcd {
    pub(crate) members: Vec<Process>,
    /// Where the leader answers clients.
    pub(crate) leader: SocketAddr,
}

impl Etcd {
    /// Starts three members and waits until one leads.
    pub(crate) async fn start(scratch: &Scratch) -> Result<Self> {
        let ports: [u16; 6] = free_ports()?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let cluster: Vec<_> = (0..3).map(|n| format!("e{n}={}", url(ports[3 + n]))).collect();
        let cluster = cluster.join(",");
        let mut members = Vec::new();
        for n in 0..3 {
            let dir = scratch.fresh(&format!("etcd-{n}"))?;
            let (client, peer) = (url(ports[n]), url(ports[3 + n]));
            let name = format!("e{n}");
            let mut command = vec!["etcd", "--name", &name, "--data-dir", dir.to_str().context("a path in UTF-8")?];
            command.extend(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            command.extend(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
            command.extend(["--initial-cluster", &cluster, "--initial-cluster-token", "bench"]);
            command.extend(["--logger", "zap", "--log-level", "error"]);
            members.push(Process::start(&command, &[], &scratch.file(&format!("etcd-{n}.log")))?);
        }
        let start = Instant::now();
        loop {
            for member in &mut members {
                member.check()?;
            }
            for port in &ports[..3] {
                let address = SocketAddr::from(([127, 0, 0, 1], *port));
                let Ok((200, status)) = http::ask(address, "POST", "/v3/maintenance/status", "{}").await else {
                    continue;
                };
                if status["leader"].is_string() && status["leader"] == status["header"]["member_id"] {
                    return Ok(Self { members, leader: address });
                }
            }
            if start.elapsed() > Duration::from_secs(30) {
                bail!("etcd finds no leader");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// One client that puts one key again and again, over a connection of its own.
pub(crate) struct Putter {
    sender: h2::client::SendRequest<Bytes>,
    head: ::http::Request<()>,
    message: Bytes,
}

impl Putter {
    /// Connects; the value is of 256 bytes.
    pub(crate) async fn connect(address: SocketAddr, key: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = h2::client::handshake(stream).await?;
        // It ends when the last sender is dropped.
        tokio::spawn(connection);
        let head = ::http::Request::post(format!("http://{address}/etcdserverpb.KV/Put"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        Ok(Self { sender, head, message: put_request(key.as_bytes(), &[b'v'; 256]) })
    }
}

impl Client for Putter {
    async fn once(&mut self) -> Result<()> {
        std::future::poll_fn(|cx| self.sender.poll_ready(cx)).await?;
        let (response, mut stream) = self.sender.send_request(self.head.clone(), false)?;
        stream.send_data(self.message.clone(), true)?;
        let response = response.await?;
        let mut code = response.headers().get("grpc-status").cloned();
        let mut body = response.into_body();
        while let Some(chunk) = body.data().await {
            let length = chunk?.len();
            body.flow_control().release_capacity(length)?;
        }
        if let Some(trailers) = body.trailers().await? {
            code = trailers.get("grpc-status").cloned();
        }
        if code.as_ref().is_none_or(|it| it != "0") {
            bail!("etcd refuses a put: grpc-status {code:?}");
        }
        Ok(())
    }
}

/// A `PutRequest` (key is field 1, value field 2) behind gRPC's five bytes.
fn put_request(key: &[u8], value: &[u8]) -> Bytes {
    let mut message = BytesMut::new();
    for (tag, bytes) in [(0x0a, key), (0x12, value)] {
        message.put_u8(tag);
        varint(&mut message, bytes.len());
        message.put_slice(bytes);
    }
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(&message);
    framed.freeze()
}

fn varint(into: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        into.put_u8((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    into.put_u8(value as u8);
}

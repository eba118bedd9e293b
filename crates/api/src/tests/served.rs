//! Over real sockets: limits of the server, and members that pass requests on.

use super::world::{World, app};
use crate::control::Leadership;
use crate::metrics::HttpMetrics;
use crate::server::{Limits, serve};
use prometheus::Registry;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A world behind a socket of this machine.
pub(super) struct Served {
    pub(super) world: World,
    pub(super) address: SocketAddr,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub(super) async fn start(world: World, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let metrics = HttpMetrics::register(&Registry::new()).unwrap();
        let task = tokio::spawn(serve(listener, world.router.clone(), limits, metrics, shutdown.clone()));
        Self { world, address, shutdown, task }
    }

    pub(super) fn leads(&self) {
        let this_http = self.address.to_string();
        self.world.fake.set_leadership(Leadership { leading: true, leader_http: Some(this_http.clone()), this_http });
    }

    pub(super) fn follows(&self, leader: Option<String>) {
        let this_http = self.address.to_string();
        self.world.fake.set_leadership(Leadership { leading: false, leader_http: leader, this_http });
    }

    /// Sends bytes and reads until the server closes, or nothing comes for a second.
    pub(super) async fn exchange(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(Ok(n)) = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut chunk)).await {
        if n == 0 {
            break;
        }
        bytes.extend_from_slice(&chunk[..n]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")
}

pub(super) fn post(path: &str, body: &str, headers: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn a_slow_client_is_disconnected_and_an_idle_one_waits_longer() {
    let limits = Limits {
        head_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(900),
        ..Limits::default()
    };
    let served = Served::start(World::new(), limits).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET /ping HTTP/1.1\r\nHo").await.unwrap();
    let started = Instant::now();
    assert_eq!(slow.read(&mut [0; 64]).await.unwrap_or(0), 0, "closed without an answer");
    assert!(started.elapsed() < Duration::from_millis(800), "{:?}", started.elapsed());

    let mut idle = TcpStream::connect(served.address).await.unwrap();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        idle.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let n = idle.read(&mut [0; 2048]).await.unwrap();
        assert!(n > 0, "a connection is kept between requests");
    }
    let started = Instant::now();
    assert_eq!(idle.read(&mut [0; 64]).await.unwrap_or(0), 0);
    assert!(started.elapsed() > Duration::from_millis(600));
}

#[tokio::test]
async fn heads_and_connections_are_bounded() {
    let served = Served::start(World::new(), Limits { connections_per_address_max: 2, ..Limits::default() }).await;
    let many = "X: y\r\n".repeat(200);
    assert!(served.exchange(&get("/ping", &many)).await.starts_with("HTTP/1.1 431"));
    let long = format!("X: {}\r\n", "y".repeat(100_000));
    let answer = served.exchange(&get("/ping", &long)).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "closed, at the latest after its answer: {answer}"
    );
    assert!(served.exchange("nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));

    let mut first = TcpStream::connect(served.address).await.unwrap();
    let mut second = TcpStream::connect(served.address).await.unwrap();
    let third = served.exchange(&get("/ping", "")).await;
    assert!(third.starts_with("HTTP/1.1 200"), "{third}");
    assert_eq!(first.read(&mut [0; 64]).await.unwrap_or(0), 0, "the one that is idle for longest is closed for it");
    second.write_all(get("/ping", "").as_bytes()).await.unwrap();
    assert!(read_all(&mut second).await.starts_with("HTTP/1.1 200"), "the other one is not");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_disconnected() {
    let limits = Limits { write_timeout: Duration::from_millis(300), ..Limits::default() };
    let served = Served::start(World::new(), limits).await;
    for n in 0..80 {
        let mut body = app(&format!("/a{n}"), 0);
        body["env"] = serde_json::json!({ "A": "x".repeat(100_000), "B": "x".repeat(100_000) });
        assert_eq!(served.world.ask("POST /v2/apps", body).await.status, 201);
    }
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(get("/v2/apps", "").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let n = read_all(&mut stream).await.len();
    assert!(n < 16_000_000, "the answer is cut off: {n} bytes");
    let whole = served.exchange(&get("/v2/apps", "")).await.len();
    assert!(whole > 16_000_000, "one who reads gets all: {whole} bytes");
}

#[tokio::test]
async fn requests_under_way_finish_before_the_server_ends() {
    let served = Served::start(World::new(), Limits::default()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let body = app("/a", 0).to_string();
    let head = format!("POST /v2/apps HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!served.task.is_finished(), "it waits for the request");
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 201"));
    tokio::time::timeout(Duration::from_secs(5), served.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_stand_by_passes_requests_on() {
    let leader = Served::start(World::new(), Limits::default()).await;
    let follower = Served::start(World::new(), Limits::default()).await;
    leader.leads();
    follower.follows(Some(leader.address.to_string()));

    let answer = follower.exchange(&post("/v2/apps?strict=true", &app("/a", 0).to_string(), "")).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(answer.contains(&format!("x-marathon-via: 1.1 {}", follower.address)), "{answer}");
    assert!(answer.contains(&format!("x-marathon-leader: http://{}", leader.address)), "{answer}");
    assert!(answer.contains("location: http://x/v2/apps/a"), "the client's own host: {answer}");
    assert_eq!(leader.world.fake.state().n_apps(), 1);
    assert_eq!(follower.world.fake.state().n_apps(), 0);

    let events = follower.exchange(&get("/v2/events?event_type=x", "Accept: text/event-stream\r\n")).await;
    assert!(events.starts_with("HTTP/1.1 302"), "{events}");
    assert!(events.contains(&format!("location: http://{}/v2/events?event_type=x", leader.address)), "{events}");

    let head = follower.exchange(&get("/v2/apps", "").replace("GET", "HEAD")).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");

    for n in 0..20 {
        assert_eq!(leader.world.ask("POST /v2/apps", app(&format!("/b{n}"), 0)).await.status, 201);
    }
    let packed = follower.exchange(&get("/v2/apps", "Accept-Encoding: gzip\r\n")).await;
    assert_eq!(packed.matches("content-encoding: gzip").count(), 1, "as the leader made it: {packed}");

    let ping = follower.exchange(&get("/ping", "")).await;
    assert!(ping.starts_with("HTTP/1.1 200") && !ping.contains("x-marathon-via"), "{ping}");
    let refused = follower.exchange(&get("/v2/apps/none", "")).await;
    assert!(refused.starts_with("HTTP/1.1 404") && refused.contains("App '/none' does not exist"), "{refused}");
}

#[tokio::test]
async fn requests_that_cannot_be_passed_on_are_answered() {
    let one = Served::start(World::new(), Limits::default()).await;
    let other = Served::start(World::new(), Limits::default()).await;
    one.follows(Some(other.address.to_string()));
    other.follows(Some(one.address.to_string()));
    let looped = one.exchange(&get("/v2/apps", "")).await;
    assert!(looped.starts_with("HTTP/1.1 502") && looped.contains("Detected proxying loop."), "{looped}");

    one.follows(Some("127.0.0.1:1".to_owned()));
    let refused = one.exchange(&get("/v2/apps", "")).await;
    assert!(refused.starts_with("HTTP/1.1 502") && refused.contains("Connection to leader refused."), "{refused}");

    let mut stream = TcpStream::connect(one.address).await.unwrap();
    one.follows(None);
    stream.write_all(get("/v2/apps", "").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let unknown = read_all(&mut stream).await;
    assert!(
        unknown.starts_with("HTTP/1.1 502") && unknown.contains("Could not determine the current leader"),
        "{unknown}"
    );
}

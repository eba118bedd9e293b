//! Over real sockets: more strangers than there is room for, and faults in the middle of an answer.

use super::served::{Served, get, post};
use super::world::{World, app};
use crate::Config;
use crate::readers::ReadersMax;
use crate::server::Limits;
use crate::testing::Fake;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A small request that changes something, and one that asks.
async fn is_at_work(served: &Served, n: u32) {
    let ping = served.exchange(&get("/ping", "")).await;
    assert!(ping.starts_with("HTTP/1.1 200"), "{n}: {ping}");
    let written = served.exchange(&post("/v2/apps", &app(&format!("/w{n}"), 0).to_string(), "")).await;
    assert!(written.starts_with("HTTP/1.1 201"), "{n}: {written}");
}

async fn connect(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // One that was closed already for others takes no bytes.
    let _ = stream.write_all(text.as_bytes()).await;
    stream
}

#[tokio::test]
async fn a_full_house_is_still_at_work() {
    let limits = Limits { connections_max: 64, connections_per_address_max: 48, ..Limits::default() };
    let served = Served::start(World::new(), limits).await;
    let body = "POST /v2/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";
    for (n, text) in (0..).zip(["", "GET /ping HTTP/1.1\r\nHo", "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", body]) {
        let mut crowd = Vec::new();
        for _ in 0..200 {
            crowd.push(connect(served.address, text).await);
        }
        is_at_work(&served, n).await;
        assert_eq!(crowd.len(), 200);
    }
}

#[tokio::test]
async fn thousands_of_readers_leave_room_for_requests() {
    let readers_max = ReadersMax { all: 40, per_address: 20 };
    let world = World::with(Fake::new(), Config { readers_max, ..Config::default() });
    let served = Served::start(world, Limits { connections_max: 128, ..Limits::default() }).await;
    let ask = get("/v2/events", "Accept: text/event-stream\r\n");
    let (mut reading, mut refused) = (Vec::new(), 0);
    for _ in 0..1000 {
        let mut stream = connect(served.address, &ask).await;
        let mut head = [0; 4096];
        let n = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..n]).into_owned();
        if head.starts_with("HTTP/1.1 200") {
            reading.push(stream);
        } else {
            assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: "), "{head}");
            assert!(head.contains("too many readers of events"), "{head}");
            refused += 1;
        }
    }
    assert_eq!((reading.len(), refused), (20, 980));
    is_at_work(&served, 0).await;
    // Those who leave make room.
    drop(reading.split_off(10));
    for n in 1.. {
        is_at_work(&served, n).await;
        let mut stream = connect(served.address, &ask).await;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        if head == *b"HTTP/1.1 200" {
            break;
        }
        assert!(n < 100, "nobody was noticed to have left");
    }
}

#[tokio::test]
async fn the_reader_that_is_furthest_behind_makes_room() {
    let readers_max = ReadersMax { all: 2, per_address: 2 };
    let world = World::with(Fake::new(), Config { readers_max, ..Config::default() });
    let served = Served::start(world, Limits::default()).await;
    let ask = get("/v2/events", "Accept: text/event-stream\r\n");
    let mut lazy = connect(served.address, &ask).await;
    let mut busy = connect(served.address, &ask).await;
    let reading = tokio::spawn(async move {
        let (mut chunk, mut bytes) = (vec![0; 1 << 16], 0);
        while let Ok(n @ 1..) = busy.read(&mut chunk).await {
            bytes += n;
        }
        bytes
    });
    // More than sockets hold for one who takes nothing.
    for n in 0..100 {
        let mut body = app(&format!("/a{n}"), 0);
        body["env"] = serde_json::json!({ "A": "x".repeat(100_000), "B": "x".repeat(100_000) });
        assert_eq!(served.world.ask("POST /v2/apps", body).await.status, 201);
    }
    for n in 0.. {
        assert!(n < 1000, "nobody is found to be behind");
        let mut newcomer = connect(served.address, &ask).await;
        let mut head = [0; 12];
        newcomer.read_exact(&mut head).await.unwrap();
        if head == *b"HTTP/1.1 200" {
            break;
        }
        // The one that reads needs a moment for it, too.
        tokio::task::yield_now().await;
    }
    assert!(!reading.is_finished(), "the one that reads is left alone");
    let mut chunk = vec![0; 1 << 16];
    while let Ok(1..) = lazy.read(&mut chunk).await {}
}

#[tokio::test]
async fn long_bodies_that_do_not_arrive_keep_nobody_from_a_change() {
    let world = World::with(Fake::new(), Config { bodies_bytes_max: 8 << 20, ..Config::default() });
    let served = Served::start(world, Limits::default()).await;
    let (most, rest) = (3 << 20, 1 << 20);
    let head = format!("PUT /v2/groups HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", most + rest);
    let (mut held, mut refused) = (Vec::new(), 0);
    for _ in 0..20 {
        let mut stream = connect(served.address, &head).await;
        if stream.write_all(&vec![b' '; most]).await.is_err() {
            refused += 1;
            continue;
        }
        let mut answer = [0; 12];
        let answered = tokio::time::timeout(Duration::from_millis(100), stream.read_exact(&mut answer)).await;
        if answered.is_err() {
            held.push(stream);
            continue;
        }
        assert!(answer == *b"HTTP/1.1 503" || answer == [0; 12], "{}", String::from_utf8_lossy(&answer));
        refused += 1;
    }
    assert!(held.len() <= 2 && refused >= 18, "{} are held, {refused} refused", held.len());
    is_at_work(&served, 0).await;
    drop(held);
    for n in 1.. {
        let long = format!("{{{}}}", " ".repeat(3 << 20));
        let answer = served.exchange(&post("/v2/groups", &long, "")).await;
        if !answer.starts_with("HTTP/1.1 503") {
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
            break;
        }
        assert!(n < 100, "what was held is not given back");
    }
}

#[tokio::test]
async fn a_request_that_panics_is_answered_and_the_next_one_too() {
    let served = Served::start(World::new(), Limits::default()).await;
    let long = format!("{{{}\"id\":\"/g\"}}", " ".repeat(100_000));
    for request in [get("/v2/apps", ""), post("/v2/groups", &long, "")] {
        served.world.fake.panic_once();
        let answer = served.exchange(&request).await;
        assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("Internal Server Error"), "{answer}");
        is_at_work(&served, u32::try_from(request.len()).unwrap()).await;
    }
}

#[tokio::test]
async fn a_long_body_is_worked_on_by_a_thread_of_its_own() {
    #[derive(Debug, Default)]
    struct Threads(std::sync::Mutex<Vec<std::thread::ThreadId>>);
    impl crate::logging::Logging for Threads {
        fn levels(&self) -> std::collections::BTreeMap<String, String> {
            std::collections::BTreeMap::new()
        }
        fn set(&self, _: &str, _: crate::logging::Level, _: Option<Duration>) -> Result<(), String> {
            self.0.lock().unwrap().push(std::thread::current().id());
            Ok(())
        }
    }
    let threads = std::sync::Arc::new(Threads::default());
    let world = World::with(Fake::new(), Config { logging: Some(threads.clone()), ..Config::default() });
    for spaces in [0, 100_000] {
        let body = format!("{{{}\"logger\":\"x\",\"level\":\"info\"}}", " ".repeat(spaces));
        assert_eq!(world.send("POST /logging", &[("content-type", "application/json")], body).await.status, 200);
    }
    let here = std::thread::current().id();
    let seen: Vec<bool> = threads.0.lock().unwrap().iter().map(|it| *it == here).collect();
    assert_eq!(seen, [true, false], "whether it was this runtime's one worker");
}

#[tokio::test]
async fn only_members_are_believed_for_whom_they_ask() {
    let stranger = "X-Forwarded-For: 10.9.9.9\r\nX-Marathon-Via: 1.1 m2:8080\r\n";
    let is_asked_by = async |served: &Served, headers: &str| {
        served.leads();
        let mut events = connect(served.address, &get("/v2/events", "Accept: text/event-stream\r\n")).await;
        let body = app(&format!("/a{}", served.world.fake.state().n_apps()), 0).to_string();
        let answer = served.exchange(&post("/v2/apps", &body, headers)).await;
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        let mut told = String::new();
        let mut chunk = [0; 4096];
        while !told.contains("api_post_event") {
            let n = events.read(&mut chunk).await.unwrap();
            assert!(n > 0);
            told.push_str(&String::from_utf8_lossy(&chunk[..n]));
        }
        told.split("\"clientIp\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let served = Served::start(World::new(), Limits::default()).await;
    assert_eq!(is_asked_by(&served, stranger).await, "127.0.0.1");
    let members = vec!["127.0.0.1:1".to_owned()];
    let world = World::with(Fake::new(), Config { members, ..Config::default() });
    let leader = Served::start(world, Limits::default()).await;
    assert_eq!(is_asked_by(&leader, stranger).await, "10.9.9.9 via 127.0.0.1");
    assert_eq!(is_asked_by(&leader, "").await, "127.0.0.1");

    // A stand-by says who its client is, whatever that says.
    let follower = Served::start(World::new(), Limits::default()).await;
    follower.follows(Some(leader.address.to_string()));
    let mut events = connect(leader.address, &get("/v2/events", "Accept: text/event-stream\r\n")).await;
    let answer = follower.exchange(&post("/v2/apps", &app("/by-follower", 0).to_string(), stranger)).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let mut told = String::new();
    let mut chunk = [0; 4096];
    while !told.contains("api_post_event") {
        let n = events.read(&mut chunk).await.unwrap();
        told.push_str(&String::from_utf8_lossy(&chunk[..n]));
    }
    assert!(told.contains("\"clientIp\":\"127.0.0.1 via 127.0.0.1\""), "{told}");
}

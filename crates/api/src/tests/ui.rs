//! The web UI's files: what browsers get of them, and what stays as it was for everybody else.

use super::served::{Served, get};
use super::world::{Answer, World, app};
use crate::Config;
use crate::server::Limits;
use crate::testing::Fake;
use crate::ui::{Asset, PAGE};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
const PACKED: (&str, &str) = ("accept-encoding", "gzip, deflate, br");
const SCRIPT: &str = "console.log('a script of the UI');";
const TEXT: &str = "<!doctype html><title>Ekiden</title><script type=module src=/ui/assets/main-1a2b.js></script>";

fn pack(text: &str) -> &'static [u8] {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap().leak()
}

/// A program with a UI of two files.
fn built() -> World {
    let assets = vec![
        Asset { name: PAGE, hash: "0123456789abcdef", gzip: pack(TEXT) },
        Asset { name: "main-1a2b.js", hash: "fedcba9876543210", gzip: pack(SCRIPT) },
    ];
    World::with(Fake::new(), Config { ui: assets.leak(), ..Config::default() })
}

async fn see(world: &World, line: &str) -> Answer {
    world.send(line, &[BROWSER], "").await
}

#[tokio::test]
async fn browsers_get_the_page_at_every_address_of_the_ui() {
    let world = built();
    for line in ["GET /", "GET /ui", "GET /ui/", "GET /ui/apps", "GET /ui/app/pay/api", "GET /ui/nodes?view=table"] {
        let answer = see(&world, line).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, TEXT), "{line}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{line}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{line}");
    }
    assert_eq!(see(&world, "HEAD /").await.status, 200);
    assert_eq!(see(&world, "POST /ui/apps").await.status, 405);
}

#[tokio::test]
async fn others_get_what_they_got() {
    let world = built();
    for accept in ["*/*", "application/json", "text/plain", "application/json, */*;q=0.5"] {
        let answer = world.send("GET /", &[("accept", accept)], "").await;
        assert_eq!((answer.status, answer.header("location")), (302, "/ui/"), "{accept}");
    }
    for line in ["GET /none", "GET /v2", "GET /v2/none", "GET /v3/none", "GET /uix", "GET /apps"] {
        let answer = see(&world, line).await;
        assert_eq!((answer.status, answer.header("content-type")), (404, "application/json"), "{line}");
        assert!(answer.json()["message"].is_string(), "{line}: {}", answer.text);
    }
    assert_eq!(see(&world, "GET /help").await.header("content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn files_are_kept_for_good_and_the_page_is_asked_for_anew() {
    let world = built();
    let script = see(&world, "GET /ui/assets/main-1a2b.js").await;
    assert_eq!((script.status, script.text.as_str()), (200, SCRIPT));
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(script.headers.get("pragma").is_none() && script.headers.get("expires").is_none(), "{:?}", script.headers);

    for (line, hash) in [("GET /ui/", "0123456789abcdef"), ("GET /ui/assets/main-1a2b.js", "fedcba9876543210")] {
        let (headers, body) = world.bytes(line, &[BROWSER, PACKED]).await;
        assert_eq!(headers["content-encoding"], "gzip", "{line}");
        assert!(body.starts_with(&[0x1f, 0x8b]), "{line}: {body:?}");
        assert_eq!(headers["etag"], format!("W/\"{hash}\""), "{line}");
        for known in [format!("W/\"{hash}\""), format!("\"x\", \"{hash}\"")] {
            let again = world.send(line, &[BROWSER, ("if-none-match", known.as_str())], "").await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{line} {known}");
            assert_eq!(again.header("etag"), format!("W/\"{hash}\""), "{line}");
        }
        let other = world.send(line, &[BROWSER, ("if-none-match", "\"other\"")], "").await;
        assert_eq!(other.status, 200, "{line}");
    }
    // A path that climbs is refused before any route is looked for.
    for (missing, status) in [
        ("GET /ui/assets/main-0000.js", 404),
        ("GET /ui/assets/index.html", 404),
        ("GET /ui/assets/..%2Findex.html", 400),
    ] {
        let answer = see(&world, missing).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/json"), "{missing}");
    }
}

#[tokio::test]
async fn the_ui_runs_nothing_but_itself_and_in_nobodys_frame() {
    let world = built();
    for line in ["GET /", "GET /ui/apps", "GET /ui/assets/main-1a2b.js"] {
        let answer = see(&world, line).await;
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{line}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{line}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{line}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{line}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{line}");
    }
}

#[tokio::test]
async fn a_program_without_the_ui_says_how_it_gets_it() {
    let world = World::new();
    for line in ["GET /", "GET /ui/", "GET /ui/apps"] {
        let answer = see(&world, line).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"), "{line}");
        assert!(answer.text.contains("<code>make ui</code>"), "{line}: {}", answer.text);
        assert!(!answer.text.contains("<script") && !answer.text.contains("style="), "{}", answer.text);
    }
    assert_eq!(see(&world, "GET /ui/assets/main-1a2b.js").await.status, 404);
}

#[tokio::test]
async fn every_member_serves_the_ui_by_itself() {
    let served = Served::start(built(), Limits::default()).await;
    served.follows(None);
    let answer = served.exchange(&get("/", "Accept: text/html\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(TEXT), "{answer}");
}

#[tokio::test]
async fn writes_of_the_ui_pass_at_whatever_name_it_was_opened() {
    for (host, origin) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost:8080", "http://localhost:8080"),
        ("ekiden.internal", "https://ekiden.internal"),
    ] {
        let world = World::new();
        let headers = [
            ("origin", origin),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/json"),
            ("accept", "application/json"),
        ];
        // What the target names goes before the header `Host`.
        let line = format!("POST http://{host}/v2/apps");
        let answer = world.send(&line, &headers, app("/a", 1).to_string()).await;
        assert_eq!(answer.status, 201, "{origin}: {}", answer.text);
        world.fake.settle();
        let line = format!("DELETE http://{host}/v2/apps/a");
        assert_eq!(world.send(&line, &headers[..2], "").await.status, 200, "{origin}");
    }
}

#[tokio::test]
async fn a_page_reads_the_stream_of_events_of_its_own_member() {
    let leader = Served::start(World::new(), Limits::default()).await;
    let follower = Served::start(World::new(), Limits::default()).await;
    leader.leads();
    follower.follows(Some(leader.address.to_string()));
    let page = "Accept: text/event-stream\r\nSec-Fetch-Site: same-origin\r\n";
    let events = follower.exchange(&get("/v2/events", page)).await;
    assert!(events.starts_with("HTTP/1.1 200") && events.contains("event_stream_attached"), "{events}");
    let elsewhere = "Accept: text/event-stream\r\nSec-Fetch-Site: cross-site\r\n";
    assert!(follower.exchange(&get("/v2/events", elsewhere)).await.starts_with("HTTP/1.1 403"));
    let client = follower.exchange(&get("/v2/events", "Accept: text/event-stream\r\n")).await;
    assert!(client.starts_with("HTTP/1.1 302"), "clients of Marathon are sent there, as ever: {client}");
}

#[tokio::test]
async fn a_stream_that_is_passed_on_does_not_hold_up_a_members_end() {
    let leader = Served::start(World::new(), Limits::default()).await;
    let world = World::new();
    let end = world.shutdown.clone();
    let follower = Served::start(world, Limits::default()).await;
    leader.leads();
    follower.follows(Some(leader.address.to_string()));
    let page = "Accept: text/event-stream\r\nSec-Fetch-Site: same-origin\r\n";
    let request = get("/v2/events", page);
    let mut stream = TcpStream::connect(follower.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("event_stream_attached") {
        assert!(stream.read_buf(&mut text).await.unwrap() > 0, "{}", String::from_utf8_lossy(&text));
    }
    end.cancel();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await.unwrap().unwrap();
    assert!(text.ends_with(b"0\r\n\r\n"), "ended as streams end: {}", String::from_utf8_lossy(&text));
}

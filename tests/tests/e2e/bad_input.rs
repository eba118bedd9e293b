//! Requests that make no sense: each has its answer, and none leaves a trace.

use crate::harness::app::with;
use crate::harness::cluster::Cluster;
use crate::harness::{Dev, Tool, have, http, web};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Where a task would be, had it ever been.
const NO_TASK: &str = "/v2/apps/there/tasks/there.12345678-1234-8123-8123-123456789abc";

/// An app that asks for nothing.
fn idle(id: &str) -> Value {
    with(web(id, 0), json!({ "healthChecks": null }))
}

#[test]
fn every_request_that_makes_no_sense_has_its_answer() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    cluster.post("/v2/apps", &idle("/there"));
    cluster.no_deployments();
    let before = cluster.get("/v2/apps");

    let app = |fields: Value| with(idle("/a"), fields).to_string();
    let container = |fields: Value| app(json!({ "container": with(idle("/a")["container"].clone(), fields) }));
    let port = |it: Value| container(json!({ "portMappings": [it] }));
    let oversized = format!("{{\"id\":\"/a\",\"cmd\":\"{}\"}}", "x".repeat(20 << 20));
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let bad_apps = [
        ("an empty body", String::new(), 400),
        ("half an object", "{\"id\":".to_owned(), 400),
        ("no JSON", "id = /a".to_owned(), 400),
        ("two documents", "{}{}".to_owned(), 400),
        ("a bare NaN", "{\"cpus\":NaN}".to_owned(), 400),
        ("a duplicate key", "{\"id\":\"/a\",\"id\":\"/b\"}".to_owned(), 400),
        ("nesting without end", deep, 400),
        ("an oversized body", oversized, 413),
        ("an array for an object", "[]".to_owned(), 422),
        ("a text for an object", "\"/a\"".to_owned(), 422),
        ("no id", app(json!({ "id": null })), 422),
        ("a number as id", app(json!({ "id": 7 })), 422),
        ("an id in capitals", app(json!({ "id": "/A" })), 422),
        ("an id with a space", app(json!({ "id": "/a b" })), 422),
        ("an id that climbs out", app(json!({ "id": "/../.." })), 422),
        ("an id that is a route", app(json!({ "id": "/a/tasks" })), 422),
        ("a segment of 64 characters", app(json!({ "id": format!("/{}", "a".repeat(64)) })), 422),
        ("a text for a number", app(json!({ "instances": "three" })), 422),
        ("half an instance", app(json!({ "instances": 1.5 })), 422),
        ("less than no instance", app(json!({ "instances": -1 })), 422),
        ("less than no cpu", app(json!({ "cpus": -0.1 })), 422),
        ("more memory than there is", app(json!({ "mem": 1e300 })), 422),
        ("an array for labels", app(json!({ "labels": [] })), 422),
        ("a number in the environment", app(json!({ "env": { "A": [1] } })), 422),
        ("an object for an array", app(json!({ "healthChecks": {} })), 422),
        ("an unknown protocol", app(json!({ "healthChecks": [{ "protocol": "SMTP" }] })), 422),
        ("a check of a port that is not there", app(json!({ "healthChecks": [{ "portIndex": 7 }] })), 422),
        ("a share above 1", app(json!({ "upgradeStrategy": { "minimumHealthCapacity": 1.1 } })), 422),
        ("a constraint without operator", app(json!({ "constraints": [["hostname"]] })), 422),
        ("an unknown operator", app(json!({ "constraints": [["hostname", "NEAR", "x"]] })), 422),
        ("a broken pattern", app(json!({ "constraints": [["hostname", "LIKE", "("]] })), 422),
        ("a host port out of range", port(json!({ "containerPort": 8080, "hostPort": 65_536 })), 422),
        ("a host port below 0", port(json!({ "containerPort": 8080, "hostPort": -1 })), 422),
        ("a container port out of range", port(json!({ "containerPort": 70_000 })), 422),
        ("a port that is a text", port(json!({ "containerPort": "http" })), 422),
        (
            "two ports of one name",
            app(json!({ "container": with(idle("/a")["container"].clone(), json!({
            "portMappings": [{ "containerPort": 1, "name": "a" }, { "containerPort": 2, "name": "a" }],
        })) })),
            422,
        ),
        ("no image", container(json!({ "docker": {} })), 422),
        ("an empty image", container(json!({ "docker": { "image": "" } })), 422),
        ("what is not built yet", app(json!({ "residency": { "taskLostBehavior": "WAIT_FOREVER" } })), 422),
        ("secrets", app(json!({ "secrets": { "a": { "source": "b" } } })), 422),
        ("a NUL in a text", app(json!({ "labels": { "a": "\u{0}" } })), 422),
    ];
    for (what, body, status) in &bad_apps {
        refused(&cluster, what, "POST", "/v2/apps", body, *status);
    }
    for (what, method, path, body, status) in [
        ("an app that is there", "POST", "/v2/apps", &*idle("/there").to_string(), 409),
        ("an app that is not there", "GET", "/v2/apps/nowhere", "", 404),
        ("the tasks of no app", "GET", "/v2/apps/nowhere/tasks", "", 404),
        ("the versions of no app", "GET", "/v2/apps/nowhere/versions", "", 404),
        ("a version that never was", "GET", "/v2/apps/there/versions/2001-01-01T00:00:00.000Z", "", 404),
        ("a version that is none", "GET", "/v2/apps/there/versions/yesterday", "", 422),
        ("a change of no app", "PATCH", "/v2/apps/nowhere", "{\"instances\":1}", 404),
        ("a restart of no app", "POST", "/v2/apps/nowhere/restart", "", 404),
        ("the removal of no app", "DELETE", "/v2/apps/nowhere", "", 404),
        ("an id that is another", "PUT", "/v2/apps/there", "{\"id\":\"/other\"}", 422),
        ("a task id that is none", "DELETE", "/v2/apps/there/tasks/there.nobody", "", 400),
        ("a task that is not there", "DELETE", NO_TASK, "", 404),
        ("scale and wipe", "DELETE", "/v2/apps/there/tasks?scale=true&wipe=true", "", 400),
        ("a flag that is none", "DELETE", "/v2/apps/there?force=perhaps", "", 422),
        ("a deployment that is not there", "DELETE", "/v2/deployments/none", "", 404),
        ("a label selector that is none", "GET", "/v2/apps?label=%3D%3D", "", 422),
        ("an object for an array", "PUT", "/v2/apps", "{}", 422),
        ("an array with a hole", "PUT", "/v2/apps", "[null]", 422),
        ("ids that are no list", "POST", "/v2/tasks/delete", "{\"ids\":\"x\"}", 422),
        ("an unknown path", "GET", "/v2/nothing", "", 404),
        ("another unknown path", "GET", "/favicon.ico", "", 404),
        ("a method that is not for this path", "DELETE", "/v2/apps", "", 405),
        ("a method that nobody knows", "BREW", "/v2/apps", "", 405),
        ("a path that climbs out", "GET", "/v2/apps/../../etc/passwd", "", 400),
        ("a percent sign alone", "GET", "/v2/apps/%", "", 400),
        ("bytes that are no text", "GET", "/v2/apps/%ff%fe", "", 400),
    ] {
        refused(&cluster, what, method, path, body, status);
    }
    for (what, bytes) in [
        ("no HTTP at all", &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..]),
        ("a request line that is none", b"GET\r\n\r\n"),
        ("a length that is a lie", b"POST /v2/apps HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n{}"),
        ("two lengths", b"POST /v2/apps HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
        ("a client that goes away", b"POST /v2/apps HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"id\""),
    ] {
        raw(&cluster, what, bytes);
    }
    let media = http::request("POST", "/v2/apps", &[("content-type", "text/xml")], b"<app/>");
    assert_eq!(http::exchange(cluster.http, &media).expect("an answer").status, 415);

    assert_eq!(cluster.get("/v2/apps"), before, "nothing is left of it");
    assert!(!dev.said().contains("panicked"), "{}", dev.said());
}

/// The answer has the status, a sentence, and for a bad app the places where it is bad; and the server goes on.
#[track_caller]
fn refused(cluster: &Cluster, what: &str, method: &str, path: &str, body: &str, status: u16) {
    let answer = http::send(cluster.http, method, path, body.as_bytes());
    let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(answer.status, status, "{what}: {answer}");
    let said = answer.json();
    assert!(said["message"].as_str().is_some_and(|it| !it.is_empty()), "{what}: {answer}");
    if let Some(details) = said["details"].as_array() {
        let is_told = |it: &Value| it["path"].is_string() && it["errors"].as_array().is_some_and(|it| !it.is_empty());
        assert!(!details.is_empty() && details.iter().all(is_told), "{what}: {answer}");
    }
    assert_eq!(http::get(cluster.http, "/ping").expect("the server goes on").status, 200, "after {what}");
}

/// Bytes that are no request may be answered with 400 or with nothing.
#[track_caller]
fn raw(cluster: &Cluster, what: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(cluster.http).expect("the server listens");
    stream.write_all(bytes).expect("the server reads");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let first = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    assert!(first.is_empty() || first.starts_with("HTTP/1.1 4"), "{what}: {first}");
    assert_eq!(http::get(cluster.http, "/ping").expect("the server goes on").status, 200, "after {what}");
}

//! Requests that a browser sends for a page that is not ours; and those of everybody else, which go on as they did.

use super::world::{World, app};
use crate::Config;
use crate::origin::Hosts;
use crate::testing::Fake;
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

type Headers = &'static [(&'static str, &'static str)];

const JSON: (&str, &str) = ("content-type", "application/json");
const FOREIGN: (&str, &str) = ("origin", "https://evil.example");
const OWN: (&str, &str) = ("origin", "http://ekiden:8080");

/// Every kind of request that changes something, on what is there.
async fn changes(world: &World) -> Vec<(String, Value)> {
    world.run(app("/a", 1)).await;
    let task = world.tasks("/a").await.remove(0);
    vec![
        ("POST /v2/apps".to_owned(), app("/b", 1)),
        ("PUT /v2/apps/b".to_owned(), app("/b", 1)),
        ("PUT /v2/apps".to_owned(), json!([app("/b", 1)])),
        ("PATCH /v2/apps/a".to_owned(), json!({ "instances": 2 })),
        ("POST /v2/apps/a/restart".to_owned(), Value::Null),
        ("DELETE /v2/apps/a".to_owned(), Value::Null),
        ("POST /v2/groups".to_owned(), json!({ "id": "/g" })),
        ("DELETE /v2/groups".to_owned(), Value::Null),
        ("POST /v2/tasks/delete".to_owned(), json!({ "ids": [task] })),
        ("DELETE /v2/apps/a/tasks".to_owned(), Value::Null),
        ("DELETE /v2/queue/a/delay".to_owned(), Value::Null),
        ("DELETE /v2/leader".to_owned(), Value::Null),
        ("POST /v2/eventSubscriptions?callbackUrl=http://a/".to_owned(), Value::Null),
    ]
}

fn text(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

#[tokio::test]
async fn a_page_from_elsewhere_changes_nothing() {
    let world = World::new();
    for (line, body) in changes(&world).await {
        let before = world.fake.state().index();
        let table: &[(Headers, u16)] = &[
            (&[FOREIGN], 403),
            (&[FOREIGN, JSON], 403),
            (&[FOREIGN, ("content-type", "text/plain")], 403),
            (&[("origin", "null"), JSON], 403),
            (&[("sec-fetch-site", "cross-site"), JSON], 403),
            (&[("sec-fetch-site", "same-site"), JSON], 403),
            (&[("content-type", "text/plain")], 415),
            (&[("content-type", "Text/Plain; charset=utf-8")], 415),
            (&[("content-type", "multipart/form-data; boundary=x")], 415),
            (&[OWN, ("content-type", "application/x-www-form-urlencoded")], 415),
            (&[("host", "evil.example:8080"), JSON], 400),
        ];
        for (headers, expect) in table {
            let answer = world.send(&line, headers, text(&body)).await;
            assert_eq!(answer.status, *expect, "{line} {headers:?}: {}", answer.text);
            assert_eq!(world.fake.state().index(), before, "{line} {headers:?} changed something");
        }
    }
}

#[tokio::test]
async fn a_body_from_a_page_says_what_it_is() {
    let world = World::new();
    let body = app("/b", 1).to_string();
    for headers in [&[OWN][..], &[("sec-fetch-site", "same-origin")], &[OWN, ("content-type", "")]] {
        let answer = world.send("POST /v2/apps", headers, body.clone()).await;
        assert_eq!(answer.status, 415, "{headers:?}: {}", answer.text);
    }
    assert_eq!(world.fake.state().n_apps(), 0);
}

#[tokio::test]
async fn our_own_pages_and_clients_that_are_no_browsers_go_on() {
    let table: &[Headers] = &[
        &[JSON],
        &[],
        &[("content-type", "application/json; charset=utf-8"), ("user-agent", "Mozilla/5.0")],
        &[OWN, JSON],
        &[OWN, JSON, ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
        &[JSON, ("sec-fetch-site", "none")],
    ];
    for headers in table {
        let world = World::new();
        for (line, body) in changes(&world).await {
            let answer = world.send(&line, headers, text(&body)).await;
            // What is not allowed or not there for other reasons is said as ever.
            let refused = [415, 421].contains(&answer.status) || answer.text.contains("a page from elsewhere");
            assert!(!refused, "{line} {headers:?}: {}", answer.text);
        }
    }
    // `curl -X POST -d ''` names a type by itself.
    let world = World::new();
    world.run(app("/a", 1)).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(world.send("POST /v2/apps/a/restart", &[form], "").await.status, 200);
}

#[tokio::test]
async fn the_api_is_called_by_a_name_that_it_has() {
    let hosts = Hosts::new(["m1.pay.example:8080"], &["ekiden.example".to_owned()]);
    let world = World::with(Fake::new(), Config { hosts, ..Config::default() });
    let ask = async |host: &str, path: &str| {
        let request = Request::builder().uri(path).header("host", host).body(Body::empty()).unwrap();
        world.router.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    for path in ["/v2/apps", "/ping", "/metrics", "/v2/events", "/"] {
        assert_eq!(ask("evil.example:8080", path).await, 421, "{path}");
        for host in
            ["127.0.0.1:8080", "[::1]:8080", "marathon", "ekiden.service.consul", "m1.pay.example:80", "ekiden.example"]
        {
            let status = ask(host, path).await;
            assert!([200, 302].contains(&status), "{path} at {host}: {status}");
        }
    }
}

#[tokio::test]
async fn a_page_from_elsewhere_may_lead_to_us_and_cannot_read_along() {
    let world = World::new();
    let from_there = [FOREIGN, ("sec-fetch-site", "cross-site")];
    let (status, headers) = world.head("GET /v2/apps", &from_there).await;
    assert_eq!((status, headers.get("access-control-allow-origin")), (200, None));
    assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
    assert_eq!(world.head("GET /v2/events", &from_there).await.0, 403, "a stream would take a place");
    let preflight = world.send("OPTIONS /v2/apps", &[FOREIGN, ("access-control-request-method", "PUT")], "").await;
    assert_eq!(preflight.status, 405);
    assert!(preflight.headers.get("access-control-allow-methods").is_none());
}

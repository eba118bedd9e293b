//! Events that are posted to those who asked for it.

use super::world::{World, app};
use crate::Config;
use crate::testing::Fake;
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A callback: where it is, and what it was sent.
async fn callback(status: u16) -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = mpsc::unbounded_channel();
    let router = Router::new().fallback(move |request: Request<Body>| {
        let sender = sender.clone();
        async move {
            assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/hook"));
            assert_eq!(request.headers()["content-type"], "application/json");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let _ = sender.send(serde_json::from_slice(&body).unwrap());
            let location = "http://127.0.0.1:1/elsewhere";
            Response::builder().status(status).header("location", location).body(Body::empty()).unwrap()
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (place, receiver)
}

fn world(places: &[&str]) -> World {
    let event_callbacks = places.iter().map(|&it| it.to_owned()).collect();
    World::with(Fake::new(), Config { event_callbacks, ..Config::default() })
}

/// What is posted up to and with an event of this type.
async fn posted(receiver: &mut mpsc::UnboundedReceiver<Value>, through: &str) -> Vec<String> {
    let mut names = Vec::new();
    while names.last().is_none_or(|it| it != through) {
        let event = tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await.expect("in time").unwrap();
        assert!(event["timestamp"].is_string(), "{event}");
        names.push(event["eventType"].as_str().unwrap().to_owned());
    }
    names
}

async fn urls(world: &World) -> Value {
    world.ask("GET /v2/eventSubscriptions", Value::Null).await.json()["callbackUrls"].clone()
}

#[tokio::test]
async fn subscribers_are_told_and_a_broken_one_holds_up_nobody() {
    let (good, mut told) = callback(200).await;
    let (bad, mut asked) = callback(302).await;
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_place = silent.local_addr().unwrap().to_string();
    let world = world(&[&good, &bad, &silent_place, "127.0.0.1:1"]);
    assert_eq!(urls(&world).await, json!([]));
    for place in [&silent_place, &bad, "127.0.0.1:1", &good, &good] {
        let line = format!("POST /v2/eventSubscriptions?callbackUrl=http%3A%2F%2F{place}/hook");
        let added = world.ask(&line, Value::Null).await;
        assert_eq!(added.status, 200, "{}", added.text);
        let body = added.json();
        assert_eq!((&body["eventType"], &body["clientIp"]), (&json!("subscribe_event"), &json!("unknown")));
        assert_eq!(body["callbackUrl"], format!("http://{place}/hook"));
    }
    assert_eq!(urls(&world).await.as_array().unwrap().len(), 4, "the same one twice is one");

    world.ask("POST /v2/apps", app("/a", 0)).await;
    let names = posted(&mut told, "deployment_info").await;
    assert!(names.contains(&"api_post_event".to_owned()), "{names:?}");
    let names = posted(&mut asked, "deployment_info").await;
    assert!(names.contains(&"api_post_event".to_owned()), "it is asked again, and not sent elsewhere: {names:?}");

    let line = format!("DELETE /v2/eventSubscriptions?callbackUrl=http://{bad}/hook");
    let removed = world.ask(&line, Value::Null).await;
    assert_eq!((removed.status, &removed.json()["eventType"]), (200, &json!("unsubscribe_event")));
    posted(&mut told, "unsubscribe_event").await;
    assert_eq!(urls(&world).await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn nothing_is_called_that_the_operator_has_not_named() {
    let world = world(&["hooks.example:8080"]);
    for (url, status) in [
        ("http://127.0.0.1:8080/", 403),
        ("http://169.254.169.254/latest", 403),
        ("http://hooks.example/", 403),
        ("https://hooks.example:8080/", 422),
        ("file:///etc/passwd", 422),
        ("nonsense", 422),
        ("", 422),
    ] {
        let refused = world.ask(&format!("POST /v2/eventSubscriptions?callbackUrl={url}"), Value::Null).await;
        assert_eq!(refused.status, status, "{url}: {}", refused.text);
        if status == 403 {
            assert!(refused.text.contains("event_callbacks"), "it says what to do: {}", refused.text);
        }
    }
    assert_eq!(world.ask("DELETE /v2/eventSubscriptions", Value::Null).await.status, 422);
    assert_eq!(urls(&world).await, json!([]));
}

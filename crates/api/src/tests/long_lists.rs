//! Long answers come in many chunks, whole and in order, and each app is printed once.

use super::world::{World, app};
use axum::body::Body;
use cluster::{Command, Expect, Principal};
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

const N_APPS: usize = 3_000;
/// What is printed before a chunk is full, and one item more.
const CHUNK_BYTES_MAX: usize = 80 * 1024;

/// A cluster with many apps in two levels of groups.
fn large() -> World {
    let world = World::new();
    for node in 0..40 {
        world.fake.add_node(&format!("large{node}"), 64, 65_536);
    }
    let settings = cluster::Settings::default();
    let apps: Vec<_> = (0..N_APPS)
        .map(|n| {
            let id = cluster::AppId::parse(&format!("/g{}/h{}/app{n}", n % 7, n % 5)).unwrap();
            let definition = app(id.as_str(), 1).as_object().unwrap().clone();
            (crate::from_wire::app(&id, &definition, &settings).unwrap().0, Expect::Any)
        })
        .collect();
    world.fake.apply(Principal::Leader, Command::PutApps { apps, force: false }).unwrap();
    world.fake.plan();
    world
}

/// The chunks of an answer.
async fn chunks(world: &World, uri: &str) -> Vec<Vec<u8>> {
    let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let mut body = response.into_body();
    let mut chunks = Vec::new();
    while let Some(frame) = body.frame().await {
        chunks.push(frame.unwrap().into_data().unwrap().to_vec());
    }
    chunks
}

fn ids(group: &Value, found: &mut Vec<String>) {
    let list = |name: &str| group[name].as_array().cloned().unwrap_or_default();
    found.extend(list("tasks").iter().map(|it| it["id"].as_str().unwrap().to_owned()));
    found.extend(list("apps").iter().map(|it| it["id"].as_str().unwrap().to_owned()));
    for group in list("groups") {
        ids(&group, found);
    }
}

#[tokio::test]
async fn long_lists_come_in_chunks() {
    let world = large();
    let before = chunks(&world, "/v2/groups/g0?embed=group.pods").await;
    assert_eq!(before.len(), 1, "what is short comes whole");
    for uri in [
        "/v2/apps?embed=apps.tasks",
        "/v2/tasks",
        "/v2/groups?embed=group.groups&embed=group.apps&embed=group.apps.tasks&embed=group.apps.counts",
    ] {
        let chunks = chunks(&world, uri).await;
        let bytes: usize = chunks.iter().map(Vec::len).sum();
        assert!(bytes > 500_000, "{uri}: {bytes} bytes");
        assert!(chunks.len() > bytes / CHUNK_BYTES_MAX, "{uri}: {} chunks of {bytes} bytes", chunks.len());
        assert!(chunks.iter().all(|it| it.len() <= CHUNK_BYTES_MAX), "{uri}");
        let text = String::from_utf8(chunks.concat()).unwrap();
        super::raml::check_answer(&format!("GET {uri}"), 200, &text);
        let read: Value = serde_json::from_str(&text).unwrap();
        let mut found = Vec::new();
        ids(&read, &mut found);
        assert_eq!(found.len(), N_APPS, "{uri}");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), N_APPS, "{uri}: each once");
    }
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_printing() {
    let world = large();
    let request = Request::builder().uri("/v2/apps?embed=apps.tasks").body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"{\"apps\":["));
    drop(body);
    // What changes meanwhile does not change an answer under way: it is one snapshot.
    let request = Request::builder().uri("/v2/apps").body(Body::empty()).unwrap();
    let mut body = world.router.clone().oneshot(request).await.unwrap().into_body();
    let mut text = body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    assert_eq!(world.ask("DELETE /v2/groups?force=true", Value::Null).await.status, 200);
    while let Some(frame) = body.frame().await {
        text.extend(frame.unwrap().into_data().unwrap());
    }
    let read: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(read["apps"].as_array().unwrap().len(), N_APPS);
    assert_eq!(world.ask("GET /v2/apps", Value::Null).await.json(), json!({ "apps": [] }));
}

//! The stream of events.

use super::world::{World, app};
use crate::Config;
use crate::context::NOTICES_WAITING_MAX;
use crate::testing::Fake;
use axum::body::{Body, BodyDataStream};
use cluster::agent::Seen;
use cluster::{Command, End, EndKind, NodeId, Principal};
use futures::StreamExt;
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

/// An open stream.
struct Reader {
    body: BodyDataStream,
    text: String,
}

/// One event as it was sent.
#[derive(Debug)]
struct Sent {
    name: String,
    id: Option<String>,
    data: Value,
}

impl Reader {
    async fn open(world: &World, query: &str, last_event_id: Option<&str>) -> Self {
        let mut request = Request::get(format!("/v2/events{query}")).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream;charset=UTF-8");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event; comments and signs of life are passed over. `None` at the end of the stream.
    async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\r\n\r\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                let field =
                    |name: &str| block.lines().find_map(|it| it.strip_prefix(&format!("{name}: "))).map(str::to_owned);
                let Some(name) = field("event") else { continue };
                let data = serde_json::from_str(&field("data").unwrap()).unwrap();
                return Some(Sent { name, id: field("id"), data });
            }
            let chunk = tokio::time::timeout(Duration::from_secs(5), self.body.next()).await.expect("an event in time");
            self.text.push_str(std::str::from_utf8(&chunk?.unwrap()).unwrap());
        }
    }

    /// The next `n` events.
    async fn take(&mut self, n: usize) -> Vec<Sent> {
        let mut events = Vec::new();
        for _ in 0..n {
            events.push(self.next().await.expect("a stream that goes on"));
        }
        events
    }
}

fn names(events: &[Sent]) -> Vec<&str> {
    events.iter().map(|it| it.name.as_str()).collect()
}

#[tokio::test]
async fn the_life_of_an_app_is_told_in_marathons_words() {
    let world = World::new();
    let mut reader = Reader::open(&world, "", None).await;
    world.run(app("/pay/api", 1)).await;
    let events = reader.take(13).await;
    assert_eq!(
        names(&events),
        [
            "event_stream_attached",
            "api_post_event",
            "add_health_check_event",
            "group_change_success",
            "deployment_info",
            "status_update_event",
            "instance_changed_event",
            "status_update_event",
            "instance_changed_event",
            "health_status_changed_event",
            "instance_health_changed_event",
            "deployment_step_success",
            "deployment_success",
        ]
    );
    for event in &events {
        assert_eq!(event.data["eventType"], json!(event.name));
        assert!(crate::time::parse(event.data["timestamp"].as_str().unwrap()).is_some());
        assert!(!event.data.to_string().contains("null"), "{event:?}");
    }
    let [attached, post, check, group, info, staged, _, running, changed, health, ..] = &events[..] else {
        unreachable!()
    };
    assert_eq!(attached.data["remoteAddress"], "unknown");
    assert_eq!(
        (&post.data["uri"], &post.data["appDefinition"]["id"]),
        (&json!("/v2/apps/pay/api"), &json!("/pay/api"))
    );
    assert_eq!(check.data["healthCheck"]["path"], "/health");
    assert_eq!(group.data["groupId"], "/pay");
    let plan = &info.data["plan"];
    assert_eq!(plan["original"]["apps"], json!([]));
    assert_eq!(plan["target"]["id"], "/");
    assert_eq!(plan["steps"][0]["actions"][0]["action"], "StartApplication");
    assert_eq!(info.data["currentStep"], json!({ "actions": [{ "action": "ScaleApplication", "app": "/pay/api" }] }));
    assert_eq!(
        (&staged.data["taskStatus"], &running.data["taskStatus"]),
        (&json!("TASK_STAGING"), &json!("TASK_RUNNING"))
    );
    let id = running.data["taskId"].as_str().unwrap();
    assert!(id.starts_with("pay_api."));
    assert!(running.data["host"].as_str().unwrap().ends_with(".example"));
    assert_eq!(running.data["ipAddresses"][0]["ipAddress"], "172.17.0.2");
    assert_eq!(changed.data["condition"], "Running");
    assert_eq!((&health.data["alive"], &health.data["taskId"]), (&json!(true), &json!(id)));
    assert_eq!(health.data["instanceId"], json!(id.replace("pay_api.", "pay_api.marathon-")));
}

#[tokio::test]
async fn readers_choose_what_they_are_told() {
    let world = World::new();
    let mut reader =
        Reader::open(&world, "?event_type=deployment_info&event_type=deployment_success&plan-format=light", None).await;
    world.run(app("/a", 1)).await;
    let events = reader.take(2).await;
    assert_eq!(names(&events), ["deployment_info", "deployment_success"]);
    assert!(events[0].data["plan"].get("original").is_none());
    assert!(events.iter().all(|it| it.id.is_some()));
}

#[tokio::test]
async fn failures_and_kills_are_told() {
    let world = World::new();
    world.run(app("/a", 1)).await;
    let mut reader = Reader::open(&world, "", None).await;
    reader.take(1).await;
    let instance = world.fake.state().instances().next().unwrap().clone();
    world.fake.report(&instance, Fake::seen_running(false));
    let events = reader.take(3).await;
    assert_eq!(
        names(&events),
        ["failed_health_check_event", "health_status_changed_event", "instance_health_changed_event"]
    );
    assert_eq!(events[0].data["healthCheck"]["path"], "/health");
    assert_eq!(events[1].data["alive"], false);

    let end = End { kind: EndKind::Failed, exit_code: Some(1), message: "exited with code 1".to_owned() };
    world.fake.report(&instance, Seen::Ended(end));
    let events = reader.take(2).await;
    assert_eq!(events[0].data["taskStatus"], "TASK_FAILED");
    assert_eq!(events[0].data["message"], "exited with code 1");

    world.ask("DELETE /v2/apps/a", Value::Null).await;
    world.fake.settle();
    loop {
        let event = reader.next().await.unwrap();
        if event.name == "app_terminated_event" {
            assert_eq!(event.data["appId"], "/a");
            break;
        }
    }
}

#[tokio::test]
async fn the_loss_and_return_of_a_node_is_told_task_by_task() {
    let world = World::new();
    let mut body = app("/a", 2);
    body["unreachableStrategy"] = json!("disabled");
    body["constraints"] = json!([["hostname", "UNIQUE"]]);
    world.run(body).await;
    let mut reader = Reader::open(&world, "?event_type=status_update_event", None).await;
    let _ = world.fake.apply(Principal::Leader, Command::Lose { node: NodeId::new("n1") });
    let lost = reader.next().await.unwrap();
    assert_eq!((&lost.data["taskStatus"], &lost.data["slaveId"]), (&json!("TASK_UNREACHABLE"), &json!("n1")));
    world.fake.add_node("n1", 4, 4096);
    let back = reader.next().await.unwrap();
    assert_eq!((&back.data["taskStatus"], &back.data["taskId"]), (&json!("TASK_RUNNING"), &lost.data["taskId"]));
}

#[tokio::test]
async fn a_reader_goes_on_where_it_stopped() {
    let world = World::new();
    let mut reader = Reader::open(&world, "", None).await;
    world.run(app("/a", 1)).await;
    let all = reader.take(12).await;
    for (n, event) in all.iter().enumerate() {
        let Some(id) = &event.id else { continue };
        let mut resumed = Reader::open(&world, "", Some(id)).await;
        let rest = resumed.take(12 - n).await;
        assert_eq!(rest[0].name, "event_stream_attached");
        let expect: Vec<&str> = all[n + 1..].iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names(&rest[1..]), expect, "from {id}");
    }
    assert!(all[1..].iter().all(|it| it.id.is_some()), "all but its own attachment");
    let mut from_the_beginning = Reader::open(&world, "", Some("0-0-0")).await;
    assert_eq!(names(&from_the_beginning.take(12).await), names(&all), "`ekiden events` asks so");
}

#[tokio::test]
async fn all_readers_are_told_the_same_whenever_they_come_to_it() {
    let world = World::new();
    let mut body = app("/a", 2);
    body["unreachableStrategy"] = json!("disabled");
    world.run(body).await;
    let mut quick = Reader::open(&world, "?event_type=status_update_event", None).await;
    let mut slow = Reader::open(&world, "?event_type=status_update_event", None).await;
    let _ = world.fake.apply(Principal::Leader, Command::Lose { node: NodeId::new("n1") });
    let told = quick.next().await.unwrap();
    assert_eq!(told.data["host"], "n1.example");
    // Nobody could say any more where it was.
    world.fake.restore(cluster::State::new());
    let same = slow.next().await.unwrap();
    assert_eq!((same.id, same.data), (told.id, told.data));
}

#[tokio::test]
async fn what_is_missing_is_announced_to_those_who_asked_for_it() {
    let world = World::new();
    let mut reader = Reader::open(&world, "", None).await;
    world.run(app("/a", 1)).await;
    let first = reader.take(2).await.remove(1).id.unwrap();
    world.fake.forget_events();
    let mut resumed = Reader::open(&world, "", Some(&first)).await;
    let events = resumed.take(2).await;
    assert_eq!(names(&events), ["event_stream_attached", "reset"]);
    assert!(events[1].data["missingThrough"].as_u64().unwrap() > 3);
    for id in ["", "x", "../", "1", "1-0", "-1-0-0", "99999999999999999999-0-0"] {
        let headers = [("accept", "text/event-stream"), ("last-event-id", id)];
        let answer = world.send("GET /v2/events", &headers, "").await;
        assert_eq!(answer.status, 400, "{id:?}: {}", answer.text);
    }
    assert_eq!(world.send("GET /v2/events", &[("accept", "application/json")], "").await.status, 406);
}

#[tokio::test]
async fn a_slow_reader_is_disconnected() {
    let world = World::new();
    world.run(app("/a", 1)).await;
    let mut reader = Reader::open(&world, "", None).await;
    let instance = world.fake.state().instances().next().unwrap().clone();
    for n in 0..1500 {
        world.fake.report(&instance, Fake::seen_running(n % 2 == 1));
    }
    while reader.next().await.is_some() {}
    assert!(reader.text.is_empty() || reader.text.starts_with(':'), "{}", reader.text);
}

#[tokio::test]
async fn streams_end_with_the_server() {
    let world = World::new();
    let mut reader = Reader::open(&world, "", None).await;
    reader.take(1).await;
    world.shutdown.cancel();
    assert!(reader.next().await.is_none());
}

#[tokio::test]
async fn a_quiet_stream_gives_signs_of_life() {
    let config = Config { heartbeat: Duration::from_millis(50), ..Config::default() };
    let world = World::with(Fake::new(), config);
    let mut reader = Reader::open(&world, "?event_type=none", None).await;
    for _ in 0..3 {
        let chunk = tokio::time::timeout(Duration::from_secs(5), reader.body.next()).await.unwrap();
        assert_eq!(&chunk.unwrap().unwrap()[..], b"\r\n");
    }
}

#[tokio::test]
async fn readers_hear_of_each_other_and_of_health_checks() {
    let world = World::new();
    let mut first = Reader::open(&world, "", None).await;
    let second = Reader::open(&world, "?event_type=none", None).await;
    drop(second);
    assert_eq!(
        names(&first.take(3).await),
        ["event_stream_attached", "event_stream_attached", "event_stream_detached"]
    );
    drop(first);

    // One that is behind is told what is left, without waiting for something else to happen.
    let mut behind = Reader::open(&world, "", None).await;
    for _ in 0..NOTICES_WAITING_MAX {
        drop(Reader::open(&world, "", None).await);
    }
    assert_eq!(behind.take(1 + NOTICES_WAITING_MAX).await.len(), 1 + NOTICES_WAITING_MAX);
    drop(behind);

    let types = "?event_type=add_health_check_event&event_type=remove_health_check_event";
    let mut reader = Reader::open(&world, types, None).await;
    world.run(app("/a", 1)).await;
    world.ask("PUT /v2/apps/a", json!({ "labels": { "x": "y" } })).await;
    world.fake.settle();
    let put =
        world.ask("PUT /v2/apps/a", json!({ "healthChecks": [{ "path": "/other" }, { "protocol": "TCP" }] })).await;
    world.fake.settle();
    world.ask("PUT /v2/apps/a", json!({ "healthChecks": [] })).await;
    world.fake.settle();
    world.ask("PUT /v2/apps/a", json!({ "healthChecks": [{ "path": "/" }] })).await;
    world.fake.settle();
    world.ask("DELETE /v2/apps/a", Value::Null).await;
    let events = reader.take(7).await;
    let told: Vec<_> = events.iter().map(|it| (it.name.as_str(), it.data["healthCheck"]["path"].as_str())).collect();
    let (add, remove) = ("add_health_check_event", "remove_health_check_event");
    let expect = [
        (add, Some("/health")),
        (remove, None),
        (add, Some("/other")),
        (add, None),
        (remove, None),
        (add, Some("/")),
        (remove, None),
    ];
    assert_eq!(told, expect);
    assert_eq!(events[2].data["version"], put.json()["version"]);
    assert_eq!(events[6].data["appId"], "/a");
}

//! What a user sees of events.

use crate::fake::wire::*;
use crate::fake::{Fake, User, check};
use serde_json::json;
use std::time::Duration;

/// Events as a server sends them.
fn frames(events: &[(&str, &str, serde_json::Value)]) -> String {
    let frame = |(name, id, data): &(&str, &str, serde_json::Value)| {
        let id = if id.is_empty() { String::new() } else { format!("id: {id}\r\n") };
        format!("event: {name}\r\n{id}data: {data}\r\n\r\n")
    };
    events.iter().map(frame).collect::<String>() + "\r\n"
}

fn some_events() -> String {
    frames(&[
        (
            "event_stream_attached",
            "",
            json!({ "eventType": "event_stream_attached", "timestamp": V1, "remoteAddress": "x" }),
        ),
        ("reset", "3-9-0", json!({ "eventType": "reset", "timestamp": V1, "missingThrough": 3 })),
        (
            "api_post_event",
            "4-0-0",
            json!({ "eventType": "api_post_event", "timestamp": V1, "uri": "/v2/apps/demo/web", "appDefinition": { "id": "/demo/web" } }),
        ),
        (
            "status_update_event",
            "",
            json!({ "eventType": "status_update_event", "timestamp": V1, "appId": "/demo/web", "taskStatus": "TASK_FAILED", "host": "vm-1", "message": "exit code 1\u{1b}[2J" }),
        ),
        (
            "instance_changed_event",
            "5-1-0",
            json!({ "eventType": "instance_changed_event", "timestamp": V2, "runSpecId": "/demo/web", "condition": "Failed", "host": "vm-1" }),
        ),
        (
            "health_status_changed_event",
            "6-0-0",
            json!({ "eventType": "health_status_changed_event", "timestamp": V2, "appId": "/demo/web", "alive": false }),
        ),
        (
            "deployment_success",
            "7-0-0",
            json!({ "eventType": "deployment_success", "timestamp": V2, "id": ID, "plan": { "id": ID } }),
        ),
    ])
}

#[tokio::test]
async fn events_are_one_line_each() {
    let fake = Fake::new().on("GET /v2/events?plan-format=light", 200, some_events()).on(
        "GET /v2/events?event_type=a&event_type=b&plan-format=light",
        200,
        some_events(),
    );
    check(
        &fake.run("events").await,
        r"
-- stdout
11-21 05:19:52  api_post_event  /demo/web
11-21 05:19:52  status_update_event  /demo/web  TASK_FAILED  on vm-1  exit code 1\u{1b}[2J
11-21 05:24:40  instance_changed_event  /demo/web  Failed  on vm-1
11-21 05:24:40  health_status_changed_event  /demo/web  unhealthy
11-21 05:24:40  deployment_success  12345678-9abc-8000-8000-000010000000
-- stderr
older events are no longer kept
-- exit 0
",
    );
    check(
        &fake.run("events -o json --type a --type b --after 5-1-0").await,
        r#"
-- stdout
{"eventType":"api_post_event","timestamp":"2026-11-21T05:19:52.000Z","uri":"/v2/apps/demo/web","appDefinition":{"id":"/demo/web"}}
{"eventType":"status_update_event","timestamp":"2026-11-21T05:19:52.000Z","appId":"/demo/web","taskStatus":"TASK_FAILED","host":"vm-1","message":"exit code 1\u001b[2J"}
{"eventType":"instance_changed_event","timestamp":"2026-11-21T05:24:40.000Z","runSpecId":"/demo/web","condition":"Failed","host":"vm-1"}
{"eventType":"health_status_changed_event","timestamp":"2026-11-21T05:24:40.000Z","appId":"/demo/web","alive":false}
{"eventType":"deployment_success","timestamp":"2026-11-21T05:24:40.000Z","id":"12345678-9abc-8000-8000-000010000000","plan":{"id":"12345678-9abc-8000-8000-000010000000"}}
-- stderr
older events are no longer kept
-- exit 0
"#,
    );
    check(
        &fake.run("events -o wide").await,
        r"
-- stdout
4-0-0  2026-11-21T05:19:52.000Z  api_post_event  /demo/web
4-0-0  2026-11-21T05:19:52.000Z  status_update_event  /demo/web  TASK_FAILED  on vm-1  exit code 1\u{1b}[2J
5-1-0  2026-11-21T05:24:40.000Z  instance_changed_event  /demo/web  Failed  on vm-1
6-0-0  2026-11-21T05:24:40.000Z  health_status_changed_event  /demo/web  unhealthy
7-0-0  2026-11-21T05:24:40.000Z  deployment_success  12345678-9abc-8000-8000-000010000000
-- stderr
older events are no longer kept
-- exit 0
",
    );
    check(
        &fake.asked().join("\n"),
        "
GET /v2/events?plan-format=light behind 0-0-0
GET /v2/events?event_type=a&event_type=b&plan-format=light behind 5-1-0
GET /v2/events?plan-format=light behind 0-0-0",
    );
}

#[tokio::test]
async fn events_are_followed_over_the_end_of_a_stream() {
    let leader = Fake::new()
        .once("GET /v2/events?plan-format=light", 200, frames(&[("a", "4-0-0", json!({ "timestamp": V1, "id": "x" }))]))
        .once("GET /v2/events?plan-format=light", 503, json!({ "message": "no leader" }))
        .once("GET /v2/events?plan-format=light", 200, frames(&[("b", "5-0-0", json!({ "timestamp": V2, "id": "y" }))]))
        .on("GET /v2/events?plan-format=light", 200, "");
    let location = format!("location: {}/v2/events?plan-format=light", leader.url());
    let stand_by = Fake::new().with_header("GET /v2/events?plan-format=light", 302, &location, "");
    let user = User { interrupts_after: Some(Duration::from_millis(400)), ..User::default() };
    let seen = stand_by.run_as(&user, "events --follow -q").await;
    check(
        &seen,
        "
-- stdout
11-21 05:19:52  a  x
11-21 05:24:40  b  y
-- stderr
error: interrupted
-- exit 130
",
    );
    check(
        &leader.asked()[..4].join("\n"),
        "
GET /v2/events?plan-format=light
GET /v2/events?plan-format=light behind 4-0-0
GET /v2/events?plan-format=light behind 4-0-0
GET /v2/events?plan-format=light behind 5-0-0",
    );
}

#[tokio::test]
async fn what_is_remembered_ends_where_the_stream_falls_silent() {
    let events = frames(&[("a", "4-0-0", json!({ "timestamp": V1, "id": "x" }))]);
    let fake = Fake::new().with_header("GET /v2/events?plan-format=light", 200, "x-open: yes", events);
    check(
        &fake.run("events").await,
        "
-- stdout
11-21 05:19:52  a  x
-- exit 0
",
    );
}

#[tokio::test]
async fn events_need_a_server_that_has_them() {
    let fake =
        Fake::new().on("GET /v2/events?plan-format=light", 400, json!({ "message": "Last-Event-ID must be an id" }));
    check(
        &fake.run("events --after x").await,
        "
-- stderr
error: Last-Event-ID must be an id
  at: GET http://fake/v2/events?plan-format=light
-- exit 65
",
    );
    let user = User::default();
    let seen = user.run("http://127.0.0.1:1", "events -f").await;
    assert!(seen.contains("no server answers") && seen.ends_with("-- exit 69\n"), "{seen}");
}

//! Tasks: lists and kills.

use super::world::{World, app};
use serde_json::{Value, json};

#[tokio::test]
async fn tasks_are_listed_by_state() {
    let world = World::new();
    world.run(app("/a", 2)).await;
    world.ask("POST /v2/apps", app("/b", 1)).await;
    world.fake.plan();
    for (query, expect) in
        [("", 3), ("?status=running", 2), ("?status[]=staging", 1), ("?status=staging&status=running", 3)]
    {
        let body = world.ask(&format!("GET /v2/tasks{query}"), Value::Null).await.json();
        assert_eq!(body["tasks"].as_array().unwrap().len(), expect, "{query}");
    }
    assert_eq!(world.ask("GET /v2/tasks?status=odd", Value::Null).await.status, 422);
    assert_eq!(world.ask("GET /v2/apps/none/tasks", Value::Null).await.status, 404);
}

#[tokio::test]
async fn old_scripts_read_lines_of_text() {
    let world = World::new();
    let mut one = app("/pay/api", 1);
    one["constraints"] = json!([["hostname", "CLUSTER", "n1"]]);
    world.run(one).await;
    let portless = json!({
        "id": "/b", "portDefinitions": [], "cpus": 0.1, "mem": 16, "constraints": [["hostname", "IS", "n2"]],
        "container": { "docker": { "image": "x" } },
    });
    world.run(portless).await;
    let answer = world.send("GET /v2/tasks", &[("accept", "text/plain")], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain");
    let port = world.ask("GET /v2/tasks", Value::Null).await.json()["tasks"][1]["ports"][0].clone();
    assert_eq!(answer.text, format!("b\t \tn2.example\t\npay_api\t10000\tn1.example:{port}\t\n"));
    assert_eq!(world.send("GET /v2/tasks", &[("accept", "image/png")], "").await.status, 406);
}

#[tokio::test]
async fn killed_tasks_are_replaced() {
    let world = World::new();
    world.run(app("/a", 2)).await;
    let before = world.tasks("/a").await;
    let killed = world.ask("DELETE /v2/apps/a/tasks?scale=False", Value::Null).await;
    assert_eq!(killed.status, 200, "{}", killed.text);
    assert_eq!(killed.json()["tasks"].as_array().unwrap().len(), 2);
    let counts = world.ask("GET /v2/apps", Value::Null).await.json()["apps"][0].clone();
    assert_eq!((&counts["tasksRunning"], &counts["instances"]), (&json!(0), &json!(2)));
    let states = world.ask("GET /v2/tasks", Value::Null).await.json();
    assert!(states["tasks"].as_array().unwrap().iter().all(|it| it["state"] == "TASK_KILLING"));
    world.fake.settle();
    let after = world.tasks("/a").await;
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|it| !before.contains(it)));
}

#[tokio::test]
async fn one_task_is_killed_by_any_form_of_its_id() {
    let world = World::new();
    world.run(app("/pay/api", 2)).await;
    let task = world.tasks("/pay/api").await[0].clone();
    let line = format!("DELETE /v2/apps//pay/api/tasks/{task}");
    let killed = world.ask(&line, Value::Null).await;
    assert_eq!((killed.status, &killed.json()["task"]["id"]), (200, &json!(task)));
    world.fake.settle();
    assert_eq!(world.ask(&line, Value::Null).await.status, 404, "it is gone");

    let task = world.tasks("/pay/api").await[0].clone();
    let instance = task.replace("pay_api.", "pay_api.marathon-");
    let scaled = world.ask(&format!("DELETE /v2/apps/pay/api/tasks/{instance}?scale=true"), Value::Null).await;
    assert_eq!(scaled.status, 200, "{}", scaled.text);
    assert!(scaled.json()["deploymentId"].is_string());
    world.fake.settle();
    assert_eq!(world.ask("GET /v2/apps/pay/api", Value::Null).await.json()["app"]["instances"], 1);

    for (line, status, message) in [
        (format!("DELETE /v2/apps/none/tasks/{task}"), 404, "App '/none' does not exist".to_owned()),
        (
            "DELETE /v2/apps/pay/api/tasks/x.12345678-1234-8123-8123-123456789abc".to_owned(),
            404,
            "Task 'x.12345678-1234-8123-8123-123456789abc' does not exist".to_owned(),
        ),
        (
            format!("DELETE /v2/apps/pay/api/tasks/{task}?scale=true&wipe=true"),
            400,
            "You cannot use scale and wipe at the same time.".to_owned(),
        ),
    ] {
        let answer = world.ask(&line, Value::Null).await;
        assert_eq!((answer.status, answer.json()), (status, json!({ "message": message })), "{line}");
    }
    let malformed = world.ask("DELETE /v2/apps/pay/api/tasks/nonsense", Value::Null).await;
    assert_eq!(malformed.status, 400);
    assert!(malformed.json()["message"].as_str().unwrap().starts_with("Invalid task id 'nonsense'. ["));
}

#[tokio::test]
async fn kills_are_limited_to_a_host() {
    let world = World::new();
    let mut body = app("/a", 2);
    body["constraints"] = json!([["hostname", "UNIQUE"]]);
    world.run(body).await;
    for host in ["n1", "n2.example"] {
        let killed = world.ask(&format!("DELETE /v2/apps/a/tasks?host={host}"), Value::Null).await.json();
        assert_eq!(killed["tasks"].as_array().unwrap().len(), 1, "{host}");
        world.fake.settle();
    }
    let none = world.ask("DELETE /v2/apps/a/tasks?host=n9&scale=true", Value::Null).await;
    assert_eq!((none.status, none.json()), (200, json!({ "tasks": [] })));
}

#[tokio::test]
async fn several_tasks_are_killed_at_once() {
    let world = World::new();
    world.run(app("/a", 2)).await;
    world.run(app("/b", 1)).await;
    let ids = [world.tasks("/a").await[0].clone(), world.tasks("/b").await[0].clone()];
    let unknown = "c.12345678-1234-8123-8123-123456789abc";
    let body = json!({ "ids": [ids[0], ids[1], unknown] });
    let killed = world.ask("POST /v2/tasks/delete", body.clone()).await.json();
    assert_eq!(killed["tasks"].as_array().unwrap().len(), 2, "unknown ones are passed over");
    world.fake.settle();

    let ids = [world.tasks("/a").await[0].clone(), world.tasks("/b").await[0].clone()];
    let scaled = world.ask("POST /v2/tasks/delete?scale=true", json!({ "ids": ids })).await;
    assert!(scaled.json()["deploymentId"].is_string(), "{}", scaled.text);
    world.fake.settle();
    let apps = world.ask("GET /v2/apps", Value::Null).await.json();
    assert_eq!((&apps["apps"][0]["instances"], &apps["apps"][1]["instances"]), (&json!(1), &json!(0)));

    for (body, status) in [
        (json!({ "ids": ["x"] }), 400),
        (json!({ "ids": "x" }), 422),
        (json!({ "ids": [1] }), 422),
        (json!({}), 422),
        (json!([]), 422),
        (Value::Null, 400),
    ] {
        assert_eq!(world.ask("POST /v2/tasks/delete", body.clone()).await.status, status, "{body}");
    }
    assert_eq!(world.ask("POST /v2/tasks/delete", json!({ "ids": [] })).await.json(), json!({ "tasks": [] }));
}

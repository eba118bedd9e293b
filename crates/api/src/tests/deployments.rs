//! Deployments and the launch queue.

use super::world::{World, app};
use serde_json::{Value, json};

#[tokio::test]
async fn deployments_are_told_in_marathons_words() {
    let world = World::new();
    assert_eq!(world.ask("GET /v2/deployments", Value::Null).await.json(), json!([]));
    let created = world.ask("POST /v2/apps", app("/a", 1)).await;
    let id = created.header("marathon-deployment-id").to_owned();
    let listed = world.ask("GET /v2/deployments", Value::Null).await.json();
    let version = created.json()["version"].clone();
    assert_eq!(
        listed,
        json!([{
            "id": id, "version": version, "affectedApps": ["/a"], "affectedPods": [],
            "steps": [
                { "actions": [{ "action": "StartApplication", "app": "/a" }] },
                { "actions": [{ "action": "ScaleApplication", "app": "/a" }] },
            ],
            "currentActions": [{ "action": "ScaleApplication", "app": "/a", "readinessCheckResults": [] }],
            "currentStep": 2, "totalSteps": 2,
        }])
    );
    world.fake.settle();
    assert_eq!(world.ask("GET /v2/deployments", Value::Null).await.json(), json!([]));
    for (line, body, action) in [
        ("PUT /v2/apps/a", json!({ "cmd": "x" }), "RestartApplication"),
        ("PUT /v2/apps/a", json!({ "instances": 2 }), "ScaleApplication"),
        ("DELETE /v2/apps/a", Value::Null, "StopApplication"),
    ] {
        world.ask(line, body).await;
        let listed = world.ask("GET /v2/deployments", Value::Null).await.json();
        assert_eq!(listed[0]["currentActions"][0]["action"], action, "{line}");
        assert_eq!((&listed[0]["currentStep"], &listed[0]["totalSteps"]), (&json!(1), &json!(1)), "{line}");
        world.fake.settle();
    }
}

#[tokio::test]
async fn a_deployment_is_rolled_back_or_cancelled() {
    let world = World::new();
    world.run(app("/a", 1)).await;
    let first = world.ask("PUT /v2/apps/a", json!({ "env": { "A": "1" } })).await;
    let first = first.header("marathon-deployment-id").to_owned();
    let back = world.ask(&format!("DELETE /v2/deployments/{first}"), Value::Null).await;
    assert_eq!(back.status, 200, "{}", back.text);
    assert_ne!(back.json()["deploymentId"], json!(first));
    world.fake.settle();
    assert!(world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].get("env").is_none());
    let ended = world.ask(&format!("GET /v3/deployments/{first}"), Value::Null).await.json();
    assert_eq!((&ended["status"], &ended["by"]), (&json!("rolledBack"), &back.json()["deploymentId"]));

    let second = world.ask("PUT /v2/apps/a", json!({ "env": { "A": "1" } })).await;
    let second = second.header("marathon-deployment-id").to_owned();
    let cancelled = world.ask(&format!("DELETE /v2/deployments/{second}?force=true"), Value::Null).await;
    assert_eq!((cancelled.status, cancelled.text.as_str()), (202, ""));
    assert_eq!(world.ask("GET /v2/deployments", Value::Null).await.json(), json!([]));
    let ended = world.ask(&format!("GET /v3/deployments/{second}"), Value::Null).await.json();
    assert_eq!(ended["status"], "cancelled");

    for id in [second.as_str(), "nonsense", "12345678-1234-8123-8123-123456789abc"] {
        let answer = world.ask(&format!("DELETE /v2/deployments/{id}"), Value::Null).await;
        assert_eq!(answer.status, 404, "{id}: {}", answer.text);
        assert_eq!(answer.json()["message"], json!(format!("DeploymentPlan {id} does not exist")));
    }
    assert_eq!(world.ask("GET /v3/deployments/nonsense", Value::Null).await.status, 404);
    let history = world.ask("GET /v3/deployments", Value::Null).await.json();
    let outcomes: Vec<_> = history["deployments"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(outcomes, ["succeeded", "rolledBack", "succeeded", "cancelled"]);
}

#[tokio::test]
async fn identical_content_changes_nothing() {
    let world = World::new();
    world.run(app("/a", 1)).await;
    let before = world.ask("GET /v2/apps/a", Value::Null).await.json();
    let tasks = world.tasks("/a").await;
    let answer = world.ask("PUT /v2/apps/a", app("/a", 1)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["version"], before["app"]["version"]);
    assert!(answer.json()["deploymentId"].is_string());
    world.fake.settle();
    assert_eq!(world.ask("GET /v2/apps/a", Value::Null).await.json(), before);
    assert_eq!(world.tasks("/a").await, tasks);
}

#[tokio::test]
async fn labels_and_checks_change_without_a_restart() {
    let world = World::new();
    world.run(app("/a", 1)).await;
    let tasks = world.tasks("/a").await;
    let change = json!({ "labels": { "team": "pay" }, "healthChecks": [], "constraints": [["hostname", "UNIQUE"]] });
    assert_eq!(world.ask("PUT /v2/apps/a", change).await.status, 200);
    world.fake.settle();
    assert_eq!(world.tasks("/a").await, tasks);
    assert_eq!(world.ask("GET /v2/apps/a", Value::Null).await.json()["app"]["labels"], json!({ "team": "pay" }));
}

#[tokio::test]
async fn the_queue_says_why() {
    let world = World::new();
    let mut small = app("/small", 1);
    small["constraints"] = json!([["hostname", "LIKE", "n1"]]);
    world.run(small).await;
    let mut large = app("/large", 1);
    large["mem"] = json!(100_000);
    large["constraints"] = json!([["hostname", "LIKE", "n1"]]);
    let created = world.ask("POST /v2/apps", large).await;
    world.fake.plan();
    let queue = world.ask("GET /v2/queue?embed=lastUnusedOffers", Value::Null).await.json();
    let item = &queue["queue"][0];
    assert_eq!((&item["app"]["id"], &item["count"]), (&json!("/large"), &json!(1)));
    assert_eq!(item["delay"], json!({ "timeLeftSeconds": 0, "overdue": true }));
    let offers = item["lastUnusedOffers"].as_array().unwrap();
    let reasons: Vec<_> = offers.iter().map(|it| (&it["offer"]["agentId"], &it["reason"])).collect();
    assert_eq!(
        reasons,
        [(&json!("n1"), &json!(["InsufficientMemory"])), (&json!("n2"), &json!(["UnfulfilledConstraint"]))]
    );
    assert_eq!(
        offers[0]["offer"],
        json!({
            "id": "n1", "hostname": "n1.example", "agentId": "n1",
            "resources": [
                { "name": "cpus", "role": "*", "scalar": 3.9 },
                { "name": "mem", "role": "*", "scalar": 4064 },
                { "name": "disk", "role": "*", "scalar": 102_400 },
                { "name": "ports", "role": "*", "ranges": [{ "begin": 31_001, "end": 32_000 }] },
            ],
            "attributes": [{ "name": "rack", "text": "r-n1" }],
        })
    );
    assert!(item.get("role").is_none(), "Marathon's Python client fails on it");
    assert_eq!(item["since"], created.json()["version"]);
    assert!(item["processedOffersSummary"].get("lastUsedOfferAt").is_none());
    let summary = &item["processedOffersSummary"];
    assert_eq!((&summary["processedOffersCount"], &summary["unusedOffersCount"]), (&json!(2), &json!(2)));
    let steps = summary["rejectSummaryLastOffers"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|it| it["reason"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "UnfulfilledRole",
            "UnfulfilledConstraint",
            "NoCorrespondingReservationFound",
            "AgentMaintenance",
            "InsufficientCpus",
            "InsufficientMemory",
            "InsufficientDisk",
            "InsufficientGpus",
            "InsufficientPorts",
            "DeclinedScarceResources",
        ]
    );
    assert_eq!(summary["rejectSummaryLaunchAttempt"], summary["rejectSummaryLastOffers"]);
    let typed: crate::v2::Queue = serde_json::from_value(queue.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), queue, "the client's types lose nothing");
    assert!(steps.contains(&json!({ "reason": "UnfulfilledConstraint", "declined": 1, "processed": 2 })), "{steps:?}");
    assert!(steps.contains(&json!({ "reason": "InsufficientMemory", "declined": 1, "processed": 1 })), "{steps:?}");

    let explained = world.ask("GET /v3/apps/large/explain", Value::Null).await.json();
    assert_eq!((&explained["missing"], &explained["instances"]["wanted"]), (&json!(1), &json!(1)));
    assert_eq!(explained["nodes"].as_array().unwrap().len(), 2);
    assert!(explained["waiting"][0].as_str().unwrap().contains("no node takes one"), "{explained}");
    let deployment = created.header("marathon-deployment-id");
    let shown = world.ask(&format!("GET /v3/deployments/{deployment}"), Value::Null).await.json();
    assert_eq!(shown["status"], "running");
    assert_eq!(shown["waiting"], explained["waiting"]);
    assert_eq!(shown["changes"][0]["action"], "create");
    assert_eq!(shown["changes"][0]["instances"]["wanted"], 1);
    assert_eq!(world.ask("GET /v3/apps/none/explain", Value::Null).await.status, 404);

    let reset = world.ask("DELETE /v2/queue//large/delay", Value::Null).await;
    assert_eq!((reset.status, reset.text.as_str()), (204, ""));
    let unknown = world.ask("DELETE /v2/queue/none/delay", Value::Null).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json(), json!({ "message": "Application /none not found in tasks queue." }));
}

#[tokio::test]
async fn what_a_failed_instance_left_behind_is_told() {
    use cluster::agent::{Observation, Seen};
    use cluster::{Command, End, EndKind, Evidence, HealthAnswer, LogLine, Principal, Stream, Timestamp};
    use std::sync::Arc;
    let world = World::new();
    let created = world.ask("POST /v2/apps", app("/a", 1)).await;
    let deployment = created.header("marathon-deployment-id").to_owned();
    world.fake.plan();
    assert!(world.ask("GET /v3/apps/a/explain", Value::Null).await.json().get("evidence").is_none());
    let instance = world.fake.state().instances().next().unwrap().clone();
    let message = "exited with code 137 (signal KILL)".to_owned();
    let evidence = Evidence {
        exit_code: Some(137),
        health: Some(HealthAnswer {
            at: Timestamp(0),
            status: Some(503),
            cause: "answered 503".into(),
            body: "no".into(),
        }),
        lines: vec![LogLine { at: "2026-11-28T06:00:00Z".into(), stream: Stream::Stderr, text: "no space".into() }],
        more_lines: 199,
        ..Evidence::default()
    };
    let observation = Observation {
        instance: instance.id,
        judged_by: Timestamp::default(),
        trial: None,
        seen: Seen::Ended(End { kind: EndKind::Failed, exit_code: Some(137), message }),
        evidence: Some(Arc::new(evidence)),
    };
    let (node, observations) = (instance.node.clone(), vec![observation]);
    let report = Command::Report { node: node.clone(), observations, destroyed: Vec::new() };
    world.fake.apply(Principal::Agent(node.clone()), report).unwrap();
    let told = json!({
        "app": "/a", "task": format!("a.{}", instance.id), "node": node.to_string(),
        "message": "exited with code 137 (signal KILL)", "exitCode": 137, "signal": "KILL", "outOfMemory": false,
        "health": { "at": "1970-01-01T00:00:00.000Z", "status": 503, "cause": "answered 503", "body": "no" },
        "lines": [{ "at": "2026-11-28T06:00:00Z", "stream": "stderr", "text": "no space" }], "moreLines": 199,
    });
    let explained = world.ask("GET /v3/apps/a/explain", Value::Null).await.json()["evidence"].clone();
    let shown =
        world.ask(&format!("GET /v3/deployments/{deployment}"), Value::Null).await.json()["evidence"][0].clone();
    assert_eq!(explained, shown);
    for (field, value) in told.as_object().unwrap() {
        assert_eq!(shown[field], *value, "{field}");
    }
    let info = world.ask("GET /v2/apps/a", Value::Null).await.json()["app"]["lastTaskFailure"].clone();
    assert_eq!(info["message"], "exited with code 137 (signal KILL)");
    assert!(info.get("evidence").is_none(), "Marathon's shapes stay as they are");
}

#[tokio::test]
async fn failures_are_shown_and_delay_launches() {
    use cluster::agent::Seen;
    use cluster::{End, EndKind};
    let world = World::new();
    world.ask("POST /v2/apps", app("/a", 1)).await;
    world.fake.plan();
    let instance = world.fake.state().instances().next().unwrap().clone();
    let end = End { kind: EndKind::Failed, exit_code: Some(3), message: "exited with code 3".to_owned() };
    world.fake.report(&instance, Seen::Ended(end));
    let info = world.ask("GET /v2/apps?embed=apps.lastTaskFailure", Value::Null).await.json()["apps"][0].clone();
    let failure = &info["lastTaskFailure"];
    assert_eq!((&failure["state"], &failure["message"]), (&json!("TASK_FAILED"), &json!("exited with code 3")));
    assert_eq!(failure["appId"], "/a");
    let queue = world.ask("GET /v2/queue", Value::Null).await.json();
    assert_eq!(queue["queue"][0]["delay"], json!({ "timeLeftSeconds": 1, "overdue": false }));
    assert_eq!(world.ask("DELETE /v2/queue/a/delay", Value::Null).await.status, 204);
    let queue = world.ask("GET /v2/queue", Value::Null).await.json();
    assert_eq!(queue["queue"][0]["delay"]["overdue"], true);
}

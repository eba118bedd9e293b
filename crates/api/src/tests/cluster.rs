//! The cluster itself: nodes, leader, info, headers, metrics.

use super::world::{World, app};
use crate::control::{Leadership, SubmitError};
use cluster::{Command, NodeId, Principal};
use serde_json::{Value, json};
use std::io::Read;

#[tokio::test]
async fn every_answer_has_marathons_headers() {
    let world = World::new();
    for line in ["GET /v2/apps", "GET /v2/apps/none", "GET /nothing", "POST /v2/info", "GET /ping", "HEAD /v2/apps"] {
        let answer = world.ask(line, Value::Null).await;
        for (name, value) in [
            ("x-marathon-leader", "http://leader:8080"),
            ("cache-control", "no-cache, no-store, must-revalidate"),
            ("pragma", "no-cache"),
            ("expires", "0"),
            ("x-frame-options", "DENY"),
            ("x-xss-protection", "1; mode=block"),
        ] {
            assert_eq!(answer.header(name), value, "{line} {name}");
        }
    }
}

#[tokio::test]
async fn info_has_what_clients_read() {
    let world = World::new();
    let info = world.ask("GET /v2/info", Value::Null).await.json();
    assert_eq!(
        (&info["name"], &info["version"], &info["elected"]),
        (&json!("marathon"), &json!("1.11.24"), &json!(true))
    );
    assert_eq!((&info["leader"], &info["frameworkId"]), (&json!("leader:8080"), &json!("00e1de40e1de")));
    assert!(info["buildref"].as_str().unwrap().starts_with("ekiden "));
    assert_eq!(info["http_config"], json!({ "http_port": 8080, "https_port": 0 }));
    assert_eq!(info["marathon_config"]["local_port_min"], 10000);
    assert!(!info.to_string().contains("null"));
    assert_eq!(world.ask("GET /v2/plugins", Value::Null).await.json(), json!({ "plugins": [] }));
}

#[tokio::test]
async fn the_leader_is_named() {
    let world = World::new();
    assert_eq!(world.ask("GET /v2/leader", Value::Null).await.json(), json!({ "leader": "leader:8080" }));
    world.fake.set_leadership(Leadership { leading: true, leader_http: None, this_http: "a:1".to_owned() });
    let answer = world.ask("GET /v2/leader", Value::Null).await;
    assert_eq!((answer.status, answer.json()), (404, json!({ "message": "There is no leader" })));
}

#[tokio::test]
async fn ping_answers_in_the_form_that_is_accepted() {
    let world = World::new();
    for (accept, status, kind, text) in [
        ("*/*", 200, "text/plain", "pong"),
        ("text/html", 200, "text/html", "pong"),
        ("application/json", 200, "application/json", "\"pong\""),
        ("image/png", 204, "", ""),
    ] {
        let answer = world.send("GET /ping", &[("accept", accept)], "").await;
        assert_eq!(
            (answer.status, answer.header("content-type"), answer.text.as_str()),
            (status, kind, text),
            "{accept}"
        );
    }
    assert_eq!(world.send("HEAD /ping", &[], "").await.status, 200);
    assert_eq!(world.send("GET /v2/info", &[("accept", "text/html")], "").await.status, 406);
    assert_eq!(world.send("GET /v2/info", &[("accept", "text/html, */*;q=0.1")], "").await.status, 200);
}

#[tokio::test]
async fn nodes_are_shown_and_lost_ones_forgotten() {
    let world = World::new();
    world.run(app("/a", 2)).await;
    let nodes = world.ask("GET /v3/nodes", Value::Null).await.json()["nodes"].clone();
    assert_eq!((&nodes[0]["name"], &nodes[1]["name"]), (&json!("n1"), &json!("n2")));
    assert_eq!(
        nodes[0],
        json!({
            "name": "n1", "address": "n1.example", "status": "ready",
            "capacity": { "cpus": 4, "mem": 4096, "disk": 102_400 }, "used": { "cpus": 0.1, "mem": 32, "disk": 0 },
            "ports": { "first": 31000, "last": 32000 }, "usedPorts": 1, "attributes": { "rack": "r-n1" },
            "versions": { "docker": "20.10" }, "nInstances": 1,
        })
    );
    let one = world.ask("GET /v3/nodes/n1", Value::Null).await.json();
    assert_eq!(one["tasks"][0]["slaveId"], "n1");

    assert_eq!(world.ask("DELETE /v3/nodes/n1", Value::Null).await.status, 409, "it is not lost");
    let _ = world.fake.apply(Principal::Leader, Command::Lose { node: NodeId::new("n1") });
    let lost = world.ask("GET /v3/nodes/n1", Value::Null).await.json();
    assert_eq!(lost["status"], "lost");
    assert!(lost["lostSince"].is_string());
    assert_eq!(lost["tasks"][0]["state"], "TASK_UNREACHABLE");
    assert_eq!(world.ask("DELETE /v3/nodes/n1", Value::Null).await.status, 204);
    assert_eq!(world.ask("GET /v3/nodes/n1", Value::Null).await.status, 404);
    assert_eq!(world.ask("DELETE /v3/nodes/n1", Value::Null).await.status, 404);
}

#[tokio::test]
async fn orphans_are_listed_with_their_reason_and_removed_on_order() {
    let world = World::new();
    assert_eq!(world.ask("GET /v3/orphans", Value::Null).await.json(), json!({ "orphans": [] }));
    let instance = cluster::InstanceId::derive(world.fake.state().cluster(), 900, 1);
    let stranger =
        cluster::Stranger { instance, app: "/a".into(), node: "before".into(), agent: Some(1), running: true };
    let found = Command::FindStrangers { node: NodeId::new("n1"), strangers: vec![stranger] };
    world.fake.apply(Principal::Agent(NodeId::new("n1")), found).unwrap();
    let list = world.ask("GET /v3/orphans", Value::Null).await.json();
    let mut orphan = list["orphans"][0].clone();
    assert!(orphan["since"].as_str().is_some_and(|it| it.ends_with('Z')));
    orphan.as_object_mut().unwrap().remove("since");
    assert_eq!(
        orphan,
        json!({
            "id": instance.to_string(), "node": "n1", "app": "/a", "madeBy": "before", "running": true,
            "reason": "the node whose agent made it is not one of the cluster's any more", "removing": false,
        })
    );
    assert_eq!(world.ask("GET /v3/nodes/n1", Value::Null).await.json()["orphans"], list["orphans"]);
    for unknown in ["nonsense", &cluster::InstanceId::derive(world.fake.state().cluster(), 900, 2).to_string()] {
        assert_eq!(world.ask(&format!("DELETE /v3/orphans/{unknown}"), Value::Null).await.status, 404, "{unknown}");
    }
    assert_eq!(world.ask(&format!("DELETE /v3/orphans/{instance}"), Value::Null).await.status, 204);
    let list = world.ask("GET /v3/orphans", Value::Null).await.json();
    assert_eq!(list["orphans"][0]["removing"], true, "until its agent has removed it");
}

#[tokio::test]
async fn metrics_tell_of_the_api_and_the_cluster() {
    let world = World::new();
    world.run(app("/a", 2)).await;
    world.ask("GET /v2/apps/a", Value::Null).await;
    world.ask("GET /v2/apps/b", Value::Null).await;
    let answer = world.send("GET /metrics/prometheus", &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4"));
    for line in [
        "ekiden_http_request_duration_seconds_count{method=\"GET\",route=\"/v2/apps/{id}\",status=\"2xx\"} 1",
        "ekiden_http_request_duration_seconds_count{method=\"GET\",route=\"/v2/apps/{id}\",status=\"4xx\"} 1",
        "ekiden_http_requests_in_flight 1",
        "ekiden_instances{condition=\"running\",health=\"healthy\"} 2",
        "ekiden_instances_wanted 2",
        "ekiden_apps 1",
        "ekiden_node_cpu_cores{kind=\"used\",node=\"n1\"} 0.1",
        "ekiden_node_memory_bytes{kind=\"capacity\",node=\"n2\"} 4294967296",
        "ekiden_node_status{node=\"n1\",status=\"ready\"} 1",
    ] {
        assert!(answer.text.lines().any(|it| it == line), "{line}\n{}", answer.text);
    }
}

#[tokio::test]
async fn metrics_are_marathons_unless_text_is_asked_for() {
    const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
    let world = World::new();
    world.run(app("/a", 2)).await;
    for (accept, expect) in [
        (None, "application/json"),
        (Some("*/*"), "application/json"),
        (Some("application/json"), "application/json"),
        (Some("application/json, text/plain, */*"), "application/json"),
        (Some("text/plain;q=0.5, application/json"), "application/json"),
        (Some("text/plain;q=0, */*"), "application/json"),
        (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), "application/json"),
        (Some("text/plain"), "text/plain; version=0.0.4"),
        (Some("TEXT/Plain; version=0.0.4, application/json;q=0.9"), "text/plain; version=0.0.4"),
        (Some("application/openmetrics-text;version=1.0.0"), "text/plain; version=0.0.4"),
        (Some(PROMETHEUS), "text/plain; version=0.0.4"),
    ] {
        let headers: Vec<_> = accept.map(|it| ("accept", it)).into_iter().collect();
        let answer = world.send("GET /metrics", &headers, "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, expect), "{accept:?}");
    }
    let metrics = world.ask("GET /metrics", Value::Null).await.json();
    assert_eq!(metrics["gauges"]["ekiden.instances.running.healthy"], json!({ "value": 2 }));
    assert_eq!(metrics["gauges"]["ekiden.instances.wanted"], json!({ "value": 2 }));
    assert!(metrics["histograms"]["ekiden.http.request.duration.seconds.POST.v2-apps.2xx"]["count"].is_u64());
    for kind in ["gauges", "counters", "histograms", "meters", "timers"] {
        let names: Vec<&String> = metrics[kind].as_object().unwrap().keys().collect();
        assert!(names.iter().all(|it| !it.contains(['{', '}', '"', '='])), "{names:?}");
    }
}

#[tokio::test]
async fn what_the_control_plane_cannot_do_is_said() {
    let world = World::new();
    for (failure, text) in [
        (SubmitError::Unavailable { why: "no quorum".to_owned() }, "the control plane cannot answer now: no quorum"),
        (SubmitError::Unknown { why: "no answer in 5 s".to_owned() }, "look before repeating it"),
        (SubmitError::NotLeader { leader: None }, "this member does not lead"),
    ] {
        world.fake.set_failure(Some(failure));
        for line in ["GET /v2/apps", "POST /v2/apps"] {
            let body = if line.starts_with("POST") { app("/a", 1) } else { Value::Null };
            let answer = world.ask(line, body).await;
            assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{line}");
            assert!(answer.json()["message"].as_str().unwrap().contains(text), "{}", answer.text);
        }
        assert_eq!(world.ask("GET /ping", Value::Null).await.status, 200);
        assert_eq!(world.ask("GET /metrics", Value::Null).await.status, 200);
    }
}

#[tokio::test]
async fn leadership_is_given_up_on_request() {
    let world = World::new();
    let done = world.ask("DELETE /v2/leader", Value::Null).await;
    assert_eq!((done.status, done.json()), (200, json!({ "message": "Leadership abdicated" })));
    assert_eq!(world.fake.n_abdications(), 1);
    let uris = "backup=file:///b&restore=s3://bucket/it";
    assert_eq!(world.ask(&format!("DELETE /v2/leader?{uris}"), Value::Null).await.status, 200);
    for bad in ["backup=nowhere", "restore=", "restore=://x", "backup=file:a%20b"] {
        let refused = world.ask(&format!("DELETE /v2/leader?{bad}"), Value::Null).await;
        assert_eq!(refused.status, 422, "{bad}: {}", refused.text);
    }
    assert_eq!(world.fake.n_abdications(), 2, "nothing is done where a parameter is wrong");

    let why = "this is the only member".to_owned();
    world.fake.set_failure(Some(SubmitError::Unavailable { why }));
    let alone = world.ask("DELETE /v2/leader", Value::Null).await;
    assert_eq!((alone.status, alone.header("retry-after")), (503, "1"));
    assert!(alone.text.contains("this is the only member"), "{}", alone.text);
}

#[tokio::test]
async fn a_locked_app_says_since_when_and_why() {
    let world = World::new();
    let mut large = app("/a", 1);
    large["cpus"] = json!(3);
    large["instances"] = json!(5);
    let posted = world.ask("POST /v2/apps", large).await;
    world.fake.plan();
    let locked = world.ask("PUT /v2/apps/a", json!({ "instances": 1 })).await;
    assert_eq!(locked.status, 409, "{}", locked.text);
    let body = locked.json();
    let message = body["message"].as_str().unwrap();
    assert!(message.starts_with("App is locked by one or more deployments."), "{message}");
    let deployment = &body["deployments"][0];
    assert_eq!(deployment["id"], posted.json()["deployments"][0]["id"]);
    assert_eq!(deployment["since"], posted.json()["version"]);
    let waiting = deployment["waiting"].as_array().unwrap();
    assert!(waiting.iter().any(|it| it.as_str().unwrap().contains("3 to launch")), "{waiting:?}");
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_take_it() {
    let world = World::new();
    for n in 0..50 {
        assert_eq!(world.ask("POST /v2/apps", app(&format!("/a{n}"), 0)).await.status, 201);
    }
    let plain = world.ask("GET /v2/apps", Value::Null).await;
    for n_apps in [50, 200] {
        for n in 50..n_apps {
            assert_eq!(world.ask("POST /v2/apps", app(&format!("/a{n}"), 0)).await.status, 201);
        }
        let plain = world.ask("GET /v2/apps", Value::Null).await;
        let (headers, packed) = world.bytes("GET /v2/apps", &[("accept-encoding", "gzip, deflate")]).await;
        assert_eq!(headers["content-encoding"], "gzip");
        assert_eq!(headers["vary"], "accept-encoding");
        assert!(packed.len() * 5 < plain.text.len(), "{} of {}", packed.len(), plain.text.len());
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, plain.text);
    }
    for headers in [&[][..], &[("accept-encoding", "gzip;q=0")]] {
        let (headers, body) = world.bytes("GET /v2/apps?id=/a77", headers).await;
        assert!(!headers.contains_key("content-encoding"));
        assert!(body.starts_with(b"{") && body.len() < plain.text.len());
    }
    let (headers, _) = world.bytes("GET /v2/leader", &[("accept-encoding", "gzip")]).await;
    assert!(!headers.contains_key("content-encoding"), "it is short");
}

//! Apps, engines and machines that misbehave: each has a visible reason, nothing runs hot, nothing is lost.

use crate::harness::app::{with, with_image};
use crate::harness::cluster::{Cluster, list, text};
use crate::harness::stall::Stall;
use crate::harness::wait::{figure, timed};
use crate::harness::world::World;
use crate::harness::{Dev, Tool, docker, eventually, have, seconds, web};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Instant;

const APP: &str = "/bad";

#[test]
fn an_image_that_does_not_exist_is_named_as_the_reason() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    // Nobody listens there, so the answer comes at once and from no registry.
    let image = "127.0.0.1:9/nobody/nothing:1";
    cluster.post("/v2/apps", &with(with_image(web(APP, 1), image), json!({ "backoffFactor": 2 })));
    let (failure, took) = timed("the last failure names the image", seconds(10), || failure(&cluster, image));
    figure("reason of a missing image visible", format!("{took:?}"));
    assert!(text(&failure["message"]).contains("pull"), "{failure}");
    runs_cool(&cluster);
    waits_visibly(&cluster);

    cluster.remove(APP);
    assert_eq!(docker::containers(dev.id()), [""; 0]);
}

#[test]
fn an_app_that_exits_at_once_is_started_ever_more_rarely() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let exits = json!({ "args": ["--exit-after-ms", "20"], "healthChecks": null, "backoffFactor": 2 });
    cluster.post("/v2/apps", &with(web(APP, 1), exits));
    let failure = eventually("the last failure says how it ended", seconds(10), || failure(&cluster, "1"));
    assert!(text(&failure["message"]).contains("exit"), "{failure}");
    runs_cool(&cluster);
    waits_visibly(&cluster);
    // Each delay is twice the one before: 4 s come after 1 s and 2 s.
    eventually("the delay has grown", seconds(20), || {
        let item = queued(&cluster);
        let left = item["delay"]["timeLeftSeconds"].as_u64().unwrap_or(0);
        if left >= 3 { Ok(()) } else { Err(item["delay"].to_string()) }
    });

    let well = with(web(APP, 1), json!({ "args": [] }));
    cluster.send("PUT", &format!("/v2/apps{APP}?force=true"), &well).good();
    cluster.settled(APP, 1);
}

#[test]
fn an_app_that_never_becomes_healthy_is_replaced_and_says_why() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let check = json!({
        "protocol": "HTTP", "path": "/health", "gracePeriodSeconds": 1, "intervalSeconds": 1, "timeoutSeconds": 1,
        "maxConsecutiveFailures": 2,
    });
    let fields = json!({ "args": ["--never-healthy"], "healthChecks": [check], "backoffFactor": 2 });
    let posted = cluster.post("/v2/apps", &with(web(APP, 2), fields));
    let deployment = text(&posted["deployments"][0]["id"]).to_owned();
    let failure = eventually("the last failure names the health check", seconds(20), || failure(&cluster, "health"));
    assert!(text(&failure["message"]).contains("503"), "it says what the check saw: {failure}");
    let app = cluster.app(APP);
    assert_eq!((&app["tasksHealthy"], text(&app["deployments"][0]["id"])), (&json!(0), &*deployment));
    let report = cluster.get(&format!("/v3/deployments/{deployment}"));
    assert_eq!(report["status"], "running");
    assert_ne!(report["waiting"], json!([]), "{report}");
    runs_cool(&cluster);
}

#[test]
fn a_host_port_that_a_stranger_holds_is_named_as_the_reason_until_it_is_free() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let range = cluster.get("/v3/nodes")["nodes"][0]["ports"].take();
    // From the end of the range, where no other app of this cluster comes.
    let last = range["last"].as_u64().expect("a port") as u16;
    let stranger = (0..50).find_map(|it| TcpListener::bind(("0.0.0.0", last - it)).ok()).expect("a free port");
    let port = stranger.local_addr().expect("bound").port();
    let mut app = with(web(APP, 1), json!({ "maxLaunchDelaySeconds": 2 }));
    app["container"]["portMappings"][0]["hostPort"] = json!(port);
    cluster.post("/v2/apps", &app);
    let failure = eventually("the last failure names the port", seconds(15), || failure(&cluster, &port.to_string()));
    assert!(text(&failure["message"]).contains("in use"), "{failure}");
    runs_cool(&cluster);

    drop(stranger);
    let tasks = cluster.settled(APP, 1);
    assert_eq!(tasks[0].port, port);
}

#[test]
fn a_docker_engine_that_hangs_degrades_the_node_and_stops_nothing() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let mut world = World::<1>::start();
    let socket = world.scratch.path("docker.sock");
    let engine = Stall::listen(&socket, "/var/run/docker.sock");
    world.agent("agent", "node-1", &format!("docker.host = \"unix://{}\"", socket.display()));
    world.has_nodes(1);
    let cluster = world.members[0].cluster;
    let tasks = cluster.deploy(&web("/web", 2));
    let containers = docker::running(&world.id);

    engine.hang(true);
    let hung = Instant::now();
    cluster.post("/v2/apps", &web("/late", 1));
    let node = eventually("the node is degraded", seconds(60), || {
        let node = cluster.get("/v3/nodes")["nodes"][0].take();
        if node["status"] == "degraded" { Ok(node) } else { Err(node) }
    });
    figure("a hanging engine noticed", format!("{:?}", hung.elapsed()));
    assert!(text(&node["reason"]).contains("Docker"), "{node}");
    assert_eq!(cluster.tasks("/web"), tasks, "they are still listed, and healthy");
    assert_eq!(docker::running(&world.id), containers, "they still run");
    let queue = cluster.get("/v2/queue");
    let is_late = |it: &Value| it["app"]["id"] == "/late";
    let is_starting = list(&cluster.app("/late")["tasks"]).count() == 1;
    assert!(is_starting || list(&queue["queue"]).any(is_late), "what waits is told: {queue}");

    engine.hang(false);
    let healed = Instant::now();
    eventually("the node is well again", seconds(30), || {
        let node = cluster.get("/v3/nodes")["nodes"][0].take();
        if node["status"] == "ready" { Ok(()) } else { Err(node) }
    });
    figure("a healed engine noticed", format!("{:?}", healed.elapsed()));
    cluster.settled_within("/late", 1, seconds(90));
    assert_eq!(cluster.settled("/web", 2), tasks);
    let now = docker::running(&world.id);
    assert!(containers.iter().all(|(id, started)| now.get(id) == Some(started)), "{containers:?} {now:?}");
    assert_eq!(now.len(), 3, "and nothing was started twice");
}

/// The app's last failure, once its message has a text in it.
fn failure(cluster: &Cluster, part: &str) -> Result<Value, Value> {
    let failure = cluster.app(APP)["lastTaskFailure"].take();
    if text(&failure["message"]).contains(part) { Ok(failure) } else { Err(failure) }
}

/// Failures are not answered with a storm of launches: a backoff of 1 s allows few in the time since.
#[track_caller]
fn runs_cool(cluster: &Cluster) {
    let launches = cluster.metric("ekiden_launches_total");
    assert!((1..=12).contains(&launches), "{launches} launches");
}

/// The queue has the app, and `explain` says what is missing and why.
#[track_caller]
fn waits_visibly(cluster: &Cluster) {
    let item = eventually("the queue has the app", seconds(10), || match queued(cluster) {
        Value::Null => Err("it has not".to_owned()),
        item => Ok(item),
    });
    assert_eq!(item["count"], 1, "{item}");
    let explained = cluster.get(&format!("/v3/apps{APP}/explain"));
    assert_eq!(explained["missing"], 1, "{explained}");
    let is_told = explained["backoffUntil"].is_string() || explained["reasons"] != json!([]);
    assert!(is_told, "{explained}");
}

fn queued(cluster: &Cluster) -> Value {
    let queue = cluster.get("/v2/queue");
    list(&queue["queue"]).find(|it| it["app"]["id"] == APP).cloned().unwrap_or(Value::Null)
}

//! Members and agents as processes of their own: what happens when one of them dies, hangs or lies.

use crate::harness::cluster::{Cluster, Task, text};
use crate::harness::wait::{figure, timed};
use crate::harness::world::World;
use crate::harness::{Tool, docker, eventually, have, http, seconds, web};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

#[test]
fn a_killed_leader_is_replaced_and_its_deployment_completes() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let mut world = World::<3>::start();
    world.agent("node-1", "node-1", "");
    world.agent("node-2", "node-2", "");
    world.has_nodes(2);
    let leader = world.leader();
    let follower = world.members[(leader + 1) % 3].cluster;
    followers_pass_requests_on(&world, leader);

    follower.post("/v2/apps", &web("/web", 6));
    eventually("the deployment is half way", seconds(30), || {
        let staged = follower.app("/web")["tasks"].as_array().map_or(0, Vec::len);
        if staged >= 2 { Ok(()) } else { Err(staged) }
    });
    assert_eq!(follower.get("/v2/deployments")[0]["affectedApps"], json!(["/web"]), "killed in mid-deployment");
    world.members[leader].process.kill_hard();
    let killed = Instant::now();
    let took = world.accepts_a_write(leader, "/first");
    figure("a write accepted after kill -9 of the leader", format!("{took:?}"));
    assert!(took < seconds(10), "{took:?}");

    let tasks = follower.settled("/web", 6);
    figure("the deployment complete after kill -9 of the leader", format!("{:?}", killed.elapsed()));
    assert_eq!(hosts_of(&follower, &tasks), BTreeSet::from(["node-1".to_owned(), "node-2".to_owned()]));
    assert_eq!(docker::running(&world.id).len(), 6);

    world.start_again(leader);
    let new_leader = world.leader();
    eventually("the member that was killed has caught up", seconds(20), || {
        let applied = world.members.each_ref().map(|it| it.cluster.metric("ekiden_raft_applied_index"));
        let all = world.members.each_ref().map(|it| it.cluster.get("/v2/apps?embed=apps.tasks"));
        let is_same = applied[0] > 0 && applied.iter().all(|it| *it == applied[0]);
        if is_same && all.iter().all(|it| *it == all[0]) { Ok(()) } else { Err(format!("{applied:?} {all:?}")) }
    });
    assert_ne!(new_leader, leader, "it comes back as a follower");
    assert_eq!(follower.settled("/web", 6), tasks, "and nothing was touched");

    // And once more, with the one that came back among those that vote.
    world.members[new_leader].process.kill_hard();
    let took = world.accepts_a_write(new_leader, "/second");
    figure("a write accepted after kill -9 of the next leader", format!("{took:?}"));
    world.start_again(new_leader);
    let apps = world.members[leader].cluster.get("/v2/apps");
    let ids: Vec<&str> = apps["apps"].as_array().expect("a list").iter().map(|it| text(&it["id"])).collect();
    assert_eq!(ids, ["/first", "/second", "/web"], "what was acknowledged is there");
}

#[test]
fn leadership_moves_on_request_and_each_member_logs_as_it_is_told() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let world = World::<3>::start();
    for it in &world.members {
        eventually("each member answers", seconds(20), || http::get(it.cluster.http, "/ping"));
    }
    let leader = world.leader();
    let follower = world.members[(leader + 1) % 3].cluster;
    eventually("the follower knows the leader", seconds(20), || {
        let answer = http::get(follower.http, "/v2/leader").map_err(|it| it.to_string())?;
        if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
    });
    let began = Instant::now();
    let answer = http::send(follower.http, "DELETE", "/v2/leader", b"").expect("an answer");
    assert_eq!(answer.json(), json!({ "message": "Leadership abdicated" }), "{answer}");
    assert_ne!(world.leader(), leader, "another one leads");
    figure("leadership handed over on request", format!("{:?}", began.elapsed()));
    assert_eq!(follower.post("/v2/apps", &web("/web", 0))["id"], "/web", "and changes are taken");

    let change = json!({ "logger": "api", "level": "debug", "durationSeconds": 600 });
    assert_eq!(follower.post("/logging", &change), change);
    assert_eq!(follower.get("/logging")["api"], "debug");
    let other = world.members[leader].cluster.get("/logging");
    assert_eq!((&other["ROOT"], other.get("api")), (&json!("info"), None), "each for itself");
    let document = follower.get("/v3/openapi.json");
    assert_eq!(document["openapi"], "3.0.3");
}

#[test]
fn two_agents_with_one_name_are_told_apart_and_the_second_is_refused() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let mut world = World::<1>::start();
    world.agent("first", "node-1", "");
    world.has_nodes(1);
    let cluster = world.members[0].cluster;
    let tasks = cluster.deploy(&web("/web", 2));
    world.agent("second", "node-1", "");
    eventually("the second is told that its name is taken", seconds(20), || {
        let said = world.agents[1].said();
        if said.contains("node-1") && said.contains("another agent") { Ok(()) } else { Err(said) }
    });
    assert_eq!(cluster.settled("/web", 2), tasks, "the first one's instances are left alone");
    assert_eq!(cluster.get("/v3/nodes")["nodes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_lost_node_is_replaced_and_what_is_surplus_ends_when_it_returns() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let mut world = World::<1>::start();
    world.agent("node-1", "node-1", "");
    world.agent("node-2", "node-2", "");
    world.has_nodes(2);
    let cluster = world.members[0].cluster;
    let tasks = cluster.deploy(&web("/web", 4));
    assert_eq!(hosts_of(&cluster, &tasks).len(), 2, "spread over both");

    world.agents[1].signal("STOP");
    let ((), took) = timed("the node is lost and its instances are replaced", seconds(40), || {
        let status = |n: usize| cluster.get("/v3/nodes")["nodes"][n]["status"].take();
        let now = cluster.tasks("/web");
        let on_first = now.iter().filter(|it| node_of(&cluster, it) == "node-1").count();
        let seen = format!("{} {} {now:?}", status(0), status(1));
        if status(1) == "lost" && on_first == 4 && now.iter().all(|it| it.healthy) { Ok(()) } else { Err(seen) }
    });
    figure("instances of a lost node replaced", format!("{took:?}"));
    assert_eq!(docker::running(&world.id).len(), 6, "its own ones run on: they were only not heard of");

    world.agents[1].signal("CONT");
    eventually("the node is back", seconds(20), || {
        let nodes = cluster.get("/v3/nodes");
        if nodes["nodes"][1]["status"] == "ready" { Ok(()) } else { Err(nodes) }
    });
    cluster.settled("/web", 4);
    eventually("there are no more than wanted", seconds(30), || {
        let n = docker::running(&world.id).len();
        if n == 4 { Ok(()) } else { Err(n) }
    });
}

fn followers_pass_requests_on(world: &World<3>, leader: usize) {
    let leader_url = format!("http://{}", world.members[leader].cluster.http);
    for n in (0..3).filter(|it| *it != leader) {
        let follower = world.members[n].cluster;
        let passed_on = follower.send("GET", "/v2/apps", &Value::Null);
        assert_eq!((passed_on.status, passed_on.header("x-marathon-leader")), (200, Some(&*leader_url)), "{passed_on}");
        assert!(passed_on.header("x-marathon-via").is_some(), "{:?}", passed_on.headers);
        let redirected = http::get(follower.http, "/v2/events").expect("an answer");
        assert_eq!(redirected.status, 302);
        assert_eq!(redirected.header("location"), Some(&*format!("{leader_url}/v2/events")));
    }
}

fn hosts_of(cluster: &Cluster, tasks: &[Task]) -> BTreeSet<String> {
    tasks.iter().map(|it| node_of(cluster, it)).collect()
}

/// The node that a task is on.
fn node_of(cluster: &Cluster, task: &Task) -> String {
    let nodes = cluster.get("/v3/nodes");
    let names: Vec<&str> = nodes["nodes"].as_array().expect("a list").iter().map(|it| text(&it["name"])).collect();
    let has = |name: &&&str| {
        let node = cluster.get(&format!("/v3/nodes/{name}"));
        node["tasks"].as_array().into_iter().flatten().any(|it| it["id"] == *task.id)
    };
    names.iter().find(has).map_or_else(String::new, |it| (*it).to_owned())
}

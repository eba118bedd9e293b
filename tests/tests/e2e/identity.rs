//! Nodes that are called otherwise, directories that were copied, containers that nobody speaks of.

use crate::harness::cluster::Cluster;
use crate::harness::world::World;
use crate::harness::{Consul, Tool, docker, eventually, have, seconds, web};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

/// A member's answer to `GET /v3/nodes` when it knows one node, which is called so and takes instances.
fn only_node(cluster: &Cluster, name: &str) -> Result<(), Value> {
    let nodes = cluster.get("/v3/nodes");
    let all = nodes["nodes"].as_array().map_or(0, Vec::len);
    let is_it = all == 1 && nodes["nodes"][0]["name"] == name && nodes["nodes"][0]["status"] == "ready";
    if is_it { Ok(()) } else { Err(nodes) }
}

/// Waits until Consul lists exactly these instances, each as one of a node of this name.
#[track_caller]
fn lists(consul: &Consul, node: &str, instances: &BTreeSet<String>) {
    let expected: BTreeSet<(String, String)> = instances.iter().map(|it| (it.clone(), node.to_owned())).collect();
    eventually("Consul follows", seconds(20), || {
        let entries = consul.entries();
        let meta = |it: &Value, key: &str| it["Meta"][key].as_str().map(str::to_owned);
        let all = entries.as_object().into_iter().flat_map(|it| it.values());
        let listed: BTreeSet<_> =
            all.filter_map(|it| Some((meta(it, "ekiden-instance")?, meta(it, "ekiden-node")?))).collect();
        if listed == expected { Ok(()) } else { Err(entries) }
    });
}

/// The instances that an app has now.
fn instances(cluster: &Cluster, app: &str) -> BTreeSet<String> {
    cluster.tasks(app).iter().map(|it| it.instance().to_owned()).collect()
}

#[test]
fn a_renamed_node_is_the_same_and_a_copied_directory_is_refused_at_both() {
    if !have(&[Tool::Docker, Tool::Consul]) {
        return;
    }
    let consul = Consul::start();
    let settings = format!("[consul]\naddress = \"{}\"", consul.url());
    let mut world = World::<1>::start();
    world.agent("first", "node-1", &settings);
    world.has_nodes(1);
    let cluster = world.members[0].cluster;
    let tasks = cluster.deploy(&web("/web", 2));
    let containers = docker::running(&world.id);
    let ids = instances(&cluster, "/web");
    lists(&consul, "node-1", &ids);
    world.agents[0].kill_hard();
    world.agent("first", "renamed", &settings);
    eventually("the node is there under its new name", seconds(20), || only_node(&cluster, "renamed"));
    assert_eq!(cluster.settled("/web", 2), tasks, "with its instances");
    assert_eq!(docker::running(&world.id), containers);
    lists(&consul, "renamed", &ids);

    let (from, to) = (world.scratch.path("first"), world.scratch.path("copy"));
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().expect("cp").success());
    assert!(!world.agents[1].said().contains("was copied"), "{}", world.agents[1].said());
    // A machine of its own would have a Consul of its own.
    world.agent("copy", "node-2", "");
    for n in [1, 2] {
        eventually("both are told that there are two", seconds(20), || {
            let said = world.agents[n].said();
            if said.contains("data directory was copied") { Ok(()) } else { Err(said) }
        });
    }
    assert_eq!(docker::running(&world.id), containers, "nothing is ended");
    world.agents[2].kill_hard();
    eventually("the one that is left is taken in", seconds(40), || only_node(&cluster, "renamed"));
    assert_eq!(cluster.settled("/web", 2), tasks);
    assert_eq!(docker::running(&world.id), containers);
    lists(&consul, "renamed", &ids);
}

#[test]
fn what_a_forgotten_node_left_is_an_orphan_until_it_is_removed() {
    if !have(&[Tool::Docker, Tool::Consul]) {
        return;
    }
    let consul = Consul::start();
    let settings = format!("[consul]\naddress = \"{}\"", consul.url());
    let mut world = World::<1>::start();
    world.agent("first", "node-1", &settings);
    world.has_nodes(1);
    let cluster = world.members[0].cluster;
    cluster.deploy(&web("/web", 2));
    let (before, old) = (docker::running(&world.id), instances(&cluster, "/web"));
    lists(&consul, "node-1", &old);
    world.agents[0].kill_hard();
    eventually("the node is lost", seconds(20), || {
        let answer = cluster.send("DELETE", "/v3/nodes/node-1", &Value::Null);
        if answer.status == 204 { Ok(()) } else { Err(answer) }
    });
    assert_eq!(docker::running(&world.id), before, "its containers are not touched");
    world.agent("first", "node-1", &settings);
    let orphans = eventually("its containers are orphans", seconds(20), || {
        let list = cluster.get("/v3/orphans")["orphans"].take();
        if list.as_array().is_some_and(|it| it.len() == 2) { Ok(list) } else { Err(list) }
    });
    let orphans = orphans.as_array().expect("a list");
    for it in orphans {
        assert_eq!((&it["app"], &it["running"], &it["node"]), (&json!("/web"), &json!(true), &json!("node-1")), "{it}");
    }
    cluster.settled("/web", 2);
    assert_eq!(docker::running(&world.id).len(), 4, "the new ones run beside the old ones");
    let new = instances(&cluster, "/web");
    assert!(new.is_disjoint(&old));
    lists(&consul, "node-1", &new);
    for it in orphans {
        let path = format!("/v3/orphans/{}", it["id"].as_str().expect("an id"));
        assert_eq!(cluster.send("DELETE", &path, &Value::Null).status, 204);
    }
    eventually("they are gone", seconds(30), || {
        let (left, list) = (docker::running(&world.id), cluster.get("/v3/orphans"));
        if left.len() == 2 && list == json!({ "orphans": [] }) { Ok(()) } else { Err(format!("{left:?} {list}")) }
    });
    assert!(docker::running(&world.id).keys().all(|it| !before.contains_key(it)));
    lists(&consul, "node-1", &new);
}

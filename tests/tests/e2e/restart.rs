//! The control plane dies and comes back: what runs goes on running, what was acknowledged is there.

use crate::harness::app::with;
use crate::harness::{Dev, Tool, docker, eventually, have, seconds, web};
use serde_json::json;

#[test]
fn kill_dash_nine_restarts_no_container_and_loses_nothing_acknowledged() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let mut dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let before = cluster.deploy(&web("/web", 3));
    let containers = docker::running(dev.id());
    assert_eq!(containers.len(), 3);

    cluster.post("/v2/apps", &web("/late", 1));
    dev.kill_hard();
    assert!(contains(&docker::running(dev.id()), &containers), "containers outlive the control plane");

    dev.start_again();
    assert_eq!(cluster.app("/late")["id"], "/late", "what was acknowledged is there");
    cluster.settled("/late", 1);
    assert_eq!(cluster.settled("/web", 3), before, "the same tasks");
    let after = docker::running(dev.id());
    assert_eq!(after.len(), 4);
    assert!(contains(&after, &containers), "the same containers, started when they were: {containers:?} {after:?}");
}

#[test]
fn a_container_that_dies_while_the_control_plane_is_away_is_replaced() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let mut dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let before = cluster.deploy(&web("/web", 2));
    dev.kill_hard();
    docker::kill(before[0].instance());
    dev.start_again();
    eventually("the dead one is replaced", seconds(30), || {
        let tasks = cluster.tasks("/web");
        let is_gone = tasks.iter().all(|it| it.id != before[0].id);
        if is_gone && tasks.len() == 2 { Ok(()) } else { Err(format!("{tasks:?}")) }
    });
    let after = cluster.settled("/web", 2);
    assert!(after.iter().any(|it| it.id == before[1].id), "the other one is not touched");
}

#[test]
fn sigterm_ends_it_with_success_and_leaves_containers_running() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let mut dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let tasks = cluster.deploy(&web("/web", 1));
    let containers = docker::running(dev.id());
    let status = dev.terminate();
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(docker::running(dev.id()), containers);
    dev.start_again();
    assert_eq!(cluster.settled("/web", 1), tasks);
}

#[test]
fn a_second_process_on_the_data_directory_is_refused_by_name() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let (status, said) = dev.start_second();
    assert!(!status.success(), "{status}: {said}");
    let dir = dev.scratch.path("data").display().to_string();
    assert!(said.contains(&dir) && said.contains("another process"), "it says which directory, and why: {said}");
    let app = with(web("/web", 0), json!({ "healthChecks": null }));
    dev.cluster().post("/v2/apps", &app);
}

fn contains<K: Ord, V: PartialEq>(
    all: &std::collections::BTreeMap<K, V>,
    part: &std::collections::BTreeMap<K, V>,
) -> bool {
    part.iter().all(|(key, value)| all.get(key) == Some(value))
}

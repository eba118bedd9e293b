//! The path of the demo: a service is deployed, scaled, updated, restarted, loses an instance, and goes.

use crate::harness::app::with_image;
use crate::harness::cluster::{Cluster, Task};
use crate::harness::wait::{figure, timed};
use crate::harness::{Dev, Tool, docker, eventually, have, http, json_of_demo, seconds};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const APP: &str = "/demo/web";

#[test]
fn a_service_lives_through_all_that_happens_to_services_and_leaves_nothing_behind() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();

    let tasks = cluster.deploy(&json_of_demo());
    assert_eq!(tasks.len(), 3);
    assert_eq!(answers(&tasks), versions(&tasks, "1"));

    cluster.put(APP, &json!({ "instances": 5 }));
    let scaled = cluster.settled(APP, 5);
    assert!(ids(&tasks).is_subset(&ids(&scaled)), "scaling leaves those alone that run");

    cluster.put(APP, &with_image(json_of_demo(), "ekiden-demo:2"));
    let updated = cluster.settled(APP, 3);
    assert!(ids(&updated).is_disjoint(&ids(&scaled)), "an update replaces all");
    assert_eq!(answers(&updated), versions(&updated, "2"));

    cluster.put(APP, &with_image(json_of_demo(), "ekiden-demo:2"));
    assert_eq!(cluster.settled(APP, 3), updated, "the same again changes nothing");

    cluster.post(&format!("/v2/apps{APP}/restart"), &Value::Null);
    let restarted = cluster.settled(APP, 3);
    assert!(ids(&restarted).is_disjoint(&ids(&updated)), "a restart replaces all");

    replaces_a_killed_container(&cluster, &restarted);

    cluster.delete(&format!("/v2/apps{APP}"));
    eventually("no container is left", seconds(20), || match docker::containers(dev.id()) {
        ids if ids.is_empty() => Ok(()),
        ids => Err(ids.join(" ")),
    });
    cluster.no_deployments();
    assert_eq!(cluster.get("/v2/apps"), json!({ "apps": [] }));
    assert_eq!(cluster.send("GET", "/v2/apps/demo/web", &Value::Null).status, 404);
}

fn replaces_a_killed_container(cluster: &Cluster, tasks: &[Task]) {
    let victim = &tasks[0];
    docker::kill(victim.instance());
    let ((), took) = timed("another instance runs", seconds(20), || {
        let running = cluster.tasks(APP);
        if running.len() == 3 && !ids(&running).contains(&victim.id) { Ok(()) } else { Err(format!("{running:?}")) }
    });
    figure("from docker kill to a replacement that runs", format!("{took:?}"));
    let healed = cluster.settled(APP, 3);
    assert_eq!(ids(&healed).intersection(&ids(tasks)).count(), 2, "only the killed one is replaced");
    let failure = cluster.app(APP)["lastTaskFailure"].take();
    assert_eq!(failure["taskId"], json!(victim.id), "{failure}");
}

fn ids(tasks: &[Task]) -> BTreeSet<String> {
    tasks.iter().map(|it| it.id.clone()).collect()
}

/// What each instance says of itself at its own port: its id and its version.
fn answers(tasks: &[Task]) -> BTreeSet<(String, String)> {
    let ask = |it: &Task| {
        let text = http::get(it.address(), "/").expect("the instance answers").text();
        let value = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            found.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
        };
        (value("instance"), value("version"))
    };
    tasks.iter().map(ask).collect()
}

fn versions(tasks: &[Task], version: &str) -> BTreeSet<(String, String)> {
    tasks.iter().map(|it| (it.id.clone(), version.to_owned())).collect()
}

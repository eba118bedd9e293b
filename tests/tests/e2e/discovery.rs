//! What stands in Consul: exactly the healthy instances, soon, and nothing of ours besides.

use crate::harness::cluster::{Cluster, Task};
use crate::harness::ekiden::verb;
use crate::harness::wait::{figure, timed};
use crate::harness::{Consul, Dev, Tool, docker, have, http, json_of_demo, seconds, web};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const APP: &str = "/demo/web";
const SERVICE: &str = "web-demo";

/// So soon the list follows what happens.
const FOLLOWS: Duration = seconds(5);

#[test]
fn dns_names_exactly_the_healthy_instances() {
    if !have(&[Tool::Docker, Tool::Consul, Tool::Dig]) {
        return;
    }
    let consul = Consul::start();
    let foreign = [
        json!({ "ID": "db-1", "Name": "db", "Port": 5432, "Meta": { "ekiden-cluster": "0123456789ab" } }),
        json!({ "ID": "cache-1", "Name": "cache", "Port": 6379 }),
    ];
    for it in &foreign {
        consul.register(it);
    }
    let entries = consul.entries();
    let dev = Dev::start(&["--consul", &consul.url()]);
    let cluster = dev.cluster();

    let tasks = cluster.deploy(&json_of_demo());
    let took = follows(&consul, &cluster, 3);
    figure("DNS after the deployment of 3", format!("{took:?}"));
    assert_eq!(consul.srv(SERVICE), names(&tasks));

    cluster.put(APP, &json!({ "instances": 5 }));
    let scaled = cluster.settled(APP, 5);
    let took = follows(&consul, &cluster, 5);
    figure("DNS after the scale to 5", format!("{took:?}"));

    docker::kill(scaled[2].instance());
    let dead = (scaled[2].host.clone(), scaled[2].port);
    let ((), took) = timed("the killed one is named no more", FOLLOWS, || {
        let named = consul.srv(SERVICE);
        if named.contains(&dead) { Err(format!("{named:?}")) } else { Ok(()) }
    });
    figure("DNS without the killed one", format!("{took:?}"));
    cluster.settled(APP, 5);
    follows(&consul, &cluster, 5);

    let sick = &cluster.tasks(APP)[0];
    let sick_name = (sick.host.clone(), sick.port);
    http::send(sick.address(), "POST", "/fail?on=1", b"").expect("the instance answers");
    let ((), took) = timed("the unhealthy one is named no more", FOLLOWS, || {
        let named = consul.srv(SERVICE);
        if named.contains(&sick_name) { Err(format!("{named:?}")) } else { Ok(()) }
    });
    figure("DNS without the unhealthy one", format!("{took:?}"));

    let removed = verb(&cluster, &["app", "remove", APP, "--yes", "--wait"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    let ((), took) = timed("nobody is named", FOLLOWS, || match consul.srv(SERVICE) {
        named if named.is_empty() => Ok(()),
        named => Err(format!("{named:?}")),
    });
    figure("DNS empty after the removal", format!("{took:?}"));
    assert_eq!(consul.entries(), entries, "the entries of others are as they were");
}

#[test]
fn a_consul_that_hangs_delays_no_deployment_and_is_brought_up_to_date_afterwards() {
    if !have(&[Tool::Docker, Tool::Consul, Tool::Dig]) {
        return;
    }
    let consul = Consul::start();
    let dev = Dev::start(&["--consul", &consul.url()]);
    let cluster = dev.cluster();
    cluster.deploy(&web(APP, 1));
    follows(&consul, &cluster, 1);

    consul.hang(true);
    cluster.put(APP, &json!({ "instances": 2 }));
    cluster.settled_within(APP, 2, seconds(30));
    cluster.post(&format!("/v2/apps{APP}/restart"), &Value::Null);
    let tasks = cluster.settled_within(APP, 2, seconds(60));
    consul.hang(false);
    let ((), took) = timed("Consul is up to date", seconds(20), || {
        let named = consul.srv(SERVICE);
        if named == names(&tasks) { Ok(()) } else { Err(format!("{named:?}")) }
    });
    figure("Consul up to date after it hung", format!("{took:?}"));
}

#[test]
fn entries_survive_the_control_plane_and_stale_ones_go_when_it_comes_back() {
    if !have(&[Tool::Docker, Tool::Consul, Tool::Dig]) {
        return;
    }
    let consul = Consul::start();
    let mut dev = Dev::start(&["--consul", &consul.url()]);
    let cluster = dev.cluster();
    let tasks = cluster.deploy(&web(APP, 2));
    follows(&consul, &cluster, 2);

    dev.kill_hard();
    assert_eq!(consul.srv(SERVICE), names(&tasks), "they run, so they are named");
    docker::kill(tasks[0].instance());
    dev.start_again();
    cluster.settled(APP, 2);
    follows(&consul, &cluster, 2);
}

/// Waits until DNS names so many instances, and just those that are healthy now; returns how long that took.
fn follows(consul: &Consul, cluster: &Cluster, n: usize) -> Duration {
    let what = format!("DNS names the {n} healthy instances");
    let look = || {
        let (named, healthy) = (consul.srv(SERVICE), names(&cluster.tasks(APP)));
        if named.len() == n && named == healthy { Ok(()) } else { Err(format!("{named:?}, healthy are {healthy:?}")) }
    };
    timed(&what, FOLLOWS, look).1
}

fn names(tasks: &[Task]) -> BTreeSet<(String, u16)> {
    tasks.iter().filter(|it| it.healthy).map(|it| (it.host.clone(), it.port)).collect()
}

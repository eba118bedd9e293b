//! No deployment wins that serves nobody: new instances live first, and nobody is judged by what it has not passed.

use crate::harness::app::with;
use crate::harness::cluster::{Cluster, text};
use crate::harness::ekiden::verb;
use crate::harness::{Dev, Tool, docker, eventually, have, http, seconds, web};
use serde_json::{Value, json};
use std::time::Instant;

const APP: &str = "/demo/web";

/// The app, whose deployments are given up after a few seconds without progress, and rolled back.
fn impatient(fields: Value) -> Value {
    let labels = json!({ "EKIDEN_DEPLOYMENT_DEADLINE": "4", "EKIDEN_DEPLOYMENT_ROLLBACK": "true" });
    with(with(web(APP, 2), json!({ "labels": labels, "backoffFactor": 1 })), fields)
}

/// Waits for the end of a deployment that must fail; what it says of it. All the while these instances are there.
fn fails(cluster: &Cluster, deployment: &str, before: &[String]) -> String {
    let report = eventually("the deployment fails", seconds(60), || {
        let there: Vec<String> = cluster.tasks(APP).into_iter().map(|it| it.id).collect();
        assert!(before.iter().all(|it| there.contains(it)), "{before:?} serve till then, there are {there:?}");
        let report = cluster.get(&format!("/v3/deployments/{deployment}"));
        if report["status"] == "failed" { Ok(report) } else { Err(report) }
    });
    assert!(report["by"].is_string(), "it is rolled back: {report}");
    text(&report["waiting"][0]).to_owned()
}

#[test]
fn a_version_that_ends_soon_or_is_healthy_for_a_moment_only_replaces_nobody_and_says_how_it_ended() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&["--min-live", "3s"]);
    let cluster = dev.cluster();
    let before: Vec<String> = cluster.deploy(&impatient(json!({}))).into_iter().map(|it| it.id).collect();

    // Without health checks, and with them: either way it is there for a moment, and gone.
    for fields in [
        json!({ "args": ["--exit-after-ms", "1500"], "healthChecks": null }),
        json!({ "args": ["--exit-after-ms", "1600"] }),
    ] {
        let file = dev.scratch.write("brief.json", impatient(fields.clone()).to_string());
        let deployed = verb(&cluster, &["deploy", &file.display().to_string(), "--wait", "--timeout", "60s"]);
        assert_ne!(deployed.code, 0, "{fields}: {deployed:?}");
        let deployments = cluster.get("/v3/deployments");
        let failed =
            deployments["deployments"].as_array().expect("a list").iter().rev().find(|it| it["status"] == "failed");
        let failed = failed.unwrap_or_else(|| panic!("one has failed: {deployments}"));
        let why = fails(&cluster, text(&failed["id"]), &before);
        assert!(why.contains("exited with code 1"), "{why}");
        cluster.no_deployments();
        let there: Vec<String> = cluster.settled(APP, 2).into_iter().map(|it| it.id).collect();
        assert_eq!(there, before);
    }
}

#[test]
fn other_health_checks_that_are_wrong_take_nobody_down_and_right_ones_replace_nobody() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&["--min-live", "1s"]);
    let cluster = dev.cluster();
    let app = impatient(json!({}));
    let before: Vec<String> = cluster.deploy(&app).into_iter().map(|it| it.id).collect();
    let asking = |path: &str| {
        let mut check = app["healthChecks"][0].clone();
        check["path"] = json!(path);
        check["gracePeriodSeconds"] = json!(0);
        check["intervalSeconds"] = json!(1);
        check["maxConsecutiveFailures"] = json!(1);
        with(app.clone(), json!({ "healthChecks": [check] }))
    };
    let put = cluster.put(APP, &asking("/nowhere"));
    let why = fails(&cluster, text(&put["deploymentId"]), &before);
    assert!(why.contains("answered 404"), "{why}");
    cluster.no_deployments();
    cluster.put(APP, &asking("/"));
    let after: Vec<String> = cluster.settled(APP, 2).into_iter().map(|it| it.id).collect();
    assert_eq!(after, before);
}

#[test]
fn an_end_under_way_is_cut_short_by_another_kill() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let stubborn = json!({ "args": ["--ignore-term"], "taskKillGracePeriodSeconds": 600 });
    let tasks = cluster.deploy(&with(web(APP, 1), stubborn));
    let container = tasks[0].instance().to_owned();
    let kill = || {
        http::send(cluster.http, "DELETE", &format!("/v2/apps{APP}/tasks/{}", tasks[0].id), b"").expect("it answers")
    };
    assert_eq!(kill().status, 200);
    eventually("it was told to end", seconds(10), || {
        let state = cluster.get(&format!("/v2/apps{APP}/tasks"))["tasks"][0]["state"].take();
        if state == "TASK_KILLING" { Ok(()) } else { Err(state) }
    });
    let began = Instant::now();
    kill();
    eventually("it is gone", seconds(20), || match docker::inspect(&container) {
        Some(it) => Err(it["State"].to_string()),
        None => Ok(()),
    });
    crate::harness::wait::figure("an end of 600 s, cut short after", format!("{:?}", began.elapsed()));
}

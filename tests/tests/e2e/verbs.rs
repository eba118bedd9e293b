//! The operators' verbs against a real server: what they print, and how they end.

use crate::harness::app::{with, with_image};
use crate::harness::ekiden::{Said, verb};
use crate::harness::process::free_ports;
use crate::harness::{Cluster, Dev, Tool, eventually, have, json_of_demo, seconds, web};
use serde_json::{Value, json};
use std::net::SocketAddr;

#[test]
fn each_end_of_a_deployment_has_its_exit_code() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let write = |name: &str, app: &Value| dev.scratch.write(name, app.to_string()).display().to_string();
    let web_json = write("web.json", &json_of_demo());

    let deployed = ends(&cluster, 0, &["deploy", &web_json, "--wait", "--timeout", "60s"]);
    assert!(deployed.err.contains("/demo/web") && deployed.err.contains("3/3 healthy"), "{deployed:?}");
    assert!(!deployed.err.contains('\u{1b}'), "no escape sequences where nobody looks: {deployed:?}");
    assert_eq!(cluster.tasks("/demo/web").len(), 3);
    let unchanged = ends(&cluster, 0, &["deploy", &web_json, "--wait"]);
    assert!(unchanged.err.contains("unchanged"), "{unchanged:?}");

    let sick = with_image(web("/sick", 1), "ekiden-demo:never-healthy");
    let sick_json = write("sick.json", &sick);
    let timed_out = ends(&cluster, 4, &["deploy", &sick_json, "--wait", "--timeout", "3s"]);
    assert!(timed_out.err.contains("ekiden deployment rollback"), "{timed_out:?}");
    let locked = ends(&cluster, 6, &["app", "scale", "/sick", "2"]);
    assert!(locked.err.contains("locked"), "{locked:?}");
    ends(&cluster, 0, &["app", "remove", "/sick", "--yes", "--wait"]);

    let failing = with(web("/failing", 1), json!({ "args": ["--never-healthy", "--exit-after-ms", "20"] }));
    let failing_json = write("failing.json", &failing);
    let failed = ends(&cluster, 3, &["deploy", &failing_json, "--wait", "--fail-fast", "--timeout", "30s"]);
    assert!(failed.err.contains("exit"), "it says how the instance failed: {failed:?}");
    ends(&cluster, 0, &["app", "remove", "/failing", "--yes", "--wait"]);

    let huge = with(web("/huge", 1), json!({ "mem": 100_000_000 }));
    let huge_json = write("huge.json", &huge);
    let unplaced = ends(&cluster, 8, &["deploy", &huge_json, "--wait", "--fail-fast", "--timeout", "30s"]);
    assert!(unplaced.err.contains("mem"), "it says what is missing: {unplaced:?}");
    let waits = ends(&cluster, 0, &["queue"]);
    assert!(waits.out.contains("/huge"), "{waits:?}");
    ends(&cluster, 0, &["app", "remove", "/huge", "--yes", "--wait"]);

    ends(&cluster, 64, &["deploy"]);
    ends(&cluster, 64, &["no-such-verb"]);
    ends(&cluster, 64, &["app", "scale", "/demo/web", "many"]);
    for (id, place) in [("/bad", "/instances"), ("/Bad", "/id")] {
        let bad_json = write("bad.json", &json!({ "id": id, "instances": -1 }));
        let invalid = ends(&cluster, 65, &["deploy", &bad_json]);
        assert!(invalid.err.contains("bad.json") && invalid.err.contains(place), "{invalid:?}");
    }
    dev.scratch.write("no.json", "{ \"id\": ");
    ends(&cluster, 65, &["deploy", &dev.scratch.path("no.json").display().to_string()]);
    ends(&cluster, 66, &["app", "show", "/nowhere"]);
    ends(&cluster, 66, &["deployment", "rollback", "nothing"]);

    let [port] = free_ports();
    let nobody = Cluster { http: SocketAddr::from(([127, 0, 0, 1], port)) };
    let unreachable = ends(&nobody, 69, &["app", "list"]);
    assert!(unreachable.err.contains(&nobody.http.to_string()), "{unreachable:?}");
}

/// An update over a healthy version: one that dies soon after its start, and one that never becomes healthy.
#[test]
fn a_deployment_that_fails_ends_with_what_its_instances_left_behind() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let write = |name: &str, app: &Value| dev.scratch.write(name, app.to_string()).display().to_string();
    cluster.deploy(&web("/web", 1));
    for (fields, rolls_back, code, evidence) in [
        (json!({ "args": ["--never-healthy"] }), "true", 5, "last health check: answered 503 Service Unavailable: "),
        (json!({ "args": ["--never-healthy", "--exit-after-ms", "20"] }), "true", 5, "exiting after 20ms, as told\n"),
        (json!({ "args": ["--never-healthy", "--exit-after-ms", "20"] }), "false", 3, "exiting after 20ms, as told\n"),
    ] {
        let labels = json!({ "EKIDEN_DEPLOYMENT_DEADLINE": "3", "EKIDEN_DEPLOYMENT_ROLLBACK": rolls_back });
        let app = with(with(web("/web", 1), fields), json!({ "labels": labels }));
        let app = write("web.json", &app);
        let failed = ends(&cluster, code, &["deploy", &app, "--force", "--wait", "--timeout", "60s"]);
        assert!(failed.err.contains(evidence), "{failed:?}");
        assert!(failed.err.contains("last lines of web.") && failed.err.contains("listens on port"), "{failed:?}");
        assert!(failed.err.contains("why: no progress for 3 s; "), "{failed:?}");

        // The same with nothing but a client of HTTP.
        let deployments = cluster.get("/v3/deployments")["deployments"].clone();
        let failed = deployments.as_array().unwrap().iter().rev().find(|it| it["status"] == "failed").unwrap();
        let told = &failed["evidence"][0];
        assert_eq!((&told["app"], told["outOfMemory"].as_bool()), (&json!("/web"), Some(false)), "{told}");
        assert!(told["lines"].as_array().unwrap().iter().any(|it| it["text"].as_str().unwrap().contains("listens")));
    }
}

#[test]
fn every_verb_that_shows_something_prints_a_table_and_json() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let tasks = cluster.deploy(&web("/demo/web", 1));
    let task = tasks[0].id.as_str();
    let told = ends(&cluster, 0, &["events"]);
    assert!(told.out.contains("api_post_event") && told.out.contains("deployment_success"), "{told:?}");
    for (args, expect) in [
        (&["app", "list"][..], "/demo/web"),
        (&["app", "show", "/demo/web"], "ekiden-demo:1"),
        (&["app", "versions", "demo/web"], tasks[0].version.get(..10).expect("a date")),
        (&["task", "list"], task.rsplit('-').next().expect("an id")),
        (&["task", "list", "-o", "wide"], task),
        (&["node", "list"], "ready"),
        (&["deployment", "list", "--all"], "/demo/web"),
        (&["queue"], ""),
        (&["version"], "ekiden"),
    ] {
        let table = ends(&cluster, 0, args);
        assert!(table.out.contains(expect), "{args:?}: {table:?}");
        if args.contains(&"wide") {
            continue;
        }
        let as_json = ends(&cluster, 0, &[args, &["-o", "json"]].concat());
        let parsed = serde_json::from_str::<Value>(&as_json.out);
        assert!(parsed.is_ok_and(|it| !it.is_null()), "{args:?}: {as_json:?}");
    }

    let scaled = ends(&cluster, 0, &["app", "scale", "demo/web", "2", "--wait", "-o", "json"]);
    let result: Value = serde_json::from_str(&scaled.out).expect("JSON");
    assert_eq!((&result["result"], &result["exitCode"]), (&json!("succeeded"), &json!(0)), "{scaled:?}");
    assert_eq!(cluster.tasks("/demo/web").len(), 2);

    ends(&cluster, 0, &["task", "kill", task]);
    eventually("it is replaced", seconds(30), || {
        let now = cluster.tasks("/demo/web");
        if now.len() == 2 && now.iter().all(|it| it.id != task) { Ok(()) } else { Err(format!("{now:?}")) }
    });
    ends(&cluster, 0, &["app", "restart", "/demo/web", "--wait"]);
    ends(&cluster, 0, &["app", "update", "/demo/web", "env.GREETING=again", "--wait"]);
    assert_eq!(cluster.app("/demo/web")["env"]["GREETING"], "again");

    for shell in ["bash", "zsh", "fish"] {
        let script = ends(&cluster, 0, &["completions", shell]);
        assert!(script.out.contains("ekiden") && script.out.contains("deployment"), "{shell}: {script:?}");
    }
    for role in ["dev", "server", "agent"] {
        let help = ends(&cluster, 0, &[role, "--help"]);
        assert!(help.out.contains("Usage"), "{help:?}");
    }
}

#[track_caller]
fn ends(cluster: &Cluster, code: i32, args: &[&str]) -> Said {
    let said = verb(cluster, args);
    assert_eq!(said.code, code, "ekiden {}\n{}{}", args.join(" "), said.out, said.err);
    said
}

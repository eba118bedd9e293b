//! What becomes of an app's definition in the Docker engine.

use crate::harness::app::{with, with_image};
use crate::harness::wait::timed;
use crate::harness::{Dev, Tool, docker, eventually, have, http, seconds, web};
use serde_json::{Value, json};

#[test]
fn a_container_has_the_limits_labels_and_variables_of_its_app() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let task = cluster.deploy(&web("/pay/web", 1)).remove(0);

    let container = docker::inspect(task.instance()).expect("its name is the instance's id");
    let host = &container["HostConfig"];
    assert_eq!(host["Memory"], 32 << 20);
    assert!(host["PidsLimit"].as_i64().is_some_and(|it| it > 0), "{}", host["PidsLimit"]);
    assert!(host["CpuShares"].as_i64() > Some(0) || host["NanoCpus"].as_i64() > Some(0), "{host}");
    assert_eq!(host["LogConfig"], docker::own_log_config(), "the engine's own log driver counts");
    let labels = &container["Config"]["Labels"];
    for (label, expect) in [("cluster", dev.id()), ("app", "/pay/web"), ("instance", task.instance())] {
        assert_eq!(labels[format!("ekiden.{label}")], expect, "{labels}");
    }
    assert!(labels["ekiden.node"].is_string() && labels["ekiden.version"].is_string(), "{labels}");

    let env = http::get(task.address(), "/env").expect("the instance answers").json();
    let port = task.port.to_string();
    for (name, expect) in [
        ("MARATHON_APP_ID", "/pay/web"),
        ("MESOS_TASK_ID", &task.id),
        ("MARATHON_APP_DOCKER_IMAGE", "ekiden-demo:1"),
        ("MARATHON_APP_RESOURCE_MEM", "32.0"),
        ("MARATHON_APP_LABEL_TEAM", "demo"),
        ("HOST", &task.host),
        ("PORT", &port),
        ("PORT0", &port),
        ("PORT_8080", &port),
        ("PORT_HTTP", &port),
        ("PORTS", &port),
        ("GREETING", "hello from Ekiden"),
    ] {
        assert_eq!(env[name], expect, "{name} in {env}");
    }
}

#[test]
fn an_app_on_the_hosts_network_listens_on_the_port_drawn_for_it() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let host = json!({
        "networks": [{ "mode": "host" }],
        "portDefinitions": [{ "port": 0, "name": "http" }],
        "container": { "type": "DOCKER", "docker": { "image": "ekiden-demo:1" } },
    });
    let task = cluster.deploy(&with(web("/host", 1), host)).remove(0);
    let text = http::get(task.address(), "/").expect("the instance answers").text();
    assert!(text.contains(&task.id), "{text}");
}

#[test]
fn commands_and_command_checks_run_in_the_containers_own_shell() {
    if !have(&[Tool::Docker, Tool::Busybox]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let check = |command: &str| {
        json!([{
            "protocol": "COMMAND", "command": { "value": command }, "gracePeriodSeconds": 5, "intervalSeconds": 1,
            "timeoutSeconds": 2, "maxConsecutiveFailures": 0,
        }])
    };
    let fields = json!({
        "cmd": "echo $MARATHON_APP_ID > /tmp/who; exec /demo-app",
        "healthChecks": check("test \"$(cat /tmp/who)\" = /shell"),
    });
    cluster.deploy(&with(with_image(web("/shell", 1), docker::image_with_shell()), fields));

    let failing =
        with(with_image(web("/fails", 1), docker::image_with_shell()), json!({ "healthChecks": check("exit 7") }));
    cluster.put("/fails", &failing);
    eventually("the check's exit code is told", seconds(20), || {
        let app = cluster.app("/fails");
        if app["tasks"].to_string().contains('7') && app["tasksUnhealthy"] == 1 { Ok(()) } else { Err(app) }
    });
}

#[test]
fn a_stop_is_polite_for_the_grace_period_and_then_hard() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let polite = cluster.deploy(&with(web("/polite", 1), json!({ "taskKillGracePeriodSeconds": 20 })));
    let deaf_fields = json!({ "args": ["--ignore-term"], "taskKillGracePeriodSeconds": 2 });
    let deaf = cluster.deploy(&with(web("/deaf", 1), deaf_fields));
    let gone = |instance: &str| match docker::inspect(instance) {
        None => Ok(()),
        Some(it) => Err(it["State"].to_string()),
    };
    cluster.delete("/v2/apps/polite");
    let ((), took) = timed("one that listens is gone", seconds(10), || gone(polite[0].instance()));
    assert!(took < seconds(6), "{took:?}");
    cluster.delete("/v2/apps/deaf");
    let ((), took) = timed("one that does not is gone", seconds(10), || gone(deaf[0].instance()));
    assert!(took > seconds(1), "it had its grace period: {took:?}");
    cluster.no_deployments();
    assert_eq!(cluster.send("GET", "/v2/apps/deaf", &Value::Null).status, 404);
}

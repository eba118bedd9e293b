//! Data that outlives containers, and containers that live and die together.

use crate::harness::app::with_image;
use crate::harness::cluster::{list, text};
use crate::harness::docker::image_with_shell;
use crate::harness::process::says;
use crate::harness::{Dev, Tool, docker, eventually, have, seconds, web};
use serde_json::{Value, json};

/// What `/bin/sh -c` says inside a container.
fn sh(container: &str, command: &str) -> String {
    says("docker", &["exec", container, "/bin/sh", "-c", command]).trim().to_owned()
}

#[test]
fn an_app_with_a_persistent_volume_keeps_its_data() {
    if !have(&[Tool::Docker, Tool::Busybox]) {
        return;
    }
    let mut dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let mut app = with_image(web("/db", 1), image_with_shell());
    app["container"]["volumes"] = json!([{ "containerPath": "data", "mode": "RW", "persistent": { "size": 16 } }]);
    app.as_object_mut().expect("an app").remove("upgradeStrategy");
    let first = cluster.deploy(&app).remove(0);
    let data = "/mnt/mesos/sandbox/data/kept";
    sh(first.instance(), &format!("echo precious > {data}"));
    let volumes = cluster.app("/db")["tasks"][0]["localVolumes"].take();
    assert_eq!(volumes[0]["containerPath"], "data", "{volumes}");
    let persistence = text(&volumes[0]["persistenceId"]).to_owned();
    assert!(persistence.starts_with("db#data#"), "{persistence}");

    let mut last = first;
    let mut check = |what: &str, cluster: &crate::harness::cluster::Cluster| {
        let now = cluster.settled_within("/db", 1, seconds(90)).remove(0);
        assert_eq!(sh(now.instance(), &format!("cat {data}")), "precious", "after {what}");
        let volumes = &cluster.app("/db")["tasks"][0]["localVolumes"];
        assert_eq!(volumes[0]["persistenceId"], persistence.as_str(), "after {what}");
        std::mem::replace(&mut last, now)
    };
    cluster.put("/db", &json!({ "env": { "ROUND": "2" } }));
    let before = check("an update", &cluster);
    cluster.post("/v2/apps/db/restart", &Value::Null);
    let after = check("a restart", &cluster);
    assert_ne!(before.id, after.id);
    let containers = docker::running(dev.id());
    dev.kill_hard();
    dev.start_again();
    check("kill -9 of the agent", &cluster);
    assert_eq!(docker::running(dev.id()), containers, "the same container");
    cluster.put("/db", &json!({ "instances": 0 }));
    cluster.no_deployments();
    cluster.put("/db", &json!({ "instances": 1 }));
    check("suspending it", &cluster);

    let folder = dev.scratch.path("data/agent/volumes");
    let kept = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    assert_eq!(kept(), 1, "{}", folder.display());
    cluster.remove("/db");
    eventually("the data goes with the app", seconds(20), || if kept() == 0 { Ok(()) } else { Err(kept()) });
}

#[test]
fn a_pod_shares_its_network_and_a_volume_and_dies_and_returns_as_one() {
    if !have(&[Tool::Docker, Tool::Busybox]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let image = json!({ "kind": "DOCKER", "id": image_with_shell() });
    let mounts = json!([{ "name": "shared", "mountPath": "/shared" }]);
    let resources = json!({ "cpus": 0.05, "mem": 32 });
    let pod = json!({
        "id": "/pair",
        "containers": [
            {
                "name": "server",
                "image": image,
                "resources": resources,
                "endpoints": [{ "name": "http", "containerPort": 8080, "hostPort": 0, "protocol": ["tcp"] }],
                "healthCheck": {
                    "http": { "endpoint": "http", "path": "/health" },
                    "gracePeriodSeconds": 20, "intervalSeconds": 2, "timeoutSeconds": 1
                },
                "volumeMounts": mounts,
            },
            {
                "name": "side",
                "image": image,
                "resources": resources,
                "exec": { "command": { "shell": "while true; do sleep 1; done" } },
                "volumeMounts": mounts,
            },
        ],
        "volumes": [{ "name": "shared" }],
        "networks": [{ "mode": "container/bridge" }],
        "scaling": { "kind": "fixed", "instances": 1 },
        "scheduling": { "backoff": { "backoff": 0.1, "backoffFactor": 1.0, "maxLaunchDelay": 1 } },
    });
    cluster.post("/v2/pods", &pod);
    let stable = || {
        eventually("the pod is stable", seconds(60), || {
            let status = cluster.get("/v2/pods/pair::status");
            if status["status"] == "STABLE" { Ok(status) } else { Err(status) }
        })
    };
    let status = stable();
    let containers = docker::running(dev.id());
    assert_eq!(containers.len(), 3, "two, and the one that owns the network: {containers:?}");
    let of = |name: &str| {
        let named = containers.keys().find(|id| {
            let it = docker::inspect(id).expect("it runs");
            text(&it["Name"]).ends_with(&format!(".{name}"))
        });
        named.unwrap_or_else(|| panic!("no container {name}")).clone()
    };
    let (server, side) = (of("server"), of("side"));
    assert!(sh(&side, "wget -q -O - http://127.0.0.1:8080/health").contains("ok"), "they share localhost");
    sh(&server, "echo hello > /shared/word");
    assert_eq!(sh(&side, "cat /shared/word"), "hello", "they share a volume");
    let instance = text(&status["instances"][0]["id"]).to_owned();
    let names: Vec<_> = list(&status["instances"][0]["containers"]).map(|it| text(&it["name"]).to_owned()).collect();
    assert_eq!(names, ["server", "side"]);

    docker::kill(&side);
    eventually("all of it is replaced", seconds(60), || {
        let status = cluster.get("/v2/pods/pair::status");
        let ids: Vec<_> = list(&status["instances"]).map(|it| text(&it["id"]).to_owned()).collect();
        let new = status["status"] == "STABLE" && !ids.contains(&instance);
        if new { Ok(()) } else { Err(status) }
    });
    eventually("nothing of the old one is left", seconds(30), || {
        let now = docker::containers(dev.id());
        let old: Vec<_> = now.iter().filter(|it| containers.contains_key(*it)).collect();
        if old.is_empty() && now.len() == 3 { Ok(()) } else { Err(format!("{now:?}")) }
    });
    assert_eq!(cluster.send("DELETE", "/v2/pods/pair", &Value::Null).status, 202);
    cluster.no_deployments();
    eventually("it is gone", seconds(30), || {
        let left = docker::containers(dev.id());
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

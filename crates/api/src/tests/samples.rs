//! App definitions of the kinds that Marathon's documentation and its users have, and what becomes of each.

use super::world::World;
use serde_json::{Value, json};

#[tokio::test]
async fn definitions_as_users_have_them_are_accepted() {
    let samples = [
        // Bridge networking with port mappings, in the dialect of 1.4 and before.
        json!({
            "id": "bridged-webapp",
            "cmd": "python3 -m http.server 8080",
            "cpus": 0.5, "mem": 64.0, "instances": 2,
            "container": {
                "type": "DOCKER",
                "docker": {
                    "image": "python:3", "network": "BRIDGE", "forcePullImage": true,
                    "portMappings": [
                        { "containerPort": 8080, "hostPort": 0, "servicePort": 9000, "protocol": "tcp" },
                        { "containerPort": 161, "hostPort": 0, "protocol": "udp" },
                    ],
                    "parameters": [{ "key": "hostname", "value": "a.corp.org" }],
                },
            },
            "healthChecks": [{
                "protocol": "HTTP", "portIndex": 0, "path": "/", "gracePeriodSeconds": 5, "intervalSeconds": 20,
                "maxConsecutiveFailures": 3, "timeoutSeconds": 20,
            }],
        }),
        // Host networking, volumes, constraints and a check by command.
        json!({
            "id": "/product/us-east/service/myapp",
            "cmd": "env && sleep 300",
            "args": null,
            "cpus": 1.5, "mem": 256.0, "instances": 1,
            "portDefinitions": [
                { "port": 8080, "protocol": "tcp", "name": "http", "labels": { "VIP_0": "10.0.0.1:80" } },
                { "port": 9000, "protocol": "tcp", "name": "admin" },
            ],
            "requirePorts": false,
            "container": {
                "type": "DOCKER",
                "docker": { "image": "group/image", "network": "HOST", "privileged": false, "parameters": [] },
                "volumes": [
                    { "containerPath": "/etc/a", "hostPath": "/var/data/a", "mode": "RO" },
                    { "containerPath": "/etc/b", "hostPath": "/var/data/b", "mode": "RW" },
                ],
            },
            "env": { "LD_LIBRARY_PATH": "/usr/local/lib/myLib" },
            "constraints": [["attribute", "UNLIKE", "(x|y)"], ["hostname", "UNIQUE"]],
            "acceptedResourceRoles": ["*"],
            "labels": { "environment": "staging" },
            "uris": [], "dependencies": [],
            "healthChecks": [
                { "protocol": "COMMAND", "command": { "value": "curl -f -X GET http://$HOST:$PORT0/health" }, "maxConsecutiveFailures": 3 },
                { "protocol": "TCP", "portIndex": 1, "gracePeriodSeconds": 3 },
            ],
            "backoffSeconds": 1, "backoffFactor": 1.15, "maxLaunchDelaySeconds": 3600,
            "upgradeStrategy": { "minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.2 },
            "taskKillGracePeriodSeconds": 30,
        }),
        // The dialect of 1.5 and later.
        json!({
            "id": "/networking/bridge",
            "networks": [{ "mode": "container/bridge" }],
            "container": {
                "type": "DOCKER",
                "docker": { "image": "nginx" },
                "portMappings": [{ "containerPort": 80, "hostPort": 31_500, "name": "http", "labels": {}, "protocol": "udp,tcp" }],
            },
            "unreachableStrategy": { "inactiveAfterSeconds": 300, "expungeAfterSeconds": 600 },
            "killSelection": "OLDEST_FIRST",
        }),
        // What a client writes that fills in every field it knows.
        json!({
            "id": "/filled", "cmd": "sleep 1", "args": null, "constraints": [], "user": null, "env": {}, "executor": "",
            "storeUrls": [], "ports": [], "dependencies": null, "fetch": [], "secrets": {}, "residency": null,
            "ipAddress": null, "readinessChecks": [], "labels": {}, "version": null, "versionInfo": null, "tasks": [],
            "deployments": [], "tasksRunning": 0, "lastTaskFailure": null, "gpus": 0, "disk": 0.0, "cpus": 0.1, "mem": 16,
            "container": { "type": "DOCKER", "docker": { "image": "busybox", "credential": null }, "volumes": null, "portMappings": null },
            "networks": [], "healthChecks": null, "unreachableStrategy": null, "upgradeStrategy": null,
        }),
        // A single instance, suspended.
        json!({
            "id": "/single", "instances": 0, "cmd": "x", "container": { "docker": { "image": "x" } },
            "labels": { "MARATHON_SINGLE_INSTANCE_APP": "true" },
            "upgradeStrategy": { "minimumHealthCapacity": 0, "maximumOverCapacity": 0 },
        }),
    ];
    let world = World::new();
    for sample in samples {
        let answer = world.ask("POST /v2/apps?strict=true", sample.clone()).await;
        assert_eq!(answer.status, 201, "{sample}: {}", answer.text);
        assert!(!answer.text.contains("null"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_docker_app_without_network_is_on_the_hosts_and_says_so() {
    let world = World::new();
    let app = json!({
        "id": "/a", "container": { "docker": { "image": "x" }, "portMappings": [{ "containerPort": 80 }] },
    });
    let answer = world.ask("POST /v2/apps", app).await;
    assert_eq!(answer.json()["networks"], json!([{ "mode": "host" }]));
    let warning = answer.header("x-ekiden-warnings");
    assert!(
        warning.starts_with("/container/portMappings: port mappings have no effect on the host network"),
        "{warning}"
    );
}

#[tokio::test]
async fn an_app_changes_its_network() {
    let world = World::new();
    world.run(json!({ "id": "/a", "cmd": "x", "container": { "docker": { "image": "x" } } })).await;
    let answer =
        world.ask("PATCH /v2/apps/a?strict=true", json!({ "networks": [{ "mode": "container/bridge" }] })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    world.fake.settle();
    let read = world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].clone();
    assert_eq!(read["container"]["portMappings"][0]["containerPort"], 0);
    assert!(read.get("portDefinitions").is_none());
    let container = json!({ "docker": { "image": "x", "network": "HOST" } });
    let answer = world.ask("PUT /v2/apps/a?strict=true", json!({ "container": container, "ports": [0, 0] })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    world.fake.settle();
    let read = world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].clone();
    assert_eq!(
        (&read["networks"], read["portDefinitions"].as_array().unwrap().len()),
        (&json!([{ "mode": "host" }]), 2)
    );
}

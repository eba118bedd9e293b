//! `/v2/pods`: create, read, change, kill, delete; and that no app's route knows of pods.

use super::world::{Answer, World, app};
use crate::testing::Fake;
use crate::{from_wire, time, to_wire, v2};
use cluster::agent::Seen;
use cluster::pattern::Patterns;
use cluster::{AppId, AppVersion, Command, End, EndKind, Health, Principal, Settings, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

/// A pod of two containers on the bridge network: one with endpoint and check, one beside it.
fn pod(id: &str, instances: u32) -> Value {
    json!({
        "id": id,
        "scaling": { "kind": "fixed", "instances": instances },
        "networks": [{ "mode": "container/bridge" }],
        "volumes": [{ "name": "logs" }],
        "containers": [
            {
                "name": "web",
                "image": { "kind": "DOCKER", "id": "nginx:1.25" },
                "resources": { "cpus": 0.1, "mem": 32 },
                "endpoints": [{ "name": "http", "containerPort": 80 }],
                "healthCheck": { "http": { "endpoint": "http", "path": "/health" } },
                "volumeMounts": [{ "name": "logs", "mountPath": "/var/log" }],
            },
            {
                "name": "shipper",
                "image": { "kind": "DOCKER", "id": "shipper:2" },
                "exec": { "command": { "argv": ["ship", "/logs"] } },
                "resources": { "cpus": 0.2, "mem": 16, "disk": 5 },
                "volumeMounts": [{ "name": "logs", "mountPath": "/logs", "readOnly": true }],
            },
        ],
    })
}

async fn run(world: &World, pod: Value) -> Value {
    let answer = world.ask("POST /v2/pods", pod).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    world.fake.settle();
    answer.json()
}

async fn get(world: &World, path: &str) -> Answer {
    world.ask(&format!("GET {path}"), Value::Null).await
}

#[tokio::test]
async fn a_posted_pod_is_answered_whole() {
    let world = World::new();
    let answer = world.ask("POST /v2/pods", pod("/pay/api", 2)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.header("location"), "http://ekiden:8080/v2/pods/pay/api");
    let deployments = get(&world, "/v2/deployments").await.json();
    assert_eq!(deployments[0]["id"], answer.header("marathon-deployment-id"));
    assert_eq!(
        (&deployments[0]["affectedApps"], &deployments[0]["affectedPods"], &deployments[0]["steps"]),
        (
            &json!([]),
            &json!(["/pay/api"]),
            &json!([
                { "actions": [{ "action": "StartPod", "pod": "/pay/api" }] },
                { "actions": [{ "action": "ScalePod", "pod": "/pay/api" }] },
            ])
        )
    );
    let body = answer.json();
    let version = body["version"].clone();
    assert_eq!(
        body,
        json!({
            "id": "/pay/api",
            "version": version,
            "containers": [
                {
                    "name": "web",
                    "resources": { "cpus": 0.1, "mem": 32, "disk": 0, "gpus": 0 },
                    "endpoints": [{ "name": "http", "containerPort": 80, "hostPort": 0, "protocol": ["tcp"] }],
                    "image": { "kind": "DOCKER", "id": "nginx:1.25" },
                    "healthCheck": {
                        "http": { "endpoint": "http", "path": "/health", "scheme": "HTTP" },
                        "gracePeriodSeconds": 300, "intervalSeconds": 60, "maxConsecutiveFailures": 3,
                        "timeoutSeconds": 20, "delaySeconds": 15,
                    },
                    "volumeMounts": [{ "name": "logs", "mountPath": "/var/log", "readOnly": false }],
                },
                {
                    "name": "shipper",
                    "exec": { "command": { "argv": ["ship", "/logs"] } },
                    "resources": { "cpus": 0.2, "mem": 16, "disk": 5, "gpus": 0 },
                    "image": { "kind": "DOCKER", "id": "shipper:2" },
                    "volumeMounts": [{ "name": "logs", "mountPath": "/logs", "readOnly": true }],
                },
            ],
            "volumes": [{ "name": "logs" }],
            "networks": [{ "mode": "container/bridge" }],
            "scaling": { "kind": "fixed", "instances": 2 },
            "scheduling": {
                "backoff": { "backoff": 1, "backoffFactor": 1.15, "maxLaunchDelay": 300 },
                "upgrade": { "minimumHealthCapacity": 1, "maximumOverCapacity": 1 },
                "killSelection": "YOUNGEST_FIRST",
                "unreachableStrategy": { "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 },
            },
            "executorResources": { "cpus": 0.1, "mem": 32, "disk": 10 },
            "role": "*",
        })
    );
    assert_eq!(get(&world, "/v2/pods//pay/api").await.json(), body);
    assert_eq!(get(&world, "/v2/pods").await.json(), json!([body]));
    assert_eq!(world.ask("HEAD /v2/pods", Value::Null).await.status, 200);
    let state = world.fake.state();
    let run = &state.live_app(&AppId::parse("/pay/api").unwrap()).unwrap().current.spec.run;
    assert_eq!(
        (run.resources.cpu_milli, run.resources.memory_bytes, run.resources.disk_bytes),
        (300, 48 << 20, 5 << 20)
    );
}

#[tokio::test]
async fn definitions_as_users_have_them_are_accepted() {
    let world = World::new();
    let settings = Settings { command_image: "busybox:1".to_owned(), ..world.fake.state().settings().clone() };
    world.fake.apply(Principal::Leader, Command::Configure { settings }).unwrap();
    let container = |name: &str| {
        json!({
            "name": name, "exec": { "command": { "shell": "sleep 1000" } },
            "resources": { "cpus": 0.1, "mem": 32, "disk": 0, "gpus": 0 },
        })
    };
    let samples = [
        // What early versions printed, every field there.
        json!({
            "id": "/old",
            "containers": [{
                "artifacts": [], "endpoints": [], "environment": {}, "exec": { "command": { "shell": "sleep 1" } },
                "healthCheck": null, "image": null, "labels": {}, "lifecycle": null, "name": "sleep1",
                "resources": { "cpus": 0.1, "disk": 0, "gpus": 0, "mem": 32 }, "user": null, "volumeMounts": [],
            }],
            "environment": {}, "labels": {}, "networks": [{ "labels": {}, "mode": "host", "name": null }],
            "scaling": { "instances": 2, "kind": "fixed", "maxInstances": null },
            "scheduling": {
                "backoff": { "backoff": 1, "backoffFactor": 1.15, "maxLaunchDelay": 3600 },
                "placement": { "acceptedResourceRoles": [], "constraints": [] },
                "upgrade": { "maximumOverCapacity": 1, "minimumHealthCapacity": 1 },
                "killSelection": "Oldest_First",
                "unreachableStrategy": { "inactiveAfterSeconds": 900, "expungeAfterSeconds": 604_800 },
            },
            "secrets": {}, "user": null, "volumes": [],
            "executorResources": { "cpus": 0.1, "mem": 32, "disk": 10 },
        }),
        // A shared directory inside the sandbox, no network named.
        json!({
            "id": "/shared", "volumes": [{ "name": "v1" }, { "name": "conf", "host": "/etc/app" }],
            "containers": [
                { "name": "ct1", "image": { "kind": "DOCKER", "id": "x", "forcePull": true },
                  "resources": { "cpus": 0.1, "mem": 32 },
                  "volumeMounts": [{ "name": "v1", "mountPath": "data" }, { "name": "conf", "mountPath": "/etc/app" }] },
                container("ct2"),
            ],
        }),
        // Everything else at once.
        json!({
            "id": "/all", "labels": { "team": "pay" }, "environment": { "_A1": "x" }, "user": "nobody", "role": "*",
            "networks": [{ "mode": "container", "name": "net_1", "labels": { "a": "b" } }],
            "containers": [{
                "name": "c", "image": { "kind": "DOCKER", "id": "x" }, "resources": { "cpus": 1, "mem": 64 },
                "exec": { "command": { "argv": ["run"] }, "overrideEntrypoint": true },
                "endpoints": [
                    { "name": "web", "containerPort": 80, "protocol": ["http"], "labels": { "VIP_0": "a:80" } },
                    { "name": "dns", "containerPort": 53, "hostPort": 5353, "protocol": ["udp", "tcp"], "networkNames": ["net_1"] },
                ],
                "environment": { "B": "y" }, "user": "root", "labels": { "c": "1" }, "tty": true,
                "lifecycle": { "killGracePeriodSeconds": 2.5 },
                "healthCheck": { "exec": { "command": { "argv": ["check", "it's"] } }, "intervalSeconds": 5, "timeoutSeconds": 3 },
                "artifacts": [{ "uri": "https://files.example/a.tgz", "cache": true, "destPath": "in/a.tgz" }],
            }],
            "scheduling": {
                "placement": {
                    "constraints": [{ "fieldName": "rack", "operator": "LIKE", "value": "r-.*" }, { "fieldName": "hostname", "operator": "UNIQUE" }],
                    "acceptedResourceRoles": ["*"],
                },
                "unreachableStrategy": "disabled",
            },
        }),
    ];
    for sample in samples {
        let answer = world.ask("POST /v2/pods?strict=true", sample.clone()).await;
        assert_eq!(answer.status, 201, "{sample}: {}", answer.text);
        assert!(!answer.text.contains("null"), "{}", answer.text);
        let read = get(&world, &format!("/v2/pods{}", sample["id"].as_str().unwrap())).await.json();
        let again = world
            .ask(&format!("PUT /v2/pods{}?strict=true&force=true", sample["id"].as_str().unwrap()), read.clone())
            .await;
        assert_eq!((again.status, again.json()), (200, read), "{}", again.text);
    }
    let all = get(&world, "/v2/pods/all").await.json();
    let container = &all["containers"][0];
    assert_eq!(container["endpoints"][0]["protocol"], json!(["tcp"]));
    assert!(container["endpoints"][0].get("hostPort").is_none(), "none is asked for in a container network");
    assert_eq!(container["healthCheck"]["exec"]["command"], json!({ "argv": ["check", "it's"] }));
    assert_eq!(container["lifecycle"]["killGracePeriodSeconds"], 2.5);
    assert_eq!(
        all["scheduling"]["placement"]["constraints"][1],
        json!({ "fieldName": "hostname", "operator": "UNIQUE" })
    );
}

/// Posts a pod and returns what is wrong with it, as `path: error`.
async fn wrong(world: &World, pod: Value) -> Vec<String> {
    let answer = world.ask("POST /v2/pods", pod).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let details = answer.json()["details"].as_array().unwrap().clone();
    let lines = details.iter().flat_map(|it| {
        let path = it["path"].as_str().unwrap();
        it["errors"].as_array().unwrap().iter().map(move |error| format!("{path}: {}", error.as_str().unwrap()))
    });
    lines.collect()
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let world = World::new();
    let bad = json!({
        "id": "/a",
        "environment": { "1A": "x" },
        "networks": [{ "mode": "host" }],
        "volumes": [{ "name": "v" }, { "name": "unused" }, { "name": "V" }],
        "scaling": { "instances": 1 },
        "containers": [
            {
                "name": "c",
                "exec": { "command": { "shell": "x" }, "overrideEntrypoint": false },
                "endpoints": [{ "name": "e", "containerPort": 80, "protocol": ["tcp", "tcp"] }, { "name": "e", "hostPort": 99_999 }],
                "healthCheck": { "http": { "endpoint": "other" }, "intervalSeconds": 5 },
                "volumeMounts": [{ "name": "none", "mountPath": "../x" }, { "name": "v", "mountPath": "/v" }, { "name": "V", "mountPath": "/v" }],
            },
            {
                "name": "c", "image": { "kind": "APPC", "id": "A b" }, "resources": { "cpus": 0, "mem": 1 },
                "exec": { "command": {} }, "healthCheck": { "tcp": { "endpoint": "e" }, "http": { "endpoint": "e" } },
                "lifecycle": { "killGracePeriodSeconds": "1" },
                "artifacts": [{ "uri": "ftp://x/y", "destPath": "/abs" }, {}],
            },
            { "name": "empty", "resources": {} },
        ],
        "scheduling": { "placement": { "constraints": [{ "fieldName": "a", "operator": "LIKE" }, { "operator": "UNIQUE" }] }, "killSelection": "ANY" },
    });
    let mut found = wrong(&world, bad).await;
    found.sort();
    let mut expect = vec![
        "/environment/1A: must fully match regular expression '^[a-zA-Z_][a-zA-Z0-9_]{0,253}?$'",
        "/volumes(1): must be mounted by at least one container",
        "/volumes(2)/name: must fully match regular expression '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$', of 63 characters at most",
        "/scaling/kind: error.path.missing",
        "/containers(0)/resources: error.path.missing",
        "/containers(0)/image: not defined: this cluster has no image for commands (its setting 'command_image'); give one",
        "/containers(0)/exec/overrideEntrypoint: must not be false for a 'shell' command: the shell takes the place of the image's entrypoint",
        "/containers(0)/endpoints(0)/containerPort: is not allowed when using host-mode networking",
        "/containers(0)/endpoints(0)/protocol: Duplicate protocols within the same endpoint are not allowed",
        "/containers(0)/endpoints(1)/hostPort: must be 65535 or less, it is 99999",
        "/containers(0)/endpoints(1)/name: Endpoint names are unique",
        "/containers(0)/healthCheck/timeoutSeconds: must be less than intervalSeconds; they are 20 and 5",
        "/containers(0)/healthCheck/http/endpoint: must be the name of an endpoint of the same container",
        "/containers(0)/volumeMounts(0)/name: must be the name of one of the pod's 'volumes'",
        "/containers(0)/volumeMounts(0)/mountPath: must not contain '..'",
        "/containers(0)/volumeMounts(2)/mountPath: two volumes must not have the same path",
        "/containers(1)/name: container names are unique",
        "/containers(1)/image/kind: must be one of DOCKER; it is 'APPC'",
        "/containers(1)/image/id: is not an image reference: '[registry/]name[:tag][@digest]', the name in lower case",
        "/containers(1)/resources/cpus: must be between 0.001 and 4096",
        "/containers(1)/resources/mem: must be 6 (MiB) or more: Docker starts no container with less",
        "/containers(1)/exec/command: must have 'shell' or 'argv', and not both",
        "/containers(1)/healthCheck: must have exactly one of 'http', 'tcp' and 'exec'",
        "/containers(1)/lifecycle/killGracePeriodSeconds: error.expected.jsnumber",
        "/containers(1)/artifacts(0)/uri: must be a URI of scheme http, https or file, of 1024 characters at most",
        "/containers(1)/artifacts(0)/destPath: must be relative: files are fetched into the sandbox",
        "/containers(1)/artifacts(1)/uri: error.path.missing",
        "/containers(2): must have an 'image', an 'exec' or both",
        "/scheduling/placement/constraints(0): LIKE and UNLIKE require a non-empty, regular expression value",
        "/scheduling/placement/constraints(1)/fieldName: error.path.missing",
        "/scheduling/killSelection: must be one of YOUNGEST_FIRST, OLDEST_FIRST",
    ];
    expect.sort_unstable();
    assert_eq!(found, expect);
    assert_eq!(
        wrong(&world, json!({ "id": "/a", "containers": [] })).await,
        ["/containers: must have at least one container"]
    );
    assert_eq!(wrong(&world, json!({ "id": "/a" })).await, ["/containers: error.path.missing"]);
    assert_eq!(wrong(&world, json!({ "containers": [] })).await, ["/id: error.path.missing"]);
    assert_eq!(world.ask("POST /v2/pods", Value::Null).await.status, 400);
    assert_eq!(get(&world, "/v2/pods").await.json(), json!([]));
}

#[tokio::test]
async fn what_ports_may_be_depends_on_the_network() {
    let world = World::new();
    for (network, endpoint, expect) in [
        (
            json!({ "mode": "container/bridge" }),
            json!({}),
            Some("/containers(0)/endpoints(0)/containerPort: is required when using container-mode networking"),
        ),
        (
            json!({ "mode": "container" }),
            json!({ "containerPort": 1 }),
            Some("/networks(0): Network name must be specified when container network is selected."),
        ),
        (
            json!({ "mode": "container", "name": "-x" }),
            json!({ "containerPort": 1 }),
            Some(
                "/networks(0)/name: must fully match regular expression '^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$', of 63 characters at most",
            ),
        ),
        (
            json!({ "mode": "host", "name": "x" }),
            json!({}),
            Some("/networks(0)/name: must be absent for a network of mode 'host'"),
        ),
        (
            json!({ "mode": "container", "name": "x" }),
            json!({ "containerPort": 1, "networkNames": ["y"] }),
            Some("/containers(0)/endpoints(0)/networkNames: must name networks of the pod"),
        ),
        (json!({ "mode": "host" }), json!({ "hostPort": 8080 }), None),
    ] {
        let mut body = pod("/a", 0);
        body["containers"][0].as_object_mut().unwrap().remove("healthCheck");
        body["networks"] = json!([network]);
        let mut with_name = endpoint.clone();
        with_name["name"] = json!("e");
        body["containers"][0]["endpoints"] = json!([with_name]);
        match expect {
            Some(expect) => assert_eq!(wrong(&world, body).await, [expect]),
            None => assert_eq!(world.ask("POST /v2/pods", body).await.status, 201),
        }
    }
    let mut body = pod("/b", 0);
    body["networks"] = json!([{ "mode": "container/bridge" }, { "mode": "host" }]);
    assert_eq!(wrong(&world, body).await, ["/networks: must be one network: several are not supported"]);
    let mut body = pod("/b", 0);
    body["containers"][1]["endpoints"] = json!([{ "name": "other", "containerPort": 80, "hostPort": 0 }]);
    assert_eq!(wrong(&world, body).await, ["/containers(1)/endpoints(0)/containerPort: Container ports are unique"]);
}

#[tokio::test]
async fn what_is_not_there_is_refused_with_what_to_use_instead() {
    let world = World::new();
    let fields = |path: &str, value: Value| {
        let mut body = pod("/a", 1);
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    let with = |at: &str, name: &str, value: Value| {
        let mut whole = pod("/a", 1);
        whole.pointer_mut(at).unwrap()[name] = value;
        whole
    };
    for (body, path, words) in [
        (with("", "secrets", json!({ "s": { "source": "x" } })), "/secrets", "give the value in 'environment'"),
        (with("", "linuxInfo", json!({ "seccomp": { "unconfined": true } })), "/linuxInfo", "leave it out"),
        (with("", "legacySharedCgroups", json!(true)), "/legacySharedCgroups", "leave it out"),
        (with("", "role", json!("dev")), "/role", "leave it out"),
        (with("", "environment", json!({ "A": { "secret": "s" } })), "/environment/A", "give the value itself"),
        (
            with("", "executorResources", json!({ "cpus": 0.2, "mem": 32, "disk": 10 })),
            "/executorResources/cpus",
            "there is no executor",
        ),
        (
            fields("/volumes", json!([{ "name": "logs", "persistent": { "size": 10 } }])),
            "/volumes(0)/persistent",
            "use a directory of the node",
        ),
        (
            fields("/volumes", json!([{ "name": "logs", "secret": "s" }])),
            "/volumes(0)/secret",
            "use a directory of the node",
        ),
        (
            with("/containers/0", "check", json!({ "tcp": { "endpoint": "http" } })),
            "/containers(0)/check",
            "use 'healthCheck'",
        ),
        (
            with("/containers/0", "resourceLimits", json!({ "cpus": "unlimited" })),
            "/containers(0)/resourceLimits",
            "the limits are",
        ),
        (
            with("/containers/0", "linuxInfo", json!({ "ipcInfo": { "mode": "PRIVATE" } })),
            "/containers(0)/linuxInfo",
            "leave it out",
        ),
        (with("/containers/0/resources", "gpus", json!(1)), "/containers(0)/resources/gpus", "by a constraint"),
        (
            with("/containers/0/image", "pullConfig", json!({ "secret": "s" })),
            "/containers(0)/image/pullConfig",
            "log the nodes' Docker in",
        ),
        (
            with("/containers/0/image", "labels", json!({ "os": "linux" })),
            "/containers(0)/image/labels",
            "the container's 'labels'",
        ),
    ] {
        let found = wrong(&world, body).await;
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("{path}: ")) && found[0].contains(words),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn pods_are_no_apps_and_apps_no_pods() {
    let world = World::new();
    run(&world, pod("/pay/pod", 1)).await;
    world.run(app("/pay/app", 1)).await;
    let ids = |list: &Value| list.as_array().unwrap().iter().map(|it| it["id"].clone()).collect::<Vec<_>>();
    for (path, name) in [("/v2/apps", "apps"), ("/v2/apps/pay/*", "*")] {
        assert_eq!(ids(&get(&world, path).await.json()[name]), ["/pay/app"], "{path}");
    }
    for path in ["/v2/tasks", "/v2/apps/pay/*/tasks"] {
        let tasks = get(&world, path).await.json()["tasks"].clone();
        assert_eq!(tasks.as_array().unwrap().len(), 1, "{path}");
        assert_eq!(tasks[0]["appId"], "/pay/app");
    }
    assert_eq!(ids(&get(&world, "/v2/pods").await.json()), ["/pay/pod"]);
    assert_eq!(ids(&get(&world, "/v2/pods::status").await.json()), ["/pay/pod"]);

    let before = get(&world, "/v2/pods/pay/pod").await.json();
    let patch = json!({ "instances": 0 });
    let other_kind =
        "'/pay/pod' is a pod: an app and a pod cannot have the same path. Choose another id, or delete it first.";
    for (line, body, status, message) in [
        ("GET /v2/apps/pay/pod", Value::Null, 404, "App '/pay/pod' does not exist"),
        ("GET /v2/apps/pay/pod/versions", Value::Null, 404, "App '/pay/pod' does not exist"),
        ("GET /v2/apps/pay/pod/tasks", Value::Null, 404, "App '/pay/pod' does not exist"),
        ("DELETE /v2/apps/pay/pod/tasks", Value::Null, 404, "App '/pay/pod' does not exist"),
        ("POST /v2/apps/pay/pod/restart", Value::Null, 404, "App '/pay/pod' does not exist"),
        ("DELETE /v2/apps/pay/pod", Value::Null, 404, "App '/pay/pod' does not exist"),
        ("PATCH /v2/apps/pay/pod", patch.clone(), 404, "App '/pay/pod' does not exist"),
        ("PUT /v2/apps/pay/pod", app("/pay/pod", 1), 409, other_kind),
        ("PUT /v2/apps", json!([app("/pay/app", 2), app("/pay/pod", 1)]), 409, other_kind),
        ("PATCH /v2/apps", json!([{ "id": "/pay/pod", "instances": 0 }]), 404, "App '/pay/pod' does not exist"),
        ("POST /v2/apps", app("/pay/pod", 1), 409, "An app with id [/pay/pod] already exists."),
        ("POST /v2/pods", pod("/pay/pod", 1), 409, "A pod with id [/pay/pod] already exists."),
        ("POST /v2/pods", pod("/pay/app", 1), 409, "An app with id [/pay/app] already exists."),
        ("PUT /v2/pods/pay/app", pod("/pay/app", 1), 404, "Pod '/pay/app' does not exist"),
        ("GET /v2/pods/pay/app", Value::Null, 404, "Pod '/pay/app' does not exist"),
        ("GET /v2/pods/pay/app::status", Value::Null, 404, "Pod '/pay/app' does not exist"),
        ("DELETE /v2/pods/pay/app", Value::Null, 404, "Pod '/pay/app' does not exist"),
    ] {
        let answer = world.ask(line, body).await;
        assert_eq!((answer.status, answer.json()["message"].as_str().unwrap()), (status, message), "{line}");
    }
    let instance = get(&world, "/v2/pods/pay/pod::status").await.json()["instances"][0]["id"].clone();
    let killed = world.ask("POST /v2/tasks/delete", json!({ "ids": [instance] })).await.json();
    assert_eq!(killed, json!({ "tasks": [] }), "a pod's instance is no task");
    assert_eq!(get(&world, "/v2/pods/pay/pod").await.json(), before);
    assert_eq!(get(&world, "/v3/apps/pay/pod/explain").await.json()["instances"]["newServing"], 1);
}

#[tokio::test]
async fn a_pod_is_changed_as_a_whole_and_remembers() {
    let world = World::new();
    let first = run(&world, pod("/a", 1)).await;
    let unchanged = world.ask("PUT /v2/pods/a", first.clone()).await;
    assert_eq!((unchanged.status, unchanged.json()), (200, first.clone()), "what was read, put back, changes nothing");
    assert_ne!(unchanged.header("marathon-deployment-id"), "");
    assert_eq!(get(&world, "/v2/deployments").await.json(), json!([]));

    let scaled = world.ask("PUT /v2/pods/a", pod("/a", 2)).await;
    assert_eq!((scaled.status, &scaled.json()["scaling"]["instances"]), (200, &json!(2)), "{}", scaled.text);
    let deployments = get(&world, "/v2/deployments").await.json();
    assert_eq!(deployments[0]["currentActions"][0]["action"], "ScalePod");
    assert_eq!(deployments[0]["id"], scaled.header("marathon-deployment-id"));
    let locked = world.ask("PUT /v2/pods/a", pod("/a", 3)).await;
    assert_eq!((locked.status, &locked.json()["deployments"][0]["id"]), (409, &deployments[0]["id"]));
    assert_eq!(world.ask("DELETE /v2/pods/a", Value::Null).await.status, 409, "without force");
    world.fake.settle();

    let mut other = pod("/a", 2);
    other["containers"][1]["image"]["id"] = json!("shipper:3");
    assert_eq!(world.ask("PUT /v2/pods/a", other).await.status, 200);
    assert_eq!(get(&world, "/v2/deployments").await.json()[0]["currentActions"][0]["action"], "RestartPod");
    world.fake.settle();

    let versions: Vec<String> = serde_json::from_value(get(&world, "/v2/pods/a::versions").await.json()).unwrap();
    assert_eq!((versions.len(), json!(versions[2])), (3, first["version"].clone()), "newest first");
    let old = get(&world, &format!("/v2/pods/a::versions/{}", versions[2])).await;
    assert_eq!((old.status, old.json()), (200, first));
    let unknown = "2020-01-01T00:00:00.000Z";
    for (line, body, status, message) in [
        (
            format!("GET /v2/pods/a::versions/{unknown}"),
            Value::Null,
            404,
            format!("Pod '/a' does not exist in version {unknown}"),
        ),
        (
            "GET /v2/pods/a::versions/now".to_owned(),
            Value::Null,
            422,
            "Invalid timestamp provided 'now'. Expecting ISO-8601 datetime string.".to_owned(),
        ),
        ("GET /v2/pods/b::versions".to_owned(), Value::Null, 404, "Pod '/b' does not exist".to_owned()),
        ("PUT /v2/pods/a".to_owned(), pod("/b", 1), 400, "'/a' does not match definition's id ('/b')".to_owned()),
        ("PUT /v2/pods/b".to_owned(), pod("/b", 1), 404, "Pod '/b' does not exist".to_owned()),
    ] {
        let answer = world.ask(&line, body).await;
        assert_eq!((answer.status, answer.json()["message"].as_str().unwrap()), (status, message.as_str()), "{line}");
    }

    let deleted = world.ask("DELETE /v2/pods/a", Value::Null).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (202, ""));
    let deployments = get(&world, "/v2/deployments").await.json();
    assert_eq!(deployments[0]["id"], deleted.header("marathon-deployment-id"));
    assert_eq!(deployments[0]["currentActions"][0]["action"], "StopPod");
    assert_eq!(get(&world, "/v2/pods/a").await.status, 404);
    assert_eq!(get(&world, "/v2/pods/a::status").await.json()["status"], "TERMINAL", "until all have ended");
    world.fake.settle();
    assert_eq!(get(&world, "/v2/pods/a::status").await.status, 404);
    assert_eq!(get(&world, "/v2/pods::status").await.json(), json!([]));
}

#[tokio::test]
async fn the_status_says_how_each_container_is() {
    let world = World::new();
    world.ask("POST /v2/pods", pod("/pay/api", 1)).await;
    let waiting = get(&world, "/v2/pods/pay/api::status").await.json();
    assert_eq!((&waiting["status"], &waiting["instances"]), (&json!("DEGRADED"), &json!([])));
    world.fake.plan();
    let staging = get(&world, "/v2/pods/pay/api::status").await.json();
    assert_eq!(
        (&staging["instances"][0]["status"], &staging["instances"][0]["containers"][0]["status"]),
        (&json!("STAGING"), &json!("TASK_STAGING"))
    );
    world.fake.settle();

    let answer = get(&world, "/v2/pods/pay/api::status").await;
    assert!(!answer.text.contains("null"), "{}", answer.text);
    let status = answer.json();
    let spec = get(&world, "/v2/pods/pay/api").await.json();
    let instance = &status["instances"][0];
    let (id, since, updated) = (instance["id"].as_str().unwrap(), &instance["statusSince"], &status["lastUpdated"]);
    assert!(id.starts_with("pay_api.marathon-"), "{id}");
    let start = &instance["containers"][1]["statusSince"];
    let port = world.fake.state().instances().next().unwrap().ports[0];
    let condition = json!({ "name": "healthy", "lastChanged": since, "lastUpdated": updated, "value": "true" });
    assert_eq!(
        status,
        json!({
            "id": "/pay/api", "spec": spec, "status": "STABLE", "statusSince": since,
            "instances": [{
                "id": id, "status": "STABLE", "statusSince": since, "conditions": [condition],
                "agentHostname": instance["agentHostname"], "agentId": instance["agentId"],
                "resources": { "cpus": 0.3, "mem": 48, "disk": 5, "gpus": 0 },
                "networks": [{ "addresses": ["172.17.0.2"] }],
                "containers": [
                    {
                        "name": "web", "status": "TASK_RUNNING", "statusSince": start, "conditions": [condition],
                        "containerId": format!("{id}.web"),
                        "endpoints": [{ "name": "http", "allocatedHostPort": port, "healthy": true }],
                        "resources": { "cpus": 0.1, "mem": 32, "disk": 0, "gpus": 0 },
                        "lastUpdated": updated, "lastChanged": since,
                    },
                    {
                        "name": "shipper", "status": "TASK_RUNNING", "statusSince": start,
                        "containerId": format!("{id}.shipper"),
                        "resources": { "cpus": 0.2, "mem": 16, "disk": 5, "gpus": 0 },
                        "lastUpdated": updated, "lastChanged": start,
                    },
                ],
                "specReference": format!("/v2/pods/pay/api::versions/{}", spec["version"].as_str().unwrap()),
                "lastUpdated": updated, "lastChanged": since, "role": "*",
            }],
            "terminationHistory": [], "lastUpdated": updated, "lastChanged": since,
        })
    );

    let instance = world.fake.state().instances().next().unwrap().clone();
    world.fake.report(&instance, Fake::seen_running(false));
    let sick = get(&world, "/v2/pods/pay/api::status").await.json();
    assert_eq!((&sick["status"], &sick["instances"][0]["status"]), (&json!("DEGRADED"), &json!("DEGRADED")));
    assert_eq!(sick["message"], "0 of 1 instances are stable");
    let container = &sick["instances"][0]["containers"][0];
    assert_eq!(
        (&container["endpoints"][0]["healthy"], &container["conditions"][0]["reason"]),
        (&json!(false), &json!("503 Service Unavailable"))
    );

    let end = End { kind: EndKind::Failed, exit_code: Some(3), message: "shipper: exit code 3".to_owned() };
    world.fake.report(&instance, Seen::Ended(end));
    let ended = get(&world, "/v2/pods/pay/api::status").await.json();
    let history = &ended["terminationHistory"][0];
    assert_eq!((&history["instanceID"], &history["message"]), (&json!(id), &json!("shipper: exit code 3")));
    assert_eq!(
        history["containers"][1],
        json!({ "containerId": format!("{id}.shipper"), "lastKnownState": "TASK_FAILED" })
    );
    let last = world.fake.state().app(&instance.app).unwrap().last_failure.as_ref().map(|it| time::print(it.at));
    assert_eq!((&ended["statusSince"], &ended["lastChanged"]), (&json!(last), &json!(last)));
    world.fake.report(&instance, Seen::Removed);
    let removed = get(&world, "/v2/pods/pay/api::status").await.json();
    assert_eq!(removed["instances"], json!([]));
    assert_eq!(removed["statusSince"], json!(last), "it has been so since the failure, not since it was put");
    let ids: Vec<_> = ["web", "shipper"].iter().map(|it| format!("{id}.{it}")).collect();
    let kept = &removed["terminationHistory"][0]["containers"];
    assert_eq!((&kept[0]["containerId"], &kept[1]["containerId"]), (&json!(ids[0]), &json!(ids[1])));
    world.fake.pass_ms(60_000);
    world.fake.settle();
    let after = get(&world, "/v2/pods/pay/api::status").await.json();
    assert_eq!((&after["status"], &after["terminationHistory"][0]["instanceID"]), (&json!("STABLE"), &json!(id)));
    let typed: Vec<v2::PodStatus> = serde_json::from_value(get(&world, "/v2/pods::status").await.json()).unwrap();
    assert_eq!(serde_json::to_value(&typed[0]).unwrap(), after, "the client's types lose nothing");

    let instance = world.fake.state().instances().next().unwrap().clone();
    let Seen::Running { ip, checks, readiness, .. } = Fake::seen_running(false) else { panic!("it runs") };
    world.fake.report(&instance, Seen::Running { ip, checks, readiness, health: Health::Failed });
    world.fake.plan();
    let killed = get(&world, "/v2/pods/pay/api::status").await.json();
    assert_eq!(
        (&killed["instances"][0]["status"], &killed["terminationHistory"]),
        (&json!("TERMINAL"), &json!([])),
        "what is still ending has not ended"
    );
    world.fake.report(&instance, Seen::Removed);
    let gone = get(&world, "/v2/pods/pay/api::status").await.json();
    assert_eq!(gone["terminationHistory"][0]["containers"][0]["lastKnownState"], "TASK_KILLED");
}

#[tokio::test]
async fn instances_of_a_pod_are_killed_by_name() {
    let world = World::new();
    run(&world, pod("/a", 3)).await;
    run(&world, pod("/b", 1)).await;
    let ids = |status: &Value| -> Vec<String> {
        status["instances"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    let before = ids(&get(&world, "/v2/pods/a::status").await.json());
    let other = ids(&get(&world, "/v2/pods/b::status").await.json());
    let one = world.ask(&format!("DELETE /v2/pods/a::instances/{}?wipe=true", before[0]), Value::Null).await;
    assert_eq!(one.status, 200, "{}", one.text);
    let killed = one.json();
    assert_eq!(killed["instanceId"], json!(before[0]));
    assert_eq!(
        (&killed["state"]["condition"], &killed["state"]["goal"]),
        (&json!("Killing"), &json!("Decommissioned"))
    );
    assert_eq!(killed["state"]["healthy"], true);
    assert_eq!(killed["agentInfo"]["attributes"][0]["name"], "rack");
    assert_eq!(killed["unreachableStrategy"], json!({ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 }));
    assert!(!one.text.contains("null"), "{}", one.text);
    assert_eq!(get(&world, "/v2/pods/a::status").await.json()["instances"][0]["status"], "TERMINAL");

    let list = json!([before[1], other[0], "a.marathon-12345678-9abc-8def-8123-456789abcdef"]);
    let many = world.ask("DELETE /v2/pods/a::instances", list).await.json();
    assert_eq!((many.as_array().unwrap().len(), &many[0]["instanceId"]), (1, &json!(before[1])), "only its own");
    world.fake.settle();
    let after = ids(&get(&world, "/v2/pods/a::status").await.json());
    assert_eq!((after.len(), after.contains(&before[2])), (3, true), "others take their places");
    assert_eq!(ids(&get(&world, "/v2/pods/b::status").await.json()), other);

    for (line, body, status) in [
        (format!("DELETE /v2/pods/a::instances/{}", before[0]), Value::Null, 404),
        (format!("DELETE /v2/pods/a::instances/{}", other[0]), Value::Null, 404),
        ("DELETE /v2/pods/none::instances/x".to_owned(), Value::Null, 404),
        ("DELETE /v2/pods/a::instances".to_owned(), json!(["nonsense"]), 422),
        ("DELETE /v2/pods/a::instances".to_owned(), json!([7]), 422),
        ("DELETE /v2/pods/a::instances".to_owned(), json!({}), 422),
        ("DELETE /v2/pods/a::instances".to_owned(), json!([]), 200),
    ] {
        let answer = world.ask(&line, body).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_pod_that_misses_instances_is_in_the_queue() {
    let world = World::new();
    let mut large = pod("/a", 1);
    large["containers"][0]["resources"]["mem"] = json!(8192);
    world.ask("POST /v2/pods", large).await;
    world.fake.plan();
    let queue = get(&world, "/v2/queue").await.json();
    let item = &queue["queue"][0];
    assert!(item.get("app").is_none(), "{item}");
    assert_eq!((&item["pod"]["id"], &item["count"]), (&json!("/a"), &json!(1)));
    assert_eq!(world.ask("DELETE /v2/queue/a/delay", Value::Null).await.status, 204);
    let typed: v2::Queue = serde_json::from_value(queue).unwrap();
    assert_eq!(typed.queue[0].id(), "/a");
}

#[tokio::test]
async fn the_life_of_a_pod_is_told_by_its_own_events() {
    let world = World::new();
    run(&world, pod("/pay/api", 1)).await;
    world.ask("PUT /v2/pods/pay/api", pod("/pay/api", 2)).await;
    world.fake.settle();
    world.ask("DELETE /v2/pods/pay/api", Value::Null).await;
    world.fake.settle();
    let state = world.fake.state();
    let mut names = Vec::new();
    let mut events = crate::control::ControlPlane::events(&world.fake, Some(0));
    while let Some(Some(item)) = futures::FutureExt::now_or_never(futures::StreamExt::next(&mut events)) {
        let crate::control::EventItem::Happened(happened) = item else { continue };
        let told = happened.events.iter().flat_map(|it| to_wire::events(&state, &happened.principal, it, true));
        for body in told {
            if body.name().starts_with("pod_") {
                let printed = serde_json::to_value(&body).unwrap();
                assert_eq!(printed["uri"], "/v2/pods/pay/api");
                assert!(printed["clientIp"].is_string());
            }
            names.push(body.name());
        }
    }
    assert!(!names.contains(&"api_post_event"), "{names:?}");
    let of_pods: Vec<_> = names.iter().filter(|it| it.starts_with("pod_")).collect();
    assert_eq!(of_pods, [&"pod_created_event", &"pod_updated_event", &"pod_deleted_event"]);
}

/// Any valid pod.
fn any_pod() -> impl Strategy<Value = Value> {
    let network = prop::sample::select(vec!["none", "host", "container/bridge", "container"]);
    let map = prop::collection::btree_map("[A-Z_][A-Z0-9_]{0,3}", "[ -~]{0,5}", 0..3);
    let container = (any::<[bool; 8]>(), 0..3_usize, 0..4_u8, 0.001..8.0_f64, 6.0..500.0_f64, map.clone(), 0..5000_u32);
    let policy = (0.0..=1.0_f64, 0.0..=1.0_f64, 0..1000_u32, 1.0..10.0_f64, any::<[bool; 4]>(), 0..50_u32);
    (network, prop::collection::vec(container, 1..4), map, policy).prop_map(|(network, containers, map, policy)| {
        let on_host = matches!(network, "none" | "host");
        let containers = containers.into_iter().enumerate().map(|(n, it)| {
            let (flags, n_ports, check, cpus, mem, env, grace) = it;
            let endpoints = (0..n_ports).map(|port| {
                let mut endpoint = json!({ "name": format!("e-{n}-{port}") });
                if !on_host {
                    endpoint["containerPort"] = json!(1 + n * 10 + port);
                }
                if flags[0] {
                    endpoint["hostPort"] = json!(if flags[1] { 0 } else { 8000 + n * 10 + port });
                }
                if flags[2] {
                    endpoint["protocol"] = json!(if flags[3] { vec!["udp"] } else { vec!["tcp", "udp"] });
                }
                endpoint
            });
            let endpoints: Vec<Value> = endpoints.collect();
            let endpoint = format!("e-{n}-0");
            let check = match check {
                1 if n_ports > 0 => json!({ "http": { "endpoint": endpoint, "path": "x", "scheme": if flags[4] { "HTTPS" } else { "HTTP" } } }),
                2 if n_ports > 0 => json!({ "tcp": { "endpoint": endpoint }, "intervalSeconds": 5, "timeoutSeconds": 4, "delaySeconds": 0 }),
                3 => json!({ "exec": { "command": if flags[4] { json!({ "shell": "true" }) } else { json!({ "argv": ["a", "'b"] }) } } }),
                _ => Value::Null,
            };
            let exec = if flags[5] { json!({ "command": { "argv": ["x"] }, "overrideEntrypoint": flags[6] }) } else { json!({ "command": { "shell": "x" } }) };
            json!({
                "name": format!("c{n}"), "image": { "kind": "DOCKER", "id": "x", "forcePull": flags[7] },
                "exec": if flags[6] || flags[5] { exec } else { Value::Null },
                "resources": { "cpus": cpus, "mem": mem }, "endpoints": endpoints, "healthCheck": check,
                "environment": env, "lifecycle": if flags[1] { json!({ "killGracePeriodSeconds": f64::from(grace) / 1000.0 }) } else { Value::Null },
                "volumeMounts": [{ "name": "v", "mountPath": if flags[2] { "in" } else { "/in" }, "readOnly": flags[3] }],
                "artifacts": if flags[4] { json!([{ "uri": "http://a/b", "executable": true }]) } else { json!([]) },
                "tty": flags[7], "user": if flags[0] { json!("u") } else { Value::Null },
            })
        });
        let (min, max, seconds, factor, flags, instances) = policy;
        json!({
            "id": "/a", "containers": containers.collect::<Vec<_>>(), "environment": map, "labels": { "a": "b" },
            "networks": match network {
                "none" => json!([]),
                "container" => json!([{ "mode": "container", "name": "net" }]),
                mode => json!([{ "mode": mode }]),
            },
            "volumes": [if flags[0] { json!({ "name": "v", "host": "/srv" }) } else { json!({ "name": "v" }) }],
            "scaling": { "kind": "fixed", "instances": instances },
            "scheduling": {
                "upgrade": { "minimumHealthCapacity": min, "maximumOverCapacity": max },
                "backoff": { "backoff": f64::from(seconds) / 10.0, "backoffFactor": factor },
                "killSelection": if flags[1] { "OLDEST_FIRST" } else { "YOUNGEST_FIRST" },
                "placement": if flags[2] { json!({ "constraints": [{ "fieldName": "rack", "operator": "GROUP_BY", "value": "2" }] }) } else { Value::Null },
                "unreachableStrategy": if flags[3] { json!("disabled") } else { json!({ "inactiveAfterSeconds": 1, "expungeAfterSeconds": 2 }) },
            },
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn printing_and_reading_changes_nothing(pod in any_pod()) {
        let id = AppId::parse("/a").unwrap();
        let (spec, _) = from_wire::pod(&id, pod.as_object().unwrap(), &cluster::Settings::default())
            .map_err(|it| TestCaseError::fail(format!("{it:?}\n{pod}")))?;
        let at = Timestamp(1);
        let version = AppVersion { version: at, run: at, configured: at, scaled: at, spec, patterns: Patterns::default() };
        let printed = serde_json::to_value(to_wire::pod(&version)).unwrap();
        let (again, warnings) = from_wire::pod(&id, printed.as_object().unwrap(), &cluster::Settings::default())
            .map_err(|it| TestCaseError::fail(format!("{it:?}")))?;
        prop_assert_eq!(&again, &version.spec);
        prop_assert_eq!(warnings, vec![], "what is printed has no unknown field");
        prop_assert!(!printed.to_string().contains("null"));
        let typed: v2::Pod = serde_json::from_value(printed.clone()).unwrap();
        prop_assert_eq!(serde_json::to_value(typed).unwrap(), printed, "the client's types lose nothing");
    }
}

#[tokio::test]
async fn what_get_answers_can_be_put_back() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..25 {
        let world = World::new();
        let mut body = any_pod().new_tree(&mut runner).unwrap().current();
        body["scaling"]["instances"] = json!(0);
        let read = run(&world, body.clone()).await;
        let answer = world.ask("PUT /v2/pods/a?strict=true", read.clone()).await;
        assert_eq!((answer.status, answer.json()), (200, read), "{body}: {}", answer.text);
        assert_eq!(answer.header("x-ekiden-warnings"), "");
    }
}

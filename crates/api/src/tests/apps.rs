//! `/v2/apps`: create, read, change, restart, delete.

use super::world::{World, app};
use cluster::{AppId, AppSpec, Command};
use serde_json::{Value, json};

#[tokio::test]
async fn a_posted_app_is_answered_whole() {
    let world = World::new();
    let answer = world.ask("POST /v2/apps", app("/pay/api", 2)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.header("location"), "http://ekiden:8080/v2/apps/pay/api");
    let body = answer.json();
    assert_eq!(body["deployments"][0]["id"], answer.header("marathon-deployment-id"));
    let version = body["version"].clone();
    let deployment = body["deployments"].clone();
    assert_eq!(
        body,
        json!({
            "id": "/pay/api",
            "backoffFactor": 1.15,
            "backoffSeconds": 1,
            "container": {
                "type": "DOCKER",
                "docker": { "image": "nginx:1.25", "forcePullImage": false, "privileged": false, "parameters": [] },
                "portMappings": [{
                    "containerPort": 80, "hostPort": 0, "labels": {}, "name": "web", "protocol": "tcp",
                    "servicePort": 10000,
                }],
                "volumes": [],
            },
            "cpus": 0.1,
            "disk": 0,
            "executor": "",
            "gpus": 0,
            "healthChecks": [{
                "delaySeconds": 15, "gracePeriodSeconds": 300, "ignoreHttp1xx": false, "intervalSeconds": 60,
                "ipProtocol": "IPv4", "maxConsecutiveFailures": 3, "path": "/health", "portIndex": 0,
                "protocol": "HTTP", "timeoutSeconds": 20,
            }],
            "instances": 2,
            "killSelection": "YOUNGEST_FIRST",
            "labels": {},
            "maxLaunchDelaySeconds": 300,
            "mem": 32,
            "networks": [{ "mode": "container/bridge" }],
            "requirePorts": false,
            "role": "*",
            "unreachableStrategy": { "expungeAfterSeconds": 0, "inactiveAfterSeconds": 0 },
            "upgradeStrategy": { "maximumOverCapacity": 1, "minimumHealthCapacity": 1 },
            "version": version,
            "versionInfo": { "lastScalingAt": version, "lastConfigChangeAt": version },
            "tasksStaged": 0, "tasksRunning": 0, "tasksHealthy": 0, "tasksUnhealthy": 0,
            "deployments": deployment,
        })
    );
}

#[tokio::test]
async fn an_app_on_the_host_network_has_a_default_port() {
    let world = World::new();
    let body = json!({ "id": "/a", "cmd": "sleep 100", "container": { "docker": { "image": "busybox" } } });
    let body = world.ask("POST /v2/apps", body).await.json();
    assert_eq!(body["networks"], json!([{ "mode": "host" }]));
    assert_eq!(body["portDefinitions"], json!([{ "name": "default", "port": 10000, "protocol": "tcp" }]));
    assert!(body["container"].get("portMappings").is_none(), "{body}");
    assert_eq!((&body["cpus"], &body["mem"], &body["instances"]), (&json!(1), &json!(128), &json!(1)));
    assert!(!body.to_string().contains("null"), "{body}");
}

#[tokio::test]
async fn both_dialects_mean_the_same() {
    let old = json!({
        "id": "/a", "instances": 0, "uris": [], "ports": null, "dependencies": null,
        "container": {
            "type": "DOCKER",
            "docker": {
                "image": "nginx", "network": "BRIDGE", "privileged": false,
                "portMappings": [{ "containerPort": 80, "hostPort": 0, "servicePort": 9000, "protocol": "tcp" }],
            },
        },
    });
    let new = json!({
        "id": "/a", "instances": 0,
        "networks": [{ "mode": "container/bridge" }],
        "container": { "docker": { "image": "nginx" }, "portMappings": [{ "containerPort": 80, "servicePort": 9000 }] },
    });
    let mut answers = Vec::new();
    for body in [old, new] {
        let world = World::new();
        answers.push(world.ask("POST /v2/apps", body).await.json());
    }
    for field in ["container", "networks", "portDefinitions", "requirePorts"] {
        assert_eq!(answers[0][field], answers[1][field], "{field}");
    }
}

#[tokio::test]
async fn get_shows_what_runs() {
    let world = World::new();
    world.run(app("/pay/api", 2)).await;
    let info = world.ask("GET /v2/apps//pay/api", Value::Null).await.json()["app"].clone();
    assert_eq!(info["tasksRunning"], 2);
    assert_eq!(info["tasksHealthy"], 2);
    assert_eq!(info["deployments"], json!([]));
    let task = &info["tasks"][0];
    assert_eq!(task["appId"], "/pay/api");
    assert_eq!(task["state"], "TASK_RUNNING");
    assert_eq!(task["servicePorts"], json!([10000]));
    assert_eq!(task["ipAddresses"], json!([{ "ipAddress": "172.17.0.2", "protocol": "IPv4" }]));
    let id = task["id"].as_str().unwrap();
    assert!(id.starts_with("pay_api."), "{id}");
    let health = &task["healthCheckResults"][0];
    assert_eq!(health["alive"], true);
    assert_eq!(health["instanceId"], id.replace("pay_api.", "pay_api.marathon-"));
    assert!(info.get("lastTaskFailure").is_none());
    assert_eq!(world.ask("GET /v2/apps/none", Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_task_without_results_has_no_list_of_them() {
    let world = World::new();
    world.ask("POST /v2/apps", app("/a", 1)).await;
    world.fake.plan();
    let info =
        world.ask("GET /v2/apps/a?embed=app.taskStats&embed=app.readiness", Value::Null).await.json()["app"].clone();
    assert_eq!(info["tasksStaged"], 1);
    assert_eq!(info["tasks"][0]["state"], "TASK_STAGING");
    assert!(info["tasks"][0].get("healthCheckResults").is_none());
    assert!(info["tasks"][0].get("startedAt").is_none());
    assert_eq!(info["readinessCheckResults"], json!([]));
    assert_eq!(info["taskStats"]["totalSummary"]["stats"]["counts"]["staged"], 1);
}

#[tokio::test]
async fn lists_are_filtered_and_embed_what_is_asked_for() {
    let world = World::new();
    for (id, cmd, team) in [("/pay/api", "serve --api", "pay"), ("/pay/db", "Serve", "db"), ("/web", "run", "pay")] {
        world
            .run(json!({
                "id": id, "cmd": cmd, "cpus": 0.1, "mem": 16, "labels": { "team": team },
                "container": { "docker": { "image": "x" } },
            }))
            .await;
    }
    for (query, expect) in [
        ("", vec!["/pay/api", "/pay/db", "/web"]),
        ("/", vec!["/pay/api", "/pay/db", "/web"]),
        ("?id=pay", vec!["/pay/api", "/pay/db"]),
        ("?id=PAY", vec!["/pay/api", "/pay/db"]),
        ("?cmd=SERVE", vec!["/pay/api", "/pay/db"]),
        ("?label=team%3D%3Dpay", vec!["/pay/api", "/web"]),
        ("?label=team!=pay", vec!["/pay/db"]),
        ("?label=team&id=web", vec!["/web"]),
        ("?label=owner", vec![]),
    ] {
        let body = world.ask(&format!("GET /v2/apps{query}"), Value::Null).await.json();
        let apps = body["apps"].as_array().unwrap();
        let ids: Vec<_> = apps.iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expect, "{query}");
        assert!(apps.iter().all(|it| it.get("tasks").is_none() && it["tasksRunning"] == 1));
    }
    let embedded =
        world.ask("GET /v2/apps/?embed=apps.tasks&embed=apps.counts&embed=nonsense", Value::Null).await.json();
    assert_eq!(embedded["apps"][0]["tasks"].as_array().unwrap().len(), 1);
    let below = world.ask("GET /v2/apps/pay/*", Value::Null).await.json();
    assert_eq!(below["*"].as_array().unwrap().len(), 2);
    let tasks = world.ask("GET /v2/apps/pay/*/tasks", Value::Null).await.json();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 2);
    let refused = world.ask("GET /v2/apps?label=team=", Value::Null).await;
    assert_eq!(refused.status, 422);
    assert!(refused.json()["message"].as_str().unwrap().starts_with("Couldn't parse selector"));
}

#[tokio::test]
async fn put_creates_then_merges_top_level_fields() {
    let world = World::new();
    let created = world.ask("PUT /v2/apps/a", app("a", 1)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(created.header("location"), "http://ekiden:8080/v2/apps/a");
    assert_eq!(created.json()["deploymentId"], created.header("marathon-deployment-id"));
    world.fake.settle();

    let scaled = world.ask("PUT /v2/apps/a", json!({ "instances": 2, "cmd": null, "cpus": null })).await;
    assert_eq!(scaled.status, 200, "{}", scaled.text);
    world.fake.settle();
    let info = world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].clone();
    assert_eq!((&info["instances"], &info["cpus"]), (&json!(2), &json!(0.1)));
    assert_eq!(info["versionInfo"]["lastScalingAt"], scaled.json()["version"]);
    assert_eq!(info["versionInfo"]["lastConfigChangeAt"], created.json()["version"]);

    let replaced = json!({ "container": { "docker": { "image": "x" } }, "env": { "A": "1" } });
    let replaced = world.ask("PUT /v2/apps/a?partialUpdate=false", replaced).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    world.fake.settle();
    let info = world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].clone();
    assert_eq!((&info["cpus"], &info["instances"]), (&json!(1), &json!(1)), "defaults are back");
    assert!(info.get("healthChecks").is_none());
}

#[tokio::test]
async fn patch_changes_what_is_there_and_null_is_as_absent() {
    let world = World::new();
    assert_eq!(world.ask("PATCH /v2/apps/a", json!({ "instances": 1 })).await.status, 404);
    let mut body = app("/a", 1);
    body["env"] = json!({ "A": "1", "B": "2" });
    body["user"] = json!("nobody");
    world.run(body).await;
    let answer = world.ask("PATCH /v2/apps/a", json!({ "env": { "C": "3" }, "user": null, "cpus": null })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    world.fake.settle();
    let info = world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].clone();
    assert_eq!(info["env"], json!({ "C": "3" }), "maps are replaced whole");
    assert_eq!((&info["cpus"], &info["user"]), (&json!(0.1), &json!("nobody")));
}

#[tokio::test]
async fn a_merge_patch_unsets_with_null_at_every_depth() {
    let world = World::new();
    let mut body = app("/a", 1);
    body["env"] = json!({ "A": "1", "B": "2" });
    body["user"] = json!("nobody");
    body["container"]["docker"]["forcePullImage"] = json!(true);
    world.run(body).await;
    let patch = json!({
        "env": { "A": null, "C": "3" },
        "user": null,
        "cpus": null,
        "container": { "docker": { "forcePullImage": null } },
    });
    for (line, patch) in [
        ("PATCH /v2/apps/a", patch.clone()),
        ("PATCH /v2/apps?force=true", json!([{ "id": "/a", "env": { "A": null, "C": "3" } }])),
    ] {
        let headers = [("content-type", "application/merge-patch+json; charset=utf-8")];
        let answer = world.send(line, &headers, patch.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        world.fake.settle();
        let info = world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].clone();
        assert_eq!(info["env"], json!({ "B": "2", "C": "3" }));
        assert_eq!(info["cpus"], 1, "the default");
        assert!(info.get("user").is_none());
        assert_eq!(info["container"]["docker"]["forcePullImage"], false);
        assert_eq!(info["container"]["docker"]["image"], "nginx:1.25", "what is not named stays");
    }
}

#[tokio::test]
async fn several_apps_change_in_one_deployment() {
    let world = World::new();
    world.run(app("/a", 1)).await;
    let patch = json!([{ "id": "/a", "instances": 2 }, { "id": "/b", "instances": 1 }]);
    assert_eq!(world.ask("PATCH /v2/apps", patch).await.status, 404);
    let put = world.ask("PUT /v2/apps", json!([{ "id": "/a", "instances": 2 }, app("/b", 1)])).await;
    assert_eq!(put.status, 200, "{}", put.text);
    let deployments = world.ask("GET /v2/deployments", Value::Null).await.json();
    assert_eq!(deployments[0]["id"], put.json()["deploymentId"]);
    assert_eq!(deployments[0]["affectedApps"], json!(["/a", "/b"]));
    let refused =
        world.ask("PUT /v2/apps", json!([{ "id": "/a", "cpus": 0 }, { "id": "/a" }, { "instances": 1 }, 7])).await;
    assert_eq!(refused.status, 422);
    let paths: Vec<_> = refused.json()["details"].as_array().unwrap().iter().map(|it| it["path"].clone()).collect();
    assert_eq!(paths, ["(2)/id", "(3)", "(1)/id"]);
}

#[tokio::test]
async fn a_stored_version_is_rolled_back_to() {
    let world = World::new();
    world.run(app("/a", 1)).await;
    world.ask("PUT /v2/apps/a", json!({ "env": { "NEW": "1" } })).await;
    world.fake.settle();
    let versions = world.ask("GET /v2/apps/a/versions", Value::Null).await.json()["versions"].clone();
    let versions: Vec<String> = serde_json::from_value(versions).unwrap();
    assert_eq!(versions.len(), 2);
    assert!(versions[0] > versions[1], "newest first");

    let old = world.ask(&format!("GET /v2/apps/a/versions/{}", versions[1]), Value::Null).await;
    assert_eq!(old.status, 200);
    assert_eq!(old.json()["version"], json!(versions[1]));
    assert!(old.json().get("env").is_none());

    let unknown = "2020-01-01T00:00:00.000Z";
    for (line, body, status, message) in [
        (
            format!("GET /v2/apps/a/versions/{unknown}"),
            Value::Null,
            404,
            format!("App '/a' does not exist in version {unknown}"),
        ),
        (
            "GET /v2/apps/a/versions/now".to_owned(),
            Value::Null,
            422,
            "Invalid timestamp provided 'now'. Expecting ISO-8601 datetime string.".to_owned(),
        ),
        ("GET /v2/apps/b/versions".to_owned(), Value::Null, 404, "App '/b' does not exist".to_owned()),
        (
            "PUT /v2/apps/a".to_owned(),
            json!({ "version": unknown }),
            404,
            format!("App '/a' does not exist in version {unknown}"),
        ),
        (
            "PUT /v2/apps/a".to_owned(),
            json!({ "version": versions[1], "cpus": 1 }),
            422,
            "Object is not valid".to_owned(),
        ),
        ("PUT /v2/apps/a".to_owned(), json!({ "version": "yesterday" }), 422, "Invalid JSON".to_owned()),
        ("PUT /v2/apps/b".to_owned(), json!({ "version": versions[1] }), 404, "App '/b' does not exist".to_owned()),
    ] {
        let answer = world.ask(&line, body).await;
        assert_eq!((answer.status, answer.json()["message"].as_str().unwrap()), (status, message.as_str()), "{line}");
    }

    let answer = world.ask("PUT /v2/apps/a", json!({ "id": "/a", "version": versions[1] })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    world.fake.settle();
    let info = world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].clone();
    assert!(info.get("env").is_none());
    assert_ne!(info["version"], json!(versions[1]), "a roll-back is a new version");
}

#[tokio::test]
async fn conflicts_are_answered_as_marathon_does() {
    let world = World::new();
    let created = world.ask("POST /v2/apps", app("/a", 1)).await;
    let deployment = created.header("marathon-deployment-id").to_owned();

    let again = world.ask("POST /v2/apps", app("/a", 1)).await;
    assert_eq!((again.status, again.json()), (409, json!({ "message": "An app with id [/a] already exists." })));

    let locked = world.ask("PUT /v2/apps/a", json!({ "cpus": 0.2 })).await;
    assert_eq!(locked.status, 409);
    assert_eq!(
        locked.json(),
        json!({
            "message": "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
            "deployments": [{ "id": deployment, "since": created.json()["version"], "waiting": ["/a: 1 to launch"] }],
        })
    );
    assert_eq!(world.ask("POST /v2/apps/a/restart", Value::Null).await.status, 409);
    assert_eq!(world.ask("DELETE /v2/apps/a?force=false", Value::Null).await.status, 409);
    assert_eq!(world.ask("PUT /v2/apps/a?force=True", json!({ "cpus": 0.2 })).await.status, 200);
    assert_eq!(world.ask("DELETE /v2/apps/a", Value::Null).await.status, 200, "force is the default here");
}

#[tokio::test]
async fn restart_and_delete_answer_with_their_deployment() {
    let world = World::new();
    world.run(app("/a", 2)).await;
    let before = world.tasks("/a").await;
    let restart = world.ask("POST /v2/apps/a/restart?force=false", Value::Null).await;
    assert_eq!(restart.status, 200, "{}", restart.text);
    assert_eq!(restart.json()["deploymentId"], restart.header("marathon-deployment-id"));
    world.fake.settle();
    let after = world.tasks("/a").await;
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|it| !before.contains(it)));

    let deleted = world.ask("DELETE /v2/apps/a", Value::Null).await;
    assert_eq!(deleted.status, 200);
    assert!(deleted.json()["version"].is_string());
    assert_eq!(world.ask("GET /v2/apps/a", Value::Null).await.status, 404, "users see it no more");
    assert_eq!(world.ask("DELETE /v2/apps/a", Value::Null).await.status, 404);
    assert_eq!(world.ask("POST /v2/apps/a/restart", Value::Null).await.status, 404);
    world.fake.settle();
    assert_eq!(world.ask("GET /v2/apps", Value::Null).await.json(), json!({ "apps": [] }));
}

#[tokio::test]
async fn what_has_no_effect_is_named() {
    let world = World::new();
    let mut body = app("/a", 0);
    body["instnaces"] = json!(3);
    body["container"]["docker"]["imgae"] = json!("x");
    let answer = world.ask("POST /v2/apps", body.clone()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let warnings = answer.header("x-ekiden-warnings");
    assert!(warnings.contains("/instnaces: unknown field, it has no effect; did you mean 'instances'?"), "{warnings}");
    assert!(warnings.contains("/container/docker/imgae"), "{warnings}");
    body["id"] = json!("/b");
    let strict = world.ask("POST /v2/apps?strict=true", body).await;
    assert_eq!(strict.status, 422);
    assert_eq!(strict.json()["details"][0]["path"], "/instnaces");
    assert_eq!(world.ask("GET /v2/apps/b", Value::Null).await.status, 404);
}

#[tokio::test]
async fn what_is_odd_but_works_is_not_refused_when_strict() {
    let world = World::new();
    let mut body = app("/a", 0);
    body["healthChecks"] = json!([{ "intervalSeconds": 5, "timeoutSeconds": 10 }]);
    let answer = world.ask("POST /v2/apps?strict=true", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert!(answer.header("x-ekiden-warnings").starts_with("/healthChecks(0)/timeoutSeconds: is longer"));
}

#[tokio::test]
async fn another_number_is_all_that_is_said_where_nothing_else_is_asked_for() {
    let world = World::new();
    world.run(app("/a", 1)).await;
    world.run(app("/b", 1)).await;
    let before = world.fake.state().app(&AppId::parse("/a").unwrap()).unwrap().current.clone();
    for (line, body, n) in [
        ("PATCH /v2/apps//a?force=true", json!({ "instances": 2 }), 1),
        ("PUT /v2/apps//a?force=true", json!({ "instances": 3 }), 1),
        ("PATCH /v2/apps?force=true", json!([{ "id": "/a", "instances": 4 }, { "id": "b", "instances": 4 }]), 2),
    ] {
        assert_eq!(world.ask(line, body).await.status, 200);
        let Some(Command::ScaleApps { apps, force: true }) = world.fake.last() else { panic!("{line}") };
        assert_eq!(apps.len(), n, "{line}");
        let current = world.fake.state().app(&apps[0].app).unwrap().current.clone();
        assert_eq!(current.spec, AppSpec { instances: apps[0].instances, ..before.spec.clone() }, "{line}");
        assert_eq!((current.run, current.configured), (before.run, before.configured), "{line}");
    }
    for (line, body) in [
        ("PATCH /v2/apps//a?force=true", json!({ "instances": 2, "cpus": 0.2 })),
        ("PATCH /v2/apps?force=true", json!([{ "id": "/a", "instances": 5 }, { "id": "/b", "cpus": 0.2 }])),
    ] {
        assert_eq!(world.ask(line, body).await.status, 200, "{line}");
        assert!(matches!(world.fake.last(), Some(Command::PutApps { .. })), "{line}");
    }
    let unset = [("content-type", "application/merge-patch+json")];
    let answer = world.send("PATCH /v2/apps//a?force=true", &unset, r#"{"instances":null}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(matches!(world.fake.last(), Some(Command::PutApps { .. })), "the default is asked for");

    for (body, why) in [
        (json!({ "instances": -1 }), "/instances"),
        (json!({ "instances": 1.5 }), "/instances"),
        (json!({ "id": "/b", "instances": 1 }), "/id"),
    ] {
        let answer = world.ask("PATCH /v2/apps//a?force=true", body).await;
        assert!(matches!(answer.status, 400 | 422) && answer.text.contains(why), "{}", answer.text);
    }
    let mut single = app("/single", 1);
    single["labels"] = json!({ "MARATHON_SINGLE_INSTANCE_APP": "true" });
    single["upgradeStrategy"] = json!({ "minimumHealthCapacity": 0, "maximumOverCapacity": 0 });
    world.run(single).await;
    let answer = world.ask("PATCH /v2/apps//single?force=true", json!({ "instances": 2 })).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
}

#[tokio::test]
async fn nobody_holds_a_state_while_a_change_is_made() {
    let world = World::new();
    let pod = json!({ "id": "/pod", "containers": [{ "name": "a", "resources": { "cpus": 0.1, "mem": 32 },
        "image": { "kind": "DOCKER", "id": "nginx:1.25" } }] });
    for (line, body) in [
        ("POST /v2/apps", app("/a", 1)),
        ("PUT /v2/apps//a?force=true", json!({ "instances": 2 })),
        ("PATCH /v2/apps//a?force=true", json!({ "instances": 3 })),
        ("PATCH /v2/apps?force=true", json!([{ "id": "/a", "instances": 4 }])),
        ("POST /v2/apps//a/restart?force=true", json!({})),
        ("PUT /v2/groups//g?force=true", json!({ "apps": [app("/g/a", 1)] })),
        ("POST /v2/groups", json!({ "id": "/h", "apps": [app("/h/a", 1)] })),
        ("POST /v2/pods", pod.clone()),
        ("PUT /v2/pods//pod?force=true", pod),
        ("DELETE /v2/apps//a?force=true", json!(null)),
    ] {
        let answer = world.ask(line, body).await;
        assert!(answer.status < 300, "{line}: {}", answer.text);
        assert_eq!(world.fake.n_held(), 0, "{line}");
    }
}

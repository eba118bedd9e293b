//! The fields of an app, topic by topic: what is given in any dialect, and what is read back.

use super::world::World;
use cluster::agent::Seen;
use cluster::{Health, Readiness, ReadinessResponse};
use serde_json::{Value, json};

/// Posts an app strictly, and reads it back.
async fn read_back(world: &World, app: &Value) -> Value {
    let answer = world.ask("POST /v2/apps?strict=true", app.clone()).await;
    assert_eq!(answer.status, 201, "{app}: {}", answer.text);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    world.ask(&format!("GET /v2/apps{id}"), Value::Null).await.json()["app"].clone()
}

#[tokio::test]
async fn a_command_without_a_container_runs_in_the_operators_image() {
    let world = World::with_commands();
    let read = read_back(&world, &json!({ "id": "/a", "cmd": "sleep 100" })).await;
    let expect = json!({
        "id": "/a", "backoffFactor": 1.15, "backoffSeconds": 1, "cmd": "sleep 100", "cpus": 1, "disk": 0,
        "executor": "", "gpus": 0, "instances": 1, "killSelection": "YOUNGEST_FIRST", "labels": {},
        "maxLaunchDelaySeconds": 300, "mem": 128, "networks": [{ "mode": "host" }],
        "portDefinitions": [{ "name": "default", "port": 10000, "protocol": "tcp" }], "requirePorts": false,
        "role": "*", "unreachableStrategy": { "expungeAfterSeconds": 0, "inactiveAfterSeconds": 0 },
        "upgradeStrategy": { "maximumOverCapacity": 1, "minimumHealthCapacity": 1 },
    });
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(&read[name], value, "{name}");
    }
    let beside = [
        "version",
        "versionInfo",
        "tasksStaged",
        "tasksRunning",
        "tasksHealthy",
        "tasksUnhealthy",
        "deployments",
        "tasks",
    ];
    let others: Vec<_> = read.as_object().unwrap().keys().filter(|it| expect.get(it).is_none()).collect();
    assert!(others.iter().all(|it| beside.contains(&it.as_str())), "{others:?}");
    world.fake.settle();
    assert_eq!(world.tasks("/a").await.len(), 1);

    let read =
        read_back(&world, &json!({ "id": "/b", "args": ["sleep", "1"], "container": { "type": "MESOS" } })).await;
    assert_eq!(read["container"], json!({ "type": "MESOS", "volumes": [] }));
    let read =
        read_back(&world, &json!({ "id": "/c", "cmd": "x", "networks": [{ "mode": "container/bridge" }] })).await;
    let mapping = json!({ "containerPort": 0, "hostPort": 0, "labels": {}, "name": "default", "protocol": "tcp", "servicePort": 10002 });
    assert_eq!(read["container"], json!({ "type": "MESOS", "portMappings": [mapping], "volumes": [] }));
    let none = world.ask("POST /v2/apps", json!({ "id": "/d" })).await;
    assert_eq!(none.status, 422, "{}", none.text);
}

#[tokio::test]
async fn the_mesos_containerizer_is_played_by_docker() {
    let world = World::new();
    let container = json!({ "type": "MESOS", "docker": { "image": "x:1", "forcePullImage": true }, "linuxInfo": {} });
    let read = read_back(&world, &json!({ "id": "/a", "container": container, "tty": true })).await;
    let docker = json!({ "image": "x:1", "forcePullImage": true, "privileged": false, "parameters": [] });
    assert_eq!(read["container"], json!({ "type": "MESOS", "docker": docker, "volumes": [] }));
    assert_eq!((&read["tty"], &read["networks"]), (&json!(true), &json!([{ "mode": "host" }])));
}

#[tokio::test]
async fn networks_of_a_name_in_every_dialect() {
    let world = World::new();
    let docker = |docker: Value| json!({ "docker": docker });
    let network = json!([{ "labels": { "a": "b" }, "mode": "container", "name": "net_1" }]);
    let mapping = json!({ "containerPort": 80, "labels": {}, "name": "web", "protocol": "tcp", "servicePort": 0 });
    for (n, app) in [
        json!({
            "networks": [{ "name": "net_1", "labels": { "a": "b" } }],
            "container": { "docker": { "image": "x" }, "portMappings": [{ "containerPort": 80, "name": "web", "networkNames": ["net_1"] }] },
        }),
        json!({
            "ipAddress": { "networkName": "net_1", "labels": { "a": "b" } },
            "container": docker(json!({ "image": "x", "network": "USER", "portMappings": [{ "containerPort": 80, "name": "web" }] })),
        }),
        json!({
            "ipAddress": { "networkName": "net_1", "labels": { "a": "b" }, "discovery": { "ports": [{ "number": 80, "name": "web" }] } },
            "container": { "type": "MESOS", "docker": { "image": "x" } }, "ports": [],
        }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut app = app;
        app["id"] = json!(format!("/a{n}"));
        let read = read_back(&world, &app).await;
        assert_eq!(read["networks"], network, "{app}");
        let mut printed = read["container"]["portMappings"][0].clone();
        assert!(printed["servicePort"].as_u64().unwrap() >= 10_000);
        printed["servicePort"] = json!(0);
        assert_eq!(printed, mapping, "no host port unless it is asked for: {app}");
        assert!(read.get("ipAddress").is_none() && read.get("portDefinitions").is_none());
        assert_eq!(read["requirePorts"], false);
    }
    let read = read_back(
        &world,
        &json!({
            "id": "/p", "networks": [{ "mode": "container", "name": "n" }],
            "container": { "docker": { "image": "x" }, "portMappings": [{ "containerPort": 80, "hostPort": 0 }] },
        }),
    )
    .await;
    assert_eq!(read["container"]["portMappings"][0]["hostPort"], 0);
    world.fake.settle();
    let task = world.ask("GET /v2/apps/a0/tasks", Value::Null).await.json()["tasks"][0].clone();
    assert_eq!(
        (&task["ports"], &task["ipAddresses"]),
        (&json!([]), &json!([{ "ipAddress": "172.17.0.2", "protocol": "IPv4" }]))
    );
    let change = json!({ "networks": [{ "mode": "container", "name": "n" }] });
    world.run(json!({ "id": "/h", "container": { "docker": { "image": "x" } } })).await;
    let answer = world.ask("PUT /v2/apps/h?strict=true", change).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn checks_by_tls_and_by_the_sixth_version_of_ip() {
    let world = World::new();
    let checks = json!([
        { "protocol": "HTTPS", "path": "/health", "portIndex": 0, "ignoreHttp1xx": true },
        { "protocol": "MESOS_HTTPS", "port": 443, "ipProtocol": "IPv6", "delaySeconds": 3 },
    ]);
    let read =
        read_back(&world, &json!({ "id": "/a", "container": { "docker": { "image": "x" } }, "healthChecks": checks }))
            .await;
    let common = json!({
        "delaySeconds": 15, "gracePeriodSeconds": 300, "intervalSeconds": 60, "maxConsecutiveFailures": 3, "timeoutSeconds": 20,
    });
    let with = |fields: Value| {
        let mut check = common.clone();
        check.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        check
    };
    assert_eq!(
        read["healthChecks"],
        json!([
            with(
                json!({ "protocol": "HTTPS", "path": "/health", "portIndex": 0, "ignoreHttp1xx": true, "ipProtocol": "IPv4" })
            ),
            with(
                json!({ "protocol": "MESOS_HTTPS", "path": "/", "port": 443, "ipProtocol": "IPv6", "delaySeconds": 3 })
            ),
        ])
    );
}

#[tokio::test]
async fn files_are_fetched_as_either_dialect_says() {
    let world = World::new();
    let app = |id: &str, fields: Value| {
        let mut app = json!({ "id": id, "container": { "docker": { "image": "x" } } });
        app.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        app
    };
    let new = app(
        "/a",
        json!({ "uris": [], "fetch": [
        { "uri": "https://example.com/app.zip", "cache": true },
        { "uri": "file:///etc/docker.tar.gz", "extract": false, "executable": true, "destPath": "a/b" },
    ] }),
    );
    let read = read_back(&world, &new).await;
    assert_eq!(
        read["fetch"],
        json!([
            { "uri": "https://example.com/app.zip", "cache": true, "executable": false, "extract": true },
            { "uri": "file:///etc/docker.tar.gz", "cache": false, "executable": true, "extract": false, "destPath": "a/b" },
        ])
    );
    assert!(read.get("uris").is_none());
    let read =
        read_back(&world, &app("/b", json!({ "fetch": null, "uris": ["http://x/a.tgz", "http://x/a.txt"] }))).await;
    assert_eq!((&read["fetch"][0]["extract"], &read["fetch"][1]["extract"]), (&json!(true), &json!(false)));
    world.fake.settle();
    let answer = world.ask("PUT /v2/apps/b", json!({ "uris": ["http://x/other.zip"] })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let read = world.ask("GET /v2/apps/b", Value::Null).await.json()["app"].clone();
    assert_eq!(read["fetch"].as_array().unwrap().len(), 1, "it takes the place of what was there");
}

#[tokio::test]
async fn volumes_of_every_kind() {
    let world = World::new();
    let app = json!({
        "id": "/data/db", "instances": 2, "cpus": 0.1, "mem": 32,
        "networks": [{ "mode": "container/bridge" }],
        "container": {
            "docker": { "image": "mysql" },
            "volumes": [
                { "containerPath": "data", "mode": "RW", "persistent": { "type": "root", "size": 100, "constraints": [] } },
                { "containerPath": "/var/lib/x", "mode": "RW", "persistent": { "size": 1 } },
                { "containerPath": "/logs", "hostPath": "/var/log", "mode": "RO" },
                { "containerPath": "/var/lib/mysql", "hostPath": "data", "mode": "RW" },
            ],
        },
    });
    let read = read_back(&world, &app).await;
    assert_eq!(
        read["container"]["volumes"],
        json!([
            { "containerPath": "data", "mode": "RW", "persistent": { "size": 100, "type": "root" } },
            { "containerPath": "/var/lib/x", "mode": "RW", "persistent": { "size": 1, "type": "root" } },
            { "containerPath": "/logs", "hostPath": "/var/log", "mode": "RO" },
            { "containerPath": "/var/lib/mysql", "hostPath": "data", "mode": "RW" },
        ])
    );
    assert_eq!(
        read["residency"],
        json!({ "relaunchEscalationTimeoutSeconds": 3600, "taskLostBehavior": "WAIT_FOREVER" })
    );
    assert_eq!(read["unreachableStrategy"], "disabled");
    assert_eq!(read["upgradeStrategy"], json!({ "maximumOverCapacity": 0, "minimumHealthCapacity": 0.5 }));
    world.fake.settle();
    let tasks = world.ask("GET /v2/apps/data/db/tasks", Value::Null).await.json();
    let (one, two) = (&tasks["tasks"][0]["localVolumes"], &tasks["tasks"][1]["localVolumes"]);
    let uuid = one[0]["uuid"].as_str().unwrap();
    assert_eq!(
        *one,
        json!([
            { "runSpecId": "/data/db", "containerPath": "data", "uuid": uuid, "persistenceId": format!("data_db#data#{uuid}") },
            { "runSpecId": "/data/db", "containerPath": "/var/lib/x", "uuid": uuid, "persistenceId": format!("data_db#/var/lib/x#{uuid}") },
        ])
    );
    assert_ne!(one, two);
    let fixed = world
        .ask(
            "PUT /v2/apps/data/db",
            json!({ "container": { "docker": { "image": "mysql" } }, "upgradeStrategy": null }),
        )
        .await;
    assert_eq!(fixed.status, 422, "{}", fixed.text);
    assert!(fixed.json()["message"].as_str().unwrap().contains("has persistent volumes"), "{}", fixed.text);

    let external = json!({
        "id": "/ext", "container": {
            "type": "MESOS", "docker": { "image": "x" },
            "volumes": [{ "containerPath": "/data", "mode": "RW", "external": {
                "name": "vol-1", "provider": "dvdi", "size": 100, "options": { "dvdi/driver": "rexray", "dvdi/iops": "5" },
            } }],
        },
    });
    let read = read_back(&world, &external).await;
    assert_eq!(
        read["container"]["volumes"][0]["external"],
        json!({
            "name": "vol-1", "provider": "dvdi", "size": 100, "shared": false,
            "options": { "dvdi/driver": "rexray", "dvdi/iops": "5" },
        })
    );
    assert_eq!(read["upgradeStrategy"], json!({ "maximumOverCapacity": 0, "minimumHealthCapacity": 0.5 }));
    assert_eq!(read["unreachableStrategy"], json!({ "expungeAfterSeconds": 0, "inactiveAfterSeconds": 0 }));
    let mut other = external.clone();
    other["id"] = json!("/ext2");
    let taken = world.ask("POST /v2/apps", other.clone()).await;
    assert_eq!(taken.status, 422, "{}", taken.text);
    assert!(taken.json()["message"].as_str().unwrap().contains("is used by app '/ext' already"), "{}", taken.text);
    let info = other.pointer_mut("/container/volumes/0/external").unwrap();
    info["shared"] = json!(true);
    info["name"] = json!("vol-2");
    other["instances"] = json!(2);
    assert_eq!(read_back(&world, &other).await["container"]["volumes"][0]["external"]["shared"], true);
}

#[tokio::test]
async fn dependencies_and_labels_that_ekiden_reads() {
    let world = World::new();
    let app = json!({
        "id": "/product/service/web", "container": { "docker": { "image": "x" } },
        "dependencies": ["/product/db/mongo", "../../cache", "../api", "log"],
        "labels": { "EKIDEN_DEPLOYMENT_DEADLINE": "600", "EKIDEN_DEPLOYMENT_ROLLBACK": "true" },
        "killSelection": "OldestFirst",
    });
    let read = read_back(&world, &app).await;
    assert_eq!(
        read["dependencies"],
        json!(["/product/db/mongo", "/product/cache", "/product/service/api", "/product/service/log"])
    );
    assert_eq!(read["killSelection"], "OLDEST_FIRST");
    let cyclic = json!({ "id": "/product/db/mongo", "container": { "docker": { "image": "x" } }, "dependencies": ["/product/service"] });
    let refused = world.ask("POST /v2/apps", cyclic).await;
    assert_eq!(
        (refused.status, refused.json()),
        (422, json!({ "message": "Dependency graph has cyclic dependencies." }))
    );
}

#[tokio::test]
async fn readiness_is_asked_and_told_by_task_id() {
    let world = World::new();
    let app = json!({
        "id": "/a", "container": { "docker": { "image": "x" } }, "cpus": 0.1, "mem": 32,
        "portDefinitions": [{ "port": 0, "name": "http-api" }],
        "readinessChecks": [{ "preserveLastResponse": true }],
    });
    let read = read_back(&world, &app).await;
    assert_eq!(
        read["readinessChecks"],
        json!([{
            "name": "readinessCheck", "protocol": "HTTP", "path": "/", "portName": "http-api", "intervalSeconds": 30,
            "timeoutSeconds": 10, "httpStatusCodesForReady": [200], "preserveLastResponse": true,
        }])
    );
    world.fake.plan();
    let instance = world.fake.state().instances().next().unwrap().clone();
    let response = ReadinessResponse { status: 503, content_type: "text/plain".into(), body: "not yet".into() };
    let readiness = Readiness { ready: false, response: Some(Box::new(response)) };
    world.fake.report(&instance, Seen::Running { ip: None, health: Health::Unknown, checks: Vec::new(), readiness });
    let task = world.tasks("/a").await[0].clone();
    let expect = json!([{
        "name": "readinessCheck", "taskId": task, "ready": false,
        "lastResponse": { "status": 503, "contentType": "text/plain", "body": "not yet" },
    }]);
    let info = world.ask("GET /v2/apps/a?embed=app.readiness", Value::Null).await.json();
    assert_eq!(info["app"]["readinessCheckResults"], expect);
    let listed = world.ask("GET /v2/apps?embed=apps.readiness", Value::Null).await.json();
    assert_eq!(listed["apps"][0]["readinessCheckResults"], expect);
    let deployments = world.ask("GET /v2/deployments", Value::Null).await.json();
    assert_eq!(deployments[0]["currentActions"][0]["readinessCheckResults"], expect);

    let readiness = Readiness { ready: true, response: None };
    world.fake.report(&instance, Seen::Running { ip: None, health: Health::Unknown, checks: Vec::new(), readiness });
    world.fake.plan();
    assert_eq!(world.ask("GET /v2/deployments", Value::Null).await.json(), json!([]));
    let info = world.ask("GET /v2/apps/a?embed=app.readiness", Value::Null).await.json();
    assert_eq!(info["app"]["readinessCheckResults"], json!([]), "only during a deployment");
}

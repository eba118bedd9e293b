//! What Marathon's clients write in more ways than one: both dialects at once, words in any case, ids encoded whole.

use super::world::World;
use cluster::{Command, Grants, NodeId, Principal, Settings};
use serde_json::{Value, json};

/// An app on the host network with a port and a file.
fn app() -> Value {
    json!({
        "id": "/a", "container": { "docker": { "image": "x" } },
        "portDefinitions": [{ "port": 1000, "name": "old" }], "fetch": [{ "uri": "http://files/old" }],
    })
}

/// The app after an update, given as text, so that the order of its keys is what is written here.
async fn after(line: &str, kind: &str, update: &str) -> Value {
    let world = World::new();
    world.run(app()).await;
    let answer = world.send(line, &[("content-type", kind)], update.to_owned()).await;
    assert_eq!(answer.status, 200, "{line} {update}: {}", answer.text);
    world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].clone()
}

#[tokio::test]
async fn an_idle_field_of_the_old_dialect_wipes_nothing_whatever_stands_first() {
    let ports = r#""portDefinitions":[{"port":2000,"name":"new"}]"#;
    let fetch = r#""fetch":[{"uri":"http://files/new"}]"#;
    for (update, port, file) in [
        (format!("{{{ports},\"ports\":[]}}"), json!(2000), "http://files/old"),
        (format!("{{\"ports\":[],{ports}}}"), json!(2000), "http://files/old"),
        (format!("{{{ports},\"ports\":null}}"), json!(2000), "http://files/old"),
        (format!("{{{fetch},\"uris\":[]}}"), json!(1000), "http://files/new"),
        (format!("{{\"uris\":[],{fetch}}}"), json!(1000), "http://files/new"),
        (r#"{"fetch":[],"uris":["http://files/new"]}"#.to_owned(), json!(1000), "http://files/new"),
        (r#"{"uris":["http://files/new"],"fetch":[]}"#.to_owned(), json!(1000), "http://files/new"),
        (r#"{"uris":[]}"#.to_owned(), json!(1000), "http://files/old"),
        (r#"{"uris":null,"ports":null}"#.to_owned(), json!(1000), "http://files/old"),
        (r#"{"ports":[]}"#.to_owned(), Value::Null, "http://files/old"),
    ] {
        for (line, kind) in [
            ("PUT /v2/apps/a", "application/json"),
            ("PATCH /v2/apps/a", "application/json"),
            ("PATCH /v2/apps/a", "application/merge-patch+json"),
        ] {
            let app = after(line, kind, &update).await;
            assert_eq!(app["portDefinitions"][0]["port"], port, "{line} {kind} {update}: {app}");
            assert_eq!(app["fetch"][0]["uri"], file, "{line} {kind} {update}: {app}");
        }
    }
    let world = World::new();
    world.run(app()).await;
    for update in [
        json!({ "uris": ["http://a"], "fetch": [{ "uri": "http://b" }] }),
        json!({ "ports": [1], "portDefinitions": [{ "port": 2 }] }),
    ] {
        let answer = world.ask("PUT /v2/apps/a", update.clone()).await;
        assert_eq!(answer.status, 422, "{update}: {}", answer.text);
    }
}

#[tokio::test]
async fn port_mappings_stand_in_either_place_and_an_empty_list_in_the_other() {
    let world = World::new();
    let mapping = json!([{ "containerPort": 80 }]);
    for (n, (new, old)) in [(mapping.clone(), json!([])), (json!([]), mapping.clone())].into_iter().enumerate() {
        let docker = json!({ "image": "x", "network": "BRIDGE", "portMappings": old });
        let app = json!({ "id": format!("/a{n}"), "container": { "docker": docker, "portMappings": new } });
        let answer = world.ask("POST /v2/apps", app).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(answer.json()["container"]["portMappings"][0]["containerPort"], 80);
    }
}

#[tokio::test]
async fn the_words_of_a_choice_are_read_in_any_case() {
    let world = World::new();
    let app = json!({
        "id": "/a",
        "container": {
            "type": "docker", "docker": { "image": "x", "network": "bridge" },
            "portMappings": [{ "containerPort": 80, "protocol": "TCP", "name": "web" }, { "containerPort": 81, "protocol": "Udp,Tcp" }],
            "volumes": [{ "containerPath": "/c", "hostPath": "/h", "mode": "ro" }],
        },
        "healthChecks": [{ "protocol": "http" }, { "protocol": "Mesos_Tcp", "ipProtocol": "ipv4" }],
        "readinessChecks": [{ "protocol": "https", "portName": "web" }],
        "killSelection": "oldest_first", "unreachableStrategy": "Disabled",
        "resourceLimits": { "cpus": "UNLIMITED" },
    });
    let answer = world.ask("POST /v2/apps", app).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let read = answer.json();
    for (place, expect) in [
        ("/container/type", "DOCKER"),
        ("/networks/0/mode", "container/bridge"),
        ("/container/portMappings/0/protocol", "tcp"),
        ("/container/portMappings/1/protocol", "udp,tcp"),
        ("/container/volumes/0/mode", "RO"),
        ("/healthChecks/0/protocol", "HTTP"),
        ("/healthChecks/1/protocol", "MESOS_TCP"),
        ("/healthChecks/1/ipProtocol", "IPv4"),
        ("/readinessChecks/0/protocol", "HTTPS"),
        ("/killSelection", "OLDEST_FIRST"),
        ("/unreachableStrategy", "disabled"),
    ] {
        assert_eq!(read.pointer(place), Some(&json!(expect)), "{place}: {read}");
    }
    let host = json!({ "id": "/h", "container": { "type": "Mesos", "docker": { "image": "x" } }, "networks": [{ "mode": "HOST" }] });
    let read = world.ask("POST /v2/apps", host).await.json();
    assert_eq!((&read["container"]["type"], &read["networks"]), (&json!("MESOS"), &json!([{ "mode": "host" }])));
    world.fake.settle();
    let moved = world.ask("PUT /v2/apps/h", json!({ "networks": [{ "mode": "Container/Bridge" }] })).await;
    assert_eq!(moved.status, 200, "{}", moved.text);

    let pod = json!({
        "id": "/p", "networks": [{ "mode": "CONTAINER/bridge" }], "scaling": { "kind": "Fixed", "instances": 1 },
        "containers": [{
            "name": "c", "image": { "kind": "docker", "id": "x" }, "resources": { "cpus": 0.1, "mem": 32 },
            "endpoints": [{ "name": "web", "containerPort": 80, "protocol": ["TCP"] }],
            "healthCheck": { "http": { "endpoint": "web", "scheme": "https" } },
        }],
        "scheduling": {
            "killSelection": "Oldest_First", "unreachableStrategy": "DISABLED",
            "placement": { "constraints": [{ "fieldName": "rack", "operator": "unique" }] },
        },
    });
    let answer = world.ask("POST /v2/pods", pod).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let read = answer.json();
    assert_eq!(read["scheduling"]["placement"]["constraints"][0]["operator"], "UNIQUE");
    assert_eq!(read["containers"][0]["healthCheck"]["http"]["scheme"], "HTTPS");
    assert_eq!(read["containers"][0]["endpoints"][0]["protocol"], json!(["tcp"]));

    let lower = json!({ "id": "/u", "container": { "docker": { "image": "x" } }, "constraints": [["rack", "unique"]] });
    let answer = world.ask("POST /v2/apps", lower).await;
    assert!(answer.status == 422 && answer.text.contains("operator must be one of"), "as in Marathon: {}", answer.text);
}

#[tokio::test]
async fn an_id_may_be_encoded_whole() {
    let world = World::new();
    let definition = json!({ "id": "/g/a", "container": { "docker": { "image": "x" } } });
    assert_eq!(world.ask("PUT /v2/apps/%2Fg%2Fa", definition).await.status, 201);
    world.fake.settle();
    assert_eq!(world.ask("GET /v2/apps/%2Fg%2Fa", Value::Null).await.json()["app"]["id"], "/g/a");
    assert_eq!(world.ask("GET /v2/apps/g%2fa", Value::Null).await.json()["app"]["id"], "/g/a");
    let tasks = world.ask("GET /v2/apps/%2Fg%2Fa/tasks", Value::Null).await.json();
    assert_eq!(tasks["tasks"][0]["appId"], "/g/a");
    assert_eq!(world.ask("GET /v2/apps/%2Fg%2F*", Value::Null).await.json()["*"][0]["id"], "/g/a");
    assert_eq!(world.ask("GET /v2/groups/%2Fg", Value::Null).await.json()["id"], "/g");
    assert_eq!(world.ask("GET /v2/groups/%2F", Value::Null).await.json()["id"], "/");
    // A slash that is encoded parts nothing: these are ids, and no sub-resources.
    for line in ["GET /v2/apps/g%2Fa%2Fversions", "DELETE /v2/apps/g%2Fa%2Ftasks", "GET /v2%2Fapps"] {
        let status = world.ask(line, Value::Null).await.status;
        assert!(matches!(status, 404 | 422), "{line}: {status}");
    }
    assert_eq!(world.tasks("/g/a").await.len(), 1);
    let deleted = world.ask("DELETE /v2/apps/%2Fg%2Fa", Value::Null).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text);
}

#[tokio::test]
async fn a_byte_order_mark_before_a_definition_is_passed_over() {
    let world = World::new();
    let text = format!("\u{feff}{}", json!({ "id": "/a", "container": { "docker": { "image": "x" } } }));
    let answer = world.send("POST /v2/apps", &[("content-type", "application/json")], text).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[tokio::test]
async fn tcp_and_udp_of_one_number_are_two_ports() {
    let world = World::new();
    let port = |protocol: &str| json!({ "port": 53, "protocol": protocol });
    let app = |id: &str, ports: Value| json!({ "id": id, "container": { "docker": { "image": "x" } }, "portDefinitions": ports, "requirePorts": true });
    for (id, ports, status) in [
        ("/dns", json!([port("tcp"), port("udp")]), 201),
        ("/twice", json!([port("udp"), port("udp")]), 422),
        ("/both", json!([port("udp"), port("udp,tcp")]), 422),
    ] {
        let answer = world.ask("POST /v2/apps", app(id, ports)).await;
        assert_eq!(answer.status, status, "{id}: {}", answer.text);
    }
    world.fake.settle();
    let task = world.ask("GET /v2/apps/dns/tasks", Value::Null).await.json()["tasks"][0].clone();
    assert_eq!(task["ports"], json!([53, 53]));
}

#[tokio::test]
async fn roles_are_those_that_the_operator_names() {
    let world = World::new();
    let app = |id: &str, more: Value| {
        let mut app = json!({ "id": id, "container": { "docker": { "image": "x" } } });
        app.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        app
    };
    let any = world.ask("POST /v2/apps", app("/any", json!({ "acceptedResourceRoles": ["slave_public", "*"] }))).await;
    assert_eq!((any.status, &any.json()["acceptedResourceRoles"]), (201, &json!(["slave_public", "*"])));
    let public = app("/public", json!({ "acceptedResourceRoles": ["slave_public"] }));
    let refused = world.ask("POST /v2/apps", public.clone()).await;
    assert!(refused.status == 422 && refused.text.contains("can only contain *"), "{}", refused.text);

    let settings = Settings { roles: ["slave_public".to_owned()].into(), ..world.fake.state().settings().clone() };
    world.fake.apply(Principal::Leader, Command::Configure { settings }).unwrap();
    assert_eq!(world.ask("POST /v2/apps", public).await.status, 201);
    world.fake.settle();
    assert!(world.tasks("/public").await.is_empty(), "no node has that role");
    let queue = world.ask("GET /v2/queue", Value::Null).await.json();
    let first = &queue["queue"][0]["processedOffersSummary"]["rejectSummaryLastOffers"][0];
    assert_eq!(first, &json!({ "reason": "UnfulfilledRole", "declined": 2, "processed": 2 }));

    let mut node = (*world.fake.state().node(&NodeId::new("n2")).unwrap().description).clone();
    node.attributes.insert("role".to_owned(), "slave_public".to_owned());
    world.fake.apply(Principal::Agent(node.id.clone()), Command::Register { node }).unwrap();
    world.fake.settle();
    let role = world.ask("POST /v2/apps", app("/role", json!({ "role": "slave_public", "instances": 3 }))).await;
    assert_eq!((role.status, &role.json()["role"]), (201, &json!("slave_public")));
    world.fake.settle();
    for id in ["/public", "/role"] {
        let tasks = world.ask(&format!("GET /v2/apps{id}/tasks"), Value::Null).await.json()["tasks"].clone();
        let tasks = tasks.as_array().unwrap();
        assert!(!tasks.is_empty() && tasks.iter().all(|it| it["slaveId"] == "n2"), "{id}: {tasks:?}");
    }
    let pod = json!({
        "id": "/pod", "role": "slave_public", "scheduling": { "placement": { "acceptedResourceRoles": ["slave_public"] } },
        "containers": [{ "name": "c", "image": { "kind": "DOCKER", "id": "x" }, "resources": { "cpus": 0.1, "mem": 32 } }],
    });
    let answer = world.ask("POST /v2/pods", pod).await;
    assert_eq!((answer.status, &answer.json()["role"]), (201, &json!("slave_public")), "{}", answer.text);
}

#[tokio::test]
async fn what_reaches_beyond_a_container_is_for_nodes_that_allow_it() {
    let world = World::new();
    let app = |id: &str, docker: Value| {
        let mut docker = docker;
        docker["image"] = json!("x");
        json!({ "id": id, "container": { "docker": docker }, "networks": [{ "mode": "container/bridge" }] })
    };
    let parameter = |key: &str, value: &str| json!({ "parameters": [{ "key": key, "value": value }] });
    for (key, value) in [
        ("cap-add", "NET_ADMIN"),
        ("device", "/dev/fuse"),
        ("env", "A=b"),
        ("name", "web"),
        ("pid", "host"),
        ("publish", "8080:80"),
        ("security-opt", "seccomp=unconfined"),
    ] {
        let answer = world.ask("POST /v2/apps", app("/a", parameter(key, value))).await;
        let detail = &answer.json()["details"][0];
        assert_eq!(
            (answer.status, &detail["path"]),
            (422, &json!("/container/docker/parameters(0)")),
            "{}",
            answer.text
        );
        assert!(answer.text.contains(&format!("no node allows '{key}={value}'")), "{}", answer.text);
    }
    let privileged = world.ask("POST /v2/apps", app("/a", json!({ "privileged": true }))).await;
    assert_eq!(privileged.json()["details"][0]["path"], "/container/docker/privileged", "{}", privileged.text);
    for (n, (key, value)) in [("log-driver", "journald"), ("log-opt", "tag=x"), ("cap-drop", "ALL")].iter().enumerate()
    {
        let answer = world.ask("POST /v2/apps", app(&format!("/ok{n}"), parameter(key, value))).await;
        assert_eq!(answer.status, 201, "{key}: {}", answer.text);
    }

    let grants: Grants = Grants(["privileged".to_owned(), "cap-add=NET_ADMIN".to_owned()].into());
    let mut node = (*world.fake.state().node(&NodeId::new("n2")).unwrap().description).clone();
    node.grants = grants;
    world.fake.apply(Principal::Agent(node.id.clone()), Command::Register { node }).unwrap();
    let given = json!({ "privileged": true, "parameters": [{ "key": "cap-add", "value": "NET_ADMIN" }] });
    let answer = world.ask("POST /v2/apps", app("/b", given)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let docker = answer.json()["container"]["docker"].clone();
    assert_eq!(docker["privileged"], true);
    assert_eq!(docker["parameters"], json!([{ "key": "cap-add", "value": "NET_ADMIN" }]));
    let again = world.ask("PUT /v2/apps/b", json!({ "container": { "docker": docker } })).await;
    assert_eq!(again.status, 200, "{}", again.text);
    world.fake.settle();
    let task = world.ask("GET /v2/apps/b/tasks", Value::Null).await.json()["tasks"][0].clone();
    assert_eq!(task["slaveId"], "n2");
    let other = app("/c", parameter("cap-add", "SYS_ADMIN"));
    assert_eq!(world.ask("POST /v2/apps", other).await.status, 422, "one value was allowed, not every one");

    let group = json!({ "groups": [{ "id": "inner", "apps": [app("c", parameter("pid", "host"))] }] });
    let answer = world.ask("PUT /v2/groups/g", group).await;
    let path = "/groups(0)/apps(0)/container/docker/parameters(0)";
    assert_eq!((answer.status, &answer.json()["details"][0]["path"]), (422, &json!(path)), "{}", answer.text);
}

#[tokio::test]
async fn the_host_network_can_be_forbidden() {
    let world = World::new();
    let app = json!({ "id": "/a", "container": { "docker": { "image": "x" } } });
    for name in ["n1", "n2"] {
        let mut node = (*world.fake.state().node(&NodeId::new(name)).unwrap().description).clone();
        node.grants = Grants([].into());
        world.fake.apply(Principal::Agent(node.id.clone()), Command::Register { node }).unwrap();
    }
    let answer = world.ask("POST /v2/apps", app).await;
    assert_eq!((answer.status, &answer.json()["details"][0]["path"]), (422, &json!("/networks")), "{}", answer.text);
    let pod = json!({
        "id": "/p", "containers": [{ "name": "c", "image": { "kind": "DOCKER", "id": "x" }, "resources": { "cpus": 0.1, "mem": 32 } }],
    });
    assert_eq!(world.ask("POST /v2/pods", pod).await.status, 422);
}

#[tokio::test]
async fn a_fetched_file_is_mounted_by_its_relative_path() {
    let world = World::new();
    let app = |id: &str, fetch: Value, path: &str| {
        let volume = json!({ "containerPath": "/etc/app.conf", "hostPath": path, "mode": "RO" });
        json!({ "id": id, "container": { "docker": { "image": "x" }, "volumes": [volume] }, "fetch": fetch })
    };
    let file = json!([{ "uri": "http://files.example/conf/app.conf?v=1", "extract": false }]);
    let renamed = json!([{ "uri": "http://files.example/x", "destPath": "conf/app.conf" }]);
    let archive = json!([{ "uri": "http://files.example/conf.tgz" }]);
    for (n, (fetch, path, status)) in [
        (file.clone(), "app.conf", 201),
        (file.clone(), "./app.conf", 201),
        (renamed, "conf/app.conf", 201),
        (archive.clone(), "any/thing", 201),
        (file.clone(), "other.conf", 422),
        (archive, "../app.conf", 422),
        (file, "a:b", 422),
        (json!([]), "app.conf", 422),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = world.ask("POST /v2/apps", app(&format!("/a{n}"), fetch.clone(), path)).await;
        assert_eq!(answer.status, status, "{path} of {fetch}: {}", answer.text);
        if status == 201 {
            assert_eq!(answer.json()["container"]["volumes"][0]["hostPath"], path);
        }
    }
}

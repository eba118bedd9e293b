//! What was read, put back unchanged, changes nothing.

use super::world::World;
use crate::{from_wire, to_wire, v2};
use cluster::pattern::Patterns;
use cluster::{AppId, AppVersion, Settings, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Map, Value, json};

/// Any valid app, in either dialect, with any of its fields.
fn any_app() -> impl Strategy<Value = Value> {
    (any_container(), any_common(), any_policy(), prop::option::of(any_check()), any_data()).prop_map(
        |(mut app, common, policy, check, data)| {
            let has_command = app.get("cmd").is_some() || app.get("args").is_some();
            let fields = app.as_object_mut().unwrap();
            fields.extend(policy.as_object().unwrap().clone());
            for (name, value) in common.as_object().unwrap() {
                if !(has_command && matches!(name.as_str(), "cmd" | "args")) {
                    fields.insert(name.clone(), value.clone());
                }
            }
            if let Some(check) = check {
                fields.insert("healthChecks".to_owned(), json!([check]));
            }
            with_data(&mut app, data);
            app
        },
    )
}

/// Volumes and files.
fn any_data() -> impl Strategy<Value = (u8, Value)> {
    let fetch = prop::sample::select(vec![
        json!({}),
        json!({ "uris": ["http://x/a.zip", "file:///b"] }),
        json!({ "fetch": [{ "uri": "https://x/a", "cache": true, "destPath": "b" }], "tty": true }),
        json!({ "dependencies": ["/b", "../c"], "labels": { "EKIDEN_DEPLOYMENT_DEADLINE": "5" } }),
    ]);
    (0..5_u8, fetch)
}

fn with_data(app: &mut Value, (volumes, fields): (u8, Value)) {
    app.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let external = |options: Value| json!({ "provider": "dvdi", "name": "v1", "options": options, "shared": true });
    let is_docker = app["container"]["type"] != "MESOS";
    let volume = match volumes {
        1 => json!({ "containerPath": "/a", "hostPath": "/b", "mode": "RO" }),
        2 => json!({ "containerPath": "a", "mode": "RW", "persistent": { "size": 10 } }),
        3 if is_docker => {
            json!({ "containerPath": "/a", "mode": "RW", "external": external(json!({ "dvdi/driver": "d" })) })
        }
        3 | 4 => {
            let mut external = external(json!({ "dvdi/driver": "d", "dvdi/iops": "1" }));
            external["size"] = json!(5);
            json!({ "containerPath": "/a", "mode": "RO", "external": external })
        }
        _ => return,
    };
    if !app["container"].is_object() || (volumes == 4 && is_docker) {
        return;
    }
    app["container"]["volumes"] = json!([volume]);
    if volumes == 2 {
        app["upgradeStrategy"] = Value::Null;
        app["unreachableStrategy"] = Value::Null;
        app["residency"] = json!({ "taskLostBehavior": "RELAUNCH_AFTER_TIMEOUT" });
    }
}

fn any_container() -> impl Strategy<Value = Value> {
    let protocol = prop::sample::select(vec!["tcp", "udp", "udp,tcp"]);
    let port = (0_u16..3, 0_u16..3, protocol, any::<bool>(), any::<bool>());
    (prop::collection::vec(port, 0..3), 0..10_u8, any::<bool>()).prop_map(|(ports, kind, required)| {
        let mapping = |n: usize, it: &(u16, u16, &str, bool, bool)| {
            let (container, host, protocol, named, labelled) = *it;
            let n = n as u16;
            let mut mapping = json!({ "containerPort": container * 80, "protocol": protocol });
            if host > 0 {
                mapping["hostPort"] = json!((host - 1) * (8000 + n));
            }
            if named {
                mapping["name"] = json!(format!("p{n}"));
            }
            if labelled {
                mapping["labels"] = json!({ "VIP_0": "a:80" });
            }
            mapping
        };
        let mappings: Vec<Value> = ports.iter().enumerate().map(|(n, it)| mapping(n, it)).collect();
        let numbers: Vec<u16> = ports.iter().zip(0..).map(|(it, n)| it.1.min(1) * (9000 + n)).collect();
        match kind {
            0 => json!({ "container": { "docker": { "image": "x:1" } } }),
            // The old dialect's list, empty, as the client `marathon` writes it beside the new one's.
            1 => json!({
                "container": { "docker": { "image": "x", "portMappings": [] }, "portMappings": mappings },
                "networks": [{ "mode": "container/bridge" }],
            }),
            2 => json!({ "container": { "docker": { "image": "x", "network": "BRIDGE", "portMappings": mappings } } }),
            3 => json!({ "container": { "docker": { "image": "x", "network": "HOST" } }, "ports": numbers, "requirePorts": required }),
            4 => json!({
                "container": { "type": "MESOS", "docker": { "image": "x" }, "portMappings": mappings },
                "networks": [{ "name": "net", "labels": { "a": "b" } }],
            }),
            5 => json!({
                "container": { "docker": { "image": "x", "network": "USER", "portMappings": mappings } },
                "ipAddress": { "networkName": "net_1" },
            }),
            6 => json!({ "cmd": "sleep 1", "ports": numbers }),
            7 => json!({ "cmd": "sleep 1", "networks": [{ "mode": "container/bridge" }], "container": { "type": "MESOS", "portMappings": mappings } }),
            8 => json!({
                "args": ["sleep"], "ipAddress": {
                    "networkName": "n", "labels": { "a": "b" }, "discovery": { "ports": [{ "number": 1, "name": "a" }] },
                },
            }),
            _ => {
                let definitions: Vec<Value> = numbers.iter().map(|it| json!({ "port": it })).collect();
                json!({ "container": { "docker": { "image": "x" } }, "portDefinitions": definitions, "requirePorts": required })
            }
        }
    })
}

fn any_common() -> impl Strategy<Value = Value> {
    let map = prop::collection::btree_map("[A-Z]{1,3}", ".{0,5}", 0..3);
    (0.001..64.0_f64, 6.0..9000.0_f64, 0..50_u32, map.clone(), map, 0..3_u8).prop_map(
        |(cpus, mem, instances, env, labels, command)| {
            let clean = |map: std::collections::BTreeMap<String, String>| -> Map<String, Value> {
                map.into_iter().map(|(key, value)| (key, json!(value.replace('\0', "")))).collect()
            };
            let mut app =
                json!({ "cpus": cpus, "mem": mem, "instances": instances, "env": clean(env), "labels": clean(labels) });
            match command {
                1 => app["cmd"] = json!("exec serve --port $PORT0"),
                2 => app["args"] = json!(["--port", "80"]),
                _ => {}
            }
            app
        },
    )
}

fn any_policy() -> impl Strategy<Value = Value> {
    let constraint = prop::sample::select(vec![
        json!(["hostname", "UNIQUE"]),
        json!(["rack", "GROUP_BY"]),
        json!(["rack", "GROUP_BY", "2"]),
        json!(["rack", "LIKE", "r-[0-9]+"]),
        json!(["zone", "CLUSTER", ""]),
        json!(["@zone", "MAX_PER", "3"]),
        json!(["zone", "IS", ""]),
    ]);
    let upgrade = (0.0..=1.0_f64, 0.0..=1.0_f64);
    let times = (0..1000_u32, 1.0..10.0_f64, prop::option::of(0..100_u32));
    (prop::option::of(constraint), upgrade, times, any::<bool>(), 0..3_u8).prop_map(
        |(constraint, (min, max), (seconds, factor, grace), oldest, unreachable)| {
            json!({
                "constraints": constraint.into_iter().collect::<Vec<_>>(),
                "upgradeStrategy": { "minimumHealthCapacity": min, "maximumOverCapacity": max },
                "backoffSeconds": seconds, "backoffFactor": factor, "taskKillGracePeriodSeconds": grace,
                "killSelection": if oldest { "OLDEST_FIRST" } else { "YOUNGEST_FIRST" },
                "unreachableStrategy": match unreachable {
                    0 => json!("disabled"),
                    1 => json!({ "inactiveAfterSeconds": 1, "expungeAfterSeconds": 60 }),
                    _ => Value::Null,
                },
                "acceptedResourceRoles": if oldest { json!(["*"]) } else { Value::Null },
            })
        },
    )
}

fn any_check() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({ "protocol": "COMMAND", "command": { "value": "true" } }),
        json!({ "port": 80 }),
        json!({ "protocol": "TCP", "port": 80, "delaySeconds": 1 }),
        json!({ "protocol": "MESOS_HTTP", "port": 80, "path": "health" }),
        json!({ "protocol": "HTTP", "port": 80, "ignoreHttp1xx": true, "maxConsecutiveFailures": 0 }),
        json!({ "protocol": "HTTPS", "port": 443 }),
        json!({ "protocol": "MESOS_HTTPS", "port": 443, "ipProtocol": "IPv6" }),
    ])
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn printing_and_reading_changes_nothing(app in any_app()) {
        let id = AppId::parse("/a").unwrap();
        let settings = Settings { command_image: "alpine".to_owned(), ..Settings::default() };
        let (spec, _) = from_wire::app(&id, &map(&app), &settings).map_err(|it| TestCaseError::fail(format!("{it:?}\n{app}")))?;
        let at = Timestamp(1);
        let version = AppVersion { version: at, run: at, configured: at, scaled: at, spec, patterns: Patterns::default() };
        let printed = serde_json::to_value(to_wire::app(&version)).unwrap();
        let (again, warnings) = from_wire::app(&id, &map(&printed), &settings).map_err(|it| TestCaseError::fail(format!("{it:?}")))?;
        prop_assert_eq!(&again, &version.spec);
        prop_assert_eq!(warnings, vec![], "what is printed has no unknown field");
        let typed: v2::App = serde_json::from_value(printed.clone()).unwrap();
        prop_assert_eq!(serde_json::to_value(typed).unwrap(), printed, "the client's types lose nothing");
    }
}

#[tokio::test]
async fn what_get_answers_can_be_put_back() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for n in 0..60 {
        let world = World::with_commands();
        let mut app = any_app().new_tree(&mut runner).unwrap().current();
        app["id"] = json!("/a");
        app["instances"] = json!(n % 2);
        app["mem"] = json!(16);
        app["cpus"] = json!(0.1);
        // The nodes here have no zones.
        app["constraints"] = json!([]);
        world.run(app.clone()).await;
        let before = world.ask("GET /v2/apps/a", Value::Null).await;
        let read = before.json()["app"].clone();
        let typed: v2::AppSingle = serde_json::from_str(&before.text).unwrap();
        assert_eq!(serde_json::to_value(&typed).unwrap()["app"], read);
        for line in ["PUT /v2/apps/a", "PATCH /v2/apps/a", "PUT /v2/apps/a?partialUpdate=false&strict=true"] {
            let answer = world.ask(line, read.clone()).await;
            assert_eq!(answer.status, 200, "{line} {app}: {}", answer.text);
            assert_eq!(answer.json()["version"], read["version"], "{line} {app}\n{read}");
            assert_eq!(answer.header("x-ekiden-warnings"), "");
            let deployment = answer.header("marathon-deployment-id").parse().unwrap();
            let state = world.fake.state();
            assert!(state.deployment(deployment).unwrap().changes.is_empty(), "nothing is done");
            world.fake.settle();
            let after = world.ask("GET /v2/apps/a", Value::Null).await.json()["app"].clone();
            assert_eq!(after, read, "{line} {app}");
        }
    }
}

//! Bad input, as a table: each gets its status and its place, changes nothing, and never a 5xx.

use super::world::{World, app};
use serde_json::{Map, Value, json};

/// A small valid app with one field set, by JSON pointer.
pub(super) fn with(pointer: &str, value: Value) -> Value {
    let mut body = app("/a", 1);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        _ => parent[name] = value,
    }
    body
}

#[tokio::test]
async fn every_wrong_value_is_refused_at_its_place() {
    let check = |fields: Value| with("/healthChecks/0", fields);
    let long = |n: usize| "x".repeat(n);
    let table: Vec<(Value, &str, &str)> = vec![
        // Ids.
        (with("/id", json!("/A")), "/id", "must fully match regular expression"),
        (with("/id", json!("/a_b")), "/id", "must fully match regular expression"),
        (with("/id", json!("/a b")), "/id", "must fully match regular expression"),
        (with("/id", json!("/a\u{202e}b")), "/id", "must fully match regular expression"),
        (with("/id", json!("/")), "/id", "must name an app"),
        (with("/id", json!("")), "/id", "must name an app"),
        (with("/id", json!("/a/versions")), "/id", "must not end in"),
        (with("/id", json!(long(64))), "/id", "is too long"),
        (with("/id", json!("a/".repeat(17))), "/id", "is nested too deeply"),
        (with("/id", json!(1)), "/id", "error.expected.jsstring"),
        (with("/id", Value::Null), "/id", "error.path.missing"),
        // Types.
        (with("/instances", json!("3")), "/instances", "error.expected.jsnumber"),
        (with("/instances", json!(1.5)), "/instances", "error.expected.int"),
        (with("/cpus", json!("1")), "/cpus", "error.expected.jsnumber"),
        (with("/cmd", json!(7)), "/cmd", "error.expected.jsstring"),
        (with("/args", json!("x")), "/args", "error.expected.jsarray"),
        (with("/args", json!([1])), "/args(0)", "error.expected.jsstring"),
        (with("/env", json!([])), "/env", "error.expected.jsobject"),
        (with("/env", json!({ "A": 1 })), "/env/A", "error.expected.jsstring"),
        (with("/labels", json!({ "A": null })), "/labels/A", "error.expected.jsstring"),
        (with("/container", json!(["x"])), "/container", "error.expected.jsobject"),
        (with("/container/docker", json!("nginx")), "/container/docker", "error.expected.jsobject"),
        (with("/container/volumes", json!({})), "/container/volumes", "error.expected.jsarray"),
        (with("/networks", json!({})), "/networks", "error.expected.jsarray"),
        (with("/networks", json!(["host"])), "/networks(0)", "error.expected.jsobject"),
        (with("/healthChecks", json!({})), "/healthChecks", "error.expected.jsarray"),
        (with("/constraints", json!(["x"])), "/constraints(0)", "error.expected.jsarray"),
        (with("/constraints", json!([["hostname", 1]])), "/constraints(0)", "error.expected.jsstring"),
        (with("/requirePorts", json!("true")), "/requirePorts", "error.expected.jsboolean"),
        (with("/upgradeStrategy", json!([])), "/upgradeStrategy", "error.expected.jsobject"),
        (with("/ports", json!(["x"])), "/ports(0)", "error.expected.jsnumber"),
        // Bounds.
        (with("/instances", json!(-1)), "/instances", "must be 0 or more"),
        (with("/instances", json!(100_000)), "/instances", "must be 50000 or less"),
        (with("/instances", json!(4_294_967_296_u64)), "/instances", "or less"),
        (with("/cpus", json!(0)), "/cpus", "must be between 0.001 and 4096"),
        (with("/cpus", json!(-0.0)), "/cpus", "must be between"),
        (with("/cpus", json!(-1)), "/cpus", "must be between"),
        (with("/cpus", json!(1e308)), "/cpus", "must be between"),
        (with("/mem", json!(0)), "/mem", "must be 6 (MiB) or more"),
        (with("/mem", json!(5)), "/mem", "must be 6 (MiB) or more"),
        (with("/mem", json!(9.3e18)), "/mem", "must be between"),
        (with("/disk", json!(-1)), "/disk", "must be between"),
        (
            with("/upgradeStrategy", json!({ "minimumHealthCapacity": 1.1 })),
            "/upgradeStrategy/minimumHealthCapacity",
            "must be between 0 and 1",
        ),
        (
            with("/upgradeStrategy", json!({ "maximumOverCapacity": -0.1 })),
            "/upgradeStrategy/maximumOverCapacity",
            "must be between 0 and 1",
        ),
        (with("/backoffFactor", json!(0.9)), "/backoffFactor", "must be between 1 and"),
        (with("/backoffSeconds", json!(-1)), "/backoffSeconds", "must be 0 or more"),
        (with("/taskKillGracePeriodSeconds", json!(1e10)), "/taskKillGracePeriodSeconds", "or less"),
        (with("/killSelection", json!("RANDOM")), "/killSelection", "must be one of YOUNGEST_FIRST, OLDEST_FIRST"),
        (with("/unreachableStrategy", json!("never")), "/unreachableStrategy", "must be 'disabled'"),
        (
            with("/unreachableStrategy", json!({ "inactiveAfterSeconds": 2, "expungeAfterSeconds": 1 })),
            "/unreachableStrategy/inactiveAfterSeconds",
            "must be less than or equal",
        ),
        // Commands.
        (with("/cmd", json!("")), "/cmd", "must not be empty"),
        (
            {
                let mut it = with("/cmd", json!("x"));
                it["args"] = json!(["y"]);
                it
            },
            "/",
            "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
        ),
        (with("/cmd", json!("a\u{0}b")), "/cmd", "must not contain the character U+0000"),
        // Environment and labels.
        (with("/env", json!({ "": "x" })), "/env/", "must not be empty or contain '='"),
        (with("/env", json!({ "A=B": "x" })), "/env/A=B", "must not be empty or contain '='"),
        (with("/env", json!({ "A\u{0}": "x" })), "/env/A\\u0000", "U+0000"),
        (with("/env", json!({ "A": long(200_000) })), "/env/A", "is too long"),
        (with("/env", json!({ "A": { "secret": "s" } })), "/env/A", "there is no store of secrets"),
        (
            with("/labels", json!({ "A": long(100_000), "B": long(100_000), "C": long(100_000) })),
            "/labels",
            "is too long",
        ),
        // Health checks.
        (
            check(json!({ "portIndex": 1 })),
            "/healthChecks(0)/portIndex",
            "Health check port indices must address an element",
        ),
        (check(json!({ "portIndex": 0, "port": 80 })), "/healthChecks(0)", "not both"),
        (check(json!({ "protocol": "GRPC" })), "/healthChecks(0)/protocol", "must be one of HTTP"),
        (check(json!({ "protocol": "COMMAND" })), "/healthChecks(0)/command", "needs a command"),
        (
            check(json!({ "protocol": "COMMAND", "command": { "value": "" } })),
            "/healthChecks(0)/command",
            "needs a command",
        ),
        (check(json!({ "intervalSeconds": 0 })), "/healthChecks(0)/intervalSeconds", "must be 1 or more"),
        (check(json!({ "timeoutSeconds": 0 })), "/healthChecks(0)/timeoutSeconds", "must be 1 or more"),
        (check(json!({ "gracePeriodSeconds": 1e9 })), "/healthChecks(0)/gracePeriodSeconds", "or less"),
        (
            check(json!({ "maxConsecutiveFailures": -1 })),
            "/healthChecks(0)/maxConsecutiveFailures",
            "must be 0 or more",
        ),
        (
            check(json!({ "protocol": "TCP", "ignoreHttp1xx": true })),
            "/healthChecks(0)/ignoreHttp1xx",
            "HTTP or HTTPS only",
        ),
        (check(json!({ "ipProtocol": "IPv9" })), "/healthChecks(0)/ipProtocol", "must be one of IPv4, IPv6"),
        (
            check(json!({ "protocol": "COMMAND", "command": { "value": "x" }, "ipProtocol": "IPv6" })),
            "/healthChecks(0)/ipProtocol",
            "is for checks over the network",
        ),
        (
            check(json!({ "protocol": "MESOS_HTTPS", "ignoreHttp1xx": true })),
            "/healthChecks(0)/ignoreHttp1xx",
            "HTTP or HTTPS only",
        ),
        (check(json!({ "path": "/a b\r\nX: y" })), "/healthChecks(0)/path", "must not contain spaces"),
        (with("/healthChecks", json!([{}, {}])), "/healthChecks", "the same check twice"),
        (
            with("/healthChecks", json!([{ "protocol": "MESOS_TCP" }, { "protocol": "MESOS_HTTP" }])),
            "/healthChecks",
            "at most one Mesos health check",
        ),
        // Constraints.
        (with("/constraints", json!([["hostname"]])), "/constraints(0)", "illegal constraint specification"),
        (with("/constraints", json!([["", "UNIQUE"]])), "/constraints(0)", "missing field for constraint declaration"),
        (
            with("/constraints", json!([["hostname", "NEAR"]])),
            "/constraints(0)",
            "operator must be one of the following",
        ),
        (
            with("/constraints", json!([["hostname", "UNIQUE", "x"]])),
            "/constraints(0)",
            "UNIQUE does not accept a value",
        ),
        (with("/constraints", json!([["hostname", "LIKE"]])), "/constraints(0)", "LIKE and UNLIKE require"),
        (
            with("/constraints", json!([["hostname", "LIKE", "("]])),
            "/constraints(0)",
            "is not a valid regular expression",
        ),
        (
            with("/constraints", json!([["hostname", "UNLIKE", "(?!a)b"]])),
            "/constraints(0)",
            "is not a valid regular expression",
        ),
        (
            with("/constraints", json!([["hostname", "LIKE", "(a{1000}){1000}"]])),
            "/constraints(0)",
            "is not a valid regular expression",
        ),
        (
            with("/constraints", json!([["hostname", "LIKE", "a"], ["hostname", "LIKE", "b".repeat(4096)]])),
            "/constraints(1)",
            "together must not have more than 4096 bytes",
        ),
        (with("/constraints", json!([["hostname", "MAX_PER", "x"]])), "/constraints(0)", "MAX_PER requires an integer"),
        (with("/constraints", json!([["rack", "GROUP_BY", "0"]])), "/constraints(0)", "GROUP BY must define"),
        (with("/constraints", json!([["rack", "IS", "[a]"]])), "/constraints(0)", "IS requires"),
        (
            with("/constraints", json!([["rack", "UNIQUE"], ["rack", "UNIQUE"]])),
            "/constraints(1)",
            "must not be given twice",
        ),
        (
            {
                let mut it = with("/labels", json!({ "MARATHON_SINGLE_INSTANCE_APP": "true" }));
                it["instances"] = json!(2);
                it
            },
            "/instances",
            "must be 0 or 1",
        ),
    ];
    all_are_refused(&World::new(), table).await;
}

/// Posts each app, and looks for the error at the place.
pub(super) async fn all_are_refused(world: &World, table: Vec<(Value, &str, &str)>) {
    let before = world.fake.state();
    for (body, path, error) in table {
        let answer = world.ask("POST /v2/apps", body).await;
        assert_eq!(answer.status, 422, "{path} {error}: {}", answer.text);
        let details = answer.json()["details"].as_array().unwrap().clone();
        let there: Vec<_> = details.iter().filter(|it| it["path"] == path).collect();
        let found = there.iter().any(|it| it["errors"].to_string().contains(&error.replace('\\', "\\\\")));
        assert!(found, "{path} {error}: {}", answer.text);
        let misshapen = error.starts_with("error.");
        let message = if misshapen { "Invalid JSON" } else { "Object is not valid" };
        assert_eq!(answer.json()["message"], message, "{path} {error}");
    }
    assert_eq!(world.fake.state(), before, "an error changes nothing");
}

#[tokio::test]
async fn all_violations_are_told_at_once() {
    let world = World::new();
    let body = json!({
        "id": "/A", "cpus": 0, "instances": -1, "container": { "docker": { "image": "" } },
        "healthChecks": [{ "protocol": "GRPC" }], "constraints": [["x", "y"]],
    });
    let answer = world.ask("PUT /v2/apps/a", body).await;
    let paths: Vec<_> = answer.json()["details"].as_array().unwrap().iter().map(|it| it["path"].clone()).collect();
    let expect =
        ["/id", "/container/docker/image", "/constraints(0)", "/healthChecks(0)/protocol", "/instances", "/cpus"];
    assert_eq!((answer.status, paths), (422, expect.map(Value::from).to_vec()));
}

#[tokio::test]
async fn neutral_values_ask_for_nothing() {
    let neutral = json!({
        "fetch": [], "uris": [], "storeUrls": [], "secrets": {}, "residency": null, "readinessChecks": [], "dependencies": [],
        "check": null, "executor": "//cmd", "executorResources": null, "gpus": 0, "resourceLimits": null, "tty": false,
        "role": "*", "acceptedResourceRoles": [], "ipAddress": null, "args": [], "env": {}, "labels": {}, "constraints": [],
        "user": null, "cmd": null, "ports": null, "instances": 1.0, "version": null, "unknown": 1,
    });
    let world = World::new();
    let mut body = app("/a", 1);
    body.as_object_mut().unwrap().extend(neutral.as_object().unwrap().clone());
    body["container"]["docker"]["privileged"] = json!(false);
    body["container"]["docker"]["pullConfig"] = Value::Null;
    body["container"]["linuxInfo"] = json!({ "seccomp": { "unconfined": false }, "ipcInfo": { "mode": "PRIVATE" } });
    body["resourceLimits"] = json!({ "cpus": "unlimited", "mem": 32 });
    let answer = world.ask("POST /v2/apps", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.header("x-ekiden-warnings"), "/unknown: unknown field, it has no effect");
}

#[tokio::test]
async fn what_is_no_json_is_refused_by_the_parser() {
    let world = World::new();
    let json = [("content-type", "application/json")];
    for text in [
        "{",
        "{}x",
        "NaN",
        "{\"id\":\"/a\",\"id\":\"/b\"}",
        "{\"env\":{\"A\":\"1\",\"A\":\"2\"}}",
        "\u{feff}\u{feff}{}",
        "[1e999]",
        "/* no */ {}",
        "{\"a\":\"\\ud800\"}",
    ] {
        let answer = world.send("POST /v2/apps", &json, text.to_owned()).await;
        assert_eq!((answer.status, &answer.json()["message"]), (400, &json!("Invalid JSON")), "{text}");
        assert!(answer.json()["details"].as_str().unwrap().contains(" at line 1 column "), "{}", answer.text);
    }
    let deep = world.send("POST /v2/apps", &json, "[".repeat(100_000)).await;
    assert_eq!(deep.status, 400);
    let binary = world.send("POST /v2/apps", &json, vec![0xff, 0xfe]).await;
    assert_eq!(binary.status, 400);
    for text in ["", "  \n"] {
        let answer = world.send("POST /v2/apps", &json, text).await;
        assert_eq!((answer.status, &answer.json()["message"]), (400, &json!("Please specify data in JSON format")));
    }
    for text in ["[]", "7", "\"x\"", "null"] {
        let answer = world.send("POST /v2/apps", &json, text).await;
        assert_eq!(answer.status, 422, "{text}");
        assert_eq!(answer.json()["details"], json!([{ "path": "/", "errors": ["error.expected.jsobject"] }]));
    }
    assert_eq!(world.ask("PUT /v2/apps", json!({})).await.status, 422);
}

#[tokio::test]
async fn bodies_have_a_type_and_an_end() {
    let world = World::new();
    let body = app("/a", 0).to_string();
    for (content_type, status) in [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/xml", 415),
        ("application/json; charset=utf-8", 201),
        ("application/merge-patch+json", 409),
    ] {
        let answer = world.send("POST /v2/apps", &[("content-type", content_type)], body.clone()).await;
        assert_eq!(answer.status, status, "{content_type}");
        if status == 415 {
            let details = "send JSON, with Content-Type: application/json";
            assert_eq!(answer.json(), json!({ "message": "Unsupported Media Type", "details": details }));
        }
    }
    assert_eq!(world.send("POST /v2/apps", &[], body.clone()).await.status, 409, "no type means JSON");
    for (encoding, status) in [("gzip", 415), ("br", 415), ("identity", 409)] {
        let answer = world.send("POST /v2/apps", &[("content-encoding", encoding)], body.clone()).await;
        assert_eq!(answer.status, status, "{encoding}");
    }
    let large = app("/large", 0).to_string() + &" ".repeat(1024 * 1024);
    let answer = world.send("POST /v2/apps", &[], large).await;
    assert_eq!(answer.status, 413);
    assert!(answer.json()["message"].as_str().unwrap().starts_with("Request Entity Too Large"));
    let many = json!([app("/large", 0)]).to_string() + &" ".repeat(1024 * 1024);
    assert_eq!(world.send("PUT /v2/apps", &[], many).await.status, 201, "a list may be longer");
}

#[tokio::test]
async fn paths_are_read_in_one_way_only() {
    let world = World::new();
    for (line, status) in [
        ("GET /v2/apps/a//b", 400),
        ("GET /v2/apps/a/../b", 400),
        ("GET /v2/apps/%2e%2e/b", 400),
        ("GET /v2/apps/..%2F..%2Fetc", 400),
        ("GET /v2/apps/%2F..%2Fetc", 400),
        ("GET /v2/apps/a%2F%2e%2e%2Fb", 400),
        ("GET /v2/apps/a%2F%2Fb", 400),
        ("GET /v2/apps/a%252Fb", 400),
        ("GET /v2/apps/%252e%252e%252fetc", 400),
        ("GET /v2/apps/a%5cb", 400),
        ("GET /v2/apps/a%2Fb", 404),
        ("GET /v2/apps/%2Fa%2Fb%2F", 404),
        ("GET /v2/apps/a%2Fb%00", 422),
        ("GET /v2/apps/a%2FB", 422),
        ("GET /v2/apps/%ff%fe", 400),
        ("GET /v2/apps/a%00b", 422),
        ("GET /v2/apps/a%0d%0ab", 422),
        ("GET /v2/apps/%F0%9F%98%80", 422),
        ("GET /v2/apps/A", 422),
        ("GET /v2/apps/a_b", 422),
        ("GET /v2/apps/a?force=%zz", 400),
        ("GET /v2/apps//a", 404),
        ("GET /v2/apps/a/", 404),
        ("DELETE /v2/apps/a?force=perhaps", 422),
        ("GET /v2/nothing", 404),
        ("GET /v4", 404),
        ("POST /v2/tasks", 405),
        ("DELETE /v2/info", 405),
    ] {
        let answer = world.ask(line, Value::Null).await;
        assert_eq!(answer.status, status, "{line}: {}", answer.text);
        assert!(answer.json()["message"].is_string(), "{line}: {}", answer.text);
    }
    let long = world.ask(&format!("GET /v2/apps/{}", "a".repeat(1000)), Value::Null).await;
    assert_eq!(long.status, 422);
    let method = world.ask("POST /v2/tasks", Value::Null).await;
    assert_eq!((method.header("allow"), method.json()), ("GET", json!({ "message": "Method Not Allowed" })));
    let mismatch = world.ask("PUT /v2/apps/a", json!({ "id": "/b" })).await;
    assert_eq!(mismatch.status, 422);
    assert_eq!(mismatch.json()["details"][0]["path"], "/id");
}

/// A fuzzer of small means: every value of a valid app is replaced by every odd one.
#[tokio::test]
async fn no_odd_value_is_a_server_error() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}"),
        json!("é\u{202e}"),
        json!([]),
        json!([[]]),
        json!([null]),
        json!({}),
        json!({ "": {} }),
    ];
    let mut whole = app("/a", 1);
    whole.as_object_mut().unwrap().extend(
        json!({
            "cmd": "x", "env": { "A": "1" }, "labels": { "A": "1" }, "constraints": [["hostname", "UNIQUE"]],
            "upgradeStrategy": { "minimumHealthCapacity": 1 }, "unreachableStrategy": { "inactiveAfterSeconds": 1, "expungeAfterSeconds": 2 },
            "portDefinitions": [{ "port": 1 }], "acceptedResourceRoles": ["*"], "backoffFactor": 2, "args": [],
            "fetch": [{ "uri": "http://x", "destPath": "a" }], "uris": ["http://x"], "dependencies": ["../b"], "tty": true,
            "readinessChecks": [{ "portName": "web", "httpStatusCodesForReady": [200] }], "secrets": { "a": { "source": "b" } },
            "ipAddress": { "networkName": "n", "labels": { "a": "b" }, "groups": ["g"], "discovery": { "ports": [{ "number": 1 }] } },
            "residency": { "relaunchEscalationTimeoutSeconds": 1, "taskLostBehavior": "WAIT_FOREVER" },
            "resourceLimits": { "cpus": 1, "mem": 1 },
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    whole["container"]["volumes"] = json!([
        { "containerPath": "/a", "mode": "RW", "hostPath": "/b" },
        { "containerPath": "b", "mode": "RW", "persistent": { "size": 1, "type": "root" } },
        { "containerPath": "/c", "mode": "RO", "external": { "name": "vv", "provider": "dvdi", "size": 1, "options": { "dvdi/driver": "d" } } },
    ]);
    whole["container"]["linuxInfo"] = json!({ "seccomp": { "unconfined": false }, "ipcInfo": { "mode": "PRIVATE" } });
    let mut pointers = Vec::new();
    collect(&whole, "", &mut pointers);
    assert!(pointers.len() > 30, "{pointers:?}");
    let world = World::new();
    for pointer in pointers {
        for value in &odd {
            let mut body = whole.clone();
            *body.pointer_mut(&pointer).unwrap() = value.clone();
            for line in ["PUT /v2/apps/a?force=true&partialUpdate=false", "PATCH /v2/apps/a?force=true"] {
                let answer = world.ask(line, body.clone()).await;
                assert!(answer.status < 500, "{line} {pointer} {value}: {}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn no_odd_value_in_a_group_is_a_server_error() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("/"),
        json!("../.."),
        json!([]),
        json!({}),
    ];
    let inner = json!({ "id": "b", "apps": [app("c", 0)], "groups": [{ "id": "/g/b/d" }], "dependencies": ["../a"] });
    let whole = json!({
        "id": "/g", "apps": [app("/g/x", 0)], "groups": [inner], "dependencies": ["/h"], "enforceRole": false,
        "pods": [], "scaleBy": null, "version": null,
    });
    let mut pointers = Vec::new();
    collect(&whole, "", &mut pointers);
    let world = World::new();
    for pointer in pointers {
        for value in &odd {
            let mut body = whole.clone();
            *body.pointer_mut(&pointer).unwrap() = value.clone();
            for line in
                ["PUT /v2/groups/g?force=true", "PUT /v2/groups?dryRun=true", "POST /v2/groups", "PATCH /v2/groups/g"]
            {
                let answer = world.ask(line, body.clone()).await;
                assert!(answer.status < 500, "{line} {pointer} {value}: {}", answer.text);
            }
        }
    }
}

fn collect(value: &Value, at: &str, pointers: &mut Vec<String>) {
    let children: Map<String, Value> = match value {
        Value::Object(fields) => fields.clone(),
        Value::Array(items) => items.iter().enumerate().map(|(n, it)| (n.to_string(), it.clone())).collect(),
        _ => Map::new(),
    };
    for (name, child) in children {
        let path = format!("{at}/{}", name.replace('/', "~1"));
        pointers.push(path.clone());
        collect(&child, &path, pointers);
    }
}

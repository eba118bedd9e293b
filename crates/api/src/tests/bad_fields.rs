//! Containers, volumes, networks, ports and all that hangs on them, as a table of bad input: what is wrong, and what
//! is not there, is refused at its place, with what to use instead.

#![expect(clippy::needless_pass_by_value, reason = "what json! makes is handed over")]

use super::bad_input::{all_are_refused, with};
use super::world::World;
use serde_json::{Value, json};

fn docker(fields: &Value) -> Value {
    let mut docker = json!({ "image": "x" });
    docker.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    with("/container/docker", docker)
}

fn mapping(fields: Value) -> Value {
    with("/container/portMappings/0", fields)
}

fn volume(fields: Value) -> Value {
    with("/container/volumes", json!([fields]))
}

fn persistent(info: Value) -> Value {
    volume(json!({ "containerPath": "data", "mode": "RW", "persistent": info }))
}

fn external(info: &Value) -> Value {
    let mut external = json!({ "provider": "dvdi", "name": "v1", "options": { "dvdi/driver": "rexray" } });
    external.as_object_mut().unwrap().extend(info.as_object().unwrap().clone());
    volume(json!({ "containerPath": "/data", "mode": "RW", "external": external }))
}

fn host(definitions: Value) -> Value {
    let mut body = with("/networks", json!([{ "mode": "host" }]));
    body["portDefinitions"] = definitions;
    body["healthChecks"] = json!([]);
    body
}

fn and(mut body: Value, fields: &Value) -> Value {
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn containers_are_refused_at_their_places() {
    let table: Vec<(Value, &str, &str)> = vec![
        (with("/container", Value::Null), "/", "AppDefinition must either contain one of 'cmd' or 'args'"),
        (
            and(with("/container", Value::Null), &json!({ "cmd": "x" })),
            "/container",
            "let the operator set 'command_image'",
        ),
        (with("/container", json!({ "type": "DOCKER" })), "/container/docker", "not defined"),
        (with("/container", json!({ "type": "MESOS" })), "/", "AppDefinition must either contain"),
        (
            with("/container", json!({ "type": "LXC", "docker": { "image": "x" } })),
            "/container/type",
            "must be one of DOCKER, MESOS",
        ),
        (with("/container/docker", json!({})), "/container/docker/image", "error.path.missing"),
        (with("/container/docker/image", json!("")), "/container/docker/image", "must not be empty"),
        (with("/container/docker/image", json!("a b")), "/container/docker/image", "is not an image reference"),
        (with("/container/docker/image", json!("Nginx")), "/container/docker/image", "is not an image reference"),
        (
            with("/container/docker/image", json!("x".repeat(5000))),
            "/container/docker/image",
            "is not an image reference",
        ),
        (docker(&json!({ "privileged": true })), "/container/docker/privileged", "it would own the node"),
        (
            docker(&json!({ "pullConfig": { "secret": "s" } })),
            "/container/docker/pullConfig",
            "log the nodes' Docker in",
        ),
        (
            docker(&json!({ "credential": { "principal": "p" } })),
            "/container/docker/credential",
            "log the nodes' Docker in",
        ),
        (
            docker(&json!({ "parameters": [{ "key": "privileged", "value": "true" }] })),
            "/container/docker/parameters(0)",
            "not supported",
        ),
        (
            docker(&json!({ "parameters": [{ "key": "init" }] })),
            "/container/docker/parameters(0)/value",
            "error.path.missing",
        ),
        (
            docker(&json!({ "parameters": [{ "key": "init", "value": "perhaps" }] })),
            "/container/docker/parameters(0)",
            "must be 'true' or 'false'",
        ),
        (
            docker(&json!({ "network": "BRIDGE" })),
            "/container/docker/network",
            "must not be given together with 'networks'",
        ),
        (docker(&json!({ "network": "VLAN" })), "/container/docker/network", "must be one of HOST, BRIDGE, USER, NONE"),
        (
            with("/container/linuxInfo", json!({ "seccomp": { "unconfined": true } })),
            "/container/linuxInfo/seccomp",
            "Docker's own seccomp profile",
        ),
        (
            with("/container/linuxInfo", json!({ "ipcInfo": { "mode": "SHARE_PARENT" } })),
            "/container/linuxInfo/ipcInfo/mode",
            "of its own",
        ),
        (
            with("/container/linuxInfo", json!({ "ipcInfo": { "mode": "PRIVATE", "shmSize": 9 } })),
            "/container/linuxInfo/ipcInfo/shmSize",
            "'shm-size'",
        ),
    ];
    all_are_refused(&World::new(), table).await;
}

#[tokio::test]
async fn volumes_are_refused_at_their_places() {
    let path = |path: &str| volume(json!({ "containerPath": path, "hostPath": "/b", "mode": "RW" }));
    let data = |path: &str| volume(json!({ "containerPath": path, "mode": "RW", "persistent": { "size": 1 } }));
    let table: Vec<(Value, &str, &str)> = vec![
        (volume(json!({ "containerPath": "/a" })), "/container/volumes(0)/hostPath", "error.path.missing"),
        (path("a"), "/container/volumes(0)/containerPath", "must be an absolute path"),
        (path("/a:ro"), "/container/volumes(0)/containerPath", "must not contain ':'"),
        (path(""), "/container/volumes(0)/containerPath", "must not be empty"),
        (
            volume(json!({ "containerPath": "/a", "hostPath": "/b/../..", "mode": "RW" })),
            "/container/volumes(0)/hostPath",
            "must not contain '..'",
        ),
        (
            volume(json!({ "containerPath": "/a", "hostPath": "data", "mode": "RW" })),
            "/container/volumes(0)/hostPath",
            "or, as hostPath, the containerPath of a persistent volume of the same app",
        ),
        (
            volume(json!({ "containerPath": "/a", "hostPath": "/b", "mode": "rwx" })),
            "/container/volumes(0)/mode",
            "must be one of RO, RW",
        ),
        (
            volume(json!({ "containerPath": "/a", "hostPath": "/b", "mode": "RW", "persistent": { "size": 1 } })),
            "/container/volumes(0)",
            "must be one kind of volume",
        ),
        (
            volume(json!({ "containerPath": "a", "secret": "s" })),
            "/container/volumes(0)/secret",
            "there is no store of secrets",
        ),
        (
            with(
                "/container/volumes",
                json!([
                    { "containerPath": "/a", "hostPath": "/b", "mode": "RW" },
                    { "containerPath": "/a", "hostPath": "/c", "mode": "RW" },
                ]),
            ),
            "/container/volumes",
            "must not have the same path: '/a'",
        ),
        // Persistent ones.
        (data("a/b"), "/container/volumes(0)/containerPath", "must be a name in the sandbox"),
        (data("."), "/container/volumes(0)/containerPath", "must be a name in the sandbox"),
        (data("../a"), "/container/volumes(0)/containerPath", "must not contain '..'"),
        (
            volume(json!({ "containerPath": "a", "mode": "RO", "persistent": { "size": 1 } })),
            "/container/volumes(0)/mode",
            "must be RW",
        ),
        (persistent(json!({})), "/container/volumes(0)/persistent/size", "error.path.missing"),
        (persistent(json!({ "size": 0 })), "/container/volumes(0)/persistent/size", "must be 1 or more"),
        (
            persistent(json!({ "size": 1, "type": "path" })),
            "/container/volumes(0)/persistent/type",
            "resources of Mesos agents",
        ),
        (
            persistent(json!({ "size": 1, "type": "mount" })),
            "/container/volumes(0)/persistent/type",
            "resources of Mesos agents",
        ),
        (
            persistent(json!({ "size": 1, "maxSize": 2 })),
            "/container/volumes(0)/persistent/maxSize",
            "Only mount volumes",
        ),
        (
            persistent(json!({ "size": 1, "profileName": "p" })),
            "/container/volumes(0)/persistent/profileName",
            "no disk profiles",
        ),
        (
            persistent(json!({ "size": 1, "constraints": [["path", "LIKE", "x"]] })),
            "/container/volumes(0)/persistent/constraints",
            "Constraints on root volumes",
        ),
        (
            and(persistent(json!({ "size": 1 })), &json!({ "upgradeStrategy": { "maximumOverCapacity": 0.5 } })),
            "/upgradeStrategy/maximumOverCapacity",
            "must be 0 for an app with persistent volumes",
        ),
        (
            and(persistent(json!({ "size": 1 })), &json!({ "unreachableStrategy": { "expungeAfterSeconds": 1 } })),
            "/unreachableStrategy",
            "must be disabled for resident tasks",
        ),
        (
            and(persistent(json!({ "size": 1 })), &json!({ "residency": { "taskLostBehavior": "PANIC" } })),
            "/residency/taskLostBehavior",
            "must be one of WAIT_FOREVER",
        ),
        (with("/residency", json!({})), "/residency", "must contain persistent volumes and define residency"),
        // External ones.
        (
            external(&json!({ "provider": "csi" })),
            "/container/volumes(0)/external/provider",
            "CSI volumes are not supported",
        ),
        (external(&json!({ "provider": "nfs" })), "/container/volumes(0)/external/provider", "is unknown provider"),
        (external(&json!({ "provider": null })), "/container/volumes(0)/external/provider", "error.path.missing"),
        (external(&json!({ "name": null })), "/container/volumes(0)/external/name", "error.path.missing"),
        (
            external(&json!({ "name": "/etc" })),
            "/container/volumes(0)/external/name",
            "must start with a letter or digit",
        ),
        (external(&json!({ "options": {} })), "/container/volumes(0)/external/options", "must name the driver"),
        (
            external(&json!({ "size": 5 })),
            "/container/volumes(0)/external/size",
            "must be undefined for Docker containers",
        ),
        (
            external(&json!({ "options": { "dvdi/driver": "x", "dvdi/iops": "5" } })),
            "/container/volumes(0)/external/options/dvdi/iops",
            "Docker containers have the option",
        ),
        (
            and(external(&json!({})), &json!({ "instances": 2 })),
            "/instances",
            "Number of instances is limited to 1 when declaring DVDI volumes in app [/a]",
        ),
    ];
    all_are_refused(&World::new(), table).await;
}

#[tokio::test]
async fn networks_and_ports_are_refused_at_their_places() {
    let named = |name: &str| with("/networks", json!([{ "mode": "container", "name": name }]));
    let by_address = |fields: &Value, address: Value| {
        let body = and(with("/networks", json!([])), &json!({ "ipAddress": address, "healthChecks": [] }));
        and(body, fields)
    };
    let table: Vec<(Value, &str, &str)> = vec![
        (
            with("/networks", json!([{}])),
            "/networks(0)/name",
            "Network name must be specified when container network is selected.",
        ),
        (named("Net"), "/networks(0)/name", "must fully match regular expression '^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$'"),
        (named("net-"), "/networks(0)/name", "must fully match"),
        (named(&"x".repeat(64)), "/networks(0)/name", "at most 63"),
        (named("host"), "/networks(0)/name", "use mode 'host'"),
        (named("bridge"), "/networks(0)/name", "use mode 'container/bridge'"),
        (
            with("/networks", json!([{ "mode": "bridge" }])),
            "/networks(0)/mode",
            "must be one of container, container/bridge, host",
        ),
        (with("/networks", json!([{ "mode": "host", "name": "n" }])), "/networks(0)/name", "must be absent"),
        (
            with("/networks", json!([{ "mode": "host", "labels": { "a": "b" } }])),
            "/networks(0)/labels",
            "must be absent",
        ),
        (
            with("/networks", json!([{ "name": "a" }, { "name": "b" }])),
            "/networks",
            "may only specify a single container network when using the Docker container engine",
        ),
        (with("/ipAddress", json!({})), "/ipAddress", "must not be given together with 'networks'"),
        (by_address(&json!({}), json!({})), "/ipAddress/networkName", "Network name must be specified"),
        (
            by_address(&json!({}), json!({ "networkName": "n", "groups": ["g"] })),
            "/ipAddress/groups",
            "networks have no groups",
        ),
        (
            by_address(&json!({ "ports": [1] }), json!({ "networkName": "n" })),
            "/ports",
            "must not be given together with 'ipAddress'",
        ),
        (
            by_address(
                &json!({}),
                json!({ "networkName": "n", "discovery": { "ports": [{ "number": 1, "name": "a" }] } }),
            ),
            "/ipAddress/discovery",
            "use 'container.portMappings'",
        ),
        (
            and(docker(&json!({ "network": "USER" })), &json!({ "networks": null })),
            "/container/docker/network",
            "must be named",
        ),
        (
            and(docker(&json!({ "network": "NONE" })), &json!({ "networks": null })),
            "/container/docker/network",
            "unsupported docker network type",
        ),
        (
            mapping(json!({ "containerPort": 65_536 })),
            "/container/portMappings(0)/containerPort",
            "must be 65535 or less",
        ),
        (mapping(json!({ "hostPort": -1 })), "/container/portMappings(0)/hostPort", "must be 0 or more"),
        (mapping(json!({ "protocol": "sctp" })), "/container/portMappings(0)/protocol", "must be one of tcp, udp"),
        (mapping(json!({ "name": "Web" })), "/container/portMappings(0)/name", "must fully match"),
        (
            mapping(json!({ "networkNames": ["n"] })),
            "/container/portMappings(0)/networkNames",
            "must be the name of the app's network",
        ),
        (
            with("/container/portMappings", json!([{ "name": "a" }, { "name": "a" }])),
            "/container/portMappings",
            "Port names must be unique.",
        ),
        (
            with("/container/portMappings", json!([{ "hostPort": 8080 }, { "hostPort": 8080 }])),
            "/container/portMappings",
            "host port 8080 is given twice",
        ),
        (
            with("/container/docker/portMappings", json!([{}])),
            "/container/docker/portMappings",
            "cannot specify both portMappings and docker.portMappings",
        ),
        (host(json!([{ "port": 8080 }, { "port": 8080 }])), "/portDefinitions", "Ports must be unique"),
        (host(json!([{ "port": 70_000 }])), "/portDefinitions(0)/port", "must be 65535 or less"),
        (
            and(host(json!([{ "port": 1 }])), &json!({ "ports": [2] })),
            "/ports",
            "must be equal to the ports of 'portDefinitions'",
        ),
        (with("/ports", json!([65_536])), "/ports(0)", "must be between 0 and 65535"),
    ];
    all_are_refused(&World::new(), table).await;
}

#[tokio::test]
async fn everything_else_is_refused_at_its_place() {
    let ready = |fields: &Value| {
        let mut check = json!({ "portName": "web" });
        check.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        with("/readinessChecks", json!([check]))
    };
    let file = |fields: Value| with("/fetch", json!([fields]));
    let label = |name: &str, value: &str| with("/labels", json!({ name: value }));
    let table: Vec<(Value, &str, &str)> = vec![
        (file(json!({})), "/fetch(0)/uri", "error.path.missing"),
        (file(json!({ "uri": "" })), "/fetch(0)/uri", "must have 1 to 1024 bytes"),
        (file(json!({ "uri": format!("http://{}", "x".repeat(1024)) })), "/fetch(0)/uri", "must have 1 to 1024 bytes"),
        (file(json!({ "uri": "ftp://x/y" })), "/fetch(0)/uri", "must start with 'http://'"),
        (file(json!({ "uri": "/etc/x.tgz" })), "/fetch(0)/uri", "must start with 'http://'"),
        (file(json!({ "uri": "file://x" })), "/fetch(0)/uri", "must name a file of the node"),
        (file(json!({ "uri": "http://x/a b" })), "/fetch(0)/uri", "URI has invalid syntax"),
        (
            file(json!({ "uri": "http://x", "destPath": "/etc/x" })),
            "/fetch(0)/destPath",
            "must be a path inside the sandbox",
        ),
        (
            file(json!({ "uri": "http://x", "destPath": "a/../../x" })),
            "/fetch(0)/destPath",
            "must be a path inside the sandbox",
        ),
        (file(json!({ "uri": "http://x", "extract": 1 })), "/fetch(0)/extract", "error.expected.jsboolean"),
        (with("/uris", json!(["hdfs://x"])), "/uris(0)", "must start with 'http://'"),
        (
            and(file(json!({ "uri": "http://x" })), &json!({ "uris": ["http://y"] })),
            "/",
            "cannot specify both uris and fetch fields",
        ),
        (
            with("/readinessChecks", json!([{ "portName": "web" }, { "portName": "web" }])),
            "/readinessChecks",
            "not have more than one",
        ),
        (
            with("/readinessChecks", json!([{}])),
            "/readinessChecks(0)/portName",
            "No port definition reference for portName http-api",
        ),
        (
            ready(&json!({ "timeoutSeconds": 30 })),
            "/readinessChecks(0)/timeoutSeconds",
            "Timeout (30 seconds) must be less than the interval (30 seconds)",
        ),
        (ready(&json!({ "timeoutSeconds": 0 })), "/readinessChecks(0)/timeoutSeconds", "must be 1 or more"),
        (
            ready(&json!({ "httpStatusCodesForReady": [] })),
            "/readinessChecks(0)/httpStatusCodesForReady",
            "at least one",
        ),
        (
            ready(&json!({ "httpStatusCodesForReady": [99] })),
            "/readinessChecks(0)/httpStatusCodesForReady(0)",
            "between 100 and 999",
        ),
        (
            ready(&json!({ "httpStatusCodesForReady": [200, 200] })),
            "/readinessChecks(0)/httpStatusCodesForReady(1)",
            "given twice",
        ),
        (
            ready(&json!({ "httpStatusCodesForReady": ["200"] })),
            "/readinessChecks(0)/httpStatusCodesForReady(0)",
            "error.expected.jsnumber",
        ),
        (ready(&json!({ "protocol": "TCP" })), "/readinessChecks(0)/protocol", "must be one of HTTP, HTTPS"),
        (ready(&json!({ "name": "" })), "/readinessChecks(0)/name", "must not be empty"),
        (ready(&json!({ "path": "/a b" })), "/readinessChecks(0)/path", "must not contain spaces"),
        (with("/dependencies", json!(["/B"])), "/dependencies(0)", "must fully match"),
        (with("/dependencies", json!(["/b", "b"])), "/dependencies(1)", "'/b' is given twice"),
        (with("/dependencies", json!(["/a"])), "/dependencies(0)", "must be the path of another"),
        (with("/dependencies", json!([""])), "/dependencies(0)", "it is empty"),
        (label("EKIDEN_DEPLOYMENT_DEADLINE", "5m"), "/labels/EKIDEN_DEPLOYMENT_DEADLINE", "whole number of seconds"),
        (label("EKIDEN_DEPLOYMENT_DEADLINE", "-1"), "/labels/EKIDEN_DEPLOYMENT_DEADLINE", "whole number of seconds"),
        (label("EKIDEN_MIN_LIVE", "5s"), "/labels/EKIDEN_MIN_LIVE", "whole number of seconds"),
        (label("EKIDEN_LEAVE_AFTER", "0"), "/labels/EKIDEN_LEAVE_AFTER", "whole number of failures, at least 1"),
        (label("EKIDEN_LEAVE_AFTER", "many"), "/labels/EKIDEN_LEAVE_AFTER", "whole number of failures, at least 1"),
        (label("EKIDEN_DEPLOYMENT_ROLLBACK", "yes"), "/labels/EKIDEN_DEPLOYMENT_ROLLBACK", "must be 'true' or 'false'"),
        (with("/tty", json!("true")), "/tty", "error.expected.jsboolean"),
        (with("/secrets", json!({ "s": { "source": "x" } })), "/secrets", "there is no store of secrets"),
        (with("/storeUrls", json!(["http://x"])), "/storeUrls", "give the files' addresses in 'fetch'"),
        (with("/check", json!({ "tcp": {} })), "/check", "use 'healthChecks'"),
        (with("/executor", json!("/bin/executor")), "/executor", "leave it empty"),
        (with("/executorResources", json!({ "cpus": 1 })), "/executorResources", "add what is needed to 'cpus'"),
        (with("/gpus", json!(1)), "/gpus", "GPUs are not counted"),
        (with("/resourceLimits", json!({ "cpus": 2 })), "/resourceLimits/cpus", "have no limit"),
        (
            with("/resourceLimits", json!({ "mem": "unlimited" })),
            "/resourceLimits/mem",
            "memory is limited to what 'mem' asks for",
        ),
        (with("/role", json!("dev")), "/role", "there are no roles but '*'"),
        (
            with("/acceptedResourceRoles", json!(["dev"])),
            "/acceptedResourceRoles",
            "acceptedResourceRoles can only contain *",
        ),
    ];
    all_are_refused(&World::new(), table).await;
}

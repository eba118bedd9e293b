//! What a server says, in the least words that its types allow.

use serde_json::{Value, json};

/// An app without instances yet.
pub(crate) fn app(id: &str, instances: u32, version: &str) -> Value {
    json!({
        "id": id, "backoffFactor": 1.15, "backoffSeconds": 1, "cpus": 0.1, "disk": 0, "executor": "", "gpus": 0,
        "instances": instances, "killSelection": "YOUNGEST_FIRST", "labels": {}, "maxLaunchDelaySeconds": 300,
        "mem": 32, "networks": [{ "mode": "container/bridge" }], "requirePorts": false, "role": "*",
        "container": { "type": "DOCKER", "docker": { "image": "ekiden-demo:1" }, "volumes": [] },
        "unreachableStrategy": { "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 },
        "upgradeStrategy": { "maximumOverCapacity": 1, "minimumHealthCapacity": 1 },
        "version": version,
    })
}

/// The same with a health check, and so many running and healthy instances.
pub(crate) fn serving(id: &str, instances: u32, healthy: u32, version: &str) -> Value {
    let mut app = app(id, instances, version);
    app["healthChecks"] = json!([{
        "protocol": "HTTP", "path": "/health", "gracePeriodSeconds": 10, "intervalSeconds": 1, "timeoutSeconds": 2,
        "maxConsecutiveFailures": 3, "ipProtocol": "IPv4", "ignoreHttp1xx": false, "delaySeconds": 0,
    }]);
    app["tasksRunning"] = json!(instances);
    app["tasksHealthy"] = json!(healthy);
    app
}

/// The answer of `GET /v2/apps/{id}`.
pub(crate) fn single(app: &Value) -> Value {
    json!({ "app": app })
}

/// An instance that runs and is healthy.
pub(crate) fn task(n: u32) -> Value {
    json!({
        "appId": "/demo/web", "host": "vm-1", "id": format!("demo_web.12345678-9abc-8000-8000-00000c00000{n}"),
        "ports": [31000 + n], "state": "TASK_RUNNING", "version": V1,
        "stagedAt": "2026-11-21T05:20:00.000Z", "startedAt": "2026-11-21T05:20:01.000Z",
        "healthCheckResults": [{ "alive": true, "consecutiveFailures": 0, "instanceId": "demo_web.marathon-x" }],
    })
}

/// Five minutes old.
pub(crate) const V1: &str = "2026-11-21T05:19:52.000Z";
/// Twelve seconds old.
pub(crate) const V2: &str = "2026-11-21T05:24:40.000Z";

/// The deployment that every change here starts.
pub(crate) const ID: &str = "12345678-9abc-8000-8000-000010000000";

/// The answer to a change.
pub(crate) fn accepted(version: &str) -> Value {
    json!({ "version": version, "deploymentId": ID })
}

/// The deployment under way or ended.
pub(crate) fn deployment(status: &str, serving: u32, old: u32, waiting: &[&str]) -> Value {
    let counts = json!({
        "wanted": 3, "newStaged": 0, "newRunning": serving, "newServing": serving, "old": old, "oldServing": old,
    });
    let mut change = json!({ "app": "/demo/web", "action": "replace", "from": V1, "to": V2, "settled": false });
    if status == "running" {
        change["instances"] = counts;
    }
    json!({ "id": ID, "version": V2, "status": status, "changes": [change], "waiting": waiting })
}

/// An app that misses instances.
pub(crate) fn waiting(delay_seconds: u64, nodes: u32, declined: u32) -> Value {
    json!({ "queue": [{
        "app": app("/demo/web", 3, V2), "count": 2, "since": V2,
        "delay": { "timeLeftSeconds": delay_seconds, "overdue": delay_seconds == 0 },
        "processedOffersSummary": {
            "processedOffersCount": nodes, "unusedOffersCount": declined,
            "rejectSummaryLastOffers": [
                { "reason": "UnfulfilledConstraint", "declined": 0, "processed": nodes },
                { "reason": "InsufficientMemory", "declined": declined, "processed": nodes },
            ],
        },
    }] })
}

/// A pod's definition, as a server prints it.
pub(crate) fn pod(id: &str, instances: u32, version: &str) -> Value {
    json!({
        "id": id, "version": version, "labels": { "team": "demo" }, "networks": [{ "mode": "container/bridge" }],
        "containers": [
            {
                "name": "web", "image": { "kind": "DOCKER", "id": "ekiden-demo:1" },
                "resources": { "cpus": 0.1, "mem": 32, "disk": 0, "gpus": 0 },
                "endpoints": [{ "name": "http", "containerPort": 8080, "hostPort": 0, "protocol": ["tcp"] }],
                "healthCheck": {
                    "http": { "endpoint": "http", "path": "/health", "scheme": "HTTP" }, "gracePeriodSeconds": 10,
                    "intervalSeconds": 5, "maxConsecutiveFailures": 3, "timeoutSeconds": 2, "delaySeconds": 0,
                },
            },
            {
                "name": "side", "exec": { "command": { "shell": "ship" } },
                "resources": { "cpus": 0.1, "mem": 16, "disk": 0, "gpus": 0 },
            },
        ],
        "scaling": { "kind": "fixed", "instances": instances },
        "scheduling": {
            "backoff": { "backoff": 1, "backoffFactor": 1.15, "maxLaunchDelay": 300 },
            "upgrade": { "minimumHealthCapacity": 1, "maximumOverCapacity": 1 }, "killSelection": "YOUNGEST_FIRST",
            "unreachableStrategy": { "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 },
        },
        "role": "*",
    })
}

/// The id of a pod's n-th instance.
pub(crate) fn instance_id(n: u32) -> String {
    format!("demo_pod.marathon-12345678-9abc-8000-8000-00000c00000{n}")
}

/// An instance of a pod, with its two containers.
pub(crate) fn pod_instance(n: u32, status: &str, healthy: &str) -> Value {
    let times = |since: &str| json!({ "statusSince": since, "lastUpdated": V2, "lastChanged": since });
    let with = |mut base: Value, times: Value| {
        base.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        base
    };
    let web = json!({
        "name": "web", "status": "TASK_RUNNING", "endpoints": [{ "name": "http", "allocatedHostPort": 31000 + n }],
        "conditions": [{ "name": "healthy", "value": healthy, "lastChanged": V1, "lastUpdated": V2 }],
    });
    let side = json!({ "name": "side", "status": "TASK_RUNNING" });
    let base = json!({
        "id": instance_id(n), "status": status, "agentId": "vm-1", "agentHostname": "10.0.0.7", "role": "*",
        "networks": [{ "addresses": [format!("172.17.0.{n}")] }],
        "containers": [with(web, times(V1)), with(side, times(V1))],
    });
    with(base, times(V1))
}

/// The answer of `GET /v2/pods/{id}::status`.
pub(crate) fn pod_status(id: &str, word: &str, wanted: u32, instances: &[Value]) -> Value {
    json!({
        "id": id, "spec": pod(id, wanted, V1), "status": word, "statusSince": V1, "instances": instances,
        "terminationHistory": [], "lastUpdated": V2, "lastChanged": V1,
    })
}

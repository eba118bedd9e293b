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

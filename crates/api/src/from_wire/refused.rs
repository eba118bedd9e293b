//! Parts of Marathon's app definition that Ekiden does not have: accepted where they say nothing, refused where they
//! ask for something, never dropped in silence.

use super::Problems;
use super::read::Object;
use serde_json::Value;

/// Every field of an app that Marathon 1.11 or an earlier one knows, in either dialect.
pub(super) const KNOWN: &[&str] = &[
    "id",
    "acceptedResourceRoles",
    "args",
    "backoffFactor",
    "backoffSeconds",
    "check",
    "cmd",
    "constraints",
    "container",
    "cpus",
    "dependencies",
    "disk",
    "env",
    "executor",
    "executorResources",
    "fetch",
    "gpus",
    "healthChecks",
    "instances",
    "ipAddress",
    "killSelection",
    "labels",
    "maxLaunchDelaySeconds",
    "mem",
    "networks",
    "portDefinitions",
    "ports",
    "readinessChecks",
    "requirePorts",
    "residency",
    "resourceLimits",
    "role",
    "secrets",
    "storeUrls",
    "taskKillGracePeriodSeconds",
    "tty",
    "unreachableStrategy",
    "upgradeStrategy",
    "uris",
    "user",
    "version",
    "versionInfo",
    // Printed beside the definition; a user who puts back what was read means nothing by them.
    "deployments",
    "lastTaskFailure",
    "readinessCheckResults",
    "taskRateLimit",
    "taskStats",
    "tasks",
    "tasksHealthy",
    "tasksRunning",
    "tasksStaged",
    "tasksStats",
    "tasksUnhealthy",
];

/// Fields of an app, and what to use instead.
const OF_APP: &[(&str, &str)] = &[
    ("fetch", "put the files into the image, or mount a directory of the node as a host volume"),
    ("uris", "put the files into the image, or mount a directory of the node as a host volume"),
    ("storeUrls", "put the files into the image"),
    ("secrets", "give the value in 'env', or mount a file with it as a host volume"),
    ("residency", "keep data on a host volume and hold the app to its node by a constraint"),
    ("readinessChecks", "use 'healthChecks': a rolling update waits for them"),
    ("dependencies", "deploy the apps one after another; 'ekiden deploy --wait' returns when one is healthy"),
    ("check", "use 'healthChecks'"),
    ("executor", "leave it empty: every app runs in a Docker container"),
    ("executorResources", "add them to 'cpus', 'mem' and 'disk'"),
    ("gpus", "hold the app to nodes with a GPU by a constraint on their attributes"),
    ("ipAddress", "use 'networks' with mode 'container/bridge' or 'host'"),
    ("resourceLimits", "the limits are what 'cpus' and 'mem' ask for"),
    ("tty", "leave it out"),
];

/// Fields of `container`, and what to use instead.
const OF_CONTAINER: &[(&str, &str)] = &[("linuxInfo", "use the allowed ones of 'docker.parameters'")];

/// Fields of `container.docker`, and what to use instead.
const OF_DOCKER: &[(&str, &str)] = &[
    ("privileged", "give the container single rights by 'docker.parameters' where they are allowed"),
    ("pullConfig", "log the nodes' Docker in to the registry: agents use its credentials"),
    ("credential", "log the nodes' Docker in to the registry: agents use its credentials"),
];

/// Refuses what an app asks for and Ekiden does not have.
pub(super) fn check(problems: &mut Problems, app: &Object) {
    check_all(problems, app, OF_APP);
    if let Some(role) = app.text(problems, "role")
        && !matches!(role, "*" | "")
    {
        problems.invalid(&app.at("role"), "roles other than '*' are not supported yet: leave it out");
    }
}

/// Refuses what a container asks for and Ekiden does not have.
pub(super) fn check_container(problems: &mut Problems, container: &Object) {
    check_all(problems, container, OF_CONTAINER);
}

/// Refuses what a Docker container asks for and Ekiden does not have.
pub(super) fn check_docker(problems: &mut Problems, docker: &Object) {
    check_all(problems, docker, OF_DOCKER);
}

pub(super) fn check_all(problems: &mut Problems, object: &Object, refused: &[(&str, &str)]) {
    for (name, instead) in refused {
        if object.get(name).is_some_and(|it| !is_neutral(name, it)) {
            problems.invalid(&object.at(name), format!("'{name}' is not supported yet: {instead}"));
        }
    }
}

/// Whether a value asks for nothing. An `ipAddress`, even an empty one, asks for an address of one's own.
fn is_neutral(name: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty() && name != "ipAddress",
    }
}

//! Parts of Marathon's app definition that Ekiden does not have: accepted where they say nothing, refused where they
//! ask for something, never dropped in silence.

use super::Problems;
use super::read::Object;
use cluster::Resources;
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

/// Fields of an app, why they are not there, and what to use instead.
const OF_APP: &[(&str, &str)] = &[
    ("storeUrls", "there is no store of artifacts: give the files' addresses in 'fetch'"),
    ("secrets", "there is no store of secrets: give the value in 'env', or mount a file with it as a host volume"),
    ("check", "nothing would follow from its result: use 'healthChecks'"),
    ("executor", "there are no executors: leave it empty, every app runs in a Docker container"),
    ("executorResources", "there are no executors: add what is needed to 'cpus', 'mem' and 'disk'"),
    ("gpus", "GPUs are not counted: hold the app to nodes with one by a constraint on their attributes"),
];

/// Fields of `container.docker`, why they are not there, and what to use instead.
const OF_DOCKER: &[(&str, &str)] = &[
    (
        "pullConfig",
        "there is no store of secrets: log the nodes' Docker in to the registry, agents use its credentials",
    ),
    (
        "credential",
        "there is no store of secrets: log the nodes' Docker in to the registry, agents use its credentials",
    ),
];

/// Refuses what an app asks for and Ekiden does not have.
pub(super) fn check(problems: &mut Problems, app: &Object) {
    check_all(problems, app, OF_APP);
}

/// Refuses what a container asks for and Docker does not do for Ekiden.
pub(super) fn check_container(problems: &mut Problems, container: &Object) {
    let Some(info) = container.object(problems, "linuxInfo") else { return };
    info.check_known(problems, &["seccomp", "ipcInfo"]);
    if let Some(seccomp) = info.object(problems, "seccomp") {
        seccomp.check_known(problems, &["profileName", "unconfined"]);
        if seccomp.boolean(problems, "unconfined") == Some(true) || seccomp.get("profileName").is_some() {
            problems.invalid(seccomp.path(), "containers have Docker's own seccomp profile: leave it out");
        }
    }
    if let Some(ipc) = info.object(problems, "ipcInfo") {
        ipc.check_known(problems, &["mode", "shmSize"]);
        if ipc.word(problems, "mode", &["PRIVATE", "SHARE_PARENT"]) == Some("SHARE_PARENT") {
            problems.invalid(&ipc.at("mode"), "every container has an IPC namespace of its own: leave it out");
        }
        if ipc.get("shmSize").is_some() {
            problems.invalid(&ipc.at("shmSize"), "use the Docker parameter 'shm-size'");
        }
    }
}

/// Refuses what a Docker container asks for and Ekiden does not have.
pub(super) fn check_docker(problems: &mut Problems, docker: &Object) {
    check_all(problems, docker, OF_DOCKER);
}

/// Refuses limits that are not those that there are: cpus are shared without a limit, memory is limited to what is
/// asked for.
pub(super) fn check_limits(problems: &mut Problems, app: &Object, resources: &Resources) {
    let Some(limits) = app.object(problems, "resourceLimits") else { return };
    limits.check_known(problems, &["cpus", "mem"]);
    let is_unlimited = |it: &Value| it.as_str().is_some_and(|it| it.eq_ignore_ascii_case("unlimited"));
    if limits.get("cpus").is_some_and(|it| !is_unlimited(it)) {
        let error = "cpus are shared by their weight and have no limit: leave it out, or say \"unlimited\"";
        problems.invalid(&limits.at("cpus"), error);
    }
    let mib = resources.memory_bytes as f64 / 1_048_576.0;
    let is_asked_for = |it: &Value| it.as_f64().is_some_and(|it| (it - mib).abs() < 1e-6);
    if limits.get("mem").is_some_and(|it| !is_asked_for(it)) {
        problems.invalid(&limits.at("mem"), "memory is limited to what 'mem' asks for: leave it out");
    }
}

pub(super) fn check_all(problems: &mut Problems, object: &Object, refused: &[(&str, &str)]) {
    for (name, instead) in refused {
        if object.get(name).is_some_and(|it| !is_neutral(name, it)) {
            problems.invalid(&object.at(name), format!("'{name}' is not supported: {instead}"));
        }
    }
}

/// Whether a value asks for nothing. Marathon's executor `//cmd` is the one that runs a command.
fn is_neutral(name: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || (name == "executor" && text == "//cmd"),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

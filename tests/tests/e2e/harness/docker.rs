//! A look at the Docker engine behind the agents' backs.

use super::process::{run, says};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// The demo's images, versions 1 and 2, and one that never becomes healthy; built once a run.
pub(crate) fn images() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        build(&["ekiden-demo:1"]);
        build(&["ekiden-demo:2"]);
        let plain = says("docker", &["create", "ekiden-demo:1"]);
        says("docker", &["commit", "--change", "ENV FAIL=1", plain.trim(), "ekiden-demo:never-healthy"]);
        says("docker", &["rm", plain.trim()]);
    });
}

/// The demo's image with a shell in it.
pub(crate) fn image_with_shell() -> &'static str {
    build(&["--shell", "ekiden-demo-shell:1"]);
    "ekiden-demo-shell:1"
}

fn build(args: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in the workspace");
    says(root.join("scripts/demo-image"), args);
}

/// Every container of a cluster, also one that has ended: its id.
pub(crate) fn containers(cluster: &str) -> Vec<String> {
    let filter = format!("label=ekiden.cluster={cluster}");
    let ids = says("docker", &["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
    ids.lines().map(str::to_owned).collect()
}

/// The ids of a cluster's running containers and when each was started.
pub(crate) fn running(cluster: &str) -> BTreeMap<String, String> {
    let running = containers(cluster).into_iter().filter_map(|id| {
        let it = inspect(&id)?;
        let state = &it["State"];
        (state["Running"] == true).then(|| (id, state["StartedAt"].as_str().unwrap_or_default().to_owned()))
    });
    running.collect()
}

/// What the engine says of a container; nothing if it is gone.
pub(crate) fn inspect(container: &str) -> Option<Value> {
    let output = run("docker", &["inspect", "--type", "container", container]);
    let mut all: Value = serde_json::from_slice(&output.stdout).ok()?;
    all.get_mut(0).map(Value::take)
}

/// `docker kill`.
pub(crate) fn kill(container: &str) {
    says("docker", &["kill", container]);
}

/// Removes all containers of a cluster, running or not, whose agents are dead.
pub(crate) fn remove_all(cluster: &str) {
    let filter = format!("label=ekiden.cluster={cluster}");
    // The engine may still be making what an agent asked for with its last breath.
    let mut empty_looks = 0;
    for _ in 0..20 {
        if empty_looks == 3 {
            return;
        }
        let ids = run("docker", &["ps", "--all", "--quiet", "--filter", &filter]);
        let ids = String::from_utf8_lossy(&ids.stdout).into_owned();
        let ids: Vec<&str> = ids.lines().collect();
        if ids.is_empty() {
            empty_looks += 1;
            std::thread::sleep(Duration::from_millis(100));
        } else {
            empty_looks = 0;
            run("docker", &[&["rm", "--force", "--volumes"], &ids[..]].concat());
        }
    }
}

/// What the engine does with the output of a container that asks for nothing special: its own driver, without options.
pub(crate) fn own_log_config() -> Value {
    let driver = run("docker", &["info", "--format", "{{.LoggingDriver}}"]).stdout;
    serde_json::json!({ "Type": String::from_utf8_lossy(&driver).trim(), "Config": {} })
}

//! What a user sees of tasks, and of those that are killed.

use crate::fake::wire::*;
use crate::fake::{Fake, check, check_started};
use serde_json::json;

#[tokio::test]
async fn task_list_has_short_ids_unless_asked_for_long_ones() {
    let mut staging = task(2);
    staging["state"] = json!("TASK_STAGING");
    staging.as_object_mut().unwrap().remove("healthCheckResults");
    let tasks = json!({ "tasks": [task(1), staging] });
    let fake = Fake::new().on("GET /v2/tasks", 200, &tasks).on("GET /v2/apps/demo/web/tasks", 200, &tasks);
    check(
        &fake.run("task list").await,
        "
-- stdout
ID            APP        NODE  PORTS  STATE    HEALTH   VERSION         AGE
00000c000001  /demo/web  vm-1  31001  Running  healthy  11-21 05:19:52  4m
00000c000002  /demo/web  vm-1  31002  Staging  -        11-21 05:19:52  4m
-- exit 0
",
    );
    check(
        &fake.run("task list demo/web -o wide --no-headers").await,
        "
-- stdout
demo_web.12345678-9abc-8000-8000-00000c000001  /demo/web  vm-1  31001  Running  healthy  2026-11-21T05:19:52.000Z  4m
demo_web.12345678-9abc-8000-8000-00000c000002  /demo/web  vm-1  31002  Staging  -        2026-11-21T05:19:52.000Z  4m
-- exit 0
",
    );
}

#[tokio::test]
async fn kills_name_their_victims() {
    let fake = Fake::new()
        .on("GET /v2/tasks", 200, json!({ "tasks": [task(1), task(2)] }))
        .on("POST /v2/tasks/delete", 200, json!({ "tasks": [task(1)] }))
        .on("DELETE /v2/apps/demo/web/tasks?host=vm-1", 200, json!({ "tasks": [task(1), task(2)] }))
        .on("DELETE /v2/apps/demo/web/tasks?scale=true", 200, accepted(V2));
    check(
        &fake.run("task kill 00000c000001").await,
        "
-- stdout
demo_web.12345678-9abc-8000-8000-00000c000001
-- stderr
killed 1 instance
-- exit 0
",
    );
    check(
        &fake.run("app kill /demo/web --host vm-1").await,
        "
-- stdout
demo_web.12345678-9abc-8000-8000-00000c000001
demo_web.12345678-9abc-8000-8000-00000c000002
-- stderr
killed 2 instances
-- exit 0
",
    );
    check_started(&fake.run("app kill /demo/web --scale").await, "/demo/web  scaled");
    check(
        &fake.run("task kill nobody").await,
        "
-- stderr
error: there is no task `nobody`
  hint: `ekiden task list` shows what there is
-- exit 66
",
    );
    check(
        &fake.changes().join("\n"),
        r#"
POST /v2/tasks/delete {"ids":["demo_web.12345678-9abc-8000-8000-00000c000001"]}
DELETE /v2/apps/demo/web/tasks?host=vm-1
DELETE /v2/apps/demo/web/tasks?scale=true"#,
    );
}

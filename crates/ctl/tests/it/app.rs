//! What a user sees of apps.

use crate::fake::wire::*;
use crate::fake::{Fake, User, check, check_started};
use serde_json::json;

#[tokio::test]
async fn app_list_shows_how_each_app_is() {
    let mut delayed = app("/demo/crash", 1, V2);
    delayed["labels"] = json!({ "evil": "\u{1b}[2J" });
    let mut queue = waiting(38, 1, 0);
    queue["queue"][0]["app"]["id"] = json!("/demo/crash");
    let apps = json!({ "apps": [
        serving("/demo/web", 3, 3, V1), delayed, app("/demo/off", 0, V1), serving("/a\u{1b}]0;x\u{7}", 2, 1, V1),
    ] });
    let fake = Fake::new().on("GET /v2/apps", 200, &apps).on("GET /v2/queue", 200, &queue);
    check(
        &fake.run("app list").await,
        r"
-- stdout
ID                 RUNNING  HEALTHY  CPUS  MEM  IMAGE          STATUS     VERSION
/demo/web              3/3        3   0.1  32M  ekiden-demo:1  Running    5m
/demo/crash            0/1        -   0.1  32M  ekiden-demo:1  Delayed    12s
/demo/off              0/0        -   0.1  32M  ekiden-demo:1  Suspended  5m
/a\u{1b}]0;x\u{7}      2/2        1   0.1  32M  ekiden-demo:1  Degraded   5m
-- exit 0
",
    );
}

#[tokio::test]
async fn app_list_filters_on_the_server() {
    let fake = Fake::new().on("GET /v2/apps?id=web&label=team%3D%3Dpay", 200, json!({ "apps": [] })).on(
        "GET /v2/queue",
        200,
        json!({ "queue": [] }),
    );
    check(
        &fake.run("app list web -l team==pay").await,
        "
-- stderr
There are no apps. `ekiden deploy FILE` makes one.
-- exit 0
",
    );
}

#[tokio::test]
async fn app_show_is_the_page_that_on_call_opens() {
    let mut app = serving("/demo/web", 3, 2, V1);
    app["tasks"] = json!([task(1), task(2)]);
    app["labels"] = json!({ "team": "demo" });
    app["lastTaskFailure"] = json!({
        "appId": "/demo/web", "host": "vm-2", "message": "exit code 137\u{1b}[31m: out of memory", "state": "TASK_FAILED",
        "taskId": "demo_web.x", "timestamp": V2, "version": V1,
    });
    let fake =
        Fake::new().on("GET /v2/apps/demo/web", 200, single(&app)).on("GET /v2/queue", 200, json!({ "queue": [] }));
    check(
        &fake.run("app show demo/web").await,
        r"
-- stdout
/demo/web  Degraded  3/3 running, 2 healthy
  image        ekiden-demo:1
  resources    0.1 cpus, 32M memory for each instance
  version      2026-11-21T05:19:52.000Z (5m ago)
  labels       team=demo
  last failure 12s ago on vm-2: exit code 137\u{1b}[31m: out of memory

ID            APP        NODE  PORTS  STATE    HEALTH   VERSION         AGE
00000c000001  /demo/web  vm-1  31001  Running  healthy  11-21 05:19:52  4m
00000c000002  /demo/web  vm-1  31002  Running  healthy  11-21 05:19:52  4m
-- exit 0
",
    );
}

#[tokio::test]
async fn app_versions_say_which_is_current() {
    let mut old = app("/demo/web", 2, V1);
    old["container"]["docker"]["image"] = json!("ekiden-demo:0");
    let fake = Fake::new()
        .on("GET /v2/apps/demo/web/versions", 200, json!({ "versions": [V2, V1] }))
        .on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V2)))
        .on(&format!("GET /v2/apps/demo/web/versions/{V2}"), 200, app("/demo/web", 3, V2))
        .on(&format!("GET /v2/apps/demo/web/versions/{V1}"), 200, old);
    check(
        &fake.run("app versions /demo/web").await,
        "
-- stdout
VERSION                   AGE  INSTANCES  CPUS  MEM  IMAGE
2026-11-21T05:24:40.000Z  12s          3   0.1  32M  ekiden-demo:1  current
2026-11-21T05:19:52.000Z   5m          2   0.1  32M  ekiden-demo:0
-- exit 0
",
    );
    check(
        &fake.run("app version list /demo/web -o json").await,
        r#"
-- stdout
[
  "2026-11-21T05:24:40.000Z",
  "2026-11-21T05:19:52.000Z"
]
-- exit 0
"#,
    );
}

#[tokio::test]
async fn a_change_prints_its_deployment() {
    let fake = Fake::new()
        .on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V1)))
        .on("PUT /v2/apps/demo/web", 200, accepted(V2))
        .on("POST /v2/apps/demo/web/restart?force=true", 200, accepted(V2))
        .on("DELETE /v2/apps/demo/web", 200, accepted(V2));
    check_started(&fake.run("app scale /demo/web 5").await, "/demo/web  scaled");
    check(
        &fake.run("app restart /demo/web --force -q").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- exit 0
",
    );
    check(
        &fake.run("app remove /demo/web -o json").await,
        r#"
-- stdout
{
  "kind": "Result/v1",
  "result": "started",
  "exitCode": 0,
  "changes": [
    {
      "app": "/demo/web",
      "change": "removed",
      "version": "2026-11-21T05:24:40.000Z",
      "deploymentId": "12345678-9abc-8000-8000-000010000000",
      "result": "started"
    }
  ]
}
-- stderr
/demo/web  removed
-- exit 0
"#,
    );
    check(
        &fake.changes().join("\n"),
        r#"
PUT /v2/apps/demo/web {"instances":5}
POST /v2/apps/demo/web/restart?force=true
DELETE /v2/apps/demo/web"#,
    );
}

#[tokio::test]
async fn app_update_sends_only_what_is_assigned_with_what_stands_beside_it() {
    let mut before = app("/demo/web", 3, V1);
    before["env"] = json!({ "A": "1", "B": "2" });
    let fake =
        Fake::new().on("GET /v2/apps/demo/web", 200, single(&before)).on("PUT /v2/apps/demo/web", 200, accepted(V2));
    check_started(
        &fake.run("app update /demo/web cpus=0.5 env.B=3 env.C=x image=ekiden-demo:2").await,
        "/demo/web  updated",
    );
    let user = User { stdin: r#"{"mem": 64}"#.to_owned(), ..User::default() };
    check_started(&fake.run_as(&user, "app update /demo/web").await, "/demo/web  updated");
    check(
        &fake.changes().join("\n"),
        r#"
PUT /v2/apps/demo/web {"cpus":0.5,"env":{"A":"1","B":"3","C":"x"},"container":{"type":"DOCKER","docker":{"image":"ekiden-demo:2"},"volumes":[]}}
PUT /v2/apps/demo/web {"mem": 64}"#,
    );
}

#[tokio::test]
async fn app_start_and_stop_are_words_for_scaling() {
    let fake = Fake::new()
        .once("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V1)))
        .on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 0, V1)))
        .on("PUT /v2/apps/demo/web", 200, accepted(V2));
    check(
        &fake.run("app start /demo/web 2 -o json").await,
        r#"
-- stdout
{
  "kind": "Result/v1",
  "result": "unchanged",
  "exitCode": 0,
  "changes": [
    {
      "app": "/demo/web",
      "change": "unchanged",
      "version": "2026-11-21T05:19:52.000Z",
      "result": "unchanged"
    }
  ]
}
-- stderr
/demo/web  unchanged
-- exit 0
"#,
    );
    check_started(&fake.run("app start /demo/web 2").await, "/demo/web  scaled");
    check_started(&fake.run("app stop /demo/web").await, "/demo/web  scaled");
    check(
        &fake.changes().join("\n"),
        r#"
PUT /v2/apps/demo/web {"instances":2}
PUT /v2/apps/demo/web {"instances":0}"#,
    );
}

#[tokio::test]
async fn app_rollback_takes_the_last_version_that_went_well() {
    let mut went_wrong = deployment("rolledBack", 0, 0, &[]);
    went_wrong["changes"][0]["to"] = json!("2026-11-21T05:20:00.000Z");
    let fake = Fake::new()
        .on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V2)))
        .on("GET /v2/apps/demo/web/versions", 200, json!({ "versions": [V2, "2026-11-21T05:20:00.000Z", V1] }))
        .on("GET /v3/deployments", 200, json!({ "deployments": [went_wrong] }))
        .on("PUT /v2/apps/demo/web", 200, json!({ "version": "2026-11-21T05:24:52.000Z", "deploymentId": ID }));
    check(
        &fake.run("app rollback /demo/web").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/web: back to version 2026-11-21T05:19:52.000Z
/demo/web  rolled back
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    check(
        &fake.changes().join("\n"),
        r#"
PUT /v2/apps/demo/web {"version":"2026-11-21T05:19:52.000Z"}"#,
    );
}

#[tokio::test]
async fn a_version_that_is_not_there_is_not_gone_back_to() {
    let fake = Fake::new().on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V2))).on(
        "PUT /v2/apps/demo/web",
        404,
        json!({ "message": format!("App '/demo/web' does not exist in version {V1}") }),
    );
    check(
        &fake.run(&format!("app rollback /demo/web --to {V1}")).await,
        "
-- stderr
error: App '/demo/web' does not exist in version 2026-11-21T05:19:52.000Z
  at: PUT /v2/apps/demo/web of http://fake
  hint: `ekiden app versions ID` shows what there is
-- exit 66
",
    );
}

#[tokio::test]
async fn an_app_out_of_nothing_is_not_added() {
    check(
        &Fake::new().run("app add").await,
        "
-- stderr
error: stdin is empty
  hint: Marathon JSON is expected
-- exit 65
",
    );
}

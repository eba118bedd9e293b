//! What a user sees of each verb: stdout, stderr and exit code, whole.

mod fake;

use fake::wire::*;
use fake::{Fake, User, check};
use serde_json::json;
use std::time::Duration;

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
async fn json_is_what_the_server_says() {
    let fake = Fake::new().on("GET /v2/apps", 200, json!({ "apps": [{ "later": 1 }] }));
    // A field that this program does not know is passed on; one that it needs is missed.
    check(
        &fake.run("app list -o json").await,
        "
-- stderr
error: the answer is not what was expected: missing field `id`
  at: GET /v2/apps of http://fake
  hint: is this an Ekiden server, of the version of `ekiden version`?
-- exit 1
",
    );
    let task = task(1);
    let fake = Fake::new().on("GET /v2/tasks", 200, json!({ "tasks": [task] }));
    check(
        &fake.run("task list -o json").await,
        r#"
-- stdout
[
  {
    "appId": "/demo/web",
    "host": "vm-1",
    "id": "demo_web.12345678-9abc-8000-8000-00000c000001",
    "ports": [
      31001
    ],
    "state": "TASK_RUNNING",
    "version": "2026-11-21T05:19:52.000Z",
    "stagedAt": "2026-11-21T05:20:00.000Z",
    "startedAt": "2026-11-21T05:20:01.000Z",
    "healthCheckResults": [
      {
        "alive": true,
        "consecutiveFailures": 0,
        "instanceId": "demo_web.marathon-x"
      }
    ]
  }
]
-- exit 0
"#,
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
    check(
        &fake.run("app scale /demo/web 5").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/web  scaled
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
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
    check(
        &fake.run("app update /demo/web cpus=0.5 env.B=3 env.C=x image=ekiden-demo:2").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/web  updated
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    let user = User { stdin: r#"{"mem": 64}"#.to_owned(), ..User::default() };
    check(
        &fake.run_as(&user, "app update /demo/web").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/web  updated
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
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
        &fake.run("app start /demo/web 2").await,
        "
-- stderr
/demo/web has 3 instances already: unchanged
-- exit 0
",
    );
    check(
        &fake.run("app start /demo/web 2").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/web  scaled
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    check(
        &fake.run("app stop /demo/web").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/web  scaled
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    check(
        &fake.changes().join("\n"),
        r#"
PUT /v2/apps/demo/web {"instances":2}
PUT /v2/apps/demo/web {"instances":0}"#,
    );
}

#[tokio::test]
async fn app_rollback_takes_the_version_before() {
    let fake = Fake::new()
        .on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V2)))
        .on("GET /v2/apps/demo/web/versions", 200, json!({ "versions": [V2, V1] }))
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
    check(
        &fake.run("app kill /demo/web --scale").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/web  scaled
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
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

#[tokio::test]
async fn a_person_is_asked_before_something_ends() {
    let fake = Fake::new().on("DELETE /v2/apps/demo/web", 200, accepted(V2));
    let no = User { stdin: "n\n".to_owned(), ..User::at_terminal() };
    check(
        &fake.run_as(&no, "app remove /demo/web").await,
        "
-- stderr
Remove /demo/web and all its instances? [y/N] error: nothing was done
  hint: `--yes` asks no questions
-- exit 130
",
    );
    check(&fake.changes().join("\n"), "");
    let yes = User { stdin: "y\n".to_owned(), ..User::at_terminal() };
    check(
        &fake.run_as(&yes, "app remove /demo/web").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
Remove /demo/web and all its instances? [y/N] /demo/web  removed
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    check(
        &fake.run_as(&no, "app remove /demo/web --yes").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/web  removed
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
}

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
async fn node_list_shows_what_is_left() {
    let node = |name: &str, status: &str, reason: Option<&str>| {
        json!({
            "name": name, "address": "10.0.0.7", "status": status, "reason": reason,
            "capacity": { "cpus": 4, "mem": 16000, "disk": 100_000 }, "used": { "cpus": 0.3, "mem": 96, "disk": 0 },
            "ports": { "first": 31000, "last": 32000 }, "usedPorts": 3, "attributes": {}, "versions": {}, "nInstances": 3,
        })
    };
    let nodes =
        json!({ "nodes": [node("vm-1", "ready", None), node("vm-2", "degraded", Some("Docker does not answer"))] });
    let fake = Fake::new().on("GET /v3/nodes", 200, nodes);
    check(
        &fake.run("node list").await,
        "
-- stdout
NAME  STATUS     CPUS        MEM  INSTANCES  ADDRESS
vm-1  ready     0.3/4  96M/15.6G          3  10.0.0.7
vm-2  degraded  0.3/4  96M/15.6G          3  10.0.0.7  Docker does not answer
-- exit 0
",
    );
}

#[tokio::test]
async fn queue_says_why() {
    let explained = json!({
        "app": "/demo/web", "missing": 2, "reasons": [],
        "instances": { "wanted": 3, "newStaged": 0, "newRunning": 1, "newServing": 1, "old": 0, "oldServing": 0 },
        "waiting": ["/demo/web: 2 to launch; no node takes one: InsufficientMemory on 2; vm-2: 1024 MiB more"],
        "nodes": [
            { "node": "vm-1", "reason": "InsufficientMemory", "detail": "asks for 8192 MiB, 3900 MiB are free" },
            { "node": "vm-2", "reason": "InsufficientMemory", "detail": "asks for 8192 MiB, 7168 MiB are free" },
        ],
    });
    let fake =
        Fake::new().on("GET /v2/queue", 200, waiting(0, 2, 2)).on("GET /v3/apps/demo/web/explain", 200, explained);
    check(
        &fake.run("queue").await,
        "
-- stdout
APP        MISSING  SINCE  DELAY  REASON
/demo/web        2  12s    -      InsufficientMemory on 2 of 2 nodes

/demo/web
  2 to launch; no node takes one: InsufficientMemory on 2; vm-2: 1024 MiB more
  vm-1: InsufficientMemory: asks for 8192 MiB, 3900 MiB are free
  vm-2: InsufficientMemory: asks for 8192 MiB, 7168 MiB are free
-- exit 0
",
    );
    let fake = Fake::new().on("GET /v2/queue", 200, json!({ "queue": [] }));
    check(
        &fake.run("waiting").await,
        "
-- stderr
Nothing waits.
-- exit 0
",
    );
}

#[tokio::test]
async fn deployments_are_remembered() {
    let fake = Fake::new()
        .on(
            "GET /v3/deployments",
            200,
            json!({ "deployments": [deployment("succeeded", 0, 0, &[]), deployment("running", 1, 2, &[])] }),
        )
        .on(
            &format!("GET /v3/deployments/{ID}"),
            200,
            deployment("running", 1, 2, &["/demo/web: 1 of its instances are starting"]),
        )
        .on(&format!("DELETE /v2/deployments/{ID}?force=true"), 202, "")
        .on(&format!("DELETE /v2/deployments/{ID}"), 200, json!({ "version": V2, "deploymentId": "the-other" }));
    check(
        &fake.run("deployment list").await,
        "
-- stdout
ID                                    STATUS   AGE  CHANGES
12345678-9abc-8000-8000-000010000000  running  12s  replace /demo/web
-- exit 0
",
    );
    check(
        &fake.run("deployment list --all").await,
        "
-- stdout
ID                                    STATUS     AGE  CHANGES
12345678-9abc-8000-8000-000010000000  succeeded  12s  replace /demo/web
12345678-9abc-8000-8000-000010000000  running    12s  replace /demo/web
-- exit 0
",
    );
    check(
        &fake.run(&format!("deployment show {ID}")).await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000  running  accepted 12s ago
APP        ACTION   FROM            TO              NEW  OLD  DONE
/demo/web  replace  11-21 05:19:52  11-21 05:24:40  1/3    2  no
waits: /demo/web: 1 of its instances are starting
-- exit 0
",
    );
    check(
        &fake.run(&format!("deployment rollback {ID}")).await,
        "
-- stdout
the-other
-- stderr
/demo/web  rolled back
`ekiden deployment watch the-other` follows it
-- exit 0
",
    );
    check(
        &fake.run(&format!("deployment stop {ID}")).await,
        "
-- stderr
deployment 12345678-9abc-8000-8000-000010000000 is cancelled; what it had done stays
-- exit 0
",
    );
}

#[tokio::test]
async fn the_words_of_the_dcos_cli_are_understood() {
    let fake = Fake::new()
        .on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V1)))
        .on("PUT /v2/apps/demo/web?force=true", 200, accepted(V2))
        .on("GET /v2/apps/demo/web/versions", 200, json!({ "versions": [V2, V1] }))
        .on(&format!("GET /v2/apps/demo/web/versions/{V1}"), 200, json!({ "id": "/demo/web" }))
        .on("GET /v2/tasks", 200, json!({ "tasks": [task(1)] }))
        .on(
            &format!("DELETE /v2/apps/demo/web/tasks/{}?wipe=true", task(1)["id"].as_str().unwrap()),
            200,
            json!({ "task": task(1) }),
        )
        .on("GET /v2/leader", 200, json!({ "leader": "10.0.0.1:8080" }));
    check(
        &fake.run("marathon app stop --force /demo/web").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/web  scaled
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    check(
        &fake.run("marathon app version list --max-count 1 --json /demo/web").await,
        r#"
-- stdout
[
  "2026-11-21T05:24:40.000Z"
]
-- exit 0
"#,
    );
    check(
        &fake.run(&format!("marathon app show --app-version={V1} /demo/web")).await,
        r#"
-- stdout
{
  "id": "/demo/web"
}
-- exit 0
"#,
    );
    check(
        &fake.run("marathon task show 00000c000001").await,
        "
-- stdout
demo_web.12345678-9abc-8000-8000-00000c000001  Running  healthy
  app        /demo/web
  node       -
  host       vm-1
  ports      31001
  version    2026-11-21T05:19:52.000Z
  staged     2026-11-21T05:20:00.000Z (4m ago)
  started    2026-11-21T05:20:01.000Z (4m ago)
  check      alive
-- exit 0
",
    );
    check(
        &fake.run("marathon task stop --wipe 00000c000001").await,
        "
-- stdout
demo_web.12345678-9abc-8000-8000-00000c000001
-- stderr
killed 1 instance
-- exit 0
",
    );
    check(
        &fake.run("marathon task show nobody").await,
        "
-- stderr
error: there is no task `nobody`
  hint: `ekiden task list` shows what there is
-- exit 66
",
    );
    check(
        &fake.run("marathon leader show").await,
        "
-- stdout
10.0.0.1:8080
-- exit 0
",
    );
    check(
        &fake.changes().join("\n"),
        r#"
PUT /v2/apps/demo/web?force=true {"instances":0}
DELETE /v2/apps/demo/web/tasks/demo_web.12345678-9abc-8000-8000-00000c000001?wipe=true"#,
    );
}

#[tokio::test]
async fn the_leader_is_shown_and_abdicates() {
    let fake = Fake::new()
        .once("GET /v2/leader", 200, json!({ "leader": "10.0.0.1:8080" }))
        .on("GET /v2/leader", 404, json!({ "message": "There is no leader" }))
        .on("DELETE /v2/leader", 200, json!({ "message": "Leadership abdicated" }));
    check(
        &fake.run("leader show -o json").await,
        r#"
-- stdout
{
  "leader": "10.0.0.1:8080"
}
-- exit 0
"#,
    );
    check(
        &fake.run("leader show").await,
        "
-- stderr
error: There is no leader
  at: GET /v2/leader of http://fake
-- exit 69
",
    );
    check(
        &fake.run("leader abdicate -o json").await,
        r#"
-- stdout
{
  "kind": "Result/v1",
  "result": "abdicated",
  "exitCode": 0,
  "changes": []
}
-- stderr
the leader abdicates; `ekiden leader show` says who leads then
-- exit 0
"#,
    );
    let no = User { stdin: "n\n".to_owned(), ..User::at_terminal() };
    check(
        &fake.run_as(&no, "leader abdicate").await,
        "
-- stderr
Let another member lead? [y/N] error: nothing was done
  hint: `--yes` asks no questions
-- exit 130
",
    );
    check(
        &fake.changes().join("\n"),
        "
DELETE /v2/leader",
    );
}

#[tokio::test]
async fn a_delay_ends_when_it_is_reset() {
    let fake = Fake::new().on("DELETE /v2/queue/demo/web/delay", 204, "").on(
        "DELETE /v2/queue/demo/db/delay",
        404,
        json!({ "message": "Application /demo/db not found in tasks queue." }),
    );
    check(
        &fake.run("delay reset demo/web").await,
        "
-- stderr
launches of /demo/web are tried at once
-- exit 0
",
    );
    check(
        &fake.run("delay reset demo/web -o json").await,
        r#"
-- stdout
{
  "kind": "Result/v1",
  "result": "reset",
  "exitCode": 0,
  "changes": []
}
-- stderr
launches of /demo/web are tried at once
-- exit 0
"#,
    );
    check(
        &fake.run("marathon delay reset /demo/db").await,
        "
-- stderr
error: Application /demo/db not found in tasks queue.
  at: DELETE /v2/queue/demo/db/delay of http://fake
  hint: only what misses instances has a delay: `ekiden queue` shows it
-- exit 66
",
    );
}

#[tokio::test]
async fn debug_says_why_in_three_tables() {
    let explained = |missing: u32| {
        json!({
            "app": "/demo/web", "missing": missing, "waiting": [],
            "instances": { "wanted": 3, "newStaged": 0, "newRunning": 1, "newServing": 1, "old": 0, "oldServing": 0 },
            "reasons": [
                { "reason": "UnfulfilledConstraint", "declined": 1, "processed": 2 },
                { "reason": "InsufficientMemory", "declined": 1, "processed": 1 },
            ],
            "nodes": [
                { "node": "vm-1", "reason": "InsufficientMemory", "detail": "asks for 8192 MiB, 3900 MiB are free" },
                { "node": "vm-2", "reason": "UnfulfilledConstraint", "detail": "hostname UNIQUE" },
            ],
        })
    };
    let mut queue = waiting(0, 2, 2);
    let mut pod = queue["queue"][0].clone();
    pod.as_object_mut().unwrap().remove("app");
    pod["pod"] = json!({ "id": "/demo/pod", "version": V2, "containers": [] });
    queue["queue"].as_array_mut().unwrap().push(pod);
    let fake = Fake::new().on("GET /v2/queue", 200, queue).on("GET /v3/apps/demo/web/explain", 200, explained(2)).on(
        "GET /v3/apps/demo/well/explain",
        200,
        explained(0),
    );
    check(
        &fake.run("debug list").await,
        "
-- stdout
APP        MISSING  SINCE  DELAY  REASON
/demo/web        2  12s    -      InsufficientMemory on 2 of 2 nodes
/demo/pod        2  12s    -      InsufficientMemory on 2 of 2 nodes
-- exit 0
",
    );
    check(
        &fake.run("marathon debug summary /demo/web").await,
        "
-- stdout
REASON                 DECLINED  ASKED
UnfulfilledConstraint         1      2
InsufficientMemory            1      1
-- exit 0
",
    );
    check(
        &fake.run("debug details /demo/web").await,
        "
-- stdout
NODE  REASON                 DETAIL
vm-1  InsufficientMemory     asks for 8192 MiB, 3900 MiB are free
vm-2  UnfulfilledConstraint  hostname UNIQUE
-- exit 0
",
    );
    check(
        &fake.run("debug details /demo/well").await,
        "
-- stderr
error: /demo/well misses no instance
-- exit 66
",
    );
    check(
        &fake.run("queue /demo/none -o json").await,
        "
-- stdout
[]
-- exit 0
",
    );
}

/// Events as a server sends them.
fn frames(events: &[(&str, &str, serde_json::Value)]) -> String {
    let frame = |(name, id, data): &(&str, &str, serde_json::Value)| {
        let id = if id.is_empty() { String::new() } else { format!("id: {id}\r\n") };
        format!("event: {name}\r\n{id}data: {data}\r\n\r\n")
    };
    events.iter().map(frame).collect::<String>() + "\r\n"
}

fn some_events() -> String {
    frames(&[
        (
            "event_stream_attached",
            "",
            json!({ "eventType": "event_stream_attached", "timestamp": V1, "remoteAddress": "x" }),
        ),
        ("reset", "3-9-0", json!({ "eventType": "reset", "timestamp": V1, "missingThrough": 3 })),
        (
            "api_post_event",
            "4-0-0",
            json!({ "eventType": "api_post_event", "timestamp": V1, "uri": "/v2/apps/demo/web", "appDefinition": { "id": "/demo/web" } }),
        ),
        (
            "status_update_event",
            "",
            json!({ "eventType": "status_update_event", "timestamp": V1, "appId": "/demo/web", "taskStatus": "TASK_FAILED", "host": "vm-1", "message": "exit code 1\u{1b}[2J" }),
        ),
        (
            "instance_changed_event",
            "5-1-0",
            json!({ "eventType": "instance_changed_event", "timestamp": V2, "runSpecId": "/demo/web", "condition": "Failed", "host": "vm-1" }),
        ),
        (
            "health_status_changed_event",
            "6-0-0",
            json!({ "eventType": "health_status_changed_event", "timestamp": V2, "appId": "/demo/web", "alive": false }),
        ),
        (
            "deployment_success",
            "7-0-0",
            json!({ "eventType": "deployment_success", "timestamp": V2, "id": ID, "plan": { "id": ID } }),
        ),
    ])
}

#[tokio::test]
async fn events_are_one_line_each() {
    let fake = Fake::new().on("GET /v2/events?plan-format=light", 200, some_events()).on(
        "GET /v2/events?event_type=a&event_type=b&plan-format=light",
        200,
        some_events(),
    );
    check(
        &fake.run("events").await,
        r"
-- stdout
11-21 05:19:52  api_post_event  /demo/web
11-21 05:19:52  status_update_event  /demo/web  TASK_FAILED  on vm-1  exit code 1\u{1b}[2J
11-21 05:24:40  instance_changed_event  /demo/web  Failed  on vm-1
11-21 05:24:40  health_status_changed_event  /demo/web  unhealthy
11-21 05:24:40  deployment_success  12345678-9abc-8000-8000-000010000000
-- stderr
older events are no longer kept
-- exit 0
",
    );
    check(
        &fake.run("events -o json --type a --type b --after 5-1-0").await,
        r#"
-- stdout
{"eventType":"api_post_event","timestamp":"2026-11-21T05:19:52.000Z","uri":"/v2/apps/demo/web","appDefinition":{"id":"/demo/web"}}
{"eventType":"status_update_event","timestamp":"2026-11-21T05:19:52.000Z","appId":"/demo/web","taskStatus":"TASK_FAILED","host":"vm-1","message":"exit code 1\u001b[2J"}
{"eventType":"instance_changed_event","timestamp":"2026-11-21T05:24:40.000Z","runSpecId":"/demo/web","condition":"Failed","host":"vm-1"}
{"eventType":"health_status_changed_event","timestamp":"2026-11-21T05:24:40.000Z","appId":"/demo/web","alive":false}
{"eventType":"deployment_success","timestamp":"2026-11-21T05:24:40.000Z","id":"12345678-9abc-8000-8000-000010000000","plan":{"id":"12345678-9abc-8000-8000-000010000000"}}
-- stderr
older events are no longer kept
-- exit 0
"#,
    );
    check(
        &fake.run("events -o wide").await,
        r"
-- stdout
4-0-0  2026-11-21T05:19:52.000Z  api_post_event  /demo/web
4-0-0  2026-11-21T05:19:52.000Z  status_update_event  /demo/web  TASK_FAILED  on vm-1  exit code 1\u{1b}[2J
5-1-0  2026-11-21T05:24:40.000Z  instance_changed_event  /demo/web  Failed  on vm-1
6-0-0  2026-11-21T05:24:40.000Z  health_status_changed_event  /demo/web  unhealthy
7-0-0  2026-11-21T05:24:40.000Z  deployment_success  12345678-9abc-8000-8000-000010000000
-- stderr
older events are no longer kept
-- exit 0
",
    );
    check(
        &fake.asked().join("\n"),
        "
GET /v2/events?plan-format=light behind 0-0-0
GET /v2/events?event_type=a&event_type=b&plan-format=light behind 5-1-0
GET /v2/events?plan-format=light behind 0-0-0",
    );
}

#[tokio::test]
async fn events_are_followed_over_the_end_of_a_stream() {
    let leader = Fake::new()
        .once("GET /v2/events?plan-format=light", 200, frames(&[("a", "4-0-0", json!({ "timestamp": V1, "id": "x" }))]))
        .once("GET /v2/events?plan-format=light", 503, json!({ "message": "no leader" }))
        .once("GET /v2/events?plan-format=light", 200, frames(&[("b", "5-0-0", json!({ "timestamp": V2, "id": "y" }))]))
        .on("GET /v2/events?plan-format=light", 200, "");
    let location = format!("location: {}/v2/events?plan-format=light", leader.url());
    let stand_by = Fake::new().with_header("GET /v2/events?plan-format=light", 302, &location, "");
    let user = User { interrupts_after: Some(Duration::from_millis(400)), ..User::default() };
    let seen = stand_by.run_as(&user, "events --follow -q").await;
    check(
        &seen,
        "
-- stdout
11-21 05:19:52  a  x
11-21 05:24:40  b  y
-- stderr
error: interrupted
-- exit 130
",
    );
    check(
        &leader.asked()[..4].join("\n"),
        "
GET /v2/events?plan-format=light
GET /v2/events?plan-format=light behind 4-0-0
GET /v2/events?plan-format=light behind 4-0-0
GET /v2/events?plan-format=light behind 5-0-0",
    );
}

#[tokio::test]
async fn what_is_remembered_ends_where_the_stream_falls_silent() {
    let events = frames(&[("a", "4-0-0", json!({ "timestamp": V1, "id": "x" }))]);
    let fake = Fake::new().with_header("GET /v2/events?plan-format=light", 200, "x-open: yes", events);
    check(
        &fake.run("events").await,
        "
-- stdout
11-21 05:19:52  a  x
-- exit 0
",
    );
}

#[tokio::test]
async fn events_need_a_server_that_has_them() {
    let fake =
        Fake::new().on("GET /v2/events?plan-format=light", 400, json!({ "message": "Last-Event-ID must be an id" }));
    check(
        &fake.run("events --after x").await,
        "
-- stderr
error: Last-Event-ID must be an id
  at: GET http://fake/v2/events?plan-format=light
-- exit 65
",
    );
    let user = User::default();
    let seen = user.run("http://127.0.0.1:1", "events -f").await;
    assert!(seen.contains("no server answers") && seen.ends_with("-- exit 69\n"), "{seen}");
}

#[tokio::test]
async fn version_needs_no_cluster() {
    let info = json!({ "name": "marathon", "version": "1.11.24", "buildref": "ekiden 0.1.0" });
    let fake = Fake::new().on("GET /v2/info", 200, info);
    check(
        &fake.run("version").await,
        "
-- stdout
ekiden 0.1.0
cluster ekiden 0.1.0, as Marathon 1.11.24
-- exit 0
",
    );
    check(
        &Fake::new().run("version").await,
        "
-- stdout
ekiden 0.1.0
-- stderr
no server answers at http://fake
-- exit 0
",
    );
}

#[tokio::test]
async fn completions_know_the_verbs() {
    let script = Fake::new().run("completions bash").await;
    assert!(script.contains("deployment") && script.contains("--fail-fast") && script.ends_with("-- exit 0\n"));
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let fake = Fake::new().on("GET /v2/tasks", 200, json!({ "tasks": [task(1)] }));
    check(&fake.run_into(Box::new(Closed), "task list").await, "-- exit 0\n");
}

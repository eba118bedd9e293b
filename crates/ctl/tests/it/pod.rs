//! What a user sees of pods.

use crate::fake::wire::*;
use crate::fake::{Fake, User, check, check_started};
use serde_json::json;

#[tokio::test]
async fn pods_are_listed_and_shown() {
    let mut sick = pod_status(
        "/demo/pod",
        "DEGRADED",
        2,
        &[pod_instance(1, "STABLE", "true"), pod_instance(2, "DEGRADED", "false")],
    );
    sick["terminationHistory"] = json!([{
        "instanceID": instance_id(9), "startedAt": V2, "terminatedAt": V2, "message": "web: exit code 1\u{1b}[2J", "containers": [],
    }]);
    let other = pod_status("/demo/off", "STABLE", 0, &[]);
    let fake = Fake::new()
        .on("GET /v2/pods::status", 200, json!([other, sick]))
        .on("GET /v2/pods/demo/pod::status", 200, &sick)
        .on("GET /v2/pods/demo/off::status", 200, &other)
        .on("GET /v2/pods/demo/pod", 200, json!({ "id": "/demo/pod", "later": 1 }))
        .on("GET /v2/pods/none", 404, json!({ "message": "Pod '/none' does not exist" }));
    check(
        &fake.run("pod list").await,
        "
-- stdout
ID         STABLE  IMAGES           STATUS     VERSION
/demo/off     0/0  ekiden-demo:1,-  Suspended  5m
/demo/pod     1/2  ekiden-demo:1,-  Degraded   5m
-- exit 0
",
    );
    check(
        &fake.run("pod list nothing").await,
        "
-- stderr
There are no pods. `ekiden pod add FILE` makes one.
-- exit 0
",
    );
    check(
        &fake.run("pod show demo/pod").await,
        r"
-- stdout
/demo/pod  Degraded  1/2 stable
  container    web  ekiden-demo:1  0.1 cpus, 32M  http:8080
  container    side  ship  0.1 cpus, 16M
  network      container/bridge
  version      2026-11-21T05:19:52.000Z (5m ago)
  labels       team=demo
  ended        12s ago: web: exit code 1\u{1b}[2J

ID            NODE  STATUS    SINCE  ADDRESS
00000c000001  vm-1  Stable    5m     172.17.0.1
00000c000002  vm-1  Degraded  5m     172.17.0.2
-- exit 0
",
    );
    check(
        &fake.run("pod show demo/pod -o json").await,
        r#"
-- stdout
{
  "id": "/demo/pod",
  "later": 1
}
-- exit 0
"#,
    );
    check(
        &fake.run("pod show none -o json").await,
        "
-- stderr
error: Pod '/none' does not exist
  at: GET /v2/pods/none of http://fake
  hint: `ekiden pod list` shows what there is
-- exit 66
",
    );
    check(
        &fake.run("pod status demo/pod").await,
        "
-- stdout
INSTANCE      CONTAINER  NODE  PORTS  STATE    HEALTH     AGE
00000c000001  web        vm-1  31001  Running  healthy    5m
00000c000001  side       vm-1  -      Running  -          5m
00000c000002  web        vm-1  31002  Running  unhealthy  5m
00000c000002  side       vm-1  -      Running  -          5m
-- exit 0
",
    );
    check(
        &fake.run("pod status demo/off").await,
        "
-- stderr
It has no instances; `ekiden queue` says what it waits for, if it does.
-- exit 0
",
    );
}

#[tokio::test]
async fn pods_are_changed() {
    let header = format!("marathon-deployment-id: {ID}");
    let fake = Fake::new()
        .with_header("POST /v2/pods?strict=true", 201, &header, pod("/demo/pod", 1, V1))
        .on("GET /v2/pods/demo/pod", 200, pod("/demo/pod", 1, V1))
        .with_header("PUT /v2/pods/demo/pod", 200, &header, pod("/demo/pod", 1, V1))
        .with_header("PUT /v2/pods/demo/pod?force=true", 200, &header, pod("/demo/pod", 2, V2))
        .with_header("DELETE /v2/pods/demo/pod", 202, &header, "");
    let user = User { stdin: r#"{"id": "/demo/pod"}"#.to_owned(), ..User::default() };
    check_started(&fake.run_as(&user, "pod add --strict").await, "/demo/pod  created");
    check(
        &fake.run_as(&user, "pod update demo/pod").await,
        "
-- stderr
/demo/pod  unchanged
-- exit 0
",
    );
    check_started(&fake.run_as(&user, "marathon pod update --force /demo/pod").await, "/demo/pod  updated");
    check(
        &fake.run("pod remove demo/pod -o json").await,
        r#"
-- stdout
{
  "kind": "Result/v1",
  "result": "started",
  "exitCode": 0,
  "changes": [
    {
      "app": "/demo/pod",
      "change": "removed",
      "deploymentId": "12345678-9abc-8000-8000-000010000000",
      "result": "started"
    }
  ]
}
-- stderr
/demo/pod  removed
-- exit 0
"#,
    );
    check(
        &fake.changes().join("\n"),
        r#"
POST /v2/pods?strict=true {"id": "/demo/pod"}
PUT /v2/pods/demo/pod {"id": "/demo/pod"}
PUT /v2/pods/demo/pod?force=true {"id": "/demo/pod"}
DELETE /v2/pods/demo/pod"#,
    );
    let person = User { stdin: String::new(), ..User::at_terminal() };
    check(
        &fake.run_as(&person, "pod update demo/pod").await,
        "
-- stderr
error: nothing to change was given
  hint: write key=value, name a --file, or pipe JSON to stdin
-- exit 64
",
    );
}

#[tokio::test]
async fn instances_of_a_pod_are_killed_by_the_end_of_their_name() {
    let two =
        pod_status("/demo/pod", "STABLE", 2, &[pod_instance(1, "STABLE", "true"), pod_instance(2, "STABLE", "true")]);
    let killed = |n: u32| {
        json!({
            "instanceId": instance_id(n), "runSpecVersion": V1, "unreachableStrategy": "disabled",
            "state": { "condition": "Killing", "since": V1, "goal": "Decommissioned" },
        })
    };
    let fake = Fake::new()
        .on("GET /v2/pods/demo/pod::status", 200, two)
        .on("DELETE /v2/pods/demo/pod::instances", 200, json!([killed(1), killed(2)]))
        .on("DELETE /v2/pods/demo/pod::instances?wipe=true", 200, json!([killed(2)]));
    check(
        &fake.run("pod kill demo/pod").await,
        "
-- stdout
demo_pod.marathon-12345678-9abc-8000-8000-00000c000001
demo_pod.marathon-12345678-9abc-8000-8000-00000c000002
-- stderr
killed 2 instances
-- exit 0
",
    );
    check(
        &fake.run("pod kill demo/pod 0c000002 --wipe").await,
        "
-- stdout
demo_pod.marathon-12345678-9abc-8000-8000-00000c000002
-- stderr
killed 1 instance
-- exit 0
",
    );
    check(
        &fake.run("pod kill demo/pod nobody").await,
        "
-- stderr
error: /demo/pod has no instance `nobody`
  hint: `ekiden pod show /demo/pod` shows what there is
-- exit 66
",
    );
    check(
        &fake.changes().join("\n"),
        r#"
DELETE /v2/pods/demo/pod::instances ["demo_pod.marathon-12345678-9abc-8000-8000-00000c000001","demo_pod.marathon-12345678-9abc-8000-8000-00000c000002"]
DELETE /v2/pods/demo/pod::instances?wipe=true ["demo_pod.marathon-12345678-9abc-8000-8000-00000c000002"]"#,
    );
    let no = User { stdin: "n\n".to_owned(), ..User::at_terminal() };
    check(
        &fake.run_as(&no, "pod kill demo/pod").await,
        "
-- stderr
Kill all instances of /demo/pod? [y/N] error: nothing was done
  hint: `--yes` asks no questions
-- exit 130
",
    );
}

#[tokio::test]
async fn pod_versions_say_which_is_current() {
    let fake = Fake::new()
        .on("GET /v2/pods/demo/pod::versions", 200, json!([V2, V1]))
        .on("GET /v2/pods/demo/pod", 200, pod("/demo/pod", 2, V2))
        .on(&format!("GET /v2/pods/demo/pod::versions/{V2}"), 200, pod("/demo/pod", 2, V2))
        .on(&format!("GET /v2/pods/demo/pod::versions/{V1}"), 200, pod("/demo/pod", 1, V1));
    check(
        &fake.run("pod versions demo/pod").await,
        "
-- stdout
VERSION                   AGE  INSTANCES  IMAGES
2026-11-21T05:24:40.000Z  12s          2  ekiden-demo:1,-  current
2026-11-21T05:19:52.000Z   5m          1  ekiden-demo:1,-
-- exit 0
",
    );
    check(
        &fake.run("pod versions demo/pod --limit 1 -o json").await,
        r#"
-- stdout
[
  "2026-11-21T05:24:40.000Z"
]
-- exit 0
"#,
    );
}

#[tokio::test]
async fn a_pods_deployment_is_watched() {
    let mut running = deployment("running", 1, 0, &[]);
    running["changes"][0]["app"] = json!("/demo/pod");
    let mut done = deployment("succeeded", 2, 0, &[]);
    done["changes"][0]["app"] = json!("/demo/pod");
    let two =
        pod_status("/demo/pod", "STABLE", 2, &[pod_instance(1, "STABLE", "true"), pod_instance(2, "STABLE", "true")]);
    let fake = Fake::new()
        .on("GET /v2/apps/demo/pod", 404, json!({ "message": "App '/demo/pod' does not exist" }))
        .on("GET /v2/pods/demo/pod::status", 200, two)
        .on(&format!("GET /v3/deployments/{ID}"), 200, running)
        .on(&format!("GET /v3/deployments/{ID}"), 200, done);
    check(
        &fake.run(&format!("deployment watch {ID}")).await,
        "
-- stderr
05:24:52Z  1/3 healthy
05:24:52Z  2/2 healthy
✓ /demo/pod is live  2/2 healthy  0.0 s
-- exit 0
",
    );
}

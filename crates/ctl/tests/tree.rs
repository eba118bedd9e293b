//! What a user sees of groups and pods: stdout, stderr and exit code, whole.

mod fake;

use fake::wire::*;
use fake::{Fake, User, check};
use serde_json::{Value, json};

/// A pod's definition, as a server prints it.
fn pod(id: &str, instances: u32, version: &str) -> Value {
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
fn instance_id(n: u32) -> String {
    format!("demo_pod.marathon-12345678-9abc-8000-8000-00000c00000{n}")
}

fn instance(n: u32, status: &str, healthy: &str) -> Value {
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

fn status(id: &str, word: &str, wanted: u32, instances: &[Value]) -> Value {
    json!({
        "id": id, "spec": pod(id, wanted, V1), "status": word, "statusSince": V1, "instances": instances,
        "terminationHistory": [], "lastUpdated": V2, "lastChanged": V1,
    })
}

#[tokio::test]
async fn pods_are_listed_and_shown() {
    let mut sick =
        status("/demo/pod", "DEGRADED", 2, &[instance(1, "STABLE", "true"), instance(2, "DEGRADED", "false")]);
    sick["terminationHistory"] = json!([{
        "instanceID": instance_id(9), "startedAt": V2, "terminatedAt": V2, "message": "web: exit code 1\u{1b}[2J", "containers": [],
    }]);
    let other = status("/demo/off", "STABLE", 0, &[]);
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
    check(
        &fake.run_as(&user, "pod add --strict").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/pod  created
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    check(
        &fake.run_as(&user, "pod update demo/pod").await,
        "
-- stderr
/demo/pod  unchanged
-- exit 0
",
    );
    check(
        &fake.run_as(&user, "marathon pod update --force /demo/pod").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo/pod  updated
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
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
    let two = status("/demo/pod", "STABLE", 2, &[instance(1, "STABLE", "true"), instance(2, "STABLE", "true")]);
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
    let two = status("/demo/pod", "STABLE", 2, &[instance(1, "STABLE", "true"), instance(2, "STABLE", "true")]);
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

/// The tree that groups are shown from.
fn group(id: &str) -> Value {
    json!({
        "id": id, "version": V2, "dependencies": ["/db"],
        "apps": [serving("/demo/web", 3, 2, V1)],
        "pods": [status("/demo/pod", "STABLE", 1, &[instance(1, "STABLE", "true")])],
        "groups": [{ "id": "/demo/inner", "version": V2, "apps": [app("/demo/inner/off", 0, V1)], "groups": [], "pods": [] }],
    })
}

const EMBED: &str =
    "embed=group.groups&embed=group.apps&embed=group.apps.counts&embed=group.apps.deployments&embed=group.pods";

#[tokio::test]
async fn groups_are_listed_and_shown() {
    let root = json!({ "id": "/", "version": V2, "apps": [], "pods": [], "groups": [group("/demo")] });
    let bare = json!({ "id": "/", "groups": [{ "id": "/a", "groups": [{ "id": "/a/b", "later": 1 }] }] });
    let fake = Fake::new()
        .once(&format!("GET /v2/groups?{EMBED}"), 200, root)
        .on(&format!("GET /v2/groups?{EMBED}"), 200, bare)
        .on(&format!("GET /v2/groups/demo?{EMBED}"), 200, group("/demo"))
        .on(&format!("GET /v2/groups/demo/versions/{V1}"), 200, json!({ "id": "/demo" }))
        .on(&format!("GET /v2/groups/none?{EMBED}"), 404, json!({ "message": "Group '/none' does not exist" }));
    check(
        &fake.run("group list").await,
        "
-- stdout
ID           APPS  PODS  RUNNING  VERSION
/               2     1      4/4  12s
/demo           2     1      4/4  12s
/demo/inner     1     0      0/0  12s
-- exit 0
",
    );
    check(
        &fake.run("group list -o json").await,
        r#"
-- stdout
[
  {
    "id": "/"
  },
  {
    "id": "/a"
  },
  {
    "id": "/a/b",
    "later": 1
  }
]
-- exit 0
"#,
    );
    check(
        &fake.run("group show demo").await,
        "
-- stdout
/demo  version 2026-11-21T05:24:40.000Z (12s ago)  depends on /db
ID               KIND  RUNNING  STATUS     VERSION
/demo/web        app       3/3  Degraded   5m
/demo/pod        pod       1/1  Stable     5m
/demo/inner/off  app       0/0  Suspended  5m
-- exit 0
",
    );
    check(
        &fake.run(&format!("group show demo --group-version={V1}")).await,
        r#"
-- stdout
{
  "id": "/demo"
}
-- exit 0
"#,
    );
    check(&fake.run("group show none").await, "
-- stderr
error: Group '/none' does not exist
  at: GET /v2/groups/none?embed=group.groups&embed=group.apps&embed=group.apps.counts&embed=group.apps.deployments&embed=group.pods of http://fake
-- exit 66
");
}

#[tokio::test]
async fn groups_are_changed() {
    let steps = json!({ "steps": [
        { "actions": [{ "action": "StopPod", "pod": "/demo/pod" }] },
        { "actions": [{ "action": "ScaleApplication", "app": "/demo/web" }, { "action": "RestartApplication", "app": "/demo/db" }] },
    ] });
    let fake = Fake::new()
        .on("POST /v2/groups?force=true", 201, accepted(V2))
        .on("POST /v2/groups/demo", 201, accepted(V2))
        .on("GET /v2/groups/demo", 200, group("/demo"))
        .on("PUT /v2/groups/demo", 200, accepted(V2))
        .on("PUT /v2/groups/demo?dryRun=true", 200, steps)
        .on("DELETE /v2/groups/demo?force=true", 200, accepted(V2));
    let file = User { stdin: r#"{"id": "demo", "apps": []}"#.to_owned(), ..User::default() };
    let nameless = User { stdin: r#"{"apps": []}"#.to_owned(), ..User::default() };
    check(
        &fake.run_as(&file, "marathon group add --force").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo  created
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    check(
        &fake.run_as(&nameless, "group add --id /demo -q").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- exit 0
",
    );
    check(
        &fake.run_as(&nameless, "group add").await,
        r#"
-- stderr
error: the group has no id
  at: stdin
  hint: a group looks like {"id": "/demo", "apps": […]}; --id names it too
-- exit 65
"#,
    );
    check(
        &fake.run_as(&nameless, "group update /demo").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
/demo  updated
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    check(
        &fake.run(r#"group update /demo dependencies=["/db","/x"] -q"#).await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- exit 0
",
    );
    check(
        &fake.run_as(&nameless, "group update /demo --dry-run").await,
        "
-- stdout
STEP  ACTION              ID
   1  StopPod             /demo/pod
   2  ScaleApplication    /demo/web
   2  RestartApplication  /demo/db
-- exit 0
",
    );
    check(
        &fake.run("group scale /demo 1.5 -q").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- exit 0
",
    );
    check(
        &fake.run("group scale /demo 2 -o json").await,
        r#"
-- stdout
{
  "kind": "Result/v1",
  "result": "started",
  "exitCode": 0,
  "changes": [
    {
      "app": "/demo",
      "change": "scaled",
      "version": "2026-11-21T05:24:40.000Z",
      "deploymentId": "12345678-9abc-8000-8000-000010000000",
      "result": "started"
    }
  ]
}
-- stderr
/demo  scaled
-- exit 0
"#,
    );
    check(
        &fake.run("group remove /demo --force -q").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- exit 0
",
    );
    check(
        &fake.changes().join("\n"),
        r#"
POST /v2/groups?force=true {"id": "demo", "apps": []}
POST /v2/groups/demo {"apps": []}
PUT /v2/groups/demo {"apps": []}
PUT /v2/groups/demo {"dependencies":["/db","/x"]}
PUT /v2/groups/demo?dryRun=true {"apps": []}
PUT /v2/groups/demo {"scaleBy":1.5}
PUT /v2/groups/demo {"scaleBy":2}
DELETE /v2/groups/demo?force=true"#,
    );
}

#[tokio::test]
async fn a_group_under_deployment_is_locked() {
    let locked = json!({ "message": "App is locked", "deployments": [{ "id": ID }] });
    let fake = Fake::new().on("DELETE /v2/groups/demo", 409, locked);
    check(&fake.run("group remove /demo").await, "
-- stderr
error: the app is locked by a deployment that is under way
  at: DELETE /v2/groups/demo of http://fake
  deployment 12345678-9abc-8000-8000-000010000000
  hint: `ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it, `ekiden deployment rollback 12345678-9abc-8000-8000-000010000000` takes it back, --force takes over from it
-- exit 6
");
    let no = User { stdin: "n\n".to_owned(), ..User::at_terminal() };
    check(
        &fake.run_as(&no, "group scale /demo 0").await,
        "
-- stderr
Stop all instances of all apps in /demo? [y/N] error: nothing was done
  hint: `--yes` asks no questions
-- exit 130
",
    );
}

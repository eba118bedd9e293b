//! What a user sees of groups.

use crate::fake::wire::*;
use crate::fake::{Fake, User, check, check_started};
use serde_json::{Value, json};

/// The tree that groups are shown from.
fn group(id: &str) -> Value {
    json!({
        "id": id, "version": V2, "dependencies": ["/db"],
        "apps": [serving("/demo/web", 3, 2, V1)],
        "pods": [pod_status("/demo/pod", "STABLE", 1, &[pod_instance(1, "STABLE", "true")])],
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
  hint: `ekiden group list` shows what there is
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
    check_started(&fake.run_as(&file, "marathon group add --force").await, "/demo  created");
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
    check_started(&fake.run_as(&nameless, "group update /demo").await, "/demo  updated");
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
error: locked by a deployment that is under way
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

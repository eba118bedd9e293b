//! Each exit code of `docs/cli.md`, by what leads to it; and what is said besides.

use crate::fake::wire::*;
use crate::fake::{Fake, User, check};
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::Duration;

/// A file with the demo's app.
fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(content.as_bytes()).expect("a disk with room");
    file
}

/// Deploys an app of this content; its file is called `web.json` in what is seen.
async fn deploy(fake: &Fake, user: &User, content: &str, options: &str) -> String {
    let file = file(content);
    let path = file.path().to_str().expect("UTF-8");
    fake.run_as(user, &format!("deploy {path} {options}")).await.replace(path, "web.json")
}

const WEB: &str = r#"{"id": "/demo/web", "instances": 3}"#;

/// A cluster that takes the update of the demo's app, and whose deployment then looks like this.
fn updating(looks: Vec<Value>) -> Fake {
    let mut fake = Fake::new()
        .once("GET /v2/apps/demo/web", 200, single(&serving("/demo/web", 2, 2, V1)))
        .on("GET /v2/apps/demo/web", 200, single(&serving("/demo/web", 3, 3, V2)))
        .on("PUT /v2/apps/demo/web?partialUpdate=false", 200, accepted(V2))
        .on("GET /v2/queue", 200, json!({ "queue": [] }));
    for look in looks {
        fake = fake.on(&format!("GET /v3/deployments/{ID}"), 200, look);
    }
    fake
}

#[tokio::test]
async fn exit_0_when_the_deployment_succeeds() {
    let looks = vec![
        deployment("running", 0, 2, &["/demo/web: 1 of its instances are starting"]),
        deployment("running", 1, 2, &[]),
        deployment("running", 3, 0, &[]),
        deployment("succeeded", 3, 0, &[]),
    ];
    check(
        &deploy(&updating(looks.clone()), &User::default(), WEB, "--wait").await,
        "
-- stderr
/demo/web  ~ instances 2 → 3
/demo/web  updated
05:24:52Z  0/3 healthy, 2 old
05:24:52Z  1/3 healthy, 2 old
05:24:52Z  3/3 healthy
✓ /demo/web is live  3/3 healthy  0.0 s
-- exit 0
",
    );
    check(
        &deploy(&updating(looks), &User::default(), WEB, "--wait -o json").await,
        r#"
-- stdout
{
  "kind": "Result/v1",
  "result": "succeeded",
  "exitCode": 0,
  "changes": [
    {
      "app": "/demo/web",
      "change": "updated",
      "version": "2026-11-21T05:24:40.000Z",
      "deploymentId": "12345678-9abc-8000-8000-000010000000",
      "result": "succeeded"
    }
  ],
  "seconds": 0.0
}
-- stderr
/demo/web  ~ instances 2 → 3
/demo/web  updated
05:24:52Z  0/3 healthy, 2 old
05:24:52Z  1/3 healthy, 2 old
05:24:52Z  3/3 healthy
✓ /demo/web is live  3/3 healthy  0.0 s
-- exit 0
"#,
    );
}

#[tokio::test]
async fn exit_0_when_nothing_changes() {
    let fake = || {
        Fake::new().on("GET /v2/apps/demo/web", 200, single(&serving("/demo/web", 3, 3, V1))).on(
            "PUT /v2/apps/demo/web?partialUpdate=false",
            200,
            accepted(V1),
        )
    };
    check(
        &deploy(&fake(), &User::default(), WEB, "--wait").await,
        "
-- stderr
/demo/web  unchanged
-- exit 0
",
    );
    check(
        &deploy(&fake(), &User::default(), WEB, "--wait -o json").await,
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
      "deploymentId": "12345678-9abc-8000-8000-000010000000",
      "result": "unchanged"
    }
  ]
}
-- stderr
/demo/web  unchanged
-- exit 0
"#,
    );
    check(
        &deploy(&fake(), &User::default(), WEB, "").await,
        "
-- stderr
/demo/web  unchanged
-- exit 0
",
    );
}

#[tokio::test]
async fn exit_0_when_an_app_is_created_among_many() {
    let fake = Fake::new()
        .once("GET /v2/apps/demo/web", 404, json!({ "message": "App '/demo/web' does not exist" }))
        .on("GET /v2/apps/demo/web", 200, single(&serving("/demo/web", 3, 3, V2)))
        .on("GET /v2/apps/demo/db", 200, single(&app("/demo/db", 1, V1)))
        .with_header(
            "PUT /v2/apps?partialUpdate=false",
            200,
            "x-ekiden-warnings: /instnaces: unknown field, it has no effect; did you mean 'instances'?",
            accepted(V2),
        );
    let content = r#"[{"id": "/demo/web"}, {"id": "demo/db"}]"#;
    check(
        &deploy(&fake, &User::default(), content, "").await,
        "
-- stdout
12345678-9abc-8000-8000-000010000000
-- stderr
warning: /instnaces: unknown field, it has no effect; did you mean 'instances'?
/demo/web  created
/demo/db  unchanged
`ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it
-- exit 0
",
    );
    check(
        &fake.changes().join("\n"),
        r#"
PUT /v2/apps?partialUpdate=false [{"id": "/demo/web"}, {"id": "demo/db"}]"#,
    );
}

#[tokio::test]
async fn exit_1_when_the_answer_makes_no_sense() {
    let fake = Fake::new().on("GET /v2/tasks", 200, "<html>");
    check(
        &fake.run("task list").await,
        "
-- stderr
error: the answer is not what was expected: expected value at line 1 column 1
  at: GET /v2/tasks of http://fake
  hint: is this an Ekiden server, of the version of `ekiden version`?
-- exit 1
",
    );
    let fake = Fake::new().on("GET /v2/tasks", 500, json!({ "message": "a defect" }));
    check(
        &fake.run("task list").await,
        "
-- stderr
error: a defect
  at: GET /v2/tasks of http://fake
  status 500 Internal Server Error
-- exit 1
",
    );
}

#[tokio::test]
async fn exit_3_when_an_instance_fails_and_nobody_wants_to_wait() {
    let mut app = serving("/demo/web", 3, 0, V2);
    app["lastTaskFailure"] = json!({
        "appId": "/demo/web", "host": "vm-2", "message": "no such image: ekiden-demo:9", "state": "TASK_FAILED",
        "taskId": "demo_web.x", "timestamp": V2, "version": V2,
    });
    let fake = Fake::new().on(&format!("GET /v3/deployments/{ID}"), 200, deployment("running", 0, 2, &[])).on(
        "GET /v2/apps/demo/web",
        200,
        single(&app),
    );
    check(&fake.run(&format!("deployment watch {ID} --fail-fast")).await, "
-- stderr
05:24:52Z  0/3 healthy, 2 old
error: /demo/web: an instance failed; the deployment goes on and tries again
  last seen: /demo/web 0/3 healthy, 2 old
  why: last failure on vm-2: no such image: ekiden-demo:9
  hint: `ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it, `ekiden deployment rollback 12345678-9abc-8000-8000-000010000000` takes it back
-- exit 3
");
}

fn with_evidence(mut deployment: serde_json::Value) -> serde_json::Value {
    deployment["evidence"] = json!([{
        "app": "/demo/web", "task": "demo_web.x", "node": "vm-2", "version": V2, "at": V2,
        "message": "exited with code 3", "exitCode": 3, "outOfMemory": false, "moreLines": 198,
        "health": { "at": V2, "status": 503, "cause": "answered 503 Service Unavailable", "body": "no database\n" },
        "lines": [
            { "at": "2026-11-21T05:24:50.000000001Z", "stream": "stdout", "text": "migrating" },
            { "at": "2026-11-21T05:24:51.5Z", "stream": "stderr", "text": "no such table: \u{1b}[31musers" },
        ],
    }]);
    deployment
}

#[tokio::test]
async fn exit_3_with_the_last_lines_when_the_deployment_failed() {
    let failed = with_evidence(deployment("failed", 0, 2, &["no progress for 10 s; /demo/web: 1 to launch"]));
    check(
        &deploy(&updating(vec![failed.clone()]), &User::default(), WEB, "--wait").await,
        "
-- stderr
/demo/web  ~ instances 2 → 3
/demo/web  updated
05:24:52Z  3/3 healthy
error: /demo/web: the deployment failed
  why: no progress for 10 s; /demo/web: 1 to launch
  last failure of /demo/web on vm-2: exited with code 3
    exit code 3
    last health check: answered 503 Service Unavailable: no database
    last lines of demo_web.x (2 of 200):
      05:24:50  migrating
      05:24:51  no such table: \\u{1b}[31musers
-- exit 3
",
    );
    let mut rolled_back = failed;
    rolled_back["by"] = json!("the-other");
    let said = deploy(&updating(vec![rolled_back.clone()]), &User::default(), WEB, "--wait").await;
    assert!(said.contains("error: /demo/web: the deployment was rolled back\n  by deployment the-other\n"), "{said}");
    assert!(said.contains("05:24:50  migrating\n") && said.ends_with("-- exit 5\n"), "{said}");
    let said = deploy(&updating(vec![rolled_back]), &User::default(), WEB, "--wait -o json").await;
    assert!(said.contains("\"text\": \"migrating\"") && said.contains("\"exitCode\": 5"), "{said}");
}

#[tokio::test]
async fn exit_4_when_the_time_is_over() {
    let reasons = ["/demo/web: 2 to launch; delayed for 12 s more after 3 failures"];
    let fake = updating(vec![deployment("running", 1, 2, &reasons)]);
    check(&deploy(&fake, &User::default(), WEB, "--wait --timeout 0s").await, "
-- stderr
/demo/web  ~ instances 2 → 3
/demo/web  updated
05:24:52Z  1/3 healthy, 2 old
error: /demo/web is not done after 0.0 s; the deployment goes on
  last seen: /demo/web 1/3 healthy, 2 old
  why: 2 to launch; delayed for 12 s more after 3 failures
  hint: `ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it, `ekiden deployment rollback 12345678-9abc-8000-8000-000010000000` takes it back
-- exit 4
");
}

#[tokio::test]
async fn exit_4_too_when_it_is_asked_for_once_more_and_hangs_still() {
    let mut app = serving("/demo/web", 3, 0, V1);
    app["deployments"] = json!([{ "id": ID }]);
    let hangs = deployment("running", 0, 2, &["/demo/web: 3 to launch; no node takes one"]);
    // What the request itself opens has nothing to do and is done at once; it is not the one to wait for.
    let answer = json!({ "version": V1, "deploymentId": "12345678-9abc-8000-8000-0000ff000000" });
    for (change, words) in
        [("PUT /v2/apps/demo/web?partialUpdate=false", "deploy"), ("PUT /v2/apps/demo/web", "app scale /demo/web 3")]
    {
        let fake = Fake::new()
            .on("GET /v2/apps/demo/web", 200, single(&app))
            .on(&format!("GET /v3/deployments/{ID}"), 200, &hangs)
            .on(change, 200, &answer);
        let said = match words {
            "deploy" => deploy(&fake, &User::default(), WEB, "--wait --timeout 0s").await,
            words => fake.run(&format!("{words} --wait --timeout 0s")).await,
        };
        assert!(said.contains("/demo/web  under way already\n"), "{said}");
        assert!(said.contains("why: 3 to launch; no node takes one\n") && said.ends_with("-- exit 4\n"), "{said}");
    }
}

#[tokio::test]
async fn exit_5_when_it_was_rolled_back() {
    let mut ended = deployment("rolledBack", 0, 0, &[]);
    ended["by"] = json!("the-other");
    check(
        &deploy(&updating(vec![ended]), &User::default(), WEB, "--wait -o json").await,
        r#"
-- stdout
{
  "kind": "Result/v1",
  "result": "rolled_back",
  "exitCode": 5,
  "changes": [
    {
      "app": "/demo/web",
      "change": "updated",
      "version": "2026-11-21T05:24:40.000Z",
      "deploymentId": "12345678-9abc-8000-8000-000010000000",
      "result": "rolled_back"
    }
  ],
  "seconds": 0.0
}
-- stderr
/demo/web  ~ instances 2 → 3
/demo/web  updated
05:24:52Z  3/3 healthy
error: /demo/web: the deployment was rolled back
  by deployment the-other
-- exit 5
"#,
    );
}

#[tokio::test]
async fn exit_6_when_the_app_is_locked() {
    let locked = json!({ "message": "App is locked by one or more deployments.", "deployments": [{ "id": ID }] });
    let fake = Fake::new().on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V1))).on(
        "PUT /v2/apps/demo/web",
        409,
        locked,
    );
    check(&fake.run("app scale /demo/web 5").await, "
-- stderr
error: locked by a deployment that is under way
  at: PUT /v2/apps/demo/web of http://fake
  deployment 12345678-9abc-8000-8000-000010000000
  hint: `ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it, `ekiden deployment rollback 12345678-9abc-8000-8000-000010000000` takes it back, --force takes over from it
-- exit 6
");
    let exists = json!({ "message": "An app with id [/demo/web] already exists." });
    let user = User { stdin: WEB.to_owned(), ..User::default() };
    check(
        &Fake::new().on("POST /v2/apps", 409, exists).run_as(&user, "app add").await,
        "
-- stderr
error: An app with id [/demo/web] already exists.
  at: POST /v2/apps of http://fake
  hint: `ekiden deploy` creates an app or changes the one that is there
-- exit 6
",
    );
}

#[tokio::test]
async fn exit_8_when_no_node_takes_it() {
    let reasons = ["/demo/web: 2 to launch; no node takes one: InsufficientMemory on 2"];
    for options in ["--timeout 0s", "--fail-fast"] {
        let fake = Fake::new()
            .on(&format!("GET /v3/deployments/{ID}"), 200, deployment("running", 1, 0, &reasons))
            .on("GET /v2/apps/demo/web", 200, single(&serving("/demo/web", 3, 1, V2)))
            .on("GET /v2/queue", 200, waiting(0, 2, 2));
        check(&fake.run(&format!("deployment watch {ID} {options}")).await, "
-- stderr
05:24:52Z  1/3 healthy
error: /demo/web: no node takes what is wanted; the deployment goes on and waits for room
  last seen: /demo/web 1/3 healthy
  why: 2 to launch; no node takes one: InsufficientMemory on 2
  hint: `ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it, `ekiden deployment rollback 12345678-9abc-8000-8000-000010000000` takes it back
-- exit 8
");
    }
}

#[tokio::test]
async fn exit_9_when_it_was_overtaken_or_cancelled() {
    let mut superseded = deployment("superseded", 0, 0, &[]);
    superseded["by"] = json!("the-other");
    check(
        &deploy(&updating(vec![superseded]), &User::default(), WEB, "--wait").await,
        "
-- stderr
/demo/web  ~ instances 2 → 3
/demo/web  updated
05:24:52Z  3/3 healthy
error: /demo/web: a newer deployment took over
  by deployment the-other
-- exit 9
",
    );
    let cancelled = deployment("cancelled", 0, 0, &[]);
    check(
        &deploy(&updating(vec![cancelled]), &User::default(), WEB, "--wait").await,
        "
-- stderr
/demo/web  ~ instances 2 → 3
/demo/web  updated
05:24:52Z  3/3 healthy
error: /demo/web: the deployment was cancelled
  what it had done by then stays
-- exit 9
",
    );
}

#[tokio::test]
async fn exit_64_when_the_command_line_is_wrong() {
    let fake = Fake::new().on("GET /v2/apps/demo/web", 200, single(&app("/demo/web", 3, V1)));
    check(
        &fake.run("app update /demo/web cpus").await,
        "
-- stderr
error: `cpus` is no KEY=VALUE
  hint: write cpus=0.5 or env.FOO=bar
-- exit 64
",
    );
    check(
        &User::default().run("https://secure", "app list").await,
        "
-- stderr
error: `https://secure` is no server: TLS is not built yet
  hint: write http://host:port, or host:port
-- exit 64
",
    );
}

#[tokio::test]
async fn exit_65_when_the_app_is_invalid() {
    let user = User::default();
    let broken = "{\n  \"id\": \"/demo/web\",\n  \"cpus\": 0.5.\n}";
    check(
        &deploy(&Fake::new(), &user, broken, "").await,
        r#"
-- stderr
error: web.json is not JSON: expected `,` or `}`
  at: web.json:3:14
     3 |   "cpus": 0.5.
       |              ^
-- exit 65
"#,
    );
    check(
        &deploy(&Fake::new(), &user, r#"[{"id": "/a"}, {"cpus": 1}]"#, "").await,
        r#"
-- stderr
error: app 2 of 2 has no id
  at: web.json
  hint: an app looks like {"id": "/demo/web", "container": …}
-- exit 65
"#,
    );
    check(
        &deploy(&Fake::new(), &user, r#"[{"id": "/a"}, {"id": "a/"}]"#, "").await,
        "
-- stderr
error: /a is there twice
  at: web.json
-- exit 65
",
    );
    let bad_id = json!({ "message": "Object is not valid", "details": [{ "path": "/id", "errors": ["no id"] }] });
    let bad_all = json!({ "message": "Object is not valid", "details": [
        { "path": "/id", "errors": ["no id"] }, { "path": "/cpus", "errors": ["error.min"] },
    ] });
    let fake = Fake::new().on("GET /v2/apps/Bad", 422, bad_id).on("PUT /v2/apps/Bad?partialUpdate=false", 422, bad_all);
    check(
        &deploy(&fake, &user, r#"{"id": "/Bad", "cpus": -1}"#, "").await,
        "
-- stderr
error: Object is not valid
  at: web.json (PUT /v2/apps/Bad?partialUpdate=false of http://fake)
  /id: no id
  /cpus: error.min
-- exit 65
",
    );
    let violations = json!({ "message": "Object is not valid", "details": [
        { "path": "/cpus", "errors": ["error.min"] },
        { "path": "/container/portMappings(0)/hostPort", "errors": ["must be at most 65535", "\u{1b}[31mred"] },
    ] });
    let fake = Fake::new().on("GET /v2/apps/demo/web", 404, json!({ "message": "App '/demo/web' does not exist" })).on(
        "PUT /v2/apps/demo/web?partialUpdate=false",
        422,
        violations,
    );
    check(
        &deploy(&fake, &user, WEB, "").await,
        r"
-- stderr
error: Object is not valid
  at: web.json (PUT /v2/apps/demo/web?partialUpdate=false of http://fake)
  /cpus: error.min
  /container/portMappings(0)/hostPort: must be at most 65535
  /container/portMappings(0)/hostPort: \u{1b}[31mred
-- exit 65
",
    );
}

#[tokio::test]
async fn exit_66_when_it_does_not_exist() {
    let fake = Fake::new().on("GET /v2/apps/demo/web", 404, json!({ "message": "App '/demo/web' does not exist" }));
    check(
        &fake.run("app show demo/web").await,
        "
-- stderr
error: App '/demo/web' does not exist
  at: GET /v2/apps/demo/web of http://fake
  hint: `ekiden app list` shows what there is
-- exit 66
",
    );
    check(
        &fake.run("deploy /nowhere/web.json").await,
        "
-- stderr
error: cannot read /nowhere/web.json: No such file or directory (os error 2)
-- exit 66
",
    );
}

#[tokio::test]
async fn exit_69_when_no_server_answers() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seen = User::default().run(&format!("http://{closed}"), "app list").await;
    check(
        &seen.replace(&closed.to_string(), "fake"),
        "
-- stderr
error: no server answers: Connection refused (os error 111)
  at: GET /v2/apps of http://fake
  hint: is Ekiden running at http://fake? Name another server with --url or EKIDEN_URL
-- exit 69
",
    );
    let fake = Fake::new().on("GET /v2/tasks", 502, json!({ "message": "Could not determine the current leader" }));
    check(
        &fake.run("task list").await,
        "
-- stderr
error: Could not determine the current leader
  at: GET /v2/tasks of http://fake
  hint: the cluster has no leader now; try again in some seconds
-- exit 69
",
    );
}

#[tokio::test]
async fn exit_75_when_it_may_go_later() {
    let fake =
        Fake::new().with_header("GET /v2/tasks", 503, "Retry-After: 2", json!({ "message": "too many requests" }));
    check(
        &fake.run("task list").await,
        "
-- stderr
error: too many requests
  at: GET /v2/tasks of http://fake
  hint: try again in 2 s
-- exit 75
",
    );
}

#[tokio::test]
async fn exit_130_when_the_user_interrupts() {
    let user = User { interrupts_after: Some(Duration::from_millis(200)), ..User::default() };
    let fake = updating(vec![deployment("running", 1, 2, &[])]);
    check(&deploy(&fake, &user, WEB, "--wait").await, "
-- stderr
/demo/web  ~ instances 2 → 3
/demo/web  updated
05:24:52Z  1/3 healthy, 2 old
error: interrupted; the deployment goes on
  hint: `ekiden deployment watch 12345678-9abc-8000-8000-000010000000` follows it, `ekiden deployment rollback 12345678-9abc-8000-8000-000010000000` takes it back
-- exit 130
");
}

#[tokio::test]
async fn the_second_server_is_asked_when_the_first_is_down() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fake = Fake::new().on("GET /v2/tasks", 200, json!({ "tasks": [] }));
    let seen = User::default().run(&format!("http://{closed},{}", fake.url()), "task list").await;
    check(
        &seen,
        "
-- stderr
There are no tasks.
-- exit 0
",
    );
}

#[tokio::test]
async fn a_leaderless_moment_does_not_end_the_watch() {
    let path = format!("GET /v3/deployments/{ID}");
    let fake = Fake::new()
        .once(&path, 503, json!({ "message": "no leader" }))
        .once(&path, 502, json!({ "message": "Could not determine the current leader" }))
        .on(&path, 200, deployment("succeeded", 3, 0, &[]))
        .on("GET /v2/apps/demo/web", 200, single(&serving("/demo/web", 3, 3, V2)));
    check(
        &fake.run(&format!("deployment watch {ID}")).await,
        "
-- stderr
05:24:52Z  3/3 healthy
✓ /demo/web is live  3/3 healthy  0.0 s
-- exit 0
",
    );
}

#[tokio::test]
async fn a_silent_job_has_a_heartbeat() {
    let user = User {
        heartbeat: Some(Duration::from_millis(20)),
        interrupts_after: Some(Duration::from_millis(500)),
        ..User::default()
    };
    let reasons = ["/demo/web: 2 to launch; delayed for 12 s more after 3 failures"];
    let fake = updating(vec![deployment("running", 1, 2, &reasons)]);
    let seen = deploy(&fake, &user, WEB, "--wait").await;
    assert!(seen.contains("05:24:52Z  still 1/3 healthy, 2 old  (0.0 s)"), "{seen}");
    assert_eq!(seen.matches("waits: 2 to launch").count(), 1, "{seen}");
}

#[tokio::test]
async fn a_terminal_is_drawn_over() {
    let looks = vec![deployment("running", 1, 2, &["/demo/web: waits"]), deployment("succeeded", 3, 0, &[])];
    let seen = deploy(&updating(looks), &User::at_terminal(), WEB, "--wait").await;
    check(
        &seen.replace('\x1b', "^").replace('\r', "<"),
        "
-- stderr
/demo/web  ~ instances 2 → 3
/demo/web  updated
^[2K1/3 healthy, 2 old  (0.0 s)
^[2K  waits
^[J^[2A<^[J✓ /demo/web is live  3/3 healthy  0.0 s
-- exit 0
",
    );
}

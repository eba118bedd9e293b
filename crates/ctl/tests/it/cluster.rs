//! What a user sees of the cluster: nodes, the leader, versions.

use crate::fake::{Fake, User, check};
use serde_json::json;

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
async fn orphans_are_listed_and_removed_by_the_ends_of_their_ids() {
    let orphan = |n: u32, removing: bool| {
        json!({
            "id": format!("12345678-9abc-8000-8000-00000c00000{n}"), "node": "vm-1", "app": "/demo/web",
            "madeBy": "vm-9", "running": true, "reason": "its node was forgotten", "removing": removing,
            "since": "2026-11-21T05:20:00.000Z",
        })
    };
    let fake = Fake::new().on("GET /v3/orphans", 200, json!({ "orphans": [orphan(1, false), orphan(2, true)] })).on(
        "DELETE /v3/orphans/12345678-9abc-8000-8000-00000c000001",
        204,
        "",
    );
    check(
        &fake.run("orphan list").await,
        "
-- stdout
ID                                    APP        NODE  STATUS    SINCE                     WHY
12345678-9abc-8000-8000-00000c000001  /demo/web  vm-1  running   2026-11-21T05:20:00.000Z  its node was forgotten
12345678-9abc-8000-8000-00000c000002  /demo/web  vm-1  removing  2026-11-21T05:20:00.000Z  its node was forgotten
-- exit 0
",
    );
    check(
        &fake.run("orphan remove c000001").await,
        "
-- stderr
12345678-9abc-8000-8000-00000c000001 is ended and removed by its node's agent
-- exit 0
",
    );
    let unknown = fake.run("orphan remove c000009").await;
    check(
        &unknown,
        "
-- stderr
error: there is no orphan `c000009`
  hint: `ekiden orphan list` shows which there are
-- exit 66
",
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

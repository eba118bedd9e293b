//! What a user sees of what waits: `queue`, `delay`, `debug`.

use crate::fake::wire::*;
use crate::fake::{Fake, check};
use serde_json::json;

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

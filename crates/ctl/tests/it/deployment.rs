//! What a user sees of deployments.

use crate::fake::wire::*;
use crate::fake::{Fake, check};
use serde_json::json;

#[tokio::test]
async fn deployments_are_remembered() {
    let mut empty = deployment("succeeded", 0, 0, &[]);
    empty["changes"] = json!([]);
    let fake = Fake::new()
        .on("GET /v3/deployments", 200, json!({ "deployments": [empty, deployment("running", 1, 2, &[])] }))
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
12345678-9abc-8000-8000-000010000000  succeeded  12s  -
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

//! A group of apps that depend on each other: in order, with an end in any case, and touching nothing needlessly.

use crate::harness::app::{with, with_image};
use crate::harness::cluster::{Cluster, list, text};
use crate::harness::ekiden::verb;
use crate::harness::wait::figure;
use crate::harness::{Dev, Tool, docker, eventually, have, seconds, web};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// Three layers: two databases, two services on them, two fronts on the services.
const APPS: [(&str, &[&str]); 6] = [
    ("/shop/db/main", &[]),
    ("/shop/db/cache", &[]),
    ("/shop/api/orders", &["/shop/db"]),
    ("/shop/api/users", &["/shop/db"]),
    ("/shop/front/web", &["/shop/api"]),
    ("/shop/front/admin", &["/shop/api/users"]),
];

fn app(id: &str, dependencies: &[&str], image: &str) -> Value {
    let ready = json!([{
        "name": "up",
        "portName": "http",
        "path": "/health",
        "intervalSeconds": 2,
        "timeoutSeconds": 1,
    }]);
    let fields = json!({
        "cpus": 0.05,
        "dependencies": dependencies,
        "readinessChecks": ready,
        "labels": { "EKIDEN_DEPLOYMENT_DEADLINE": "8", "EKIDEN_DEPLOYMENT_ROLLBACK": "true" },
    });
    with_image(with(web(id, 1), fields), image)
}

/// The group, with other images for some apps.
fn shop(images: &[(&str, &str)]) -> Value {
    let image = |id: &str| images.iter().find(|it| it.0 == id).map_or("ekiden-demo:1", |it| it.1);
    let apps = |group: &str| -> Vec<Value> {
        let own = APPS.iter().filter(|(id, _)| id.starts_with(&format!("/shop/{group}/")));
        own.map(|(id, dependencies)| app(id, dependencies, image(id))).collect()
    };
    let groups: Vec<Value> =
        ["db", "api", "front"].iter().map(|group| json!({ "id": group, "apps": apps(group) })).collect();
    json!({ "id": "/shop", "groups": groups })
}

/// When each app's container was started, by app.
fn started(cluster: &Cluster) -> BTreeMap<String, (String, String)> {
    let tasks = cluster.get("/v2/tasks");
    let of = |task: &Value| {
        let id = text(&task["id"]);
        let container = id.rsplit_once('.').map_or(id, |it| it.1);
        let started = docker::inspect(container).expect("it runs")["State"]["StartedAt"].take();
        (text(&task["appId"]).to_owned(), (container.to_owned(), text(&started).to_owned()))
    };
    list(&tasks["tasks"]).map(of).collect()
}

#[test]
fn a_group_in_three_layers_is_deployed_in_order_and_a_broken_update_is_taken_back() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let file = dev.scratch.write("shop.json", shop(&[]).to_string());
    let added = verb(&cluster, &["group", "add", &file.display().to_string(), "--wait", "--timeout", "60s"]);
    assert_eq!(added.code, 0, "{added:?}");
    cluster.no_deployments();
    let before = started(&cluster);
    assert_eq!(before.len(), 6, "{before:?}");
    let layer = |n: usize| APPS[2 * n..2 * n + 2].iter().map(|it| &before[it.0].1);
    for n in 0..2 {
        let (last, first) = (layer(n).max(), layer(n + 1).min());
        assert!(last < first, "layer {n} was there before the next one began: {before:?}");
    }
    let again = cluster.send("PUT", "/v2/groups/shop?dryRun=true", &shop(&[]));
    assert_eq!(again.good()["steps"], json!([]), "what is there already is no change");

    // An app in the middle is broken, and one that depends on it has changed as well.
    let broken = shop(&[("/shop/api/users", "ekiden-demo:never-healthy"), ("/shop/front/admin", "ekiden-demo:2")]);
    let steps = cluster.send("PUT", "/v2/groups/shop?dryRun=true", &broken).good();
    let actions: Vec<_> = list(&steps["steps"]).map(|it| text(&it["actions"][0]["app"]).to_owned()).collect();
    assert_eq!(actions, ["/shop/api/users", "/shop/front/admin"]);
    let began = Instant::now();
    let put = cluster.send("PUT", "/v2/groups/shop", &broken).good();
    let deployment = format!("/v3/deployments/{}", text(&put["deploymentId"]));
    let report = eventually("the deployment fails", seconds(60), || {
        let report = cluster.get(&deployment);
        if report["status"] == "failed" { Ok(report) } else { Err(report) }
    });
    figure("broken update of a group failed after", format!("{:?}", began.elapsed()));
    let why = report["waiting"][0].as_str().expect("a reason");
    assert!(why.starts_with("no progress for 8 s; /shop/api/users: "), "{why}");
    assert!(report["by"].is_string(), "it is rolled back: {report}");
    cluster.no_deployments();
    assert_eq!(started(&cluster), before, "not one of the six containers was touched");
    for (app, _) in APPS {
        assert_eq!(cluster.app(app)["container"]["docker"]["image"], "ekiden-demo:1", "{app}");
    }
    let removed = verb(&cluster, &["group", "remove", "/shop", "--wait", "--timeout", "60s"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    assert_eq!(cluster.get("/v2/groups")["groups"], json!([]));
}

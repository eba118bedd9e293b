//! Groups: read, made, changed, scaled, restored, removed.

use super::world::{World, app};
use crate::v2;
use serde_json::{Value, json};

/// An app inside a group, with an id relative to it.
fn inner(id: &str, instances: u32) -> Value {
    json!({ "id": id, "instances": instances, "cpus": 0.1, "mem": 16, "container": { "docker": { "image": "x:1" } } })
}

fn shop() -> Value {
    json!({
        "id": "/shop",
        "dependencies": ["/base"],
        "groups": [
            { "id": "db", "apps": [inner("mongo", 1)] },
            { "id": "service", "dependencies": ["../db"], "apps": [inner("web", 2), inner("/shop/service/api", 1)] },
        ],
    })
}

async fn get(world: &World, path: &str) -> Value {
    let answer = world.ask(&format!("GET /v2/groups{path}"), Value::Null).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_group_is_made_with_all_that_is_in_it() {
    let world = World::new();
    let made = world.ask("POST /v2/groups", shop()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("location"), "http://ekiden:8080/v2/groups/shop");
    assert_eq!(made.json()["deploymentId"], made.header("marathon-deployment-id"));
    let deployments = world.ask("GET /v2/deployments", Value::Null).await.json();
    let steps: Vec<Vec<&str>> = deployments[0]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["actions"].as_array().unwrap().iter().map(|it| it["app"].as_str().unwrap()).collect())
        .collect();
    let all = vec!["/shop/db/mongo", "/shop/service/api", "/shop/service/web"];
    assert_eq!(steps, [all, vec!["/shop/db/mongo"], vec!["/shop/service/api", "/shop/service/web"]]);
    world.fake.settle();

    let root = get(&world, "").await;
    assert_eq!((&root["id"], &root["apps"], &root["pods"]), (&json!("/"), &json!([]), &json!([])));
    assert_eq!(root["version"], made.json()["version"]);
    let group = &root["groups"][0];
    assert_eq!((&group["id"], &group["dependencies"]), (&json!("/shop"), &json!(["/base"])));
    assert_eq!(ids(&group["groups"]), ["/shop/db", "/shop/service"]);
    assert_eq!(group["groups"][1]["dependencies"], json!(["/shop/db"]));
    assert_eq!(ids(&group["groups"][1]["apps"]), ["/shop/service/api", "/shop/service/web"]);
    assert_eq!(get(&world, "/shop").await, *group);
    assert_eq!(get(&world, "//shop/").await, *group);
    let typed: v2::GroupInfo = serde_json::from_value(root.clone()).unwrap();
    assert_eq!(typed.groups.unwrap()[0].groups.as_ref().unwrap()[1].apps.as_ref().unwrap().len(), 2);

    let again = world.ask("POST /v2/groups", shop()).await;
    let message = "Group /shop is already created. Use PUT to change this group.";
    assert_eq!((again.status, again.json()["message"].as_str()), (409, Some(message)));
    world.run(app("/single", 0)).await;
    let taken = world.ask("POST /v2/groups", json!({ "id": "/single" })).await;
    let message = "An app with the path /single already exists.";
    assert_eq!((taken.status, taken.json()["message"].as_str()), (409, Some(message)));
    for line in
        ["GET /v2/groups/none", "DELETE /v2/groups/none", "GET /v2/groups/none/apps", "GET /v2/groups/none/versions"]
    {
        let unknown = world.ask(line, Value::Null).await;
        assert_eq!(
            (unknown.status, unknown.json()),
            (404, json!({ "message": "Group '/none' does not exist" })),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_group_inside_the_one_of_the_path() {
    let world = World::new();
    let made = world.ask("POST /v2/groups/shop", json!({ "id": "db", "apps": [inner("mongo", 0)] })).await;
    assert_eq!((made.status, made.header("location")), (201, "http://ekiden:8080/v2/groups/shop/db"), "{}", made.text);
    assert_eq!(ids(&get(&world, "/shop/db").await["apps"]), ["/shop/db/mongo"]);
    assert_eq!(get(&world, "/shop").await["groups"][0]["id"], "/shop/db", "the path is a group too");
    let made = world.ask("POST /v2/groups/other", json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(get(&world, "/other").await["apps"], json!([]));
    let out = world.ask("PUT /v2/groups/shop", json!({ "id": "/other" })).await;
    assert_eq!((out.status, &out.json()["details"][0]["path"]), (422, &json!("/id")));
}

#[tokio::test]
async fn what_is_asked_for_is_embedded() {
    let world = World::new();
    world.ask("POST /v2/groups", shop()).await;
    world.fake.settle();
    let apps = get(&world, "/shop?embed=group.groups").await;
    assert!(apps.get("apps").is_none() && apps.get("pods").is_none(), "{apps}");
    assert_eq!(ids(&apps["groups"]), ["/shop/db", "/shop/service"]);
    let own = get(&world, "/shop/service?embed=group.apps").await;
    assert!(own.get("groups").is_none() && own["apps"][0].get("tasksRunning").is_none(), "{own}");
    assert_eq!(get(&world, "/shop?embed=group.pods").await["pods"], json!([]));
    let line = "/shop/service?embed=group.groups&embed=group.apps&embed=group.apps.deployments&embed=group.apps.counts&embed=group.apps.readiness";
    let seen = get(&world, line).await["apps"][1].clone();
    assert_eq!((&seen["tasksRunning"], &seen["tasksHealthy"]), (&json!(2), &json!(2)));
    assert_eq!((&seen["deployments"], &seen["readinessCheckResults"]), (&json!([]), &json!([])));
    assert!(seen.get("tasks").is_none() && seen.get("taskStats").is_none());
    let tasks = get(&world, "/shop?embed=group.apps.tasks&embed=group.apps.taskStats").await;
    let web = &tasks["groups"][1]["apps"][1];
    assert_eq!(web["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(web["taskStats"]["totalSummary"]["stats"]["counts"]["running"], 2);
    assert!(web.get("tasksRunning").is_none());
    for (path, expect) in [("/shop", 3), ("/shop/db", 1), ("", 3)] {
        let list = get(&world, &format!("{path}/apps?embed=group.apps.counts")).await;
        assert_eq!(list.as_array().unwrap().len(), expect, "{path}");
        assert_eq!(list[0]["tasksRunning"], 1);
    }
}

#[tokio::test]
async fn what_is_given_replaces_and_what_is_not_stays() {
    let world = World::new();
    world.ask("POST /v2/groups", shop()).await;
    world.fake.settle();
    let put = async |body: Value| {
        let answer = world.ask("PUT /v2/groups/shop", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["deploymentId"], answer.header("marathon-deployment-id"));
        world.fake.settle();
        get(&world, "/shop").await
    };
    let before = get(&world, "/shop").await;
    let same = put(json!({ "apps": null, "groups": null, "dependencies": null })).await;
    assert_eq!(same, before);
    let same = put(before.clone()).await;
    assert_eq!(same, before, "what was read, put back, changes nothing");
    let grown = put(json!({ "apps": [inner("lb", 1)] })).await;
    assert_eq!((ids(&grown["apps"]), ids(&grown["groups"])), (vec!["/shop/lb"], vec!["/shop/db", "/shop/service"]));
    let less = put(json!({ "groups": [{ "id": "service", "apps": [inner("web", 2)] }] })).await;
    assert_eq!((ids(&less["apps"]), ids(&less["groups"])), (vec!["/shop/lb"], vec!["/shop/service"]));
    assert_eq!(ids(&less["groups"][0]["apps"]), ["/shop/service/web"]);
    assert_eq!(less["groups"][0]["dependencies"], json!(["/shop/db"]), "not given");
    let bare = put(json!({ "apps": [], "groups": [], "dependencies": [] })).await;
    assert_eq!((&bare["apps"], &bare["groups"], &bare["dependencies"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!(world.ask("GET /v2/apps", Value::Null).await.json(), json!({ "apps": [] }));
}

#[tokio::test]
async fn what_is_removed_changes_the_groups_around_it() {
    let world = World::new();
    world.ask("POST /v2/groups", shop()).await;
    world.fake.settle();
    let read = get(&world, "/shop").await;
    let beside = get(&world, "/shop/db").await;

    let removed = world.ask("DELETE /v2/apps/shop/service/api", Value::Null).await.json()["version"].clone();
    for what in ["while it ends", "when it is gone"] {
        let now = get(&world, "/shop").await;
        assert_eq!((&now["version"], &now["groups"][1]["version"]), (&removed, &removed), "{what}");
        assert_eq!(get(&world, "/shop/db").await, beside, "{what}");
        let stale = world.ask("PUT /v2/groups/shop", read.clone()).await;
        assert_eq!(stale.status, 422, "what was read before is not put back over it {what}: {}", stale.text);
        world.fake.settle();
    }

    let removed = world.ask("DELETE /v2/groups/shop/service", Value::Null).await.json()["version"].clone();
    world.fake.settle();
    assert_eq!(get(&world, "/shop").await["version"], removed, "a group");
    let removed = world.ask("DELETE /v2/groups/shop/db", Value::Null).await.json()["version"].clone();
    world.fake.settle();
    assert_eq!(get(&world, "/shop").await["version"], removed, "the last one");
}

#[tokio::test]
async fn a_dry_run_tells_the_steps_and_does_nothing() {
    let world = World::new();
    world.ask("POST /v2/groups", shop()).await;
    world.fake.settle();
    let before = world.fake.state();
    let body = json!({ "id": "/shop", "groups": [{ "id": "service", "apps": [inner("web", 3)] }] });
    let dry = world.ask("PUT /v2/groups/shop?dryRun=true", body).await;
    assert_eq!(dry.status, 200, "{}", dry.text);
    assert_eq!(
        dry.json(),
        json!({ "steps": [
            { "actions": [
                { "action": "StopApplication", "app": "/shop/db/mongo" },
                { "action": "StopApplication", "app": "/shop/service/api" },
            ] },
            { "actions": [{ "action": "ScaleApplication", "app": "/shop/service/web" }] },
        ] })
    );
    assert_eq!(dry.header("marathon-deployment-id"), "");
    assert_eq!(world.ask("PUT /v2/groups/shop?dryRun=true", json!({})).await.json(), json!({ "steps": [] }));
    let cyclic = json!({ "groups": [{ "id": "db", "dependencies": ["../service"] }, { "id": "service", "dependencies": ["../db"] }] });
    let refused = world.ask("PUT /v2/groups/shop?dryRun=true", cyclic).await;
    let message = "Dependency graph has cyclic dependencies.";
    assert_eq!((refused.status, refused.json()["message"].as_str()), (422, Some(message)));
    assert_eq!(world.fake.state(), before);
}

#[tokio::test]
async fn a_chain_of_dependencies_has_a_limit_that_is_named_also_where_nothing_is_done() {
    let world = World::new();
    let chain = |n: usize| -> Value {
        let app = |n: usize, next: Option<usize>| {
            let dependencies: Vec<String> = next.iter().map(|it| format!("app-{it}")).collect();
            json!({ "id": format!("app-{n}"), "instances": 0, "container": { "docker": { "image": "x" } }, "dependencies": dependencies })
        };
        let apps: Vec<Value> = (0..n).map(|it| app(it, Some(it + 1).filter(|next| *next < n))).collect();
        json!({ "apps": apps })
    };
    let message = "The dependencies of app '/chain/app-0' are a chain of 300 apps that wait for each other, and at most 256 \
                   may: let it, or those that it depends on, depend on fewer.";
    for path in ["PUT /v2/groups/chain?dryRun=true", "PUT /v2/groups/chain"] {
        let refused = world.ask(path, chain(300)).await;
        assert_eq!((refused.status, refused.json()["message"].as_str()), (422, Some(message)), "{path}");
    }
    assert_eq!(world.fake.state().apps().count(), 0, "nothing was changed");
    let taken = world.ask("PUT /v2/groups/chain?dryRun=true", chain(256)).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    // All are known at once, then one comes after the other.
    assert_eq!(taken.json()["steps"].as_array().map(Vec::len), Some(1 + 256));
}

#[tokio::test]
async fn failures_and_events_name_what_they_are_about() {
    use cluster::agent::Seen;
    use cluster::{End, EndKind};
    let world = World::new();
    world.ask("POST /v2/groups", shop()).await;
    world.fake.plan();
    let instance = world.fake.state().instances().next().unwrap().clone();
    let end = End { kind: EndKind::Failed, exit_code: Some(3), message: "exited with code 3".to_owned() };
    world.fake.report(&instance, Seen::Ended(end));
    let read = get(&world, "/shop?embed=group.apps.lastTaskFailure").await;
    let failure = &read["groups"][0]["apps"][0]["lastTaskFailure"];
    assert_eq!((&failure["appId"], &failure["state"]), (&json!("/shop/db/mongo"), &json!("TASK_FAILED")));
    assert!(get(&world, "/shop").await["groups"][0]["apps"][0].get("lastTaskFailure").is_none());

    let state = world.fake.state();
    let deployment = state.deployments().next().unwrap().clone();
    let event = cluster::Event::DeploymentStarted { deployment };
    let told = crate::to_wire::events(&state, &cluster::Principal::Leader, &event, true);
    let v2::EventBody::GroupChangeSuccess { group_id, .. } = &told[0] else { panic!("{told:?}") };
    assert_eq!(group_id, "/shop");
}

#[tokio::test]
async fn a_group_is_scaled_and_restored() {
    let world = World::new();
    world.ask("POST /v2/groups", shop()).await;
    world.fake.settle();
    let first = get(&world, "/shop").await["version"].clone();
    let instances = async || {
        let apps = get(&world, "/shop/apps").await;
        apps.as_array().unwrap().iter().map(|it| it["instances"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    for (factor, expect) in [(json!(1.5), vec![2, 2, 3]), (json!(0), vec![0, 0, 0])] {
        let scaled = world.ask("PUT /v2/groups/shop", json!({ "scaleBy": factor, "apps": null })).await;
        assert_eq!(scaled.status, 200, "{}", scaled.text);
        world.fake.settle();
        assert_eq!(instances().await, expect, "{factor}");
    }
    let versions = get(&world, "/shop/versions").await;
    let listed: Vec<&str> = versions.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!((listed.len(), listed[2]), (3, first.as_str().unwrap()), "newest first");
    assert_eq!(get(&world, "/versions").await, versions);
    let then = get(&world, &format!("/shop/versions/{}", listed[1])).await;
    assert_eq!(then["groups"][1]["apps"][1]["instances"], 3);
    assert_eq!(then["groups"][1]["dependencies"], json!(["/shop/db"]));
    assert_eq!(get(&world, &format!("/versions/{}", listed[1])).await["groups"][0]["id"], "/shop");

    let back = world.ask("PUT /v2/groups/shop", json!({ "version": first })).await;
    assert_eq!(back.status, 200, "{}", back.text);
    world.fake.settle();
    assert_eq!(instances().await, [1, 1, 2]);
    let back = world.ask(&format!("PUT /v2/groups/shop/versions/{}", listed[1]), Value::Null).await;
    assert_eq!(back.status, 200, "{}", back.text);
    world.fake.settle();
    assert_eq!(instances().await, [2, 2, 3]);

    let unknown = "2020-01-01T00:00:00.000Z";
    let gone = world.ask("PUT /v2/groups/shop", json!({ "version": unknown })).await;
    assert_eq!(gone.status, 404, "{}", gone.text);
    let gone = world.ask(&format!("GET /v2/groups/shop/versions/{unknown}"), Value::Null).await;
    let message = format!("Group '/shop' does not exist in version {unknown}");
    assert_eq!((gone.status, gone.json()), (404, json!({ "message": message })));
    assert_eq!(world.ask("GET /v2/groups/versions/now", Value::Null).await.status, 422);
}

#[tokio::test]
async fn a_group_is_removed_with_all_that_is_in_it() {
    let world = World::new();
    world.ask("POST /v2/groups", shop()).await;
    world.run(app("/other", 1)).await;
    let locked = world.ask("DELETE /v2/groups/shop", Value::Null).await;
    assert_eq!(locked.status, 200, "{}", locked.text);
    world.fake.plan();
    let locked = world.ask("PUT /v2/groups/shop", json!({ "scaleBy": 2 })).await;
    assert!(matches!(locked.status, 404 | 409), "{}", locked.text);
    world.fake.settle();
    assert_eq!(world.ask("GET /v2/groups/shop", Value::Null).await.status, 404);
    assert_eq!(ids(&get(&world, "").await["apps"]), ["/other"]);
    let all = world.ask("DELETE /v2/groups?force=true", Value::Null).await;
    assert_eq!(all.status, 200, "{}", all.text);
    world.fake.settle();
    let root = get(&world, "").await;
    assert_eq!((&root["apps"], &root["groups"], &root["version"]), (&json!([]), &json!([]), &all.json()["version"]));
}

#[tokio::test]
async fn a_held_group_is_locked() {
    let world = World::new();
    let made = world.ask("POST /v2/groups", shop()).await;
    let locked = world.ask("PUT /v2/groups/shop", json!({ "scaleBy": 2 })).await;
    assert_eq!(locked.status, 409);
    let locking = &locked.json()["deployments"];
    assert_eq!(locking[0]["id"], json!(made.header("marathon-deployment-id")));
    assert!(locking[0]["waiting"].to_string().contains("wait for those that they depend on"), "{locking}");
    assert_eq!(world.ask("DELETE /v2/groups/shop", Value::Null).await.status, 409);
    assert_eq!(world.ask("PUT /v2/groups/shop?force=true", json!({ "scaleBy": 2 })).await.status, 200);
}

#[tokio::test]
async fn wrong_groups_are_refused_at_their_places() {
    let world = World::new();
    world.ask("POST /v2/groups", shop()).await;
    world.fake.settle();
    let mut single = inner("one", 1);
    single["labels"] = json!({ "MARATHON_SINGLE_INSTANCE_APP": "true" });
    single["upgradeStrategy"] = json!({ "minimumHealthCapacity": 0, "maximumOverCapacity": 0 });
    world.ask("PUT /v2/groups/lone", json!({ "apps": [single] })).await;
    world.fake.settle();
    let before = world.fake.state();
    let wrong = |id: &str| json!({ "id": id, "cpus": -1, "container": { "docker": { "image": "x" } } });
    for (path, body, place, error) in [
        ("", json!({ "id": "/G" }), "/id", "must fully match"),
        ("", json!({ "id": 1 }), "/id", "error.expected.jsstring"),
        ("/g", json!({ "apps": {} }), "/apps", "error.expected.jsarray"),
        ("/g", json!({ "apps": [1] }), "/apps(0)", "error.expected.jsobject"),
        ("/g", json!({ "apps": [{}] }), "/apps(0)/id", "error.path.missing"),
        ("/g", json!({ "apps": [wrong("a")] }), "/apps(0)/cpus", "must be between"),
        (
            "/g",
            json!({ "groups": [{ "id": "h", "apps": [wrong("a")] }] }),
            "/groups(0)/apps(0)/cpus",
            "must be between",
        ),
        (
            "/g",
            json!({ "apps": [inner("/h/a", 1)] }),
            "/apps(0)/id",
            "Identifier is not child of '/g'. Hint: use relative paths.",
        ),
        ("/g", json!({ "groups": [{ "id": "../h" }] }), "/groups(0)/id", "Identifier is not child of '/g'."),
        ("/g", json!({ "groups": [{}] }), "/groups(0)/id", "error.path.missing"),
        ("/g", json!({ "apps": [inner("a", 1), inner("a", 1)] }), "/apps", "'/g/a' is given twice"),
        ("/g", json!({ "groups": [{ "id": "a" }, { "id": "a" }] }), "/groups", "'/g/a' is given twice"),
        ("/g", json!({ "apps": [inner("a", 1)], "groups": [{ "id": "a" }] }), "/", "may not have the same identifier"),
        ("/g", json!({ "dependencies": ["/A"] }), "/dependencies(0)", "must fully match"),
        ("/g", json!({ "dependencies": ["/g"] }), "/dependencies(0)", "must be the path of another"),
        ("/g", json!({ "dependencies": ["/h", "../h"] }), "/dependencies(1)", "'/h' is given twice"),
        ("/g", json!({ "enforceRole": true }), "/enforceRole", "there are no roles"),
        ("/shop", json!({ "scaleBy": -1 }), "/scaleBy", "must be between"),
        ("/shop", json!({ "scaleBy": "2" }), "/scaleBy", "error.expected.jsnumber"),
        ("/shop", json!({ "scaleBy": 90_000 }), "/scaleBy", "would give app '/shop/db/mongo' 90000 instances"),
        ("/lone", json!({ "scaleBy": 2 }), "/scaleBy", "it may have 1"),
        (
            "/shop",
            json!({ "scaleBy": 2, "apps": [] }),
            "/",
            "The 'scaleBy' field may only be combined with the 'id' field.",
        ),
        (
            "/shop",
            json!({ "version": "2020-01-01T00:00:00.000Z", "apps": [] }),
            "/",
            "The 'version' field may only be combined",
        ),
        ("/shop", json!({ "version": "yesterday" }), "/version", "error.expected.jodadate"),
        (
            "/shop",
            json!({ "groups": [{ "id": "db", "scaleBy": 2 }] }),
            "/groups(0)/scaleBy",
            "the group of the request only",
        ),
    ] {
        let answer = world.ask(&format!("PUT /v2/groups{path}"), body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        let details = answer.json()["details"].as_array().unwrap().clone();
        let found = details.iter().any(|it| it["path"] == place && it["errors"].to_string().contains(error));
        assert!(found, "{body}: {place} {error}: {}", answer.text);
    }
    assert_eq!(world.fake.state(), before, "an error changes nothing");
    let patched = world.ask("PATCH /v2/groups/shop", json!({ "enforceRole": false })).await;
    assert_eq!((patched.status, patched.text.as_str()), (200, ""));
    for (path, body, status) in [
        ("/shop", json!({ "enforceRole": true }), 422),
        ("/shop/db", json!({ "enforceRole": false }), 422),
        ("/none", json!({}), 404),
    ] {
        assert_eq!(world.ask(&format!("PATCH /v2/groups{path}"), body).await.status, status, "{path}");
    }
    assert_eq!(world.ask("POST /v2/groups", json!({ "id": "/new", "scaleBy": 2 })).await.status, 422);
    let odd = world.ask("PUT /v2/groups/shop", json!({ "groups": [{ "id": "db", "aps": [] }] })).await;
    assert_eq!(
        odd.header("x-ekiden-warnings"),
        "/groups(0)/aps: unknown field, it has no effect; did you mean 'apps'?"
    );
    let odd = world.ask("PUT /v2/groups/shop?strict=true", json!({ "aps": [] })).await;
    assert_eq!(odd.status, 422);
}

#[tokio::test]
async fn a_group_may_be_longer_than_an_app() {
    let world = World::new();
    let filler = "x".repeat(100_000);
    let apps: Vec<Value> = (0..20)
        .map(|n| {
            let mut app = inner(&format!("a{n}"), 0);
            app["env"] = json!({ "A": filler });
            app
        })
        .collect();
    let answer = world.ask("PUT /v2/groups/large", json!({ "apps": apps })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = world.ask("PUT /v2/groups/large", Value::from(" ".repeat(4 << 20))).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn versions_of_a_group_are_those_in_which_it_was() {
    let world = World::new();
    world.run(app("/x", 1)).await;
    let before = world.ask("POST /v2/apps", app("/y", 1)).await.json()["version"].clone();
    world.fake.settle();
    let before = before.as_str().unwrap();
    world.run(app("/g/a", 1)).await;
    let all = get(&world, "/versions").await;
    let own = get(&world, "/g/versions").await;
    assert_eq!((all.as_array().unwrap().len(), own.as_array().unwrap().len()), (3, 1), "{all} {own}");

    let path = format!("GET /v2/groups/g/versions/{before}");
    assert_eq!(world.ask(&path, Value::Null).await.status, 404);
    for (line, body) in [
        ("PUT /v2/groups/g".to_owned(), json!({ "version": before })),
        ("PUT /v2/groups/g?force=true".to_owned(), json!({ "version": before })),
        (format!("PUT /v2/groups/g/versions/{before}"), Value::Null),
    ] {
        let refused = world.ask(&line, body).await;
        assert_eq!(refused.status, 404, "{line}: {}", refused.text);
        assert!(refused.text.contains("'/g'"), "{}", refused.text);
    }
    assert_eq!(ids(&get(&world, "/g").await["apps"]), ["/g/a"], "nothing was deleted");
    let back = world.ask("PUT /v2/groups", json!({ "version": before })).await;
    assert_eq!(back.status, 200, "everything was there at each version: {}", back.text);
}

#[tokio::test]
async fn a_group_put_back_as_it_was_read_makes_no_version() {
    let world = World::new();
    // Groups that are but the paths of apps, and one that somebody made.
    world.run(app("/g/h/a", 1)).await;
    world.run(app("/g/b", 1)).await;
    assert_eq!(world.ask("POST /v2/groups", json!({ "id": "/g/made", "dependencies": ["/g/h"] })).await.status, 201);
    world.run(app("/other", 1)).await;
    for path in ["/g", "/g/h", "/g/made", ""] {
        let (read, versions) = (get(&world, path).await, get(&world, "/versions").await);
        let mut bare = read.clone();
        bare.as_object_mut().unwrap().remove("version");
        for body in [read.clone(), bare] {
            let answer = world.ask(&format!("PUT /v2/groups{path}"), body).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            assert_eq!(answer.json()["version"], read["version"], "{path}");
            assert_eq!(get(&world, "/versions").await, versions, "{path}: no version is made");
            assert_eq!(get(&world, path).await, read);
        }
    }
}

#[tokio::test]
async fn the_version_of_a_group_never_goes_back() {
    let world = World::new();
    world.run(app("/g/a", 1)).await;
    world.run(app("/g/h/b", 1)).await;
    let removed = world.ask("DELETE /v2/apps/g/h/b", Value::Null).await;
    world.fake.settle();
    let last = removed.json()["version"].clone();
    assert_eq!(get(&world, "/g").await["version"], last);
    for n in 0..cluster::apply::KEPT_TREE_VERSIONS + 5 {
        let scaled = world
            .ask(
                "PUT /v2/apps/x?force=true",
                json!({ "instances": n % 2, "container": { "docker": { "image": "x" } } }),
            )
            .await;
        assert!(scaled.status < 300, "{}", scaled.text);
        world.fake.settle();
        assert_eq!(get(&world, "/g").await["version"], last, "after {n} versions of others");
    }
    let idle = world.ask("PUT /v2/groups/g", json!({ "apps": get(&world, "/g").await["apps"].clone() })).await;
    assert_eq!(idle.json()["version"], last, "{}", idle.text);
}

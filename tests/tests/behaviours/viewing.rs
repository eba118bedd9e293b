//! What is read of apps, tasks, deployments and the queue, and what tasks are told to do.

mod deployments_resource_test {
    use crate::world::{World, plain};
    use serde_json::json;

    #[test]
    fn get_a_simple_deployment() {
        let world = World::new();
        let id = world.change("POST /v2/apps", plain("/a", 1));
        let version = world.app("/a")["version"].clone();
        let expected = json!([{
            "id": id, "version": version, "affectedApps": ["/a"], "affectedPods": [],
            "steps": [
                { "actions": [{ "action": "StartApplication", "app": "/a" }] },
                { "actions": [{ "action": "ScaleApplication", "app": "/a" }] },
            ],
            "currentActions": [{ "action": "ScaleApplication", "app": "/a", "readinessCheckResults": [] }],
            "currentStep": 2, "totalSteps": 2,
        }]);
        assert_eq!(world.get("/v2/deployments"), expected);
    }
}

mod deployment_formats_test {
    use crate::world::{World, plain};
    use serde_json::json;

    #[test]
    fn deploymentplan_can_be_serialized() {
        let world = World::new();
        world.run(plain("/a", 1));
        let mut events = world.listen("?event_type=deployment_info");
        let id = world.change("PUT /v2/apps/a", json!({ "cmd": "x y" }));
        let data = events.next().1;
        let actions = json!({ "actions": [{ "action": "RestartApplication", "app": "/a" }] });
        assert_eq!((&data["plan"]["id"], &data["plan"]["steps"]), (&json!(id), &json!([actions])));
        assert_eq!(data["currentStep"], actions);
        for group in ["original", "target"] {
            let mut fields: Vec<&String> = data["plan"][group].as_object().unwrap().keys().collect();
            fields.sort();
            assert_eq!(fields, ["apps", "dependencies", "groups", "id", "pods", "version"]);
        }
    }
}

mod info_embed_resolver_test {
    use crate::world::{World, app};

    /// The fields that are printed of an app only where they are asked for, under this query.
    fn embedded(query: &str) -> Vec<&'static str> {
        let world = World::new();
        world.run(app("/a", 1));
        world.crash(world.wanted("/a")[0]);
        let a = world.get(&format!("/v2/apps{query}"))["apps"][0].clone();
        ["tasks", "lastTaskFailure", "readinessCheckResults", "taskStats"]
            .into_iter()
            .filter(|it| a.get(it).is_some())
            .collect()
    }

    #[test]
    fn combining_embed_options_works() {
        assert_eq!(embedded(""), [""; 0]);
        assert_eq!(embedded("?embed=apps.tasks"), ["tasks"]);
        assert_eq!(embedded("?embed=apps.tasks&embed=apps.taskStats"), ["tasks", "taskStats"]);
        assert_eq!(embedded("?embed=apps.failures"), ["tasks", "lastTaskFailure"]);
        assert_eq!(embedded("?embed=apps.readiness&embed=apps.counts"), ["readinessCheckResults"]);
    }

    #[test]
    fn unknown_embed_options_are_ignored() {
        assert_eq!(embedded("?embed=apps.something&embed=unknown&embed="), [""; 0]);
        assert_eq!(embedded("?embed=something.else&embed=apps.tasks"), ["tasks"]);
    }

    #[test]
    fn app_group_resolving_works() {
        for prefix in ["", "app.", "apps.", "group.apps."] {
            assert_eq!(embedded(&format!("?embed={prefix}lastTaskFailure")), ["lastTaskFailure"], "{prefix}");
        }
    }
}

mod label_selector_parsers_test {
    use crate::world::{World, plain, with};
    use serde_json::{Value, json};

    /// The ids of the apps that a selector takes.
    fn taken(selector: &str) -> Vec<String> {
        let world = World::bare();
        for (id, labels) in [
            ("/foo", json!({ "foo": "" })),
            ("/one", json!({ "foo": "one", "bah": "x" })),
            ("/two", json!({ "foo": "two", "bla": "y" })),
            ("/odd", json!({ "{{{": "]]]", "a b": "c,d" })),
        ] {
            world.created(with(plain(id, 1), json!({ "labels": labels })));
        }
        let encoded: Vec<String> = selector.bytes().map(|it| format!("%{it:02x}")).collect();
        let apps = world.get(&format!("/v2/apps?label={}", encoded.concat()))["apps"].clone();
        apps.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_valid_existence_label_query_can_be_parsed() {
        assert_eq!(taken("foo"), ["/foo", "/one", "/two"]);
        assert_eq!(taken("none"), [""; 0]);
    }

    #[test]
    fn a_valid_label_equals_query_can_be_parsed() {
        assert_eq!(taken("foo == one"), ["/one"]);
        assert_eq!(taken("foo==two"), ["/two"]);
    }

    #[test]
    fn a_valid_label_not_equals_query_can_be_parsed() {
        assert_eq!(taken("foo != one"), ["/foo", "/two"], "the label must be there");
    }

    #[test]
    fn a_valid_label_set_query_can_be_parsed() {
        assert_eq!(taken("foo in (one, two, three)"), ["/one", "/two"]);
        assert_eq!(taken("foo in (one)"), ["/one"]);
    }

    #[test]
    fn a_valid_notin_label_set_query_can_be_parsed() {
        assert_eq!(taken("foo notin (one, bla, foo)"), ["/foo", "/two"]);
    }

    #[test]
    fn a_valid_combined_label_query_can_be_parsed() {
        assert_eq!(taken("foo==one, bah"), ["/one"]);
        assert_eq!(taken("foo==one, bla"), [""; 0]);
        assert_eq!(taken("foo in (one, two), bla!=x, foo"), ["/two"]);
    }

    #[test]
    fn a_valid_combined_label_query_without_alphanumeric_characters_can_be_parsed() {
        assert_eq!(taken(r"\{\{\{ == \]\]\], a\ b == c\,d"), ["/odd"]);
    }

    #[test]
    fn an_invalid_combined_label_query_can_not_be_parsed() {
        let world = World::bare();
        for selector in ["foo in (bla", "foo%20%3D%3D", "foo%3Dbla", "foo,,bla", "foo in ()"] {
            let answer = world.ask(&format!("GET /v2/apps?label={}", selector.replace(' ', "%20")), Value::Null);
            assert_eq!(answer.status, 422, "{selector}: {}", answer.text);
        }
    }
}

mod queue_resource_test {
    use crate::world::{World, plain, says, with};
    use serde_json::{Value, json};

    fn waiting() -> World {
        let world = World::new();
        world.change("POST /v2/apps", with(plain("/a", 23), json!({ "mem": 100_000 })));
        world
    }

    #[test]
    fn return_well_formatted_json() {
        let world = waiting();
        let queue = world.get("/v2/queue?embed=lastUnusedOffers")["queue"].clone();
        let item = &queue[0];
        assert_eq!((&item["app"]["id"], &item["count"]), (&json!("/a"), &json!(23)));
        assert!(api::time::parse(item["since"].as_str().unwrap()).is_some());
        let summary = &item["processedOffersSummary"];
        assert_eq!((&summary["processedOffersCount"], &summary["unusedOffersCount"]), (&json!(2), &json!(2)));
        let steps = summary["rejectSummaryLastOffers"].as_array().unwrap();
        assert!(steps.contains(&json!({ "reason": "InsufficientMemory", "declined": 2, "processed": 2 })), "{steps:?}");
        assert!(
            item["lastUnusedOffers"].is_array() && world.get("/v2/queue")["queue"][0].get("lastUnusedOffers").is_none()
        );
    }

    #[test]
    fn the_generated_info_from_the_queue_contains_0_if_there_is_no_delay() {
        assert_eq!(waiting().get("/v2/queue")["queue"][0]["delay"], json!({ "timeLeftSeconds": 0, "overdue": true }));
    }

    #[test]
    fn unknown_application_backoff_can_not_be_removed_from_the_launch_queue() {
        let answer = waiting().ask("DELETE /v2/queue/unknown/delay", Value::Null);
        says(&answer, 404, "Application /unknown not found in tasks queue.");
    }

    #[test]
    fn application_backoff_can_be_removed_from_the_launch_queue() {
        let world = World::new();
        world.run(with(plain("/a", 1), json!({ "backoffSeconds": 100 })));
        world.crash(world.wanted("/a")[0]);
        assert_eq!(world.ask("DELETE /v2/queue/a/delay", Value::Null).status, 204);
        assert_eq!(world.get("/v2/queue")["queue"][0]["delay"], json!({ "timeLeftSeconds": 0, "overdue": true }));
    }

    #[test]
    fn access_without_authorization_leads_to_a_404_if_the_app_is_not_in_the_queue() {
        let world = World::new();
        world.run(plain("/a", 1));
        let answer = world.ask("DELETE /v2/queue/a/delay", Value::Null);
        says(&answer, 404, "Application /a not found in tasks queue.");
    }
}

mod spec_instances_resource_test {
    use crate::world::{World, plain, says};
    use serde_json::{Value, json};

    fn running() -> World {
        let world = World::new();
        world.run(plain("/a", 2));
        world
    }

    const BOTH: &str = "You cannot use scale and wipe at the same time.";

    #[test]
    fn deletemany() {
        let world = running();
        let tasks = world.tasks("/a");
        let answer = world.ask("DELETE /v2/apps/a/tasks?host=*", Value::Null);
        let killed: Vec<&Value> = answer.json["tasks"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!((answer.status, killed), (200, vec![&json!(tasks[0]), &json!(tasks[1])]));
        assert!(world.state().instances().all(|it| !it.is_wanted()));
    }

    #[test]
    fn deletemany_with_scale_and_wipe_fails() {
        let world = running();
        says(&world.ask("DELETE /v2/apps/a/tasks?scale=true&wipe=true", Value::Null), 400, BOTH);
        assert_eq!(world.instances("/a").len(), 2);
    }

    #[test]
    fn deletemany_with_wipe_delegates_to_taskkiller_with_wipe_value() {
        let world = World::new();
        world.run_spec(crate::world::resident(crate::world::spec(&plain("/a", 2))));
        assert_eq!(world.ask("DELETE /v2/apps/a/tasks?wipe=true", Value::Null).status, 200);
        assert!(world.state().reservations().all(|it| it.doomed), "their data goes too");
    }

    #[test]
    fn deleteone() {
        let world = running();
        let tasks = world.tasks("/a");
        let answer = world.ask(&format!("DELETE /v2/apps/a/tasks/{}", tasks[0]), Value::Null);
        assert_eq!((answer.status, &answer.json["task"]["id"]), (200, &json!(tasks[0])));
        assert_eq!(world.instances("/a").len(), 1);
    }

    #[test]
    fn deleteone_with_scale_and_wipe_fails() {
        let world = running();
        let line = format!("DELETE /v2/apps/a/tasks/{}?scale=true&wipe=true", world.tasks("/a")[0]);
        says(&world.ask(&line, Value::Null), 400, BOTH);
        assert_eq!(world.instances("/a").len(), 2);
    }

    #[test]
    fn deleteone_with_wipe_delegates_to_taskkiller_with_wipe_value() {
        let world = World::new();
        world.run_spec(crate::world::resident(crate::world::spec(&plain("/a", 2))));
        let line = format!("DELETE /v2/apps/a/tasks/{}?wipe=true", world.tasks("/a")[0]);
        assert_eq!(world.ask(&line, Value::Null).status, 200);
        assert_eq!(world.state().reservations().filter(|it| it.doomed).count(), 1, "only its data goes");
    }

    #[test]
    fn get_tasks() {
        let world = running();
        let tasks = world.get("/v2/apps/a/tasks")["tasks"].clone();
        assert_eq!(tasks.as_array().unwrap().len(), 2);
        let below = world.get("/v2/apps/*/tasks")["tasks"].clone();
        assert_eq!(below, tasks);
    }

    #[test]
    fn access_to_indexjson_without_authorization_leads_to_a_404_if_the_app_does_not_exist() {
        says(&World::new().ask("GET /v2/apps/none/tasks", Value::Null), 404, "App '/none' does not exist");
    }

    #[test]
    fn access_to_indextxt_without_authorization_leads_to_a_404_if_the_the_app_does_not_exist() {
        let answer = World::new().send("GET /v2/apps/none/tasks", &[("accept", "text/plain")], "");
        says(&answer, 404, "App '/none' does not exist");
    }

    #[test]
    fn access_to_deleteone_without_authorization_leads_to_a_404_if_the_the_app_does_not_exist() {
        let line = "DELETE /v2/apps/none/tasks/none.12345678-1234-8123-8123-123456789abc";
        says(&World::new().ask(line, Value::Null), 404, "App '/none' does not exist");
    }

    #[test]
    fn access_to_deletemany_without_authorization_leads_to_a_404_if_the_the_app_does_not_exist() {
        says(&World::new().ask("DELETE /v2/apps/none/tasks", Value::Null), 404, "App '/none' does not exist");
    }
}

mod tasks_resource_test {
    use crate::world::{World, plain, says};
    use cluster::Outcome;
    use serde_json::{Value, json};

    /// Two apps, and the ids of a task of each.
    fn running() -> (World, Value) {
        let world = World::new();
        world.run(plain("/a", 2));
        world.run(plain("/b", 1));
        let ids = json!({ "ids": [world.tasks("/a")[0], world.tasks("/b")[0]] });
        (world, ids)
    }

    #[test]
    fn list_apps_when_there_are_no_apps() {
        assert_eq!(World::new().get("/v2/tasks"), json!({ "tasks": [] }));
    }

    #[test]
    fn killtasks() {
        let (world, ids) = running();
        let answer = world.ask("POST /v2/tasks/delete", ids.clone());
        let killed: Vec<Value> = answer.json["tasks"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
        assert_eq!((answer.status, json!(killed)), (200, ids["ids"].clone()));
        assert_eq!((world.instances("/a").len(), world.instances("/b").len()), (1, 0));
    }

    #[test]
    fn killtasks_with_force() {
        let (world, ids) = running();
        let held = world.change("PUT /v2/apps/a", json!({ "instances": 1000, "cpus": 4 }));
        let locked = world.ask("POST /v2/tasks/delete?scale=true", ids.clone());
        assert_eq!((locked.status, &locked.json["deployments"][0]["id"]), (409, &json!(held)));
        assert_eq!(world.instances("/b").len(), 1, "nothing was killed");
        let forced = world.ask("POST /v2/tasks/delete?scale=true&force=true", ids);
        assert_eq!(forced.status, 200, "{}", forced.text);
        assert!(matches!(world.outcome(&held), Some(Outcome::Superseded { .. })));
        assert_eq!(world.app("/b")["instances"], 0);
    }

    #[test]
    fn killtasks_with_scale_and_wipe_fails() {
        let (world, ids) = running();
        let answer = world.ask("POST /v2/tasks/delete?scale=true&wipe=true", ids);
        says(&answer, 400, "You cannot use scale and wipe at the same time.");
    }

    #[test]
    fn killtasks_with_wipe_delegates_to_taskkiller_with_wipe_value() {
        let world = World::new();
        world.run_spec(crate::world::resident(crate::world::spec(&plain("/a", 1))));
        let ids = json!({ "ids": world.tasks("/a") });
        assert_eq!(world.ask("POST /v2/tasks/delete?wipe=true", ids).status, 200);
        assert!(world.state().reservations().all(|it| it.doomed));
    }

    #[test]
    fn killtasks_fails_for_invalid_taskid() {
        let (world, _) = running();
        let answer = world.ask("POST /v2/tasks/delete", json!({ "ids": ["invalidTaskId"] }));
        assert_eq!(answer.status, 400);
        assert!(answer.json["message"].as_str().unwrap().starts_with("Invalid task id 'invalidTaskId'"));
    }
}

mod validation_test {
    use crate::world::{World, plain, with};
    use serde_json::json;

    #[test]
    fn write_validations_errors() {
        let answer = World::new()
            .refused(with(plain("/a", 1), json!({ "cpus": -1, "upgradeStrategy": { "minimumHealthCapacity": 2 } })));
        assert_eq!(answer.json["message"], "Object is not valid");
        let details = answer.json["details"].as_array().unwrap();
        assert_eq!(details.len(), 2, "all at once: {details:?}");
        let expected =
            json!({ "path": "/upgradeStrategy/minimumHealthCapacity", "errors": ["must be between 0 and 1"] });
        assert!(details.contains(&expected), "{details:?}");
    }
}

mod enriched_task_writes_test {
    use crate::world::{World, app, plain};
    use cluster::agent::Seen;
    use cluster::{Health, Readiness};
    use serde_json::json;

    #[test]
    fn json_serialization_of_a_task_without_ips() {
        let world = World::new();
        world.change("POST /v2/apps", plain("/a/b", 1));
        let instance = world.instances("/a/b")[0].clone();
        let task = world.get("/v2/tasks")["tasks"][0].clone();
        let expected = json!({
            "appId": "/a/b", "host": format!("{}.example", instance.node), "id": format!("a_b.{}", instance.id),
            "ipAddresses": [], "localVolumes": [], "ports": [31000], "role": "*", "servicePorts": [10000],
            "slaveId": instance.node.as_str(), "stagedAt": task["stagedAt"], "state": "TASK_STAGING",
            "version": world.app("/a/b")["version"],
        });
        assert_eq!(task, expected);
    }

    #[test]
    fn json_serialization_of_a_task_with_multiple_ips() {
        let world = World::new();
        world.change("POST /v2/apps", app("/a", 2));
        for (id, ip) in world.wanted("/a").into_iter().zip(["123.123.123.123", "fe80::42"]) {
            let (ip, readiness) = (Some(ip.to_owned()), Readiness::default());
            world.see(id, Seen::Running { ip, health: Health::Unknown, checks: Vec::new(), readiness });
        }
        let tasks = world.get("/v2/tasks")["tasks"].clone();
        assert_eq!(tasks[0]["ipAddresses"], json!([{ "ipAddress": "123.123.123.123", "protocol": "IPv4" }]));
        assert_eq!(tasks[1]["ipAddresses"], json!([{ "ipAddress": "fe80::42", "protocol": "IPv6" }]));
        assert!(tasks[0]["startedAt"].is_string() && tasks[0].get("healthCheckResults").is_none());
    }
}

mod app_definition_app_info_test {
    use crate::world::{World, app, plain, with};
    use cluster::Health;
    use serde_json::json;

    #[test]
    fn app_with_taskcounts() {
        let world = World::new();
        world.change("POST /v2/apps", app("/a", 4));
        let [_, running, sick, healthy] = world.wanted("/a")[..] else { panic!("four") };
        world.running(running, Health::Unknown);
        world.running(sick, Health::Unhealthy);
        world.running(healthy, Health::Healthy);
        let a = world.get("/v2/apps")["apps"][0].clone();
        let counts = ["tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"].map(|it| a[it].clone());
        assert_eq!(counts, [1, 3, 1, 1]);
    }

    #[test]
    fn app_with_deployments() {
        let world = World::new();
        let id = world.change("POST /v2/apps", plain("/a", 1));
        assert_eq!(world.get("/v2/apps")["apps"][0]["deployments"], json!([{ "id": id }]));
    }

    #[test]
    fn app_with_empty_deployments_list() {
        let world = World::new();
        world.run(plain("/a", 1));
        assert_eq!(world.get("/v2/apps")["apps"][0]["deployments"], json!([]));
    }

    #[test]
    fn app_with_empty_task_list() {
        let world = World::new();
        world.run(plain("/a", 0));
        assert_eq!(world.get("/v2/apps?embed=apps.tasks")["apps"][0]["tasks"], json!([]));
    }

    #[test]
    fn app_with_taskcounts_deployments_show_that_combinations_work() {
        let world = World::new();
        let id = world.change("POST /v2/apps", with(plain("/a", 2), json!({ "labels": { "x": "y" } })));
        let a = world.get("/v2/apps?embed=apps.counts&embed=apps.deployments&embed=apps.tasks")["apps"][0].clone();
        assert_eq!(
            (&a["tasksStaged"], &a["deployments"][0]["id"], &a["labels"]["x"]),
            (&json!(2), &json!(id), &json!("y"))
        );
        assert_eq!(a["tasks"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn app_with_lasttaskfailure() {
        let world = World::new();
        world.run(plain("/a", 1));
        let task = world.tasks("/a")[0].clone();
        world.crash(world.wanted("/a")[0]);
        let a = world.get("/v2/apps?embed=apps.lastTaskFailure")["apps"][0].clone();
        assert_eq!(
            (&a["lastTaskFailure"]["taskId"], &a["lastTaskFailure"]["message"]),
            (&json!(task), &json!("exit code 1"))
        );
        assert!(world.get("/v2/apps/a")["app"]["lastTaskFailure"].is_object(), "one app has it always");
    }
}

mod task_stats_by_version_format_test {
    use crate::world::{World, app, plain};
    use cluster::Health;
    use serde_json::{Value, json};

    fn stats(world: &World) -> Value {
        world.get("/v2/apps/a?embed=app.taskStats")["app"]["taskStats"].clone()
    }

    #[test]
    fn empty_stats_get_rendered_correctly() {
        let world = World::new();
        world.run(plain("/a", 0));
        assert_eq!(stats(&world), json!({}));
    }

    #[test]
    fn fulltaskstats_not_by_version_get_rendered_correctly() {
        let world = World::new();
        world.change("POST /v2/apps", app("/a", 3));
        let [first, second, _] = world.wanted("/a")[..] else { panic!("three") };
        world.running(first, Health::Healthy);
        world.pass(20);
        world.running(second, Health::Unhealthy);
        world.pass(10);
        let total = stats(&world)["totalSummary"]["stats"].clone();
        assert_eq!(total["counts"], json!({ "staged": 1, "running": 2, "healthy": 1, "unhealthy": 1 }));
        for field in ["averageSeconds", "medianSeconds"] {
            let seconds = total["lifeTime"][field].as_f64().unwrap();
            assert!((19.0..21.0).contains(&seconds), "30 s and 10 s: {total}");
        }
    }

    #[test]
    fn fulltaskstats_not_by_version_without_lifetimes_get_rendered_correctly() {
        let world = World::new();
        world.change("POST /v2/apps", plain("/a", 2));
        let counts = json!({ "staged": 2, "running": 0, "healthy": 0, "unhealthy": 0 });
        assert_eq!(stats(&world)["totalSummary"], json!({ "stats": { "counts": counts } }));
    }

    #[test]
    fn full_task_stats_by_version_get_rendered_correctly() {
        let world = World::new();
        world.run(app("/a", 2));
        world.change("PUT /v2/apps/a", json!({ "env": { "NEW": "1" } }));
        world.obey(Health::Unknown);
        let stats = stats(&world);
        let running = |group: &str| stats[group]["stats"]["counts"]["running"].clone();
        assert_eq!((running("withLatestConfig"), running("withOutdatedConfig")), (json!(2), json!(2)), "{stats}");
        assert_eq!((running("totalSummary"), running("startedAfterLastScaling")), (json!(4), json!(2)));
    }
}

//! Apps: created, changed, scaled, restarted, rolled back, deleted.

mod app_deploy_integration_test {
    use crate::world::{World, app, plain, with};
    use cluster::{Health, Outcome};
    use serde_json::{Value, json};

    /// An app with this health check comes up when the check passes, and not before.
    fn comes_up_with(check: &Value) {
        let world = World::new();
        let id = world.change("POST /v2/apps", with(app("/a", 1), json!({ "healthChecks": [check] })));
        world.obey(Health::Unknown);
        assert!(world.is_deploying(), "running is not enough");
        world.running(world.wanted("/a")[0], Health::Healthy);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
        let a = world.app("/a");
        assert_eq!((&a["tasksRunning"], &a["tasksHealthy"]), (&json!(1), &json!(1)));
    }

    /// An app that has failed so often that its launches wait.
    fn crash_looping() -> World {
        let world = World::new();
        world.change("POST /v2/apps", plain("/a", 1));
        for _ in 0..3 {
            while world.wanted("/a").is_empty() {
                world.pass(1);
            }
            world.crash(world.wanted("/a")[0]);
        }
        assert_eq!(world.picture("/a"), "", "the next launch waits");
        world
    }

    #[test]
    fn create_a_simple_app_without_health_checks() {
        let world = World::new();
        let id = world.change("POST /v2/apps", plain("/a", 1));
        assert_eq!(world.app("/a")["tasksStaged"], 1);
        world.settle();
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
        let a = world.app("/a");
        assert_eq!((&a["tasksRunning"], &a["tasksHealthy"]), (&json!(1), &json!(0)));
    }

    #[test]
    fn redeploying_an_app_without_changes_should_not_cause_restarts() {
        let world = World::new();
        world.run(app("/a", 2));
        let (before, version) = (world.tasks("/a"), world.app("/a")["version"].clone());
        let answer = world.ask("PUT /v2/apps/a", app("/a", 2));
        assert_eq!((answer.status, &answer.json["version"]), (200, &version));
        world.settle();
        assert_eq!(world.tasks("/a"), before);
    }

    #[test]
    fn backoff_delays_are_reset_on_configuration_changes() {
        let world = crash_looping();
        world.change("PUT /v2/apps/a?force=true", json!({ "cmd": "sleep 2000" }));
        assert_eq!(world.picture("/a"), "1 new staging");
    }

    #[test]
    fn backoff_delays_are_not_reset_on_scaling_changes() {
        let world = crash_looping();
        world.change("PUT /v2/apps/a?force=true", json!({ "instances": 3 }));
        assert_eq!(world.picture("/a"), "");
        let item = world.get("/v2/queue")["queue"][0].clone();
        assert_eq!((&item["count"], &item["delay"]["overdue"]), (&json!(3), &json!(false)));
        world.pass(5);
        assert_eq!(world.picture("/a"), "3 new staging");
    }

    #[test]
    fn backoff_delay_can_be_get_deleted_on_a_crash_looping_app() {
        let world = crash_looping();
        let delay = world.get("/v2/queue")["queue"][0]["delay"].clone();
        assert!(delay["timeLeftSeconds"].as_u64().unwrap() > 0, "{delay}");
        assert_eq!(world.ask("DELETE /v2/queue//a/delay", Value::Null).status, 204);
        world.plan();
        assert_eq!(world.picture("/a"), "1 new staging");
    }

    #[test]
    fn restarting_an_app_with_backoff_delay_starts_immediately() {
        let world = crash_looping();
        world.change("POST /v2/apps/a/restart?force=true", Value::Null);
        assert_eq!(world.picture("/a"), "1 new staging");
    }

    #[test]
    fn increase_the_app_count_metric_when_an_app_is_created() {
        let world = World::new();
        let count = || {
            let text = world.ask("GET /metrics/prometheus", Value::Null).text;
            text.lines().find(|it| it.starts_with("ekiden_apps ")).map(str::to_owned)
        };
        assert_eq!(count().as_deref(), Some("ekiden_apps 0"));
        world.run(plain("/a", 1));
        assert_eq!(count().as_deref(), Some("ekiden_apps 1"));
    }

    #[test]
    fn create_a_simple_app_with_a_marathon_http_health_check() {
        comes_up_with(&json!({ "protocol": "HTTP", "path": "/ping", "portIndex": 0 }));
    }

    #[test]
    fn create_a_simple_app_with_a_mesos_http_health_check() {
        comes_up_with(&json!({ "protocol": "MESOS_HTTP", "path": "/ping", "portIndex": 0 }));
    }

    #[test]
    fn create_a_simple_app_with_a_marathon_http_health_check_using_port_instead_of_portindex() {
        comes_up_with(&json!({ "protocol": "HTTP", "path": "/ping", "port": 80 }));
    }

    #[test]
    fn create_a_simple_app_with_a_marathon_tcp_health_check() {
        comes_up_with(&json!({ "protocol": "TCP", "portIndex": 0 }));
    }

    #[test]
    fn create_a_simple_app_with_a_mesos_tcp_health_check() {
        comes_up_with(&json!({ "protocol": "MESOS_TCP", "portIndex": 0 }));
    }

    #[test]
    fn create_a_simple_app_with_a_command_health_check() {
        comes_up_with(&json!({ "protocol": "COMMAND", "command": { "value": "true" } }));
    }

    #[test]
    fn list_running_apps_and_tasks() {
        let world = World::new();
        world.run(plain("/a", 3));
        assert_eq!(world.get("/v2/apps")["apps"][0]["id"], "/a");
        let tasks = world.get("/v2/tasks?status=running")["tasks"].clone();
        assert_eq!(tasks.as_array().unwrap().len(), 3);
        assert!(tasks.as_array().unwrap().iter().all(|it| it["appId"] == "/a" && it["state"] == "TASK_RUNNING"));
        assert_eq!(world.get("/v2/apps/a/tasks")["tasks"], tasks);
    }

    #[test]
    fn an_unhealthy_app_fails_to_deploy() {
        let world = World::new();
        let id = world.change("POST /v2/apps", app("/a", 1));
        for _ in 0..5 {
            world.obey(Health::Unhealthy);
        }
        assert_eq!(world.outcome(&id), None);
        let a = world.app("/a");
        assert_eq!((&a["tasksUnhealthy"], &a["deployments"][0]["id"]), (&json!(1), &json!(id)));
    }

    /// Better: a deployment that makes no progress until its deadline has failed, and says what it waited for;
    /// Marathon's goes on for ever.
    #[test]
    fn an_unhealthy_app_fails_to_deploy_because_health_checks_takes_too_long_to_pass() {
        let world = World::new();
        let labels = json!({ "labels": { "EKIDEN_DEPLOYMENT_DEADLINE": "60" } });
        let id = world.change("POST /v2/apps", with(app("/a", 1), labels));
        world.obey(Health::Unknown);
        world.pass(59);
        assert_eq!(world.outcome(&id), None);
        world.pass(2);
        let Some(Outcome::Failed { reason, .. }) = world.outcome(&id) else { panic!("it has failed") };
        assert!(reason.contains("have not passed their health checks"), "{reason}");
    }

    #[test]
    fn update_an_app() {
        let world = World::new();
        world.run(plain("/a", 2));
        let before = world.tasks("/a");
        world.done("PUT /v2/apps/a", json!({ "cmd": "sleep 2000", "instances": 2, "cpus": 0.2 }));
        let (after, a) = (world.tasks("/a"), world.app("/a"));
        assert!(after.len() == 2 && after.iter().all(|it| !before.contains(it)), "{after:?}");
        assert_eq!((&a["cmd"], &a["cpus"]), (&json!("sleep 2000"), &json!(0.2)));
    }

    #[test]
    fn update_an_app_through_patch_request() {
        let world = World::new();
        world.run(plain("/a", 1));
        let before = world.tasks("/a");
        world.done("PATCH /v2/apps/a", json!({ "cmd": "sleep 2000" }));
        assert_ne!(world.tasks("/a"), before);
        assert_eq!((&world.app("/a")["cmd"], &world.app("/a")["mem"]), (&json!("sleep 2000"), &json!(32)));
    }

    #[test]
    fn scale_an_app_up_and_down() {
        let world = World::new();
        world.run(plain("/a", 1));
        let first = world.tasks("/a");
        world.done("PUT /v2/apps/a", json!({ "instances": 4 }));
        assert_eq!((world.tasks("/a").len(), &world.tasks("/a")[0]), (4, &first[0]));
        world.done("PUT /v2/apps/a", json!({ "instances": 1 }));
        assert_eq!(world.tasks("/a"), first, "the one that was there first stays");
    }

    #[test]
    fn restart_an_app() {
        let world = World::new();
        world.run(plain("/a", 2));
        let before = world.tasks("/a");
        world.change("POST /v2/apps//a/restart", Value::Null);
        assert_eq!(world.get("/v2/deployments")[0]["currentActions"][0]["action"], "RestartApplication");
        world.settle();
        assert!(world.tasks("/a").iter().all(|it| !before.contains(it)));
    }

    #[test]
    fn list_app_versions() {
        let world = World::new();
        world.run(plain("/a", 1));
        assert_eq!(world.get("/v2/apps/a/versions"), json!({ "versions": [world.app("/a")["version"]] }));
    }

    /// Better: versions are listed newest first; Marathon promises no order.
    #[test]
    fn correctly_version_apps_on_update() {
        let world = World::new();
        world.run(plain("/a", 1));
        let first = world.app("/a");
        world.done("PUT /v2/apps/a", json!({ "cmd": "sleep 2000" }));
        let second = world.app("/a");
        assert_eq!(world.get("/v2/apps/a/versions"), json!({ "versions": [second["version"], first["version"]] }));
        let stored = world.get(&format!("/v2/apps/a/versions/{}", first["version"].as_str().unwrap()));
        assert_eq!((&stored["cmd"], &stored["version"]), (&json!("sleep 1000"), &first["version"]));
        let info = second["versionInfo"].clone();
        assert_eq!(info["lastConfigChangeAt"], second["version"]);
    }

    #[test]
    fn kill_a_task_of_an_app() {
        let world = World::new();
        world.run(plain("/a", 1));
        let before = world.tasks("/a")[0].clone();
        let answer = world.ask(&format!("DELETE /v2/apps/a/tasks/{before}"), Value::Null);
        assert_eq!((answer.status, &answer.json["task"]["id"]), (200, &json!(before)));
        assert!(!world.is_deploying(), "a kill is no deployment");
        world.settle();
        assert!(world.tasks("/a").len() == 1 && world.tasks("/a")[0] != before);
    }

    #[test]
    fn kill_a_task_of_an_app_with_scaling() {
        let world = World::new();
        world.run(plain("/a", 2));
        let before = world.tasks("/a");
        world.done(&format!("DELETE /v2/apps/a/tasks/{}?scale=true", before[0]), Value::Null);
        assert_eq!((world.tasks("/a"), &world.app("/a")["instances"]), (vec![before[1].clone()], &json!(1)));
    }

    #[test]
    fn kill_all_tasks_of_an_app() {
        let world = World::new();
        world.run(plain("/a", 2));
        let before = world.tasks("/a");
        let answer = world.ask("DELETE /v2/apps/a/tasks", Value::Null);
        assert_eq!(answer.json["tasks"].as_array().unwrap().len(), 2);
        world.settle();
        assert!(world.tasks("/a").len() == 2 && world.tasks("/a").iter().all(|it| !before.contains(it)));
    }

    #[test]
    fn kill_all_tasks_of_an_app_with_scaling() {
        let world = World::new();
        world.run(plain("/a", 2));
        let id = world.done("DELETE /v2/apps/a/tasks?scale=true", Value::Null);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
        assert_eq!((world.tasks("/a").len(), &world.app("/a")["instances"]), (0, &json!(0)));
    }

    #[test]
    fn delete_an_application() {
        let world = World::new();
        world.run(plain("/a", 1));
        world.done("DELETE /v2/apps/a", Value::Null);
        assert_eq!(world.ask("GET /v2/apps/a", Value::Null).status, 404);
        assert_eq!(world.get("/v2/tasks"), json!({ "tasks": [] }));
    }

    #[test]
    fn create_and_deploy_an_app_with_two_tasks() {
        let world = World::new();
        let id = world.change("POST /v2/apps", plain("/a", 2));
        world.running(world.wanted("/a")[0], Health::Unknown);
        assert_eq!(world.outcome(&id), None, "one of two");
        world.settle();
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
        assert_eq!(world.app("/a")["tasksRunning"], 2);
        let hosts: std::collections::BTreeSet<_> = world.instances("/a").iter().map(|it| it.node.clone()).collect();
        assert_eq!(hosts.len(), 2, "one on each node");
    }

    #[test]
    fn stop_forcefully_delete_a_deployment() {
        let world = World::new();
        let id = world.change("POST /v2/apps", with(plain("/a", 1), json!({ "cpus": 1000 })));
        let answer = world.ask(&format!("DELETE /v2/deployments/{id}?force=true"), Value::Null);
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
        assert_eq!(world.get("/v2/deployments"), json!([]));
        assert_eq!(world.outcome(&id), Some(Outcome::Cancelled));
        assert_eq!(world.app("/a")["instances"], 1, "nothing is reverted");
    }

    #[test]
    fn rollback_a_deployment_by_removing_an_app() {
        let world = World::new();
        let id = world.change("POST /v2/apps", with(plain("/a", 1), json!({ "cpus": 1000 })));
        let back = world.done(&format!("DELETE /v2/deployments/{id}"), Value::Null);
        assert_ne!(back, id);
        assert_eq!(world.ask("GET /v2/apps/a", Value::Null).status, 404);
        assert!(!world.is_deploying());
    }

    /// Better: only what the deployment changed is reverted, and instances that still run the old content stay.
    #[test]
    fn manage_yet_another_deployment_rollback() {
        let world = World::new();
        world.run(plain("/a", 2));
        world.run(plain("/b", 1));
        let (a, b) = (world.tasks("/a"), world.tasks("/b"));
        let id = world.change("PUT /v2/apps/a", json!({ "cmd": "sleep 2000", "cpus": 1000 }));
        world.done("PUT /v2/apps/b", json!({ "instances": 2 }));
        world.done(&format!("DELETE /v2/deployments/{id}"), Value::Null);
        assert_eq!((world.tasks("/a"), &world.app("/a")["cmd"]), (a, &json!("sleep 1000")));
        assert_eq!((world.tasks("/b").len(), &world.tasks("/b")[0]), (2, &b[0]), "the other app is left alone");
    }

    #[test]
    fn rollback_deployment_with_default_deployment_strategy() {
        let world = World::new();
        world.run(app("/a", 2));
        let before = world.tasks("/a");
        let id = world.change("PUT /v2/apps/a", json!({ "env": { "BROKEN": "1" } }));
        world.obey(Health::Unhealthy);
        assert_eq!(world.picture("/a"), "2 new running, 2 old healthy");
        let back = world.done(&format!("DELETE /v2/deployments/{id}"), Value::Null);
        assert_eq!(world.outcome(&back), Some(Outcome::Succeeded));
        assert_eq!(world.tasks("/a"), before);
    }

    #[test]
    fn create_a_simple_app_with_a_docker_container_and_update_it() {
        let world = World::new();
        world.run(app("/a", 1));
        let container = json!({ "docker": { "image": "web:2" }, "portMappings": [{ "containerPort": 8080 }] });
        world.done("PUT /v2/apps/a", json!({ "container": container }));
        let a = world.app("/a");
        assert_eq!(a["container"]["docker"]["image"], "web:2");
        assert_eq!(
            (&a["container"]["portMappings"][0]["containerPort"], &a["tasksHealthy"]),
            (&json!(8080), &json!(1))
        );
    }

    #[test]
    fn update_an_app_and_make_sure_ports_are_set_correctly() {
        let world = World::new();
        world.run(with(plain("/a", 1), json!({ "portDefinitions": [{ "port": 0 }, { "port": 0 }] })));
        let ports = world.app("/a")["portDefinitions"].clone();
        assert_eq!((&ports[0]["port"], &ports[1]["port"]), (&json!(10000), &json!(10001)));
        world.done("PUT /v2/apps/a", json!({ "cmd": "sleep 2000" }));
        assert_eq!(world.app("/a")["portDefinitions"], ports);
        world.done("PUT /v2/apps/a", json!({ "portDefinitions": [{ "port": 0 }, { "port": 0 }, { "port": 0 }] }));
        assert_eq!(world.app("/a")["portDefinitions"][2]["port"], 10002);
        assert_eq!(world.app("/a")["tasks"][0]["ports"].as_array().unwrap().len(), 3);
    }
}

mod apps_resource_test {
    use crate::world::{World, app, plain, says, with};
    use serde_json::{Value, json};

    #[test]
    fn create_a_new_app_successfully() {
        let world = World::new();
        let answer = world.ask("POST /v2/apps", plain("/a/b", 5));
        assert_eq!((answer.status, answer.header("location")), (201, "http://ekiden:8080/v2/apps/a/b"));
        assert_eq!((&answer.json["id"], &answer.json["instances"]), (&json!("/a/b"), &json!(5)));
        assert_eq!(answer.json["deployments"], json!([{ "id": answer.header("marathon-deployment-id") }]));
        assert!(answer.json["versionInfo"]["lastScalingAt"].is_string());
        assert_eq!(answer.json["tasksRunning"], 0);
    }

    #[test]
    fn do_partial_update_with_patch_methods() {
        let world = World::new();
        world.run(with(plain("/a", 1), json!({ "labels": { "x": "1" } })));
        world.done("PATCH /v2/apps/a", json!({ "instances": 2 }));
        let a = world.app("/a");
        assert_eq!((&a["instances"], &a["cmd"], &a["labels"]), (&json!(2), &json!("sleep 1000"), &json!({ "x": "1" })));
        let many = world.ask("PATCH /v2/apps", json!([{ "id": "/a", "mem": 64 }]));
        assert_eq!(many.status, 200, "{}", many.text);
        assert_eq!(world.app("/a")["mem"], 64);
        says(&world.ask("PATCH /v2/apps", json!([{ "id": "/b", "mem": 64 }])), 404, "App '/b' does not exist");
    }

    #[test]
    fn create_a_new_app_in_bridge_mode_w_docker() {
        let old = json!({
            "docker": { "image": "web:1", "network": "BRIDGE", "portMappings": [{ "containerPort": 80 }] },
        });
        let a = World::new().created(json!({ "id": "/a", "container": old }));
        assert_eq!(a["networks"], json!([{ "mode": "container/bridge" }]));
        assert_eq!(a["container"]["portMappings"][0]["containerPort"], 80);
        assert_eq!(a["container"]["portMappings"][0]["hostPort"], 0);
        assert!(a["container"]["docker"].get("network").is_none() && a.get("portDefinitions").is_none(), "{a}");
    }

    #[test]
    fn create_a_new_app_fails_with_validation_errors_for_negative_resources() {
        let world = World::new();
        for field in ["cpus", "mem", "disk", "instances"] {
            let answer = world.refused(with(plain("/a", 1), json!({ field: -1 })));
            assert!(!answer.errors(&format!("/{field}")).is_empty(), "{}", answer.text);
        }
    }

    #[test]
    fn create_a_new_app_successfully_using_ports_instead_of_portdefinitions() {
        let a = World::new().created(with(plain("/a", 1), json!({ "ports": [1000, 1001] })));
        let ports: Vec<_> = a["portDefinitions"].as_array().unwrap().iter().map(|it| it["port"].clone()).collect();
        assert_eq!(ports, [1000, 1001]);
        assert!(a.get("ports").is_none());
    }

    #[test]
    fn create_a_new_app_fails_with_validation_errors() {
        let answer = World::new().refused(with(plain("/a", 1), json!({ "backoffFactor": 0.5, "killSelection": "X" })));
        assert_eq!(answer.json["message"], "Object is not valid");
        assert!(!answer.errors("/backoffFactor").is_empty() && !answer.errors("/killSelection").is_empty());
    }

    #[test]
    fn create_a_new_app_with_float_instance_count_fails() {
        let world = World::new();
        let answer = world.refused(with(plain("/a", 1), json!({ "instances": 0.1 })));
        assert_eq!(answer.json["message"], "Invalid JSON");
        assert!(answer.errors("/instances").contains("error.expected"), "{}", answer.text);
        assert_eq!(world.created(with(plain("/a", 1), json!({ "instances": 2.0 })))["instances"], 2);
    }

    #[test]
    fn replace_an_existing_application() {
        let world = World::new();
        world.run(with(plain("/a", 1), json!({ "labels": { "x": "1" } })));
        let answer = world.ask("PUT /v2/apps/a?partialUpdate=false", with(plain("/a", 2), json!({ "cmd": "x y" })));
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.json["deploymentId"].is_string() && answer.json["version"].is_string());
        let a = world.app("/a");
        assert_eq!((&a["cmd"], &a["labels"]), (&json!("x y"), &json!({})));
    }

    #[test]
    fn replace_an_existing_application_using_ports_instead_of_portdefinitions() {
        let world = World::new();
        world.run(with(plain("/a", 1), json!({ "portDefinitions": [{ "port": 3000, "name": "x" }] })));
        world.done("PUT /v2/apps/a", json!({ "ports": [1000, 1001] }));
        let ports = world.app("/a")["portDefinitions"].clone();
        assert_eq!(
            (&ports[0]["port"], &ports[1]["port"], ports.as_array().unwrap().len()),
            (&json!(1000), &json!(1001), 2)
        );
    }

    #[test]
    fn replace_an_existing_application_fails_due_to_docker_container_validation() {
        let world = World::new();
        world.run(plain("/a", 1));
        let answer = world.ask("PUT /v2/apps/a", json!({ "container": { "type": "DOCKER", "docker": {} } }));
        assert_eq!(answer.status, 422);
        assert!(answer.errors("/container/docker/image").contains("error.path.missing"), "{}", answer.text);
        assert_eq!(world.app("/a")["container"]["docker"]["image"], "busybox:1");
    }

    #[test]
    fn creating_an_app_with_broken_volume_definition_fails_with_readable_error_message() {
        let container = json!({ "docker": { "image": "x" }, "volumes": [{ "containerPath": "/a", "mode": "RX" }] });
        let answer = World::new().refused(with(plain("/a", 1), json!({ "container": container })));
        assert!(answer.errors("/container/volumes(0)/mode").contains("must be one of"), "{}", answer.text);
    }

    #[test]
    fn restart_an_existing_app() {
        let world = World::new();
        world.run(plain("/a", 1));
        let answer = world.ask("POST /v2/apps/a/restart?force=true", Value::Null);
        assert_eq!(answer.status, 200);
        assert!(answer.json["deploymentId"].is_string() && answer.json["version"].is_string());
    }

    #[test]
    fn restart_a_non_existing_app_will_fail() {
        says(&World::new().ask("POST /v2/apps/none/restart", Value::Null), 404, "App '/none' does not exist");
    }

    #[test]
    fn index_has_counts_and_deployments_by_default_regression_for_2171() {
        let world = World::new();
        let id = world.change("POST /v2/apps", plain("/a", 2));
        let a = world.get("/v2/apps")["apps"][0].clone();
        assert_eq!(
            (&a["tasksStaged"], &a["tasksRunning"], &a["deployments"]),
            (&json!(2), &json!(0), &json!([{ "id": id }]))
        );
        assert!(a.get("tasks").is_none());
    }

    #[test]
    fn index_passes_with_embed_lasttaskfailure_regression_for_4765() {
        let world = World::new();
        world.run(plain("/a", 1));
        world.crash(world.wanted("/a")[0]);
        assert!(world.get("/v2/apps")["apps"][0].get("lastTaskFailure").is_none());
        let a = world.get("/v2/apps?embed=apps.lastTaskFailure")["apps"][0].clone();
        assert_eq!(a["lastTaskFailure"]["state"], "TASK_FAILED");
    }

    #[test]
    fn search_apps_can_be_filtered() {
        let world = World::new();
        world.run(with(plain("/app/service-a", 1), json!({ "cmd": "party hard", "labels": { "a": "1", "b": "2" } })));
        world.run(with(plain("/app/service-b", 1), json!({ "cmd": "work hard", "labels": { "a": "1", "b": "3" } })));
        for (query, expect) in [
            ("", 2),
            ("?cmd=party", 1),
            ("?cmd=HARD", 2),
            ("?id=service-b", 1),
            ("?id=app", 2),
            ("?label=b%3D%3D2", 1),
            ("?label=a", 2),
            ("?label=c", 0),
            ("?cmd=hard&id=service-a&label=b%20in%20(2,3)", 1),
        ] {
            let apps = world.get(&format!("/v2/apps{query}"))["apps"].clone();
            assert_eq!(apps.as_array().unwrap().len(), expect, "{query}");
        }
    }

    #[test]
    fn delete_with_authorization_gives_a_404_if_the_app_doesnt_exist() {
        says(&World::new().ask("DELETE /v2/apps/none", Value::Null), 404, "App '/none' does not exist");
    }

    #[test]
    fn appupdate_does_not_change_existing_versioninfo() {
        let world = World::new();
        world.run(app("/a", 1));
        let before = world.app("/a")["versionInfo"].clone();
        let info =
            json!({ "lastScalingAt": "2015-02-11T09:31:50.021Z", "lastConfigChangeAt": "2015-02-11T09:31:50.021Z" });
        world.done("PUT /v2/apps/a", json!({ "versionInfo": info }));
        assert_eq!(world.app("/a")["versionInfo"], before);
        world.done("PUT /v2/apps/a", json!({ "instances": 2, "versionInfo": info }));
        assert_eq!(world.app("/a")["versionInfo"]["lastConfigChangeAt"], before["lastConfigChangeAt"]);
    }

    #[test]
    fn create_a_new_top_level_app_with_no_role_defined_should_set_role_to_default_role() {
        assert_eq!(World::new().created(plain("/a", 1))["role"], "*");
    }

    #[test]
    fn create_a_new_top_level_app_with_a_custom_role_defined_should_reject() {
        let answer = World::new().refused(with(plain("/a", 1), json!({ "role": "custom" })));
        assert!(!answer.errors("/role").is_empty(), "{}", answer.text);
    }

    #[test]
    fn create_an_app_in_root_with_acceptedresourceroles_default_mesos_role() {
        let a = World::new().created(with(plain("/a", 1), json!({ "acceptedResourceRoles": ["*"] })));
        assert_eq!(a["acceptedResourceRoles"], json!(["*"]));
    }

    #[test]
    fn create_an_app_in_root_with_acceptedresourceroles_custommesosrole_with_an_invalid_acceptedresourceroles_value() {
        let answer = World::new().refused(with(plain("/a", 1), json!({ "acceptedResourceRoles": ["other"] })));
        assert!(answer.errors("/acceptedResourceRoles").contains("acceptedResourceRoles can only contain"));
    }
}

mod app_versions_resource_test {
    use crate::world::{World, plain, says};
    use serde_json::Value;

    #[test]
    fn access_to_index_without_authorization_leads_to_404_when_the_app_does_not_exist() {
        says(&World::new().ask("GET /v2/apps/none/versions", Value::Null), 404, "App '/none' does not exist");
    }

    #[test]
    fn access_to_show_without_authorization_leads_to_a_404_when_the_app_version_does_not_exist() {
        let world = World::new();
        world.run(plain("/a", 1));
        let at = "2014-01-01T00:00:00.000Z";
        let expected = format!("App '/a' does not exist in version {at}");
        says(&world.ask(&format!("GET /v2/apps/a/versions/{at}"), Value::Null), 404, &expected);
    }
}

mod app_update_test {
    use crate::world::{World, app, plain, with};
    use serde_json::{Value, json};

    /// An app after a change of it.
    fn after(app: Value, update: Value) -> Value {
        let world = World::new();
        world.run(app);
        world.done("PUT /v2/apps/a", update);
        world.app("/a")
    }

    #[test]
    fn serializationroundtrip_for_empty_definition() {
        let world = World::new();
        world.run(app("/a", 1));
        let (before, tasks) = (world.app("/a"), world.tasks("/a"));
        world.done("PUT /v2/apps/a", json!({}));
        assert_eq!((world.app("/a"), world.tasks("/a")), (before, tasks));
    }

    #[test]
    fn serializationroundtrip_for_extended_definition() {
        let update = json!({
            "cmd": "sleep 60", "env": { "LANG": "en-US" }, "instances": 2, "cpus": 0.5, "mem": 77, "disk": 42,
            "constraints": [["hostname", "LIKE", "n.*"]], "requirePorts": true, "backoffSeconds": 2, "backoffFactor": 1.2,
            "maxLaunchDelaySeconds": 60, "portDefinitions": [{ "port": 31_500, "protocol": "tcp", "name": "x" }],
            "healthChecks": [{ "protocol": "TCP", "portIndex": 0 }], "taskKillGracePeriodSeconds": 2,
            "upgradeStrategy": { "minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.25 }, "labels": { "one": "1" },
            "killSelection": "OLDEST_FIRST", "unreachableStrategy": { "inactiveAfterSeconds": 5, "expungeAfterSeconds": 9 },
        });
        let a = after(plain("/a", 1), update.clone());
        for (field, value) in update.as_object().unwrap().iter().filter(|it| it.0 != "healthChecks") {
            assert_eq!(&a[field], value, "{field}");
        }
        assert_eq!(a["healthChecks"][0]["protocol"], "TCP");
    }

    #[test]
    fn empty_json_corresponds_to_default_instance() {
        let world = World::new();
        world.run(plain("/a", 3));
        world.done("PUT /v2/apps/a?partialUpdate=false", json!({ "container": { "docker": { "image": "x" } } }));
        let a = world.app("/a");
        assert_eq!((&a["instances"], &a["cpus"], &a["mem"]), (&json!(1), &json!(1), &json!(128)));
        assert!(a.get("cmd").is_none());
    }

    #[test]
    fn args_are_correctly_read() {
        let world = World::new();
        world.run(app("/a", 1));
        world.done("PUT /v2/apps/a", json!({ "args": ["a", "b", "c"] }));
        assert_eq!(world.app("/a")["args"], json!(["a", "b", "c"]));
    }

    #[test]
    fn acceptedresourceroles_of_update_is_only_applied_when_none() {
        let roles = |update| after(with(plain("/a", 1), json!({ "acceptedResourceRoles": ["*"] })), update);
        assert_eq!(roles(json!({ "instances": 2 }))["acceptedResourceRoles"], json!(["*"]));
        assert!(roles(json!({ "acceptedResourceRoles": [] })).get("acceptedResourceRoles").is_none());
    }

    #[test]
    fn empty_app_unreachablestrategy_on_non_resident_app() {
        let expected = json!({ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 });
        assert_eq!(after(plain("/a", 1), json!({ "instances": 2 }))["unreachableStrategy"], expected);
    }

    #[test]
    fn empty_app_updatestrategy() {
        let expected = json!({ "minimumHealthCapacity": 1, "maximumOverCapacity": 1 });
        assert_eq!(after(plain("/a", 1), json!({ "instances": 2 }))["upgradeStrategy"], expected);
    }

    #[test]
    fn empty_app_persists_container() {
        let before = World::new().created(app("/a", 1))["container"].clone();
        assert_eq!(after(app("/a", 1), json!({ "instances": 2 }))["container"], before);
    }

    #[test]
    fn empty_app_persists_existing_upgradestrategy() {
        let strategy = json!({ "minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.25 });
        let app = with(plain("/a", 1), json!({ "upgradeStrategy": strategy }));
        assert_eq!(after(app, json!({ "instances": 2 }))["upgradeStrategy"], strategy);
    }

    #[test]
    fn container_change_in_appupdate_should_be_stored() {
        let update = json!({ "container": { "docker": { "image": "other:3", "forcePullImage": true } } });
        let docker = after(app("/a", 1), update)["container"]["docker"].clone();
        assert_eq!((&docker["image"], &docker["forcePullImage"]), (&json!("other:3"), &json!(true)));
    }

    #[test]
    fn app_update_changes_kill_selection() {
        assert_eq!(after(plain("/a", 1), json!({ "killSelection": "OLDEST_FIRST" }))["killSelection"], "OLDEST_FIRST");
    }

    #[test]
    fn not_allow_appupdate_with_a_version_and_other_changes_besides_id() {
        let world = World::new();
        world.run(plain("/a", 1));
        let first = world.app("/a")["version"].clone();
        world.done("PUT /v2/apps/a", json!({ "instances": 2 }));
        let both = json!({ "id": "/a", "version": first, "instances": 3 });
        let answer = world.ask("PUT /v2/apps/a", both);
        assert_eq!(answer.status, 422);
        assert!(answer.errors("/").contains("may only be combined with the 'id' field"), "{}", answer.text);
        world.done("PUT /v2/apps/a", json!({ "id": "/a", "version": first }));
        assert_eq!(world.app("/a")["instances"], 1);
    }
}

mod app_update_format_test {
    use crate::world::{World, app, plain};
    use serde_json::json;

    #[test]
    fn fromjson_should_not_fail_when_cpus_is_greater_than_0() {
        let world = World::new();
        world.run(plain("/a", 1));
        world.done("PUT /v2/apps/a", json!({ "cpus": 0.001 }));
        assert_eq!(world.app("/a")["cpus"], 0.001);
        assert_eq!(world.ask("PUT /v2/apps/a", json!({ "cpus": 0 })).status, 422);
    }

    #[test]
    fn fromjson_should_parse_kill_selection() {
        let world = World::new();
        world.run(plain("/a", 1));
        for word in ["OLDEST_FIRST", "YOUNGEST_FIRST"] {
            world.done("PUT /v2/apps/a", json!({ "killSelection": word }));
            assert_eq!(world.app("/a")["killSelection"], word);
        }
    }

    #[test]
    fn fromjson_should_default_to_empty_kill_selection() {
        let world = World::new();
        world.run(plain("/a", 1));
        world.done("PUT /v2/apps/a", json!({ "killSelection": "OLDEST_FIRST" }));
        world.done("PUT /v2/apps/a", json!({ "instances": 2 }));
        assert_eq!(world.app("/a")["killSelection"], "OLDEST_FIRST", "nothing said, nothing changed");
    }

    #[test]
    fn fromjson_should_set_healthcheck_portindex_to_0_when_neither_port_nor_portindex_are_set() {
        let world = World::new();
        world.run(app("/a", 1));
        world.done("PUT /v2/apps/a", json!({ "healthChecks": [{ "path": "/x" }, { "protocol": "TCP", "port": 80 }] }));
        let checks = world.app("/a")["healthChecks"].clone();
        assert_eq!((&checks[0]["portIndex"], &checks[1]["port"]), (&json!(0), &json!(80)));
        assert!(checks[1].get("portIndex").is_none());
    }
}

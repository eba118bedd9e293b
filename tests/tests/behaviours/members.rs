//! Members: who leads, who passes on, what each says of itself, and the events.

mod events_integration_test {
    use crate::world::{World, app, plain};
    use serde_json::json;

    #[test]
    fn receive_only_app_deployment_event() {
        let world = World::new();
        let mut events = world.listen("?event_type=deployment_info&event_type=deployment_success");
        world.run(plain("/a", 1));
        world.done("PUT /v2/apps/a", json!({ "instances": 2 }));
        let told = [events.next(), events.next(), events.next(), events.next()].map(|it| it.0);
        assert_eq!(told, ["deployment_info", "deployment_success", "deployment_info", "deployment_success"]);
    }

    /// Better: plans have stand-ins for `original` and `target`, on which some clients insist, and never the root
    /// group with all its apps.
    #[test]
    fn always_receive_only_small_events() {
        let world = World::new();
        for n in 0..20 {
            world.run(app(&format!("/a{n}"), 1));
        }
        let mut events = world.listen("?plan-format=light");
        let mut heavy = world.listen("");
        world.run(app("/b", 1));
        let told = events.until("deployment_success");
        assert!(told.iter().all(|it| it.1["plan"].get("original").is_none() && it.1["plan"].get("target").is_none()));
        let told = heavy.until("deployment_success");
        assert!(told.iter().any(|it| it.1["plan"]["original"]["id"] == "/"));
        assert!(told.iter().all(|it| it.1.to_string().len() < 2_000 && !it.1.to_string().contains("/a1")));
    }
}

mod forward_to_leader_integration_test {
    use crate::world::{Answer, World, plain, router, says};
    use api::control::{Leadership, SubmitError};
    use api::testing::Fake;
    use serde_json::{Value, json};
    use std::net::{SocketAddr, TcpListener};

    /// A stand-by, the leader that it knows of, and where that one is served.
    struct Two {
        stand_by: World,
        leader: Fake,
        address: SocketAddr,
    }

    fn two() -> Two {
        let (stand_by, leader) = (World::new(), Fake::new());
        let address = stand_by.serve(router(&leader));
        leads(&leader, address);
        follows(&stand_by, &address.to_string());
        Two { stand_by, leader, address }
    }

    fn leads(fake: &Fake, address: SocketAddr) {
        let this_http = address.to_string();
        fake.set_leadership(Leadership { leading: true, leader_http: Some(this_http.clone()), this_http });
    }

    fn follows(world: &World, leader: &str) {
        let this_http = "stand-by:8080".to_owned();
        world.fake.set_leadership(Leadership { leading: false, leader_http: Some(leader.to_owned()), this_http });
    }

    /// An address that nobody listens at.
    fn nobody() -> String {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
    }

    fn was_passed_on(answer: &Answer) -> bool {
        answer.header("x-marathon-via") == "1.1 stand-by:8080"
    }

    #[test]
    fn direct_ping() {
        let answer = World::new().ask("GET /ping", Value::Null);
        assert_eq!((answer.status, answer.text.as_str()), (200, "pong"));
        assert!(!was_passed_on(&answer));
    }

    /// Better: every member answers a ping by itself, so that each can be monitored, also while none leads.
    #[test]
    fn forward_ping() {
        let world = World::new();
        follows(&world, &nobody());
        let answer = world.ask("GET /ping", Value::Null);
        assert_eq!((answer.status, answer.text.as_str()), (200, "pong"));
        assert!(!was_passed_on(&answer));
        let two = two();
        let answer = two.stand_by.ask("GET /v2/leader", Value::Null);
        assert!(was_passed_on(&answer), "everything else is passed on");
    }

    /// Better: an unknown path is answered with 404; Marathon's 500 makes clients look for another member.
    #[test]
    fn direct_404() {
        let answer = World::new().ask("GET /none", Value::Null);
        says(&answer, 404, "URI not found: /none");
    }

    #[test]
    fn forwarding_404() {
        let two = two();
        let answer = two.stand_by.ask("GET /v2/apps/none", Value::Null);
        says(&answer, 404, "App '/none' does not exist");
        assert!(was_passed_on(&answer));
        assert_eq!(answer.header("x-marathon-leader"), format!("http://{}", two.address));
    }

    /// Better: what cannot be answered now is 503, says why, and when to ask again.
    #[test]
    fn direct_internal_server_error() {
        let world = World::new();
        world.fake.set_failure(Some(SubmitError::Unavailable { why: "no quorum".to_owned() }));
        let answer = world.ask("GET /v2/apps", Value::Null);
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
        assert!(answer.json["message"].as_str().unwrap().contains("no quorum"));
    }

    #[test]
    fn forwarding_internal_server_error() {
        let two = two();
        two.leader.set_failure(Some(SubmitError::Unavailable { why: "no quorum".to_owned() }));
        let answer = two.stand_by.ask("GET /v2/apps", Value::Null);
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
        assert!(was_passed_on(&answer) && answer.json["message"].as_str().unwrap().contains("no quorum"));
    }

    #[test]
    fn forwarding_connection_failed() {
        let world = World::new();
        follows(&world, &nobody());
        says(&world.ask("GET /v2/apps", Value::Null), 502, "Connection to leader refused.");
    }

    #[test]
    fn forwarding_loop() {
        let world = World::new();
        follows(&world, &nobody());
        let answer = world.send("GET /v2/apps", &[("x-marathon-via", "1.1 stand-by:8080, 1.1 stand-by:8080")], "");
        says(&answer, 502, "Detected proxying loop.");
    }

    #[test]
    fn forwarding_a_post_request_with_no_content_type_header_set() {
        let two = two();
        let answer = two.stand_by.send("POST /v2/apps", &[], &plain("/a", 1).to_string());
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert!(was_passed_on(&answer));
        assert!(two.leader.state().live_app(&crate::world::id("/a")).is_some(), "the leader has it");
        assert_eq!(two.stand_by.state().n_apps(), 0);
    }

    #[test]
    fn redirect_a_request_to_v2_events_to_a_leader() {
        let two = two();
        let answer = two.stand_by.send("GET /v2/events?event_type=x", &[("accept", "text/event-stream")], "");
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("location"), format!("http://{}/v2/events?event_type=x", two.address));
        assert_eq!(answer.json, json!(null), "no body");
    }
}

mod app_deploy_integration_test {
    use crate::world::{World, plain, router};
    use api::control::Leadership;
    use api::testing::Fake;

    #[test]
    fn create_a_simple_app_without_health_checks_via_secondary_proxying() {
        let (stand_by, leader) = (World::bare(), Fake::new());
        leader.add_node("n1", 4, 4096);
        let address = stand_by.serve(router(&leader)).to_string();
        let follows = |leading, this: &str| Leadership {
            leading,
            leader_http: Some(address.clone()),
            this_http: this.to_owned(),
        };
        leader.set_leadership(follows(true, &address));
        stand_by.fake.set_leadership(follows(false, "stand-by:8080"));
        let answer = stand_by.ask("POST /v2/apps", plain("/a", 1));
        assert_eq!((answer.status, answer.header("x-marathon-via")), (201, "1.1 stand-by:8080"));
        leader.settle();
        assert_eq!(stand_by.app("/a")["tasksRunning"], 1);
    }
}

mod info_integration_test {
    use crate::world::World;
    use serde_json::json;

    #[test]
    fn v2_info_returns_the_right_values() {
        let info = World::new().get("/v2/info");
        assert_eq!(
            (&info["name"], &info["elected"], &info["leader"]),
            (&json!("marathon"), &json!(true), &json!("leader:8080"))
        );
        assert!(info["version"].as_str().unwrap().starts_with("1.11."), "{info}");
        assert!(info["buildref"].as_str().unwrap().starts_with("ekiden "), "{info}");
        assert_eq!(info["frameworkId"].as_str().unwrap().len(), 12);
        let config = &info["marathon_config"];
        assert_eq!((&config["local_port_min"], &config["local_port_max"]), (&json!(10000), &json!(20000)));
        assert_eq!(info["http_config"]["http_port"], 8080);
    }

    /// Better: there is no ZooKeeper, so there are no credentials to show.
    #[test]
    fn v2_info_doesnt_include_the_zk_credentials() {
        let info = World::new().get("/v2/info");
        assert_eq!((&info["zookeeper_config"]["zk"], info.to_string().contains('@')), (&json!(""), false));
    }
}

mod info_resource_test {
    use crate::world::World;

    /// Better: there is no ZooKeeper, so there are no credentials to redact.
    #[test]
    fn zk_credentials_are_redacted() {
        let config = World::new().get("/v2/info")["zookeeper_config"].clone();
        assert_eq!((&config["zk"], &config["zk_max_versions"]), (&"".into(), &50.into()));
        assert_eq!(config["zk_session_timeout"], 0);
    }
}

mod leader_integration_test {
    use crate::world::{World, router, says};
    use api::control::Leadership;
    use api::testing::Fake;
    use serde_json::{Value, json};

    #[test]
    fn all_nodes_return_the_same_leader() {
        let first = World::new();
        let leader = Fake::new();
        let address = first.serve(router(&leader)).to_string();
        let tell = |fake: &Fake, leading, this: &str| {
            let leader_http = Some(address.clone());
            fake.set_leadership(Leadership { leading, leader_http, this_http: this.to_owned() });
        };
        tell(&leader, true, &address);
        tell(&first.fake, false, "m1:8080");
        assert_eq!(first.get("/v2/leader"), json!({ "leader": address }));
        tell(&first.fake, false, "m2:8080");
        assert_eq!(first.get("/v2/leader"), json!({ "leader": address }));
        assert_eq!(first.get("/v2/info")["leader"], json!(address));
        let none = World::new();
        none.fake.set_leadership(Leadership { leading: true, leader_http: None, this_http: "m3:8080".to_owned() });
        says(&none.ask("GET /v2/leader", Value::Null), 404, "There is no leader");
    }
}

mod system_resource_integration_test {
    use crate::world::World;

    #[test]
    fn respond_to_a_ping() {
        let world = World::new();
        for (accept, kind, text) in [
            ("text/plain", "text/plain", "pong"),
            ("text/html", "text/html", "pong"),
            ("application/json", "application/json", "\"pong\""),
        ] {
            let answer = world.send("GET /ping", &[("accept", accept)], "");
            assert_eq!((answer.status, answer.header("content-type"), answer.text.as_str()), (200, kind, text));
        }
        assert_eq!(world.send("HEAD /ping", &[], "").status, 200);
    }
}

mod metrics_integration_test {
    use crate::world::{World, plain};

    #[test]
    fn have_metrics_in_the_prometheus_format() {
        let world = World::new();
        world.run(plain("/a", 2));
        let answer = world.send("GET /metrics", &[("accept", "text/plain")], "");
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4"));
        for line in ["# TYPE ekiden_apps gauge", "ekiden_apps 1", "ekiden_instances_wanted 2"] {
            assert!(answer.text.lines().any(|it| it == line), "{line}\n{}", answer.text);
        }
    }
}

//! Names, times, versions and ports.

mod path_id_test {
    use crate::world::{World, plain, with};
    use cluster::catalog::{Subject, services};
    use cluster::{AppId, IdError, PathId};

    fn path(text: &str) -> PathId {
        PathId::parse(text).unwrap()
    }

    fn inside(group: &str, text: &str) -> String {
        PathId::parse_in(&path(group), text).unwrap().to_string()
    }

    #[test]
    fn be_parsed_from_string() {
        let segments: Vec<String> = path("/a/b/c/d").segments().map(str::to_owned).collect();
        assert_eq!(segments, ["a", "b", "c", "d"]);
    }

    #[test]
    fn parse_the_empty_list_from_empty_root_string() {
        assert!(path("/").is_root() && path("").is_root());
        assert_eq!(path("/").segments().count(), 0);
    }

    #[test]
    fn absolute_be_written_and_parsed_from_string() {
        assert_eq!(path("/a/b/c/d").to_string(), "/a/b/c/d");
        assert_eq!(path(&path("/a/b/c/d").to_string()), path("/a/b/c/d"));
    }

    #[test]
    fn relative_be_written_and_parsed_from_string() {
        assert_eq!(AppId::parse("a/b/c/d").unwrap().as_str(), "/a/b/c/d", "from the root");
        assert_eq!(inside("/x", "a/b"), "/x/a/b");
    }

    #[test]
    fn compute_the_canonical_path_when_path_is_relative() {
        for (group, text, expected) in [
            ("/a/b/c", "d/e/f", "/a/b/c/d/e/f"),
            ("/a/b/c", "./d", "/a/b/c/d"),
            ("/a/b/c", "../d", "/a/b/d"),
            ("/a/b/c", "../../d", "/a/d"),
            ("/a/b/c", "../././../d", "/a/d"),
        ] {
            assert_eq!(inside(group, text), expected, "{group} {text}");
        }
    }

    #[test]
    fn compute_the_canonical_path_when_path_is_absolute() {
        for (text, expected) in [("/test", "/test"), ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/a/b/../../c", "/c")] {
            assert_eq!(inside("/x/y", text), expected, "{text}");
        }
    }

    #[test]
    fn append_to_a_path() {
        assert_eq!((inside("/a/b", "c"), inside("/", "c")), ("/a/b/c".to_owned(), "/c".to_owned()));
    }

    /// Better: an app has one name that is resolved, in Consul, and it is never longer than a name may be.
    #[test]
    fn convert_to_a_hostname() {
        let world = World::new();
        let long = format!("/{}/x", "a".repeat(63));
        for (app, expected) in [("/test/foo", "foo-test"), ("/a", "a"), (&long, "")] {
            world.run(plain(app, 1));
            let instance = world.instances(app)[0].clone();
            let state = world.state();
            let services = services(&Subject {
                cluster: state.cluster(),
                node: &instance.node,
                agent: 1,
                address: "n1.example",
                instance: instance.id,
                app: &instance.app,
                version: instance.version,
                ports: &instance.ports,
                spec: &state.spec_of(&instance).unwrap(),
                rev: 1,
            });
            let name = services[0].name.clone();
            assert!(name.len() <= 63 && (name == expected || expected.is_empty()), "{app}: {name}");
        }
    }

    #[test]
    fn handles_root_paths() {
        assert!(path("/").is_root() && !path("/a").is_root());
        assert_eq!(AppId::parse("/"), Err(IdError::Empty), "no app");
    }

    #[test]
    fn match_another_pathid() {
        assert!(path("/a/b").contains("/a/b/c") && path("/a/b").contains("/a/b/c/d") && path("/").contains("/a"));
        assert!(!path("/a/b").contains("/a/b") && !path("/a/b").contains("/a/bc") && !path("/a/b").contains("/a"));
    }

    #[test]
    fn give_all_parents_as_sequence() {
        let parents: Vec<String> = path("/a/b/c/d").ancestors().map(|it| it.to_string()).collect();
        assert_eq!(parents, ["/a/b/c", "/a/b", "/a", "/"]);
        assert_eq!(path("/").ancestors().count(), 0);
    }

    #[test]
    fn should_return_the_first_element_of_the_path_or_empty_string_as_root() {
        assert_eq!((path("/a/b").segments().next(), path("/").segments().next()), (Some("a"), None));
    }

    #[test]
    fn be_sorted_if_all_paths_are_on_the_same_level() {
        assert!([path("/a"), path("/b"), path("/c")].is_sorted());
    }

    #[test]
    fn be_sorted_if_with_paths_on_different_levels() {
        assert!([path("/a"), path("/a/b"), path("/a/c"), path("/b"), path("/b/a")].is_sorted());
    }

    #[test]
    fn be_sorted_if_it_was_reversed() {
        let sorted = ["/a", "/a/b", "/b/a", "/c", "/d"].map(path);
        let mut reversed = sorted.clone();
        reversed.reverse();
        assert_ne!(reversed, sorted);
        reversed.sort();
        assert_eq!(reversed, sorted);
    }

    #[test]
    fn passed_legal_characters_be_valid() {
        for text in ["/foobar-0", "/a/b-c/d9", "/v1.2.3", "/0", "/a.b-c.d"] {
            assert_eq!(AppId::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn passed_illegal_characters_be_invalid() {
        for text in ["/@§", "/Foo", "/a_b", "/a b", "/-a", "/a-", "/a..b", "/a/b\u{e9}", "/a\n"] {
            assert_eq!(AppId::parse(text), Err(IdError::Pattern), "{text:?}");
        }
        let refused = World::bare().refused(with(plain("/@§", 1), serde_json::json!({})));
        assert!(refused.errors("/id").contains("must fully match regular expression"));
    }

    #[test]
    fn contains_reserved_keywords_be_invalid() {
        for text in ["/restart", "/foo/tasks", "/a/versions"] {
            assert_eq!(AppId::parse(text), Err(IdError::Reserved), "{text}");
        }
    }

    #[test]
    fn be_valid_if_the_keyword_used_elsewhere() {
        for text in ["/restart/foo", "/tasks/versions/x", "/a/restart-1", "/tasksx"] {
            assert_eq!(AppId::parse(text).unwrap().as_str(), text);
        }
    }
}

mod version_info_test {
    use crate::world::{World, plain};
    use serde_json::{Value, json};

    /// An app's version, and when it was last scaled and last configured: before and after a change.
    fn around(line: &str, change: Value) -> [[String; 3]; 2] {
        let world = World::new();
        world.run(plain("/a", 1));
        let read = || {
            let a = world.app("/a");
            let info = &a["versionInfo"];
            [&a["version"], &info["lastScalingAt"], &info["lastConfigChangeAt"]]
                .map(|it| it.as_str().unwrap().to_owned())
        };
        let before = read();
        world.done(line, change);
        [before, read()]
    }

    #[test]
    fn a_scaling_change_on_fullversion_only_changes_scalingat() {
        let [before, after] = around("PUT /v2/apps/a", json!({ "instances": 2 }));
        assert!(after[0] > before[0]);
        assert_eq!((&after[1], &after[2]), (&after[0], &before[2]));
    }

    #[test]
    fn a_restart_change_on_fullversion_only_changes_lastconfigchangeat() {
        let [before, after] = around("POST /v2/apps/a/restart", Value::Null);
        assert!(after[0] > before[0]);
        assert_eq!((&after[1], &after[2]), (&before[1], &after[0]));
    }

    #[test]
    fn a_config_change_on_fullversion_changes_scalingat_lastconfigchangeat() {
        for change in [json!({ "cmd": "x y" }), json!({ "labels": { "a": "b" } })] {
            let [before, after] = around("PUT /v2/apps/a", change);
            assert!(after[0] > before[0]);
            assert_eq!((&after[1], &after[2]), (&after[0], &after[0]));
        }
    }
}

mod timestamp_test {
    use crate::world::{World, plain};
    use api::time::{parse, print};
    use cluster::Timestamp;
    use serde_json::Value;

    #[test]
    fn ordering_have_the_correct_order() {
        let texts = [
            "2014-01-01T00:00:00.000Z",
            "2014-01-01T00:00:00.001Z",
            "2014-12-31T23:59:59.999Z",
            "2024-02-29T12:00:00.000Z",
        ];
        let times = texts.map(|it| parse(it).unwrap());
        assert!(times.is_sorted() && texts.is_sorted(), "as texts and as times");
        assert_eq!(times.map(print), texts);
    }

    #[test]
    fn be_before() {
        let now = Timestamp(1_000_000);
        assert!(now < now.plus_ms(5_000) && Timestamp(0).since_ms(now) == 0);
    }

    #[test]
    fn be_after() {
        let now = Timestamp(1_000_000);
        assert!(now.plus_ms(5_000) > now);
        assert_eq!(now.plus_ms(5_000).since_ms(now), 5_000);
    }

    #[test]
    fn fail_for_incorrect_string() {
        for text in
            ["20:39:32.972Z", "", "2014", "2014-13-01T00:00:00.000Z", "2014-02-30T00:00:00.000Z", "2014-01-01 00:00:00"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        let world = World::new();
        world.run(plain("/a", 1));
        let answer = world.ask("GET /v2/apps/a/versions/20:39:32.972Z", Value::Null);
        assert_eq!(answer.status, 422);
        assert!(answer.json["message"].as_str().unwrap().starts_with("Invalid timestamp provided '20:39:32.972Z'."));
    }
}

mod app_definition_port_assignments_test {
    use crate::world::{World, plain, spec, with};
    use cluster::{AppSpec, Network, PortSpec, WantedHostPort};
    use serde_json::json;
    use std::collections::BTreeMap;

    /// For each port of an app, the host port that a running instance has for it.
    fn assigned(spec: AppSpec) -> Vec<Option<u16>> {
        let world = World::new();
        world.run_spec(spec);
        let instance = world.instances("/a")[0].clone();
        let spec = world.state().spec_of(&instance).unwrap();
        (0..spec.run.ports.len()).map(|n| spec.host_port(n, &instance.ports)).collect()
    }

    /// An app on a Docker network of a name, with these host ports.
    fn on_named_network(ports: &[WantedHostPort]) -> AppSpec {
        let mut spec = spec(&plain("/a", 1));
        spec.run.network = Network::Container { name: "prod".to_owned(), labels: BTreeMap::new() };
        let port = spec.run.ports[0].clone();
        let named = |(n, host_port): (usize, &WantedHostPort)| PortSpec {
            container_port: 80 + n as u16,
            host_port: *host_port,
            name: Some(format!("p{n}")),
            ..port.clone()
        };
        spec.run.ports = ports.iter().enumerate().map(named).collect();
        spec
    }

    fn bridged(mappings: &serde_json::Value) -> AppSpec {
        let container = json!({ "docker": { "image": "x" }, "portMappings": mappings });
        spec(&with(plain("/a", 1), json!({ "networks": [{ "mode": "container/bridge" }], "container": container })))
    }

    #[test]
    fn portassignments_without_ip_allocation_and_bridge_mode_with_a_port_mapping() {
        assert_eq!(assigned(bridged(&json!([{ "containerPort": 80, "hostPort": 0 }]))), [Some(31_000)]);
    }

    #[test]
    fn portassignments_without_ip_allocation_docker_bridge_network_and_no_port_mappings() {
        assert_eq!(assigned(bridged(&json!([]))), []);
    }

    #[test]
    fn portassignments_with_ip_per_task_without_ports() {
        assert_eq!(assigned(on_named_network(&[])), []);
    }

    #[test]
    fn portassignments_with_ip_per_task_using_docker_user_networking_and_a_port_mapping_not_requesting_a_host_port() {
        assert_eq!(assigned(on_named_network(&[WantedHostPort::None])), [None]);
    }

    #[test]
    fn portassignments_with_ip_per_task_docker_user_networking_and_a_port_mapping_requesting_a_host_port() {
        assert_eq!(assigned(on_named_network(&[WantedHostPort::Any])), [Some(31_000)]);
    }

    #[test]
    fn portassignments_with_ip_per_task_docker_user_networking_and_a_mix_of_port_mappings() {
        let ports = [WantedHostPort::None, WantedHostPort::Any, WantedHostPort::Fixed(32_500)];
        assert_eq!(assigned(on_named_network(&ports)), [None, Some(31_000), Some(32_500)]);
    }

    #[test]
    fn portassignments_with_port_definitions() {
        let ports =
            |required| json!({ "requirePorts": required, "portDefinitions": [{ "port": 9000 }, { "port": 0 }] });
        assert_eq!(assigned(spec(&with(plain("/a", 1), ports(false)))), [Some(31_000), Some(31_001)]);
        assert_eq!(assigned(spec(&with(plain("/a", 1), ports(true)))), [Some(9000), Some(31_000)]);
    }

    #[test]
    fn portassignments_with_absolutely_no_ports() {
        assert_eq!(assigned(spec(&with(plain("/a", 1), json!({ "portDefinitions": [] })))), []);
    }
}

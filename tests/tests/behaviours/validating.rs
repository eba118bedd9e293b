//! Definitions: what is read, what is filled in, and what is refused.

use crate::world::{World, plain, with};
use serde_json::{Value, json};

/// What a definition with these fields is printed as; the rest is that of a small app.
fn read(fields: Value) -> Value {
    World::bare().created(with(plain("/a", 1), fields))
}

/// What is said of one place of a definition with these fields.
fn refused(fields: Value, place: &str) -> String {
    let answer = World::bare().refused(with(plain("/a", 1), fields));
    let errors = answer.errors(place);
    assert!(!errors.is_empty(), "nothing of {place}: {}", answer.text);
    errors
}

/// A definition on the bridge network with these port mappings.
fn mapped(mappings: &Value) -> Value {
    let container = json!({ "docker": { "image": "x" }, "portMappings": mappings });
    json!({ "networks": [{ "mode": "container/bridge" }], "container": container })
}

mod app_validation_test {
    use super::{mapped, read, refused};
    use serde_json::{Value, json};

    fn mapping(mapping: &Value) -> Value {
        read(mapped(&json!([mapping])))["container"]["portMappings"][0].clone()
    }

    #[test]
    fn limit_docker_containers_to_a_single_network() {
        let networks = json!({ "networks": [{ "mode": "container/bridge" }, { "mode": "container/bridge" }] });
        refused(networks, "/networks");
    }

    #[test]
    fn consider_a_valid_portmapping_with_a_name_as_valid() {
        let name = mapping(&json!({ "containerPort": 80, "hostPort": 80, "name": "foo" }))["name"].clone();
        assert_eq!(name, "foo");
    }

    #[test]
    fn consider_a_portmapping_with_no_name_as_valid() {
        assert!(mapping(&json!({ "containerPort": 80, "hostPort": 80 })).get("name").is_none());
    }

    #[test]
    fn consider_a_portmapping_without_a_hostport_as_valid() {
        assert_eq!(mapping(&json!({ "containerPort": 80 }))["containerPort"], 80);
    }

    #[test]
    fn consider_portmapping_with_zero_hostport_as_valid() {
        assert_eq!(mapping(&json!({ "containerPort": 80, "hostPort": 0 }))["hostPort"], 0);
    }

    #[test]
    fn port_definitions_must_have_unique_ports() {
        let ports = json!({ "portDefinitions": [{ "port": 9000 }, { "port": 9000 }] });
        assert!(refused(ports, "/portDefinitions").contains("Ports must be unique"));
        read(json!({ "portDefinitions": [{ "port": 0 }, { "port": 0 }, { "port": 9000 }] }));
    }

    #[test]
    fn port_definitions_must_have_unique_names() {
        let ports = json!({ "portDefinitions": [{ "port": 1, "name": "x" }, { "port": 2, "name": "x" }] });
        assert!(refused(ports, "/portDefinitions").contains("Port names must be unique."));
        read(json!({ "portDefinitions": [{ "port": 1, "name": "x" }, { "port": 2 }, { "port": 3 }] }));
    }

    #[test]
    fn missing_hostport_is_allowed_for_bridge_networking_so_we_can_normalize_it() {
        assert_eq!(mapping(&json!({ "containerPort": 8080 }))["hostPort"], 0);
    }

    #[test]
    fn pass_validation_even_when_no_ipprotocol_specified_when_mesos_http_https_tcp() {
        for protocol in ["MESOS_HTTP", "MESOS_TCP"] {
            let check = read(json!({ "healthChecks": [{ "protocol": protocol }] }))["healthChecks"][0].clone();
            assert_eq!((&check["protocol"], &check["ipProtocol"]), (&json!(protocol), &json!("IPv4")));
        }
    }

    #[test]
    fn should_pass_always_for_ipv4() {
        for protocol in ["HTTP", "TCP", "MESOS_HTTP", "MESOS_TCP"] {
            let check = json!({ "protocol": protocol, "ipProtocol": "IPv4" });
            assert_eq!(read(json!({ "healthChecks": [check] }))["healthChecks"][0]["ipProtocol"], "IPv4");
        }
    }
}

mod env_var_validation_test {
    use super::refused;
    use serde_json::json;

    #[test]
    fn fail_when_an_undefined_secret_is_referenced() {
        assert!(refused(json!({ "env": { "X": { "secret": "none" } } }), "/env/X").contains("secret"));
    }
}

mod scheduling_validation_test {
    use super::{read, refused};
    use serde_json::{Value, json};

    fn wrong(constraint: &Value) -> String {
        refused(json!({ "constraints": [constraint] }), "/constraints(0)")
    }

    #[test]
    fn validating_bogus_operator_fail_with_human_readable_error_message() {
        let words = "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS";
        assert!(wrong(&json!(["hostname", "SOMETHING", "x"])).contains(words));
    }

    #[test]
    fn validating_cluster_constraint() {
        for constraint in [json!(["attribute", "CLUSTER"]), json!(["attribute", "CLUSTER", "value"])] {
            assert_eq!(read(json!({ "constraints": [constraint] }))["constraints"], json!([constraint]));
        }
        assert!(wrong(&json!(["", "CLUSTER", "value"])).contains("missing field"));
    }

    #[test]
    fn validation_of_other_constraints() {
        for (constraint, words) in [
            (json!(["hostname", "UNIQUE", "x"]), "UNIQUE does not accept a value"),
            (json!(["hostname", "LIKE"]), "LIKE and UNLIKE require a non-empty, regular expression value"),
            (json!(["hostname", "UNLIKE", "*"]), "is not a valid regular expression"),
            (json!(["hostname", "MAX_PER"]), "MAX_PER requires an integer value"),
            (json!(["hostname", "MAX_PER", "x"]), "MAX_PER requires an integer value"),
            (json!(["hostname", "GROUP_BY", "x"]), "GROUP BY must define an integer value or else no value at all"),
            (json!(["hostname", "IS", "[1-3]"]), "IS requires"),
            (json!(["hostname"]), "illegal constraint specification"),
        ] {
            assert!(wrong(&constraint).contains(words), "{constraint}");
        }
    }
}

mod app_definition_formats_test {
    use super::{read, refused};
    use crate::world::World;
    use serde_json::json;

    #[test]
    fn tojson() {
        let a = read(json!({}));
        for (field, value) in [
            ("id", json!("/a")),
            ("cmd", json!("sleep 1000")),
            ("instances", json!(1)),
            ("disk", json!(0)),
            ("gpus", json!(0)),
            ("executor", json!("")),
            ("requirePorts", json!(false)),
            ("backoffSeconds", json!(1)),
            ("backoffFactor", json!(1.15)),
            ("maxLaunchDelaySeconds", json!(300)),
            ("networks", json!([{ "mode": "host" }])),
            ("portDefinitions", json!([{ "port": 10000, "name": "default", "protocol": "tcp" }])),
            ("killSelection", json!("YOUNGEST_FIRST")),
            ("labels", json!({})),
        ] {
            assert_eq!(a[field], value, "{field}");
        }
        assert!(!a.to_string().contains("null"), "absent, not null: {a}");
    }

    #[test]
    fn tojson_should_serialize_full_version_info() {
        let a = read(json!({}));
        let info = json!({ "lastScalingAt": a["version"], "lastConfigChangeAt": a["version"] });
        assert_eq!(a["versionInfo"], info);
    }

    #[test]
    fn fromjson() {
        let only = World::bare().created(json!({ "id": "test", "container": { "docker": { "image": "x" } } }));
        assert_eq!((&only["id"], &only["cpus"], &only["mem"]), (&json!("/test"), &json!(1), &json!(128)));
        assert!(only.get("cmd").is_none() && only.get("args").is_none());
    }

    #[test]
    fn fromjson_should_ignore_versioninfo() {
        let at = "2014-08-21T00:00:00.000Z";
        let a = read(json!({ "versionInfo": { "lastScalingAt": at, "lastConfigChangeAt": at } }));
        assert_ne!(a["versionInfo"]["lastScalingAt"], at);
    }

    #[test]
    fn fromjson_should_fail_for_empty_id() {
        refused(json!({ "id": "" }), "/id");
    }

    #[test]
    fn fromjson_should_fail_when_using_as_an_id() {
        refused(json!({ "id": "/" }), "/id");
    }

    #[test]
    fn fromjson_should_not_fail_when_cpus_is_greater_than_0() {
        assert_eq!(read(json!({ "cpus": 0.001 }))["cpus"], 0.001);
        refused(json!({ "cpus": 0 }), "/cpus");
    }

    #[test]
    fn fromjson_should_fail_when_env_contains_invalid_keys() {
        refused(json!({ "env": { "": "x" } }), "/env/");
        // What Marathon takes and no process can be given.
        refused(json!({ "env": { "A=B": "x" } }), "/env/A=B");
    }

    #[test]
    fn fromjson_should_read_the_default_upgrade_strategy() {
        let strategy = json!({ "minimumHealthCapacity": 1, "maximumOverCapacity": 1 });
        assert_eq!(read(json!({}))["upgradeStrategy"], strategy);
        assert_eq!(read(json!({ "upgradeStrategy": {} }))["upgradeStrategy"], strategy);
    }

    #[test]
    fn fromjson_should_throw_a_validation_exception_while_parsing_a_docker_container_with_unsupported_parameter() {
        let docker = json!({ "image": "x", "parameters": [{ "key": "pid", "value": "host" }] });
        refused(json!({ "container": { "docker": docker } }), "/container/docker/parameters(0)");
    }

    #[test]
    fn fromjson_should_parse_unreachable_disabled_instance_strategy() {
        assert_eq!(read(json!({ "unreachableStrategy": "disabled" }))["unreachableStrategy"], "disabled");
        refused(json!({ "unreachableStrategy": "never" }), "/unreachableStrategy");
    }

    #[test]
    fn fromjson_should_parse_unreachable_enabled_instance_strategy() {
        let strategy = json!({ "inactiveAfterSeconds": 600, "expungeAfterSeconds": 1200 });
        let a = read(json!({ "unreachableStrategy": strategy }));
        assert_eq!(a["unreachableStrategy"], strategy);
    }

    #[test]
    fn tojson_should_serialize_unreachable_instance_strategy() {
        let none = json!({ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 });
        assert_eq!(read(json!({}))["unreachableStrategy"], none);
    }

    #[test]
    fn fromjson_should_parse_kill_selection() {
        assert_eq!(read(json!({ "killSelection": "OLDEST_FIRST" }))["killSelection"], "OLDEST_FIRST");
    }

    #[test]
    fn fromjson_should_fail_for_invalid_kill_selection() {
        let errors = refused(json!({ "killSelection": "unknown" }), "/killSelection");
        assert!(errors.contains("YOUNGEST_FIRST, OLDEST_FIRST"), "{errors}");
    }

    #[test]
    fn tojson_should_serialize_kill_selection() {
        assert_eq!(read(json!({}))["killSelection"], "YOUNGEST_FIRST");
    }

    #[test]
    fn fromjson_should_fail_for_empty_container_4978() {
        refused(json!({ "container": {} }), "/container");
    }

    #[test]
    fn fromjson_should_throw_a_validation_exception_if_ports_and_portdefinitions_are_both_specified_and_not_equal() {
        let both = |ports| json!({ "ports": ports, "portDefinitions": [{ "port": 80 }] });
        refused(both(json!([81])), "/ports");
        assert_eq!(read(both(json!([80])))["portDefinitions"][0]["port"], 80);
    }
}

mod app_definition_test {
    use super::{mapped, read, refused};
    use crate::world::{World, plain, with};
    use serde_json::{Value, json};

    /// A health check of an app with these other fields, as printed.
    fn check(check: &Value, fields: Value) -> Value {
        read(with(fields, json!({ "healthChecks": [check] })))["healthChecks"][0].clone()
    }

    /// What is read is printed so that reading it again gives the same.
    fn round_trip(fields: Value) -> Value {
        let world = World::new();
        let first = world.created(with(plain("/a", 1), fields));
        let line = "PUT /v2/apps/a?partialUpdate=false&force=true";
        let answer = world.ask(line, with(first.clone(), json!({ "version": null })));
        assert_eq!((answer.status, &answer.json["version"]), (200, &first["version"]), "{}", answer.text);
        first
    }

    #[test]
    fn validation() {
        refused(json!({ "id": "/A" }), "/id");
        refused(json!({ "cmd": "x", "args": ["y"] }), "/");
        refused(json!({ "container": { "docker": { "image": "" } } }), "/container/docker/image");
        refused(json!({ "upgradeStrategy": { "maximumOverCapacity": -1 } }), "/upgradeStrategy/maximumOverCapacity");
        refused(json!({ "healthChecks": [{ "portIndex": 1 }] }), "/healthChecks(0)/portIndex");
        read(json!({ "healthChecks": [{ "portIndex": 0 }] }));
    }

    #[test]
    fn serializationroundtrip_empty() {
        assert_eq!(round_trip(json!({}))["id"], "/a");
    }

    #[test]
    fn reading_app_definition_with_command_health_check() {
        let check = check(&json!({ "protocol": "COMMAND", "command": { "value": "curl x" } }), json!({}));
        assert_eq!((&check["protocol"], &check["command"]), (&json!("COMMAND"), &json!({ "value": "curl x" })));
        assert!(check.get("portIndex").is_none() && check.get("path").is_none());
    }

    #[test]
    fn serializationroundtrip_with_complex_example() {
        let a = round_trip(json!({
            "cmd": "sleep 30", "user": "nobody", "env": { "key": "value" }, "instances": 5, "cpus": 5.0, "mem": 55,
            "disk": 550, "constraints": [["attribute", "GROUP_BY", "1"]], "portDefinitions": [{ "port": 9001, "labels": { "VIP": "x" } }],
            "requirePorts": true, "backoffSeconds": 5, "backoffFactor": 1.5, "maxLaunchDelaySeconds": 180,
            "container": {
                "docker": { "image": "r.example/x:1", "parameters": [{ "key": "hostname", "value": "x" }] },
                "volumes": [{ "containerPath": "/in", "hostPath": "/out", "mode": "RO" }],
            },
            "healthChecks": [{ "protocol": "TCP", "gracePeriodSeconds": 3 }, { "protocol": "COMMAND", "command": { "value": "x" } }],
            "upgradeStrategy": { "minimumHealthCapacity": 0.75, "maximumOverCapacity": 0.25 }, "labels": { "a": "b" },
            "unreachableStrategy": { "inactiveAfterSeconds": 3, "expungeAfterSeconds": 4 }, "taskKillGracePeriodSeconds": 7,
        }));
        assert_eq!(a["container"]["volumes"][0]["hostPath"], "/out");
        assert_eq!(a["portDefinitions"][0]["labels"]["VIP"], "x");
    }

    #[test]
    fn serializationroundtrip_preserves_portindex() {
        let a = round_trip(
            json!({ "portDefinitions": [{ "port": 0 }, { "port": 0 }], "healthChecks": [{ "portIndex": 1 }] }),
        );
        assert_eq!(a["healthChecks"][0]["portIndex"], 1);
    }

    #[test]
    fn reading_appdefinition_adds_portindex_to_a_marathon_http_health_check_if_the_app_has_ports() {
        assert_eq!(check(&json!({}), json!({ "portDefinitions": [{ "port": 0 }] }))["portIndex"], 0);
    }

    /// Better: a check that needs a port is refused where the app has none; Marathon takes it, and it fails for ever.
    #[test]
    fn reading_appdefinition_does_not_add_portindex_to_a_marathon_http_health_check_if_the_app_doesnt_have_ports() {
        let fields = json!({ "portDefinitions": [], "healthChecks": [{}] });
        assert!(refused(fields, "/healthChecks(0)/portIndex").contains("must address an element of the ports array"));
    }

    #[test]
    fn reading_appdefinition_adds_portindex_to_a_marathon_http_health_check_if_it_has_at_least_one_portmapping() {
        assert_eq!(check(&json!({}), mapped(&json!([{ "containerPort": 1 }])))["portIndex"], 0);
    }

    /// Better: a check that needs a port is refused where the app has none; Marathon takes it, and it fails for ever.
    #[test]
    fn reading_appdefinition_does_not_add_portindex_to_a_marathon_http_health_check_if_it_has_no_ports_nor_portmappings()
     {
        let fields = with(mapped(&json!([])), json!({ "healthChecks": [{}] }));
        refused(fields, "/healthChecks(0)/portIndex");
        let fields = with(mapped(&json!([])), json!({ "healthChecks": [{ "port": 8080 }] }));
        assert!(read(fields)["healthChecks"][0].get("portIndex").is_none(), "one with a number needs none");
    }

    /// Better: a check that needs a port is refused where the app has none; Marathon takes it, and it fails for ever.
    #[test]
    fn reading_appdefinition_does_not_add_portindex_to_a_mesos_http_health_check_if_the_app_doesnt_have_ports() {
        let fields = json!({ "portDefinitions": [], "healthChecks": [{ "protocol": "MESOS_HTTP" }] });
        refused(fields, "/healthChecks(0)/portIndex");
    }

    #[test]
    fn reading_appdefinition_adds_portindex_to_a_mesos_http_health_check_if_it_has_at_least_one_portmapping() {
        let check = check(&json!({ "protocol": "MESOS_HTTP" }), mapped(&json!([{ "containerPort": 1 }])));
        assert_eq!((&check["portIndex"], &check["protocol"]), (&json!(0), &json!("MESOS_HTTP")));
    }

    #[test]
    fn read_app_with_container_definition_and_port_mappings() {
        let mapping =
            json!({ "containerPort": 8080, "hostPort": 31_000, "servicePort": 9000, "protocol": "udp", "name": "x" });
        let a = read(mapped(&json!([mapping])));
        assert_eq!(a["container"]["portMappings"], json!([with(mapping, json!({ "labels": {} }))]));
    }

    #[test]
    fn container_port_mappings_when_empty_stays_empty() {
        assert_eq!(read(mapped(&json!([])))["container"]["portMappings"], json!([]));
    }

    /// Whether a change of these fields replaces the running instances.
    fn upgrades(fields: Value) -> bool {
        let world = World::new();
        world.run(plain("/a", 1));
        let before = world.tasks("/a");
        world.done("PUT /v2/apps/a", fields);
        world.tasks("/a") != before
    }

    /// Better: only what is inside the container replaces running instances; labels, constraints, checks and
    /// strategies change while they run on.
    #[test]
    fn isupgrade() {
        for inside in [
            json!({ "cmd": "x y" }),
            json!({ "cpus": 0.2 }),
            json!({ "mem": 64 }),
            json!({ "env": { "A": "1" } }),
            json!({ "user": "nobody" }),
            json!({ "container": { "docker": { "image": "other:1" } } }),
            json!({ "portDefinitions": [{ "port": 0 }, { "port": 0 }] }),
        ] {
            assert!(upgrades(inside.clone()), "{inside}");
        }
        for policy in [
            json!({ "instances": 1 }),
            json!({ "labels": { "a": "b" } }),
            json!({ "constraints": [["hostname", "UNIQUE"]] }),
            json!({ "healthChecks": [{ "protocol": "TCP" }] }),
            json!({ "upgradeStrategy": { "minimumHealthCapacity": 0.5 } }),
            json!({ "backoffSeconds": 7 }),
            json!({ "killSelection": "OLDEST_FIRST" }),
            json!({ "unreachableStrategy": "disabled" }),
        ] {
            assert!(!upgrades(policy.clone()), "{policy}");
        }
    }
}

mod port_definition_test {
    use super::{read, refused};
    use serde_json::{Value, json};

    fn port(definition: &Value) -> Value {
        read(json!({ "portDefinitions": [definition] }))["portDefinitions"][0].clone()
    }

    #[test]
    fn valid_portdefinition_should_be_valid() {
        let definition = json!({ "port": 80, "protocol": "tcp", "name": "http-port", "labels": { "foo": "bar" } });
        assert_eq!(port(&definition), definition);
    }

    #[test]
    fn portdefinition_with_tcp_and_udp_should_be_valid() {
        for protocol in ["udp,tcp", "tcp,udp"] {
            assert_eq!(port(&json!({ "port": 80, "protocol": protocol }))["protocol"], "udp,tcp");
        }
    }

    #[test]
    fn valid_portdefinition_with_no_name_should_be_valid() {
        assert_eq!(port(&json!({ "port": 80, "protocol": "tcp" })), json!({ "port": 80, "protocol": "tcp" }));
    }

    #[test]
    fn portdefinition_with_invalid_protocol_is_invalid() {
        refused(json!({ "portDefinitions": [{ "port": 80, "protocol": "icmp" }] }), "/portDefinitions(0)/protocol");
    }

    #[test]
    fn portdefinition_with_invalid_port_is_invalid() {
        for port in [-1, 65_536] {
            refused(json!({ "portDefinitions": [{ "port": port }] }), "/portDefinitions(0)/port");
        }
    }
}

mod unreachable_strategy_test {
    use super::{read, refused};
    use serde_json::{Value, json};

    fn strategy(inactive: u64, expunge: u64) -> Value {
        json!({ "unreachableStrategy": { "inactiveAfterSeconds": inactive, "expungeAfterSeconds": expunge } })
    }

    #[test]
    fn validate_default_strategy() {
        assert_eq!(
            read(json!({ "unreachableStrategy": {} }))["unreachableStrategy"],
            strategy(0, 0)["unreachableStrategy"]
        );
    }

    #[test]
    fn validate_with_other_parameters_successfully() {
        assert_eq!(read(strategy(13, 37))["unreachableStrategy"], strategy(13, 37)["unreachableStrategy"]);
    }

    #[test]
    fn sees_disabled_as_valid() {
        assert_eq!(read(json!({ "unreachableStrategy": "disabled" }))["unreachableStrategy"], "disabled");
    }

    #[test]
    fn fail_when_time_until_expunge_is_smaller() {
        let errors = refused(strategy(2, 1), "/unreachableStrategy/inactiveAfterSeconds");
        assert!(errors.contains("must be less than or equal to expungeAfterSeconds"), "{errors}");
    }

    #[test]
    fn succeed_when_time_until_expunge_is_equal_to_time_until_inactive() {
        assert_eq!(read(strategy(5, 5))["unreachableStrategy"]["expungeAfterSeconds"], 5);
    }
}

mod model_validation_test {
    use super::{mapped, read};
    use crate::world::{World, plain, with};
    use cluster::{Command, GroupUpdate, PathId};
    use serde_json::json;

    #[test]
    fn an_empty_group_update_should_pass_validation() {
        let world = World::new();
        let update = GroupUpdate { id: PathId::parse("/a").unwrap(), apps: None, groups: None, dependencies: None };
        world.command(Command::PutGroup { update, absent: false, force: false }).unwrap();
        assert!(world.state().has_group(&PathId::parse("/a").unwrap()));
    }

    #[test]
    fn model_validation_should_allow_new_apps_that_do_not_conflict_with_service_ports_in_existing_apps() {
        let world = World::new();
        let on = |port: u16| mapped(&json!([{ "containerPort": 80, "servicePort": port }]));
        world.run(with(plain("/app1", 1), on(3200)));
        world.run(with(plain("/app2", 1), on(3201)));
        assert_eq!(world.app("/app2")["container"]["portMappings"][0]["servicePort"], 3201);
    }

    #[test]
    fn multiple_errors_within_one_field_of_a_validator_should_be_grouped_into_one_array() {
        let ports = json!({ "portDefinitions": [{ "port": 80, "name": "x" }, { "port": 80, "name": "x" }] });
        let answer = World::new().refused(with(plain("/a", 1), ports));
        let details = answer.json["details"].as_array().unwrap();
        assert_eq!((details.len(), details[0]["errors"].as_array().unwrap().len()), (1, 2), "{details:?}");
        assert_eq!(details[0]["path"], "/portDefinitions");
    }

    #[test]
    fn validators_should_not_produce_value_string_at_the_end_of_description() {
        let fields = json!({ "cpus": -1, "upgradeStrategy": { "minimumHealthCapacity": -1 } });
        let answer = World::new().refused(with(plain("/a", 1), fields));
        let paths: Vec<_> = answer.json["details"].as_array().unwrap().iter().map(|it| it["path"].clone()).collect();
        assert_eq!(paths, ["/upgradeStrategy/minimumHealthCapacity", "/cpus"]);
    }

    #[test]
    fn portdefinition_should_be_allowed_to_contain_tcp_and_udp_as_protocol() {
        let a = read(json!({ "portDefinitions": [{ "port": 80, "name": "foo", "protocol": "udp,tcp" }] }));
        assert_eq!(a["portDefinitions"][0]["protocol"], "udp,tcp");
    }
}

mod resource_role_test {
    use super::{read, refused};
    use crate::world::{World, plain, resident, spec};
    use serde_json::json;

    #[test]
    fn if_acceptedresourceroles_is_not_provided_an_app_should_be_valid_regardless_of_its_residency() {
        let world = World::new();
        world.put(spec(&plain("/a", 1))).unwrap();
        world.put(resident(spec(&plain("/b", 1)))).unwrap();
        world.settle();
        assert_eq!((world.wanted("/a").len(), world.wanted("/b").len()), (1, 1));
    }

    #[test]
    fn if_acceptedresourceroles_is_provided_a_non_resident_app_is_valid_only_if_it_contains_valid_role_names() {
        assert_eq!(read(json!({ "acceptedResourceRoles": ["*"] }))["acceptedResourceRoles"], json!(["*"]));
        // Beside `*` a name says nothing: any node will do.
        refused(json!({ "acceptedResourceRoles": ["badRole"] }), "/acceptedResourceRoles");
    }
}

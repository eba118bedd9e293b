//! Where instances go: constraints.

mod constraints_test {
    use crate::world::{World, id, plain, with};
    use cluster::place::Rules;
    use serde_json::{Value, json};

    /// Nodes, each with its attributes.
    type Nodes<'a> = &'a [(&'a str, &'a [(&'a str, &'a str)])];

    const RACKS: Nodes<'_> = &[
        ("a1", &[("rack", "1"), ("jdk", "7")]),
        ("a2", &[("rack", "1"), ("jdk", "8")]),
        ("b1", &[("rack", "2"), ("jdk", "7")]),
        ("b2", &[("rack", "2"), ("jdk", "8")]),
        ("c1", &[("rack", "3")]),
    ];

    fn world(nodes: Nodes<'_>) -> World {
        let world = World::bare();
        for (name, attributes) in nodes {
            world.add_node(name, attributes);
        }
        world
    }

    /// A world with an app of so many instances under one constraint.
    fn placed(nodes: Nodes<'_>, constraint: &Value, n: u32) -> World {
        let world = world(nodes);
        world.done("POST /v2/apps", with(plain("/a", n), json!({ "constraints": [constraint] })));
        world
    }

    /// The values of a field on the nodes of the app's instances, sorted.
    fn values(world: &World, field: &str) -> Vec<String> {
        let state = world.state();
        let value = |it: &cluster::NodeId| state.node(it).unwrap().field(field).unwrap_or("none").to_owned();
        let mut values: Vec<String> = world.instances("/a").iter().map(|it| value(&it.node)).collect();
        values.sort();
        values
    }

    /// The nodes that take one more instance.
    fn takers(world: &World) -> Vec<String> {
        let state = world.state();
        let rules = Rules::of(&state, state.app(&id("/a")).unwrap(), state.moment());
        state.nodes().filter(|it| rules.refusal(it).is_none()).map(|it| it.id().to_string()).collect()
    }

    #[test]
    fn select_tasks_to_kill_for_a_single_group_by_works() {
        let world = placed(&RACKS[..4], &json!(["rack", "GROUP_BY"]), 6);
        assert_eq!(values(&world, "rack"), ["1", "1", "1", "2", "2", "2"]);
        world.done("PUT /v2/apps/a", json!({ "instances": 4 }));
        assert_eq!(values(&world, "rack"), ["1", "1", "2", "2"]);
    }

    #[test]
    fn select_only_tasks_to_kill_for_an_unbalanced_distribution() {
        let world = world(&RACKS[..1]);
        world.run(with(plain("/a", 5), json!({ "constraints": [["rack", "GROUP_BY"]] })));
        world.add_node("b1", &[("rack", "2")]);
        world.done("PUT /v2/apps/a", json!({ "instances": 6 }));
        assert_eq!(values(&world, "rack"), ["1", "1", "1", "1", "1", "2"]);
        world.done("PUT /v2/apps/a", json!({ "instances": 3 }));
        assert_eq!(values(&world, "rack"), ["1", "1", "2"], "only those of the full rack");
    }

    #[test]
    fn select_tasks_to_kill_for_multiple_group_by_works() {
        let world = world(&RACKS[..4]);
        let constraints = json!({ "constraints": [["rack", "GROUP_BY"], ["jdk", "GROUP_BY"]] });
        world.run(with(plain("/a", 8), constraints));
        world.done("PUT /v2/apps/a", json!({ "instances": 4 }));
        assert_eq!(values(&world, "rack"), ["1", "1", "2", "2"]);
        assert_eq!(values(&world, "jdk"), ["7", "7", "8", "8"]);
    }

    #[test]
    fn does_not_select_any_task_without_constraint() {
        let world = world(&RACKS[..1]);
        world.run(plain("/a", 3));
        let oldest = world.wanted("/a")[0];
        world.add_node("b1", &[("rack", "2")]);
        world.done("PUT /v2/apps/a", json!({ "instances": 4 }));
        world.done("PUT /v2/apps/a", json!({ "instances": 1 }));
        assert_eq!(world.wanted("/a"), [oldest], "by age alone");
    }

    #[test]
    fn uniquehostconstraint() {
        let world = placed(&RACKS[..3], &json!(["hostname", "UNIQUE"]), 4);
        assert_eq!(values(&world, "hostname"), ["a1", "a2", "b1"]);
        assert!(takers(&world).is_empty() && world.is_deploying(), "the fourth waits");
    }

    #[test]
    fn generic_property_constraints() {
        assert_eq!(takers(&placed(RACKS, &json!(["jdk", "CLUSTER", "7"]), 0)), ["a1", "b1"]);
        let world = placed(RACKS, &json!(["rack", "CLUSTER"]), 4);
        let racks = values(&world, "rack");
        assert!(racks.len() == 4 && racks.iter().all(|it| *it == racks[0]), "all where the first one is: {racks:?}");
        assert_eq!(values(&placed(RACKS, &json!(["rack", "UNIQUE"]), 5), "rack"), ["1", "2", "3"]);
    }

    #[test]
    fn attributeslikebyconstraints() {
        assert_eq!(takers(&placed(RACKS, &json!(["jdk", "LIKE", "7"]), 0)), ["a1", "b1"]);
        assert_eq!(takers(&placed(RACKS, &json!(["jdk", "LIKE", "[78]"]), 0)), ["a1", "a2", "b1", "b2"]);
        assert_eq!(takers(&placed(RACKS, &json!(["hostname", "LIKE", "a"]), 0)), [""; 0], "the whole value must match");
    }

    #[test]
    fn attributesunlikebyconstraints() {
        assert_eq!(takers(&placed(RACKS, &json!(["jdk", "UNLIKE", "7"]), 0)), ["a2", "b2", "c1"]);
    }

    #[test]
    fn allow_initial_placement_when_no_placements_yet() {
        assert_eq!(takers(&placed(RACKS, &json!(["rack", "GROUP_BY", "3"]), 0)).len(), 5);
    }

    #[test]
    fn allow_second_placement() {
        let world = placed(RACKS, &json!(["rack", "GROUP_BY", "3"]), 1);
        let taken = values(&world, "rack")[0].clone();
        let state = world.state();
        let racks: Vec<String> = takers(&world)
            .iter()
            .map(|it| state.node(&cluster::NodeId::new(it)).unwrap().field("rack").unwrap().to_owned())
            .collect();
        assert!(!racks.is_empty() && !racks.contains(&taken), "another rack first: {racks:?}");
    }

    #[test]
    fn allow_final_placement() {
        let world = placed(RACKS, &json!(["rack", "GROUP_BY", "3"]), 6);
        assert_eq!(values(&world, "rack"), ["1", "1", "2", "2", "3", "3"]);
    }

    #[test]
    fn allow_remainder_to_be_allocated_groups() {
        let world = placed(RACKS, &json!(["rack", "GROUP_BY", "3"]), 4);
        let racks = values(&world, "rack");
        assert!(racks.len() == 4 && ["1", "2", "3"].iter().all(|it| racks.contains(&(*it).to_owned())), "{racks:?}");
    }

    #[test]
    fn not_allow_more_than_1_remainder_to_be_assigned_to_a_group() {
        let world = placed(RACKS, &json!(["rack", "GROUP_BY", "3"]), 5);
        let racks = values(&world, "rack");
        let most = ["1", "2", "3"].map(|rack| racks.iter().filter(|it| *it == rack).count()).into_iter().max();
        assert_eq!((racks.len(), most), (5, Some(2)));
    }

    /// Better: a rack that is new is always taken, so that instances are spread as evenly as they can be; Marathon
    /// keeps to as many racks as the number says.
    #[test]
    fn reject_additional_racks_after_group_number_racks_are_placed() {
        let world = placed(&RACKS[..4], &json!(["rack", "GROUP_BY", "2"]), 2);
        assert_eq!(values(&world, "rack"), ["1", "2"]);
        world.add_node("c1", &[("rack", "3")]);
        world.done("PUT /v2/apps/a", json!({ "instances": 3 }));
        assert_eq!(values(&world, "rack"), ["1", "2", "3"]);
    }

    #[test]
    fn not_accept_an_offer_lacking_the_attribute_being_grouped_by() {
        assert_eq!(takers(&placed(RACKS, &json!(["jdk", "GROUP_BY", "2"]), 0)), ["a1", "a2", "b1", "b2"]);
    }

    #[test]
    fn groupby_works_with_scalar_values() {
        let nodes: Nodes<'_> = &[("a", &[("speed", "1.5")]), ("b", &[("speed", "2")]), ("c", &[("speed", "2")])];
        assert_eq!(values(&placed(nodes, &json!(["speed", "GROUP_BY"]), 4), "speed"), ["1.5", "1.5", "2", "2"]);
    }

    #[test]
    fn group_by_works_for_the_host_attribute() {
        let world = placed(&RACKS[..3], &json!(["hostname", "GROUP_BY"]), 6);
        assert_eq!(values(&world, "hostname"), ["a1", "a1", "a2", "a2", "b1", "b1"]);
    }

    #[test]
    fn hostnamemaxperconstraints() {
        let world = placed(&RACKS[..2], &json!(["hostname", "MAX_PER", "2"]), 5);
        assert_eq!(values(&world, "hostname"), ["a1", "a1", "a2", "a2"]);
        assert!(takers(&world).is_empty());
    }

    #[test]
    fn rackmaxperconstraints() {
        let world = placed(RACKS, &json!(["rack", "MAX_PER", "2"]), 9);
        assert_eq!(values(&world, "rack"), ["1", "1", "2", "2", "3", "3"]);
    }

    #[test]
    fn attributestypes() {
        let nodes: Nodes<'_> =
            &[("a", &[("x", "[1-3]")]), ("b", &[("x", "{a,b}")]), ("c", &[("x", "1.5")]), ("d", &[("x", "t")])];
        for (pattern, expected) in [(r"\[1-3\]", "a"), (r"\{a,b\}", "b"), (r"1\.5", "c"), ("t", "d")] {
            assert_eq!(takers(&placed(nodes, &json!(["x", "LIKE", pattern]), 0)), [expected], "{pattern}");
        }
    }

    const ZONES: Nodes<'_> = &[
        ("a", &[("region", "eu"), ("zone", "eu-1")]),
        ("b", &[("region", "eu"), ("zone", "eu-2")]),
        ("c", &[("region", "us"), ("zone", "us-1")]),
    ];

    #[test]
    fn apply_constraints_when_region_is_specified() {
        assert_eq!(takers(&placed(ZONES, &json!(["@region", "IS", "eu"]), 0)), ["a", "b"]);
        assert_eq!(values(&placed(ZONES, &json!(["@region", "UNIQUE"]), 3), "@region"), ["eu", "us"]);
    }

    #[test]
    fn apply_constraints_when_zone_is_specified() {
        assert_eq!(takers(&placed(ZONES, &json!(["@zone", "LIKE", "eu-.*"]), 0)), ["a", "b"]);
        assert_eq!(values(&placed(ZONES, &json!(["@zone", "GROUP_BY"]), 3), "@zone"), ["eu-1", "eu-2", "us-1"]);
    }

    #[test]
    fn require_that_a_value_match_exactly() {
        let nodes: Nodes<'_> =
            &[("a", &[("x", "value")]), ("b", &[("x", "value2")]), ("c", &[("x", "Value")]), ("d", &[])];
        assert_eq!(takers(&placed(nodes, &json!(["x", "IS", "value"]), 0)), ["a"]);
    }
}

//! Groups: what they are, what a change of one is, and how it comes up.

mod root_group_test {
    use crate::tree::{after, around, group, group_after, path, small};
    use crate::world::{World, id};
    use cluster::Rejected;

    fn of(apps: &[&str]) -> World {
        let world = World::new();
        world.put_all(apps.iter().map(|it| small(it, 0)).collect(), false).unwrap();
        world
    }

    #[test]
    fn find_an_app_by_its_path() {
        let world = of(&["/a/b/c"]);
        assert_eq!(world.state().live_app(&id("/a/b/c")).unwrap().id.as_str(), "/a/b/c");
    }

    #[test]
    fn find_an_app_without_a_parent() {
        let world = of(&["/app"]);
        assert!(world.state().live_app(&id("/app")).unwrap().id.group().is_root());
    }

    #[test]
    fn cannot_find_an_app_if_its_not_existing() {
        let world = of(&["/a/b/c"]);
        assert!(["/a", "/a/b", "/a/b/d", "/c"].iter().all(|it| world.state().live_app(&id(it)).is_none()));
    }

    #[test]
    fn can_find_a_group_by_its_path() {
        let world = of(&["/a/b/c"]);
        assert!(world.has_group("/") && world.has_group("/a") && world.has_group("/a/b"));
    }

    #[test]
    fn can_not_find_a_group_if_its_not_existing() {
        let world = of(&["/a/b/c"]);
        assert!(!world.has_group("/b") && !world.has_group("/a/b/c") && !world.has_group("/a/x"));
    }

    #[test]
    fn can_delete_a_node_based_in_the_path() {
        let world = of(&["/a/b/c", "/a/b/d", "/a/e"]);
        world.remove_group("/a/b", false).unwrap();
        world.settle();
        assert_eq!((world.apps(), world.has_group("/a/b")), (vec!["/a/e".to_owned()], false));
    }

    #[test]
    fn can_make_groups_specified_by_a_path() {
        let world = World::new();
        world.run_group(group("/test/foo/one", vec![]));
        assert!(["/test", "/test/foo", "/test/foo/one"].iter().all(|it| world.has_group(it)));
    }

    /// Better: a group that somebody made is not replaced in silence; it is to be removed first.
    #[test]
    fn can_replace_a_group_without_apps_by_an_app_definition() {
        let world = World::new();
        world.run_group(group("/some/nested", vec![]));
        let refused = world.put(small("/some/nested", 0));
        assert_eq!(refused, Err(Rejected::PathIsGroup { path: path("/some/nested") }));
        world.remove_group("/some/nested", false).unwrap();
        world.put(small("/some/nested", 0)).unwrap();
        assert_eq!(world.apps(), ["/some/nested"]);
    }

    #[test]
    fn cannot_replace_a_group_with_apps_by_an_app_definition() {
        let world = of(&["/some/nested/app"]);
        let refused = world.put(small("/some/nested", 0));
        assert_eq!(refused, Err(Rejected::Nested { app: id("/some/nested"), other: id("/some/nested/app") }));
        assert_eq!(world.apps(), ["/some/nested/app"]);
    }

    #[test]
    fn can_turn_a_group_with_group_dependencies_into_a_dependency_graph() {
        let world = World::new();
        let a = group_after(group("/test/a", vec![small("/test/a/x", 1)]), &["/test/b"]);
        let b = group_after(group("/test/b", vec![small("/test/b/y", 1)]), &["/test/c"]);
        let c = group("/test/c", vec![small("/test/c/z", 1)]);
        let applied = world.put_group(around("/test", vec![a, b, c])).unwrap();
        assert_eq!(world.steps(&applied), [["/test/c/z"], ["/test/b/y"], ["/test/a/x"]]);
    }

    #[test]
    fn can_turn_a_group_with_app_dependencies_into_a_dependency_graph() {
        let world = World::new();
        let apps = vec![
            after(small("/test/a", 1), &["/test/b", "/test/c"]),
            after(small("/test/b", 1), &["/test/c"]),
            small("/test/c", 1),
        ];
        let applied = world.put_group(group("/test", apps)).unwrap();
        assert_eq!(world.steps(&applied), [["/test/c"], ["/test/b"], ["/test/a"]]);
    }

    #[test]
    fn can_turn_a_group_without_dependencies_into_a_dependency_graph() {
        let world = World::new();
        let apps = ["/test/a", "/test/b", "/test/c"].map(|it| small(it, 1)).to_vec();
        let applied = world.put_group(group("/test", apps)).unwrap();
        assert_eq!(world.steps(&applied), [["/test/a", "/test/b", "/test/c"]]);
    }

    #[test]
    fn detects_a_cyclic_dependency_graph() {
        let world = World::new();
        let apps = vec![after(small("/test/a", 1), &["/test/b"]), after(small("/test/b", 1), &["/test/a"])];
        assert_eq!(world.put_group(group("/test", apps)), Err(Rejected::Cyclic));
        let a = group_after(group("/test/a", vec![small("/test/a/x", 1)]), &["/test/b"]);
        let b = group("/test/b", vec![after(small("/test/b/y", 1), &["/test/a/x"])]);
        assert_eq!(world.put_group(around("/test", vec![a, b])), Err(Rejected::Cyclic));
        assert!(world.apps().is_empty() && !world.has_group("/test"), "a refusal changes nothing");
    }

    #[test]
    fn can_contain_a_path_which_has_the_same_name_multiple_times_in_it() {
        let world = World::new();
        world.run_group(group("/test/service/test", vec![small("/test/service/test/test", 1)]));
        assert_eq!(world.apps(), ["/test/service/test/test"]);
        assert!(world.has_group("/test/service/test") && !world.has_group("/test/test"));
    }

    #[test]
    fn should_receive_a_non_root_group_with_nested_groups_as_an_updated_and_properly_propagate_transitiveappsbyid() {
        let world = of(&["/other"]);
        let inner = group("/test/group1", vec![small("/test/group1/app1", 0)]);
        let mut outer = around("/test", vec![inner]);
        outer.apps = Some(vec![small("/test/app2", 0)]);
        world.run_group(outer);
        assert_eq!(world.apps(), ["/other", "/test/app2", "/test/group1/app1"]);
        let inside: Vec<String> = world.state().apps_in(&path("/test")).map(|it| it.id.to_string()).collect();
        assert_eq!(inside, ["/test/app2", "/test/group1/app1"]);
    }

    #[test]
    fn should_receive_a_non_root_group_without_nested_groups_as_an_updated_and_properly_propagate_transitiveappsbyid_3()
    {
        let world = of(&["/test/a", "/test/b"]);
        world.run_group(group("/test", vec![small("/test/a", 0)]));
        assert_eq!(world.apps(), ["/test/a"], "what is not listed goes");
    }

    #[test]
    fn update_a_mid_level_group_dependency() {
        let world = of(&["/test/mid/app", "/test/other/app"]);
        let mid = group("/test/mid", vec![small("/test/mid/app", 1)]);
        world.run_group(group_after(mid, &["/test/other"]));
        let spec = world.state().group(&path("/test/mid")).unwrap().current().unwrap().clone();
        assert_eq!(spec.dependencies, [path("/test/other")]);
        let mut first = small("/test/other/app", 1);
        first.run.cmd = Some("x y".to_owned());
        let mut then = small("/test/mid/app", 1);
        then.run.cmd = Some("x y".to_owned());
        let applied = world.put_all(vec![then, first], false).unwrap();
        assert_eq!(world.steps(&applied), [["/test/other/app"], ["/test/mid/app"]]);
    }

    #[test]
    fn update_a_top_level_group_parameter() {
        let world = of(&["/test/app", "/db/app"]);
        let only_dependencies =
            |it: &[&str]| group_after(cluster::GroupUpdate { apps: None, ..group("/test", vec![]) }, it);
        world.run_group(only_dependencies(&["/db"]));
        assert_eq!(world.apps(), ["/db/app", "/test/app"], "what is not given stays");
        let of = |world: &World| world.state().group(&path("/test")).unwrap().current().unwrap().dependencies.clone();
        assert_eq!(of(&world), [path("/db")]);
        world.run_group(only_dependencies(&[]));
        assert_eq!(of(&world), []);
    }
}

mod group_update_test {
    use crate::tree::{around, group, group_after, path, small};
    use crate::world::World;
    use cluster::PathId;

    #[test]
    fn a_group_update_can_be_applied_to_an_empty_group() {
        let world = World::new();
        let test =
            around("/test", vec![group("/test/foo", vec![]), group("/test/apps", vec![small("/test/apps/a", 1)])]);
        world.run_group(group_after(test, &["/other"]));
        assert_eq!(world.apps(), ["/test/apps/a"]);
        assert!(world.has_group("/test/foo"), "empty ones are kept");
        assert_eq!(world.state().group(&path("/test")).unwrap().current().unwrap().dependencies, [path("/other")]);
    }

    #[test]
    fn a_group_update_can_be_applied_to_existing_entries() {
        let world = World::new();
        world
            .put_all(
                ["/test/group1/app1", "/test/group2/app2", "/test/group3/app3"].map(|it| small(it, 1)).to_vec(),
                false,
            )
            .unwrap();
        world.settle();
        let before = world.wanted("/test/group1/app1");
        let one = group("/test/group1", vec![small("/test/group1/app1", 1), small("/test/group1/new", 1)]);
        let two = cluster::GroupUpdate { apps: None, ..group("/test/group2", vec![]) };
        world.run_group(around("/test", vec![one, two]));
        assert_eq!(world.apps(), ["/test/group1/app1", "/test/group1/new", "/test/group2/app2"]);
        assert_eq!(world.wanted("/test/group1/app1"), before);
        assert!(!world.has_group("/test/group3"));
    }

    #[test]
    fn groupupdate_will_update_a_group_correctly() {
        let world = World::new();
        world.run_group(group("/test", vec![small("/test/app", 1)]));
        let before = world.wanted("/test/app");
        world.run_group(group("/test", vec![small("/test/app", 3)]));
        assert_eq!((world.wanted("/test/app").len(), world.wanted("/test/app")[0]), (3, before[0]));
    }

    #[test]
    fn relative_path_of_a_dependency_should_be_relative_to_group_and_not_to_the_app() {
        let group = path("/test/group");
        for (text, expected) in
            [("foo", "/test/group/foo"), ("../foo", "/test/foo"), ("/foo", "/foo"), ("./x/y", "/test/group/x/y")]
        {
            assert_eq!(PathId::parse_in(&group, text).unwrap().as_str(), expected, "{text}");
        }
    }
}

mod group_deploy_integration_test {
    use crate::tree::{after, around, group, group_after, path, small};
    use crate::world::{World, app, spec, with};
    use cluster::{Command, Health, Outcome, Rejected};
    use serde_json::json;

    /// The status with which the API answers a refusal.
    fn status(rejected: Rejected) -> u16 {
        api::error::Error::from(rejected).answer().0.as_u16()
    }

    /// An app with a health check, of which half may be missing during an update.
    fn checked(path: &str, n: u32, cmd: &str) -> cluster::AppSpec {
        let strategy = json!({ "minimumHealthCapacity": 0.5, "maximumOverCapacity": 0 });
        spec(&with(app(path, n), json!({ "cmd": cmd, "upgradeStrategy": strategy })))
    }

    #[test]
    fn create_empty_group_successfully() {
        let world = World::new();
        let applied = world.put_group(group("/test", vec![])).unwrap();
        assert!(applied.version.is_some() && world.has_group("/test") && !world.is_deploying());
    }

    #[test]
    fn update_empty_group_successfully() {
        let world = World::new();
        world.run_group(group("/test", vec![]));
        let first = world.state().group(&path("/test")).unwrap().clone();
        world.run_group(group_after(group("/test", vec![]), &["/test2"]));
        assert!(world.state().group(&path("/test")).unwrap().versions.len() > first.versions.len());
    }

    #[test]
    fn deleting_an_existing_group_gives_a_200_http_response() {
        let world = World::new();
        world.run_group(group("/test", vec![small("/test/app", 1)]));
        let applied = world.remove_group("/test", false).unwrap();
        world.settle();
        assert_eq!(world.outcome(&applied.deployment.unwrap().to_string()), Some(Outcome::Succeeded));
        assert!(!world.has_group("/test") && world.apps().is_empty());
    }

    #[test]
    fn delete_a_non_existing_group_should_give_a_404_http_response() {
        let refused = World::new().remove_group("/none", false).unwrap_err();
        assert_eq!(refused.to_string(), "Group '/none' does not exist");
        assert_eq!(status(refused), 404);
    }

    #[test]
    fn create_a_group_with_applications_to_start() {
        let world = World::new();
        world.run_group(group("/test", vec![small("/test/app", 2)]));
        assert_eq!(world.app("/test/app")["tasksRunning"], 2);
    }

    #[test]
    fn update_a_group_with_applications_to_restart() {
        let world = World::new();
        world.run_group(group("/test", vec![small("/test/app", 1)]));
        let before = world.tasks("/test/app");
        let mut changed = small("/test/app", 1);
        changed.run.cmd = Some("tail -F /dev/null".to_owned());
        world.run_group(group("/test", vec![changed]));
        assert!(world.tasks("/test/app").len() == 1 && world.tasks("/test/app") != before);
    }

    #[test]
    fn update_a_group_with_the_same_application_so_no_restart_is_triggered() {
        let world = World::new();
        world.run_group(group("/test", vec![small("/test/app", 1)]));
        let before = world.tasks("/test/app");
        world.run_group(group("/test", vec![small("/test/app", 1)]));
        assert_eq!(world.tasks("/test/app"), before);
    }

    #[test]
    fn create_a_group_with_application_with_health_checks() {
        let world = World::new();
        world.put_group(group("/test", vec![checked("/test/app", 1, "x 1")])).unwrap();
        world.obey(Health::Unknown);
        assert!(world.is_deploying());
        world.running(world.wanted("/test/app")[0], Health::Healthy);
        assert!(!world.is_deploying());
    }

    #[test]
    fn upgrade_a_group_with_application_with_health_checks() {
        let world = World::new();
        world.run_group(group("/test", vec![checked("/test/app", 2, "x 1")]));
        world.put_group(group("/test", vec![checked("/test/app", 2, "x 2")])).unwrap();
        world.settle();
        assert_eq!(
            (world.picture("/test/app").as_str(), &world.app("/test/app")["cmd"]),
            ("2 new healthy", &json!("x 2"))
        );
    }

    #[test]
    fn rollback_from_an_upgrade_of_group() {
        let world = World::new();
        let first = world.put_group(group("/test", vec![checked("/test/app", 2, "x 1")])).unwrap();
        world.settle();
        world.run_group(group("/test", vec![checked("/test/app", 2, "x 2"), small("/test/other", 1)]));
        let version = first.version.unwrap();
        world.command(Command::RestoreGroup { group: path("/test"), version, force: false }).unwrap();
        world.settle();
        assert_eq!((world.apps(), &world.app("/test/app")["cmd"]), (vec!["/test/app".to_owned()], &json!("x 1")));
        assert_eq!(world.picture("/test/app"), "2 new healthy");
    }

    #[test]
    fn during_deployment_the_defined_minimum_health_capacity_is_never_undershot() {
        let world = World::new();
        world.run_group(group("/test", vec![checked("/test/app", 4, "x 1")]));
        world.put_group(group("/test", vec![checked("/test/app", 4, "x 2")])).unwrap();
        let healthy = || world.instances("/test/app").iter().filter(|it| it.health == Health::Healthy).count();
        let mut rounds = 0;
        while world.is_deploying() {
            assert!(healthy() >= 2, "{}", world.picture("/test/app"));
            // One instance at a time becomes healthy.
            world.obey(Health::Unknown);
            let slow = world
                .instances("/test/app")
                .iter()
                .find(|it| it.health == Health::Unknown && it.is_running())
                .map(|it| it.id);
            if let Some(id) = slow {
                world.running(id, Health::Healthy);
            }
            rounds += 1;
            assert!(rounds < 50);
        }
        assert_eq!(world.picture("/test/app"), "4 new healthy");
    }

    #[test]
    fn an_upgrade_in_progress_cannot_be_interrupted_without_force() {
        let world = World::new();
        world.run_group(group("/test", vec![checked("/test/app", 2, "x 1")]));
        world.put_group(group("/test", vec![checked("/test/app", 2, "x 2")])).unwrap();
        let third = group("/test", vec![checked("/test/app", 2, "x 3")]);
        let refused = world.put_group(third.clone()).unwrap_err();
        assert!(matches!(refused, Rejected::Locked { .. }));
        assert_eq!(status(refused), 409);
        world.command(Command::PutGroup { update: third, absent: false, force: true }).unwrap();
        world.settle();
        assert_eq!(
            (world.picture("/test/app").as_str(), &world.app("/test/app")["cmd"]),
            ("2 new healthy", &json!("x 3"))
        );
    }

    #[test]
    fn a_group_with_a_running_deployment_can_not_be_deleted_without_force() {
        let world = World::new();
        world.put_group(group("/test", vec![checked("/test/app", 2, "x 1")])).unwrap();
        world.obey(Health::Unhealthy);
        assert_eq!(status(world.remove_group("/test", false).unwrap_err()), 409);
        world.remove_group("/test", true).unwrap();
        world.settle();
        assert!(world.apps().is_empty() && !world.is_deploying());
    }

    #[test]
    fn groups_with_applications_with_circular_dependencies_cannot_get_deployed() {
        let world = World::new();
        let apps = vec![
            after(small("/test/db", 1), &["/test/frontend"]),
            after(small("/test/service", 1), &["/test/db"]),
            after(small("/test/frontend", 1), &["/test/service"]),
        ];
        let refused = world.put_group(group("/test", apps)).unwrap_err();
        assert_eq!(refused.to_string(), "Dependency graph has cyclic dependencies.");
        assert_eq!(status(refused), 422);
    }

    /// The apps that have instances, after each round in which all agents obey.
    fn rounds(world: &World) -> Vec<Vec<String>> {
        let mut rounds = Vec::new();
        loop {
            rounds.push(world.apps().into_iter().filter(|it| !world.wanted(it).is_empty()).collect());
            if !world.obey(Health::Healthy) {
                return rounds;
            }
        }
    }

    #[test]
    fn applications_with_dependencies_get_deployed_in_the_correct_order() {
        let world = World::new();
        let apps = vec![
            small("/test/db", 1),
            after(small("/test/service", 1), &["/test/db"]),
            after(small("/test/frontend", 1), &["/test/service"]),
        ];
        world.put_group(group("/test", apps)).unwrap();
        let expected = [
            vec!["/test/db"],
            vec!["/test/db", "/test/service"],
            vec!["/test/db", "/test/frontend", "/test/service"],
            vec!["/test/db", "/test/frontend", "/test/service"],
        ];
        assert_eq!(rounds(&world), expected);
    }

    #[test]
    fn groups_with_dependencies_get_deployed_in_the_correct_order() {
        let world = World::new();
        let db = group("/test/db", vec![small("/test/db/db1", 1)]);
        let service = group_after(group("/test/service", vec![small("/test/service/s1", 1)]), &["/test/db"]);
        let frontend = group_after(group("/test/frontend", vec![small("/test/frontend/f1", 1)]), &["/test/service"]);
        world.put_group(around("/test", vec![frontend, service, db])).unwrap();
        let rounds = rounds(&world);
        assert_eq!(rounds[0], ["/test/db/db1"]);
        assert_eq!(rounds[1], ["/test/db/db1", "/test/service/s1"]);
        assert_eq!(rounds[2].len(), 3);
    }

    #[test]
    fn groups_with_relative_dependencies_still_can_be_deployed() {
        let world = World::new();
        let inside = path("/test/service");
        let relative = cluster::PathId::parse_in(&inside, "../db").unwrap();
        let mut service = group("/test/service", vec![small("/test/service/s1", 1)]);
        service.dependencies = Some(vec![relative]);
        world.put_group(around("/test", vec![service, group("/test/db", vec![small("/test/db/db1", 1)])])).unwrap();
        assert_eq!(rounds(&world)[0], ["/test/db/db1"]);
        assert_eq!(world.apps().len(), 2);
    }
}

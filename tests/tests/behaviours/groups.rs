//! Groups and deployments: what a change of several apps does, in which order, and how it is taken back.

use crate::world::{World, id, plain, resident, spec};
use cluster::{AppSpec, Applied, Command, Expect, GroupUpdate, PathId, Rejected};

/// A small app without health checks.
fn small(path: &str, instances: u32) -> AppSpec {
    spec(&plain(path, instances))
}

/// The same app, after those of these paths.
fn after(mut spec: AppSpec, dependencies: &[&str]) -> AppSpec {
    spec.policy.dependencies = dependencies.iter().map(|it| path(it)).collect();
    spec
}

fn path(text: &str) -> PathId {
    PathId::parse(text).unwrap()
}

/// A group with these apps of its own.
fn group(of: &str, apps: Vec<AppSpec>) -> GroupUpdate {
    GroupUpdate { id: path(of), apps: Some(apps), groups: None, dependencies: None }
}

/// A group that has these groups in it.
fn around(of: &str, groups: Vec<GroupUpdate>) -> GroupUpdate {
    GroupUpdate { id: path(of), apps: None, groups: Some(groups), dependencies: None }
}

/// The same group, after those of these paths.
fn group_after(mut update: GroupUpdate, dependencies: &[&str]) -> GroupUpdate {
    update.dependencies = Some(dependencies.iter().map(|it| path(it)).collect());
    update
}

impl World {
    fn put_group(&self, update: GroupUpdate) -> Result<Applied, Rejected> {
        self.command(Command::PutGroup { update, absent: false, force: false })
    }

    /// Puts a group and lets it come up.
    fn run_group(&self, update: GroupUpdate) {
        self.put_group(update).unwrap();
        self.settle();
        assert!(!self.is_deploying());
    }

    fn remove_group(&self, of: &str, force: bool) -> Result<Applied, Rejected> {
        self.command(Command::RemoveGroup { group: path(of), force })
    }

    fn roll_back(&self, applied: &Applied) {
        self.command(Command::RollBack { deployment: applied.deployment.unwrap() }).unwrap();
        self.settle();
        assert!(!self.is_deploying());
    }

    fn put_all(&self, apps: Vec<AppSpec>, force: bool) -> Result<Applied, Rejected> {
        let apps = apps.into_iter().map(|it| (it, Expect::Any)).collect();
        self.command(Command::PutApps { apps, force })
    }

    /// The apps of a deployment, by step.
    fn steps(&self, applied: &Applied) -> Vec<Vec<String>> {
        let state = self.state();
        let deployment = state.deployment(applied.deployment.unwrap()).unwrap();
        let of = |n| deployment.changes.iter().filter(move |(_, it)| it.step == n).map(|(app, _)| app.to_string());
        (1..=deployment.n_steps()).map(|n| of(n).collect()).collect()
    }

    /// The live apps, by path.
    fn apps(&self) -> Vec<String> {
        self.state().apps().filter(|it| !it.removing).map(|it| it.id.to_string()).collect()
    }

    fn has_group(&self, of: &str) -> bool {
        self.state().has_group(&path(of))
    }
}

mod root_group_test {
    use super::{after, around, group, group_after, id, path, small};
    use crate::world::World;
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
    use super::{around, group, group_after, path, small};
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

mod deployment_plan_test {
    use super::{Expect, after, group, id, resident, small};
    use crate::world::{World, with};
    use cluster::{AppSpec, Command, Rejected};
    use serde_json::{Value, json};

    fn changed(mut spec: AppSpec) -> AppSpec {
        spec.run.cmd = Some("sleep 7".to_owned());
        spec
    }

    /// The steps as users see them: each with its actions.
    fn printed(world: &World) -> Vec<Vec<String>> {
        let words = |it: &Value| {
            format!(
                "{} {}",
                it["action"].as_str().unwrap().trim_end_matches("Application"),
                it["app"].as_str().unwrap()
            )
        };
        let step = |it: &Value| it["actions"].as_array().unwrap().iter().map(words).collect();
        world.get("/v2/deployments")[0]["steps"].as_array().unwrap().iter().map(step).collect()
    }

    /// A world of these apps, each with one instance.
    fn running(apps: &[&str]) -> World {
        let world = World::new();
        world.put_all(apps.iter().map(|it| small(it, 1)).collect(), false).unwrap();
        world.settle();
        world
    }

    #[test]
    fn partition_a_simple_groups_apps_into_concurrently_deployable_subsets() {
        let world = World::new();
        let apps = vec![
            after(small("/group/a", 1), &["/group/b", "/group/c"]),
            after(small("/group/b", 1), &["/group/c"]),
            after(small("/group/c", 1), &["/group/d"]),
            small("/group/d", 1),
        ];
        let applied = world.put_group(group("/group", apps)).unwrap();
        assert_eq!(world.steps(&applied), [["/group/d"], ["/group/c"], ["/group/b"], ["/group/a"]]);
    }

    #[test]
    fn partition_a_complex_groups_apps_into_concurrently_deployable_subsets() {
        let world = World::new();
        let apps = vec![
            after(small("/g/a", 1), &["/g/b", "/g/c"]),
            after(small("/g/b", 1), &["/g/d"]),
            after(small("/g/c", 1), &["/g/d"]),
            small("/g/d", 1),
            small("/g/e", 1),
            after(small("/g/f", 1), &["/g/e"]),
        ];
        let applied = world.put_group(group("/g", apps)).unwrap();
        assert_eq!(world.steps(&applied), [vec!["/g/d", "/g/e"], vec!["/g/b", "/g/c", "/g/f"], vec!["/g/a"]]);
    }

    #[test]
    fn start_from_empty_group() {
        let world = World::new();
        world.put_group(group("/group", vec![small("/group/app", 2)])).unwrap();
        assert_eq!(printed(&world), [["Start /group/app"], ["Scale /group/app"]]);
    }

    #[test]
    fn start_from_running_group() {
        let world = running(&["/app", "/app2", "/app3", "/app4"]);
        let (scaled, new) = (small("/app2", 10), small("/app5", 1));
        let applied =
            world.put_group(group("/", vec![changed(small("/app", 1)), scaled, small("/app3", 1), new])).unwrap();
        let expected = [vec!["Stop /app4"], vec!["Start /app5"], vec!["Restart /app", "Scale /app2", "Scale /app5"]];
        assert_eq!(printed(&world), expected, "/app3 is as it was");
        assert!(applied.deployment.is_some());
    }

    #[test]
    fn can_compute_affected_app_ids() {
        let world = running(&["/app", "/app2", "/app3", "/app4"]);
        world.put_group(group("/", vec![changed(small("/app", 1)), small("/app2", 10), small("/app3", 1)])).unwrap();
        assert_eq!(world.get("/v2/deployments")[0]["affectedApps"], json!(["/app", "/app2", "/app4"]));
    }

    #[test]
    fn when_updating_a_group_with_dependencies_the_correct_order_is_computed() {
        let world = World::new();
        let apps = |cmd: &str| {
            let mut apps = vec![small("/test/mongo", 1), after(small("/test/service", 1), &["/test/mongo"])];
            for app in &mut apps {
                app.run.cmd = Some(cmd.to_owned());
            }
            apps
        };
        world.run_group(group("/test", apps("x 1")));
        world.put_group(group("/test", apps("x 2"))).unwrap();
        assert_eq!(printed(&world), [["Restart /test/mongo"], ["Restart /test/service"]]);
        assert_eq!(world.picture("/test/service"), "1 new running", "it waits for its turn");
        world.settle();
        assert!(!world.is_deploying());
    }

    #[test]
    fn when_starting_apps_without_dependencies_they_are_first_started_and_then_scaled_parallely() {
        let world = World::new();
        world.put_group(group("/test", vec![small("/test/a", 1), small("/test/b", 4)])).unwrap();
        let expected = [["Start /test/a", "Start /test/b"], ["Scale /test/a", "Scale /test/b"]];
        assert_eq!(printed(&world), expected);
        assert_eq!((world.wanted("/test/a").len(), world.wanted("/test/b").len()), (1, 4));
    }

    #[test]
    fn when_updating_apps_without_dependencies_the_restarts_are_executed_in_the_same_step() {
        let world = running(&["/test/a", "/test/b"]);
        world.put_group(group("/test", vec![changed(small("/test/a", 1)), changed(small("/test/b", 1))])).unwrap();
        assert_eq!(printed(&world), [["Restart /test/a", "Restart /test/b"]]);
    }

    #[test]
    fn when_updating_a_group_with_dependent_and_independent_applications_the_correct_order_is_computed() {
        let world = running(&["/test/toremove", "/test/mongo"]);
        let apps = vec![
            changed(small("/test/mongo", 1)),
            after(small("/test/service", 1), &["/test/mongo"]),
            small("/test/independent", 1),
        ];
        world.put_group(group("/test", apps)).unwrap();
        let expected = [
            vec!["Stop /test/toremove"],
            vec!["Start /test/independent", "Start /test/service"],
            vec!["Scale /test/independent", "Restart /test/mongo"],
            vec!["Scale /test/service"],
        ];
        assert_eq!(printed(&world), expected);
    }

    #[test]
    fn when_the_only_action_is_to_stop_an_application() {
        let world = running(&["/test/app"]);
        world.put_group(group("/test", vec![])).unwrap();
        assert_eq!(printed(&world), [["Stop /test/app"]]);
        world.settle();
        assert!(world.apps().is_empty());
    }

    #[test]
    fn should_create_non_empty_deployment_plan_when_only_args_have_changed() {
        let world = running(&["/app"]);
        let mut other = small("/app", 1);
        (other.run.cmd, other.run.args) = (None, vec!["bar".to_owned()]);
        world.put(other).unwrap();
        assert_eq!(printed(&world), [["Restart /app"]]);
    }

    #[test]
    fn dont_restart_apps_that_have_not_changed() {
        let world = running(&["/app"]);
        let before = world.wanted("/app");
        let applied = world.put_group(group("/", vec![small("/app", 1)])).unwrap();
        assert_eq!((world.steps(&applied).len(), world.wanted("/app"), world.is_deploying()), (0, before, false));
    }

    #[test]
    fn restart_apps_that_have_not_changed_but_a_new_version() {
        let world = running(&["/app"]);
        let before = world.wanted("/app");
        world.command(Command::RestartApp { app: id("/app"), force: false }).unwrap();
        assert_eq!(printed(&world), [["Restart /app"]]);
        world.settle();
        assert_ne!(world.wanted("/app"), before);
    }

    #[test]
    fn scaleapplication_step_is_created_with_taskstokill() {
        let world = World::new();
        world.run_spec(small("/app", 2));
        let [kept, killed] = world.wanted("/app")[..] else { panic!("two") };
        let kill = Command::Kill { instances: vec![killed], scale: true, force: false, wipe: false };
        world.command(kill).unwrap();
        assert_eq!(printed(&world), [["Scale /app"]]);
        assert_eq!(world.wanted("/app"), [kept]);
    }

    #[test]
    fn deployment_plan_allows_valid_updates_for_resident_tasks() {
        let world = World::new();
        world.run_spec(resident(small("/app", 1)));
        let before = world.instances("/app")[0].reservation;
        world.run_spec(changed(resident(small("/app", 1))));
        assert_eq!((world.instances("/app")[0].reservation, world.picture("/app").as_str()), (before, "1 new running"));
    }

    #[test]
    fn deployment_plan_validation_fails_for_invalid_changes_in_resident_tasks() {
        let world = World::new();
        world.run_spec(resident(small("/app", 1)));
        let mut other = resident(small("/app", 1));
        if let cluster::Volume::Persistent(volume) = &mut other.run.volumes[0] {
            volume.size_mib = 20;
        }
        let refused = world.command(Command::PutApps { apps: vec![(other, Expect::Any)], force: true });
        assert!(matches!(refused, Err(Rejected::Resident { .. })), "{refused:?}");
        assert!(!world.is_deploying());
    }

    // The action is called a restart, which with no instance is the same.
    #[test]
    fn deployment_plan_treats_app_conf_update_and_scale_down_to_0_instances_as_scale_only_change() {
        let world = World::new();
        world.run(with(crate::world::plain("/app", 2), json!({ "labels": { "x": "y" } })));
        let id = world.change("PUT /v2/apps/app", json!({ "cmd": "x y", "instances": 0 }));
        assert_eq!(world.picture("/app"), "2 old stopping", "all at once, and nothing is launched");
        world.settle();
        assert_eq!(world.outcome(&id), Some(cluster::Outcome::Succeeded));
    }
}

mod deployment_plan_revert_test {
    use super::{around, group, group_after, path, small};
    use crate::world::World;
    use cluster::Command;

    fn running() -> World {
        let world = World::new();
        world.put_all(vec![small("/app", 1), small("/g/app", 1), small("/other/app", 1)], false).unwrap();
        world.settle();
        world
    }

    #[test]
    fn revert_app_addition() {
        let world = running();
        let before = world.apps();
        let added = world.put_all(vec![small("/g/new", 1), small("/newgroup/new", 1)], false).unwrap();
        world
            .command(Command::PutApps { apps: vec![(small("/other/later", 1), cluster::Expect::Any)], force: false })
            .unwrap();
        world.roll_back(&added);
        let mut expected = before;
        expected.push("/other/later".to_owned());
        assert_eq!(world.apps(), expected, "what others did stays");
        assert!(!world.has_group("/newgroup"));
    }

    #[test]
    fn revert_app_removal() {
        let world = running();
        let removed = world.command(Command::RemoveApp { app: super::id("/g/app"), force: false }).unwrap();
        assert_eq!(world.apps(), ["/app", "/other/app"]);
        world.roll_back(&removed);
        assert_eq!((world.apps().len(), world.picture("/g/app").as_str()), (3, "1 new running"));
    }

    #[test]
    fn revert_removing_a_group_without_apps() {
        let world = running();
        world.run_group(group_after(group("/empty", vec![]), &["/other"]));
        // An app that goes too keeps the deployment under way, so that there is something to revert.
        world.run_group(group("/g/empty", vec![]));
        let removed = world.remove_group("/g", false).unwrap();
        assert!(!world.has_group("/g/empty"));
        world.roll_back(&removed);
        assert!(world.has_group("/g/empty") && world.has_group("/empty"));
    }

    #[test]
    fn revert_removing_a_group_with_apps() {
        let world = running();
        world.run_group(group_after(group("/g", vec![small("/g/app", 1), small("/g/two", 1)]), &["/other"]));
        let removed = world.remove_group("/g", false).unwrap();
        assert_eq!(world.apps(), ["/app", "/other/app"]);
        world.roll_back(&removed);
        assert_eq!(world.apps(), ["/app", "/g/app", "/g/two", "/other/app"]);
        assert_eq!(world.state().group(&path("/g")).unwrap().current().unwrap().dependencies, [path("/other")]);
    }

    #[test]
    fn revert_group_dependency_changes() {
        let world = running();
        let of = |dependencies: &[&str], cmd: &str| {
            let mut app = small("/g/app", 1);
            app.run.cmd = Some(cmd.to_owned());
            around(
                "/",
                vec![group_after(group("/g", vec![app]), dependencies), group("/other", vec![small("/other/app", 1)])],
            )
        };
        world.run_group(of(&["/other"], "x 1"));
        let changed = world.put_group(of(&["/app"], "x 2")).unwrap();
        world.roll_back(&changed);
        assert_eq!(world.state().group(&path("/g")).unwrap().current().unwrap().dependencies, [path("/other")]);
        assert_eq!(world.state().live_app(&super::id("/g/app")).unwrap().current.spec.run.cmd.as_deref(), Some("x 1"));
    }
}

mod deployment_actor_test {
    use super::{group, id, small};
    use crate::world::World;
    use cluster::{Command, Outcome};

    #[test]
    fn deploy() {
        let world = World::new();
        let apps = ["/g/app1", "/g/app2", "/g/app4"].map(|it| small(it, 2)).to_vec();
        world.run_group(group("/g", apps));
        let mut restarted = small("/g/app2", 2);
        restarted.run.cmd = Some("x y".to_owned());
        let applied = world.put_group(group("/g", vec![small("/g/app1", 1), restarted, small("/g/app3", 1)])).unwrap();
        let mut events = world.listen("?event_type=deployment_success&event_type=deployment_step_success");
        world.settle();
        assert_eq!(world.outcome(&applied.deployment.unwrap().to_string()), Some(Outcome::Succeeded));
        let told = events.until("deployment_success");
        assert_eq!(told.len(), 5, "one for each app, and the end: {told:?}");
        let n = ["/g/app1", "/g/app2", "/g/app3", "/g/app4"].map(|it| world.wanted(it).len());
        assert_eq!(n, [1, 2, 1, 0]);
    }

    #[test]
    fn restart_app() {
        let world = World::new();
        world.run_spec(small("/a", 2));
        let before = world.wanted("/a");
        let applied = world.command(Command::RestartApp { app: id("/a"), force: false }).unwrap();
        world.settle();
        assert!(world.wanted("/a").iter().all(|it| !before.contains(it)));
        assert_eq!(world.outcome(&applied.deployment.unwrap().to_string()), Some(Outcome::Succeeded));
    }

    #[test]
    fn restart_suspended_app() {
        let world = World::new();
        world.run_spec(small("/a", 0));
        let applied = world.command(Command::RestartApp { app: id("/a"), force: false }).unwrap();
        assert_eq!(world.outcome(&applied.deployment.unwrap().to_string()), Some(Outcome::Succeeded), "at once");
        assert!(world.wanted("/a").is_empty());
    }

    #[test]
    fn scale_with_taskstokill() {
        let world = World::new();
        world.run_spec(small("/a", 3));
        let [first, second, third] = world.wanted("/a")[..] else { panic!("three") };
        let kill = Command::Kill { instances: vec![second], scale: true, force: false, wipe: false };
        world.command(kill).unwrap();
        world.settle();
        assert_eq!(world.wanted("/a"), [first, third]);
    }
}

mod deployment_manager_actor_test {
    use super::{id, small};
    use crate::world::World;
    use cluster::{Command, Outcome, Rejected};

    #[test]
    fn deployment() {
        let world = World::new();
        let id = world.put(small("/a", 1)).unwrap();
        assert_eq!(world.state().active_deployments().map(|it| it.id).collect::<Vec<_>>(), [id]);
    }

    #[test]
    fn finished_deployment() {
        let world = World::new();
        let mut events = world.listen("?event_type=deployment_success");
        let id = world.put(small("/a", 1)).unwrap().to_string();
        world.settle();
        assert_eq!((world.outcome(&id), events.next().1["id"].as_str()), (Some(Outcome::Succeeded), Some(id.as_str())));
        assert!(!world.is_deploying());
    }

    #[test]
    fn able_to_see_deployment_when_listing_deployments_after_it_was_started() {
        let world = World::new();
        let id = world.put(small("/a", 1)).unwrap().to_string();
        assert_eq!(world.get("/v2/deployments")[0]["id"].as_str(), Some(id.as_str()));
    }

    #[test]
    fn conflicting_not_forced_deployment() {
        let world = World::new();
        let first = world.put(small("/a", 1)).unwrap();
        assert_eq!(world.put(small("/a", 2)), Err(Rejected::Locked { deployments: vec![first] }));
        let answer = world.ask("PUT /v2/apps/a", serde_json::json!({ "instances": 2 }));
        assert_eq!((answer.status, &answer.json["deployments"][0]["id"]), (409, &first.to_string().into()));
        assert!(answer.json["message"].as_str().unwrap().starts_with("App is locked by one or more deployments."));
        assert_eq!(world.outcome(&first.to_string()), None, "it goes on");
    }

    #[test]
    fn conflicting_forced_deployment() {
        let world = World::new();
        let first = world.put(small("/a", 1)).unwrap();
        let mut events = world.listen("?event_type=deployment_failed");
        let second = world.put_all(vec![small("/a", 2)], true).unwrap().deployment.unwrap();
        assert_eq!(world.outcome(&first.to_string()), Some(Outcome::Superseded { by: second }));
        assert_eq!(events.next().1["id"], first.to_string());
        world.settle();
        assert_eq!((world.outcome(&second.to_string()), world.wanted("/a").len()), (Some(Outcome::Succeeded), 2));
    }

    #[test]
    fn multiple_conflicting_forced_deployments() {
        let world = World::new();
        let ids: Vec<_> =
            (1..=4).map(|n| world.put_all(vec![small("/a", n)], true).unwrap().deployment.unwrap()).collect();
        assert_eq!(world.state().active_deployments().map(|it| it.id).collect::<Vec<_>>(), [ids[3]]);
        for pair in ids.windows(2) {
            assert_eq!(world.outcome(&pair[0].to_string()), Some(Outcome::Superseded { by: pair[1] }));
        }
        world.settle();
        assert_eq!(world.wanted("/a").len(), 4);
    }

    #[test]
    fn cancel_deployment() {
        let world = World::new();
        let first = world.put(small("/a", 1)).unwrap();
        world.command(Command::Cancel { deployment: first }).unwrap();
        assert_eq!((world.outcome(&first.to_string()), world.is_deploying()), (Some(Outcome::Cancelled), false));
        assert!(world.state().live_app(&id("/a")).unwrap().deployment.is_none(), "nothing is locked any more");
        world.put(small("/a", 2)).unwrap();
    }
}

mod group_deploy_integration_test {
    use super::{after, around, group, group_after, path, small};
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

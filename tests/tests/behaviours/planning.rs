//! Deployments of several apps: what is done, in which order, and how it is taken back.

mod deployment_plan_test {
    use crate::tree::{after, group, small};
    use crate::world::{World, id, resident, with};
    use cluster::{AppSpec, Command, Expect, Rejected};
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
    use crate::tree::{around, group, group_after, path, small};
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
        let removed = world.command(Command::RemoveApp { app: crate::world::id("/g/app"), force: false }).unwrap();
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
        assert_eq!(
            world.state().live_app(&crate::world::id("/g/app")).unwrap().current.spec.run.cmd.as_deref(),
            Some("x 1")
        );
    }
}

mod deployment_actor_test {
    use crate::tree::{group, small};
    use crate::world::{World, id};
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
    use crate::tree::small;
    use crate::world::{World, id};
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

//! How many instances there are: what is launched, and which are stopped.

mod scaling_proposition_test {
    use crate::world::{World, app, id, plain, spec, with};
    use cluster::rollout::{Decision, decide};
    use cluster::{Command, Expect, Health, InstanceId, KillSelection, Principal, StopReason};
    use serde_json::json;

    /// What is decided at the moment when an app is wanted with so many instances, before any of it is done.
    fn proposed(world: &World, n: u32) -> Decision {
        let there = world.state().live_app(&id("/a")).map(|it| it.current.spec.clone());
        let mut spec = there.unwrap_or_else(|| spec(&plain("/a", n)));
        spec.instances = n;
        let command = Command::PutApps { apps: vec![(spec, Expect::Any)], force: true };
        world.fake.apply(Principal::Leader, command).unwrap();
        let state = world.state();
        decide(&state, state.app(&id("/a")).unwrap(), state.moment())
    }

    fn stopped(decision: &Decision) -> Vec<InstanceId> {
        decision.stop.iter().map(|it| it.0).collect()
    }

    fn running(n: u32) -> World {
        let world = World::new();
        world.run(plain("/a", n));
        world
    }

    #[test]
    fn given_no_running_tasks_lead_to_scalingproposition_none() {
        let decision = proposed(&World::new(), 0);
        assert_eq!((decision.launch, decision.stop), (0, Vec::new()));
    }

    #[test]
    fn given_a_staged_task_to_kill_lead_to_scalingproposition_list_of_instances_to_decommission() {
        let world = World::new();
        world.change("POST /v2/apps", plain("/a", 1));
        let staged = world.wanted("/a");
        assert_eq!(proposed(&world, 0).stop, [(staged[0], StopReason::Surplus)]);
    }

    #[test]
    fn given_no_tasks_and_scaleto_0_lead_to_scalingproposition_none() {
        let world = running(1);
        world.done("PUT /v2/apps/a", json!({ "instances": 0 }));
        assert_eq!(proposed(&world, 0).launch, 0);
        assert_eq!(world.get("/v2/queue")["queue"], json!([]));
    }

    /// Better: a negative number of instances is refused, not taken for none.
    #[test]
    fn given_no_tasks_and_negative_scaleto_lead_to_scalingproposition_none() {
        let world = World::new();
        let answer = world.refused(with(plain("/a", 1), json!({ "instances": -1 })));
        assert!(answer.errors("/instances").contains("must be 0 or more"), "{}", answer.text);
        assert_eq!(world.state().n_apps(), 0);
    }

    #[test]
    fn given_no_running_tasks_and_a_positive_scaleto_lead_to_scalepropositionof_42() {
        assert_eq!(proposed(&World::new(), 42).launch, 42);
    }

    #[test]
    fn none_are_sentenced_and_need_to_scale_determine_tasks_to_kill() {
        assert_eq!(proposed(&running(3), 5).stop, []);
    }

    #[test]
    fn none_are_sentenced_and_need_to_scale_determine_tasks_to_start() {
        assert_eq!(proposed(&running(3), 5).launch, 2);
    }

    #[test]
    fn scaling_to_0_determine_tasks_to_kill() {
        let world = running(3);
        let mut all = world.wanted("/a");
        all.reverse();
        assert_eq!(stopped(&proposed(&world, 0)), all, "youngest first");
    }

    #[test]
    fn scaling_to_0_determine_no_tasks_to_start() {
        assert_eq!(proposed(&running(3), 0).launch, 0);
    }

    /// The instances that a kill of unknown ones beside the oldest takes.
    fn killed_beside_unknown(world: &World) -> Vec<InstanceId> {
        let unknown = InstanceId::derive(cluster::ClusterId(7), 7, 7);
        let instances = vec![unknown, world.wanted("/a")[0], unknown];
        world
            .fake
            .apply(Principal::Leader, Command::Kill { instances, scale: false, force: false, wipe: false })
            .unwrap()
            .killed
    }

    #[test]
    fn given_invalid_tasks_determine_tasks_to_kill() {
        let world = running(3);
        let oldest = world.wanted("/a")[0];
        assert_eq!(killed_beside_unknown(&world), [oldest]);
        assert_eq!(proposed(&world, 3).stop, []);
    }

    #[test]
    fn given_invalid_tasks_determine_tasks_to_start() {
        let world = running(3);
        killed_beside_unknown(&world);
        assert_eq!(proposed(&world, 3).launch, 1, "one for the one that was there");
    }

    #[test]
    fn given_already_killed_tasks_determine_tasks_to_kill() {
        let world = running(3);
        let killed = killed_beside_unknown(&world)[0];
        let decision = proposed(&world, 0);
        assert!(decision.stop.len() == 2 && !stopped(&decision).contains(&killed), "none is killed twice");
    }

    #[test]
    fn given_already_killed_tasks_determine_no_tasks_to_start() {
        let world = running(3);
        killed_beside_unknown(&world);
        assert_eq!(proposed(&world, 2).launch, 0, "the others are as many as wanted");
    }

    /// Two racks with two of four instances each, of which one is killed; the rest is scaled to two.
    fn sentenced_constrained_and_scaled() -> (Decision, InstanceId, Vec<InstanceId>) {
        let world = World::bare();
        world.add_node("n1", &[("rack", "1")]);
        world.add_node("n2", &[("rack", "2")]);
        world.run(with(plain("/a", 4), json!({ "constraints": [["rack", "GROUP_BY"]] })));
        let on_first: Vec<InstanceId> =
            world.instances("/a").iter().filter(|it| it.node.as_str() == "n1").map(|it| it.id).collect();
        let kill = Command::Kill { instances: vec![on_first[0]], scale: false, force: false, wipe: false };
        world.fake.apply(Principal::Leader, kill).unwrap();
        let on_second = world.instances("/a").iter().filter(|it| it.node.as_str() == "n2").map(|it| it.id).collect();
        (proposed(&world, 2), on_first[0], on_second)
    }

    #[test]
    fn given_sentenced_constraints_and_scaling_determine_tasks_to_kill() {
        let (decision, sentenced, on_second) = sentenced_constrained_and_scaled();
        let stopped = stopped(&decision);
        assert!(stopped.len() == 1 && stopped[0] != sentenced && on_second.contains(&stopped[0]), "{stopped:?}");
    }

    #[test]
    fn given_sentenced_constraints_and_scaling_determine_no_tasks_to_start() {
        assert_eq!(sentenced_constrained_and_scaled().0.launch, 0);
    }

    /// Kinds of instances of one app.
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Unreachable,
        Unhealthy,
        Staging,
        Healthy,
    }

    /// The order in which instances of these kinds go, as positions among them; each was launched after the one
    /// before.
    fn order(kinds: &[Kind]) -> Vec<usize> {
        let world = World::bare();
        let fields = json!({
            "constraints": [["hostname", "UNIQUE"]],
            "unreachableStrategy": { "inactiveAfterSeconds": 3600, "expungeAfterSeconds": 7200 },
        });
        let mut ids = Vec::new();
        for (n, kind) in kinds.iter().enumerate() {
            world.add_node(&format!("n{n}"), &[]);
            let mut spec = spec(&with(app("/a", n as u32 + 1), fields.clone()));
            spec.policy.kill_selection = KillSelection::YoungestFirst;
            world.command(Command::PutApps { apps: vec![(spec, Expect::Any)], force: true }).unwrap();
            let id = world.instances("/a").last().unwrap().id;
            match kind {
                Kind::Unreachable | Kind::Healthy => world.running(id, Health::Healthy),
                Kind::Unhealthy => world.running(id, Health::Unhealthy),
                Kind::Staging => {}
            }
            ids.push(id);
        }
        for n in (0..kinds.len()).filter(|it| kinds[*it] == Kind::Unreachable) {
            world.lose(&format!("n{n}"));
        }
        let gone = stopped(&proposed(&world, 0));
        gone.iter().map(|it| ids.iter().position(|id| id == it).unwrap()).collect()
    }

    #[test]
    fn sorting_a_unreachable_unhealthy_running_staging_and_healthy_tasks() {
        use Kind::{Healthy, Staging, Unhealthy, Unreachable};
        let mut kinds = [Healthy, Staging, Unhealthy, Unreachable, Healthy];
        assert_eq!(order(&kinds), [3, 1, 2, 4, 0]);
        kinds.reverse();
        assert_eq!(order(&kinds), [1, 3, 2, 4, 0]);
    }

    #[test]
    fn put_unreachable_before_running() {
        assert_eq!(order(&[Kind::Unreachable, Kind::Healthy]), [0, 1]);
        assert_eq!(order(&[Kind::Healthy, Kind::Unreachable]), [1, 0]);
    }

    #[test]
    fn put_unreachable_before_staging() {
        assert_eq!(order(&[Kind::Unreachable, Kind::Staging]), [0, 1]);
        assert_eq!(order(&[Kind::Staging, Kind::Unreachable]), [1, 0]);
    }

    #[test]
    fn put_staging_before_running() {
        assert_eq!(order(&[Kind::Staging, Kind::Healthy]), [0, 1]);
        assert_eq!(order(&[Kind::Healthy, Kind::Staging]), [1, 0]);
    }

    #[test]
    fn put_younger_staging_before_older_staging() {
        assert_eq!(order(&[Kind::Staging, Kind::Staging, Kind::Staging]), [2, 1, 0]);
    }

    #[test]
    fn put_younger_running_before_older_running() {
        assert_eq!(order(&[Kind::Healthy, Kind::Healthy, Kind::Healthy]), [2, 1, 0]);
    }
}

mod kill_selection_test {
    use crate::world::{World, plain, with};
    use serde_json::json;

    /// Which of three instances stays, oldest first.
    fn stays(selection: &str) -> usize {
        let world = World::new();
        world.run(with(plain("/a", 1), json!({ "killSelection": selection })));
        world.done("PUT /v2/apps/a", json!({ "instances": 2 }));
        world.done("PUT /v2/apps/a", json!({ "instances": 3 }));
        let all = world.wanted("/a");
        world.done("PUT /v2/apps/a", json!({ "instances": 1 }));
        all.iter().position(|it| *it == world.wanted("/a")[0]).unwrap()
    }

    #[test]
    fn select_the_younger_timestamp() {
        assert_eq!(stays("YOUNGEST_FIRST"), 0);
    }

    #[test]
    fn select_the_older_timestamp() {
        assert_eq!(stays("OLDEST_FIRST"), 2);
    }
}

mod task_start_actor_test {
    use crate::world::{World, app, plain, resident, spec, with};
    use cluster::{EndKind, Health, Outcome};
    use serde_json::{Value, json};

    /// Starts an app and follows it to the end of its deployment.
    fn starts(app: Value, health: Health) {
        let world = World::new();
        let n = app["instances"].as_u64().unwrap() as usize;
        let id = world.change("POST /v2/apps", app);
        assert_eq!((world.wanted("/a").len(), world.outcome(&id).is_some()), (n, n == 0));
        for (k, instance) in world.wanted("/a").into_iter().enumerate() {
            assert_eq!(world.outcome(&id), None, "{k} of {n}");
            world.running(instance, health);
        }
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn start_success_no_items_in_the_queue() {
        starts(plain("/a", 5), Health::Unknown);
    }

    #[test]
    fn start_success_with_one_task_left_to_launch() {
        let world = World::new();
        world.run(plain("/a", 4));
        let id = world.change("PUT /v2/apps/a", json!({ "instances": 5 }));
        assert_eq!(world.picture("/a"), "4 new running, 1 new staging");
        world.settle();
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn start_success_with_existing_task_in_launch_queue() {
        let world = World::new();
        let id =
            world.change("POST /v2/apps", with(plain("/a", 3), json!({ "constraints": [["hostname", "UNIQUE"]] })));
        assert_eq!(
            (world.picture("/a").as_str(), &world.get("/v2/queue")["queue"][0]["count"]),
            ("2 new staging", &json!(1))
        );
        world.add_node("n3", &[]);
        assert_eq!(world.picture("/a"), "3 new staging", "the one that waited, and no other");
        world.settle();
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn start_success_with_no_instances_to_start() {
        starts(plain("/a", 0), Health::Unknown);
    }

    #[test]
    fn start_with_health_checks() {
        starts(app("/a", 5), Health::Healthy);
    }

    #[test]
    fn start_with_health_checks_with_no_instances_to_start() {
        starts(app("/a", 0), Health::Healthy);
    }

    #[test]
    fn task_fails_to_start_but_the_goal_of_instance_is_still_running() {
        let world = World::new();
        let id = world.change("POST /v2/apps", plain("/a", 1));
        let failed = world.wanted("/a")[0];
        world.end(failed, EndKind::NotStarted);
        world.obey(Health::Unknown);
        assert_eq!((world.wanted("/a"), world.outcome(&id)), (vec![], None));
        world.pass(2);
        world.settle();
        assert!(world.wanted("/a").len() == 1 && world.wanted("/a")[0] != failed);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn task_fails_and_the_instance_is_decommissioned_while_starting_an_app() {
        let world = World::new();
        let id = world.change("POST /v2/apps", plain("/a", 1));
        let killed = world.wanted("/a")[0];
        world.change("DELETE /v2/apps/a/tasks", Value::Null);
        world.end(killed, EndKind::Failed);
        assert!(world.app("/a").get("lastTaskFailure").is_none(), "it ended because it was told to");
        world.settle();
        assert!(world.wanted("/a").len() == 1 && world.wanted("/a")[0] != killed);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn task_fails_and_the_instance_is_stopped_while_starting_an_app() {
        let world = World::new();
        let id = world.put(resident(spec(&plain("/a", 1)))).unwrap().to_string();
        let failed = world.instances("/a")[0].clone();
        world.crash(failed.id);
        world.pass(2);
        world.settle();
        assert_eq!(world.instances("/a")[0].reservation, failed.reservation, "its place was kept");
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }
}

mod stop_actor_test {
    use crate::world::{World, plain};
    use serde_json::Value;

    #[test]
    fn stop() {
        let world = World::new();
        world.run(plain("/a", 2));
        world.change("DELETE /v2/apps/a", Value::Null);
        assert_eq!(world.picture("/a"), "2 new stopping");
        let mut events = world.listen("?event_type=app_terminated_event");
        world.settle();
        assert_eq!((world.picture("/a").as_str(), world.state().n_instances()), ("gone", 0));
        assert_eq!(events.next().1["appId"], "/a");
        assert!(world.state().nodes().all(|it| it.used.cpu_milli == 0 && it.ports.is_empty()));
    }
}

//! What is launched and stopped next, and where it goes.

mod restart_strategy_test {
    use crate::world::{World, plain, resident, spec};
    use cluster::UpgradeStrategy;

    /// What an update does first that has so many old instances running and wants so many new ones, under this
    /// minimum health and over-capacity in percent.
    fn first(limits: (u32, u32), running: u32, wanted: u32, keeps_data: bool) -> String {
        let world = World::new();
        let of = |n: u32, cmd: &str| {
            let mut spec = spec(&plain("/a", n));
            if keeps_data {
                spec = resident(spec);
            }
            spec.run.cmd = Some(cmd.to_owned());
            spec.policy.backoff_ms = 100_000;
            spec.policy.upgrade =
                UpgradeStrategy { min_health_ppm: limits.0 * 10_000, max_over_ppm: limits.1 * 10_000 };
            spec
        };
        world.run_spec(of(running.max(wanted), "old"));
        for id in world.wanted("/a").into_iter().skip(running as usize) {
            world.crash(id);
        }
        assert_eq!(world.wanted("/a").len(), running as usize);
        world.put(of(wanted, "new")).unwrap();
        world.picture("/a")
    }

    #[test]
    fn strategy_for_resident_app_with_1_instance() {
        assert_eq!(first((50, 0), 1, 1, true), "1 old stopping");
    }

    #[test]
    fn strategy_for_starting_resident_app_with_1_instance_and_no_tasks_running() {
        assert_eq!(first((50, 0), 0, 1, true), "1 new staging");
    }

    #[test]
    fn strategy_for_resident_app_with_5_instances() {
        assert_eq!(first((50, 0), 5, 5, true), "3 old running, 2 old stopping");
    }

    #[test]
    fn strategy_for_resident_app_with_5_instances_already_over_capacity_maxhealthcapacity_1() {
        assert_eq!(first((100, 0), 7, 5, true), "4 old running, 3 old stopping");
    }

    #[test]
    fn strategy_for_resident_app_with_5_instances_already_under_capacity_maxhealthcapacity_1() {
        assert_eq!(first((100, 0), 4, 5, true), "1 new staging, 4 old running");
    }

    #[test]
    fn strategy_for_resident_app_with_5_instances_already_at_capacity_maxhealthcapacity_1() {
        assert_eq!(first((100, 0), 5, 5, true), "4 old running, 1 old stopping");
    }

    #[test]
    fn strategy_for_normal_app_with_1_instance() {
        assert_eq!(first((100, 0), 1, 1, false), "1 new staging, 1 old running", "one more than wanted for a while");
    }

    #[test]
    fn strategy_for_normal_app_with_1_instance_and_no_tasks_running() {
        assert_eq!(first((100, 0), 0, 1, false), "1 new staging");
    }

    #[test]
    fn maxcapacity_strategy_for_normal_app_is_not_exceeded_when_a_task_can_be_killed_immediately() {
        assert_eq!(first((50, 0), 5, 5, false), "3 old running, 2 old stopping");
    }

    #[test]
    fn less_running_tasks_than_actual_instance_count_and_less_than_min_health_capacity() {
        assert_eq!(first((50, 0), 2, 10, false), "8 new staging, 2 old running");
    }

    #[test]
    fn max_over_capacity_1() {
        assert_eq!(first((50, 100), 10, 10, false), "10 new staging, 5 old running, 5 old stopping");
    }

    #[test]
    fn maxovercapacity_1_and_minhealth_1() {
        assert_eq!(first((100, 100), 10, 10, false), "10 new staging, 10 old running");
    }
}

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

mod task_replace_actor_test {
    use crate::world::{World, app, asking_readiness, plain, spec, with};
    use cluster::{Health, Outcome};
    use serde_json::{Value, json};

    fn strategy(min: f64, over: f64) -> Value {
        json!({ "upgradeStrategy": { "minimumHealthCapacity": min, "maximumOverCapacity": over } })
    }

    /// How an update from so many to so many instances goes, round by round: in each all agents obey once.
    fn rounds(min: f64, over: f64, from: u32, to: u32) -> Vec<String> {
        let world = World::new();
        world.run(with(app("/a", from), strategy(min, over)));
        world.change("PUT /v2/apps/a", json!({ "env": { "NEW": "1" }, "instances": to }));
        let mut pictures = vec![world.picture("/a")];
        while world.is_deploying() {
            world.obey(Health::Healthy);
            pictures.push(world.picture("/a"));
            assert!(pictures.len() < 30, "{pictures:?}");
        }
        pictures
    }

    /// An app in the middle of an update whose new instances run but have no health yet.
    fn half_way() -> (World, String) {
        let world = World::new();
        world.run(app("/a", 2));
        let id = world.change("PUT /v2/apps/a", json!({ "env": { "NEW": "1" } }));
        world.obey(Health::Unknown);
        assert_eq!(world.picture("/a"), "2 new running, 2 old healthy");
        (world, id)
    }

    #[test]
    fn replace_old_tasks_without_health_checks() {
        let world = World::new();
        world.run(plain("/a", 5));
        let before = world.wanted("/a");
        let id = world.change("PUT /v2/apps/a", json!({ "cmd": "x y" }));
        assert_eq!(world.picture("/a"), "5 new staging, 5 old running");
        world.obey(Health::Unknown);
        assert_eq!(world.picture("/a"), "5 new running, 5 old stopping");
        world.settle();
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
        assert!(world.wanted("/a").iter().all(|it| !before.contains(it)));
    }

    #[test]
    fn not_kill_new_and_already_started_tasks() {
        let (world, _) = half_way();
        let new = world.wanted("/a")[2..].to_vec();
        world.fail_over();
        world.running(new[0], Health::Healthy);
        world.running(new[1], Health::Healthy);
        world.settle();
        assert_eq!(world.wanted("/a"), new);
    }

    #[test]
    fn replace_old_tasks_with_health_checks() {
        let (world, id) = half_way();
        world.running(world.wanted("/a")[2], Health::Healthy);
        assert_eq!(world.picture("/a"), "1 new healthy, 1 new running, 1 old healthy, 1 old stopping");
        world.running(*world.wanted("/a").last().unwrap(), Health::Healthy);
        world.settle();
        assert_eq!((world.picture("/a").as_str(), world.outcome(&id)), ("2 new healthy", Some(Outcome::Succeeded)));
    }

    #[test]
    fn replace_and_scale_down_from_more_than_new_mincapacity() {
        let pictures = rounds(1.0, 1.0, 3, 2);
        assert_eq!(pictures[0], "1 new staging, 2 old healthy, 1 old stopping");
        assert_eq!(pictures.last().unwrap(), "2 new healthy");
    }

    #[test]
    fn replace_tasks_with_minimum_running_number_of_tasks() {
        assert_eq!(rounds(0.5, 0.0, 3, 3)[0], "2 old healthy, 1 old stopping");
    }

    #[test]
    fn respect_upgrade_strategy() {
        assert_eq!(rounds(0.5, 0.5, 2, 2)[0], "1 new staging, 1 old healthy, 1 old stopping");
    }

    #[test]
    fn replace_tasks_during_rolling_upgrade_without_over_capacity() {
        let expected = [
            "2 old healthy, 1 old stopping",
            "1 new staging, 2 old healthy",
            "1 new healthy, 1 old healthy, 1 old stopping",
            "1 new healthy, 1 new staging, 1 old healthy",
            "2 new healthy, 1 old stopping",
            "2 new healthy, 1 new staging",
            "3 new healthy",
        ];
        assert_eq!(rounds(0.5, 0.0, 3, 3), expected);
    }

    #[test]
    fn replace_tasks_during_rolling_upgrade_with_minimal_over_capacity() {
        let expected = [
            "1 new staging, 3 old healthy",
            "1 new healthy, 2 old healthy, 1 old stopping",
            "1 new healthy, 1 new staging, 2 old healthy",
            "2 new healthy, 1 old healthy, 1 old stopping",
            "2 new healthy, 1 new staging, 1 old healthy",
            "3 new healthy, 1 old stopping",
            "3 new healthy",
        ];
        assert_eq!(rounds(1.0, 0.0, 3, 3), expected);
    }

    #[test]
    fn replace_tasks_during_rolling_upgrade_with_2_3_over_capacity() {
        let expected = [
            "2 new staging, 3 old healthy",
            "2 new healthy, 1 old healthy, 2 old stopping",
            "2 new healthy, 1 new staging, 1 old healthy",
            "3 new healthy, 1 old stopping",
            "3 new healthy",
        ];
        assert_eq!(rounds(1.0, 0.7, 3, 3), expected);
    }

    #[test]
    fn downscale_tasks_during_rolling_upgrade_with_1_over_capacity() {
        let expected = [
            "1 old healthy, 2 old stopping",
            "1 new staging, 1 old healthy",
            "1 new healthy, 1 old stopping",
            "1 new healthy",
        ];
        assert_eq!(rounds(1.0, 1.0, 3, 1), expected);
    }

    #[test]
    fn stop_the_actor_if_all_tasks_are_replaced_already() {
        let (world, id) = half_way();
        for new in world.wanted("/a")[2..].to_vec() {
            world.running(new, Health::Healthy);
        }
        world.obey(Health::Unknown);
        world.fail_over();
        assert_eq!((world.outcome(&id), world.picture("/a").as_str()), (Some(Outcome::Succeeded), "2 new healthy"));
    }

    /// An update whose old instances are gone already, and whose new one has this health and is not ready.
    fn replaced_but_not_ready(health: Health) -> (World, String, cluster::InstanceId) {
        let world = World::new();
        let definition = if health == Health::Unknown { plain("/a", 1) } else { app("/a", 1) };
        let mut spec = asking_readiness(spec(&with(definition, strategy(0.0, 0.0))));
        world.put(spec.clone()).unwrap();
        world.obey(Health::Healthy);
        world.ready(world.wanted("/a")[0], Health::Healthy);
        spec.run.cmd = Some("x y".to_owned());
        let id = world.put(spec).unwrap().to_string();
        world.obey(Health::Unknown);
        world.obey(health);
        world.fail_over();
        let new = world.wanted("/a")[0];
        assert!(world.wanted("/a").len() == 1 && world.instances("/a")[0].is_running());
        (world, id, new)
    }

    #[test]
    fn wait_for_readiness_checks_if_all_tasks_are_replaced_already() {
        let (world, id, new) = replaced_but_not_ready(Health::Unknown);
        assert_eq!(world.outcome(&id), None);
        world.ready(new, Health::Unknown);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn wait_for_the_readiness_checks_and_health_checks_if_all_tasks_are_replaced_already() {
        let (world, id, new) = replaced_but_not_ready(Health::Unhealthy);
        world.ready(new, Health::Unhealthy);
        assert_eq!(world.outcome(&id), None, "ready, but not healthy");
        world.ready(new, Health::Healthy);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn wait_until_the_tasks_are_killed() {
        let (world, id) = half_way();
        for new in world.wanted("/a")[2..].to_vec() {
            world.running(new, Health::Healthy);
        }
        assert_eq!((world.picture("/a").as_str(), world.outcome(&id)), ("2 new healthy, 2 old stopping", None));
        world.obey(Health::Unknown);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn wait_for_health_and_readiness_checks_for_new_tasks() {
        let (world, id, new) = replaced_but_not_ready(Health::Unhealthy);
        world.running(new, Health::Healthy);
        assert_eq!(world.outcome(&id), None, "healthy, but not ready");
        world.ready(new, Health::Healthy);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn only_handle_instancechanged_events_of_its_own_runspec() {
        let (world, id) = half_way();
        world.change("POST /v2/apps", app("/b", 2));
        let before = world.picture("/a");
        for other in world.wanted("/b") {
            world.running(other, Health::Healthy);
        }
        assert_eq!((world.picture("/a"), world.outcome(&id)), (before, None));
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

mod readiness_behavior_test {
    use crate::world::{World, app, asking_readiness, plain, spec};
    use cluster::{AppSpec, Health};

    /// Whether the deployment of this app is over after its instance ran, became healthy, and became ready.
    fn over_after(spec: AppSpec) -> [bool; 3] {
        let world = World::new();
        world.put(spec).unwrap();
        world.obey(Health::Unknown);
        let ran = !world.is_deploying();
        world.running(world.wanted("/a")[0], Health::Healthy);
        let healthy = !world.is_deploying();
        world.ready(world.wanted("/a")[0], Health::Healthy);
        [ran, healthy, !world.is_deploying()]
    }

    #[test]
    fn an_app_without_health_checks_but_readiness_checks_becomes_healthy() {
        assert_eq!(over_after(asking_readiness(spec(&plain("/a", 1)))), [false, false, true]);
    }

    #[test]
    fn an_app_with_health_checks_and_readiness_checks_becomes_healthy() {
        assert_eq!(over_after(asking_readiness(spec(&app("/a", 1)))), [false, false, true]);
    }

    #[test]
    fn an_app_with_health_checks_but_without_readiness_checks_becomes_healthy() {
        assert_eq!(over_after(spec(&app("/a", 1))), [false, true, true]);
    }

    #[test]
    fn an_app_without_health_checks_and_without_readiness_checks_becomes_healthy() {
        assert_eq!(over_after(spec(&plain("/a", 1))), [true, true, true]);
    }

    #[test]
    fn a_task_that_dies_is_removed_from_the_actor() {
        let world = World::new();
        world.put(asking_readiness(spec(&plain("/a", 2)))).unwrap();
        world.obey(Health::Unknown);
        let [first, second] = world.wanted("/a")[..] else { panic!("two") };
        world.ready(first, Health::Unknown);
        world.crash(first);
        world.ready(second, Health::Unknown);
        assert!(world.is_deploying(), "the one that was ready is gone");
        world.pass(2);
        world.obey(Health::Unknown);
        world.ready(*world.wanted("/a").last().unwrap(), Health::Unknown);
        assert!(!world.is_deploying());
    }
}

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

//! How an update replaces the instances of an app: what goes and what comes at each moment, and when it is done.

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

//! Instances: health, readiness, kills, lost nodes, volumes, failover.

mod graceful_task_kill_integration_test {
    use crate::world::{World, plain, with};
    use cluster::Health;
    use serde_json::{Value, json};

    /// How long the agent waits from the polite to the hard signal when an app of this definition is killed.
    fn grace_ms(app: Value) -> u64 {
        let world = World::new();
        world.run(app);
        let task = world.tasks("/a")[0].clone();
        let killed = world.wanted("/a")[0];
        world.change(&format!("DELETE /v2/apps/a/tasks/{task}"), Value::Null);
        let state = world.state();
        let assignment = state.assignment(state.instance(killed).unwrap());
        assert!(assignment.stop);
        assert_eq!(world.get("/v2/tasks")["tasks"][0]["state"], "TASK_KILLING");
        world.obey(Health::Unknown);
        assert!(world.state().instance(killed).is_none());
        assignment.kill_grace_ms
    }

    #[test]
    fn create_a_long_terminating_app_with_custom_taskkillgraceperiod_duration() {
        assert_eq!(grace_ms(with(plain("/a", 1), json!({ "taskKillGracePeriodSeconds": 20 }))), 20_000);
    }

    #[test]
    fn create_a_short_terminating_app_with_custom_taskkillgraceperiod_duration() {
        assert_eq!(grace_ms(with(plain("/a", 1), json!({ "taskKillGracePeriodSeconds": 1 }))), 1_000);
        assert_eq!(grace_ms(plain("/a", 1)), 3_000, "Mesos' default");
    }
}

mod health_check_integration_test {
    use crate::world::{World, app, with};
    use cluster::Health;
    use cluster::agent::{Checks, Outcome, Seen};
    use serde_json::json;

    /// An instance whose check fails so often that it is too often is killed and replaced.
    fn is_killed_with(protocol: &str) {
        let world = World::new();
        let check = json!({
            "protocol": protocol, "path": "/", "gracePeriodSeconds": 0, "intervalSeconds": 3,
            "maxConsecutiveFailures": 2,
        });
        world.run(with(app("/a", 1), json!({ "healthChecks": [check] })));
        let state = world.state();
        let instance = world.instances("/a")[0].clone();
        let checks = state.spec_of(&instance).unwrap().policy.health_checks.clone();
        let mut checks = Checks::new(&checks, state.time(), &instance.checks, 0);
        let mut events = world.listen("");
        for expected in [Health::Unhealthy, Health::Failed] {
            checks.answered(0, Outcome::Failure("503".to_owned()), 1, state.time());
            assert_eq!(checks.health(), expected);
            let (health, checks) = (checks.health(), checks.results());
            world.see(instance.id, Seen::Running { ip: None, health, checks, readiness: instance.readiness.clone() });
        }
        let events = events.until("unhealthy_instance_kill_event");
        assert!(events.iter().any(|it| it.0 == "failed_health_check_event"));
        assert_eq!(events.last().unwrap().1["reason"], "503");
        world.pass(1);
        world.settle();
        assert!(world.wanted("/a").len() == 1 && world.wanted("/a")[0] != instance.id, "it was replaced");
        let failure = world.app("/a")["lastTaskFailure"].clone();
        assert!(failure["message"].as_str().unwrap().contains("killed since health check failed"), "{failure}");
    }

    #[test]
    fn kill_instance_with_failing_marathon_health_checks() {
        is_killed_with("HTTP");
    }

    #[test]
    fn kill_instance_with_failing_mesos_health_checks() {
        is_killed_with("MESOS_HTTP");
    }
}

mod launch_queue_integration_test {
    use crate::world::{World, plain, with};
    use serde_json::json;

    #[test]
    fn get_v2_queue_with_an_empty_queue() {
        let world = World::new();
        assert_eq!(world.get("/v2/queue"), json!({ "queue": [] }));
        world.run(plain("/a", 1));
        assert_eq!(world.get("/v2/queue"), json!({ "queue": [] }));
    }

    #[test]
    fn get_v2_queue_with_pending_app() {
        let world = World::new();
        world.change("POST /v2/apps", with(plain("/a", 2), json!({ "constraints": [["na", "CLUSTER", "na"]] })));
        let queue = world.get("/v2/queue")["queue"].clone();
        assert_eq!(queue.as_array().unwrap().len(), 1);
        let item = &queue[0];
        assert_eq!(
            (&item["app"]["id"], &item["count"], &item["delay"]["overdue"]),
            (&json!("/a"), &json!(2), &json!(true))
        );
        assert_eq!(item["delay"]["timeLeftSeconds"], 0);
        assert_eq!(item["processedOffersSummary"]["unusedOffersCount"], 2);
    }

    #[test]
    fn get_v2_queue_with_backed_off_failing_app() {
        let world = World::new();
        world.run(with(plain("/a", 1), json!({ "backoffSeconds": 100 })));
        world.crash(world.wanted("/a")[0]);
        let item = world.get("/v2/queue")["queue"][0].clone();
        assert_eq!(
            (&item["app"]["id"], &item["count"], &item["delay"]["overdue"]),
            (&json!("/a"), &json!(1), &json!(false))
        );
        let left = item["delay"]["timeLeftSeconds"].as_u64().unwrap();
        assert!((90..=100).contains(&left), "{left}");
        world.pass(50);
        let later = world.get("/v2/queue")["queue"][0]["delay"]["timeLeftSeconds"].as_u64().unwrap();
        assert!((left - 51..=left - 49).contains(&later), "{left} {later}");
    }
}

mod readiness_check_integration_test {
    use crate::world::asking_readiness;
    use crate::world::{World, app, plain, spec};
    use cluster::{Health, Outcome};

    #[test]
    fn a_deployment_of_an_application_with_readiness_checks_no_health_does_finish_when_the_app_is_ready() {
        let world = World::new();
        let id = world.put(asking_readiness(spec(&plain("/a", 1)))).unwrap().to_string();
        world.obey(Health::Unknown);
        assert_eq!((world.picture("/a").as_str(), world.outcome(&id)), ("1 new running", None));
        world.ready(world.wanted("/a")[0], Health::Unknown);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn a_deployment_of_an_application_with_readiness_checks_and_health_does_finish_when_health_checks_succeed_and_plan_is_ready()
     {
        for health_first in [true, false] {
            let world = World::new();
            let id = world.put(asking_readiness(spec(&app("/a", 1)))).unwrap().to_string();
            world.obey(Health::Unknown);
            let instance = world.wanted("/a")[0];
            if health_first {
                world.running(instance, Health::Healthy);
            } else {
                world.ready(instance, Health::Unknown);
            }
            assert_eq!(world.outcome(&id), None, "one of two: {health_first}");
            world.ready(instance, Health::Healthy);
            assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
        }
    }

    #[test]
    fn an_upgrade_of_an_application_will_wait_for_the_readiness_checks() {
        let world = World::new();
        let mut spec = asking_readiness(spec(&app("/a", 1)));
        world.put(spec.clone()).unwrap();
        world.obey(Health::Healthy);
        world.ready(world.wanted("/a")[0], Health::Healthy);
        assert!(!world.is_deploying());
        spec.run.image = "web:2".to_owned();
        world.put(spec).unwrap();
        world.obey(Health::Healthy);
        world.pass(100);
        assert_eq!(world.picture("/a"), "1 new healthy, 1 old healthy", "the old one stays till the new one is ready");
        world.ready(world.wanted("/a")[1], Health::Healthy);
        assert_eq!(world.picture("/a"), "1 new healthy, 1 old stopping");
    }
}

mod resident_task_integration_test {
    use crate::world::resident;
    use crate::world::{World, id, plain, spec};
    use cluster::{Command, Constraint, Health, InstanceId, Operator, Rejected};

    /// Two nodes, and a resident app of so many instances.
    fn running(n: u32) -> World {
        let world = World::new();
        world.run_spec(resident(spec(&plain("/a", n))));
        assert_eq!(world.wanted("/a").len(), n as usize);
        world
    }

    fn reservations(world: &World) -> Vec<InstanceId> {
        world.state().reservations().map(|it| it.id).collect()
    }

    #[test]
    fn resident_task_can_be_deployed_and_write_to_persistent_volume() {
        let world = running(1);
        let instance = world.instances("/a")[0].clone();
        let reservation = world.state().reservation(instance.reservation.unwrap()).unwrap().clone();
        assert_eq!((reservation.holder, &reservation.node), (Some(instance.id), &instance.node));
        let assigned = world.state().assignment(&instance);
        assert_eq!(assigned.reservation, Some(reservation.id), "the agent is told which volumes it gets");
    }

    #[test]
    fn resident_task_can_be_deployed_along_with_constraints() {
        let world = World::new();
        let mut spec = resident(spec(&plain("/a", 2)));
        let unique = Constraint { field: "hostname".to_owned(), operator: Operator::Unique, value: None };
        spec.policy.constraints = vec![unique];
        world.run_spec(spec);
        let nodes: Vec<_> = world.instances("/a").iter().map(|it| it.node.clone()).collect();
        assert!(nodes.len() == 2 && nodes[0] != nodes[1], "{nodes:?}");
    }

    #[test]
    fn persistent_volume_will_be_re_attached_and_keep_state() {
        let world = running(1);
        let before = world.instances("/a")[0].clone();
        let mut spec = resident(spec(&plain("/a", 0)));
        world.run_spec(spec.clone());
        assert!(world.wanted("/a").is_empty() && reservations(&world).len() == 1, "suspended, the data is kept");
        spec.instances = 1;
        world.run_spec(spec);
        let after = world.instances("/a")[0].clone();
        assert_eq!((after.reservation, &after.node), (before.reservation, &before.node));
    }

    #[test]
    fn persistent_volume_will_be_re_attached_after_task_failure() {
        let world = running(1);
        let before = world.instances("/a")[0].clone();
        world.crash(before.id);
        world.pass(10);
        world.settle();
        let after = world.instances("/a")[0].clone();
        assert_ne!(after.id, before.id);
        assert_eq!((after.reservation, &after.node), (before.reservation, &before.node));
    }

    #[test]
    fn resident_task_is_launched_completely_on_reserved_resources() {
        let world = running(1);
        let node = world.state().node(&world.instances("/a")[0].node).unwrap().clone();
        assert_eq!(node.used.disk_bytes, 10 << 20, "the volume is booked on the node's disk");
        world.crash(world.wanted("/a")[0]);
        let held = world.state().node(node.id()).unwrap().used;
        assert_eq!((held.disk_bytes, held.cpu_milli), (10 << 20, 0), "also while nobody holds it");
    }

    #[test]
    fn scale_up() {
        let world = running(2);
        let before = reservations(&world);
        world.run_spec(resident(spec(&plain("/a", 4))));
        assert_eq!(world.wanted("/a").len(), 4);
        let after = reservations(&world);
        assert!(after.len() == 4 && before.iter().all(|it| after.contains(it)));
    }

    #[test]
    fn scale_down() {
        let world = running(4);
        world.run_spec(resident(spec(&plain("/a", 2))));
        assert_eq!((world.wanted("/a").len(), reservations(&world).len()), (2, 4), "the data of the others is kept");
    }

    #[test]
    fn restart() {
        let world = running(2);
        let before = world.instances("/a");
        world.command(Command::RestartApp { app: id("/a"), force: false }).unwrap();
        assert_eq!(world.picture("/a"), "1 old running, 1 old stopping", "never more than wanted");
        world.settle();
        let after = world.instances("/a");
        assert!(after.iter().all(|it| before.iter().all(|old| old.id != it.id)));
        let sorted = |of: &[std::sync::Arc<cluster::Instance>]| {
            let mut places: Vec<_> = of.iter().map(|it| (it.reservation, it.node.clone())).collect();
            places.sort();
            places
        };
        assert_eq!(sorted(&after), sorted(&before), "each comes back to its place");
    }

    #[test]
    fn config_change() {
        let world = running(1);
        let before = world.instances("/a")[0].reservation;
        let mut other = resident(spec(&plain("/a", 1)));
        other.run.cmd = Some("sleep 7".to_owned());
        world.run_spec(other.clone());
        assert_eq!((world.instances("/a")[0].reservation, world.picture("/a").as_str()), (before, "1 new running"));
        other.run.volumes.clear();
        assert!(matches!(world.put(other), Err(Rejected::Resident { .. })), "volumes that hold data stay");
        world.obey(Health::Healthy);
    }
}

mod restart_integration_test {
    use crate::world::asking_readiness;
    use crate::world::{World, app, plain, spec, with};
    use cluster::{Health, Outcome};
    use serde_json::json;

    #[test]
    fn not_kill_a_running_task_currently_involved_in_a_deployment() {
        let world = World::new();
        world.run(plain("/a", 2));
        let before = world.wanted("/a");
        let id = world.change("PUT /v2/apps/a", json!({ "instances": 3 }));
        world.fail_over();
        assert_eq!(
            (world.wanted("/a")[..2].to_vec(), world.picture("/a")),
            (before, "2 new running, 1 new staging".to_owned())
        );
        world.settle();
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn deployment_with_1_ready_and_1_not_ready_instance_is_continued_properly_after_a_restart() {
        let world = World::new();
        let id = world.put(asking_readiness(spec(&plain("/a", 2)))).unwrap().to_string();
        world.obey(Health::Unknown);
        let [first, second] = world.wanted("/a")[..] else { panic!("two") };
        world.ready(first, Health::Unknown);
        world.fail_over();
        assert_eq!((world.wanted("/a"), world.outcome(&id)), (vec![first, second], None));
        world.ready(second, Health::Unknown);
        assert_eq!(world.outcome(&id), Some(Outcome::Succeeded));
    }

    #[test]
    fn deployment_with_2_unhealthy_instances_is_continued_properly_after_master_abdication() {
        let world = World::new();
        let strategy = json!({ "upgradeStrategy": { "minimumHealthCapacity": 1, "maximumOverCapacity": 1 } });
        world.run(with(app("/a", 2), strategy));
        let old = world.wanted("/a");
        let id = world.change("PUT /v2/apps/a", json!({ "env": { "NEW": "1" } }));
        world.obey(Health::Unhealthy);
        world.fail_over();
        assert_eq!(world.picture("/a"), "2 new running, 2 old healthy");
        assert!(old.iter().all(|it| world.wanted("/a").contains(it)));
        for new in world.wanted("/a").into_iter().filter(|it| !old.contains(it)) {
            world.running(new, Health::Healthy);
        }
        world.settle();
        assert_eq!((world.picture("/a").as_str(), world.outcome(&id)), ("2 new healthy", Some(Outcome::Succeeded)));
    }
}

mod task_killing_integration_test {
    use crate::world::{World, plain};
    use serde_json::{Value, json};

    #[test]
    fn killing_a_task_publishes_a_task_killing_event() {
        let world = World::new();
        world.run(plain("/a", 1));
        let task = world.tasks("/a")[0].clone();
        let mut events = world.listen("?event_type=status_update_event");
        world.done(&format!("DELETE /v2/apps/a/tasks/{task}"), Value::Null);
        let told: Vec<(Value, Value)> =
            (0..2).map(|_| events.next().1).map(|it| (it["taskStatus"].clone(), it["taskId"].clone())).collect();
        assert!(told.contains(&(json!("TASK_KILLING"), json!(task))), "{told:?}");
    }

    /// Better: every instance has an id of its own, so that no two containers are ever called alike; Marathon counts
    /// incarnations of one instance.
    #[test]
    fn killing_an_ephemeral_task_without_wipe_or_scale_causes_a_new_task_to_be_restarted_with_a_higher_incarnation_count()
     {
        let world = World::new();
        world.run(plain("/a", 1));
        let before = world.instances("/a")[0].clone();
        world.done("DELETE /v2/apps/a/tasks", Value::Null);
        let after = world.instances("/a")[0].clone();
        assert!(after.id > before.id, "ids sort by age");
        assert_eq!(after.version, before.version);
    }

    #[test]
    fn killing_an_ephemeral_task_with_wipe_causes_a_brand_new_instance_to_be_created() {
        let world = World::new();
        world.run(plain("/a", 1));
        let before = world.wanted("/a");
        let answer = world.ask("DELETE /v2/apps/a/tasks?wipe=true", Value::Null);
        assert_eq!(answer.status, 200);
        world.settle();
        assert!(world.wanted("/a").len() == 1 && world.wanted("/a") != before);
    }
}

mod task_unreachable_integration_test {
    use crate::world::resident;
    use crate::world::{World, plain, spec, with};
    use cluster::{Command, NodeId};
    use serde_json::json;

    /// One instance of an app with this strategy on `n1`; returns its node's name too.
    fn running(strategy: &serde_json::Value) -> (World, String) {
        let world = World::new();
        world.run(with(plain("/a", 1), json!({ "unreachableStrategy": strategy })));
        let node = world.instances("/a")[0].node.to_string();
        (world, node)
    }

    #[test]
    fn a_task_unreachable_update_will_trigger_a_replacement_task() {
        let (world, node) = running(&json!({ "inactiveAfterSeconds": 60, "expungeAfterSeconds": 240 }));
        let mut events = world.listen("?event_type=status_update_event");
        world.lose(&node);
        assert_eq!(events.next().1["taskStatus"], "TASK_UNREACHABLE");
        world.pass(59);
        assert_eq!(world.wanted("/a").len(), 1, "not yet");
        world.pass(2);
        world.settle();
        let after = world.instances("/a");
        assert!(after.len() == 1 && after[0].node != NodeId::new(&node) && after[0].is_running(), "{after:?}");
        world.add_node(&node, &[]);
        world.settle();
        assert_eq!(world.tasks("/a").len(), 1, "the one that came back is surplus");
    }

    #[test]
    fn a_task_unreachable_update_with_inactiveafterseconds_0_will_trigger_a_replacement_task_instantly() {
        let (world, node) = running(&json!({ "inactiveAfterSeconds": 0, "expungeAfterSeconds": 0 }));
        world.lose(&node);
        assert_eq!(world.instances("/a").len(), 1);
        assert_ne!(world.instances("/a")[0].node, NodeId::new(&node));
    }

    #[test]
    fn scaling_down_an_app_with_constraints_and_unreachable_task_will_succeed() {
        let world = World::new();
        let fields = json!({
            "constraints": [["hostname", "GROUP_BY"]],
            "unreachableStrategy": { "inactiveAfterSeconds": 3600, "expungeAfterSeconds": 7200 },
        });
        world.run(with(plain("/a", 2), fields));
        world.lose("n1");
        let id = world.done("PUT /v2/apps/a", json!({ "instances": 1 }));
        assert_eq!(world.outcome(&id), Some(cluster::Outcome::Succeeded));
        let left = world.instances("/a");
        assert!(left.len() == 1 && left[0].node == NodeId::new("n2"), "the unreachable one goes first");
    }

    /// Kills the only instance with all that it kept; its successor starts afresh.
    fn wipe(resident_app: bool) -> (usize, usize) {
        let world = World::new();
        let plain = spec(&plain("/a", 1));
        world.run_spec(if resident_app { resident(plain) } else { plain });
        let before = world.instances("/a")[0].clone();
        let kill = Command::Kill { instances: vec![before.id], scale: false, force: false, wipe: true };
        world.command(kill).unwrap();
        world.settle();
        let after = world.instances("/a")[0].clone();
        assert_ne!(after.id, before.id);
        assert!(after.reservation.is_none_or(|it| Some(it) != before.reservation), "not to the old data");
        let state = world.state();
        let volumes: u64 = state.nodes().map(|it| it.used.disk_bytes).sum();
        (state.reservations().count(), (volumes >> 20) as usize)
    }

    #[test]
    fn wipe_pod_instances_with_persistent_volumes() {
        assert_eq!(wipe(true), (1, 10), "the old volume is destroyed, and its disk is free");
    }

    #[test]
    fn wipe_pod_instances_without_persistent_volumes() {
        assert_eq!(wipe(false), (0, 0));
    }
}

mod agent_gone_by_operator_integration_test {
    use crate::world::resident;
    use crate::world::{World, plain, spec};
    use serde_json::Value;

    #[test]
    fn resident_task_will_be_expunged_and_a_new_instance_will_be_created_in_response_to_task_gone_by_operator() {
        let world = World::new();
        world.run_spec(resident(spec(&plain("/a", 1))));
        let before = world.instances("/a")[0].clone();
        world.lose(before.node.as_str());
        world.pass(100_000);
        assert_eq!(world.wanted("/a"), [before.id], "the data is there: it is waited for");
        assert_eq!(world.ask(&format!("DELETE /v3/nodes/{}", before.node), Value::Null).status, 204);
        world.plan();
        world.settle();
        let after = world.instances("/a");
        assert!(after.len() == 1 && after[0].node != before.node && after[0].reservation != before.reservation);
    }
}

mod task_failure_test {
    use crate::world::{World, plain};
    use serde_json::json;

    #[test]
    fn json_serialization() {
        let world = World::new();
        world.run(plain("/a", 1));
        let instance = world.instances("/a")[0].clone();
        let task = world.tasks("/a")[0].clone();
        world.end(instance.id, cluster::EndKind::Failed);
        let a = world.app("/a");
        let failure = &a["lastTaskFailure"];
        let at = failure["timestamp"].as_str().unwrap();
        assert_eq!(
            failure,
            &json!({
                "appId": "/a", "host": format!("{}.example", instance.node), "message": "exit code 1",
                "state": "TASK_FAILED", "taskId": task, "timestamp": at, "version": a["version"],
                "slaveId": instance.node.as_str(),
            })
        );
    }
}

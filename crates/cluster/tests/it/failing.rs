//! Instances that crash, nodes that are lost and come back, agents that err.

use crate::support::{Cluster, app, constrained, id, image, node};
use cluster::agent::{Observation, Seen};
use cluster::*;

#[test]
fn a_crashed_instance_is_replaced_and_remembered() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    cluster.wait(5_000);
    let victim = cluster.wanted("/web")[0];
    cluster.crash(victim);
    assert_eq!(cluster.picture("/web"), "1 new healthy, 1 new staging, 1 new stopping", "it lived long: at once");
    let failure = cluster.app("/web").last_failure.clone().unwrap();
    assert_eq!((failure.instance, failure.kind, &*failure.message), (victim, EndKind::Failed, "exit code 1"));
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "2 new healthy");
}

#[test]
fn launches_of_a_crashing_app_wait_longer_and_longer() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/web", 1)).unwrap();
    let mut delays = Vec::new();
    for _ in 0..6 {
        cluster.obey(Health::Unknown);
        let launched = cluster.now;
        let victim = cluster.wanted("/web")[0];
        cluster.crash(victim);
        cluster.obey(Health::Unknown);
        while cluster.wanted("/web").is_empty() {
            cluster.wait(100);
        }
        delays.push((cluster.now - launched) / 1_000);
    }
    assert_eq!(delays, [1, 2, 4, 8, 10, 10], "doubled each time, up to the limit");
    let victim = cluster.wanted("/web")[0];
    cluster.crash(victim);
    assert_eq!(cluster.wanted("/web").len(), 0);
    let waits = explain::app(&cluster.state, cluster.app("/web"), Moment(cluster.now)).unwrap();
    assert!(waits.backoff_until.is_some());
    cluster.ask(Command::ResetBackoff { app: id("/web") }).unwrap();
    assert_eq!(cluster.wanted("/web").len(), 1, "reset by a user");
}

#[test]
fn a_new_version_does_not_wait_for_the_old_ones_failures() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/web", 1)).unwrap();
    for _ in 0..3 {
        if let Some(victim) = cluster.wanted("/web").first().copied() {
            cluster.crash(victim);
        }
        cluster.wait(3_000);
    }
    let apps = vec![(image(app("/web", 1), "web:2"), Expect::Any)];
    cluster.ask(Command::PutApps { apps, force: true }).unwrap();
    assert_eq!(cluster.app("/web").backoff, Backoff::default());
    assert!(cluster.wanted("/web").iter().any(|it| {
        let instance = cluster.state.instance(*it).unwrap();
        cluster.app("/web").is_current(instance)
    }));
}

#[test]
fn an_instance_that_fails_its_checks_too_often_is_replaced() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    cluster.wait(5_000);
    let victim = cluster.wanted("/web")[0];
    cluster.see(
        victim,
        Seen::Running { ip: None, health: Health::Unhealthy, checks: Vec::new(), readiness: Readiness::default() },
    );
    assert_eq!(cluster.wanted("/web").len(), 2, "unhealthy is not yet failed");
    cluster.see(
        victim,
        Seen::Running { ip: None, health: Health::Failed, checks: Vec::new(), readiness: Readiness::default() },
    );
    assert_eq!(cluster.state.instance(victim).unwrap().goal, Goal::Stop(StopReason::Unhealthy));
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "2 new healthy");
    assert_eq!(cluster.app("/web").last_failure.as_ref().unwrap().kind, EndKind::Unhealthy);
}

#[test]
fn a_lost_node_costs_exactly_its_own_instances() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/web", 6)).unwrap();
    cluster.settle();
    let on_n1 = |cluster: &Cluster| {
        let node = cluster.state.node(&NodeId::new("n1")).unwrap().clone();
        cluster.state.instances_on(&node).map(|it| (it.id, it.goal)).collect::<Vec<_>>()
    };
    let before = cluster.wanted("/web");
    assert_eq!(on_n1(&cluster).len(), 2);
    cluster.ask(Command::Lose { node: NodeId::new("n1") }).unwrap();
    cluster.settle();
    let after = cluster.wanted("/web");
    assert_eq!(after.len(), 6);
    assert_eq!(after.iter().filter(|it| before.contains(it)).count(), 4, "nothing else moved");

    // The lost node's instances hold their room until its agent confirms that they are gone.
    assert_eq!(on_n1(&cluster).iter().filter(|it| it.1 == Goal::Stop(StopReason::Lost)).count(), 2);
    cluster.register("n1", &[("rack", "a")]).unwrap();
    cluster.settle();
    assert_eq!((on_n1(&cluster).len(), cluster.wanted("/web") == after), (0, true), "no storm at its return");
}

#[test]
fn a_node_that_returns_in_time_keeps_its_instances() {
    let mut cluster = Cluster::with_nodes(2);
    let mut spec = app("/web", 2);
    spec.policy.unreachable = Unreachable::After { inactive_ms: 60_000, expunge_ms: 120_000 };
    cluster.put(spec).unwrap();
    cluster.settle();
    let before = cluster.wanted("/web");
    cluster.ask(Command::Lose { node: NodeId::new("n2") }).unwrap();
    cluster.wait(59_000);
    assert_eq!(cluster.wanted("/web"), before);
    cluster.register("n2", &[("rack", "b")]).unwrap();
    cluster.wait(60_000);
    assert_eq!(cluster.wanted("/web"), before);
    cluster.ask(Command::Lose { node: NodeId::new("n2") }).unwrap();
    cluster.wait(61_000);
    assert_ne!(cluster.wanted("/web"), before, "too long: replaced");
}

#[test]
fn an_app_can_be_deleted_while_its_node_is_lost() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/web", 1)).unwrap();
    cluster.settle();
    cluster.ask(Command::Lose { node: NodeId::new("n1") }).unwrap();
    cluster.ask(Command::RemoveApp { app: id("/web"), force: true }).unwrap();
    assert_eq!(cluster.picture("/web"), "gone");
    assert!(!cluster.is_deploying());
    cluster.register("n1", &[("rack", "a")]).unwrap();
    assert_eq!(cluster.state.n_instances(), 1, "its container is to be removed");
    cluster.settle();
    assert_eq!(cluster.state.n_instances(), 0);
}

#[test]
fn conditions_never_go_back() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/web", 1)).unwrap();
    cluster.settle();
    cluster.wait(5_000);
    let victim = cluster.wanted("/web")[0];
    let staging = Seen::Staging { message: "late".to_owned() };
    cluster.see(victim, staging);
    assert_eq!(cluster.state.instance(victim).unwrap().condition, Condition::Running);
    cluster.crash(victim);
    cluster.see(
        victim,
        Seen::Running { ip: None, health: Health::Healthy, checks: Vec::new(), readiness: Readiness::default() },
    );
    assert!(cluster.state.instance(victim).unwrap().has_ended());
}

#[test]
fn an_agent_speaks_for_its_own_instances_only() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    let foreign = cluster.state.instances().find(|it| it.node == NodeId::new("n1")).unwrap().id;
    let observations = vec![Observation {
        instance: foreign,
        judged_by: Version::default(),
        trial: None,
        seen: Seen::Removed,
        evidence: None,
    }];
    let report = Command::Report { node: NodeId::new("n2"), observations, destroyed: Vec::new() };
    assert_eq!(cluster.ask(report), Err(Rejected::Nothing));
    assert!(cluster.state.instance(foreign).is_some());
}

#[test]
fn a_lost_nodes_agent_must_register_before_it_reports() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.ask(Command::Lose { node: NodeId::new("n1") }).unwrap();
    let report = Command::Report { node: NodeId::new("n1"), observations: Vec::new(), destroyed: Vec::new() };
    assert_eq!(cluster.ask(report), Err(Rejected::NoNode { node: NodeId::new("n1") }));
}

#[test]
fn only_a_lost_node_can_be_forgotten() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    let node = NodeId::new("n1");
    assert_eq!(
        cluster.ask(Command::RemoveNode { node: node.clone() }),
        Err(Rejected::NodeAlive { node: node.clone() })
    );
    cluster.ask(Command::Lose { node: node.clone() }).unwrap();
    cluster.ask(Command::RemoveNode { node: node.clone() }).unwrap();
    cluster.settle();
    assert!(cluster.state.node(&node).is_none());
    assert_eq!(cluster.picture("/web"), "2 new healthy");
}

#[test]
fn nothing_is_placed_on_a_degraded_node() {
    let mut cluster = Cluster::with_nodes(1);
    let node = NodeId::new("n1");
    let reason = Some("Docker does not answer".to_owned());
    cluster.ask(Command::Degrade { node: node.clone(), reason }).unwrap();
    cluster.put(app("/web", 1)).unwrap();
    assert_eq!(cluster.picture("/web"), "");
    let deployment = cluster.state.deployments().next().unwrap().clone();
    let why = explain::deployment(&cluster.state, &deployment, Moment(cluster.now));
    assert_eq!(
        why,
        [
            "/web: 1 to launch; no node takes one: AgentMaintenance on 1; n1: the node is degraded: Docker does not answer"
        ]
    );
    cluster.ask(Command::Degrade { node, reason: None }).unwrap();
    assert_eq!(cluster.picture("/web"), "1 new staging");
}

#[test]
fn silence_costs_a_node_its_place_but_never_most_of_the_cluster() {
    let cluster = Cluster::with_nodes(5);
    let names: Vec<NodeId> = cluster.state.nodes().map(|it| it.id().clone()).collect();
    let mut liveness = liveness::Liveness::new(&cluster.state, 10_000, 7_000, Timestamp(0));
    let mut lost = |heard: &[usize], from: u64, to: u64| {
        let mut lost = Vec::new();
        for now in (from..to).step_by(500) {
            for n in heard {
                liveness.hear(names[*n].clone(), Timestamp(now));
            }
            lost = liveness.lost(&cluster.state, Timestamp(now));
        }
        lost
    };
    assert_eq!(lost(&[0, 1, 2, 3], 0, 10_000), [], "a new leader waits");
    assert_eq!(lost(&[0, 1, 2, 3], 10_000, 11_000), [names[4].clone()]);
    assert_eq!(lost(&[0, 1], 11_000, 30_000), [], "three of five at once: the leader may be the one who is cut off");
    assert_eq!(lost(&[0, 1, 2, 3], 100_000, 100_500), [], "after a pause of its own it forgives");
}

#[test]
fn whatever_is_set_a_new_leader_gives_every_node_the_time_to_find_it() {
    let cluster = Cluster::with_nodes(3);
    let names: Vec<NodeId> = cluster.state.nodes().map(|it| it.id().clone()).collect();
    let mut liveness = liveness::Liveness::new(&cluster.state, 2_000, 5_000, Timestamp(0));
    for now in (0..5_000).step_by(100) {
        if now % 200 == 0 && now > 500 {
            liveness.hear(names[0].clone(), Timestamp(now));
        }
        if now == 1_000 {
            liveness.hear(names[1].clone(), Timestamp(now));
        }
        // Who was heard by this leader knows where it is, and may be silent as long as ever.
        let expect = if now >= 3_000 { &names[1..2] } else { &[] };
        assert_eq!(liveness.lost(&cluster.state, Timestamp(now)), expect, "at {now}");
    }
    assert_eq!(liveness.lost(&cluster.state, Timestamp(5_000)), names[1..], "and then it is over");
}

#[test]
fn a_short_pause_of_the_leader_costs_no_node_where_little_silence_is_allowed() {
    let cluster = Cluster::with_nodes(3);
    let names: Vec<NodeId> = cluster.state.nodes().map(|it| it.id().clone()).collect();
    let mut liveness = liveness::Liveness::new(&cluster.state, 2_000, 3_000, Timestamp(0));
    for now in (100..=10_000).step_by(100) {
        for node in &names {
            liveness.hear(node.clone(), Timestamp(now));
        }
        assert_eq!(liveness.lost(&cluster.state, Timestamp(now)), []);
    }
    // What came in the meantime is not read yet.
    assert_eq!(liveness.lost(&cluster.state, Timestamp(11_900)), []);
    assert_eq!(liveness.lost(&cluster.state, Timestamp(12_000)), []);
}

#[test]
fn instances_of_a_lost_node_that_nobody_could_replace_go_on_at_its_return() {
    let mut cluster = Cluster::with_nodes(2);
    let mut spec = app("/web", 4);
    spec.run.resources.cpu_milli = 1_500;
    cluster.put(spec.clone()).unwrap();
    cluster.settle();
    let before = cluster.wanted("/web");
    cluster.ask(Command::Lose { node: NodeId::new("n2") }).unwrap();
    cluster.wait(3_600_000);
    assert_eq!(cluster.wanted("/web"), before, "there is no room for others");
    let waiting = explain::app(&cluster.state, cluster.app("/web"), Moment(cluster.now)).expect("it says so");
    assert_eq!(waiting.count, 2);
    // Room for one of the two.
    let mut third = node("n3", &[]);
    third.capacity.cpu_milli = 2_000;
    cluster.ask(Command::Register { node: third }).unwrap();
    cluster.settle();
    let kept = |cluster: &Cluster| cluster.wanted("/web").iter().filter(|it| before.contains(it)).count();
    assert_eq!((cluster.wanted("/web").len(), kept(&cluster)), (4, 3));
    cluster.register("n2", &[("rack", "b")]).unwrap();
    cluster.settle();
    assert_eq!((cluster.wanted("/web").len(), kept(&cluster)), (4, 3), "only who was replaced ended");
    assert_eq!(cluster.picture("/web"), "4 new healthy");
}

#[test]
fn a_lost_instance_does_not_keep_its_successor_away() {
    for (field, operator, value) in
        [("rack", Operator::Unique, None), ("rack", Operator::MaxPer, Some("1")), ("hostname", Operator::Cluster, None)]
    {
        let mut cluster = Cluster::with_nodes(3);
        let n = if operator == Operator::Cluster { 1 } else { 2 };
        cluster.put(constrained(app("/web", n), &[(field, operator, value)])).unwrap();
        cluster.settle();
        let node = cluster.state.instance(cluster.wanted("/web")[0]).unwrap().node.clone();
        let rack_a = cluster.state.node(&node).unwrap().field("rack") == Some("a");
        if !rack_a && operator != Operator::Cluster {
            // The other one stands in the rack that has two nodes.
            let other = cluster.state.instance(cluster.wanted("/web")[1]).unwrap().node.clone();
            cluster.ask(Command::Lose { node: other }).unwrap();
        } else {
            cluster.ask(Command::Lose { node }).unwrap();
        }
        cluster.settle();
        assert!(cluster.picture("/web").contains(&format!("{n} new healthy")), "{operator:?}");
    }
}

#[test]
fn a_lost_nodes_instances_are_given_up_as_the_app_says_now() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    let before = cluster.wanted("/web");
    cluster.apply(Command::Lose { node: NodeId::new("n2") }).unwrap();
    // A plan that was made before the app was told to wait.
    let on_n2 = |it: &&InstanceId| cluster.state.instance(**it).unwrap().node == NodeId::new("n2");
    let late = Step::Stop { instance: *before.iter().find(on_n2).unwrap(), reason: StopReason::Lost };
    let mut patient = app("/web", 2);
    patient.policy.unreachable = Unreachable::Disabled;
    cluster.apply(Command::PutApps { apps: vec![(patient, Expect::Any)], force: false }).unwrap();
    assert_eq!(cluster.apply(Command::Execute { steps: vec![late] }), Err(Rejected::Nothing));
    cluster.wait(3_600_000);
    assert_eq!(cluster.wanted("/web"), before);
}

#[test]
fn a_new_definition_ends_the_launch_delay_and_a_new_number_does_not() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 1)).unwrap();
    cluster.settle();
    cluster.crash(cluster.wanted("/web")[0]);
    let delayed = cluster.app("/web").backoff;
    assert_eq!(delayed.failures, 1);
    cluster.put(app("/web", 2)).unwrap();
    assert_eq!(cluster.app("/web").backoff, delayed, "scaled");
    let mut patient = app("/web", 2);
    patient.policy.backoff_ms = 2_000;
    cluster.ask(Command::PutApps { apps: vec![(patient, Expect::Any)], force: true }).unwrap();
    assert_eq!(cluster.app("/web").backoff, Backoff::default());
}

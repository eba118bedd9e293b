//! Instances with persistent volumes: they come back to where their data is.

use crate::support::*;
use cluster::agent::Seen;
use cluster::place::Reason;
use cluster::*;

fn resident(n: u32) -> AppSpec {
    let mut spec = app("/db", n);
    let volume = PersistentVolume { container_path: "data".to_owned(), size_mib: 100, mode: VolumeMode::Rw };
    spec.run.volumes = vec![Volume::Persistent(volume)];
    spec.policy.upgrade = UpgradeStrategy { min_health_ppm: 500_000, max_over_ppm: 0 };
    spec.policy.unreachable = Unreachable::Disabled;
    spec
}

fn places(cluster: &Cluster) -> Vec<(InstanceId, NodeId)> {
    let mut places: Vec<_> = cluster
        .wanted("/db")
        .into_iter()
        .map(|it| cluster.state.instance(it).unwrap())
        .map(|it| (it.reservation.unwrap(), it.node.clone()))
        .collect();
    places.sort();
    places
}

#[test]
fn an_instance_comes_back_to_its_volumes_over_restart_update_and_crash() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(resident(2)).unwrap();
    cluster.settle();
    let before = places(&cluster);
    assert_eq!(before.len(), 2);
    cluster.put(image(resident(2), "db:2")).unwrap();
    cluster.settle();
    assert_eq!(places(&cluster), before, "over an update");
    cluster.ask(Command::RestartApp { app: id("/db"), force: false }).unwrap();
    cluster.settle();
    assert_eq!(places(&cluster), before, "over a restart");
    let victim = cluster.wanted("/db")[0];
    cluster.crash(victim);
    cluster.wait(60_000);
    cluster.settle();
    cluster.wait(60_000);
    cluster.settle();
    assert_eq!(places(&cluster), before, "over a crash");
}

#[test]
fn never_more_than_wanted_run_and_no_volume_has_two_holders() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(resident(3)).unwrap();
    cluster.settle();
    cluster.put(image(resident(3), "db:2")).unwrap();
    for _ in 0..30 {
        let held: Vec<_> = cluster.state.instances().filter_map(|it| it.reservation).collect();
        let mut distinct = held.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(held.len(), distinct.len(), "{}", cluster.picture("/db"));
        assert!(held.len() <= 3);
        cluster.obey(Health::Healthy);
    }
    assert!(!cluster.is_deploying());
}

#[test]
fn scaling_down_keeps_the_data_and_scaling_up_takes_it_again() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(resident(3)).unwrap();
    cluster.settle();
    let before = places(&cluster);
    cluster.put(resident(1)).unwrap();
    cluster.settle();
    assert_eq!(cluster.app("/db").reservations.len(), 3);
    cluster.put(resident(3)).unwrap();
    cluster.settle();
    assert_eq!(places(&cluster), before);
}

#[test]
fn a_lost_node_keeps_its_residents_and_says_why_nothing_starts_elsewhere() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(resident(1)).unwrap();
    cluster.settle();
    let (_, home) = places(&cluster).remove(0);
    cluster.ask(Command::Lose { node: home.clone() }).unwrap();
    cluster.wait(3_600_000);
    assert_eq!(places(&cluster).len(), 1, "it counts until its node is back");
    cluster.ask(Command::Register { node: node(home.as_str(), &[("rack", "a")]) }).unwrap();
    let victim = cluster.wanted("/db")[0];
    cluster.ask(Command::Degrade { node: home.clone(), reason: Some("full".to_owned()) }).unwrap();
    cluster.crash(victim);
    cluster.obey(Health::Healthy);
    cluster.wait(60_000);
    let waiting = explain::app(&cluster.state, cluster.app("/db"), Moment(cluster.now)).unwrap();
    let reasons: Vec<_> = waiting.nodes.iter().map(|it| it.1).collect();
    assert!(reasons.contains(&Reason::NoCorrespondingReservationFound), "{reasons:?}");
    assert!(reasons.contains(&Reason::AgentMaintenance), "{reasons:?}");
}

#[test]
fn volumes_are_destroyed_only_when_asked_for_and_only_when_nobody_has_them() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(resident(1)).unwrap();
    cluster.settle();
    let (reservation, home) = places(&cluster).remove(0);
    let disk = |cluster: &Cluster| cluster.state.node(&home).unwrap().used.disk_bytes;
    assert_eq!(disk(&cluster), 100 * MIB);
    let victim = cluster.wanted("/db")[0];
    let wipe = Command::Kill { instances: vec![victim], scale: false, force: false, wipe: true };
    cluster.ask(wipe).unwrap();
    let doomed = |cluster: &Cluster| cluster.state.doomed_on(cluster.state.node(&home).unwrap()).collect::<Vec<_>>();
    assert!(doomed(&cluster).is_empty(), "its holder is still there");
    cluster.see(victim, Seen::Removed);
    assert_eq!(doomed(&cluster), [reservation]);
    let destroyed = |id| Command::Report { node: home.clone(), observations: vec![], destroyed: vec![id] };
    cluster.ask(destroyed(reservation)).unwrap();
    assert!(cluster.state.reservation(reservation).is_none());
    cluster.settle();
    assert_ne!(places(&cluster)[0].0, reservation, "the new one starts anew");
    let (second, _) = places(&cluster).remove(0);
    assert_eq!(cluster.ask(destroyed(second)), Err(Rejected::Nothing), "nobody asked for that");
    cluster.ask(Command::RemoveApp { app: id("/db"), force: false }).unwrap();
    cluster.settle();
    assert!(cluster.state.reservation(second).unwrap().doomed, "the app's data goes with it");
}

#[test]
fn what_is_kept_cannot_be_redefined() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(resident(1)).unwrap();
    cluster.settle();
    let mut bigger = resident(1);
    bigger.run.volumes = vec![Volume::Persistent(PersistentVolume {
        container_path: "data".to_owned(),
        size_mib: 200,
        mode: VolumeMode::Rw,
    })];
    for spec in [bigger.clone(), app("/db", 1)] {
        assert!(matches!(cluster.put(spec), Err(Rejected::Resident { .. })));
    }
    let mut more = resident(1);
    more.run.resources.cpu_milli = 200;
    cluster.put(more).unwrap();
    cluster.settle();

    let (before, _) = places(&cluster).remove(0);
    cluster.ask(Command::RemoveApp { app: id("/db"), force: false }).unwrap();
    for spec in [bigger.clone(), app("/db", 1)] {
        let put = Command::PutApps { apps: vec![(spec, Expect::Any)], force: true };
        assert!(matches!(cluster.ask(put), Err(Rejected::Resident { .. })), "the old one's data is still there");
    }
    cluster.settle();
    cluster.put(bigger).unwrap();
    cluster.settle();
    assert_ne!(places(&cluster)[0].0, before);
}

#[test]
fn an_external_volume_has_one_app_unless_it_is_shared() {
    let mut cluster = Cluster::with_nodes(2);
    let with = |name: &str, shared| {
        let mut spec = app(name, 1);
        spec.run.volumes = vec![Volume::External(ExternalVolume {
            container_path: "/data".to_owned(),
            mode: VolumeMode::Rw,
            name: "vol".to_owned(),
            driver: "rexray".to_owned(),
            options: std::collections::BTreeMap::new(),
            shared,
        })];
        spec
    };
    cluster.put(with("/a", false)).unwrap();
    cluster.settle();
    assert_eq!(cluster.put(with("/b", false)), Err(Rejected::VolumeTaken { volume: "vol".to_owned(), app: id("/a") }));
    cluster.put(with("/a", false)).unwrap();
    cluster.put(with("/c", true)).unwrap();
    cluster.settle();

    let both = |specs: Vec<AppSpec>| Command::PutApps {
        apps: specs.into_iter().map(|it| (it, Expect::Any)).collect(),
        force: false,
    };
    let other = |it: &str| {
        let mut spec = with(it, false);
        let Volume::External(volume) = &mut spec.run.volumes[0] else { unreachable!() };
        volume.name = "other".to_owned();
        spec
    };
    let refused = cluster.ask(both(vec![other("/d"), other("/e")]));
    assert_eq!(refused.unwrap_err(), Rejected::VolumeTaken { volume: "other".to_owned(), app: id("/d") });
    cluster.ask(both(vec![other("/a"), with("/b", false)])).expect("one gives it up, the other takes it");
    cluster.settle();
    cluster.state = cluster.state.clone().indexed();
    assert!(matches!(cluster.put(with("/a", false)), Err(Rejected::VolumeTaken { app, .. }) if app == id("/b")));
    cluster.ask(Command::RemoveApp { app: id("/b"), force: false }).unwrap();
    cluster.put(with("/a", false)).expect("who is being removed has nothing");
}

#[test]
fn data_outlives_the_rollback_of_the_update_that_made_it() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(upgrade(app("/db", 1), 0, 0)).unwrap();
    cluster.settle();
    let deployment = cluster.put(resident(1)).unwrap().deployment.unwrap();
    cluster.obey(Health::Healthy);
    let kept = cluster.app("/db").reservations.clone();
    assert_eq!(kept.len(), 1);
    cluster.ask(Command::RollBack { deployment }).unwrap();
    cluster.settle();
    assert_eq!(cluster.app("/db").reservations, kept, "nobody ordered that it go");
    let mut other = resident(1);
    let again = other.run.volumes[0].clone();
    other.run.volumes.push(again);
    assert!(matches!(cluster.put(other), Err(Rejected::Resident { .. })));
    cluster.put(image(upgrade(app("/db", 1), 0, 0), "web:2")).unwrap();
    cluster.settle();
    cluster.put(resident(1)).unwrap();
    cluster.settle();
    assert_eq!(places(&cluster).iter().map(|it| it.0).collect::<Vec<_>>(), kept.iter().copied().collect::<Vec<_>>());
}

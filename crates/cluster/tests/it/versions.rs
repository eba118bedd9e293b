//! History, snapshots, and what must stay the same for ever.

use crate::support::{Cluster, app, id, image};
use cluster::*;

#[test]
fn fifty_versions_are_kept_and_those_in_use() {
    let mut cluster = Cluster::with_nodes(1);
    let mut slow = app("/web", 1);
    slow.policy.upgrade = UpgradeStrategy { min_health_ppm: 1_000_000, max_over_ppm: 0 };
    cluster.put(slow.clone()).unwrap();
    cluster.settle();
    let first = cluster.app("/web").current.version;
    for n in 0..80 {
        let apps = vec![(image(slow.clone(), &format!("broken:{n}")), Expect::Any)];
        cluster.ask(Command::PutApps { apps, force: true }).unwrap();
    }
    let versions = &cluster.app("/web").versions;
    assert!(versions.contains_key(&first), "an instance runs it");
    assert!((50..=53).contains(&versions.len()), "{} versions", versions.len());
    assert!(versions.contains_key(&cluster.app("/web").current.version));
}

fn scale(name: &str, instances: u32, expect: Expect) -> Command {
    Command::ScaleApps { apps: vec![Scaling { app: id(name), instances, expect }], force: true }
}

#[test]
fn scaling_is_a_change_of_nothing_but_the_number() {
    let [mut scaled, mut put] = [(); 2].map(|()| {
        let mut cluster = Cluster::with_nodes(2);
        cluster.put(app("/web", 1)).unwrap();
        cluster.settle();
        cluster.put(image(app("/web", 1), "web:2")).unwrap();
        cluster.settle();
        cluster
    });
    for n in [3, 3, 1, 2] {
        let wanted = image(app("/web", n), "web:2");
        let apps = vec![(wanted, Expect::Any)];
        let as_put = put.ask(Command::PutApps { apps, force: true }).unwrap();
        assert_eq!(scaled.ask(scale("/web", n, Expect::Any)).unwrap(), as_put);
        assert_eq!(scaled.state, put.state, "{n}");
        put.settle();
        scaled.settle();
    }
    assert_eq!(scaled.state.clone().indexed(), scaled.state);
    let versions = &scaled.app("/web").versions;
    let last: Vec<_> = versions.values().rev().take(2).collect();
    assert!(last[0].spec.shares_all(&last[1].spec), "what stays is kept once");
}

#[test]
fn only_what_is_there_and_as_expected_is_scaled() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/web", 1)).unwrap();
    cluster.settle();
    let before = cluster.state.clone();
    for (name, expect) in [("/none", Expect::Any), ("/none", Expect::Version(Timestamp(5)))] {
        assert_eq!(cluster.apply(scale(name, 2, expect)), Err(Rejected::NoApp { app: id(name) }));
    }
    let changed = cluster.apply(scale("/web", 2, Expect::Version(Timestamp(5))));
    assert_eq!(changed, Err(Rejected::Changed { app: id("/web") }));
    assert_eq!(cluster.app("/web"), &**before.app(&id("/web")).unwrap());
    let first = cluster.app("/web").current.version;
    cluster.apply(scale("/web", 2, Expect::Version(first))).unwrap();
    let apps = vec![Scaling { app: id("/web"), instances: 3, expect: Expect::Any }];
    let locked = Command::ScaleApps { apps, force: false };
    assert!(matches!(cluster.apply(locked), Err(Rejected::Locked { .. })), "as every change");
}

#[test]
fn versions_are_unique_even_within_a_millisecond() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.now = 0;
    let mut versions = Vec::new();
    for n in 1..=3 {
        let apps = vec![(app("/web", n), Expect::Any)];
        cluster.now -= u64::from(n > 1);
        versions.push(cluster.apply(Command::PutApps { apps, force: true }).unwrap().version.unwrap());
    }
    versions.dedup();
    assert_eq!(versions.len(), 3);
    assert!(versions.is_sorted());
}

#[test]
fn a_change_of_some_apps_is_answered_with_its_own_version() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/a", 1)).unwrap();
    cluster.put(app("/b", 1)).unwrap();
    cluster.settle();
    let apps = vec![(app("/a", 2), Expect::Any), (app("/b", 1), Expect::Any)];
    let applied = cluster.apply(Command::PutApps { apps, force: false }).unwrap();
    assert_eq!(applied.version, Some(cluster.app("/a").current.version), "not that of the app that stays");
}

#[test]
fn groups_are_known_as_they_were() {
    let mut cluster = Cluster::with_nodes(1);
    let path = |text: &str| PathId::parse(text).unwrap();
    let put = |dependencies: Vec<PathId>| {
        let update = GroupUpdate { id: path("/g"), apps: None, groups: None, dependencies: Some(dependencies) };
        Command::PutGroup { update, absent: false, force: false }
    };
    let first = cluster.apply(put(vec![path("/x")])).unwrap().version.unwrap();
    let second = cluster.apply(put(Vec::new())).unwrap().version.unwrap();
    let third = cluster.apply(Command::RemoveGroup { group: path("/g"), force: false }).unwrap().version.unwrap();
    let at = |version| cluster.state.groups_at(&PathId::root(), version).map(|(_, it)| it.dependencies.len()).next();
    assert_eq!((at(first), at(second), at(third)), (Some(1), Some(0), None));
}

#[test]
fn a_thousand_ended_deployments_are_remembered() {
    let mut cluster = Cluster::with_nodes(1);
    for n in 0..1_100 {
        cluster.put(app("/web", n % 2)).unwrap();
        cluster.settle();
    }
    assert_eq!(cluster.state.deployments().count(), 1_000);
}

/// Replaying a log gives the same state as a snapshot of it: nothing depends on what is not replicated.
#[test]
fn a_replayed_log_gives_the_same_state() {
    let entries: Vec<Command> = {
        let mut commands = vec![Command::Found { cluster: ClusterId(3) }];
        commands.extend((1..4).map(|n| Command::Register { node: crate::support::node(&format!("n{n}"), &[]) }));
        commands.extend(
            (0..5).map(|n| Command::PutApps { apps: vec![(app(&format!("/a{n}"), 3), Expect::Any)], force: false }),
        );
        commands
    };
    let run = |from: Option<State>, commands: &[Command], skip: u64| {
        let mut state = from.unwrap_or_default();
        for (n, command) in commands.iter().enumerate() {
            let index = skip + n as u64 + 1;
            let entry = Entry {
                index,
                time: Timestamp(index * 10),
                moment: Moment(index * 10),
                principal: Principal::Leader,
                command: command.clone(),
            };
            let _ = state.apply(entry);
        }
        state
    };
    let whole = run(None, &entries, 0);
    let half = run(None, &entries[..5], 0);
    assert_eq!(run(Some(half), &entries[5..], 5), whole);
}

#[test]
fn an_app_is_in_no_version_of_the_tree_from_its_removal_on_also_while_it_goes() {
    let mut cluster = Cluster::with_nodes(1);
    let before = cluster.put(app("/g/a", 1)).unwrap().version.unwrap();
    cluster.settle();
    let remove = Command::RemoveApp { app: crate::support::id("/g/a"), force: false };
    let removed = cluster.ask(remove).unwrap().version.unwrap();
    let root = PathId::root();
    let at = |cluster: &Cluster, version| cluster.state.apps_at(&root, version).len();
    assert_eq!((at(&cluster, before), at(&cluster, removed)), (1, 0), "{}", cluster.picture("/g/a"));
    cluster.settle();
    assert_eq!((at(&cluster, before), at(&cluster, removed)), (1, 0), "{}", cluster.picture("/g/a"));
}

#[test]
fn so_many_versions_of_a_group_are_kept_as_are_in_the_tree() {
    let mut cluster = Cluster::with_nodes(1);
    let path = |text: &str| PathId::parse(text).unwrap();
    for n in 0..200 {
        let dependencies = Some(vec![path(&format!("/x{n}"))]);
        let update = GroupUpdate { id: path("/g"), apps: None, groups: None, dependencies };
        cluster.apply(Command::PutGroup { update, absent: false, force: false }).unwrap();
    }
    let group = cluster.state.group(&path("/g")).unwrap();
    assert!((50..=52).contains(&group.versions.len()), "{}", group.versions.len());
    let oldest = cluster.state.tree_versions().next().unwrap();
    assert!(group.at(oldest).is_some(), "the oldest version of the tree is whole");
}

//! Groups: what an update of the tree makes of the apps in it.

use crate::support::*;
use cluster::*;

fn path(text: &str) -> PathId {
    PathId::parse(text).unwrap()
}

fn group(id: &str, apps: Vec<AppSpec>) -> GroupUpdate {
    GroupUpdate { id: path(id), apps: Some(apps), groups: None, dependencies: None }
}

fn put(cluster: &mut Cluster, update: GroupUpdate) -> Result<Applied, Rejected> {
    cluster.ask(Command::PutGroup { update, absent: false, force: false })
}

fn apps(cluster: &Cluster) -> Vec<String> {
    cluster.state.apps().filter(|it| !it.removing).map(|it| it.id.to_string()).collect()
}

#[test]
fn what_is_listed_replaces_and_what_is_absent_stays() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/shop/web", 1)).unwrap();
    cluster.put(app("/shop/db/main", 1)).unwrap();
    cluster.put(app("/other", 1)).unwrap();
    cluster.settle();
    let table = [
        // The own apps are given: those not listed go; the groups inside stay.
        (group("/shop", vec![app("/shop/api", 1)]), vec!["/other", "/shop/api", "/shop/db/main"]),
        // The groups are given: what is in none of them goes, own apps stay.
        (
            GroupUpdate { apps: None, groups: Some(vec![group("/shop/cache", vec![])]), ..group("/shop", vec![]) },
            vec!["/other", "/shop/api"],
        ),
        // Nothing is given: nothing changes.
        (GroupUpdate { apps: None, ..group("/shop", vec![]) }, vec!["/other", "/shop/api"]),
        (
            GroupUpdate {
                groups: Some(vec![group("/shop/cache", vec![app("/shop/cache/one", 1)])]),
                ..group("/shop", vec![])
            },
            vec!["/other", "/shop/cache/one"],
        ),
    ];
    for (update, expect) in table {
        put(&mut cluster, update.clone()).unwrap();
        cluster.settle();
        assert_eq!(apps(&cluster), expect, "{update:?}");
    }
}

#[test]
fn a_group_that_somebody_made_stays_when_it_is_empty() {
    let mut cluster = Cluster::with_nodes(1);
    put(&mut cluster, group("/made", vec![app("/made/web", 1)])).unwrap();
    cluster.put(app("/implied/web", 1)).unwrap();
    cluster.settle();
    for app in ["/made/web", "/implied/web"] {
        cluster.ask(Command::RemoveApp { app: id(app), force: false }).unwrap();
    }
    cluster.settle();
    assert!(cluster.state.has_group(&path("/made")));
    assert!(!cluster.state.has_group(&path("/implied")));
    let remove = |group| Command::RemoveGroup { group, force: false };
    cluster.ask(remove(path("/made"))).unwrap();
    assert!(!cluster.state.has_group(&path("/made")));
    let err = cluster.ask(remove(path("/made"))).unwrap_err();
    assert_eq!(err, Rejected::NoGroup { group: path("/made") });
}

#[test]
fn a_group_and_an_app_never_share_a_path() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/web", 1)).unwrap();
    cluster.settle();
    put(&mut cluster, group("/shop", vec![])).unwrap();
    let before = cluster.state.clone();
    let create = |update| Command::PutGroup { update, absent: true, force: false };
    assert_eq!(cluster.ask(create(group("/web", vec![]))), Err(Rejected::PathIsApp { path: path("/web") }));
    assert_eq!(put(&mut cluster, group("/web/in", vec![])), Err(Rejected::PathIsApp { path: path("/web") }));
    assert_eq!(cluster.ask(create(group("/shop", vec![]))), Err(Rejected::GroupExists { group: path("/shop") }));
    assert_eq!(cluster.put(app("/shop", 1)), Err(Rejected::PathIsGroup { path: path("/shop") }));
    assert_eq!(
        cluster.put(app("/web/in", 1)),
        Err(Rejected::Nested { app: id("/web/in"), other: id("/web") }),
        "no app inside another"
    );
    assert!(cluster.state.groups().eq(before.groups()) && cluster.state.apps().eq(before.apps()), "nothing changed");
    // In one update one may give way to the other.
    put(&mut cluster, GroupUpdate { groups: Some(vec![group("/web", vec![app("/web/in", 1)])]), ..group("/", vec![]) })
        .unwrap();
}

#[test]
fn scaling_a_group_rounds_up_and_restarts_nothing() {
    let mut cluster = Cluster::with_nodes(3);
    put(&mut cluster, group("/shop", vec![app("/shop/web", 3), app("/shop/db", 1), app("/shop/off", 0)])).unwrap();
    cluster.settle();
    let before = cluster.wanted("/shop/web");
    let scale = |factor_ppm| Command::ScaleGroup { group: path("/shop"), factor_ppm, force: false };
    cluster.ask(scale(1_500_000)).unwrap();
    cluster.settle();
    let counts = ["/shop/web", "/shop/db", "/shop/off"].map(|it| cluster.wanted(it).len());
    assert_eq!(counts, [5, 2, 0]);
    assert!(before.iter().all(|it| cluster.wanted("/shop/web").contains(it)));
    cluster.ask(scale(0)).unwrap();
    cluster.settle();
    assert_eq!(["/shop/web", "/shop/db"].map(|it| cluster.wanted(it).len()), [0, 0]);
}

#[test]
fn a_group_goes_back_to_what_it_was_at_a_version_of_the_tree() {
    let mut cluster = Cluster::with_nodes(3);
    let first = put(&mut cluster, group("/shop", vec![app("/shop/web", 2), app("/shop/db", 1)])).unwrap();
    cluster.settle();
    let db = cluster.wanted("/shop/db");
    cluster.put(app("/other", 1)).unwrap();
    cluster.settle();
    let dependent = GroupUpdate { dependencies: Some(vec![path("/other")]), ..group("/shop", vec![]) };
    let web = image(app("/shop/web", 2), "web:2");
    put(&mut cluster, GroupUpdate { apps: Some(vec![web, app("/shop/new", 1), app("/shop/db", 1)]), ..dependent })
        .unwrap();
    cluster.settle();
    cluster.ask(Command::RemoveApp { app: id("/shop/web"), force: false }).unwrap();
    cluster.settle();
    assert_eq!(apps(&cluster), ["/other", "/shop/db", "/shop/new"]);

    let restore = |version| Command::RestoreGroup { group: path("/shop"), version, force: false };
    let then = first.version.unwrap();
    cluster.ask(restore(then)).unwrap();
    cluster.settle();
    assert_eq!(apps(&cluster), ["/other", "/shop/db", "/shop/web"]);
    assert_eq!(cluster.app("/shop/web").current.spec.run.image, "web:1");
    assert_eq!(cluster.wanted("/shop/db"), db, "what did not change was not restarted");
    assert!(cluster.state.group(&path("/shop")).unwrap().current().unwrap().dependencies.is_empty());
    assert_eq!(cluster.ask(restore(Timestamp(7))), Err(Rejected::NoGroupVersion { group: path("/shop") }));
}

#[test]
fn so_many_versions_of_the_tree_are_kept_and_graves_no_longer_than_they() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/gone", 1)).unwrap();
    let with = cluster.state.tree_versions().next_back().unwrap();
    cluster.settle();
    cluster.ask(Command::RemoveApp { app: id("/gone"), force: false }).unwrap();
    cluster.settle();
    assert_eq!(cluster.state.apps_at(&PathId::root(), with).len(), 1, "it can still be restored");
    for n in 0..60 {
        cluster.put(app("/web", n % 3)).unwrap();
        cluster.settle();
    }
    assert_eq!(cluster.state.tree_versions().count(), cluster::apply::KEPT_TREE_VERSIONS);
    assert!(cluster.state.tree_versions().next().unwrap() > with);
    assert!(
        cluster.state.apps_at(&PathId::root(), with).is_empty(),
        "it is forgotten with the last version that had it"
    );
}

#[test]
fn a_rollback_restores_apps_and_groups_that_the_deployment_changed_and_no_others() {
    let mut cluster = Cluster::with_nodes(3);
    put(&mut cluster, group("/shop", vec![app("/shop/web", 1), app("/shop/db", 1)])).unwrap();
    cluster.settle();
    let before = [cluster.wanted("/shop/web"), cluster.wanted("/shop/db")];
    let update = GroupUpdate {
        apps: Some(vec![image(app("/shop/web", 1), "web:2"), app("/shop/db", 1), app("/shop/new", 1)]),
        groups: Some(vec![group("/shop/in", vec![])]),
        dependencies: Some(vec![path("/elsewhere")]),
        ..group("/shop", vec![])
    };
    let deployment = put(&mut cluster, update).unwrap().deployment.unwrap();
    cluster.put(app("/else", 1)).unwrap();
    cluster.ask(Command::RollBack { deployment }).unwrap();
    cluster.settle();
    assert_eq!(apps(&cluster), ["/else", "/shop/db", "/shop/web"]);
    assert_eq!([cluster.wanted("/shop/web"), cluster.wanted("/shop/db")], before, "the old instances stayed");
    assert!(!cluster.state.has_group(&path("/shop/in")));
    assert!(cluster.state.group(&path("/shop")).unwrap().current().unwrap().dependencies.is_empty());
}

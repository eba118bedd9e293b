//! What the scheduler learns of nodes on which nothing starts, and of apps that start nowhere.

use crate::support::*;
use cluster::agent::Seen;
use cluster::*;

/// All agents obey once, and two seconds pass. On some nodes nothing starts, and some apps start nowhere.
fn turn(cluster: &mut Cluster, bad: &[&str], broken: &[&str]) {
    for it in cluster.state.instances().cloned().collect::<Vec<_>>() {
        let fails = bad.contains(&it.node.as_str()) || broken.contains(&it.app.as_str());
        let end = End { kind: EndKind::NotStarted, exit_code: None, message: "no free network".to_owned() };
        let (health, checks, readiness) = (Health::Healthy, Vec::new(), Readiness::default());
        let seen = match (&it.goal, &it.condition) {
            (Goal::Stop(_), _) => Seen::Removed,
            (Goal::Run, Condition::Staging) if fails => Seen::Ended(end),
            (Goal::Run, Condition::Staging) => Seen::Running { ip: None, health, checks, readiness },
            _ => continue,
        };
        cluster.see(it.id, seen);
    }
    cluster.wait(2_000);
}

fn turns(cluster: &mut Cluster, n: usize, bad: &[&str], broken: &[&str]) {
    (0..n).for_each(|_| turn(cluster, bad, broken));
}

fn on(cluster: &Cluster, app: &str, node: &str) -> usize {
    cluster.wanted(app).iter().filter(|it| cluster.state.instance(**it).unwrap().node.as_str() == node).count()
}

fn degraded(cluster: &Cluster) -> Vec<&str> {
    cluster.state.nodes().filter(|it| it.degraded().is_some()).map(|it| it.id().as_str()).collect()
}

#[test]
fn an_app_is_not_stuck_while_a_good_node_has_room() {
    let mut cluster = Cluster::with_nodes(4);
    cluster.put(app("/web", 4)).unwrap();
    turns(&mut cluster, 4, &["n1", "n2"], &[]);
    assert_eq!(cluster.picture("/web"), "4 new healthy");
    assert!(!cluster.is_deploying());
    assert_eq!(degraded(&cluster), [""; 0], "one app alone may have something that others have not");
}

#[test]
fn a_node_on_which_nothing_starts_rests_and_is_tried_with_one_instance() {
    let mut cluster = Cluster::with_nodes(3);
    for app_name in ["/a", "/b", "/c"] {
        cluster.put(app(app_name, 3)).unwrap();
    }
    turns(&mut cluster, 4, &["n1"], &[]);
    assert_eq!(["/a", "/b", "/c"].map(|it| cluster.picture(it)), ["3 new healthy"; 3]);
    assert_eq!(degraded(&cluster), ["n1"]);
    let reason = cluster.state.node(&NodeId::new("n1")).unwrap().degraded().unwrap();
    assert_eq!(
        reason,
        "3 apps could not be started here and were started on other nodes; last: Docker refused: no free network"
    );

    cluster.put(app("/d", 3)).unwrap();
    assert_eq!(on(&cluster, "/d", "n1"), 0, "it gets nothing new");
    let told = {
        let mut huge = app("/huge", 1);
        huge.run.resources.cpu_milli = 3_900;
        cluster.put(huge).unwrap();
        explain::app(&cluster.state, cluster.app("/huge"), Moment(cluster.now)).unwrap().nodes
    };
    assert!(told[0].2.starts_with("the node is degraded, it is tried again in "), "{told:?}");
    assert!(told[0].2.ends_with(&reason), "{told:?}");
    cluster.ask(Command::RemoveApp { app: id("/huge"), force: true }).unwrap();

    cluster.wait(20_000);
    cluster.put(app("/e", 3)).unwrap();
    cluster.put(app("/f", 3)).unwrap();
    assert_eq!(on(&cluster, "/e", "n1") + on(&cluster, "/f", "n1"), 1, "it is tried with one");
    turns(&mut cluster, 2, &["n1"], &[]);
    assert_eq!(on(&cluster, "/e", "n1") + on(&cluster, "/f", "n1"), 0, "it failed, and rests again");
    assert_eq!([cluster.picture("/e"), cluster.picture("/f")], ["3 new healthy"; 2]);

    cluster.wait(40_000);
    cluster.put(app("/g", 3)).unwrap();
    assert_eq!(on(&cluster, "/g", "n1"), 1);
    turns(&mut cluster, 2, &[], &[]);
    assert_eq!(degraded(&cluster), [""; 0], "something has started there");
    cluster.put(app("/h", 3)).unwrap();
    turns(&mut cluster, 2, &[], &[]);
    assert_eq!(cluster.picture("/h"), "3 new healthy");
}

#[test]
fn apps_that_start_nowhere_bring_no_node_into_disrepute() {
    let mut cluster = Cluster::with_nodes(3);
    for app_name in ["/x", "/y", "/z", "/web"] {
        cluster.put(app(app_name, 2)).unwrap();
    }
    turns(&mut cluster, 30, &[], &["/x", "/y", "/z"]);
    assert_eq!(degraded(&cluster), [""; 0]);
    // Their image is there at last: that says nothing about the nodes either.
    turns(&mut cluster, 10, &[], &[]);
    assert_eq!(degraded(&cluster), [""; 0]);
    assert_eq!(cluster.picture("/x"), "2 new healthy");
}

#[test]
fn what_is_learned_survives_a_snapshot_and_is_forgotten_with_time() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/web", 3)).unwrap();
    turns(&mut cluster, 3, &["n1"], &[]);
    let trouble = cluster.state.node(&NodeId::new("n1")).unwrap().trouble.clone().unwrap();
    assert!(trouble.remembered(Moment(cluster.now)) > 0);
    assert_eq!(trouble.remembered(Moment(cluster.now + 36_000_000)), 0);
    assert_eq!(cluster.state.clone().indexed(), cluster.state);
}

#[test]
fn what_an_app_remembers_of_a_node_goes_with_it_to_its_next_name() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/web", 3)).unwrap();
    turns(&mut cluster, 1, &["n1"], &[]);
    let (old, new) = (NodeId::new("n1"), NodeId::new("moved"));
    let now = Moment(cluster.now);
    let failures = cluster.app("/web").shunned.failures_on(&old, now);
    assert!(failures > 0);
    let renamed = NodeDescription { id: new.clone(), ..(*cluster.state.node(&old).unwrap().description).clone() };
    cluster.ask(Command::Register { node: renamed }).unwrap();
    let shunned = &cluster.app("/web").shunned;
    assert_eq!((shunned.failures_on(&new, now), shunned.failures_on(&old, now)), (failures, 0));
}

#[test]
fn a_resident_that_never_ran_is_not_bound_to_a_node_on_which_nothing_starts() {
    let mut cluster = Cluster::with_nodes(3);
    let mut spec = app("/db", 1);
    spec.run.volumes = vec![Volume::Persistent(PersistentVolume {
        container_path: "data".to_owned(),
        size_mib: 100,
        mode: VolumeMode::Rw,
    })];
    cluster.put(spec).unwrap();
    let first = cluster.state.instance(cluster.wanted("/db")[0]).unwrap().node.clone();
    turns(&mut cluster, 4, &[first.as_str()], &[]);
    assert_eq!(cluster.picture("/db"), "1 new healthy");
    assert_eq!(on(&cluster, "/db", first.as_str()), 0);
    assert_eq!(cluster.app("/db").reservations.len(), 1);
}

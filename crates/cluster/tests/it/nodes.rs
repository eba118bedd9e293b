//! Who a node is, and what nobody speaks of.

use crate::support::*;
use cluster::OrphanReason::{Forgotten, NodeGone, NodeLost};
use cluster::agent::{Observation, Seen};
use cluster::*;

fn name(text: &str) -> NodeId {
    NodeId::new(text)
}

/// The node of this agent, under another name.
fn called(before: &str, now: &str) -> NodeDescription {
    NodeDescription { id: name(now), ..node(before, &[("rack", "a")]) }
}

fn stranger(instance: InstanceId, made_by: &str, agent: Option<u64>) -> Stranger {
    Stranger { instance, app: "/web".to_owned(), node: made_by.to_owned(), agent, running: true }
}

fn find(cluster: &mut Cluster, on: &str, strangers: &[Stranger]) -> Result<Applied, Rejected> {
    cluster.ask(Command::FindStrangers { node: name(on), strangers: strangers.to_vec() })
}

fn orphans(cluster: &Cluster, on: &str) -> Vec<(InstanceId, OrphanReason, bool)> {
    let node = cluster.state.node(&name(on)).expect("a known node");
    node.orphans.iter().map(|(id, it)| (*id, it.reason, it.doomed)).collect()
}

#[test]
fn a_renamed_node_is_the_same_node_with_all_that_is_on_it() {
    let mut cluster = Cluster::with_nodes(1);
    let volume = PersistentVolume { container_path: "data".to_owned(), size_mib: 100, mode: VolumeMode::Rw };
    let mut db = app("/db", 1);
    db.run.volumes = vec![Volume::Persistent(volume)];
    db.policy.upgrade = UpgradeStrategy { min_health_ppm: 0, max_over_ppm: 0 };
    cluster.put(app("/web", 2)).unwrap();
    cluster.put(db).unwrap();
    cluster.settle();
    let before = cluster.state.node(&name("n1")).unwrap().clone();
    let ports: Vec<_> = cluster.state.instances().map(|it| (it.id, it.ports.clone(), it.reservation)).collect();
    for lost in [false, true] {
        let (from, to) = if lost { ("moved", "n1") } else { ("n1", "moved") };
        if lost {
            cluster.ask(Command::Lose { node: name(from) }).unwrap();
        }
        let applied = cluster.ask(Command::Register { node: called("n1", to) }).unwrap();
        assert!(matches!(&applied.events[..],
            [Event::NodeRemoved { node }, Event::NodeChanged { node: now }] if *node == name(from) && *now.id() == name(to)));
        assert!(cluster.state.node(&name(from)).is_none() && cluster.state.n_nodes() == 1);
        let after = cluster.state.node(&name(to)).unwrap();
        assert_eq!((&after.used, &after.ports, &after.instances), (&before.used, &before.ports, &before.instances));
        assert_eq!(after.reservations, before.reservations);
        assert!(cluster.state.instances().all(|it| it.node == name(to)));
        assert!(cluster.state.reservations().all(|it| it.node == name(to)));
        let now: Vec<_> = cluster.state.instances().map(|it| (it.id, it.ports.clone(), it.reservation)).collect();
        assert_eq!(now, ports, "nothing was ended, nothing was launched");
        assert_eq!(after.field("hostname"), Some(to));
    }
    // It goes on as before: what is known by its new name only.
    cluster.put(app("/web", 3)).unwrap();
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "3 new healthy");
    let again = cluster.ask(Command::Register { node: called("n1", "n1") });
    assert_eq!(again, Err(Rejected::Nothing));
}

#[test]
fn a_name_is_the_node_s_that_has_it_and_a_new_directory_is_a_new_node() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    let n_before = cluster.state.instances_on(cluster.state.node(&name("n1")).unwrap()).count();
    let rebuilt = NodeDescription { agent: 4_711, ..node("n1", &[("rack", "a")]) };
    let taken = Rejected::NameTaken { node: name("n1") };
    assert_eq!(cluster.ask(Command::Register { node: rebuilt.clone() }), Err(taken.clone()));
    assert_eq!(cluster.ask(Command::Register { node: called("n2", "n1") }), Err(taken.clone()), "nor by a known one");
    cluster.ask(Command::Lose { node: name("n1") }).unwrap();
    cluster.ask(Command::Register { node: rebuilt }).unwrap();
    let new = cluster.state.node(&name("n1")).unwrap();
    assert_eq!((new.description.agent, new.is_lost()), (4_711, false));
    let lost = cluster.state.nodes().find(|it| it.is_lost()).expect("the lost one is kept");
    assert!(lost.id().as_str().starts_with("n1."), "{}", lost.id());
    assert!(cluster.state.instances_on(lost).count() >= n_before, "with what was on it");
    // Its agent is told that its name is gone, and comes back under another.
    let old = node("n1", &[("rack", "a")]);
    assert_eq!(cluster.ask(Command::Register { node: old.clone() }), Err(taken));
    cluster.ask(Command::Register { node: NodeDescription { id: name("n3"), ..old.clone() } }).unwrap();
    assert_eq!(cluster.state.n_nodes(), 3);
    assert_eq!(cluster.state.node(&name("n3")).unwrap().description.agent, old.agent);
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "2 new healthy");
}

#[test]
fn what_no_assignment_covers_is_an_orphan_with_its_reason() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/web", 3)).unwrap();
    cluster.settle();
    let agent = |it: &str| Some(node(it, &[]).agent);
    let nobody = |n: u32| InstanceId::derive(ClusterId(1), 900, n);
    let covered = cluster.wanted("/web")[0];
    let all = [
        stranger(covered, "n1", agent("n1")),
        stranger(nobody(1), "an-old-name", agent("n1")),
        stranger(nobody(2), "n2", agent("n2")),
        stranger(nobody(3), "gone", Some(4_711)),
        stranger(nobody(4), "n1", None),
        stranger(nobody(5), "gone", None),
        stranger(nobody(6), "n2", None),
    ];
    let applied = find(&mut cluster, "n1", &all).unwrap();
    assert_eq!(applied.events, [Event::OrphansChanged { node: name("n1") }]);
    let expect = [(1, Forgotten), (3, NodeGone), (4, Forgotten), (5, NodeGone)];
    let expect: Vec<_> = expect.iter().map(|(n, reason)| (nobody(*n), *reason, false)).collect();
    assert_eq!(orphans(&cluster, "n1"), expect);
    assert_eq!(find(&mut cluster, "n1", &all), Err(Rejected::Nothing), "the same again is no news");
    let since = cluster.state.node(&name("n1")).unwrap().orphans[&nobody(1)].since;

    // What another node of the same engine made is told by that one, unless it is lost or forgotten.
    cluster.ask(Command::Lose { node: name("n2") }).unwrap();
    find(&mut cluster, "n1", &all).unwrap();
    assert!(orphans(&cluster, "n1").contains(&(nobody(2), NodeLost, false)));
    cluster.ask(Command::RemoveNode { node: name("n2") }).unwrap();
    find(&mut cluster, "n1", &all).unwrap();
    assert!(orphans(&cluster, "n1").contains(&(nobody(2), NodeGone, false)));
    assert_eq!(cluster.state.node(&name("n1")).unwrap().orphans[&nobody(1)].since, since, "it was found then");
    find(&mut cluster, "n1", &[]).unwrap();
    assert_eq!(orphans(&cluster, "n1"), []);
}

#[test]
fn an_orphan_is_ended_by_one_command_and_never_without() {
    let mut cluster = Cluster::with_nodes(2);
    let nobody = |n: u32| InstanceId::derive(ClusterId(1), 900, n);
    let agent = Some(node("n1", &[]).agent);
    let all = [stranger(nobody(1), "n1", agent), stranger(nobody(2), "n1", agent)];
    find(&mut cluster, "n1", &all).unwrap();
    let orders = |cluster: &Cluster| -> Vec<_> {
        let node = cluster.state.node(&name("n1")).unwrap();
        cluster.state.removals_of_orphans(node).map(|it| (it.instance, it.stop, it.spec.is_some())).collect()
    };
    assert_eq!(orders(&cluster), []);
    let unknown = Command::RemoveOrphans { instances: vec![nobody(1), nobody(3)] };
    assert_eq!(cluster.ask(unknown), Err(Rejected::NoOrphan { instance: nobody(3) }));
    assert_eq!(orders(&cluster), [], "all or none");
    cluster.ask(Command::RemoveOrphans { instances: vec![nobody(1)] }).unwrap();
    assert_eq!(orders(&cluster), [(nobody(1), true, false)]);
    // It is looked for again before it is gone: the order stands.
    find(&mut cluster, "n1", &[Stranger { running: false, ..all[0].clone() }, all[1].clone()]).unwrap();
    assert_eq!(orders(&cluster), [(nobody(1), true, false)]);
    let removed = vec![Observation {
        instance: nobody(1),
        judged_by: Timestamp(0),
        trial: None,
        seen: Seen::Removed,
        evidence: None,
    }];
    let report = |node: &str| Command::Report { node: name(node), observations: removed.clone(), destroyed: vec![] };
    assert_eq!(cluster.ask(report("n2")), Err(Rejected::Nothing), "only its own agent can say so");
    let applied = cluster.ask(report("n1")).unwrap();
    assert_eq!(applied.events, [Event::OrphansChanged { node: name("n1") }]);
    assert_eq!(orphans(&cluster, "n1").iter().map(|it| it.0).collect::<Vec<_>>(), [nobody(2)]);
}

#[test]
fn what_a_container_says_of_itself_is_bounded() {
    let mut cluster = Cluster::with_nodes(1);
    let text = "é\u{1b}[2J".repeat(1_000);
    let many: Vec<Stranger> = (0..2_000)
        .map(|n| Stranger {
            app: text.clone(),
            node: text.clone(),
            ..stranger(InstanceId::derive(ClusterId(1), 900, n), "n1", Some(1))
        })
        .collect();
    find(&mut cluster, "n1", &many).unwrap();
    let node = cluster.state.node(&name("n1")).unwrap();
    assert_eq!(node.orphans.len(), cluster::apply::MAX_ORPHANS);
    let orphan = node.orphans.values().next().unwrap();
    assert!(orphan.app.len() <= 253 && !orphan.app.contains('\u{1b}') && orphan.made_by.len() <= 253);
}

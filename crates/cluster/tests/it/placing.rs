//! Where instances go, and why they do not.

use crate::support::{Cluster, MIB, app, constrained, port};
use cluster::place::Reason;
use cluster::*;
use std::collections::BTreeMap;

/// How many wanted instances of an app each node has.
fn spread(cluster: &Cluster, app: &str) -> BTreeMap<String, u32> {
    let mut nodes = BTreeMap::new();
    for it in cluster.wanted(app) {
        *nodes.entry(cluster.state.instance(it).unwrap().node.to_string()).or_default() += 1;
    }
    nodes
}

#[test]
fn instances_are_spread_over_nodes() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/web", 7)).unwrap();
    let mut counts: Vec<u32> = spread(&cluster, "/web").into_values().collect();
    counts.sort_unstable();
    assert_eq!(counts, [2, 2, 3]);
}

#[test]
fn constraints_hold() {
    use Operator::{Cluster as Same, GroupBy, Is, Like, MaxPer, Unique, Unlike};
    let check = |constraint: (&str, Operator, Option<&str>), wanted: u32, expect: &[(&str, u32)]| {
        let mut cluster = Cluster::with_nodes(4);
        cluster.register("n5", &[]).unwrap();
        cluster.put(constrained(app("/web", wanted), &[constraint])).unwrap();
        let placed = spread(&cluster, "/web");
        let expect: BTreeMap<String, u32> = expect.iter().map(|(node, n)| ((*node).to_owned(), *n)).collect();
        assert_eq!(placed, expect, "{constraint:?}");
    };
    check(("hostname", Unique, None), 7, &[("n1", 1), ("n2", 1), ("n3", 1), ("n4", 1), ("n5", 1)]);
    check(("rack", Unique, None), 7, &[("n1", 1), ("n2", 1)]);
    check(("hostname", Like, Some("n[12]")), 4, &[("n1", 2), ("n2", 2)]);
    check(("hostname", Like, Some("n")), 4, &[]);
    check(("rack", Unlike, Some("a")), 3, &[("n2", 1), ("n4", 1), ("n5", 1)]);
    // What nobody can read excludes every node: that it was to exclude one is all that is certain.
    check(("hostname", Like, Some("(")), 3, &[]);
    check(("hostname", Unlike, Some("(")), 3, &[]);
    check(("rack", Unlike, Some("\\w{100000}")), 3, &[]);
    check(("rack", Is, Some("b")), 2, &[("n2", 1), ("n4", 1)]);
    check(("rack", Same, Some("a")), 4, &[("n1", 2), ("n3", 2)]);
    check(("hostname", Same, None), 3, &[("n1", 3)]);
    check(("rack", MaxPer, Some("1")), 5, &[("n1", 1), ("n2", 1)]);
    check(("hostname", MaxPer, Some("2")), 10, &[("n1", 2), ("n2", 2), ("n3", 2), ("n4", 2), ("n5", 2)]);
    check(("rack", GroupBy, None), 4, &[("n1", 1), ("n2", 1), ("n3", 1), ("n4", 1)]);
    check(("rack", GroupBy, Some("3")), 4, &[("n1", 1), ("n2", 1)]);
    check(("@hostname", Is, Some("n3")), 1, &[("n3", 1)]);
}

#[test]
fn a_pattern_that_cannot_be_read_is_the_reason_of_every_node() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(constrained(app("/web", 1), &[("rack", Operator::Unlike, Some("a(?=b)"))])).unwrap();
    let waits = explain::app(&cluster.state, cluster.app("/web"), Moment(cluster.now)).unwrap();
    let details: Vec<&str> = waits.nodes.iter().map(|it| it.2.as_str()).collect();
    let why = "constraint rack:UNLIKE cannot be met: 'a(?=b)' is not a valid regular expression: look-around is not \
               supported";
    assert_eq!(details, [why, why]);
}

#[test]
fn all_nodes_that_decline_are_counted_and_some_are_named() {
    let mut cluster = Cluster::with_nodes(50);
    let mut spec = app("/big", 1);
    spec.run.resources.cpu_milli = 64_000;
    cluster.put(spec).unwrap();
    let waits = explain::app(&cluster.state, cluster.app("/big"), Moment(cluster.now)).unwrap();
    assert_eq!((waits.n_declining, waits.nodes.len()), (50, explain::NODES_NAMED));
    assert!(waits.reasons.contains(&(Reason::InsufficientCpus, 50, 50)));
}

#[test]
fn patterns_are_compiled_once_for_all_versions_that_have_them() {
    let mut cluster = Cluster::with_nodes(2);
    let patterns = |cluster: &Cluster| format!("{:?}", cluster.app("/web").current.patterns);
    let spec = constrained(app("/web", 1), &[("rack", Operator::Like, Some("a|b"))]);
    cluster.apply(Command::PutApps { apps: vec![(spec.clone(), Expect::Any)], force: false }).unwrap();
    assert_eq!(patterns(&cluster), "not compiled", "nobody has asked yet");
    cluster.plan();
    cluster.settle();
    assert_eq!(patterns(&cluster), "compiled");
    let more = AppSpec { instances: 2, ..spec.clone() };
    cluster.apply(Command::PutApps { apps: vec![(more, Expect::Any)], force: false }).unwrap();
    assert_eq!(patterns(&cluster), "compiled", "the next version has the same");
    let other = constrained(spec, &[("rack", Operator::Like, Some("b"))]);
    cluster.apply(Command::PutApps { apps: vec![(other, Expect::Any)], force: true }).unwrap();
    assert_eq!(patterns(&cluster), "not compiled");
}

#[test]
fn an_out_of_date_instance_does_not_keep_its_successor_away() {
    let mut cluster = Cluster::with_nodes(2);
    let spec = constrained(app("/web", 2), &[("hostname", Operator::Unique, None)]);
    cluster.put(spec.clone()).unwrap();
    cluster.settle();
    cluster.put(crate::support::image(spec, "web:2")).unwrap();
    assert_eq!(cluster.picture("/web"), "2 new staging, 2 old healthy");
}

#[test]
fn who_is_on_the_way_out_counts_where_a_value_bears_so_many_only() {
    for (operator, value) in [(Operator::Unique, None), (Operator::MaxPer, Some("1"))] {
        let mut cluster = Cluster::with_nodes(1);
        cluster.put(constrained(app("/web", 1), &[("hostname", operator, value)])).unwrap();
        cluster.settle();
        let first = cluster.wanted("/web");
        cluster.ask(Command::Kill { instances: first, scale: false, force: false, wipe: false }).unwrap();
        assert_eq!(cluster.wanted("/web"), [], "{operator:?}: it may still run");
        cluster.settle();
        assert_eq!(cluster.wanted("/web").len(), 1, "{operator:?}: it is gone");
    }
}

#[test]
fn resources_are_never_promised_twice() {
    let mut cluster = Cluster::with_nodes(2);
    let mut spec = app("/big", 9);
    spec.run.resources = Resources { cpu_milli: 1_000, memory_bytes: 1_024 * MIB, disk_bytes: 0 };
    cluster.put(spec).unwrap();
    assert_eq!(cluster.wanted("/big").len(), 8, "two nodes of four cores");
    let waiting = explain::waiting(&cluster.state, Moment(cluster.now));
    let [waiting] = &waiting[..] else { panic!("one app waits") };
    assert_eq!((waiting.count, waiting.nodes.len()), (1, 2));
    assert_eq!(waiting.nodes[0].1, Reason::InsufficientCpus);
    assert_eq!(waiting.nodes[0].2, "needs 1.000 cpus, 0.000 are free");
    let declined: Vec<_> = waiting.reasons.iter().map(|it| (it.1, it.2)).collect();
    assert_eq!(declined, [(0, 2), (0, 2), (0, 2), (0, 2), (2, 2), (0, 0), (0, 0), (0, 0)], "the funnel adds up");

    cluster.register("n3", &[]).unwrap();
    assert_eq!(cluster.wanted("/big").len(), 9, "room came, the app was waiting for it");
}

#[test]
fn host_ports_are_exclusive_until_the_container_is_gone() {
    let mut cluster = Cluster::with_nodes(1);
    let mut spec = app("/web", 1);
    spec.run.ports = vec![port(WantedHostPort::Fixed(8080)), port(WantedHostPort::Any)];
    cluster.put(spec.clone()).unwrap();
    cluster.settle();
    let first = cluster.state.instance(cluster.wanted("/web")[0]).unwrap().clone();
    assert_eq!(first.ports, [8080, 31_000]);

    spec.id = crate::support::id("/other");
    cluster.put(spec).unwrap();
    assert_eq!(cluster.picture("/other"), "");
    let waits = explain::app(&cluster.state, cluster.app("/other"), Moment(cluster.now)).unwrap();
    assert_eq!(waits.nodes[0].2, format!("host port 8080 is held by instance {}", first.id));

    cluster.ask(Command::RemoveApp { app: crate::support::id("/web"), force: false }).unwrap();
    assert_eq!(cluster.picture("/other"), "", "stopping is not gone");
    cluster.obey(Health::Healthy);
    assert_eq!(cluster.picture("/other"), "1 new staging");
    let second = cluster.state.instance(cluster.wanted("/other")[0]).unwrap();
    assert_eq!(second.ports, [8080, 31_001], "a freed port rests");
}

#[test]
fn tcp_and_udp_of_one_number_have_a_holder_each() {
    let mut cluster = Cluster::with_nodes(1);
    let dns = |id: &str, protocols: &[Protocol]| {
        let mut spec = app(id, 1);
        let port = |it: &Protocol| PortSpec { protocol: *it, ..port(WantedHostPort::Fixed(53)) };
        spec.run.ports = protocols.iter().map(port).collect();
        spec
    };
    cluster.put(dns("/tcp", &[Protocol::Tcp])).unwrap();
    cluster.put(dns("/udp", &[Protocol::Udp])).unwrap();
    cluster.put(dns("/both", &[Protocol::Both])).unwrap();
    cluster.put(dns("/pair", &[Protocol::Udp, Protocol::Tcp])).unwrap();
    cluster.settle();
    let pictures = |cluster: &Cluster| ["/tcp", "/udp", "/both", "/pair"].map(|it| cluster.picture(it).is_empty());
    assert_eq!(pictures(&cluster), [false, false, true, true]);
    let waits = explain::app(&cluster.state, cluster.app("/both"), Moment(cluster.now)).unwrap();
    assert_eq!(waits.nodes[0].1, Reason::InsufficientPorts);

    for id in ["/tcp", "/udp"] {
        assert!(cluster.picture("/both").is_empty() && cluster.picture("/pair").is_empty(), "half of it is free");
        cluster.ask(Command::RemoveApp { app: crate::support::id(id), force: false }).unwrap();
        cluster.obey(Health::Healthy);
    }
    cluster.settle();
    assert_eq!(pictures(&cluster).iter().filter(|it| **it).count(), 1, "one of the two that are left has both");
}

#[test]
fn a_role_is_an_attribute_and_a_grant_is_the_nodes() {
    let mut cluster = Cluster::with_nodes(1);
    let mut spec = app("/web", 1);
    spec.policy.role = "edge".into();
    cluster.put(spec.clone()).unwrap();
    let waits = explain::app(&cluster.state, cluster.app("/web"), Moment(cluster.now)).unwrap();
    let why = (waits.nodes[0].1, waits.nodes[0].2.as_str());
    assert_eq!(why, (Reason::UnfulfilledRole, "its attribute 'role' must be edge: it has none"));
    cluster.register("n2", &[("role", "edge")]).unwrap();
    assert_eq!(cluster.picture("/web"), "1 new staging");

    let mut any = app("/any", 1);
    any.policy = Policy { accepted_roles: vec!["edge".into(), "*".into()], ..Policy::clone(&spec.policy) }.into();
    assert!(any.policy.wanted_roles().is_empty(), "any node will do");

    let mut asking = app("/asking", 1);
    asking.run.parameters = vec![("cap-add".into(), "NET_ADMIN".into())];
    cluster.put(asking).unwrap();
    let waits = explain::app(&cluster.state, cluster.app("/asking"), Moment(cluster.now)).unwrap();
    assert_eq!(waits.nodes[0].2, "'cap-add=NET_ADMIN' is not in its agent's parameters_allowed");
    let mut node = crate::support::node("n3", &[]);
    node.grants = Grants(["cap-add".to_owned()].into());
    cluster.ask(Command::Register { node }).unwrap();
    assert_eq!(cluster.picture("/asking"), "1 new staging");
    let id = cluster.wanted("/asking")[0];
    assert_eq!(cluster.state.instance(id).unwrap().node.as_str(), "n3");
}

#[test]
fn a_container_name_is_had_by_one_instance_of_a_node_and_the_next_one_says_what_it_waits_for() {
    let mut cluster = Cluster::with_nodes(0);
    let allowing = |name: &str| {
        let mut node = crate::support::node(name, &[]);
        node.grants = Grants(["name".to_owned()].into());
        Command::Register { node }
    };
    for name in ["n1", "n2"] {
        cluster.ask(allowing(name)).unwrap();
    }
    let mut spec = app("/web", 3);
    spec.run.parameters = vec![("name".into(), "web".into())];
    cluster.put(spec.clone()).unwrap();
    let nodes = |cluster: &Cluster| -> Vec<String> {
        let mut nodes: Vec<_> = cluster.state.instances().map(|it| it.node.to_string()).collect();
        nodes.sort();
        nodes
    };
    assert_eq!(nodes(&cluster), ["n1", "n2"], "two in one plan, on two nodes; the third one waits");
    cluster.settle();
    let waits = explain::app(&cluster.state, cluster.app("/web"), Moment(cluster.now)).unwrap();
    let why = "an instance of the app is there, and has the container name 'web' (Docker parameter 'name')";
    assert!(waits.nodes.iter().all(|it| it.2 == why), "{:?}", waits.nodes);
    cluster.ask(allowing("n3")).unwrap();
    assert_eq!(nodes(&cluster), ["n1", "n2", "n3"]);
    cluster.settle();

    // Another version has the same name, and waits until the old one is gone; one of another name does not.
    spec.run.image = "web:2".into();
    spec.policy.upgrade = UpgradeStrategy { min_health_ppm: 1_000_000, max_over_ppm: 1_000_000 };
    cluster.put(spec.clone()).unwrap();
    assert_eq!(cluster.picture("/web"), "3 old healthy");
    spec.policy.upgrade = UpgradeStrategy { min_health_ppm: 0, max_over_ppm: 0 };
    cluster.ask(Command::PutApps { apps: vec![(spec.clone(), Expect::Any)], force: true }).unwrap();
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "3 new healthy");
    spec.run.parameters[0].1 = "web-3".into();
    spec.policy.upgrade = UpgradeStrategy { min_health_ppm: 1_000_000, max_over_ppm: 1_000_000 };
    cluster.put(spec).unwrap();
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "3 new healthy");
}

#[test]
fn drawn_ports_run_out_and_come_back() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/web", 12)).unwrap();
    assert_eq!(cluster.wanted("/web").len(), 10, "the node offers ten ports");
    let ports: std::collections::BTreeSet<u16> =
        cluster.state.instances().flat_map(|it| it.ports.iter().copied()).collect();
    assert_eq!(ports.len(), 10);
    let waits = explain::app(&cluster.state, cluster.app("/web"), Moment(cluster.now)).unwrap();
    assert_eq!(waits.nodes[0].1, Reason::InsufficientPorts);
}

#[test]
fn a_step_that_came_too_late_is_passed_over() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/web", 1)).unwrap();
    cluster.settle();
    let app_id = crate::support::id("/web");
    let version = cluster.app("/web").current.version;
    let node = NodeId::new("n1");
    let taken = cluster.state.instances().next().unwrap().ports.clone();
    for (what, step) in [
        (
            "a held port",
            Step::Launch { app: app_id.clone(), version, node: node.clone(), ports: taken, reservation: None },
        ),
        (
            "no port",
            Step::Launch { app: app_id.clone(), version, node: node.clone(), ports: vec![], reservation: None },
        ),
        (
            "a foreign port",
            Step::Launch { app: app_id.clone(), version, node: node.clone(), ports: vec![80], reservation: None },
        ),
        (
            "an old version",
            Step::Launch {
                app: app_id.clone(),
                version: Timestamp(1),
                node: node.clone(),
                ports: vec![31_005],
                reservation: None,
            },
        ),
        (
            "not missing any more",
            Step::Launch { app: app_id.clone(), version, node: node.clone(), ports: vec![31_005], reservation: None },
        ),
        (
            "no node",
            Step::Launch { app: app_id, version, node: NodeId::new("nx"), ports: vec![31_005], reservation: None },
        ),
        ("no surplus", Step::Stop { instance: cluster.wanted("/web")[0], reason: StopReason::Surplus }),
        ("not out of date", Step::Stop { instance: cluster.wanted("/web")[0], reason: StopReason::Replaced }),
    ] {
        assert_eq!(cluster.apply(Command::Execute { steps: vec![step] }), Err(Rejected::Nothing), "{what}");
    }
}

#[test]
fn service_ports_are_unique_kept_and_freed() {
    let mut cluster = Cluster::with_nodes(1);
    let service_ports = |cluster: &Cluster, app: &str| -> Vec<u16> {
        cluster.app(app).current.spec.run.ports.iter().map(|it| it.service_port).collect()
    };
    let mut two = app("/two", 0);
    two.run.ports = vec![port(WantedHostPort::Any), port(WantedHostPort::Any)];
    cluster.put(app("/one", 0)).unwrap();
    cluster.put(two.clone()).unwrap();
    assert_eq!(service_ports(&cluster, "/one"), [10_000]);
    assert_eq!(service_ports(&cluster, "/two"), [10_001, 10_002]);
    cluster.put(crate::support::image(two, "web:2")).unwrap();
    assert_eq!(service_ports(&cluster, "/two"), [10_001, 10_002], "kept over an update");
}

#[test]
fn an_app_that_keeps_its_service_ports_needs_no_new_ones() {
    let mut cluster = Cluster::with_nodes(1);
    let many = |n: usize| {
        let mut spec = app("/many", 0);
        spec.run.ports = vec![port(WantedHostPort::None); n];
        spec
    };
    cluster.put(many(10_000)).unwrap();
    cluster.settle();
    let mut again = many(10_000);
    again.policy.labels.insert("team".to_owned(), "pay".to_owned());
    cluster.put(again).unwrap();
    cluster.settle();
    assert_eq!(cluster.put(app("/one-more", 0)), Err(Rejected::NoServicePort));
}

#[test]
fn a_service_port_that_is_given_is_not_chosen_for_another_port_of_the_app() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/web", 0)).unwrap();
    let mut two = app("/web", 0);
    two.run.ports = vec![port(WantedHostPort::Any), PortSpec { service_port: 10_000, ..port(WantedHostPort::Any) }];
    cluster.put(two).unwrap();
    let ports: Vec<u16> = cluster.app("/web").current.spec.run.ports.iter().map(|it| it.service_port).collect();
    assert_eq!(ports, [10_001, 10_000]);
}

#[test]
fn the_range_of_service_ports_is_a_setting_and_none_is_counted_twice() {
    let mut cluster = Cluster::with_nodes(1);
    let chosen = |cluster: &Cluster, id: &str| cluster.app(id).current.spec.run.ports[0].service_port;
    cluster.put(app("/old", 0)).unwrap();
    let settings = Settings { service_ports: PortRange { first: 20_000, last: 20_002 }, ..Settings::default() };
    cluster.ask(Command::Configure { settings }).unwrap();
    let mut fixed = app("/fixed", 0);
    fixed.run.ports[0].service_port = 20_001;
    cluster.put(fixed).unwrap();
    for (id, expect) in [("/a", 20_000), ("/b", 20_002)] {
        cluster.put(app(id, 0)).unwrap();
        assert_eq!(chosen(&cluster, id), expect);
    }
    assert_eq!(cluster.put(app("/c", 0)), Err(Rejected::NoServicePort));
    assert_eq!(chosen(&cluster, "/old"), 10_000, "what was chosen stays");
    // What a member reads of a snapshot counts as what the others have counted all along.
    cluster.state = cluster.state.clone().indexed();
    assert_eq!(cluster.put(app("/c", 0)), Err(Rejected::NoServicePort));
    cluster.ask(Command::RemoveApp { app: crate::support::id("/a"), force: false }).unwrap();
    cluster.settle();
    cluster.put(app("/c", 0)).unwrap();
    assert_eq!(chosen(&cluster, "/c"), 20_000);
    cluster.put(app("/a", 0)).unwrap_err();
}

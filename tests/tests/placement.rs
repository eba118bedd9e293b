//! Placement against a brute-force reference, on small clusters: it never places what is not allowed, and whenever one
//! more instance has a place, it finds one.
//!
//! The reference judges each node by itself, by the rules as `docs/marathon.md` and `cluster::Operator` put them in
//! words, with sums and counts of its own.

use cluster::place::{Room, place};
use cluster::testing;
use cluster::{
    App, AppId, AppSpec, ClusterId, Command, Constraint, Entry, Expect, Moment, NodeDescription, NodeId, Operator,
    PortRange, PortSpec, Principal, Protocol, Resources, State, Step, Timestamp, Unreachable, UpgradeStrategy,
    WantedHostPort,
};
use std::collections::{BTreeMap, BTreeSet};
use tests::sim::rng::Rng;

/// Clusters tried at each run.
const CASES: u64 = 4_000;

/// What is left of a node, by the reference's own count.
#[derive(Clone, Debug)]
struct Place {
    node: NodeId,
    free: Resources,
    taken: BTreeSet<u16>,
    /// The same by transport.
    held: BTreeSet<(u16, &'static str)>,
    range: PortRange,
    attributes: BTreeMap<String, String>,
    /// How many instances of the app are here.
    here: u32,
}

impl Place {
    fn field(&self, name: &str) -> Option<&str> {
        if name == "hostname" { Some(self.node.as_str()) } else { self.attributes.get(name).map(String::as_str) }
    }
}

/// Whether one more instance may go there.
fn is_allowed(spec: &AppSpec, all: &[Place], at: &Place) -> bool {
    let wanted = spec.run.resources;
    let fixed: Vec<u16> = spec.run.ports.iter().filter_map(|it| fixed(it.host_port)).collect();
    let drawn = spec.run.ports.iter().filter(|it| it.host_port == WantedHostPort::Any).count();
    let rest = (at.range.first..=at.range.last).filter(|it| !at.taken.contains(it) && !fixed.contains(it)).count();
    wanted.cpu_milli <= at.free.cpu_milli
        && wanted.memory_bytes <= at.free.memory_bytes
        && wanted.disk_bytes <= at.free.disk_bytes
        && spec.run.ports.iter().all(|it| fixed_held(it).iter().all(|it| !at.held.contains(it)))
        && drawn <= rest
        && spec.policy.constraints.iter().all(|it| holds(it, all, at))
}

/// What a port of a fixed number holds.
fn fixed_held(port: &PortSpec) -> Vec<(u16, &'static str)> {
    fixed(port.host_port).map(|it| held(it, port.protocol)).unwrap_or_default()
}

fn held(number: u16, protocol: Protocol) -> Vec<(u16, &'static str)> {
    match protocol {
        Protocol::Tcp => vec![(number, "tcp")],
        Protocol::Udp => vec![(number, "udp")],
        Protocol::Both => vec![(number, "tcp"), (number, "udp")],
    }
}

/// What these host ports hold, of an instance of this definition.
fn all_held<'a>(spec: &'a AppSpec, ports: &'a [u16]) -> impl Iterator<Item = (u16, &'static str)> + 'a {
    let wanted = spec.run.ports.iter().filter(|it| it.host_port != WantedHostPort::None);
    ports.iter().zip(wanted).flat_map(|(number, it)| held(*number, it.protocol))
}

fn fixed(port: WantedHostPort) -> Option<u16> {
    if let WantedHostPort::Fixed(port) = port { Some(port) } else { None }
}

fn holds(constraint: &Constraint, all: &[Place], at: &Place) -> bool {
    let Constraint { field, operator, value } = constraint;
    let Some(found) = at.field(field) else { return *operator == Operator::Unlike };
    // How many instances of the app have which value of the field.
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for place in all.iter().filter(|it| it.here > 0) {
        if let Some(value) = place.field(field) {
            *counts.entry(value).or_default() += place.here;
        }
    }
    let same = counts.get(found).copied().unwrap_or(0);
    let number = || value.as_deref().and_then(|it| it.parse().ok()).unwrap_or(0);
    match operator {
        Operator::Unique => same == 0,
        Operator::MaxPer => same < number(),
        Operator::Is => value.as_deref() == Some(found),
        // The patterns used here are of the form `a|b`.
        Operator::Like => value.iter().flat_map(|it| it.split('|')).any(|it| it == found),
        Operator::Unlike => value.iter().flat_map(|it| it.split('|')).all(|it| it != found),
        Operator::Cluster => match value {
            Some(value) => value == found,
            None => counts.is_empty() || same > 0,
        },
        // A value without instances is always fine; another one if there are as many groups as asked for, and it is
        // one of the smallest.
        Operator::GroupBy => same == 0 || (counts.len() as u32 >= number() && counts.values().all(|it| *it >= same)),
    }
}

/// A cluster of a few nodes, with apps on it.
struct World {
    state: State,
    rng: Rng,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self { state: State::new(), rng: Rng::new(seed) };
        world.apply(Command::Found { cluster: ClusterId(1) });
        for n in 0..world.rng.range(1, 4) {
            let rack = world.rng.pick(&["a", "b", "c"]).to_string();
            let mut attributes = BTreeMap::from([("rack".to_owned(), rack)]);
            if world.rng.chance(300) {
                attributes.insert("gpu".to_owned(), "yes".to_owned());
            }
            if world.rng.chance(100) {
                attributes.remove("rack");
            }
            let node = NodeDescription {
                id: NodeId::new(&format!("n{n}")),
                agent: n,
                address: "10.0.0.1".to_owned(),
                capacity: Resources {
                    cpu_milli: world.rng.range(0, 8) * 500,
                    memory_bytes: world.rng.range(0, 8) << 28,
                    disk_bytes: world.rng.range(1, 4) << 30,
                },
                ports: PortRange { first: 31_000, last: 31_000 + world.rng.below(4) as u16 },
                attributes,
                versions: BTreeMap::new(),
                grants: cluster::Grants::default(),
            };
            world.apply(Command::Register { node });
        }
        world
    }

    fn apply(&mut self, command: Command) -> bool {
        let (index, now) = (self.state.index() + 1, self.state.time().0 + 1);
        let (time, moment) = (Timestamp(now), Moment(now));
        self.state.apply(Entry { index, time, moment, principal: Principal::Leader, command }).is_ok()
    }

    fn put(&mut self, name: &str) -> AppId {
        let spec = spec(name, &mut self.rng);
        let id = spec.id.clone();
        assert!(self.apply(Command::PutApps { apps: vec![(spec, Expect::Any)], force: true }));
        id
    }

    fn app(&self, id: &AppId) -> &App {
        self.state.app(id).expect("it was put")
    }

    /// What the reference knows, for one app.
    fn places(&self, id: &AppId) -> Vec<Place> {
        let place = |node: &std::sync::Arc<cluster::Node>| {
            let mut place = Place {
                node: node.id().clone(),
                free: node.description.capacity,
                taken: BTreeSet::new(),
                held: BTreeSet::new(),
                range: node.description.ports,
                attributes: node.description.attributes.clone(),
                here: 0,
            };
            for instance in self.state.instances().filter(|it| it.node == place.node) {
                place.free = place.free.minus(&instance.resources);
                place.taken.extend(&instance.ports);
                let launched = &self.state.app(&instance.app).expect("nothing is removed").versions[&instance.run];
                place.held.extend(all_held(&launched.spec, &instance.ports));
                place.here += u32::from(instance.app == *id);
            }
            place
        };
        self.state.nodes().map(place).collect()
    }
}

fn spec(name: &str, rng: &mut Rng) -> AppSpec {
    let port = |rng: &mut Rng| PortSpec {
        container_port: 80,
        host_port: *rng.pick(&[
            WantedHostPort::Any,
            WantedHostPort::None,
            WantedHostPort::Fixed(31_000),
            WantedHostPort::Fixed(8_080),
        ]),
        service_port: 0,
        protocol: *rng.pick(&[Protocol::Tcp, Protocol::Udp, Protocol::Both]),
        name: None,
        labels: BTreeMap::new(),
    };
    let mut ports: Vec<PortSpec> = (0..rng.below(3)).map(|_| port(rng)).collect();
    let mut seen = BTreeSet::new();
    ports.retain(|it| fixed_held(it).into_iter().all(|it| seen.insert(it)));
    let constraints = (0..rng.below(3)).map(|_| constraint(rng)).collect();
    let mut spec = testing::app(name, 0);
    spec.instances = rng.range(1, 6) as u32;
    spec.run.resources =
        Resources { cpu_milli: rng.below(4) * 250, memory_bytes: rng.below(4) << 27, disk_bytes: rng.below(2) << 29 };
    spec.run.ports = ports;
    spec.policy.constraints = constraints;
    spec.policy.upgrade = UpgradeStrategy { min_health_ppm: 0, max_over_ppm: 0 };
    (spec.policy.backoff_ms, spec.policy.backoff_factor_ppm, spec.policy.backoff_max_ms) = (1, 1_000_000, 1);
    spec.policy.unreachable = Unreachable::Disabled;
    spec
}

fn constraint(rng: &mut Rng) -> Constraint {
    let field = (*rng.pick(&["hostname", "rack", "rack", "gpu"])).to_owned();
    let value = |text: &str| Some(text.to_owned());
    let (operator, value) = match rng.below(8) {
        0 => (Operator::Unique, None),
        1 => (Operator::Cluster, None),
        2 => (Operator::Cluster, value("a")),
        3 => (Operator::GroupBy, None),
        4 => (Operator::GroupBy, value("2")),
        5 => (Operator::Like, value("a|b|n1|yes")),
        6 => (Operator::Unlike, value("b|n0")),
        _ => (*rng.pick(&[Operator::MaxPer, Operator::Is]), value("2")),
    };
    Constraint { field, operator, value }
}

/// Places one after the other, each compared with the reference; returns how many had a place.
fn check_one_by_one(world: &mut World, id: &AppId, seed: u64) -> u32 {
    let mut placed = 0;
    for _ in 0..6 {
        let before = world.places(id);
        let app = world.app(id).clone();
        let (spec, version) = (app.current.spec.clone(), app.current.version);
        let fitting: Vec<_> = before.iter().filter(|it| is_allowed(&spec, &before, it)).map(|it| &it.node).collect();
        let mut room = Room::of(&world.state);
        match place(&world.state, &mut room, &app, 1, world.state.moment()).into_iter().next() {
            None => {
                assert!(fitting.is_empty(), "seed {seed}: {id} has a place on {fitting:?}, none was found: {before:?}");
                return placed;
            }
            Some(it) => {
                assert!(fitting.contains(&&it.node), "seed {seed}: {id} was placed on {}, not allowed", it.node);
                check_ports(&spec, &before, &it, seed);
                // `apply` does not launch more than are wanted.
                let _ = version;
                let launch =
                    Step::Launch { app: id.clone(), version, node: it.node, ports: it.ports, reservation: None };
                if !world.apply(Command::Execute { steps: vec![launch] }) {
                    assert_eq!(placed, spec.instances, "seed {seed}: apply refuses what was placed");
                    return placed;
                }
                placed += 1;
            }
        }
    }
    placed
}

fn check_ports(spec: &AppSpec, all: &[Place], placed: &cluster::place::Placed, seed: u64) {
    let at = all.iter().find(|it| it.node == placed.node).expect("a known node");
    let wanted = spec.run.ports.iter().map(|it| it.host_port).filter(|it| *it != WantedHostPort::None);
    let wanted: Vec<_> = wanted.collect();
    assert_eq!(wanted.len(), placed.ports.len(), "seed {seed}: a port for each");
    for (wanted, port) in wanted.iter().zip(&placed.ports) {
        let drawn = || (at.range.first..=at.range.last).contains(port) && !at.taken.contains(port);
        let right = fixed(*wanted).map_or_else(drawn, |it| it == *port);
        assert!(right, "seed {seed}: port {port} for {wanted:?}");
    }
    let held: Vec<_> = all_held(spec, &placed.ports).collect();
    assert!(held.iter().all(|it| !at.held.contains(it)), "seed {seed}: {held:?} are not free");
    assert_eq!(BTreeSet::from_iter(&held).len(), held.len(), "seed {seed}: ports are distinct");
}

/// Places all at once; the reference books one after the other and agrees with each.
fn check_at_once(world: &World, id: &AppId, seed: u64) -> usize {
    let app = world.app(id);
    let spec = &app.current.spec;
    let mut places = world.places(id);
    let mut room = Room::of(&world.state);
    let all = place(&world.state, &mut room, app, spec.instances, world.state.moment());
    for it in &all {
        let at = places.iter().position(|place| place.node == it.node).expect("a known node");
        assert!(is_allowed(spec, &places, &places[at]), "seed {seed}: {id} on {}, not allowed in this order", it.node);
        check_ports(spec, &places, it, seed);
        places[at].free = places[at].free.minus(&spec.run.resources);
        places[at].taken.extend(&it.ports);
        places[at].held.extend(all_held(spec, &it.ports));
        places[at].here += 1;
    }
    if all.len() < spec.instances as usize {
        let left = places.iter().find(|it| is_allowed(spec, &places, it));
        assert!(left.is_none(), "seed {seed}: {id} stopped at {}, {left:?} takes one more", all.len());
    }
    all.len()
}

#[test]
fn one_more_instance_is_placed_whenever_it_has_a_place_and_never_elsewhere() {
    let (mut placed, mut refused) = (0, 0);
    for seed in 0..CASES {
        let mut world = World::new(seed);
        for name in ["/a", "/b"] {
            let id = world.put(name);
            let wanted = world.app(&id).current.spec.instances;
            let at_once = check_at_once(&world, &id, seed);
            let one_by_one = check_one_by_one(&mut world, &id, seed);
            placed += one_by_one;
            refused += u32::from(at_once < wanted as usize);
        }
    }
    // A test in which everything fits, or nothing does, says little.
    assert!(placed > CASES as u32 && refused > CASES as u32 / 4, "{placed} placed, {refused} refused");
}

//! How fast the core decides: `plan` + `place` + `apply`, on one core, without disk or network.

use crate::report::{Row, Table};
use cluster::testing;
use cluster::{
    Agenda, AppSpec, ClusterId, Command, Constraint, Entry, Expect, Moment, NodeDescription, NodeId, Operator,
    PortRange, Principal, Resources, Settings, State, Timestamp, plan,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// How the apps of a world are constrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Not at all: spread over nodes, as always.
    None,
    /// All spread over racks by `GROUP_BY`.
    Spread,
    /// A quarter each: none, `LIKE`, `GROUP_BY`, `UNIQUE`.
    Mixed,
}

/// A cluster and its leader's agenda, driven without raft.
pub(crate) struct World {
    pub(crate) state: State,
    agenda: Agenda,
    index: u64,
}

impl World {
    /// A cluster of nodes in 50 racks and 4 sizes.
    pub(crate) fn new(n_nodes: usize) -> Self {
        let mut world = Self { state: State::new(), agenda: Agenda::default(), index: 0 };
        world.apply(Command::Found { cluster: ClusterId(7) });
        // All apps are put before any is planned for.
        let settings = Settings { max_deployments: u32::MAX, min_live_ms: 0, ..Settings::default() };
        world.apply(Command::Configure { settings });
        for n in 0..n_nodes {
            world.apply(Command::Register { node: node(n) });
        }
        world
    }

    pub(crate) fn apply(&mut self, command: Command) {
        self.index += 1;
        let entry = Entry {
            index: self.index,
            time: Timestamp(self.index),
            moment: Moment(self.index),
            principal: Principal::Leader,
            command,
        };
        if let Ok(applied) = self.state.apply(entry) {
            self.agenda.note(&self.state, &applied.events);
        }
    }

    /// Plans and applies until nothing is left to do; how many steps that were.
    pub(crate) fn settle(&mut self) -> usize {
        let mut n_steps = 0;
        let now = Moment(self.index);
        while self.agenda.is_due(now) {
            let steps = plan(&self.state, &mut self.agenda, now).steps;
            if !steps.is_empty() {
                n_steps += steps.len();
                self.apply(Command::Execute { steps });
            }
        }
        n_steps
    }

    /// Reports every instance that was placed as running.
    pub(crate) fn run_all(&mut self) {
        let nodes: Vec<_> = self.state.nodes().map(|it| it.id().clone()).collect();
        for node in nodes {
            let record = self.state.node(&node).expect("it is there").clone();
            let observations = self
                .state
                .instances_on(&record)
                .map(|it| cluster::agent::Observation {
                    instance: it.id,
                    judged_by: cluster::Version::default(),
                    trial: None,
                    seen: cluster::agent::Seen::Running {
                        ip: None,
                        health: cluster::Health::Unknown,
                        checks: Vec::new(),
                        readiness: cluster::Readiness::default(),
                    },
                    evidence: None,
                })
                .collect();
            self.apply(Command::Report { node, observations, destroyed: Vec::new() });
        }
    }
}

fn node(n: usize) -> NodeDescription {
    let size = 1 << (n % 4);
    NodeDescription {
        id: NodeId::new(&format!("node-{n:05}")),
        agent: n as u64,
        address: format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255),
        capacity: Resources { cpu_milli: 64_000 * size, memory_bytes: 256 * GIB * size, disk_bytes: 4_000 * GIB },
        ports: PortRange::default(),
        attributes: BTreeMap::from([
            ("rack".to_owned(), format!("r{}", n % 50)),
            ("size".to_owned(), format!("s{size}")),
        ]),
        versions: BTreeMap::new(),
        grants: cluster::Grants::default(),
    }
}

/// The `n`-th app of a world.
pub(crate) fn app(n: usize, instances: u32, mix: Mix) -> AppSpec {
    let constraint = |field: &str, operator, value: Option<&str>| {
        vec![Constraint { field: field.to_owned(), operator, value: value.map(str::to_owned) }]
    };
    let constraints = match (mix, n % 4) {
        (Mix::Spread, _) | (Mix::Mixed, 1) => constraint("rack", Operator::GroupBy, None),
        (Mix::Mixed, 2) => constraint("hostname", Operator::Unique, None),
        (Mix::Mixed, 3) => constraint("rack", Operator::Like, Some("r[0-9]")),
        _ => Vec::new(),
    };
    let mut spec = testing::app(&format!("/team-{}/app-{n}", n % 40), 1);
    spec.instances = instances;
    spec.run.env = BTreeMap::from([("LOG_LEVEL".to_owned(), "info".to_owned())]);
    spec.run.resources.cpu_milli = [100, 250, 500, 1_000][n % 4];
    spec.run.resources.memory_bytes = [64, 128, 512, 1_024][(n / 4) % 4] * MIB;
    spec.run.ports[0].name = Some("http".to_owned());
    spec.policy.labels = BTreeMap::from([("team".to_owned(), format!("team-{}", n % 40))]);
    spec.policy.constraints = constraints;
    spec
}

/// From an empty cluster to all instances placed; the cluster, and placements per second.
pub(crate) fn cold(n_nodes: usize, n_instances: usize, mix: Mix) -> (World, f64) {
    let mut world = World::new(n_nodes);
    let n_apps = n_instances / 100;
    for n in 0..n_apps {
        world.apply(Command::PutApps { apps: vec![(app(n, 100, mix), Expect::Any)], force: false });
    }
    let start = Instant::now();
    world.settle();
    let took = start.elapsed();
    assert_eq!(world.state.n_instances(), n_apps * 100, "every instance has a place");
    (world, (n_apps * 100) as f64 / took.as_secs_f64())
}

/// One more instance each of some apps, in a settled cluster; the median of the times to decide and apply.
fn one_more(world: &mut World, mix: Mix) -> Duration {
    let n_apps = world.state.n_apps();
    let mut times: Vec<Duration> = (0..200)
        .map(|k| {
            let n = k * 7919 % n_apps;
            let spec = app(n, 101 + (k / n_apps) as u32, mix);
            let start = Instant::now();
            world.apply(Command::PutApps { apps: vec![(spec, Expect::Any)], force: true });
            world.settle();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Runs the whole.
pub(crate) fn run(table: &mut Table) {
    for (mix, name) in
        [(Mix::None, "no constraint"), (Mix::Spread, "spread over racks"), (Mix::Mixed, "mixed constraints")]
    {
        table.progress(&format!("placing 100 000 instances on 10 000 nodes, {name}"));
        let (_, rate) = cold(10_000, 100_000, mix);
        table.push(Row::at_least(
            format!("placements, cold, {name}, 10 000 nodes, 100 000 instances"),
            rate,
            50_000.0,
            "/s",
        ));
    }
    for (n_nodes, n_instances) in [(1_000, 10_000), (10_000, 100_000), (10_000, 1_000_000)] {
        table.progress(&format!("one more instance on {n_nodes} nodes with {n_instances} instances"));
        let (mut world, _) = cold(n_nodes, n_instances, Mix::Mixed);
        world.run_all();
        world.settle();
        let took = one_more(&mut world, Mix::Mixed);
        let what = format!("one more instance: {n_nodes} nodes, {n_instances} instances (median)");
        table.push(Row::at_most(what, took.as_secs_f64() * 1e3, 0.05, "ms"));
    }
}

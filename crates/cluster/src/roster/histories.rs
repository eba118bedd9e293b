//! Random histories of a small cluster: whatever users, agents and nodes may do, in any order.

use crate::agent::{Observation, Seen};
use crate::*;
use std::collections::BTreeMap;

/// A small generator, so that a number names a whole history (D. Lehmer; modulus 2^64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        (!of.is_empty()).then(|| &of[self.roll(of.len())])
    }
}

/// What happens next.
pub(super) fn next(state: &State, dice: &mut Dice) -> Command {
    match dice.roll(40) {
        0..=5 => put(state, dice),
        6 => Command::RestartApp { app: name(dice), force: true },
        7 => Command::RemoveApp { app: name(dice), force: dice.roll(2) == 0 },
        8 => kill(state, dice),
        9 | 10 => Command::Lose { node: node_name(dice) },
        11..=13 => Command::Register { node: node(dice) },
        14 => Command::RemoveNode { node: node_name(dice) },
        15 => {
            let active: Vec<DeploymentId> = state.active_deployments().map(|it| it.id).collect();
            match dice.pick(&active) {
                Some(deployment) if dice.roll(2) == 0 => Command::RollBack { deployment: *deployment },
                Some(deployment) => Command::Cancel { deployment: *deployment },
                None => Command::ResetBackoff { app: name(dice) },
            }
        }
        16 if dice.roll(4) == 0 => {
            let min_live_ms = [0, 2_000, 20_000][dice.roll(3)];
            Command::Configure { settings: Settings { min_live_ms, launch_timeout_ms: 15_000, ..Settings::default() } }
        }
        17 => {
            Command::ScaleGroup { group: PathId::root(), factor_ppm: [500_000, 2_000_000][dice.roll(2)], force: true }
        }
        _ => report(state, dice),
    }
}

fn name(dice: &mut Dice) -> AppId {
    AppId::parse(["/a", "/b", "/g/c"][dice.roll(3)]).expect("a valid id")
}

fn node_name(dice: &mut Dice) -> NodeId {
    NodeId::new(["n0", "n1", "n2", "n3", "n4", "n5", "other"][dice.roll(7)])
}

/// A node, mostly as it was, or with another rack or another name.
fn node(dice: &mut Dice) -> NodeDescription {
    let agent = dice.roll(6);
    let moved = dice.roll(8) == 0;
    let rack = ["x", "y", "z"][(agent + usize::from(moved)) % 3];
    let id = if dice.roll(10) == 0 { "other".to_owned() } else { format!("n{agent}") };
    NodeDescription {
        id: NodeId::new(&id),
        agent: agent as u64,
        address: id,
        capacity: Resources { cpu_milli: 1_000, memory_bytes: 1 << 30, disk_bytes: 1 << 40 },
        ports: PortRange { first: 31_000, last: 31_009 },
        attributes: BTreeMap::from([("rack".to_owned(), rack.to_owned())]),
        versions: BTreeMap::new(),
        grants: Grants::default(),
    }
}

/// An app, new or with something changed.
fn put(state: &State, dice: &mut Dice) -> Command {
    let id = name(dice);
    let there = state.live_app(&id).map(|it| it.current.spec.clone());
    let mut spec = there.unwrap_or_else(|| fresh(&id));
    let policy = &mut spec.policy;
    match dice.roll(12) {
        0..=3 => spec.instances = dice.roll(9) as u32,
        4 => spec.run.image = ["web:1", "web:2"][dice.roll(2)].to_owned(),
        5 => policy.constraints = constraints(dice),
        6 => policy.health_checks = (0..dice.roll(2)).map(|_| check(1 + dice.roll(2) as u32)).collect(),
        7 => policy.readiness_checks = (0..dice.roll(2)).map(|_| readiness_check()).collect(),
        8 => {
            let seconds = ["", "1", "4"][dice.roll(3)];
            policy.labels = BTreeMap::from([(MIN_LIVE_LABEL.to_owned(), seconds.to_owned())]);
        }
        9 => {
            let (min_health_ppm, max_over_ppm) = [(1_000_000, 1_000_000), (500_000, 0), (0, 0)][dice.roll(3)];
            policy.upgrade = UpgradeStrategy { min_health_ppm, max_over_ppm };
        }
        10 => policy.kill_selection = [KillSelection::YoungestFirst, KillSelection::OldestFirst][dice.roll(2)],
        _ => {
            let after = |inactive_ms| Unreachable::After { inactive_ms, expunge_ms: inactive_ms };
            policy.unreachable = [Unreachable::Disabled, after(0), after(3_000)][dice.roll(3)];
        }
    }
    Command::PutApps { apps: vec![(spec, Expect::Any)], force: dice.roll(4) > 0 }
}

fn constraints(dice: &mut Dice) -> Vec<Constraint> {
    let all = [
        ("rack", Operator::GroupBy, None),
        ("rack", Operator::MaxPer, Some("2")),
        ("rack", Operator::Cluster, None),
        ("@rack", Operator::Unlike, Some("x")),
        ("rack", Operator::Like, Some("[xy]")),
        ("hostname", Operator::Unique, None),
        ("hostname", Operator::MaxPer, Some("2")),
        ("hostname", Operator::GroupBy, None),
    ];
    let n = dice.roll(3);
    let some = (0..n).map(|_| all[dice.roll(all.len())]);
    some.map(|(field, operator, value)| Constraint {
        field: field.to_owned(),
        operator,
        value: value.map(str::to_owned),
    })
    .collect()
}

fn check(max_failures: u32) -> HealthCheck {
    let kind = HealthKind::Tcp { port: CheckPort::Index(max_failures % 2) };
    HealthCheck { max_failures, ..testing::health_check(kind) }
}

fn readiness_check() -> ReadinessCheck {
    ReadinessCheck {
        name: "ready".to_owned(),
        path: "/".to_owned(),
        port_name: "http".to_owned(),
        tls: false,
        interval_ms: 1_000,
        timeout_ms: 1_000,
        codes: vec![200],
        keep_response: false,
    }
}

/// An app of three small instances.
pub(super) fn fresh(id: &AppId) -> AppSpec {
    let mut spec = testing::app(id.as_str(), 1);
    spec.instances = 3;
    spec.run.resources.memory_bytes = 1 << 20;
    spec.run.ports[0].name = Some("http".to_owned());
    (spec.policy.backoff_ms, spec.policy.backoff_max_ms) = (100, 1_000);
    spec.policy.backoff_factor_ppm = 2_000_000;
    spec
}

fn kill(state: &State, dice: &mut Dice) -> Command {
    let all: Vec<InstanceId> = state.instances().map(|it| it.id).collect();
    let instances = (0..2).filter_map(|_| dice.pick(&all).copied()).collect();
    Command::Kill { instances, scale: dice.roll(2) == 0, force: true, wipe: false }
}

/// An agent reports what may be so, mostly what is wanted.
fn report(state: &State, dice: &mut Dice) -> Command {
    let all: Vec<_> = state.instances().collect();
    let Some(one) = dice.pick(&all) else { return put(state, dice) };
    let observations = state.node(&one.node).map(|node| state.instances_on(node).collect::<Vec<_>>());
    let observations = observations.unwrap_or_default().into_iter().filter_map(|it| {
        let judged_by = if dice.roll(6) == 0 { it.judged_by } else { state.assignment(it).policy };
        let seen = match (it.goal, dice.roll(10)) {
            (_, 0 | 1) => return None,
            (Goal::Stop(_), 2..=5) => Seen::Removed,
            (_, 2) => Seen::Staging { message: format!("pulling {}", dice.roll(3)) },
            (_, 3) if dice.roll(3) == 0 => {
                let kind = [EndKind::Failed, EndKind::NotStarted, EndKind::Finished][dice.roll(3)];
                Seen::Ended(End { kind, exit_code: None, message: "over".to_owned() })
            }
            (_, 4) if dice.roll(4) == 0 => Seen::Removed,
            _ => running(dice),
        };
        Some(Observation { instance: it.id, judged_by, trial: None, seen, evidence: None })
    });
    Command::Report { node: one.node.clone(), observations: observations.collect(), destroyed: Vec::new() }
}

fn running(dice: &mut Dice) -> Seen {
    let health = match dice.roll(12) {
        0 | 1 => Health::Unknown,
        2 | 3 => Health::Unhealthy,
        4 if dice.roll(3) == 0 => Health::Failed,
        _ => Health::Healthy,
    };
    let result =
        CheckResult { alive: health == Health::Healthy, forgiven: dice.roll(2) == 0, ..CheckResult::default() };
    let readiness = Readiness { ready: dice.roll(3) > 0, ..Readiness::default() };
    Seen::Running { ip: None, health, checks: vec![result], readiness }
}

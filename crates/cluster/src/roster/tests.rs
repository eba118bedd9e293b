//! Rosters are the same after any history, and with them a decision's work does not grow with its app.

use super::histories::{self, Dice};
use super::*;
use crate::agent::{Observation, Seen};
use crate::{
    Agenda, AppSpec, ClusterId, Command, Entry, Expect, NodeDescription, PortRange, Principal, Readiness, Resources,
    Settings, State, Timestamp, plan, work,
};

/// A cluster and its leader's agenda.
struct Cluster {
    state: State,
    agenda: Agenda,
    index: u64,
    now: u64,
}

impl Cluster {
    fn new(settings: Settings) -> Self {
        let mut cluster = Self { state: State::new(), agenda: Agenda::default(), index: 0, now: 1_000 };
        cluster.apply(Command::Found { cluster: ClusterId(1) });
        cluster.apply(Command::Configure { settings });
        cluster
    }

    fn apply(&mut self, command: Command) {
        self.index += 1;
        let (time, moment) = (Timestamp(self.now), Moment(self.now));
        let entry = Entry { index: self.index, time, moment, principal: Principal::Leader, command };
        if let Ok(applied) = self.state.apply(entry) {
            self.agenda.note(&self.state, &applied.events);
        }
    }

    /// Plans and applies until nothing is left to do.
    fn settle(&mut self) {
        loop {
            let steps = plan(&self.state, &mut self.agenda, Moment(self.now)).steps;
            if steps.is_empty() {
                return;
            }
            self.apply(Command::Execute { steps });
        }
    }

    /// The agent of an instance's node reports it.
    fn see(&mut self, instance: InstanceId, seen: Seen) {
        let record = self.state.instance(instance).expect("it is there").clone();
        let judged_by = self.state.assignment(&record).policy;
        let observations = vec![Observation { instance, judged_by, trial: None, seen, evidence: None }];
        self.apply(Command::Report { node: record.node.clone(), observations, destroyed: Vec::new() });
        self.settle();
    }

    fn instances(&self) -> Vec<InstanceId> {
        self.state.instances().map(|it| it.id).collect()
    }
}

/// The rosters, as of the moment up to which somebody has forgotten who is good.
fn aged(rosters: &Rosters, other: &Rosters) -> Rosters {
    let limit = |rosters: &Rosters, app: &AppId, kind: &Kind| {
        let members = rosters.kinds(app).find(|it| it.0 == kind);
        members.and_then(|it| it.1.forgotten)
    };
    let mut aged = rosters.clone();
    let apps: Vec<AppId> = aged.0.keys().cloned().collect();
    for app in apps {
        let roster = aged.0.get_mut(&app).expect("it is there");
        for (kind, members) in Arc::make_mut(&mut roster.0) {
            let latest = limit(rosters, &app, kind).max(limit(other, &app, kind));
            if let Some(latest) = latest {
                members.forget(latest);
            }
        }
    }
    aged
}

#[test]
fn every_roster_is_what_a_fresh_look_at_all_instances_gives() {
    let mut most_kinds = 0;
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut cluster =
            Cluster::new(Settings { min_live_ms: 2_000, launch_timeout_ms: 15_000, ..Settings::default() });
        for _ in 0..150 {
            cluster.now += [0, 0, dice.roll(2_500)][dice.roll(3)] as u64;
            let command = histories::next(&cluster.state, &mut dice);
            cluster.apply(command);
            let kept = &cluster.state.lookups.rosters;
            let fresh = Rosters::of(&cluster.state.apps, &cluster.state.instances, &cluster.state.nodes);
            assert_eq!(aged(kept, &fresh), aged(&fresh, kept), "seed {seed}, entry {}", cluster.index);
            most_kinds = most_kinds.max(kept.0.values().map(|it| it.0.len()).max().unwrap_or(0));
            let steps = plan(&cluster.state, &mut cluster.agenda, Moment(cluster.now)).steps;
            cluster.apply(Command::Execute { steps });
        }
    }
    assert!(most_kinds >= 6, "the histories are too dull: {most_kinds} kinds at most");
}

#[test]
fn decisions_are_the_same_from_a_snapshot() {
    for seed in 100..130 {
        let mut dice = Dice(seed);
        let mut cluster = Cluster::new(Settings { min_live_ms: 2_000, ..Settings::default() });
        for _ in 0..150 {
            cluster.now += [0, 0, dice.roll(2_500)][dice.roll(3)] as u64;
            let command = histories::next(&cluster.state, &mut dice);
            cluster.apply(command);
            let restored = cluster.state.clone().indexed();
            let now = Moment(cluster.now);
            for app in cluster.state.apps() {
                let decided = crate::rollout::decide(&cluster.state, app, now);
                assert_eq!(decided, crate::rollout::decide(&restored, app, now), "seed {seed}, {}", app.id);
            }
            let mut agenda = cluster.agenda.clone();
            let steps = plan(&cluster.state, &mut cluster.agenda, now).steps;
            assert_eq!(steps, plan(&restored, &mut agenda, now).steps, "seed {seed}, entry {}", cluster.index);
            cluster.apply(Command::Execute { steps });
        }
    }
}

fn node(n: usize) -> NodeDescription {
    NodeDescription {
        id: NodeId::new(&format!("n{n}")),
        agent: n as u64,
        address: "10.0.0.1".to_owned(),
        capacity: Resources { cpu_milli: 1 << 40, memory_bytes: 1 << 50, disk_bytes: 0 },
        ports: PortRange { first: 1_024, last: 60_000 },
        attributes: [("rack".to_owned(), format!("r{}", n % 4))].into(),
        versions: std::collections::BTreeMap::new(),
        grants: crate::Grants::default(),
    }
}

fn running() -> Seen {
    let readiness = Readiness { ready: true, response: None };
    Seen::Running { ip: None, health: Health::Healthy, checks: Vec::new(), readiness }
}

/// What was done while an app of `n` instances got one more, while that was reported to run, while the app was then
/// removed, instance by instance, and for all of them together.
fn work_of(n: u32, constraints: &[crate::Constraint]) -> [u64; 3] {
    let mut cluster = Cluster::new(Settings { min_live_ms: 1_000, ..Settings::default() });
    for n in 0..8 {
        cluster.apply(Command::Register { node: node(n) });
    }
    let mut spec = AppSpec { instances: n, ..histories::fresh(&AppId::parse("/a").expect("a valid id")) };
    spec.policy.constraints = constraints.to_vec();
    let put = |spec: &AppSpec| Command::PutApps { apps: vec![(spec.clone(), Expect::Any)], force: false };
    cluster.apply(put(&spec));
    cluster.settle();
    let there = cluster.instances();
    assert_eq!(there.len(), n as usize);
    // Late in its deployment, when most of it has happened.
    let (last, others) = there.split_last().expect("there is one");
    for it in others {
        cluster.see(*it, running());
    }
    cluster.now += 500;
    let report = work::of(|| cluster.see(*last, running()));
    cluster.now += 2_000;
    cluster.settle();
    assert_eq!(cluster.state.n_active_deployments(), 0, "it has settled");
    spec.instances += 1;
    let one_more = work::of(|| {
        cluster.apply(put(&spec));
        cluster.settle();
    });
    assert_eq!(cluster.state.n_instances(), n as usize + 1);
    let removal = work::of(|| {
        cluster.apply(Command::RemoveApp { app: spec.id.clone(), force: true });
        cluster.settle();
        cluster.instances().into_iter().for_each(|it| cluster.see(it, Seen::Removed));
    });
    assert_eq!((cluster.state.n_instances(), cluster.state.n_apps()), (0, 0));
    [one_more, report, removal]
}

#[test]
fn twice_the_instances_of_an_app_are_the_same_work_for_one_more_and_for_a_report() {
    let constraint = |field: &str, operator, value: Option<&str>| crate::Constraint {
        field: field.to_owned(),
        operator,
        value: value.map(str::to_owned),
    };
    for constraints in [
        vec![],
        vec![constraint("rack", crate::Operator::GroupBy, None)],
        vec![constraint("hostname", crate::Operator::MaxPer, Some("1000000"))],
        vec![constraint("rack", crate::Operator::Like, Some("r[01]"))],
    ] {
        let (once, twice) = (work_of(400, &constraints), work_of(800, &constraints));
        let [one_more, report, removal] = [0, 1, 2].map(|it| (once[it], twice[it]));
        assert!(one_more.1 <= one_more.0 + one_more.0 / 10, "one more: {one_more:?}, {constraints:?}");
        assert!(report.1 <= report.0 + report.0 / 10, "a report: {report:?}, {constraints:?}");
        assert!(removal.1 <= 2 * removal.0 + removal.0 / 10, "a removal, all of it: {removal:?}, {constraints:?}");
        assert!(one_more.0 > 0 && report.0 > 0, "something was counted");
    }
}

//! A cluster without raft, disk or Docker: entries are applied at once, and agents do as they are told when asked to.

use cluster::agent::{Observation, Seen};
use cluster::*;
use std::collections::BTreeMap;

/// A mebibyte.
pub(crate) const MIB: u64 = 1 << 20;

/// A cluster and its leader's agenda.
pub(crate) struct Cluster {
    pub(crate) state: State,
    pub(crate) agenda: Agenda,
    pub(crate) now: u64,
    /// By so much the wall clock differs from that.
    pub(crate) skew_ms: i64,
    index: u64,
}

impl Cluster {
    /// A cluster of nodes `n1`, `n2`, … with 4 cores and 8 GiB each, and a `rack` attribute: `a`, `b`, `a`, …
    pub(crate) fn with_nodes(n: usize) -> Self {
        let mut cluster = Self { state: State::new(), agenda: Agenda::default(), now: 1_000, skew_ms: 0, index: 0 };
        cluster.ask(Command::Found { cluster: ClusterId(1) }).unwrap();
        cluster.ask(Command::Configure { settings: settings() }).unwrap();
        for n in 1..=n {
            let rack = if n % 2 == 1 { "a" } else { "b" };
            cluster.register(&format!("n{n}"), &[("rack", rack)]).unwrap();
        }
        cluster
    }

    /// Applies a command, and everything it leads to by itself.
    pub(crate) fn ask(&mut self, command: Command) -> Result<Applied, Rejected> {
        let applied = self.apply(command);
        self.plan();
        applied
    }

    /// Applies a command, and nothing else.
    pub(crate) fn apply(&mut self, command: Command) -> Result<Applied, Rejected> {
        self.index += 1;
        self.now += 1;
        let principal = Principal::Leader;
        let time = Timestamp(self.now.saturating_add_signed(self.skew_ms));
        let entry = Entry { index: self.index, time, moment: Moment(self.now), principal, command };
        let applied = self.state.apply(entry)?;
        self.agenda.note(&self.state, &applied.events);
        Ok(applied)
    }

    /// Plans and applies until nothing is left to do.
    pub(crate) fn plan(&mut self) {
        for _ in 0..1_000 {
            let steps = plan(&self.state, &mut self.agenda, Moment(self.now)).steps;
            if steps.is_empty() {
                return;
            }
            self.apply(Command::Execute { steps }).expect("a fresh plan is right");
        }
        panic!("the plan never ends");
    }

    pub(crate) fn register(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<Applied, Rejected> {
        self.ask(Command::Register { node: node(name, attributes) })
    }

    pub(crate) fn put(&mut self, spec: AppSpec) -> Result<Applied, Rejected> {
        self.ask(Command::PutApps { apps: vec![(spec, Expect::Any)], force: false })
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now += ms;
        self.plan();
    }

    /// The agents of all reachable nodes do what is asked of them, once: start what is staged, remove what shall stop.
    /// New instances come up with this health.
    pub(crate) fn obey(&mut self, health: Health) {
        for instance in self.state.instances().cloned().collect::<Vec<_>>() {
            if self.state.is_unreachable(&instance) {
                continue;
            }
            let seen = match (&instance.goal, &instance.condition) {
                (Goal::Stop(_), _) => Seen::Removed,
                (Goal::Run, Condition::Staging) => {
                    Seen::Running { ip: None, health, checks: Vec::new(), readiness: Readiness::default() }
                }
                _ => continue,
            };
            self.see(instance.id, seen);
        }
    }

    /// Everybody obeys until all is quiet.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100 {
            let before = self.index;
            self.obey(Health::Healthy);
            if self.index == before {
                return;
            }
        }
        panic!("the cluster never comes to rest");
    }

    /// An agent that knows what is wanted reports one instance.
    pub(crate) fn see(&mut self, instance: InstanceId, seen: Seen) {
        let judged_by = self.state.assignment(self.state.instance(instance).expect("a known instance")).policy;
        self.see_judged_by(judged_by, instance, seen);
    }

    /// An agent that knows a version reports one instance.
    pub(crate) fn see_judged_by(&mut self, judged_by: Version, instance: InstanceId, seen: Seen) {
        let node = self.state.instance(instance).expect("a known instance").node.clone();
        let observations = vec![Observation { instance, judged_by, trial: None, seen, evidence: None }];
        let _ = self.ask(Command::Report { node, observations, destroyed: Vec::new() });
    }

    /// An agent reports that an instance ended by itself.
    pub(crate) fn crash(&mut self, instance: InstanceId) {
        let end = End { kind: EndKind::Failed, exit_code: Some(1), message: "exit code 1".to_owned() };
        self.see(instance, Seen::Ended(end));
    }

    /// The wanted instances of an app, oldest first.
    pub(crate) fn wanted(&self, app: &str) -> Vec<InstanceId> {
        let Some(app) = self.state.app(&id(app)) else { return Vec::new() };
        self.state.instances_of(app).filter(|it| it.is_wanted()).map(|it| it.id).collect()
    }

    /// How many instances of an app exist, by goal, condition and version; for people.
    pub(crate) fn picture(&self, app: &str) -> String {
        let Some(app) = self.state.app(&id(app)) else { return "gone".to_owned() };
        let mut groups: BTreeMap<String, u32> = BTreeMap::new();
        for it in self.state.instances_of(app) {
            let age = if app.is_current(it) { "new" } else { "old" };
            let condition = match (&it.goal, &it.condition) {
                (Goal::Stop(_), _) => "stopping",
                (_, Condition::Staging) => "staging",
                (_, Condition::Running) if it.health == Health::Healthy => "healthy",
                (_, Condition::Running) => "running",
                (_, Condition::Ended(_)) => "ended",
            };
            *groups.entry(format!("{age} {condition}")).or_default() += 1;
        }
        let groups: Vec<_> = groups.into_iter().map(|(what, n)| format!("{n} {what}")).collect();
        groups.join(", ")
    }

    /// The app's record.
    pub(crate) fn app(&self, app: &str) -> &App {
        self.state.app(&id(app)).expect("the app is there")
    }

    /// Whether a deployment is under way.
    pub(crate) fn is_deploying(&self) -> bool {
        self.state.deployments().any(|it| it.is_active())
    }
}

/// Settings with which a new instance counts as soon as it serves: how long it must have lived is `living`'s subject.
pub(crate) fn settings() -> Settings {
    Settings { min_live_ms: 0, ..Settings::default() }
}

pub(crate) fn id(text: &str) -> AppId {
    AppId::parse(text).expect("a valid id")
}

pub(crate) fn node(name: &str, attributes: &[(&str, &str)]) -> NodeDescription {
    NodeDescription {
        id: NodeId::new(name),
        agent: name.bytes().fold(7, |sum, it| (sum * 31 + u64::from(it)) % 0xffff_fffb),
        address: name.to_owned(),
        capacity: Resources { cpu_milli: 4_000, memory_bytes: 8_192 * MIB, disk_bytes: 100_000 * MIB },
        ports: PortRange { first: 31_000, last: 31_009 },
        attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        versions: BTreeMap::new(),
        grants: cluster::Grants::default(),
    }
}

/// An app of `n` small instances with one drawn port and one health check.
pub(crate) fn app(name: &str, n: u32) -> AppSpec {
    let mut spec = testing::app(name, 1);
    spec.instances = n;
    spec.policy.health_checks.push(testing::health_check(HealthKind::Tcp { port: CheckPort::Index(0) }));
    (spec.policy.backoff_factor_ppm, spec.policy.backoff_max_ms) = (2_000_000, 10_000);
    spec
}

pub(crate) fn port(host_port: WantedHostPort) -> PortSpec {
    PortSpec { host_port, ..testing::port() }
}

/// The same app with another image.
pub(crate) fn image(mut spec: AppSpec, image: &str) -> AppSpec {
    image.clone_into(&mut spec.run.image);
    spec
}

/// The same app with these limits of an update, in percent.
pub(crate) fn upgrade(mut spec: AppSpec, min_health: u32, max_over: u32) -> AppSpec {
    spec.policy.upgrade = UpgradeStrategy { min_health_ppm: min_health * 10_000, max_over_ppm: max_over * 10_000 };
    spec
}

/// The same app with these constraints.
pub(crate) fn constrained(mut spec: AppSpec, constraints: &[(&str, Operator, Option<&str>)]) -> AppSpec {
    let constraint = |(field, operator, value): &(&str, Operator, Option<&str>)| Constraint {
        field: (*field).to_owned(),
        operator: *operator,
        value: value.map(str::to_owned),
    };
    spec.policy.constraints = constraints.iter().map(constraint).collect();
    spec
}

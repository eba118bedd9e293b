//! Users: they put, scale, update, restart, remove, roll back, cancel and kill, and remember what they were told.

use super::rng::Rng;
use cluster::apply::{DEADLINE_LABEL, ROLLBACK_LABEL};
use cluster::testing;
use cluster::{
    AppId, AppSpec, CheckPort, Command, Constraint, Expect, GroupUpdate, HealthCheck, HealthKind, KillSelection,
    Operator, PathId, PersistentVolume, PortSpec, Protocol, ReadinessCheck, Resources, Scaling, State, Unreachable,
    UpgradeStrategy, Volume, VolumeMode, WantedHostPort,
};
use std::collections::BTreeMap;

/// One user.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Counts its questions.
    pub n_asked: u64,
    /// The question that was not answered yet, and when it gives up.
    pub open: Option<(String, u64)>,
}

/// The apps that users fight over.
const APPS: [&str; 5] = ["/web", "/pay/api", "/pay/db", "/batch", "/x"];

/// What a user asks for, after a look at what is there.
pub fn wish(state: &State, rng: &mut Rng) -> Command {
    let force = rng.chance(500);
    let apps: Vec<_> = state.apps().filter(|it| !it.removing).collect();
    if apps.is_empty() || rng.chance(250) {
        let app = AppId::parse(APPS[rng.below(APPS.len() as u64) as usize]).expect("a valid id");
        let mut apps = vec![(spec(&app, rng), Expect::Any)];
        let other = AppId::parse(APPS[rng.below(APPS.len() as u64) as usize]).expect("a valid id");
        if rng.chance(500) && other != app {
            apps.push((spec(&other, rng), Expect::Any));
        }
        return Command::PutApps { apps, force };
    }
    let app = *rng.pick(&apps);
    let put = |spec: AppSpec, expect| Command::PutApps { apps: vec![(spec, expect)], force };
    let current = || app.current.spec.clone();
    match rng.below(100) {
        // Scale.
        0..30 => {
            let expect = if rng.chance(300) { Expect::Version(app.current.version) } else { Expect::Any };
            let scaling = Scaling { app: app.id.clone(), instances: rng.below(6) as u32, expect };
            Command::ScaleApps { apps: vec![scaling], force }
        }
        // Update.
        30..50 => {
            let mut spec = current();
            spec.run.image = image(rng);
            put(spec, Expect::Any)
        }
        // Other health checks for what runs.
        50..55 => {
            let mut spec = current();
            spec.policy.health_checks = health_checks(rng);
            put(spec, Expect::Any)
        }
        55..58 => Command::RestartApp { app: app.id.clone(), force },
        58..63 => group(state, rng, force),
        63..69 => Command::RemoveApp { app: app.id.clone(), force },
        69..85 => {
            let active: Vec<_> = state.deployments().filter(|it| it.is_active()).collect();
            match active.first() {
                Some(it) if rng.chance(600) => Command::RollBack { deployment: it.id },
                Some(it) => Command::Cancel { deployment: it.id },
                None => Command::ResetBackoff { app: app.id.clone() },
            }
        }
        _ => {
            let instances: Vec<_> = app.instances.iter().copied().collect();
            let victims =
                (0..rng.range(1, 2)).filter_map(|_| instances.get(rng.below(instances.len() as u64) as usize));
            let (instances, scale) = (victims.copied().collect(), rng.chance(300));
            Command::Kill { instances, scale, force, wipe: rng.chance(200) }
        }
    }
}

/// What becomes of the group `/pay`.
fn group(state: &State, rng: &mut Rng, force: bool) -> Command {
    let pay = PathId::parse("/pay").expect("a valid path");
    match rng.below(4) {
        0 => Command::ScaleGroup { group: pay, factor_ppm: rng.range(2, 8) * 250_000, force },
        1 => Command::RemoveGroup { group: pay, force },
        2 => {
            let versions: Vec<_> = state.tree_versions().collect();
            let version = if versions.is_empty() { state.time() } else { *rng.pick(&versions) };
            Command::RestoreGroup { group: pay, version, force }
        }
        _ => {
            let apps = ["/pay/api", "/pay/db"].map(|it| AppId::parse(it).expect("a valid id"));
            let apps: Vec<_> = apps.iter().map(|it| spec(it, rng)).filter(|it| it.instances > 1).collect();
            let dependencies = rng.chance(300).then(|| vec![PathId::parse("/web").expect("a valid path")]);
            let update = GroupUpdate { id: pay, apps: Some(apps), groups: None, dependencies };
            Command::PutGroup { update, absent: false, force }
        }
    }
}

/// What an app depends on, if on anything; circles are refused.
fn dependencies(app: &AppId, rng: &mut Rng) -> Vec<PathId> {
    let other = *rng.pick(&["/web", "/pay/db", "/pay", "/batch"]);
    let depends = rng.chance(250) && other != app.as_str();
    depends.then(|| PathId::parse(other).expect("a valid path")).into_iter().collect()
}

/// Some deployments are given little time.
fn patience(rng: &mut Rng) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    if rng.chance(300) {
        labels.insert(DEADLINE_LABEL.to_owned(), rng.range(5, 30).to_string());
        labels.insert(ROLLBACK_LABEL.to_owned(), rng.chance(500).to_string());
    }
    labels
}

fn image(rng: &mut Rng) -> String {
    let kind = match rng.below(100) {
        0..82 => "web",
        82..89 => "slow",
        89..91 => "busy",
        91..93 => "sick",
        93..95 => "crash",
        95..97 => "brief",
        97..98 => "faint",
        _ => "missing",
    };
    format!("{kind}:{}", rng.below(9))
}

fn spec(app: &AppId, rng: &mut Rng) -> AppSpec {
    let share = |rng: &mut Rng| *rng.pick(&[0, 250_000, 500_000, 1_000_000]);
    let upgrade = UpgradeStrategy { min_health_ppm: share(rng), max_over_ppm: share(rng) };
    let ports: Vec<PortSpec> = (0..rng.below(3)).map(|n| port(n, rng)).collect();
    let asked = !ports.is_empty() && rng.chance(400);
    let mut constraints = Vec::new();
    if rng.chance(150) {
        constraints.push(constraint("hostname", Operator::Unique, None));
    }
    if rng.chance(100) {
        constraints.push(constraint("rack", Operator::MaxPer, Some("3")));
    }
    if rng.chance(100) {
        constraints.push(constraint("rack", Operator::Is, Some("a")));
    }
    let mut spec = testing::app(app.as_str(), 0);
    spec.instances = rng.range(1, 5) as u32;
    spec.run.resources =
        Resources { cpu_milli: rng.range(1, 8) * 100, memory_bytes: rng.range(1, 8) << 26, disk_bytes: 0 };
    spec.run.image = image(rng);
    spec.run.ports = ports;
    spec.policy.labels = patience(rng);
    spec.policy.constraints = constraints;
    spec.policy.health_checks = if rng.chance(700) { vec![health_check("/health")] } else { Vec::new() };
    spec.policy.upgrade = upgrade;
    (spec.policy.backoff_ms, spec.policy.backoff_factor_ppm, spec.policy.backoff_max_ms) = (500, 1_500_000, 5_000);
    spec.policy.kill_grace_ms = Some(1_000);
    spec.policy.kill_selection = *rng.pick(&[KillSelection::YoungestFirst, KillSelection::OldestFirst]);
    spec.policy.unreachable = if rng.chance(100) {
        Unreachable::Disabled
    } else {
        Unreachable::After { inactive_ms: rng.below(2) * 3_000, expunge_ms: 10_000 }
    };
    spec.policy.readiness_checks = if asked { vec![readiness_check()] } else { Vec::new() };
    spec.policy.dependencies = dependencies(app, rng);
    // One app has data, another one sometimes.
    let stays = app.as_str() == "/pay/db" || (app.as_str() == "/x" && rng.chance(300));
    if stays { resident(spec) } else { spec }
}

/// The app with a persistent volume, and the rules that come with it.
fn resident(mut spec: AppSpec) -> AppSpec {
    let volume = PersistentVolume { container_path: "data".to_owned(), size_mib: 2_048, mode: VolumeMode::Rw };
    spec.run.volumes.push(Volume::Persistent(volume));
    spec.policy.upgrade.max_over_ppm = 0;
    spec.policy.unreachable = Unreachable::Disabled;
    spec
}

fn port(n: u64, rng: &mut Rng) -> PortSpec {
    let fixed = WantedHostPort::Fixed(8_000 + rng.below(6) as u16 * 10 + n as u16);
    PortSpec {
        container_port: 80 + n as u16,
        host_port: *rng.pick(&[WantedHostPort::Any, WantedHostPort::Any, WantedHostPort::None, fixed]),
        service_port: 0,
        protocol: *rng.pick(&[Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Both]),
        name: (n == 0).then(|| "http".to_owned()),
        labels: BTreeMap::new(),
    }
}

fn constraint(field: &str, operator: Operator, value: Option<&str>) -> Constraint {
    Constraint { field: field.to_owned(), operator, value: value.map(ToOwned::to_owned) }
}

fn readiness_check() -> ReadinessCheck {
    ReadinessCheck {
        name: "ready".to_owned(),
        tls: false,
        path: "/ready".to_owned(),
        port_name: "http".to_owned(),
        interval_ms: 1_000,
        timeout_ms: 500,
        codes: vec![200],
        keep_response: true,
    }
}

/// The path of a health check that no instance ever passes.
pub const WRONG_PATH: &str = "/wrong";

/// What instances are asked from now on: nothing, the same in other words, or what none can answer.
fn health_checks(rng: &mut Rng) -> Vec<HealthCheck> {
    match *rng.pick(&["", "/health", "/healthz", "/alive", WRONG_PATH]) {
        "" => Vec::new(),
        path => vec![health_check(path)],
    }
}

fn health_check(path: &str) -> HealthCheck {
    let kind = HealthKind::Http { path: path.to_owned(), port: CheckPort::Number(80), ignore_1xx: false, tls: false };
    HealthCheck { grace_ms: 5_000, ..testing::health_check(kind) }
}

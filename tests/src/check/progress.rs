//! Progress: once faults have ended, everything wanted is there, healthy, and nothing else; every deployment has
//! ended; and what cannot be there has a reason that is told.

use super::{Check, Fact, aim, is_checked, is_resident};
use crate::sim::client::WRONG_PATH;
use crate::sim::docker::{Daemon, Engine, Phase};
use cluster::{
    App, AppSpec, Condition, Goal, Health, HealthKind, Instance, Moment, Node, NodeId, NodeStatus, Operator, Protocol,
    Resources, State, Unreachable, Volume, WantedHostPort, explain,
};

/// Compares what was asked for with what runs.
#[derive(Default)]
pub(super) struct Progress {
    /// The log's end when all was well, and for how long it has been.
    rest: Option<(u64, u64)>,
}

/// Deadlines that are nearer than that may pass while all is quiet.
const SOON_MS: u64 = 60_000;

/// All must be quiet for so long.
const REST_MS: u64 = 8_000;

impl Check for Progress {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Calm { since_ms, states, engines, now } = fact else { return Ok(()) };
        let Some((_, state)) = states.first() else { return Err("no member is there".to_owned()) };
        if let Some((member, other)) = states.iter().find(|it| it.1.index() != state.index()) {
            self.rest = None;
            return Err(format!("member {member} is at {}, another one at {}", other.index(), state.index()));
        }
        if let Err(how) = as_wanted(state, engines, *now) {
            self.rest = None;
            return Err(how);
        }
        // A deployment that has little patience fails sooner or later, and tells so.
        let impatient =
            state.deployments().any(|it| it.is_active() && it.due().is_some_and(|at| at < now.plus_ms(SOON_MS)));
        let waits = |it: &App| !is_good(it) || (is_any_sick(engines) && has_no_room(state, engines, it));
        let troubled = impatient || state.apps().any(|it| waits(it));
        let (index, since) = *self.rest.get_or_insert((state.index(), *since_ms));
        if troubled {
            // It is tried again and again, as it should be.
            return Ok(());
        }
        if index != state.index() {
            self.rest = None;
            return Err(format!("all is as wanted, and still the log grew from {index} to {}", state.index()));
        }
        if since_ms - since < REST_MS { Err("all is as wanted, but not long enough".to_owned()) } else { Ok(()) }
    }
}

fn as_wanted(state: &State, engines: &[(NodeId, Engine)], now: Moment) -> Result<(), String> {
    for node in state.nodes() {
        let there = engines.iter().any(|it| it.0 == *node.id());
        if there != (node.status == NodeStatus::Ready) {
            return Err(format!("{} is {:?}", node.id(), node.status));
        }
    }
    for app in state.apps() {
        app_as_wanted(state, engines, app, now)?;
    }
    for deployment in state.deployments().filter(|it| it.is_active()) {
        let open = deployment.changes.iter().filter(|(_, it)| !it.settled && it.step == deployment.step);
        let apps = open.filter_map(|(app, _)| state.app(app));
        // An app that waits for a lost node, as it is told to, keeps its deployment waiting too.
        let waits = |it: &App| it.current.spec.policy.unreachable == Unreachable::Disabled;
        let any_lost = state.nodes().any(|it| it.status != NodeStatus::Ready);
        let excused =
            apps.into_iter().any(|it| !is_good(it) || has_no_room(state, engines, it) || (any_lost && waits(it)));
        if !excused {
            return Err(format!("deployment {} has not ended: {deployment:?}", deployment.id));
        }
        if explain::deployment(state, deployment, now).is_empty() {
            return Err(format!("deployment {} waits and gives no reason", deployment.id));
        }
    }
    engines.iter().try_for_each(|(node, engine)| engine_as_wanted(state, node, engine))
}

fn app_as_wanted(state: &State, engines: &[(NodeId, Engine)], app: &App, now: Moment) -> Result<(), String> {
    if app.removing {
        return Err(format!("{} is not removed yet", app.id));
    }
    if app.held.is_some() {
        // Its deployment is judged by what it is busy with.
        return Ok(());
    }
    let wanted = app.current.spec.instances as usize;
    let on_lost = |it: &Instance| state.node(&it.node).is_some_and(|it| it.status != NodeStatus::Ready);
    // What nobody can reach waits for its node, and counts only where the app wants that.
    let waits_for_node = |it: &Instance| {
        on_lost(it) && app.current.spec.policy.unreachable == Unreachable::Disabled && it.goal == Goal::Run
    };
    let own = state.instances().filter(|it| it.app == app.id).map(AsRef::as_ref);
    let all: Vec<&Instance> = own.filter(|it| !on_lost(it) || waits_for_node(it)).collect();
    let fine = all.iter().filter(|it| waits_for_node(it) || is_fine(app, it)).count();
    if fine == wanted && all.len() == wanted {
        return Ok(());
    }
    let told = explain::app(state, app, now);
    let waits = app.deployment.and_then(|it| state.deployment(it));
    let reasons = waits.map(|it| explain::deployment(state, it, now)).unwrap_or_default();
    if !is_good(app) {
        let trying = all.iter().any(|it| it.goal == Goal::Run);
        let reason = told.is_some() || !reasons.is_empty() || trying;
        return if reason { Ok(()) } else { Err(format!("{} is stuck and gives no reason", app.id)) };
    }
    let is_tried = |it: &Instance| is_sick(engines, &it.node);
    let only_old_are_left = all
        .iter()
        .filter(|it| !waits_for_node(it) && !is_fine(app, it) && !is_tried(it))
        .all(|it| it.run != app.current.run);
    if all.iter().any(|it| waits_for_node(it)) && !reasons.is_empty() {
        // An update waits for a successor on a lost node, because the app wants no other one.
        return Ok(());
    }
    if has_no_room(state, engines, app) && only_old_are_left {
        return if told.is_some() || all.iter().any(|it| is_tried(it)) {
            Ok(())
        } else {
            Err(format!("{} has no room and does not say so", app.id))
        };
    }
    let all: Vec<_> = all.iter().map(|it| (it.id, &it.goal, &it.condition, it.health, &it.node, it.run)).collect();
    Err(format!("{}: {fine} of {wanted} are fine, there are {all:?}; {told:?} {reasons:?}", app.id))
}

fn is_fine(app: &App, it: &Instance) -> bool {
    let checked = is_checked(app, it);
    it.goal == Goal::Run
        && it.condition == Condition::Running
        // A cancelled update stays where it is.
        && (app.deployment.is_none() || it.run == app.current.run)
        && (!checked || it.health == Health::Healthy)
}

/// Whether its image lets it ever be as wanted, also that at which it waits for its turn.
fn is_good(app: &App) -> bool {
    let good = |it: &AppSpec| {
        let (image, asked) = (&it.run.image, !it.policy.readiness_checks.is_empty());
        let answered = it
            .policy
            .health_checks
            .iter()
            .all(|it| !matches!(&it.kind, HealthKind::Http { path, .. } if path == WRONG_PATH));
        answered && (image.starts_with("web:") || image.starts_with("slow:") || (image.starts_with("busy:") && !asked))
    };
    good(&app.current.spec) && aim(app).is_none_or(|it| good(&it.spec))
}

/// Whether no node that can start anything takes one more of its instances, found out one by one.
fn has_no_room(state: &State, engines: &[(NodeId, Engine)], app: &App) -> bool {
    state.nodes().all(|it| it.status != NodeStatus::Ready || is_sick(engines, it.id()) || !takes(state, it, app))
}

/// Whether nothing ever starts on a node.
fn is_sick(engines: &[(NodeId, Engine)], node: &NodeId) -> bool {
    engines.iter().any(|(it, engine)| it == node && engine.sick.is_some())
}

fn is_any_sick(engines: &[(NodeId, Engine)]) -> bool {
    engines.iter().any(|it| it.1.sick.is_some())
}

fn takes(state: &State, node: &Node, app: &App) -> bool {
    let spec = &app.current.spec;
    let there: Vec<_> = state.instances().filter(|it| it.node == *node.id()).collect();
    let mut left = node.description.capacity;
    for it in &there {
        left = left.minus(&it.resources);
    }
    let kept: Vec<_> = state.reservations().filter(|it| it.node == *node.id()).collect();
    left.disk_bytes -= kept.iter().map(|it| it.disk_bytes).sum::<u64>();
    let Resources { cpu_milli, memory_bytes, mut disk_bytes } = spec.run.resources;
    let comes_home = is_resident(spec) && kept.iter().any(|it| it.app == app.id && it.holder.is_none() && !it.doomed);
    if is_resident(spec) && !comes_home {
        let own = state.reservations().filter(|it| it.app == app.id && !it.doomed).count();
        if own >= spec.instances as usize {
            return false;
        }
        disk_bytes += volume_bytes(spec);
    }
    let fits = left.cpu_milli >= cpu_milli && left.memory_bytes >= memory_bytes && left.disk_bytes >= disk_bytes;
    let free = |port: u16| there.iter().all(|it| !it.ports.contains(&port));
    let meets = |it: &cluster::Instance, port: u16, protocol: Protocol| {
        let launched = state.app(&it.app).and_then(|app| app.versions.get(&it.run));
        let wanted = launched.into_iter().flat_map(|it| &it.spec.run.ports);
        let mut wanted = wanted.filter(|it| it.host_port != WantedHostPort::None);
        let mut held = it.ports.iter().map(|held| (*held, wanted.next().map_or(Protocol::Both, |it| it.protocol)));
        held.any(|(held, by)| held == port && by.meets(protocol))
    };
    let ports = spec.run.ports.iter().all(|wanted| match wanted.host_port {
        WantedHostPort::Fixed(port) => there.iter().all(|it| !meets(it, port, wanted.protocol)),
        WantedHostPort::None | WantedHostPort::Any => true,
    });
    let range = node.description.ports;
    let drawn = spec.run.ports.iter().filter(|it| it.host_port == WantedHostPort::Any).count();
    let free_to_draw = (range.first..=range.last).filter(|it| free(*it)).count();
    let ports = ports && drawn <= free_to_draw;
    let constraints = spec.policy.constraints.iter().all(|it| {
        let value = node.field(&it.field);
        let same = state.instances().filter(|other| {
            other.app == app.id
                && other.goal == Goal::Run
                && other.run == app.current.run
                && !matches!(other.condition, Condition::Ended(_))
                && (spec.policy.unreachable == Unreachable::Disabled || !is_on_lost(state, other))
                && state.node(&other.node).and_then(|it_node| it_node.field(&it.field)) == value
        });
        let same = same.count();
        match it.operator {
            Operator::Unique => value.is_some() && same == 0,
            Operator::MaxPer => value.is_some() && same < it.value.as_deref().unwrap_or("0").parse().unwrap_or(0),
            Operator::Is => value == it.value.as_deref(),
            // The workload uses no others.
            _ => true,
        }
    });
    // Who comes back to its data is not asked once more whether it may be there.
    fits && ports && (constraints || comes_home)
}

fn is_on_lost(state: &State, instance: &Instance) -> bool {
    state.node(&instance.node).is_some_and(|it| matches!(it.status, NodeStatus::Lost { .. }))
}

fn volume_bytes(spec: &AppSpec) -> u64 {
    let size = |it: &Volume| if let Volume::Persistent(it) = it { it.size_mib << 20 } else { 0 };
    spec.run.volumes.iter().map(size).sum()
}

fn engine_as_wanted(state: &State, node: &NodeId, engine: &Engine) -> Result<(), String> {
    if engine.daemon != Daemon::Up {
        return Err(format!("{node}: the daemon is {:?}", engine.daemon));
    }
    for (name, container) in &engine.containers {
        let Some(instance) = state.instance(container.instance) else {
            // An orphan, if it is listed as one.
            continue;
        };
        let good = state.app(&instance.app).is_some_and(|it| is_good(it));
        if good && instance.condition == Condition::Running && container.phase != Phase::Running {
            return Err(format!("{node}: container {name} is {:?}, its instance runs", container.phase));
        }
    }
    for instance in state.instances().filter(|it| it.node == *node && it.condition == Condition::Running) {
        let good = state.app(&instance.app).is_some_and(|it| is_good(it));
        if good && !engine.containers.values().any(|it| it.instance == instance.id) {
            return Err(format!("{node}: instance {} runs without a container", instance.id));
        }
    }
    Ok(())
}

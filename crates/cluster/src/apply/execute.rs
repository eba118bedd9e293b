//! The leader's plan, step by step: each is checked against the state as it is now, and taken or passed over.
//!
//! Between the moment a plan was made and the moment it is applied, anything may have happened. The checks here are
//! what holds the promises (no double booking, no update below the healthy minimum), whatever the planner did.

use super::Changing;
use crate::command::{Rejected, Step};
use crate::event::Event;
use crate::model::{
    App, AppId, AppVersion, Change, Closeness, Condition, Deployment, DeploymentId, FAILURES_KEPT, Goal, Grave, Health,
    Instance, InstanceId, Moment, Node, NodeId, NodeStatus, Outcome, Protocol, Readiness, Reservation, Since,
    StopReason, Trust, Version, Volume, WantedHostPort,
};
use crate::rollout::{self, Proof};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many instances an app has, while one plan is applied.
struct Counts {
    proof: Proof,
    /// Those that count as serving.
    serving: u32,
    /// Those that serve, also where they do not count yet.
    up: u32,
    /// Wanted ones that run what is wanted; all wanted ones while no deployment replaces any.
    new: u32,
    /// Those of which a container may run.
    existing: u32,
    /// Out-of-date ones among them.
    old: u32,
}

impl Changing<'_> {
    pub(super) fn execute(&mut self, steps: Vec<Step>) -> Result<(), Rejected> {
        let mut counts = BTreeMap::new();
        let mut taken = false;
        for step in steps {
            taken |= match step {
                Step::Launch { app, version, node, ports, reservation } => {
                    let place = Place { node, ports, reservation };
                    self.launch(&app, version, place, &mut counts)
                }
                Step::Stop { instance, reason } => self.stop_if_still_right(instance, reason, &mut counts),
                Step::Follow { instance, version } => self.follow(instance, version, &mut counts),
                Step::Settle { deployment, app } => self.settle(deployment, &app),
                Step::Progress { deployment, app, closeness } => self.progress(deployment, &app, closeness),
                Step::Expire { deployment, reason } => self.expire(deployment, reason),
            };
        }
        if taken { Ok(()) } else { Err(Rejected::Nothing) }
    }

    fn launch(&mut self, app: &AppId, version: Version, place: Place, counts: &mut BTreeMap<AppId, Counts>) -> bool {
        let Some(app) = self.state.live_app(app).map(Arc::clone) else { return false };
        let Some(aim) = app.aim().filter(|it| it.version == version).map(Arc::clone) else { return false };
        let Place { node, ports, reservation } = place;
        let Some(extra_bytes) = self.reserved(&app, &aim, &node, reservation) else { return false };
        let Some(node) = self.state.nodes.get(&node).filter(|it| fits(it, &aim, &ports, extra_bytes, self.now()))
        else {
            return false;
        };
        // Another leader may have launched what was missing.
        let counts = counts.entry(app.id.clone()).or_insert_with(|| self.counts(&app));
        if !counts.allow_one_more(&app, &aim) {
            return false;
        }
        counts.new += 1;
        counts.existing += 1;
        let (mut app, mut node) = (App::clone(&app), Node::clone(node));
        let ordinal = self.next_ordinal();
        let id = InstanceId::derive(self.state.cluster, self.state.index, ordinal);
        let resources = aim.spec.run.resources;
        node.used = node.used.plus(&resources);
        node.instances.insert(id);
        if let Some(trouble) = node.trouble.as_mut().filter(|it| it.rests > 0) {
            Arc::make_mut(trouble).trial = Some(id);
        }
        for (port, (_, protocol)) in ports.iter().zip(aim.spec.run.host_ports()) {
            node.hold_port(*port, protocol, id);
            if drawn(&node, *port) {
                node.next_port = port.checked_add(1).unwrap_or(node.description.ports.first);
            }
        }
        let resident = aim.spec.is_resident();
        let reservation = resident.then(|| reservation.unwrap_or(id));
        if let Some(reservation) = reservation {
            let kept = self.state.reservations.get(&reservation).map(|it| it.disk_bytes);
            if kept.is_none() {
                node.used.disk_bytes += extra_bytes;
                node.reservations.insert(reservation);
                app.reservations.insert(reservation);
            }
            let disk_bytes = kept.unwrap_or(extra_bytes);
            let unused = self.state.reservations.get(&reservation).is_none_or(|it| it.unused);
            let record = Reservation {
                id: reservation,
                app: app.id.clone(),
                node: node.id().clone(),
                disk_bytes,
                holder: Some(id),
                doomed: false,
                unused,
            };
            self.state.reservations.insert(reservation, Arc::new(record));
        }
        let of = app.id.clone();
        self.put_app(App { instances: app.instances.update(id), ..app });
        let instance = self.put_instance(Instance {
            id,
            app: of,
            version,
            run: aim.run,
            node: node.id().clone(),
            resources,
            ports,
            goal: Goal::Run,
            hurried: false,
            condition: Condition::Staging,
            health: Health::Unknown,
            checks: Vec::new(),
            judged_by: Version::default(),
            follows: aim.configured,
            since: Since::default(),
            trial: None,
            readiness: Readiness::default(),
            reservation,
            launched_at: self.time(),
            launched: self.now(),
            news_at: self.now(),
            started_at: None,
            started: None,
            ip: None,
            message: String::new(),
        });
        self.put_node(node);
        self.event(Event::InstanceLaunched { instance });
        true
    }

    /// What the instance's volumes newly take of the node's disk: nothing for one that is not resident, or comes back
    /// to its reservation. None if it may not have the reservation, or may not make one.
    fn reserved(&self, app: &App, aim: &AppVersion, node: &NodeId, reservation: Option<InstanceId>) -> Option<u64> {
        match reservation {
            Some(id) => {
                let it = self.state.reservations.get(&id)?;
                let free = it.app == app.id && it.node == *node && it.holder.is_none() && !it.doomed;
                (free && aim.spec.is_resident()).then_some(0)
            }
            None if !aim.spec.is_resident() => Some(0),
            None => (app.reservations.len() < aim.spec.instances as usize).then(|| volume_bytes(aim)),
        }
    }

    fn stop_if_still_right(
        &mut self,
        id: InstanceId,
        reason: StopReason,
        counts: &mut BTreeMap<AppId, Counts>,
    ) -> bool {
        let Some(instance) = self.state.instances.get(&id).filter(|it| it.goal == Goal::Run).map(Arc::clone) else {
            return false;
        };
        let app = self.state.apps.get(&instance.app).map(Arc::clone);
        if let Some(app) = app {
            let counts = counts.entry(app.id.clone()).or_insert_with(|| self.counts(&app));
            let serves = self.serves(&app, &instance, &counts.proof);
            let is_up = self.is_up(&app, &instance);
            let right = match reason {
                StopReason::Replaced => {
                    app.is_turning() && !app.is_current(&instance) && (!serves || counts.can_spare_one(&app))
                }
                StopReason::Surplus => {
                    (!app.is_turning() || app.is_current(&instance))
                        && counts.new > app.aim().map_or(0, |it| it.spec.instances)
                        && (!serves || counts.can_spare_one(&app))
                        && (!is_up || counts.can_lose_one(&app))
                }
                StopReason::Removed => app.removing,
                StopReason::Ended => instance.has_ended(),
                StopReason::Lost => rollout::is_given_up(self.state, &app, &instance, self.now()),
                StopReason::Unhealthy => instance.health == Health::Failed,
                StopReason::Stuck => rollout::stuck_at(self.state, &instance).is_some_and(|it| it <= self.now()),
                StopReason::Killed => false,
            };
            if !right {
                return false;
            }
            counts.serving -= u32::from(serves);
            counts.up -= u32::from(is_up);
            if instance.is_wanted() {
                let out_of_date = !app.is_current(&instance);
                counts.new -= u32::from(!app.is_turning() || !out_of_date);
                if self.state.is_unreachable(&instance) && self.may_run(&app, &instance) {
                    counts.existing -= 1;
                    counts.old -= u32::from(out_of_date);
                }
            }
        }
        self.stop(&instance, reason);
        true
    }

    fn counts(&self, app: &App) -> Counts {
        let proof = Proof::of(self.state, app, self.now());
        let mut counts = Counts { proof, serving: 0, up: 0, new: 0, existing: 0, old: 0 };
        for (_, members, one) in self.state.kinds(&app.id).filter(|(.., one)| !one.has_ended()) {
            let n = members.ids().len() as u32;
            let (wanted, out_of_date) = (one.is_wanted(), !app.is_current(one));
            counts.serving += if wanted { proof.n_counting(self.state, app, members, one) as u32 } else { 0 };
            counts.up += if self.is_up(app, one) { n } else { 0 };
            counts.new += if wanted && (!app.is_turning() || !out_of_date) { n } else { 0 };
            if self.may_run(app, one) {
                counts.existing += n;
                counts.old += if out_of_date { n } else { 0 };
            }
        }
        counts
    }

    fn serves(&self, app: &App, instance: &Instance, proof: &Proof) -> bool {
        instance.is_wanted() && proof.counts(self.state, app, instance)
    }

    fn is_up(&self, app: &App, instance: &Instance) -> bool {
        instance.is_wanted() && app.is_served_by(instance) && !self.state.is_unreachable(instance)
    }

    /// Has an instance judged by other health checks from now on, if it may be.
    fn follow(&mut self, id: InstanceId, version: Version, counts: &mut BTreeMap<AppId, Counts>) -> bool {
        let Some(instance) = self.state.instances.get(&id).filter(|it| it.is_wanted()).map(Arc::clone) else {
            return false;
        };
        let Some(app) = self.state.live_app(&instance.app).map(Arc::clone) else { return false };
        let Some(aim) = app.aim().filter(|it| it.version == version) else { return false };
        let counts = counts.entry(app.id.clone()).or_insert_with(|| self.counts(&app));
        let right = app.is_turning() && app.is_current(&instance) && app.is_behind(&instance);
        if !right || !counts.proof.may_follow(&app, &instance) {
            return false;
        }
        counts.proof.on_trial = true;
        let instance = self.put_instance(Instance { follows: aim.configured, ..Instance::clone(&instance) });
        self.event(Event::InstanceTold { instance });
        true
    }

    /// Whether the instance takes one of the places that an update has: not if it ends, or was given up, where nobody
    /// can reach it.
    fn may_run(&self, app: &App, instance: &Instance) -> bool {
        !self.state.is_unreachable(instance)
            || (instance.is_wanted() && !rollout::is_given_up(self.state, app, instance, self.now()))
    }

    fn settle(&mut self, id: DeploymentId, app: &AppId) -> bool {
        let Some(deployment) = self.state.deployments.get(&id).filter(|it| it.is_active()) else { return false };
        let Some(change) = deployment.changes.get(app).filter(|it| !it.settled) else { return false };
        let Some(record) = self.state.apps.get(app).filter(|it| it.deployment == Some(id)) else { return false };
        if change.step != deployment.step || !rollout::is_settled(self.state, record) {
            return false;
        }
        let change = Change { settled: true, ..change.clone() };
        let (record, mut deployment) = (App::clone(record), Deployment::clone(deployment));
        if record.removing {
            self.bury(record, deployment.version);
        } else {
            self.put_app(App { deployment: None, ..record });
        }
        deployment.changes.insert(app.clone(), change);
        deployment.open -= 1;
        deployment.progress_at = self.now();
        let step_done = deployment.open == 0;
        let all_done = step_done && deployment.step >= deployment.n_steps();
        let settled = Arc::new(deployment.clone());
        self.state.deployments.insert(id, Arc::clone(&settled));
        self.event(Event::DeploymentSettled { deployment: settled, app: app.clone() });
        if all_done {
            self.end_deployment(id, Outcome::Succeeded);
        } else if step_done {
            let deployment = self.next_step(deployment);
            self.event(Event::DeploymentStepped { deployment });
        }
        true
    }

    /// Takes a deleted app out of the books; its definitions are remembered with the tree's versions.
    fn bury(&mut self, app: App, removed: Version) {
        self.count_service_ports(Some(&app), None);
        for reservation in &app.reservations {
            self.doom(*reservation);
        }
        self.state.note_wanted(app.wanted(), None);
        self.state.apps.remove(&app.id);
        self.state.lookups.rosters.dismiss(&app.id);
        let grave = Grave { removed, versions: app.versions };
        self.state.lookups.buried(removed, app.id.clone());
        self.state.graves.entry(app.id.clone()).or_default().insert(removed, Arc::new(grave));
        self.event(Event::AppRemoved { app: app.id });
    }

    fn progress(&mut self, id: DeploymentId, app: &AppId, closeness: Closeness) -> bool {
        let Some(deployment) = self.state.deployments.get(&id).filter(|it| it.is_active()) else { return false };
        let Some(change) = deployment.changes.get(app).filter(|it| closeness.beats(it.closeness)) else { return false };
        let change = Change { closeness: change.closeness.and(closeness), ..change.clone() };
        let mut deployment = Deployment::clone(deployment);
        deployment.changes.insert(app.clone(), change);
        deployment.progress_at = self.now();
        self.state.deployments.insert(id, Arc::new(deployment));
        true
    }

    fn expire(&mut self, id: DeploymentId, reason: String) -> bool {
        let Some(deployment) = self.state.deployments.get(&id).map(Arc::clone) else { return false };
        if deployment.due().is_none_or(|it| it > self.now()) {
            return false;
        }
        let deployment = self.with_failures(&deployment);
        match deployment.rolls_back.then(|| self.undoing(&deployment)) {
            None => self.end_deployment(id, Outcome::Failed { reason, rolled_back_by: None }),
            Some(Ok(targets)) => {
                let by = self.next_deployment();
                self.revert(&deployment, targets, by, Outcome::Failed { reason, rolled_back_by: Some(by) });
            }
            Some(Err(conflict)) => {
                let reason = format!("{reason}; it is not rolled back: {conflict}");
                self.end_deployment(id, Outcome::Failed { reason, rolled_back_by: None });
            }
        }
        true
    }
}

impl Changing<'_> {
    /// A deployment that has failed, with how instances of the apps that it had not done failed last.
    fn with_failures(&mut self, deployment: &Deployment) -> Arc<Deployment> {
        let failures = deployment.changes.iter().filter(|(_, it)| !it.settled).filter_map(|(app, change)| {
            let failure = self.state.apps.get(app)?.last_failure.as_ref()?;
            (Some(failure.version) == change.to).then(|| (app.clone(), Arc::clone(failure)))
        });
        let failures = failures.take(FAILURES_KEPT).collect();
        let deployment = Arc::new(Deployment { failures, ..deployment.clone() });
        self.state.deployments.insert(deployment.id, Arc::clone(&deployment));
        deployment
    }
}

/// Where an instance is to go.
struct Place {
    node: NodeId,
    ports: Vec<u16>,
    reservation: Option<InstanceId>,
}

impl Counts {
    /// Whether enough serve without one of those that do.
    fn can_spare_one(&self, app: &App) -> bool {
        self.serving > app.aim().map_or(0, |it| it.limits().0)
    }

    /// The same of all that serve: also where none counts yet, not more of them end than can be spared.
    fn can_lose_one(&self, app: &App) -> bool {
        self.up > app.aim().map_or(0, |it| it.limits().0)
    }

    /// Whether one more instance is missing, and the limits of an update leave room for it.
    fn allow_one_more(&self, app: &App, aim: &AppVersion) -> bool {
        let replacing = app.is_turning() && self.old > 0;
        self.new < aim.spec.instances && (!replacing || self.existing < aim.limits().1)
    }
}

/// What the persistent volumes of one instance take of the disk.
pub(crate) fn volume_bytes(aim: &AppVersion) -> u64 {
    let mebibytes = |it: &Volume| if let Volume::Persistent(it) = it { it.size_mib } else { 0 };
    aim.spec.run.volumes.iter().map(mebibytes).sum::<u64>().saturating_mul(1 << 20)
}

/// Whether an instance of this version, with these host ports and so much disk for new volumes, has room on the node
/// now.
fn fits(node: &Node, aim: &AppVersion, ports: &[u16], extra_bytes: u64, now: Moment) -> bool {
    let spec = &aim.spec;
    let mut needed = spec.run.resources;
    needed.disk_bytes = needed.disk_bytes.saturating_add(extra_bytes);
    let wanted: Vec<_> = spec.run.host_ports().collect();
    let as_wanted = |(port, (wanted, _)): (&u16, &(WantedHostPort, Protocol))| match wanted {
        WantedHostPort::Fixed(fixed) => fixed == port,
        _ => drawn(node, *port),
    };
    let meets_none_before = |n: usize| {
        let before = ports[..n].iter().zip(&wanted);
        before.filter(|(port, _)| **port == ports[n]).all(|(_, (_, protocol))| !protocol.meets(wanted[n].1))
    };
    node.status == NodeStatus::Ready
        && matches!(node.trust(now), Trust::Full | Trust::Trial { taken: false })
        && node.free().covers(&needed)
        && ports.len() == wanted.len()
        && ports.iter().zip(&wanted).all(as_wanted)
        && (0..ports.len()).all(meets_none_before)
        && ports.iter().zip(&wanted).all(|(port, (_, protocol))| node.port_holder(*port, *protocol).is_none())
}

/// Whether the port is of the range that the node offers.
fn drawn(node: &Node, port: u16) -> bool {
    (node.description.ports.first..=node.description.ports.last).contains(&port)
}

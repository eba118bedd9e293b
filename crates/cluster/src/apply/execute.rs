//! The leader's plan, step by step: each is checked against the state as it is now, and taken or passed over.
//!
//! Between the moment a plan was made and the moment it is applied, anything may have happened. The checks here are
//! what holds the promises (no double booking, no update below the healthy minimum), whatever the planner did.

use super::Changing;
use crate::command::{Rejected, Step};
use crate::event::Event;
use crate::model::{
    App, AppId, Condition, Deployment, DeploymentId, Goal, Health, Instance, InstanceId, Node, NodeId, NodeStatus,
    Outcome, StopReason, Version, WantedHostPort,
};
use crate::rollout;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many instances an app has, while one plan is applied.
struct Counts {
    serving: u32,
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
                Step::Launch { app, version, node, ports } => self.launch(&app, version, &node, ports, &mut counts),
                Step::Stop { instance, reason } => self.stop_if_still_right(instance, reason, &mut counts),
                Step::Settle { deployment, app } => self.settle(deployment, &app),
            };
        }
        if taken { Ok(()) } else { Err(Rejected::Nothing) }
    }

    fn launch(
        &mut self,
        app: &AppId,
        version: Version,
        node: &NodeId,
        ports: Vec<u16>,
        counts: &mut BTreeMap<AppId, Counts>,
    ) -> bool {
        let Some(app) = self.state.live_app(app).filter(|it| it.current.version == version) else { return false };
        let Some(node) = self.state.nodes.get(node).filter(|it| fits(it, app, &ports)) else { return false };
        // Another leader may have launched what was missing.
        let counts = counts.entry(app.id.clone()).or_insert_with(|| self.counts(app));
        if !counts.allow_one_more(app) {
            return false;
        }
        counts.new += 1;
        counts.existing += 1;
        let (app, mut node) = (App::clone(app), Node::clone(node));
        let ordinal = self.next_ordinal();
        let id = InstanceId::derive(self.state.cluster, self.state.index, ordinal);
        let resources = app.current.spec.run.resources;
        node.used = node.used.plus(&resources);
        node.instances.insert(id);
        for port in &ports {
            node.ports.insert(*port, id);
            if drawn(&node, *port) {
                node.next_port = port.checked_add(1).unwrap_or(node.description.ports.first);
            }
        }
        let instance = self.put_instance(Instance {
            id,
            app: app.id.clone(),
            version,
            run: app.current.run,
            node: node.id().clone(),
            resources,
            ports,
            goal: Goal::Run,
            condition: Condition::Staging,
            health: Health::Unknown,
            checks: Vec::new(),
            launched_at: self.now(),
            started_at: None,
            ip: None,
            message: String::new(),
        });
        self.put_app(App { instances: app.instances.update(id), ..app });
        self.put_node(node);
        self.event(Event::InstanceLaunched { instance });
        true
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
            let serves = self.serves(&app, &instance);
            let right = match reason {
                StopReason::Replaced => !app.is_current(&instance) && (!serves || counts.can_spare_one(&app)),
                StopReason::Surplus => {
                    (app.deployment.is_none() || app.is_current(&instance))
                        && counts.new > app.current.spec.instances
                        && (!serves || counts.can_spare_one(&app))
                }
                StopReason::Removed => app.removing,
                StopReason::Ended => instance.has_ended(),
                StopReason::Lost => self.state.is_unreachable(&instance),
                StopReason::Unhealthy => instance.health == Health::Failed,
                StopReason::Killed => false,
            };
            if !right {
                return false;
            }
            counts.serving -= u32::from(serves);
            if instance.is_wanted() {
                let out_of_date = !app.is_current(&instance);
                counts.new -= u32::from(app.deployment.is_none() || !out_of_date);
                if self.state.is_unreachable(&instance) {
                    counts.existing -= 1;
                    counts.old -= u32::from(out_of_date);
                }
            }
        }
        self.stop(&instance, reason);
        true
    }

    fn counts(&self, app: &App) -> Counts {
        let mut counts = Counts { serving: 0, new: 0, existing: 0, old: 0 };
        for instance in self.state.instances_of(app).filter(|it| !it.has_ended()) {
            let (wanted, out_of_date) = (instance.is_wanted(), !app.is_current(instance));
            counts.serving += u32::from(self.serves(app, instance));
            counts.new += u32::from(wanted && (app.deployment.is_none() || !out_of_date));
            if wanted || !self.state.is_unreachable(instance) {
                counts.existing += 1;
                counts.old += u32::from(out_of_date);
            }
        }
        counts
    }

    fn serves(&self, app: &App, instance: &Instance) -> bool {
        instance.is_wanted() && instance.is_serving(app.has_checks()) && !self.state.is_unreachable(instance)
    }

    fn settle(&mut self, id: DeploymentId, app: &AppId) -> bool {
        let Some(deployment) = self.state.deployments.get(&id).filter(|it| it.is_active()) else { return false };
        let Some(at) = deployment.changes.iter().position(|it| it.app == *app && !it.settled) else { return false };
        let Some(record) = self.state.apps.get(app).filter(|it| it.deployment == Some(id)) else { return false };
        if !rollout::is_settled(self.state, record) {
            return false;
        }
        let (record, mut deployment) = (App::clone(record), Deployment::clone(deployment));
        if record.removing {
            self.count_service_ports(Some(&record), None);
            self.state.apps.remove(app);
            self.event(Event::AppRemoved { app: app.clone() });
        } else {
            self.put_app(App { deployment: None, ..record });
        }
        deployment.changes[at].settled = true;
        let all = deployment.changes.iter().all(|it| it.settled);
        self.state.deployments.insert(id, Arc::new(deployment));
        self.event(Event::DeploymentSettled { deployment: id, app: app.clone() });
        if all {
            self.end_deployment(id, Outcome::Succeeded);
        }
        true
    }
}

impl Counts {
    /// Whether enough serve without one of those that do.
    fn can_spare_one(&self, app: &App) -> bool {
        self.serving > app.current.spec.policy.upgrade.min_healthy(app.current.spec.instances)
    }

    /// Whether one more instance is missing, and the limits of an update leave room for it.
    fn allow_one_more(&self, app: &App) -> bool {
        let wanted = app.current.spec.instances;
        let replacing = app.deployment.is_some() && self.old > 0;
        self.new < wanted && (!replacing || self.existing < app.current.spec.policy.upgrade.max_running(wanted))
    }
}

/// Whether an instance of the app's wanted version, with these host ports, has room on the node now.
fn fits(node: &Node, app: &App, ports: &[u16]) -> bool {
    let spec = &app.current.spec;
    let mut wanted = spec.run.ports.iter().map(|it| it.host_port).filter(|it| *it != WantedHostPort::None);
    let as_wanted = ports.iter().all(|port| match wanted.next() {
        Some(WantedHostPort::Fixed(fixed)) => fixed == *port,
        Some(_) => drawn(node, *port),
        None => false,
    });
    let distinct = ports.iter().enumerate().all(|(n, port)| !ports[..n].contains(port));
    node.status == NodeStatus::Ready
        && node.free().covers(&spec.run.resources)
        && as_wanted
        && wanted.next().is_none()
        && distinct
        && ports.iter().all(|it| !node.ports.contains_key(it))
}

/// Whether the port is of the range that the node offers.
fn drawn(node: &Node, port: u16) -> bool {
    (node.description.ports.first..=node.description.ports.last).contains(&port)
}

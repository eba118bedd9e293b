//! How an entry changes the state.
//!
//! Every member applies the same entries in the same order and comes to the same state: nothing here asks for the
//! time, draws a number or depends on anything but the state and the entry. A rejected entry changes nothing but the
//! index and the time.

mod admit;
mod deploy;
mod execute;
mod groups;
mod learn;
mod nodes;
mod orphans;
mod report;
mod service_ports;
mod services;
mod tree;
mod undo;
mod versions;

pub use orphans::MAX_ORPHANS;

pub use deploy::{DEADLINE_LABEL, ROLLBACK_LABEL};
pub(crate) use execute::volume_bytes;
pub use tree::KEPT_TREE_VERSIONS;
pub use versions::KEPT_VERSIONS;

use crate::command::{Applied, Command, Entry, Rejected};
use crate::event::Event;
use crate::model::{
    App, AppId, Cause, ClusterId, Deployment, DeploymentId, EndKind, Failure, Goal, Instance, InstanceId, Moment, Node,
    NodeId, Outcome, Reservation, Settings, StopReason, Timestamp, Version,
};
use crate::state::State;
use std::sync::Arc;

/// So many ended deployments are remembered; older ones are forgotten first.
pub const KEPT_DEPLOYMENTS: usize = 1_000;

impl State {
    /// Moves the cluster one entry forward.
    ///
    /// # Errors
    /// The entry's refusal: an answer for whoever asked, the same on every member.
    ///
    /// # Panics
    /// If the entry is not later in the log than the last one: the log or the caller is broken, and going on would
    /// make members differ.
    pub fn apply(&mut self, entry: Entry) -> Result<Applied, Rejected> {
        assert!(entry.index > self.index, "entry {} after {}: the log goes backwards", entry.index, self.index);
        self.index = entry.index;
        self.time = entry.time;
        // Never 0 once there is an entry: so is told what has no such time yet.
        self.moment = self.moment.max(entry.moment).max(Moment(1));
        let mut change =
            Changing { state: self, applied: Applied { index: entry.index, ..Applied::default() }, ordinal: 0 };
        change.take(entry.command)?;
        Ok(change.applied)
    }
}

/// The state while one entry is applied to it, and what happened so far.
struct Changing<'a> {
    state: &'a mut State,
    applied: Applied,
    /// Counts the ids derived from this entry.
    ordinal: u32,
}

impl Changing<'_> {
    fn take(&mut self, command: Command) -> Result<(), Rejected> {
        match command {
            Command::Found { cluster } => self.found(cluster),
            Command::Configure { settings } => self.configure(settings),
            Command::PutApps { apps, force } => self.put_apps(apps, force),
            Command::ScaleApps { apps, force } => self.scale_apps(&apps, force),
            Command::RestartApp { app, force } => self.restart_app(&app, force),
            Command::RemoveApp { app, force } => self.remove_app(&app, force),
            Command::PutGroup { update, absent, force } => self.put_group(update, absent, force),
            Command::ScaleGroup { group, factor_ppm, force } => self.scale_group(&group, factor_ppm, force),
            Command::RestoreGroup { group, version, force } => self.restore_group(&group, version, force),
            Command::RemoveGroup { group, force } => self.remove_group(&group, force),
            Command::RollBack { deployment } => self.roll_back(deployment),
            Command::Cancel { deployment } => self.cancel(deployment),
            Command::Kill { instances, scale, force, wipe } => self.kill(&instances, scale, force, wipe),
            Command::ResetBackoff { app } => self.reset_backoff(&app),
            Command::Register { node } => self.register(node),
            Command::Lose { node } => self.lose(&node),
            Command::Degrade { node, reason } => self.degrade(&node, reason),
            Command::RemoveNode { node } => self.remove_node(&node),
            Command::FindStrangers { node, strangers } => self.find_strangers(&node, &strangers),
            Command::RemoveOrphans { instances } => self.remove_orphans(&instances),
            Command::Report { node, observations, destroyed } => self.report(&node, observations, &destroyed),
            Command::Execute { steps } => self.execute(steps),
        }
    }

    fn found(&mut self, cluster: ClusterId) -> Result<(), Rejected> {
        if self.state.cluster != ClusterId::default() {
            return Err(Rejected::Nothing);
        }
        self.state.cluster = cluster;
        Ok(())
    }

    fn configure(&mut self, settings: Settings) -> Result<(), Rejected> {
        if self.state.settings == settings {
            return Err(Rejected::Nothing);
        }
        self.state.settings = settings;
        self.state.count_chosen_service_ports();
        Ok(())
    }

    fn reset_backoff(&mut self, app: &AppId) -> Result<(), Rejected> {
        let mut app = self.live_app(app)?;
        app.backoff = crate::model::Backoff::default();
        self.event(Event::BackoffReset { app: app.id.clone() });
        self.put_app(app);
        Ok(())
    }

    /// Sets the goals of these instances, and, with `scale`, lowers their apps' numbers by as many. Those that are
    /// ending already are hurried.
    fn kill(&mut self, instances: &[InstanceId], scale: bool, force: bool, wipe: bool) -> Result<(), Rejected> {
        let mut victims: Vec<Arc<Instance>> = instances
            .iter()
            .filter_map(|it| self.state.instances.get(it))
            .filter(|it| it.is_wanted())
            .map(Arc::clone)
            .collect();
        victims.sort_by_key(|it| it.id);
        victims.dedup_by_key(|it| it.id);
        if scale {
            self.scale_down_by(&victims, force)?;
        }
        for instance in instances {
            self.hurry(*instance);
        }
        for victim in victims {
            self.applied.killed.push(victim.id);
            if let Some(reservation) = victim.reservation.filter(|_| wipe) {
                self.doom(reservation);
            }
            self.stop(&victim, StopReason::Killed);
        }
        Ok(())
    }

    fn event(&mut self, event: Event) {
        self.applied.events.push(event);
    }

    /// What to count by.
    fn now(&self) -> Moment {
        self.state.moment
    }

    /// What to show to people.
    fn time(&self) -> Timestamp {
        self.state.time
    }

    /// A name for what is accepted now: its time, and later than every earlier one, also if clocks went back.
    fn new_version(&mut self) -> Version {
        self.state.newest_version = self.time().max(self.state.newest_version.plus_ms(1));
        self.state.newest_version
    }

    fn next_ordinal(&mut self) -> u32 {
        self.ordinal += 1;
        self.ordinal - 1
    }

    fn next_deployment(&mut self) -> DeploymentId {
        let ordinal = self.next_ordinal();
        DeploymentId::derive(self.state.cluster, self.state.index, ordinal)
    }

    /// A copy of an app that users see, to change and put back.
    fn live_app(&self, id: &AppId) -> Result<App, Rejected> {
        self.state.live_app(id).map(|it| App::clone(it)).ok_or_else(|| Rejected::NoApp { app: id.clone() })
    }

    fn put_app(&mut self, app: App) {
        let app = Arc::new(app);
        let before = self.state.apps.insert(app.id.clone(), Arc::clone(&app));
        self.state.note_wanted(before.as_ref().and_then(|it| it.wanted()), app.wanted());
        if before.is_some_and(|it| !Arc::ptr_eq(&it.current, &app.current) || it.held != app.held) {
            self.state.lookups.rosters.define(&app, &self.state.instances, &self.state.nodes);
        }
    }

    /// Changes an app in place, if it is there: nothing is copied of one that no view has.
    fn change_app(&mut self, id: &AppId, change: impl FnOnce(&mut App)) {
        let state = &mut *self.state;
        let Some(app) = state.apps.get_mut(id) else { return };
        let (current, held) = (Arc::clone(&app.current), app.held);
        let before = (!app.removing).then(|| Arc::clone(&current));
        let app = Arc::make_mut(app);
        change(app);
        let after = (!app.removing).then(|| Arc::clone(&app.current));
        if !Arc::ptr_eq(&current, &app.current) || held != app.held {
            state.lookups.rosters.define(app, &state.instances, &state.nodes);
        }
        self.state.note_wanted(before.as_ref().map(|it| &it.spec), after.as_ref().map(|it| &it.spec));
    }

    fn put_node(&mut self, node: Node) {
        let id = node.id().clone();
        self.state.capacity.replace(self.state.nodes.get(&id).map(AsRef::as_ref), Some(&node));
        self.state.lookups.put_node(&node);
        let node = Arc::new(node);
        let before = self.state.nodes.insert(id, Arc::clone(&node));
        self.state.enrol_all_on(before.as_deref(), &node);
    }

    fn put_instance(&mut self, instance: Instance) -> Arc<Instance> {
        let instance = Arc::new(instance);
        let before = self.state.instances.insert(instance.id, Arc::clone(&instance));
        self.state.enrol(before.as_deref(), Some(&instance));
        instance
    }

    /// Changes a node in place; does nothing if it is gone.
    fn change_node(&mut self, id: &NodeId, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.state.nodes.get(id) {
            let mut node = Node::clone(node);
            change(&mut node);
            self.put_node(node);
        }
    }

    /// Sets an instance's goal to end.
    fn stop(&mut self, instance: &Instance, reason: StopReason) {
        let mut instance = instance.clone();
        instance.goal = Goal::Stop(reason);
        if reason == StopReason::Stuck {
            let message = format!("Task was killed since it did not start in time. Last news: {}", instance.message);
            self.count_failure(&instance, EndKind::NotStarted, message);
            let words = instance.message.clone();
            self.learn_of_failure(&instance, Cause::Time, &words);
        }
        if reason == StopReason::Unhealthy {
            let cause = instance.checks.iter().find_map(|it| it.last_failure_cause.clone()).unwrap_or_default();
            let message = format!("Task was killed since health check failed. Reason: {cause}");
            self.count_failure(&instance, EndKind::Unhealthy, message);
        }
        let instance = self.put_instance(instance);
        self.event(Event::InstanceStopping { instance });
    }

    /// Somebody asks once more for an end that is under way: it gets no more time than it must have.
    fn hurry(&mut self, id: InstanceId) {
        let is_ending = |it: &&Arc<Instance>| it.goal != Goal::Run && !it.has_ended() && !it.hurried;
        if let Some(instance) = self.state.instances.get(&id).filter(is_ending) {
            let instance = self.put_instance(Instance { hurried: true, ..Instance::clone(instance) });
            self.event(Event::InstanceTold { instance });
        }
    }

    /// Remembers an instance's failure and delays the app's next launch.
    fn count_failure(&mut self, instance: &Instance, kind: EndKind, message: String) {
        let now = self.now();
        let Some(app) = self.state.apps.get(&instance.app) else { return };
        let mut app = App::clone(app);
        app.last_failure = Some(Arc::new(Failure {
            instance: instance.id,
            node: instance.node.clone(),
            kind,
            message,
            at: self.time(),
            version: instance.version,
            evidence: None,
        }));
        if app.is_current(instance) {
            app.backoff = app.backoff.after_failure(&app.current.spec.policy, instance.launched, now);
        }
        self.put_app(app);
    }

    /// Takes an instance whose container is gone out of the books.
    fn remove_instance(&mut self, instance: &Arc<Instance>) {
        self.state.enrol(Some(instance), None);
        self.state.instances.remove(&instance.id);
        if let Some(app) = self.state.apps.get(&instance.app) {
            let mut app = App::clone(app);
            app.instances.remove(&instance.id);
            self.put_app(app);
        }
        self.change_node(&instance.node, |node| {
            node.used = node.used.minus(&instance.resources);
            node.instances.remove(&instance.id);
            for port in &instance.ports {
                node.release_port(*port, instance.id);
            }
        });
        self.end_trial(instance);
        if let Some(reservation) = instance.reservation {
            self.free_reservation(reservation, instance.id);
        }
        self.event(Event::InstanceRemoved { instance: Arc::clone(instance) });
    }

    /// Nobody has the reservation any more; its node may take the successor, or destroy it.
    fn free_reservation(&mut self, id: InstanceId, holder: InstanceId) {
        let Some(reservation) = self.state.reservations.get(&id).filter(|it| it.holder == Some(holder)) else { return };
        let reservation = Arc::new(Reservation { holder: None, ..Reservation::clone(reservation) });
        self.state.reservations.insert(id, Arc::clone(&reservation));
        if reservation.doomed {
            self.event(Event::ReservationChanged { reservation });
        }
    }

    /// A reservation is to be destroyed: its app has none of it from now on.
    fn doom(&mut self, id: InstanceId) {
        let Some(reservation) = self.state.reservations.get(&id).filter(|it| !it.doomed) else { return };
        let reservation = Arc::new(Reservation { doomed: true, ..Reservation::clone(reservation) });
        if let Some(app) = self.state.apps.get(&reservation.app) {
            let mut app = App::clone(app);
            app.reservations.remove(&id);
            self.put_app(app);
        }
        self.state.reservations.insert(id, Arc::clone(&reservation));
        self.event(Event::ReservationChanged { reservation });
    }

    /// A reservation's volumes are destroyed: what it took is free.
    fn forget_reservation(&mut self, id: InstanceId) {
        let Some(reservation) = self.state.reservations.remove(&id) else { return };
        self.change_node(&reservation.node, |node| {
            node.reservations.remove(&id);
            node.used.disk_bytes = node.used.disk_bytes.saturating_sub(reservation.disk_bytes);
        });
        self.event(Event::ReservationChanged { reservation });
    }

    /// Ends a deployment and unlocks its apps.
    fn end_deployment(&mut self, id: DeploymentId, outcome: Outcome) {
        let Some(deployment) = self.state.deployments.get(&id) else { return };
        let mut deployment = Deployment::clone(deployment);
        for app in deployment.changes.keys() {
            if self.state.apps.get(app).is_some_and(|it| it.deployment == Some(id)) {
                self.change_app(app, |app| (app.deployment, app.held) = (None, None));
            }
        }
        self.state.active.remove(&id);
        deployment.outcome = Some(outcome);
        deployment.ended_at = Some(self.time());
        let deployment = Arc::new(deployment);
        self.state.deployments.insert(id, Arc::clone(&deployment));
        self.state.lookups.ended.insert(id);
        self.event(Event::DeploymentEnded { deployment });
        self.forget_old_deployments();
    }

    fn forget_old_deployments(&mut self) {
        while self.state.deployments.len() > KEPT_DEPLOYMENTS {
            let Some(oldest) = self.state.lookups.ended.remove_min() else { return };
            self.state.deployments.remove(&oldest);
        }
    }
}

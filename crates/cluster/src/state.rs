//! The cluster's state, and what can be asked of it.

use crate::agent::Assignment;
use crate::capacity::Capacity;
use crate::model::{
    App, AppId, AppSpec, AppVersion, ClusterId, Deployment, DeploymentId, Goal, Instance, InstanceId, Node, NodeId,
    Timestamp, WantedHostPort,
};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// From the polite to the hard stop signal where an app does not say, milliseconds; Mesos' own default.
pub const KILL_GRACE_MS: u64 = 3_000;

/// Everything the cluster knows. A clone is cheap and independent: a snapshot.
///
/// Changed only by [`State::apply`]. The encoded form is the content of raft snapshots; [`State::indexed`] must be
/// called on a decoded one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub(crate) cluster: ClusterId,
    pub(crate) index: u64,
    pub(crate) time: Timestamp,
    pub(crate) apps: OrdMap<AppId, Arc<App>>,
    pub(crate) instances: OrdMap<InstanceId, Arc<Instance>>,
    pub(crate) nodes: OrdMap<NodeId, Arc<Node>>,
    pub(crate) deployments: OrdMap<DeploymentId, Arc<Deployment>>,
    /// How many ports of wanted versions have this service port.
    pub(crate) service_ports: OrdMap<u16, u32>,
    /// Where the search for the next free service port starts.
    pub(crate) next_service_port: u16,
    /// Free room by node, for placement; follows from `nodes`.
    #[serde(skip)]
    pub(crate) capacity: Capacity,
}

impl PartialEq for State {
    /// Equal in all that is replicated.
    fn eq(&self, other: &Self) -> bool {
        (self.cluster, self.index, self.time) == (other.cluster, other.index, other.time)
            && self.apps == other.apps
            && self.instances == other.instances
            && self.nodes == other.nodes
            && self.deployments == other.deployments
            && self.service_ports == other.service_ports
            && self.next_service_port == other.next_service_port
    }
}

impl State {
    /// A cluster that nobody has founded yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rebuilds what follows from the replicated parts; for a state that was just decoded.
    #[must_use]
    pub fn indexed(mut self) -> Self {
        self.capacity = Capacity::of(self.nodes.values().map(AsRef::as_ref));
        self
    }

    /// The cluster's name; `ClusterId(0)` before it was founded.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The last applied entry.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The last applied entry's time.
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// Every app, by id; also those that are being removed.
    pub fn apps(&self) -> impl DoubleEndedIterator<Item = &Arc<App>> {
        self.apps.values()
    }

    /// How many apps there are.
    pub fn n_apps(&self) -> usize {
        self.apps.len()
    }

    /// One app; also one that is being removed.
    pub fn app(&self, id: &AppId) -> Option<&Arc<App>> {
        self.apps.get(id)
    }

    /// The app that users see under this id: there and not being removed.
    pub fn live_app(&self, id: &AppId) -> Option<&Arc<App>> {
        self.apps.get(id).filter(|it| !it.removing)
    }

    /// Every instance, oldest first; also ended ones that were not yet confirmed removed.
    pub fn instances(&self) -> impl DoubleEndedIterator<Item = &Arc<Instance>> {
        self.instances.values()
    }

    /// How many instances there are.
    pub fn n_instances(&self) -> usize {
        self.instances.len()
    }

    /// One instance.
    pub fn instance(&self, id: InstanceId) -> Option<&Arc<Instance>> {
        self.instances.get(&id)
    }

    /// An app's instances, oldest first.
    pub fn instances_of<'a>(&'a self, app: &'a App) -> impl Iterator<Item = &'a Arc<Instance>> {
        app.instances.iter().filter_map(|it| self.instances.get(it))
    }

    /// A node's instances, oldest first.
    pub fn instances_on<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Arc<Instance>> {
        node.instances.iter().filter_map(|it| self.instances.get(it))
    }

    /// Every node, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// How many nodes there are.
    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// One node.
    pub fn node(&self, id: &NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(id)
    }

    /// Every deployment that is under way or still remembered, oldest first.
    pub fn deployments(&self) -> impl DoubleEndedIterator<Item = &Arc<Deployment>> {
        self.deployments.values()
    }

    /// One deployment.
    pub fn deployment(&self, id: DeploymentId) -> Option<&Arc<Deployment>> {
        self.deployments.get(&id)
    }

    /// Whether an instance's node was given up: it may run or not, and counts as neither.
    pub fn is_unreachable(&self, instance: &Instance) -> bool {
        self.nodes.get(&instance.node).is_none_or(|it| it.is_lost())
    }

    /// The definition an instance runs, with the wanted version's policy; absent once the app is gone.
    pub fn spec_of(&self, instance: &Instance) -> Option<Arc<AppSpec>> {
        let app = self.apps.get(&instance.app)?;
        let launched = app.versions.get(&instance.run)?;
        if launched.spec.policy == app.current.spec.policy {
            return Some(Arc::new(launched.spec.clone()));
        }
        Some(Arc::new(AppSpec { policy: app.current.spec.policy.clone(), ..launched.spec.clone() }))
    }

    /// What an instance's agent shall do.
    pub fn assignment(&self, instance: &Instance) -> Assignment {
        let stop = instance.goal != Goal::Run;
        let kill_grace_ms = self.apps.get(&instance.app).and_then(|it| it.current.spec.policy.kill_grace_ms);
        Assignment {
            instance: instance.id,
            app: instance.app.clone(),
            version: instance.version,
            ports: instance.ports.clone(),
            stop,
            started: instance.is_running(),
            kill_grace_ms: kill_grace_ms.unwrap_or(KILL_GRACE_MS),
            spec: if stop { None } else { self.spec_of(instance) },
        }
    }
}

impl App {
    /// Whether an instance runs what is wanted.
    pub fn is_current(&self, instance: &Instance) -> bool {
        instance.run == self.current.run
    }

    /// Whether the wanted version has health checks.
    pub fn has_checks(&self) -> bool {
        !self.current.spec.policy.health_checks.is_empty()
    }
}

impl AppVersion {
    /// How many host ports an instance takes.
    pub fn n_host_ports(&self) -> usize {
        self.spec.run.ports.iter().filter(|it| it.host_port != WantedHostPort::None).count()
    }
}

//! What happened: the only way to learn of a change.

use crate::model::{AppId, AppVersion, Deployment, Health, Instance, Node, NodeId, PathId, Reservation, Version};
use std::sync::Arc;

/// A change of the cluster that took place. Order within an entry is the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An app was created or has a new wanted version.
    AppPut {
        /// The version.
        version: Arc<AppVersion>,
        /// Whether it is new.
        created: bool,
    },
    /// An app's last instance ended after its deletion.
    AppRemoved {
        /// Which app.
        app: AppId,
    },
    /// A deployment began.
    DeploymentStarted {
        /// The deployment.
        deployment: Arc<Deployment>,
    },
    /// A deployment goes on to its next step.
    DeploymentStepped {
        /// The deployment, as it is now.
        deployment: Arc<Deployment>,
    },
    /// One app of a deployment is as wanted.
    DeploymentSettled {
        /// The deployment, as it is now.
        deployment: Arc<Deployment>,
        /// The app.
        app: AppId,
    },
    /// A deployment ended; its outcome says how.
    DeploymentEnded {
        /// The deployment.
        deployment: Arc<Deployment>,
    },
    /// A group was made, changed or removed.
    GroupChanged {
        /// Which group.
        group: PathId,
        /// The version of the tree from which on it is so.
        version: Version,
    },
    /// A resident instance's place on its node is to be destroyed, or was.
    ReservationChanged {
        /// The reservation, as it is now or was last.
        reservation: Arc<Reservation>,
    },
    /// An instance was placed.
    InstanceLaunched {
        /// The instance.
        instance: Arc<Instance>,
    },
    /// An instance shall end.
    InstanceStopping {
        /// The instance.
        instance: Arc<Instance>,
    },
    /// An instance's condition changed.
    InstanceChanged {
        /// The instance, as it is now.
        instance: Arc<Instance>,
    },
    /// An instance's health changed.
    HealthChanged {
        /// The instance, as it is now.
        instance: Arc<Instance>,
        /// What was known before.
        before: Health,
    },
    /// An instance came closer to taking an old one's place: it said for the first time that it is ready, or has passed
    /// the health checks that its version asks now.
    InstanceReady {
        /// The instance, as it is now.
        instance: Arc<Instance>,
    },
    /// An instance's agent is to know something else of it: whose health checks it follows, or that its end has no time.
    InstanceTold {
        /// The instance, as it is now.
        instance: Arc<Instance>,
    },
    /// An instance's container is gone, and what it held is free.
    InstanceRemoved {
        /// The instance, as it was last.
        instance: Arc<Instance>,
    },
    /// An app's launch delay ended or was reset.
    BackoffReset {
        /// Which app.
        app: AppId,
    },
    /// A node came, came back, was lost, degraded or restored.
    NodeChanged {
        /// The node, as it is now.
        node: Arc<Node>,
    },
    /// A node is trusted less with new instances, or again, for what started there and what did not.
    NodeJudged {
        /// The node, as it is now.
        node: Arc<Node>,
    },
    /// Containers that no assignment covers were found on a node, are to be removed, or are gone.
    OrphansChanged {
        /// Which node.
        node: NodeId,
    },
    /// There is no node of this name any more: it was forgotten, or has another name.
    NodeRemoved {
        /// Which node.
        node: NodeId,
    },
}

//! Deployments: changes on their way.

use super::{AppId, DeploymentId, Timestamp, Version};
use serde::{Deserialize, Serialize};

/// A change of one or more apps, from its acceptance to its end. Kept after its end, for those who ask later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its name.
    pub id: DeploymentId,
    /// The version that the apps move to; also when it was accepted.
    pub version: Version,
    /// What it changes.
    pub changes: Vec<Change>,
    /// How it ended; absent while it is under way.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What a deployment does to one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which app.
    pub app: AppId,
    /// Its version before; absent where the deployment creates it.
    pub from: Option<Version>,
    /// Its version after; absent where the deployment removes it.
    pub to: Option<Version>,
    /// Whether running instances are replaced.
    pub replaces: bool,
    /// Whether this part is done.
    pub settled: bool,
}

/// How a deployment ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every change is as wanted.
    Succeeded,
    /// A later change of the same app, made with force, took over.
    Superseded {
        /// The later one.
        by: DeploymentId,
    },
    /// A user rolled it back.
    RolledBack {
        /// The deployment that does so.
        by: DeploymentId,
    },
    /// A user cancelled it; what it had done by then stays.
    Cancelled,
}

impl Deployment {
    /// Whether it is still under way.
    pub const fn is_active(&self) -> bool {
        self.outcome.is_none()
    }
}

//! The nouns. One file each; `docs/glossary.md` says in words what these say in types.

mod app;
mod constraint;
mod deployment;
mod health;
mod id;
mod instance;
mod node;
mod resources;
mod time;

pub use app::{
    App, AppSpec, AppVersion, Backoff, CheckTarget, Failure, HostVolume, KillSelection, Network, Policy, PortSpec,
    Protocol, RunSpec, Unreachable, UpgradeStrategy, VolumeMode, WantedHostPort,
};
pub use constraint::{Constraint, Operator};
pub use deployment::{Change, Deployment, Outcome};
pub use health::{CheckPort, CheckResult, Health, HealthCheck, HealthKind};
pub use id::{AppId, ClusterId, DeploymentId, IdError, InstanceId, NodeId};
pub use instance::{Condition, End, EndKind, Goal, Instance, StopReason};
pub use node::{Node, NodeDescription, NodeStatus, PortRange};
pub use resources::Resources;
pub use time::{Timestamp, Version};

//! The nouns. One file each; `docs/glossary.md` says in words what these say in types.

mod app;
mod constraint;
mod deployment;
mod evidence;
mod grants;
mod group;
mod health;
mod id;
mod instance;
mod node;
mod orphan;
mod pod;
mod resources;
mod settings;
mod shared;
mod time;
mod trouble;
mod volume;

pub use app::{
    ANY_ROLE, App, AppSpec, AppVersion, Backoff, CheckTarget, Failure, Held, KillSelection, Network, Policy, PortSpec,
    Protocol, Residency, RunSpec, Unreachable, UpgradeStrategy, WantedHostPort,
};
pub use constraint::{Constraint, Operator};
pub use deployment::{Change, Closeness, Deployment, FAILURES_KEPT, Outcome};
pub use evidence::{Evidence, HealthAnswer, LogLine, Stream, signal};
pub use grants::{Ask, BY_GRANT, Grants};
pub use group::{Grave, Group, GroupSpec, GroupUpdate};
pub use health::{
    CheckPort, CheckResult, Health, HealthCheck, HealthKind, Readiness, ReadinessCheck, ReadinessResponse,
};
pub use id::{AppId, ClusterId, DeploymentId, IdError, InstanceId, NodeId, PathId};
pub use instance::{Condition, End, EndKind, Goal, Instance, Since, StopReason};
pub(crate) use node::attribute;
pub use node::{Node, NodeDescription, NodeStatus, PortHolders, PortRange};
pub use orphan::{Orphan, OrphanReason, Stranger};
pub use pod::{Mount, Pod, PodCommand, PodContainer, PodVolume};
pub use resources::Resources;
pub use settings::Settings;
pub use shared::Shared;
pub use time::{Moment, NoMoment, Timestamp, Version};
pub use trouble::{Cause, Failures, Shunned, ShunnedNodes, Trouble, Trust, WITNESSES};
pub use volume::{ExternalVolume, Fetch, HostVolume, PersistentVolume, Reservation, Volume, VolumeMode};

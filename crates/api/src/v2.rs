//! Marathon's types as they travel: what Ekiden prints, and what its client reads.
//!
//! One file per noun, one struct per RAML type of Marathon 1.11, in its own dialect (≥ 1.5: `networks`,
//! `container.portMappings`, `portDefinitions`). Fields that Ekiden never prints are not here; what it reads from
//! users goes through [`crate::from_wire`], which knows both dialects and says of each field what is wrong with it.
//! Absent fields are left out, never printed as `null`.

mod app;
mod deployment;
mod error;
mod event;
mod health;
mod info;
mod number;
mod pod;
mod queue;
mod task;

pub use app::{
    App, AppInfo, AppList, AppSingle, AppStar, Container, DeploymentRef, DockerContainer, DockerParameter, Network,
    PortDefinition, PortMapping, UnreachableStrategy, UpgradeStrategy, VersionInfo, VersionList, Volume,
};
pub use deployment::{
    Deployment, DeploymentAction, DeploymentActionInfo, DeploymentPlan, DeploymentResult, DeploymentStep, EmptyGroup,
};
pub use error::{Details, ErrorBody, ErrorDetail};
pub use event::{Event, EventBody};
pub use health::{Command, Health, HealthCheck};
pub use info::{HttpConfig, Info, LeaderInfo, MarathonConfig, Message, ZooKeeperConfig};
pub use number::Number;
pub use pod::{
    AgentAttribute, AgentInfo, ContainerStatus, ContainerTermination, EndpointStatus, ExecutorResources, InstanceState,
    NetworkStatus, Pod, PodArtifact, PodBackoff, PodCommand, PodCommandCheck, PodConstraint, PodContainer, PodEndpoint,
    PodExec, PodHealthCheck, PodHttpCheck, PodImage, PodInstance, PodInstanceStatus, PodLifecycle, PodMount,
    PodNetwork, PodPlacement, PodResources, PodScaling, PodScheduling, PodStatus, PodTcpCheck, PodVolume,
    StatusCondition, TerminationHistory, TerminationState,
};
pub use queue::{DeclinedOfferStep, Delay, ProcessedOffersSummary, Queue, QueueItem};
pub use task::{
    DeleteTasks, IpAddress, LifeTime, Stats, Task, TaskCounts, TaskFailure, TaskList, TaskSingle, TaskStats,
    TaskStatsByVersion,
};

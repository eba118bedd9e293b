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
mod group;
mod health;
mod info;
mod number;
mod pod;
mod queue;
mod readiness;
mod task;

pub use app::{
    App, AppBeside, AppInfo, AppList, AppSingle, AppStar, Artifact, Container, DeploymentRef, DockerContainer,
    DockerParameter, ExternalVolume, Network, PersistentVolume, PortDefinition, PortMapping, Residency,
    UnreachableStrategy, UpgradeStrategy, VersionInfo, VersionList, Volume,
};
pub use deployment::{
    Deployment, DeploymentAction, DeploymentActionInfo, DeploymentPlan, DeploymentResult, DeploymentStep, EmptyGroup,
};
pub use error::{Details, ErrorBody, ErrorDetail, LockingDeployment};
pub use event::{Event, EventBody};
pub use group::{DeploymentSteps, GroupInfo};
pub use health::{Command, Health, HealthCheck};
pub use info::{
    CallbackUrls, Counted, Distribution, HttpConfig, Info, LeaderInfo, LoggerChange, MarathonConfig, Measured, Message,
    Metrics, PluginList, ZooKeeperConfig,
};
pub use number::Number;
pub use pod::{
    AgentInfo, ContainerStatus, ContainerTermination, EndpointStatus, ExecutorResources, InstanceState, NetworkStatus,
    Pod, PodArtifact, PodBackoff, PodCommand, PodCommandCheck, PodConstraint, PodContainer, PodEndpoint, PodExec,
    PodHealthCheck, PodHttpCheck, PodImage, PodInstance, PodInstanceStatus, PodLifecycle, PodMount, PodNetwork,
    PodPlacement, PodResources, PodScaling, PodScheduling, PodStatus, PodTcpCheck, PodVolume, StatusCondition,
    TerminationHistory, TerminationState,
};
pub use queue::{
    AgentAttribute, DeclinedOfferStep, Delay, NumberRange, Offer, OfferResource, ProcessedOffersSummary, Queue,
    QueueItem, UnusedOffer,
};
pub use readiness::{ReadinessCheck, ReadinessResponse, ReadinessResult};
pub use task::{
    DeleteTasks, IpAddress, LifeTime, LocalVolume, Stats, Task, TaskCounts, TaskFailure, TaskList, TaskSingle,
    TaskStats, TaskStatsByVersion,
};

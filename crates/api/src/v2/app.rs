//! Apps: the definition, and what the API adds to it.

use super::{HealthCheck, Number, ReadinessCheck, ReadinessResult, Task, TaskFailure, TaskStatsByVersion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An app's definition, as printed: all defaults filled in (RAML `App`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// Its absolute path.
    pub id: String,
    /// Resource roles; only ever `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_resource_roles: Option<Vec<String>>,
    /// Arguments for the image's entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Each further launch delay is so many times the last.
    pub backoff_factor: Number,
    /// The first launch delay after a failure.
    pub backoff_seconds: u64,
    /// Command line for `/bin/sh -c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<String>,
    /// `[field, operator]` or `[field, operator, value]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Vec<String>>,
    /// What is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Cores, to a thousandth.
    pub cpus: Number,
    /// Apps and groups that a deployment brings to their new version first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// MiB of disk.
    pub disk: Number,
    /// Environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Always empty.
    pub executor: String,
    /// Files that are there before the process starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetch: Vec<Artifact>,
    /// Always 0.
    pub gpus: u32,
    /// Health checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<HealthCheck>,
    /// How many instances shall run.
    pub instances: u32,
    /// `YOUNGEST_FIRST` or `OLDEST_FIRST`.
    pub kill_selection: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// No launch delay is longer.
    pub max_launch_delay_seconds: u64,
    /// MiB of memory.
    pub mem: Number,
    /// How instances are attached.
    pub networks: Vec<Network>,
    /// Ports of apps on the host network; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_definitions: Option<Vec<PortDefinition>>,
    /// How a new instance is asked whether it may take an old one's place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readiness_checks: Vec<ReadinessCheck>,
    /// Whether port definitions name host ports.
    pub require_ports: bool,
    /// What an app with persistent volumes says of lost nodes; kept, and without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residency: Option<Residency>,
    /// Always `*`.
    pub role: String,
    /// From the polite to the hard stop signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_kill_grace_period_seconds: Option<u64>,
    /// Whether the process has a terminal; absent unless it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    /// What happens to instances of a lost node.
    pub unreachable_strategy: UnreachableStrategy,
    /// Limits of a rolling update.
    pub upgrade_strategy: UpgradeStrategy,
    /// User of the container's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When this definition was accepted: its name.
    pub version: String,
    /// When what changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_info: Option<VersionInfo>,
}

/// What is started (RAML `Container`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// `DOCKER`, or `MESOS` where the user said so: Docker runs it all the same.
    #[serde(rename = "type")]
    pub kind: String,
    /// The image and its options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<DockerContainer>,
    /// Ports of apps on a network of containers; absent on the host network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_mappings: Option<Vec<PortMapping>>,
    /// What is mounted.
    #[serde(default)]
    pub volumes: Vec<Volume>,
}

/// An image and how it is run (RAML `DockerContainer`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerContainer {
    /// Image reference.
    pub image: String,
    /// Pull before every start.
    #[serde(default)]
    pub force_pull_image: bool,
    /// Whether it has all rights of the node's root, where the node's operator allows it.
    #[serde(default)]
    pub privileged: bool,
    /// Extra options for Docker.
    #[serde(default)]
    pub parameters: Vec<DockerParameter>,
}

/// An extra option for Docker (RAML `DockerParameter`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DockerParameter {
    /// The option's name, without dashes.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// A port of a container (RAML `ContainerPortMapping`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// The port inside; 0: the same as the host port.
    pub container_port: u16,
    /// The host port; 0: any of the node's range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `tcp`, `udp` or `udp,tcp`.
    pub protocol: String,
    /// Number for load balancers.
    pub service_port: u16,
}

/// Something mounted (RAML `AppVolume`): one of its three kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Path inside.
    pub container_path: String,
    /// A volume of a Docker driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalVolume>,
    /// A directory of the node: its path there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_path: Option<String>,
    /// `RW` or `RO`.
    pub mode: String,
    /// A directory that is kept on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<PersistentVolume>,
}

/// A directory that is kept on the node (RAML `PersistentVolumeInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersistentVolume {
    /// MiB.
    pub size: u64,
    /// Always `root`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A volume of a Docker driver (RAML `DVDIExternalVolumeInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalVolume {
    /// The driver's name for it.
    pub name: String,
    /// For the driver; `dvdi/driver` names it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Always `dvdi`.
    pub provider: String,
    /// Whether several apps may mount it.
    #[serde(default)]
    pub shared: bool,
    /// MiB, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// How instances are attached (RAML `Network`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// Labels, of a named network.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `host`, `container/bridge` or `container`.
    pub mode: String,
    /// Its name, in mode `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A file that is fetched before the start (RAML `Artifact`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Keep it on the node for the next instance.
    pub cache: bool,
    /// Path inside the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_path: Option<String>,
    /// Make it executable.
    pub executable: bool,
    /// Unpack it.
    pub extract: bool,
    /// Where from.
    pub uri: String,
}

/// What an app with persistent volumes says of lost nodes (RAML `AppResidency`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Residency {
    /// Seconds.
    pub relaunch_escalation_timeout_seconds: u64,
    /// `WAIT_FOREVER` or `RELAUNCH_AFTER_TIMEOUT`.
    pub task_lost_behavior: String,
}

/// A port of an app on the host network (RAML `PortDefinition`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PortDefinition {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Service port, and host port where ports are required.
    pub port: u16,
    /// `tcp`, `udp` or `udp,tcp`.
    pub protocol: String,
}

/// What happens to instances of a lost node (RAML `UnreachableStrategy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum UnreachableStrategy {
    /// The text `disabled`: they are never replaced.
    Disabled(String),
    /// They are replaced, then forgotten.
    #[serde(rename_all = "camelCase")]
    Enabled {
        /// From the loss to forgetting.
        expunge_after_seconds: u64,
        /// From the loss to the replacement.
        inactive_after_seconds: u64,
    },
}

impl Default for UnreachableStrategy {
    fn default() -> Self {
        Self::Enabled { expunge_after_seconds: 0, inactive_after_seconds: 0 }
    }
}

/// Limits of a rolling update (RAML `UpgradeStrategy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeStrategy {
    /// By this part the instances may be exceeded.
    pub maximum_over_capacity: Number,
    /// This part of the instances stays healthy.
    pub minimum_health_capacity: Number,
}

/// When what changed last (RAML `VersionInfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionInfo {
    /// When the number of instances did.
    pub last_scaling_at: String,
    /// When anything else did, or the app was restarted.
    pub last_config_change_at: String,
}

/// An app and what is known of its instances (RAML `AppInfo`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppInfo {
    /// The definition; its fields stand beside the others.
    #[serde(flatten)]
    pub app: App,
    /// Instances on their way.
    #[serde(default)]
    pub tasks_staged: u32,
    /// Instances that run.
    #[serde(default)]
    pub tasks_running: u32,
    /// Instances whose checks all succeed.
    #[serde(default)]
    pub tasks_healthy: u32,
    /// Instances with a failing check.
    #[serde(default)]
    pub tasks_unhealthy: u32,
    /// The deployments that change the app now.
    #[serde(default)]
    pub deployments: Vec<DeploymentRef>,
    /// Its instances, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Task>>,
    /// The last failure, where asked for and there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_task_failure: Option<TaskFailure>,
    /// What the new instances of a deployment answer to the readiness check, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness_check_results: Option<Vec<ReadinessResult>>,
    /// Counts by version, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_stats: Option<TaskStatsByVersion>,
}

/// What is printed beside an app's definition, each part where it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppBeside {
    /// Instances on their way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks_staged: Option<u32>,
    /// Instances that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks_running: Option<u32>,
    /// Instances whose checks all succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks_healthy: Option<u32>,
    /// Instances with a failing check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks_unhealthy: Option<u32>,
    /// The deployments that change the app now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployments: Option<Vec<DeploymentRef>>,
    /// Its instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Task>>,
    /// The last failure, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_task_failure: Option<TaskFailure>,
    /// What the new instances of a deployment answer to the readiness check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_check_results: Option<Vec<ReadinessResult>>,
    /// Counts by version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_stats: Option<TaskStatsByVersion>,
}

/// A deployment, by name (RAML `Identifiable`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentRef {
    /// Its id.
    pub id: String,
}

/// Answer of `GET /v2/apps` (RAML `AppList`).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AppList {
    /// The apps, by id.
    pub apps: Vec<AppInfo>,
}

/// Answer of `GET /v2/apps/{group}/*`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AppStar {
    /// The apps below the group, by id.
    #[serde(rename = "*")]
    pub apps: Vec<AppInfo>,
}

/// Answer of `GET /v2/apps/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AppSingle {
    /// The app.
    pub app: AppInfo,
}

/// Answer of `GET /v2/apps/{id}/versions` (RAML `VersionList`).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionList {
    /// The versions, newest first.
    pub versions: Vec<String>,
}

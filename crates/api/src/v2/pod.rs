//! Pods: the definition, and what runs of it.

use super::{AgentAttribute, Number, UnreachableStrategy, UpgradeStrategy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A pod's definition, as printed: all defaults filled in (RAML `Pod`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Its absolute path.
    pub id: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When this definition was accepted: its name.
    pub version: String,
    /// User of the containers' processes that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Environment of all containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The containers.
    pub containers: Vec<PodContainer>,
    /// Directories that they share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<PodVolume>,
    /// How instances are attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<PodNetwork>,
    /// How many instances shall run.
    #[serde(default)]
    pub scaling: PodScaling,
    /// How instances are placed and replaced.
    #[serde(default)]
    pub scheduling: PodScheduling,
    /// What Marathon adds for its executor: always its defaults. Ekiden adds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_resources: Option<ExecutorResources>,
    /// Always `*`.
    #[serde(default)]
    pub role: String,
}

/// One container of a pod (RAML `PodContainer`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodContainer {
    /// Its name, unique in the pod.
    pub name: String,
    /// What is run; the image's own command if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<PodExec>,
    /// What it takes of its node.
    pub resources: PodResources,
    /// Its ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<PodEndpoint>,
    /// Its image; the cluster's image for commands if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PodImage>,
    /// Environment; wins over the pod's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// User of its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<PodHealthCheck>,
    /// Which volumes it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<PodMount>,
    /// Files that are there before its process starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<PodArtifact>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How it is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<PodLifecycle>,
    /// Whether its process gets a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
}

/// What a container runs (RAML `MesosExec`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodExec {
    /// The command.
    pub command: PodCommand,
    /// Whether the first word of an `argv` takes the place of the image's entrypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_entrypoint: Option<bool>,
}

/// A command (RAML `MesosCommand`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PodCommand {
    /// For `/bin/sh -c`.
    Shell {
        /// The command line.
        shell: String,
    },
    /// Program and arguments.
    Argv {
        /// The words.
        argv: Vec<String>,
    },
}

/// What a container takes of its node (RAML `Resources`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PodResources {
    /// Cores, to a thousandth.
    pub cpus: Number,
    /// MiB of memory.
    pub mem: Number,
    /// MiB of disk.
    #[serde(default)]
    pub disk: Number,
    /// Always 0.
    #[serde(default)]
    pub gpus: u32,
}

/// A port of a container (RAML `Endpoint`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodEndpoint {
    /// Its name, unique in the pod.
    pub name: String,
    /// The port inside; absent on the host network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_port: Option<u16>,
    /// The host port; 0: any of the node's range; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// `tcp`, `udp` or both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocol: Vec<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A container's image (RAML `Image`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodImage {
    /// Always `DOCKER`.
    pub kind: String,
    /// Image reference.
    pub id: String,
    /// Pull before every start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_pull: Option<bool>,
}

/// A health check of a container, all defaults filled in (RAML `HealthCheck`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodHealthCheck {
    /// By HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<PodHttpCheck>,
    /// By a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<PodTcpCheck>,
    /// By a command in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<PodCommandCheck>,
    /// So long after the start failures do not count, seconds.
    pub grace_period_seconds: u64,
    /// From one probe to the next.
    pub interval_seconds: u64,
    /// So many failures in a row end the instance; 0: never.
    pub max_consecutive_failures: u32,
    /// A probe that takes longer has failed.
    pub timeout_seconds: u64,
    /// From the start to the first probe.
    pub delay_seconds: u64,
}

/// A check by HTTP (RAML `HttpCheck`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodHttpCheck {
    /// Which of the container's endpoints.
    pub endpoint: String,
    /// Path and query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `HTTP` or `HTTPS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

/// A check by a connection (RAML `TcpCheck`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodTcpCheck {
    /// Which of the container's endpoints.
    pub endpoint: String,
}

/// A check by a command (RAML `CommandCheck`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodCommandCheck {
    /// The command.
    pub command: PodCommand,
}

/// A volume as one container sees it (RAML `VolumeMount`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodMount {
    /// The volume's name.
    pub name: String,
    /// Path inside; relative to the sandbox where it has no leading slash.
    pub mount_path: String,
    /// Whether the container may only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// A file that is fetched (RAML `Artifact`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodArtifact {
    /// Where from.
    pub uri: String,
    /// Unpack it, if it is an archive.
    pub extract: bool,
    /// Make it executable.
    pub executable: bool,
    /// Keep it on the node for the next instance.
    pub cache: bool,
    /// Path inside the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dest_path: Option<String>,
}

/// How a container is ended (RAML `Lifecycle`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodLifecycle {
    /// From the polite to the hard stop signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill_grace_period_seconds: Option<Number>,
}

/// A directory that containers share (RAML `PodHostVolume` and `PodEphemeralVolume`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodVolume {
    /// Its name, unique in the pod.
    pub name: String,
    /// The directory of the node; absent for one that lives as long as the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// How instances are attached (RAML `Network`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodNetwork {
    /// The Docker network's name, for mode `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `host`, `container/bridge` or `container`.
    pub mode: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// How many instances shall run (RAML `FixedPodScalingPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodScaling {
    /// Always `fixed`.
    pub kind: String,
    /// How many.
    pub instances: u32,
}

/// How instances are placed and replaced (RAML `PodSchedulingPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodScheduling {
    /// Launch delays after failures.
    pub backoff: PodBackoff,
    /// Limits of a rolling update.
    pub upgrade: UpgradeStrategy,
    /// Where instances may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<PodPlacement>,
    /// `YOUNGEST_FIRST` or `OLDEST_FIRST`.
    pub kill_selection: String,
    /// What happens to instances of a lost node.
    pub unreachable_strategy: UnreachableStrategy,
}

/// Launch delays after failures (RAML `PodSchedulingBackoffStrategy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodBackoff {
    /// The first, seconds.
    pub backoff: Number,
    /// Each further one is so many times the last.
    pub backoff_factor: Number,
    /// None is longer, seconds.
    pub max_launch_delay: Number,
}

/// Where instances may run (RAML `PodPlacementPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodPlacement {
    /// The rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<PodConstraint>,
    /// Resource roles; only ever `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_resource_roles: Vec<String>,
}

/// A rule on nodes (RAML `Constraint`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodConstraint {
    /// `hostname`, or a node's attribute.
    pub field_name: String,
    /// What must hold of it.
    pub operator: String,
    /// The operator's argument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What Marathon's executor takes (RAML `ExecutorResources`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutorResources {
    /// Cores.
    pub cpus: Number,
    /// MiB of memory.
    pub mem: Number,
    /// MiB of disk.
    pub disk: Number,
}

/// A pod and its instances (RAML `PodStatus`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    /// Its path.
    pub id: String,
    /// Its definition.
    pub spec: Pod,
    /// `STABLE`, `DEGRADED`, or `TERMINAL` while it is being removed.
    pub status: String,
    /// Since when.
    pub status_since: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its instances that have not ended.
    #[serde(default)]
    pub instances: Vec<PodInstanceStatus>,
    /// Instances that have ended, as far as they are remembered.
    #[serde(default)]
    pub termination_history: Vec<TerminationHistory>,
    /// As of when this is.
    pub last_updated: String,
    /// When it last changed.
    pub last_changed: String,
}

/// One instance of a pod (RAML `PodInstanceStatus`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodInstanceStatus {
    /// `<path _ joined>.marathon-<uuid>`.
    pub id: String,
    /// `STAGING`, `STABLE`, `DEGRADED` or `TERMINAL`.
    pub status: String,
    /// Since when.
    pub status_since: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What its checks say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<StatusCondition>,
    /// Where its ports are reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_hostname: Option<String>,
    /// Its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What it takes of its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<PodResources>,
    /// Its addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkStatus>,
    /// Its containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerStatus>,
    /// Where the definition is that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_reference: Option<String>,
    /// As of when this is.
    pub last_updated: String,
    /// When it last changed.
    pub last_changed: String,
    /// Always `*`.
    #[serde(default)]
    pub role: String,
}

/// Something that holds, or not (RAML `StatusCondition`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusCondition {
    /// What: `healthy`.
    pub name: String,
    /// When its value last changed.
    pub last_changed: String,
    /// As of when this is.
    pub last_updated: String,
    /// `true` or `false`.
    pub value: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Addresses in a network (RAML `NetworkStatus`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkStatus {
    /// The network's name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The addresses.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// One container of an instance (RAML `ContainerStatus`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// Mesos' name for its state: `TASK_RUNNING`.
    pub status: String,
    /// Since when.
    pub status_since: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What its check says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<StatusCondition>,
    /// The instance's id and the container's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Its ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointStatus>,
    /// What it takes of its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<PodResources>,
    /// As of when this is.
    pub last_updated: String,
    /// When it last changed.
    pub last_changed: String,
}

/// A port of a container that runs (RAML `ContainerEndpointStatus`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// Its name.
    pub name: String,
    /// Its host port, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_host_port: Option<u16>,
    /// What the check on it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
}

/// An instance that has ended (RAML `TerminationHistory`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminationHistory {
    /// Which one.
    #[serde(rename = "instanceID")]
    pub instance_id: String,
    /// When it started.
    pub started_at: String,
    /// When it ended, or the cluster learnt of it.
    pub terminated_at: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its containers.
    #[serde(default)]
    pub containers: Vec<ContainerTermination>,
}

/// A container that has ended (RAML `ContainerTerminationHistory`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerTermination {
    /// The instance's id and the container's name.
    pub container_id: String,
    /// Mesos' name for how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known_state: Option<String>,
    /// How, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination: Option<TerminationState>,
}

/// How a container ended (RAML `ContainerTerminationState`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminationState {
    /// Its exit code, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An instance that was killed (RAML `Instance`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodInstance {
    /// `<path _ joined>.marathon-<uuid>`.
    pub instance_id: String,
    /// How it is.
    pub state: InstanceState,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_info: Option<AgentInfo>,
    /// The version it was launched for.
    pub run_spec_version: String,
    /// What happens to it when its node is lost.
    pub unreachable_strategy: UnreachableStrategy,
}

/// How an instance is (RAML `InstanceState`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceState {
    /// Marathon's name for its state: `Running`.
    pub condition: String,
    /// Since when.
    pub since: String,
    /// When it was seen running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_since: Option<String>,
    /// What its checks say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// What is wanted of it: `Running` or `Decommissioned`.
    pub goal: String,
}

/// Where an instance is (RAML `AgentInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentInfo {
    /// Where its ports are reached.
    pub host: String,
    /// Its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What constraints may name of the node.
    #[serde(default)]
    pub attributes: Vec<AgentAttribute>,
}

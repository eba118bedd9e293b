//! Tasks: what Marathon calls an instance's container.

use super::{Health, Number};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One instance (RAML `Task`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its app.
    pub app_id: String,
    /// Results of its health checks; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_results: Option<Vec<Health>>,
    /// Where its ports are reached.
    pub host: String,
    /// `<path _ joined>.<uuid>`; the UUID is the instance's id and the container's name.
    pub id: String,
    /// Its own addresses.
    #[serde(default)]
    pub ip_addresses: Vec<IpAddress>,
    /// Its persistent volumes.
    #[serde(default)]
    pub local_volumes: Vec<LocalVolume>,
    /// Its host ports.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Always `*`.
    #[serde(default)]
    pub role: String,
    /// The app's service ports.
    #[serde(default)]
    pub service_ports: Vec<u16>,
    /// Its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slave_id: Option<String>,
    /// When it was placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged_at: Option<String>,
    /// When it was seen running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// Mesos' name for its state: `TASK_RUNNING`.
    pub state: String,
    /// The app's version it was launched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A persistent volume of an instance (RAML `LocalVolumeId`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalVolume {
    /// Its app.
    pub run_spec_id: String,
    /// Path inside.
    pub container_path: String,
    /// The reservation's id: the same for the instance's successor.
    pub uuid: String,
    /// `<path _ joined>#<containerPath>#<uuid>`
    pub persistence_id: String,
}

/// An address of an instance (RAML `IpAddr`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpAddress {
    /// The address.
    pub ip_address: String,
    /// `IPv4` or `IPv6`.
    pub protocol: String,
}

/// Answer of lists and kills of tasks (RAML `TaskList`).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TaskList {
    /// The tasks.
    pub tasks: Vec<Task>,
}

/// Answer of the kill of one task (RAML `TaskSingle`).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskSingle {
    /// The task.
    pub task: Task,
}

/// Body of `POST /v2/tasks/delete` (RAML `DeleteTasks`).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeleteTasks {
    /// Task ids.
    pub ids: Vec<String>,
}

/// How an instance failed (RAML `TaskFailure`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskFailure {
    /// Its app.
    pub app_id: String,
    /// Where it ran.
    pub host: String,
    /// Why.
    pub message: String,
    /// Its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slave_id: Option<String>,
    /// Mesos' name for how it ended.
    pub state: String,
    /// Which one.
    pub task_id: String,
    /// When.
    pub timestamp: String,
    /// The app's version it was launched for.
    pub version: String,
}

/// Counts by how new instances are (RAML `TaskStatsByVersion`); a group without instances is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatsByVersion {
    /// Those started after the last change of their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_after_last_scaling: Option<Stats>,
    /// Those that run the wanted configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_latest_config: Option<Stats>,
    /// Those that run an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_outdated_config: Option<Stats>,
    /// All.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_summary: Option<Stats>,
}

/// A wrapper that Marathon has (RAML `Stats`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// What is in it.
    pub stats: TaskStats,
}

/// Counts and ages (RAML `TaskStats`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStats {
    /// How many.
    pub counts: TaskCounts,
    /// How old those that run are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life_time: Option<LifeTime>,
}

/// How many instances (RAML `TaskCounts`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCounts {
    /// On their way.
    pub staged: u32,
    /// Running.
    pub running: u32,
    /// With checks that all succeed.
    pub healthy: u32,
    /// With a failing check.
    pub unhealthy: u32,
}

/// How old instances are, seconds (RAML `TaskLifeTime`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifeTime {
    /// Mean.
    pub average_seconds: Number,
    /// Median.
    pub median_seconds: Number,
}

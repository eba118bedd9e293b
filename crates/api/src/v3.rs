//! Ekiden's own types: what Marathon's `/v2` cannot say.

use crate::v2::{DeclinedOfferStep, Number, Task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Answer of `GET /v3/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeList {
    /// The nodes, by name.
    pub nodes: Vec<Node>,
}

/// A machine that runs instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where its instances' ports are reached.
    pub address: String,
    /// `ready`, `degraded` or `lost`.
    pub status: String,
    /// Why it is degraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_since: Option<String>,
    /// What it offers.
    pub capacity: Resources,
    /// What its instances hold.
    pub used: Resources,
    /// The range of host ports it offers.
    pub ports: PortRange,
    /// How many host ports its instances hold.
    pub used_ports: u32,
    /// What constraints may name.
    pub attributes: BTreeMap<String, String>,
    /// Versions of its agent and its Docker engine.
    pub versions: BTreeMap<String, String>,
    /// How many instances it has; also ended ones whose containers were not yet confirmed removed.
    pub n_instances: u32,
    /// Containers on its engine that no assignment covers; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<Orphan>,
    /// Its instances; for `GET /v3/nodes/{node}` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Task>>,
}

/// A line that a container wrote: one of `GET /v3/logs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedLine {
    /// When the engine read it: RFC 3339, UTC, nine decimals.
    pub time: String,
    /// Its app or pod.
    pub app: String,
    /// Its instance, as a task's id.
    pub instance: String,
    /// The pod's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Its node.
    pub node: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The line, without its end.
    pub text: String,
}

/// What is said about lines that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogNotice {
    /// For people.
    pub message: String,
    /// Whose lines were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The node that did not answer, or not to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How many lines were left out, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
}

/// A notice where each line is an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogNoticeLine {
    /// The notice.
    pub notice: LogNotice,
}

/// The data of an event of `GET /v3/logs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLines {
    /// Lines, in the order of time.
    pub lines: Vec<LoggedLine>,
    /// What is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<LogNotice>,
}

/// Answer of `GET /v3/orphans`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrphanList {
    /// The orphans, by node.
    pub orphans: Vec<Orphan>,
}

/// A container of this cluster that no assignment covers any more. It is left as it is until somebody removes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The instance whose container it is.
    pub id: String,
    /// The node on whose engine it is.
    pub node: String,
    /// The app's path, as the container's label has it.
    pub app: String,
    /// The name of the node whose agent made it, as its label has it.
    pub made_by: String,
    /// Whether it runs.
    pub running: bool,
    /// Why nobody speaks of it.
    pub reason: String,
    /// When it was found.
    pub since: String,
    /// Somebody ordered that it be ended and removed.
    pub removing: bool,
}

/// An amount of resources, in the units of app definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Cores.
    pub cpus: Number,
    /// MiB of memory.
    pub mem: Number,
    /// MiB of disk.
    pub disk: Number,
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

/// Answer of `GET /v3/deployments`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentList {
    /// Those under way and those that are remembered, oldest first.
    pub deployments: Vec<Deployment>,
}

/// A deployment, also one that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Its name.
    pub id: String,
    /// The version that the apps move to; also when it was accepted.
    pub version: String,
    /// `running`, `succeeded`, `failed`, `superseded`, `rolledBack` or `cancelled`.
    pub status: String,
    /// The deployment that superseded it or rolled it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// What it changes.
    pub changes: Vec<Change>,
    /// What it waits for, in sentences; once it has failed, what it waited for then; empty if it ended otherwise.
    pub waiting: Vec<String>,
    /// What instances of its apps left behind that failed: the last of each app; absent if there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// How an instance failed, and what it left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Its app.
    pub app: String,
    /// Its name, as in `/v2/tasks`.
    pub task: String,
    /// Where it ran.
    pub node: String,
    /// The app's version it was launched for.
    pub version: String,
    /// When the cluster learnt of it.
    pub at: String,
    /// Why it failed, in a sentence.
    pub message: String,
    /// The container of a pod that ended first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The signal that ended it, such as `KILL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The kernel ended it for want of memory.
    pub out_of_memory: bool,
    /// Docker's own remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a health check that failed was answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthAnswer>,
    /// The last lines that it wrote, oldest first; empty as long as its agent has not told them.
    pub lines: Vec<LogLine>,
    /// How many lines before these its agent keeps on the node.
    pub more_lines: u32,
    /// Why there are no lines although there may have been some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// What a health check was answered that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthAnswer {
    /// When.
    pub at: String,
    /// The HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it counts as a failure.
    pub cause: String,
    /// How the answer's body begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// A line that a container wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When, as Docker has it.
    pub at: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The line, without its end.
    pub text: String,
}

/// What a deployment does to one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Which app.
    pub app: String,
    /// `create`, `remove`, `replace` or `scale`.
    pub action: String,
    /// Its version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its version after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whether this part is done.
    pub settled: bool,
    /// What runs of the app now; absent once the deployment has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<InstanceCounts>,
}

/// What runs of an app, old and new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceCounts {
    /// How many shall run.
    pub wanted: u32,
    /// Those of the wanted version that are on their way.
    pub new_staged: u32,
    /// Those of the wanted version that run.
    pub new_running: u32,
    /// Those of the wanted version that serve: they run, and are healthy where the app has health checks.
    pub new_serving: u32,
    /// Those of older versions that have not ended.
    pub old: u32,
    /// Those of older versions that serve.
    pub old_serving: u32,
}

/// Answer of `GET /v3/apps/{id}/explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Which app.
    pub app: String,
    /// What runs of it.
    pub instances: InstanceCounts,
    /// How many instances it misses.
    pub missing: u32,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Launches are delayed until then, after failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_until: Option<String>,
    /// The deployment that changes it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// What that one waits for, in sentences.
    pub waiting: Vec<String>,
    /// Reasons, in the order in which they are looked at.
    pub reasons: Vec<DeclinedOfferStep>,
    /// Each node that does not do.
    pub nodes: Vec<NodeExplanation>,
    /// What the instance left behind that failed last; absent if none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// Why a node does not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeExplanation {
    /// Which node.
    pub node: String,
    /// The reason's name.
    pub reason: String,
    /// What is missing there.
    pub detail: String,
}

//! Health checks and their results.

use super::Number;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A health check, all defaults filled in (RAML `AppHealthCheck`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// The command, for `COMMAND`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// From the start to the first probe, seconds.
    pub delay_seconds: u64,
    /// So long after the start failures do not count.
    pub grace_period_seconds: u64,
    /// Whether answers 100–199 give no result; HTTP only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_http1xx: Option<bool>,
    /// From one probe to the next.
    pub interval_seconds: u64,
    /// `IPv4` or `IPv6`, for probes over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_protocol: Option<String>,
    /// So many failures in a row end the instance; 0: never.
    pub max_consecutive_failures: u32,
    /// Path, for HTTP kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Port number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Position among the app's ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_index: Option<u32>,
    /// `HTTP`, `HTTPS`, `TCP`, `COMMAND`, `MESOS_HTTP`, `MESOS_HTTPS` or `MESOS_TCP`.
    pub protocol: String,
    /// A probe that takes longer has failed.
    pub timeout_seconds: u64,
}

/// A command line to check with (RAML `AppCommandCheck`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// For `/bin/sh -c`.
    pub value: String,
}

/// One check's results for one instance (RAML `Health`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether the last success is newer than the last failure.
    pub alive: bool,
    /// Failures in a row.
    pub consecutive_failures: Number,
    /// First success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_success: Option<String>,
    /// Last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<String>,
    /// Last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// Why it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure_cause: Option<String>,
    /// Whose results these are.
    pub instance_id: String,
}

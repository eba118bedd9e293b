//! Readiness checks and their results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A readiness check, all defaults filled in (RAML `ReadinessCheck`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessCheck {
    /// The answers that mean ready.
    pub http_status_codes_for_ready: Vec<u16>,
    /// From one probe to the next.
    pub interval_seconds: u64,
    /// Its name.
    pub name: String,
    /// Path and query.
    pub path: String,
    /// The name of the app's port that is asked.
    pub port_name: String,
    /// Whether the last answer is kept to be shown.
    pub preserve_last_response: bool,
    /// `HTTP` or `HTTPS`.
    pub protocol: String,
    /// A probe that takes longer has no answer.
    pub timeout_seconds: u64,
}

/// What an instance answered last (RAML `TaskReadinessCheckResult`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessResult {
    /// The check's name.
    pub name: String,
    /// The instance's task id.
    pub task_id: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Its answer, where the check asks to keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_response: Option<ReadinessResponse>,
}

/// An HTTP answer (RAML `ReadinessCheckHttpResponse`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessResponse {
    /// Status.
    pub status: u16,
    /// Content type.
    pub content_type: String,
    /// The body's beginning.
    pub body: String,
}

//! Health checks and what they say.

use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One check that the agent runs against each instance of an app (`docs/marathon.md`, Health checks).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HealthCheck {
    /// How the instance is asked.
    pub kind: HealthKind,
    /// The container of a pod that is asked; empty for an app.
    pub container: String,
    /// Whether the user named the check by Marathon's `MESOS_` form; kept to print it back.
    pub mesos: bool,
    /// Failures younger than this since the start do not count, until the first success.
    pub grace_ms: u64,
    /// From one probe to the next.
    pub interval_ms: u64,
    /// A probe that takes longer has failed.
    pub timeout_ms: u64,
    /// So many failures in a row end the instance; 0: never.
    pub max_failures: u32,
    /// From the start of the container to the first probe; Marathon uses it for its `MESOS_` forms.
    pub delay_ms: u64,
    /// The instance is asked by its IPv6 address.
    pub ipv6: bool,
}

/// Asks a new instance whether it is ready to take the place of an old one (`docs/marathon.md`, Readiness checks).
/// Asked from the moment it runs until it is; once ready, always ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessCheck {
    /// Its name.
    pub name: String,
    /// By TLS; certificates are not verified.
    pub tls: bool,
    /// Path and query, with its leading slash.
    pub path: String,
    /// The name of the app's port that is asked.
    pub port_name: String,
    /// From one probe to the next.
    pub interval_ms: u64,
    /// A probe that takes longer has no answer.
    pub timeout_ms: u64,
    /// The answers that mean ready.
    pub codes: Vec<u16>,
    /// Whether the last answer is kept to be shown.
    pub keep_response: bool,
}

/// What a readiness check has said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// The instance is ready: it said so once, or is not asked.
    pub ready: bool,
    /// Its last answer, where it is to be kept.
    pub response: Option<Box<ReadinessResponse>>,
}

/// An instance's answer to a readiness check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessResponse {
    /// HTTP status.
    pub status: u16,
    /// Content type, empty where none was named.
    pub content_type: String,
    /// The body's first 1 000 bytes.
    pub body: String,
}

impl HealthCheck {
    /// What it asks, where, and how long an answer may take: what an instance that passed it may yet fail. Not how
    /// often it asks, nor after how many failures it gives up.
    pub fn question(&self) -> (&HealthKind, &str, bool, u64) {
        (&self.kind, &self.container, self.ipv6, self.timeout_ms)
    }
}

/// How a health check asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HealthKind {
    /// `GET path`; 200–399 is a success, redirects are not followed.
    Http {
        /// Path and query, with its leading slash.
        path: String,
        /// Which port.
        port: CheckPort,
        /// By TLS; certificates are not verified.
        tls: bool,
        /// Answers 100–199 give no result at all.
        ignore_1xx: bool,
    },
    /// A TCP connection that opens is a success.
    Tcp {
        /// Which port.
        port: CheckPort,
    },
    /// `/bin/sh -c value` inside the container; exit code 0 is a success.
    Command {
        /// The command line.
        value: String,
    },
}

/// The port a probe goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CheckPort {
    /// The n-th port of the app.
    Index(u32),
    /// This port number: of the container in bridge networks, of the host otherwise.
    Number(u16),
}

/// What all health checks of an instance say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Health {
    /// At least one check has not answered yet, or there is none. Unknown is not unhealthy.
    #[default]
    Unknown,
    /// Every check's last result is a success.
    Healthy,
    /// At least one check's last result is a failure that counts.
    Unhealthy,
    /// A check failed [`HealthCheck::max_failures`] times in a row: the instance is to be replaced.
    Failed,
}

/// One check's results so far (RAML `HealthCheckResult`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Whether the last success is newer than the last failure.
    pub alive: bool,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// It failed, and not yet often enough to take out of discovery who was healthy before.
    #[serde(default)]
    pub forgiven: bool,
    /// First success.
    pub first_success: Option<Timestamp>,
    /// The success that last changed something; the agent does not report each one.
    pub last_success: Option<Timestamp>,
    /// Last failure.
    pub last_failure: Option<Timestamp>,
    /// Why the last failure was one.
    pub last_failure_cause: Option<String>,
}

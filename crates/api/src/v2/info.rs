//! What the server says of itself.

use super::Number;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Answer of `GET /v2/info` (RAML `MarathonInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Info {
    /// Always `marathon`: clients look for it.
    pub name: String,
    /// The version of Marathon whose API this is.
    pub version: String,
    /// What it really is: `ekiden 0.1.0`.
    pub buildref: String,
    /// Whether there is a leader.
    pub elected: bool,
    /// The leader, `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The cluster's id.
    #[serde(default, rename = "frameworkId", skip_serializing_if = "Option::is_none")]
    pub framework_id: Option<String>,
    /// As much of Marathon's configuration as has a meaning here.
    pub marathon_config: MarathonConfig,
    /// Names of a part that Ekiden does not have; empty where clients insist on a text.
    pub zookeeper_config: ZooKeeperConfig,
    /// Where the API listens.
    pub http_config: HttpConfig,
}

/// As much of Marathon's configuration as has a meaning here (RAML `MarathonConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarathonConfig {
    /// `ekiden`.
    pub framework_name: String,
    /// Whether other members stand by.
    pub ha: bool,
    /// Instances survive the control plane.
    pub checkpoint: bool,
    /// This member's host.
    pub hostname: String,
    /// Lowest service port chosen.
    pub local_port_min: u16,
    /// The service port after the highest chosen.
    pub local_port_max: u16,
    /// Always empty.
    pub executor: String,
    /// Always empty.
    pub features: Vec<String>,
    /// Always empty: there is no Mesos.
    pub master: String,
    /// Always `*`.
    pub mesos_role: String,
    /// Docker's name for the bridge network.
    pub mesos_bridge_name: String,
    /// A leader that does not take a connection in this time is taken for gone, milliseconds.
    pub leader_proxy_connection_timeout_ms: u64,
    /// A leader that does not begin to answer in this time is given up, milliseconds.
    pub leader_proxy_read_timeout_ms: u64,
    /// Always 0: instances of lost nodes are replaced as their own strategies say.
    pub task_lost_expunge_initial_delay: u64,
    /// Always 0.
    pub task_lost_expunge_interval: u64,
    /// Where the web UI is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webui_url: Option<String>,
}

/// Ekiden has no ZooKeeper (RAML `ZooKeeperConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ZooKeeperConfig {
    /// Always empty.
    pub zk: String,
    /// How many versions of an app are kept.
    pub zk_max_versions: u32,
    /// Always 0.
    pub zk_connection_timeout: u32,
    /// Always 0.
    pub zk_session_timeout: u32,
    /// Always 0.
    pub zk_timeout: u32,
}

/// Where the API listens (RAML `HttpConfig`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpConfig {
    /// HTTP.
    pub http_port: u16,
    /// HTTPS; 0: none.
    pub https_port: u16,
}

/// Answer of `GET /v2/leader` (RAML `LeaderInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaderInfo {
    /// `host:port`.
    pub leader: String,
}

/// A sentence (RAML `Message`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// The sentence.
    pub message: String,
}

/// Answer of `GET /v2/plugins`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginList {
    /// Always empty.
    pub plugins: Vec<()>,
}

/// Answer of `GET /v2/eventSubscriptions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallbackUrls {
    /// Where events are posted to.
    pub callback_urls: Vec<String>,
}

/// Body and answer of `POST /logging` (RAML `LoggerChange`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggerChange {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// A module's path, such as `scheduler` or `api::handlers`; `ROOT` for all that have no level of their own.
    pub logger: String,
    /// So long, seconds; for good where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,
}

/// Answer of `GET /metrics` in JSON (RAML `NewMetrics`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// The form's version, of the library that Marathon used.
    pub version: String,
    /// What only grows, by name.
    pub counters: BTreeMap<String, Counted>,
    /// What goes up and down, by name.
    pub gauges: BTreeMap<String, Measured>,
    /// What is measured many times, by name.
    pub histograms: BTreeMap<String, Distribution>,
    /// Always empty.
    pub meters: BTreeMap<String, Counted>,
    /// Always empty: times are among the histograms, in seconds.
    pub timers: BTreeMap<String, Counted>,
}

/// A counter (RAML `Counter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// How many.
    pub count: u64,
}

/// A gauge (RAML `Gauge`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// How much.
    pub value: Number,
}

/// A histogram (RAML `Histogram`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// How many values there were.
    pub count: u64,
    /// Their mean.
    pub mean: Number,
}

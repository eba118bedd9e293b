//! Groups.

use super::{App, AppInfo, DeploymentStep};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A group and what is in it (RAML `GroupInfo`). Each part is absent where it is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupInfo {
    /// Its absolute path.
    pub id: String,
    /// Its own apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<App>>")]
    pub apps: Option<Vec<AppInfo>>,
    /// Its own pods, with their instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Vec<Value>>,
    /// The groups in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<GroupInfo>>,
    /// Apps and groups that a deployment brings to their new version before the apps of this one.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// When it, or something in it, last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Answer of a dry run (RAML `DeploymentSteps`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentSteps {
    /// What would be done, in order.
    pub steps: Vec<DeploymentStep>,
}

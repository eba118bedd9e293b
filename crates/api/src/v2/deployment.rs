//! Deployments, in Marathon's words: steps one after another, actions of a step side by side.

use super::ReadinessResult;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer of every change (RAML `DeploymentResult`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentResult {
    /// The deployment that carries the change out.
    pub deployment_id: String,
    /// The version that the apps move to.
    pub version: String,
}

/// A deployment under way (RAML `DeploymentStepInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Its name.
    pub id: String,
    /// The version that the apps move to.
    pub version: String,
    /// Apps it changes.
    pub affected_apps: Vec<String>,
    /// Pods it changes.
    pub affected_pods: Vec<String>,
    /// All its steps.
    pub steps: Vec<DeploymentStep>,
    /// The actions of the current one.
    pub current_actions: Vec<DeploymentActionInfo>,
    /// Which step it is at, from 1.
    pub current_step: u32,
    /// How many it has.
    pub total_steps: u32,
}

/// Actions that are carried out side by side (RAML `DeploymentStep`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentStep {
    /// The actions.
    pub actions: Vec<DeploymentAction>,
}

/// What is done to one app (RAML `DeploymentAction`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentAction {
    /// `StartApplication`, `StopApplication`, `ScaleApplication` or `RestartApplication`, or `…Pod`.
    pub action: String,
    /// Which app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Or which pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

/// An action under way (RAML `DeploymentActionInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentActionInfo {
    /// The action.
    #[serde(flatten)]
    pub action: DeploymentAction,
    /// What the instances that it brings up answer to the readiness check.
    pub readiness_check_results: Vec<ReadinessResult>,
}

/// A deployment as events tell of it (RAML `DeploymentPlan`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentPlan {
    /// Its name.
    pub id: String,
    /// The version that the apps move to.
    pub version: String,
    /// All its steps.
    pub steps: Vec<DeploymentStep>,
    /// A stand-in for the root group before; left out for readers of light plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<EmptyGroup>,
    /// A stand-in for the root group after; left out for readers of light plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<EmptyGroup>,
}

/// A group without content: some clients insist on one in every plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmptyGroup {
    /// `/`.
    pub id: String,
    /// The plan's version.
    pub version: String,
    /// Empty.
    pub apps: Vec<()>,
    /// Empty.
    pub groups: Vec<()>,
    /// Empty.
    pub pods: Vec<()>,
    /// Empty.
    pub dependencies: Vec<()>,
}

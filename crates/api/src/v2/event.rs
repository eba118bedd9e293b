//! Events, as `/v2/events` sends them.

use super::{App, DeploymentPlan, DeploymentStep, HealthCheck, IpAddress};
use schemars::JsonSchema;
use serde::Serialize;

/// One event: its type and time, and what belongs to the type.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When it happened.
    pub timestamp: String,
    /// What happened; its variant prints `eventType`.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened. The names are Marathon's; it never sends others than these.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "eventType", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the fields carry Marathon's names and meanings")]
pub enum EventBody {
    /// The first event of every stream.
    EventStreamAttached { remote_address: String },
    /// Another stream ended.
    EventStreamDetached { remote_address: String },
    /// Events are posted to a URL from now on.
    SubscribeEvent { client_ip: String, callback_url: String },
    /// Events are posted to a URL no more.
    UnsubscribeEvent { client_ip: String, callback_url: String },
    /// A user created or changed an app.
    ApiPostEvent { client_ip: String, uri: String, app_definition: Box<App> },
    /// An app's last instance ended after its deletion.
    AppTerminatedEvent { app_id: String },
    /// The set of apps was changed.
    GroupChangeSuccess { group_id: String, version: String },
    /// A deployment began.
    DeploymentInfo { plan: DeploymentPlan, current_step: DeploymentStep },
    /// A step is done.
    DeploymentStepSuccess { plan: DeploymentPlan, current_step: DeploymentStep },
    /// A deployment is done.
    DeploymentSuccess { id: String, plan: DeploymentPlan },
    /// A deployment ended before it was done.
    DeploymentFailed { id: String, plan: DeploymentPlan, reason: String },
    /// An instance's state changed.
    StatusUpdateEvent {
        slave_id: String,
        task_id: String,
        task_status: String,
        message: String,
        app_id: String,
        host: String,
        ip_addresses: Vec<IpAddress>,
        ports: Vec<u16>,
        version: String,
    },
    /// The same, in later words.
    InstanceChangedEvent {
        instance_id: String,
        condition: String,
        run_spec_id: String,
        agent_id: String,
        host: String,
        run_spec_version: String,
    },
    /// An instance's health changed.
    HealthStatusChangedEvent { app_id: String, instance_id: String, task_id: String, version: String, alive: bool },
    /// The same, in later words; `healthy` is absent while it is not known.
    InstanceHealthChangedEvent {
        instance_id: String,
        run_spec_id: String,
        run_spec_version: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        healthy: Option<bool>,
    },
    /// An app has a new health check.
    AddHealthCheckEvent { app_id: String, version: String, health_check: HealthCheck },
    /// An app's health checks are no more, or others take their place.
    RemoveHealthCheckEvent { app_id: String },
    /// A check turned to failing.
    FailedHealthCheckEvent { app_id: String, task_id: String, instance_id: String, health_check: HealthCheck },
    /// An instance is replaced because its checks failed too often.
    UnhealthyInstanceKillEvent {
        app_id: String,
        task_id: String,
        instance_id: String,
        version: String,
        reason: String,
        host: String,
        slave_id: String,
    },
    /// An instance that was given up is forgotten.
    UnknownInstanceTerminatedEvent { instance_id: String, run_spec_id: String, condition: String },
}

impl EventBody {
    /// The name that `event_type` filters by.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::EventStreamAttached { .. } => "event_stream_attached",
            Self::EventStreamDetached { .. } => "event_stream_detached",
            Self::SubscribeEvent { .. } => "subscribe_event",
            Self::UnsubscribeEvent { .. } => "unsubscribe_event",
            Self::ApiPostEvent { .. } => "api_post_event",
            Self::AppTerminatedEvent { .. } => "app_terminated_event",
            Self::GroupChangeSuccess { .. } => "group_change_success",
            Self::DeploymentInfo { .. } => "deployment_info",
            Self::DeploymentStepSuccess { .. } => "deployment_step_success",
            Self::DeploymentSuccess { .. } => "deployment_success",
            Self::DeploymentFailed { .. } => "deployment_failed",
            Self::StatusUpdateEvent { .. } => "status_update_event",
            Self::InstanceChangedEvent { .. } => "instance_changed_event",
            Self::HealthStatusChangedEvent { .. } => "health_status_changed_event",
            Self::InstanceHealthChangedEvent { .. } => "instance_health_changed_event",
            Self::AddHealthCheckEvent { .. } => "add_health_check_event",
            Self::RemoveHealthCheckEvent { .. } => "remove_health_check_event",
            Self::FailedHealthCheckEvent { .. } => "failed_health_check_event",
            Self::UnhealthyInstanceKillEvent { .. } => "unhealthy_instance_kill_event",
            Self::UnknownInstanceTerminatedEvent { .. } => "unknown_instance_terminated_event",
        }
    }
}

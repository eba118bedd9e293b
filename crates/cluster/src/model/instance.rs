//! Instances: one container each.

use super::{AppId, CheckResult, Health, InstanceId, Moment, NodeId, Readiness, Resources, Timestamp, Version};
use serde::{Deserialize, Serialize};

/// One placed copy of an app.
///
/// Two fields, two writers: [`Instance::goal`] is written only by commands of the control plane,
/// [`Instance::condition`] only by reports of the node's agent, and neither ever goes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name, and its container's.
    pub id: InstanceId,
    /// The app it belongs to.
    pub app: AppId,
    /// The app's version it was launched for.
    pub version: Version,
    /// The [`super::AppVersion::run`] it was launched with.
    pub run: Version,
    /// The node it was placed on.
    pub node: NodeId,
    /// What it holds of its node until it is confirmed removed.
    pub resources: Resources,
    /// The host ports it holds, one for each of the app's ports that wants one, in their order.
    pub ports: Vec<u16>,
    /// What the cluster wants of it.
    pub goal: Goal,
    /// Somebody asked for its end once more: its grace period is cut short.
    #[serde(default)]
    pub hurried: bool,
    /// What its agent last said of it.
    pub condition: Condition,
    /// What its health checks say together.
    pub health: Health,
    /// Each health check's results, in the app's order; empty before the first.
    pub checks: Vec<CheckResult>,
    /// The version whose health checks these are the answers to.
    #[serde(default)]
    pub judged_by: Version,
    /// The version whose health checks its agent was told; it is told others when it is its turn.
    #[serde(default)]
    pub follows: Version,
    /// Since when it has been what it shall be.
    #[serde(default)]
    pub since: Since,
    /// Why other health checks, that it is to be judged by when it has passed them, do not succeed; for people.
    #[serde(default)]
    pub trial: Option<String>,
    /// What its readiness check says.
    pub readiness: Readiness,
    /// The reservation it holds, where it is resident.
    pub reservation: Option<InstanceId>,
    /// When it was placed, for people.
    pub launched_at: Timestamp,
    /// When it was placed.
    #[serde(default)]
    pub launched: Moment,
    /// When its agent last had news of it before it ran; its launch, before the first.
    pub news_at: Moment,
    /// When its agent said that it runs, for people.
    pub started_at: Option<Timestamp>,
    /// When its agent said that it runs.
    #[serde(default)]
    pub started: Option<Moment>,
    /// The container's own address, where it has one.
    pub ip: Option<String>,
    /// What its agent is doing, or why it waits; for people.
    pub message: String,
}

/// Since when an instance has been what it shall be, without a break, by the cluster's clock. Absent: it is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Its container has been running.
    pub running: Option<Moment>,
    /// All its health checks have succeeded.
    pub healthy: Option<Moment>,
    /// It has been ready.
    pub ready: Option<Moment>,
}

/// What the cluster wants of an instance. Only ever goes from run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// It shall run.
    Run,
    /// It shall end and its container be removed.
    Stop(StopReason),
}

/// Why an instance shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StopReason {
    /// A newer version took its place.
    Replaced,
    /// There were more than wanted.
    Surplus,
    /// The app was deleted.
    Removed,
    /// A user killed it.
    Killed,
    /// Its health checks failed too often.
    Unhealthy,
    /// It had ended by itself; its container is to be removed.
    Ended,
    /// Its node was lost, and another instance took its place.
    Lost,
    /// It did not start in time.
    Stuck,
}

/// How far an instance has come. Ordered: a report never takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Placed; its agent has not seen it running yet.
    Staging,
    /// Its container runs.
    Running,
    /// Its container has ended, or could not be started.
    Ended(End),
}

/// How an instance ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// In which way.
    pub kind: EndKind,
    /// The container's exit code, where it had one.
    pub exit_code: Option<i64>,
    /// Why, for people.
    pub message: String,
}

/// In which way an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EndKind {
    /// With exit code 0, by itself.
    Finished,
    /// With another exit code, by itself.
    Failed,
    /// By the kernel, for want of memory.
    OutOfMemory,
    /// It could not be started: image, port or configuration.
    NotStarted,
    /// Because the cluster wanted it to.
    Killed,
    /// Its health checks failed too often.
    Unhealthy,
    /// Its container is gone, and nobody knows why.
    Vanished,
}

impl EndKind {
    /// Whether it delays the app's next launch and becomes its last failure.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Killed)
    }
}

impl Instance {
    /// Whether it shall run and has not ended: it counts towards what the app wants.
    pub const fn is_wanted(&self) -> bool {
        matches!(self.goal, Goal::Run) && !self.has_ended()
    }

    /// Whether its container has ended.
    pub const fn has_ended(&self) -> bool {
        matches!(self.condition, Condition::Ended(_))
    }

    /// Whether its container runs.
    pub const fn is_running(&self) -> bool {
        matches!(self.condition, Condition::Running)
    }

    /// Since when it has been running, healthy where it is `checked`, and ready where it is `asked` for that; absent:
    /// it is not.
    pub fn good_since(&self, checked: bool, asked: bool) -> Option<Moment> {
        let Since { running, healthy, ready } = self.since;
        let mut since = running.filter(|_| self.is_running())?;
        if checked {
            since = since.max(healthy?);
        }
        if asked {
            since = since.max(ready?);
        }
        Some(since)
    }

    /// Whether it serves: running, and healthy where the app has health checks, or forgiven the last failures.
    pub fn is_serving(&self, has_checks: bool) -> bool {
        self.is_running() && (!has_checks || self.health == Health::Healthy || self.is_forgiven())
    }

    /// Whether it is unhealthy by nothing but failures that do not count yet.
    pub(crate) fn is_forgiven(&self) -> bool {
        self.health == Health::Unhealthy
            && !self.checks.is_empty()
            && self.checks.iter().all(|it| it.alive || it.forgiven)
    }
}

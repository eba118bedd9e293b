//! Deployments: changes on their way.

use super::{AppId, DeploymentId, Failure, GroupSpec, Instance, Moment, PathId, Timestamp, Version};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A deployment that failed keeps how instances of so many of its apps failed: one that breaks more of them breaks them
/// alike.
pub const FAILURES_KEPT: usize = 5;

/// A change of one or more apps, from its acceptance to its end. Kept after its end, for those who ask later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its name.
    pub id: DeploymentId,
    /// The version that the apps move to; also when it was accepted.
    pub version: Version,
    /// What it changes, by app.
    pub changes: OrdMap<AppId, Change>,
    /// The groups that it makes, changes or removes, with what they were before; absent: there was none.
    pub groups: Vec<(PathId, Option<GroupSpec>)>,
    /// The step that is under way: changes of later ones wait, those of earlier ones are done.
    pub step: u32,
    /// How many changes of this step are not done.
    pub open: u32,
    /// When it last came closer to its end.
    pub progress_at: Moment,
    /// Without progress for so long, and [`Deployment::live_ms`], it has failed, milliseconds; 0: it never has.
    pub deadline_ms: u64,
    /// So long new instances have to live before they count, milliseconds: the longest that its apps ask for. Nobody
    /// is late for as long as they do.
    #[serde(default)]
    pub live_ms: u64,
    /// Whether it is rolled back when it has failed.
    pub rolls_back: bool,
    /// How it ended; absent while it is under way.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where it failed: how an instance of each app that it had not done failed last, [`FAILURES_KEPT`] at most.
    #[serde(default)]
    pub failures: OrdMap<AppId, Arc<Failure>>,
}

/// What a deployment does to one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its version before; absent where the deployment creates it.
    pub from: Option<Version>,
    /// Its version after; absent where the deployment removes it.
    pub to: Option<Version>,
    /// Whether it is a pod.
    pub pod: bool,
    /// Whether running instances are replaced.
    pub replaces: bool,
    /// Whether another deployment began it, which this one took over from: it is finished, and not rolled back.
    #[serde(default)]
    pub carried: bool,
    /// In which step it is made, from 1: removals first, then by how deep the app's dependencies go.
    pub step: u32,
    /// Whether this part is done.
    pub settled: bool,
    /// How close it has come: the best it was.
    pub closeness: Closeness,
}

/// How close a change is to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closeness {
    /// So many wanted instances serve and are ready.
    pub serving: u32,
    /// So many others are still there.
    pub left: u32,
}

impl Default for Closeness {
    /// As far away as can be.
    fn default() -> Self {
        Self { serving: 0, left: u32::MAX }
    }
}

impl Closeness {
    /// Whether this is closer than `best` in one of the two.
    pub const fn beats(self, best: Self) -> bool {
        self.serving > best.serving || self.left < best.left
    }

    /// The best of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { serving: self.serving.max(other.serving), left: self.left.min(other.left) }
    }
}

/// How a deployment ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every change is as wanted.
    Succeeded,
    /// A later change of the same app, made with force, took over.
    Superseded {
        /// The later one.
        by: DeploymentId,
    },
    /// A user rolled it back.
    RolledBack {
        /// The deployment that does so.
        by: DeploymentId,
    },
    /// A user cancelled it; what it had done by then stays.
    Cancelled,
    /// It made no progress for too long.
    Failed {
        /// What it waited for, for people.
        reason: String,
        /// The deployment that rolls it back; absent: what it had done by then stays.
        rolled_back_by: Option<DeploymentId>,
    },
}

impl Deployment {
    /// Whether it is still under way.
    pub const fn is_active(&self) -> bool {
        self.outcome.is_none()
    }

    /// Whether it has failed, and knows nothing yet of what this instance's app left behind.
    pub fn lacks_evidence_of(&self, instance: &Instance) -> bool {
        let is_its = |it: &Change| !it.settled && it.to == Some(instance.version);
        let kept = self.failures.get(&instance.app);
        matches!(self.outcome, Some(Outcome::Failed { .. }))
            && self.changes.get(&instance.app).is_some_and(is_its)
            && match kept {
                Some(kept) => kept.evidence.is_none() && kept.instance == instance.id,
                None => self.failures.len() < FAILURES_KEPT,
            }
    }

    /// How many steps it has.
    pub fn n_steps(&self) -> u32 {
        self.changes.values().map(|it| it.step).max().unwrap_or(0)
    }

    /// When it has failed if nothing comes closer till then; absent: never. What is deleted stays deleted: a
    /// deployment that is busy with that waits as long as it takes.
    pub fn due(&self) -> Option<Moment> {
        let removes = || self.changes.values().any(|it| it.to.is_none() && !it.settled);
        let fails = self.deadline_ms > 0 && self.is_active() && !removes();
        fails.then(|| self.progress_at.plus_ms(self.deadline_ms).plus_ms(self.live_ms))
    }
}

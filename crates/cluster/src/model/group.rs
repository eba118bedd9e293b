//! Groups: the folders of the tree of apps.

use super::{AppSpec, AppVersion, PathId, Version};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A group that somebody made: one that is only the path of an app has no record of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its path.
    pub id: PathId,
    /// What it was from which version on; absent: it was removed. The last one is what it is.
    pub versions: OrdMap<Version, Option<GroupSpec>>,
}

/// What a group says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    /// Apps, or groups of them, that a deployment brings to their new version before the apps of this group.
    pub dependencies: Vec<PathId>,
}

impl Group {
    /// What it is; absent once it was removed.
    pub fn current(&self) -> Option<&GroupSpec> {
        self.versions.get_max().and_then(|(_, it)| it.as_ref())
    }

    /// What it was at a version of the tree.
    pub fn at(&self, version: Version) -> Option<&GroupSpec> {
        self.versions.get_prev(&version).and_then(|(_, it)| it.as_ref())
    }
}

/// A deleted app: kept as long as there is a version of the tree in which it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grave {
    /// The version of the tree from which on it was not there.
    pub removed: Version,
    /// Its definitions.
    pub versions: OrdMap<Version, Arc<AppVersion>>,
}

/// What a user asks for: a group's new content. What is absent stays as it is; what is given replaces all of its
/// kind, so that an app or a group that is not listed goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupUpdate {
    /// Which group.
    pub id: PathId,
    /// Its own apps.
    pub apps: Option<Vec<AppSpec>>,
    /// Its own groups.
    pub groups: Option<Vec<GroupUpdate>>,
    /// What it depends on.
    pub dependencies: Option<Vec<PathId>>,
}

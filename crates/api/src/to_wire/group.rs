//! Groups: the tree that the paths of apps make, with what users said of its branches.

use super::Embed;
use crate::time;
use crate::to_wire::{Piece, separated};
use cluster::{App, AppVersion, GroupSpec, PathId, State, Timestamp, Version};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is printed of each group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupEmbed {
    /// The groups in it.
    pub(crate) groups: bool,
    /// Its apps.
    pub(crate) apps: bool,
    /// Its pods.
    pub(crate) pods: bool,
    /// What of each app.
    pub(crate) app: Embed,
}

/// A group, at any depth, and everything in it.
#[derive(Debug)]
pub(crate) struct Tree {
    top: PathId,
    branches: BTreeMap<PathId, Branch>,
}

/// What is in one group itself.
#[derive(Debug, Default)]
struct Branch {
    apps: Vec<Piece>,
    pods: Vec<Piece>,
    groups: Vec<PathId>,
    dependencies: Vec<PathId>,
    version: Version,
}

impl Tree {
    /// A group as it is. One pass over its apps.
    pub(crate) fn now(state: &State, top: &PathId) -> Self {
        let mut tree = Self::empty(top);
        for group in state.groups().filter(|it| it.id == *top || top.contains(it.id.as_str())) {
            let since = group.versions.get_max().map_or(Timestamp(0), |(version, _)| *version);
            tree.declare(&group.id, group.current(), since);
        }
        for app in state.apps_in(top).filter(|it| !it.removing) {
            tree.add(app);
        }
        if let Some(version) = state.tree_versions().next_back().filter(|_| top.is_root()) {
            tree.branch(top).version = version;
        }
        let mut tree = tree.connected();
        for (path, branch) in &mut tree.branches {
            branch.version = state.last_removal(path).map_or(branch.version, |it| it.max(branch.version));
        }
        for (path, version) in state.removals_in(top) {
            for around in path.ancestors() {
                if let Some(branch) = tree.branches.get_mut(&around) {
                    branch.version = branch.version.max(version);
                }
            }
        }
        tree
    }

    /// A group as it was at a version of the tree.
    pub(crate) fn then(state: &State, top: &PathId, version: Version) -> Self {
        let mut tree = Self::empty(top);
        for (path, spec) in state.groups_at(top, version) {
            tree.declare(path, Some(spec), Timestamp(0));
        }
        for app in state.apps_at(top, version) {
            tree.add_then(app);
        }
        tree.branch(top).version = version;
        tree.connected()
    }

    fn empty(top: &PathId) -> Self {
        Self { top: top.clone(), branches: [(top.clone(), Branch::default())].into() }
    }

    fn branch(&mut self, path: &PathId) -> &mut Branch {
        self.branches.entry(path.clone()).or_default()
    }

    fn declare(&mut self, path: &PathId, spec: Option<&GroupSpec>, since: Version) {
        let branch = self.branch(path);
        branch.dependencies = spec.map(|it| it.dependencies.clone()).unwrap_or_default();
        branch.version = branch.version.max(since);
    }

    fn add(&mut self, app: &Arc<App>) {
        let branch = self.branch(&app.id.group());
        branch.version = branch.version.max(app.current.version);
        if app.current.spec.run.pod.is_some() {
            branch.pods.push(Piece::Pod(Arc::clone(app)));
        } else {
            branch.apps.push(Piece::App(Arc::clone(app)));
        }
    }

    fn add_then(&mut self, app: Arc<AppVersion>) {
        let branch = self.branch(&app.spec.id.group());
        branch.version = branch.version.max(app.version);
        if app.spec.run.pod.is_none() {
            branch.apps.push(Piece::Then(app));
        }
    }

    /// Gives every branch its parent, and every parent the newest version inside it.
    fn connected(mut self) -> Self {
        let paths: Vec<PathId> = self.branches.keys().cloned().collect();
        for path in &paths {
            for around in path.ancestors().take_while(|it| *it == self.top || self.top.contains(it.as_str())) {
                self.branches.entry(around).or_default();
            }
        }
        let inside: Vec<PathId> = self.branches.keys().filter(|it| **it != self.top).cloned().collect();
        for path in &inside {
            self.branch(&path.parent()).groups.push(path.clone());
        }
        // What is inside a path stands behind it.
        for path in inside.iter().rev() {
            let version = self.branch(path).version;
            let parent = self.branch(&path.parent());
            parent.version = parent.version.max(version);
        }
        self
    }

    /// When it, or something in it, last changed.
    pub(crate) fn version(&self) -> Version {
        self.branches.get(&self.top).map_or(Timestamp(0), |it| it.version)
    }

    /// Its JSON, with the apps still to be printed.
    pub(crate) fn pieces(mut self, embed: GroupEmbed) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let top = self.top.clone();
        self.print(&top, embed, &mut pieces);
        pieces
    }

    fn print(&mut self, path: &PathId, embed: GroupEmbed, pieces: &mut Vec<Piece>) {
        let Branch { apps, pods, groups, dependencies, version } = self.branches.remove(path).unwrap_or_default();
        pieces.push(owned(format!("{{\"id\":\"{path}\"")));
        if embed.apps {
            pieces.push(Piece::fixed(",\"apps\":["));
            pieces.extend(separated(apps.into_iter()));
            pieces.push(Piece::fixed("]"));
        }
        if embed.pods {
            pieces.push(Piece::fixed(",\"pods\":["));
            pieces.extend(separated(pods.into_iter()));
            pieces.push(Piece::fixed("]"));
        }
        if embed.groups {
            pieces.push(Piece::fixed(",\"groups\":["));
            for (n, group) in groups.iter().enumerate() {
                if n > 0 {
                    pieces.push(Piece::fixed(","));
                }
                self.print(group, embed, pieces);
            }
            pieces.push(Piece::fixed("]"));
        }
        let dependencies: Vec<String> = dependencies.iter().map(|it| format!("\"{it}\"")).collect();
        let version = time::print(version);
        pieces.push(owned(format!(",\"dependencies\":[{}],\"version\":\"{version}\"}}", dependencies.join(","))));
    }
}

fn owned(text: String) -> Piece {
    Piece::Text(Cow::Owned(text))
}

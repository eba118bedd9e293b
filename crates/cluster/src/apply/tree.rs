//! The versions of the tree of groups and apps: groups take their content, and what only forgotten versions need goes.

use super::Changing;
use crate::event::Event;
use crate::model::{Group, GroupSpec, PathId, Version};
use std::sync::Arc;

/// So many versions of the tree of groups and apps are remembered; Marathon's `zk_max_versions`.
pub const KEPT_TREE_VERSIONS: usize = 50;

impl Changing<'_> {
    /// Takes the groups' new content; returns what they were.
    pub(super) fn regroup(
        &mut self,
        groups: Vec<(PathId, Option<GroupSpec>)>,
        version: Version,
    ) -> Vec<(PathId, Option<GroupSpec>)> {
        let mut changed = Vec::new();
        for (path, spec) in groups {
            let record = self.state.groups.get(&path);
            let before = record.and_then(|it| it.current().cloned());
            if before == spec || (path.is_root() && spec.is_none()) {
                continue;
            }
            let mut versions = record.map(|it| it.versions.clone()).unwrap_or_default();
            // Of those from before the oldest kept version of the tree only the last is in one.
            let oldest = self.state.tree.get_min().and_then(|it| versions.get_prev(it)).map(|it| *it.0);
            versions = oldest.map_or(versions.clone(), |it| versions.into_iter().filter(|(at, _)| *at >= it).collect());
            if spec.is_none() {
                self.state.lookups.gone(version, path.clone());
            }
            versions.insert(version, spec);
            self.state.groups.insert(path.clone(), Arc::new(Group { id: path.clone(), versions }));
            self.event(Event::GroupChanged { group: path.clone(), version });
            changed.push((path, before));
        }
        changed
    }

    /// Remembers a new version of the tree, and forgets what only forgotten ones need.
    pub(super) fn remember_tree(&mut self, version: Version) {
        self.state.tree.insert(version);
        if self.state.tree.len() <= KEPT_TREE_VERSIONS {
            return;
        }
        self.state.tree.remove_min();
        let Some(oldest) = self.state.tree.get_min().copied() else { return };
        for app in self.state.lookups.take_graves(oldest) {
            let graves = self.state.graves.get(&app).and_then(|it| it.get_prev(&oldest)).map(|(removed, _)| *removed);
            if let Some(removed) = graves {
                self.remember_removal(&PathId::from(&app), removed);
            }
            let kept = self.state.graves.get(&app).map(|it| it.split(&oldest).1).unwrap_or_default();
            if kept.is_empty() {
                self.state.graves.remove(&app);
            } else {
                self.state.graves.insert(app, kept);
            }
        }
        for group in self.state.lookups.take_gone(oldest) {
            let is_gone =
                |it: &&Arc<Group>| it.versions.get_max().is_some_and(|(at, it)| it.is_none() && *at <= oldest);
            let Some(record) = self.state.groups.get(&group).filter(is_gone).map(Arc::clone) else { continue };
            self.state.groups.remove(&group);
            if let Some((removed, _)) = record.versions.get_max() {
                self.remember_removal(&group, *removed);
            }
        }
    }

    /// Remembers of what is forgotten that it went, for the groups around it that are there.
    fn remember_removal(&mut self, path: &PathId, removed: Version) {
        self.state.removals.remove(path);
        for around in path.ancestors().filter(|it| !it.is_root()) {
            if self.state.has_group(&around) {
                let last = self.state.removals.entry(around).or_default();
                *last = removed.max(*last);
            } else {
                self.state.removals.remove(&around);
            }
        }
    }
}

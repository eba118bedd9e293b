//! In which order a deployment comes to its apps: first to those that others depend on (`docs/marathon.md`,
//! Dependencies).
//!
//! An app depends on what its definition names, and on what each group around it names; to depend on a group is to
//! depend on all apps in it. A path that names nothing is no dependency.

use crate::model::{AppId, GroupSpec, PathId};
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};

/// What a deployment will have made of the tree.
#[derive(Debug, Default)]
pub struct Overlay<'a> {
    /// What apps depend on from now on; absent: the app goes.
    pub apps: BTreeMap<AppId, Option<&'a [PathId]>>,
    /// What groups depend on from now on; absent: the group goes.
    pub groups: BTreeMap<PathId, Option<&'a GroupSpec>>,
}

/// Apps depend on each other in a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle;

/// How deep the dependencies of each of the overlay's apps go; 0 for one that depends on nothing.
///
/// # Errors
/// [`Cycle`] if they lead back to where they came from.
pub fn depths(state: &State, overlay: &Overlay<'_>) -> Result<BTreeMap<AppId, u32>, Cycle> {
    let mut walk = Walk { state, overlay, apps: BTreeMap::new(), groups: BTreeMap::new() };
    for group in overlay.groups.keys() {
        walk.group(group)?;
    }
    let there = overlay.apps.iter().filter(|(_, it)| it.is_some());
    there.map(|(app, _)| Ok((app.clone(), walk.app(app)?))).collect()
}

struct Walk<'a> {
    state: &'a State,
    overlay: &'a Overlay<'a>,
    /// Depths that are known; none while the walk is below the app.
    apps: BTreeMap<AppId, Option<u32>>,
    /// The greatest depth of an app in the group; none while the walk is below it.
    groups: BTreeMap<PathId, Option<u32>>,
}

impl Walk<'_> {
    fn app(&mut self, app: &AppId) -> Result<u32, Cycle> {
        match self.apps.get(app) {
            Some(Some(depth)) => return Ok(*depth),
            Some(None) => return Err(Cycle),
            None => {}
        }
        self.apps.insert(app.clone(), None);
        let mut depth = 0;
        for dependency in self.dependencies(app) {
            if let Some(below) = self.path(&dependency)? {
                depth = depth.max(below + 1);
            }
        }
        self.apps.insert(app.clone(), Some(depth));
        Ok(depth)
    }

    /// The depth of an app or a group; none if the path names neither, or an empty group.
    fn path(&mut self, path: &PathId) -> Result<Option<u32>, Cycle> {
        let app = path.as_app();
        if self.exists(&app) { self.app(&app).map(Some) } else { self.group(path) }
    }

    fn group(&mut self, group: &PathId) -> Result<Option<u32>, Cycle> {
        match self.groups.get(group) {
            Some(Some(u32::MAX)) => return Ok(None),
            Some(Some(depth)) => return Ok(Some(*depth)),
            Some(None) => return Err(Cycle),
            None => {}
        }
        self.groups.insert(group.clone(), None);
        let new = self.overlay.apps.range(group.first_inside()..).take_while(|(it, _)| group.contains(it.as_str()));
        let new = new.filter(|(_, it)| it.is_some()).map(|(it, _)| it.clone());
        let old = self.state.apps_in(group).map(|it| it.id.clone()).filter(|it| self.exists(it));
        let members: BTreeSet<AppId> = new.chain(old).collect();
        let mut depth = None;
        for member in members {
            depth = depth.max(Some(self.app(&member)?));
        }
        self.groups.insert(group.clone(), Some(depth.unwrap_or(u32::MAX)));
        Ok(depth)
    }

    fn exists(&self, app: &AppId) -> bool {
        self.overlay.apps.get(app).map_or_else(|| self.state.live_app(app).is_some(), Option::is_some)
    }

    fn dependencies(&self, app: &AppId) -> Vec<PathId> {
        let own = match self.overlay.apps.get(app) {
            Some(new) => new.unwrap_or_default(),
            None => self.state.live_app(app).map_or(&[][..], |it| &it.current.spec.policy.dependencies),
        };
        let around = PathId::from(app).ancestors().flat_map(|group| match self.overlay.groups.get(&group) {
            Some(new) => new.map(|it| it.dependencies.clone()).unwrap_or_default(),
            None => self
                .state
                .group(&group)
                .and_then(|it| it.current().map(|it| it.dependencies.clone()))
                .unwrap_or_default(),
        });
        own.iter().cloned().chain(around).collect()
    }
}

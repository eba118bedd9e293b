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

/// No chain of dependencies that a change makes has more apps: each of them waits until the one before it has lived for
/// a while, so that one of this length takes the better part of an hour.
pub const CHAIN_MAX: u32 = 256;

/// How deep dependencies go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Those of each of the overlay's apps; 0 for one that depends on nothing.
    pub apps: BTreeMap<AppId, u32>,
    /// The longest chain that the change touches: the app that waits for all others, and how many they are with it.
    pub longest: Option<(AppId, u32)>,
}

/// How deep the dependencies of the overlay's apps go.
///
/// # Errors
/// [`Cycle`] if they lead back to where they came from.
pub fn depths(state: &State, overlay: &Overlay<'_>) -> Result<Depths, Cycle> {
    let mut walk = Walk { state, overlay, depths: BTreeMap::new() };
    for group in overlay.groups.keys() {
        walk.depth(Spot::Group(group.clone()))?;
    }
    let there = overlay.apps.iter().filter(|(_, it)| it.is_some());
    let apps = there.map(|(app, _)| Ok((app.clone(), walk.depth(Spot::App(app.clone()))?.unwrap_or(0))));
    let apps = apps.collect::<Result<BTreeMap<AppId, u32>, Cycle>>()?;
    let chain = |(spot, depth): (&Spot, &Option<Depth>)| match spot {
        Spot::App(app) => Some((app.clone(), (*depth)??.saturating_add(1))),
        Spot::Group(_) => None,
    };
    let longest = walk.depths.iter().filter_map(chain).max_by_key(|it| it.1);
    Ok(Depths { apps, longest })
}

/// What may be depended on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    App(AppId),
    Group(PathId),
}

/// The greatest depth of an app there; none where there is none.
type Depth = Option<u32>;

/// A walk down the dependencies. It keeps its own stack: users make chains as long as they like.
struct Walk<'a> {
    state: &'a State,
    overlay: &'a Overlay<'a>,
    /// Depths that are known; none while the walk is below the spot.
    depths: BTreeMap<Spot, Option<Depth>>,
}

/// A spot that the walk is below.
struct Above {
    spot: Spot,
    /// Where it has still to go from here.
    next: std::vec::IntoIter<Spot>,
    /// As far as it is known.
    depth: Depth,
}

impl Above {
    /// Takes note of the depth of something directly below.
    fn note(&mut self, below: Depth) {
        let step = u32::from(matches!(self.spot, Spot::App(_)));
        self.depth = self.depth.max(below.map(|it| it.saturating_add(step)));
    }
}

impl Walk<'_> {
    fn depth(&mut self, start: Spot) -> Result<Depth, Cycle> {
        if let Some(known) = self.depths.get(&start) {
            return known.ok_or(Cycle);
        }
        let mut stack = vec![self.enter(start)];
        while let Some(above) = stack.last_mut() {
            let Some(next) = above.next.next() else {
                let depth = above.depth;
                self.depths.extend(stack.pop().map(|it| (it.spot, Some(depth))));
                match stack.last_mut() {
                    Some(above) => above.note(depth),
                    None => return Ok(depth),
                }
                continue;
            };
            match self.depths.get(&next) {
                Some(known) => above.note(known.ok_or(Cycle)?),
                None => stack.push(self.enter(next)),
            }
        }
        Ok(None)
    }

    fn enter(&mut self, spot: Spot) -> Above {
        self.depths.insert(spot.clone(), None);
        let (next, depth) = match &spot {
            Spot::App(app) => (self.dependencies(app), Some(0)),
            Spot::Group(group) => (self.members(group), None),
        };
        Above { spot, next: next.into_iter(), depth }
    }

    /// What the path names: an app, or a group, which may be empty.
    fn spot(&self, path: &PathId) -> Spot {
        let app = path.as_app();
        if self.exists(&app) { Spot::App(app) } else { Spot::Group(path.clone()) }
    }

    fn members(&self, group: &PathId) -> Vec<Spot> {
        let new = self.overlay.apps.range(group.first_inside()..).take_while(|(it, _)| group.contains(it.as_str()));
        let new = new.filter(|(_, it)| it.is_some()).map(|(it, _)| it.clone());
        let old = self.state.apps_in(group).map(|it| it.id.clone()).filter(|it| self.exists(it));
        let members: BTreeSet<AppId> = new.chain(old).collect();
        members.into_iter().map(Spot::App).collect()
    }

    fn exists(&self, app: &AppId) -> bool {
        self.overlay.apps.get(app).map_or_else(|| self.state.live_app(app).is_some(), Option::is_some)
    }

    fn dependencies(&self, app: &AppId) -> Vec<Spot> {
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
        own.iter().map(|it| self.spot(it)).chain(around.map(|it| self.spot(&it))).collect()
    }
}

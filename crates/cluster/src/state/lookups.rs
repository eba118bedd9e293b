//! What follows from the replicated parts of the state, kept at hand so that nobody has to look through all of it.

use super::State;
use crate::model::{AppId, DeploymentId, Instance, Moment, Node, NodeId, PathId, Version};
use crate::roster::{Kind, Members, Rosters};
use crate::work;
use imbl::OrdSet;
use std::sync::Arc;

/// Few among many, each kind in the order in which it is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookups {
    /// The nodes that are lost.
    pub(crate) lost: OrdSet<NodeId>,
    /// The nodes that rest, or are tried after a rest.
    pub(crate) resting: OrdSet<NodeId>,
    /// The deployments that have ended and are remembered.
    pub(crate) ended: OrdSet<DeploymentId>,
    /// The apps that are remembered only, by the version of the tree that they are not in any more.
    graves: OrdSet<(Version, AppId)>,
    /// The groups that were removed, in the same way. One may have been made again since.
    gone: OrdSet<(Version, PathId)>,
    /// The apps' instances by kind.
    pub(crate) rosters: Rosters,
}

impl Lookups {
    /// What follows from a state.
    pub(crate) fn of(state: &State) -> Self {
        let ended = state.deployments.iter().filter(|(_, it)| !it.is_active()).map(|(id, _)| *id);
        let graves = state.graves.iter().flat_map(|(app, it)| it.keys().map(|removed| (*removed, app.clone())));
        let gone = state.groups.values().filter(|it| it.current().is_none());
        Self {
            lost: state.nodes.values().filter(|it| it.is_lost()).map(|it| it.id().clone()).collect(),
            resting: state.nodes.values().filter(|it| rests(it)).map(|it| it.id().clone()).collect(),
            ended: ended.collect(),
            graves: graves.collect(),
            gone: gone.filter_map(|it| Some((it.versions.get_max()?.0, it.id.clone()))).collect(),
            rosters: Rosters::of(&state.apps, &state.instances, &state.nodes),
        }
    }

    /// A node is there, or has changed.
    pub(crate) fn put_node(&mut self, node: &Node) {
        for (nodes, is_in) in [(&mut self.lost, node.is_lost()), (&mut self.resting, rests(node))] {
            if is_in {
                nodes.insert(node.id().clone());
            } else if !nodes.is_empty() {
                nodes.remove(node.id());
            }
        }
    }

    /// A node is forgotten.
    pub(crate) fn remove_node(&mut self, node: &NodeId) {
        self.lost.remove(node);
        self.resting.remove(node);
    }

    /// An app is remembered only, from this version of the tree on.
    pub(crate) fn buried(&mut self, removed: Version, app: AppId) {
        self.graves.insert((removed, app));
    }

    /// A group is gone from this version of the tree on.
    pub(crate) fn gone(&mut self, removed: Version, group: PathId) {
        self.gone.insert((removed, group));
    }

    /// The apps that no version of the tree from this one on has; they are not told again.
    pub(crate) fn take_graves(&mut self, oldest: Version) -> Vec<AppId> {
        take(&mut self.graves, oldest)
    }

    /// The groups that were removed up to this version; they are not told again.
    pub(crate) fn take_gone(&mut self, oldest: Version) -> Vec<PathId> {
        take(&mut self.gone, oldest)
    }
}

impl State {
    /// The kinds of an app's instances, in a fixed order, each with one for all of them.
    pub(crate) fn kinds<'a>(
        &'a self,
        app: &AppId,
    ) -> impl Iterator<Item = (&'a Kind, &'a Members, &'a Arc<Instance>)> + use<'a> {
        let kinds = self.lookups.rosters.kinds(app).inspect(|_| work::did(1));
        kinds.filter_map(|(kind, members)| Some((kind, members, self.instances.get(members.ids().get_min()?)?)))
    }

    /// Takes note of an instance that came, changed or is to go. It must be among its app's.
    pub(crate) fn enrol(&mut self, before: Option<&Instance>, after: Option<&Instance>) {
        let Some(one) = after.or(before) else { return };
        let Some(app) = self.apps.get(&one.app).filter(|it| it.instances.contains(&one.id)) else { return };
        // A node's record says nothing that matters where none is lost and no attribute is counted.
        let needs_nodes = !self.lookups.lost.is_empty() || app.counted_fields().next().is_some();
        let on = |it: &Instance| self.nodes.get(&it.node).filter(|_| needs_nodes).map(AsRef::as_ref);
        let (before, after) = (before.map(|it| (it, on(it))), after.map(|it| (it, on(it))));
        self.lookups.rosters.change(app, before, after, &self.instances);
        let live_ms = app.aim().map_or(0, |it| self.min_live_ms(&it.spec.policy));
        if let Some(limit) = self.moment.0.checked_sub(live_ms) {
            self.lookups.rosters.forget(&app.id, Moment(limit));
        }
    }

    /// Takes note of a node that is lost, or back, or says something else of itself than before.
    pub(crate) fn enrol_all_on(&mut self, before: Option<&Node>, after: &Node) {
        let is_same = |it: &Node| {
            it.lost_at() == after.lost_at()
                && (Arc::ptr_eq(&it.description, &after.description)
                    || it.description.attributes == after.description.attributes)
        };
        if before.is_some_and(is_same) {
            return;
        }
        work::did(after.instances.len());
        for instance in after.instances.iter().filter_map(|it| self.instances.get(it)) {
            if let Some(app) = self.apps.get(&instance.app).filter(|it| it.instances.contains(&instance.id)) {
                let (before, after) = ((&**instance, before), (&**instance, Some(after)));
                self.lookups.rosters.change(app, Some(before), Some(after), &self.instances);
            }
        }
    }
}

fn rests(node: &Node) -> bool {
    node.trouble.as_ref().is_some_and(|it| it.rests > 0)
}

fn take<T: Ord + Clone>(set: &mut OrdSet<(Version, T)>, oldest: Version) -> Vec<T> {
    let mut taken = Vec::new();
    while set.get_min().is_some_and(|(at, _)| *at <= oldest) {
        taken.extend(set.remove_min().map(|(_, it)| it));
    }
    taken
}

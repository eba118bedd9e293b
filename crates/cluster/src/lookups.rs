//! What follows from the replicated parts of the state, kept at hand so that nobody has to look through all of it.

use crate::model::{AppId, DeploymentId, Node, NodeId, PathId, Version};
use crate::state::State;
use imbl::OrdSet;

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

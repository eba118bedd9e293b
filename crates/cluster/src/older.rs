//! States that older programs wrote: what has come to be told apart since is taken from what was one then.

use crate::model::{Instance, Moment, Node, NodeStatus};
use crate::state::State;
use std::sync::Arc;

impl State {
    /// Brings a state that was just decoded to the present form.
    pub(crate) fn take_over(&mut self) {
        if self.moment == Moment::default() {
            self.begin_own_time();
        }
    }

    /// The cluster's own time goes on from where its one time was: by that, delays and deadlines were counted so far.
    fn begin_own_time(&mut self) {
        self.moment = Moment(self.time.0);
        let versions = self.apps.values().map(|it| it.current.version);
        self.newest_version = versions.chain(self.tree.get_max().copied()).max().unwrap_or_default();
        let instances = self.instances.iter().map(|(id, it)| {
            let (launched, started) = (Moment(it.launched_at.0), it.started_at.map(|it| Moment(it.0)));
            (*id, Arc::new(Instance { launched, started, ..Instance::clone(it) }))
        });
        self.instances = instances.collect();
        let nodes = self.nodes.iter().map(|(id, it)| match it.status {
            NodeStatus::Lost { since, .. } => {
                let status = NodeStatus::Lost { since, moment: Moment(since.0) };
                (id.clone(), Arc::new(Node { status, ..Node::clone(it) }))
            }
            _ => (id.clone(), Arc::clone(it)),
        });
        self.nodes = nodes.collect();
    }
}

//! What is learned of nodes and apps when instances start, and when they cannot be started.

use super::Changing;
use crate::event::Event;
use crate::model::{App, Cause, Condition, Instance, InstanceId, Node, NodeId, Reservation, Trouble, Trust, WITNESSES};
use std::sync::Arc;

impl Changing<'_> {
    /// An instance could not be started.
    pub(super) fn learn_of_failure(&mut self, instance: &Instance, cause: Cause, words: &str) {
        if instance.condition != Condition::Staging {
            return;
        }
        let now = self.now();
        if let Some(app) = self.state.apps.get(&instance.app) {
            let mut app = App::clone(app);
            app.shunned.failed(&instance.node, instance.run, now);
            self.put_app(app);
        }
        self.judge(&instance.node, |trouble| {
            trouble.failed(cause, words, now);
            if trouble.trial == Some(instance.id) {
                trouble.rest(now);
            }
        });
        // There is no data yet that would keep it here. What did not come in time may have run all the same.
        let is_unused = |it: &InstanceId| self.state.reservations.get(it).is_some_and(|it| it.unused);
        if let Some(place) = instance.reservation.filter(|it| cause != Cause::Time && is_unused(it)) {
            self.doom(place);
        }
    }

    /// An instance's container may have run: from now on there may be data in its place.
    pub(super) fn use_place(&mut self, instance: &Instance) {
        if let Some(place) = instance.reservation.and_then(|it| self.state.reservations.get(&it))
            && place.unused
        {
            let used = Reservation { unused: false, ..Reservation::clone(place) };
            self.state.reservations.insert(used.id, Arc::new(used));
        }
    }

    /// An instance has started: its node can do it, and others on which the same could not be started are told of.
    pub(super) fn learn_of_start(&mut self, instance: &Instance) {
        let now = self.now();
        if self.state.nodes.get(&instance.node).is_some_and(|it| it.trouble.is_some()) {
            self.judge(&instance.node, |it| it.started(now));
        }
        self.use_place(instance);
        let n_nodes = self.state.nodes.len();
        let Some(app) = self.state.apps.get(&instance.app).filter(|it| !it.shunned.0.is_empty()) else { return };
        let mut app = App::clone(app);
        let told = app.shunned.started(&instance.node, instance.run, n_nodes);
        self.put_app(app);
        for node in told {
            // Where more than half would rest it is not the nodes.
            let may_rest = (self.state.lookups.resting.len() + 1) * 2 <= n_nodes;
            self.judge(&node, |trouble| {
                trouble.witnesses.insert(instance.app.clone());
                if trouble.rests == 0 && trouble.witnesses.len() >= WITNESSES && may_rest {
                    trouble.rest(now);
                }
            });
        }
    }

    /// An instance is gone: where it was the one that its node was tried with, another one may be.
    pub(super) fn end_trial(&mut self, instance: &Instance) {
        let node = self.state.nodes.get(&instance.node);
        if node.and_then(|it| it.trouble.as_ref()).is_some_and(|it| it.trial == Some(instance.id)) {
            self.judge(&instance.node, |it| it.trial = None);
        }
    }

    /// Changes what is thought of a node.
    fn judge(&mut self, id: &NodeId, change: impl FnOnce(&mut Trouble)) {
        let Some(node) = self.state.nodes.get(id) else { return };
        let mut trouble = node.trouble.as_deref().cloned().unwrap_or_default();
        change(&mut trouble);
        let trouble = Some(trouble).filter(|it| *it != Trouble::default()).map(Arc::new);
        let is_news = node.trust(self.now()) != trouble.as_ref().map_or(Trust::Full, |it| it.trust(self.now()));
        let node = Node { trouble, ..Node::clone(node) };
        self.put_node(node.clone());
        if is_news {
            self.event(Event::NodeJudged { node: Arc::new(node) });
        }
    }
}

//! Whom what happened concerns.

use super::{Effect, Phase, Sessions};
use cluster::{AppId, Event, Instance, InstanceId, NodeId, State};
use std::collections::BTreeSet;

/// What may be news for an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Anything: all is to be looked at.
    pub all: bool,
    /// These instances.
    pub instances: BTreeSet<InstanceId>,
    /// Which reservations are to be destroyed.
    pub reservations: bool,
    /// Which containers that nobody speaks of are to be removed.
    pub orphans: bool,
}

impl News {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Sessions {
    /// Takes note of what happened. `state` is the state after it.
    pub fn note(&mut self, state: &State, event: &Event) {
        match event {
            Event::InstanceLaunched { instance }
            | Event::InstanceStopping { instance }
            | Event::InstanceTold { instance }
            | Event::InstanceRemoved { instance } => self.changed(instance),
            // Running instances' health checks and labels follow the version that they are brought to. Of another
            // number of instances no agent need know.
            Event::AppPut { version, created: false } if version.configured == version.version => {
                self.redefined(state, &version.spec.id);
            }
            Event::DeploymentStepped { deployment } | Event::DeploymentEnded { deployment } => {
                for app in deployment.changes.keys() {
                    self.redefined(state, app);
                }
            }
            Event::ReservationChanged { reservation } => {
                self.tell(&reservation.node, |news| news.reservations = true);
            }
            Event::OrphansChanged { node } => self.tell(node, |news| news.orphans = true),
            Event::NodeChanged { node } if node.is_lost() => self.given_up(node.id()),
            Event::NodeRemoved { node } => self.given_up(node),
            _ => {}
        }
    }

    /// Everything may have changed: what happened was not heard of.
    pub fn note_gap(&mut self) {
        for (link, session) in &mut self.links {
            if matches!(session.phase, Phase::Open { .. }) {
                session.news.all = true;
                self.effects.push(Effect::Wake(*link));
            }
        }
    }

    fn redefined(&mut self, state: &State, app: &AppId) {
        let Some(app) = state.app(app) else { return };
        state.instances_of(app).for_each(|it| self.changed(it));
    }

    fn changed(&mut self, instance: &Instance) {
        self.tell(&instance.node, |news| {
            news.instances.insert(instance.id);
        });
    }

    fn tell(&mut self, node: &NodeId, tell: impl FnOnce(&mut News)) {
        let Some(link) = self.nodes.get(node).and_then(|it| it.link) else { return };
        let Some(session) = self.links.get_mut(&link) else { return };
        let was_empty = session.news.is_empty();
        tell(&mut session.news);
        if was_empty {
            self.effects.push(Effect::Wake(link));
        }
    }

    /// A node was given up, or forgotten: it must introduce itself again.
    fn given_up(&mut self, node: &NodeId) {
        if let Some(link) = self.nodes.remove(node).and_then(|it| it.link) {
            self.end(link, None);
        }
    }
}

//! Uniqueness: one container per instance, one instance per id, and no id is ever used again.

use super::{Check, Did, Fact, home};
use cluster::{DeploymentId, Event, InstanceId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Everything there ever was.
#[derive(Default)]
pub(super) struct Uniqueness {
    /// Where each instance was placed.
    launched: BTreeMap<InstanceId, NodeId>,
    removed: BTreeSet<InstanceId>,
    deployments: BTreeSet<DeploymentId>,
}

impl Check for Uniqueness {
    fn name(&self) -> &'static str {
        "uniqueness"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { first: true, taken, .. } => {
                for event in taken.result.iter().flat_map(|it| &it.events) {
                    match event {
                        Event::InstanceLaunched { instance }
                            if self.launched.insert(instance.id, instance.node.clone()).is_some() =>
                        {
                            return Err(format!("instance {} was launched twice", instance.id));
                        }
                        Event::InstanceRemoved { instance } if !self.removed.insert(instance.id) => {
                            return Err(format!("instance {} was removed twice", instance.id));
                        }
                        Event::DeploymentStarted { deployment } if !self.deployments.insert(deployment.id) => {
                            return Err(format!("deployment {} was started twice", deployment.id));
                        }
                        _ => {}
                    }
                }
                match taken.after.instances().find(|it| self.removed.contains(&it.id)) {
                    Some(it) => Err(format!("instance {} is back after its removal", it.id)),
                    None => Ok(()),
                }
            }
            Fact::Docker { node, did: Did::Created(name, id) | Did::Started(name, id), engine } => {
                let others: Vec<_> = engine.containers.iter().filter(|it| it.1.instance == *id).collect();
                if others.len() > 1 {
                    return Err(format!("{node}: {} containers for instance {id}", others.len()));
                }
                match self.launched.get(id) {
                    Some(at) if home(at) == home(node) => Ok(()),
                    at => Err(format!("{node}: {name} for instance {id}, which was placed on {at:?}")),
                }
            }
            _ => Ok(()),
        }
    }
}

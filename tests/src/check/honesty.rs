//! Honesty: a running container is ended only where the cluster said so, and called removed only when it is gone.

use super::{Check, Did, Fact};
use cluster::agent::Seen;
use cluster::{Command, Event, InstanceId};
use std::collections::{BTreeMap, BTreeSet};

/// All orders, and all containers.
#[derive(Default)]
pub(super) struct Honesty {
    /// Instances that some entry told to end.
    ordered: BTreeSet<InstanceId>,
    /// Containers that exist, by instance.
    there: BTreeMap<InstanceId, BTreeSet<String>>,
}

impl Check for Honesty {
    fn name(&self) -> &'static str {
        "honesty"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { first: true, taken, .. } => {
                if let (Command::RemoveOrphans { instances }, Ok(_)) = (&taken.entry.command, &taken.result) {
                    self.ordered.extend(instances);
                }
                for event in taken.result.iter().flat_map(|it| &it.events) {
                    match event {
                        Event::InstanceStopping { instance } => drop(self.ordered.insert(instance.id)),
                        Event::InstanceRemoved { instance } => self.is_gone(instance.id, &taken.entry.command)?,
                        _ => {}
                    }
                }
            }
            Fact::Docker { node, did, engine } => match did {
                Did::Stopped(name, id) if !self.ordered.contains(id) => {
                    return Err(format!("{node}: {name} was stopped, and nobody had ordered it"));
                }
                Did::Created(name, id) => drop(self.there.entry(*id).or_default().insert((*name).to_owned())),
                Did::Removed(name, id) => drop(self.there.entry(*id).or_default().remove(*name)),
                _ => {
                    // Somebody else may have removed containers meanwhile.
                    let _ = engine;
                }
            },
            _ => {}
        }
        Ok(())
    }
}

impl Honesty {
    fn is_gone(&self, id: InstanceId, command: &Command) -> Result<(), String> {
        let said = matches!(command, Command::Report { observations, .. }
            if observations.iter().any(|it| it.instance == id && it.seen == Seen::Removed));
        match self.there.get(&id).and_then(|it| it.first()) {
            Some(name) if said => Err(format!("instance {id} was called removed while its container {name} exists")),
            _ => Ok(()),
        }
    }
}

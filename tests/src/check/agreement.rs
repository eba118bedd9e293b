//! Agreement: members that have applied as much have the same state, and applied the same entries.

use super::{Check, Fact};
use crate::sim::trace;
use cluster::State;
use std::collections::BTreeMap;

/// The first member to get somewhere says what the others must come to.
#[derive(Default)]
pub(super) struct Agreement {
    entries: BTreeMap<u64, String>,
    states: BTreeMap<u64, u64>,
}

impl Agreement {
    fn compare(&mut self, member: u64, state: &State) -> Result<(), String> {
        let hash = trace::hash(&rmp_serde::to_vec_named(state).unwrap_or_default());
        let index = state.index();
        if *self.states.entry(index).or_insert(hash) == hash {
            Ok(())
        } else {
            Err(format!("member {member} has another state at {index} than the first that came there"))
        }
    }
}

impl Check for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { member, taken, .. } => {
                let entry = format!("{:?}", taken.entry);
                let known = self.entries.entry(taken.entry.index).or_insert_with(|| entry.clone());
                if *known != entry {
                    let index = taken.entry.index;
                    return Err(format!("member {member} applied at {index}: {entry}; another one: {known}"));
                }
                self.compare(*member, &taken.after)
            }
            Fact::Replaced { member, state } | Fact::Started { member, state } if state.index() > 0 => {
                self.compare(*member, state)
            }
            _ => Ok(()),
        }
    }
}

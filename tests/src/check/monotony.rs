//! Monotony: index, time, goals and conditions never go back, and no agent obeys what is older than what it obeyed.

use super::{Check, Fact};
use cluster::{Condition, Goal, NodeId, State, Timestamp};
use std::collections::BTreeMap;

/// How far everything has come.
#[derive(Default)]
pub(super) struct Monotony {
    members: BTreeMap<u64, u64>,
    time: Timestamp,
    generations: BTreeMap<NodeId, u64>,
}

impl Check for Monotony {
    fn name(&self) -> &'static str {
        "monotony"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Started { member, state } => {
                self.at(*member, state);
                Ok(())
            }
            Fact::Applied { member, first, taken } => {
                self.forward(*member, taken.entry.index)?;
                if !first {
                    return Ok(());
                }
                if taken.after.time() < self.time {
                    return Err(format!("the time went back from {:?} to {:?}", self.time, taken.after.time()));
                }
                self.time = taken.after.time();
                onward(&taken.before, &taken.after)
            }
            // Entries without a command, such as a leader's first, leave no trace in the state.
            Fact::Replaced { member, state } => {
                self.forward(*member, state.index() + 1).map(|()| self.at(*member, state))
            }
            Fact::Obeyed { node, generation } => {
                let newest = self.generations.entry((*node).clone()).or_default();
                if generation < newest {
                    return Err(format!("{node} obeyed generation {generation} after {newest}"));
                }
                *newest = *generation;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Monotony {
    fn at(&mut self, member: u64, state: &State) {
        self.members.insert(member, state.index());
    }

    fn forward(&mut self, member: u64, index: u64) -> Result<(), String> {
        match self.members.insert(member, index) {
            Some(before) if before >= index => Err(format!("member {member} went from {before} to {index}")),
            _ => Ok(()),
        }
    }
}

fn onward(before: &State, after: &State) -> Result<(), String> {
    for new in after.instances() {
        let Some(old) = before.instance(new.id) else { continue };
        if std::sync::Arc::ptr_eq(old, new) {
            continue;
        }
        let goals = match (old.goal, new.goal) {
            (Goal::Stop(a), Goal::Stop(b)) => a == b,
            (Goal::Stop(_), Goal::Run) => false,
            (Goal::Run, _) => true,
        };
        let far = |it: &Condition| match it {
            Condition::Staging => 0,
            Condition::Running => 1,
            Condition::Ended(_) => 2,
        };
        if !goals || far(&old.condition) > far(&new.condition) {
            return Err(format!(
                "instance {} went from {:?} {:?} to {:?} {:?}",
                new.id, old.goal, old.condition, new.goal, new.condition
            ));
        }
    }
    Ok(())
}

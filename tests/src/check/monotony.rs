//! Monotony: index, the cluster's own time, versions, goals and conditions never go back, that time runs no faster than
//! the world does, the calendar is right when clocks are, and no agent obeys what is older than what it obeyed.

use super::{Check, Fact, home};
use crate::sim::machine::Taken;
use cluster::{Condition, Event, Goal, Moment, State, Version};
use std::collections::BTreeMap;

/// The calendar is off by no more: what clocks differ by, and the time from a stamp to its entry's turn.
const CALENDAR_MS: u64 = 60_000;

/// How far everything has come.
#[derive(Default)]
pub(super) struct Monotony {
    members: BTreeMap<u64, u64>,
    moment: Moment,
    version: Version,
    generations: BTreeMap<String, u64>,
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
            Fact::Applied { member, first, taken, lived_ms, wall } => {
                self.forward(*member, taken.entry.index)?;
                if !first {
                    return Ok(());
                }
                self.time(taken, *lived_ms, *wall)?;
                onward(&taken.before, &taken.after)
            }
            // Entries without a command, such as a leader's first, leave no trace in the state.
            Fact::Replaced { member, state } => {
                self.forward(*member, state.index() + 1).map(|()| self.at(*member, state))
            }
            Fact::Obeyed { node, generation } => {
                let newest = self.generations.entry(home(node).to_owned()).or_default();
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

    fn time(&mut self, taken: &Taken, lived_ms: u64, wall: Option<u64>) -> Result<(), String> {
        let moment = taken.after.moment();
        if moment < self.moment {
            return Err(format!("the cluster's time went back from {:?} to {moment:?}", self.moment));
        }
        // It begins at 1.
        if moment > Moment(lived_ms + 1) {
            return Err(format!("the cluster's time is {moment:?} after {lived_ms} ms"));
        }
        self.moment = moment;
        if let Some(wall) = wall.filter(|it| it.abs_diff(taken.entry.time.0) > CALENDAR_MS) {
            return Err(format!("the calendar says {:?} when clocks show {wall}", taken.entry.time));
        }
        for event in taken.result.iter().flat_map(|it| &it.events) {
            let Event::DeploymentStarted { deployment } = event else { continue };
            if deployment.version <= self.version {
                return Err(format!("version {:?} was given after {:?}", deployment.version, self.version));
            }
            self.version = deployment.version;
        }
        Ok(())
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

//! Durability: what a client was told is done stays done, once, whatever crashes; what it was told is not done is not.

use super::{Check, Fact, Told};
use cluster::{AppId, Applied, Command, Event, Expect, Outcome, Principal, State, Version};
use std::collections::{BTreeMap, BTreeSet};

/// The log as the first member applied it, and what clients were told of it.
#[derive(Default)]
pub(super) struct Durability {
    /// Where each question was applied.
    applied: BTreeMap<String, u64>,
    /// Every answer that promised something: index and name.
    promised: BTreeMap<u64, String>,
    denied: BTreeSet<String>,
    /// The last accepted change of each app, with what it made of it: a version, or nothing.
    wanted: BTreeMap<AppId, (u64, Option<Version>)>,
}

impl Durability {
    /// Every promised change is in the state.
    fn holds(&self, member: u64, state: &State) -> Result<(), String> {
        for (app, (index, version)) in &self.wanted {
            if *index > state.index() {
                continue;
            }
            let there = state.live_app(app).map(|it| it.current.version);
            if there != *version {
                return Err(format!(
                    "member {member} at {}: {app} is at {there:?}, its last change (at {index}) made it {version:?}",
                    state.index()
                ));
            }
        }
        Ok(())
    }
}

impl Check for Durability {
    fn name(&self) -> &'static str {
        "durability"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { first: true, taken, .. } => {
                let index = taken.entry.index;
                let name = match &taken.entry.principal {
                    Principal::User { address } => Some(address),
                    _ => None,
                };
                if let Some(promise) = self.promised.get(&index)
                    && name != Some(promise)
                {
                    return Err(format!("at {index} is {:?}, promised was {promise}", taken.entry.principal));
                }
                if let Some(name) = name {
                    if self.denied.contains(name) {
                        return Err(format!("{name} was applied at {index}; its client was told that it was not"));
                    }
                    if let Some(before) = self.applied.insert(name.clone(), index) {
                        return Err(format!("{name} was applied twice: at {before} and at {index}"));
                    }
                }
                let changed = match &taken.entry.command {
                    Command::PutApps { apps, .. } => apps.iter().map(|it| &it.0.id).collect(),
                    Command::ScaleApps { apps, .. } => apps.iter().map(|it| &it.app).collect(),
                    Command::RemoveApp { app, .. } | Command::RestartApp { app, .. } => vec![app],
                    // These change apps that they do not name.
                    Command::RollBack { .. }
                    | Command::Cancel { .. }
                    | Command::Kill { .. }
                    | Command::PutGroup { .. }
                    | Command::ScaleGroup { .. }
                    | Command::RestoreGroup { .. }
                    | Command::RemoveGroup { .. } => taken.after.apps().map(|it| &it.id).collect(),
                    // A deployment that failed may be rolled back.
                    Command::Execute { .. } if taken.result.as_ref().is_ok_and(rolls_back) => {
                        taken.after.apps().map(|it| &it.id).collect()
                    }
                    _ => Vec::new(),
                };
                for app in changed.into_iter().filter(|_| taken.result.is_ok()) {
                    let version = taken.after.live_app(app).map(|it| it.current.version);
                    self.wanted.insert(app.clone(), (index, version));
                }
                if let (Command::PutApps { apps, .. }, Ok(_)) = (&taken.entry.command, &taken.result) {
                    whole(apps, &taken.after)?;
                }
                self.holds(0, &taken.after)
            }
            Fact::Started { member, state } | Fact::Replaced { member, state } => self.holds(*member, state),
            Fact::Answered { name, answer: Told::Done(index, _) } => {
                match self.applied.get(*name) {
                    Some(at) if at == index => {}
                    at => return Err(format!("{name} was acknowledged at {index}, applied at {at:?}")),
                }
                self.promised.insert(*index, (*name).to_owned());
                Ok(())
            }
            Fact::Answered { name, answer: Told::NotDone } => {
                if let Some(index) = self.applied.get(*name) {
                    return Err(format!("{name} was applied at {index}; its client was told that it was not"));
                }
                self.denied.insert((*name).to_owned());
                Ok(())
            }
            Fact::Calm { states, .. } => {
                let newest = self.promised.last_key_value().map_or(0, |it| *it.0);
                for (member, state) in *states {
                    self.holds(*member, state)?;
                    if state.index() < newest {
                        return Err(format!("member {member} is at {}, acknowledged was {newest}", state.index()));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What was accepted is there as a whole.
fn whole(apps: &[(cluster::AppSpec, Expect)], after: &State) -> Result<(), String> {
    for (spec, _) in apps {
        let there = after.live_app(&spec.id).map(|it| &it.current.spec);
        let same = there.is_some_and(|it| {
            it.instances == spec.instances && it.run.image == spec.run.image && it.policy == spec.policy
        });
        if !same {
            return Err(format!("{} was accepted and is not as asked for: {there:?}", spec.id));
        }
    }
    Ok(())
}

fn rolls_back(applied: &Applied) -> bool {
    applied.events.iter().any(|it| match it {
        Event::DeploymentEnded { deployment } => {
            matches!(deployment.outcome, Some(Outcome::Failed { rolled_back_by: Some(_), .. }))
        }
        _ => false,
    })
}

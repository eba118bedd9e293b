//! The cluster as a replicated machine, with every applied entry told to the checkers.

use crate::mutants;
use cluster::{Applied, Command, Entry, Moment, Principal, Rejected, State};
use scheduler::machine::{Machine, Outcome, Payload, Stamp, Unreadable};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The state of one member.
#[derive(Clone, Debug)]
pub struct Replica(pub State);

/// One entry as one member applied it.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What was in the log.
    pub entry: Entry,
    /// What came of it.
    pub result: Result<Applied, Rejected>,
    /// The state before it.
    pub before: State,
    /// The state after it.
    pub after: State,
}

/// A command in the scheduler's form, that may be proposed under any leader: what a user's command is, and what those of
/// agents and leaders must not be.
pub fn for_any_term(principal: &Principal, command: &Command) -> Payload {
    let written = Written { principal: principal.clone(), command: command.clone() };
    let payload = Payload::new(|bytes| rmp_serde::encode::write_named(bytes, &written));
    payload.expect("a command can be encoded")
}

/// A command as the scheduler writes it.
#[derive(Deserialize, Serialize)]
struct Written {
    principal: Principal,
    command: Command,
}

impl Machine for Replica {
    type Reply = Result<Applied, Rejected>;
    type Event = Arc<Taken>;
    type View = Arc<State>;

    fn apply(&mut self, index: u64, stamp: Stamp, command: &[u8]) -> Result<Outcome<Self>, Unreadable> {
        let read = rmp_serde::from_slice(command).map_err(|it| Unreadable { reason: it.to_string() });
        let Written { principal, command: content } = read?;
        let Stamp { time, moment } = stamp;
        let entry = Entry { index, time, moment, principal, command: content };
        let before = self.0.clone();
        let result = if mutants::is_any_planted() {
            mutants::apply(&mut self.0, entry.clone())
        } else {
            // The real machine, whole.
            let Outcome { reply, event } = <State as Machine>::apply(&mut self.0, index, stamp, command)?;
            let events = event.map_or_else(Vec::new, |it| it.events.clone());
            reply.map(|it| Applied { events, ..it })
        };
        let taken = Taken { entry, result: result.clone(), before, after: self.0.clone() };
        Ok(Outcome { reply: result, event: Some(Arc::new(taken)) })
    }

    fn check(command: &[u8]) -> Result<(), Unreadable> {
        <State as Machine>::check(command)
    }

    fn moment(&self) -> Moment {
        self.0.moment()
    }

    fn view(&self) -> Self::View {
        Machine::view(&self.0)
    }

    fn save(view: &Self::View) -> Vec<u8> {
        <State as Machine>::save(view)
    }

    fn restore(data: &[u8]) -> Result<Self, Unreadable> {
        <State as Machine>::restore(data).map(Self)
    }
}

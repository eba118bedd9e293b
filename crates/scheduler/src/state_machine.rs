//! `cluster::State` as what is replicated.

use crate::machine::{Machine, Outcome, Payload, Stamp, Unreadable};
use api::control::Happened;
use cluster::{Applied, Command, Entry, Event, Instance, Moment, Node, Principal, Rejected, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The address of a user is an IP address and a port, or what a proxy said of it.
const ADDRESS_BYTES_MAX: usize = 256;

/// A command as it stands in the log, field-named: fields may be added, each with a default.
#[derive(Serialize)]
struct Write<'a> {
    principal: &'a Principal,
    command: &'a Command,
}

/// The same, to read.
#[derive(Deserialize)]
struct Read {
    principal: Principal,
    command: Command,
}

/// Writes a command in the form in which [`State`] is replicated.
///
/// # Panics
/// Never: commands have no content that the encoding refuses.
pub fn payload(principal: &Principal, command: &Command) -> Payload {
    let payload = Payload::new(|bytes| rmp_serde::encode::write_named(bytes, &Write { principal, command }))
        .expect("a command can be encoded");
    match principal {
        Principal::User { .. } => payload,
        // A plan of a leader that was deposed, or a report that a newer one has overtaken, must not come late.
        Principal::Leader | Principal::Agent(_) => payload.bound(),
    }
}

impl Machine for State {
    type Reply = Result<Applied, Rejected>;
    type Event = Arc<Happened>;
    type View = Arc<State>;

    fn apply(&mut self, index: u64, stamp: Stamp, command: &[u8]) -> Result<Outcome<Self>, Unreadable> {
        let Read { principal, command } = rmp_serde::from_slice(command).map_err(|it| unreadable(&it))?;
        let Stamp { time, moment } = stamp;
        let entry = Entry { index, time, moment, principal: principal.clone(), command };
        let mut reply = State::apply(self, entry);
        let events = match &mut reply {
            // A user's answer may show what happened; nobody looks at it in the answers to plans and reports.
            Ok(applied) if matches!(principal, Principal::User { .. }) => applied.events.clone(),
            Ok(applied) => std::mem::take(&mut applied.events),
            Err(_) => Vec::new(),
        };
        let event = (!events.is_empty()).then(|| Arc::new(Happened { index, time, principal, events }));
        Ok(Outcome { reply, event })
    }

    fn check(command: &[u8]) -> Result<(), Unreadable> {
        let Read { principal, command } = rmp_serde::from_slice(command).map_err(|it| unreadable(&it))?;
        // Leaders and agents ask the member that leads, or nobody.
        let Principal::User { address } = principal else { return Err(not_forwarded()) };
        let printable = address.len() <= ADDRESS_BYTES_MAX && !address.chars().any(char::is_control);
        if printable && command.is_a_users() { Ok(()) } else { Err(not_forwarded()) }
    }

    fn moment(&self) -> Moment {
        State::moment(self)
    }

    fn weight(event: &Arc<Happened>) -> usize {
        event.events.iter().map(weight).sum::<usize>() + EVENT_BYTES
    }

    fn view(&self) -> Arc<State> {
        Arc::new(self.clone())
    }

    fn save(view: &Arc<State>) -> Vec<u8> {
        rmp_serde::to_vec_named(&**view).expect("a state can be encoded")
    }

    fn restore(data: &[u8]) -> Result<Self, Unreadable> {
        rmp_serde::from_slice::<State>(data).map(State::indexed).map_err(|it| unreadable(&it))
    }
}

fn not_forwarded() -> Unreadable {
    Unreadable { reason: "it is none that a member forwards".to_owned() }
}

/// What any event takes: itself, and what is small behind it.
const EVENT_BYTES: usize = 256;

/// What a record of a deployment shares with no other one, besides its changes.
const DEPLOYMENT_BYTES: usize = 8 * 1024;

/// What a change takes in a deployment's first record.
const CHANGE_BYTES: usize = 192;

/// About how many bytes an event keeps alive. Definitions count as what they take in the log, once: a version that has
/// only another number of instances shares the one before; later records of a deployment share most changes with the
/// first one.
fn weight(event: &Event) -> usize {
    let texts = |it: &Instance| {
        let causes = it.checks.iter().filter_map(|it| it.last_failure_cause.as_ref()).map(String::len);
        it.message.len() + causes.sum::<usize>()
    };
    EVENT_BYTES
        + match event {
            Event::AppPut { version, .. } if version.configured != version.version => 0,
            Event::AppPut { version, .. } => {
                let mut bytes = Counted(0);
                rmp_serde::encode::write(&mut bytes, &version.spec).expect("a definition can be encoded");
                bytes.0
            }
            Event::DeploymentStarted { deployment } => DEPLOYMENT_BYTES + deployment.changes.len() * CHANGE_BYTES,
            Event::DeploymentStepped { .. } | Event::DeploymentSettled { .. } | Event::DeploymentEnded { .. } => {
                DEPLOYMENT_BYTES
            }
            Event::InstanceLaunched { instance }
            | Event::InstanceStopping { instance }
            | Event::InstanceChanged { instance }
            | Event::HealthChanged { instance, .. }
            | Event::InstanceReady { instance }
            | Event::InstanceTold { instance }
            | Event::InstanceRemoved { instance } => size_of::<Instance>() + texts(instance),
            Event::NodeChanged { node } | Event::NodeJudged { node } => {
                size_of::<Node>() + node.description.attributes.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>()
            }
            Event::AppRemoved { .. }
            | Event::GroupChanged { .. }
            | Event::ReservationChanged { .. }
            | Event::OrphansChanged { .. }
            | Event::BackoffReset { .. }
            | Event::NodeRemoved { .. } => 0,
        }
}

/// Counts what is written to it.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn unreadable(error: &rmp_serde::decode::Error) -> Unreadable {
    Unreadable { reason: error.to_string() }
}

#[cfg(test)]
mod tests;

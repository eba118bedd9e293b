//! What Ekiden promises, one file each, judged from outside.
//!
//! A checker sees [`Fact`]s and keeps its own small model; it uses none of the functions it judges. It is believed
//! because [`crate::mutants`] plants a fault for each and the checker finds it.

mod agreement;
mod capacity;
mod contact;
mod durability;
mod evidence;
mod freshness;
mod honesty;
mod identity;
mod monotony;
mod order;
mod pace;
mod progress;
mod residents;
mod uniqueness;

use crate::sim::docker::{Engine, Trouble};
use crate::sim::machine::Taken;
use cluster::{
    App, AppSpec, AppVersion, Applied, Command, Instance, InstanceId, Moment, NodeId, Rejected, State, Volume,
};
use std::fmt;

/// Something that happened in a world.
#[derive(Debug)]
pub enum Fact<'a> {
    /// A member started with what its disk held.
    Started {
        /// Which one.
        member: u64,
        /// Its state, as of its last snapshot.
        state: &'a State,
    },
    /// A member applied an entry.
    Applied {
        /// Which one.
        member: u64,
        /// Whether it is the first one to do so.
        first: bool,
        /// The entry and both states.
        taken: &'a Taken,
        /// How long the world has lived.
        lived_ms: u64,
        /// What every wall clock shows about now, where none was set wrongly for a while.
        wall: Option<u64>,
    },
    /// A member's state was replaced by a snapshot of the leader's.
    Replaced {
        /// Which one.
        member: u64,
        /// Its new state.
        state: &'a State,
    },
    /// A client asks for something.
    Asked {
        /// A name that nobody else has.
        name: &'a str,
        /// What it asks for.
        command: &'a Command,
    },
    /// A client got its answer.
    Answered {
        /// The name of the question.
        name: &'a str,
        /// The answer.
        answer: &'a Told,
    },
    /// A user read.
    Read {
        /// From which member.
        member: u64,
        /// The newest entry that somebody had heard was done when the question was asked.
        known: u64,
        /// The newest entry that the answer contains.
        seen: u64,
    },
    /// An agent took new assignments.
    Obeyed {
        /// Where.
        node: &'a NodeId,
        /// How new they are.
        generation: u64,
    },
    /// A node was given up.
    GivenUp {
        /// Which one.
        node: &'a NodeId,
        /// For how long its agent could have reached the leader, directly or through another member.
        reachable_ms: u64,
        /// So long it may take to be heard of.
        allowed_ms: u64,
    },
    /// An agent began to live by a copy of another one's directory.
    Copied {
        /// The machine whose directory it was.
        original: usize,
        /// The machine that has the copy.
        copy: usize,
    },
    /// The agent on the copy is about to be stopped.
    CopyStops {
        /// The member that serves the original now, if one does, and its term.
        served_by: Option<(u64, u64)>,
        /// When.
        at: u64,
    },
    /// A leader took an agent in, or turned it away.
    Verdict {
        /// Whose agent.
        machine: usize,
        /// Which member, and in which term.
        by: (u64, u64),
        /// Over which connection; they are counted.
        link: u64,
        /// The newest connection that anybody has made.
        next_link: u64,
        /// When.
        at: u64,
        /// Why it was turned away.
        refused: Option<&'a str>,
    },
    /// Somebody sent a message to an agent.
    Framed {
        /// Its length.
        bytes: usize,
        /// The longest that the other side takes.
        bytes_max: usize,
        /// What it was.
        what: &'a str,
    },
    /// A container engine did as its agent asked, or refused.
    Docker {
        /// Where.
        node: &'a NodeId,
        /// What.
        did: Did<'a>,
        /// The engine after it.
        engine: &'a Engine,
    },
    /// Faults and requests ended long ago. Seen again and again until all is well or time is up.
    Calm {
        /// How long ago.
        since_ms: u64,
        /// Every member's state.
        states: &'a [(u64, State)],
        /// The engine of every node that is not gone for good.
        engines: &'a [(NodeId, Engine)],
        /// The cluster's own time.
        now: Moment,
    },
}

/// The machine that a node is: it is called `n0` at first, and `n0-1`, `n0-2` after that.
pub(crate) fn home(node: &NodeId) -> &str {
    node.as_str().split('-').next().unwrap_or_default()
}

/// What a client was told.
#[derive(Clone, Debug)]
pub enum Told {
    /// It is in the log at this index.
    Done(u64, Result<Applied, Rejected>),
    /// Nothing was changed.
    NotDone,
    /// Nobody knows.
    Unknown,
}

/// What an engine did, to a container of this name, made for this instance.
#[derive(Clone, Copy, Debug)]
pub enum Did<'a> {
    /// Made it.
    Created(&'a str, InstanceId),
    /// Started it.
    Started(&'a str, InstanceId),
    /// Ended it; it ran.
    Stopped(&'a str, InstanceId),
    /// What it left behind is safe: its agent has read and kept it.
    Kept(&'a str, InstanceId),
    /// Removed it.
    Removed(&'a str, InstanceId),
    /// Refused to start it.
    Refused(&'a str, InstanceId, &'a Trouble),
    /// Made the volume of this reservation: its agent did.
    MadeVolume(InstanceId),
    /// Destroyed the volume of this reservation: its agent did.
    DestroyedVolume(InstanceId),
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub promise: &'static str,
    /// How.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.how)
    }
}

/// One promise.
trait Check {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Looks at a fact; an error says how the promise was broken.
    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String>;
}

/// All promises, and what they know of one world.
pub struct Checks {
    checks: Vec<Box<dyn Check>>,
    violation: Option<Violation>,
}

impl Default for Checks {
    fn default() -> Self {
        Self::new()
    }
}

impl Checks {
    /// All of them, at the start of a world.
    pub fn new() -> Self {
        let checks: Vec<Box<dyn Check>> = vec![
            Box::<agreement::Agreement>::default(),
            Box::<durability::Durability>::default(),
            Box::<freshness::Freshness>::default(),
            Box::<uniqueness::Uniqueness>::default(),
            Box::<contact::Contact>::default(),
            Box::<capacity::Capacity>::default(),
            Box::<order::Order>::default(),
            Box::<pace::Pace>::default(),
            Box::<monotony::Monotony>::default(),
            Box::<identity::Identity>::default(),
            Box::<honesty::Honesty>::default(),
            Box::<residents::Residents>::default(),
            Box::<evidence::Evidence>::default(),
            Box::<progress::Progress>::default(),
        ];
        Self { checks, violation: None }
    }

    /// Shows a fact to all.
    pub fn see(&mut self, fact: &Fact<'_>) {
        for check in &mut self.checks {
            if self.violation.is_none()
                && let Err(how) = check.see(fact)
            {
                self.violation = Some(Violation { promise: check.name(), how });
            }
        }
    }

    /// Shows that all is calm; whether every promise that needs time is kept by now.
    pub fn at_rest(&mut self, fact: &Fact<'_>) -> Result<(), Violation> {
        for check in &mut self.checks {
            check.see(fact).map_err(|how| Violation { promise: check.name(), how })?;
        }
        Ok(())
    }

    /// Takes note of a fault that no checker can see: a part of the system gave up.
    pub fn fail(&mut self, promise: &'static str, how: String) {
        self.violation.get_or_insert(Violation { promise, how });
    }

    /// The first broken promise.
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }
}

/// What the app's instances are brought to: what it was, as long as its deployment has not come to it.
fn aim(app: &App) -> Option<&AppVersion> {
    match &app.held {
        Some(held) => app.versions.get(&held.at?).map(AsRef::as_ref),
        None => Some(&app.current),
    }
}

/// Whether instances of this definition have data that stays on their nodes.
fn is_resident(spec: &AppSpec) -> bool {
    spec.run.volumes.iter().any(|it| matches!(it, Volume::Persistent(_)))
}

/// Whether an instance is asked for its health: by what it is judged by, or else by the definition that it runs, not by
/// one that it does not know.
fn is_checked(app: &App, instance: &Instance) -> bool {
    if let Some(judge) = app.versions.get(&instance.judged_by).filter(|it| it.run == instance.run) {
        return !judge.spec.policy.health_checks.is_empty();
    }
    let of_its_content = app.versions.values().rev().find(|it| it.run == instance.run);
    let aim = aim(app).filter(|it| it.run == instance.run);
    aim.or(of_its_content.map(AsRef::as_ref)).is_some_and(|it| !it.spec.policy.health_checks.is_empty())
}

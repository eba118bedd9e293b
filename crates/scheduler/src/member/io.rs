//! What goes into a member and what comes out.

use raft::eraftpb::Message;

use super::{Chore, Reading};
use crate::log::{Frame, SnapshotFile};
use crate::machine::{Machine, Payload};

/// Names a question, so that its answer finds the one who asked. Chosen by the caller, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What can happen to a member.
#[derive(Debug)]
pub enum Input {
    /// One tick of time has passed; [`Config`](super::Config) says how many make an election.
    Tick,
    /// Another member sent this. It must be known that it did.
    Peer(Message),
    /// This member says what its clocks show.
    Clock(u64, Reading),
    /// Somebody asks for a change. Answered once, in [`Output::answers`].
    Submit(Ticket, Payload),
    /// Somebody asks to read what is true now. Answered once, in [`Output::reads`].
    Read(Ticket),
    /// Stand for election without waiting.
    Campaign,
    /// Hand leadership over to this member.
    Transfer(u64),
    /// Hand leadership over to whoever is best prepared, if this member leads.
    StepDown,
    /// Nothing sent to this member arrives at the moment.
    Unreachable(u64),
    /// This member's connection ended: it is probably gone. A hint, which may be wrong.
    Closed(u64),
    /// The snapshot sent to this member arrived, or did not.
    SnapshotSent(u64, bool),
    /// A [`Chore`] is done; absent when it failed.
    Snapshotted(Option<SnapshotFile>),
}

/// What to do first, in this order.
#[derive(Debug, Default)]
pub struct Ready {
    /// To be given to [`Member::persisted`](super::Member::persisted).
    pub number: u64,
    /// May be sent at once, before anything is written.
    pub send: Vec<Message>,
    /// A snapshot from the leader, to be made durable before the frame.
    pub install: Option<SnapshotFile>,
    /// To be made durable. Empty frames cost nothing.
    pub frame: Frame,
}

/// Who asked, and what came of it.
pub type Answered<M> = (Ticket, Result<Answer<<M as Machine>::Reply>, Refused>);

/// What to do after that.
pub struct Output<M: Machine> {
    /// Who gets which answer.
    pub answers: Vec<Answered<M>>,
    /// Who may read the view now, or never.
    pub reads: Vec<(Ticket, Result<(), Refused>)>,
    /// What happened, each with the index of its entry.
    pub events: Vec<(u64, M::Event)>,
    /// The log is replaced up to this index: what happened before is not told.
    pub replaced: Option<u64>,
    /// The state, where it changed and somebody may look.
    pub view: Option<M::View>,
    /// Who leads, where that changed.
    pub status: Option<Status>,
    /// A snapshot to be made and written on another thread.
    pub chore: Option<Chore<M>>,
    /// The durable log may forget everything up to this index.
    pub compact: Option<u64>,
    /// Entries applied.
    pub n_applied: u64,
}

/// The answer to a command that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<R> {
    /// The index of its entry.
    pub index: u64,
    /// What the machine says.
    pub reply: R,
}

/// Why a question is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing was changed; to ask again is safe.
    #[error("no leader")]
    NoLeader,
    /// It may have been done, or may still be.
    #[error("the outcome is unknown")]
    Unknown,
    /// The disk of this member is full. Nothing was changed.
    #[error("the disk is full")]
    DiskFull,
    /// Too many are waiting already. Nothing was changed.
    #[error("overloaded")]
    Overloaded,
    /// Longer than [`Config::payload_bytes_max`](super::Config::payload_bytes_max). Nothing was changed.
    #[error("the command is too large")]
    TooLarge,
}

/// Who leads, as this member sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether this member leads and has applied everything that earlier leaders committed.
    pub leading: bool,
    /// The term.
    pub term: u64,
    /// The leader, if known.
    pub leader: Option<u64>,
}

impl<M: Machine> Default for Output<M> {
    fn default() -> Self {
        Self {
            answers: Vec::new(),
            reads: Vec::new(),
            events: Vec::new(),
            replaced: None,
            view: None,
            status: None,
            chore: None,
            compact: None,
            n_applied: 0,
        }
    }
}

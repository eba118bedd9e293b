//! What is replicated: a deterministic machine, and the envelope its commands travel in.

use bytes::Bytes;
use cluster::{Moment, Timestamp};

/// A state that entries move forward, the same on every member.
///
/// `cluster::State` is the one that matters; tests bring smaller ones.
pub trait Machine: Send + Sized + 'static {
    /// What the one who asked is told when the entry was applied.
    type Reply: Send + 'static;
    /// What an entry did, for everybody who watches.
    type Event: Clone + Send + 'static;
    /// The state at one moment, cheap to make and to clone, safe to keep.
    type View: Clone + Send + Sync + 'static;

    /// Applies a command. Depends on nothing but the state and its arguments.
    ///
    /// # Errors
    /// [`Unreadable`] when the command cannot be read: a newer member proposed it. The member must stop, for to
    /// skip it would make the members differ.
    fn apply(&mut self, index: u64, stamp: Stamp, command: &[u8]) -> Result<Outcome<Self>, Unreadable>;

    /// Judges a command that another member was asked and forwards: one that is taken here enters the log, and then every
    /// member must be able to apply it, for ever.
    ///
    /// # Errors
    /// [`Unreadable`] when it cannot be read, or is none that a member forwards.
    fn check(command: &[u8]) -> Result<(), Unreadable>;

    /// Returns the moment of the last command applied; 0 where the machine keeps no time.
    fn moment(&self) -> Moment {
        Moment::default()
    }

    /// About how many bytes are kept alive by an event. What is kept for those who come back is bounded by it.
    fn weight(_event: &Self::Event) -> usize {
        1
    }

    /// Returns the state as it is now.
    fn view(&self) -> Self::View;

    /// Encodes a state. Runs on another thread than `apply` and may take seconds.
    fn save(view: &Self::View) -> Vec<u8>;

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Unreadable`], as for [`apply`](Self::apply).
    fn restore(data: &[u8]) -> Result<Self, Unreadable>;
}

/// When the leader proposed an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// By the calendar, for people: it may go back along the log.
    pub time: Timestamp,
    /// In the cluster's own time: as good as never earlier than the entry before, and the later one counts.
    pub moment: Moment,
}

/// What applying one entry led to.
pub struct Outcome<M: Machine> {
    /// The answer.
    pub reply: M::Reply,
    /// What happened, if anything did.
    pub event: Option<M::Event>,
}

/// Bytes that this program cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("written by a newer version: {reason}")]
pub struct Unreadable {
    /// What the decoder said.
    pub reason: String,
}

/// The version of the envelope.
const FORMAT: u8 = 2;
/// Bytes before the command.
const HEADER: usize = 17;

/// The one before it had one time, by which delays were counted as well.
const ONE_TIME: u8 = 1;
const HEADER_OF_ONE_TIME: usize = 9;

/// A command in its envelope: format, the leader's time, its moment, the machine's own encoding.
///
/// Both stand at fixed places, so that the leader can stamp a command without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    bytes: Vec<u8>,
    bound: bool,
}

impl Payload {
    /// Returns an unstamped envelope, filled by `write`.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn new<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&[0; HEADER - 1]);
        write(&mut bytes)?;
        Ok(Self { bytes, bound: false })
    }

    /// Binds the command to the term in which it is asked: the member must lead, and if the command does not enter the
    /// log in that term it is answered, not proposed again. For what is true only while its leader is in office: plans,
    /// and reports, which a newer one may have overtaken by then.
    #[must_use]
    pub fn bound(mut self) -> Self {
        self.bound = true;
        self
    }

    /// Returns whether it is [`bound`](Self::bound).
    pub(crate) fn is_bound(&self) -> bool {
        self.bound
    }

    /// Returns the length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the machine's own encoding.
    pub(crate) fn command(&self) -> &[u8] {
        &self.bytes[HEADER..]
    }

    /// Puts the leader's time on it.
    pub(crate) fn stamp(mut self, stamp: Stamp) -> Bytes {
        self.bytes[1..9].copy_from_slice(&stamp.time.0.to_le_bytes());
        self.bytes[9..HEADER].copy_from_slice(&stamp.moment.0.to_le_bytes());
        self.bytes.into()
    }

    /// Takes what another member sent to be stamped. `None` when it is no envelope.
    pub(crate) fn received(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= HEADER && bytes[0] == FORMAT).then(|| Self { bytes: bytes.to_vec(), bound: false })
    }

    /// Opens an envelope: stamp and command.
    pub(crate) fn open(bytes: &[u8]) -> Result<(Stamp, &[u8]), Unreadable> {
        let unreadable = |reason: String| Unreadable { reason };
        let length = match bytes.first() {
            Some(&ONE_TIME) => HEADER_OF_ONE_TIME,
            Some(&FORMAT) => HEADER,
            Some(other) => return Err(unreadable(format!("an entry has format {other}"))),
            None => 1,
        };
        let (header, command) =
            bytes.split_at_checked(length).ok_or_else(|| unreadable("an entry is too short".to_owned()))?;
        let number = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).expect("eight bytes");
        let (time, moment) = if length == HEADER { (number(1), number(9)) } else { (number(1), number(1)) };
        Ok((Stamp { time: Timestamp(time), moment: Moment(moment) }, command))
    }
}

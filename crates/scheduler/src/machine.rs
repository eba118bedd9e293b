//! What is replicated: a deterministic machine, and the envelope its commands travel in.

use bytes::Bytes;

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

    /// Applies a command. Depends on nothing but the state and its arguments; `time` is the leader's, in
    /// milliseconds, and never goes back along the log.
    ///
    /// # Errors
    /// [`Unreadable`] when the command cannot be read: a newer member proposed it. The member must stop, for to
    /// skip it would make the members differ.
    fn apply(&mut self, index: u64, time: u64, command: &[u8]) -> Result<Outcome<Self>, Unreadable>;

    /// How many things an event tells of. So many are kept for those who come back for them.
    fn n_told(_event: &Self::Event) -> usize {
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
const FORMAT: u8 = 1;
/// Bytes before the command.
const HEADER: usize = 9;

/// A command in its envelope: format, the leader's time, the machine's own encoding.
///
/// The time stands at a fixed place, so that the leader can stamp a command without reading it.
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

    /// Puts the leader's time on it.
    pub(crate) fn stamp(mut self, time: u64) -> Bytes {
        self.bytes[1..HEADER].copy_from_slice(&time.to_le_bytes());
        self.bytes.into()
    }

    /// Takes what another member sent to be stamped. `None` when it is no envelope.
    pub(crate) fn received(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= HEADER).then(|| Self { bytes: bytes.to_vec(), bound: false })
    }

    /// Opens an envelope: time and command.
    pub(crate) fn open(bytes: &[u8]) -> Result<(u64, &[u8]), Unreadable> {
        let unreadable = |reason: String| Unreadable { reason };
        let (header, command) =
            bytes.split_at_checked(HEADER).ok_or_else(|| unreadable("an entry is too short".to_owned()))?;
        if header[0] != FORMAT {
            return Err(unreadable(format!("an entry has format {}", header[0])));
        }
        let time = header[1..].try_into().map(u64::from_le_bytes).expect("eight bytes");
        Ok((time, command))
    }
}

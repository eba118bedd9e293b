//! The wire between the parts: field-named MessagePack in length-prefixed frames over one byte stream.
//!
//! A frame is a length (4 bytes, big-endian, at most [`MAX_FRAME_BYTES`]) and one value. Members and agents share a
//! port: the first frame of every connection is a [`Greeting`] that says who dials. What follows belongs to the two
//! sides: raft messages between members, [`cluster::agent::FromAgent`] and [`cluster::agent::ToAgent`] otherwise.
//!
//! Frames keep their order; a connection that breaks any rule is closed and dialled anew, nothing is skipped.
//! Who reads says how long a frame may be by then ([`Link::allow`]) and shares a [`Budget`] with all its other
//! connections; who sends is refused a frame that nobody would take.

mod reader;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use reader::Reader;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

pub use reader::{Budget, Frame, SMALL_FRAME_BYTES};

/// No frame is longer. Longer ones are refused before they are read: a stranger cannot make us allocate.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// The first frame of every connection: who dials. `P` is what members tell each other about themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Greeting<P = ()> {
    /// Another member of the control plane.
    Peer(P),
    /// A node's agent; [`cluster::agent::FromAgent::Hello`] follows.
    Agent {
        /// [`cluster::agent::PROTOCOL`] of the agent.
        protocol: u32,
    },
    /// A node's agent, because a member asked it by [`cluster::agent::ToAgent::Open`] to: what follows is one
    /// [`cluster::agent::Question`], and what the agent says to it until one side hangs up.
    Stream {
        /// As it was told.
        ticket: u64,
        /// A member that did not ask shall pass the connection on to the one that leads.
        relay: bool,
    },
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream failed, or ended inside a frame.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    /// A frame is longer than it may be: it is not read, or not sent.
    #[error("a frame of {bytes} bytes is too long: at most {max} are taken")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest that is taken.
        max: usize,
    },
    /// A frame was begun and not completed in time.
    #[error("a frame did not come in time")]
    TooSlow,
    /// A value could not be written as MessagePack.
    #[error("could not encode a message")]
    Encode(#[from] rmp_serde::encode::Error),
    /// A frame is not the value that was awaited.
    #[error("could not decode a message")]
    Decode(#[from] rmp_serde::decode::Error),
    /// The other side closed the connection where a message was awaited.
    #[error("the other side closed the connection")]
    Closed,
}

/// A connection of frames.
#[derive(Debug)]
pub struct Link<S> {
    sender: Sender<S>,
    receiver: Receiver<S>,
}

/// The half of a [`Link`] that sends.
#[derive(Debug)]
pub struct Sender<S> {
    into: WriteHalf<S>,
    /// What is queued and not written yet; kept when a sending is cancelled.
    queued: BytesMut,
}

/// The half of a [`Link`] that receives.
#[derive(Debug)]
pub struct Receiver<S> {
    reader: Reader<ReadHalf<S>>,
}

/// So much may be queued before [`Sender::feed_encoded`] writes.
const QUEUED_BYTES: usize = 64 << 10;

/// A message as the bytes of one frame, without their length. Encode once to send to many.
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, Error> {
    Ok(rmp_serde::to_vec_named(message)?.into())
}

/// The message in one frame's bytes.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, Error> {
    Ok(rmp_serde::from_slice(frame)?)
}

impl<S: AsyncRead + AsyncWrite> Link<S> {
    /// Speaks frames over a stream, such as a connected socket, with somebody who was dialled.
    pub fn new(stream: S) -> Self {
        Self::over(stream, MAX_FRAME_BYTES, None)
    }

    /// Speaks frames with somebody who dialled: frames up to `max_frame_bytes` are taken, as long as the budget lasts.
    pub fn limited(stream: S, max_frame_bytes: usize, budget: Budget) -> Self {
        Self::over(stream, max_frame_bytes, Some(budget))
    }

    fn over(stream: S, max_frame_bytes: usize, budget: Option<Budget>) -> Self {
        let (from, into) = tokio::io::split(stream);
        let receiver = Receiver { reader: Reader::new(from, max_frame_bytes, budget) };
        Self { sender: Sender { into, queued: BytesMut::new() }, receiver }
    }

    /// Takes frames up to this length from now on, as who dialled has shown who it is.
    pub const fn allow(&mut self, max_frame_bytes: usize) {
        self.receiver.allow(max_frame_bytes);
    }

    /// Both halves, for two tasks.
    pub fn split(self) -> (Sender<S>, Receiver<S>) {
        (self.sender, self.receiver)
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The connection is of no more use after any.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), Error> {
        self.sender.send(message).await
    }

    /// Awaits the next message; safe to cancel.
    ///
    /// # Errors
    /// The connection is of no more use after any; [`Error::Closed`] at its orderly end.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        self.receiver.receive().await
    }
}

impl<S: AsyncWrite> Sender<S> {
    /// Sends one message.
    ///
    /// # Errors
    /// The connection is of no more use after any.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), Error> {
        self.send_encoded(encode(message)?).await
    }

    /// Sends what [`encode`] made.
    ///
    /// # Errors
    /// The connection is of no more use after any.
    pub async fn send_encoded(&mut self, frame: Bytes) -> Result<(), Error> {
        self.feed_encoded(frame).await?;
        self.flush().await
    }

    /// Queues what [`encode`] made without pushing it out; [`Sender::flush`] does.
    ///
    /// # Errors
    /// The connection is of no more use after any; [`Error::TooLong`] if nobody would take the frame.
    pub async fn feed_encoded(&mut self, frame: Bytes) -> Result<(), Error> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(Error::TooLong { bytes: frame.len(), max: MAX_FRAME_BYTES });
        }
        if self.queued.len() > QUEUED_BYTES {
            self.flush().await?;
        }
        self.queued.put_u32(frame.len() as u32);
        self.queued.put(frame);
        Ok(())
    }

    /// Pushes out all that was queued.
    ///
    /// # Errors
    /// The connection is of no more use after any.
    pub async fn flush(&mut self) -> Result<(), Error> {
        while self.queued.has_remaining() {
            self.into.write_buf(&mut self.queued).await?;
        }
        if self.queued.capacity() > QUEUED_BYTES {
            // A large frame is rare, connections are many.
            self.queued = BytesMut::new();
        }
        Ok(self.into.flush().await?)
    }
}

impl<S: AsyncRead> Receiver<S> {
    /// Awaits the next message; safe to cancel.
    ///
    /// # Errors
    /// The connection is of no more use after any; [`Error::Closed`] at its orderly end.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        decode(&self.receive_encoded().await?.bytes)
    }

    /// Takes frames up to this length from now on, as who dialled has shown who it is.
    pub const fn allow(&mut self, max_frame_bytes: usize) {
        self.reader.max_frame_bytes = max_frame_bytes;
    }

    /// Awaits the next frame, as [`encode`] made it; safe to cancel.
    ///
    /// # Errors
    /// The connection is of no more use after any; [`Error::Closed`] at its orderly end.
    pub async fn receive_encoded(&mut self) -> Result<Frame, Error> {
        self.reader.next().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::agent::{FromAgent, PROTOCOL, ToAgent};

    #[tokio::test]
    async fn a_greeting_and_messages_cross_in_order() {
        let (left, right) = tokio::io::duplex(64);
        let (mut left, mut right) = (Link::new(left), Link::new(right));
        let greeting = Greeting::<String>::Agent { protocol: PROTOCOL };
        let sent = async {
            left.send(&Greeting::<()>::Agent { protocol: PROTOCOL }).await.unwrap();
            left.send(&FromAgent::Alive).await.unwrap();
            left.receive::<ToAgent>().await.unwrap()
        };
        let received = async {
            assert_eq!(right.receive::<Greeting<String>>().await.unwrap(), greeting);
            assert_eq!(right.receive::<FromAgent>().await.unwrap(), FromAgent::Alive);
            right.send(&ToAgent::Reported { sequence: 7 }).await.unwrap();
        };
        assert_eq!(tokio::join!(sent, received).0, ToAgent::Reported { sequence: 7 });
        drop(left);
        assert!(matches!(right.receive::<FromAgent>().await, Err(Error::Closed)));
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_or_no_message_ends_the_connection() {
        use tokio::io::AsyncWriteExt;
        for bytes in [&[0xff, 0xff, 0xff, 0xff][..], &[0, 0, 0, 1, 0xc1][..]] {
            let (mut left, right) = tokio::io::duplex(64);
            left.write_all(bytes).await.unwrap();
            assert!(Link::new(right).receive::<FromAgent>().await.is_err());
        }
    }

    #[tokio::test]
    async fn what_nobody_would_take_is_not_sent() {
        let (left, _right) = tokio::io::duplex(64);
        let sent = Link::new(left).send(&vec![0_u8; MAX_FRAME_BYTES]).await;
        assert!(matches!(sent, Err(Error::TooLong { max: MAX_FRAME_BYTES, .. })));
    }

    #[tokio::test]
    async fn more_is_taken_of_one_who_was_admitted() {
        let (left, right) = tokio::io::duplex(4096);
        let (mut left, mut right) = (Link::new(left), Link::limited(right, 16, Budget::new(MAX_FRAME_BYTES)));
        left.send(&"short").await.unwrap();
        assert_eq!(right.receive::<String>().await.unwrap(), "short");
        right.allow(1024);
        left.send(&"longer than sixteen bytes").await.unwrap();
        assert_eq!(right.receive::<String>().await.unwrap().len(), 25);
        right.allow(16);
        left.send(&"longer than sixteen bytes").await.unwrap();
        assert!(matches!(right.receive::<String>().await, Err(Error::TooLong { .. })));
    }
}

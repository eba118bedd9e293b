//! The wire between the parts: field-named MessagePack in length-prefixed frames over one byte stream.
//!
//! A frame is a length (4 bytes, big-endian, at most [`MAX_FRAME_BYTES`]) and one value. Members and agents share a
//! port: the first frame of every connection is a [`Greeting`] that says who dials. What follows belongs to the two
//! sides: raft messages between members, [`cluster::agent::FromAgent`] and [`cluster::agent::ToAgent`] otherwise.
//!
//! Frames keep their order; a connection that breaks any rule is closed and dialled anew, nothing is skipped.

use futures::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::bytes::Bytes;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

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
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream failed, or a frame is too long.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
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
    framed: Framed<S, LengthDelimitedCodec>,
}

/// The half of a [`Link`] that sends.
#[derive(Debug)]
pub struct Sender<S> {
    sink: futures::stream::SplitSink<Framed<S, LengthDelimitedCodec>, Bytes>,
}

/// The half of a [`Link`] that receives.
#[derive(Debug)]
pub struct Receiver<S> {
    stream: futures::stream::SplitStream<Framed<S, LengthDelimitedCodec>>,
}

/// A message as the bytes of one frame, without their length. Encode once to send to many.
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, Error> {
    Ok(rmp_serde::to_vec_named(message)?.into())
}

/// The message in one frame's bytes.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, Error> {
    Ok(rmp_serde::from_slice(frame)?)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Speaks frames over a stream, such as a connected socket.
    pub fn new(stream: S) -> Self {
        let codec = LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME_BYTES).new_codec();
        Self { framed: Framed::new(stream, codec) }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The connection is of no more use after any.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), Error> {
        Ok(self.framed.send(encode(message)?).await?)
    }

    /// Awaits the next message; safe to cancel.
    ///
    /// # Errors
    /// The connection is of no more use after any; [`Error::Closed`] at its orderly end.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        decode(&self.framed.next().await.ok_or(Error::Closed)??)
    }

    /// Both halves, for two tasks.
    pub fn split(self) -> (Sender<S>, Receiver<S>) {
        let (sink, stream) = self.framed.split();
        (Sender { sink }, Receiver { stream })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sender<S> {
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
        Ok(self.sink.send(frame).await?)
    }

    /// Queues what [`encode`] made without pushing it out; [`Sender::flush`] does.
    ///
    /// # Errors
    /// The connection is of no more use after any.
    pub async fn feed_encoded(&mut self, frame: Bytes) -> Result<(), Error> {
        Ok(self.sink.feed(frame).await?)
    }

    /// Pushes out all that was queued.
    ///
    /// # Errors
    /// The connection is of no more use after any.
    pub async fn flush(&mut self) -> Result<(), Error> {
        Ok(self.sink.flush().await?)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiver<S> {
    /// Awaits the next message; safe to cancel.
    ///
    /// # Errors
    /// The connection is of no more use after any; [`Error::Closed`] at its orderly end.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, Error> {
        decode(&self.stream.next().await.ok_or(Error::Closed)??)
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
}

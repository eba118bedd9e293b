//! The bytes between members, after the greeting.
//!
//! ```text
//! frame:     length u32 (big-endian, of what follows) │ kind u8 │ content
//! messages:  per message: length u32 │ protobuf                                     kind 0
//! snapshot:  data length u64 │ protobuf of the message without the data             kind 1
//! part:      the next bytes of the data; the last one makes the message whole       kind 2
//! ```
//! A snapshot may be large. Its parts take turns with other messages, so that heartbeats are not held up.

use std::io::{self, Read};

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::Message;

/// No frame is longer, which keeps what a stranger can make us allocate small.
pub(super) const FRAME_BYTES_MAX: usize = 16 << 20;
/// Snapshot data travels in pieces of this size.
pub(super) const PART_BYTES: usize = 1 << 20;
/// Data of a message up to here travels inside it.
const INLINE_BYTES: usize = 256 << 10;

const MESSAGES: u8 = 0;
const SNAPSHOT: u8 = 1;
const PART: u8 = 2;

/// Appends a greeting: a frame without a kind, as agents send it too.
pub(super) fn put_greeting(out: &mut Vec<u8>, greeting: &[u8]) {
    out.extend_from_slice(&(greeting.len() as u32).to_be_bytes());
    out.extend_from_slice(greeting);
}

/// Returns whether the message has to travel in parts.
pub(super) fn is_large(message: &Message) -> bool {
    message.get_snapshot().get_data().len() > INLINE_BYTES
}

/// Appends one frame with all messages. Together they are to be far smaller than [`FRAME_BYTES_MAX`].
pub(super) fn put_messages(out: &mut Vec<u8>, messages: &[Message]) {
    let start = begin(out, MESSAGES);
    for message in messages {
        let size = message.compute_size();
        out.extend_from_slice(&size.to_be_bytes());
        write(out, message);
    }
    end(out, start);
}

/// Appends the head of a message with a large snapshot, and returns the data to follow in parts.
pub(super) fn put_snapshot(out: &mut Vec<u8>, mut message: Message) -> Bytes {
    let data = std::mem::take(&mut message.mut_snapshot().data);
    let start = begin(out, SNAPSHOT);
    out.extend_from_slice(&(data.len() as u64).to_be_bytes());
    message.compute_size();
    write(out, &message);
    end(out, start);
    data
}

/// Appends one part of a snapshot's data.
pub(super) fn put_part(out: &mut Vec<u8>, part: &[u8]) {
    let start = begin(out, PART);
    out.extend_from_slice(part);
    end(out, start);
}

fn begin(out: &mut Vec<u8>, kind: u8) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind]);
    start
}

fn end(out: &mut [u8], start: usize) {
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// The sizes must have been computed.
fn write(out: &mut Vec<u8>, message: &Message) {
    let mut stream = protobuf::CodedOutputStream::vec(out);
    message.write_to_with_cached_sizes(&mut stream).and_then(|()| stream.flush()).expect("a vector takes everything");
}

/// Reads one frame's content, without its length.
pub(super) fn read_frame(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(invalid("a frame is too long"));
    }
    let mut frame = vec![0; length];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

/// Puts messages together from frames.
#[derive(Default)]
pub(super) struct Assembly {
    snapshot: Option<(Message, u64, Vec<u8>)>,
}

impl Assembly {
    /// Takes a frame and returns the messages it completes.
    pub(super) fn take(&mut self, frame: &[u8]) -> io::Result<Vec<Message>> {
        match frame.split_first() {
            Some((&MESSAGES, content)) => messages(content),
            Some((&SNAPSHOT, content)) => {
                let (length, message) =
                    content.split_first_chunk::<8>().ok_or_else(|| invalid("a snapshot's head is too short"))?;
                // A newer snapshot replaces one that was cut short.
                self.snapshot = Some((parse(message)?, u64::from_be_bytes(*length), Vec::new()));
                Ok(Vec::new())
            }
            Some((&PART, part)) => self.part(part),
            _ => Err(invalid("a frame is of an unknown kind")),
        }
    }

    fn part(&mut self, part: &[u8]) -> io::Result<Vec<Message>> {
        let Some((mut message, length, mut data)) = self.snapshot.take() else {
            return Err(invalid("a part without a snapshot"));
        };
        data.extend_from_slice(part);
        if (data.len() as u64) < length {
            self.snapshot = Some((message, length, data));
            return Ok(Vec::new());
        }
        if data.len() as u64 > length {
            return Err(invalid("a snapshot is longer than it said"));
        }
        message.mut_snapshot().data = data.into();
        Ok(vec![message])
    }
}

fn messages(mut content: &[u8]) -> io::Result<Vec<Message>> {
    let mut messages = Vec::new();
    while !content.is_empty() {
        let (length, rest) =
            content.split_first_chunk::<4>().ok_or_else(|| invalid("a message's length is cut short"))?;
        let (message, rest) = rest
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or_else(|| invalid("a message is cut short"))?;
        messages.push(parse(message)?);
        content = rest;
    }
    Ok(messages)
}

fn parse(bytes: &[u8]) -> io::Result<Message> {
    let mut message = Message::default();
    message.merge_from_bytes(bytes).map_err(|_| invalid("a message cannot be read"))?;
    Ok(message)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

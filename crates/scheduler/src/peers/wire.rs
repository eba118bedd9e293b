//! The bytes between members, after the greeting.
//!
//! ```text
//! frame:     length u32 (big-endian, of what follows) │ kind u8 │ content
//! messages:  per message: length u32 │ protobuf                                     kind 0
//! snapshot:  data length u64 │ protobuf of the message without the data             kind 1
//! part:      the next bytes of the data; the last one makes the message whole       kind 2
//! clock:     wall clock u64, milliseconds │ the cluster's own time u64              kind 3
//! ```
//! A snapshot may be large. Its parts take turns with other messages, so that heartbeats are not held up.
//! Nothing is sent that the other side would not take: it would hang up, and be sent the same again.

use std::collections::VecDeque;
use std::io::{self, Read};

use bytes::Bytes;
use cluster::Moment;
use protobuf::Message as _;
use raft::eraftpb::{Message, MessageType};

use crate::member::Reading;

/// No frame is longer, which keeps what a stranger can make us allocate small. Twice the longest command, which travels
/// alone.
pub(super) const FRAME_BYTES_MAX: usize = 16 << 20;
/// A frame of messages takes more until it has so many bytes.
const FRAME_BYTES: usize = 1 << 20;
/// Snapshot data travels in pieces of this size.
pub(super) const PART_BYTES: usize = 1 << 20;
/// Data of a message up to here travels inside it.
const INLINE_BYTES: usize = 256 << 10;
/// No snapshot is larger: several times what a million instances take.
const SNAPSHOT_BYTES_MAX: u64 = 2 << 30;
/// A frame has no more messages, and a message no more entries: the empty ones would be many times larger in memory.
const MESSAGES_MAX: usize = 4096;
pub(crate) const ENTRIES_MAX: usize = 1 << 16;
/// The field of a raft message that has its entries.
const ENTRIES_FIELD: u32 = 7;
/// Bytes of a frame before its messages, and of each message before its content.
const FRAME_HEAD: usize = 5;
const MESSAGE_HEAD: usize = 4;

const MESSAGES: u8 = 0;
const SNAPSHOT: u8 = 1;
const PART: u8 = 2;
const CLOCK: u8 = 3;

/// Appends a greeting: a frame without a kind, as agents send it too.
pub(super) fn put_greeting(out: &mut Vec<u8>, greeting: &[u8]) {
    out.extend_from_slice(&(greeting.len() as u32).to_be_bytes());
    out.extend_from_slice(greeting);
}

/// Returns whether the message has to travel in parts.
pub(super) fn is_large(message: &Message) -> bool {
    message.get_snapshot().get_data().len() > INLINE_BYTES
}

/// Returns whether the other side takes the message: what is longer would end the connection, again and again.
pub(super) fn is_taken(message: &Message) -> bool {
    if is_large(message) {
        let rest = message.compute_size() as usize - message.get_snapshot().get_data().len();
        return message.get_snapshot().get_data().len() as u64 <= SNAPSHOT_BYTES_MAX && rest <= FRAME_BYTES;
    }
    frame_bytes(message) <= FRAME_BYTES_MAX && message.get_entries().len() <= ENTRIES_MAX
}

/// Returns how long a frame is that has this message alone.
pub fn frame_bytes(message: &Message) -> usize {
    FRAME_HEAD + MESSAGE_HEAD + message.compute_size() as usize
}

/// Appends one frame with the next messages: as many as fill it, one at least.
pub(super) fn put_messages(out: &mut Vec<u8>, messages: &mut VecDeque<Message>) {
    let start = begin(out, MESSAGES);
    for _ in 0..MESSAGES_MAX {
        let Some(message) = messages.pop_front() else { break };
        let size = message.compute_size();
        out.extend_from_slice(&size.to_be_bytes());
        write(out, &message);
        let next = messages.front().map_or(0, |it| MESSAGE_HEAD + it.compute_size() as usize);
        if out.len() - start + next > FRAME_BYTES {
            break;
        }
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

/// Appends what this member's clocks show.
pub(super) fn put_clock(out: &mut Vec<u8>, reading: Reading) {
    let start = begin(out, CLOCK);
    out.extend_from_slice(&reading.wall_ms.to_be_bytes());
    out.extend_from_slice(&reading.moment.0.to_be_bytes());
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
    // Memory comes with the bytes, not with the announcement of them.
    let mut frame = Vec::with_capacity(length.min(FRAME_BYTES));
    from.take(length as u64).read_to_end(&mut frame)?;
    if frame.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(frame) }
}

/// What a frame brought.
#[derive(Debug, PartialEq)]
pub(super) enum Came {
    /// Messages in order; none, where a snapshot is not whole yet.
    Messages(Vec<Message>),
    /// What the other member's clocks show.
    Clock(Reading),
}

/// Puts messages together from frames.
#[derive(Default)]
pub(super) struct Assembly {
    snapshot: Option<(Message, u64, Vec<u8>)>,
}

impl Assembly {
    /// Takes a frame and returns what it completes.
    pub(super) fn take(&mut self, frame: &[u8]) -> io::Result<Came> {
        match frame.split_first() {
            Some((&MESSAGES, content)) => messages(content).map(Came::Messages),
            Some((&SNAPSHOT, content)) => self.head(content),
            Some((&PART, part)) => self.part(part),
            Some((&CLOCK, content)) => clock(content).map(Came::Clock),
            _ => Err(invalid("a frame is of an unknown kind")),
        }
    }

    fn head(&mut self, content: &[u8]) -> io::Result<Came> {
        let (length, message) =
            content.split_first_chunk::<8>().ok_or_else(|| invalid("a snapshot's head is too short"))?;
        let (length, message) = (u64::from_be_bytes(*length), parse(message)?);
        if length > SNAPSHOT_BYTES_MAX {
            return Err(invalid("a snapshot is too large"));
        }
        if message.get_msg_type() != MessageType::MsgSnapshot {
            return Err(invalid("a snapshot's head is of another message"));
        }
        // A newer snapshot replaces one that was cut short.
        self.snapshot = Some((message, length, Vec::new()));
        Ok(Came::Messages(Vec::new()))
    }

    fn part(&mut self, part: &[u8]) -> io::Result<Came> {
        let Some((mut message, length, mut data)) = self.snapshot.take() else {
            return Err(invalid("a part without a snapshot"));
        };
        if (data.len() + part.len()) as u64 > length {
            return Err(invalid("a snapshot is longer than it said"));
        }
        if part.is_empty() && length > 0 {
            return Err(invalid("a part of nothing"));
        }
        data.extend_from_slice(part);
        if (data.len() as u64) < length {
            self.snapshot = Some((message, length, data));
            return Ok(Came::Messages(Vec::new()));
        }
        message.mut_snapshot().data = data.into();
        Ok(Came::Messages(vec![message]))
    }
}

fn messages(mut content: &[u8]) -> io::Result<Vec<Message>> {
    let mut messages = Vec::new();
    while !content.is_empty() {
        if messages.len() == MESSAGES_MAX {
            return Err(invalid("a frame has too many messages"));
        }
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

fn clock(content: &[u8]) -> io::Result<Reading> {
    let (numbers, rest) = content.as_chunks::<8>();
    let [wall_ms, moment] = numbers else { return Err(invalid("a clock's frame has two numbers")) };
    if !rest.is_empty() {
        return Err(invalid("a clock's frame is too long"));
    }
    Ok(Reading { wall_ms: u64::from_be_bytes(*wall_ms), moment: Moment(u64::from_be_bytes(*moment)) })
}

fn parse(bytes: &[u8]) -> io::Result<Message> {
    if n_entries(bytes).map_err(|_| invalid("a message cannot be read"))? > ENTRIES_MAX {
        return Err(invalid("a message has too many entries"));
    }
    let mut message = Message::default();
    message.merge_from_bytes(bytes).map_err(|_| invalid("a message cannot be read"))?;
    Ok(message)
}

/// Counts a message's entries without making them.
fn n_entries(bytes: &[u8]) -> protobuf::ProtobufResult<usize> {
    let mut stream = protobuf::CodedInputStream::from_bytes(bytes);
    let mut n = 0;
    while !stream.eof()? {
        let (field, wire_type) = stream.read_tag_unpack()?;
        n += usize::from(field == ENTRIES_FIELD);
        stream.skip_field(wire_type)?;
    }
    Ok(n)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

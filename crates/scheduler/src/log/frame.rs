//! The bytes of one frame: everything a member had to remember at one moment.
//!
//! ```text
//! magic u32 │ crc32 u32 │ payload length u32 │ zero u32 │ number u64 │ payload │ padding to 8
//!
//! payload:  flags u8
//!           [term u64, vote u64, commit u64]     flag 1: hard state
//!           [index u64, term u64]                flag 2: the log continues after this snapshot
//!           count u32, then per entry:
//!           index u64, term u64, kind u8, context length u32, data length u32, context, data
//! ```
//! All numbers are little-endian. The checksum covers everything after itself and is seeded with the segment's
//! sequence number, so that a frame left over in a recycled segment never verifies.

use bytes::Bytes;
use protobuf::ProtobufEnum;
use raft::eraftpb::{Entry, EntryType, HardState};

/// Bytes before the payload.
pub(super) const HEADER: usize = 24;
const MAGIC: u32 = u32::from_le_bytes(*b"EKfr");
const WITH_HARD_STATE: u8 = 1;
const WITH_SNAPSHOT: u8 = 2;

/// What a raft member must not forget, written and synced as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Term, vote and commit index, where they changed.
    pub hard_state: Option<HardState>,
    /// The snapshot that replaces everything before it, when one was installed from the leader.
    pub snapshot: Option<Mark>,
    /// New entries. An index that exists already cuts the log off there first.
    pub entries: Vec<Entry>,
}

/// A position in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Index of the entry.
    pub index: u64,
    /// Term in which it was proposed.
    pub term: u64,
}

impl Frame {
    /// Returns whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.hard_state.is_none() && self.snapshot.is_none() && self.entries.is_empty()
    }

    /// Appends the frame's bytes to `out`.
    pub(super) fn encode(&self, epoch: u64, number: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&number.to_le_bytes());
        self.encode_payload(out);
        let payload = u32::try_from(out.len() - start - HEADER).expect("a frame is far below 4 GiB");
        out[start + 8..start + 12].copy_from_slice(&payload.to_le_bytes());
        let crc = checksum(epoch, &out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
        out.resize(start + padded(out.len() - start), 0);
    }

    fn encode_payload(&self, out: &mut Vec<u8>) {
        let mut flags = 0;
        if self.hard_state.is_some() {
            flags |= WITH_HARD_STATE;
        }
        if self.snapshot.is_some() {
            flags |= WITH_SNAPSHOT;
        }
        out.push(flags);
        if let Some(it) = &self.hard_state {
            for number in [it.term, it.vote, it.commit] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        if let Some(it) = self.snapshot {
            out.extend_from_slice(&it.index.to_le_bytes());
            out.extend_from_slice(&it.term.to_le_bytes());
        }
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            out.extend_from_slice(&entry.index.to_le_bytes());
            out.extend_from_slice(&entry.term.to_le_bytes());
            out.push(entry.entry_type.value() as u8);
            out.extend_from_slice(&(entry.context.len() as u32).to_le_bytes());
            out.extend_from_slice(&(entry.data.len() as u32).to_le_bytes());
            out.extend_from_slice(&entry.context);
            out.extend_from_slice(&entry.data);
        }
    }

    /// Reads a payload whose checksum was right. `None` means that another program wrote it.
    fn decode_payload(payload: &Bytes) -> Option<Self> {
        let mut from = Reader { bytes: payload, at: 0 };
        let flags = from.u8()?;
        let mut frame = Self::default();
        if flags & WITH_HARD_STATE != 0 {
            frame.hard_state =
                Some(HardState { term: from.u64()?, vote: from.u64()?, commit: from.u64()?, ..HardState::default() });
        }
        if flags & WITH_SNAPSHOT != 0 {
            frame.snapshot = Some(Mark { index: from.u64()?, term: from.u64()? });
        }
        for _ in 0..from.u32()? {
            let mut entry = Entry {
                index: from.u64()?,
                term: from.u64()?,
                entry_type: EntryType::from_i32(i32::from(from.u8()?))?,
                ..Entry::default()
            };
            let context = from.u32()? as usize;
            let data = from.u32()? as usize;
            entry.context = from.take(context)?;
            entry.data = from.take(data)?;
            frame.entries.push(entry);
        }
        (from.at == payload.len()).then_some(frame)
    }
}

/// What stands at one offset of a segment.
pub(super) enum Found {
    /// A frame that verifies, with its number and its length on disk.
    Frame { number: u64, length: usize, frame: Frame },
    /// A frame that verifies and cannot be read: written by a newer program.
    Foreign,
    /// Nothing that verifies.
    Nothing,
}

/// Looks for a frame at `offset`.
pub(super) fn read(segment: &Bytes, offset: usize, epoch: u64) -> Found {
    let Some((number, payload)) = verify(segment, offset, epoch) else {
        return Found::Nothing;
    };
    let start = offset + HEADER;
    match Frame::decode_payload(&segment.slice(start..start + payload)) {
        Some(frame) => Found::Frame { number, length: padded(HEADER + payload), frame },
        None => Found::Foreign,
    }
}

/// Returns number and payload length of the frame at `offset` if its checksum is right.
pub(super) fn verify(segment: &[u8], offset: usize, epoch: u64) -> Option<(u64, usize)> {
    let (number, payload) = glimpse(segment, offset)?;
    let end = offset + HEADER + payload;
    let crc = u32::from_le_bytes(segment[offset + 4..offset + 8].try_into().ok()?);
    (checksum(epoch, &segment[offset + 8..end]) == crc).then_some((number, payload))
}

/// Returns number and payload length of what looks like a frame at `offset`, not verified.
pub(super) fn glimpse(segment: &[u8], offset: usize) -> Option<(u64, usize)> {
    let header = segment.get(offset..offset + HEADER)?;
    if header[..4] != MAGIC.to_le_bytes() {
        return None;
    }
    let payload = u32::from_le_bytes(header[8..12].try_into().ok()?) as usize;
    let number = u64::from_le_bytes(header[16..24].try_into().ok()?);
    (offset + HEADER + payload <= segment.len()).then_some((number, payload))
}

/// Returns a checksum over `bytes` that differs from epoch to epoch.
fn checksum(epoch: u64, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&epoch.to_le_bytes());
    crc.update(bytes);
    crc.finalize()
}

/// Frames start at multiples of 8, which makes the search for one behind a damage eight times shorter.
fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}

struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let it = self.bytes.get(self.at..self.at + N)?;
        self.at += N;
        it.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        let end = self.at.checked_add(length).filter(|it| *it <= self.bytes.len())?;
        // A copy: a slice would keep its whole 16 MiB segment in memory.
        let it = Bytes::copy_from_slice(&self.bytes[self.at..end]);
        self.at = end;
        Some(it)
    }
}

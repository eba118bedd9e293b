//! One file of frames: its name, its header, and reading it back.
//!
//! ```text
//! magic 8 │ version u32 │ zero u32 │ sequence u64 │ first frame number u64 │ crc32 u32 │ zeros to 64
//! ```

use bytes::Bytes;

use super::Error;
use super::frame::{self, Found, Frame};

/// Bytes before the first frame.
pub(super) const HEADER: usize = 64;
const MAGIC: &[u8; 8] = b"ekidenWL";
/// The version of segments and frames. A higher one is refused, a lower one would be converted here.
const VERSION: u32 = 1;

/// Returns the name of the segment with this sequence number.
pub(super) fn name(sequence: u64) -> String {
    format!("segment-{sequence:016}")
}

/// Returns the sequence number in a segment's name.
pub(super) fn sequence(name: &str) -> Option<u64> {
    name.strip_prefix("segment-")?.parse().ok()
}

/// Returns a segment's header.
pub(super) fn header(sequence: u64, first_number: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&sequence.to_le_bytes());
    header[24..32].copy_from_slice(&first_number.to_le_bytes());
    let crc = crc32fast::hash(&header[..32]);
    header[32..36].copy_from_slice(&crc.to_le_bytes());
    header
}

/// What one segment was found to hold.
pub(super) struct Scan {
    /// The frames, in order.
    pub(super) frames: Vec<Frame>,
    /// The number the first frame has. `None`: nothing was ever finished here.
    pub(super) first_number: Option<u64>,
    /// The highest index of an entry in them, 0 without entries.
    pub(super) last_index: u64,
    /// Where the next frame would begin.
    pub(super) end: usize,
    /// Whether something stands behind `end`, which then has to be wiped before appending.
    pub(super) dirty: bool,
}

/// Reads a segment. It ends where no frame with the next number verifies.
///
/// # Errors
/// [`Error::Damaged`] where a later frame proves that the one at the end had been synced (appends are synced
/// one after another), or when the header is unreadable in front of frames that are.
pub(super) fn scan(name: &str, sequence: u64, bytes: &Bytes) -> Result<Scan, Error> {
    let damaged = |offset: usize, reason| Error::Damaged { file: name.to_owned(), offset: offset as u64, reason };
    let Some(first_number) = first_number(name, sequence, bytes)? else {
        // Made ready, or its first append never finished; unless frames say otherwise.
        if later_frame(bytes, HEADER, sequence, 0).is_some() {
            return Err(damaged(0, "the header is unreadable"));
        }
        return Ok(Scan { frames: Vec::new(), first_number: None, last_index: 0, end: HEADER, dirty: true });
    };
    let mut frames = Vec::new();
    let mut end = HEADER;
    loop {
        match frame::read(bytes, end, sequence) {
            Found::Frame { number, length, frame } if number == first_number + frames.len() as u64 => {
                frames.push(frame);
                end += length;
            }
            Found::Foreign => return Err(damaged(end, "the frame is of an unknown kind")),
            _ => break,
        }
    }
    let next = first_number + frames.len() as u64;
    if later_frame(bytes, end, sequence, next).is_some() {
        return Err(damaged(end, "a frame that had been synced is unreadable"));
    }
    Ok(Scan {
        first_number: (!frames.is_empty()).then_some(first_number),
        last_index: highest(&frames),
        frames,
        end,
        dirty: bytes.get(end..).is_some_and(|it| it.iter().any(|it| *it != 0)),
    })
}

fn highest(frames: &[Frame]) -> u64 {
    let last = frames.iter().filter_map(|it| it.entries.last());
    last.map(|it| it.index).max().unwrap_or(0)
}

/// Reads the header. `None` when it is blank, torn, or that of an earlier use of the file.
fn first_number(name: &str, sequence: u64, bytes: &[u8]) -> Result<Option<u64>, Error> {
    let Some(header) = bytes.get(..HEADER) else {
        return Ok(None);
    };
    let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    if header[..8] != *MAGIC || u32_at(32) != crc32fast::hash(&header[..32]) {
        return Ok(None);
    }
    if u32_at(8) != VERSION {
        return Err(Error::Version { file: name.to_owned(), found: u32_at(8), supported: VERSION });
    }
    Ok((u64_at(16) == sequence).then(|| u64_at(24)))
}

/// Looks behind `from` for a frame of this segment's present use with a number of at least `least`.
fn later_frame(bytes: &Bytes, from: usize, sequence: u64, least: u64) -> Option<usize> {
    (from.next_multiple_of(8)..bytes.len())
        .step_by(8)
        .filter(|at| frame::glimpse(bytes, *at).is_some_and(|(number, _)| number >= least))
        .find(|at| frame::verify(bytes, *at, sequence).is_some())
}

//! The durable log: what a member has promised, on disk.
//!
//! ```text
//! LOCK                        one process per directory
//! OWNER                       which member of which cluster
//! segment-0000000000000007    frames, oldest segment first …
//! segment-0000000000000008    … the last one is appended to
//! spare-9                     zeros, or a segment that a snapshot has made superfluous
//! snapshot-0000000000120000   the state up to that index
//! ```
//! A *frame* is everything raft wants remembered at one moment: hard state and entries, one write and one sync.
//! Frames are numbered without gaps across segments, and a snapshot notes the number that was next. That is how a
//! start tells a torn tail (never acknowledged, cut off) from damage (refused, with file, offset and remedy).
//!
//! **Invariant:** when [`Log::append`] returns `Ok`, the frame survives a power cut. When it returns an error, the
//! process must end: what the disk holds is no longer known.
//!
//! # Layout
//! - [`Disk`], [`Dir`]: the file system and the real one; [`Memory`]: the one that forgets.
//! - `frame`, `segment`, `snapshot`: bytes of each.
//! - `recover`: from files to what the member knows.

mod disk;
mod frame;
mod memory;
mod recover;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use raft::eraftpb::{Entry, HardState};

pub use disk::{Dir, Disk};
pub use frame::{Frame, Mark};
pub use memory::Memory;
pub use snapshot::{SnapshotFile, write as write_snapshot};

/// Why the log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process works on the directory.
    #[error("{directory} is in use by another process")]
    Locked {
        /// The data directory.
        directory: String,
    },
    /// The directory is another member's.
    #[error(
        "{directory} belongs to {owner}, not to {claimed}: check the name, the id and the data directory in the configuration"
    )]
    Foreign {
        /// The data directory.
        directory: String,
        /// Whose it is.
        owner: String,
        /// Who wanted it.
        claimed: String,
    },
    /// The file system refused.
    #[error("cannot {operation} {file}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// The reason given.
        source: io::Error,
    },
    /// Bytes that had been made durable have changed. Nothing was modified.
    #[error(
        "{file} is damaged at byte {offset}: {reason}; restore the data directory from a copy, or, when the other members are healthy, set it aside and let this member start anew"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A newer program wrote the file.
    #[error("{file} has format {found}, this program knows {supported}; start the newer version")]
    Version {
        /// The file.
        file: String,
        /// The version in the file.
        found: u32,
        /// The version of this program.
        supported: u32,
    },
}

impl Error {
    /// Returns a function for `map_err`.
    fn io(operation: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, file: file.to_owned(), source }
    }
}

/// How the log uses its disk.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of a new segment in bytes. A frame that is longer gets a segment of its own.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20 }
    }
}

/// What was found at start.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Term, vote and commit index. The commit index is at least the snapshot's.
    pub hard_state: HardState,
    /// The newest snapshot.
    pub snapshot: Option<SnapshotFile>,
    /// The entries behind the snapshot, without gaps.
    pub entries: Vec<Entry>,
}

/// Segments kept for reuse beside the one in preparation. More are removed.
const SPARES_MAX: usize = 2;

/// The log of one member, open for appending.
pub struct Log {
    disk: Arc<dyn Disk>,
    options: Options,
    /// Oldest first; the last one is appended to.
    segments: VecDeque<Segment>,
    spares: Vec<Spare>,
    /// Where the next frame goes in the last segment.
    offset: u64,
    next_number: u64,
    next_spare: u64,
    /// The latest one written. Repeated at the head of each segment, so that older segments may go.
    hard_state: HardState,
    /// The snapshot that was found to replace what the log held, until a frame says so.
    superseded: Option<Mark>,
    buffer: Vec<u8>,
}

struct Segment {
    sequence: u64,
    bytes: u64,
    /// The highest index of an entry in it; 0 when there is none.
    last_index: u64,
}

/// A file ready to become a segment.
#[derive(Debug)]
pub struct Spare {
    name: String,
    bytes: u64,
}

impl Log {
    /// Reads what is there, cuts off a torn tail, and returns the log with what it holds.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Version`] and [`Error::Io`]; the files are then as they were.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Self, Recovered), Error> {
        recover::open(disk, options)
    }

    /// Writes a frame and makes it durable.
    ///
    /// # Errors
    /// [`Error::Io`]: the process must end without answering anybody, and must not try again.
    pub fn append(&mut self, frame: &Frame) -> Result<(), Error> {
        if let Some(hard_state) = &frame.hard_state {
            self.hard_state = hard_state.clone();
        }
        let superseded = self.superseded.take().map(|mark| Frame {
            hard_state: Some(self.hard_state.clone()),
            snapshot: frame.snapshot.or(Some(mark)),
            entries: frame.entries.clone(),
        });
        let frame = superseded.as_ref().unwrap_or(frame);
        let sequence = self.segments.back().map_or(0, |it| it.sequence);
        self.buffer.clear();
        frame.encode(sequence, self.next_number, &mut self.buffer);
        let room = self.segments.back().map_or(0, |it| it.bytes - self.offset);
        if self.buffer.len() as u64 > room {
            self.begin_segment(frame)?;
        } else {
            let name = segment::name(sequence);
            self.disk.write_at(&name, self.offset, &self.buffer).map_err(Error::io("write", &name))?;
            self.disk.sync(&name).map_err(Error::io("sync", &name))?;
            self.offset += self.buffer.len() as u64;
        }
        self.next_number += 1;
        let last = self.segments.back_mut().expect("just appended to");
        let highest = frame.entries.last().map_or(0, |it| it.index);
        last.last_index = last.last_index.max(highest);
        Ok(())
    }

    /// Writes a frame as the first of a new segment.
    fn begin_segment(&mut self, frame: &Frame) -> Result<(), Error> {
        let sequence = self.segments.back().map_or(1, |it| it.sequence + 1);
        let first = Frame { hard_state: Some(self.hard_state.clone()), ..frame.clone() };
        self.buffer.clear();
        self.buffer.extend_from_slice(&segment::header(sequence, self.next_number));
        first.encode(sequence, self.next_number, &mut self.buffer);

        let bytes = self.options.segment_bytes.max(self.buffer.len() as u64);
        let spare = match self.spares.iter().position(|it| it.bytes >= bytes) {
            Some(at) => self.spares.swap_remove(at),
            None => self.preparation(bytes).run()?,
        };
        let name = segment::name(sequence);
        self.disk.rename(&spare.name, &name).map_err(Error::io("rename", &spare.name))?;
        self.disk.write_at(&name, 0, &self.buffer).map_err(Error::io("write", &name))?;
        self.disk.sync(&name).map_err(Error::io("sync", &name))?;
        self.disk.sync_dir().map_err(Error::io("sync the directory of", &name))?;
        self.offset = self.buffer.len() as u64;
        self.segments.push_back(Segment { sequence, bytes: spare.bytes, last_index: 0 });
        Ok(())
    }

    /// Makes the segments that hold nothing behind `index` available for reuse.
    ///
    /// To be called when a snapshot at or behind `index` is durable.
    ///
    /// # Errors
    /// [`Error::Io`]: as for [`append`](Self::append).
    pub fn compact(&mut self, index: u64) -> Result<(), Error> {
        let mut moved = Vec::new();
        while self.segments.len() > 1 && self.segments[0].last_index <= index {
            let segment = self.segments.pop_front().expect("more than one");
            let name = segment::name(segment.sequence);
            if self.spares.len() + moved.len() < SPARES_MAX && segment.bytes == self.options.segment_bytes {
                let spare = self.next_spare_name();
                self.disk.rename(&name, &spare).map_err(Error::io("rename", &name))?;
                moved.push(Spare { name: spare, bytes: segment.bytes });
            } else {
                self.disk.remove(&name).map_err(Error::io("remove", &name))?;
            }
        }
        if !moved.is_empty() {
            // Before a spare is overwritten: else a power cut could bring its old name back with new content.
            self.disk.sync_dir().map_err(Error::io("sync the directory of", &moved[0].name))?;
            self.spares.append(&mut moved);
        }
        Ok(())
    }

    /// Returns the making of the next segment when none is at hand, to be run on another thread and given back
    /// to [`prepared`](Self::prepared). Without it the next segment is made in the middle of an append.
    pub fn wants_spare(&mut self) -> Option<Preparation> {
        let half_full = self.segments.back().is_none_or(|it| self.offset > it.bytes / 2);
        (self.spares.is_empty() && half_full).then(|| self.preparation(self.options.segment_bytes))
    }

    /// Takes a segment that was made elsewhere.
    pub fn prepared(&mut self, spare: Spare) {
        self.spares.push(spare);
    }

    /// Returns the number that the next frame will have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    fn preparation(&mut self, bytes: u64) -> Preparation {
        Preparation { disk: Arc::clone(&self.disk), spare: Spare { name: self.next_spare_name(), bytes } }
    }

    fn next_spare_name(&mut self) -> String {
        self.next_spare += 1;
        format!("spare-{}", self.next_spare)
    }
}

/// The making of a segment ahead of its use.
pub struct Preparation {
    disk: Arc<dyn Disk>,
    spare: Spare,
}

impl Preparation {
    /// Fills a file with zeros, which takes tens of milliseconds.
    ///
    /// # Errors
    /// [`Error::Io`], most likely a full disk. The log itself is not affected yet.
    pub fn run(self) -> Result<Spare, Error> {
        self.disk.allocate(&self.spare.name, self.spare.bytes).map_err(Error::io("allocate", &self.spare.name))?;
        Ok(self.spare)
    }
}

//! The way through a log's files, entry by entry.

use super::entry::Entry;
use super::file::ENTRY_LEN_MAX;
use super::files::{Files, Place};
use super::pieces::{Pieces, Whole};
use super::{Error, Gap};

/// How much is read at once.
const BLOCK_LEN: usize = 64 * 1024;

/// Where one is, and what has been taken from the files but not handed out.
#[derive(Debug, Default)]
pub(super) struct Walk {
    place: Place,
    /// What was read lies between `taken`, which is at `place`, and `filled`.
    block: Vec<u8>,
    taken: usize,
    filled: usize,
    pieces: Pieces,
    /// In the middle of an entry that is too long to be one.
    is_skipping: bool,
    /// How many bytes were walked.
    pub(super) n_walked: u64,
    /// How many entries were none: torn, or somebody else's.
    pub(super) n_unreadable: u64,
}

/// What one step came upon.
#[derive(Debug)]
pub(super) enum Step {
    /// A line is complete.
    Line(Whole),
    /// Something that completes no line.
    Nothing,
    /// Files may be missing here, or a part of one.
    Gap(Gap),
    /// The end of what there is.
    End,
}

impl Walk {
    /// Begins there, where an entry begins.
    pub(super) fn from(place: Place) -> Self {
        Self { place, ..Self::default() }
    }

    /// Goes there, and leaves open lines behind.
    pub(super) fn jump_to(&mut self, place: Place) {
        *self = Self { n_walked: self.n_walked, n_unreadable: self.n_unreadable, ..Self::from(place) };
    }

    /// Where the next entry begins.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// From where to walk so that no open line is lost, and how many lines were completed behind it already.
    pub(super) fn restart(&self) -> (Place, u64) {
        self.pieces.earliest().unwrap_or((self.place, 0))
    }

    /// How many lines are not complete yet.
    pub(super) fn n_open(&self) -> u64 {
        self.pieces.len()
    }

    /// The earliest line of which the rest will not come.
    pub(super) fn give_up(&mut self) -> Option<Whole> {
        self.pieces.give_up()
    }

    /// Takes the next entry. One without a line feed at the end of the newest file waits for the rest, unless the log
    /// `is_final`; a file that has a newer one is.
    pub(super) fn step(&mut self, files: &mut Files, is_final: bool) -> Result<Step, Error> {
        if self.place.file < files.first() {
            self.move_to(files.first());
        }
        if self.place.file >= files.end() {
            return Ok(Step::End);
        }
        let is_newest = self.place.file + 1 == files.end();
        // What was looked through for a line feed already.
        let mut n_seen = 0;
        loop {
            let rest = &self.block[self.taken..self.filled];
            if let Some(n) = position_of_line_feed(&rest[n_seen..]) {
                let len = n_seen + n + 1;
                return Ok(self.take(len, len - 1));
            }
            n_seen = rest.len();
            if n_seen > ENTRY_LEN_MAX {
                self.is_skipping = true;
                self.pass(n_seen);
                return Ok(Step::Nothing);
            }
            if self.read_on(files)? > 0 {
                continue;
            }
            if is_newest && !is_final {
                return Ok(Step::End);
            }
            if n_seen > 0 {
                return Ok(self.take(n_seen, n_seen));
            }
            if is_newest {
                return Ok(Step::End);
            }
            let next = self.place.file + 1;
            let is_gap =
                files.with(self.place.file, |it| Ok(it.is_damaged))? || files.with(next, |it| Ok(it.is_behind_gap))?;
            if is_gap && let Some(line) = self.pieces.give_up() {
                // The rest of it is in the gap; what is behind belongs to others.
                return Ok(Step::Line(line));
            }
            self.move_to(next);
            return Ok(if is_gap { Step::Gap(Gap::UNKNOWN) } else { Step::Nothing });
        }
    }

    /// Reads from the file behind what is there, and gives how much that is.
    fn read_on(&mut self, files: &mut Files) -> Result<usize, Error> {
        self.block.copy_within(self.taken..self.filled, 0);
        (self.taken, self.filled) = (0, self.filled - self.taken);
        if self.block.len() < self.filled + BLOCK_LEN {
            self.block.resize(self.filled + BLOCK_LEN, 0);
        }
        let offset = self.place.offset + self.filled as u64;
        let n = files.with(self.place.file, |it| it.read_at(offset, &mut self.block[self.filled..]))?;
        self.filled += n;
        Ok(n)
    }

    /// Takes an entry of `len` bytes, of which the last may be the line feed.
    fn take(&mut self, len: usize, len_of_entry: usize) -> Step {
        let from = self.place;
        let raw = &self.block[self.taken..self.taken + len_of_entry];
        let step = if std::mem::take(&mut self.is_skipping) {
            None
        } else {
            let entry = Entry::parse(raw).or_else(|| {
                self.n_unreadable += 1;
                Entry::salvage(raw)
            });
            Some(entry.and_then(|it| self.pieces.push(it, from)))
        };
        self.n_unreadable += u64::from(step.is_none());
        self.pass(len);
        step.flatten().map_or(Step::Nothing, Step::Line)
    }

    fn pass(&mut self, len: usize) {
        self.taken += len;
        self.place.offset += len as u64;
        self.n_walked += len as u64;
    }

    fn move_to(&mut self, file: u64) {
        self.place = Place { file, offset: 0 };
        (self.taken, self.filled) = (0, 0);
        self.is_skipping = false;
    }
}

/// Eight bytes at a time: it is looked for in every byte that a container writes.
pub(super) fn position_of_line_feed(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    const LINE_FEEDS: u64 = u64::from_ne_bytes([b'\n'; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        // A byte of 0 is the only one that borrows without having had its high bit set.
        let zeroed = u64::from_le_bytes(*word) ^ LINE_FEEDS;
        let found = zeroed.wrapping_sub(ONES) & !zeroed & HIGHS;
        if found != 0 {
            return Some(n * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let n_before = words.len() * 8;
    rest.iter().position(|it| *it == b'\n').map(|it| n_before + it)
}

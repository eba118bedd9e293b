//! One container's lines: what is there, and what comes.

use super::files::{Files, Place};
use super::line::{Cursor, Gap, Item, Line};
use super::pieces::Whole;
use super::walk::{Step, Walk};
use super::{Error, Filter, start};
use std::path::Path;

/// How much one call may take. It ends with whichever comes first, and goes on where it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// So many lines handed out.
    pub(crate) n_lines: usize,
    /// So many bytes of the files looked at, whether they pass the filter or not. It is exceeded by one line at most.
    pub(crate) n_bytes: u64,
}

/// What one call gives.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Batch {
    /// In the log's order.
    pub(crate) items: Vec<Item>,
    /// Whether there is more already; if not, it is worth while to wait a little.
    pub(crate) is_more: bool,
}

/// Reads one container's log. It begins with the oldest line that the filter asks for; [`Reader::tail`] and
/// [`Reader::seek`] have it begin elsewhere.
#[derive(Debug)]
pub(crate) struct Reader {
    files: Files,
    walk: Walk,
    filter: Filter,
    cursor: Cursor,
    /// Complete lines that were handed out before, by a reader whose cursor this one has.
    n_delivered: u64,
    /// Lines that pass the filter, but are more than were asked for.
    n_surplus: u64,
    /// Farther behind than so many bytes it jumps ahead.
    behind_max: Option<u64>,
    /// It has been at the end; since then it follows what comes.
    has_caught_up: bool,
    /// Nobody writes to the log any more.
    is_final: bool,
    /// Nothing that is wanted can come any more.
    is_over: bool,
    gap: Option<Gap>,
}

/// What one entry has come to.
#[derive(Debug)]
pub(super) enum Found {
    Item(Item),
    /// Nothing to hand out, but there may be more.
    Nothing,
    /// The end of what there is.
    End,
}

impl Reader {
    /// Opens the log of which `current` is the file being written, `<id>-json.log`, with all that were rotated. What
    /// there is at this moment is read whatever becomes of it. A log that is not there yet, or no more, is empty.
    pub(crate) fn open(current: &Path, filter: Filter) -> Result<Self, Error> {
        let mut files = Files::open(current)?;
        let place = match filter.earliest_ns() {
            Some(time_ns) => start::since(&mut files, time_ns)?,
            None => Place { file: files.first(), offset: 0 },
        };
        Ok(Self {
            files,
            walk: Walk::from(place),
            filter,
            cursor: Cursor::default(),
            n_delivered: 0,
            n_surplus: 0,
            behind_max: None,
            has_caught_up: false,
            is_final: false,
            is_over: false,
            gap: None,
        })
    }

    /// Begins with the last `n` lines that pass the filter.
    pub(crate) fn tail(&mut self, n: u64) -> Result<(), Error> {
        let (place, n_surplus) = start::tail(&mut self.files, n, &self.filter, self.is_final)?;
        self.walk = Walk::from(place);
        self.n_surplus = n_surplus;
        Ok(())
    }

    /// Begins where another reader of this log was. If that file is gone, with the oldest and a gap before it.
    pub(crate) fn seek(&mut self, cursor: Cursor) -> Result<(), Error> {
        let oldest = Place { file: self.files.first(), offset: 0 };
        let mut place = oldest;
        if cursor != Cursor::default() {
            let file = self.files.find(cursor.born_ns, cursor.inode)?;
            let len = file.map(|it| self.files.with(it, |file| file.len())).transpose()?;
            match file.filter(|_| len.is_some_and(|it| it >= cursor.offset)) {
                Some(file) => {
                    place = Place { file, offset: cursor.offset };
                    self.n_delivered = cursor.delivered;
                }
                None => self.gap = Some(Gap::UNKNOWN),
            }
        }
        self.cursor = cursor;
        self.walk = Walk::from(place);
        Ok(())
    }

    /// Jumps ahead, once it has caught up, whenever it is farther behind than this: its client is slower than the
    /// container, and wants to see what happens now. Otherwise it reads everything, as long as files are there.
    pub(crate) fn jump_if_behind(&mut self, n_bytes: u64) {
        self.behind_max = Some(n_bytes);
    }

    /// Says that nobody writes to the log any more, or that what comes is not asked for: what is left of lines that
    /// were never completed is handed out as well.
    pub(crate) fn finish(&mut self) {
        self.is_final = true;
    }

    /// Whether it was told so.
    pub(super) fn is_finished(&self) -> bool {
        self.is_final
    }

    /// What has come since, at most so much.
    #[cfg(test)]
    pub(crate) fn poll(&mut self, limits: Limits) -> Result<Batch, Error> {
        self.begin()?;
        let mut items = Vec::new();
        let n_walked = self.n_walked();
        while items.len() < limits.n_lines && self.n_walked() - n_walked < limits.n_bytes {
            match self.step()? {
                Found::Item(item) => items.push(item),
                Found::Nothing => {}
                Found::End => return Ok(Batch { items, is_more: false }),
            }
        }
        Ok(Batch { items, is_more: true })
    }

    /// Where a reader of this log would go on. A gap that was not handed out yet is before it, and is found again.
    pub(crate) fn cursor(&mut self) -> Result<Cursor, Error> {
        let (place, n_overtaken) = self.walk.restart();
        if place.file < self.files.end() && self.gap.is_none() {
            let (born_ns, inode) = self.files.identity(place.file)?;
            // At the beginning of a file it is still known by the one before, as long as this one is empty.
            if place.offset > 0 || born_ns != 0 {
                let delivered = n_overtaken + self.n_delivered;
                self.cursor = Cursor { born_ns, inode, offset: place.offset, delivered };
            }
        }
        Ok(self.cursor)
    }

    /// How many entries were skipped because they are none: torn by a crash, or written by somebody else.
    #[cfg(test)]
    pub(crate) fn n_unreadable(&self) -> u64 {
        self.walk.n_unreadable
    }

    /// How many files it holds open.
    #[cfg(test)]
    pub(super) fn n_files(&self) -> u64 {
        self.files.end() - self.files.first()
    }

    /// How many bytes it has looked at.
    pub(super) fn n_walked(&self) -> u64 {
        self.walk.n_walked
    }

    /// Before a batch: sees what was rotated, and jumps ahead if need be.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.refresh()?;
        // Open files fill the disk, removed as they may be, however long a line waits for its rest.
        let (restart, _) = self.walk.restart();
        self.files.forget_before(self.walk.place().file, restart.file)?;
        if self.has_caught_up {
            self.look_for_rewriting()?;
        }
        match self.behind_max {
            Some(behind_max) if self.has_caught_up => self.jump(behind_max),
            _ => Ok(()),
        }
    }

    /// Takes one entry.
    pub(super) fn step(&mut self) -> Result<Found, Error> {
        if let Some(gap) = self.gap.take() {
            return Ok(Found::Item(Item::Gap(gap)));
        }
        if self.is_over {
            return Ok(Found::End);
        }
        match self.walk.step(&mut self.files, self.is_final)? {
            Step::Line(line) => self.pass(line),
            Step::Nothing => Ok(Found::Nothing),
            Step::Gap(gap) => Ok(Found::Item(Item::Gap(gap))),
            Step::End => {
                // Files that are there are read to their ends before what was rotated meanwhile.
                if self.refresh()? {
                    return Ok(Found::Nothing);
                }
                self.has_caught_up = true;
                // By which the file is known again.
                self.cursor()?;
                if self.is_final
                    && let Some(line) = self.walk.give_up()
                {
                    return self.pass(line);
                }
                Ok(Found::End)
            }
        }
    }

    /// Hands a line out, if it is wanted.
    fn pass(&mut self, line: Whole) -> Result<Found, Error> {
        if self.n_delivered > 0 {
            self.n_delivered -= 1;
            return Ok(Found::Nothing);
        }
        self.is_over = self.filter.ends_before(&line);
        if !self.filter.passes(&line) {
            return Ok(Found::Nothing);
        }
        if self.n_surplus > 0 {
            self.n_surplus -= 1;
            return Ok(Found::Nothing);
        }
        let next = self.cursor()?;
        let Whole { time_ns, stream, text } = line;
        Ok(Found::Item(Item::Line(Line { time_ns, stream, text, next })))
    }

    /// Whether there are newer files than before.
    fn refresh(&mut self) -> Result<bool, Error> {
        let n_before = self.files.end();
        self.files.refresh()?;
        Ok(self.files.end() > n_before)
    }

    /// Begins anew with a file that was emptied. What was not read of it before is gone, if there was something.
    fn look_for_rewriting(&mut self) -> Result<(), Error> {
        let place = self.walk.place();
        if place.file < self.files.end() && self.files.with(place.file, |it| it.is_rewritten(place.offset))? {
            self.walk.jump_to(Place { file: place.file, offset: 0 });
            self.gap = Some(Gap::UNKNOWN);
        }
        Ok(())
    }

    /// Jumps to near the end.
    fn jump(&mut self, behind_max: u64) -> Result<(), Error> {
        let place = self.walk.place();
        if self.files.bytes_after(place)? <= behind_max {
            return Ok(());
        }
        // What is left is as much as a client reads at leisure, and so much less that it does not jump every time.
        let target = start::near_end(&mut self.files, behind_max / 8, place)?;
        if target > place {
            let counted = start::count_entries(&mut self.files, place, target)?.map(|(n_entries, n_bytes)| {
                let n_lines = (n_entries + self.walk.n_open()).saturating_sub(self.n_delivered);
                Gap { lines: Some(n_lines), bytes: Some(n_bytes) }
            });
            self.walk.jump_to(target);
            (self.n_delivered, self.n_surplus) = (0, 0);
            // A gap of which nobody knows how large it is stays one.
            self.gap = counted.filter(|_| self.gap.is_none()).or(Some(Gap::UNKNOWN));
        }
        Ok(())
    }
}

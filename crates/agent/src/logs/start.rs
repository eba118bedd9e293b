//! Where a reader begins, found without reading what is before.

use super::Error;
use super::entry::Entry;
use super::file::{ENTRY_LEN_MAX, LogFile};
use super::files::{Files, Place};
use super::filter::Filter;
use super::pieces::{PIECE_LEN, Pieces};
use super::walk::{Step, Walk, position_of_line_feed};

/// How much is looked at when the beginning of an open line is looked for, and at most at once on the way back: more than
/// two entries of any length.
const STRETCH_LEN: u64 = 2 * ENTRY_LEN_MAX as u64;

/// How much is looked at first on the way back: the hundred lines that most ask for.
const FIRST_STRETCH_LEN: u64 = 32 * 1024;

/// The first entry that is not older, or one soon before it; found by halving, for a log is in the order of time but for
/// what [`super::filter::DISORDER_NS`] allows, and but for clocks that were set.
pub(super) fn since(files: &mut Files, time_ns: u64) -> Result<Place, Error> {
    let mut file = files.first();
    for number in files.first()..files.end() {
        let born_ns = files.with(number, LogFile::born_ns)?;
        if born_ns != 0 && born_ns <= time_ns {
            file = number;
        }
    }
    if file == files.end() {
        return Ok(Place { file, offset: 0 });
    }
    // All before `low` is older.
    let (mut low, mut high) = (0, files.with(file, |it| it.len())?);
    while high - low > STRETCH_LEN {
        let middle = low + (high - low) / 2;
        let start = entry_from(files, Place { file, offset: middle })?;
        match time_at(files, Place { file, offset: start }, high)? {
            Some((time, end)) if time < time_ns => low = end,
            _ => high = middle,
        }
    }
    unbroken(files, Place { file, offset: low }, Place { file: files.first(), offset: 0 })
}

/// Where `n` lines that pass the filter are left, or a few more: and how many more. Reads backwards, a stretch at a
/// time, only as far as it has to.
pub(super) fn tail(files: &mut Files, n: u64, filter: &Filter, is_final: bool) -> Result<(Place, u64), Error> {
    let oldest = Place { file: files.first(), offset: 0 };
    let mut end = Place { file: files.end(), offset: 0 };
    let mut n_found = 0;
    let mut is_last = true;
    let mut len = FIRST_STRETCH_LEN;
    while end > oldest && (is_last || n_found < n) {
        let start = stretch_before(files, end, len)?;
        let start = unbroken(files, start, oldest)?;
        n_found += count(files, start, end, filter, is_final && is_last)?;
        (end, is_last) = (start, false);
        len = STRETCH_LEN.min(len * 2);
    }
    Ok((end, n_found.saturating_sub(n)))
}

/// The end of an entry near `distance` bytes before the end of the log, with no line across it; not before `lower`.
pub(super) fn near_end(files: &mut Files, distance: u64, lower: Place) -> Result<Place, Error> {
    let mut left = distance;
    for number in (lower.file..files.end()).rev() {
        let len = files.with(number, |it| it.len())?;
        if len >= left {
            let offset = entry_from(files, Place { file: number, offset: len - left })?;
            return unbroken(files, Place { file: number, offset }, lower).map(|it| it.max(lower));
        }
        left -= len;
    }
    Ok(lower)
}

/// How many entries and bytes there are between two places, if nothing is missing there.
pub(super) fn count_entries(files: &mut Files, from: Place, to: Place) -> Result<Option<(u64, u64)>, Error> {
    let (mut n_entries, mut n_bytes) = (0, 0);
    let mut buf = vec![0; STRETCH_LEN as usize];
    for number in from.file..=to.file.min(files.end().saturating_sub(1)) {
        let mut offset = if number == from.file { from.offset } else { 0 };
        if number > from.file && files.with(number, |it| Ok(it.is_behind_gap))? {
            return Ok(None);
        }
        loop {
            let left = if number == to.file { to.offset.saturating_sub(offset) } else { u64::MAX };
            let room = left.min(STRETCH_LEN) as usize;
            let n = files.with(number, |it| it.read_at(offset, &mut buf[..room]))?;
            if n == 0 {
                break;
            }
            let mut rest = &buf[..n];
            while let Some(n) = position_of_line_feed(rest) {
                n_entries += 1;
                rest = &rest[n + 1..];
            }
            offset += n as u64;
            n_bytes += n as u64;
        }
        if files.with(number, |it| Ok(it.is_damaged))? {
            return Ok(None);
        }
    }
    Ok(Some((n_entries, n_bytes)))
}

/// Where the first of the entries begins that lie in so many bytes before `end`; if none does, the one that ends there.
fn stretch_before(files: &mut Files, mut end: Place, mut len: u64) -> Result<Place, Error> {
    if end.offset == 0 {
        let file = end.file - 1;
        end = Place { file, offset: files.with(file, |it| it.len())? };
    }
    while len < end.offset {
        let offset = entry_from(files, Place { file: end.file, offset: end.offset - len })?;
        if offset < end.offset {
            return Ok(Place { file: end.file, offset });
        }
        len *= 2;
    }
    Ok(Place { file: end.file, offset: 0 })
}

/// How many lines pass the filter that are complete between two places.
fn count(files: &mut Files, from: Place, to: Place, filter: &Filter, is_final: bool) -> Result<u64, Error> {
    let mut walk = Walk::from(from);
    let mut n = 0;
    while walk.place() < to {
        match walk.step(files, is_final)? {
            Step::Line(line) => n += u64::from(filter.passes(&line)),
            Step::Nothing | Step::Gap(_) => {}
            Step::End => break,
        }
    }
    if is_final {
        while let Some(line) = walk.give_up() {
            n += u64::from(filter.passes(&line));
        }
    }
    Ok(n)
}

/// The first entry that begins at this offset or behind it; the file's end, if none does.
fn entry_from(files: &mut Files, place: Place) -> Result<u64, Error> {
    let Some(mut offset) = place.offset.checked_sub(1) else { return Ok(0) };
    let mut buf = vec![0; 16 * 1024];
    loop {
        let n = files.with(place.file, |it| it.read_at(offset, &mut buf))?;
        if let Some(n) = position_of_line_feed(&buf[..n]) {
            return Ok(offset + n as u64 + 1);
        }
        if n == 0 {
            return Ok(offset.max(place.offset));
        }
        offset += n as u64;
    }
}

/// The time of the first readable entry from `place` on and before `end`, and where that entry ends.
fn time_at(files: &mut Files, place: Place, end: u64) -> Result<Option<(u64, u64)>, Error> {
    let mut offset = place.offset;
    let mut buf = vec![0; ENTRY_LEN_MAX.min(end.saturating_sub(offset) as usize)];
    let n = files.with(place.file, |it| it.read_at(offset, &mut buf))?;
    for raw in buf[..n].split_inclusive(|it| *it == b'\n') {
        offset += raw.len() as u64;
        if let Some(entry) = Entry::parse(raw) {
            return Ok(Some((entry.time_ns, offset)));
        }
    }
    Ok(None)
}

/// The same place, or an earlier one, at which no line is open: where a line's pieces lie across it, its first. That is
/// seen in a stretch before it, and a piece is a long entry.
fn unbroken(files: &mut Files, mut place: Place, lower: Place) -> Result<Place, Error> {
    while place > lower {
        let mut pieces = Pieces::default();
        for (from, stretch) in stretches_before(files, place)? {
            let mut from = from;
            let entries = stretch.split_inclusive(|it| *it == b'\n');
            // The other stream's last entry may be short.
            if !stretch.is_empty() && (pieces.len() > 0 || entries.clone().any(|it| it.len() > PIECE_LEN)) {
                for raw in entries {
                    if let Some(entry) = Entry::parse(raw) {
                        pieces.push(entry, from);
                    }
                    from.offset += raw.len() as u64;
                }
            }
        }
        match pieces.earliest() {
            Some((first, _)) => place = first,
            None => return Ok(place),
        }
    }
    Ok(lower)
}

/// The entries in a stretch before `place`, which may lie across two files.
fn stretches_before(files: &mut Files, place: Place) -> Result<Vec<(Place, Vec<u8>)>, Error> {
    let mut stretches = Vec::new();
    let (mut file, mut end, mut room) = (place.file, place.offset, STRETCH_LEN);
    loop {
        let start = end.saturating_sub(room);
        let offset = entry_from(files, Place { file, offset: start })?.min(end);
        let mut stretch = vec![0; (end - offset) as usize];
        let n = files.with(file, |it| it.read_at(offset, &mut stretch))?;
        stretch.truncate(n);
        stretches.push((Place { file, offset }, stretch));
        room -= end - start;
        if room == 0 || file == files.first() {
            break;
        }
        file -= 1;
        end = files.with(file, |it| it.len())?;
    }
    stretches.reverse();
    Ok(stretches)
}

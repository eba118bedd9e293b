//! From files to what the member knows.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use raft::eraftpb::{Entry, HardState};

use super::frame::{Frame, Mark};
use super::segment::{self, Scan};
use super::snapshot::{self, SnapshotFile};
use super::{Disk, Error, Log, Options, Recovered, Segment};

/// See [`Log::open`]. Reads everything first and writes only when all of it is sound.
pub(super) fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Log, Recovered), Error> {
    let names = disk.list().map_err(Error::io("list", "the data directory"))?;
    let mut found = read_segments(&*disk, &names)?;
    let snapshot = load_snapshot(&*disk, &names)?;
    let next_number = check_numbers(&found, snapshot.as_ref())?;
    let replayed = replay(&mut found)?;
    let (recovered, superseded) = merge(replayed, snapshot, &found)?;

    let mut log = tidy(disk, options, &names, found, next_number, &recovered)?;
    log.superseded = superseded;
    Ok((log, recovered))
}

struct Read {
    name: String,
    sequence: u64,
    bytes: u64,
    scan: Scan,
}

impl Read {
    fn damaged(&self, offset: usize, reason: &'static str) -> Error {
        Error::Damaged { file: self.name.clone(), offset: offset as u64, reason }
    }
}

/// Reads the segments, oldest first.
fn read_segments(disk: &dyn Disk, names: &[String]) -> Result<Vec<Read>, Error> {
    let mut sequences: Vec<u64> = names.iter().filter_map(|it| segment::sequence(it)).collect();
    sequences.sort_unstable();
    sequences
        .into_iter()
        .map(|sequence| {
            let name = segment::name(sequence);
            let content = Bytes::from(disk.read(&name).map_err(Error::io("read", &name))?);
            Ok(Read { bytes: content.len() as u64, scan: segment::scan(&name, sequence, &content)?, name, sequence })
        })
        .collect()
}

fn load_snapshot(disk: &dyn Disk, names: &[String]) -> Result<Option<SnapshotFile>, Error> {
    let names: Vec<_> = names.iter().filter(|it| snapshot::index(it).is_some()).cloned().collect();
    snapshot::load(disk, &names)
}

/// Checks that no frame is missing between segments or at the end, and returns the next number.
fn check_numbers(found: &[Read], snapshot: Option<&SnapshotFile>) -> Result<u64, Error> {
    let mut next: Option<(u64, &Read)> = None;
    for read in found {
        let Some(first) = read.scan.first_number else { continue };
        if let Some((expected, before)) = next
            && expected != first
        {
            return Err(before.damaged(before.scan.end, "frames are missing behind it"));
        }
        next = Some((first + read.scan.frames.len() as u64, read));
    }
    let number = next.map_or(1, |it| it.0);
    match snapshot {
        Some(snapshot) if snapshot.next_frame > number => Err(Error::Damaged {
            file: next.map_or_else(|| "the log".to_owned(), |it| it.1.name.clone()),
            offset: next.map_or(0, |it| it.1.scan.end as u64),
            reason: "frames older than the snapshot are missing",
        }),
        _ => Ok(number),
    }
}

#[derive(Default)]
struct Replayed {
    hard_state: HardState,
    /// Where the entries begin, when a frame said so.
    base: Option<Mark>,
    entries: Vec<Entry>,
}

/// Does again what the frames say.
fn replay(found: &mut [Read]) -> Result<Replayed, Error> {
    let mut log = Replayed::default();
    for read in found {
        for frame in std::mem::take(&mut read.scan.frames) {
            log.take(frame).map_err(|reason| read.damaged(0, reason))?;
        }
    }
    Ok(log)
}

impl Replayed {
    fn take(&mut self, frame: Frame) -> Result<(), &'static str> {
        if let Some(hard_state) = frame.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(mark) = frame.snapshot {
            self.entries.clear();
            self.base = Some(mark);
        }
        let Some(first) = frame.entries.first() else {
            return Ok(());
        };
        if let Some(next) = self.next_index() {
            if first.index > next {
                return Err("entries are missing");
            }
            let start = self.entries.first().map_or(next, |it| it.index);
            if first.index < start && self.base.is_some() {
                return Err("an entry stands before the snapshot it follows");
            }
            self.entries.truncate(first.index.saturating_sub(start) as usize);
        }
        self.entries.extend(frame.entries);
        Ok(())
    }

    fn next_index(&self) -> Option<u64> {
        let last = self.entries.last().map(|it| it.index);
        last.or(self.base.map(|it| it.index)).map(|it| it + 1)
    }
}

/// Joins log and snapshot. The newest snapshot always wins: only committed state is ever snapshotted, so where the
/// log disagrees or ends before it, the log holds nothing that counts.
///
/// In that case its mark is returned as well: a frame has to say so before anything is appended, or the next start
/// would take what is behind the snapshot for a continuation of what stood in the log before.
fn merge(log: Replayed, snapshot: Option<SnapshotFile>, found: &[Read]) -> Result<(Recovered, Option<Mark>), Error> {
    let damaged = |reason| Error::Damaged {
        file: found.first().map_or_else(|| "the log".to_owned(), |it| it.name.clone()),
        offset: 0,
        reason,
    };
    let Replayed { mut hard_state, base, mut entries } = log;
    let mark = snapshot.as_ref().map(|it| it.mark).unwrap_or_default();
    if base.is_some_and(|it| it.index > mark.index) {
        return Err(damaged("the snapshot it continues is missing"));
    }
    if entries.first().is_some_and(|it| it.index > mark.index + 1) {
        return Err(damaged("entries between it and the snapshot are missing"));
    }
    let at_mark = entries.iter().position(|it| it.index == mark.index);
    let mut superseded = None;
    match at_mark {
        Some(at) if entries[at].term == mark.term => drop(entries.drain(..=at)),
        // The entries begin right behind it.
        None if entries.first().is_some_and(|it| it.index == mark.index + 1) => {}
        _ => {
            entries.clear();
            superseded = snapshot.as_ref().map(|it| it.mark).filter(|it| base != Some(*it));
        }
    }
    hard_state.commit = hard_state.commit.max(mark.index);
    let last = entries.last().map_or(mark.index, |it| it.index);
    if hard_state.commit > last {
        return Err(damaged("entries that were committed are missing"));
    }
    if mark.term > hard_state.term {
        // Installed, but the frame that goes with it was torn. No vote was given in a term not yet known.
        hard_state.term = mark.term;
        hard_state.vote = 0;
    }
    Ok((Recovered { hard_state, snapshot, entries }, superseded))
}

/// Removes what is of no use, wipes a torn tail and returns the log ready for appending.
fn tidy(
    disk: Arc<dyn Disk>,
    options: Options,
    names: &[String],
    found: Vec<Read>,
    next_number: u64,
    recovered: &Recovered,
) -> Result<Log, Error> {
    let newest = recovered.snapshot.as_ref().map_or(0, |it| it.mark.index);
    for name in names {
        let superfluous = name.starts_with("spare-")
            || name.starts_with(snapshot::UNFINISHED)
            || snapshot::index(name).is_some_and(|it| it < newest);
        if superfluous {
            disk.remove(name).map_err(Error::io("remove", name))?;
        }
    }
    let mut segments = VecDeque::new();
    let mut last = None;
    for read in found {
        if read.scan.first_number.is_none() {
            // Never finished. What it may hold shall not be there when its name is used again.
            disk.remove(&read.name).map_err(Error::io("remove", &read.name))?;
            continue;
        }
        segments.push_back(Segment { sequence: read.sequence, bytes: read.bytes, last_index: read.scan.last_index });
        last = Some(read);
    }
    let mut offset = 0;
    if let Some(read) = &last {
        offset = read.scan.end as u64;
        if read.scan.dirty {
            let zeros = vec![0; (read.bytes - offset) as usize];
            disk.write_at(&read.name, offset, &zeros).map_err(Error::io("wipe the tail of", &read.name))?;
            disk.sync(&read.name).map_err(Error::io("sync", &read.name))?;
        }
    }
    disk.sync_dir().map_err(Error::io("sync", "the data directory"))?;
    Ok(Log {
        disk,
        options,
        segments,
        spares: Vec::new(),
        offset,
        next_number,
        next_spare: 0,
        hard_state: recovered.hard_state.clone(),
        superseded: None,
        buffer: Vec::new(),
    })
}

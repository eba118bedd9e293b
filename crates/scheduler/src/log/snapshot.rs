//! One file that stands for everything up to an index.
//!
//! ```text
//! magic 8 │ version u32 │ crc32 u32 │ index u64 │ term u64 │ next frame u64 │ data length u64
//! voters u32, voter u64 …, learners u32, learner u64 …, data
//! ```
//! The checksum covers everything after itself.
//! A joint configuration is never snapshotted: the member waits until it has left it.

use std::io;

use bytes::Bytes;
use raft::eraftpb::{ConfState, Snapshot};

use super::frame::Mark;
use super::{Disk, Error};

const MAGIC: &[u8; 8] = b"ekidenSN";
const VERSION: u32 = 1;
/// Files that were being written when the process ended begin like this, and go at the next start.
pub(super) const UNFINISHED: &str = "unfinished-";

/// The state of the machine after one entry, as bytes, and where in the log that is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SnapshotFile {
    /// The last entry that is contained.
    pub mark: Mark,
    /// Who votes.
    pub voters: Vec<u64>,
    /// Who only listens.
    pub learners: Vec<u64>,
    /// Number of the frame that the log would have written next. A log that ends before has lost frames.
    pub next_frame: u64,
    /// The machine's state in its own encoding.
    pub data: Bytes,
}

impl SnapshotFile {
    /// Returns what raft sends to a member that is too far behind.
    pub fn to_raft(&self) -> Snapshot {
        let mut snapshot = Snapshot { data: self.data.clone(), ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        metadata.index = self.mark.index;
        metadata.term = self.mark.term;
        metadata.set_conf_state(self.conf_state());
        snapshot
    }

    /// Reads what raft received from the leader. `next_frame` is the receiving log's.
    pub fn from_raft(snapshot: &Snapshot, next_frame: u64) -> Self {
        let metadata = snapshot.get_metadata();
        Self {
            mark: Mark { index: metadata.index, term: metadata.term },
            voters: metadata.get_conf_state().voters.clone(),
            learners: metadata.get_conf_state().learners.clone(),
            next_frame,
            data: snapshot.data.clone(),
        }
    }

    /// Returns the configuration of the group at that point.
    pub fn conf_state(&self) -> ConfState {
        ConfState::from((self.voters.clone(), self.learners.clone()))
    }
}

/// Returns the name of the snapshot up to `index`.
fn name(index: u64) -> String {
    format!("snapshot-{index:016}")
}

/// Returns the index in a snapshot's name.
pub(super) fn index(name: &str) -> Option<u64> {
    name.strip_prefix("snapshot-")?.parse().ok()
}

/// Writes a snapshot so that it is there as a whole or not at all, then removes older ones.
///
/// May run on any thread, beside appends to the log.
///
/// # Errors
/// [`Error::Io`]. Nothing is lost then; the log must not be compacted.
pub fn write(disk: &dyn Disk, snapshot: &SnapshotFile) -> Result<(), Error> {
    let name = name(snapshot.mark.index);
    let unfinished = format!("{UNFINISHED}{name}");
    let io = |operation| Error::io(operation, &name);
    // What an earlier attempt left may be longer than this one.
    disk.remove(&unfinished).map_err(io("remove"))?;
    if let Err(error) = write_unfinished(disk, &unfinished, snapshot) {
        // Half a snapshot only takes room, which may be what was missing.
        let _ = disk.remove(&unfinished);
        return Err(io("write")(error));
    }
    disk.rename(&unfinished, &name).map_err(io("rename"))?;
    disk.sync_dir().map_err(io("sync the directory of"))?;
    for old in disk.list().map_err(io("list"))? {
        if index(&old).is_some_and(|it| it < snapshot.mark.index) {
            disk.remove(&old).map_err(io("remove one older than"))?;
        }
    }
    Ok(())
}

fn write_unfinished(disk: &dyn Disk, name: &str, snapshot: &SnapshotFile) -> io::Result<()> {
    let head = head(snapshot);
    disk.write_at(name, 0, &head)?;
    disk.write_at(name, head.len() as u64, &snapshot.data)?;
    disk.sync(name)
}

fn head(snapshot: &SnapshotFile) -> Vec<u8> {
    let mut head = Vec::with_capacity(128);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&[0; 4]);
    for number in [snapshot.mark.index, snapshot.mark.term, snapshot.next_frame, snapshot.data.len() as u64] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    for members in [&snapshot.voters, &snapshot.learners] {
        head.extend_from_slice(&(members.len() as u32).to_le_bytes());
        for member in members {
            head.extend_from_slice(&member.to_le_bytes());
        }
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[16..]);
    crc.update(&snapshot.data);
    head[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
    head
}

/// Loads the newest snapshot, if there is one.
///
/// # Errors
/// [`Error::Damaged`] when it does not verify: it had been synced before it got its name, so this is decay, and
/// to fall back to an older one in silence would forget acknowledged changes.
pub(super) fn load(disk: &dyn Disk, names: &[String]) -> Result<Option<SnapshotFile>, Error> {
    let Some(name) = names.iter().max_by_key(|it| index(it)).filter(|it| index(it).is_some()) else {
        return Ok(None);
    };
    let bytes = Bytes::from(disk.read(name).map_err(Error::io("read", name))?);
    let damaged = |reason| Error::Damaged { file: name.clone(), offset: 0, reason };
    if bytes.len() < 48 || bytes[..8] != *MAGIC {
        return Err(damaged("the header is unreadable"));
    }
    let version = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
    if version != VERSION {
        return Err(Error::Version { file: name.clone(), found: version, supported: VERSION });
    }
    if bytes[12..16] != crc32fast::hash(&bytes[16..]).to_le_bytes() {
        return Err(damaged("the checksum is wrong"));
    }
    parse(&bytes).map(Some).ok_or_else(|| damaged("the lengths disagree"))
}

fn parse(bytes: &Bytes) -> Option<SnapshotFile> {
    let mut at = 16;
    let mut take = |n: usize| {
        let it = bytes.get(at..at + n)?;
        at += n;
        Some(it)
    };
    let mut number = || take(8)?.try_into().ok().map(u64::from_le_bytes);
    let (index, term, next_frame, length) = (number()?, number()?, number()?, number()?);
    let mut members = || {
        let n = u32::from_le_bytes(take(4)?.try_into().ok()?);
        (0..n).map(|_| take(8)?.try_into().ok().map(u64::from_le_bytes)).collect::<Option<Vec<_>>>()
    };
    let (voters, learners) = (members()?, members()?);
    (bytes.len() == at + length as usize).then(|| SnapshotFile {
        mark: Mark { index, term },
        voters,
        learners,
        next_frame,
        data: bytes.slice(at..),
    })
}

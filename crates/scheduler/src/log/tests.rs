//! What survives, what is cut off, and what is refused.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const OPTIONS: Options = Options { segment_bytes: 2048 };

fn entry(index: u64, term: u64, length: usize) -> Entry {
    Entry {
        index,
        term,
        data: vec![(index % 251) as u8; length].into(),
        context: Bytes::from_static(b"context"),
        ..Entry::default()
    }
}

fn frame(term: u64, commit: u64, indices: impl IntoIterator<Item = u64>, length: usize) -> Frame {
    let hard_state = HardState { term, vote: 1, commit, ..HardState::default() };
    Frame {
        hard_state: Some(hard_state),
        snapshot: None,
        entries: indices.into_iter().map(|it| entry(it, term, length)).collect(),
    }
}

fn open(disk: &Memory) -> Result<(Log, Recovered), Error> {
    Log::open(Arc::new(disk.clone()), OPTIONS)
}

fn snapshot(index: u64, term: u64, next_frame: u64) -> SnapshotFile {
    SnapshotFile {
        mark: Mark { index, term },
        voters: vec![1, 2, 3],
        learners: vec![4],
        next_frame,
        data: Bytes::from(vec![7; 1000]),
    }
}

fn indices(recovered: &Recovered) -> Vec<u64> {
    recovered.entries.iter().map(|it| it.index).collect()
}

/// A disk with frames 1 to `n`, one entry each, over several segments.
fn filled(n: u64) -> (Memory, Log) {
    let disk = Memory::new();
    let (mut log, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.entries, []);
    for index in 1..=n {
        log.append(&frame(1, index - 1, [index], 100)).unwrap();
    }
    (disk, log)
}

fn last_segment(disk: &Memory) -> String {
    let names = disk.list().unwrap();
    let segments = names.into_iter().filter(|it| it.starts_with("segment-"));
    segments.max().unwrap()
}

#[test]
fn what_was_appended_is_there_after_a_power_cut() {
    let (disk, log) = filled(40);
    assert!(log.segments.len() > 2);
    disk.crash(|_| 0);
    let (log, recovered) = open(&disk).unwrap();
    assert_eq!(indices(&recovered), (1..=40).collect::<Vec<_>>());
    assert_eq!(recovered.entries[7], entry(8, 1, 100));
    assert_eq!(recovered.hard_state.commit, 39);
    assert_eq!(log.next_number(), 41);
}

#[test]
fn an_entry_with_a_known_index_cuts_the_log_off() {
    let (disk, mut log) = filled(20);
    log.append(&frame(2, 11, 12..=14, 5)).unwrap();
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(indices(&recovered), (1..=14).collect::<Vec<_>>());
    assert_eq!(recovered.entries[11].term, 2);
    assert_eq!(recovered.entries[10].term, 1);
}

#[test]
fn a_frame_longer_than_a_segment_gets_its_own() {
    let (disk, mut log) = filled(3);
    log.append(&frame(1, 3, 4..=6, 5000)).unwrap();
    log.append(&frame(1, 6, [7], 10)).unwrap();
    disk.crash(|_| 0);
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(indices(&recovered), (1..=7).collect::<Vec<_>>());
}

#[test]
fn a_torn_tail_is_cut_off_at_every_byte() {
    let (whole, _) = filled(30);
    let name = last_segment(&whole);
    let bytes = Bytes::from(whole.read(&name).unwrap());
    let sequence = segment::sequence(&name).unwrap();
    let scan = segment::scan(&name, sequence, &bytes).unwrap();
    let mut buffer = Vec::new();
    scan.frames.last().unwrap().encode(sequence, 30, &mut buffer);
    let start = scan.end - buffer.len();

    for torn in start..scan.end {
        let disk = whole.fork();
        disk.write_at(&name, torn as u64, &vec![0; scan.end - torn]).unwrap();
        disk.sync(&name).unwrap();
        let (mut log, recovered) = open(&disk).unwrap();
        // Zeros at the end of a frame may be what stood there.
        let n = recovered.entries.len() as u64;
        assert!(n == 29 || (n == 30 && torn > start), "{n} entries when torn at {torn}");
        assert_eq!(log.next_number(), n + 1);

        // The wiped place can be written again.
        log.append(&frame(2, 29, [30], 3)).unwrap();
        disk.crash(|_| 0);
        let (_, again) = open(&disk).unwrap();
        assert_eq!(indices(&again), (1..=30).collect::<Vec<_>>());
        assert_eq!(again.entries[29].term, 2);
    }
}

#[test]
fn a_flipped_bit_before_the_last_frame_is_refused_with_its_place() {
    let (whole, _) = filled(30);
    let mut names = whole.list().unwrap();
    names.retain(|it| it.starts_with("segment-"));
    names.sort();
    for name in &names {
        let bytes = Bytes::from(whole.read(name).unwrap());
        let scan = segment::scan(name, segment::sequence(name).unwrap(), &bytes).unwrap();
        let mut last = Vec::new();
        scan.frames.last().unwrap().encode(0, 0, &mut last);
        let is_last = name == names.last().unwrap();
        let end = if is_last { scan.end - last.len() } else { scan.end };
        for at in (0..end).step_by(3) {
            if at < segment::HEADER && (12..16).contains(&at) || (36..segment::HEADER).contains(&at) {
                continue; // Zeros that say nothing.
            }
            let disk = whole.fork();
            disk.flip(name, at, 1 << (at % 8));
            match open(&disk) {
                Err(Error::Damaged { file, .. }) => assert!(names.contains(&file)),
                Err(Error::Version { .. }) => assert!((8..12).contains(&at)),
                Err(other) => panic!("{other} for byte {at} of {name}"),
                Ok((_, recovered)) => {
                    // Only the padding between frames may change without anybody noticing.
                    assert_eq!(recovered.entries.len(), 30, "byte {at} of {name}");
                }
            }
        }
    }
}

#[test]
fn a_missing_segment_is_refused() {
    let (disk, log) = filled(60);
    let middle = segment::name(log.segments[1].sequence);
    let last = last_segment(&disk);
    for name in [middle, last] {
        let disk = disk.fork();
        disk.sync_dir().unwrap();
        if name == last_segment(&disk) {
            write_snapshot(&disk, &snapshot(30, 1, 61)).unwrap();
        }
        disk.remove(&name).unwrap();
        let error = open(&disk).err().expect("refused");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
}

#[test]
fn compaction_recycles_and_stale_frames_never_verify() {
    let (disk, mut log) = filled(60);
    let n_before = log.segments.len();
    write_snapshot(&disk, &snapshot(50, 1, 61)).unwrap();
    log.compact(50).unwrap();
    assert!(log.segments.len() < n_before);
    assert_eq!(log.spares.len(), SPARES_MAX);
    // Shorter frames than the first time, so that old ones stand behind the new ones in full.
    for index in 61..=75 {
        log.append(&frame(1, index - 1, [index], 20)).unwrap();
        let disk = disk.fork();
        disk.crash(|_| 0);
        let (log, recovered) = open(&disk).unwrap();
        assert_eq!(recovered.snapshot.unwrap().mark.index, 50);
        assert_eq!(recovered.entries.first().unwrap().index, 51);
        assert_eq!(recovered.entries.last().unwrap().index, index);
        assert_eq!(log.next_number(), index + 1);
    }
}

#[test]
fn hard_state_outlives_the_segment_it_was_written_in() {
    let (disk, mut log) = filled(1);
    let mut voted = frame(9, 1, [], 0);
    voted.hard_state.as_mut().unwrap().vote = 3;
    log.append(&voted).unwrap();
    for index in 2..=60 {
        let entries = vec![entry(index, 9, 100)];
        log.append(&Frame { entries, ..Frame::default() }).unwrap();
    }
    write_snapshot(&disk, &snapshot(50, 9, log.next_number())).unwrap();
    log.compact(50).unwrap();
    disk.crash(|_| 0);
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!((recovered.hard_state.term, recovered.hard_state.vote), (9, 3));
    assert_eq!(recovered.hard_state.commit, 50);
}

#[test]
fn an_installed_snapshot_replaces_the_log() {
    let (disk, mut log) = filled(5);
    write_snapshot(&disk, &snapshot(100, 4, log.next_number())).unwrap();
    // Cut between file and frame: the snapshot counts, the shorter log does not.
    let cut = disk.fork();
    cut.crash(|_| 0);
    let (_, recovered) = open(&cut).unwrap();
    assert!(recovered.entries.is_empty());
    assert_eq!(recovered.hard_state.commit, 100);
    assert_eq!((recovered.hard_state.term, recovered.hard_state.vote), (4, 0));

    let mut installed = frame(4, 100, [], 0);
    installed.snapshot = Some(Mark { index: 100, term: 4 });
    log.append(&installed).unwrap();
    log.append(&frame(4, 100, 101..=103, 10)).unwrap();
    log.compact(100).unwrap();
    disk.crash(|_| 0);
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(indices(&recovered), [101, 102, 103]);
    let found = recovered.snapshot.unwrap();
    assert_eq!((found.voters, found.learners), (vec![1, 2, 3], vec![4]));
}

#[test]
fn an_unfinished_snapshot_does_not_count_and_a_flipped_one_is_refused() {
    let (disk, log) = filled(30);
    write_snapshot(&disk, &snapshot(10, 1, log.next_number())).unwrap();
    disk.write_at("unfinished-snapshot-20", 0, b"half").unwrap();
    let (_, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.snapshot.unwrap().mark.index, 10);
    assert!(!disk.list().unwrap().iter().any(|it| it.starts_with("unfinished")));

    let name = "snapshot-0000000000000010";
    for at in (0..disk.read(name).unwrap().len()).step_by(7) {
        let disk = disk.fork();
        disk.flip(name, at, 0x10);
        assert!(open(&disk).is_err(), "byte {at}");
    }
}

#[test]
fn a_spare_is_made_ahead_and_a_full_disk_is_an_error() {
    let (disk, mut log) = filled(1);
    while log.offset <= OPTIONS.segment_bytes / 2 {
        let index = log.next_number();
        log.append(&frame(1, 0, [index], 100)).unwrap();
    }
    let spare = log.wants_spare().unwrap().run().unwrap();
    log.prepared(spare);
    assert!(log.wants_spare().is_none());
    disk.set_full(true);
    let sequence = log.segments.back().unwrap().sequence;
    let res = (0..60).try_for_each(|_| log.append(&frame(1, 0, [log.next_number()], 100)));
    assert!(matches!(res, Err(Error::Io { .. })));
    // The spare was used, the one after it could not be made, and what was acknowledged is there.
    assert_eq!(log.segments.back().unwrap().sequence, sequence + 1);
    let n_acknowledged = log.next_number() - 1;
    disk.crash(|_| 0);
    assert_eq!(open(&disk).unwrap().1.entries.len() as u64, n_acknowledged);
}

/// One step of a random life of a log.
#[derive(Clone, Debug)]
enum Step {
    Append { back: u64, n: u64, length: usize },
    Snapshot { keep: u64 },
    Install { ahead: u64, cut: Option<u64> },
    Cut { seed: u64 },
    CutInAppend { n: u64, length: usize, seed: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_u64, 0..5_u64, 0..600_usize).prop_map(|(back, n, length)| Step::Append { back, n, length }),
        1 => (0..10_u64).prop_map(|keep| Step::Snapshot { keep }),
        1 => (0..20_u64, any::<Option<u64>>()).prop_map(|(ahead, cut)| Step::Install { ahead, cut }),
        1 => any::<u64>().prop_map(|seed| Step::Cut { seed }),
        2 => (1..5_u64, 0..3000_usize, any::<u64>()).prop_map(|(n, length, seed)| Step::CutInAppend { n, length, seed }),
    ]
}

/// What must be found again.
#[derive(Clone, Debug, Default)]
struct Model {
    term: u64,
    commit: u64,
    base: Mark,
    entries: Vec<Entry>,
}

impl Model {
    fn last(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }

    fn append(&mut self, back: u64, n: u64, length: usize) -> Frame {
        let back = if n == 0 { 0 } else { back }; // Nothing new cuts nothing off.
        self.term += u64::from(back > 0);
        let cut = (self.last() - self.commit).min(back) as usize;
        self.entries.truncate(self.entries.len() - cut);
        let new: Vec<_> = (1..=n).map(|it| entry(self.last() + it, self.term, length)).collect();
        self.commit = self.last();
        self.entries.extend(new.clone());
        let mut frame = frame(self.term, self.commit, [], 0);
        frame.entries = new;
        frame
    }

    fn check(&self, recovered: &Recovered) -> bool {
        let base = recovered.snapshot.as_ref().map(|it| it.mark).unwrap_or_default();
        let skip = self.base.index.max(base.index) - self.base.index;
        recovered.hard_state.term == self.term
            && recovered.entries[..] == self.entries[skip as usize..]
            && base.index >= self.base.index
    }
}

/// A generator small enough to stand here.
fn chooser(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |n| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_was_acknowledged_is_found_again(steps in prop::collection::vec(step(), 1..60)) {
        let disk = Memory::new();
        let (mut log, _) = open(&disk).unwrap();
        let mut model = Model::default();
        let mut unsure = None;
        for step in steps {
            match step {
                Step::Append { back, n, length } => {
                    let frame = model.append(back, n, length);
                    log.append(&frame).unwrap();
                    continue;
                }
                Step::Snapshot { keep } => {
                    let index = model.commit.saturating_sub(keep);
                    if index <= model.base.index { continue; }
                    let at = (index - model.base.index) as usize;
                    let mark = Mark { index, term: model.entries[at - 1].term };
                    write_snapshot(&disk, &snapshot(mark.index, mark.term, log.next_number())).unwrap();
                    log.compact(index).unwrap();
                    model.base = mark;
                    model.entries.drain(..at);
                    continue;
                }
                Step::Install { ahead, cut } => {
                    model.term += 1;
                    // From inside the uncommitted end of the log to far ahead of it.
                    let index = (model.last() + ahead).saturating_sub(3).max(model.commit + 1);
                    let mark = Mark { index, term: model.term };
                    let file = snapshot(mark.index, mark.term, log.next_number());
                    write_snapshot(&disk, &file).unwrap();
                    model.base = mark;
                    model.commit = mark.index;
                    model.entries.clear();
                    if let Some(seed) = cut {
                        disk.crash(chooser(seed));
                    } else {
                        let mut frame = frame(model.term, mark.index, [], 0);
                        frame.snapshot = Some(mark);
                        log.append(&frame).unwrap();
                        log.compact(mark.index).unwrap();
                        continue;
                    }
                }
                Step::Cut { seed } => disk.crash(chooser(seed)),
                Step::CutInAppend { n, length, seed } => {
                    // Everything but the last sync happens: the frame may be there, in part, or not.
                    let mut with = model.clone();
                    let mut frame = with.append(0, n, length);
                    frame.snapshot = log.superseded;
                    let mut bytes = Vec::new();
                    let sequence = log.segments.back().map_or(0, |it| it.sequence);
                    frame.encode(sequence, log.next_number(), &mut bytes);
                    let room = log.segments.back().map_or(0, |it| it.bytes - log.offset);
                    if (bytes.len() as u64) <= room {
                        disk.write_at(&segment::name(sequence), log.offset, &bytes).unwrap();
                        unsure = Some(with);
                    }
                    disk.crash(chooser(seed));
                }
            }
            let (reopened, recovered) = open(&disk).unwrap();
            log = reopened;
            if let Some(with) = unsure.take() && with.check(&recovered) {
                model = with;
            }
            prop_assert!(model.check(&recovered), "{model:?}\n{recovered:?}");
        }
    }
}

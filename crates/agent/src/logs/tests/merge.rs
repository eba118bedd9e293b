//! Several logs as one.

use super::engine::{NOON, SECOND};
use super::*;

/// What came, with whose it was.
fn drain(merge: &mut Merge<u32>) -> Vec<(u32, Item)> {
    let merged = merge.poll(ALL);
    assert!(merged.failed.is_empty() && !merged.is_more);
    merged.items
}

fn told(items: &[(u32, Item)]) -> Vec<String> {
    let told = |(key, item): &(u32, Item)| format!("{key}: {}", texts(std::slice::from_ref(item))[0]);
    items.iter().map(told).collect()
}

/// A log of these seconds past noon.
fn at(seconds: &[u64]) -> Engine {
    let mut engine = Engine::new();
    write(&mut engine, seconds);
    engine
}

fn write(engine: &mut Engine, seconds: &[u64]) {
    for n in seconds {
        engine.write_entry(Stream::Stdout, &format!("at {n}\n"), NOON + n * SECOND);
    }
}

fn reader(engine: &Engine) -> Reader {
    Reader::open(&engine.path, Filter::default()).unwrap()
}

#[test]
fn lines_come_by_time_then_by_the_order_of_the_readers() {
    let engines = [at(&[3, 5, 5, 9]), at(&[1, 5, 7]), at(&[]), at(&[5, 6, 6, 10])];
    let mut merge = Merge::default();
    for (key, engine) in (0..).zip(&engines) {
        merge.add(key, reader(engine));
    }
    let expected = [
        "1: at 1", "0: at 3", "0: at 5", "0: at 5", "1: at 5", "3: at 5", "3: at 6", "3: at 6", "1: at 7", "0: at 9",
        "3: at 10",
    ];
    assert_eq!(told(&drain(&mut merge)), expected);
    // In pieces it is the same, and a line waits for the others' to be known.
    for limits in [Limits { n_lines: 1, n_bytes: u64::MAX }, Limits { n_lines: 99, n_bytes: 1 }] {
        let mut merge = Merge::default();
        for (key, engine) in (0..).zip(&engines) {
            merge.add(key, reader(engine));
        }
        let (mut items, mut is_more) = (Vec::new(), true);
        while is_more {
            let merged = merge.poll(limits);
            assert!(merged.items.len() <= limits.n_lines);
            items.extend(merged.items);
            is_more = merged.is_more;
        }
        assert_eq!(told(&items), expected);
    }
}

#[test]
fn what_comes_is_merged_as_far_as_it_is_there() {
    let (mut one, mut two) = (at(&[1]), at(&[2]));
    let mut merge = Merge::default();
    merge.add(1, reader(&one));
    merge.add(2, reader(&two));
    assert_eq!(told(&drain(&mut merge)), ["1: at 1", "2: at 2"]);
    write(&mut two, &[4]);
    assert_eq!(told(&drain(&mut merge)), ["2: at 4"]);
    write(&mut one, &[3, 6]);
    write(&mut two, &[5]);
    assert_eq!(told(&drain(&mut merge)), ["1: at 3", "2: at 5", "1: at 6"]);
    assert_eq!(drain(&mut merge), []);
}

#[test]
fn logs_are_added_and_taken_out_while_others_are_followed() {
    let (mut one, mut two, three) = (at(&[1]), at(&[2]), at(&[0]));
    let mut merge = Merge::default();
    merge.add(1, reader(&one));
    assert_eq!(told(&drain(&mut merge)), ["1: at 1"]);
    merge.add(2, reader(&two));
    merge.add(3, reader(&three));
    assert_eq!(told(&drain(&mut merge)), ["3: at 0", "2: at 2"]);
    // One that is finished is read to its end first, one that is removed is not.
    write(&mut one, &[3]);
    one.write_raw(engine::entry(Stream::Stderr, "the last", NOON + 4 * SECOND).trim_end().as_bytes());
    write(&mut two, &[3]);
    merge.finish(&1);
    merge.remove(&2);
    assert_eq!(told(&drain(&mut merge)), ["1: at 3", "1: the last"]);
    assert_eq!(merge.keys().collect::<Vec<_>>(), [&3]);
    merge.add(3, reader(&three));
    assert_eq!(told(&drain(&mut merge)), ["3: at 0"], "anew, once");
}

#[test]
fn a_log_that_cannot_be_read_is_taken_out_and_said() {
    let (one, two) = (at(&[1]), at(&[2]));
    let mut merge = Merge::default();
    merge.add(1, reader(&one));
    merge.add(2, reader(&two));
    let dir = one.path.parent().unwrap();
    std::fs::rename(dir, dir.with_extension("moved")).unwrap();
    std::fs::write(dir, "no directory").unwrap();
    let merged = merge.poll(ALL);
    std::fs::remove_file(dir).unwrap();
    std::fs::rename(dir.with_extension("moved"), dir).unwrap();
    assert_eq!(merged.failed.iter().map(|(key, err)| (*key, &err.path)).collect::<Vec<_>>(), [(1, &one.path)]);
    assert_eq!(told(&merged.items), ["2: at 2"]);
    assert_eq!(merge.keys().collect::<Vec<_>>(), [&2]);
}

#[test]
fn a_gap_comes_right_behind_the_line_before_it() {
    let (mut one, two) = (Engine::rotating(1_000, 2), at(&[0, 2]));
    let mut merge = Merge::default();
    merge.add(1, reader(&one));
    merge.add(2, reader(&two));
    one.now_ns += SECOND;
    one.write_numbered(0..40);
    let told = told(&drain(&mut merge));
    let gap = told.iter().position(|it| it == "1: [some]").unwrap();
    assert!(told[gap - 1].starts_with("1: line") && told[gap + 1].starts_with("1: line"), "{told:?}");
    assert_eq!((&*told[0], &*told[told.len() - 1]), ("2: at 0", "2: at 2"));
}

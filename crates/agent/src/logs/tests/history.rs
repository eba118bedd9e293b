//! What is there: by time, by filter, the last of it, compressed or not.

use super::super::pieces::PIECE_LEN;
use super::engine::{NOON, SECOND};
use super::*;
use cluster::pattern::Search;

const MILLI: u64 = SECOND / 1000;

/// One line each millisecond, in five files.
fn five_files(compress: bool) -> Engine {
    let mut engine = Engine::rotating(100_000, 9).compressing(compress);
    engine.write_numbered(0..6000);
    engine
}

#[test]
fn all_files_are_read_from_the_oldest_compressed_or_not() {
    for compress in [false, true] {
        let engine = five_files(compress);
        let items: Vec<Item> = read_all(&engine, Filter::default()).into_iter().map(Item::Line).collect();
        assert_eq!(texts(&items), numbered(0..6000), "{compress}");
    }
}

#[test]
fn history_is_what_lies_between_two_times() {
    for compress in [false, true] {
        let engine = five_files(compress);
        for (since, until) in [(0, 6000), (1, 2), (17, 17), (1499, 4501), (3000, 9000), (5999, 6000), (7000, 9000)] {
            let (since_ns, until_ns) = (Some(NOON + since * MILLI), Some(NOON + until * MILLI));
            let found = read_all(&engine, Filter { since_ns, until_ns, ..Filter::default() });
            let items: Vec<Item> = found.into_iter().map(Item::Line).collect();
            assert_eq!(texts(&items), numbered(since..until.min(6000).max(since.min(6000))), "{since}..{until}");
        }
    }
}

#[test]
fn history_is_found_without_reading_what_is_before_or_behind() {
    let mut engine = Engine::rotating(8_000_000, 3);
    // A line a second, for six hours: four megabytes, then more in a newer file.
    for n in 0..20_000 {
        engine.write(Stream::Stdout, &format!("line {n} {}\n", "-".repeat(700)));
        engine.now_ns += SECOND - MILLI;
    }
    let since_ns = NOON + 15_000 * SECOND;
    let filter = Filter { since_ns: Some(since_ns), until_ns: Some(since_ns + 5 * SECOND), ..Filter::default() };
    let mut reader = Reader::open(&engine.path, filter).unwrap();
    let found = lines(drain(&mut reader));
    assert_eq!(found.len(), 5);
    assert_eq!(found[0].time_ns, since_ns);
    // One stretch at most before it, and what may be out of order at both ends.
    assert!(reader.n_walked() < 600_000, "{}", reader.n_walked());
}

#[test]
fn a_line_that_is_somewhat_out_of_order_is_found() {
    let mut engine = Engine::new();
    let mut write = |since_s: u64, text: &str, n: u64| {
        for n in 0..n {
            engine.write_entry(Stream::Stdout, text, NOON + since_s * SECOND + n);
        }
    };
    // What is around it is more than one stretch long each.
    let others = "-".repeat(1_000) + "\n";
    write(0, &others, 2_000);
    write(60, "early\n", 1);
    write(55, &others, 2_000);
    write(62, &others, 2_000);
    write(60, "late\n", 1);
    write(63, &others, 2_000);
    let (since_ns, until_ns) = (Some(NOON + 60 * SECOND), Some(NOON + 61 * SECOND));
    let found = read_all(&engine, Filter { since_ns, until_ns, ..Filter::default() });
    assert_eq!(found.iter().map(|it| &*it.text).collect::<Vec<_>>(), ["early", "late"]);
}

#[test]
fn a_filter_looks_at_stream_and_text() {
    let mut engine = Engine::new();
    engine.write(Stream::Stdout, "GET /a 200\n");
    engine.write(Stream::Stderr, "GET /b 500\n");
    engine.write(Stream::Stderr, "warning\n");
    engine.write(Stream::Stdout, &format!("{} 500\n", "x".repeat(2 * PIECE_LEN)));
    let found = |stream, regex: Option<&str>, is_inverted| {
        let search = regex.map(|it| Search::new(it).unwrap());
        let lines = read_all(&engine, Filter { stream, search, is_inverted, ..Filter::default() });
        lines.into_iter().map(|it| it.text.chars().take(10).collect::<String>()).collect::<Vec<_>>()
    };
    assert_eq!(found(Some(Stream::Stdout), None, false), ["GET /a 200", "xxxxxxxxxx"]);
    assert_eq!(found(None, Some("500$"), false), ["GET /b 500", "xxxxxxxxxx"]);
    assert_eq!(found(None, Some("500$"), true), ["GET /a 200", "warning"]);
    assert_eq!(found(Some(Stream::Stderr), Some("^GET"), true), ["warning"]);
    assert_eq!(found(Some(Stream::Stderr), Some("nothing"), false), [""; 0]);
}

#[test]
fn the_last_lines_are_found_from_the_end() {
    for compress in [false, true] {
        let engine = five_files(compress);
        for n in [0, 1, 2, 99, 1500, 1501, 5999, 6000, 6001, u64::MAX] {
            let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
            reader.tail(n).unwrap();
            assert_eq!(texts(&drain(&mut reader)), numbered(6000u64.saturating_sub(n)..6000), "{n}");
        }
    }
}

#[test]
fn the_last_lines_cost_no_look_at_the_first() {
    let mut engine = Engine::new();
    for _ in 0..5_000 {
        engine.write(Stream::Stdout, &format!("{}\n", "-".repeat(1_000)));
    }
    engine.write_numbered(0..10);
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    reader.tail(3).unwrap();
    assert_eq!(texts(&drain(&mut reader)), numbered(7..10));
    assert!(reader.n_walked() < 600_000, "{}", reader.n_walked());
    engine.write_numbered(10..12);
    assert_eq!(texts(&drain(&mut reader)), numbered(10..12), "and then what comes");
}

#[test]
fn a_log_that_is_not_there_is_empty_until_it_is() {
    let engine = Engine::new();
    let path = engine.path.with_file_name("other-json.log");
    let mut reader = Reader::open(&path, Filter { since_ns: Some(NOON), ..Filter::default() }).unwrap();
    reader.tail(5).unwrap();
    assert_eq!(drain(&mut reader), []);
    assert_eq!(reader.cursor().unwrap(), Cursor::default());
    std::fs::rename(&engine.path, &path).unwrap();
    let mut engine = engine;
    engine.write_numbered(0..2);
    assert_eq!(texts(&drain(&mut reader)), numbered(0..2));
    let gone = path.join("dir").join("x-json.log");
    assert!(Reader::open(&gone, Filter::default()).is_err(), "a file is no directory");
}

#[test]
fn a_compressed_file_that_is_torn_is_a_gap() {
    let engine = five_files(true);
    let torn = engine.path.with_file_name("c0ffee-json.log.2.gz");
    let whole = std::fs::read(&torn).unwrap();
    for n in [0, 3, 30, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&torn, &whole[..n]).unwrap();
        let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
        let texts = texts(&drain(&mut reader));
        assert_eq!(texts.iter().filter(|it| *it == "[some]").count(), 1, "{n}");
        assert_eq!(texts.last().unwrap(), "line 5999");
        let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
        reader.tail(2).unwrap();
        assert_eq!(lines(drain(&mut reader)).len(), 2);
    }
}

#[test]
fn a_call_takes_no_more_than_it_may() {
    let engine = five_files(false);
    let rare = Filter { search: Some(Search::new("line 5998").unwrap()), ..Filter::default() };
    for (filter, n_expected) in [(Filter::default(), 6000), (rare, 1)] {
        let mut reader = Reader::open(&engine.path, filter).unwrap();
        let (mut n_lines, mut is_more) = (0, true);
        while is_more {
            let before = reader.n_walked();
            let batch = reader.poll(Limits { n_lines: 100, n_bytes: 5_000 }).unwrap();
            assert!(batch.items.len() <= 100 && reader.n_walked() - before < 5_100);
            n_lines += batch.items.len();
            is_more = batch.is_more;
        }
        assert_eq!(n_lines, n_expected);
    }
}

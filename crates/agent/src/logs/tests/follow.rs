//! What comes: through rotations, behind, and with another reader's cursor.

use super::super::pieces::PIECE_LEN;
use super::*;

#[test]
fn rotation_loses_nothing_that_was_there_when_the_reader_was_opened() {
    for compress in [false, true] {
        let mut engine = Engine::rotating(1_000, 3).compressing(compress);
        engine.write_numbered(0..30);
        let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
        let first = read_all(&engine, Filter::default()).remove(0).text;
        // All of them are rotated out before anything is read; the reader looks now and then.
        engine.write_numbered(30..35);
        let mut items = reader.poll(Limits { n_lines: 1, n_bytes: u64::MAX }).unwrap().items;
        assert_eq!(texts(&items), [&*first]);
        for n in 35..100 {
            engine.write_numbered(n..n + 1);
            items.extend(reader.poll(Limits { n_lines: 0, n_bytes: u64::MAX }).unwrap().items);
        }
        items.extend(drain(&mut reader));
        let first: u64 = first.strip_prefix("line ").unwrap().parse().unwrap();
        assert_eq!(texts(&items), numbered(first..100), "compressed: {compress}");
    }
}

#[test]
fn a_file_may_be_rotated_at_any_moment_of_reading() {
    for compress in [false, true] {
        let mut engine = Engine::rotating(2_000, 900).compressing(compress);
        let path = engine.path.clone();
        let n_lines = 5_000;
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                engine.write_numbered(0..n_lines);
                engine
            });
            let mut reader = Reader::open(&path, Filter::default()).unwrap();
            let mut items = Vec::new();
            while !writer.is_finished() {
                items.extend(drain(&mut reader));
            }
            let engine = writer.join().unwrap();
            items.extend(drain(&mut reader));
            assert_eq!(texts(&items), numbered(0..n_lines), "compressed: {compress}");
            drop(engine);
        });
    }
}

#[test]
fn files_that_came_and_went_unseen_are_a_gap() {
    for compress in [false, true] {
        let mut engine = Engine::rotating(1_000, 3).compressing(compress);
        engine.write_numbered(0..30);
        let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
        engine.write_numbered(30..100);
        let texts = texts(&drain(&mut reader));
        let gap = texts.iter().position(|it| it == "[some]").unwrap();
        let (before, behind) = (&texts[..gap], &texts[gap + 1..]);
        // What was in the current file when it was opened, and more, is there to its end.
        assert!(before.contains(&"line 29".to_owned()), "{before:?}");
        assert!(before.len() >= 30 - 12 && behind.len() >= 12, "{texts:?}");
        assert_eq!(behind, numbered(100 - behind.len() as u64..100));
    }
}

#[test]
fn files_that_were_read_are_closed_however_long_a_line_waits_for_its_rest() {
    let mut engine = Engine::rotating(1_000, 3);
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    let mut lines_and_cursor = |engine: &Engine| {
        let n_lines = lines(drain(&mut reader)).len();
        // The engine's three, and the one that it has just removed.
        assert!(reader.n_files() <= 4, "{}", reader.n_files());
        assert!(engine.path.exists());
        (n_lines, reader.cursor().unwrap())
    };
    let (x, y) = ("x".repeat(PIECE_LEN), "y".repeat(PIECE_LEN));
    engine.write(Stream::Stdout, &x);
    let (_, at_x) = lines_and_cursor(&engine);
    for n in 1..=100 {
        engine.write(Stream::Stderr, "short\n");
        assert_eq!(lines_and_cursor(&engine), (1, Cursor { delivered: n, ..at_x }));
    }
    let at_y_ns = engine.now_ns;
    engine.rotate();
    engine.write(Stream::Stderr, &y);
    for _ in 0..5 {
        assert_eq!(lines_and_cursor(&engine), (0, Cursor { delivered: 100, ..at_x }));
        engine.write_raw(&[vec![b'-'; 1_000], vec![b'\n']].concat());
    }
    // The file in which the other line began was closed meanwhile, too.
    for n in 1..=100 {
        engine.write(Stream::Stdout, "end\n");
        let (n_lines, cursor) = lines_and_cursor(&engine);
        assert_eq!((n_lines, cursor.born_ns, cursor.offset, cursor.delivered), (1, at_y_ns, 0, n));
    }
    engine.write(Stream::Stderr, "end\n");
    assert_eq!(lines_and_cursor(&engine).1.delivered, 0);
}

#[test]
fn a_file_that_is_emptied_is_begun_anew() {
    let mut engine = Engine::rotating(usize::MAX, 1);
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    engine.write_numbered(0..10);
    assert_eq!(texts(&drain(&mut reader)), numbered(0..10));
    // To something shorter, to something of the same length, and to something longer.
    for numbers in [10..15, 15..20, 20..40] {
        engine.rotate();
        engine.write_numbered(numbers.clone());
        assert_eq!(texts(&drain(&mut reader)), [vec!["[some]".to_owned()], numbered(numbers)].concat());
    }
    assert_eq!(drain(&mut reader), []);
}

#[test]
fn a_reader_that_is_far_behind_jumps_ahead_and_says_how_far() {
    let mut engine = Engine::rotating(40_000, 5);
    engine.write_numbered(0..100);
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    reader.jump_if_behind(20_000);
    engine.write_numbered(100..1000);
    assert_eq!(texts(&drain(&mut reader)), numbered(0..1000), "not while it reads what was there before");
    engine.write_numbered(1000..1200);
    assert_eq!(texts(&drain(&mut reader)), numbered(1000..1200), "not if it is not so far");
    engine.write_numbered(1200..2000);
    let items = drain(&mut reader);
    let Item::Gap(Gap { lines: Some(n), bytes: Some(n_bytes) }) = items[0] else { panic!("{:?}", items[0]) };
    assert_eq!(texts(&items[1..]), numbered(1200 + n..2000));
    assert!((700..800).contains(&n), "{n}");
    assert!(n_bytes / n > 70 && n_bytes / n < 80, "{n_bytes}");
}

#[test]
fn a_jump_ends_in_no_line() {
    let mut engine = Engine::new();
    engine.write_numbered(0..1);
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    reader.jump_if_behind(16 * PIECE_LEN as u64);
    drain(&mut reader);
    let long = "x".repeat(3 * PIECE_LEN) + "end";
    for _ in 0..8 {
        engine.write(Stream::Stdout, &format!("{long}\n"));
    }
    let items = drain(&mut reader);
    assert!(matches!(items[0], Item::Gap(Gap { lines: Some(4..), .. })), "{:?}", items[0]);
    assert!(texts(&items[1..]).iter().all(|it| *it == long) && items.len() > 1);
}

/// Lines of both streams, long ones across them, in several files.
fn woven(compress: bool) -> Engine {
    let mut engine = Engine::rotating(2 * PIECE_LEN, 20).compressing(compress);
    let (x, y) = ("x".repeat(PIECE_LEN), "y".repeat(PIECE_LEN));
    let entries = [
        (Stream::Stdout, "one\n"),
        (Stream::Stdout, &*x),
        (Stream::Stderr, "two\n"),
        (Stream::Stderr, "three\n"),
        (Stream::Stderr, &*y),
        (Stream::Stdout, &*x),
        (Stream::Stdout, "four\n"),
        (Stream::Stdout, "five\n"),
        (Stream::Stdout, &*x),
        (Stream::Stderr, "six\n"),
        (Stream::Stderr, "seven\n"),
        (Stream::Stdout, "eight\n"),
        (Stream::Stderr, &*y),
        (Stream::Stdout, "nine\n"),
    ];
    for (stream, text) in entries {
        engine.write_entry(stream, text, engine.now_ns);
        engine.tick();
    }
    engine
}

#[test]
fn a_cursor_behind_every_line_goes_on_with_the_next() {
    for compress in [false, true] {
        let mut engine = woven(compress);
        let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
        let all = lines(drain(&mut reader));
        assert_eq!(all.len(), 9);
        if compress {
            // What was plain under the cursor is compressed when it is sought.
            engine.rotate();
            engine.write_numbered(0..1);
        }
        for (n, line) in all.iter().enumerate() {
            let mut other = Reader::open(&engine.path, Filter::default()).unwrap();
            other.seek(line.next).unwrap();
            let inode = other.cursor().unwrap().inode;
            assert!(compress || inode == line.next.inode);
            assert_eq!(other.cursor().unwrap(), Cursor { inode, ..line.next });
            let rest = texts(&drain(&mut other));
            assert_eq!(rest.len(), all.len() - n - 1 + usize::from(compress), "{n}");
            assert!(rest.iter().zip(&all[n + 1..]).all(|(one, other)| *one == other.text), "{n}");
        }
    }
}

#[test]
fn a_cursor_of_a_reader_that_has_one_is_as_good() {
    let engine = woven(false);
    let all = lines(drain(&mut Reader::open(&engine.path, Filter::default()).unwrap()));
    // Each line by another reader, with the cursor of the one before.
    let (mut cursor, mut found) = (Cursor::default(), Vec::new());
    for _ in 0..all.len() {
        let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
        reader.seek(cursor).unwrap();
        // A few bytes at a time, and given up in between.
        let step = Limits { n_lines: 1, n_bytes: 1 };
        let item = loop {
            if let Some(item) = reader.poll(step).unwrap().items.pop() {
                break item;
            }
            cursor = reader.cursor().unwrap();
            let mut next = Reader::open(&engine.path, Filter::default()).unwrap();
            next.seek(cursor).unwrap();
            assert_eq!(next.cursor().unwrap(), cursor);
        };
        cursor = reader.cursor().unwrap();
        found.push(item);
    }
    assert!(lines(found) == all);
}

#[test]
fn a_cursor_whose_file_is_gone_begins_with_the_oldest_and_a_gap() {
    let mut engine = Engine::rotating(1_000, 3);
    engine.write_numbered(0..5);
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    drain(&mut reader);
    let cursor = reader.cursor().unwrap();
    engine.write_numbered(5..200);
    // The file system gives the old file's number to a new one; a cursor does not fall for it.
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    for cursor in [cursor, Cursor { inode: read_all(&engine, Filter::default())[0].next.inode, ..cursor }] {
        reader.seek(cursor).unwrap();
        let texts = texts(&drain(&mut reader));
        assert_eq!(texts[0], "[some]");
        assert_eq!(texts[1..], numbered(200 - (texts.len() as u64 - 1)..200));
        reader = Reader::open(&engine.path, Filter::default()).unwrap();
    }
    // And one of another container is none of this log's.
    let mut other = Engine::new();
    other.now_ns += 1;
    other.write_numbered(0..300);
    reader.seek(read_all(&other, Filter::default())[250].next).unwrap();
    assert_eq!(texts(&drain(&mut reader))[0], "[some]");
}

#[test]
fn files_that_were_kept_under_another_name_are_the_same_log() {
    let mut engine = Engine::rotating(1_000, 5);
    engine.write_numbered(0..40);
    let all = read_all(&engine, Filter::default());
    let kept = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(engine.path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        std::fs::hard_link(entry.path(), kept.path().join(entry.file_name())).unwrap();
    }
    let path = kept.path().join(engine.path.file_name().unwrap());
    let (cursor, rest) = (all[20].next, &all[21..]);
    drop(engine);
    let mut reader = Reader::open(&path, Filter::default()).unwrap();
    reader.seek(cursor).unwrap();
    assert_eq!(lines(drain(&mut reader)), rest);
}

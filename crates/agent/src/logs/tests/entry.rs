//! Entries, as Docker 20.10 has written them, and what is none.

use super::super::entry::{Entry, parse_time};
use super::super::pieces::{PIECE_LEN, TEXT_LEN_MAX, cut_mark};
use super::engine::{NOON, SECOND, entry, written};
use super::*;

#[test]
fn an_entry_is_taken_as_the_engine_writes_it() {
    let table: [(&str, Stream, &str, u64); 7] = [
        (
            r#"{"log":"line 2319 with \"quotes\" and \\ back \u003c\u0026\u003e é\n","stream":"stdout","time":"2026-11-28T12:27:05.962157556Z"}"#,
            Stream::Stdout,
            "line 2319 with \"quotes\" and \\ back <&> é\n",
            1_795_868_825_962_157_556,
        ),
        (
            r#"{"log":"\ufffd\ufffdbad\n","stream":"stdout","attrs":{"FOO":"bar","a":"b"},"time":"2026-11-28T12:27:07.573506281Z"}"#,
            Stream::Stdout,
            "\u{fffd}\u{fffd}bad\n",
            1_795_868_827_573_506_281,
        ),
        (
            r#"{"log":"esc \u001b[31mred\u001b[0m\u0009tab\r\n","stream":"stdout","time":"2026-11-28T12:27:07.573532083Z"}"#,
            Stream::Stdout,
            "esc \u{1b}[31mred\u{1b}[0m\ttab\r\n",
            1_795_868_827_573_532_083,
        ),
        (
            r#"{"log":"\u2028 😀 \u0000nul\n","stream":"stderr","time":"2026-11-28T12:27:07.57353709Z"}"#,
            Stream::Stderr,
            "\u{2028} 😀 \0nul\n",
            1_795_868_827_573_537_090,
        ),
        (
            r#"{"log":"no newline","stream":"stdout","time":"2026-11-28T12:27:06Z"}"#,
            Stream::Stdout,
            "no newline",
            1_795_868_826_000_000_000,
        ),
        (r#"{"log":"\n","stream":"stdout","time":"1970-01-01T00:00:00.5Z"}"#, Stream::Stdout, "\n", 500_000_000),
        (r#"{"stream":"stderr","time":"2026-11-28T12:00:00Z"}"#, Stream::Stderr, "", NOON),
    ];
    for (raw, stream, log, time_ns) in table {
        assert_eq!(Entry::parse(raw.as_bytes()), Some(Entry { log: log.into(), stream, time_ns }), "{raw}");
    }
}

#[test]
fn what_is_no_entry_is_not_taken() {
    let whole = r#"{"log":"a\n","stream":"stdout","time":"2026-11-28T12:00:00Z"}"#;
    let mut none: Vec<Vec<u8>> = (0..whole.len()).map(|n| whole.as_bytes()[..n].to_vec()).collect();
    let strange = [
        r#"{"log":"a\n","stream":"stdin","time":"2026-11-28T12:00:00Z"}"#,
        r#"{"log":"a\n","stream":"stdout"}"#,
        r#"{"log":"a\n","time":"2026-11-28T12:00:00Z"}"#,
        r#"{"log":7,"stream":"stdout","time":"2026-11-28T12:00:00Z"}"#,
        r#"{"log":"a\n","stream":"stdout","time":1795867200}"#,
        r#"{"log":"a\n","stream":"stdout","time":"2026-11-28T12:00:00Z"}}"#,
        r#"{"log":"\ud800\n","stream":"stdout","time":"2026-11-28T12:00:00Z"}"#,
        r#"["log"]"#,
        "plain text",
        "null",
    ];
    none.extend(strange.map(|it| it.as_bytes().to_vec()));
    none.push(vec![0; 4096]);
    none.push([b"{\"log\":\"\xff\n\",", &whole.as_bytes()[1..]].concat());
    // Far too deep, which is refused without filling the stack.
    none.push([b"{\"attrs\":".repeat(100_000), b"1".to_vec()].concat());
    for raw in none {
        assert_eq!(Entry::parse(&raw), None, "{}", String::from_utf8_lossy(&raw));
    }
}

#[test]
fn a_time_is_taken_to_the_nanosecond() {
    let table = [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("1970-01-01T00:00:00.000000001Z", Some(1)),
        ("2000-02-29T00:00:00Z", Some(951_782_400 * SECOND)),
        ("2000-03-01T00:00:00Z", Some(951_868_800 * SECOND)),
        ("2024-12-31T23:59:59.9Z", Some(1_735_689_599 * SECOND + 900_000_000)),
        ("2026-11-28T12:00:00Z", Some(NOON)),
        ("2100-03-01T00:00:00Z", Some(4_107_542_400 * SECOND)),
        ("2554-07-21T23:34:33.709551615Z", Some(u64::MAX)),
        ("2554-07-21T23:34:33.709551616Z", None),
        ("1969-12-31T23:59:59Z", None),
        ("2026-02-29T00:00:00Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-00-01T00:00:00Z", None),
        ("2026-01-00T00:00:00Z", None),
        ("2026-11-31T00:00:00Z", None),
        ("2026-11-28T24:00:00Z", None),
        ("2026-11-28T12:60:00Z", None),
        ("2026-11-28T12:00:60Z", None),
        ("2026-11-28T12:00:00", None),
        ("2026-11-28T12:00:00.Z", None),
        ("2026-11-28T12:00:00.1234567890Z", None),
        ("2026-11-28T12:00:00+01:00", None),
        ("2026-11-28 12:00:00Z", None),
        ("+026-11-28T12:00:00Z", None),
        ("2026-11-28T12:00:0éZ", None),
        ("Z", None),
        ("", None),
    ];
    for (text, time_ns) in table {
        assert_eq!(parse_time(text.as_bytes()), time_ns, "{text}");
    }
    // The whole calendar in one go: every day is one later than the day before.
    let mut expected = 0;
    for year in 1970..2554 {
        for month in 1..=12 {
            for day in 1..=31 {
                if let Some(time_ns) = parse_time(format!("{year}-{month:02}-{day:02}T00:00:00Z").as_bytes()) {
                    assert_eq!(time_ns, expected, "{year}-{month}-{day}");
                    expected += 24 * 3600 * SECOND;
                }
            }
        }
    }
    assert_eq!(expected, parse_time(b"2554-01-01T00:00:00Z").unwrap());
    for time_ns in [NOON, NOON + 1, NOON + 120_000_000, NOON + 3 * 3600 * SECOND + 61 * SECOND + 10] {
        assert_eq!(parse_time(written(time_ns).as_bytes()), Some(time_ns));
    }
}

#[test]
fn what_is_torn_is_counted_and_skipped() {
    let mut engine = Engine::new();
    engine.write_numbered(0..1);
    // Power was cut in the middle of an entry; the disk has kept a part of it, or of its length only.
    engine.write_raw(br#"{"log":"los"#);
    engine.write_numbered(1..2);
    engine.write_raw(&[0; 512]);
    engine.write_numbered(2..3);
    engine.write_raw(&[0; 512]);
    engine.write_raw(b"\nsomebody's own words\n\n");
    engine.write_numbered(3..4);
    engine.write_raw(&[vec![b'x'; 1 << 20], vec![b'\n']].concat());
    engine.write_numbered(4..5);
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    assert_eq!(texts(&drain(&mut reader)), numbered(0..5));
    assert_eq!(reader.n_unreadable(), 6);
}

#[test]
fn an_entry_waits_until_it_is_complete() {
    let mut engine = Engine::new();
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    let whole = entry(Stream::Stdout, "whole\n", NOON);
    for n in 0..whole.len() {
        assert_eq!(drain(&mut reader), [], "byte {n}");
        engine.write_raw(&whole.as_bytes()[n..=n]);
    }
    assert_eq!(texts(&drain(&mut reader)), ["whole"]);
    assert_eq!(reader.n_unreadable(), 0);
    // Without its line feed, it is taken when nothing more will come.
    engine.write_raw(whole.trim_end().as_bytes());
    assert_eq!(drain(&mut reader), []);
    reader.finish();
    assert_eq!(texts(&drain(&mut reader)), ["whole"]);
    assert_eq!(drain(&mut reader), []);
}

#[test]
fn a_long_line_is_put_together() {
    for len in [0, 1, PIECE_LEN - 1, PIECE_LEN, PIECE_LEN + 1, 2 * PIECE_LEN, 3 * PIECE_LEN + 7, TEXT_LEN_MAX] {
        let mut engine = Engine::new();
        let text = "x".repeat(len);
        engine.write(Stream::Stderr, &format!("{text}\n"));
        engine.write(Stream::Stderr, "next\n");
        let lines = lines(drain(&mut Reader::open(&engine.path, Filter::default()).unwrap()));
        assert_eq!(lines.len(), 2, "{len}");
        assert!(lines[0].text == text && lines[0].stream == Stream::Stderr && lines[0].time_ns == NOON, "{len}");
    }
}

#[test]
fn a_line_that_is_too_long_is_cut_and_says_so() {
    let mut engine = Engine::new();
    let n_more = 3 * PIECE_LEN + 5;
    engine.write(Stream::Stdout, &format!("{}\n", "x".repeat(TEXT_LEN_MAX + n_more)));
    // A character is not cut in two.
    let pieces = ["x".repeat(PIECE_LEN - 1) + "é", "é".repeat(PIECE_LEN), "é".repeat(PIECE_LEN), "end\n".to_owned()];
    for piece in &pieces {
        engine.write_entry(Stream::Stdout, piece, NOON);
    }
    let lines = read_all(&engine, Filter::default());
    assert!(lines[0].text == "x".repeat(TEXT_LEN_MAX) + &cut_mark(n_more as u64));
    let whole: String = pieces.concat();
    assert!(lines[1].text == whole[..TEXT_LEN_MAX - 1].to_owned() + &cut_mark((whole.len() - TEXT_LEN_MAX) as u64));
}

#[test]
fn long_lines_of_both_streams_are_told_apart() {
    let mut engine = Engine::rotating(PIECE_LEN, 9);
    let (x, y) = ("x".repeat(PIECE_LEN), "y".repeat(PIECE_LEN));
    // Every long piece fills a file, so that the line's pieces lie in several.
    let entries = [
        (Stream::Stdout, &*x),
        (Stream::Stderr, "short\n"),
        (Stream::Stderr, &*y),
        (Stream::Stdout, &*x),
        (Stream::Stderr, &*y),
        (Stream::Stdout, "end\n"),
        (Stream::Stdout, "short\n"),
        (Stream::Stderr, "end\n"),
        (Stream::Stdout, "the last, without a line feed"),
        (Stream::Stderr, &*y),
    ];
    for (stream, text) in entries {
        engine.write_entry(stream, text, engine.now_ns);
        engine.tick();
    }
    let (long_x, long_y) = (format!("{x}{x}end"), format!("{y}{y}end"));
    let expected = ["short", &long_x, "short", &long_y, "the last, without a line feed"];
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    assert!(texts(&drain(&mut reader)) == expected);
    // What may still go on is handed out when nothing more will come.
    reader.finish();
    assert!(texts(&drain(&mut reader)) == [y]);
}

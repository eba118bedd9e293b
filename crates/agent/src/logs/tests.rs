//! Reading of logs that are written as the engine writes them, by [`engine`].

mod engine;
mod entry;
mod follow;
mod history;
mod merge;
mod random;
mod shelf;

use super::line::Line;
use super::*;
use cluster::Stream;
use engine::Engine;

/// More than any of these logs has.
const ALL: Limits = Limits { n_lines: usize::MAX, n_bytes: u64::MAX };

/// Everything that there is now.
fn drain(reader: &mut Reader) -> Vec<Item> {
    reader.poll(ALL).unwrap().items
}

/// Of items without a gap, the lines.
fn lines(items: Vec<Item>) -> Vec<Line> {
    let line = |item| match item {
        Item::Line(line) => line,
        Item::Gap(gap) => panic!("{gap:?}"),
    };
    items.into_iter().map(line).collect()
}

/// Of items, what was written; a gap is in brackets.
fn texts(items: &[Item]) -> Vec<String> {
    let text = |item: &Item| match item {
        Item::Line(line) => line.text.clone(),
        Item::Gap(Gap { lines: Some(n), .. }) => format!("[{n}]"),
        Item::Gap(_) => "[some]".to_owned(),
    };
    items.iter().map(text).collect()
}

/// `line 3`, `line 4`.
fn numbered(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|n| format!("line {n}")).collect()
}

/// All of a log that nobody writes to any more.
fn read_all(engine: &Engine, filter: Filter) -> Vec<Line> {
    let mut reader = Reader::open(&engine.path, filter).unwrap();
    reader.finish();
    lines(drain(&mut reader))
}

//! Random logs, read at random.

use super::super::pieces::{PIECE_LEN, TEXT_LEN_MAX};
use super::*;
use cluster::pattern::Search;
use proptest::prelude::*;

/// So many files that none goes before it is read.
const MANY: u32 = 200;

/// What a test puts where a reader begins anew, with the oldest.
const BEGINNING: Gap = Gap { lines: None, bytes: Some(0) };

/// What happens next.
#[derive(Clone, Debug)]
enum Act {
    /// An entry, or a piece of one: which stream, what kind of text.
    Write(bool, Kind),
    Rotate,
    /// A call with these limits.
    Poll(usize, u64),
    /// The reader ends, and another goes on with its cursor: its own, or the one of its last line.
    Restart(bool),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Short,
    /// The rest is to come.
    Piece,
    Torn,
}

fn acts(n: usize) -> impl Strategy<Value = Vec<Act>> {
    let kind = prop_oneof![12 => Just(Kind::Short), 2 => Just(Kind::Piece), 1 => Just(Kind::Torn)];
    let act = prop_oneof![
        12 => (any::<bool>(), kind).prop_map(|(stream, kind)| Act::Write(stream, kind)),
        1 => Just(Act::Rotate),
        4 => (0..6usize, prop_oneof![Just(1), Just(300), Just(u64::MAX)]).prop_map(|(n, bytes)| Act::Poll(n, bytes)),
        1 => any::<bool>().prop_map(Act::Restart),
    ];
    proptest::collection::vec(act, 0..n)
}

/// Writes, and knows by itself which lines are complete.
struct Writer {
    engine: Engine,
    n: u64,
    written: Written,
}

/// What a container has written.
#[derive(Default)]
struct Written {
    complete: Vec<String>,
    /// Lines without their ends.
    open: [String; 2],
}

impl Writer {
    fn new(engine: Engine) -> Self {
        Self { engine, n: 0, written: Written::default() }
    }

    fn write(&mut self, is_stderr: bool, kind: Kind) {
        self.n += 1;
        let stream = if is_stderr { Stream::Stderr } else { Stream::Stdout };
        let open = &mut self.written.open[usize::from(is_stderr)];
        let text = format!("#{} of {stream:?}", self.n);
        match kind {
            Kind::Torn => self.engine.write_raw(b"{\"log\":\"torn\n"),
            Kind::Piece if open.len() < TEXT_LEN_MAX - PIECE_LEN => {
                let piece = text + &"-".repeat(PIECE_LEN);
                let piece = &piece[..PIECE_LEN];
                self.engine.write_entry(stream, piece, self.engine.now_ns);
                *open += piece;
            }
            _ => {
                self.engine.write_entry(stream, &format!("{text}\n"), self.engine.now_ns);
                let line = std::mem::take(open) + &text;
                self.written.complete.push(line);
            }
        }
        self.engine.tick();
    }
}

fn short(text: &str) -> String {
    text.replace("----", "")
}

/// Every line comes once, in order; where some are missing, a gap stands for them, and if it says how many, they are so
/// many.
fn check(found: &[Item], Written { complete, open }: &Written) -> Result<(), String> {
    let mut at = 0;
    let mut may_skip = false;
    // Of a line whose beginning was missed, the end is left: behind a gap, one per stream.
    let mut may_be_ends = Vec::new();
    // Of a line whose end was missed, the beginning comes right before the gap; between two gaps it may be the middle.
    let mut must_skip = false;
    let is_part = |text: &str, may_be_middle: bool| {
        complete.iter().chain(open).any(|it| if may_be_middle { it.contains(text) } else { it.starts_with(text) })
    };
    for item in found {
        match item {
            Item::Gap(_) => {
                (must_skip, may_skip, may_be_ends) = (false, true, vec![Stream::Stdout, Stream::Stderr]);
            }
            Item::Line(line) => {
                let ahead = complete[at..].iter().position(|it| *it == line.text);
                let ahead = match ahead {
                    Some(_) if must_skip => return Err("a line was given up without a gap".to_owned()),
                    Some(n) => n,
                    None => {
                        let may_be_end = may_be_ends.contains(&line.stream);
                        let end = complete[at..].iter().position(|it| it.ends_with(&line.text));
                        match end.filter(|_| may_be_end) {
                            Some(n) => n,
                            None if is_part(&line.text, may_be_end) => {
                                must_skip = true;
                                continue;
                            }
                            None => return Err(format!("nobody wrote {}, or it came before", short(&line.text))),
                        }
                    }
                };
                if ahead > 0 && !may_skip {
                    return Err(format!("{ahead} lines are missing before {}", short(&line.text)));
                }
                at += ahead + 1;
                may_skip = false;
                may_be_ends.retain(|it| *it != line.stream);
            }
        }
    }
    if must_skip || at < complete.len() && !may_skip {
        return Err(format!("{} lines are missing at the end", complete.len() - at));
    }
    Ok(())
}

/// Lets a reader follow through all that; `max_file` decides whether files go before they are read.
fn follow(acts: Vec<Act>, max_file: u32, compress: bool) -> (Vec<Item>, Written) {
    let engine = Engine::rotating(3_000, max_file).compressing(compress);
    let mut reader = Reader::open(&engine.path, Filter::default()).unwrap();
    let mut writer = Writer::new(engine);
    let mut found = Vec::new();
    let mut last = Cursor::default();
    for act in acts {
        match act {
            Act::Write(stream, kind) => writer.write(stream, kind),
            Act::Rotate => writer.engine.rotate_if_used(),
            Act::Poll(n_lines, n_bytes) => {
                let items = reader.poll(Limits { n_lines, n_bytes }).unwrap().items;
                for item in items {
                    if let Item::Line(line) = &item {
                        last = line.next;
                    }
                    found.push(item);
                }
            }
            Act::Restart(is_own) => {
                let cursor = if is_own { reader.cursor().unwrap() } else { last };
                if cursor.delivered > 0 && max_file < MANY {
                    // If the file of the open line goes, those that overtook it come twice: see `Cursor`.
                    continue;
                }
                reader = Reader::open(&writer.engine.path, Filter::default()).unwrap();
                reader.seek(cursor).unwrap();
                if cursor == Cursor::default() {
                    // From the beginning of what there is by now, which nobody was promised.
                    found.push(Item::Gap(BEGINNING));
                }
            }
        }
    }
    found.extend(drain(&mut reader));
    assert_eq!(drain(&mut reader), []);
    (found, writer.written)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_comes_once_and_in_order(acts in acts(80), compress: bool) {
        let (found, written) = follow(acts, MANY, compress);
        let lines: Vec<Item> = found.into_iter().filter(|it| *it != Item::Gap(BEGINNING)).collect();
        prop_assert_eq!(check(&lines, &written), Ok(()));
        prop_assert!(lines.iter().all(|it| matches!(it, Item::Line(_))));
    }

    #[test]
    fn what_does_not_come_is_a_gap(acts in acts(200), compress: bool, max_file in 2..4u32) {
        let (found, written) = follow(acts, max_file, compress);
        prop_assert_eq!(check(&found, &written), Ok(()));
    }

    #[test]
    fn the_last_lines_are_the_end_of_all_of_them(
        acts in acts(150), compress: bool, n in 0..40u64, kind in 0..4, is_final: bool,
    ) {
        let mut writer = Writer::new(Engine::rotating(3_000, 500).compressing(compress));
        for act in acts {
            match act {
                Act::Write(stream, kind) => writer.write(stream, kind),
                Act::Rotate => writer.engine.rotate_if_used(),
                Act::Poll(..) | Act::Restart(_) => {}
            }
        }
        let filter = match kind {
            0 => Filter::default(),
            1 => Filter { stream: Some(Stream::Stderr), ..Filter::default() },
            2 => Filter { search: Some(Search::new("^#[0-9]*[37]").unwrap()), ..Filter::default() },
            _ => Filter { search: Some(Search::new("^#[0-9]*[37]").unwrap()), is_inverted: true, ..Filter::default() },
        };
        let open = || {
            let mut reader = Reader::open(&writer.engine.path, filter.clone()).unwrap();
            if is_final {
                reader.finish();
            }
            reader
        };
        let all = texts(&drain(&mut open()));
        let mut reader = open();
        reader.tail(n).unwrap();
        let last = texts(&drain(&mut reader));
        prop_assert!(last == all[all.len().saturating_sub(n as usize)..], "{} of {}", last.len(), all.len());
    }
}

//! Long lines, put together again.
//!
//! The engine reads a container's output into 16 KiB. Where they are full without a line feed it writes them as an
//! entry that does not end with one; the rest of the line follows in further entries of that stream, between which the
//! other stream's may stand, or the end of the file. A shorter entry without a line feed is the last that a container
//! wrote before it closed the stream, and is whole (moby, `daemon/logger/copier.go`).
//!
//! A character that lies across the cut the engine has replaced, in both pieces: that cannot be mended here.

use super::entry::Entry;
use super::files::Place;
use cluster::Stream;

/// How long a piece is that is not the last. It can be longer in the file: what is no UTF-8 becomes three bytes.
pub(super) const PIECE_LEN: usize = 16 * 1024;

/// How much of a line is handed out: four pieces. Longer ones are data rather than text, and would fill a client's
/// memory by thousands.
pub(super) const TEXT_LEN_MAX: usize = 64 * 1024;

/// A line, as it was written.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) time_ns: u64,
    pub(super) stream: Stream,
    pub(super) text: String,
}

/// The lines that are not complete yet: one per stream at most.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    open: [Option<Open>; 2],
}

#[derive(Debug)]
struct Open {
    whole: Whole,
    /// How many bytes were left out.
    n_cut: u64,
    from: Place,
    /// How many lines of the other stream were complete since it began.
    n_overtaken: u64,
}

impl Pieces {
    /// Takes an entry that begins at `from`; gives the line that it completes.
    pub(super) fn push(&mut self, entry: Entry<'_>, from: Place) -> Option<Whole> {
        let Entry { log, stream, time_ns } = entry;
        let (text, is_last) = match log.strip_suffix('\n') {
            Some(text) => (text, true),
            None => (&*log, log.len() < PIECE_LEN),
        };
        let (mine, other) = match (&mut self.open, stream) {
            ([mine, other], Stream::Stdout) | ([other, mine], Stream::Stderr) => (mine, other),
        };
        let mut open = mine.take().unwrap_or_else(|| {
            let whole = Whole { time_ns, stream, text: String::with_capacity(text.len()) };
            Open { whole, n_cut: 0, from, n_overtaken: 0 }
        });
        open.add(text);
        if !is_last {
            *mine = Some(open);
            return None;
        }
        if let Some(other) = other {
            other.n_overtaken += 1;
        }
        Some(open.close())
    }

    /// Where the earliest open line begins, and how many lines have been completed since.
    pub(super) fn earliest(&self) -> Option<(Place, u64)> {
        self.open.iter().flatten().map(|it| (it.from, it.n_overtaken)).min()
    }

    /// How many lines are open.
    pub(super) fn len(&self) -> u64 {
        self.open.iter().flatten().count() as u64
    }

    /// Gives up waiting for the rest of the earliest open line.
    pub(super) fn give_up(&mut self) -> Option<Whole> {
        let [stdout, stderr] = &self.open;
        let is_first = |one: &Option<Open>, other: &Option<Open>| {
            one.as_ref().is_some_and(|it| other.as_ref().is_none_or(|other| it.from < other.from))
        };
        let n = usize::from(!is_first(stdout, stderr));
        let open = self.open[n].take()?;
        if let Some(other) = &mut self.open[1 - n] {
            other.n_overtaken += 1;
        }
        Some(open.close())
    }
}

impl Open {
    /// Keeps no more than is handed out; where something was left out already, nothing.
    fn add(&mut self, text: &str) {
        let room = if self.n_cut > 0 { 0 } else { TEXT_LEN_MAX - self.whole.text.len() };
        let (kept, cut) = text.split_at(text.floor_char_boundary(room));
        self.whole.text.push_str(kept);
        self.n_cut += cut.len() as u64;
    }

    fn close(mut self) -> Whole {
        if self.n_cut > 0 {
            self.whole.text += &cut_mark(self.n_cut);
        }
        self.whole
    }
}

/// What stands at the end of a line of which so many bytes were left out.
pub(super) fn cut_mark(n_bytes: u64) -> String {
    format!("… [{n_bytes} bytes more]")
}

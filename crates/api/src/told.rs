//! What happened, as it is told: printed once, for all who read along.
//!
//! Some words of an event are the state's: the address of a node, what an app's checks were before. Whoever comes to
//! an entry first has it printed from the state as it is then, and the others are told the same.

use crate::control::Happened;
use crate::v2::{Event, EventBody};
use crate::{time, to_wire};
use bytes::Bytes;
use cluster::{State, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// So much of what was printed last is kept for readers that are a little behind, bytes.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// An event's place in the log: entry, event of the entry, part of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) index: u64,
    pub(crate) event: u32,
    pub(crate) part: u32,
}

impl Position {
    /// Behind all of an entry.
    pub(crate) const fn behind(index: u64) -> Self {
        Self { index, event: u32::MAX, part: u32::MAX }
    }

    /// Reads what [`Display`](fmt::Display) prints.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let index = parts.next()?.parse().ok()?;
        let mut number = || parts.next()?.parse().ok();
        Some(Self { index, event: number()?, part: number()? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.index, self.event, self.part)
    }
}

/// One event as it is sent. A clone is the same one.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) name: &'static str,
    /// Where it stands in the log, unless it is not of the log.
    pub(crate) position: Option<Position>,
    /// As a server-sent event.
    pub(crate) text: Bytes,
    /// The JSON in it.
    pub(crate) data: Bytes,
}

impl Frame {
    /// An event that is not of the log. `None` where it cannot be printed, which the log says.
    pub(crate) fn new(at: Timestamp, body: EventBody) -> Option<Self> {
        let mut page = Page::default();
        page.write(at, body, None);
        page.finish().1.pop()
    }
}

/// What an entry of the log is told as.
#[derive(Debug)]
pub(crate) struct Printed {
    /// All its frames.
    pub(crate) text: Bytes,
    pub(crate) frames: Vec<Frame>,
}

/// What was printed last. A clone is a handle to the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// By the entry's index, and whether plans are light.
    entries: BTreeMap<(u64, bool), Arc<Printed>>,
    n_bytes: usize,
}

impl Told {
    /// What an entry is told as. `state` is one in which it has happened; `light` leaves stand-ins for groups out of
    /// plans.
    pub(crate) fn entry(&self, state: &State, happened: &Happened, light: bool) -> Arc<Printed> {
        // Held while printing, so that it is done once.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (happened.index, light);
        if let Some(printed) = kept.entries.get(&key) {
            return Arc::clone(printed);
        }
        let printed = Arc::new(print(state, happened, light));
        kept.n_bytes += printed.text.len();
        kept.entries.insert(key, Arc::clone(&printed));
        while kept.n_bytes > KEPT_BYTES_MAX
            && let Some((_, oldest)) = kept.entries.pop_first()
        {
            kept.n_bytes -= oldest.text.len();
        }
        printed
    }
}

fn print(state: &State, happened: &Happened, light: bool) -> Printed {
    let mut page = Page::default();
    for (n, event) in (0..).zip(&happened.events) {
        let bodies = to_wire::events(state, &happened.principal, event, light);
        for (part, body) in (0..).zip(bodies) {
            page.write(happened.time, body, Some(Position { index: happened.index, event: n, part }));
        }
    }
    let (text, frames) = page.finish();
    Printed { text, frames }
}

/// Frames, one behind the other.
#[derive(Default)]
struct Page {
    text: Vec<u8>,
    frames: Vec<Written>,
}

/// A frame of a page that is still written.
struct Written {
    name: &'static str,
    position: Option<Position>,
    text: Range<usize>,
    data: Range<usize>,
}

impl Page {
    /// Our own types always print; should one not, it is left out and the log says so.
    fn write(&mut self, at: Timestamp, body: EventBody, position: Option<Position>) {
        let (name, start) = (body.name(), self.text.len());
        match self.try_write(&Event { timestamp: time::print(at), body }, position) {
            Ok(data) => self.frames.push(Written { name, position, text: start..self.text.len(), data }),
            Err(error) => {
                tracing::error!(%error, name, "an event could not be written as JSON");
                self.text.truncate(start);
            }
        }
    }

    /// Returns where the JSON is.
    fn try_write(&mut self, event: &Event, position: Option<Position>) -> std::io::Result<Range<usize>> {
        write!(self.text, "event: {}\r\n", event.body.name())?;
        if let Some(position) = position {
            write!(self.text, "id: {position}\r\n")?;
        }
        self.text.extend_from_slice(b"data: ");
        let start = self.text.len();
        serde_json::to_writer(&mut self.text, event)?;
        let data = start..self.text.len();
        self.text.extend_from_slice(b"\r\n\r\n");
        Ok(data)
    }

    fn finish(self) -> (Bytes, Vec<Frame>) {
        let all = Bytes::from(self.text);
        let frames = self.frames.into_iter().map(|it| Frame {
            name: it.name,
            position: it.position,
            text: all.slice(it.text),
            data: all.slice(it.data),
        });
        (all.clone(), frames.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_are_printed() {
        for position in [Position { index: 42, event: 0, part: 7 }, Position::behind(u64::MAX)] {
            assert_eq!(Position::parse(&position.to_string()), Some(position));
        }
        for text in ["", "x", "../", "1", "1-2", "-1-0-0", "1-2-3-4", "99999999999999999999-0-0", "1-2-", "1 -2-3"] {
            assert_eq!(Position::parse(text), None, "{text:?}");
        }
    }
}

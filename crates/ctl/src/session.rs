//! What all verbs share, as meant: the cluster, the streams, how to print.

use crate::error::{Error, Kind, Result};
use crate::io::{Io, Pace};
use crate::remote::{Remote, Request};
use crate::table::{Cell, Table, Tone};
use crate::{Color, Global, Output, text};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::RefCell;
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::pin::Pin;
use std::rc::Rc;

/// One run of a verb.
pub(crate) struct Session<'a> {
    remote: Remote,
    io: &'a mut Io,
    output: Output,
    with_heading: bool,
    quiet: bool,
    assume_yes: bool,
    color_out: bool,
    color_err: bool,
    /// The deployments that are being watched: an interruption names them.
    following: Rc<RefCell<Vec<String>>>,
}

impl<'a> Session<'a> {
    /// Checks the options and reaches for nothing yet.
    pub(crate) fn new(global: &Global, io: &'a mut Io) -> Result<Self> {
        let colored = |terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !io.no_color,
        };
        Ok(Self {
            remote: Remote::new(&global.url)?,
            color_out: colored(io.stdout_is_terminal),
            color_err: colored(io.stderr_is_terminal),
            output: if global.json { Output::Json } else { global.output },
            with_heading: !global.no_headers,
            quiet: global.quiet,
            assume_yes: global.yes,
            following: Rc::default(),
            io,
        })
    }

    /// Ends when the user interrupts.
    pub(crate) fn interrupted(&mut self) -> Pin<Box<dyn Future<Output = ()>>> {
        std::mem::replace(&mut self.io.interrupted, Box::pin(std::future::pending()))
    }

    /// What an interruption means now.
    pub(crate) fn interruption(&mut self) -> Error {
        if self.draws_in_place() {
            let _ = writeln!(self.io.stderr);
        }
        let following = self.following.borrow();
        match &following[..] {
            [] => Error::new(Kind::Interrupted, "interrupted"),
            ids => Error::new(Kind::Interrupted, "interrupted; the deployment goes on").hint(format!(
                "`ekiden deployment watch {0}` follows it, `ekiden deployment rollback {1}` takes it back",
                ids.join(" "),
                ids[0]
            )),
        }
    }

    /// Names the deployments that are being watched from now on.
    pub(crate) fn set_following(&self, ids: impl IntoIterator<Item = String>) {
        *self.following.borrow_mut() = ids.into_iter().collect();
    }

    /// Asks the cluster; the answer as its type and as it was printed.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<(T, Value)> {
        let text = self.remote.send(&request).await?;
        let place = || format!("{} of {}", request.line(), self.remote.name());
        let odd = |err: serde_json::Error| {
            Error::new(Kind::Unexpected, format!("the answer is not what was expected: {err}"))
                .at(place())
                .hint("is this an Ekiden server, of the version of `ekiden version`?")
        };
        let value: Value = serde_json::from_slice(&text).map_err(odd)?;
        Ok((T::deserialize(&value).map_err(odd)?, value))
    }

    /// Asks for something that is done without an answer worth reading.
    pub(crate) async fn tell_empty(&self, request: Request) -> Result<()> {
        self.remote.send(&request).await.map(drop)
    }

    /// Takes the deployment of the last change, where the answer named it beside its body.
    pub(crate) fn take_deployment(&self) -> Option<String> {
        self.remote.take_deployment()
    }

    /// Opens a stream of events, behind the event of this id.
    pub(crate) async fn stream(&self, request: &Request, last_event_id: Option<&str>) -> Result<Incoming> {
        self.remote.stream(request, last_event_id).await
    }

    /// Asks for what may not be there.
    pub(crate) async fn ask_if_there<T: DeserializeOwned>(&self, request: Request) -> Result<Option<(T, Value)>> {
        match self.ask(request).await {
            Ok(found) => Ok(Some(found)),
            Err(err) if err.kind == Kind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Whether data is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Whether ids and versions are printed in full.
    pub(crate) fn is_wide(&self) -> bool {
        self.output == Output::Wide
    }

    /// Prints data for programs.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|err| Error::new(Kind::Unexpected, format!("cannot print the result as JSON: {err}")))?;
        self.data(&(text + "\n"))
    }

    /// Prints a table; `nothing` is said to people where it has no row.
    pub(crate) fn table(&mut self, table: &Table, nothing: &str) -> Result<()> {
        if table.is_empty() {
            self.note(nothing);
            return Ok(());
        }
        let rendered = table.render(self.with_heading, self.color_out);
        self.data(&rendered)
    }

    /// Prints those of a list that are wanted: for programs as the server `printed` them, for people as the `rows` of a
    /// table. `nothing` is said where there are none.
    pub(crate) fn list<T>(
        &mut self,
        (list, printed): (&[T], &Value),
        wanted: impl Fn(&T) -> bool,
        rows: (&[&'static str], impl Fn(&Self, &T) -> Vec<Cell>),
        nothing: &str,
    ) -> Result<()> {
        if self.is_json() {
            let all = printed.as_array().into_iter().flatten().zip(list);
            let all: Vec<&Value> = all.filter(|(_, it)| wanted(it)).map(|(value, _)| value).collect();
            return self.json(&all);
        }
        let (heading, row) = rows;
        let mut table = Table::new(heading);
        for it in list.iter().filter(|it| wanted(it)) {
            table.row(row(self, it));
        }
        self.table(&table, nothing)
    }

    /// Prints data: complete lines, already harmless.
    pub(crate) fn data(&mut self, lines: &str) -> Result<()> {
        self.io.stdout.write_all(lines.as_bytes())?;
        Ok(self.io.stdout.flush()?)
    }

    /// A text in the colour of stdout.
    pub(crate) fn paint(&self, tone: Tone, line: &str) -> String {
        tone.paint(&text::line(line), self.color_out)
    }

    /// Tells people something that is no data.
    pub(crate) fn note(&mut self, line: &str) {
        self.note_toned("", Tone::Plain, line);
    }

    /// The same, behind a mark of some tone.
    pub(crate) fn note_toned(&mut self, mark: &str, tone: Tone, line: &str) {
        if !self.quiet {
            let mark = tone.paint(mark, self.color_err && !mark.is_empty());
            // Progress that nobody can read is no failure.
            let _ = writeln!(self.io.stderr, "{mark}{}", text::line(line));
            let _ = self.io.stderr.flush();
        }
    }

    /// Writes to stderr as it is; for what draws in place.
    pub(crate) fn draw(&mut self, raw: &str) {
        let _ = self.io.stderr.write_all(raw.as_bytes());
        let _ = self.io.stderr.flush();
    }

    /// Whether progress is drawn over itself.
    pub(crate) fn draws_in_place(&self) -> bool {
        self.io.stderr_is_terminal && !self.io.ci && !self.quiet
    }

    /// Whether only errors are wanted.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Reads all of stdin.
    pub(crate) fn stdin(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.io.stdin.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether a person is at stdin.
    pub(crate) const fn has_person(&self) -> bool {
        self.io.stdin_is_terminal
    }

    /// Asks a person whether to go on; without one, or with `--yes`, the answer is yes.
    pub(crate) fn confirm(&mut self, question: &str) -> Result<()> {
        if self.assume_yes || !self.io.stdin_is_terminal || !self.io.stderr_is_terminal {
            return Ok(());
        }
        self.draw(&format!("{} [y/N] ", text::line(question)));
        let mut answer = String::new();
        let read = BufReader::new(&mut self.io.stdin).read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(Error::new(Kind::Interrupted, "nothing was done").hint("`--yes` asks no questions"))
    }

    /// The time in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        (self.io.now_ms)()
    }

    /// How often to look at what is under way.
    pub(crate) const fn pace(&self) -> Pace {
        self.io.pace
    }

    /// Tells people what the server remarked on the changes since this was called last.
    pub(crate) fn tell_remarks(&mut self) {
        for it in self.remote.take_remarks() {
            self.note_toned("warning: ", Tone::Busy, &it);
        }
    }

    /// Where the cluster is, as typed.
    pub(crate) fn servers(&self) -> String {
        self.remote.name()
    }
}

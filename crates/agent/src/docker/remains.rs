//! What an instance that ended left behind on the engine: how its containers ended, and the last lines that they wrote.

use super::{Docker, Error, READ_DEADLINE};
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use cluster::agent::{Container, Exit, Role, fold};
use cluster::{InstanceId, LogLine, Stream};
use futures::StreamExt;
use std::collections::VecDeque;
use std::path::PathBuf;

/// So many of a container's last lines are read.
const LINES: usize = 200;

/// They have at most so many bytes: what does not fit is given up from the front.
const LINES_BYTES_MAX: usize = 64 << 10;

/// One of them has at most so many: Docker itself cuts lines every 16 KiB.
const LINE_BYTES_MAX: usize = 16 << 10;

/// What an instance left behind.
#[derive(Debug)]
pub(crate) struct Remains {
    /// How it ended, as one.
    pub(crate) exit: Exit,
    /// Its containers, but for the one that only holds a pod's network.
    pub(crate) containers: Vec<Remain>,
}

/// What one container left behind.
#[derive(Debug)]
pub(crate) struct Remain {
    /// Its name in the pod; empty for an app.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) exit: Exit,
    /// When, as Docker tells it (RFC 3339, UTC); empty if that is not known.
    pub(crate) ended_at: String,
    /// The file that its log driver writes, if that keeps one.
    pub(crate) log: Option<PathBuf>,
    /// The last lines that it wrote.
    pub(crate) lines: Result<Vec<LogLine>, Error>,
}

impl Docker {
    /// What an instance left behind; nothing if it has no container.
    pub(crate) async fn remains(&self, instance: InstanceId) -> Result<Option<Remains>, Error> {
        let found = self.parts(instance).await?;
        let parts: Vec<_> = found.iter().map(|it| it.part.clone()).collect();
        let exit = match fold(&parts) {
            Container::Absent => return Ok(None),
            Container::Exited(exit) => exit,
            Container::Created => Exit::default(),
            Container::Running { .. } => {
                let message = "its container runs".to_owned();
                return Err(Error::Refused { status: 409, message });
            }
        };
        let mut containers = Vec::new();
        for it in found {
            let name = match it.part.role {
                Role::Network { .. } => continue,
                Role::Member(name) => name,
                Role::Sole => String::new(),
            };
            let lines = self.last_lines(&it.name).await;
            let exit = if let Container::Exited(exit) = it.part.container { exit } else { Exit::default() };
            containers.push(Remain { name, exit, ended_at: it.part.ended_at, log: it.log, lines });
        }
        Ok(Some(Remains { exit, containers }))
    }

    async fn last_lines(&self, name: &str) -> Result<Vec<LogLine>, Error> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            timestamps: true,
            tail: LINES.to_string(),
            ..LogsOptions::default()
        };
        self.call("logs", READ_DEADLINE, |it| async move {
            let mut output = std::pin::pin!(it.logs(name, Some(options)));
            let mut tail = Tail::default();
            while let Some(some) = output.next().await {
                match some? {
                    LogOutput::StdErr { message } => tail.take(Stream::Stderr, &message),
                    LogOutput::StdOut { message } | LogOutput::Console { message } => {
                        tail.take(Stream::Stdout, &message);
                    }
                    LogOutput::StdIn { .. } => {}
                }
            }
            Ok(tail.lines.into())
        })
        .await
    }
}

/// The last of the lines that were taken in.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// The streams whose last line has not ended yet.
    open: Vec<Stream>,
}

impl Tail {
    /// Takes in a line as Docker tells it, or a part of one: its time, a space, and what was written.
    fn take(&mut self, stream: Stream, message: &[u8]) {
        let message = String::from_utf8_lossy(message);
        let (at, text) = message.split_once(' ').unwrap_or(("", &message));
        let ends = text.ends_with('\n');
        let text = plain(text.trim_end_matches(['\n', '\r']));
        let goes_on = self.open.contains(&stream);
        if let Some(line) = self.lines.iter_mut().rev().find(|it| it.stream == stream).filter(|_| goes_on) {
            let room = LINE_BYTES_MAX.saturating_sub(line.text.len());
            let more = &text[..text.floor_char_boundary(room)];
            line.text.push_str(more);
            self.bytes += more.len();
        } else {
            self.bytes += text.len();
            self.lines.push_back(LogLine { at: at.to_owned(), stream, text });
        }
        self.open.retain(|it| *it != stream);
        if !ends {
            self.open.push(stream);
        }
        while self.bytes > LINES_BYTES_MAX
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= first.text.len();
        }
    }
}

/// A text without what moves a terminal's cursor or colours it: ECMA-48's sequences, and single control characters.
fn plain(text: &str) -> String {
    const ESCAPE: char = '\u{1b}';
    const BELL: char = '\u{7}';
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(it) = rest.next() {
        if it != ESCAPE {
            plain.extend((!it.is_control() || it == '\t').then_some(it));
            continue;
        }
        match rest.next() {
            // A control sequence ends with its first byte from '@' to '~'.
            Some('[') => drop(rest.find(|it| ('@'..='~').contains(it))),
            // A command for the terminal, such as its title, ends with a bell or another escape.
            Some(']') if rest.find(|it| [BELL, ESCAPE].contains(it)) == Some(ESCAPE) => drop(rest.next()),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(messages: &[(Stream, &str)]) -> Vec<(Stream, String)> {
        let mut tail = Tail::default();
        for (stream, message) in messages {
            tail.take(*stream, format!("2026-11-28T06:00:00.000000001Z {message}").as_bytes());
        }
        assert!(tail.lines.iter().all(|it| it.at == "2026-11-28T06:00:00.000000001Z"));
        tail.lines.into_iter().map(|it| (it.stream, it.text)).collect()
    }

    #[test]
    fn a_line_that_comes_in_parts_is_one() {
        use Stream::{Stderr, Stdout};
        let parts = [(Stdout, "half of"), (Stderr, "an error\n"), (Stdout, " a line\n"), (Stdout, "next\r\n")];
        let lines = [(Stdout, "half of a line"), (Stderr, "an error"), (Stdout, "next")];
        assert_eq!(taken(&parts), lines.map(|(stream, text)| (stream, text.to_owned())));
        assert_eq!(taken(&[(Stdout, "no end")]), [(Stdout, "no end".to_owned())]);
    }

    #[test]
    fn what_is_too_long_is_given_up_from_the_front() {
        let long = "x".repeat(10_000) + "\n";
        let many: Vec<_> = std::iter::repeat_n((Stream::Stdout, long.as_str()), 50).collect();
        let lines = taken(&many);
        assert_eq!(lines.len(), LINES_BYTES_MAX / 10_000);
        let endless: Vec<_> = std::iter::repeat_n((Stream::Stdout, "y"), 100_000).collect();
        assert_eq!(taken(&endless)[0].1.len(), LINE_BYTES_MAX);
    }

    #[test]
    fn lines_move_no_cursor() {
        for (text, expect) in [
            ("\u{1b}[31mred\u{1b}[0m and plain", "red and plain"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]0;title\u{1b}\\after", "after"),
            ("tab\tbell\u{7}\u{8}", "tab\tbell"),
            ("ends in \u{1b}[", "ends in "),
            ("\u{1b}cgone", "gone"),
        ] {
            assert_eq!(plain(text), expect, "{text:?}");
        }
    }
}

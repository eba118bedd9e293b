//! How far something is, on stderr: drawn over itself on a terminal, otherwise one line per change and, when nothing
//! changes, a heartbeat.

use crate::session::Session;
use crate::text;
use std::time::Duration;
use tokio::time::Instant;

/// Longer lines would wrap, and what wraps cannot be drawn over.
const WIDTH: usize = 79;

/// Reasons are told by lines only when nothing has changed for so many of the first looks: most waits are over by then.
const PATIENCE_LOOKS: u32 = 30;

/// What was shown last.
#[derive(Debug)]
pub(crate) struct Progress {
    in_place: bool,
    drawn: usize,
    lines: Vec<String>,
    reasons: Vec<String>,
    changed_at: Instant,
    said_at: Instant,
    began_ms: u64,
}

impl Progress {
    /// Nothing shown yet.
    pub(crate) fn new(session: &Session<'_>) -> Self {
        let now = Instant::now();
        Self {
            in_place: session.draws_in_place(),
            drawn: 0,
            lines: Vec::new(),
            reasons: Vec::new(),
            changed_at: now,
            said_at: now,
            began_ms: session.now_ms(),
        }
    }

    /// Shows how far it is, and why it is no farther.
    pub(crate) fn show(&mut self, session: &mut Session<'_>, lines: &[String], reasons: &[String]) {
        if session.is_quiet() {
            return;
        }
        if self.in_place {
            self.draw(session, lines, reasons);
        } else {
            self.say(session, lines, reasons);
        }
    }

    /// Takes away what was drawn: a result follows.
    pub(crate) fn clear(&mut self, session: &mut Session<'_>) {
        if self.drawn > 0 {
            session.draw(&format!("\x1b[{}A\r\x1b[J", self.drawn));
            self.drawn = 0;
        }
    }

    fn draw(&mut self, session: &mut Session<'_>, lines: &[String], reasons: &[String]) {
        let waited = self.waited(session);
        let reasons = reasons.iter().map(|it| format!("  {it}"));
        let all: Vec<String> = lines.iter().map(|it| format!("{it}  ({waited})")).chain(reasons).collect();
        let up = if self.drawn > 0 { format!("\x1b[{}A\r", self.drawn) } else { String::new() };
        let lines: Vec<String> = all.iter().map(|it| format!("\x1b[2K{}\n", cut(&text::line(it)))).collect();
        session.draw(&format!("{up}{}\x1b[J", lines.concat()));
        self.drawn = all.len();
    }

    fn waited(&self, session: &Session<'_>) -> String {
        text::duration(Duration::from_millis(session.now_ms().saturating_sub(self.began_ms)))
    }

    fn say(&mut self, session: &mut Session<'_>, lines: &[String], reasons: &[String]) {
        let clock = text::clock(session.now_ms());
        if lines != self.lines {
            let changed = lines.iter().filter(|it| !self.lines.contains(it));
            let changed: Vec<String> = changed.map(|it| format!("{clock}  {it}")).collect();
            for it in changed {
                session.note(&it);
            }
            self.lines = lines.to_vec();
            self.changed_at = Instant::now();
            self.said_at = self.changed_at;
            return;
        }
        let is_new =
            reasons.len() != self.reasons.len() || reasons.iter().zip(&self.reasons).any(|(a, b)| !alike(a, b));
        let is_time = self.changed_at.elapsed() >= session.pace().look * PATIENCE_LOOKS;
        if is_time && is_new {
            for it in reasons {
                session.note(&format!("{clock}  waits: {it}"));
            }
            self.reasons = reasons.to_vec();
            self.said_at = Instant::now();
        }
        if self.said_at.elapsed() >= session.pace().heartbeat {
            let waited = self.waited(session);
            session.note(&format!("{clock}  still {}  ({waited})", lines.join("; ")));
            self.said_at = Instant::now();
        }
    }
}

/// Whether two sentences differ at most in their numbers, such as seconds that pass.
fn alike(a: &str, b: &str) -> bool {
    let words = |it: &str| it.replace(|it: char| it.is_ascii_digit(), "");
    words(a) == words(b)
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        None => line.to_owned(),
        Some(_) => line.chars().take(WIDTH - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_line_never_wraps() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(79)), "x".repeat(79));
        assert_eq!(cut(&"x".repeat(80)).chars().count(), 79);
    }

    #[test]
    fn passing_seconds_are_no_news() {
        assert!(alike("delayed for 12 s more", "delayed for 9 s more"));
        assert!(!alike("are starting", "are stopping"));
    }
}

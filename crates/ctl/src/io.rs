//! What a verb needs of the process it runs in.

use std::fmt;
use std::future::Future;
use std::io::{self, IsTerminal, Read, Write};
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Streams, terminal, clock and interruption.
pub struct Io {
    /// Where files named `-` and answers to questions come from.
    pub stdin: Box<dyn Read>,
    /// Takes data.
    pub stdout: Box<dyn Write>,
    /// Takes progress, hints and errors.
    pub stderr: Box<dyn Write>,
    /// Whether somebody can be asked.
    pub stdin_is_terminal: bool,
    /// Whether a person reads the data.
    pub stdout_is_terminal: bool,
    /// Whether progress can be drawn in place.
    pub stderr_is_terminal: bool,
    /// Whether the user wants no colour: `NO_COLOR` is set, or the terminal has none.
    pub no_color: bool,
    /// Whether a CI job runs this: then progress is one line per change, also on a terminal.
    pub ci: bool,
    /// Ends when the user presses Ctrl-C.
    pub interrupted: Pin<Box<dyn Future<Output = ()>>>,
    /// Milliseconds since 1970 in UTC.
    pub now_ms: fn() -> u64,
    /// How often to look.
    pub pace: Pace,
}

/// How often a deployment under way is looked at and spoken of.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one look to the next, at first; later up to six times as long.
    pub look: Duration,
    /// Without a change, and where progress is not drawn in place, a line is printed so often all the same: CI
    /// systems end jobs that are silent.
    pub heartbeat: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { look: Duration::from_millis(100), heartbeat: Duration::from_secs(30) }
    }
}

impl Io {
    /// The process's own.
    pub fn of_process() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|it| !it.is_empty());
        let interrupted = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        Self {
            stdin: Box::new(io::stdin()),
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            stdin_is_terminal: io::stdin().is_terminal(),
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            no_color: set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|it| it == "dumb"),
            ci: std::env::var("CI").is_ok_and(|it| !matches!(it.as_str(), "" | "0" | "false")),
            interrupted: Box::pin(interrupted),
            now_ms: now_ms_of_system,
            pace: Pace::default(),
        }
    }
}

fn now_ms_of_system() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_millis() as u64)
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("ci", &self.ci).field("pace", &self.pace).finish_non_exhaustive()
    }
}

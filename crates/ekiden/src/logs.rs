//! Logs of daemons: lines of text or JSON on stderr.

use crate::config::{LogConfig, LogFormat};
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::fmt::MakeWriter;

/// Writes to stderr and never fails: a daemon goes on without whoever read its logs.
#[derive(Clone, Copy)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

/// Logs from now on, panics too.
pub(crate) fn start(config: LogConfig) {
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(config.filter)
        .with_writer(Stderr)
        .with_ansi(color)
        // It would report its own failures by a macro that panics.
        .log_internal_errors(false);
    let started = match config.format {
        LogFormat::Text => tracing::subscriber::set_global_default(subscriber.finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(subscriber.json().flatten_event(true).finish()),
    };
    debug_assert!(started.is_ok(), "logs are started once");
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(thread = thread.name().unwrap_or("unnamed"), "this is a defect in Ekiden: {panic}");
    }));
}

//! raft's log lines, on to `tracing`.

use std::fmt::{Arguments, Write as _};

use slog::{Drain, KV as _, Level, Logger, Never, OwnedKVList, Record, Serializer, o};

/// Returns the logger that raft is given. One level below what raft says: a member's own lines tell an operator of
/// elections, raft's tell a developer why.
pub(super) fn logger() -> Logger {
    Logger::root(ToTracing, o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
        match record.level() {
            Level::Critical | Level::Error => tracing::error!(target: "raft", "{}", line(record)),
            Level::Warning => tracing::warn!(target: "raft", "{}", line(record)),
            Level::Info => tracing::debug!(target: "raft", "{}", line(record)),
            Level::Debug | Level::Trace => tracing::trace!(target: "raft", "{}", line(record)),
        }
        Ok(())
    }
}

/// Returns message and values. Only called for lines that somebody reads.
fn line(record: &Record<'_>) -> String {
    let mut line = Line(record.msg().to_string());
    // Cannot fail: a string takes everything.
    let _ = record.kv().serialize(record, &mut line);
    line.0
}

struct Line(String);

impl Serializer for Line {
    fn emit_arguments(&mut self, key: slog::Key, value: &Arguments<'_>) -> slog::Result {
        write!(self.0, " {key}={value}")?;
        Ok(())
    }
}

//! What can go wrong, as people read it and as a CI counts it.

use crate::text;
use std::fmt;
use std::process::ExitCode;

/// Decides the exit code; `docs/cli.md` lists them, and one test holds each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that should not happen.
    Unexpected,
    /// A deployment failed.
    Failed,
    /// The client waited long enough; the deployment goes on.
    TimedOut,
    /// A deployment failed or was given up, and what was before it is back.
    RolledBack,
    /// A deployment under way holds the app, or it was changed meanwhile.
    Locked,
    /// No node takes what is wanted.
    CannotPlace,
    /// A deployment was cancelled, or a newer one took over.
    Overtaken,
    /// The command line is wrong.
    Usage,
    /// An app definition is wrong.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// No server answers, or none of them leads.
    Unreachable,
    /// Not now; the same again later may do.
    Temporary,
    /// The user interrupted; the deployment goes on.
    Interrupted,
    /// Who reads our output has closed it: no error at all.
    ClosedPipe,
}

impl Kind {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Unexpected => 1,
            Self::Failed => 3,
            Self::TimedOut => 4,
            Self::RolledBack => 5,
            Self::Locked => 6,
            Self::CannotPlace => 8,
            Self::Overtaken => 9,
            Self::Usage => 64,
            Self::Invalid => 65,
            Self::NotFound => 66,
            Self::Unreachable => 69,
            Self::Temporary => 75,
            Self::Interrupted => 130,
        }
    }
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        kind.code().into()
    }
}

/// Why a verb did not do as asked: what failed, where, why, and what may help.
#[derive(Clone, Debug)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// What failed, and why.
    pub what: String,
    /// Where it failed: a file with line and column, or a request.
    pub at: Option<String>,
    /// More of why, one thing a line.
    pub details: Vec<String>,
    /// What may help.
    pub hint: Option<String>,
}

/// The result of all that a verb does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without place, details or hint.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), at: None, details: Vec::new(), hint: None }
    }

    /// Says where.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Self {
        Self { at: Some(place.into()), ..self }
    }

    /// Adds one more line of why.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Says what may help.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Error {
    /// Several lines, each ended, with nothing in them that could steer a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", text::block(&self.what))?;
        if let Some(at) = &self.at {
            writeln!(f, "  at: {}", text::line(at))?;
        }
        for detail in &self.details {
            writeln!(f, "  {}", text::line(detail))?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "  hint: {}", text::line(hint))?;
        }
        Ok(())
    }
}

impl From<std::io::Error> for Error {
    /// For writes to stdout.
    fn from(err: std::io::Error) -> Self {
        match err.kind() {
            std::io::ErrorKind::BrokenPipe => Self::new(Kind::ClosedPipe, "the reader of the output is gone"),
            _ => Self::new(Kind::Unexpected, format!("cannot write the output: {err}")),
        }
    }
}

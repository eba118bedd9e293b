//! What may be asked of a member's log while it runs: the seam between `GET` and `POST /logging` and the program that
//! set the log up.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

/// The levels of a running program's log.
pub trait Logging: Debug + Send + Sync {
    /// The level of each logger that has one of its own; `ROOT` stands for all others.
    fn levels(&self) -> BTreeMap<String, String>;

    /// Sets a logger's level, for good or for so long.
    ///
    /// # Errors
    /// Why it cannot be set, for people; nothing was changed.
    fn set(&self, logger: &str, level: Level, lasts: Option<Duration>) -> Result<(), String>;
}

/// How much a logger tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// All of them, from the quietest on.
    pub const ALL: [Self; 6] = [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Its name, in small letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The level of this name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(text))
    }
}

//! What an agent is asked over a connection of its own, and how it answers.
//!
//! The member says one [`Question`], the agent one [`Answer`] after another until it has said all, or for as long as the
//! member listens. What the connection cannot take waits at the agent: how fast a reader reads is nobody else's business.

use crate::model::{AppId, InstanceId, PathId, Stream};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an agent is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// What containers have written.
    Logs(LogQuery),
}

/// Which lines of which containers, of those that are there and of those that were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// Of these apps and pods …
    #[serde(default)]
    pub apps: Vec<AppId>,
    /// … and of all in this group, at any depth.
    #[serde(default)]
    pub group: Option<PathId>,
    /// Of these instances only; of all where there are none.
    #[serde(default)]
    pub instances: Vec<InstanceId>,
    /// Of a pod: of this container only.
    #[serde(default)]
    pub container: Option<String>,
    /// Written at this moment or later, nanoseconds since 1970.
    #[serde(default)]
    pub since_ns: Option<u64>,
    /// Written before this moment, nanoseconds since 1970.
    #[serde(default)]
    pub until_ns: Option<u64>,
    /// No more than the last so many of them; then what comes, where it is followed.
    #[serde(default)]
    pub tail: Option<u64>,
    /// Also what comes from now on, until the member hangs up.
    #[serde(default)]
    pub follow: bool,
    /// Of one stream only.
    #[serde(default)]
    pub stream: Option<Stream>,
    /// In which this regular expression is found …
    #[serde(default)]
    pub pattern: Option<String>,
    /// … or is not.
    #[serde(default)]
    pub invert: bool,
    /// Behind these places: what was told before. `since_ns` and `tail` are for containers without one.
    #[serde(default)]
    pub after: BTreeMap<LogSource, LogPlace>,
}

/// A container, as far as its log goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogSource {
    /// The instance.
    pub instance: InstanceId,
    /// The pod's container; empty for an app.
    #[serde(default)]
    pub container: String,
}

/// A place between two lines of one container's log. Only its agent can say what it means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPlace {
    /// The file: when its first line was written, nanoseconds since 1970 …
    pub born_ns: u64,
    /// … and its number on the disk.
    pub inode: u64,
    /// Bytes before it in the file.
    pub offset: u64,
    /// So many lines behind it were told all the same.
    pub told: u64,
}

/// What an agent answers to [`Question::Logs`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogAnswer {
    /// Lines, in the order of their times as far as that was known.
    Lines(LogLines),
    /// That was all.
    End,
    /// It cannot be answered.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// Some lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLines {
    /// The containers that lines are of.
    pub sources: Vec<LogFrom>,
    /// The lines.
    pub lines: Vec<LoggedLine>,
    /// Where logs were read to, where that is behind the last line that was wanted.
    #[serde(default)]
    pub places: BTreeMap<LogSource, LogPlace>,
    /// Where lines were left out that were wanted.
    #[serde(default)]
    pub skipped: Vec<LogSkipped>,
    /// All that follows was written at this moment or later, as far as the agent can say, nanoseconds since 1970.
    #[serde(default)]
    pub until_ns: u64,
    /// What had been written when it was asked has been told.
    #[serde(default)]
    pub caught_up: bool,
}

/// A container and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFrom {
    /// Its app or pod.
    pub app: AppId,
    /// The container.
    pub source: LogSource,
}

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedLine {
    /// Whose: an index into [`LogLines::sources`].
    pub from: u32,
    /// When the engine read it, nanoseconds since 1970.
    pub time_ns: u64,
    /// Where it was written.
    pub stream: Stream,
    /// The line, without its end.
    pub text: String,
    /// The place behind it.
    pub place: LogPlace,
}

/// Lines that were left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSkipped {
    /// Of which container.
    pub source: LogSource,
    /// How many lines; none where nobody can say.
    pub lines: Option<u64>,
    /// Why, for people.
    pub reason: String,
}

//! What is left of an instance that ended: enough for people to see why.

use super::Timestamp;
use serde::{Deserialize, Serialize};

/// What an instance left behind when it ended, as far as the cluster keeps it. Its agent keeps more, on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The container of a pod that ended first; empty for an app.
    #[serde(default)]
    pub container: String,
    /// The exit code.
    #[serde(default)]
    pub exit_code: Option<i64>,
    /// The kernel ended it for want of memory.
    #[serde(default)]
    pub out_of_memory: bool,
    /// Docker's own remark; mostly empty.
    #[serde(default)]
    pub error: String,
    /// What a health check that failed was answered last.
    #[serde(default)]
    pub health: Option<HealthAnswer>,
    /// The last lines that it wrote, oldest first.
    #[serde(default)]
    pub lines: Vec<LogLine>,
    /// So many lines before these are kept on the node.
    #[serde(default)]
    pub more_lines: u32,
    /// Why there are no lines although there may have been some; for people.
    #[serde(default)]
    pub missing: String,
}

/// What a health check was answered that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthAnswer {
    /// When.
    pub at: Timestamp,
    /// The HTTP status, where there was one.
    #[serde(default)]
    pub status: Option<u16>,
    /// Why it counts as a failure, for people.
    pub cause: String,
    /// How the answer's body begins.
    #[serde(default)]
    pub body: String,
}

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When Docker read it: RFC 3339, UTC.
    pub at: String,
    /// Where it wrote it.
    pub stream: Stream,
    /// The line, without its end.
    pub text: String,
}

/// Where a container wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// Its standard output, or its terminal.
    Stdout,
    /// Its standard error.
    Stderr,
}

impl Stream {
    /// Its name, for people and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl Evidence {
    /// The signal that ended it, by its exit code as shells and Docker have it.
    pub const fn signal(&self) -> Option<&'static str> {
        match self.exit_code {
            Some(code) => signal(code),
            None => None,
        }
    }
}

/// A shell's way to say in an exit code that a signal ended the process.
pub const fn signal(code: i64) -> Option<&'static str> {
    Some(match code {
        129 => "HUP",
        130 => "INT",
        131 => "QUIT",
        132 => "ILL",
        134 => "ABRT",
        135 => "BUS",
        136 => "FPE",
        137 => "KILL",
        139 => "SEGV",
        141 => "PIPE",
        143 => "TERM",
        _ => return None,
    })
}

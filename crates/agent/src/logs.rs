//! Containers' logs, read where the engine writes them.
//!
//! Docker's `json-file` driver writes one entry per line, `{"log":"text\n","stream":"stdout","time":"..."}`, into
//! `<id>-json.log`. When that is large enough it becomes `<id>-json.log.1`, what was `.1` becomes `.2`, and the oldest
//! goes; where the driver compresses, `.1` becomes `.1.gz` a moment later. Nothing tells a reader of it, so this one
//! holds open what it reads and finds out by itself.
//!
//! | read | to learn |
//! |---|---|
//! | `line` | what a reader hands out: lines, gaps, and the cursor behind each |
//! | `entry` | one line of a file, taken strictly |
//! | `pieces` | long lines, which the engine cuts, put together again |
//! | `file`, `files` | one file, plain or compressed; one container's files, through rotations |
//! | `walk` | the way through the files, entry by entry |
//! | `reader` | one container's lines: history, the last n, and what comes |
//! | `start` | where a reader begins, found without reading what is before |
//! | `merge` | several containers' lines in the order of time |
//! | `shelf` | the node's logs by app and instance, also of those that are gone |
//! | `answer` | how a member's question is answered |
//!
//! Everything blocks and is bounded in memory: it is for threads of its own, one call per batch.

mod answer;
mod entry;
mod file;
mod files;
mod filter;
mod line;
mod merge;
mod pieces;
mod reader;
mod shelf;
mod start;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use answer::Answerer;
pub(crate) use shelf::Shelf;

use filter::Filter;
use line::{Cursor, Gap, Item};
use merge::Merge;
use reader::{Limits, Reader};

use std::path::{Path, PathBuf};

/// A log could not be read. What was torn, rotated away or removed is no error: it is skipped, and said.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log {}", path.display())]
pub(crate) struct Error {
    /// The file, or the directory it is in.
    pub(crate) path: PathBuf,
    /// Why.
    pub(crate) source: std::io::Error,
}

/// Says of which file an error is.
fn at(path: &Path) -> impl Fn(std::io::Error) -> Error {
    |source| Error { path: path.to_owned(), source }
}

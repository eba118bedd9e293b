//! What a reader hands out.

use cluster::Stream;

/// One line that a container wrote, whole but for what is said at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// When it began, by the engine's clock: nanoseconds since the Unix epoch.
    pub(crate) time_ns: u64,
    /// Where to.
    pub(crate) stream: Stream,
    /// Without the line feed at its end; what was no UTF-8 the engine has replaced.
    pub(crate) text: String,
    /// Where reading goes on after it.
    pub(crate) next: Cursor,
}

/// Lines that were there, or may have been, and are not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// How many entries of the log; `None` where nobody knows, which can be none at all.
    pub(crate) lines: Option<u64>,
    /// How many bytes of the log; `None` where nobody knows.
    pub(crate) bytes: Option<u64>,
}

impl Gap {
    /// Files that were gone before they were read.
    pub(super) const UNKNOWN: Self = Self { lines: None, bytes: None };
}

/// What a reader hands out, in the log's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A line.
    Line(Line),
    /// Here something is missing.
    Gap(Gap),
}

/// A place between two lines of one container's log, good for as long as its file is there: beyond rotations, and beyond
/// the reader.
///
/// Inodes are given anew as soon as a file is removed, and compression changes them. What tells the files of one log
/// apart is the time of their first entry; the inode decides where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The time of the file's first entry; 0 if it has none that can be read.
    pub(super) born_ns: u64,
    pub(super) inode: u64,
    /// Where reading begins: before the earliest line that is only there in part so far, or else behind the last line.
    pub(super) offset: u64,
    /// How many lines that end behind `offset` have been handed out: those of the other stream, written meanwhile. If
    /// the file is gone, they come once more behind the gap.
    pub(super) delivered: u64,
}

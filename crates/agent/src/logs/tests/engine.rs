//! An engine's `json-file` driver, as far as its files go: pieces, rotation, compression (moby,
//! `daemon/logger/copier.go` and `loggerutils/logfile.go`).

use super::super::pieces::PIECE_LEN;
use cluster::Stream;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

pub(super) const SECOND: u64 = 1_000_000_000;
/// 2026-11-28T12:00:00Z.
pub(super) const NOON: u64 = 1_795_867_200 * SECOND;

/// Writes one container's log.
#[derive(Debug)]
pub(super) struct Engine {
    dir: tempfile::TempDir,
    pub(super) path: PathBuf,
    file: File,
    len: usize,
    has_entry: bool,
    /// The driver's options.
    max_size: usize,
    max_file: u32,
    compress: bool,
    /// What its clock says; each entry takes a millisecond.
    pub(super) now_ns: u64,
}

impl Engine {
    /// Files that are never rotated, unless it is told otherwise.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c0ffee-json.log");
        let file = File::create(&path).unwrap();
        Self {
            dir,
            path,
            file,
            len: 0,
            has_entry: false,
            max_size: usize::MAX,
            max_file: 3,
            compress: false,
            now_ns: NOON,
        }
    }

    /// That rotates.
    pub(super) fn rotating(max_size: usize, max_file: u32) -> Self {
        Self { max_size, max_file, ..Self::new() }
    }

    /// That compresses what is rotated, or does not.
    pub(super) fn compressing(self, compress: bool) -> Self {
        Self { compress, ..self }
    }

    /// Takes what a container has written, a line with its line feed or the last without one.
    pub(super) fn write(&mut self, stream: Stream, text: &str) {
        for piece in Self::pieces(text) {
            self.write_entry(stream, piece, self.now_ns);
        }
        self.tick();
    }

    /// Writes so many lines to its standard output, `line 0` and so on.
    pub(super) fn write_numbered(&mut self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            self.write(Stream::Stdout, &format!("line {n}\n"));
        }
    }

    /// What the copier makes of a text; only ASCII is cut.
    pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let last = line.len() / PIECE_LEN * PIECE_LEN;
        // A line of just so many bytes is followed by its line feed alone.
        let rest = Some(&text[last..]).filter(|it| !it.is_empty() || line.is_empty());
        (0..line.len() / PIECE_LEN).map(move |n| &line[n * PIECE_LEN..(n + 1) * PIECE_LEN]).chain(rest)
    }

    /// Writes one entry, as it is.
    pub(super) fn write_entry(&mut self, stream: Stream, text: &str, time_ns: u64) {
        let entry = entry(stream, text, time_ns);
        self.write_raw(entry.as_bytes());
        self.has_entry = true;
    }

    /// Writes something, in one go, into a new file if the old one is large enough.
    pub(super) fn write_raw(&mut self, bytes: &[u8]) {
        if self.len >= self.max_size {
            self.rotate();
        }
        self.file.write_all(bytes).unwrap();
        self.len += bytes.len();
    }

    pub(super) fn tick(&mut self) {
        self.now_ns += SECOND / 1000;
    }

    /// No engine rotates a file in which it has written nothing.
    pub(super) fn rotate_if_used(&mut self) {
        if self.has_entry {
            self.rotate();
        }
    }

    pub(super) fn rotate(&mut self) {
        if self.max_file < 2 {
            // As programs do that rotate by copying; the engine itself makes another file nowadays.
            self.file = OpenOptions::new().write(true).truncate(true).open(&self.path).unwrap();
            self.len = 0;
            return;
        }
        let extension = if self.compress { ".gz" } else { "" };
        let name = |n: u32| self.dir.path().join(format!("c0ffee-json.log.{n}{extension}"));
        let _ = fs::remove_file(name(self.max_file - 1));
        for n in (2..self.max_file).rev() {
            let _ = fs::rename(name(n - 1), name(n));
        }
        let plain = self.dir.path().join("c0ffee-json.log.1");
        fs::rename(&self.path, &plain).unwrap();
        self.file = File::create(&self.path).unwrap();
        (self.len, self.has_entry) = (0, false);
        if self.compress {
            let mut encoder = GzEncoder::new(File::create(name(1)).unwrap(), Compression::default());
            encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
            encoder.finish().unwrap();
            fs::remove_file(&plain).unwrap();
        }
    }
}

/// An entry in the driver's form, with its line feed.
pub(super) fn entry(stream: Stream, text: &str, time_ns: u64) -> String {
    let log = serde_json::to_string(text).unwrap();
    let (stream, time) = (stream.name(), written(time_ns));
    format!("{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
}

/// A time on the day of [`NOON`], as Go writes it: with the decimals it needs.
pub(super) fn written(time_ns: u64) -> String {
    let of_day = time_ns.checked_sub(NOON - 12 * 3600 * SECOND).unwrap();
    let (seconds, nanos) = (of_day / SECOND, of_day % SECOND);
    assert!(seconds < 24 * 3600, "the test is too long for a day");
    let decimals = format!(".{nanos:09}");
    let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
    format!("2026-11-28T{:02}:{:02}:{:02}{decimals}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

//! What happened in a world, line by line, and a hash of it all.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};

/// The story of one world.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: DefaultHasher,
    line: String,
    kept: Option<Vec<String>>,
    n_lines: u64,
}

impl Trace {
    /// An empty trace; with `keep` its lines can be read afterwards.
    pub fn new(keep: bool) -> Self {
        Self { hash: DefaultHasher::new(), line: String::new(), kept: keep.then(Vec::new), n_lines: 0 }
    }

    /// Adds a line.
    pub fn add(&mut self, now: u64, what: std::fmt::Arguments<'_>) {
        self.line.clear();
        // A string takes everything.
        let _ = write!(self.line, "{:>4}.{:03} {what}", now / 1000, now % 1000);
        self.hash.write(self.line.as_bytes());
        self.n_lines += 1;
        if let Some(kept) = &mut self.kept {
            kept.push(self.line.clone());
        }
    }

    /// The hash of all lines: equal for equal stories.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// How many lines there were.
    pub const fn n_lines(&self) -> u64 {
        self.n_lines
    }

    /// The lines, where they were kept.
    pub fn lines(&self) -> &[String] {
        self.kept.as_deref().unwrap_or_default()
    }
}

/// A hash of bytes, the same in every run of one program.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

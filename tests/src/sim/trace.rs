//! What happened in a world, line by line, and a hash of it all.

use std::fmt::Write as _;

/// The story of one world.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    line: String,
    kept: Option<Vec<String>>,
    n_lines: u64,
}

impl Trace {
    /// An empty trace; with `keep` its lines can be read afterwards.
    pub fn new(keep: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, line: String::new(), kept: keep.then(Vec::new), n_lines: 0 }
    }

    /// Adds a line.
    pub fn add(&mut self, now: u64, what: std::fmt::Arguments<'_>) {
        self.line.clear();
        // A string takes everything.
        let _ = write!(self.line, "{:>4}.{:03} {what}", now / 1000, now % 1000);
        self.hash = hash_on(self.hash, self.line.as_bytes());
        self.n_lines += 1;
        if let Some(kept) = &mut self.kept {
            kept.push(self.line.clone());
        }
    }

    /// The hash of all lines: equal for equal stories.
    pub const fn hash(&self) -> u64 {
        self.hash
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

/// The FNV-1a hash of bytes.
pub fn hash(bytes: &[u8]) -> u64 {
    hash_on(0xCBF2_9CE4_8422_2325, bytes)
}

fn hash_on(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |it, byte| (it ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

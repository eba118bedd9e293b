//! Whole-number amounts of what a node has and an instance takes.

use serde::{Deserialize, Serialize};

/// An amount of cpu, memory and disk. Whole numbers only: floats end at the API's edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_milli: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of disk.
    pub disk_bytes: u64,
}

impl Resources {
    /// Whether `wanted` fits into this amount.
    pub const fn covers(&self, wanted: &Self) -> bool {
        self.cpu_milli >= wanted.cpu_milli
            && self.memory_bytes >= wanted.memory_bytes
            && self.disk_bytes >= wanted.disk_bytes
    }

    /// The sum of both.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.saturating_add(other.cpu_milli),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            disk_bytes: self.disk_bytes.saturating_add(other.disk_bytes),
        }
    }

    /// What is left of this amount after `other` was taken; never below zero.
    #[must_use]
    pub const fn minus(&self, other: &Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.saturating_sub(other.cpu_milli),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
            disk_bytes: self.disk_bytes.saturating_sub(other.disk_bytes),
        }
    }
}

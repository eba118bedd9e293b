//! What lies between the parts: delay, loss, doubles, disorder, partitions.

use super::faults::Options;
use super::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// A place that messages go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A member of the control plane.
    Member(u64),
    /// A node.
    Node(usize),
    /// A user.
    Client(usize),
}

/// The network of one world.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// From where nothing arrives where.
    cut: BTreeSet<(Place, Place)>,
    /// When the last message on a connection arrives: the next one is not earlier.
    last: BTreeMap<(Place, Place), u64>,
}

impl Network {
    /// Whether messages from one place to another do not arrive.
    pub fn is_cut(&self, from: Place, to: Place) -> bool {
        self.cut.contains(&(from, to))
    }

    /// Whether every place reaches every other one.
    pub fn is_whole(&self) -> bool {
        self.cut.is_empty()
    }

    /// Cuts one direction.
    pub fn cut(&mut self, from: Place, to: Place) {
        self.cut.insert((from, to));
    }

    /// Ends all partitions.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// When the copies of a message between members arrive; none: it is lost.
    pub fn arrivals(&mut self, from: Place, to: Place, now: u64, options: &Options, rng: &mut Rng) -> Vec<u64> {
        if self.is_cut(from, to) || rng.chance(options.loss) {
            return Vec::new();
        }
        let copies = if rng.chance(options.duplicates) { 2 } else { 1 };
        (0..copies).map(|_| self.arrival(from, to, now, options, rng)).collect()
    }

    /// When a message that is not lost arrives, in the order of its connection.
    pub fn arrival(&mut self, from: Place, to: Place, now: u64, options: &Options, rng: &mut Rng) -> u64 {
        let (low, high) = options.delay_ms;
        let at = now + rng.range(low, high);
        if options.reorder {
            return at;
        }
        let last = self.last.entry((from, to)).or_default();
        *last = at.max(*last);
        *last
    }
}

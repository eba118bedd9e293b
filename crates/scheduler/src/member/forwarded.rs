//! What a leader remembers of commands that other members sent it.

use std::collections::{BTreeMap, BTreeSet};

use super::proposals::Origin;

/// Requests remembered per member. An older one that comes late is refused, and its member proposes it again.
const REMEMBERED: usize = 1 << 16;

/// Keeps a command that the network delivers twice from entering the log twice.
///
/// Only for one term: what belongs to another is refused anyway.
#[derive(Default)]
pub(super) struct Forwarded {
    term: u64,
    seen: BTreeMap<(u64, u64), Seen>,
}

#[derive(Default)]
struct Seen {
    /// Everything up to here counts as seen.
    floor: u64,
    above: BTreeSet<u64>,
}

impl Forwarded {
    /// Returns whether the command may be proposed in `term`, and remembers that it was.
    pub(super) fn admit(&mut self, origin: Origin, term: u64) -> bool {
        if origin.term != term {
            return false;
        }
        if self.term != term {
            self.term = term;
            self.seen.clear();
        }
        let seen = self.seen.entry((origin.member, origin.incarnation)).or_default();
        if origin.request <= seen.floor || !seen.above.insert(origin.request) {
            return false;
        }
        if seen.above.len() > REMEMBERED {
            seen.floor = seen.above.pop_first().expect("it is not empty");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_enters_the_log_once_and_only_in_its_term() {
        let mut forwarded = Forwarded::default();
        let origin = |request, term| Origin { member: 2, incarnation: 1, request, term };
        assert!(forwarded.admit(origin(1, 3), 3));
        assert!(!forwarded.admit(origin(1, 3), 3));
        assert!(forwarded.admit(origin(2, 3), 3));
        assert!(!forwarded.admit(origin(3, 3), 4));
        assert!(forwarded.admit(origin(3, 4), 4));
        for request in 10..10 + 2 * REMEMBERED as u64 {
            assert!(forwarded.admit(origin(request, 4), 4));
        }
        assert!(!forwarded.admit(origin(4, 4), 4));
    }
}

//! Who is to be looked at when: so that time that passes costs only those for whom something is due.
//!
//! Times may move later without a word: whoever's alarm rings too early says anew when it is to ring. So a sign of life,
//! which moves a deadline of its sender, costs nothing here.

use crate::model::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// For each of several parties the time at which it is to be looked at.
#[derive(Clone, Debug)]
pub struct Alarms<K> {
    at: BTreeMap<K, Timestamp>,
    order: BTreeSet<(Timestamp, K)>,
}

impl<K> Default for Alarms<K> {
    fn default() -> Self {
        Self { at: BTreeMap::new(), order: BTreeSet::new() }
    }
}

impl<K: Clone + Ord> Alarms<K> {
    /// Wakes for `key` at `at`, or earlier if that was wished before.
    pub fn set(&mut self, key: K, at: Timestamp) {
        if let Some(earlier) = self.at.get(&key).copied() {
            if earlier <= at {
                return;
            }
            self.order.remove(&(earlier, key.clone()));
        }
        self.order.insert((at, key.clone()));
        self.at.insert(key, at);
    }

    /// Those whose time has come, the earliest first. Each rings once.
    pub fn due(&mut self, now: Timestamp) -> Vec<K> {
        let mut due = Vec::new();
        while let Some((_, key)) = self.order.first().filter(|it| it.0 <= now).cloned() {
            self.order.pop_first();
            self.at.remove(&key);
            due.push(key);
        }
        due
    }

    /// For `key` nothing is due any more.
    pub fn clear(&mut self, key: &K) {
        if let Some(at) = self.at.remove(key) {
            self.order.remove(&(at, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_earliest_wish_counts_and_rings_once() {
        let mut alarms = Alarms::default();
        alarms.set("a", Timestamp(30));
        alarms.set("b", Timestamp(20));
        alarms.set("a", Timestamp(10));
        alarms.set("a", Timestamp(40));
        alarms.set("c", Timestamp(5));
        alarms.clear(&"c");
        assert_eq!(alarms.due(Timestamp(9)), Vec::<&str>::new());
        assert_eq!(alarms.due(Timestamp(20)), ["a", "b"]);
        assert_eq!(alarms.due(Timestamp(1_000)), Vec::<&str>::new());
    }

    proptest! {
        #[test]
        fn nobody_is_forgotten_and_nobody_rings_early(
            wishes in prop::collection::vec((0..8_u8, 0..100_u64, any::<bool>()), 0..60),
            steps in prop::collection::vec(0..30_u64, 1..8),
        ) {
            let (mut alarms, mut naive) = (Alarms::default(), BTreeMap::<u8, u64>::new());
            for (key, at, keep) in wishes {
                if keep {
                    alarms.set(key, Timestamp(at));
                    naive.entry(key).and_modify(|it| *it = at.min(*it)).or_insert(at);
                } else {
                    alarms.clear(&key);
                    naive.remove(&key);
                }
            }
            let mut now = 0;
            for step in steps {
                now += step;
                let mut due = alarms.due(Timestamp(now));
                due.sort_unstable();
                let expect: Vec<u8> = naive.iter().filter(|it| *it.1 <= now).map(|it| *it.0).collect();
                naive.retain(|_, at| *at > now);
                prop_assert_eq!(due, expect);
            }
        }
    }
}

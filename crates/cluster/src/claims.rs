//! Whether two agents live by one identity: a data directory, or a machine's image, that was copied.
//!
//! An agent's identity stands in its data directory, and each of its processes draws a *life* of its own. A directory is
//! locked while a process uses it, so one identity has one life at a time; one that still speaks after a second one has
//! come shows that there is a copy. Nobody can say which of the two is the original, so none is taken in as long as both
//! are there: whoever came last would otherwise take the other's place, again and again, and call all that runs on the
//! other machine gone. One that was heard of before and not since may have ended without a word, and is waited for.
//!
//! Judged by the leader alone, from what it hears; times are of its monotonic clock.

use crate::model::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Display;

/// A life that was taken in and has hung up may come back for so long, milliseconds: an agent dials anew within two
/// seconds. Another life is let in only after that, or where the first is known to be over.
const RETURN_WITHIN_MS: u64 = 2_500;

/// A life that says nothing for so long is over, milliseconds: an agent that is refused asks again within two seconds.
const OVER_AFTER_MS: u64 = 15_000;

/// A new leader waits so long for the life that its predecessor took in, milliseconds, before it believes another one:
/// an agent notices after five seconds that a leader is silent, and then looks for the next one.
const FIND_LEADER_MS: u64 = 7_000;

/// What a leader knows of the lives of each identity.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    leading_since: Timestamp,
    find_leader_ms: u64,
    tidied: Timestamp,
    identities: BTreeMap<u64, Lives>,
}

#[derive(Clone, Debug, Default)]
struct Lives {
    /// When each was last heard of, and from where it came.
    heard: BTreeMap<u64, Heard>,
}

#[derive(Clone, Debug)]
struct Heard {
    first: Timestamp,
    /// And last.
    at: Timestamp,
    from: String,
    /// It hung up, as one that ends does.
    hung_up: bool,
}

/// Whether an agent may be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As far as its identity goes.
    Welcome,
    /// Another life of its identity was there a moment ago and may be over: ask again then.
    Wait {
        /// After so long, milliseconds.
        ms: u64,
    },
    /// Another life of its identity is there as well. Both are refused, this one and that of this life.
    Copied {
        /// Why, for both.
        reason: String,
        /// The others.
        others: Vec<u64>,
    },
}

impl Claims {
    /// A leader's, that leads from now on. Where it is the `only` member, nobody looks for it elsewhere.
    pub fn new(only: bool, now: Timestamp) -> Self {
        let find_leader_ms = if only { RETURN_WITHIN_MS } else { FIND_LEADER_MS };
        Self { leading_since: now, find_leader_ms, tidied: now, identities: BTreeMap::new() }
    }

    /// Takes note of a sign of life of one that was taken in, or is about to be, also where it was silent for so long that
    /// it was forgotten.
    pub fn hear(&mut self, identity: u64, life: u64, from: &impl Display, now: Timestamp) {
        let lives = self.identities.entry(identity).or_default();
        let heard = lives.heard.entry(life).or_insert_with(|| Heard::now(from, now));
        heard.at = now;
        heard.hung_up = false;
    }

    /// A life's connection was closed by it.
    pub fn hung_up(&mut self, identity: u64, life: u64, now: Timestamp) {
        if let Some(heard) = self.identities.get_mut(&identity).and_then(|it| it.heard.get_mut(&life)) {
            heard.at = now;
            heard.hung_up = true;
        }
    }

    /// Judges a life of an identity that wants to be taken in. `fresh`: no leader has taken it in yet, though the
    /// identity's node is there and not lost, so that an earlier life may be there still.
    pub fn claim(&mut self, identity: u64, life: u64, from: &str, fresh: bool, now: Timestamp) -> Verdict {
        let lives = self.identities.entry(identity).or_default();
        lives.heard.retain(|_, it| now.since_ms(it.at) < OVER_AFTER_MS);
        let first = lives.heard.get(&life).map_or(now, |it| it.first);
        lives.heard.insert(life, Heard { first, ..Heard::now(&from, now) });
        let others = lives.heard.iter().filter(|it| *it.0 != life);
        let speaks = |it: &Heard| !it.hung_up && it.at > first;
        let speaking: Vec<(u64, &Heard)> = others.clone().filter(|it| speaks(it.1)).map(|it| (*it.0, it.1)).collect();
        if !speaking.is_empty() {
            let places: Vec<&str> = std::iter::once(from).chain(speaking.iter().map(|it| it.1.from.as_str())).collect();
            let reason = format!(
                "the agent's data directory was copied: agents at {} have the same identity, {identity:016x}, and none of \
                 them is taken in while both live. Stop the one that is the copy, and give it an empty data directory",
                places.join(" and ")
            );
            return Verdict::Copied { reason, others: speaking.into_iter().map(|it| it.0).collect() };
        }
        let left = |since: Timestamp, ms: u64| ms.saturating_sub(now.since_ms(since));
        let back_within = |it: &Heard| if it.hung_up { RETURN_WITHIN_MS } else { OVER_AFTER_MS };
        let returning = others.map(|it| left(it.1.at, back_within(it.1))).max().unwrap_or(0);
        // Whom this leader has not heard of yet may still be looking for it.
        let finding = if fresh { left(self.leading_since, self.find_leader_ms) } else { 0 };
        match returning.max(finding) {
            0 => Verdict::Welcome,
            ms => Verdict::Wait { ms },
        }
    }

    /// Forgets what is too long ago to matter; may be called as often as one likes, and looks about now and then.
    pub fn tidy(&mut self, now: Timestamp) {
        if now.since_ms(self.tidied) < OVER_AFTER_MS {
            return;
        }
        self.tidied = now;
        self.identities.retain(|_, it| {
            it.heard.retain(|_, it| now.since_ms(it.at) < OVER_AFTER_MS);
            !it.heard.is_empty()
        });
    }
}

impl Heard {
    fn now(from: &impl Display, now: Timestamp) -> Self {
        Self { first: now, at: now, from: from.to_string(), hung_up: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u64 = 10;
    const SECOND: u64 = 11;
    const THIRD: u64 = 12;

    /// A leader that has led for long, and the agent with identity 7.
    struct Desk(Claims, Timestamp);

    impl Desk {
        fn new() -> Self {
            Self(Claims::new(false, Timestamp(0)), Timestamp(1_000_000))
        }

        /// One that has just begun.
        fn newly(only: bool) -> Self {
            Self(Claims::new(only, Timestamp(1_000_000)), Timestamp(1_000_000))
        }

        fn pass(&mut self, ms: u64) {
            self.1 = self.1.plus_ms(ms);
        }

        fn hear(&mut self, life: u64) {
            self.0.hear(7, life, &"its node", self.1);
        }

        fn claim(&mut self, life: u64, fresh: bool) -> Verdict {
            self.0.claim(7, life, &format!("10.0.0.{life}"), fresh, self.1)
        }

        fn is_copied(&mut self, life: u64, other: u64) {
            let verdict = self.claim(life, true);
            let Verdict::Copied { reason, others } = &verdict else { panic!("{verdict:?}") };
            assert!(reason.contains("10.0.0.10") && reason.contains("10.0.0.11"), "{reason}");
            assert_eq!(others, &[other]);
        }
    }

    #[test]
    fn one_life_comes_and_goes_as_it_likes() {
        let mut desk = Desk::new();
        for fresh in [true, false, false] {
            assert_eq!(desk.claim(FIRST, fresh), Verdict::Welcome);
            desk.pass(100);
            desk.hear(FIRST);
            desk.0.hung_up(7, FIRST, desk.1);
        }
        let mut desk = Desk::newly(false);
        assert_eq!(desk.claim(FIRST, false), Verdict::Welcome, "also at a new leader");
    }

    #[test]
    fn a_restarted_agent_is_taken_in_when_its_last_life_is_over() {
        let mut desk = Desk::new();
        desk.claim(FIRST, false);
        desk.0.hung_up(7, FIRST, desk.1);
        desk.pass(500);
        assert_eq!(desk.claim(SECOND, true), Verdict::Wait { ms: 2_000 });
        desk.pass(2_000);
        assert_eq!(desk.claim(SECOND, true), Verdict::Welcome);
    }

    #[test]
    fn one_that_ended_without_a_word_is_waited_for_and_is_no_copy() {
        // A machine that lost its power does not hang up.
        let mut desk = Desk::new();
        desk.claim(FIRST, false);
        desk.pass(5_000);
        assert_eq!(desk.claim(SECOND, true), Verdict::Wait { ms: OVER_AFTER_MS - 5_000 });
        desk.pass(2_000);
        assert_eq!(desk.claim(SECOND, false), Verdict::Wait { ms: OVER_AFTER_MS - 7_000 });
        desk.pass(OVER_AFTER_MS - 7_000);
        assert_eq!(desk.claim(SECOND, true), Verdict::Welcome);
        // Nor does one that was told to wait, and is started anew meanwhile.
        let mut desk = Desk::new();
        desk.claim(FIRST, false);
        desk.0.hung_up(7, FIRST, desk.1);
        desk.pass(500);
        assert!(matches!(desk.claim(SECOND, true), Verdict::Wait { .. }));
        desk.pass(500);
        assert_eq!(desk.claim(THIRD, true), Verdict::Wait { ms: OVER_AFTER_MS - 500 });
    }

    #[test]
    fn one_that_was_silent_for_long_and_speaks_again_is_there() {
        let mut desk = Desk::new();
        desk.claim(FIRST, false);
        desk.pass(OVER_AFTER_MS);
        desk.0.tidy(desk.1);
        desk.hear(FIRST);
        desk.pass(500);
        assert!(matches!(desk.claim(SECOND, true), Verdict::Wait { .. }));
        desk.pass(500);
        desk.hear(FIRST);
        let verdict = desk.claim(SECOND, true);
        assert!(matches!(verdict, Verdict::Copied { .. }), "{verdict:?}");
    }

    #[test]
    fn two_lives_at_once_are_both_refused_until_one_is_over() {
        let mut desk = Desk::new();
        assert_eq!(desk.claim(FIRST, false), Verdict::Welcome);
        desk.pass(2_500);
        assert!(matches!(desk.claim(SECOND, true), Verdict::Wait { .. }), "the first may be over");
        desk.pass(1_000);
        desk.hear(FIRST);
        for _ in 0..20 {
            desk.pass(2_500);
            desk.is_copied(SECOND, FIRST);
            desk.pass(2_500);
            desk.is_copied(FIRST, SECOND);
        }
        // The copy is stopped.
        for _ in 0..2 {
            desk.pass(4_000);
            let verdict = desk.claim(FIRST, false);
            assert!(matches!(verdict, Verdict::Copied { .. }), "{verdict:?}");
        }
        desk.pass(5_000);
        assert_eq!(desk.claim(FIRST, false), Verdict::Welcome);
    }

    #[test]
    fn a_copy_does_not_slip_in_while_the_original_dials_anew_nor_at_a_new_leader() {
        let mut desk = Desk::new();
        desk.claim(FIRST, false);
        desk.0.hung_up(7, FIRST, desk.1);
        desk.pass(100);
        assert!(matches!(desk.claim(SECOND, true), Verdict::Wait { .. }));
        desk.pass(1_000);
        desk.is_copied(FIRST, SECOND);

        let mut desk = Desk::newly(false);
        desk.pass(1_000);
        assert_eq!(desk.claim(SECOND, true), Verdict::Wait { ms: 6_000 });
        desk.pass(1_000);
        assert!(matches!(desk.claim(FIRST, false), Verdict::Wait { .. }));
        desk.pass(1_000);
        desk.is_copied(SECOND, FIRST);
        desk.is_copied(FIRST, SECOND);
        // But one that nobody else speaks for is not kept waiting for ever.
        for (only, ms) in [(false, 7_000), (true, 2_500)] {
            let mut desk = Desk::newly(only);
            assert_eq!(desk.claim(SECOND, true), Verdict::Wait { ms });
            desk.pass(ms);
            assert_eq!(desk.claim(SECOND, true), Verdict::Welcome);
        }
    }
}

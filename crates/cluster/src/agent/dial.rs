//! Which member an agent dials next.
//!
//! It asks one member after the other until one leads. A member that does not lead says who does; if that one cannot
//! be reached from here, the member that named it is asked to pass the session on: to reach any member is enough.

use super::Pace;

/// The pause after a first failed attempt, milliseconds; doubles up to the pace's longest.
const AGAIN_MS: u64 = 100;

/// The pause after a refusal, which only an operator can end, milliseconds. Less than a leader waits for a life that may
/// come back ([`crate::claims`]): of two that were refused for being copies, the one that was there comes first.
const AFTER_REFUSAL_MS: u64 = 2_000;

/// Chooses whom to dial.
#[derive(Clone, Debug)]
pub struct Dialer {
    servers: Vec<String>,
    turn: usize,
    /// Who comes next, out of turn.
    next: Option<Call>,
    failures: u32,
    pace: Pace,
    random: u64,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whom to dial, `host:port`.
    pub server: String,
    /// It is asked to pass the session on to the leader if it does not lead itself.
    pub relay: bool,
    /// Who said that this one leads.
    named_by: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It took the agent in, and the session ended later, perhaps with the name of the next leader.
    Served(Option<String>),
    /// It could not be reached, or did not answer.
    Unreachable,
    /// It does not lead; this one does, if it knows.
    Elsewhere(Option<String>),
    /// It will not have this agent.
    Refused,
}

impl Dialer {
    /// One for these members, of which there is at least one. `seed` differs from agent to agent: agents of one
    /// machine room do not dial in step.
    pub fn new(servers: Vec<String>, seed: u64) -> Self {
        let mut it = Self { servers, turn: 0, next: None, failures: 0, pace: Pace::UNTOLD, random: seed | 1 };
        it.turn = it.roll(it.servers.len() as u64) as usize;
        it
    }

    /// Takes the cluster's pace over.
    pub fn keep_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The pace to keep.
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// How many attempts in a row led nowhere.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Whom to dial now.
    pub fn call(&mut self) -> Call {
        self.next.take().unwrap_or_else(|| {
            self.turn += 1;
            let server = self.servers[self.turn % self.servers.len()].clone();
            Call { server, relay: false, named_by: None }
        })
    }

    /// Takes note of how an attempt ended; returns the pause before the next one, milliseconds.
    pub fn ended(&mut self, call: &Call, ended: Ended) -> u64 {
        match ended {
            Ended::Served(leader) => {
                self.failures = 0;
                self.next = leader.map(|server| Call { server, relay: false, named_by: None });
                return self.some_of(AGAIN_MS);
            }
            Ended::Refused => {
                self.failures = self.failures.saturating_add(1);
                return self.some_of(AFTER_REFUSAL_MS);
            }
            Ended::Unreachable => {
                if let Some(follower) = &call.named_by {
                    self.next = Some(Call { server: follower.clone(), relay: true, named_by: None });
                    return 0;
                }
            }
            // It was named by one who was told so, and names another: they do not know yet. Or it cannot pass on.
            Ended::Elsewhere(Some(_)) if call.named_by.is_some() || call.relay => {}
            Ended::Elsewhere(Some(leader)) => {
                self.next = Some(Call { server: leader, relay: false, named_by: Some(call.server.clone()) });
                return 0;
            }
            Ended::Elsewhere(None) => {}
        }
        let pause = AGAIN_MS.saturating_mul(1 << self.failures.min(10)).min(self.pace.pause_max_ms);
        self.failures = self.failures.saturating_add(1);
        self.some_of(pause)
    }

    /// Half of it and more.
    fn some_of(&mut self, ms: u64) -> u64 {
        ms - self.roll(ms / 2 + 1)
    }

    /// A number below `n`, or 0.
    fn roll(&mut self, n: u64) -> u64 {
        // xorshift64 (G. Marsaglia, 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        if n == 0 { 0 } else { self.random % n }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn dialer() -> Dialer {
        Dialer::new(["a", "b", "c"].map(str::to_owned).to_vec(), 7)
    }

    /// Dials where only some members are reached, `leader` leads and a follower passes on to it; returns the calls
    /// until a session, and how long they took.
    fn find(dialer: &mut Dialer, reached: &[&str], leader: &str) -> (Vec<Call>, u64) {
        let (mut calls, mut took_ms) = (Vec::new(), 0);
        while calls.len() < 20 {
            let call = dialer.call();
            calls.push(call.clone());
            let ended = if !reached.contains(&call.server.as_str()) {
                took_ms += dialer.pace().connect_ms;
                Ended::Unreachable
            } else if call.server == leader || call.relay {
                return (calls, took_ms);
            } else {
                Ended::Elsewhere(Some(leader.to_owned()))
            };
            took_ms += dialer.ended(&call, ended);
        }
        panic!("no session after {calls:?}");
    }

    #[test]
    fn whoever_reaches_any_member_finds_the_leader_in_time() {
        for loss_after_ms in [2_000, 5_000, 10_000, 60_000] {
            for (seed, leader) in (0..50).zip(["a", "b", "c"].iter().cycle()) {
                for reached in [&["a", "b", "c"][..], &["a", "b"], &["b", "c"], &["a", "c"], &["a"], &["b"], &["c"]] {
                    let mut dialer = Dialer::new(["a", "b", "c"].map(str::to_owned).to_vec(), seed);
                    dialer.keep_pace(Pace::of(loss_after_ms));
                    let (calls, took_ms) = find(&mut dialer, reached, leader);
                    let pace = dialer.pace();
                    let direct = reached.contains(leader);
                    assert_eq!(calls.last().is_some_and(|it| it.relay), !direct, "{calls:?}");
                    if reached.len() > 1 {
                        assert!(took_ms <= 2 * pace.connect_ms + pace.pause_max_ms, "{took_ms} ms: {calls:?}");
                    }
                    assert!(took_ms + pace.patience_ms + pace.alive_every_ms < loss_after_ms, "{took_ms}: {calls:?}");
                }
            }
        }
    }

    #[test]
    fn a_leader_that_was_named_is_dialled_at_once_and_a_storm_of_names_is_not_followed() {
        let mut dialer = dialer();
        let first = dialer.call();
        assert_eq!(dialer.ended(&first, Ended::Elsewhere(Some("x".to_owned()))), 0);
        let named = dialer.call();
        assert_eq!(named.server, "x");
        assert!(dialer.ended(&named, Ended::Elsewhere(Some(first.server.clone()))) > 0, "two that name each other");
        assert_ne!(dialer.call().server, "x");
    }

    #[test]
    fn pauses_grow_to_the_paces_longest_and_members_take_turns() {
        let mut dialer = dialer();
        let mut seen = BTreeSet::new();
        let mut last = 0;
        for _ in 0..12 {
            let call = dialer.call();
            seen.insert(call.server.clone());
            last = dialer.ended(&call, Ended::Elsewhere(None));
            assert!(last <= dialer.pace().pause_max_ms);
        }
        assert_eq!(seen.len(), 3);
        assert!(last >= dialer.pace().pause_max_ms / 2);
        let call = dialer.call();
        assert!(dialer.ended(&call, Ended::Served(None)) <= AGAIN_MS, "what went well is not held against anybody");
        let call = dialer.call();
        dialer.ended(&call, Ended::Served(Some("x".to_owned())));
        assert_eq!(dialer.call().server, "x", "a deposed leader knows who follows");
    }
}

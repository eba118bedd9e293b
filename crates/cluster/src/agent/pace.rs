//! How fast agents and members notice each other's silence.
//!
//! All of it follows from one setting, after how long a silence a node is given up, so that the two always fit: an
//! agent whose line breaks has found the leader again, directly or through another member, before that time is over.

use serde::{Deserialize, Serialize};

/// How fast silence is noticed; a leader tells its agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// An agent gives a sign of life so often, and is answered, milliseconds.
    pub alive_every_ms: u64,
    /// A line over which nothing came for so long is dead to the agent, milliseconds.
    pub patience_ms: u64,
    /// A member that does not take a connection in this time is passed over, milliseconds.
    pub connect_ms: u64,
    /// The longest pause between two attempts, milliseconds.
    pub pause_max_ms: u64,
}

/// What messages, a slow processor and the ticks of timers may add to a way back, milliseconds.
const SLACK_MS: u64 = 500;

/// The shortest silence after which nodes may be given up, milliseconds.
const LEAST_LOSS_MS: u64 = 2_000;

impl Pace {
    /// The pace of an agent that no leader has told one. It tries as often as in the most hurried cluster, which may be
    /// the one it belongs to, and is as patient with each attempt as in a calm one, whose members may be far away.
    pub const UNTOLD: Self = Self { pause_max_ms: Self::of(LEAST_LOSS_MS).pause_max_ms, ..Self::of(10_000) };

    /// The pace of a cluster that gives nodes up after so long a silence.
    ///
    /// The longest way back: the silence is noticed, a pause, a member that does not answer, and the leader that does
    /// not either before another member is asked to pass the session on. Together 5/8 of the time; what is left is for
    /// the last sign of life before the break, and for messages under way.
    pub const fn of(loss_after_ms: u64) -> Self {
        Self {
            // Three may get lost before the line is given up. More often than ten times a second is a load.
            alive_every_ms: between(100, loss_after_ms / 12, 1_000),
            // A pause of a second is nothing special for a virtual machine: where time allows, it breaks no line.
            patience_ms: between(400, loss_after_ms / 4, 5_000),
            // Under a quarter of a second the other side of the world is not reached.
            connect_ms: between(250, loss_after_ms / 8, 2_000),
            pause_max_ms: between(100, loss_after_ms / 8, 2_000),
        }
    }

    /// So long after a new leader took office the last agent has found it, milliseconds, where a deposed one goes on
    /// answering for at most `step_down_ms`.
    pub const fn find_ms(&self, step_down_ms: u64) -> u64 {
        let noticed = if self.patience_ms > step_down_ms { self.patience_ms } else { step_down_ms };
        noticed + self.pause_max_ms + 2 * self.connect_ms + SLACK_MS
    }
}

const fn between(low: u64, it: u64, high: u64) -> u64 {
    if it < low {
        low
    } else if it > high {
        high
    } else {
        it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_set_an_agent_is_back_before_it_is_given_up() {
        for loss_after_ms in (2_000..20_000).chain([60_000, 3_600_000, 86_400_000]) {
            let pace = Pace::of(loss_after_ms);
            // Said just before the line broke; noticed; and then found, as fast as can be told in advance.
            let back = pace.alive_every_ms + pace.patience_ms + pace.pause_max_ms + 2 * pace.connect_ms;
            assert!(back + 400 <= loss_after_ms, "{back} of {loss_after_ms}");
            assert!(3 * pace.alive_every_ms <= pace.patience_ms, "one lost message breaks no line at {loss_after_ms}");
        }
    }

    #[test]
    fn an_agent_that_was_told_nothing_comes_again_soon_enough_for_any_cluster() {
        for loss_after_ms in LEAST_LOSS_MS..20_000 {
            let told = Pace::of(loss_after_ms);
            assert!(Pace::UNTOLD.pause_max_ms <= told.pause_max_ms, "at {loss_after_ms}");
            assert!(Pace::UNTOLD.connect_ms >= Pace::of(10_000).connect_ms, "whoever is far away can be reached");
        }
    }

    #[test]
    fn a_new_leader_waits_for_agents_that_still_talk_to_the_deposed_one() {
        let pace = Pace::of(2_000);
        assert!(pace.find_ms(0) > pace.patience_ms);
        assert!(pace.find_ms(28_000) > 28_000 + 2 * pace.connect_ms);
    }
}

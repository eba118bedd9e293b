//! What time brings about: silence, attempts that are made again, orders that nobody took.
//!
//! Each session has an alarm at the earliest of its deadlines, or before. Where a deadline moves later nothing is done;
//! where it may have come nearer, [`Sessions::remind`] says so. At rest an agent is so looked at once per patience, not
//! ten times a second.

use super::{Attempt, HELLO_WITHIN_MS, LinkId, OBEYS_WITHIN_MS, Phase, Session, Sessions};
use cluster::{NodeId, State, Timestamp};

/// For whom something may be due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    Session(LinkId),
    Seat(NodeId),
}

impl Sessions {
    /// Lets time go by; to be called several times a second. `clock` is of a monotonic clock, as everywhere here.
    pub fn tick(&mut self, state: &State, clock: Timestamp) {
        for party in self.alarms.due(clock) {
            #[cfg(test)]
            {
                self.n_looked += 1;
            }
            match party {
                Party::Session(link) => self.look(link, state, clock),
                Party::Seat(node) => {
                    if self.nodes.get(&node).and_then(|it| it.degrade).is_some_and(|it| it.is_due(clock)) {
                        self.degrade(&node, state);
                    }
                }
            }
        }
        self.claims.tidy(clock);
    }

    /// Does what is due for a session, and sets its next alarm.
    fn look(&mut self, link: LinkId, state: &State, clock: Timestamp) {
        let patience_ms = self.patience_ms();
        let Some(session) = self.links.get(&link) else { return };
        if session.silent_until(patience_ms).is_some_and(|it| it <= clock) {
            return self.end(link, None);
        }
        match &session.phase {
            Phase::Joining { attempt, .. } if attempt.is_due(clock) => self.join(link, state),
            Phase::Open { node } => {
                let node = node.clone();
                let is_deaf = session.obeys_until().is_some_and(|it| it <= clock);
                let report = session.report.as_ref().is_some_and(|it| it.attempt.is_due(clock));
                let strangers = session.strangers.as_ref().is_some_and(|it| it.attempt.is_due(clock));
                if is_deaf {
                    self.deafen(&node, state);
                    return self.end(link, None);
                }
                if report {
                    self.submit_report(link, node.clone());
                }
                if strangers {
                    self.find(link, &node, state);
                }
            }
            _ => {}
        }
        self.remind(Party::Session(link));
    }

    /// Takes note that something may be due sooner than before.
    pub(super) fn remind(&mut self, party: Party) {
        let patience_ms = self.patience_ms();
        let at = match &party {
            Party::Session(link) => self.links.get(link).and_then(|it| it.due_at(patience_ms)),
            Party::Seat(node) => self.nodes.get(node).and_then(|it| it.degrade).and_then(Attempt::waits_until),
        };
        if let Some(at) = at {
            self.alarms.set(party, at);
        }
    }

    /// After so long a silence a session is over, milliseconds.
    fn patience_ms(&self) -> u64 {
        self.config.loss_after_ms.max(HELLO_WITHIN_MS)
    }
}

impl Session {
    /// When something is due for it, if it stays as it is.
    fn due_at(&self, patience_ms: u64) -> Option<Timestamp> {
        let joins = match &self.phase {
            Phase::Joining { attempt, .. } => Some(*attempt),
            _ => None,
        };
        let attempts = [joins, self.report.as_ref().map(|it| it.attempt), self.strangers.as_ref().map(|it| it.attempt)];
        let attempts = attempts.into_iter().flatten().filter_map(Attempt::waits_until);
        let silent_until = self.silent_until(patience_ms)?;
        attempts.chain(self.obeys_until()).chain([silent_until]).min()
    }

    /// Until when it may say nothing. None where that is nobody's business.
    fn silent_until(&self, patience_ms: u64) -> Option<Timestamp> {
        match self.phase {
            Phase::Stranger => Some(self.heard_at.plus_ms(HELLO_WITHIN_MS)),
            Phase::Joining { .. } | Phase::Open { .. } => Some(self.heard_at.plus_ms(patience_ms)),
            Phase::Relayed | Phase::Over => None,
        }
    }

    /// Until when it must have taken its orders, if it says so at all.
    fn obeys_until(&self) -> Option<Timestamp> {
        self.obeys.and(self.owes).map(|it| it.1.plus_ms(OBEYS_WITHIN_MS))
    }
}

//! Whether a new instance is ready to take an old one's place: when to ask, and what the answers mean.
//!
//! The rules are Marathon's (RAML `ReadinessCheck`): asked each interval while it runs, until one answer has one of the
//! wanted codes; from then on it is ready for ever. So that deploys are fast it is asked at once and then after 100,
//! 200, 400 ms and so on, up to its interval.

use crate::model::{Readiness, ReadinessCheck, ReadinessResponse, Timestamp};

/// The pause after the first answer that was none, milliseconds; doubles from there.
const FIRST_PAUSE_MS: u64 = 100;

/// How long after its deadline an answer is awaited, milliseconds; then the instance counts as never asked.
const ANSWER_MARGIN_MS: u64 = 5_000;

/// The readiness check of one running instance that has not said yet that it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asking {
    spec: ReadinessCheck,
    due: Timestamp,
    asked_until: Option<Timestamp>,
    pause_ms: u64,
}

impl Asking {
    /// Asks from now on.
    pub(super) fn new(spec: &ReadinessCheck, now: Timestamp) -> Self {
        Self { spec: spec.clone(), due: now, asked_until: None, pause_ms: FIRST_PAUSE_MS }
    }

    /// What is asked.
    pub(super) const fn spec(&self) -> &ReadinessCheck {
        &self.spec
    }

    /// Whether to ask now; if so, the question is under way until [`Asking::answered`].
    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        if self.asked_until.is_some_and(|until| now > until) {
            self.asked_until = None;
        }
        let due = self.asked_until.is_none() && self.due <= now;
        if due {
            self.asked_until = Some(now.plus_ms(self.spec.timeout_ms + ANSWER_MARGIN_MS));
            self.due = now.plus_ms(self.spec.interval_ms.max(1));
        }
        due
    }

    /// When [`Asking::is_due`] turns.
    pub(super) fn wake_at(&self) -> Timestamp {
        self.asked_until.map_or(self.due, |until| until.plus_ms(1))
    }

    /// What is known after this answer; `Err` is none at all, and leaves the last one to be shown.
    pub(super) fn answered(
        &mut self,
        answer: Result<ReadinessResponse, String>,
        before: &Readiness,
        now: Timestamp,
    ) -> Readiness {
        self.asked_until = None;
        self.due = self.due.min(now.plus_ms(self.pause_ms));
        self.pause_ms = self.pause_ms.saturating_mul(2);
        let ready = before.ready || answer.as_ref().is_ok_and(|it| self.spec.codes.contains(&it.status));
        let response = answer.ok().map(Box::new).or_else(|| before.response.clone());
        Readiness { ready, response: response.filter(|_| self.spec.keep_response) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000);

    fn check(keep_response: bool) -> ReadinessCheck {
        ReadinessCheck {
            name: "ready".into(),
            tls: false,
            path: "/ready".into(),
            port_name: "http".into(),
            interval_ms: 2_000,
            timeout_ms: 1_000,
            codes: vec![200, 204],
            keep_response,
        }
    }

    fn response(status: u16) -> ReadinessResponse {
        ReadinessResponse { status, content_type: "text/plain".into(), body: "body".into() }
    }

    #[test]
    fn only_a_wanted_code_means_ready_and_the_last_answer_is_kept_where_wanted() {
        let before = Readiness { ready: false, response: Some(Box::new(response(503))) };
        let away = || Err("refused".to_owned());
        for (keep, answer, ready, kept) in [
            (true, Ok(response(200)), true, Some(response(200))),
            (true, Ok(response(204)), true, Some(response(204))),
            (true, Ok(response(302)), false, Some(response(302))),
            (true, away(), false, Some(response(503))),
            (false, Ok(response(200)), true, None),
            (false, Ok(response(500)), false, None),
            (false, away(), false, None),
        ] {
            let found = Asking::new(&check(keep), START).answered(answer.clone(), &before, START);
            assert_eq!(found, Readiness { ready, response: kept.map(Box::new) }, "{keep} {answer:?}");
        }
        let ready = Readiness { ready: true, response: None };
        assert!(Asking::new(&check(false), START).answered(away(), &ready, START).ready, "once ready, always ready");
    }

    #[test]
    fn it_is_asked_at_once_then_at_growing_pauses_then_each_interval() {
        let mut asking = Asking::new(&check(false), START);
        let mut asked = Vec::new();
        let mut now = START;
        while now <= START.plus_ms(9_000) {
            if asking.is_due(now) {
                asked.push(now.since_ms(START));
                assert!(!asking.is_due(now), "one question at a time");
                asking.answered(Err("refused".into()), &Readiness::default(), now);
            }
            now = asking.wake_at();
        }
        assert_eq!(asked, [0, 100, 300, 700, 1_500, 3_100, 5_100, 7_100]);
    }

    #[test]
    fn a_question_without_an_answer_is_asked_again() {
        let mut asking = Asking::new(&check(false), START);
        assert!(asking.is_due(START));
        let again = asking.wake_at();
        assert!(again > START.plus_ms(1_000 + ANSWER_MARGIN_MS));
        assert!(asking.is_due(again));
    }
}

//! Health checks of one instance: when to probe, and what the answers mean (RAML `AppHealthCheck`).
//!
//! The rules are Marathon's: a probe each interval; failures within the grace period count only after the first
//! success; so many failures in a row are too many. One thing differs, so that deploys are fast: until a check
//! succeeds for the first time, and only while its failures do not count, it is asked at once and then after 100, 200,
//! 400 ms and so on, up to its interval. A service that is up after 150 ms is known to be up after 300 ms, not after
//! five seconds.
//!
//! Failures that do not count yet are kept to be shown. Of failures that count, the first few do not take an instance
//! out of discovery: one that is missed says little, and a hiccup that all instances have at once would leave nobody.
//! So that this does not keep a sick one there for long, it is asked a second time after a second; such second looks
//! are not among the failures that end it.

use crate::model::{CheckResult, Health, HealthAnswer, HealthCheck, Timestamp};

/// The pause after the first failed probe of a check that has not succeeded yet, milliseconds; doubles from there.
const FIRST_PAUSE_MS: u64 = 100;

/// Marathon's upper bound on the time to the first probe where failures count from the start, milliseconds.
const FIRST_PROBE_MS: u64 = 5_000;

/// How long after its deadline a probe's answer is awaited, milliseconds; then the probe counts as never asked.
const ANSWER_MARGIN_MS: u64 = 5_000;

/// From a failure that does not take an instance out of discovery to the second look, milliseconds.
const SECOND_LOOK_MS: u64 = 1_000;

/// What one probe said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The instance answered as it should.
    Success,
    /// It did not; why, for people.
    Failure(String),
    /// It answered by HTTP, and not as it should.
    Answered(Answer),
    /// Nobody listens where it should; why that is known, for people. No accident: it is out of discovery at once.
    Refused(String),
    /// Neither: an answer that the check ignores, or the probe could not be made at all. Absence of information
    /// never makes an instance unhealthy.
    Ignored,
}

/// An answer by HTTP to a health check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Why it is a failure, for people.
    pub cause: String,
    /// How its body begins.
    pub body: String,
}

/// The health checks of one running instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    /// When the agent first saw the container running.
    since: Timestamp,
    list: Vec<Check>,
    /// The number of the first check: a late answer to a question of former definitions has none of these.
    first: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    spec: HealthCheck,
    result: CheckResult,
    /// Whether there is any result that counts.
    answered: bool,
    /// Failures in a row, second looks among them.
    misses: u32,
    /// The next probe, or the one under way, is a second look.
    second_look: bool,
    /// Nobody listened, the last time.
    refused: bool,
    /// When to probe next.
    due: Timestamp,
    /// The deadline of the probe under way.
    asked_until: Option<Timestamp>,
    /// The next pause while failures do not count.
    pause_ms: u64,
    /// What it was answered last, where that was a failure.
    last_answer: Option<HealthAnswer>,
}

impl Checks {
    /// The checks of an instance that was seen running at `since`. `known` are results from before a restart of the
    /// agent: an instance that was healthy stays so until a probe says otherwise; `spread` (any number that differs
    /// between instances) then keeps probes of many instances apart.
    pub fn new(specs: &[HealthCheck], since: Timestamp, known: &[CheckResult], spread: u64) -> Self {
        let known = if known.len() == specs.len() { known } else { &[] };
        let checks = specs.iter().enumerate().map(|(n, spec)| {
            let result = known.get(n).cloned().unwrap_or_default();
            let answered = result.alive || result.consecutive_failures > 0;
            let wait_ms = if answered {
                spread % spec.interval_ms.clamp(1, FIRST_PROBE_MS)
            } else if spec.mesos && spec.delay_ms > 0 {
                spec.delay_ms
            } else if spec.grace_ms == 0 {
                spec.interval_ms.min(FIRST_PROBE_MS)
            } else {
                0
            };
            let due = since.plus_ms(wait_ms);
            Check {
                spec: spec.clone(),
                misses: result.consecutive_failures,
                // Till the next probe it is where it was.
                refused: !result.alive && !result.forgiven,
                result,
                answered,
                second_look: false,
                due,
                asked_until: None,
                pause_ms: FIRST_PAUSE_MS,
                last_answer: None,
            }
        });
        Self { since, list: checks.collect(), first: 0 }
    }

    /// Whether these are the checks of an app with these definitions.
    pub fn are(&self, specs: &[HealthCheck]) -> bool {
        self.list.len() == specs.len() && self.list.iter().zip(specs).all(|(check, spec)| check.spec == *spec)
    }

    /// The definitions.
    pub fn specs(&self) -> Vec<HealthCheck> {
        self.list.iter().map(|it| it.spec.clone()).collect()
    }

    /// Whether checks of these definitions ask the same.
    pub fn ask(&self, specs: &[HealthCheck]) -> bool {
        self.list.iter().map(|it| it.spec.question()).eq(specs.iter().map(HealthCheck::question))
    }

    /// The number after those of these checks.
    pub fn end(&self) -> u32 {
        self.first + self.list.len() as u32
    }

    /// The same instance under other definitions: who is asked the same question keeps its results, though it may be
    /// asked more often, or be given up sooner. The new checks are numbered from `first`.
    #[must_use]
    pub fn redefined(&self, specs: &[HealthCheck], first: u32, now: Timestamp) -> Self {
        let mut new = Self { first, ..Self::new(specs, self.since, &[], 0) };
        for check in &mut new.list {
            check.due = check.due.max(now);
            let same = |it: &&Check| it.spec == check.spec;
            let asks_the_same = |it: &&Check| it.spec.question() == check.spec.question();
            if let Some(old) = self.list.iter().find(same).or_else(|| self.list.iter().find(asks_the_same)) {
                // Who is being asked is asked again: that answer would come under the old number.
                let next = if old.asked_until.is_some() { now } else { now.plus_ms(check.spec.interval_ms.max(1)) };
                *check = Check { spec: check.spec.clone(), due: old.due.min(next), asked_until: None, ..old.clone() };
            }
        }
        new
    }

    /// The definition of the check with this number.
    pub fn spec(&self, check: u32) -> Option<&HealthCheck> {
        self.list.get(check.checked_sub(self.first)? as usize).map(|it| &it.spec)
    }

    /// The numbers of the checks to probe now; each is under way until [`Checks::answered`].
    pub fn due(&mut self, now: Timestamp) -> Vec<u32> {
        let mut due = Vec::new();
        for (n, check) in self.list.iter_mut().enumerate() {
            if check.asked_until.is_some_and(|until| now > until) {
                check.asked_until = None;
            }
            if check.asked_until.is_none() && check.due <= now {
                check.asked_until = Some(now.plus_ms(check.spec.timeout_ms + ANSWER_MARGIN_MS));
                check.due = now.plus_ms(check.spec.interval_ms.max(1));
                due.push(self.first + n as u32);
            }
        }
        due
    }

    /// When [`Checks::due`] has something to say next.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.list.iter().map(|it| it.asked_until.map_or(it.due, |until| until.plus_ms(1))).min()
    }

    /// Takes a probe's outcome; returns whether it is news: the first success, a flip, a failure that counts or says
    /// something new. An instance that serves is forgiven fewer than `leave_after` failures in a row.
    pub fn answered(&mut self, check: u32, outcome: Outcome, leave_after: u32, now: Timestamp) -> bool {
        let Some(n) = check.checked_sub(self.first) else { return false };
        let Some(check) = self.list.get_mut(n as usize) else { return false };
        check.asked_until = None;
        let counts = check.answered || now.since_ms(self.since) >= check.spec.grace_ms;
        let is_second_look = std::mem::take(&mut check.second_look);
        match &outcome {
            Outcome::Success => check.last_answer = None,
            Outcome::Failure(cause) | Outcome::Refused(cause) => {
                check.last_answer = Some(HealthAnswer { at: now, cause: cause.clone(), ..HealthAnswer::default() });
            }
            Outcome::Answered(Answer { status, cause, body }) => {
                let (cause, body) = (cause.clone(), body.clone());
                check.last_answer = Some(HealthAnswer { at: now, status: Some(*status), cause, body });
            }
            Outcome::Ignored => {}
        }
        let (cause, refused) = match outcome {
            Outcome::Success => return check.succeeded(now),
            Outcome::Failure(cause) | Outcome::Answered(Answer { cause, .. }) => (Some(cause), false),
            Outcome::Refused(cause) => (Some(cause), true),
            Outcome::Ignored => (None, false),
        };
        if !counts {
            check.due = check.due.min(now.plus_ms(check.pause_ms));
            check.pause_ms = check.pause_ms.saturating_mul(2);
        }
        match cause {
            None => false,
            Some(cause) if counts => {
                check.refused = refused;
                check.failed(cause, is_second_look, leave_after, now);
                true
            }
            Some(cause) => check.said(cause, now),
        }
    }

    /// What all checks say together; [`Health::Unknown`] where there is none.
    pub fn health(&self) -> Health {
        let failed = |it: &Check| it.spec.max_failures > 0 && it.result.consecutive_failures >= it.spec.max_failures;
        if self.list.iter().any(failed) {
            Health::Failed
        } else if self.list.iter().any(|it| it.answered && !it.result.alive) {
            Health::Unhealthy
        } else if self.list.is_empty() || self.list.iter().any(|it| !it.answered) {
            Health::Unknown
        } else {
            Health::Healthy
        }
    }

    /// Whether an instance that was healthy is forgiven what failed since.
    pub fn are_forgiven(&self) -> bool {
        self.health() == Health::Unhealthy && self.list.iter().all(|it| it.result.alive || it.result.forgiven)
    }

    /// Whether nothing but single failures, of those that were healthy before, speaks against the instance.
    pub fn missed_one(&self) -> bool {
        let missed_one = |it: &Check| it.misses == 1 && !it.refused && it.result.first_success.is_some();
        !self.list.is_empty() && self.list.iter().all(|it| it.answered && (it.result.alive || missed_one(it)))
    }

    /// Why the instance is not healthy, for people.
    pub fn cause(&self) -> Option<String> {
        self.list.iter().filter(|it| !it.result.alive).find_map(|it| it.result.last_failure_cause.clone())
    }

    /// What the checks that fail were answered last.
    pub fn last_answer(&self) -> Option<HealthAnswer> {
        self.list.iter().filter_map(|it| it.last_answer.as_ref()).max_by_key(|it| it.at).cloned()
    }

    /// Each check's results, in the app's order; empty before there is anything to say.
    pub fn results(&self) -> Vec<CheckResult> {
        if self.list.iter().any(|it| it.result != CheckResult::default()) {
            self.list.iter().map(|it| it.result.clone()).collect()
        } else {
            Vec::new()
        }
    }
}

impl Check {
    fn succeeded(&mut self, now: Timestamp) -> bool {
        let news = !self.answered || !self.result.alive;
        self.answered = true;
        (self.misses, self.refused) = (0, false);
        if news {
            self.result.alive = true;
            self.result.forgiven = false;
            self.result.consecutive_failures = 0;
            self.result.first_success.get_or_insert(now);
            self.result.last_success = Some(now);
        }
        news
    }

    fn failed(&mut self, cause: String, is_second_look: bool, leave_after: u32, now: Timestamp) {
        self.answered = true;
        self.misses = self.misses.saturating_add(1);
        let result = &mut self.result;
        let served = result.alive || result.forgiven;
        result.alive = false;
        if !is_second_look {
            result.consecutive_failures = result.consecutive_failures.saturating_add(1);
        }
        let given_up = self.spec.max_failures > 0 && result.consecutive_failures >= self.spec.max_failures;
        result.forgiven = served && !self.refused && !given_up && self.misses < leave_after;
        result.last_failure = Some(now);
        result.last_failure_cause = Some(cause);
        let soon = now.plus_ms(SECOND_LOOK_MS);
        if result.forgiven && soon < self.due {
            self.due = soon;
            self.second_look = true;
        }
    }

    /// Keeps an answer that does not count yet; returns whether it is another one than before.
    fn said(&mut self, cause: String, now: Timestamp) -> bool {
        let news = self.result.last_failure_cause.as_ref() != Some(&cause);
        if news {
            self.result.last_failure = Some(now);
            self.result.last_failure_cause = Some(cause);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckPort, HealthKind};

    const START: Timestamp = Timestamp(1_000_000);

    fn check(grace_ms: u64, max_failures: u32) -> HealthCheck {
        let kind = HealthKind::Tcp { port: CheckPort::Index(0) };
        HealthCheck {
            kind,
            mesos: false,
            container: String::new(),
            ipv6: false,
            grace_ms,
            interval_ms: 10_000,
            timeout_ms: 2_000,
            max_failures,
            delay_ms: 0,
        }
    }

    fn fail() -> Outcome {
        Outcome::Failure("refused".into())
    }

    /// Lets one check live through these answers, each at its milliseconds after the start; returns health and
    /// whether it was news after each.
    fn check_history(spec: HealthCheck, answers: &[(u64, Outcome)]) -> Vec<(Health, bool)> {
        let mut checks = Checks::new(&[spec], START, &[], 0);
        let after = |(ms, outcome): &(u64, Outcome)| {
            let news = checks.answered(0, outcome.clone(), 1, START.plus_ms(*ms));
            (checks.health(), news)
        };
        answers.iter().map(after).collect()
    }

    #[test]
    fn failures_count_after_the_grace_period_or_the_first_success() {
        use Health::{Failed, Healthy, Unhealthy, Unknown};
        for (spec, answers, expect) in [
            (check(5_000, 3), vec![(0, fail()), (4_999, fail())], vec![(Unknown, true), (Unknown, false)]),
            (check(5_000, 3), vec![(5_000, fail())], vec![(Unhealthy, true)]),
            (check(5_000, 3), vec![(10, Outcome::Success), (20, fail())], vec![(Healthy, true), (Unhealthy, true)]),
            (
                check(0, 2),
                vec![(0, fail()), (1, fail()), (2, Outcome::Success), (3, fail())],
                vec![(Unhealthy, true), (Failed, true), (Healthy, true), (Unhealthy, true)],
            ),
            (check(0, 0), vec![(0, fail()), (1, fail()), (2, fail())], vec![(Unhealthy, true); 3]),
            (
                check(0, 1),
                vec![(0, Outcome::Ignored), (1, Outcome::Success), (2, Outcome::Success), (3, Outcome::Ignored)],
                vec![(Unknown, false), (Healthy, true), (Healthy, false), (Healthy, false)],
            ),
        ] {
            assert_eq!(check_history(spec, &answers), expect, "{answers:?}");
        }
    }

    #[test]
    fn a_starting_instance_is_asked_at_once_and_then_at_growing_pauses() {
        let mut checks = Checks::new(&[check(60_000, 3)], START, &[], 0);
        let mut asked = Vec::new();
        let mut now = START;
        while now <= START.plus_ms(25_000) {
            if !checks.due(now).is_empty() {
                asked.push(now.since_ms(START));
                checks.answered(0, fail(), 1, now);
            }
            now = checks.wake_at().unwrap();
        }
        assert_eq!(asked, [0, 100, 300, 700, 1_500, 3_100, 6_300, 12_700, 22_700]);
    }

    #[test]
    fn probes_keep_their_interval_once_answers_count() {
        for (spec, first_ms) in [
            (check(0, 3), 5_000),
            (check(9_000, 3), 0),
            (HealthCheck { mesos: true, delay_ms: 15_000, ..check(9_000, 3) }, 15_000),
        ] {
            let mut checks = Checks::new(&[spec], START, &[], 0);
            assert_eq!(checks.wake_at(), Some(START.plus_ms(first_ms)));
            let first = START.plus_ms(first_ms);
            assert_eq!(checks.due(first), [0]);
            assert_eq!(checks.due(first), [0; 0], "one probe at a time");
            checks.answered(0, Outcome::Success, 1, first.plus_ms(7));
            assert_eq!(checks.wake_at(), Some(first.plus_ms(10_000)));
        }
    }

    #[test]
    fn a_probe_without_an_answer_is_asked_again_and_says_nothing() {
        let mut checks = Checks::new(&[check(0, 1)], START, &[], 0);
        let first = START.plus_ms(5_000);
        assert_eq!(checks.due(first), [0]);
        let again = checks.wake_at().unwrap();
        assert!(again > first.plus_ms(2_000 + ANSWER_MARGIN_MS));
        checks.due(again);
        assert_eq!(checks.health(), Health::Unknown);
    }

    #[test]
    fn results_outlive_the_agent_and_other_limits_but_not_another_question() {
        let mut checks = Checks::new(&[check(0, 3), check(7, 3)], START, &[], 0);
        checks.answered(0, Outcome::Success, 1, START);
        assert_eq!(checks.health(), Health::Unknown, "one check did not answer yet");
        checks.answered(1, Outcome::Success, 1, START);
        assert_eq!(checks.health(), Health::Healthy);

        let later = START.plus_ms(500_000);
        let adopted = Checks::new(&[check(0, 3), check(7, 3)], later, &checks.results(), 12_345);
        assert_eq!((adopted.health(), adopted.results()), (Health::Healthy, checks.results()));
        assert!(adopted.wake_at().unwrap() < later.plus_ms(5_000));

        let redefined = checks.redefined(&[check(7, 3)], checks.end(), later);
        assert_eq!(redefined.health(), Health::Healthy);
        let redefined = checks.redefined(&[HealthCheck { interval_ms: 500, ..check(8, 1) }], checks.end(), START);
        assert_eq!((redefined.health(), redefined.wake_at()), (Health::Healthy, Some(START.plus_ms(500))));
        let other = HealthKind::Command { value: "true".into() };
        let mut redefined = checks.redefined(&[HealthCheck { kind: other, ..check(7, 3) }], checks.end(), later);
        assert_eq!((redefined.health(), redefined.wake_at()), (Health::Unknown, Some(later)));
        assert!(!redefined.answered(0, Outcome::Success, 1, later), "that was the answer to another question");
        let [number] = redefined.due(later)[..] else { panic!("it is asked") };
        assert!(redefined.spec(number).is_some());
        assert!(redefined.answered(number, Outcome::Success, 1, later));
        assert_eq!(redefined.health(), Health::Healthy);
    }
}

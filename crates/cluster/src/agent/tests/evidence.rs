//! What instances leave behind is kept before their containers are removed.

use super::*;
use crate::model::{Evidence, HealthAnswer, LogLine, Stream};
use std::sync::Arc;

fn keep(health: Option<HealthAnswer>) -> Output {
    let Assignment { app, version, .. } = order(1);
    Output::Keep { instance: instance(1), app, version, health }
}

fn evidence() -> Arc<Evidence> {
    let line = LogLine { at: "2026".into(), stream: Stream::Stderr, text: "no such table".into() };
    Arc::new(Evidence { exit_code: Some(3), lines: vec![line], ..Evidence::default() })
}

fn kept(desk: &mut Desk, result: Keeping) -> Vec<Output> {
    desk.give_alone(Input::Kept { instance: instance(1), result })
}

/// Lets time go by, and answers nothing.
fn pass(desk: &mut Desk, ms: u64) -> Vec<Output> {
    desk.now = desk.now.plus_ms(ms);
    desk.give_alone(Input::Tick)
}

fn remove() -> Output {
    Output::Remove { instance: instance(1) }
}

fn died() -> Input {
    Input::Died { instance: instance(1), exit: Exit { code: Some(3), ..Exit::default() } }
}

fn failed() -> Seen {
    Seen::Ended(End { kind: EndKind::Failed, exit_code: Some(3), message: "exited with code 3".into() })
}

/// Instance 1 runs, and that is known.
fn desk() -> Desk {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    desk
}

fn with_evidence(report: Output) -> Output {
    let Output::Report { sequence, mut observations, destroyed } = report else { unreachable!() };
    observations[0].evidence = Some(evidence());
    Output::Report { sequence, observations, destroyed }
}

#[test]
fn the_end_is_told_at_once_and_the_evidence_when_it_is_safe() {
    let mut desk = desk();
    assert_eq!(desk.give_alone(died()), [keep(None), report(2, 1, failed())]);
    assert_eq!(desk.acknowledge(), []);
    assert_eq!(desk.assign(vec![stop(1)]), [], "its container stays until then");
    assert_eq!(
        kept(&mut desk, Keeping::Safe(evidence())),
        [remove(), with_evidence(report(3, 1, failed()))],
        "then it goes"
    );
}

#[test]
fn who_is_stopped_leaves_evidence_too_with_the_last_answer_of_its_health_check() {
    let mut desk = Desk::new(false);
    let mut spec = testing::app("/web", 1);
    let kind = HealthKind::Http { path: "/ok".into(), port: CheckPort::Index(0), tls: false, ignore_1xx: false };
    spec.policy.health_checks = vec![HealthCheck {
        kind,
        mesos: false,
        container: String::new(),
        ipv6: false,
        grace_ms: 0,
        interval_ms: 10_000,
        timeout_ms: 2_000,
        max_failures: 3,
        delay_ms: 0,
    }];
    desk.assign(vec![testing::assignment(instance(1), spec)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    desk.pass(5_000);
    let answer = Answer { status: 503, cause: "answered 503".into(), body: "no database".into() };
    let probed = |outcome| Input::Probed { instance: instance(1), check: 0, outcome };
    desk.give(probed(Outcome::Answered(answer)));
    let at = desk.now;
    desk.acknowledge();
    assert_eq!(desk.assign(vec![stop(1)]), [Output::Stop { instance: instance(1), grace_ms: 3_000 }]);
    desk.acknowledge();
    let outputs = desk.give_alone(Input::Done { instance: instance(1), result: Done::Now(exited(143)) });
    let health = HealthAnswer { at, status: Some(503), cause: "answered 503".into(), body: "no database".into() };
    assert_eq!(outputs.first(), Some(&keep(Some(health))));
    assert!(kept(&mut desk, Keeping::Safe(evidence())).contains(&remove()));
}

#[test]
fn what_cannot_be_had_is_asked_for_again_and_what_is_never_had_is_given_up() {
    let mut desk = desk();
    desk.give_alone(died());
    desk.acknowledge();
    desk.assign(vec![stop(1)]);
    for _ in 0..20 {
        let away = Keeping::Unavailable { message: "Docker does not answer".into() };
        let outputs = kept(&mut desk, away);
        assert!(!outputs.contains(&remove()), "{outputs:?}");
        let outputs = pass(&mut desk, 30_000);
        assert!(outputs.contains(&keep(None)), "an engine that is away says nothing: {outputs:?}");
    }
    let partly = || Keeping::Partly { message: "the disk is full".into(), evidence: evidence() };
    for _ in 0..3 {
        assert_eq!(kept(&mut desk, partly()), []);
        assert!(pass(&mut desk, 30_000).contains(&keep(None)));
    }
    let outputs = kept(&mut desk, partly());
    assert!(outputs.contains(&remove()), "a full disk holds no place for ever: {outputs:?}");
    assert!(outputs.contains(&with_evidence(report(3, 1, failed()))), "what there is is told: {outputs:?}");
}

#[test]
fn the_next_agent_knows_what_is_safe_and_keeps_what_is_not() {
    let mut before = desk();
    before.give_alone(died());
    let unsafe_yet = before.agent.saved();
    kept(&mut before, Keeping::Safe(evidence()));
    let safe = before.agent.saved();
    for (saved, is_safe) in [(unsafe_yet, false), (safe, true)] {
        let mut desk = Desk::remembering(false, saved);
        desk.give_alone(Input::Connected { cluster: CLUSTER });
        desk.assign_all(vec![stop(1)]);
        desk.list(&[(1, Listing::Ended)]);
        let looked = Input::Inspected { instance: instance(1), epoch: u64::MAX, container: Ok(exited(3)) };
        let outputs = desk.give_alone(looked);
        assert_eq!(outputs.contains(&remove()), is_safe, "{outputs:?}");
        assert_eq!(outputs.contains(&keep(None)), !is_safe, "{outputs:?}");
    }
}

#[test]
fn what_never_ran_left_nothing_behind() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    let refused = Done::Refused { message: "no such image".into(), container: Container::Created };
    let outputs = desk.give_alone(Input::Done { instance: instance(1), result: refused });
    assert_eq!(outputs.first(), Some(&remove()), "{outputs:?}");
}

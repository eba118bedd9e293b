//! How instances are asked: whether they are ready, and by which address.

use super::*;
use crate::model::{AppSpec, Network, PortSpec, ReadinessCheck, ReadinessResponse, WantedHostPort};

fn readiness_check() -> ReadinessCheck {
    ReadinessCheck {
        name: "ready".into(),
        tls: true,
        path: "/ready".into(),
        port_name: "http".into(),
        interval_ms: 30_000,
        timeout_ms: 10_000,
        codes: vec![200],
        keep_response: true,
    }
}

fn spec_with_readiness() -> AppSpec {
    let mut spec = testing::app("/web", 1);
    spec.run.ports[0].name = Some("http".into());
    spec.policy.readiness_checks = vec![readiness_check()];
    spec
}

fn ask() -> Output {
    let get = Get { host: "10.0.0.1".into(), port: 31_000, path: "/ready".into(), tls: true };
    Output::Ask { instance: instance(1), get, timeout_ms: 10_000, host_network: false }
}

fn response(status: u16) -> ReadinessResponse {
    ReadinessResponse { status, content_type: "text/plain".into(), body: "warming up".into() }
}

fn answer(answer: Result<ReadinessResponse, String>) -> Input {
    Input::Answered { instance: instance(1), answer }
}

fn told(ready: bool, status: u16) -> Seen {
    let Seen::Running { ip, health, checks, .. } = seen_running() else { unreachable!() };
    Seen::Running { ip, health, checks, readiness: Readiness { ready, response: Some(Box::new(response(status))) } }
}

#[test]
fn an_instance_is_asked_until_it_is_ready_and_never_again_not_even_by_the_next_agent() {
    let mut desk = Desk::new(false);
    desk.assign(vec![testing::assignment(instance(1), spec_with_readiness())]);
    assert_eq!(desk.done(1, Done::Now(running())), [ask(), report(1, 1, seen_running())]);
    desk.acknowledge();
    assert_eq!(desk.give(answer(Err("connection refused".into()))), []);
    assert_eq!(desk.pass(99), []);
    assert_eq!(desk.pass(1), [ask()]);
    assert_eq!(desk.give(answer(Ok(response(503)))), [report(2, 1, told(false, 503))]);
    desk.acknowledge();
    assert_eq!(desk.pass(200), [ask()]);
    assert_eq!(desk.give(answer(Ok(response(200)))), [report(3, 1, told(true, 200))]);
    desk.acknowledge();
    assert_eq!(desk.pass(120_000), []);

    let mut desk = Desk::remembering(false, desk.agent.saved());
    desk.give(Input::Connected { cluster: CLUSTER });
    let again = desk.list(&[(1, Listing::Running { ip: Some("172.17.0.2".into()), ipv6: None })]);
    assert_eq!(again, [report(1, 1, told(true, 200))]);
    assert_eq!(desk.pass(120_000).len(), 1, "an unacknowledged report, and no question");
}

#[test]
fn a_new_readiness_check_is_asked_of_who_runs_already() {
    let mut desk = Desk::new(false);
    let mut without = spec_with_readiness();
    without.policy.readiness_checks.clear();
    desk.assign(vec![testing::assignment(instance(1), without)]);
    assert_eq!(desk.done(1, Done::Now(running())), [report(1, 1, seen_running())]);
    desk.acknowledge();
    let with = testing::assignment(instance(1), spec_with_readiness());
    assert_eq!(desk.assign(vec![Assignment { started: true, ..with }]), [ask()]);
    desk.give(answer(Ok(response(200))));
    let other_port = {
        let mut spec = spec_with_readiness();
        spec.policy.readiness_checks[0].port_name = "none".into();
        spec
    };
    let mut desk = Desk::new(false);
    desk.assign(vec![testing::assignment(instance(1), other_port)]);
    assert_eq!(desk.done(1, Done::Now(running())), [report(1, 1, seen_running())], "there is nothing to ask");
}

#[test]
fn health_checks_go_where_they_are_told() {
    let http = |port| HealthKind::Http { path: "/ok".into(), port, tls: true, ignore_1xx: false };
    let get_in = |host_network, host: &str, port| Probe::Http {
        get: Get { host: host.into(), port, path: "/ok".into(), tls: true },
        ignore_1xx: false,
        host_network,
    };
    let get = |host: &str, port| get_in(false, host, port);
    // There any program of the node may be the one that answers.
    let get_there = |host: &str, port| get_in(true, host, port);
    let no_ipv6 = "the instance has no IPv6 address: its Docker network gives it none";
    let (bridge, host) = (Network::Bridge, Network::Host);
    let mesh = Network::Container { name: "mesh".into(), labels: BTreeMap::new() };
    for (kind, ipv6, address, network, expect) in [
        (http(CheckPort::Index(0)), false, None, &bridge, Ok(get("10.0.0.1", 31_000))),
        (http(CheckPort::Number(9000)), false, None, &bridge, Ok(get("172.17.0.2", 9000))),
        (http(CheckPort::Number(9000)), false, None, &host, Ok(get_there("10.0.0.1", 9000))),
        (http(CheckPort::Number(9000)), true, None, &host, Ok(get_there("::1", 9000))),
        (http(CheckPort::Index(0)), true, None, &host, Ok(get_there("::1", 31_000))),
        (http(CheckPort::Index(0)), true, Some("fd00::2"), &bridge, Ok(get("fd00::2", 8080))),
        (http(CheckPort::Number(9000)), true, Some("fd00::2"), &bridge, Ok(get("fd00::2", 9000))),
        (http(CheckPort::Index(1)), false, None, &mesh, Ok(get("172.17.0.2", 1025))),
        (http(CheckPort::Index(1)), true, Some("fd00::2"), &mesh, Ok(get("fd00::2", 1025))),
        (http(CheckPort::Index(0)), true, None, &bridge, Err(no_ipv6)),
        (http(CheckPort::Index(7)), false, None, &bridge, Err("there is no such port")),
        (
            HealthKind::Command { value: "true".into() },
            false,
            None,
            &bridge,
            Ok(Probe::Command { container: "side".into(), command: "true".into() }),
        ),
    ] {
        let mut spec = testing::app("/web", 1);
        spec.run.network = network.clone();
        let nowhere = PortSpec { container_port: 0, host_port: WantedHostPort::None, ..spec.run.ports[0].clone() };
        spec.run.ports.push(nowhere);
        spec.policy.health_checks = vec![HealthCheck {
            kind,
            mesos: false,
            container: "side".into(),
            ipv6,
            grace_ms: 1,
            interval_ms: 10_000,
            timeout_ms: 2_000,
            max_failures: 3,
            delay_ms: 0,
        }];
        let mut desk = Desk::new(false);
        desk.assign(vec![testing::assignment(instance(1), spec)]);
        let running = Container::Running { ip: Some("172.17.0.2".into()), ipv6: address.map(str::to_owned) };
        let mut outputs = desk.done(1, Done::Now(running));
        desk.acknowledge();
        outputs.extend(desk.pass(10_000));
        let probed = outputs.iter().find_map(|it| match it {
            Output::Probe { probe, .. } => Some(Ok(probe.clone())),
            _ => None,
        });
        let cause = outputs.iter().find_map(|it| match it {
            Output::Report { observations, .. } => match &observations[0].seen {
                Seen::Running { checks, .. } => checks.first()?.last_failure_cause.clone(),
                _ => None,
            },
            _ => None,
        });
        assert_eq!(probed.or(cause.map(Err)), Some(expect.map_err(str::to_owned)));
    }
}

#[test]
fn who_serves_stays_in_consul_until_it_has_passed_what_it_is_asked_now() {
    let check = |kind, interval_ms| HealthCheck {
        kind,
        mesos: false,
        container: String::new(),
        ipv6: false,
        grace_ms: 0,
        interval_ms,
        timeout_ms: 2_000,
        max_failures: 3,
        delay_ms: 0,
    };
    let tcp = || HealthKind::Tcp { port: CheckPort::Index(0) };
    let order = |checks| {
        let mut spec = testing::app("/web", 1);
        spec.policy.health_checks = checks;
        Assignment { started: true, policy: POLICY, ..testing::assignment(instance(1), spec) }
    };
    let command = HealthKind::Command { value: "true".into() };
    let tell = |desk: &mut Desk, input| {
        desk.agent.handle(input, desk.now);
        published(&desk.agent.drain())
    };
    let probed = |check, outcome| Input::Probed { instance: instance(1), check, outcome };
    for (before, after, known) in [
        (vec![check(tcp(), 5_000)], vec![check(tcp(), 10_000)], true),
        (vec![check(tcp(), 5_000)], vec![check(command, 5_000)], false),
        (vec![], vec![check(tcp(), 5_000)], false),
    ] {
        let mut desk = Desk::new(true);
        let is_checked = !before.is_empty();
        desk.assign(vec![Assignment { started: false, policy: Timestamp(1_000), ..order(before) }]);
        let mut wish = tell(&mut desk, Input::Done { instance: instance(1), result: Done::Now(running()) });
        if is_checked {
            wish = tell(&mut desk, probed(0, Outcome::Success));
        }
        assert_eq!(wish.unwrap().services.len(), 1);
        let (generation, assignments) = (20, vec![order(after)]);
        let input = Input::Assigned { generation, assignments, forget: vec![], destroy: vec![], complete: false };
        assert_eq!(tell(&mut desk, input), None);
        let n = u32::from(is_checked);
        if !known {
            assert_eq!(tell(&mut desk, probed(n, Outcome::Refused("refused".into()))), None, "it is on trial only");
            let passes = report_of(&mut desk, probed(n, Outcome::Success));
            assert_eq!(passes.map(|it| (it.judged_by, it.trial)), Some((POLICY, None)));
        }
        let wish = tell(&mut desk, probed(n, Outcome::Refused("refused".into()))).unwrap();
        assert!(wish.services.is_empty() && wish.keep.is_empty(), "it is known not to serve");
    }
}

/// The version whose health checks are new.
const POLICY: Timestamp = Timestamp(2_000);

/// What is told of the instance after this.
fn report_of(desk: &mut Desk, input: Input) -> Option<Observation> {
    // What is to be told from before, too.
    while !desk.acknowledge().is_empty() {}
    desk.agent.handle(input, desk.now);
    let outputs = desk.agent.drain();
    desk.acknowledge();
    outputs.into_iter().find_map(|it| match it {
        Output::Report { observations, .. } => observations.into_iter().next(),
        _ => None,
    })
}

fn http_check(path: &str) -> HealthCheck {
    HealthCheck {
        kind: HealthKind::Http { path: path.into(), port: CheckPort::Index(0), tls: false, ignore_1xx: false },
        mesos: false,
        container: String::new(),
        ipv6: false,
        grace_ms: 0,
        interval_ms: 10_000,
        timeout_ms: 2_000,
        max_failures: 3,
        delay_ms: 0,
    }
}

/// An order for the `n`-th instance with these checks, of which the second failure takes it out of discovery.
fn patient(n: u32, checks: Vec<HealthCheck>) -> Assignment {
    let mut spec = testing::app("/web", 1);
    spec.policy.health_checks = checks;
    Assignment { leave_after: 2, min_live_ms: 5_000, ..testing::assignment(instance(n), spec) }
}

fn say(n: u32, check: u32, outcome: Outcome) -> Input {
    Input::Probed { instance: instance(n), check, outcome }
}

fn fail() -> Outcome {
    Outcome::Failure("answered 503".into())
}

/// A desk with so many healthy instances of one app.
fn healthy(n: u32, leave_after: u32) -> Desk {
    let mut desk = Desk::new(true);
    desk.assign((1..=n).map(|n| Assignment { leave_after, ..patient(n, vec![http_check("/ok")]) }).collect());
    for n in 1..=n {
        desk.done(n, Done::Now(running()));
        desk.give(say(n, 0, Outcome::Success));
    }
    while !desk.acknowledge().is_empty() {}
    desk
}

/// Who is registered after this, if that changed.
fn registered(desk: &mut Desk, input: Input) -> Option<usize> {
    desk.agent.handle(input, desk.now);
    published(&desk.agent.drain()).map(|it| it.services.len())
}

#[test]
fn who_misses_one_probe_is_asked_again_soon_and_leaves_when_it_fails_again() {
    let mut desk = healthy(2, 2);
    desk.pass(10_000);
    assert_eq!(registered(&mut desk, say(1, 0, fail())), None, "it is forgiven once");
    let probes = |it: &Output| matches!(it, Output::Probe { instance: it, .. } if *it == instance(1));
    assert!(!desk.pass(999).iter().any(probes));
    assert!(desk.pass(1).iter().any(probes), "a second look");
    let told = report_of(&mut desk, say(1, 0, fail()));
    let Some(Seen::Running { health, checks, .. }) = told.map(|it| it.seen) else { panic!("it is told") };
    assert_eq!((health, checks[0].consecutive_failures, checks[0].forgiven), (Health::Unhealthy, 1, false));
    assert_eq!(desk.agent.counts().serving, 1);
    // Nobody is ended sooner for a second look.
    for n in 2..=3 {
        desk.pass(10_000);
        let told = report_of(&mut desk, say(1, 0, fail()));
        let Some(Seen::Running { health, checks, .. }) = told.map(|it| it.seen) else { panic!("it is told") };
        let expect = if n == 3 { Health::Failed } else { Health::Unhealthy };
        assert_eq!((health, checks[0].consecutive_failures), (expect, n));
    }
}

#[test]
fn where_nobody_listens_or_the_container_has_ended_discovery_is_left_at_once() {
    let mut desk = healthy(2, 2);
    desk.pass(10_000);
    assert_eq!(registered(&mut desk, say(1, 0, Outcome::Refused("refused".into()))), Some(1));
    let ended = Input::Inspected { instance: instance(2), epoch: u64::MAX, container: Ok(exited(1)) };
    assert_eq!(registered(&mut desk, ended), Some(0), "also the last one");
}

#[test]
fn one_missed_probe_takes_nobodys_last_instance_whatever_is_set() {
    let mut desk = healthy(3, 1);
    desk.pass(10_000);
    assert_eq!(registered(&mut desk, say(1, 0, fail())), Some(2));
    assert_eq!(registered(&mut desk, say(2, 0, fail())), Some(1));
    // The last one stays; and with it those that are as good.
    assert_eq!(registered(&mut desk, say(3, 0, fail())), Some(3));
    desk.pass(10_000);
    assert_eq!(registered(&mut desk, say(3, 0, fail())), Some(2));
    assert_eq!(registered(&mut desk, say(1, 0, Outcome::Success)), Some(1));
}

#[test]
fn a_wrong_answer_in_the_grace_period_is_told_once_and_health_stays_unknown() {
    let mut desk = Desk::new(true);
    let check = HealthCheck { grace_ms: 60_000, ..http_check("/ok") };
    desk.assign(vec![patient(1, vec![check])]);
    desk.done(1, Done::Now(running()));
    let told = report_of(&mut desk, say(1, 0, fail()));
    let Some(Seen::Running { health, checks, .. }) = told.map(|it| it.seen) else { panic!("it is told") };
    let answer = checks[0].last_failure_cause.as_deref();
    assert_eq!((health, answer), (Health::Unknown, Some("answered 503")));
    assert_eq!((checks[0].alive, checks[0].consecutive_failures), (false, 0));
    assert_eq!(report_of(&mut desk, say(1, 0, fail())), None, "nothing new");
    let other = Outcome::Failure("answered 404".into());
    assert!(report_of(&mut desk, say(1, 0, other)).is_some());

    // The next agent does not take it for an answer that counts.
    let mut next = Desk::remembering(true, desk.agent.saved());
    next.give(Input::Connected { cluster: CLUSTER });
    next.list(&[(1, Listing::Running { ip: Some("172.17.0.2".into()), ipv6: None })]);
    assert_eq!(next.agent.counts().serving, 0);
    let told = report_of(&mut next, say(1, 0, Outcome::Success));
    let Some(Seen::Running { health, .. }) = told.map(|it| it.seen) else { panic!("it is told") };
    assert_eq!(health, Health::Healthy);
}

#[test]
fn a_trial_takes_as_long_as_a_new_instance_and_outlives_the_agent() {
    let edit = || Assignment { policy: POLICY, started: true, ..patient(1, vec![http_check("/wrong")]) };
    let mut desk = healthy(1, 2);
    desk.acknowledge();
    desk.assign(vec![edit()]);
    let asked = desk.pass(10_000);
    assert!(asked.iter().any(|it| matches!(it, Output::Probe { check: 1, .. })), "{asked:?}");
    let judged = |it: Option<Observation>| it.map(|it| (it.judged_by == POLICY, it.trial));
    let cause = Some("answered 503".to_owned());
    assert_eq!(judged(report_of(&mut desk, say(1, 1, fail()))), Some((false, cause.clone())));
    for _ in 0..5 {
        desk.pass(10_000);
        report_of(&mut desk, say(1, 1, Outcome::Refused("refused".into())));
        assert_eq!(desk.agent.counts().serving, 1, "it is judged by what it passed");
    }

    let mut desk = Desk::remembering(true, desk.agent.saved());
    desk.give(Input::Connected { cluster: CLUSTER });
    desk.list(&[(1, Listing::Running { ip: Some("172.17.0.2".into()), ipv6: None })]);
    desk.assign_all(vec![edit()]);
    assert_eq!(judged(report_of(&mut desk, say(1, 1, fail()))), Some((false, cause)));
    assert_eq!(desk.agent.counts().serving, 1, "also by the next agent");
    assert_eq!(judged(report_of(&mut desk, say(1, 1, Outcome::Success))), Some((false, None)));
    desk.now = desk.now.plus_ms(4_999);
    assert_eq!(judged(report_of(&mut desk, Input::Tick)), None);
    desk.now = desk.now.plus_ms(1);
    assert!(desk.agent.wake_at().is_some_and(|it| it <= desk.now));
    assert_eq!(judged(report_of(&mut desk, Input::Tick)), Some((true, None)));
    // Back to what it was: a trial again.
    desk.assign(vec![Assignment { policy: Timestamp(3_000), started: true, ..patient(1, vec![http_check("/ok")]) }]);
    assert_eq!(desk.agent.counts().serving, 1);
}

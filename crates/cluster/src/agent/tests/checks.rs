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
    let mut spec = fixture::spec("/web", 1);
    spec.run.ports[0].name = Some("http".into());
    spec.policy.readiness_checks = vec![readiness_check()];
    spec
}

fn ask() -> Output {
    let get = Get { host: "10.0.0.1".into(), port: 31_000, path: "/ready".into(), tls: true };
    Output::Ask { instance: instance(1), get, timeout_ms: 10_000 }
}

fn response(status: u16) -> ReadinessResponse {
    ReadinessResponse { status, content_type: "text/plain".into(), body: "warming up".into() }
}

fn answer(answer: Result<ReadinessResponse, String>) -> Input {
    Input::Answered { instance: instance(1), answer }
}

fn told(ready: bool, status: u16) -> Seen {
    let Seen::Running { ip, health, checks, .. } = seen_running() else { unreachable!() };
    Seen::Running { ip, health, checks, readiness: Readiness { ready, response: Some(response(status)) } }
}

#[test]
fn an_instance_is_asked_until_it_is_ready_and_never_again_not_even_by_the_next_agent() {
    let mut desk = Desk::new(false);
    desk.assign(vec![fixture::assignment(instance(1), spec_with_readiness())]);
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
    desk.assign(vec![fixture::assignment(instance(1), without)]);
    assert_eq!(desk.done(1, Done::Now(running())), [report(1, 1, seen_running())]);
    desk.acknowledge();
    let with = fixture::assignment(instance(1), spec_with_readiness());
    assert_eq!(desk.assign(vec![Assignment { started: true, ..with }]), [ask()]);
    desk.give(answer(Ok(response(200))));
    let other_port = {
        let mut spec = spec_with_readiness();
        spec.policy.readiness_checks[0].port_name = "none".into();
        spec
    };
    let mut desk = Desk::new(false);
    desk.assign(vec![fixture::assignment(instance(1), other_port)]);
    assert_eq!(desk.done(1, Done::Now(running())), [report(1, 1, seen_running())], "there is nothing to ask");
}

#[test]
fn health_checks_go_where_they_are_told() {
    let http = |port| HealthKind::Http { path: "/ok".into(), port, tls: true, ignore_1xx: false };
    let get = |host: &str, port| Probe::Http {
        get: Get { host: host.into(), port, path: "/ok".into(), tls: true },
        ignore_1xx: false,
    };
    let no_ipv6 = "the instance has no IPv6 address: its Docker network gives it none";
    let (bridge, host) = (Network::Bridge, Network::Host);
    let mesh = Network::Container { name: "mesh".into(), labels: BTreeMap::new() };
    for (kind, ipv6, address, network, expect) in [
        (http(CheckPort::Index(0)), false, None, &bridge, Ok(get("10.0.0.1", 31_000))),
        (http(CheckPort::Number(9000)), false, None, &bridge, Ok(get("172.17.0.2", 9000))),
        (http(CheckPort::Number(9000)), false, None, &host, Ok(get("10.0.0.1", 9000))),
        (http(CheckPort::Number(9000)), true, None, &host, Ok(get("::1", 9000))),
        (http(CheckPort::Index(0)), true, None, &host, Ok(get("::1", 31_000))),
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
        let mut spec = fixture::spec("/web", 1);
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
        desk.assign(vec![fixture::assignment(instance(1), spec)]);
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
fn who_serves_stays_in_consul_while_a_new_check_has_not_answered() {
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
        let mut spec = fixture::spec("/web", 1);
        spec.policy.health_checks = checks;
        Assignment { started: true, ..fixture::assignment(instance(1), spec) }
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
        desk.assign(vec![Assignment { started: false, ..order(before) }]);
        let mut wish = tell(&mut desk, Input::Done { instance: instance(1), result: Done::Now(running()) });
        if is_checked {
            wish = tell(&mut desk, probed(0, Outcome::Success));
        }
        assert_eq!(wish.unwrap().services.len(), 1);
        let (generation, assignments) = (20, vec![order(after)]);
        let input = Input::Assigned { generation, assignments, forget: vec![], destroy: vec![], complete: false };
        let wish = tell(&mut desk, input);
        assert_eq!(wish.map(|it| it.keep.contains(&instance(1))), (!known).then_some(true));
        let wish = tell(&mut desk, probed(u32::from(is_checked), Outcome::Failure("refused".into()))).unwrap();
        assert!(wish.services.is_empty() && wish.keep.is_empty(), "it is known not to serve");
    }
}

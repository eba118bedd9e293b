//! The agent's machine, in stories; `days` puts it through random days.

mod checks;
mod days;
mod evidence;
mod orphans;
mod pods;
mod volumes;

use super::*;
use crate::catalog::Wish;
use crate::model::{
    CheckPort, ClusterId, End, EndKind, Health, HealthCheck, HealthKind, InstanceId, NodeId, Readiness, Timestamp,
};
use crate::testing;
use std::collections::BTreeMap;

const CLUSTER: ClusterId = ClusterId(0xabc);

fn instance(n: u32) -> InstanceId {
    InstanceId::derive(CLUSTER, 1, n)
}

fn settings(consul: bool) -> Settings {
    Settings { node: NodeId::new("n1"), agent: AGENT, address: "10.0.0.1".into(), consul, drain_ms: 250 }
}

/// The identity of the agent that is tested.
const AGENT: u64 = 0xa1;

fn maker() -> Maker {
    Maker { app: "/web".into(), node: "n1".into(), agent: Some(AGENT) }
}

fn order(n: u32) -> Assignment {
    testing::assignment(instance(n), testing::app("/web", 1))
}

fn stop(n: u32) -> Assignment {
    Assignment { stop: true, spec: None, ..order(n) }
}

fn running() -> Container {
    Container::Running { ip: Some("172.17.0.2".into()), ipv6: None }
}

fn exited(code: i64) -> Container {
    Container::Exited(Exit { code: Some(code), ..Exit::default() })
}

/// An agent with a clock, and what it asked for.
struct Desk {
    agent: Agent,
    now: Timestamp,
    generation: u64,
}

impl Desk {
    /// Connected, with Docker listed and empty.
    fn new(consul: bool) -> Self {
        let mut desk = Self::remembering(consul, Saved::default());
        desk.give(Input::Connected { cluster: CLUSTER });
        desk.list(&[]);
        desk
    }

    fn remembering(consul: bool, saved: Saved) -> Self {
        Self { agent: Agent::new(settings(consul), saved), now: Timestamp(1_000_000), generation: 10 }
    }

    /// Gives an input; returns what is to be done, without what is to be saved or published. What instances left behind
    /// is safe at once, and says nothing.
    fn give(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = self.give_alone(input);
        while let Some(n) = outputs.iter().position(|it| matches!(it, Output::Keep { .. })) {
            let Output::Keep { instance, .. } = outputs.remove(n) else { unreachable!() };
            outputs.extend(self.give_alone(Input::Kept { instance, result: Keeping::Gone }));
        }
        outputs
    }

    /// The same, and the keeping is among it.
    fn give_alone(&mut self, input: Input) -> Vec<Output> {
        self.agent.handle(input, self.now);
        let dull = |it: &Output| {
            matches!(
                it,
                Output::Save
                    | Output::Publish { .. }
                    | Output::List { .. }
                    | Output::Strangers { .. }
                    | Output::Writers { .. }
                    | Output::Note(_)
            )
        };
        self.agent.drain().into_iter().filter(|it| !dull(it)).collect()
    }

    fn pass(&mut self, ms: u64) -> Vec<Output> {
        self.now = self.now.plus_ms(ms);
        self.give(Input::Tick)
    }

    fn assign(&mut self, assignments: Vec<Assignment>) -> Vec<Output> {
        self.generation += 1;
        self.give(Input::Assigned {
            generation: self.generation,
            assignments,
            forget: vec![],
            destroy: vec![],
            complete: false,
        })
    }

    fn assign_all(&mut self, assignments: Vec<Assignment>) -> Vec<Output> {
        self.generation += 1;
        self.give(Input::Assigned {
            generation: self.generation,
            assignments,
            forget: vec![],
            destroy: vec![],
            complete: true,
        })
    }

    fn done(&mut self, n: u32, result: Done) -> Vec<Output> {
        self.give(Input::Done { instance: instance(n), result })
    }

    fn list(&mut self, containers: &[(u32, Listing)]) -> Vec<Output> {
        let listed =
            |(n, listing): &(u32, Listing)| Listed { instance: instance(*n), listing: listing.clone(), maker: maker() };
        self.give(Input::Listed { epoch: u64::MAX, containers: containers.iter().map(listed).collect() })
    }

    /// Answers every inspection with this.
    fn look(&mut self, n: u32, container: Container) -> Vec<Output> {
        self.give(Input::Inspected { instance: instance(n), epoch: u64::MAX, container: Ok(container) })
    }

    /// Acknowledges every report.
    fn acknowledge(&mut self) -> Vec<Output> {
        self.give(Input::Reported { sequence: u64::MAX })
    }
}

fn report(sequence: u64, n: u32, seen: Seen) -> Output {
    let observation =
        Observation { instance: instance(n), judged_by: Timestamp(1_000), trial: None, seen, evidence: None };
    Output::Report { sequence, observations: vec![observation], destroyed: vec![] }
}

fn seen_running() -> Seen {
    Seen::Running {
        ip: Some("172.17.0.2".into()),
        health: Health::Unknown,
        checks: vec![],
        readiness: Readiness::default(),
    }
}

fn ended(kind: EndKind, exit_code: Option<i64>, message: &str) -> Seen {
    Seen::Ended(End { kind, exit_code, message: message.into() })
}

fn is_inspect(outputs: &[Output], n: u32) -> bool {
    outputs.iter().any(|it| matches!(it, Output::Inspect { instance: it, .. } if *it == instance(n)))
}

#[test]
fn an_instance_is_started_reported_stopped_removed_and_forgotten() {
    let mut desk = Desk::new(false);
    assert_eq!(desk.assign(vec![order(1)]), [Output::Start { assignment: order(1) }]);
    assert_eq!(desk.done(1, Done::Now(running())), [report(1, 1, seen_running())]);
    assert_eq!(desk.acknowledge(), []);
    assert_eq!(desk.assign(vec![Assignment { started: true, ..order(1) }]), []);
    assert_eq!(desk.assign(vec![stop(1)]), [Output::Stop { instance: instance(1), grace_ms: 3_000 }]);
    let killed = ended(EndKind::Killed, Some(143), "stopped by Ekiden");
    assert_eq!(desk.done(1, Done::Now(exited(143))), [report(2, 1, killed), Output::Remove { instance: instance(1) }]);
    desk.acknowledge();
    assert_eq!(desk.done(1, Done::Now(Container::Absent)), [report(3, 1, Seen::Removed)]);
    desk.acknowledge();
    desk.generation += 1;
    let (generation, forget) = (desk.generation, vec![instance(1)]);
    desk.give(Input::Assigned { generation, assignments: vec![], forget, destroy: vec![], complete: false });
    assert_eq!(desk.agent.counts(), Counts::default());
}

#[test]
fn an_end_under_way_is_cut_short_when_there_is_less_time() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    let patient = Assignment { kill_grace_ms: 600_000, ..stop(1) };
    assert_eq!(desk.assign(vec![patient.clone()]), [Output::Stop { instance: instance(1), grace_ms: 600_000 }]);
    desk.pass(4_000);
    assert_eq!(desk.assign(vec![Assignment { kill_grace_ms: 900_000, ..stop(1) }]), [], "more time is not given");
    assert_eq!(desk.assign(vec![Assignment { kill_grace_ms: 10_000, ..stop(1) }]), []);
    assert!(desk.agent.wake_at() <= Some(desk.now.plus_ms(6_000)));
    assert_eq!(desk.pass(5_999), []);
    assert_eq!(desk.pass(1), [Output::Kill { instance: instance(1) }]);
    assert_eq!(desk.pass(60_000), [], "once");

    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    desk.assign(vec![patient]);
    desk.pass(30_000);
    assert_eq!(desk.assign(vec![stop(1)]), [Output::Kill { instance: instance(1) }], "it has had its time");
}

#[test]
fn a_container_that_ends_is_reported_and_kept_until_its_removal_is_ordered() {
    for (container, kind, message) in
        [(exited(0), EndKind::Finished, "exited with code 0"), (exited(3), EndKind::Failed, "exited with code 3")]
    {
        let Container::Exited(Exit { code, .. }) = container else { unreachable!() };
        let mut desk = Desk::new(false);
        desk.assign(vec![order(1)]);
        desk.done(1, Done::Now(running()));
        desk.acknowledge();
        assert!(is_inspect(&desk.give(Input::Hint { instance: instance(1) }), 1));
        assert_eq!(desk.look(1, container.clone()), [report(2, 1, ended(kind, code, message))]);
        desk.acknowledge();
        assert_eq!(desk.pass(60_000), [], "it is neither started again nor removed");
        assert_eq!(desk.assign(vec![stop(1)]), [Output::Remove { instance: instance(1) }]);
        assert_eq!(desk.done(1, Done::Now(Container::Absent)), [report(3, 1, Seen::Removed)]);
    }
}

#[test]
fn the_end_of_a_container_that_ran_is_believed_without_a_look() {
    let died = |code, out_of_memory| Input::Died {
        instance: instance(1),
        exit: Exit { code: Some(code), out_of_memory, ..Exit::default() },
    };
    for (input, kind, code) in [(died(3, false), EndKind::Failed, 3), (died(137, true), EndKind::OutOfMemory, 137)] {
        let mut desk = Desk::new(false);
        desk.assign(vec![order(1)]);
        desk.done(1, Done::Now(running()));
        desk.acknowledge();
        assert!(is_inspect(&desk.give(Input::Hint { instance: instance(1) }), 1), "a look is under way");
        let told = desk.give(input.clone());
        let [Output::Report { observations, .. }] = &told[..] else { panic!("{told:?}") };
        let Seen::Ended(end) = &observations[0].seen else { panic!("{observations:?}") };
        assert_eq!((end.kind, end.exit_code), (kind, Some(code)));
        desk.acknowledge();
        assert_eq!(desk.look(1, running()), [], "what that look found is of before");
        assert_eq!(desk.give(input), [], "an end is told once");
        assert_eq!(desk.agent.counts().ended, 1);
    }
}

#[test]
fn the_end_of_a_container_that_is_worked_on_is_a_hint() {
    let died = || Input::Died { instance: instance(1), exit: Exit { code: Some(0), ..Exit::default() } };
    let mut desk = Desk::new(false);
    assert_eq!(desk.give(died()), [], "nobody speaks of it");
    desk.assign(vec![order(1)]);
    assert_eq!(desk.give(died()), [], "its start is under way");
    assert!(is_inspect(&desk.done(1, Done::Now(running())), 1), "and is looked at afterwards");
}

#[test]
fn what_docker_refuses_to_start_has_ended_and_leaves_nothing() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    let message = "no such image: web:1".to_owned();
    let refused = Done::Refused { message: message.clone(), container: Container::Created };
    let report = report(1, 1, ended(EndKind::NotStarted, None, &message));
    assert_eq!(desk.done(1, refused), [Output::Remove { instance: instance(1) }, report]);
    assert_eq!(desk.done(1, Done::Now(Container::Absent)), []);
    desk.acknowledge();
    assert_eq!(desk.pass(60_000), []);
}

#[test]
fn while_docker_is_away_starts_wait_and_nothing_ends() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    desk.assign(vec![order(2)]);
    let away = || Done::Unavailable { message: "timed out".into() };
    let staging = Seen::Staging { message: "waiting for Docker: timed out".into() };
    assert_eq!(desk.done(2, away()), [report(2, 2, staging)]);
    desk.acknowledge();
    let mut told = Vec::new();
    for _ in 0..20 {
        told.extend(desk.give(Input::ListFailed { message: "timed out".into() }));
        told.extend(desk.pass(5_000));
    }
    let reason = Some("Docker does not answer: timed out".to_owned());
    assert_eq!(told, [Output::Degraded { reason }]);
    let healed = desk.list(&[(1, Listing::Running { ip: Some("172.17.0.2".into()), ipv6: None })]);
    assert_eq!(healed, [Output::Start { assignment: order(2) }, Output::Degraded { reason: None }]);
}

#[test]
fn a_full_disk_refuses_the_start_and_the_node_for_a_while() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    let full = Done::Full { message: "no space left on device".into(), container: Container::Absent };
    let degraded = Output::Degraded { reason: Some("no space left on device".into()) };
    assert!(desk.done(1, full).contains(&degraded));
    desk.acknowledge();
    assert_eq!(desk.pass(29_000), []);
    assert_eq!(desk.pass(1_000), [Output::Degraded { reason: None }]);
}

#[test]
fn a_node_whose_hands_are_tied_says_so_and_what_is_worse_comes_first() {
    let mut desk = Desk::new(false);
    let tied = |it: Option<&str>| Input::Tied { reason: it.map(str::to_owned) };
    let degraded = |it: Option<&str>| [Output::Degraded { reason: it.map(str::to_owned) }];
    assert_eq!(desk.give(tied(Some("the disk hangs"))), degraded(Some("the disk hangs")));
    assert_eq!(desk.pass(1_000), []);
    for _ in 0..2 {
        desk.give(Input::ListFailed { message: "timed out".into() });
    }
    desk.give(Input::Disconnected);
    let away = "Docker does not answer: timed out";
    assert_eq!(desk.give(Input::Connected { cluster: CLUSTER }), degraded(Some(away)), "each leader is told");
    assert_eq!(desk.list(&[]), degraded(Some("the disk hangs")));
    assert_eq!(desk.give(tied(None)), degraded(None));
}

#[test]
fn a_report_fits_into_a_command_whatever_there_is_to_tell() {
    let mut desk = Desk::new(false);
    desk.assign((1..=500).map(order).collect());
    let noise = "x".repeat(1 << 20);
    let mut told = BTreeMap::new();
    for n in 1..=500 {
        let refused = Done::Refused { message: noise.clone(), container: Container::Absent };
        for output in desk.done(n, refused) {
            let Output::Report { observations, .. } = output else { continue };
            let bytes: usize = observations.iter().map(bounds::weight).sum();
            assert!(bytes < 512 << 10, "{bytes}");
            told.extend(observations.into_iter().map(|it| (it.instance, it.seen)));
        }
    }
    for _ in 0..10 {
        for output in desk.acknowledge() {
            let Output::Report { observations, .. } = output else { continue };
            let bytes: usize = observations.iter().map(bounds::weight).sum();
            assert!(bytes < 512 << 10, "{bytes}");
            told.extend(observations.into_iter().map(|it| (it.instance, it.seen)));
        }
    }
    assert_eq!(told.len(), 500, "all of it is told in the end");
}

#[test]
fn a_container_that_was_started_and_is_gone_has_vanished_after_a_second_look() {
    let vanished = ended(EndKind::Vanished, None, "its container is gone, and Ekiden did not remove it");
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    assert!(is_inspect(&desk.list(&[]), 1), "a list alone is not believed");
    assert_eq!(desk.look(1, Container::Absent), [report(2, 1, vanished.clone())]);

    let mut desk = Desk::new(false);
    let before = Assignment { started: true, ..order(1) };
    assert!(is_inspect(&desk.assign(vec![before]), 1), "another process started it");
    assert_eq!(desk.look(1, Container::Absent), [report(1, 1, vanished)]);
}

#[test]
fn a_restarted_agent_adopts_what_runs_and_starts_only_what_a_scheduler_confirms() {
    let mut desk = Desk::new(true);
    let mut spec = testing::app("/web", 1);
    spec.policy.health_checks = vec![HealthCheck {
        kind: HealthKind::Tcp { port: CheckPort::Index(0) },
        mesos: false,
        container: String::new(),
        ipv6: false,
        grace_ms: 60_000,
        interval_ms: 10_000,
        timeout_ms: 2_000,
        max_failures: 3,
        delay_ms: 0,
    }];
    desk.assign(vec![testing::assignment(instance(1), spec), order(2), order(3)]);
    desk.done(1, Done::Now(running()));
    desk.give(Input::Probed { instance: instance(1), check: 0, outcome: Outcome::Success });
    desk.done(2, Done::Refused { message: "bad".into(), container: Container::Absent });
    let saved = desk.agent.saved();

    let mut desk = Desk::remembering(true, saved);
    assert_eq!(desk.agent.cluster(), Some(CLUSTER));
    desk.agent.handle(Input::Tick, desk.now);
    let first = desk.agent.drain();
    assert!(matches!(first[..], [Output::List { .. }]), "Consul is not touched before Docker was asked: {first:?}");
    let listing = Listing::Running { ip: None, ipv6: None };
    let containers = vec![Listed { instance: instance(1), listing, maker: maker() }];
    desk.agent.handle(Input::Listed { epoch: u64::MAX, containers }, desk.now);
    let wish = published(&desk.agent.drain()).expect("a wish");
    assert!(wish.services.contains_key(&instance(1).to_string()), "healthy before is healthy still");
    let confirmed = desk.pass(60_000);
    assert!(!confirmed.iter().any(|it| matches!(it, Output::Start { .. } | Output::Stop { .. })), "{confirmed:?}");
    desk.give(Input::Connected { cluster: CLUSTER });
    let mut all = vec![order(1), order(2), order(3)];
    all[0].started = true;
    let outputs = desk.assign_all(all);
    let starts: Vec<_> = outputs.iter().filter(|it| matches!(it, Output::Start { .. })).collect();
    assert_eq!(starts, [&Output::Start { assignment: order(3) }], "the second has ended and stays so");
}

#[test]
fn an_unspoken_instance_or_container_is_left_alone() {
    let mut desk = Desk::new(true);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.give(Input::Disconnected);
    desk.give(Input::Connected { cluster: CLUSTER });
    desk.assign_all(vec![]);
    let stranger = [
        (1, Listing::Running { ip: Some("172.17.0.2".into()), ipv6: None }),
        (9, Listing::Running { ip: None, ipv6: None }),
        (8, Listing::Created),
    ];
    for _ in 0..3 {
        assert_eq!(desk.list(&stranger), []);
        desk.pass(10_000);
    }
    assert_eq!(desk.agent.counts().quarantined, 3);
    assert_eq!(desk.agent.counts().serving, 0, "and nobody is sent to it");
    let adopted = desk.assign(vec![stop(9)]);
    assert!(is_inspect(&adopted, 9), "an order ends it after all: {adopted:?}");
    assert_eq!(desk.look(9, running()).len(), 1);
}

#[test]
fn an_older_control_plane_is_not_obeyed() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    let old = Input::Assigned {
        generation: 3,
        assignments: vec![stop(1)],
        forget: vec![instance(1)],
        destroy: vec![],
        complete: true,
    };
    let reason = "its assignments are of generation 3, and 11 was seen before".to_owned();
    assert_eq!(desk.give(old), [Output::Reconnect { reason }]);
    assert_eq!(desk.pass(60_000), []);
}

#[test]
fn a_stop_calls_off_a_start_that_waits_for_its_image() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    let pulling = Input::Progress { instance: instance(1), message: "pulling image web:1".into() };
    assert_eq!(desk.give(pulling), [report(1, 1, Seen::Staging { message: "pulling image web:1".into() })]);
    desk.acknowledge();
    assert_eq!(desk.assign(vec![stop(1)]), [Output::Abandon { instance: instance(1) }]);
    assert_eq!(desk.assign(vec![stop(1)]), []);
    assert_eq!(desk.done(1, Done::Abandoned), [report(2, 1, Seen::Removed)]);
}

#[test]
fn an_instance_leaves_consul_before_it_is_stopped() {
    let deployed = || {
        let mut desk = Desk::new(true);
        desk.assign(vec![order(1)]);
        desk.agent.handle(Input::Done { instance: instance(1), result: Done::Now(running()) }, desk.now);
        let wish = published(&desk.agent.drain()).expect("a wish");
        assert_eq!(wish.services.len(), 1);
        desk.agent.handle(
            Input::Assigned {
                generation: 20,
                assignments: vec![stop(1)],
                forget: vec![],
                destroy: vec![],
                complete: false,
            },
            desk.now,
        );
        let outputs = desk.agent.drain();
        assert_eq!(published(&outputs), Some(Wish::default()));
        assert!(!outputs.iter().any(|it| matches!(it, Output::Stop { .. })));
        desk.acknowledge();
        desk
    };
    let stop = [Output::Stop { instance: instance(1), grace_ms: 3_000 }];
    let mut desk = deployed();
    assert_eq!(desk.give(Input::Published { revision: 3 }), []);
    assert_eq!(desk.pass(249), []);
    assert_eq!(desk.pass(1), stop, "after the drain");
    let mut desk = deployed();
    assert_eq!(desk.pass(999), []);
    assert_eq!(desk.pass(1), stop, "a silent Consul delays it for a second");
    assert_eq!(deployed().give(Input::PublishFailed), stop, "a dead Consul does not delay it at all");
}

#[test]
fn a_stuck_container_is_tried_again_with_growing_pauses() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.assign(vec![stop(1)]);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        desk.done(1, Done::Refused { message: "did not receive an exit event".into(), container: running() });
        desk.acknowledge();
        let since = desk.now;
        while !desk.pass(100).iter().any(|it| matches!(it, Output::Stop { .. })) {}
        pauses.push(desk.now.since_ms(since));
    }
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
}

#[test]
fn a_removed_container_that_turns_up_after_all_is_removed_again() {
    let mut desk = Desk::new(false);
    desk.assign(vec![stop(1)]);
    desk.acknowledge();
    desk.give(Input::Disconnected);
    desk.give(Input::Connected { cluster: CLUSTER });
    desk.assign_all(vec![]);
    assert_eq!(desk.agent.counts(), Counts::default());
    assert_eq!(desk.list(&[(1, Listing::Created)]), [Output::Remove { instance: instance(1) }]);
}

#[test]
fn an_old_look_does_not_hide_a_newer_operation() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    assert_eq!(desk.give(Input::Listed { epoch: 1, containers: vec![] }), []);
    let look = Input::Inspected { instance: instance(1), epoch: 1, container: Ok(Container::Absent) };
    assert_eq!(desk.give(look), []);
}

#[test]
fn a_wish_is_published_again_once_a_scheduler_has_spoken() {
    let mut desk = Desk::remembering(true, Saved::default());
    let mut publications = Vec::new();
    let list = Input::Listed { epoch: u64::MAX, containers: vec![] };
    let all = Input::Assigned { generation: 50, assignments: vec![], forget: vec![], destroy: vec![], complete: true };
    for input in [Input::Connected { cluster: CLUSTER }, list.clone(), all, list] {
        desk.agent.handle(input, desk.now);
        publications.extend(desk.agent.drain().into_iter().filter_map(|it| match it {
            Output::Publish { revision, generation, .. } => Some((revision, generation)),
            _ => None,
        }));
    }
    // At generation 0 every entry in Consul would be newer than the wish, and stay.
    assert_eq!(publications, [(1, 0), (2, 50)]);
}

fn published(outputs: &[Output]) -> Option<Wish> {
    outputs.iter().rev().find_map(|it| if let Output::Publish { wish, .. } = it { Some(wish.clone()) } else { None })
}

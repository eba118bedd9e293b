//! What instances leave behind goes where somebody asks why they failed, and nowhere else.

use crate::support::{Cluster, app, id, image, settings};
use cluster::agent::{Observation, Seen};
use cluster::*;
use std::sync::Arc;

const DEADLINE_MS: u64 = 10_000;

fn evidence(text: &str) -> Arc<Evidence> {
    let line = LogLine { at: "2026".to_owned(), stream: Stream::Stderr, text: text.to_owned() };
    Arc::new(Evidence { exit_code: Some(1), lines: vec![line], ..Evidence::default() })
}

fn ended() -> Seen {
    Seen::Ended(End { kind: EndKind::Failed, exit_code: Some(1), message: "exit code 1".to_owned() })
}

fn tell(cluster: &mut Cluster, instance: InstanceId, seen: Seen, said: &str) -> Result<Applied, Rejected> {
    let it = cluster.state.instance(instance).expect("a known instance");
    let (node, judged_by) = (it.node.clone(), it.judged_by);
    let observation = Observation { instance, judged_by, trial: None, seen, evidence: Some(evidence(said)) };
    cluster.ask(Command::Report { node, observations: vec![observation], destroyed: Vec::new() })
}

fn last_words(failure: Option<&Arc<Failure>>) -> Option<String> {
    Some(failure?.evidence.as_ref()?.lines[0].text.clone())
}

/// A cluster in which `/web` runs once, and is updated to what will fail.
fn updating(rolls_back: bool) -> (Cluster, DeploymentId, InstanceId) {
    let mut cluster = Cluster::with_nodes(2);
    let settings = Settings { deployment_rollback: rolls_back, deployment_deadline_ms: DEADLINE_MS, ..settings() };
    cluster.ask(Command::Configure { settings }).unwrap();
    cluster.put(app("/web", 1)).unwrap();
    cluster.settle();
    cluster.wait(20_000);
    let update = cluster.put(image(app("/web", 1), "web:2")).unwrap().deployment.unwrap();
    let new = *cluster.wanted("/web").last().unwrap();
    cluster.obey(Health::Unhealthy);
    (cluster, update, new)
}

#[test]
fn what_a_crashed_instance_left_behind_is_its_failures_and_its_deployments() {
    for comes_late in [false, true] {
        let (mut cluster, update, new) = updating(false);
        if comes_late {
            cluster.see(new, ended());
            assert_eq!(cluster.app("/web").last_failure.as_ref().unwrap().evidence, None, "its end is told first");
        }
        tell(&mut cluster, new, ended(), "no such table").unwrap();
        assert_eq!(last_words(cluster.app("/web").last_failure.as_ref()).unwrap(), "no such table");
        assert_eq!(tell(&mut cluster, new, ended(), "again").unwrap_err(), Rejected::Nothing, "once is enough");
        assert!(cluster.state.deployment(update).unwrap().failures.is_empty(), "it may still become well");
        cluster.wait(DEADLINE_MS + 1_000);
        let deployment = cluster.state.deployment(update).unwrap();
        assert!(matches!(deployment.outcome, Some(Outcome::Failed { .. })), "{:?}", deployment.outcome);
        assert_eq!(last_words(deployment.failures.get(&id("/web"))).unwrap(), "no such table");
    }
}

#[test]
fn who_is_stopped_for_its_health_leaves_evidence_with_its_removal_at_the_latest() {
    let (mut cluster, _, new) = updating(false);
    let check = CheckResult { consecutive_failures: 3, ..CheckResult::default() };
    let health = Health::Failed;
    cluster.see(new, Seen::Running { ip: None, health, checks: vec![check], readiness: Readiness::default() });
    assert_eq!(cluster.state.instance(new).unwrap().goal, Goal::Stop(StopReason::Unhealthy));
    assert!(cluster.state.wants_evidence(new));
    tell(&mut cluster, new, Seen::Removed, "no database").unwrap();
    assert!(cluster.state.instance(new).is_none());
    let failure = cluster.app("/web").last_failure.as_ref().unwrap();
    assert_eq!((failure.kind, last_words(Some(failure)).unwrap().as_str()), (EndKind::Unhealthy, "no database"));
}

#[test]
fn what_a_failed_deployment_stops_leaves_its_evidence_there() {
    let (mut cluster, update, new) = updating(true);
    cluster.wait(DEADLINE_MS + 1_000);
    let deployment = cluster.state.deployment(update).unwrap();
    assert!(matches!(deployment.outcome, Some(Outcome::Failed { rolled_back_by: Some(_), .. })));
    assert!(deployment.failures.is_empty(), "it runs, and is not healthy");
    assert_ne!(cluster.state.instance(new).unwrap().goal, Goal::Run);
    assert!(cluster.state.wants_evidence(new));
    let killed = End { kind: EndKind::Killed, exit_code: Some(143), message: "stopped by Ekiden".to_owned() };
    tell(&mut cluster, new, Seen::Ended(killed), "waits for the database").unwrap();
    let failure = cluster.state.deployment(update).unwrap().failures.get(&id("/web")).cloned();
    assert_eq!(failure.as_ref().unwrap().instance, new);
    assert_eq!(last_words(failure.as_ref()).unwrap(), "waits for the database");
    assert_eq!(cluster.app("/web").last_failure, None, "what it is now has not failed");
}

#[test]
fn nobody_asks_for_what_an_update_replaces() {
    let (mut cluster, _, new) = updating(false);
    let old = cluster.wanted("/web")[0];
    assert_ne!(old, new);
    let healthy = Seen::Running { ip: None, health: Health::Healthy, checks: vec![], readiness: Readiness::default() };
    cluster.see(new, healthy);
    assert_eq!(cluster.state.instance(old).unwrap().goal, Goal::Stop(StopReason::Replaced));
    assert!(!cluster.state.wants_evidence(old));
    let killed = End { kind: EndKind::Killed, exit_code: Some(143), message: "stopped by Ekiden".to_owned() };
    tell(&mut cluster, old, Seen::Ended(killed.clone()), "good bye").unwrap();
    assert_eq!(tell(&mut cluster, old, Seen::Ended(killed), "good bye").unwrap_err(), Rejected::Nothing);
    assert_eq!(cluster.app("/web").last_failure, None);
}

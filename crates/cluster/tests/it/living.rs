//! New instances live for a while before they count; other health checks are passed before anybody is judged by them.

use crate::support::*;
use cluster::agent::{Observation, Seen};
use cluster::apply::{DEADLINE_LABEL, ROLLBACK_LABEL};
use cluster::*;

/// How long a new instance lives before it counts, as long as nobody says otherwise.
const MIN_LIVE_MS: u64 = 5_000;

fn cluster() -> Cluster {
    let mut cluster = Cluster::with_nodes(3);
    cluster.ask(Command::Configure { settings: Settings::default() }).unwrap();
    assert_eq!(Settings::default().min_live_ms, MIN_LIVE_MS);
    cluster
}

fn unchecked(mut spec: AppSpec) -> AppSpec {
    spec.policy.health_checks.clear();
    spec
}

fn labelled(mut spec: AppSpec, name: &str, value: &str) -> AppSpec {
    spec.policy.labels.insert(name.to_owned(), value.to_owned());
    spec
}

/// A cluster in which this app has been living.
fn with(spec: &AppSpec) -> Cluster {
    let mut cluster = cluster();
    cluster.put(spec.clone()).unwrap();
    cluster.obey(Health::Healthy);
    cluster.wait(MIN_LIVE_MS);
    assert!(!cluster.is_deploying());
    cluster
}

/// The deployment that was opened last.
fn latest(cluster: &Cluster) -> Deployment {
    Deployment::clone(cluster.state.deployments().next_back().expect("there is one"))
}

fn why(cluster: &Cluster) -> String {
    explain::deployment(&cluster.state, &latest(cluster), Moment(cluster.now)).join("; ")
}

/// Instances of what is aimed at that run.
fn new_ones(cluster: &Cluster) -> Vec<InstanceId> {
    let app = cluster.app("/web");
    let new = cluster.state.instances_of(app).filter(|it| it.is_wanted() && app.is_current(it) && it.is_running());
    new.map(|it| it.id).collect()
}

/// How many of the old ones still serve.
fn n_old(cluster: &Cluster) -> usize {
    let app = cluster.app("/web");
    cluster.state.instances_of(app).filter(|it| it.is_wanted() && !app.is_current(it)).count()
}

fn running(health: Health) -> Seen {
    Seen::Running { ip: None, health, checks: Vec::new(), readiness: Readiness::default() }
}

#[test]
fn a_deployment_ends_when_its_instances_have_lived() {
    for spec in [app("/web", 3), unchecked(app("/web", 3))] {
        let mut cluster = cluster();
        cluster.put(spec).unwrap();
        cluster.obey(Health::Healthy);
        cluster.wait(MIN_LIVE_MS - 100);
        assert!(cluster.is_deploying());
        assert!(why(&cluster).contains("3 of its instances serve, and count when they have done so for 5 s"));
        cluster.wait(100);
        assert_eq!(latest(&cluster).outcome, Some(Outcome::Succeeded));
    }
}

#[test]
fn a_version_that_ends_soon_replaces_nothing_and_fails_with_the_evidence() {
    // What ends by itself, well or not; and what passes its checks once.
    for (spec, min, over) in [
        (unchecked(app("/web", 4)), 100, 100),
        (unchecked(app("/web", 4)), 50, 0),
        (app("/web", 4), 100, 0),
        (app("/web", 4), 75, 50),
    ] {
        let floor = 4 * min as usize / 100;
        let spec = labelled(labelled(upgrade(spec, min, over), DEADLINE_LABEL, "30"), ROLLBACK_LABEL, "true");
        let mut cluster = with(&spec);
        let update = cluster.put(image(spec, "web:2")).unwrap().deployment.unwrap();
        for _ in 0..600 {
            for instance in new_ones(&cluster) {
                let since = cluster.state.instance(instance).unwrap().since.running.unwrap();
                if cluster.now >= since.0 + MIN_LIVE_MS - 500 {
                    cluster.crash(instance);
                }
            }
            cluster.obey(Health::Healthy);
            cluster.wait(100);
            if cluster.state.deployment(update).unwrap().outcome.is_some() {
                break;
            }
            assert!(n_old(&cluster) >= floor, "{min} {over}: {}", cluster.picture("/web"));
        }
        let Some(Outcome::Failed { reason, rolled_back_by: Some(_) }) =
            cluster.state.deployment(update).unwrap().outcome.clone()
        else {
            panic!("{:?}", cluster.state.deployment(update).unwrap())
        };
        assert!(reason.contains("exit code 1"), "{reason}");
        cluster.settle();
        cluster.wait(60_000);
        cluster.settle();
        cluster.wait(MIN_LIVE_MS);
        assert_eq!((cluster.picture("/web").as_str(), cluster.is_deploying()), ("4 new healthy", false));
    }
}

#[test]
fn one_that_was_unhealthy_for_a_moment_begins_anew() {
    let mut cluster = with(&app("/web", 1));
    cluster.put(image(app("/web", 1), "web:2")).unwrap();
    cluster.obey(Health::Healthy);
    let [new] = new_ones(&cluster)[..] else { panic!("one is new") };
    cluster.wait(MIN_LIVE_MS - 1_000);
    cluster.see(new, running(Health::Unhealthy));
    cluster.see(new, running(Health::Healthy));
    cluster.wait(MIN_LIVE_MS - 100);
    assert_eq!(n_old(&cluster), 1);
    cluster.wait(100);
    assert_eq!(n_old(&cluster), 0);
}

/// How long the update of so many healthy instances takes, where each is healthy 100 ms after its launch.
fn duration_of_update(n: u32, min: u32, over: u32) -> u64 {
    let mut cluster = with(&upgrade(app("/web", n), min, over));
    let began = cluster.now;
    cluster.put(image(upgrade(app("/web", n), min, over), "web:2")).unwrap();
    while cluster.is_deploying() {
        cluster.wait(100);
        cluster.obey(Health::Healthy);
    }
    cluster.now - began
}

#[test]
fn an_update_waits_once_for_the_first_and_once_for_the_last_however_many_there_are() {
    // All at once: one wait is the other.
    assert!(duration_of_update(9, 100, 100) < MIN_LIVE_MS + 1_000);
    // One after the other.
    for (n, min, over) in [(2, 100, 0), (9, 100, 0), (9, 50, 0), (9, 90, 20)] {
        let took = duration_of_update(n, min, over);
        assert!((2 * MIN_LIVE_MS..2 * MIN_LIVE_MS + 5_000).contains(&took), "{n} {min} {over}: {took}");
    }
}

#[test]
fn a_version_of_which_one_fails_has_to_prove_itself_again() {
    let spec = upgrade(app("/web", 6), 100, 0);
    let mut cluster = with(&spec);
    cluster.put(image(spec, "web:2")).unwrap();
    cluster.obey(Health::Healthy);
    cluster.wait(MIN_LIVE_MS);
    // It has proven itself, the next ones count at once.
    cluster.obey(Health::Healthy);
    cluster.obey(Health::Healthy);
    assert_eq!(n_old(&cluster), 4, "{}", cluster.picture("/web"));
    let young = *new_ones(&cluster).last().unwrap();
    cluster.crash(young);
    for _ in 0..10 {
        cluster.obey(Health::Healthy);
        cluster.wait(100);
    }
    assert_eq!(n_old(&cluster), 4, "no further one goes: {}", cluster.picture("/web"));
    cluster.wait(MIN_LIVE_MS);
    for _ in 0..40 {
        cluster.obey(Health::Healthy);
        cluster.wait(200);
    }
    assert_eq!((cluster.picture("/web").as_str(), cluster.is_deploying()), ("6 new healthy", false));
}

#[test]
fn the_time_is_a_setting_and_a_label_and_nobody_is_late_meanwhile() {
    for (setting_ms, label, expect) in
        [(0, None, 0), (2_000, None, 2_000), (2_000, Some("0"), 0), (0, Some("7"), 7_000)]
    {
        let mut cluster = cluster();
        cluster.ask(Command::Configure { settings: Settings { min_live_ms: setting_ms, ..settings() } }).unwrap();
        let spec = label.iter().fold(app("/web", 1), |spec, it| labelled(spec, cluster::MIN_LIVE_LABEL, it));
        cluster.put(labelled(spec, DEADLINE_LABEL, "1")).unwrap();
        cluster.obey(Health::Healthy);
        for _ in 0..(expect / 100) {
            assert!(cluster.is_deploying());
            cluster.wait(100);
        }
        assert_eq!(latest(&cluster).outcome, Some(Outcome::Succeeded), "{setting_ms} {label:?}");
    }
}

#[test]
fn scaling_what_is_proven_costs_nothing_at_the_floor_and_its_end_waits_for_the_new_ones() {
    let mut cluster = with(&app("/web", 2));
    cluster.put(app("/web", 4)).unwrap();
    cluster.obey(Health::Healthy);
    let serving = latest(&cluster).changes[&id("/web")].closeness.serving;
    assert_eq!((serving, cluster.is_deploying()), (4, true));
    cluster.wait(MIN_LIVE_MS);
    assert!(!cluster.is_deploying());
    // Who has lived has nothing to wait for.
    cluster.put(app("/web", 3)).unwrap();
    cluster.obey(Health::Healthy);
    assert!(!cluster.is_deploying());
}

/// The same app, asked by another health check.
fn asked(mut spec: AppSpec, command: &str) -> AppSpec {
    spec.policy.health_checks[0].kind = HealthKind::Command { value: command.to_owned() };
    spec
}

/// Who follows the version aimed at.
fn followers(cluster: &Cluster) -> Vec<InstanceId> {
    let app = cluster.app("/web");
    cluster.state.instances_of(app).filter(|it| it.is_wanted() && !app.is_behind(it)).map(|it| it.id).collect()
}

/// What the agents are told to ask.
fn told(cluster: &Cluster, command: &str) -> usize {
    let command = HealthKind::Command { value: command.to_owned() };
    let specs = cluster.state.instances().filter_map(|it| cluster.state.assignment(it).spec);
    specs.filter(|it| it.policy.health_checks[0].kind == command).count()
}

#[test]
fn other_health_checks_are_told_to_one_and_when_that_one_has_passed_to_the_others() {
    for (min, over) in [(100, 100), (100, 0), (0, 0)] {
        let spec = upgrade(app("/web", 4), min, over);
        let mut cluster = with(&spec);
        let all = cluster.wanted("/web");
        let spec = labelled(spec, "team", "pay");
        cluster.put(spec.clone()).unwrap();
        cluster.put(asked(spec, "true")).unwrap();
        let labels = all.iter().map(|it| cluster.state.assignment(cluster.state.instance(*it).unwrap()).spec.unwrap());
        assert!(labels.into_iter().all(|it| it.policy.labels.contains_key("team")), "what else was told stays told");
        let [first] = followers(&cluster)[..] else { panic!("one follows: {:?}", followers(&cluster)) };
        assert_eq!(told(&cluster, "true"), 1);
        cluster.wait(60_000);
        assert_eq!(followers(&cluster), [first], "it has not passed them yet");
        assert!(why(&cluster).contains("3 of its instances wait with the new health checks"), "{}", why(&cluster));
        cluster.see(first, running(Health::Healthy));
        assert_eq!(followers(&cluster), all);
        assert!(cluster.is_deploying());
        for instance in &all[1..] {
            cluster.see(*instance, running(Health::Healthy));
        }
        assert_eq!((cluster.is_deploying(), cluster.wanted("/web")), (false, all));
    }
}

#[test]
fn a_health_check_that_turns_out_wrong_stops_after_the_first_and_says_why() {
    let spec = labelled(labelled(app("/web", 4), DEADLINE_LABEL, "30"), ROLLBACK_LABEL, "true");
    let mut cluster = with(&spec);
    let all = cluster.wanted("/web");
    let before = cluster.app("/web").current.version;
    cluster.put(asked(spec, "false")).unwrap();
    let [first] = followers(&cluster)[..] else { panic!("one follows") };
    // Its agent goes on judging it by what it passed.
    let node = cluster.state.instance(first).unwrap().node.clone();
    let trial = Some("the command exited with code 1".to_owned());
    let seen =
        Observation { instance: first, judged_by: before, trial, seen: running(Health::Healthy), evidence: None };
    cluster.ask(Command::Report { node, observations: vec![seen], destroyed: Vec::new() }).unwrap();
    for _ in 0..29 {
        cluster.wait(1_000);
        assert_eq!((told(&cluster, "false"), cluster.picture("/web").as_str()), (1, "4 new healthy"));
        let serving = latest(&cluster).changes[&id("/web")].closeness.serving;
        assert_eq!(serving, 0, "none has passed what is asked now");
    }
    let update = latest(&cluster).id;
    cluster.wait(10_000);
    let Some(Outcome::Failed { reason, rolled_back_by: Some(_) }) =
        cluster.state.deployment(update).unwrap().outcome.clone()
    else {
        panic!("{:?}", cluster.state.deployment(update))
    };
    assert!(reason.contains("the command exited with code 1"), "{reason}");
    assert_eq!((told(&cluster, "false"), cluster.wanted("/web"), cluster.is_deploying()), (0, all, false));
}

#[test]
fn who_does_not_serve_is_told_at_once_and_a_late_plan_tells_nobody() {
    let mut cluster = with(&app("/web", 3));
    let all = cluster.wanted("/web");
    for instance in &all[1..] {
        cluster.see(*instance, running(Health::Unhealthy));
    }
    let apps = vec![(asked(app("/web", 3), "true"), Expect::Any)];
    cluster.apply(Command::PutApps { apps, force: false }).unwrap();
    let version = cluster.app("/web").current.version;
    let follow = |it: &InstanceId| Step::Follow { instance: *it, version };
    // Whatever the order: those that serve wait while one is on trial.
    let mut steps: Vec<Step> = all.iter().rev().map(follow).collect();
    steps.push(Step::Follow { instance: all[0], version: Timestamp(1) });
    cluster.apply(Command::Execute { steps }).unwrap();
    assert_eq!(followers(&cluster), all[1..]);
    cluster.plan();
    assert_eq!(followers(&cluster), all[1..]);
}

#[test]
fn what_is_forgiven_still_serves_and_is_not_replaced_for_it() {
    let missed = |forgiven| {
        let check = CheckResult { forgiven, consecutive_failures: 1, ..CheckResult::default() };
        let readiness = Readiness::default();
        Seen::Running { ip: None, health: Health::Unhealthy, checks: vec![check], readiness }
    };
    for (forgiven, left) in [(true, 3), (false, 0)] {
        let mut cluster = with(&app("/web", 3));
        for instance in cluster.wanted("/web") {
            cluster.see(instance, missed(forgiven));
        }
        cluster.put(image(app("/web", 3), "web:2")).unwrap();
        assert_eq!(n_old(&cluster), left, "forgiven: {forgiven}");
    }
}

#[test]
fn an_end_under_way_is_hurried_by_another_kill_and_by_less_grace() {
    let mut spec = app("/web", 1);
    spec.policy.kill_grace_ms = Some(600_000);
    let mut cluster = with(&spec);
    let victim = cluster.wanted("/web")[0];
    let grace = |cluster: &Cluster| cluster.state.assignment(cluster.state.instance(victim).unwrap()).kill_grace_ms;
    let kill = Command::Kill { instances: vec![victim], scale: false, force: false, wipe: false };
    cluster.ask(kill.clone()).unwrap();
    assert_eq!(grace(&cluster), 600_000);
    spec.policy.kill_grace_ms = Some(60_000);
    cluster.ask(Command::PutApps { apps: vec![(spec, Expect::Any)], force: true }).unwrap();
    assert_eq!(grace(&cluster), 60_000);
    let applied = cluster.ask(kill).unwrap();
    let told = applied.events.iter().any(|it| matches!(it, Event::InstanceTold { instance } if instance.id == victim));
    assert!(told && applied.killed.is_empty());
    assert_eq!(grace(&cluster), cluster::state::KILL_GRACE_MS);
}

#[test]
fn deleting_an_app_hurries_the_ends_that_are_under_way() {
    let mut spec = app("/web", 2);
    spec.policy.kill_grace_ms = Some(600_000);
    let mut cluster = with(&spec);
    let [victim, other] = cluster.wanted("/web")[..] else { panic!("two run") };
    cluster.ask(Command::Kill { instances: vec![victim], scale: false, force: false, wipe: false }).unwrap();
    cluster.ask(Command::RemoveApp { app: id("/web"), force: true }).unwrap();
    let grace = |it| cluster.state.assignment(cluster.state.instance(it).unwrap()).kill_grace_ms;
    assert_eq!((grace(victim), grace(other)), (cluster::state::KILL_GRACE_MS, 600_000));
}

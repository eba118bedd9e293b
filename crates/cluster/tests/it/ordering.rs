//! Deployments of several apps: in the order of their dependencies, and with an end in any case.

use crate::support::*;
use cluster::agent::Seen;
use cluster::apply::{DEADLINE_LABEL, ROLLBACK_LABEL};
use cluster::*;

fn after(mut spec: AppSpec, dependencies: &[&str]) -> AppSpec {
    spec.policy.dependencies = dependencies.iter().map(|it| PathId::parse(it).unwrap()).collect();
    spec
}

fn labelled(mut spec: AppSpec, name: &str, value: &str) -> AppSpec {
    spec.policy.labels.insert(name.to_owned(), value.to_owned());
    spec
}

fn put_all(cluster: &mut Cluster, apps: &[AppSpec]) -> Result<Applied, Rejected> {
    let apps = apps.iter().map(|it| (it.clone(), Expect::Any)).collect();
    cluster.ask(Command::PutApps { apps, force: false })
}

/// In which order the apps of a deployment get their first new instance.
fn order(cluster: &mut Cluster, apps: &[&str]) -> Vec<Vec<String>> {
    let mut order: Vec<Vec<String>> = Vec::new();
    for _ in 0..50 {
        let started: Vec<String> = order.concat();
        let fresh: Vec<String> = apps
            .iter()
            .filter(|it| !started.contains(&(**it).to_owned()))
            .filter(|it| {
                let app = cluster.app(it);
                cluster.state.instances_of(app).any(|it| it.run == app.current.run)
            })
            .map(|it| (*it).to_owned())
            .collect();
        if !fresh.is_empty() {
            order.push(fresh);
        }
        cluster.obey(Health::Healthy);
        cluster.plan();
    }
    order
}

#[test]
fn apps_are_deployed_after_those_they_depend_on() {
    let mut cluster = Cluster::with_nodes(3);
    let apps = [
        after(app("/a/front", 1), &["/a/api", "/b"]),
        after(app("/a/api", 1), &["/db/main"]),
        app("/b/one", 1),
        after(app("/b/two", 1), &["/b/one"]),
        app("/db/main", 1),
        after(app("/free", 1), &["/nowhere"]),
    ];
    put_all(&mut cluster, &apps).unwrap();
    let names = ["/a/front", "/a/api", "/b/one", "/b/two", "/db/main", "/free"];
    let expect = [vec!["/b/one", "/db/main", "/free"], vec!["/a/api", "/b/two"], vec!["/a/front"]];
    assert_eq!(order(&mut cluster, &names), expect);
    assert!(!cluster.is_deploying());
}

#[test]
fn a_group_that_depends_on_another_waits_with_all_its_apps() {
    let mut cluster = Cluster::with_nodes(3);
    let group = |id: &str, apps, dependencies: &[&str]| GroupUpdate {
        id: PathId::parse(id).unwrap(),
        apps: Some(apps),
        groups: None,
        dependencies: Some(dependencies.iter().map(|it| PathId::parse(it).unwrap()).collect()),
    };
    let update = GroupUpdate {
        id: PathId::root(),
        apps: None,
        groups: Some(vec![
            group("/first", vec![app("/first/x", 1), app("/first/y", 1)], &["/second"]),
            group("/second", vec![app("/second/z", 1)], &[]),
        ]),
        dependencies: None,
    };
    cluster.ask(Command::PutGroup { update, absent: false, force: false }).unwrap();
    let names = ["/first/x", "/first/y", "/second/z"];
    assert_eq!(order(&mut cluster, &names), [vec!["/second/z"], vec!["/first/x", "/first/y"]]);
}

#[test]
fn dependencies_in_a_circle_are_refused_and_change_nothing() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(after(app("/g/a", 1), &["/b"])).unwrap();
    let before = cluster.state.clone();
    for circle in [
        vec![after(app("/b", 1), &["/g/a"])],
        vec![after(app("/b", 1), &["/g"])],
        vec![after(app("/b", 1), &["/c"]), after(app("/c", 1), &["/b"])],
        vec![after(app("/b", 1), &["/b"])],
    ] {
        assert_eq!(put_all(&mut cluster, &circle), Err(Rejected::Cyclic), "{circle:?}");
    }
    assert!(cluster.state.apps().eq(before.apps()) && cluster.state.deployments().eq(before.deployments()));
}

#[test]
fn an_app_that_waits_for_its_turn_stays_what_it_was() {
    let mut cluster = Cluster::with_nodes(3);
    put_all(&mut cluster, &[app("/db", 1), after(app("/web", 2), &["/db"])]).unwrap();
    cluster.settle();
    let old = cluster.wanted("/web");
    put_all(&mut cluster, &[image(app("/db", 1), "db:2"), after(image(app("/web", 3), "web:2"), &["/db"])]).unwrap();
    assert_eq!(cluster.wanted("/web"), old);
    cluster.crash(old[0]);
    cluster.wait(5_000);
    let now = cluster.wanted("/web");
    assert_eq!(now.len(), 2, "its old number");
    let replacement = cluster.state.instance(now[1]).unwrap();
    assert_eq!(cluster.state.spec_of(replacement).unwrap().run.image, "web:1", "its old content");
    let deployment = cluster.state.active_deployments().next().unwrap().clone();
    let why = explain::deployment(&cluster.state, &deployment, Moment(cluster.now)).join("; ");
    assert!(why.ends_with("/web wait for those that they depend on"), "{why}");
    cluster.settle();
    assert_eq!(cluster.wanted("/web").len(), 3);
    assert_eq!(cluster.picture("/web"), "3 new healthy");
}

#[test]
fn a_forced_change_of_a_waiting_app_starts_from_what_it_still_is() {
    let mut cluster = Cluster::with_nodes(3);
    put_all(&mut cluster, &[app("/db", 1), after(app("/web", 2), &["/db"])]).unwrap();
    cluster.settle();
    let old = cluster.wanted("/web");
    put_all(&mut cluster, &[image(app("/db", 1), "db:2"), after(image(app("/web", 2), "web:2"), &["/db"])]).unwrap();
    let third = after(image(app("/web", 2), "web:3"), &["/db"]);
    cluster.ask(Command::PutApps { apps: vec![(third, Expect::Any)], force: true }).unwrap();
    assert_eq!(cluster.wanted("/web"), old, "/db is not done, so it still waits");
    cluster.settle();
    assert!(cluster.state.instances().all(|it| cluster.state.spec_of(it).unwrap().run.image != "web:2"));
    assert_eq!(cluster.app("/db").current.spec.run.image, "db:2", "what was taken over was finished");
    assert!(!cluster.is_deploying());
}

#[test]
fn removals_come_first() {
    let mut cluster = Cluster::with_nodes(1);
    let group =
        |apps| GroupUpdate { id: PathId::parse("/g").unwrap(), apps: Some(apps), groups: None, dependencies: None };
    let put = |update| Command::PutGroup { update, absent: false, force: false };
    cluster.ask(put(group(vec![app("/g/old", 1)]))).unwrap();
    cluster.settle();
    cluster.ask(put(group(vec![app("/g/new", 1)]))).unwrap();
    assert_eq!(cluster.wanted("/g/new").len(), 0);
    let deployment = cluster.state.active_deployments().next().unwrap();
    assert_eq!((deployment.step, deployment.n_steps()), (1, 2));
    cluster.settle();
    assert_eq!((cluster.wanted("/g/old").len(), cluster.wanted("/g/new").len()), (0, 1));
}

fn readiness_check() -> ReadinessCheck {
    ReadinessCheck {
        name: "ready".to_owned(),
        tls: false,
        path: "/ready".to_owned(),
        port_name: "http".to_owned(),
        interval_ms: 1_000,
        timeout_ms: 500,
        codes: vec![200],
        keep_response: true,
    }
}

/// A deployment of an app that never becomes healthy, past its deadline.
fn hopeless(cluster: &mut Cluster, spec: AppSpec, seconds: u64) -> DeploymentId {
    let deployment = cluster.put(spec).unwrap().deployment.unwrap();
    for _ in 0..seconds {
        cluster.obey(Health::Unhealthy);
        cluster.wait(1_000);
    }
    deployment
}

#[test]
fn without_progress_a_deployment_fails_and_says_what_it_waited_for() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    let old = cluster.wanted("/web");
    let spec = image(app("/web", 2), "bad:1");
    let id = hopeless(&mut cluster, spec.clone(), 599);
    assert!(cluster.is_deploying(), "ten minutes are not over");
    cluster.wait(5_000);
    let Some(Outcome::Failed { reason, rolled_back_by: None }) = &cluster.state.deployment(id).unwrap().outcome else {
        panic!("{:?}", cluster.state.deployment(id));
    };
    assert!(reason.starts_with("no progress for 600 s; /web: "), "{reason}");
    assert!(old.iter().all(|it| cluster.wanted("/web").contains(it)), "the old ones still serve");
    assert!(!cluster.is_deploying());
    // Zero is for ever, as in Marathon.
    let patient = labelled(image(spec, "bad:2"), DEADLINE_LABEL, "0");
    hopeless(&mut cluster, patient, 2_000);
    assert!(cluster.is_deploying());
}

#[test]
fn a_failed_deployment_is_rolled_back_where_that_was_asked_for() {
    let mut cluster = Cluster::with_nodes(3);
    put_all(&mut cluster, &[app("/db", 1), after(app("/web", 2), &["/db"])]).unwrap();
    cluster.settle();
    let before = [cluster.wanted("/db"), cluster.wanted("/web")];
    let bad = labelled(labelled(image(app("/db", 1), "bad:1"), DEADLINE_LABEL, "30"), ROLLBACK_LABEL, "true");
    let put = put_all(&mut cluster, &[bad, after(image(app("/web", 2), "web:2"), &["/db"])]).unwrap();
    for _ in 0..40 {
        cluster.obey(Health::Unhealthy);
        cluster.wait(1_000);
    }
    cluster.settle();
    let deployment = cluster.state.deployment(put.deployment.unwrap()).unwrap();
    assert!(matches!(deployment.outcome, Some(Outcome::Failed { rolled_back_by: Some(_), .. })), "{deployment:?}");
    assert_eq!([cluster.wanted("/db"), cluster.wanted("/web")], before, "not one container was touched");
    assert_eq!(cluster.app("/web").current.spec.run.image, "web:1");
    assert!(!cluster.is_deploying());
}

#[test]
fn what_is_deleted_stays_deleted_and_comes_back_only_by_a_rollback() {
    let group =
        |apps| GroupUpdate { id: PathId::parse("/g").unwrap(), apps: Some(apps), groups: None, dependencies: None };
    let put = |update| Command::PutGroup { update, absent: false, force: false };
    let mut cluster = Cluster::with_nodes(2);
    cluster.ask(put(group(vec![app("/g/old", 1)]))).unwrap();
    cluster.settle();
    let home = cluster.state.instance(cluster.wanted("/g/old")[0]).unwrap().node.clone();
    cluster.apply(Command::Degrade { node: home, reason: Some("stuck".to_owned()) }).unwrap();
    let update = labelled(app("/g/new", 1), DEADLINE_LABEL, "5");
    let deployment = cluster.ask(put(group(vec![update]))).unwrap().deployment.unwrap();
    cluster.wait(60_000);
    assert!(cluster.is_deploying(), "it waits for the old one's container");
    cluster.obey(Health::Healthy);
    assert!(cluster.state.app(&id("/g/old")).is_none());
    cluster.ask(Command::RollBack { deployment }).unwrap();
    cluster.settle();
    assert_eq!((cluster.wanted("/g/old").len(), cluster.wanted("/g/new").len()), (1, 0));
}

#[test]
fn crashing_again_and_again_is_no_progress() {
    let mut cluster = Cluster::with_nodes(2);
    let mut spec = labelled(app("/web", 1), DEADLINE_LABEL, "60");
    spec.policy.health_checks.clear();
    let id = cluster.put(spec).unwrap().deployment.unwrap();
    // It ends before anybody has seen it running.
    for _ in 0..70 {
        for instance in cluster.wanted("/web") {
            cluster.crash(instance);
        }
        cluster.obey(Health::Unknown);
        cluster.wait(1_000);
        if cluster.state.deployment(id).unwrap().outcome.is_some() {
            break;
        }
    }
    let outcome = &cluster.state.deployment(id).unwrap().outcome;
    // With no health check one that runs is as wanted: the deployment may succeed between two crashes, but it ends.
    assert!(outcome.is_some(), "{outcome:?}");
}

#[test]
fn a_new_instance_takes_over_only_when_it_is_ready() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 1)).unwrap();
    cluster.settle();
    let old = cluster.wanted("/web")[0];
    let mut spec = image(app("/web", 1), "web:2");
    spec.policy.readiness_checks = vec![readiness_check()];
    cluster.put(spec).unwrap();
    cluster.obey(Health::Healthy);
    let [_, new] = cluster.wanted("/web")[..] else { panic!("both are there") };
    assert!(cluster.wanted("/web").contains(&old), "healthy, but not ready");
    let running = |ready, status| {
        let response = ReadinessResponse { status, content_type: String::new(), body: String::new() };
        let readiness = Readiness { ready, response: Some(Box::new(response)) };
        Seen::Running { ip: None, health: Health::Healthy, checks: Vec::new(), readiness }
    };
    cluster.see(new, running(false, 503));
    let deployment = cluster.state.active_deployments().next().unwrap().clone();
    let why = explain::deployment(&cluster.state, &deployment, Moment(cluster.now)).join("; ");
    assert!(why.contains("their readiness check answers 503"), "{why}");
    cluster.see(new, running(true, 200));
    assert_eq!(cluster.wanted("/web"), [new]);
    cluster.settle();
    assert!(!cluster.is_deploying());
    cluster.see(new, running(false, 503));
    assert!(cluster.app("/web").is_ready(cluster.state.instance(new).unwrap()), "once ready, always ready");
}

#[test]
fn old_instances_are_judged_by_their_own_health_checks() {
    let mut cluster = Cluster::with_nodes(2);
    let mut unchecked = app("/web", 3);
    unchecked.policy.health_checks.clear();
    cluster.put(unchecked).unwrap();
    cluster.obey(Health::Unknown);
    cluster.put(image(app("/web", 3), "web:2")).unwrap();
    assert_eq!(cluster.picture("/web"), "3 new staging, 3 old running", "none was taken for sick");
}

#[test]
fn too_many_deployments_at_once_are_refused() {
    let mut cluster = Cluster::with_nodes(1);
    let settings = Settings { max_deployments: 2, ..settings() };
    cluster.ask(Command::Configure { settings }).unwrap();
    cluster.put(app("/a", 1)).unwrap();
    cluster.put(app("/b", 1)).unwrap();
    assert_eq!(cluster.put(app("/c", 1)), Err(Rejected::TooManyDeployments { max: 2 }));
    cluster.settle();
    cluster.put(app("/c", 1)).unwrap();
}

#[test]
fn an_instance_that_does_not_start_in_time_is_replaced_and_its_news_count() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 1)).unwrap();
    let first = cluster.wanted("/web")[0];
    cluster.wait(200_000);
    cluster.see(first, Seen::Staging { message: "pulling image web:1".to_owned() });
    cluster.wait(200_000);
    assert_eq!(cluster.wanted("/web"), [first], "there were news of it");
    cluster.wait(100_000);
    assert_ne!(cluster.wanted("/web"), [first]);
    let failure = cluster.app("/web").last_failure.clone().unwrap();
    assert!(failure.message.contains("did not start in time") && failure.message.contains("pulling image"));
}

#[test]
fn marathons_restart_on_any_change_can_be_had_back() {
    for (restart, replaced) in [(false, false), (true, true)] {
        let mut cluster = Cluster::with_nodes(1);
        let settings = Settings { restart_on_policy_change: restart, ..settings() };
        let _ = cluster.ask(Command::Configure { settings });
        cluster.put(app("/web", 1)).unwrap();
        cluster.settle();
        let before = cluster.wanted("/web");
        cluster.put(labelled(app("/web", 1), "team", "pay")).unwrap();
        cluster.settle();
        assert_eq!(cluster.wanted("/web") != before, replaced);
    }
}

#[test]
fn scaling_down_keeps_groups_even() {
    let mut cluster = Cluster::with_nodes(4);
    let mut spec = app("/web", 8);
    spec.policy.constraints = vec![Constraint { field: "rack".to_owned(), operator: Operator::GroupBy, value: None }];
    cluster.put(spec.clone()).unwrap();
    cluster.settle();
    spec.instances = 4;
    cluster.put(spec).unwrap();
    cluster.settle();
    let rack = |it: &InstanceId| {
        let instance = cluster.state.instance(*it).unwrap();
        cluster.state.node(&instance.node).unwrap().field("rack").unwrap().to_owned()
    };
    let in_a = cluster.wanted("/web").iter().filter(|it| rack(it) == "a").count();
    assert_eq!(in_a, 2);
}

#[test]
fn a_rollback_that_fails_as_well_ends_there() {
    let mut cluster = Cluster::with_nodes(2);
    let settings = Settings { deployment_rollback: true, deployment_deadline_ms: 10_000, ..settings() };
    cluster.ask(Command::Configure { settings }).unwrap();
    cluster.put(upgrade(app("/web", 1), 0, 0)).unwrap();
    cluster.settle();
    let bad = hopeless(&mut cluster, image(upgrade(app("/web", 1), 0, 0), "bad:1"), 60);
    let Some(Outcome::Failed { rolled_back_by: Some(back), .. }) = cluster.state.deployment(bad).unwrap().outcome
    else {
        panic!("{:?}", cluster.state.deployment(bad));
    };
    let outcome = &cluster.state.deployment(back).unwrap().outcome;
    assert!(matches!(outcome, Some(Outcome::Failed { rolled_back_by: None, .. })), "{outcome:?}");
    assert_eq!(cluster.app("/web").current.spec.run.image, "web:1");
    assert!(!cluster.is_deploying());
}

#[test]
fn an_app_whose_turn_has_come_does_not_wait_for_the_failures_of_what_it_was() {
    let mut cluster = Cluster::with_nodes(2);
    put_all(&mut cluster, &[app("/db", 1), after(app("/web", 1), &["/db"])]).unwrap();
    cluster.settle();
    put_all(&mut cluster, &[image(app("/db", 1), "db:2"), after(image(app("/web", 1), "web:2"), &["/db"])]).unwrap();
    let old = cluster.wanted("/web")[0];
    cluster.crash(old);
    assert_ne!(cluster.app("/web").backoff, Backoff::default());
    let (db, web) = (cluster.wanted("/db"), cluster.wanted("/web"));
    for instance in db.into_iter().chain(web) {
        let health = Health::Healthy;
        cluster.see(instance, Seen::Running { ip: None, health, checks: Vec::new(), readiness: Readiness::default() });
    }
    cluster.obey(Health::Healthy);
    assert!(cluster.app("/web").is_turning());
    assert_eq!(cluster.app("/web").backoff, Backoff::default());
}

#[test]
fn scaling_down_in_an_update_keeps_those_that_are_ready() {
    let mut cluster = Cluster::with_nodes(2);
    let mut spec = upgrade(app("/web", 3), 0, 0);
    spec.policy.readiness_checks = vec![readiness_check()];
    cluster.put(spec.clone()).unwrap();
    cluster.obey(Health::Healthy);
    let first = cluster.wanted("/web")[0];
    let readiness = Readiness { ready: true, response: None };
    cluster.see(first, Seen::Running { ip: None, health: Health::Healthy, checks: Vec::new(), readiness });
    spec.policy.kill_selection = KillSelection::OldestFirst;
    spec.instances = 1;
    cluster.ask(Command::PutApps { apps: vec![(spec, Expect::Any)], force: true }).unwrap();
    assert_eq!(cluster.wanted("/web"), [first]);
}

#[test]
fn a_plan_that_came_too_late_counts_only_successors_that_are_ready() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(upgrade(app("/web", 1), 100, 0)).unwrap();
    cluster.settle();
    let old = cluster.wanted("/web")[0];
    let mut spec = image(upgrade(app("/web", 1), 100, 0), "web:2");
    spec.policy.readiness_checks = vec![readiness_check()];
    cluster.put(spec).unwrap();
    cluster.obey(Health::Healthy);
    let late = Step::Stop { instance: old, reason: StopReason::Replaced };
    assert_eq!(cluster.apply(Command::Execute { steps: vec![late] }), Err(Rejected::Nothing));
}

#[test]
fn a_failed_deployment_that_cannot_be_rolled_back_says_why() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/g/old", 1)).unwrap();
    cluster.settle();
    let patient = labelled(labelled(app("/g/new", 1), DEADLINE_LABEL, "5"), ROLLBACK_LABEL, "true");
    let apps = Some(vec![patient]);
    let update = GroupUpdate { id: PathId::parse("/g").unwrap(), apps, groups: None, dependencies: None };
    let put = Command::PutGroup { update, absent: false, force: false };
    let deployment = cluster.ask(put).unwrap().deployment.unwrap();
    cluster.obey(Health::Unhealthy);
    assert_eq!(cluster.picture("/g/old"), "gone");
    cluster.put(app("/g/old/inside", 0)).unwrap();
    cluster.wait(10_000);
    let Some(Outcome::Failed { reason, rolled_back_by: None }) = &cluster.state.deployment(deployment).unwrap().outcome
    else {
        panic!("{:?}", cluster.state.deployment(deployment));
    };
    assert!(reason.contains("it is not rolled back: App '/g/old' cannot be created"), "{reason}");
}

#[test]
fn dependencies_are_walked_without_a_stack_of_calls_however_long_a_chain_is() {
    const N: u32 = 100_000;
    let ids: Vec<AppId> = (0..=N).map(|n| id(&format!("/chain/app-{n:06}"))).collect();
    let next: Vec<[PathId; 1]> = ids.iter().skip(1).map(|it| [PathId::from(it)]).collect();
    let links = ids.iter().zip(&next).map(|(app, next)| (app.clone(), Some(&next[..])));
    let mut overlay = layers::Overlay { apps: links.collect(), ..layers::Overlay::default() };
    overlay.apps.insert(ids[N as usize].clone(), Some(&[]));
    // The walk begins at the first, and is below all others when it comes to the last.
    let depths = layers::depths(&State::new(), &overlay).unwrap();
    assert_eq!((depths.apps[&ids[0]], depths.apps[&ids[N as usize]]), (N, 0));
    assert_eq!(depths.longest, Some((ids[0].clone(), N + 1)));

    let first = [PathId::from(&ids[0])];
    overlay.apps.insert(ids[N as usize].clone(), Some(&first));
    assert_eq!(layers::depths(&State::new(), &overlay), Err(layers::Cycle));
}

#[test]
fn a_chain_of_dependencies_has_a_limit_that_its_refusal_names() {
    let max = layers::CHAIN_MAX as usize;
    let link = |n: usize| after(app(&format!("/chain/app-{n:04}"), 0), &[&format!("/chain/app-{:04}", n + 1)]);
    let chain = |n: usize| -> Vec<AppSpec> {
        (0..n - 1).map(link).chain([app(&format!("/chain/app-{:04}", n - 1), 0)]).collect()
    };
    let mut cluster = Cluster::with_nodes(1);
    let too_deep = |app: &str, length: usize| {
        Err(Rejected::TooDeep { app: id(app), length: length as u32, max: layers::CHAIN_MAX })
    };
    assert_eq!(put_all(&mut cluster, &chain(max + 1)), too_deep("/chain/app-0000", max + 1));
    assert!(cluster.state.apps().next().is_none(), "nothing was changed");
    let text = too_deep("/x", 300).unwrap_err().to_string();
    assert!(text.contains("app '/x'") && text.contains("300 apps") && text.contains("at most 256"), "{text}");
    put_all(&mut cluster, &chain(max)).unwrap();
    cluster.settle();

    // One more before the first, by the app itself or by its group.
    let before = after(app("/first", 0), &["/chain/app-0000"]);
    assert_eq!(cluster.put(before), too_deep("/first", max + 1));
    cluster.put(app("/g/first", 0)).unwrap();
    cluster.settle();
    let dependencies = Some(vec![PathId::parse("/chain").unwrap()]);
    let update = GroupUpdate { id: PathId::parse("/g").unwrap(), apps: None, groups: None, dependencies };
    let put = Command::PutGroup { update, absent: false, force: false };
    assert_eq!(cluster.ask(put).map(drop), too_deep("/g/first", max + 1).map(|_: Applied| ()));

    // Others may make a chain longer from below. Who does not change what it depends on is not held to that.
    let last = format!("/chain/app-{:04}", max - 1);
    cluster.put(after(app(&last, 0), &["/tail"])).unwrap();
    cluster.put(app("/tail", 0)).unwrap();
    cluster.settle();
    cluster.put(AppSpec { instances: 1, ..link(0) }).unwrap();
    cluster.settle();
    let more = after(link(0), &["/chain/app-0001", "/tail"]);
    assert_eq!(cluster.put(more), too_deep("/chain/app-0000", max + 1));
}

#[test]
fn what_is_kept_of_a_failure_is_bounded_whatever_agents_say() {
    let mut cluster = Cluster::with_nodes(2);
    let apps: Vec<AppSpec> = (0..60).map(|n| labelled(app(&format!("/app-{n}"), 1), DEADLINE_LABEL, "60")).collect();
    put_all(&mut cluster, &apps).unwrap();
    for instance in cluster.state.instances().map(|it| it.id).collect::<Vec<_>>() {
        cluster.see(instance, Seen::Staging { message: "ö".repeat(100_000) });
    }
    let deployment = cluster.state.active_deployments().next().unwrap().clone();
    let sentences = explain::deployment(&cluster.state, &deployment, Moment(cluster.now));
    assert!(sentences.len() <= 2 * explain::SENTENCES, "{} sentences", sentences.len());
    assert!(sentences.iter().all(|it| it.len() < 1_000), "{sentences:?}");
    assert_eq!(sentences.last().unwrap(), "and 40 more apps");
    cluster.wait(120_000);
    let ended = cluster.state.deployment(deployment.id).unwrap();
    let Some(Outcome::Failed { reason, .. }) = &ended.outcome else { panic!("{:?}", ended.outcome) };
    assert!(reason.len() < 5_000 && reason.starts_with("no progress for 60 s; "), "{} bytes", reason.len());
}

#[test]
fn a_plan_fits_into_an_entry_of_the_log() {
    let mut cluster = Cluster::with_nodes(2);
    let n = 4_000;
    let apps: Vec<AppSpec> = (0..n).map(|n| app(&format!("/{}/{n}", "a".repeat(63)), 0)).collect();
    let apps = apps.into_iter().map(|it| (it, Expect::Any)).collect();
    cluster.apply(Command::PutApps { apps, force: false }).unwrap();
    let mut settled = 0;
    while settled < n {
        let steps = plan(&cluster.state, &mut cluster.agenda, Moment(cluster.now)).steps;
        let bytes: usize = steps.iter().map(Step::bytes_max).sum();
        assert!(bytes < plan::MAX_BYTES + 1_000 && !steps.is_empty(), "{} steps, {bytes} bytes", steps.len());
        settled += steps.iter().filter(|it| matches!(it, Step::Settle { .. })).count();
        cluster.apply(Command::Execute { steps }).unwrap();
    }
    assert!(!cluster.is_deploying());
}

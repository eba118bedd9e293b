//! Deploy, update, scale, restart, roll back, suspend, kill, delete.

use crate::support::{Cluster, app, id, image, node, settings, upgrade};
use cluster::*;

/// What an update looks like round by round: in each, all agents obey once.
fn rounds(cluster: &mut Cluster) -> Vec<String> {
    let mut pictures = vec![cluster.picture("/web")];
    while cluster.is_deploying() && pictures.len() < 30 {
        cluster.obey(Health::Healthy);
        pictures.push(cluster.picture("/web"));
    }
    pictures
}

#[test]
fn a_deployment_ends_when_all_instances_are_healthy() {
    let mut cluster = Cluster::with_nodes(3);
    let applied = cluster.put(app("/web", 3)).unwrap();
    assert_eq!(cluster.picture("/web"), "3 new staging");
    cluster.obey(Health::Unknown);
    assert_eq!(cluster.picture("/web"), "3 new running");
    assert!(cluster.is_deploying(), "running is not healthy");
    for instance in cluster.wanted("/web") {
        let seen = cluster::agent::Seen::Running {
            ip: None,
            health: Health::Healthy,
            checks: Vec::new(),
            readiness: Readiness::default(),
        };
        cluster.see(instance, seen);
    }
    let deployment = cluster.state.deployment(applied.deployment.unwrap()).unwrap();
    assert_eq!(deployment.outcome, Some(Outcome::Succeeded));
    assert_eq!(cluster.app("/web").deployment, None);
}

#[test]
fn an_app_without_health_checks_is_deployed_when_it_runs() {
    let mut cluster = Cluster::with_nodes(1);
    let mut spec = app("/web", 2);
    spec.policy.health_checks.clear();
    cluster.put(spec).unwrap();
    cluster.obey(Health::Unknown);
    assert!(!cluster.is_deploying());
}

#[test]
fn other_health_checks_are_deployed_when_they_were_answered() {
    use cluster::agent::Seen;
    let seen = |health| Seen::Running { ip: None, health, checks: Vec::new(), readiness: Readiness::default() };
    let mut cluster = Cluster::with_nodes(1);
    let mut spec = app("/web", 1);
    let first = cluster.put(spec.clone()).unwrap().version.unwrap();
    cluster.settle();
    spec.policy.health_checks[0].interval_ms += 1;
    cluster.put(spec.clone()).unwrap();
    assert!(!cluster.is_deploying(), "the same question, asked more seldom");

    spec.policy.health_checks[0].kind = HealthKind::Command { value: "true".to_owned() };
    cluster.put(spec).unwrap();
    let [instance] = cluster.wanted("/web")[..] else { panic!("the same one") };
    let message = "have not passed their new health checks yet";
    let waits =
        explain::deployment(&cluster.state, cluster.state.active_deployments().next().unwrap(), Moment(cluster.now));
    assert!(waits.iter().any(|it| it.contains(message)), "{waits:?}");
    cluster.see_judged_by(first, instance, seen(Health::Healthy));
    assert!(cluster.is_deploying(), "that is the answer to the old one");
    cluster.see(instance, seen(Health::Unknown));
    cluster.see(instance, seen(Health::Unhealthy));
    assert!(cluster.is_deploying());
    cluster.see(instance, seen(Health::Healthy));
    assert!(!cluster.is_deploying());
}

#[test]
fn updates_keep_within_their_limits() {
    let check = |min: u32, over: u32, expect: &[&str]| {
        let mut cluster = Cluster::with_nodes(3);
        cluster.put(upgrade(app("/web", 4), min, over)).unwrap();
        cluster.settle();
        cluster.put(image(upgrade(app("/web", 4), min, over), "web:2")).unwrap();
        assert_eq!(rounds(&mut cluster), expect, "min {min} over {over}");
    };
    check(100, 100, &["4 new staging, 4 old healthy", "4 new healthy, 4 old stopping", "4 new healthy"]);
    check(
        50,
        0,
        &[
            "2 old healthy, 2 old stopping",
            "2 new staging, 2 old healthy",
            "2 new healthy, 2 old stopping",
            "2 new healthy, 2 new staging",
            "4 new healthy",
        ],
    );
    // Nothing may be missing, nothing may be too much: one temporary extra instance.
    check(
        100,
        0,
        &[
            "1 new staging, 4 old healthy",
            "1 new healthy, 3 old healthy, 1 old stopping",
            "1 new healthy, 1 new staging, 3 old healthy",
            "2 new healthy, 2 old healthy, 1 old stopping",
            "2 new healthy, 1 new staging, 2 old healthy",
            "3 new healthy, 1 old healthy, 1 old stopping",
            "3 new healthy, 1 new staging, 1 old healthy",
            "4 new healthy, 1 old stopping",
            "4 new healthy",
        ],
    );
    check(0, 0, &["4 old stopping", "4 new staging", "4 new healthy"]);
}

#[test]
fn an_update_that_never_becomes_healthy_leaves_the_old_instances_serving_and_can_be_rolled_back() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/web", 4)).unwrap();
    cluster.settle();
    let before = cluster.wanted("/web");
    let update = cluster.put(image(app("/web", 4), "broken")).unwrap();
    for _ in 0..5 {
        cluster.obey(Health::Unhealthy);
    }
    assert_eq!(cluster.picture("/web"), "4 new running, 4 old healthy");

    let back = cluster.ask(Command::RollBack { deployment: update.deployment.unwrap() }).unwrap();
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "4 new healthy");
    assert_eq!(cluster.wanted("/web"), before, "the surviving instances are kept");
    let ended = cluster.state.deployment(update.deployment.unwrap()).unwrap();
    assert_eq!(ended.outcome, Some(Outcome::RolledBack { by: back.deployment.unwrap() }));
    assert_eq!(cluster.state.deployment(back.deployment.unwrap()).unwrap().outcome, Some(Outcome::Succeeded));
    assert_eq!(cluster.app("/web").current.spec.run.image, "web:1");
}

#[test]
fn rolling_back_a_creation_removes_the_app() {
    let mut cluster = Cluster::with_nodes(1);
    let deployment = cluster.put(app("/web", 2)).unwrap().deployment.unwrap();
    cluster.ask(Command::RollBack { deployment }).unwrap();
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "gone");
    assert_eq!(cluster.state.n_instances(), 0);
    assert_eq!(cluster.ask(Command::RollBack { deployment }), Err(Rejected::NoDeployment { deployment }));
}

#[test]
fn an_app_scales_up_and_down_without_replacing_anything() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    let before = cluster.wanted("/web");
    cluster.put(app("/web", 5)).unwrap();
    cluster.settle();
    assert_eq!(cluster.wanted("/web").len(), 5);
    assert_eq!(cluster.wanted("/web")[..2], before);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    assert_eq!(cluster.wanted("/web"), before, "the youngest go first");
    cluster.put(app("/web", 0)).unwrap();
    cluster.settle();
    assert_eq!((cluster.picture("/web"), cluster.is_deploying()), (String::new(), false), "suspended");
}

#[test]
fn scaling_down_takes_unhealthy_instances_first() {
    let mut cluster = Cluster::with_nodes(3);
    cluster.put(app("/web", 3)).unwrap();
    cluster.settle();
    let [eldest, ..] = cluster.wanted("/web")[..] else { panic!("three instances") };
    cluster.see(
        eldest,
        cluster::agent::Seen::Running {
            ip: None,
            health: Health::Unhealthy,
            checks: Vec::new(),
            readiness: Readiness::default(),
        },
    );
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    assert!(!cluster.wanted("/web").contains(&eldest));
}

#[test]
fn a_restart_replaces_every_instance() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    let before = cluster.wanted("/web");
    cluster.ask(Command::RestartApp { app: id("/web"), force: false }).unwrap();
    assert_eq!(cluster.picture("/web"), "2 new staging, 2 old healthy");
    cluster.settle();
    assert!(cluster.wanted("/web").iter().all(|it| !before.contains(it)));
    assert_eq!(cluster.picture("/web"), "2 new healthy");
}

#[test]
fn a_change_of_policy_restarts_nothing() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    let before = cluster.wanted("/web");
    let mut spec = app("/web", 2);
    spec.policy.labels.insert("team".to_owned(), "pay".to_owned());
    spec.policy.health_checks[0].interval_ms = 5_000;
    cluster.put(spec).unwrap();
    assert!(!cluster.is_deploying(), "done at once");
    assert_eq!(cluster.wanted("/web"), before);
    let instance = cluster.state.instance(before[0]).unwrap();
    let assigned = cluster.state.assignment(instance).spec.unwrap();
    assert_eq!(assigned.policy.health_checks[0].interval_ms, 5_000, "the agent is told");
}

#[test]
fn what_names_no_image_is_run_as_it_is_said_in_the_operator_s() {
    let mut cluster = Cluster::with_nodes(1);
    let settings = Settings { command_image: "shell:1".to_owned(), ..settings() };
    cluster.ask(Command::Configure { settings }).unwrap();
    let assigned = |cluster: &mut Cluster, image: &str, cmd: Option<&str>| {
        let mut spec = app("/web", 1);
        spec.run.image = image.to_owned();
        spec.run.cmd = cmd.map(str::to_owned);
        spec.run.args = if cmd.is_none() { vec!["serve".to_owned(), "-v".to_owned()] } else { vec![] };
        spec.run.parameters = vec![];
        cluster.put(spec).unwrap();
        cluster.settle();
        let instance = cluster.state.instance(cluster.wanted("/web")[0]).unwrap();
        let run = cluster.state.assignment(instance).spec.unwrap().run.clone();
        (run.image.clone(), run.args.clone(), run.parameters.clone())
    };
    let entrypoint = vec![("entrypoint".to_owned(), "serve".to_owned())];
    let args = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    for (image, cmd, expect) in [
        ("", None, ("shell:1".to_owned(), args(&["-v"]), entrypoint)),
        ("", Some("serve"), ("shell:1".to_owned(), vec![], vec![])),
        ("web:1", None, ("web:1".to_owned(), args(&["serve", "-v"]), vec![])),
    ] {
        assert_eq!(assigned(&mut cluster, image, cmd), expect, "{image} {cmd:?}");
    }
}

#[test]
fn the_same_content_changes_nothing() {
    let mut cluster = Cluster::with_nodes(1);
    let first = cluster.put(app("/web", 1)).unwrap();
    cluster.settle();
    let second = cluster.put(app("/web", 1)).unwrap();
    assert_eq!(second.version, first.version);
    let deployment = cluster.state.deployment(second.deployment.unwrap()).unwrap();
    assert_eq!((deployment.changes.len(), &deployment.outcome), (0, &Some(Outcome::Succeeded)));
}

#[test]
fn an_app_under_deployment_is_locked_unless_forced() {
    let mut cluster = Cluster::with_nodes(1);
    let first = cluster.put(app("/web", 1)).unwrap().deployment.unwrap();
    let state = cluster.state.clone();
    assert_eq!(cluster.put(app("/web", 2)), Err(Rejected::Locked { deployments: vec![first] }));
    assert_eq!(cluster.state.app(&id("/web")), state.app(&id("/web")), "a refusal changes nothing");
    let apps = vec![(app("/web", 2), Expect::Any)];
    let second = cluster.ask(Command::PutApps { apps, force: true }).unwrap().deployment.unwrap();
    let outcome = cluster.state.deployment(first).unwrap().outcome.clone();
    assert_eq!(outcome, Some(Outcome::Superseded { by: second }));
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "2 new healthy");
}

#[test]
fn who_takes_over_a_deployment_finishes_what_it_had_begun_elsewhere() {
    let mut cluster = Cluster::with_nodes(1);
    let both =
        |a: AppSpec, b: AppSpec, force| Command::PutApps { apps: vec![(a, Expect::Any), (b, Expect::Any)], force };
    // Rolling back a creation removes both apps.
    let created = cluster.ask(both(app("/a", 1), app("/b", 1), false)).unwrap().deployment.unwrap();
    let removal = cluster.ask(Command::RollBack { deployment: created }).unwrap().deployment.unwrap();
    let apps = vec![(app("/a", 2), Expect::Any)];
    let forced = cluster.ask(Command::PutApps { apps, force: true }).unwrap().deployment.unwrap();
    let outcome = cluster.state.deployment(removal).unwrap().outcome.clone();
    assert_eq!(outcome, Some(Outcome::Superseded { by: forced }));
    cluster.settle();
    assert_eq!((cluster.picture("/a").as_str(), cluster.picture("/b").as_str()), ("2 new healthy", "gone"));
    assert!(!cluster.is_deploying());

    // The same content again, with force, does not leave an update half done.
    cluster.put(image(app("/a", 2), "web:2")).unwrap();
    let apps = vec![(image(app("/a", 2), "web:2"), Expect::Any)];
    cluster.ask(Command::PutApps { apps, force: true }).unwrap();
    cluster.settle();
    assert_eq!((cluster.picture("/a").as_str(), cluster.is_deploying()), ("2 new healthy", false));
}

#[test]
fn who_took_over_a_deployment_rolls_back_its_own_changes_only() {
    let mut cluster = Cluster::with_nodes(2);
    for name in ["/a", "/b", "/c"] {
        cluster.put(app(name, 1)).unwrap();
        cluster.settle();
    }
    let apps = ["/a", "/b"].map(|it| (image(app(it, 1), "web:2"), Expect::Any)).to_vec();
    cluster.ask(Command::PutApps { apps, force: false }).unwrap();
    let update = GroupUpdate {
        id: PathId::root(),
        apps: Some(vec![image(app("/a", 1), "web:3"), image(app("/b", 1), "web:2")]),
        groups: None,
        dependencies: None,
    };
    let forced = Command::PutGroup { update, absent: false, force: true };
    let deployment = cluster.ask(forced).unwrap().deployment.unwrap();
    cluster.ask(Command::RollBack { deployment }).unwrap();
    let images = |cluster: &Cluster| ["/a", "/b", "/c"].map(|it| cluster.app(it).current.spec.run.image.clone());
    assert_eq!(images(&cluster), ["web:2", "web:2", "web:1"]);
    cluster.settle();
    assert_eq!(images(&cluster), ["web:2", "web:2", "web:1"]);
    assert!(["/a", "/b", "/c"].iter().all(|it| cluster.picture(it) == "1 new healthy"));
    assert!(!cluster.is_deploying());
}

#[test]
fn what_another_deployment_has_changed_since_is_neither_rolled_back_nor_cancelled() {
    for cancel in [false, true] {
        let mut cluster = Cluster::with_nodes(1);
        // The first is settled while the second waits for a place that there is not.
        let mut wide = app("/wide", 1);
        wide.run.resources.cpu_milli = 1 << 40;
        let apps = vec![(app("/a", 1), Expect::Any), (wide, Expect::Any)];
        let first = cluster.ask(Command::PutApps { apps, force: false }).unwrap().deployment.unwrap();
        cluster.settle();
        let second = cluster.ask(Command::RemoveApp { app: id("/a"), force: false }).unwrap().deployment.unwrap();
        let end = if cancel { Command::Cancel { deployment: first } } else { Command::RollBack { deployment: first } };
        cluster.ask(end).unwrap();
        cluster.settle();
        assert_eq!(cluster.picture("/a"), "gone", "cancel: {cancel}");
        assert_eq!(cluster.state.deployment(second).unwrap().outcome, Some(Outcome::Succeeded), "cancel: {cancel}");
    }
}

#[test]
fn a_plan_that_came_too_late_takes_no_successor_for_surplus() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(upgrade(app("/web", 2), 100, 100)).unwrap();
    cluster.settle();
    cluster.put(image(upgrade(app("/web", 2), 100, 100), "web:2")).unwrap();
    assert_eq!(cluster.picture("/web"), "2 new staging, 2 old healthy");
    // Made when there were others.
    let late = cluster.wanted("/web").into_iter().map(|it| Step::Stop { instance: it, reason: StopReason::Surplus });
    assert_eq!(cluster.apply(Command::Execute { steps: late.collect() }), Err(Rejected::Nothing));
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "2 new healthy");
}

#[test]
fn a_cancelled_update_stays_where_it_is() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(upgrade(app("/web", 4), 50, 0)).unwrap();
    cluster.settle();
    let update = cluster.put(image(upgrade(app("/web", 4), 50, 0), "web:2")).unwrap();
    cluster.obey(Health::Healthy);
    assert_eq!(cluster.picture("/web"), "2 new staging, 2 old healthy");
    cluster.ask(Command::Cancel { deployment: update.deployment.unwrap() }).unwrap();
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "2 new healthy, 2 old healthy");
}

#[test]
fn a_killed_instance_is_replaced_and_with_scale_is_not() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 3)).unwrap();
    cluster.settle();
    let victim = cluster.wanted("/web")[1];
    let kill = |scale| Command::Kill { instances: vec![victim], scale, force: false, wipe: false };
    assert_eq!(cluster.ask(kill(false)).unwrap().killed, [victim]);
    cluster.settle();
    assert_eq!((cluster.wanted("/web").len(), cluster.is_deploying()), (3, false));
    assert_eq!(cluster.ask(kill(false)).unwrap().killed, [], "it is gone already");

    let victim = cluster.wanted("/web")[0];
    let applied =
        cluster.ask(Command::Kill { instances: vec![victim], scale: true, force: false, wipe: false }).unwrap();
    assert!(applied.deployment.is_some());
    cluster.settle();
    assert_eq!(cluster.wanted("/web").len(), 2);
    assert_eq!(cluster.app("/web").current.spec.instances, 2);
    assert!(!cluster.wanted("/web").contains(&victim));
}

#[test]
fn a_deleted_app_goes_when_its_instances_have_ended_and_leaves_nothing() {
    let mut cluster = Cluster::with_nodes(2);
    cluster.put(app("/web", 2)).unwrap();
    cluster.settle();
    cluster.ask(Command::RemoveApp { app: id("/web"), force: false }).unwrap();
    assert_eq!(cluster.picture("/web"), "2 new stopping");
    assert!(cluster.state.live_app(&id("/web")).is_none(), "users do not see it any more");
    cluster.settle();
    assert_eq!(cluster.picture("/web"), "gone");
    assert!(cluster.state.nodes().all(|it| it.used == Resources::default() && it.ports.is_empty()));
    let missing = Rejected::NoApp { app: id("/web") };
    assert_eq!(cluster.ask(Command::RemoveApp { app: id("/web"), force: false }), Err(missing));
}

#[test]
fn an_app_is_neither_inside_nor_around_another() {
    let mut cluster = Cluster::with_nodes(1);
    cluster.put(app("/pay/api", 1)).unwrap();
    for nested in ["/pay", "/pay/api/v2"] {
        let refusal = Rejected::Nested { app: id(nested), other: id("/pay/api") };
        assert_eq!(cluster.put(app(nested, 1)), Err(refusal), "{nested}");
    }
    cluster.put(app("/pay/api-2", 1)).unwrap();
    cluster.put(app("/pa", 1)).unwrap();
}

#[test]
fn conditions_on_what_is_there_are_kept() {
    let mut cluster = Cluster::with_nodes(1);
    let mut put = |n, expect| {
        let answer = cluster.apply(Command::PutApps { apps: vec![(app("/web", n), expect)], force: true });
        answer.map(|it| it.version.unwrap())
    };
    assert_eq!(put(1, Expect::Version(Timestamp(5))), Err(Rejected::NoApp { app: id("/web") }));
    let version = put(1, Expect::Absent).unwrap();
    assert_eq!(put(1, Expect::Absent), Err(Rejected::Exists { app: id("/web") }));
    assert!(put(2, Expect::Version(version)).is_ok());
    assert_eq!(put(3, Expect::Version(version)), Err(Rejected::Changed { app: id("/web") }));
}

#[test]
fn what_others_made_where_something_was_deleted_stays_and_the_deletion_cannot_be_taken_back() {
    let mut shared = app("/a", 0);
    let volume = ExternalVolume {
        container_path: "/data".to_owned(),
        mode: VolumeMode::Rw,
        name: "pay".to_owned(),
        driver: "rexray".to_owned(),
        options: std::collections::BTreeMap::new(),
        shared: false,
    };
    shared.run.volumes = vec![Volume::External(volume)];
    shared.instances = 1;
    let mut other = shared.clone();
    other.id = id("/other");
    for since in [app("/a/inside", 1), other] {
        for cancel in [false, true] {
            let mut cluster = Cluster::with_nodes(1);
            cluster.put(shared.clone()).unwrap();
            cluster.settle();
            let removal = Command::RemoveApp { app: id("/a"), force: false };
            let deployment = cluster.ask(removal).unwrap().deployment.unwrap();
            cluster.put(since.clone()).unwrap();
            let end = if cancel { Command::Cancel { deployment } } else { Command::RollBack { deployment } };
            let refused = cluster.ask(end);
            assert!(
                matches!(refused, Err(Rejected::Nested { .. } | Rejected::VolumeTaken { .. })),
                "{} {cancel}: {refused:?}",
                since.id
            );
            cluster.settle();
            assert_eq!(cluster.picture("/a"), "gone");
            assert_eq!(cluster.picture(since.id.as_str()), "1 new healthy");
        }
    }
}

#[test]
fn an_app_that_is_put_as_it_is_belongs_to_whoever_deploys_it() {
    let mut cluster = Cluster::with_nodes(1);
    let first = cluster.put(app("/a", 1)).unwrap().deployment.unwrap();
    for force in [false, true] {
        let apps = vec![(app("/a", 1), Expect::Any), (app(&format!("/b{force}"), 1), Expect::Any)];
        cluster.ask(Command::PutApps { apps, force }).unwrap();
        assert_eq!(cluster.app("/a").deployment, Some(first), "nothing of it is taken over");
    }
    let apps = vec![(app("/a", 2), Expect::Any), (app("/c", 1), Expect::Any)];
    let refused = cluster.ask(Command::PutApps { apps, force: false });
    assert_eq!(refused, Err(Rejected::Locked { deployments: vec![first] }));
}

#[test]
fn a_plan_is_bounded_also_where_one_app_has_many_instances_to_end() {
    let mut cluster = Cluster::with_nodes(0);
    let mut big = node("n1", &[]);
    big.capacity = Resources { cpu_milli: 1 << 40, memory_bytes: 1 << 50, disk_bytes: 0 };
    big.ports.last = 60_000;
    cluster.ask(Command::Register { node: big }).unwrap();
    cluster.put(app("/many", 6_000)).unwrap();
    cluster.settle();
    cluster.apply(Command::RemoveApp { app: id("/many"), force: false }).unwrap();
    let steps = plan(&cluster.state, &mut cluster.agenda, Moment(cluster.now)).steps;
    assert_eq!(steps.len(), plan::MAX_STEPS);
    cluster.apply(Command::Execute { steps }).unwrap();
    cluster.plan();
    // Twelve thousand reports: none of them looks at all instances.
    cluster.settle();
    assert_eq!(cluster.picture("/many"), "gone");
}

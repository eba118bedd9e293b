//! Pods and networks on a real Docker engine.

mod common;

use cluster::agent::Seen;
use cluster::{
    AppSpec, CheckPort, EndKind, Health, HealthKind, Mount, Network, Pod, PodCommand, PodContainer, PodVolume,
    Protocol, ReadinessCheck, Resources, WantedHostPort,
};
use common::{IMAGE, Running, Scheduler, app, check, docker, docker_is_here, wait_for};
use std::collections::BTreeMap;
use std::time::Duration;

fn container(name: &str, command: &str, n_endpoints: u32) -> PodContainer {
    PodContainer {
        name: name.into(),
        image: IMAGE.into(),
        force_pull: false,
        command: Some(PodCommand::Shell(command.into())),
        resources: Resources { cpu_milli: 10, memory_bytes: 32 << 20, disk_bytes: 0 },
        env: BTreeMap::from([("WHO".to_owned(), name.to_owned())]),
        user: None,
        n_endpoints,
        mounts: vec![Mount { volume: "shared".into(), path: "/shared".into(), read_only: name != "web" }],
        fetch: vec![],
        labels: BTreeMap::from([("tier".to_owned(), name.to_owned())]),
        kill_grace_ms: None,
        tty: false,
    }
}

/// A web server, and one that reads what that one writes and asks it by localhost.
fn pod() -> AppSpec {
    let mut spec = app("unused");
    spec.run.cmd = None;
    spec.run.image = String::new();
    spec.run.env.insert("ALL".into(), "pod".into());
    spec.run.ports[0].name = Some("http-api".into());
    let web = "echo written by $WHO > /shared/ok; exec httpd -f -p 8080 -h /shared";
    let side = "while ! test -f /shared/ok; do sleep 0.1; done; exec sleep 1000";
    let volumes = vec![PodVolume { name: "shared".into(), host_path: None }];
    spec.run.pod = Some(Pod { containers: vec![container("web", web, 1), container("side", side, 0)], volumes });
    let http = HealthKind::Http { path: "/ok".into(), port: CheckPort::Index(0), ignore_1xx: false, tls: false };
    let command = HealthKind::Command { value: "test $WHO = side".into() };
    spec.policy.health_checks = vec![check(http), cluster::HealthCheck { container: "side".into(), ..check(command) }];
    spec
}

fn of_pod(name: &str, format: &str) -> String {
    docker(&["inspect", "--format", format, name]).1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_runs_is_adopted_ends_and_goes_as_one() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let agent = Running::new(scheduler.args(dir.path()));
    let it = scheduler.launch(pod());
    scheduler.assign(std::slice::from_ref(&it));
    wait_for("health", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    let Some(Seen::Running { ip, .. }) = scheduler.seen(it.instance) else { panic!() };
    assert!(ip.is_some_and(|it| it.starts_with("172.")));
    assert_eq!(scheduler.containers().len(), 3);

    let (main, web, side) = (it.instance.to_string(), format!("{}.web", it.instance), format!("{}.side", it.instance));
    let (_, env) = docker(&["exec", &side, "env"]);
    let port = it.ports[0];
    for expect in [
        "ALL=pod".to_owned(),
        "WHO=side".to_owned(),
        "MARATHON_CONTAINER_ID=side".to_owned(),
        "ENDPOINT_HTTP_API=8080".to_owned(),
        format!("EP_HOST_HTTP_API={port}"),
        "EP_CONTAINER_HTTP_API=8080".to_owned(),
    ] {
        assert!(env.lines().any(|it| it == expect), "{expect} in {env}");
    }
    assert_eq!(docker(&["exec", &side, "cat", "/shared/ok"]).1, "written by web");
    assert!(!docker(&["exec", &side, "sh", "-c", "echo x > /shared/no"]).0, "mounted to be read only");
    assert_eq!(of_pod(&side, "{{.Config.Labels.tier}}"), "side");

    agent.kill().await;
    let before = scheduler.containers();
    scheduler.book.lock().unwrap().seen.clear();
    let _agent = Running::new(scheduler.args(dir.path()));
    wait_for("adoption", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    assert_eq!(scheduler.containers(), before);

    assert!(docker(&["kill", &side]).0);
    let end = scheduler.ended(it.instance).await;
    assert_eq!((end.kind, end.exit_code), (EndKind::Failed, Some(137)));
    assert_eq!(end.message, "container side: exited with code 137 (signal KILL)");
    wait_for("the others to end", || of_pod(&web, "{{.State.Running}}") == "false").await;
    wait_for("the network to end", || of_pod(&main, "{{.State.Running}}") == "false").await;
    assert_eq!(scheduler.containers().len(), 3, "it stays until its removal is ordered");
    scheduler.stop(it.instance);
    wait_for("removal", || scheduler.is_removed(it.instance)).await;
    assert_eq!(scheduler.containers(), [] as [&str; 0]);
    let left = std::fs::read_dir(dir.path().join("sandboxes")).unwrap().count();
    assert_eq!(left, 0, "the shared directory went with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_cannot_start_or_loses_its_network_leaves_nothing() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let with = |edit: fn(&mut PodContainer)| {
        let mut spec = pod();
        edit(&mut spec.run.pod.as_mut().unwrap().containers[1]);
        scheduler.launch(spec)
    };
    let no_image = with(|it| it.image = "ekiden-no-such-image:1".into());
    let no_name = with(|it| it.image = String::new());
    let no_program = with(|it| {
        it.command = Some(PodCommand::Argv { argv: vec!["/bin/none".into()], override_entrypoint: true });
    });
    let no_volume = with(|it| it.mounts[0].volume = "none".into());
    for (it, message) in [
        (&no_image, "image ekiden-no-such-image:1"),
        (&no_name, "container side of pod /test/web names no image"),
        (&no_program, "container side: "),
        (&no_volume, "container 'side' of the pod mounts volume 'none'"),
    ] {
        scheduler.assign(std::slice::from_ref(it));
        let end = scheduler.ended(it.instance).await;
        assert_eq!(end.kind, EndKind::NotStarted, "{end:?}");
        assert!(end.message.contains(message), "{:?} should say {message:?}", end.message);
    }
    wait_for("what failed starts leave to go", || scheduler.containers().is_empty()).await;

    let it = scheduler.launch(pod());
    scheduler.assign(std::slice::from_ref(&it));
    wait_for("health", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    docker(&["rm", "-f", &it.instance.to_string()]);
    let end = scheduler.ended(it.instance).await;
    // It is seen dead, or gone already.
    assert!(end.message.contains("the container that holds the pod's network"), "{end:?}");
    scheduler.stop(it.instance);
    wait_for("removal", || scheduler.is_removed(it.instance)).await;
    assert_eq!(scheduler.containers(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_lives_in_the_node_s_network_too_and_keeps_its_own_grace() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let mut spec = pod();
    spec.run.network = Network::Host;
    spec.policy.health_checks.remove(0);
    let containers = &mut spec.run.pod.as_mut().unwrap().containers;
    containers[0].command = Some(PodCommand::Shell(
        "trap 'sleep 2; echo done > /shared/done; exit 0' TERM; echo > /shared/ok; while true; do sleep 0.1; done"
            .into(),
    ));
    containers[0].kill_grace_ms = Some(20_000);
    containers[0].labels.insert("ekiden.node".into(), "forged".into());
    let it = scheduler.launch(spec);
    scheduler.assign(std::slice::from_ref(&it));
    wait_for("health", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    let web = format!("{}.web", it.instance);
    assert_eq!(of_pod(&web, "{{.HostConfig.NetworkMode}}"), "host");
    let (_, env) = docker(&["exec", &web, "env"]);
    assert!(env.contains(&format!("ENDPOINT_HTTP_API={}", it.ports[0])) && !env.contains("EP_CONTAINER"), "{env}");
    // The assignment's own grace period of a second would have ended it before it was done.
    scheduler.stop(it.instance);
    let history = || scheduler.book.lock().unwrap().history.iter().any(|(_, it)| matches!(it.seen, Seen::Ended(_)));
    wait_for("the end", history).await;
    wait_for("removal", || scheduler.is_removed(it.instance)).await;
    let book = scheduler.book.lock().unwrap();
    let end = book.history.iter().find_map(|(_, it)| match &it.seen {
        Seen::Ended(end) => Some(end.clone()),
        _ => None,
    });
    assert_eq!(end.map(|it| it.kind), Some(EndKind::Killed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_join_a_network_by_name_which_is_made_where_it_is_missing() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let name = format!("ekiden-test-{}", scheduler.cluster);
    let mut spec = app("mkdir -p /tmp/www; echo fine > /tmp/www/ok; exec httpd -f -p $PORT0 -h /tmp/www");
    spec.run.network = Network::Container { name: name.clone(), labels: BTreeMap::new() };
    spec.run.ports[0].container_port = 0;
    spec.run.ports[0].protocol = Protocol::Both;
    let port = || HealthKind::Http { path: "/ok".into(), port: CheckPort::Index(0), ignore_1xx: false, tls: false };
    spec.policy.health_checks = vec![check(port())];
    let mut inside = spec.clone();
    inside.run.cmd = Some("mkdir -p /tmp/www; echo fine > /tmp/www/ok; exec httpd -f -p 8080 -h /tmp/www".into());
    inside.run.ports[0].container_port = 8080;
    inside.run.ports[0].host_port = WantedHostPort::None;
    let mut no_ipv6 = inside.clone();
    no_ipv6.policy.health_checks[0].ipv6 = true;
    no_ipv6.policy.health_checks[0].grace_ms = 0;
    no_ipv6.policy.health_checks[0].max_failures = 0;
    let launched: Vec<_> = [spec.clone(), inside, no_ipv6].into_iter().map(|it| scheduler.launch(it)).collect();
    scheduler.assign(&launched);
    for it in &launched[..2] {
        wait_for("health", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    }
    let subnet = docker(&["network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}} {{.Labels}}", &name]).1;
    assert!(subnet.ends_with("map[ekiden.network:made]"), "{subnet}");
    let prefix: String = subnet.split('.').take(2).collect::<Vec<_>>().join(".");
    let Some(Seen::Running { ip: Some(ip), .. }) = scheduler.seen(launched[0].instance) else { panic!() };
    assert!(ip.starts_with(&prefix), "{ip} in {subnet}");
    let id = launched[0].instance.to_string();
    let ports = of_pod(&id, "{{range $port, $to := .NetworkSettings.Ports}}{{$port}} {{end}}");
    let host = launched[0].ports[0];
    assert_eq!(ports.trim(), format!("{host}/tcp {host}/udp"));
    wait_for("a failed check", || scheduler.health(launched[2].instance) == Some(Health::Unhealthy)).await;
    let Some(Seen::Running { checks, .. }) = scheduler.seen(launched[2].instance) else { panic!() };
    let cause = "the instance has no IPv6 address: its Docker network gives it none";
    assert_eq!(checks[0].last_failure_cause.as_deref(), Some(cause));

    let mut hostile = spec;
    hostile.run.network = Network::Container { name: "host".into(), labels: BTreeMap::new() };
    let refused = scheduler.launch(hostile);
    scheduler.assign(std::slice::from_ref(&refused));
    assert!(scheduler.ended(refused.instance).await.message.contains("cannot be the name of a Docker network"));
    for it in &launched {
        scheduler.stop(it.instance);
    }
    for it in &launched {
        wait_for("removal", || scheduler.is_removed(it.instance)).await;
    }
    assert!(docker(&["network", "rm", &name]).0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_asked_until_it_is_ready() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let web = "mkdir -p /tmp/www; httpd -p 8080 -h /tmp/www; sleep 1; echo fine > /tmp/www/ok; exec sleep 1000";
    let mut spec = app(web);
    spec.run.ports[0].name = Some("http".into());
    spec.policy.readiness_checks = vec![ReadinessCheck {
        name: "ready".into(),
        tls: false,
        path: "/ok".into(),
        port_name: "http".into(),
        interval_ms: 5_000,
        timeout_ms: 1_000,
        codes: vec![200],
        keep_response: true,
    }];
    let it = scheduler.launch(spec);
    scheduler.assign(std::slice::from_ref(&it));
    let readiness = || match scheduler.seen(it.instance) {
        Some(Seen::Running { readiness, .. }) => readiness,
        _ => cluster::Readiness::default(),
    };
    wait_for("an answer that is not yet the one", || readiness().response.is_some_and(|it| it.status == 404)).await;
    assert!(!readiness().ready);
    wait_for("readiness", || readiness().ready).await;
    let response = readiness().response.unwrap();
    assert_eq!((response.status, response.body.as_str()), (200, "fine\n"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    scheduler.stop(it.instance);
    wait_for("removal", || scheduler.is_removed(it.instance)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_was_left_half_made_is_finished_not_doubled() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let agent = Running::new(scheduler.args(dir.path()));
    // The first makes the image of the network's container, if need be.
    let first = scheduler.launch(pod());
    scheduler.assign(std::slice::from_ref(&first));
    wait_for("the first", || scheduler.is_running(first.instance)).await;
    agent.kill().await;
    let it = scheduler.launch(pod());
    let id = it.instance.to_string();
    let label = |key: &str, value: &str| format!("--label={key}={value}");
    let cluster = label(agent::LABEL_CLUSTER, &scheduler.cluster.to_string());
    let (node, instance) = (label(agent::LABEL_NODE, "test-node"), label(agent::LABEL_INSTANCE, &id));
    let members = label(agent::LABEL_POD, "web,side");
    assert!(docker(&["run", "-d", "--name", &id, &cluster, &node, &instance, &members, "ekiden-pause:1"]).0);
    let web = (format!("{id}.web"), label(agent::LABEL_CONTAINER, "web"));
    assert!(docker(&["create", "--name", &web.0, &cluster, &node, &instance, &web.1, IMAGE, "sleep", "1000"]).0);
    scheduler.assign(std::slice::from_ref(&it));
    let _agent = Running::new(scheduler.args(dir.path()));
    wait_for("the half-made one", || scheduler.is_running(it.instance)).await;
    assert_eq!(scheduler.containers().len(), 6);
    for it in [&first, &it] {
        scheduler.stop(it.instance);
        wait_for("removal", || scheduler.is_removed(it.instance)).await;
    }
    assert_eq!(scheduler.containers(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_asked_by_its_ipv6_address_where_its_network_gives_one() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let name = format!("ekiden-test6-{}", scheduler.cluster);
    let cluster = scheduler.cluster.to_string();
    let subnet = format!("fd00:{}:{}:{}::/64", &cluster[..4], &cluster[4..8], &cluster[8..]);
    if !docker(&["network", "create", "--ipv6", "--subnet", &subnet, &name]).0 {
        eprintln!("skipped: this engine makes no network with IPv6");
        return;
    }
    let _agent = Running::new(scheduler.args(dir.path()));
    let mut spec = app("mkdir -p /tmp/www; echo fine > /tmp/www/ok; exec httpd -f -p [::]:8080 -h /tmp/www");
    spec.run.network = Network::Container { name: name.clone(), labels: BTreeMap::new() };
    let kind = HealthKind::Http { path: "/ok".into(), port: CheckPort::Index(0), ignore_1xx: false, tls: false };
    spec.policy.health_checks = vec![cluster::HealthCheck { ipv6: true, ..check(kind) }];
    let it = scheduler.launch(spec);
    scheduler.assign(std::slice::from_ref(&it));
    wait_for("health", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    scheduler.stop(it.instance);
    wait_for("removal", || scheduler.is_removed(it.instance)).await;
    assert!(docker(&["network", "rm", &name]).0);
}

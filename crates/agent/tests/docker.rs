//! The agent on a real Docker engine.

mod common;

use cluster::agent::{Assignment, Seen};
use cluster::{CheckPort, EndKind, Health, HealthKind};
use common::{Running, Scheduler, WEB, app, check, docker, docker_is_here, free_port, wait_for};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_starts_serves_dies_and_goes() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let agent = Running::new(scheduler.args(dir.path()));
    let mut spec = app(WEB);
    let http =
        |path: &str| HealthKind::Http { path: path.into(), port: CheckPort::Index(0), ignore_1xx: false, tls: false };
    let command = HealthKind::Command { value: "test -f /tmp/www/ok".into() };
    spec.policy.health_checks =
        vec![check(http("/ok")), check(HealthKind::Tcp { port: CheckPort::Index(0) }), check(command)];
    let (first, second) = (scheduler.launch(spec.clone()), scheduler.launch(spec));
    let begun = Instant::now();
    scheduler.assign(&[first.clone(), second.clone()]);
    for it in [&first, &second] {
        wait_for("health", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    }
    println!("two instances healthy after {:?}", begun.elapsed());
    let Some(Seen::Running { ip, checks, .. }) = scheduler.seen(first.instance) else { panic!() };
    assert!(ip.is_some_and(|it| it.starts_with("172.")));
    assert!(checks.iter().all(|it| it.alive && it.first_success.is_some()));

    let name = first.instance.to_string();
    let (_, labels) = docker(&["inspect", "--format", "{{json .Config.Labels}}", &name]);
    assert!(
        labels.contains("\"ekiden.app\":\"/test/web\"") && labels.contains("\"MESOS_TASK_ID\":\"test_web."),
        "{labels}"
    );
    let (_, env) = docker(&["exec", &name, "env"]);
    let port = format!("PORT0={}", first.ports[0]);
    assert!(env.contains(&port) && env.contains("MARATHON_APP_ID=/test/web"), "{env}");

    let killed = Instant::now();
    assert!(docker(&["kill", &name]).0);
    let end = scheduler.ended(first.instance).await;
    println!("a killed container was reported {:?} after the kill was asked for", killed.elapsed());
    assert_eq!((end.kind, end.exit_code), (EndKind::Failed, Some(137)));
    assert_eq!(scheduler.containers().len(), 2, "it stays until its removal is ordered");

    scheduler.stop(first.instance);
    scheduler.stop(second.instance);
    for it in [&first, &second] {
        wait_for("removal", || scheduler.is_removed(it.instance)).await;
    }
    assert_eq!(scheduler.containers(), [] as [&str; 0]);
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_are_told_apart() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let mut missing = app("true");
    missing.run.image = "ekiden-no-such-image:1".into();
    let taken = std::net::TcpListener::bind(("0.0.0.0", free_port())).unwrap();
    let mut bad_volume = app("true");
    bad_volume.run.volumes = vec![cluster::Volume::Host(cluster::HostVolume {
        container_path: "/data".into(),
        host_path: "/etc".into(),
        mode: cluster::VolumeMode::Ro,
    })];
    let mut no_program = app("unused");
    no_program.run.cmd = None;
    no_program.run.args = vec!["/bin/none".into()];
    let mut oom = app("x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done");
    oom.run.resources.memory_bytes = 8 << 20;
    let cases = [
        (app("exit 0"), EndKind::Finished, "exited with code 0"),
        (app("exit 3"), EndKind::Failed, "exited with code 3"),
        (oom, EndKind::OutOfMemory, "killed by the kernel"),
        (missing, EndKind::NotStarted, "image ekiden-no-such-image:1"),
        (app("sleep 1000"), EndKind::NotStarted, "address already in use"),
        (bad_volume, EndKind::NotStarted, "volumes_allowed names none"),
        (no_program, EndKind::NotStarted, "no such file or directory"),
    ];
    let mut launched = Vec::new();
    for (spec, kind, message) in cases {
        let mut assignment = scheduler.launch(spec);
        if message == "address already in use" {
            assignment.ports = vec![taken.local_addr().unwrap().port()];
        }
        scheduler.assign(std::slice::from_ref(&assignment));
        launched.push((assignment.instance, kind, message));
    }
    for (instance, kind, message) in &launched {
        let end = scheduler.ended(*instance).await;
        println!("{end:?}");
        assert_eq!(end.kind, *kind);
        assert!(end.message.contains(message), "{:?} should say {message:?}", end.message);
    }
    wait_for("what failed starts leave to go", || scheduler.containers().len() == 3).await;
    for (instance, ..) in launched {
        scheduler.stop(instance);
        wait_for("removal", || scheduler.is_removed(instance)).await;
    }
    assert_eq!(scheduler.containers(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_agent_finds_its_containers_as_they_were() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let agent = Running::new(scheduler.args(dir.path()));
    let mut spec = app(WEB);
    spec.policy.health_checks = vec![check(HealthKind::Tcp { port: CheckPort::Index(0) })];
    let assignments: Vec<_> = (0..3).map(|_| scheduler.launch(spec.clone())).collect();
    scheduler.assign(&assignments);
    for it in &assignments {
        wait_for("health", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    }
    let before = scheduler.containers();
    tokio::time::sleep(Duration::from_millis(300)).await;
    agent.end().await.unwrap();
    assert_eq!(scheduler.containers(), before, "the agent's end leaves containers running");

    let health = |scheduler: &Scheduler| {
        let history = &scheduler.book.lock().unwrap().history;
        history.iter().all(|(_, it)| matches!(&it.seen, Seen::Running { health: Health::Healthy, .. }))
    };
    scheduler.book.lock().unwrap().history.clear();
    let agent = Running::new(scheduler.args(dir.path()));
    wait_for("a second connection", || scheduler.book.lock().unwrap().connections == 2).await;
    wait_for("reports", || scheduler.book.lock().unwrap().history.len() >= 3).await;
    assert!(health(&scheduler), "healthy before is healthy after");
    agent.kill().await;

    // Without its directory it knows by labels.
    let other = tempfile::tempdir().unwrap();
    scheduler.book.lock().unwrap().seen.clear();
    let _agent = Running::new(scheduler.args(other.path()));
    for it in &assignments {
        wait_for("health", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    }
    assert_eq!(scheduler.containers(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_container_on_a_renamed_node_is_still_the_same_instance() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let agent = Running::new(scheduler.args(dir.path()));
    let mut spec = app("exec sleep 1000");
    spec.policy.health_checks = vec![check(HealthKind::Command { value: "true".into() })];
    let (kept, orphan) = (scheduler.launch(spec.clone()), scheduler.launch(spec));
    scheduler.assign(&[kept.clone(), orphan.clone()]);
    for it in [&kept, &orphan] {
        wait_for("health", || scheduler.health(it.instance) == Some(Health::Healthy)).await;
    }
    let before = scheduler.containers();
    agent.end().await.unwrap();
    for it in [&kept, &orphan] {
        assert!(docker(&["rename", &it.instance.to_string(), &format!("by-hand-{}", it.instance)]).0);
    }
    // Somebody else's container has the name meanwhile.
    let impostor = kept.instance.to_string();
    assert!(docker(&["create", "--name", &impostor, common::IMAGE, "true"]).0);
    scheduler.forget(orphan.instance);
    scheduler.book.lock().unwrap().seen.clear();
    let mut renamed = scheduler.args(dir.path());
    renamed.name = Some("another-name".into());
    let agent = Running::new(renamed);
    wait_for("health", || scheduler.health(kept.instance) == Some(Health::Healthy)).await;
    let stranger = |scheduler: &Scheduler| {
        let book = scheduler.book.lock().unwrap();
        book.strangers.iter().map(|it| (it.instance, it.app.clone(), it.node.clone(), it.running)).collect::<Vec<_>>()
    };
    let expect = vec![(orphan.instance, "/test/web".to_owned(), "another-name".to_owned(), true)];
    wait_for("the other to be told", || stranger(&scheduler) == expect).await;
    assert_eq!(scheduler.containers(), before, "nothing was ended, nothing made");

    // What is ordered is done, whatever its container is called.
    let removal = Assignment { stop: true, started: true, spec: None, ..orphan.clone() };
    scheduler.assign(&[removal]);
    scheduler.stop(kept.instance);
    for it in [&kept, &orphan] {
        wait_for("removal", || scheduler.is_removed(it.instance)).await;
    }
    assert_eq!(scheduler.containers(), [] as [&str; 0]);
    wait_for("no strangers", || stranger(&scheduler).is_empty()).await;
    assert!(docker(&["rm", &impostor]).0, "what is not ours was not touched");
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_engine_degrades_the_node_and_ends_nothing() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let socket = dir.path().join("docker.sock");
    let hanging = hangable_docker(&socket);
    let mut args = scheduler.args(dir.path());
    args.docker.host = Some(format!("unix://{}", socket.display()));
    let _agent = Running::new(args);
    let first = scheduler.launch(app("sleep 1000"));
    scheduler.assign(std::slice::from_ref(&first));
    wait_for("a running instance", || scheduler.is_running(first.instance)).await;
    hanging.store(true, Ordering::Relaxed);
    let second = scheduler.launch(app("sleep 1000"));
    scheduler.assign(std::slice::from_ref(&second));
    let begun = Instant::now();
    wait_for("the node to be degraded", || scheduler.book.lock().unwrap().degraded.is_some()).await;
    println!("degraded {:?} after the engine began to hang", begun.elapsed());
    assert!(scheduler.is_running(first.instance));
    assert!(!matches!(scheduler.seen(second.instance), Some(Seen::Ended(_))));
    hanging.store(false, Ordering::Relaxed);
    let healed = Instant::now();
    wait_for("the second instance", || scheduler.is_running(second.instance)).await;
    println!("running {:?} after the engine answered again", healed.elapsed());
    wait_for("the node to be well", || scheduler.book.lock().unwrap().degraded.is_none()).await;
    assert_eq!(scheduler.containers().len(), 2);
}

/// The engine's socket behind one that can be made to hang: what comes in then waits, as at an engine that is stopped.
fn hangable_docker(socket: &Path) -> Arc<AtomicBool> {
    let listener = UnixListener::bind(socket).unwrap();
    let hanging = Arc::new(AtomicBool::new(false));
    let is_hanging = Arc::clone(&hanging);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let is_hanging = Arc::clone(&is_hanging);
            tokio::spawn(async move {
                while is_hanging.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                if let Ok(mut far) = UnixStream::connect("/var/run/docker.sock").await {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    hanging
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_agent_on_a_directory_is_refused() {
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    wait_for("the first", || scheduler.book.lock().unwrap().connections == 1).await;
    let second = Running::new(scheduler.args(dir.path())).end().await;
    let message = second.unwrap_err().to_string();
    assert!(message.contains("another agent runs with the directory"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of two minutes, not a promise: cargo test -p agent --test docker -- --ignored --nocapture"]
async fn fifty_containers_take_as_long_as_a_bare_client_needs() {
    use bollard::query_parameters::{CreateContainerOptions, StartContainerOptions};
    use futures::StreamExt;
    const N: usize = 50;
    if !docker_is_here() {
        return;
    }
    let clear = |scheduler: &Scheduler| {
        let ids: Vec<String> =
            scheduler.containers().iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect();
        let mut args = vec!["rm", "-f"];
        args.extend(ids.iter().map(String::as_str));
        docker(&args);
    };
    for round in 0..3 {
        let scheduler = Scheduler::new().await;
        let client =
            bollard::Docker::connect_with_unix("/var/run/docker.sock", 120, bollard::API_DEFAULT_VERSION).unwrap();
        let begun = Instant::now();
        let bare = |n: usize| {
            let (client, port, cluster) = (client.clone(), 21_000 + n, scheduler.cluster.to_string());
            async move {
                let name = format!("bare-{cluster}-{n}");
                let body = serde_json::json!({
                    "Image": common::IMAGE, "Cmd": ["/bin/sleep", "1000"], "Labels": {agent::LABEL_CLUSTER: cluster},
                    "ExposedPorts": {"8080/tcp": {}},
                    "HostConfig": {"PortBindings": {"8080/tcp": [{"HostPort": port.to_string()}]}, "Memory": 33_554_432},
                });
                let body = serde_json::from_value(body).unwrap();
                let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
                client.create_container(Some(options), body).await.unwrap();
                client.start_container(&name, None::<StartContainerOptions>).await.unwrap();
            }
        };
        futures::stream::iter(0..N).map(bare).buffer_unordered(8).collect::<Vec<()>>().await;
        let bare = begun.elapsed();
        clear(&scheduler);
        tokio::time::sleep(Duration::from_secs(2)).await;

        let dir = tempfile::tempdir().unwrap();
        let agent = Running::new(scheduler.args(dir.path()));
        wait_for("a connection", || scheduler.book.lock().unwrap().connections == 1).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let spec = app("exec sleep 1000");
        let mut assignments: Vec<_> = (0..N).map(|_| scheduler.launch(spec.clone())).collect();
        for (n, it) in assignments.iter_mut().enumerate() {
            it.ports = vec![22_000 + n as u16];
        }
        let begun = Instant::now();
        scheduler.assign(&assignments);
        wait_for("all to run", || assignments.iter().all(|it| scheduler.is_running(it.instance))).await;
        let ours = begun.elapsed();
        println!("round {round}: bare {bare:?}, agent {ours:?}: {:.3}", ours.as_secs_f64() / bare.as_secs_f64());
        agent.end().await.unwrap();
        clear(&scheduler);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_of_docker_arrive_where_the_operator_allows_them() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let parameters_allowed = Some(vec!["log-driver".to_owned(), "log-opt".to_owned(), "cap-add=NET_ADMIN".to_owned()]);
    let agent = Running::new(agent::Args { parameters_allowed, ..scheduler.args(dir.path()) });
    let with = |parameters: &[(&str, &str)]| {
        let mut spec = app("sleep 1000");
        spec.run.parameters = parameters.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        spec
    };
    let plain = scheduler.launch(with(&[]));
    let set = scheduler.launch(with(&[
        ("log-driver", "local"),
        ("log-opt", "max-size=1m"),
        ("cap-drop", "ALL"),
        ("cap-add", "NET_ADMIN"),
    ]));
    let denied = scheduler.launch(with(&[("cap-add", "SYS_ADMIN")]));
    let mut on_host = with(&[]);
    on_host.run.network = cluster::Network::Host;
    let on_host = scheduler.launch(on_host);
    scheduler.assign(&[plain.clone(), set.clone(), denied.clone(), on_host.clone()]);
    for it in [&plain, &set] {
        wait_for("start", || scheduler.is_running(it.instance)).await;
    }
    let inspect = |what: &str, instance: cluster::InstanceId| {
        docker(&["inspect", "--format", what, &instance.to_string()]).1.trim().to_owned()
    };
    let (_, own) = docker(&["info", "--format", "{{.LoggingDriver}}"]);
    assert_eq!(inspect("{{.HostConfig.LogConfig.Type}}", plain.instance), own.trim(), "the engine's own driver counts");
    assert_eq!(
        inspect("{{json .HostConfig.LogConfig}}", set.instance),
        r#"{"Type":"local","Config":{"max-size":"1m"}}"#
    );
    // The image has no program that could tell: the kernel says it of the container's process.
    let status = std::fs::read_to_string(format!("/proc/{}/status", inspect("{{.State.Pid}}", set.instance))).unwrap();
    let effective = status.lines().find_map(|it| it.strip_prefix("CapEff:"));
    assert_eq!(effective.map(str::trim), Some("0000000000001000"), "NET_ADMIN alone is left");
    for (it, asked) in [(&denied, "'cap-add=SYS_ADMIN'"), (&on_host, "'network=host'")] {
        let end = scheduler.ended(it.instance).await;
        assert_eq!(end.kind, EndKind::NotStarted);
        assert!(end.message.contains(asked) && end.message.contains("parameters_allowed"), "{}", end.message);
    }
    for it in [plain, set, denied, on_host] {
        scheduler.stop(it.instance);
        wait_for("removal", || scheduler.is_removed(it.instance)).await;
    }
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_is_called_as_its_app_says_and_is_found_by_its_labels() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let parameters_allowed = Some(vec!["name".to_owned()]);
    let agent = Running::new(agent::Args { parameters_allowed, ..scheduler.args(dir.path()) });
    let name = format!("ekiden-test-{}", std::process::id());
    let mut spec = app("sleep 1000");
    spec.run.parameters = vec![("name".into(), name.clone())];
    let first = scheduler.launch(spec.clone());
    scheduler.assign(std::slice::from_ref(&first));
    wait_for("start", || scheduler.is_running(first.instance)).await;
    let label = "{{index .Config.Labels \"ekiden.instance\"}}";
    assert_eq!(docker(&["inspect", "--format", label, &name]).1.trim(), first.instance.to_string());

    // Another one of that name is not started, under no name at all, and takes nothing away from the first.
    let second = scheduler.launch(spec);
    scheduler.assign(&[first.clone(), second.clone()]);
    let end = scheduler.ended(second.instance).await;
    assert_eq!(end.kind, EndKind::NotStarted);
    let words = format!("its container cannot be called '{name}' (Docker parameter 'name'): another container");
    assert!(end.message.contains(&words), "{}", end.message);
    scheduler.stop(second.instance);
    wait_for("removal", || scheduler.is_removed(second.instance)).await;
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &name]).1.trim(), "true");
    scheduler.stop(first.instance);
    wait_for("removal", || scheduler.is_removed(first.instance)).await;
    assert!(!docker(&["inspect", &name]).0, "it is gone");
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_bounded_where_the_operator_demands_it() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let mut args = scheduler.args(dir.path());
    args.docker.log_max_mib = Some(3);
    let agent = Running::new(args);
    let it = scheduler.launch(app("sleep 1000"));
    scheduler.assign(std::slice::from_ref(&it));
    wait_for("start", || scheduler.is_running(it.instance)).await;
    let (_, log) = docker(&["inspect", "--format", "{{json .HostConfig.LogConfig}}", &it.instance.to_string()]);
    assert_eq!(log.trim(), r#"{"Type":"json-file","Config":{"max-file":"3","max-size":"1024k"}}"#);
    scheduler.stop(it.instance);
    wait_for("removal", || scheduler.is_removed(it.instance)).await;
    agent.end().await.unwrap();
}

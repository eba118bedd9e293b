//! What the agent has done inside of containers, and who answers it, on a real Docker engine.

mod common;

use cluster::agent::{Assignment, Seen};
use cluster::{AppSpec, Health, HealthCheck, HealthKind, Network, ReadinessCheck};
use common::{Running, Scheduler, app, cache, check, docker, docker_is_here, wait_for};
use std::process::Command;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An app that sleeps, with one COMMAND check every half second.
fn checked(command: &str) -> AppSpec {
    let mut spec = app("exec sleep 1000");
    let check = check(HealthKind::Command { value: command.into() });
    spec.policy.health_checks =
        vec![HealthCheck { interval_ms: 500, timeout_ms: 500, max_failures: 1_000_000, grace_ms: 0, ..check }];
    spec
}

fn failures(scheduler: &Scheduler, it: &Assignment) -> (u64, String) {
    match scheduler.seen(it.instance) {
        Some(Seen::Running { checks, .. }) => {
            let check = checks.first().cloned().unwrap_or_default();
            (check.consecutive_failures.into(), check.last_failure_cause.unwrap_or_default())
        }
        _ => (0, String::new()),
    }
}

/// The command lines of a container's processes.
fn processes(it: &Assignment) -> Vec<String> {
    let (_, text) = docker(&["top", &it.instance.to_string(), "-eo", "pid,args"]);
    text.lines().skip(1).map(|it| it.trim().to_owned()).collect()
}

fn left(it: &Assignment, sign: &str) -> Vec<String> {
    processes(it).into_iter().filter(|it| it.contains(sign)).collect()
}

/// How many children of the container's first process have ended and are not waited for. Asked of the kernel, as a
/// control group, and so `docker top`, has forgotten them.
fn unreaped(it: &Assignment) -> usize {
    let (_, first) = docker(&["inspect", "-f", "{{.State.Pid}}", &it.instance.to_string()]);
    let sign = format!(") Z {} ", first.trim());
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|it| std::fs::read_to_string(it.path().join("stat")).ok()).filter(|it| it.contains(&sign)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_exceeds_its_time_is_gone_with_all_its_children() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let deaf = "trap '' TERM HUP INT; sh -c 'trap \"\" TERM; sleep 4711; true' & sleep 4711; true";
    let daemon = "(busybox setsid sh -c 'trap \"\" TERM; sleep 4711; true' &) ; busybox setsid sleep 4711; true";
    let bare = "busybox setsid env -i /bin/sh -c 'sleep 4711; true' & sleep 4711; true";
    let launched: Vec<Assignment> = [deaf, daemon, bare].iter().map(|it| scheduler.launch(checked(it))).collect();
    scheduler.assign(&launched);
    for it in &launched {
        wait_for("probes that take too long", || failures(&scheduler, it).0 >= 4).await;
        assert!(failures(&scheduler, it).1.starts_with("the command did not end within 500 ms"));
    }
    // Nobody asks any more: what was asked is over, and nothing of it is left.
    for it in &launched {
        let mut spec = checked("true");
        spec.policy.health_checks.clear();
        let policy = cluster::Timestamp(it.policy.0 + 1);
        scheduler.assign(&[Assignment { policy, spec: Some(Arc::new(spec)), ..it.clone() }]);
    }
    for it in &launched {
        wait_for("all that was run inside to go", || left(it, "sleep 4711").is_empty()).await;
        scheduler.stop(it.instance);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_command_leaves_in_the_background_goes_with_it_and_what_an_agent_leaves_with_the_next() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let agent = Running::new(scheduler.args(dir.path()));
    let polite = scheduler.launch(checked("busybox setsid sleep 4712 >/dev/null 2>&1 & exit 0"));
    let mut slow = checked("sleep 4713");
    slow.policy.health_checks[0].timeout_ms = 60_000;
    let slow = scheduler.launch(slow);
    scheduler.assign(&[polite.clone(), slow.clone()]);
    wait_for("health", || scheduler.health(polite.instance) == Some(Health::Healthy)).await;
    wait_for("nothing in the background", || left(&polite, "sleep 4712").is_empty()).await;
    wait_for("a long probe", || !left(&slow, "sleep 4713").is_empty()).await;
    let before = left(&slow, "sleep 4713");
    agent.kill().await;
    assert_eq!(left(&slow, "sleep 4713"), before, "nobody is there to end it");
    let _agent = Running::new(scheduler.args(dir.path()));
    wait_for("the earlier probe to go", || {
        let now = left(&slow, "sleep 4713");
        before.iter().all(|it| !now.contains(it))
    })
    .await;
    assert!(scheduler.is_running(slow.instance));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_of_a_command_where_the_first_process_waits_for_no_children_is_told_and_bounded() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    // The first process of the container is a `sleep`.
    let few = scheduler.launch(checked("sleep 4715 & sleep 4715; true"));
    let many = "n=0; while [ $n -lt 100 ]; do sleep 4715 & n=$((n+1)); done; sleep 4715; true";
    let many = scheduler.launch(checked(many));
    let mut reaped = checked("sleep 4715 & sleep 4715; true");
    reaped.run.parameters = vec![("init".into(), "true".into())];
    let reaped = scheduler.launch(reaped);
    scheduler.assign(&[few.clone(), many.clone(), reaped.clone()]);
    wait_for("failures", || failures(&scheduler, &few).0 >= 2 && failures(&scheduler, &reaped).0 >= 3).await;
    let cause = failures(&scheduler, &few).1;
    assert!(cause.starts_with("the command did not end within 500 ms; the container's first process waits"), "{cause}");
    assert!(cause.contains("'init' with the value 'true'"), "{cause}");
    assert!(unreaped(&few) >= 2);
    assert_eq!(failures(&scheduler, &reaped).1, "the command did not end within 500 ms");
    assert_eq!(unreaped(&reaped), 0);
    wait_for("no more to be run", || failures(&scheduler, &many).1.contains("is not run any more: 256")).await;
    let left = unreaped(&many);
    assert!((256..=256 + 102).contains(&left), "{left}: the last one was begun below the limit");
    for it in [few, many, reaped] {
        scheduler.stop(it.instance);
    }
}

const BARE: &str = "ekiden-agent-test-bare:1";

/// An image of one program, without a shell.
fn bare_image() -> bool {
    if docker(&["image", "inspect", BARE]).0 {
        return true;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(cache().join("busybox"), dir.path().join("busybox")).unwrap();
    let script = format!("tar -C {} -c . | docker import - {BARE}", dir.path().display());
    Command::new("sh").args(["-c", &script]).output().is_ok_and(|it| it.status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_without_a_shell_is_named_as_the_reason() {
    if !docker_is_here() || !bare_image() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let mut spec = checked("sleep 4714");
    spec.run.image = BARE.into();
    spec.run.cmd = None;
    spec.run.args = vec!["/busybox".into(), "sleep".into(), "1000".into()];
    let it = scheduler.launch(spec);
    scheduler.assign(std::slice::from_ref(&it));
    wait_for("failures", || failures(&scheduler, &it).0 >= 2).await;
    assert!(failures(&scheduler, &it).1.contains("has no /bin/sh"), "{:?}", failures(&scheduler, &it));
    assert_eq!(processes(&it).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_readiness_check_shows_no_answer_of_another_service_on_the_node() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let service = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = service.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = service.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret").await;
        }
    });
    let ready = |command: &str| {
        let mut spec = app(command);
        spec.run.network = Network::Host;
        spec.run.ports[0].name = Some("http".into());
        spec.policy.readiness_checks = vec![ReadinessCheck {
            name: "ready".into(),
            tls: false,
            path: "/ok".into(),
            port_name: "http".into(),
            interval_ms: 100,
            timeout_ms: 1_000,
            codes: vec![200],
            keep_response: true,
        }];
        spec
    };
    let answer = |it: &Assignment| match scheduler.seen(it.instance) {
        Some(Seen::Running { readiness, .. }) => readiness.response.map(|it| (it.status, it.body)),
        _ => None,
    };
    let mut thief = scheduler.launch(ready("exec sleep 1000"));
    thief.ports = vec![port];
    let honest = "mkdir -p /tmp/www; echo fine > /tmp/www/ok; exec httpd -f -p $PORT0 -h /tmp/www";
    let honest = scheduler.launch(ready(honest));
    scheduler.assign(&[thief.clone(), honest.clone()]);
    wait_for("answers", || answer(&thief).is_some() && answer(&honest).is_some_and(|it| it.0 == 200)).await;
    let (status, body) = answer(&thief).unwrap();
    assert!(status == 200 && body.starts_with("(not shown"), "{body}");
    assert_eq!(answer(&honest), Some((200, "fine\n".to_owned())), "its own it may show");
}

//! What instances leave behind, on a real Docker engine: kept before their containers go.

mod common;

use cluster::{CheckPort, Evidence, Health, HealthKind, InstanceId};
use common::{Running, Scheduler, WEB, app, check, docker_is_here, wait_for};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

impl Scheduler {
    /// What the agent told last of what the instance left behind.
    fn evidence(&self, instance: InstanceId) -> Option<Arc<Evidence>> {
        let book = self.book.lock().unwrap();
        book.history.iter().rev().find(|it| it.1.instance == instance)?.1.evidence.clone()
    }

    async fn told(&self, instance: InstanceId) -> Arc<Evidence> {
        wait_for("evidence", || self.evidence(instance).is_some()).await;
        self.evidence(instance).unwrap()
    }
}

fn file(dir: &Path, instance: InstanceId) -> Value {
    let path = dir.join(format!("evidence/test_web/{instance}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|it| panic!("{}: {it}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dies_leaves_all_that_it_wrote_to_the_last_byte() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let agent = Running::new(scheduler.args(dir.path()));
    // Ended by itself, at once, and removed as soon as that is told.
    let script = "i=0; while test $i -lt 500; do i=$((i+1)); echo line $i; done; echo -n the last word; exit 3";
    let dead: Vec<_> = (0..8).map(|_| scheduler.launch(app(script))).collect();
    scheduler.assign(&dead);
    for it in &dead {
        scheduler.ended(it.instance).await;
        scheduler.stop(it.instance);
    }
    for it in &dead {
        wait_for("removal", || scheduler.is_removed(it.instance)).await;
        let evidence = scheduler.told(it.instance).await;
        let texts: Vec<_> = evidence.lines.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts.last(), Some(&"the last word"), "{texts:?}");
        assert_eq!((texts.len() + evidence.more_lines as usize, evidence.exit_code), (200, Some(3)));
        let file = file(dir.path(), it.instance);
        let container = &file["containers"][0];
        assert_eq!((&file["app"], &container["exitCode"]), (&"/test/web".into(), &3.into()));
        let lines = container["lines"].as_array().unwrap();
        assert_eq!((lines.len(), &lines[0]["text"]), (200, &"line 302".into()));
        assert_eq!((&lines[199]["text"], &lines[199]["stream"]), (&"the last word".into(), &"stdout".into()));
    }
    assert_eq!(scheduler.containers(), [] as [&str; 0]);
    agent.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_stopped_leaves_the_answer_of_its_health_check() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let mut sick = app(WEB);
    let kind = HealthKind::Http { path: "/none".into(), port: CheckPort::Index(0), ignore_1xx: false, tls: false };
    sick.policy.health_checks = vec![cluster::HealthCheck { grace_ms: 0, interval_ms: 100, ..check(kind) }];
    let sick = scheduler.launch(sick);
    scheduler.assign(std::slice::from_ref(&sick));
    wait_for("an answer that is none", || {
        let book = scheduler.book.lock().unwrap();
        let says_404 = |it: &cluster::CheckResult| it.last_failure_cause.as_ref().is_some_and(|it| it.contains("404"));
        matches!(book.seen.get(&sick.instance), Some(cluster::agent::Seen::Running { checks, .. })
            if checks.iter().any(says_404))
    })
    .await;
    assert_ne!(scheduler.health(sick.instance), Some(Health::Healthy));
    scheduler.stop(sick.instance);
    let health = scheduler.told(sick.instance).await.health.clone().unwrap();
    assert_eq!((health.status, health.cause.as_str()), (Some(404), "answered 404 Not Found"));
    assert!(health.body.contains("404"), "{health:?}");
    wait_for("removal", || scheduler.is_removed(sick.instance)).await;
    assert_eq!(file(dir.path(), sick.instance)["health"]["status"], 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_can_read_and_a_disk_that_takes_nothing_hold_nothing_up_for_ever() {
    if !docker_is_here() {
        return;
    }
    let (scheduler, dir) = (Scheduler::new().await, tempfile::tempdir().unwrap());
    let _agent = Running::new(scheduler.args(dir.path()));
    let mut mute = app("echo unheard; exit 1");
    mute.run.parameters = vec![("log-driver".to_owned(), "none".to_owned())];
    let mute = scheduler.launch(mute);
    scheduler.assign(std::slice::from_ref(&mute));
    scheduler.ended(mute.instance).await;
    scheduler.stop(mute.instance);
    wait_for("removal", || scheduler.is_removed(mute.instance)).await;
    let evidence = scheduler.told(mute.instance).await;
    assert!(evidence.missing.starts_with("its log cannot be read: "), "{evidence:?}");
    assert_eq!((evidence.exit_code, evidence.lines.len()), (Some(1), 0));

    std::fs::remove_dir_all(dir.path().join("evidence")).unwrap();
    std::fs::write(dir.path().join("evidence"), "in the way").unwrap();
    let unkept = scheduler.launch(app("echo heard; exit 1"));
    scheduler.assign(std::slice::from_ref(&unkept));
    scheduler.ended(unkept.instance).await;
    scheduler.stop(unkept.instance);
    wait_for("removal", || scheduler.is_removed(unkept.instance)).await;
    let evidence = scheduler.told(unkept.instance).await;
    assert_eq!(evidence.lines[0].text, "heard", "what there is is told");
}

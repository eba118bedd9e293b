//! Updates under load: enough instances are healthy at any time, and no request fails.

use crate::harness::app::{with, with_image};
use crate::harness::cluster::{Cluster, text};
use crate::harness::ekiden::verb;
use crate::harness::wait::figure;
use crate::harness::{Consul, Dev, Tool, eventually, have, http, seconds, web};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const APP: &str = "/demo/web";
const SERVICE: &str = "web-demo";

#[test]
fn a_rolling_update_keeps_enough_healthy_and_fails_no_request() {
    if !have(&[Tool::Docker, Tool::Consul]) {
        return;
    }
    let consul = Consul::start();
    let dev = Dev::start(&["--consul", &consul.url()]);
    let cluster = dev.cluster();
    let upgrade = json!({ "upgradeStrategy": { "minimumHealthCapacity": 0.75, "maximumOverCapacity": 0.25 } });
    let app = with(web(APP, 4), upgrade);
    cluster.deploy(&app);
    named(&consul, 4);

    let watched = Watched::during(&cluster, &consul, || {
        cluster.put(APP, &with_image(app.clone(), "ekiden-demo:2"));
        cluster.settled(APP, 4);
    });
    figure("rolling update of 4", &watched);
    watched.assert(3, 5);

    let watched = Watched::during(&cluster, &consul, || {
        cluster.put(APP, &json!({ "upgradeStrategy": { "minimumHealthCapacity": 1, "maximumOverCapacity": 0 } }));
        cluster.settled(APP, 4);
        cluster.post(&format!("/v2/apps{APP}/restart"), &Value::Null);
        cluster.settled_within(APP, 4, seconds(90));
    });
    figure("restart of 4 with the one temporary extra", &watched);
    watched.assert(4, 5);
}

#[test]
fn an_update_that_never_becomes_healthy_leaves_the_old_ones_serving_until_it_is_rolled_back() {
    if !have(&[Tool::Docker, Tool::Consul]) {
        return;
    }
    let consul = Consul::start();
    let dev = Dev::start(&["--consul", &consul.url()]);
    let cluster = dev.cluster();
    let app =
        with(web(APP, 4), json!({ "upgradeStrategy": { "minimumHealthCapacity": 1, "maximumOverCapacity": 0.5 } }));
    let old = cluster.deploy(&app);
    named(&consul, 4);

    let mut deployment = String::new();
    let watched = Watched::during(&cluster, &consul, || {
        let put = cluster.put(APP, &with_image(app.clone(), "ekiden-demo:never-healthy"));
        text(&put["deploymentId"]).clone_into(&mut deployment);
        eventually("new ones run, and are not healthy", seconds(30), || {
            let tasks = cluster.tasks(APP);
            let new = tasks.iter().filter(|it| old.iter().all(|old| old.id != it.id));
            if new.count() == 2 { Ok(()) } else { Err(format!("{tasks:?}")) }
        });
        let report = cluster.get(&format!("/v3/deployments/{deployment}"));
        assert_eq!(report["status"], "running");
        assert_ne!(report["waiting"], json!([]), "it says what it waits for");

        let rolled_back = verb(&cluster, &["deployment", "rollback", &deployment, "--wait", "--timeout", "60s"]);
        assert_eq!(rolled_back.code, 0, "{rolled_back:?}");
    });
    figure("update that never becomes healthy, rolled back", &watched);
    watched.assert(4, 6);
    assert_eq!(cluster.settled(APP, 4), old, "the old ones are those from before");
    assert_eq!(cluster.get(&format!("/v3/deployments/{deployment}"))["status"], "rolledBack");
    let again = cluster.app(APP);
    assert_eq!(again["container"]["docker"]["image"], "ekiden-demo:1");
}

fn named(consul: &Consul, n: usize) {
    eventually("Consul names them", seconds(5), || match consul.catalog(SERVICE) {
        Ok(named) if named.len() == n => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// What was seen of an app while something was done to it.
struct Watched {
    requests: u32,
    failures: Vec<String>,
    healthy_min: u64,
    running_max: u64,
    samples: u32,
    took: Duration,
}

impl Watched {
    /// Sends requests through the ports that Consul names, and samples the API, while `act` goes on.
    fn during(cluster: &Cluster, consul: &Consul, act: impl FnOnce()) -> Self {
        let began = Instant::now();
        let done = AtomicBool::new(false);
        let requests = AtomicU32::new(0);
        let failures = Mutex::new(Vec::new());
        let (mut healthy_min, mut running_max, mut samples) = (u64::MAX, 0, 0);
        thread::scope(|scope| {
            for seat in 0..2 {
                let (done, requests, failures) = (&done, &requests, &failures);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        let n = requests.fetch_add(1, Ordering::Relaxed);
                        if let Err(failure) = ask_one(consul, n as usize + seat) {
                            let at = began.elapsed();
                            failures.lock().expect("no holder panics").push(format!("{at:?}: {failure}"));
                        }
                        thread::sleep(Duration::from_millis(10));
                    }
                });
            }
            let sampler = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let app = cluster.app(APP);
                    healthy_min = healthy_min.min(app["tasksHealthy"].as_u64().unwrap_or(0));
                    running_max = running_max.max(app["tasksRunning"].as_u64().unwrap_or(0));
                    samples += 1;
                    thread::sleep(Duration::from_millis(50));
                }
            });
            let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
            done.store(true, Ordering::Relaxed);
            sampler.join().expect("the API answers");
            if let Err(panic) = acted {
                std::panic::resume_unwind(panic);
            }
        });
        let failures = failures.into_inner().expect("no holder panics");
        let requests = requests.into_inner();
        Self { requests, failures, healthy_min, running_max, samples, took: began.elapsed() }
    }

    #[track_caller]
    fn assert(&self, healthy_min: u64, running_max: u64) {
        assert!(self.healthy_min >= healthy_min, "{self}");
        assert!(self.running_max <= running_max, "{self}");
        assert_eq!(self.failures, [""; 0], "{self}");
        assert!(self.requests > 50 && self.samples > 10, "{self}");
    }
}

impl std::fmt::Display for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { requests, failures, healthy_min, running_max, samples, took } = self;
        let failed = failures.len();
        write!(
            f,
            "{took:.1?}, {requests} requests, {failed} failed; healthy at least {healthy_min}, running at most {running_max} in {samples} samples"
        )
    }
}

/// One request to one of those that Consul names now.
fn ask_one(consul: &Consul, n: usize) -> Result<(), String> {
    let named = consul.catalog(SERVICE).map_err(|it| format!("Consul: {it}"))?;
    let address = named.get(n % named.len().max(1)).ok_or("nobody is named")?;
    match http::get(*address, "/") {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(format!("{address}: {answer}")),
        Err(error) => Err(format!("{address}: {error}")),
    }
}

//! Programs that know Marathon and have never heard of Ekiden.

use crate::harness::app::with;
use crate::harness::cluster::Task;
use crate::harness::process::{Process, Scratch, free_ports, run};
use crate::harness::wait::{figure, timed};
use crate::harness::{Dev, Tool, eventually, have, http, seconds, web};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

#[test]
fn the_client_that_marathons_users_have_works_unmodified() {
    if !have(&[Tool::Docker, Tool::Python]) {
        return;
    }
    let dev = Dev::start(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/marathon_client.py");
    let url = format!("http://{}", dev.cluster().http);
    let output = run(Tool::Python.path(), &[&script.display().to_string(), &url, "ekiden-demo:1"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    figure("client marathon", out.trim());
}

#[test]
fn prometheus_finds_exactly_the_instances() {
    if !have(&[Tool::Docker, Tool::Prometheus]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let scraped = json!({ "labels": { "scrape": "yes" } });
    let tasks = cluster.deploy(&with(web("/demo/web", 3), scraped));

    let scratch = Scratch::new();
    let [port] = free_ports();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let config = format!(
        "scrape_configs:\n- job_name: apps\n  scrape_interval: 1s\n  metrics_path: /env\n  marathon_sd_configs:\n  \
         - servers: ['http://{}']\n    refresh_interval: 1s\n",
        cluster.http
    );
    let config = scratch.write("prometheus.yml", config);
    let args = [
        format!("--config.file={}", config.display()),
        format!("--web.listen-address={address}"),
        format!("--storage.tsdb.path={}", scratch.path("data").display()),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let log = scratch.path("prometheus.log");
    let mut prometheus = Process::start("prometheus", &Tool::Prometheus.path(), &args, &log);

    let mut lists = |what: &str, wanted: &BTreeSet<SocketAddr>| {
        let (targets, took) = timed(what, seconds(30), || {
            prometheus.check();
            let answer = http::get(address, "/api/v1/targets?state=active").map_err(|it| it.to_string())?.json();
            let targets = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
            let found: BTreeSet<_> = targets.iter().filter_map(target).collect();
            if found == *wanted { Ok(targets) } else { Err(answer.to_string()) }
        });
        figure(what, format!("{took:?}"));
        targets
    };
    let addresses = |tasks: &[Task]| tasks.iter().map(Task::address).collect();
    let targets = lists("Prometheus lists the 3 instances", &addresses(&tasks));
    for it in &targets {
        let labels = &it["discoveredLabels"];
        assert_eq!(labels["__meta_marathon_app"], "/demo/web", "{labels}");
        assert_eq!(labels["__meta_marathon_app_label_scrape"], "yes", "{labels}");
        assert_eq!(labels["__meta_marathon_image"], "ekiden-demo:1", "{labels}");
    }
    eventually("it has scraped each", seconds(20), || {
        let answer = http::get(address, "/api/v1/query?query=up").map_err(|it| it.to_string())?.json();
        let n = answer["data"]["result"].as_array().map_or(0, Vec::len);
        if n == 3 { Ok(()) } else { Err(answer.to_string()) }
    });

    cluster.put("/demo/web", &json!({ "instances": 1 }));
    let left = cluster.settled("/demo/web", 1);
    lists("Prometheus lists the one that is left", &addresses(&left));
}

fn target(it: &Value) -> Option<SocketAddr> {
    it["discoveredLabels"]["__address__"].as_str()?.parse().ok()
}

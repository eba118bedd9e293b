//! What a member takes of memory, and how long a list of all apps takes.

use crate::Scale;
use crate::http;
use crate::load::{Client, drive};
use crate::members::Members;
use crate::plan::{Mix, World, app};
use crate::process::{Scratch, rss};
use crate::report::{Row, Table, figure};
use anyhow::{Context as _, Result, bail};
use cluster::{Command, Expect};
use serde_json::{Value, json};
use std::process::Stdio;

pub(crate) const TITLE: &str = "A member: memory, and the list of all apps";

const HOW: &str = "\
Memory: a process of the bench's own that holds what a leader holds, the state and its agenda, with 10 000 nodes; \
the difference of its resident memory between no instance and that many running ones, apps of 100 instances each included.
The list: `GET /v2/apps` at the leader of three members, linearizable, over connections that are kept; \
the apps have an environment, labels, a port and a health check.
";

/// The bench starts itself with this word to measure memory from nothing.
pub(crate) const CHILD: &str = "--memory-of";

const N_NODES: usize = 10_000;

/// Runs the whole.
pub(crate) async fn run(table: &mut Table, scratch: &Scratch, scale: &Scale) -> Result<()> {
    table.section(TITLE);
    table.how(HOW);
    for n_instances in [100_000, 1_000_000] {
        table.progress(&format!("memory of {n_instances} instances"));
        let program = std::env::current_exe()?;
        let child = tokio::process::Command::new(program)
            .args([CHILD, &n_instances.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output()
            .await?;
        let bytes: f64 = String::from_utf8(child.stdout)?.trim().parse().context("the child prints a number")?;
        let per = bytes / f64::from(n_instances) * 100_000.0 / f64::from(1 << 20);
        table.push(Row::plain(format!("memory per 100 000 instances, of {n_instances}"), per, "MiB"));
    }

    table.progress(&format!("a cluster with {} apps", scale.n_apps));
    let members = Members::start(scratch).await?;
    table.push(Row::plain("memory of a member, empty", members.rss_mib()?, "MiB"));
    for n in 0..scale.n_apps {
        let (status, answer) = http::ask(members.leader, "POST", "/v2/apps", &definition(n).to_string()).await?;
        if status != 201 {
            bail!("POST /v2/apps: {status}: {answer}");
        }
    }
    let request = http::request("GET", "/v2/apps", "");
    let n_bytes = http::Connection::open(members.leader).await?.exchange(&request).await?.body.len();
    let mut lines = Vec::new();
    for n_clients in [1, 8] {
        let mut clients = Vec::new();
        for _ in 0..n_clients {
            clients
                .push(Lister { connection: http::Connection::open(members.leader).await?, request: request.clone() });
        }
        let seen = drive(clients, scale.load).await?;
        let what = format!("`GET /v2/apps`, {} apps, {n_clients} clients", scale.n_apps);
        table.push(Row::plain(format!("{what}, p50"), seen.p50_ms, "ms"));
        table.push(Row::plain(format!("{what}, p99"), seen.p99_ms, "ms"));
        lines.push(vec![n_clients.to_string(), figure(seen.rate), figure(seen.p50_ms), figure(seen.p99_ms)]);
    }
    table.push(Row::plain("its size", n_bytes as f64 / 1024.0, "KiB"));
    table.push(Row::plain("memory of the largest member after that", members.rss_mib()?, "MiB"));
    table.raw("The list", &["clients", "lists/s", "p50 ms", "p99 ms"], &lines);
    Ok(())
}

/// The process that is measured: prints by how many bytes that many running instances made it larger.
pub(crate) fn child(n_instances: &str) -> Result<()> {
    let n_instances: usize = n_instances.parse()?;
    let mut world = World::new(N_NODES);
    let before = rss("self")?;
    for n in 0..n_instances / 100 {
        world.apply(Command::PutApps { apps: vec![(app(n, 100, Mix::Mixed), Expect::Any)], force: false });
    }
    world.settle();
    world.run_all();
    world.settle();
    println!("{}", rss("self")?.saturating_sub(before));
    Ok(())
}

/// The `n`-th app of a list.
pub(crate) fn definition(n: usize) -> Value {
    json!({
        "id": format!("/team-{}/app-{n}", n % 40),
        "instances": 2,
        "cpus": 0.1,
        "mem": 64,
        "env": { "LOG_LEVEL": "info", "NUMBER": n.to_string(), "DATABASE": "postgres://db.internal:5432/orders" },
        "labels": { "team": format!("team-{}", n % 40), "tier": "backend" },
        "container": {
            "type": "DOCKER",
            "docker": { "image": format!("registry.example/team/app-{n}:1.0.{n}") },
            "portMappings": [{ "containerPort": 8080, "hostPort": 0, "name": "http" }],
        },
        "networks": [{ "mode": "container/bridge" }],
        "healthChecks": [{ "protocol": "HTTP", "path": "/health", "portIndex": 0 }],
    })
}

/// One client that asks for a list, over a connection of its own.
pub(crate) struct Lister {
    pub(crate) connection: http::Connection,
    pub(crate) request: Vec<u8>,
}

impl Client for Lister {
    async fn once(&mut self) -> Result<()> {
        let answer = self.connection.exchange(&self.request).await?;
        if answer.status != 200 {
            bail!("the list: {}", answer.status);
        }
        Ok(())
    }
}

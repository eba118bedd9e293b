//! How fast containers come, and come back: a bare client of the engine's API, Ekiden, and Docker Swarm.

use crate::Scale;
use crate::engine::{self, Engine, IMAGE};
use crate::http;
use crate::load::median;
use crate::process::{Process, Scratch, ekiden, free_ports};
use crate::report::{Row, Table, figure};
use anyhow::{Context as _, Result, bail};
use bollard::Docker;
use bollard::models::{ContainerCreateBody, EventMessage, ServiceSpec, SwarmInitRequest};
use bollard::query_parameters::{
    EventsOptionsBuilder, KillContainerOptionsBuilder, LeaveSwarmOptionsBuilder, ListServicesOptionsBuilder,
};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub(crate) const TITLE: &str = "Containers: from the command to all of them running";

const HOW: &str = "\
A Docker engine of the bench's own, in a network namespace of its own, so that nothing else on the machine's engine counts.
Bridge network, one published port, 32 MiB, the same small static image, already there.
*Bare* is a client of the engine's API that creates and starts containers with the same limits, so many at a time, \
and nothing else; the best concurrency is the one that all is compared with.
*Ekiden* is `ekiden dev`, from sending `POST /v2/apps` to `tasksRunning` in `GET /v2/apps/{id}`, asked every 10 ms.
*Swarm* is the engine's own, from creating the service to the number of running tasks, asked every 10 ms; \
its ports are published in mode `host`, which is what a bridge container's are; with its default routing mesh it is slower.
In turns, with all containers removed in between; a ratio is the median of the ratios of the rounds.
A replacement counts from the request to kill a container to the engine's event that another one started; \
an instance that is killed has lived longer than its app's backoff, so that no delay is due.
*Bare, killed* is the least that anybody can do: a client that hears the engine's event that a container has ended, and \
creates and starts another one at once, while the engine still tidies up after the first; how long the event itself \
takes is said for each.
";

/// How many containers the bare client has in the making at a time.
const CONCURRENCY: [usize; 3] = [4, 8, 12];
/// What a replacement is compared with.
const BARE: &str = "bare create and start";
const MEMORY: u64 = 32 << 20;
/// An app's instances while they are killed one by one.
const N_KILLED_FROM: usize = 3;

/// Runs the whole.
pub(crate) async fn run(table: &mut Table, scratch: &Scratch, scale: &Scale) -> Result<()> {
    table.section(TITLE);
    table.how(HOW);
    table.progress("starting a Docker engine of the bench's own");
    let engine = Engine::start(scratch).await?;
    let bench = Bench { engine, scratch };
    table.progress("warming up");
    bench.bare(4, 4).await?;
    bench.starts(table, scale).await?;
    bench.replacements(table, scale).await?;
    bench.update(table, scale).await
}

struct Bench<'a> {
    engine: Engine,
    scratch: &'a Scratch,
}

impl Bench<'_> {
    async fn starts(&self, table: &mut Table, scale: &Scale) -> Result<()> {
        let (n, n_rounds) = (scale.n_containers, scale.n_rounds);
        let mut seen: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for round in 1..=n_rounds {
            for concurrency in CONCURRENCY {
                let took = self.bare(n, concurrency).await?;
                note(table, &mut seen, round, &bare_name(concurrency), took);
            }
            note(table, &mut seen, round, "Swarm", self.swarm(n).await?);
            note(table, &mut seen, round, "Ekiden", self.ekiden(n).await?);
        }
        let best = CONCURRENCY.map(bare_name);
        let best = best.iter().min_by(|a, b| median_of(&seen, a).total_cmp(&median_of(&seen, b))).context("a best")?;
        let ratio = |name: &str| median(seen[name].iter().zip(&seen[best]).map(|(it, bare)| it / bare));
        table.push(Row::at_most(format!("{n} containers, Ekiden over {best}"), ratio("Ekiden"), 1.10, "×"));
        table.push(Row::plain(format!("{n} containers, Swarm over {best}"), ratio("Swarm"), "×"));
        let lines: Vec<_> = seen
            .iter()
            .map(|(name, times)| {
                let mut line =
                    vec![name.clone(), figure(median_of(&seen, name)), figure(n as f64 / median_of(&seen, name))];
                line.extend(times.iter().map(|it| figure(*it)));
                line
            })
            .collect();
        let rounds: Vec<_> = (1..=n_rounds).map(|it| format!("round {it}")).collect();
        let mut heads = vec!["who", "median", "containers/s"];
        heads.extend(rounds.iter().map(String::as_str));
        table.raw(&format!("Seconds to {n} running containers"), &heads, &lines);
        Ok(())
    }

    async fn replacements(&self, table: &mut Table, scale: &Scale) -> Result<()> {
        let n = scale.n_kills;
        let mut seen: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        table.progress(&format!("{n} single containers, bare"));
        for _ in 0..n {
            let mut events = Events::watch(&self.engine.docker).await?;
            let asked = Instant::now();
            create_and_start(&self.engine.docker, 0).await?;
            seen.entry(BARE.to_owned()).or_default().push(events.started_after(asked).await?.started);
        }
        self.engine.remove_all().await?;

        table.progress(&format!("{n} containers killed, bare"));
        for k in 0..N_KILLED_FROM {
            create_and_start(&self.engine.docker, k).await?;
        }
        let supervisor = tokio::spawn(replace_the_dead(self.engine.docker.clone()));
        let all_run = || async { until(N_KILLED_FROM, async || self.n_running().await).await };
        self.kill("bare, killed", n, &mut seen, all_run).await?;
        supervisor.abort();
        self.engine.remove_all().await?;

        table.progress(&format!("{n} containers killed, Ekiden"));
        let server = self.start_ekiden().await?;
        server.deploy(N_KILLED_FROM).await?;
        self.kill("Ekiden", n, &mut seen, || server.until_running(N_KILLED_FROM)).await?;
        drop(server);
        self.engine.remove_all().await?;

        for (name, delay) in [("Swarm, delay 0", Some(0)), ("Swarm, default delay", None)] {
            let n = if delay.is_some() { n } else { n.min(3) };
            table.progress(&format!("{n} containers killed, {name}"));
            let swarm = Swarm::init(&self.engine.docker).await?;
            swarm.create(N_KILLED_FROM, delay).await?;
            swarm.until_running(N_KILLED_FROM).await?;
            self.kill(name, n, &mut seen, || swarm.until_running(N_KILLED_FROM)).await?;
            swarm.leave().await?;
            self.engine.remove_all().await?;
        }

        let ratio = |name: &str| median_of(&seen, name) / median_of(&seen, BARE);
        table.push(Row::at_most("killed to replaced, Ekiden over a bare create and start", ratio("Ekiden"), 1.25, "×"));
        table.push(Row::plain("the same, bare: another one at the engine's event", ratio("bare, killed"), "×"));
        table.push(Row::plain("the same, Swarm with restart delay 0", ratio("Swarm, delay 0"), "×"));
        table.push(Row::plain("the same, Swarm by default", ratio("Swarm, default delay"), "×"));
        let lines: Vec<_> = seen
            .iter()
            .map(|(name, times)| {
                let all: Vec<_> = times.iter().map(|it| figure(it * 1e3)).collect();
                vec![name.clone(), figure(median_of(&seen, name) * 1e3), all.join(", ")]
            })
            .collect();
        table.raw("Milliseconds until the container, or its replacement, runs", &["who", "median", "each"], &lines);
        Ok(())
    }

    async fn n_running(&self) -> Result<u64> {
        Ok(self.engine.docker.list_containers(None).await?.len() as u64)
    }

    /// Kills the oldest container of a settled app, again and again; notes the times until another one started, and
    /// until the engine said that the first had ended, in seconds.
    async fn kill<F: Future<Output = Result<()>>>(
        &self,
        name: &str,
        n: usize,
        seen: &mut BTreeMap<String, Vec<f64>>,
        settled: impl Fn() -> F,
    ) -> Result<()> {
        for _ in 0..n {
            settled().await?;
            // Older than a backoff that has grown over all these failures.
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            let running = self.engine.docker.list_containers(None).await?;
            let oldest =
                running.into_iter().min_by_key(|it| it.created).and_then(|it| it.id).context("no container")?;
            let mut events = Events::watch(&self.engine.docker).await?;
            let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
            let asked = Instant::now();
            self.engine.docker.kill_container(&oldest, Some(options)).await?;
            let heard = events.started_after(asked).await?;
            seen.entry(name.to_owned()).or_default().push(heard.started);
            seen.entry(format!("{name}: of it the engine's event")).or_default().extend(heard.ended);
        }
        Ok(())
    }

    async fn bare(&self, n: usize, concurrency: usize) -> Result<f64> {
        let start = Instant::now();
        futures::stream::iter(0..n)
            .map(|k| create_and_start(&self.engine.docker, k))
            .buffer_unordered(concurrency)
            .try_collect::<Vec<_>>()
            .await?;
        let took = start.elapsed();
        self.engine.remove_all().await?;
        Ok(took.as_secs_f64())
    }

    async fn ekiden(&self, n: usize) -> Result<f64> {
        let server = self.start_ekiden().await?;
        let start = Instant::now();
        server.deploy(n).await?;
        let took = start.elapsed();
        drop(server);
        self.engine.remove_all().await?;
        Ok(took.as_secs_f64())
    }

    /// Updates an app one instance after the other: how long new instances live first is paid twice, not for each.
    async fn update(&self, table: &mut Table, scale: &Scale) -> Result<()> {
        let n = scale.n_kills;
        table.progress(&format!("an update of {n} containers, one after the other"));
        let server = self.start_ekiden().await?;
        server.deploy(n).await?;
        server.until_deployed().await?;
        let start = Instant::now();
        server.change("PUT", "/v2/apps//bench", &json!({ "env": { "VERSION": "2" } })).await?;
        server.until_deployed().await?;
        let took = start.elapsed().as_secs_f64();
        drop(server);
        self.engine.remove_all().await?;
        let waits = 2.0 * cluster::Settings::default().min_live_ms as f64 / 1e3;
        table.push(Row::plain(format!("an update of {n} containers, one after the other"), took, "s"));
        table.push(Row::plain(
            "of that beside the two waits for new instances to live, for each",
            (took - waits) / n as f64,
            "s",
        ));
        Ok(())
    }

    async fn swarm(&self, n: usize) -> Result<f64> {
        let swarm = Swarm::init(&self.engine.docker).await?;
        let start = Instant::now();
        swarm.create(n, None).await?;
        swarm.until_running(n).await?;
        let took = start.elapsed();
        swarm.leave().await?;
        self.engine.remove_all().await?;
        Ok(took.as_secs_f64())
    }

    /// `ekiden dev` on the bench's own engine, with its node there.
    async fn start_ekiden(&self) -> Result<Ekiden> {
        let [port] = free_ports()?;
        let listen = format!("127.0.0.1:{port}");
        let dir = self.scratch.fresh("ekiden-dev")?;
        let dir = dir.to_str().context("a path in UTF-8")?;
        let command = [&ekiden()?, "dev", "--data-dir", dir, "--listen", &listen];
        let host = engine::host();
        let envs = [("DOCKER_HOST", host.as_str()), ("EKIDEN_LOG", "info")];
        let mut process = Process::start(&command, &envs, &self.scratch.file("ekiden-dev.log"))?;
        let address = listen.parse()?;
        let start = Instant::now();
        while !is_ready(address).await {
            process.check()?;
            if start.elapsed() > Duration::from_secs(20) {
                bail!("ekiden dev has no node after 20 s; its log is target/bench/ekiden-dev.log");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // What it does when it starts is over.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Ekiden { _process: process, address })
    }
}

fn bare_name(concurrency: usize) -> String {
    format!("bare, {concurrency} at a time")
}

fn note(table: &Table, seen: &mut BTreeMap<String, Vec<f64>>, round: usize, name: &str, took: f64) {
    table.progress(&format!("round {round}: {name}: {took:.2} s"));
    seen.entry(name.to_owned()).or_default().push(took);
}

fn median_of(seen: &BTreeMap<String, Vec<f64>>, name: &str) -> f64 {
    median(seen[name].iter().copied())
}

/// Starts another container for each that ends, as soon as the engine says so.
async fn replace_the_dead(docker: Docker) -> Result<()> {
    let mut events = Events::watch(&docker).await?;
    while let Some((what, _)) = events.heard.recv().await {
        if what == What::Ended {
            create_and_start(&docker, 0).await?;
        }
    }
    Ok(())
}

async fn create_and_start(docker: &Docker, k: usize) -> Result<()> {
    let spec: ContainerCreateBody = serde_json::from_value(json!({
        "Image": IMAGE,
        "Env": [format!("N={k}")],
        "Labels": { "bench": "bare" },
        "ExposedPorts": { "8080/tcp": {} },
        "HostConfig": {
            "Memory": MEMORY,
            "CpuShares": 20,
            "PidsLimit": 4096,
            "PortBindings": { "8080/tcp": [{ "HostIp": "", "HostPort": "" }] },
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "10m", "max-file": "2" } },
        },
    }))?;
    let made = docker.create_container(None, spec).await?;
    docker.start_container(&made.id, None).await?;
    Ok(())
}

async fn is_ready(address: SocketAddr) -> bool {
    match http::ask(address, "GET", "/v3/nodes", "").await {
        Ok((200, nodes)) => nodes.get("nodes").unwrap_or(&nodes).as_array().is_some_and(|it| !it.is_empty()),
        _ => false,
    }
}

/// A running `ekiden dev`.
struct Ekiden {
    _process: Process,
    address: SocketAddr,
}

impl Ekiden {
    /// Posts the app, and waits until all its instances run.
    async fn deploy(&self, n: usize) -> Result<()> {
        let app = json!({
            "id": "/bench",
            "instances": n,
            "cpus": 0.02,
            "mem": 32,
            "container": {
                "type": "DOCKER",
                "docker": { "image": IMAGE },
                "portMappings": [{ "containerPort": 8080, "hostPort": 0 }],
            },
            "networks": [{ "mode": "container/bridge" }],
            "upgradeStrategy": { "minimumHealthCapacity": 1, "maximumOverCapacity": 0 },
        });
        self.change("POST", "/v2/apps", &app).await?;
        self.until_running(n).await
    }

    async fn change(&self, method: &str, path: &str, body: &serde_json::Value) -> Result<()> {
        let (status, answer) = http::ask(self.address, method, path, &body.to_string()).await?;
        if !(200..300).contains(&status) {
            bail!("{method} {path}: {status}: {answer}");
        }
        Ok(())
    }

    /// Waits until no deployment is under way.
    async fn until_deployed(&self) -> Result<()> {
        let mut connection = http::Connection::open(self.address).await?;
        let request = http::request("GET", "/v2/deployments", "");
        until(0, async || {
            let answer = connection.exchange(&request).await?;
            let list: serde_json::Value = serde_json::from_slice(answer.body)?;
            list.as_array().map(|it| it.len() as u64).with_context(|| format!("{}: {list}", answer.status))
        })
        .await
    }

    async fn until_running(&self, n: usize) -> Result<()> {
        let mut connection = http::Connection::open(self.address).await?;
        let request = http::request("GET", "/v2/apps//bench", "");
        until(n, async || {
            let answer = connection.exchange(&request).await?;
            let app: serde_json::Value = serde_json::from_slice(answer.body)?;
            app["app"]["tasksRunning"].as_u64().with_context(|| format!("{}: {app}", answer.status))
        })
        .await
    }
}

/// Asks until the number is reached.
async fn until(n: usize, mut running: impl AsyncFnMut() -> Result<u64>) -> Result<()> {
    let start = Instant::now();
    loop {
        let n_running = running().await?;
        if n_running == n as u64 {
            return Ok(());
        }
        if start.elapsed() > Duration::from_mins(3) {
            bail!("{n_running} after three minutes, and not {n}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The engine in swarm mode.
struct Swarm<'a> {
    docker: &'a Docker,
}

impl<'a> Swarm<'a> {
    async fn init(docker: &'a Docker) -> Result<Self> {
        let request: SwarmInitRequest =
            serde_json::from_value(json!({ "ListenAddr": "127.0.0.1:2377", "AdvertiseAddr": "127.0.0.1" }))?;
        docker.init_swarm(request).await?;
        // What it does when it starts is over.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(Self { docker })
    }

    /// `delay` is how long it waits before it starts a replacement, nanoseconds.
    async fn create(&self, n: usize, delay: Option<i64>) -> Result<()> {
        let service: ServiceSpec = serde_json::from_value(json!({
            "Name": "bench",
            "TaskTemplate": {
                "ContainerSpec": { "Image": IMAGE },
                "Resources": { "Limits": { "MemoryBytes": MEMORY, "Pids": 4096 } },
                "RestartPolicy": delay.map(|it| json!({ "Condition": "any", "Delay": it })),
            },
            "Mode": { "Replicated": { "Replicas": n } },
            "EndpointSpec": { "Ports": [{ "Protocol": "tcp", "TargetPort": 8080, "PublishMode": "host" }] },
        }))?;
        self.docker.create_service(service, None).await?;
        Ok(())
    }

    async fn until_running(&self, n: usize) -> Result<()> {
        until(n, async || {
            let options = ListServicesOptionsBuilder::new().status(true).build();
            let services = self.docker.list_services(Some(options)).await?;
            let status = services.into_iter().next().and_then(|it| it.service_status);
            Ok(status.and_then(|it| it.running_tasks).unwrap_or(0))
        })
        .await
    }

    async fn leave(self) -> Result<()> {
        self.docker.delete_service("bench").await?;
        self.docker.leave_swarm(Some(LeaveSwarmOptionsBuilder::new().force(true).build())).await?;
        Ok(())
    }
}

/// What the engine says of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Started,
    Ended,
}

/// Seconds from a request on.
struct Heard {
    /// Until a container had ended, where one did before.
    ended: Option<f64>,
    /// Until one started.
    started: f64,
}

/// The engine's events that a container started or ended, each with when the bench heard of it.
struct Events {
    heard: mpsc::UnboundedReceiver<(What, Instant)>,
    task: tokio::task::JoinHandle<()>,
}

impl Events {
    async fn watch(docker: &Docker) -> Result<Self> {
        let docker = docker.clone();
        let (say, heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let filters = HashMap::from([("type", vec!["container"]), ("event", vec!["start", "die"])]);
            let mut events = Box::pin(docker.events(Some(EventsOptionsBuilder::new().filters(&filters).build())));
            while let Some(Ok(EventMessage { action, .. })) = events.next().await {
                let what = if action.as_deref() == Some("die") { What::Ended } else { What::Started };
                if say.send((what, Instant::now())).is_err() {
                    return;
                }
            }
        });
        // The engine does not say when it begins to send.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(Self { heard, task })
    }

    /// The first start after a request, and the last end before it.
    async fn started_after(&mut self, asked: Instant) -> Result<Heard> {
        let mut ended = None;
        loop {
            let next = tokio::time::timeout(Duration::from_mins(1), self.heard.recv());
            let (what, at) =
                next.await.context("nothing started within a minute")?.context("the engine's events ended")?;
            let after = at.saturating_duration_since(asked).as_secs_f64();
            match what {
                What::Ended => ended = Some(after),
                What::Started => return Ok(Heard { ended, started: after }),
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

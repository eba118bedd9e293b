//! What a thousand readers of events cost a deployment, and whether each is told all of it.

use crate::Scale;
use crate::agents::Agents;
use crate::http;
use crate::load::median;
use crate::members::Members;
use crate::process::{Scratch, cpu_seconds};
use crate::report::{Row, Table, figure};
use anyhow::{Result, bail};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

pub(crate) const TITLE: &str = "Events: a deployment that a thousand read along";

const HOW: &str = "\
Three members, and 50 simulated agents whose instances run as soon as they are assigned.
An app is deployed, without readers and with them in turns, and removed again; \
it counts from sending `POST /v2/apps` to `GET /v2/deployments` being empty, asked every 10 ms.
A reader is a connection of its own to `GET /v2/events` at the leader, opened before; \
all are told when none has got anything for a second, and must then have got the same.
The readers have a thread of their own and only count; they share the two cores with the three members.
Memory is the leader's, its peak from the request on.
";

const N_NODES: usize = 50;
/// Readers that got nothing for so long have got all.
const QUIET: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_mins(3);

/// Runs the whole.
pub(crate) async fn run(table: &mut Table, scratch: &Scratch, scale: &Scale) -> Result<()> {
    table.section(TITLE);
    table.how(HOW);
    let members = Members::start(scratch).await?;
    let mut agents = Agents::start(members.link, N_NODES).await?;
    let mut rounds: [Vec<Round>; 2] = Default::default();
    // One that does not count, for what is only allocated once.
    Round::run(&members, scale.n_instances, 0).await?;
    for round in 1..=scale.n_rounds {
        for (n_readers, rounds) in [0, scale.n_readers].into_iter().zip(&mut rounds) {
            table.progress(&format!("round {round} with {n_readers} readers"));
            rounds.push(Round::run(&members, scale.n_instances, n_readers).await?);
            agents.check().await?;
        }
    }
    judge(table, scale, &rounds);
    Ok(())
}

/// What one deployment showed.
struct Round {
    /// Until it had ended.
    deployed: f64,
    /// Until the last reader had the last event.
    told: f64,
    /// Processor seconds of the leader, and of the bench.
    leader: f64,
    client: f64,
    /// Resident bytes of the leader before any reader came, before the deployment, and at most during it.
    memory: [u64; 3],
    /// Events that each reader got.
    events: Vec<u64>,
    n_bytes: u64,
    n_cut_off: usize,
}

impl Round {
    async fn run(members: &Members, n_instances: usize, n_readers: usize) -> Result<Self> {
        let leader = members.leading();
        let alone = leader.rss()?;
        let readers = Readers::open(members.leader, n_readers).await?;
        readers.quiet().await?;
        let before = readers.counts();
        let (bytes, attached) = (readers.n_bytes(), leader.rss()?);
        leader.forget_peak()?;
        let cpu = || (leader.cpu_seconds(), cpu_seconds("self"));
        let (leader_cpu, client_cpu) = cpu();

        let start = Instant::now();
        let (status, answer) = http::ask(members.leader, "POST", "/v2/apps", &app(n_instances)).await?;
        if status != 201 {
            bail!("POST /v2/apps: {status}: {answer}");
        }
        ended(members).await?;
        let deployed = start.elapsed().as_secs_f64();
        let last = readers.quiet().await?;
        let told = last.map_or(deployed, |it| (it - start).as_secs_f64());
        let (leader_end, client_end) = cpu();
        let memory = [alone, attached, leader.peak()?];
        let events = readers.counts().iter().zip(&before).map(|(now, before)| now - before).collect();
        let n_bytes = readers.n_bytes() - bytes;
        let n_cut_off = readers.n_cut_off();
        drop(readers);

        let (status, answer) = http::ask(members.leader, "DELETE", "/v2/apps//bench/read", "").await?;
        if status != 200 {
            bail!("DELETE /v2/apps: {status}: {answer}");
        }
        ended(members).await?;
        let (leader, client) = (leader_end - leader_cpu, client_end - client_cpu);
        Ok(Self { deployed, told, leader, client, memory, events, n_bytes, n_cut_off })
    }

    /// How many readers did not get what they should have.
    fn n_wrong(&self) -> usize {
        let most = self.events.iter().max().copied().unwrap_or(0);
        self.events.iter().filter(|it| **it != most).count().max(self.n_cut_off)
    }
}

fn judge(table: &mut Table, scale: &Scale, [alone, read]: &[Vec<Round>; 2]) {
    let of = |rounds: &[Round], of: fn(&Round) -> f64| median(rounds.iter().map(of));
    let mib = f64::from(1 << 20);
    let n_events = read.iter().filter_map(|it| it.events.iter().min()).min().copied().unwrap_or(0);
    let n_wrong = read.iter().map(Round::n_wrong).max().unwrap_or(0);
    let what = format!("deployment of {} instances", scale.n_instances);
    table.push(Row::plain(format!("{what}, no readers"), of(alone, |it| it.deployed), "s"));
    table.push(Row::plain(format!("{what}, {} readers", scale.n_readers), of(read, |it| it.deployed), "s"));
    table.push(Row::plain("until the last reader had the last event", of(read, |it| it.told), "s"));
    let least = 4.0 * scale.n_instances as f64;
    table.push(Row::at_least("events that every reader got, at least", n_events as f64, least, ""));
    table.push(Row::at_most("readers that got fewer than another, or were cut off", n_wrong as f64, 0.0, ""));
    table.push(Row::plain("leader's processor time, no readers", of(alone, |it| it.leader), "s"));
    table.push(Row::plain(
        format!("leader's processor time, {} readers", scale.n_readers),
        of(read, |it| it.leader),
        "s",
    ));
    let per = of(read, |it| it.leader * 1e6 / it.events.iter().sum::<u64>() as f64);
    table.push(Row::plain("the same per event that was sent", per, "µs"));
    table.push(Row::plain("leader's memory, no readers", of(read, |it| it.memory[0] as f64) / mib, "MiB"));
    table.push(Row::plain("its memory, all readers there", of(read, |it| it.memory[1] as f64) / mib, "MiB"));
    table.push(Row::plain("its memory at most during the deployment", of(read, |it| it.memory[2] as f64) / mib, "MiB"));
    let mut lines = Vec::new();
    for (n_readers, rounds) in [0, scale.n_readers].into_iter().zip([alone, read]) {
        for round in rounds {
            let events = round.events.iter().min().copied().unwrap_or(0);
            lines.push(vec![
                n_readers.to_string(),
                figure(round.deployed),
                figure(round.told),
                events.to_string(),
                round.n_wrong().to_string(),
                format!("{:.0}", round.n_bytes as f64 / mib),
                figure(round.leader),
                figure(round.client),
                figure(round.memory[2] as f64 / mib),
            ]);
        }
    }
    let heads = [
        "readers",
        "deployed s",
        "told s",
        "events each",
        "readers with fewer",
        "MiB sent",
        "leader's processor s",
        "bench's",
        "leader's memory MiB",
    ];
    table.raw("Each deployment", &heads, &lines);
}

fn app(n_instances: usize) -> String {
    json!({ "id": "/bench/read", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "instances": n_instances,
        "container": { "type": "DOCKER", "docker": { "image": "ekiden-demo:1" } } })
    .to_string()
}

/// Waits until nothing is being deployed.
pub(crate) async fn ended(members: &Members) -> Result<()> {
    let start = Instant::now();
    loop {
        let (status, answer) = http::ask(members.leader, "GET", "/v2/deployments", "").await?;
        if status == 200 && answer.as_array().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            bail!("the deployment does not end: {status}: {answer}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What one reader has got so far.
#[derive(Default)]
struct Reader {
    n_events: AtomicU64,
    n_bytes: AtomicU64,
    cut_off: AtomicBool,
}

/// Readers of events, on a thread of their own; they hang up when this is dropped.
struct Readers {
    all: Vec<Arc<Reader>>,
    runtime: Option<Runtime>,
}

impl Readers {
    /// Opens that many streams, all of them answered.
    async fn open(address: SocketAddr, n: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut readers = Self { all: Vec::new(), runtime: None };
        for _ in 0..n {
            let reader = Arc::new(Reader::default());
            readers.all.push(Arc::clone(&reader));
            runtime.spawn(async move {
                let _ = reader.read(address).await;
                reader.cut_off.store(true, Ordering::Relaxed);
            });
        }
        readers.runtime = Some(runtime);
        let start = Instant::now();
        while readers.counts().contains(&0) {
            if start.elapsed() > PATIENCE || readers.n_cut_off() > 0 {
                bail!("{} of {n} readers were not let in", readers.counts().iter().filter(|it| **it == 0).count());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(readers)
    }

    fn counts(&self) -> Vec<u64> {
        self.all.iter().map(|it| it.n_events.load(Ordering::Relaxed)).collect()
    }

    fn n_bytes(&self) -> u64 {
        self.all.iter().map(|it| it.n_bytes.load(Ordering::Relaxed)).sum()
    }

    fn n_cut_off(&self) -> usize {
        self.all.iter().filter(|it| it.cut_off.load(Ordering::Relaxed)).count()
    }

    /// Waits until nobody gets anything any more; when the last one did, if anybody.
    async fn quiet(&self) -> Result<Option<Instant>> {
        if self.all.is_empty() {
            return Ok(None);
        }
        let start = Instant::now();
        let (mut counts, mut last) = (self.counts(), start);
        while last.elapsed() < QUIET {
            if start.elapsed() > PATIENCE {
                bail!("readers are told more and more");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = self.counts();
            if now != counts {
                (counts, last) = (now, Instant::now());
            }
        }
        Ok(Some(last))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Reader {
    async fn read(&self, address: SocketAddr) -> Result<()> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /v2/events HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n").await?;
        let mut buffer = vec![0; 16 * 1024];
        // The last two bytes of what was read before stay in front: an event may begin across the seam.
        loop {
            let n = stream.read(&mut buffer[2..]).await?;
            if n == 0 {
                return Ok(());
            }
            self.n_bytes.fetch_add(n as u64, Ordering::Relaxed);
            self.n_events.fetch_add(n_events(&buffer[..n + 2]), Ordering::Relaxed);
            buffer.copy_within(n..n + 2, 0);
        }
    }
}

/// Counts lines that begin with `ev`, as `event: …` does; no chunk's size has a `v`, and JSON has no line's end.
fn n_events(text: &[u8]) -> u64 {
    let starts = text.iter().zip(&text[1..]).zip(&text[2..]);
    starts.filter(|((a, b), c)| **a == b'\n' && **b == b'e' && **c == b'v').count() as u64
}

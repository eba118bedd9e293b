//! How many changes three members accept, durably, beside etcd.

use crate::Scale;
use crate::etcd::{Etcd, Putter};
use crate::http;
use crate::load::{Client, Seen, drive, median};
use crate::members::Members;
use crate::process::{Process, Scratch};
use crate::report::{Row, Table, figure};
use anyhow::{Result, bail};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const TITLE: &str = "Commands: three members on one machine, beside etcd";

const HOW: &str = "\
Three members of either system on loopback with default settings and their data on the same disk, both there all the time, \
measured in turns.
A client has one connection to the leader and one request at a time.
*Ekiden*: acknowledged `PATCH /v2/apps/{id}?force=true` over HTTP/1.1, each client its own app, `instances` 1 and 2 in turns, \
so that each is a change: a new version and a new deployment that takes the place of the last one.
There are no nodes, so nothing is launched; the leader tries to place the instances all the same.
*etcd*: acknowledged `Put` of 256 bytes over gRPC, each client its own key.
The clients of both are handwritten and share one thread; what they cost of the two cores is said beside.
A ratio is the median of the ratios of the rounds.
What `perf` shows of it is [written down](decisions/0043-where-the-time-goes.md).
";

const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const N_ROUNDS: usize = 3;

/// Runs the whole.
pub(crate) async fn run(table: &mut Table, scratch: &Scratch, scale: &Scale) -> Result<()> {
    table.section(TITLE);
    table.how(HOW);
    table.progress("starting three members of Ekiden and of etcd");
    let members = Members::start(scratch).await?;
    let etcd = Etcd::start(scratch).await?;
    for n in 0..CLIENTS[CLIENTS.len() - 1] {
        create(members.leader, n).await?;
    }
    let mut seen: Vec<[Vec<Sample>; 2]> = CLIENTS.map(|_| [Vec::new(), Vec::new()]).into();
    let mut turn = 0;
    for round in 1..=N_ROUNDS {
        for (n_clients, seen) in CLIENTS.into_iter().zip(&mut seen) {
            let mut putters = Vec::new();
            for n in 0..n_clients {
                putters.push(Putter::connect(etcd.leader, &format!("bench/{n:05}")).await?);
            }
            let theirs = Sample::take(putters, &etcd.members, scale.load).await?;
            say(table, round, n_clients, "etcd", &theirs);

            let mut patchers = Vec::new();
            for n in 0..n_clients {
                patchers.push(Patcher::connect(members.leader, n, turn).await?);
            }
            turn += 1;
            let ours = Sample::take(patchers, &members.processes, scale.load).await?;
            say(table, round, n_clients, "Ekiden", &ours);
            seen[0].push(theirs);
            seen[1].push(ours);
        }
    }
    judge(table, &seen);
    table.push(Row::plain("memory of the largest member at the end", members.rss_mib()?, "MiB"));
    Ok(())
}

/// What one round of one number of clients showed.
struct Sample {
    seen: Seen,
    /// Processor time of all three members per command, microseconds.
    members_us: f64,
}

impl Sample {
    async fn take<C: Client>(clients: Vec<C>, members: &[Process], time: Duration) -> Result<Self> {
        let cpu_seconds = || members.iter().map(Process::cpu_seconds).sum::<f64>();
        let before = cpu_seconds();
        let seen = drive(clients, time).await?;
        Ok(Self { members_us: (cpu_seconds() - before) * 1e6 / seen.n_all as f64, seen })
    }
}

fn say(table: &Table, round: usize, n_clients: usize, who: &str, sample: &Sample) {
    let Seen { rate, p50_ms, p99_ms, client_us, .. } = sample.seen;
    table.progress(&format!(
        "round {round}, {n_clients} clients: {who}: {rate:.0}/s, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, \
         processor per command: members {:.0} µs, client {client_us:.0} µs",
        sample.members_us
    ));
}

fn judge(table: &mut Table, seen: &[[Vec<Sample>; 2]]) {
    let ratio = |n: usize, of: fn(&Sample) -> f64| {
        let [theirs, ours] = &seen[n];
        median(ours.iter().zip(theirs).map(|(ours, theirs)| of(ours) / of(theirs)))
    };
    let latency = ratio(0, |it| it.seen.p50_ms);
    table.push(Row::at_most("median latency at 1 client, Ekiden over etcd", latency, 0.9, "×"));
    for (n, n_clients) in CLIENTS.into_iter().enumerate() {
        let what = format!("throughput at {n_clients} clients, Ekiden over etcd");
        let rate = ratio(n, |it| it.seen.rate);
        table.push(if n_clients >= 64 { Row::at_least(what, rate, 2.0, "×") } else { Row::plain(what, rate, "×") });
    }
    let mut lines = Vec::new();
    for (n_clients, both) in CLIENTS.into_iter().zip(seen) {
        for (who, rounds) in ["etcd", "Ekiden"].into_iter().zip(both) {
            let of = |of: fn(&Sample) -> f64| figure(median(rounds.iter().map(of)));
            let rates: Vec<_> = rounds.iter().map(|it| figure(it.seen.rate)).collect();
            let mut line = vec![n_clients.to_string(), who.to_owned()];
            line.extend([
                of(|it| it.seen.rate),
                of(|it| it.seen.p50_ms),
                of(|it| it.seen.p99_ms),
                rates.join(", "),
                of(|it| it.members_us),
                of(|it| it.seen.client_us),
            ]);
            lines.push(line);
        }
    }
    let heads = [
        "clients",
        "who",
        "commands/s",
        "p50 ms",
        "p99 ms",
        "commands/s of each round",
        "members' processor µs",
        "client's",
    ];
    table.raw("Medians of the rounds, processor time per command", &heads, &lines);
}

async fn create(leader: SocketAddr, n: usize) -> Result<()> {
    let app = json!({ "id": format!("/bench/app-{n}"), "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "instances": 0,
        "container": { "type": "DOCKER", "docker": { "image": "ekiden-demo:1" } } });
    let (status, answer) = http::ask(leader, "POST", "/v2/apps", &app.to_string()).await?;
    if status != 201 {
        bail!("POST /v2/apps: {status}: {answer}");
    }
    Ok(())
}

/// One client that scales one app up and down, over a connection of its own.
struct Patcher {
    connection: http::Connection,
    requests: [Vec<u8>; 2],
    next: usize,
}

impl Patcher {
    async fn connect(address: SocketAddr, n: usize, turn: usize) -> Result<Self> {
        let requests = [1, 2].map(|instances| {
            let body = format!("{{\"instances\":{instances}}}");
            http::request("PATCH", &format!("/v2/apps//bench/app-{n}?force=true"), &body)
        });
        Ok(Self { connection: http::Connection::open(address).await?, requests, next: turn })
    }
}

impl Client for Patcher {
    async fn once(&mut self) -> Result<()> {
        self.next += 1;
        let answer = self.connection.exchange(&self.requests[self.next % 2]).await?;
        if answer.status != 200 {
            bail!("PATCH: {}: {}", answer.status, String::from_utf8_lossy(answer.body));
        }
        Ok(())
    }
}

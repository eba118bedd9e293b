//! How long whole groups take: to put, to put again, and to list with all that is in them.

use crate::Scale;
use crate::agents::Agents;
use crate::api::{Lister, definition};
use crate::http;
use crate::load::drive;
use crate::members::Members;
use crate::process::Scratch;
use crate::report::{Row, Table, figure};
use anyhow::{Result, bail};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(crate) const TITLE: &str = "Groups: thousands of apps in one request and in one answer";

const HOW: &str = "\
Three members, and 50 simulated agents whose instances run and are healthy as soon as they are assigned; \
apps as in the list of all apps, two instances each, ten to a group and ten such groups to the next.
A `PUT` carries a tenth of the apps of the largest list, in one request and one deployment; \
it counts from its first byte to the answer, and again, unchanged, when the deployment has ended.
A `GET` is linearizable, from one client over a connection that is kept, to the last byte; *groups* is \
`GET /v2/groups` with `embed` of `group.groups`, `group.apps`, `group.apps.deployments`, `group.apps.counts` and \
`group.apps.readiness`, *tasks* is `GET /v2/apps?embed=apps.tasks`.
The worst includes the first, which prints all definitions; later ones find them printed.
Memory is by how much the leader's peak of resident memory during all the `GET`s of a line is above what it had before \
them, over the bytes of one answer.
Before the long lists all members are killed and start again, so that the leader has printed nothing yet and holds \
nothing that it freed.
";

const N_NODES: usize = 50;
const N_PUTS: usize = 10;
const LISTS: [(&str, &str); 2] = [
    ("tasks", "/v2/apps?embed=apps.tasks"),
    (
        "groups",
        "/v2/groups?embed=group.groups&embed=group.apps&embed=group.apps.deployments&embed=group.apps.counts\
         &embed=group.apps.readiness",
    ),
];

/// Runs the whole.
pub(crate) async fn run(table: &mut Table, scratch: &Scratch, scale: &Scale) -> Result<()> {
    table.section(TITLE);
    table.how(HOW);
    let mut members = Members::start(scratch).await?;
    let mut agents = Agents::start(members.link, N_NODES).await?;
    let mut lists = Vec::new();
    let mut puts = Vec::new();
    for n in 0..N_PUTS {
        table.progress(&format!("group {} of {N_PUTS} with {} apps", n + 1, scale.n_apps));
        let body = part(n, scale.n_apps);
        puts.push(put(&members, &mut agents, n, &body).await?);
        if n == 0 {
            report_put(table, scale.n_apps, body.len(), &puts[0]);
            lists.extend(list(table, &members, scale, scale.n_apps, false).await?);
        }
    }
    table.progress("members that start again");
    drop(agents);
    members = members.restarted().await?;
    let mut agents = Agents::start(members.link, N_NODES).await?;
    lists.extend(list(table, &members, scale, N_PUTS * scale.n_apps, true).await?);
    agents.check().await?;
    let heads = ["apps", "list", "KiB", "first ms", "p50 ms", "p99 ms", "worst ms", "memory + KiB"];
    table.raw("The lists", &heads, &lists);
    let lines: Vec<_> = puts
        .iter()
        .enumerate()
        .map(|(n, it)| vec![(n * scale.n_apps).to_string(), ms(it.took), ms(it.again), ms(it.deployed)])
        .collect();
    table.raw("Each `PUT`", &["apps there before", "answered ms", "again ms", "deployed ms"], &lines);
    Ok(())
}

/// What putting a group showed.
struct Put {
    took: Duration,
    again: Duration,
    /// Until all its instances were healthy.
    deployed: Duration,
    n_steps_again: usize,
}

fn report_put(table: &mut Table, n_apps: usize, n_bytes: usize, put: &Put) {
    let what = format!("`PUT /v2/groups`, {n_apps} apps, {} KiB", n_bytes / 1024);
    table.push(Row::plain(format!("{what}: answered"), put.took.as_secs_f64() * 1e3, "ms"));
    table.push(Row::plain("the same: all instances healthy", put.deployed.as_secs_f64() * 1e3, "ms"));
    table.push(Row::plain("the same again, unchanged: answered", put.again.as_secs_f64() * 1e3, "ms"));
    table.push(Row::at_most("its steps", put.n_steps_again as f64, 0.0, ""));
}

/// A group of groups of apps; the `n`-th.
fn part(n: usize, n_apps: usize) -> String {
    let app = |k: usize| {
        let mut app = definition(n * n_apps + k);
        app["id"] = json!(format!("app-{k}"));
        // The ports that are chosen are as many as these apps, and others may want one too.
        app["container"]["portMappings"][0]["servicePort"] = json!(20_000 + n * n_apps + k);
        app
    };
    let inner =
        |k: usize| json!({ "id": format!("team-{k}"), "apps": (0..10).map(|it| app(k * 10 + it)).collect::<Vec<_>>() });
    let outer = |k: usize| {
        let first = k * 10;
        json!({ "id": format!("area-{k}"), "groups": (first..first + 10).map(inner).collect::<Vec<_>>() })
    };
    let groups: Vec<Value> = (0..n_apps / 100).map(outer).collect();
    json!({ "id": format!("/part-{n}"), "groups": groups }).to_string()
}

/// Puts a group, waits for its deployment, and puts it again.
async fn put(members: &Members, agents: &mut Agents, n: usize, body: &str) -> Result<Put> {
    let path = format!("/v2/groups//part-{n}");
    // The first is put into the root.
    let path = if n == 0 { "/v2/groups" } else { &path };
    let start = Instant::now();
    accepted(members, path, body).await?;
    let took = start.elapsed();
    while under_way(members).await? > 0 {
        agents.check().await?;
        if start.elapsed() > Duration::from_mins(1) {
            bail!("the deployment of {path} does not end");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let deployed = start.elapsed();
    let dry = accepted(members, &format!("{path}?dryRun=true"), body).await?;
    let start = Instant::now();
    accepted(members, path, body).await?;
    let again = start.elapsed();
    let n_started = under_way(members).await?;
    let n_steps = dry["steps"].as_array().map_or(0, Vec::len);
    Ok(Put { took, again, deployed, n_steps_again: n_steps + n_started })
}

async fn accepted(members: &Members, path: &str, body: &str) -> Result<Value> {
    let (status, answer) = http::ask(members.leader, "PUT", path, body).await?;
    if status != 200 {
        bail!("PUT {path}: {status}: {answer}");
    }
    Ok(answer)
}

/// How many deployments there are.
async fn under_way(members: &Members) -> Result<usize> {
    let (status, answer) = http::ask(members.leader, "GET", "/v2/deployments", "").await?;
    match answer.as_array() {
        Some(deployments) if status == 200 => Ok(deployments.len()),
        _ => bail!("GET /v2/deployments: {status}: {answer}"),
    }
}

/// Measures both lists; the bounds are on the long ones.
async fn list(
    table: &mut Table,
    members: &Members,
    scale: &Scale,
    n_apps: usize,
    bounded: bool,
) -> Result<Vec<Vec<String>>> {
    let mut lines = Vec::new();
    for (name, path) in LISTS {
        let leader = members.leading();
        let request = http::request("GET", path, "");
        let before = leader.rss()?;
        leader.forget_peak()?;
        let mut connection = http::Connection::open(members.leader).await?;
        let start = Instant::now();
        let n_bytes = connection.exchange(&request).await?.body.len();
        let first_ms = start.elapsed().as_secs_f64() * 1e3;
        let seen = drive(vec![Lister { connection, request }], scale.load).await?;
        let grown = leader.peak()?.saturating_sub(before);
        let worst_ms = seen.worst_ms.max(first_ms);
        let what = format!("{name}, {n_apps} apps");
        let row = |what: String, value: f64, bound: f64, unit| {
            if bounded { Row::at_most(what, value, bound, unit) } else { Row::plain(what, value, unit) }
        };
        table.push(Row::plain(format!("{what}, p50"), seen.p50_ms, "ms"));
        table.push(row(format!("{what}, p99"), seen.p99_ms, 1_000.0, "ms"));
        table.push(row(format!("{what}, worst"), worst_ms, 1_000.0, "ms"));
        table.push(row(format!("{what}, memory over bytes sent"), grown as f64 / n_bytes as f64, 2.0, "×"));
        let kib = |bytes: f64| format!("{:.0}", bytes / 1024.0);
        lines.push(vec![
            n_apps.to_string(),
            name.to_owned(),
            kib(n_bytes as f64),
            figure(first_ms),
            figure(seen.p50_ms),
            figure(seen.p99_ms),
            figure(worst_ms),
            kib(grown as f64),
        ]);
    }
    Ok(lines)
}

fn ms(time: Duration) -> String {
    figure(time.as_secs_f64() * 1e3)
}

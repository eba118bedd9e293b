//! What many agents cost the leader: at rest, all at once, and when a tenth of them is lost.

use crate::Scale;
use crate::agents::Agents;
use crate::api::definition;
use crate::events;
use crate::http;
use crate::members::Members;
use crate::process::{Scratch, as_root, open_files_max};
use crate::report::{Row, Table};
use anyhow::{Result, bail};
use serde_json::json;
use std::time::{Duration, Instant};

pub(crate) const TITLE: &str = "Agents: thousands of them, at rest, all at once, and a tenth lost";

const HOW: &str = "\
Three members, and simulated agents over loopback with 50 instances each, which run and are healthy as soon as they are \
assigned; default settings, so each agent gives a sign of life every 833 ms and is given up after 10 s.
*At rest* nothing happens but signs of life.
*All at once*: every member is killed and starts again, and all agents dial the new leader in the same moment; \
it is over when each has all its assignments and what it sees is in the log.
*A tenth lost*: that many agents hang up in the same moment; it is over when as many instances as before run on the \
others. The 10 s until the first is given up are in it.
Processor time is the leader's own.
";

const PER_NODE: usize = 50;
const PER_APP: usize = 100;
/// No step takes longer.
const PATIENCE: Duration = Duration::from_mins(3);

/// Runs the whole.
pub(crate) async fn run(table: &mut Table, scratch: &Scratch, scale: &Scale) -> Result<()> {
    table.section(TITLE);
    table.how(HOW);
    let n_nodes = scale.n_nodes;
    let n_instances = (n_nodes * PER_NODE) as u64;
    // Each agent is a connection, here and at the leader.
    let needed = n_nodes as u64 + 1_000;
    if open_files_max()? < needed {
        as_root(&["prlimit", "--pid", &std::process::id().to_string(), &format!("--nofile={needed}:{needed}")])?;
    }
    let members = Members::start(scratch).await?;
    table.progress(&format!("{n_nodes} agents with {n_instances} instances"));
    let mut agents = Agents::start(members.link, n_nodes).await?;
    let begun = Instant::now();
    for n in 0..n_nodes * PER_NODE / PER_APP {
        let mut app = definition(n);
        app["instances"] = json!(PER_APP);
        let (status, answer) = http::ask(members.leader, "POST", "/v2/apps", &app.to_string()).await?;
        if status != 201 {
            bail!("POST /v2/apps: {status}: {answer}");
        }
    }
    until(&mut agents, |it| it.n_running() == n_instances).await?;
    let took = begun.elapsed().as_secs_f64();
    let what = format!("{n_nodes} agents, {n_instances} instances");
    table.push(Row::plain(format!("{what}: put and assigned, all of them"), took, "s"));

    table.progress("at rest");
    events::ended(&members).await?;
    let leader = members.leading();
    let (begun, before) = (Instant::now(), leader.cpu_seconds());
    tokio::time::sleep(scale.load.max(Duration::from_secs(1)) * 2).await;
    let busy = (leader.cpu_seconds() - before) / begun.elapsed().as_secs_f64();
    table.push(Row::at_most("at rest: leader's processor time per second", busy * 1e3, 100.0, "ms"));
    agents.check().await?;

    table.progress("all at once");
    drop(agents);
    let members = members.restarted().await?;
    let leader = members.leading();
    let (begun, before) = (Instant::now(), leader.cpu_seconds());
    let mut agents = Agents::storm(members.link, n_nodes);
    until(&mut agents, |it| it.n_settled() == n_nodes as u64).await?;
    table.push(Row::plain("all at once: until the last is settled", begun.elapsed().as_secs_f64(), "s"));
    table.push(Row::plain("leader's processor time for that", leader.cpu_seconds() - before, "s"));

    table.progress("a tenth lost");
    events::ended(&members).await?;
    let (begun, before) = (Instant::now(), leader.cpu_seconds());
    agents.hang_up(n_nodes / 10);
    until(&mut agents, |it| it.n_running() < n_instances).await?;
    until(&mut agents, |it| it.n_running() == n_instances).await?;
    table.push(Row::plain("a tenth lost: until all instances run again", begun.elapsed().as_secs_f64(), "s"));
    table.push(Row::plain("leader's processor time for that", leader.cpu_seconds() - before, "s"));
    Ok(())
}

async fn until(agents: &mut Agents, is_so: impl Fn(&Agents) -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_so(agents) {
        agents.check().await?;
        if begun.elapsed() > PATIENCE {
            bail!("after {PATIENCE:?} {} run, {} are settled", agents.n_running(), agents.n_settled());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

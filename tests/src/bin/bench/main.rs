//! `make bench`: measures, prints a table, and writes it to `docs/benchmarks.md`.
//!
//! ```text
//! bench [--quick] [SECTION...]      plan containers commands api groups events agents; all where none is named
//! ```
//! With `--quick` it shows in a minute that everything works, and writes nothing.

mod agents;
mod api;
mod commands;
mod containers;
mod engine;
mod etcd;
mod events;
mod fleet;
mod groups;
mod http;
mod load;
mod machine;
mod members;
mod plan;
mod process;
mod report;

use anyhow::{Context as _, Result, bail};
use process::Scratch;
use report::Table;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The sections in the order of the document.
const SECTIONS: [(&str, &str); 7] = [
    ("plan", PLAN),
    ("containers", containers::TITLE),
    ("commands", commands::TITLE),
    ("api", api::TITLE),
    ("groups", groups::TITLE),
    ("events", events::TITLE),
    ("agents", fleet::TITLE),
];

const PLAN: &str = "Deciding: plan + place + apply, one core";
const PLAN_HOW: &str = "\
In one thread, without disk, network or raft: from apps that were put into an empty cluster to all instances placed, \
and from one more wanted instance of an app to its placement in a settled cluster.
Nodes of four sizes in 50 racks; apps of 100 instances each, in 16 sizes.
*Mixed* is a quarter each of no constraint, `GROUP_BY`, `UNIQUE` and `LIKE`.
";

/// How much is measured.
struct Scale {
    n_containers: usize,
    n_rounds: usize,
    n_kills: usize,
    /// One round of one number of clients.
    load: Duration,
    n_apps: usize,
    n_instances: usize,
    n_readers: usize,
    n_nodes: usize,
}

const FULL: Scale = Scale {
    n_containers: 50,
    n_rounds: 3,
    n_kills: 10,
    load: Duration::from_secs(4),
    n_apps: 1_000,
    n_instances: 1_000,
    n_readers: 1_000,
    n_nodes: 2_000,
};
const QUICK: Scale = Scale {
    n_containers: 5,
    n_rounds: 1,
    n_kills: 2,
    load: Duration::from_millis(500),
    n_apps: 100,
    n_instances: 100,
    n_readers: 100,
    n_nodes: 100,
};

fn main() -> ExitCode {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    if let [first, n] = wanted.as_slice()
        && first == api::CHILD
    {
        return done(api::child(n));
    }
    let quick = wanted.iter().any(|it| it == "--quick");
    wanted.retain(|it| it != "--quick");
    // One thread: the load generator shall leave the processor to those that it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let result = runtime.block_on(interruptible(&wanted, quick));
    // What decides in a thread of its own cannot be interrupted.
    runtime.shutdown_background();
    done(result)
}

fn done(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until done, or until somebody wants it to end; then all it started is ended first.
async fn interruptible(wanted: &[String], quick: bool) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = run(wanted, quick) => result,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn run(wanted: &[String], quick: bool) -> Result<()> {
    if let Some(unknown) = wanted.iter().find(|it| SECTIONS.iter().all(|(name, _)| name != it)) {
        bail!("no section {unknown}; there are plan containers commands api groups events agents");
    }
    let scratch = Scratch::take()?;
    let scale = if quick { &QUICK } else { &FULL };
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let disk = scratch.fresh("disk")?;
    let head = machine::head(&disk);
    let titles = SECTIONS.map(|(_, title)| title);
    let mut summary = String::new();
    for (name, title) in SECTIONS {
        if !wanted.is_empty() && !wanted.iter().any(|it| it == name) {
            continue;
        }
        let when = machine::now().context("no date, or no load average")?;
        let mut table = Table::default();
        match name {
            "plan" => {
                table = tokio::task::spawn_blocking(move || {
                    table.section(title);
                    table.how(PLAN_HOW);
                    plan::run(&mut table);
                    table
                })
                .await?;
            }
            "containers" => containers::run(&mut table, &scratch, scale).await?,
            "commands" => commands::run(&mut table, &scratch, scale).await?,
            "groups" => groups::run(&mut table, &scratch, scale).await?,
            "events" => events::run(&mut table, &scratch, scale).await?,
            "agents" => fleet::run(&mut table, &scratch, scale).await?,
            _ => api::run(&mut table, &scratch, scale).await?,
        }
        summary.push_str(&table.summary());
        if !quick {
            table.write(&document, &head, &when, &titles)?;
        }
    }
    println!("{summary}");
    Ok(())
}

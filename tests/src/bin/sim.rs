//! Plays simulated worlds: one seed with its story, or many with a line of progress.
//!
//! ```text
//! sim --seed 7              replays one seed, prints its story, and the promise that it breaks, if it does
//! sim --seeds 1..1000       plays many, on all cores
//! sim … --mutant NAME       with a planted fault (docs/testing.md lists them)
//! ```
//! Ends with 0 where every promise was kept, with 1 where one was broken, with 2 where it was not understood.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tests::mutants::Mutant;
use tests::sim::world::{Figures, Verdict, play};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|it| it == name)?;
        args.get(at + 1).map(String::as_str)
    };
    let mutant = match value("--mutant").map(Mutant::parse) {
        Some(None) => return usage(),
        Some(it) => it,
        None => None,
    };
    let quiet = args.iter().any(|it| it == "--quiet");
    if let Some(seed) = value("--seed").and_then(|it| it.parse().ok()) {
        return one(seed, mutant, quiet);
    }
    match value("--seeds").and_then(|it| it.split_once("..")).map(|(a, b)| (a.parse(), b.parse())) {
        Some((Ok(first), Ok(end))) if first < end => many(first, end, mutant),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: sim --seed N [--quiet] | --seeds A..B  [--mutant NAME]");
    ExitCode::from(2)
}

fn one(seed: u64, mutant: Option<Mutant>, quiet: bool) -> ExitCode {
    let verdict = play(seed, mutant, !quiet);
    let mut out = std::io::stdout().lock();
    for line in &verdict.trace {
        // Whoever closed the pipe has read enough.
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "{:?}, trace {:016x}", verdict.figures, verdict.hash);
    end(&verdict)
}

fn many(first: u64, end_: u64, mutant: Option<Mutant>) -> ExitCode {
    let start = Instant::now();
    let next = AtomicU64::new(first);
    let work = || {
        let mut verdicts = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end_ {
                return verdicts;
            }
            let verdict = play(seed, mutant, false);
            if verdict.violation.is_some() {
                end(&verdict);
            }
            if (seed - first) % 50 == 49 {
                eprintln!("{} worlds in {:.0} s", seed - first + 1, start.elapsed().as_secs_f64());
            }
            verdicts.push(verdict);
        }
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|it| it.join().expect("a world does not panic")).collect()
    });
    let broken = verdicts.iter().filter(|it| it.violation.is_some()).count();
    let sum = |of: fn(&Figures) -> u64| verdicts.iter().map(|it| of(&it.figures)).sum::<u64>();
    println!(
        "{} worlds, {broken} broke a promise; {:.1} simulated hours, {} faults, {} log entries, {} containers \
         started, {} of {} requests answered, {} reads; {:.0} s",
        verdicts.len(),
        sum(|it| it.simulated_ms) as f64 / 3_600_000.0,
        sum(|it| it.faults),
        sum(|it| it.entries),
        sum(|it| it.starts),
        sum(|it| it.answered),
        sum(|it| it.asked),
        sum(|it| it.reads),
        start.elapsed().as_secs_f64(),
    );
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn end(verdict: &Verdict) -> ExitCode {
    match &verdict.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("seed {} broke a promise. {violation}\nreplay: make sim SEED={}", verdict.seed, verdict.seed);
            ExitCode::FAILURE
        }
    }
}

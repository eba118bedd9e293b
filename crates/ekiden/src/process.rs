//! What every kind of process shares: its runtime, its end by a signal, and its exit code.

use crate::config::{LogConfig, Violations};
use crate::{files, logs, panics};
use anyhow::Context;
use api::logging::Logging;
use std::future::Future;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a wrong configuration; `sysexits.h` calls it `EX_CONFIG`. The systemd units do not start again after it.
const CONFIGURATION: u8 = 78;

/// Threads of a daemon that run its tasks. The replica and slow file operations have threads of their own.
const WORKERS_MAX: usize = 4;

/// File operations of agents are few and short.
const BLOCKING_THREADS_MAX: usize = 16;

/// After the roles have ended, what is left has so long: nothing of it is worth waiting for.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_millis(500);

/// Configures a daemon, runs it until a signal or its own end, and returns its exit code.
pub(crate) fn daemon<C, F>(
    prepare: impl FnOnce() -> Result<(C, LogConfig), Violations>,
    run: impl FnOnce(C, Arc<dyn Logging>, CancellationToken) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    let (config, log) = match prepare() {
        Ok(prepared) => prepared,
        Err(violations) => {
            say(&violations.to_string());
            return ExitCode::from(CONFIGURATION);
        }
    };
    let logging = logs::start(log);
    panics::end_the_process();
    files::raise_limit();
    match run_until_signal(|shutdown| run(config, logging, shutdown)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tracing::error!("{err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_until_signal<F>(run: impl FnOnce(CancellationToken) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let n_workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, WORKERS_MAX);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(n_workers)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    let done = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let running = run(shutdown.clone());
        tokio::pin!(running);
        loop {
            let name = tokio::select! {
                done = &mut running => return done,
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if shutdown.is_cancelled() {
                tracing::warn!("{name} again: ending at once");
                return Ok(());
            }
            tracing::info!("{name}: ending; containers run on");
            shutdown.cancel();
        }
    });
    runtime.shutdown_timeout(LEFTOVERS_TIMEOUT);
    done
}

/// Runs a verb and returns its exit code.
pub(crate) fn verb(args: ctl::Args, program: &mut clap::Command) -> ExitCode {
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(err) => {
            say(&format!("error: cannot start: {err}\n"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async { ctl::run(args, program, &mut ctl::Io::of_process()).await });
    // A read of stdin or a name look-up may still be under way.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Tells people something on stderr; where there is none, nobody misses it.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

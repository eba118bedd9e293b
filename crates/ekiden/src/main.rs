//! Ekiden: one binary for the control plane, the machines and the operators.
//!
//! [`main`] lists everything it can do. `config/*` says what is typed, in which places, and what it means;
//! `dev`, `server` and `agent` put the parts of a process together and take them apart again.

mod agent;
mod cli;
mod config;
mod dev;
mod files;
mod logs;
mod panics;
mod process;
mod server;
mod ui;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A command makes and drops some hundred small things, the last of them often on another thread than the one that
/// made them; the C library's allocator takes a quarter of a member's time with that (docs/decisions/0039).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(err) => return cli::refuse(err),
    };
    match cli.command {
        Command::Dev(args) => process::daemon(|| dev::prepare(args), dev::run),
        Command::Server(args) => process::daemon(|| server::prepare(args), server::run),
        Command::Agent(args) => {
            process::daemon(|| agent::prepare(args), |config, _, shutdown| agent::run(config, shutdown))
        }
        Command::Verb(verb) => process::verb(ctl::Args { global: cli.global, verb }, &mut Cli::command()),
    }
}

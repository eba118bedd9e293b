//! The command line's grammar: three roles of a process, and every verb of the operators.

use crate::config::{AgentArgs, DevArgs, ServerArgs};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Exit code of a wrong command line; `sysexits.h` calls it `EX_USAGE`.
const USAGE: u8 = 64;

/// Runs containers on many machines, as Marathon did
#[derive(Debug, Parser)]
#[command(name = "ekiden", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: ctl::Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Try it: `ekiden dev` in one terminal, `ekiden deploy deploy/demo/web.json --wait` in another.
Exit codes of the verbs: 0 done or unchanged, 1 unexpected, 3 deployment failed, 4 waited long enough,
5 rolled back, 6 locked or changed meanwhile, 8 no node takes it, 9 cancelled or superseded, 64 usage,
65 app invalid, 66 not found, 69 no server or leader, 75 try again later, 130 interrupted.";

/// Everything that the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process, on the local Docker engine: to try out and to develop
    #[command(display_order = 1)]
    Dev(DevArgs),
    /// Run a member of the control plane
    #[command(display_order = 2)]
    Server(ServerArgs),
    /// Run a machine's agent
    #[command(display_order = 3)]
    Agent(AgentArgs),
    #[command(flatten)]
    Verb(ctl::Verb),
}

/// Prints help, the version or what is wrong with the command line.
pub(crate) fn refuse(err: &clap::Error) -> ExitCode {
    // A closed pipe behind `--help` is no failure.
    let _ = err.print();
    if err.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_and_after_a_verb() {
        for line in ["ekiden -o json app list", "ekiden app list -o json", "ekiden app -o json list"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.global.output, ctl::Output::Json, "{line}");
        }
    }
}

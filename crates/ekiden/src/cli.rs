//! The command line's grammar: three roles of a process, and every verb of the operators.

use crate::config::{AgentArgs, DevArgs, ServerArgs};
use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Exit code of a wrong command line; `sysexits.h` calls it `EX_USAGE`.
const USAGE: u8 = 64;

/// Runs containers on many machines, as Marathon did
#[derive(Debug, Parser)]
#[command(name = "ekiden", version, max_term_width = 100, after_help = AFTER_HELP, disable_help_flag = true)]
pub(crate) struct Cli {
    /// Print help
    #[arg(short, long, global = true, action = ArgAction::HelpShort)]
    help: Option<bool>,
    #[command(flatten)]
    pub(crate) global: ctl::Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Try it: `ekiden dev` in one terminal, `ekiden deploy deploy/demo/web.json --wait` in another.

Exit codes of the verbs: 0 done or unchanged, 1 unexpected, 3 deployment failed, 4 waited long enough, 5 rolled \
back, 6 locked or changed meanwhile, 8 no node takes it, 9 cancelled or superseded, 64 usage, 65 app invalid, 66 not \
found, 69 no server or leader, 75 try again later, 130 interrupted.";

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
pub(crate) fn refuse(err: clap::Error) -> ExitCode {
    // clap takes what the environment says for typed: it would leave out the help of an incomplete line.
    let typed = || Cli::command().mut_arg("url", |it| it.env(None::<&str>)).try_get_matches().err();
    let err = if err.use_stderr() { typed().unwrap_or(err) } else { err };
    // A closed pipe behind `--help` is no failure.
    let _ = err.print();
    if err.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// `docs/cli.md`, which users read in place of this.
    const REFERENCE: &str = include_str!("../../../docs/cli.md");

    #[test]
    fn the_reference_names_every_verb() {
        let cli = Cli::command();
        // The daemons, and the same verbs behind another word.
        let others = ["dev", "server", "agent", "marathon"];
        assert!(REFERENCE.contains("marathon"));
        for verb in cli.get_subcommands().filter(|it| !others.contains(&it.get_name())) {
            let below: Vec<_> = verb.get_subcommands().filter(|it| !it.is_hide_set()).collect();
            let nouns = below.iter().map(|it| format!("{} {}", verb.get_name(), it.get_name()));
            let lines = if below.is_empty() { vec![verb.get_name().to_owned()] } else { nouns.collect() };
            for line in lines {
                assert!(REFERENCE.contains(&format!("`{line}")), "docs/cli.md does not name `{line}`");
            }
        }
    }

    #[test]
    fn the_reference_names_every_exit_code() {
        use ctl::error::Kind;
        let kinds = [
            Kind::Unexpected,
            Kind::Failed,
            Kind::TimedOut,
            Kind::RolledBack,
            Kind::Locked,
            Kind::CannotPlace,
            Kind::Overtaken,
            Kind::Usage,
            Kind::Invalid,
            Kind::NotFound,
            Kind::Unreachable,
            Kind::Temporary,
            Kind::Interrupted,
        ];
        let named =
            |code: u8| REFERENCE.contains(&format!("\n| {code} | ")) && AFTER_HELP.contains(&format!(" {code} "));
        for code in kinds.map(Kind::code).into_iter().chain([0]) {
            assert!(named(code), "docs/cli.md or --help does not name exit code {code}");
        }
    }
}

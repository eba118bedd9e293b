//! The operators' verbs: what people and CI jobs do to a cluster, by its HTTP API alone.
//!
//! | read | to learn |
//! |---|---|
//! | [`Verb`] | everything there is to do |
//! | `verbs/*` | how each is done: one verb, one file |
//! | `session` | what all verbs share: the cluster, the streams, how to print |
//! | `follow`, `progress` | how a deployment is watched until its end |
//! | [`error`] | which exit code means what |
//!
//! Data goes to stdout, progress and hints to stderr. What a verb needs of the process (streams, terminal, clock,
//! interruption) comes in by [`Io`], so that tests see exactly what a user sees.

mod diff;
pub mod error;
mod file;
mod follow;
mod io;
mod progress;
mod remote;
mod session;
mod sse;
mod stream;
mod table;
mod text;
mod verbs;

use clap::{Args as _, ValueEnum};

pub use io::{Io, Pace};
pub use text::parse_duration;
pub use verbs::Verb;

use error::Kind;
use session::Session;

/// Options of every verb, as typed.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// The cluster's servers, separated by commas; the first that answers is used
    #[arg(long, global = true, env = "EKIDEN_URL", default_value = "http://127.0.0.1:8080", value_name = "URL,…")]
    pub url: String,
    /// How data is printed on stdout
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub output: Output,
    /// As in the DC/OS CLI: the same as `-o json`
    #[arg(long, global = true, hide = true)]
    pub json: bool,
    /// Tables without their heading
    #[arg(long, global = true)]
    pub no_headers: bool,
    /// Neither progress nor hints; errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Colour on terminals (auto); NO_COLOR turns it off too
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// Ask no questions
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people
    #[default]
    Table,
    /// The same with full ids and versions
    Wide,
    /// JSON for programs
    Json,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On terminals
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A command line, as typed.
#[derive(Clone, Debug)]
pub struct Args {
    /// Options of every verb.
    pub global: Global,
    /// What to do.
    pub verb: Verb,
}

/// Does what was typed and returns the process's exit code.
///
/// `program` is the whole command line's grammar, of which the verbs are a part: completions are made of it.
pub async fn run(args: Args, program: &mut clap::Command, io: &mut Io) -> u8 {
    let mut session = match Session::new(&args.global, io) {
        Ok(session) => session,
        Err(err) => return report(&err, io),
    };
    let mut interrupted = session.interrupted();
    let done = tokio::select! {
        done = verbs::run(&args.verb, program, &mut session) => done,
        () = &mut interrupted => Err(session.interruption()),
    };
    match done {
        Ok(()) => 0,
        Err(err) => report(&err, io),
    }
}

fn report(err: &error::Error, io: &mut Io) -> u8 {
    if err.kind != Kind::ClosedPipe {
        // Where not even stderr is left, the exit code says it.
        let _ = write!(io.stderr, "{err}");
        let _ = io.stderr.flush();
    }
    err.kind.code()
}

/// The grammar of the verbs alone, for programs that have nothing else, and for tests.
pub fn grammar(name: &'static str) -> clap::Command {
    let command = clap::Command::new(name).subcommand_required(true).arg_required_else_help(true);
    <Verb as clap::Subcommand>::augment_subcommands(Global::augment_args(command))
}

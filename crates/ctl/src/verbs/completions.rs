//! `ekiden completions`.

use crate::error::Result;
use crate::session::Session;
use clap::Args;
use clap_complete::Shell;

/// Print a script that completes verbs and options in a shell.
#[derive(Clone, Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, program: &mut clap::Command, session: &mut Session<'_>) -> Result<()> {
        let name = program.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, program, name, &mut script);
        session.data(&String::from_utf8_lossy(&script))
    }
}

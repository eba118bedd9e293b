//! `ekiden delay`: launches that wait after failures.

mod reset;

use crate::error::Result;
use crate::session::Session;
use clap::Subcommand;

/// What is to be done with delays.
#[derive(Clone, Debug, Subcommand)]
pub enum Delay {
    /// Try the launches of an app or a pod at once, however often they failed
    Reset(reset::Reset),
}

impl Delay {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::Reset(it) => it.run(session).await,
        }
    }
}

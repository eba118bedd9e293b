//! `ekiden leader`: the member that leads the cluster.

mod abdicate;
mod show;

use crate::error::Result;
use crate::session::Session;
use clap::Subcommand;

/// What is to be done with the leader.
#[derive(Clone, Debug, Subcommand)]
pub enum Leader {
    /// Print which member leads
    #[command(alias = "get")]
    Show(show::Show),
    /// Let another member lead
    #[command(aliases = ["delete", "stepdown"])]
    Abdicate(abdicate::Abdicate),
}

impl Leader {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::Show(it) => it.run(session).await,
            Self::Abdicate(it) => it.run(session).await,
        }
    }
}

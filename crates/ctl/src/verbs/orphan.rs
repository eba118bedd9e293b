//! `ekiden orphan`: containers that no assignment covers any more.

mod list;
mod remove;

use crate::error::Result;
use crate::session::Session;
use clap::Subcommand;

/// What is to be done with orphans.
#[derive(Clone, Debug, Subcommand)]
pub enum Orphan {
    /// List containers that nobody speaks of any more, and why
    #[command(alias = "ls")]
    List(list::List),
    /// End such containers and remove them
    #[command(alias = "rm")]
    Remove(remove::Remove),
}

impl Orphan {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::List(it) => it.run(session).await,
            Self::Remove(it) => it.run(session).await,
        }
    }
}

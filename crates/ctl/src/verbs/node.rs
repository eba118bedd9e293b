//! `ekiden node`: the machines that run instances.

mod list;

use crate::error::Result;
use crate::session::Session;
use clap::Subcommand;

/// What is to be done with nodes.
#[derive(Clone, Debug, Subcommand)]
pub enum Node {
    /// List nodes
    #[command(alias = "ls")]
    List(list::List),
}

impl Node {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::List(it) => it.run(session).await,
        }
    }
}

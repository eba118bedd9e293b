//! `ekiden debug list`.

use crate::error::Result;
use crate::session::Session;
use crate::verbs::queue;
use clap::Args;

/// List the apps and pods that miss instances.
#[derive(Clone, Debug, Args)]
pub struct List {}

impl List {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        queue::list(session, None).await.map(drop)
    }
}

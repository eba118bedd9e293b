//! `ekiden group remove`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Wait};
use clap::Args;

/// Remove a group and all that is in it.
#[derive(Clone, Debug, Args)]
pub struct Remove {
    /// The group, such as /demo
    #[arg(value_parser = text::id)]
    id: String,
    /// Take over from deployments under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Remove {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let request = Request::delete(super::path(&self.id)).with_flag("force", self.force);
        change::remove(session, &self.id, request, "apps in it", &self.wait).await
    }
}

//! `ekiden app remove`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Wait};
use clap::Args;

/// Remove an app and all its instances; deployments of it that are under way end.
#[derive(Clone, Debug, Args)]
pub struct Remove {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// Accepted for compatibility: removing always takes over
    #[arg(long, hide = true)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Remove {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let request = Request::delete(super::path(&self.id));
        change::remove(session, &self.id, request, "its instances", &self.wait).await
    }
}

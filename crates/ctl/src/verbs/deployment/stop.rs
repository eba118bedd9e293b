//! `ekiden deployment stop`.

use super::affected;
use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change;
use clap::Args;

/// End a deployment where it stands: what it has done by now stays, and nothing more is done.
#[derive(Clone, Debug, Args)]
pub struct Stop {
    /// The deployment
    #[arg(value_parser = text::id)]
    id: String,
}

impl Stop {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        affected(session, &self.id).await?;
        let request = Request::delete(format!("/v2/deployments/{}", self.id)).with("force", "true");
        session.tell_empty(request).await?;
        session.note(&format!("deployment {} is cancelled; what it had done stays", self.id));
        change::done(session, "cancelled")
    }
}

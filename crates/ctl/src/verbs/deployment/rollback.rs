//! `ekiden deployment rollback`.

use super::affected;
use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Accepted, Wait};
use api::v2::DeploymentResult;
use clap::Args;

/// Take back what a deployment under way changes, by a new deployment.
#[derive(Clone, Debug, Args)]
pub struct Rollback {
    /// The deployment
    #[arg(value_parser = text::id)]
    id: String,
    #[command(flatten)]
    wait: Wait,
}

impl Rollback {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let apps = affected(session, &self.id).await?;
        let request = Request::delete(format!("/v2/deployments/{}", self.id));
        let (result, _) = session.ask::<DeploymentResult>(request).await?;
        let accepted = apps.into_iter().map(|app| Accepted::new(app, result.clone(), "rolled back")).collect();
        change::finish(session, accepted, &self.wait).await
    }
}

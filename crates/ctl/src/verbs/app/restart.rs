//! `ekiden app restart`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Accepted, Wait};
use api::v2::DeploymentResult;
use clap::Args;

/// Replace all instances by new ones of the same version, by the app's upgrade strategy.
#[derive(Clone, Debug, Args)]
pub struct Restart {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// Take over from a deployment under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Restart {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let request = Request::post(format!("{}/restart", super::path(&self.id)), "").with_flag("force", self.force);
        let (result, _) = session.ask::<DeploymentResult>(request).await?;
        let accepted = Accepted::new(text::app_id(&self.id), result, "restarted");
        change::finish(session, vec![accepted], &self.wait).await
    }
}

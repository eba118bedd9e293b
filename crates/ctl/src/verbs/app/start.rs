//! `ekiden app start`.

use super::scale;
use crate::error::Result;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Accepted, UNCHANGED, Wait};
use api::v2::DeploymentResult;
use clap::Args;

/// Start a stopped app; one with instances is left as it is.
#[derive(Clone, Debug, Args)]
pub struct Start {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// How many instances shall run
    #[arg(default_value_t = 1, value_parser = text::instances, allow_negative_numbers = true)]
    instances: u32,
    /// Take over from a deployment under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Start {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (info, _) = super::fetch(session, &self.id).await?;
        if info.app.instances > 0 {
            let result = DeploymentResult { deployment_id: String::new(), version: info.app.version };
            let unchanged = Accepted::new(info.app.id, result, UNCHANGED);
            return change::finish(session, vec![unchanged], &self.wait).await;
        }
        scale::to(session, &self.id, self.instances, self.force, &self.wait).await
    }
}

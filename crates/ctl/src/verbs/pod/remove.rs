//! `ekiden pod remove`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Wait};
use clap::Args;

/// Remove a pod and all its instances.
#[derive(Clone, Debug, Args)]
pub struct Remove {
    /// The pod, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// Take over from a deployment under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Remove {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        session.confirm(&format!("Remove {} and all its instances?", text::app_id(&self.id)))?;
        session.tell_empty(Request::delete(super::path(&self.id)).with_flag("force", self.force)).await?;
        let accepted = super::accepted(session, &self.id, "", "removed");
        change::finish(session, vec![accepted], &self.wait).await
    }
}

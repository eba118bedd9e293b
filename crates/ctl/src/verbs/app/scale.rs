//! `ekiden app scale`.

use crate::error::Result;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Wait};
use clap::Args;

/// Set the number of instances.
#[derive(Clone, Debug, Args)]
pub struct Scale {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// How many instances shall run
    #[arg(value_parser = text::instances, allow_negative_numbers = true)]
    instances: u32,
    /// Take over from a deployment under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Scale {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        to(session, &self.id, self.instances, self.force, &self.wait).await
    }
}

/// Scales an app.
pub(super) async fn to(session: &mut Session<'_>, id: &str, instances: u32, force: bool, wait: &Wait) -> Result<()> {
    let body = serde_json::json!({ "instances": instances }).to_string();
    let accepted = change::put(session, id, body, "scaled", |it| it.with_flag("force", force)).await?;
    change::finish(session, vec![accepted], wait).await
}

//! `ekiden app stop`.

use super::scale;
use crate::error::Result;
use crate::session::Session;
use crate::text;
use crate::verbs::change::Wait;
use clap::Args;

/// Scale to no instances; the definition stays.
#[derive(Clone, Debug, Args)]
pub struct Stop {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// Take over from a deployment under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Stop {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        session.confirm(&format!("Stop all instances of {}?", text::app_id(&self.id)))?;
        scale::to(session, &self.id, 0, self.force, &self.wait).await
    }
}

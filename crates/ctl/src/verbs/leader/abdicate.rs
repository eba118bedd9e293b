//! `ekiden leader abdicate`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::verbs::change;
use clap::Args;

/// Let another member lead; nothing that runs notices.
#[derive(Clone, Debug, Args)]
pub struct Abdicate {}

impl Abdicate {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        session.confirm("Let another member lead?")?;
        session.tell_empty(Request::delete("/v2/leader")).await?;
        session.note("the leader abdicates; `ekiden leader show` says who leads then");
        change::done(session, "abdicated")
    }
}

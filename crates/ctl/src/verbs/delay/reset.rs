//! `ekiden delay reset`.

use crate::error::{Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change;
use clap::Args;

/// Try the launches of an app or a pod at once, however often they failed.
#[derive(Clone, Debug, Args)]
pub struct Reset {
    /// The app or pod, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
}

impl Reset {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let id = text::app_id(&self.id);
        let told = session.tell_empty(Request::delete(format!("/v2/queue{id}/delay"))).await;
        told.map_err(|err| match err.kind {
            Kind::NotFound => err.hint("only what misses instances has a delay: `ekiden queue` shows it"),
            _ => err,
        })?;
        session.note(&format!("launches of {id} are tried at once"));
        change::done(session, "reset")
    }
}

//! `ekiden debug details`.

use crate::error::Result;
use crate::session::Session;
use crate::table::Table;
use crate::text;
use clap::Args;

/// What each node says that declines an app's instances.
#[derive(Clone, Debug, Args)]
pub struct Details {
    /// The app or pod, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
}

impl Details {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (explained, value) = super::explain(session, &self.id).await?;
        if session.is_json() {
            return session.json(&value["nodes"]);
        }
        let mut table = Table::new(&["NODE", "REASON", "DETAIL"]);
        for it in &explained.nodes {
            table.row(vec![(&it.node).into(), (&it.reason).into(), (&it.detail).into()]);
        }
        session.table(&table, "No node declines.")
    }
}

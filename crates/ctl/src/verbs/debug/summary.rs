//! `ekiden debug summary`.

use crate::error::Result;
use crate::session::Session;
use crate::table::{Cell, Table};
use crate::text;
use clap::Args;

/// How many nodes decline an app's instances, for each reason, in the order in which they are looked at.
#[derive(Clone, Debug, Args)]
pub struct Summary {
    /// The app or pod, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
}

impl Summary {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (explained, value) = super::explain(session, &self.id).await?;
        if session.is_json() {
            return session.json(&value["reasons"]);
        }
        let mut table = Table::new(&["REASON", "DECLINED", "ASKED"]);
        for it in &explained.reasons {
            let (declined, asked) = (it.declined.to_string(), it.processed.to_string());
            table.row(vec![(&it.reason).into(), Cell::right(declined), Cell::right(asked)]);
        }
        session.table(&table, "No reason is known.")
    }
}

//! `ekiden deployment show`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use api::v3;
use clap::Args;

/// Show one deployment, under way or ended: what it changes, how it ended, what it waits for.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// The deployment
    #[arg(value_parser = text::id)]
    id: String,
}

impl Show {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let request = Request::get(format!("/v3/deployments/{}", self.id));
        let (it, value) = session.ask::<v3::Deployment>(request).await?;
        if session.is_json() {
            return session.json(&value);
        }
        let by = it.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let age = text::age(session.now_ms(), &it.version);
        let head = format!("{}  {}{by}  accepted {age} ago", it.id, it.status);
        let head = text::line(&head).into_owned() + "\n";
        session.data(&head)?;
        let mut table = Table::new(&["APP", "ACTION", "FROM", "TO", "NEW", "OLD", "DONE"]);
        for change in &it.changes {
            table.row(row(session, change));
        }
        session.table(&table, "It changes nothing.")?;
        for reason in &it.waiting {
            let line = format!("waits: {}\n", text::line(reason));
            session.data(&line)?;
        }
        Ok(())
    }
}

fn row(session: &Session<'_>, change: &v3::Change) -> Vec<Cell> {
    let moment = |it: &Option<String>| it.as_ref().map_or_else(|| "-".to_owned(), |it| session.moment(it));
    let counts = change.instances.as_ref();
    let (done, tone) = if change.settled { ("yes", Tone::Good) } else { ("no", Tone::Busy) };
    vec![
        (&change.app).into(),
        (&change.action).into(),
        moment(&change.from).into(),
        moment(&change.to).into(),
        Cell::right(counts.map_or_else(|| "-".to_owned(), |it| format!("{}/{}", it.new_serving, it.wanted))),
        Cell::right(counts.map_or_else(|| "-".to_owned(), |it| it.old.to_string())),
        Cell::toned(done, tone),
    ]
}

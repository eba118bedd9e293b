//! `ekiden orphan list`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Tone};
use api::v3;
use clap::Args;

/// List containers that no assignment covers: their node was forgotten, or their app deleted, while the agent was away.
/// They are left as they are until `ekiden orphan remove`.
#[derive(Clone, Debug, Args)]
pub struct List {}

impl List {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (list, value) = session.ask::<v3::OrphanList>(Request::get("/v3/orphans")).await?;
        let rows = (&["ID", "APP", "NODE", "STATUS", "SINCE", "WHY"][..], row);
        session.list((&list.orphans, &value["orphans"]), |_| true, rows, "There are no orphans.")
    }
}

fn row(_: &Session<'_>, orphan: &v3::Orphan) -> Vec<Cell> {
    let (status, tone) = match (orphan.removing, orphan.running) {
        (true, _) => ("removing", Tone::Busy),
        (false, true) => ("running", Tone::Bad),
        (false, false) => ("ended", Tone::Busy),
    };
    vec![
        (&orphan.id).into(),
        (&orphan.app).into(),
        (&orphan.node).into(),
        Cell::toned(status, tone),
        (&orphan.since).into(),
        (&orphan.reason).into(),
    ]
}

//! `ekiden deployment list`.

use super::RUNNING;
use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Tone};
use crate::text;
use api::v3;
use clap::Args;

/// List deployments under way.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only those that change this app
    #[arg(value_parser = text::id)]
    app: Option<String>,
    /// Also those that have ended
    #[arg(short, long)]
    all: bool,
}

impl List {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (list, value) = session.ask::<v3::DeploymentList>(Request::get("/v3/deployments")).await?;
        let app = self.app.as_ref().map(|it| text::app_id(it));
        let changes = |it: &v3::Deployment| app.as_ref().is_none_or(|app| it.changes.iter().any(|it| it.app == *app));
        let wanted = |it: &v3::Deployment| (self.all || it.status == RUNNING) && changes(it);
        let all = (&list.deployments[..], &value["deployments"]);
        let nothing = "There are no deployments under way; --all lists those that have ended.";
        session.list(all, wanted, (&["ID", "STATUS", "AGE", "CHANGES"], row), nothing)
    }
}

fn row(session: &Session<'_>, it: &v3::Deployment) -> Vec<Cell> {
    let tone = match it.status.as_str() {
        RUNNING => Tone::Busy,
        "succeeded" => Tone::Good,
        _ => Tone::Bad,
    };
    let changes: Vec<_> = it.changes.iter().map(|it| format!("{} {}", it.action, it.app)).collect();
    vec![
        (&it.id).into(),
        Cell::toned(&it.status, tone),
        Cell::right(text::age(session.now_ms(), &it.version)),
        if changes.is_empty() { "-".to_owned() } else { changes.join(", ") }.into(),
    ]
}

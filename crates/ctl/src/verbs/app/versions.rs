//! `ekiden app versions`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::Cell;
use crate::text;
use crate::verbs::history;
use api::v2::{App, AppInfo, VersionList};
use clap::Args;
use serde_json::Value;

/// List the versions of an app, newest first.
#[derive(Clone, Debug, Args)]
pub struct Versions {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// At most so many
    #[arg(long, alias = "max-count", default_value_t = 10, value_name = "N")]
    limit: usize,
}

impl Versions {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let path = format!("{}/versions", super::path(&self.id));
        let (list, value) = session.ask::<VersionList>(Request::get(&path)).await?;
        if session.is_json() {
            let newest: Vec<&Value> = value["versions"].as_array().into_iter().flatten().take(self.limit).collect();
            return session.json(&newest);
        }
        let (now, _) = super::fetch(session, &self.id).await?;
        let newest = &list.versions[..self.limit.min(list.versions.len())];
        let cells = |app: App| {
            vec![
                Cell::right(app.instances.to_string()),
                Cell::right(text::number(app.cpus.0)),
                Cell::right(text::mebibytes(app.mem.0)),
                super::list::image(&AppInfo { app, ..AppInfo::default() }).into(),
            ]
        };
        let columns = (&["INSTANCES", "CPUS", "MEM", "IMAGE"][..], cells);
        history::table(session, newest, &now.app.version, |it| format!("{path}/{it}"), columns).await
    }
}

//! `ekiden app versions`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
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
        let mut table = Table::new(&["VERSION", "AGE", "INSTANCES", "CPUS", "MEM", "IMAGE", ""]);
        for version in list.versions.iter().take(self.limit) {
            let (app, _) = session.ask::<App>(Request::get(format!("{path}/{version}"))).await?;
            let is_current = *version == now.app.version;
            table.row(vec![
                version.into(),
                Cell::right(text::age(session.now_ms(), version)),
                Cell::right(app.instances.to_string()),
                Cell::right(text::number(app.cpus.0)),
                Cell::right(text::mebibytes(app.mem.0)),
                super::list::image(&AppInfo { app, ..AppInfo::default() }).into(),
                Cell::toned(if is_current { "current" } else { "" }, Tone::Good),
            ]);
        }
        session.table(&table, "There are no versions.")
    }
}

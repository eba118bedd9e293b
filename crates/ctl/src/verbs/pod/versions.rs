//! `ekiden pod versions`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use api::v2::Pod;
use clap::Args;

/// List the versions of a pod, newest first.
#[derive(Clone, Debug, Args)]
pub struct Versions {
    /// The pod, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// At most so many
    #[arg(long, alias = "max-count", default_value_t = 10, value_name = "N")]
    limit: usize,
}

impl Versions {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let path = super::path(&self.id);
        let (mut versions, _) = session.ask::<Vec<String>>(Request::get(format!("{path}::versions"))).await?;
        versions.truncate(self.limit);
        if session.is_json() {
            return session.json(&versions);
        }
        let (now, _) = session.ask::<Pod>(Request::get(&path)).await?;
        let mut table = Table::new(&["VERSION", "AGE", "INSTANCES", "IMAGES", ""]);
        for version in &versions {
            let (pod, _) = session.ask::<Pod>(Request::get(format!("{path}::versions/{version}"))).await?;
            let is_current = *version == now.version;
            table.row(vec![
                version.into(),
                Cell::right(text::age(session.now_ms(), version)),
                Cell::right(pod.scaling.instances.to_string()),
                super::images(&pod).into(),
                Cell::toned(if is_current { "current" } else { "" }, Tone::Good),
            ]);
        }
        session.table(&table, "There are no versions.")
    }
}

//! `ekiden pod versions`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::Cell;
use crate::text;
use crate::verbs::history;
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
        let cells = |pod: Pod| vec![Cell::right(pod.scaling.instances.to_string()), super::images(&pod).into()];
        let columns = (&["INSTANCES", "IMAGES"][..], cells);
        history::table(session, &versions, &now.version, |it| format!("{path}::versions/{it}"), columns).await
    }
}

//! `ekiden group list`.

use super::{EMBEDDED, Info};
use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use clap::Args;
use serde_json::Value;

/// List groups, and what is in each at any depth.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only this group and those in it
    #[arg(value_parser = text::id)]
    id: Option<String>,
}

impl List {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let request = Request::get(super::path(self.id.as_deref().unwrap_or("/")));
        let request = EMBEDDED.into_iter().fold(request, |request, it| request.with("embed", it));
        let (root, value) = session.ask::<Info>(request).await?;
        if session.is_json() {
            return session.json(&flat(&value));
        }
        let mut table = Table::new(&["ID", "APPS", "PODS", "RUNNING", "VERSION"]);
        for it in root.all() {
            table.row(row(it, session.now_ms()));
        }
        session.table(&table, "There are no groups.")
    }
}

/// Every group of a tree, without those in it: they come behind.
fn flat(group: &Value) -> Vec<Value> {
    let mut own = group.clone();
    let inner = own.as_object_mut().and_then(|it| it.shift_remove("groups"));
    let inner = inner.as_ref().and_then(Value::as_array).into_iter().flatten().flat_map(flat);
    std::iter::once(own).chain(inner.collect::<Vec<_>>()).collect()
}

fn row(group: &Info, now_ms: u64) -> Vec<Cell> {
    let all = group.all();
    let apps = || all.iter().flat_map(|it| &it.apps);
    let pods = || all.iter().flat_map(|it| &it.pods);
    let stable = pods().flat_map(|it| &it.instances).filter(|it| it.status == "STABLE").count();
    let running = apps().map(|it| it.tasks_running as usize).sum::<usize>() + stable;
    let wanted = apps().map(|it| it.app.instances).chain(pods().map(|it| it.spec.scaling.instances)).sum::<u32>();
    let version = group.version.as_deref().unwrap_or_default();
    vec![
        (&group.id).into(),
        Cell::right(apps().count().to_string()),
        Cell::right(pods().count().to_string()),
        Cell::right(format!("{running}/{wanted}")),
        Cell::toned(text::age(now_ms, version), Tone::Muted),
    ]
}

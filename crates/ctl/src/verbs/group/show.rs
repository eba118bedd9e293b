//! `ekiden group show`.

use super::{EMBEDDED, Info};
use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use crate::verbs::{app, history, pod};
use clap::Args;

/// Show one group and what is in it, at any depth.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// The group, such as /demo
    #[arg(value_parser = text::id)]
    id: String,
    /// Print what it was at this version instead
    #[arg(long, alias = "group-version", value_name = "VERSION")]
    version: Option<String>,
}

impl Show {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        if let Some(version) = &self.version {
            let path = format!("{}/versions/{version}", super::path(&self.id));
            return history::definition(session, path).await;
        }
        let request = Request::get(super::path(&self.id));
        let request = EMBEDDED.into_iter().fold(request, |request, it| request.with("embed", it));
        let (info, value) = session.ask::<Info>(request).await?;
        if session.is_json() {
            return session.json(&value);
        }
        let version = info.version.as_deref().unwrap_or("-");
        let age = text::age(session.now_ms(), version);
        let mut head = format!("{}  version {version} ({age} ago)", info.id);
        if !info.dependencies.is_empty() {
            head.extend(["  depends on ", &info.dependencies.join(", ")]);
        }
        let head = text::line(&head).into_owned() + "\n";
        session.data(&head)?;
        let mut table = Table::new(&["ID", "KIND", "RUNNING", "STATUS", "VERSION"]);
        for group in info.all() {
            for it in &group.apps {
                let (status, tone) = app::status(it);
                let running = format!("{}/{}", it.tasks_running, it.app.instances);
                table.row(row(session, [&it.app.id, "app", &running], (status, tone), &it.app.version));
            }
            for it in &group.pods {
                let running = pod::counts(it);
                table.row(row(session, [&it.id, "pod", &running], pod::status(it), &it.spec.version));
            }
        }
        session.table(&table, "There is nothing in it.")
    }
}

fn row(session: &Session<'_>, cells: [&str; 3], status: (&str, Tone), version: &str) -> Vec<Cell> {
    let [id, kind, running] = cells;
    vec![
        id.into(),
        kind.into(),
        Cell::right(running),
        Cell::toned(status.0, status.1),
        Cell::toned(text::age(session.now_ms(), version), Tone::Muted),
    ]
}

//! `ekiden app show`.

use super::list;
use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::{history, task};
use api::v2::{AppInfo, Queue, QueueItem};
use clap::Args;
use std::fmt::Write as _;

/// Show one app, its instances and its last failure.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// Print the definition of this version instead
    #[arg(long, alias = "app-version", value_name = "VERSION")]
    version: Option<String>,
}

impl Show {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        if let Some(version) = &self.version {
            let path = format!("{}/versions/{version}", super::path(&self.id));
            return history::definition(session, path).await;
        }
        let (info, value) = super::fetch(session, &self.id).await?;
        if session.is_json() {
            return session.json(&value);
        }
        let queue =
            session.ask_if_there::<Queue>(Request::get("/v2/queue")).await?.map_or_else(Queue::default, |it| it.0);
        let card = card(session, &info, list::waits(&queue, &info.app.id));
        session.data(&card)?;
        let tasks = info.tasks.unwrap_or_default();
        if tasks.is_empty() {
            return Ok(());
        }
        session.data("\n")?;
        let table = task::table(session, &tasks);
        session.table(&table, "")
    }
}

fn card(session: &Session<'_>, info: &AppInfo, waits: Option<&QueueItem>) -> String {
    let app = &info.app;
    let now_ms = session.now_ms();
    let (status, tone) = list::status(info, waits);
    let counts = if app.health_checks.is_empty() {
        format!("{}/{} running", info.tasks_running, app.instances)
    } else {
        format!("{}/{} running, {} healthy", info.tasks_running, app.instances, info.tasks_healthy)
    };
    let mut card = format!("{}  {}  {counts}\n", text::line(&app.id), session.paint(tone, status));
    let mut field = |name: &str, value: String| {
        writeln!(card, "  {name:<13}{}", text::line(&value)).expect("a String takes all");
    };
    field("image", list::image(info).to_owned());
    if let Some(cmd) = &app.cmd {
        field("cmd", cmd.clone());
    }
    let memory = text::mebibytes(app.mem.0);
    field("resources", format!("{} cpus, {memory} memory for each instance", text::number(app.cpus.0)));
    field("version", format!("{} ({} ago)", app.version, text::age(now_ms, &app.version)));
    if !app.labels.is_empty() {
        let labels: Vec<_> = app.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        field("labels", labels.join(" "));
    }
    for deployment in &info.deployments {
        field("deployment", deployment.id.clone());
    }
    if let Some(item) = waits {
        let seconds = item.delay.time_left_seconds;
        let next = if item.delay.overdue { String::new() } else { format!(", next try in {seconds} s") };
        field("waits", format!("for {}{next}: `ekiden queue` says why", text::count(item.count as usize, "instance")));
    }
    if let Some(failure) = &info.last_task_failure {
        let age = text::age(now_ms, &failure.timestamp);
        field("last failure", format!("{age} ago on {}: {}", failure.host, failure.message));
    }
    card
}

impl Session<'_> {
    /// A moment for people: in full where ids are, otherwise to the second and without the year.
    pub(crate) fn moment(&self, version: &str) -> String {
        let short = version.get(5..19).filter(|_| !self.is_wide() && api::time::parse(version).is_some());
        short.map_or_else(|| version.to_owned(), |it| it.replace('T', " "))
    }
}

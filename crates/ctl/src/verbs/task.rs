//! `ekiden task`: tasks, which are the instances of apps.

mod kill;
mod list;
mod show;
mod stop;

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table, Tone};
use crate::text;
use api::v2;
use clap::Subcommand;
use serde_json::Value;

/// What is to be done with tasks.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// List tasks
    #[command(alias = "ls")]
    List(list::List),
    /// Show one task
    #[command(alias = "get")]
    Show(show::Show),
    /// Kill tasks; others take their places
    Kill(kill::Kill),
    /// Kill one task; another takes its place
    Stop(stop::Stop),
}

impl Task {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::List(it) => it.run(session).await,
            Self::Show(it) => it.run(session).await,
            Self::Kill(it) => it.run(session).await,
            Self::Stop(it) => it.run(session).await,
        }
    }
}

/// Tasks as a table.
pub(super) fn table(session: &Session<'_>, tasks: &[v2::Task]) -> Table {
    let mut table = Table::new(&["ID", "APP", "NODE", "PORTS", "STATE", "HEALTH", "VERSION", "AGE"]);
    for task in tasks {
        let (health, tone) = health(task);
        let ports: Vec<_> = task.ports.iter().map(u16::to_string).collect();
        let since = task.started_at.as_ref().or(task.staged_at.as_ref());
        table.row(vec![
            if session.is_wide() { task.id.as_str() } else { short_id(&task.id) }.into(),
            (&task.app_id).into(),
            (&task.host).into(),
            if ports.is_empty() { "-".to_owned() } else { ports.join(",") }.into(),
            state(&task.state).into(),
            Cell::toned(health, tone),
            Cell::toned(session.moment(task.version.as_deref().unwrap_or("-")), Tone::Muted),
            Cell::toned(since.map_or_else(|| "-".to_owned(), |it| text::age(session.now_ms(), it)), Tone::Muted),
        ]);
    }
    table
}

/// The end of a task's id, which is enough to tell it from others, and which `task kill` accepts.
pub(super) fn short_id(id: &str) -> &str {
    id.rsplit_once('-').map_or(id, |(_, end)| end)
}

/// The one task of this id, or with this end of it; as its type and as it was printed.
async fn find(session: &Session<'_>, typed: &str) -> Result<(v2::Task, Value)> {
    let (all, value) = session.ask::<v2::TaskList>(Request::get("/v2/tasks")).await?;
    let values = value["tasks"].as_array().into_iter().flatten();
    let mut found: Vec<_> = all.tasks.into_iter().zip(values).filter(|(it, _)| it.id.ends_with(typed)).collect();
    let n = found.len();
    match found.pop() {
        Some((task, value)) if n == 1 => Ok((task, value.clone())),
        Some(_) => Err(Error::new(Kind::Usage, format!("`{typed}` may be {n} tasks"))),
        None => Err(unknown(typed)),
    }
}

fn unknown(typed: &str) -> Error {
    Error::new(Kind::NotFound, format!("there is no task `{typed}`")).hint("`ekiden task list` shows what there is")
}

/// `TASK_RUNNING` as people say it.
pub(super) fn state(state: &str) -> String {
    let word = state.strip_prefix("TASK_").unwrap_or(state).to_lowercase();
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn health(task: &v2::Task) -> (&'static str, Tone) {
    match task.health_check_results.as_deref() {
        None | Some([]) => ("-", Tone::Muted),
        Some(results) if results.iter().all(|it| it.alive) => ("healthy", Tone::Good),
        Some(results) if results.iter().any(is_unhealthy) => ("unhealthy", Tone::Bad),
        Some(_) => ("unknown", Tone::Muted),
    }
}

/// Whether an answer counts against the task: one in its grace period does not.
pub(super) fn is_unhealthy(result: &v2::Health) -> bool {
    !result.alive && result.consecutive_failures.0 > 0.0
}

/// Prints which tasks were killed.
pub(super) fn report_killed(session: &mut Session<'_>, killed: &v2::TaskList, value: &Value) -> Result<()> {
    if session.is_json() {
        return session.json(&value["tasks"]);
    }
    for task in &killed.tasks {
        session.data(&format!("{}\n", text::line(&task.id)))?;
    }
    session.note(&format!("killed {}", text::count(killed.tasks.len(), "instance")));
    Ok(())
}

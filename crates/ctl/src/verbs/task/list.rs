//! `ekiden task list`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use api::v2::TaskList;
use clap::Args;

/// List tasks, of one app or of all.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only tasks of this app
    #[arg(value_parser = text::id)]
    app: Option<String>,
}

impl List {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let path = match &self.app {
            Some(app) => format!("/v2/apps{}/tasks", text::app_id(app)),
            None => "/v2/tasks".to_owned(),
        };
        let (list, value) = session.ask::<TaskList>(Request::get(path)).await?;
        if session.is_json() {
            return session.json(&value["tasks"]);
        }
        let table = super::table(session, &list.tasks);
        session.table(&table, "There are no tasks.")
    }
}

//! `ekiden task stop`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use api::v2::{TaskList, TaskSingle};
use clap::Args;
use serde_json::json;

/// Kill one task; another takes its place.
#[derive(Clone, Debug, Args)]
pub struct Stop {
    /// A task id, or the end of one as `ekiden task list` prints
    #[arg(value_name = "TASK", value_parser = text::id)]
    id: String,
    /// Also destroy its volumes, where it keeps data on its node
    #[arg(long)]
    wipe: bool,
}

impl Stop {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (task, _) = super::find(session, &self.id).await?;
        let request = Request::delete(format!("/v2/apps{}/tasks/{}", task.app_id, task.id));
        let (killed, value) = session.ask::<TaskSingle>(request.with_flag("wipe", self.wipe)).await?;
        let value = json!({ "tasks": [value["task"]] });
        super::report_killed(session, &TaskList { tasks: vec![killed.task] }, &value)
    }
}

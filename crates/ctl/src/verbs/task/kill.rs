//! `ekiden task kill`.

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Accepted, Wait};
use api::v2::{DeploymentResult, TaskList};
use clap::Args;

/// Kill tasks; others take their places.
#[derive(Clone, Debug, Args)]
pub struct Kill {
    /// Task ids, or ends of them as `ekiden task list` prints
    #[arg(required = true, value_name = "TASK", value_parser = text::id)]
    ids: Vec<String>,
    /// Lower the number of instances by as many
    #[arg(long)]
    scale: bool,
    /// With --scale: take over from a deployment under way
    #[arg(long, requires = "scale")]
    force: bool,
    /// Also destroy the volumes of those that keep data on their node
    #[arg(long, conflicts_with = "scale")]
    wipe: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Kill {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let (all, _) = session.ask::<TaskList>(Request::get("/v2/tasks")).await?;
        let mut ids = Vec::new();
        let mut apps = Vec::new();
        for typed in &self.ids {
            let found: Vec<_> = all.tasks.iter().filter(|it| it.id.ends_with(typed.as_str())).collect();
            match found[..] {
                [task] => {
                    ids.push(task.id.clone());
                    apps.push(task.app_id.clone());
                }
                [] => return Err(super::unknown(typed)),
                _ => return Err(Error::new(Kind::Usage, format!("`{typed}` may be {} tasks", found.len()))),
            }
        }
        let request = Request::post("/v2/tasks/delete", serde_json::json!({ "ids": ids }).to_string());
        if !self.scale {
            let request = request.with_flag("wipe", self.wipe);
            let (killed, value) = session.ask::<TaskList>(request).await?;
            return super::report_killed(session, &killed, &value);
        }
        let request = request.with("scale", "true").with_flag("force", self.force);
        let (result, _) = session.ask::<DeploymentResult>(request).await?;
        apps.sort_unstable();
        apps.dedup();
        let accepted = apps.into_iter().map(|app| Accepted::new(app, result.clone(), "scaled")).collect();
        change::finish(session, accepted, &self.wait).await
    }
}

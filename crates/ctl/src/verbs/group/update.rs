//! `ekiden group update`.

use crate::error::Result;
use crate::file;
use crate::remote::Request;
use crate::session::Session;
use crate::table::{Cell, Table};
use crate::text;
use crate::verbs::app;
use crate::verbs::change::{self, Accepted, Wait};
use api::v2::{DeploymentResult, DeploymentStep};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

/// Change a group from a file, or by key=value; what is given replaces all of its kind.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Update {
    /// The group, such as /demo
    #[arg(value_parser = text::id)]
    id: String,
    /// What to change
    #[arg(value_name = "KEY=VALUE")]
    properties: Vec<String>,
    /// Marathon JSON with what to change; `-`, the default without KEY=VALUE, is stdin
    #[arg(short, long, conflicts_with = "properties")]
    file: Option<String>,
    /// Only print what would be done
    #[arg(long, alias = "dryRun")]
    dry_run: bool,
    /// Take over from deployments under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

const AFTER_HELP: &str = "\
`apps` and `groups`, where they are given, are all that there is: an app that is not listed is removed. What is not \
given stays as it is.";

/// What a dry run answers (RAML `DeploymentSteps`).
#[derive(Debug, Deserialize)]
struct Steps {
    steps: Vec<DeploymentStep>,
}

impl Update {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let path = super::path(&self.id);
        let body = if self.properties.is_empty() {
            file::changes(session, self.file.as_deref())?
        } else {
            let (_, now) = session.ask::<Value>(Request::get(&path)).await?;
            app::assigned(&self.properties, &now)?
        };
        let source = self.file.as_deref().map_or("stdin", file::shown).to_owned();
        let blame = |err| if self.properties.is_empty() { file::blame(err, &source) } else { err };
        let request = Request::put(path, body).with_flag("force", self.force).with_flag("dryRun", self.dry_run);
        if self.dry_run {
            let (steps, value) = session.ask::<Steps>(request).await.map_err(blame)?;
            return show(session, &steps, &value["steps"]);
        }
        let (result, _) = session.ask::<DeploymentResult>(request).await.map_err(blame)?;
        let accepted = Accepted::new(text::app_id(&self.id), result, "updated");
        change::finish(session, vec![accepted], &self.wait).await
    }
}

fn show(session: &mut Session<'_>, steps: &Steps, value: &Value) -> Result<()> {
    if session.is_json() {
        return session.json(value);
    }
    let mut table = Table::new(&["STEP", "ACTION", "ID"]);
    for (n, step) in steps.steps.iter().enumerate() {
        for it in &step.actions {
            let id = it.app.as_ref().or(it.pod.as_ref());
            table.row(vec![
                Cell::right((n + 1).to_string()),
                (&it.action).into(),
                id.map_or("-", String::as_str).into(),
            ]);
        }
    }
    session.table(&table, "Nothing would be done.")
}

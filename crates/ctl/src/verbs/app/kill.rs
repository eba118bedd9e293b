//! `ekiden app kill`.

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Accepted, Wait};
use crate::verbs::task;
use api::v2::{DeploymentResult, TaskList};
use clap::Args;

/// Kill instances; others take their places.
#[derive(Clone, Debug, Args)]
pub struct Kill {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// Only instances on this host
    #[arg(long)]
    host: Option<String>,
    /// Lower the number of instances by as many
    #[arg(long)]
    scale: bool,
    /// With --scale: take over from a deployment under way
    #[arg(long, requires = "scale")]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Kill {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let on = self.host.as_ref().map(|it| format!(" on {it}")).unwrap_or_default();
        session.confirm(&format!("Kill all instances of {}{on}?", text::app_id(&self.id)))?;
        let mut request = Request::delete(format!("{}/tasks", super::path(&self.id)));
        if let Some(host) = &self.host {
            request = request.with("host", host);
        }
        if self.scale {
            let request = request.with("scale", "true").with_flag("force", self.force);
            let (result, _) = session.ask::<DeploymentResult>(request).await?;
            let accepted = Accepted::new(text::app_id(&self.id), result, "scaled");
            return change::finish(session, vec![accepted], &self.wait).await;
        }
        let (killed, value) = session.ask::<TaskList>(request).await?;
        task::report_killed(session, &killed, &value)
    }
}

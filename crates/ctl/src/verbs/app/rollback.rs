//! `ekiden app rollback`.

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Wait};
use api::v2::VersionList;
use api::v3::DeploymentList;
use clap::Args;

/// Go back to a version from before: to the last one that went well, or to the one that is named.
#[derive(Clone, Debug, Args)]
pub struct Rollback {
    /// The app, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// The version to go back to; `ekiden app versions` lists them
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Take over from a deployment under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Rollback {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let version = match &self.to {
            Some(version) => version.clone(),
            None => self.previous(session).await?,
        };
        let body = serde_json::json!({ "version": version }).to_string();
        let put = change::put(session, &self.id, body, "rolled back", |it| it.with_flag("force", self.force));
        let accepted = put.await?;
        session.note(&format!("{}: back to version {version}", accepted.app));
        change::finish(session, vec![accepted], &self.wait).await
    }

    async fn previous(&self, session: &Session<'_>) -> Result<String> {
        let (info, _) = super::fetch(session, &self.id).await?;
        let request = Request::get(format!("{}/versions", super::path(&self.id)));
        let (list, _) = session.ask::<VersionList>(request).await?;
        let (known, _) = session.ask::<DeploymentList>(Request::get("/v3/deployments")).await?;
        let app = info.app;
        // Where it has gone wrong before, nobody wants to go back to.
        let went_wrong = |version: &str| {
            let wrong = known.deployments.iter().filter(|it| matches!(&*it.status, "failed" | "rolledBack"));
            wrong.flat_map(|it| &it.changes).any(|it| it.app == app.id && it.to.as_deref() == Some(version))
        };
        // Versions are moments in one form: as texts they sort by age.
        let before = list.versions.into_iter().filter(|it| *it < app.version && !went_wrong(it)).max();
        before.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("{} has no version before the current one that went well", app.id))
        })
    }
}

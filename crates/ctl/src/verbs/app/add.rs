//! `ekiden app add`.

use crate::error::{Error, Kind, Result};
use crate::file;
use crate::remote::Request;
use crate::session::Session;
use crate::verbs::change::{self, Accepted, Wait};
use api::v2::AppInfo;
use clap::Args;

/// Create an app from a file; there must not be one of its id.
#[derive(Clone, Debug, Args)]
pub struct Add {
    /// Marathon JSON: one app; `-` is stdin
    #[arg(default_value = "-")]
    file: String,
    /// Refuse fields that have no effect, such as mistyped ones, instead of warning of them
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Add {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let source = file::apps(session, &self.file)?;
        if source.ids.len() > 1 {
            let err = Error::new(Kind::Usage, format!("{} has {} apps", source.file, source.ids.len()));
            return Err(err.hint("`ekiden deploy` takes many at once"));
        }
        let posted =
            session.ask::<AppInfo>(Request::post("/v2/apps", &source.text).with_flag("strict", self.strict)).await;
        let (info, _) = posted.map_err(|err| match err.kind {
            Kind::Locked => err.hint("`ekiden deploy` creates an app or changes the one that is there"),
            _ => file::blame(err, &source.file),
        })?;
        let deployment = info.deployments.first().map(|it| it.id.clone()).unwrap_or_default();
        let accepted = Accepted { app: info.app.id, deployment, version: info.app.version, did: "created" };
        change::finish(session, vec![accepted], &self.wait).await
    }
}

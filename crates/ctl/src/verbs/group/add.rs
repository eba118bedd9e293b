//! `ekiden group add`.

use crate::error::{Error, Kind, Result};
use crate::file;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, Accepted, Wait};
use api::v2::DeploymentResult;
use clap::Args;
use serde_json::Value;

/// Create a group, with the apps and groups in it, from a file; there must not be one of its id.
#[derive(Clone, Debug, Args)]
pub struct Add {
    /// Marathon JSON: one group; `-` is stdin
    #[arg(default_value = "-")]
    file: String,
    /// Its id, where the file has none
    #[arg(long, value_name = "ID", value_parser = text::id)]
    id: Option<String>,
    /// Take over from deployments under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Add {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let body = file::object(session, &self.file)?;
        let source = file::shown(&self.file).to_owned();
        let given: Value = serde_json::from_str(&body).unwrap_or_default();
        let id = self.id.as_deref().or_else(|| given["id"].as_str()).map(text::app_id);
        let id = id.ok_or_else(|| {
            let err = Error::new(Kind::Invalid, "the group has no id").at(&source);
            err.hint("a group looks like {\"id\": \"/demo\", \"apps\": […]}; --id names it too")
        })?;
        let path = self.id.as_deref().map_or_else(|| "/v2/groups".to_owned(), super::path);
        let posted = session.ask::<DeploymentResult>(Request::post(path, body).with_flag("force", self.force)).await;
        let (result, _) = posted.map_err(|err| file::blame(err, &source))?;
        change::finish(session, vec![Accepted::new(id, result, "created")], &self.wait).await
    }
}

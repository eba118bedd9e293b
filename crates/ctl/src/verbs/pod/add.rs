//! `ekiden pod add`.

use crate::error::Result;
use crate::file;
use crate::remote::Request;
use crate::session::Session;
use crate::verbs::change::{self, Wait};
use api::v2::Pod;
use clap::Args;

/// Create a pod from a file; there must not be one of its id.
#[derive(Clone, Debug, Args)]
pub struct Add {
    /// Marathon JSON: one pod; `-` is stdin
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
        let body = file::object(session, &self.file)?;
        let posted = session.ask::<Pod>(Request::post("/v2/pods", body).with_flag("strict", self.strict)).await;
        let (pod, _) = posted.map_err(|err| file::blame(err, file::shown(&self.file)))?;
        let accepted = super::accepted(session, &pod.id, &pod.version, "created");
        change::finish(session, vec![accepted], &self.wait).await
    }
}

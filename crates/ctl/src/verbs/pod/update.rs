//! `ekiden pod update`.

use crate::error::Result;
use crate::file;
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use crate::verbs::change::{self, UNCHANGED, Wait};
use api::v2::Pod;
use clap::Args;

/// Change a pod from a file, which is the whole truth about it: what is not there takes its default.
#[derive(Clone, Debug, Args)]
pub struct Update {
    /// The pod, such as /demo/web
    #[arg(value_parser = text::id)]
    id: String,
    /// Marathon JSON: the whole pod; `-`, the default, is stdin
    #[arg(short, long)]
    file: Option<String>,
    /// Refuse fields that have no effect, such as mistyped ones, instead of warning of them
    #[arg(long)]
    strict: bool,
    /// Take over from a deployment under way
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Update {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let body = file::changes(session, self.file.as_deref())?;
        let path = super::path(&self.id);
        let (before, _) = session.ask::<Pod>(Request::get(&path)).await?;
        let request = Request::put(path, body).with_flag("force", self.force).with_flag("strict", self.strict);
        let source = self.file.as_deref().unwrap_or("-");
        let (pod, _) = session.ask::<Pod>(request).await.map_err(|err| file::blame(err, file::shown(source)))?;
        let did = if pod.version == before.version { UNCHANGED } else { "updated" };
        let accepted = super::accepted(session, &pod.id, &pod.version, did);
        change::finish(session, vec![accepted], &self.wait).await
    }
}

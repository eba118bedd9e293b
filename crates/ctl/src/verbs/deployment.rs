//! `ekiden deployment`: changes under way, and those that have ended.

mod list;
mod rollback;
mod show;
mod stop;
mod watch;

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use clap::Subcommand;

/// The status of a deployment under way.
const RUNNING: &str = "running";

/// What is to be done with deployments.
#[derive(Clone, Debug, Subcommand)]
pub enum Deployment {
    /// List deployments under way
    #[command(alias = "ls")]
    List(list::List),
    /// Show one deployment, under way or ended
    #[command(alias = "get")]
    Show(show::Show),
    /// Watch a deployment until its end, and end with its result
    Watch(watch::Watch),
    /// Take back what a deployment under way changes
    Rollback(rollback::Rollback),
    /// End a deployment where it stands
    #[command(alias = "cancel")]
    Stop(stop::Stop),
}

impl Deployment {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::List(it) => it.run(session).await,
            Self::Show(it) => it.run(session).await,
            Self::Watch(it) => it.run(session).await,
            Self::Rollback(it) => it.run(session).await,
            Self::Stop(it) => it.run(session).await,
        }
    }
}

/// The apps of a deployment that is under way.
async fn affected(session: &Session<'_>, id: &str) -> Result<Vec<String>> {
    let request = Request::get(format!("/v3/deployments/{id}"));
    let (it, _) = session.ask::<api::v3::Deployment>(request).await.map_err(|err| match err.kind {
        Kind::NotFound => err.hint("`ekiden deployment list` shows which are under way"),
        _ => err,
    })?;
    if it.status == RUNNING {
        return Ok(it.changes.into_iter().map(|it| it.app).collect());
    }
    let err = Error::new(Kind::NotFound, format!("deployment {id} has ended: {}", it.status));
    Err(err.hint("`ekiden app rollback` goes back to a version from before"))
}

//! `ekiden debug`: why something waits, as `dcos marathon debug` shows it. `ekiden queue` says all of it at once.

mod details;
mod list;
mod summary;

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::text;
use api::v3::Explanation;
use clap::Subcommand;
use serde_json::Value;

/// What is to be known of what waits.
#[derive(Clone, Debug, Subcommand)]
pub enum Debug {
    /// List the apps and pods that miss instances
    List(list::List),
    /// How many nodes decline an app's instances, for each reason
    Summary(summary::Summary),
    /// What each node says that declines
    Details(details::Details),
}

impl Debug {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::List(it) => it.run(session).await,
            Self::Summary(it) => it.run(session).await,
            Self::Details(it) => it.run(session).await,
        }
    }
}

/// Why an app or a pod misses instances; one that misses none is an error, as in the DC/OS CLI.
async fn explain(session: &Session<'_>, id: &str) -> Result<(Explanation, Value)> {
    let id = text::app_id(id);
    let (explained, value) = session.ask::<Explanation>(Request::get(format!("/v3/apps{id}/explain"))).await?;
    if explained.missing == 0 {
        return Err(Error::new(Kind::NotFound, format!("{id} misses no instance")));
    }
    Ok((explained, value))
}

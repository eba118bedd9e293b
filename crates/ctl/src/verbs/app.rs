//! `ekiden app`: everything about apps.

mod add;
mod kill;
mod list;
mod remove;
mod restart;
mod rollback;
mod scale;
mod show;
mod start;
mod stop;
mod update;
mod versions;

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::Tone;
use crate::text;
use api::v2::AppInfo;
use clap::Subcommand;
use serde_json::Value;

/// What is to be done with apps.
#[derive(Clone, Debug, Subcommand)]
pub enum App {
    /// List apps
    #[command(alias = "ls")]
    List(list::List),
    /// Show one app, its instances and its last failure
    #[command(alias = "get")]
    Show(show::Show),
    /// Create an app from a file
    #[command(alias = "create")]
    Add(add::Add),
    /// Change an app by key=value, or from a file
    Update(update::Update),
    /// Set the number of instances
    Scale(scale::Scale),
    /// Replace all instances by new ones of the same version
    Restart(restart::Restart),
    /// Go back to a version from before
    Rollback(rollback::Rollback),
    /// Kill instances; others take their places
    Kill(kill::Kill),
    /// Remove an app and all its instances
    #[command(aliases = ["delete", "rm", "destroy"])]
    Remove(remove::Remove),
    /// List the versions of an app
    #[command(alias = "history")]
    Versions(versions::Versions),
    /// Start a stopped app
    Start(start::Start),
    /// Scale to no instances
    #[command(alias = "suspend")]
    Stop(stop::Stop),
    /// As in `dcos marathon app version list`
    #[command(subcommand, hide = true)]
    Version(Version),
}

/// The versions of an app, in the words of the DC/OS CLI.
#[derive(Clone, Debug, Subcommand)]
pub enum Version {
    /// List the versions of an app
    List(versions::Versions),
}

impl App {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::List(it) => it.run(session).await,
            Self::Show(it) => it.run(session).await,
            Self::Add(it) => it.run(session).await,
            Self::Update(it) => it.run(session).await,
            Self::Scale(it) => it.run(session).await,
            Self::Restart(it) => it.run(session).await,
            Self::Rollback(it) => it.run(session).await,
            Self::Kill(it) => it.run(session).await,
            Self::Remove(it) => it.run(session).await,
            Self::Versions(it) | Self::Version(Version::List(it)) => it.run(session).await,
            Self::Start(it) => it.run(session).await,
            Self::Stop(it) => it.run(session).await,
        }
    }
}

/// How an app is in one word, as far as it says itself.
pub(super) fn status(info: &AppInfo) -> (&'static str, Tone) {
    list::status(info, None)
}

pub(super) use update::assigned;

/// The path of an app's resource, from its id as typed.
pub(super) fn path(id: &str) -> String {
    format!("/v2/apps{}", text::app_id(id))
}

/// An app as it is now, and as it was printed.
pub(super) async fn fetch(session: &Session<'_>, id: &str) -> Result<(AppInfo, Value)> {
    let (single, mut value) = session.ask::<api::v2::AppSingle>(Request::get(path(id))).await?;
    Ok((single.app, value["app"].take()))
}

//! `ekiden pod`: containers that live and die together.

mod add;
mod kill;
mod list;
mod remove;
mod show;
mod status;
mod update;
mod versions;

use crate::error::Result;
use crate::remote::Request;
use crate::session::Session;
use crate::table::Tone;
use crate::text;
use crate::verbs::change::Accepted;
use api::v2::{DeploymentResult, Pod as Definition, PodStatus};
use clap::Subcommand;
use serde_json::Value;

/// What is to be done with pods.
#[derive(Clone, Debug, Subcommand)]
pub enum Pod {
    /// List pods
    #[command(alias = "ls")]
    List(list::List),
    /// Show one pod and its instances
    #[command(alias = "get")]
    Show(show::Show),
    /// Create a pod from a file
    #[command(alias = "create")]
    Add(add::Add),
    /// Change a pod from a file
    Update(update::Update),
    /// Kill instances; others take their places
    Kill(kill::Kill),
    /// Remove a pod and all its instances
    #[command(aliases = ["delete", "rm", "destroy"])]
    Remove(remove::Remove),
    /// List the versions of a pod
    #[command(alias = "history")]
    Versions(versions::Versions),
    /// Show how each container of a pod is
    Status(status::Status),
}

impl Pod {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::List(it) => it.run(session).await,
            Self::Show(it) => it.run(session).await,
            Self::Add(it) => it.run(session).await,
            Self::Update(it) => it.run(session).await,
            Self::Kill(it) => it.run(session).await,
            Self::Remove(it) => it.run(session).await,
            Self::Versions(it) => it.run(session).await,
            Self::Status(it) => it.run(session).await,
        }
    }
}

/// The path of a pod's resource, from its id as typed.
fn path(id: &str) -> String {
    format!("/v2/pods{}", text::app_id(id))
}

/// A pod as it is now, and as it was printed.
async fn fetch(session: &Session<'_>, id: &str) -> Result<(PodStatus, Value)> {
    session.ask::<PodStatus>(Request::get(format!("{}::status", path(id)))).await
}

/// What was accepted; the deployment stands beside the answer, and not in it.
fn accepted(session: &Session<'_>, id: &str, version: &str, did: &'static str) -> Accepted {
    let deployment_id = session.take_deployment().unwrap_or_default();
    let result = DeploymentResult { deployment_id, version: version.to_owned() };
    Accepted::new(text::app_id(id), result, did)
}

/// How many instances are stable, of how many.
pub(super) fn counts(pod: &PodStatus) -> String {
    let stable = pod.instances.iter().filter(|it| it.status == "STABLE").count();
    format!("{stable}/{}", pod.spec.scaling.instances)
}

/// How a pod is in one word.
pub(super) fn status(pod: &PodStatus) -> (&'static str, Tone) {
    match pod.status.as_str() {
        "TERMINAL" => ("Terminal", Tone::Muted),
        "STABLE" if pod.spec.scaling.instances == 0 => ("Suspended", Tone::Muted),
        "STABLE" => ("Stable", Tone::Good),
        _ => ("Degraded", Tone::Bad),
    }
}

/// `STABLE` as people say it.
fn word(status: &str) -> (String, Tone) {
    let tone = match status {
        "STABLE" => Tone::Good,
        "STAGING" | "PENDING" => Tone::Busy,
        "DEGRADED" => Tone::Bad,
        _ => Tone::Muted,
    };
    let mut letters = status.chars();
    let first = letters.next().map(String::from).unwrap_or_default();
    (first + &letters.as_str().to_lowercase(), tone)
}

/// The images of a definition, in its containers' order.
fn images(pod: &Definition) -> String {
    let image = |it: &api::v2::PodContainer| it.image.as_ref().map_or("-".to_owned(), |it| it.id.clone());
    pod.containers.iter().map(image).collect::<Vec<_>>().join(",")
}

//! `ekiden group`: the folders of the tree of apps.

mod add;
mod list;
mod remove;
mod scale;
mod show;
mod update;

use crate::error::Result;
use crate::session::Session;
use crate::text;
use api::v2::{AppInfo, PodStatus};
use clap::Subcommand;
use serde::Deserialize;

/// What is to be done with groups.
#[derive(Clone, Debug, Subcommand)]
pub enum Group {
    /// List groups
    #[command(alias = "ls")]
    List(list::List),
    /// Show one group and what is in it
    #[command(alias = "get")]
    Show(show::Show),
    /// Create a group from a file
    #[command(alias = "create")]
    Add(add::Add),
    /// Change a group from a file, or by key=value
    Update(update::Update),
    /// Multiply the instances of every app in a group
    Scale(scale::Scale),
    /// Remove a group and all that is in it
    #[command(aliases = ["delete", "rm"])]
    Remove(remove::Remove),
}

impl Group {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::List(it) => it.run(session).await,
            Self::Show(it) => it.run(session).await,
            Self::Add(it) => it.run(session).await,
            Self::Update(it) => it.run(session).await,
            Self::Scale(it) => it.run(session).await,
            Self::Remove(it) => it.run(session).await,
        }
    }
}

/// What is embedded where a group is shown.
const EMBEDDED: [&str; 5] = ["group.groups", "group.apps", "group.apps.counts", "group.apps.deployments", "group.pods"];

/// A group with what is embedded (RAML `GroupInfo`), as far as people are shown it.
#[derive(Debug, Deserialize)]
struct Info {
    id: String,
    #[serde(default)]
    apps: Vec<AppInfo>,
    #[serde(default)]
    pods: Vec<PodStatus>,
    #[serde(default)]
    groups: Vec<Info>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    version: Option<String>,
}

impl Info {
    /// It and every group in it, at any depth; itself first.
    fn all(&self) -> Vec<&Self> {
        std::iter::once(self).chain(self.groups.iter().flat_map(Self::all)).collect()
    }
}

/// The path of a group's resource, from its id as typed.
fn path(id: &str) -> String {
    match text::app_id(id).as_str() {
        "/" => "/v2/groups".to_owned(),
        id => format!("/v2/groups{id}"),
    }
}

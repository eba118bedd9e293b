//! `ekiden marathon`: what users of `dcos marathon` type, as they type it.

use super::{app, debug, delay, deployment, group, leader, pod, task};
use crate::error::Result;
use crate::session::Session;
use clap::Subcommand;

/// The verbs of `dcos marathon`, which are the same without this word.
#[derive(Clone, Debug, Subcommand)]
pub enum Marathon {
    /// Apps
    #[command(subcommand)]
    App(app::App),
    /// Why something waits
    #[command(subcommand)]
    Debug(debug::Debug),
    /// The delay of launches after failures
    #[command(subcommand)]
    Delay(delay::Delay),
    /// Deployments
    #[command(subcommand)]
    Deployment(deployment::Deployment),
    /// Groups
    #[command(subcommand)]
    Group(group::Group),
    /// The member that leads the cluster
    #[command(subcommand)]
    Leader(leader::Leader),
    /// Pods
    #[command(subcommand)]
    Pod(pod::Pod),
    /// Tasks
    #[command(subcommand)]
    Task(task::Task),
}

impl Marathon {
    pub(crate) async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::App(it) => it.run(session).await,
            Self::Debug(it) => it.run(session).await,
            Self::Delay(it) => it.run(session).await,
            Self::Deployment(it) => it.run(session).await,
            Self::Group(it) => it.run(session).await,
            Self::Leader(it) => it.run(session).await,
            Self::Pod(it) => it.run(session).await,
            Self::Task(it) => it.run(session).await,
        }
    }
}

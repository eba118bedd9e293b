//! Everything there is to do: one verb, one file.

mod app;
mod change;
mod completions;
mod debug;
mod delay;
mod deploy;
mod deployment;
mod events;
mod group;
mod history;
mod leader;
mod logs;
mod marathon;
mod node;
mod orphan;
mod pod;
mod queue;
mod task;
mod version;

use crate::error::Result;
use crate::session::Session;

/// A verb and its arguments, as typed.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Verb {
    /// Make apps as their files say: create, update, or leave as they are
    Deploy(deploy::Deploy),
    /// Apps: list, show, change
    #[command(subcommand)]
    App(app::App),
    /// Groups: the folders of the tree of apps
    #[command(subcommand)]
    Group(group::Group),
    /// Pods: containers that live and die together
    #[command(subcommand)]
    Pod(pod::Pod),
    /// Deployments: list, watch, take back
    #[command(subcommand)]
    Deployment(deployment::Deployment),
    /// Tasks, which are the instances of apps
    #[command(subcommand)]
    Task(task::Task),
    /// Nodes: the machines that run instances
    #[command(subcommand)]
    Node(node::Node),
    /// Containers that nobody speaks of any more
    #[command(subcommand)]
    Orphan(orphan::Orphan),
    /// What waits, since when, and why
    #[command(visible_alias = "waiting")]
    Queue(queue::Queue),
    /// The delay of launches after failures
    #[command(subcommand)]
    Delay(delay::Delay),
    /// Print what containers wrote, also those that are gone
    #[command(visible_alias = "log")]
    Logs(logs::Logs),
    /// Print what happens, one event a line
    Events(events::Events),
    /// The member that leads the cluster
    #[command(subcommand)]
    Leader(leader::Leader),
    /// Why something waits, in the words of the DC/OS CLI
    #[command(subcommand, hide = true)]
    Debug(debug::Debug),
    /// The same verbs, behind the word that the DC/OS CLI has before them
    #[command(subcommand, hide = true)]
    Marathon(marathon::Marathon),
    /// Print a script that completes verbs and options in a shell
    Completions(completions::Completions),
    /// Print the version of this program, and of the cluster if it answers
    Version(version::Version),
}

/// Does it.
pub(crate) async fn run(verb: &Verb, program: &mut clap::Command, session: &mut Session<'_>) -> Result<()> {
    match verb {
        Verb::Deploy(it) => it.run(session).await,
        Verb::App(it) => it.run(session).await,
        Verb::Group(it) => it.run(session).await,
        Verb::Pod(it) => it.run(session).await,
        Verb::Deployment(it) => it.run(session).await,
        Verb::Task(it) => it.run(session).await,
        Verb::Node(it) => it.run(session).await,
        Verb::Orphan(it) => it.run(session).await,
        Verb::Queue(it) => it.run(session).await,
        Verb::Delay(it) => it.run(session).await,
        Verb::Logs(it) => it.run(session).await,
        Verb::Events(it) => it.run(session).await,
        Verb::Leader(it) => it.run(session).await,
        Verb::Debug(it) => it.run(session).await,
        Verb::Marathon(it) => it.run(session).await,
        Verb::Completions(it) => it.run(program, session),
        Verb::Version(it) => it.run(session).await,
    }
}

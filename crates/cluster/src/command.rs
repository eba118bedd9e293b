//! What can be asked of the cluster: the content of the replicated log.

use crate::agent::Observation;
use crate::event::Event;
use crate::model::{
    AppId, AppSpec, Closeness, ClusterId, DeploymentId, GroupUpdate, InstanceId, Moment, NodeDescription, NodeId,
    PathId, Settings, StopReason, Stranger, Timestamp, Version,
};
use serde::{Deserialize, Serialize};

/// One entry of the log, as every member applies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the log. Not part of the encoded entry: raft knows it.
    #[serde(skip)]
    pub index: u64,
    /// When the leader proposed it, by the members' wall clocks.
    pub time: Timestamp,
    /// When the leader proposed it, in the cluster's own time. `apply` takes the later of this and the last entry's.
    #[serde(default)]
    pub moment: Moment,
    /// Who asked.
    pub principal: Principal,
    /// What was asked.
    pub command: Command,
}

/// Who asked for a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    /// The control plane itself: plans and liveness.
    Leader,
    /// A node's agent.
    Agent(NodeId),
    /// A user of the API, by address until there are names.
    User {
        /// Where the request came from.
        address: String,
    },
}

/// A change of the cluster. The only way to change anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Gives the cluster its name; the first leader's first entry. Ignored when it has one.
    Found {
        /// 48 random bits.
        cluster: ClusterId,
    },
    /// Takes what the operator has set.
    Configure {
        /// All of it.
        settings: Settings,
    },
    /// Creates or changes apps, in one deployment.
    PutApps {
        /// Each app with the condition on what is there.
        apps: Vec<(AppSpec, Expect)>,
        /// Take over from deployments that hold one of the apps.
        force: bool,
    },
    /// Sets how many instances apps shall have, in one deployment; all else of them stays as it is.
    ScaleApps {
        /// Each app with its number.
        apps: Vec<Scaling>,
        /// Take over from deployments that hold one of the apps.
        force: bool,
    },
    /// Replaces all instances of an app by new ones of the same content.
    RestartApp {
        /// Which app.
        app: AppId,
        /// Take over from a deployment that holds it.
        force: bool,
    },
    /// Deletes an app.
    RemoveApp {
        /// Which app.
        app: AppId,
        /// Take over from a deployment that holds it.
        force: bool,
    },
    /// Creates or changes a group and what is in it, in one deployment.
    PutGroup {
        /// Its new content.
        update: GroupUpdate,
        /// There must be no such group.
        absent: bool,
        /// Take over from deployments that hold one of its apps.
        force: bool,
    },
    /// Multiplies the instances of every app in a group.
    ScaleGroup {
        /// Which group.
        group: PathId,
        /// By how much, parts per million; the product is rounded up.
        factor_ppm: u64,
        /// Take over from deployments that hold one of its apps.
        force: bool,
    },
    /// Makes a group what it was at a version of the tree.
    RestoreGroup {
        /// Which group.
        group: PathId,
        /// Which version.
        version: Version,
        /// Take over from deployments that hold one of its apps.
        force: bool,
    },
    /// Deletes a group and what is in it; the root group only becomes empty.
    RemoveGroup {
        /// Which group.
        group: PathId,
        /// Take over from deployments that hold one of its apps.
        force: bool,
    },
    /// Ends a deployment by a new one that reverts its changes.
    RollBack {
        /// Which deployment.
        deployment: DeploymentId,
    },
    /// Ends a deployment where it stands.
    Cancel {
        /// Which deployment.
        deployment: DeploymentId,
    },
    /// Kills instances. Without `scale`, others take their places.
    Kill {
        /// Which ones; unknown and already stopping ones are passed over.
        instances: Vec<InstanceId>,
        /// Also lower the apps' wanted numbers by as many, in a deployment.
        scale: bool,
        /// With `scale`: take over from deployments that hold one of the apps.
        force: bool,
        /// Also destroy the volumes of resident ones.
        wipe: bool,
    },
    /// Ends an app's launch delay.
    ResetBackoff {
        /// Which app.
        app: AppId,
    },
    /// An agent introduced its node; also brings a lost node back.
    Register {
        /// The node.
        node: NodeDescription,
    },
    /// A node's agent was not heard of for too long.
    Lose {
        /// The node.
        node: NodeId,
    },
    /// A node's agent says whether new instances would start.
    Degrade {
        /// The node.
        node: NodeId,
        /// Why they would not; absent when all is well again.
        reason: Option<String>,
    },
    /// Forgets a lost node and all that was on it.
    RemoveNode {
        /// The node.
        node: NodeId,
    },
    /// The containers on a node's engine that its agent has no assignment for: all of them.
    FindStrangers {
        /// The agent's node.
        node: NodeId,
        /// The containers.
        strangers: Vec<Stranger>,
    },
    /// Ends and removes containers that no assignment covers.
    RemoveOrphans {
        /// Whose containers.
        instances: Vec<InstanceId>,
    },
    /// What an agent saw of its instances.
    Report {
        /// The agent's node.
        node: NodeId,
        /// What it saw; each replaces what was known.
        observations: Vec<Observation>,
        /// Reservations whose volumes it has destroyed, as it was told to.
        destroyed: Vec<InstanceId>,
    },
    /// The next steps of the leader's plan; each is checked again and taken or passed over.
    Execute {
        /// The steps, in order.
        steps: Vec<Step>,
    },
}

impl Command {
    /// Whether users may ask for it; the rest is for leaders and agents to ask.
    pub const fn is_a_users(&self) -> bool {
        match self {
            Self::PutApps { .. }
            | Self::ScaleApps { .. }
            | Self::RestartApp { .. }
            | Self::RemoveApp { .. }
            | Self::PutGroup { .. }
            | Self::ScaleGroup { .. }
            | Self::RestoreGroup { .. }
            | Self::RemoveGroup { .. }
            | Self::RollBack { .. }
            | Self::Cancel { .. }
            | Self::Kill { .. }
            | Self::ResetBackoff { .. }
            | Self::RemoveNode { .. }
            | Self::RemoveOrphans { .. } => true,
            Self::Found { .. }
            | Self::Configure { .. }
            | Self::Register { .. }
            | Self::Lose { .. }
            | Self::Degrade { .. }
            | Self::FindStrangers { .. }
            | Self::Report { .. }
            | Self::Execute { .. } => false,
        }
    }
}

/// A condition on what is there when an app is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// None: create or change.
    Any,
    /// There must be no such app.
    Absent,
    /// The app's wanted version must be this one: nothing changed since it was read.
    Version(Version),
}

/// How many instances an app shall have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaling {
    /// Which app.
    pub app: AppId,
    /// So many.
    pub instances: u32,
    /// The condition on what is there.
    pub expect: Expect,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Place a new instance of the app's wanted version.
    Launch {
        /// Which app.
        app: AppId,
        /// The app's wanted version that was planned with: another by now makes the step void.
        version: Version,
        /// Where.
        node: NodeId,
        /// The host ports, one for each of the app's ports that wants one.
        ports: Vec<u16>,
        /// The reservation to take, where the app is resident and has one free.
        reservation: Option<InstanceId>,
    },
    /// End an instance and remove its container.
    Stop {
        /// Which one.
        instance: InstanceId,
        /// Why.
        reason: StopReason,
    },
    /// Judge a running instance by the health checks of the app's wanted version from now on.
    Follow {
        /// Which one.
        instance: InstanceId,
        /// The app's wanted version that was planned with: another by now makes the step void.
        version: Version,
    },
    /// One app of a deployment is as wanted.
    Settle {
        /// Which deployment.
        deployment: DeploymentId,
        /// Which app of it.
        app: AppId,
    },
    /// A deployment came closer to its end.
    Progress {
        /// Which deployment.
        deployment: DeploymentId,
        /// By which of its apps.
        app: AppId,
        /// How close that one is now.
        closeness: Closeness,
    },
    /// A deployment made no progress until its deadline.
    Expire {
        /// Which deployment.
        deployment: DeploymentId,
        /// What it waits for, for people.
        reason: String,
    },
}

impl Step {
    /// What the names of fields, the numbers and the ids of a step take in the log, at most.
    pub(crate) const FRAME_BYTES: usize = 160;

    /// What the end of an instance takes, at most.
    pub(crate) const STOP_BYTES: usize = 96;

    /// What a host port takes.
    pub(crate) const PORT_BYTES: usize = 3;

    /// So many bytes it has at most in the log.
    pub fn bytes_max(&self) -> usize {
        let texts = match self {
            Self::Launch { app, node, ports, .. } => {
                app.as_str().len() + node.as_str().len() + ports.len() * Self::PORT_BYTES
            }
            Self::Settle { app, .. } | Self::Progress { app, .. } => app.as_str().len(),
            Self::Expire { reason, .. } => reason.len(),
            Self::Stop { .. } => return Self::STOP_BYTES,
            Self::Follow { .. } => 0,
        };
        Self::FRAME_BYTES + texts
    }
}

/// What an accepted entry did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The entry's index.
    pub index: u64,
    /// The version of what was put, removed or restarted.
    pub version: Option<Version>,
    /// The deployment that carries the change out.
    pub deployment: Option<DeploymentId>,
    /// The instances that a kill took.
    pub killed: Vec<InstanceId>,
    /// Apps that came to a name in Consul that another app has as well.
    pub shared_services: Vec<SharedService>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// Two apps that are found under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedService {
    /// The one that was put.
    pub app: AppId,
    /// The name.
    pub service: String,
    /// The one that has it as well.
    pub other: AppId,
}

/// Why an entry changed nothing: an answer, the same on every member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No such app.
    #[error("App '{app}' does not exist")]
    NoApp {
        /// Which.
        app: AppId,
    },
    /// No such deployment, or it has ended.
    #[error("DeploymentPlan {deployment} does not exist")]
    NoDeployment {
        /// Which.
        deployment: DeploymentId,
    },
    /// No such node.
    #[error("Node '{node}' does not exist")]
    NoNode {
        /// Which.
        node: NodeId,
    },
    /// There is an app of this name already.
    #[error("An app with id [{app}] already exists.")]
    Exists {
        /// Which.
        app: AppId,
    },
    /// One app's path would lie inside another's.
    #[error(
        "App '{app}' cannot be created: its path lies inside, or around, that of app '{other}'. Choose another id."
    )]
    Nested {
        /// The new one.
        app: AppId,
        /// The one that is there.
        other: AppId,
    },
    /// The app was changed since it was read.
    #[error("App '{app}' was changed meanwhile: its version is not the expected one. Read it again and repeat.")]
    Changed {
        /// Which.
        app: AppId,
    },
    /// No such group.
    #[error("Group '{group}' does not exist")]
    NoGroup {
        /// Which.
        group: PathId,
    },
    /// There was no such group at that version.
    #[error("Group '{group}' does not exist in that version")]
    NoGroupVersion {
        /// Which.
        group: PathId,
    },
    /// There is a group of this name already.
    #[error("Group {group} is already created. Use PUT to change this group.")]
    GroupExists {
        /// Which.
        group: PathId,
    },
    /// An app has the path of a group, or a group that of an app.
    #[error("An app with the path {path} already exists.")]
    PathIsApp {
        /// Which.
        path: PathId,
    },
    /// What is there is a pod, and what is to come an app, or the other way about.
    #[error("'{path}' is {there}: an app and a pod cannot have the same path. Choose another id, or delete it first.")]
    OtherKind {
        /// Which.
        path: PathId,
        /// What is there.
        there: &'static str,
    },
    /// A group has the path of an app.
    #[error("'{path}' is a group: an app and a group cannot have the same path. Choose another id.")]
    PathIsGroup {
        /// Which.
        path: PathId,
    },
    /// Apps depend on each other in a circle.
    #[error("Dependency graph has cyclic dependencies.")]
    Cyclic,
    /// Too many apps would wait for each other.
    #[error(
        "The dependencies of app '{app}' are a chain of {length} apps that wait for each other, and at most {max} may: let it, or those that it depends on, depend on fewer."
    )]
    TooDeep {
        /// Who would wait for all others.
        app: AppId,
        /// How many they are, with it.
        length: u32,
        /// The limit.
        max: u32,
    },
    /// Volumes or what belongs to them would change, while instances hold them.
    #[error(
        "App '{app}' has persistent volumes: {what} cannot be changed. Create another app, or delete this one first."
    )]
    Resident {
        /// Which.
        app: AppId,
        /// What would change.
        what: &'static str,
    },
    /// Another app has an external volume of this name, and it is not shared.
    #[error("External volume '{volume}' is used by app '{app}' already, and is not shared.")]
    VolumeTaken {
        /// The volume's name.
        volume: String,
        /// Who has it.
        app: AppId,
    },
    /// Another app is found under this name, and the operator wants one for each.
    #[error(
        "App '{}' would be found in Consul as '{}', as app '{}' is. Choose another id or port name, or name the service by the label 'consul'.",
        .0.app, .0.service, .0.other
    )]
    ServiceTaken(SharedService),
    /// Too many deployments are under way.
    #[error(
        "Max number ({max}) of running deployments is achieved. Wait for existing deployments to complete or cancel one using force=true parameter. You can increase max deployment number by using --max_running_deployments parameter"
    )]
    TooManyDeployments {
        /// The limit.
        max: u32,
    },
    /// Deployments under way hold an app.
    #[error(
        "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'."
    )]
    Locked {
        /// Those deployments.
        deployments: Vec<DeploymentId>,
    },
    /// No service port is left to choose.
    #[error("All ports in the range of the setting 'service_ports' are already in use")]
    NoServicePort,
    /// Another agent has this name.
    #[error(
        "Node name '{node}' is taken: another agent, with another data directory, has it and is not lost. Give this agent another name, or stop the other one."
    )]
    NameTaken {
        /// Which name.
        node: NodeId,
    },
    /// No container of this instance is known as an orphan.
    #[error("There is no orphan '{instance}': `ekiden orphan list` shows which there are")]
    NoOrphan {
        /// Which.
        instance: InstanceId,
    },
    /// The node is not lost.
    #[error("Node '{node}' is not lost: stop its agent first, then remove it.")]
    NodeAlive {
        /// Which.
        node: NodeId,
    },
    /// The entry says nothing new: a repeated report, a plan overtaken by events.
    #[error("nothing to do")]
    Nothing,
}

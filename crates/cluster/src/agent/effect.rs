//! What reaches an agent, and what it wants done.

use super::{Assignment, Container, Exit, Observation, Outcome};
use crate::catalog::{Gone, Wish, Writer};
use crate::model::{
    AppId, CheckResult, ClusterId, End, Evidence, HealthAnswer, HealthCheck, InstanceId, Readiness, ReadinessResponse,
    Stranger, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What reaches an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A member took the agent in; a new connection begins.
    Connected {
        /// The cluster served from now on.
        cluster: ClusterId,
    },
    /// The connection ended. Changes nothing on the node.
    Disconnected,
    /// [`super::ToAgent::Assign`].
    Assigned {
        /// The log index the assignments were read at.
        generation: u64,
        /// Those that are new or changed.
        assignments: Vec<Assignment>,
        /// Instances whose removal is known to the cluster.
        forget: Vec<InstanceId>,
        /// Reservations whose volumes are to be destroyed.
        destroy: Vec<InstanceId>,
        /// The first of a connection: it has them all. [`super::Parts`] puts it together.
        complete: bool,
    },
    /// What the agent needs besides Docker does not answer, or does again.
    Tied {
        /// Why new instances would not start, for people.
        reason: Option<String>,
    },
    /// A report is in the log.
    Reported {
        /// Which one.
        sequence: u64,
    },
    /// Who else of the cluster has entries at the node's Consul agent.
    Written {
        /// Who wrote them.
        writers: BTreeSet<Writer>,
    },
    /// Answers [`Output::Writers`].
    Gone {
        /// Which of them are none of the cluster's agents.
        gone: Gone,
    },
    /// Answers [`Output::List`]: every container of this cluster on the engine, whichever agent made it, whatever its
    /// name is.
    Listed {
        /// The list's own.
        epoch: u64,
        /// The containers.
        containers: Vec<Listed>,
    },
    /// The list could not be had: Docker is away, or hangs.
    ListFailed {
        /// Why, for people.
        message: String,
    },
    /// Docker said that something happened to a container. A hint: it may be wrong, late or missing (INV-D3).
    Hint {
        /// Which container.
        instance: InstanceId,
    },
    /// Docker said that an app's container ended, and how. As good as a look at it where it was running by all that is
    /// known, and sooner: nobody may look before Docker has cleared up behind it.
    Died {
        /// Which container.
        instance: InstanceId,
        /// How it ended.
        exit: Exit,
    },
    /// Answers [`Output::Inspect`].
    Inspected {
        /// Which container.
        instance: InstanceId,
        /// The inspection's own.
        epoch: u64,
        /// What there is; or why that could not be learnt.
        container: Result<Container, String>,
    },
    /// A start goes on, and takes a while.
    Progress {
        /// Which instance.
        instance: InstanceId,
        /// What is being done, for people: `pulling image x`.
        message: String,
    },
    /// Docker has not answered for seconds; it may, still.
    Slow,
    /// Answers [`Output::Start`], [`Output::Stop`] and [`Output::Remove`]; each has exactly one answer.
    Done {
        /// Which instance.
        instance: InstanceId,
        /// How it went.
        result: Done,
    },
    /// Answers [`Output::Keep`].
    Kept {
        /// Which instance.
        instance: InstanceId,
        /// How it went.
        result: Keeping,
    },
    /// Answers [`Output::Probe`].
    Probed {
        /// Which instance.
        instance: InstanceId,
        /// The number of the check.
        check: u32,
        /// What it said.
        outcome: Outcome,
    },
    /// Answers [`Output::Destroy`].
    Destroyed {
        /// Whose volumes.
        reservation: InstanceId,
        /// That they are gone; or why they are not.
        result: Result<(), String>,
    },
    /// Answers [`Output::Ask`].
    Answered {
        /// Which instance.
        instance: InstanceId,
        /// What it said; or why it said nothing.
        answer: Result<ReadinessResponse, String>,
    },
    /// What [`Output::Publish`] asked for is so.
    Published {
        /// The last revision that is.
        revision: u64,
    },
    /// Consul is away; the shell goes on trying.
    PublishFailed,
    /// Time went by.
    Tick,
}

/// How an operation on a container went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Docker did it; this is there now.
    Now(Container),
    /// Docker's answer was no.
    Refused {
        /// Why, for people.
        message: String,
        /// What is there now.
        container: Container,
    },
    /// Docker's answer was no, because its disk is full.
    Full {
        /// Why, for people.
        message: String,
        /// What is there now.
        container: Container,
    },
    /// Docker did not answer. Whether it did it is not known.
    Unavailable {
        /// Why, for people.
        message: String,
    },
    /// It was called off before anything was done.
    Abandoned,
}

/// How the keeping of what an instance left behind went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It is on the node's disk; this is what the cluster is to know.
    Safe(Arc<Evidence>),
    /// There is no container, nor anything that it left.
    Gone,
    /// Some of it could not be read, or the disk does not take it. It may be worth another try.
    Partly {
        /// Why, for people.
        message: String,
        /// What the cluster is to know.
        evidence: Arc<Evidence>,
    },
    /// Docker did not answer.
    Unavailable {
        /// Why, for people.
        message: String,
    },
}

/// A container in Docker's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which instance it is.
    pub instance: InstanceId,
    /// What the list says of it.
    pub listing: Listing,
    /// Who made it.
    pub maker: Maker,
}

/// Who made a container, and for which app, as its labels have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maker {
    /// The app's path.
    pub app: String,
    /// The name that the agent's node had.
    pub node: String,
    /// The agent's identity; absent on containers of earlier versions.
    pub agent: Option<u64>,
}

/// What Docker's list says of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It was made and never started.
    Created,
    /// It runs.
    Running {
        /// Its own address, where it has one.
        ip: Option<String>,
        /// Its own IPv6 address, where it has one.
        ipv6: Option<String>,
    },
    /// It has ended; how, an inspection tells.
    Ended,
}

/// What an agent wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// List all containers of this cluster.
    List {
        /// Returned with the answer.
        epoch: u64,
    },
    /// Look at one container.
    Inspect {
        /// Which one.
        instance: InstanceId,
        /// Returned with the answer.
        epoch: u64,
    },
    /// Make a container and start it; see to its image first. A container of this name that is there already is
    /// started if it never was, and otherwise only looked at. A failed start leaves nothing behind (INV-D4).
    Start {
        /// What to run.
        assignment: Assignment,
    },
    /// Call a start off, if it has not come to the container yet.
    Abandon {
        /// Which instance.
        instance: InstanceId,
    },
    /// End a container.
    Stop {
        /// Which one.
        instance: InstanceId,
        /// From the polite to the hard signal, milliseconds.
        grace_ms: u64,
    },
    /// Give a container whose end is under way the hard signal now. Not answered: the stop is.
    Kill {
        /// Which one.
        instance: InstanceId,
    },
    /// Keep on the node what an instance that ended left behind: how its containers ended, and their last lines.
    Keep {
        /// Which one.
        instance: InstanceId,
        /// Its app.
        app: AppId,
        /// The app's version it was launched for.
        version: Version,
        /// What a health check that failed was answered last.
        health: Option<HealthAnswer>,
    },
    /// Remove a container that does not run.
    Remove {
        /// Which one.
        instance: InstanceId,
    },
    /// Destroy the volumes of a reservation, unless a container still has them.
    Destroy {
        /// Whose.
        reservation: InstanceId,
    },
    /// Ask an instance whether it is healthy.
    Probe {
        /// Which one.
        instance: InstanceId,
        /// The number of the check.
        check: u32,
        /// How.
        probe: Probe,
        /// A probe that takes longer has failed, milliseconds.
        timeout_ms: u64,
    },
    /// Ask an instance whether it is ready to take an old one's place.
    Ask {
        /// Which one.
        instance: InstanceId,
        /// How.
        get: Get,
        /// What takes longer is no answer, milliseconds.
        timeout_ms: u64,
        /// It shares the node's network: another program of the node may answer in its place, whose words are not the
        /// app's to show.
        host_network: bool,
    },
    /// Send [`super::FromAgent::Report`].
    Report {
        /// Counts the reports of this connection.
        sequence: u64,
        /// What was seen.
        observations: Vec<Observation>,
        /// Reservations whose volumes were destroyed, as told.
        destroyed: Vec<InstanceId>,
    },
    /// Send [`super::FromAgent::Strangers`].
    Strangers {
        /// All containers of the cluster on the engine that no assignment speaks of.
        strangers: Vec<Stranger>,
    },
    /// Send [`super::FromAgent::Writers`].
    Writers {
        /// Who else of the cluster has entries at the node's Consul agent.
        writers: BTreeSet<Writer>,
    },
    /// Send [`super::FromAgent::Degraded`].
    Degraded {
        /// Why new instances would not start.
        reason: Option<String>,
    },
    /// Make Consul's entries as wished; a newer wish replaces an older one.
    Publish {
        /// Counts the wishes.
        revision: u64,
        /// The generation of assignments it was decided at.
        generation: u64,
        /// What shall be registered.
        wish: Wish,
    },
    /// Give the connection up and dial anew.
    Reconnect {
        /// Why, for people.
        reason: String,
    },
    /// [`super::Agent::saved`] has changed; keep it, soon.
    Save,
    /// Something that a person who looks after the node should read.
    Note(Note),
}

/// A question by HTTP. Redirects are not followed: the instance is asked, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Get {
    /// Where to connect.
    pub host: String,
    /// Where to connect.
    pub port: u16,
    /// Path and query.
    pub path: String,
    /// By TLS; certificates are not verified.
    pub tls: bool,
}

/// How to ask an instance whether it is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// 200–399 is a success.
    Http {
        /// What is asked.
        get: Get,
        /// Answers 100–199 give no result.
        ignore_1xx: bool,
        /// It shares the node's network; as [`Output::Ask`] has it.
        host_network: bool,
    },
    /// A connection that opens is a success.
    Tcp {
        /// Where to connect.
        host: String,
        /// Where to connect.
        port: u16,
    },
    /// `/bin/sh -c command` inside the container; exit code 0 is a success.
    Command {
        /// The container of a pod; empty for an app.
        container: String,
        /// The command line.
        command: String,
    },
}

/// Something that a person who looks after the node should read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A container has our labels, and no assignment: it is left alone.
    Quarantined(InstanceId),
    /// A scheduler sent assignments older than those known.
    Outdated {
        /// Theirs.
        generation: u64,
        /// Ours.
        known: u64,
    },
    /// An instance's container could not be ended or removed; it is tried again.
    Stuck {
        /// Which one.
        instance: InstanceId,
        /// What Docker says.
        message: String,
    },
    /// What an instance left behind could not be kept whole, and is given up.
    NotKept {
        /// Which one.
        instance: InstanceId,
        /// Why.
        message: String,
    },
    /// A reservation's volumes could not be destroyed; it is tried again.
    NotDestroyed {
        /// Whose.
        reservation: InstanceId,
        /// Why.
        message: String,
    },
    /// An instance ended, and nobody wanted it to.
    Ended {
        /// Which one.
        instance: InstanceId,
        /// How.
        end: End,
    },
}

/// What an agent keeps on disk, so that health checks and Consul go on after a restart without any scheduler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The cluster served, if any.
    pub cluster: Option<ClusterId>,
    /// The newest generation of assignments.
    pub generation: u64,
    /// The instances.
    pub instances: Vec<SavedInstance>,
    /// The last instances that were ordered to stop and were gone: should a container of theirs turn up after all,
    /// that order still holds.
    pub gone: Vec<Assignment>,
}

/// What an agent keeps of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedInstance {
    /// What was ordered.
    pub assignment: Assignment,
    /// The health checks' results.
    pub checks: Vec<CheckResult>,
    /// How it ended, if it did.
    pub ended: Option<End>,
    /// The agent saw it running.
    pub ran: bool,
    /// What its readiness check has said.
    #[serde(default)]
    pub readiness: Readiness,
    /// What it left behind is safe; and what the cluster is to know of it.
    #[serde(default)]
    pub kept: Option<Kept>,
    /// The version by whose health checks it is judged, and these; absent: those of the assignment.
    #[serde(default)]
    pub judged: Option<(Version, Vec<HealthCheck>)>,
}

/// That what an instance left behind is safe, or is given up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What the cluster is to know of it, where there is anything.
    pub evidence: Option<Arc<Evidence>>,
}

//! What a scheduler and an agent tell each other: field-named MessagePack in length-prefixed frames.

use super::Pace;
use crate::catalog::{Gone, Writer};
use crate::model::{
    AppId, AppSpec, CheckResult, ClusterId, End, Evidence, Health, InstanceId, NodeDescription, NodeId, Readiness,
    Stranger, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The protocol's number. A scheduler refuses an agent of another one.
pub const PROTOCOL: u32 = 1;

/// One instance that an agent shall run, or end.
///
/// An instance that is not among the assignments is *not* to be touched: only `stop` ends one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Which instance; also the container's name.
    pub instance: InstanceId,
    /// Its app.
    pub app: AppId,
    /// The app's version it was launched for; printed as Marathon's task version.
    pub version: Version,
    /// Its host ports, in the order of the app's ports that want one.
    pub ports: Vec<u16>,
    /// It shall end and its container be removed.
    pub stop: bool,
    /// Whether the cluster has seen it running: its container, if absent, was lost and is not started again.
    pub started: bool,
    /// From the polite to the hard stop signal, milliseconds.
    pub kill_grace_ms: u64,
    /// Other health checks must have succeeded for so long before the instance is judged by them, milliseconds.
    #[serde(default)]
    pub min_live_ms: u64,
    /// It leaves discovery after so many failures of a health check in a row.
    #[serde(default = "one")]
    pub leave_after: u32,
    /// The reservation whose volumes it gets, where it is resident.
    pub reservation: Option<InstanceId>,
    /// The version that set the policy in what to run.
    #[serde(default)]
    pub policy: Version,
    /// What to run: the run part of the version it was launched with, the policy of the wanted one. Absent when it
    /// shall end.
    pub spec: Option<Arc<AppSpec>>,
}

const fn one() -> u32 {
    1
}

/// What an agent saw of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Which instance.
    pub instance: InstanceId,
    /// The version whose health checks it is judged by.
    #[serde(default)]
    pub judged_by: Version,
    /// Why other health checks, that it is to be judged by when it has passed them, do not succeed.
    #[serde(default)]
    pub trial: Option<String>,
    /// What was seen.
    pub seen: Seen,
    /// What it left behind when it ended, once that is safe.
    #[serde(default)]
    pub evidence: Option<Arc<Evidence>>,
}

/// What was seen of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// It is on its way.
    Staging {
        /// What is being done or waited for: `pulling image x`.
        message: String,
    },
    /// Its container runs.
    Running {
        /// The container's own address, where it has one.
        ip: Option<String>,
        /// What its health checks say together.
        health: Health,
        /// Each check's results, in the app's order.
        checks: Vec<CheckResult>,
        /// What its readiness check says.
        readiness: Readiness,
    },
    /// Its container has ended or could not be started. It may still exist.
    Ended(End),
    /// Its container does not exist (any more); what it held is free.
    Removed,
}

/// What an agent says to a scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAgent {
    /// The first message.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The cluster the agent served before, if any: it serves no other one.
        cluster: Option<ClusterId>,
        /// Its node.
        node: NodeDescription,
        /// Drawn by the agent's process: tells it from another one that lives by a copy of its directory. 0: it does not
        /// say.
        #[serde(default)]
        life: u64,
        /// A leader has taken this process in before.
        #[serde(default)]
        taken_in: bool,
        /// It could not reach the leader: a member that does not lead shall pass the session on to who does.
        #[serde(default)]
        relay: bool,
        /// It answers [`ToAgent::Open`].
        #[serde(default)]
        opens: bool,
    },
    /// What it saw, at first of all its instances, then of those that changed. Answered by [`ToAgent::Reported`].
    Report {
        /// Counts the reports of this connection.
        sequence: u64,
        /// What was seen.
        observations: Vec<Observation>,
        /// Reservations whose volumes were destroyed, as told.
        destroyed: Vec<InstanceId>,
    },
    /// The containers of the cluster on its engine that no assignment speaks of: all of them, when they change.
    Strangers {
        /// The containers.
        strangers: Vec<Stranger>,
    },
    /// Who else of the cluster has entries at the node's Consul agent: all of them, when they change and now and then.
    /// Answered by [`ToAgent::Gone`].
    Writers {
        /// Who wrote them.
        writers: BTreeSet<Writer>,
    },
    /// Whether new instances would start; sent at changes.
    Degraded {
        /// Why they would not.
        reason: Option<String>,
    },
    /// A sign of life; as often as [`ToAgent::Welcome`] says.
    Alive,
    /// A sign of life that says how far the agent has come with its orders; instead of [`FromAgent::Alive`] where the
    /// leader told its pace.
    Obeys {
        /// The newest generation of assignments that it took in.
        generation: u64,
    },
}

/// What a scheduler says to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// The agent is registered.
    Welcome {
        /// The cluster it serves from now on.
        cluster: ClusterId,
        /// The node's name.
        node: NodeId,
        /// How often it must give a sign of life, milliseconds.
        alive_every_ms: u64,
        /// How fast it shall notice that the line is dead, and find another.
        #[serde(default)]
        pace: Option<Pace>,
    },
    /// This member does not lead: ask there, or, if it does not know either, another member.
    Elsewhere {
        /// The leader's link address, `host:port`.
        leader: Option<String>,
    },
    /// The agent cannot serve this cluster, until an operator acts.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// Assignments that are new or changed since the last such message of this connection; the first, with those that
    /// follow it as [`ToAgent::Assign::more`] says, has them all.
    Assign {
        /// The log index they were read at. An agent refuses an older one than it has seen.
        generation: u64,
        /// The cluster's time, for people.
        time: Timestamp,
        /// The assignments.
        assignments: Vec<Assignment>,
        /// Instances whose removal is known to the cluster: the agent forgets them.
        forget: Vec<InstanceId>,
        /// Reservations whose volumes are to be destroyed; repeated until that is reported.
        destroy: Vec<InstanceId>,
        /// Further parts of the first set follow, of the same generation. Whoever has not got them all has got nothing.
        #[serde(default)]
        more: bool,
    },
    /// There is a question whose answer is long: the agent opens a connection of its own for it, to the member that
    /// this came from, and says the ticket there. So no answer stands in the way of orders and signs of life, and a reader
    /// that is slow holds up nothing but itself.
    Open {
        /// Says to the member which question it is.
        ticket: u64,
    },
    /// A report is in the log.
    Reported {
        /// Which one.
        sequence: u64,
    },
    /// Which of the writers it told of are none of the cluster's agents.
    Gone {
        /// Those.
        gone: Gone,
    },
    /// A sign of life.
    Alive,
}

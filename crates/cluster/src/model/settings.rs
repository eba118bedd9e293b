//! What an operator sets for the whole cluster. Part of the replicated state: every member decides alike.

use super::PortRange;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What an operator sets for the whole cluster; the leader's configuration, as of its election.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A deployment that makes no progress for so long has failed, milliseconds; 0: never. The label
    /// `EKIDEN_DEPLOYMENT_DEADLINE` (seconds) of a changed app wins.
    pub deployment_deadline_ms: u64,
    /// A new instance counts only when it has lived, healthy and ready, for so long, milliseconds. The label
    /// `EKIDEN_MIN_LIVE` (seconds) of an app wins.
    pub min_live_ms: u64,
    /// An instance that serves leaves discovery after so many failures of a health check in a row. The label
    /// `EKIDEN_LEAVE_AFTER` of an app wins.
    pub leave_after: u32,
    /// A failed deployment is rolled back. The label `EKIDEN_DEPLOYMENT_ROLLBACK` of a changed app wins.
    pub deployment_rollback: bool,
    /// A change of labels, constraints, health checks and other policy replaces the instances, as Marathon does.
    pub restart_on_policy_change: bool,
    /// An instance that is not running so long after its launch, or after its agent's last news of it, is replaced,
    /// milliseconds; Marathon's `task_launch_timeout`.
    pub launch_timeout_ms: u64,
    /// So many deployments may be under way at once; Marathon's `max_running_deployments`.
    pub max_deployments: u32,
    /// The image of apps that have a command and no container; empty: such apps are refused.
    pub command_image: String,
    /// The roles that apps may have or accept, each held to the nodes whose attribute `role` has this value.
    pub roles: BTreeSet<String>,
    /// From here service ports are chosen; Marathon's `local_port_min` and `local_port_max`.
    pub service_ports: PortRange,
    /// An app that would be found in Consul under a name that another app has is refused, not only warned of.
    pub unique_services: bool,
    /// A node whose agent is silent for so long is given up, milliseconds. In the state so that a new leader knows how
    /// fast the agents of the last one look for it.
    pub node_loss_after_ms: u64,
}

/// Service ports unless the operator says otherwise: Marathon's.
const SERVICE_PORTS: PortRange = PortRange { first: 10_000, last: 19_999 };

impl Default for Settings {
    fn default() -> Self {
        Self {
            deployment_deadline_ms: 600_000,
            // What is wrong with a version mostly shows in its first seconds.
            min_live_ms: 5_000,
            // One that is missed says little; two in a row are no accident, and fewer than Marathon's three that end it.
            leave_after: 2,
            deployment_rollback: false,
            restart_on_policy_change: false,
            launch_timeout_ms: 300_000,
            max_deployments: 100,
            command_image: String::new(),
            roles: BTreeSet::new(),
            service_ports: SERVICE_PORTS,
            unique_services: false,
            node_loss_after_ms: 10_000,
        }
    }
}

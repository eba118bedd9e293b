//! What an operator sets for the whole cluster, as typed.

use super::{Violations, duration, range};
use agent::config::PortArgs;
use scheduler::{PortRange, Settings};
use serde::Deserialize;
use std::collections::BTreeSet;

/// What an operator sets for the whole cluster, as typed: the leader's word counts, so give all members the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SettingsArgs {
    /// A deployment without progress for so long has failed; 0s: never [default: 10m]
    #[arg(long, env = "EKIDEN_DEPLOYMENT_DEADLINE", value_name = "TIME")]
    pub(crate) deployment_deadline: Option<String>,
    /// A new instance counts only when it has lived, healthy and ready, for so long [default: 5s]
    #[arg(long, env = "EKIDEN_MIN_LIVE", value_name = "TIME")]
    pub(crate) min_live: Option<String>,
    /// An instance leaves discovery after so many failures of a health check in a row [default: 2]
    #[arg(long, env = "EKIDEN_LEAVE_AFTER", value_name = "N")]
    pub(crate) leave_after: Option<u32>,
    /// Roll failed deployments back [default: false]
    #[arg(long, env = "EKIDEN_DEPLOYMENT_ROLLBACK", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) deployment_rollback: Option<bool>,
    /// Replace instances also where only labels, constraints, health checks or other policy changed, as Marathon does
    /// [default: false]
    #[arg(long, env = "EKIDEN_RESTART_ON_POLICY_CHANGE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) restart_on_policy_change: Option<bool>,
    /// An instance that does not run so long after the last news of it is replaced; 0s: never [default: 5m]
    #[arg(long, env = "EKIDEN_LAUNCH_TIMEOUT", value_name = "TIME")]
    pub(crate) launch_timeout: Option<String>,
    /// So many deployments may be under way at once [default: 100]
    #[arg(long, env = "EKIDEN_MAX_DEPLOYMENTS", value_name = "N")]
    pub(crate) max_deployments: Option<u32>,
    /// The image of apps that have a command and no container; without it such apps are refused
    #[arg(long, env = "EKIDEN_COMMAND_IMAGE", value_name = "IMAGE")]
    pub(crate) command_image: Option<String>,
    /// A role that apps may have or accept, held to nodes whose attribute `role` names it; once for each or separated by
    /// commas
    #[arg(long = "role", env = "EKIDEN_ROLES", value_delimiter = ',', value_name = "NAME")]
    pub(crate) roles: Option<Vec<String>>,
    /// From here service ports are chosen [default: 10000-19999]
    #[arg(long, env = "EKIDEN_SERVICE_PORTS", value_name = "FIRST-LAST")]
    pub(crate) service_ports: Option<String>,
    /// Refuse an app that would be found in Consul under another app's name, and do not only warn [default: false]
    #[arg(long, env = "EKIDEN_UNIQUE_SERVICES", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) unique_services: Option<bool>,
}

impl SettingsArgs {
    /// These, and what the file says where these are absent.
    pub(crate) fn or(self, file: Self) -> Self {
        Self {
            deployment_deadline: self.deployment_deadline.or(file.deployment_deadline),
            min_live: self.min_live.or(file.min_live),
            leave_after: self.leave_after.or(file.leave_after),
            deployment_rollback: self.deployment_rollback.or(file.deployment_rollback),
            restart_on_policy_change: self.restart_on_policy_change.or(file.restart_on_policy_change),
            launch_timeout: self.launch_timeout.or(file.launch_timeout),
            max_deployments: self.max_deployments.or(file.max_deployments),
            command_image: self.command_image.or(file.command_image),
            roles: self.roles.or(file.roles),
            service_ports: self.service_ports.or(file.service_ports),
            unique_services: self.unique_services.or(file.unique_services),
        }
    }

    pub(crate) fn check(self, wrong: &mut Violations) -> Settings {
        let defaults = Settings::default();
        let mut ms = |name: &str, typed: Option<String>, default: u64| match typed {
            Some(typed) => duration(name, &typed, wrong).as_millis() as u64,
            None => default,
        };
        let deployment_deadline_ms =
            ms("settings.deployment_deadline", self.deployment_deadline, defaults.deployment_deadline_ms);
        let min_live_ms = ms("settings.min_live", self.min_live, defaults.min_live_ms);
        let launch_timeout_ms = ms("settings.launch_timeout", self.launch_timeout, defaults.launch_timeout_ms);
        let max_deployments = self.max_deployments.unwrap_or(defaults.max_deployments);
        if max_deployments == 0 {
            wrong.add("settings.max_deployments", "must be at least 1, or nothing could be deployed");
        }
        let roles: BTreeSet<String> = self.roles.unwrap_or_default().into_iter().collect();
        for role in roles.iter().filter(|it| it.trim().is_empty() || *it == "*") {
            wrong.add("settings.roles", format!("`{role}` is no name of a role; every app has `*` anyway"));
        }
        let service_ports = self.service_ports.map_or(defaults.service_ports, |it| {
            let PortArgs { first, last } = range("settings.service_ports", &it, wrong);
            PortRange { first: first.unwrap_or(1), last: last.unwrap_or(1) }
        });
        let leave_after = self.leave_after.unwrap_or(defaults.leave_after);
        if leave_after == 0 {
            wrong.add("settings.leave_after", "must be at least 1: the first failure takes an instance out");
        }
        Settings {
            deployment_deadline_ms,
            min_live_ms,
            leave_after,
            deployment_rollback: self.deployment_rollback.unwrap_or(defaults.deployment_rollback),
            restart_on_policy_change: self.restart_on_policy_change.unwrap_or(defaults.restart_on_policy_change),
            launch_timeout_ms,
            max_deployments,
            command_image: self.command_image.unwrap_or_default(),
            roles,
            service_ports,
            unique_services: self.unique_services.unwrap_or(defaults.unique_services),
            // Set beside these.
            node_loss_after_ms: defaults.node_loss_after_ms,
        }
    }
}

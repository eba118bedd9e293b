//! Apps: what users want to run.

use super::{
    AppId, CheckPort, Constraint, DeploymentId, EndKind, Evidence, Fetch, HealthCheck, HealthKind, InstanceId,
};
use super::{Moment, NodeId, PathId, Pod, ReadinessCheck, Resources, Shared, ShunnedNodes, Timestamp, Version, Volume};
use crate::pattern::Patterns;
use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An app as the cluster keeps it: its wanted version, its history and its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its path.
    pub id: AppId,
    /// The wanted version.
    pub current: Arc<AppVersion>,
    /// Every kept version, [`App::current`] among them: the newest 50, and all that an instance still runs.
    pub versions: OrdMap<Version, Arc<AppVersion>>,
    /// Its instances, also ended ones whose container was not yet confirmed removed.
    pub instances: OrdSet<InstanceId>,
    /// The places on nodes that its instances have, or had and will have again, where it is resident.
    pub reservations: OrdSet<InstanceId>,
    /// The deployment that changes it now, if one does: the app is locked.
    pub deployment: Option<DeploymentId>,
    /// The deployment has not come to this app yet: till then it stays at what it was.
    pub held: Option<Held>,
    /// It was deleted, and goes as soon as its instances have ended.
    pub removing: bool,
    /// How long launches wait after failures.
    pub backoff: Backoff,
    /// The last failure of an instance.
    pub last_failure: Option<Arc<Failure>>,
    /// The nodes that it could not be started on lately.
    #[serde(default)]
    pub shunned: ShunnedNodes,
}

/// What an app stays at while its deployment is busy with those that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its version till then; absent where the deployment creates it: nothing runs till then.
    pub at: Option<Version>,
}

/// One accepted definition of an app.
///
/// | version | is | written by |
/// |---|---|---|
/// | [`AppVersion::version`] | the name of this definition | each accepted change |
/// | [`AppVersion::run`] | the one whose instances have this content | changes of [`RunSpec`], and restarts |
/// | [`AppVersion::configured`] | the last with another definition | changes of anything but the number of instances |
/// | [`AppVersion::scaled`] | the last with another number of instances | changes of it, and of the definition |
/// | [`App::current`] | the one that is wanted | each accepted change |
/// | [`App::aim`] | the one that instances are brought to now | the wanted one, or where the app stays till its turn |
/// | [`App::followed_by`] | the one whose policy an instance follows | the one aimed at, or the newest of its content |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppVersion {
    /// When it was accepted: its name.
    pub version: Version,
    /// The version at which [`RunSpec`] last changed, or was restarted: instances of an older one are out of date.
    pub run: Version,
    /// The version at which anything but the number of instances last changed.
    pub configured: Version,
    /// The version at which the number of instances last changed, or was given anew with another definition.
    pub scaled: Version,
    /// What was asked for.
    pub spec: AppSpec,
    /// What its LIKE and UNLIKE constraints compile to.
    #[serde(skip)]
    pub patterns: Patterns,
}

/// What a user asks for: the content of an app definition, in whole units, all defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    /// Its path.
    pub id: AppId,
    /// How many instances shall run.
    pub instances: u32,
    /// What is inside each container. A change replaces the instances.
    pub run: Shared<RunSpec>,
    /// How instances are placed, checked and replaced. A change replaces nothing.
    pub policy: Shared<Policy>,
}

/// The part of an app's definition that makes its containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// Command line, run by `/bin/sh -c` in place of the image's entrypoint.
    pub cmd: Option<String>,
    /// Arguments for the image's entrypoint. Never together with `cmd`.
    pub args: Vec<String>,
    /// The user the container's process runs as; the image's own if absent.
    pub user: Option<String>,
    /// Environment; wins over what Ekiden injects.
    pub env: BTreeMap<String, String>,
    /// What each instance takes of its node.
    pub resources: Resources,
    /// Image reference, such as `registry.example/pay-api:1.2`; empty for [`super::Settings::command_image`].
    pub image: String,
    /// Whether the user named the `MESOS` containerizer; kept to print it back.
    pub mesos: bool,
    /// Pull before every start, also when the node has the image.
    pub force_pull: bool,
    /// Extra options for Docker, each from an allow-list (`docs/marathon.md`).
    pub parameters: Vec<(String, String)>,
    /// Whether the process gets a terminal.
    pub tty: bool,
    /// Files that are there before the process starts.
    pub fetch: Vec<Fetch>,
    /// What is mounted into the container.
    pub volumes: Vec<Volume>,
    /// How the container is attached.
    pub network: Network,
    /// The ports, in order.
    pub ports: Vec<PortSpec>,
    /// Host network: the port definitions' numbers are the host ports, not only service ports.
    pub require_ports: bool,
    /// The containers of a pod; absent for an app, whose one container is described above.
    pub pod: Option<Pod>,
}

impl RunSpec {
    /// The host ports that each instance takes, in order.
    pub fn host_ports(&self) -> impl Iterator<Item = (WantedHostPort, Protocol)> {
        self.ports.iter().map(|it| (it.host_port, it.protocol)).filter(|(it, _)| *it != WantedHostPort::None)
    }
}

/// The part of an app's definition that running containers need not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Free text for people and tools; some name and tag the Consul service.
    pub labels: BTreeMap<String, String>,
    /// Where instances may run.
    pub constraints: Vec<Constraint>,
    /// How the agent asks whether an instance is healthy.
    pub health_checks: Vec<HealthCheck>,
    /// How the agent asks whether a new instance is ready to take the place of an old one; at most one.
    pub readiness_checks: Vec<ReadinessCheck>,
    /// Apps, or groups of them, that a deployment brings to their new version first.
    pub dependencies: Vec<PathId>,
    /// Limits of a rolling update.
    pub upgrade: UpgradeStrategy,
    /// First delay after a failure, milliseconds.
    pub backoff_ms: u64,
    /// Each further delay is this many times the last; parts per million, at least 1 000 000.
    pub backoff_factor_ppm: u64,
    /// No delay is longer.
    pub backoff_max_ms: u64,
    /// From the polite to the hard stop signal; the cluster's default if absent.
    pub kill_grace_ms: Option<u64>,
    /// Which instances go first when there are too many.
    pub kill_selection: KillSelection,
    /// What happens to instances of a lost node.
    pub unreachable: Unreachable,
    /// `role` as given; `*` where none was.
    #[serde(default = "any_role")]
    pub role: String,
    /// `acceptedResourceRoles` as given.
    pub accepted_roles: Vec<String>,
    /// `residency` as given; kept to print it back.
    pub residency: Option<Residency>,
}

/// The role of whoever has none.
pub const ANY_ROLE: &str = "*";

fn any_role() -> String {
    ANY_ROLE.to_owned()
}

impl Policy {
    /// The roles of the nodes that an app accepts; empty where any node will do. A node has the role that its attribute
    /// `role` names.
    pub fn wanted_roles(&self) -> Vec<&str> {
        let given: Vec<&str> = if self.accepted_roles.is_empty() {
            vec![&self.role]
        } else {
            self.accepted_roles.iter().map(String::as_str).collect()
        };
        if given.contains(&ANY_ROLE) { Vec::new() } else { given }
    }
}

/// What Marathon was to do with a resident instance of a lost agent. Ekiden waits for the node, whatever it says:
/// the data is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residency {
    /// `relaunchEscalationTimeoutSeconds`.
    pub escalation_s: u64,
    /// Whether `taskLostBehavior` is `RELAUNCH_AFTER_TIMEOUT`, not `WAIT_FOREVER`.
    pub relaunch: bool,
}

/// How a container is attached to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// It shares the node's own network.
    Host,
    /// It has an address on the node's Docker bridge; ports are mapped.
    Bridge,
    /// It has an address on a Docker network of this name; ports may be mapped.
    Container {
        /// The network's name.
        name: String,
        /// `labels` as given; kept to print them back.
        labels: BTreeMap<String, String>,
    },
}

/// One port of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Bridge: the port inside the container, 0 for the same number as the host port. Host network: unused, 0.
    pub container_port: u16,
    /// Which port of the node it takes.
    pub host_port: WantedHostPort,
    /// Number for load balancers, unique in the cluster when the cluster chose it; 0 until chosen.
    pub service_port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// Name, unique in the app.
    pub name: Option<String>,
    /// Labels of this port.
    pub labels: BTreeMap<String, String>,
}

/// Which port of the node an app's port takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WantedHostPort {
    /// None: reachable inside the container network only.
    None,
    /// One from the node's range.
    Any,
    /// Exactly this one.
    Fixed(u16),
}

/// A port's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Both, with one number.
    Both,
}

impl Protocol {
    /// Whether it is spoken by TCP.
    pub const fn has_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::Both)
    }

    /// Whether it is spoken by UDP.
    pub const fn has_udp(self) -> bool {
        matches!(self, Self::Udp | Self::Both)
    }

    /// Whether two ports of these transports and one number are in each other's way.
    pub const fn meets(self, other: Self) -> bool {
        (self.has_tcp() && other.has_tcp()) || (self.has_udp() && other.has_udp())
    }
}

/// Limits that hold while instances of one version replace those of another (RAML `UpgradeStrategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeStrategy {
    /// This part of the instances stays healthy; parts per million.
    pub min_health_ppm: u32,
    /// By this part the number of instances may be exceeded; parts per million.
    pub max_over_ppm: u32,
}

impl UpgradeStrategy {
    const WHOLE: u64 = 1_000_000;

    /// How many healthy instances an update of `n` must leave: `ceil(n * minimumHealthCapacity)`.
    pub fn min_healthy(self, n: u32) -> u32 {
        (u64::from(n) * u64::from(self.min_health_ppm)).div_ceil(Self::WHOLE) as u32
    }

    /// How many instances may exist during an update of `n`: `floor(n * (1 + maximumOverCapacity))`, and one more
    /// where that would leave no room to move (minimum health of all and no over-capacity).
    pub fn max_running(self, n: u32) -> u32 {
        let max = (u64::from(n) * (Self::WHOLE + u64::from(self.max_over_ppm)) / Self::WHOLE) as u32;
        if max <= self.min_healthy(n) { max.max(self.min_healthy(n)) + 1 } else { max }
    }
}

/// Which instances go first when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillSelection {
    /// The latest launched.
    YoungestFirst,
    /// The earliest launched.
    OldestFirst,
}

/// What happens to instances of a node that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unreachable {
    /// They are never replaced; they count until the node is back.
    Disabled,
    /// They are replaced after a while.
    After {
        /// From the loss of the node to the replacement, milliseconds.
        inactive_ms: u64,
        /// From the loss of the node to forgetting the instance, milliseconds.
        expunge_ms: u64,
    },
}

/// How long launches of an app wait after failures (RAML `App.backoffSeconds`); replicated, so that a new leader keeps it.
///
/// The delay counts from the launch of the instance that failed, not from its end: one that lived longer than its
/// delay is replaced at once, one that ends at the start waits the whole delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Failures in a row.
    pub failures: u32,
    /// The present delay, milliseconds; 0 without failures.
    pub delay_ms: u64,
    /// No launch before this moment.
    pub until: Moment,
    /// When the last failure was seen.
    pub failed_at: Moment,
}

impl Backoff {
    /// The delay after one more failure, seen `now`, of an instance launched at `launched`.
    #[must_use]
    pub fn after_failure(self, policy: &Policy, launched: Moment, now: Moment) -> Self {
        let quiet = now.since_ms(self.failed_at) > self.delay_ms.saturating_add(policy.backoff_max_ms);
        let failures = if quiet { 1 } else { self.failures + 1 };
        let grown = u128::from(self.delay_ms) * u128::from(policy.backoff_factor_ppm) / 1_000_000;
        let delay_ms = if failures == 1 { policy.backoff_ms } else { grown.min(u128::from(u64::MAX)) as u64 };
        let delay_ms = delay_ms.min(policy.backoff_max_ms);
        Self { failures, delay_ms, until: self.until.max(launched.plus_ms(delay_ms)), failed_at: now }
    }
}

/// How an instance failed; Marathon's `lastTaskFailure`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which instance.
    pub instance: InstanceId,
    /// Where it ran.
    pub node: NodeId,
    /// How it ended.
    pub kind: EndKind,
    /// Why, for people.
    pub message: String,
    /// When the cluster learnt of it.
    pub at: Timestamp,
    /// The app's version it was launched for.
    pub version: Version,
    /// What it left behind; absent until its agent has it safe.
    #[serde(default)]
    pub evidence: Option<Arc<Evidence>>,
}

impl App {
    /// The definition that is wanted; none once it is being removed.
    pub fn wanted(&self) -> Option<&AppSpec> {
        (!self.removing).then_some(&self.current.spec)
    }

    /// The same with one copy of what its versions have in common; of one that was just decoded.
    #[must_use]
    pub(crate) fn sharing(&self) -> Self {
        let mut app = self.clone();
        let mut last: Option<Arc<AppVersion>> = None;
        let versions = self.versions.iter().map(|(name, version)| {
            let mut version = AppVersion::clone(version);
            if let Some(last) = &last {
                version.spec.share(&last.spec);
            }
            (*name, Arc::clone(last.insert(Arc::new(version))))
        });
        app.versions = versions.collect();
        if let Some(current) = app.versions.get(&app.current.version).filter(|it| **it == app.current) {
            app.current = Arc::clone(current);
        }
        app
    }
}

impl AppSpec {
    /// Shares what is equal in the other's definition from now on.
    pub fn share(&mut self, other: &Self) {
        self.run.share(&other.run);
        self.policy.share(&other.policy);
    }

    /// Whether all but the number of instances is known to be the same without a look at it.
    pub fn shares_all(&self, other: &Self) -> bool {
        self.run.is(&other.run) && self.policy.is(&other.policy) && self.id == other.id
    }

    /// The health check's port of an instance with these host ports, as seen from the agent: the mapped host port,
    /// or the container's own where none is mapped. `None` for checks without a port, or one that does not exist.
    pub fn check_port(&self, check: &HealthCheck, host_ports: &[u16]) -> Option<CheckTarget> {
        let (HealthKind::Http { port, .. } | HealthKind::Tcp { port }) = &check.kind else { return None };
        match *port {
            CheckPort::Number(number) => Some(match self.run.network {
                Network::Host => CheckTarget::Host(number),
                Network::Bridge | Network::Container { .. } => CheckTarget::Container(number),
            }),
            CheckPort::Index(n) => self.port_target(n as usize, host_ports),
        }
    }

    /// Where the app's port of this name is reached from the agent, for an instance with these host ports.
    pub fn readiness_port(&self, check: &ReadinessCheck, host_ports: &[u16]) -> Option<CheckTarget> {
        let named = self.run.ports.iter().position(|it| it.name.as_deref() == Some(check.port_name.as_str()));
        self.port_target(named?, host_ports)
    }

    fn port_target(&self, n: usize, host_ports: &[u16]) -> Option<CheckTarget> {
        Some(match self.host_port(n, host_ports) {
            Some(number) => CheckTarget::Host(number),
            None => CheckTarget::Container(self.port_inside(n, host_ports)?),
        })
    }

    /// Whether an instance's data stays on its node when it ends, and its successor must go there.
    pub fn is_resident(&self) -> bool {
        self.run.volumes.iter().any(|it| matches!(it, Volume::Persistent(_)))
    }

    /// The host port that an instance with these `host_ports` has for the app's `n`-th port, if that one has any.
    pub fn host_port(&self, n: usize, host_ports: &[u16]) -> Option<u16> {
        let port = self.run.ports.get(n)?;
        if port.host_port == WantedHostPort::None {
            return None;
        }
        let before = self.run.ports[..n].iter().filter(|it| it.host_port != WantedHostPort::None).count();
        host_ports.get(before).copied()
    }

    /// The port that the app's `n`-th one is inside of the container, for an instance with these host ports. One of
    /// number 0 is that of its host port; without one it is any that no other of the app's ports has, which is enough
    /// where each container has an address of its own.
    pub fn port_inside(&self, n: usize, host_ports: &[u16]) -> Option<u16> {
        let port = self.run.ports.get(n)?;
        if self.run.network == Network::Host {
            return self.host_port(n, host_ports);
        }
        if port.container_port != 0 {
            return Some(port.container_port);
        }
        let is_open = |it: &&PortSpec| it.container_port == 0 && it.host_port == WantedHostPort::None;
        let before = self.run.ports[..n].iter().filter(is_open).count();
        let is_taken =
            |number: &u16| host_ports.contains(number) || self.run.ports.iter().any(|it| it.container_port == *number);
        self.host_port(n, host_ports).or_else(|| (FIRST_FREE_PORT..).filter(|it| !is_taken(it)).nth(before))
    }
}

/// Ports inside that nobody chose are numbered from here on: whoever may not be root can listen on them, as on
/// Marathon's.
const FIRST_FREE_PORT: u16 = 1025;

/// Where a probe connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckTarget {
    /// A port of the node.
    Host(u16),
    /// A port at the container's own address.
    Container(u16),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrade_limits_round_as_marathon_does() {
        for (n, min, over, expect) in [
            (4, 1_000_000, 1_000_000, (4, 8)),
            (4, 1_000_000, 0, (4, 5)),
            (4, 500_000, 0, (2, 4)),
            (3, 500_000, 500_000, (2, 4)),
            (1, 1_000_000, 0, (1, 2)),
            (10, 0, 0, (0, 10)),
            (3, 333_333, 0, (1, 3)),
            (0, 1_000_000, 0, (0, 1)),
        ] {
            let upgrade = UpgradeStrategy { min_health_ppm: min, max_over_ppm: over };
            assert_eq!((upgrade.min_healthy(n), upgrade.max_running(n)), expect, "n={n} min={min} over={over}");
        }
    }
}

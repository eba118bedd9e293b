//! Service ports: those that apps leave to the cluster, chosen, kept and counted.

use super::Changing;
use super::deploy::{Target, Targets};
use crate::command::Rejected;
use crate::model::{App, AppSpec};
use std::ops::Range;

/// Service ports are chosen from here; Marathon's `local_port_min` and `local_port_max`.
const SERVICE_PORTS: Range<u16> = 10_000..20_000;

impl Changing<'_> {
    pub(super) fn check_service_ports(&self, targets: &Targets) -> Result<(), Rejected> {
        let has = |spec: &AppSpec, n: usize| {
            kept_service_port(spec, self.state.apps.get(&spec.id).map(AsRef::as_ref), n).is_some()
        };
        let open = |it: &Target| match it {
            Target::Spec(spec, _) if spec.run.pod.is_none() => {
                let ports = spec.run.ports.iter().enumerate();
                ports.filter(|(n, port)| port.service_port == 0 && !has(spec, *n)).count()
            }
            Target::Spec(..) | Target::Restart(_) | Target::Removed(_) => 0,
        };
        let wanted: usize = targets.apps.iter().map(open).sum();
        let taken = self.state.service_ports.range(SERVICE_PORTS).count();
        if taken + wanted > SERVICE_PORTS.len() { Err(Rejected::NoServicePort) } else { Ok(()) }
    }

    /// Chooses the service ports that were left to the cluster; an app keeps those it had.
    pub(super) fn with_service_ports(&mut self, mut spec: AppSpec, before: Option<&App>) -> AppSpec {
        if spec.run.pod.is_some() {
            // Pods' endpoints have none.
            return spec;
        }
        if !keep_service_ports(&mut spec, before) {
            for port in spec.run.ports.iter_mut().filter(|it| it.service_port == 0) {
                port.service_port = self.free_service_port();
            }
        }
        spec
    }

    /// The next free service port, which is then held. `check_service_ports` made sure that there is one.
    fn free_service_port(&mut self) -> u16 {
        let start = self.state.next_service_port.clamp(SERVICE_PORTS.start, SERVICE_PORTS.end - 1);
        let mut candidates = (start..SERVICE_PORTS.end).chain(SERVICE_PORTS.start..start);
        let port = candidates.find(|it| !self.state.service_ports.contains_key(it)).unwrap_or(start);
        self.state.next_service_port = port + 1;
        // Held with no user yet, so that the next port of the same app gets another one.
        self.state.service_ports.insert(port, 0);
        port
    }

    /// Moves the counts of held service ports from an app's old wanted version to its new one.
    pub(super) fn count_service_ports(&mut self, before: Option<&App>, after: Option<&AppSpec>) {
        for port in after.into_iter().flat_map(|it| &it.run.ports).filter(|it| it.service_port != 0) {
            *self.state.service_ports.entry(port.service_port).or_default() += 1;
        }
        for port in before.into_iter().flat_map(|it| &it.current.spec.run.ports).filter(|it| it.service_port != 0) {
            let left = self.state.service_ports.get(&port.service_port).copied().unwrap_or_default().saturating_sub(1);
            if left == 0 {
                self.state.service_ports.remove(&port.service_port);
            } else {
                self.state.service_ports.insert(port.service_port, left);
            }
        }
    }
}

/// The service port that an app keeps for its `n`-th port where the choice is left to the cluster, if it has one.
fn kept_service_port(spec: &AppSpec, before: Option<&App>, n: usize) -> Option<u16> {
    let had = before?.current.spec.run.ports.get(n)?.service_port;
    let is_given = || spec.run.ports.iter().any(|it| it.service_port == had);
    (SERVICE_PORTS.contains(&had) && !is_given()).then_some(had)
}

/// Gives the app those service ports again that it had; whether it has all of them now.
pub(super) fn keep_service_ports(spec: &mut AppSpec, before: Option<&App>) -> bool {
    let open: Vec<usize> = (0..spec.run.ports.len()).filter(|n| spec.run.ports[*n].service_port == 0).collect();
    let kept: Vec<Option<u16>> = open.iter().map(|n| kept_service_port(spec, before, *n)).collect();
    for (n, port) in open.into_iter().zip(&kept) {
        spec.run.ports[n].service_port = port.unwrap_or(0);
    }
    kept.iter().all(Option::is_some)
}

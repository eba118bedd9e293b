//! Service ports: those that apps leave to the cluster, chosen, kept and counted.

use super::Changing;
use super::deploy::{Target, Targets};
use crate::command::Rejected;
use crate::model::{App, AppSpec, PortRange};
use crate::state::State;
use imbl::OrdMap;

impl State {
    /// Counts the held service ports of the range from which they are chosen; after that has changed.
    pub(crate) fn count_chosen_service_ports(&mut self) {
        let PortRange { first, last } = self.settings.service_ports;
        self.n_service_ports = self.service_ports.range(first..=last).count();
    }

    /// Notes how many ports of wanted versions have a service port; nobody has one that none has.
    fn hold_service_port(&mut self, number: u16, n_ports: u32) {
        let was_there = self.service_ports.insert(number, n_ports).is_some();
        if !was_there && self.settings.service_ports.contains(number) {
            self.n_service_ports += 1;
        }
    }

    fn free_service_port(&mut self, number: u16) {
        let was_there = self.service_ports.remove(&number).is_some();
        if was_there && self.settings.service_ports.contains(number) {
            self.n_service_ports -= 1;
        }
    }
}

impl Changing<'_> {
    pub(super) fn check_service_ports(&self, targets: &Targets) -> Result<(), Rejected> {
        let range = self.state.settings.service_ports;
        let has = |spec: &AppSpec, n: usize| {
            kept_service_port(spec, self.state.apps.get(&spec.id).map(AsRef::as_ref), n, range).is_some()
        };
        let open = |it: &Target| match it {
            Target::Spec(spec, _) if spec.run.pod.is_none() => {
                let ports = spec.run.ports.iter().enumerate();
                ports.filter(|(n, port)| port.service_port == 0 && !has(spec, *n)).count()
            }
            Target::Spec(..) | Target::Restart(_) | Target::Removed(_) => 0,
        };
        let wanted: usize = targets.apps.iter().map(open).sum();
        let fits = wanted == 0 || self.state.n_service_ports + wanted <= range.len();
        if fits { Ok(()) } else { Err(Rejected::NoServicePort) }
    }

    /// Chooses the service ports that were left to the cluster; an app keeps those it had.
    pub(super) fn with_service_ports(&mut self, mut spec: AppSpec, before: Option<&App>) -> AppSpec {
        if spec.run.pod.is_some() {
            // Pods' endpoints have none.
            return spec;
        }
        if !keep_service_ports(&mut spec, before, self.state.settings.service_ports) {
            for port in spec.run.ports.iter_mut().filter(|it| it.service_port == 0) {
                port.service_port = self.choose_service_port();
            }
        }
        spec
    }

    /// The next free service port, which is then held. `check_service_ports` made sure that there is one.
    fn choose_service_port(&mut self) -> u16 {
        let PortRange { first, last } = self.state.settings.service_ports;
        let start = self.state.next_service_port.clamp(first, last);
        let held = &self.state.service_ports;
        let port = first_free(held, start, last).or_else(|| first_free(held, first, last)).unwrap_or(start);
        self.state.next_service_port = port.checked_add(1).unwrap_or(first);
        // Held with no user yet, so that the next port of the same app gets another one.
        self.state.hold_service_port(port, 0);
        port
    }

    /// Moves the counts of held service ports from an app's old wanted version to its new one.
    pub(super) fn count_service_ports(&mut self, before: Option<&App>, after: Option<&AppSpec>) {
        for port in after.into_iter().flat_map(|it| &it.run.ports).filter(|it| it.service_port != 0) {
            let there = self.state.service_ports.get(&port.service_port).copied().unwrap_or_default();
            self.state.hold_service_port(port.service_port, there + 1);
        }
        for port in before.into_iter().flat_map(|it| &it.current.spec.run.ports).filter(|it| it.service_port != 0) {
            let left = self.state.service_ports.get(&port.service_port).copied().unwrap_or_default().saturating_sub(1);
            if left == 0 {
                self.state.free_service_port(port.service_port);
            } else {
                self.state.hold_service_port(port.service_port, left);
            }
        }
    }
}

/// The first number from here to there that nobody holds; looks at no more than the held ones before it.
fn first_free(held: &OrdMap<u16, u32>, from: u16, to: u16) -> Option<u16> {
    let taken = held.range(from..=to).zip(from..=to).take_while(|((held, _), number)| *held == number).count();
    u16::try_from(usize::from(from) + taken).ok().filter(|it| *it <= to)
}

/// The service port that an app keeps for its `n`-th port where the choice is left to the cluster, if it has one.
fn kept_service_port(spec: &AppSpec, before: Option<&App>, n: usize, range: PortRange) -> Option<u16> {
    let had = before?.current.spec.run.ports.get(n)?.service_port;
    let is_given = || spec.run.ports.iter().any(|it| it.service_port == had);
    (range.contains(had) && !is_given()).then_some(had)
}

/// Gives the app those service ports again that it had; whether it has all of them now.
pub(super) fn keep_service_ports(spec: &mut AppSpec, before: Option<&App>, range: PortRange) -> bool {
    let open: Vec<usize> = (0..spec.run.ports.len()).filter(|n| spec.run.ports[*n].service_port == 0).collect();
    let kept: Vec<Option<u16>> = open.iter().map(|n| kept_service_port(spec, before, *n, range)).collect();
    for (n, port) in open.into_iter().zip(&kept) {
        spec.run.ports[n].service_port = port.unwrap_or(0);
    }
    kept.iter().all(Option::is_some)
}

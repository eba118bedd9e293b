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
    /// Gives apps those service ports again that they had, where the choice is left to the cluster. Pods' endpoints
    /// have none.
    pub(super) fn keep_service_ports(&self, targets: &mut Targets) {
        for target in &mut targets.apps {
            if let Target::Spec(spec, _) = target
                && spec.run.pod.is_none()
                && let Some(app) = self.state.apps.get(&spec.id)
            {
                keep(spec, app, self.state.settings.service_ports);
            }
        }
    }

    /// Whether there are as many as are still to be chosen.
    pub(super) fn check_service_ports(&self, targets: &Targets) -> Result<(), Rejected> {
        let open = |it: &Target| match it {
            Target::Spec(spec, _) if spec.run.pod.is_none() => {
                spec.run.ports.iter().filter(|it| it.service_port == 0).count()
            }
            Target::Spec(..) | Target::Scaled(..) | Target::Restart(_) | Target::Removed(_) => 0,
        };
        let wanted: usize = targets.apps.iter().map(open).sum();
        let range = self.state.settings.service_ports;
        let fits = wanted == 0 || self.state.n_service_ports + wanted <= range.len();
        if fits { Ok(()) } else { Err(Rejected::NoServicePort) }
    }

    /// Chooses the service ports that are left to the cluster.
    pub(super) fn choose_service_ports(&mut self, spec: &mut AppSpec) {
        let open = spec.run.ports.iter().any(|it| it.service_port == 0);
        if spec.run.pod.is_none() && open {
            for port in spec.run.ports.iter_mut().filter(|it| it.service_port == 0) {
                port.service_port = self.choose_service_port();
            }
        }
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

/// Gives a definition those service ports again that its app had: the `n`-th port its own, where it is not given to
/// another one.
fn keep(spec: &mut AppSpec, before: &App, range: PortRange) {
    for n in 0..spec.run.ports.len() {
        let Some(had) = before.current.spec.run.ports.get(n).map(|it| it.service_port) else { return };
        let is_given = || spec.run.ports.iter().any(|it| it.service_port == had);
        if spec.run.ports[n].service_port == 0 && range.contains(had) && !is_given() {
            spec.run.ports[n].service_port = had;
        }
    }
}

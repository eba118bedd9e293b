//! Capacity: no node has more on it than it offers, and no transport of a host port has two holders; in the books, where an instance
//! counts until its container is confirmed removed, and on the machines themselves.

use super::{Check, Did, Fact};
use crate::sim::docker::{Engine, Trouble};
use cluster::{Command, InstanceId, Protocol, Resources, State, WantedHostPort};
use std::collections::{BTreeMap, BTreeSet};

/// Who has which host port, by transport.
type Held = BTreeMap<(u16, &'static str), InstanceId>;

const NONE: WantedHostPort = WantedHostPort::None;

/// Adds up.
#[derive(Default)]
pub(super) struct Capacity {
    /// By which transports the host ports of instances are reached, also of those whose app is gone before they are.
    transports: BTreeMap<InstanceId, Vec<Protocol>>,
    /// What was on nodes that an operator forgot: nobody counts it any more.
    forgotten: BTreeSet<InstanceId>,
}

impl Check for Capacity {
    fn name(&self) -> &'static str {
        "capacity"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Applied { first: true, taken, .. } => {
                if let (Command::RemoveNode { node }, Ok(_)) = (&taken.entry.command, &taken.result) {
                    let there = taken.before.instances().filter(|it| it.node == *node);
                    self.forgotten.extend(there.map(|it| it.id));
                }
                self.books(&taken.after)
            }
            Fact::Docker { node, did, engine } => {
                if let Did::Refused(name, _, Trouble::PortTaken(port)) = did {
                    return Err(format!("{node}: {name} got host port {port}, which another container has"));
                }
                self.machine(engine).map_err(|how| format!("{node}: {how} after {did:?}"))
            }
            _ => Ok(()),
        }
    }
}

impl Capacity {
    fn books(&mut self, state: &State) -> Result<(), String> {
        self.transports.retain(|it, _| state.instance(*it).is_some());
        let mut sums: BTreeMap<&cluster::NodeId, (Resources, Held)> = BTreeMap::new();
        for instance in state.instances() {
            let (sum, ports) = sums.entry(&instance.node).or_default();
            *sum = add(*sum, instance.resources);
            if let Some(launched) = state.app(&instance.app).and_then(|it| it.versions.get(&instance.run)) {
                let wanted = launched.spec.run.ports.iter().filter(|it| it.host_port != NONE);
                self.transports.insert(instance.id, wanted.map(|it| it.protocol).collect());
            }
            let mut wanted = self.transports.get(&instance.id).into_iter().flatten();
            for port in &instance.ports {
                for transport in transports(wanted.next().copied().unwrap_or(Protocol::Both)) {
                    if let Some(other) = ports.insert((*port, transport), instance.id) {
                        let (node, id) = (&instance.node, instance.id);
                        return Err(format!("{node}: port {port}/{transport} is held by {other} and {id}"));
                    }
                }
            }
        }
        for reservation in state.reservations() {
            let (sum, _) = sums.entry(&reservation.node).or_default();
            sum.disk_bytes += reservation.disk_bytes;
        }
        for (id, (sum, _)) in sums {
            let capacity = state.node(id).ok_or_else(|| format!("{id}: instances on an unknown node"))?;
            let capacity = capacity.description.capacity;
            if exceeds(sum, capacity) {
                return Err(format!("{id}: its instances and volumes hold {sum:?} of {capacity:?}"));
            }
        }
        Ok(())
    }

    fn machine(&self, engine: &Engine) -> Result<(), String> {
        let mut sum = Resources::default();
        let mut ports = BTreeMap::new();
        for (name, container) in engine.containers.iter().filter(|it| !self.forgotten.contains(&it.1.instance)) {
            sum = add(sum, container.resources);
            for (port, protocol) in &container.ports {
                for transport in transports(*protocol) {
                    if let Some(other) = ports.insert((*port, transport), name) {
                        return Err(format!("port {port}/{transport} is of {other} and of {name}"));
                    }
                }
            }
        }
        if exceeds(sum, engine.capacity) { Err(format!("its containers take {sum:?}")) } else { Ok(()) }
    }
}

const fn transports(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Tcp => &["tcp"],
        Protocol::Udp => &["udp"],
        Protocol::Both => &["tcp", "udp"],
    }
}

const fn add(a: Resources, b: Resources) -> Resources {
    Resources {
        cpu_milli: a.cpu_milli + b.cpu_milli,
        memory_bytes: a.memory_bytes + b.memory_bytes,
        disk_bytes: a.disk_bytes + b.disk_bytes,
    }
}

const fn exceeds(sum: Resources, capacity: Resources) -> bool {
    sum.cpu_milli > capacity.cpu_milli
        || sum.memory_bytes > capacity.memory_bytes
        || sum.disk_bytes > capacity.disk_bytes
}

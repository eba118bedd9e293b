//! Where an instance goes.
//!
//! [`Rules::refusal`] says whether a node may take one more instance of an app, and why not; `Rules::rank` which of
//! two nodes is better. [`place`] is the search: it looks at the emptiest nodes first, keeps the candidates in a heap
//! by rank, and takes the best until all instances have a place. It looks at as many nodes as it needs, not at all of
//! them; only a wish that hardly any node fulfils makes it look on.

mod room;
mod rule;
mod rules;
mod search;

use crate::model::{App, InstanceId, Moment, NodeId};
use crate::state::State;
use search::Search;
use std::cmp::Reverse;

pub use room::Room;
pub use rules::Rules;

/// Why a node does not take an instance, in the order in which it is asked; named as Marathon's queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The node has none of the roles that the app accepts.
    UnfulfilledRole,
    /// A constraint is not met, or the node's operator does not allow what the app asks of Docker.
    UnfulfilledConstraint,
    /// The app is resident, and all its places are on other nodes.
    NoCorrespondingReservationFound,
    /// The node is lost, or its agent says that nothing would start there, or too much could not be started there.
    AgentMaintenance,
    /// Too little cpu is free.
    InsufficientCpus,
    /// Too little memory is free.
    InsufficientMemory,
    /// Too little disk is free.
    InsufficientDisk,
    /// A fixed host port is taken, or too few of the node's range are free.
    InsufficientPorts,
}

impl Reason {
    /// All of them, in the order of the funnel.
    pub const FUNNEL: [Self; 8] = [
        Self::UnfulfilledRole,
        Self::UnfulfilledConstraint,
        Self::NoCorrespondingReservationFound,
        Self::AgentMaintenance,
        Self::InsufficientCpus,
        Self::InsufficientMemory,
        Self::InsufficientDisk,
        Self::InsufficientPorts,
    ];

    /// The name that Marathon's queue uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnfulfilledRole => "UnfulfilledRole",
            Self::UnfulfilledConstraint => "UnfulfilledConstraint",
            Self::NoCorrespondingReservationFound => "NoCorrespondingReservationFound",
            Self::AgentMaintenance => "AgentMaintenance",
            Self::InsufficientCpus => "InsufficientCpus",
            Self::InsufficientMemory => "InsufficientMemory",
            Self::InsufficientDisk => "InsufficientDisk",
            Self::InsufficientPorts => "InsufficientPorts",
        }
    }
}

/// A place for one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where.
    pub node: NodeId,
    /// The host ports, one for each of the app's ports that wants one.
    pub ports: Vec<u16>,
    /// The reservation that it comes back to.
    pub reservation: Option<InstanceId>,
}

/// Finds places for up to `n` instances of the app's wanted version, books them in the room, and returns them, the
/// best first. Fewer than `n`: no node takes another one.
pub fn place(state: &State, room: &mut Room, app: &App, n: u32, now: Moment) -> Vec<Placed> {
    let mut rules = Rules::of(state, app, now);
    let mut placed = come_home(room, &mut rules, n as usize);
    let n = match rules.fresh {
        Some(fresh) => (n as usize).min(placed.len() + fresh),
        None => n as usize,
    };
    if placed.len() >= n {
        return placed;
    }
    room.book();
    let mut search = Search::new(room, &rules, n - placed.len());
    // Candidates whose group was not the smallest; asked again after each placement.
    let mut parked = Vec::new();
    loop {
        search.open(room, &rules);
        let Some(Reverse((rank, id))) = search.heap.pop() else {
            if search.gather(room, &rules) {
                continue;
            }
            break;
        };
        let Some(node) = room.nodes.get(&id) else { continue };
        match rules.refusal(node) {
            Some(Reason::UnfulfilledConstraint) => {
                parked.push(id);
                continue;
            }
            Some(_) => continue,
            None => {}
        }
        let now = rules.rank(node);
        if now != rank {
            search.heap.push(Reverse((now, id)));
            continue;
        }
        let ports = rules.draw_ports(node);
        rules.count(node);
        room.take(&id, rules.wanted, rules.with_protocols(&ports));
        placed.push(Placed { node: id.clone(), ports, reservation: None });
        if placed.len() >= n {
            break;
        }
        room.book();
        for id in parked.drain(..).chain([id]) {
            if let Some(node) = room.nodes.get(&id) {
                search.heap.push(Reverse((rules.rank(node), id)));
            }
        }
    }
    placed
}

/// Brings up to `n` instances back to the places that are kept for them.
fn come_home(room: &mut Room, rules: &mut Rules<'_>, n: usize) -> Vec<Placed> {
    let mut placed = Vec::new();
    for (id, reservations) in std::mem::take(&mut rules.homes) {
        for reservation in reservations {
            room.book();
            let Some(node) = room.nodes.get(&id) else { break };
            if placed.len() >= n || rules.lacks(node, &rules.wanted_at_home).is_some() {
                break;
            }
            let ports = rules.draw_ports(node);
            rules.count(node);
            room.take(&id, rules.wanted_at_home, rules.with_protocols(&ports));
            placed.push(Placed { node: id.clone(), ports, reservation: Some(reservation) });
        }
    }
    placed
}

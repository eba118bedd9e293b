//! The launch queue.

use super::{app, pod};
use crate::time;
use crate::v2;
use cluster::explain::Waiting;
use cluster::{Moment, Node, State, Timestamp};

/// Every reason that Marathon looks at, in its order: clients draw all of them as a table.
const FUNNEL: [&str; 10] = [
    "UnfulfilledRole",
    "UnfulfilledConstraint",
    "NoCorrespondingReservationFound",
    "AgentMaintenance",
    "InsufficientCpus",
    "InsufficientMemory",
    "InsufficientDisk",
    "InsufficientGpus",
    "InsufficientPorts",
    "DeclinedScarceResources",
];

/// Prints an app that misses instances: each node counts as one of Marathon's offers. `None` once the app is gone.
pub fn queue_item(
    state: &State,
    waiting: &Waiting,
    embed_offers: bool,
    now: (Timestamp, Moment),
) -> Option<v2::QueueItem> {
    let (now, moment) = now;
    let app_there = state.live_app(&waiting.app)?;
    let last_launch = state.instances_of(app_there).map(|it| it.launched_at).max();
    let time_left_ms = waiting.backoff_until.map_or(0, |it| it.since_ms(moment));
    let steps = funnel(waiting, state.n_nodes() as u32);
    let unused = f64::from(waiting.n_declining);
    let is_pod = app_there.current.spec.run.pod.is_some();
    Some(v2::QueueItem {
        app: (!is_pod).then(|| app(&app_there.current)),
        pod: is_pod.then(|| pod(&app_there.current)),
        count: waiting.count,
        delay: v2::Delay { time_left_seconds: time_left_ms.div_ceil(1000), overdue: time_left_ms == 0 },
        since: time::print(waiting.since),
        processed_offers_summary: v2::ProcessedOffersSummary {
            processed_offers_count: v2::Number(state.n_nodes() as f64),
            unused_offers_count: v2::Number(unused),
            last_unused_offer_at: (unused > 0.0).then(|| time::print(now)),
            last_used_offer_at: last_launch.map(time::print),
            reject_summary_last_offers: Some(steps.clone()),
            reject_summary_launch_attempt: Some(steps),
        },
        last_unused_offers: embed_offers.then(|| unused_offers(state, waiting, now)),
    })
}

/// The nodes that do not do, as offers of what is free there.
fn unused_offers(state: &State, waiting: &Waiting, now: Timestamp) -> Vec<v2::UnusedOffer> {
    let offers = waiting.nodes.iter().filter_map(|(node, reason, _)| {
        Some(v2::UnusedOffer {
            offer: offer(state.node(node)?),
            reason: vec![reason.name().to_owned()],
            timestamp: time::print(now),
        })
    });
    offers.collect()
}

fn offer(node: &Node) -> v2::Offer {
    let free = node.free();
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    let amount = |name: &str, amount: f64| v2::OfferResource {
        name: name.to_owned(),
        role: "*".to_owned(),
        scalar: Some(v2::Number(amount)),
        ranges: None,
    };
    let ports = v2::OfferResource {
        name: "ports".to_owned(),
        role: "*".to_owned(),
        scalar: None,
        ranges: Some(free_ports(node)),
    };
    let attributes = node.description.attributes.iter();
    v2::Offer {
        id: node.id().to_string(),
        hostname: node.description.address.clone(),
        agent_id: node.id().to_string(),
        resources: vec![
            amount("cpus", free.cpu_milli as f64 / 1000.0),
            amount("mem", mib(free.memory_bytes)),
            amount("disk", mib(free.disk_bytes)),
            ports,
        ],
        attributes: attributes
            .map(|(name, text)| v2::AgentAttribute { name: name.clone(), text: text.clone() })
            .collect(),
    }
}

/// The ports of a node's range that nobody has.
fn free_ports(node: &Node) -> Vec<v2::NumberRange> {
    let range = node.description.ports;
    let (mut ranges, mut begin) = (Vec::new(), u32::from(range.first));
    let taken = node.ports.range(range.first..=range.last).map(|(port, _)| u32::from(*port));
    for end in taken.chain([u32::from(range.last) + 1]) {
        if begin < end {
            ranges.push(v2::NumberRange { begin: begin as u16, end: (end - 1) as u16 });
        }
        begin = end + 1;
    }
    ranges
}

/// How many nodes came to each reason, and how many failed there.
fn funnel(waiting: &Waiting, n_nodes: u32) -> Vec<v2::DeclinedOfferStep> {
    let mut processed = n_nodes;
    let steps = FUNNEL.iter().map(|name| {
        let declined = waiting.reasons.iter().find(|it| it.0.name() == *name).map_or(0, |it| it.1);
        let step = v2::DeclinedOfferStep { reason: (*name).to_owned(), declined, processed };
        processed = processed.saturating_sub(declined);
        step
    });
    steps.collect()
}

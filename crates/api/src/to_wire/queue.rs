//! The launch queue.

use super::{app, pod};
use crate::time;
use crate::v2;
use cluster::explain::Waiting;
use cluster::{State, Timestamp};

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
pub fn queue_item(state: &State, waiting: &Waiting, embed_offers: bool, now: Timestamp) -> Option<v2::QueueItem> {
    let app_there = state.live_app(&waiting.app)?;
    let time_left_ms = waiting.backoff_until.map_or(0, |it| it.since_ms(now));
    let steps = funnel(waiting, state.n_nodes() as u32);
    let unused = waiting.nodes.len() as f64;
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
            reject_summary_last_offers: Some(steps.clone()),
            reject_summary_launch_attempt: Some(steps),
        },
        last_unused_offers: embed_offers.then(Vec::new),
    })
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

//! The launch queue: apps that miss instances, and why.

use super::{App, Number};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer of `GET /v2/queue` (RAML `Queue`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// The apps that miss instances.
    pub queue: Vec<QueueItem>,
}

/// An app that misses instances (RAML `QueueApp`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueItem {
    /// The app.
    pub app: App,
    /// How many it misses.
    pub count: u32,
    /// How long its launches wait after failures.
    pub delay: Delay,
    /// Since when it waits.
    pub since: String,
    /// What the nodes said.
    pub processed_offers_summary: ProcessedOffersSummary,
    /// The nodes that do not do, where asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_unused_offers: Option<Vec<UnusedOffer>>,
}

/// A node that does not do (RAML `UnusedOffer`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnusedOffer {
    /// What it has to give.
    pub offer: Offer,
    /// Why it does not do.
    pub reason: Vec<String>,
    /// When it was looked at.
    pub timestamp: String,
}

/// What a node has to give (RAML `Offer`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The node's name: it is always the same offer.
    pub id: String,
    /// Where its ports are reached.
    pub hostname: String,
    /// The node's name.
    pub agent_id: String,
    /// What is free.
    pub resources: Vec<OfferResource>,
    /// What constraints may name.
    pub attributes: Vec<AgentAttribute>,
}

/// An amount of something, or numbers of ports (RAML `OfferResource`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfferResource {
    /// `cpus`, `mem`, `disk` or `ports`.
    pub name: String,
    /// Always `*`.
    pub role: String,
    /// How much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scalar: Option<Number>,
    /// Which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranges: Option<Vec<NumberRange>>,
}

/// Numbers one after another, both ends included (RAML `NumberRange`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NumberRange {
    /// The lowest.
    pub begin: u16,
    /// The highest.
    pub end: u16,
}

/// An attribute of a node (RAML `AgentAttribute`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentAttribute {
    /// Its name.
    pub name: String,
    /// Its value.
    pub text: String,
}

/// A launch delay (RAML `QueueDelay`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delay {
    /// So long no launch is tried, seconds.
    pub time_left_seconds: u64,
    /// Whether launches are tried now.
    pub overdue: bool,
}

/// What the nodes said (RAML `ProcessedOffersSummary`); a node counts as an offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessedOffersSummary {
    /// Nodes looked at.
    pub processed_offers_count: Number,
    /// Nodes that did not do.
    pub unused_offers_count: Number,
    /// When one did not do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_unused_offer_at: Option<String>,
    /// When one took an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_offer_at: Option<String>,
    /// Reasons, in the order in which they are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_summary_last_offers: Option<Vec<DeclinedOfferStep>>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject_summary_launch_attempt: Option<Vec<DeclinedOfferStep>>,
}

/// One reason (RAML `DeclinedOfferStep`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeclinedOfferStep {
    /// Marathon's name for it.
    pub reason: String,
    /// Nodes that failed here.
    pub declined: u32,
    /// Nodes that came so far.
    pub processed: u32,
}

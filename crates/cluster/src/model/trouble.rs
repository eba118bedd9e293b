//! What is thought of nodes after instances could not be started there (`docs/decisions/0032-learning.md`).
//!
//! That something failed to start says little: the app may be broken. That it failed here and then started on another
//! node is testimony against this node. One app's testimony is remembered with the app, which looks for other nodes
//! for a while; that of several apps, with no start here in between, gives the node a rest. After it the node is tried
//! with one instance at a time, and rests longer if that fails.

use super::{AppId, InstanceId, Moment, NodeId, Version};
use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use std::fmt;

/// So many different apps must bear witness before a node is given a rest: two may share what is special about them.
pub const WITNESSES: usize = 3;

/// The first rest: enough for most of what passes by itself, such as a daemon that starts.
const REST_MS: u64 = 15_000;

/// No rest is longer, so that a node that was mended is not left out for long. A trial costs one launch that fails.
const REST_MAX_MS: u64 = 120_000;

/// Half of the failures of a cause are forgotten after so long.
const HALF_LIFE_MS: u64 = 600_000;

/// Of what an agent said, so much is kept.
const WORDS_BYTES: usize = 512;

/// An app remembers so many nodes that it could not be started on; of more, those with the latest failures.
const REMEMBERED_NODES: usize = 64;

/// Why something could not be started, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// Its image could not be had.
    Image,
    /// A host port is taken by something that is not ours.
    Port,
    /// The disk is full.
    Disk,
    /// It did not start in time.
    Time,
    /// Docker's answer was no, for another reason.
    Refused,
}

impl Cause {
    /// What an agent's words are about: it begins them with what it has found out.
    pub fn of(words: &str) -> Self {
        let begins = |it: &[&str]| it.iter().any(|it| words.starts_with(it));
        if begins(&["image ", "container image "]) {
            Self::Image
        } else if begins(&["a host port is taken"]) {
            Self::Port
        } else if begins(&["Docker's disk is full"]) {
            Self::Disk
        } else {
            Self::Refused
        }
    }

    /// One word, for tables and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Port => "port",
            Self::Disk => "disk",
            Self::Time => "time",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "images could not be had",
            Self::Port => "host ports were taken by others",
            Self::Disk => "the disk was full",
            Self::Time => "nothing started in time",
            Self::Refused => "Docker refused",
        })
    }
}

/// Failures of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many, as of the last one: half of the earlier ones was forgotten with each half-life between.
    pub n: u32,
    /// When the last one was.
    pub at: Moment,
    /// What was said then.
    pub words: String,
}

impl Failures {
    /// How many are remembered.
    pub fn remembered(&self, now: Moment) -> u32 {
        self.n.checked_shr((now.since_ms(self.at) / HALF_LIFE_MS).min(32) as u32).unwrap_or(0)
    }
}

/// What is thought of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What failed to start here, by cause.
    pub failures: OrdMap<Cause, Failures>,
    /// The apps that failed to start here and started on another node, while none started here.
    pub witnesses: OrdSet<AppId>,
    /// How many rests the node was given with no start here in between; 0: it is trusted.
    pub rests: u32,
    /// The end of the last rest.
    pub rests_until: Moment,
    /// The instance that the node is tried with after its rest.
    pub trial: Option<InstanceId>,
}

/// Whether a node takes new instances, as far as its troubles are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It does.
    Full,
    /// It rests until then.
    Rests(Moment),
    /// It is tried with one instance, if it has none for that yet.
    Trial {
        /// There is one already.
        taken: bool,
    },
}

impl Trouble {
    /// How many failures are remembered.
    pub fn remembered(&self, now: Moment) -> u32 {
        self.failures.values().map(|it| it.remembered(now)).fold(0, u32::saturating_add)
    }

    /// Whether the node takes new instances.
    pub fn trust(&self, now: Moment) -> Trust {
        match self.rests {
            0 => Trust::Full,
            _ if now < self.rests_until => Trust::Rests(self.rests_until),
            _ => Trust::Trial { taken: self.trial.is_some() },
        }
    }

    /// Why the node is not trusted, for people; none if it is.
    pub fn reason(&self) -> Option<String> {
        if self.rests == 0 {
            return None;
        }
        let last = self.failures.iter().max_by_key(|(_, it)| it.at);
        let last = last.map(|(cause, it)| format!("; last: {cause}: {}", it.words)).unwrap_or_default();
        let n = self.witnesses.len();
        Some(format!("{n} apps could not be started here and were started on other nodes{last}"))
    }

    /// Something failed to start.
    pub(crate) fn failed(&mut self, cause: Cause, words: &str, now: Moment) {
        let n = self.failures.get(&cause).map_or(0, |it| it.remembered(now)).saturating_add(1);
        let words = words[..words.floor_char_boundary(WORDS_BYTES)].to_owned();
        self.failures.insert(cause, Failures { n, at: now, words });
    }

    /// Something started: the node can do it. Half of what failed before counts no more.
    pub(crate) fn started(&mut self, now: Moment) {
        let left = |(cause, it): (&Cause, &Failures)| {
            let n = it.remembered(now) / 2;
            (n > 0).then(|| (*cause, Failures { n, ..it.clone() }))
        };
        let failures = self.failures.iter().filter_map(left).collect();
        *self = Self { failures, ..Self::default() };
    }

    /// The node gets a rest, a longer one each time.
    pub(crate) fn rest(&mut self, now: Moment) {
        self.rests += 1;
        self.rests_until = now.plus_ms(rest_ms(self.rests));
        self.trial = None;
    }
}

/// What an app remembers of a node that it could not be started on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shunned {
    /// The content that could not be started.
    pub run: Version,
    /// How often, with no start there in between.
    pub failures: u32,
    /// When last.
    pub at: Moment,
    /// Other nodes are preferred till then.
    pub until: Moment,
    /// It has borne witness against the node since.
    pub told: bool,
}

/// The nodes that an app could not be started on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShunnedNodes(pub OrdMap<NodeId, Shunned>);

impl ShunnedNodes {
    /// How often the app failed on a node that it shuns now; 0: it does not.
    pub fn failures_on(&self, node: &NodeId, now: Moment) -> u32 {
        self.0.get(node).filter(|it| now < it.until).map_or(0, |it| it.failures)
    }

    /// Whether it shuns any other node now.
    pub fn any_but(&self, node: &NodeId, now: Moment) -> bool {
        self.0.iter().any(|(it, shunned)| it != node && now < shunned.until)
    }

    /// A node is called otherwise from now on.
    pub(crate) fn renamed(&mut self, from: &NodeId, to: &NodeId) {
        if let Some(shunned) = self.0.remove(from) {
            self.0.insert(to.clone(), shunned);
        }
    }

    /// The app failed to start on a node.
    pub(crate) fn failed(&mut self, node: &NodeId, run: Version, now: Moment) {
        // What was long ago says nothing any more.
        self.0 = self.0.iter().filter(|(_, it)| now.since_ms(it.until) < HALF_LIFE_MS).map(owned).collect();
        let before = self.0.get(node).filter(|it| it.run == run).map_or(0, |it| it.failures);
        let failures = before.saturating_add(1);
        let until = now.plus_ms(rest_ms(failures));
        self.0.insert(node.clone(), Shunned { run, failures, at: now, until, told: false });
        while self.0.len() > REMEMBERED_NODES {
            let Some(oldest) = self.0.iter().min_by_key(|(_, it)| it.at).map(|(it, _)| it.clone()) else { return };
            self.0.remove(&oldest);
        }
    }

    /// The app started on a node: it tells of those on which the same failed, once. Where it had failed on this one
    /// too it is not the nodes that differ, and it takes all back.
    pub(crate) fn started(&mut self, node: &NodeId, run: Version, n_nodes: usize) -> Vec<NodeId> {
        if self.0.remove(node).is_some() {
            self.0.clear();
            return Vec::new();
        }
        let same = self.0.iter().filter(|(_, it)| it.run == run);
        // What fails on most nodes is not to be blamed on them.
        if same.clone().count() * 2 > n_nodes {
            return Vec::new();
        }
        let told: Vec<NodeId> = same.filter(|(_, it)| !it.told).map(|(it, _)| it.clone()).collect();
        for node in &told {
            if let Some(it) = self.0.get_mut(node) {
                it.told = true;
            }
        }
        told
    }
}

fn owned((node, shunned): (&NodeId, &Shunned)) -> (NodeId, Shunned) {
    (node.clone(), shunned.clone())
}

/// How long the `n`-th rest is.
fn rest_ms(n: u32) -> u64 {
    let doubled = REST_MS.checked_shl(n.saturating_sub(1).min(16)).unwrap_or(REST_MAX_MS);
    doubled.min(REST_MAX_MS)
}

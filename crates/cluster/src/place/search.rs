//! Where candidates are looked for, and how many.

use super::room::Room;
use super::rules::{Rank, Rules};
use crate::capacity::{Load, Order};
use crate::model::NodeId;
use crate::work;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Bound;

/// The candidates so far, and where to look for more.
pub(super) struct Search {
    pub(super) heap: BinaryHeap<Reverse<(Rank, NodeId)>>,
    sources: Vec<Source>,
    /// Sources that were not looked at yet, by the best rank that a node of theirs can have. Only where one place is
    /// looked for: then most of them need not be looked at.
    unopened: BinaryHeap<Reverse<(Rank, usize)>>,
    seen: BTreeSet<NodeId>,
    /// How many fresh candidates one source is asked for at a time.
    quota: usize,
    /// One place is looked for: the first of a source that nothing speaks against is the best of it.
    single: bool,
}

/// Nodes from the emptiest to the fullest, and the last one that was looked at.
struct Source {
    order: Order,
    last: Option<(Load, NodeId)>,
    exhausted: bool,
}

/// Besides those needed, so many candidates are looked at, so that the best is among them also where the emptiest
/// nodes are not the best ones.
const SPARE_CANDIDATES: usize = 16;

/// So many times the wanted candidates are looked at for nodes without an instance of the app, before those with one
/// are taken; spreading is a preference, its search is bounded.
const LOOKED_AT: usize = 8;

/// With more classes than that, whoever looks for one place looks at one node after the other, and not first at which
/// classes will do: where each node has attributes of its own, that is all the same.
const CLASSES_TO_CHOOSE_FROM: usize = 1_000;

impl Search {
    pub(super) fn new(room: &Room, rules: &Rules<'_>, n: usize) -> Self {
        let source = |order: &Order| Source { order: order.clone(), last: None, exhausted: false };
        let (single, mut unopened) = (n == 1, Vec::new());
        let by_class = rules.by_class();
        let chooses = || single && rules.chooses_class() && room.capacity.n_classes() <= CLASSES_TO_CHOOSE_FROM;
        let sources: Vec<Source> = if by_class || chooses() {
            let classes = room.capacity.classes().enumerate();
            let classes = classes.map(|(at, (attributes, order))| {
                if single {
                    unopened.extend(rules.best_of(attributes, order).map(|it| Reverse((it, at))));
                }
                source(order)
            });
            classes.collect()
        } else {
            vec![source(room.capacity.order())]
        };
        let quota = (n + SPARE_CANDIDATES) / if by_class { sources.len().max(1) } else { 1 } + 1;
        let unopened = BinaryHeap::from(unopened);
        Self { heap: BinaryHeap::new(), sources, unopened, seen: BTreeSet::new(), quota, single }
    }

    /// Looks into each source in which there may be a better candidate than those that are known.
    pub(super) fn open(&mut self, room: &Room, rules: &Rules<'_>) {
        while let Some(Reverse((best, _))) = self.unopened.peek()
            && self.heap.peek().is_none_or(|Reverse((known, _))| best <= known)
        {
            let Some(Reverse((_, at))) = self.unopened.pop() else { return };
            let first = self.sources[at].order.get_min().and_then(|(_, id)| room.nodes.get(id));
            if first.is_some_and(|it| rules.admits_class_of(it)) {
                self.look_into(at, room, rules);
            } else {
                self.sources[at].exhausted = true;
            }
        }
    }

    /// Looks for more candidates; false if there are none.
    pub(super) fn gather(&mut self, room: &Room, rules: &Rules<'_>) -> bool {
        self.sources.retain(|it| !it.exhausted);
        let before = self.heap.len();
        for at in 0..self.sources.len() {
            self.look_into(at, room, rules);
        }
        self.heap.len() > before
    }

    fn look_into(&mut self, at: usize, room: &Room, rules: &Rules<'_>) {
        let source = &mut self.sources[at];
        let (mut fresh, mut looked_at, mut fitting) = (0, 0, 0);
        let start = source.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut nodes = source.order.range((start, Bound::Unbounded));
        while fresh < self.quota && (fitting == 0 || looked_at < LOOKED_AT * self.quota) {
            let Some((load, id)) = nodes.next() else {
                source.exhausted = true;
                break;
            };
            looked_at += 1;
            work::did(1);
            source.last = Some((*load, id.clone()));
            let Some(node) = room.nodes.get(id) else { continue };
            if rules.refusal(node).is_some() || !self.seen.insert(id.clone()) {
                continue;
            }
            let rank = rules.rank(node);
            fresh += usize::from(rank.there == 0 && rank.shunned == 0);
            fitting += usize::from(rank.shunned == 0);
            self.heap.push(Reverse((rank, id.clone())));
            if self.single && (rank.shunned, rank.there, rank.failures) == (0, 0, 0) {
                break;
            }
        }
    }
}

//! What containers wrote, on whichever nodes they are or were, as one stream in the order of time.
//!
//! Each node's agent merges its own containers; here the nodes are merged. A line is told when no node can come with an
//! earlier one any more, as far as the nodes say. Where lines are followed, none waits longer than [`HOLD`]: a node that
//! says nothing holds nobody up; one whose stream breaks off is asked again, behind what was told of it, and nodes that
//! come later are asked as well.

use crate::control::ControlPlane;
use cluster::NodeId;
use cluster::agent::{LogAnswer, LogFrom, LogLines, LogPlace, LogQuery, LogSkipped, LogSource, LoggedLine};
use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// So long a line waits for earlier ones of other nodes.
const HOLD: Duration = Duration::from_millis(500);
/// So long it is waited for the last lines of all nodes.
const GATHER: Duration = Duration::from_secs(4);
/// From one look for nodes that are to be asked to the next.
const LOOK_ROUND: Duration = Duration::from_secs(1);
/// So many lines are told at once.
const TOLD_MAX: usize = 1_000;
/// Where so many lines wait, no more are taken from the nodes: they wait there.
const WAITING_MAX: usize = 20_000;

/// A line, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) node: NodeId,
    pub(crate) from: Arc<LogFrom>,
    pub(crate) said: LoggedLine,
}

/// What a reader is told next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) lines: Vec<Line>,
    /// Where lines are missing.
    pub(crate) skipped: Vec<LogSkipped>,
    /// Nodes that did not answer, or not to the end, and why.
    pub(crate) failed: Vec<(NodeId, String)>,
    /// All that had been written is told: what follows is written meanwhile.
    pub(crate) caught_up: bool,
}

/// Places in the logs of containers: a reader that comes back with them is told what is behind.
pub(crate) type Places = BTreeMap<LogSource, LogPlace>;

/// The lines of all nodes, merged.
pub(crate) struct Merged<C> {
    control: C,
    query: LogQuery,
    nodes: BTreeMap<NodeId, Node>,
    answers: SelectAll<BoxStream<'static, (NodeId, Option<LogAnswer>)>>,
    places: Places,
    next: Told,
    begun: Instant,
    looked: Instant,
    has_caught_up: bool,
    /// The last lines of all nodes, of which only the last are wanted; until all nodes have told theirs.
    last: Option<Vec<Line>>,
}

/// What one node has told.
#[derive(Default)]
struct Node {
    /// Not told on yet.
    lines: VecDeque<Line>,
    /// Where its logs were read to, once those lines are told.
    places: Places,
    /// All that it tells from now on is of this moment or later.
    until_ns: u64,
    caught_up: bool,
    /// Its stream goes on.
    is_asked: bool,
    failed: Option<String>,
    /// Since when its first line waits.
    waits_since: Option<Instant>,
}

impl Told {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.skipped.is_empty() && self.failed.is_empty() && !self.caught_up
    }
}

impl<C: ControlPlane> Merged<C> {
    /// Asks all nodes that can be asked.
    pub(crate) fn new(control: C, query: LogQuery) -> Self {
        let now = Instant::now();
        let last = (query.tail.is_some() && query.after.is_empty()).then(Vec::new);
        let mut res = Self {
            places: query.after.clone(),
            control,
            query,
            nodes: BTreeMap::new(),
            answers: SelectAll::new(),
            next: Told::default(),
            begun: now,
            looked: now,
            has_caught_up: false,
            last,
        };
        res.look();
        res
    }

    /// Behind what was told so far.
    pub(crate) const fn places(&self) -> &Places {
        &self.places
    }

    /// What comes next; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            if self.query.follow && self.looked.elapsed() >= LOOK_ROUND {
                if !self.control.leadership().leading {
                    // The reader comes back, and is led to who leads.
                    return None;
                }
                self.look();
            }
            let told = self.take();
            if !told.is_empty() {
                return Some(told);
            }
            if !self.query.follow && self.nodes.values().all(|it| !it.is_asked) {
                return None;
            }
            let n_waiting: usize = self.nodes.values().map(|it| it.lines.len()).sum();
            let patience = if n_waiting > 0 || self.last.is_some() { HOLD / 10 } else { LOOK_ROUND };
            tokio::select! {
                Some((node, answer)) = self.answers.next(), if n_waiting < WAITING_MAX => self.hear(&node, answer),
                () = tokio::time::sleep(patience) => {}
            }
        }
    }

    /// Asks those that are not being asked.
    fn look(&mut self) {
        self.looked = Instant::now();
        for id in self.control.answering() {
            let node = self.nodes.entry(id.clone()).or_default();
            if std::mem::replace(&mut node.is_asked, true) {
                continue;
            }
            // What came and was not told on comes again.
            *node = Node { is_asked: true, failed: node.failed.take(), ..Node::default() };
            let is_first = self.begun.elapsed() < LOOK_ROUND;
            let tail = self.query.tail.filter(|_| is_first);
            let query = LogQuery { after: self.places.clone(), tail, ..self.query.clone() };
            let answers = self.control.logs(&id, query).map(Some).chain(futures::stream::iter([None]));
            self.answers.push(answers.map(move |it| (id.clone(), it)).boxed());
        }
    }

    fn hear(&mut self, id: &NodeId, answer: Option<LogAnswer>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        match answer {
            Some(LogAnswer::Lines(lines)) => {
                node.failed = None;
                node.caught_up |= lines.caught_up;
                node.until_ns = node.until_ns.max(lines.until_ns);
                let LogLines { sources, lines, places, skipped, .. } = lines;
                let sources: Vec<_> = sources.into_iter().map(Arc::new).collect();
                node.lines.extend(lines.into_iter().filter_map(|line| {
                    let from = Arc::clone(sources.get(line.from as usize)?);
                    Some(Line { node: id.clone(), from, said: line })
                }));
                node.places.extend(places);
                self.next.skipped.extend(skipped);
            }
            Some(LogAnswer::Failed { reason }) => {
                // Once, however often it is tried.
                if node.failed.as_ref() != Some(&reason) {
                    self.next.failed.push((id.clone(), reason.clone()));
                    node.failed = Some(reason);
                }
            }
            Some(LogAnswer::End) => {}
            None => {
                node.is_asked = false;
                node.caught_up = true;
                if self.query.follow {
                    node.lines.clear();
                }
            }
        }
        if !node.lines.is_empty() && node.waits_since.is_none() {
            node.waits_since = Some(Instant::now());
        }
        if let (Some(last), Some(tail)) = (&mut self.last, self.query.tail) {
            last.extend(node.lines.drain(..));
            node.waits_since = None;
            let tail = usize::try_from(tail).unwrap_or(usize::MAX);
            if last.len() > tail.saturating_mul(2) {
                keep_last(last, tail);
            }
        }
    }

    /// What can be told now.
    fn take(&mut self) -> Told {
        let mut told = std::mem::take(&mut self.next);
        let has_caught_up = self.nodes.values().all(|it| it.caught_up) || self.begun.elapsed() >= GATHER;
        if let Some(last) = self.last.take_if(|_| has_caught_up) {
            told.lines = last;
            keep_last(&mut told.lines, usize::try_from(self.query.tail.unwrap_or(0)).unwrap_or(usize::MAX));
        }
        while self.last.is_none() && told.lines.len() < TOLD_MAX {
            let Some(line) = self.take_line() else { break };
            told.lines.push(line);
        }
        if self.query.follow && has_caught_up && self.nodes.values().all(|it| it.lines.is_empty()) {
            told.caught_up = !std::mem::replace(&mut self.has_caught_up, true);
        }
        for it in &told.lines {
            self.places.insert(it.from.source.clone(), it.said.place);
        }
        if self.last.is_none() {
            for node in self.nodes.values_mut().filter(|it| it.lines.is_empty()) {
                self.places.append(&mut node.places);
            }
        }
        told
    }

    /// The earliest line, if none that is earlier can come, or it has waited long enough.
    fn take_line(&mut self) -> Option<Line> {
        let first = |it: &Node| it.lines.front().map(|it| it.said.time_ns);
        let (earliest, id) = self.nodes.iter().filter_map(|(id, it)| Some((first(it)?, id))).min()?;
        let id = id.clone();
        let may_come = |it: &Node| it.is_asked && it.lines.is_empty() && it.until_ns < earliest;
        let waits = self.nodes.values().any(may_come);
        let node = self.nodes.get_mut(&id)?;
        let is_due = self.query.follow && node.waits_since.is_some_and(|it| it.elapsed() >= HOLD);
        if waits && !is_due {
            return None;
        }
        let line = node.lines.pop_front();
        if node.lines.is_empty() {
            node.waits_since = None;
        }
        line
    }
}

/// Keeps the last lines, in the order of time.
fn keep_last(lines: &mut Vec<Line>, n: usize) {
    lines.sort_by_key(|it| it.said.time_ns);
    lines.drain(..lines.len().saturating_sub(n));
}

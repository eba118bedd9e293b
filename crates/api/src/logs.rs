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
use futures::stream::BoxStream;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// So long a line waits for earlier ones of other nodes.
const HOLD: Duration = Duration::from_millis(500);
/// So long it is waited for the last lines of all nodes.
const GATHER: Duration = Duration::from_secs(4);
/// From one look for nodes that are to be asked to the next.
const LOOK_ROUND: Duration = Duration::from_secs(1);
/// So many bytes of lines are told at once.
const TOLD_BYTES: usize = 256 << 10;
/// A node of which so many bytes of lines wait is not read on: what more it has waits there.
const WAITING_BYTES: usize = 256 << 10;
/// The last lines of all nodes have at most so many bytes together.
const LAST_BYTES_MAX: usize = 16 << 20;
/// What a line costs beside its text.
const LINE_BYTES: usize = 128;

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
    places: Places,
    next: Told,
    begun: Instant,
    looked: Instant,
    has_caught_up: bool,
    /// The last lines of all nodes, of which only the last are wanted; until all nodes have told theirs.
    last: Option<Vec<Line>>,
    /// Of those, what is left out because all together are too long.
    left_out: Option<LogSkipped>,
}

/// What one node has told.
#[derive(Default)]
struct Node {
    /// What it goes on to say, as long as it does.
    answers: Option<BoxStream<'static, LogAnswer>>,
    /// Not told on yet.
    lines: VecDeque<Line>,
    /// Bytes of those.
    bytes: usize,
    /// Where its logs were read to, once those lines are told.
    places: Places,
    /// All that it tells from now on is of this moment or later.
    until_ns: u64,
    caught_up: bool,
    failed: Option<String>,
    /// Since when its first line waits.
    waits_since: Option<Instant>,
}

impl Line {
    fn bytes(&self) -> usize {
        self.said.text.len() + LINE_BYTES
    }
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
            next: Told::default(),
            begun: now,
            looked: now,
            has_caught_up: false,
            last,
            left_out: None,
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
            if !self.query.follow && self.nodes.values().all(|it| it.answers.is_none()) {
                return None;
            }
            let waits = self.last.is_some() || self.nodes.values().any(|it| !it.lines.is_empty());
            let patience = if waits { HOLD / 10 } else { LOOK_ROUND };
            tokio::select! {
                (node, answer) = said(&mut self.nodes) => self.hear(&node, answer),
                () = tokio::time::sleep(patience) => {}
            }
        }
    }

    /// Asks those that are not being asked.
    fn look(&mut self) {
        self.looked = Instant::now();
        for id in self.control.answering() {
            let node = self.nodes.entry(id.clone()).or_default();
            if node.answers.is_some() {
                continue;
            }
            let is_first = self.begun.elapsed() < LOOK_ROUND;
            let tail = self.query.tail.filter(|_| is_first);
            let query = LogQuery { after: self.places.clone(), tail, ..self.query.clone() };
            // What came and was not told on comes again.
            *node =
                Node { answers: Some(self.control.logs(&id, query)), failed: node.failed.take(), ..Node::default() };
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
                for said in lines {
                    let Some(from) = sources.get(said.from as usize).map(Arc::clone) else { continue };
                    let line = Line { node: id.clone(), from, said };
                    node.bytes += line.bytes();
                    node.lines.push_back(line);
                }
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
                node.answers = None;
                node.caught_up = true;
                if self.query.follow {
                    (node.bytes, node.waits_since) = (0, None);
                    node.lines.clear();
                }
            }
        }
        if !node.lines.is_empty() && node.waits_since.is_none() {
            node.waits_since = Some(Instant::now());
        }
        if let (Some(last), Some(tail)) = (&mut self.last, self.query.tail) {
            last.extend(node.lines.drain(..));
            (node.bytes, node.waits_since) = (0, None);
            let tail = usize::try_from(tail).unwrap_or(usize::MAX);
            let bytes: usize = last.iter().map(Line::bytes).sum();
            if last.len() > tail.saturating_mul(2) || bytes > LAST_BYTES_MAX {
                keep_last(last, tail, &mut self.left_out);
            }
        }
    }

    /// What can be told now.
    fn take(&mut self) -> Told {
        let mut told = std::mem::take(&mut self.next);
        let has_caught_up = self.nodes.values().all(|it| it.caught_up) || self.begun.elapsed() >= GATHER;
        if let Some(last) = self.last.take_if(|_| has_caught_up) {
            told.lines = last;
            let tail = usize::try_from(self.query.tail.unwrap_or(0)).unwrap_or(usize::MAX);
            keep_last(&mut told.lines, tail, &mut self.left_out);
            told.skipped.extend(self.left_out.take());
        }
        let mut bytes = 0;
        while self.last.is_none() && bytes < TOLD_BYTES {
            let Some(line) = self.take_line() else { break };
            bytes += line.bytes();
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
        let may_come = |it: &Node| it.answers.is_some() && it.lines.is_empty() && it.until_ns < earliest;
        let waits = self.nodes.values().any(may_come);
        let node = self.nodes.get_mut(&id)?;
        let is_due = self.query.follow && node.waits_since.is_some_and(|it| it.elapsed() >= HOLD);
        if waits && !is_due {
            return None;
        }
        let line = node.lines.pop_front();
        node.bytes -= line.as_ref().map_or(0, Line::bytes);
        if node.lines.is_empty() {
            node.waits_since = None;
        }
        line
    }
}

/// What a node says next, of which not too much waits already; none when it has ended.
async fn said(nodes: &mut BTreeMap<NodeId, Node>) -> (NodeId, Option<LogAnswer>) {
    poll_fn(|cx| {
        for (id, node) in nodes.iter_mut().filter(|it| it.1.bytes < WAITING_BYTES) {
            if let Some(Poll::Ready(answer)) = node.answers.as_mut().map(|it| it.poll_next_unpin(cx)) {
                return Poll::Ready((id.clone(), answer));
            }
        }
        Poll::Pending
    })
    .await
}

/// Keeps the last lines, in the order of time; fewer than `n`, where they are too long together.
fn keep_last(lines: &mut Vec<Line>, n: usize, left_out: &mut Option<LogSkipped>) {
    lines.sort_by_key(|it| it.said.time_ns);
    lines.drain(..lines.len().saturating_sub(n));
    let mut bytes = 0;
    let fits = lines.iter().rev().take_while(|it| {
        bytes += it.bytes();
        bytes <= LAST_BYTES_MAX
    });
    let n_over = lines.len() - fits.count();
    let Some(source) = lines.drain(..n_over).next().map(|it| it.from.source.clone()) else { return };
    let before = left_out.take().and_then(|it| it.lines).unwrap_or(0);
    let reason = format!("all lines that were asked for together have more than {} MiB", LAST_BYTES_MAX >> 20);
    *left_out = Some(LogSkipped { source, lines: Some(before + n_over as u64), reason });
}

//! Answers a member's question, over a connection of its own.
//!
//! A thread reads the files and hands over what it found, a little at a time; what the connection does not take it waits
//! with. So a reader that is slow costs one thread that sleeps, and nobody else anything.

use super::shelf::{Found, Shelf};
use super::{Cursor, Filter, Gap, Item, Limits, Merge, Reader};
use crate::docker::Docker;
use api::causes::with_causes;
use api::link::{Error, Greeting, Link};
use cluster::agent::{LogAnswer, LogFrom, LogLines, LogPlace, LogQuery, LogSkipped, LogSource, LoggedLine, Question};
use cluster::pattern::Search;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// A member that asked takes the connection, and asks, in this time.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// A member that takes nothing for so long is gone; a reader may pause.
const TAKEN_WITHIN: Duration = Duration::from_mins(5);
/// So many questions are answered at once.
const QUESTIONS_MAX: usize = 64;
/// The newest so many containers are read for one question: each has files open.
const CONTAINERS_MAX: usize = 256;
/// So much is read, and handed over, at once.
const LIMITS: Limits = Limits { n_lines: 1_000, n_bytes: 256 << 10 };
/// From one look at files that had nothing more to the next.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// From one look for new containers to the next; also the longest silence.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Who follows is told what happens now: farther behind than so many bytes of a container's log it jumps ahead.
const BEHIND_MAX: u64 = 8 << 20;
/// The engine stamps a line some time before it is in the file, nanoseconds.
const WRITTEN_WITHIN_NS: u64 = 50_000_000;

/// Answers questions. Clones share their bound.
#[derive(Clone)]
pub(crate) struct Answerer {
    shelf: Shelf,
    docker: Docker,
    turns: Arc<Semaphore>,
}

impl Answerer {
    /// Of these logs.
    pub(crate) fn new(shelf: Shelf, docker: Docker) -> Self {
        Self { shelf, docker, turns: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    /// Answers the question that the member at `server` has under this ticket. One more than can be answered at once is
    /// not taken up, which the member says to who asked.
    pub(crate) async fn answer(self, server: String, ticket: u64) {
        let Ok(_turn) = Arc::clone(&self.turns).try_acquire_owned() else {
            return tracing::warn!("a question is not answered: {QUESTIONS_MAX} are being answered already");
        };
        if let Err(error) = self.serve(&server, ticket).await {
            tracing::debug!(server, %error, "a question's connection ended early");
        }
    }

    async fn serve(&self, server: &str, ticket: u64) -> Result<(), Error> {
        let asked = async {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let mut link = Link::new(stream);
            link.send(&Greeting::<()>::Stream { ticket, relay: true }).await?;
            let question: Question = link.receive().await?;
            Ok::<_, Error>((link, question))
        };
        let (link, Question::Logs(query)) = timeout(ASKED_WITHIN, asked).await.map_err(|_| Error::TooSlow)??;
        self.shelf.refresh(&self.docker).await;
        let (answers, mut inbox) = mpsc::channel(2);
        let shelf = self.shelf.clone();
        std::thread::Builder::new().name("logs".to_owned()).spawn(move || tell(&shelf, query, &answers))?;
        let (mut sender, mut receiver) = link.split();
        loop {
            let answer = tokio::select! {
                answer = inbox.recv() => answer,
                // The member says nothing more: this is its end.
                _ = receiver.receive_encoded() => return Ok(()),
            };
            let Some(answer) = answer else { return Ok(()) };
            timeout(TAKEN_WITHIN, sender.send(&answer)).await.map_err(|_| Error::TooSlow)??;
        }
    }
}

/// Tells all that is asked for, until nobody listens.
fn tell(shelf: &Shelf, query: LogQuery, answers: &mpsc::Sender<LogAnswer>) {
    let search = match query.pattern.as_deref().map(Search::new).transpose() {
        Ok(it) => it,
        Err(error) => return drop(answers.blocking_send(LogAnswer::Failed { reason: error.to_string() })),
    };
    let filter = Filter {
        since_ns: query.since_ns,
        until_ns: query.until_ns,
        stream: query.stream,
        search,
        is_inverted: query.invert,
    };
    let mut telling = Telling {
        shelf,
        filter,
        merge: Merge::default(),
        apps: BTreeMap::new(),
        finished: BTreeSet::new(),
        skipped: Vec::new(),
        is_first: true,
        query,
    };
    // Whoever listened is gone: so is the reason to read on.
    let _ = telling.run(answers);
}

struct Telling<'a> {
    shelf: &'a Shelf,
    query: LogQuery,
    filter: Filter,
    merge: Merge<LogSource>,
    /// Whose logs were opened.
    apps: BTreeMap<LogSource, LogFrom>,
    /// Those whose end is known.
    finished: BTreeSet<LogSource>,
    skipped: Vec<LogSkipped>,
    is_first: bool,
}

/// Nobody listens any more.
struct Gone;

impl Telling<'_> {
    fn run(&mut self, answers: &mpsc::Sender<LogAnswer>) -> Result<(), Gone> {
        self.look();
        let (mut looked, mut told) = (Instant::now(), Instant::now());
        loop {
            let now_ns = now_ns();
            let merged = self.merge.poll(LIMITS);
            let is_more = merged.is_more;
            self.skipped.extend(merged.failed.into_iter().map(|(source, error)| LogSkipped {
                source,
                lines: None,
                reason: with_causes(&error),
            }));
            let caught_up = self.is_first && !is_more;
            let mut lines = self.lines(merged.items);
            lines.until_ns = match lines.lines.last() {
                Some(last) if is_more => last.time_ns,
                _ => now_ns.saturating_sub(WRITTEN_WITHIN_NS),
            };
            lines.caught_up = caught_up;
            if caught_up {
                self.is_first = false;
                lines.places = self.merge.cursors().into_iter().map(|(key, it)| (key, it.into())).collect();
            }
            if !lines.lines.is_empty() || !lines.skipped.is_empty() || caught_up || told.elapsed() >= LOOK_EVERY {
                told = Instant::now();
                answers.blocking_send(LogAnswer::Lines(lines)).map_err(|_| Gone)?;
            }
            if is_more {
                continue;
            }
            if !self.query.follow {
                return answers.blocking_send(LogAnswer::End).map_err(|_| Gone);
            }
            if answers.is_closed() {
                return Err(Gone);
            }
            std::thread::sleep(POLL_EVERY);
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                self.look();
            }
        }
    }

    /// Opens the logs that are asked for and not read yet, and takes note of those that have ended.
    fn look(&mut self) {
        let mut found = self.shelf.find(&self.query);
        if self.is_first {
            for source in self.shelf.without_file(&self.query) {
                let reason = "its log driver keeps no file: `docker logs` on its node may have its lines".to_owned();
                self.skipped.push(LogSkipped { source, lines: None, reason });
            }
            found.sort_by_cached_key(|it| std::cmp::Reverse(modified(it)));
            for it in found.drain(CONTAINERS_MAX.min(found.len())..) {
                let reason =
                    format!("only the {CONTAINERS_MAX} containers that wrote last are read at once: name an instance");
                self.skipped.push(LogSkipped { source: it.source, lines: None, reason });
            }
        }
        for it in found {
            if it.is_kept && self.apps.contains_key(&it.source) && self.finished.insert(it.source.clone()) {
                self.merge.finish(&it.source);
            }
            if self.apps.contains_key(&it.source) || self.apps.len() >= CONTAINERS_MAX {
                continue;
            }
            let from = LogFrom { app: it.app.clone(), source: it.source.clone() };
            self.apps.insert(it.source.clone(), from);
            match self.open(&it) {
                Ok(reader) => self.merge.add(it.source, reader),
                Err(error) => {
                    let reason = with_causes(&error);
                    self.skipped.push(LogSkipped { source: it.source, lines: None, reason });
                }
            }
        }
    }

    fn open(&mut self, it: &Found) -> Result<Reader, super::Error> {
        let mut reader = Reader::open(&it.path, self.filter.clone())?;
        if it.is_kept || !self.query.follow {
            reader.finish();
            self.finished.insert(it.source.clone());
        }
        if self.query.follow {
            reader.jump_if_behind(BEHIND_MAX);
        }
        if let Some(place) = self.query.after.get(&it.source) {
            reader.seek((*place).into())?;
        } else if let Some(tail) = self.query.tail.filter(|_| self.is_first) {
            reader.tail(tail)?;
        }
        Ok(reader)
    }

    fn lines(&mut self, items: Vec<(LogSource, Item)>) -> LogLines {
        let mut res = LogLines { skipped: std::mem::take(&mut self.skipped), ..LogLines::default() };
        let mut numbers: BTreeMap<LogSource, u32> = BTreeMap::new();
        for (source, item) in items {
            match item {
                Item::Gap(Gap { lines, .. }) => {
                    let reason = "they came faster than they were read, or are gone".to_owned();
                    res.skipped.push(LogSkipped { source, lines, reason });
                }
                Item::Line(line) => {
                    let from = *numbers.entry(source.clone()).or_insert_with(|| {
                        res.sources.extend(self.apps.get(&source).cloned());
                        res.sources.len().saturating_sub(1) as u32
                    });
                    let place = line.next.into();
                    res.lines.push(LoggedLine {
                        from,
                        time_ns: line.time_ns,
                        stream: line.stream,
                        text: line.text,
                        place,
                    });
                }
            }
        }
        res
    }
}

impl From<Cursor> for LogPlace {
    fn from(it: Cursor) -> Self {
        Self { born_ns: it.born_ns, inode: it.inode, offset: it.offset, told: it.delivered }
    }
}

impl From<LogPlace> for Cursor {
    fn from(it: LogPlace) -> Self {
        Self { born_ns: it.born_ns, inode: it.inode, offset: it.offset, delivered: it.told }
    }
}

fn modified(found: &Found) -> Option<SystemTime> {
    std::fs::metadata(&found.path).and_then(|it| it.modified()).ok()
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

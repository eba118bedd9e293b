//! The thread that owns a member and its disk, and the handle to it.
//!
//! One round: take everything that waits in the inbox, then let the member say what to send, write and answer, until
//! it has nothing more. What comes in during one sync is written by the next, so the number of commands per sync
//! grows with the load by itself.
//!
//! - `clocks`: what operators are told of clocks that are wrong.
//! - `handle`: what others see of it.
//! - `events`: what happened, kept for those who come back for it.
//! - `metrics`: what is measured.
//! - `side`: work that would hold the thread up.

mod clocks;
mod events;
mod handle;
mod metrics;
mod side;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{oneshot, watch};

pub use events::{Events, Next};
pub use handle::{Handle, Seen, SubmitError};
pub use metrics::Metrics;

use crate::log::{self, Disk, Log, Recovered, SnapshotFile, Spare, write_snapshot};
use crate::machine::{Machine, Payload, Unreadable};
use crate::member::{self, Answer, Input, Member, Now, Output, Reading, Refused, Ticket};
use crate::peers::{Inbox, News, Peers};
use clocks::Clocks;
use events::Ring;
use side::Side;

/// Inputs that may wait for the thread. Who brings more waits, or is refused.
const INBOX_MAX: usize = 16_384;
/// Inputs taken in one round; then the member's turn comes, so that a flood cannot starve it.
const ROUND_MAX: usize = 4_096;

/// How long a replica that is asked to stop may take to hand leadership over and to answer.
const STOP_MAX: Duration = Duration::from_secs(1);
/// Members tell each other their time after so many ticks: every second.
const CLOCK_TICKS: u32 = 10;
/// After a segment that could not be made, the next attempt comes so many ticks later.
const SPARE_PAUSE_TICKS: u32 = 30;

/// How a replica runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The member.
    pub member: member::Config,
    /// The log.
    pub log: log::Options,
    /// The length of a tick.
    pub tick: Duration,
    /// Events are kept for readers who come back, as many as take so many bytes together.
    pub events_bytes: usize,
}

/// Some fifty thousand events of instances, or what happened in minutes of much work: who comes back later reads anew.
const EVENTS_BYTES: usize = 32 << 20;

impl Config {
    /// Returns the settings of member `id` among `voters`.
    pub fn new(id: u64, voters: Vec<u64>) -> Self {
        let mut member = member::Config::new(id, voters);
        // The time of the start: no two starts of one member share it.
        member.incarnation = since_epoch().as_nanos() as u64;
        Self { member, log: log::Options::default(), tick: Duration::from_millis(100), events_bytes: EVENTS_BYTES }
    }
}

/// Why a replica cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// An entry or a snapshot of a newer version.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Something that cannot happen did, and the thread said so as it panicked.
    #[error("the replica's thread panicked")]
    Panicked,
}

/// Everything that can reach the thread.
enum Event<M: Machine> {
    Submit(Payload, AnswerSender<M>),
    Read(ReadSender),
    News(News),
    Transfer(u64),
    StepDown,
    Snapshotted(Option<SnapshotFile>),
    Prepared(Option<Spare>),
    Stop,
}

/// A replica that is about to start: its inbox exists, its thread does not.
pub struct Starting<M: Machine> {
    inbox: SyncSender<Event<M>>,
    events: Receiver<Event<M>>,
}

impl<M: Machine> Starting<M> {
    /// Makes the inbox, which the transport needs before the replica can use the transport.
    #[expect(clippy::new_without_default, reason = "it does something: it opens a channel")]
    pub fn new() -> Self {
        let (inbox, events) = mpsc::sync_channel(INBOX_MAX);
        Self { inbox, events }
    }

    /// Returns where the transport puts its news.
    pub fn inbox(&self) -> Inbox {
        let inbox = self.inbox.clone();
        // A replica that has stopped wants no news.
        Arc::new(move |news| drop(inbox.send(Event::News(news))))
    }

    /// Opens the log and starts the thread.
    ///
    /// `fatal` is called on that thread when the replica must not go on: a disk that failed, an entry that cannot be
    /// read, a contradiction. Nobody has been answered then who should not have been; the process should end.
    ///
    /// # Errors
    /// [`Error`]: nothing was started.
    pub fn run(
        self,
        config: Config,
        disk: Arc<dyn Disk>,
        empty: impl FnOnce() -> M,
        peers: Peers,
        metrics: Metrics,
        fatal: impl FnOnce(Error) + Send + 'static,
    ) -> Result<Handle<M>, Error> {
        let Config { member, log, tick, events_bytes } = config;
        let (log, recovered) = Log::open(Arc::clone(&disk), log)?;
        let Recovered { snapshot, entries, .. } = &recovered;
        let through = snapshot.as_ref().map_or(0, |it| it.mark.index);
        tracing::info!(
            member = member.id,
            snapshot = through,
            entries = entries.len(),
            term = recovered.hard_state.term,
            "log opened"
        );
        let started = Instant::now();
        let member = Member::new(member, recovered, empty, read_clocks(started))?;
        let ring = Ring::new(events_bytes, M::weight, through);
        let (seen, receiver) = watch::channel(Seen {
            status: member.status(),
            applied: through,
            view: member.machine().view(),
            moment: member.moment(read_clocks(started)),
            moment_at: Instant::now(),
        });
        let handle = Handle { inbox: self.inbox.clone(), seen: receiver, events: ring.source() };
        let replica = Replica {
            side: Side::start(Arc::clone(&disk), &self.inbox),
            member,
            log,
            disk,
            peers,
            metrics,
            seen,
            ring,
            answers: HashMap::new(),
            readers: HashMap::new(),
            next_ticket: 0,
            spare: SpareState::Fine,
            stopping: None,
            tick,
            started,
            clocks: Clocks::default(),
            n_ticks: 0,
        };
        thread::Builder::new()
            .name("replica".to_owned())
            .spawn(move || {
                // Nothing of it is used after a panic: it is dropped, and the process ends.
                let run = AssertUnwindSafe(|| replica.run(&self.events));
                let res = panic::catch_unwind(run).unwrap_or(Err(Error::Panicked));
                if let Err(error) = res {
                    fatal(error);
                }
            })
            .expect("the system lets us have threads");
        Ok(handle)
    }
}

struct Replica<M: Machine> {
    member: Member<M>,
    log: Log,
    disk: Arc<dyn Disk>,
    side: Side<M>,
    peers: Peers,
    metrics: Metrics,
    ring: Ring<M::Event>,
    answers: HashMap<Ticket, (Instant, AnswerSender<M>)>,
    readers: HashMap<Ticket, ReadSender>,
    next_ticket: u64,
    spare: SpareState,
    /// Set when it shall end: until when it may take.
    stopping: Option<Instant>,
    tick: Duration,
    /// What the steady clock counts from.
    started: Instant,
    clocks: Clocks,
    n_ticks: u32,
    seen: watch::Sender<Seen<M::View>>,
}

type AnswerSender<M> = oneshot::Sender<Result<Answer<<M as Machine>::Reply>, Refused>>;
type ReadSender = oneshot::Sender<Result<(), Refused>>;

/// What is known of the log's next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpareState {
    /// It is there, or not yet needed.
    Fine,
    Asked,
    /// There was no room for it. Until there is, commands are refused: what is left of this segment is for raft.
    NoRoom {
        again_at: Instant,
    },
}

impl<M: Machine> Replica<M> {
    fn run(mut self, events: &Receiver<Event<M>>) -> Result<(), Error> {
        let mut next_tick = Instant::now() + self.tick;
        loop {
            self.perform()?;
            if self.has_finished() {
                return Ok(());
            }
            let wait = next_tick.saturating_duration_since(Instant::now());
            match events.recv_timeout(wait) {
                Ok(event) => {
                    let waiting = std::iter::once(event).chain(events.try_iter());
                    waiting.take(ROUND_MAX).for_each(|it| self.take(it));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if Instant::now() >= next_tick {
                self.handle(Input::Tick);
                self.look_at_clocks();
                // One tick for a pause of any length: a member that was asleep has heard nobody meanwhile, and
                // must listen before it stands for election.
                next_tick = Instant::now() + self.tick;
            }
        }
    }

    fn has_finished(&self) -> bool {
        let idle = self.answers.is_empty() && self.readers.is_empty() && !self.member.can_step_down();
        self.stopping.is_some_and(|until| idle || until <= Instant::now())
    }

    fn take(&mut self, event: Event<M>) {
        match event {
            // Their senders are dropped, which says it.
            Event::Submit(..) | Event::Read(_) if self.stopping.is_some() => {}
            Event::Submit(_, answer) if matches!(self.spare, SpareState::NoRoom { .. }) => {
                let _ = answer.send(Err(Refused::DiskFull));
            }
            Event::Submit(payload, answer) => {
                let ticket = self.ticket();
                self.answers.insert(ticket, (Instant::now(), answer));
                self.handle(Input::Submit(ticket, payload));
            }
            Event::Read(answer) => {
                let ticket = self.ticket();
                self.readers.insert(ticket, answer);
                self.handle(Input::Read(ticket));
            }
            Event::News(News::Messages(messages)) => {
                for message in messages {
                    self.handle(Input::Peer(message));
                }
            }
            Event::News(News::Clock(peer, reading, came)) => {
                let wall_ms = reading.wall_ms.saturating_add(came.elapsed().as_millis() as u64);
                self.handle(Input::Clock(peer, Reading { wall_ms, ..reading }));
            }
            Event::News(News::Unreachable(peer)) => self.handle(Input::Unreachable(peer)),
            Event::News(News::Closed(peer)) => self.handle(Input::Closed(peer)),
            Event::News(News::SnapshotSent(peer, arrived)) => {
                self.handle(Input::SnapshotSent(peer, arrived));
            }
            Event::Transfer(to) => self.handle(Input::Transfer(to)),
            Event::StepDown => self.handle(Input::StepDown),
            Event::Snapshotted(file) => self.handle(Input::Snapshotted(file)),
            Event::Prepared(Some(spare)) => {
                self.spare = SpareState::Fine;
                self.log.prepared(spare);
            }
            Event::Prepared(None) => {
                let again_at = Instant::now() + SPARE_PAUSE_TICKS * self.tick;
                self.spare = SpareState::NoRoom { again_at };
            }
            Event::Stop => {
                self.stopping.get_or_insert(Instant::now() + STOP_MAX);
                self.handle(Input::StepDown);
            }
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn handle(&mut self, input: Input) {
        self.member.handle(input, read_clocks(self.started));
    }

    fn look_at_clocks(&mut self) {
        let ahead_ms = self.member.clock_ahead_ms();
        for notice in self.clocks.look(read_clocks(self.started), ahead_ms) {
            notice.log();
        }
        self.n_ticks = self.n_ticks.wrapping_add(1);
        if self.n_ticks.is_multiple_of(CLOCK_TICKS) {
            self.metrics.clock(ahead_ms);
            self.peers.tell(self.member.reading().moment);
        }
    }

    /// Does what the member says, until it has nothing more to say.
    fn perform(&mut self) -> Result<(), Error> {
        loop {
            let ready = self.member.ready();
            let idle = ready.is_none();
            if let Some(ready) = ready {
                self.peers.send(ready.send);
                if let Some(file) = ready.install {
                    tracing::info!(index = file.mark.index, bytes = file.data.len(), "installing a snapshot");
                    let next_frame = self.log.next_number();
                    write_snapshot(&*self.disk, &SnapshotFile { next_frame, ..file })?;
                }
                if !ready.frame.is_empty() {
                    let began = Instant::now();
                    self.log.append(&ready.frame)?;
                    self.metrics.wrote(ready.frame.entries.len(), began.elapsed());
                }
                let promises = self.member.persisted(ready.number);
                self.peers.send(promises);
            }
            let began = Instant::now();
            let output = self.member.apply()?;
            if output.n_applied > 0 {
                self.metrics.applied(output.n_applied, began.elapsed());
            }
            self.tell(output)?;
            if idle {
                break;
            }
        }
        let ask = match self.spare {
            SpareState::Fine => true,
            SpareState::Asked => false,
            SpareState::NoRoom { again_at } => again_at <= Instant::now(),
        };
        if ask && let Some(preparation) = self.log.wants_spare() {
            if self.spare == SpareState::Fine {
                self.spare = SpareState::Asked;
            } else {
                let again_at = Instant::now() + SPARE_PAUSE_TICKS * self.tick;
                self.spare = SpareState::NoRoom { again_at };
            }
            self.side.prepare(preparation);
        }
        Ok(())
    }

    /// Tells everybody what there is to tell: first those who watch, so that who is answered finds the state that
    /// his answer is about.
    fn tell(&mut self, output: Output<M>) -> Result<(), Error> {
        let applied = self.member.applied().index;
        if output.view.is_some() || output.status.is_some() {
            let moment = self.member.moment(read_clocks(self.started));
            let moment_at = Instant::now();
            if let Some(status) = output.status {
                tracing::info!(leader = ?status.leader, term = status.term, leading = status.leading, "leadership");
                self.metrics.status(status);
            }
            self.metrics.position(applied);
            self.seen.send_modify(|seen| {
                seen.applied = applied;
                (seen.moment, seen.moment_at) = (moment, moment_at);
                seen.status = output.status.unwrap_or(seen.status);
                if let Some(view) = output.view {
                    seen.view = view;
                }
            });
        }
        // Behind the state: who learns of an event from a leader finds the state that has it.
        self.ring.push(output.replaced, output.events, applied);
        for (ticket, answer) in output.answers {
            if let Some((asked, sender)) = self.answers.remove(&ticket) {
                self.metrics.answered(answer.is_ok(), asked.elapsed());
                // Who asked may have gone.
                let _ = sender.send(answer);
            }
        }
        for (ticket, res) in output.reads {
            if let Some(sender) = self.readers.remove(&ticket) {
                let _ = sender.send(res);
            }
        }
        if let Some(index) = output.compact {
            self.log.compact(index)?;
        }
        if let Some(chore) = output.chore {
            self.side.snapshot(chore, self.log.next_number());
        }
        Ok(())
    }
}

fn read_clocks(started: Instant) -> Now {
    Now { steady_ms: started.elapsed().as_millis() as u64, wall_ms: since_epoch().as_millis() as u64 }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

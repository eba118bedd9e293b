//! The sending side: one thread per peer, which dials, sends, and dials again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use api::link::Greeting;
use bytes::Bytes;
use cluster::Moment;
use raft::eraftpb::Message;

use super::wire::{self, PART_BYTES};
use super::{Hello, Inbox, News};
use crate::member::Reading;

/// Messages that may wait for one peer. Beyond it they are dropped, and the member is told.
const QUEUED_MAX: usize = 4096;
/// One write has about this many bytes at most.
const WRITE_BYTES: usize = 1 << 20;
/// A peer that does not answer, or takes nothing, for so long is given up until the next attempt.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between two attempts to dial grows from the first to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What a member gives to be sent.
enum Letter {
    Messages(Vec<Message>),
    /// The cluster's own time; the wall clock is read when it is written.
    Moment(Moment),
}

/// The way to one peer. Dropping it ends its thread.
pub(super) struct Queue {
    peer: u64,
    letters: mpsc::Sender<Letter>,
    n_queued: Arc<AtomicUsize>,
    inbox: Inbox,
}

impl Queue {
    /// Starts the thread.
    pub(super) fn open(hello: Hello, address: String, inbox: Inbox) -> Self {
        let (letters, queue) = mpsc::channel();
        let peer = hello.to;
        let n_queued = Arc::new(AtomicUsize::new(0));
        let line = Line { hello, address, queue, n_queued: Arc::clone(&n_queued), inbox: Arc::clone(&inbox) };
        thread::Builder::new()
            .name(format!("peer-{peer}"))
            .spawn(move || line.run())
            .expect("the system lets us have threads");
        Self { peer, letters, n_queued, inbox }
    }

    pub(super) fn send(&mut self, messages: Vec<Message>) {
        let n = messages.len();
        let n_queued = self.n_queued.fetch_add(n, Ordering::Relaxed);
        if n_queued > QUEUED_MAX || self.letters.send(Letter::Messages(messages)).is_err() {
            self.n_queued.fetch_sub(n, Ordering::Relaxed);
            // From another thread: this one is the member's, and must not wait for itself.
            let (inbox, peer) = (Arc::clone(&self.inbox), self.peer);
            thread::spawn(move || inbox(News::Unreachable(peer)));
        }
    }

    pub(super) fn tell(&self, moment: Moment) {
        // It is told again soon.
        let _ = self.letters.send(Letter::Moment(moment));
    }
}

struct Line {
    hello: Hello,
    address: String,
    queue: Receiver<Letter>,
    n_queued: Arc<AtomicUsize>,
    inbox: Inbox,
}

/// The member this line belonged to is gone.
struct Gone;

impl Line {
    fn run(self) {
        let mut pause = PAUSE.0;
        let mut failed_before = false;
        loop {
            let dialled = self.dial();
            let since = Instant::now();
            let error = match dialled {
                Ok(stream) => {
                    tracing::debug!(peer = self.hello.to, address = self.address, "connected");
                    failed_before = false;
                    match self.pump(stream) {
                        Ok(Gone) => return,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if since.elapsed() > PAUSE.1 {
                pause = PAUSE.0;
            }
            if !std::mem::replace(&mut failed_before, true) {
                let peer = self.hello.to;
                tracing::warn!(peer, address = self.address, %error, "cannot reach another member");
            }
            (self.inbox)(News::Unreachable(self.hello.to));
            if self.discard(pause).is_err() {
                return;
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn dial(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the address has no host");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, TIMEOUT) {
                Ok(mut stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(TIMEOUT))?;
                    let greeting = api::link::encode(&Greeting::Peer(&self.hello)).map_err(io::Error::other)?;
                    let mut bytes = Vec::new();
                    wire::put_greeting(&mut bytes, &greeting);
                    stream.write_all(&bytes)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends until the connection breaks or the member goes.
    fn pump(&self, mut stream: TcpStream) -> io::Result<Gone> {
        let mut snapshot: Option<Bytes> = None;
        let mut backlog = Backlog::default();
        let mut bytes = Vec::new();
        loop {
            let wait = snapshot.is_none() && backlog.messages.is_empty();
            let Ok(gone) = self.gather(&mut backlog, wait) else {
                return Ok(Gone);
            };
            bytes.clear();
            if let Some(moment) = backlog.moment.take() {
                let wall_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
                wire::put_clock(&mut bytes, Reading { wall_ms: wall_ms as u64, moment });
            }
            if !backlog.messages.is_empty() {
                wire::put_messages(&mut bytes, &mut backlog.messages);
            }
            if let Some(message) = backlog.snapshot.take() {
                snapshot = Some(wire::put_snapshot(&mut bytes, message));
            }
            if let Some(data) = &mut snapshot {
                wire::put_part(&mut bytes, &data.split_to(data.len().min(PART_BYTES)));
            }
            let written = stream.write_all(&bytes);
            if written.is_err() && snapshot.is_some() {
                (self.inbox)(News::SnapshotSent(self.hello.to, false));
            }
            written?;
            if snapshot.take_if(|it| it.is_empty()).is_some() {
                (self.inbox)(News::SnapshotSent(self.hello.to, true));
            }
            if gone && backlog.messages.is_empty() && snapshot.is_none() {
                return Ok(Gone);
            }
        }
    }

    /// Takes from the queue until there is enough for a write; returns whether the member is gone. With `wait` it takes
    /// at least one letter.
    fn gather(&self, backlog: &mut Backlog, wait: bool) -> Result<bool, Gone> {
        if wait {
            self.keep(backlog, self.queue.recv().map_err(|_| Gone)?);
        }
        while backlog.bytes() < WRITE_BYTES {
            match self.queue.try_recv() {
                Ok(letter) => self.keep(backlog, letter),
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => return Ok(true),
            }
        }
        Ok(false)
    }

    fn keep(&self, backlog: &mut Backlog, letter: Letter) {
        match letter {
            Letter::Moment(moment) => backlog.moment = Some(moment),
            Letter::Messages(messages) => {
                self.n_queued.fetch_sub(messages.len(), Ordering::Relaxed);
                for message in messages {
                    if !wire::is_taken(&message) {
                        // It would end the connection, and be sent again on the next one.
                        let (to, kind) = (message.to, message.get_msg_type());
                        tracing::error!(to, ?kind, "a message is longer than another member takes, and is not sent");
                    } else if wire::is_large(&message) {
                        backlog.snapshot = Some(message);
                    } else {
                        backlog.messages.push_back(message);
                    }
                }
            }
        }
    }

    /// Drops what comes for a while: it will be outdated when the peer is back.
    fn discard(&self, pause: Duration) -> Result<(), Gone> {
        let until = Instant::now() + pause;
        loop {
            match self.queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Letter::Moment(_)) => {}
                Ok(Letter::Messages(messages)) => {
                    self.n_queued.fetch_sub(messages.len(), Ordering::Relaxed);
                    if messages.iter().any(|it| it.get_snapshot().get_metadata().index > 0) {
                        (self.inbox)(News::SnapshotSent(self.hello.to, false));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(Gone),
            }
        }
    }
}

/// What was taken from the queue and is not written yet.
#[derive(Default)]
struct Backlog {
    messages: VecDeque<Message>,
    /// The last one asked for: it replaces one that is under way.
    snapshot: Option<Message>,
    moment: Option<Moment>,
}

impl Backlog {
    /// About how many bytes the messages have; more than a write's are not told apart.
    fn bytes(&self) -> usize {
        let mut bytes = 0;
        for message in &self.messages {
            bytes += 64 + message.get_entries().iter().map(|it| it.data.len() + 64).sum::<usize>();
            if bytes >= WRITE_BYTES {
                break;
            }
        }
        bytes
    }
}

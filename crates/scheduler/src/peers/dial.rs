//! The sending side: one thread per peer, which dials, and dials again.
//!
//! While nothing waits, whoever has something to send writes it into the socket himself, as far as that takes it at
//! once: to wake a thread for it is most of what a short message costs. The rest, and all that comes before it is
//! written, is the thread's to send.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// What the thread is given to send, and with it the connection, if the thread has not got it.
struct Letter {
    stream: Option<TcpStream>,
    content: Content,
}

/// What a member gives to be sent.
enum Content {
    Messages(Vec<Message>),
    /// The cluster's own time; the wall clock is read when it is written.
    Moment(Moment),
    /// The end of what the member has begun to write.
    Rest(Vec<u8>),
}

/// The connection, while it is there and nothing waits to be sent: no letter is under way then.
type Slot = Arc<Mutex<Option<TcpStream>>>;

/// The way to one peer. Dropping it ends its thread.
pub(super) struct Queue {
    peer: u64,
    letters: mpsc::Sender<Letter>,
    n_queued: Arc<AtomicUsize>,
    slot: Slot,
    inbox: Inbox,
}

impl Queue {
    /// Starts the thread.
    pub(super) fn open(hello: Hello, address: String, inbox: Inbox) -> Self {
        let (letters, queue) = mpsc::channel();
        let peer = hello.to;
        let n_queued = Arc::new(AtomicUsize::new(0));
        let slot = Slot::default();
        let line = Line {
            hello,
            address,
            queue,
            n_queued: Arc::clone(&n_queued),
            slot: Arc::clone(&slot),
            inbox: Arc::clone(&inbox),
        };
        thread::Builder::new()
            .name(format!("peer-{peer}"))
            .spawn(move || line.run())
            .expect("the system lets us have threads");
        Self { peer, letters, n_queued, slot, inbox }
    }

    pub(super) fn send(&self, messages: Vec<Message>) {
        if !self.post(Content::Messages(messages)) {
            // From another thread: this one is the member's, and must not wait for itself.
            let (inbox, peer) = (Arc::clone(&self.inbox), self.peer);
            thread::spawn(move || inbox(News::Unreachable(peer)));
        }
    }

    pub(super) fn tell(&self, moment: Moment) {
        // It is told again soon.
        self.post(Content::Moment(moment));
    }

    /// Writes it, or gives it to the thread; returns false if too much waits there already.
    fn post(&self, content: Content) -> bool {
        // Held to the end: the thread puts the connection there only while no letter is under way.
        let mut slot = lock(&self.slot);
        let left = match &*slot {
            Some(stream) => write_at_once(stream, content),
            None => Some(content),
        };
        let Some(content) = left else { return true };
        let n = content.n_messages();
        let n_queued = self.n_queued.fetch_add(n, Ordering::Relaxed);
        if n_queued > QUEUED_MAX || self.letters.send(Letter { stream: slot.take(), content }).is_err() {
            self.n_queued.fetch_sub(n, Ordering::Relaxed);
            return false;
        }
        true
    }
}

impl Content {
    fn n_messages(&self) -> usize {
        if let Self::Messages(messages) = self { messages.len() } else { 0 }
    }
}

/// Writes what the socket takes without waiting; returns what is left.
fn write_at_once(mut stream: &TcpStream, content: Content) -> Option<Content> {
    let mut bytes = Vec::new();
    match content {
        Content::Messages(messages) => {
            if messages.iter().any(|it| wire::is_large(it) || !wire::is_taken(it)) {
                return Some(Content::Messages(messages));
            }
            let mut messages = messages.into();
            while !VecDeque::is_empty(&messages) {
                wire::put_messages(&mut bytes, &mut messages);
            }
        }
        Content::Moment(moment) => put_clock(&mut bytes, moment),
        Content::Rest(rest) => bytes = rest,
    }
    // Where this fails, the thread will find out too.
    let n_written = stream.write(&bytes).unwrap_or_default();
    bytes.drain(..n_written);
    (!bytes.is_empty()).then_some(Content::Rest(bytes))
}

fn put_clock(bytes: &mut Vec<u8>, moment: Moment) {
    let wall_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    wire::put_clock(bytes, Reading { wall_ms: wall_ms as u64, moment });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Line {
    hello: Hello,
    address: String,
    queue: Receiver<Letter>,
    n_queued: Arc<AtomicUsize>,
    slot: Slot,
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
            if snapshot.is_none() && backlog.is_empty() {
                let Some(letter) = self.wait(stream) else { return Ok(Gone) };
                let (back, content) = letter?;
                stream = back;
                self.keep(&mut backlog, content);
            }
            let gone = self.gather(&mut backlog);
            bytes.clear();
            bytes.append(&mut backlog.rest);
            if let Some(moment) = backlog.moment.take() {
                put_clock(&mut bytes, moment);
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
            if gone && backlog.is_empty() && snapshot.is_none() {
                return Ok(Gone);
            }
        }
    }

    /// Waits for a letter; leaves the connection to the member meanwhile, who must not be held up by it. `None`: the
    /// member is gone.
    fn wait(&self, stream: TcpStream) -> Option<io::Result<(TcpStream, Content)>> {
        let mut slot = lock(&self.slot);
        match self.queue.try_recv() {
            Ok(letter) => return Some(Ok((stream, letter.content))),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        if let Err(error) = stream.set_nonblocking(true) {
            return Some(Err(error));
        }
        *slot = Some(stream);
        drop(slot);
        let Letter { stream, content } = self.queue.recv().ok()?;
        let stream = stream.expect("the first letter brings the connection that was left");
        Some(stream.set_nonblocking(false).map(|()| (stream, content)))
    }

    /// Takes from the queue until there is enough for a write; returns whether the member is gone.
    fn gather(&self, backlog: &mut Backlog) -> bool {
        while backlog.bytes() < WRITE_BYTES {
            match self.queue.try_recv() {
                Ok(letter) => self.keep(backlog, letter.content),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
        false
    }

    fn keep(&self, backlog: &mut Backlog, content: Content) {
        match content {
            Content::Rest(bytes) => backlog.rest = bytes,
            Content::Moment(moment) => backlog.moment = Some(moment),
            Content::Messages(messages) => {
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
                Ok(Letter { content: Content::Moment(_) | Content::Rest(_), .. }) => {}
                Ok(Letter { content: Content::Messages(messages), .. }) => {
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
    /// The end of what was begun: before all else.
    rest: Vec<u8>,
    messages: VecDeque<Message>,
    /// The last one asked for: it replaces one that is under way.
    snapshot: Option<Message>,
    moment: Option<Moment>,
}

impl Backlog {
    fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.messages.is_empty() && self.moment.is_none() && self.snapshot.is_none()
    }

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

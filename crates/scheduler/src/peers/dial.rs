//! The sending side: one thread per peer, which dials, sends, and dials again.

use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use api::link::Greeting;
use bytes::Bytes;
use raft::eraftpb::Message;

use super::wire::{self, PART_BYTES};
use super::{Hello, Inbox, News};

/// Messages that may wait for one peer. Beyond it they are dropped, and the member is told.
const QUEUED_MAX: usize = 4096;
/// One write has about this many bytes at most.
const WRITE_BYTES: usize = 1 << 20;
/// A peer that does not answer, or takes nothing, for so long is given up until the next attempt.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between two attempts to dial grows from the first to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The way to one peer. Dropping it ends its thread.
pub(super) struct Queue {
    peer: u64,
    messages: mpsc::Sender<Vec<Message>>,
    n_queued: Arc<AtomicUsize>,
    inbox: Inbox,
}

impl Queue {
    /// Starts the thread.
    pub(super) fn open(hello: Hello, address: String, inbox: Inbox) -> Self {
        let (messages, queue) = mpsc::channel();
        let peer = hello.to;
        let n_queued = Arc::new(AtomicUsize::new(0));
        let line = Line { hello, address, queue, n_queued: Arc::clone(&n_queued), inbox: Arc::clone(&inbox) };
        thread::Builder::new()
            .name(format!("peer-{peer}"))
            .spawn(move || line.run())
            .expect("the system lets us have threads");
        Self { peer, messages, n_queued, inbox }
    }

    pub(super) fn send(&mut self, messages: Vec<Message>) {
        let n = messages.len();
        let n_queued = self.n_queued.fetch_add(n, Ordering::Relaxed);
        if n_queued > QUEUED_MAX || self.messages.send(messages).is_err() {
            self.n_queued.fetch_sub(n, Ordering::Relaxed);
            // From another thread: this one is the member's, and must not wait for itself.
            let (inbox, peer) = (Arc::clone(&self.inbox), self.peer);
            thread::spawn(move || inbox(News::Unreachable(peer)));
        }
    }
}

struct Line {
    hello: Hello,
    address: String,
    queue: Receiver<Vec<Message>>,
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
        let mut bytes = Vec::new();
        loop {
            let Ok((messages, gone)) = self.next(snapshot.is_none()) else {
                return Ok(Gone);
            };
            bytes.clear();
            let (large, small): (Vec<_>, Vec<_>) = messages.into_iter().partition(wire::is_large);
            if !small.is_empty() {
                wire::put_messages(&mut bytes, &small);
            }
            if let Some(message) = large.into_iter().last() {
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
            if gone {
                return Ok(Gone);
            }
        }
    }

    /// Returns what is queued, about [`WRITE_BYTES`] at most, and whether the member is gone. With `wait` it is at
    /// least one message.
    fn next(&self, wait: bool) -> Result<(Vec<Message>, bool), Gone> {
        let mut messages = Vec::new();
        if wait {
            messages = self.queue.recv().map_err(|_| Gone)?;
            self.n_queued.fetch_sub(messages.len(), Ordering::Relaxed);
        }
        let mut size = weight(&messages);
        while size < WRITE_BYTES {
            match self.queue.try_recv() {
                Ok(more) => {
                    self.n_queued.fetch_sub(more.len(), Ordering::Relaxed);
                    size += weight(&more);
                    messages.extend(more);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok((messages, true)),
            }
        }
        Ok((messages, false))
    }

    /// Drops what comes for a while: it will be outdated when the peer is back.
    fn discard(&self, pause: Duration) -> Result<(), Gone> {
        let until = Instant::now() + pause;
        loop {
            match self.queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(messages) => {
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

fn weight(messages: &[Message]) -> usize {
    let entries = messages.iter().flat_map(Message::get_entries);
    messages.len() * 64 + entries.map(|it| it.data.len() + 64).sum::<usize>()
}

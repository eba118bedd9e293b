//! The receiving side of the port that members and agents share.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use api::link::Greeting;
use tokio::io::AsyncReadExt;

use super::door::Door;
use super::wire::{self, Assembly, Came};
use super::{Config, Hello, Inbox, News, PROTOCOL};

/// Who dials has so long to say who it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// A greeting is a few dozen bytes.
const GREETING_BYTES_MAX: usize = 4096;
/// A member tells its time every second. One that says nothing for so long, be it within a frame, is not there.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// So many may be about to say it: as many as dial in one instant when a leader is replaced.
const UNGREETED_MAX: usize = 1024;

/// Takes connections and sorts them.
///
/// Cheap to clone; all clones share the same connections.
#[derive(Clone)]
pub struct Listener {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    config: Config,
    inbox: Inbox,
    door: Door,
    /// By peer, so that a new connection ends the old one, and all end with the member. The number tells an old
    /// connection that there is a new one.
    open: Mutex<BTreeMap<u64, (u64, TcpStream)>>,
    n_accepted: AtomicU64,
    n_refused: AtomicU64,
    last_refused: Mutex<Option<Refusal>>,
}

/// What became of a connection.
#[derive(Debug)]
pub enum Accepted {
    /// Another member's; its messages go to the inbox from now on.
    Peer(u64),
    /// An agent's, who spoke this version of the agents' protocol. To be served by the caller.
    Agent {
        /// The agent's [`cluster::agent::PROTOCOL`].
        protocol: u32,
        /// The connection, behind the greeting.
        stream: tokio::net::TcpStream,
    },
    /// An agent's, for the answer to one question. To be given to who asked.
    Stream {
        /// Which question.
        ticket: u64,
        /// Another member may have asked.
        relay: bool,
        /// The connection, behind the greeting.
        stream: tokio::net::TcpStream,
    },
}

/// Why a connection was closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No greeting that could be understood, or none in time.
    #[error("it did not say who it is")]
    NoGreeting,
    /// A member of another version.
    #[error("it speaks protocol {theirs}, this member {PROTOCOL}")]
    Protocol {
        /// Theirs.
        theirs: u32,
    },
    /// A member of another cluster.
    #[error("it belongs to cluster {theirs:?}")]
    Cluster {
        /// The name of theirs.
        theirs: String,
    },
    /// It meant another member: the addresses in its configuration are mixed up.
    #[error("member {from} looked for member {to} here")]
    Elsewhere {
        /// Who dialled.
        from: u64,
        /// Whom it meant.
        to: u64,
    },
    /// A member that this one's configuration does not know.
    #[error("member {from} is not in the configuration")]
    Unknown {
        /// Who dialled.
        from: u64,
    },
}

impl Listener {
    /// Returns a listener that gives the messages of other members to `inbox`.
    pub fn new(config: Config, inbox: Inbox) -> Self {
        Self {
            inner: Arc::new(Inner {
                config,
                inbox,
                door: Door::new(UNGREETED_MAX),
                open: Mutex::default(),
                n_accepted: AtomicU64::new(0),
                n_refused: AtomicU64::new(0),
                last_refused: Mutex::default(),
            }),
        }
    }

    /// Finds out who dialled.
    ///
    /// # Errors
    /// [`Refusal`]: the connection is closed. The same one twice in a row is logged once.
    pub async fn accept(&self, mut stream: tokio::net::TcpStream) -> Result<Accepted, Refusal> {
        let from = stream.peer_addr().ok();
        let visitor = self.inner.door.enter();
        let greeting = tokio::time::timeout(GREETING_TIMEOUT, greeting(&mut stream));
        let greeting = visitor.unless_sent_away(greeting).await;
        drop(visitor);
        let accepted = match greeting {
            Some(Ok(Some(Greeting::Agent { protocol }))) => return Ok(Accepted::Agent { protocol, stream }),
            Some(Ok(Some(Greeting::Stream { ticket, relay }))) => {
                return Ok(Accepted::Stream { ticket, relay, stream });
            }
            Some(Ok(Some(Greeting::Peer(hello)))) => self.inner.check(hello),
            Some(Ok(None) | Err(_)) | None => Err(Refusal::NoGreeting),
        };
        let accepted = accepted.and_then(|peer| {
            let stream = stream.into_std().map_err(|_| Refusal::NoGreeting)?;
            self.receive(peer, stream).map_err(|_| Refusal::NoGreeting)?;
            Ok(Accepted::Peer(peer))
        });
        if let Err(refusal) = &accepted {
            self.inner.n_refused.fetch_add(1, Ordering::Relaxed);
            let mut last = lock(&self.inner.last_refused);
            if last.as_ref() != Some(refusal) {
                tracing::warn!(?from, %refusal, "refused a connection");
                *last = Some(refusal.clone());
            }
        }
        accepted
    }

    /// Returns how many connections were refused.
    pub fn n_refused(&self) -> u64 {
        self.inner.n_refused.load(Ordering::Relaxed)
    }

    /// Ends all connections of other members.
    pub fn close(&self) {
        for (_, (_, stream)) in std::mem::take(&mut *lock(&self.inner.open)) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    fn receive(&self, peer: u64, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_nodelay(true)?;
        let number = self.inner.n_accepted.fetch_add(1, Ordering::Relaxed);
        let old = lock(&self.inner.open).insert(peer, (number, stream.try_clone()?));
        if let Some((_, old)) = old {
            let _ = old.shutdown(std::net::Shutdown::Both);
        }
        let inner = Arc::clone(&self.inner);
        thread::Builder::new().name(format!("from-peer-{peer}")).spawn(move || {
            let ended = inner.read(peer, stream);
            tracing::debug!(peer, ?ended, "a member's connection ended");
            let mut open = lock(&inner.open);
            if open.get(&peer).is_some_and(|it| it.0 == number) {
                open.remove(&peer);
                drop(open);
                (inner.inbox)(News::Closed(peer));
            }
        })?;
        Ok(())
    }
}

impl Inner {
    pub(super) fn check(&self, hello: Hello) -> Result<u64, Refusal> {
        if hello.protocol != PROTOCOL {
            return Err(Refusal::Protocol { theirs: hello.protocol });
        }
        if hello.cluster != self.config.cluster {
            return Err(Refusal::Cluster { theirs: hello.cluster });
        }
        if hello.to != self.config.id {
            return Err(Refusal::Elsewhere { from: hello.from, to: hello.to });
        }
        if !self.config.addresses.contains_key(&hello.from) {
            return Err(Refusal::Unknown { from: hello.from });
        }
        Ok(hello.from)
    }

    /// Reads until the connection ends.
    fn read(&self, peer: u64, stream: TcpStream) -> io::Result<()> {
        let mut from = BufReader::with_capacity(64 << 10, stream);
        let mut assembly = Assembly::default();
        loop {
            match assembly.take(&wire::read_frame(&mut from)?)? {
                Came::Clock(reading) => (self.inbox)(News::Clock(peer, reading, Instant::now())),
                Came::Messages(mut messages) => {
                    // A member speaks for itself only.
                    messages.retain(|it| it.from == peer && it.to == self.config.id);
                    if !messages.is_empty() {
                        (self.inbox)(News::Messages(messages));
                    }
                }
            }
        }
    }
}

/// Reads the first frame and not a byte more.
async fn greeting(stream: &mut tokio::net::TcpStream) -> Option<Greeting<Hello>> {
    let length = stream.read_u32().await.ok()? as usize;
    if length > GREETING_BYTES_MAX {
        return None;
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await.ok()?;
    api::link::decode(&frame).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

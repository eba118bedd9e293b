//! The scheduler's half of the link to agents: the shell around [`Sessions`].
//!
//! One task per connection hands what comes to the machine and sends what the machine has for it, beside each other:
//! a sign of life never waits behind a commit, nor behind an agent that does not read. A member that does not lead
//! passes an agent that cannot reach the leader on to it.

use crate::member::Refused;
use crate::replica::{Handle, SubmitError};
use crate::sessions::{Answer, Config, Effect, Letter, LinkId, Sent, Sessions};
use crate::state_machine::payload;
use api::link::{
    Budget, Error, Frame, Greeting, Link, MAX_FRAME_BYTES, Receiver, SMALL_FRAME_BYTES, Sender, decode, encode,
};
use cluster::agent::{FromAgent, Question, ToAgent};
use cluster::{NodeId, Rejected, State, Timestamp};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

/// A frame that an agent does not take in this time ends its connection. Longer than the machine waits for an agent to
/// take its orders, which knows the node and says so.
const SEND_WITHIN: Duration = Duration::from_secs(15);

/// An agent that is asked a question opens its connection in this time, or is not there.
const OPENED_WITHIN: Duration = Duration::from_secs(3);

/// The leader must take the connection of an agent that is passed on in this time: the agent is waiting.
const RELAY_WITHIN: Duration = Duration::from_secs(1);

/// Over a passed-on session nothing came from the agent for so long: it is dead, whatever TCP says.
const RELAY_SILENT_FOR: Duration = Duration::from_mins(1);

/// Who was not taken in yet sends no longer frame than this. A usual introduction has some hundred bytes, and one that
/// [`objection`](cluster::NodeDescription::objection) has nothing against always fits.
const HELLO_BYTES_MAX: usize = SMALL_FRAME_BYTES;

/// Frames of all agents that are being read at once have so many bytes: four of the longest. More wait.
const READING_BYTES_MAX: usize = 4 * MAX_FRAME_BYTES;

type Stream = TcpStream;

/// The sessions of one member, and who waits for them. A clone is a handle to the same ones.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    /// Who waits for an agent's connection, by the ticket that it was told.
    asking: Mutex<BTreeMap<u64, oneshot::Sender<Stream>>>,
    replica: Handle<State>,
    /// Where members are reached by agents, by id.
    members: BTreeMap<u64, String>,
    started: Instant,
    desk: Mutex<Desk>,
    /// What all connections may be reading at once.
    reading: Budget,
}

struct Desk {
    sessions: Sessions,
    /// By connection, to be told that there is something to send.
    waiting: BTreeMap<LinkId, Arc<Notify>>,
    next_link: LinkId,
}

impl Hub {
    /// A member's, without any connection. What agents say goes into this replica's log.
    pub fn new(replica: Handle<State>, config: Config) -> Self {
        let members = config.members.clone();
        let desk = Mutex::new(Desk { sessions: Sessions::new(config), waiting: BTreeMap::new(), next_link: 0 });
        let reading = Budget::new(READING_BYTES_MAX);
        Self {
            inner: Arc::new(Inner {
                asking: Mutex::default(),
                replica,
                members,
                started: Instant::now(),
                desk,
                reading,
            }),
        }
    }

    /// Where agents find a member.
    pub fn link_of(&self, id: u64) -> Option<&str> {
        self.inner.members.get(&id).map(String::as_str)
    }

    /// Milliseconds of a clock that never jumps.
    pub fn clock(&self) -> Timestamp {
        Timestamp(self.inner.started.elapsed().as_millis() as u64)
    }

    /// Lets the sessions' machine do something, and performs what comes of it.
    pub fn sessions<R>(&self, act: impl FnOnce(&mut Sessions) -> R) -> R {
        let mut asked = Vec::new();
        let res = {
            let mut desk = self.desk();
            let res = act(&mut desk.sessions);
            for effect in desk.sessions.effects() {
                if let Effect::Wake(link) = effect {
                    desk.waiting.get(&link).into_iter().for_each(|it| it.notify_one());
                } else {
                    asked.push(effect);
                }
            }
            res
        };
        for effect in asked {
            let hub = self.clone();
            tokio::spawn(async move { hub.answer(effect).await });
        }
        res
    }

    /// Asks the log, and brings its answer back.
    async fn answer(&self, effect: Effect) {
        let (question, answer) = match effect {
            Effect::Submit { question, principal, command } => {
                let answer = match self.inner.replica.submit(payload(&principal, &command)).await {
                    Ok(answer) => match answer.reply {
                        Ok(_) | Err(Rejected::Nothing) => Answer::Done,
                        Err(rejected) => Answer::Refused { reason: rejected.to_string() },
                    },
                    Err(error) => not_done(error),
                };
                (question, answer)
            }
            Effect::Read { question } => {
                let answer = self.inner.replica.read().await;
                (question, answer.map_or_else(not_done, |_| Answer::Done))
            }
            Effect::Wake(_) => return,
        };
        let (state, clock) = (self.state(), self.clock());
        self.sessions(|it| it.answered(question, answer, &state, clock));
    }

    /// Asks a node's agent something, over a connection that it opens for the answer.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub async fn ask(&self, node: &NodeId, question: &Question) -> Result<Link<Stream>, String> {
        let ticket = RandomState::new().build_hasher().finish();
        let (asking, arrived) = oneshot::channel();
        {
            let mut all = self.asking();
            // Who asked an agent that hangs, and went away meanwhile, waits no more.
            all.retain(|_, it| !it.is_closed());
            all.insert(ticket, asking);
        }
        let arrived = if self.sessions(|it| it.open_stream(node, ticket)) {
            timeout(OPENED_WITHIN, arrived).await.ok().and_then(Result::ok).ok_or_else(|| {
                format!("the agent of {node} did not open a connection within {} s", OPENED_WITHIN.as_secs())
            })
        } else {
            Err(format!("the agent of {node} is not connected, or is of a version that answers no questions"))
        };
        self.asking().remove(&ticket);
        let mut link = Link::limited(arrived?, MAX_FRAME_BYTES, self.inner.reading.clone());
        link.send(question).await.map_err(|it| format!("the agent of {node} could not be asked: {it}"))?;
        Ok(link)
    }

    /// Gives an agent's connection to whoever asked for it. Where the leader did, and the agent reaches only this
    /// member, it is passed on.
    pub async fn take(&self, ticket: u64, relay: bool, mut stream: Stream) {
        let _ = stream.set_nodelay(true);
        if let Some(asking) = self.asking().remove(&ticket) {
            // Who asked may have gone meanwhile.
            let _ = asking.send(stream);
            return;
        }
        let leader = self.inner.replica.status().leader.filter(|_| relay).and_then(|it| self.link_of(it));
        let Some(leader) = leader else { return };
        let Ok(Ok(mut to_leader)) = timeout(RELAY_WITHIN, TcpStream::connect(leader)).await else { return };
        let _ = to_leader.set_nodelay(true);
        let Ok(greeting) = encode(&Greeting::<()>::Stream { ticket, relay: false }) else { return };
        let said = async {
            to_leader.write_u32(greeting.len() as u32).await?;
            to_leader.write_all(&greeting).await
        };
        if said.await.is_ok() {
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut to_leader).await;
        }
    }

    fn asking(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Stream>>> {
        self.inner.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state as this member has it.
    fn state(&self) -> Arc<State> {
        self.inner.replica.local()
    }

    fn open(&self, protocol: u32) -> Option<(LinkId, Arc<Notify>)> {
        let mut desk = self.desk();
        desk.next_link += 1;
        let link = desk.next_link;
        let woken = Arc::new(Notify::new());
        desk.sessions.open(link, protocol, self.clock()).then(|| {
            desk.waiting.insert(link, Arc::clone(&woken));
            (link, woken)
        })
    }

    fn closed(&self, link: LinkId) {
        let mut desk = self.desk();
        desk.waiting.remove(&link);
        desk.sessions.closed(link, self.clock());
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.inner.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_done(error: SubmitError) -> Answer {
    match error {
        SubmitError::Refused(Refused::Overloaded | Refused::DiskFull) => Answer::NotNow,
        SubmitError::Refused(Refused::TooLarge) => Answer::Refused { reason: error.to_string() },
        _ => Answer::Gone,
    }
}

/// Serves one agent's connection until it ends.
pub async fn serve(hub: Hub, stream: Stream, protocol: u32) {
    let from = stream.peer_addr().ok();
    let _ = stream.set_nodelay(true);
    let Some((link, woken)) = hub.open(protocol) else {
        return tracing::warn!(?from, "an agent is turned away: there are too many connections");
    };
    let (mut sender, receiver) = Link::limited(stream, HELLO_BYTES_MAX, hub.inner.reading.clone()).split();
    let welcomed = Notify::new();
    let mut ear = Ear { receiver, welcomed: &welcomed };
    let mut talk = Talk { hub: &hub, link, woken: &woken, welcomed: &welcomed, node: None };
    let ended = tokio::select! {
        ended = talk.tell(&mut sender) => ended,
        ended = hear(&hub, link, &mut ear) => ended,
    };
    let node = talk.node.take();
    let ended = match ended {
        Ok(Some((to, hello))) => relay(&hub, link, &woken, to, hello, protocol, sender, ear).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    hub.closed(link);
    let ended = ended.err().map_or_else(|| "by us".to_owned(), |it| it.to_string());
    if let Some(node) = node {
        tracing::info!(node, ended, "agent disconnected");
    } else {
        tracing::debug!(?from, ended, "an agent's connection ended early");
    }
}

/// Whom a session is to be passed on to, and what the agent said.
type Passed = Option<(u64, FromAgent)>;

/// Hands on what an agent says.
async fn hear(hub: &Hub, link: LinkId, ear: &mut Ear<'_>) -> Result<Passed, Error> {
    loop {
        let message = decode(&ear.next().await?.bytes)?;
        let (state, clock) = (hub.state(), hub.clock());
        hub.sessions(|it| it.said(link, message, &state, clock));
    }
}

/// What one agent says. Whoever is not taken in yet has only small things to say.
struct Ear<'a> {
    receiver: Receiver<Stream>,
    /// Told before the agent is.
    welcomed: &'a Notify,
}

impl Ear<'_> {
    async fn next(&mut self) -> Result<Frame, Error> {
        loop {
            tokio::select! {
                biased;
                () = self.welcomed.notified() => self.receiver.allow(MAX_FRAME_BYTES),
                frame = self.receiver.receive_encoded() => return frame,
            }
        }
    }
}

/// What is told to one agent.
struct Talk<'a> {
    hub: &'a Hub,
    link: LinkId,
    woken: &'a Notify,
    welcomed: &'a Notify,
    /// Once it is taken in.
    node: Option<String>,
}

impl Talk<'_> {
    async fn tell(&mut self, sender: &mut Sender<Stream>) -> Result<Passed, Error> {
        let mut sent = Sent::default();
        loop {
            match self.hub.sessions(|it| it.next(self.link)) {
                Some(Letter::Say(message)) => {
                    self.note(&message);
                    send(sender, &message).await?;
                }
                Some(Letter::News { node, news }) => {
                    sent.note(news);
                    while let Some(message) = sent.next(&self.hub.state(), &node) {
                        if let ToAgent::Assign { generation, more, .. } = &message {
                            let clock = self.hub.clock();
                            self.hub.sessions(|it| it.sending(self.link, *generation, *more, clock));
                        }
                        send(sender, &message).await?;
                    }
                }
                Some(Letter::Relay { to, hello }) => return Ok(Some((to, hello))),
                Some(Letter::End) => return Ok(None),
                None => self.woken.notified().await,
            }
        }
    }

    fn note(&mut self, message: &ToAgent) {
        match message {
            ToAgent::Welcome { node, .. } => {
                self.welcomed.notify_one();
                tracing::info!(%node, "agent connected");
                self.node = Some(node.to_string());
            }
            ToAgent::Refused { reason } => tracing::warn!(reason, "agent refused"),
            _ => {}
        }
    }
}

async fn send(sender: &mut Sender<Stream>, message: &ToAgent) -> Result<(), Error> {
    timeout(SEND_WITHIN, sender.send(message)).await.unwrap_or(Err(Error::Closed))
}

/// Passes everything on between an agent and the leader, until either side ends, or this member hears of another
/// leader.
#[expect(clippy::too_many_arguments, reason = "both ends, and who is to be told")]
async fn relay(
    hub: &Hub,
    link: LinkId,
    woken: &Notify,
    to: u64,
    hello: FromAgent,
    protocol: u32,
    mut to_agent: Sender<Stream>,
    mut from_agent: Ear<'_>,
) -> Result<(), Error> {
    let dialled = timeout(RELAY_WITHIN, dial(hub, to, &hello, protocol)).await.unwrap_or(Err(Error::Closed));
    let Ok((mut to_leader, mut from_leader)) = dialled else {
        // It knows already that this one leads, and cannot reach it either.
        return send(&mut to_agent, &ToAgent::Elsewhere { leader: None }).await;
    };
    tracing::debug!(leader = to, "passing an agent on");
    let farewell = {
        let welcomed = from_agent.welcomed;
        let up = async {
            loop {
                let frame = timeout(RELAY_SILENT_FOR, from_agent.next()).await.unwrap_or(Err(Error::Closed))?;
                to_leader.send_encoded(frame.bytes.clone()).await?;
            }
        };
        let down = async {
            let mut is_welcome = false;
            loop {
                let frame = from_leader.receive_encoded().await?.bytes;
                if !is_welcome && matches!(decode(&frame), Ok(ToAgent::Welcome { .. })) {
                    is_welcome = true;
                    welcomed.notify_one();
                }
                timeout(SEND_WITHIN, to_agent.send_encoded(frame)).await.unwrap_or(Err(Error::Closed))?;
            }
        };
        let over = async {
            loop {
                match hub.sessions(|it| it.next(link)) {
                    Some(Letter::Say(farewell)) => return Some(farewell),
                    Some(Letter::End) => return None,
                    _ => woken.notified().await,
                }
            }
        };
        tokio::select! {
            ended = up => return ended,
            ended = down => return ended,
            farewell = over => farewell,
        }
    };
    match farewell {
        Some(farewell) => send(&mut to_agent, &farewell).await,
        None => Ok(()),
    }
}

async fn dial(
    hub: &Hub,
    to: u64,
    hello: &FromAgent,
    protocol: u32,
) -> Result<(Sender<Stream>, Receiver<Stream>), Error> {
    let address = hub.link_of(to).ok_or(Error::Closed)?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut link = Link::new(stream);
    link.send(&Greeting::<()>::Agent { protocol }).await?;
    link.send(hello).await?;
    Ok(link.split())
}

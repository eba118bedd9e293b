//! The scheduler's half of the link to agents: the shell around [`Sessions`].
//!
//! One task per connection hands what comes to the machine and sends what the machine has for it, beside each other:
//! a sign of life never waits behind a commit, nor behind an agent that does not read. A member that does not lead
//! passes an agent that cannot reach the leader on to it.

use crate::control::Control;
use crate::member::Refused;
use crate::replica::SubmitError;
use crate::sessions::{Answer, Config, Effect, Letter, LinkId, Sent, Sessions};
use crate::state_machine::payload;
use api::link::{Budget, Error, Frame, Greeting, Link, MAX_FRAME_BYTES, Receiver, SMALL_FRAME_BYTES, Sender, decode};
use cluster::agent::{FromAgent, ToAgent};
use cluster::{Rejected, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

/// A frame that an agent does not take in this time ends its connection. Longer than the machine waits for an agent to
/// take its orders, which knows the node and says so.
const SEND_WITHIN: Duration = Duration::from_secs(15);

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

/// The sessions of one member, and who waits for them.
pub struct Hub {
    inner: Mutex<Inner>,
    /// What all connections may be reading at once.
    reading: Budget,
}

struct Inner {
    sessions: Sessions,
    /// By connection, to be told that there is something to send.
    waiting: BTreeMap<LinkId, Arc<Notify>>,
    next_link: LinkId,
}

impl Hub {
    /// Without any connection.
    pub fn new(config: Config) -> Self {
        let inner = Inner { sessions: Sessions::new(config), waiting: BTreeMap::new(), next_link: 0 };
        Self { inner: Mutex::new(inner), reading: Budget::new(READING_BYTES_MAX) }
    }

    fn open(&self, protocol: u32, clock: Timestamp) -> Option<(LinkId, Arc<Notify>)> {
        let mut inner = self.lock();
        inner.next_link += 1;
        let link = inner.next_link;
        let woken = Arc::new(Notify::new());
        inner.sessions.open(link, protocol, clock).then(|| {
            inner.waiting.insert(link, Arc::clone(&woken));
            (link, woken)
        })
    }

    fn closed(&self, link: LinkId, clock: Timestamp) {
        let mut inner = self.lock();
        inner.waiting.remove(&link);
        inner.sessions.closed(link, clock);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// Lets the sessions' machine do something, and performs what comes of it.
    pub fn sessions<R>(&self, act: impl FnOnce(&mut Sessions) -> R) -> R {
        let mut asked = Vec::new();
        let res = {
            let mut inner = self.hub().lock();
            let res = act(&mut inner.sessions);
            for effect in inner.sessions.effects() {
                if let Effect::Wake(link) = effect {
                    inner.waiting.get(&link).into_iter().for_each(|it| it.notify_one());
                } else {
                    asked.push(effect);
                }
            }
            res
        };
        for effect in asked {
            let control = self.clone();
            tokio::spawn(async move { control.answer(effect).await });
        }
        res
    }

    /// Asks the log, and brings its answer back.
    async fn answer(&self, effect: Effect) {
        let (question, answer) = match effect {
            Effect::Submit { question, principal, command } => {
                let answer = match self.replica().submit(payload(&principal, &command)).await {
                    Ok(answer) => match answer.reply {
                        Ok(_) | Err(Rejected::Nothing) => Answer::Done,
                        Err(rejected) => Answer::Refused { reason: rejected.to_string() },
                    },
                    Err(error) => not_done(error),
                };
                (question, answer)
            }
            Effect::Read { question } => {
                let answer = self.replica().read().await;
                (question, answer.map_or_else(not_done, |_| Answer::Done))
            }
            Effect::Wake(_) => return,
        };
        let (state, clock) = (self.local(), self.clock());
        self.sessions(|it| it.answered(question, answer, &state, clock));
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
pub async fn serve(control: Control, stream: Stream, protocol: u32) {
    let from = stream.peer_addr().ok();
    let _ = stream.set_nodelay(true);
    let Some((link, woken)) = control.hub().open(protocol, control.clock()) else {
        return tracing::warn!(?from, "an agent is turned away: there are too many connections");
    };
    let (mut sender, receiver) = Link::limited(stream, HELLO_BYTES_MAX, control.hub().reading.clone()).split();
    let welcomed = Notify::new();
    let mut ear = Ear { receiver, welcomed: &welcomed };
    let mut talk = Talk { control: &control, link, woken: &woken, welcomed: &welcomed, node: None };
    let ended = tokio::select! {
        ended = talk.tell(&mut sender) => ended,
        ended = hear(&control, link, &mut ear) => ended,
    };
    let node = talk.node.take();
    let ended = match ended {
        Ok(Some((to, hello))) => relay(&control, link, &woken, to, hello, protocol, sender, ear).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    control.hub().closed(link, control.clock());
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
async fn hear(control: &Control, link: LinkId, ear: &mut Ear<'_>) -> Result<Passed, Error> {
    loop {
        let message = decode(&ear.next().await?.bytes)?;
        let (state, clock) = (control.local(), control.clock());
        control.sessions(|it| it.said(link, message, &state, clock));
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
    control: &'a Control,
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
            match self.control.sessions(|it| it.next(self.link)) {
                Some(Letter::Say(message)) => {
                    self.note(&message);
                    send(sender, &message).await?;
                }
                Some(Letter::News { node, news }) => {
                    sent.note(news);
                    while let Some(message) = sent.next(&self.control.local(), &node) {
                        if let ToAgent::Assign { generation, more, .. } = &message {
                            let clock = self.control.clock();
                            self.control.sessions(|it| it.sending(self.link, *generation, *more, clock));
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
    control: &Control,
    link: LinkId,
    woken: &Notify,
    to: u64,
    hello: FromAgent,
    protocol: u32,
    mut to_agent: Sender<Stream>,
    mut from_agent: Ear<'_>,
) -> Result<(), Error> {
    let dialled = timeout(RELAY_WITHIN, dial(control, to, &hello, protocol)).await.unwrap_or(Err(Error::Closed));
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
                match control.sessions(|it| it.next(link)) {
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
    control: &Control,
    to: u64,
    hello: &FromAgent,
    protocol: u32,
) -> Result<(Sender<Stream>, Receiver<Stream>), Error> {
    let address = control.link_of(to).ok_or(Error::Closed)?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut link = Link::new(stream);
    link.send(&Greeting::<()>::Agent { protocol }).await?;
    link.send(hello).await?;
    Ok(link.split())
}

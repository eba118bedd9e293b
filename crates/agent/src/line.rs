//! The line to the control plane: dials one member after the other until one leads, and dials anew whenever the line
//! breaks. Nothing on the node depends on it.

use crate::driver::{Event, Pulse};
use crate::logs::Answerer;
use crate::state::draw;
use api::link::{Greeting, Link, Receiver, Sender};
use cluster::agent::{Call, Dialer, Ended as How, FromAgent, Input, PROTOCOL, Pace, Parts, ToAgent};
use cluster::{ClusterId, NodeDescription};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep, timeout};

/// An agent whose loop stands still for so long says so: its word that it is alive is worth nothing any more.
const STANDS_STILL_FOR: Duration = Duration::from_secs(10);

/// A session of this length says that what went wrong before is over.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// What is said of the node at each connection; versions become known later than the rest.
pub(crate) type Description = watch::Receiver<NodeDescription>;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("{}", with_cause(.0))]
    Broken(#[from] api::link::Error),
    #[error("the member was silent for too long")]
    Silent,
    #[error("the agent gave it up")]
    GivenUp,
    #[error("the member does not lead")]
    Elsewhere(Option<String>),
    #[error("{0}")]
    Refused(String),
}

fn with_cause(error: &api::link::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// This process, among all that may live by the directory's identity.
struct Life {
    drawn: u64,
    /// A leader has taken it in.
    taken_in: bool,
}

/// Who dials, and what it says.
pub(crate) struct Line {
    pub(crate) servers: Vec<String>,
    pub(crate) description: Description,
    pub(crate) cluster: watch::Receiver<Option<ClusterId>>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    /// How the agent's loop is.
    pub(crate) pulse: watch::Receiver<Pulse>,
    /// Answers what members ask.
    pub(crate) answerer: Answerer,
}

impl Line {
    /// Dials for ever; the caller drops it.
    pub(crate) async fn dial(self) {
        let n_servers = self.servers.len();
        let mut life = Life { drawn: draw(), taken_in: false };
        let mut dialer = Dialer::new(self.servers.clone(), self.description.borrow().agent);
        let mut last_words = String::new();
        loop {
            let call = dialer.call();
            let (ended, served_for) = self.connect(&call, &mut dialer, &mut life).await;
            if served_for > GOOD_FOR {
                last_words.clear();
            }
            let words = ended.to_string();
            let served = served_for > Duration::ZERO;
            if let Ended::Refused(reason) = &ended
                && words != last_words
            {
                tracing::error!(server = call.server, reason, "refused");
            }
            let how = match ended {
                Ended::Elsewhere(leader) if served => How::Served(leader),
                _ if served => How::Served(None),
                Ended::Refused(_) => How::Refused,
                Ended::Elsewhere(leader) => How::Elsewhere(leader),
                Ended::Connect(_) | Ended::Broken(_) | Ended::Silent | Ended::GivenUp => How::Unreachable,
            };
            let pause = dialer.ended(&call, how);
            // Every member in turn, and the same words once.
            if words != last_words && dialer.failures() as usize > n_servers {
                tracing::warn!(
                    server = call.server,
                    reason = words,
                    "no member has taken this agent in; containers are left as they are"
                );
                last_words = words;
            }
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// One connection, from its greeting to its end; and how long it served.
    async fn connect(&self, call: &Call, dialer: &mut Dialer, life: &mut Life) -> (Ended, Duration) {
        let (link, served, told) = match self.greet(call, dialer, life).await {
            Ok(it) => it,
            Err(ended) => return (ended, Duration::ZERO),
        };
        life.taken_in = true;
        let pace = dialer.pace();
        let begun = Instant::now();
        tracing::info!(server = call.server, cluster = %served, relayed = call.relay, "taken in by the leader");
        let (sender, receiver) = link.split();
        let (outbox, letters) = mpsc::unbounded_channel();
        if self.events.send(Event::Connected { cluster: served, outbox }).is_err() {
            return (Ended::GivenUp, Duration::ZERO);
        }
        let ended = tokio::select! {
            ended = write(sender, letters, pace, told, self.pulse.clone()) => ended,
            ended = self.read(receiver, call, pace) => ended,
        };
        tracing::info!(server = call.server, reason = %ended, "the line to the leader ended");
        let _ = self.events.send(Event::Input(Input::Disconnected));
        (ended, begun.elapsed().max(Duration::from_millis(1)))
    }

    /// Introduces the agent; returns who took it in, and whether its pace was told.
    async fn greet(
        &self,
        call: &Call,
        dialer: &mut Dialer,
        life: &Life,
    ) -> Result<(Link<Stream>, ClusterId, bool), Ended> {
        let node = self.description.borrow().clone();
        if let Some(reason) = node.objection() {
            // A member would say the same, or hang up before it has read all of it.
            return Err(Ended::Refused(reason));
        }
        let pace = dialer.pace();
        let connect_within = Duration::from_millis(pace.connect_ms);
        let stream = match timeout(connect_within, TcpStream::connect(&call.server)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Ended::Connect(error.to_string())),
            Err(_) => return Err(Ended::Connect("no answer in time".to_owned())),
        };
        stream.set_nodelay(true).map_err(api::link::Error::from)?;
        let mut link = Link::new(stream);
        let known = *self.cluster.borrow();
        link.send(&Greeting::<()>::Agent { protocol: PROTOCOL }).await?;
        let (relay, life, taken_in) = (call.relay, life.drawn, life.taken_in);
        link.send(&FromAgent::Hello { protocol: PROTOCOL, cluster: known, node, life, taken_in, relay, opens: true })
            .await?;
        let mut alive = interval(Duration::from_millis(pace.alive_every_ms));
        // The first is at once, and was the hello.
        alive.tick().await;
        let patience = sleep(Duration::from_millis(pace.patience_ms));
        tokio::pin!(patience);
        loop {
            let answer = tokio::select! {
                answer = link.receive::<ToAgent>() => answer?,
                // A leader whose disk is full takes nobody in, and shall lose nobody either.
                _ = alive.tick() => {
                    link.send(&FromAgent::Alive).await?;
                    continue;
                }
                () = &mut patience => return Err(Ended::Silent),
            };
            patience.as_mut().reset(Instant::now() + Duration::from_millis(pace.patience_ms));
            match answer {
                ToAgent::Welcome { cluster, pace, .. } => {
                    // INV-F1: an agent serves one cluster for ever; its containers are that one's.
                    if let Some(known) = known.filter(|it| *it != cluster) {
                        return Err(Ended::Refused(format!(
                            "it is of cluster {cluster}, and this agent serves {known}; give the agent another \
                             data_dir to have it serve the other one"
                        )));
                    }
                    dialer.keep_pace(pace.unwrap_or(Pace::of(10_000)));
                    return Ok((link, cluster, pace.is_some()));
                }
                ToAgent::Elsewhere { leader } => return Err(Ended::Elsewhere(leader)),
                ToAgent::Refused { reason } => return Err(Ended::Refused(reason)),
                ToAgent::Assign { .. }
                | ToAgent::Open { .. }
                | ToAgent::Reported { .. }
                | ToAgent::Gone { .. }
                | ToAgent::Alive => {}
            }
        }
    }

    /// Hands on what the leader says, until the line ends.
    async fn read(&self, mut receiver: Receiver<Stream>, call: &Call, pace: Pace) -> Ended {
        let patience = Duration::from_millis(pace.patience_ms);
        let mut parts = Parts::default();
        loop {
            let message = match timeout(patience, receiver.receive::<ToAgent>()).await {
                Ok(Ok(message)) => message,
                Ok(Err(error)) => return error.into(),
                Err(_) => return Ended::Silent,
            };
            let input = match message {
                ToAgent::Assign { generation, assignments, forget, destroy, more, .. } => {
                    let Some(input) = parts.take(generation, assignments, forget, destroy, more) else { continue };
                    input
                }
                ToAgent::Open { ticket } => {
                    tokio::spawn(self.answerer.clone().answer(call.server.clone(), ticket));
                    continue;
                }
                ToAgent::Reported { sequence } => Input::Reported { sequence },
                ToAgent::Gone { gone } => Input::Gone { gone },
                ToAgent::Elsewhere { leader } => return Ended::Elsewhere(leader),
                ToAgent::Refused { reason } => return Ended::Refused(reason),
                ToAgent::Welcome { .. } | ToAgent::Alive => continue,
            };
            if self.events.send(Event::Input(input)).is_err() {
                return Ended::GivenUp;
            }
        }
    }
}

type Stream = TcpStream;

async fn write(
    mut sender: Sender<Stream>,
    mut letters: mpsc::UnboundedReceiver<FromAgent>,
    pace: Pace,
    told: bool,
    pulse: watch::Receiver<Pulse>,
) -> Ended {
    let mut alive = interval(Duration::from_millis(pace.alive_every_ms));
    // What the agent itself said last, and what was said in its place.
    let mut own: Option<String> = None;
    let mut stands_still = false;
    loop {
        let letter = tokio::select! {
            letter = letters.recv() => match letter {
                Some(letter) => letter,
                None => return Ended::GivenUp,
            },
            _ = alive.tick() => {
                let Pulse { generation, at } = *pulse.borrow();
                let still = at.elapsed();
                if (still > STANDS_STILL_FOR) == stands_still {
                    // Who did not tell its pace is of an earlier version.
                    if told { FromAgent::Obeys { generation } } else { FromAgent::Alive }
                } else {
                    stands_still = !stands_still;
                    let reason = stands_still.then(|| {
                        format!(
                            "the agent's loop has stood still for {} s: its machine is overloaded or its disk hangs",
                            still.as_secs()
                        )
                    });
                    FromAgent::Degraded { reason: reason.or_else(|| own.clone()) }
                }
            }
        };
        // Who did not tell its pace is of an earlier version, and does not know this word.
        if !told && matches!(letter, FromAgent::Writers { .. }) {
            continue;
        }
        if let FromAgent::Degraded { reason } = &letter
            && !stands_still
        {
            own.clone_from(reason);
        }
        // A line that takes nothing any more is as dead as a silent one.
        match timeout(Duration::from_millis(pace.patience_ms), sender.send(&letter)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return Ended::Silent,
        }
    }
}

//! The line to the control plane: dials one member after the other until one leads, and dials anew whenever the line
//! breaks. Nothing on the node depends on it.

use crate::driver::Event;
use crate::state::draw;
use api::link::{Greeting, Link, Receiver, Sender};
use cluster::agent::{FromAgent, Input, PROTOCOL, ToAgent};
use cluster::{ClusterId, NodeDescription};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep, timeout};

/// A member that does not take the connection within this is passed over.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A member that says nothing for so long is dead to us, if its own pace is not slower (INV-F6).
const SILENT_FOR: Duration = Duration::from_secs(5);

/// The pause after a failed attempt; doubles up to [`AGAIN_MAX`], less up to a half by chance.
const AGAIN: Duration = Duration::from_millis(100);

/// The longest pause after a failed attempt.
const AGAIN_MAX: Duration = Duration::from_secs(2);

/// The pause after a refusal, which only an operator can end.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);

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

/// Dials for ever; the caller drops it.
pub(crate) async fn dial(
    servers: Vec<String>,
    description: Description,
    cluster: watch::Receiver<Option<ClusterId>>,
    events: mpsc::UnboundedSender<Event>,
) {
    let mut jitter = Jitter::new(description.borrow().agent);
    let mut life = Life { drawn: draw(), taken_in: false };
    let mut failures = 0u32;
    let mut turn = jitter.roll(servers.len() as u64) as usize;
    let mut leader: Option<String> = None;
    let mut last_words = String::new();
    loop {
        let hinted = leader.is_some();
        let server = leader.take().unwrap_or_else(|| {
            turn += 1;
            servers[turn % servers.len()].clone()
        });
        let begun = Instant::now();
        let ended = connect(&server, &description, &cluster, &events, &mut life).await;
        if begun.elapsed() > AGAIN_MAX {
            failures = 0;
            last_words.clear();
        }
        let words = ended.to_string();
        let pause = match ended {
            // A member that knows who leads costs nothing; but two that name each other must not make a storm.
            Ended::Elsewhere(Some(elsewhere)) if !hinted => {
                leader = Some(elsewhere);
                continue;
            }
            Ended::Refused(reason) => {
                if last_words != words {
                    tracing::error!(server, reason, "refused");
                }
                AFTER_REFUSAL
            }
            _ => AGAIN.saturating_mul(1 << failures.min(10)).min(AGAIN_MAX),
        };
        failures = failures.saturating_add(1);
        // Every member in turn, and the same words once.
        if words != last_words && failures as usize > servers.len() {
            tracing::warn!(
                server,
                reason = words,
                "no member has taken this agent in; containers are left as they are"
            );
            last_words = words;
        }
        sleep(pause.mul_f64((1000 - jitter.roll(500)) as f64 / 1000.0)).await;
    }
}

/// One connection, from its greeting to its end.
async fn connect(
    server: &str,
    description: &Description,
    cluster: &watch::Receiver<Option<ClusterId>>,
    events: &mpsc::UnboundedSender<Event>,
    life: &mut Life,
) -> Ended {
    match greet(server, description, cluster, life).await {
        Ok((link, served, alive_every)) => {
            life.taken_in = true;
            tracing::info!(server, cluster = %served, "taken in by the leader");
            let (sender, receiver) = link.split();
            let (outbox, letters) = mpsc::unbounded_channel();
            if events.send(Event::Connected { cluster: served, outbox }).is_err() {
                return Ended::GivenUp;
            }
            let ended = tokio::select! {
                ended = write(sender, letters, alive_every) => ended,
                ended = read(receiver, events, alive_every) => ended,
            };
            tracing::info!(server, reason = %ended, "the line to the leader ended");
            let _ = events.send(Event::Input(Input::Disconnected));
            ended
        }
        Err(ended) => ended,
    }
}

type Stream = TcpStream;

async fn greet(
    server: &str,
    description: &Description,
    cluster: &watch::Receiver<Option<ClusterId>>,
    life: &Life,
) -> Result<(Link<Stream>, ClusterId, Duration), Ended> {
    let node = description.borrow().clone();
    if let Some(reason) = node.objection() {
        // A member would say the same, or hang up before it has read all of it.
        return Err(Ended::Refused(reason));
    }
    let stream = match timeout(CONNECT_WITHIN, TcpStream::connect(server)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Ended::Connect(error.to_string())),
        Err(_) => return Err(Ended::Connect("no answer in time".to_owned())),
    };
    stream.set_nodelay(true).map_err(api::link::Error::from)?;
    let mut link = Link::new(stream);
    let known = *cluster.borrow();
    link.send(&Greeting::<()>::Agent { protocol: PROTOCOL }).await?;
    let Life { drawn: life, taken_in } = *life;
    link.send(&FromAgent::Hello { protocol: PROTOCOL, cluster: known, node, life, taken_in }).await?;
    loop {
        let answer = timeout(SILENT_FOR, link.receive::<ToAgent>()).await.map_err(|_| Ended::Silent)??;
        match answer {
            ToAgent::Welcome { cluster, alive_every_ms, .. } => {
                // INV-F1: an agent serves one cluster for ever; its containers are that one's.
                if let Some(known) = known.filter(|it| *it != cluster) {
                    return Err(Ended::Refused(format!(
                        "it is of cluster {cluster}, and this agent serves {known}; give the agent another data_dir to \
                         have it serve the other one"
                    )));
                }
                return Ok((link, cluster, Duration::from_millis(alive_every_ms.max(10))));
            }
            ToAgent::Elsewhere { leader } => return Err(Ended::Elsewhere(leader)),
            ToAgent::Refused { reason } => return Err(Ended::Refused(reason)),
            ToAgent::Assign { .. } | ToAgent::Reported { .. } | ToAgent::Alive => {}
        }
    }
}

async fn read(mut receiver: Receiver<Stream>, events: &mpsc::UnboundedSender<Event>, alive_every: Duration) -> Ended {
    let patience = SILENT_FOR.max(alive_every * 5);
    let mut complete = true;
    loop {
        let message = match timeout(patience, receiver.receive::<ToAgent>()).await {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => return error.into(),
            Err(_) => return Ended::Silent,
        };
        let input = match message {
            ToAgent::Assign { generation, assignments, forget, destroy, .. } => {
                let complete = std::mem::take(&mut complete);
                Input::Assigned { generation, assignments, forget, destroy, complete }
            }
            ToAgent::Reported { sequence } => Input::Reported { sequence },
            ToAgent::Elsewhere { leader } => return Ended::Elsewhere(leader),
            ToAgent::Refused { reason } => return Ended::Refused(reason),
            ToAgent::Welcome { .. } | ToAgent::Alive => continue,
        };
        if events.send(Event::Input(input)).is_err() {
            return Ended::GivenUp;
        }
    }
}

async fn write(
    mut sender: Sender<Stream>,
    mut letters: mpsc::UnboundedReceiver<FromAgent>,
    alive_every: Duration,
) -> Ended {
    let mut alive = interval(alive_every);
    loop {
        let letter = tokio::select! {
            letter = letters.recv() => match letter {
                Some(letter) => letter,
                None => return Ended::GivenUp,
            },
            _ = alive.tick() => FromAgent::Alive,
        };
        // A line that takes nothing any more is as dead as a silent one.
        match timeout(SILENT_FOR, sender.send(&letter)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return Ended::Silent,
        }
    }
}

/// Chance for pauses only, seeded by the agent's id: agents of one machine room do not dial in step.
struct Jitter(u64);

impl Jitter {
    fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `n`, or 0.
    fn roll(&mut self, n: u64) -> u64 {
        // xorshift64 (G. Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        if n == 0 { 0 } else { self.0 % n }
    }
}

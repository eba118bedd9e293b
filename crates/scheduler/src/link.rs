//! The scheduler's half of the link to agents: one session per connected node, on the leader only.
//!
//! A session registers the node, sends it every assignment once and then only what changed, and puts its reports into
//! the log. It ends with the connection, with this member's leadership, and when the node is given up; the agent
//! then dials again. Nothing on the node depends on it.

use crate::control::Control;
use api::control::{ControlPlane, Freshness, SubmitError};
use api::link::{Budget, Error, Link, Receiver, Sender};
use cluster::agent::{FromAgent, PROTOCOL, ToAgent};
use cluster::claims::{Claims, Verdict};
use cluster::{
    AppId, ClusterId, Command, Event, Goal, InstanceId, NodeDescription, NodeId, Principal, Rejected, State, Timestamp,
    Version,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often an agent must give a sign of life.
const ALIVE_EVERY_MS: u64 = 1_000;

/// An agent that says nothing for so long after it dialled is hung up on.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection over which nothing came for so long is dead, whatever TCP says.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Who was not taken in yet sends no longer frame than this. A usual introduction has some hundred bytes, and one that
/// [`NodeDescription::objection`] has nothing against always fits.
const HELLO_BYTES_MAX: usize = api::link::SMALL_FRAME_BYTES;

/// Frames of all agents that are being read at once have so many bytes: four of the longest. More wait.
const READING_BYTES_MAX: usize = 4 * api::link::MAX_FRAME_BYTES;

/// The connected agents, by node.
pub struct Sessions {
    open: Mutex<BTreeMap<NodeId, Arc<Session>>>,
    /// What all their connections may be reading at once.
    reading: Budget,
    /// Who lives by which identity, while this member leads.
    claims: Mutex<Option<Claims>>,
    begun: Instant,
}

impl Default for Sessions {
    fn default() -> Self {
        let reading = Budget::new(READING_BYTES_MAX);
        Self { open: Mutex::default(), reading, claims: Mutex::default(), begun: Instant::now() }
    }
}

/// An agent's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    identity: u64,
    drawn: u64,
}

/// One connected agent.
struct Session {
    /// There may be news for it.
    news: Notify,
    /// It is to end.
    end: CancellationToken,
    life: Life,
    /// Why it is refused from now on.
    refused: OnceLock<String>,
}

impl Sessions {
    /// How many agents are connected.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no agent is connected.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Judges whether an agent may be taken in, as far as its identity goes; where there are two lives of one, ends the
    /// other's session too. `fresh`: as of [`Claims::claim`].
    fn claim(&self, life: Life, from: &str, fresh: bool, only: bool) -> Verdict {
        if life.drawn == 0 {
            return Verdict::Welcome;
        }
        let now = self.now();
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = claims.get_or_insert_with(|| Claims::new(only, now));
        claims.tidy(now);
        let verdict = claims.claim(life.identity, life.drawn, from, fresh, now);
        if let Verdict::Copied { reason, others } = &verdict {
            let is_other = |it: &Life| it.identity == life.identity && others.contains(&it.drawn);
            for session in self.lock().values().filter(|it| is_other(&it.life)) {
                let _ = session.refused.set(reason.clone());
                session.end.cancel();
            }
        }
        verdict
    }

    /// A life gave a sign, or hung up.
    fn note_life(&self, life: Life, hung_up: bool) {
        let (now, mut claims) = (self.now(), self.claims.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(claims) = claims.as_mut() else { return };
        if hung_up {
            claims.hung_up(life.identity, life.drawn, now);
        } else {
            claims.hear(life.identity, life.drawn, now);
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.begun.elapsed().as_millis() as u64)
    }

    /// Ends all sessions.
    pub fn close_all(&self) {
        *self.claims.lock().unwrap_or_else(PoisonError::into_inner) = None;
        for session in std::mem::take(&mut *self.lock()).into_values() {
            session.end.cancel();
        }
    }

    /// Lets every session look for news.
    pub fn wake_all(&self) {
        self.lock().values().for_each(|it| it.news.notify_one());
    }

    /// Tells the sessions that an event concerns. `state` is the state after it.
    pub fn note(&self, state: &State, event: &Event) {
        match event {
            Event::InstanceLaunched { instance }
            | Event::InstanceStopping { instance }
            | Event::InstanceTold { instance }
            | Event::InstanceRemoved { instance } => self.wake(&instance.node),
            // Running instances' health checks and labels follow the version that they are brought to.
            Event::AppPut { version, created: false } => self.wake_nodes_of(state, &version.spec.id),
            Event::DeploymentStepped { deployment } | Event::DeploymentEnded { deployment } => {
                for app in deployment.changes.keys() {
                    self.wake_nodes_of(state, app);
                }
            }
            Event::ReservationChanged { reservation } => self.wake(&reservation.node),
            Event::OrphansChanged { node } => self.wake(node),
            Event::NodeChanged { node } if node.is_lost() => self.end(node.id()),
            Event::NodeRemoved { node } => self.end(node),
            _ => {}
        }
    }

    fn wake_nodes_of(&self, state: &State, app: &AppId) {
        let Some(app) = state.app(app) else { return };
        let nodes: BTreeSet<_> = state.instances_of(app).map(|it| &it.node).collect();
        for node in nodes {
            self.wake(node);
        }
    }

    fn wake(&self, node: &NodeId) {
        if let Some(session) = self.lock().get(node) {
            session.news.notify_one();
        }
    }

    fn end(&self, node: &NodeId) {
        if let Some(session) = self.lock().remove(node) {
            session.end.cancel();
        }
    }

    /// Opens a session; an earlier one of the node ends.
    fn open(&self, node: &NodeId, life: Life) -> Arc<Session> {
        let (news, end, refused) = (Notify::new(), CancellationToken::new(), OnceLock::new());
        let session = Arc::new(Session { news, end, life, refused });
        if let Some(old) = self.lock().insert(node.clone(), Arc::clone(&session)) {
            old.end.cancel();
        }
        session
    }

    fn close(&self, node: &NodeId, session: &Arc<Session>) {
        let mut open = self.lock();
        if open.get(node).is_some_and(|it| Arc::ptr_eq(it, session)) {
            open.remove(node);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one agent's connection until it ends.
pub async fn serve(control: Control, stream: TcpStream, protocol: u32) {
    let from = stream.peer_addr().ok();
    let _ = stream.set_nodelay(true);
    let mut link = Link::limited(stream, HELLO_BYTES_MAX, control.sessions().reading.clone());
    let (node, life) = match tokio::time::timeout(HELLO_TIMEOUT, admit(&control, &mut link, protocol)).await {
        Ok(Ok(Some(taken))) => taken,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return tracing::debug!(?from, %error, "an agent's connection ended early"),
        Err(_) => return tracing::debug!(?from, "an agent did not introduce itself in time"),
    };
    let session = control.sessions().open(&node, life);
    control.hear(node.clone());
    tracing::info!(%node, ?from, "agent connected");
    let res = converse(&control, link, &node, &session).await;
    control.sessions().close(&node, &session);
    if res.is_err() {
        control.sessions().note_life(life, true);
    }
    tracing::info!(%node, ended = %res.err().map_or_else(|| "by us".to_owned(), |it| it.to_string()), "agent disconnected");
}

/// Learns who dials, and registers it. None: it was told why not.
async fn admit(control: &Control, link: &mut Link<TcpStream>, protocol: u32) -> Result<Option<(NodeId, Life)>, Error> {
    let FromAgent::Hello { protocol: spoken, cluster, node, life, taken_in } = link.receive().await? else {
        return Err(Error::Closed);
    };
    if protocol != PROTOCOL || spoken != PROTOCOL {
        let reason =
            format!("the agent speaks protocol {spoken}, this member {PROTOCOL}: run the same version of both");
        link.send(&ToAgent::Refused { reason }).await?;
        return Ok(None);
    }
    let founded = control.local().cluster();
    if !control.is_leading() || founded == ClusterId::default() {
        let leader = control.leader_link().filter(|_| !control.is_leading());
        link.send(&ToAgent::Elsewhere { leader }).await?;
        return Ok(None);
    }
    if let Some(reason) = objection(founded, cluster, &node) {
        // The name may be anything; it was not judged yet, or just was.
        tracing::warn!(node = %node.id.as_str().escape_debug(), %reason, "agent refused");
        link.send(&ToAgent::Refused { reason }).await?;
        return Ok(None);
    }
    let life = Life { identity: node.agent, drawn: life };
    let state = control.local();
    let is_it = |it: &&Arc<cluster::Node>| it.description.agent == node.agent && !it.is_lost();
    let fresh = !taken_in && state.nodes().any(|it| is_it(&it));
    let from = format!("{} ({})", node.id, node.address);
    match control.sessions().claim(life, &from, fresh, control.is_alone()) {
        Verdict::Welcome => {}
        Verdict::Wait { ms } => {
            tracing::info!(node = %node.id, ms, "waiting whether an earlier process of this agent is over");
            link.send(&ToAgent::Elsewhere { leader: None }).await?;
            return Ok(None);
        }
        Verdict::Copied { reason, .. } => {
            tracing::error!(node = %node.id, %reason, "agents refused");
            link.send(&ToAgent::Refused { reason }).await?;
            return Ok(None);
        }
    }
    let id = node.id.clone();
    match control.submit(Principal::Agent(id.clone()), Command::Register { node }).await {
        Ok(_) | Err(SubmitError::Rejected(Rejected::Nothing)) => {
            let welcome = ToAgent::Welcome { cluster: founded, node: id.clone(), alive_every_ms: ALIVE_EVERY_MS };
            link.send(&welcome).await?;
            link.allow(api::link::MAX_FRAME_BYTES);
            Ok(Some((id, life)))
        }
        Err(SubmitError::Rejected(rejected)) => {
            tracing::warn!(node = %id, reason = %rejected, "agent refused");
            link.send(&ToAgent::Refused { reason: rejected.to_string() }).await?;
            Ok(None)
        }
        Err(_) => {
            link.send(&ToAgent::Elsewhere { leader: control.leader_link() }).await?;
            Ok(None)
        }
    }
}

/// Why an agent cannot serve this cluster.
fn objection(founded: ClusterId, served: Option<ClusterId>, node: &NodeDescription) -> Option<String> {
    if let Some(served) = served.filter(|it| *it != founded) {
        return Some(format!(
            "the agent's data directory belongs to cluster {served}, this is cluster {founded}: give the agent an \
             empty data directory to move it here (containers of the other cluster stay as they are)"
        ));
    }
    node.objection()
}

/// What a session has sent: for each instance how soon it shall stop, if it shall, and the app's version whose policy it
/// knows; and which reservations are to be destroyed.
#[derive(Debug, Default)]
pub struct Sent {
    instances: BTreeMap<InstanceId, (Option<u64>, Version)>,
    destroy: BTreeSet<InstanceId>,
    opened: bool,
}

async fn converse(control: &Control, link: Link<TcpStream>, node: &NodeId, session: &Session) -> Result<(), Error> {
    let (mut sender, mut receiver) = link.split();
    let mut sent = Sent::default();
    let Ok(mut state) = control.view(Freshness::Linearizable).await else { return Ok(()) };
    loop {
        if let Some(news) = sent.news(&state, node) {
            sender.send(&news).await?;
        }
        tokio::select! {
            () = session.end.cancelled() => {
                if let Some(reason) = session.refused.get().cloned() {
                    sender.send(&ToAgent::Refused { reason }).await?;
                }
                return Ok(());
            }
            () = session.news.notified() => {}
            message = tokio::time::timeout(SILENCE_MAX, receive(&mut receiver)) => {
                let Ok(message) = message else { return Err(Error::Closed) };
                control.hear(node.clone());
                control.sessions().note_life(session.life, false);
                if !answer(control, &mut sender, node, message?).await? {
                    return Ok(());
                }
            }
        }
        state = control.local();
    }
}

async fn receive(receiver: &mut Receiver<TcpStream>) -> Result<FromAgent, Error> {
    receiver.receive().await
}

/// Does what an agent's message asks for; false if the session is to end.
async fn answer(
    control: &Control,
    sender: &mut Sender<TcpStream>,
    node: &NodeId,
    message: FromAgent,
) -> Result<bool, Error> {
    let principal = Principal::Agent(node.clone());
    match message {
        FromAgent::Alive => sender.send(&ToAgent::Alive).await?,
        FromAgent::Report { sequence, observations, destroyed } => {
            let report = Command::Report { node: node.clone(), observations, destroyed };
            match control.submit(principal, report).await {
                Ok(_) | Err(SubmitError::Rejected(Rejected::Nothing)) => {
                    sender.send(&ToAgent::Reported { sequence }).await?;
                }
                Err(_) => return Ok(false),
            }
        }
        FromAgent::Strangers { strangers } => {
            let state = control.local();
            let news = |it: &cluster::Node| state.orphans_among(it, &strangers) != it.orphans;
            if state.node(node).is_some_and(|it| news(it)) {
                match control.submit(principal, Command::FindStrangers { node: node.clone(), strangers }).await {
                    Ok(_) | Err(SubmitError::Rejected(Rejected::Nothing)) => {}
                    Err(_) => return Ok(false),
                }
            }
        }
        FromAgent::Degraded { reason } => {
            let degrade = Command::Degrade { node: node.clone(), reason };
            match control.submit(principal, degrade).await {
                Ok(_) | Err(SubmitError::Rejected(Rejected::Nothing)) => {}
                Err(_) => return Ok(false),
            }
        }
        FromAgent::Hello { .. } => return Ok(false),
    }
    Ok(true)
}

impl Sent {
    /// Whether nothing was sent yet.
    pub const fn is_new(&self) -> bool {
        !self.opened
    }

    /// What the node's agent does not know yet, if anything. The first message has all assignments, also when there
    /// are none.
    pub fn news(&mut self, state: &State, node: &NodeId) -> Option<ToAgent> {
        let record = state.node(node)?;
        let mut assignments = Vec::new();
        for instance in state.instances_on(record) {
            let followed = state.app(&instance.app).and_then(|it| it.followed_by(instance));
            let stop = (instance.goal != Goal::Run).then(|| state.kill_grace_ms(instance));
            let known = (stop, followed.map_or(Version::default(), |it| it.version));
            if self.instances.insert(instance.id, known) != Some(known) {
                assignments.push(state.assignment(instance));
            }
        }
        let mut n_orders = record.instances.len();
        for removal in state.removals_of_orphans(record) {
            n_orders += 1;
            if self.instances.insert(removal.instance, (Some(removal.kill_grace_ms), Version::default())).is_none() {
                assignments.push(removal);
            }
        }
        let gone =
            |it: &&InstanceId| !record.instances.contains(*it) && !record.orphans.get(*it).is_some_and(|it| it.doomed);
        let forget: Vec<InstanceId> = if self.instances.len() > n_orders {
            self.instances.keys().filter(gone).copied().collect()
        } else {
            Vec::new()
        };
        for instance in &forget {
            self.instances.remove(instance);
        }
        let doomed: BTreeSet<InstanceId> = state.doomed_on(record).collect();
        let destroy: Vec<InstanceId> = doomed.difference(&self.destroy).copied().collect();
        self.destroy = doomed;
        let nothing = assignments.is_empty() && forget.is_empty() && destroy.is_empty() && self.opened;
        self.opened = true;
        let (generation, time) = (state.index(), state.time());
        (!nothing).then_some(ToAgent::Assign { generation, time, assignments, forget, destroy })
    }
}

//! The control plane of one member: what the REST surface may ask, and the leader's office.
//!
//! The office is the shell around [`Leader`]: while this member leads, it feeds events, signs of life and time to the
//! pure core and proposes what that asks for. It also tells the agents' sessions which of them have news.

use crate::hub::Hub;
use crate::leader::{Ask, Leader};
use crate::member::Refused;
use crate::replica::{self, Handle, Next};
use crate::sessions;
use crate::state_machine::payload;
use api::control::{ControlPlane, EventItem, Freshness, Happened, Leadership, SubmitError};
use cluster::agent::{LogAnswer, LogQuery, Question};
use cluster::{Applied, ClusterId, Command, Event, Moment, NodeId, Principal, Settings, State, Timestamp};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// How often the leader judges its nodes and looks at its timers.
const TICK: Duration = Duration::from_millis(100);

/// How often a member that does not lead looks at those who dialled and said nothing.
const LOOK_ROUND: Duration = Duration::from_secs(1);

/// An agent that was asked something says something in this time, or is hung up on.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// A member that is offered leadership and does not take it in this time is not there.
const HAND_OVER_MAX: Duration = Duration::from_secs(3);

/// Where a member is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its port for members and agents, `host:port`.
    pub link: String,
    /// Its API, `host:port`.
    pub http: String,
}

/// A handle to one member's control plane. A clone is the same one.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
}

struct Inner {
    replica: Handle<State>,
    id: u64,
    members: BTreeMap<u64, Member>,
    /// The agents' sessions.
    hub: Hub,
    metrics: Metrics,
}

/// Why an office closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Another member leads, or nobody.
    Deposed,
    /// The replica has stopped.
    Stopped,
}

impl Control {
    /// A control plane on a running replica; its office opens as soon as the replica leads.
    /// A node whose agent is silent for `loss_after_ms` is given up.
    pub fn new(
        replica: Handle<State>,
        id: u64,
        members: BTreeMap<u64, Member>,
        loss_after_ms: u64,
        registry: &Registry,
    ) -> Self {
        let links = members.iter().map(|(id, it)| (*id, it.link.clone())).collect();
        let hub = Hub::new(replica.clone(), sessions::Config { members: links, loss_after_ms });
        let inner = Inner { replica, id, members, hub, metrics: Metrics::new(registry) };
        Self { inner: Arc::new(inner) }
    }

    /// Serves as the leader's office whenever this member leads; until the replica stops. A leader that was deposed
    /// without its knowledge steps down after at most `step_down_ms`.
    pub async fn run(self, settings: Settings, step_down_ms: u64) {
        let mut seen = self.inner.replica.watch();
        loop {
            let status = seen.borrow_and_update().status;
            if status.leading {
                tracing::info!("this member leads");
                self.hub().sessions(|it| it.take_office(self.hub().clock()));
                if self.lead(&settings, step_down_ms).await == Left::Stopped {
                    return self.hub().sessions(sessions::Sessions::close);
                }
                tracing::info!("this member does not lead any more");
            } else {
                self.hub().sessions(|it| it.follow(status.leader));
                let changed = seen.wait_for(|it| it.status != status);
                match tokio::time::timeout(LOOK_ROUND, changed).await {
                    Ok(Err(_)) => return self.hub().sessions(sessions::Sessions::close),
                    Ok(Ok(_)) => {}
                    // Who dials and says nothing is hung up on here as there.
                    Err(_) => self.hub().sessions(|it| it.tick(&self.local(), self.hub().clock())),
                }
            }
        }
    }

    /// The agents' sessions, and who waits for them.
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// The state as this member has it.
    pub fn local(&self) -> Arc<State> {
        self.inner.replica.local()
    }

    /// The replica underneath.
    pub fn replica(&self) -> &Handle<State> {
        &self.inner.replica
    }

    /// One term of office.
    async fn lead(&self, settings: &Settings, step_down_ms: u64) -> Left {
        let mut watch = self.inner.replica.watch();
        let (term, applied, view) = {
            let seen = watch.borrow_and_update();
            (seen.status.term, seen.applied, Arc::clone(&seen.view))
        };
        let mut events = self.inner.replica.events(Some(applied));
        let mut leader = Leader::new(&view, random_cluster(), settings.clone(), step_down_ms, self.hub().clock());
        let (answered, mut answers) = mpsc::unbounded_channel();
        let mut tick = tokio::time::interval(TICK);
        loop {
            let mut ticked = false;
            tokio::select! {
                next = events.next() => match next {
                    Next::Events(happened) => self.note(&mut leader, &mut watch, &happened).await,
                    Next::Gap(through) => {
                        let _ = watch.wait_for(|it| it.applied >= through).await;
                        leader.note_gap(&watch.borrow().view);
                        self.hub().sessions(sessions::Sessions::note_gap);
                    }
                    Next::End => return Left::Stopped,
                },
                Some(ask) = answers.recv() => leader.answered(&ask, self.moment()),
                _ = tick.tick() => ticked = true,
            }
            let (status, view) = {
                let seen = watch.borrow();
                (seen.status, Arc::clone(&seen.view))
            };
            if !status.leading || status.term != term {
                return Left::Deposed;
            }
            if ticked {
                let clock = self.hub().clock();
                let heard = self.hub().sessions(|it| {
                    it.tick(&view, clock);
                    it.heard()
                });
                for (node, at) in heard {
                    leader.hear(node, at);
                }
                self.propose(leader.tick(&view, clock, self.moment()), &answered);
                self.inner.metrics.breaker.set(leader.breaker_open().into());
            }
            if leader.is_due(&view, self.moment()) {
                let began = Instant::now();
                // Placing thousands of instances takes a while; the other tasks of this thread shall not wait for it.
                // It costs two changes of thread, as much as planning for one app.
                let ask = if leader.has_much_to_plan() {
                    tokio::task::block_in_place(|| leader.plan(&view, self.moment()))
                } else {
                    leader.plan(&view, self.moment())
                };
                self.inner.metrics.plan.observe(began.elapsed().as_secs_f64());
                self.propose(ask, &answered);
            }
        }
    }

    async fn note(
        &self,
        leader: &mut Leader,
        watch: &mut tokio::sync::watch::Receiver<replica::Seen<Arc<State>>>,
        happened: &[(u64, Arc<Happened>)],
    ) {
        let Some((through, _)) = happened.last() else { return };
        // Events are told before the state that has them is shown.
        let _ = watch.wait_for(|it| it.applied >= *through).await;
        let view = Arc::clone(&watch.borrow().view);
        let events = || happened.iter().flat_map(|(_, it)| &it.events);
        leader.note(&view, events());
        events().for_each(|it| self.inner.metrics.count(it));
        self.hub().sessions(|it| events().for_each(|event| it.note(&view, event)));
    }

    /// Proposes what the leader asks for, without waiting.
    fn propose(&self, asks: impl IntoIterator<Item = Ask>, answered: &mpsc::UnboundedSender<Ask>) {
        for ask in asks {
            let (control, answered) = (self.clone(), answered.clone());
            tokio::spawn(async move {
                if let Ask::Lose(node) = &ask {
                    tracing::warn!(%node, "node lost: its agent was not heard of");
                }
                if let Err(error) = control.submit(Principal::Leader, ask.command()).await {
                    tracing::debug!(%error, "the leader's own command was not taken");
                }
                // The term may have ended meanwhile.
                let _ = answered.send(ask);
            });
        }
    }
}

impl ControlPlane for Control {
    async fn submit(&self, principal: Principal, command: Command) -> Result<Applied, SubmitError> {
        let payload = payload(&principal, &command);
        match self.inner.replica.submit(payload).await {
            Ok(answer) => Ok(answer.reply?),
            Err(error) => Err(self.explain(error)),
        }
    }

    async fn view(&self, freshness: Freshness) -> Result<Arc<State>, SubmitError> {
        match freshness {
            Freshness::Local => Ok(self.inner.replica.local()),
            Freshness::Linearizable => self.inner.replica.read().await.map_err(|it| self.explain(it)),
        }
    }

    fn events(&self, after: Option<u64>) -> BoxStream<'static, EventItem> {
        let events = self.inner.replica.events(after);
        let items = stream::unfold(Some((events, after.is_some())), |reading| async move {
            let (mut events, may_miss) = reading?;
            let items = items(events.next().await, may_miss)?;
            // Who lagged has to come back; the stream must not go on as if nothing were missing.
            let goes_on = !matches!(items[..], [EventItem::Lagged]);
            Some((stream::iter(items), goes_on.then_some((events, false))))
        });
        let mut watch = self.inner.replica.watch();
        let stopped_leading = async move {
            // Who does not lead now may be about to; only the end of an office ends the stream.
            let _ = watch.wait_for(|it| it.status.leading).await;
            let _ = watch.wait_for(|it| !it.status.leading).await;
        };
        items.flatten().take_until(Box::pin(stopped_leading)).boxed()
    }

    fn answering(&self) -> Vec<NodeId> {
        self.hub().sessions(|it| it.answering().cloned().collect())
    }

    fn logs(&self, node: &NodeId, query: LogQuery) -> BoxStream<'static, LogAnswer> {
        let (hub, node) = (self.hub().clone(), node.clone());
        let answers = async move {
            let failed = |reason| stream::iter([LogAnswer::Failed { reason }]).boxed();
            match hub.ask(&node, &Question::Logs(query)).await {
                Err(reason) => failed(reason),
                Ok(link) => stream::unfold(Some(link), |link| async move {
                    let mut link = link?;
                    match tokio::time::timeout(ANSWERS_WITHIN, link.receive::<LogAnswer>()).await {
                        Ok(Ok(LogAnswer::End) | Err(api::link::Error::Closed)) => None,
                        Ok(Ok(answer)) => Some((answer, Some(link))),
                        Ok(Err(error)) => Some((LogAnswer::Failed { reason: error.to_string() }, None)),
                        Err(_) => {
                            let reason = format!("it said nothing for {} s", ANSWERS_WITHIN.as_secs());
                            Some((LogAnswer::Failed { reason }, None))
                        }
                    }
                })
                .boxed(),
            }
        };
        stream::once(answers).flatten().boxed()
    }

    fn leadership(&self) -> Leadership {
        let status = self.inner.replica.status();
        let http = |id: u64| self.inner.members.get(&id).map(|it| it.http.clone());
        Leadership {
            leading: status.leading,
            leader_http: status.leader.and_then(http),
            this_http: http(self.inner.id).unwrap_or_default(),
        }
    }

    async fn abdicate(&self) -> Result<(), SubmitError> {
        if self.inner.members.len() < 2 {
            let why = "this is the only member, and there is nobody to hand leadership over to".to_owned();
            return Err(SubmitError::Unavailable { why });
        }
        let mut watch = self.inner.replica.watch();
        if !watch.borrow().status.leading {
            return Err(SubmitError::NotLeader { leader: self.leadership().leader_http });
        }
        self.inner.replica.step_down();
        let left = tokio::time::timeout(HAND_OVER_MAX, watch.wait_for(|it| !it.status.leading)).await;
        match left {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(SubmitError::Unavailable { why: "this member has stopped".to_owned() }),
            Err(_) => {
                let why = format!(
                    "no other member took leadership over in {} s, and this one goes on leading: see whether the \
                     others run and are reached",
                    HAND_OVER_MAX.as_secs()
                );
                Err(SubmitError::Unavailable { why })
            }
        }
    }

    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(since_epoch.as_millis() as u64)
    }

    fn moment(&self) -> Moment {
        self.inner.replica.moment()
    }
}

impl Control {
    fn explain(&self, error: replica::SubmitError) -> SubmitError {
        match error {
            replica::SubmitError::Refused(Refused::NoLeader) => {
                SubmitError::NotLeader { leader: self.leadership().leader_http }
            }
            replica::SubmitError::Refused(Refused::Overloaded | Refused::TooLarge | Refused::DiskFull) => {
                SubmitError::Unavailable { why: error.to_string() }
            }
            replica::SubmitError::Refused(Refused::Unknown) | replica::SubmitError::Stopped => {
                SubmitError::Unknown { why: error.to_string() }
            }
        }
    }
}

/// What a reader is told next; `None` at the end. `may_miss` is whether it asked for a place in the log and was told
/// nothing yet: behind that, a gap is one that it made itself by being slow.
fn items(next: Next<Arc<Happened>>, may_miss: bool) -> Option<Vec<EventItem>> {
    match next {
        Next::Events(happened) => Some(happened.into_iter().map(|(_, it)| EventItem::Happened(it)).collect()),
        Next::Gap(through) if may_miss => Some(vec![EventItem::Gap { through }]),
        Next::Gap(_) => Some(vec![EventItem::Lagged]),
        Next::End => None,
    }
}

/// 48 bits that no other cluster has.
fn random_cluster() -> ClusterId {
    // The standard library seeds these from the system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    ClusterId((random & 0xffff_ffff_ffff).max(1))
}

/// What the leader's office measures.
struct Metrics {
    plan: Histogram,
    launches: IntCounter,
    stops: IntCounter,
    lost: IntCounter,
    breaker: IntGauge,
}

impl Metrics {
    fn new(registry: &Registry) -> Self {
        let buckets = prometheus::exponential_buckets(0.000_05, 4.0, 10).expect("constants in range");
        let options = HistogramOpts::new("ekiden_plan_seconds", "Time to plan: compare wanted with seen, and place.");
        let counter = |name: &str, help: &str| {
            let it = IntCounter::with_opts(Opts::new(name, help)).expect("the name is valid");
            registry.register(Box::new(it.clone())).expect("registered once");
            it
        };
        let it = Self {
            plan: Histogram::with_opts(options.buckets(buckets)).expect("the name is valid"),
            launches: counter("ekiden_launches_total", "Instances placed, while this member led."),
            stops: counter("ekiden_stops_total", "Instances told to end, while this member led."),
            lost: counter("ekiden_nodes_lost_total", "Nodes given up, while this member led."),
            breaker: IntGauge::new(
                "ekiden_breaker_open",
                "1 while so many nodes are silent at once that none is given up.",
            )
            .expect("the name is valid"),
        };
        registry.register(Box::new(it.plan.clone())).expect("registered once");
        registry.register(Box::new(it.breaker.clone())).expect("registered once");
        it
    }

    fn count(&self, event: &Event) {
        match event {
            Event::InstanceLaunched { .. } => self.launches.inc(),
            Event::InstanceStopping { .. } => self.stops.inc(),
            Event::NodeChanged { node } if node.is_lost() => self.lost.inc(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

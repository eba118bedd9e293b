//! A control plane in memory: one log, one state, no network and no disk. For tests.

use crate::control::{ControlPlane, EventItem, Freshness, Happened, Leadership, SubmitError};
use cluster::agent::{LogAnswer, LogQuery, Observation, Seen};
use cluster::{
    Agenda, Applied, CheckResult, ClusterId, Command, Condition, Entry, Goal, Health, Instance, Moment,
    NodeDescription, NodeId, PortRange, Principal, Rejected, Resources, Settings, State, Timestamp, plan,
};
use futures::stream::{self, BoxStream, StreamExt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::broadcast;

/// When the fake's clock starts: 2026-11-21T00:00:00.000Z.
const START: Timestamp = Timestamp(1_795_219_200_000);
/// So many events wait for a slow reader.
const EVENTS_WAITING_MAX: usize = 1024;

/// A control plane in memory. A clone is a handle to the same one.
#[derive(Clone, Debug)]
pub struct Fake(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    state: State,
    now: Timestamp,
    leadership: Leadership,
    history: Vec<EventItem>,
    first_kept: u64,
    readers: broadcast::Sender<EventItem>,
    failure: Option<SubmitError>,
    panics: bool,
    n_abdications: u32,
    last: Option<Command>,
    /// The states that were handed out.
    views: Vec<Weak<State>>,
    n_held: usize,
    /// What each node's containers wrote, as its agent tells it.
    logs: BTreeMap<NodeId, Vec<LogAnswer>>,
    queries: Vec<LogQuery>,
}

impl Inner {
    fn moment(&self) -> Moment {
        Moment(1 + self.now.since_ms(START))
    }
}

impl Default for Fake {
    fn default() -> Self {
        Self::new()
    }
}

impl Fake {
    /// A cluster that leads itself and has no nodes.
    pub fn new() -> Self {
        let fake = Self(Arc::new(Mutex::new(Inner {
            state: State::new(),
            now: START,
            leadership: Leadership {
                leading: true,
                leader_http: Some("leader:8080".to_owned()),
                this_http: "leader:8080".to_owned(),
            },
            history: Vec::new(),
            first_kept: 0,
            readers: broadcast::channel(EVENTS_WAITING_MAX).0,
            failure: None,
            panics: false,
            n_abdications: 0,
            last: None,
            views: Vec::new(),
            n_held: 0,
            logs: BTreeMap::new(),
            queries: Vec::new(),
        })));
        let _ = fake.apply(Principal::Leader, Command::Found { cluster: ClusterId(0x00e1_de40_e1de) });
        // Its agents do nothing unasked, so that deployments pile up; and its time stands still, so that nobody lives.
        let settings = Settings { max_deployments: u32::MAX, min_live_ms: 0, ..Settings::default() };
        let _ = fake.apply(Principal::Leader, Command::Configure { settings });
        fake
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked for last.
    pub fn last(&self) -> Option<Command> {
        self.inner().last.clone()
    }

    /// The state as it is.
    pub fn state(&self) -> State {
        self.inner().state.clone()
    }

    /// Goes on from another state, as a member does that was given a snapshot.
    pub fn restore(&self, state: State) {
        self.inner().state = state;
    }

    /// Sets who leads.
    pub fn set_leadership(&self, leadership: Leadership) {
        self.inner().leadership = leadership;
    }

    /// Lets every later request fail, or none.
    pub fn set_failure(&self, failure: Option<SubmitError>) {
        self.inner().failure = failure;
    }

    /// Has a node's agent answer so whenever it is asked what containers wrote.
    pub fn set_logs(&self, node: &str, answers: Vec<LogAnswer>) {
        self.inner().logs.insert(NodeId::new(node), answers);
    }

    /// What agents were asked of what containers wrote.
    pub fn log_queries(&self) -> Vec<LogQuery> {
        self.inner().queries.clone()
    }

    /// Panics when it is asked for a snapshot the next time, as a fault of the program does.
    pub fn panic_once(&self) {
        self.inner().panics = true;
    }

    /// How often it was asked to hand leadership over; it stays the leader.
    pub fn n_abdications(&self) -> u32 {
        self.inner().n_abdications
    }

    /// How many states were held by somebody while a change was proposed.
    pub fn n_held(&self) -> usize {
        self.inner().n_held
    }

    /// Forgets the events of all entries so far.
    pub fn forget_events(&self) {
        let mut inner = self.inner();
        inner.first_kept = inner.state.index() + 1;
        inner.history.clear();
    }

    /// Lets time pass.
    pub fn pass_ms(&self, ms: u64) {
        let mut inner = self.inner();
        inner.now = inner.now.plus_ms(ms);
    }

    /// Adds a node of this many cores and MiB of memory.
    pub fn add_node(&self, name: &str, cores: u64, mem_mib: u64) {
        let node = NodeDescription {
            id: NodeId::new(name),
            agent: name.bytes().fold(7, |sum, it| (sum * 31 + u64::from(it)) % 0xffff_fffb),
            address: format!("{name}.example"),
            capacity: Resources { cpu_milli: cores * 1000, memory_bytes: mem_mib << 20, disk_bytes: 100 << 30 },
            ports: PortRange::default(),
            attributes: [("rack".to_owned(), format!("r-{name}"))].into(),
            versions: [("docker".to_owned(), "20.10".to_owned())].into(),
            grants: cluster::Grants::default(),
        };
        let _ = self.apply(Principal::Agent(NodeId::new(name)), Command::Register { node });
    }

    /// Applies one entry.
    ///
    /// # Errors
    /// The state's refusal.
    pub fn apply(&self, principal: Principal, command: Command) -> Result<Applied, Rejected> {
        let mut inner = self.inner();
        inner.now = inner.now.plus_ms(1);
        let (index, time, moment) = (inner.state.index() + 1, inner.now, inner.moment());
        let entry = Entry { index, time, moment, principal: principal.clone(), command };
        let applied = inner.state.apply(entry)?;
        if !applied.events.is_empty() {
            let (index, time, events) = (applied.index, inner.state.time(), applied.events.clone());
            let item = EventItem::Happened(Arc::new(Happened { index, time, principal, events }));
            inner.history.push(item.clone());
            // Nobody may be reading.
            let _ = inner.readers.send(item);
        }
        Ok(applied)
    }

    /// Plans and executes until nothing is left to do; agents do nothing.
    pub fn plan(&self) {
        loop {
            let (state, now) = (self.state(), self.inner().moment());
            let steps = plan(&state, &mut Agenda::everything(&state), now).steps;
            if steps.is_empty() || self.apply(Principal::Leader, Command::Execute { steps }).is_err() {
                return;
            }
        }
    }

    /// Lets agents do all they are told, healthily, until the cluster is at rest.
    pub fn settle(&self) {
        loop {
            self.plan();
            let reports: Vec<_> = self.state().instances().filter_map(|it| Some((it.clone(), next(it)?))).collect();
            if reports.is_empty() {
                return;
            }
            for (instance, seen) in reports {
                self.report(&instance, seen);
            }
        }
    }

    /// Reports what an agent saw of an instance.
    pub fn report(&self, instance: &Instance, seen: Seen) {
        let observations = vec![Observation {
            instance: instance.id,
            judged_by: Timestamp::default(),
            trial: None,
            seen,
            evidence: None,
        }];
        let report = Command::Report { node: instance.node.clone(), observations, destroyed: Vec::new() };
        let _ = self.apply(Principal::Agent(instance.node.clone()), report);
    }

    /// What an agent sees of an instance whose only check has this result.
    pub fn seen_running(healthy: bool) -> Seen {
        let at = Some(START);
        let check = CheckResult {
            alive: healthy,
            consecutive_failures: u32::from(!healthy),
            forgiven: false,
            first_success: at.filter(|_| healthy),
            last_success: at.filter(|_| healthy),
            last_failure: at.filter(|_| !healthy),
            last_failure_cause: (!healthy).then(|| "503 Service Unavailable".to_owned()),
        };
        let health = if healthy { Health::Healthy } else { Health::Unhealthy };
        Seen::Running {
            ip: Some("172.17.0.2".to_owned()),
            health,
            checks: vec![check],
            readiness: cluster::Readiness::default(),
        }
    }
}

/// What an obedient agent sees next of an instance; nothing once it is as wanted.
fn next(instance: &Instance) -> Option<Seen> {
    match (instance.goal, &instance.condition) {
        (Goal::Stop(_), _) | (_, Condition::Ended(_)) => Some(Seen::Removed),
        (Goal::Run, Condition::Staging) => Some(Fake::seen_running(true)),
        (Goal::Run, Condition::Running) => None,
    }
}

impl ControlPlane for Fake {
    async fn submit(&self, principal: Principal, command: Command) -> Result<Applied, SubmitError> {
        {
            let mut inner = self.inner();
            inner.views.retain(|it| it.strong_count() > 0);
            inner.n_held += inner.views.len();
            inner.last = Some(command.clone());
            if let Some(failure) = &inner.failure {
                return Err(failure.clone());
            }
        }
        Ok(self.apply(principal, command)?)
    }

    async fn view(&self, _freshness: Freshness) -> Result<Arc<State>, SubmitError> {
        let mut inner = self.inner();
        if std::mem::take(&mut inner.panics) {
            drop(inner);
            panic!("planted");
        }
        if let Some(failure) = &inner.failure {
            return Err(failure.clone());
        }
        let view = Arc::new(inner.state.clone());
        inner.views.push(Arc::downgrade(&view));
        Ok(view)
    }

    fn events(&self, after: Option<u64>) -> BoxStream<'static, EventItem> {
        let inner = self.inner();
        let live = inner.readers.subscribe();
        let mut first = Vec::new();
        if let Some(after) = after {
            if after + 1 < inner.first_kept {
                first.push(EventItem::Gap { through: inner.first_kept - 1 });
            }
            first.extend(inner.history.iter().filter(|it| index_of(it) > after).cloned());
        }
        let live = stream::unfold(Some(live), |live| async move {
            let mut live = live?;
            match live.recv().await {
                Ok(item) => Some((item, Some(live))),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((EventItem::Lagged, None)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        stream::iter(first).chain(live).boxed()
    }

    fn answering(&self) -> Vec<NodeId> {
        self.inner().logs.keys().cloned().collect()
    }

    fn logs(&self, node: &NodeId, query: LogQuery) -> BoxStream<'static, LogAnswer> {
        let mut inner = self.inner();
        inner.queries.push(query);
        let answers = inner.logs.get(node).cloned().unwrap_or_default();
        stream::iter(answers).boxed()
    }

    fn leadership(&self) -> Leadership {
        self.inner().leadership.clone()
    }

    async fn abdicate(&self) -> Result<(), SubmitError> {
        let mut inner = self.inner();
        if let Some(failure) = &inner.failure {
            return Err(failure.clone());
        }
        inner.n_abdications += 1;
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.inner().now
    }

    fn moment(&self) -> Moment {
        self.inner().moment()
    }
}

fn index_of(item: &EventItem) -> u64 {
    match item {
        EventItem::Happened(it) => it.index,
        EventItem::Gap { through } => *through,
        EventItem::Lagged => u64::MAX,
    }
}

//! What a leader does besides answering: plans, and gives nodes up.
//!
//! Pure: the shell in [`control`](crate::control) feeds it events, signs of life and the time, and proposes the
//! commands it asks for. A new leader starts with nothing but the state.

use cluster::liveness::Liveness;
use cluster::{Agenda, AppId, ClusterId, Command, Event, Moment, NodeId, Settings, State, Timestamp, plan};

/// A leader's own work. Made anew for each term of office: no timer and no judgement of an earlier one survives.
#[derive(Debug)]
pub struct Leader {
    /// The name that a cluster without one gets.
    cluster: ClusterId,
    /// What this member's operator has set.
    settings: Settings,
    agenda: Agenda,
    liveness: Liveness,
    /// The apps of the plan that was proposed and is not answered yet. There is never a second one: it would be made
    /// from a state without the first.
    under_way: Option<Vec<AppId>>,
    /// A command that is not a plan was proposed and is not answered yet.
    asked: bool,
    /// About how many instances the next plan has to think about.
    n_noted: usize,
}

/// A command that the leader wants in the log. Answer it by [`Leader::answered`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The next steps of the plan.
    Plan(Command),
    /// Anything else: found the cluster, take the operator's settings, give nodes up.
    Other(Command),
}

/// An app of a plan is looked at again after so long, whatever became of the plan's steps.
const LOOK_AGAIN_MS: u64 = 1_000;

/// While something waits for its time, the log says at least so often how late it is: what passes in between is waited
/// for again when all members start anew.
const MARK_EVERY_MS: u64 = 30_000;

/// From so many instances on a plan is much. Thinking about as many takes some hundred microseconds.
const MUCH: usize = 64;

impl Leader {
    /// Takes office at `clock`, milliseconds of a monotonic clock. Nodes have `loss_after_ms` to be heard of.
    pub fn new(state: &State, cluster: ClusterId, settings: Settings, loss_after_ms: u64, clock: Timestamp) -> Self {
        Self {
            cluster,
            settings,
            agenda: Agenda::everything(state),
            liveness: Liveness::new(loss_after_ms, clock),
            under_way: None,
            asked: false,
            n_noted: MUCH,
        }
    }

    /// Takes note of what happened. `state` is the state after it.
    pub fn note<'a>(&mut self, state: &State, events: impl IntoIterator<Item = &'a Event>) {
        for event in events {
            self.n_noted = self.n_noted.saturating_add(weight(event));
            self.agenda.note(state, std::slice::from_ref(event));
        }
    }

    /// Looks at everything again: what happened was not heard of.
    pub fn note_gap(&mut self, state: &State) {
        self.agenda = Agenda::everything(state);
        self.n_noted = MUCH;
    }

    /// Takes note of a sign of life, at `clock`.
    pub fn hear(&mut self, node: NodeId, clock: Timestamp) {
        self.liveness.hear(node, clock);
    }

    /// Whether so many nodes are silent that none is given up.
    pub const fn breaker_open(&self) -> bool {
        self.liveness.breaker_open()
    }

    /// What the leader wants in the log because time passed; to be asked several times a second. `clock` is the
    /// monotonic clock's time, `now` the cluster's own. One command at a time.
    pub fn tick(&mut self, state: &State, clock: Timestamp, now: Moment) -> Option<Ask> {
        let lost = self.liveness.lost(state, clock).into_iter().next();
        if self.asked {
            return None;
        }
        let command = match lost {
            _ if state.cluster() == ClusterId::default() => Command::Found { cluster: self.cluster },
            _ if *state.settings() != self.settings => Command::Configure { settings: self.settings.clone() },
            Some(node) => Command::Lose { node },
            // Nothing to do, but the log knows how late it is: a member that starts goes on from there.
            None if now.since_ms(state.moment()) >= MARK_EVERY_MS && self.agenda.awaits_time(state) => {
                Command::Execute { steps: Vec::new() }
            }
            None => return None,
        };
        self.asked = true;
        Some(Ask::Other(command))
    }

    /// Whether [`plan`](Self::plan) has something to think about at `now`.
    pub fn is_due(&self, state: &State, now: Moment) -> bool {
        let founded = state.cluster() != ClusterId::default();
        founded && self.under_way.is_none() && self.agenda.is_due(now.max(state.moment()))
    }

    /// Whether [`plan`](Self::plan) may take so long that others would feel it.
    pub const fn has_much_to_plan(&self) -> bool {
        self.n_noted >= MUCH
    }

    /// The next steps, if there are any and no plan is under way. `state` has everything that was noted and the last
    /// answered plan; `now` is the cluster's own time. May take long when much is to be placed.
    pub fn plan(&mut self, state: &State, now: Moment) -> Option<Ask> {
        if !self.is_due(state, now) {
            return None;
        }
        let plan = plan(state, &mut self.agenda, now.max(state.moment()));
        if !self.agenda.is_due(now.max(state.moment())) {
            self.n_noted = 0;
        }
        if plan.steps.is_empty() {
            return None;
        }
        self.under_way = Some(plan.apps);
        Some(Ask::Plan(Command::Execute { steps: plan.steps }))
    }

    /// Takes note that a command was answered, whatever the answer.
    pub fn answered(&mut self, ask: &Ask, now: Moment) {
        match ask {
            Ask::Other(_) => self.asked = false,
            Ask::Plan(_) => {
                for app in self.under_way.take().into_iter().flatten() {
                    self.agenda.look_again(app, now.plus_ms(LOOK_AGAIN_MS));
                }
            }
        }
    }
}

/// About how many instances there are to think about after an event.
fn weight(event: &Event) -> usize {
    match event {
        Event::AppPut { version, .. } => version.spec.instances as usize,
        // Room may have come for all that wait.
        Event::InstanceRemoved { .. } | Event::NodeChanged { .. } | Event::NodeRemoved { .. } => MUCH,
        _ => 1,
    }
}

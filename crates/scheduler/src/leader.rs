//! What a leader does besides answering: plans, and gives nodes up.
//!
//! Pure: the shell in [`control`](crate::control) feeds it events, signs of life and the time, and proposes the
//! commands it asks for. A new leader starts with nothing but the state.

use cluster::agent::Pace;
use cluster::liveness::Liveness;
use cluster::{Agenda, AppId, ClusterId, Command, Event, Moment, NodeId, Settings, State, Timestamp, plan};
use std::collections::BTreeSet;

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
    /// A command that is neither a plan nor about a node was proposed and is not answered yet.
    asked: bool,
    /// The nodes that are being given up.
    losing: BTreeSet<NodeId>,
    /// About how many instances the next plan has to think about.
    n_noted: usize,
}

/// A command that the leader wants in the log. Answer it by [`Leader::answered`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The next steps of the plan.
    Plan(Command),
    /// Found the cluster, or take the operator's settings.
    Other(Command),
    /// Give a node up.
    Lose(NodeId),
}

impl Ask {
    /// The command that is wanted.
    pub fn command(&self) -> Command {
        match self {
            Self::Plan(command) | Self::Other(command) => command.clone(),
            Self::Lose(node) => Command::Lose { node: node.clone() },
        }
    }
}

/// An app of a plan is looked at again after so long, whatever became of the plan's steps.
const LOOK_AGAIN_MS: u64 = 1_000;

/// While something waits for its time, the log says at least so often how late it is: what passes in between is waited
/// for again when all members start anew.
const MARK_EVERY_MS: u64 = 30_000;

/// So many nodes are given up at once, at most; the others follow with the next answers. A hundred of them with all
/// their instances take the log some ten milliseconds, and others want to write too.
const LOSING_MAX: usize = 100;

/// From so many instances on a plan is much. Thinking about as many takes some hundred microseconds.
const MUCH: usize = 64;

impl Leader {
    /// Takes office at `clock`, milliseconds of a monotonic clock. A leader that was deposed without its knowledge goes
    /// on answering agents for at most `step_down_ms`.
    pub fn new(state: &State, cluster: ClusterId, settings: Settings, step_down_ms: u64, clock: Timestamp) -> Self {
        let loss_after_ms = settings.node_loss_after_ms;
        // Agents keep the pace that the last leader told them, whose operator may have set something else.
        let find_ms = |loss_after_ms| Pace::of(loss_after_ms).find_ms(step_down_ms);
        let find_ms = find_ms(loss_after_ms).max(find_ms(state.settings().node_loss_after_ms));
        Self {
            cluster,
            settings,
            agenda: Agenda::everything(state),
            liveness: Liveness::new(state, loss_after_ms, find_ms, clock),
            under_way: None,
            asked: false,
            losing: BTreeSet::new(),
            n_noted: MUCH,
        }
    }

    /// Takes note of what happened. `state` is the state after it.
    pub fn note<'a>(&mut self, state: &State, events: impl IntoIterator<Item = &'a Event>) {
        for event in events {
            self.n_noted = self.n_noted.saturating_add(weight(event));
            if let Event::NodeChanged { node } = event {
                self.liveness.expect(node.id());
            }
            self.agenda.note(state, std::slice::from_ref(event));
        }
    }

    /// Looks at everything again: what happened was not heard of.
    pub fn note_gap(&mut self, state: &State) {
        self.agenda = Agenda::everything(state);
        state.nodes().for_each(|it| self.liveness.expect(it.id()));
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
    /// monotonic clock's time, `now` the cluster's own.
    pub fn tick(&mut self, state: &State, clock: Timestamp, now: Moment) -> Vec<Ask> {
        let lost = self.liveness.lost(state, clock);
        let command = if state.cluster() == ClusterId::default() {
            Command::Found { cluster: self.cluster }
        } else if *state.settings() != self.settings {
            Command::Configure { settings: self.settings.clone() }
        } else {
            // What is under way is not in the state yet, and must not be asked for again.
            let room = LOSING_MAX.saturating_sub(self.losing.len());
            let news: Vec<_> = lost.into_iter().filter(|it| !self.losing.contains(it)).take(room).collect();
            self.losing.extend(news.iter().cloned());
            let late = now.since_ms(state.moment()) >= MARK_EVERY_MS && self.agenda.awaits_time(state);
            if !news.is_empty() || !self.losing.is_empty() || !late {
                return news.into_iter().map(Ask::Lose).collect();
            }
            // Nothing to do, but the log knows how late it is: a member that starts goes on from there.
            Command::Execute { steps: Vec::new() }
        };
        if std::mem::replace(&mut self.asked, true) { Vec::new() } else { vec![Ask::Other(command)] }
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
            Ask::Lose(node) => drop(self.losing.remove(node)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::testing::cluster_of;
    use cluster::{Entry, Principal};

    #[test]
    fn many_nodes_are_given_up_at_once_each_once_and_never_most_of_them() {
        let mut state = cluster_of(1_000);
        let mut leader = Leader::new(&state, ClusterId(1), Settings::default(), 0, Timestamp(0));
        let lose = |leader: &mut Leader, state: &State, n_heard: usize, clock: u64| -> Vec<Ask> {
            for node in state.nodes().take(n_heard) {
                leader.hear(node.id().clone(), Timestamp(clock));
            }
            leader.tick(state, Timestamp(clock), state.moment())
        };
        for clock in (100..10_000).step_by(100) {
            assert_eq!(lose(&mut leader, &state, 750, clock), []);
        }
        let first = lose(&mut leader, &state, 750, 10_000);
        assert_eq!(first.len(), LOSING_MAX, "a tenth of them in one tick, not in ten seconds");
        assert_eq!(lose(&mut leader, &state, 750, 10_100), [], "they are on their way");
        for (n, ask) in first.iter().enumerate() {
            let index = state.index() + 1;
            let (time, moment, command) = (Timestamp(20_000), Moment(20_000), ask.command());
            let entry = Entry { index, time, moment, principal: Principal::Leader, command };
            state.apply(entry).expect("it is lost");
            leader.answered(ask, Moment(20_000 + n as u64));
        }
        let second = lose(&mut leader, &state, 750, 10_200);
        assert_eq!(second.len(), LOSING_MAX);
        assert!(second.iter().all(|it| !first.contains(it)));
        for ask in &second {
            leader.answered(ask, Moment(20_000));
        }

        // More than half of those that are left: the leader is the one who is cut off.
        for clock in (10_300..25_000).step_by(100) {
            let asked = lose(&mut leader, &state, 200, clock);
            for ask in &asked {
                leader.answered(ask, Moment(20_000));
            }
            assert!(clock < 20_200 || (asked.is_empty() && leader.breaker_open()), "{} at {clock}", asked.len());
        }
    }
}

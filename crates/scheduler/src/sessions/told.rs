//! What an agent that was taken in says, and how it gets into the log.

use super::{Answer, Asked, Attempt, Effect, LinkId, OBEYS_WITHIN_MS, Question, Report, Sessions, Strangers};
use cluster::agent::{FromAgent, ToAgent, bound_observations, bound_text};
use cluster::catalog::MAX_WRITERS;
use cluster::{Command, NodeId, NodeStatus, Principal, State, Timestamp};

/// No agent tells of more containers that nobody speaks of.
const STRANGERS_TOLD_MAX: usize = 10_000;

impl Sessions {
    pub(super) fn told(&mut self, link: LinkId, node: NodeId, message: FromAgent, state: &State, clock: Timestamp) {
        let Some(session) = self.links.get_mut(&link) else { return };
        match message {
            FromAgent::Alive => {
                session.alive = true;
                self.effects.push(Effect::Wake(link));
            }
            FromAgent::Obeys { generation } => {
                session.alive = true;
                let goes_on = session.obeys.is_none_or(|it| it < generation);
                session.obeys = Some(generation);
                // Each order that it took is a sign that it takes orders; more may have been sent meanwhile.
                session.owes = session.owes.filter(|it| it.0 > generation);
                if let Some(owes) = session.owes.as_mut().filter(|_| goes_on) {
                    owes.1 = clock;
                }
                if session.owes.is_none() {
                    self.undeafen(&node, state);
                }
                self.effects.push(Effect::Wake(link));
            }
            // One at a time; whoever does not wait would fill the log, or our memory.
            FromAgent::Report { .. } if session.report.is_some() => self.end(link, None),
            FromAgent::Report { sequence, observations, destroyed } => {
                let Ok((mut observations, mut destroyed)) = bound_observations(observations, destroyed) else {
                    return self.end(link, None);
                };
                for it in observations.iter_mut().filter(|it| it.evidence.is_some()) {
                    if !state.wants_evidence(it.instance) {
                        it.evidence = None;
                    }
                }
                if self.nodes.get(&node).is_none_or(|it| it.n_reports == 0) {
                    observations.retain(|it| state.is_news(&node, it));
                    let known = state.node(&node);
                    destroyed.retain(|it| known.is_some_and(|node| node.reservations.contains(it)));
                }
                if observations.is_empty() && destroyed.is_empty() {
                    session.reported = Some(sequence);
                    return self.effects.push(Effect::Wake(link));
                }
                let attempt = Attempt::WaitsUntil(clock);
                session.report = Some(Report { sequence, observations, destroyed, attempt });
                self.submit_report(link, node);
            }
            FromAgent::Strangers { strangers } if strangers.len() > STRANGERS_TOLD_MAX => self.end(link, None),
            FromAgent::Strangers { strangers } => {
                session.strangers = Some(Strangers { strangers, attempt: Attempt::WaitsUntil(clock) });
                self.find(link, &node, state);
            }
            FromAgent::Writers { writers } if writers.len() > MAX_WRITERS => self.end(link, None),
            FromAgent::Writers { writers } => {
                session.gone = Some(state.gone_among(writers));
                self.effects.push(Effect::Wake(link));
            }
            FromAgent::Degraded { reason } => {
                if let Some(seat) = self.nodes.get_mut(&node) {
                    seat.own = reason.map(bound_text);
                    self.degrade(&node, state);
                }
            }
            FromAgent::Hello { .. } => self.end(link, None),
        }
    }

    pub(super) fn submit_report(&mut self, link: LinkId, node: NodeId) {
        let Some(report) = self.links.get(&link).and_then(|it| it.report.as_ref()) else { return };
        let (observations, destroyed) = (report.observations.clone(), report.destroyed.clone());
        let command = Command::Report { node: node.clone(), observations, destroyed };
        self.nodes.entry(node.clone()).or_default().n_reports += 1;
        let question = self.ask(Asked::Reported { link, node: node.clone() }, Principal::Agent(node), command);
        if let Some(report) = self.links.get_mut(&link).and_then(|it| it.report.as_mut()) {
            report.attempt = Attempt::Asked(question);
        }
    }

    pub(super) fn reported(
        &mut self,
        link: LinkId,
        node: &NodeId,
        question: Question,
        answer: &Answer,
        clock: Timestamp,
    ) {
        if let Some(seat) = self.nodes.get_mut(node) {
            seat.n_reports = seat.n_reports.saturating_sub(1);
        }
        let Some(session) = self.links.get_mut(&link) else { return };
        let Some(report) = session.report.as_mut().filter(|it| it.attempt == Attempt::Asked(question)) else { return };
        match answer {
            Answer::Done => {
                session.reported = Some(report.sequence);
                session.report = None;
                self.effects.push(Effect::Wake(link));
            }
            // It was heard all the same. The report waits here, so that the agent need not dial anew.
            Answer::NotNow => report.attempt = Attempt::again(clock),
            Answer::Refused { .. } => self.end(link, None),
            Answer::Gone => self.end(link, Some(ToAgent::Elsewhere { leader: None })),
        }
    }

    /// Brings the containers that nobody speaks of into the log, if there are others than the state has.
    pub(super) fn find(&mut self, link: LinkId, node: &NodeId, state: &State) {
        let Some(session) = self.links.get_mut(&link) else { return };
        let Some(found) = session.strangers.as_ref() else { return };
        if state.node(node).is_none_or(|it| state.orphans_among(it, &found.strangers) == it.orphans) {
            session.strangers = None;
            return;
        }
        let command = Command::FindStrangers { node: node.clone(), strangers: found.strangers.clone() };
        let question = self.ask(Asked::Strangers { link }, Principal::Agent(node.clone()), command);
        if let Some(found) = self.links.get_mut(&link).and_then(|it| it.strangers.as_mut()) {
            found.attempt = Attempt::Asked(question);
        }
    }

    pub(super) fn found(&mut self, link: LinkId, question: Question, answer: &Answer, clock: Timestamp) {
        let Some(session) = self.links.get_mut(&link) else { return };
        // Others may have been told meanwhile, which are asked for on their own.
        let Some(found) = session.strangers.as_mut().filter(|it| it.attempt == Attempt::Asked(question)) else {
            return;
        };
        match answer {
            Answer::NotNow => found.attempt = Attempt::again(clock),
            Answer::Done | Answer::Refused { .. } => session.strangers = None,
            Answer::Gone => self.end(link, Some(ToAgent::Elsewhere { leader: None })),
        }
    }

    pub(super) fn deafen(&mut self, node: &NodeId, state: &State) {
        if let Some(seat) = self.nodes.get_mut(node) {
            seat.deaf = true;
            self.degrade(node, state);
        }
    }

    fn undeafen(&mut self, node: &NodeId, state: &State) {
        if let Some(seat) = self.nodes.get_mut(node).filter(|it| it.deaf) {
            seat.deaf = false;
            self.degrade(node, state);
        }
    }

    /// Brings what is known of a node's condition into the log, if it says something else.
    pub(super) fn degrade(&mut self, node: &NodeId, state: &State) {
        let Some(seat) = self.nodes.get_mut(node) else { return };
        if matches!(seat.degrade, Some(Attempt::Asked(_))) {
            // The answer to it comes back here.
            return;
        }
        seat.degrade = None;
        let reason = seat.own.clone().or_else(|| seat.deaf.then(deafness));
        let logged = match state.node(node).map(|it| &it.status) {
            Some(NodeStatus::Ready) => None,
            Some(NodeStatus::Degraded { reason }) => Some(reason),
            Some(NodeStatus::Lost { .. }) | None => return,
        };
        if logged != reason.as_ref() {
            let command = Command::Degrade { node: node.clone(), reason };
            let question = self.ask(Asked::Degraded { node: node.clone() }, Principal::Agent(node.clone()), command);
            if let Some(seat) = self.nodes.get_mut(node) {
                seat.degrade = Some(Attempt::Asked(question));
            }
        }
    }

    pub(super) fn degraded(
        &mut self,
        node: &NodeId,
        question: Question,
        answer: &Answer,
        state: &State,
        clock: Timestamp,
    ) {
        let Some(seat) = self.nodes.get_mut(node) else { return };
        if seat.degrade != Some(Attempt::Asked(question)) {
            return;
        }
        seat.degrade = (*answer == Answer::NotNow).then(|| Attempt::again(clock));
        if seat.degrade.is_none() && *answer == Answer::Done {
            // There may be something newer to tell.
            self.degrade(node, state);
        }
    }
}

fn deafness() -> String {
    format!(
        "its agent gives signs of life but has not taken its orders for {} s: see the agent's log, and restart it if it \
         hangs",
        OBEYS_WITHIN_MS / 1_000
    )
}

//! How an agent is taken in.

use super::{Answer, Asked, Attempt, Effect, Life, LinkId, Phase, Question, Session, Sessions};
use cluster::agent::{FromAgent, PROTOCOL, ToAgent};
use cluster::claims::Verdict;
use cluster::{ClusterId, Command, Node, NodeDescription, Principal, State, Timestamp};

impl Sessions {
    /// Somebody says who it is.
    pub(super) fn hello(&mut self, link: LinkId, hello: FromAgent, state: &State, clock: Timestamp) {
        let FromAgent::Hello { protocol: spoken, cluster: served, node, life, taken_in, relay, opens } = hello else {
            return;
        };
        let Some(session) = self.links.get_mut(&link) else { return };
        if session.protocol != PROTOCOL || spoken != PROTOCOL {
            let reason =
                format!("the agent speaks protocol {spoken}, this member {PROTOCOL}: run the same version of both");
            return self.end(link, Some(ToAgent::Refused { reason }));
        }
        if !self.leading {
            if let Some(to) = self.leader.filter(|_| relay) {
                session.phase = Phase::Relayed;
                // The leader is the only one who may be asked: two that take each other for it must not pass it on.
                session.relay = Some((
                    to,
                    FromAgent::Hello { protocol: spoken, cluster: served, node, life, taken_in, relay: false, opens },
                ));
                return self.effects.push(Effect::Wake(link));
            }
            return self.end(link, Some(self.elsewhere()));
        }
        let founded = state.cluster();
        if founded == ClusterId::default() {
            return self.end(link, Some(ToAgent::Elsewhere { leader: None }));
        }
        let stranger = served.filter(|it| *it != founded).map(|served| {
            format!(
                "the agent's data directory belongs to cluster {served}, this is cluster {founded}: give the agent an \
                 empty data directory to move it here (containers of the other cluster stay as they are)"
            )
        });
        if let Some(reason) = stranger.or_else(|| node.objection()) {
            return self.end(link, Some(ToAgent::Refused { reason }));
        }
        let life = Life { identity: node.agent, drawn: life };
        if let Some(farewell) = self.judge(life, &node, taken_in, state, clock) {
            return self.end(link, Some(farewell));
        }
        self.hear_joining(&node, state, clock);
        if let Some(session) = self.links.get_mut(&link) {
            session.life = life;
            session.opens = opens;
        }
        session_joins(self, link, node);
        self.join(link, state);
    }

    /// Whether an agent may not be taken in, as far as its identity goes; where there are two lives of one, the other's
    /// session ends too.
    fn judge(
        &mut self,
        life: Life,
        node: &NodeDescription,
        taken_in: bool,
        state: &State,
        clock: Timestamp,
    ) -> Option<ToAgent> {
        if life.drawn == 0 {
            return None;
        }
        // Also of one that is lost: both are refused for so long that it is given up.
        let is_it = |it: &Node| it.description.agent == node.agent;
        let fresh = !taken_in && state.nodes().any(|it| is_it(it));
        let from = format!("{} ({})", node.id, node.address);
        match self.claims.claim(life.identity, life.drawn, &from, fresh, clock) {
            Verdict::Welcome => None,
            Verdict::Wait { .. } => {
                // Whichever of its lives it is, the node is there.
                self.hear_joining(node, state, clock);
                Some(ToAgent::Elsewhere { leader: None })
            }
            Verdict::Copied { reason, others } => {
                let is_other = |it: &Session| it.life.identity == life.identity && others.contains(&it.life.drawn);
                let links: Vec<LinkId> = self.links.iter().filter(|it| is_other(it.1)).map(|it| *it.0).collect();
                for link in links {
                    self.end(link, Some(ToAgent::Refused { reason: reason.clone() }));
                }
                Some(ToAgent::Refused { reason })
            }
        }
    }

    /// A sign of life of an agent that is not taken in yet. It counts if the node is that agent's.
    pub(super) fn hear_joining(&mut self, node: &NodeDescription, state: &State, clock: Timestamp) {
        let is_it = |it: &Node| it.description.agent == node.agent;
        // It may be known by another name still.
        let known = state.node(&node.id).filter(|it| is_it(it)).or_else(|| state.nodes().find(|it| is_it(it)));
        if let Some(known) = known {
            self.heard.insert(known.id().clone(), clock);
        }
    }

    /// Asks for what must be so before the agent is taken in. A node that is known as it is needs no entry in the log:
    /// only the certainty that this member leads still, and has all that earlier leaders decided.
    pub(super) fn join(&mut self, link: LinkId, state: &State) {
        let Some(Phase::Joining { node, .. }) = self.links.get(&link).map(|it| &it.phase) else { return };
        let question = if is_known(node, state) {
            self.next_question += 1;
            let question = self.next_question;
            self.questions.insert(question, Asked::Known { link });
            self.effects.push(Effect::Read { question });
            question
        } else {
            let node = node.clone();
            self.ask(Asked::Registered { link }, Principal::Agent(node.id.clone()), Command::Register { node })
        };
        if let Some(Phase::Joining { attempt, .. }) = self.links.get_mut(&link).map(|it| &mut it.phase) {
            *attempt = Attempt::Asked(question);
        }
    }

    pub(super) fn joined(
        &mut self,
        link: LinkId,
        question: Question,
        answer: Answer,
        registered: bool,
        state: &State,
        clock: Timestamp,
    ) {
        let Some(session) = self.links.get_mut(&link) else { return };
        let Phase::Joining { node, attempt } = &mut session.phase else { return };
        if *attempt != Attempt::Asked(question) {
            return;
        }
        match answer {
            Answer::Done if registered || is_known(node, state) => {
                let id = node.id.clone();
                session.welcome = Some(ToAgent::Welcome {
                    cluster: state.cluster(),
                    node: id.clone(),
                    alive_every_ms: self.pace.alive_every_ms,
                    pace: Some(self.pace),
                });
                session.news.all = true;
                session.phase = Phase::Open { node: id.clone() };
                let seat = self.nodes.entry(id.clone()).or_default();
                let old = seat.link.replace(link);
                self.heard.insert(id, clock);
                if let Some(old) = old {
                    self.end(old, None);
                }
                self.effects.push(Effect::Wake(link));
            }
            // It was given up meanwhile.
            Answer::Done => self.join(link, state),
            Answer::NotNow => *attempt = Attempt::again(clock),
            Answer::Refused { reason } => self.end(link, Some(ToAgent::Refused { reason })),
            Answer::Gone => self.end(link, Some(ToAgent::Elsewhere { leader: None })),
        }
    }
}

fn session_joins(sessions: &mut Sessions, link: LinkId, node: NodeDescription) {
    if let Some(session) = sessions.links.get_mut(&link) {
        session.phase = Phase::Joining { node, attempt: Attempt::WaitsUntil(Timestamp::default()) };
    }
}

fn is_known(node: &NodeDescription, state: &State) -> bool {
    state.node(&node.id).is_some_and(|it| !it.is_lost() && *it.description == *node)
}

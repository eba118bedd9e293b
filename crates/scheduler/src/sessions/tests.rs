//! Sessions in stories: agents that dial, talk, fall silent, and members that lead, follow and run out of room.

mod identity;
mod questions;
mod rest;

use super::*;
use api::link::{MAX_FRAME_BYTES, encode};
use cluster::agent::{Assignment, Input, PROTOCOL, Parts, Seen};
use cluster::{
    Agenda, ClusterId, End, EndKind, Entry, Evidence, Expect, Health, Moment, NodeDescription, NodeStatus, PortRange,
    Readiness, Resources, plan,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const CLUSTER: ClusterId = ClusterId(7);

/// A member with its state, and what its sessions asked for.
struct Desk {
    sessions: Sessions,
    state: State,
    agenda: Agenda,
    clock: u64,
    asked: Vec<Effect>,
    next_link: LinkId,
}

fn node(n: u32) -> NodeDescription {
    NodeDescription {
        id: NodeId::new(&format!("n{n}")),
        agent: u64::from(n),
        address: format!("10.0.0.{n}"),
        capacity: Resources { cpu_milli: 1 << 20, memory_bytes: 1 << 50, disk_bytes: 1 << 50 },
        ports: PortRange::default(),
        attributes: BTreeMap::new(),
        versions: BTreeMap::new(),
        grants: cluster::Grants::default(),
    }
}

fn app(definition: &Value) -> cluster::AppSpec {
    let definition = definition.as_object().expect("an object");
    let Ok(id) = api::from_wire::app_id(definition) else { panic!("an id") };
    match api::from_wire::app(&id, definition, &cluster::Settings::default()) {
        Ok((spec, _)) => spec,
        Err(problems) => panic!("no app: {problems:?}"),
    }
}

/// So many small instances.
fn small(instances: u32, label: &str) -> cluster::AppSpec {
    app(&json!({
        "id": "/a", "instances": instances, "cpus": 0.01, "mem": 8, "cmd": "x", "labels": { "l": label },
        "container": { "docker": { "image": "i" } }
    }))
}

impl Desk {
    /// A leader of a cluster of one node, `n1`.
    fn new() -> Self {
        let members = BTreeMap::from([(1, "a:1".to_owned()), (2, "b:1".to_owned())]);
        let mut desk = Self {
            sessions: Sessions::new(Config { members, loss_after_ms: 10_000 }),
            state: State::new(),
            agenda: Agenda::default(),
            clock: 1_000,
            asked: Vec::new(),
            next_link: 0,
        };
        desk.sessions.take_office(Timestamp(1_000));
        desk.apply(Command::Found { cluster: CLUSTER });
        desk.apply(Command::Register { node: node(1) });
        desk
    }

    fn apply(&mut self, command: Command) {
        let index = self.state.index() + 1;
        let at = self.clock + index;
        let (time, moment) = (Timestamp(at), Moment(at));
        let entry = Entry { index, time, moment, principal: Principal::Leader, command };
        let applied = self.state.apply(entry).expect("it is accepted");
        self.agenda.note(&self.state, &applied.events);
        for event in &applied.events {
            self.sessions.note(&self.state, event);
        }
        self.effects();
    }

    /// Puts an app and launches what it wants.
    fn put(&mut self, spec: cluster::AppSpec) {
        self.apply(Command::PutApps { apps: vec![(spec, Expect::Any)], force: true });
        loop {
            let steps = plan(&self.state, &mut self.agenda, self.state.moment()).steps;
            if steps.is_empty() {
                return;
            }
            self.apply(Command::Execute { steps });
        }
    }

    fn effects(&mut self) {
        let asked = self.sessions.effects().into_iter().filter(|it| !matches!(it, Effect::Wake(_)));
        self.asked.extend(asked);
    }

    fn say(&mut self, link: LinkId, message: FromAgent) {
        self.sessions.said(link, message, &self.state, Timestamp(self.clock));
        self.effects();
    }

    fn dial(&mut self, node: NodeDescription, relay: bool) -> LinkId {
        self.next_link += 1;
        assert!(self.sessions.open(self.next_link, PROTOCOL, Timestamp(self.clock)));
        self.say(
            self.next_link,
            FromAgent::Hello { protocol: PROTOCOL, cluster: None, node, life: 0, taken_in: false, relay, opens: true },
        );
        self.next_link
    }

    /// Answers all that was asked for; commands are applied where that is the answer.
    fn answer(&mut self, answer: &Answer) -> Vec<Effect> {
        let asked = std::mem::take(&mut self.asked);
        for effect in &asked {
            let (Effect::Submit { question, .. } | Effect::Read { question }) = effect else { continue };
            if let (Effect::Submit { command, .. }, Answer::Done) = (effect, answer) {
                self.apply(command.clone());
            }
            self.sessions.answered(*question, answer.clone(), &self.state, Timestamp(self.clock));
            self.effects();
        }
        asked
    }

    fn pass(&mut self, ms: u64) {
        self.clock += ms;
        self.sessions.tick(&self.state, Timestamp(self.clock));
        self.effects();
    }

    /// What is sent over a connection now, without assignments.
    fn letters(&mut self, link: LinkId) -> Vec<Letter> {
        let mut letters = Vec::new();
        while let Some(letter) = self.sessions.next(link) {
            let end = letter == Letter::End;
            letters.push(letter);
            if end {
                break;
            }
        }
        letters
    }

    fn joined(&mut self, n: u32) -> LinkId {
        let link = self.dial(node(n), false);
        self.answer(&Answer::Done);
        let letters = self.letters(link);
        assert!(matches!(letters[..], [Letter::Say(ToAgent::Welcome { .. }), Letter::News { .. }]), "{letters:?}");
        self.sessions.heard();
        link
    }

    fn heard(&mut self) -> Vec<String> {
        self.sessions.heard().into_keys().map(|it| it.to_string()).collect()
    }
}

fn elsewhere(leader: Option<&str>) -> [Letter; 2] {
    [Letter::Say(ToAgent::Elsewhere { leader: leader.map(str::to_owned) }), Letter::End]
}

#[test]
fn a_node_that_is_known_needs_no_entry_and_a_new_one_does() {
    let mut desk = Desk::new();
    let known = desk.dial(node(1), false);
    assert!(matches!(desk.asked[..], [Effect::Read { .. }]), "{:?}", desk.asked);
    assert_eq!(desk.letters(known), [], "not before it is certain that this member leads");
    desk.answer(&Answer::Done);
    assert!(matches!(desk.letters(known)[0], Letter::Say(ToAgent::Welcome { pace: Some(_), .. })));

    let new = desk.dial(node(2), false);
    assert!(matches!(&desk.asked[..], [Effect::Submit { command: Command::Register { .. }, .. }]));
    desk.answer(&Answer::Done);
    assert!(matches!(desk.letters(new)[0], Letter::Say(ToAgent::Welcome { .. })));
    assert_eq!(desk.sessions.len(), 2);
}

#[test]
fn no_session_outlives_an_office_nor_begins_after_it() {
    let mut desk = Desk::new();
    let open = desk.joined(1);
    let joining = desk.dial(node(2), false);
    desk.say(open, FromAgent::Alive);
    desk.sessions.follow(Some(2));
    desk.effects();
    assert_eq!(desk.letters(open), elsewhere(Some("b:1")), "not even an answer to a sign of life");
    desk.answer(&Answer::Done);
    assert_eq!(desk.letters(joining), elsewhere(Some("b:1")), "the answer came too late");
    desk.say(open, FromAgent::Alive);
    assert_eq!((desk.letters(open), desk.heard()), (vec![Letter::End], vec![]));
    let late = desk.dial(node(3), false);
    assert_eq!(desk.letters(late), elsewhere(Some("b:1")));
    assert!(desk.sessions.is_empty());
}

#[test]
fn a_member_that_does_not_lead_passes_on_who_cannot_reach_the_leader() {
    let mut desk = Desk::new();
    desk.sessions.follow(Some(2));
    let link = desk.dial(node(1), true);
    let hello = FromAgent::Hello {
        protocol: PROTOCOL,
        cluster: None,
        node: node(1),
        life: 0,
        taken_in: false,
        relay: false,
        opens: true,
    };
    assert_eq!(desk.letters(link), [Letter::Relay { to: 2, hello }], "who takes it for the leader does not pass it on");
    desk.say(link, FromAgent::Alive);
    assert_eq!(desk.letters(link), []);
    desk.sessions.follow(None);
    assert_eq!(desk.letters(link), elsewhere(None), "a relay ends with the leader that it leads to");
    let nowhere = desk.dial(node(1), true);
    assert_eq!(desk.letters(nowhere), elsewhere(None));
}

#[test]
fn who_cannot_be_written_down_is_heard_all_the_same() {
    let mut desk = Desk::new();
    let moved = NodeDescription { address: "10.9.9.9".to_owned(), ..node(1) };
    let link = desk.dial(moved, false);
    assert_eq!(desk.heard(), ["n1"], "it has said hello");
    desk.answer(&Answer::NotNow);
    assert_eq!(desk.letters(link), [], "it waits");
    for _ in 0..20 {
        desk.pass(1_000);
        desk.say(link, FromAgent::Alive);
        assert_eq!(desk.heard(), ["n1"]);
        assert_eq!(desk.letters(link), [Letter::Say(ToAgent::Alive)]);
        desk.answer(&Answer::NotNow);
    }
    desk.pass(1_000);
    assert!(matches!(&desk.asked[..], [Effect::Submit { command: Command::Register { .. }, .. }]), "{:?}", desk.asked);
    desk.answer(&Answer::Done);
    assert!(matches!(desk.letters(link)[0], Letter::Say(ToAgent::Welcome { .. })), "there is room again");

    // An agent that only says it was this node is not.
    let other = NodeDescription { agent: 99, ..node(1) };
    desk.dial(other, false);
    desk.heard();
    desk.say(desk.next_link, FromAgent::Alive);
    assert_eq!(desk.heard(), Vec::<String>::new());
}

#[test]
fn a_report_waits_for_room_and_signs_of_life_do_not_wait_for_it() {
    let mut desk = Desk::new();
    desk.put(small(1, "x"));
    let link = desk.joined(1);
    let instance = desk.state.instances().next().unwrap().id;
    let running = |instance| observation(instance, Health::Unknown);
    desk.say(link, FromAgent::Report { sequence: 1, observations: vec![running(instance)], destroyed: vec![] });
    desk.say(link, FromAgent::Obeys { generation: desk.state.index() });
    assert_eq!(desk.letters(link), [Letter::Say(ToAgent::Alive)], "its report is not in the log yet");
    assert_eq!(desk.heard(), ["n1"]);
    desk.answer(&Answer::NotNow);
    desk.pass(400);
    assert_eq!(desk.asked, []);
    desk.pass(100);
    desk.answer(&Answer::Done);
    assert_eq!(desk.letters(link), [Letter::Say(ToAgent::Reported { sequence: 1 })]);
    assert!(desk.state.instance(instance).unwrap().is_running());
}

fn observation(instance: InstanceId, health: Health) -> Observation {
    let readiness = Readiness { ready: true, response: None };
    let seen = Seen::Running { ip: Some("172.17.0.2".to_owned()), health, checks: vec![], readiness };
    Observation { instance, judged_by: Timestamp(0), trial: None, seen, evidence: None }
}

#[test]
fn only_what_changed_goes_into_the_log() {
    let mut desk = Desk::new();
    desk.put(small(50, "x"));
    let all = |desk: &Desk, odd: Option<usize>| -> Vec<Observation> {
        let health = |n| if odd == Some(n) { Health::Unhealthy } else { Health::Healthy };
        desk.state.instances().enumerate().map(|(n, it)| observation(it.id, health(n))).collect()
    };
    let observed = |asked: &[Effect]| -> usize {
        let reports = asked.iter().filter_map(|it| match it {
            Effect::Submit { command: Command::Report { observations, .. }, .. } => Some(observations.len()),
            _ => None,
        });
        reports.sum()
    };
    let first = desk.joined(1);
    desk.say(first, FromAgent::Report { sequence: 1, observations: all(&desk, None), destroyed: vec![] });
    let asked = desk.answer(&Answer::Done);
    assert_eq!(observed(&asked), 50);

    let again = desk.joined(1);
    desk.say(again, FromAgent::Report { sequence: 1, observations: all(&desk, None), destroyed: vec![] });
    assert_eq!(desk.asked, [], "a new connection tells everything, and nothing of it is new");
    assert_eq!(desk.letters(again), [Letter::Say(ToAgent::Reported { sequence: 1 })]);
    desk.say(again, FromAgent::Report { sequence: 2, observations: all(&desk, Some(7)), destroyed: vec![] });
    assert_eq!(observed(&desk.asked), 1);

    // What is on its way is not in the state yet: compared with that, this one would say nothing new, and be lost.
    let third = desk.dial(node(1), false);
    let known = desk.asked.pop().unwrap();
    let Effect::Read { question } = known else { panic!("{known:?}") };
    desk.sessions.answered(question, Answer::Done, &desk.state, Timestamp(desk.clock));
    desk.letters(third);
    desk.say(third, FromAgent::Report { sequence: 1, observations: all(&desk, None), destroyed: vec![] });
    assert_eq!(observed(&desk.asked), 1 + 50);
    desk.answer(&Answer::Done);
    let healthy = desk.state.instances().filter(|it| it.health == Health::Healthy).count();
    assert_eq!(healthy, 50, "the later one counts");
}

#[test]
fn what_nobody_asks_for_stays_out_of_the_log() {
    let mut desk = Desk::new();
    desk.put(small(2, "x"));
    let [killed, dead] = desk.state.instances().map(|it| it.id).collect::<Vec<_>>()[..] else { panic!("two") };
    desk.apply(Command::Kill { instances: vec![killed], scale: false, force: false, wipe: false });
    let end = |kind| Seen::Ended(End { kind, exit_code: Some(1), message: "exited with code 1".to_owned() });
    let observation = |instance, kind| Observation {
        instance,
        judged_by: Timestamp(0),
        trial: None,
        seen: end(kind),
        evidence: Some(Arc::new(Evidence { exit_code: Some(1), ..Evidence::default() })),
    };
    let link = desk.joined(1);
    let observations = vec![observation(killed, EndKind::Killed), observation(dead, EndKind::Failed)];
    desk.say(link, FromAgent::Report { sequence: 1, observations, destroyed: vec![] });
    let Some(Effect::Submit { command: Command::Report { observations, .. }, .. }) = desk.asked.last() else {
        panic!("{:?}", desk.asked)
    };
    let told: Vec<_> = observations.iter().map(|it| (it.instance, it.evidence.is_some())).collect();
    assert_eq!(told, [(killed, false), (dead, true)]);
}

#[test]
fn a_later_session_takes_the_place_of_an_earlier_one_once_it_is_taken_in() {
    let mut desk = Desk::new();
    let first = desk.joined(1);
    let second = desk.dial(node(1), false);
    assert_eq!(desk.letters(first), []);
    desk.answer(&Answer::Done);
    assert_eq!(desk.letters(first), [Letter::End]);
    desk.sessions.closed(first, Timestamp(desk.clock));
    assert_eq!(desk.sessions.len(), 1);
    desk.apply(Command::Degrade { node: NodeId::new("n1"), reason: Some("x".to_owned()) });
    desk.apply(Command::Lose { node: NodeId::new("n1") });
    assert!(desk.letters(second).contains(&Letter::End), "who was given up introduces itself again");
    assert!(desk.sessions.is_empty());
}

#[test]
fn an_agent_that_takes_no_orders_is_not_taken_for_healthy() {
    let mut desk = Desk::new();
    let link = desk.joined(1);
    let generation = desk.state.index();
    let status = |desk: &Desk| desk.state.node(&NodeId::new("n1")).unwrap().status.clone();
    desk.say(link, FromAgent::Obeys { generation: generation - 1 });
    desk.sessions.sending(link, generation, false, Timestamp(desk.clock));
    for _ in 0..9 {
        desk.pass(1_000);
        desk.say(link, FromAgent::Obeys { generation: generation - 1 });
    }
    assert_eq!(desk.asked, []);
    desk.pass(1_000);
    desk.answer(&Answer::Done);
    assert!(desk.letters(link).contains(&Letter::End));
    let NodeStatus::Degraded { reason } = status(&desk) else { panic!("{:?}", status(&desk)) };
    assert!(reason.contains("has not taken its orders for 10 s"), "{reason}");

    // Its own word that all is well does not make it well.
    let link = desk.joined(1);
    desk.say(link, FromAgent::Degraded { reason: None });
    desk.answer(&Answer::Done);
    assert!(matches!(status(&desk), NodeStatus::Degraded { .. }));
    desk.sessions.sending(link, generation, false, Timestamp(desk.clock));
    desk.say(link, FromAgent::Obeys { generation });
    desk.answer(&Answer::Done);
    assert_eq!(status(&desk), NodeStatus::Ready);
}

#[test]
fn an_agent_that_keeps_up_owes_nothing_however_much_there_is() {
    let mut desk = Desk::new();
    let link = desk.joined(1);
    for generation in 100..150 {
        desk.sessions.sending(link, generation, false, Timestamp(desk.clock));
        desk.pass(500);
        // Always one behind.
        desk.say(link, FromAgent::Obeys { generation: generation - 1 });
    }
    assert_eq!(desk.asked, []);
    assert!(!desk.letters(link).contains(&Letter::End));
}

#[test]
fn what_an_agent_says_of_itself_is_refused_where_it_cannot_be_true() {
    let mut desk = Desk::new();
    let attributes = BTreeMap::from([("rack".to_owned(), "x".repeat(7 << 20))]);
    for node in [
        NodeDescription { attributes, ..node(2) },
        NodeDescription { address: "10.0.0.1\r\n\x1b[2J".to_owned(), ..node(2) },
        NodeDescription { id: NodeId::new("a\nb"), ..node(2) },
    ] {
        let link = desk.dial(node, false);
        let letters = desk.letters(link);
        let [Letter::Say(ToAgent::Refused { reason }), Letter::End] = &letters[..] else { panic!("{letters:?}") };
        assert!(reason.len() < 400 && !reason.contains(char::is_control), "{reason:?}");
    }
    assert_eq!(desk.asked, []);
    let link = desk.joined(1);
    let long = format!("\x1b[31m{}", "x".repeat(1 << 20));
    desk.say(link, FromAgent::Degraded { reason: Some(long) });
    desk.answer(&Answer::Done);
    let NodeStatus::Degraded { reason } = desk.state.node(&NodeId::new("n1")).unwrap().status.clone() else {
        panic!("it is degraded")
    };
    assert!(reason.len() < 4_096 && !reason.contains('\x1b'));
    let many = vec![observation(InstanceId::derive(CLUSTER, 1, 1), Health::Healthy); 100_000];
    desk.say(link, FromAgent::Report { sequence: 1, observations: many, destroyed: vec![] });
    assert_eq!(desk.letters(link).last(), Some(&Letter::End));
}

#[test]
fn whoever_dials_and_says_nothing_makes_room_for_others() {
    let mut desk = Desk::new();
    let open = desk.joined(1);
    for link in 1_000..1_000 + 2 * STRANGERS_MAX as u64 {
        assert!(desk.sessions.open(link, PROTOCOL, Timestamp(desk.clock)));
    }
    assert_eq!(desk.letters(1_000), [Letter::End], "the oldest goes");
    assert_eq!(desk.letters(1_000 + 2 * STRANGERS_MAX as u64 - 1), []);
    desk.pass(HELLO_WITHIN_MS);
    assert_eq!(desk.letters(1_000 + 2 * STRANGERS_MAX as u64 - 1), [Letter::End], "and in time all of them");
    assert_eq!(desk.letters(open), []);
}

/// All that is sent now over a connection, as frames.
fn frames(sent: &mut Sent, state: &State) -> Vec<ToAgent> {
    let state = Arc::new(state.clone());
    std::iter::from_fn(|| sent.next(&state, &NodeId::new("n1"))).collect()
}

fn all() -> News {
    News { all: true, ..News::default() }
}

fn assignments(frames: &[ToAgent]) -> Vec<Assignment> {
    let of = |it: &ToAgent| if let ToAgent::Assign { assignments, .. } = it { assignments.clone() } else { vec![] };
    frames.iter().flat_map(of).collect()
}

#[test]
fn however_much_a_node_has_it_goes_out_in_frames_that_fit() {
    let env: Map<String, Value> = (0..4).map(|n| (format!("V{n}"), json!("x".repeat(60_000)))).collect();
    let mut desk = Desk::new();
    desk.put(app(&json!({
        "id": "/big", "instances": 80, "cpus": 0.01, "mem": 8, "cmd": "x", "env": env,
        "container": { "docker": { "image": "i" } }
    })));
    let mut sent = Sent::default();
    sent.note(all());
    let mut parts = Parts::default();
    let mut wholes = Vec::new();
    let frames = frames(&mut sent, &desk.state);
    let bytes: Vec<usize> = frames.iter().map(|it| encode(it).unwrap().len()).collect();
    assert!(bytes.iter().sum::<usize>() > MAX_FRAME_BYTES, "together they are more than a frame: {bytes:?}");
    assert!(bytes.iter().all(|it| *it < 2 * PART_BYTES + 4_096), "{bytes:?}");
    for frame in frames {
        let ToAgent::Assign { generation, assignments, forget, destroy, more, .. } = frame else { panic!("{frame:?}") };
        assert_eq!(generation, desk.state.index());
        wholes.extend(parts.take(generation, assignments, forget, destroy, more));
    }
    let [Input::Assigned { assignments, complete: true, .. }] = &wholes[..] else { panic!("one whole set") };
    assert_eq!(assignments.len(), 80);
}

#[test]
fn the_parts_of_a_first_set_are_of_one_moment() {
    let mut desk = Desk::new();
    desk.put(small(5, "x"));
    let mut sent = Sent::in_parts_of(1);
    sent.note(all());
    let before = Arc::new(desk.state.clone());
    let first = sent.next(&before, &NodeId::new("n1")).unwrap();
    desk.put(small(7, "x"));
    let rest = frames(&mut sent, &desk.state);
    let generations: BTreeSet<u64> = std::iter::once(&first)
        .chain(&rest)
        .map(|it| if let ToAgent::Assign { generation, .. } = it { *generation } else { 0 })
        .collect();
    assert_eq!(generations, BTreeSet::from([before.index()]));
    assert_eq!(assignments(&rest).len(), 4, "one assignment fits always");
    sent.note(all());
    assert_eq!(assignments(&frames(&mut sent, &desk.state)).len(), 2, "what came meanwhile follows");
}

#[test]
fn another_number_of_instances_is_no_news_for_those_that_run() {
    let mut desk = Desk::new();
    desk.put(small(5, "x"));
    let link = desk.joined(1);
    let mut sent = Sent::default();
    sent.note(all());
    assert_eq!(assignments(&frames(&mut sent, &desk.state)).len(), 5);
    let mut news = |desk: &mut Desk| {
        for letter in desk.letters(link) {
            let Letter::News { news, .. } = letter else { continue };
            sent.note(news);
        }
        assignments(&frames(&mut sent, &desk.state))
    };
    desk.put(small(6, "x"));
    assert_eq!(news(&mut desk).len(), 1, "the new one");
    desk.put(small(6, "y"));
    let changed = news(&mut desk);
    assert_eq!(changed.len(), 6, "another label is");
    assert!(changed.iter().all(|it| it.spec.as_ref().is_some_and(|it| it.policy.labels["l"] == "y")));
    desk.say(link, FromAgent::Alive);
    assert_eq!(desk.letters(link), [Letter::Say(ToAgent::Alive)], "a sign of life is no reason to look at anything");
}

//! Who an agent is: renamed nodes, and directories that were copied.

use super::*;
use cluster::catalog::{Gone, Writer};

impl Desk {
    /// An agent's process with a life of its own.
    fn dial_as(&mut self, node: NodeDescription, life: u64, taken_in: bool) -> LinkId {
        self.next_link += 1;
        assert!(self.sessions.open(self.next_link, PROTOCOL, Timestamp(self.clock)));
        let hello =
            FromAgent::Hello { protocol: PROTOCOL, cluster: None, node, life, taken_in, relay: false, opens: false };
        self.say(self.next_link, hello);
        self.next_link
    }

    fn is_refused(&mut self, link: LinkId) {
        let letters = self.letters(link);
        let Some(Letter::Say(ToAgent::Refused { reason })) = letters.first() else { panic!("{letters:?}") };
        assert!(reason.contains("was copied") && reason.contains("n1 (10.0.0.1)"), "{reason}");
        self.sessions.closed(link, Timestamp(self.clock));
    }
}

#[test]
fn a_renamed_node_is_heard_before_its_name_is_in_the_log() {
    let mut desk = Desk::new();
    let renamed = NodeDescription { id: NodeId::new("other"), ..node(1) };
    let link = desk.dial(renamed, false);
    assert_eq!(desk.heard(), ["n1"], "as it is known still");
    desk.answer(&Answer::NotNow);
    desk.say(link, FromAgent::Alive);
    assert_eq!(desk.heard(), ["n1"]);
    desk.pass(1_000);
    desk.answer(&Answer::Done);
    assert!(matches!(desk.letters(link)[0], Letter::Say(ToAgent::Welcome { .. })));
    assert_eq!(desk.heard(), ["other"]);
}

#[test]
fn a_copy_does_not_slip_in_at_a_new_leader_because_both_were_refused_until_the_node_was_lost() {
    let mut desk = Desk::new();
    let original = desk.dial_as(node(1), 10, true);
    desk.answer(&Answer::Done);
    assert!(matches!(desk.letters(original)[0], Letter::Say(ToAgent::Welcome { .. })));
    let copy = desk.dial_as(node(1), 11, false);
    assert_eq!(desk.letters(copy), elsewhere(None), "the original may have ended without a word");
    desk.pass(1_000);
    desk.say(original, FromAgent::Alive);
    desk.letters(original);
    let copy = desk.dial_as(node(1), 11, false);
    desk.is_refused(copy);
    desk.is_refused(original);
    desk.apply(Command::Lose { node: NodeId::new("n1") });
    desk.sessions.follow(Some(2));
    desk.sessions.take_office(Timestamp(desk.clock));

    let copy = desk.dial_as(node(1), 11, false);
    assert_eq!(desk.letters(copy), elsewhere(None), "the original may be looking for this leader");
    desk.pass(100);
    let original = desk.dial_as(node(1), 10, true);
    assert_eq!(desk.letters(original), elsewhere(None), "the copy was heard of, and may be over");
    desk.pass(1_000);
    for life in [11, 10] {
        let link = desk.dial_as(node(1), life, life == 10);
        desk.is_refused(link);
    }
    // The copy is stopped.
    for _ in 0..4 {
        desk.pass(5_000);
        let link = desk.dial_as(node(1), 10, true);
        desk.answer(&Answer::Done);
        if matches!(desk.letters(link)[0], Letter::Say(ToAgent::Welcome { .. })) {
            return;
        }
        desk.sessions.closed(link, Timestamp(desk.clock));
    }
    panic!("the one that is left is not taken in");
}

#[test]
fn an_agent_that_is_started_anew_again_and_again_is_no_copy_and_its_node_is_heard() {
    let mut desk = Desk::new();
    let link = desk.dial_as(node(1), 10, true);
    desk.answer(&Answer::Done);
    desk.letters(link);
    desk.sessions.closed(link, Timestamp(desk.clock));
    desk.heard();
    for life in 11..15 {
        desk.pass(500);
        let link = desk.dial_as(node(1), life, false);
        assert_eq!(desk.letters(link), elsewhere(None), "life {life}");
        assert_eq!(desk.heard(), ["n1"]);
        desk.sessions.closed(link, Timestamp(desk.clock));
    }
    desk.pass(15_000);
    let link = desk.dial_as(node(1), 14, false);
    desk.answer(&Answer::Done);
    assert!(matches!(desk.letters(link)[0], Letter::Say(ToAgent::Welcome { .. })));
}

#[test]
fn who_writes_to_a_shared_consul_is_told_whose_entries_nobody_looks_after() {
    let mut desk = Desk::new();
    let link = desk.joined(1);
    let named = |it: &str| Writer::Named(NodeId::new(it));
    let gone = BTreeSet::from([Writer::Agent(77), named("before")]);
    let writers = gone.iter().cloned().chain([Writer::Agent(1), named("n1")]).collect();
    desk.say(link, FromAgent::Writers { writers });
    let gone = Gone { as_of: desk.state.index(), writers: gone };
    assert_eq!(desk.letters(link), [Letter::Say(ToAgent::Gone { gone })]);
    let many = (0..=cluster::catalog::MAX_WRITERS as u64).map(Writer::Agent).collect();
    desk.say(link, FromAgent::Writers { writers: many });
    assert_eq!(desk.letters(link), [Letter::End], "no agent tells of so many");
}

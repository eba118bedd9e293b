//! Questions whose answers come over connections of their own.

use super::*;

#[test]
fn a_question_is_told_once_to_an_agent_that_answers_and_to_nobody_else() {
    let mut desk = Desk::new();
    let node = NodeId::new("n1");
    assert!(!desk.sessions.open_stream(&node, 7), "nobody is there to be asked");
    let link = desk.joined(1);
    desk.letters(link);
    assert_eq!(desk.sessions.answering().collect::<Vec<_>>(), [&node]);
    assert!(desk.sessions.open_stream(&node, 7));
    desk.say(link, FromAgent::Alive);
    let letters = desk.letters(link);
    assert_eq!(
        letters,
        [Letter::Say(ToAgent::Alive), Letter::Say(ToAgent::Open { ticket: 7 })],
        "a sign of life first"
    );
    assert_eq!(desk.letters(link), [], "and once");

    // An agent that reads nothing is not asked without end.
    let taken = (0..1_000).filter(|it| desk.sessions.open_stream(&node, *it)).count();
    assert_eq!(taken, TICKETS_MAX);
    let told = desk.letters(link);
    assert_eq!(told.first(), Some(&Letter::Say(ToAgent::Open { ticket: 0 })), "who asked first is answered first");
    desk.sessions.closed(link, Timestamp(desk.clock));
    assert!(!desk.sessions.open_stream(&node, 8));
    assert_eq!(desk.sessions.answering().count(), 0);
}

#[test]
fn an_agent_of_an_earlier_version_is_asked_nothing() {
    let mut desk = Desk::new();
    desk.next_link += 1;
    let link = desk.next_link;
    assert!(desk.sessions.open(link, PROTOCOL, Timestamp(desk.clock)));
    let hello = FromAgent::Hello {
        protocol: PROTOCOL,
        cluster: None,
        node: node(1),
        life: 0,
        taken_in: false,
        relay: false,
        opens: false,
    };
    desk.say(link, hello);
    desk.answer(&Answer::Done);
    assert!(!desk.letters(link).is_empty(), "it is taken in");
    assert!(!desk.sessions.open_stream(&NodeId::new("n1"), 7));
    assert_eq!(desk.sessions.answering().count(), 0);
}

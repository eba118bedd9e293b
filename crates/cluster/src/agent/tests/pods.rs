//! A pod is one to the agent: it ends and goes as a whole.

use super::*;

fn broken(code: i64, rest: bool) -> Container {
    Container::Exited(Exit { code: Some(code), container: "log".into(), rest, ..Exit::default() })
}

#[test]
fn when_one_container_ends_the_others_are_stopped_and_the_first_end_is_told() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    desk.give(Input::Hint { instance: instance(1) });
    let end = ended(EndKind::Failed, Some(3), "container log: exited with code 3");
    let stop_rest = Output::Stop { instance: instance(1), grace_ms: 3_000 };
    assert_eq!(desk.look(1, broken(3, true)), [stop_rest.clone(), report(2, 1, end.clone())]);
    desk.acknowledge();
    let refused = Done::Refused { message: "did not receive an exit event".into(), container: broken(3, true) };
    assert_eq!(desk.done(1, refused), []);
    assert_eq!(desk.pass(500), [stop_rest], "until all have ended");
    assert_eq!(desk.done(1, Done::Now(broken(3, false))), []);
    assert_eq!(desk.pass(60_000), [], "what ended stays until its removal is ordered, and its end is not told anew");
    assert_eq!(desk.assign(vec![stop(1)]), [Output::Remove { instance: instance(1) }]);
    assert_eq!(desk.done(1, Done::Now(Container::Absent)), [report(3, 1, Seen::Removed)]);
}

#[test]
fn a_half_made_pod_is_finished_by_the_next_agent() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    let mut desk = Desk::remembering(false, desk.agent.saved());
    desk.give(Input::Connected { cluster: CLUSTER });
    desk.list(&[(1, Listing::Created)]);
    assert_eq!(desk.assign_all(vec![order(1)]), [Output::Start { assignment: order(1) }]);
}

#[test]
fn a_pod_that_ran_and_lacks_a_container_is_looked_at_and_then_removed_whole() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    assert!(is_inspect(&desk.list(&[(1, Listing::Created)]), 1), "a list alone is not believed");
    assert_eq!(desk.look(1, Container::Created), [Output::Remove { instance: instance(1) }]);
    let vanished = ended(EndKind::Vanished, None, "its container is gone, and Ekiden did not remove it");
    assert_eq!(desk.done(1, Done::Now(Container::Absent)), [report(2, 1, vanished)]);
}

//! Volumes are destroyed on order only, and reported until that is known.

use super::*;

fn reservation() -> InstanceId {
    instance(70)
}

fn destroy() -> Output {
    Output::Destroy { reservation: reservation() }
}

fn destroyed(result: Result<(), String>) -> Input {
    Input::Destroyed { reservation: reservation(), result }
}

fn told(sequence: u64) -> Output {
    Output::Report { sequence, observations: vec![], destroyed: vec![reservation()] }
}

impl Desk {
    fn doom(&mut self, complete: bool) -> Vec<Output> {
        self.generation += 1;
        let (generation, destroy) = (self.generation, vec![reservation()]);
        self.give(Input::Assigned { generation, assignments: vec![], forget: vec![], destroy, complete })
    }
}

#[test]
fn a_destruction_is_done_once_and_reported_until_it_is_in_the_log() {
    let mut desk = Desk::new(false);
    assert_eq!(desk.doom(false), [destroy()]);
    assert_eq!(desk.doom(false), [], "it is being done");
    assert_eq!(desk.give(destroyed(Err("the disk is read-only".into()))), []);
    assert_eq!(desk.pass(500), [destroy()]);
    assert_eq!(desk.give(destroyed(Ok(()))), [told(1)]);
    desk.give(Input::Disconnected);
    assert_eq!(desk.give(Input::Connected { cluster: CLUSTER }), [Output::Degraded { reason: None }, told(1)]);
    assert_eq!(desk.acknowledge(), []);
    assert_eq!(desk.pass(60_000), []);
    assert_eq!(desk.doom(true), [destroy()], "a scheduler that does not know yet is told again");
}

#[test]
fn what_a_container_still_has_is_not_destroyed() {
    let mut desk = Desk::new(false);
    let resident = Assignment { reservation: Some(reservation()), ..order(1) };
    desk.assign(vec![resident.clone()]);
    desk.done(1, Done::Now(running()));
    desk.acknowledge();
    assert_eq!(desk.doom(false), []);
    assert_eq!(desk.pass(60_000), []);
    desk.assign(vec![Assignment { stop: true, spec: None, ..resident.clone() }]);
    desk.done(1, Done::Now(exited(143)));
    desk.acknowledge();
    assert_eq!(desk.pass(60_000), [], "an ended container has it still");
    desk.done(1, Done::Now(Container::Absent));
    desk.acknowledge();
    assert_eq!(desk.pass(60_000), [destroy()]);
    let next = Assignment { instance: instance(2), ..resident };
    assert_eq!(desk.assign(vec![next.clone()]), [], "nobody begins on volumes that are going");
    let outputs = desk.give(destroyed(Ok(())));
    assert!(outputs.contains(&told(4)), "{outputs:?}");
    assert!(desk.pass(1).contains(&Output::Start { assignment: next }));
}

#[test]
fn an_older_control_plane_destroys_nothing() {
    let mut desk = Desk::new(false);
    desk.assign(vec![order(1)]);
    let destroy = vec![reservation()];
    let old = Input::Assigned { generation: 3, assignments: vec![], forget: vec![], destroy, complete: true };
    assert!(matches!(desk.give(old)[..], [Output::Reconnect { .. }]));
    let mut desk = Desk::remembering(false, Saved::default());
    desk.give(Input::Connected { cluster: CLUSTER });
    assert_eq!(desk.doom(true), [], "before the first list nothing is known of containers");
    assert!(desk.agent.wake_at().is_none_or(|it| it > desk.now));
    assert_eq!(desk.list(&[]), [Output::Destroy { reservation: reservation() }]);
}

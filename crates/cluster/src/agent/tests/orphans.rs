//! Containers that nobody speaks of: told, taken out of Consul, and ended on order only.

use super::*;
use crate::catalog::{Gone, Writer};
use crate::model::Stranger;
use std::collections::BTreeSet;

/// What is to be done, with what is told of strangers.
fn take(desk: &mut Desk, input: Input) -> Vec<Output> {
    desk.agent.handle(input, desk.now);
    desk.agent.drain()
}

fn all(desk: &mut Desk, assignments: Vec<Assignment>) -> Vec<Output> {
    desk.generation += 1;
    let generation = desk.generation;
    take(desk, Input::Assigned { generation, assignments, forget: vec![], destroy: vec![], complete: true })
}

fn list(desk: &mut Desk, containers: &[(u32, Maker)]) -> Vec<Output> {
    let listing = || Listing::Running { ip: Some("172.17.0.2".into()), ipv6: None };
    let listed = |it: &(u32, Maker)| Listed { instance: instance(it.0), listing: listing(), maker: it.1.clone() };
    take(desk, Input::Listed { epoch: u64::MAX, containers: containers.iter().map(listed).collect() })
}

fn told(outputs: &[Output]) -> Option<Vec<(InstanceId, Option<u64>, bool)>> {
    outputs.iter().rev().find_map(|it| match it {
        Output::Strangers { strangers } => {
            Some(strangers.iter().map(|it| (it.instance, it.agent, it.running)).collect())
        }
        _ => None,
    })
}

#[test]
fn what_nobody_speaks_of_is_told_once_all_was_said_and_again_when_it_changes() {
    let mut desk = Desk::remembering(true, Saved::default());
    let other = Maker { agent: Some(7), ..maker() };
    assert_eq!(told(&list(&mut desk, &[(8, maker()), (9, other.clone())])), None, "nobody is there to be told");
    take(&mut desk, Input::Connected { cluster: CLUSTER });
    assert_eq!(told(&desk.give(Input::Tick)), None, "what the cluster wants is not known yet");
    let first = all(&mut desk, vec![]);
    let both = vec![(instance(8), Some(AGENT), true), (instance(9), Some(7), true)];
    assert_eq!(told(&first), Some(both.clone()));
    assert_eq!(told(&list(&mut desk, &[(8, maker()), (9, other.clone())])), None, "it was told");
    desk.now = desk.now.plus_ms(60_000);
    let again = list(&mut desk, &[(8, maker()), (9, other)]);
    assert_eq!(told(&again), Some(both), "what the cluster knows of their makers may have changed");
    assert_eq!(told(&list(&mut desk, &[(8, maker())])), Some(vec![(instance(8), Some(AGENT), true)]));
    assert_eq!(told(&list(&mut desk, &[])), Some(vec![]));
    desk.now = desk.now.plus_ms(60_000);
    assert_eq!(told(&list(&mut desk, &[])), None, "at rest nothing is told");
    take(&mut desk, Input::Disconnected);
    take(&mut desk, Input::Connected { cluster: CLUSTER });
    assert_eq!(told(&all(&mut desk, vec![])), Some(vec![]), "another leader may know of some");
}

#[test]
fn who_else_wrote_to_consul_is_asked_about_and_what_nobody_looks_after_is_given_up() {
    let mut desk = Desk::new(true);
    desk.assign(vec![]);
    let asked = |outputs: &[Output]| outputs.iter().any(|it| matches!(it, Output::Writers { .. }));
    let writers = BTreeSet::from([Writer::Agent(7), Writer::Agent(8)]);
    assert!(asked(&take(&mut desk, Input::Written { writers: writers.clone() })));
    assert!(!asked(&take(&mut desk, Input::Written { writers })), "it was asked");
    let gone = Gone { as_of: 20, writers: BTreeSet::from([Writer::Agent(7)]) };
    let outputs = take(&mut desk, Input::Gone { gone: gone.clone() });
    let wishes = |outputs: &[Output]| -> Vec<Gone> {
        let wish = |it: &Output| if let Output::Publish { wish, .. } = it { Some(wish.gone.clone()) } else { None };
        outputs.iter().filter_map(wish).collect()
    };
    assert_eq!(wishes(&outputs), [gone]);
    desk.now = desk.now.plus_ms(60_000);
    assert!(asked(&take(&mut desk, Input::Tick)), "one of them may be forgotten meanwhile");
    let nobody = Gone { as_of: 30, writers: BTreeSet::new() };
    assert_eq!(wishes(&take(&mut desk, Input::Gone { gone: nobody.clone() })), [Gone::default()]);
    assert_eq!(wishes(&take(&mut desk, Input::Gone { gone: Gone { as_of: 31, ..nobody } })), []);
    take(&mut desk, Input::Disconnected);
    assert!(asked(&take(&mut desk, Input::Connected { cluster: CLUSTER })), "another leader may know of them");
}

#[test]
fn what_was_assigned_once_and_is_not_any_more_is_an_orphan_too() {
    let mut desk = Desk::new(true);
    desk.assign(vec![order(1)]);
    desk.done(1, Done::Now(running()));
    take(&mut desk, Input::Disconnected);
    take(&mut desk, Input::Connected { cluster: CLUSTER });
    let outputs = all(&mut desk, vec![]);
    assert_eq!(told(&outputs), Some(vec![(instance(1), Some(AGENT), true)]));
    let wish = published(&outputs).expect("a wish");
    assert!(wish.services.is_empty() && wish.keep.is_empty(), "it is not found any more: {wish:?}");
    assert!(!outputs.iter().any(|it| matches!(it, Output::Stop { .. } | Output::Remove { .. })), "and goes on");
    // The order that ends it is the only one that does.
    let mut stopping = desk.assign(vec![stop(1)]);
    stopping.extend(desk.pass(2_000));
    assert!(stopping.contains(&Output::Stop { instance: instance(1), grace_ms: 3_000 }), "{stopping:?}");
}

#[test]
fn a_stranger_stays_in_consul_only_until_the_cluster_has_spoken() {
    let mut desk = Desk::remembering(true, Saved { cluster: Some(CLUSTER), ..Saved::default() });
    let unspoken = published(&list(&mut desk, &[(9, maker())])).expect("a wish");
    assert!(unspoken.keep.contains(&instance(9)), "an agent that has forgotten all leaves entries as they are");
    take(&mut desk, Input::Connected { cluster: CLUSTER });
    let spoken = published(&all(&mut desk, vec![])).expect("another wish");
    assert!(spoken.keep.is_empty() && spoken.services.is_empty());
    take(&mut desk, Input::Disconnected);
    let later = list(&mut desk, &[(9, maker()), (8, maker())]);
    assert!(published(&later).is_none_or(|it| it.keep.is_empty()), "what was said holds");
}

#[test]
fn a_stranger_is_what_its_labels_say() {
    let mut desk = Desk::new(true);
    let other = Maker { app: "/pay/api".into(), node: "before".into(), agent: None };
    list(&mut desk, &[(9, other)]);
    let outputs = all(&mut desk, vec![]);
    let expect =
        Stranger { instance: instance(9), app: "/pay/api".into(), node: "before".into(), agent: None, running: true };
    assert!(outputs.contains(&Output::Strangers { strangers: vec![expect] }), "{outputs:?}");
}

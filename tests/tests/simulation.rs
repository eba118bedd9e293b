//! Simulated worlds: every promise holds in all of them, every planted fault is found, and a seed tells one story.

use std::sync::atomic::{AtomicUsize, Ordering};
use tests::mutants::Mutant;
use tests::sim::world::{Figures, Verdict, play};

/// Worlds played at each run.
const WORLDS: u64 = 220;

/// So many worlds are played to find a planted fault; most show in the first.
const SEEDS_PER_MUTANT: u64 = 40;

/// Does something for each, on two threads, and returns what came of it in order.
fn for_each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        while let Some((at, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|it| Some((it, items.get(it)?)))
        {
            done.push((at, work(item)));
        }
        done
    };
    let mut all: Vec<(usize, R)> = std::thread::scope(|scope| {
        let threads = [scope.spawn(run), scope.spawn(run)];
        threads.into_iter().flat_map(|it| it.join().expect("a world does not panic")).collect()
    });
    all.sort_by_key(|it| it.0);
    all.into_iter().map(|it| it.1).collect()
}

/// What went wrong, with the line that replays it.
fn complaints(verdicts: &[Verdict]) -> Vec<String> {
    let broken = verdicts.iter().filter_map(|it| Some((it.seed, it.violation.as_ref()?)));
    broken.map(|(seed, violation)| format!("{violation}\n    replay: make sim SEED={seed}")).collect()
}

#[test]
fn every_promise_holds_in_every_world() {
    let seeds: Vec<u64> = (1..=WORLDS).collect();
    let verdicts = for_each(&seeds, |seed| play(*seed, None, false));
    let complaints = complaints(&verdicts);
    assert!(complaints.is_empty(), "{} worlds broke a promise:\n{}", complaints.len(), complaints.join("\n"));

    // A world in which nothing happens keeps every promise.
    let sum = |of: fn(&Figures) -> u64| verdicts.iter().map(|it| of(&it.figures)).sum::<u64>();
    assert!(sum(|it| it.faults) > 10 * WORLDS, "too few faults");
    assert!(sum(|it| it.starts) > 20 * WORLDS, "too few containers");
    assert!(sum(|it| it.reads) > WORLDS, "too few reads");
    assert!(sum(|it| it.renames) > WORLDS / 8, "too few nodes that are called otherwise");
    let (copies, refused) = (sum(|it| it.copies), sum(|it| it.copies_refused));
    assert!(copies > WORLDS / 5, "too few copied directories: {copies}");
    // Some are stopped before anybody could hear of both, or while nobody leads.
    assert!(10 * refused > 9 * copies, "of {copies} copied directories {refused} were refused at both");
    assert!(2 * sum(|it| it.answered) > sum(|it| it.asked), "too few answers");
}

#[test]
fn what_broke_once_holds() {
    let text = include_str!("../seeds/regress.txt");
    let first = |line: &str| line.split_whitespace().next().and_then(|it| it.parse().ok());
    let seeds: Vec<u64> = text.lines().filter(|it| !it.starts_with('#')).filter_map(first).collect();
    let complaints = complaints(&for_each(&seeds, |seed| play(*seed, None, false)));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_seed_tells_one_story() {
    for seed in [2, 5, 8] {
        let (first, second) = (play(seed, None, false), play(seed, None, true));
        assert_eq!((first.hash, first.figures), (second.hash, second.figures), "seed {seed}");
        assert!(second.trace.len() > 100, "seed {seed} has a story");
    }
    assert_ne!(play(2, None, false).hash, play(3, None, false).hash);
}

/// How a planted fault was found: by which promise, in which world.
fn find(mutant: Mutant) -> Option<(String, u64)> {
    (1..=SEEDS_PER_MUTANT).find_map(|seed| {
        let verdict = play(seed, Some(mutant), false);
        verdict.violation.map(|it| (it.promise.to_owned(), seed))
    })
}

#[test]
fn every_planted_fault_is_found() {
    let found = for_each(&Mutant::ALL, |(mutant, _)| find(*mutant));
    for ((mutant, promises), found) in Mutant::ALL.iter().zip(found) {
        let Some((promise, seed)) = found else { panic!("{mutant:?} was not found in {SEEDS_PER_MUTANT} worlds") };
        assert!(promises.contains(&promise.as_str()), "{mutant:?} was found by {promise} (seed {seed})");
    }
}

#[test]
fn every_promise_has_a_planted_fault() {
    let promises = [
        "agreement",
        "durability",
        "freshness",
        "capacity",
        "uniqueness",
        "pace",
        "order",
        "monotony",
        "progress",
        "honesty",
        "residents",
        "bounds",
        "contact",
        "identity",
    ];
    for promise in promises {
        assert!(Mutant::ALL.iter().any(|it| it.1.first() == Some(&promise)), "{promise} is believed untried");
    }
}

#[test]
fn a_state_that_an_older_program_wrote_goes_on_from_its_one_time() {
    use cluster::{
        Command, Entry, Moment, NodeDescription, NodeId, NodeStatus, PortRange, Principal, Resources, State,
    };
    let node = NodeDescription {
        id: NodeId::new("n1"),
        agent: 1,
        address: "n1".to_owned(),
        capacity: Resources::default(),
        ports: PortRange::default(),
        attributes: std::collections::BTreeMap::new(),
        versions: std::collections::BTreeMap::new(),
        grants: cluster::Grants::default(),
    };
    let mut state = State::new();
    for command in [Command::Register { node: node.clone() }, Command::Lose { node: node.id }] {
        let (index, time) = (state.index() + 1, cluster::Timestamp(1_700_000_000_000));
        state.apply(Entry { index, time, moment: Moment(5), principal: Principal::Leader, command }).unwrap();
    }
    let mut older = serde_json::to_value(&state).unwrap();
    let fields = older.as_object_mut().unwrap();
    fields.remove("moment");
    fields.remove("newest_version");
    older["nodes"]["n1"]["status"]["Lost"].as_object_mut().unwrap().remove("moment");
    let state = serde_json::from_value::<State>(older).unwrap().indexed();
    assert_eq!(state.moment().0, state.time().0);
    let status = &state.nodes().next().unwrap().status;
    assert!(matches!(status, NodeStatus::Lost { since, moment } if since.0 == moment.0), "{status:?}");
}

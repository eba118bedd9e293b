//! What may enter the log, and what it does to a state.

use super::*;
use cluster::{
    AppId, AppSpec, ClusterId, DeploymentId, InstanceId, NodeDescription, NodeId, PortRange, Resources, Step, Timestamp,
};

fn user() -> Principal {
    Principal::User { address: "10.0.0.1:1".to_owned() }
}

fn node() -> NodeDescription {
    NodeDescription {
        id: NodeId::new("n1"),
        agent: 1,
        address: "n1".to_owned(),
        capacity: Resources { cpu_milli: 8_000, memory_bytes: 1 << 34, disk_bytes: 1 << 40 },
        ports: PortRange::default(),
        attributes: std::collections::BTreeMap::new(),
        versions: std::collections::BTreeMap::new(),
        grants: cluster::Grants::default(),
    }
}

/// Every command in the log's pinned form.
fn pinned() -> Vec<Command> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let command = |path| {
        let text: String = std::fs::read_to_string(path).unwrap().split_whitespace().collect();
        let digits = text.as_bytes().chunks(2).map(|it| std::str::from_utf8(it).unwrap());
        let bytes: Vec<u8> = digits.map(|it| u8::from_str_radix(it, 16).unwrap()).collect();
        rmp_serde::from_slice(&bytes).unwrap()
    };
    files.into_iter().map(command).collect()
}

/// What users ask for, of each kind.
fn commands() -> Vec<Command> {
    pinned().into_iter().filter(Command::is_a_users).collect()
}

fn encoded(principal: &Principal, command: &Command) -> Vec<u8> {
    payload(principal, command).command().to_vec()
}

#[test]
fn only_what_users_ask_is_forwarded() {
    for command in commands() {
        State::check(&encoded(&user(), &command)).unwrap();
        for principal in [Principal::Leader, Principal::Agent(NodeId::new("n1"))] {
            assert!(State::check(&encoded(&principal, &command)).is_err(), "{command:?}");
        }
    }
    for command in pinned().into_iter().filter(|it| !it.is_a_users()) {
        assert!(State::check(&encoded(&user(), &command)).is_err(), "{command:?}");
    }
    let liar = Principal::User { address: "10.0.0.1\r\n2026 forged".to_owned() };
    assert!(State::check(&encoded(&liar, &commands()[0])).is_err());
    for bytes in [&b""[..], b"\xc1", &encoded(&user(), &commands()[0])[1..]] {
        assert!(State::check(bytes).is_err());
    }
}

/// Whatever passes is applied by every member for ever: it must not end one.
#[test]
fn no_bytes_that_are_taken_end_a_member() {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize % n
    };
    let stamp = Stamp::default();
    let mut first = State::new();
    for (index, command) in [Command::Found { cluster: ClusterId(1) }, Command::Register { node: node() }]
        .into_iter()
        .chain(commands())
        .enumerate()
    {
        let command = encoded(&Principal::Leader, &command);
        let before = first.clone();
        Machine::apply(&mut first, index as u64 + 1, stamp, &command).map(drop).unwrap();
        if first.n_apps() < before.n_apps() || first.n_nodes() < before.n_nodes() {
            first = before;
        }
    }
    assert!(first.n_apps() > 0 && first.n_nodes() > 0);
    let saved = <State as Machine>::save(&Machine::view(&first));
    let (mut taken, mut restored) = (0, 0);
    let commands = commands();
    for round in 0..6_000 {
        let mut bytes = encoded(&user(), &commands[below(commands.len())]);
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            bytes[at] = [0, 0x7f, 0xff, b'/', below(256) as u8][below(5)];
        }
        if State::check(&bytes).is_ok() {
            taken += 1;
            let mut state = first.clone();
            Machine::apply(&mut state, 100, stamp, &bytes).map(drop).unwrap();
            let _ = cluster::plan(&state, &mut cluster::Agenda::everything(&state), state.moment());
        }
        if round % 4 == 0 {
            let mut bytes = saved.clone();
            let at = below(bytes.len());
            bytes[at] = below(256) as u8;
            restored += u32::from(<State as Machine>::restore(&bytes).is_ok());
        }
    }
    assert!(taken > 100, "{taken} were taken");
    assert!(restored > 100, "{restored} were read");
}

/// The definition that stands in the pinned log.
fn spec() -> AppSpec {
    let put = |it: Command| if let Command::PutApps { apps, .. } = it { apps.into_iter().next() } else { None };
    pinned().into_iter().find_map(put).expect("apps are put").0
}

#[test]
fn an_event_weighs_what_it_keeps_alive() {
    let mut state = State::new();
    let mut happened = |index: u64, filling: usize| {
        let mut spec = spec();
        spec.run.env.insert("FILLING".to_owned(), "x".repeat(filling));
        let command = Command::PutApps { apps: vec![(spec, cluster::Expect::Any)], force: true };
        let principal = Principal::User { address: String::new() };
        let applied = state.apply(Entry {
            index,
            time: Timestamp(index),
            moment: Moment(index),
            principal: principal.clone(),
            command,
        });
        Arc::new(Happened { index, time: Timestamp(index), principal, events: applied.unwrap().events })
    };
    let (small, large) = (happened(1, 0), happened(2, 1 << 20));
    let more = <State as Machine>::weight(&large) - <State as Machine>::weight(&small);
    assert!(more >= 1 << 20, "{more} bytes more");
    assert!(<State as Machine>::weight(&small) < 16 * 1024, "{} bytes", <State as Machine>::weight(&small));
}

#[test]
fn versions_share_what_they_have_in_common_also_after_a_restart() {
    let mut state = State::new();
    let mut apply = |index, command| {
        let stamp = Stamp { time: Timestamp(index), moment: Moment(index) };
        let outcome = Machine::apply(&mut state, index, stamp, &encoded(&user(), &command)).unwrap();
        outcome.reply.unwrap();
    };
    let mut wanted = spec();
    for (index, image) in [(1, "web:1"), (2, "web:1"), (3, "web:2")] {
        wanted.instances = index as u32;
        wanted.run.image = image.to_owned();
        apply(index, Command::PutApps { apps: vec![(wanted.clone(), cluster::Expect::Any)], force: true });
    }
    let scaling = cluster::Scaling { app: wanted.id.clone(), instances: 4, expect: cluster::Expect::Any };
    apply(4, Command::ScaleApps { apps: vec![scaling], force: true });
    let check = |state: &State| {
        let app = state.app(&wanted.id).unwrap();
        let versions: Vec<_> = app.versions.values().collect();
        let [first, second, third, fourth] = &versions[..] else { panic!("{}", versions.len()) };
        assert!(first.spec.shares_all(&second.spec) && third.spec.shares_all(&fourth.spec));
        assert!(second.spec.policy.is(&third.spec.policy) && !second.spec.run.is(&third.spec.run));
        assert!(Arc::ptr_eq(fourth, &app.current));
    };
    check(&state);
    let restored = State::restore(&State::save(&state.view())).unwrap();
    assert_eq!(restored, state);
    check(&restored);
}

#[test]
fn no_step_of_a_plan_is_larger_than_it_counts_as() {
    let long = AppId::parse(&format!("/{0}/{0}/{0}/{1}", "a".repeat(63), "b".repeat(60))).unwrap();
    let node = NodeId::new(&"n".repeat(253));
    let (instance, deployment) = (
        InstanceId::derive(cluster::ClusterId(u64::MAX), u64::MAX, u32::MAX),
        DeploymentId::derive(cluster::ClusterId(u64::MAX), u64::MAX, u32::MAX),
    );
    let closeness = cluster::Closeness { serving: u32::MAX, left: u32::MAX };
    let version = Timestamp(u64::MAX);
    for step in [
        Step::Launch { app: long.clone(), version, node, ports: vec![u16::MAX; 500], reservation: Some(instance) },
        Step::Stop { instance, reason: cluster::StopReason::Unhealthy },
        Step::Settle { deployment, app: long.clone() },
        Step::Progress { deployment, app: long, closeness },
        Step::Expire { deployment, reason: "r".repeat(5_000) },
    ] {
        let size = rmp_serde::to_vec_named(&step).unwrap().len();
        assert!(size <= step.bytes_max(), "{size} > {}: {step:?}", step.bytes_max());
    }
}

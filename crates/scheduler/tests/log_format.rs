//! The log's format, pinned: what an earlier version wrote must be read for ever.
//!
//! `golden/` has each command as MessagePack, in hexadecimal. A changed field that breaks this test breaks every
//! cluster that is upgraded: give new fields a default instead. A new variant gets a file by `UPDATE_EXPECT=1`.

use cluster::agent::{Observation, Seen};
use cluster::{
    AppId, AppSpec, CheckPort, CheckResult, Closeness, ClusterId, Command, Constraint, DeploymentId, End, EndKind,
    Evidence, Expect, GroupUpdate, Health, HealthAnswer, HealthCheck, HealthKind, HostVolume, InstanceId,
    KillSelection, LogLine, Network, NodeDescription, NodeId, Operator, PathId, Policy, PortHolders, PortRange,
    PortSpec, Protocol, Readiness, Resources, RunSpec, Scaling, Settings, Step, StopReason, Stranger, Stream,
    Timestamp, Unreachable, UpgradeStrategy, Volume, VolumeMode, WantedHostPort,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

fn instance(n: u32) -> InstanceId {
    InstanceId::derive(ClusterId(42), 7, n)
}

fn deployment() -> DeploymentId {
    DeploymentId::derive(ClusterId(42), 9, 1)
}

fn map(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

fn check(kind: HealthKind) -> HealthCheck {
    HealthCheck {
        kind,
        mesos: false,
        container: String::new(),
        ipv6: false,
        grace_ms: 1,
        interval_ms: 2,
        timeout_ms: 3,
        max_failures: 4,
        delay_ms: 5,
    }
}

/// An app with something in every field.
fn spec() -> AppSpec {
    let port = |host_port, protocol| PortSpec {
        container_port: 80,
        host_port,
        service_port: 10_000,
        protocol,
        name: Some("http".to_owned()),
        labels: map("k", "v"),
    };
    AppSpec {
        id: AppId::parse("/pay/api").unwrap(),
        instances: 3,
        run: RunSpec {
            cmd: Some("sleep 1".to_owned()),
            args: vec!["-v".to_owned()],
            user: Some("nobody".to_owned()),
            env: map("A", "b"),
            resources: Resources { cpu_milli: 500, memory_bytes: 1 << 30, disk_bytes: 1 },
            image: "web:1".to_owned(),
            force_pull: true,
            parameters: vec![("init".to_owned(), "true".to_owned())],
            volumes: vec![Volume::Host(HostVolume {
                container_path: "/data".to_owned(),
                host_path: "/srv".to_owned(),
                mode: VolumeMode::Ro,
            })],
            network: Network::Bridge,
            ports: vec![
                port(WantedHostPort::Any, Protocol::Tcp),
                port(WantedHostPort::Fixed(8080), Protocol::Udp),
                port(WantedHostPort::None, Protocol::Both),
            ],
            require_ports: false,
            mesos: false,
            tty: false,
            fetch: Vec::new(),
            pod: None,
        }
        .into(),
        policy: Policy {
            labels: map("team", "pay"),
            constraints: vec![Constraint {
                field: "rack".to_owned(),
                operator: Operator::MaxPer,
                value: Some("2".to_owned()),
            }],
            health_checks: vec![
                check(HealthKind::Http {
                    path: "/".to_owned(),
                    port: CheckPort::Index(0),
                    ignore_1xx: true,
                    tls: false,
                }),
                check(HealthKind::Tcp { port: CheckPort::Number(80) }),
                check(HealthKind::Command { value: "true".to_owned() }),
            ],
            upgrade: UpgradeStrategy { min_health_ppm: 1_000_000, max_over_ppm: 500_000 },
            backoff_ms: 1_000,
            backoff_factor_ppm: 1_150_000,
            backoff_max_ms: 300_000,
            kill_grace_ms: Some(5_000),
            kill_selection: KillSelection::OldestFirst,
            unreachable: Unreachable::After { inactive_ms: 1, expunge_ms: 2 },
            role: "*".to_owned(),
            accepted_roles: vec!["*".to_owned()],
            readiness_checks: Vec::new(),
            dependencies: Vec::new(),
            residency: None,
        }
        .into(),
    }
}

fn node() -> NodeDescription {
    NodeDescription {
        id: NodeId::new("n1"),
        agent: 5,
        address: "10.0.0.1".to_owned(),
        capacity: Resources { cpu_milli: 4_000, memory_bytes: 1 << 33, disk_bytes: 1 << 40 },
        ports: PortRange::default(),
        attributes: map("rack", "a"),
        versions: map("docker", "20.10"),
        grants: cluster::Grants::default(),
    }
}

fn observations(judged_by: Timestamp) -> Vec<Observation> {
    let checks = vec![CheckResult {
        alive: true,
        consecutive_failures: 1,
        forgiven: false,
        first_success: Some(Timestamp(1)),
        last_success: Some(Timestamp(2)),
        last_failure: Some(Timestamp(3)),
        last_failure_cause: Some("503".to_owned()),
    }];
    [
        Seen::Staging { message: "pulling image web:1".to_owned() },
        Seen::Running {
            ip: Some("172.17.0.2".to_owned()),
            health: Health::Healthy,
            checks,
            readiness: Readiness::default(),
        },
        Seen::Ended(End { kind: EndKind::OutOfMemory, exit_code: Some(137), message: "out of memory".to_owned() }),
        Seen::Removed,
    ]
    .into_iter()
    .zip(0..)
    .map(|(seen, n)| Observation { instance: instance(n), judged_by, trial: None, seen, evidence: None })
    .collect()
}

fn path() -> PathId {
    PathId::parse("/pay").unwrap()
}

fn group() -> GroupUpdate {
    let inner = GroupUpdate {
        id: PathId::parse("/pay/db").unwrap(),
        apps: None,
        groups: None,
        dependencies: Some(vec![PathId::parse("/base").unwrap()]),
    };
    GroupUpdate { id: path(), apps: Some(vec![spec()]), groups: Some(vec![inner]), dependencies: None }
}

fn stranger() -> Stranger {
    let (app, node) = ("/pay/api".to_owned(), "n0".to_owned());
    Stranger { instance: instance(1), app, node, agent: Some(5), running: true }
}

fn steps() -> Vec<Step> {
    let app = AppId::parse("/pay/api").unwrap();
    vec![
        Step::Launch {
            app: app.clone(),
            version: Timestamp(5),
            node: NodeId::new("n1"),
            ports: vec![31_000, 8080],
            reservation: None,
        },
        Step::Stop { instance: instance(1), reason: StopReason::Replaced },
        Step::Settle { deployment: deployment(), app: app.clone() },
        Step::Progress { deployment: deployment(), app, closeness: Closeness { serving: 1, left: 2 } },
        Step::Expire { deployment: deployment(), reason: "no room".to_owned() },
    ]
}

/// An instance that was forgiven a failure, and does not pass what else it is asked.
fn on_trial() -> Command {
    let mut observations = observations(Timestamp(5));
    for it in &mut observations {
        it.trial = Some("answered 404".to_owned());
        if let Seen::Running { checks, .. } = &mut it.seen {
            for check in checks {
                check.forgiven = true;
            }
        }
    }
    Command::Report { node: NodeId::new("n1"), observations, destroyed: Vec::new() }
}

/// Instances that ended, with what they left behind.
fn with_evidence() -> Command {
    let health = HealthAnswer {
        at: Timestamp(1),
        status: Some(503),
        cause: "answered 503".to_owned(),
        body: "no database".to_owned(),
    };
    let lines = [Stream::Stdout, Stream::Stderr].map(|stream| LogLine {
        at: "2026-11-28T06:00:00.000000001Z".to_owned(),
        stream,
        text: "no such table".to_owned(),
    });
    let evidence = Evidence {
        container: "web".to_owned(),
        exit_code: Some(137),
        out_of_memory: true,
        error: "it is stuck".to_owned(),
        health: Some(health),
        lines: lines.into(),
        more_lines: 198,
        missing: "its log cannot be read".to_owned(),
    };
    let mut observations = observations(Timestamp(5));
    observations.retain(|it| matches!(it.seen, Seen::Ended(_) | Seen::Removed));
    for it in &mut observations {
        it.evidence = Some(Arc::new(evidence.clone()));
    }
    Command::Report { node: NodeId::new("n1"), observations, destroyed: Vec::new() }
}

/// Every command, with the name of its file.
fn commands() -> Vec<(&'static str, Command)> {
    let app = AppId::parse("/pay/api").unwrap();
    let node_id = NodeId::new("n1");
    let all = vec![
        Command::Found { cluster: ClusterId(42) },
        Command::PutApps { apps: vec![(spec(), Expect::Version(Timestamp(5)))], force: true },
        Command::ScaleApps {
            apps: vec![Scaling { app: app.clone(), instances: 4, expect: Expect::Version(Timestamp(5)) }],
            force: true,
        },
        Command::RestartApp { app: app.clone(), force: true },
        Command::RemoveApp { app: app.clone(), force: false },
        Command::Configure { settings: Settings::default() },
        Command::PutGroup { update: group(), absent: true, force: false },
        Command::ScaleGroup { group: path(), factor_ppm: 1_500_000, force: false },
        Command::RestoreGroup { group: path(), version: Timestamp(5), force: false },
        Command::RemoveGroup { group: path(), force: true },
        Command::RollBack { deployment: deployment() },
        Command::Cancel { deployment: deployment() },
        Command::Kill { instances: vec![instance(1)], scale: true, force: false, wipe: false },
        Command::ResetBackoff { app },
        Command::Register { node: node() },
        Command::Lose { node: node_id.clone() },
        Command::Degrade { node: node_id.clone(), reason: Some("disk full".to_owned()) },
        Command::RemoveNode { node: node_id.clone() },
        Command::FindStrangers { node: node_id.clone(), strangers: vec![stranger()] },
        Command::RemoveOrphans { instances: vec![instance(1)] },
        Command::Report { node: node_id, observations: observations(Timestamp::default()), destroyed: Vec::new() },
        Command::Execute { steps: steps() },
    ];
    let observations = observations(Timestamp(5));
    let judged = Command::Report { node: NodeId::new("n1"), observations, destroyed: Vec::new() };
    let follow = Command::Execute { steps: vec![Step::Follow { instance: instance(1), version: Timestamp(5) }] };
    // Beside what was there from the start, which older logs have.
    let later = [
        ("report_judged", judged),
        ("report_trial", on_trial()),
        ("report_evidence", with_evidence()),
        ("execute_follow", follow),
    ];
    all.into_iter().map(|it| (name(&it), it)).chain(later).collect()
}

/// A variant without an arm here does not compile: it needs a file of its own.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Found { .. } => "found",
        Command::PutApps { .. } => "put_apps",
        Command::ScaleApps { .. } => "scale_apps",
        Command::RestartApp { .. } => "restart_app",
        Command::RemoveApp { .. } => "remove_app",
        Command::Configure { .. } => "configure",
        Command::PutGroup { .. } => "put_group",
        Command::ScaleGroup { .. } => "scale_group",
        Command::RestoreGroup { .. } => "restore_group",
        Command::RemoveGroup { .. } => "remove_group",
        Command::RollBack { .. } => "roll_back",
        Command::Cancel { .. } => "cancel",
        Command::Kill { .. } => "kill",
        Command::ResetBackoff { .. } => "reset_backoff",
        Command::Register { .. } => "register",
        Command::Lose { .. } => "lose",
        Command::Degrade { .. } => "degrade",
        Command::RemoveNode { .. } => "remove_node",
        Command::FindStrangers { .. } => "find_strangers",
        Command::RemoveOrphans { .. } => "remove_orphans",
        Command::Report { .. } => "report",
        Command::Execute { .. } => "execute",
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|it| format!("{it:02x}")).collect();
    let lines: Vec<String> = digits.chunks(40).map(<[String]>::concat).collect();
    lines.join("\n") + "\n"
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|it| u8::from_str_radix(&it.iter().collect::<String>(), 16).unwrap()).collect()
}

#[test]
fn every_command_is_read_as_it_was_written() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, command) in commands() {
        let path = folder.join(format!("{name}.msgpack.hex"));
        let written = rmp_serde::to_vec_named(&command).unwrap();
        if std::env::var_os("UPDATE_EXPECT").is_some() && !path.exists() {
            std::fs::write(&path, hex(&written)).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let read: Command = rmp_serde::from_slice(&unhex(&golden)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read, command, "{name} is read differently");
    }
}

#[test]
fn a_port_of_an_older_snapshot_is_held_by_both_transports() {
    let old = rmp_serde::to_vec_named(&BTreeMap::from([(8080_u16, instance(1))])).unwrap();
    let read: BTreeMap<u16, PortHolders> = rmp_serde::from_slice(&old).unwrap();
    assert_eq!(read[&8080], PortHolders { tcp: Some(instance(1)), udp: Some(instance(1)) });
    let new = BTreeMap::from([(53_u16, PortHolders { tcp: None, udp: Some(instance(2)) })]);
    let read: BTreeMap<u16, PortHolders> = rmp_serde::from_slice(&rmp_serde::to_vec_named(&new).unwrap()).unwrap();
    assert_eq!(read, new);
}

//! Whole container configurations, as they go to the engine.

use super::*;
use cluster::agent::PARAMETERS;
use cluster::{
    AppId, HostVolume, InstanceId, KillSelection, Policy, PortSpec, Resources, RunSpec, Timestamp, Unreachable,
    UpgradeStrategy, VolumeMode, WantedHostPort,
};
use serde_json::{Value, json};
use std::sync::Arc;

const CLUSTER: ClusterId = ClusterId(0xc1);

fn instance() -> InstanceId {
    InstanceId::derive(CLUSTER, 7, 0)
}

fn port(container_port: u16, protocol: Protocol, name: Option<&str>) -> PortSpec {
    PortSpec {
        container_port,
        host_port: WantedHostPort::Any,
        service_port: 10_000,
        protocol,
        name: name.map(str::to_owned),
        labels: BTreeMap::new(),
    }
}

fn spec() -> AppSpec {
    AppSpec {
        id: AppId::parse("/pay/api").unwrap(),
        instances: 1,
        run: RunSpec {
            cmd: None,
            args: vec![],
            user: None,
            env: BTreeMap::new(),
            resources: Resources { cpu_milli: 500, memory_bytes: 64 << 20, disk_bytes: 0 },
            image: "registry.example/pay-api:1.2".into(),
            force_pull: false,
            parameters: vec![],
            volumes: vec![],
            network: Network::Bridge,
            ports: vec![],
            require_ports: false,
            mesos: false,
            tty: false,
            fetch: Vec::new(),
            pod: None,
        },
        policy: Policy {
            labels: BTreeMap::new(),
            constraints: vec![],
            health_checks: vec![],
            upgrade: UpgradeStrategy { min_health_ppm: 1_000_000, max_over_ppm: 1_000_000 },
            backoff_ms: 1_000,
            backoff_factor_ppm: 1_150_000,
            backoff_max_ms: 300_000,
            kill_grace_ms: None,
            kill_selection: KillSelection::YoungestFirst,
            unreachable: Unreachable::Disabled,
            accepted_roles: vec![],
            readiness_checks: Vec::new(),
            dependencies: Vec::new(),
            residency: None,
        },
    }
}

fn made(spec: AppSpec, ports: &[u16]) -> Result<Value, SpecError> {
    let place = Place {
        cluster: CLUSTER,
        node: NodeId::new("n1"),
        address: "10.0.0.1".into(),
        volumes_allowed: vec![std::env::temp_dir()],
    };
    let assignment = Assignment {
        instance: instance(),
        app: spec.id.clone(),
        version: Timestamp(1_000),
        ports: ports.to_vec(),
        stop: false,
        started: false,
        kill_grace_ms: 3_000,
        reservation: None,
        spec: Some(Arc::new(spec)),
    };
    Ok(serde_json::to_value(container(&assignment, &place)?).unwrap())
}

/// The configuration of [`spec`] without any port.
fn plain() -> Value {
    let task = format!("pay_api.{}", instance());
    json!({
        "Image": "registry.example/pay-api:1.2",
        "Env": [
            "HOST=10.0.0.1",
            "MARATHON_APP_DOCKER_IMAGE=registry.example/pay-api:1.2",
            "MARATHON_APP_ENFORCE_GROUP_ROLE=FALSE",
            "MARATHON_APP_ID=/pay/api",
            "MARATHON_APP_LABELS=",
            "MARATHON_APP_RESOURCE_CPUS=0.5",
            "MARATHON_APP_RESOURCE_DISK=0.0",
            "MARATHON_APP_RESOURCE_GPUS=0",
            "MARATHON_APP_RESOURCE_MEM=64.0",
            "MARATHON_APP_VERSION=1970-01-01T00:00:01.000Z",
            format!("MESOS_TASK_ID={task}"),
        ],
        "Labels": {
            "MESOS_TASK_ID": task,
            "ekiden.app": "/pay/api",
            "ekiden.cluster": "0000000000c1",
            "ekiden.instance": instance().to_string(),
            "ekiden.node": "n1",
            "ekiden.version": "1970-01-01T00:00:01.000Z",
        },
        "HostConfig": {
            "NetworkMode": "bridge",
            "CpuShares": 512,
            "Memory": 67_108_864,
            "PidsLimit": 4096,
            "CapDrop": ["NET_RAW"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        },
    })
}

/// `expect` says what differs from [`plain`]: a path in the configuration, and its value.
fn check(what: &str, edit: impl FnOnce(&mut AppSpec), ports: &[u16], expect: &[(&str, Value)]) {
    let mut spec = spec();
    edit(&mut spec);
    let mut whole = plain();
    for (path, value) in expect {
        let (parent, key) = path.rsplit_once('/').unwrap();
        whole.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    let mut found = made(spec, ports).expect(what);
    let variables =
        |it: &Value| it["Env"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    if !expect.iter().any(|(path, _)| *path == "/Env") {
        let injected: Vec<String> = variables(&found).into_iter().filter(|it| !it.starts_with("PORT")).collect();
        found["Env"] = json!(injected);
    }
    assert_eq!(found, whole, "{what}");
}

#[test]
fn an_app_becomes_a_container() {
    check("plain", |_| {}, &[], &[]);
    check(
        "args go to the image's entrypoint",
        |it| it.run.args = vec!["-v".into(), "$X".into()],
        &[],
        &[("/Cmd", json!(["-v", "$X"]))],
    );
    let shell: fn(&mut AppSpec) = |it| it.run.cmd = Some("serve --port $PORT0".into());
    check(
        "cmd replaces the entrypoint by a shell",
        shell,
        &[],
        &[("/Entrypoint", json!(["/bin/sh", "-c"])), ("/Cmd", json!(["serve --port $PORT0"]))],
    );
    check("user", |it| it.run.user = Some("nobody".into()), &[], &[("/User", json!("nobody"))]);
    check("host network", |it| it.run.network = Network::Host, &[], &[("/HostConfig/NetworkMode", json!("host"))]);
}

#[test]
fn limits_are_in_dockers_units() {
    let tiny: fn(&mut AppSpec) = |it| it.run.resources = Resources { cpu_milli: 1, memory_bytes: 1, disk_bytes: 0 };
    let env = |cpus: &str, mem: &str| {
        let mut env = plain()["Env"].clone();
        env[5] = json!(format!("MARATHON_APP_RESOURCE_CPUS={cpus}"));
        env[8] = json!(format!("MARATHON_APP_RESOURCE_MEM={mem}"));
        env
    };
    let mem = "9.5367431640625e-7";
    check(
        "tiny",
        tiny,
        &[],
        &[("/Env", env("0.001", mem)), ("/HostConfig/CpuShares", json!(2)), ("/HostConfig/Memory", json!(6 << 20))],
    );
    let large: fn(&mut AppSpec) =
        |it| it.run.resources = Resources { cpu_milli: 12_000, memory_bytes: 3 << 30, disk_bytes: 0 };
    check(
        "large",
        large,
        &[],
        &[
            ("/Env", env("12.0", "3072.0")),
            ("/HostConfig/CpuShares", json!(12_288)),
            ("/HostConfig/Memory", json!(3u64 << 30)),
        ],
    );
}

#[test]
fn ports_are_mapped_in_the_bridge_network_only() {
    let ports: fn(&mut AppSpec) = |it| {
        it.run.ports = vec![
            port(8080, Protocol::Tcp, Some("http")),
            port(53, Protocol::Both, None),
            port(0, Protocol::Udp, None),
            PortSpec { host_port: WantedHostPort::None, ..port(9000, Protocol::Tcp, None) },
        ];
    };
    let to = |port: &str| json!([{"HostPort": port}]);
    check(
        "bridge",
        ports,
        &[31_001, 31_002, 31_003],
        &[
            ("/ExposedPorts", json!({"8080/tcp": {}, "53/tcp": {}, "53/udp": {}, "31003/udp": {}, "9000/tcp": {}})),
            (
                "/HostConfig/PortBindings",
                json!({
                    "8080/tcp": to("31001"), "53/tcp": to("31002"), "53/udp": to("31002"), "31003/udp": to("31003"),
                }),
            ),
        ],
    );
    let host: fn(&mut AppSpec) = |it| {
        it.run.network = Network::Host;
        it.run.ports = vec![port(0, Protocol::Tcp, None)];
    };
    check("host", host, &[31_001], &[("/HostConfig/NetworkMode", json!("host"))]);
}

#[test]
fn the_environment_is_marathons_and_the_user_wins() {
    let mut spec = spec();
    spec.run.ports = vec![port(8080, Protocol::Tcp, Some("http-api")), port(0, Protocol::Tcp, None)];
    spec.run.env = BTreeMap::from([("HOST".into(), "mine".into()), ("EMPTY".into(), String::new())]);
    spec.policy.labels = BTreeMap::from([
        ("traefik.http/rule".into(), "a b".into()),
        ("long".into(), "x".repeat(512)),
        ("team".into(), "pay".into()),
    ]);
    let made = made(spec.clone(), &[31_001, 31_002]).unwrap();
    let found: Vec<&str> = made["Env"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    for expect in [
        "HOST=mine",
        "EMPTY=",
        "PORT=31001",
        "PORT0=31001",
        "PORT1=31002",
        "PORTS=31001,31002",
        "PORT_8080=31001",
        "PORT_HTTP-API=31001",
        "PORT_31002=31002",
        "MARATHON_APP_LABELS=TEAM TRAEFIK_HTTP_RULE",
        "MARATHON_APP_LABEL_TEAM=pay",
        "MARATHON_APP_LABEL_TRAEFIK_HTTP_RULE=a b",
    ] {
        assert!(found.contains(&expect), "{expect} in {found:?}");
    }
    assert!(!found.iter().any(|it| it.starts_with("MARATHON_APP_LABEL_LONG")));
    spec.run.network = Network::Host;
    let made = self::made(spec, &[31_001, 31_002]).unwrap();
    assert!(made["Env"].as_array().unwrap().contains(&json!("PORT_10000=31002")), "by the definition's number");
}

#[test]
fn volumes_and_parameters_are_checked_once_more() {
    let tmp = std::env::temp_dir().canonicalize().unwrap().display().to_string();
    let volume = |host_path: &str| {
        Volume::Host(HostVolume { container_path: "/data".into(), host_path: host_path.into(), mode: VolumeMode::Rw })
    };
    let bound = format!("{tmp}/ekiden-none:/data:rw");
    check(
        "volume",
        |it| it.run.volumes = vec![volume(&format!("{tmp}/ekiden-none"))],
        &[],
        &[("/HostConfig/Binds", json!([bound]))],
    );
    let mut hostile = spec();
    hostile.run.volumes = vec![volume("/etc")];
    assert!(matches!(made(hostile, &[]), Err(SpecError::Volume(VolumeError::NotAllowed { .. }))));
    for (key, value) in
        [("privileged", "true"), ("cap-add", "SYS_ADMIN"), ("label", "ekiden.node=other"), ("pids-limit", "-1")]
    {
        let mut hostile = spec();
        hostile.run.parameters = vec![(key.into(), value.into())];
        assert!(matches!(made(hostile, &[]), Err(SpecError::Parameter(_))), "{key}={value}");
    }
}

#[test]
fn every_allowed_parameter_arrives() {
    for (key, value, path, expect) in [
        ("add-host", "db:10.0.0.9", "/HostConfig/ExtraHosts", json!(["db:10.0.0.9"])),
        ("cap-drop", "CHOWN", "/HostConfig/CapDrop", json!(["NET_RAW", "CHOWN"])),
        ("dns", "10.0.0.2", "/HostConfig/Dns", json!(["10.0.0.2"])),
        ("dns-option", "ndots:1", "/HostConfig/DnsOptions", json!(["ndots:1"])),
        ("dns-search", "example.org", "/HostConfig/DnsSearch", json!(["example.org"])),
        ("entrypoint", "/serve", "/Entrypoint", json!(["/serve"])),
        ("group-add", "video", "/HostConfig/GroupAdd", json!(["video"])),
        ("hostname", "web", "/Hostname", json!("web")),
        ("init", "true", "/HostConfig/Init", json!(true)),
        ("memory-reservation", "32m", "/HostConfig/MemoryReservation", json!(32 << 20)),
        ("memory-swap", "-1", "/HostConfig/MemorySwap", json!(-1)),
        ("no-healthcheck", "true", "/Healthcheck", json!({"Test": ["NONE"]})),
        ("oom-score-adj", "500", "/HostConfig/OomScoreAdj", json!(500)),
        ("pids-limit", "100", "/HostConfig/PidsLimit", json!(100)),
        ("read-only", "true", "/HostConfig/ReadonlyRootfs", json!(true)),
        ("shm-size", "64m", "/HostConfig/ShmSize", json!(64 << 20)),
        ("stop-signal", "SIGINT", "/StopSignal", json!("SIGINT")),
        ("sysctl", "net.core.somaxconn=1024", "/HostConfig/Sysctls", json!({"net.core.somaxconn": "1024"})),
        ("tmpfs", "/run:size=64m", "/HostConfig/Tmpfs", json!({"/run": "size=64m"})),
        ("ulimit", "nofile=1024:2048", "/HostConfig/Ulimits", json!([{"Name": "nofile", "Soft": 1024, "Hard": 2048}])),
        ("user", "1000", "/User", json!("1000")),
        ("workdir", "/app", "/WorkingDir", json!("/app")),
    ] {
        check(key, |it| it.run.parameters = vec![(key.into(), value.into())], &[], &[(path, expect)]);
        assert!(PARAMETERS.iter().any(|(name, _)| *name == key));
    }
    assert_eq!(PARAMETERS.len(), 23, "a new parameter needs its line above");
    let mut labels = plain()["Labels"].clone();
    labels["team"] = json!("pay");
    check("label", |it| it.run.parameters = vec![("label".into(), "team=pay".into())], &[], &[("/Labels", labels)]);
}

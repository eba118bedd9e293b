//! Whole container configurations, as they go to the engine.

use super::*;
use cluster::agent::PARAMETERS;
use cluster::testing;
use cluster::{
    ExternalVolume, HostVolume, InstanceId, Mount, PersistentVolume, PodVolume, PortSpec, Resources, VolumeMode,
    WantedHostPort,
};
use serde_json::{Value, json};
use std::path::Path;

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
    let mut spec = testing::app("/pay/api", 0);
    spec.run.resources.cpu_milli = 500;
    spec.run.image = "registry.example/pay-api:1.2".into();
    spec
}

fn made(spec: AppSpec, ports: &[u16]) -> Result<Value, SpecError> {
    let bodies = all_made(spec, ports)?;
    assert_eq!(bodies.len(), 1);
    Ok(bodies[0].1.clone())
}

/// What the tests' operator allows.
const GRANTED: &[&str] = &[
    "network=host",
    "cap-add=NET_ADMIN",
    "device",
    "env",
    "log-driver",
    "log-opt",
    "name",
    "pid",
    "privileged",
    "publish",
    "security-opt",
];

/// The containers by name.
fn all_made(spec: AppSpec, ports: &[u16]) -> Result<Vec<(String, Value)>, SpecError> {
    made_with(spec, ports, None)
}

/// The same on a node where logs may have a bound.
fn made_with(spec: AppSpec, ports: &[u16], log_max_mib: Option<u64>) -> Result<Vec<(String, Value)>, SpecError> {
    let place = Place {
        cluster: CLUSTER,
        agent: 0xa1,
        node: NodeId::new("n1"),
        address: "10.0.0.1".into(),
        volume_drivers: vec!["rexray".into()],
        grants: Grants(GRANTED.iter().map(|it| (*it).to_owned()).collect()),
        log_max_mib,
        dirs: Dirs::new(Path::new("/agent")),
        places: Places::new(7),
    };
    let reservation = spec.is_resident().then(instance);
    let assignment = Assignment { ports: ports.to_vec(), reservation, ..testing::assignment(instance(), spec) };
    let pieces = containers(&assignment, &place)?;
    Ok(pieces.into_iter().map(|it| (it.name, serde_json::to_value(it.body).unwrap())).collect())
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
            "MESOS_SANDBOX=/mnt/mesos/sandbox",
            format!("MESOS_TASK_ID={task}"),
        ],
        "Labels": {
            "MESOS_TASK_ID": task,
            "ekiden.agent": "00000000000000a1",
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
        },
    })
}

/// `expect` says what differs from [`plain`]: a path in the configuration, and its value; `null` for what is not there.
fn check(what: &str, edit: impl FnOnce(&mut AppSpec), ports: &[u16], expect: &[(&str, Value)]) {
    let mut spec = spec();
    edit(&mut spec);
    let mut whole = plain();
    for (path, value) in expect {
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = whole.pointer_mut(parent).unwrap();
        if value.is_null() {
            parent.as_object_mut().unwrap().remove(key);
        } else {
            parent[key] = value.clone();
        }
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
    let is_image = |it: &Value| it.as_str().unwrap().starts_with("MARATHON_APP_DOCKER_IMAGE=");
    for (mesos, has_image) in [(false, true), (true, false)] {
        let mut typed = spec.clone();
        typed.run.mesos = mesos;
        let made = self::made(typed, &[31_001, 31_002]).unwrap();
        assert_eq!(made["Env"].as_array().unwrap().iter().any(is_image), has_image, "of type MESOS: {mesos}");
    }
    let mut unmapped = spec.clone();
    unmapped.run.network = Network::Container { name: "mesh".into(), labels: BTreeMap::new() };
    let unwanted = |number| PortSpec { host_port: WantedHostPort::None, ..port(number, Protocol::Tcp, None) };
    unmapped.run.ports = vec![unwanted(0), unwanted(1025), port(0, Protocol::Tcp, None), unwanted(0)];
    let made = self::made(unmapped, &[31_001]).unwrap();
    let found = made["Env"].as_array().unwrap();
    for expect in ["PORTS=1026,1025,31001,1027", "PORT_1026=1026", "PORT3=1027"] {
        assert!(found.contains(&json!(expect)), "{expect} in {found:?}");
    }
    assert_eq!(made["ExposedPorts"], json!({"1026/tcp": {}, "1025/tcp": {}, "31001/tcp": {}, "1027/tcp": {}}));
    spec.run.network = Network::Host;
    let made = self::made(spec, &[31_001, 31_002]).unwrap();
    assert!(made["Env"].as_array().unwrap().contains(&json!("PORT_10000=31002")), "by the definition's number");
}

#[test]
fn volumes_and_parameters_are_checked_once_more() {
    let volume = |host_path: &str, mode| {
        Volume::Host(HostVolume { container_path: "/data".into(), host_path: host_path.into(), mode })
    };
    let place = |n: u32| format!("/run/ekiden/volumes/0000000000000007/{}/{n}", instance());
    check(
        "volume",
        |it| it.run.volumes = vec![volume("/srv/a", VolumeMode::Rw), volume("/srv/b", VolumeMode::Ro)],
        &[],
        &[(
            "/HostConfig/Mounts",
            json!([
                {"Type": "bind", "Source": place(0), "Target": "/data"},
                {"Type": "bind", "Source": place(1), "Target": "/data", "ReadOnly": true},
            ]),
        )],
    );
    let mut hostile = spec();
    hostile.run.volumes = vec![volume("/srv/../etc", VolumeMode::Rw)];
    assert!(matches!(made(hostile, &[]), Err(SpecError::Volume(VolumeError::Malformed { .. }))));
    for (key, value) in [("volume", "/:/host"), ("label", "ekiden.node=other"), ("pids-limit", "-1"), ("pid", "x")] {
        let mut hostile = spec();
        hostile.run.parameters = vec![(key.into(), value.into())];
        assert!(matches!(made(hostile, &[]), Err(SpecError::Parameter(_))), "{key}={value}");
    }
    for (key, value) in [("cap-add", "SYS_ADMIN"), ("cap-add", "ALL")] {
        let mut hostile = spec();
        hostile.run.parameters = vec![(key.into(), value.into())];
        let error = made(hostile, &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("'{key}={value}' is not allowed on this node")), "{error}");
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
    let mut env = plain()["Env"].clone();
    env.as_array_mut().unwrap().retain(|it| *it != "HOST=10.0.0.1");
    env.as_array_mut().unwrap().push(json!("HOST=other"));
    let device = json!([{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/f", "CgroupPermissions": "rw"}]);
    let published = json!({"80/udp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]});
    for (key, value, expect) in [
        ("cap-add", "NET_ADMIN", vec![("/HostConfig/CapAdd", json!(["NET_ADMIN"]))]),
        ("device", "/dev/fuse:/dev/f:rw", vec![("/HostConfig/Devices", device)]),
        ("env", "HOST=other", vec![("/Env", env)]),
        ("log-driver", "journald", vec![("/HostConfig/LogConfig", json!({"Type": "journald"}))]),
        ("log-opt", "max-size=1m", vec![("/HostConfig/LogConfig", json!({"Config": {"max-size": "1m"}}))]),
        ("pid", "host", vec![("/HostConfig/PidMode", json!("host"))]),
        (
            "privileged",
            "true",
            vec![
                ("/HostConfig/Privileged", json!(true)),
                ("/HostConfig/CapDrop", Value::Null),
                ("/HostConfig/SecurityOpt", Value::Null),
            ],
        ),
        (
            "publish",
            "127.0.0.1:8080:80/udp",
            vec![("/HostConfig/PortBindings", published), ("/ExposedPorts", json!({"80/udp": {}}))],
        ),
        (
            "security-opt",
            "seccomp=unconfined",
            vec![("/HostConfig/SecurityOpt", json!(["no-new-privileges", "seccomp=unconfined"]))],
        ),
        (
            "security-opt",
            "no-new-privileges=false",
            vec![("/HostConfig/SecurityOpt", json!(["no-new-privileges=false"]))],
        ),
        (
            "security-opt",
            "systempaths=unconfined",
            vec![("/HostConfig/MaskedPaths", json!([])), ("/HostConfig/ReadonlyPaths", json!([]))],
        ),
    ] {
        check(key, |it| it.run.parameters = vec![(key.into(), value.into())], &[], &expect);
    }
    let mut labels = plain()["Labels"].clone();
    labels["team"] = json!("pay");
    check("label", |it| it.run.parameters = vec![("label".into(), "team=pay".into())], &[], &[("/Labels", labels)]);
}

#[test]
fn a_container_has_the_name_that_its_app_gives_it_and_else_its_instances_id() {
    let named = |parameters: &[(&str, &str)]| {
        let mut spec = spec();
        spec.run.parameters = parameters.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        all_made(spec, &[]).unwrap().remove(0).0
    };
    assert_eq!(named(&[("name", "web")]), "web");
    assert_eq!(named(&[("name", "web"), ("name", "web-2")]), "web-2", "the last one counts, as with Docker");
    assert_ne!(named(&[]), "web");
}

#[test]
fn the_nodes_own_log_driver_counts_unless_logs_are_bounded() {
    let log = |parameters: &[(&str, &str)], mib| {
        let mut spec = spec();
        spec.run.parameters = parameters.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        made_with(spec, &[], mib).map(|it| it[0].1["HostConfig"]["LogConfig"].clone()).map_err(|it| it.to_string())
    };
    let bounded = |driver: &str| json!({"Type": driver, "Config": {"max-size": "10240k", "max-file": "3"}});
    assert_eq!(log(&[], None), Ok(Value::Null));
    assert_eq!(log(&[], Some(30)), Ok(bounded("json-file")));
    assert_eq!(log(&[("log-driver", "local")], Some(30)), Ok(bounded("local")));
    for parameter in [("log-driver", "journald"), ("log-opt", "max-size=1g"), ("log-opt", "max-file=99")] {
        assert!(log(&[parameter], None).is_ok());
        assert!(log(&[parameter], Some(30)).unwrap_err().contains("where logs are bounded"), "{parameter:?}");
    }
}

#[test]
fn what_was_fetched_is_mounted_out_of_the_sandbox_and_nothing_else() {
    let volume = |host_path: &str| {
        Volume::Host(HostVolume { container_path: "/c".into(), host_path: host_path.into(), mode: VolumeMode::Ro })
    };
    let fetch =
        Fetch { uri: "http://files/app.conf".into(), extract: false, executable: false, cache: false, dest_path: None };
    let mut spec = spec();
    spec.run.fetch = vec![fetch];
    spec.run.volumes = vec![volume("app.conf")];
    let body = made(spec.clone(), &[]).unwrap();
    let source = Dirs::new(Path::new("/agent")).sandbox(instance(), "").join("app.conf");
    let mount = json!({"Type": "bind", "Source": source.display().to_string(), "Target": "/c", "ReadOnly": true});
    assert!(body["HostConfig"]["Mounts"].as_array().unwrap().contains(&mount), "{body}");
    spec.run.volumes = vec![volume("../app.conf")];
    assert!(matches!(made(spec, &[]), Err(SpecError::Volume(VolumeError::Malformed { .. }))));
}

#[test]
fn a_link_out_of_the_sandbox_is_not_mounted() {
    let scratch = std::env::temp_dir().join(format!("ekiden-spec-{}", std::process::id()));
    let dirs = Dirs::new(&scratch);
    let sandbox = dirs.sandbox(instance(), "");
    std::fs::create_dir_all(&sandbox).unwrap();
    std::fs::write(sandbox.join("file"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", sandbox.join("out")).unwrap();
    std::os::unix::fs::symlink("file", sandbox.join("in")).unwrap();
    for (path, is_good) in [("file", true), ("in", true), ("out", false), ("none", false)] {
        let mut spec = spec();
        let volume = HostVolume { container_path: "/c".into(), host_path: path.into(), mode: VolumeMode::Ro };
        spec.run.volumes = vec![Volume::Host(volume)];
        let assignment = testing::assignment(instance(), spec);
        assert_eq!(check_fetched(&assignment, &dirs).is_ok(), is_good, "{path}");
    }
    std::fs::remove_dir_all(scratch).unwrap();
}

#[test]
fn volumes_of_every_kind_are_mounted() {
    let persistent =
        |path: &str, mode| Volume::Persistent(PersistentVolume { container_path: path.into(), size_mib: 10, mode });
    let dir = format!("/agent/volumes/{}", instance());
    let sandbox = format!("/agent/sandboxes/{}/sandbox", instance());
    let mut labels = plain()["Labels"].clone();
    labels["ekiden.reservation"] = json!(instance().to_string());
    check(
        "persistent, one of them in the sandbox",
        |it| it.run.volumes = vec![persistent("data", VolumeMode::Rw), persistent("/var/lib/db", VolumeMode::Ro)],
        &[],
        &[
            ("/Labels", labels),
            (
                "/HostConfig/Mounts",
                json!([
                    {"Type": "bind", "Source": sandbox, "Target": "/mnt/mesos/sandbox"},
                    {"Type": "bind", "Source": format!("{dir}/data"), "Target": "/mnt/mesos/sandbox/data"},
                    {"Type": "bind", "Source": format!("{dir}/%2fvar%2flib%2fdb"), "Target": "/var/lib/db",
                     "ReadOnly": true},
                ]),
            ),
        ],
    );
    let elsewhere = |host_path: &str| {
        let container_path = "/var/lib/mysql".into();
        Volume::Host(HostVolume { container_path, host_path: host_path.into(), mode: VolumeMode::Ro })
    };
    let mut twice = spec();
    twice.run.volumes = vec![elsewhere("data"), persistent("data", VolumeMode::Rw)];
    assert_eq!(
        made(twice.clone(), &[]).unwrap()["HostConfig"]["Mounts"],
        json!([
            {"Type": "bind", "Source": sandbox, "Target": "/mnt/mesos/sandbox"},
            {"Type": "bind", "Source": format!("{dir}/data"), "Target": "/var/lib/mysql", "ReadOnly": true},
            {"Type": "bind", "Source": format!("{dir}/data"), "Target": "/mnt/mesos/sandbox/data"},
        ])
    );
    twice.run.volumes[0] = elsewhere("other");
    assert!(matches!(made(twice, &[]).unwrap_err(), SpecError::Volume(VolumeError::Malformed { .. })));
    let external: fn(&mut AppSpec) = |it| {
        it.run.volumes = vec![Volume::External(ExternalVolume {
            container_path: "/data".into(),
            mode: VolumeMode::Rw,
            name: "db".into(),
            driver: "rexray".into(),
            options: BTreeMap::from([("size".into(), "10".into())]),
            shared: false,
        })];
    };
    let driver = json!({"DriverConfig": {"Name": "rexray", "Options": {"size": "10"}}});
    let mount = json!([{"Type": "volume", "Source": "db", "Target": "/data", "VolumeOptions": driver}]);
    check("external", external, &[], &[("/HostConfig/Mounts", mount)]);
    check("terminal", |it| it.run.tty = true, &[], &[("/Tty", json!(true))]);
    let mut outside = spec();
    outside.run.volumes = vec![persistent("../../etc", VolumeMode::Rw)];
    assert!(matches!(made(outside, &[]), Err(SpecError::Volume(VolumeError::Inside { .. }))));
}

#[test]
fn what_cannot_be_run_says_why() {
    let refused = |edit: fn(&mut AppSpec)| {
        let mut spec = spec();
        edit(&mut spec);
        made(spec, &[]).unwrap_err().to_string()
    };
    let no_image = "app /pay/api names no image, and the cluster has no command_image; set it, or name an image";
    assert_eq!(refused(|it| it.run.image.clear()), no_image);
    for name in ["host", "none", "bridge", "container:x", "", "../x", "-a"] {
        let mut spec = spec();
        spec.run.network = Network::Container { name: name.into(), labels: BTreeMap::new() };
        assert!(matches!(made(spec, &[]), Err(SpecError::Network { .. })), "{name}");
    }
    let mut spec = spec();
    spec.run.network = Network::Container { name: "backend".into(), labels: BTreeMap::new() };
    assert_eq!(made(spec, &[]).unwrap()["HostConfig"]["NetworkMode"], "backend");
}

fn pod_container(name: &str) -> PodContainer {
    PodContainer {
        name: name.into(),
        image: "web:1".into(),
        force_pull: false,
        command: None,
        resources: Resources { cpu_milli: 250, memory_bytes: 32 << 20, disk_bytes: 0 },
        env: BTreeMap::new(),
        user: None,
        n_endpoints: 0,
        mounts: vec![],
        fetch: vec![],
        labels: BTreeMap::new(),
        kill_grace_ms: None,
        tty: false,
    }
}

#[test]
fn a_pod_is_a_network_and_its_containers() {
    let mut spec = spec();
    spec.run.image.clear();
    spec.run.user = Some("nobody".into());
    spec.run.env = BTreeMap::from([("A".into(), "pod".into()), ("B".into(), "pod".into())]);
    spec.run.ports = vec![port(0, Protocol::Tcp, Some("http-api")), port(53, Protocol::Both, Some("dns"))];
    let argv =
        |override_entrypoint| Some(PodCommand::Argv { argv: vec!["/serve".into(), "-v".into()], override_entrypoint });
    let mount = |volume: &str, path: &str, read_only| Mount { volume: volume.into(), path: path.into(), read_only };
    let web = PodContainer {
        command: argv(true),
        env: BTreeMap::from([("B".into(), "web".into())]),
        mounts: vec![mount("shared", "/shared", false), mount("host", "/host", true)],
        labels: BTreeMap::from([("tier".into(), "front".into()), ("ekiden.instance".into(), "forged".into())]),
        kill_grace_ms: Some(9_000),
        tty: true,
        ..pod_container("web")
    };
    let log = PodContainer { command: argv(false), user: Some("root".into()), ..pod_container("log") };
    let volumes = vec![
        PodVolume { name: "shared".into(), host_path: None },
        PodVolume { name: "host".into(), host_path: Some("/srv/a".into()) },
    ];
    spec.run.pod = Some(Pod { containers: vec![web, log], volumes });
    let bodies = all_made(spec.clone(), &[31_001, 31_002]).unwrap();
    let names: Vec<&str> = bodies.iter().map(|it| it.0.as_str()).collect();
    let id = instance();
    assert_eq!(names, [id.to_string(), format!("{id}.web"), format!("{id}.log")]);
    let at = |n: usize, path: &str| bodies[n].1.pointer(path).cloned().unwrap_or_default();
    let to = |port: &str| json!([{"HostPort": port}]);

    assert_eq!(at(0, "/Image"), "ekiden-pause:1");
    assert_eq!(at(0, "/Labels/ekiden.pod"), "web,log");
    assert_eq!(
        at(0, "/HostConfig/PortBindings"),
        json!({"31001/tcp": to("31001"), "53/tcp": to("31002"), "53/udp": to("31002")})
    );
    assert_eq!(at(0, "/HostConfig/NetworkMode"), "bridge");

    assert_eq!(at(1, "/HostConfig/NetworkMode"), format!("container:{id}"));
    assert_eq!((at(1, "/Entrypoint"), at(1, "/Cmd")), (json!(["/serve"]), json!(["-v"])));
    assert_eq!((at(2, "/Entrypoint"), at(2, "/Cmd")), (Value::Null, json!(["/serve", "-v"])));
    assert_eq!((at(1, "/User"), at(2, "/User")), (json!("nobody"), json!("root")));
    assert_eq!((at(1, "/Tty"), at(2, "/Tty")), (json!(true), Value::Null));
    assert_eq!((at(1, "/Labels/ekiden.grace-ms"), at(2, "/Labels/ekiden.grace-ms")), (json!("9000"), json!("3000")));
    assert_eq!((at(1, "/Labels/tier"), at(1, "/Labels/ekiden.container")), (json!("front"), json!("web")));
    assert_eq!(at(1, "/Labels/ekiden.instance"), id.to_string(), "nobody can forge it");
    assert_eq!((at(1, "/HostConfig/PortBindings"), at(1, "/ExposedPorts")), (Value::Null, Value::Null));
    assert_eq!(at(1, "/HostConfig/Memory"), 32 << 20);
    let shared = format!("/agent/sandboxes/{id}/volume-shared");
    let host = format!("/run/ekiden/volumes/0000000000000007/{id}/web-0");
    assert_eq!(
        at(1, "/HostConfig/Mounts"),
        json!([
            {"Type": "bind", "Source": shared, "Target": "/shared"},
            {"Type": "bind", "Source": host, "Target": "/host", "ReadOnly": true},
        ])
    );
    let env = at(1, "/Env");
    for expect in [
        "A=pod",
        "B=web",
        "HOST=10.0.0.1",
        "MARATHON_APP_ID=/pay/api",
        "MARATHON_APP_LABEL_TIER=front",
        "MARATHON_CONTAINER_ID=web",
        "MARATHON_CONTAINER_RESOURCE_CPUS=0.25",
        "MESOS_SANDBOX=/mnt/mesos/sandbox",
        &format!("MESOS_TASK_ID=pay_api.{id}.web"),
        "ENDPOINT_HTTP_API=31001",
        "EP_HOST_HTTP_API=31001",
        "EP_CONTAINER_HTTP_API=31001",
        "ENDPOINT_DNS=53",
        "EP_HOST_DNS=31002",
        "EP_CONTAINER_DNS=53",
    ] {
        assert!(env.as_array().unwrap().contains(&json!(expect)), "{expect} in {env}");
    }

    let hostile = |edit: fn(&mut Pod)| {
        let mut spec = spec.clone();
        edit(spec.run.pod.as_mut().unwrap());
        all_made(spec, &[31_001, 31_002]).unwrap_err()
    };
    let forbidden = hostile(|it| it.volumes[1].host_path = Some("/srv/../etc".into()));
    assert!(matches!(forbidden, SpecError::Volume(VolumeError::Malformed { .. })));
    let inside = hostile(|it| it.containers[0].mounts[0].path = "/".into());
    assert!(matches!(inside, SpecError::Volume(VolumeError::Inside { .. })));
    assert!(matches!(hostile(|it| it.containers[1].image.clear()), SpecError::NoImage { .. }));
}

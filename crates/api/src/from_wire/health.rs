//! Health checks.

use super::Problems;
use super::limits::SECONDS_MAX;
use super::read::Object;
use super::seen::Seen;
use cluster::{CheckPort, HealthCheck, HealthKind, PortSpec};

const KNOWN: &[&str] = &[
    "command",
    "delaySeconds",
    "gracePeriodSeconds",
    "ignoreHttp1xx",
    "intervalSeconds",
    "ipProtocol",
    "maxConsecutiveFailures",
    "path",
    "port",
    "portIndex",
    "portName",
    "protocol",
    "timeoutSeconds",
];
const PROTOCOLS: &[&str] = &["HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_TCP", "MESOS_HTTP", "MESOS_HTTPS"];

/// Reads `healthChecks` (RAML `AppHealthCheck`) of an app with these ports.
pub(super) fn read(problems: &mut Problems, app: &Object, ports: &[PortSpec]) -> Vec<HealthCheck> {
    let objects = app.objects(problems, "healthChecks").unwrap_or_default();
    let checks: Vec<HealthCheck> = objects.iter().filter_map(|it| check(problems, it, ports)).collect();
    let mut seen = Seen::new();
    if checks.iter().any(|it| !seen.is_new(it)) {
        problems.invalid(&app.at("healthChecks"), "must not contain the same check twice");
    }
    if checks.iter().filter(|it| it.mesos).count() > 1 {
        problems.invalid(&app.at("healthChecks"), "AppDefinition can contain at most one Mesos health check");
    }
    checks
}

fn check(problems: &mut Problems, object: &Object, ports: &[PortSpec]) -> Option<HealthCheck> {
    object.check_known(problems, KNOWN);
    let protocol = object.word(problems, "protocol", PROTOCOLS);
    let protocol = if object.get("protocol").is_none() { Some("HTTP") } else { protocol };
    let seconds = |problems: &mut Problems, name, min, default| {
        object.int(problems, name, min, SECONDS_MAX).unwrap_or(default) * 1000
    };
    let check = HealthCheck {
        kind: kind(problems, object, protocol?, ports)?,
        container: String::new(),
        ipv6: object.word(problems, "ipProtocol", &["IPv4", "IPv6"]) == Some("IPv6"),
        mesos: protocol?.starts_with("MESOS_"),
        grace_ms: seconds(problems, "gracePeriodSeconds", 0, 300),
        interval_ms: seconds(problems, "intervalSeconds", 1, 60),
        timeout_ms: seconds(problems, "timeoutSeconds", 1, 20),
        max_failures: object.int(problems, "maxConsecutiveFailures", 0, 1_000_000).unwrap_or(3) as u32,
        delay_ms: seconds(problems, "delaySeconds", 0, 15),
    };
    if check.ipv6 && matches!(check.kind, HealthKind::Command { .. }) {
        problems.invalid(&object.at("ipProtocol"), "is for checks over the network");
    }
    if object.get("timeoutSeconds").is_some() && check.timeout_ms > check.interval_ms {
        problems.odd(&object.at("timeoutSeconds"), "is longer than intervalSeconds: a slow probe delays the next one");
    }
    Some(check)
}

fn kind(problems: &mut Problems, object: &Object, protocol: &str, ports: &[PortSpec]) -> Option<HealthKind> {
    let ignore_1xx = object.boolean(problems, "ignoreHttp1xx").unwrap_or(false);
    let command = object.object(problems, "command");
    if protocol == "COMMAND" {
        let value = command.and_then(|it| {
            it.check_known(problems, &["value"]);
            it.text(problems, "value")
        });
        if value.is_none_or(str::is_empty) {
            problems.invalid(&object.at("command"), "a COMMAND check needs a command: {\"value\": \"…\"}");
        }
        return Some(HealthKind::Command { value: value?.to_owned() });
    }
    if ignore_1xx && !matches!(protocol, "HTTP" | "HTTPS") {
        problems.invalid(&object.at("ignoreHttp1xx"), "is for checks of protocol HTTP or HTTPS only");
    }
    let port = port(problems, object, ports)?;
    if protocol.ends_with("TCP") {
        return Some(HealthKind::Tcp { port });
    }
    let path = path(problems, object);
    Some(HealthKind::Http { path, port, tls: protocol.ends_with("HTTPS"), ignore_1xx })
}

/// `path` of a check by HTTP; `/` by default.
pub(super) fn path(problems: &mut Problems, object: &Object) -> String {
    let path = object.text(problems, "path").unwrap_or("/");
    if path.bytes().any(|it| it <= b' ' || it == 0x7f) {
        problems.invalid(&object.at("path"), "must not contain spaces or control characters: encode them as '%20'");
    }
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn port(problems: &mut Problems, object: &Object, ports: &[PortSpec]) -> Option<CheckPort> {
    if object.get("portName").is_some_and(|it| it.as_str() != Some("")) {
        problems.invalid(&object.at("portName"), "is not supported: use 'portIndex'");
    }
    let number = object.int(problems, "port", 1, 65_535);
    let index = object.int(problems, "portIndex", 0, u64::from(u32::MAX));
    match (number, index) {
        (Some(_), Some(_)) => {
            problems.invalid(object.path(), "must have 'port' or 'portIndex', not both");
            None
        }
        (Some(number), None) => Some(CheckPort::Number(number as u16)),
        (None, index) => {
            let index = index.unwrap_or(0);
            if index >= ports.len() as u64 {
                problems.invalid(
                    &object.at("portIndex"),
                    "Health check port indices must address an element of the ports array or container port mappings.",
                );
            }
            Some(CheckPort::Index(index as u32))
        }
    }
}

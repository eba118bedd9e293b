//! Which of Docker's own options an app may set (`container.docker.parameters`).
//!
//! Marathon passed every option of `docker run` on, `privileged` among them. Here each is on one of two lists: what
//! stays inside the container any app may set; what reaches beyond it, or past what Ekiden sets itself, needs the grant
//! of the node's operator ([`BY_GRANT`]). The API refuses the others, and the agent once more.

use crate::model::{BY_GRANT, InstanceId};
use std::net::IpAddr;

/// The options an app may set, with what their values mean; names as in `docker run --help`.
pub const PARAMETERS: &[(&str, &str)] = &[
    ("add-host", "one more line of /etc/hosts, name:address; may be repeated"),
    ("cap-drop", "take a capability away; may be repeated"),
    ("dns", "address of a name server; may be repeated"),
    ("dns-option", "option of the resolver; may be repeated"),
    ("dns-search", "search domain; may be repeated"),
    ("entrypoint", "program in place of the image's entrypoint"),
    ("group-add", "one more group of the process; may be repeated"),
    ("hostname", "host name inside"),
    ("init", "true: a small init process reaps children"),
    ("label", "one more label of the container, key=value; may be repeated; not ekiden.*"),
    ("memory-reservation", "soft limit of memory, such as 64m"),
    ("memory-swap", "memory and swap together, such as 256m; -1 without limit"),
    ("no-healthcheck", "true: the image's own HEALTHCHECK is off"),
    ("oom-score-adj", "0 to 1000: who goes first when the machine has no memory left"),
    ("pids-limit", "most processes and threads, 1 to 4096"),
    ("read-only", "true: the root file system cannot be written"),
    ("shm-size", "size of /dev/shm, such as 64m"),
    ("stop-signal", "the polite signal, such as SIGINT"),
    ("sysctl", "net.* of the container's own network, key=value; may be repeated"),
    ("tmpfs", "a file system in memory, /path or /path:options; may be repeated"),
    ("ulimit", "name=soft[:hard]; may be repeated"),
    ("user", "the user the process runs as"),
    ("workdir", "the working directory"),
];

/// Why an app may not set an option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It is not on the list.
    #[error("Docker parameter '{key}' is not supported; supported are: {}", supported())]
    NotSupported {
        /// The option.
        key: String,
    },
    /// Its value has not the form it needs.
    #[error("Docker parameter '{key}' must be {expected}")]
    BadValue {
        /// The option.
        key: String,
        /// Which form that is.
        expected: &'static str,
    },
}

/// Whether an app may set this option at all, at least where the node's operator allows it.
pub fn parameter_allowed(key: &str) -> Result<(), ParameterError> {
    if PARAMETERS.iter().chain(BY_GRANT).any(|(name, _)| *name == key) {
        Ok(())
    } else {
        Err(ParameterError::NotSupported { key: key.to_owned() })
    }
}

/// Whether an app may set this option to this value.
pub fn check_parameter(key: &str, value: &str) -> Result<(), ParameterError> {
    parameter_allowed(key)?;
    let expected = match key {
        "init" | "read-only" | "no-healthcheck" | "privileged" => {
            (!matches!(value, "true" | "false")).then_some("'true' or 'false'")
        }
        "add-host" => (!value.contains(':')).then_some("of the form 'name:address'"),
        "label" => match value.split_once('=') {
            _ if value.starts_with("ekiden.") => Some("a label outside 'ekiden.', which Ekiden sets itself"),
            Some((name, _)) if !name.is_empty() => None,
            _ => Some("of the form 'key=value'"),
        },
        "env" | "log-opt" => match value.split_once('=') {
            Some((name, _)) if !name.is_empty() => None,
            _ => Some("of the form 'name=value'"),
        },
        "cap-add" | "cap-drop" => (!is_capability(value)).then_some("a capability such as 'NET_ADMIN'"),
        "device" => device(value).is_none().then_some("of the form '/dev/x', '/dev/x:/dev/y' or '/dev/x:/dev/y:rwm'"),
        "log-driver" => (!is_name(value))
            .then_some("a name of letters, digits, '_', '.' and '-', that begins with one of the first two"),
        "name" => (!is_container_name(value)).then_some(
            "a name of at least two letters, digits, '_', '.' and '-', that begins with a letter or a digit and is none \
             that Ekiden would give",
        ),
        "pid" => (value != "host").then_some("'host'"),
        "publish" => publish(value).is_none().then_some("of the form '[address:]port:port[/tcp|udp]'"),
        "security-opt" => (!is_security_opt(value)).then_some(
            "'no-new-privileges', 'seccomp=unconfined', 'systempaths=unconfined', 'apparmor=profile' or 'label=option'",
        ),
        "sysctl" => match value.split_once('=') {
            Some((name, _)) if name.starts_with("net.") => None,
            _ => Some("of the form 'net.…=value'"),
        },
        "shm-size" | "memory-reservation" => bytes(value).is_none().then_some("a size such as '64m'"),
        "memory-swap" => (value != "-1" && bytes(value).is_none()).then_some("a size such as '256m', or '-1'"),
        "oom-score-adj" => (!matches!(value.parse::<i64>(), Ok(0..=1000))).then_some("a whole number from 0 to 1000"),
        "pids-limit" => (!matches!(value.parse::<i64>(), Ok(1..=4096))).then_some("a whole number from 1 to 4096"),
        "tmpfs" => (!value.starts_with('/')).then_some("an absolute path, with options after a colon"),
        "ulimit" => ulimit(value).is_none().then_some("of the form 'name=soft[:hard]'"),
        _ => value.is_empty().then_some("not empty"),
    };
    let expected = expected.or(value.contains('\0').then_some("without NUL characters"));
    expected.map_or(Ok(()), |expected| Err(ParameterError::BadValue { key: key.to_owned(), expected }))
}

/// A device as Docker writes it: its path on the node, its path inside, and what may be done with it.
pub fn device(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.split(':');
    let host = parts.next()?;
    let (inside, rights) = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => (host, "rwm"),
        (Some(rights), None, _) if is_rights(rights) => (host, rights),
        (Some(inside), rights, None) => (inside, rights.unwrap_or("rwm")),
        _ => return None,
    };
    let is_path = |it: &str| it.starts_with('/') && it.len() > 1 && !it.split('/').any(|it| it == "..");
    (is_path(host) && is_path(inside) && is_rights(rights)).then_some((host, inside, rights))
}

fn is_rights(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|it| b"rwm".contains(&it))
}

/// A published port as Docker writes it: address of the node, port there, port inside, transport.
pub fn publish(text: &str) -> Option<(Option<IpAddr>, u16, u16, &str)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, inside) = ports.rsplit_once(':')?;
    let (address, host) = match rest.rsplit_once(':') {
        Some((address, host)) => {
            let bare = address.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(address);
            (Some(bare.parse().ok()?), host)
        }
        None => (None, rest),
    };
    let port = |it: &str| it.parse::<u16>().ok().filter(|it| *it != 0);
    let protocol = ["tcp", "udp"].into_iter().find(|it| it.eq_ignore_ascii_case(protocol))?;
    Some((address, port(host)?, port(inside)?, protocol))
}

fn is_capability(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphabetic() || it == b'_')
}

/// What Docker takes for the name of something of its own.
fn is_name(text: &str) -> bool {
    let inner = |it: u8| it.is_ascii_alphanumeric() || b"_.-".contains(&it);
    (1..=128).contains(&text.len())
        && text.bytes().all(inner)
        && text.starts_with(|it: char| it.is_ascii_alphanumeric())
}

/// What Docker takes for the name of a container. Instances' ids are the names of the others.
fn is_container_name(text: &str) -> bool {
    let is_ours = text.split('.').next().is_some_and(|it| it.parse::<InstanceId>().is_ok());
    text.len() > 1 && is_name(text) && !is_ours
}

/// A profile in a file would be one of whoever types `docker run`: there is none here.
fn is_security_opt(text: &str) -> bool {
    match text.split_once(['=', ':']) {
        None => text == "no-new-privileges",
        Some(("no-new-privileges", value)) => matches!(value, "true" | "false"),
        Some(("seccomp" | "systempaths", value)) => value == "unconfined",
        Some(("apparmor" | "label", value)) => !value.is_empty(),
        Some(_) => false,
    }
}

/// A size as Docker writes it, in bytes: a whole number, and `b`, `k`, `m` or `g` after it.
pub fn bytes(text: &str) -> Option<i64> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (number, factor) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1 << 10),
        b'm' => (&text[..text.len() - 1], 1 << 20),
        b'g' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    number.parse::<u32>().ok().and_then(|it| i64::from(it).checked_mul(factor))
}

/// A limit as Docker writes it, `nofile=1024:2048`: name, soft and hard limit.
pub fn ulimit(text: &str) -> Option<(&str, i64, i64)> {
    let (name, limits) = text.split_once('=')?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    if name.is_empty() {
        return None;
    }
    Some((name, soft.parse().ok()?, hard.parse().ok()?))
}

fn supported() -> String {
    let mut names: Vec<&str> = PARAMETERS.iter().chain(BY_GRANT).map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_the_container_is_refused() {
        let hostile = [
            "volume",
            "v",
            "mount",
            "volumes-from",
            "ipc",
            "uts",
            "userns",
            "network",
            "net",
            "cgroup-parent",
            "runtime",
            "gpus",
            "publish-all",
            "p",
            "restart",
            "rm",
            "memory",
            "cpus",
            "storage-opt",
            "cgroupns",
            "link",
            "oom-kill-disable",
            "",
        ];
        for key in hostile {
            assert_eq!(parameter_allowed(key), Err(ParameterError::NotSupported { key: key.into() }));
        }
    }

    #[test]
    fn values_have_the_form_their_option_needs() {
        for (key, good, bad) in [
            ("init", "true", "yes"),
            ("add-host", "db:10.0.0.1", "db"),
            ("label", "team=pay", "ekiden.node=x"),
            ("sysctl", "net.core.somaxconn=1024", "kernel.msgmax=1"),
            ("shm-size", "64m", "-1"),
            ("memory-swap", "-1", "much"),
            ("pids-limit", "100", "0"),
            ("pids-limit", "4096", "-1"),
            ("oom-score-adj", "500", "-500"),
            ("tmpfs", "/run:size=64m", "run"),
            ("ulimit", "nofile=1024:2048", "nofile"),
            ("hostname", "web", ""),
            ("cap-drop", "ALL", "NET ADMIN"),
            ("cap-add", "net_admin", ""),
            ("device", "/dev/fuse:/dev/fuse:rw", "fuse"),
            ("device", "/dev/fuse:rwm", "/dev/../etc:/x"),
            ("device", "/dev/fuse", "/dev/fuse:/dev/x:rwx"),
            ("env", "A=b=c", "A"),
            ("log-driver", "journald", "a b"),
            ("log-opt", "max-size=10m", "max-size"),
            ("name", "web", "/web"),
            ("name", "we", "w"),
            ("name", "web.1_a-b", "-web"),
            ("name", "x.0001", "018bcfe5-6800-7000-8000-000000000001.web"),
            ("pid", "host", "container:x"),
            ("privileged", "true", "yes"),
            ("publish", "8080:80", "80"),
            ("publish", "127.0.0.1:8080:80/udp", "8000-8010:80-90"),
            ("publish", "[::1]:8080:80", "x:8080:80"),
            ("security-opt", "seccomp=unconfined", "seccomp=/etc/profile.json"),
            ("security-opt", "apparmor:web", "userns=host"),
            ("security-opt", "no-new-privileges", "no-new-privileges=perhaps"),
        ] {
            assert_eq!(check_parameter(key, good), Ok(()), "{key}={good}");
            assert!(matches!(check_parameter(key, bad), Err(ParameterError::BadValue { .. })), "{key}={bad}");
        }
        assert_eq!(
            check_parameter("volume", "/:/host").unwrap_err().to_string().split(';').next().unwrap(),
            "Docker parameter 'volume' is not supported"
        );
        assert_eq!(
            [bytes("64m"), bytes("1GB"), bytes("512"), bytes("x")],
            [Some(64 << 20), Some(1 << 30), Some(512), None]
        );
    }
}

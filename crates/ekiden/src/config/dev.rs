//! Everything in one process, as typed and as meant.

use super::server::{callbacks, hosts};
use super::{LogConfig, LogFormat, SettingsArgs, Violations, address};
use agent::config::PortArgs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything in one process, as typed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DevArgs {
    /// Where the HTTP API is served
    #[arg(long, env = "EKIDEN_LISTEN", default_value = "127.0.0.1:8080", value_name = "IP:PORT")]
    pub(crate) listen: String,
    /// Where the cluster's state is kept [default: a new temporary directory]
    #[arg(long, env = "EKIDEN_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The Consul agent that healthy instances are registered with, such as http://127.0.0.1:8500
    #[arg(long, env = "EKIDEN_CONSUL", value_name = "URL")]
    pub(crate) consul: Option<String>,
    /// The Docker engine [default: unix:///var/run/docker.sock]
    #[arg(long, env = "DOCKER_HOST", value_name = "URL")]
    pub(crate) docker: Option<String>,
    /// The host ports that instances get, where an app leaves the choice [default: 31000-32000]
    #[arg(long, env = "EKIDEN_PORTS", value_name = "FIRST-LAST")]
    pub(crate) ports: Option<String>,
    /// What counts for the whole cluster
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// A place that events may be posted to on request, once for each or separated by commas
    #[arg(long = "event-callback", env = "EKIDEN_EVENT_CALLBACKS", value_delimiter = ',', value_name = "HOST:PORT")]
    pub(crate) event_callbacks: Option<Vec<String>>,
    /// A name under which the API is called, beside those it has by itself, once for each or separated by commas
    #[arg(long = "host", env = "EKIDEN_HOSTS", value_delimiter = ',', value_name = "NAME")]
    pub(crate) hosts: Option<Vec<String>>,
    /// What is logged, as `info,scheduler=debug`
    #[arg(long, env = "EKIDEN_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// The form of log lines
    #[arg(long, env = "EKIDEN_LOG_FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,
}

/// Everything in one process, as meant.
#[derive(Clone, Debug)]
pub(crate) struct DevConfig {
    pub(crate) listen: SocketAddr,
    /// Absent: a new temporary directory.
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) consul: Option<String>,
    /// Absent: the local one, where it usually is.
    pub(crate) docker: Option<String>,
    pub(crate) ports: PortArgs,
    pub(crate) settings: scheduler::Settings,
    pub(crate) event_callbacks: Vec<String>,
    pub(crate) hosts: Vec<String>,
}

impl DevArgs {
    pub(crate) fn check(self) -> Result<(DevConfig, LogConfig), Violations> {
        let mut violations = Violations::default();
        let listen = address("listen", &self.listen, &mut violations);
        if let Some(consul) = self.consul.as_ref().filter(|it| !it.starts_with("http://")) {
            violations.add("consul", format!("`{consul}` is no URL of a Consul agent: write http://127.0.0.1:8500"));
        }
        let ports = self.ports.map(|it| range(&it, &mut violations)).unwrap_or_default();
        let log = LogConfig::check(self.log.as_deref(), self.log_format, &mut violations);
        let event_callbacks = callbacks(self.event_callbacks.unwrap_or_default(), &mut violations);
        let hosts = hosts(self.hosts.unwrap_or_default(), &mut violations);
        let docker = self.docker.filter(|it| !it.is_empty());
        let settings = self.settings.check(&mut violations);
        let (data_dir, consul) = (self.data_dir, self.consul);
        violations.or((DevConfig { listen, data_dir, consul, docker, ports, settings, event_callbacks, hosts }, log))
    }
}

/// Reads a range of ports, both ends included.
pub(super) fn range(typed: &str, violations: &mut Violations) -> PortArgs {
    let ends = typed.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let ends = ends.filter(|(first, last): &(u16, u16)| *first > 0 && first <= last);
    if ends.is_none() {
        violations.add("ports", format!("`{typed}` is no range of ports: write 31000-32000"));
    }
    PortArgs { first: ends.map(|it| it.0), last: ends.map(|it| it.1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_has_two_ends_in_order() {
        for (typed, expect) in [
            ("31000-32000", Some((31_000, 32_000))),
            ("80-80", Some((80, 80))),
            ("2-1", None),
            ("0-1", None),
            ("31000", None),
            ("31000-70000", None),
        ] {
            let mut violations = Violations::default();
            let PortArgs { first, last } = range(typed, &mut violations);
            assert_eq!(first.zip(last), expect, "{typed}");
            assert_eq!(violations.or(()).is_ok(), expect.is_some(), "{typed}");
        }
    }
}

//! Everything in one process, as typed and as meant.

use super::server::{callbacks, hosts};
use super::{LogConfig, LogFormat, SettingsArgs, Violations, address, range};
use agent::config::{FetchArgs, PortArgs};
use std::collections::BTreeMap;
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
    /// A directory below which apps may mount host volumes, once for each or separated by commas
    #[arg(long = "volumes-allowed", env = "EKIDEN_VOLUMES_ALLOWED", value_delimiter = ',', value_name = "DIR")]
    pub(crate) volumes_allowed: Vec<PathBuf>,
    /// A Docker volume driver that apps may use, once for each or separated by commas
    #[arg(long = "volume-driver", env = "EKIDEN_VOLUME_DRIVERS", value_delimiter = ',', value_name = "NAME")]
    pub(crate) volume_drivers: Vec<String>,
    /// An option of Docker that apps may have, as cap-add or cap-add=NET_ADMIN, once for each or separated by commas
    /// [default: log-driver,log-opt,network=host]
    #[arg(
        long = "parameters-allowed",
        env = "EKIDEN_PARAMETERS_ALLOWED",
        value_delimiter = ',',
        value_name = "OPTION"
    )]
    pub(crate) parameters_allowed: Option<Vec<String>>,
    /// An attribute of the node that constraints and roles may name, once for each or separated by commas
    #[arg(long = "attribute", env = "EKIDEN_ATTRIBUTES", value_delimiter = ',', value_name = "NAME=VALUE")]
    pub(crate) attributes: Vec<String>,
    /// Files are fetched for apps before they start
    #[arg(long, env = "EKIDEN_FETCH", num_args = 0..=1, default_missing_value = "true", default_value = "false", value_name = "BOOL")]
    pub(crate) fetch: bool,
    /// Only addresses that begin so are fetched, once for each or separated by commas [default: any]
    #[arg(long = "fetch-uri", env = "EKIDEN_FETCH_URIS", value_delimiter = ',', value_name = "PREFIX")]
    pub(crate) fetch_uris: Vec<String>,
    /// A directory of this machine whose files may be fetched, once for each or separated by commas
    #[arg(long = "fetch-files", env = "EKIDEN_FETCH_FILES", value_delimiter = ',', value_name = "DIR")]
    pub(crate) fetch_files: Vec<PathBuf>,
    /// Which addresses files are fetched from: public, private or any [default: public]
    #[arg(long, env = "EKIDEN_FETCH_REACH", value_name = "REACH")]
    pub(crate) fetch_reach: Option<String>,
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
    /// What apps may take from this machine.
    pub(crate) allowed: Allowed,
    pub(crate) settings: scheduler::Settings,
    pub(crate) event_callbacks: Vec<String>,
    pub(crate) hosts: Vec<String>,
}

/// What apps may take from this machine, in the words of `agent.toml`.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    pub(crate) volumes: Vec<PathBuf>,
    pub(crate) volume_drivers: Vec<String>,
    pub(crate) parameters: Option<Vec<String>>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) fetch: FetchArgs,
}

impl DevArgs {
    pub(crate) fn check(self) -> Result<(DevConfig, LogConfig), Violations> {
        let mut violations = Violations::default();
        let listen = address("listen", &self.listen, &mut violations);
        if let Some(consul) = self.consul.as_ref().filter(|it| !it.starts_with("http://")) {
            violations.add("consul", format!("`{consul}` is no URL of a Consul agent: write http://127.0.0.1:8500"));
        }
        let ports = self.ports.map(|it| range("ports", &it, &mut violations)).unwrap_or_default();
        let log = LogConfig::check(self.log.as_deref(), self.log_format, &mut violations);
        let event_callbacks = callbacks(self.event_callbacks.unwrap_or_default(), &mut violations);
        let hosts = hosts(self.hosts.unwrap_or_default(), &mut violations);
        let docker = self.docker.filter(|it| !it.is_empty());
        let mut attributes = BTreeMap::new();
        for typed in &self.attributes {
            match typed.split_once('=') {
                Some((name, value)) if !name.is_empty() => drop(attributes.insert(name.to_owned(), value.to_owned())),
                _ => violations.add("attribute", format!("`{typed}` is no attribute: write rack=r1")),
            }
        }
        let asks_to_fetch = !self.fetch_uris.is_empty() || !self.fetch_files.is_empty() || self.fetch_reach.is_some();
        let fetch = FetchArgs {
            // Who says what may be fetched wants it fetched.
            enabled: self.fetch || asks_to_fetch,
            uris: self.fetch_uris,
            files: self.fetch_files,
            reach: self.fetch_reach,
            ..FetchArgs::default()
        };
        let allowed = Allowed {
            volumes: self.volumes_allowed,
            volume_drivers: self.volume_drivers,
            parameters: self.parameters_allowed,
            attributes,
            fetch,
        };
        let settings = self.settings.check(&mut violations);
        let (data_dir, consul) = (self.data_dir, self.consul);
        // What is wrong with what the agent is told is said before anything starts.
        let agent = agent::Args { servers: vec!["127.0.0.1:1".to_owned()], ..allowed.clone().into_agent() };
        if let Err(agent::ConfigError::Bad { key, problem }) = agent.check() {
            violations.add(key, problem);
        }
        let config = DevConfig { listen, data_dir, consul, docker, ports, allowed, settings, event_callbacks, hosts };
        violations.or((config, log))
    }
}

impl Allowed {
    /// What the agent is told of it.
    pub(crate) fn into_agent(self) -> agent::Args {
        agent::Args {
            volumes_allowed: self.volumes,
            volume_drivers: self.volume_drivers,
            parameters_allowed: self.parameters,
            attributes: self.attributes,
            fetch: self.fetch,
            ..agent::Args::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        dev: DevArgs,
    }

    fn checked(flags: &str) -> Result<DevConfig, Violations> {
        let words = ["dev"].into_iter().chain(flags.split_whitespace());
        Line::try_parse_from(words).unwrap().dev.check().map(|it| it.0)
    }

    #[test]
    fn what_apps_may_take_is_said_by_flags() {
        let config = checked(
            "--volumes-allowed /srv/a,/srv/b --volume-driver rexray --parameters-allowed cap-add=NET_ADMIN,privileged \
             --attribute role=slave_public --fetch-files /srv/files --fetch-reach private --role slave_public \
             --service-ports 20000-29999",
        );
        let config = config.unwrap();
        let agent = config.allowed.into_agent();
        assert_eq!(agent.volumes_allowed, [PathBuf::from("/srv/a"), PathBuf::from("/srv/b")]);
        assert_eq!(agent.volume_drivers, ["rexray"]);
        assert_eq!(agent.parameters_allowed.unwrap(), ["cap-add=NET_ADMIN", "privileged"]);
        assert_eq!(agent.attributes["role"], "slave_public");
        assert!(agent.fetch.enabled && agent.fetch.reach.as_deref() == Some("private"));
        assert_eq!(agent.fetch.files, [PathBuf::from("/srv/files")]);
        assert!(config.settings.roles.contains("slave_public"));
        assert_eq!((config.settings.service_ports.first, config.settings.service_ports.last), (20_000, 29_999));
        let bare = checked("").unwrap().allowed.into_agent();
        assert!(!bare.fetch.enabled && bare.volumes_allowed.is_empty() && bare.parameters_allowed.is_none());
        assert!(checked("--fetch").unwrap().allowed.fetch.enabled);
    }

    #[test]
    fn what_cannot_be_allowed_is_said_before_anything_starts() {
        for (flags, key) in [
            ("--volumes-allowed srv", "volumes_allowed"),
            ("--parameters-allowed volume", "parameters_allowed"),
            ("--fetch-reach far", "fetch.reach"),
            ("--attribute rack", "attribute"),
            ("--service-ports 5-1", "settings.service_ports"),
            ("--role *", "settings.roles"),
        ] {
            let error = checked(flags).unwrap_err().to_string();
            assert!(error.contains(&format!("{key}: ")), "{flags}: {error}");
        }
    }

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
            let PortArgs { first, last } = range("ports", typed, &mut violations);
            assert_eq!(first.zip(last), expect, "{typed}");
            assert_eq!(violations.or(()).is_ok(), expect.is_some(), "{typed}");
        }
    }
}

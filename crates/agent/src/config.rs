//! What an operator says to an agent: [`Args`] as written, [`Config`] as meant. `deploy/config/agent.toml` documents
//! every key.

use crate::fetch::{self, FetchConfig, Reach};
use cluster::{BY_GRANT, Grants, NodeId, PortRange, Resources};
use consul_agent::Config as ConsulConfig;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an operator wrote: `agent.toml`. Every key that is left out has a default, but `servers`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Args {
    /// The node's name; the machine's host name.
    pub name: Option<String>,
    /// Host name or address under which others reach the node's ports; the one it has towards the first server.
    pub address: Option<String>,
    /// The members' link addresses, `host:port`.
    pub servers: Vec<String>,
    /// Where the agent keeps its files.
    pub data_dir: Option<PathBuf>,
    /// Where `GET /metrics` is served, `address:port`; nowhere if absent.
    pub listen: Option<String>,
    /// What is logged, as a `tracing` filter: `info`, or `info,agent=debug`.
    pub log: Option<String>,
    /// `text` or `json`.
    pub log_format: Option<String>,
    /// Attributes that constraints may name.
    pub attributes: BTreeMap<String, String>,
    /// Directories below which apps may mount host volumes.
    pub volumes_allowed: Vec<PathBuf>,
    /// Docker volume drivers that apps may use.
    pub volume_drivers: Vec<String>,
    /// Docker's options that apps may have beside the harmless ones, `name` or `name=value`; those of
    /// [`Grants::default`] if absent.
    pub parameters_allowed: Option<Vec<String>>,
    /// What the machine offers.
    pub resources: ResourceArgs,
    /// The host ports it offers.
    pub ports: PortArgs,
    /// The Docker engine.
    pub docker: DockerArgs,
    /// Files that apps have fetched before they start.
    pub fetch: FetchArgs,
    /// What instances that ended left behind.
    pub evidence: EvidenceArgs,
    /// The node's own Consul agent.
    pub consul: ConsulArgs,
}

/// What the machine offers to instances.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceArgs {
    /// Cores; all.
    pub cpus: Option<f64>,
    /// MiB of memory; nine tenths, but at most 1 GiB less than all.
    pub mem: Option<u64>,
    /// MiB of disk; what is free, less a tenth.
    pub disk: Option<u64>,
}

/// The host ports that are offered when an app leaves the choice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PortArgs {
    /// The lowest; 31000.
    pub first: Option<u16>,
    /// The highest; 32000.
    pub last: Option<u16>,
}

/// The Docker engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DockerArgs {
    /// `unix:///var/run/docker.sock`, or `http://host:port`.
    pub host: Option<String>,
    /// The file with the registries' credentials; `config.json` below `$DOCKER_CONFIG`, or `~/.docker`.
    pub config: Option<PathBuf>,
    /// MiB that a container's log may take; if absent, logs are what the engine's own configuration makes of them.
    pub log_max_mib: Option<u64>,
}

/// Files that apps have fetched before they start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchArgs {
    /// Whether anything is fetched at all; no.
    pub enabled: bool,
    /// Only addresses that begin so; any.
    pub uris: Vec<String>,
    /// Directories of the node whose files may be fetched; none.
    pub files: Vec<PathBuf>,
    /// `public`, `private` or `any`: which addresses names may lead to; `public`.
    pub reach: Option<String>,
    /// A file with the certificates (PEM) of further CAs to trust, for `https`; none.
    pub ca_file: Option<PathBuf>,
    /// MiB that the files of one instance may take, unpacked; 1024.
    pub max_mib: Option<u64>,
    /// Seconds that fetching may take; 300.
    pub timeout_s: Option<u64>,
    /// MiB that files kept for the next instance may take together; 2048.
    pub cache_mib: Option<u64>,
}

/// What instances that ended left behind: how they ended, and their last lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvidenceArgs {
    /// Hours that it is kept; 24.
    pub keep_h: Option<u64>,
    /// MiB that one app may have of it, and as much again of logs; 64.
    pub app_mib: Option<u64>,
}

/// The node's own Consul agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsulArgs {
    /// `http://127.0.0.1:8500`; without it nothing is registered.
    pub address: Option<String>,
    /// The ACL token.
    pub token: Option<String>,
    /// A file that has the ACL token.
    pub token_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of the CAs to trust, for `https`.
    pub ca_file: Option<PathBuf>,
    /// From the moment at which Consul has let go of an instance to its stop signal, milliseconds; 250.
    pub drain_ms: Option<u64>,
}

/// What an agent was told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name.
    pub name: NodeId,
    /// Host name or address under which others reach the node's ports.
    pub address: String,
    /// The members' link addresses, `host:port`; at least one.
    pub servers: Vec<String>,
    /// Where the agent keeps its files; made if it is missing.
    pub data_dir: PathBuf,
    /// Attributes that constraints may name.
    pub attributes: BTreeMap<String, String>,
    /// Directories below which apps may mount host volumes.
    pub volumes_allowed: Vec<PathBuf>,
    /// Docker volume drivers that apps may use.
    pub volume_drivers: Vec<String>,
    /// What apps may have beside what is harmless.
    pub grants: Grants,
    /// MiB that a container's log may take, if that is bounded.
    pub log_max_mib: Option<u64>,
    /// What the machine offers.
    pub capacity: Resources,
    /// The host ports it offers.
    pub ports: PortRange,
    /// The Docker engine: `unix:///path`, or `http://host:port`.
    pub docker_host: String,
    /// The file with the registries' credentials, if there is any.
    pub docker_config: Option<PathBuf>,
    /// What apps may have fetched before they start.
    pub fetch: FetchConfig,
    /// How much is kept of what instances that ended left behind.
    pub evidence: EvidenceConfig,
    /// The Consul agent, if there is one to tell.
    pub consul: Option<ConsulConfig>,
    /// From the moment at which Consul has let go of an instance to its stop signal.
    pub drain: Duration,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key's value cannot be used.
    #[error("{key}: {problem}")]
    Bad {
        /// The key, as in the file.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// What a container's log may be bounded to: less than the least says nothing of a crash, more than the most is none.
const LOG_MIB: std::ops::RangeInclusive<u64> = 1..=1_048_576;

/// Evidence is kept for an hour at least, so that somebody may see it, and for a year at most.
const EVIDENCE_HOURS: std::ops::RangeInclusive<u64> = 1..=8_784;

/// The evidence of one app may have so much: less is not enough for some ends in a row, more than the most is no bound.
const EVIDENCE_MIB: std::ops::RangeInclusive<u64> = 1..=1_048_576;

fn bad(key: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError::Bad { key, problem: problem.into() }
}

impl Args {
    /// Checks what was written and fills in what was left out; looks at the machine for that.
    pub fn check(self) -> Result<Config, ConfigError> {
        let name = self.name.unwrap_or_else(host_name);
        if !NodeId::is_valid(&name) {
            return Err(bad("name", format!("'{name}' is not 1 to 253 letters, digits, '-', '.' or '_'")));
        }
        if self.servers.is_empty() {
            return Err(bad("servers", "name at least one member's link address, such as \"10.0.0.1:4800\""));
        }
        for server in &self.servers {
            if server.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
                return Err(bad("servers", format!("'{server}' is not of the form host:port")));
            }
        }
        let data_dir = self.data_dir.unwrap_or_else(|| PathBuf::from("/var/lib/ekiden/agent"));
        let ports = PortRange::default();
        let ports =
            PortRange { first: self.ports.first.unwrap_or(ports.first), last: self.ports.last.unwrap_or(ports.last) };
        if ports.first == 0 || ports.first > ports.last {
            return Err(bad("ports", format!("{}–{} is no range", ports.first, ports.last)));
        }
        for path in &self.volumes_allowed {
            if !path.is_absolute() || path == Path::new("/") {
                return Err(bad("volumes_allowed", format!("'{}' is not an absolute path below /", path.display())));
            }
        }
        let grants = self.parameters_allowed.map_or_else(Grants::default, |it| Grants(it.into_iter().collect()));
        if let Some(entry) = grants.0.iter().find(|it| !Grants::is_known(it)) {
            let known: Vec<&str> = BY_GRANT.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            return Err(bad("parameters_allowed", format!("'{entry}' is none of network=host, {known}")));
        }
        if self.docker.log_max_mib.is_some_and(|it| !LOG_MIB.contains(&it)) {
            let (least, most) = (LOG_MIB.start(), LOG_MIB.end());
            return Err(bad("docker.log_max_mib", format!("must be from {least} to {most}")));
        }
        Ok(Config {
            grants,
            log_max_mib: self.docker.log_max_mib,
            address: self.address.unwrap_or_else(|| own_address(&self.servers[0])),
            capacity: self.resources.check(&data_dir)?,
            docker_host: self.docker.check_host()?,
            docker_config: self.docker.config.or_else(docker_config),
            drain: Duration::from_millis(self.consul.drain_ms.unwrap_or(250)),
            fetch: self.fetch.check()?,
            evidence: self.evidence.check()?,
            consul: self.consul.check()?,
            name: NodeId::new(&name),
            servers: self.servers,
            data_dir,
            attributes: self.attributes,
            volumes_allowed: self.volumes_allowed,
            volume_drivers: self.volume_drivers,
            ports,
        })
    }
}

impl ResourceArgs {
    fn check(&self, data_dir: &Path) -> Result<Resources, ConfigError> {
        let cpu_milli = match self.cpus {
            Some(cpus) if cpus.is_finite() && (0.001..=4096.0).contains(&cpus) => (cpus * 1000.0).round() as u64,
            Some(cpus) => return Err(bad("resources.cpus", format!("{cpus} is not from 0.001 to 4096"))),
            None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64 * 1000,
        };
        let mib = |it: u64| it.saturating_mul(1 << 20);
        let memory_bytes = self.mem.map_or_else(offered_memory, mib);
        let disk_bytes = self.disk.map_or_else(|| offered_disk(data_dir), mib);
        Ok(Resources { cpu_milli, memory_bytes, disk_bytes })
    }
}

impl DockerArgs {
    fn check_host(&self) -> Result<String, ConfigError> {
        let host = self.host.clone().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        if host.starts_with('/') {
            return Ok(format!("unix://{host}"));
        }
        let known = ["unix://", "http://", "tcp://"].iter().any(|it| host.starts_with(it));
        if known {
            Ok(host)
        } else {
            Err(bad("docker.host", format!("'{host}' is neither unix:///path nor http://host:port")))
        }
    }
}

impl FetchArgs {
    fn check(self) -> Result<FetchConfig, ConfigError> {
        let reach = match self.reach.as_deref() {
            None | Some("public") => Reach::Public,
            Some("private") => Reach::Private,
            Some("any") => Reach::Any,
            Some(it) => return Err(bad("fetch.reach", format!("'{it}' is none of public, private and any"))),
        };
        for uri in &self.uris {
            let known = url::Url::parse(uri).is_ok_and(|it| matches!(it.scheme(), "http" | "https"));
            if !known {
                return Err(bad("fetch.uris", format!("'{uri}' does not begin with http://host or https://host")));
            }
        }
        for path in &self.files {
            if !path.is_absolute() || path == Path::new("/") {
                return Err(bad("fetch.files", format!("'{}' is not an absolute path below /", path.display())));
            }
        }
        if let Some(file) = &self.ca_file {
            fetch::authorities(file).map_err(|problem| bad("fetch.ca_file", problem))?;
        }
        let mib = |it: Option<u64>, default: u64| it.unwrap_or(default).saturating_mul(1 << 20);
        Ok(FetchConfig {
            enabled: self.enabled,
            uris: self.uris,
            files: self.files,
            reach,
            ca_file: self.ca_file,
            max_bytes: mib(self.max_mib, 1024),
            timeout: Duration::from_secs(self.timeout_s.unwrap_or(300)),
            cache_bytes: mib(self.cache_mib, 2048),
        })
    }
}

/// For how long is kept what instances that ended left behind, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceConfig {
    /// What is older goes.
    pub keep: Duration,
    /// What one app's may have, bytes; the oldest goes first.
    pub app_bytes: u64,
}

impl EvidenceArgs {
    fn check(&self) -> Result<EvidenceConfig, ConfigError> {
        let (hours, mib) = (self.keep_h.unwrap_or(24), self.app_mib.unwrap_or(64));
        for (key, value, range) in [("evidence.keep_h", hours, EVIDENCE_HOURS), ("evidence.app_mib", mib, EVIDENCE_MIB)]
        {
            if !range.contains(&value) {
                return Err(bad(key, format!("must be from {} to {}", range.start(), range.end())));
            }
        }
        Ok(EvidenceConfig { keep: Duration::from_hours(hours), app_bytes: mib << 20 })
    }
}

impl ConsulArgs {
    fn check(self) -> Result<Option<ConsulConfig>, ConfigError> {
        let Some(address) = self.address.filter(|it| !it.is_empty()) else { return Ok(None) };
        let address = address.trim_end_matches('/').to_owned();
        if !address.starts_with("http://") && !address.starts_with("https://") {
            return Err(bad("consul.address", format!("'{address}' is not of the form http://host:port")));
        }
        let token = match (self.token, self.token_file) {
            (Some(_), Some(_)) => return Err(bad("consul.token", "there is a token_file too")),
            (token, None) => token,
            (None, Some(file)) => {
                let text = std::fs::read_to_string(&file);
                let text = text.map_err(|error| bad("consul.token_file", format!("{}: {error}", file.display())))?;
                Some(text.trim().to_owned())
            }
        };
        Ok(Some(ConsulConfig { address, token: token.filter(|it| !it.is_empty()), ca_file: self.ca_file }))
    }
}

fn host_name() -> String {
    let read = |path| std::fs::read_to_string(path).ok().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname")).unwrap_or_else(|| "localhost".to_owned())
}

/// The address this machine has towards a server. Nothing is sent: connecting a UDP socket only chooses a route.
fn own_address(server: &str) -> String {
    let towards = |to: SocketAddr| -> std::io::Result<IpAddr> {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.connect(to)?;
        Ok(socket.local_addr()?.ip())
    };
    let found = server.to_socket_addrs().ok().and_then(|mut it| it.find_map(|to| towards(to).ok()));
    found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)).to_string()
}

fn docker_config() -> Option<PathBuf> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|it| PathBuf::from(it).join(".docker"));
    dir.or_else(home).map(|it| it.join("config.json"))
}

/// Nine tenths of the machine's memory, but at most 1 GiB less than all: the engine and the system live there too.
fn offered_memory() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total =
        info.lines().find_map(|it| it.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let total = total.unwrap_or(1 << 20).saturating_mul(1024);
    total - (total / 10).min(1 << 30)
}

/// Nine tenths of what is free where the agent keeps its files. The standard library cannot tell; `df` can.
fn offered_disk(data_dir: &Path) -> u64 {
    let there = data_dir.ancestors().find(|it| it.exists()).unwrap_or(Path::new("/"));
    let output = std::process::Command::new("df").arg("-Pk").arg(there).output();
    let text = output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
    let free = text.lines().nth(1).and_then(|it| it.split_whitespace().nth(3)?.parse::<u64>().ok());
    free.unwrap_or(0).saturating_mul(1024) / 10 * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Args {
        toml::from_str(text).expect(text)
    }

    #[test]
    fn the_documented_file_is_loaded_and_names_every_key() {
        let text = include_str!("../../../deploy/config/agent.toml");
        args(text).check().expect("the documented values can be used");
        // What is commented out is a key as well.
        let uncommented: String =
            text.lines().map(|it| it.strip_prefix("#: ").unwrap_or(it)).collect::<Vec<_>>().join("\n");
        let all = args(&uncommented);
        let ResourceArgs { cpus, mem, disk } = all.resources;
        assert!(cpus.is_some() && mem.is_some() && disk.is_some());
        assert!(all.name.is_some() && all.address.is_some() && all.data_dir.is_some() && all.listen.is_some());
        assert!(
            all.log.is_some()
                && all.log_format.is_some()
                && !all.attributes.is_empty()
                && !all.volumes_allowed.is_empty()
                && !all.volume_drivers.is_empty()
                && all.parameters_allowed.is_some_and(|it| it.len() > Grants::default().0.len())
        );
        assert!(all.ports.first.is_some() && all.ports.last.is_some() && all.docker.host.is_some());
        assert!(
            all.docker.config.is_some()
                && all.docker.log_max_mib.is_some()
                && all.consul.address.is_some()
                && all.consul.token.is_some()
        );
        let fetch = all.fetch;
        assert!(fetch.enabled && !fetch.uris.is_empty() && !fetch.files.is_empty() && fetch.reach.is_some());
        assert!(fetch.max_mib.is_some() && fetch.timeout_s.is_some() && fetch.cache_mib.is_some());
        assert!(fetch.ca_file.is_some());
        assert!(all.evidence.keep_h.is_some() && all.evidence.app_mib.is_some());
        assert!(all.consul.token_file.is_some() && all.consul.ca_file.is_some() && all.consul.drain_ms.is_some());
    }

    #[test]
    fn what_is_left_out_comes_from_the_machine() {
        let config = args("servers = ['127.0.0.1:4800']").check().unwrap();
        assert_eq!((config.ports.first, config.ports.last), (31_000, 32_000));
        assert_eq!(config.address, "127.0.0.1");
        assert!(config.capacity.cpu_milli >= 1000 && config.capacity.memory_bytes > 1 << 28);
        assert!(config.consul.is_none() && config.log_max_mib.is_none());
        assert_eq!(config.grants, Grants::default());
        let none = args("servers = ['127.0.0.1:4800']\nparameters_allowed = []").check().unwrap();
        assert!(none.grants.0.is_empty(), "also the host network can be forbidden");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, key) in [
            ("", "servers"),
            ("servers = ['localhost']", "servers"),
            ("servers = ['a:1']\nname = 'two words'", "name"),
            ("servers = ['a:1']\n[ports]\nfirst = 2\nlast = 1", "ports"),
            ("servers = ['a:1']\n[resources]\ncpus = -1.0", "resources.cpus"),
            ("servers = ['a:1']\nvolumes_allowed = ['/']", "volumes_allowed"),
            ("servers = ['a:1']\nparameters_allowed = ['volume']", "parameters_allowed"),
            ("servers = ['a:1']\n[docker]\nlog_max_mib = 0", "docker.log_max_mib"),
            ("servers = ['a:1']\n[evidence]\nkeep_h = 0", "evidence.keep_h"),
            ("servers = ['a:1']\n[evidence]\napp_mib = 0", "evidence.app_mib"),
            ("servers = ['a:1']\n[fetch]\nreach = 'far'", "fetch.reach"),
            ("servers = ['a:1']\n[fetch]\nuris = ['files.example']", "fetch.uris"),
            ("servers = ['a:1']\n[fetch]\nfiles = ['srv']", "fetch.files"),
            ("servers = ['a:1']\n[fetch]\nca_file = '/nonexistent'", "fetch.ca_file"),
            ("servers = ['a:1']\n[fetch]\nca_file = '/dev/null'", "fetch.ca_file"),
            ("servers = ['a:1']\n[docker]\nhost = 'ssh://x'", "docker.host"),
            ("servers = ['a:1']\n[consul]\naddress = 'localhost:8500'", "consul.address"),
            ("servers = ['a:1']\n[consul]\naddress = 'http://x'\ntoken_file = '/nonexistent'", "consul.token_file"),
        ] {
            let ConfigError::Bad { key: found, .. } = args(text).check().unwrap_err();
            assert_eq!(found, key, "{text}");
        }
        assert!(toml::from_str::<Args>("servres = []").is_err(), "an unknown key is no key");
    }
}

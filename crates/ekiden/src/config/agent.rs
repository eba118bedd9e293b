//! A machine's agent, as typed and as meant. What its keys mean is [`agent`]'s to say.

use super::range;
use super::{LogConfig, LogFormat, Violations, address, read};
use clap::ValueEnum;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A machine's agent, as typed. The file has more settings than there are flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct AgentArgs {
    /// The file with all settings; flags and environment win over it
    #[arg(short, long, env = "EKIDEN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The node's name [default: the machine's host name]
    #[arg(long, env = "EKIDEN_NAME", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Host under which others reach the node's ports [default: its address towards the first server]
    #[arg(long, env = "EKIDEN_ADDRESS", value_name = "HOST")]
    pub(crate) address: Option<String>,
    /// Where a member's link is reached, once for each or separated by commas
    #[arg(long = "server", env = "EKIDEN_SERVERS", value_delimiter = ',', value_name = "HOST:PORT")]
    pub(crate) servers: Option<Vec<String>>,
    /// Where the agent keeps its files [default: /var/lib/ekiden/agent]
    #[arg(long, env = "EKIDEN_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where `GET /metrics` is served [default: nowhere]
    #[arg(long, env = "EKIDEN_LISTEN", value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// The node's own Consul agent, such as http://127.0.0.1:8500 [default: none]
    #[arg(long, env = "EKIDEN_CONSUL", value_name = "URL")]
    pub(crate) consul: Option<String>,
    /// The host ports that instances get, where an app leaves the choice [default: 31000-32000]
    #[arg(long, env = "EKIDEN_PORTS", value_name = "FIRST-LAST")]
    pub(crate) ports: Option<String>,
    /// What is logged, as `info,agent=debug`
    #[arg(long, env = "EKIDEN_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// The form of log lines
    #[arg(long, env = "EKIDEN_LOG_FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,
}

/// A machine's agent, as meant.
#[derive(Debug)]
pub(crate) struct AgentConfig {
    /// Where `GET /metrics` is served, if anywhere.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) agent: agent::Config,
}

impl AgentArgs {
    pub(crate) fn check(self) -> Result<(AgentConfig, LogConfig), Violations> {
        let mut file = self.config.as_deref().map(read::<agent::Args>).transpose()?.unwrap_or_default();
        let mut violations = Violations::default();
        let wrong = &mut violations;
        let in_file = file.log_format.as_deref().map(|it| {
            LogFormat::from_str(it, false).unwrap_or_else(|_| {
                wrong.add("log_format", format!("`{it}` is neither `text` nor `json`"));
                LogFormat::default()
            })
        });
        let log = LogConfig::check(self.log.as_deref().or(file.log.as_deref()), self.log_format.or(in_file), wrong);
        let listen = self.listen.or(file.listen.take()).map(|it| address("listen", &it, wrong));
        file.name = self.name.or(file.name);
        file.address = self.address.or(file.address);
        file.servers = self.servers.unwrap_or(file.servers);
        file.data_dir = self.data_dir.or(file.data_dir);
        file.consul.address = self.consul.or(file.consul.address);
        file.ports = self.ports.map_or(file.ports, |it| range("ports", &it, wrong));
        match file.check() {
            Ok(agent) => violations.or((AgentConfig { listen, agent }, log)),
            Err(agent::ConfigError::Bad { key, problem }) => {
                violations.add(key, problem);
                Err(violations)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/config/agent.toml");

    #[test]
    fn the_documented_file_is_loaded_and_what_is_typed_wins() {
        let args = AgentArgs {
            config: Some(DOCUMENTED.into()),
            name: Some("vm-7".to_owned()),
            servers: Some(vec!["10.0.0.1:4800".to_owned(), "10.0.0.2:4800".to_owned()]),
            listen: Some("localhost:9480".to_owned()),
            ..AgentArgs::default()
        };
        let (config, _) = args.check().unwrap();
        assert_eq!(config.agent.name.as_str(), "vm-7");
        assert_eq!(config.agent.servers.len(), 2);
        assert_eq!(config.listen.map(|it| it.port()), Some(9480));
    }

    #[test]
    fn an_agent_without_a_server_says_what_is_missing() {
        let err = AgentArgs::default().check().unwrap_err().to_string();
        assert!(err.contains("servers: name at least one member"), "{err}");
    }
}

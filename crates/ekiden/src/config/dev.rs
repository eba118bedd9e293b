//! Everything in one process, as typed and as meant.

use super::{LogConfig, LogFormat, Violations, address};
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
}

impl DevArgs {
    pub(crate) fn check(self) -> Result<(DevConfig, LogConfig), Violations> {
        let mut violations = Violations::default();
        let listen = address("listen", &self.listen, &mut violations);
        if let Some(consul) = self.consul.as_ref().filter(|it| !it.starts_with("http://")) {
            violations.add("consul", format!("`{consul}` is no URL of a Consul agent: write http://127.0.0.1:8500"));
        }
        let log = LogConfig::check(self.log.as_deref(), self.log_format, &mut violations);
        violations.or((DevConfig { listen, data_dir: self.data_dir, consul: self.consul }, log))
    }
}

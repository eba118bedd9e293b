//! Configuration of the daemons: as typed in a file, in the environment and in flags, and as meant.
//!
//! Each role has its `…Args`, all of whose fields may be absent; flags win over the environment, that over the file,
//! that over the defaults. `check` makes a `Config` of it, or says everything that is wrong with it at once.

mod agent;
mod dev;
mod log;
mod server;
mod settings;
mod violations;

pub(crate) use agent::{AgentArgs, AgentConfig};
pub(crate) use dev::{DevArgs, DevConfig};
pub(crate) use log::{LogConfig, LogFormat};
pub(crate) use server::{ServerArgs, ServerConfig};
pub(crate) use settings::SettingsArgs;
pub(crate) use violations::Violations;

use ::agent::config::PortArgs;
use serde::de::DeserializeOwned;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Reads a configuration file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Violations> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|err| Violations::one("config", format!("cannot read {shown}: {err}")))?;
    toml::from_str(&text).map_err(|err| Violations::one("config", format!("{shown}: {}", err.to_string().trim_end())))
}

/// Reads an address to listen on: `IP:port` or `localhost:port`.
fn address(key: &str, typed: &str, violations: &mut Violations) -> SocketAddr {
    let local = typed.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    local.as_deref().unwrap_or(typed).parse().unwrap_or_else(|_| {
        violations.add(key, format!("`{typed}` is no address to listen on: write IP:port, such as 127.0.0.1:8080"));
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    })
}

/// Checks an address that others dial: `host:port`.
fn reachable(key: &str, typed: &str, violations: &mut Violations) {
    let port =
        typed.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none_or(|it| it == 0) {
        violations.add(key, format!("`{typed}` cannot be dialled: write host:port, such as 10.0.0.1:8080"));
    }
}

/// Reads a range of ports, both ends included.
fn range(key: &str, typed: &str, violations: &mut Violations) -> PortArgs {
    let ends = typed.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let ends = ends.filter(|(first, last): &(u16, u16)| *first > 0 && first <= last);
    if ends.is_none() {
        violations.add(key, format!("`{typed}` is no range of ports: write 31000-32000"));
    }
    PortArgs { first: ends.map(|it| it.0), last: ends.map(|it| it.1) }
}

/// A duration, as `30s` or `5m`.
fn duration(key: &str, typed: &str, violations: &mut Violations) -> Duration {
    ctl::parse_duration(typed).unwrap_or_else(|why| {
        violations.add(key, why);
        // So that it is not too short as well.
        Duration::MAX
    })
}

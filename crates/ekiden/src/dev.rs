//! `ekiden dev`: one member and one agent in one process, to try out and to develop.

use crate::config::{DevArgs, DevConfig, LogConfig, Violations};
use crate::process::say;
use crate::server::{self, Server};
use anyhow::Context;
use api::logging::Logging;
use api::origin::Hosts;
use scheduler::{Control, Member};
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// One member has nobody to wait for: a short tick makes it lead in half a second.
const TICK: Duration = Duration::from_millis(25);

/// As in a cluster.
const SNAPSHOT_ENTRIES: u64 = 10_000;

/// How often the start looks whether all is ready.
const READY_LOOK: Duration = Duration::from_millis(20);

/// Checks what was typed.
pub(crate) fn prepare(args: DevArgs) -> Result<(DevConfig, LogConfig), Violations> {
    args.check()
}

/// Runs everything until `shutdown`.
pub(crate) async fn run(
    config: DevConfig,
    logging: Arc<dyn Logging>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let registry = server::registry()?;
    let http = server::listen(config.listen).await?;
    let link = server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let listen = http.local_addr().context("the API's address is unknown")?;
    server::warn_of_strangers(listen);
    let link_address = link.local_addr().context("the link's address is unknown")?;
    let data_dir = match &config.data_dir {
        Some(dir) => dir.clone(),
        None => temporary()?,
    };
    let member = scheduler::Config {
        cluster: "dev".to_owned(),
        id: 1,
        members: BTreeMap::from([(1, Member { link: link_address.to_string(), http: listen.to_string() })]),
        data_dir: data_dir.join("server"),
        tick: TICK,
        snapshot_entries: SNAPSHOT_ENTRIES,
        settings: config.settings,
    };
    let agent = agent::Args {
        address: Some(host_of_ports(listen)),
        servers: vec![link_address.to_string()],
        data_dir: Some(data_dir.join("agent")),
        ports: config.ports,
        docker: agent::config::DockerArgs { host: config.docker, ..agent::config::DockerArgs::default() },
        consul: agent::config::ConsulArgs { address: config.consul, ..agent::config::ConsulArgs::default() },
        ..config.allowed.into_agent()
    };
    let agent = agent.check().context("the agent cannot be configured")?;

    let server = Server::start(member, link, &registry)?;
    let agent_shutdown = CancellationToken::new();
    let agent = tokio::spawn(agent::run(agent, registry.clone(), agent_shutdown.clone()));
    let welcome = welcome(listen, &data_dir, config.data_dir.is_none());
    let greeting = tokio::spawn(greet(server.control.clone(), welcome));
    let control = server.control.clone();
    let api = api::Config {
        event_callbacks: config.event_callbacks,
        hosts: Hosts::new([], &config.hosts),
        logging: Some(logging),
        ui: crate::ui::ASSETS,
        ..api::Config::default()
    };
    let served = server.serve(http, api, &registry, shutdown).await;
    greeting.abort();
    agent_shutdown.cancel();
    if config.data_dir.is_none() && control.local().n_instances() > 0 {
        let label = format!("{}={}", agent::LABEL_CLUSTER, control.local().cluster());
        say(&format!(
            "\nThe containers run on, and no later start knows them. To remove them:\n  \
             docker rm -f $(docker ps -aq --filter label={label})\n"
        ));
    }
    let ended = agent.await.context("the agent panicked")?.context("the agent cannot run");
    served.and(ended)
}

/// Where ports of instances are reached: on the address of the API, if that is one.
fn host_of_ports(listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST.to_string() } else { listen.ip().to_string() }
}

/// Says what there is once it can be used: the member leads, and the node is there.
async fn greet(control: Control, welcome: String) {
    while control.local().n_nodes() == 0 {
        tokio::time::sleep(READY_LOOK).await;
    }
    say(&welcome);
}

/// A new directory that nobody else can read.
fn temporary() -> anyhow::Result<PathBuf> {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_nanos());
    let dir = std::env::temp_dir().join(format!("ekiden-dev-{}-{nanos:x}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

fn welcome(listen: SocketAddr, data_dir: &std::path::Path, is_temporary: bool) -> String {
    let url = format!("http://{listen}");
    let option = if url == "http://127.0.0.1:8080" { String::new() } else { format!(" --url {url}") };
    let kept = if is_temporary { " (temporary; --data-dir DIR keeps it)" } else { "" };
    format!(
        "\nEkiden answers at {url}\n  web UI        {url}/\n  data          {}{kept}\n  deploy        ekiden{option} deploy deploy/demo/web.json --wait\n  \
         look          ekiden{option} app list\n  Marathon API  curl {url}/v2/apps\n  stop          Ctrl-C; containers run on\n\n",
        data_dir.display()
    )
}

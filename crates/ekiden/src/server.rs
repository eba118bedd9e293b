//! `ekiden server`: a member of the control plane and its HTTP API.

use crate::config::{LogConfig, ServerArgs, ServerConfig, Violations};
use crate::files;
use anyhow::{Context, anyhow};
use api::logging::Logging;
use api::metrics::HttpMetrics;
use api::origin::Hosts;
use api::readers::ReadersMax;
use api::server::Limits;
use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use scheduler::Control;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long a member that ends may take to hand leadership over.
const HANDOVER_MAX: Duration = Duration::from_secs(2);

/// Checks what was typed.
pub(crate) fn prepare(args: ServerArgs) -> Result<(ServerConfig, LogConfig), Violations> {
    args.with_file()?.check()
}

/// Serves until `shutdown`.
pub(crate) async fn run(
    config: ServerConfig,
    logging: Arc<dyn Logging>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let registry = registry()?;
    let http = listen(config.listen).await?;
    let link = listen(config.link_listen).await?;
    warn_of_strangers(config.listen);
    let hosts = Hosts::new(names(&config), &config.hosts);
    let server = Server::start(config.member, link, &registry)?;
    tracing::info!(api = %config.listen, link = %config.link_listen, "this member serves");
    let config = api::Config {
        event_callbacks: config.event_callbacks,
        hosts,
        logging: Some(logging),
        ui: crate::ui::ASSETS,
        ..api::Config::default()
    };
    server.serve(http, config, &registry, shutdown).await
}

/// By which names the members are reached.
fn names(config: &ServerConfig) -> Vec<&str> {
    config.member.members.values().map(|it| it.http.as_str()).collect()
}

/// Says who may change the cluster, where that is more than those on this machine.
pub(crate) fn warn_of_strangers(listen: SocketAddr) {
    if !listen.ip().is_loopback() {
        tracing::warn!("whoever reaches {listen} may change the cluster: nobody is authenticated yet");
    }
}

/// A running member of the control plane.
pub(crate) struct Server {
    pub(crate) control: Control,
    n_members: usize,
    /// The other members' APIs.
    members: Vec<String>,
    /// Ends the member. Not the API: what that has accepted needs the member for its answer.
    member_shutdown: CancellationToken,
    fatal: oneshot::Receiver<scheduler::replica::Error>,
}

impl Server {
    /// Starts the member; the API comes with [`Server::serve`].
    pub(crate) fn start(config: scheduler::Config, link: TcpListener, registry: &Registry) -> anyhow::Result<Self> {
        let member_shutdown = CancellationToken::new();
        let (tell_fatal, fatal) = oneshot::channel();
        let n_members = config.members.len();
        let others = config.members.iter().filter(|(id, _)| **id != config.id);
        let members = others.map(|(_, it)| it.http.clone()).collect();
        let data_dir = config.data_dir.display().to_string();
        let tell = |err| drop(tell_fatal.send(err));
        let control = scheduler::start(config, link, registry, member_shutdown.clone(), tell)
            .with_context(|| format!("this member cannot start on its data directory {data_dir}"))?;
        Ok(Self { control, n_members, members, member_shutdown, fatal })
    }

    /// Serves the API until `shutdown`, lets requests under way finish, and ends the member.
    pub(crate) async fn serve(
        self,
        http: TcpListener,
        config: api::Config,
        registry: &Registry,
        shutdown: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self { control, n_members, members, member_shutdown, mut fatal } = self;
        let metrics = HttpMetrics::register(registry).context("cannot register the API's metrics")?;
        let limits = Limits::within(files::limit());
        let readers_max = ReadersMax::beside(limits.connections_max);
        let config =
            api::Config { version: env!("CARGO_PKG_VERSION").to_owned(), n_members, readers_max, members, ..config };
        let service = api::Api::new(control.clone(), config, metrics.clone(), shutdown.clone());
        let serving = api::server::serve(http, service, limits, metrics, shutdown);
        let done = tokio::select! {
            served = serving => served.context("the API cannot be served any more"),
            Ok(err) = &mut fatal => Err(anyhow!(err).context("this member must not go on")),
        };
        member_shutdown.cancel();
        // Leadership is handed over first; nobody waits longer for a member that cannot.
        let _ = tokio::time::timeout(HANDOVER_MAX, control.replica().stopped()).await;
        done
    }
}

/// A registry with the process's own metrics.
pub(crate) fn registry() -> anyhow::Result<Registry> {
    let registry = Registry::new();
    registry.register(Box::new(ProcessCollector::for_self())).context("cannot register the process's metrics")?;
    Ok(registry)
}

/// Listens on an address.
pub(crate) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; if something else listens there, choose another address"))
}

//! `ekiden agent`: a machine's agent, and its metrics.

use crate::config::{AgentArgs, AgentConfig, LogConfig, Violations};
use crate::files;
use crate::server::{listen, registry};
use anyhow::Context;
use api::metrics::HttpMetrics;
use api::server::Limits;
use axum::Router;
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

/// Checks what was typed.
pub(crate) fn prepare(args: AgentArgs) -> Result<(AgentConfig, LogConfig), Violations> {
    args.check()
}

/// Runs until `shutdown`.
pub(crate) async fn run(config: AgentConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let registry = registry()?;
    if let Some(address) = config.listen {
        serve_metrics(address, &registry, shutdown.clone()).await?;
    }
    agent::run(config.agent, registry, shutdown).await.context("this agent cannot run")
}

async fn serve_metrics(address: SocketAddr, registry: &Registry, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = listen(address).await?;
    let metrics = HttpMetrics::register(registry).context("cannot register metrics")?;
    let registry = registry.clone();
    let print =
        move || async move { TextEncoder::new().encode_to_string(&registry.gather()).map_err(|it| it.to_string()) };
    let router = Router::new().route("/metrics", get(print)).route("/ping", get(|| async { "pong" }));
    tracing::info!(%address, "metrics are served");
    tokio::spawn(async move {
        if let Err(err) = api::server::serve(listener, router, Limits::within(files::limit()), metrics, shutdown).await
        {
            tracing::error!(%err, "metrics cannot be served any more");
        }
    });
    Ok(())
}

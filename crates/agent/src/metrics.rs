//! What an agent counts and measures; never labelled by instance.

use cluster::agent::{Counts, Outcome};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, exponential_buckets,
};
use std::time::Duration;

/// The agent's metrics. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    docker: HistogramVec,
    instances: IntGaugeVec,
    quarantined: IntGauge,
    probes: IntCounterVec,
    consul: IntCounterVec,
    connected: IntGauge,
    reports: IntCounter,
}

impl Metrics {
    /// Registers them all.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let buckets = exponential_buckets(0.001, 2.0, 17)?;
        let opts = HistogramOpts::new("ekiden_agent_docker_seconds", "Duration of calls of the Docker engine.");
        let metrics = Self {
            docker: HistogramVec::new(opts.buckets(buckets), &["operation", "result"])?,
            instances: IntGaugeVec::new(
                Opts::new("ekiden_agent_instances", "Instances on this node by state; serving ones run as well."),
                &["state"],
            )?,
            quarantined: IntGauge::new(
                "ekiden_agent_quarantined",
                "Containers of this cluster and node that no member speaks of; they are left alone.",
            )?,
            probes: IntCounterVec::new(Opts::new("ekiden_agent_probes_total", "Health check probes."), &["result"])?,
            consul: IntCounterVec::new(
                Opts::new("ekiden_agent_consul_requests_total", "Requests to the Consul agent."),
                &["operation", "result"],
            )?,
            connected: IntGauge::new("ekiden_agent_connected", "Whether a member has taken this agent in.")?,
            reports: IntCounter::new("ekiden_agent_reports_total", "Reports sent to the cluster.")?,
        };
        registry.register(Box::new(metrics.docker.clone()))?;
        registry.register(Box::new(metrics.instances.clone()))?;
        registry.register(Box::new(metrics.quarantined.clone()))?;
        registry.register(Box::new(metrics.probes.clone()))?;
        registry.register(Box::new(metrics.consul.clone()))?;
        registry.register(Box::new(metrics.connected.clone()))?;
        registry.register(Box::new(metrics.reports.clone()))?;
        Ok(metrics)
    }

    /// A call of the Docker engine took so long.
    pub(crate) fn docker(&self, operation: &str, result: &str, took: Duration) {
        self.docker.with_label_values(&[operation, result]).observe(took.as_secs_f64());
    }

    /// So many instances there are.
    pub(crate) fn instances(&self, counts: Counts) {
        for (state, count) in [
            ("staging", counts.staging),
            ("running", counts.running),
            ("serving", counts.serving),
            ("stopping", counts.stopping),
            ("ended", counts.ended),
        ] {
            self.instances.with_label_values(&[state]).set(count as i64);
        }
        self.quarantined.set(counts.quarantined as i64);
    }

    /// A probe was answered.
    pub(crate) fn probe(&self, outcome: &Outcome) {
        let result = match outcome {
            Outcome::Success => "success",
            Outcome::Failure(_) | Outcome::Answered(_) | Outcome::Refused(_) => "failure",
            Outcome::Ignored => "ignored",
        };
        self.probes.with_label_values(&[result]).inc();
    }

    /// A request to the Consul agent was answered, or not.
    pub(crate) fn consul(&self, operation: &str, ok: bool) {
        self.consul.with_label_values(&[operation, if ok { "ok" } else { "failed" }]).inc();
    }

    /// A member has taken the agent in, or is gone.
    pub(crate) fn connected(&self, connected: bool) {
        self.connected.set(i64::from(connected));
    }

    /// A report was sent.
    pub(crate) fn report(&self) {
        self.reports.inc();
    }
}

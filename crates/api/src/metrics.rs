//! What monitoring reads: histograms of the API, gauges of the cluster.

use crate::v2;
use cluster::{Condition, Goal, Health, State};
use http::{Method, StatusCode};
use prometheus::core::Collector;
use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use std::time::Duration;

/// Bounds of the latency histogram, seconds: from an answer out of memory to a change through a slow disk.
const LATENCY_BOUNDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The API's own metrics, and the registry whose metrics `/metrics` prints.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    registry: Registry,
    latency: HistogramVec,
    in_flight: IntGauge,
    event_readers: IntGauge,
    connections: IntGauge,
}

impl HttpMetrics {
    /// Registers the API's metrics with a registry.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let latency =
            HistogramOpts::new("ekiden_http_request_duration_seconds", "Time to answer a request of the API.")
                .buckets(LATENCY_BOUNDS.to_vec());
        let metrics = Self {
            registry: registry.clone(),
            latency: HistogramVec::new(latency, &["route", "method", "status"])?,
            in_flight: IntGauge::new("ekiden_http_requests_in_flight", "Requests of the API that are being answered.")?,
            event_readers: IntGauge::new("ekiden_http_event_readers", "Clients that read the stream of events.")?,
            connections: IntGauge::new("ekiden_http_connections", "Open connections to the API.")?,
        };
        registry.register(Box::new(metrics.latency.clone()))?;
        for gauge in [&metrics.in_flight, &metrics.event_readers, &metrics.connections] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(metrics)
    }

    /// All metrics of the registry.
    pub(crate) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Counts a request until the returned value is dropped.
    pub(crate) fn begin(&self) -> Counted {
        Counted::new(&self.in_flight)
    }

    /// Counts a reader of events until the returned value is dropped.
    pub(crate) fn begin_reading(&self) -> Counted {
        Counted::new(&self.event_readers)
    }

    /// Counts a connection until the returned value is dropped.
    pub(crate) fn begin_connection(&self) -> Counted {
        Counted::new(&self.connections)
    }

    /// Notes how long an answer took.
    pub(crate) fn observe(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let class = ["1xx", "2xx", "3xx", "4xx", "5xx"].get(usize::from(status.as_u16() / 100).wrapping_sub(1));
        // Other methods are made up by clients and must not fill the memory.
        let method = match method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE") => known,
            _ => "other",
        };
        self.latency.with_label_values(&[route, method, class.unwrap_or(&"other")]).observe(took.as_secs_f64());
    }
}

/// One that is counted in a gauge as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Gauges of a state, computed when they are asked for.
pub(crate) fn of_state(state: &State) -> Vec<MetricFamily> {
    let families = [
        totals(state).map(|it| it.collect()),
        instances(state).map(|it| it.collect()),
        nodes(state).map(|it| it.into_iter().flat_map(|it| it.collect()).collect()),
    ];
    families.into_iter().filter_map(|it: Result<Vec<_>, _>| it.ok()).flatten().collect()
}

/// Gauges with one value each.
struct Totals(Vec<IntGauge>);

impl Totals {
    fn collect(&self) -> Vec<MetricFamily> {
        self.0.iter().flat_map(Collector::collect).collect()
    }
}

fn totals(state: &State) -> prometheus::Result<Totals> {
    let active = state.deployments().filter(|it| it.is_active()).count();
    let apps = state.apps().filter(|it| !it.removing).count();
    let wanted: u64 = state.apps().filter(|it| !it.removing).map(|it| u64::from(it.current.spec.instances)).sum();
    let gauges = [
        ("ekiden_apps", "Apps.", apps as i64),
        ("ekiden_instances_wanted", "Instances that the apps ask for, together.", wanted as i64),
        ("ekiden_deployments_active", "Deployments under way.", active as i64),
    ];
    let gauges = gauges.into_iter().map(|(name, help, value)| {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(value);
        Ok(gauge)
    });
    gauges.collect::<prometheus::Result<_>>().map(Totals)
}

fn instances(state: &State) -> prometheus::Result<IntGaugeVec> {
    let opts = Opts::new("ekiden_instances", "Instances by condition and health, until their containers are removed.");
    let gauge = IntGaugeVec::new(opts, &["condition", "health"])?;
    for it in state.instances() {
        let condition = match (&it.condition, it.goal) {
            (Condition::Ended(_), _) => "ended",
            _ if state.is_unreachable(it) => "unreachable",
            (_, Goal::Stop(_)) => "stopping",
            (Condition::Staging, _) => "staging",
            (Condition::Running, _) => "running",
        };
        let health = match it.health {
            Health::Unknown => "unknown",
            Health::Healthy => "healthy",
            Health::Unhealthy | Health::Failed => "unhealthy",
        };
        gauge.with_label_values(&[condition, health]).inc();
    }
    Ok(gauge)
}

fn nodes(state: &State) -> prometheus::Result<Vec<GaugeVec>> {
    let gauge = |name: &str, help: &str, labels: &[&str]| GaugeVec::new(Opts::new(name, help), labels);
    let status = gauge("ekiden_node_status", "1 for the status that the node has.", &["node", "status"])?;
    let cpu = gauge("ekiden_node_cpu_cores", "Cores of a node.", &["node", "kind"])?;
    let memory = gauge("ekiden_node_memory_bytes", "Memory of a node.", &["node", "kind"])?;
    let disk = gauge("ekiden_node_disk_bytes", "Disk of a node.", &["node", "kind"])?;
    let ports = gauge("ekiden_node_ports", "Host ports of a node.", &["node", "kind"])?;
    let help = "Instances that could not be started on a node lately; half of them is forgotten every ten minutes.";
    let failures = gauge("ekiden_node_start_failures", help, &["node", "cause"])?;
    for node in state.nodes() {
        let name = node.id().as_str();
        let is = match node.degraded() {
            _ if node.is_lost() => "lost",
            Some(_) => "degraded",
            None => "ready",
        };
        for (cause, it) in node.trouble.iter().flat_map(|it| &it.failures) {
            failures.with_label_values(&[name, cause.name()]).set(f64::from(it.remembered(state.moment())));
        }
        for word in ["ready", "degraded", "lost"] {
            status.with_label_values(&[name, word]).set(f64::from(u8::from(word == is)));
        }
        let range = node.description.ports;
        let capacity = &node.description.capacity;
        for (kind, amount, n_ports) in [
            ("capacity", capacity, usize::from(range.last.saturating_sub(range.first)) + 1),
            ("used", &node.used, node.ports.len()),
        ] {
            cpu.with_label_values(&[name, kind]).set(amount.cpu_milli as f64 / 1000.0);
            memory.with_label_values(&[name, kind]).set(amount.memory_bytes as f64);
            disk.with_label_values(&[name, kind]).set(amount.disk_bytes as f64);
            ports.with_label_values(&[name, kind]).set(n_ports as f64);
        }
    }
    Ok(vec![status, cpu, memory, disk, ports, failures])
}

/// Prints metrics in Prometheus' text form; what cannot be printed is left out and logged.
pub(crate) fn print(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    for family in families {
        if family.get_metric().is_empty() {
            continue;
        }
        if let Err(error) = TextEncoder::new().encode_utf8(std::slice::from_ref(family), &mut text) {
            tracing::warn!(%error, name = family.name(), "a metric could not be printed");
        }
    }
    text
}

/// Metrics as Marathon prints them: counters, gauges and histograms, by dotted name.
pub(crate) fn to_json(families: &[MetricFamily]) -> v2::Metrics {
    let mut metrics = v2::Metrics { version: "5.0.0".to_owned(), ..v2::Metrics::default() };
    for family in families {
        for metric in family.get_metric() {
            let name = dotted(family.name(), metric.get_label().iter().map(LabelPair::value));
            match family.get_field_type() {
                MetricType::COUNTER => {
                    let count = metric.get_counter().get_value() as u64;
                    metrics.counters.insert(name, v2::Counted { count });
                }
                MetricType::HISTOGRAM => {
                    let (count, sum) =
                        (metric.get_histogram().get_sample_count(), metric.get_histogram().get_sample_sum());
                    let mean = v2::Number(if count == 0 { 0.0 } else { sum / count as f64 });
                    metrics.histograms.insert(name, v2::Distribution { count, mean });
                }
                _ => {
                    let value = v2::Number(metric.get_gauge().get_value());
                    metrics.gauges.insert(name, v2::Measured { value });
                }
            }
        }
    }
    metrics
}

/// A metric's name, and behind it what its labels say, each as one part between dots: `ekiden.instances.running.healthy`.
fn dotted<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> String {
    let mut dotted = name.replace('_', ".");
    for value in values {
        dotted.push('.');
        dotted.push_str(&part(value));
    }
    dotted
}

/// A label's value without what would be read as another part, or not be taken by those who keep metrics.
fn part(value: &str) -> String {
    let value = value.replace('*', "all");
    let plain = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let words: Vec<&str> = value.split(|it| !plain(it)).filter(|it| !it.is_empty()).collect();
    if words.is_empty() { "root".to_owned() } else { words.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;
    use std::collections::BTreeSet;

    #[test]
    fn dotted_names_have_no_braces_and_tell_labels_apart() {
        for (values, expect) in [
            (&[][..], "ekiden.node.ports"),
            (&["used", "n1.example.com"][..], "ekiden.node.ports.used.n1-example-com"),
            (&["GET", "/v2/apps/{id}", "2xx"][..], "ekiden.node.ports.GET.v2-apps-id.2xx"),
            (&["GET", "/"][..], "ekiden.node.ports.GET.root"),
        ] {
            assert_eq!(dotted("ekiden_node_ports", values.iter().copied()), expect);
        }
        let routes: BTreeSet<&str> = ROUTES.iter().map(|it| it.path).collect();
        let parts: BTreeSet<String> = routes.iter().map(|it| part(it)).collect();
        assert_eq!(parts.len(), routes.len(), "two routes have one name: {parts:?}");
    }
}

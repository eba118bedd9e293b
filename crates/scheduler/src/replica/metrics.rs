//! What a replica measures.

use std::time::Duration;

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry, exponential_buckets};

use crate::member::Status;

/// The replica's instruments. A clone is the same instruments.
#[derive(Clone)]
pub struct Metrics {
    commit: Histogram,
    sync: Histogram,
    apply: Histogram,
    batch: Histogram,
    refused: IntCounter,
    leading: IntGauge,
    term: IntGauge,
    applied: IntGauge,
    clock_ahead: Gauge,
}

impl Metrics {
    /// Makes the instruments and registers them.
    ///
    /// # Panics
    /// When the registry has instruments of these names already.
    pub fn new(registry: &Registry) -> Self {
        let histogram = |name: &str, help: &str, start: f64, n: usize| {
            let buckets = exponential_buckets(start, 2.0, n).expect("constants in range");
            let it = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets));
            let it = it.expect("the names are valid");
            registry.register(Box::new(it.clone())).expect("registered once");
            it
        };
        let gauge = |name: &str, help: &str| {
            let it = IntGauge::with_opts(Opts::new(name, help)).expect("the names are valid");
            registry.register(Box::new(it.clone())).expect("registered once");
            it
        };
        let clock_ahead = Gauge::new(
            "ekiden_clock_ahead_seconds",
            "By how much this machine's clock is ahead of the middle one of the members' clocks.",
        )
        .expect("the names are valid");
        registry.register(Box::new(clock_ahead.clone())).expect("registered once");
        let refused = IntCounter::new(
            "ekiden_raft_refused_total",
            "Commands that got no answer: no leader in time, outcome unknown, overload.",
        )
        .expect("the names are valid");
        registry.register(Box::new(refused.clone())).expect("registered once");
        Self {
            commit: histogram(
                "ekiden_raft_commit_seconds",
                "From a command's arrival at this member to its answer.",
                0.000_05,
                18,
            ),
            sync: histogram("ekiden_raft_sync_seconds", "Writing and syncing one frame of the log.", 0.000_02, 18),
            apply: histogram("ekiden_raft_apply_seconds", "Applying the entries committed at once.", 0.000_005, 18),
            batch: histogram("ekiden_raft_batch_entries", "Entries written with one sync.", 1.0, 13),
            refused,
            leading: gauge("ekiden_raft_leading", "1 while this member leads."),
            term: gauge("ekiden_raft_term", "The term."),
            applied: gauge("ekiden_raft_applied_index", "The last entry applied."),
            clock_ahead,
        }
    }

    pub(super) fn wrote(&self, n_entries: usize, took: Duration) {
        self.sync.observe(took.as_secs_f64());
        if n_entries > 0 {
            self.batch.observe(n_entries as f64);
        }
    }

    pub(super) fn applied(&self, _n_entries: u64, took: Duration) {
        self.apply.observe(took.as_secs_f64());
    }

    pub(super) fn answered(&self, done: bool, took: Duration) {
        if done {
            self.commit.observe(took.as_secs_f64());
        } else {
            self.refused.inc();
        }
    }

    pub(super) fn status(&self, status: Status) {
        self.leading.set(i64::from(status.leading));
        self.term.set(status.term as i64);
    }

    pub(super) fn clock(&self, ahead_ms: i64) {
        self.clock_ahead.set(ahead_ms as f64 / 1000.0);
    }

    pub(super) fn position(&self, applied: u64) {
        self.applied.set(applied as i64);
    }
}

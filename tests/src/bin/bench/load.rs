//! A closed loop of clients, and what they see.

use crate::process::cpu_time;
use anyhow::{Result, bail};
use std::future::Future;
use std::time::{Duration, Instant};

/// One client: does one piece of work after another.
pub(crate) trait Client: Send + 'static {
    /// One piece, from asking to the answer.
    fn once(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What a number of clients saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Pieces of work per second.
    pub(crate) rate: f64,
    /// Half of the pieces took at most this, milliseconds.
    pub(crate) p50_ms: f64,
    /// 99 of 100 pieces took at most this, milliseconds.
    pub(crate) p99_ms: f64,
    /// All took at most this, milliseconds.
    pub(crate) worst_ms: f64,
    /// All pieces of work, those of the warm-up too.
    pub(crate) n_all: usize,
    /// Processor time of the clients themselves per piece, microseconds.
    pub(crate) client_us: f64,
}

/// Lets all clients work for that long, after a warm-up.
pub(crate) async fn drive<C: Client>(clients: Vec<C>, time: Duration) -> Result<Seen> {
    let start = Instant::now() + time / 8;
    let end = start + time;
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(1 << 12);
                let mut n_all = 0;
                loop {
                    let asked = Instant::now();
                    if asked >= end {
                        return Ok::<_, anyhow::Error>((times, n_all));
                    }
                    client.once().await?;
                    n_all += 1;
                    let now = Instant::now();
                    if asked >= start && now <= end {
                        times.push(now - asked);
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep_until(start.into()).await;
    let cpu = cpu_time();
    tokio::time::sleep_until(end.into()).await;
    let cpu = cpu_time().saturating_sub(cpu);
    let mut times = Vec::new();
    let mut n_all = 0;
    for task in tasks {
        let (seen, n) = task.await??;
        times.extend(seen);
        n_all += n;
    }
    if times.is_empty() {
        bail!("no client got an answer within {time:?}");
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    Ok(Seen {
        rate: times.len() as f64 / time.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        worst_ms: at(1.0),
        n_all,
        client_us: cpu.as_secs_f64() * 1e6 / times.len() as f64,
    })
}

/// The middle one; the mean of the two in the middle of an even number.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

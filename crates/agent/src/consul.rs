//! The node's own Consul agent: what is registered there is made what runs and serves. `docs/consul.md` has the
//! rules for operators; [`cluster::catalog`] decides, this carries out.
//!
//! Consul is never waited for: a wish that cannot be carried out is tried again, with growing pauses, and everything
//! else goes on. At rest Consul is read now and then and never written.

use crate::metrics::Metrics;
use api::causes::with_causes;
use cluster::agent::Input;
use cluster::catalog::{Owner, Service, Wish, Writer, diff, other_writers};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// From one comparison to the next while nothing changes: what others did to our entries is mended within this.
const COMPARE_EVERY: Duration = Duration::from_secs(15);

/// The pause after a first failure; doubles up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_millis(250);

/// The longest pause after a failure: so soon a healed Consul is noticed.
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// After so many failed writes the rest is left for the next attempt: Consul is away.
const MAX_FAILURES: usize = 3;

/// Writes in a burst, and writes a second after it (INV-C5).
const WRITES_BURST: f64 = 100.0;
const WRITES_PER_SECOND: f64 = 50.0;

/// A failed request to Consul, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    /// A failure with these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// All that is asked of a Consul agent. The real one is [`Consul`]; tests have their own.
pub trait Registry: Send + Sync + 'static {
    /// Every entry of the agent, also those of others.
    fn list(&self) -> impl Future<Output = Result<Vec<Service>, Error>> + Send;
    /// Writes an entry, new or over an old one.
    fn register(&self, service: &Service) -> impl Future<Output = Result<(), Error>> + Send;
    /// Deletes an entry; one that is not there is no failure.
    fn deregister(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What an agent wants registered, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Counts the wishes.
    pub revision: u64,
    /// The generation of assignments it was decided at.
    pub generation: u64,
    /// Whose entries these are.
    pub owner: Owner,
    /// What shall be registered.
    pub wish: Wish,
}

/// Keeps a registry as ordered, until the orders end; says of each order when it is carried out, or that it cannot be.
pub(crate) async fn keep<R: Registry>(
    registry: R,
    mut orders: watch::Receiver<Option<Order>>,
    answers: mpsc::UnboundedSender<Input>,
    metrics: Metrics,
) {
    let mut tokens = Tokens::new();
    let mut failures = 0u32;
    let mut written = BTreeSet::new();
    loop {
        let order = orders.borrow_and_update().clone();
        let mut next = Instant::now() + COMPARE_EVERY;
        if let Some(order) = order {
            let reconciled = match look(&registry, &metrics).await {
                Ok(registered) => {
                    let writers: BTreeSet<Writer> = other_writers(&registered, &order.owner);
                    if written != writers {
                        written.clone_from(&writers);
                        let _ = answers.send(Input::Written { writers });
                    }
                    reconcile(&registry, &registered, &order, &mut tokens, &orders, &metrics).await
                }
                Err(error) => Err(error),
            };
            match reconciled {
                Ok(true) => {
                    if failures > 0 {
                        tracing::info!("Consul answers again");
                    }
                    failures = 0;
                    let _ = answers.send(Input::Published { revision: order.revision });
                }
                // There is a newer order: on with that.
                Ok(false) => continue,
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%error, "Consul cannot be told; trying again");
                    }
                    let _ = answers.send(Input::PublishFailed);
                    next = Instant::now() + AGAIN.saturating_mul(1 << failures.min(10)).min(AGAIN_MAX);
                    failures = failures.saturating_add(1);
                }
            }
        }
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            () = sleep_until(next) => {}
        }
    }
}

/// What is registered.
async fn look<R: Registry>(registry: &R, metrics: &Metrics) -> Result<Vec<Service>, Error> {
    let registered = registry.list().await;
    metrics.consul("list", registered.is_ok());
    registered
}

/// Makes the registry as ordered; `false` if a newer order came in between. One entry that Consul refuses does not
/// keep the others waiting.
async fn reconcile<R: Registry>(
    registry: &R,
    registered: &[Service],
    order: &Order,
    tokens: &mut Tokens,
    orders: &watch::Receiver<Option<Order>>,
    metrics: &Metrics,
) -> Result<bool, Error> {
    let difference = diff(&order.wish, registered, &order.owner, order.generation);
    let register = difference.register.iter().map(Write::Register);
    let deregister = difference.deregister.iter().map(|it| Write::Deregister(it));
    let mut errors = Vec::new();
    for write in register.chain(deregister) {
        if orders.has_changed().unwrap_or(false) {
            return Ok(false);
        }
        tokens.take().await;
        let result = match write {
            Write::Register(service) => registry.register(service).await,
            Write::Deregister(id) => registry.deregister(id).await,
        };
        write.note(&result, metrics);
        errors.extend(result.err());
        if errors.len() >= MAX_FAILURES {
            break;
        }
    }
    errors.into_iter().next().map_or(Ok(true), Err)
}

#[derive(Clone, Copy)]
enum Write<'a> {
    Register(&'a Service),
    Deregister(&'a str),
}

impl Write<'_> {
    fn note(self, result: &Result<(), Error>, metrics: &Metrics) {
        let operation = match self {
            Self::Register(_) => "register",
            Self::Deregister(_) => "deregister",
        };
        metrics.consul(operation, result.is_ok());
        match (self, result) {
            (Self::Register(it), Ok(())) => {
                tracing::info!(id = it.id, name = it.name, port = it.port, "registered with Consul");
            }
            (Self::Deregister(id), Ok(())) => tracing::info!(id, "deregistered from Consul"),
            (Self::Register(Service { id, .. }), Err(error)) => tracing::debug!(id, %error, "could not register"),
            (Self::Deregister(id), Err(error)) => tracing::debug!(id, %error, "could not deregister"),
        }
    }
}

/// A bucket of writes.
struct Tokens {
    left: f64,
    filled: Instant,
}

impl Tokens {
    fn new() -> Self {
        Self { left: WRITES_BURST, filled: Instant::now() }
    }

    /// Waits for the next write to be due.
    async fn take(&mut self) {
        let now = Instant::now();
        let gained = now.duration_since(self.filled).as_secs_f64() * WRITES_PER_SECOND;
        self.left = (self.left + gained).min(WRITES_BURST) - 1.0;
        self.filled = now;
        if self.left < 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(-self.left / WRITES_PER_SECOND)).await;
        }
    }
}

/// A real Consul agent.
pub struct Consul(consul_agent::Client);

impl Consul {
    /// The Consul agent at an address, whether it is there or not.
    ///
    /// # Errors
    /// The CA's file cannot be used.
    pub fn new(config: &consul_agent::Config) -> Result<Self, Error> {
        Ok(Self(consul_agent::Client::new(config)?))
    }
}

impl Registry for Consul {
    async fn list(&self) -> Result<Vec<Service>, Error> {
        Ok(self.0.services().await?.into_iter().map(|(id, it)| service(id, it)).collect())
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        let Service { id, name, tags, address, port, meta } = service.clone();
        Ok(self.0.register(&id, consul_agent::Service { name, tags, address, port, meta }).await?)
    }

    async fn deregister(&self, id: &str) -> Result<(), Error> {
        Ok(self.0.deregister(id).await?)
    }
}

impl From<consul_agent::Error> for Error {
    fn from(error: consul_agent::Error) -> Self {
        Self(with_causes(&error))
    }
}

fn service(id: String, found: consul_agent::Service) -> Service {
    let consul_agent::Service { name, mut tags, address, port, meta } = found;
    tags.sort();
    Service { id, name, tags, address, port, meta }
}

#[cfg(test)]
#[path = "consul_tests.rs"]
mod tests;

//! The node's own Consul agent: what is registered there is made what runs and serves. `docs/consul.md` has the
//! rules for operators; [`cluster::catalog`] decides, this carries out.
//!
//! Consul is never waited for: a wish that cannot be carried out is tried again, with growing pauses, and everything
//! else goes on. At rest Consul is read now and then and never written.

use crate::config::ConsulConfig;
use crate::metrics::Metrics;
use cluster::agent::Input;
use cluster::catalog::{Service, Wish, diff};
use cluster::{ClusterId, NodeId};
use consulrs::api::service::requests::RegisterServiceRequest;
use consulrs::client::{Client, ConsulClient, ConsulClientSettings};
use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// A request that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(3);

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
    /// The cluster and the node whose entries these are.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
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
    loop {
        let order = orders.borrow_and_update().clone();
        let mut next = Instant::now() + COMPARE_EVERY;
        if let Some(order) = order {
            match reconcile(&registry, &order, &mut tokens, &orders, &metrics).await {
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

/// Makes the registry as ordered; `false` if a newer order came in between. One entry that Consul refuses does not
/// keep the others waiting.
async fn reconcile<R: Registry>(
    registry: &R,
    order: &Order,
    tokens: &mut Tokens,
    orders: &watch::Receiver<Option<Order>>,
    metrics: &Metrics,
) -> Result<bool, Error> {
    let registered = registry.list().await;
    metrics.consul("list", registered.is_ok());
    let difference = diff(&order.wish, &registered?, order.cluster, &order.node, order.generation);
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

/// A real Consul agent, through `consulrs`. What that crate lacks or gets wrong is boxed in here: deadlines, a client
/// of our own making, and the list, which it cannot decode once a service has an address.
pub struct Consul {
    client: ConsulClient,
}

impl Consul {
    /// The Consul agent at an address, whether it is there or not.
    pub fn new(config: &ConsulConfig) -> Result<Self, Error> {
        let mut http = reqwest::Client::builder()
            .use_rustls_tls()
            // A proxy for the outside has no business between two processes of one machine.
            .no_proxy()
            .connect_timeout(DEADLINE)
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &config.ca_file {
            let pem = std::fs::read(file).map_err(|it| Error(format!("{}: {it}", file.display())))?;
            let certificate = reqwest::Certificate::from_pem(&pem);
            http = http.add_root_certificate(certificate.map_err(|it| Error(format!("{}: {it}", file.display())))?);
        }
        let http = http.build().map_err(|it| Error(it.to_string()))?;
        let settings = ConsulClientSettings {
            address: config.address.clone(),
            ca_certs: Vec::new(),
            client_cert: None,
            client_key: None,
            token: config.token.clone(),
            verify: true,
            version: 1,
        };
        let http = rustify::clients::reqwest::Client::new(&config.address, http);
        Ok(Self { client: ConsulClient { http, settings } })
    }
}

impl Registry for Consul {
    async fn list(&self) -> Result<Vec<Service>, Error> {
        let middleware = self.client.middle(None);
        let answer = async {
            let answer = ListServices.with_middleware(&middleware).exec(self.client.http()).await?;
            answer.parse()
        };
        let services: HashMap<String, Listed> = within_deadline(answer).await?;
        Ok(services.into_iter().map(|(id, it)| it.service(id)).collect())
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        let mut request = RegisterServiceRequest::builder();
        request
            .id(service.id.as_str())
            .name(service.name.as_str())
            .tags(service.tags.clone())
            .address(service.address.as_str())
            .port(service.port)
            .meta(service.meta.clone().into_iter().collect::<HashMap<_, _>>());
        let answer = consulrs::service::register(&self.client, &service.name, Some(&mut request));
        within_deadline(answer).await.map(drop)
    }

    async fn deregister(&self, id: &str) -> Result<(), Error> {
        // Ids go into the path as they are; ours have nothing that would need escaping, and others' are not ours.
        if !id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-') {
            return Err(Error(format!("'{id}' is not an id that an agent gave")));
        }
        match within_deadline(consulrs::service::deregister(&self.client, id, None)).await {
            // Newer versions of Consul answer 404 where there is no such entry.
            Err(Error(message)) if message.contains("404") => Ok(()),
            result => result.map(drop),
        }
    }
}

async fn within_deadline<T, E: std::error::Error>(answer: impl Future<Output = Result<T, E>>) -> Result<T, Error> {
    match timeout(DEADLINE, answer).await {
        Ok(result) => result.map_err(|it| Error(with_causes(&it))),
        Err(_) => Err(Error(format!("no answer within {} s", DEADLINE.as_secs()))),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// `GET /v1/agent/services`, decoded as Consul answers it: `consulrs` takes `TaggedAddresses` for a map of texts.
#[derive(Debug)]
struct ListServices;

impl Endpoint for ListServices {
    type Response = HashMap<String, Listed>;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        "agent/services".to_owned()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::GET
    }
}

/// One entry in Consul's answer. Lists and maps may be `null`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listed {
    service: String,
    tags: Option<Vec<String>>,
    address: String,
    port: u16,
    meta: Option<BTreeMap<String, String>>,
}

impl Listed {
    fn service(self, id: String) -> Service {
        let mut tags = self.tags.unwrap_or_default();
        tags.sort();
        Service {
            id,
            name: self.service,
            tags,
            address: self.address,
            port: self.port,
            meta: self.meta.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
#[path = "consul_tests.rs"]
mod tests;

//! A node's own Consul agent, asked through `consulrs`. What that crate lacks or gets wrong is boxed in here, and what it
//! brings along: deadlines, a client of our own making, the HTTP stack of yesterday, and the list, which it cannot decode
//! once a service has an address.

use consulrs::api::service::requests::RegisterServiceRequest;
use consulrs::client::{Client as _, ConsulClient, ConsulClientSettings};
use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;

/// A request that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(3);

/// How the node's Consul agent is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// `http://host:port` or `https://host:port`.
    pub address: String,
    /// The ACL token.
    pub token: Option<String>,
    /// A file with the certificates (PEM) of the CAs to trust.
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for Config {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("address", &self.address).field("ca_file", &self.ca_file).finish_non_exhaustive()
    }
}

/// An entry of the Consul agent, without its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name, which many entries may have.
    pub name: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Where it is reached.
    pub address: String,
    /// Where it is reached.
    pub port: u16,
    /// Names and values for whoever reads the entry.
    pub meta: BTreeMap<String, String>,
}

/// Why the Consul agent cannot be asked, or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with the CA cannot be used.
    #[error("{}", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No client can be made of this.
    #[error("cannot make a client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It could not be asked, or refused.
    #[error(transparent)]
    Refused(Box<dyn std::error::Error + Send + Sync>),
    /// It did not answer in time.
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Late,
    /// An id that no agent of ours gave, and that must not become a part of a path.
    #[error("'{0}' is not an id that an agent gave")]
    Id(String),
}

/// A Consul agent.
pub struct Client {
    client: ConsulClient,
}

impl Client {
    /// The Consul agent at an address, whether it is there or not.
    ///
    /// # Errors
    /// The CA's file cannot be used.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let mut http = reqwest::Client::builder()
            .use_rustls_tls()
            // A proxy for the outside has no business between two processes of one machine.
            .no_proxy()
            .connect_timeout(DEADLINE)
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &config.ca_file {
            let pem = std::fs::read(path).map_err(|it| unusable(path, it))?;
            http = http.add_root_certificate(reqwest::Certificate::from_pem(&pem).map_err(|it| unusable(path, it))?);
        }
        let http = http.build().map_err(|it| Error::Client(it.into()))?;
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

    /// Every entry by its id, also those of others.
    ///
    /// # Errors
    /// It could not be asked.
    pub async fn services(&self) -> Result<HashMap<String, Service>, Error> {
        let middleware = self.client.middle(None);
        let answer = async {
            let answer = ListServices.with_middleware(&middleware).exec(self.client.http()).await?;
            answer.parse()
        };
        let services: HashMap<String, Listed> = within_deadline(answer).await?;
        Ok(services.into_iter().map(|(id, it)| (id, it.service())).collect())
    }

    /// Writes an entry, new or over an old one.
    ///
    /// # Errors
    /// It could not be asked, or refused.
    pub async fn register(&self, id: &str, service: Service) -> Result<(), Error> {
        let mut request = RegisterServiceRequest::builder();
        request
            .id(id)
            .name(service.name.as_str())
            .tags(service.tags)
            .address(service.address)
            .port(service.port)
            .meta(service.meta.into_iter().collect::<HashMap<_, _>>());
        let answer = consulrs::service::register(&self.client, &service.name, Some(&mut request));
        within_deadline(answer).await.map(drop)
    }

    /// Deletes an entry; one that is not there is no failure.
    ///
    /// # Errors
    /// It could not be asked, or refused.
    pub async fn deregister(&self, id: &str) -> Result<(), Error> {
        // Ids go into the path as they are; ours have nothing that would need escaping, and others' are not ours.
        if !id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-') {
            return Err(Error::Id(id.to_owned()));
        }
        match within_deadline(consulrs::service::deregister(&self.client, id, None)).await {
            // Newer versions of Consul answer 404 where there is no such entry.
            Err(Error::Refused(error)) if says_404(&*error) => Ok(()),
            result => result.map(drop),
        }
    }
}

fn unusable(path: &std::path::Path, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Authority { path: path.to_owned(), source: source.into() }
}

async fn within_deadline<T, E>(answer: impl Future<Output = Result<T, E>>) -> Result<T, Error>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match timeout(DEADLINE, answer).await {
        Ok(result) => result.map_err(|it| Error::Refused(it.into())),
        Err(_) => Err(Error::Late),
    }
}

fn says_404(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |it| it.source()).any(|it| it.to_string().contains("404"))
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
    fn service(self) -> Service {
        Service {
            name: self.service,
            tags: self.tags.unwrap_or_default(),
            address: self.address,
            port: self.port,
            meta: self.meta.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consuls_list_is_decoded_with_its_nulls() {
        let text = r#"{"db": {"ID": "db", "Service": "db", "Tags": null, "Meta": null, "Port": 5432, "Address": "",
            "TaggedAddresses": {"lan_ipv4": {"Address": "10.0.0.1", "Port": 80}}, "Weights": {"Passing": 1}}}"#;
        let mut services: HashMap<String, Listed> = serde_json::from_str(text).unwrap();
        let (meta, tags) = (BTreeMap::new(), vec![]);
        let expect = Service { name: "db".into(), tags, address: String::new(), port: 5432, meta };
        assert_eq!(services.remove("db").map(Listed::service), Some(expect));
    }

    #[test]
    fn a_token_is_not_printed() {
        let config = Config { address: "http://a:8500".into(), token: Some("s3cret".into()), ca_file: None };
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn a_404_is_found_among_the_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot ask")]
        struct Outer(#[source] std::io::Error);
        assert!(says_404(&Outer(std::io::Error::other("answered 404 Not Found"))));
        assert!(!says_404(&Outer(std::io::Error::other("answered 500"))));
    }
}

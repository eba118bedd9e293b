//! One question by HTTP, plain or by TLS, on a connection of its own: what health checks and fetches have in common.
//!
//! Whoever asks says where the question goes, and it goes nowhere else: no proxy is looked for, no name is resolved, and
//! a redirect is an answer.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    WantsVerifier, version,
};

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody can be called so.
    #[error("'{0}' is no name of a server")]
    Name(String),
    /// The two ends did not come to an agreement, or the certificate does not do.
    #[error("no TLS with it")]
    Tls(#[source] io::Error),
    /// The question cannot be written down.
    #[error("it cannot be asked for")]
    Request(#[from] hyper::http::Error),
    /// What came back was no HTTP, or broke off.
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

type Builder<Step> = ConfigBuilder<ClientConfig, Step>;

/// How the other end of a TLS connection is verified. Clones share everything.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// By the CAs of the internet, and these.
    ///
    /// # Errors
    /// A certificate that cannot be used.
    pub(crate) fn verifying(authorities: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for authority in authorities {
            roots.add(authority)?;
        }
        Ok(Self::with(|it| it.with_root_certificates(roots)))
    }

    /// Not at all: it is enough that nobody reads along.
    pub(crate) fn trusting_anybody() -> Self {
        let anybody = Arc::new(Anybody(ring::default_provider()));
        Self::with(|it| it.dangerous().with_custom_certificate_verifier(anybody))
    }

    fn with(verify: impl FnOnce(Builder<WantsVerifier>) -> Builder<WantsClientCert>) -> Self {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .expect("the provider has both");
        let mut config = verify(builder).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(TlsConnector::from(Arc::new(config)))
    }
}

/// What is asked.
pub(crate) struct Question<'a> {
    /// How the server is verified, where it is asked by TLS.
    pub(crate) tls: Option<&'a Tls>,
    /// What the server is called: a name or an address, without brackets.
    pub(crate) host: &'a str,
    /// The same as the request names it, with its port where it is not the scheme's own.
    pub(crate) authority: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
}

/// An answer; its body comes piece by piece. Dropping it ends the connection.
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    body: Incoming,
    _connection: Aborted,
}

impl Answer {
    /// The next piece of the body; nothing at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(frame) = self.body.frame().await.transpose()? else { return Ok(None) };
            // Trailers are passed over.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

/// Asks whoever is at the other end of this connection, by `GET`. Has no deadline of its own.
pub(crate) async fn get(stream: TcpStream, question: &Question<'_>) -> Result<Answer, Error> {
    match question.tls {
        None => get_on(stream, question).await,
        Some(tls) => {
            let name = ServerName::try_from(question.host.to_owned());
            let name = name.map_err(|_| Error::Name(question.host.to_owned()))?;
            get_on(tls.0.connect(name, stream).await.map_err(Error::Tls)?, question).await
        }
    }
}

async fn get_on<S>(stream: S, question: &Question<'_>) -> Result<Answer, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = Aborted(tokio::spawn(connection));
    let request = Request::get(question.target)
        .header(HOST, question.authority)
        .header(USER_AGENT, "ekiden")
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body, _connection: connection })
}

/// A connection that ends with the question, however that ends.
struct Aborted(JoinHandle<Result<(), hyper::Error>>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody(CryptoProvider);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _revocation: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

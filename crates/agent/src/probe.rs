//! What instances are asked: health checks and readiness checks, within their time.

use crate::docker::Docker;
use crate::processes;
use crate::web::{self, Question, Tls};
use api::causes::with_causes;
use cluster::agent::{Answer as Failed, Get, Outcome, Probe};
use cluster::{InstanceId, ReadinessResponse};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

/// So much of an answer to a readiness check is kept, bytes.
const MAX_BODY: usize = 1_000;

/// So much of an answer to a health check that failed is kept, bytes.
const MAX_FAILED_BODY: usize = 1_000;

/// No longer content type is kept, bytes.
const MAX_CONTENT_TYPE: usize = 200;

/// Asks instances. Clones share everything.
#[derive(Clone)]
pub(crate) struct Asker {
    tls: Tls,
}

/// Why there was no answer.
struct Silence {
    /// For people.
    why: String,
    /// Nobody listens there.
    refused: bool,
}

impl From<String> for Silence {
    fn from(why: String) -> Self {
        Self { why, refused: false }
    }
}

impl From<Silence> for Outcome {
    fn from(it: Silence) -> Self {
        if it.refused { Self::Refused(it.why) } else { Self::Failure(it.why) }
    }
}

/// An HTTP answer, as far as it is of interest.
struct Answer {
    status: StatusCode,
    content_type: String,
    body: Vec<u8>,
}

impl Asker {
    /// One that can be used for all instances.
    pub(crate) fn new() -> Self {
        // An instance's certificate names a service, not the address that is asked; Marathon does not verify either.
        Self { tls: Tls::trusting_anybody() }
    }

    /// Asks whether an instance is healthy; ends within `deadline`, and a little later where Docker is asked.
    pub(crate) async fn probe(
        &self,
        docker: &Docker,
        instance: InstanceId,
        probe: &Probe,
        deadline: Duration,
    ) -> Outcome {
        match probe {
            Probe::Http { get, ignore_1xx, host_network } => {
                let Answer { status, body, .. } = match self.get(get, MAX_FAILED_BODY, is_failure, deadline).await {
                    Ok(answer) => answer,
                    Err(silence) => return silence.into(),
                };
                if !is_failure(status) {
                    return Outcome::Success;
                }
                if status.is_informational() && *ignore_1xx {
                    return Outcome::Ignored;
                }
                let is_shown = !body.is_empty() && (!host_network || is_its_own(docker, instance, get).await);
                let body = if is_shown { String::from_utf8_lossy(&body).into_owned() } else { String::new() };
                Outcome::Answered(Failed { status: status.as_u16(), cause: format!("answered {status}"), body })
            }
            Probe::Tcp { host, port } => match timeout(deadline, TcpStream::connect((host.as_str(), *port))).await {
                Ok(Ok(_)) => Outcome::Success,
                Ok(Err(error)) => {
                    let why = format!("cannot connect to {host}:{port}: {error}");
                    Silence { why, refused: is_refusal(&error) }.into()
                }
                Err(_) => Outcome::Failure(late(deadline)),
            },
            Probe::Command { container, command } => docker.run_inside(instance, container, command, deadline).await,
        }
    }

    /// Asks whether an instance is ready. `sharer` is one that shares the node's network: what answers at its port may
    /// be any program of the node, and only an answer of the instance's own is shown, so that no app can read by its
    /// readiness check what the node's services say (SEC-10).
    pub(crate) async fn ready(
        &self,
        get: &Get,
        deadline: Duration,
        sharer: Option<(&Docker, InstanceId)>,
    ) -> Result<ReadinessResponse, String> {
        let Answer { status, content_type, body } =
            self.get(get, MAX_BODY, |_| true, deadline).await.map_err(|it| it.why)?;
        let status = status.as_u16();
        if let Some((docker, instance)) = sharer
            && !is_its_own(docker, instance, get).await
        {
            let body = "(not shown: it is not known to be the instance that answers at this port of the node)";
            return Ok(ReadinessResponse { status, content_type: "text/plain".to_owned(), body: body.to_owned() });
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(ReadinessResponse { status, content_type, body })
    }

    /// `GET path`, and at most so much of the body, as far as it comes in time; none of it is waited for where the status
    /// wants none. Redirects are not followed: a check asks the instance and nobody else (SEC-10).
    async fn get(
        &self,
        get: &Get,
        max_body: usize,
        wants_body: impl Fn(StatusCode) -> bool,
        deadline: Duration,
    ) -> Result<Answer, Silence> {
        let until = Instant::now() + deadline;
        let asked = timeout_at(until, self.ask(get)).await;
        let mut answer = asked.unwrap_or_else(|_| Err(late(deadline).into()))?;
        let mut body = Vec::new();
        while wants_body(answer.status)
            && body.len() < max_body
            && let Ok(Ok(Some(chunk))) = timeout_at(until, answer.chunk()).await
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(max_body);
        Ok(Answer { status: answer.status, content_type: content_type(&answer.headers), body })
    }

    async fn ask(&self, get: &Get) -> Result<web::Answer, Silence> {
        let Get { host, port, path, .. } = get;
        let authority = authority(get);
        let stream = TcpStream::connect((host.as_str(), *port)).await;
        let stream = stream
            .map_err(|it| Silence { refused: is_refusal(&it), why: format!("cannot connect to {authority}: {it}") })?;
        let tls = get.tls.then_some(&self.tls);
        let answer = web::get(stream, &Question { tls, host, authority: &authority, target: path }).await;
        let scheme = if get.tls { "https" } else { "http" };
        answer.map_err(|it| format!("GET {scheme}://{authority}{path}: {}", with_causes(&it)).into())
    }
}

/// Whether this is no success of a health check.
fn is_failure(status: StatusCode) -> bool {
    !(status.is_success() || status.is_redirection())
}

/// Whether nobody listens there.
fn is_refusal(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionRefused
}

/// Whether it is the instance, and nobody else of the node, who listens where it was asked.
async fn is_its_own(docker: &Docker, instance: InstanceId, get: &Get) -> bool {
    let (Ok(pids), Ok(addresses)) = (docker.pids(instance).await, lookup_host((get.host.as_str(), get.port)).await)
    else {
        return false;
    };
    let addresses: Vec<_> = addresses.collect();
    let looked = tokio::task::spawn_blocking(move || {
        !addresses.is_empty() && addresses.into_iter().all(|it| processes::listens(it, &pids))
    });
    looked.await.unwrap_or(false)
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).map(|it| text(it.as_bytes())).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_CONTENT_TYPE)]).into_owned()
}

/// `host:port`, an IPv6 address in brackets.
fn authority(get: &Get) -> String {
    if get.host.contains(':') { format!("[{}]:{}", get.host, get.port) } else { format!("{}:{}", get.host, get.port) }
}

fn late(deadline: Duration) -> String {
    format!("no answer within {} ms", deadline.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that gives every connection this answer; tells how often it was asked.
    async fn server(answer: &'static str) -> (Get, tokio::sync::watch::Receiver<u32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, count) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                asked.send_modify(|it| *it += 1);
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (Get { host: "127.0.0.1".into(), port, path: "/ready".into(), tls: false }, count)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn an_answer_has_status_type_and_the_first_of_its_body() {
        let long: &'static str =
            format!("HTTP/1.1 503 Busy\r\ncontent-type: text/x\r\ncontent-length: 5000\r\n\r\n{}", "x".repeat(5000))
                .leak();
        let (get, _) = server(long).await;
        let answer = Asker::new().ready(&get, SECOND, None).await.unwrap();
        assert_eq!((answer.status, answer.content_type.as_str(), answer.body.len()), (503, "text/x", 1_000));
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_takes_the_status_away_from_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let get = Get { host: "127.0.0.1".into(), port, path: "/".into(), tls: false };
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = b"HTTP/1.1 503 Busy\r\ncontent-length: 5000\r\n\r\nno database";
            stream.write_all(answer).await.unwrap();
            std::future::pending::<()>().await;
        });
        let answer = Asker::new().get(&get, 1_000, is_failure, Duration::from_millis(200)).await.ok().unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (503, &b"no database"[..]));
    }

    #[tokio::test]
    async fn where_nobody_listens_is_told_from_where_nothing_is_said() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let asker = Asker::new();
        let get = |tls| Get { host: "127.0.0.1".into(), port, path: "/".into(), tls };
        for tls in [false, true] {
            let silence = asker.get(&get(tls), 0, |_| false, SECOND).await.err().unwrap();
            assert!(silence.refused, "tls: {tls}: {}", silence.why);
        }
        let (mute, _) = server("").await;
        let silence = asker.get(&mute, 0, |_| false, Duration::from_millis(100)).await.err().unwrap();
        assert!(!silence.refused, "{}", silence.why);
    }

    #[tokio::test]
    async fn redirects_are_an_answer_and_are_not_followed() {
        let (target, asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let redirect: &'static str =
            format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n", target.port)
                .leak();
        let (get, _) = server(redirect).await;
        assert_eq!(Asker::new().ready(&get, SECOND, None).await.unwrap().status, 302);
        assert_eq!(*asked.borrow(), 0);
    }

    #[tokio::test]
    async fn a_server_without_tls_is_no_answer_to_a_question_by_tls() {
        let (get, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let answer = Asker::new().ready(&Get { tls: true, ..get.clone() }, SECOND, None).await;
        let message = answer.unwrap_err();
        assert!(message.starts_with(&format!("GET https://127.0.0.1:{}/ready: ", get.port)), "{message}");
    }

    /// A server with a certificate that nobody signed for this address.
    struct TlsServer(std::process::Child, u16);

    impl TlsServer {
        fn new(dir: &std::path::Path) -> Option<Self> {
            let openssl = |args: &str| {
                let mut command = std::process::Command::new("openssl");
                command.args(args.split(' ')).current_dir(dir);
                command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
                command.stderr(std::process::Stdio::null());
                command
            };
            let made = "req -x509 -newkey rsa:2048 -nodes -subj /CN=elsewhere.example -keyout key -out cert -days 1";
            openssl(made).status().ok().filter(std::process::ExitStatus::success)?;
            let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
            std::fs::write(dir.join("ready"), "fine").ok()?;
            let server = format!("s_server -accept 127.0.0.1:{port} -key key -cert cert -WWW");
            Some(Self(openssl(&server).spawn().ok()?, port))
        }
    }

    impl Drop for TlsServer {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[tokio::test]
    async fn a_certificate_need_not_be_of_the_address_that_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let Some(server) = TlsServer::new(dir.path()) else {
            eprintln!("skipped: no openssl");
            return;
        };
        let get = Get { host: "127.0.0.1".into(), port: server.1, path: "/ready".into(), tls: true };
        let asker = Asker::new();
        let mut answer = asker.ready(&get, SECOND, None).await;
        for _ in 0..100 {
            if answer.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = asker.ready(&get, SECOND, None).await;
        }
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "fine"));
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let get = Get { host: "fd00::2".into(), port: 80, path: "/".into(), tls: false };
        assert_eq!(authority(&get), "[fd00::2]:80");
    }
}

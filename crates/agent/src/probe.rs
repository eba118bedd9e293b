//! Health check probes: what an instance answers, within its time.

use crate::docker::Docker;
use cluster::InstanceId;
use cluster::agent::{Outcome, Probe};
use http_body_util::Empty;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Asks an instance; ends within `deadline`, and a little later where Docker is asked.
pub(crate) async fn ask(docker: &Docker, instance: InstanceId, probe: &Probe, deadline: Duration) -> Outcome {
    let late = || Outcome::Failure(format!("no answer within {} ms", deadline.as_millis()));
    match probe {
        Probe::Http { host, port, path, ignore_1xx } => {
            timeout(deadline, http(host, *port, path, *ignore_1xx)).await.unwrap_or_else(|_| late())
        }
        Probe::Tcp { host, port } => match timeout(deadline, TcpStream::connect((host.as_str(), *port))).await {
            Ok(Ok(_)) => Outcome::Success,
            Ok(Err(error)) => Outcome::Failure(format!("cannot connect to {host}:{port}: {error}")),
            Err(_) => late(),
        },
        Probe::Command { command } => docker.run_inside(instance, command, deadline).await,
    }
}

async fn http(host: &str, port: u16, path: &str, ignore_1xx: bool) -> Outcome {
    match get(host, port, path).await {
        Ok(status) if status.is_success() || status.is_redirection() => Outcome::Success,
        Ok(status) if status.is_informational() && ignore_1xx => Outcome::Ignored,
        Ok(status) => Outcome::Failure(format!("answered {status}")),
        Err(error) => Outcome::Failure(error),
    }
}

/// The status of `GET path`; the body is not waited for. Redirects are not followed: a check asks the instance and
/// nobody else (SEC-10).
async fn get(host: &str, port: u16, path: &str) -> Result<StatusCode, String> {
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|it| format!("cannot connect to {host}:{port}: {it}"))?;
    let broken = |it: hyper::Error| format!("GET http://{host}:{port}{path}: {it}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, format!("{host}:{port}"))
        .header(USER_AGENT, "ekiden")
        .header(CONNECTION, "close")
        .body(Empty::<hyper::body::Bytes>::new());
    let request = request.map_err(|it| format!("cannot ask for {path}: {it}"))?;
    let answer = sender.send_request(request).await.map_err(broken);
    let status = answer.map(|it| it.status());
    connection.abort();
    status
}

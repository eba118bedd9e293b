//! What the routes do, one file per resource. A handler reads the request, asks the control plane, prints the answer.

pub(crate) mod about;
pub(crate) mod apps;
pub(crate) mod cluster;
pub(crate) mod deployments;
pub(crate) mod events;
pub(crate) mod groups;
pub(crate) mod logging;
pub(crate) mod logs;
pub(crate) mod pods;
pub(crate) mod queue;
pub(crate) mod selector;
pub(crate) mod subscriptions;
pub(crate) mod tasks;
pub(crate) mod updates;
pub(crate) mod versions;

use crate::error::{Error, json};
use crate::from_wire::Warning;
use crate::request::Request;
use crate::{time, v2};
use ::cluster::{AppId, Applied, ClusterId, DeploymentId, SharedService, State, Version};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use std::fmt::Write;

/// Prints an answer; the form in which handlers return it.
#[expect(clippy::unnecessary_wraps, reason = "handlers end in it")]
pub(crate) fn ok(body: &impl serde::Serialize) -> Result<Response, Error> {
    Ok(json(StatusCode::OK, body))
}

/// Prints the answer of a change: its version, and the deployment that carries it out.
pub(crate) fn deployment_result(status: StatusCode, applied: &Applied) -> Response {
    let body = v2::DeploymentResult {
        deployment_id: deployment_of(applied).to_string(),
        version: time::print(applied.version.unwrap_or_default()),
    };
    let mut response = json(status, &body);
    add_deployment(&mut response, &body.deployment_id);
    response
}

/// The deployment of a change; one that changed nothing has a name too: clients insist.
pub(crate) fn deployment_of(applied: &Applied) -> DeploymentId {
    applied.deployment.unwrap_or_else(|| DeploymentId::derive(ClusterId(0), applied.index, 0))
}

pub(crate) fn add_deployment(response: &mut Response, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert("marathon-deployment-id", id);
    }
}

/// Says where a new app is found, as the client would address it.
pub(crate) fn add_location(response: &mut Response, request: &Request, app: &AppId) {
    add_location_of(response, request, &format!("/v2/apps{app}"));
}

/// Says where something new is found, as the client would address it.
pub(crate) fn add_location_of(response: &mut Response, request: &Request, path: &str) {
    let host = request.headers.get(header::HOST).and_then(|it| it.to_str().ok());
    let base = host.map_or_else(String::new, |it| format!("http://{it}"));
    if let Ok(location) = HeaderValue::from_str(&format!("{base}{path}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

/// These warnings, and one for each service in Consul that two apps have now.
pub(crate) fn with_shared_services(mut warnings: Vec<Warning>, applied: &Applied) -> Vec<Warning> {
    for SharedService { app, service, other } in &applied.shared_services {
        tracing::warn!(%app, service, %other, "two apps are found under one name in Consul");
        let message = format!("is found in Consul as '{service}', as app '{other}' is");
        warnings.push(Warning { path: app.to_string(), message, is_void: false });
    }
    warnings
}

/// Names in a header what had no effect, or is not as it may have been meant.
pub(crate) fn add_warnings(response: &mut Response, warnings: &[Warning]) {
    /// Clients and proxies take headers of some KiB.
    const BYTES_MAX: usize = 2048;
    let mut text = String::new();
    for (n, it) in warnings.iter().enumerate() {
        if text.len() + it.path.len() + it.message.len() > BYTES_MAX {
            let _ = write!(text, "; and {} more", warnings.len() - n);
            break;
        }
        let separator = if n == 0 { "" } else { "; " };
        let _ = write!(text, "{separator}{}: {}", printable(&it.path), printable(&it.message));
    }
    if let (false, Ok(text)) = (text.is_empty(), HeaderValue::from_str(&text)) {
        response.headers_mut().insert("x-ekiden-warnings", text);
    }
}

/// A text as headers may carry it: what is no visible ASCII is escaped.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for it in text.chars() {
        if it.is_ascii_graphic() || it == ' ' {
            printable.push(it);
        } else {
            printable.extend(it.escape_default());
        }
    }
    printable
}

/// Reads a version's name.
pub(crate) fn parse_version(text: &str) -> Result<Version, Error> {
    time::parse(text).ok_or_else(|| {
        Error::Argument(format!("Invalid timestamp provided '{text}'. Expecting ISO-8601 datetime string."))
    })
}

/// The app that users see under this id; a pod is none.
pub(crate) fn app_of<'a>(state: &'a State, id: &AppId) -> Result<&'a ::cluster::App, Error> {
    state.live_app(id).map(AsRef::as_ref).filter(|it| apps::is_seen(it)).ok_or_else(|| Error::no_app(id))
}

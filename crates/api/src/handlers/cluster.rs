//! The cluster itself: nodes, leader, info, and what monitoring asks.

use super::ok;
use crate::context::Api;
use crate::control::{ControlPlane, Freshness};
use crate::error::{Error, json};
use crate::request::Request;
use crate::{metrics, proxy, to_wire, v2, v3};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use cluster::{Command, NodeId, Settings};
use http::{HeaderValue, StatusCode, header};
use prometheus::proto::MetricFamily;

/// The Marathon whose API this is: clients compare it.
const MARATHON_VERSION: &str = "1.11.24";
/// How many versions of an app are kept.
const VERSIONS_KEPT: u32 = 50;

/// `GET /ping`
pub(crate) fn ping(request: &Request) -> Response {
    let (kind, text) = if request.accepts("text/plain") {
        ("text/plain", "pong")
    } else if request.accepts("text/html") {
        ("text/html", "pong")
    } else if request.accepts("application/json") {
        ("application/json", "\"pong\"")
    } else {
        return StatusCode::NO_CONTENT.into_response();
    };
    typed(kind, text.to_owned())
}

/// `GET /metrics`: the registry's, and gauges of this member's state. In Marathon's JSON, but for clients that ask for
/// text, as Prometheus does.
pub(crate) async fn metrics<C: ControlPlane>(api: &Api<C>, request: &Request) -> Response {
    let wants_text = request.named(&["text/plain", "text/*", "application/openmetrics-text"]);
    let families = gathered(api).await;
    if wants_text > request.named(&["application/json"]) {
        text(&families)
    } else {
        json(StatusCode::OK, &metrics::to_json(&families))
    }
}

/// `GET /metrics/prometheus`: the same, always as text.
pub(crate) async fn metrics_as_text<C: ControlPlane>(api: &Api<C>) -> Response {
    text(&gathered(api).await)
}

async fn gathered<C: ControlPlane>(api: &Api<C>) -> Vec<MetricFamily> {
    let mut families = api.metrics.gather();
    if let Ok(state) = api.control.view(Freshness::Local).await {
        families.extend(metrics::of_state(&state));
    }
    families
}

fn text(families: &[MetricFamily]) -> Response {
    typed("text/plain; version=0.0.4", metrics::print(families))
}

fn typed(kind: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// `GET /v2/info`
pub(crate) async fn info<C: ControlPlane>(api: &Api<C>) -> Response {
    let leadership = api.control.leadership();
    let state = api.control.view(Freshness::Local).await.ok();
    let cluster = state.as_ref().map(|it| it.cluster().to_string());
    let service_ports = state.map_or_else(Settings::default, |it| it.settings().clone()).service_ports;
    let (host, port) = leadership.this_http.rsplit_once(':').unwrap_or((&leadership.this_http, ""));
    let info = v2::Info {
        name: "marathon".to_owned(),
        version: MARATHON_VERSION.to_owned(),
        buildref: format!("ekiden {}", api.config.version),
        elected: leadership.leader_http.is_some(),
        leader: leadership.leader_http.clone(),
        framework_id: cluster,
        marathon_config: v2::MarathonConfig {
            framework_name: "ekiden".to_owned(),
            ha: api.config.n_members > 1,
            checkpoint: true,
            hostname: host.to_owned(),
            local_port_min: service_ports.first,
            // As Marathon's, it is the first that is not chosen any more.
            local_port_max: service_ports.last.saturating_add(1),
            mesos_role: "*".to_owned(),
            mesos_bridge_name: "bridge".to_owned(),
            leader_proxy_connection_timeout_ms: proxy::CONNECT_TIMEOUT.as_millis() as u64,
            leader_proxy_read_timeout_ms: proxy::ANSWER_TIMEOUT.as_millis() as u64,
            webui_url: leadership.leader_http.as_ref().map(|it| format!("http://{it}/ui/")),
            ..v2::MarathonConfig::default()
        },
        zookeeper_config: v2::ZooKeeperConfig { zk_max_versions: VERSIONS_KEPT, ..v2::ZooKeeperConfig::default() },
        http_config: v2::HttpConfig { http_port: port.parse().unwrap_or(0), https_port: 0 },
    };
    json(StatusCode::OK, &info)
}

/// `GET /v2/leader`
pub(crate) fn leader<C: ControlPlane>(api: &Api<C>) -> Result<Response, Error> {
    match api.control.leadership().leader_http {
        Some(leader) => ok(&v2::LeaderInfo { leader }),
        None => Err(Error::NotFound("There is no leader".to_owned())),
    }
}

/// `DELETE /v2/leader?backup=&restore=`: another member leads from now on. There is nothing to back up into or to
/// restore from; the parameters are checked as Marathon does, and have no effect.
pub(crate) async fn abdicate<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    for name in ["backup", "restore"] {
        if let Some(uri) = request.query.first(name).filter(|it| !is_uri(it)) {
            let uri = uri.escape_debug();
            return Err(Error::Argument(format!("parameter '{name}' must be a URI, it is '{uri}'")));
        }
    }
    api.control.abdicate().await?;
    tracing::info!(by = request.peer, "leadership was given up on request");
    ok(&v2::Message { message: "Leadership abdicated".to_owned() })
}

/// Whether a text names a place: a scheme, a colon, and something behind it.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|it: char| it.is_ascii_alphabetic())
        && scheme.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '+' | '-' | '.'))
        && !rest.is_empty()
        && rest.chars().all(|it| it.is_ascii_graphic())
}

/// `GET /v2/plugins`: there are none, and Marathon's web UI insists on being told.
pub(crate) fn plugins() -> Response {
    json(StatusCode::OK, &v2::PluginList::default())
}

/// `GET /v3/nodes`
pub(crate) async fn nodes<C: ControlPlane>(api: &Api<C>) -> Result<Response, Error> {
    let state = api.state().await?;
    ok(&v3::NodeList { nodes: state.nodes().map(|it| to_wire::node(&state, it, false)).collect() })
}

/// `GET /v3/nodes/{node}`
pub(crate) async fn node<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = NodeId::new(&request.params.name);
    let state = api.state().await?;
    let node = state.node(&id).ok_or_else(|| Error::NotFound(format!("Node '{id}' does not exist")))?;
    ok(&to_wire::node(&state, node, true))
}

/// `DELETE /v3/nodes/{node}`: forgets a lost node and all that was on it.
pub(crate) async fn delete_node<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    api.submit(request, Command::RemoveNode { node: NodeId::new(&request.params.name) }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /v3/orphans`
pub(crate) async fn orphans<C: ControlPlane>(api: &Api<C>) -> Result<Response, Error> {
    let state = api.state().await?;
    ok(&v3::OrphanList { orphans: state.nodes().flat_map(|it| to_wire::orphans(it)).collect() })
}

/// `DELETE /v3/orphans/{orphan}`: has a container that no assignment covers ended and removed.
pub(crate) async fn delete_orphan<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let name = &request.params.name;
    let instance =
        name.parse().map_err(|_| Error::NotFound(format!("There is no orphan '{}'", name.escape_debug())))?;
    api.submit(request, Command::RemoveOrphans { instances: vec![instance] }).await?;
    tracing::info!(orphan = %instance, by = request.peer, "an orphan is to be removed");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET /v3/apps/{id}/explain`: pods are explained as well.
pub(crate) async fn explain<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let state = api.state().await?;
    let app = state.live_app(&id).ok_or_else(|| Error::no_app(&id))?;
    ok(&to_wire::explanation(&state, app, (api.control.now(), api.control.moment())))
}

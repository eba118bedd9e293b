//! What the tests share: an API over a fake control plane, and requests in one line.

use crate::metrics::HttpMetrics;
use crate::testing::Fake;
use crate::{Api, Config};
use axum::Router;
use axum::body::Body;
use cluster::{Command, Principal, Settings};
use http::response::Parts;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// An API and the control plane behind it.
pub(super) struct World {
    pub(super) fake: Fake,
    pub(super) router: Router,
    pub(super) shutdown: CancellationToken,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// The body as JSON; `null` where it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// A header's text; empty where it is absent.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }
}

impl World {
    /// A cluster of two nodes.
    pub(super) fn new() -> Self {
        let fake = Fake::new();
        fake.add_node("n1", 4, 4096);
        fake.add_node("n2", 4, 4096);
        Self::with(fake, Config::default())
    }

    /// A cluster of two nodes whose operator has chosen an image for commands.
    pub(super) fn with_commands() -> Self {
        let world = Self::new();
        let settings = Settings { command_image: "alpine:3".to_owned(), ..world.fake.state().settings().clone() };
        world.fake.apply(Principal::Leader, Command::Configure { settings }).unwrap();
        world
    }

    /// An API of this configuration over this control plane.
    pub(super) fn with(fake: Fake, config: Config) -> Self {
        let shutdown = CancellationToken::new();
        let metrics = HttpMetrics::register(&Registry::new()).unwrap();
        let router = Api::new(fake.clone(), config, metrics, shutdown.clone()).router();
        Self { fake, router, shutdown }
    }

    /// Sends a request such as `GET /v2/apps`, with a JSON body or none.
    pub(super) async fn ask(&self, line: &str, body: impl Into<Value>) -> Answer {
        let body = body.into();
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send(line, &[("content-type", "application/json")], text).await
    }

    /// Sends a request without a body, and reads the answer's bytes.
    pub(super) async fn bytes(&self, line: &str, headers: &[(&str, &str)]) -> (HeaderMap, Vec<u8>) {
        let (parts, body) = self.exchange(line, headers, Body::empty()).await;
        (parts.headers, body)
    }

    /// Sends a request without a body, and looks at the answer's head.
    pub(super) async fn head(&self, line: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap) {
        let response = self.router.clone().oneshot(request(line, headers, Body::empty())).await.unwrap();
        (response.status().as_u16(), response.headers().clone())
    }

    /// Sends a request with these headers.
    pub(super) async fn send(&self, line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let (parts, body) = self.exchange(line, headers, body.into()).await;
        let text = String::from_utf8(body).unwrap();
        super::raml::check_answer(line, parts.status.as_u16(), &text);
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    async fn exchange(&self, line: &str, headers: &[(&str, &str)], body: Body) -> (Parts, Vec<u8>) {
        let response = self.router.clone().oneshot(request(line, headers, body)).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts, body.collect().await.unwrap().to_bytes().to_vec())
    }

    /// Posts an app, and lets the cluster come to rest.
    pub(super) async fn run(&self, app: Value) {
        let answer = self.ask("POST /v2/apps", app).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        self.fake.settle();
    }

    /// The ids of an app's tasks, as printed.
    pub(super) async fn tasks(&self, app: &str) -> Vec<String> {
        let answer = self.ask(&format!("GET /v2/apps{app}/tasks"), Value::Null).await.json();
        answer["tasks"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn request(line: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let (method, uri) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(uri).header("host", "ekiden:8080");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

/// A small app on the bridge network, with a check.
pub(super) fn app(id: &str, instances: u32) -> Value {
    json!({
        "id": id,
        "instances": instances,
        "cpus": 0.1,
        "mem": 32,
        "container": {
            "docker": { "image": "nginx:1.25" },
            "portMappings": [{ "containerPort": 80, "name": "web" }],
        },
        "networks": [{ "mode": "container/bridge" }],
        "healthChecks": [{ "path": "/health" }],
    })
}

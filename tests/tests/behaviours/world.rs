//! The harness: the API over a control plane in memory, whose time and agents are moved by hand.

use api::metrics::HttpMetrics;
use api::server::{Limits, serve};
use api::testing::Fake;
use api::{Api, Config};
use axum::Router;
use axum::body::{Body, BodyDataStream};
use cluster::agent::Seen;
use cluster::{
    AppId, AppSpec, Applied, CheckResult, Command, Condition, DeploymentId, End, EndKind, Expect, Goal, Health,
    Instance, InstanceId, NodeDescription, NodeId, Outcome, PersistentVolume, PortRange, Principal, Readiness,
    ReadinessCheck, Rejected, Resources, State, Unreachable, UpgradeStrategy, Volume, VolumeMode,
};
use futures::StreamExt;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use prometheus::Registry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// An API, the control plane behind it, and the thread that both run on.
pub(crate) struct World {
    pub(crate) fake: Fake,
    router: Router,
    runtime: Runtime,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Answer {
    /// A header's text; empty where it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    /// What is said of one place of a refused definition; empty where nothing is.
    pub(crate) fn errors(&self, path: &str) -> String {
        let details = self.json["details"].as_array().cloned().unwrap_or_default();
        let errors = details.iter().filter(|it| it["path"] == path).map(|it| it["errors"].to_string());
        errors.collect()
    }
}

/// The router of an API over this control plane.
pub(crate) fn router(fake: &Fake) -> Router {
    let metrics = HttpMetrics::register(&Registry::new()).unwrap();
    Api::new(fake.clone(), Config::default(), metrics, CancellationToken::new()).router()
}

impl World {
    /// A cluster of two nodes, `n1` and `n2`, of four cores and 4 GiB each.
    pub(crate) fn new() -> Self {
        let world = Self::bare();
        for name in ["n1", "n2"] {
            world.add_node(name, &[]);
        }
        world
    }

    /// A cluster without nodes.
    pub(crate) fn bare() -> Self {
        let fake = Fake::new();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { router: router(&fake), fake, runtime }
    }

    /// A node comes, or comes back.
    pub(crate) fn add_node(&self, name: &str, attributes: &[(&str, &str)]) {
        let node = NodeDescription {
            id: NodeId::new(name),
            agent: name.bytes().fold(7, |sum, it| (sum * 31 + u64::from(it)) % 0xffff_fffb),
            address: format!("{name}.example"),
            capacity: Resources { cpu_milli: 4_000, memory_bytes: 4_096 << 20, disk_bytes: 100 << 30 },
            ports: PortRange::default(),
            attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            versions: BTreeMap::new(),
            grants: cluster::Grants::default(),
        };
        let _ = self.fake.apply(Principal::Agent(NodeId::new(name)), Command::Register { node });
        self.plan();
    }

    /// A node's agent is not heard of any more.
    pub(crate) fn lose(&self, node: &str) {
        self.fake.apply(Principal::Leader, Command::Lose { node: NodeId::new(node) }).unwrap();
        self.plan();
    }

    pub(crate) fn state(&self) -> State {
        self.fake.state()
    }

    /// Sends a request such as `GET /v2/apps`, with a JSON body or none.
    pub(crate) fn ask(&self, line: &str, body: impl Into<Value>) -> Answer {
        let body = body.into();
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send(line, &[("content-type", "application/json")], &text)
    }

    /// Sends a request with these headers.
    pub(crate) fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, uri) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(uri).header("host", "ekiden:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let json = serde_json::from_str(&text).unwrap_or(Value::Null);
            Answer { status: parts.status.as_u16(), headers: parts.headers, text, json }
        })
    }

    /// What there is under a path.
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.ask(&format!("GET {path}"), Value::Null);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json
    }

    /// A change that is accepted; the leader plans, agents do nothing yet. Returns the deployment's id.
    pub(crate) fn change(&self, line: &str, body: impl Into<Value>) -> String {
        let answer = self.ask(line, body);
        assert!((200..300).contains(&answer.status), "{line}: {} {}", answer.status, answer.text);
        self.plan();
        answer.header("marathon-deployment-id").to_owned()
    }

    /// A change that is accepted and carried out.
    pub(crate) fn done(&self, line: &str, body: impl Into<Value>) -> String {
        let id = self.change(line, body);
        self.settle();
        id
    }

    /// Creates an app and lets it come up.
    pub(crate) fn run(&self, app: impl Into<Value>) {
        self.done("POST /v2/apps", app);
        assert!(!self.is_deploying(), "it is up");
    }

    /// A user's command, and all that the leader does about it.
    pub(crate) fn command(&self, command: Command) -> Result<Applied, Rejected> {
        let applied = self.fake.apply(Principal::User { address: "10.0.0.1".to_owned() }, command);
        self.plan();
        applied
    }

    /// Puts an app.
    pub(crate) fn put(&self, spec: AppSpec) -> Result<DeploymentId, Rejected> {
        let applied = self.command(Command::PutApps { apps: vec![(spec, Expect::Any)], force: false });
        applied.map(|it| it.deployment.unwrap())
    }

    /// Puts an app and lets it come up.
    pub(crate) fn run_spec(&self, spec: AppSpec) {
        self.put(spec).unwrap();
        self.settle();
    }

    /// The leader plans until nothing is left to do.
    pub(crate) fn plan(&self) {
        self.fake.plan();
    }

    /// Time goes by, and the leader plans.
    pub(crate) fn pass(&self, seconds: u64) {
        self.fake.pass_ms(seconds * 1000);
        self.plan();
    }

    /// Another member takes over, with nothing but what is replicated.
    pub(crate) fn fail_over(&self) {
        let bytes = rmp_serde::to_vec_named(&self.state()).unwrap();
        let state: State = rmp_serde::from_slice(&bytes).unwrap();
        self.fake.restore(state.indexed());
        self.plan();
    }

    /// The agents of all nodes that are not lost do once what they are told; what starts has this health. Returns
    /// whether there was anything to do.
    pub(crate) fn obey(&self, health: Health) -> bool {
        let state = self.state();
        let mut busy = false;
        for instance in state.instances().filter(|it| !state.is_unreachable(it)) {
            match (instance.goal, &instance.condition) {
                (Goal::Stop(_), _) | (_, Condition::Ended(_)) => self.see(instance.id, Seen::Removed),
                (Goal::Run, Condition::Staging) => self.running(instance.id, health),
                (Goal::Run, Condition::Running) => continue,
            }
            busy = true;
        }
        for node in state.nodes().filter(|it| !it.is_lost()) {
            let destroyed: Vec<InstanceId> = state.doomed_on(node).collect();
            if !destroyed.is_empty() {
                let node = node.id().clone();
                let report = Command::Report { node: node.clone(), observations: Vec::new(), destroyed };
                self.fake.apply(Principal::Agent(node), report).unwrap();
                busy = true;
            }
        }
        self.plan();
        busy
    }

    /// All agents do healthily what they are told, until the cluster is at rest.
    pub(crate) fn settle(&self) {
        self.plan();
        for _ in 0..1_000 {
            if !self.obey(Health::Healthy) {
                return;
            }
        }
        panic!("the cluster never comes to rest");
    }

    /// An agent reports what it saw of an instance.
    pub(crate) fn see(&self, instance: InstanceId, seen: Seen) {
        let instance = Arc::clone(self.state().instance(instance).unwrap());
        self.fake.report(&instance, seen);
        self.plan();
    }

    /// An instance runs, with this health where it has health checks.
    pub(crate) fn running(&self, id: InstanceId, health: Health) {
        self.see_running(id, health, Readiness::default());
    }

    /// An instance runs, and its readiness check has passed.
    pub(crate) fn ready(&self, id: InstanceId, health: Health) {
        self.see_running(id, health, Readiness { ready: true, response: None });
    }

    fn see_running(&self, id: InstanceId, health: Health, readiness: Readiness) {
        let state = self.state();
        let spec = state.spec_of(state.instance(id).unwrap()).unwrap();
        let n_checks = spec.policy.health_checks.len();
        let (alive, at) = (health == Health::Healthy, Some(state.time()));
        let result = CheckResult {
            alive,
            consecutive_failures: u32::from(!alive),
            forgiven: false,
            first_success: at.filter(|_| alive),
            last_success: at.filter(|_| alive),
            last_failure: at.filter(|_| !alive),
            last_failure_cause: (!alive).then(|| "503 Service Unavailable".to_owned()),
        };
        let checks = if health == Health::Unknown { Vec::new() } else { vec![result; n_checks] };
        let health = if n_checks == 0 { Health::Unknown } else { health };
        self.see(id, Seen::Running { ip: Some("172.17.0.2".to_owned()), health, checks, readiness });
    }

    /// An instance ends by itself.
    pub(crate) fn end(&self, id: InstanceId, kind: EndKind) {
        let code = i64::from(kind != EndKind::Finished);
        self.see(id, Seen::Ended(End { kind, exit_code: Some(code), message: format!("exit code {code}") }));
    }

    /// An instance fails, and its container is removed.
    pub(crate) fn crash(&self, id: InstanceId) {
        self.end(id, EndKind::Failed);
        self.see(id, Seen::Removed);
    }

    /// An app's instances that shall run and have not ended, oldest first.
    pub(crate) fn instances(&self, app: &str) -> Vec<Arc<Instance>> {
        let state = self.state();
        let Some(app) = state.app(&id(app)) else { return Vec::new() };
        state.instances_of(app).filter(|it| it.is_wanted()).cloned().collect()
    }

    /// Their ids.
    pub(crate) fn wanted(&self, app: &str) -> Vec<InstanceId> {
        self.instances(app).iter().map(|it| it.id).collect()
    }

    /// How many instances of an app there are, by version and condition: `2 new healthy, 1 old stopping`.
    pub(crate) fn picture(&self, app: &str) -> String {
        let state = self.state();
        let Some(app) = state.app(&id(app)) else { return "gone".to_owned() };
        let mut groups: BTreeMap<String, u32> = BTreeMap::new();
        for it in state.instances_of(app) {
            let age = if app.is_current(it) { "new" } else { "old" };
            let condition = match (&it.goal, &it.condition) {
                (Goal::Stop(_), _) => "stopping",
                (_, Condition::Staging) => "staging",
                (_, Condition::Running) if it.health == Health::Healthy => "healthy",
                (_, Condition::Running) => "running",
                (_, Condition::Ended(_)) => "ended",
            };
            *groups.entry(format!("{age} {condition}")).or_default() += 1;
        }
        let groups: Vec<_> = groups.into_iter().map(|(what, n)| format!("{n} {what}")).collect();
        groups.join(", ")
    }

    /// The task ids of an app, as printed.
    pub(crate) fn tasks(&self, app: &str) -> Vec<String> {
        let tasks = self.get(&format!("/v2/apps{app}/tasks"))["tasks"].as_array().cloned().unwrap();
        tasks.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }

    /// An app, as printed.
    pub(crate) fn app(&self, app: &str) -> Value {
        self.get(&format!("/v2/apps{app}"))["app"].clone()
    }

    /// Whether a deployment is under way.
    pub(crate) fn is_deploying(&self) -> bool {
        self.state().n_active_deployments() > 0
    }

    /// How a deployment ended; none while it is under way.
    pub(crate) fn outcome(&self, id: &str) -> Option<Outcome> {
        self.state().deployment(id.parse().unwrap()).unwrap().outcome.clone()
    }

    /// What an app's definition is refused for.
    pub(crate) fn refused(&self, app: impl Into<Value>) -> Answer {
        let answer = self.ask("POST /v2/apps", app);
        assert_eq!(answer.status, 422, "{}", answer.text);
        answer
    }

    /// Creates an app, and returns it as printed in the answer.
    pub(crate) fn created(&self, app: impl Into<Value>) -> Value {
        let answer = self.ask("POST /v2/apps", app);
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json
    }

    /// Serves another member's API on a socket of this machine.
    pub(crate) fn serve(&self, router: Router) -> SocketAddr {
        let metrics = HttpMetrics::register(&Registry::new()).unwrap();
        self.runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(serve(listener, router, Limits::default(), metrics, CancellationToken::new()));
            address
        })
    }

    /// Listens to the events from now on.
    pub(crate) fn listen(&self, query: &str) -> Events<'_> {
        let request = Request::builder().uri(format!("/v2/events{query}")).header("accept", "text/event-stream");
        let request = request.body(Body::empty()).unwrap();
        let response = self.runtime.block_on(self.router.clone().oneshot(request)).unwrap();
        assert_eq!(response.status(), 200);
        Events { runtime: &self.runtime, body: response.into_body().into_data_stream(), text: String::new() }
    }
}

/// A stream of events.
pub(crate) struct Events<'a> {
    runtime: &'a Runtime,
    body: BodyDataStream,
    text: String,
}

impl Events<'_> {
    /// The next event's type and data.
    pub(crate) fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((block, rest)) = self.text.split_once("\r\n\r\n") {
                let field = |name: &str| block.lines().find_map(|it| it.strip_prefix(name)).map(str::to_owned);
                let event = field("event: ").zip(field("data: "));
                self.text = rest.to_owned();
                let Some((name, data)) = event else { continue };
                return (name, serde_json::from_str(&data).unwrap());
            }
            let body = &mut self.body;
            let next = async { tokio::time::timeout(Duration::from_secs(5), body.next()).await };
            let chunk = self.runtime.block_on(next).expect("an event in time");
            self.text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
        }
    }

    /// All events up to the first of this type, that one among them.
    pub(crate) fn until(&mut self, name: &str) -> Vec<(String, Value)> {
        let mut events = vec![self.next()];
        while events.last().is_some_and(|it| it.0 != name) {
            events.push(self.next());
        }
        events
    }
}

pub(crate) fn id(text: &str) -> AppId {
    AppId::parse(text).unwrap()
}

/// A small app on the bridge network, with a health check.
pub(crate) fn app(id: &str, instances: u32) -> Value {
    let container = json!({
        "docker": { "image": "web:1" },
        "portMappings": [{ "containerPort": 80, "name": "web" }],
    });
    json!({
        "id": id, "instances": instances, "cpus": 0.1, "mem": 32, "container": container,
        "networks": [{ "mode": "container/bridge" }], "healthChecks": [{ "path": "/health" }],
    })
}

/// A small app on the host network, without a health check.
pub(crate) fn plain(id: &str, instances: u32) -> Value {
    let container = json!({ "docker": { "image": "busybox:1" } });
    json!({ "id": id, "instances": instances, "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "container": container })
}

/// The same app with other fields.
pub(crate) fn with(mut app: Value, fields: impl Into<Value>) -> Value {
    if let Value::Object(fields) = fields.into() {
        app.as_object_mut().unwrap().extend(fields);
    }
    app
}

/// An app as the cluster takes it.
pub(crate) fn spec(app: &Value) -> AppSpec {
    let fields = app.as_object().unwrap();
    api::from_wire::app(&id(app["id"].as_str().unwrap()), fields, &cluster::Settings::default()).unwrap().0
}

/// The same app, whose new instances are asked whether they are ready.
pub(crate) fn asking_readiness(mut spec: AppSpec) -> AppSpec {
    let port_name = spec.run.ports[0].name.clone().unwrap();
    spec.policy.readiness_checks = vec![ReadinessCheck {
        name: "ready".to_owned(),
        tls: false,
        path: "/ready".to_owned(),
        port_name,
        interval_ms: 1_000,
        timeout_ms: 500,
        codes: vec![200],
        keep_response: true,
    }];
    spec
}

/// The same app, whose instances keep 10 MiB of data each.
pub(crate) fn resident(mut spec: AppSpec) -> AppSpec {
    let container_path = "data".to_owned();
    let volume = PersistentVolume { container_path, size_mib: 10, mode: VolumeMode::Rw };
    spec.run.volumes = vec![Volume::Persistent(volume)];
    spec.policy.unreachable = Unreachable::Disabled;
    spec.policy.upgrade = UpgradeStrategy { min_health_ppm: 500_000, max_over_ppm: 0 };
    spec
}

/// A condition of the whole answer: this status and message.
pub(crate) fn says(answer: &Answer, status: u16, message: &str) {
    assert_eq!((answer.status, &answer.json["message"]), (status, &json!(message)), "{}", answer.text);
}

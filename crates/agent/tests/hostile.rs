//! The agent on an engine made up here, which lies, stumbles and forgets.

mod common;

use cluster::EndKind;
use cluster::agent::Seen;
use common::{Running, Scheduler, app, wait_for};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;

/// What the engine has and does.
#[derive(Default)]
struct Engine {
    containers: BTreeMap<String, (&'static str, Value)>,
    images: BTreeSet<String>,
    /// Every call, `GET /info`.
    calls: Vec<String>,
    /// The credentials of each pull, as they came.
    credentials: Vec<String>,
    /// What comes first to a call that begins so: its place is taken by the next.
    troubles: Vec<(&'static str, Trouble)>,
}

/// What may go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// It answers so instead of doing anything.
    Says(u16, &'static str),
    /// It answers half of what it should.
    Stammers,
    /// It does what it was asked, and the answer is lost.
    Forgets,
}

impl Engine {
    fn answer(&mut self, method: &Method, path: &str, query: &str, body: &Value) -> (u16, Value) {
        let parts: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
        let missing = || (404, json!({"message": "No such container"}));
        match (method, parts.as_slice()) {
            (&Method::GET, ["info"]) => (200, json!({"ServerVersion": "made up", "LiveRestoreEnabled": true})),
            (&Method::GET, ["containers", "json"]) => {
                let shown = |(state, body): &(&str, Value)| json!({"State": state, "Labels": body["Labels"]});
                (200, self.containers.values().map(shown).collect())
            }
            (&Method::POST, ["containers", "create"]) => {
                let name = value_of(query, "name");
                let image = body["Image"].as_str().unwrap_or_default();
                if self.containers.contains_key(&name) {
                    (409, json!({"message": format!("Conflict. The container name \"/{name}\" is already in use")}))
                } else if self.images.contains(image) {
                    self.containers.insert(name.clone(), ("created", body.clone()));
                    (201, json!({"Id": name, "Warnings": []}))
                } else {
                    (404, json!({"message": format!("No such image: {image}")}))
                }
            }
            (&Method::POST, ["images", "create"]) => {
                self.images.insert(value_of(query, "fromImage"));
                (200, json!({"status": "done"}))
            }
            (_, ["containers", name, ..]) if !self.containers.contains_key(*name) => missing(),
            (&Method::GET, ["containers", name, "json"]) => {
                (200, json!({"State": {"Status": self.containers[*name].0, "ExitCode": 143}}))
            }
            (&Method::POST, ["containers", name, action @ ("start" | "stop")]) => {
                let state = if *action == "start" { "running" } else { "exited" };
                self.containers.entry((*name).to_owned()).and_modify(|it| it.0 = state);
                (204, Value::Null)
            }
            (&Method::DELETE, ["containers", name]) => {
                self.containers.remove(*name);
                (204, Value::Null)
            }
            _ => (404, json!({"message": format!("no {method} {path}")})),
        }
    }
}

fn value_of(query: &str, key: &str) -> String {
    let value = query.split('&').find_map(|it| it.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_default().replace("%3A", ":").replace("%2F", "/")
}

async fn serve(
    engine: Arc<Mutex<Engine>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.map_err(std::io::Error::other)?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let call = format!("{} {path}", parts.method);
    if path == "/images/create" {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let mut engine = engine.lock().unwrap();
    engine.calls.push(call.clone());
    if let Some(value) = parts.headers.get("x-registry-auth") {
        engine.credentials.push(value.to_str().unwrap().to_owned());
    }
    let trouble = engine.troubles.iter().position(|(begins, _)| call.starts_with(begins));
    let trouble = trouble.map(|it| engine.troubles.remove(it).1);
    let (status, answer) = match trouble {
        Some(Trouble::Says(status, message)) => (status, json!({"message": message})),
        _ => engine.answer(&parts.method, &path, &query, &body),
    };
    let mut bytes = if answer == Value::Null { Vec::new() } else { answer.to_string().into_bytes() };
    match trouble {
        Some(Trouble::Forgets) => return Err(std::io::ErrorKind::ConnectionReset.into()),
        Some(Trouble::Stammers) => bytes.truncate(bytes.len() / 2),
        _ => {}
    }
    let answer = Response::builder().status(status).header("content-type", "application/json");
    Ok(answer.body(Full::new(bytes.into())).unwrap())
}

/// An agent on a made-up engine.
struct Desk {
    scheduler: Scheduler,
    engine: Arc<Mutex<Engine>>,
    _agent: Running,
    _dir: tempfile::TempDir,
}

impl Desk {
    async fn new(images: &[&str], credentials: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        let engine = Arc::new(Mutex::new(Engine::default()));
        engine.lock().unwrap().images = images.iter().map(|it| (*it).to_owned()).collect();
        listen(&socket, &engine);
        let scheduler = Scheduler::new().await;
        let mut args = scheduler.args(dir.path());
        args.docker.host = Some(format!("unix://{}", socket.display()));
        args.docker.config = Some(config(dir.path(), credentials));
        let agent = Running::new(args);
        Self { scheduler, engine, _agent: agent, _dir: dir }
    }

    fn trouble(&self, troubles: &[(&'static str, Trouble)]) {
        self.engine.lock().unwrap().troubles.extend_from_slice(troubles);
    }

    fn calls(&self, call: &str) -> usize {
        self.engine.lock().unwrap().calls.iter().filter(|it| it.starts_with(call)).count()
    }
}

fn listen(socket: &Path, engine: &Arc<Mutex<Engine>>) {
    let listener = UnixListener::bind(socket).unwrap();
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let engine = Arc::clone(&engine);
            let service = service_fn(move |request| serve(Arc::clone(&engine), request));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}

fn config(dir: &Path, credentials: Option<&str>) -> PathBuf {
    let file = dir.join("config.json");
    std::fs::write(&file, credentials.unwrap_or("{}")).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_image_is_pulled_once_for_all_and_with_credentials() {
    // pay:s~?>~?>, whose standard base64 has a '/' and, in the header's JSON, a '+' or '/' again.
    let credentials = r#"{"auths": {"registry.example": {"auth": "cGF5OnN+Pz5+Pz4="}}}"#;
    let desk = Desk::new(&[], Some(credentials)).await;
    let mut spec = app("true");
    spec.run.image = "registry.example/pay:1".into();
    let launched: Vec<_> = (0..12).map(|_| desk.scheduler.launch(spec.clone())).collect();
    desk.scheduler.assign(&launched);
    for it in &launched {
        wait_for("a running instance", || desk.scheduler.is_running(it.instance)).await;
    }
    assert_eq!(desk.calls("POST /images/create"), 1);
    let sent = desk.engine.lock().unwrap().credentials.clone();
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].contains(['+', '/']), "Docker reads URL-safe base64 only: {}", sent[0]);
    let staging = "pulling image registry.example/pay:1";
    let history = &desk.scheduler.book.lock().unwrap().history;
    assert!(history.iter().any(|(_, it)| matches!(&it.seen, Seen::Staging { message } if message == staging)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_neither_start_twice_nor_leave_anything() {
    let desk = Desk::new(&[common::IMAGE], None).await;
    for call in ["POST /containers/create", "POST /containers/", "GET /containers/", "DELETE /containers/"] {
        let it = desk.scheduler.launch(app("true"));
        desk.trouble(&[(call, Trouble::Forgets), (call, Trouble::Stammers)]);
        let before = desk.calls("POST /containers/create");
        desk.scheduler.assign(std::slice::from_ref(&it));
        wait_for("a running instance", || desk.scheduler.is_running(it.instance)).await;
        assert!(desk.calls("POST /containers/create") <= before + 3, "{call}");
        desk.scheduler.stop(it.instance);
        wait_for("removal", || desk.scheduler.is_removed(it.instance)).await;
        assert!(desk.engine.lock().unwrap().containers.is_empty(), "{call}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_engine_stumbles_over_is_tried_again() {
    let desk = Desk::new(&[common::IMAGE], None).await;
    let it = desk.scheduler.launch(app("true"));
    let starting = Trouble::Says(503, "the engine starts");
    let containerd = Trouble::Says(500, "dial unix /run/containerd/containerd.sock: connect: connection refused");
    desk.trouble(&[("POST /containers/create", starting), ("POST /containers/create", containerd)]);
    desk.scheduler.assign(std::slice::from_ref(&it));
    wait_for("a running instance", || desk.scheduler.is_running(it.instance)).await;
    let zombie = Trouble::Says(500, "tried to kill container, but did not receive an exit event");
    let stop = "POST /containers/";
    desk.trouble(&[(stop, zombie), (stop, zombie), ("DELETE", Trouble::Says(409, "removal is in progress"))]);
    desk.scheduler.stop(it.instance);
    wait_for("removal", || desk.scheduler.is_removed(it.instance)).await;
    assert!(desk.engine.lock().unwrap().containers.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_takes_the_node_out_for_a_while() {
    let desk = Desk::new(&[common::IMAGE], None).await;
    let it = desk.scheduler.launch(app("true"));
    let full = Trouble::Says(500, "write /var/lib/docker/tmp/x: no space left on device");
    desk.trouble(&[("POST /containers/create", full)]);
    desk.scheduler.assign(std::slice::from_ref(&it));
    let end = desk.scheduler.ended(it.instance).await;
    assert_eq!(end.kind, EndKind::NotStarted);
    assert!(end.message.contains("Docker's disk is full"), "{}", end.message);
    wait_for("a degraded node", || desk.scheduler.book.lock().unwrap().degraded.is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_lies_ends_nothing() {
    let desk = Desk::new(&[common::IMAGE], None).await;
    let it = desk.scheduler.launch(app("true"));
    desk.scheduler.assign(std::slice::from_ref(&it));
    wait_for("a running instance", || desk.scheduler.is_running(it.instance)).await;
    let (list, look) = ("GET /containers/json", "GET /containers/");
    let hidden = std::mem::take(&mut desk.engine.lock().unwrap().containers);
    let lists = desk.calls(list);
    // Everything is said to be gone, but only by lists and looks that fail. A start without an answer provokes them.
    desk.trouble(&[(list, Trouble::Stammers), (list, Trouble::Says(500, "what?")), (list, Trouble::Says(200, "so?"))]);
    desk.trouble(&[
        (look, Trouble::Says(500, "what?")),
        (look, Trouble::Forgets),
        ("POST", Trouble::Says(503, "wait")),
    ]);
    let other = desk.scheduler.launch(app("true"));
    desk.scheduler.assign(std::slice::from_ref(&other));
    wait_for("lists", || desk.calls(list) >= lists + 3).await;
    desk.engine.lock().unwrap().containers = hidden;
    wait_for("the other instance", || desk.scheduler.is_running(other.instance)).await;
    assert!(desk.scheduler.is_running(it.instance));
    assert_eq!(desk.calls(&format!("POST /containers/{}/start", it.instance)), 1, "it was started once");
}

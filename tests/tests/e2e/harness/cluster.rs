//! A cluster as its users see it: an address that answers.

use super::http::{self, Answer};
use super::wait::{eventually, seconds};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a deployment of a few instances may take on a busy machine.
pub(crate) const DEPLOYED: Duration = seconds(60);

/// One member's API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cluster {
    pub(crate) http: SocketAddr,
}

/// A task that runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) healthy: bool,
}

impl Task {
    /// The container's name.
    pub(crate) fn instance(&self) -> &str {
        self.id.rsplit_once('.').map_or(&self.id, |(_, it)| it)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host.parse().expect("tests run on the loopback"), self.port)
    }
}

impl Cluster {
    /// Sends a request; no answer at all is a failure of the test.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        match http::send(self.http, method, path, &body) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.send("GET", path, &Value::Null).good()
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.send("POST", path, body).good()
    }

    /// Replaces fields of an app, or makes it.
    #[track_caller]
    pub(crate) fn put(&self, app: &str, body: &Value) -> Value {
        self.send("PUT", &format!("/v2/apps{app}"), body).good()
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Value {
        self.send("DELETE", path, &Value::Null).good()
    }

    /// The app as the API prints it.
    #[track_caller]
    pub(crate) fn app(&self, id: &str) -> Value {
        self.get(&format!("/v2/apps{id}"))["app"].take()
    }

    /// Its tasks that run, in order of their ids.
    #[track_caller]
    pub(crate) fn tasks(&self, app: &str) -> Vec<Task> {
        let app = self.app(app);
        let mut tasks: Vec<Task> = list(&app["tasks"]).filter(|it| it["state"] == "TASK_RUNNING").map(task).collect();
        tasks.sort();
        tasks
    }

    /// Waits until exactly so many of its tasks run, all are healthy, and nothing is under way.
    #[track_caller]
    pub(crate) fn settled(&self, app: &str, instances: usize) -> Vec<Task> {
        self.settled_within(app, instances, DEPLOYED)
    }

    #[track_caller]
    pub(crate) fn settled_within(&self, app: &str, instances: usize, limit: Duration) -> Vec<Task> {
        eventually(&format!("{instances} healthy instances of {app}"), limit, || {
            let it = self.app(app);
            let tasks = self.tasks(app);
            let deployments = list(&it["deployments"]).count();
            let is_settled = deployments == 0 && list(&it["tasks"]).count() == instances;
            if is_settled && tasks.len() == instances && tasks.iter().all(|it| it.healthy) {
                return Ok(tasks);
            }
            Err(format!("{deployments} deployments, {}", it["tasks"]))
        })
    }

    /// Makes an app and waits for it.
    #[track_caller]
    pub(crate) fn deploy(&self, app: &Value) -> Vec<Task> {
        self.post("/v2/apps", app);
        let instances = app["instances"].as_u64().expect("a number") as usize;
        self.settled(app["id"].as_str().expect("an id"), instances)
    }

    /// Removes an app and waits until nothing of it is left.
    #[track_caller]
    pub(crate) fn remove(&self, app: &str) {
        self.delete(&format!("/v2/apps{app}"));
        self.no_deployments();
    }

    /// Waits until nothing is under way.
    #[track_caller]
    pub(crate) fn no_deployments(&self) {
        eventually("no deployment is under way", DEPLOYED, || {
            let deployments = self.get("/v2/deployments");
            if deployments == json!([]) { Ok(()) } else { Err(deployments) }
        });
    }

    /// A whole number of `/metrics/prometheus`, by its name and labels as printed; 0 where it is not there.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let answer = self.send("GET", "/metrics/prometheus", &Value::Null).text();
        let found = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        found.map_or(0, |it| it as u64)
    }
}

fn task(it: &Value) -> Task {
    let results: Vec<_> = list(&it["healthCheckResults"]).collect();
    Task {
        id: text(&it["id"]).to_owned(),
        version: text(&it["version"]).to_owned(),
        host: text(&it["host"]).to_owned(),
        port: it["ports"][0].as_u64().map_or(0, |it| it as u16),
        healthy: !results.is_empty() && results.iter().all(|it| it["alive"] == true),
    }
}

/// The items of an array; none where there is no array.
pub(crate) fn list(it: &Value) -> impl Iterator<Item = &Value> {
    it.as_array().into_iter().flatten()
}

/// A text; empty where there is none.
pub(crate) fn text(it: &Value) -> &str {
    it.as_str().unwrap_or_default()
}

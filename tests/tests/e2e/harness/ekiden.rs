//! The program itself.

use super::cluster::Cluster;
use super::docker;
use super::http;
use super::process::{Process, Scratch, free_ports, port_range};
use super::wait::{eventually, seconds};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// The built program: `cargo build --workspace` puts it two folders above this test.
pub(crate) fn ekiden() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let program = test.ancestors().nth(2).expect("a target directory").join("ekiden");
    assert!(program.exists(), "{} is not built: cargo build --workspace", program.display());
    program
}

/// `ekiden dev` with a data directory of its own.
pub(crate) struct Dev {
    process: Process,
    cluster: Cluster,
    id: String,
    args: Vec<String>,
    pub(crate) scratch: Scratch,
}

impl Dev {
    /// Starts it with further arguments and waits until it answers.
    pub(crate) fn start(args: &[&str]) -> Self {
        docker::images();
        let scratch = Scratch::new();
        let [port] = free_ports();
        let cluster = Cluster { http: SocketAddr::from(([127, 0, 0, 1], port)) };
        let data_dir = scratch.path("data");
        let mut all = vec!["dev".to_owned(), "--listen".to_owned(), cluster.http.to_string()];
        let (first, last) = port_range();
        all.extend(["--data-dir".to_owned(), data_dir.display().to_string()]);
        all.extend(["--ports".to_owned(), format!("{first}-{last}")]);
        all.extend(args.iter().map(|&it| it.to_owned()));
        // How long new instances live before they count is `living`'s subject, and costs time elsewhere.
        if !args.contains(&"--min-live") {
            all.extend(["--min-live", "0s"].map(str::to_owned));
        }
        let process = launch(&all, &scratch);
        let mut it = Self { process, cluster, id: String::new(), args: all, scratch };
        it.ready();
        it
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> Cluster {
        self.cluster
    }

    /// The cluster's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// `kill -9`.
    pub(crate) fn kill_hard(&mut self) {
        self.process.kill_hard();
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.process.terminate(seconds(20))
    }

    /// Starts it again on the same data directory.
    pub(crate) fn start_again(&mut self) {
        self.process = launch(&self.args, &self.scratch);
        self.ready();
    }

    /// Runs a second one on the same data directory, which must end by itself; its status and all it wrote.
    pub(crate) fn start_second(&self) -> (ExitStatus, String) {
        let [port] = free_ports();
        let mut args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let address = format!("127.0.0.1:{port}");
        args[2] = &address;
        let log = self.scratch.path("second.log");
        let mut second = Process::start("a second ekiden", &ekiden(), &args, &log);
        (second.ends(seconds(20)), second.said())
    }

    /// All it wrote to its log.
    pub(crate) fn said(&self) -> String {
        self.process.said()
    }

    fn ready(&mut self) {
        self.id = ready(&self.cluster, || self.process.check());
    }
}

/// Waits until a cluster has a leader and a node that takes instances; returns its id.
pub(crate) fn ready(cluster: &Cluster, mut check: impl FnMut()) -> String {
    eventually("the cluster answers and has a node", seconds(30), || {
        check();
        let nodes = http::get(cluster.http, "/v3/nodes").map_err(|it| it.to_string())?;
        if nodes.json()["nodes"][0]["status"] != "ready" {
            return Err(nodes.to_string());
        }
        let info = http::get(cluster.http, "/v2/info").map_err(|it| it.to_string())?;
        match &info.json()["frameworkId"] {
            Value::String(id) => Ok(id.clone()),
            _ => Err(info.to_string()),
        }
    })
}

fn launch(args: &[String], scratch: &Scratch) -> Process {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Process::start("ekiden dev", &ekiden(), &args, &scratch.path("ekiden.log"))
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.process.kill_hard();
            if !self.id.is_empty() {
                docker::remove_all(&self.id);
            }
        }));
    }
}

/// What a verb said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a verb against a cluster.
pub(crate) fn verb(cluster: &Cluster, args: &[&str]) -> Said {
    let output = Command::new(ekiden())
        .args(args)
        .env("EKIDEN_URL", format!("http://{}", cluster.http))
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

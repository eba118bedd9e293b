//! A Docker engine of the bench's own, in a network namespace of its own.
//!
//! Whatever else runs on the machine's engine is neither disturbed nor measured, and Swarm can be tried: it refuses an
//! engine with `live-restore`.

use crate::process::{Process, Scratch, as_root, id, remove, root_words};
use anyhow::{Context as _, Result, bail};
use bollard::Docker;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use futures::stream::{StreamExt as _, TryStreamExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The image that every container is made of.
pub(crate) const IMAGE: &str = "ekiden-demo:1";

const NAMESPACE: &str = "ekiden-bench";
/// Short: a Unix socket's path has at most 107 bytes, and containerd's are four directories below this.
const RUN: &str = "/run/ekiden-bench";

/// The running engine. Dropping it removes all its containers and everything else it made.
pub(crate) struct Engine {
    daemon: Process,
    data: PathBuf,
    /// A client of it.
    pub(crate) docker: Docker,
}

impl Engine {
    /// Starts the engine and gives it the image.
    pub(crate) async fn start(scratch: &Scratch) -> Result<Self> {
        let data = scratch.file("engine");
        clear(&data)?;
        as_root(&["mkdir", "-p", RUN])?;
        // `ip netns exec` would mount another /sys, without cgroups: `nsenter` does not.
        as_root(&["ip", "netns", "add", NAMESPACE])?;
        let net = format!("--net=/run/netns/{NAMESPACE}");
        as_root(&["nsenter", &net, "ip", "link", "set", "lo", "up"])?;
        // The machine's own configuration may ask for live-restore.
        let config = scratch.file("engine.json");
        std::fs::write(&config, "{}")?;
        let (exec, pid, host) = (format!("{RUN}/x"), pid_file(), host());
        let (config, root, group) = (text(&config)?, text(&data)?, id("-g"));
        let mut command = vec!["nsenter", &net, "dockerd", "--config-file", config, "--data-root", root];
        command.extend(["--exec-root", &exec, "--pidfile", &pid, "--host", &host, "--group", &group]);
        let daemon = Process::start(&root_words(&command), &[], &scratch.file("engine.log"))?;
        let socket = format!("{RUN}/docker.sock");
        let mut engine = Self { daemon, data, docker: wait_for_socket(&socket).await? };
        engine.wait_until_it_answers().await?;
        Self::load_image()?;
        Ok(engine)
    }

    async fn wait_until_it_answers(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.docker.ping().await.is_err() {
            self.daemon.check()?;
            if start.elapsed() > Duration::from_secs(30) {
                bail!("the bench's own Docker engine does not answer");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn load_image() -> Result<()> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let status = Command::new(repository.join("scripts/demo-image"))
            .arg(IMAGE)
            .env("DOCKER_HOST", host())
            .stdin(Stdio::null())
            .status()
            .context("scripts/demo-image")?;
        if !status.success() {
            bail!("scripts/demo-image: {status}");
        }
        Ok(())
    }

    /// Removes every container, and waits until each is gone.
    pub(crate) async fn remove_all(&self) -> Result<()> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let containers = self.docker.list_containers(Some(options)).await?;
        futures::stream::iter(containers.into_iter().filter_map(|it| it.id))
            .map(|id| async move {
                let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                match self.docker.remove_container(&id, Some(options)).await {
                    // Somebody else is removing it, or has done so.
                    Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
                    done => done,
                }
            })
            .buffer_unordered(8)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        eprintln!("   removing the bench's own Docker engine …");
        // Without this the daemon stops one container after the other, asking each nicely.
        let remove = "docker ps -aq | xargs -r docker rm -fv";
        let _ = Command::new("timeout")
            .args(["30", "sh", "-c", remove])
            .env("DOCKER_HOST", host())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        stop_daemon();
        self.daemon.ends_within(Duration::from_secs(20));
        if let Err(error) = clear(&self.data) {
            eprintln!("   something is left of the bench's own Docker engine: {error:#}");
        }
    }
}

/// How clients find the engine: a `DOCKER_HOST`.
pub(crate) fn host() -> String {
    format!("unix://{RUN}/docker.sock")
}

fn pid_file() -> String {
    format!("{RUN}/pid")
}

/// Asks the daemon to end, if its pid file still names it.
fn stop_daemon() {
    let Ok(pid) = std::fs::read_to_string(pid_file()) else { return };
    let pid = pid.trim();
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if line.contains(RUN) {
        let _ = as_root(&["kill", "-TERM", pid]);
    }
}

/// Removes whatever an engine of the bench left, also one that was killed.
fn clear(data: &Path) -> Result<()> {
    stop_daemon();
    let start = Instant::now();
    while Path::new(&pid_file()).exists() && start.elapsed() < Duration::from_secs(20) {
        let pid = std::fs::read_to_string(pid_file()).unwrap_or_default();
        if !Path::new(&format!("/proc/{}", pid.trim())).exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let data_text = text(data)?;
    // Deepest first.
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let below = |it: &&str| it.starts_with(&format!("{RUN}/")) || it.starts_with(data_text);
    for point in mounts.lines().rev().filter_map(|it| it.split(' ').nth(1)).filter(below) {
        as_root(&["umount", "-l", point])?;
    }
    if Path::new("/run/netns").join(NAMESPACE).exists() {
        as_root(&["ip", "netns", "delete", NAMESPACE])?;
    }
    as_root(&["rm", "-rf", RUN, data_text])?;
    remove(data)
}

async fn wait_for_socket(path: &str) -> Result<Docker> {
    let start = Instant::now();
    loop {
        if let Ok(docker) = Docker::connect_with_unix(path, 120, bollard::API_DEFAULT_VERSION) {
            return Ok(docker);
        }
        if start.elapsed() > Duration::from_secs(30) {
            bail!("the bench's own Docker engine makes no socket; its log is target/bench/engine.log");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

//! Three members of Ekiden's control plane on loopback, on their own or with simulated agents.

use crate::http;
use crate::process::{Process, Scratch, ekiden, free_ports};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A cluster on loopback, with data on the real disk and default settings, but for the number of deployments.
pub(crate) struct Members {
    pub(crate) processes: Vec<Process>,
    /// Where the leader answers clients.
    pub(crate) leader: SocketAddr,
    /// Where the leader answers agents.
    pub(crate) link: SocketAddr,
    leading: usize,
    seats: Vec<Seat>,
}

/// How a member is started, and where it answers.
struct Seat {
    command: Vec<String>,
    log: PathBuf,
    http: SocketAddr,
    link: SocketAddr,
}

impl Members {
    /// Starts three members and waits until one leads.
    pub(crate) async fn start(scratch: &Scratch) -> Result<Self> {
        let ports: [u16; 6] = free_ports()?;
        let mut members = String::new();
        for n in 0..3 {
            let (http, link) = (ports[n], ports[3 + n]);
            let _ = write!(
                members,
                "\n[[members]]\nid = {}\nhttp = \"127.0.0.1:{http}\"\nlink = \"127.0.0.1:{link}\"\n",
                n + 1
            );
        }
        let program = ekiden()?;
        let mut seats = Vec::new();
        for n in 0..3 {
            let dir = scratch.fresh(&format!("ekiden-{n}"))?;
            let dir = dir.to_str().context("a path in UTF-8")?;
            let config = scratch.file(&format!("ekiden-{n}.toml"));
            let (http, link) = (ports[n], ports[3 + n]);
            let own = format!("id = {}\nlisten = \"127.0.0.1:{http}\"\nlink_listen = \"127.0.0.1:{link}\"\n", n + 1);
            // Every client of the benches has a deployment of its own under way.
            let limit = "\n[settings]\nmax_deployments = 100000\n";
            std::fs::write(&config, format!("{own}data_dir = \"{dir}\"\n{limit}{members}"))?;
            let config = config.to_str().context("a path in UTF-8")?;
            let [http, link] = [http, link].map(|it| SocketAddr::from(([127, 0, 0, 1], it)));
            let command = [program.as_str(), "server", "--config", config].map(str::to_owned).to_vec();
            seats.push(Seat { command, log: scratch.file(&format!("ekiden-{n}.log")), http, link });
        }
        Self::seated(seats).await
    }

    /// Kills all members and starts them again with the data they have.
    pub(crate) async fn restarted(self) -> Result<Self> {
        drop(self.processes);
        Self::seated(self.seats).await
    }

    async fn seated(seats: Vec<Seat>) -> Result<Self> {
        let mut processes = Vec::new();
        for Seat { command, log, .. } in &seats {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            processes.push(Process::start(&command, &[("EKIDEN_LOG", "warn")], log)?);
        }
        let start = Instant::now();
        loop {
            for process in &mut processes {
                process.check()?;
            }
            for (leading, seat) in seats.iter().enumerate() {
                let (leader, link) = (seat.http, seat.link);
                let Ok((200, answer)) = http::ask(leader, "GET", "/v2/leader", "").await else { continue };
                if answer["leader"].as_str().is_some_and(|it| it.parse() == Ok(leader)) {
                    return Ok(Self { processes, leader, link, leading, seats });
                }
            }
            if start.elapsed() > Duration::from_secs(30) {
                bail!("Ekiden finds no leader");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The leader, as of the start.
    pub(crate) fn leading(&self) -> &Process {
        &self.processes[self.leading]
    }

    /// The resident memory of the largest member, in MiB.
    pub(crate) fn rss_mib(&self) -> Result<f64> {
        let all: Vec<u64> = self.processes.iter().map(Process::rss).collect::<Result<_>>()?;
        Ok(all.into_iter().max().unwrap_or(0) as f64 / f64::from(1 << 20))
    }
}

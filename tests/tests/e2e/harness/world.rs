//! A cluster of separate processes, as an operator starts them: by configuration files.

use super::app::web;
use super::cluster::Cluster;
use super::docker;
use super::ekiden::{ekiden, ready};
use super::http;
use super::process::{Process, Scratch, free_ports, port_range};
use super::wait::{eventually, seconds, timed};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// A member's process.
pub(crate) struct Member {
    pub(crate) process: Process,
    pub(crate) cluster: Cluster,
    config: String,
}

/// So many members, and agents.
pub(crate) struct World<const N: usize> {
    pub(crate) members: [Member; N],
    pub(crate) agents: Vec<Process>,
    links: [u16; N],
    pub(crate) id: String,
    pub(crate) scratch: Scratch,
}

impl<const N: usize> World<N> {
    /// Starts the members and waits for nothing.
    pub(crate) fn start() -> Self {
        docker::images();
        let scratch = Scratch::new();
        let (https, links): ([u16; N], [u16; N]) = (free_ports(), free_ports());
        let mut list = String::new();
        for (n, (http, link)) in https.iter().zip(links).enumerate() {
            let id = n + 1;
            write!(list, "\n[[members]]\nid = {id}\nlink = \"127.0.0.1:{link}\"\nhttp = \"127.0.0.1:{http}\"\n")
                .expect("a String takes all");
        }
        let members = std::array::from_fn(|n| {
            let (id, http, link) = (n + 1, https[n], links[n]);
            let data = scratch.path(&format!("member-{id}"));
            let config = format!(
                "data_dir = \"{}\"\nlisten = \"127.0.0.1:{http}\"\nlink_listen = \"127.0.0.1:{link}\"\nid = {id}\n\
                 node_loss_after = \"4s\"\n[settings]\nmin_live = \"0s\"\n{list}",
                data.display()
            );
            let config = scratch.write(&format!("member-{id}.toml"), config).display().to_string();
            let cluster = Cluster { http: SocketAddr::from(([127, 0, 0, 1], http)) };
            Member { process: launch(&scratch, &format!("member-{id}"), "server", &config), cluster, config }
        });
        Self { members, agents: Vec::new(), links, id: String::new(), scratch }
    }

    /// Starts an agent on this machine's engine, with ports of its own and with further settings.
    pub(crate) fn agent(&mut self, name: &str, node: &str, settings: &str) {
        let servers: Vec<String> = self.links.iter().map(|it| format!("\"127.0.0.1:{it}\"")).collect();
        let (first, last) = port_range();
        let (data_dir, servers) = (self.scratch.path(name).display().to_string(), servers.join(", "));
        let config = format!(
            "data_dir = \"{data_dir}\"\nname = \"{node}\"\naddress = \"127.0.0.1\"\nservers = [{servers}]\n\
             ports = {{ first = {first}, last = {last} }}\n{settings}\n"
        );
        let config = self.scratch.write(&format!("{name}.toml"), config).display().to_string();
        self.agents.push(launch(&self.scratch, name, "agent", &config));
    }

    /// Waits until so many nodes take instances.
    pub(crate) fn has_nodes(&mut self, n: usize) {
        let Self { members, agents, .. } = self;
        let first = members[0].cluster;
        self.id = ready(&first, || {
            let members = members.iter_mut().map(|it| &mut it.process);
            members.chain(agents.iter_mut()).for_each(Process::check);
        });
        for it in &self.members {
            eventually("each member answers", seconds(20), || http::get(it.cluster.http, "/ping"));
        }
        eventually("the nodes are there", seconds(20), || {
            let nodes = self.members[0].cluster.get("/v3/nodes");
            let ready = nodes["nodes"].as_array().into_iter().flatten().filter(|it| it["status"] == "ready").count();
            if ready == n { Ok(()) } else { Err(nodes) }
        });
    }

    /// Which member leads, by what the members say themselves.
    pub(crate) fn leader(&self) -> usize {
        eventually("one member leads", seconds(20), || {
            let leads = self.members.each_ref().map(|it| it.cluster.metric("ekiden_raft_leading") == 1);
            match leads.iter().filter(|it| **it).count() {
                1 => leads.iter().position(|it| *it).ok_or(leads),
                _ => Err(leads),
            }
            .map_err(|it| format!("{it:?}"))
        })
    }

    /// How long it takes from now until the others accept a write; then it is there.
    pub(crate) fn accepts_a_write(&self, dead: usize, app: &str) -> Duration {
        let body = web(app, 0).to_string();
        let mut n = dead;
        let ((), took) = timed("a write is accepted", seconds(20), || {
            // As a client with a list of members does: one after the other.
            n = if (n + 1) % N == dead { (n + 2) % N } else { (n + 1) % N };
            match http::send(self.members[n].cluster.http, "POST", "/v2/apps", body.as_bytes()) {
                // Whether an unanswered write was done is not known; the answer to the next one says so.
                Ok(answer) if matches!(answer.status, 201 | 409) => Ok(()),
                Ok(answer) => Err(answer.to_string()),
                Err(error) => Err(error.to_string()),
            }
        });
        took
    }

    pub(crate) fn start_again(&mut self, n: usize) {
        let name = format!("member-{}", n + 1);
        let process = launch(&self.scratch, &name, "server", &self.members[n].config);
        self.members[n].process = process;
        let cluster = self.members[n].cluster;
        eventually("the member answers", seconds(20), || match http::get(cluster.http, "/v2/info") {
            Ok(answer) if answer.json()["elected"] == true => Ok(()),
            Ok(answer) => Err(answer.to_string()),
            Err(error) => Err(error.to_string()),
        });
    }
}

fn launch(scratch: &Scratch, name: &str, role: &str, config: &str) -> Process {
    let log = scratch.path(&format!("{name}.log"));
    Process::start(&format!("ekiden {role} {name}"), &ekiden(), &[role, "--config", config], &log)
}

impl<const N: usize> Drop for World<N> {
    fn drop(&mut self) {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.agents.iter_mut().for_each(Process::kill_hard);
            self.members.iter_mut().for_each(|it| it.process.kill_hard());
            if !self.id.is_empty() {
                docker::remove_all(&self.id);
            }
        }));
    }
}

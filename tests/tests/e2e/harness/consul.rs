//! A Consul agent of the test's own.

use super::http;
use super::process::{Process, Scratch, free_ports, says};
use super::tools::Tool;
use super::wait::{eventually, seconds};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// A Consul that forgets everything when this is dropped.
pub(crate) struct Consul {
    process: Process,
    http: SocketAddr,
    dns_port: u16,
    _scratch: Scratch,
}

impl Consul {
    /// Starts one and waits until it answers.
    pub(crate) fn start() -> Self {
        let scratch = Scratch::new();
        let [http, dns, server, lan, wan] = free_ports();
        let config = json!({
            "node_name": "e2e",
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "disable_update_check": true,
            "ports": { "http": http, "dns": dns, "server": server, "serf_lan": lan, "serf_wan": wan, "grpc": -1 },
        });
        let config = scratch.write("consul.json", config.to_string());
        let args = ["agent", "-dev", "-config-file", config.to_str().expect("a path of ours")];
        let process = Process::start("consul", &Tool::Consul.path(), &args, &scratch.path("consul.log"));
        let mut it = Self { process, http: SocketAddr::from(([127, 0, 0, 1], http)), dns_port: dns, _scratch: scratch };
        eventually("Consul has a leader and knows itself", seconds(30), || {
            it.process.check();
            match http::get(it.http, "/v1/catalog/nodes") {
                Ok(answer) if answer.status == 200 && answer.json()[0]["Node"] == "e2e" => Ok(()),
                Ok(answer) => Err(answer.to_string()),
                Err(error) => Err(error.to_string()),
            }
        });
        it
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// `dig SRV`: host and port of all that stand under a name, the host as an address.
    pub(crate) fn srv(&self, service: &str) -> BTreeSet<(String, u16)> {
        let (port, name) = (self.dns_port.to_string(), format!("{service}.service.consul"));
        let args = ["@127.0.0.1", "-p", &port, &name, "SRV", "+short", "+time=2", "+tries=1"];
        let said = says(Tool::Dig.path(), &args);
        let line = |line: &str| {
            let mut words = line.split(' ').skip(2);
            let port = words.next()?.parse().ok()?;
            Some((address_of(words.next()?), port))
        };
        said.lines().map(|it| line(it).unwrap_or_else(|| panic!("dig says: {it}"))).collect()
    }

    /// Host and port of all that stand under a name, from the catalog.
    pub(crate) fn catalog(&self, service: &str) -> std::io::Result<Vec<SocketAddr>> {
        let found = http::get(self.http, &format!("/v1/catalog/service/{service}"))?.json();
        let address = |it: &Value| {
            let port = it["ServicePort"].as_u64()? as u16;
            Some(SocketAddr::new(it["ServiceAddress"].as_str()?.parse().ok()?, port))
        };
        Ok(found.as_array().into_iter().flatten().filter_map(address).collect())
    }

    /// The entries of this agent, by their ids.
    pub(crate) fn entries(&self) -> Value {
        http::get(self.http, "/v1/agent/services").expect("Consul answers").good()
    }

    /// Writes an entry, as somebody else would.
    pub(crate) fn register(&self, entry: &Value) {
        let body = entry.to_string();
        let answer = http::send(self.http, "PUT", "/v1/agent/service/register", body.as_bytes());
        assert_eq!(answer.expect("Consul answers").status, 200);
    }

    /// Makes it hang, and go on again.
    pub(crate) fn hang(&self, on: bool) {
        self.process.signal(if on { "STOP" } else { "CONT" });
    }
}

/// Consul prints an entry's own address as a name: `7f000001.addr.dc1.consul.` is 127.0.0.1.
fn address_of(name: &str) -> String {
    let hex = name.split('.').next().filter(|it| it.len() == 8).and_then(|it| u32::from_str_radix(it, 16).ok());
    hex.map_or_else(|| name.to_owned(), |it| std::net::Ipv4Addr::from(it).to_string())
}

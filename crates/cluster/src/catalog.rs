//! Instances as services in Consul: what should be registered with a node's Consul agent, and what is to change
//! there. `docs/consul.md` says the same in words.
//!
//! Every entry that Ekiden writes carries its cluster and its agent as metadata; entries without them, or of another
//! cluster, are not ours and never touched (INV-C3). The node's name is there for people: a renamed node's entries
//! follow. Entries of another agent of the cluster, which shares the Consul agent or did so, are left to that one, unless
//! the cluster says that it is none of its own any more: then nobody else would ever delete them.

use crate::model::{AppId, AppSpec, ClusterId, InstanceId, NodeId, PortSpec, Version, WantedHostPort};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Metadata key: the cluster that registered an entry.
pub const META_CLUSTER: &str = "ekiden-cluster";
/// Metadata key: the name of the node whose agent registered an entry.
pub const META_NODE: &str = "ekiden-node";
/// Metadata key: the identity of that agent, which stays when the node is renamed.
pub const META_AGENT: &str = "ekiden-agent";
/// Metadata key: the app's path.
pub const META_APP: &str = "ekiden-app";
/// Metadata key: the instance.
pub const META_INSTANCE: &str = "ekiden-instance";
/// Metadata key: the app's version that the instance was launched for.
pub const META_VERSION: &str = "ekiden-version";
/// Metadata key: the generation of assignments at which the entry's content was decided.
pub const META_REV: &str = "ekiden-rev";

/// The label, of an app or a port, and the environment variable that name the service.
const LABEL: &str = "consul";
const NAME_OVERRIDE: &str = "CONSUL_SERVICE_NAME";

/// No DNS label is longer (RFC 1035 §2.3.4).
const MAX_NAME_BYTES: usize = 63;

/// So many other writers an agent tells of at once; what is more comes to light when these are gone.
pub const MAX_WRITERS: usize = 256;

/// One entry of a Consul agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Names the entry on its Consul agent: the instance's id, and `-2`, `-3`… for further ports.
    pub id: String,
    /// What is resolved: `<name>.service.consul`.
    pub name: String,
    /// Sorted, without duplicates.
    pub tags: Vec<String>,
    /// Host name or address under which the port is reached.
    pub address: String,
    /// The port; 0 for an instance without ports.
    pub port: u16,
    /// Who registered the entry, and for what.
    pub meta: BTreeMap<String, String>,
}

/// An instance that should be found, as its agent knows it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its cluster.
    pub cluster: ClusterId,
    /// The name of its node.
    pub node: &'a NodeId,
    /// The identity of its agent.
    pub agent: u64,
    /// Host name or address of the node.
    pub address: &'a str,
    /// Which one.
    pub instance: InstanceId,
    /// Its app.
    pub app: &'a AppId,
    /// The app's version it was launched for.
    pub version: Version,
    /// Its host ports, in the order of the app's ports that want one.
    pub ports: &'a [u16],
    /// What it runs, and the wanted labels.
    pub spec: &'a AppSpec,
    /// The generation of assignments at which this was decided.
    pub rev: u64,
}

/// Whose entries are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster.
    pub cluster: ClusterId,
    /// The name of the agent's node: entries of earlier versions have no other sign.
    pub node: NodeId,
    /// The agent's identity.
    pub agent: u64,
}

/// Who wrote an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Writer {
    /// The agent with this identity.
    Agent(u64),
    /// The agent of a node of this name: entries of earlier versions say no more.
    Named(NodeId),
}

/// Writers that are none of the cluster's agents any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The log index at which that was so: entries that were decided later say otherwise.
    pub as_of: u64,
    /// Which ones.
    pub writers: BTreeSet<Writer>,
}

/// What an agent wants of its Consul agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// What shall be registered, by entry id.
    pub services: BTreeMap<String, Service>,
    /// Instances of which too little is known to say: their entries, if there are any, stay as they are.
    pub keep: BTreeSet<InstanceId>,
    /// Whose entries nobody else deletes any more.
    pub gone: Gone,
}

/// What is to change at a Consul agent. Entries that replace others come first, so that no name is ever without one
/// while there is any (INV-C6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Entries to write.
    pub register: Vec<Service>,
    /// Entries to delete, by id.
    pub deregister: Vec<String>,
}

impl Difference {
    /// Whether nothing is to change.
    pub const fn is_empty(&self) -> bool {
        self.register.is_empty() && self.deregister.is_empty()
    }
}

/// The entries of an instance: one for its first port, one for each further port that has a name or a label `consul`;
/// one with port 0 where it has none; none at all if the app's label `consul` is `false`.
pub fn services(subject: &Subject<'_>) -> Vec<Service> {
    let labels = &subject.spec.policy.labels;
    if labels.get(LABEL).is_some_and(|it| it == "false") {
        return Vec::new();
    }
    let app_name = service_name(subject.app, subject.spec);
    let ports = &subject.spec.run.ports;
    if ports.is_empty() {
        return vec![service(subject, 0, app_name, &BTreeMap::new(), 0)];
    }
    let mut services = Vec::new();
    for (n, port) in ports.iter().enumerate() {
        if let Some(number) = subject.spec.host_port(n, subject.ports)
            && let Some(name) = port_name(&app_name, n, port)
        {
            services.push(service(subject, n, name, &port.labels, number));
        }
    }
    services
}

/// Compares what an agent wants with what is registered.
///
/// Only entries of this owner are looked at, and to be deleted those of writers that are gone. One that was decided at a
/// later generation than `generation` is left alone: whoever wrote it knew more (INV-C2).
pub fn diff(wish: &Wish, registered: &[Service], owner: &Owner, generation: u64) -> Difference {
    let ours: BTreeMap<&str, &Service> =
        registered.iter().filter(|it| it.is_of(owner)).map(|it| (it.id.as_str(), it)).collect();
    let newer = |it: &Service| it.rev() > generation;
    let register = wish.services.values().filter(|wanted| match ours.get(wanted.id.as_str()) {
        Some(there) => !newer(there) && !there.says(wanted),
        None => true,
    });
    let kept = |it: &Service| it.instance().is_some_and(|it| wish.keep.contains(&it));
    let deregister = ours
        .values()
        .filter(|it| !wish.services.contains_key(&it.id) && !kept(it) && !newer(it))
        .map(|it| it.id.clone());
    let is_gone = |it: &&Service| {
        let writer = it.writer(owner.cluster);
        writer.is_some_and(|it| !owner.is(&it) && wish.gone.writers.contains(&it)) && it.rev() <= wish.gone.as_of
    };
    let left = registered.iter().filter(is_gone).filter(|it| !wish.services.contains_key(&it.id) && !kept(it));
    let deregister = deregister.chain(left.map(|it| it.id.clone())).collect();
    Difference { register: register.cloned().collect(), deregister }
}

/// Who else of the cluster has written entries.
pub fn other_writers(registered: &[Service], owner: &Owner) -> BTreeSet<Writer> {
    let writers = registered.iter().filter_map(|it| it.writer(owner.cluster)).filter(|it| !owner.is(it));
    let writers: BTreeSet<Writer> = writers.collect();
    writers.into_iter().take(MAX_WRITERS).collect()
}

impl Owner {
    /// Whether this is who wrote it, whatever its node was called then.
    fn is(&self, writer: &Writer) -> bool {
        match writer {
            Writer::Agent(agent) => *agent == self.agent,
            Writer::Named(node) => *node == self.node,
        }
    }
}

impl Service {
    /// Whether this agent of this cluster wrote the entry, whatever its node was called then.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.writer(owner.cluster).is_some_and(|it| owner.is(&it))
    }

    /// Which agent of this cluster wrote the entry, if one did.
    fn writer(&self, cluster: ClusterId) -> Option<Writer> {
        if *self.meta.get(META_CLUSTER)? != cluster.to_string() {
            return None;
        }
        match self.meta.get(META_AGENT) {
            // What has another form no agent has written.
            Some(agent) => {
                u64::from_str_radix(agent, 16).ok().filter(|it| agent_text(*it) == *agent).map(Writer::Agent)
            }
            None => self.meta.get(META_NODE).map(|it| Writer::Named(NodeId::new(it))),
        }
    }

    /// The instance that the entry is about.
    pub fn instance(&self) -> Option<InstanceId> {
        self.meta.get(META_INSTANCE)?.parse().ok()
    }

    /// The generation at which the entry was decided; 0 if it does not say.
    fn rev(&self) -> u64 {
        self.meta.get(META_REV).and_then(|it| it.parse().ok()).unwrap_or(0)
    }

    /// Whether both say the same, decided whenever.
    pub fn says(&self, other: &Self) -> bool {
        (&self.name, &self.tags, &self.address, self.port) == (&other.name, &other.tags, &other.address, other.port)
            && self.lasting_meta().eq(other.lasting_meta())
    }

    fn lasting_meta(&self) -> impl Iterator<Item = (&String, &String)> {
        self.meta.iter().filter(|(key, _)| *key != META_REV)
    }
}

/// The names under which an app of this definition is found, if it is at all.
pub fn service_names(spec: &AppSpec) -> BTreeSet<String> {
    if spec.policy.labels.get(LABEL).is_some_and(|it| it == "false") {
        return BTreeSet::new();
    }
    let app_name = service_name(&spec.id, spec);
    if spec.run.ports.is_empty() {
        return BTreeSet::from([app_name]);
    }
    let ports = spec.run.ports.iter().enumerate().filter(|it| it.1.host_port != WantedHostPort::None);
    ports.filter_map(|(n, port)| port_name(&app_name, n, port)).collect()
}

/// The name of the app's service: label `consul`, label or environment variable `CONSUL_SERVICE_NAME`, or its path.
fn service_name(app: &AppId, spec: &AppSpec) -> String {
    let labels = &spec.policy.labels;
    let given = labels.get(LABEL).filter(|it| !matches!(it.as_str(), "" | "true" | "tag"));
    let given = given.or_else(|| labels.get(NAME_OVERRIDE)).or_else(|| spec.run.env.get(NAME_OVERRIDE));
    match given.map(|it| dns_label(it)).filter(|it| !it.is_empty()) {
        Some(name) => name,
        None => dns_label(&app.segments().rev().collect::<Vec<_>>().join("-")),
    }
}

/// The name under which the `n`-th port is found; `None` if it is not.
fn port_name(app_name: &str, n: usize, port: &PortSpec) -> Option<String> {
    let named = || port.name.as_ref().map(|it| dns_label(&format!("{app_name}-{it}")));
    match port.labels.get(LABEL).map(String::as_str) {
        Some("false") => None,
        Some("" | "true" | "tag") | None if n == 0 => Some(app_name.to_owned()),
        Some("" | "true" | "tag") => Some(named().unwrap_or_else(|| dns_label(&format!("{app_name}-{n}")))),
        Some(name) => Some(dns_label(name)).filter(|it| !it.is_empty()),
        None => named(),
    }
}

fn service(
    subject: &Subject<'_>,
    n: usize,
    name: String,
    port_labels: &BTreeMap<String, String>,
    port: u16,
) -> Service {
    let instance = subject.instance;
    let labels = subject.spec.policy.labels.iter().chain(port_labels);
    let tags: BTreeSet<String> = labels.filter(|(_, value)| *value == "tag").map(|(key, _)| key.clone()).collect();
    let meta = [
        (META_CLUSTER, subject.cluster.to_string()),
        (META_NODE, subject.node.to_string()),
        (META_AGENT, agent_text(subject.agent)),
        (META_APP, subject.app.to_string()),
        (META_INSTANCE, instance.to_string()),
        (META_VERSION, subject.version.to_string()),
        (META_REV, subject.rev.to_string()),
    ];
    Service {
        id: if n == 0 { instance.to_string() } else { format!("{instance}-{}", n + 1) },
        name,
        tags: tags.into_iter().collect(),
        address: subject.address.to_owned(),
        port,
        meta: meta.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

/// An agent's identity, as labels and metadata have it.
pub fn agent_text(agent: u64) -> String {
    format!("{agent:016x}")
}

/// A text as one DNS label: letters in lower case, digits, single `-` inside, at most 63 characters. A longer one is
/// cut and ends in a number made of all of it, so that two long names stay two.
fn dns_label(text: &str) -> String {
    let mut label = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii_alphanumeric() {
            label.push(char.to_ascii_lowercase());
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.truncate(label.trim_end_matches('-').len());
    if label.len() > MAX_NAME_BYTES {
        let tail = format!("-{:08x}", fnv1a(&label));
        label.truncate(MAX_NAME_BYTES - tail.len());
        label.push_str(&tail);
    }
    label
}

/// FNV-1a, 32 bits.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::testing;

    const CLUSTER: ClusterId = ClusterId(0xc1);

    fn instance(n: u32) -> InstanceId {
        InstanceId::derive(CLUSTER, 7, n)
    }

    fn entries(spec: &AppSpec, ports: &[u16]) -> Vec<Service> {
        services(&Subject {
            cluster: CLUSTER,
            node: &NodeId::new("n1"),
            agent: 0xa1,
            address: "10.0.0.1",
            instance: instance(0),
            app: &spec.id,
            version: Timestamp(1_000),
            ports,
            spec,
            rev: 5,
        })
    }

    #[test]
    fn an_entry_says_where_the_instance_is_and_whose_it_is() {
        let mut spec = testing::app("/pay/api", 1);
        spec.policy.labels.insert("urlprefix-/pay".into(), "tag".into());
        spec.policy.labels.insert("team".into(), "pay".into());
        let meta = [
            ("ekiden-agent", "00000000000000a1"),
            ("ekiden-app", "/pay/api"),
            ("ekiden-cluster", "0000000000c1"),
            ("ekiden-instance", &instance(0).to_string()),
            ("ekiden-node", "n1"),
            ("ekiden-rev", "5"),
            ("ekiden-version", "1970-01-01T00:00:01.000Z"),
        ];
        let expect = Service {
            id: instance(0).to_string(),
            name: "api-pay".into(),
            tags: vec!["urlprefix-/pay".into()],
            address: "10.0.0.1".into(),
            port: 31_001,
            meta: meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        assert_eq!(entries(&spec, &[31_001]), [expect]);
    }

    #[test]
    fn services_are_named_as_users_of_marathon_expect() {
        let long = format!("/{}/{}", "a".repeat(40), "b".repeat(40));
        for (id, label, env, expect) in [
            ("/pay/api", None, None, "api-pay"),
            ("/web", None, None, "web"),
            ("/a/v1.2", None, None, "v1-2-a"),
            ("/pay/api", Some(("consul", "true")), None, "api-pay"),
            ("/pay/api", Some(("consul", "Pay_Gateway")), None, "pay-gateway"),
            ("/pay/api", Some(("CONSUL_SERVICE_NAME", "pay")), None, "pay"),
            ("/pay/api", None, Some("gate"), "gate"),
            ("/pay/api", Some(("consul", "--")), None, "api-pay"),
            (&long, None, None, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-aaaaaaaaaaaaa-9bafd710"),
        ] {
            let mut spec = testing::app(id, 1);
            spec.policy.labels.extend(label.map(|(key, value)| (key.to_owned(), value.to_owned())));
            spec.run.env.extend(env.map(|it| ("CONSUL_SERVICE_NAME".to_owned(), it.to_owned())));
            let name = entries(&spec, &[31_001])[0].name.clone();
            assert_eq!(service_names(&spec), BTreeSet::from([name.clone()]));
            assert_eq!(name, expect, "{id} {label:?} {env:?}");
            assert!(name.len() <= 63);
        }
    }

    #[test]
    fn each_port_that_is_to_be_found_has_an_entry() {
        let found = |labels: &[(&str, &str)], edit: fn(&mut AppSpec), ports: &[u16]| {
            let mut spec = testing::app("/web", ports.len());
            spec.policy.labels.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
            edit(&mut spec);
            entries(&spec, ports).into_iter().map(|it| (it.name, it.port)).collect::<Vec<_>>()
        };
        let entry = |name: &str, port: u16| (name.to_owned(), port);
        let leave: fn(&mut AppSpec) = |_| {};
        assert_eq!(found(&[], leave, &[1, 2]), [entry("web", 1)], "further ports need a name");
        assert_eq!(
            found(&[], |it| it.run.ports[1].name = Some("admin".into()), &[1, 2]),
            [entry("web", 1), entry("web-admin", 2)]
        );
        let label: fn(&mut AppSpec) = |it| {
            it.run.ports[1].labels.insert("consul".into(), "metrics".into());
        };
        assert_eq!(found(&[], label, &[1, 2]), [entry("web", 1), entry("metrics", 2)]);
        let hide: fn(&mut AppSpec) = |it| {
            it.run.ports[0].labels.insert("consul".into(), "false".into());
        };
        assert_eq!(found(&[], hide, &[1]), []);
        assert_eq!(found(&[("consul", "false")], leave, &[1]), []);
        assert_eq!(found(&[], leave, &[]), [entry("web", 0)], "an instance without ports is found by address");
        let inside: fn(&mut AppSpec) = |it| it.run.ports[0].host_port = WantedHostPort::None;
        assert_eq!(found(&[], inside, &[1]), [], "a port that the node does not have cannot be reached");
    }

    #[test]
    fn a_pod_is_found_by_its_endpoints() {
        let mut spec = testing::app("/pay/pod", 3);
        for (port, name) in spec.run.ports.iter_mut().zip(["http", "admin", "inner"]) {
            port.name = Some(name.to_owned());
        }
        spec.run.ports[2].host_port = WantedHostPort::None;
        spec.run.pod = Some(crate::model::Pod { containers: vec![], volumes: vec![] });
        let found: Vec<_> = entries(&spec, &[31_001, 31_002]).into_iter().map(|it| (it.name, it.port)).collect();
        assert_eq!(found, [("pod-pay".to_owned(), 31_001), ("pod-pay-admin".to_owned(), 31_002)]);
    }

    #[test]
    fn only_what_differs_is_written_and_only_what_is_ours_is_deleted() {
        let owner = Owner { cluster: CLUSTER, node: NodeId::new("n1"), agent: 0xa1 };
        let mut spec = testing::app("/web", 1);
        let wanted = entries(&spec, &[31_001]).remove(0);
        let services = BTreeMap::from([(wanted.id.clone(), wanted.clone())]);
        let wish = Wish { services, ..Wish::default() };
        let same = Service {
            meta: [(META_REV.to_owned(), "1".to_owned())].into_iter().fold(wanted.meta.clone(), with),
            ..wanted.clone()
        };
        spec.policy.labels.insert("new".into(), "tag".into());
        let changed = entries(&spec, &[31_001]).remove(0);
        let of_other = |key: &str, value: &str| Service {
            id: "foreign".into(),
            meta: with(wanted.meta.clone(), (key.to_owned(), value.to_owned())),
            ..wanted.clone()
        };
        let stale = Service {
            id: "stale".into(),
            meta: with(wanted.meta.clone(), (META_INSTANCE.into(), instance(9).to_string())),
            ..wanted.clone()
        };
        let newer =
            Service { meta: with(changed.meta.clone(), (META_REV.to_owned(), "99".to_owned())), ..changed.clone() };
        let meta_of = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).fold(same.meta.clone(), with)
        };
        let of_other_name = Service { meta: meta_of(&[(META_NODE, "before")]), ..same.clone() };
        let of_namesake = Service { meta: meta_of(&[(META_AGENT, "00000000000000a2")]), ..same.clone() };
        let mut unsigned = same.clone();
        unsigned.meta.remove(META_AGENT);
        let nothing = Difference::default();
        let write = Difference { register: vec![wanted.clone()], deregister: vec![] };
        for (what, registered, expect) in [
            ("absent", vec![], write.clone()),
            ("there", vec![same.clone()], nothing.clone()),
            ("changed by hand", vec![changed.clone()], write.clone()),
            ("decided later by someone who knew more", vec![newer], nothing.clone()),
            ("of a renamed node", vec![of_other_name], write.clone()),
            ("of another agent", vec![same.clone(), of_other(META_AGENT, "00000000000000a2")], nothing.clone()),
            ("of another agent of this name", vec![of_namesake], write.clone()),
            ("of this node, before agents signed", vec![unsigned.clone()], write.clone()),
            ("of another cluster", vec![same.clone(), of_other(META_CLUSTER, "0000000000ff")], nothing.clone()),
            (
                "of nobody",
                vec![same.clone(), Service { id: "db".into(), meta: BTreeMap::new(), ..wanted.clone() }],
                nothing.clone(),
            ),
            (
                "stale",
                vec![same.clone(), stale.clone()],
                Difference { register: vec![], deregister: vec!["stale".into()] },
            ),
        ] {
            assert_eq!(diff(&wish, &registered, &owner, 6), expect, "{what}");
        }
        let unsure = Wish { keep: BTreeSet::from([instance(9)]), ..wish };
        assert_eq!(diff(&unsure, &[same, stale], &owner, 6), nothing, "kept while nothing is known of it");
    }

    #[test]
    fn what_an_agent_left_that_is_gone_is_deleted_by_whoever_shares_its_consul() {
        let owner = Owner { cluster: CLUSTER, node: NodeId::new("n1"), agent: 0xa1 };
        let spec = testing::app("/web", 1);
        let own = entries(&spec, &[31_001]).remove(0);
        let entry = |id: &str, meta: &[(&str, &str)]| {
            let meta = meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let mut entry = Service { id: id.into(), meta: meta.fold(own.meta.clone(), with), ..own.clone() };
            entry.meta.insert(META_INSTANCE.into(), instance(9).to_string());
            entry
        };
        let unsigned = |id: &str, node: &str| {
            let mut it = entry(id, &[(META_NODE, node)]);
            it.meta.remove(META_AGENT);
            it
        };
        let registered = [
            own.clone(),
            entry("forgotten", &[(META_AGENT, "00000000000000a2")]),
            entry("back", &[(META_AGENT, "00000000000000a2"), (META_REV, "8")]),
            entry("neighbour", &[(META_AGENT, "00000000000000a3")]),
            unsigned("earlier-name", "before"),
            unsigned("earlier", "n2"),
            entry("other-cluster", &[(META_AGENT, "00000000000000a2"), (META_CLUSTER, "0000000000ff")]),
            entry("odd", &[(META_AGENT, "a2")]),
            Service { id: "db".into(), meta: BTreeMap::new(), ..own.clone() },
        ];
        let named = |it: &str| Writer::Named(NodeId::new(it));
        let others = BTreeSet::from([Writer::Agent(0xa2), Writer::Agent(0xa3), named("before"), named("n2")]);
        assert_eq!(other_writers(&registered, &owner), others);
        let services = BTreeMap::from([(own.id.clone(), own.clone())]);
        let gone = |writers: &[Writer]| Gone { as_of: 7, writers: writers.iter().cloned().collect() };
        let deleted = |wish: &Wish| {
            let difference = diff(wish, &registered, &owner, 6);
            assert_eq!(difference.register, []);
            difference.deregister
        };
        let mut wish = Wish { services, gone: gone(&[]), ..Wish::default() };
        assert_eq!(deleted(&wish), [""; 0], "as long as nobody says that they are gone");
        wish.gone = gone(&[Writer::Agent(0xa2), named("before")]);
        assert_eq!(deleted(&wish), ["forgotten", "earlier-name"], "but not what was decided later");
        wish.gone = gone(&[Writer::Agent(0xa1), named("n1")]);
        assert_eq!(deleted(&wish), [""; 0], "whoever is told that it is gone itself knows better");
        wish.gone = gone(&[Writer::Agent(0xa2)]);
        wish.keep = BTreeSet::from([instance(9)]);
        assert_eq!(deleted(&wish), [""; 0], "nothing is known of the instance yet");
    }

    fn with(mut meta: BTreeMap<String, String>, (key, value): (String, String)) -> BTreeMap<String, String> {
        meta.insert(key, value);
        meta
    }
}

//! A member of the control plane, as typed and as meant.

use super::{LogConfig, LogFormat, SettingsArgs, Violations, address, duration, reachable, read};
use scheduler::Member;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Elections take 8 to 14 ticks; shorter ticks elect on every hiccup of a disk, longer ones leave a cluster without a
/// leader for too long.
const TICK_MS: std::ops::RangeInclusive<u64> = 10..=1000;

/// Fewer entries would make snapshots all the time.
const SNAPSHOT_EVERY_MIN: u64 = 100;

/// An agent's session may be cut and dialled anew in this time without its node being given up.
const NODE_LOSS_AFTER_MIN: Duration = Duration::from_secs(2);

/// A member of the control plane, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerArgs {
    /// The file with the settings below; flags and environment win over it
    #[arg(short, long, env = "EKIDEN_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Where the log and the snapshots are kept
    #[arg(long, env = "EKIDEN_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the HTTP API is served [default: 127.0.0.1:8080]
    #[arg(long, env = "EKIDEN_LISTEN", value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// Where members and agents connect [default: 127.0.0.1:4800]
    #[arg(long, env = "EKIDEN_LINK_LISTEN", value_name = "IP:PORT")]
    pub(crate) link_listen: Option<String>,
    /// Host under which a cluster of one member is reached [default: the host of --listen]
    #[arg(long, env = "EKIDEN_ADVERTISE", value_name = "HOST")]
    pub(crate) advertise: Option<String>,
    /// Accept that links, which are neither encrypted nor authenticated yet, leave the machine
    #[arg(long, env = "EKIDEN_INSECURE_NETWORK", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) insecure_network: Option<bool>,
    /// The cluster's name: members of another one are refused [default: ekiden]
    #[arg(long, env = "EKIDEN_CLUSTER", value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// Which of the members this is [default: 1]
    #[arg(long, env = "EKIDEN_ID", value_name = "N")]
    pub(crate) id: Option<u64>,
    /// A member, once for each of the three: its id, where its link and where its API is reached
    #[arg(long = "member", env = "EKIDEN_MEMBERS", value_delimiter = ';', value_name = "N=LINK,HTTP")]
    pub(crate) members: Option<Vec<MemberArg>>,
    /// A snapshot of the state is made after so many log entries [default: 10000]
    #[arg(long, env = "EKIDEN_SNAPSHOT_EVERY", value_name = "N")]
    pub(crate) snapshot_every: Option<u64>,
    /// The length of a tick in milliseconds; an election takes 8 to 14 of them [default: 100]
    #[arg(long, env = "EKIDEN_TICK_MS", value_name = "MS")]
    pub(crate) tick_ms: Option<u64>,
    /// A node whose agent is silent for so long is given up [default: 10s]
    #[arg(long, env = "EKIDEN_NODE_LOSS_AFTER", value_name = "TIME")]
    pub(crate) node_loss_after: Option<String>,
    /// What counts for the whole cluster
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// A place that events may be posted to on request, once for each or separated by commas [default: none]
    #[arg(long = "event-callback", env = "EKIDEN_EVENT_CALLBACKS", value_delimiter = ',', value_name = "HOST:PORT")]
    pub(crate) event_callbacks: Option<Vec<String>>,
    /// A name under which the API is called, beside those it has by itself, once for each or separated by commas [default: none]
    #[arg(long = "host", env = "EKIDEN_HOSTS", value_delimiter = ',', value_name = "NAME")]
    pub(crate) hosts: Option<Vec<String>>,
    /// What is logged, as `info,scheduler=debug`
    #[arg(long, env = "EKIDEN_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// The form of log lines
    #[arg(long, env = "EKIDEN_LOG_FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,
}

/// A member, as typed: `1=10.0.0.1:4800,10.0.0.1:8080`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberArg {
    pub(crate) id: u64,
    pub(crate) link: String,
    pub(crate) http: String,
}

impl FromStr for MemberArg {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let parts = typed.split_once('=').and_then(|(id, rest)| Some((id.trim().parse().ok()?, rest.split_once(',')?)));
        let (id, (link, http)) =
            parts.ok_or_else(|| format!("`{typed}` is no member: write 1=10.0.0.1:4800,10.0.0.1:8080"))?;
        Ok(Self { id, link: link.trim().to_owned(), http: http.trim().to_owned() })
    }
}

/// A member of the control plane, as meant.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) link_listen: SocketAddr,
    pub(crate) member: scheduler::Config,
    /// Where events may be posted to.
    pub(crate) event_callbacks: Vec<String>,
    /// By which names the API is called, beside where members are reached.
    pub(crate) hosts: Vec<String>,
}

impl ServerArgs {
    /// These, and what the file says where these are absent.
    pub(crate) fn with_file(self) -> Result<Self, Violations> {
        let file = self.config.as_deref().map(read::<Self>).transpose()?.unwrap_or_default();
        Ok(Self {
            config: self.config,
            data_dir: self.data_dir.or(file.data_dir),
            listen: self.listen.or(file.listen),
            link_listen: self.link_listen.or(file.link_listen),
            advertise: self.advertise.or(file.advertise),
            insecure_network: self.insecure_network.or(file.insecure_network),
            cluster: self.cluster.or(file.cluster),
            id: self.id.or(file.id),
            members: self.members.or(file.members),
            snapshot_every: self.snapshot_every.or(file.snapshot_every),
            tick_ms: self.tick_ms.or(file.tick_ms),
            node_loss_after: self.node_loss_after.or(file.node_loss_after),
            settings: self.settings.or(file.settings),
            event_callbacks: self.event_callbacks.or(file.event_callbacks),
            hosts: self.hosts.or(file.hosts),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
        })
    }

    pub(crate) fn check(self) -> Result<(ServerConfig, LogConfig), Violations> {
        let mut violations = Violations::default();
        let wrong = &mut violations;
        let listen = address("listen", self.listen.as_deref().unwrap_or("127.0.0.1:8080"), wrong);
        let link_listen = address("link_listen", self.link_listen.as_deref().unwrap_or("127.0.0.1:4800"), wrong);
        if !link_listen.ip().is_loopback() && self.insecure_network != Some(true) {
            wrong.add(
                "link_listen",
                "members and agents are not encrypted or authenticated yet, and this address leaves the machine: set \
                 insecure_network = true if that network is yours alone",
            );
        }
        let data_dir = self.data_dir.unwrap_or_default();
        if data_dir.as_os_str().is_empty() {
            wrong.add("data_dir", "say where the log and the snapshots are to be kept");
        }
        let id = self.id.unwrap_or(1);
        let members = match self.members {
            Some(members) => {
                if self.advertise.is_some() {
                    wrong.add("advertise", "the list of members says where this one is reached: leave this out");
                }
                listed(id, members, wrong)
            }
            None => alone(id, self.advertise.as_deref(), listen, link_listen, wrong),
        };
        let tick_ms = self.tick_ms.unwrap_or(100);
        if !TICK_MS.contains(&tick_ms) {
            wrong.add("tick_ms", format!("is {tick_ms}, and must be {} to {}", TICK_MS.start(), TICK_MS.end()));
        }
        let snapshot_entries = self.snapshot_every.unwrap_or(10_000);
        if snapshot_entries < SNAPSHOT_EVERY_MIN {
            wrong.add("snapshot_every", format!("is {snapshot_entries}, and must be at least {SNAPSHOT_EVERY_MIN}"));
        }
        let node_loss_after = duration("node_loss_after", self.node_loss_after.as_deref().unwrap_or("10s"), wrong);
        if node_loss_after < NODE_LOSS_AFTER_MIN {
            wrong.add("node_loss_after", format!("must be at least {NODE_LOSS_AFTER_MIN:?}"));
        }
        let cluster = self.cluster.unwrap_or_else(|| "ekiden".to_owned());
        if cluster.is_empty() || cluster.len() > 63 {
            wrong.add("cluster", "must have 1 to 63 characters");
        }
        let event_callbacks = callbacks(self.event_callbacks.unwrap_or_default(), wrong);
        let hosts = hosts(self.hosts.unwrap_or_default(), wrong);
        let log = LogConfig::check(self.log.as_deref(), self.log_format, wrong);
        let tick = Duration::from_millis(tick_ms);
        let node_loss_after_ms = node_loss_after.as_millis() as u64;
        let settings = scheduler::Settings { node_loss_after_ms, ..self.settings.check(wrong) };
        let member = scheduler::Config { cluster, id, members, data_dir, tick, snapshot_entries, settings };
        violations.or((ServerConfig { listen, link_listen, member, event_callbacks, hosts }, log))
    }
}

/// Places that events may be posted to.
pub(super) fn callbacks(places: Vec<String>, violations: &mut Violations) -> Vec<String> {
    for place in &places {
        let is_place = format!("http://{place}/").parse::<axum::http::Uri>().is_ok_and(|it| {
            it.authority().is_some_and(|it| it.as_str() == place && !place.contains('@') && !it.host().is_empty())
        });
        if !is_place || place.contains(['/', '*']) {
            let why = format!("`{place}` is no place to post events to: write host:port, such as hooks.example:8080");
            violations.add("event_callbacks", why);
        }
    }
    places
}

/// Names under which the API is called.
pub(super) fn hosts(names: Vec<String>, violations: &mut Violations) -> Vec<String> {
    for name in names.iter().filter(|it| !api::origin::is_host(it)) {
        let why = format!("`{name}` is no name of a host: write ekiden.example, *.example or ekiden.example:8443");
        violations.add("hosts", why);
    }
    names
}

/// The members of a list.
fn listed(id: u64, list: Vec<MemberArg>, violations: &mut Violations) -> BTreeMap<u64, Member> {
    if !matches!(list.len(), 1 | 3) {
        violations.add("members", format!("there are {}, and must be one or three", list.len()));
    }
    let mut members = BTreeMap::new();
    for MemberArg { id, link, http } in list {
        if id == 0 {
            violations.add("members", "0 is no id");
        }
        reachable(&format!("members, {id}: link"), &link, violations);
        reachable(&format!("members, {id}: http"), &http, violations);
        if members.insert(id, Member { link, http }).is_some() {
            violations.add("members", format!("{id} is there twice"));
        }
    }
    if !members.contains_key(&id) {
        violations.add("id", format!("member {id} is not in the list of members"));
    }
    members
}

/// A cluster of one member.
fn alone(
    id: u64,
    advertise: Option<&str>,
    listen: SocketAddr,
    link_listen: SocketAddr,
    violations: &mut Violations,
) -> BTreeMap<u64, Member> {
    if id == 0 {
        violations.add("id", "0 is no id");
    }
    if advertise.is_none() && (listen.ip().is_unspecified() || link_listen.ip().is_unspecified()) {
        violations.add("advertise", "it listens on all addresses: say under which host it is reached");
    }
    let at = |it: SocketAddr| match advertise {
        Some(host) => format!("{host}:{}", it.port()),
        None => it.to_string(),
    };
    BTreeMap::from([(id, Member { link: at(link_listen), http: at(listen) })])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/config/server.toml");

    fn problems(args: ServerArgs) -> String {
        args.check().expect_err("something is wrong").to_string()
    }

    #[test]
    fn the_documented_file_is_loaded_and_names_every_key() {
        let args = ServerArgs { config: Some(DOCUMENTED.into()), ..ServerArgs::default() }.with_file().unwrap();
        let (config, _) = args.clone().check().unwrap();
        assert_eq!((config.member.id, config.member.members.len()), (1, 3));
        assert_eq!(config.member.members[&2].link, "10.0.0.2:4800");

        let text = std::fs::read_to_string(DOCUMENTED)
            .unwrap()
            .replace("# advertise", "advertise")
            .replace("# command_image", "command_image")
            .replace("# roles", "roles")
            .replace("# event_callbacks", "event_callbacks")
            .replace("# hosts", "hosts");
        let ServerArgs {
            config: _,
            data_dir: Some(_),
            listen: Some(_),
            link_listen: Some(_),
            advertise: Some(_),
            insecure_network: Some(_),
            cluster: Some(_),
            id: Some(_),
            members: Some(_),
            snapshot_every: Some(_),
            tick_ms: Some(_),
            node_loss_after: Some(_),
            settings:
                SettingsArgs {
                    deployment_deadline: Some(_),
                    min_live: Some(_),
                    leave_after: Some(_),
                    deployment_rollback: Some(_),
                    restart_on_policy_change: Some(_),
                    launch_timeout: Some(_),
                    max_deployments: Some(_),
                    command_image: Some(_),
                    roles: Some(_),
                    service_ports: Some(_),
                    unique_services: Some(_),
                },
            event_callbacks: Some(_),
            hosts: Some(_),
            log: Some(_),
            log_format: Some(_),
        } = toml::from_str(&text).unwrap()
        else {
            panic!("a key is not documented");
        };
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let documented = ServerArgs { config: Some(DOCUMENTED.into()), ..ServerArgs::default() };
        let (documented, _) = documented.with_file().unwrap().check().unwrap();
        let (bare, _) = ServerArgs { data_dir: Some("/x".into()), ..ServerArgs::default() }.check().unwrap();
        let defaults = |it: ServerConfig| {
            let member = it.member;
            (member.cluster, member.id, member.tick, member.snapshot_entries, member.settings)
        };
        assert_eq!(defaults(documented), defaults(bare));
    }

    #[test]
    fn events_are_posted_only_to_places_with_a_name() {
        let check = |places: &[&str]| {
            let event_callbacks = Some(places.iter().map(|&it| it.to_owned()).collect());
            ServerArgs { data_dir: Some("/x".into()), event_callbacks, ..ServerArgs::default() }.check()
        };
        let (config, _) = check(&["hooks.example:8080", "10.0.0.7", "[::1]:9000"]).unwrap();
        assert_eq!(config.event_callbacks, ["hooks.example:8080", "10.0.0.7", "[::1]:9000"]);
        for bad in ["", "*", "http://hooks.example", "hooks.example/x", "me@hooks.example", "a b", ":80"] {
            assert!(check(&[bad]).is_err_and(|it| it.to_string().contains("event_callbacks")), "{bad}");
        }
    }

    #[test]
    fn names_of_the_api_are_names() {
        let check = |names: &[&str]| {
            let hosts = Some(names.iter().map(|&it| it.to_owned()).collect());
            ServerArgs { data_dir: Some("/x".into()), hosts, ..ServerArgs::default() }.check()
        };
        let (config, _) = check(&["ekiden.example", "*.ops.example:8443"]).unwrap();
        assert_eq!(config.hosts, ["ekiden.example", "*.ops.example:8443"]);
        for bad in ["", "*", "https://ekiden.example", "a b"] {
            assert!(check(&[bad]).is_err_and(|it| it.to_string().contains("hosts: ")), "{bad}");
        }
    }

    #[test]
    fn what_is_typed_wins_over_the_file() {
        let typed = ServerArgs {
            config: Some(DOCUMENTED.into()),
            id: Some(3),
            listen: Some("localhost:1".to_owned()),
            members: Some(["3=a:1,a:2".parse().unwrap()].to_vec()),
            ..ServerArgs::default()
        };
        let (config, _) = typed.with_file().unwrap().check().unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:1");
        assert_eq!(config.member.members.keys().collect::<Vec<_>>(), [&3]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let args = ServerArgs {
            listen: Some("nowhere".to_owned()),
            link_listen: Some("0.0.0.0:4800".to_owned()),
            advertise: Some("me".to_owned()),
            id: Some(4),
            members: Some(["1=a:1,b".parse().unwrap(), "1=:1,b:0".parse().unwrap()].to_vec()),
            snapshot_every: Some(1),
            tick_ms: Some(5),
            node_loss_after: Some("soon".to_owned()),
            cluster: Some(String::new()),
            log: Some("==".to_owned()),
            ..ServerArgs::default()
        };
        let expect = "\
error: the configuration has 15 problems
  listen: `nowhere` is no address to listen on: write IP:port, such as 127.0.0.1:8080
  link_listen: members and agents are not encrypted or authenticated yet, and this address leaves the machine: set insecure_network = true if that network is yours alone
  data_dir: say where the log and the snapshots are to be kept
  advertise: the list of members says where this one is reached: leave this out
  members: there are 2, and must be one or three
  members, 1: http: `b` cannot be dialled: write host:port, such as 10.0.0.1:8080
  members, 1: link: `:1` cannot be dialled: write host:port, such as 10.0.0.1:8080
  members, 1: http: `b:0` cannot be dialled: write host:port, such as 10.0.0.1:8080
  members: 1 is there twice
  id: member 4 is not in the list of members
  tick_ms: is 5, and must be 10 to 1000
  snapshot_every: is 1, and must be at least 100
  node_loss_after: `soon` is no duration: write 90s, 10m or 1h30m
  cluster: must have 1 to 63 characters
  log: `==` is no filter: invalid filter directive
";
        assert_eq!(problems(args), expect);
    }

    #[test]
    fn one_member_is_reached_where_it_listens() {
        let args =
            ServerArgs { data_dir: Some("/x".into()), listen: Some("0.0.0.0:80".to_owned()), ..ServerArgs::default() };
        assert!(problems(args.clone()).contains("advertise: it listens on all addresses"));
        let (config, _) = ServerArgs { advertise: Some("me".to_owned()), ..args }.check().unwrap();
        assert_eq!(config.member.members[&1], Member { link: "me:4800".to_owned(), http: "me:80".to_owned() });
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        let err = toml::from_str::<ServerArgs>("data_dri = '/x'").unwrap_err().to_string();
        assert!(err.contains("line 1, column 1") && err.contains("unknown field `data_dri`"), "{err}");
    }
}

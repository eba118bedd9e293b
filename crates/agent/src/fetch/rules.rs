//! What may be fetched, from where, and what it is called then: pure.

use cluster::Fetch;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use url::Url;

/// What an operator allows apps to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchConfig {
    /// Anything at all.
    pub enabled: bool,
    /// Only addresses that begin so; any, if there is none.
    pub uris: Vec<String>,
    /// Directories of the node whose files may be fetched.
    pub files: Vec<PathBuf>,
    /// Which addresses names may lead to.
    pub reach: Reach,
    /// The certificates of CAs that are trusted beside those of the internet, for `https`.
    pub ca_file: Option<PathBuf>,
    /// What the files of one instance may take, unpacked, bytes.
    pub max_bytes: u64,
    /// What all of them may take.
    pub timeout: Duration,
    /// What the files that are kept for the next instance may take together, bytes.
    pub cache_bytes: u64,
}

/// Which addresses may be fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Those of the internet.
    Public,
    /// Also those of private networks.
    Private,
    /// Also link-local ones and the node's own, but for the metadata services of clouds, which give keys away.
    Any,
}

/// Why something may not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("this node fetches no files for apps; its agent's [fetch] enabled is not set")]
    Off,
    #[error("'{uri}' cannot be fetched: {problem}")]
    Malformed { uri: String, problem: &'static str },
    #[error("{uri} is not among what this node may fetch; its agent's [fetch] uris names {allowed}")]
    Uri { uri: String, allowed: String },
    #[error("{uri} leads to {address}, which this node may not fetch from; its agent's [fetch] reach is {reach:?}")]
    Address { uri: String, address: IpAddr, reach: Reach },
    #[error("{uri} leads to {address}, which this node may not fetch from: clouds give keys away there")]
    Metadata { uri: String, address: IpAddr },
    #[error(
        "{uri} leads to {address}, which this node may not fetch from: it is the node's own. Its agent's [fetch] uris \
         can name the server, or reach be \"any\""
    )]
    Own { uri: String, address: IpAddr },
    #[error("{} is not below a directory that this node may fetch from; its agent's [fetch] files names {allowed}", path.display())]
    File { path: PathBuf, allowed: String },
    #[error("destPath '{path}' must be a relative path without '..'")]
    Destination { path: String },
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A server.
    Web(Url),
    /// The node itself.
    File(PathBuf),
}

/// Where a URI leads, if that is allowed.
pub(super) fn source(config: &FetchConfig, uri: &str) -> Result<Source, Error> {
    if !config.enabled {
        return Err(Error::Off);
    }
    let malformed = |problem| Error::Malformed { uri: shown(uri), problem };
    if uri.starts_with('/') {
        return Ok(Source::File(PathBuf::from(uri)));
    }
    let url = Url::parse(uri).map_err(|_| malformed("it is no URI"))?;
    match url.scheme() {
        "http" | "https" => redirect(config, url).map(Source::Web),
        "file" => url.to_file_path().map(Source::File).map_err(|()| malformed("it names another machine")),
        _ => Err(malformed("its scheme is none of http, https and file")),
    }
}

/// A web address, if it is allowed: the first, and each that it redirects to.
pub(super) fn redirect(config: &FetchConfig, url: Url) -> Result<Url, Error> {
    let malformed = |problem| Error::Malformed { uri: shown(url.as_str()), problem };
    if !matches!(url.scheme(), "http" | "https") {
        return Err(malformed("it redirects to something else than http and https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(malformed("it has a user name or a password in it"));
    }
    if config.uris.is_empty() || config.uris.iter().any(|it| begins(&url, it)) {
        Ok(url)
    } else {
        Err(Error::Uri { uri: shown(url.as_str()), allowed: config.uris.join(", ") })
    }
}

/// Whether an address begins with an allowed one: the same server, and a path below its path.
fn begins(url: &Url, prefix: &str) -> bool {
    let Ok(prefix) = Url::parse(prefix) else { return false };
    let server = |it: &Url| (it.scheme().to_owned(), it.host_str().map(str::to_owned), it.port_or_known_default());
    let rest = url.path().strip_prefix(prefix.path());
    server(url) == server(&prefix)
        && rest.is_some_and(|it| prefix.path().ends_with('/') || it.is_empty() || it.starts_with('/'))
}

/// Addresses at which clouds tell a machine about itself, and give it keys, beside those in [`METADATA_NETS`].
const METADATA: [IpAddr; 15] = [
    // AWS, Azure, Google, OpenStack, DigitalOcean, Hetzner, Oracle, IBM, Linode, Vultr and most others.
    v4(169, 254, 169, 254),
    // AWS: the credentials of ECS tasks and of EKS pods.
    v4(169, 254, 170, 2),
    v4(169, 254, 170, 23),
    // Tencent.
    v4(169, 254, 0, 23),
    // Scaleway.
    v4(169, 254, 42, 42),
    // Azure: the WireServer, which looks like any other address of the internet.
    v4(168, 63, 129, 16),
    // Alibaba.
    v4(100, 100, 100, 200),
    // UCloud.
    v4(100, 80, 80, 80),
    // Volcengine.
    v4(100, 96, 0, 96),
    // Oracle Cloud Classic.
    v4(192, 0, 0, 192),
    // Google.
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),
    // Scaleway.
    v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42]),
    // Linode.
    v6([0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1]),
    // OpenStack.
    v6([0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe]),
    // Oracle.
    v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]),
];

/// All services of AWS to its machines: metadata, pod identity, names, time.
const METADATA_NETS: [[u16; 2]; 1] = [[0xfd00, 0xec2]];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(it: [u16; 8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(it[0], it[1], it[2], it[3], it[4], it[5], it[6], it[7]))
}

/// The addresses of this machine, as networks: an address and how many of its bits count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Own(Vec<(IpAddr, u8)>);

impl Own {
    /// As they are now, in the words of the kernel, and the one under which others reach the node.
    pub(super) fn now(reached_at: &str) -> Self {
        let read = |it| std::fs::read_to_string(it).unwrap_or_default();
        let mut own = Self::of(&read("/proc/net/fib_trie"), &read("/proc/net/if_inet6"));
        own.0.extend(reached_at.parse().ok().map(|it: IpAddr| (it, 128)));
        own
    }

    /// What `/proc/net/fib_trie` and `/proc/net/if_inet6` say.
    fn of(fib_trie: &str, if_inet6: &str) -> Self {
        let mut own = Vec::new();
        let mut last = None;
        for line in fib_trie.lines().map(str::trim) {
            if let Some(address) = line.strip_prefix("|-- ") {
                last = address.parse::<IpAddr>().ok();
            } else if let Some(rest) = line.strip_prefix('/').filter(|it| it.ends_with("host LOCAL")) {
                let bits = rest.split(' ').next().and_then(|it| it.parse().ok());
                own.extend(last.zip(bits));
            }
        }
        let inet6 = |line: &str| u128::from_str_radix(line.split_ascii_whitespace().next()?, 16).ok();
        own.extend(if_inet6.lines().filter_map(inet6).map(|it| (IpAddr::V6(it.into()), 128)));
        Self(own)
    }

    fn has(&self, address: IpAddr) -> bool {
        let is_in = |net: &(IpAddr, u8)| match (net.0, address) {
            (IpAddr::V4(own), IpAddr::V4(it)) => {
                (own.to_bits() ^ it.to_bits()).leading_zeros() >= u32::from(net.1).min(32)
            }
            (own, it) => own == it,
        };
        address.is_loopback() || address.is_unspecified() || self.0.iter().any(is_in)
    }
}

/// Whether what an address leads to may be fetched from.
pub(super) fn address_allowed(config: &FetchConfig, url: &Url, address: IpAddr, own: &Own) -> Result<(), Error> {
    let uri = || shown(url.as_str());
    for address in leads_to(address) {
        let is_net = |it: std::net::Ipv6Addr| METADATA_NETS.contains(&[it.segments()[0], it.segments()[1]]);
        if METADATA.contains(&address) || matches!(address, IpAddr::V6(it) if is_net(it)) {
            return Err(Error::Metadata { uri: uri(), address });
        }
        // Servers that the operator names by `uris` are named; every address that is asked is among them.
        if own.has(address) && config.uris.is_empty() && config.reach != Reach::Any {
            return Err(Error::Own { uri: uri(), address });
        }
    }
    if needed(address).is_some_and(|it| it <= config.reach) {
        Ok(())
    } else {
        Err(Error::Address { uri: uri(), address, reach: config.reach })
    }
}

/// The addresses at which a packet to this one may arrive: itself, and the IPv4 address that it carries.
fn leads_to(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let address = address.to_canonical();
    let inner = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(it) => match it.segments() {
            [0x64, 0xff9b, .., g, h] => Some((g, h)),
            [0x2002, b, c, ..] => Some((b, c)),
            // Teredo, whose client's address is written inverted.
            [0x2001, 0, .., g, h] => Some((!g, !h)),
            // ISATAP, and the old form of an IPv4 address.
            [.., 0 | 0x200, 0x5efe, g, h] | [0, 0, 0, 0, 0, 0, g, h] if (g, h) != (0, 1) && (g, h) != (0, 0) => {
                Some((g, h))
            }
            _ => None,
        },
    };
    let inner = inner.map(|(high, low)| IpAddr::from((u32::from(high) << 16 | u32::from(low)).to_be_bytes()));
    std::iter::once(address).chain(inner)
}

/// The least reach that an address needs; nothing is enough for those that are no single machine's.
fn needed(address: IpAddr) -> Option<Reach> {
    let [least, carried] = {
        let mut all = leads_to(address).map(least);
        [all.next()?, all.next().unwrap_or(Some(Reach::Public))]
    };
    Some(least?.max(carried?))
}

fn least(address: IpAddr) -> Option<Reach> {
    match address {
        IpAddr::V4(it) => {
            let [a, b, c, _] = it.octets();
            match (a, b, c) {
                (224.., ..) => None,
                // 192.0.0: for protocols.
                (169, 254, _) | (192, 0, 0) => Some(Reach::Any),
                (0 | 10 | 127, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) | (198, 18 | 19, _) => {
                    Some(Reach::Private)
                }
                _ => Some(Reach::Public),
            }
        }
        IpAddr::V6(it) => match it.segments() {
            [0xff00..=0xffff, ..] => None,
            [0xfe80..=0xfebf, ..] => Some(Reach::Any),
            // 64:ff9b:1::/48 is for translators inside of a network.
            [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] | [0, 0, 0, 0, 0, 0, ..] => {
                Some(Reach::Private)
            }
            _ => Some(Reach::Public),
        },
    }
}

/// Whether a file that was opened under one path, and is really at another, may be fetched.
pub(super) fn file_allowed(config: &FetchConfig, path: &Path, real: &Path) -> Result<(), Error> {
    let is_below = |dir: &PathBuf| real.starts_with(dir.canonicalize().as_ref().unwrap_or(dir));
    if config.files.iter().any(is_below) {
        return Ok(());
    }
    let names: Vec<String> = config.files.iter().map(|it| it.display().to_string()).collect();
    let allowed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(Error::File { path: path.to_owned(), allowed })
}

/// Where the file goes in the sandbox: its `destPath`, or the last part of its URI's path.
pub(super) fn destination(fetch: &Fetch) -> Result<PathBuf, Error> {
    let last = || {
        let path = fetch.uri.split(['?', '#']).next().unwrap_or_default();
        let path = path.split_once("://").map_or(path, |(_, it)| it);
        path.split_once('/').and_then(|(_, it)| it.rsplit('/').next()).unwrap_or_default().to_owned()
    };
    let name = fetch.dest_path.clone().unwrap_or_else(last);
    inside(Path::new(&name)).ok_or(Error::Destination { path: name })
}

/// A path that is below wherever it is put; nothing if it could be elsewhere. `./` is left out.
pub(super) fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    let plain = clean.to_str().is_none_or(|it| !it.contains('\0'));
    (plain && !clean.as_os_str().is_empty()).then_some(clean)
}

/// A URI for people: what is secret of it mostly stands in its query, or before an `@`.
pub(super) fn shown(uri: &str) -> String {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            let (server, path) = rest.split_once('/').map_or((rest, None), |(server, path)| (server, Some(path)));
            let server = server.rsplit('@').next().unwrap_or(server);
            path.map_or_else(|| format!("{scheme}://{server}"), |path| format!("{scheme}://{server}/{path}"))
        }
        None => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn config() -> FetchConfig {
        FetchConfig {
            enabled: true,
            uris: vec![],
            files: vec![],
            reach: Reach::Public,
            ca_file: None,
            max_bytes: 1 << 20,
            timeout: Duration::from_secs(5),
            cache_bytes: 1 << 20,
        }
    }

    #[test]
    fn only_what_begins_as_allowed_is_fetched() {
        let uris = vec!["https://files.example/apps".to_owned(), "http://10.0.0.1:8081/".to_owned()];
        let config = FetchConfig { uris, ..config() };
        for (uri, allowed) in [
            ("https://files.example/apps", true),
            ("https://files.example/apps/a.tgz?key=1", true),
            ("https://FILES.example:443/apps/a", true),
            ("http://10.0.0.1:8081/x", true),
            ("https://files.example/appsx/a", false),
            ("https://files.example/apps/../secret", false),
            ("https://files.example/apps/%2e%2e/secret", false),
            ("http://files.example/apps/a", false),
            ("https://files.example:444/apps/a", false),
            ("https://files.example.evil.example/apps/a", false),
            ("https://files.example@evil.example/apps/a", false),
            ("https://user:pw@files.example/apps/a", false),
            ("ftp://files.example/apps/a", false),
            ("hdfs://files.example/apps/a", false),
            ("apps/a", false),
        ] {
            assert_eq!(source(&config, uri).is_ok(), allowed, "{uri}: {:?}", source(&config, uri));
        }
        let off = FetchConfig { enabled: false, ..config };
        assert_eq!(source(&off, "https://files.example/apps/a"), Err(Error::Off));
    }

    #[test]
    fn addresses_are_judged_by_where_they_lead() {
        for (address, least) in [
            ("93.184.216.34", Some(Reach::Public)),
            ("2606:2800:220:1::1", Some(Reach::Public)),
            ("10.1.2.3", Some(Reach::Private)),
            ("172.16.0.1", Some(Reach::Private)),
            ("172.32.0.1", Some(Reach::Public)),
            ("192.168.1.1", Some(Reach::Private)),
            ("100.64.0.1", Some(Reach::Private)),
            ("127.0.0.1", Some(Reach::Private)),
            ("0.0.0.0", Some(Reach::Private)),
            ("::1", Some(Reach::Private)),
            ("::", Some(Reach::Private)),
            ("::ffff:127.0.0.1", Some(Reach::Private)),
            ("fd00::1", Some(Reach::Private)),
            ("169.254.1.1", Some(Reach::Any)),
            ("::ffff:169.254.1.1", Some(Reach::Any)),
            ("64:ff9b::a9fe:101", Some(Reach::Any)),
            ("64:ff9b::5db8:d822", Some(Reach::Public)),
            ("64:ff9b:1::5db8:d822", Some(Reach::Private)),
            ("2002:a9fe:101::1", Some(Reach::Any)),
            ("2001:0:5db8:d822:0:0:f501:fefe", Some(Reach::Private)),
            ("fe80::1", Some(Reach::Any)),
            ("224.0.0.1", None),
            ("255.255.255.255", None),
            ("ff02::1", None),
        ] {
            assert_eq!(needed(address.parse().unwrap()), least, "{address}");
        }
        let odd = Url::parse("http://0x7f.1/").unwrap();
        assert_eq!(odd.host_str(), Some("127.0.0.1"), "odd spellings are read before they are judged");
    }

    #[test]
    fn metadata_services_are_never_asked() {
        let anything = FetchConfig { reach: Reach::Any, uris: vec!["http://a.example/".into()], ..config() };
        let url = Url::parse("http://a.example/").unwrap();
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fe80::a9fe:a9fe",
            "::ffff:168.63.129.16",
            "::a9fe:a9fe",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a83f:8110",
            "2002:a9fe:a9fe::1",
            "2001:0:1:1::5601:5601",
            "fe80::5efe:a9fe:a9fe",
        ] {
            let judged = address_allowed(&anything, &url, address.parse().unwrap(), &Own::default());
            assert!(matches!(judged, Err(Error::Metadata { .. })), "{address}: {judged:?}");
        }
    }

    #[test]
    fn the_node_itself_is_asked_only_where_the_operator_says_so() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.1.0.0\n        /16 link UNICAST\nLocal:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.1.2.3\n        /32 host LOCAL\n     |-- 10.1.255.255\n        /32 link BROADCAST\n     |-- 127.0.0.0\n        /8 host LOCAL\n     |-- 203.0.113.64\n        /26 host LOCAL\n";
        let inet6 = "fd000000000000000000000000000005 02 40 00 80     eth0\n";
        let own = Own::of(trie, inet6);
        let url = Url::parse("http://a.example/").unwrap();
        let private = FetchConfig { reach: Reach::Private, ..config() };
        let named = FetchConfig { uris: vec!["http://a.example/".into()], ..private.clone() };
        let any = FetchConfig { reach: Reach::Any, ..config() };
        for (address, is_own) in [
            ("10.1.2.3", true),
            ("10.1.2.4", false),
            ("::ffff:10.1.2.3", true),
            ("64:ff9b::a01:203", true),
            ("127.5.5.5", true),
            ("0.0.0.0", true),
            ("::1", true),
            ("::", true),
            ("203.0.113.100", true),
            ("203.0.113.128", false),
            ("fd00::5", true),
            ("fd00::6", false),
        ] {
            let address = address.parse().unwrap();
            let judged = address_allowed(&private, &url, address, &own);
            assert_eq!(matches!(judged, Err(Error::Own { .. })), is_own, "{address}: {judged:?}");
            assert_eq!(address_allowed(&named, &url, address, &own), Ok(()), "{address}");
            assert_eq!(address_allowed(&any, &url, address, &own), Ok(()), "{address}");
        }
        let here = Own::now("198.51.100.7");
        assert!(here.has("127.0.0.1".parse().unwrap()) && here.has("198.51.100.7".parse().unwrap()));
    }

    #[test]
    fn a_file_has_a_name_and_stays_below() {
        let fetch = |uri: &str, dest: Option<&str>| Fetch {
            uri: uri.into(),
            extract: true,
            executable: false,
            cache: false,
            dest_path: dest.map(str::to_owned),
        };
        for (uri, dest, expect) in [
            ("https://a.example/x/b.tgz?c=d/e", None, Some("b.tgz")),
            ("file:///etc/docker.tar.gz", None, Some("docker.tar.gz")),
            ("/etc/docker.tar.gz", None, Some("docker.tar.gz")),
            ("https://a.example/b", Some("c/./d"), Some("c/d")),
            ("https://a.example/", None, None),
            ("https://a.example", None, None),
            ("https://a.example/..", None, None),
            ("https://a.example/b", Some("../d"), None),
            ("https://a.example/b", Some("/etc/d"), None),
            ("https://a.example/b", Some("c/../../d"), None),
            ("https://a.example/b", Some(""), None),
        ] {
            let found = destination(&fetch(uri, dest)).ok();
            assert_eq!(found.as_deref(), expect.map(Path::new), "{uri} {dest:?}");
        }
    }

    #[test]
    fn what_is_shown_keeps_secrets() {
        assert_eq!(shown("https://me:secret@a.example/b?token=secret#secret"), "https://a.example/b");
        assert_eq!(shown("/etc/a"), "/etc/a");
    }
}

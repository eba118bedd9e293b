//! What may be fetched, from where, and what it is called then: pure.

use cluster::Fetch;
use std::net::IpAddr;
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
    /// Also those of private networks, and of the node itself.
    Private,
    /// Also link-local ones, among them the metadata services of clouds, which give keys away.
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

/// Whether what an address leads to may be fetched from.
pub(super) fn address_allowed(config: &FetchConfig, url: &Url, address: IpAddr) -> Result<(), Error> {
    if needed(address).is_some_and(|it| it <= config.reach) {
        Ok(())
    } else {
        Err(Error::Address { uri: shown(url.as_str()), address, reach: config.reach })
    }
}

/// The least reach that an address needs; nothing is enough for those that are no single machine's.
fn needed(address: IpAddr) -> Option<Reach> {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            let [a, b, c, _] = it.octets();
            match (a, b, c) {
                (224.., ..) => None,
                // 192.0.0: for protocols, and the metadata service of one cloud.
                (169, 254, _) | (192, 0, 0) => Some(Reach::Any),
                (0 | 10 | 127, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) | (198, 18 | 19, _) => {
                    Some(Reach::Private)
                }
                _ => Some(Reach::Public),
            }
        }
        IpAddr::V6(it) => {
            let [a, b, ..] = it.segments();
            match a {
                0xff00.. => None,
                0xfe80..=0xfebf => Some(Reach::Any),
                _ if it.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Some(Reach::Any),
                0xfc00..=0xfdff | 0xfec0..=0xfeff => Some(Reach::Private),
                // Those that carry an IPv4 address go where that one goes.
                0x64 if b == 0xff9b => carried(it.segments()[6], it.segments()[7]),
                0x2002 => carried(b, it.segments()[2]),
                0 if it.segments()[..6] == [0; 6] => Some(Reach::Private),
                _ => Some(Reach::Public),
            }
        }
    }
}

fn carried(high: u16, low: u16) -> Option<Reach> {
    let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
    needed(IpAddr::from([a, b, c, d]))
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
            ("169.254.169.254", Some(Reach::Any)),
            ("::ffff:169.254.169.254", Some(Reach::Any)),
            ("64:ff9b::a9fe:a9fe", Some(Reach::Any)),
            ("2002:a9fe:a9fe::1", Some(Reach::Any)),
            ("192.0.0.192", Some(Reach::Any)),
            ("fe80::1", Some(Reach::Any)),
            ("fd00:ec2::254", Some(Reach::Any)),
            ("224.0.0.1", None),
            ("255.255.255.255", None),
            ("ff02::1", None),
        ] {
            assert_eq!(needed(address.parse().unwrap()), least, "{address}");
        }
        let url = Url::parse("http://0x7f.1/").unwrap();
        assert_eq!(url.host_str(), Some("127.0.0.1"), "odd spellings are read before they are judged");
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

//! Files that are there before an instance starts: fetched, unpacked, put into its sandbox.
//!
//! The agent is root and what it fetches comes from users, so it fetches nothing unless the operator says so, only from
//! where the operator says, and unpacks with its own hands: nothing lands outside of the sandbox, nothing is special,
//! nothing is larger than allowed (SEC-6, SEC-7; `docs/decisions/0012-fetch.md`).

mod archive;
mod cache;
mod rules;

use crate::dirs::{Dirs, private};
use crate::hands::Hands;
use crate::web::{self, Tls};
use api::causes::with_causes;
use archive::{Kind, Limits};
use cache::Cache;
use cluster::{Fetch, InstanceId};
use hyper::header::{CONTENT_LENGTH, LOCATION};
use rules::Source;
pub use rules::{FetchConfig, Reach};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_util::sync::CancellationToken;
use url::{Position, Url};

/// No more redirects are followed, and each is checked as the first address was.
const MAX_REDIRECTS: usize = 5;

/// A server that takes longer to be reached is away.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// From one word on the progress of a long download to the next.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A download is written in pieces of this size: few enough that a thread for each costs nothing.
const PIECE_BYTES: usize = 1 << 20;

/// `O_NONBLOCK`: opening a pipe does not wait for who writes into it.
const NONBLOCK: i32 = 0o4000;

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The operator does not allow it, or it is malformed.
    #[error(transparent)]
    Rule(#[from] rules::Error),
    /// The server did not give it.
    #[error("cannot fetch {uri}: {problem}")]
    Download {
        /// What, without its query.
        uri: String,
        /// Why.
        problem: String,
    },
    /// It could not be put into the sandbox.
    #[error("cannot unpack {uri}: {source}")]
    Unpack {
        /// What, without its query.
        uri: String,
        /// Why.
        source: archive::Error,
    },
    /// A file of the node could not be used.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An instance's directories could not be used.
    #[error(transparent)]
    Dirs(crate::dirs::Error),
    /// It was called off.
    #[error("the start was called off")]
    CalledOff,
}

/// Fetches. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    config: Arc<FetchConfig>,
    dirs: Dirs,
    /// Host name or address under which others reach the node.
    reached_at: String,
    /// For what takes milliseconds.
    hands: Hands,
    /// For what may take as long as the operator allows.
    file_hands: Hands,
}

/// What one start may use up, and who hears of it.
pub(crate) struct Start<'a> {
    pub(crate) instance: InstanceId,
    pub(crate) abandoned: &'a CancellationToken,
    pub(crate) progress: &'a (dyn Fn(String) + Send + Sync),
}

impl Fetcher {
    /// One that keeps to these rules.
    pub(crate) fn new(config: FetchConfig, dirs: Dirs, reached_at: &str, hands: Hands, file_hands: Hands) -> Self {
        Self { config: Arc::new(config), dirs, reached_at: reached_at.to_owned(), hands, file_hands }
    }

    /// Fetches everything into the sandboxes, which exist. What is allowed for one instance is for all of it together.
    pub(crate) async fn fetch_all(&self, sandboxes: &[(PathBuf, &[Fetch])], start: &Start<'_>) -> Result<(), Error> {
        let deadline = Instant::now() + self.config.timeout;
        let mut limits =
            Limits { bytes_left: self.config.max_bytes, deadline, called_off: start.abandoned.child_token() };
        // Whoever waits no longer must not leave a thread that goes on unpacking.
        let _call_off = limits.called_off.clone().drop_guard();
        for (sandbox, fetches) in sandboxes {
            for fetch in *fetches {
                limits = self.fetch(fetch, sandbox, limits, start).await?;
            }
        }
        Ok(())
    }

    async fn fetch(&self, fetch: &Fetch, sandbox: &Path, limits: Limits, start: &Start<'_>) -> Result<Limits, Error> {
        let source = rules::source(&self.config, &fetch.uri)?;
        let name = rules::destination(fetch)?;
        let uri = rules::shown(&fetch.uri);
        (start.progress)(format!("fetching {uri}"));
        let (file, temporary) = match source {
            Source::File(path) => {
                let fetcher = self.clone();
                (self.at_hand(move || fetcher.open(&path)).await?, None)
            }
            Source::Web(url) => {
                let cache = Cache::new(&self.dirs.cache(), self.config.cache_bytes);
                let (cached, known) = (cache.clone(), fetch.uri.clone());
                let found = if fetch.cache { self.at_hand(move || Ok(cached.find(&known))).await? } else { None };
                if let Some(file) = found {
                    (file, None)
                } else {
                    let part = self.dirs.download(start.instance);
                    self.download(url, &part, &limits, start).await?;
                    let (path, keep) = (part.clone(), fetch.cache.then(|| fetch.uri.clone()));
                    let open = move || {
                        let file = File::open(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
                        if let Some(uri) = keep {
                            cache.keep(&uri, &path);
                        }
                        Ok(file)
                    };
                    (self.at_hand(open).await?, Some(part))
                }
            }
        };
        let kind = if fetch.extract { Kind::of(&name) } else { None };
        (start.progress)(format!("{} {uri}", if kind.is_some() { "unpacking" } else { "placing" }));
        let (sandbox, executable) = (sandbox.to_owned(), fetch.executable);
        let unpack = move || {
            let mut limits = limits;
            let done = match kind {
                Some(kind) => archive::unpack(kind, file, &name, &sandbox, &mut limits),
                None => archive::put(file, &name, &sandbox, if executable { 0o755 } else { 0o644 }, &mut limits),
            };
            if let Some(part) = temporary {
                let _ = fs::remove_file(part);
            }
            done.map(|()| limits)
        };
        let unpacked = self.file_hands.run(unpack).await;
        match unpacked {
            Ok(Ok(limits)) => Ok(limits),
            Ok(Err(_)) if start.abandoned.is_cancelled() => Err(Error::CalledOff),
            Ok(Err(source)) => Err(Error::Unpack { uri, source }),
            Err(_) => Err(Error::CalledOff),
        }
    }

    /// Does this where it may wait for a disk.
    async fn at_hand<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.hands.run(work).await.unwrap_or(Err(Error::CalledOff))
    }

    /// A file of the node, if it really is below an allowed directory, and a plain one. What is checked is what was
    /// opened, not what the path led to a moment before.
    fn open(&self, path: &Path) -> Result<File, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let file = File::options().read(true).custom_flags(NONBLOCK).open(path).map_err(io)?;
        let real = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file))).map_err(io)?;
        rules::file_allowed(&self.config, path, &real)?;
        if !file.metadata().map_err(io)?.is_file() {
            return Err(io(io::Error::other("it is no plain file")));
        }
        Ok(file)
    }

    async fn download(&self, url: Url, to: &Path, limits: &Limits, start: &Start<'_>) -> Result<(), Error> {
        let shown = rules::shown(url.as_str());
        let failed = |problem: String| Error::Download { uri: shown.clone(), problem };
        let left = limits.deadline.saturating_duration_since(Instant::now());
        let work = tokio::time::timeout(left, self.follow(url, to, limits.bytes_left, start));
        match start.abandoned.run_until_cancelled(work).await {
            None => Err(Error::CalledOff),
            Some(Err(_)) => Err(failed(format!("it took longer than {} s", self.config.timeout.as_secs()))),
            Some(Ok(result)) => result,
        }
    }

    async fn follow(&self, mut url: Url, to: &Path, max_bytes: u64, start: &Start<'_>) -> Result<(), Error> {
        for _ in 0..=MAX_REDIRECTS {
            let shown = rules::shown(url.as_str());
            let failed = |problem: String| Error::Download { uri: shown.clone(), problem };
            let answer = self.ask(&url).await?;
            if answer.status.is_redirection() {
                let to = answer.headers.get(LOCATION).and_then(|it| it.to_str().ok());
                let to = to.and_then(|it| url.join(it).ok());
                let to = to.ok_or_else(|| failed(format!("answered {} without a place to go", answer.status)))?;
                url = rules::redirect(&self.config, to)?;
                continue;
            }
            if !answer.status.is_success() {
                return Err(failed(format!("answered {}", answer.status)));
            }
            return self.receive(answer, to, max_bytes, &shown, start).await;
        }
        Err(Error::Download { uri: rules::shown(url.as_str()), problem: "it redirects too often".to_owned() })
    }

    /// Writes an answer's body into a file, piece by piece.
    async fn receive(
        &self,
        mut answer: web::Answer,
        to: &Path,
        max_bytes: u64,
        uri: &str,
        start: &Start<'_>,
    ) -> Result<(), Error> {
        let failed = |problem: String| Error::Download { uri: uri.to_owned(), problem };
        let too_large = || failed(format!("it has more than the {max_bytes} bytes that are left for this instance"));
        let announced = answer.headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|it| it > max_bytes) {
            return Err(too_large());
        }
        let path = to.to_owned();
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        let create = move || private().create(true).truncate(true).write(true).open(&path).map_err(io(&path));
        let mut file = self.at_hand(create).await?;
        let (mut received, mut told) = (0u64, Instant::now());
        let mut piece = Vec::new();
        loop {
            let chunk = answer.chunk().await.map_err(|it| failed(with_causes(&it)))?;
            received += chunk.as_ref().map_or(0, |it| it.len() as u64);
            if received > max_bytes {
                return Err(too_large());
            }
            piece.extend_from_slice(chunk.as_deref().unwrap_or_default());
            if piece.len() >= PIECE_BYTES || chunk.is_none() {
                let (whole, path) = (std::mem::take(&mut piece), to.to_owned());
                let write = move || file.write_all(&whole).map(|()| file).map_err(io(&path));
                file = self.at_hand(write).await?;
            }
            if chunk.is_none() {
                return Ok(());
            }
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                (start.progress)(format!("fetching {uri}: {} MiB so far", received >> 20));
            }
        }
    }

    /// Asks a server where its name was seen to lead, and nowhere else: the name is resolved once, so that it cannot mean
    /// something else a moment later.
    async fn ask(&self, url: &Url) -> Result<web::Answer, Error> {
        let shown = rules::shown(url.as_str());
        let failed = |problem: String| Error::Download { uri: shown.clone(), problem };
        let port = url.port_or_known_default().unwrap_or(443);
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((bare, port)).await;
        let addresses: Vec<SocketAddr> = found.map_err(|it| failed(format!("{host}: {it}")))?.collect();
        // Looked at anew: addresses come and go.
        let own = rules::Own::now(&self.reached_at);
        for address in &addresses {
            rules::address_allowed(&self.config, url, address.ip(), &own)?;
        }
        let tls = if url.scheme() == "https" { Some(self.tls().map_err(failed)?) } else { None };
        let question = web::Question {
            tls: tls.as_ref(),
            host: bare,
            authority: &url[Position::BeforeHost..Position::AfterPort],
            target: &url[Position::BeforePath..Position::AfterQuery],
        };
        let answer = async {
            let stream = connect(&addresses).await.map_err(|it| format!("cannot connect to {host}:{port}: {it}"))?;
            // A handshake takes as much room as all the rest of a start.
            Box::pin(web::get(stream, &question)).await.map_err(|it| with_causes(&it))
        };
        answer.await.map_err(failed)
    }

    fn tls(&self) -> Result<Tls, String> {
        let trusted = self.config.ca_file.as_deref().map(authorities).transpose()?;
        Tls::verifying(trusted.unwrap_or_default()).map_err(|it| with_causes(&it))
    }
}

/// The first of these addresses that is reached; the time is for all of them together.
async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("its name leads nowhere");
    let turn = CONNECT_DEADLINE / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    for address in addresses {
        match tokio::time::timeout(turn, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::Error::new(io::ErrorKind::TimedOut, format!("{address} does not answer")),
        }
    }
    Err(failed)
}

/// The CAs of a file. It is read again for each download, so that it can be exchanged while the agent runs.
pub(crate) fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let of_file = |problem: String| format!("{}: {problem}", file.display());
    let pem = fs::read(file).map_err(|it| of_file(it.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|it| of_file(it.to_string()))?;
    if found.is_empty() { Err(of_file("there is no certificate in it".to_owned())) } else { Ok(found) }
}

/// Copies at most so much.
fn copy(from: &mut dyn Read, to: &mut dyn Write, limits: &mut Limits) -> Result<u64, archive::Error> {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        limits.check()?;
        let n = from.read(&mut buffer).map_err(archive::Error::Io)?;
        if n == 0 {
            return Ok(copied);
        }
        limits.take(n as u64)?;
        to.write_all(&buffer[..n]).map_err(archive::Error::Io)?;
        copied += n as u64;
    }
}

#[cfg(test)]
#[path = "fetch/tests.rs"]
mod tests;

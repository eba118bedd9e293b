//! A client's connection: whose it is, and how much a stranger may take of the server.

pub(crate) mod watch;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The other end of a request's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What a stranger may take of the server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections in all. Where there is one more, those whose clients are waited for longest are closed, of the
    /// address that has most; while all are being answered, it waits.
    pub connections_max: usize,
    /// Connections of one address; for one more, the laziest of the same address are closed.
    pub connections_per_address_max: usize,
    /// From a request's first byte to the end of its headers; a slower client is disconnected.
    pub head_timeout: Duration,
    /// An idle connection is closed after this time.
    pub idle_timeout: Duration,
    /// A client that takes nothing of its answer for so long is disconnected; readers of events too.
    pub write_timeout: Duration,
    /// No head is longer, bytes.
    pub head_bytes_max: usize,
    /// No head has more headers.
    pub headers_max: usize,
    /// At the end requests have so long to finish.
    pub drain_timeout: Duration,
}

/// So many connections are enough for anybody; each may take some tens of KiB.
const CONNECTIONS_MAX: usize = 8192;
/// This part of the files that a process may open is for connections of the API, one in so many: the rest is for the
/// log, the other members, the agents, the engine.
const FILES_SHARE: u64 = 2;

impl Limits {
    /// The limits of a process that may have so many files open.
    pub fn within(files_max: u64) -> Self {
        let connections_max =
            usize::try_from(files_max / FILES_SHARE).map_or(CONNECTIONS_MAX, |it| it.min(CONNECTIONS_MAX));
        Self { connections_max, connections_per_address_max: (connections_max / 2).max(1), ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            connections_per_address_max: CONNECTIONS_MAX / 2,
            head_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            head_bytes_max: 32 * 1024,
            headers_max: 100,
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Bits of an IPv6 address that belong to one site; what is behind them anybody there can choose.
const SITE_BITS: u32 = 64;

/// What is counted as one peer: an IPv4 address, or a site's part of an IPv6 address.
pub(crate) fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) if !it.is_loopback() => {
            let mask = u128::MAX << (u128::BITS - SITE_BITS);
            Ipv6Addr::from_bits(it.to_bits() & mask).into()
        }
        it => it,
    }
}

//! Which addresses are members': what a stand-by says of whom it passes a request on for is believed.
//!
//! Members do not prove who they are yet, so they are known by where they are reached. Whoever calls from such an
//! address could as well be the member: what hangs on it is only whose name stands in the log and in events.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Names are looked up again after so long.
const LOOKED_UP_EVERY: Duration = Duration::from_secs(30);
/// A resolver that takes longer knows nothing.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the names led, and when.
type LookedUp = Option<(Instant, BTreeSet<IpAddr>)>;

/// The other members. A clone is a handle to the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    addresses: BTreeSet<IpAddr>,
    /// Those that are known by name.
    names: Vec<String>,
    looked_up: Arc<Mutex<LookedUp>>,
}

impl Members {
    /// Members that are reached there, each a host and a port.
    pub(crate) fn new(places: &[String]) -> Self {
        let mut members = Self::default();
        for place in places {
            let host = place.rsplit_once(':').map_or(place.as_str(), |(host, _)| host);
            match host.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(address) => drop(members.addresses.insert(address.to_canonical())),
                Err(_) => members.names.push(host.to_owned()),
            }
        }
        members
    }

    /// Whether a member is reached at this address.
    pub(crate) async fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.addresses.contains(&address) || (!self.names.is_empty() && self.look_up().await.contains(&address))
    }

    async fn look_up(&self) -> BTreeSet<IpAddr> {
        let mut looked_up = self.looked_up.lock().await;
        let now = Instant::now();
        if let Some((at, addresses)) = &*looked_up
            && now.duration_since(*at) < LOOKED_UP_EVERY
        {
            return addresses.clone();
        }
        let mut addresses = BTreeSet::new();
        for name in &self.names {
            let found = tokio::time::timeout(LOOK_UP_TIMEOUT, tokio::net::lookup_host((name.as_str(), 0))).await;
            if let Ok(Ok(found)) = found {
                addresses.extend(found.map(|it| it.ip().to_canonical()));
            } else {
                tracing::debug!(name, "the name of a member leads nowhere");
            }
        }
        *looked_up = Some((now, addresses.clone()));
        addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn members_are_known_by_address_and_by_name() {
        let members = Members::new(&["10.0.0.2:8080".to_owned(), "[2001:db8::3]:80".to_owned()]);
        for (address, expect) in [
            ("10.0.0.2", true),
            ("::ffff:10.0.0.2", true),
            ("2001:db8::3", true),
            ("10.0.0.3", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(members.has(address.parse().unwrap()).await, expect, "{address}");
        }
        let named = Members::new(&["localhost:8080".to_owned()]);
        assert!(named.has("127.0.0.1".parse().unwrap()).await || named.has("::1".parse().unwrap()).await);
        assert!(!Members::new(&[]).has("127.0.0.1".parse().unwrap()).await);
    }
}

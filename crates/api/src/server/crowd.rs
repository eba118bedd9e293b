//! Who is connected, and who has to go where there is no room for another one.

use crate::connection::{Limits, site, watch::Watch};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Where there is no room, so many are dismissed at once (one in 32), so that not everybody is looked at each time.
const SHARE_DISMISSED: usize = 32;

/// All connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    last: u64,
    n: usize,
    of: BTreeMap<IpAddr, BTreeMap<u64, Watch>>,
}

/// A connection that is in the crowd as long as this lives.
#[derive(Debug)]
pub(super) struct Entered {
    crowd: Crowd,
    site: IpAddr,
    number: u64,
}

impl Crowd {
    /// Takes a connection in, unless all that its address may have are being answered. Where there is no room, the
    /// laziest are dismissed: of that address if it has too many, or else of the one that has most.
    pub(super) fn enter(&self, address: IpAddr, watch: Watch, limits: &Limits) -> Option<Entered> {
        let site = site(address);
        let mut inside = self.inside();
        let n = inside.of.get(&site).map_or(0, BTreeMap::len);
        if n >= limits.connections_per_address_max {
            if inside.dismiss(site, limits.connections_per_address_max) == 0 {
                return None;
            }
        } else if inside.n >= limits.connections_max
            && let Some(largest) = inside.largest()
            && inside.dismiss(largest, limits.connections_max) == 0
        {
            let others: Vec<_> = inside.of.keys().copied().collect();
            let _ = others.into_iter().find(|it| inside.dismiss(*it, limits.connections_max) > 0);
        }
        inside.last += 1;
        inside.n += 1;
        let number = inside.last;
        inside.of.entry(site).or_default().insert(number, watch);
        Some(Entered { crowd: self.clone(), site, number })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// The address with the most connections.
    fn largest(&self) -> Option<IpAddr> {
        self.of.iter().max_by_key(|(_, of)| of.len()).map(|(site, _)| *site)
    }

    /// Dismisses the laziest of an address; how many.
    fn dismiss(&mut self, site: IpAddr, max: usize) -> usize {
        let Some(of) = self.of.get(&site) else { return 0 };
        let mut lazy: Vec<(Instant, u64)> =
            of.iter().filter_map(|(number, watch)| Some((watch.lazy_since()?, *number))).collect();
        lazy.sort_unstable();
        lazy.truncate((max / SHARE_DISMISSED).max(1));
        for (_, number) in &lazy {
            if let Some(watch) = of.get(number) {
                watch.dismiss();
            }
        }
        for (_, number) in &lazy {
            self.leave(site, *number);
        }
        lazy.len()
    }

    fn leave(&mut self, site: IpAddr, number: u64) {
        let Some(of) = self.of.get_mut(&site) else { return };
        self.n -= usize::from(of.remove(&number).is_some());
        if of.is_empty() {
            self.of.remove(&site);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.crowd.inside().leave(self.site, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limits(connections_max: usize, connections_per_address_max: usize) -> Limits {
        Limits { connections_max, connections_per_address_max, ..Limits::default() }
    }

    fn address(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    #[test]
    fn one_site_is_one_peer() {
        for (one, other, same) in [
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("2001:db8::1", "2001:db8::2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            assert_eq!(site(one.parse().unwrap()) == site(other.parse().unwrap()), same, "{one} and {other}");
        }
    }

    #[test]
    fn whoever_has_most_makes_room() {
        let (crowd, limits) = (Crowd::default(), limits(40, 32));
        let of_one = Watch::new();
        let first = crowd.enter(address(1), of_one.clone(), &limits).unwrap();
        let crowded: Vec<_> = (0..64)
            .map(|_| {
                let watch = Watch::new();
                (watch.clone(), crowd.enter(address(2), watch, &limits).unwrap())
            })
            .collect();
        let dismissed = crowded.iter().filter(|(it, _)| it.is_dismissed()).count();
        assert_eq!(dismissed, 32, "no more than its share stay");
        assert!(crowded[..32].iter().all(|(it, _)| it.is_dismissed()), "the laziest go");
        let more: Vec<_> = (3..30).map(|n| crowd.enter(address(n), Watch::new(), &limits).unwrap()).collect();
        assert!(!of_one.is_dismissed(), "though it has been idle for longest");
        assert!(crowd.inside().n <= 40 + 1);
        drop((first, crowded, more));
        assert_eq!(crowd.inside().n, 0);
        assert!(crowd.inside().of.is_empty());
    }

    #[test]
    fn nobody_who_is_being_answered_is_dismissed() {
        let (crowd, limits) = (Crowd::default(), limits(2, 2));
        let busy = [Watch::busy(), Watch::busy()];
        let entered: Vec<_> = busy.iter().map(|it| crowd.enter(address(1), it.clone(), &limits).unwrap()).collect();
        assert!(crowd.enter(address(1), Watch::new(), &limits).is_none());
        assert!(crowd.enter(address(2), Watch::new(), &limits).is_some(), "others wait for a place");
        assert!(!busy.iter().any(Watch::is_dismissed));
        // A client that takes nothing of its answer is not waited for.
        busy[1].wrote(false);
        assert!(busy[1].deadline(&limits) <= Instant::now() + Duration::from_secs(30));
        assert!(crowd.enter(address(1), Watch::new(), &limits).is_some());
        assert!(busy[1].is_dismissed() && !busy[0].is_dismissed());
        drop(entered);
    }
}

//! Who reads the stream of events: so many in all, so many of one address, and the laziest goes where there is no room.

use crate::connection::site;
use crate::connection::watch::Watch;
use crate::error::Error;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// How many may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadersMax {
    /// In all.
    pub all: usize,
    /// From one address.
    pub per_address: usize,
}

impl ReadersMax {
    /// Beside so many connections: half of them may be readers, and an eighth of these from one address. The others
    /// are for those who come with a request and go.
    pub fn beside(connections_max: usize) -> Self {
        let all = (connections_max / 2).max(1);
        Self { all, per_address: (all / 8).max(1) }
    }
}

/// All readers. A clone is a handle to the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    max: ReadersMax,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    last: u64,
    n: usize,
    of: BTreeMap<Option<IpAddr>, BTreeMap<u64, Arc<Place>>>,
}

/// How far a reader is.
#[derive(Debug)]
struct Place {
    /// Behind which entry it stopped to take more, and when; `None` while it has all and waits for more.
    behind: Mutex<Option<(u64, Instant)>>,
    /// Its connection, where there is one.
    connection: Option<Watch>,
    gone: CancellationToken,
}

/// One reader, as long as this lives.
#[derive(Debug)]
pub(crate) struct Seated {
    readers: Readers,
    site: Option<IpAddr>,
    number: u64,
    place: Arc<Place>,
}

impl Readers {
    pub(crate) fn new(max: ReadersMax) -> Self {
        Self { max, inside: Arc::default() }
    }

    /// Takes a reader in. Where there is no room, the one that is furthest behind is sent away: of the same address if
    /// that has too many, or else of the one that has most.
    ///
    /// # Errors
    /// There is no room, and all have read what there is.
    pub(crate) fn sit(&self, address: Option<IpAddr>, connection: Option<Watch>) -> Result<Seated, Error> {
        let site = address.map(site);
        let mut inside = self.inside();
        let full = || Error::Busy { what: "readers of events" };
        if inside.of.get(&site).is_some_and(|it| it.len() >= self.max.per_address) {
            inside.send_away(|it| *it == site).ok_or_else(full)?;
        } else if inside.n >= self.max.all {
            let largest = inside.of.iter().max_by_key(|(_, of)| of.len()).map(|(site, _)| *site);
            let gone = inside.send_away(|it| Some(*it) == largest).or_else(|| inside.send_away(|_| true));
            gone.ok_or_else(full)?;
        }
        inside.last += 1;
        inside.n += 1;
        let number = inside.last;
        let place = Arc::new(Place { behind: Mutex::new(None), connection, gone: CancellationToken::new() });
        inside.of.entry(site).or_default().insert(number, Arc::clone(&place));
        Ok(Seated { readers: self.clone(), site, number, place })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Sends the reader away that is furthest behind, of those of these sites; `None` if none is behind.
    fn send_away(&mut self, sites: impl Fn(&Option<IpAddr>) -> bool) -> Option<()> {
        let of_sites = self.of.iter().filter(|(site, _)| sites(site));
        let all = of_sites.flat_map(|(site, of)| of.iter().map(|(number, place)| (*site, *number, place)));
        let behind = all.filter_map(|(site, number, place)| Some((place.behind()?, site, number)));
        let (_, site, number) = behind.min()?;
        let place = self.leave(site, number)?;
        place.gone.cancel();
        if let Some(connection) = &place.connection {
            connection.dismiss();
        }
        tracing::info!(address = ?site, "the laziest reader of events is sent away for another one");
        Some(())
    }

    fn leave(&mut self, site: Option<IpAddr>, number: u64) -> Option<Arc<Place>> {
        let of = self.of.get_mut(&site)?;
        let place = of.remove(&number)?;
        self.n -= 1;
        if of.is_empty() {
            self.of.remove(&site);
        }
        Some(place)
    }
}

impl Place {
    fn behind(&self) -> Option<(u64, Instant)> {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seated {
    /// The client took all that there was, and waits.
    pub(crate) fn waits(&self) {
        *self.place.behind.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The client is sent something, the last of it of this entry: until it asks for more it is behind.
    pub(crate) fn is_sent(&self, entry: u64) {
        *self.place.behind.lock().unwrap_or_else(PoisonError::into_inner) = Some((entry, Instant::now()));
    }

    /// Ends when the reader is sent away.
    pub(crate) async fn gone(&self) {
        self.place.gone.cancelled().await;
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.readers.inside().leave(self.site, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    fn is_gone(seated: &Seated) -> bool {
        seated.place.gone.is_cancelled()
    }

    #[test]
    fn the_one_furthest_behind_makes_room() {
        let readers = Readers::new(ReadersMax { all: 10, per_address: 3 });
        let of_one: Vec<_> = (0..3).map(|_| readers.sit(Some(address(1)), None).unwrap()).collect();
        assert!(readers.sit(Some(address(1)), None).is_err(), "all have read what there is");
        assert!(readers.sit(Some(address(2)), None).is_ok());
        of_one[0].is_sent(70);
        of_one[1].is_sent(50);
        of_one[2].is_sent(60);
        of_one[2].waits();
        let fourth = readers.sit(Some(address(1)), None).unwrap();
        assert_eq!(of_one.iter().map(is_gone).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(readers.inside().n, 3);
        drop(of_one);
        assert_eq!(readers.inside().n, 1);
        drop(fourth);
        assert!(readers.inside().of.is_empty());
    }

    #[test]
    fn whoever_reads_most_makes_room_for_others() {
        let readers = Readers::new(ReadersMax { all: 6, per_address: 4 });
        let few = readers.sit(Some(address(1)), None).unwrap();
        few.is_sent(1);
        let many: Vec<_> = (0..4).map(|_| readers.sit(Some(address(2)), None).unwrap()).collect();
        let other = readers.sit(Some(address(3)), None).unwrap();
        many[3].is_sent(100);
        let newcomer = readers.sit(Some(address(4)), None).unwrap();
        assert!(is_gone(&many[3]) && !is_gone(&few), "though that one is further behind");
        let next = readers.sit(Some(address(4)), None).unwrap();
        assert!(is_gone(&few), "nobody else is behind");
        assert!(readers.sit(Some(address(5)), None).is_err());
        drop((other, newcomer, next));
    }
}

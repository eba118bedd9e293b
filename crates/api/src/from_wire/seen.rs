//! What stands twice in a list.

use crate::work;
use cluster::Protocol;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The items of a list that were met so far. Every comparison between items of one list is made here.
pub(super) struct Seen<T>(BTreeSet<Counted<T>>);

impl<T: Ord> Seen<T> {
    pub(super) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Takes an item in; false where it was there before.
    pub(super) fn is_new(&mut self, item: T) -> bool {
        self.0.insert(Counted(item))
    }

    /// Whether an item was met.
    pub(super) fn has(&self, item: T) -> bool {
        self.0.contains(&Counted(item))
    }
}

impl<T: Ord> FromIterator<T> for Seen<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().map(Counted).collect())
    }
}

/// The numbers of ports that were met so far, each transport by itself.
pub(super) struct SeenPorts {
    tcp: Seen<u16>,
    udp: Seen<u16>,
}

impl SeenPorts {
    pub(super) const fn new() -> Self {
        Self { tcp: Seen::new(), udp: Seen::new() }
    }

    /// Takes a port in; false where its number was there before for one of its transports.
    pub(super) fn are_new(&mut self, number: u16, protocol: Protocol) -> bool {
        let by_tcp = !protocol.has_tcp() || self.tcp.is_new(number);
        let by_udp = !protocol.has_udp() || self.udp.is_new(number);
        by_tcp && by_udp
    }
}

#[derive(PartialEq, Eq)]
struct Counted<T>(T);

impl<T: Ord> PartialOrd for Counted<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> Ord for Counted<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        work::did(1);
        self.0.cmp(&other.0)
    }
}

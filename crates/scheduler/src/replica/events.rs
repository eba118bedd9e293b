//! What happened lately, kept for those who come back for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Where the replica puts events. Its readers end with it.
pub(super) struct Ring<E> {
    kept: Arc<Mutex<Kept<E>>>,
    /// The last entry whose events are in.
    through: watch::Sender<u64>,
}

/// Where readers start from.
pub(super) struct Source<E> {
    kept: Arc<Mutex<Kept<E>>>,
    through: watch::Receiver<u64>,
}

/// The events of the last entries, at most one of each. One writer, any number of readers at their own pace.
struct Kept<E> {
    /// Each with its entry and its weight.
    events: VecDeque<(u64, E, usize)>,
    /// Events of entries up to here are no longer kept.
    floor: u64,
    /// How many bytes an event takes, about.
    weight: fn(&E) -> usize,
    /// What all that are kept take.
    bytes: usize,
    /// And at most.
    bytes_max: usize,
}

impl<E: Clone> Ring<E> {
    /// Returns an empty ring behind entry `floor`, for events that take `bytes_max` bytes together.
    pub(super) fn new(bytes_max: usize, weight: fn(&E) -> usize, floor: u64) -> Self {
        let kept = Kept { events: VecDeque::new(), floor, weight, bytes: 0, bytes_max };
        Self { kept: Arc::new(Mutex::new(kept)), through: watch::channel(floor).0 }
    }

    pub(super) fn source(&self) -> Source<E> {
        Source { kept: Arc::clone(&self.kept), through: self.through.subscribe() }
    }

    /// Adds what happened up to entry `through`. With `replaced`, what happened before it was never told.
    pub(super) fn push(&self, replaced: Option<u64>, events: Vec<(u64, E)>, through: u64) {
        if replaced.is_none() && events.is_empty() {
            return;
        }
        let mut kept = lock(&self.kept);
        if let Some(index) = replaced {
            (kept.bytes, kept.floor) = (0, index);
            kept.events.clear();
        }
        for (index, event) in events.into_iter().filter(|it| it.0 > replaced.unwrap_or(0)) {
            kept.add(index, event);
        }
        drop(kept);
        self.through.send_replace(through);
    }
}

impl<E> Kept<E> {
    /// Adds an event, and forgets the oldest ones for it. The last one stays, whatever its size.
    fn add(&mut self, index: u64, event: E) {
        let weight = (self.weight)(&event);
        self.bytes += weight;
        self.events.push_back((index, event, weight));
        while self.bytes > self.bytes_max && self.events.len() > 1 {
            let Some((index, _, weight)) = self.events.pop_front() else { return };
            (self.bytes, self.floor) = (self.bytes - weight, index);
        }
    }
}

impl<E> Clone for Source<E> {
    fn clone(&self) -> Self {
        Self { kept: Arc::clone(&self.kept), through: self.through.clone() }
    }
}

/// One reader of events.
pub struct Events<E> {
    source: Source<E>,
    /// The last entry whose events were read.
    position: u64,
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<E> {
    /// Events in order, each with the index of its entry.
    Events(Vec<(u64, E)>),
    /// Events of entries up to this one are missing: they are no longer kept.
    Gap(u64),
    /// The replica has stopped.
    End,
}

impl<E: Clone> Events<E> {
    pub(super) fn new(source: Source<E>, after: Option<u64>) -> Self {
        let position = after.unwrap_or(*source.through.borrow());
        Self { source, position }
    }

    /// Waits for what happens next.
    pub async fn next(&mut self) -> Next<E> {
        loop {
            // Marked as seen before looking, so that nothing falls in between.
            self.source.through.borrow_and_update();
            if let Some(next) = self.take() {
                return next;
            }
            if self.source.through.changed().await.is_err() {
                return Next::End;
            }
        }
    }

    fn take(&mut self) -> Option<Next<E>> {
        let kept = lock(&self.source.kept);
        if self.position < kept.floor {
            self.position = kept.floor;
            return Some(Next::Gap(kept.floor));
        }
        let start = kept.events.partition_point(|it| it.0 <= self.position);
        let events = kept.events.range(start..).map(|(index, event, _)| (*index, event.clone()));
        let events: Vec<_> = events.collect();
        self.position = events.last()?.0;
        Some(Next::Events(events))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn each_event_is_weighed_once() {
        static N_WEIGHED: AtomicUsize = AtomicUsize::new(0);
        let weigh = |it: &usize| {
            N_WEIGHED.fetch_add(1, Ordering::Relaxed);
            *it
        };
        let ring = Ring::new(100, weigh, 0);
        ring.push(None, (1..=9).map(|n| (n, 30)).collect(), 9);
        assert_eq!(N_WEIGHED.load(Ordering::Relaxed), 9);
    }

    #[test]
    fn events_are_kept_by_what_they_weigh() {
        let ring = Ring::new(100, |it: &usize| *it, 0);
        ring.push(None, (1..=9).map(|n| (n, 30)).collect(), 9);
        let kept = |after| Events::new(ring.source(), Some(after)).take();
        assert_eq!(kept(0), Some(Next::Gap(6)));
        assert_eq!(kept(6), Some(Next::Events(vec![(7, 30), (8, 30), (9, 30)])));
        ring.push(None, vec![(10, 5_000)], 10);
        assert_eq!(kept(0), Some(Next::Gap(9)), "the last one stays, whatever it weighs");
        assert_eq!(kept(9), Some(Next::Events(vec![(10, 5_000)])));
    }
}

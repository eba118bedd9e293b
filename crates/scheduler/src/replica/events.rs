//! What happened lately, kept for those who come back for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The events of the last entries. One writer, any number of readers at their own pace.
pub(super) struct Ring<E> {
    kept: Mutex<Kept<E>>,
    /// The last entry whose events are in.
    through: watch::Sender<u64>,
}

struct Kept<E> {
    events: VecDeque<(u64, E)>,
    /// Events of entries up to here are no longer kept.
    floor: u64,
    max: usize,
}

impl<E: Clone> Ring<E> {
    /// Returns an empty ring behind entry `floor`.
    pub(super) fn new(max: usize, floor: u64) -> Self {
        Self {
            kept: Mutex::new(Kept {
                events: VecDeque::new(),
                floor,
                max,
            }),
            through: watch::channel(floor).0,
        }
    }

    /// Adds what happened up to entry `through`. With `replaced`, what happened before it was never told.
    pub(super) fn push(&self, replaced: Option<u64>, events: Vec<(u64, E)>, through: u64) {
        if replaced.is_none() && events.is_empty() {
            return;
        }
        let mut kept = self.lock();
        if let Some(index) = replaced {
            kept.events.clear();
            kept.floor = index;
        }
        let replaced = replaced.unwrap_or(0);
        kept.events.extend(events.into_iter().filter(|it| it.0 > replaced));
        while kept.events.len() > kept.max {
            // Whole entries: half of one would be a gap that nobody can name.
            let index = kept.events[0].0;
            kept.floor = index;
            while kept.events.front().is_some_and(|it| it.0 == index) {
                kept.events.pop_front();
            }
        }
        drop(kept);
        self.through.send_replace(through);
    }

    fn lock(&self) -> MutexGuard<'_, Kept<E>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader of events.
pub struct Events<E> {
    ring: Arc<Ring<E>>,
    through: watch::Receiver<u64>,
    /// The last entry whose events were read.
    position: u64,
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<E> {
    /// Events in order, each with the index of its entry. All events of an entry come together.
    Events(Vec<(u64, E)>),
    /// Events of entries up to this one are missing: they are no longer kept.
    Gap(u64),
    /// The replica has stopped.
    End,
}

impl<E: Clone> Events<E> {
    pub(super) fn new(ring: Arc<Ring<E>>, after: Option<u64>) -> Self {
        let through = ring.through.subscribe();
        let position = after.unwrap_or(*through.borrow());
        Self {
            ring,
            through,
            position,
        }
    }

    /// Waits for what happens next.
    pub async fn next(&mut self) -> Next<E> {
        loop {
            // Marked as seen before looking, so that nothing falls in between.
            self.through.borrow_and_update();
            if let Some(next) = self.take() {
                return next;
            }
            if self.through.changed().await.is_err() {
                return Next::End;
            }
        }
    }

    fn take(&mut self) -> Option<Next<E>> {
        let kept = self.ring.lock();
        if self.position < kept.floor {
            self.position = kept.floor;
            return Some(Next::Gap(kept.floor));
        }
        let start = kept.events.partition_point(|it| it.0 <= self.position);
        let events: Vec<_> = kept.events.range(start..).cloned().collect();
        self.position = events.last()?.0;
        Some(Next::Events(events))
    }
}

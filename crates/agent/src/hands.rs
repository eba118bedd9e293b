//! Work that waits for a disk: on threads of its own, so that whatever hangs there stops neither probes nor reports.
//!
//! There are so many hands for each kind of work; what finds none free waits for its turn. The node says so when its
//! hands are tied: an instance more would only wait with the others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot};

/// Hands for one kind of work. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Hands {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// What it is that they do, as in `they are busy with ...`.
    work: &'static str,
    n: usize,
    turns: Semaphore,
    /// Work that takes longer hangs.
    patience: Duration,
    next: AtomicU64,
    busy: Mutex<Busy>,
}

#[derive(Debug, Default)]
struct Busy {
    waiting: BTreeMap<u64, Instant>,
    working: BTreeMap<u64, Instant>,
}

/// Whoever did the work is gone, without a result.
#[derive(Debug, thiserror::Error)]
#[error("the work came to nothing")]
pub(crate) struct Dropped;

impl Hands {
    /// So many hands. `work` is what they are busy with; it hangs if it takes longer than `patience`.
    pub(crate) fn new(n: usize, work: &'static str, patience: Duration) -> Self {
        let (turns, next, busy) = (Semaphore::new(n), AtomicU64::new(0), Mutex::default());
        Self { inner: Arc::new(Inner { work, n, turns, patience, next, busy }) }
    }

    /// Hands for the directories of instances. Each takes milliseconds on a disk that answers.
    pub(crate) fn for_directories() -> Self {
        Self::new(4, "directories", Duration::from_secs(10))
    }

    /// Hands for large files. How long one may take the operator says; who waits for a hand for half a minute waits
    /// for a node that has too much to do.
    pub(crate) fn for_files(patience: Duration) -> Self {
        Self::new(4, "files that are fetched", patience)
    }

    /// Does this on a thread of its own as soon as there is a hand for it.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Dropped> {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        self.lock().waiting.insert(number, Instant::now());
        let waits = Waits { hands: self, number };
        let turn = self.inner.turns.acquire().await.map_err(|_| Dropped)?;
        // The thread gives it back, whoever still waits for the result by then.
        turn.forget();
        drop(waits);
        self.lock().working.insert(number, Instant::now());
        let at_work = AtWork { hands: self.clone(), number };
        let (done, result) = oneshot::channel();
        let spawned = std::thread::Builder::new().name("hands".to_owned()).spawn(move || {
            let res = work();
            drop(at_work);
            let _ = done.send(res);
        });
        spawned.map_err(|_| Dropped)?;
        result.await.map_err(|_| Dropped)
    }

    /// Why an instance more would only wait, if it would.
    pub(crate) fn tied(&self) -> Option<String> {
        /// Others wait for so long at most where all goes well.
        const TURN_WITHIN: Duration = Duration::from_secs(30);
        let Inner { work, n, patience, .. } = &*self.inner;
        let busy = self.lock();
        let oldest = |of: &BTreeMap<u64, Instant>| of.values().next().map(Instant::elapsed);
        let working = oldest(&busy.working).unwrap_or_default();
        if working > *patience {
            return Some(format!("the disk does not answer: {work} have taken {} s so far", working.as_secs()));
        }
        let waiting = oldest(&busy.waiting).filter(|it| *it > TURN_WITHIN)?;
        let (n_waiting, for_s) = (busy.waiting.len(), waiting.as_secs());
        Some(format!("{n_waiting} wait for {work}, the first for {for_s} s: {n} others are at it, as many as may be"))
    }

    fn lock(&self) -> MutexGuard<'_, Busy> {
        self.inner.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits for a turn; or does not any more.
struct Waits<'a> {
    hands: &'a Hands,
    number: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.hands.lock().waiting.remove(&self.number);
    }
}

/// A hand is busy.
struct AtWork {
    hands: Hands,
    number: u64,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.hands.lock().working.remove(&self.number);
        self.hands.inner.turns.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn work_that_hangs_holds_its_own_kind_up_and_says_so() {
        let slow = Hands::new(2, "files", Duration::ZERO);
        let other = Hands::new(2, "directories", Duration::from_secs(10));
        let (go_on, hangs) = mpsc::channel::<()>();
        let hangs = Arc::new(Mutex::new(hangs));
        let started: Vec<_> = (0..16)
            .map(|n| {
                let (hands, hangs) = (slow.clone(), Arc::clone(&hangs));
                tokio::spawn(async move {
                    let work = move || hangs.lock().unwrap().recv().map(|()| n);
                    hands.run(work).await
                })
            })
            .collect();
        while slow.tied().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(
            slow.tied().unwrap().starts_with("the disk does not answer: files have taken 0 s"),
            "{:?}",
            slow.tied()
        );
        assert_eq!(other.run(|| 7).await.unwrap(), 7, "others have their hands free");
        assert_eq!(other.tied(), None);
        // Who asks the runtime for a thread, such as whoever looks a name up, gets one.
        assert_eq!(tokio::task::spawn_blocking(|| 8).await.unwrap(), 8);
        for _ in 0..16 {
            go_on.send(()).unwrap();
        }
        for start in started {
            start.await.unwrap().unwrap().unwrap();
        }
        assert_eq!(slow.tied(), None);
    }

    #[tokio::test]
    async fn who_waits_no_longer_frees_its_place_and_not_the_hand() {
        let hands = Hands::new(1, "files", Duration::from_mins(1));
        let (go_on, hangs) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let hands = hands.clone();
            async move { hands.run(move || hangs.recv().is_ok()).await }
        });
        while hands.lock().working.is_empty() {
            tokio::task::yield_now().await;
        }
        let second = tokio::spawn({
            let hands = hands.clone();
            async move { hands.run(|| ()).await }
        });
        while hands.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        second.abort();
        assert!(second.await.is_err());
        assert!(hands.lock().waiting.is_empty());
        first.abort();
        assert!(first.await.is_err());
        assert_eq!(hands.inner.turns.available_permits(), 0, "the work goes on");
        go_on.send(()).unwrap();
        hands.run(|| ()).await.unwrap();
        assert_eq!(hands.inner.turns.available_permits(), 1);
    }
}

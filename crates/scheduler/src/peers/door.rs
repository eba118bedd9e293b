//! The place in which connections wait until they have said who they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// So many wait at once; beyond that the one that has waited longest is sent away. Whoever has business here says so
/// in its first packet, so it is never that one, however many others come and say nothing. A clone is the same door.
#[derive(Clone)]
pub(crate) struct Door {
    max: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    visitors: BTreeMap<u64, CancellationToken>,
}

/// One that waits; dropped when it waits no more.
pub(crate) struct Visitor {
    number: u64,
    door: Door,
    sent_away: CancellationToken,
}

impl Door {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, waiting: Arc::default() }
    }

    pub(crate) fn enter(&self) -> Visitor {
        let sent_away = CancellationToken::new();
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.visitors.insert(number, sent_away.clone());
        if waiting.visitors.len() > self.max
            && let Some((_, laziest)) = waiting.visitors.pop_first()
        {
            laziest.cancel();
        }
        Visitor { number, door: self.clone(), sent_away }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor {
    /// Returns what the visitor does, unless it is sent away before it is done.
    pub(crate) async fn unless_sent_away<T>(&self, does: impl Future<Output = T>) -> Option<T> {
        self.sent_away.run_until_cancelled(does).await
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.door.lock().visitors.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn the_one_that_has_waited_longest_makes_room() {
        let door = Door::new(2);
        let (lazy, second) = (door.enter(), door.enter());
        assert_eq!(second.unless_sent_away(ready(2)).await, Some(2));
        drop(second);
        let third = door.enter();
        assert_eq!(lazy.unless_sent_away(ready(1)).await, Some(1), "there is room");
        let fourth = door.enter();
        assert_eq!(lazy.unless_sent_away(pending::<()>()).await, None);
        assert_eq!(third.unless_sent_away(ready(3)).await, Some(3));
        assert_eq!(fourth.unless_sent_away(ready(4)).await, Some(4));
        drop((lazy, third, fourth));
        assert!(door.lock().visitors.is_empty());
    }
}

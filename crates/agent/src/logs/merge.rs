//! Several containers' logs as one, in the order of time.

use super::reader::{Found, Limits};
use super::{Cursor, Error, Item, Reader};

/// Readers by key, merged: by the time of their lines, then in the order in which they were added. Each one's own order
/// stays as it is.
///
/// What comes is merged as far as it is there: a line that a container's file gets later than others' of the same moment
/// comes behind them.
#[derive(Debug)]
pub(crate) struct Merge<K> {
    sources: Vec<Source<K>>,
}

#[derive(Debug)]
struct Source<K> {
    key: K,
    reader: Reader,
    /// What it has given, and is not handed out yet.
    head: Option<Item>,
    /// It had nothing more in this round.
    is_drained: bool,
}

/// What one call gives.
#[derive(Debug)]
pub(crate) struct Merged<K> {
    /// With whose they are.
    pub(crate) items: Vec<(K, Item)>,
    /// Whose logs could not be read; they are not read any more.
    pub(crate) failed: Vec<(K, Error)>,
    /// Whether there is more already.
    pub(crate) is_more: bool,
}

impl<K> Default for Merge<K> {
    fn default() -> Self {
        Self { sources: Vec::new() }
    }
}

impl<K: Clone + PartialEq> Merge<K> {
    /// Adds a log, or replaces the one of this key.
    pub(crate) fn add(&mut self, key: K, reader: Reader) {
        self.remove(&key);
        self.sources.push(Source { key, reader, head: None, is_drained: false });
    }

    /// Takes a log out at once, with what is left of it unread.
    pub(crate) fn remove(&mut self, key: &K) {
        self.sources.retain(|it| it.key != *key);
    }

    /// Says that nobody writes to this log any more: it is read to its end, then taken out.
    pub(crate) fn finish(&mut self, key: &K) {
        for source in self.sources.iter_mut().filter(|it| it.key == *key) {
            source.reader.finish();
        }
    }

    /// Whose logs are read, in their order.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.sources.iter().map(|it| &it.key)
    }

    /// Where each log would be read on from, but for those that cannot be read.
    pub(crate) fn cursors(&mut self) -> Vec<(K, Cursor)> {
        self.sources.iter_mut().filter_map(|it| Some((it.key.clone(), it.reader.cursor().ok()?))).collect()
    }

    /// What has come since, of all together at most so much.
    pub(crate) fn poll(&mut self, limits: Limits) -> Merged<K> {
        let mut merged = Merged { items: Vec::new(), failed: Vec::new(), is_more: true };
        let mut n_bytes_left = limits.n_bytes;
        self.each(&mut merged.failed, |source| {
            source.is_drained = false;
            source.reader.begin()
        });
        while merged.items.len() < limits.n_lines {
            self.each(&mut merged.failed, |source| source.fill(&mut n_bytes_left));
            if self.sources.iter().any(Source::is_open) {
                // Nobody knows yet whose turn it is.
                return merged;
            }
            let heads = self.sources.iter_mut().filter(|it| it.head.is_some());
            let Some(first) = heads.min_by_key(|it| it.time_ns()) else {
                merged.is_more = false;
                self.sources.retain(|it| !it.reader.is_finished());
                return merged;
            };
            merged.items.extend(first.head.take().map(|it| (first.key.clone(), it)));
        }
        merged
    }

    /// Does something with each, and takes out those with which it fails.
    fn each(&mut self, failed: &mut Vec<(K, Error)>, mut f: impl FnMut(&mut Source<K>) -> Result<(), Error>) {
        self.sources.retain_mut(|it| match f(it) {
            Ok(()) => true,
            Err(err) => {
                failed.push((it.key.clone(), err));
                false
            }
        });
    }
}

impl<K> Source<K> {
    /// Whether it may have something for this round.
    fn is_open(&self) -> bool {
        self.head.is_none() && !self.is_drained
    }

    /// A gap has no time: it comes at once, which is right behind the line before it.
    fn time_ns(&self) -> u64 {
        match &self.head {
            Some(Item::Line(line)) => line.time_ns,
            Some(Item::Gap(_)) => 0,
            None => u64::MAX,
        }
    }

    /// Reads up to what it has to hand out next, or for as long as it may.
    fn fill(&mut self, n_bytes_left: &mut u64) -> Result<(), Error> {
        while self.is_open() && *n_bytes_left > 0 {
            let n_walked = self.reader.n_walked();
            match self.reader.step()? {
                Found::Item(item) => self.head = Some(item),
                Found::Nothing => {}
                Found::End => self.is_drained = true,
            }
            *n_bytes_left = n_bytes_left.saturating_sub(self.reader.n_walked() - n_walked);
        }
        Ok(())
    }
}

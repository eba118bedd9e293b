//! Whether Docker answers, and when it is listed next.

use crate::model::Timestamp;

/// From one full list to the next, milliseconds: events are a hint, this decides (INV-D3).
const LIST_EVERY_MS: u64 = 10_000;

/// The pause after a first failed list, milliseconds; doubles up to [`LIST_AGAIN_MAX_MS`].
const LIST_AGAIN_MS: u64 = 500;

/// The longest pause after a failed list, milliseconds: so soon a healed engine is noticed.
const LIST_AGAIN_MAX_MS: u64 = 4_000;

/// So long after the last start that Docker refused for want of disk the node takes no new instances, milliseconds.
const FULL_FOR_MS: u64 = 30_000;

/// So many failures in a row say that Docker is away; a single one may be a hiccup (INV-D1).
const DEGRADED_AFTER: u32 = 2;

/// What is known of the Docker engine itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Engine {
    /// A list has succeeded since this process started.
    pub(super) listed: bool,
    /// A list is under way.
    listing: bool,
    list_at: Timestamp,
    failures: u32,
    away: Option<String>,
    full: Option<(Timestamp, String)>,
}

impl Engine {
    /// Whether to list now.
    pub(super) fn list_due(&mut self, now: Timestamp) -> bool {
        let due = !self.listing && self.list_at <= now;
        self.listing |= due;
        due
    }

    /// A list came.
    pub(super) fn listed(&mut self, now: Timestamp) {
        self.listing = false;
        self.listed = true;
        self.list_at = now.plus_ms(LIST_EVERY_MS);
        self.failures = 0;
        self.away = None;
    }

    /// A list did not come.
    pub(super) fn list_failed(&mut self, message: &str, now: Timestamp) {
        self.listing = false;
        let pause = LIST_AGAIN_MS.saturating_mul(1 << self.failures.min(10)).min(LIST_AGAIN_MAX_MS);
        self.list_at = now.plus_ms(pause);
        self.failed(message);
    }

    /// Some call takes long: a list, at once, shows whether the engine hangs.
    pub(super) fn doubted(&mut self, now: Timestamp) {
        self.list_at = self.list_at.min(now);
    }

    /// Some other call had no answer: a list, at once, shows whether it is the engine.
    pub(super) fn suspected(&mut self, message: &str, now: Timestamp) {
        self.list_at = self.list_at.min(now);
        self.failed(message);
    }

    /// A start was refused because Docker's disk is full.
    pub(super) fn is_full(&mut self, message: String, now: Timestamp) {
        self.full = Some((now.plus_ms(FULL_FOR_MS), message));
    }

    /// Why new instances would not start, if they would not.
    pub(super) fn reason(&self) -> Option<String> {
        let full = self.full.as_ref().map(|(_, message)| message);
        self.away.as_ref().or(full).cloned()
    }

    /// Lets time go by; returns when it matters next.
    pub(super) fn tick(&mut self, now: Timestamp) {
        if self.full.as_ref().is_some_and(|(until, _)| *until <= now) {
            self.full = None;
        }
    }

    /// When [`Engine::list_due`] or [`Engine::reason`] says something else.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        let list = (!self.listing).then_some(self.list_at);
        let full = self.full.as_ref().map(|(until, _)| *until);
        list.into_iter().chain(full).min()
    }

    fn failed(&mut self, message: &str) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= DEGRADED_AFTER {
            // The first reason stays: each change of it would be one more entry in the log.
            self.away.get_or_insert_with(|| format!("Docker does not answer: {message}"));
        }
    }
}

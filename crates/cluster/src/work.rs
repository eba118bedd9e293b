//! Counts what a decision looks at: a test shows by it that twice the instances of an app are about the same work.
//!
//! One unit is an instance, a kind of instances, a value or a node looked at. Nothing is counted outside of tests.

#[cfg(test)]
thread_local! {
    static DONE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Notes work of this size.
#[cfg(test)]
pub(crate) fn did(units: usize) {
    DONE.set(DONE.get() + units as u64);
}

/// Notes work of this size.
#[cfg(not(test))]
#[inline]
pub(crate) const fn did(_units: usize) {}

/// What this thread has done while `f` ran.
#[cfg(test)]
pub(crate) fn of(f: impl FnOnce()) -> u64 {
    let before = DONE.get();
    f();
    DONE.get() - before
}

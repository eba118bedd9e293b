//! Waiting for conditions, never for time.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// From one look to the next: short beside what is waited for, long beside what a look costs.
const LOOK: Duration = Duration::from_millis(25);

/// So many seconds.
pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Looks until what is waited for is there, and returns it. `look` says in `Err` what it sees instead.
///
/// # Panics
/// When it is not there in time: with what was seen last.
#[track_caller]
pub(crate) fn eventually<T, E: Display>(what: &str, limit: Duration, look: impl FnMut() -> Result<T, E>) -> T {
    match within(limit, look) {
        Ok((found, _)) => found,
        Err(seen) => panic!("not within {limit:?}: {what}; last seen: {seen}"),
    }
}

/// The same, and how long it took.
#[track_caller]
pub(crate) fn timed<T, E: Display>(what: &str, limit: Duration, look: impl FnMut() -> Result<T, E>) -> (T, Duration) {
    match within(limit, look) {
        Ok(found) => found,
        Err(seen) => panic!("not within {limit:?}: {what}; last seen: {seen}"),
    }
}

fn within<T, E>(limit: Duration, mut look: impl FnMut() -> Result<T, E>) -> Result<(T, Duration), E> {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok((found, began.elapsed())),
            Err(seen) if began.elapsed() >= limit => return Err(seen),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

/// Prints a figure that people want to see, also when the test passes.
pub(crate) fn figure(what: &str, value: impl Display) {
    use std::io::Write as _;
    // Not `eprintln!`: that is kept from view while tests pass.
    let _ = writeln!(std::io::stderr(), "e2e: {what}: {value}");
}

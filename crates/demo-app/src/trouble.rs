//! The ways in which the service misbehaves when told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What this process was told to do badly.
pub(crate) struct Trouble {
    failing: AtomicBool,
    held: Mutex<Vec<Vec<u8>>>,
}

impl Trouble {
    pub(crate) fn new(failing: bool) -> Self {
        Self { failing: AtomicBool::new(failing), held: Mutex::new(Vec::new()) }
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::SeqCst)
    }

    pub(crate) fn fail(&self, on: bool) {
        self.failing.store(on, Ordering::SeqCst);
    }

    /// Takes that much more memory for good and returns how much is held, in MiB.
    pub(crate) fn take_memory(&self, mib: usize) -> usize {
        let mut held = self.held.lock().expect("no holder panics");
        for _ in 0..mib {
            held.push(vec![1; 1024 * 1024]); // Not zero: untouched pages would cost nothing.
        }
        held.len()
    }
}

/// Keeps one core busy for so long, beside everything else.
pub(crate) fn burn(time: Duration) {
    let until = Instant::now() + time;
    thread::spawn(move || {
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    });
}

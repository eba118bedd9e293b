//! A Docker engine that stops answering: a socket between an agent and the real one.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A socket that passes everything on until it is told to hold it back.
pub(crate) struct Stall {
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Stall {
    /// Listens at a path; connections go on to `engine`.
    pub(crate) fn listen(path: &Path, engine: &'static str) -> Self {
        let listener = UnixListener::bind(path).expect("a socket in a directory of the test's own");
        let gate = Arc::new(Gate::default());
        let shared = Arc::clone(&gate);
        // It ends with the test's process; the directory of its socket is gone before.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let gate = Arc::clone(&shared);
                thread::spawn(move || {
                    gate.pass();
                    let Ok(engine) = UnixStream::connect(engine) else { return };
                    let Ok((client_too, engine_too)) = client.try_clone().and_then(|it| Ok((it, engine.try_clone()?)))
                    else {
                        return;
                    };
                    let gate_too = Arc::clone(&gate);
                    thread::spawn(move || copy(engine_too, client_too, &gate_too));
                    copy(client, engine, &gate);
                });
            }
        });
        Self { gate }
    }

    /// Holds everything back, or lets it pass again.
    pub(crate) fn hang(&self, on: bool) {
        *self.gate.is_shut.lock().expect("no holder panics") = on;
        self.gate.opened.notify_all();
    }
}

impl Gate {
    /// Waits until it is open.
    fn pass(&self) {
        let is_shut = self.is_shut.lock().expect("no holder panics");
        drop(self.opened.wait_while(is_shut, |it| *it));
    }
}

fn copy(mut from: UnixStream, mut to: UnixStream, gate: &Gate) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(n) = from.read(&mut bytes) {
        gate.pass();
        if n == 0 || to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

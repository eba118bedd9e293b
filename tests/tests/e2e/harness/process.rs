//! Child processes that never outlive the test, and where they write.

use super::wait::{eventually, seconds};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A running program; it is killed when this is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program that writes to a log. Should the test itself be killed, the kernel kills the program.
    pub(crate) fn start(name: &str, program: &Path, args: &[&str], log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("a log");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status().expect("a shell");
        assert!(sent.success(), "cannot send {signal} to {}", self.name);
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill_hard(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGTERM, and waits for its end.
    pub(crate) fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.signal("TERM");
        self.ends(limit)
    }

    /// Waits for its end.
    pub(crate) fn ends(&mut self, limit: Duration) -> ExitStatus {
        let (name, child) = (&self.name, &mut self.child);
        eventually(&format!("{name} ends"), limit, || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Fails with the end of the log if it has ended.
    pub(crate) fn check(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("{} ended, {status}; its log ends with:\n{}", self.name, tail(&self.log, 20));
        }
    }

    /// All it wrote.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the log of {} ends with:\n{}---", self.name, tail(&self.log, 60));
        }
    }
}

fn tail(log: &Path, n: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(n)..].iter().flat_map(|it| ["    ", it, "\n"]).collect()
}

/// Runs a command to its end.
pub(crate) fn run(program: impl AsRef<Path>, args: &[&str]) -> Output {
    let program = program.as_ref();
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()))
}

/// What a command that must succeed prints.
#[track_caller]
pub(crate) fn says(program: impl AsRef<Path>, args: &[&str]) -> String {
    let program = program.as_ref();
    let output = run(program, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {args:?}: {}: {stderr}", program.display(), output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// A new directory, removed when this is dropped; it stays where the test failed.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ekiden-e2e-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self { path }
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file in it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file in a directory of the test's own");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what the test wrote is in {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Ports of the loopback that nobody listens on now, and that no other test of this process was given.
///
/// They are below the range from which the kernel gives ports to clients, so that none of those takes one meanwhile.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 8_000;
    // Two runs at a time, as of two work trees, begin at different places.
    let offset = std::process::id().wrapping_mul(97);
    std::array::from_fn(|_| {
        eventually("a free port", seconds(10), || {
            let n = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(offset);
            let port = (FIRST + n % COUNT) as u16;
            let tcp = std::net::TcpListener::bind(("127.0.0.1", port));
            tcp.and_then(|_| std::net::UdpSocket::bind(("127.0.0.1", port))).map(|_| port)
        })
    })
}

/// A range of host ports that no other node of this process was given.
pub(crate) fn port_range() -> (u16, u16) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 28_000;
    const SIZE: u32 = 100;
    const RANGES: u32 = 40;
    let n = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(7));
    let first = FIRST + n % RANGES * SIZE;
    (first as u16, (first + SIZE - 1) as u16)
}

//! A member's process alone, without an engine: what strangers and browsers may do to it.

mod browser;
mod crowd;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing takes longer.
const LIMIT: Duration = Duration::from_mins(1);
/// From one look to the next.
const LOOK: Duration = Duration::from_millis(25);

/// A running member; it is killed when this is dropped.
struct Member {
    child: Child,
    address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Member {
    /// Starts a member in a shell, behind this command of it, and waits until it leads.
    fn start(before: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (address, link) = (free(), free());
        let log = File::create(dir.path().join("log")).unwrap();
        let data = dir.path().join("data");
        let child = Command::new("sh")
            .args(["-c", &format!("{before}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_ekiden"), "server"])
            .arg("--data-dir")
            .arg(&data)
            .args(["--listen", &address.to_string(), "--link-listen", &link.to_string(), "--tick-ms", "20"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let member = Self { child, address, dir };
        member.eventually("it leads", || match member.ask(&request("GET", "/v2/info", "", "")) {
            Ok(answer) if answer.contains("\"elected\":true") => Ok(()),
            other => Err(format!("{other:?}")),
        });
        member
    }

    /// Sends bytes, and reads until the member closes.
    fn ask(&self, text: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(text.as_bytes())?;
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        if bytes.is_empty() {
            read?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Looks until it is so.
    fn eventually<T>(&self, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
        let began = Instant::now();
        loop {
            match look() {
                Ok(found) => return found,
                Err(seen) if began.elapsed() > LIMIT => {
                    let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                    panic!("not within {LIMIT:?}: {what}; last seen: {seen}; the log: {log}");
                }
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of the loopback that nobody listens on now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A request on a connection of its own.
fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

#[test]
fn dev_says_who_may_change_it() {
    for (host, warns) in [("0.0.0.0", true), ("127.0.0.1", false)] {
        let dir = tempfile::tempdir().unwrap();
        let port = free().port();
        let log = dir.path().join("log");
        let out = File::create(&log).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ekiden"))
            .args([
                "dev",
                "--listen",
                &format!("{host}:{port}"),
                "--docker",
                "unix:///nowhere/docker.sock",
                "--data-dir",
            ])
            .arg(dir.path().join("data"))
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let began = Instant::now();
        let is_up = || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.write_all(request("GET", "/ping", "", "").as_bytes()).ok()?;
            let mut head = [0; 12];
            stream.read_exact(&mut head).ok().filter(|()| head == *b"HTTP/1.1 200")
        };
        while is_up().is_none() && began.elapsed() < LIMIT {
            std::thread::sleep(LOOK);
        }
        let _ = child.kill();
        let _ = child.wait();
        let said = std::fs::read_to_string(&log).unwrap();
        assert_eq!(said.contains("may change the cluster: nobody is authenticated yet"), warns, "{host}: {said}");
    }
}

//! A cluster out of a script: each request that is awaited, and its answer. And a user at a terminal, or a CI job.

pub(crate) mod wire;

use clap::FromArgMatches as _;
use ctl::{Args, Global, Io, Pace, Verb};
use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What every test takes for now: 2026-11-21T05:24:52.000Z.
pub(crate) const NOW_MS: u64 = 1_795_238_692_000;

/// A server that answers by a script.
pub(crate) struct Fake {
    url: String,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<String>,
}

struct Answer {
    request: String,
    status: u16,
    headers: String,
    body: String,
    times: Times,
}

/// How often an answer is given.
#[derive(Clone, Copy, PartialEq)]
enum Times {
    Once,
    Ever,
}

impl Fake {
    /// A server without answers.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Arc::new(Mutex::new(Script::default()));
        let served = Arc::clone(&script);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = Arc::clone(&served);
                thread::spawn(move || drop(serve(&stream, &script)));
            }
        });
        Self { url, script }
    }

    /// The next request of this method and path has this answer; later ones too, if no other is there.
    pub(crate) fn on(self, request: &str, status: u16, body: impl std::fmt::Display) -> Self {
        self.answer(request, status, "", body.to_string(), Times::Ever)
    }

    /// The next request of this method and path has this answer, and no later one.
    pub(crate) fn once(self, request: &str, status: u16, body: impl std::fmt::Display) -> Self {
        self.answer(request, status, "", body.to_string(), Times::Once)
    }

    /// The same, with a header; `x-open` leaves the answer without an end, for a while.
    pub(crate) fn with_header(self, request: &str, status: u16, header: &str, body: impl std::fmt::Display) -> Self {
        self.answer(request, status, &format!("{header}\r\n"), body.to_string(), Times::Ever)
    }

    fn answer(self, request: &str, status: u16, headers: &str, body: String, times: Times) -> Self {
        let answer = Answer { request: request.to_owned(), status, headers: headers.to_owned(), body, times };
        self.script.lock().expect("no panic").answers.push_back(answer);
        self
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The changes that were asked for, with their bodies.
    pub(crate) fn changes(&self) -> Vec<String> {
        let script = self.script.lock().expect("no panic");
        script.asked.iter().filter(|it| !it.starts_with("GET ")).cloned().collect()
    }

    /// All that was asked for, in order; a reader of events also says behind which one.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.script.lock().expect("no panic").asked.clone()
    }

    /// Types a command line into a CI job and returns stdout, stderr and exit code as one text.
    pub(crate) async fn run(&self, line: &str) -> String {
        self.run_as(&User::default(), line).await
    }

    /// The same, with stdout somewhere else.
    pub(crate) async fn run_into(&self, stdout: Box<dyn Write>, line: &str) -> String {
        User::default().run_into(Some(stdout), &self.url, line).await
    }

    /// Types a command line and returns stdout, stderr and exit code as one text.
    pub(crate) async fn run_as(&self, user: &User, line: &str) -> String {
        let output = user.run(&self.url, line).await;
        output.replace(&self.url, "http://fake")
    }
}

fn serve(stream: &TcpStream, script: &Mutex<Script>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let request = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let mut length = 0;
        let mut behind = String::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim_end().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if let Some(id) = header.to_ascii_lowercase().strip_prefix("last-event-id:") {
                behind = format!("behind {}", id.trim());
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, headers, answer) =
            script.lock().expect("no panic").next(&request, &(behind + &String::from_utf8_lossy(&body)));
        let mut writer = stream;
        if headers.starts_with("x-open:") {
            writer.write_all(format!("HTTP/1.1 {status} X\r\n\r\n{answer}").as_bytes())?;
            thread::sleep(Duration::from_secs(5));
            return Ok(());
        }
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", answer.len());
        writer.write_all((head + &answer).as_bytes())?;
    }
}

impl Script {
    fn next(&mut self, request: &str, body: &str) -> (u16, String, String) {
        self.asked.push(if body.is_empty() { request.to_owned() } else { format!("{request} {body}") });
        let Some(at) = self.answers.iter().position(|it| it.request == request) else {
            return (500, String::new(), format!(r#"{{"message":"the script has no answer to {request}"}}"#));
        };
        let is_last = !self.answers.iter().skip(at + 1).any(|it| it.request == request);
        let answer = &self.answers[at];
        let given = (answer.status, answer.headers.clone(), answer.body.clone());
        if !is_last || answer.times == Times::Once {
            self.answers.remove(at);
        }
        given
    }
}

/// Who types.
#[derive(Clone, Default)]
pub(crate) struct User {
    /// What is on stdin.
    pub(crate) stdin: String,
    /// Whether stdin is a terminal.
    pub(crate) asks: bool,
    /// Whether stdout and stderr are.
    pub(crate) terminal: bool,
    /// Presses Ctrl-C after so long.
    pub(crate) interrupts_after: Option<Duration>,
    /// From one line of a silent job to the next.
    pub(crate) heartbeat: Option<Duration>,
}

impl User {
    /// Somebody at a terminal.
    pub(crate) fn at_terminal() -> Self {
        Self { terminal: true, asks: true, ..Self::default() }
    }

    /// Types a command line at a cluster of this URL.
    pub(crate) async fn run(&self, url: &str, line: &str) -> String {
        self.run_into(None, url, line).await
    }

    async fn run_into(&self, instead: Option<Box<dyn Write>>, url: &str, line: &str) -> String {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let mut io = self.io(&stdout, &stderr);
        if let Some(instead) = instead {
            io.stdout = instead;
        }
        let words = std::iter::once("ekiden").chain(line.split_whitespace());
        let mut program = ctl::grammar("ekiden");
        let code = match program.clone().try_get_matches_from(words) {
            Ok(matches) => {
                let verb = Verb::from_arg_matches(&matches).expect("a verb");
                let mut global = Global::from_arg_matches(&matches).expect("options");
                url.clone_into(&mut global.url);
                ctl::run(Args { global, verb }, &mut program, &mut io).await
            }
            Err(err) => panic!("{line}: {err}"),
        };
        let mut seen = String::new();
        for (name, text) in [("stdout", stdout.text()), ("stderr", stderr.text())] {
            if !text.is_empty() {
                seen.extend(["-- ", name, "\n", &text]);
            }
        }
        format!("{seen}-- exit {code}\n")
    }

    fn io(&self, stdout: &Captured, stderr: &Captured) -> Io {
        let interrupted: Pin<Box<dyn Future<Output = ()>>> = match self.interrupts_after {
            Some(after) => Box::pin(tokio::time::sleep(after)),
            None => Box::pin(pending()),
        };
        Io {
            stdin: Box::new(Cursor::new(self.stdin.clone().into_bytes())),
            stdout: Box::new(stdout.clone()),
            stderr: Box::new(stderr.clone()),
            stdin_is_terminal: self.asks,
            stdout_is_terminal: self.terminal,
            stderr_is_terminal: self.terminal,
            no_color: true,
            ci: !self.terminal,
            interrupted,
            now_ms: || NOW_MS,
            pace: Pace { look: Duration::from_millis(1), heartbeat: self.heartbeat.unwrap_or(Duration::from_secs(30)) },
        }
    }
}

/// A stream that a test reads afterwards.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compares what a user sees with what is expected, which may begin on a line of its own. With `SHOW_SEEN=1` it only prints, for whoever writes a test.
#[track_caller]
pub(crate) fn check(seen: &str, expect: &str) {
    if std::env::var_os("SHOW_SEEN").is_some() {
        let at = std::panic::Location::caller();
        eprintln!("@@{}:{}\n{seen}@@end", at.file(), at.line());
        return;
    }
    let expect = expect.strip_prefix('\n').unwrap_or(expect);
    assert!(seen == expect, "expected:\n{expect}\nseen:\n{seen}");
}

/// The same, where this was said of a change and its deployment goes on.
#[track_caller]
pub(crate) fn check_started(seen: &str, said: &str) {
    let id = wire::ID;
    check(seen, &format!("-- stdout\n{id}\n-- stderr\n{said}\n`ekiden deployment watch {id}` follows it\n-- exit 0\n"));
}

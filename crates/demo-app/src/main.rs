//! The service that the demo and the end-to-end tests deploy: a small HTTP server that says who it is and misbehaves when told to.
//!
//! It knows nothing of Ekiden and links statically, so that an image of it needs no base image.
//! Every connection carries one request and has a thread of its own.

mod request;
mod trouble;

use std::env;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::request::Request;
use crate::trouble::Trouble;

const USAGE: &str = "\
usage: demo-app [--port N] [--never-healthy] [--exit-after-ms N] [--ignore-term]

  --port N            listen here; without it on 8080 if that is the mapped container port
                      (PORT_8080 is set), else on $PORT, else on 8080
  --never-healthy     /health answers 503 from the start; so does the environment's FAIL=1
  --exit-after-ms N   exit with code 1 after so long
  --ignore-term       log SIGTERM and go on

  GET /                 who answers: host, version ($VERSION), instance ($MESOS_TASK_ID)
  GET /health           200, or 503 when told to fail
  GET /env              the environment as JSON
  ANY /fail?on=1|0      makes /health fail, or well again
  ANY /burn?seconds=N   keeps one core busy
  ANY /memory?mib=N     takes that much more memory and keeps it
  ANY /slow?ms=N        answers after so long
  ANY /exit?code=N      exits
";

/// How long a stop waits for requests that are being answered.
const DRAIN: Duration = Duration::from_secs(5);

/// A client that is slower than this to send its request or to take the answer is dropped.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let args = match Args::parse(env::args().skip(1), |name| env::var(name).ok()) {
        Ok(args) => args,
        Err(problem) => {
            eprint!("demo-app: {problem}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    match run(&args) {
        Ok(never) => match never {},
        Err(err) => {
            eprintln!("demo-app: port {}: {err}", args.port);
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal, `/exit` or `--exit-after-ms` ends the process.
fn run(args: &Args) -> io::Result<std::convert::Infallible> {
    let in_flight = Arc::new(AtomicUsize::new(0));
    stop_on_signal(args.ignore_term, Arc::clone(&in_flight))?;
    if let Some(lifetime) = args.exit_after {
        thread::spawn(move || {
            thread::sleep(lifetime);
            println!("exiting after {lifetime:?}, as told");
            std::process::exit(1);
        });
    }
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, args.port))?;
    println!("demo-app {} listens on port {}", version(), args.port);

    let trouble = Arc::new(Trouble::new(args.never_healthy));
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(err) => {
                // Out of file descriptors, or a client that went away: the next one may fare better.
                eprintln!("accept: {err}");
                thread::sleep(Duration::from_millis(10));
                continue;
            }
        };
        let guard = InFlight::enter(&in_flight);
        let trouble = Arc::clone(&trouble);
        thread::spawn(move || {
            if let Err(err) = serve(stream, &trouble) {
                eprintln!("client: {err}");
            }
            drop(guard);
        });
    }
}

/// Answers the one request of a connection.
fn serve(mut stream: TcpStream, trouble: &Trouble) -> io::Result<()> {
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let Some(request) = Request::read(&mut BufReader::new(&stream))? else {
        return Ok(()); // A TCP health check connects and leaves.
    };
    let started = Instant::now();
    let reply = answer(&request, trouble);
    println!("{} {} {} {}ms", request.method, request.target(), reply.status, started.elapsed().as_millis());
    write!(
        stream,
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        reply.status,
        reply.reason(),
        reply.content_type,
        reply.body.len(),
        if request.method == "HEAD" { "" } else { &reply.body },
    )?;
    stream.flush()?;
    if let Some(code) = reply.exit {
        drop(stream);
        std::process::exit(code);
    }
    Ok(())
}

fn answer(request: &Request, trouble: &Trouble) -> Reply {
    match request.path.as_str() {
        "/" => Reply::text(200, who_am_i()),
        "/health" if trouble.is_failing() => Reply::text(503, "told to fail\n"),
        "/health" => Reply::text(200, "ok\n"),
        "/env" => Reply { content_type: "application/json", ..Reply::text(200, env_json(env::vars())) },
        "/fail" => with(request, "on", |on: u8| {
            trouble.fail(on != 0);
            Reply::text(200, if on == 0 { "well again\n" } else { "failing from now on\n" })
        }),
        "/burn" => with(request, "seconds", |seconds| {
            trouble::burn(Duration::from_secs(seconds));
            Reply::text(202, format!("burning for {seconds} s\n"))
        }),
        "/memory" => with(request, "mib", |mib: usize| {
            let held = trouble.take_memory(mib);
            Reply::text(200, format!("holding {held} MiB\n"))
        }),
        "/slow" => with(request, "ms", |ms| {
            thread::sleep(Duration::from_millis(ms));
            Reply::text(200, who_am_i())
        }),
        "/exit" => with(request, "code", |code| Reply {
            exit: Some(code),
            ..Reply::text(200, format!("exiting with {code}\n"))
        }),
        _ => Reply::text(404, "no such page; see demo-app --help\n"),
    }
}

/// Calls `then` with the number that the query gives as `name`, or answers 400.
fn with<T: std::str::FromStr>(request: &Request, name: &str, then: impl FnOnce(T) -> Reply) -> Reply {
    match request.query(name).and_then(|value| value.parse().ok()) {
        Some(value) => then(value),
        None => Reply::text(400, format!("{}?{name}= wants a number\n", request.path)),
    }
}

fn who_am_i() -> String {
    format!(
        "host {}\nversion {}\ninstance {}\n",
        env::var("HOSTNAME").unwrap_or_else(|_| "-".into()),
        version(),
        env::var("MESOS_TASK_ID").unwrap_or_else(|_| "-".into()),
    )
}

fn version() -> String {
    env::var("VERSION").unwrap_or_else(|_| "-".into())
}

fn env_json(vars: impl Iterator<Item = (String, String)>) -> String {
    let mut vars: Vec<_> = vars.collect();
    vars.sort();
    let lines: Vec<_> = vars.iter().map(|(name, value)| format!("  {}: {}", quoted(name), quoted(value))).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str("\\u");
                    out.extend(format!("{unit:04x}").chars());
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Ends the process on SIGTERM or SIGINT, once the requests in flight are answered.
///
/// The first process of a container has no default action for these signals:
/// without a handler every stop would last its whole grace period.
fn stop_on_signal(ignore_term: bool, in_flight: Arc<AtomicUsize>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            if signal == SIGTERM && ignore_term {
                println!("SIGTERM ignored, as told");
                continue;
            }
            println!("stopping");
            let deadline = Instant::now() + DRAIN;
            while in_flight.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
            std::process::exit(0);
        }
    });
    Ok(())
}

/// What the command line and the environment ask for.
#[derive(Debug, PartialEq)]
struct Args {
    port: u16,
    never_healthy: bool,
    exit_after: Option<Duration>,
    ignore_term: bool,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>, env: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        // In a bridge network `PORT` is the host's port; `PORT_8080` says that 8080 is the one behind it.
        let port = if env("PORT_8080").is_some() { None } else { env("PORT") };
        let mut parsed = Self {
            port: port.map_or(Ok(8080), |port| number("PORT", Some(port)))?,
            never_healthy: env("FAIL").is_some_and(|fail| fail == "1"),
            exit_after: None,
            ignore_term: false,
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--port" => parsed.port = number(&arg, args.next())?,
                "--never-healthy" => parsed.never_healthy = true,
                "--exit-after-ms" => {
                    parsed.exit_after = Some(Duration::from_millis(number(&arg, args.next())?));
                }
                "--ignore-term" => parsed.ignore_term = true,
                _ => return Err(format!("unknown argument {arg}")),
            }
        }
        Ok(parsed)
    }
}

fn number<T: std::str::FromStr>(name: &str, value: Option<String>) -> Result<T, String> {
    value.and_then(|value| value.parse().ok()).ok_or_else(|| format!("{name} wants a number"))
}

struct Reply {
    status: u16,
    content_type: &'static str,
    body: String,
    /// Exit with this code once the answer is sent.
    exit: Option<i32>,
}

impl Reply {
    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into(), exit: None }
    }

    fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            202 => "Accepted",
            400 => "Bad Request",
            404 => "Not Found",
            _ => "Service Unavailable",
        }
    }
}

/// Counts one request as in flight for as long as it lives.
struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn enter(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Args, String> {
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Args::parse(args.iter().map(|&arg| arg.to_owned()), env)
    }

    fn get(target: &str, trouble: &Trouble) -> Reply {
        let wire = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        answer(&Request::read(&mut wire.as_bytes()).unwrap().unwrap(), trouble)
    }

    #[test]
    fn the_port_is_the_flag_then_the_mapped_one_then_the_hosts() {
        assert_eq!(parse(&[], &[]).unwrap().port, 8080);
        assert_eq!(parse(&[], &[("PORT", "31007")]).unwrap().port, 31007);
        assert_eq!(parse(&[], &[("PORT", "31007"), ("PORT_8080", "31007")]).unwrap().port, 8080);
        assert_eq!(parse(&["--port", "99"], &[("PORT", "31007")]).unwrap().port, 99);
        assert!(parse(&["--port"], &[]).is_err());
        assert!(parse(&["--prot", "1"], &[]).is_err());
    }

    #[test]
    fn health_follows_what_it_is_told() {
        let trouble = Trouble::new(false);
        assert_eq!(get("/health", &trouble).status, 200);
        assert_eq!(get("/fail?on=1", &trouble).status, 200);
        assert_eq!(get("/health", &trouble).status, 503);
        assert_eq!(get("/fail?on=0", &trouble).status, 200);
        assert_eq!(get("/health", &trouble).status, 200);
        assert_eq!(get("/health", &Trouble::new(true)).status, 503);
    }

    #[test]
    fn a_missing_number_and_an_unknown_page_are_refused() {
        let trouble = Trouble::new(false);
        for target in ["/burn", "/memory?mib=x", "/slow?seconds=1", "/exit?code="] {
            assert_eq!(get(target, &trouble).status, 400, "{target}");
        }
        assert_eq!(get("/nowhere", &trouble).status, 404);
        assert_eq!(get("/exit?code=3", &trouble).exit, Some(3));
    }

    #[test]
    fn the_environment_is_quoted_as_json() {
        let vars = [("B".to_owned(), "1\n\"2\"\\".to_owned()), ("A".to_owned(), "ü".to_owned())];
        assert_eq!(env_json(vars.into_iter()), "{\n  \"A\": \"ü\",\n  \"B\": \"1\\u000a\\\"2\\\"\\\\\"\n}\n");
    }
}

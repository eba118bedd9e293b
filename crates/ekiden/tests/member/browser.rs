//! A real browser, on a page that is not ours, beside a member that listens on the loopback.

use super::{LIMIT, LOOK, Member, request};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};

/// What the page tries, each with what a browser lets it send without asking first, and with more.
const ATTEMPTS: &str = r#"
const app = JSON.stringify({id: "/stolen", cmd: "id", container: {docker: {image: "x"}}});
const untyped = new Blob([app]);
const simple = {mode: "no-cors", method: "POST"};
const tries = [
  () => fetch(MEMBER + "/v2/apps", {...simple, body: app}),
  () => fetch(MEMBER + "/v2/apps", {...simple, body: untyped}),
  () => fetch(MEMBER + "/v2/apps", {...simple, body: new URLSearchParams({x: app})}),
  () => fetch(MEMBER + "/v2/apps", {method: "POST", headers: {"Content-Type": "application/json"}, body: app}),
  () => fetch(MEMBER + "/v2/groups", {method: "PUT", headers: {"Content-Type": "application/json"}, body: '{"id":"/stolen"}'}),
  () => fetch(MEMBER + "/v2/apps//there/restart?force=true", {...simple}),
  () => fetch(MEMBER + "/v2/apps//there/restart?force=true", {...simple, body: "x"}),
  () => fetch(MEMBER + "/v2/apps//there?force=true", {method: "DELETE"}),
  () => navigator.sendBeacon(MEMBER + "/v2/groups", new Blob(['{"id":"/stolen"}'])),
  () => new Promise(done => {
    const form = document.createElement("form");
    form.method = "POST"; form.enctype = "text/plain"; form.target = "frame";
    form.action = MEMBER + "/v2/apps";
    const field = document.createElement("input");
    field.name = app.slice(0, -1) + ',"x":"'; field.value = '"}';
    form.append(field); document.body.append(form);
    document.getElementById("frame").onload = done; form.submit();
  }),
];
(async () => {
  const seen = [];
  for (const it of tries) {
    try { const answer = await it(); seen.push(answer && answer.type || "sent"); } catch (error) { seen.push("refused"); }
  }
  try { seen.push("read " + (await (await fetch(MEMBER + "/v2/apps")).text()).length); } catch (error) { seen.push("unread"); }
  await fetch("/done", {method: "POST", body: seen.join(",")});
})();
"#;

/// The browser, where there is one; with `EKIDEN_E2E=require` there has to be.
fn chromium() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|it| {
        let version = Command::new(it).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|it| it.success())
    });
    let what = "chromium is not here: run scripts/setup chromium";
    if found.is_none() {
        assert!(!std::env::var("EKIDEN_E2E").is_ok_and(|it| it == "require"), "{what}");
        // Not `eprintln!`: that is kept from view while tests pass.
        let _ = writeln!(std::io::stderr(), "skipped: {what}");
    }
    found
}

/// A running browser; it is killed when this is dropped, with all its processes.
struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a page. `rules` says which names lead where.
    fn open(program: &str, url: &str, rules: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--host-resolver-rules={rules}"))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // SIGTERM lets it end its own processes; it has no more than that to do.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        for _ in 0..200 {
            if self.child.try_wait().is_ok_and(|it| it.is_some()) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of one page, which tells what was posted to it.
fn page(script: String) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, telling) = mpsc::channel();
    std::thread::spawn(move || {
        let script = Arc::new(script);
        for stream in listener.incoming().map_while(Result::ok) {
            let (told, script) = (told.clone(), Arc::clone(&script));
            std::thread::spawn(move || answer(stream, &script, &told));
        }
    });
    (address, telling)
}

fn answer(mut stream: TcpStream, script: &str, told: &mpsc::Sender<String>) {
    let mut text = String::new();
    let mut chunk = [0; 8192];
    let length = |text: &str| {
        let line =
            text.lines().find_map(|it| it.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
        line.and_then(|it| it.trim().parse::<usize>().ok()).unwrap_or(0)
    };
    while text.split_once("\r\n\r\n").is_none_or(|(head, body)| body.len() < length(head)) {
        match stream.read(&mut chunk) {
            Ok(n @ 1..) => text.push_str(&String::from_utf8_lossy(&chunk[..n])),
            _ => return,
        }
    }
    if text.starts_with("POST /done ") {
        let _ = told.send(text.split_once("\r\n\r\n").unwrap().1.to_owned());
    }
    let body = format!("<!doctype html><body><iframe id=frame name=frame></iframe><script>{script}</script>");
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// What the cluster is, in as far as a page could have changed it.
fn all(member: &Member) -> String {
    let answer = member.ask(&request("GET", "/v2/groups", "", "")).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// How many requests the member has refused, of every method and route.
fn refusals(member: &Member) -> u64 {
    let answer = member.ask(&request("GET", "/metrics", "Accept: text/plain\r\n", "")).unwrap();
    let counts = answer.lines().filter(|it| it.starts_with("ekiden_http_request_duration_seconds_count{"));
    let refused = counts.filter(|it| it.contains("status=\"4xx\""));
    refused.map(|it| it.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

fn with_an_app() -> Member {
    let member = Member::start("true");
    let app = r#"{"id":"/there","instances":0,"cmd":"x","container":{"docker":{"image":"x"}}}"#;
    let put = member.ask(&request("POST", "/v2/apps", "Content-Type: application/json\r\n", app)).unwrap();
    assert!(put.starts_with("HTTP/1.1 201"), "{put}");
    member
}

#[test]
fn a_page_from_elsewhere_changes_and_reads_nothing() {
    let Some(chromium) = chromium() else { return };
    let member = with_an_app();
    let before = all(&member);
    let script = format!("const MEMBER = \"http://{}\";{ATTEMPTS}", member.address);
    let (address, told) = page(script);
    // Another port of the same machine, and another site: the first is what browsers call the same site.
    for url in [format!("http://127.0.0.1:{}/", address.port()), format!("http://evil.example:{}/", address.port())] {
        let refused = refusals(&member);
        let browser = Browser::open(chromium, &url, "MAP evil.example 127.0.0.1");
        let seen = told.recv_timeout(LIMIT).unwrap();
        drop(browser);
        assert_eq!(all(&member), before, "{url}: {seen}");
        assert!(seen.ends_with(",unread"), "{url}: {seen}");
        // What a fetch is answered the browser keeps from the page; the member knows what it was asked.
        let (tried, refused) = (ATTEMPTS.matches("() => ").count() as u64 - 1, refusals(&member) - refused);
        assert!(refused >= tried, "{refused} of {tried} attempts came to the member: {url}: {seen}");
    }
}

#[test]
fn a_page_whose_name_is_made_to_lead_here_changes_and_reads_nothing() {
    let Some(chromium) = chromium() else { return };
    let member = with_an_app();
    let before = all(&member);
    let port = member.address.port();
    // The page's own name and port lead to the page first, and to the member once it is there: rebinding, as a
    // forwarder does it.
    let script = format!("const MEMBER = \"http://rebound.example:{port}\";{}", ATTEMPTS.replace("\"/done\"", "DONE"));
    let (done, told) = page(String::new());
    let script = format!("const DONE = \"http://127.0.0.1:{}/done\";{script}", done.port()).replace(
        "{method: \"POST\", body: seen.join(\",\")}",
        "{method: \"POST\", mode: \"no-cors\", body: seen.join(\",\")}",
    );
    let (first, _) = page(script);
    let forwarder = TcpListener::bind("127.0.0.1:0").unwrap();
    let forwarded = forwarder.local_addr().unwrap();
    let to = member.address;
    std::thread::spawn(move || {
        for stream in forwarder.incoming().map_while(Result::ok) {
            let mut begin = [0; 6];
            let is_first = stream.peek(&mut begin).is_ok() && begin == *b"GET / ";
            let Ok(target) = TcpStream::connect(if is_first { first } else { to }) else { continue };
            for (mut from, mut to) in [
                (stream.try_clone().unwrap(), target.try_clone().unwrap()),
                (target.try_clone().unwrap(), stream.try_clone().unwrap()),
            ] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    let rules = format!("MAP rebound.example:{port} 127.0.0.1:{}", forwarded.port());
    let browser = Browser::open(chromium, &format!("http://rebound.example:{port}/"), &rules);
    let seen = told.recv_timeout(LIMIT).unwrap();
    drop(browser);
    assert_eq!(all(&member), before, "{seen}");
    let read: usize = seen.rsplit("read ").next().unwrap().parse().unwrap();
    assert!(read < 200 && !seen.contains("unread"), "what it reads is a refusal: {seen}");
}

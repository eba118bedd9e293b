//! The web UI in a real browser: `ui/tests/e2e.mjs`, beside a server and containers of its own.

use crate::harness::process::run;
use crate::harness::tools::skip;
use crate::harness::{Dev, Tool, have, http};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where its sources are.
fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../ui")
}

/// Whether `make ui` has put what the tests need there.
fn is_set_up() -> bool {
    sources().join("node_modules/playwright-core").exists() || skip("the web UI's packages are not here: run make ui")
}

#[test]
fn the_pages_keep_their_promises_in_a_browser() {
    if !have(&[Tool::Docker, Tool::Node, Tool::Chromium]) || !is_set_up() {
        return;
    }
    // Long enough for what fails on purpose, short enough to see it fail.
    let mut dev = Dev::start(&["--deployment-deadline", "60s"]);
    let address = dev.cluster().http;
    let page = http::get(address, "/ui/").expect("an answer");
    if page.to_string().contains("make ui") {
        skip("the web UI was not built into the program: run make ui and build again");
        return;
    }
    let mut browser = Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(Tool::Node.path())
        .arg("tests/e2e.mjs")
        .current_dir(sources())
        .env("EKIDEN_URL", format!("http://{address}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut answers = browser.stdin.take().expect("a pipe");
    let mut said = String::new();
    for line in BufReader::new(browser.stdout.take().expect("a pipe")).lines() {
        let line = line.expect("text");
        match line.as_str() {
            "!kill" => dev.kill_hard(),
            "!start" => dev.start_again(),
            _ => {
                said.extend([line.as_str(), "\n"]);
                continue;
            }
        }
        answers.write_all(b"done\n").expect("it listens");
    }
    let status = browser.wait().expect("it ends");
    assert!(status.success(), "{status}:\n{said}");
    println!("{said}");
}

#[test]
fn what_the_pages_decide_by_themselves_is_right() {
    if !have(&[Tool::Node]) || !is_set_up() {
        return;
    }
    let units = sources().join("tests/units.mjs");
    let output = run(Tool::Node.path(), &["--test", &units.display().to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

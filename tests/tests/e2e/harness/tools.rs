//! What a machine must have beside this repository, and what happens where it has it not.

use super::process::run;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Something that `scripts/setup` provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// A Docker engine that answers.
    Docker,
    /// Consul's program.
    Consul,
    /// The DNS client.
    Dig,
    /// Prometheus' program.
    Prometheus,
    /// Python with the client `marathon`.
    Python,
    /// A static busybox, for images with a shell.
    Busybox,
    /// The browser.
    Chromium,
    /// What runs the tests of the web UI.
    Node,
}

/// Whether a test can run. If not it is reported as skipped; with `EKIDEN_E2E=require` it fails.
#[track_caller]
pub(crate) fn have(tools: &[Tool]) -> bool {
    let Some(missing) = tools.iter().find(|it| !it.is_here()) else { return true };
    let group = format!("{missing:?}").to_lowercase();
    skip(&format!("{group} is not here: run scripts/setup {group}"))
}

/// Reports a test as skipped for want of something; with `EKIDEN_E2E=require` it fails. Returns false.
#[track_caller]
pub(crate) fn skip(what: &str) -> bool {
    static SKIPPED: AtomicU32 = AtomicU32::new(0);
    let required = std::env::var("EKIDEN_E2E").is_ok_and(|it| it == "require");
    assert!(!required, "{what}");
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln!`: that is kept from view while tests pass.
    let _ = writeln!(std::io::stderr(), "skipped: {what} ({test}; {count} skipped so far)");
    false
}

impl Tool {
    fn is_here(self) -> bool {
        match self {
            Self::Docker => run("sh", &["-c", "timeout 10 docker info"]).status.success(),
            Self::Python => self.find().is_some_and(|it| run(it, &["-c", "import marathon"]).status.success()),
            _ => self.find().is_some(),
        }
    }

    /// The program.
    pub(crate) fn path(self) -> PathBuf {
        self.find().unwrap_or_else(|| panic!("{self:?} is not here"))
    }

    fn find(self) -> Option<PathBuf> {
        let name = match self {
            Self::Docker => "docker",
            Self::Consul => "consul",
            Self::Dig => "dig",
            Self::Prometheus => "prometheus",
            Self::Python => return Some(cache().join("python/bin/python")).filter(|it| it.exists()),
            Self::Chromium => "chromium",
            Self::Node => "node",
            Self::Busybox => return Some(cache().join("bin/busybox")).filter(|it| it.exists()),
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
        dirs.push(cache().join("bin"));
        dirs.iter().map(|it| it.join(name)).find(|it| it.is_file())
    }
}

/// Where `scripts/setup` puts programs.
fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|it| !it.is_empty()).map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    cache.unwrap_or_else(home).join("ekiden")
}

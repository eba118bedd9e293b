//! Child processes that never outlive the bench, and where they write.

use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running program; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program in a process group of its own, so that a Ctrl-C reaches the bench alone.
    ///
    /// Should the bench itself be killed, the kernel kills the program.
    pub(crate) fn start(command: &[&str], envs: &[(&str, &str)], log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| log.display().to_string())?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM"])
            .args(command)
            .envs(envs.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.join(" ")))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the end of the program's log if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(15).collect();
        let tail = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        bail!("a program ended, {status}; its log {} ends with:\n{tail}", self.log.display())
    }

    /// Whether it ended by itself before the time is over.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < limit {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Processor time that it has used, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.id().to_string())
    }

    /// Resident memory in bytes.
    pub(crate) fn rss(&self) -> Result<u64> {
        rss(&self.id().to_string())
    }

    /// The most that its resident memory has been, in bytes, since [`Process::forget_peak`].
    pub(crate) fn peak(&self) -> Result<u64> {
        status(&self.id().to_string(), "VmHWM:")
    }

    /// Lets the peak of its resident memory begin anew.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.id()), "5")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process's resident memory in bytes; `self` is this one.
pub(crate) fn rss(process: &str) -> Result<u64> {
    status(process, "VmRSS:")
}

/// A number of KiB that the kernel tells of a process, in bytes.
fn status(process: &str, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|it| it.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Processor time that a process has used, in seconds; `self` is this one.
pub(crate) fn cpu_seconds(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // What follows the name, which is in parentheses; user and system time are the 14th and 15th field of the line.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    // The kernel counts in hundredths of a second.
    fields.filter_map(|it| it.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Processor time that this thread has used.
pub(crate) fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0))
}

/// How many files this process may have open now; what it starts inherits that (proc(5), `/proc/pid/limits`).
pub(crate) fn open_files_max() -> Result<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|it| it.strip_prefix("Max open files")).context("no limit of open files")?;
    let soft = line.split_whitespace().next().unwrap_or_default();
    Ok(if soft == "unlimited" { u64::MAX } else { soft.parse()? })
}

/// Runs a command to its end as root; through `sudo` where this is somebody else.
pub(crate) fn as_root(command: &[&str]) -> Result<()> {
    let output = root_command(command).stdin(Stdio::null()).output().with_context(|| command.join(" "))?;
    if !output.status.success() {
        bail!("{}: {}", command.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn root_command(words: &[&str]) -> Command {
    let words = root_words(words);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// The words of a command that runs as root.
pub(crate) fn root_words<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let prefix = if id("-u") == "0" { None } else { Some("sudo") };
    prefix.into_iter().chain(words.iter().copied()).collect()
}

/// What `id` prints: `-u` for the user, `-g` for the group.
pub(crate) fn id(flag: &str) -> String {
    said(&["id", flag]).unwrap_or_default()
}

/// The first line that a command prints, if it can be run.
pub(crate) fn said(command: &[&str]) -> Option<String> {
    let output = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// A directory on the real disk for what the bench starts; emptied before and after.
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Takes the directory beside the built programs; refuses a second bench.
    pub(crate) fn take() -> Result<Self> {
        let path = programs()?.parent().context("no target directory")?.join("bench");
        std::fs::create_dir_all(&path)?;
        let lock = File::create(path.join("lock"))?;
        lock.try_lock().context("another bench is running")?;
        Ok(Self { path, _lock: lock })
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A directory in it, new and empty.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        remove(&path)?;
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    /// Logs stay, for who wants to know why a run failed.
    fn drop(&mut self) {
        for entry in std::fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Removes a directory, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Where the built programs are: beside the bench itself.
pub(crate) fn programs() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.parent().context("no directory")?.to_owned())
}

/// The control plane's program.
pub(crate) fn ekiden() -> Result<String> {
    let path = programs()?.join("ekiden");
    if !path.exists() {
        bail!("{} is not built: cargo build --release -p ekiden", path.display());
    }
    path.into_os_string().into_string().ok().context("a path in UTF-8")
}

/// Ports that nobody listens on at the moment.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut taken = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        taken.push(listener);
    }
    Ok(ports)
}

//! What the figures were measured on.

use crate::process::said;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

/// The head of `docs/benchmarks.md`: what it is, and the machine. `disk` is where data directories were.
pub(crate) fn head(disk: &Path) -> String {
    let mut text = "# Benchmarks\n\n\
        `make bench` measures all of this and writes this file; `make bench ONLY=\"plan commands\"` measures some of it again \
        and keeps the rest.\n\
        Systems that are compared run on the same machine and in turns, and the bounds are on their ratios: \
        the absolute figures are those of a small machine whose two cores also carry the load generator.\n\n\
        ## Machine\n\n| what | here |\n|---|---|\n"
        .to_owned();
    for (what, here) in describe(disk) {
        let _ = writeln!(text, "| {what} | {here} |");
    }
    text
}

/// The date, and how busy the machine is: other work on it shows in the figures.
pub(crate) fn now() -> Option<String> {
    let date = said(&["date", "-u", "+%Y-%m-%d %H:%M UTC"])?;
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    Some(format!("{date}, with a load average of {} when it began", load.split(' ').next()?))
}

fn describe(disk: &Path) -> Vec<(&'static str, String)> {
    let unknown = || "unknown".to_owned();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|it| it.starts_with(name))?;
        Some(line.split_once([':', '='])?.1.trim().trim_matches('"').to_owned())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|it| it.trim_end_matches(" kB").parse::<f64>().ok())
        .map_or_else(unknown, |kib| format!("{:.1} GiB", kib / f64::from(1 << 20)));
    let path = disk.to_string_lossy();
    vec![
        ("processor", field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown)),
        ("cores", std::thread::available_parallelism().map_or_else(|_| unknown(), |it| it.to_string())),
        ("memory", memory),
        ("system", field(&read("/etc/os-release"), "PRETTY_NAME").unwrap_or_else(unknown)),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("file system", said(&["findmnt", "-no", "FSTYPE", "-T", &path]).unwrap_or_else(unknown)),
        ("`fdatasync` of 4 KiB, median", synced(disk).unwrap_or_else(|_| unknown())),
        ("Docker engine", said(&["docker", "version", "--format", "{{.Server.Version}}"]).unwrap_or_else(unknown)),
        ("etcd", said(&["etcd", "--version"]).unwrap_or_else(unknown).replace("etcd Version: ", "")),
    ]
}

/// Overwrites one block again and again, durably each time.
fn synced(disk: &Path) -> std::io::Result<String> {
    let path = disk.join("sync");
    let file = File::create(&path)?;
    let mut times = Vec::new();
    for n in 0..200_u8 {
        let start = Instant::now();
        file.write_all_at(&[n; 4096], 0)?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(path)?;
    Ok(format!("{:.0} µs", crate::load::median(times)))
}

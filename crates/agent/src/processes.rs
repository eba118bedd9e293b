//! Processes of this machine, as `/proc` shows them: those that carry a mark, and whoever listens at an address.
//!
//! What runs inside of a container by the agent's wish carries a mark in its environment, which children inherit, also
//! those that leave their session or their parent. It is found by that mark and ended from outside: an image need not
//! have a shell, or `kill`, for that, and nothing in it can refuse.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// The environment variable that has the mark.
pub(crate) const MARK: &str = "EKIDEN_CHECK";

/// What was signalled is looked for again after this: the kernel ends a process within microseconds, unless it waits
/// for a disk.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What does not end within this waits for a disk or a network file system, and ends when that answers.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A parent that waits for its children learns of an end at once; one that does not within this waits for none.
const REAPED_WITHIN: Duration = Duration::from_millis(200);

/// One process for ever: its number, and when it began, in the kernel's ticks.
pub(crate) type Name = (i32, u64);

/// A process, as far as it is of interest.
#[derive(Clone, Copy, Debug)]
struct Process {
    parent: i32,
    session: i32,
    /// When it began, in the kernel's ticks: with its number it names one process for ever.
    began: u64,
    /// It has ended, and its parent has not asked how.
    over: bool,
}

/// All processes that carry a mark which `is_ours` knows, and their descendants.
fn carriers(is_ours: &dyn Fn(&str) -> bool, since: Option<i32>, sessions: &mut BTreeSet<i32>) -> BTreeMap<i32, u64> {
    let last = last_pid();
    // Numbers are given in a circle: what came of a process has one between its own and the last.
    let is_later = |pid: &i32| match (since, last) {
        (Some(first), Some(last)) if first <= last => (first..=last).contains(pid),
        (Some(first), Some(last)) => *pid >= first || *pid <= last,
        _ => true,
    };
    let all: BTreeMap<i32, Process> = numbers().filter(is_later).filter_map(|it| Some((it, look(it)?))).collect();
    let alive = || all.iter().filter(|(_, it)| !it.over);
    let mut found = BTreeMap::new();
    for (pid, process) in alive() {
        if mark_of(*pid).is_some_and(|it| is_ours(&it)) {
            found.insert(*pid, process.began);
            if process.session == *pid {
                sessions.insert(*pid);
            }
        }
    }
    // Who has another environment is known by its parent, or by its session.
    loop {
        let more: Vec<_> = alive()
            .filter(|(pid, it)| {
                !found.contains_key(*pid) && (found.contains_key(&it.parent) || sessions.contains(&it.session))
            })
            .map(|(pid, it)| (*pid, *it))
            .collect();
        if more.is_empty() {
            return found;
        }
        for (pid, process) in more {
            found.insert(pid, process.began);
            if process.session == pid {
                sessions.insert(pid);
            }
        }
    }
}

/// Ends whatever carries a mark, with all that came of it; comes back when nothing of it runs any more, and tells what
/// was ended. `first` is the process that was given the mark, where that is known: nothing older is looked at then.
///
/// # Errors
/// How many are left after some seconds, or may not be ended.
pub(crate) async fn end(
    is_ours: impl Fn(&str) -> bool + Send + Sync,
    first: Option<i32>,
) -> Result<BTreeSet<Name>, usize> {
    let begun = Instant::now();
    let mut sessions = BTreeSet::new();
    let mut stopped = BTreeSet::new();
    loop {
        let found = carriers(&is_ours, first, &mut sessions);
        if found.is_empty() {
            return Ok(stopped);
        }
        if begun.elapsed() > END_WITHIN {
            return Err(found.len());
        }
        let new: Vec<(i32, u64)> =
            found.iter().map(|(pid, began)| (*pid, *began)).filter(|it| !stopped.contains(it)).collect();
        if new.is_empty() {
            // All stand still: none of them can make another while they are ended.
            for (pid, began) in found {
                signal(pid, began, Signal::KILL);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        for (pid, began) in new {
            signal(pid, began, Signal::STOP);
            stopped.insert((pid, began));
        }
    }
}

/// Those of the ended processes that stay in the kernel's list, because their parent does not ask how they ended: where
/// it is the first one of a container, that is for as long as the container runs.
pub(crate) async fn unreaped(ended: &BTreeSet<Name>) -> BTreeSet<Name> {
    let begun = Instant::now();
    loop {
        let left: BTreeSet<Name> = ended.iter().copied().filter(|it| is_unreaped(*it)).collect();
        if left.is_empty() || begun.elapsed() > REAPED_WITHIN {
            return left;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether a process has ended and is still in the kernel's list.
pub(crate) fn is_unreaped((pid, began): Name) -> bool {
    look(pid).is_some_and(|it| it.over && it.began == began)
}

/// Whether this process, on this machine, carries this mark.
pub(crate) fn carries(pid: i32, mark: &str) -> bool {
    mark_of(pid).is_some_and(|it| it == mark)
}

/// Signals the process that has this number and began then, and no other.
fn signal(pid: i32, began: u64, signal: Signal) {
    let Some(number) = Pid::from_raw(pid) else { return };
    // What is opened is one process for ever; whether it is the right one is asked after that.
    let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else { return };
    if look(pid).is_some_and(|it| it.began == began) {
        let _ = pidfd_send_signal(&process, signal);
    }
}

/// The numbers of all processes.
fn numbers() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
}

fn look(pid: i32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // A name may have spaces and brackets; behind the last bracket there are only fields.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |n: usize| fields.get(n)?.parse().ok();
    Some(Process {
        over: matches!(*fields.first()?, "Z" | "X" | "x"),
        parent: number(1)?,
        session: number(3)?,
        began: fields.get(19)?.parse().ok()?,
    })
}

fn mark_of(pid: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{MARK}=");
    let value = environment.split(|it| *it == 0).find_map(|it| it.strip_prefix(prefix.as_bytes()))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The number that was given last.
fn last_pid() -> Option<i32> {
    fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().nth(4)?.parse().ok()
}

/// Whether everybody who listens at an address of this machine is in the control group of one of these processes:
/// whether it is their container that answers there, and not another program. Nothing can be said is no.
pub(crate) fn listens(address: SocketAddr, containers: &[i32]) -> bool {
    let sockets = listeners(address);
    let group = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cgroup")).ok();
    let own = group(std::process::id() as i32);
    let groups: Vec<String> = containers.iter().filter_map(|it| group(*it)).collect();
    if sockets.is_empty() || groups.iter().any(|it| Some(it) == own.as_ref()) {
        return false;
    }
    let members = numbers().filter(|it| group(*it).is_some_and(|it| groups.contains(&it)));
    let held: BTreeSet<u64> = members.flat_map(sockets_of).collect();
    sockets.is_subset(&held)
}

/// The sockets of this machine that take connections to an address.
fn listeners(address: SocketAddr) -> BTreeSet<u64> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|it| fs::read_to_string(it).unwrap_or_default());
    tables.iter().flat_map(|it| it.lines()).filter_map(|it| listener(it, address)).collect()
}

/// A line of `/proc/net/tcp`, if it is of a socket that takes connections to an address.
fn listener(line: &str, address: SocketAddr) -> Option<u64> {
    const LISTENS: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let here = ip_of(ip)?;
    let takes = here.is_unspecified() || here.to_canonical() == address.ip().to_canonical();
    let right = *fields.get(3)? == LISTENS && u16::from_str_radix(port, 16).ok()? == address.port() && takes;
    right.then(|| fields.get(9)?.parse().ok()).flatten()
}

/// An address as the kernel writes it: words of 32 bits, each in the machine's order.
fn ip_of(text: &str) -> Option<IpAddr> {
    let word = |n: usize| Some(u32::from_str_radix(text.get(n * 8..n * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let bytes: [u8; 16] = [word(0)?, word(1)?, word(2)?, word(3)?].concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

fn sockets_of(pid: i32) -> Vec<u64> {
    let read = |it: io::Result<fs::DirEntry>| {
        let target = fs::read_link(it.ok()?.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    fs::read_dir(format!("/proc/{pid}/fd")).map(|it| it.filter_map(read).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::process::{Child, Command, Stdio};

    /// Runs a command line with a mark; waits until it has written a line.
    fn marked(mark: &str, line: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env(MARK, mark).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        child
    }

    #[tokio::test]
    async fn what_carries_a_mark_ends_with_all_that_came_of_it() {
        let mark = format!("test-{}", std::process::id());
        let mut child = marked(
            &mark,
            "trap '' TERM HUP; setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000' & \
             env -i sh -c 'sleep 1000; true' & (setsid sleep 1000 &) ; (sleep 1000 &); echo; sleep 1000; true",
        );
        let other = marked(&format!("{mark}-other"), "echo; sleep 1000");
        let before = carriers(&|it| it == mark, None, &mut BTreeSet::new());
        assert!(before.len() >= 6, "{before:?}");
        let ended = end(|it| it == mark, Some(child.id() as i32)).await.unwrap();
        assert!(ended.len() >= before.len(), "{} of {}", ended.len(), before.len());
        // Its parent, which is this test, has not asked yet how it ended.
        let id = child.id() as i32;
        let is_child = |it: &Name| it.0 == id;
        assert!(unreaped(&ended).await.iter().any(is_child));
        assert!(!child.wait().unwrap().success());
        assert!(!unreaped(&ended).await.iter().any(is_child));
        assert!(carriers(&|it| it == mark, None, &mut BTreeSet::new()).is_empty());
        assert!(carries(other.id() as i32, &format!("{mark}-other")));
        end(|it| it == format!("{mark}-other"), None).await.unwrap();
        let mut other = other;
        other.wait().unwrap();
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let line = |ip: &str, state: &str| {
            format!("   0: {ip}:2134 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  0  0 4711 1 0 100")
        };
        let address = |it: &str| -> SocketAddr { it.parse().unwrap() };
        let local = if cfg!(target_endian = "little") { "0100007F" } else { "7F000001" };
        for (line, asked, expect) in [
            (line(local, "0A"), "127.0.0.1:8500", true),
            (line("00000000", "0A"), "10.0.0.1:8500", true),
            (line(local, "0A"), "10.0.0.1:8500", false),
            (line(local, "01"), "127.0.0.1:8500", false),
            (line(local, "0A"), "127.0.0.1:8501", false),
            (line(&"0".repeat(32), "0A"), "10.0.0.1:8500", true),
            (line("zz", "0A"), "10.0.0.1:8500", false),
        ] {
            assert_eq!(listener(&line, address(asked)), expect.then_some(4711), "{line} {asked}");
        }
        assert_eq!(listener("  sl  local_address rem_address   st tx_queue", address("10.0.0.1:80")), None);
    }

    #[test]
    fn another_program_s_answer_is_not_a_container_s() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(listeners(address).len(), 1);
        // This process is in the agent's own control group, as every program that is in no container may be.
        assert!(!listens(address, &[std::process::id() as i32]));
        assert!(!listens(address, &[]));
        drop(listener);
        assert!(listeners(address).is_empty());
    }
}

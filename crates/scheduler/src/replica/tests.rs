//! Whole replicas in one process: real threads, real sockets, real files.

use std::collections::BTreeMap;
use std::path::Path;

use prometheus::Registry;

use super::*;
use crate::log::{Dir, Memory};
use crate::machine::{Outcome, Stamp};
use crate::peers::{self, Listener};

/// Adds numbers up.
#[derive(Clone, Debug, Default)]
struct Sum(u64);

impl Machine for Sum {
    type Reply = u64;
    type Event = u64;
    type View = u64;

    fn apply(&mut self, _: u64, _: Stamp, command: &[u8]) -> Result<Outcome<Self>, Unreadable> {
        let number = u64::from_le_bytes(command[..8].try_into().unwrap());
        self.0 += number;
        Ok(Outcome { reply: self.0, event: Some(number) })
    }

    fn check(command: &[u8]) -> Result<(), Unreadable> {
        if command.len() < 8 { Err(Unreadable { reason: "too short".to_owned() }) } else { Ok(()) }
    }

    fn view(&self) -> u64 {
        self.0
    }

    fn save(view: &u64) -> Vec<u8> {
        view.to_le_bytes().to_vec()
    }

    fn restore(data: &[u8]) -> Result<Self, Unreadable> {
        Ok(Self(u64::from_le_bytes(data.try_into().unwrap())))
    }
}

fn add(number: u64) -> Payload {
    let payload = Payload::new(|it: &mut Vec<u8>| -> Result<(), ()> {
        it.extend_from_slice(&number.to_le_bytes());
        it.resize(9 + 256, 0);
        Ok(())
    });
    payload.unwrap()
}

fn metrics() -> Metrics {
    Metrics::new(&Registry::new())
}

fn alone(dir: &Path, config: Config) -> Handle<Sum> {
    alone_on(Arc::new(opened(dir)), config)
}

/// The directory, once nobody holds it any more: a process that another test starts has all that is open for a moment.
fn opened(dir: &Path) -> Dir {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Dir::open(dir) {
            Err(log::Error::Locked { .. }) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            opened => return opened.unwrap(),
        }
    }
}

fn alone_on(disk: Arc<dyn Disk>, config: Config) -> Handle<Sum> {
    let starting = Starting::new();
    let peers = peers::Config { cluster: "test".to_owned(), id: 1, addresses: BTreeMap::new() };
    let peers = Peers::dial(&peers, &starting.inbox());
    let fatal = |error| panic!("{error}");
    starting.run(config, disk, Sum::default, peers, metrics(), fatal).unwrap()
}

/// Waits until the replica's thread has let go of the directory.
fn stopped(handle: Handle<Sum>, dir: &Path) {
    handle.stop();
    drop(handle);
    while matches!(Dir::open(dir), Err(log::Error::Locked { .. })) {
        thread::sleep(Duration::from_millis(5));
    }
}

struct Trio {
    handles: BTreeMap<u64, Handle<Sum>>,
    dirs: Vec<tempfile::TempDir>,
}

impl Trio {
    async fn start() -> Self {
        let mut sockets = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for id in 1..=3 {
            let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.insert(id, socket.local_addr().unwrap().to_string());
            sockets.insert(id, socket);
        }
        let mut trio = Self { handles: BTreeMap::new(), dirs: Vec::new() };
        for (id, socket) in sockets {
            let mut others = addresses.clone();
            others.remove(&id);
            let peers = peers::Config { cluster: "test".to_owned(), id, addresses: others };
            let dir = tempfile::tempdir().unwrap();
            let starting = Starting::new();
            let listener = Listener::new(peers.clone(), starting.inbox());
            tokio::spawn(async move {
                while let Ok((stream, _)) = socket.accept().await {
                    let listener = listener.clone();
                    tokio::spawn(async move { listener.accept(stream).await.map(drop) });
                }
            });
            let outgoing = Peers::dial(&peers, &starting.inbox());
            let disk = Arc::new(Dir::open(dir.path()).unwrap());
            let mut config = Config::new(id, vec![1, 2, 3]);
            config.tick = Duration::from_millis(20);
            let fatal = |error| panic!("{error}");
            let handle = starting.run(config, disk, Sum::default, outgoing, metrics(), fatal);
            trio.handles.insert(id, handle.unwrap());
            trio.dirs.push(dir);
        }
        trio
    }

    async fn leader(&self) -> u64 {
        let mut watch = self.handles[&1].watch();
        let seen = watch.wait_for(|it| it.status.leader.is_some()).await.unwrap();
        seen.status.leader.unwrap()
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut sum = 0;
    for round in 1..=4 {
        let mut config = Config::new(1, vec![1]);
        config.member.snapshot_entries = 15;
        config.log.segment_bytes = 4096;
        let handle = alone(dir.path(), config);
        assert_eq!(handle.read().await, Ok(sum));
        for number in 1..=20 {
            sum += number * round;
            assert_eq!(handle.submit(add(number * round)).await.unwrap().reply, sum);
        }
        assert_eq!(handle.local(), sum);
        stopped(handle, dir.path());
    }
    let files = std::fs::read_dir(dir.path()).unwrap().count();
    assert!(files < 12, "{files} files: the log is compacted");
}

#[tokio::test]
async fn events_can_be_read_again_and_gaps_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(1, vec![1]);
    config.events_bytes = 10;
    let handle = alone(dir.path(), config);
    handle.submit(add(0)).await.unwrap();
    let mut live = handle.events(None);
    let first = handle.submit(add(1)).await.unwrap().index;
    assert_eq!(live.next().await, Next::Events(vec![(first, 1)]));
    for number in 2..=20 {
        handle.submit(add(number)).await.unwrap();
    }
    let mut late = handle.events(Some(first));
    let Next::Gap(through) = late.next().await else { panic!("a gap") };
    let Next::Events(events) = late.next().await else { panic!("events") };
    assert_eq!(events.len(), 10);
    assert_eq!(events[0].0, through + 1);
    let mut resumed = handle.events(Some(events[6].0));
    assert_eq!(resumed.next().await, Next::Events(events[7..].to_vec()));
    drop(live);
    stopped(handle, dir.path());
    assert!(matches!(late.next().await, Next::End));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_take_commands_anywhere_and_outlive_their_leader() {
    let trio = Trio::start().await;
    let leader = trio.leader().await;
    let mut sum = 0;
    for (number, handle) in (1..).zip(trio.handles.values().cycle()).take(30) {
        sum += number;
        assert_eq!(handle.submit(add(number)).await.unwrap().reply, sum);
    }
    for handle in trio.handles.values() {
        assert_eq!(handle.read().await, Ok(sum));
    }
    trio.handles[&leader].stop();
    trio.handles[&leader].stopped().await;
    for (id, handle) in &trio.handles {
        if *id != leader {
            sum += 1;
            assert_eq!(handle.submit(add(1)).await.unwrap().reply, sum);
            assert_eq!(handle.read().await, Ok(sum));
        }
    }
    assert_eq!(trio.handles[&leader].submit(add(1)).await, Err(SubmitError::Stopped));
    trio.handles.values().for_each(Handle::stop);
}

#[tokio::test]
async fn a_full_disk_refuses_commands_until_there_is_room() {
    let disk = Memory::new();
    let mut config = Config::new(1, vec![1]);
    config.log.segment_bytes = 8192;
    config.tick = Duration::from_millis(10);
    let handle = alone_on(Arc::new(disk.clone()), config);
    handle.submit(add(1)).await.unwrap();
    disk.set_full(true);
    let mut done = 1;
    let refused = loop {
        match handle.submit(add(1)).await {
            Ok(answer) => done = answer.reply,
            Err(error) => break error,
        }
        // The shortage is noticed on another thread, and half a segment here is a dozen commands.
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(refused, SubmitError::Refused(Refused::DiskFull));
    assert_eq!(handle.read().await, Ok(done), "reads go on");
    disk.set_full(false);
    while handle.submit(add(1)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(handle.read().await, Ok(done + 1));
    handle.stop();
    handle.stopped().await;
}

/// Prints commands per second; run with `--release -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a test"]
async fn commands_per_second() {
    let dir = tempfile::tempdir_in(".").unwrap();
    let handle = alone(dir.path(), Config::new(1, vec![1]));
    for clients in [1, 16, 64, 256] {
        measure("1 member ", &handle, clients).await;
    }
    stopped(handle, dir.path());
    let trio = Trio::start().await;
    let leader = trio.leader().await;
    for clients in [1, 16, 64, 256] {
        measure("3 members", &trio.handles[&leader], clients).await;
    }
    for clients in [1, 64] {
        measure("follower ", &trio.handles[&(leader % 3 + 1)], clients).await;
    }
    trio.handles.values().for_each(Handle::stop);
}

async fn measure(what: &str, handle: &Handle<Sum>, clients: usize) {
    let began = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                while began.elapsed() < Duration::from_secs(3) {
                    let asked = Instant::now();
                    handle.submit(add(1)).await.unwrap();
                    took.push(asked.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    let seconds = began.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |share: f64| took[(took.len() as f64 * share) as usize];
    let rate = took.len() as f64 / seconds;
    println!("{what} {clients:4} clients {rate:9.0}/s p50 {:?} p99 {:?}", at(0.5), at(0.99));
}

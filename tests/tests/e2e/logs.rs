//! What containers wrote: read through any member, merged over nodes, also when they are gone; and the same as plain files
//! on the node.

use crate::harness::cluster::{Cluster, Task};
use crate::harness::ekiden::verb;
use crate::harness::http::Answer;
use crate::harness::process::run;
use crate::harness::world::World;
use crate::harness::{Tool, docker, eventually, have, http, seconds, web};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

const APP: &str = "/logs/web";

/// Has a task's program write a line of its own, and waits until the engine has it: by its clock lines are in order.
fn write(task: &Task, word: &str) {
    http::get(task.address(), &format!("/{word}")).expect("it answers");
    eventually("the engine has the line", seconds(10), || {
        let log = of_docker(task.instance());
        if log.contains(word) { Ok(()) } else { Err(log) }
    });
}

/// The lines that `ekiden logs` prints with these arguments.
#[track_caller]
fn lines(cluster: &Cluster, args: &[&str]) -> Vec<String> {
    let said = verb(cluster, &[&["logs"], args].concat());
    assert_eq!(said.code, 0, "{said:?}");
    said.out.lines().map(str::to_owned).collect()
}

#[track_caller]
fn text(cluster: &Cluster, query: &str) -> String {
    let request = http::request("GET", &format!("/v3/logs?{query}"), &[("accept", "text/plain")], b"");
    let answer: Answer = http::exchange(cluster.http, &request).expect("it answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// What Docker has of a container.
fn of_docker(container: &str) -> String {
    let output = run("docker", &["logs", container]);
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn lines_of_all_instances_are_found_through_any_member_also_when_they_are_gone() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let mut world = World::<3>::start();
    world.agent("first", "node-1", "");
    world.agent("second", "node-2", "");
    world.has_nodes(2);
    let leader = world.leader();
    let (leading, other) = (world.members[leader].cluster, world.members[(leader + 1) % 3].cluster);
    let mut app = web(APP, 2);
    app["constraints"] = json!([["hostname", "UNIQUE"]]);
    let tasks = leading.deploy(&app);
    for n in 0..6 {
        write(&tasks[n % 2], &format!("hello-{n}"));
    }
    // Through a member that does not lead, in the order in which they were written, whichever node has them.
    let told = eventually("all lines are there", seconds(20), || {
        let told = lines(&other, &[APP, "--grep", "hello-", "--no-names"]);
        if told.len() == 6 { Ok(told) } else { Err(format!("{told:?}")) }
    });
    for (n, line) in told.iter().enumerate() {
        assert!(line.starts_with(&format!("GET /hello-{n} ")), "{told:?}");
    }
    assert_eq!(lines(&other, &["/logs", "--grep", "hello-", "--tail", "2", "--no-names"]), told[4..], "of the group");
    let one = lines(&other, &["--instance", &tasks[0].id, "--grep", "hello-", "--no-names"]);
    assert_eq!(one, [&told[0][..], &told[2], &told[4]]);
    assert!(!lines(&other, &[APP, "--grep", "hello-", "--invert"]).iter().any(|it| it.contains("hello-")));

    // A download has what Docker has, to the byte; so has the file on the node.
    for task in &tasks {
        eventually("it is what Docker has", seconds(10), || {
            let (ours, dockers) =
                (text(&leading, &format!("instance={}&stream=stdout", task.id)), of_docker(task.instance()));
            if ours == dockers && !ours.is_empty() { Ok(()) } else { Err(format!("{ours:?} and {dockers:?}")) }
        });
    }

    // Who follows is told what comes, once, also while the leader changes.
    let mut follower = Follower::open(&other, &format!("app={APP}&follow=true&tail=0&grep=after-"));
    write(&tasks[1], "after-0");
    assert_eq!(follower.line(), "after-0");
    world.members[leader].process.kill_hard();
    let place = follower.ends();
    let mut again = Follower::again(&world, leader, &format!("app={APP}&follow=true&grep=after-"), &place);
    write(&tasks[0], "after-1");
    assert_eq!(again.line(), "after-1", "nothing twice");
    world.start_again(leader);

    // They are gone, and their lines are not.
    eventually("the app goes", seconds(40), || {
        let said = verb(&other, &["app", "remove", APP, "--yes", "--wait"]);
        if said.code == 0 { Ok(()) } else { Err(format!("{said:?}")) }
    });
    // Where the leader changed meanwhile, the last of them may go a moment later.
    eventually("its containers go", seconds(20), || match &docker::containers(&world.id)[..] {
        [] => Ok(()),
        left => Err(format!("{left:?}")),
    });
    assert_eq!(lines(&other, &[APP, "--grep", "hello-", "--no-names"]), told);
    let files: Vec<String> =
        ["first", "second"].iter().flat_map(|it| kept(&world.scratch.path(it).join("logs/logs_web"))).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files.iter().all(|it| it.contains("hello-")), "the same in plain files: {files:?}");
    let nothing = verb(&other, &["logs", "/nothing"]);
    assert_eq!(nothing.code, 66, "{nothing:?}");
}

#[test]
fn what_ended_a_moment_ago_is_there_to_the_last_byte() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let mut world = World::<1>::start();
    world.agent("first", "node-1", "");
    world.has_nodes(1);
    let cluster = world.members[0].cluster;
    let mut app = web("/dies", 1);
    app["container"]["docker"]["image"] = docker::image_with_shell().into();
    app["cmd"] = "i=0; while test $i -lt 2000; do i=$((i+1)); echo line $i; done; echo -n the last word; exit 3".into();
    app["healthChecks"] = json!([]);
    app["args"] = Value::Null;
    app.as_object_mut().expect("an app").retain(|_, it| !it.is_null());
    cluster.post("/v2/apps", &app);
    let failed = eventually("it fails", seconds(30), || {
        let failure = cluster.app("/dies")["lastTaskFailure"].take();
        if failure.is_null() { Err(failure) } else { Ok(failure) }
    });
    let task = failed["taskId"].as_str().expect("a task").to_owned();
    eventually("all that it wrote", seconds(10), || {
        let told = text(&cluster, &format!("instance={task}"));
        let told: Vec<_> = told.lines().collect();
        if told.len() == 2_001 && told[1_999] == "line 2000" && told[2_000] == "the last word" {
            return Ok(());
        }
        Err(format!("{} lines, the last is {:?}", told.len(), told.last()))
    });
    cluster.remove("/dies");
}

/// The contents of the logs in a directory.
fn kept(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|it| it.path());
    files.filter(|it| !it.is_symlink()).map(|it| std::fs::read_to_string(it).expect("a log")).collect()
}

/// A stream of lines, as browsers read it.
struct Follower {
    from: BufReader<std::net::TcpStream>,
    place: String,
}

impl Follower {
    fn open(cluster: &Cluster, query: &str) -> Self {
        let stream = http::open(cluster.http, &format!("/v3/logs?{query}"), &[]).expect("it answers");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let mut follower = Self { from: BufReader::new(stream), place: String::new() };
        let head = follower.next().expect("an answer");
        assert!(head.contains("200"), "{head}");
        // Once all that was written before is told, it says so.
        while !follower.next().expect("it goes on").starts_with("data: ") {}
        follower
    }

    /// Behind a place, through whichever member has a leader again.
    fn again(world: &World<3>, dead: usize, query: &str, place: &str) -> Self {
        let alive = &world.members[(dead + 1) % 3].cluster;
        eventually("another member leads", seconds(20), || {
            let stream = http::open(alive.http, &format!("/v3/logs?{query}"), &[("last-event-id", place)])?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            let mut follower = Self { from: BufReader::new(stream), place: place.to_owned() };
            match follower.next() {
                Some(head) if head.contains("200") => Ok(follower),
                other => Err(std::io::Error::other(format!("{other:?}"))),
            }
        })
    }

    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        let n = self.from.read_line(&mut line).ok()?;
        (n > 0).then_some(line)
    }

    /// The word of the next line that is told.
    #[track_caller]
    fn line(&mut self) -> String {
        loop {
            let line = self.next().expect("it goes on");
            if let Some(id) = line.strip_prefix("id: ") {
                id.trim().clone_into(&mut self.place);
            }
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let data: Value = serde_json::from_str(data).expect("JSON");
            let Some(text) = data["lines"][0]["text"].as_str() else { continue };
            assert_eq!(data["lines"].as_array().map(Vec::len), Some(1), "{data}");
            return text.split(['/', ' ']).find(|it| it.starts_with("after-")).unwrap_or(text).to_owned();
        }
    }

    /// Reads to its end, and returns the place behind all that was told.
    fn ends(mut self) -> String {
        while let Some(line) = self.next() {
            if let Some(id) = line.strip_prefix("id: ") {
                id.trim().clone_into(&mut self.place);
            }
        }
        self.place
    }
}

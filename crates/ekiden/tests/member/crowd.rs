//! More connections than a process may have files.

use super::{Member, request};
use std::io::{Read, Write};
use std::net::TcpStream;

/// It answers, and takes a change, also from those who come last.
fn is_at_work(member: &Member, n: usize) {
    let ping = member.ask(&request("GET", "/ping", "", "")).unwrap();
    assert!(ping.starts_with("HTTP/1.1 200"), "{n}: {ping}");
    let group = format!("{{\"id\":\"/g{n}\"}}");
    let written = member.ask(&request("POST", "/v2/groups", "Content-Type: application/json\r\n", &group)).unwrap();
    assert!(written.starts_with("HTTP/1.1 201"), "{n}: {written}");
}

#[test]
fn eleven_hundred_connections_and_a_thousand_files_leave_it_at_work() {
    let member = Member::start("ulimit -n 1024");
    let stream = "GET /v2/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";
    for (n, text) in
        ["", "GET /ping HTTP/1.1\r\nHo", "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", stream].iter().enumerate()
    {
        let crowd: Vec<TcpStream> = (0..1100)
            .map(|_| {
                let mut it = TcpStream::connect(member.address).unwrap();
                // Those that had to go for others take no bytes.
                let _ = it.write_all(text.as_bytes());
                it
            })
            .collect();
        is_at_work(&member, n);
        drop(crowd);
    }
    let log = std::fs::read_to_string(member.log()).unwrap();
    assert!(!log.contains("could not be accepted"), "it never ran out of files: {log}");
}

#[test]
fn the_soft_limit_of_files_is_raised() {
    let member = Member::start("ulimit -Sn 256");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", member.child.id())).unwrap();
    let line = limits.lines().find(|it| it.starts_with("Max open files")).unwrap().to_owned();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
}

#[test]
fn four_mib_from_each_of_hundreds_are_not_kept() {
    let member = Member::start("true");
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", member.child.id())).unwrap();
        let line = status.lines().find(|it| it.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let before = resident();
    let length = 4 << 20;
    let head = format!("PUT /v2/groups HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let body = vec![b' '; length - 1024];
    let mut refused = 0;
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(member.address).unwrap();
        stream.set_write_timeout(Some(super::LIMIT)).unwrap();
        match stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)) {
            Ok(()) => held.push(stream),
            Err(_) => refused += 1,
        }
    }
    let mib = resident() - before;
    // The budget of bodies, what sockets hold on our side apart, and twice as much while buffers grow.
    assert!(mib < 200, "{mib} MiB for {} bodies, {refused} refused", held.len());
    is_at_work(&member, 0);
    let mut answer = String::new();
    let last = held.iter_mut().rev().find_map(|it| {
        it.set_read_timeout(Some(super::LOOK)).ok()?;
        let mut bytes = [0; 512];
        let n = it.read(&mut bytes).ok()?;
        (n > 0).then(|| String::from_utf8_lossy(&bytes[..n]).into_owned())
    });
    answer.extend(last);
    assert!(refused > 0 || (answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after")), "{answer}");
}

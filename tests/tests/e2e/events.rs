//! The stream of events, as a load balancer or a CI reads it.

use crate::harness::cluster::text;
use crate::harness::{Cluster, Dev, Tool, have, http, seconds, web};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;

#[test]
fn a_reader_that_comes_back_misses_nothing() {
    if !have(&[Tool::Docker]) {
        return;
    }
    let dev = Dev::start(&[]);
    let cluster = dev.cluster();
    let mut first = Events::open(&cluster, None);
    assert_eq!(first.until("event_stream_attached").len(), 1);
    cluster.deploy(&web("/web", 1));
    let all = first.until("deployment_success");
    let kinds: Vec<&str> = all.iter().map(|it| it.kind.as_str()).collect();
    for kind in ["api_post_event", "deployment_info", "status_update_event", "health_status_changed_event"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let running = all.iter().find(|it| it.data["taskStatus"] == "TASK_RUNNING").expect("its task runs");
    assert_eq!((&running.data["appId"], running.data["ports"].as_array().map(Vec::len)), (&"/web".into(), Some(1)));
    for it in &all {
        assert_eq!(text(&it.data["eventType"]), it.kind);
    }

    // It comes back after the first half.
    let logged: Vec<&Event> = all.iter().filter(|it| !it.id.is_empty()).collect();
    let (seen, missed) = logged.split_at(logged.len() / 2);
    let mut again = Events::open(&cluster, Some(&seen.last().expect("half of many").id));
    let told = again.until("deployment_success");
    let told: Vec<&str> = told.iter().filter(|it| !it.id.is_empty()).map(|it| it.id.as_str()).collect();
    assert_eq!(told, missed.iter().map(|it| it.id.as_str()).collect::<Vec<_>>());
}

/// An event as it was sent.
#[derive(Debug)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

/// A reader of the stream.
struct Events {
    lines: std::io::Lines<BufReader<TcpStream>>,
}

impl Events {
    fn open(cluster: &Cluster, last: Option<&str>) -> Self {
        let headers: Vec<_> = last.map(|it| ("last-event-id", it)).into_iter().collect();
        let stream = http::open(cluster.http, "/v2/events", &headers).expect("the stream opens");
        stream.set_read_timeout(Some(seconds(60))).expect("a time limit");
        Self { lines: BufReader::new(stream).lines() }
    }

    /// Reads events up to the first of this type.
    fn until(&mut self, kind: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let (mut id, mut event) = (String::new(), String::new());
        for line in self.lines.by_ref() {
            let line = line.expect("the stream goes on");
            // Chunk sizes stand between them, and mean nothing here.
            match line.split_once(':').map(|(name, it)| (name, it.trim())) {
                Some(("id", it)) => it.clone_into(&mut id),
                Some(("event", it)) => it.clone_into(&mut event),
                Some(("data", it)) => {
                    let data = serde_json::from_str(it).expect("an event is JSON");
                    events.push(Event { id: std::mem::take(&mut id), kind: std::mem::take(&mut event), data });
                    if events.last().is_some_and(|it| it.kind == kind) {
                        return events;
                    }
                }
                _ => {}
            }
        }
        panic!("the stream ended before {kind}: {events:?}");
    }
}

//! What containers wrote: merged over nodes, in every form, and what is said where lines are missing.

use super::world::World;
use cluster::agent::{LogAnswer, LogFrom, LogLines, LogPlace, LogSkipped, LogSource, LoggedLine};
use cluster::{AppId, InstanceId, Stream};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;

/// 2026-11-28T12:00:00Z.
const NOON_NS: u64 = 1_795_867_200_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

fn instance(n: u64) -> InstanceId {
    format!("00000000-0000-8000-8000-{n:012x}").parse().unwrap()
}

fn source(n: u64) -> LogSource {
    LogSource { instance: instance(n), container: String::new() }
}

/// Lines of one instance of `/web`, each so many seconds after noon.
fn lines(n: u64, lines: &[(u64, &str)]) -> LogLines {
    let line = |(at, (after, text)): (usize, &(u64, &str))| LoggedLine {
        from: 0,
        time_ns: NOON_NS + after * SECOND_NS,
        stream: if text.starts_with("err") { Stream::Stderr } else { Stream::Stdout },
        text: (*text).to_owned(),
        place: LogPlace { born_ns: NOON_NS, inode: n, offset: 100 * (at as u64 + 1), told: 0 },
    };
    let until_ns = lines.last().map_or(0, |it| NOON_NS + it.0 * SECOND_NS);
    LogLines {
        sources: vec![LogFrom { app: AppId::parse("/web").unwrap(), source: source(n) }],
        lines: lines.iter().enumerate().map(line).collect(),
        until_ns,
        ..LogLines::default()
    }
}

/// Two nodes with an instance each, which wrote in turns.
fn world() -> World {
    let world = World::new();
    let first = lines(1, &[(0, "one"), (2, "three"), (4, "err five")]);
    let more = lines(1, &[(6, "seven")]);
    world.fake.set_logs("n1", vec![LogAnswer::Lines(first), LogAnswer::Lines(more), LogAnswer::End]);
    let other = LogLines { caught_up: true, ..lines(2, &[(1, "two"), (3, "four"), (5, "six")]) };
    world.fake.set_logs("n2", vec![LogAnswer::Lines(other), LogAnswer::End]);
    world
}

const TEXT: [(&str, &str); 1] = [("accept", "text/plain")];

#[tokio::test]
async fn lines_of_all_nodes_are_told_in_the_order_of_time() {
    let world = world();
    let answer = world.send("GET /v3/logs?app=/web", &TEXT, "").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "one\ntwo\nthree\nfour\nerr five\nsix\nseven\n"));
    assert!(answer.header("content-type").starts_with("text/plain"));
    // curl takes anything.
    assert_eq!(world.send("GET /v3/logs?app=/web", &[("accept", "*/*")], "").await.text, answer.text);

    let told = world.send("GET /v3/logs?app=/web&times=true&names=true", &TEXT, "").await.text;
    let first = told.lines().next().unwrap();
    assert_eq!(first, "2026-11-28T12:00:00.000000000Z web.00000000-0000-8000-8000-000000000001 one");

    let rows = world.send("GET /v3/logs?app=/web", &[("accept", "application/x-ndjson")], "").await.text;
    let rows: Vec<Value> = rows.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(rows.len(), 7);
    assert_eq!(
        rows[4],
        json!({
            "time": "2026-11-28T12:00:04.000000000Z", "app": "/web", "node": "n1", "stream": "stderr",
            "instance": "web.00000000-0000-8000-8000-000000000001", "text": "err five",
        })
    );
}

#[tokio::test]
async fn the_last_lines_are_the_last_of_all_nodes() {
    let world = world();
    assert_eq!(world.send("GET /v3/logs?app=/web&tail=3", &TEXT, "").await.text, "err five\nsix\nseven\n");
    assert_eq!(world.send("GET /v3/logs?app=/web&tail=0", &TEXT, "").await.text, "");
    assert_eq!(world.fake.log_queries()[0].tail, Some(3), "no node is asked for more than may be wanted");
}

#[tokio::test]
async fn a_reader_comes_back_to_where_it_was() {
    let world = world();
    let accept = ("accept", "text/event-stream");
    let told = world.send("GET /v3/logs?app=/web", &[accept], "").await;
    let ids: Vec<_> = told.text.lines().filter_map(|it| it.strip_prefix("id: ")).collect();
    world.send("GET /v3/logs?app=/web&tail=1", &[accept, ("last-event-id", ids.last().unwrap())], "").await;
    let asked = world.fake.log_queries().pop().unwrap();
    let place = |n, offset| (source(n), LogPlace { born_ns: NOON_NS, inode: n, offset, told: 0 });
    assert_eq!(asked.after, BTreeMap::from([place(1, 100), place(2, 300)]), "behind the last line of each");

    let wrong = world.send("GET /v3/logs?app=/web", &[accept, ("last-event-id", "42")], "").await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    assert!(wrong.text.contains("Last-Event-ID"), "{}", wrong.text);
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let world = world();
    world.fake.set_logs("n3", vec![LogAnswer::Failed { reason: "it is not connected".to_owned() }]);
    let gap = LogSkipped { source: source(4), lines: Some(120), reason: "they came too fast".to_owned() };
    let cut = LogLines { skipped: vec![gap], ..LogLines::default() };
    world.fake.set_logs("n4", vec![LogAnswer::Lines(cut), LogAnswer::End]);
    let told = world.send("GET /v3/logs?app=/web", &TEXT, "").await.text;
    assert!(told.contains("one\ntwo\n"), "the others are told all the same: {told}");
    assert!(told.contains("[ekiden] lines of node n3 may be missing: it is not connected\n"), "{told}");
    let skipped = "[ekiden] skipped 120 lines of 00000000-0000-8000-8000-000000000004: they came too fast\n";
    assert!(told.contains(skipped), "{told}");
    let rows = world.send("GET /v3/logs?app=/web", &[("accept", "application/json")], "").await.text;
    let notices: Vec<Value> =
        rows.lines().filter_map(|it| serde_json::from_str::<Value>(it).unwrap().get("notice").cloned()).collect();
    assert!(notices.iter().any(|it| it["node"] == "n3") && notices.iter().any(|it| it["lines"] == 120), "{notices:?}");
}

#[tokio::test]
async fn a_download_is_a_file_with_a_name() {
    let world = world();
    let (headers, plain) = world.bytes("GET /v3/logs?app=/web&download=plain", &TEXT).await;
    assert_eq!(headers["content-disposition"], "attachment; filename=\"web.log\"");
    let (headers, packed) =
        world.bytes("GET /v3/logs?app=/web&download=gz", &[("accept", "*/*"), ("accept-encoding", "gzip")]).await;
    assert_eq!(headers["content-disposition"], "attachment; filename=\"web.log.gz\"");
    assert_eq!(headers["content-type"], "application/gzip", "packed once");
    let mut unpacked = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_told_at_once() {
    let world = world();
    let line = "GET /v3/logs?app=/A%20b&instance=x&since=yesterday&until=5x&tail=-1&stream=both&grep=(";
    let refused = world.send(line, &TEXT, "").await;
    assert_eq!(refused.status, 422);
    for name in ["app", "instance", "since", "until", "tail", "stream", "grep"] {
        assert!(refused.text.contains(&format!("parameter '{name}'")), "{name}: {}", refused.text);
    }
    assert!(world.fake.log_queries().is_empty(), "and nobody is asked");
    let nobody = world.send("GET /v3/logs", &TEXT, "").await;
    assert_eq!(nobody.status, 422);
    assert!(nobody.text.contains("whose lines"), "{}", nobody.text);
    assert_eq!(world.send("GET /v3/logs?deployment=none", &TEXT, "").await.status, 404);
    assert_eq!(world.send("GET /v3/logs?app=/web", &[("accept", "image/png")], "").await.status, 406);
}

#[tokio::test]
async fn a_question_reaches_the_agents_as_it_was_asked() {
    let world = world();
    let task = "web.00000000-0000-8000-8000-000000000001";
    let line = format!(
        "GET /v3/logs?group=/g&instance={task}&container=c&since=2026-11-28T12:00:00.5Z&until=2026-11-28T13:00:00Z\
         &stream=stderr&grep=a%2Bb&invert=true"
    );
    world.send(&line, &TEXT, "").await;
    let asked = world.fake.log_queries().pop().unwrap();
    assert_eq!((asked.instances, asked.container.as_deref()), (vec![instance(1)], Some("c")));
    assert_eq!((asked.since_ns, asked.until_ns), (Some(NOON_NS + SECOND_NS / 2), Some(NOON_NS + 3_600 * SECOND_NS)));
    assert_eq!((asked.stream, asked.pattern.as_deref(), asked.invert), (Some(Stream::Stderr), Some("a+b"), true));
    assert_eq!(asked.group.unwrap().to_string(), "/g");
    world.send("GET /v3/logs?app=/web&since=90m", &TEXT, "").await;
    let since = world.fake.log_queries().pop().unwrap().since_ns.unwrap();
    let now_ns = world.fake.state().time().0.max(1_795_219_200_000) * 1_000_000;
    assert!(since + 90 * 60 * SECOND_NS <= now_ns + 60 * SECOND_NS, "{since}");
}

#[tokio::test]
async fn a_node_that_has_much_waits_for_one_that_is_slow_and_memory_has_a_bound() {
    let world = World::new();
    // Later than all of the other's, and more than may wait here.
    let long = "x".repeat(60 << 10);
    let much: Vec<LogAnswer> = (0..40).map(|n| LogAnswer::Lines(lines(1, &[(1_000 + n, long.as_str())]))).collect();
    world.fake.set_logs("n1", much);
    let few = (0..40).map(|n| LogAnswer::Lines(lines(2, &[(n, "early")]))).chain([LogAnswer::End]).collect();
    world.fake.set_logs("n2", few);
    let told = world.send("GET /v3/logs?app=/web", &TEXT, "").await.text;
    let told: Vec<_> = told.lines().collect();
    assert!(told.len() == 80 && told[..40].iter().all(|it| *it == "early"), "{} lines", told.len());

    // The last lines are bounded too, and what does not fit is said.
    let huge: Vec<LogAnswer> = (0..400).map(|n| LogAnswer::Lines(lines(1, &[(n, long.as_str())]))).collect();
    world.fake.set_logs("n1", huge);
    let told = world.send("GET /v3/logs?app=/web&tail=1000", &TEXT, "").await.text;
    assert!(told.len() <= 17 << 20, "{} bytes", told.len());
    let said = told.lines().filter(|it| it.contains("together have more than 16 MiB")).count();
    assert_eq!(said, 1, "it is said, once");
}

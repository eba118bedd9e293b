//! Twice the input is about twice the work, for every list and every map of every definition; and each has a limit.
//!
//! The lists are taken from the types that are described, so that none is forgotten. Work is counted, not timed
//! ([`crate::work`]).

use super::world::{World, app};
use crate::limits::{APPS_MAX, ENTRIES_MAX, ITEMS_MAX, LISTS, items_max};
use crate::{from_wire, json, work};
use cluster::{AppId, PathId, Settings};
use serde_json::{Map, Value, json};

/// A list has a logarithm in it where its items are looked up: from 32 items to 64 that is a fifth more.
const TWICE: u64 = 250;

/// What a definition is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    App,
    Pod,
    Group,
    Updates,
    TaskIds,
    InstanceIds,
}

/// A cluster with an image for commands.
fn commanding() -> Settings {
    Settings { command_image: "alpine:3".to_owned(), ..Settings::default() }
}

/// What is wrong with a body.
fn read(kind: Kind, text: &str) -> Vec<String> {
    let value = json::parse(text.as_bytes()).unwrap();
    let id = AppId::parse("/a").unwrap();
    let settings = Settings::default();
    let fields = || value.as_object().cloned().unwrap_or_else(Map::new);
    let items = || value.as_array().cloned().unwrap_or_default();
    let read = match kind {
        Kind::App => from_wire::app(&id, &fields(), &settings).map(drop),
        Kind::Pod => from_wire::pod(&id, &fields(), &commanding()).map(drop),
        Kind::Group => from_wire::group(&PathId::root(), &fields(), &settings, cluster::Version::default()).map(drop),
        Kind::Updates => from_wire::updates(items()).map(drop),
        Kind::TaskIds => from_wire::task_ids(&fields()).map(drop),
        Kind::InstanceIds => from_wire::pod_instance_ids(&items()).map(drop),
    };
    let details = read.err().map(|it| it.details()).unwrap_or_default();
    details.into_iter().map(|it| format!("{}: {}", it.path, it.errors.join(", "))).collect()
}

/// How much is kept of a definition that nothing is wrong with, bytes.
fn kept(kind: Kind, text: &str) -> usize {
    let value = json::parse(text.as_bytes()).unwrap();
    let (id, fields) = (AppId::parse("/a").unwrap(), value.as_object().unwrap());
    let read = match kind {
        Kind::Pod => from_wire::pod(&id, fields, &commanding()),
        _ => from_wire::app(&id, fields, &Settings::default()),
    };
    crate::limits::definition_bytes(&read.unwrap().0)
}

fn pod() -> Value {
    json!({
        "id": "/a",
        "containers": [{ "name": "main", "resources": { "cpus": 0.1, "mem": 32 }, "exec": { "command": { "shell": "x" } } }],
    })
}

fn base(kind: Kind) -> Value {
    match kind {
        Kind::App => app("/a", 1),
        Kind::Pod => pod(),
        Kind::Group | Kind::TaskIds => json!({}),
        Kind::Updates | Kind::InstanceIds => json!([]),
    }
}

/// Puts a value at a place, and makes what is missing on the way.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for part in pointer.split('/').skip(1) {
        place = if let Ok(n) = part.parse::<usize>() {
            if !place.is_array() {
                *place = json!([{}]);
            }
            &mut place.as_array_mut().unwrap()[n]
        } else {
            if !place.is_object() {
                *place = json!({});
            }
            &mut place[part]
        };
    }
    *place = value;
}

/// The places of all lists and of all maps of users' own names in what a schema describes.
fn places(schema: &Value, at: &str, lists: &mut Vec<String>, maps: &mut Vec<String>) {
    if schema["type"] == "array" {
        lists.push(at.to_owned());
        places(&schema["items"], &format!("{at}/0"), lists, maps);
    } else if schema["additionalProperties"]["type"] == "string" {
        maps.push(at.to_owned());
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        places(field, &format!("{at}/{name}"), lists, maps);
    }
}

/// An item of a list, as users write it; each is another one.
fn item(pointer: &str, n: usize) -> Value {
    let inner = pointer.rsplit('/').find(|it| it.parse::<usize>().is_err()).unwrap();
    let name = format!("n{n}");
    match inner {
        "apps" => app(&name, 1),
        "containers" => {
            json!({ "name": name, "resources": { "cpus": 0.1, "mem": 32 }, "exec": { "command": { "shell": "x" } } })
        }
        "endpoints" => json!({ "name": name, "hostPort": 1 + n % 65_000 }),
        "groups" => json!({ "id": name }),
        "healthChecks" => json!({ "protocol": "COMMAND", "command": { "value": name } }),
        "constraints" if pointer.contains("placement") => json!({ "fieldName": name, "operator": "UNIQUE" }),
        "constraints" => json!([name, "UNIQUE"]),
        "networks" => json!({ "mode": "container/bridge" }),
        "fetch" | "artifacts" => json!({ "uri": format!("http://a/{name}") }),
        "uris" => json!(format!("http://a/{name}")),
        "parameters" => json!({ "key": "hostname", "value": name }),
        "portDefinitions" => json!({ "port": n, "name": name }),
        "portMappings" => json!({ "containerPort": n, "hostPort": n, "name": name, "servicePort": n }),
        "ports" if pointer.contains("discovery") => json!({ "number": n, "name": name }),
        "ports" | "httpStatusCodesForReady" => json!(100 + n),
        "readinessChecks" => json!({ "name": name, "portName": "web" }),
        "volumes" if pointer.contains("container") => {
            json!({ "containerPath": format!("/{name}"), "hostPath": "/x", "mode": "RO" })
        }
        "volumes" => json!({ "name": name }),
        "volumeMounts" => json!({ "name": name, "mountPath": format!("/{name}") }),
        _ => json!(name),
    }
}

/// Where something is, and in what.
type Places = Vec<(Kind, String)>;

/// Every list, and every map.
fn all() -> (Places, Places) {
    let document: Value = serde_json::from_slice(crate::openapi::document()).unwrap();
    let (mut all_lists, mut all_maps) = (Vec::new(), Vec::new());
    for (kind, name) in [(Kind::App, "AppDefinition"), (Kind::Pod, "PodDefinition")] {
        let (mut lists, mut maps) = (Vec::new(), Vec::new());
        places(&document["components"]["schemas"][name], "", &mut lists, &mut maps);
        assert!(lists.len() > 8 && maps.len() > 2, "{lists:?} {maps:?}");
        all_lists.extend(lists.into_iter().map(|it| (kind, it)));
        all_maps.extend(maps.into_iter().map(|it| (kind, it)));
    }
    // The old dialect is read, and not printed.
    for pointer in
        ["/ports", "/uris", "/container/docker/portMappings", "/ipAddress/discovery/ports", "/ipAddress/groups"]
    {
        all_lists.push((Kind::App, pointer.to_owned()));
    }
    for pointer in ["/apps", "/groups", "/dependencies", "/groups/0/apps"] {
        all_lists.push((Kind::Group, pointer.to_owned()));
    }
    // Beside a `shell`, of which there is one or the other.
    all_lists.push((Kind::Pod, "/containers/0/exec/command/argv".to_owned()));
    all_lists.push((Kind::TaskIds, "/ids".to_owned()));
    (all_lists, all_maps)
}

fn with(kind: Kind, pointer: &str, value: Value) -> String {
    let mut document = base(kind);
    if pointer.starts_with("/groups/0") {
        put(&mut document, "/groups/0/id", json!("g"));
    }
    if pointer.starts_with("/container/docker/portMappings") {
        document["container"].as_object_mut().unwrap().remove("portMappings");
    }
    if pointer.ends_with("/argv") {
        document["containers"][0]["exec"]["command"] = json!({});
    }
    if pointer.starts_with("/ipAddress") {
        document.as_object_mut().unwrap().remove("networks");
    }
    put(&mut document, pointer, value);
    document.to_string()
}

/// Shows that twice the input is about twice the work.
fn check(what: &str, kind: Kind, n: usize, make: impl Fn(usize) -> String) {
    let (one, two) = (make(n), make(2 * n));
    let (of_one, of_two) = (work::of(|| drop(read(kind, &one))), work::of(|| drop(read(kind, &two))));
    assert!(of_two * 100 <= of_one * TWICE, "{kind:?} {what}: {n} are {of_one}, {} are {of_two}", 2 * n);
    assert!(read(kind, &two).len() <= 102, "{kind:?} {what}: what is told is bounded");
}

#[test]
fn twice_the_list_is_twice_the_work() {
    let (lists, _) = all();
    for (kind, pointer) in &lists {
        let max = items_max(pointer.rsplit('/').find(|it| it.parse::<usize>().is_err()).unwrap());
        for n in [max.min(2048) / 2, 3000] {
            let list = |n: usize, of: &dyn Fn(usize) -> Value| with(*kind, pointer, (0..n).map(of).collect());
            check(pointer, *kind, n, |n| list(n, &|n| item(pointer, n)));
            check(&format!("{pointer}, all the same"), *kind, n, |n| list(n, &|_| item(pointer, 1)));
            for wrong in [json!(0), json!({}), json!([]), json!("\0"), json!([0])] {
                check(&format!("{pointer} of {wrong}"), *kind, n, |n| list(n, &|_| wrong.clone()));
            }
        }
    }
    for kind in [Kind::Updates, Kind::InstanceIds] {
        for n in [1000, 20_000, 100_000] {
            for wrong in [json!(0), json!({}), json!("x")] {
                check("whole", kind, n, |n| vec![wrong.clone(); n].into_iter().collect::<Value>().to_string());
            }
        }
    }
    check("whole", Kind::Updates, 5000, |n| {
        (0..n).map(|n| json!({ "id": format!("/a{n}") })).collect::<Value>().to_string()
    });
}

#[test]
fn twice_the_map_is_twice_the_work() {
    let (lists, mut maps) = all();
    // Objects with fields that nobody knows are maps of users' own names too.
    maps.extend(lists.iter().map(|(kind, it)| (*kind, it.rsplit_once('/').unwrap().0.to_owned())));
    for (kind, pointer) in &maps {
        for n in [ENTRIES_MAX / 2, 3000] {
            for (what, value) in [("texts", json!("x")), ("numbers", json!(0)), ("NULs", json!("\0"))] {
                check(&format!("{pointer} of {what}"), *kind, n, |n| {
                    let fields: Map<String, Value> = (0..n).map(|n| (format!("name{n}"), value.clone())).collect();
                    let mut document: Value =
                        serde_json::from_str(&with(*kind, &format!("{pointer}/name"), json!(0))).unwrap();
                    let place = document.pointer_mut(pointer).unwrap();
                    if let Some(place) = place.as_object_mut() {
                        place.extend(fields);
                    }
                    document.to_string()
                });
            }
        }
    }
}

#[test]
fn every_list_and_map_has_a_limit_that_is_told() {
    let (lists, maps) = all();
    for (kind, pointer) in &lists {
        let name = pointer.rsplit('/').next().unwrap();
        if name.parse::<usize>().is_ok() {
            continue;
        }
        let n = items_max(name) + 1;
        let problems = read(*kind, &with(*kind, pointer, (0..n).map(|n| item(pointer, n)).collect())).join("\n");
        let is_told = problems.contains(&format!("is too long: {n} items, at most {}", n - 1))
            || (name == "apps" && problems.contains(&format!("is too long: {n} apps")));
        assert!(is_told, "{kind:?} {pointer}: {problems}");
    }
    for (kind, pointer) in &maps {
        let fields: Map<String, Value> = (0..=ENTRIES_MAX).map(|n| (format!("n{n}"), json!("x"))).collect();
        let problems = read(*kind, &with(*kind, pointer, fields.into())).join("\n");
        assert!(problems.contains("is too long: 1025 entries, at most 1024"), "{kind:?} {pointer}: {problems}");
    }
    for (kind, n) in [(Kind::Updates, APPS_MAX + 1), (Kind::InstanceIds, 50_001)] {
        let problems = read(kind, &vec![json!("x"); n].into_iter().collect::<Value>().to_string());
        assert_eq!(problems, [format!("/: is too long: {n} items, at most {}", n - 1)], "{kind:?}");
    }
    let named = |name: &str| lists.iter().any(|(_, it)| it.ends_with(&format!("/{name}")));
    let unused: Vec<_> = LISTS.iter().filter(|(it, _)| !named(it)).collect();
    assert!(unused.is_empty(), "nothing has these lists: {unused:?}");
    assert!(LISTS.iter().all(|(_, max)| *max > ITEMS_MAX));
}

#[test]
fn every_text_has_a_limit_that_is_told() {
    let document: Value = serde_json::from_slice(crate::openapi::document()).unwrap();
    let long = "x".repeat(200_000);
    for (kind, name) in [(Kind::App, "AppDefinition"), (Kind::Pod, "PodDefinition")] {
        let mut texts = Vec::new();
        texts_of(&document["components"]["schemas"][name], "", &mut texts);
        assert!(texts.len() > 20, "{texts:?}");
        for pointer in texts {
            let mut document = base(kind);
            if pointer == "/version" {
                continue; // Read by those who write it, before the definition is.
            }
            let value = if pointer.ends_with("/constraints/0/0") { json!([[long, "UNIQUE"]]) } else { json!(long) };
            let at = pointer.strip_suffix("/0/0").filter(|_| value.is_array()).unwrap_or(&pointer);
            put(&mut document, at, value);
            let problems = read(kind, &document.to_string());
            let words = ["too long", "must be", "must have", "not supported", "is not an image"];
            let is_told = problems.iter().any(|it| words.iter().any(|word| it.contains(word)));
            // What is not read in this place is not kept either.
            assert!(is_told || kept(kind, &document.to_string()) < 4096, "{kind:?} {pointer}: {problems:?}");
            assert!(problems.iter().all(|it| it.len() < 4096), "{pointer}: what is told is short");
        }
    }
}

/// The places of all texts that are no words of a list.
fn texts_of(schema: &Value, at: &str, texts: &mut Vec<String>) {
    if schema["type"] == "string" && schema.get("enum").is_none() {
        texts.push(at.to_owned());
    }
    if schema["type"] == "array" {
        texts_of(&schema["items"], &format!("{at}/0"), texts);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        texts_of(field, &format!("{at}/{name}"), texts);
    }
}

#[tokio::test]
async fn what_is_too_long_together_is_refused_and_changes_nothing() {
    let world = World::with_commands();
    let long =
        |id: &str, n: usize| json!({ "id": id, "cmd": "x", "env": { "A": "x".repeat(n / 2), "B": "x".repeat(n / 2) } });
    for n in 0..40 {
        assert_eq!(world.ask("POST /v2/apps", long(&format!("/g/a{n}"), 240_000)).await.status, 201);
    }
    // What is there counts: each item is short, and the definitions that come of them are not.
    let scaled: Value = (0..40).map(|n| json!({ "id": format!("/g/a{n}"), "instances": 0 })).collect();
    let before = world.fake.state().index();
    let answer = world.ask("PATCH /v2/apps", scaled).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert!(
        answer.text.contains("the change is too long: its definitions have more than 8388608 bytes"),
        "{}",
        answer.text
    );
    assert_eq!(world.fake.state().index(), before);
}

#[test]
fn a_definition_that_an_agent_could_not_be_sent_is_refused() {
    let mut pod = pod();
    let env = json!({ "A": "x".repeat(100_000), "B": "x".repeat(100_000) });
    let container = |n: usize| json!({ "name": format!("c{n}"), "resources": { "cpus": 0.1, "mem": 32 }, "exec": { "command": { "shell": "x" } }, "environment": env });
    pod["containers"] = (0..6).map(container).collect();
    let read = from_wire::pod(&AppId::parse("/a").unwrap(), pod.as_object().unwrap(), &commanding()).unwrap_err();
    let problems: Vec<_> = read.details().into_iter().flat_map(|it| it.errors).collect();
    assert!(problems[0].starts_with("the definition is too long: 12"), "{problems:?}");
    assert!(problems[0].ends_with("bytes, at most 1048576"), "{problems:?}");
}

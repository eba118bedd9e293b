//! Definitions of a folder, such as the examples of Marathon's documentation: each is accepted and reads back
//! unchanged, or is refused for a reason that `docs/marathon.md` gives. The folder is named by the environment
//! variable `EKIDEN_MARATHON_SAMPLES`.

use super::world::{World, app};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What a file's content is, as far as it concerns apps and groups.
enum Sample {
    App(Value),
    Group(Value),
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|it| it == "json") {
            found.push(path);
        }
    }
    found.sort();
}

/// A small app with the fields of a part of one.
fn around(fields: Value) -> Value {
    let mut whole = app("/part", 0);
    let map: Map<String, Value> = match fields {
        Value::Object(map) if map.contains_key("containerPath") => {
            whole["container"]["volumes"] = json!([map]);
            Map::new()
        }
        Value::Object(map) if map.contains_key("protocol") => {
            [("healthChecks".to_owned(), json!([map]))].into_iter().collect()
        }
        Value::Object(map) if map.contains_key("docker") => {
            [("container".to_owned(), json!(map)), ("healthChecks".to_owned(), json!([]))].into_iter().collect()
        }
        Value::Object(map) => map,
        _ => Map::new(),
    };
    if map.get("container").is_some_and(|it| it["docker"].get("network").is_some()) {
        whole.as_object_mut().unwrap().remove("networks");
    }
    whole.as_object_mut().unwrap().extend(map);
    whole["instances"] = json!(0);
    whole
}

fn samples(value: Value) -> Vec<Sample> {
    const OF_PARTS: &[&str] = &["protocol", "containerPath", "docker", "container", "killSelection", "constraints"];
    let has = |name: &str| value.get(name).is_some();
    if let Value::Array(items) = value {
        return items.into_iter().flat_map(samples).collect();
    }
    if has("containers") || has("affectedApps") || has("appId") || has("task") || has("tasks") {
        return Vec::new();
    }
    if has("groups") {
        return vec![Sample::Group(value)];
    }
    for list in ["apps", "queue"] {
        if has(list) {
            return samples(value[list].clone());
        }
    }
    if has("app") {
        return samples(value["app"].clone());
    }
    if has("id") && ["cmd", "args", "container"].into_iter().any(has) {
        return vec![Sample::App(value)];
    }
    if !has("id") && OF_PARTS.iter().any(|it| has(it)) {
        return vec![Sample::App(around(value))];
    }
    Vec::new()
}

/// Whether the documentation has a row for the field that says so.
fn is_documented(docs: &str, path: &str) -> bool {
    let mut names: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    names.reverse();
    let names = names.iter().map(|it| it.split('(').next().unwrap_or_default());
    let row = |name: &str| {
        let quoted = format!("{name}`");
        docs.lines().filter_map(|it| it.strip_prefix("| ")?.split_once(" | ")).any(|(field, text)| {
            field.contains(&quoted)
                && ["refused", "Refused", "at least", "allow-list", "only"].iter().any(|it| text.contains(it))
        })
    };
    names.into_iter().any(row)
}

fn refusal(docs: &str, file: &str, answer: &super::world::Answer) {
    assert_eq!(answer.status, 422, "{file}: {}", answer.text);
    for detail in answer.json()["details"].as_array().unwrap_or_else(|| panic!("{file}: {}", answer.text)) {
        let path = detail["path"].as_str().unwrap();
        // What is wrong with the whole is wrong for Marathon too.
        assert!(path == "/" || is_documented(docs, path), "{file}: {path} is not documented: {}", detail["errors"]);
        println!("{file}: refused: {path}: {}", detail["errors"][0]);
    }
}

#[tokio::test]
async fn every_sample_is_accepted_or_refused_as_documented() {
    let Some(folder) = std::env::var_os("EKIDEN_MARATHON_SAMPLES") else {
        println!("skipped: EKIDEN_MARATHON_SAMPLES names no folder");
        return;
    };
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/marathon.md")).unwrap();
    let mut found = Vec::new();
    files(Path::new(&folder), &mut found);
    let (mut accepted, mut refused) = (0, 0);
    for path in &found {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(value) = serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()) else { continue };
        if file.starts_with("event-bus") {
            continue;
        }
        for sample in samples(value) {
            let world = World::with_commands();
            match sample {
                Sample::Group(group) => {
                    let answer = world.ask("PUT /v2/groups", group).await;
                    if answer.status == 200 {
                        accepted += 1;
                    } else {
                        refused += 1;
                        refusal(&docs, &file, &answer);
                    }
                }
                Sample::App(mut app) => {
                    app.as_object_mut().unwrap().remove("version");
                    let answer = world.ask("POST /v2/apps", app).await;
                    if answer.status != 201 {
                        refused += 1;
                        refusal(&docs, &file, &answer);
                        continue;
                    }
                    accepted += 1;
                    world.fake.settle();
                    let id = answer.json()["id"].as_str().unwrap().to_owned();
                    let read = world.ask(&format!("GET /v2/apps{id}"), Value::Null).await.json()["app"].clone();
                    let put = world.ask(&format!("PUT /v2/apps{id}?force=true&strict=true"), read.clone()).await;
                    assert_eq!((put.status, &put.json()["version"]), (200, &read["version"]), "{file}: {}", put.text);
                }
            }
        }
    }
    println!("{} files: {accepted} accepted, {refused} refused", found.len());
    assert!(accepted > 0 && refused > 0);
}

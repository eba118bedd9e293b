//! Updates of apps: what a `PUT` or `PATCH` asks for, and the definition that comes of it.

use super::read::Object;
use super::seen::Seen;
use super::{Problems, limits};
use crate::limits::{APPS_MAX, INSTANCES_MAX};
use crate::time;
use cluster::{AppId, AppSpec, Version};
use serde_json::{Map, Value};

/// What an update asks for.
#[derive(Debug)]
pub enum Update {
    /// A definition: whole, or to be merged with what is there.
    Define(Map<String, Value>),
    /// The stored version of this name.
    RollBack(Version),
}

/// How `null` in an update is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// As absent: the field stays (`PUT` and `PATCH` of plain JSON, as Marathon does).
    NullKeeps,
    /// As the wish for the default, at any depth; objects are merged (`application/merge-patch+json`, RFC 7396).
    NullUnsets,
}

/// Reads an app update. `current` is the version that the app has now: naming it together with other fields means
/// "if nothing has changed".
///
/// # Errors
/// A version together with other fields, unless it is `current`; a version that is no time.
pub fn one_update(update: Map<String, Value>, current: Option<Version>) -> Result<Update, Problems> {
    let mut problems = Problems::default();
    let object = Object::root(&update);
    let Some(text) = object.text(&mut problems, "version") else {
        return if problems.is_empty() { Ok(Update::Define(update)) } else { Err(problems) };
    };
    let version = time::parse(text);
    let alone = object.fields().all(|(name, value)| value.is_null() || matches!(name.as_str(), "version" | "id"));
    match version {
        None => problems.shape("/version", "error.expected.jodadate.format (yyyy-MM-dd'T'HH:mm:ss.SSSZ)"),
        Some(version) if alone => return Ok(Update::RollBack(version)),
        Some(version) if Some(version) == current => return Ok(Update::Define(update)),
        Some(_) => problems.invalid(
            "/",
            "The 'version' field may only be combined with the 'id' field. (Other fields may stand beside the version that the app has now; it has another one.)",
        ),
    }
    Err(problems)
}

/// The definition that is there in another number of instances, where an update asks for nothing else; all that was
/// accepted is not read once more for it.
///
/// # Errors
/// The app cannot have so many.
pub fn scaled(current: &AppSpec, update: &Map<String, Value>) -> Result<Option<AppSpec>, Problems> {
    let is_id = |it: &Value| it.as_str().is_some_and(|it| AppId::parse(it).is_ok_and(|it| it == current.id));
    let asks_only = update.iter().all(|(name, it)| match name.as_str() {
        "instances" => it.is_number(),
        "id" => is_id(it),
        _ => false,
    });
    if !asks_only || !update.contains_key("instances") {
        return Ok(None);
    }
    let mut problems = Problems::default();
    let object = Object::root(update);
    let instances = object.int(&mut problems, "instances", 0, INSTANCES_MAX).unwrap_or_default() as u32;
    let spec = AppSpec { instances, ..current.clone() };
    limits::check_instances(&mut problems, &spec);
    if problems.is_empty() { Ok(Some(spec)) } else { Err(problems) }
}

/// App updates as they were given, by app.
pub type Updates = Vec<(AppId, Map<String, Value>)>;

/// Reads an array of app updates; each must have an id, and none twice.
///
/// # Errors
/// Everything that is wrong with the ids.
pub fn updates(body: Vec<Value>) -> Result<Updates, Problems> {
    let mut problems = Problems::default();
    if body.len() > APPS_MAX {
        problems.invalid("/", format!("is too long: {} items, at most {APPS_MAX}", body.len()));
        return Err(problems);
    }
    let (mut updates, mut seen) = (Updates::new(), Seen::new());
    for (n, item) in body.into_iter().enumerate() {
        let prefix = format!("({n})");
        let Value::Object(update) = item else {
            problems.shape(&prefix, "error.expected.jsobject");
            continue;
        };
        match super::app_id(&update) {
            Ok(id) if !seen.is_new(id.clone()) => {
                problems.invalid(&format!("{prefix}/id"), format!("'{id}' is given twice"));
            }
            Ok(id) => updates.push((id, update)),
            Err(part) => problems.absorb(&prefix, part),
        }
    }
    if problems.is_empty() { Ok(updates) } else { Err(problems) }
}

/// What replaces what: a field of the old dialect takes the place of the one that is printed in the new.
const REPLACES: &[(&str, &str)] = &[("ports", "portDefinitions"), ("uris", "fetch"), ("ipAddress", "networks")];

/// Merges an update over the definition as printed. Top-level fields only, as Marathon does: `env`, `labels` and
/// `container` are replaced whole; with [`Merge::NullUnsets`] objects are merged at every depth.
pub fn merge(mut current: Map<String, Value>, mut update: Map<String, Value>, mode: Merge) -> Map<String, Value> {
    drop_idle(&mut update);
    let is = |value: &Value, word: &str| value.as_str().is_some_and(|it| it.eq_ignore_ascii_case(word));
    let docker_network = update.get("container").map_or(&Value::Null, |it| &it["docker"]["network"]);
    let mode_of_first = update.get("networks").map_or(&Value::Null, |it| &it[0]["mode"]);
    if !docker_network.is_null() {
        current.remove("networks");
    }
    let has_address = update.get("ipAddress").is_some_and(|it| !it.is_null());
    let declared = update.get("networks").is_some_and(|it| it.as_array().is_some_and(|it| !it.is_empty()));
    let leaves_host = is(docker_network, "BRIDGE") || is(docker_network, "USER");
    if has_address || leaves_host || (declared && !is(mode_of_first, "host")) {
        // They were for the host network that the app leaves.
        current.remove("portDefinitions");
    }
    let volumes = update.get("container").and_then(|it| it.get("volumes")?.as_array());
    if update.get("container").is_some_and(Value::is_object)
        && !volumes.into_iter().flatten().any(|it| it["persistent"].is_object())
    {
        // It belongs to the volumes that go.
        current.remove("residency");
    }
    // What was there goes before anything of the update comes: two fields of the update never meet each other here.
    for (old, new) in REPLACES {
        if update.get(*old).is_some_and(|it| !it.is_null()) {
            current.remove(*new);
        }
    }
    for (name, value) in update {
        match mode {
            Merge::NullKeeps if value.is_null() => {}
            Merge::NullKeeps => drop(current.insert(name, value)),
            Merge::NullUnsets => patch_field(&mut current, name, value),
        }
    }
    current
}

/// Drops fields of the old dialect that ask for nothing: empty `uris` never do, empty `ports` do not beside
/// `portDefinitions`. Clients that know both dialects write them.
fn drop_idle(update: &mut Map<String, Value>) {
    let is_empty = |it: &Value| it.as_array().is_some_and(Vec::is_empty);
    if update.get("uris").is_some_and(is_empty) {
        update.remove("uris");
    }
    if update.get("ports").is_some_and(is_empty) && update.get("portDefinitions").is_some_and(|it| !it.is_null()) {
        update.remove("ports");
    }
}

/// One field of a merge patch: `null` removes it, an object is merged with the one that is there, anything else
/// replaces it.
fn patch_field(target: &mut Map<String, Value>, name: String, patch: Value) {
    match patch {
        Value::Null => drop(target.remove(&name)),
        Value::Object(fields) => {
            let mut merged = match target.get_mut(&name).map(Value::take) {
                Some(Value::Object(there)) => there,
                _ => Map::new(),
            };
            for (name, value) in fields {
                patch_field(&mut merged, name, value);
            }
            target.insert(name, Value::Object(merged));
        }
        value => drop(target.insert(name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merge_patches_do_what_the_rfc_lists() {
        for (target, patch, expect) in [
            (json!({ "a": "b" }), json!({ "a": "c" }), json!({ "a": "c" })),
            (json!({ "a": "b" }), json!({ "b": "c" }), json!({ "a": "b", "b": "c" })),
            (json!({ "a": "b" }), json!({ "a": null }), json!({})),
            (json!({ "a": "b", "b": "c" }), json!({ "a": null }), json!({ "b": "c" })),
            (json!({ "a": ["b"] }), json!({ "a": "c" }), json!({ "a": "c" })),
            (json!({ "a": "c" }), json!({ "a": ["b"] }), json!({ "a": ["b"] })),
            (json!({ "a": { "b": "c" } }), json!({ "a": { "b": "d", "c": null } }), json!({ "a": { "b": "d" } })),
            (json!({ "a": [{ "b": "c" }] }), json!({ "a": [1] }), json!({ "a": [1] })),
            (json!({}), json!({ "a": { "bb": { "ccc": null } } }), json!({ "a": { "bb": {} } })),
            (json!({ "e": null }), json!({ "a": 1 }), json!({ "e": null, "a": 1 })),
        ] {
            let (Value::Object(there), Value::Object(update)) = (target.clone(), patch.clone()) else { unreachable!() };
            assert_eq!(Value::Object(merge(there, update, Merge::NullUnsets)), expect, "{target} and {patch}");
        }
    }

    #[test]
    fn plain_updates_replace_top_level_fields_and_pass_null_over() {
        let target = json!({ "a": { "b": 1, "c": 2 }, "d": 3 });
        let patch = json!({ "a": { "b": 4 }, "d": null });
        let (Value::Object(there), Value::Object(update)) = (target, patch) else { unreachable!() };
        assert_eq!(Value::Object(merge(there, update, Merge::NullKeeps)), json!({ "a": { "b": 4 }, "d": 3 }));
    }

    #[test]
    fn the_new_dialect_wins_over_an_idle_old_one_whatever_stands_first() {
        let there = || json!({ "portDefinitions": [{ "port": 1 }], "fetch": [{ "uri": "a" }], "networks": [1] });
        let merged = |update: &[(&str, Value)], mode| {
            let (Value::Object(there), update) = (there(), update.iter()) else { unreachable!() };
            Value::Object(merge(there, update.map(|(name, it)| ((*name).to_owned(), it.clone())).collect(), mode))
        };
        let (ports, fetch, none) = (json!([{ "port": 2 }]), json!([{ "uri": "b" }]), json!([]));
        for (update, field, expect) in [
            (vec![("portDefinitions", ports.clone()), ("ports", none.clone())], "portDefinitions", Some(&ports)),
            (vec![("portDefinitions", ports.clone()), ("ports", Value::Null)], "portDefinitions", Some(&ports)),
            (vec![("portDefinitions", none.clone()), ("ports", none.clone())], "portDefinitions", Some(&none)),
            (vec![("fetch", fetch.clone()), ("uris", none.clone())], "fetch", Some(&fetch)),
            (vec![("fetch", fetch.clone()), ("uris", Value::Null)], "fetch", Some(&fetch)),
            (vec![("fetch", none.clone()), ("uris", json!(["c"]))], "uris", Some(&json!(["c"]))),
            (vec![("uris", none.clone())], "fetch", Some(&there()["fetch"])),
            (vec![("ports", json!([]))], "portDefinitions", None),
            (vec![("uris", json!(["c"]))], "fetch", None),
            (vec![("networks", json!([2])), ("ipAddress", Value::Null)], "networks", Some(&json!([2]))),
        ] {
            let turned: Vec<_> = update.iter().rev().cloned().collect();
            for (update, mode) in [
                (&update, Merge::NullKeeps),
                (&turned, Merge::NullKeeps),
                (&update, Merge::NullUnsets),
                (&turned, Merge::NullUnsets),
            ] {
                assert_eq!(merged(update, mode).get(field), expect, "{field} of {update:?}, {mode:?}");
            }
        }
    }
}

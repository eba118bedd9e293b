//! What an update changes, field by field, from what the server stores before and after: never from the file.

use serde_json::Value;
use std::collections::BTreeMap;

/// Longer values are not printed, only that they changed.
const VALUE_MAX: usize = 40;

/// More changes are counted, not printed.
const LINES_MAX: usize = 12;

/// What belongs to an app's definition, and not to its instances.
const FIELDS: [&str; 24] = [
    "acceptedResourceRoles",
    "args",
    "backoffFactor",
    "backoffSeconds",
    "cmd",
    "constraints",
    "container",
    "cpus",
    "disk",
    "env",
    "fetch",
    "healthChecks",
    "instances",
    "killSelection",
    "labels",
    "maxLaunchDelaySeconds",
    "mem",
    "networks",
    "portDefinitions",
    "requirePorts",
    "taskKillGracePeriodSeconds",
    "unreachableStrategy",
    "upgradeStrategy",
    "user",
];

/// `~ cpus 0.5 → 0.75`, `+ env.FOO`, `- healthChecks.0.path /ok`. Values of the environment are not printed: logs of
/// CI jobs are read by many.
pub(crate) fn lines(before: &Value, after: &Value) -> Vec<String> {
    let (before, after) = (leaves(before), leaves(after));
    let mut lines = Vec::new();
    for (path, old) in &before {
        match after.get(path) {
            None => lines.push(format!("- {path}{}", value(path, old))),
            Some(new) if new != old && is_printable(path, old) && is_printable(path, new) => {
                lines.push(format!("~ {path} {} → {}", plain(old), plain(new)));
            }
            Some(new) if new != old => lines.push(format!("~ {path}")),
            Some(_) => {}
        }
    }
    let added = after.iter().filter(|(path, _)| !before.contains_key(*path));
    lines.extend(added.map(|(path, new)| format!("+ {path}{}", value(path, new))));
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more changes"));
    }
    lines
}

fn value(path: &str, value: &Value) -> String {
    if is_printable(path, value) { format!(" {}", plain(value)) } else { String::new() }
}

fn is_printable(path: &str, value: &Value) -> bool {
    !path.starts_with("env.") && plain(value).len() <= VALUE_MAX
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Every value without parts, by its path.
fn leaves(app: &Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    for field in FIELDS {
        if let Some(value) = app.get(field) {
            collect(field.to_owned(), value, &mut leaves);
        }
    }
    leaves
}

fn collect(path: String, value: &Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, it)| collect(format!("{path}.{name}"), it, leaves));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, it)| collect(format!("{path}.{n}"), it, leaves));
        }
        Value::Null => {}
        _ => {
            leaves.insert(path, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_told_by_field_and_secrets_are_not() {
        let before = json!({ "cpus": 0.5, "env": { "A": "old" }, "healthChecks": [{ "path": "/ok" }], "version": "1" });
        let after = json!({ "cpus": 0.75, "env": { "A": "new", "B": "x" }, "version": "2", "tasksRunning": 1 });
        let expect = ["~ cpus 0.5 → 0.75", "~ env.A", "- healthChecks.0.path /ok", "+ env.B"];
        assert_eq!(lines(&before, &after), expect);
        assert_eq!(lines(&before, &before), [""; 0]);
    }

    #[test]
    fn many_changes_are_counted() {
        let labels: serde_json::Map<_, _> = (0..20).map(|n| (n.to_string(), json!("x"))).collect();
        let lines = lines(&json!({}), &json!({ "labels": labels }));
        assert_eq!((lines.len(), lines[12].as_str()), (13, "and 8 more changes"));
    }
}

//! How instances are placed, checked and replaced.

use super::limits::{SECONDS_MAX, labels};
use super::read::{Object, text};
use super::seen::Seen;
use super::{Problems, health, paths, readiness};
use crate::limits::TEXT_BYTES_MAX;
use cluster::apply::{DEADLINE_LABEL, ROLLBACK_LABEL};
use cluster::{
    ANY_ROLE, AppId, Constraint, KillSelection, LEAVE_AFTER_LABEL, MIN_LIVE_LABEL, Operator, PathId, Policy, PortSpec,
    Residency, Settings, Unreachable, UpgradeStrategy, Volume, pattern,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// A field, an operator and a value.
const WORDS_MAX: usize = 3;

/// Reads what running containers need not know, of an app with these ports and volumes.
pub(super) fn read(
    problems: &mut Problems,
    app: &Object,
    id: &AppId,
    ports: &[PortSpec],
    volumes: &[Volume],
    settings: &Settings,
) -> Policy {
    let seconds = |problems: &mut Problems, name| app.int(problems, name, 0, SECONDS_MAX).map(|it| it * 1000);
    let factor = app.number(problems, "backoffFactor", 1.0, 1000.0).unwrap_or(1.15);
    let is_resident = volumes.iter().any(|it| matches!(it, Volume::Persistent(_)));
    let is_bound = is_resident || volumes.iter().any(|it| matches!(it, Volume::External(_)));
    let labels = labels(problems, app, "labels");
    check_labels(problems, &labels);
    Policy {
        labels,
        constraints: constraints(problems, app),
        health_checks: health::read(problems, app, ports),
        readiness_checks: readiness::read(problems, app, ports),
        dependencies: paths::dependencies(problems, app, &PathId::from(id)).unwrap_or_default(),
        upgrade: upgrade(problems, app, is_bound, is_resident),
        backoff_ms: seconds(problems, "backoffSeconds").unwrap_or(1000),
        backoff_factor_ppm: (factor * 1e6).round() as u64,
        backoff_max_ms: seconds(problems, "maxLaunchDelaySeconds").unwrap_or(300_000),
        kill_grace_ms: seconds(problems, "taskKillGracePeriodSeconds"),
        kill_selection: kill_selection(problems, app),
        unreachable: unreachable(problems, app, is_resident),
        role: role(problems, app, settings),
        accepted_roles: accepted_roles(problems, app, settings),
        residency: residency(problems, app, is_resident),
    }
}

/// The labels by which an app talks to Ekiden.
fn check_labels(problems: &mut Problems, labels: &BTreeMap<String, String>) {
    let is_time = |it: &String| it.parse::<u64>().is_ok_and(|it| it <= SECONDS_MAX);
    if labels.get(DEADLINE_LABEL).is_some_and(|it| !is_time(it)) {
        problems.invalid(
            &format!("/labels/{DEADLINE_LABEL}"),
            format!("must be a whole number of seconds, at most {SECONDS_MAX}; 0 for no deadline"),
        );
    }
    if labels.get(MIN_LIVE_LABEL).is_some_and(|it| !is_time(it)) {
        problems.invalid(
            &format!("/labels/{MIN_LIVE_LABEL}"),
            format!("must be a whole number of seconds, at most {SECONDS_MAX}; 0 for no wait"),
        );
    }
    if labels.get(LEAVE_AFTER_LABEL).is_some_and(|it| it.parse::<u32>().map_or(true, |it| it == 0)) {
        problems.invalid(&format!("/labels/{LEAVE_AFTER_LABEL}"), "must be a whole number of failures, at least 1");
    }
    if labels.get(ROLLBACK_LABEL).is_some_and(|it| !matches!(it.as_str(), "true" | "false")) {
        problems.invalid(&format!("/labels/{ROLLBACK_LABEL}"), "must be 'true' or 'false'");
    }
}

/// Marathon's documentation writes the words in another way than its API.
fn kill_selection(problems: &mut Problems, app: &Object) -> KillSelection {
    const WORDS: &[&str] = &["YOUNGEST_FIRST", "OLDEST_FIRST", "YoungestFirst", "OldestFirst"];
    match app.word(problems, "killSelection", WORDS) {
        Some("OLDEST_FIRST" | "OldestFirst") => KillSelection::OldestFirst,
        _ => KillSelection::YoungestFirst,
    }
}

/// An app whose volumes cannot be in two places has no room for more instances than wanted.
fn upgrade(problems: &mut Problems, app: &Object, is_bound: bool, is_resident: bool) -> UpgradeStrategy {
    let object = app.object(problems, "upgradeStrategy");
    let mut part = |name| {
        let object = object.as_ref()?;
        Some((object.number(problems, name, 0.0, 1.0)? * 1e6).round() as u32)
    };
    let (min_health_ppm, max_over_ppm) = if is_bound { (500_000, 0) } else { (1_000_000, 1_000_000) };
    let strategy = UpgradeStrategy {
        min_health_ppm: part("minimumHealthCapacity").unwrap_or(min_health_ppm),
        max_over_ppm: part("maximumOverCapacity").unwrap_or(max_over_ppm),
    };
    if let Some(object) = object {
        object.check_known(problems, &["minimumHealthCapacity", "maximumOverCapacity"]);
        if is_resident && strategy.max_over_ppm != 0 {
            problems.invalid(
                &object.at("maximumOverCapacity"),
                "must be 0 for an app with persistent volumes: an instance gives its volumes to its successor",
            );
        }
    }
    strategy
}

pub(super) fn unreachable(problems: &mut Problems, app: &Object, is_resident: bool) -> Unreachable {
    let strategy = match app.get("unreachableStrategy") {
        None if is_resident => Unreachable::Disabled,
        None => Unreachable::After { inactive_ms: 0, expunge_ms: 0 },
        Some(Value::String(word)) if word.eq_ignore_ascii_case("disabled") => Unreachable::Disabled,
        Some(Value::String(_)) => {
            problems.invalid(
                &app.at("unreachableStrategy"),
                "must be 'disabled', or an object with inactiveAfterSeconds and expungeAfterSeconds",
            );
            Unreachable::Disabled
        }
        Some(_) => delays(problems, app),
    };
    if is_resident && strategy != Unreachable::Disabled {
        problems.invalid(
            &app.at("unreachableStrategy"),
            "unreachableStrategy must be disabled for resident tasks: their data is on the node",
        );
    }
    strategy
}

fn delays(problems: &mut Problems, app: &Object) -> Unreachable {
    let Some(object) = app.object(problems, "unreachableStrategy") else { return Unreachable::Disabled };
    object.check_known(problems, &["inactiveAfterSeconds", "expungeAfterSeconds"]);
    let inactive = object.int(problems, "inactiveAfterSeconds", 0, SECONDS_MAX).unwrap_or(0);
    let expunge = object.int(problems, "expungeAfterSeconds", 0, SECONDS_MAX).unwrap_or(0);
    if inactive > expunge {
        problems.invalid(&object.at("inactiveAfterSeconds"), "must be less than or equal to expungeAfterSeconds");
    }
    Unreachable::After { inactive_ms: inactive * 1000, expunge_ms: expunge * 1000 }
}

/// `residency`: what an app with persistent volumes has, whether it says so or not.
fn residency(problems: &mut Problems, app: &Object, is_resident: bool) -> Option<Residency> {
    const WORDS: &[&str] = &["WAIT_FOREVER", "RELAUNCH_AFTER_TIMEOUT"];
    let default = Residency { escalation_s: 3600, relaunch: false };
    let Some(object) = app.object(problems, "residency") else { return is_resident.then_some(default) };
    object.check_known(problems, &["relaunchEscalationTimeoutSeconds", "taskLostBehavior"]);
    if !is_resident {
        problems.invalid(object.path(), "AppDefinition must contain persistent volumes and define residency");
    }
    let escalation_s = object.int(problems, "relaunchEscalationTimeoutSeconds", 0, SECONDS_MAX);
    Some(Residency {
        escalation_s: escalation_s.unwrap_or(default.escalation_s),
        relaunch: object.word(problems, "taskLostBehavior", WORDS) == Some("RELAUNCH_AFTER_TIMEOUT"),
    })
}

/// `role`: one that the operator has named.
pub(super) fn role(problems: &mut Problems, object: &Object, settings: &Settings) -> String {
    let role = object.text(problems, "role").filter(|it| !it.is_empty()).unwrap_or(ANY_ROLE);
    if role != ANY_ROLE && !settings.roles.contains(role) {
        let known = known_roles(settings, "', '");
        let error = format!("there are no roles but '{known}': leave it out, or {HOW_ROLES_COME}");
        problems.invalid(&object.at("role"), error);
    }
    role.to_owned()
}

/// What an operator does for a role to be known.
const HOW_ROLES_COME: &str =
    "let the operator name it in the setting 'roles', and give it to nodes as their attribute 'role'";

fn known_roles(settings: &Settings, separator: &str) -> String {
    let known: Vec<&str> = [ANY_ROLE].into_iter().chain(settings.roles.iter().map(String::as_str)).collect();
    known.join(separator)
}

/// `acceptedResourceRoles`: with `*` among them any node will do, and the others say nothing.
pub(super) fn accepted_roles(problems: &mut Problems, object: &Object, settings: &Settings) -> Vec<String> {
    const NAME: &str = "acceptedResourceRoles";
    let roles = object.texts(problems, NAME).unwrap_or_default();
    let unknown = roles.iter().find(|it| !settings.roles.contains(*it));
    if let Some(unknown) = unknown.filter(|_| !roles.iter().any(|it| it == ANY_ROLE)) {
        let known = known_roles(settings, ", ");
        let error = format!("{NAME} can only contain {known}: for '{unknown}', {HOW_ROLES_COME}");
        problems.invalid(&object.at(NAME), error);
    }
    roles
}

fn constraints(problems: &mut Problems, app: &Object) -> Vec<Constraint> {
    let (mut paths, mut constraints, mut seen) = (Vec::new(), Vec::new(), Seen::new());
    for (n, item) in app.array(problems, "constraints").unwrap_or_default().iter().enumerate() {
        let path = format!("{}({n})", app.at("constraints"));
        let Some(words) = words(problems, item, &path) else { continue };
        match constraint(&words) {
            Ok(constraint) if !seen.is_new(constraint.clone()) => {
                problems.invalid(&path, "must not be given twice");
            }
            Ok(constraint) => {
                constraints.push(constraint);
                paths.push(path);
            }
            Err(why) => problems.invalid(&path, why),
        }
    }
    check_patterns(problems, &paths, &constraints);
    constraints
}

fn words<'a>(problems: &mut Problems, item: &'a Value, path: &str) -> Option<Vec<&'a str>> {
    let Some(items) = item.as_array() else {
        problems.shape(path, "error.expected.jsarray");
        return None;
    };
    if !items.iter().all(Value::is_string) {
        problems.shape(path, "error.expected.jsstring");
        return None;
    }
    // One more than there can be: it is told what a constraint is made of.
    items.iter().take(WORDS_MAX + 1).map(|it| text(problems, it, path, TEXT_BYTES_MAX)).collect()
}

/// One constraint; the texts are Marathon's.
pub(super) fn constraint(words: &[&str]) -> Result<Constraint, String> {
    let (field, name, value) = match *words {
        [field, name] => (field, name, None),
        [field, name, value] => (field, name, Some(value)),
        _ => {
            return Err(
                "illegal constraint specification: must be [field, operator] or [field, operator, value]".into()
            );
        }
    };
    if field.is_empty() {
        return Err("missing field for constraint declaration".into());
    }
    let operator = Operator::parse(name)
        .ok_or("operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS")?;
    match (operator, value) {
        (Operator::Unique, Some(value)) if !value.is_empty() => return Err("UNIQUE does not accept a value".into()),
        (Operator::Like | Operator::Unlike, None | Some("")) => {
            return Err("LIKE and UNLIKE require a non-empty, regular expression value".into());
        }
        (Operator::MaxPer, value) if !value.is_some_and(is_count) => {
            return Err("MAX_PER requires an integer value of 1 or more".into());
        }
        (Operator::GroupBy, Some(value)) if !value.is_empty() && !is_count(value) => {
            return Err("GROUP BY must define an integer value or else no value at all".into());
        }
        (Operator::Is, None) => return Err("IS requires a value".into()),
        (Operator::Is, Some(value)) if !value.bytes().all(|it| it.is_ascii_alphanumeric() || b"_/.-".contains(&it)) => {
            return Err("IS requires a text or a number: '^[a-zA-Z0-9_/.-]*$'".into());
        }
        _ => {}
    }
    let value = value.filter(|it| operator == Operator::Is || !it.is_empty()).map(str::to_owned);
    Ok(Constraint { field: field.to_owned(), operator, value })
}

fn is_count(value: &str) -> bool {
    value.parse::<u32>().is_ok_and(|it| it > 0)
}

/// Checks what LIKE and UNLIKE say: together it has a limit. `paths` are the constraints' places. Java's look-around
/// and back references are not available: in return nothing that is asked of a node takes long.
pub(super) fn check_patterns(problems: &mut Problems, paths: &[String], constraints: &[Constraint]) {
    for (path, pattern) in paths.iter().zip(pattern::compile(constraints.iter().map(Constraint::pattern))) {
        if let Some(Err(unusable)) = pattern {
            problems.invalid(path, unusable.to_string());
        }
    }
}

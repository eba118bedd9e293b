//! Groups: what a `POST` or `PUT` asks for, and the change that comes of it.

use super::read::Object;
use super::seen::Seen;
use super::{Problems, Warning, app_in, limits, paths};
use crate::limits::APPS_MAX;
use crate::time;
use cluster::{AppId, AppSpec, GroupUpdate, PathId, Settings, Version};
use serde_json::{Map, Value};

/// What is asked of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// This content.
    Put(GroupUpdate),
    /// So many times the instances, parts per million.
    Scale(u64),
    /// What it was at this version.
    Restore(Version),
}

const KNOWN: &[&str] = &["id", "apps", "groups", "dependencies", "scaleBy", "version", "enforceRole", "pods"];
/// A slip of the finger must not take the cluster.
const SCALE_MAX: f64 = 100_000.0;

/// Reads the path that a group's definition is for: its id, resolved from the path of the request.
///
/// # Errors
/// It is no path, or leads out of that of the request.
pub fn group_path(base: &PathId, body: &Map<String, Value>) -> Result<PathId, Problems> {
    let mut problems = Problems::default();
    let object = Object::root(body);
    let path = match object.text(&mut problems, "id") {
        None => Ok(base.clone()),
        Some(text) => PathId::parse_in(base, text),
    };
    match path {
        Ok(path) if path == *base || base.contains(path.as_str()) => {
            if problems.is_empty() {
                Ok(path)
            } else {
                Err(problems)
            }
        }
        Ok(path) => {
            problems
                .invalid("/id", format!("must be '{base}', the group of this request, or inside it: '{path}' is not"));
            Err(problems)
        }
        Err(error) => {
            problems.invalid("/id", error.to_string());
            Err(problems)
        }
    }
}

/// Reads what is asked of the group of this path (RAML `GroupUpdate`). `current` is the version that it has now:
/// naming it beside other fields means nothing.
///
/// # Errors
/// Everything that is wrong with it.
pub fn group(
    path: &PathId,
    body: &Map<String, Value>,
    settings: &Settings,
    current: Version,
) -> Result<(GroupChange, Vec<Warning>), Problems> {
    let mut problems = Problems::default();
    let object = Object::root(body);
    let alone = |name: &str| object.fields().all(|(it, value)| value.is_null() || it == "id" || it == name);
    let version = object.text(&mut problems, "version").map(|text| time::parse(text).ok_or(text));
    let scale = object.number(&mut problems, "scaleBy", 0.0, SCALE_MAX);
    match version {
        None => {}
        Some(Err(_)) => problems.shape("/version", "error.expected.jodadate.format (yyyy-MM-dd'T'HH:mm:ss.SSSZ)"),
        Some(Ok(version)) if alone("version") => return problems.into_result(GroupChange::Restore(version)),
        Some(Ok(version)) if version == current => {}
        Some(Ok(_)) => problems.invalid(
            "/",
            "The 'version' field may only be combined with the 'id' field. (Other fields may stand beside the version that the group has now; it has another one.)",
        ),
    }
    if let Some(factor) = scale {
        if alone("scaleBy") {
            return problems.into_result(GroupChange::Scale((factor * 1e6).round() as u64));
        }
        problems.invalid("/", "The 'scaleBy' field may only be combined with the 'id' field.");
    }
    let n_apps = n_apps(body);
    if n_apps > APPS_MAX {
        problems.invalid("/", format!("is too long: {n_apps} apps in it and in its groups, at most {APPS_MAX}"));
        return Err(problems);
    }
    let update = content(&mut problems, &object, path, settings, true);
    check_size(&mut problems, &mut limits::ChangeSize::default(), &update);
    problems.into_result(GroupChange::Put(update))
}

/// False where there is too much of it.
fn check_size(problems: &mut Problems, size: &mut limits::ChangeSize, update: &GroupUpdate) -> bool {
    update.apps.iter().flatten().all(|it| size.add(problems, it))
        && update.groups.iter().flatten().all(|it| check_size(problems, size, it))
}

/// How many apps a group has, at any depth.
fn n_apps(group: &Map<String, Value>) -> usize {
    let list = |name: &str| group.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list("apps").len() + list("groups").iter().filter_map(Value::as_object).map(n_apps).sum::<usize>()
}

/// Reads a `PATCH` (RAML `GroupPartialUpdate`) of a group of this path.
///
/// # Errors
/// Everything that is wrong with it.
pub fn group_patch(path: &PathId, body: &Map<String, Value>) -> Result<Vec<Warning>, Problems> {
    let mut problems = Problems::default();
    let object = Object::root(body);
    object.check_known(&mut problems, &["enforceRole"]);
    if object.get("enforceRole").is_some() && path.segments().count() != 1 {
        problems.invalid("/enforceRole", "can only be set on groups in the root group");
    }
    enforce_role(&mut problems, &object);
    problems.into_result(()).map(|((), warnings)| warnings)
}

fn enforce_role(problems: &mut Problems, object: &Object) {
    if object.boolean(problems, "enforceRole") == Some(true) {
        problems.invalid(
            &object.at("enforceRole"),
            "there are no roles: leave it out, and hold apps to nodes by constraints on their attributes",
        );
    }
}

fn content(
    problems: &mut Problems,
    object: &Object,
    path: &PathId,
    settings: &Settings,
    outermost: bool,
) -> GroupUpdate {
    object.check_known(problems, KNOWN);
    enforce_role(problems, object);
    if !outermost && object.get("scaleBy").is_some() {
        problems.invalid(&object.at("scaleBy"), "has a meaning for the group of the request only");
    }
    let apps = object
        .objects(problems, "apps")
        .map(|apps| apps.iter().filter_map(|it| app_of(problems, it, path, settings)).collect::<Vec<AppSpec>>());
    let groups = object.objects(problems, "groups").map(|groups| {
        groups.iter().filter_map(|it| group_of(problems, it, path, settings)).collect::<Vec<GroupUpdate>>()
    });
    check_unique(problems, object, apps.as_deref(), groups.as_deref());
    GroupUpdate { id: path.clone(), dependencies: paths::dependencies(problems, object, path), apps, groups }
}

fn app_of(problems: &mut Problems, object: &Object, group: &PathId, settings: &Settings) -> Option<AppSpec> {
    let text = object.required_text(problems, "id")?;
    let id = match AppId::parse_in(group, text) {
        Ok(id) if id.group() == *group => id,
        Ok(_) => {
            problems.invalid(&object.at("id"), not_a_child(group));
            return None;
        }
        Err(error) => {
            problems.invalid(&object.at("id"), error.to_string());
            return None;
        }
    };
    match app_in(group, &id, object.map(), settings) {
        Ok((spec, warnings)) => {
            problems.warn(object.path(), warnings);
            Some(spec)
        }
        Err(part) => {
            problems.absorb(object.path(), part);
            None
        }
    }
}

fn group_of(problems: &mut Problems, object: &Object, around: &PathId, settings: &Settings) -> Option<GroupUpdate> {
    let text = object.required_text(problems, "id")?;
    match PathId::parse_in(around, text) {
        Ok(path) if !path.is_root() && path.parent() == *around => {
            Some(content(problems, object, &path, settings, false))
        }
        Ok(_) => {
            problems.invalid(&object.at("id"), not_a_child(around));
            None
        }
        Err(error) => {
            problems.invalid(&object.at("id"), error.to_string());
            None
        }
    }
}

fn not_a_child(group: &PathId) -> String {
    format!("Identifier is not child of '{group}'. Hint: use relative paths.")
}

fn check_unique(problems: &mut Problems, object: &Object, apps: Option<&[AppSpec]>, groups: Option<&[GroupUpdate]>) {
    let (apps, groups) = (apps.unwrap_or_default(), groups.unwrap_or_default());
    let paths: Seen<&str> = groups.iter().map(|it| it.id.as_str()).collect();
    let (mut app_ids, mut group_ids) = (Seen::new(), Seen::new());
    for app in apps {
        if !app_ids.is_new(&app.id) {
            problems.invalid(&object.at("apps"), format!("'{}' is given twice", app.id));
        }
        if paths.has(app.id.as_str()) {
            problems.invalid(
                object.path(),
                format!("Groups and Applications may not have the same identifier: {}", app.id),
            );
        }
    }
    for group in groups {
        if !group_ids.is_new(&group.id) {
            problems.invalid(&object.at("groups"), format!("'{}' is given twice", group.id));
        }
    }
}

/// Whether apps of these definitions may be scaled by a factor: what their own limits say of their new numbers.
///
/// # Errors
/// Every app that may not.
pub fn check_scaled<'a>(apps: impl Iterator<Item = &'a AppSpec>, factor_ppm: u64) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for app in apps {
        let instances = (u128::from(app.instances) * u128::from(factor_ppm)).div_ceil(1_000_000);
        let max = limits::instances_max(app);
        if instances > u128::from(max) {
            problems
                .invalid("/scaleBy", format!("would give app '{}' {instances} instances: it may have {max}", app.id));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

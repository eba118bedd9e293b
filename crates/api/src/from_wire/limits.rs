//! Amounts and texts with bounds: resources, environment, labels.

use super::Problems;
use super::read::Object;
use crate::limits::definition_bytes;
use crate::limits::{CHANGE_BYTES_MAX, DEFINITION_BYTES_MAX, INSTANCES_MAX, LONG_TEXT_BYTES_MAX, MAP_BYTES_MAX};
use cluster::{AppSpec, Resources, Volume};
use serde_json::Value;
use std::collections::BTreeMap;

/// No time span is longer: one year, seconds.
pub(super) const SECONDS_MAX: u64 = 31_536_000;

/// An app with this label never has two instances at once.
const SINGLE_INSTANCE: &str = "MARATHON_SINGLE_INSTANCE_APP";
/// Marathon's own minimum is 0.001.
const CPUS_MAX: f64 = 4096.0;
/// Docker starts no container with less memory.
const MEM_MIN_MIB: f64 = 6.0;
/// One PiB: larger than any node.
const MIB_MAX: f64 = 1_073_741_824.0;
const BYTES_PER_MIB: f64 = 1_048_576.0;

/// `cpus`, `mem` and `disk`; Marathon's defaults are 1 core, 128 MiB and no disk.
pub(super) fn resources(problems: &mut Problems, object: &Object) -> Resources {
    let cpus = object.number(problems, "cpus", 0.001, CPUS_MAX).unwrap_or(1.0);
    let mem = object.number(problems, "mem", 0.0, MIB_MAX).unwrap_or(128.0);
    let disk = object.number(problems, "disk", 0.0, MIB_MAX).unwrap_or(0.0);
    if mem < MEM_MIN_MIB {
        problems.invalid(
            &object.at("mem"),
            format!("must be {MEM_MIN_MIB} (MiB) or more: Docker starts no container with less"),
        );
    }
    Resources {
        cpu_milli: ((cpus * 1000.0).round() as u64).max(1),
        memory_bytes: (mem * BYTES_PER_MIB).round() as u64,
        disk_bytes: (disk * BYTES_PER_MIB).round() as u64,
    }
}

/// `env`: names and values that a process can be given.
pub(super) fn environment(problems: &mut Problems, object: &Object) -> BTreeMap<String, String> {
    environment_as(problems, object, "env", |name| {
        let known = !name.is_empty() && !name.contains('=');
        known.then_some(()).ok_or("an environment variable's name must not be empty or contain '='")
    })
}

/// `environment` of pods and their containers: names as shells know them (RAML `EnvVars`).
pub(super) fn strict_environment(problems: &mut Problems, object: &Object) -> BTreeMap<String, String> {
    /// As RAML has it: a first character and up to 253 more.
    const NAME_CHARS_MAX: usize = 254;
    environment_as(problems, object, "environment", |name| {
        let inner = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
        let known = (1..=NAME_CHARS_MAX).contains(&name.len())
            && name.bytes().all(inner)
            && !name.starts_with(|it: char| it.is_ascii_digit());
        known.then_some(()).ok_or("must fully match regular expression '^[a-zA-Z_][a-zA-Z0-9_]{0,253}?$'")
    })
}

fn environment_as(
    problems: &mut Problems,
    object: &Object,
    field: &str,
    check_name: impl Fn(&str) -> Result<(), &'static str>,
) -> BTreeMap<String, String> {
    let Some(fields) = object.entries(problems, field) else { return BTreeMap::new() };
    let mut env = BTreeMap::new();
    for (name, value) in fields.fields() {
        let path = fields.at(name);
        match value {
            Value::String(value) => {
                env.insert(name.clone(), value.clone());
            }
            Value::Object(secret) if secret.contains_key("secret") => {
                problems.invalid(
                    &path,
                    "there is no store of secrets: give the value itself, or mount a file with it as a host volume",
                );
            }
            _ => problems.shape(&path, "error.expected.jsstring"),
        }
        if let Err(why) = check_name(name) {
            problems.invalid(&path, why);
        }
    }
    check_sizes(problems, &object.at(field), &env);
    env
}

/// A map of labels under this name.
pub(super) fn labels(problems: &mut Problems, object: &Object, name: &str) -> BTreeMap<String, String> {
    let labels = object.text_map(problems, name).unwrap_or_default();
    check_sizes(problems, &object.at(name), &labels);
    labels
}

/// How many instances an app may have.
pub(super) fn instances_max(spec: &AppSpec) -> u64 {
    if is_single(spec) || has_exclusive_volume(spec) { 1 } else { INSTANCES_MAX }
}

/// Refuses what would break the promise of the single-instance label, or mount a volume twice.
pub(super) fn check_instances(problems: &mut Problems, spec: &AppSpec) {
    let upgrade = spec.policy.upgrade;
    if is_single(spec) && (upgrade.min_health_ppm != 0 || upgrade.max_over_ppm != 0) {
        problems.invalid(
            "/upgradeStrategy",
            format!("must have minimumHealthCapacity 0 and maximumOverCapacity 0 for an app with the label {SINGLE_INSTANCE}=true"),
        );
    }
    if spec.instances <= 1 {
        return;
    }
    if is_single(spec) {
        problems.invalid("/instances", format!("must be 0 or 1 for an app with the label {SINGLE_INSTANCE}=true"));
    }
    if has_exclusive_volume(spec) {
        problems.invalid(
            "/instances",
            format!("Number of instances is limited to 1 when declaring DVDI volumes in app [{}]", spec.id),
        );
    }
}

fn is_single(spec: &AppSpec) -> bool {
    spec.policy.labels.get(SINGLE_INSTANCE).is_some_and(|it| it == "true")
}

fn has_exclusive_volume(spec: &AppSpec) -> bool {
    spec.run.volumes.iter().any(|it| matches!(it, Volume::External(it) if !it.shared))
}

/// Refuses a definition that is too long as a whole: it could not be sent to an agent at once.
pub(super) fn check_definition(problems: &mut Problems, spec: &AppSpec) {
    let bytes = definition_bytes(spec);
    if bytes > DEFINITION_BYTES_MAX {
        problems.invalid("/", format!("the definition is too long: {bytes} bytes, at most {DEFINITION_BYTES_MAX}"));
    }
}

/// How long the definitions of a change are together: they are one entry of the log.
#[derive(Debug, Default)]
pub struct ChangeSize(usize);

impl ChangeSize {
    /// Counts a definition, and refuses one that is too many. False: nobody need look at the next ones.
    pub fn add(&mut self, problems: &mut Problems, spec: &AppSpec) -> bool {
        self.0 += definition_bytes(spec);
        let fits = self.0 <= CHANGE_BYTES_MAX;
        if !fits {
            problems.invalid(
                "/",
                format!("the change is too long: its definitions have more than {CHANGE_BYTES_MAX} bytes together; make it in parts"),
            );
        }
        fits
    }
}

fn check_sizes(problems: &mut Problems, path: &str, map: &BTreeMap<String, String>) {
    for (key, value) in map.iter().filter(|(key, value)| key.len() + value.len() > LONG_TEXT_BYTES_MAX) {
        let bytes = key.len() + value.len();
        let short: String = key.chars().take(64).collect();
        problems
            .invalid(&format!("{path}/{short}"), format!("is too long: {bytes} bytes, at most {LONG_TEXT_BYTES_MAX}"));
    }
    let bytes: usize = map.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAP_BYTES_MAX {
        problems.invalid(path, format!("is too long: {bytes} bytes in all, at most {MAP_BYTES_MAX}"));
    }
}

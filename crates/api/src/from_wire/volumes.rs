//! Volumes of a container: directories of the node, directories that Ekiden keeps, volumes of a Docker driver.

use super::read::Object;
use super::seen::Seen;
use super::{Problems, fetch};
use cluster::{ExternalVolume, Fetch, HostVolume, PersistentVolume, Volume, VolumeMode};
use std::collections::BTreeMap;

const KNOWN: &[&str] = &["containerPath", "hostPath", "mode", "persistent", "external", "secret"];
const KNOWN_OF_PERSISTENT: &[&str] = &["type", "size", "maxSize", "profileName", "constraints"];
const KNOWN_OF_EXTERNAL: &[&str] = &["provider", "name", "options", "size", "shared"];
/// One PiB: larger than any disk.
const MIB_MAX: u64 = 1 << 30;
/// The option that names the driver.
pub(crate) const DRIVER: &str = "dvdi/driver";
/// The option that holds the size, which is a field of its own on the wire.
pub(crate) const SIZE: &str = "dvdi/size";

/// Reads `volumes` of a container.
pub(super) fn read(problems: &mut Problems, container: &Object, mesos: bool, fetch: &[Fetch]) -> Vec<Volume> {
    let objects = container.objects(problems, "volumes").unwrap_or_default();
    let sandbox = Sandbox {
        kept: objects.iter().filter_map(kept_in_sandbox).collect(),
        fetched: fetch.iter().map(fetch::name_of).collect(),
        is_unpacked: fetch.iter().any(fetch::is_unpacked),
    };
    let volumes: Vec<Volume> = objects.iter().filter_map(|it| volume(problems, it, mesos, &sandbox)).collect();
    let (mut paths, mut names) = (Seen::new(), Seen::new());
    for it in &volumes {
        if !paths.is_new(it.container_path()) {
            let path = it.container_path();
            problems.invalid(&container.at("volumes"), format!("two volumes must not have the same path: '{path}'"));
        }
        if let Volume::External(it) = it
            && !names.is_new(&it.name)
        {
            let name = &it.name;
            problems.invalid(&container.at("volumes"), format!("external volume names must be unique: '{name}'"));
        }
    }
    volumes
}

/// What is in the sandbox, and may be mounted at a second place.
struct Sandbox<'a> {
    /// The names of persistent volumes.
    kept: Seen<&'a str>,
    /// The names of files that are fetched.
    fetched: Seen<&'a str>,
    /// Whether an archive is unpacked: nobody knows the names in it.
    is_unpacked: bool,
}

impl Sandbox<'_> {
    /// Whether a relative path can be there: a persistent volume, a file that is fetched, or anything at all where an
    /// archive is unpacked.
    fn has(&self, path: &str) -> bool {
        let is_plain = !path.is_empty() && !path.starts_with('/') && !path.split('/').any(|it| it == "..");
        let path = path.strip_prefix("./").unwrap_or(path);
        self.kept.has(path) || (is_plain && (self.is_unpacked || self.fetched.has(path)))
    }
}

/// The name of a persistent volume in the sandbox, by which a host volume has it mounted at a second place.
fn kept_in_sandbox<'a>(object: &'a Object) -> Option<&'a str> {
    let path = object.get("containerPath")?.as_str()?;
    (object.get("persistent").is_some() && !path.starts_with('/')).then_some(path)
}

fn volume(problems: &mut Problems, object: &Object, mesos: bool, sandbox: &Sandbox<'_>) -> Option<Volume> {
    object.check_known(problems, KNOWN);
    let kinds = ["persistent", "external", "secret", "hostPath"];
    let given: Vec<&str> = kinds.into_iter().filter(|it| object.get(it).is_some()).collect();
    if given.len() > 1 {
        problems.invalid(object.path(), format!("must be one kind of volume, not {} at once", given.join(" and ")));
        return None;
    }
    match given.first() {
        Some(&"persistent") => persistent(problems, object),
        Some(&"external") => external(problems, object, mesos),
        Some(&"secret") => {
            problems.invalid(
                &object.at("secret"),
                "there is no store of secrets: mount a file of the node as a host volume, or give the value in 'env'",
            );
            None
        }
        _ => host(problems, object, sandbox),
    }
}

fn host(problems: &mut Problems, object: &Object, sandbox: &Sandbox<'_>) -> Option<Volume> {
    let container_path = absolute(problems, object, "containerPath");
    let is_there = |it: &&str| sandbox.has(it) && !it.contains(':');
    let named = object.get("hostPath").and_then(|it| it.as_str()).filter(is_there);
    let host_path = named.map(str::to_owned).or_else(|| absolute(problems, object, "hostPath"));
    let mode = mode(problems, object);
    Some(Volume::Host(HostVolume { container_path: container_path?, host_path: host_path?, mode }))
}

fn persistent(problems: &mut Problems, object: &Object) -> Option<Volume> {
    let container_path = path(problems, object, "containerPath");
    if let Some(path) = &container_path
        && !path.starts_with('/')
        && (path.contains('/') || path == ".")
    {
        let error = "must be a name in the sandbox, without '/', or an absolute path";
        problems.invalid(&object.at("containerPath"), error);
    }
    let mode = mode(problems, object);
    if mode == VolumeMode::Ro {
        problems.invalid(&object.at("mode"), "must be RW: nobody else could ever write to it");
    }
    let info = object.object(problems, "persistent")?;
    info.check_known(problems, KNOWN_OF_PERSISTENT);
    if let Some(kind @ ("path" | "mount")) = info.word(problems, "type", &["root", "path", "mount"]) {
        problems.invalid(
            &info.at("type"),
            format!("disks of type '{kind}' are resources of Mesos agents: leave it out, agents keep persistent volumes in their data directory"),
        );
    }
    if info.get("maxSize").is_some() {
        problems.invalid(&info.at("maxSize"), "Only mount volumes can have maxSize");
    }
    if info.get("profileName").is_some() {
        problems.invalid(&info.at("profileName"), "there are no disk profiles: leave it out");
    }
    if info.array(problems, "constraints").is_some_and(|it| !it.is_empty()) {
        problems.invalid(&info.at("constraints"), "Constraints on root volumes are not supported");
    }
    if info.get("size").is_none() {
        problems.shape(&info.at("size"), "error.path.missing");
    }
    let size_mib = info.int(problems, "size", 1, MIB_MAX);
    Some(Volume::Persistent(PersistentVolume { container_path: container_path?, size_mib: size_mib?, mode }))
}

fn external(problems: &mut Problems, object: &Object, mesos: bool) -> Option<Volume> {
    let container_path = absolute(problems, object, "containerPath");
    let mode = mode(problems, object);
    let info = object.object(problems, "external")?;
    info.check_known(problems, KNOWN_OF_EXTERNAL);
    match info.required_text(problems, "provider") {
        Some("dvdi") | None => {}
        Some("csi") => {
            problems.invalid(
                &info.at("provider"),
                "CSI volumes are not supported: use a volume plugin of the nodes' Docker, by provider 'dvdi'",
            );
            return None;
        }
        Some(_) => problems.invalid(&info.at("provider"), "is unknown provider: must be 'dvdi'"),
    }
    let name = info.required_text(problems, "name");
    if let Some(name) = name
        && !is_name(name)
    {
        problems.invalid(
            &info.at("name"),
            "must start with a letter or digit; letters, digits, '_', '.' and '-' may follow",
        );
    }
    let mut options = info.text_map(problems, "options").unwrap_or_default();
    let driver = options.remove(DRIVER).filter(|it| !it.is_empty());
    if driver.is_none() {
        problems.invalid(&info.at("options"), format!("must name the driver: \"{DRIVER}\""));
    }
    let size = info.int(problems, "size", 1, MIB_MAX);
    if !mesos {
        check_docker(problems, &info, &options);
    }
    if let Some(size) = size {
        options.insert(SIZE.to_owned(), size.to_string());
    }
    let shared = info.boolean(problems, "shared").unwrap_or(false);
    let (container_path, name) = (container_path?, name?.to_owned());
    Some(Volume::External(ExternalVolume { container_path, mode, name, driver: driver?, options, shared }))
}

/// Docker's own way to mount a volume can pass the driver's name on, and nothing else.
fn check_docker(problems: &mut Problems, info: &Object, options: &BTreeMap<String, String>) {
    if info.get("size").is_some() {
        problems.invalid(&info.at("size"), "must be undefined for Docker containers");
    }
    for name in options.keys() {
        problems.invalid(
            &info.at(&format!("options/{name}")),
            format!("Docker containers have the option \"{DRIVER}\" only"),
        );
    }
}

fn mode(problems: &mut Problems, object: &Object) -> VolumeMode {
    if object.get("mode").is_none() {
        problems.shape(&object.at("mode"), "error.path.missing");
    }
    match object.word(problems, "mode", &["RO", "RW"]) {
        Some("RO") => VolumeMode::Ro,
        _ => VolumeMode::Rw,
    }
}

/// What Docker takes for a volume's name, and not for a path.
fn is_name(name: &str) -> bool {
    let inner = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.' | b'-');
    (2..=255).contains(&name.len())
        && name.bytes().all(inner)
        && name.starts_with(|it: char| it.is_ascii_alphanumeric())
}

/// An absolute path without parts that lead back, and without the character that separates paths on Docker's side.
pub(super) fn absolute(problems: &mut Problems, object: &Object, name: &str) -> Option<String> {
    let path = path(problems, object, name)?;
    if !path.starts_with('/') {
        problems.invalid(
            &object.at(name),
            "must be an absolute path, or, as hostPath, the containerPath of a persistent volume of the same app, or the name of a file that it fetches",
        );
    }
    Some(path)
}

fn path(problems: &mut Problems, object: &Object, name: &str) -> Option<String> {
    let path = object.required_text(problems, name)?;
    if path.is_empty() {
        problems.invalid(&object.at(name), "must not be empty");
    } else if path.split('/').any(|it| it == "..") {
        problems.invalid(&object.at(name), "must not contain '..'");
    } else if path.contains(':') {
        problems.invalid(&object.at(name), "must not contain ':'");
    }
    Some(path.to_owned())
}

//! The container: image, options and volumes. Ports are read by [`super::ports`].

use super::read::Object;
use super::{Problems, refused};
use cluster::{HostVolume, VolumeMode};
use std::collections::BTreeSet;

/// What a container is made of.
#[derive(Default)]
pub(super) struct Container {
    pub(super) image: String,
    pub(super) force_pull: bool,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) volumes: Vec<HostVolume>,
}

const KNOWN: &[&str] = &["type", "docker", "volumes", "portMappings", "linuxInfo"];
const KNOWN_OF_DOCKER: &[&str] =
    &["image", "forcePullImage", "privileged", "parameters", "pullConfig", "network", "portMappings", "credential"];
const KNOWN_OF_VOLUME: &[&str] = &["containerPath", "hostPath", "mode", "persistent", "external", "secret"];
/// Longer references are no references.
const IMAGE_BYTES_MAX: usize = 1024;

/// Reads `container`; one with an image is needed.
pub(super) fn read(problems: &mut Problems, app: &Object) -> Container {
    if app.get("container").is_none() {
        problems.invalid(
            "/container",
            "apps without a container are not supported: Ekiden runs Docker images; give 'container.docker.image'",
        );
        return Container::default();
    }
    let Some(container) = app.object(problems, "container") else { return Container::default() };
    container.check_known(problems, KNOWN);
    refused::check_container(problems, &container);
    if container.word(problems, "type", &["DOCKER", "MESOS"]) == Some("MESOS") {
        problems.invalid(&container.at("type"), "the MESOS containerizer is not supported: use type 'DOCKER'");
    }
    let volumes = volumes(problems, &container);
    if container.get("docker").is_none() {
        problems.invalid(&container.at("docker"), "not defined: give 'docker.image', Ekiden runs Docker images");
        return Container { volumes, ..Container::default() };
    }
    let Some(docker) = container.object(problems, "docker") else { return Container::default() };
    docker.check_known(problems, KNOWN_OF_DOCKER);
    refused::check_docker(problems, &docker);
    docker.boolean(problems, "privileged");
    Container {
        image: image(problems, &docker),
        force_pull: docker.boolean(problems, "forcePullImage").unwrap_or(false),
        parameters: parameters(problems, &docker),
        volumes,
    }
}

fn image(problems: &mut Problems, docker: &Object) -> String {
    if docker.get("image").is_none() {
        problems.shape(&docker.at("image"), "error.path.missing");
    }
    let image = docker.text(problems, "image").unwrap_or("unread");
    if image.is_empty() {
        problems.invalid(&docker.at("image"), "must not be empty");
    } else if !is_image(image) {
        problems.invalid(
            &docker.at("image"),
            "is not an image reference: '[registry/]name[:tag][@digest]', the name in lower case",
        );
    }
    image.to_owned()
}

/// Whether a text is an image reference (the grammar of `distribution/reference`).
pub(super) fn is_image(image: &str) -> bool {
    if image.len() > IMAGE_BYTES_MAX {
        return false;
    }
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last_slash = name.rfind('/').map_or(0, |it| it + 1);
    let (path, tag) = match name[last_slash..].find(':') {
        Some(colon) => (&name[..last_slash + colon], Some(&name[last_slash + colon + 1..])),
        None => (name, None),
    };
    let mut components: Vec<&str> = path.split('/').collect();
    let first_is_host = components.len() > 1
        && (components[0].contains(['.', ':'])
            || components[0] == "localhost"
            || components[0].contains(char::is_uppercase));
    let host = first_is_host.then(|| components.remove(0));
    host.is_none_or(is_host)
        && components.iter().all(|it| is_component(it))
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

fn is_host(host: &str) -> bool {
    let inner = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b':' | b'[' | b']');
    !host.is_empty() && host.bytes().all(inner)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let alphanumeric = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    let separators = component.split(alphanumeric).filter(|it| !it.is_empty());
    component.starts_with(alphanumeric)
        && component.ends_with(alphanumeric)
        && separators.into_iter().all(|it| matches!(it, "." | "_" | "__") || it.bytes().all(|it| it == b'-'))
}

/// `[\w][\w.-]{0,127}`
fn is_tag(tag: &str) -> bool {
    let word = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    let inner = |it: u8| word(it) || matches!(it, b'.' | b'-');
    (1..=128).contains(&tag.len()) && tag.bytes().all(inner) && tag.bytes().next().is_some_and(word)
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'.' | b'-' | b'_'))
            && hex.len() >= 32
            && hex.bytes().all(|it| it.is_ascii_hexdigit())
    })
}

fn parameters(problems: &mut Problems, docker: &Object) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    for parameter in docker.objects(problems, "parameters").unwrap_or_default() {
        parameter.check_known(problems, &["key", "value"]);
        let key = required_text(problems, &parameter, "key");
        let value = required_text(problems, &parameter, "value");
        let (Some(key), Some(value)) = (key, value) else { continue };
        if let Err(error) = cluster::agent::check_parameter(&key, &value) {
            problems.invalid(parameter.path(), error.to_string());
        }
        parameters.push((key, value));
    }
    parameters
}

fn volumes(problems: &mut Problems, container: &Object) -> Vec<HostVolume> {
    let mut volumes: Vec<HostVolume> = Vec::new();
    let mut paths = BTreeSet::new();
    for volume in container.objects(problems, "volumes").unwrap_or_default() {
        volume.check_known(problems, KNOWN_OF_VOLUME);
        let other = ["persistent", "external", "secret"].into_iter().find(|it| volume.get(it).is_some());
        if let Some(kind) = other {
            problems.invalid(
                &volume.at(kind),
                format!("{kind} volumes are not supported yet: use a host volume, with 'hostPath'"),
            );
            continue;
        }
        let container_path = path(problems, &volume, "containerPath");
        let host_path = path(problems, &volume, "hostPath");
        if volume.get("mode").is_none() {
            problems.shape(&volume.at("mode"), "error.path.missing");
        }
        let mode = match volume.word(problems, "mode", &["RO", "RW"]) {
            Some("RO") => VolumeMode::Ro,
            _ => VolumeMode::Rw,
        };
        let (Some(container_path), Some(host_path)) = (container_path, host_path) else { continue };
        if !paths.insert(container_path.clone()) {
            problems.invalid(&volume.at("containerPath"), "two volumes must not have the same path");
        }
        volumes.push(HostVolume { container_path, host_path, mode });
    }
    volumes
}

/// An absolute path without parts that lead back, and without the character that separates paths on Docker's side.
pub(super) fn path(problems: &mut Problems, volume: &Object, name: &str) -> Option<String> {
    let path = required_text(problems, volume, name)?;
    if !path.starts_with('/') {
        problems.invalid(&volume.at(name), "must be an absolute path");
    } else if path.split('/').any(|it| it == "..") {
        problems.invalid(&volume.at(name), "must not contain '..'");
    } else if path.contains(':') {
        problems.invalid(&volume.at(name), "must not contain ':'");
    }
    Some(path)
}

pub(super) fn required_text(problems: &mut Problems, object: &Object, name: &str) -> Option<String> {
    if object.get(name).is_none() {
        problems.shape(&object.at(name), "error.path.missing");
    }
    object.text(problems, name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_references_are_told_from_other_texts() {
        for image in [
            "nginx",
            "nginx:1.25",
            "library/nginx",
            "registry.example/pay-api:1.2",
            "localhost:5000/a/b_c/d--e",
            "Registry:5000/a",
            "a@sha256:0123456789abcdef0123456789abcdef",
            "a:t@sha256:0123456789abcdef0123456789abcdef",
            "10.0.0.1:5000/x:_1.2-3",
        ] {
            assert!(is_image(image), "{image}");
        }
        for image in [
            "",
            " ",
            "a b",
            "Nginx",
            "nginx:",
            "nginx:a b",
            "/nginx",
            "nginx/",
            "a//b",
            "a:-x",
            "-a",
            "a_",
            "a___b",
            "a..b",
            "a@sha256:xyz",
            "a@",
            "http://x/y",
            "a\n",
            "é",
            &"a".repeat(5000),
        ] {
            assert!(!is_image(image), "{image:?}");
        }
    }
}

//! The container: image, options and volumes. Ports are read by [`super::ports`].

use super::read::Object;
use super::{Problems, image, refused, volumes};
use cluster::{Fetch, Volume};

/// What a container is made of.
#[derive(Default)]
pub(super) struct Container {
    /// Absent: that of the operator's choice.
    pub(super) image: Option<String>,
    pub(super) force_pull: bool,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) volumes: Vec<Volume>,
    /// Whether the user named the `MESOS` containerizer.
    pub(super) mesos: bool,
    /// What is wrong with it has been said: nothing is missed in what could not be read.
    pub(super) is_refused: bool,
}

const KNOWN: &[&str] = &["type", "docker", "volumes", "portMappings", "linuxInfo"];
const KNOWN_OF_DOCKER: &[&str] =
    &["image", "forcePullImage", "privileged", "parameters", "pullConfig", "network", "portMappings", "credential"];

/// Reads `container`, if there is one, of an app that has these files fetched.
pub(super) fn read(problems: &mut Problems, app: &Object, fetch: &[Fetch]) -> Container {
    if app.get("container").is_none() {
        return Container::default();
    }
    let refused = Container { is_refused: true, ..Container::default() };
    let Some(container) = app.object(problems, "container") else { return refused };
    container.check_known(problems, KNOWN);
    refused::check_container(problems, &container);
    let kind = container.word(problems, "type", &["DOCKER", "MESOS"]);
    // One that says nothing of Docker is meant for the other, though Marathon's default is Docker.
    let is_meant = container.get("type").is_none() && container.get("docker").is_none();
    let mesos = kind == Some("MESOS") || is_meant;
    let volumes = volumes::read(problems, &container, mesos, fetch);
    if container.get("docker").is_none() {
        if !mesos {
            problems.invalid(
                &container.at("docker"),
                "not defined: give 'docker.image', or the type 'MESOS' for a container without an image of its own",
            );
        }
        return Container { volumes, mesos, is_refused: !mesos, ..Container::default() };
    }
    let Some(docker) = container.object(problems, "docker") else { return refused };
    docker.check_known(problems, KNOWN_OF_DOCKER);
    refused::check_docker(problems, &docker);
    let mut parameters = parameters(problems, &docker);
    let is_privileged = docker.boolean(problems, "privileged") == Some(true);
    parameters.extend(is_privileged.then(privileged));
    Container {
        image: Some(image::read(problems, &docker, "image")),
        force_pull: docker.boolean(problems, "forcePullImage").unwrap_or(false),
        parameters,
        volumes,
        mesos,
        is_refused: false,
    }
}

/// What `docker.privileged` is among the parameters.
pub(crate) fn privileged() -> (String, String) {
    ("privileged".to_owned(), "true".to_owned())
}

fn parameters(problems: &mut Problems, docker: &Object) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    for parameter in docker.objects(problems, "parameters").unwrap_or_default() {
        parameter.check_known(problems, &["key", "value"]);
        let key = parameter.required_text(problems, "key");
        let value = parameter.required_text(problems, "value");
        let (Some(key), Some(value)) = (key, value) else { continue };
        if key == privileged().0 {
            let error = "Docker parameter 'privileged' is not supported: say it by 'docker.privileged'";
            problems.invalid(parameter.path(), error);
        } else if let Err(error) = cluster::agent::check_parameter(key, value) {
            problems.invalid(parameter.path(), error.to_string());
        }
        parameters.push((key.to_owned(), value.to_owned()));
    }
    parameters
}

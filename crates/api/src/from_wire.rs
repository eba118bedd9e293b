//! From users' JSON to the cluster's types: reads both of Marathon's dialects, fills defaults in, and collects *all*
//! that is wrong, each with its place.
//!
//! [`app`] is the table of contents. What Ekiden does not do is refused with words that say what to use instead,
//! never dropped in silence; what nobody knows is named in [`Problems::warnings`].

mod container;
mod fetch;
mod grants;
mod group;
mod health;
mod image;
mod limits;
mod networks;
mod paths;
mod pod;
mod policy;
mod ports;
mod problems;
mod read;
mod readiness;
mod refused;
mod seen;
mod update;
mod volumes;

pub(crate) use container::privileged;
pub use grants::check_granted;
pub use group::{GroupChange, check_scaled, group, group_patch, group_path};
pub use limits::ChangeSize;
pub use pod::{pod, pod_instance_ids};
pub use problems::{Problems, Warning};
pub use update::{Merge, Update, Updates, merge, one_update, scaled, updates};
pub(crate) use volumes::{DRIVER, SIZE};

use crate::limits::INSTANCES_MAX;
use cluster::{AppId, AppSpec, PathId, RunSpec, Settings};
use read::Object;
use serde_json::{Map, Value};

/// Reads an app's definition (RAML `App`) for the app of this id; an id in the definition must agree.
///
/// # Errors
/// Everything that is wrong with it.
pub fn app(
    id: &AppId,
    definition: &Map<String, Value>,
    settings: &Settings,
) -> Result<(AppSpec, Vec<Warning>), Problems> {
    app_in(&PathId::root(), id, definition, settings)
}

/// The same for an app whose definition stands in that of a group: its id may be relative to that.
fn app_in(
    group: &PathId,
    id: &AppId,
    definition: &Map<String, Value>,
    settings: &Settings,
) -> Result<(AppSpec, Vec<Warning>), Problems> {
    let mut problems = Problems::default();
    let object = Object::root(definition);
    problems.nuls(definition);
    object.check_known(&mut problems, refused::KNOWN);
    refused::check(&mut problems, &object);
    check_id(&mut problems, &object, group, id);

    let (cmd, args) = command(&mut problems, &object);
    let fetch = fetch::read(&mut problems, &object);
    let container = container::read(&mut problems, &object, &fetch);
    let attachment = ports::read(&mut problems, &object);
    if container.image.is_none() && !container.is_refused {
        check_command(&mut problems, cmd.is_some() || !args.is_empty(), settings);
    }
    let mesos = container.mesos || (container.image.is_none() && attachment.network != cluster::Network::Host);
    let image = container.image.unwrap_or_default();
    let policy = policy::read(&mut problems, &object, id, &attachment.ports, &container.volumes, settings);
    let instances = object.int(&mut problems, "instances", 0, INSTANCES_MAX).unwrap_or(1) as u32;
    let run = RunSpec {
        cmd,
        args,
        user: object.text(&mut problems, "user").filter(|it| !it.is_empty()).map(str::to_owned),
        env: limits::environment(&mut problems, &object),
        resources: limits::resources(&mut problems, &object),
        image,
        force_pull: container.force_pull,
        parameters: container.parameters,
        mesos,
        tty: object.boolean(&mut problems, "tty").unwrap_or(false),
        fetch,
        volumes: container.volumes,
        network: attachment.network,
        ports: attachment.ports,
        require_ports: attachment.require_ports,
        pod: None,
    };
    let spec = AppSpec { id: id.clone(), instances, run: run.into(), policy: policy.into() };
    limits::check_instances(&mut problems, &spec);
    limits::check_definition(&mut problems, &spec);
    refused::check_limits(&mut problems, &object, &spec.run.resources);
    problems.into_result(spec)
}

/// An app without an image needs a command, and an image to run it in.
fn check_command(problems: &mut Problems, has_command: bool, settings: &Settings) {
    if !has_command {
        problems.invalid("/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.");
    } else if settings.command_image.is_empty() {
        problems.invalid(
            "/container",
            "commands run in an image: give 'container.docker.image', or let the operator set 'command_image', the image of apps that have none",
        );
    }
}

/// Reads the id of a definition that must have one.
pub fn app_id(definition: &Map<String, Value>) -> Result<AppId, Problems> {
    let mut problems = Problems::default();
    let object = Object::root(definition);
    let Some(text) = object.text(&mut problems, "id") else {
        if problems.is_empty() {
            problems.shape("/id", "error.path.missing");
        }
        return Err(problems);
    };
    AppId::parse(text).map_err(|error| {
        problems.invalid("/id", error.to_string());
        problems
    })
}

fn check_id(problems: &mut Problems, object: &Object, group: &PathId, id: &AppId) {
    let Some(text) = object.text(problems, "id") else { return };
    match AppId::parse_in(group, text) {
        Ok(given) if given == *id => {}
        Ok(given) => {
            problems.invalid("/id", format!("must be '{id}', the app of this request, or absent; it is '{given}'"));
        }
        Err(error) => problems.invalid("/id", error.to_string()),
    }
}

/// `cmd` and `args`: at most one of them.
fn command(problems: &mut Problems, object: &Object) -> (Option<String>, Vec<String>) {
    let cmd = object.text(problems, "cmd").map(str::to_owned);
    let args = object.texts(problems, "args").unwrap_or_default();
    if cmd.as_deref() == Some("") {
        problems.invalid("/cmd", "must not be empty: leave it out to run the image's own command");
    }
    if cmd.is_some() && !args.is_empty() {
        problems.invalid("/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.");
    }
    (cmd, args)
}

/// Reads the body of `POST /v2/tasks/delete` (RAML `DeleteTasks`).
///
/// # Errors
/// Everything that is wrong with it.
pub fn task_ids(body: &Map<String, Value>) -> Result<Vec<String>, Problems> {
    let mut problems = Problems::default();
    let object = Object::root(body);
    if object.get("ids").is_none() {
        problems.shape("/ids", "error.path.missing");
    }
    let ids = object.texts(&mut problems, "ids").unwrap_or_default();
    if problems.is_empty() { Ok(ids) } else { Err(problems) }
}

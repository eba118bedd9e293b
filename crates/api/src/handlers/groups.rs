//! `/v2/groups`: groups with all that is in them.

use super::apps::{apps_below, embed_of, list_of};
use super::{add_warnings, deployment_result, ok, parse_version, with_shared_services};
use crate::context::Api;
use crate::control::ControlPlane;
use crate::error::Error;
use crate::from_wire::{self, GroupChange, Problems, Warning};
use crate::request::{Query, Request};
use crate::to_wire::{Embed, GroupEmbed, Tree};
use crate::{time, to_wire, v2};
use axum::body::Body;
use axum::response::Response;
use cluster::{Applied, Command, Entry, Event, GroupUpdate, PathId, State, Version};
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

/// `GET /v2/groups/{id}?embed=`
pub(crate) async fn get<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let path = group(request)?;
    let state = api.state().await?;
    check_there(&state, &path)?;
    let tree = Tree::now(&state, &path);
    Ok(answer(api, request, tree, state).await)
}

/// `GET /v2/groups/{id}/apps?embed=`: the apps in it, at any depth.
pub(crate) async fn apps<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let path = group(request)?;
    let state = api.state().await?;
    check_there(&state, &path)?;
    let pieces = list_of("[", apps_below(&state, &request.params.path), "]");
    let embed = embed(&request.query).app;
    Ok(api.definitions.answer(pieces, state, embed, api.control.moment()).await)
}

/// `GET /v2/groups/{id}/versions`: those of the tree in which the group was there, newest first.
pub(crate) async fn versions<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let path = group(request)?;
    let state = api.state().await?;
    check_there(&state, &path)?;
    let versions = state.tree_versions().rev().filter(|it| state.had_group(&path, *it));
    ok(&versions.map(time::print).collect::<Vec<_>>())
}

/// `GET /v2/groups/{id}/versions/{version}?embed=`
pub(crate) async fn version<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let path = group(request)?;
    let version = parse_version(&request.params.name)?;
    let state = api.state().await?;
    if !state.had_group(&path, version) {
        return Err(Error::NotFound(format!("Group '{path}' does not exist in version {}", time::print(version))));
    }
    let tree = Tree::then(&state, &path, version);
    Ok(answer(api, request, tree, state).await)
}

/// `POST /v2/groups/{id}?force=`
pub(crate) async fn create<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let Asked { state, path, change, warnings, .. } = asked(api, request).await?;
    drop(state);
    let GroupChange::Put(update) = change else {
        return Err(Error::Argument("only a PUT can scale a group, or make it what it was".to_owned()));
    };
    let applied = api.submit(request, Command::PutGroup { update, absent: true, force }).await?;
    let mut response = deployment_result(StatusCode::CREATED, &applied);
    add_location(&mut response, request, &path);
    add_warnings(&mut response, &with_shared_services(warnings, &applied));
    Ok(response)
}

/// `PUT /v2/groups/{id}?force=&dryRun=`
pub(crate) async fn put<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let dry = request.query.flag("dryRun", false)?;
    let Asked { state, path, current, change, warnings } = asked(api, request).await?;
    let command = match change {
        GroupChange::Put(update) => Command::PutGroup { update, absent: false, force },
        GroupChange::Restore(version) => Command::RestoreGroup { group: path, version, force },
        GroupChange::Scale(factor_ppm) => {
            let apps = state.apps_in(&path).filter(|it| !it.removing);
            from_wire::check_scaled(apps.map(|it| &it.current.spec), factor_ppm)?;
            Command::ScaleGroup { group: path, factor_ppm, force }
        }
    };
    let (mut response, applied) = if dry {
        let (steps, applied) = rehearse(api, request, &state, command)?;
        (ok(&steps)?, applied)
    } else {
        drop(state);
        let applied = api.submit(request, command).await?;
        let applied = with_version_of(applied, current);
        (deployment_result(StatusCode::OK, &applied), applied)
    };
    add_warnings(&mut response, &with_shared_services(warnings, &applied));
    Ok(response)
}

/// `PUT /v2/groups/{id}/versions/{version}?force=`: makes the group what it was then.
pub(crate) async fn restore<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let (path, version) = (group(request)?, parse_version(&request.params.name)?);
    let current = Tree::now(&*api.state().await?, &path).version();
    let applied = api.submit(request, Command::RestoreGroup { group: path, version, force }).await?;
    Ok(deployment_result(StatusCode::OK, &with_version_of(applied, current)))
}

/// The answer to a change of a group, which has its own version where nothing was changed: that of one of its apps would
/// be older than what was answered before.
fn with_version_of(applied: Applied, current: Version) -> Applied {
    let is_idle = |it: &Event| match it {
        Event::DeploymentStarted { deployment } => deployment.changes.is_empty() && deployment.groups.is_empty(),
        _ => false,
    };
    if applied.events.iter().any(is_idle) { Applied { version: Some(current), ..applied } } else { applied }
}

/// `PATCH /v2/groups/{id}`: Marathon's only use of it is `enforceRole`.
pub(crate) async fn patch<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let path = group(request)?;
    let warnings = from_wire::group_patch(&path, &request.object()?)?;
    request.check_strict(&warnings)?;
    check_there(&*api.state().await?, &path)?;
    let mut response = Response::new(Body::empty());
    add_warnings(&mut response, &warnings);
    Ok(response)
}

/// `DELETE /v2/groups/{id}?force=`
pub(crate) async fn delete<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let applied = api.submit(request, Command::RemoveGroup { group: group(request)?, force }).await?;
    Ok(deployment_result(StatusCode::OK, &applied))
}

/// The group that the path names.
fn group(request: &Request) -> Result<PathId, Error> {
    PathId::parse(&request.params.path).map_err(|error| {
        let mut problems = Problems::default();
        problems.invalid("/id", error.to_string());
        problems.into()
    })
}

fn check_there(state: &State, path: &PathId) -> Result<(), Error> {
    if state.has_group(path) { Ok(()) } else { Err(Error::NotFound(format!("Group '{path}' does not exist"))) }
}

/// What a request asks of a group, and the snapshot that it was read against.
struct Asked {
    state: Arc<State>,
    path: PathId,
    /// The version that the group had then.
    current: Version,
    change: GroupChange,
    warnings: Vec<Warning>,
}

async fn asked<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Asked, Error> {
    let base = group(request)?;
    let body = request.object()?;
    let path = from_wire::group_path(&base, &body)?;
    let state = api.state().await?;
    let current = Tree::now(&state, &path).version();
    let (change, warnings) = from_wire::group(&path, &body, state.settings(), current)?;
    if let GroupChange::Put(update) = &change {
        check_granted("", update, &state)?;
    }
    request.check_strict(&warnings)?;
    Ok(Asked { state, path, current, change, warnings })
}

/// Whether nodes allow what the apps of a group ask for; `place` is where the group stands in the input.
fn check_granted(place: &str, group: &GroupUpdate, state: &State) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for (n, app) in group.apps.iter().flatten().enumerate() {
        if let Err(part) = from_wire::check_granted(&format!("{place}/apps({n})"), app, state) {
            problems.absorb("", part);
        }
    }
    for (n, inner) in group.groups.iter().flatten().enumerate() {
        if let Err(part) = check_granted(&format!("{place}/groups({n})"), inner, state) {
            problems.absorb("", part);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What a change would do: it is applied to a copy of the cluster.
fn rehearse<C: ControlPlane>(
    api: &Api<C>,
    request: &Request,
    state: &State,
    command: Command,
) -> Result<(v2::DeploymentSteps, Applied), Error> {
    let mut copy = state.clone();
    let (time, moment) = (api.control.now(), api.control.moment());
    let entry = Entry { index: copy.index() + 1, time, moment, principal: request.principal(), command };
    let applied = copy.apply(entry)?;
    let deployment = applied.deployment.and_then(|it| copy.deployment(it));
    let steps = deployment.map(|it| to_wire::steps(it)).unwrap_or_default();
    Ok((v2::DeploymentSteps { steps }, applied))
}

async fn answer<C: ControlPlane>(api: &Api<C>, request: &Request, tree: Tree, state: Arc<State>) -> Response {
    let embed = embed(&request.query);
    api.definitions.answer(tree.pieces(embed), state, embed.app, api.control.moment()).await
}

/// What is asked for. Where no part of a group is named, all are.
fn embed(query: &Query) -> GroupEmbed {
    let words: Vec<&str> = query.all("embed").collect();
    let names = |it: &str| words.contains(&it);
    let app: Embed = embed_of(words.iter().filter_map(|it| it.strip_prefix("group.apps.")));
    let apps = names("group.apps") || app != Embed::default();
    let (groups, pods) = (names("group.groups"), names("group.pods"));
    let all = !names("group.apps") && !groups && !pods;
    GroupEmbed { groups: groups || all, apps: apps || all, pods: pods || all, app }
}

/// Says where a new group is found, as the client would address it.
fn add_location(response: &mut Response, request: &Request, path: &PathId) {
    let host = request.headers.get(header::HOST).and_then(|it| it.to_str().ok());
    let base = host.map_or_else(String::new, |it| format!("http://{it}"));
    if let Ok(location) = HeaderValue::from_str(&format!("{base}/v2/groups{path}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}

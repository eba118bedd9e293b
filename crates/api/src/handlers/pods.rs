//! `/v2/pods`: pods and what runs of them.

use super::{add_deployment, add_location_of, add_warnings, deployment_of, ok, parse_version, with_shared_services};
use crate::context::Api;
use crate::control::{ControlPlane, SubmitError};
use crate::error::{Error, json};
use crate::from_wire::{self, Problems, Warning};
use crate::request::Request;
use crate::to_wire::{self, is_listed, parse_task_id};
use crate::{time, v2};
use axum::body::Body;
use axum::response::Response;
use cluster::{App, AppId, AppSpec, Applied, Command, Event, Expect, Instance, Rejected, State};
use http::StatusCode;
use serde_json::{Map, Value};

/// How often an update is repeated on what others have made of the pod meanwhile.
const ATTEMPTS: usize = 5;

/// `GET /v2/pods`, and `HEAD`, by which clients ask whether there are pods at all.
pub(crate) async fn list<C: ControlPlane>(api: &Api<C>) -> Result<Response, Error> {
    let state = api.state().await?;
    let pods = state.apps().filter(|it| is_pod(it) && !it.removing);
    ok(&pods.map(|it| to_wire::pod(&it.current)).collect::<Vec<_>>())
}

/// `GET /v2/pods/{id}`
pub(crate) async fn get<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let state = api.state().await?;
    ok(&to_wire::pod(&pod_of(&state, &id)?.current))
}

/// `POST /v2/pods?force=`
pub(crate) async fn create<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let definition = request.object()?;
    let id = from_wire::app_id(&definition)?;
    let state = api.recent().await?;
    let (spec, warnings) = read(&state, request, &id, &definition)?;
    drop(state);
    let command = Command::PutApps { apps: vec![(spec, Expect::Absent)], force };
    let applied = match api.submit(request, command).await {
        Err(SubmitError::Rejected(Rejected::Exists { app })) => return Err(exists(api, app).await?),
        outcome => outcome?,
    };
    let stored = stored(&applied, &id).unwrap_or_else(|| v2::Pod { id: id.to_string(), ..v2::Pod::default() });
    let mut response = answer(StatusCode::CREATED, &stored, &applied, &warnings);
    add_location_of(&mut response, request, &format!("/v2/pods{id}"));
    Ok(response)
}

/// `PUT /v2/pods/{id}?force=`: the definition replaces what is there; an absent field takes its default.
pub(crate) async fn put<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let id = request.app()?;
    let definition = request.object()?;
    let given = from_wire::app_id(&definition)?;
    if given != id {
        return Err(Error::Bad(format!("'{id}' does not match definition's id ('{given}')")));
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        let state = api.state().await?;
        let current = pod_of(&state, &id)?.current.clone();
        let (spec, warnings) = read(&state, request, &id, &definition)?;
        drop(state);
        let command = Command::PutApps { apps: vec![(spec, Expect::Version(current.version))], force };
        match api.submit(request, command).await {
            Err(SubmitError::Rejected(Rejected::Changed { .. } | Rejected::NoApp { .. })) if attempt < ATTEMPTS => {}
            outcome => {
                let applied = outcome?;
                // What was as wanted already is answered as it is.
                let pod = stored(&applied, &id).unwrap_or_else(|| to_wire::pod(&current));
                return Ok(answer(StatusCode::OK, &pod, &applied, &warnings));
            }
        }
    }
}

/// `DELETE /v2/pods/{id}?force=`
pub(crate) async fn delete<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let id = request.app()?;
    pod_of(&*api.state().await?, &id)?;
    let applied = match api.submit(request, Command::RemoveApp { app: id.clone(), force }).await {
        Err(SubmitError::Rejected(Rejected::NoApp { .. })) => return Err(no_pod(&id)),
        outcome => outcome?,
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    add_deployment(&mut response, &deployment_of(&applied).to_string());
    Ok(response)
}

/// `GET /v2/pods::status`
pub(crate) async fn list_status<C: ControlPlane>(api: &Api<C>) -> Result<Response, Error> {
    let state = api.state().await?;
    let pods = state.apps().filter(|it| is_pod(it));
    ok(&pods.map(|it| to_wire::pod_status(&state, it)).collect::<Vec<_>>())
}

/// `GET /v2/pods/{id}::status`: also of a pod that was deleted, until its instances have ended.
pub(crate) async fn status<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let state = api.state().await?;
    let pod = state.app(&id).filter(|it| is_pod(it)).ok_or_else(|| no_pod(&id))?;
    ok(&to_wire::pod_status(&state, pod))
}

/// `GET /v2/pods/{id}::versions`: newest first.
pub(crate) async fn versions<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let state = api.state().await?;
    // One that was an app's is no version of the pod.
    let versions = pod_of(&state, &id)?.versions.iter().rev().filter(|(_, it)| it.spec.run.pod.is_some());
    ok(&versions.map(|(version, _)| time::print(*version)).collect::<Vec<_>>())
}

/// `GET /v2/pods/{id}::versions/{version}`
pub(crate) async fn version<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let version = parse_version(&request.params.name)?;
    let state = api.state().await?;
    let stored = pod_of(&state, &id)?.versions.get(&version).filter(|it| it.spec.run.pod.is_some());
    let unknown = || Error::NotFound(format!("Pod '{id}' does not exist in version {}", time::print(version)));
    ok(&to_wire::pod(stored.ok_or_else(unknown)?))
}

/// `DELETE /v2/pods/{id}::instances?wipe=`: kills those that the body lists; unknown ones are passed over.
pub(crate) async fn kill<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let ids = from_wire::pod_instance_ids(&request.array()?)?;
    let state = api.state().await?;
    pod_of(&state, &id)?;
    let mut problems = Problems::default();
    let mut chosen = Vec::new();
    for (n, text) in ids.iter().enumerate() {
        match parse_task_id(text) {
            Ok(_) => chosen.extend(instance_of(&state, &id, text)),
            Err(why) => problems.invalid(&format!("({n})"), why),
        }
    }
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let killed = submit_kill(api, request, &state, &chosen).await?;
    ok(&killed)
}

/// `DELETE /v2/pods/{id}::instances/{instance}?wipe=`
pub(crate) async fn kill_one<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let name = &request.params.name;
    let state = api.state().await?;
    pod_of(&state, &id)?;
    let unknown = || Error::NotFound(format!("Instance '{name}' does not exist"));
    let instance = instance_of(&state, &id, name).ok_or_else(unknown)?;
    let killed = submit_kill(api, request, &state, &[instance]).await?;
    ok(killed.first().ok_or_else(unknown)?)
}

fn is_pod(app: &App) -> bool {
    app.current.spec.run.pod.is_some()
}

/// The pod that users see under this id.
fn pod_of<'a>(state: &'a State, id: &AppId) -> Result<&'a App, Error> {
    state.live_app(id).map(AsRef::as_ref).filter(|it| is_pod(it)).ok_or_else(|| no_pod(id))
}

fn no_pod(id: &AppId) -> Error {
    Error::NotFound(format!("Pod '{id}' does not exist"))
}

fn pod_exists(id: &AppId) -> Error {
    Error::Conflict(format!("A pod with id [{id}] already exists."))
}

/// Why a pod cannot be created: there is one, or an app.
async fn exists<C: ControlPlane>(api: &Api<C>, id: AppId) -> Result<Error, Error> {
    let state = api.state().await?;
    Ok(if pod_of(&state, &id).is_ok() { pod_exists(&id) } else { Rejected::Exists { app: id }.into() })
}

fn read(
    state: &State,
    request: &Request,
    id: &AppId,
    definition: &Map<String, Value>,
) -> Result<(AppSpec, Vec<Warning>), Error> {
    let (spec, warnings) = from_wire::pod(id, definition, state.settings())?;
    from_wire::check_granted("", &spec, state)?;
    request.check_strict(&warnings)?;
    Ok((spec, warnings))
}

/// The pod as the change left it; none where it changed nothing.
fn stored(applied: &Applied, id: &AppId) -> Option<v2::Pod> {
    applied.events.iter().find_map(|it| match it {
        Event::AppPut { version, .. } if version.spec.id == *id => Some(to_wire::pod(version)),
        _ => None,
    })
}

fn answer(status: StatusCode, pod: &v2::Pod, applied: &Applied, warnings: &[Warning]) -> Response {
    let mut response = json(status, pod);
    add_deployment(&mut response, &deployment_of(applied).to_string());
    add_warnings(&mut response, &with_shared_services(warnings.to_vec(), applied));
    response
}

/// The instance of a pod that this name names, unless it has ended.
fn instance_of<'a>(state: &'a State, pod: &AppId, name: &str) -> Option<&'a Instance> {
    let (path, id) = parse_task_id(name).ok()?;
    let instance = state.instance(id).filter(|it| it.app == *pod && is_listed(it))?;
    (pod.joined("_") == path).then_some(instance.as_ref())
}

/// Kills, and prints the instances as they are then; nothing to kill is no error.
async fn submit_kill<C: ControlPlane>(
    api: &Api<C>,
    request: &Request,
    state: &State,
    chosen: &[&Instance],
) -> Result<Vec<v2::PodInstance>, Error> {
    let wipe = request.query.flag("wipe", false)?;
    let instances: Vec<_> = chosen.iter().map(|it| it.id).collect();
    let mut events = Vec::new();
    if !instances.is_empty() {
        let command = Command::Kill { instances, scale: false, force: false, wipe };
        match api.submit(request, command).await {
            Err(SubmitError::Rejected(Rejected::Nothing)) => {}
            outcome => events = outcome?.events,
        }
    }
    let after = |before: &Instance| {
        events.iter().find_map(|it| match it {
            Event::InstanceStopping { instance } if instance.id == before.id => Some(instance.clone()),
            _ => None,
        })
    };
    let killed = chosen.iter().map(|it| match after(it) {
        Some(now) => to_wire::pod_instance(state, &now),
        None => to_wire::pod_instance(state, it),
    });
    Ok(killed.collect())
}

//! Changes of apps: create, update, roll back, restart, delete.

use super::{
    add_deployment, add_location, add_warnings, app_of, deployment_of, deployment_result, with_shared_services,
};
use crate::context::Api;
use crate::control::{ControlPlane, SubmitError};
use crate::error::{Error, json};
use crate::from_wire::{self, ChangeSize, Merge, Problems, Update, Updates, Warning};
use crate::request::Request;
use crate::{time, to_wire, v2};
use axum::response::Response;
use cluster::{AppId, AppSpec, Applied, Command, Event, Expect, Rejected, Scaling, State};
use http::StatusCode;
use serde_json::{Map, Value};

/// How often an update is repeated on what others have made of the app meanwhile.
const ATTEMPTS: usize = 5;

/// `POST /v2/apps?force=`
pub(crate) async fn create<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let definition = request.object()?;
    let id = from_wire::app_id(&definition)?;
    // What this member has may be old: an objection counts only if it is raised by what is certainly true.
    let (spec, warnings) = match read(&id, &definition, &*api.recent().await?) {
        Err(_) => read(&id, &definition, &*api.state().await?)?,
        read => read?,
    };
    request.check_strict(&warnings)?;
    let command = Command::PutApps { apps: vec![(spec, Expect::Absent)], force };
    let applied = api.submit(request, command).await?;

    let deployment = deployment_of(&applied).to_string();
    let stored = applied.events.iter().find_map(|it| match it {
        Event::AppPut { version, .. } if version.spec.id == id => Some(to_wire::app(version)),
        _ => None,
    });
    let body = v2::AppInfo {
        app: stored.unwrap_or_else(|| v2::App { id: id.to_string(), ..v2::App::default() }),
        deployments: vec![v2::DeploymentRef { id: deployment.clone() }],
        ..v2::AppInfo::default()
    };
    let mut response = json(StatusCode::CREATED, &body);
    add_deployment(&mut response, &deployment);
    add_location(&mut response, request, &id);
    add_warnings(&mut response, &with_shared_services(warnings, &applied));
    Ok(response)
}

/// `PUT /v2/apps/{id}?force=&partialUpdate=`
pub(crate) async fn put<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let kind = put_kind(request)?;
    let update = vec![(request.app()?, request.object()?)];
    change(api, request, update, kind).await
}

/// `PATCH /v2/apps/{id}?force=`
pub(crate) async fn patch<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let update = vec![(request.app()?, request.object()?)];
    change(api, request, update, patch_kind(request)).await
}

/// `PUT /v2/apps?force=&partialUpdate=`
pub(crate) async fn put_many<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let kind = put_kind(request)?;
    let updates = from_wire::updates(request.array()?)?;
    change(api, request, updates, kind).await
}

/// `PATCH /v2/apps?force=`
pub(crate) async fn patch_many<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let updates = from_wire::updates(request.array()?)?;
    change(api, request, updates, patch_kind(request)).await
}

/// `POST /v2/apps/{id}/restart?force=`
pub(crate) async fn restart<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let app = request.app()?;
    app_of(&*api.state().await?, &app)?;
    let applied = api.submit(request, Command::RestartApp { app, force }).await?;
    Ok(deployment_result(StatusCode::OK, &applied))
}

/// `DELETE /v2/apps/{id}?force=`; Marathon's default is to force here.
pub(crate) async fn delete<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let force = request.query.flag("force", true)?;
    let app = request.app()?;
    app_of(&*api.state().await?, &app)?;
    let applied = api.submit(request, Command::RemoveApp { app, force }).await?;
    Ok(deployment_result(StatusCode::OK, &applied))
}

/// How an update meets what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Merge if there is such an app, create it otherwise.
    Put,
    /// Replace it whole, or create it.
    Replace,
    /// Merge; there must be such an app.
    Patch(Merge),
}

fn patch_kind(request: &Request) -> Kind {
    Kind::Patch(if request.is_merge_patch() { Merge::NullUnsets } else { Merge::NullKeeps })
}

fn put_kind(request: &Request) -> Result<Kind, Error> {
    let partial = request.query.flag("partialUpdate", true)?;
    Ok(if partial { Kind::Put } else { Kind::Replace })
}

/// Puts all apps in one change, on the versions that were read; repeats where others were faster.
async fn change<C: ControlPlane>(
    api: &Api<C>,
    request: &Request,
    updates: Updates,
    kind: Kind,
) -> Result<Response, Error> {
    let force = request.query.flag("force", false)?;
    let names_version = updates.iter().any(|(_, it)| it.get("version").is_some_and(|it| !it.is_null()));
    let mut attempt = 0;
    loop {
        attempt += 1;
        // The first attempt is made on what this member has: the expected version makes sure that nothing is
        // overwritten. Any objection to that is checked against what is certainly true.
        let state = if attempt == 1 { api.recent().await? } else { api.state().await? };
        let defined = define_all(&state, &updates, kind);
        drop(state);
        let (apps, warnings) = match defined {
            Err(_) if attempt == 1 => continue,
            defined => defined?,
        };
        request.check_strict(&warnings)?;
        let created = updates.len() == 1 && matches!(apps[0].expect, Expect::Absent);
        match api.submit(request, command(apps, force)).await {
            Err(SubmitError::Rejected(Rejected::Changed { .. } | Rejected::Exists { .. } | Rejected::NoApp { .. }))
                if attempt == 1 || (attempt < ATTEMPTS && !names_version) => {}
            outcome => return Ok(changed(request, &outcome?, created.then(|| &updates[0].0), &warnings)),
        }
    }
}

fn changed(request: &Request, applied: &Applied, created: Option<&AppId>, warnings: &[Warning]) -> Response {
    let status = if created.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = deployment_result(status, applied);
    if let Some(id) = created {
        add_location(&mut response, request, id);
    }
    add_warnings(&mut response, &with_shared_services(warnings.to_vec(), applied));
    response
}

/// What an update makes of an app.
struct Defined {
    spec: AppSpec,
    /// What it was made on.
    expect: Expect,
    /// Whether nothing but the number of instances is new.
    is_scaled: bool,
}

/// Says no more than is new: definitions are long, and every member reads them.
fn command(apps: Vec<Defined>, force: bool) -> Command {
    if !apps.is_empty() && apps.iter().all(|it| it.is_scaled) {
        let scaling = |Defined { spec, expect, .. }| Scaling { app: spec.id, instances: spec.instances, expect };
        return Command::ScaleApps { apps: apps.into_iter().map(scaling).collect(), force };
    }
    Command::PutApps { apps: apps.into_iter().map(|it| (it.spec, it.expect)).collect(), force }
}

fn define_all(
    state: &State,
    updates: &[(AppId, Map<String, Value>)],
    kind: Kind,
) -> Result<(Vec<Defined>, Vec<Warning>), Error> {
    let mut problems = Problems::default();
    let (mut apps, mut size) = (Vec::new(), ChangeSize::default());
    for (n, (id, update)) in updates.iter().enumerate() {
        match define(state, id, update.clone(), kind) {
            Ok((defined, warnings)) => {
                if updates.len() > 1 {
                    problems.warn(&format!("({n})"), warnings);
                    if !size.add(&mut problems, &defined.spec) {
                        break;
                    }
                } else {
                    problems.warn("", warnings);
                }
                apps.push(defined);
            }
            Err(Error::Invalid(part)) if updates.len() > 1 => problems.absorb(&format!("({n})"), part),
            Err(error) => return Err(error),
        }
    }
    Ok(problems.into_result(apps)?)
}

/// The definition that comes of an update, and what it was made on.
fn define(state: &State, id: &AppId, update: Map<String, Value>, kind: Kind) -> Result<(Defined, Vec<Warning>), Error> {
    let current = app_of(state, id);
    if let (Err(_), Kind::Patch(_)) = (&current, kind) {
        return Err(Error::no_app(id));
    }
    // Of a pod too: that an app does not take its place is said by what applies the change.
    let there = state.live_app(id).map(|it| it.current.version);
    let expect = there.map_or(Expect::Absent, Expect::Version);
    let definition = match from_wire::one_update(update, there)? {
        Update::Define(update) => update,
        Update::RollBack(version) => {
            let stored = current?.versions.get(&version).ok_or_else(|| {
                Error::NotFound(format!("App '{id}' does not exist in version {}", time::print(version)))
            })?;
            return Ok((Defined { spec: stored.spec.clone(), expect, is_scaled: false }, Vec::new()));
        }
    };
    if let (Ok(current), Kind::Put | Kind::Patch(_)) = (&current, kind)
        && let Some(spec) = from_wire::scaled(&current.current.spec, &definition)?
    {
        from_wire::check_granted("", &spec, state)?;
        return Ok((Defined { spec, expect, is_scaled: true }, Vec::new()));
    }
    let definition = match (current, kind) {
        (Ok(current), Kind::Put) => from_wire::merge(to_wire::app_map(&current.current), definition, Merge::NullKeeps),
        (Ok(current), Kind::Patch(merge)) => from_wire::merge(to_wire::app_map(&current.current), definition, merge),
        _ => definition,
    };
    let (spec, warnings) = read(id, &definition, state)?;
    Ok((Defined { spec, expect, is_scaled: false }, warnings))
}

/// Reads a definition that this cluster can carry out.
fn read(id: &AppId, definition: &Map<String, Value>, state: &State) -> Result<(AppSpec, Vec<Warning>), Problems> {
    let (spec, warnings) = from_wire::app(id, definition, state.settings())?;
    from_wire::check_granted("", &spec, state)?;
    Ok((spec, warnings))
}

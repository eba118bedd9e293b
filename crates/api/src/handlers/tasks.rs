//! Tasks: lists and kills.

use super::apps::{apps_below, live_apps};
use super::{app_of, deployment_result, ok};
use crate::context::Api;
use crate::control::{ControlPlane, SubmitError};
use crate::error::Error;
use crate::request::Request;
use crate::to_wire::{Embed, is_listed, parse_task_id, task, task_state};
use crate::to_wire::{Piece, separated};
use crate::v2;
use axum::body::Body;
use axum::response::Response;
use cluster::{App, Command, Instance, InstanceId, Rejected, State};
use http::{HeaderValue, StatusCode, header};
use std::fmt::Write;
use std::sync::Arc;

/// `GET /v2/tasks?status=`
pub(crate) async fn list<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let mut states = Vec::new();
    for word in request.query.all("status") {
        states.push(match word {
            "running" => "TASK_RUNNING",
            "staging" => "TASK_STAGING",
            other => {
                return Err(Error::Argument(format!("parameter 'status' must be running or staging, it is '{other}'")));
            }
        });
    }
    let state = api.state().await?;
    let chosen = choose(&state, live_apps(&state).map(AsRef::as_ref), |it| {
        states.is_empty() || states.contains(&task_state(&state, it))
    });
    print(api, request, &state, chosen).await
}

/// `GET /v2/apps/{id}/tasks`
pub(crate) async fn list_of_app<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let state = api.state().await?;
    let chosen = choose(&state, [app_of(&state, &id)?].into_iter(), |_| true);
    print(api, request, &state, chosen).await
}

/// `GET /v2/apps/{group}/*/tasks`
pub(crate) async fn list_below<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let state = api.state().await?;
    let apps = apps_below(&state, &request.params.path).map(AsRef::as_ref);
    let chosen = choose(&state, apps, |_| true);
    print(api, request, &state, chosen).await
}

/// An app, and those of its instances that are asked for.
type Chosen<'a> = (&'a App, Vec<&'a Arc<Instance>>);

fn choose<'a>(
    state: &'a State,
    apps: impl Iterator<Item = &'a App>,
    takes: impl Fn(&Instance) -> bool,
) -> Vec<Chosen<'a>> {
    let of = |app: &'a App| state.instances_of(app).filter(|it| is_listed(it) && takes(it)).collect();
    apps.map(|it| (it, of(it))).collect()
}

/// As JSON, or as the lines of text that old load balancer scripts read.
async fn print<C: ControlPlane>(
    api: &Api<C>,
    request: &Request,
    state: &Arc<State>,
    chosen: Vec<Chosen<'_>>,
) -> Result<Response, Error> {
    if request.prefers_text() {
        let mut text = String::new();
        for (app, instances) in &chosen {
            write_lines(&mut text, state, app, instances);
        }
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        return Ok(response);
    }
    if !request.accepts("application/json") {
        return Err(Error::NotAcceptable);
    }
    let tasks = chosen.into_iter().flat_map(|(_, instances)| instances).map(|it| Piece::Task(Arc::clone(it)));
    let pieces = [Piece::fixed("{\"tasks\":[")].into_iter().chain(separated(tasks)).chain([Piece::fixed("]}")]);
    Ok(api.definitions.answer(pieces.collect(), Arc::clone(state), Embed::default(), api.control.moment()).await)
}

/// For each port `app_id<TAB>service port<TAB>host:port…`; an app without ports has one line with its hosts.
fn write_lines(text: &mut String, state: &State, app: &App, instances: &[&Arc<Instance>]) {
    let name = app.id.joined("_");
    let hosts = |of: &Instance| state.node(&of.node).map_or(of.node.to_string(), |it| it.description.address.clone());
    let ports = &app.current.spec.run.ports;
    if ports.is_empty() {
        let _ = write!(text, "{name}\t \t");
        for it in instances {
            let _ = write!(text, "{}\t", hosts(it));
        }
        text.push('\n');
    }
    for (n, port) in ports.iter().enumerate() {
        let _ = write!(text, "{name}\t{}\t", port.service_port);
        for it in instances {
            if let Some(number) = app.current.spec.host_port(n, &it.ports) {
                let _ = write!(text, "{}:{number}\t", hosts(it));
            }
        }
        text.push('\n');
    }
}

/// `DELETE /v2/apps/{id}/tasks?host=&scale=&force=&wipe=`
pub(crate) async fn delete_of_app<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let kill = Kill::read(request)?;
    let host = request.query.first("host").filter(|it| !matches!(*it, "" | "*"));
    let state = api.state().await?;
    let app = app_of(&state, &id)?;
    let there = |it: &Instance| {
        host.is_none_or(|host| {
            it.node.as_str() == host || state.node(&it.node).is_some_and(|it| it.description.address == host)
        })
    };
    let chosen = state.instances_of(app).filter(|it| it.is_wanted() && there(it));
    let chosen: Vec<&Instance> = chosen.map(AsRef::as_ref).collect();
    kill.carry_out(api, request, &state, &chosen).await
}

/// `DELETE /v2/apps/{id}/tasks/{task}?scale=&force=&wipe=`
pub(crate) async fn delete_one<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let kill = Kill::read(request)?;
    let name = &request.params.name;
    let (_, instance) = parse_task_id(name).map_err(Error::Bad)?;
    let state = api.state().await?;
    app_of(&state, &id)?;
    let instance = state.instance(instance).filter(|it| it.app == id && is_listed(it));
    let instance = instance.ok_or_else(|| Error::no_task(name))?;
    if kill.scale {
        return kill.carry_out(api, request, &state, &[instance]).await;
    }
    kill.submit(api, request, vec![instance.id]).await?;
    ok(&v2::TaskSingle { task: task(&state, instance) })
}

/// `POST /v2/tasks/delete?scale=&force=&wipe=`
pub(crate) async fn delete<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let kill = Kill::read(request)?;
    let body = request.object()?;
    let ids = crate::from_wire::task_ids(&body)?;
    let mut instances = Vec::new();
    for id in &ids {
        let (path, instance) = parse_task_id(id).map_err(Error::Bad)?;
        instances.push((path, instance));
    }
    let state = api.state().await?;
    let chosen = instances.iter().filter_map(|(path, id)| {
        let found = state.instance(*id).filter(|it| !is_of_pod(&state, it))?;
        (found.app.joined("_") == *path && is_listed(found)).then_some(found.as_ref())
    });
    let chosen: Vec<&Instance> = chosen.collect();
    kill.carry_out(api, request, &state, &chosen).await
}

/// Whether an instance is a pod's: it is no task, and is killed as `/v2/pods` says.
fn is_of_pod(state: &State, instance: &Instance) -> bool {
    state.app(&instance.app).is_some_and(|it| it.current.spec.run.pod.is_some())
}

/// How instances are killed.
struct Kill {
    scale: bool,
    force: bool,
    wipe: bool,
}

impl Kill {
    /// Reads the query. `wipe` also destroys the volumes of resident instances.
    fn read(request: &Request) -> Result<Self, Error> {
        let scale = request.query.flag("scale", false)?;
        let force = request.query.flag("force", false)?;
        let wipe = request.query.flag("wipe", false)?;
        if scale && wipe {
            return Err(Error::Bad("You cannot use scale and wipe at the same time.".to_owned()));
        }
        Ok(Self { scale, force, wipe })
    }

    /// Kills, and prints what was killed, or with `scale` the deployment that lowers the apps' numbers.
    async fn carry_out<C: ControlPlane>(
        &self,
        api: &Api<C>,
        request: &Request,
        state: &State,
        chosen: &[&Instance],
    ) -> Result<Response, Error> {
        let ids: Vec<InstanceId> = chosen.iter().map(|it| it.id).collect();
        let applied = self.submit(api, request, ids).await?;
        match applied {
            Some(applied) if self.scale => Ok(deployment_result(StatusCode::OK, &applied)),
            _ => ok(&v2::TaskList { tasks: chosen.iter().map(|it| task(state, it)).collect() }),
        }
    }

    /// Proposes the kill; nothing to kill is no error.
    async fn submit<C: ControlPlane>(
        &self,
        api: &Api<C>,
        request: &Request,
        instances: Vec<InstanceId>,
    ) -> Result<Option<cluster::Applied>, Error> {
        if instances.is_empty() {
            return Ok(None);
        }
        let command = Command::Kill { instances, scale: self.scale, force: self.force, wipe: self.wipe };
        match api.submit(request, command).await {
            Err(SubmitError::Rejected(Rejected::Nothing)) => Ok(None),
            outcome => Ok(Some(outcome?)),
        }
    }
}

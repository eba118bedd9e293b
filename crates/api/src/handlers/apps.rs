//! `GET /v2/apps…`: apps and what runs of them.

use super::selector::Selector;
use super::{app_of, ok, printed};
use crate::control::ControlPlane;
use crate::error::Error;
use crate::request::{Query, Request};
use crate::service::Api;
use crate::to_wire::{Embed, app_info};
use crate::v2;
use axum::response::Response;
use cluster::{App, State};

/// `GET /v2/apps?cmd=&id=&label=&embed=`
pub(crate) async fn list<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let filter = Filter::read(&request.query)?;
    let embed = embed(&request.query);
    let state = api.state().await?;
    let now = api.control.now();
    let apps = live_apps(&state).filter(|it| filter.takes(it));
    printed(api.definitions.print("apps", apps, &state, embed, now))
}

/// `GET /v2/apps/{id}`
pub(crate) async fn get<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let asked = embed(&request.query);
    let embed = Embed { tasks: true, last_task_failure: true, ..asked };
    let state = api.state().await?;
    let app = app_of(&state, &id)?;
    ok(&v2::AppSingle { app: app_info(&state, app, embed, api.control.now()) })
}

/// `GET /v2/apps/{group}/*`
pub(crate) async fn list_below<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let embed = embed(&request.query);
    let state = api.state().await?;
    let now = api.control.now();
    let apps = apps_below(&state, &request.params.path);
    printed(api.definitions.print("*", apps, &state, embed, now))
}

/// The apps that users see, by id; pods are none.
pub(crate) fn live_apps(state: &State) -> impl Iterator<Item = &App> {
    state.apps().filter(|it| !it.removing && it.current.spec.run.pod.is_none()).map(AsRef::as_ref)
}

/// The apps below a group, at any depth.
pub(crate) fn apps_below<'a>(state: &'a State, group: &str) -> impl Iterator<Item = &'a App> + use<'a> {
    let prefix = if group.is_empty() { "/".to_owned() } else { format!("/{group}/") };
    live_apps(state).filter(move |it| it.id.as_str().starts_with(&prefix))
}

/// What is asked for beside the definitions. Unknown words are passed over, as Marathon does.
fn embed(query: &Query) -> Embed {
    let mut embed = Embed::default();
    for word in query.all("embed") {
        let word = ["group.apps.", "apps.", "app."].iter().find_map(|it| word.strip_prefix(it)).unwrap_or(word);
        match word {
            "tasks" => embed.tasks = true,
            "failures" => (embed.tasks, embed.last_task_failure) = (true, true),
            "lastTaskFailure" => embed.last_task_failure = true,
            "readiness" => embed.readiness = true,
            "taskStats" => embed.task_stats = true,
            _ => {}
        }
    }
    embed
}

/// Which apps of a list are asked for.
struct Filter {
    id: Option<String>,
    cmd: Option<String>,
    labels: Selector,
}

impl Filter {
    fn read(query: &Query) -> Result<Self, Error> {
        let non_empty = |name| query.first(name).filter(|it| !it.is_empty());
        Ok(Self {
            id: non_empty("id").map(str::to_owned),
            cmd: non_empty("cmd").map(str::to_lowercase),
            labels: non_empty("label").map_or(Ok(Selector::default()), Selector::parse)?,
        })
    }

    fn takes(&self, app: &App) -> bool {
        let spec = &app.current.spec;
        self.id.as_ref().is_none_or(|it| app.id.as_str().contains(it.as_str()))
            && self.cmd.as_ref().is_none_or(|wanted| {
                spec.run.cmd.as_ref().is_some_and(|it| it.to_lowercase().contains(wanted.as_str()))
            })
            && self.labels.takes(&spec.policy.labels)
    }
}

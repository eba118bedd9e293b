//! `GET /v2/apps…`: apps and what runs of them.

use super::selector::Selector;
use super::{app_of, ok};
use crate::context::Api;
use crate::control::ControlPlane;
use crate::error::Error;
use crate::request::{Query, Request};
use crate::to_wire::{Embed, app_info};
use crate::to_wire::{Piece, separated};
use crate::v2;
use axum::response::Response;
use cluster::{App, State};
use std::sync::Arc;

/// `GET /v2/apps?cmd=&id=&label=&embed=`
pub(crate) async fn list<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let filter = Filter::read(&request.query)?;
    let state = api.state().await?;
    let apps = live_apps(&state).filter(|it| filter.takes(it));
    let pieces = list_of("{\"apps\":[", apps, "]}");
    answer(api, request, pieces, state).await
}

/// `GET /v2/apps/{id}`
pub(crate) async fn get<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let asked = embed(&request.query);
    let embed = Embed { tasks: true, last_task_failure: true, ..asked };
    let state = api.state().await?;
    let app = app_of(&state, &id)?;
    ok(&v2::AppSingle { app: app_info(&state, app, embed, api.control.moment()) })
}

/// `GET /v2/apps/{group}/*`
pub(crate) async fn list_below<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let state = api.state().await?;
    let pieces = list_of("{\"*\":[", apps_below(&state, &request.params.path), "]}");
    answer(api, request, pieces, state).await
}

/// Answers with a list of apps; counts and deployments are always there.
async fn answer<C: ControlPlane>(
    api: &Api<C>,
    request: &Request,
    pieces: Vec<Piece>,
    state: Arc<State>,
) -> Result<Response, Error> {
    let embed = Embed { counts: true, deployments: true, ..embed(&request.query) };
    Ok(api.definitions.answer(pieces, state, embed, api.control.moment()).await)
}

/// These apps with something before and behind them.
pub(super) fn list_of<'a>(
    before: &'static str,
    apps: impl Iterator<Item = &'a Arc<App>>,
    behind: &'static str,
) -> Vec<Piece> {
    let apps = separated(apps.map(|it| Piece::App(Arc::clone(it))));
    [Piece::fixed(before)].into_iter().chain(apps).chain([Piece::fixed(behind)]).collect()
}

/// The apps that users see, by id; pods are none.
pub(crate) fn live_apps(state: &State) -> impl Iterator<Item = &Arc<App>> {
    state.apps().filter(|it| is_seen(it))
}

/// The apps below a group, at any depth.
pub(crate) fn apps_below<'a>(state: &'a State, group: &str) -> impl Iterator<Item = &'a Arc<App>> + use<'a> {
    let prefix = if group.is_empty() { "/".to_owned() } else { format!("/{group}/") };
    live_apps(state).filter(move |it| it.id.as_str().starts_with(&prefix))
}

/// Whether users see it as an app.
pub(super) fn is_seen(app: &App) -> bool {
    !app.removing && app.current.spec.run.pod.is_none()
}

/// What is asked for beside the definitions. Unknown words are passed over, as Marathon does.
fn embed(query: &Query) -> Embed {
    let words = query.all("embed");
    embed_of(words.map(|it| ["group.apps.", "apps.", "app."].iter().find_map(|of| it.strip_prefix(of)).unwrap_or(it)))
}

/// What these words, without what stands before them, ask for.
pub(super) fn embed_of<'a>(words: impl Iterator<Item = &'a str>) -> Embed {
    let mut embed = Embed::default();
    for word in words {
        match word {
            "count" | "counts" => embed.counts = true,
            "deployments" => embed.deployments = true,
            "tasks" => (embed.tasks, embed.deployments) = (true, true),
            "failures" => (embed.tasks, embed.deployments, embed.last_task_failure) = (true, true, true),
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
            id: non_empty("id").map(str::to_lowercase),
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

//! Every route, and what is done there.
//!
//! An app's id is a path of its own, so routes are matched here and not by a general router: `{id}`, `{group}` and
//! `{page}` take as many segments as there are, and what follows them is recognised from the end.

use crate::error::Error;
use http::Method;
use std::sync::LazyLock;

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method, in capitals. `HEAD` is answered wherever `GET` is.
    pub method: &'static str,
    /// The path; `{id}`, `{group}` and `{page}` stand for one or more segments, other names for exactly one.
    pub path: &'static str,
    /// What is done.
    pub endpoint: Endpoint,
}

/// What the API can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of routes says what each one is")]
pub enum Endpoint {
    AppCreate,
    AppDelete,
    AppExplain,
    AppGet,
    AppList,
    AppListBelow,
    AppPatch,
    AppPatchMany,
    AppPut,
    AppPutMany,
    AppRestart,
    AppTaskDelete,
    AppTaskList,
    AppTaskListBelow,
    AppTasksDelete,
    AppVersionGet,
    AppVersionList,
    DeploymentCancel,
    DeploymentGet,
    DeploymentHistory,
    DeploymentList,
    Events,
    Help,
    GroupApps,
    GroupCreate,
    GroupDelete,
    GroupGet,
    GroupPatch,
    GroupPut,
    GroupRestore,
    GroupVersionGet,
    GroupVersionList,
    Info,
    Leader,
    LeaderAbdicate,
    Logs,
    LoggingGet,
    LoggingSet,
    Metrics,
    MetricsText,
    NodeDelete,
    NodeGet,
    NodeList,
    OpenApi,
    OrphanDelete,
    OrphanList,
    Ping,
    PluginList,
    PodCreate,
    PodDelete,
    PodGet,
    PodInstanceDelete,
    PodInstancesDelete,
    PodList,
    PodPut,
    PodStatus,
    PodStatusList,
    PodVersionGet,
    PodVersionList,
    QueueDelayDelete,
    QueueList,
    Root,
    SchemaApp,
    SchemaGroup,
    SubscriptionAdd,
    SubscriptionList,
    SubscriptionRemove,
    TaskList,
    TasksDelete,
    UiAsset,
    UiPage,
}

const fn route(method: &'static str, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, endpoint }
}

/// Every route. Of those that match a path, the first with the request's method counts.
pub const ROUTES: &[Route] = &[
    route("GET", "/", Endpoint::Root),
    route("GET", "/ui", Endpoint::UiPage),
    route("GET", "/ui/assets/{asset}", Endpoint::UiAsset),
    route("GET", "/ui/{page}", Endpoint::UiPage),
    route("GET", "/help", Endpoint::Help),
    route("GET", "/ping", Endpoint::Ping),
    route("GET", "/metrics", Endpoint::Metrics),
    route("GET", "/metrics/prometheus", Endpoint::MetricsText),
    route("GET", "/logging", Endpoint::LoggingGet),
    route("POST", "/logging", Endpoint::LoggingSet),
    route("GET", "/v2/apps", Endpoint::AppList),
    route("POST", "/v2/apps", Endpoint::AppCreate),
    route("PUT", "/v2/apps", Endpoint::AppPutMany),
    route("PATCH", "/v2/apps", Endpoint::AppPatchMany),
    route("GET", "/v2/apps/*", Endpoint::AppListBelow),
    route("GET", "/v2/apps/{group}/*", Endpoint::AppListBelow),
    route("GET", "/v2/apps/*/tasks", Endpoint::AppTaskListBelow),
    route("GET", "/v2/apps/{group}/*/tasks", Endpoint::AppTaskListBelow),
    route("POST", "/v2/apps/{id}/restart", Endpoint::AppRestart),
    route("GET", "/v2/apps/{id}/versions", Endpoint::AppVersionList),
    route("GET", "/v2/apps/{id}/versions/{version}", Endpoint::AppVersionGet),
    route("GET", "/v2/apps/{id}/tasks", Endpoint::AppTaskList),
    route("DELETE", "/v2/apps/{id}/tasks", Endpoint::AppTasksDelete),
    route("DELETE", "/v2/apps/{id}/tasks/{task}", Endpoint::AppTaskDelete),
    route("GET", "/v2/apps/{id}", Endpoint::AppGet),
    route("PUT", "/v2/apps/{id}", Endpoint::AppPut),
    route("PATCH", "/v2/apps/{id}", Endpoint::AppPatch),
    route("DELETE", "/v2/apps/{id}", Endpoint::AppDelete),
    route("GET", "/v2/groups", Endpoint::GroupGet),
    route("POST", "/v2/groups", Endpoint::GroupCreate),
    route("PUT", "/v2/groups", Endpoint::GroupPut),
    route("PATCH", "/v2/groups", Endpoint::GroupPatch),
    route("DELETE", "/v2/groups", Endpoint::GroupDelete),
    route("GET", "/v2/groups/apps", Endpoint::GroupApps),
    route("GET", "/v2/groups/versions", Endpoint::GroupVersionList),
    route("GET", "/v2/groups/versions/{version}", Endpoint::GroupVersionGet),
    route("PUT", "/v2/groups/versions/{version}", Endpoint::GroupRestore),
    route("GET", "/v2/groups/{id}/apps", Endpoint::GroupApps),
    route("GET", "/v2/groups/{id}/versions", Endpoint::GroupVersionList),
    route("GET", "/v2/groups/{id}/versions/{version}", Endpoint::GroupVersionGet),
    route("PUT", "/v2/groups/{id}/versions/{version}", Endpoint::GroupRestore),
    route("GET", "/v2/groups/{id}", Endpoint::GroupGet),
    route("POST", "/v2/groups/{id}", Endpoint::GroupCreate),
    route("PUT", "/v2/groups/{id}", Endpoint::GroupPut),
    route("PATCH", "/v2/groups/{id}", Endpoint::GroupPatch),
    route("DELETE", "/v2/groups/{id}", Endpoint::GroupDelete),
    route("GET", "/v2/tasks", Endpoint::TaskList),
    route("POST", "/v2/tasks/delete", Endpoint::TasksDelete),
    route("GET", "/v2/deployments", Endpoint::DeploymentList),
    route("DELETE", "/v2/deployments/{deployment}", Endpoint::DeploymentCancel),
    route("GET", "/v2/pods", Endpoint::PodList),
    route("POST", "/v2/pods", Endpoint::PodCreate),
    route("GET", "/v2/pods::status", Endpoint::PodStatusList),
    route("GET", "/v2/pods/{id}::status", Endpoint::PodStatus),
    route("GET", "/v2/pods/{id}::versions", Endpoint::PodVersionList),
    route("GET", "/v2/pods/{id}::versions/{version}", Endpoint::PodVersionGet),
    route("DELETE", "/v2/pods/{id}::instances", Endpoint::PodInstancesDelete),
    route("DELETE", "/v2/pods/{id}::instances/{instance}", Endpoint::PodInstanceDelete),
    route("GET", "/v2/pods/{id}", Endpoint::PodGet),
    route("PUT", "/v2/pods/{id}", Endpoint::PodPut),
    route("DELETE", "/v2/pods/{id}", Endpoint::PodDelete),
    route("GET", "/v2/queue", Endpoint::QueueList),
    route("DELETE", "/v2/queue/{id}/delay", Endpoint::QueueDelayDelete),
    route("GET", "/v2/events", Endpoint::Events),
    route("GET", "/v2/eventSubscriptions", Endpoint::SubscriptionList),
    route("POST", "/v2/eventSubscriptions", Endpoint::SubscriptionAdd),
    route("DELETE", "/v2/eventSubscriptions", Endpoint::SubscriptionRemove),
    route("GET", "/v2/info", Endpoint::Info),
    route("GET", "/v2/leader", Endpoint::Leader),
    route("DELETE", "/v2/leader", Endpoint::LeaderAbdicate),
    route("GET", "/v2/plugins", Endpoint::PluginList),
    route("GET", "/v2/schemas/app", Endpoint::SchemaApp),
    route("GET", "/v2/schemas/group", Endpoint::SchemaGroup),
    route("GET", "/v3/openapi.json", Endpoint::OpenApi),
    route("GET", "/v3/nodes", Endpoint::NodeList),
    route("GET", "/v3/nodes/{node}", Endpoint::NodeGet),
    route("DELETE", "/v3/nodes/{node}", Endpoint::NodeDelete),
    route("GET", "/v3/orphans", Endpoint::OrphanList),
    route("DELETE", "/v3/orphans/{orphan}", Endpoint::OrphanDelete),
    route("GET", "/v3/deployments", Endpoint::DeploymentHistory),
    route("GET", "/v3/deployments/{deployment}", Endpoint::DeploymentGet),
    route("GET", "/v3/apps/{id}/explain", Endpoint::AppExplain),
    route("GET", "/v3/logs", Endpoint::Logs),
];

/// What the names in a route's path stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// The segments of `{id}`, `{group}` or `{page}`, joined by slashes; empty where the route has none.
    pub path: String,
    /// What the other name stands for; empty where the route has none.
    pub name: String,
}

/// Finds the route of a path.
///
/// # Errors
/// There is none, or none with this method.
pub fn find(method: &Method, segments: &[String]) -> Result<(&'static Route, Params), Error> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let parts = parts(segments);
    let templates = ROUTES.iter().zip(&*TEMPLATES);
    let matching = templates.filter_map(|(route, template)| Some((route, template.matches(&parts)?)));
    let mut allow = Vec::new();
    for (route, params) in matching {
        if route.method == method {
            return Ok((route, params));
        }
        if !allow.contains(&route.method) {
            allow.push(route.method);
        }
    }
    if allow.is_empty() {
        return Err(Error::NotFound(format!("URI not found: /{}", segments.join("/"))));
    }
    Err(Error::Method { allow: allow.join(", ") })
}

/// A pod's sub-resources stand behind two colons, not behind a slash: `a/b::status` is `a`, `b` and `::status`. No id
/// has a colon. The star behind a group's path is a part of the id where clients encode that.
fn parts(segments: &[String]) -> Vec<&str> {
    let is_pods = |it: &String| it == "pods" || it.starts_with("pods::");
    if segments.get(1).is_some_and(is_pods) {
        return segments.iter().flat_map(|it| part(it)).collect();
    }
    let mut parts = Vec::with_capacity(segments.len() + 1);
    for segment in segments {
        match segment.strip_suffix("/*") {
            Some(group) => parts.extend([group, "*"]),
            None => parts.push(segment),
        }
    }
    parts
}

fn part(segment: &str) -> impl Iterator<Item = &str> {
    let at = segment.find("::").unwrap_or(segment.len());
    [&segment[..at], &segment[at..]].into_iter().filter(|it| !it.is_empty())
}

/// The paths of [`ROUTES`], taken apart once.
static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| ROUTES.iter().map(|it| Template::of(it.path)).collect());

/// A route's path as requests' paths are compared with it.
struct Template {
    parts: Vec<&'static str>,
    /// Where `{id}`, `{group}` or `{page}` stands, which takes what the others leave.
    greedy: Option<usize>,
}

impl Template {
    fn of(path: &'static str) -> Self {
        let parts: Vec<_> = path.split('/').filter(|it| !it.is_empty()).flat_map(part).collect();
        let greedy = parts.iter().position(|it| matches!(*it, "{id}" | "{group}" | "{page}"));
        Self { parts, greedy }
    }

    /// What its names stand for in this path, if it is one of its.
    fn matches(&self, path: &[&str]) -> Option<Params> {
        let Some(greedy) = self.greedy else {
            let fits = self.parts.len() == path.len();
            return Some(Params { path: String::new(), name: name_in(&self.parts, path).filter(|_| fits)? });
        };
        let (before, after) = (&self.parts[..greedy], &self.parts[greedy + 1..]);
        let end = path.len().checked_sub(after.len()).filter(|it| *it > greedy)?;
        let names = [name_in(before, &path[..greedy])?, name_in(after, &path[end..])?];
        Some(Params { path: path[greedy..end].join("/"), name: names.concat() })
    }
}

/// What the name among these parts stands for, empty where there is none; nothing if the others do not fit.
fn name_in(parts: &[&str], path: &[&str]) -> Option<String> {
    let mut name = "";
    let fits = parts.iter().zip(path).all(|(part, it)| {
        if part.starts_with('{') {
            name = it;
            return true;
        }
        part == it
    });
    fits.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(method: &str, path: &str) -> Result<(Endpoint, String, String), u16> {
        let segments = crate::request::segments(path).unwrap();
        match find(&method.parse().unwrap(), &segments) {
            Ok((route, params)) => Ok((route.endpoint, params.path, params.name)),
            Err(error) => Err(error.answer().0.as_u16()),
        }
    }

    #[test]
    fn suffixes_are_recognised_from_the_end() {
        let found = |endpoint, path: &str, name: &str| Ok((endpoint, path.to_owned(), name.to_owned()));
        for (method, path, expect) in [
            ("GET", "/v2/apps", found(Endpoint::AppList, "", "")),
            ("HEAD", "/v2/apps", found(Endpoint::AppList, "", "")),
            ("GET", "/v2/apps/a", found(Endpoint::AppGet, "a", "")),
            ("GET", "/v2/apps/a/b/c", found(Endpoint::AppGet, "a/b/c", "")),
            ("GET", "/v2/apps/a/versions", found(Endpoint::AppVersionList, "a", "")),
            ("GET", "/v2/apps/versions/versions", found(Endpoint::AppVersionList, "versions", "")),
            ("GET", "/v2/apps/a/b/versions/x", found(Endpoint::AppVersionGet, "a/b", "x")),
            ("GET", "/v2/apps/a/tasks", found(Endpoint::AppTaskList, "a", "")),
            ("DELETE", "/v2/apps/a/tasks/t", found(Endpoint::AppTaskDelete, "a", "t")),
            ("GET", "/v2/apps/a/tasks/t", found(Endpoint::AppGet, "a/tasks/t", "")),
            ("POST", "/v2/apps/a/b/restart", found(Endpoint::AppRestart, "a/b", "")),
            ("GET", "/v2/apps/%2Fa%2Fb", found(Endpoint::AppGet, "a/b", "")),
            ("GET", "/v2/apps/%2Fa%2Fb/versions", found(Endpoint::AppVersionList, "a/b", "")),
            ("GET", "/v2/apps/a%2Fversions", found(Endpoint::AppGet, "a/versions", "")),
            ("DELETE", "/v2/apps/a%2Ftasks", found(Endpoint::AppDelete, "a/tasks", "")),
            ("GET", "/v2/apps/%2Fa%2F*", found(Endpoint::AppListBelow, "a", "")),
            ("GET", "/v2/apps/%2Fa%2F*/tasks", found(Endpoint::AppTaskListBelow, "a", "")),
            ("DELETE", "/v2/queue/%2Fa%2Fb/delay", found(Endpoint::QueueDelayDelete, "a/b", "")),
            ("GET", "/v2/pods/%2Fa%2Fb::status", found(Endpoint::PodStatus, "a/b", "")),
            ("PUT", "/v2/groups/%2Fa%2Fb", found(Endpoint::GroupPut, "a/b", "")),
            ("GET", "/v2/groups/%2F", found(Endpoint::GroupGet, "", "")),
            ("GET", "/v3/apps/%2Fa%2Fb/explain", found(Endpoint::AppExplain, "a/b", "")),
            ("GET", "/v2%2Fapps", Err(404)),
            ("GET", "/v2/apps/*", found(Endpoint::AppListBelow, "", "")),
            ("GET", "/v2/apps/a/b/*", found(Endpoint::AppListBelow, "a/b", "")),
            ("GET", "/v2/apps/a/*/tasks", found(Endpoint::AppTaskListBelow, "a", "")),
            ("DELETE", "/v2/queue/a/b/delay", found(Endpoint::QueueDelayDelete, "a/b", "")),
            ("DELETE", "/v2/deployments/d", found(Endpoint::DeploymentCancel, "", "d")),
            ("HEAD", "/v2/pods", found(Endpoint::PodList, "", "")),
            ("GET", "/v2/pods::status", found(Endpoint::PodStatusList, "", "")),
            ("GET", "/v2/pods/a/b", found(Endpoint::PodGet, "a/b", "")),
            ("GET", "/v2/pods/a/b::status", found(Endpoint::PodStatus, "a/b", "")),
            ("GET", "/v2/pods/a::versions", found(Endpoint::PodVersionList, "a", "")),
            ("GET", "/v2/pods/a/b::versions/x", found(Endpoint::PodVersionGet, "a/b", "x")),
            ("DELETE", "/v2/pods/a::instances", found(Endpoint::PodInstancesDelete, "a", "")),
            ("DELETE", "/v2/pods/a/b::instances/a.b", found(Endpoint::PodInstanceDelete, "a/b", "a.b")),
            ("PUT", "/v2/pods/status", found(Endpoint::PodPut, "status", "")),
            ("POST", "/v2/pods/a", Err(405)),
            ("POST", "/v2/apps/a", Err(405)),
            ("OPTIONS", "/v2/apps", Err(405)),
            ("GET", "/v2/groups", found(Endpoint::GroupGet, "", "")),
            ("GET", "/v2/groups/a/b", found(Endpoint::GroupGet, "a/b", "")),
            ("GET", "/v2/groups/versions", found(Endpoint::GroupVersionList, "", "")),
            ("GET", "/v2/groups/a/versions/x", found(Endpoint::GroupVersionGet, "a", "x")),
            ("GET", "/v2/groups/a/b/apps", found(Endpoint::GroupApps, "a/b", "")),
            ("DELETE", "/v2/groups/versions", found(Endpoint::GroupDelete, "versions", "")),
            ("GET", "/v2", Err(404)),
            ("GET", "/", found(Endpoint::Root, "", "")),
            ("GET", "/ui/", found(Endpoint::UiPage, "", "")),
            ("GET", "/ui/app/pay/api", found(Endpoint::UiPage, "app/pay/api", "")),
            ("GET", "/ui/assets/a.js", found(Endpoint::UiAsset, "", "a.js")),
            ("POST", "/ui/apps", Err(405)),
            ("GET", "/v2/plugins/x/y", Err(404)),
            ("POST", "/v2/plugins/x", Err(404)),
        ] {
            assert_eq!(endpoint(method, path), expect, "{method} {path}");
        }
    }
}

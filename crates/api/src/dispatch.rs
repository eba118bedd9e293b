//! The function behind every route.

use crate::context::Api;
use crate::control::ControlPlane;
use crate::error::Error;
use crate::handlers::about;
use crate::handlers::{
    apps, cluster, deployments, events, groups, logging, logs, pods, queue, subscriptions, tasks, updates, versions,
};
use crate::request::Request;
use crate::routes::Endpoint;
use crate::ui;
use axum::response::Response;

/// Does what a route is for.
pub(crate) async fn dispatch<C: ControlPlane>(
    api: &Api<C>,
    endpoint: Endpoint,
    request: &Request,
) -> Result<Response, Error> {
    match endpoint {
        Endpoint::AppCreate => updates::create(api, request).await,
        Endpoint::AppDelete => updates::delete(api, request).await,
        Endpoint::AppExplain => cluster::explain(api, request).await,
        Endpoint::AppGet => apps::get(api, request).await,
        Endpoint::AppList => apps::list(api, request).await,
        Endpoint::AppListBelow => apps::list_below(api, request).await,
        Endpoint::AppPatch => updates::patch(api, request).await,
        Endpoint::AppPatchMany => updates::patch_many(api, request).await,
        Endpoint::AppPut => updates::put(api, request).await,
        Endpoint::AppPutMany => updates::put_many(api, request).await,
        Endpoint::AppRestart => updates::restart(api, request).await,
        Endpoint::AppTaskDelete => tasks::delete_one(api, request).await,
        Endpoint::AppTaskList => tasks::list_of_app(api, request).await,
        Endpoint::AppTaskListBelow => tasks::list_below(api, request).await,
        Endpoint::AppTasksDelete => tasks::delete_of_app(api, request).await,
        Endpoint::AppVersionGet => versions::get(api, request).await,
        Endpoint::AppVersionList => versions::list(api, request).await,
        Endpoint::DeploymentCancel => deployments::cancel(api, request).await,
        Endpoint::DeploymentGet => deployments::get(api, request).await,
        Endpoint::DeploymentHistory => deployments::history(api).await,
        Endpoint::DeploymentList => deployments::list(api).await,
        Endpoint::Events => events::stream(api, request),
        Endpoint::Help => Ok(about::help()),
        Endpoint::GroupApps => groups::apps(api, request).await,
        Endpoint::GroupCreate => groups::create(api, request).await,
        Endpoint::GroupDelete => groups::delete(api, request).await,
        Endpoint::GroupGet => groups::get(api, request).await,
        Endpoint::GroupPatch => groups::patch(api, request).await,
        Endpoint::GroupPut => groups::put(api, request).await,
        Endpoint::GroupRestore => groups::restore(api, request).await,
        Endpoint::GroupVersionGet => groups::version(api, request).await,
        Endpoint::GroupVersionList => groups::versions(api, request).await,
        Endpoint::Info => Ok(cluster::info(api).await),
        Endpoint::Leader => cluster::leader(api),
        Endpoint::LeaderAbdicate => cluster::abdicate(api, request).await,
        Endpoint::Logs => logs::get(api, request).await,
        Endpoint::LoggingGet => logging::levels(api),
        Endpoint::LoggingSet => logging::set(api, request),
        Endpoint::Metrics => Ok(cluster::metrics(api, request).await),
        Endpoint::MetricsText => Ok(cluster::metrics_as_text(api).await),
        Endpoint::NodeDelete => cluster::delete_node(api, request).await,
        Endpoint::NodeGet => cluster::node(api, request).await,
        Endpoint::NodeList => cluster::nodes(api).await,
        Endpoint::OpenApi => Ok(about::openapi()),
        Endpoint::OrphanDelete => cluster::delete_orphan(api, request).await,
        Endpoint::OrphanList => cluster::orphans(api).await,
        Endpoint::Ping => Ok(cluster::ping(request)),
        Endpoint::PluginList => Ok(cluster::plugins()),
        Endpoint::PodCreate => pods::create(api, request).await,
        Endpoint::PodDelete => pods::delete(api, request).await,
        Endpoint::PodGet => pods::get(api, request).await,
        Endpoint::PodInstanceDelete => pods::kill_one(api, request).await,
        Endpoint::PodInstancesDelete => pods::kill(api, request).await,
        Endpoint::PodList => pods::list(api).await,
        Endpoint::PodPut => pods::put(api, request).await,
        Endpoint::PodStatus => pods::status(api, request).await,
        Endpoint::PodStatusList => pods::list_status(api).await,
        Endpoint::PodVersionGet => pods::version(api, request).await,
        Endpoint::PodVersionList => pods::versions(api, request).await,
        Endpoint::QueueDelayDelete => queue::delete_delay(api, request).await,
        Endpoint::QueueList => queue::list(api, request).await,
        Endpoint::Root => Ok(about::root(api, request)),
        Endpoint::SchemaApp => Ok(about::app_schema()),
        Endpoint::SchemaGroup => Ok(about::group_schema()),
        Endpoint::SubscriptionAdd => subscriptions::add(api, request),
        Endpoint::SubscriptionList => subscriptions::list(api),
        Endpoint::SubscriptionRemove => subscriptions::remove(api, request),
        Endpoint::TaskList => tasks::list(api, request).await,
        Endpoint::TasksDelete => tasks::delete(api, request).await,
        Endpoint::UiAsset => ui::asset(api.config.ui, &request.params.name, &request.headers),
        Endpoint::UiPage => Ok(ui::page(api.config.ui, &request.headers)),
    }
}

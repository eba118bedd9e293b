//! Deployments: those under way (`/v2`), and all that are remembered (`/v3`).

use super::{deployment_result, ok};
use crate::context::Api;
use crate::control::ControlPlane;
use crate::error::Error;
use crate::request::Request;
use crate::{to_wire, v3};
use axum::body::Body;
use axum::response::Response;
use cluster::{Command, DeploymentId};
use http::StatusCode;

/// `GET /v2/deployments`
pub(crate) async fn list<C: ControlPlane>(api: &Api<C>) -> Result<Response, Error> {
    let state = api.state().await?;
    let active = state.deployments().filter(|it| it.is_active()).map(|it| to_wire::deployment(&state, it));
    ok(&active.collect::<Vec<_>>())
}

/// `DELETE /v2/deployments/{deployment}?force=`: without force a new deployment reverts its changes; with force it
/// ends where it stands.
pub(crate) async fn cancel<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let deployment = id(request)?;
    if request.query.flag("force", false)? {
        api.submit(request, Command::Cancel { deployment }).await?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::ACCEPTED;
        return Ok(response);
    }
    let applied = api.submit(request, Command::RollBack { deployment }).await?;
    Ok(deployment_result(StatusCode::OK, &applied))
}

/// `GET /v3/deployments`
pub(crate) async fn history<C: ControlPlane>(api: &Api<C>) -> Result<Response, Error> {
    let state = api.state().await?;
    let now = api.control.moment();
    let deployments = state.deployments().map(|it| to_wire::deployment_report(&state, it, now)).collect();
    ok(&v3::DeploymentList { deployments })
}

/// `GET /v3/deployments/{deployment}`
pub(crate) async fn get<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = id(request)?;
    let state = api.state().await?;
    let deployment = state.deployment(id).ok_or_else(|| unknown(request))?;
    ok(&to_wire::deployment_report(&state, deployment, api.control.moment()))
}

/// A name that is none of ours is the name of nothing that exists.
fn id(request: &Request) -> Result<DeploymentId, Error> {
    request.params.name.parse().map_err(|_| unknown(request))
}

fn unknown(request: &Request) -> Error {
    Error::NotFound(format!("DeploymentPlan {} does not exist", request.params.name))
}

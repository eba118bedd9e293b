//! `/v2/apps/{id}/versions`: what an app was before.

use super::{app_of, ok, parse_version};
use crate::context::Api;
use crate::control::ControlPlane;
use crate::error::Error;
use crate::request::Request;
use crate::{time, to_wire, v2};
use axum::response::Response;

/// `GET /v2/apps/{id}/versions`: newest first, as clients expect and Marathon does not promise.
pub(crate) async fn list<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let state = api.state().await?;
    let versions = app_of(&state, &id)?.versions.keys().rev().map(|it| time::print(*it));
    ok(&v2::VersionList { versions: versions.collect() })
}

/// `GET /v2/apps/{id}/versions/{version}`
pub(crate) async fn get<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let version = parse_version(&request.params.name)?;
    let state = api.state().await?;
    let stored = app_of(&state, &id)?.versions.get(&version);
    let stored = stored
        .ok_or_else(|| Error::NotFound(format!("App '{id}' does not exist in version {}", time::print(version))))?;
    ok(&to_wire::app(stored))
}

//! The launch queue: apps that miss instances, and why.

use super::ok;
use crate::context::Api;
use crate::control::{ControlPlane, SubmitError};
use crate::error::Error;
use crate::request::Request;
use crate::{to_wire, v2};
use axum::body::Body;
use axum::response::Response;
use cluster::{Command, Rejected, explain};
use http::StatusCode;

/// `GET /v2/queue?embed=lastUnusedOffers`
pub(crate) async fn list<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let embed = request.query.all("embed").any(|it| it == "lastUnusedOffers");
    let state = api.state().await?;
    let now @ (_, moment) = (api.control.now(), api.control.moment());
    let waiting = explain::waiting(&state, moment);
    let queue = waiting.iter().filter_map(|it| to_wire::queue_item(&state, it, embed, now)).collect();
    ok(&v2::Queue { queue })
}

/// `DELETE /v2/queue/{id}/delay`
pub(crate) async fn delete_delay<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let id = request.app()?;
    let state = api.state().await?;
    let is_queued = state.live_app(&id).is_some_and(|it| explain::app(&state, it, api.control.moment()).is_some());
    if !is_queued {
        return Err(Error::NotFound(format!("Application {id} not found in tasks queue.")));
    }
    match api.submit(request, Command::ResetBackoff { app: id }).await {
        // There was no delay.
        Ok(_) | Err(SubmitError::Rejected(Rejected::Nothing)) => {}
        Err(error) => return Err(error.into()),
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

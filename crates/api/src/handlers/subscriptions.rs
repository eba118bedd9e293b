//! `/v2/eventSubscriptions`: who has events posted to itself.

use super::ok;
use crate::callbacks::Refused;
use crate::context::Api;
use crate::control::ControlPlane;
use crate::error::Error;
use crate::request::Request;
use crate::time;
use crate::v2::{CallbackUrls, Event, EventBody};
use axum::response::Response;

/// `GET /v2/eventSubscriptions`
pub(crate) fn list<C>(api: &Api<C>) -> Result<Response, Error> {
    ok(&CallbackUrls { callback_urls: api.callbacks.urls() })
}

/// `POST /v2/eventSubscriptions?callbackUrl=`
pub(crate) fn add<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let url = url(request)?;
    api.callbacks.add(api.source(), &api.config.event_callbacks, url).map_err(|refused| match refused {
        Refused::NoUrl(_) => Error::Argument(refused.to_string()),
        Refused::NotAllowed(_) | Refused::TooMany => Error::Forbidden(refused.to_string()),
    })?;
    let body = EventBody::SubscribeEvent { client_ip: request.peer.clone(), callback_url: url.to_owned() };
    tell(api, body)
}

/// `DELETE /v2/eventSubscriptions?callbackUrl=`; one that is not there is no error, as in Marathon.
pub(crate) fn remove<C: ControlPlane>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let url = url(request)?;
    api.callbacks.remove(url);
    let body = EventBody::UnsubscribeEvent { client_ip: request.peer.clone(), callback_url: url.to_owned() };
    tell(api, body)
}

fn url(request: &Request) -> Result<&str, Error> {
    let missing =
        || Error::Argument("parameter 'callbackUrl' is missing: say which URL events are posted to".to_owned());
    request.query.first("callbackUrl").filter(|it| !it.is_empty()).ok_or_else(missing)
}

/// Answers with the event that tells others of it.
fn tell<C: ControlPlane>(api: &Api<C>, body: EventBody) -> Result<Response, Error> {
    // Nobody may be reading.
    api.notify(body.clone());
    ok(&Event { timestamp: time::print(api.control.now()), body })
}

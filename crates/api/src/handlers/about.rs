//! What the server tells of its own API: `/help`, OpenAPI, JSON schemas, and the way there from `/`.

use crate::context::Api;
use crate::control::ControlPlane;
use crate::error::{json, json_text};
use crate::openapi;
use crate::request::Request;
use crate::ui;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

/// `GET /help`
pub(crate) fn help() -> Response {
    let mut response = Response::new(Body::from(openapi::help()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// `GET /v3/openapi.json`
pub(crate) fn openapi() -> Response {
    json_text(StatusCode::OK, openapi::document().to_vec())
}

/// `GET /v2/schemas/app`
pub(crate) fn app_schema() -> Response {
    json(StatusCode::OK, &openapi::app_schema())
}

/// `GET /v2/schemas/group`
pub(crate) fn group_schema() -> Response {
    json(StatusCode::OK, &openapi::group_schema())
}

/// `GET /`: the web UI for browsers, the way there for others.
pub(crate) fn root<C: ControlPlane>(api: &Api<C>, request: &Request) -> Response {
    if request.named(&["text/html", "application/xhtml+xml"]).is_some() {
        return ui::page(api.config.ui, &request.headers);
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/ui/"));
    response
}

//! `/logging`: how much this member logs, looked at and changed while it runs.

use super::ok;
use crate::context::Api;
use crate::error::Error;
use crate::from_wire::Problems;
use crate::logging::{Level, Logging};
use crate::request::Request;
use crate::v2;
use axum::response::Response;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// `GET /logging`
pub(crate) fn levels<C>(api: &Api<C>) -> Result<Response, Error> {
    ok(&logging(api)?.levels())
}

/// `POST /logging`
pub(crate) fn set<C>(api: &Api<C>, request: &Request) -> Result<Response, Error> {
    let logging = logging(api)?;
    let body = request.object()?;
    let mut problems = Problems::default();
    let logger = match body.get("logger") {
        Some(Value::String(logger)) => logger.clone(),
        None | Some(Value::Null) => {
            problems.shape("/logger", "error.path.missing");
            String::new()
        }
        Some(_) => {
            problems.shape("/logger", "error.expected.jsstring");
            String::new()
        }
    };
    let level = body.get("level").and_then(Value::as_str).and_then(Level::parse);
    if level.is_none() {
        let names = Level::ALL.map(Level::name).join(", ");
        problems.invalid("/level", format!("must be one of {names}"));
    }
    let seconds = match body.get("durationSeconds") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let seconds = value.as_f64().filter(|it| it.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(it));
            if seconds.is_none() {
                problems.invalid("/durationSeconds", "must be a whole number of seconds, from 1 on");
            }
            seconds.map(|it| it as u32)
        }
    };
    let Some(level) = level.filter(|_| problems.is_empty()) else { return Err(problems.into()) };
    let lasts = seconds.map(|it| Duration::from_secs(it.into()));
    if let Err(why) = logging.set(&logger, level, lasts) {
        problems.invalid("/logger", why);
        return Err(problems.into());
    }
    tracing::info!(logger, level = level.name(), seconds, by = request.peer, "a log level was changed");
    ok(&v2::LoggerChange { level: level.name().to_owned(), logger, duration_seconds: seconds })
}

fn logging<C>(api: &Api<C>) -> Result<&Arc<dyn Logging>, Error> {
    let missing = || Error::NotFound("the log levels of this program cannot be changed while it runs".to_owned());
    api.config.logging.as_ref().ok_or_else(missing)
}

//! Everything that can go wrong with a request, and the one place that says how it is answered.

use crate::control::SubmitError;
use crate::from_wire::Problems;
use crate::v2::{Details, ErrorBody, LockingDeployment};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use cluster::{AppId, DeploymentId, Rejected};
use http::{HeaderValue, StatusCode, header};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is no JSON.
    #[error("Invalid JSON")]
    NotJson {
        /// The parser's text.
        details: String,
    },
    /// There is no body.
    #[error("Please specify data in JSON format")]
    NoBody,
    /// The body's content is wrong, in these places.
    #[error("Object is not valid")]
    Invalid(Problems),
    /// One argument is wrong.
    #[error("{0}")]
    Argument(String),
    /// The request makes no sense.
    #[error("{0}")]
    Bad(String),
    /// What is asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done beside what is there.
    #[error("{0}")]
    Conflict(String),
    /// Another method is needed.
    #[error("Method Not Allowed")]
    Method {
        /// Which ones, separated by commas.
        allow: String,
    },
    /// The client accepts nothing that can be given.
    #[error("Not Acceptable")]
    NotAcceptable,
    /// The body comes in a form that is not taken.
    #[error("Unsupported Media Type")]
    MediaType {
        /// In which form it would be.
        details: &'static str,
    },
    /// The body is too long.
    #[error("Request Entity Too Large: a body may have {bytes_max} bytes at most")]
    TooLarge {
        /// How long it may be.
        bytes_max: usize,
    },
    /// The API is called by a name that could be anybody's.
    #[error("this is not '{host}': where that name is meant, the operator adds it to 'hosts' of every member")]
    Misdirected {
        /// Which one.
        host: String,
    },
    /// A page that is not ours asks for a change.
    #[error(
        "a page from elsewhere ({origin}) changes nothing here: where it is meant, the operator adds its host to 'hosts' of every member"
    )]
    Foreign {
        /// Where it is from.
        origin: String,
    },
    /// Others have taken all that there is of something.
    #[error("there are too many {what} at once: try again in a moment")]
    Busy {
        /// Of what.
        what: &'static str,
    },
    /// A fault of the program: the log says which.
    #[error("Internal Server Error: the log of this member says why")]
    Panicked,
    /// The body did not come in time.
    #[error("Request Timeout: the body did not arrive in time")]
    Timeout,
    /// Deployments hold an app, for these reasons.
    #[error("{message}")]
    Locked {
        /// Marathon's text.
        message: String,
        /// Which ones.
        deployments: Vec<LockingDeployment>,
    },
    /// The operator has not allowed it.
    #[error("{0}")]
    Forbidden(String),
    /// The control plane said no, or nothing.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The request cannot be passed on to the leader.
    #[error("{0}")]
    Gateway(String),
}

impl Error {
    /// An app that does not exist.
    pub fn no_app(id: &AppId) -> Self {
        Self::NotFound(format!("App '{id}' does not exist"))
    }

    /// A task that does not exist.
    pub fn no_task(id: &str) -> Self {
        Self::NotFound(format!("Task '{id}' does not exist"))
    }

    /// The status and body, as Marathon answers.
    pub fn answer(&self) -> (StatusCode, ErrorBody) {
        let message = self.to_string();
        let plain = |status| (status, ErrorBody { message: message.clone(), ..ErrorBody::default() });
        match self {
            Self::NotJson { details } => detailed(StatusCode::BAD_REQUEST, &message, Details::Text(details.clone())),
            Self::NoBody => {
                let details = "the request has no body".to_owned();
                detailed(StatusCode::BAD_REQUEST, &message, Details::Text(details))
            }
            Self::Invalid(problems) => {
                let message = if problems.is_misshapen() { "Invalid JSON" } else { "Object is not valid" };
                detailed(StatusCode::UNPROCESSABLE_ENTITY, message, Details::List(problems.details()))
            }
            Self::Argument(_) => plain(StatusCode::UNPROCESSABLE_ENTITY),
            Self::Bad(_) => plain(StatusCode::BAD_REQUEST),
            Self::NotFound(_) => plain(StatusCode::NOT_FOUND),
            Self::Conflict(_) => plain(StatusCode::CONFLICT),
            Self::Method { .. } => plain(StatusCode::METHOD_NOT_ALLOWED),
            Self::NotAcceptable => plain(StatusCode::NOT_ACCEPTABLE),
            Self::MediaType { details } => {
                detailed(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message, Details::Text((*details).to_owned()))
            }
            Self::TooLarge { .. } => plain(StatusCode::PAYLOAD_TOO_LARGE),
            Self::Timeout => plain(StatusCode::REQUEST_TIMEOUT),
            Self::Gateway(_) => plain(StatusCode::BAD_GATEWAY),
            Self::Forbidden(_) | Self::Foreign { .. } => plain(StatusCode::FORBIDDEN),
            Self::Locked { deployments, .. } => {
                let body = ErrorBody { message, details: None, deployments: deployments.clone() };
                (StatusCode::CONFLICT, body)
            }
            Self::Submit(SubmitError::Rejected(rejected)) => rejection(rejected),
            Self::Misdirected { .. } => plain(StatusCode::MISDIRECTED_REQUEST),
            Self::Panicked => plain(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Submit(_) | Self::Busy { .. } => plain(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

fn detailed(status: StatusCode, message: &str, details: Details) -> (StatusCode, ErrorBody) {
    let body = ErrorBody { message: message.to_owned(), details: Some(details), deployments: Vec::new() };
    (status, body)
}

/// How the cluster's own refusals are answered.
fn rejection(rejected: &Rejected) -> (StatusCode, ErrorBody) {
    let message = rejected.to_string();
    let deployments: &[DeploymentId] = match rejected {
        Rejected::Locked { deployments } => deployments,
        _ => &[],
    };
    let status = match rejected {
        Rejected::NoApp { .. }
        | Rejected::NoGroup { .. }
        | Rejected::NoGroupVersion { .. }
        | Rejected::NoDeployment { .. }
        | Rejected::NoNode { .. }
        | Rejected::NoOrphan { .. } => StatusCode::NOT_FOUND,
        Rejected::TooManyDeployments { .. } => StatusCode::FORBIDDEN,
        Rejected::NoServicePort
        | Rejected::Cyclic
        | Rejected::TooDeep { .. }
        | Rejected::Resident { .. }
        | Rejected::ServiceTaken(_)
        | Rejected::VolumeTaken { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Rejected::Exists { .. }
        | Rejected::GroupExists { .. }
        | Rejected::PathIsApp { .. }
        | Rejected::PathIsGroup { .. }
        | Rejected::OtherKind { .. }
        | Rejected::Nested { .. }
        | Rejected::Changed { .. }
        | Rejected::Locked { .. }
        | Rejected::NameTaken { .. }
        | Rejected::NodeAlive { .. }
        | Rejected::Nothing => StatusCode::CONFLICT,
    };
    let named = |it: &DeploymentId| LockingDeployment { id: it.to_string(), ..LockingDeployment::default() };
    let deployments = deployments.iter().map(named).collect();
    (status, ErrorBody { message, details: None, deployments })
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        Self::Submit(SubmitError::Rejected(rejected))
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::Invalid(problems)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, body) = self.answer();
        let mut response = json(status, &body);
        if let Self::Method { allow } = &self
            && let Ok(allow) = HeaderValue::from_str(allow)
        {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(text) => json_text(status, text),
        Err(error) => unprintable(&error),
    }
}

/// An answer with this JSON body.
pub(crate) fn json_text(status: StatusCode, text: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Our own types always print; we answer all the same.
fn unprintable(error: &serde_json::Error) -> Response {
    tracing::error!(%error, "an answer could not be written as JSON");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

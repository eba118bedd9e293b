//! The engine's answers that are none, and those that say no.

use api::causes::with_causes;
use bollard::errors::Error as Bollard;

/// Why a call of the engine came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// It did not answer: it is away, hangs, or stumbles over itself.
    #[error("{0}")]
    Away(String),
    /// It answered no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
}

impl From<Bollard> for Error {
    fn from(error: Bollard) -> Self {
        match error {
            Bollard::DockerResponseServerError { status_code, message } if !is_stumble(status_code, &message) => {
                Self::Refused { status: status_code, message }
            }
            Bollard::DockerStreamError { error } => Self::Refused { status: 500, message: error },
            Bollard::RequestTimeoutError => Self::Away("it does not answer in time".to_owned()),
            error => Self::Away(with_causes(&error)),
        }
    }
}

/// Whether the engine speaks of its own trouble rather than of what was asked.
fn is_stumble(status: u16, message: &str) -> bool {
    let signs = ["shutting down", "transport is closing", "connection refused", "containerd.sock", "context deadline"];
    status == 503 || (status >= 500 && signs.iter().any(|it| message.contains(it)))
}

/// Docker's words, and before them what they mean where they hide it.
pub(super) fn explained(status: u16, message: String, image: &str) -> String {
    let taken = ["port is already allocated", "address already in use"];
    if status == 404 && is_missing_image(&message) {
        format!("image {image}: {message}")
    } else if taken.iter().any(|it| message.contains(it)) {
        let detail = message.rsplit("): ").next().unwrap_or(&message);
        format!("a host port is taken by another process of this node: {detail}")
    } else if let Some(name) = taken_name(&message) {
        format!(
            "its container cannot be called '{name}' (Docker parameter 'name'): another container of this node has that \
             name, and names are not changed in silence"
        )
    } else {
        message
    }
}

/// The name that another container has.
fn taken_name(message: &str) -> Option<&str> {
    let (before, after) = message.split_once("is already in use by container")?;
    let name = before.split('"').nth(1).filter(|_| after.contains("rename"))?;
    Some(name.trim_start_matches('/'))
}

pub(super) fn is_missing_image(message: &str) -> bool {
    message.contains("No such image") || message.contains("no such image")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_about_what_was_asked_is_a_refusal() {
        let answer =
            |status_code, message: &str| Bollard::DockerResponseServerError { status_code, message: message.into() };
        for (error, refused) in [
            (answer(404, "No such image: web:1"), true),
            (answer(409, "Conflict"), true),
            (answer(500, "port is already allocated"), true),
            (answer(500, "dial unix /run/containerd/containerd.sock: connect: connection refused"), false),
            (answer(503, "the engine starts"), false),
            (Bollard::RequestTimeoutError, false),
            (Bollard::IOError { err: std::io::ErrorKind::ConnectionReset.into() }, false),
        ] {
            let text = error.to_string();
            assert_eq!(matches!(Error::from(error), Error::Refused { .. }), refused, "{text}");
        }
    }

    #[test]
    fn words_say_what_they_mean() {
        let port = "driver failed programming external connectivity on endpoint a (b): Bind for 0.0.0.0:80 failed: \
                    port is already allocated";
        for (status, message, expect) in [
            (404, "No such image: web:1", "image web:1: No such image: web:1"),
            (
                500,
                port,
                "a host port is taken by another process of this node: Bind for 0.0.0.0:80 failed: port is already allocated",
            ),
            (
                409,
                "Conflict. The container name \"/web\" is already in use by container \"0a1b\". You have to remove (or \
                 rename) that container to be able to reuse that name.",
                "its container cannot be called 'web' (Docker parameter 'name'): another container of this node has that \
                 name, and names are not changed in silence",
            ),
            (400, "invalid mount", "invalid mount"),
        ] {
            assert_eq!(explained(status, message.to_owned(), "web:1"), expect);
        }
    }
}

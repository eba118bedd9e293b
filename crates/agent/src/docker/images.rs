//! Pulling images: each one once at a time, however many instances wait for it.

use super::{Error, auth};
use bollard::query_parameters::CreateImageOptions;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, Shared};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// A pull that makes no progress for so long has failed: a registry that drips holds nobody up for ever (INV-D5).
const IDLE_DEADLINE: Duration = Duration::from_mins(2);

/// No pull takes longer.
const DEADLINE: Duration = Duration::from_mins(30);

type Pull = Shared<BoxFuture<'static, Result<(), Error>>>;

/// The pulls under way.
#[derive(Default)]
pub(super) struct Images {
    credentials: Option<PathBuf>,
    under_way: Arc<Mutex<HashMap<String, Pull>>>,
}

impl Images {
    /// With this file of credentials.
    pub(super) fn new(credentials: Option<PathBuf>) -> Self {
        Self { credentials, under_way: Arc::default() }
    }

    /// Pulls an image, or joins the pull under way. Goes on to its end even if nobody waits any more.
    pub(super) async fn pull(&self, client: bollard::Docker, image: &str) -> Result<(), Error> {
        let pull = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = || self.begin(client, image);
            under_way.entry(image.to_owned()).or_insert_with(begin).clone()
        };
        pull.await
    }

    fn begin(&self, client: bollard::Docker, image: &str) -> Pull {
        let (file, image, under_way) = (self.credentials.clone(), image.to_owned(), Arc::clone(&self.under_way));
        let task = tokio::spawn(async move {
            let result = timeout(DEADLINE, fetch(&client, file, &image)).await;
            under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&image);
            result.unwrap_or_else(|_| Err(too_slow(&image, DEADLINE)))
        });
        let joined = async { task.await.unwrap_or_else(|_| Err(Error::Away("the pull broke off".to_owned()))) };
        joined.boxed().shared()
    }
}

async fn fetch(client: &bollard::Docker, file: Option<PathBuf>, image: &str) -> Result<(), Error> {
    let credentials = file.and_then(|it| auth::credentials(&it, image));
    // Without a tag Docker would pull every tag there is.
    let has_tag = image.contains('@') || image.rsplit('/').next().is_some_and(|it| it.contains(':'));
    let tag = (!has_tag).then(|| "latest".to_owned());
    let options = CreateImageOptions { from_image: Some(image.to_owned()), tag, ..CreateImageOptions::default() };
    let mut steps = std::pin::pin!(client.create_image(Some(options), None, credentials));
    loop {
        match timeout(IDLE_DEADLINE, steps.next()).await {
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Err(refusal(error, image)),
            Ok(None) => return Ok(()),
            Err(_) => return Err(too_slow(image, IDLE_DEADLINE)),
        }
    }
}

/// What a failed pull means. Where the engine answered at all it speaks of the registry: `connection refused` and
/// `context deadline exceeded` are that one's then, and a reason to tell.
fn refusal(error: bollard::errors::Error, image: &str) -> Error {
    let answered = match error {
        bollard::errors::Error::DockerResponseServerError { status_code, message }
            if status_code != 503 && !message.contains("shutting down") =>
        {
            Error::Refused { status: status_code, message }
        }
        error => Error::from(error),
    };
    match answered {
        Error::Refused { status, message } => {
            Error::Refused { status, message: format!("cannot pull image {image}: {message}") }
        }
        away @ Error::Away(_) => away,
    }
}

fn too_slow(image: &str, deadline: Duration) -> Error {
    let message = format!("cannot pull image {image}: no progress within {} s", deadline.as_secs());
    Error::Refused { status: 504, message }
}

/// Docker reads the credentials as URL-safe base64; bollard 0.21 sends the standard form, and passwords with some
/// characters were dropped in silence.
pub(super) fn url_safe_auth(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    const HEADER: &str = "x-registry-auth";
    if let Some(value) = request.headers().get(HEADER).and_then(|it| it.to_str().ok())
        && let Ok(value) = value.replace('+', "-").replace('/', "_").parse()
    {
        request.headers_mut().insert(HEADER, value);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_travel_in_the_alphabet_that_docker_reads() {
        let body = bollard::body_full(bytes::Bytes::new());
        let request = hyper::Request::builder().header("X-Registry-Auth", "a+b/c==").body(body).unwrap();
        assert_eq!(url_safe_auth(request).headers()["x-registry-auth"], "a-b_c==");
    }

    #[test]
    fn a_registry_that_is_away_is_a_reason_and_an_engine_that_is_away_is_none() {
        let answer = |status_code, message: &str| {
            let message = message.to_owned();
            refusal(bollard::errors::Error::DockerResponseServerError { status_code, message }, "r:9/a:1")
        };
        for (status, message) in [
            (404, "pull access denied for a"),
            (500, "Get \"http://r:9/v2/\": dial tcp r:9: connect: connection refused"),
            (500, "Get \"https://r:9/v2/\": context deadline exceeded"),
        ] {
            let told = format!("cannot pull image r:9/a:1: {message}");
            assert_eq!(answer(status, message), Error::Refused { status, message: told });
        }
        for (status, message) in [(503, "not now"), (500, "the daemon is shutting down")] {
            assert!(matches!(answer(status, message), Error::Away(_)), "{message}");
        }
    }
}

//! Registries' credentials, as `docker login` keeps them in its `config.json`.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Docker's name for its own registry, in image references and in `config.json`.
const HUB: &str = "docker.io";
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The standard alphabet (RFC 4648 §4), padded or not: both are written.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    auths: BTreeMap<String, Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The registry that an image reference names: `docker.io` where it names none.
pub(super) fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

/// The credentials for an image's registry; `None` where the file has none, or cannot be read.
pub(super) fn credentials(file: &Path, image: &str) -> Option<DockerCredentials> {
    let text = std::fs::read(file).ok()?;
    match serde_json::from_slice::<File>(&text) {
        Ok(known) => known.find(registry_of(image)),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "cannot read the registries' credentials");
            None
        }
    }
}

impl File {
    fn find(&self, registry: &str) -> Option<DockerCredentials> {
        let host = |key: &str| {
            let key = key.trim_start_matches("https://").trim_start_matches("http://");
            key.split('/').next().unwrap_or(key).to_owned()
        };
        let of_registry = |key: &str| host(key) == registry || (registry == HUB && key == HUB_KEY);
        let (key, entry) = self.auths.iter().find(|(key, _)| of_registry(key))?;
        let pair = entry.auth.as_deref().and_then(|it| BASE64.decode(it.trim()).ok());
        let pair = pair.and_then(|it| String::from_utf8(it).ok());
        let (username, password) = match pair.as_deref().and_then(|it| it.split_once(':')) {
            Some((user, password)) => (Some(user.to_owned()), Some(password.to_owned())),
            None => (entry.username.clone(), entry.password.clone()),
        };
        Some(DockerCredentials {
            username,
            password,
            identitytoken: entry.identitytoken.clone(),
            serveraddress: Some(key.clone()),
            ..DockerCredentials::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_names_its_registry() {
        for (image, expect) in [
            ("busybox", "docker.io"),
            ("library/busybox:1", "docker.io"),
            ("registry.example/pay-api:1.2", "registry.example"),
            ("localhost/a", "localhost"),
            ("registry:5000/a/b@sha256:00", "registry:5000"),
        ] {
            assert_eq!(registry_of(image), expect);
        }
    }

    #[test]
    fn credentials_are_found_by_registry() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        let text = r#"{"auths": {
            "registry.example": {"auth": "cGF5OnN+P3M6dA=="},
            "unpadded.example": {"auth": "cGF5OnN+P3M6dA"},
            "https://index.docker.io/v1/": {"username": "hub", "password": "x"},
            "http://other:5000/v2/": {"identitytoken": "token"}
        }, "credsStore": "none"}"#;
        std::fs::write(&file, text).unwrap();
        let found = |image| credentials(&file, image).map(|it| (it.username, it.password, it.identitytoken));
        let text = |it: &str| Some(it.to_owned());
        assert_eq!(found("registry.example/a"), Some((text("pay"), text("s~?s:t"), None)));
        assert_eq!(found("unpadded.example/a"), found("registry.example/a"));
        assert_eq!(found("busybox"), Some((text("hub"), text("x"), None)));
        assert_eq!(found("other:5000/a"), Some((None, None, text("token"))));
        assert_eq!(found("unknown.example/a"), None);
        assert_eq!(credentials(&dir.path().join("none"), "busybox"), None);
    }
}

//! Image references.

use super::Problems;
use super::read::{Object, text};

/// Longer references are no references.
const IMAGE_BYTES_MAX: usize = 1024;

/// Reads a field that names an image.
pub(super) fn read(problems: &mut Problems, object: &Object, name: &str) -> String {
    if object.get(name).is_none() {
        problems.shape(&object.at(name), "error.path.missing");
    }
    // References have a limit of their own, below.
    let image = object.get(name).and_then(|it| text(problems, it, &object.at(name), usize::MAX)).unwrap_or("unread");
    if image.is_empty() {
        problems.invalid(&object.at(name), "must not be empty");
    } else if !is_image(image) {
        problems.invalid(
            &object.at(name),
            "is not an image reference: '[registry/]name[:tag][@digest]', the name in lower case",
        );
    }
    image.to_owned()
}

/// Whether a text is an image reference (the grammar of `distribution/reference`).
pub(super) fn is_image(image: &str) -> bool {
    if image.len() > IMAGE_BYTES_MAX {
        return false;
    }
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last_slash = name.rfind('/').map_or(0, |it| it + 1);
    let (path, tag) = match name[last_slash..].find(':') {
        Some(colon) => (&name[..last_slash + colon], Some(&name[last_slash + colon + 1..])),
        None => (name, None),
    };
    let mut components: Vec<&str> = path.split('/').collect();
    let first_is_host = components.len() > 1
        && (components[0].contains(['.', ':'])
            || components[0] == "localhost"
            || components[0].contains(char::is_uppercase));
    let host = first_is_host.then(|| components.remove(0));
    host.is_none_or(is_host)
        && components.iter().all(|it| is_component(it))
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

fn is_host(host: &str) -> bool {
    let inner = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b':' | b'[' | b']');
    !host.is_empty() && host.bytes().all(inner)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let alphanumeric = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    let separators = component.split(alphanumeric).filter(|it| !it.is_empty());
    component.starts_with(alphanumeric)
        && component.ends_with(alphanumeric)
        && separators.into_iter().all(|it| matches!(it, "." | "_" | "__") || it.bytes().all(|it| it == b'-'))
}

/// `[\w][\w.-]{0,127}`
fn is_tag(tag: &str) -> bool {
    let word = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    let inner = |it: u8| word(it) || matches!(it, b'.' | b'-');
    (1..=128).contains(&tag.len()) && tag.bytes().all(inner) && tag.bytes().next().is_some_and(word)
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'.' | b'-' | b'_'))
            && hex.len() >= 32
            && hex.bytes().all(|it| it.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_references_are_told_from_other_texts() {
        for image in [
            "nginx",
            "nginx:1.25",
            "library/nginx",
            "registry.example/pay-api:1.2",
            "localhost:5000/a/b_c/d--e",
            "Registry:5000/a",
            "a@sha256:0123456789abcdef0123456789abcdef",
            "a:t@sha256:0123456789abcdef0123456789abcdef",
            "10.0.0.1:5000/x:_1.2-3",
        ] {
            assert!(is_image(image), "{image}");
        }
        for image in [
            "",
            " ",
            "a b",
            "Nginx",
            "nginx:",
            "nginx:a b",
            "/nginx",
            "nginx/",
            "a//b",
            "a:-x",
            "-a",
            "a_",
            "a___b",
            "a..b",
            "a@sha256:xyz",
            "a@",
            "http://x/y",
            "a\n",
            "é",
            &"a".repeat(5000),
        ] {
            assert!(!is_image(image), "{image:?}");
        }
    }
}

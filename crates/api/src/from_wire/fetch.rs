//! Files that are there before an app starts: `fetch`, and `uris` in the old dialect.

use super::Problems;
use super::read::Object;
use cluster::Fetch;

const KNOWN: &[&str] = &["uri", "extract", "executable", "cache", "destPath"];
/// Longer ones Marathon does not take either.
const BYTES_MAX: usize = 1024;
/// What the old dialect unpacks.
const ARCHIVES: &[&str] = &[".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".zip", ".tar", ".gz"];

/// Reads `fetch` and `uris` of an app.
pub(super) fn read(problems: &mut Problems, app: &Object) -> Vec<Fetch> {
    let new = list(problems, app, "fetch");
    let old = app.texts(problems, "uris").unwrap_or_default();
    if !new.is_empty() && !old.is_empty() {
        problems.invalid("/", "cannot specify both uris and fetch fields");
    }
    for (n, uri) in old.iter().enumerate() {
        check_uri(problems, &format!("{}({n})", app.at("uris")), uri);
    }
    let old = old.into_iter().map(|uri| Fetch {
        extract: ARCHIVES.iter().any(|it| uri.ends_with(it)),
        executable: false,
        cache: false,
        dest_path: None,
        uri,
    });
    new.into_iter().chain(old).collect()
}

/// Reads an array of files (RAML `Artifact`).
pub(super) fn list(problems: &mut Problems, object: &Object, name: &str) -> Vec<Fetch> {
    let objects = object.objects(problems, name).unwrap_or_default();
    objects.iter().filter_map(|it| fetch(problems, it)).collect()
}

fn fetch(problems: &mut Problems, object: &Object) -> Option<Fetch> {
    object.check_known(problems, KNOWN);
    let uri = object.required_text(problems, "uri");
    if let Some(uri) = uri {
        check_uri(problems, &object.at("uri"), uri);
    }
    let dest_path = object.text(problems, "destPath");
    if let Some(path) = dest_path {
        let leads_out = path.starts_with('/') || path.split('/').any(|it| it == "..");
        if path.is_empty() || leads_out || path.len() > BYTES_MAX {
            let error = format!("must be a path inside the sandbox, without '..', of 1 to {BYTES_MAX} bytes");
            problems.invalid(&object.at("destPath"), error);
        }
    }
    Some(Fetch {
        uri: uri?.to_owned(),
        extract: object.boolean(problems, "extract").unwrap_or(true),
        executable: object.boolean(problems, "executable").unwrap_or(false),
        cache: object.boolean(problems, "cache").unwrap_or(false),
        dest_path: dest_path.map(str::to_owned),
    })
}

/// The name that a file has in the sandbox: the path that was given, or the last part of its URI's.
pub(super) fn name_of(fetch: &Fetch) -> &str {
    let of_uri = || {
        let path = fetch.uri.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    };
    fetch.dest_path.as_deref().map_or_else(of_uri, |it| it.strip_prefix("./").unwrap_or(it))
}

/// Whether nobody can say by which names its content is in the sandbox.
pub(super) fn is_unpacked(fetch: &Fetch) -> bool {
    let name = name_of(fetch).to_ascii_lowercase();
    fetch.extract && ARCHIVES.iter().any(|it| name.ends_with(it))
}

fn check_uri(problems: &mut Problems, path: &str, uri: &str) {
    let (scheme, rest) = uri.split_once("://").unwrap_or_default();
    let known = ["http", "https", "file"].iter().any(|it| scheme.eq_ignore_ascii_case(it));
    if uri.is_empty() || uri.len() > BYTES_MAX {
        problems.invalid(path, format!("must have 1 to {BYTES_MAX} bytes"));
    } else if uri.bytes().any(|it| it <= b' ' || it == 0x7f) {
        problems.invalid(path, "URI has invalid syntax: it must not contain spaces or control characters");
    } else if !known || rest.is_empty() {
        problems.invalid(path, "must start with 'http://', 'https://' or 'file:///': agents fetch by these only");
    } else if scheme.eq_ignore_ascii_case("file") && !rest.starts_with('/') {
        problems.invalid(path, "must name a file of the node: 'file:///path'");
    }
}
